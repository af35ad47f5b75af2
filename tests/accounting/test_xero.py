"""The state machine through Xero, against its stand-in behind a wire that breaks as scripted."""

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from morton_pipeline.accounting import drafts, plan, post, status, verify
from morton_pipeline.accounting.errors import RunStopped
from morton_pipeline.accounting.posting import open_adapter
from morton_pipeline.accounting.xero import Xero, open_xero
from morton_pipeline.book import Book, Limits
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import Ledger, decide, invoices, open_ledger
from morton_pipeline.ledger.tokens import LedgerTokens
from morton_pipeline.simulator.commit_faults import FaultPlan
from morton_pipeline.simulator.xero import Company, create_app

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
TENANT = "3f9f1b5e-5a3a-4d3e-9a0c-0d0e8a6a1f10"
API = "/api.xro/2.0"

CONNECTIONS = f"""
connections:
  - id: books
    vendor: xero
    base_url: http://127.0.0.1:9
    auth_url: http://127.0.0.1:9
    xero_tenant_id: {TENANT}
    backoff_seconds: 0
    secrets: {{client_id: XERO_CLIENT_ID, client_secret: XERO_CLIENT_SECRET, refresh_token: XERO_REFRESH_TOKEN}}
accounting: books
"""

CarryOut = Callable[[], httpx.Response]
Fault = Callable[[httpx.Request, CarryOut], httpx.Response]


def fails(error: type[httpx.TransportError], *, after: bool) -> Fault:
    """The connection breaks, before or after the request was carried out."""

    def fault(request: httpx.Request, carry_out: CarryOut) -> httpx.Response:
        if after:
            carry_out()
        raise error("broken", request=request)

    return fault


def answers(status_code: int, content: str = "", *, after: bool = False, **headers: str) -> Fault:
    """Somebody answers in place of the stand-in, before or after the request was carried out."""

    def fault(request: httpx.Request, carry_out: CarryOut) -> httpx.Response:
        if after:
            carry_out()
        return httpx.Response(status_code, content=content.encode(), headers=headers, request=request)

    return fault


def passes(request: httpx.Request, carry_out: CarryOut) -> httpx.Response:
    return carry_out()


class Line(httpx.BaseTransport):
    """Carries requests to the stand-in; the next faults of each method are used up one by one."""

    def __init__(self, company: Company) -> None:
        self._app = httpx.ASGITransport(create_app(company, lambda: AT))
        self.faults: dict[str, list[Fault]] = {"PUT": [], "POST": [], "GET": []}
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        if not request.url.path.startswith(API):
            return self._carry_out(request)
        self.requests.append(request)
        waiting = self.faults[request.method]
        return waiting.pop(0)(request, lambda: self._carry_out(request)) if waiting else self._carry_out(request)

    def _carry_out(self, request: httpx.Request) -> httpx.Response:
        async def carry() -> httpx.Response:
            inner = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
            try:
                response = await self._app.handle_async_request(inner)
            except ConnectionAbortedError as cut:
                raise httpx.ReadError(str(cut), request=request) from None
            content = await response.aread()
            return httpx.Response(response.status_code, headers=response.headers, content=content, request=request)

        return asyncio.run(carry())

    def sent(self, method: str) -> list[httpx.Request]:
        return [r for r in self.requests if r.method == method]


@dataclass
class Desk:
    """Everything a posting test touches."""

    book: Book
    ledger: Ledger
    company: Company
    wire: Line
    limits: Limits = field(default_factory=lambda: replace(Limits(), quiet_period_seconds=0))
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    naps: list[float] = field(default_factory=list)

    def adapter(self) -> Xero:
        self.book.__dict__["limits"] = self.limits
        connection = self.book.connection("books")
        connection = replace(connection, settings={**connection.settings, **self.settings})
        return open_xero(connection, self.ledger, transport=self.wire, sleep=self.naps.append)

    def row(self, discrepancy_id: str = "00000000000a", **changes: Any) -> dict[str, Any]:
        """Put a row into the mart: 7 seats more than the contract says."""
        self.rows[discrepancy_id] = {
            "discrepancy_id": discrepancy_id, "period_month": date(2026, 11, 1), "client_id": "acme", "service_id": "m365_bp",
            "service_name": "Business Premium", "kind": "under_billed", "variance_quantity": Decimal("7.0000"),
            "unit_price": Decimal("22.0000"), "currency": "USD", "variance_amount": Decimal("154.0000"), "source_state": "known",
            "seal": "a" * 64, "status": "open",
        } | changes  # fmt: skip
        return self.rows[discrepancy_id]

    def decide(self, action: str, *discrepancy_ids: str) -> Any:
        rows = [self.rows[name] for name in discrepancy_ids]
        return decide(self.ledger, rows, action=action, reason="agreed", actor="ann", at=AT, limits=self.limits)

    def approve(self, discrepancy_id: str = "00000000000a", **changes: Any) -> str:
        """Put a row into the mart and approve it; returns the decision's id."""
        self.row(discrepancy_id, **changes)
        outcome = self.decide("approve", discrepancy_id)
        assert outcome.refused == []
        return str(outcome.applied[0]["decision_id"])

    def plan(self) -> Any:
        return plan(self.book, self.ledger, self.rows, adapter=self.adapter())

    def post(self, **changes: Any) -> list[dict[str, Any]]:
        return post(self.book, self.ledger, self.rows, adapter=self.adapter(), **{"at": AT, **changes})

    def only(self) -> dict[str, Any]:
        (row,) = status(self.ledger)
        return row

    def states(self) -> list[str]:
        return [row["state"] for row in status(self.ledger)]

    def steps(self) -> list[str]:
        return [e["state"] for e in invoices.events_of(self.ledger, self.only()["reference"])]

    def verify(self) -> list[str]:
        return [row["reason"] for row in verify(self.book, self.ledger, adapter=self.adapter())]

    def made(self) -> list[dict[str, Any]]:
        return list(self.company.invoices.values())

    def keys(self) -> list[str]:
        return [r.headers["idempotency-key"] for r in self.wire.sent("PUT")]

    def body(self) -> dict[str, Any]:
        """The one document that would be sent now."""
        (draft,) = self.plan().drafts
        (collection,) = json.loads(draft.payload, parse_float=Decimal).values()
        document: dict[str, Any] = collection[0]
        return document


