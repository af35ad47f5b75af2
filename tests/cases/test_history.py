"""Cases 9 and 53: September and October are closed with the first mart; what is known of them later is a correction."""

from datetime import UTC, date, datetime

import pytest

from tests.cases.scenario import LATER, NOW, Mart, Row, Scenario

LATER_DAY = datetime(2026, 11, 21, 11, tzinfo=UTC)
OCTOBER = date(2026, 10, 1)


def given_facts_of_a_closed_month_that_become_known_later(msp: Scenario) -> None:
    msp.service("relayed", "mailbox", "3")
    msp.maps("relayed", "amended", "records", "sku", "Relay")
    msp.client("reported-anew")
    msp.contract("reported-anew", "relayed", 10, "2")
    msp.reported("reported-anew", "Relay", "12", tool="amended", told_until=LATER_DAY)
    msp.reported("reported-anew", "Relay", "15", tool="amended", told_from=LATER_DAY)

    msp.client("mapped-too-late")
    msp.devices("mapped-too-late", 5, is_mapped=False)
    msp.contract("mapped-too-late", "workstation", 3, "10", effective_from="2026-10-01")
    mapping = {"connection_id": "rmm", "company_id": "mapped-too-late", "client_id": "mapped-too-late"}
    msp.additions.append(("company_mappings", {**mapping, "effective_from": "2026-10-01"}))

    msp.client("excluded-too-late")
    ids = msp.devices("excluded-too-late", 3)
    msp.contract("excluded-too-late", "workstation", 1, "10", effective_from="2026-10-01")
    late = {
        "exclusion_id": "too-late",
        "client_id": "excluded-too-late",
        "record_id": ids[0],
        "reason": "loan",
        "effective_from": "2026-10-01",
    }
    msp.additions.append(("exclusions", late))
    msp.bill("excluded-too-late", month="2026-10")


def given_closed_rows_of_which_less_is_known_later(msp: Scenario) -> None:
    for client, devices, quantity, excluded in (
        ("forgone", 4, 2, 1),
        ("still-open", 4, 2, 1),
        ("billed-and-less", 4, 2, 1),
        ("less-than-agreed", 4, 2, 3),
        ("credit-kept", 2, 4, -1),
        ("invoiced-too-little", 4, 4, 1),
    ):
        msp.client(client, accounting_customer_id=f"qb-{client}" if client == "invoiced-too-little" else "")
        ids = msp.devices(client, devices)
        contract_id = msp.contract(client, "workstation", quantity, "10", effective_from="2026-10-01")
        for record in ids[: max(excluded, 0)]:
            _exclude_later(msp, client, record)
        if client == "credit-kept":
            msp.edit("contracts", contract_id, quantity="3")
        if client == "invoiced-too-little":
            msp.invoice(client, "2026-10-02", ("workstation", 2, "10", ""))
            msp.edit("contracts", contract_id, quantity="3")
    for client in ("forgone", "credit-kept"):
        msp.decide(client, "write_off", month="2026-10", until=date(2027, 1, 1))
    msp.bill("billed-and-less", month="2026-10")


def given_small_gaps_of_a_closed_month(msp: Scenario) -> None:
    msp.client("billed-to-the-last")
    msp.devices("billed-to-the-last", 10)
    (passing,) = msp.devices("billed-to-the-last", 1, since=date(2026, 9, 20))
    msp.contract("billed-to-the-last", "workstation", 10, "10", tolerance_quantity="1", effective_from="2026-10-01")
    msp.bill("billed-to-the-last", month="2026-10")
    _exclude_later(msp, "billed-to-the-last", passing)


def _exclude_later(msp: Scenario, client: str, record: str) -> None:
    late = {"exclusion_id": f"too-late-{record}", "client_id": client, "record_id": record, "reason": "loan"}
    msp.additions.append(("exclusions", {**late, "effective_from": "2026-09-01"}))


def given_contracts_of_a_closed_month_that_are_amended_later(msp: Scenario) -> None:
    for client, devices, quantity, changes in (
        ("agreed-otherwise", 10, 10, {"quantity": "8"}),
        ("priced-otherwise", 10, 8, {"unit_price": "12"}),
        ("hardly-otherwise", 10, 10, {"quantity": "11"}),
        ("lastingly-otherwise", 10, 10, {"quantity": "11"}),
        ("otherwise-long-ago", 10, 10, {"quantity": "8"}),
    ):
        msp.client(client, back_bill_days="20" if client == "otherwise-long-ago" else "")
        msp.devices(client, devices)
        tolerance = "1" if client in ("hardly-otherwise", "lastingly-otherwise") else ""
        begins = "2026-10-10" if client == "hardly-otherwise" else "2026-10-01"
        contract_id = msp.contract(
            client, "workstation", quantity, "10", effective_from=begins, tolerance_quantity=tolerance
        )
        msp.edit("contracts", contract_id, **changes)


