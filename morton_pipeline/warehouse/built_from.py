"""What the marts were built from, published with them: an approval is only as good as what it was given on.

Belongs here: keeping how far the journal had come, which seeds there were and what was excluded, and telling what has
changed since. Does not: building them anew (`reconcile`).
"""

import hashlib
from collections.abc import Iterable, Mapping

import duckdb

from morton_pipeline.book import Book
from morton_pipeline.warehouse import journal, tables
from morton_pipeline.warehouse.apply import ACCEPTANCE, ATTEMPT, Line
from morton_pipeline.warehouse.layout import BUILT_FROM
from morton_pipeline.warehouse.publish import connect_published


def keep(con: duckdb.DuckDBPyConnection, files: Mapping[str, bytes]) -> None:
    """Keep what a build has just been made from: the journal and the ledger's copy as they are, and these files."""
    file_name, byte_offset, _ = journal.position(con)
    excluded = [name for (name,) in con.execute("select exclusion_id from raw_ledger.exclusions").fetchall()]
    con.execute(f"delete from {BUILT_FROM.sql}")
    row = (file_name, byte_offset, _of_files(files), _of_names(excluded))
    tables.insert(con, BUILT_FROM, tables.rows_of(BUILT_FROM, [row]))


def changed_since(book: Book, files: Mapping[str, bytes], excluded: Iterable[str]) -> str:
    """Say what has changed since the published marts were built; empty where nothing has.

    `files` are today's, and `excluded` names the ledger's exclusions in force: once recorded, none ever changes.

    It reads the end of the journal without the lock. Readings that found everything as it was change nothing. Raises
    `NothingPublished`, and `JournalDamaged` where the journal cannot be read.
    """
    with connect_published(book) as con:
        kept = {name for (name,) in con.execute(
            "select column_name from duckdb_columns() where schema_name = 'morton' and table_name = 'built_from'"
        ).fetchall()}  # fmt: skip
        names = [field.name for field in BUILT_FROM.fields]
        found = (
            con.execute(f"select {', '.join(names)} from morton.built_from").fetchone() if kept >= {*names} else None
        )
    if not found:
        return "The marts were built by an earlier version."
    file_name, byte_offset, files_sha256, exclusions_sha256 = found
    if files_sha256 != _of_files(files):
        return "The seeds or connections.yaml were edited after the marts were built."
    if exclusions_sha256 != _of_names(excluded):
        return "Records were excluded, or count again, by a decision after the marts were built."
    for line in journal.lines_after(book, file_name, byte_offset):
        if line["line"] == ACCEPTANCE:
            return f"{line['accepted_by']} accepted a reading after the marts were built."
        if line["line"] == ATTEMPT and _tells_something_new(line):
            read = f"{line['connection_id']} {line['endpoint']} {line['tenant_id'] or ''}".strip()
            return f"{read} was read on {line['attempted_at']:%Y-%m-%d at %H:%M} UTC, after the marts were built."
    return ""


def _tells_something_new(line: Line) -> bool:
    return line["status"] != "complete" or bool(line.get("journal_file") or line.get("source_file"))


def _of_files(files: Mapping[str, bytes]) -> str:
    return _of_names(f"{hashlib.sha256(content).hexdigest()} {name}" for name, content in files.items())


def _of_names(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
