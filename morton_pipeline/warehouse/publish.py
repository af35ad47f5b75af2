"""The copy people read. Finance, the review page and BI tools open it for as long as they like and stop nobody.

Belongs here: copying the schema `marts` into a file of its own, swapping it in, and opening it. Does not: building it.

    NothingPublished   there is no copy yet
    NotPublished       the copy could not be made; the one before stays
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from morton_pipeline.book import OPEN, Book, make_folder
from morton_pipeline.errors import MortonError
from morton_pipeline.warehouse import files
from morton_pipeline.warehouse.journal import write_ahead_log
from morton_pipeline.warehouse.layout import literal, quoted
from morton_pipeline.warehouse.lock import connect

STORAGE_VERSION = "v1.2.0"
"""Finance's tools lag: DuckDB 1.5 opens this, and not the newest format."""


class NothingPublished(MortonError):
    """Nothing has been published yet."""


class NotPublished(MortonError):
    """The copy could not be made; the one published before stays."""


def publish(book: Book, target: Path | None = None) -> Path:
    """Copy the marts into a new file and put it in place at once; whoever has the old one open keeps reading it."""
    target = target or book.published
    draft = target.with_name(f"{target.name}.writing")
    with connect(book, "publish") as con:
        try:
            make_folder(target.parent, OPEN)
            _discard(draft)
            _copy_marts(con, draft)
            draft.chmod(0o644)
            files.move_into_place(draft, target)
        except (OSError, duckdb.IOException) as error:
            raise NotPublished(
                f"The marts could not be copied to {target} ({error}); the copy published before is untouched. "
                "Make room or mend the permissions, then run `morton reconcile` again."
            ) from None
        finally:
            _discard(draft)
    return target


def _discard(draft: Path) -> None:
    for path in (draft, write_ahead_log(draft)):
        path.unlink(missing_ok=True)


def _copy_marts(con: duckdb.DuckDBPyConnection, draft: Path) -> None:
    ours = "schema_name = 'marts' and database_name = current_database()"
    tables = con.execute(f"select table_name, comment from duckdb_tables() where {ours} order by 1").fetchall()
    views = con.execute(f"select view_name, comment, sql from duckdb_views() where {ours} order by 1").fetchall()
    if not tables:
        raise NotPublished("There are no marts to publish yet: `morton reconcile` builds them.")
    con.execute(f"attach {literal(str(draft))} as mart (storage_version '{STORAGE_VERSION}')")
    try:
        con.execute("create schema mart.morton")
        con.execute("create table mart.morton.built_from as select * from raw.built_from")
        con.execute("create schema mart.marts")
        for name, comment in tables:
            _copy_table(con, name, comment)
        for name, comment, sql in views:
            try:
                with _within(con, "mart"):
                    con.execute(sql)
            except duckdb.CatalogException:
                # It reads more than the marts, and the copy has nothing else.
                _copy_table(con, name, comment)
            else:
                con.execute(f"comment on view mart.marts.{quoted(name)} is {_said(comment)}")
        _copy_comments(con)
        con.execute("checkpoint mart")
    finally:
        with suppress(duckdb.Error):
            con.execute("detach mart")


def _copy_table(con: duckdb.DuckDBPyConnection, name: str, comment: str | None) -> None:
    con.execute(f"create table mart.marts.{quoted(name)} as select * from marts.{quoted(name)}")
    con.execute(f"comment on table mart.marts.{quoted(name)} is {_said(comment)}")


@contextmanager
def _within(con: duckdb.DuckDBPyConnection, database: str) -> Iterator[None]:
    (before,) = con.execute("select current_database()").fetchone() or ("",)
    con.execute(f"use {quoted(database)}")
    try:
        yield
    finally:
        con.execute(f"use {quoted(before)}")


def _said(comment: str | None) -> str:
    return literal(comment) if comment else "null"


def _copy_comments(con: duckdb.DuckDBPyConnection) -> None:
    """A view's columns carry theirs too."""
    for table, column, comment in con.execute(
        "select table_name, column_name, comment from duckdb_columns() "
        "where schema_name = 'marts' and database_name = current_database() and comment is not null"
    ).fetchall():
        con.execute(f"comment on column mart.marts.{quoted(table)}.{quoted(column)} is {literal(comment)}")


@contextmanager
def connect_published(book: Book, source: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the published mart (or another published file) for reading; tables are `marts.…`."""
    source = source or book.published
    if not source.is_file():
        raise NothingPublished(f"{book.root} has published nothing yet: run `morton extract`, then `morton reconcile`.")
    # Attached and not opened: within one process DuckDB hands out a file it already has open under this name, even
    # after another has taken its place.
    with duckdb.connect() as con:
        con.execute(f"attach {literal(str(source))} as mart (read_only)")
        con.execute("use mart")
        yield con
