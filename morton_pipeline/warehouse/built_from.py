"""What the marts were built from, published with them: an approval is only as good as what it was given on.

Belongs here: keeping how far the journal had come and which seeds there were, and telling what has changed since. Does
not: building them anew (`reconcile`).
"""

import hashlib
from collections.abc import Mapping

import duckdb

from morton_pipeline.book import Book
from morton_pipeline.warehouse import journal, tables
from morton_pipeline.warehouse.apply import ACCEPTANCE, ATTEMPT, Line
from morton_pipeline.warehouse.layout import BUILT_FROM
from morton_pipeline.warehouse.publish import connect_published


def keep(con: duckdb.DuckDBPyConnection, files: Mapping[str, bytes]) -> None:
    """Keep what a build has just been made from: the journal as it is applied, and these files."""
    file_name, byte_offset, _ = journal.position(con)
    con.execute(f"delete from {BUILT_FROM.sql}")
    tables.insert(con, BUILT_FROM, tables.rows_of(BUILT_FROM, [(file_name, byte_offset, _sha256(files))]))


def changed_since(book: Book, files: Mapping[str, bytes]) -> str:
    """Say what has changed since the published marts were built, given today's files; empty where nothing has.

    It reads the end of the journal without the lock. Readings that found everything as it was change nothing. Raises
    `NothingPublished`, and `JournalDamaged` where the journal cannot be read.
    """
    with connect_published(book) as con:
        is_kept = con.execute("select 1 from duckdb_tables() where schema_name = 'morton'").fetchone()
        found = is_kept and con.execute("select file_name, byte_offset, files_sha256 from morton.built_from").fetchone()
    if not found:
        return "The marts were built by an earlier version."
    file_name, byte_offset, files_sha256 = found
    if files_sha256 != _sha256(files):
        return "The seeds or connections.yaml were edited after the marts were built."
    for line in journal.lines_after(book, file_name, byte_offset):
        if line["line"] == ACCEPTANCE:
            return f"{line['accepted_by']} accepted a reading after the marts were built."
        if line["line"] == ATTEMPT and _tells_something_new(line):
            read = f"{line['connection_id']} {line['endpoint']} {line['tenant_id'] or ''}".strip()
            return f"{read} was read on {line['attempted_at']:%Y-%m-%d at %H:%M} UTC, after the marts were built."
    return ""


def _tells_something_new(line: Line) -> bool:
    return line["status"] != "complete" or bool(line.get("journal_file") or line.get("source_file"))


def _sha256(files: Mapping[str, bytes]) -> str:
    hashes = [f"{hashlib.sha256(content).hexdigest()} {name}" for name, content in sorted(files.items())]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
