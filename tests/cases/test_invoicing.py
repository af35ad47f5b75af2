"""What was invoiced, by us and by hand, against what is agreed and observed: nothing is billed twice, nothing is lost."""

from datetime import UTC, date, datetime

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
