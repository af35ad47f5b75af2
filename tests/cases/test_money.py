"""Cases 68-69: currencies are kept apart, and money is rounded once, to its currency's own digits."""

from datetime import date
from decimal import Decimal

import pytest

from tests.cases.scenario import Mart, Scenario


def given_days_at_list_price_before_a_contract_in_another_currency(msp: Scenario) -> None:
    msp.client("list-then-euro", currency="EUR")
    msp.devices("list-then-euro", 4, since=date(2026, 11, 5))
    msp.contract("list-then-euro", "workstation", 3, "10", effective_from="2026-11-11")


def given_clients_of_several_currencies(msp: Scenario) -> None:
    for client, currency, price in (
        ("yen", "JPY", "1234.5"),
        ("dinar", "KWD", "1.0005"),
        ("cents", "USD", "0.3350"),
        ("euro", "EUR", "10"),
    ):
        msp.client(client, currency=currency)
        msp.devices(client, 3)
        msp.contract(client, "workstation", 2 if client != "cents" else 0, price)
    msp.client("refunded", currency="USD")
    msp.devices("refunded", 1)
    msp.contract("refunded", "workstation", 2, "0.1250")
    msp.client("all-month")
    msp.devices("all-month", 1, since=date(2026, 10, 1))
    msp.contract("all-month", "workstation", 0, "0.3350")
    msp.client("euro-uncovered", currency="EUR")
    msp.devices("euro-uncovered", 2)
    msp.client("euro-mixed", currency="EUR")
    msp.devices("euro-mixed", 3)
    msp.devices("euro-mixed", 1, nodeClass="WINDOWS_SERVER")
    msp.contract("euro-mixed", "workstation", 2, "10")


@pytest.mark.parametrize(
    ("client", "amount"),
    [("yen", "1235"), ("dinar", "1.001"), ("cents", "1.01"), ("refunded", "-0.13")],
    ids=["yen_have_no_cents", "dinars_have_three_digits", "half_a_cent_goes_up", "and_down_for_a_refund"],
)
def test_case_69_money_is_rounded_once_half_up_to_its_own_digits(mart: Mart, client: str, amount: str) -> None:
    assert mart.row(client)["variance_amount"] == Decimal(amount)


def test_case_69_the_days_of_a_month_are_rounded_together(mart: Mart) -> None:
    row = mart.row("all-month", month="2026-10")
    assert row["began_on"] == date(2026, 10, 1)
    assert row["accumulated_amount"] == row["recoverable_amount"] == row["variance_amount"] == Decimal("0.34")


def test_case_68_a_list_price_is_in_the_main_currency_of_the_book(mart: Mart) -> None:
    assert (mart.row("euro")["currency"], mart.row("euro-uncovered")["currency"]) == ("EUR", "USD")


def test_case_68_currencies_are_never_added_up(mart: Mart) -> None:
    found = mart.ask(
        "select currency, under_billed_amount from marts.client_leakage where client_id = 'euro-mixed' order by currency"
    )
    assert found == [{"currency": "EUR", "under_billed_amount": 10}, {"currency": "USD", "under_billed_amount": 120}]


def test_case_68_what_was_worth_list_price_is_not_added_to_what_is_paid_in_another_currency(mart: Mart) -> None:
    row = mart.row("list-then-euro", kind="under_billed")
    # One at 10.00 EUR for the ten days under contract, of thirty; the days before it were worth dollars.
    assert (row["currency"], row["began_on"]) == ("EUR", date(2026, 11, 5))
    assert row["accumulated_amount"] == (Decimal(10) * 10 / 30).quantize(Decimal("0.01"))
