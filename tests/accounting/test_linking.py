"""Invoices that exist already: made by hand, or by a ledger since restored from an older copy."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from morton_pipeline.accounting import posting
from morton_pipeline.errors import BadInput

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)


def by_hand(amount: str = "154.00", **changes: Any) -> dict[str, Any]:
    detail = {"ItemRef": {"value": "7"}, "ServiceDate": "2026-11-15"}
    line = {"Amount": Decimal(amount), "SalesItemLineDetail": detail}
    return {"CustomerRef": {"value": "12"}, "DocNumber": "1070", "Line": [line]} | changes


def link(shop: Any, reference: str, accounting_id: str = "101") -> dict[str, Any]:
    return posting.link(shop.book, shop.ledger, reference, accounting_id, at=AT, actor="dana", adapter=shop.adapter())


def test_case_71_a_link_is_proposed_and_taken_instead_of_a_second_invoice(shop: Any) -> None:
    shop.company.add_invoice(by_hand(), AT)
    shop.approve()
    (row,) = shop.post()
    assert f"link it (`morton invoices link {row['reference']} 101`)" in row["reason"]
    linked = link(shop, row["reference"])
    assert (linked["state"], linked["accounting_id"]) == ("posted", "101")
    assert linked["reason"] == "dana linked it to QuickBooks invoice 1070; nothing was sent."
    assert shop.post() == []
    assert (len(shop.made()), shop.wire.posts(), shop.verify()) == (1, [], [])


def test_a_linked_invoice_that_changes_is_reported_like_any_other(shop: Any) -> None:
    shop.company.add_invoice(by_hand(), AT)
    shop.approve()
    link(shop, shop.post()[0]["reference"])
    shop.company.change_invoice({"Id": "101", "SyncToken": "0"}, AT, void=True)
    (drifted,) = shop.verify()
    assert "its net total is 0, not 154" in drifted["reason"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (by_hand("150.00"), "its net total is 150, not 154 USD"),
        (by_hand(CustomerRef={"value": "13"}), "it is for customer 13, not 12"),
    ],
    ids=["another amount", "another client"],
)
def test_what_does_not_bill_the_same_is_not_linked(shop: Any, other: dict[str, Any], said: str) -> None:
    shop.company.add_invoice(other, AT)
    shop.limits = shop.limits.__class__(quiet_period_seconds=0, amount_per_invoice=Decimal(1))
    shop.approve()
    (row,) = shop.post()
    with pytest.raises(BadInput, match=said):
        link(shop, row["reference"])
    assert shop.only()["state"] == "parked"


def test_one_document_stands_for_one_invoice(shop: Any) -> None:
    shop.company.add_invoice(by_hand(), AT)
    shop.approve("00000000000a")
    link(shop, shop.post()[0]["reference"])
    shop.limits = shop.limits.__class__(quiet_period_seconds=0, amount_per_invoice=Decimal(1))
    shop.approve("00000000000b")
    (row,) = [r for r in shop.post() if r["state"] == "parked"]
    with pytest.raises(BadInput, match=r"stands for M202611-[A-Z0-9]+ already"):
        link(shop, row["reference"])


def test_a_posted_invoice_is_not_linked_again(shop: Any) -> None:
    shop.approve()
    (row,) = shop.post()
    with pytest.raises(BadInput, match="only one that waits to be sent can be linked"):
        link(shop, row["reference"], row["accounting_id"])


def restore_to_empty(shop: Any) -> None:
    """Put back the ledger as it was before anything was decided."""
    with shop.ledger.transaction() as con:
        con.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for table in ("invoice_events", "invoice_lines", "invoices", "decisions", "audit"):
            con.exec_driver_sql(f"delete from {table}")
        con.exec_driver_sql(f"update chain_head set seq = 0, hash = '{'0' * 64}'")


def test_a_ledger_restored_from_yesterday_does_not_send_twice(shop: Any) -> None:
    shop.approve()
    (first,) = shop.post()
    restore_to_empty(shop)
    # Decided anew on another day, and by way of another decision: its reference is another one too.
    shop.approve()
    shop.decide("reopen", "00000000000a")
    shop.approve()
    (row,) = shop.post()
    assert (row["state"], len(shop.made())) == ("parked", 1)
    assert row["reference"] != first["reference"]
    assert "bills row 00000000000a already and is unknown to this ledger" in row["reason"]
    (unknown,) = [r for r in shop.verify() if r["state"] == "unknown"]
    assert (unknown["reference"], unknown["accounting_id"]) == (first["reference"], first["accounting_id"])
    assert link(shop, row["reference"], first["accounting_id"])["state"] == "posted"
    assert (shop.post(), len(shop.made())) == ([], 1)


def test_an_invoice_out_of_proportion_to_the_month_before_is_parked(shop: Any) -> None:
    shop.company.add_invoice(by_hand("60.00", TxnDate="2026-10-01", DocNumber="1001"), AT)
    shop.approve()
    (row,) = shop.post()
    assert row["state"] == "parked"
    assert (
        "It comes to 154 USD, and all that QuickBooks has for this client in October 2026 is 60: more than "
        "limits.change_factor (2) times that."
    ) in row["reason"]
    assert shop.post(release={row["reference"]})[0]["state"] == "posted"
