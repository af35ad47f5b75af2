"""Reading a folder into which a tool's reports are put: each new file is one extraction of the whole list.

Belongs here: which files there are and in what order, what of them is new, and turning cells into records. Does not:
where it is remembered what was taken (`warehouse/`), or how cells are read (`tabular`, `spreadsheet`).

A report is known by the hash of its content and the instant it is of, whatever its name: the same content of a later
day is another reading, though it changes nothing. One that is still being written waits for the next look.
One that cannot be read is a failed attempt, told once; it is tried again at every look, for what changes may be the
declaration. One that is older than the report taken last would undo it, and is left.
"""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from morton_pipeline.book import PRIVATE, Connection, make_folder
from morton_pipeline.clock import wall
from morton_pipeline.extract.errors import Unreadable
from morton_pipeline.extract.fetch import Extraction
from morton_pipeline.extract.reports import Folder, records_of
from morton_pipeline.extract.vendor import Rows, Vendor

SIZE_CAP = 64 * 2**20
"""Bytes of one report; a larger one is a mistake or an attack."""
TICK = timedelta(microseconds=1)
"""How far apart the readings of one look are."""
DAY = timedelta(days=1)
"""How long the day of a report lasts; and how far it may be ahead of the clock, for somewhere it is tomorrow."""

_UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".filepart")


@dataclass(frozen=True)
class Seen:
    """What the warehouse knows of the reports that came before."""

    taken: frozenset[tuple[str, datetime | None]] = frozenset()
    """The hash, and the instant they are of, of those whose records were loaded or are held."""
    newest_at: datetime | None = None
    """When the newest of them is of."""
    refused: frozenset[tuple[str, str]] = frozenset()
    """The hash and the reason of those that could not be read."""

    def is_older(self, as_of_at: datetime | None) -> bool:
        """Whether a report is of an earlier instant than the one taken last, which it would undo."""
        return self.newest_at is not None and as_of_at is not None and as_of_at < self.newest_at


@dataclass(frozen=True)
class _Report:
    path: Path
    changed_at: datetime
    as_of_at: datetime | None
    """Nothing where the name does not tell."""


def look(
    connection: Connection, vendor: Vendor, folder: Folder, *, root: Path, at: datetime, seen: Seen | None,
    progress: Callable[[str], None] = lambda _: None, now: datetime | None = None,
) -> list[Extraction]:  # fmt: skip
    """Read what is new in the folder, oldest first; nothing new makes no extraction at all.

    Without `seen` it is a trial, which reads the newest report and nothing else.
    """
    scope = Extraction(connection.id, vendor.name, vendor.endpoints[0].name, "", "", at, None)

    def failed(error: str, **more: Any) -> Extraction:
        return replace(scope, error=f"{connection.id}: {error}", kind=Unreadable.__name__, **more)

    try:
        reports, waiting = _listed(root / folder.path, folder, now or wall())
    except OSError as error:
        said = f"the folder {folder.path} cannot be read ({error.strerror}). Make it, or correct `folder:`;"
        return [failed(f"{said} it is looked for in {root}.")]
    known = seen or Seen()
    if not reports and not known.taken:
        more = f" Still being written: {', '.join(waiting)}." if waiting else ""
        return [failed(f"no report has come yet: nothing in {folder.path} is named like {folder.pattern}.{more}")]
    taken, found = set(known.taken), list[Extraction]()
    for report in reports if seen else reports[-1:]:
        name, sha256 = report.path.name, ""
        try:
            content = content_of(report.path)
            if content is None:
                continue
            sha256 = hashlib.sha256(content).hexdigest()
            if (sha256, report.as_of_at) in taken:
                continue
            if known.is_older(report.as_of_at):
                progress(_left(connection.id, report, known))
                continue
            rows = _rows(report, content, folder, at)
        except Unreadable as problem:
            one = failed(f"{name}: {problem}", source_file=name, source_sha256=sha256, source_as_of_at=report.as_of_at)
            # Told again only where it would otherwise be forgotten over an older report that was read.
            if (sha256, one.error) not in known.refused or found:
                found.append(one)
            continue
        taken.add((sha256, report.as_of_at))
        # The time a file was last changed orders reports, but is no word of anybody's about the day they are of.
        day = report.as_of_at.date() if folder.as_of and report.as_of_at else None
        found.append(
            replace(scope, rows=rows, source_file=name, source_sha256=sha256, source_as_of_at=report.as_of_at,
                    stands_for_on=day)
        )  # fmt: skip
        progress(f"{connection.id} {name}")
    if too_old := _too_old(found, folder, vendor, at):
        found.append(failed(too_old))
    return [replace(one, attempted_at=at + n * TICK) for n, one in enumerate(found)]


