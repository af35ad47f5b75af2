"""A real SOAP client against our service: who is let in, what a visit does, and what is refused."""

import threading
import time
from contextlib import suppress
from decimal import Decimal
from typing import Any

import httpx
import pytest
import zeep.exceptions
from click.testing import CliRunner

from morton_pipeline.accounting import status
from morton_pipeline.cli import cli
from morton_pipeline.connector import service as service_module
from morton_pipeline.simulator.quickbooks_desktop import Died, WebConnector
from morton_pipeline.warehouse.load import latest
from tests.connector.conftest import Serve, client
from tests.connector.desk import ACME, PASSWORD, SEAT, Desk

SILENCE = 1.5
"""Seconds after which a visit nothing is heard of is over: longer than a busy machine takes for one request."""


def connector(desk: Desk, serving: Any, **changes: Any) -> WebConnector:
    return WebConnector(desk.company, client(serving.url), "desktop", PASSWORD, **changes)


def faults(*planned: str) -> Any:
    """The next Adds fail so, one by one."""
    left = list(planned)
    return lambda request: left.pop(0) if left and "AddRq" in request else ""


def test_a_visit_sends_what_is_approved_and_reads_every_list(desk: Desk, serve: Serve) -> None:
    desk.approve("00000000000a")
    desk.approve("00000000000b", client_id="beta", service_id="edr", service_name="Managed EDR")
    with serve() as serving:
        quickbooks = connector(desk, serving)
        told = quickbooks.visit()
        serving.rest()
        assert told == "Invoices: 2 posted. Lists read: 4 of 4."
        assert quickbooks.percents[-1] == 100
        assert quickbooks.percents == sorted(quickbooks.percents)
        assert [row["state"] for row in status(desk.ledger)] == ["posted", "posted"]
        read = {one["endpoint"]: (one["status"], one["record_count"]) for one in latest(desk.book)}
        assert read == {
            "customers": ("complete", 2), "items": ("complete", 2), "invoices": ("complete", 2),
            "invoice_lines": ("complete", 2),
        }  # fmt: skip
        assert quickbooks.visit() == "none", "nothing is left to do"
    assert len(desk.company.adds) == 2


def test_case_57_what_was_approved_on_older_facts_waits_until_the_marts_are_built_anew(
    desk: Desk, serve: Serve
) -> None:
    desk.approve("00000000000a")
    desk.changed = "The seeds or connections.yaml were edited after the marts were built."
    with serve() as serving:
        quickbooks = connector(desk, serving)
        told = quickbooks.visit()
        serving.rest()
        assert told == (
            "The seeds or connections.yaml were edited after the marts were built. They are built anew now, and what is "
            "approved is sent at the next visit. Lists read: 4 of 4."
        )
        assert desk.company.adds == []
        assert quickbooks.visit() == "Invoices: 1 posted."


def morton(desk: Desk, *words: str) -> Any:
    done = CliRunner().invoke(cli, ["--book", str(desk.book.root), "invoices", *words])
    assert done.exit_code == 0, done.output
    return done


def test_case_71_what_is_asked_between_visits_is_done_by_the_next_which_says_the_outcome(
    desk: Desk, serve: Serve
) -> None:
    line = {"ItemRef": {"ListID": SEAT}, "Amount": "154.00", "ServiceDate": "2026-11-01"}
    by_hand = desk.company.add_by_hand("Invoice", {"CustomerRef": {"ListID": ACME}, "InvoiceLineAdd": line})
    desk.approve("00000000000a")
    desk.approve("00000000000b", client_id="beta", service_id="edr", service_name="Managed EDR")
    next_visit = "will be done at the Web Connector's next visit"
    with serve() as serving:
        quickbooks = connector(desk, serving)
        assert quickbooks.visit() == "Invoices: 1 parked, 1 posted. Lists read: 4 of 4."
        serving.rest()
        assert quickbooks.visit() == "none"
        (reference,) = [row["reference"] for row in status(desk.ledger) if row["state"] == "parked"]
        assert next_visit in morton(desk, "link", reference, by_hand, "--as", "dana").stderr
        assert "dana wants it linked" in morton(desk, "status", "--format", "json").stdout
        assert quickbooks.visit() == "Invoices: 1 posted."
        serving.rest()
        assert next_visit in morton(desk, "verify", "--as", "dana").stderr
        made = next(d for d in desk.made() if d["TxnID"] != by_hand)
        desk.company.delete(made["TxnID"])
        told = quickbooks.visit()
        serving.rest()
        assert told.startswith("Invoices read back: 2, of which 1 are not as they were approved. ")
        assert f"QuickBooks Desktop invoice {made['TxnID']}: it is gone." in told
        assert "it is gone" in morton(desk, "status", "--format", "json").stdout
        assert quickbooks.visit() == "none", "what was asked is done"
    assert len(desk.company.adds) == 1


