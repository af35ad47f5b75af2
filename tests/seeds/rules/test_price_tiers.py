"""The tiers of a contract follow each other."""

import pytest

from morton_pipeline.book import Book
from tests.seeds.conftest import GOOD, problems, write

TIER = {"contract_id": "c1", "from_quantity": "1", "unit_price": "3", "method": "all_units"}
TIERS = {
    "right": ([TIER, {**TIER, "from_quantity": "11", "unit_price": "2"}], ""),
    "another_contract": ([TIER, {**TIER, "contract_id": "c9"}], "price_tiers.csv row 3, contract_id: 'c9' is no contract in contracts.csv with the model tiered"),
    "not_from_one": ([{**TIER, "from_quantity": "5"}], "price_tiers.csv row 2, from_quantity: the first tier of a contract starts at 1"),
    "twice": ([TIER, TIER], "price_tiers.csv row 3, from_quantity: 1 stands in row 2 already"),
    "two_methods": ([TIER, {**TIER, "from_quantity": "11", "method": "graduated"}], "price_tiers.csv row 3, method: is graduated, and row 2 of the same contract says all_units; choose one"),
    "no_method": ([{**TIER, "method": ""}], "price_tiers.csv row 2, method: is empty; it is required"),
}  # fmt: skip


@pytest.mark.parametrize(("tiers", "said"), TIERS.values(), ids=TIERS)
def test_tiers_start_at_one_and_follow_one_method(book: Book, tiers: list[dict[str, str]], said: str) -> None:
    first, *others = GOOD["contracts"]
    write(book, "contracts", [{**first, "billing_model": "tiered", "unit_price": ""}, *others])
    write(book, "price_tiers", tiers)
    assert problems(book) == ([said] if said else [])