@pytest.fixture
def company() -> Company:
    company = Company(TENANT, client_id="app-id", client_secret="app-secret", refresh_token="refresh-0")
    company.add_customer("12", "Acme Corp")
    company.add_customer("13", "Beta & Söhne")
    company.add_item("7", "Business Premium")
    company.add_item("8", "Managed EDR")
    return company


@pytest.fixture
def desk(book: Book, company: Company, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for name, value in (("CLIENT_ID", "app-id"), ("CLIENT_SECRET", "app-secret"), ("REFRESH_TOKEN", "refresh-0")):
        monkeypatch.setenv(f"XERO_{name}", value)
    (book.root / "connections.yaml").write_text(CONNECTIONS, "utf-8")
    with open_ledger(book) as ledger:
        yield Desk(book, ledger, company, Line(company))


def refusal(message: str, number: int = 10) -> str:
    return json.dumps({"ErrorNumber": number, "Type": "ValidationException", "Message": "A validation exception occurred",
                       "Elements": [{"ValidationErrors": [{"Message": message}]}]})  # fmt: skip


def apart(message: str) -> str:
    element = {"InvoiceID": "0", "HasErrors": True, "ValidationErrors": [{"Message": message}],
               "StatusAttributeString": "ERROR"}  # fmt: skip
    return json.dumps({"Status": "OK", "Invoices": [element]})


def test_an_approved_row_becomes_one_draft(desk: Desk) -> None:
    decision_id = desk.approve()
    (row,) = desk.post()
    (made,) = desk.made()
    assert (row["state"], row["accounting_id"], row["decision_ids"]) == ("posted", made["InvoiceID"], [decision_id])
    assert (made["InvoiceNumber"], made["Status"], made["Total"]) == (row["reference"], "DRAFT", Decimal(154))
    assert made["Contact"]["Name"] == "Acme Corp"
    (line,) = made["LineItems"]
    assert (line["ItemCode"], line["Quantity"], line["UnitAmount"]) == ("7", Decimal(7), Decimal(22))
    assert desk.steps() == ["planned", "sending", "posted"]
    assert len(desk.keys()[0]) <= 128


def test_every_request_says_which_organisation_is_meant_and_asks_for_four_decimals(desk: Desk) -> None:
    desk.settings["status"] = "AUTHORISED"
    desk.approve()
    desk.post()
    assert {r.method for r in desk.wire.requests} == {"GET", "PUT", "POST"}
    assert {r.headers["xero-tenant-id"] for r in desk.wire.requests} == {TENANT}
    assert {r.url.params["unitdp"] for r in desk.wire.requests} == {"4"}
    assert [r.url.params["summarizeErrors"] for r in desk.wire.sent("PUT")] == ["false"]


def test_trap_6_a_document_is_made_by_put_which_overwrites_nothing(desk: Desk) -> None:
    desk.approve()
    desk.post()
    assert [r.url.path for r in desk.wire.sent("PUT")] == [f"{API}/Invoices"]
    assert desk.wire.sent("POST") == []
    (sent,) = desk.wire.sent("PUT")
    assert len(json.loads(sent.content)["Invoices"]) == 1


def test_case_77_posting_again_makes_nothing_new(desk: Desk) -> None:
    desk.approve("00000000000a")
    desk.approve("00000000000b", client_id="beta")
    desk.post()
    for _ in range(3):
        assert desk.post(at=AT + timedelta(days=30)) == []
    assert (len(desk.made()), len(desk.wire.sent("PUT"))) == (2, 2)


UNKNOWN: Mapping[str, Callable[[bool], Fault]] = {
    "timeout": lambda after: fails(httpx.ReadTimeout, after=after),
    "reset": lambda after: fails(httpx.ReadError, after=after),
    "cut off": lambda after: fails(httpx.RemoteProtocolError, after=after),
    "500": lambda after: answers(500, "oops", after=after),
    "503": lambda after: answers(503, '{"Title":"ServiceUnavailable"}', after=after),
    "408": lambda after: answers(408, after=after),
    "redirect": lambda after: answers(302, after=after, location="https://login.example"),
    "garbled 200": lambda after: answers(200, '{"Invoices":[{"InvoiceID', after=after),
    "a web page": lambda after: answers(200, "<html>", after=after),
    "200 without a document": lambda after: answers(200, '{"Status":"OK","Invoices":[]}', after=after),
    "200 without an id": lambda after: answers(200, '{"Status":"OK","Invoices":[{"Status":"DRAFT"}]}', after=after),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_case_72_an_invoice_made_without_an_answer_is_found_and_adopted(desk: Desk, name: str) -> None:
    desk.approve()
    desk.wire.faults["PUT"] = [UNKNOWN[name](True)]
    assert desk.post()[0]["state"] == "uncertain"
    (row,) = desk.post()
    assert (row["state"], row["accounting_id"]) == ("posted", desk.made()[0]["InvoiceID"])
    assert (len(desk.made()), len(desk.wire.sent("PUT"))) == (1, 1)


@pytest.mark.parametrize("name", UNKNOWN)
def test_case_72_an_invoice_never_made_is_sent_again_with_the_same_key_and_bytes(desk: Desk, name: str) -> None:
    desk.approve()
    desk.wire.faults["PUT"] = [UNKNOWN[name](False)]
    desk.post()
    assert desk.post()[0]["state"] == "posted"
    first, second = desk.wire.sent("PUT")
    assert (first.content, first.url) == (second.content, second.url)
    assert len(set(desk.keys())) == 1
    assert len(desk.made()) == 1
    assert desk.steps() == ["planned", "sending", "uncertain", "sending", "posted"]


def test_trap_6_a_defect_replayed_under_its_key_stays_uncertain_until_the_key_is_forgotten(desk: Desk) -> None:
    desk.company.breaks = 1
    desk.approve()
    for _ in range(3):
        assert desk.post()[0]["state"] == "uncertain"
    assert "500, InternalServerError: An error occurred in Xero" in desk.only()["reason"]
    assert desk.made() == []
    desk.company.forget_keys()
    assert desk.post()[0]["state"] == "posted"
    assert len(set(desk.keys())) == 1
    assert len(desk.made()) == 1


def test_trap_6_a_refusal_replayed_under_its_key_is_left_behind_with_it(desk: Desk) -> None:
    desk.company.contacts["12"]["ContactStatus"] = "ARCHIVED"
    desk.approve()
    desk.post()
    desk.company.contacts["12"]["ContactStatus"] = "ACTIVE"
    assert desk.post()[0]["state"] == "posted"
    first, second = desk.keys()
    assert first != second


@pytest.mark.parametrize("forget", ["in time", "with the token"])
def test_a_key_forgotten_before_the_retry_makes_no_second_invoice(desk: Desk, forget: str) -> None:
    desk.company.key_seconds = 0 if forget == "in time" else 360
    desk.company.forgets_keys_on_refresh = forget == "with the token"
    desk.approve()
    desk.wire.faults["PUT"] = [fails(httpx.ReadTimeout, after=True)]
    desk.post()
    desk.company.forget_tokens()
    assert desk.post()[0]["state"] == "posted"
    assert len(desk.made()) == 1


@pytest.mark.parametrize("is_200", [True, False], ids=["in the element of a 200", "400"])
def test_trap_6_a_refusal_is_read_whatever_its_status(desk: Desk, is_200: bool) -> None:
    desk.company.always_summarizes = not is_200
    desk.company.contacts["12"]["ContactStatus"] = "ARCHIVED"
    desk.approve()
    (row,) = desk.post()
    assert (row["state"], desk.made()) == ("refused", [])
    assert "has been archived" in row["reason"]


ELEMENTS = {
    "only its errors": ({"ValidationErrors": [{"Message": "no"}]}, "refused"),
    "errors of a line": ({"LineItems": [{"ValidationErrors": [{"Message": "no"}]}]}, "refused"),
    "errors by another word": ({"ValidationErrors": [{"Description": "no"}]}, "refused"),
    "errors without words": ({"HasErrors": True}, "refused"),
    "an error in a word": ({"StatusAttributeString": "ERROR"}, "refused"),
    "no id": ({"StatusAttributeString": "OK", "InvoiceID": "00000000-0000-0000-0000-000000000000"}, "uncertain"),
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_trap_6_an_element_of_a_200_is_read_before_it_is_believed(desk: Desk, name: str) -> None:
    element, state = ELEMENTS[name]
    desk.approve()
    content = json.dumps({"Status": "OK", "Invoices": [{"InvoiceID": "4074292c", **element}]})
    desk.wire.faults["PUT"] = [answers(200, content)]
    assert desk.post()[0]["state"] == state


def test_a_document_that_says_it_is_ok_was_made_whatever_it_adds(desk: Desk) -> None:
    desk.approve()

    def grumble(request: httpx.Request, carry_out: CarryOut) -> httpx.Response:
        body = carry_out().json()
        body["Invoices"][0]["ValidationErrors"] = [{"Message": "an older one could not be found"}]
        return httpx.Response(200, json=body, request=request)

    desk.wire.faults["PUT"] = [grumble]
    assert desk.post()[0]["state"] == "posted"


def test_an_error_that_stands_in_a_document_does_not_keep_it_from_being_found(desk: Desk) -> None:
    desk.approve()
    desk.company.add_invoice(desk.body(), AT)["ValidationErrors"] = [{"Message": "Invoice # must be unique."}]
    assert desk.post()[0]["state"] == "posted"
    assert desk.wire.sent("PUT") == []


def test_case_74_an_archived_contact_is_refused_alone_by_its_name(desk: Desk) -> None:
    desk.company.contacts["12"]["ContactStatus"] = "ARCHIVED"
    desk.approve("00000000000a")
    desk.approve("00000000000b", client_id="beta")
    refused, posted = sorted(desk.post(), key=lambda r: r["client_id"])
    assert (refused["state"], posted["state"]) == ("refused", "posted")
    assert "Restore the contact Acme Corp in Xero (Contacts, Archived), then post again." in refused["reason"]
    desk.company.contacts["12"]["ContactStatus"] = "ACTIVE"
    assert desk.post()[0]["state"] == "posted"


def lost_contact(company: Company) -> None:
    del company.contacts["12"]


def lost_item(company: Company) -> None:
    del company.items["7"]


def unsold_item(company: Company) -> None:
    company.items["7"]["IsSold"] = False


def other_currency(company: Company) -> None:
    company.currency = "NZD"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lost_contact, "Correct accounting_customer_id, now 12: it is the id of the client's contact in Xero."),
        (lost_item, "Item code '7' is not valid. Correct accounting_item_id of the service"),
        (unsold_item, "Item code '7' is not valid. Correct accounting_item_id of the service"),
        (other_currency, "not subscribed to currency USD. Add the currency in Xero (Settings, Currencies)"),
    ],
)
def test_what_is_missing_in_xero_is_refused_with_what_to_fix(
    desk: Desk, change: Callable[[Company], None], said: str
) -> None:
    change(desk.company)
    desk.approve()
    (row,) = desk.post()
    assert (row["state"], desk.made()) == ("refused", [])
    assert said in row["reason"]