@pytest.mark.parametrize(
    ("name", "password"), [("desktop", "wrong"), ("other", PASSWORD), ("", ""), ("desktop", ""), ("désktop", PASSWORD)]
)
def test_a_wrong_name_or_password_is_not_let_in(desk: Desk, serve: Serve, name: str, password: str) -> None:
    desk.approve()
    with serve() as serving:
        assert WebConnector(desk.company, client(serving.url), name, password).visit() == "nvu"
    assert desk.company.requests == []


def test_a_wrong_name_takes_as_long_as_a_wrong_password(
    desk: Desk, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    with serve() as serving:
        right = serving.service._login.admits
        monkeypatch.setattr("morton_pipeline.connector.setup._is_right", lambda _, given: bool(verified.append(given)))
        assert [right("desktop", "a"), right("nobody", "b"), right("", "c")] == [False, False, False]
    assert verified == ["a", "b", "c"], "the hash is computed whatever the name is"


@pytest.mark.parametrize("fault", ["dies after", "fails after", "garbles", "says no status"])
def test_trap_3_an_add_whose_answer_never_came_is_found_by_the_next_visit(desk: Desk, serve: Serve, fault: str) -> None:
    desk.approve()
    with serve(silence=SILENCE) as serving:
        with suppress(Died):
            connector(desk, serving, fault=faults(fault)).visit()
        serving.rest()
        assert desk.only()["state"] == "uncertain"
        desk.company.requests.clear()
        connector(desk, serving).visit()
        serving.rest()
    assert (desk.only()["state"], len(desk.company.adds), len(desk.made())) == ("posted", 1, 1)
    assert "Add" not in desk.kinds()


@pytest.mark.parametrize("fault", ["dies before", "fails before"])
def test_trap_3_a_visit_that_died_is_followed_by_a_status_check_before_any_add(
    desk: Desk, serve: Serve, fault: str
) -> None:
    desk.approve()
    with serve(silence=SILENCE) as serving:
        with suppress(Died):
            connector(desk, serving, fault=faults(fault)).visit()
        serving.rest()
        assert desk.only()["state"] == "uncertain"
        desk.company.requests.clear()
        connector(desk, serving).visit()
        serving.rest()
    kinds = desk.kinds()
    assert (desk.only()["state"], len(desk.made())) == ("posted", 1)
    assert kinds.index("InvoiceQuery") < kinds.index("status") < kinds.index("Add")


def test_a_service_that_was_restarted_goes_on_with_the_next_visit(desk: Desk, serve: Serve) -> None:
    desk.approve()
    with serve(silence=SILENCE) as first:
        quickbooks = connector(desk, first, fault=faults("dies after"))
        with pytest.raises(Died):
            quickbooks.visit()
    with serve() as second:
        connector(desk, second).visit()
        second.rest()
    assert (desk.only()["state"], len(desk.company.adds)) == ("posted", 1)


def test_a_ticket_of_another_visit_gets_nothing(desk: Desk, serve: Serve) -> None:
    desk.approve()
    with serve() as serving:
        service = client(serving.url)
        ticket, meant = service.authenticate(strUserName="desktop", strPassword=PASSWORD)
        assert meant == "C:\\Books\\Harbor IT.qbw"
        assert service.authenticate(strUserName="desktop", strPassword=PASSWORD)[1] == "none", "one visit at a time"
        given = {"strHCPResponse": "", "strCompanyFileName": "", "qbXMLCountry": "US"}
        version = {"qbXMLMajorVers": 13, "qbXMLMinorVers": 0}
        assert not service.sendRequestXML(ticket="guessed", **given, **version)
        assert service.receiveResponseXML(ticket="guessed", response="<a/>", hresult="", message="") == -1
        assert "started anew" in service.getLastError(ticket="guessed")
        assert "started anew" in service.closeConnection(ticket="guessed")
        assert "<InvoiceQueryRq>" in service.sendRequestXML(ticket=ticket, **given, **version)


def test_another_company_file_is_sent_nothing(desk: Desk, serve: Serve) -> None:
    desk.approve()
    with serve() as serving:
        told = connector(desk, serving, opened="D:\\Other\\Rival.qbw").visit()
        assert "QuickBooks has D:\\Other\\Rival.qbw open" in told
        serving.rest()
        assert desk.company.requests == []
        assert (
            connector(desk, serving, opened="\\\\server\\share\\HARBOR IT.QBW").visit().startswith("Invoices: 1 posted")
        )


def test_a_quickbooks_that_is_too_old_is_told_so(desk: Desk, serve: Serve) -> None:
    desk.approve()
    desk.company.version = (8, 0)
    with serve() as serving:
        assert "QuickBooks 2014 or later" in connector(desk, serving).visit()
    assert desk.company.requests == []


def test_a_connection_error_ends_the_visit(desk: Desk, serve: Serve) -> None:
    desk.approve()
    with serve() as serving:
        service = client(serving.url)
        ticket, _ = service.authenticate(strUserName="desktop", strPassword=PASSWORD)
        said = service.connectionError(ticket=ticket, hresult="0x80040401", message="Could not access QuickBooks")
        assert said == "done"
        assert "0x80040401 Could not access QuickBooks" in service.getLastError(ticket=ticket)
        serving.rest()
    assert desk.company.adds == []


def test_what_breaks_off_while_reading_is_loaded_in_no_part(desk: Desk, serve: Serve) -> None:
    for number in range(120):
        line = {"ItemRef": {"ListID": SEAT}, "Amount": "1.00"}
        fields = {"CustomerRef": {"ListID": ACME}, "RefNumber": str(number), "InvoiceLineAdd": line}
        desk.company.add_by_hand("Invoice", fields)
    dying = lambda request: "dies before" if 'iterator="Continue"' in request else ""  # noqa: E731
    with serve(silence=SILENCE) as serving:
        with pytest.raises(Died):
            connector(desk, serving, fault=dying).visit()
        serving.rest()
        read = {one["endpoint"]: (one["status"], one["record_count"]) for one in latest(desk.book)}
        assert (read["customers"], read["invoices"][0], read["invoice_lines"][0]) == (
            ("complete", 2),
            "failed",
            "failed",
        )
        assert connector(desk, serving).visit() == "Lists read: 4 of 4.", "an iterator begins anew in the next visit"
        serving.rest()
        read = {one["endpoint"]: (one["status"], one["record_count"]) for one in latest(desk.book)}
        assert read["invoices"] == read["invoice_lines"] == ("complete", 120)


def test_a_visit_that_broke_off_while_sending_is_no_failed_reading(desk: Desk, serve: Serve) -> None:
    desk.approve()
    with serve() as serving:
        assert (
            connector(desk, serving, fault=faults("fails before")).visit().startswith("QuickBooks reported 0x80040402")
        )
        serving.rest()
    assert latest(desk.book) == []


def test_slow_work_of_ours_keeps_the_visit_alive(desk: Desk, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.approve()
    with serve(patience=0.1) as serving:
        rows = serving.work._rows
        serving.work._rows = lambda *given: (time.sleep(0.5), rows(*given))[1]
        assert connector(desk, serving).visit().startswith("Invoices: 1 posted.")
        serving.rest()
    assert desk.kinds().count("HostQuery") >= 2
    assert len(desk.company.adds) == 1


def test_an_error_of_ours_is_told_and_the_rest_is_done(
    desk: Desk, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.approve()
    with serve() as serving:
        monkeypatch.setattr("morton_pipeline.accounting.posting.post", lambda *_, **__: 1 // 0)
        assert connector(desk, serving).visit() == (
            "Something went wrong in Morton itself; its log says what. Lists read: 4 of 4."
        )


LAUGHS = "".join(
    ['<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">']
    + [f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    + ["]><l>&i;</l>"]
)
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>'
ENVELOPE = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>'
MALICIOUS = {
    "entities that multiply": LAUGHS.encode(),
    "an entity from outside": OUTSIDE.encode(),
    "a document type in another encoding": OUTSIDE.replace('"1.0"', '"1.0" encoding="utf-16"').encode("utf-16"),
    "a parameter entity": b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]><a/>',
    "nothing": b"",
    "no XML": b"{'a': 1}",
    "half a message": ENVELOPE.encode()[:40],
    "another operation": ENVELOPE.format('<x xmlns="http://developer.intuit.com/"/>').encode(),
    "another namespace": ENVELOPE.format('<authenticate xmlns="urn:x"/>').encode(),
    "no envelope": b'<authenticate xmlns="http://developer.intuit.com/"/>',
    "two calls": ENVELOPE.format('<serverVersion xmlns="http://developer.intuit.com/"/>' * 2).encode(),
    "a number that is none": ENVELOPE.format(
        '<sendRequestXML xmlns="http://developer.intuit.com/"><qbXMLMajorVers>x</qbXMLMajorVers></sendRequestXML>'
    ).encode(),
    "a tree without end": b"<a>" * 100_000,
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_what_is_no_call_is_answered_with_a_fault(desk: Desk, serve: Serve, name: str) -> None:
    with serve() as serving:
        answer = httpx.post(serving.url, content=MALICIOUS[name], headers={"Content-Type": "text/xml"}, timeout=20)
        assert (answer.status_code, "faultcode>soap:Client<" in answer.text) == (500, True)
        assert "root:" not in answer.text
        assert client(serving.url).serverVersion(), "the service goes on"


def test_a_huge_body_is_refused_before_it_is_read(desk: Desk, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "BODY_CAP", 2**20)
    sent = 0

    def endless() -> Any:
        nonlocal sent
        while sent < 40 * 2**20:
            sent += 2**16
            yield b"<" * 2**16

    with serve() as serving:
        with suppress(httpx.TransportError):
            answer = httpx.post(serving.url, content=endless(), timeout=20)
            assert (answer.status_code, "larger than 1 MiB" in answer.text) == (500, True)
        assert client(serving.url).serverVersion()
        size = 2**20 + 1
        answer = httpx.post(serving.url, content=b" " * size, timeout=20)
        assert "larger than 1 MiB" in answer.text


def test_an_answer_of_quickbooks_that_declares_entities_is_no_answer(desk: Desk, serve: Serve) -> None:
    desk.approve()
    execute = desk.company.execute
    desk.company.execute = lambda request: LAUGHS if "AddRq" in request else execute(request)  # type: ignore[method-assign]
    with serve() as serving:
        connector(desk, serving).visit()
        serving.rest()
    assert desk.only()["state"] == "uncertain"
    assert "declares a document type" in desk.only()["reason"]


def test_a_fault_reaches_a_soap_client_as_one(desk: Desk, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as serving:
        monkeypatch.setattr(serving.service, "call", lambda *_: 1 // 0)
        with pytest.raises(zeep.exceptions.Fault, match="its log says what"):
            client(serving.url).serverVersion()


def test_two_visits_at_once_are_one(desk: Desk, serve: Serve) -> None:
    for number in range(6):
        desk.approve(f"{number:012x}", unit_price=Decimal(20 + number), variance_amount=7 * Decimal(20 + number),
                     period_month=desk.row("x")["period_month"].replace(month=number + 5))  # fmt: skip
    told: list[str] = []
    with serve() as serving:
        threads = [threading.Thread(target=lambda: told.append(connector(desk, serving).visit())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert sorted(told)[1:] == ["none", "none"]
    assert (len(desk.made()), len(desk.company.adds)) == (6, 6)