def _listed(place: Path, folder: Folder, now: datetime) -> tuple[list[_Report], list[str]]:
    """Return the reports that lie there, oldest first, and the names of those still being written."""
    reports, waiting = [], []
    with os.scandir(place) as entries:
        for entry in entries:
            name = entry.name
            whole = next((name[: -len(end)] for end in _UNFINISHED if name.lower().endswith(end)), name)
            is_meant = fnmatchcase(whole.lower(), folder.pattern.lower()) and not name.startswith(("~$", "."))
            if not is_meant or entry.is_dir(follow_symlinks=False):
                continue
            try:
                changed_at = datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC)
            except FileNotFoundError:
                # It was there a moment ago; whoever moved it will put it back, or not.
                continue
            # A clock that is ahead on the other side does not make a file look finished.
            if whole != name or abs((now - changed_at).total_seconds()) < folder.quiet_seconds:
                waiting.append(name)
            else:
                reports.append(_Report(Path(entry.path), changed_at, _as_of(name, changed_at, folder)))
    first = datetime.min.replace(tzinfo=UTC)
    return sorted(reports, key=lambda r: (r.as_of_at or first, r.changed_at, r.path.name)), sorted(waiting)


def _as_of(name: str, changed_at: datetime, folder: Folder) -> datetime | None:
    if folder.as_of is None:
        return changed_at
    found = folder.as_of.search(name)
    digits = re.sub(r"[^0-9]", "", found[1] or "") if found else ""
    try:
        return datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC) if len(digits) == 8 else None
    except ValueError:
        return None


def _left(connection_id: str, report: _Report, known: Seen) -> str:
    return (
        f"{connection_id} {report.path.name}: left, for it is of {report.as_of_at:%Y-%m-%d} and a report of "
        f"{known.newest_at:%Y-%m-%d} was taken already; what it would correct belongs in a newer report."
    )


def content_of(path: Path) -> bytes | None:
    """Return a report's content; nothing while it is still changing. Only a plain file is opened, never a link."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise Unreadable("it is no plain file; put the report itself there.")
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with open(handle, "rb") as stream:  # noqa: PTH123 (a handle, not a path)
            before = os.fstat(handle)
            content = stream.read(SIZE_CAP + 1)
            after = os.fstat(handle)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(f"it cannot be opened ({error.strerror}).") from None
    if len(content) > SIZE_CAP:
        raise Unreadable(f"it is larger than {SIZE_CAP // 2**20} MiB; it was not read.")
    is_settled = before.st_mtime_ns == after.st_mtime_ns and before.st_size == after.st_size == len(content)
    return content if is_settled else None


def _rows(report: _Report, content: bytes, folder: Folder, at: datetime) -> Rows:
    if report.as_of_at is None:
        pattern = folder.as_of.pattern if folder.as_of else ""
        raise Unreadable(f"its name does not tell its day, as `as_of: {{pattern: {pattern!r}}}` says it would.")
    if folder.as_of and report.as_of_at > at + DAY:
        raise Unreadable(f"it is of {report.as_of_at:%Y-%m-%d}, which is to come; correct its name.")
    return records_of(content, report.path.suffix.lower(), folder)


def _too_old(found: Sequence[Extraction], folder: Folder, vendor: Vendor, at: datetime) -> str:
    """A report that is old when it comes is not fresh for having come."""
    last = found[-1] if found else None
    if last is None or last.rows is None or last.source_as_of_at is None or folder.as_of is None:
        return ""
    if vendor.max_age is None or at - last.source_as_of_at - DAY <= vendor.max_age:
        return ""
    return (
        f"the newest report, {last.source_file}, is of {last.source_as_of_at:%Y-%m-%d}: older than the "
        f"{vendor.max_age.days} days that `max_age_days:` allows. Have a newer one sent."
    )


def keep(source: Path, sha256: str, into: Path) -> bool:
    """Copy a report to where it is kept, by its hash, for our account alone; tell whether it is still that report."""
    target = into / f"{sha256}{source.suffix.lower()}"
    if target.is_file():
        return True
    content = content_of(source)
    if content is None or hashlib.sha256(content).hexdigest() != sha256:
        return False
    make_folder(into.parent, PRIVATE)
    make_folder(into, PRIVATE)
    draft = target.with_suffix(".writing")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:  # noqa: PTH123
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(target)
    folder = os.open(into, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True