@pytest.mark.parametrize("envelope", [refusal, apart], ids=["400", "200"])
def test_a_number_that_is_taken_is_looked_up_and_adopted(desk: Desk, envelope: Callable[[str], str]) -> None:
    desk.approve()
    status_code = 400 if envelope is refusal else 200
    desk.wire.faults["PUT"] = [answers(status_code, envelope("Invoice # must be unique."), after=True)]
    assert desk.post()[0]["state"] == "posted"
    assert len(desk.made()) == 1


def test_a_number_taken_by_nothing_we_can_see_is_parked(desk: Desk) -> None:
    desk.approve()
    desk.wire.faults["PUT"] = [answers(400, refusal("Invoice # must be unique."))]
    (row,) = desk.post()
    assert row["state"] == "parked"
    assert "Xero says the number is taken" in row["reason"]


def test_a_draft_is_made_in_a_locked_period(desk: Desk) -> None:
    desk.company.period_lock_on = date(2026, 12, 31)
    desk.approve()
    assert desk.post()[0]["state"] == "posted"


@pytest.mark.parametrize("lock", ["period_lock_on", "end_of_year_lock_on"])
def test_case_73_a_locked_period_keeps_a_draft_until_it_is_open(desk: Desk, lock: str) -> None:
    desk.settings["status"] = "AUTHORISED"
    setattr(desk.company, lock, date(2026, 12, 31))
    desk.approve()
    (row,) = desk.post()
    assert (row["state"], desk.made()[0]["Status"]) == ("parked", "DRAFT")
    assert "which will not release it" in row["reason"]
    assert "lock date, currently set at 31-Dec-2026" in row["reason"]
    assert re.search(r"\(xero-correlation-id [\w-]+\)\. Open the period there and post again\.", row["reason"])
    setattr(desk.company, lock, None)
    assert desk.post()[0]["state"] == "posted"
    assert [i["Status"] for i in desk.made()] == ["AUTHORISED"]


