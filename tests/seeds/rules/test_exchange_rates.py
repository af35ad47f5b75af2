"""A pair has one rate on a day."""

import pytest

from morton_pipeline.book import Book
from tests.seeds.conftest import GOOD, problems, write


@pytest.mark.parametrize(("one", "other"), [("EUR", "USD"), ("USD", "EUR")])
def test_a_pair_has_one_rate_from_a_day_on_whichever_way_round(book: Book, one: str, other: str) -> None:
    first = GOOD["exchange_rates"][0]
    later = {**first, "effective_from": "2026-02-01"}
    write(book, "exchange_rates", [first, later, {**first, "currency": one, "to_currency": other}])
    assert problems(book) == [
        "exchange_rates.csv row 4, effective_from: EUR and USD have a rate from that day in row 2 already; keep one of "
        "the two"
    ]
