"""Files are read as spreadsheets write them, and one that cannot be read is named with its row and its fix."""

from pathlib import Path

import pytest

from morton_pipeline.book import Book
from morton_pipeline.seeds import SEEDS, read, write_checked
from tests.seeds.conftest import problems

HEADERS = {
    "a_column_is_missing": ("client_id,client_name,status\n", "clients.csv row 1, currency: the column is missing from the header"),
    "a_column_is_misspelt": ("client_id,client_nam,status,currency\n", "clients.csv row 1, client_nam: is not a column of this file (did you mean 'client_name'?)"),
    "a_column_stands_there_twice": ("client_id,client_id,status,currency\n", "clients.csv row 1, client_id: the column stands in the header twice"),
    "the_file_is_empty": ("", "clients.csv row 1, client_id: the column is missing from the header"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), HEADERS.values(), ids=HEADERS)
def test_a_wrong_header_is_named_by_its_column(book: Book, text: str, said: str) -> None:
    (book.seeds / "clients.csv").write_text(text, "utf-8")
    assert any(problem.startswith(said) for problem in problems(book)), problems(book)


def test_a_cell_with_a_comma_must_be_quoted(book: Book) -> None:
    header = ",".join(c.name for c in SEEDS["clients"])
    (book.seeds / "clients.csv").write_text(f"{header}\nacme,Acme, Inc.,active,USD,,,,\n", "utf-8")
    assert "clients.csv row 2: has 9 cells, the header has 8; quote cells that hold commas" in problems(book)


def test_rows_are_counted_as_an_editor_does(book: Book) -> None:
    header = ",".join(c.name for c in SEEDS["clients"])
    text = f'{header}\n\n"acme","Acme\nInc.",active,USD,,,,\nglobex,Globex,gone,EUR,,,,\n'
    (book.seeds / "clients.csv").write_text(text, "utf-8")
    (problem,) = problems(book)
    assert problem.startswith("clients.csv row 5, status: 'gone' is not one of")


@pytest.mark.parametrize(
    "text",
    ['acme,"Acme,active,USD,,,,\n', 'acme,"Acme"Inc,active,USD,,,,\n'],
    ids=["an_open_quote", "text_after_a_quote"],
)
def test_text_that_is_no_csv_is_named_by_its_row(book: Book, text: str) -> None:
    header = ",".join(c.name for c in SEEDS["clients"])
    (book.seeds / "clients.csv").write_text(f"{header}\n{text}", "utf-8")
    assert any(p.startswith("clients.csv row ") and "is not valid CSV" in p for p in problems(book))


def test_a_file_of_another_encoding_names_the_row(book: Book) -> None:
    header = ",".join(c.name for c in SEEDS["clients"])
    (book.seeds / "clients.csv").write_bytes(f"{header}\nacme,Caf\xe9,active,USD,,,\n".encode("latin-1"))
    assert problems(book) == ["clients.csv row 2: is not UTF-8 text; save the file as CSV UTF-8"]


def test_what_a_spreadsheet_writes_is_read(book: Book, tmp_path: Path) -> None:
    """A byte order mark, quotes, Windows line ends, blank lines, columns in another order, words in capitals."""
    text = '"client_name","client_id","currency","status","time_zone","back_bill_days","accounting_customer_id"\r\n'
    text += '"Acme, ""the"" Inc."," acme ","USD","Active","","",""\r\n,,,,,,\r\n"Globex","globex","EUR","INTERNAL","","",""\r\n'
    (book.seeds / "clients.csv").write_text("\ufeff" + text, "utf-8", newline="")
    assert problems(book) == []
    assert read(book, "clients")[0] == {
        "client_name": 'Acme, "the" Inc.', "client_id": "acme", "currency": "USD", "status": "Active",
        "time_zone": "", "back_bill_days": "", "accounting_customer_id": "",
    }  # fmt: skip
    write_checked(book, tmp_path / "target")
    assert (tmp_path / "target/clients.csv").read_text("utf-8") == (
        "client_id,client_name,status,currency,time_zone,back_bill_days,accounting_customer_id,note\n"
        'acme,"Acme, ""the"" Inc.",active,USD,,,,\nglobex,Globex,internal,EUR,,,,\n'
    )


@pytest.mark.parametrize("name", ["clients", "services", "contracts", "company_mappings", "service_mappings"])
def test_a_required_file_that_is_missing_says_what_its_header_is(book: Book, name: str) -> None:
    (book.seeds / f"{name}.csv").unlink()
    assert problems(book) == [f"{name}.csv: the file is missing; its header is {','.join(c.name for c in SEEDS[name])}"]
