"""Where everything goes first and is never changed: a line per attempt, a Parquet file per load that changed anything.

    journal/2026-11.jsonl                                        attempts and acceptances, one JSON object per line
    journal/ninjaone/devices/20261123T060000000000Z-ninjaone.parquet   the records that changed
    journal/seeds/3a7b….csv                                      a seed as a build used it, named by its content
    journal/closed/closed_findings/20261211T060000000000Z.parquet      what a month was closed with

`replay` carries lines to DuckDB and is the only way there. So a run that is cut off between the two is finished by the
next opening, and a warehouse file that is lost is rebuilt. Lines are numbered, files are hashed: what was altered or
is missing is named, never skipped. Belongs here: these files. Does not: what the lines mean to DuckDB (`apply`).

    JournalDamaged      a file is missing, altered or cut off
    JournalUnwritable   the disk refuses; nothing was loaded
    NotApplied          the disk refuses after the journal took it; the next opening applies it
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from morton_pipeline.book import Book
from morton_pipeline.errors import MortonError
from morton_pipeline.warehouse import apply, files, tables
from morton_pipeline.warehouse.apply import Line
from morton_pipeline.warehouse.layout import JOURNAL_POSITION

Position = tuple[str, int, int]
"""The journal file, the byte where the next line begins, and the number of the last line applied."""

START: Position = ("", 0, 0)
BATCH_LINES = 5_000
BATCH_BYTES = 128 * 2**20
"""How much of the journal is applied in one transaction while rebuilding: bounds memory, not meaning."""
TAIL_BYTES = 64 * 2**10


class JournalDamaged(MortonError):
    """The journal cannot be trusted from here on."""


class JournalUnwritable(MortonError):
    """Nothing was loaded, because it could not be written down first."""


class NotApplied(MortonError):
    """What the journal holds has not reached the warehouse yet."""


def write_changes(book: Book, vendor: str, endpoint: str, stem: str, changes: pa.Table) -> tuple[str, str]:
    """Write the records a load changes; return the file's name within the journal, and its hash."""
    folder = book.journal / vendor / endpoint
    name = re.sub(r"[^\w.-]", "_", stem)
    try:
        files.make_folder(folder)
        path = folder / f"{name}.parquet"
        copies = 1
        while path.exists():
            copies += 1
            path = folder / f"{name}-{copies}.parquet"
        content = _parquet(changes)
        _write(path, content)
    except OSError as error:
        raise _unwritable(book, error) from None
    return str(path.relative_to(book.journal)), hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes | memoryview) -> None:
    draft = path.with_suffix(".writing")
    try:
        draft.write_bytes(content)
        files.move_into_place(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _parquet(changes: pa.Table) -> memoryview:
    sink = io.BytesIO()
    pq.write_table(changes, sink, compression="zstd")
    return sink.getbuffer()


def read_changes(book: Book, name: str, sha256: str) -> pa.Table:
    """Read such a file back; one that is missing or altered is named."""
    return pq.ParquetFile(pa.BufferReader(_read(book, name, sha256))).read()


def write_seed(book: Book, suffix: str, content: bytes) -> str:
    """Write a file under its hash, once however often it is kept; return the hash."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = book.journal / _seed(suffix, sha256)
    try:
        files.make_folder(path.parent)
        if not path.exists():
            _write(path, content)
    except OSError as error:
        raise _unwritable(book, error) from None
    return sha256


def read_seed(book: Book, suffix: str, sha256: str) -> bytes:
    """Read such a file back; one that is missing or altered is named."""
    return _read(book, _seed(suffix, sha256), sha256)


def _seed(suffix: str, sha256: str) -> str:
    return f"seeds/{sha256}{suffix}"


def _read(book: Book, name: str, sha256: str) -> bytes:
    path = book.journal / name
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise _damaged(path, "the file is missing") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _damaged(path, "its content is not what was written")
    return content


def append(con: duckdb.DuckDBPyConnection, book: Book, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write lines down for good; they count from here on, whether or not DuckDB hears of them in this run.

    The connection is one that `lock.connect` gave: everything before is applied, so the numbers go on from there.
    """
    if not lines:
        return
    _, _, number = position(con)
    text = "".join(
        json.dumps({"number": number + n, **line}, ensure_ascii=False, default=_iso) + "\n"
        for n, line in enumerate(lines, start=1)
    )
    existing = _files(book)
    month = f"{max(line['clock_at'] for line in lines):%Y-%m}.jsonl"
    # Lines only ever follow lines: an attempt begun before midnight may be written into the next month's file.
    path = book.journal / max(month, existing[-1].name if existing else "")
    before = path.stat().st_size if path.exists() else 0
    try:
        files.make_folder(book.journal)
        with path.open("ab") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        files.sync(book.journal)
    except OSError as error:
        with suppress(OSError):
            os.truncate(path, before)
        raise _unwritable(book, error) from None


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{value!r} has no place in the journal")


def replay(con: duckdb.DuckDBPyConnection, book: Book) -> int:
    """Apply every line the warehouse does not have yet, in order; return how many there were."""
    reached = position(con)
    _trim_torn_line(book, reached)
    applied = 0
    for lines, end in _batches(book, reached):
        try:
            with tables.transaction(con):
                apply.apply(con, lines, lambda name, sha256: read_changes(book, name, sha256))
                con.execute(f"delete from {JOURNAL_POSITION.sql}")
                tables.insert(con, JOURNAL_POSITION, tables.rows_of(JOURNAL_POSITION, [end]))
        except (duckdb.IOException, duckdb.TransactionException, duckdb.OutOfMemoryException) as error:
            raise NotApplied(
                f"{book.warehouse} could not be written ({error}). Nothing is lost: the journal has what was read, "
                "and the next run applies it. Make room first."
            ) from None
        applied += len(lines)
    return applied


def rebuild(book: Book, owner: str = "rebuild") -> int:
    """Make the warehouse anew from the journal and return how many lines it took; the old file stays until the end."""
    from morton_pipeline.warehouse import lock  # it opens the warehouse with `replay`, hence not above

    fresh = book.warehouse.with_suffix(".rebuilding")
    with lock.held(book, owner):
        for left in (fresh, write_ahead_log(fresh)):
            left.unlink(missing_ok=True)
        with duckdb.connect(str(fresh)) as con:
            tables.ensure(con)
            applied = replay(con, book)
            con.execute("checkpoint")
        # The old file's log must not be replayed into the new one.
        write_ahead_log(book.warehouse).unlink(missing_ok=True)
        files.move_into_place(fresh, book.warehouse)
    return applied


def write_ahead_log(database: Path) -> Path:
    """Return the file DuckDB keeps beside a database for what it has not folded in yet."""
    return database.with_name(f"{database.name}.wal")


def last_seen_at(book: Book) -> datetime | None:
    """Return the latest instant a clock showed when the journal was last written to, without opening the warehouse."""
    for path in reversed(_files(book)):
        seen = _instants(path)
        if seen:
            return max(seen)
    return None


def _instants(path: Path) -> list[datetime]:
    size = path.stat().st_size
    length = TAIL_BYTES
    while True:
        begin = max(size - length, 0)
        with path.open("rb") as stream:
            stream.seek(begin)
            whole = stream.read(size - begin).split(b"\n")[:-1]
        if begin > 0:
            whole = whole[1:]
        if whole or begin == 0:
            return [_parse(path, raw)["clock_at"] for raw in whole]
        length *= 4


def position(con: duckdb.DuckDBPyConnection) -> Position:
    """Return how far the journal has been applied."""
    row = con.execute(f"select file_name, byte_offset, line_number from {JOURNAL_POSITION.sql}").fetchone()
    return (row[0], row[1], row[2]) if row else START


def lines_after(book: Book, file_name: str, byte_offset: int) -> Iterator[Line]:
    """Yield the lines written after a position, without the lock: the last one may be half written, and is left out."""
    for path in _files(book):
        if path.name >= file_name:
            with path.open("rb") as stream:
                stream.seek(byte_offset if path.name == file_name else 0)
                yield from (_parse(path, raw) for raw in stream if raw.endswith(b"\n"))


def _files(book: Book) -> list[Path]:
    return sorted(book.journal.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9].jsonl"))


def _trim_torn_line(book: Book, reached: Position) -> None:
    """Remove a last line without an end: whoever wrote it was cut off, and was never told that it is kept."""
    existing = _files(book)
    if not existing:
        return
    path = existing[-1]
    with path.open("rb+") as stream:
        size = stream.seek(0, os.SEEK_END)
        end = _end_of_lines(stream, size)
        if end == size:
            return
        if path.name == reached[0] and end < reached[1]:
            raise _damaged(path, "it ends before what the warehouse has already applied")
        stream.truncate(end)
        os.fsync(stream.fileno())


def _end_of_lines(stream: BinaryIO, size: int) -> int:
    """Return the byte after the last line end."""
    end = size
    while end > 0:
        begin = max(end - TAIL_BYTES, 0)
        stream.seek(begin)
        found = stream.read(end - begin).rfind(b"\n")
        if found >= 0:
            return int(begin + found + 1)
        end = begin
    return 0


def _batches(book: Book, reached: Position) -> Iterator[tuple[list[Line], Position]]:
    batch: list[Line] = []
    size = 0
    known: set[str] = set()
    for line, reached in _lines_after(book, reached):  # noqa: B020 (the position moves on)
        batch.append(line)
        name = line.get("journal_file")
        if name and name not in known and apply.changes_records(line):
            known.add(name)
            with suppress(OSError):
                size += (book.journal / name).stat().st_size
        if len(batch) >= BATCH_LINES or size >= BATCH_BYTES:
            yield batch, reached
            batch, size, known = [], 0, set()
    if batch:
        yield batch, reached


def _lines_after(book: Book, reached: Position) -> Iterator[tuple[Line, Position]]:
    name, offset, number = reached
    existing = _files(book)
    if name and name not in [path.name for path in existing]:
        raise _damaged(book.journal / name, "the file is missing, and the warehouse has already applied a part of it")
    for path in existing:
        if path.name < name:
            continue
        at = offset if path.name == name else 0
        if path.stat().st_size < at:
            raise _damaged(path, "it ends before what the warehouse has already applied")
        with path.open("rb") as stream:
            stream.seek(at)
            for raw in stream:
                at += len(raw)
                number += 1
                line = _parse(path, raw)
                if not raw.endswith(b"\n") or line["number"] != number:
                    raise _damaged(path, f"line number {number} of the journal is missing or cut off here")
                yield line, (path.name, at, number)


def _parse(path: Path, raw: bytes) -> Line:
    try:
        line: Line = json.loads(raw)
        for name in ("clock_at", "attempted_at", "accepted_at", "source_as_of_at", "known_at"):
            if line.get(name):
                line[name] = datetime.fromisoformat(line[name])
        if line.get("stands_for_on"):
            line["stands_for_on"] = date.fromisoformat(line["stands_for_on"])
        if line["line"] not in apply.KINDS or not isinstance(line["number"], int):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(path, f"a line cannot be read: {raw[:60]!r}") from None
    return line


def _damaged(path: Path, what: str) -> JournalDamaged:
    return JournalDamaged(
        f"The journal is damaged at {path}: {what}. Nothing of it was applied. Restore this file from a backup and run "
        "again; if the journal as a whole is older than the warehouse, move data/warehouse.duckdb away to rebuild it."
    )


def _unwritable(book: Book, error: OSError) -> JournalUnwritable:
    return JournalUnwritable(
        f"The journal in {book.journal} could not be written ({error.strerror or error}), so nothing was loaded. "
        "Make room or mend the permissions, then run it again."
    )
