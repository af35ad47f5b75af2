"""The same thing has the same bytes, whoever writes it."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morton_pipeline.ledger.canonical import canonical, digits, plain, rounded


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        (Decimal("154.00"), '"154.00"'),
        (Decimal("1E+2"), '"100"'),
        (date(2026, 11, 1), '"2026-11-01"'),
        (datetime(2026, 11, 23, 9, tzinfo=UTC), '"2026-11-23T09:00:00.000000Z"'),
        (datetime(2026, 11, 23, 10, tzinfo=timezone(timedelta(hours=1))), '"2026-11-23T09:00:00.000000Z"'),
        ("Müller & Söhne", '"Müller & Söhne"'),
    ],
    ids=["sorted", "decimal", "no exponent", "date", "instant", "offset", "letters"],
)
def test_canonical(value: Any, text: str) -> None:
    assert canonical(value) == text


def test_an_amount_can_be_a_json_number() -> None:
    assert canonical({"Amount": Decimal("0.10")}, decimals_as_numbers=True) == '{"Amount":0.10}'


def test_a_float_is_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        canonical({"amount": 0.1})


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none()))
def test_canonical_is_json(value: dict[str, Any]) -> None:
    assert json.loads(canonical(value)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_plain_loses_nothing(number: Decimal) -> None:
    assert Decimal(plain(number)) == number


def test_case_69_amounts_are_rounded_half_up_to_the_currencys_digits() -> None:
    assert (digits("USD"), digits("JPY"), digits("KWD")) == (2, 0, 3)
    assert rounded(Decimal("0.125"), "USD") == Decimal("0.13")
    assert rounded(Decimal("1234.5"), "JPY") == Decimal(1235)
