"""XLSX reports: values as they were meant, and whatever cannot be trusted is refused with its row and column."""

import io
import re
import zipfile
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from morton_pipeline.extract import spreadsheet
from morton_pipeline.extract.errors import Unreadable
from morton_pipeline.extract.spreadsheet import read_xlsx
from morton_pipeline.extract.tabular import Cell, Layout, Table

NEEDED = ["Key", "Value"]
DAY = datetime(2026, 11, 30)  # noqa: DTZ001 (a sheet knows no time zone)


def saved(book: openpyxl.Workbook) -> bytes:
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def workbook(*rows: tuple[Any, ...], sheet: str = "Usage", more: tuple[str, ...] = ()) -> bytes:
    book = openpyxl.Workbook()
    book.active.title = sheet
    for name in more:
        book.create_sheet(name)
    for row in rows:
        book.active.append(row)
    return saved(book)


def edited(content: bytes, change: tuple[str, str], part: str = "xl/worksheets/sheet1.xml") -> bytes:
    """Change the text of one part."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            data = old.read(info.filename)
            if info.filename == part:
                assert change[0] in data.decode()
                data = data.decode().replace(*change).encode()
            new.writestr(info.filename, data)
    return written.getvalue()


def values(table: Table) -> list[Cell]:
    return [row[table.header.index("Value")] for _, row in table.rows]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (" =1+1", " =1+1"),
        ("'=x", "'=x"),
        ("+4 Fitness", "+4 Fitness"),
        ("@x", "@x"),
        ("00123", "00123"),
        (1234, Decimal(1234)),
        (1234.0, Decimal(1234)),
        (12.5, Decimal("12.5")),
        (0.1, Decimal("0.1")),
        (True, "true"),
        (False, "false"),
        (DAY, "2026-11-30"),
        (date(2026, 11, 30), "2026-11-30"),
        (DAY.replace(hour=8, minute=15), "2026-11-30T08:15:00"),
        (time(8, 15), "08:15:00"),
        (timedelta(hours=30), "1 day, 6:00:00"),
        (None, None),
    ],
    ids=str,
)
def test_a_value_is_written_as_it_was_meant(value: Any, expected: Cell) -> None:
    (found,) = values(read_xlsx(workbook(("Key", "Value"), ("k", value)), Layout(), NEEDED))
    assert found == expected
    assert type(found) is type(expected)


def test_a_whole_number_that_was_saved_with_decimals_has_none() -> None:
    content = edited(workbook(("Key", "Value"), ("k", 1234)), ("<v>1234</v>", "<v>1234.0</v>"))
    assert [format(v, "f") for v in values(read_xlsx(content, Layout(), NEEDED)) if isinstance(v, Decimal)] == ["1234"]


def test_rows_are_those_a_spreadsheet_shows() -> None:
    content = workbook(("Usage",), (), ("Value", "Key", "Other"), ("a", "k1"), (None, None, " "), ("b", "k2", "x"))
    found = read_xlsx(content, Layout(header_row=3), NEEDED)
    assert [(number, list(row)) for number, row in found.rows] == [(4, ["k1", "a"]), (6, ["k2", "b"])]


def test_a_size_the_file_says_wrongly_cuts_nothing_off() -> None:
    content = workbook(("Key", "Value"), *((f"k{n}", n) for n in range(1, 31)))
    content = edited(content, ('ref="A1:B31"', 'ref="A1:A2"'))
    assert len(read_xlsx(content, Layout(), NEEDED).rows) == 30


def test_the_sheet_that_is_declared_is_read() -> None:
    content = workbook(("Key", "Value"), ("k", 1), sheet="Usage", more=("Notes",))
    assert len(read_xlsx(content, Layout(sheet="Usage"), NEEDED).rows) == 1
    with pytest.raises(Unreadable, match=r"several sheets; declare.*one of Usage, Notes"):
        read_xlsx(content, Layout(), NEEDED)
    with pytest.raises(Unreadable, match=r"no sheet 'Usgae' \(did you mean 'Usage'\?\); it has Usage, Notes"):
        read_xlsx(content, Layout(sheet="Usgae"), NEEDED)


def test_a_formula_counts_with_the_value_it_was_worked_out_to() -> None:
    content = workbook(("Key", "Value"), ("k", "=SUM(1,2)"))
    with pytest.raises(Unreadable, match="row 2, column 'Value' holds a formula that was never worked out"):
        read_xlsx(content, Layout(), NEEDED)
    (found,) = values(read_xlsx(edited(content, ("<v></v>", "<v>3</v>")), Layout(), NEEDED))
    assert found == Decimal(3)


def test_a_formula_that_yields_an_empty_text_is_empty() -> None:
    content = workbook(("Key", "Value"), ("k", '=IF(1,"","x")'))
    content = edited(content, ('<c r="B2">', '<c r="B2" t="str">'))
    assert values(read_xlsx(content, Layout(), NEEDED)) == [None]


def test_a_formula_nobody_needs_does_not_matter() -> None:
    content = workbook(("Key", "Value", "Note"), ("k", 1, "=1+1"))
    assert len(read_xlsx(content, Layout(), NEEDED).rows) == 1


def test_a_row_that_holds_only_formulas_is_not_blank() -> None:
    content = workbook(("Key", "Value"), ("=A1", "=B1"))
    with pytest.raises(Unreadable, match="row 2, column 'Key' holds a formula"):
        read_xlsx(content, Layout(), NEEDED)


@pytest.mark.parametrize("number", [10**15, 1.23456789012346e17])
def test_an_id_that_lost_its_end_is_refused(number: float) -> None:
    with pytest.raises(Unreadable, match="row 2, column 'Key' holds a number of more than fifteen digits"):
        read_xlsx(workbook(("Key", "Value"), (number, 1)), Layout(), NEEDED)


def test_an_error_of_the_sheet_is_refused() -> None:
    with pytest.raises(Unreadable, match="row 2, column 'Value' holds the error #N/A"):
        read_xlsx(workbook(("Key", "Value"), ("k", "#N/A")), Layout(), NEEDED)


def test_a_missing_column_is_named_with_what_there_is() -> None:
    with pytest.raises(Unreadable, match=r"row 1 has no column 'Value' \(did you mean 'Valeu'\?\); it has Key, Valeu"):
        read_xlsx(workbook(("Key", "Valeu")), Layout(), NEEDED)
    with pytest.raises(Unreadable, match="row 7 has no column 'Key', 'Value'; it has nothing"):
        read_xlsx(workbook(("Key", "Value")), Layout(header_row=7), NEEDED)


GOOD = workbook(("Key", "Value"), ("k", 1))
ENTITIES = "".join(f'<!ENTITY {b} "{f"&{a};" * 20}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
BOMB = edited(
    edited(GOOD, ("<v>1</v>", "<v>&i;</v>")), ("<worksheet", f'<!DOCTYPE x [<!ENTITY a "1">{ENTITIES}]><worksheet')
)
BROKEN = {
    "no-zip": (b"Key,Value\n", "damaged or no XLSX"),
    "empty": (b"", "damaged or no XLSX"),
    "cut-off": (GOOD[:-200], "damaged or no XLSX"),
    "password": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "protected by a password, or an old .xls"),
    "no-workbook": (edited(GOOD, ("xl/workbook.xml", "xl/nowhere.xml"), "[Content_Types].xml"), "damaged or no XLSX"),
    "no-xml": (edited(GOOD, ("<sheetData>", "<sheetData"), ), "damaged or no XLSX"),
    "bad-reference": (edited(GOOD, ('r="A2"', 'r="2A"')), "damaged or no XLSX"),
    "entities": (BOMB, "damaged or no XLSX"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_not_what_it_says_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_xlsx(content, Layout(), NEEDED)
    assert re.search(said, str(caught.value)), caught.value
    assert str(caught.value).endswith(".")


def test_a_damaged_part_is_refused() -> None:
    at = GOOD.index(b"xl/worksheets/sheet1.xml") + 60
    content = GOOD[:at] + bytes(255 - b for b in GOOD[at : at + 40]) + GOOD[at + 40 :]
    with pytest.raises(Unreadable, match="damaged"):
        read_xlsx(content, Layout(), NEEDED)


def test_a_small_file_that_holds_an_endless_one_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", b"\0" * (300 * 2**20))
    assert len(written.getvalue()) < 2**20
    monkeypatch.setattr(openpyxl, "load_workbook", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(Unreadable, match=r"unpacks to 300 MiB in 1 parts, which no report does"):
        read_xlsx(written.getvalue(), Layout(), NEEDED)


def test_rows_beyond_where_a_sheet_ends_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheet, "ROWS_CAP", 50)
    content = edited(workbook(("Key", "Value"), ("k", 1)), ('<row r="2">', '<row r="99999999999">'))
    with pytest.raises(Unreadable, match="rows beyond 50, where a sheet ends"):
        read_xlsx(content, Layout(), NEEDED)