def test_case_73_a_document_refused_for_its_date_is_parked(desk: Desk) -> None:
    desk.approve()
    said = "The document date cannot be before the end of year lock date, currently set at 31-Dec-2026"
    desk.wire.faults["PUT"] = [answers(400, refusal(said))]
    (row,) = desk.post()
    assert row["state"] == "parked"
    assert "The books are closed in Xero for this date" in row["reason"]
    assert desk.post()[0]["state"] == "posted"


def test_an_authorised_invoice_is_a_draft_first_that_is_compared_and_then_released(desk: Desk) -> None:
    desk.settings |= {"status": "AUTHORISED", "due_days": 14}
    desk.approve()
    seen: list[str] = []

    def look(request: httpx.Request, carry_out: CarryOut) -> httpx.Response:
        seen.append(desk.made()[0]["Status"])
        assert [r.method for r in desk.wire.requests][-3:] == ["PUT", "GET", "POST"]
        return carry_out()

    desk.wire.faults["POST"] = [look]
    assert desk.post()[0]["state"] == "posted"
    (made,) = desk.made()
    assert (seen, made["Status"], made["DueDate"]) == (["DRAFT"], "AUTHORISED", "2026-12-07")
    (release,) = desk.wire.sent("POST")
    assert release.url.path == f"{API}/Invoices/{made['InvoiceID']}"
    assert "idempotency-key" not in release.headers
    assert made["LineItems"][0]["UnitAmount"] == Decimal(22)


@pytest.mark.parametrize("after", [True, False], ids=["done", "not done"])
def test_a_release_without_an_answer_is_settled_by_looking(desk: Desk, after: bool) -> None:
    desk.settings["status"] = "AUTHORISED"
    desk.approve()
    desk.wire.faults["POST"] = [fails(httpx.ReadTimeout, after=after)]
    (row,) = desk.post()
    assert row["state"] == "uncertain"
    assert "its release had no clear answer" in row["reason"]
    assert desk.post()[0]["state"] == "posted"
    assert [i["Status"] for i in desk.made()] == ["AUTHORISED"]
    assert len(desk.wire.sent("POST")) == (1 if after else 2)


def test_a_release_answered_with_a_draft_is_not_taken_for_done(desk: Desk) -> None:
    desk.settings["status"] = "AUTHORISED"
    desk.approve()
    desk.wire.faults["POST"] = [answers(200, '{"Invoices":[{"InvoiceID":"1","Status":"DRAFT"}]}')]
    (row,) = desk.post()
    assert row["state"] == "uncertain"
    assert "a document that is DRAFT" in row["reason"]
    assert desk.post()[0]["state"] == "posted"


def test_a_draft_that_reads_back_otherwise_is_never_released(desk: Desk) -> None:
    desk.settings["status"] = "AUTHORISED"
    desk.approve()

    def edit(request: httpx.Request, carry_out: CarryOut) -> httpx.Response:
        response = carry_out()
        desk.company.change_invoice(desk.made()[0]["InvoiceID"], {"LineItems": [LINE | {"UnitAmount": 100}]}, AT)
        return response

    desk.wire.faults["PUT"] = [edit]
    (row,) = desk.post()
    assert (row["state"], desk.wire.sent("POST")) == ("parked", [])
    assert "its net total is 100, not 154 USD" in row["reason"]
    desk.company.change_invoice(desk.made()[0]["InvoiceID"], {"LineItems": [LINE | {"UnitAmount": 154}]}, AT)
    assert desk.post()[0]["state"] == "posted"
    assert [i["Status"] for i in desk.made()] == ["AUTHORISED"]


LINE = {"Description": "by hand", "Quantity": 1, "UnitAmount": 154, "ItemCode": "7"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Contact": {"ContactID": "13"}}, "it is for customer 13, not 12"),
        ({"LineItems": [LINE | {"UnitAmount": 100}]}, "its net total is 100, not 154 USD"),
        ({"LineItems": [LINE | {"UnitAmount": 100}, LINE | {"UnitAmount": 54}]}, "its lines are not the approved ones"),
        ({"LineItems": [LINE | {"ItemCode": "8"}]}, "its lines are not the approved ones"),
        ({"CurrencyCode": "EUR"}, "it is in EUR, not USD"),
    ],
    ids=["customer", "total", "lines", "item", "currency"],
)
def test_an_invoice_of_our_number_that_differs_is_parked(desk: Desk, change: dict[str, Any], said: str) -> None:
    desk.company.currencies.add("EUR")
    desk.approve()
    desk.company.add_invoice(desk.body() | change, AT)
    (row,) = desk.post()
    assert (row["state"], desk.wire.sent("PUT")) == ("parked", [])
    assert said in row["reason"]


def test_amounts_that_include_tax_are_compared_without_it(desk: Desk) -> None:
    desk.approve()
    desk.company.tax_percent = Decimal(10)
    line = LINE | {"UnitAmount": Decimal("169.40")}
    made = desk.company.add_invoice(desk.body() | {"LineAmountTypes": "Inclusive", "LineItems": [line]}, AT)
    made["LineItems"][0]["TaxAmount"] = Decimal("15.40")
    assert desk.post()[0]["state"] == "posted"
    assert desk.wire.sent("PUT") == []


