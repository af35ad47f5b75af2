"""Opening the ledger: SQLite in the book, or the database `MORTON_LEDGER_URL` names.

Belongs here: the connection, its safety settings, and making the tables. Does not: what is written (`audit.Writer`).
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import tenacity

from morton_pipeline.book import Book, make_data_folder
from morton_pipeline.errors import MortonError
from morton_pipeline.ledger import tables

BUSY_SECONDS = 30
"""How long a writer waits for another one."""

GENESIS = "0" * 64
"""What the first row of the audit chain follows."""


@dataclass(frozen=True)
class Ledger:
    """An open ledger. Close it, or use it with `with`."""

    engine: sa.Engine
    data: Path
    """The book's data folder: where the key file stands when `MORTON_SECRET_KEY` is not set."""

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Read one consistent state, whatever is written meanwhile."""
        options = {} if self.engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect().execution_options(**options) as con, con.begin():
            yield con

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Write alone: on SQLite from the first statement, elsewhere from the moment the chain's head is locked."""
        with self.engine.connect().execution_options(begin="immediate") as con, con.begin():
            yield con


def open_ledger(book: Book) -> Ledger:
    """Open the ledger of a book and make its tables where they are missing."""
    make_data_folder(book)
    _make_private(book.ledger_url)
    ledger = open_url(book.ledger_url, book.data)
    try:
        _prepare(ledger)
    except sa.exc.OperationalError as failure:
        ledger.close()
        shown = sa.make_url(book.ledger_url).render_as_string(hide_password=True)
        raise MortonError(
            f"The ledger {shown} could not be opened ({failure.orig}). Check that it can be reached and written to."
        ) from None
    return ledger


def _make_private(url: str) -> None:
    """Make SQLite's file before SQLite does: its mode is then ours alone, and so are those of the files beside it."""
    parts = sa.make_url(url)
    if parts.get_backend_name() == "sqlite" and parts.database and parts.database != ":memory:":
        # A place that cannot be written to is told when it is opened.
        with suppress(OSError):
            os.close(os.open(parts.database, os.O_CREAT | os.O_WRONLY, 0o600))


def open_url(url: str, data: Path) -> Ledger:
    """Make the engine for a database address."""
    is_sqlite = url.startswith("sqlite")
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS} if is_sqlite else {})
    if is_sqlite:
        sa.event.listen(engine, "connect", _connect)
        sa.event.listen(engine, "begin", _begin)
    return Ledger(engine, data)


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(sqlite3.OperationalError),
    stop=tenacity.stop_after_delay(BUSY_SECONDS),
    wait=tenacity.wait_random(0.01, 0.1),
    reraise=True,
)
def _connect(connection: Any, _: Any) -> None:
    """Set what makes SQLite durable. For two processes turning WAL on at once SQLite does not wait itself."""
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(con: sa.Connection) -> None:
    con.exec_driver_sql("BEGIN IMMEDIATE" if con.get_execution_options().get("begin") == "immediate" else "BEGIN")


def _prepare(ledger: Ledger) -> None:
    with ledger.read() as con:
        inspector = sa.inspect(con)
        if all(inspector.has_table(name) for name in tables.METADATA.tables):
            return
    with ledger.transaction() as con:
        tables.METADATA.create_all(con)
        if con.execute(sa.select(tables.chain_head.c.id)).first() is None:
            con.execute(tables.chain_head.insert().values(id=1, seq=0, hash=GENESIS))
