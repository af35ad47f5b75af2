"""How a contract is said in a client's words: every model and every basis a seed may name has its sentence."""

from decimal import Decimal
from typing import Any

import pytest

from morton_pipeline.reports.proof import count_rule, price_rule
from morton_pipeline.seeds import SEEDS

CONTRACT: dict[str, Any] = {
    "billing_model": "per_unit", "contracted_quantity": Decimal(40), "unit_price": Decimal("12.5"), "currency": "EUR",
    "minimum_quantity": Decimal(10), "included_quantity": Decimal(5), "price_tiers": "1 at 40, 11 at 35.5", "tier_method": "graduated",
    "count_basis": "period_end", "committed_quantity": None, "committed_until": None, "notice_days": None, "silent_days": None,
}  # fmt: skip
SAID = {
    "per_unit": "Each one counted is billed at 12.50 EUR a month.",
    "minimum": "Each one counted is billed at 12.50 EUR a month, and never fewer than 10.",
    "included": "The first 5 are included; each one beyond is billed at 12.50 EUR a month.",
    "tiered": "Each one has the price of its own tier: from 1 at 40.00 EUR; from 11 at 35.50 EUR.",
    "flat": "A fixed quantity of 40 is billed at 12.50 EUR a month, however many are counted.",
    "block_hours": "A block of 40 hours is paid whole; each hour beyond it is billed at 12.50 EUR.",
}


def words(column: str) -> tuple[str, ...]:
    return next(c.words for c in SEEDS["contracts"] if c.name == column)


@pytest.mark.parametrize("model", words("billing_model"))
def test_every_billing_model_is_said(model: str) -> None:
    assert price_rule(CONTRACT | {"billing_model": model}) == SAID[model]


def test_tiers_say_whose_price_the_others_have() -> None:
    said = price_rule(CONTRACT | {"billing_model": "tiered", "tier_method": "all_units", "unit_price": None})
    assert said.startswith("Every one has the price of the tier that all of them together reach: from 1 at 40.00 EUR")


def test_every_basis_is_said_by_a_sentence_of_its_own() -> None:
    assert len({count_rule(CONTRACT | {"count_basis": basis}) for basis in words("count_basis")}) == len(
        words("count_basis")
    )


def test_a_commitment_a_notice_and_a_silence_are_said() -> None:
    terms = {"committed_quantity": Decimal(30), "committed_until": "2027-01-01", "notice_days": 30, "silent_days": 60}
    said = count_rule(CONTRACT | terms)
    assert "No fewer than 30 are billed until 2027-01-01, as committed." in said
    assert "billed for 30 days more" in said
    assert said.endswith("A device that has not reported for 60 days is not counted.")
