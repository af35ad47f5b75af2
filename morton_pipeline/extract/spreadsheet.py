"""Reading an XLSX report: values, not formulas, and an id or a day that Excel changed is written as it was meant.

Belongs here: bytes to cells, and the bounds that keep a hostile file from filling the memory. Does not: what the cells
mean (`files`). A formula is taken at the value Excel last worked out; one that was never worked out is refused.
"""

import io
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, time
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import ParseError

from morton_pipeline.errors import guess
from morton_pipeline.extract.errors import Unreadable
from morton_pipeline.extract.tabular import Cell, Layout, Table, check_header, header_at, is_blank

UNPACKED_CAP = 256 * 2**20
"""Bytes of all parts once unpacked: a small file can hold an endless one."""
PARTS_CAP = 2_000
ROWS_CAP = 2**20
COLUMNS_CAP = 500
EXACT_BELOW = 10**15
"""Excel keeps fifteen digits; a longer id that became a number has lost its end."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BROKEN = (zipfile.BadZipFile, zlib.error, ParseError, EOFError, KeyError, IndexError, ValueError, TypeError,
           AttributeError, NotImplementedError, RuntimeError, OSError, OverflowError)  # fmt: skip
"""What the library raises over a file that is not what it says it is."""


def read_xlsx(content: bytes, layout: Layout, needed: Collection[str]) -> Table:
    """Read an XLSX report in which the needed columns stand. Raises `Unreadable`."""
    if content.startswith(_OLE):
        raise Unreadable("it is protected by a password, or an old .xls; save it as .xlsx without a password.")
    try:
        _refuse_bomb(content)
        return _read(content, layout, needed)
    except _BROKEN as error:
        said = f"{type(error).__name__}: {error}"[:200]
        raise Unreadable(f"it is damaged or no XLSX ({said}); export it again.") from None


def _refuse_bomb(content: bytes) -> None:
    """The library unpacks whole parts into memory; no part unpacks to more than the archive says it does."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
        size = sum(part.file_size for part in parts)
        if len(parts) > PARTS_CAP or size > UNPACKED_CAP:
            said = f"it unpacks to {size / 2**20:,.0f} MiB in {len(parts):,} parts, which no report does"
            raise Unreadable(f"{said}; it was not opened.")


def _read(content: bytes, layout: Layout, needed: Collection[str]) -> Table:
    values, formulas = (_rows(content, layout.sheet, is_values) for is_values in (True, False))
    header = header_at(([_plain(cell.value) for cell in row] for row in values), layout.header_row)
    check_header(header, needed, layout.header_row)
    header_at(([] for _ in formulas), layout.header_row)
    places = {name: header.index(name) for name in needed}
    found: list[tuple[int, Sequence[Cell]]] = []
    for number, (row, written) in enumerate(zip(values, formulas, strict=True), layout.header_row + 1):
        if number > ROWS_CAP:
            raise Unreadable(f"it has rows beyond {ROWS_CAP:,}, where a sheet ends.")
        if not is_blank(_plain(cell.value) for cell in written):
            found.append((number, [_cell(row, written, at, name, number) for name, at in places.items()]))
    return Table(list(places), found)


def _rows(content: bytes, sheet: str, is_values: bool) -> Iterator[Sequence[Any]]:
    """Yield the rows of a sheet, as values or as what is written in the cells."""
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=is_values, keep_links=False)
    sheets = {one.title: one for one in book.worksheets}
    if not sheet and len(sheets) > 1:
        raise Unreadable(f"it has several sheets; declare which one is meant: `sheet:`, one of {', '.join(sheets)}.")
    if sheet and sheet not in sheets:
        raise Unreadable(f"it has no sheet {sheet!r}{guess(sheet, sheets)}; it has {', '.join(sheets)}.")
    chosen = sheets[sheet or next(iter(sheets))]
    # What a file says of its own size is often wrong, and rows beyond it would be left out.
    chosen.reset_dimensions()
    yield from chosen.iter_rows(max_col=COLUMNS_CAP)


def _cell(row: Sequence[Any], written: Sequence[Any], at: int, name: str, number: int) -> Cell:
    cell, source = row[at], written[at]
    # A formula that yields an empty text says so by its type.
    if source.data_type == "f" and cell.value is None and cell.data_type != "str":
        raise Unreadable(
            f"row {number}, column {name!r} holds a formula that was never worked out; open the file in Excel and save "
            "it again, or export values."
        )
    if cell.data_type == "e":
        raise Unreadable(f"row {number}, column {name!r} holds the error {cell.value}; correct it in the report.")
    value = _plain(cell.value)
    if isinstance(value, Decimal) and abs(value) >= EXACT_BELOW:
        raise Unreadable(
            f"row {number}, column {name!r} holds a number of more than fifteen digits, of which Excel has lost the "
            "end; have the column written as text."
        )
    return value


def _plain(value: Any) -> Cell:
    """Return a value as a person meant it: a whole number has no decimals, and a day no time."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return Decimal(int(value)) if value == int(value) else Decimal(repr(value))
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if value.time() == time() else value.isoformat(timespec="seconds")
    return str(value)
