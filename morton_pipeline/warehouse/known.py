"""The seeds and connections.yaml as builds used them, kept in the journal by content: what a look back builds from.

Belongs here: keeping a set of files, and laying out the one known at an instant. Does not: which files a build uses
(`reconcile`).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from morton_pipeline.book import Book
from morton_pipeline.warehouse import journal
from morton_pipeline.warehouse.apply import SEEDS
from morton_pipeline.warehouse.layout import KNOWN_SEEDS


def keep(con: duckdb.DuckDBPyConnection, book: Book, contents: Mapping[str, bytes], at: datetime) -> None:
    """Keep a set of files, by name, as known from an instant on; nothing is written where nothing has changed."""
    hashes = {name: journal.write_seed(book, Path(name).suffix, content) for name, content in contents.items()}
    if hashes == _files(con, "true order by set_number desc limit 1"):
        return
    journal.append(con, book, [{"line": SEEDS, "clock_at": at, "known_at": at, "files": hashes}])
    journal.replay(con, book)


def lay_out(con: duckdb.DuckDBPyConnection, book: Book, at: datetime, folder: Path) -> str:
    """Write the newest set known at an instant into a folder; return what there is to say about it, if anything.

    Before the first set was known, the first one is written. The folder is not made where none was ever kept.
    """
    found = _files(con, "known_at <= ? order by set_number desc limit 1", at.astimezone(UTC).replace(tzinfo=None))
    first = con.execute(f"select min(known_at) from {KNOWN_SEEDS.sql}").fetchone()
    if first is None or first[0] is None:
        return "No build has kept its seeds yet, so today's are used."
    said = "" if found else (
        f"Which seeds were known then is not known: the first were kept on {first[0]:%Y-%m-%d %H:%M} UTC, and are used."
    )  # fmt: skip
    for name, sha256 in (found or _files(con, "true order by set_number limit 1")).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(journal.read_seed(book, path.suffix, sha256))
    return said


def _files(con: duckdb.DuckDBPyConnection, which: str, *values: object) -> dict[str, str]:
    """Return the files of one set, by name."""
    sql = (
        f"select file_name, sha256 from {KNOWN_SEEDS.sql} "
        f"where set_number = (select set_number from {KNOWN_SEEDS.sql} where {which})"
    )
    return dict(con.execute(sql, list(values)).fetchall())