def test_case_67_the_accounting_systems_tax_is_not_a_difference(desk: Desk) -> None:
    desk.company.tax_percent = Decimal("8.25")
    desk.approve()
    assert desk.post()[0]["state"] == "posted"
    assert desk.made()[0]["Total"] == Decimal("166.71")
    assert desk.verify() == []


def parked(desk: Desk) -> dict[str, Any]:
    """A draft of ours that a person changed while it was being made."""
    desk.approve()
    desk.company.add_invoice(desk.body() | {"LineItems": [LINE | {"UnitAmount": 100}]}, AT)
    assert desk.post()[0]["state"] == "parked"
    return desk.made()[0]


def test_a_parked_draft_that_a_person_deleted_is_sent_anew(desk: Desk) -> None:
    desk.company.void(parked(desk)["InvoiceID"], AT)
    assert desk.post()[0]["state"] == "posted"
    assert [(i["Status"], i["Total"]) for i in desk.made()] == [("DELETED", Decimal(100)), ("DRAFT", Decimal(154))]


def test_a_parked_invoice_that_a_person_voided_is_dropped_until_approved_anew(desk: Desk) -> None:
    document = parked(desk)
    desk.company.change_invoice(document["InvoiceID"], {"Status": "AUTHORISED"}, AT)
    desk.company.void(document["InvoiceID"], AT)
    (row,) = desk.post()
    assert row["state"] == "refused"
    assert "was voided. Reopen the approval" in row["reason"]
    assert desk.post() == []
    desk.decide("reopen", "00000000000a")
    desk.decide("approve", "00000000000a")
    assert desk.post()[0]["state"] == "posted"
    assert [(i["Status"], i["Total"]) for i in desk.made()] == [("VOIDED", Decimal(100)), ("DRAFT", Decimal(154))]


def test_case_75_an_invoice_voided_deleted_or_edited_afterwards_is_reported(desk: Desk) -> None:
    desk.settings["status"] = "AUTHORISED"
    desk.approve("00000000000a")
    desk.approve("00000000000b", client_id="beta")
    desk.post()
    assert desk.verify() == []
    first, second = (i["InvoiceID"] for i in desk.made())
    desk.company.void(first, AT)
    desk.company.change_invoice(second, {"LineItems": [LINE | {"UnitAmount": 100}]}, AT)
    assert sorted(desk.verify()) == sorted([
        f"Xero invoice {first}: its net total is 0, not 154 USD.",
        f"Xero invoice {second}: its net total is 100, not 154 USD.",
    ])  # fmt: skip


def test_a_draft_deleted_afterwards_is_reported_as_gone(desk: Desk) -> None:
    desk.approve()
    desk.post()
    invoice_id = desk.made()[0]["InvoiceID"]
    desk.company.void(invoice_id, AT)
    assert desk.verify() == [f"Xero invoice {invoice_id}: it is gone."]
    assert desk.post() == []


def test_a_document_xero_does_not_know_any_more_is_gone(desk: Desk) -> None:
    desk.approve()
    desk.post()
    invoice_id = desk.made()[0]["InvoiceID"]
    desk.company.invoices.clear()
    assert desk.verify() == [f"Xero invoice {invoice_id}: it is gone."]


@pytest.mark.parametrize(
    "edit",
    [
        {"InvoiceNumber": "INV-0042"},
        {"Reference": "PO 4711"},
        {"InvoiceNumber": "INV-0042", "Reference": "PO 4711 / Morton {mark}:"},
    ],
    ids=["another number", "the customer's order", "both, the mark kept"],
)
def test_a_draft_that_a_person_numbered_or_referred_otherwise_is_still_ours(desk: Desk, edit: dict[str, str]) -> None:
    desk.approve()

    def renumber(request: httpx.Request, carry_out: CarryOut) -> httpx.Response:
        carry_out()
        made = desk.made()[0]
        words = {word: text.format(mark=made["InvoiceNumber"]) for word, text in edit.items()}
        desk.company.change_invoice(made["InvoiceID"], words, AT)
        raise httpx.ReadTimeout("broken", request=request)

    desk.wire.faults["PUT"] = [renumber]
    desk.company.key_seconds = 0
    assert desk.post()[0]["state"] == "uncertain"
    assert desk.post()[0]["state"] == "posted"
    assert (len(desk.made()), desk.verify()) == (1, [])


def test_another_document_that_mentions_our_number_is_not_ours(desk: Desk) -> None:
    desk.approve()
    number = desk.body()["InvoiceNumber"]
    other = {**desk.body(), "InvoiceNumber": "INV-1", "Reference": f"instead of {number}", "LineItems": [LINE | {
        "UnitAmount": 9}]}  # fmt: skip
    desk.company.add_invoice(other, AT)
    assert desk.post()[0]["state"] == "posted"
    assert sorted(i["InvoiceNumber"] for i in desk.made()) == ["INV-1", number]


def test_the_approvals_of_a_document_are_found_in_its_lines(desk: Desk) -> None:
    first = desk.approve("00000000000a")
    second = desk.approve("00000000000b", service_id="edr", service_name="Managed EDR")
    desk.post()
    (found,) = desk.adapter().list_since(date(2026, 11, 1))
    assert drafts.marked(found.note) == found.reference == desk.made()[0]["InvoiceNumber"]
    assert {first, second} <= set(found.note.split())
    assert {line.served_on for line in found.lines} == {date(2026, 11, 1)}
    assert found.dated_on == AT.date()


def test_a_restored_ledger_finds_the_invoice_it_forgot(desk: Desk) -> None:
    desk.approve()
    desk.post()
    with desk.ledger.transaction() as con:
        con.exec_driver_sql("PRAGMA foreign_keys = OFF")
        for table in ("invoice_events", "invoice_lines", "invoices"):
            con.exec_driver_sql(f"delete from {table}")
    (row,) = desk.post()
    assert (row["state"], len(desk.made()), len(desk.wire.sent("PUT"))) == ("posted", 1, 1)
    assert "It existed already" in row["reason"]


