"""Writing rows for people and for programs: a table, JSON, CSV or a workbook; and reading a decision list back.

Belongs here: formats. Numbers leave as exact decimals, never as floats; text that looks like a formula stays text.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from morton_pipeline.cells import safe
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger.canonical import digits

Row = Mapping[str, Any]


def plain(row: Row) -> dict[str, Any]:
    """Turn a row's values into JSON's: decimals as strings in their currency's digits, instants in UTC."""
    currency = row.get("currency") or "USD"
    return {name: _plain(name, value, str(currency)) for name, value in row.items()}


def _plain(name: str, value: Any, currency: str) -> Any:
    if isinstance(value, Decimal):
        return number(name, value, currency)
    if isinstance(value, datetime):
        return (
            value.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z") if value.tzinfo is None else value.isoformat()
        )
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, list | tuple):
        return [_plain(name, item, currency) for item in value]
    return value


def number(name: str, value: Decimal, currency: str) -> str:
    """Write a decimal: money with at least its currency's digits, a quantity with as many as it has."""
    trimmed = value.normalize()
    exponent = trimmed.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    if name.rpartition("_")[2] in ("amount", "price", "cost"):
        places = max(places, digits(currency))
    return f"{value:.{places}f}"


def as_json(rows: Sequence[Row]) -> str:
    """Write rows as a list of objects."""
    return json.dumps([plain(row) for row in rows], ensure_ascii=False, indent=1)


def as_csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Write rows as CSV. A text that a spreadsheet would run as a formula gets a leading apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = plain(row)
        writer.writerow(_cell(row.get(c), values.get(c)) for c in columns)
    return text.getvalue()


def _cell(original: Any, value: Any) -> Any:
    return safe(value) if isinstance(original, str) else value


def write_workbook(rows: Sequence[Row], columns: Sequence[str], path: Path, title: str) -> None:
    """Write rows as a workbook: one sheet, a frozen header, filters; numbers as numbers, text as text."""
    from openpyxl import Workbook
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet = book.active
    sheet.title = title
    sheet.append(list(columns))
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for at, row in enumerate(rows, start=2):
        for place, name in enumerate(columns, start=1):
            value = row.get(name)
            cell = sheet.cell(at, place)
            cell.value = value.replace(tzinfo=None) if isinstance(value, datetime) else value
            if isinstance(value, str):
                cell.data_type = "s"
            elif isinstance(value, Decimal):
                cell.number_format = "#,##0.00" if name.endswith(("_amount", "_price", "_cost")) else "#,##0.####"
    sheet.freeze_panes = "A2"
    if rows:
        sheet.auto_filter.ref = sheet.dimensions
    for place, name in enumerate(columns, start=1):
        longest = max((len(str(row.get(name) or "")) for row in rows), default=0)
        sheet.column_dimensions[get_column_letter(place)].width = min(max(longest, len(name)) + 2, 60)
    book.save(path)


def read_seals(path: Path) -> dict[str, str]:
    """Read the ids and seals of an exported list; rows a person removed from it are gone."""
    if not path.is_file():
        raise BadInput(f"There is no file {path}.")
    rows = _read_workbook(path) if path.suffix.lower() == ".xlsx" else _read_csv(path)
    found: dict[str, str] = {}
    for line, row in rows:
        discrepancy_id, seal = str(row.get("discrepancy_id") or "").strip(), str(row.get("seal") or "").strip()
        if not discrepancy_id or not seal:
            raise BadInput(
                f"{path.name} row {line}: discrepancy_id and seal must both be there, as the export wrote them."
            )
        found[discrepancy_id] = seal
    if not found:
        raise BadInput(f"{path.name} lists no discrepancy. Export a list with `morton discrepancies --format csv`.")
    return found


def _read_csv(path: Path) -> list[tuple[int, dict[str, Any]]]:
    try:
        reader = csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig")))
        rows = [(reader.line_num, dict(row)) for row in reader]
    except (UnicodeDecodeError, csv.Error):
        raise BadInput(f"{path.name} is not CSV in UTF-8; save it as «CSV UTF-8», or hand over the .xlsx.") from None
    return _with_header(path, rows, reader.fieldnames or ())


def _read_workbook(path: Path) -> list[tuple[int, dict[str, Any]]]:
    import zipfile

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, OSError):
        raise BadInput(f"{path.name} is not a workbook Excel could open.") from None
    cells = list(book.worksheets[0].iter_rows(values_only=True))
    book.close()
    header = [str(c or "") for c in cells[0]] if cells else []
    rows = [
        (n, dict(zip(header, line, strict=False)))
        for n, line in enumerate(cells[1:], start=2)
        if any(c is not None for c in line)
    ]
    return _with_header(path, rows, header)


def _with_header(
    path: Path, rows: list[tuple[int, dict[str, Any]]], header: Sequence[str]
) -> list[tuple[int, dict[str, Any]]]:
    missing = [c for c in ("discrepancy_id", "seal") if c not in header]
    if missing:
        raise BadInput(
            f"{path.name} has no column {' and '.join(missing)}; "
            "it must come from `morton discrepancies --format csv|xlsx`."
        )
    return rows