def given_a_closed_month_that_lapses(msp: Scenario) -> None:
    msp.client("lapsing", back_bill_days="30")
    msp.devices("lapsing", 10)
    msp.devices("lapsing", 2, since=date(2026, 10, 17))
    msp.contract("lapsing", "workstation", 10, "31")


def given_a_closed_month_in_two_currencies(msp: Scenario) -> None:
    msp.client("first-at-list-price", currency="EUR")
    msp.devices("first-at-list-price", 3)
    msp.contract("first-at-list-price", "workstation", 1, "31", effective_from="2026-10-15")


def given_a_list_price_that_changes(msp: Scenario) -> None:
    msp.service("gadget", "licence", "50")
    msp.maps("gadget", "microsoft365", "user_licenses", "sku_part_number", "GADGET")
    msp.client("estimated")
    msp.licences("estimated", 2, "GADGET")
    msp.edit("services", "gadget", list_price="60")


def given_a_closed_month_in_the_accounting_system(msp: Scenario) -> None:
    for client in ("amended-in-the-books", "invoiced-in-arrears"):
        msp.client(client, accounting_customer_id=f"qb-{client}")
        msp.devices(client, 4)
        contract_id = msp.contract(client, "workstation", 2, "10", effective_from="2026-10-01")
        if client == "amended-in-the-books":
            msp.invoice(client, "2026-10-31", ("workstation", 2, "10", "2026-10-01"))
            msp.edit("contracts", contract_id, quantity="4")
    msp.service("fee", "other", "100", accounting_item_id="item-fee")
    msp.client("fee-amended", accounting_customer_id="qb-fee-amended")
    msp.contract("fee-amended", "fee", 1, "100", "flat", effective_from="2026-10-01", note="fee of October")
    msp.invoice("fee-amended", "2026-10-31", ("fee", 1, "100", "2026-10-01"), ("fee", 2, "100", "2026-11-01"))
    msp.edit("contracts", "fee of October", quantity="2")
    msp.invoice("invoiced-in-arrears", "2026-11-21", ("workstation", 2, "10", "2026-10-01"), since=LATER_DAY)


def given_closed_months_whose_prices_and_currency_change(msp: Scenario) -> None:
    msp.client("priced-in-steps", accounting_customer_id="qb-priced-in-steps")
    msp.devices("priced-in-steps", 12)
    contract_id = msp.contract("priced-in-steps", "workstation", 12, "", "tiered")
    msp.tiers(contract_id, "all_units", (1, "10"), (11, "8"))
    msp.edit("price_tiers", contract_id, unit_price="9")
    msp.invoice("priced-in-steps", "2026-10-01", ("workstation", 11, "8", ""))
    msp.client("billed-abroad", accounting_customer_id="qb-billed-abroad")
    msp.devices("billed-abroad", 12)
    contract_id = msp.contract("billed-abroad", "workstation", 12, "", "tiered")
    msp.tiers(contract_id, "all_units", (1, "10"), (11, "8"))
    msp.edit("price_tiers", contract_id, unit_price="9")
    msp.invoice("billed-abroad", "2026-10-01", ("workstation", 11, "8", ""), currency="EUR")
    msp.client("in-dollars-then", accounting_customer_id="qb-in-dollars-then")
    msp.devices("in-dollars-then", 10)
    msp.contract("in-dollars-then", "workstation", 10, "10")
    msp.invoice("in-dollars-then", "2026-10-01", ("workstation", 8, "10", ""))
    msp.edit("clients", "in-dollars-then", currency="EUR")


def _correction(after: Mart, client: str, month: date = OCTOBER) -> Row:
    (row,) = [r for r in after.rows(client, kind="correction") if r["corrects_month"] == month]
    return row


def test_case_53_no_row_of_a_closed_month_changes_whatever_becomes_known(mart: Mart, after: Mart) -> None:
    sql = (
        "select * exclude (recoverable_amount, status, decided_by, decided_at) from marts.discrepancies "
        "where period_month < '2026-11-01' and kind <> 'invoice_mismatch' order by discrepancy_id"
    )
    closed = mart.ask(sql)
    assert len(closed) > 10
    assert after.ask(sql) == closed
    evidence = (
        "select e.* from marts.discrepancy_evidence as e join marts.discrepancies using (discrepancy_id) "
        "where period_month < '2026-11-01' and kind <> 'invoice_mismatch' order by all"
    )
    assert after.ask(evidence) == mart.ask(evidence) != []


def test_case_53_a_month_says_when_it_was_closed(mart: Mart) -> None:
    assert mart.row("excluded-too-late", month="2026-10")["closed_at"] == NOW.replace(tzinfo=None)
    assert mart.row("excluded-too-late")["closed_at"] is None