def test_a_decision_billed_on_another_invoice_of_ours_is_not_billed_again(desk: Desk) -> None:
    decision_id = desk.approve()
    text = LINE | {"UnitAmount": 1, "Description": f"Business Premium [{decision_id}]"}
    desk.company.add_invoice(
        desk.body() | {"InvoiceNumber": "M202611-ABCDEFGHIJKL", "Reference": "", "LineItems": [text]}, AT
    )
    (row,) = desk.post()
    assert row["state"] == "parked"
    assert f"(M202611-ABCDEFGHIJKL) bills decision {decision_id} already" in row["reason"]


def by_hand(**changes: Any) -> dict[str, Any]:
    return {"Type": "ACCREC", "InvoiceNumber": "INV-1070", "Contact": {"ContactID": "12"}, "Date": "2026-11-20",
            "LineItems": [LINE]} | changes  # fmt: skip


def test_case_71_an_invoice_made_by_hand_is_found_before_a_second_one_is_sent(desk: Desk) -> None:
    other = desk.company.add_invoice(by_hand(), AT)
    desk.approve()
    (row,) = desk.post()
    assert (row["state"], desk.wire.sent("PUT")) == ("parked", [])
    assert f"Xero invoice {other['InvoiceID']} (INV-1070) has a line of 154 for item 7 in 2026-11" in row["reason"]
    assert desk.post(release={row["reference"]})[0]["state"] == "posted"


@pytest.mark.parametrize(
    "changes",
    [{"Date": "2026-09-30"}, {"Contact": {"ContactID": "13"}}, {"LineItems": [LINE | {"UnitAmount": 880}]}],
    ids=["another month", "another customer", "the monthly invoice"],
)
def test_other_invoices_do_not_stand_in_the_way(desk: Desk, changes: dict[str, Any]) -> None:
    desk.company.add_invoice(by_hand(**changes), AT)
    desk.approve()
    assert desk.post()[0]["state"] == "posted"


def test_a_supplier_s_bill_of_the_same_number_is_no_invoice_of_ours(desk: Desk) -> None:
    desk.approve()
    bill = desk.company.add_invoice(desk.body(), AT)
    bill["Type"] = "ACCPAY"
    desk.company.refuses_duplicate_numbers = False
    assert desk.post()[0]["state"] == "posted"
    assert len(desk.made()) == 2


def test_every_page_of_like_invoices_is_read(desk: Desk) -> None:
    for number in range(205):
        desk.company.add_invoice(by_hand(InvoiceNumber=f"INV-{number}", LineItems=[LINE | {"UnitAmount": 5}]), AT)
    desk.company.add_invoice({**by_hand(Type="ACCRECCREDIT"), "CreditNoteNumber": "CN-1"}, AT, "CreditNotes")
    found = desk.adapter().list_since(date(2026, 11, 1))
    assert len({f.accounting_id for f in found}) == len(found) == 206
    assert sum(f.is_credit for f in found) == 1
    assert desk.adapter().list_since(date(2026, 11, 21)) == []


@pytest.fixture
def owing(desk: Desk) -> Desk:
    """A row that gives money back is approved."""
    desk.approve(kind="over_billed", variance_quantity=Decimal(-7), variance_amount=Decimal(-154), invoiced_as="1042")
    return desk


def test_case_70_what_was_billed_too_much_becomes_a_credit_note(owing: Desk) -> None:
    desk = owing
    desk.settings["status"] = "AUTHORISED"
    (row,) = desk.post()
    (made,) = desk.company.credit_notes.values()
    assert (row["state"], row["accounting_id"], desk.made()) == ("posted", made["CreditNoteID"], [])
    assert (made["Type"], made["CreditNoteNumber"], made["Status"]) == ("ACCRECCREDIT", row["reference"], "AUTHORISED")
    assert (made["Total"], made["LineItems"][0]["Quantity"]) == (Decimal(154), Decimal(7))
    assert [r.url.path for r in desk.wire.sent("PUT")] == [f"{API}/CreditNotes"]
    assert desk.verify() == []
    assert [f.net_amount for f in desk.adapter().list_since(date(2026, 11, 1))] == [Decimal(-154)]


def test_case_72_a_credit_note_made_without_an_answer_is_found_and_adopted(owing: Desk) -> None:
    owing.wire.faults["PUT"] = [fails(httpx.ReadTimeout, after=True)]
    assert owing.post()[0]["state"] == "uncertain"
    assert owing.post()[0]["state"] == "posted"
    assert len(owing.company.credit_notes) == 1


def test_a_credit_note_of_a_number_that_is_taken_is_looked_up(owing: Desk) -> None:
    owing.wire.faults["PUT"] = [answers(400, refusal("Credit Note # must be unique."), after=True)]
    assert owing.post()[0]["state"] == "posted"
    assert len(owing.company.credit_notes) == 1


def test_a_credit_note_that_a_person_numbered_otherwise_is_still_ours(owing: Desk) -> None:
    owing.wire.faults["PUT"] = [fails(httpx.ReadTimeout, after=True)]
    owing.post()
    (made,) = owing.company.credit_notes
    owing.company.change_invoice(made, {"CreditNoteNumber": "CN-0007"}, AT)
    owing.company.forget_keys()
    assert owing.post()[0]["state"] == "posted"
    assert len(owing.company.credit_notes) == 1


@pytest.mark.parametrize("price", ["0.0611", "1.2345"])
def test_trap_6_a_price_of_four_decimals_is_billed_as_it_is(desk: Desk, price: str) -> None:
    amount = (Decimal(1000) * Decimal(price)).quantize(Decimal("0.01"))
    desk.approve(variance_quantity=Decimal(1000), unit_price=Decimal(price), variance_amount=amount)
    assert desk.post()[0]["state"] == "posted"
    (line,) = desk.made()[0]["LineItems"]
    assert (line["Quantity"], line["UnitAmount"], line["LineAmount"]) == (Decimal(1000), Decimal(price), amount)


def test_a_price_of_more_decimals_is_one_at_the_amount_and_its_text_says_how(desk: Desk) -> None:
    desk.approve(variance_quantity=Decimal(1000), unit_price=Decimal("0.061171"), variance_amount=Decimal("61.17"))
    assert desk.post()[0]["state"] == "posted"
    (line,) = desk.made()[0]["LineItems"]
    assert (line["Quantity"], line["LineAmount"]) == (Decimal(1), Decimal("61.17"))
    assert "1000 × 0.061171 USD" in line["Description"]


