"""Case 40: what a quantity costs where the price depends on it."""

from decimal import Decimal

import pytest

from tests.cases.scenario import Mart, Scenario

COUNTS = (9, 10, 11, 12)
"""Around the tier that begins at the eleventh unit, with ten contracted."""


def given_tiers_around_their_boundary(msp: Scenario) -> None:
    for method in ("all_units", "graduated"):
        for count in COUNTS:
            client = f"{method}-{count}"
            msp.client(client)
            msp.devices(client, count)
            contract = msp.contract(client, "workstation", 10, "", "tiered")
            msp.tiers(contract, method, (1, "10"), (11, "8"))
    msp.client("fewer-for-more")
    msp.devices("fewer-for-more", 10)
    msp.tiers(msp.contract("fewer-for-more", "workstation", 11, "", "tiered"), "all_units", (1, "10"), (11, "8"))
    msp.client("tiers-of-yen", currency="JPY")
    msp.devices("tiers-of-yen", 25)
    msp.tiers(
        msp.contract("tiers-of-yen", "workstation", 5, "", "tiered"), "graduated", (1, "333"), (6, "250"), (21, "199.5")
    )


def given_a_tiered_contract_that_is_invoiced(msp: Scenario) -> None:
    msp.client("tiers-invoiced", accounting_customer_id="qb-tiers-invoiced")
    msp.devices("tiers-invoiced", 12)
    contract = msp.contract("tiers-invoiced", "workstation", 12, "", "tiered", effective_from="2026-11-01")
    msp.tiers(contract, "graduated", (1, "10"), (11, "8"))
    msp.invoice("tiers-invoiced", "2026-11-02", ("workstation", 9, "10", ""))


@pytest.mark.parametrize(
    ("method", "count", "kind", "amount", "price"),
    [
        ("all_units", 9, "over_billed", -10, 10),
        ("all_units", 11, "over_billed", -12, 8),
        ("all_units", 12, "over_billed", -4, 8),
        ("graduated", 9, "over_billed", -10, 10),
        ("graduated", 11, "under_billed", 8, 8),
        ("graduated", 12, "under_billed", 16, 8),
    ],
)
def test_case_40_across_a_boundary_the_price_follows_the_method(
    mart: Mart, method: str, count: int, kind: str, amount: int, price: int
) -> None:
    row = mart.row(f"{method}-{count}")
    assert (row["kind"], row["variance_quantity"], row["variance_amount"]) == (kind, count - 10, amount)
    assert row["unit_price"] == price, "the price of the last unit"


@pytest.mark.parametrize("method", ["all_units", "graduated"])
def test_case_40_at_the_boundary_nothing_is_due(mart: Mart, method: str) -> None:
    assert mart.rows(f"{method}-10", month=None) == []


def test_case_40_both_quantities_are_shown_with_what_they_cost(mart: Mart) -> None:
    said = mart.row("all_units-11")["explanation"]
    assert (
        "1 more than agreed, priced by the contract: 11 for 88.00 USD against 10 for 100.00 USD, which is 12.00 USD too much"
        in said
    )


def test_case_40_what_comes_to_more_for_fewer_is_said_so(mart: Mart) -> None:
    row = mart.row("fewer-for-more")
    assert (row["kind"], row["variance_quantity"], row["variance_amount"]) == ("under_billed", -1, 12)
    said = "1 fewer than agreed, priced by the contract: 10 for 100.00 USD against 11 for 88.00 USD, which is 12.00 USD too little"
    assert said in row["explanation"]


def test_case_69_tiers_are_rounded_once_and_yen_have_no_cents(mart: Mart) -> None:
    row = mart.row("tiers-of-yen")
    exact = 15 * Decimal(250) + 5 * Decimal("199.5")
    assert row["variance_amount"] == exact.quantize(Decimal(1), "ROUND_HALF_UP")


def test_case_40_an_invoice_is_compared_by_the_same_tiers(mart: Mart) -> None:
    row = mart.row("tiers-invoiced")
    assert (row["kind"], row["variance_quantity"], row["variance_amount"]) == ("invoice_mismatch", 3, 10 + 2 * 8)
