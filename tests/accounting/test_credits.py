"""What a client paid too much for is given back on a credit note, approved like any other row."""

import json
from decimal import Decimal
from typing import Any

from morton_pipeline.ledger import verify

OVER = {
    "kind": "over_billed",
    "variance_quantity": Decimal("-5.0000"),
    "variance_amount": Decimal("-110.0000"),
    "invoiced_as": "1042",
}


def test_case_70_an_over_billed_row_becomes_a_credit_note_that_names_its_invoice(shop: Any) -> None:
    shop.approve(**OVER)
    (row,) = shop.post()
    (memo,) = shop.company.credit_memos.values()
    assert shop.made() == []
    assert (row["state"], row["total_amount"], row["accounting_id"]) == ("posted", Decimal(-110), memo["Id"])
    assert (memo["DocNumber"], memo["TotalAmt"]) == (row["reference"], Decimal(110))
    (line, _) = memo["Line"]
    assert line["Description"] == (
        "Business Premium: credit for 5 × 22.00 USD, November 2026, billed on 1042 (ref 00000000000a)"
    )
    detail = line["SalesItemLineDetail"]
    assert (detail["Qty"], detail["UnitPrice"], line["Amount"]) == (5, Decimal("22.00"), Decimal("110.00"))
    assert shop.verify() == []
    assert verify(shop.ledger).is_whole


def test_money_owed_and_money_given_back_never_share_a_document(shop: Any) -> None:
    shop.approve("00000000000a", **OVER)
    shop.approve("00000000000b", service_id="edr")
    assert [draft.total_amount for draft in sorted(shop.plan().drafts, key=lambda d: d.total_amount)] == [-110, 154]
    assert [row["state"] for row in shop.post()] == ["posted", "posted"]
    assert (len(shop.made()), len(shop.company.credit_memos)) == (1, 1)


def test_case_72_a_credit_note_made_without_an_answer_is_found_and_adopted(shop: Any) -> None:
    shop.approve(**OVER)
    shop.wire.faults["POST"] = [shop.answers(500, after=True)]
    assert shop.post()[0]["state"] == "uncertain"
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.company.credit_memos) == 1


def test_what_was_never_invoiced_is_not_credited(shop: Any) -> None:
    shop.approve(**{**OVER, "invoiced_as": None})
    ((_, why),) = shop.plan().held
    assert "QuickBooks shows no invoice for that service and month to give it back on" in why
    assert shop.post() == []


def test_a_credit_is_bound_by_the_same_limits(shop: Any) -> None:
    shop.limits = shop.limits.__class__(quiet_period_seconds=0, amount_per_invoice=Decimal(100))
    shop.approve(**OVER)
    (row,) = shop.post()
    assert row["state"] == "parked"
    assert "amount_per_invoice is 100, and this invoice comes to 110" in row["reason"]


def test_a_line_that_would_read_otherwise_than_approved_is_never_sent(shop: Any) -> None:
    shop.approve()
    with shop.ledger.transaction() as con:
        ((text,),) = con.exec_driver_sql("select row from decisions").all()
        changed = json.dumps({**json.loads(text), "service_name": "Something else"})
        con.exec_driver_sql("update decisions set row = ?", (changed,))
    ((_, why),) = shop.plan().held
    assert "its line would read otherwise now: the approval is void, nothing was sent" in why