def test_case_69_an_amount_without_cents_is_not_what_xero_would_multiply(desk: Desk) -> None:
    desk.company.currencies.add("JPY")
    desk.approve(
        variance_quantity=Decimal("1.5"), unit_price=Decimal(333), variance_amount=Decimal(500), currency="JPY"
    )
    assert desk.post()[0]["state"] == "posted"
    assert desk.made()[0]["SubTotal"] == Decimal(500)


def test_money_is_never_a_float(desk: Desk) -> None:
    desk.approve(variance_quantity=Decimal(3), unit_price=Decimal("0.1"), variance_amount=Decimal("0.3"))
    (draft,) = desk.plan().drafts
    assert '"LineAmount":0.30' in draft.payload
    expected = desk.adapter().expect(draft.payload, is_credit=False)
    assert expected.net_amount == Decimal("0.30")
    desk.post()
    (found,) = desk.adapter().find(expected)
    assert [type(line.amount) for line in found.lines] == [Decimal]
    assert found.net_amount == Decimal("0.3")


def test_a_body_is_the_same_on_any_day(desk: Desk) -> None:
    desk.approve()
    first, second = (desk.plan().drafts[0].payload for _ in range(2))
    assert first == second
    assert not re.search(r"Date", first)


def test_what_the_connection_says_of_accounts_and_tax_stands_in_every_line(desk: Desk) -> None:
    desk.settings |= {"account_code": 200, "tax_type": "OUTPUT2"}
    desk.approve()
    desk.post()
    (line,) = desk.made()[0]["LineItems"]
    assert (line["AccountCode"], line["TaxType"]) == ("200", "OUTPUT2")


@pytest.mark.parametrize(
    ("changes", "seeds", "said"),
    [
        ({"service_name": "x" * 4000}, "", "Xero takes 4000 characters for a line, and m365_bp's has"),
        ({"currency": "KWD", "variance_amount": Decimal("154.001"), "unit_price": Decimal("22.0001")}, "",
         "Xero keeps two decimals of an amount, and 154.001 KWD has more"),
        ({}, "m365_bp,Business Premium," + "7" * 31, "an item code of Xero has at most 30 characters"),
    ],
    ids=["text", "mils", "item code"],
)  # fmt: skip
def test_what_exceeds_a_limit_of_xero_is_held_with_the_clients_name(
    desk: Desk, changes: dict[str, Any], seeds: str, said: str
) -> None:
    services = desk.book.seeds / "services.csv"
    services.write_text(re.sub("(?m)^m365_bp.*$", seeds or "m365_bp,Business Premium,7", services.read_text("utf-8")))
    desk.approve(**changes)
    planned = desk.plan()
    assert planned.drafts == []
    assert said in planned.held[0][1]
    assert "the invoice for Acme Corp is held" in planned.held[0][1]


def test_the_longest_text_and_code_are_sent_whole(desk: Desk) -> None:
    code = "7" * 30
    desk.company.add_item(code, "Business Premium")
    services = desk.book.seeds / "services.csv"
    services.write_text(services.read_text("utf-8").replace("Business Premium,7", f"Business Premium,{code}"))
    desk.approve(service_name="")
    room = 4000 - len(desk.body()["LineItems"][0]["Description"])
    desk.rows.clear()
    desk.approve("00000000000b", service_name="m365_bp" + "x" * room, seal="c" * 64)
    assert desk.post()[0]["state"] == "posted"
    (line,) = desk.made()[0]["LineItems"]
    assert (len(line["Description"]), line["ItemCode"]) == (4000, code)


@pytest.mark.parametrize(
    ("setting", "value"), [("status", "PAID"), ("due_days", -1), ("due_days", "30 days"), ("due_days", True)]
)
def test_a_setting_that_cannot_be_is_named(desk: Desk, setting: str, value: Any) -> None:
    desk.settings[setting] = value
    with pytest.raises(BadInput, match=f"books: `{setting}` in connections.yaml is"):
        desk.adapter()


def test_a_book_that_names_xero_posts_there(desk: Desk) -> None:
    adapter = open_adapter(desk.book, desk.ledger)
    assert (adapter.title, adapter.destination) == ("Xero", "books")
    adapter.close()


def test_a_401_stops_the_run_and_leaves_nothing_in_the_air(desk: Desk) -> None:
    desk.approve()
    desk.wire.faults["PUT"] = [answers(401), answers(401)]
    with pytest.raises(RunStopped, match="Run `morton connect books`"):
        desk.post()
    assert (desk.states(), desk.made()) == (["planned"], [])
    assert desk.post()[0]["state"] == "posted"


def test_an_organisation_that_was_disconnected_stops_the_run(desk: Desk) -> None:
    desk.company.tenant_id = "another"
    desk.approve()
    with pytest.raises(RunStopped, match=r"books: Xero does not let this app into the organisation .*xero_tenant_id"):
        desk.post()
    assert desk.made() == []


def test_an_access_token_that_ends_midway_is_renewed(desk: Desk) -> None:
    desk.approve()

    def expire(request: httpx.Request, carry_out: CarryOut) -> httpx.Response:
        desk.company.forget_tokens()
        return carry_out()

    desk.wire.faults["PUT"] = [expire]
    assert desk.post()[0]["state"] == "posted"
    assert len(desk.made()) == 1


def test_rotated_refresh_tokens_are_kept(desk: Desk) -> None:
    for name in ("00000000000a", "00000000000b"):
        desk.approve(name)
        desk.post()
        assert LedgerTokens(desk.ledger).load("books", "refresh-0").refresh_token in desk.company._refresh


def test_a_revoked_connection_asks_once_to_sign_in_again(desk: Desk) -> None:
    desk.approve()
    desk.company.revoke()
    with pytest.raises(RunStopped, match="Run `morton connect books` to sign in again, then post again"):
        desk.post()
    assert (desk.states(), desk.wire.sent("PUT")) == (["planned"], [])


