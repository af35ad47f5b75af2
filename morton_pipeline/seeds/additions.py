"""Adding rows to a seed at its end: what stands there stays as it is, to the byte.

Belongs here: writing rows as the file is written, and asking what would be wrong with them before they are. Does not:
which rows (`mappings`), or what makes a row wrong (`rules`).
"""

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from morton_pipeline.book import Book
from morton_pipeline.seeds.checks import check
from morton_pipeline.seeds.problem import Problem

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class _Draft(Book):
    """A book whose seeds stand in a folder of their own, to be tried out."""

    folder: Path = Path()

    @property
    def seeds(self) -> Path:
        return self.folder


def problems(book: Book, added: Mapping[str, Rows]) -> list[Problem]:
    """Return what `morton seeds check` would find if rows were added to the seeds they are named by."""
    with tempfile.TemporaryDirectory() as folder:
        for path in book.seeds.glob("*.csv"):
            shutil.copyfile(path, Path(folder) / path.name)
        draft = _Draft(book.root, folder=Path(folder))
        for name, rows in added.items():
            append(draft, name, rows)
        return check(draft)


def append(book: Book, name: str, rows: Rows) -> Path:
    """Add rows to a seed, in the order of its own header and with its own line ends, and return the file."""
    path = book.seeds / f"{name}.csv"
    if not rows:
        return path
    before = path.read_bytes()
    header = [cell.strip() for cell in next(csv.reader(io.StringIO(before.decode("utf-8-sig"))))]
    end = "\r\n" if b"\r\n" in before else "\n"
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="", lineterminator=end)
    writer.writerows(rows)
    is_ended = before.endswith((b"\n", b"\r"))
    with path.open("ab") as file:
        file.write(("" if is_ended else end).encode() + text.getvalue().encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
    return path
