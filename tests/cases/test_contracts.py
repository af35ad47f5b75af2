"""Cases 36-55: what the contract makes of a count."""

from datetime import date
from decimal import Decimal

import pytest

from tests.cases.scenario import Mart, Scenario


def given_every_model(msp: Scenario) -> None:
    agreed = {
        "exact": (10, 10, "per_unit", {}),
        "short": (10, 12, "per_unit", {}),
        "too-many": (10, 7, "per_unit", {}),
        "below-minimum": (10, 6, "minimum", {"minimum_quantity": "10"}),
        "above-minimum": (10, 13, "minimum", {"minimum_quantity": "10"}),
        "lowered-to-minimum": (12, 6, "minimum", {"minimum_quantity": "10"}),
        "inside-included": (0, 5, "included", {"included_quantity": "5"}),
        "beyond-included": (0, 8, "included", {"included_quantity": "5"}),
        "flat": (10, 99, "flat", {}),
    }
    for client, (quantity, count, model, more) in agreed.items():
        msp.client(client)
        msp.devices(client, min(count, 20))
        msp.contract(client, "workstation", quantity, "10.00", model, **more)


def given_gaps_within_tolerance(msp: Scenario) -> None:
    for client, since in (("tolerated", date(2026, 11, 5)), ("tolerated-too-long", date(2026, 10, 20))):
        msp.client(client)
        msp.devices(client, 10)
        msp.devices(client, 1, since=since)
        msp.contract(client, "workstation", 10, "10.00", tolerance_quantity="1")


def given_usage_without_a_contract(msp: Scenario) -> None:
    msp.service("hypervisor", "device")
    msp.maps("hypervisor", "ninjaone", "devices", "node_class", "HYPERV_VMM_HOST")
    msp.client("uncovered")
    msp.devices("uncovered", 3)
    msp.devices("uncovered", 1, nodeClass="HYPERV_VMM_HOST")
    msp.client("uncovered-for-long", back_bill_days="10")
    msp.devices("uncovered-for-long", 1, nodeClass="HYPERV_VMM_HOST")


def given_a_contract_without_usage(msp: Scenario) -> None:
    msp.client("ghost")
    msp.devices("ghost", 1, nodeClass="WINDOWS_SERVER")
    msp.contract("ghost", "server", 1, "100")
    msp.contract("ghost", "workstation", 4, "10")


def given_contracts_that_ended(msp: Scenario) -> None:
    msp.client("left-lately", status="offboarded")
    msp.devices("left-lately", 2)
    msp.contract("left-lately", "workstation", 2, "25", effective_to="2026-11-11")
    msp.client("left-elsewhere", status="offboarded")
    msp.agents("left-elsewhere", 5, platform="darwin")
    msp.devices("left-elsewhere", 12, nodeClass="MAC")
    msp.contract("left-elsewhere", "care", 5, "30", count_vendor="huntress", effective_to="2026-11-11")
    msp.client("left-long-ago", status="offboarded")
    msp.devices("left-long-ago", 2)
    msp.contract("left-long-ago", "workstation", 2, "25", effective_to="2025-06-01")
    msp.client("left-and-back")
    msp.devices("left-and-back", 2)
    msp.contract("left-and-back", "workstation", 2, "25", effective_to="2026-10-01")
    msp.contract(
        "left-and-back",
        "workstation",
        2,
        "35",
        effective_from="2026-11-01",
        effective_to="2027-11-01",
        note="gap: they left for a month",
    )


def given_versions_that_change_in_a_month(msp: Scenario) -> None:
    msp.client("raised")
    msp.devices("raised", 12)
    msp.contract("raised", "workstation", 10, "10", effective_to="2026-11-11")
    msp.contract("raised", "workstation", 11, "15", effective_from="2026-11-11")
    msp.client("indexed")
    msp.devices("indexed", 12)
    msp.contract("indexed", "workstation", 12, "10", effective_to="2026-11-01")
    msp.contract("indexed", "workstation", 12, "11", effective_from="2026-11-01")
    msp.client("starting")
    msp.devices("starting", 4, since=date(2026, 11, 5))
    msp.contract("starting", "workstation", 3, "10", effective_from="2026-11-11")


