"""A contract has what its model needs, and one is in force per client, service and day."""

import pytest

from morton_pipeline.book import Book
from tests.seeds.conftest import GOOD, problems, write


def test_a_commitment_until_a_day_says_how_many(book: Book) -> None:
    write(book, "contracts", [{**GOOD["contracts"][0], "committed_until": "2027-01-01"}])
    assert problems(book) == [
        "contracts.csv row 2, committed_quantity: is empty; say how many are committed until that day"
    ]


def test_what_is_given_every_month_is_flat_and_below_zero(book: Book) -> None:
    first, *others = GOOD["contracts"]
    write(book, "contracts", [{**first, "unit_price": "-3", "billing_model": "flat"}, *others])
    assert problems(book) == []


@pytest.mark.parametrize(("model", "column"), [("minimum", "minimum_quantity"), ("included", "included_quantity")])
def test_a_model_without_its_quantity_says_which_column_it_needs(book: Book, model: str, column: str) -> None:
    write(book, "contracts", [{**GOOD["contracts"][0], "billing_model": model}])
    assert problems(book) == [f"contracts.csv row 2, {column}: is empty; the model {model} needs it"]


def _versions(**later: str) -> list[dict[str, str]]:
    first = {**GOOD["contracts"][0], "effective_to": "2026-11-01"}
    return [{**first, "contract_id": "c2", "effective_from": "2026-12-01", "effective_to": "", **later}, first]


def test_case_42_a_gap_between_two_versions_names_both_rows(book: Book) -> None:
    write(book, "contracts", _versions())
    assert problems(book) == [
        "contracts.csv row 2, effective_from: leaves acme and rmm without a contract from 2026-11-01, where row 3 ends, to "
        "2026-12-01; close the gap, or begin the note with 'gap:' and say why"
    ]


@pytest.mark.parametrize(
    "later", [{"note": "Gap: closed for the season"}, {"service_id": "mdm"}, {"client_id": "globex"}]
)
def test_case_42_a_gap_that_is_meant_or_none_is_right(book: Book, later: dict[str, str]) -> None:
    write(
        book, "services", [*GOOD["services"], {**GOOD["services"][0], "service_id": "mdm", "count_vendor": "ninjaone"}]
    )
    write(book, "contracts", _versions(**later))
    assert problems(book) == []


def test_case_42_two_contracts_in_force_on_a_day_are_refused(book: Book) -> None:
    write(book, "contracts", [GOOD["contracts"][0], {**GOOD["contracts"][0], "contract_id": "c2"}])
    assert problems(book) == [
        "contracts.csv row 3, effective_from: overlaps row 2 for acme and rmm; "
        "exactly one contract version may be in force per client, service and day"
    ]


@pytest.mark.parametrize(("basis", "turn"), [("daily", "2026-11-11"), ("", "2026-11-11"), ("daily", "2026-11-01")])
def test_a_month_that_is_taken_as_a_whole_is_counted_by_one_tool(book: Book, basis: str, turn: str) -> None:
    first = {**GOOD["contracts"][0], "count_vendor": "ninjaone", "effective_to": turn}
    then = {**first, "contract_id": "c2", "count_vendor": "huntress", "count_basis": basis, "effective_from": turn, "effective_to": ""}  # fmt: skip
    write(book, "contracts", [first, then])
    assert problems(book) == (
        [
            "contracts.csv row 3, count_vendor: counts at huntress from 2026-11-11 what row 2 counts at ninjaone, and daily "
            "takes a month as a whole; let the tool change on the first of a month"
        ]
        if (basis, turn) == ("daily", "2026-11-11")
        else []
    )
