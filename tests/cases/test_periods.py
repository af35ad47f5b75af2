"""Cases 49-51: which month a record and an invoice line belong to."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.cases.scenario import NOW, Mart, Scenario

HALF_PAST_ELEVEN_IN_NEW_YORK = datetime(2026, 11, 1, 3, 30, tzinfo=UTC)
"""On 31 October by summer time, some hours before the clocks go back."""
HALF_PAST_MIDNIGHT_IN_AUCKLAND = datetime(2026, 10, 31, 11, 30, tzinfo=UTC)
"""On 1 November by summer time."""


def given_clients_around_the_world(msp: Scenario) -> None:
    for client, zone, appears_at in (
        ("new-york", "America/New_York", HALF_PAST_ELEVEN_IN_NEW_YORK),
        ("greenwich", "UTC", HALF_PAST_ELEVEN_IN_NEW_YORK),
        ("auckland", "Pacific/Auckland", HALF_PAST_MIDNIGHT_IN_AUCKLAND),
        ("greenwich-too", "", HALF_PAST_MIDNIGHT_IN_AUCKLAND),
    ):
        msp.client(client, time_zone=zone)
        msp.devices(client, 3)
        msp.devices(client, 1, since=appears_at)
        msp.contract(client, "workstation", 3, "10")


def given_an_outage_over_the_end_of_a_month(msp: Scenario) -> None:
    msp.client("measured-late")
    msp.licences("measured-late", 5)
    msp.licences("measured-late", 1, since=date(2026, 10, 25))
    msp.contract("measured-late", "seat", 5, "20")
    msp.fail("m365", "measured-late", since=date(2026, 10, 20), until=date(2026, 11, 5))


def given_invoices_made_by_hand(msp: Scenario) -> None:
    msp.client("invoiced", accounting_customer_id="qb-invoiced")
    msp.devices("invoiced", 10)
    msp.contract("invoiced", "workstation", 10, "31", effective_from="2026-10-01")
    msp.invoice("invoiced", "2026-11-02", ("workstation", 8, "31", "2026-10-15"), ("workstation", 10, "31", ""))
    for client, days in (("invoiced-within", "26"), ("invoiced-beyond", "10")):
        msp.client(client, accounting_customer_id=f"qb-{client}", back_bill_days=days)
        msp.devices(client, 10)
        msp.contract(client, "workstation", 10, "31", effective_from="2026-10-01")
        msp.invoice(client, "2026-11-02", ("workstation", 8, "31", "2026-10-15"), ("workstation", 8, "31", ""))
    msp.client("not-invoiced-yet", accounting_customer_id="qb-not-invoiced-yet")
    msp.devices("not-invoiced-yet", 10)
    msp.contract("not-invoiced-yet", "workstation", 10, "31", effective_from="2026-11-01")


def given_reports_that_are_read_days_after_the_day_they_are_of(msp: Scenario) -> None:
    msp.service("spam", "mailbox", "2")
    msp.maps("spam", "monthly", "records", "sku", "Spam")
    msp.service("relay", "mailbox", "3", accounting_item_id="item-relay")
    msp.maps("relay", "rarely", "records", "sku", "Relay")
    for client, zone in (
        ("reported", ""),
        ("reported-west", "America/Los_Angeles"),
        ("reported-east", "Pacific/Auckland"),
    ):
        msp.client(client, time_zone=zone)
        msp.contract(client, "spam", 10, "2")
        msp.reported(client, "Spam", "10", tool="monthly", until=date(2026, 10, 20))
        msp.reported(client, "Spam", "15", tool="monthly", since=date(2026, 10, 20))
    msp.client("report-ended")
    msp.contract("report-ended", "spam", 10, "2")
    msp.reported("report-ended", "Spam", "10", tool="monthly", until=date(2026, 10, 20))
    msp.client("report-of-now")
    msp.contract("report-of-now", "spam", 10, "2")
    msp.reported("report-of-now", "Spam", "10", tool="monthly", until=NOW - timedelta(days=1))
    msp.reported("report-of-now", "Spam", "17", tool="monthly", since=NOW - timedelta(days=1))
    msp.client("report-late", accounting_customer_id="qb-report-late")
    msp.contract("report-late", "relay", 4, "3")
    msp.reported("report-late", "Relay", "4", tool="rarely", until=date(2026, 10, 10))
    msp.reported("report-late", "Relay", "6", tool="rarely", since=date(2026, 10, 10))
    msp.client("report-of-before")
    msp.contract("report-of-before", "spam", 10, "2")
    msp.reported("report-of-before", "Spam", "12", tool="monthly", until=date(2026, 9, 15))
    msp.reported("report-of-before", "Spam", "10", tool="monthly", since=date(2026, 9, 15))


@pytest.mark.parametrize(
    ("client", "months"),
    [
        ("new-york", {"2026-10": date(2026, 10, 31), "2026-11": date(2026, 10, 31)}),
        ("greenwich", {"2026-11": date(2026, 11, 1)}),
        ("auckland", {"2026-11": date(2026, 11, 1)}),
        ("greenwich-too", {"2026-10": date(2026, 10, 31), "2026-11": date(2026, 10, 31)}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_case_49_a_month_ends_where_the_client_is(mart: Mart, client: str, months: dict[str, date]) -> None:
    found = {f"{r['period_month']:%Y-%m}": r["began_on"] for r in mart.rows(client, month=None)}
    assert found == months


def test_case_50_a_month_nobody_measured_at_its_end_is_measured_late_and_says_so(mart: Mart) -> None:
    row = mart.row("measured-late", month="2026-10")
    assert (row["observed_quantity"], row["variance_amount"], row["source_state"]) == (6, 20, "known")
    assert str(row["source_as_of_at"]) == "2026-11-05 12:00:00"
    assert "Measured late, on 2026-11-05" in row["explanation"]
    assert "Measured late" not in mart.row("measured-late")["explanation"]


@pytest.mark.parametrize("client", ["reported", "reported-west", "reported-east"])
def test_case_50_a_report_measures_the_month_it_is_of_whenever_it_was_read(mart: Mart, client: str) -> None:
    rows = {f"{r['period_month']:%Y-%m}": r for r in mart.rows(client, month=None)}
    assert set(rows) == {"2026-10", "2026-11"}
    october = rows["2026-10"]
    assert (october["kind"], october["variance_quantity"], october["source_state"]) == ("under_billed", 5, "known")
    assert {r["began_on"] for r in rows.values()} == {date(2026, 10, 31)}
    assert str(october["source_as_of_at"]) == "2026-11-02 06:00:00", "known since it was read"
    assert "Measured late" not in october["explanation"]


def test_a_record_gone_from_a_report_is_gone_from_the_day_of_that_report(mart: Mart) -> None:
    rows = {f"{r['period_month']:%Y-%m}": r for r in mart.rows("report-ended", month=None)}
    assert {month: (r["kind"], r["began_on"]) for month, r in rows.items()} == {
        "2026-10": ("no_usage", date(2026, 10, 31)),
        "2026-11": ("no_usage", date(2026, 10, 31)),
    }
    (gone,) = mart.evidence(rows["2026-10"])
    assert (gone["first_seen_on"], gone["last_seen_on"]) == (date(2026, 8, 31), date(2026, 10, 30))


def test_a_report_of_a_month_before_anything_was_read_measures_that_month(mart: Mart) -> None:
    rows = mart.rows("report-of-before", month=None)
    assert [(f"{r['period_month']:%Y-%m}", r["variance_quantity"]) for r in rows] == [("2026-08", 2)]


def test_invoices_of_months_before_the_first_reading_are_not_missed(mart: Mart) -> None:
    rows = mart.rows("report-late", month=None, kind="invoice_mismatch")
    assert [f"{r['period_month']:%Y-%m}" for r in rows] == ["2026-09", "2026-10"]


def test_case_50_a_month_without_a_report_is_measured_by_the_next_one_and_says_so(mart: Mart) -> None:
    rows = {f"{r['period_month']:%Y-%m}": r for r in mart.rows("report-late", month=None, kind="under_billed")}
    assert {month: r["variance_quantity"] for month, r in rows.items()} == {"2026-09": 2, "2026-10": 2, "2026-11": 2}
    assert "Measured late, on 2026-11-14" in rows["2026-10"]["explanation"]
    assert str(rows["2026-10"]["source_as_of_at"]) == "2026-11-17 06:00:00"


def test_what_a_report_says_is_known_from_when_it_was_read(mart: Mart, after: Mart, replayed: Mart) -> None:
    assert mart.rows("report-of-now") == replayed.rows("report-of-now") == []
    row = after.row("report-of-now")
    assert (row["variance_quantity"], row["began_on"]) == (7, NOW.date())


def test_case_51_an_invoice_line_belongs_to_the_month_of_its_service(mart: Mart) -> None:
    row = mart.row("invoiced", month="2026-10")
    assert (row["kind"], row["variance_quantity"], row["variance_amount"]) == ("invoice_mismatch", 2, 62)
    assert (row["contracted_quantity"], row["invoiced_quantity"]) == (10, 8)
    assert mart.rows("invoiced") == []


@pytest.mark.parametrize(
    ("client", "recoverable"),
    # Two at 31.00: 26 days before 20 November is 25 October, ten days before it the tenth.
    [("invoiced", ["62"]), ("invoiced-within", ["14", "62"]), ("invoiced-beyond", ["0", "43.40"])],
)
def test_case_54_what_an_invoice_missed_before_the_limit_is_lost(
    mart: Mart, client: str, recoverable: list[str]
) -> None:
    rows = mart.rows(client, month=None, kind="invoice_mismatch")
    assert {r["variance_amount"] for r in rows} == {62}
    assert [r["recoverable_amount"] for r in rows] == [Decimal(amount) for amount in recoverable]


def test_an_open_month_without_an_invoice_yet_is_no_mismatch(mart: Mart) -> None:
    assert mart.rows("not-invoiced-yet") == []


def test_the_days_of_a_month_add_up_to_the_month(mart: Mart) -> None:
    sql = """
        select sum(variance_quantity / extract(day from last_day(quantity_on))) as months from marts.daily_quantities
        where client_id = 'invoiced' and quantity_on between '2026-10-01' and '2026-10-31' and contracted_quantity = 10
    """
    assert mart.ask(sql) == [{"months": 0}]
    days = mart.ask(
        "select count(*) as days from marts.daily_quantities where client_id = 'invoiced' and month(quantity_on) = 10"
    )
    assert days == [{"days": 31}]