def given_a_gap_with_a_history(msp: Scenario) -> None:
    for client, days in (("limited", "10"), ("unlimited", ""), ("long-closed", "10")):
        msp.client(client, back_bill_days=days)
        msp.devices(client, 10)
        msp.devices(client, 2, since=date(2026, 10, 17))
        msp.contract(client, "workstation", 10, "31.00")


def given_a_gap_that_closed_between(msp: Scenario) -> None:
    msp.client("on-and-off")
    msp.devices("on-and-off", 5)
    msp.devices("on-and-off", 1, since=date(2026, 10, 5), until=date(2026, 10, 12))
    msp.devices("on-and-off", 1, since=date(2026, 11, 5))
    msp.devices("on-and-off", 1, since=date(2026, 11, 11))
    msp.contract("on-and-off", "workstation", 5, "30")


@pytest.mark.parametrize("client", ["exact", "inside-included", "flat"])
def test_case_39_no_variance_is_no_row(mart: Mart, client: str) -> None:
    assert mart.rows(client, month=None) == []


def test_what_is_under_billed_is_positive(mart: Mart) -> None:
    row = mart.row("short")
    assert (row["kind"], row["variance_quantity"], row["variance_amount"]) == ("under_billed", 2, 20)


def test_what_is_over_billed_is_negative(mart: Mart) -> None:
    row = mart.row("too-many")
    assert (row["kind"], row["variance_quantity"], row["variance_amount"]) == ("over_billed", -3, -30)
    assert row["recoverable_amount"] == 0


def test_case_38_usage_below_the_minimum_is_billed_at_the_minimum(mart: Mart) -> None:
    assert mart.rows("below-minimum") == []
    assert mart.row("above-minimum")["variance_quantity"] == 3
    row = mart.row("lowered-to-minimum")
    assert (row["observed_quantity"], row["variance_quantity"]) == (6, -2)
    assert "the minimum of 10 applies" in row["explanation"]


def test_case_39_only_what_exceeds_the_included_is_compared(mart: Mart) -> None:
    row = mart.row("beyond-included")
    assert (row["observed_quantity"], row["variance_quantity"], row["variance_amount"]) == (8, 3, 30)
    assert len(mart.evidence(row, bucket="included")) == 5
    assert len(mart.evidence(row, bucket="billed")) == 3


def test_case_48_tolerance_hides_a_row_from_lists_and_keeps_it(mart: Mart) -> None:
    assert mart.row("tolerated")["is_within_tolerance"]
    assert not mart.row("short")["is_within_tolerance"]
    assert mart.ask("select * from marts.client_leakage where client_id = 'tolerated'") == []


def test_case_48_a_small_gap_that_stays_is_listed_after_thirty_days_of_it(mart: Mart) -> None:
    rows = {f"{r['period_month']:%Y-%m}": r["is_within_tolerance"] for r in mart.rows("tolerated-too-long", month=None)}
    assert rows == {"2026-10": True, "2026-11": False}, "since 20 October it has been one seat for 32 days"


def test_case_36_usage_without_a_contract_is_an_estimate_at_list_price(mart: Mart) -> None:
    row = mart.row("uncovered", service_id="workstation")
    assert (row["kind"], row["variance_quantity"], row["unit_price"], row["variance_amount"]) == (
        "no_contract",
        3,
        40,
        120,
    )
    assert row["is_estimate"]
    assert "an estimate" in row["explanation"]


@pytest.mark.parametrize("client", ["uncovered", "uncovered-for-long"])
def test_what_has_no_price_has_nothing_to_recover_open_or_closed(mart: Mart, after: Mart, client: str) -> None:
    rows = [m.row(client, service_id="hypervisor", month="2026-10") for m in (mart, after)]
    assert [r["recoverable_amount"] for r in rows] == [None, None]


def test_case_36_usage_without_any_price_is_still_a_row(mart: Mart) -> None:
    row = mart.row("uncovered", service_id="hypervisor")
    assert (row["kind"], row["variance_quantity"], row["variance_amount"]) == ("no_contract", 1, None)
    assert "no price" in row["explanation"]


