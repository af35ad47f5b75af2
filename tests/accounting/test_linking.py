"""Invoices that exist already: made by hand, or by a ledger since restored from an older copy."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from morton_pipeline.accounting import posting
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import invoices
from morton_pipeline.ledger.invoices import NoLongerApproved

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


@pytest.mark.parametrize("is_known", [True, False], ids=["its id is known", "only its mark is"])
def test_an_invoice_of_ours_that_a_person_renumbered_is_not_sent_again(shop: Any, is_known: bool) -> None:
    shop.approve()
    # Made without an answer; where it is looked at before somebody gives it another number, its id is known.
    shop.wire.faults["POST"] = [shop.answers(500, after=True)]
    shop.post()
    (made,) = shop.made()
    if is_known:
        made["Line"][0]["Amount"] += 1
        assert shop.post()[0]["state"] == "parked"
        made["Line"][0]["Amount"] -= 1
    made["DocNumber"] = "1071"
    shop.company.forget_keys()
    (row,) = shop.post()
    assert (row["state"], row["accounting_id"], len(shop.made())) == ("posted", made["Id"], 1)


def test_a_release_lifts_what_parked_it_and_nothing_else(shop: Any) -> None:
    shop.company.add_invoice(by_hand(), AT)
    shop.limits = shop.limits.__class__(quiet_period_seconds=0, amount_per_invoice=Decimal(100))
    shop.approve()
    (row,) = shop.post()
    assert "amount_per_invoice" in row["reason"]
    (row,) = shop.post(release={row["reference"]}, actor="dana")
    assert (row["state"], "has a line of 154" in row["reason"]) == ("parked", True)
    (row,) = shop.post(release={row["reference"]}, actor="dana")
    assert row["state"] == "posted"
    said = [e["reason"] for e in invoices.events_of(shop.ledger, row["reference"]) if e["cause"].startswith("released")]
    assert [words.partition(":")[0] for words in said] == ["dana let it past", "dana let it past"]


def test_only_what_is_parked_by_a_bound_or_a_like_invoice_is_released(shop: Any) -> None:
    shop.approve()
    (row,) = shop.post()
    for reference in (row["reference"], "M202611-NOSUCHNUMBER"):
        with pytest.raises(BadInput, match="is parked by what a release lifts"):
            shop.post(release={reference}, actor="dana")


def edit_seed(shop: Any, before: str, after: str, file: str = "clients.csv") -> None:
    path = shop.book.seeds / file
    path.write_text(path.read_text("utf-8").replace(before, after), "utf-8")


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [("clients.csv", "Acme Corp,12", "Acme Corp,13"), ("services.csv", "Premium,7", "Premium,8")],
)
def test_case_57_a_customer_or_item_changed_in_the_seeds_since_the_approval_holds_it(
    shop: Any, file: str, before: str, after: str
) -> None:
    shop.approve(billed_to="12>7")
    edit_seed(shop, before, after, file)
    ((_, why),) = shop.plan().held
    assert "ann approved it for customer and item 12>7, and the seeds say 1" in why
    assert (shop.post(), shop.made()) == ([], [])


def test_case_57_an_invoice_that_was_never_made_is_not_sent_again_to_a_customer_the_seeds_no_longer_name(
    shop: Any,
) -> None:
    shop.approve(billed_to="12>7")
    shop.wire.faults["POST"] = [shop.fails(httpx.ConnectError, after=False)]
    assert shop.post()[0]["state"] == "uncertain"
    edit_seed(shop, "Acme Corp,12", "Acme Corp,13")
    (row,) = shop.post()
    assert (row["state"], shop.made()) == ("refused", [])
    assert "ann approved it for customer and item 12>7, and the seeds say 13>7 now" in row["reason"]


def test_case_57_one_row_of_another_customer_holds_only_itself(shop: Any) -> None:
    shop.approve("00000000000a", billed_to="12>7")
    shop.approve("00000000000b", billed_to="12>7")
    edit_seed(shop, "Acme Corp,12", "Acme Corp,13")
    shop.approve("00000000000c", billed_to="13>7", seal="c" * 64)
    (drafted,) = shop.plan().drafts
    assert [line.discrepancy_id for line in drafted.lines] == ["00000000000c"]


def test_an_invoice_planned_earlier_says_what_it_waits_for(shop: Any) -> None:
    shop.limits = shop.limits.__class__(quiet_period_seconds=0, amount_per_invoice=Decimal(100))
    shop.approve()
    (row,) = shop.post()
    edit_seed(shop, "Acme Corp,12", "Acme Corp,")
    (row,) = shop.post(release={row["reference"]}, actor="dana")
    assert row["state"] == "planned"
    assert "clients.csv row 2 (acme): column accounting_customer_id is empty; fill it in" in row["reason"]
    edit_seed(shop, "Acme Corp,", "Acme Corp,12")
    assert shop.post()[0]["state"] == "posted"


def test_an_invoice_whose_approval_was_undone_is_not_linked(shop: Any) -> None:
    shop.company.add_invoice(by_hand(), AT)
    shop.approve()
    (row,) = shop.post()
    shop.decide("reopen", "00000000000a")
    with pytest.raises(NoLongerApproved):
        link(shop, row["reference"])
    assert shop.only()["state"] == "parked"


@pytest.mark.parametrize("dated", ["2026-12-01", "2026-11-30", "2026-10-25"])
def test_case_71_a_month_invoiced_by_hand_in_arrears_or_in_advance_is_found(shop: Any, dated: str) -> None:
    line = {"Amount": Decimal("154.00"), "SalesItemLineDetail": {"ItemRef": {"value": "7"}}}
    shop.company.add_invoice(by_hand(TxnDate=dated, Line=[line]), AT)
    shop.approve()
    assert shop.post()[0]["state"] == "parked"


def test_an_invoice_made_without_an_answer_and_deleted_is_sent_anew_though_the_answer_is_replayed(shop: Any) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.answers(500, after=True)]
    shop.post()
    shop.company.invoices.clear()
    states = [shop.post()[0]["state"] for _ in range(2)]
    assert (states[-1], len(shop.made())) == ("posted", 1), states
