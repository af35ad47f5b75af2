"""Cases 42-46, 55: which count of a month is billed, and what of it when the contract changes in the month."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.cases.scenario import Mart, Scenario

BASES = ("period_end", "peak", "average", "daily")


def given_one_month_counted_in_every_way(msp: Scenario) -> None:
    for basis in BASES:
        added, passing = f"added-{basis}", f"passing-{basis}"
        for client in (added, passing):
            msp.client(client)
            msp.devices(client, 10)
            msp.contract(client, "workstation", 10, "31.00", count_basis=basis)
        msp.devices(added, 3, since=date(2026, 10, 17))
        msp.devices(passing, 3, since=date(2026, 10, 5), until=date(2026, 10, 12))


def given_a_month_in_two_halves(msp: Scenario) -> None:
    msp.client("peak-then-less")
    msp.devices("peak-then-less", 10)
    msp.devices("peak-then-less", 1, since=date(2026, 10, 5))
    msp.devices("peak-then-less", 3, since=date(2026, 10, 5), until=date(2026, 10, 12))
    msp.contract("peak-then-less", "workstation", 10, "31.00", count_basis="peak")
    msp.client("halves")
    msp.devices("halves", 10)
    msp.devices("halves", 1, until=date(2026, 10, 17))
    msp.devices("halves", 1, since=date(2026, 10, 17))
    msp.contract("halves", "workstation", 10, "31.00", count_basis="daily")


def given_versions_that_change_in_a_counted_month(msp: Scenario) -> None:
    for basis in ("average", "daily", "peak"):
        msp.client(f"split-{basis}")
        msp.devices(f"split-{basis}", 12)
        msp.contract(f"split-{basis}", "workstation", 10, "10", count_basis=basis, effective_to="2026-11-11")
        msp.contract(f"split-{basis}", "workstation", 11, "15", count_basis=basis, effective_from="2026-11-11")
    for client, basis in (("average-end", "average"), ("peak-end", "peak")):
        msp.client(client)
        msp.devices(client, 12)
        msp.contract(client, "workstation", 10, "30", count_basis=basis, effective_to="2026-11-11")
    msp.client("peak-lowered")
    msp.devices("peak-lowered", 9)
    msp.contract("peak-lowered", "workstation", 10, "30", count_basis="peak", effective_to="2026-11-11")
    msp.contract("peak-lowered", "workstation", 8, "30", count_basis="peak", effective_from="2026-11-11")
    # Two too many are agreed on throughout, and at the peak as many as at the month's end, at another price.
    msp.client("peak-repriced")
    msp.devices("peak-repriced", 4)
    msp.contract("peak-repriced", "workstation", 6, "30", count_basis="peak", effective_to="2026-11-11")
    msp.contract(
        "peak-repriced",
        "workstation",
        4,
        "20",
        "included",
        included_quantity="2",
        count_basis="peak",
        effective_from="2026-11-11",
    )
    msp.client("split-end")
    msp.devices("split-end", 12)
    msp.contract("split-end", "workstation", 10, "30", count_basis="daily", effective_to="2026-11-11")
    msp.client("split-start")
    msp.devices("split-start", 12)
    msp.contract("split-start", "workstation", 10, "30", count_basis="daily", effective_from="2026-11-11")
    msp.client("split-gap")
    msp.devices("split-gap", 12)
    msp.contract("split-gap", "workstation", 10, "30", count_basis="daily", effective_to="2026-11-05")
    later = {"effective_from": "2026-11-11", "note": "gap: agreed anew"}
    msp.contract("split-gap", "workstation", 10, "30", count_basis="daily", **later)
    msp.client("uplifted")
    msp.devices("uplifted", 10)
    msp.contract("uplifted", "workstation", 10, "10", count_basis="daily", effective_to="2026-11-11")
    msp.contract("uplifted", "workstation", 10, "12", count_basis="daily", effective_from="2026-11-11")


def given_invoices_of_a_counted_month(msp: Scenario) -> None:
    for client, quantity in (("billed-by-day", 45), ("billed-whole", 50)):
        msp.client(client, accounting_customer_id=f"qb-{client}")
        msp.devices(client, 4)
        msp.devices(client, 1, since=date(2026, 10, 16))
        msp.contract(client, "workstation", 4, "31", count_basis="daily", effective_to="2026-10-16")
        msp.contract(client, "workstation", 5, "31", count_basis="daily", effective_from="2026-10-16")
        # 15 days of four and 16 of five, of 31.
        msp.invoice(client, "2026-10-01", ("workstation", Decimal(140) / 31 if quantity == 45 else 5, "31", ""))
    msp.client("billed-dearer", accounting_customer_id="qb-billed-dearer")
    msp.devices("billed-dearer", 4)
    msp.contract("billed-dearer", "workstation", 4, "10", count_basis="daily", effective_to="2026-10-17")
    msp.contract("billed-dearer", "workstation", 4, "20", count_basis="daily", effective_from="2026-10-17")
    msp.invoice("billed-dearer", "2026-10-01", ("workstation", 5, "15", ""))
    for client, model in (("one-price-of-two", "per_unit"), ("one-price-of-two-tiers", "tiered")):
        msp.client(client, accounting_customer_id=f"qb-{client}")
        msp.devices(client, 10)
        for price, part in (("10", {"effective_to": "2026-10-16"}), ("20", {"effective_from": "2026-10-16"})):
            in_tiers = model == "tiered"
            contract_id = msp.contract(
                client, "workstation", 10, "" if in_tiers else price, model, count_basis="daily", **part
            )
            if in_tiers:
                msp.tiers(contract_id, "graduated", (1, price))
        msp.invoice(client, "2026-10-01", ("workstation", 11, "15", ""))


def given_commitments(msp: Scenario) -> None:
    for client, contracted, until in (
        ("commitment", 10, ""),
        ("committed-less", 12, "2027-02-01"),
        ("commitment-over", 10, "2026-11-11"),
    ):
        msp.client(client)
        msp.devices(client, 7)
        msp.contract(client, "workstation", contracted, "10", committed_quantity="10", committed_until=until)


def given_units_under_notice(msp: Scenario) -> None:
    for client, gone_on in (("in-notice", date(2026, 11, 5)), ("after-notice", date(2026, 10, 5))):
        msp.client(client)
        msp.devices(client, 7)
        msp.devices(client, 3, until=gone_on)
        msp.contract(client, "workstation", 10, "10", notice_days="30")
    # Only what leaves its tool, and nothing came in its place, is billed on: not what we leave out or bill elsewhere.
    for client in ("left-out", "moved-away", "replaced"):
        msp.client(client)
        msp.contract(client, "workstation", 10, "10", notice_days="30")
    msp.client("moved-to")
    turn = date(2026, 11, 5)
    for record in msp.devices("left-out", 10)[:3]:
        msp.exclusion(client_id="left-out", record_id=record, effective_from=f"{turn}")
    msp.devices("moved-away", 7)
    msp.devices("moved-away", 3, site="moving-on", is_mapped=False)
    msp.mapping("moved-away", "rmm", "moving-on", effective_to=f"{turn}")
    msp.mapping("moved-to", "rmm", "moving-on", effective_from=f"{turn}")
    msp.devices("replaced", 7)
    msp.devices("replaced", 3, until=turn)
    msp.devices("replaced", 4, since=turn + timedelta(days=2))
    # Under notice at the end of October, and when that was measured, five days later.
    msp.client("late-notice")
    msp.licences("late-notice", 7)
    msp.licences("late-notice", 3, until=date(2026, 10, 18))
    msp.contract("late-notice", "seat", 10, "10", notice_days="30")
    msp.fail("m365", "late-notice", since=date(2026, 10, 20), until=date(2026, 11, 5))


def given_what_is_given_every_month(msp: Scenario) -> None:
    msp.service("promotion", "other", "0", accounting_item_id="item-promotion")
    for client, lines in (
        ("promoted", [("workstation", 2, "40", ""), ("promotion", 1, "-15", "")]),
        ("promotion-forgotten", [("workstation", 2, "40", "")]),
    ):
        msp.client(client, accounting_customer_id=f"qb-{client}")
        msp.devices(client, 2)
        msp.contract(client, "workstation", 2, "40", effective_from="2026-11-01")
        msp.contract(client, "promotion", 1, "-15", "flat", effective_from="2026-11-01", effective_to="2027-02-01")
        msp.invoice(client, "2026-11-02", *lines)


def given_blocks_of_hours(msp: Scenario) -> None:
    msp.service("support", "hour", "120")
    msp.maps("support", "guard", "records", "sku", "Hours")
    for client, hours in (("block-over", "25.5"), ("block-left", "12")):
        msp.client(client)
        msp.reported(client, "Hours", hours, "hour", tool="guard")
        msp.contract(client, "support", 20, "120", "block_hours")


@pytest.mark.parametrize(
    ("basis", "quantity", "amount"),
    [("period_end", "3", "93"), ("peak", "3", "93"), ("average", "1.4516", "45"), ("daily", "1.4516", "45")],
)
def test_case_43_a_unit_of_the_seventeenth_is_prorated_only_where_the_contract_says_so(
    mart: Mart, basis: str, quantity: str, amount: str
) -> None:
    row = mart.row(f"added-{basis}", month="2026-10")
    # Three for fifteen of October's 31 days, at 31.00.
    assert (row["variance_quantity"], row["variance_amount"]) == (Decimal(quantity), Decimal(amount))
    assert (row["began_on"], row["kind"]) == (date(2026, 10, 17), "under_billed")


@pytest.mark.parametrize(("basis", "amount"), [("average", "93.00"), ("daily", "62.00")])
def test_case_43_an_open_month_has_the_days_it_has(mart: Mart, basis: str, amount: str) -> None:
    row = mart.row(f"added-{basis}")
    assert row["variance_amount"] == Decimal(amount)
    said = "on average over 20 days" if basis == "average" else "by the day, over 20 of 30 days"
    assert said in row["explanation"]


def test_case_43_the_parts_of_a_month_add_up_to_the_month(mart: Mart) -> None:
    row = mart.row("halves", month="2026-10")
    assert (row["variance_quantity"], row["variance_amount"]) == (1, 31)


@pytest.mark.parametrize(
    ("basis", "quantity", "amount"),
    [("period_end", None, None), ("peak", "3", "93"), ("average", "0.6774", "21"), ("daily", "0.6774", "21")],
)
def test_case_44_what_came_and_went_counts_as_the_contract_says(
    mart: Mart, basis: str, quantity: str | None, amount: str | None
) -> None:
    found = [(r["variance_quantity"], r["variance_amount"]) for r in mart.rows(f"passing-{basis}", month="2026-10")]
    # Three for seven of 31 days, at 31.00.
    assert found == ([(Decimal(quantity), Decimal(amount))] if quantity and amount else [])


def test_case_44_the_peak_is_the_day_it_was_and_leads_to_its_records(mart: Mart) -> None:
    row = mart.row("passing-peak", month="2026-10")
    assert "at the peak of the month, on 2026-10-11" in row["explanation"]
    assert len(mart.evidence(row, bucket="billed")) == 13


def test_case_44_what_stays_after_the_peak_adds_up_too(mart: Mart) -> None:
    row = mart.row("peak-then-less", month="2026-10")
    # Four for seven days and one for twenty more, at 1.00 a day.
    assert (row["variance_quantity"], row["variance_amount"]) == (4, 124)
    assert row["accumulated_amount"] == 4 * 7 + 20


def test_case_44_on_average_what_passed_is_behind_the_number_with_its_days(mart: Mart) -> None:
    records = mart.evidence(mart.row("passing-average", month="2026-10"), bucket="billed")
    assert len(records) == 13
    assert sorted({r["quantity"] for r in records}) == [Decimal("0.2258"), 1]


@pytest.mark.parametrize(
    ("basis", "amount"),
    [
        # Ten days of two at 10.00 and ten of one at 15.00.
        ("average", (Decimal(2 * 10 * 10) + 1 * 15 * 10) / 20),
        ("daily", (Decimal(2 * 10 * 10) + 1 * 15 * 10) / 30),
        ("peak", Decimal(15)),
    ],
)
def test_case_42_every_part_of_a_month_has_the_price_of_its_version(mart: Mart, basis: str, amount: Decimal) -> None:
    assert mart.row(f"split-{basis}")["variance_amount"] == amount.quantize(Decimal("0.01"))


def test_case_42_a_contract_that_ended_leaves_a_part_with_it_and_one_without(mart: Mart) -> None:
    rows = {r["kind"]: r["variance_amount"] for r in mart.rows("split-end")}
    # Two for ten days, then twelve for ten, of thirty, at 30.00.
    assert rows == {"under_billed": 20, "no_contract": 120}


def test_case_42_days_between_two_contracts_have_no_part_in_either(mart: Mart) -> None:
    row = mart.row("split-gap")
    # Two for four days, then for ten, of thirty, at 30.00; six days between them count nowhere.
    assert (row["kind"], row["variance_amount"]) == ("under_billed", 28)
    assert {e["quantity"] for e in mart.evidence(row)} == {Decimal("0.4667")}


def test_case_42_on_average_the_parts_of_a_month_are_the_month(mart: Mart) -> None:
    rows = {r["kind"]: r["variance_amount"] for r in mart.rows("average-end")}
    # Two for ten days, then twelve for ten, of the twenty that were read, at 30.00.
    assert rows == {"under_billed": 30, "no_contract": 180}


def test_case_44_a_peak_stands_for_the_whole_month_and_is_held_against_its_end(mart: Mart) -> None:
    assert {r["kind"]: r["variance_amount"] for r in mart.rows("peak-end")} == {"under_billed": 60}
    assert mart.row("peak-lowered")["variance_amount"] == 30, "nine at the peak, and the invoice bills eight"


def test_case_44_the_run_of_a_peak_goes_on_after_it(mart: Mart) -> None:
    row = mart.row("peak-repriced")
    assert (row["variance_quantity"], row["variance_amount"], row["began_on"]) == (0, 40, date(2026, 9, 10))
    assert row["lost_unit_days"] == -2 * 72, "every day since then, and not only until the peak"


def test_case_55_before_a_contract_begins_nothing_is_billed(mart: Mart) -> None:
    row = mart.row("split-start")
    assert (row["kind"], row["variance_amount"]) == ("under_billed", 20)


def test_case_45_an_uplift_inside_a_month_is_no_gap(mart: Mart) -> None:
    assert mart.rows("uplifted", month=None) == []


def test_case_42_an_invoice_is_compared_with_the_days_of_each_version(mart: Mart) -> None:
    assert mart.rows("billed-by-day", month="2026-10", kind="invoice_mismatch") == []
    row = mart.row("billed-whole", month="2026-10", kind="invoice_mismatch")
    assert (row["contracted_quantity"], row["invoiced_quantity"]) == (Decimal("4.5161"), 5)


def test_case_42_what_an_invoice_bills_too_much_is_what_it_bills_beyond_each_days_own_price(mart: Mart) -> None:
    row = mart.row("billed-dearer", month="2026-10", kind="invoice_mismatch")
    # Four for 16 days at 10.00 and 15 at 20.00, of 31, are 59.35; five at 15.00 were billed.
    assert (row["variance_quantity"], row["variance_amount"]) == (-1, Decimal("-15.65"))


@pytest.mark.parametrize("client", ["one-price-of-two", "one-price-of-two-tiers"])
def test_case_42_an_invoice_at_one_price_is_held_against_the_money_of_every_version(mart: Mart, client: str) -> None:
    row = mart.row(client, month="2026-10", kind="invoice_mismatch")
    # Ten for 15 days at 10.00 and 16 at 20.00, of 31, are 151.61; eleven at 15.00 were billed.
    assert (row["variance_quantity"], row["variance_amount"]) == (-1, Decimal("-13.39"))


def test_case_23_no_less_than_the_commitment_is_billed_while_it_lasts(mart: Mart) -> None:
    assert mart.rows("commitment", month=None) == []
    row = mart.row("committed-less")
    assert (row["observed_quantity"], row["variance_quantity"], row["variance_amount"]) == (7, -2, -20)
    assert "the commitment of 10 until 2027-02-01 applies" in row["explanation"]


def test_case_23_the_day_a_commitment_ends_the_row_comes(mart: Mart) -> None:
    row = mart.row("commitment-over")
    assert (row["variance_quantity"], row["began_on"]) == (-3, date(2026, 11, 11))
    assert mart.rows("commitment-over", month="2026-10") == []


def test_case_55_what_has_gone_is_billed_while_its_notice_lasts(mart: Mart) -> None:
    assert mart.rows("in-notice", month=None) == []
    row = mart.row("after-notice")
    assert (row["kind"], row["variance_quantity"], row["began_on"]) == ("over_billed", -3, date(2026, 11, 4))


@pytest.mark.parametrize(("client", "variance"), [("left-out", -3), ("moved-away", -3), ("replaced", 1)])
def test_case_55_only_what_leaves_its_tool_for_good_has_a_notice(mart: Mart, client: str, variance: int) -> None:
    row = mart.row(client)
    assert row["variance_quantity"] == variance
    assert "notice" not in row["explanation"]


def test_case_55_a_month_that_was_measured_late_knows_of_notice(mart: Mart) -> None:
    assert mart.rows("late-notice", month="2026-10") == []
    row = mart.row("late-notice")
    assert (row["kind"], row["variance_quantity"], row["began_on"]) == ("over_billed", -3, date(2026, 11, 17))


def test_case_46_what_is_given_every_month_is_a_line_of_its_own(mart: Mart) -> None:
    assert mart.rows("promoted") == []
    row = mart.row("promotion-forgotten")
    assert (row["kind"], row["service_id"], row["variance_quantity"]) == ("invoice_mismatch", "promotion", 1)
    assert row["variance_amount"] == -15


def test_only_what_goes_beyond_a_block_of_hours_is_billed(mart: Mart) -> None:
    assert mart.rows("block-left") == []
    row = mart.row("block-over")
    assert (row["variance_quantity"], row["variance_amount"]) == (Decimal("5.5"), 660)
