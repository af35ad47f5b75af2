"""Reading the text of a CSV report: which encoding, which delimiter, which row is the header.

Belongs here: bytes to cells, unchanged, or a sentence that says why not. Does not: spreadsheets (`spreadsheet`), or
what the cells mean (`files`). Where a file could be read in two ways that differ, it is refused.
"""

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count, islice

from morton_pipeline.errors import guess
from morton_pipeline.extract.errors import Unreadable

Cell = str | Decimal | None
"""A text; a number, where the file itself keeps numbers apart from texts; or nothing."""

SHOWN = 300
"""Characters of a header that a message repeats."""
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""What a text may begin with to say how it is encoded; the longer marks first."""


@dataclass(frozen=True)
class Layout:
    """How a report is laid out, as far as that was declared."""

    encoding: str = ""
    delimiter: str = ""
    header_row: int = 1
    sheet: str = ""


@dataclass(frozen=True)
class Table:
    """A report's cells: its header, and every row below it that is not blank, with the number a spreadsheet shows."""

    header: Sequence[str]
    rows: Sequence[tuple[int, Sequence[Cell]]]


def read_csv(content: bytes, layout: Layout, needed: Collection[str]) -> Table:
    """Read a CSV report in which the needed columns stand. Raises `Unreadable`."""
    text, delimiter = _without_hint(decoded(content, layout.encoding), layout.delimiter)
    if not text.strip():
        raise Unreadable("it is empty.")
    found: list[Table] = []
    problems: list[tuple[tuple[int, int], Unreadable]] = []
    for one in [delimiter] if delimiter else DELIMITERS:
        rows, header = _rows(text, one), list[str]()
        try:
            header = header_at(rows, layout.header_row)
            check_header(header, needed, layout.header_row)
            table = Table(header, list(_below(rows, len(header), layout.header_row)))
        except Unreadable as problem:
            problems.append(((len(set(header) & set(needed)), len(header)), problem))
            continue
        if table not in found:
            found.append(table)
    if len(found) > 1:
        raise Unreadable("it reads in different ways with different delimiters; declare the right one: `delimiter:`.")
    if not found:
        raise max(problems, key=lambda one: one[0])[1]
    return found[0]


def decoded(content: bytes, encoding: str) -> str:
    """Return the text of a file: as declared, as its first bytes say, or as UTF-8; nothing else is tried."""
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), "")
    if encoding and marked and codecs.lookup(encoding).name[:6] != marked[:6]:
        raise Unreadable(
            f"`encoding: {encoding}` is declared, and its first bytes say {marked[:6]}; correct one of them."
        )
    name = marked or encoding or "utf-8"
    try:
        text = content.decode(name)
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        line = content[:start].count(b"\n") + 1
        declare = "" if encoding else " Declare what it is, e.g. `encoding: cp1252` for a Western European Windows."
        raise Unreadable(f"line {line} is not {name} text; save it as CSV UTF-8.{declare}") from None
    if "\0" in text:
        raise Unreadable("it holds NUL characters: it is no text, or UTF-16 without a mark; save it as CSV UTF-8.")
    return text


def _without_hint(text: str, delimiter: str) -> tuple[str, str]:
    """Excel takes a first line such as `sep=;` for the delimiter, and does not show it as a row."""
    hint = re.match(r"sep=([,;|\t])\r?\n", text)
    return (text[hint.end() :], delimiter or hint[1]) if hint else (text, delimiter)


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    for number in count(1):
        try:
            cells = next(reader, None)
        except csv.Error as error:
            said = f"row {number} is not CSV delimited by {DELIMITERS[delimiter]}s ({error})."
            raise Unreadable(said) from None
        if cells is None:
            return
        yield cells


def header_at(rows: Iterable[Sequence[Cell]], header_row: int) -> list[str]:
    """Return the names in the header row."""
    cells = next(islice(rows, header_row - 1, None), [])
    return ["" if cell is None else str(cell).strip() for cell in cells]


def check_header(header: Sequence[str], needed: Collection[str], header_row: int) -> None:
    """Refuse a header that lacks a column, or has it twice."""
    has = ", ".join(name for name in header if name)[:SHOWN] or "nothing"
    if missing := [f"{name!r}{guess(name, header)}" for name in needed if name not in header]:
        raise Unreadable(f"row {header_row} has no column {', '.join(missing)}; it has {has}.")
    if twice := [name for name in needed if header.count(name) > 1]:
        raise Unreadable(f"row {header_row} has the column {twice[0]!r} twice; it cannot be told which one is meant.")


def is_blank(cells: Iterable[Cell]) -> bool:
    """Whether a row holds nothing."""
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def _below(rows: Iterator[list[str]], width: int, header_row: int) -> Iterator[tuple[int, Sequence[Cell]]]:
    for number, cells in enumerate(rows, header_row + 1):
        if is_blank(cells):
            continue
        if len(cells) != width:
            raise Unreadable(
                f"row {number} has {len(cells)} cells, and the header in row {header_row} has {width}; quote cells "
                "that hold the delimiter, and take out rows that are no records."
            )
        yield number, cells