def test_case_9_a_report_written_anew_corrects_its_month_in_the_open_one(mart: Mart, after: Mart) -> None:
    before = mart.row("reported-anew", month="2026-10")
    assert (before["observed_quantity"], before["variance_amount"]) == (12, 4)
    assert after.row("reported-anew", month="2026-10") == before
    row = _correction(after, "reported-anew")
    assert (row["period_month"], row["observed_quantity"]) == (date(2026, 11, 1), 15)
    assert (row["variance_quantity"], row["variance_amount"], row["status"]) == (3, 6, "open")
    assert row["explanation"] == (
        "2026-10 was closed for Reported-Anew with 2 Relayed not billed (4.00 USD), and as known now it is 5 not billed "
        "(10.00 USD): 6.00 USD more to bill."
    )


def test_case_53_a_mapping_made_later_corrects_what_was_not_counted(after: Mart) -> None:
    row = _correction(after, "mapped-too-late")
    assert (row["observed_quantity"], row["contracted_quantity"], row["variance_amount"]) == (5, 3, 20)
    assert "was closed for Mapped-Too-Late with nothing to bill for Workstation" in row["explanation"]
    assert len(after.evidence(row, bucket="billed")) == 5


def test_case_53_a_record_excluded_later_is_given_back(mart: Mart, after: Mart) -> None:
    assert mart.row("excluded-too-late", month="2026-10")["variance_quantity"] == 2
    row = _correction(after, "excluded-too-late")
    assert (row["variance_quantity"], row["variance_amount"]) == (-1, -10)
    assert "10.00 USD less to bill (0 added, 1 removed)." in row["explanation"]
    changes = [(e["change"], e["bucket"], e["bucket_reason"]) for e in after.evidence(row)]
    assert sorted(changes) == [
        ("kept", "billed", ""),
        ("kept", "billed", ""),
        ("removed", "excluded", "exclusion too-late"),
    ]


def test_case_53_a_contract_amended_later_corrects_its_months(after: Mart) -> None:
    row = _correction(after, "agreed-otherwise")
    assert (row["variance_quantity"], row["unit_price"], row["variance_amount"]) == (2, 10, 20)
    assert row["explanation"].endswith("20.00 USD more to bill; its contract was changed since.")
    assert after.row("agreed-otherwise", kind="under_billed")["variance_amount"] == 20, "the open month is as it is now"


def test_case_53_a_price_amended_later_is_a_correction_without_a_quantity(after: Mart) -> None:
    row = _correction(after, "priced-otherwise")
    assert (row["variance_quantity"], row["variance_amount"]) == (0, 4)


def test_a_list_price_of_today_says_nothing_of_a_closed_month(mart: Mart, after: Mart) -> None:
    assert mart.row("estimated", month="2026-10")["variance_amount"] == 100
    assert [(r["kind"], r["variance_amount"]) for r in after.rows("estimated")] == [("no_contract", 120)]


def test_case_48_a_correction_within_the_tolerance_is_there_and_hidden(after: Mart) -> None:
    row = _correction(after, "hardly-otherwise")
    assert (row["variance_quantity"], row["is_within_tolerance"]) == (-1, True)


def test_case_48_a_small_gap_that_stayed_is_listed_whenever_it_becomes_known(after: Mart) -> None:
    row = _correction(after, "lastingly-otherwise")
    assert (row["variance_quantity"], row["is_within_tolerance"]) == (-1, False), "31 days of a whole tolerance of one"


def test_case_48_what_was_invoiced_is_corrected_to_the_last_unit(mart: Mart, after: Mart) -> None:
    assert not mart.row("billed-to-the-last", month="2026-10")["is_within_tolerance"]
    row = _correction(after, "billed-to-the-last")
    assert (row["variance_amount"], row["is_within_tolerance"]) == (-10, False)


@pytest.mark.parametrize("client", ["forgone", "still-open", "credit-kept", "invoiced-too-little"])
def test_case_64_nothing_is_corrected_that_was_never_billed(mart: Mart, after: Mart, client: str) -> None:
    (before,) = mart.rows(client, month="2026-10")
    (row,) = after.rows(client, month="2026-10")
    assert (row["variance_quantity"], row["variance_amount"]) == (
        before["variance_quantity"],
        before["variance_amount"],
    )
    assert row["status"] == ("written_off" if client in ("forgone", "credit-kept") else "open")
    assert after.rows(client, kind="correction") == []


def test_case_58_what_was_billed_of_a_closed_month_and_is_less_is_given_back(after: Mart) -> None:
    assert after.row("billed-and-less", month="2026-10")["status"] == "invoiced"
    row = _correction(after, "billed-and-less")
    assert (row["variance_quantity"], row["variance_amount"]) == (-1, -10)


