"""The files of seeds as analysts write them: their rows, each with its line, and why a file cannot be read.

Belongs here: encoding, CSV and headers. Does not: what the cells of a row say (`values`, `rules/`), or the files that a
build reads (`writing`).
"""

import csv
import io
from pathlib import Path

from morton_pipeline.book import Book
from morton_pipeline.errors import guess
from morton_pipeline.seeds.columns import MUST_EXIST, SEEDS, Row
from morton_pipeline.seeds.problem import Problem


def read(book: Book, name: str) -> list[Row]:
    """Return the rows of one seed, each a mapping of its columns; empty cells are empty strings."""
    return read_rows(book.seeds / f"{name}.csv")


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file, whatever its columns; none where there is no such file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{k: (v or "").strip() for k, v in row.items() if k} for row in csv.DictReader(file)]


class Seeds:
    """All seeds of a book: every row with its line, and what keeps a file from being read."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.unreadable: list[Problem] = []
        self.rows: dict[str, list[tuple[int, Row]]] = {name: self._read(name) for name in SEEDS}

    def _add(self, file: str, row: int | None, column: str | None, message: str) -> None:
        self.unreadable.append(Problem(f"{file}.csv", row, column, message))

    def _read(self, name: str) -> list[tuple[int, Row]]:
        path = self.book.seeds / f"{name}.csv"
        expected = [c.name for c in SEEDS[name]]
        if not path.is_file():
            if name in MUST_EXIST:
                self._add(name, None, None, f"the file is missing; its header is {','.join(expected)}")
            return []
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = path.read_bytes()[: error.start].count(b"\n") + 1
            self._add(name, line, None, "is not UTF-8 text; save the file as CSV UTF-8")
            return []
        reader = csv.reader(io.StringIO(text), strict=True)
        rows: list[tuple[int, Row]] = []
        try:
            header = [cell.strip() for cell in next(reader, [])]
            if not self._header(name, header, expected):
                return []
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    self._add(
                        name,
                        reader.line_num,
                        None,
                        f"has {len(cells)} cells, the header has {len(header)}; quote cells that hold commas",
                    )
                    continue
                row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
                rows.append((reader.line_num, dict.fromkeys(expected, "") | row))
        except csv.Error as error:
            self._add(name, reader.line_num, None, f"is not valid CSV ({error})")
        return rows

    def _header(self, name: str, header: list[str], expected: list[str]) -> bool:
        before = len(self.unreadable)
        for missing in [c.name for c in SEEDS[name] if c.name not in header and not c.may_be_absent]:
            self._add(name, 1, missing, "the column is missing from the header")
        for unknown in [c for c in header if c not in expected]:
            self._add(
                name,
                1,
                unknown or "(empty)",
                f"is not a column of this file{guess(unknown, expected)}; it has {', '.join(expected)}",
            )
        for twice in {c for c in header if header.count(c) > 1}:
            self._add(name, 1, twice, "the column stands in the header twice")
        return len(self.unreadable) == before
