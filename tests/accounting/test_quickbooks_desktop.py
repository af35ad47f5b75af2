"""The state machine through QuickBooks Desktop's requests, and what each of its answers means."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from morton_pipeline.accounting import plan, post, posting, status
from morton_pipeline.accounting.adapter import Found, difference
from morton_pipeline.accounting.drafts import Draft, request_key
from morton_pipeline.accounting.errors import LookupFailed, NotSent, OutcomeUnknown, Refused, RunStopped
from morton_pipeline.accounting.posting import open_adapter
from morton_pipeline.accounting.quickbooks_desktop import QuickBooksDesktop, message_set_id
from morton_pipeline.cli import cli
from morton_pipeline.errors import BadInput
from morton_pipeline.extract import qbxml
from morton_pipeline.ledger import invoices
from morton_pipeline.ledger.canonical import canonical
from morton_pipeline.ledger.invoices import Line
from tests.accounting.conftest import crashing
from tests.connector.desk import ACME, AT, BETA, HASH, SEAT, Desk, open_desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("QUICKBOOKS_DESKTOP_PASSWORD", HASH)
    with open_desk(tmp_path) as desk:
        yield desk


def steps(desk: Desk) -> list[str]:
    return [e["state"] for e in invoices.events_of(desk.ledger, desk.only()["reference"])]


def sets(desk: Desk) -> list[str]:
    return [set_id for set_id, _ in desk.company.adds]


def test_an_approved_row_becomes_one_invoice(desk: Desk) -> None:
    decision_id = desk.approve()
    (row,) = desk.post()
    (made,) = desk.made()
    assert (row["state"], row["accounting_id"], row["decision_ids"]) == ("posted", made["TxnID"], [decision_id])
    assert (made["RefNumber"], made["Subtotal"], made["TxnDate"]) == (row["reference"], "154.00", "2026-11-23")
    assert made["CustomerRef"]["ListID"] == ACME
    assert made["Memo"] == f"Morton {row['reference']}: {decision_id}"
    assert len(made["RefNumber"]) == 11
    (line,) = made["InvoiceLineRet"]
    assert (line["ItemRef"]["ListID"], line["Quantity"], line["Rate"]) == (SEAT, "7", "22.00000")
    assert (line["Amount"], line["ServiceDate"]) == ("154.00", "2026-11-01")
    assert steps(desk) == ["planned", "sending", "posted"]


def test_posting_again_makes_nothing_new(desk: Desk) -> None:
    desk.approve("00000000000a")
    desk.approve("00000000000b", client_id="beta")
    desk.post()
    before = len(desk.company.adds)
    for _ in range(3):
        assert desk.post() == []
    assert (len(desk.made()), len(desk.company.adds), before) == (2, 2, 2)


CARRIED_OUT = ("dies after", "garbles", "says no status")


@pytest.mark.parametrize("fault", CARRIED_OUT)
def test_case_72_an_invoice_made_without_an_answer_is_found_and_adopted(desk: Desk, fault: str) -> None:
    desk.approve()
    desk.faults = [fault]
    assert desk.post()[0]["state"] == "uncertain"
    (row,) = desk.post()
    assert (row["state"], row["accounting_id"]) == ("posted", desk.made()[0]["TxnID"])
    assert len(desk.company.adds) == 1


def test_case_72_an_invoice_never_made_is_sent_again_in_the_same_message_set(desk: Desk) -> None:
    desk.approve()
    desk.faults = ["dies before"]
    desk.post()
    assert desk.post()[0]["state"] == "posted"
    adds = [request for request in desk.company.requests if "<InvoiceAddRq" in request]
    set_id = sets(desk)[0]
    assert len(adds) == 1
    assert f'newMessageSetID="{set_id}"' in adds[0]
    assert steps(desk) == ["planned", "sending", "uncertain", "sending", "posted"]


def test_trap_3_after_a_session_that_died_the_status_is_asked_before_any_add(desk: Desk) -> None:
    desk.approve()
    desk.faults = ["dies before"]
    desk.post()
    desk.company.requests.clear()
    desk.post()
    kinds = desk.kinds()
    assert kinds[0] == "InvoiceQuery"
    assert kinds.index("status") < kinds.index("Add")
    asked = next(r for r in desk.company.requests if _is_status(r))
    assert "Rq>" not in asked.split("<QBXMLMsgsRq")[1].replace("</QBXMLMsgsRq>", ""), (
        "a status check carries nothing out"
    )


def _is_status(request: str) -> bool:
    return "newMessageSetID" in request and "oldMessageSetID" in request


def test_trap_3_an_invoice_renumbered_by_hand_is_known_by_its_message_set_and_not_added_again(desk: Desk) -> None:
    desk.approve()
    desk.faults = ["dies after"]
    desk.post()
    desk.company.edit(desk.made()[0]["TxnID"], RefNumber="1042")
    (row,) = desk.post()
    assert (row["state"], row["accounting_id"]) == ("posted", desk.made()[0]["TxnID"])
    assert len(desk.company.adds) == 1


def test_trap_3_a_company_that_lost_the_status_is_asked_by_number(desk: Desk) -> None:
    desk.company.keeps_status = False
    desk.approve()
    desk.faults = ["dies after"]
    desk.post()
    assert desk.post()[0]["state"] == "posted"
    assert len(desk.company.adds) == 1


def answering(desk: Desk, answer: str, *, to: Callable[[str], bool]) -> Callable[[], None]:
    """Have QuickBooks give some requests this answer and carry none of them out, until what is returned is called."""
    execute = desk.company.execute
    desk.company.execute = lambda request: answer if to(request) else execute(request)  # type: ignore[method-assign]
    return lambda: setattr(desk.company, "execute", execute)


def envelope(attributes: str = "", content: str = "") -> str:
    return f"<QBXML><QBXMLMsgsRs {attributes}>{content}</QBXMLMsgsRs></QBXML>"


KEPT_AND_SAYS_NOTHING = envelope('messageSetStatusCode="0"', "<InvoiceAddRs/>")
KEPT_AND_NOT_THERE = envelope('messageSetStatusCode="0"', '<InvoiceAddRs statusCode="0" statusMessage="Status OK"/>')
UNREADABLE = {
    "9001": envelope('messageSetStatusCode="9001"'),
    "9003": envelope('messageSetStatusCode="9003"'),
    "9004": envelope('messageSetStatusCode="9004"'),
    "no status": envelope(),
    "kept without a status": KEPT_AND_SAYS_NOTHING,
    "kept as made and not there": KEPT_AND_NOT_THERE,
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_trap_5_a_status_nobody_can_read_is_no_leave_to_add_and_ends_with_a_person(desk: Desk, name: str) -> None:
    desk.approve()
    desk.faults = ["dies before"]
    desk.post()
    mend = answering(desk, UNREADABLE[name], to=_is_status)
    (row,) = desk.post()
    assert (row["state"], desk.company.adds) == ("uncertain", [])
    desk.company.requests.clear()
    (row,) = desk.post()
    assert (row["state"], desk.company.adds) == ("parked", [])
    assert "InvoiceQuery" in desk.kinds(), "it was asked for by number before"
    words = name if name.isdigit() else "no status" if name == "no status" else "say"
    assert words in row["reason"]
    assert (
        f"It shows no document numbered {row['reference']} or with that mark in its note, and nothing more is sent. "
        f"Look there for one of 154 USD to customer {ACME}"
    ) in row["reason"]
    for _ in range(2):
        desk.post()
    assert (desk.only()["state"], desk.only()["reason"], desk.company.adds) == ("parked", row["reason"], [])
    mend()
    first = message_set_id(request_key(invoices.current(desk.ledger)[0]))
    (row,) = desk.post(release={row["reference"]}, actor="dana")
    assert (row["state"], len(desk.made())) == ("posted", 1)
    assert first not in sets(desk), "under its old name its status could not be read"


def test_trap_5_what_nobody_could_tell_and_is_found_later_is_taken_for_ours(desk: Desk) -> None:
    desk.approve()
    desk.faults = ["dies before"]
    desk.post()
    mend = answering(desk, UNREADABLE["9001"], to=_is_status)
    for _ in range(2):
        desk.post()
    assert desk.only()["state"] == "parked"
    payload = json.loads(invoices.current(desk.ledger)[0].payload)
    line = {"ItemRef": {"ListID": SEAT}, "Amount": "154.00"}
    fields = {"CustomerRef": {"ListID": ACME}, "RefNumber": payload["RefNumber"], "Memo": payload["Memo"]}
    txn_id = desk.company.add_by_hand("Invoice", {**fields, "InvoiceLineAdd": line})
    mend()
    (row,) = desk.post()
    assert (row["state"], row["accounting_id"], desk.company.adds) == ("posted", txn_id, [])


def test_a_row_nobody_can_tell_the_invoice_of_is_not_decided_anew(desk: Desk) -> None:
    desk.approve()
    desk.faults = ["dies before"]
    desk.post()
    answering(desk, UNREADABLE["9001"], to=_is_status)
    for _ in range(2):
        desk.post()
    assert desk.only()["state"] == "parked"
    assert len(desk.decide("reopen", "00000000000a").refused) == 1


@pytest.mark.parametrize("code", ["", "0", "1000"])
def test_trap_5_an_add_that_is_never_answered_clearly_ends_with_a_person(desk: Desk, code: str) -> None:
    desk.approve()
    status_code = f'statusCode="{code}"' if code else ""
    answering(desk, envelope("", f"<InvoiceAddRs {status_code}/>"), to=lambda request: "InvoiceAddRq" in request)
    states = [desk.post()[0]["state"] for _ in range(3)]
    assert (states, desk.made()) == (["uncertain", "parked", "parked"], [])


def test_an_add_nobody_took_was_not_sent(desk: Desk) -> None:
    desk.approve()
    desk.faults = ["not taken"]
    (row,) = desk.post()
    assert (row["state"], desk.company.adds) == ("planned", [])
    assert desk.post()[0]["state"] == "posted"


def test_what_is_recorded_quickbooks_may_forget(desk: Desk) -> None:
    desk.approve("00000000000a")
    desk.approve("00000000000b", client_id="beta")
    desk.post()
    assert desk.company.kept == {}
    assert desk.kinds().count("let go") == 2
    assert all(len(set_id) <= 24 for set_id in sets(desk))
    assert len(set(sets(desk))) == 2


def test_the_id_of_a_message_set_is_as_long_as_quickbooks_takes_and_the_keys_own() -> None:
    one, two = message_set_id("morton-a"), message_set_id("morton-b")
    assert (len(one), one == message_set_id("morton-a"), one != two) == (24, True, True)
    with pytest.raises(ValueError, match="at most 24"):
        qbxml.message_set(new_id="x" * 25)


ANSWERED = {
    "0 with an invoice": ('statusCode="0"', "<InvoiceRet><TxnID>1-1</TxnID></InvoiceRet>", None),
    "a warning with an invoice": ('statusCode="530"', "<InvoiceRet><TxnID>1-1</TxnID></InvoiceRet>", None),
    "0 without an invoice": ('statusCode="0"', "", OutcomeUnknown),
    "no status": ("", "<InvoiceRet><TxnID>1-1</TxnID></InvoiceRet>", OutcomeUnknown),
    "an internal error": ('statusCode="1000"', "", OutcomeUnknown),
    "not supported": ('statusCode="2000"', "", Refused),
    "a bad reference": ('statusCode="3140"', "", Refused),
    "no permission": ('statusCode="3260"', "", RunStopped),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_trap_5_what_an_add_is_answered_with(desk: Desk, name: str) -> None:
    status, content, error = ANSWERED[name]
    desk.approve()
    payload = desk.plan().drafts[0].payload
    adapter = scripted(desk, f"<InvoiceAddRs {status}>{content}</InvoiceAddRs>", of="InvoiceAddRq")
    if error is None:
        assert adapter.create(payload, "k", is_credit=False) == "1-1"
        return
    with pytest.raises(error):
        adapter.create(payload, "k", is_credit=False)


ASKED = {
    "nothing fits": ('statusCode="1"', []),
    "nothing has that key": ('statusCode="500" statusMessage="No matches"', []),
    "failed": ('statusCode="3000"', LookupFailed),
    "failed in general": ('statusCode="1010"', LookupFailed),
    "no status": ("", LookupFailed),
    "no permission": ('statusCode="3260"', RunStopped),
}


@pytest.mark.parametrize("name", ASKED)
def test_trap_5_status_1_and_500_both_mean_absent_3000_failed_and_none_unknown(desk: Desk, name: str) -> None:
    status, expected = ASKED[name]
    adapter = scripted(desk, f"<InvoiceQueryRs {status}/>", of="InvoiceQueryRq")
    wanted = Found("", "MABCDEFGHIJ", ACME, "USD", (), "")
    if expected == []:
        assert adapter.find(wanted) == []
        return
    with pytest.raises(expected):
        adapter.find(wanted)


def scripted(desk: Desk, answer: str, *, of: str) -> QuickBooksDesktop:
    """The adapter of a QuickBooks that gives one kind of request this answer."""

    def ask(request: str) -> str:
        return f"<QBXML><QBXMLMsgsRs>{answer}</QBXMLMsgsRs></QBXML>" if f"<{of}>" in request else desk.ask(request)

    return QuickBooksDesktop("desktop", ask, home_currency="USD", is_pending=False, today=lambda: AT.date())


def draft(**changes: Any) -> Draft:
    line = Line(
        "d1", "00000000000a", "m365_bp", "under_billed", Decimal(7), Decimal("22.00"), Decimal("154.00"), "Seats"
    )
    base = Draft(
        invoice_id="i", reference="MABCDEFGHIJ", destination="desktop", client_id="acme", client_name="Acme Corp",
        customer_id=ACME, period_month=date(2026, 11, 1), currency="USD", total_amount=Decimal("154.00"), lines=[line],
        item_ids=[SEAT],
    )  # fmt: skip
    return replace(base, **changes)


def test_trap_4_a_number_of_12_characters_is_refused_never_cut(desk: Desk) -> None:
    adapter = desk.adapter()
    assert json.loads(adapter.render(draft()))["RefNumber"] == "MABCDEFGHIJ"
    with pytest.raises(BadInput, match=r"Acme Corp.*12 characters, 11 are the most"):
        adapter.render(draft(reference="MABCDEFGHIJK"))


def test_texts_beyond_quickbooks_limits_are_refused(desk: Desk) -> None:
    adapter, line = desk.adapter(), draft().lines[0]
    many = [replace(line, decision_id=f"{n:012x}") for n in range(400)]
    with pytest.raises(BadInput, match=r"Acme Corp.*names 400 decisions"):
        adapter.render(draft(lines=many, item_ids=[SEAT] * 400))
    with pytest.raises(BadInput, match=r"m365_bp has 4096 characters"):
        adapter.render(draft(lines=[replace(line, description="x" * 4096)]))
    with pytest.raises(BadInput, match=r"no XML can carry"):
        adapter.render(draft(lines=[replace(line, description="a\x0bb")]))
    assert adapter.render(draft(lines=[replace(line, description="x" * 4095)]))


def test_what_is_beyond_a_limit_is_held_with_its_reason(desk: Desk) -> None:
    desk.approve(service_name="x" * 4096)
    ((_, why),) = desk.plan().held
    assert "Give the service a shorter name in services.csv" in why
    assert desk.post() == []


def test_quickbooks_refuses_no_number_twice_so_two_of_one_number_wait_for_a_person(desk: Desk) -> None:
    desk.approve()
    desk.faults = ["dies after"]
    desk.post()
    (made,) = desk.made()
    desk.company.add_by_hand("Invoice", {"CustomerRef": made["CustomerRef"], "RefNumber": made["RefNumber"]})
    (row,) = desk.post()
    assert row["state"] == "parked"
    assert "has 2 invoices numbered" in row["reason"]


def test_a_number_in_other_letters_is_another_number(desk: Desk) -> None:
    desk.approve()
    number = desk.plan().drafts[0].reference
    desk.company.add_by_hand("Invoice", {"CustomerRef": {"ListID": ACME}, "RefNumber": number.lower()})
    assert desk.post()[0]["state"] == "posted"
    assert len(desk.made()) == 2


def test_an_inactive_customer_is_named_and_the_others_go_on(desk: Desk) -> None:
    desk.company.add_customer(ACME, "Acme Corp", active=False)
    desk.approve("00000000000a")
    desk.approve("00000000000b", client_id="beta")
    rows = {row["client_id"]: row for row in desk.post()}
    assert (rows["acme"]["state"], rows["beta"]["state"]) == ("refused", "posted")
    assert "The customer Acme Corp (80000012-1326159291) is inactive" in rows["acme"]["reason"]
    desk.company.add_customer(ACME, "Acme Corp")
    assert {row["state"] for row in desk.post()} == {"posted"}


def test_a_customer_who_is_not_there_is_named(desk: Desk) -> None:
    del desk.company.customers[ACME]
    desk.approve()
    (row,) = desk.post()
    assert row["state"] == "refused"
    assert f"There is no customer {ACME}. Correct accounting_customer_id in clients.csv" in row["reason"]


def test_an_inactive_item_is_refused_in_quickbooks_words_and_sent_once_mended(desk: Desk) -> None:
    desk.company.add_item(SEAT, "Business Premium", active=False)
    desk.approve()
    (row,) = desk.post()
    assert row["state"] == "refused"
    assert "invalid reference to QuickBooks Item" in row["reason"]
    desk.company.add_item(SEAT, "Business Premium")
    assert desk.post()[0]["state"] == "posted"
    first, second = sets(desk)
    assert first != second, "what was refused would be refused again under its old name"


@pytest.mark.parametrize(("theirs", "ours"), [("Euro", "USD"), ("", "EUR"), ("Zorkmid", "USD")])
def test_a_customer_of_another_currency_is_refused_before_anything_is_added(desk: Desk, theirs: str, ours: str) -> None:
    desk.company.add_customer(ACME, "Acme Corp", currency=theirs)
    desk.approve(currency=ours)
    (row,) = desk.post()
    assert (row["state"], desk.company.adds) == ("refused", [])
    assert f"and this is in {ours}" in row["reason"]


def test_a_customer_of_the_invoices_own_currency_is_invoiced(desk: Desk) -> None:
    desk.company.add_customer(ACME, "Acme Corp", currency="Euro")
    desk.approve(currency="EUR")
    assert desk.post()[0]["state"] == "posted"


def test_the_home_currency_is_what_the_connection_says(desk: Desk) -> None:
    desk.settings = {"currency": "CAD"}
    desk.approve(currency="CAD")
    assert desk.post()[0]["state"] == "posted"


def test_a_closed_period_waits_for_a_person_and_is_sent_once_opened(desk: Desk) -> None:
    desk.company.closed_until = date(2026, 11, 30)
    desk.approve()
    (row,) = desk.post()
    assert row["state"] == "parked"
    assert "The books are closed in QuickBooks Desktop" in row["reason"]
    desk.company.closed_until = None
    assert desk.post()[0]["state"] == "posted"


def test_an_invoice_changed_by_hand_before_it_was_found_waits_for_a_person(desk: Desk) -> None:
    desk.approve()
    desk.faults = ["dies after"]
    desk.post()
    (made,) = desk.made()
    made["InvoiceLineRet"][0]["Amount"] = made["Subtotal"] = "153.99"
    (row,) = desk.post()
    assert row["state"] == "parked"
    assert "153.99" in row["reason"]


def test_a_voided_invoice_is_seen_and_not_sent_again(desk: Desk) -> None:
    desk.approve()
    desk.faults = ["dies after"]
    desk.post()
    desk.company.void(desk.made()[0]["TxnID"])
    (row,) = desk.post()
    assert row["state"] == "refused"
    assert "was voided" in row["reason"]
    desk.post()
    assert len(desk.company.adds) == 1


def test_verify_tells_what_was_deleted_and_what_was_changed(desk: Desk) -> None:
    desk.approve("00000000000a")
    desk.approve("00000000000b", client_id="beta")
    desk.post()
    assert desk.verify() == []
    gone, changed = desk.made()
    desk.company.delete(gone["TxnID"])
    changed["CustomerRef"] = {"ListID": "80000099-1"}
    reasons = sorted(row["reason"] for row in desk.verify())
    assert len(reasons) == 2
    assert {"it is gone" in r or "it is for customer" in r for r in reasons} == {True}


def test_what_was_over_billed_is_given_back_by_a_credit_memo(desk: Desk) -> None:
    line = replace(draft().lines[0], quantity=Decimal(-3), amount=Decimal("-66.00"))
    payload = desk.adapter().render(draft(lines=[line], total_amount=Decimal("-66.00")))
    expected = desk.adapter().expect(payload, is_credit=True)
    txn_id = desk.adapter().create(payload, "k", is_credit=True)
    (made,) = desk.made("CreditMemo")
    assert (made["TxnID"], made["Subtotal"], made["CreditMemoLineRet"][0]["Quantity"]) == (txn_id, "66.00", "3")
    (found,) = desk.adapter().find(expected)
    assert (found.is_credit, found.net_amount, difference(expected, found)) == (True, Decimal("-66.00"), None)
    assert desk.adapter().read_back(expected, txn_id) == found
    assert desk.adapter().list_since(date(2026, 11, 1)) == [found]
    assert desk.made() == []


def test_an_approved_credit_is_posted_once_as_a_credit_memo(desk: Desk) -> None:
    favour = {"variance_quantity": Decimal(-3), "variance_amount": Decimal("-66.00"), "invoiced_as": "1042"}
    desk.approve(kind="over_billed", **favour)
    desk.faults = ["dies after"]
    assert desk.post()[0]["state"] == "uncertain"
    (row,) = desk.post()
    (made,) = desk.made("CreditMemo")
    assert (row["state"], row["total_amount"], row["accounting_id"]) == ("posted", Decimal("-66.00"), made["TxnID"])
    assert (len(desk.company.adds), desk.made(), desk.verify()) == (1, [], [])


def test_pending_invoices_stay_out_of_the_books_until_a_person_makes_them_final(desk: Desk) -> None:
    desk.settings = {"pending": True}
    desk.approve()
    assert desk.post()[0]["state"] == "posted"
    assert desk.made()[0]["IsPending"] == "true"
    (found,) = desk.adapter().list_since(date(2026, 11, 1))
    assert (found.is_draft, desk.adapter().is_to_release(found)) == (True, False)


def test_money_is_text_and_decimal_and_never_rounded_again(desk: Desk) -> None:
    desk.approve(variance_quantity=Decimal(3), unit_price=Decimal("0.333"), variance_amount=Decimal("1.00"))
    (row,) = desk.post()
    request = next(r for r in desk.company.requests if "<InvoiceAddRq" in r)
    assert "<Quantity>3</Quantity><Amount>1.00</Amount>" in request
    assert (row["state"], row["total_amount"]) == ("posted", Decimal("1.00"))
    expected = desk.adapter().expect(invoices.current(desk.ledger)[0].payload, is_credit=False)
    assert expected.net_amount == Decimal("1.00")


def test_what_is_planned_is_what_the_intent_keeps_and_what_each_element_of_the_request_says(desk: Desk) -> None:
    desk.approve("00000000000a", service_name="Büro & <Co>")
    desk.approve("00000000000b", seal="b" * 64)
    (drafted,) = desk.plan().drafts
    desk.post()
    (invoice,) = invoices.current(desk.ledger)
    assert (invoice.payload, invoice.payload_sha256) == (drafted.payload, drafted.payload_sha256)
    request = next(r for r in desk.company.requests if "<InvoiceAddRq" in r)
    said = qbxml.answers(request.replace("QBXMLMsgsRq", "QBXMLMsgsRs"))["InvoiceAddRq"]["InvoiceAdd"]
    assert said.pop("TxnDate") == "2026-11-23"
    lines = said.pop("InvoiceLineAdd")
    assert canonical({**said, "Lines": lines, "Currency": "USD"}) == drafted.payload


def test_the_plan_shows_the_hash_of_each_body(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.approve("00000000000a")
    desk.approve("00000000000b", client_id="beta")
    monkeypatch.setattr("morton_pipeline.reports.mart.by_id", lambda *_, **__: desk.rows)
    monkeypatch.setattr("morton_pipeline.seeds.refuse_wrong", lambda *_: None)
    monkeypatch.setattr("morton_pipeline.reconcile.changed_since_built", lambda *_: "")
    command = ["--book", str(desk.book.root), "invoices", "plan"]
    rows = json.loads(CliRunner().invoke(cli, [*command, "--format", "json"]).stdout)
    hashes = [hashlib.sha256(row["payload"].encode()).hexdigest() for row in rows]
    assert [row["payload_sha256"] for row in rows] == hashes
    shown = re.sub(r"\s", "", CliRunner().invoke(cli, command).stdout)
    assert [h for h in hashes if h[:12] not in shown] == []
    assert len(set(hashes)) == 2


def test_names_with_marks_of_xml_and_letters_of_other_alphabets_arrive_whole(desk: Desk) -> None:
    name = 'R&D <b> "é" – 日本'
    desk.approve(service_name=name)
    desk.post()
    assert desk.made()[0]["InvoiceLineRet"][0]["Desc"].startswith(f"{name}: ")
    assert next(r for r in desk.company.requests if "<InvoiceAddRq" in r).isascii()


def test_every_document_since_a_day_is_listed_page_by_page(desk: Desk) -> None:
    ref, line = {"ListID": BETA}, {"ItemRef": {"ListID": SEAT}, "Quantity": "2", "Rate": "22.00"}
    for number in range(120):
        fields = {"CustomerRef": ref, "RefNumber": str(number), "InvoiceLineAdd": line}
        desk.company.add_by_hand("Invoice", {**fields, "TxnDate": "2026-11-02" if number else "2026-09-30"})
    found = desk.adapter().list_since(date(2026, 10, 1))
    assert [f.reference for f in found] == [str(n) for n in range(1, 120)]
    assert {f.net_amount for f in found} == {Decimal(44)}


def test_a_line_that_only_adds_up_others_does_not_count_twice(desk: Desk) -> None:
    line = {"ItemRef": {"ListID": SEAT}, "Amount": "44.00"}
    txn_id = desk.company.add_by_hand("Invoice", {"CustomerRef": {"ListID": BETA}, "InvoiceLineAdd": [line, line]})
    desk.company.edit(txn_id, Subtotal="44.00")
    (found,) = desk.adapter().list_since(date(2026, 11, 1))
    assert found.net_amount == Decimal(44)


def test_an_invoice_made_by_hand_for_the_same_is_proposed_for_linking(desk: Desk) -> None:
    line = {"ItemRef": {"ListID": SEAT}, "Amount": "154.00", "ServiceDate": "2026-11-01"}
    fields = {"CustomerRef": {"ListID": ACME}, "RefNumber": "1042", "InvoiceLineAdd": line}
    desk.company.add_by_hand("Invoice", fields)
    desk.approve()
    (row,) = desk.post()
    assert (row["state"], desk.company.adds) == ("parked", [])
    assert "(1042) has a line of 154" in row["reason"]


def test_without_permission_the_run_stops_and_says_what_to_allow(desk: Desk) -> None:
    desk.approve()
    desk.company.answer_refusal = (3260, "Insufficient permission level to perform this action.")
    with pytest.raises(RunStopped, match=r"Preferences, Integrated Applications"):
        desk.post()
    assert desk.only()["state"] == "planned"


def test_a_question_nobody_took_sends_nothing(desk: Desk) -> None:
    def ask(_: str) -> str:
        raise qbxml.Unanswered("the Web Connector closed the connection.", was_handed_over=False)

    adapter = QuickBooksDesktop("desktop", ask, home_currency="USD", is_pending=False, today=lambda: AT.date())
    with pytest.raises(NotSent):
        adapter.list_since(date(2026, 11, 1))
    adapter.close()


def test_outside_a_visit_invoices_are_planned_and_posting_says_what_to_run(desk: Desk) -> None:
    desk.approve()
    (drafted,) = plan(desk.book, desk.ledger, desk.rows).drafts
    assert json.loads(drafted.payload)["RefNumber"] == drafted.reference
    with pytest.raises(RunStopped, match=r"fetches its work itself.*`morton connector`"):
        post(desk.book, desk.ledger, desk.rows, at=AT)
    with pytest.raises(RunStopped, match=r"`morton connector`"):
        open_adapter(desk.book, desk.ledger).list_since(date(2026, 11, 1))
    assert desk.company.requests == []


def by_hand(desk: Desk, amount: str = "154.00") -> str:
    line = {"ItemRef": {"ListID": SEAT}, "Amount": amount, "ServiceDate": "2026-11-01"}
    fields = {"CustomerRef": {"ListID": ACME}, "RefNumber": "1042", "InvoiceLineAdd": line}
    return desk.company.add_by_hand("Invoice", fields)


def ask_to_link(desk: Desk, txn_id: str) -> dict[str, Any]:
    """Ask for it as the command does, while no visit is on."""
    return posting.link(desk.book, desk.ledger, desk.only()["reference"], txn_id, at=AT, actor="dana")


def test_case_71_a_link_asked_for_between_visits_is_written_down_and_made_at_the_next(desk: Desk) -> None:
    txn_id = by_hand(desk)
    desk.approve()
    assert desk.post()[0]["state"] == "parked"
    asked, before = ask_to_link(desk, txn_id), len(desk.company.requests)
    assert (asked["state"], len(desk.company.requests) - before) == ("planned", 0)
    assert asked["reason"] == (
        f"dana wants it linked to QuickBooks Desktop invoice {txn_id}: will be done at the Web Connector's next visit, "
        "and it is not sent before."
    )
    (row,) = desk.post()
    assert (row["state"], row["accounting_id"], desk.company.adds) == ("posted", txn_id, [])
    assert row["reason"] == "dana linked it to QuickBooks Desktop invoice 1042; nothing was sent."
    assert (desk.post(), desk.verify()) == ([], [])


@pytest.mark.parametrize(
    ("chosen", "why"),
    [("another amount", "its net total is 153.99, not 154 USD"), ("none", "has no invoice 9-9 that stands"),
     ("no id", "refused the query for Invoice")],
)  # fmt: skip
def test_what_cannot_be_linked_is_parked_with_the_reason_and_never_sent_by_itself(
    desk: Desk, chosen: str, why: str
) -> None:
    desk.limits = replace(desk.limits, amount_per_invoice=Decimal(100))
    desk.approve()
    desk.post()
    desk.limits = replace(desk.limits, amount_per_invoice=Decimal(1000))
    if chosen == "no id":
        desk.company.answer_refusal = (3000, 'The given object ID "x" in the field "list id" is invalid.')
    ask_to_link(desk, {"another amount": by_hand(desk, "153.99"), "none": "9-9", "no id": "x"}[chosen])
    reasons = {desk.post()[0]["reason"]}
    desk.company.answer_refusal = None
    reasons |= {row["reason"] for _ in range(2) for row in desk.post()}
    assert (desk.only()["state"], desk.company.adds, len(reasons)) == ("parked", [], 1)
    assert "dana wanted it linked" in min(reasons)
    assert why in min(reasons)
    (row,) = desk.post(release={desk.only()["reference"]}, actor="dana")
    assert (row["state"], len(desk.company.adds)) == ("posted", 1)


def test_a_link_that_got_no_answer_stays_asked_for_and_nothing_is_sent(desk: Desk) -> None:
    txn_id = by_hand(desk)
    desk.approve()
    desk.post()
    ask_to_link(desk, txn_id)

    def lost(was_handed_over: bool) -> Any:
        def ask(_: str) -> str:
            raise qbxml.Unanswered("the Web Connector closed the connection.", was_handed_over=was_handed_over)

        return QuickBooksDesktop("desktop", ask, home_currency="USD", is_pending=False, today=lambda: AT.date())

    for was_handed_over in (True, False):
        post(desk.book, desk.ledger, desk.rows, at=AT, adapter=lost(was_handed_over))
        assert (desk.only()["state"], desk.company.adds) == ("planned", [])
    assert desk.post()[0]["state"] == "posted"
    assert desk.company.adds == []


def test_a_link_whose_approval_was_undone_is_not_made(desk: Desk) -> None:
    txn_id = by_hand(desk)
    desk.approve()
    desk.post()
    ask_to_link(desk, txn_id)
    desk.decide("reopen", "00000000000a")
    desk.post()
    assert (desk.only()["state"], desk.company.adds) == ("refused", [])
    assert "Taken back before it was sent" in desk.only()["reason"]


def test_an_id_no_system_gives_is_not_written_down(desk: Desk) -> None:
    desk.approve()
    by_hand(desk)
    desk.post()
    with pytest.raises(BadInput, match="no ids of 61 characters"):
        ask_to_link(desk, "x" * 61)
    assert desk.only()["state"] == "parked"


def test_what_is_released_between_visits_is_sent_at_the_next(desk: Desk) -> None:
    by_hand(desk)
    desk.approve()
    reference = desk.post()[0]["reference"]
    (row,) = post(desk.book, desk.ledger, desk.rows, at=AT, release={reference}, actor="dana")
    assert (row["state"], desk.company.adds) == ("planned", [])
    assert desk.post()[0]["state"] == "posted"


def test_invoices_are_read_back_at_the_next_visit_and_each_says_what_was_found(desk: Desk) -> None:
    decisions = [desk.approve("00000000000a"), desk.approve("00000000000b", client_id="beta")]
    desk.post()
    posted_at = {row["reference"]: row["updated_at"] for row in status(desk.ledger)}
    before = len(desk.company.requests)
    asked = posting.ask_to_verify(desk.book, desk.ledger, at=AT, actor="dana")
    assert {(r["state"], r["reason"]) for r in asked} == {
        ("posted", "dana wants it read back: will be done at the Web Connector's next visit.")
    }
    posting.ask_to_verify(desk.book, desk.ledger, at=AT, actor="dana")
    assert len(desk.company.requests) == before
    gone, kept = desk.made()
    desk.company.delete(gone["TxnID"])
    read, drifted = posting.verify_as_asked(desk.ledger, desk.adapter(), at=AT, actor="w")
    assert (len(read), [row["accounting_id"] for row in drifted]) == (2, [gone["TxnID"]])
    assert {row["accounting_id"]: row["reason"] for row in status(desk.ledger)} == {
        gone["TxnID"]: f"Read back on 2026-11-23: QuickBooks Desktop invoice {gone['TxnID']}: it is gone.",
        kept["TxnID"]: "Read back on 2026-11-23: it is as it was approved.",
    }
    assert {row["reference"]: row["updated_at"] for row in status(desk.ledger)} == posted_at, (
        "a remark moves nothing: what the lists say of it still counts"
    )
    assert posting.verify_as_asked(desk.ledger, desk.adapter(), at=AT, actor="w") == ([], [])
    assert (desk.post(), len(decisions), len(desk.company.adds)) == ([], 2, 2)


def test_what_a_reading_back_did_not_reach_stays_asked_for(desk: Desk) -> None:
    desk.approve("00000000000a")
    desk.approve("00000000000b", client_id="beta")
    desk.post()
    posting.ask_to_verify(desk.book, desk.ledger, at=AT, actor="dana")
    reads = 0

    def ask(request: str) -> str:
        nonlocal reads
        reads += "<TxnID>" in request
        if reads > 1:
            raise qbxml.Unanswered("the Web Connector closed the connection.", was_handed_over=False)
        return desk.ask(request)

    adapter = QuickBooksDesktop("desktop", ask, home_currency="USD", is_pending=False, today=lambda: AT.date())
    with pytest.raises(NotSent):
        posting.verify_as_asked(desk.ledger, adapter, at=AT, actor="w")
    read, drifted = posting.verify_as_asked(desk.ledger, desk.adapter(), at=AT, actor="w")
    assert (len(read), drifted) == (1, [])


ASKED_FOR = ("note link", "link", "refuse link", "remark asked", "remark read_back")


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("what", ASKED_FOR)
def test_a_crash_around_what_is_asked_for_loses_it_not_and_does_it_once(desk: Desk, side: str, what: str) -> None:
    txn_id = by_hand(desk)
    desk.approve()
    desk.post()

    def ask_and_come(chosen: str) -> None:
        if desk.only()["state"] != "posted":
            ask_to_link(desk, chosen)
        desk.post()
        posting.ask_to_verify(desk.book, desk.ledger, at=AT, actor="dana")
        posting.verify_as_asked(desk.ledger, desk.adapter(), at=AT, actor="w")

    reached: list[str] = []
    with crashing(f"{side} {what}", reached):
        ask_and_come("9-9" if what == "refuse link" else txn_id)
    assert reached == [f"{side} {what}"], "the place is on the way"
    ask_and_come(txn_id)
    row = desk.only()
    assert (row["state"], row["accounting_id"], desk.company.adds) == ("posted", txn_id, [])
    assert row["reason"] == "Read back on 2026-11-23: it is as it was approved."


def test_a_linked_invoice_is_read_back_like_any_other(desk: Desk) -> None:
    txn_id = by_hand(desk)
    desk.approve()
    desk.post()
    ask_to_link(desk, txn_id)
    desk.post()
    for said in ("it is as it was approved.", f"QuickBooks Desktop invoice {txn_id}: its net total is 0, not 154 USD."):
        posting.ask_to_verify(desk.book, desk.ledger, at=AT, actor="dana")
        posting.verify_as_asked(desk.ledger, desk.adapter(), at=AT, actor="w")
        assert desk.only()["reason"] == f"Read back on 2026-11-23: {said}"
        desk.company.void(txn_id)


def test_no_secret_is_in_what_is_sent_or_said(desk: Desk) -> None:
    desk.approve()
    desk.faults = ["dies after"]
    said = str(desk.post()) + str(desk.post()) + "".join(desk.company.requests)
    assert HASH not in said