@pytest.mark.parametrize("header", ["3", "3.0", "Mon, 23 Nov 2026 09:00:03 GMT"], ids=["seconds", "decimal", "date"])
def test_trap_12_a_429_is_waited_out_where_it_says_how_long(
    desk: Desk, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("morton_pipeline.accounting.http.wall", lambda: AT)
    desk.approve()
    desk.wire.faults["PUT"] = [answers(429, **{"retry-after": header, "x-rate-limit-problem": "minute"})]
    assert desk.post()[0]["state"] == "posted"
    assert desk.naps == [3.0]


@pytest.mark.parametrize("header", [{}, {"retry-after": "36000"}], ids=["too many at once", "the day's requests"])
def test_trap_12_a_429_that_takes_too_long_leaves_the_rest_for_the_next_run(desk: Desk, header: dict[str, str]) -> None:
    desk.approve()
    desk.wire.faults["PUT"] = [answers(429, **header)]
    desk.post()
    assert desk.states() == ["planned"]
    assert "Xero asks us to slow down; the next run goes on" in desk.only()["reason"]
    assert desk.post()[0]["state"] == "posted"


def test_a_question_without_an_answer_sends_nothing(desk: Desk) -> None:
    desk.approve()
    desk.wire.faults["GET"] = [answers(503)] * 3
    desk.post()
    assert (desk.states(), desk.wire.sent("PUT")) == (["planned"], [])
    assert desk.post()[0]["state"] == "posted"


@pytest.mark.parametrize("content", ["{}", '{"Status":"OK"}', "[]"])
def test_an_answer_without_a_list_is_not_taken_for_an_empty_one(desk: Desk, content: str) -> None:
    desk.approve()
    desk.wire.faults["GET"] = [answers(200, content)]
    desk.post()
    assert (desk.states(), desk.wire.sent("PUT")) == (["planned"], [])


def test_an_invoice_that_cannot_be_read_back_is_settled_next_time(desk: Desk) -> None:
    desk.approve()
    before: list[Fault] = [passes] * 4
    desk.wire.faults["GET"] = [*before, *[answers(503)] * 3]
    (row,) = desk.post()
    assert row["state"] == "uncertain"
    assert "could not be read back" in row["reason"]
    assert desk.post()[0]["state"] == "posted"
    assert len(desk.wire.sent("PUT")) == 1


def test_a_second_sender_makes_no_second_invoice(desk: Desk) -> None:
    desk.approve()

    def meanwhile(request: httpx.Request, carry_out: CarryOut) -> httpx.Response:
        desk.post()
        return carry_out()

    desk.wire.faults["PUT"] = [meanwhile]
    assert desk.post()[0]["state"] == "posted"
    assert len(desk.made()) == 1


@pytest.mark.parametrize("keys", ["long", "short", "forgotten with the token"])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_fails_and_however_often_each_invoice_is_made_and_released_once(
    desk: Desk, seed: int, keys: str
) -> None:
    desk.settings |= {"status": "AUTHORISED", "attempts": 1}
    desk.company.key_seconds = 0 if keys == "short" else 360
    desk.company.forgets_keys_on_refresh = keys == "forgotten with the token"
    for number in range(12):
        desk.approve(
            f"{number:012x}", client_id=("acme", "beta")[number % 2], period_month=date(2026, 1 + number // 2, 1)
        )
    desk.company.plan = FaultPlan(
        seed, unavailable=0.1, drop_after_commit=0.1, hang_after_commit=0.05, error_after_commit=0.05, hang_seconds=0
    )
    for _ in range(40):
        desk.post()
    counts = desk.company.plan.counts
    assert counts["unavailable"]
    assert counts["drop_after_commit"] + counts["error_after_commit"]
    assert desk.states() == ["posted"] * 12
    assert sorted((i["Status"], i["Total"]) for i in desk.made()) == [("AUTHORISED", Decimal(154))] * 12
    desk.company.plan = FaultPlan()
    assert desk.verify() == []


ECHO = "bad app-secret of Bearer eyJ0123456789abcdef for refresh-0"


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("status_code", [200, 400, 403, 429, 500, 503])
def test_no_answer_however_it_fails_shows_a_secret(
    desk: Desk, status_code: int, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    desk.approve()
    faults = [answers(status_code, refusal(ECHO), **{"xero-correlation-id": "app-secret"})] * 9
    desk.wire.faults[method] = faults
    said = ""
    try:
        desk.post()
    except RunStopped as stopped:
        said = str(stopped)
    said += " ".join(row["reason"] for row in status(desk.ledger)) + caplog.text
    assert said
    assert not [word for word in ("app-secret", "eyJ0123", "refresh-0", API) if word in said]


def test_a_refusal_carries_what_support_asks_for(desk: Desk) -> None:
    desk.approve()
    desk.wire.faults["PUT"] = [answers(400, refusal("no"), **{"xero-correlation-id": "c0ffee"})]
    assert "Xero refused the invoice of acme: no (xero-correlation-id c0ffee)" in desk.post()[0]["reason"]


@pytest.mark.parametrize(
    "dates",
    [
        {"Date": "/Date(1795392000000+0000)/", "DateString": "2026-11-23T00:00:00"},
        {"Date": "/Date(1795392000000+0000)/", "DateString": "2026-11-23 00:00:00"},
        {"Date": "/Date(1795392000000+0000)/"},
        {"Date": "/Date(1795392000000)/"},
        {"Date": "2026-11-23"},
    ],
    ids=["both", "a blank", "programs' only", "no zone", "plain"],
)
def test_trap_6_a_date_is_read_in_either_form(desk: Desk, dates: dict[str, str]) -> None:
    document = {"InvoiceID": "1", "Type": "ACCREC", "Status": "DRAFT", "Contact": {"ContactID": "12"}, **dates}
    desk.wire.faults["GET"] = [answers(200, json.dumps({"Invoices": [document]})), answers(200, '{"Invoices":[]}')]
    desk.wire.faults["GET"] += [answers(200, '{"CreditNotes":[]}')]
    (found,) = desk.adapter().list_since(date(2026, 11, 1))
    assert found.dated_on == date(2026, 11, 23)