def test_case_53_only_what_goes_beyond_an_open_row_is_corrected(after: Mart) -> None:
    row = _correction(after, "less-than-agreed")
    # Two were agreed and billed, one of them was there; the two beyond were never billed.
    assert (row["variance_quantity"], row["variance_amount"]) == (-1, -10)
    assert row["explanation"].startswith(
        "2026-10 was closed for Less-Than-Agreed with 2 Workstation not billed (20.00 USD), and as known now it is 1 "
        "billed too many (10.00 USD): 10.00 USD less to bill, beyond 20.00 USD that was never billed"
    )


def test_case_54_a_correction_beyond_the_limit_is_shown_and_not_recoverable(after: Mart) -> None:
    assert _correction(after, "agreed-otherwise")["recoverable_amount"] == 20
    row = _correction(after, "otherwise-long-ago")
    assert (row["variance_amount"], row["recoverable_amount"]) == (20, 0)


def test_a_contract_amended_to_what_was_counted_moves_units_and_owes_nothing(mart: Mart, after: Mart) -> None:
    before = mart.rows("amended-in-the-books", month="2026-10")
    assert [(r["kind"], r["variance_quantity"]) for r in before] == [("under_billed", 2)]
    assert after.rows("amended-in-the-books", month="2026-10") == before
    assert after.rows("amended-in-the-books", kind="correction") == []


def test_case_53_a_fee_amended_later_is_corrected_though_nothing_counts_it(mart: Mart, after: Mart) -> None:
    before = mart.rows("fee-amended", month=None)
    assert [(f"{r['period_month']:%Y-%m}", r["kind"], r["variance_quantity"]) for r in before] == [
        ("2026-11", "invoice_mismatch", -1)
    ]
    row = after.row("fee-amended")
    assert (row["kind"], row["corrects_month"], row["variance_amount"]) == ("correction", OCTOBER, 100)


def test_an_invoice_that_comes_after_the_month_was_closed_takes_from_its_mismatch(mart: Mart, after: Mart) -> None:
    before = {r["kind"]: r["variance_quantity"] for r in mart.rows("invoiced-in-arrears", month="2026-10")}
    assert before == {"under_billed": 2, "invoice_mismatch": 2}
    now = {r["kind"]: r["variance_quantity"] for r in after.rows("invoiced-in-arrears", month="2026-10")}
    assert now == {"under_billed": 2}
    assert after.rows("invoiced-in-arrears", kind="correction") == []


def test_corrections_stand_in_the_leakage_of_the_open_month(after: Mart) -> None:
    (total,) = after.ask("select * from marts.client_leakage where client_id = 'agreed-otherwise'")
    assert total["under_billed_amount"] == 20 + 20
    (total,) = after.ask("select * from marts.client_leakage where client_id = 'excluded-too-late'")
    assert total["over_billed_amount"] == -10


@pytest.mark.parametrize(("client", "days"), [("unlimited", 2 * 15 + 2 * 20), ("on-and-off", 1 * 6 + 2 * 10)])
def test_lost_unit_days_are_the_variance_of_each_day_added_up(mart: Mart, client: str, days: int) -> None:
    assert mart.row(client)["lost_unit_days"] == days


def test_case_54_what_may_be_billed_of_a_closed_month_lapses_day_by_day(mart: Mart, after: Mart) -> None:
    assert (LATER - NOW).days == 1
    row, now = (m.row("lapsing", month="2026-10") for m in (mart, after))
    # Two at 31.00 since the 17th: from the 21st, and a day later from the 22nd.
    assert (row["accumulated_amount"], row["recoverable_amount"]) == (30, 22)
    assert (now["accumulated_amount"], now["recoverable_amount"]) == (30, 20)


def test_case_68_what_may_be_billed_of_a_closed_month_is_of_one_currency(mart: Mart, after: Mart) -> None:
    """Until the 15th it was three at list price, in dollars; then two too few at 31.00, for 17 of 31 days."""
    for row in (m.row("first-at-list-price", month="2026-10") for m in (mart, after)):
        assert (row["currency"], row["accumulated_amount"], row["recoverable_amount"]) == ("EUR", 34, 34)


@pytest.mark.parametrize(("client", "amount"), [("priced-in-steps", 8), ("billed-abroad", 8), ("in-dollars-then", 20)])
def test_case_53_a_closed_month_is_invoiced_at_the_prices_it_was_closed_with(
    mart: Mart, after: Mart, client: str, amount: int
) -> None:
    before, now = (m.row(client, month="2026-10", kind="invoice_mismatch") for m in (mart, after))
    assert (before["variance_amount"], before["currency"]) == (amount, "USD")
    assert now == {**before, "source_as_of_at": now["source_as_of_at"]}, "only invoices are still looked at"


def test_case_68_another_currency_of_a_client_is_no_correction(after: Mart) -> None:
    assert after.rows("in-dollars-then", kind="correction") == []
