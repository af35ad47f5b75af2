"""One writer at a time. DuckDB locks its file against every other process, so ours waits in line and says who is first.

Belongs here: the lock, and opening the warehouse under it. Does not: what is written (`load`, `tables`), or reading
the published mart (`publish`), which needs no lock.

    WarehouseBusy        somebody else holds the lock, or has the file open without it
    WarehouseUnreadable  DuckDB cannot open the file
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from morton_pipeline.book import Book, make_data_folder
from morton_pipeline.clock import wall
from morton_pipeline.errors import MortonError
from morton_pipeline.warehouse import journal, tables

WAIT_SECONDS = 60.0


class WarehouseBusy(MortonError):
    """Somebody else is writing to the warehouse."""


class WarehouseUnreadable(MortonError):
    """The warehouse file is damaged; the journal can rebuild it."""


@contextmanager
def held(book: Book, owner: str, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the book's lock without opening the warehouse: for dbt, which opens it itself in this process.

    The operating system lets go of a dead owner's lock. A thread that holds it may take it again. While it is held,
    files are made for our account alone: DuckDB and dbt make them as they need them, and ask nobody for a mode.
    """
    make_data_folder(book)
    lock = FileLock(book.data / "warehouse.lock", is_singleton=True, fallback_to_soft=False)
    note = book.data / "warehouse.owner.json"
    try:
        lock.acquire(timeout=wait_seconds)
    except Timeout:
        raise WarehouseBusy(
            f"The warehouse of {book.root} is in use by {_holder(note)}; {owner} waited {wait_seconds:g} s. "
            "Run it again when that has finished, or stop that process if it hangs: its lock goes with it."
        ) from None
    is_outermost = lock.lock_counter == 1
    mask = os.umask(0o077)
    try:
        if is_outermost:
            _sign(note, owner)
        yield
    finally:
        os.umask(mask)
        if is_outermost:
            note.unlink(missing_ok=True)
        lock.release()


def _sign(note: Path, owner: str) -> None:
    draft = note.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps({"owner": owner, "pid": os.getpid(), "since": wall().isoformat()}), "utf-8")
    draft.replace(note)


def _holder(note: Path) -> str:
    try:
        written = json.loads(note.read_text("utf-8"))
        since = datetime.fromisoformat(written["since"])
        return f"{written['owner']!r} (process {written['pid']}) since {since:%Y-%m-%d %H:%M:%S} UTC"
    except (OSError, ValueError, KeyError):
        return "another process that has not said who it is"


@contextmanager
def connect(book: Book, owner: str, wait_seconds: float = WAIT_SECONDS) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse for writing, alone; it is closed again whatever happens.

    Every table exists and everything in the journal is applied by the time the connection is handed over: a run that
    was cut off, a new vendor page and a deleted warehouse file are all healed by the next opening.
    """
    with held(book, owner, wait_seconds):
        con = _open(book)
        try:
            tables.ensure(con)
            journal.replay(con, book)
            yield con
        finally:
            con.close()


def _open(book: Book) -> duckdb.DuckDBPyConnection:
    if not book.warehouse.exists():
        # A log left by a deleted file belongs to no database any more.
        journal.write_ahead_log(book.warehouse).unlink(missing_ok=True)
    try:
        return duckdb.connect(str(book.warehouse))
    except duckdb.Error as error:
        if "lock" in str(error).lower():
            raise WarehouseBusy(
                f"Another program has {book.warehouse} open and keeps everyone else out. Close it there and read "
                f"{book.published} instead, which is never locked. DuckDB says: {error}"
            ) from None
        raise WarehouseUnreadable(
            f"{book.warehouse} cannot be opened: {error}. Move it away and run this again: "
            "everything that was loaded is rebuilt from the journal, and the marts by the next `morton reconcile`."
        ) from None