def test_case_37_a_contract_without_usage_is_a_ghost(mart: Mart) -> None:
    row = mart.row("ghost")
    assert (row["kind"], row["service_id"], row["variance_amount"], row["source_state"]) == (
        "no_usage",
        "workstation",
        -40,
        "zero",
    )


def test_case_55_after_a_contract_ended_its_tool_goes_on_counting(mart: Mart) -> None:
    row = mart.row("left-elsewhere", service_id="care")
    assert (row["kind"], row["observed_quantity"], row["variance_amount"]) == ("no_contract", 5, 150)
    assert row["began_on"] == date(2026, 11, 11)


def test_case_55_after_a_contract_ended_its_price_holds_for_a_year(mart: Mart) -> None:
    row = mart.row("left-lately")
    assert (row["kind"], row["unit_price"], row["began_on"], row["is_estimate"]) == (
        "no_contract",
        25,
        date(2026, 11, 11),
        True,
    )
    assert mart.row("left-long-ago")["unit_price"] == 40


def test_case_55_between_two_contracts_the_price_is_that_of_the_one_before(mart: Mart) -> None:
    row = mart.row("left-and-back", month="2026-10")
    assert (row["kind"], row["unit_price"]) == ("no_contract", 25)
    assert mart.rows("left-and-back") == []


def test_case_55_before_a_contract_begins_nothing_is_agreed(mart: Mart) -> None:
    row = mart.row("starting")
    assert (row["kind"], row["variance_quantity"]) == ("under_billed", 1)
    # Six days without a contract, four at list price, then ten with one too few at 10.00, of thirty.
    assert row["accumulated_amount"] == (Decimal(6 * 4 * 40 + 10 * 1 * 10) / 30).quantize(Decimal("0.01"))


def test_case_42_at_the_end_of_the_period_its_last_version_decides(mart: Mart) -> None:
    row = mart.row("raised")
    assert (row["contracted_quantity"], row["unit_price"], row["variance_amount"]) == (11, 15, 15)
    before = mart.row("raised", month="2026-10")
    assert (before["contracted_quantity"], before["unit_price"], before["variance_amount"]) == (10, 10, 20)


def test_case_45_a_new_price_for_the_same_quantity_is_no_gap(mart: Mart) -> None:
    assert mart.rows("indexed", month=None) == []


def test_case_44_what_came_and_went_before_the_end_of_the_month_is_not_billed(mart: Mart) -> None:
    assert mart.rows("on-and-off", month="2026-10") == []


def test_case_54_the_accumulated_amount_is_summed_day_by_day(mart: Mart) -> None:
    row = mart.row("unlimited")
    assert (row["variance_amount"], row["began_on"]) == (62, date(2026, 10, 17))
    # Two at 31.00: fifteen of October's 31 days, twenty of November's 30.
    expected = (Decimal(62) * 15 / 31 + Decimal(62) * 20 / 30).quantize(Decimal("0.01"))
    assert (row["accumulated_amount"], row["recoverable_amount"]) == (expected, expected)


def test_case_54_only_what_lies_within_the_limit_is_recoverable(mart: Mart) -> None:
    row = mart.row("limited")
    # From the tenth day before today: the eleven days from 10 to 20 November.
    assert row["recoverable_amount"] == (Decimal(62) * 11 / 30).quantize(Decimal("0.01"))
    assert row["accumulated_amount"] == mart.row("unlimited")["accumulated_amount"]


def test_case_54_nothing_of_a_month_beyond_the_limit_is_recoverable(mart: Mart) -> None:
    row = mart.row("long-closed", month="2026-10")
    assert (row["accumulated_amount"], row["recoverable_amount"]) == (30, 0)


def test_a_run_begins_where_the_count_last_agreed(mart: Mart) -> None:
    row = mart.row("on-and-off")
    assert (row["variance_quantity"], row["began_on"]) == (2, date(2026, 11, 5))
    # One for six days, two for ten, at 30.00 a month of thirty days.
    assert row["accumulated_amount"] == 6 + 20
    changes = {(e["change"], e["first_seen_on"]) for e in mart.evidence(row)}
    assert changes == {("kept", date(2026, 9, 10)), ("added", date(2026, 11, 5)), ("added", date(2026, 11, 11))}
