"""What other seeds would do to the money: finding them and comparing what they come to."""

import csv
import subprocess
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.what_if import changed, compare, most_moved, parse_add, parse_set, parse_where, seeds_at, totals

CONTRACTS = "contract_id,client_id,service_id,quantity,unit_price,tolerance_quantity\n"


@pytest.fixture
def book(tmp_path: Path) -> Book:
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "contracts.csv").write_text(f"{CONTRACTS}c1,acme,rmm,40,10.50,\nc2,globex,rmm,5,9,1\n")
    return Book(tmp_path)


def _cells(folder: Path, column: str) -> list[str]:
    header, *rows = [line.split(",") for line in (folder / "contracts.csv").read_text().splitlines()]
    return [row[header.index(column)] for row in rows]


def test_a_column_is_set_where_a_row_fits(book: Book, tmp_path: Path) -> None:
    after = changed(book.seeds, _new(tmp_path), [parse_set("contracts.tolerance_quantity=2")], {"client_id": "Acme"})
    assert _cells(after, "tolerance_quantity") == ["2", "1"]
    assert "c1,acme,rmm,40,10.50,\n" in (book.seeds / "contracts.csv").read_text(), "the book's own seeds stay"


def test_a_price_is_raised_exactly_and_not_by_a_float(book: Book, tmp_path: Path) -> None:
    after = changed(book.seeds, _new(tmp_path), [parse_set("contracts.unit_price*1.05")], {})
    assert _cells(after, "unit_price") == ["11.0250", "9.4500"]


def test_a_price_in_tiers_is_raised_as_well(book: Book, tmp_path: Path) -> None:
    (book.seeds / "price_tiers.csv").write_text(
        "contract_id,from_quantity,unit_price,method\nc1,1,3,graduated\nc2,1,4,graduated\n"
    )
    after = changed(book.seeds, _new(tmp_path), [parse_set("contracts.unit_price*1.5")], {"client_id": "acme"})
    lines = (after / "price_tiers.csv").read_text().splitlines()[1:]
    assert [line.split(",")[2] for line in lines] == ["4.5000", "4"]


def test_a_row_whose_cell_is_wrong_is_refused_before_anything_is_tried() -> None:
    with pytest.raises(BadInput) as error:
        parse_add("exclusions:client_id=acme,max_quantity=some,reason=trial")
    assert "cannot be added, as max_quantity 'some' is not a number" in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("contracts.unit_price*10000000000000", "makes more of 10.50 in contracts.csv than any column holds"),
        ("contracts.quantity*-1", "of 40 in contracts.csv it makes -40.0000, and '-40.0000' must be zero or more"),
        ("clients.back_bill_days*1.5", "of 45 in clients.csv it makes 67.5000, and '67.5000' is not a whole number"),
    ],
)
def test_what_a_factor_cannot_make_is_said_of_the_change(book: Book, tmp_path: Path, change: str, said: str) -> None:
    (book.seeds / "clients.csv").write_text("client_id,back_bill_days\nacme,45\n")
    with pytest.raises(BadInput) as error:
        changed(book.seeds, _new(tmp_path), [parse_set(change)], {})
    assert said in str(error.value)
    assert change in str(error.value)


def test_days_stay_whole(book: Book, tmp_path: Path) -> None:
    (book.seeds / "clients.csv").write_text("client_id,back_bill_days\nacme,180\nglobex,\n")
    after = changed(book.seeds, _new(tmp_path), [parse_set("clients.back_bill_days*2")], {})
    lines = list(csv.DictReader((after / "clients.csv").read_text().splitlines()))
    assert [line["back_bill_days"] for line in lines] == ["360", ""]


def test_a_client_that_is_only_renamed_moves_no_money() -> None:
    before = _row("acme", "10")
    assert compare([before], [{**before, "client_name": "Acme and Sons"}]) == []


def test_a_row_is_added_with_an_id_of_its_own(book: Book, tmp_path: Path) -> None:
    added = parse_add("exclusions:client_id=acme,name_pattern=lab*,reason=trial")
    after = changed(book.seeds, _new(tmp_path), [added], {})
    assert (after / "exclusions.csv").read_text().splitlines()[1].startswith("what-if-1,acme,,,,lab*,,trial")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("contracts.unit_price", "is no change: write FILE.COLUMN=VALUE"),
        ("contract.unit_price=3", "There is no seed 'contract' (did you mean 'contracts'?)"),
        ("contracts.price=3", "contracts.csv has no column 'price'"),
        ("contracts.unit_price*half", "'half' is not a number"),
        ("contracts.unit_price*inf", "'inf' is not a number"),
        ("contracts.unit_price*nan", "'nan' is not a number"),
        ("contracts.unit_price*1e40", "'1e40' is not a number that can be reckoned with"),
        ("contracts.quantity=many", "contracts.quantity=many: 'many' is not a number"),
    ],
)
def test_a_change_nobody_can_make_says_how_to_write_it(text: str, said: str) -> None:
    with pytest.raises(BadInput) as error:
        parse_set(text)
    assert said in str(error.value)


def test_a_choice_that_fits_no_row_changes_nothing_silently(book: Book, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        changed(
            book.seeds, _new(tmp_path), [parse_set("contracts.quantity=1")], dict([parse_where("client_id=nobody")])
        )
    assert "No row of contracts.csv has client_id nobody" in str(error.value)


def test_the_seeds_of_a_revision_are_those_it_had(book: Book, tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run(["git", "-C", str(book.root), *who, *words], check=True, capture_output=True)

    git("init", "--quiet")
    git("add", "seeds")
    git("commit", "--quiet", "-m", "as agreed")
    (book.seeds / "contracts.csv").write_text(CONTRACTS)
    before = seeds_at(book, "HEAD", _new(tmp_path))
    assert _cells(before, "contract_id") == ["c1", "c2"]
    assert seeds_at(book, str(before), tmp_path) == before, "a folder is taken as it is"
    with pytest.raises(BadInput) as error:
        seeds_at(book, "no-such-branch", tmp_path)
    assert "neither a folder nor a revision in git" in str(error.value)


def _row(
    client: str, amount: str, quantity: int = 1, kind: str = "under_billed", currency: str = "USD"
) -> dict[str, Any]:
    return {
        "discrepancy_id": f"{client}-{kind}", "period_month": date(2026, 11, 1), "client_id": client, "client_name": client.title(), "service_id": "rmm",
        "service_name": "Rmm", "kind": kind, "currency": currency, "variance_amount": Decimal(amount),
        "variance_quantity": Decimal(quantity),
    }  # fmt: skip


def test_only_what_differs_is_listed_largest_change_first() -> None:
    before = [_row("acme", "10"), _row("globex", "20", 2), _row("initech", "5")]
    after = [_row("acme", "10"), _row("globex", "50", 5), _row("hooli", "-7", -1, "over_billed", "EUR")]
    rows = compare(before, after)
    assert [(r["client_id"], r["change_amount"]) for r in rows] == [("globex", 30), ("hooli", -7), ("initech", -5)]
    assert [(r["client_name"], r["currency"], r["change_amount"]) for r in totals(rows)] == [
        ("Globex", "USD", 30), ("Hooli", "EUR", -7), ("Initech", "USD", -5),
    ]  # fmt: skip
    assert most_moved(rows) == 35, "dollars and euros are never summed"


def _new(root: Path) -> Path:
    folder = root / "other"
    folder.mkdir(exist_ok=True)
    return folder
