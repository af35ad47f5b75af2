"""Turning a report's cells into records: which cell is what, how many it says, and since when it was seen.

Belongs here: one report. Does not: which reports there are (`files`), or how cells are read (`tabular`, `spreadsheet`).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from morton_pipeline.extract.errors import Unreadable
from morton_pipeline.extract.figures import day_reader, number_of
from morton_pipeline.extract.spreadsheet import read_xlsx
from morton_pipeline.extract.tabular import Cell, Layout, Table, read_csv
from morton_pipeline.extract.usage import Shape
from morton_pipeline.extract.vendor import Rows

T = TypeVar("T")

READERS: Mapping[str, Callable[..., Table]] = {
    ".csv": read_csv, ".tsv": read_csv, ".txt": read_csv, ".xlsx": read_xlsx, ".xlsm": read_xlsx,
}  # fmt: skip


@dataclass(frozen=True)
class Folder:
    """What a connection declares of the folder it is read from."""

    path: str
    """Relative to the book."""
    pattern: str
    """A glob over the names of its files, without regard to case."""
    shape: Shape
    layout: Layout = field(default_factory=Layout)
    decimal: str = ""
    """The decimal mark; nothing where only what reads in one way is taken."""
    date: str = ""
    """How days are written, as `strptime` has it; ISO days are read in any case."""
    as_of: re.Pattern[str] | None = None
    """Finds the day a report is of in its name; without it the time the file was last changed orders them."""
    quiet_seconds: float = 60
    """How long a file must have lain unchanged."""


def records_of(content: bytes, suffix: str, folder: Folder) -> Rows:
    """Return the records of a report, told by its ending how to read it. Raises `Unreadable`."""
    if suffix not in READERS:
        raise Unreadable(f"{suffix or 'a name without an ending'} is not read; have it written as .csv or .xlsx.")
    return list(_records(READERS[suffix](content, folder.layout, needed(folder)), folder))


def needed(folder: Folder) -> list[str]:
    """Return the columns a report must have."""
    shape = folder.shape
    return list(dict.fromkeys([*(n for names in shape.names.values() for n in names), *shape.attributes.values()]))


def _records(table: Table, folder: Folder) -> Iterator[dict[str, Any]]:
    places = {name: place for place, name in enumerate(table.header)}
    read_day, marks, keys = day_reader(folder.date), dict[str, int](), dict[str, int]()

    def read(number: int, cells: Sequence[Cell], word: str, name: str) -> Cell:
        cell = cells[places[name]]
        where = f"row {number}, column {name!r}"
        if word == "quantity":
            return _figure(cell, where, number, folder.decimal, marks)
        if word == "seen_on" and isinstance(cell, str) and cell.strip():
            return _told(read_day, cell.strip(), where)
        return cell

    for number, cells in table.rows:
        record = folder.shape.record(partial(read, number, cells))
        named_by = " and ".join(folder.shape.names["record_id"])
        if record["record_id"] is None:
            raise Unreadable(
                f"row {number} has nothing in {named_by}, which names its record; take out rows of totals."
            )
        if (earlier := keys.setdefault(str(record["record_id"]), number)) != number:
            raise Unreadable(
                f"rows {earlier} and {number} have the same {named_by}, {record['record_id']!r}; let `record_id:` name "
                "further columns that tell them apart."
            )
        yield record


def _figure(cell: Cell, where: str, number: int, decimal: str, marks: dict[str, int]) -> Cell:
    """Read how many; one report writes its decimals in one way."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        raise Unreadable(f"{where} is empty; every record needs a number there.")
    if not isinstance(cell, str):
        return _told(lambda text: format(number_of(text, ".")[0], "f"), format(cell, "f"), where)
    value, mark = _told(lambda text: number_of(text, decimal), cell.strip(), where)
    if mark:
        marks.setdefault(mark, number)
    if len(marks) > 1:
        (one, first), (other, second) = marks.items()
        raise Unreadable(
            f"{where}: row {first} has its decimals after {one!r}, row {second} after {other!r}; declare `decimal:`."
        )
    return format(value, "f")


def _told(read: Callable[[str], T], text: str, where: str) -> T:
    try:
        return read(text)
    except ValueError as problem:
        raise Unreadable(f"{where}: {text[:40]!r} {problem}") from None
