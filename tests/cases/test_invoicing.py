"""What was invoiced, by us and by hand, against what is agreed and observed: nothing is billed twice, nothing is lost."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tests.cases.scenario import Mart, Scenario

LATER_DAY = datetime(2026, 11, 21, 11, tzinfo=UTC)


def given_usage_that_is_invoiced_before_it_is_agreed(msp: Scenario) -> None:
    for client in ("signed-late", "signed-and-sent"):
        msp.client(client, accounting_customer_id=f"qb-{client}")
        msp.devices(client, 3, since=date(2026, 11, 5))
        msp.invoice(client, "2026-11-02", ("nothing-we-know", 1, "5", ""))
        msp.bill(client)
        contract = {
            "contract_id": client,
            "client_id": client,
            "service_id": "workstation",
            "quantity": "1",
            "unit_price": "40",
        }
        msp.additions.append(("contracts", {**contract, "billing_model": "per_unit", "effective_from": "2026-11-01"}))
    msp.invoice("signed-and-sent", "2026-11-21", ("workstation", 1, "40", ""), since=LATER_DAY)


def given_usage_that_is_invoiced_before_it_changes(msp: Scenario) -> None:
    for client, invoiced in (("signed-for-more", 2), ("short-twice", 1), ("grown-since", 2), ("shrunk-since", 2)):
        msp.client(client, accounting_customer_id=f"qb-{client}")
        ids = msp.devices(client, 2)
        ids += msp.devices(client, 2, since=date(2026, 11, 5))
        contract_id = msp.contract(client, "workstation", 2, "10", effective_from="2026-11-01")
        msp.invoice(client, "2026-11-02", ("workstation", invoiced, "10", ""))
        msp.bill(client)
        match client:
            case "signed-for-more":
                msp.edit("contracts", contract_id, quantity="4")
            case "grown-since":
                msp.devices(client, 1, since=LATER_DAY)
            case "shrunk-since":
                msp.remove(ids[1:], LATER_DAY)


def given_invoices_of_what_nobody_agreed(msp: Scenario) -> None:
    for client in ("still-invoiced", "never-agreed"):
        msp.client(client, accounting_customer_id=f"qb-{client}")
        msp.invoice(client, "2026-11-02", ("workstation", 4, "31", ""))
    msp.contract("still-invoiced", "workstation", 4, "30", effective_from="2026-11-01", effective_to="2026-11-11")


def given_what_was_billed_too_much(msp: Scenario) -> None:
    for client in ("over-paid", "given-back"):
        msp.client(client, accounting_customer_id=f"qb-{client}")
        msp.devices(client, 4)
        msp.contract(client, "workstation", 6 if client == "over-paid" else 4, "10", effective_from="2026-11-01")
        msp.invoice(client, "2026-11-02", ("workstation", 6 if client == "over-paid" else 4, "10", ""))
    msp.bill("over-paid")
    ours = {"number": "ours-over-paid", "doc_number": "M-over-paid", "document": "CreditMemo"}
    msp.invoice("over-paid", "2026-11-21", ("workstation", 2, "10", "2026-11-01"), since=LATER_DAY, **ours)
    msp.invoice("given-back", "2026-11-09", ("workstation", 1, "10", ""), document="CreditMemo")


def given_invoices_at_another_price(msp: Scenario) -> None:
    for client, quantity, price, tolerance in (
        ("not-uplifted", 10, "1", ""),
        ("not-uplifted-and-tolerant", 10, "1", "1"),
        ("short-and-cheap", 9, "1", "1"),
        ("dear-and-short", 10, "12.10", ""),
        ("same-money", 11, "10", ""),
    ):
        msp.client(client, accounting_customer_id=f"qb-{client}")
        msp.devices(client, 10)
        msp.contract(client, "workstation", 10, "11", effective_from="2026-11-01", tolerance_quantity=tolerance)
        msp.invoice(client, "2026-11-02", ("workstation", quantity, price, ""))
    msp.client("in-steps-by-money", accounting_customer_id="qb-in-steps-by-money")
    msp.devices("in-steps-by-money", 12)
    contract_id = msp.contract("in-steps-by-money", "workstation", 12, "", "tiered", effective_from="2026-11-01")
    msp.tiers(contract_id, "graduated", (1, "3"), (11, "2"))
    msp.invoice("in-steps-by-money", "2026-11-02", ("workstation", None, "34", ""))
    msp.client("another-currency", accounting_customer_id="qb-another-currency")
    msp.devices("another-currency", 10)
    msp.contract("another-currency", "workstation", 10, "11", effective_from="2026-11-01")
    msp.invoice("another-currency", "2026-11-02", ("workstation", 10, "1", ""), currency="EUR")
    msp.client("agreed-late", accounting_customer_id="qb-agreed-late")
    msp.devices("agreed-late", 4)
    contract_id = msp.contract("agreed-late", "workstation", 2, "10", effective_from="2026-11-01")
    msp.invoice("agreed-late", "2026-11-02", ("workstation", 2, "10", ""))
    msp.bill("agreed-late")
    msp.edit("contracts", contract_id, quantity="4", unit_price="12")


def given_small_gaps_of_invoices(msp: Scenario) -> None:
    for client, billed in (
        ("short-at-last", (10, 10, 9)),
        ("short-for-long", (9, 9, 9)),
        ("short-and-over", (10, 9, 11)),
    ):
        msp.client(client, accounting_customer_id=f"qb-{client}")
        msp.devices(client, 10)
        msp.contract(client, "workstation", 10, "10", tolerance_quantity="1")
        for month, quantity in zip(("09", "10", "11"), billed, strict=True):
            msp.invoice(client, f"2026-{month}-01", ("workstation", quantity, "10", ""))
    msp.client("half-short-for-long", accounting_customer_id="qb-half-short-for-long")
    msp.devices("half-short-for-long", 10)
    msp.contract("half-short-for-long", "workstation", 10, "10", tolerance_quantity="2")
    for month in ("09", "10", "11"):
        msp.invoice("half-short-for-long", f"2026-{month}-01", ("workstation", 9, "10", ""))


DRIFTS = ("as-sent", "sent-and-edited", "sent-and-voided", "sent-and-gone", "sent-twice", "sent-as-another")


def given_invoices_that_somebody_touches(msp: Scenario) -> None:
    for client in DRIFTS:
        msp.client(client, accounting_customer_id=f"qb-{client}")
        msp.devices(client, 3)
        msp.contract(client, "workstation", 1, "10", effective_from="2026-11-01")
        msp.bill(client)
        ours = {"number": f"ours-{client}", "doc_number": f"M-{client}", "since": LATER_DAY}
        line = ("workstation", 2, "10", "2026-11-01")
        match client:
            case "as-sent":
                msp.invoice(client, "2026-11-21", line, **ours)
            case "sent-and-edited":
                msp.invoice(client, "2026-11-21", ("workstation", 2, "9", "2026-11-01"), **ours)
            case "sent-and-voided":
                msp.invoice(client, "2026-11-21", ("workstation", 2, "0", "2026-11-01"), note="Voided", **ours)
            case "sent-twice":
                msp.invoice(client, "2026-11-21", line, **ours)
                msp.invoice(client, "2026-11-21", line, number="again", doc_number=f"M-{client}", since=LATER_DAY)
            case "sent-as-another":
                msp.invoice(client, "2026-11-21", ("workstation", 1, "5", ""), ("workstation", 1, "15", ""), **ours)


def _said(mart: Mart, client: str) -> dict[str, tuple[int, int, str]]:
    return {r["kind"]: (int(r["variance_quantity"]), int(r["variance_amount"]), r["status"]) for r in mart.rows(client)}


def test_units_that_were_invoiced_are_not_billed_again_under_another_kind(mart: Mart, after: Mart) -> None:
    assert _said(mart, "signed-late") == {"no_contract": (3, 120, "open")}
    # Of the three we sent, two are beyond the new contract and one is what it says; nothing is left of either.
    assert _said(after, "signed-late") == {"no_contract": (3, 120, "invoiced")}


def test_a_unit_invoiced_by_hand_after_we_billed_it_is_one_too_many(after: Mart) -> None:
    assert _said(after, "signed-and-sent") == {"no_contract": (3, 120, "invoiced"), "under_billed": (-1, -40, "open")}


def test_a_contract_raised_after_we_billed_the_variance_is_no_mismatch(mart: Mart, after: Mart) -> None:
    assert _said(mart, "signed-for-more") == {"under_billed": (2, 20, "open")}
    assert _said(after, "signed-for-more") == {"under_billed": (2, 20, "invoiced")}


def test_a_mismatch_is_billed_beside_the_variance_and_neither_hides_the_other(mart: Mart, after: Mart) -> None:
    assert _said(mart, "short-twice") == {"under_billed": (2, 20, "open"), "invoice_mismatch": (1, 10, "open")}
    assert _said(after, "short-twice") == {"under_billed": (2, 20, "invoiced"), "invoice_mismatch": (1, 10, "invoiced")}


def test_only_what_has_come_since_is_left_to_bill(after: Mart) -> None:
    assert _said(after, "grown-since") == {"under_billed": (1, 10, "open")}
    assert "20.00 USD of it is invoiced already" in after.row("grown-since")["explanation"]


def test_what_was_invoiced_and_is_gone_is_billed_too_many(after: Mart) -> None:
    # One is left of two agreed, and two more were sent.
    assert _said(after, "shrunk-since") == {"under_billed": (2, 20, "invoiced"), "over_billed": (-3, -30, "open")}


@pytest.mark.parametrize(
    ("client", "sentence"),
    [("still-invoiced", "No contract covers Workstation"), ("never-agreed", "bill 4: 124.00 USD too much.")],
)
def test_what_is_invoiced_without_a_contract_shows_at_the_invoice_s_price(
    mart: Mart, client: str, sentence: str
) -> None:
    row = mart.row(client)
    assert (row["kind"], row["contracted_quantity"], row["invoiced_quantity"]) == ("invoice_mismatch", 0, 4)
    assert (row["variance_quantity"], row["unit_price"], row["variance_amount"]) == (-4, 31, -124)
    assert sentence in row["explanation"]


def test_case_70_what_was_billed_too_much_is_given_back_once(mart: Mart, after: Mart) -> None:
    row = mart.row("over-paid")
    assert (row["kind"], row["variance_quantity"], row["variance_amount"]) == ("over_billed", -2, -20)
    assert row["invoiced_as"].startswith("INV")
    assert _said(after, "over-paid") == {"over_billed": (-2, -20, "invoiced")}


def test_a_credit_memo_made_by_hand_takes_from_what_was_invoiced(mart: Mart) -> None:
    row = mart.row("given-back")
    assert (row["kind"], row["invoiced_quantity"], row["variance_quantity"]) == ("invoice_mismatch", 3, 1)


def test_case_75_an_invoice_of_ours_that_somebody_touched_is_told(after: Mart) -> None:
    found = after.ask("select * from marts.invoice_drift where list_contains(?, client_id)", list(DRIFTS))
    assert {r["client_id"]: (r["drift"], r["approved_amount"], r["found_amount"]) for r in found} == {
        "sent-and-edited": ("changed", 20, 18),
        "sent-and-voided": ("voided", 20, 0),
        "sent-and-gone": ("missing", 20, 0),
        "sent-twice": ("duplicated", 20, 40),
        "sent-as-another": ("changed", 20, 20),
    }
    said = {r["client_id"]: r["explanation"] for r in found}
    assert "was posted with 20.00 USD and is 18.00 USD there now: ask who changed it" in said["sent-and-edited"]
    assert "is 20.00 USD there now, its lines not the approved ones" in said["sent-as-another"]
    assert "more than once (M-sent-twice, M-sent-twice)" in said["sent-twice"]


@pytest.mark.parametrize(
    ("client", "quantity", "amount"),
    [
        ("not-uplifted", 0, "100"),
        ("not-uplifted-and-tolerant", 0, "100"),
        ("short-and-cheap", 1, "101"),
        ("dear-and-short", 0, "-11"),
        ("same-money", -1, "0"),
    ],
)
def test_case_45_a_price_nobody_put_on_the_invoice_is_a_difference_without_a_quantity(
    mart: Mart, client: str, quantity: int, amount: str
) -> None:
    row = mart.row(client)
    assert (row["kind"], row["status"], row["is_within_tolerance"]) == ("invoice_mismatch", "open", False)
    assert (row["variance_quantity"], row["variance_amount"]) == (quantity, Decimal(amount))


def test_case_45_a_difference_in_price_says_both_sums(mart: Mart) -> None:
    assert mart.row("not-uplifted")["explanation"] == (
        "The contract says 10 Workstation, the invoices of 2026-11-01 bill 10, for 10.00 USD where the contract comes "
        "to 110.00 USD: 100.00 USD too little."
    )
    assert mart.row("same-money")["explanation"].endswith("bill 11: the money is the same.")


def test_case_40_a_sum_without_a_quantity_is_held_against_the_sum_of_the_tiers(mart: Mart) -> None:
    assert mart.rows("in-steps-by-money") == []


def test_case_68_a_price_in_another_currency_is_not_compared(mart: Mart) -> None:
    assert mart.rows("another-currency") == []


def test_case_45_what_we_billed_ourselves_counts_at_the_price_it_was_sent_at(after: Mart) -> None:
    assert _said(after, "agreed-late") == {"invoice_mismatch": (0, 8, "open"), "under_billed": (2, 20, "invoiced")}


@pytest.mark.parametrize(
    ("client", "hidden"),
    [
        # Twenty days of November by now.
        ("short-at-last", {"2026-11": True}),
        ("short-for-long", {"2026-09": False, "2026-10": False, "2026-11": False}),
        ("short-and-over", {"2026-10": False, "2026-11": True}),
        # Half of the tolerance for thirty days, for sixty-one, for eighty-one.
        ("half-short-for-long", {"2026-09": True, "2026-10": False, "2026-11": False}),
    ],
)
def test_case_48_a_small_gap_of_the_invoices_that_stays_is_listed(
    mart: Mart, client: str, hidden: dict[str, bool]
) -> None:
    rows = mart.rows(client, month=None, kind="invoice_mismatch")
    assert {f"{r['period_month']:%Y-%m}": r["is_within_tolerance"] for r in rows} == hidden
