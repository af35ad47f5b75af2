"""Xero's stand-in answers as Xero is known to: what it makes, refuses, repeats, rounds and forgets."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from morton_pipeline.extract.fetch import fetch
from morton_pipeline.simulator.commit_faults import FaultPlan
from morton_pipeline.simulator.xero import Company, create_app, holds
from morton_pipeline.vendors.xero import VENDOR
from tests.conftest import Connect

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
API = "/api.xro/2.0"
LINE = {"Description": "seats", "Quantity": 7, "UnitAmount": 22, "ItemCode": "7"}
PAGE = {"page": 1, "unitdp": 4}

Ask = Callable[..., httpx.Response]


@pytest.fixture
def company() -> Company:
    company = Company()
    company.add_customer("12", "Acme Corp")
    company.add_customer("13", "Gone Ltd", active=False)
    company.add_item("7", "Business Premium", Decimal("22.5"))
    company.add_item("9", "Retired", active=False)
    return company


@pytest.fixture
def ask(company: Company) -> Ask:
    """Send one request with a good token."""

    def send(method: str, path: str, **more: Any) -> httpx.Response:
        access = company.exchange(next(iter(company._refresh)))["access_token"]
        headers = {"Authorization": f"Bearer {access}", "xero-tenant-id": company.tenant_id, **more.pop("headers", {})}

        async def carry() -> httpx.Response:
            transport = httpx.ASGITransport(create_app(company, lambda: AT), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9", headers=headers) as http:
                return await http.request(method, path if path.startswith("/conn") else f"{API}{path}", **more)

        return asyncio.run(carry())

    return send


def body(**changes: Any) -> dict[str, Any]:
    document = {"Type": "ACCREC", "InvoiceNumber": "INV-7", "Contact": {"ContactID": "12"}, "LineItems": [LINE]}
    return {"Invoices": [document | changes]}


def messages(answer: httpx.Response) -> list[str]:
    (element,) = answer.json().get("Elements") or answer.json()["Invoices"]
    return [error["Message"] for error in element["ValidationErrors"]]


def test_a_document_takes_the_day_it_arrives_and_is_a_draft(ask: Ask) -> None:
    (made,) = ask("PUT", "/Invoices", json=body()).json()["Invoices"]
    assert (made["Status"], made["DateString"], made["Total"]) == ("DRAFT", "2026-11-23T00:00:00", 154.0)
    assert made["Date"] == "/Date(1795392000000+0000)/"
    assert made["LineAmountTypes"] == "Exclusive"


def test_a_price_keeps_two_decimals_unless_four_are_asked_for(ask: Ask) -> None:
    line = LINE | {"Quantity": 1000, "UnitAmount": 0.0655}
    (rounded,) = ask("PUT", "/Invoices", json=body(LineItems=[line])).json()["Invoices"]
    assert (rounded["LineItems"][0]["UnitAmount"], rounded["Total"]) == (0.07, 70.0)
    (kept,) = ask("PUT", "/Invoices", json=body(InvoiceNumber="2", LineItems=[line]), params={"unitdp": 4}).json()[
        "Invoices"
    ]
    assert (kept["LineItems"][0]["UnitAmount"], kept["Total"]) == (0.0655, 65.5)
    read = ask("GET", f"/Invoices/{kept['InvoiceID']}").json()["Invoices"][0]
    assert (read["LineItems"][0]["UnitAmount"], read["Total"]) == (0.07, 65.5)


def test_a_post_overwrites_a_draft_of_the_same_number_and_a_put_does_not(ask: Ask, company: Company) -> None:
    ask("PUT", "/Invoices", json=body())
    assert messages(ask("PUT", "/Invoices", json=body())) == ["Invoice # must be unique."]
    ask("POST", "/Invoices", json=body(LineItems=[LINE | {"Quantity": 1}]))
    assert [i["Total"] for i in company.invoices.values()] == [Decimal(22)]


def test_the_number_of_a_deleted_draft_is_free_and_that_of_a_voided_invoice_is_not(ask: Ask, company: Company) -> None:
    first = company.add_invoice(body()["Invoices"][0], AT)
    company.void(first["InvoiceID"], AT)
    second = company.add_invoice(body(Status="AUTHORISED")["Invoices"][0], AT)
    company.void(second["InvoiceID"], AT)
    assert (first["Status"], second["Status"]) == ("DELETED", "VOIDED")
    assert messages(ask("PUT", "/Invoices", json=body())) == ["Invoice # must be unique."]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Contact": {"ContactID": "99"}}, "The contact 99 could not be found"),
        ({"Contact": {}}, "A Contact must be specified for this type of transaction"),
        ({"Contact": {"ContactID": "13"}}, "The contact with the specified contact details has been archived."),
        ({"LineItems": []}, "One or more line items must be specified"),
        ({"LineItems": [LINE | {"ItemCode": "99"}]}, "Item code '99' is not valid"),
        ({"LineItems": [LINE | {"ItemCode": "9"}]}, "Item code '9' is not valid"),
        ({"LineItems": [LINE | {"Description": ""}]}, "Description must be at least 1 character"),
        ({"LineItems": [LINE | {"LineAmount": 150}]}, "The line total 150 does not match the expected line total 154.00"),
        ({"CurrencyCode": "EUR"}, "Organisation is not subscribed to currency EUR"),
        ({"InvoiceNumber": "x" * 256}, "The InvoiceNumber must not be more than 255 characters."),
        ({"Type": "ACCPAY"}, "ACCPAY is not a type of Invoice sold to a customer."),
        ({"Status": "PAID"}, "Invoice not of valid status for creation"),
    ],
)  # fmt: skip
def test_what_xero_refuses(ask: Ask, company: Company, change: dict[str, Any], said: str) -> None:
    together = ask("PUT", "/Invoices", json=body(**change))
    assert (together.status_code, together.json()["Type"]) == (400, "ValidationException")
    apart = ask("PUT", "/Invoices", json=body(**change), params={"summarizeErrors": "false"})
    assert (apart.status_code, apart.json()["Invoices"][0]["StatusAttributeString"]) == (200, "ERROR")
    assert messages(together) == messages(apart)
    assert any(message.startswith(said) for message in messages(apart))
    assert company.invoices == {}


@pytest.mark.parametrize(("status", "is_refused"), [("DRAFT", False), ("AUTHORISED", True)])
def test_a_lock_date_refuses_what_is_approved(ask: Ask, company: Company, status: str, is_refused: bool) -> None:
    company.period_lock_on, company.end_of_year_lock_on = date(2026, 11, 23), date(2026, 12, 31)
    answer = ask("PUT", "/Invoices", json=body(Status=status))
    assert (answer.status_code == 400) == is_refused
    if is_refused:
        assert messages(answer) == [
            "The document date cannot be before the period lock date, currently set at 23-Nov-2026",
            "The document date cannot be before the end of year lock date, currently set at 31-Dec-2026",
        ]
    shown = ask("GET", "/Organisation").json()["Organisations"][0]
    assert (shown["PeriodLockDate"], shown["BaseCurrency"]) == ("/Date(1795392000000+0000)/", "USD")


def test_a_status_goes_one_way(company: Company, ask: Ask) -> None:
    made = company.add_invoice(body()["Invoices"][0], AT)
    path, change = f"/Invoices/{made['InvoiceID']}", lambda status: {"Invoices": [{"Status": status}]}
    assert messages(ask("POST", path, json=change("VOIDED"))) == ["Invoice not of valid status for modification"]
    for _ in range(2):
        (approved,) = ask("POST", path, json=change("AUTHORISED")).json()["Invoices"]
        assert (approved["Status"], approved["Total"]) == ("AUTHORISED", 154.0)
    assert messages(ask("POST", path, json=change("DRAFT"))) == ["Invoice not of valid status for modification"]
    company.contacts["12"]["ContactStatus"] = "ARCHIVED"
    assert "has been archived" in messages(ask("POST", path, json=change("AUTHORISED")))[0]


def test_a_key_repeats_the_first_answer_and_refuses_another_request(ask: Ask, company: Company) -> None:
    key = {"Idempotency-Key": "k"}
    first, again = (ask("PUT", "/Invoices", json=body(), headers=key) for _ in range(2))
    assert first.json()["Invoices"] == again.json()["Invoices"]
    other = ask("PUT", "/Invoices", json=body(InvoiceNumber="8"), headers=key)
    assert (other.status_code, other.json()["Message"]) == (
        400, "Idempotency Key k is used with a different request.")  # fmt: skip
    assert len(company.invoices) == 1
    assert ask("PUT", "/Invoices", json=body(), headers={"Idempotency-Key": "k" * 129}).status_code == 400


def test_a_key_repeats_refusals_and_defects_too(ask: Ask, company: Company) -> None:
    company.items.clear()
    refused = ask("PUT", "/Invoices", json=body(), headers={"Idempotency-Key": "a"})
    company.add_item("7", "Business Premium")
    assert messages(ask("PUT", "/Invoices", json=body(), headers={"Idempotency-Key": "a"})) == messages(refused)
    company.breaks = 1
    for _ in range(2):
        assert ask("PUT", "/Invoices", json=body(), headers={"Idempotency-Key": "b"}).status_code == 500
    assert company.invoices == {}
    assert ask("PUT", "/Invoices", json=body(), headers={"Idempotency-Key": "c"}).status_code == 200


@pytest.mark.parametrize("how", ["time", "number", "token"])
def test_a_key_is_forgotten(ask: Ask, company: Company, how: str) -> None:
    company.refuses_duplicate_numbers = False
    company.key_seconds = 0 if how == "time" else 360
    company.remembered_requests = 0 if how == "number" else None
    company.forgets_keys_on_refresh = how == "token"
    for _ in range(2):
        ask("PUT", "/Invoices", json=body(), headers={"Idempotency-Key": "k"})
    assert len(company.invoices) == 2


@pytest.mark.parametrize(
    ("fault", "is_made"),
    [("unavailable", False), ("error_after_commit", True), ("drop_after_commit", True)],
)
def test_a_fault_is_played_before_or_after_the_document_is_made(
    ask: Ask, company: Company, fault: str, is_made: bool
) -> None:
    company.plan = FaultPlan(**{fault: 1})
    try:
        answer = ask("PUT", "/Invoices", json=body(), headers={"Idempotency-Key": "k"})
    except httpx.HTTPError:
        assert fault == "drop_after_commit"
    else:
        assert answer.status_code == {"unavailable": 503, "error_after_commit": 500}.get(fault, 200)
        assert fault != "drop_after_commit" or answer.content == b'{"'
    assert (len(company.invoices) == 1) == is_made
    company.plan = FaultPlan()
    again = ask("PUT", "/Invoices", json=body(), headers={"Idempotency-Key": "k"})
    assert again.status_code == (500 if fault == "error_after_commit" else 200)
    assert len(company.invoices) == 1


def test_only_a_page_shows_lines_and_says_how_many_there_are(ask: Ask, company: Company) -> None:
    for number in range(5):
        company.add_invoice(body(InvoiceNumber=f"INV-{number}")["Invoices"][0], AT)
    whole = ask("GET", "/Invoices").json()
    assert [i["LineItems"] for i in whole["Invoices"]] == [[]] * 5
    assert "pagination" not in whole
    page = ask("GET", "/Invoices", params={**PAGE, "page": 2, "pageSize": 2, "order": "InvoiceNumber"}).json()
    assert page["pagination"] == {"page": 2, "pageSize": 2, "pageCount": 3, "itemCount": 5}
    assert [(i["InvoiceNumber"], len(i["LineItems"])) for i in page["Invoices"]] == [("INV-2", 1), ("INV-3", 1)]


@pytest.mark.parametrize(
    ("params", "numbers"),
    [
        ({"InvoiceNumbers": "INV-1,INV-9"}, ["INV-1"]),
        ({"InvoiceNumbers": "inv-1"}, []),
        ({"Statuses": "DELETED"}, ["INV-2"]),
        ({"where": 'Type=="ACCREC" AND Date>=DateTime(2026,11,2)'}, ["INV-2"]),
        ({"where": 'Type=="ACCREC" && Date<DateTime(2026, 11, 02)'}, ["INV-1"]),
        ({"where": 'Contact.ContactID==guid("12") AND Reference!=null AND Reference.Contains("po \\"7")'}, ["INV-1"]),
        ({"where": 'Reference.StartsWith("PO") AND Status!="DELETED"'}, ["INV-1"]),
    ],
)
def test_questions_are_answered_as_asked(
    ask: Ask, company: Company, params: dict[str, str], numbers: list[str]
) -> None:
    company.add_invoice(body(InvoiceNumber="INV-1", Date="2026-11-01", Reference='PO "7"')["Invoices"][0], AT)
    other = company.add_invoice(body(InvoiceNumber="INV-2", Date="2026-11-02")["Invoices"][0], AT)
    company.void(other["InvoiceID"], AT)
    assert [
        i["InvoiceNumber"] for i in ask("GET", "/Invoices", params={**PAGE, **params}).json()["Invoices"]
    ] == numbers


@pytest.mark.parametrize("where", ["Type=ACCREC", 'Type=="ACCREC" OR Type=="x"', "Type==", 'Missing.Contains("x")'])
def test_a_question_that_makes_no_sense_is_refused(ask: Ask, company: Company, where: str) -> None:
    company.add_invoice(body()["Invoices"][0], AT)
    answer = ask("GET", "/Invoices", params={"where": where})
    assert (answer.status_code, answer.json()["Type"]) == (400, "QueryParseException")


def test_terms_after_one_that_does_not_hold_are_not_looked_at() -> None:
    assert not holds({"Reference": None}, 'Reference!=null AND Reference.Contains("x")')


def test_archived_contacts_are_listed_where_asked_for(ask: Ask) -> None:
    assert [c["Name"] for c in ask("GET", "/Contacts", params=PAGE).json()["Contacts"]] == ["Acme Corp"]
    every = ask("GET", "/Contacts", params={**PAGE, "includeArchived": "true"}).json()["Contacts"]
    assert [c["ContactStatus"] for c in every] == ["ACTIVE", "ARCHIVED"]


def test_the_pace_is_kept(ask: Ask, company: Company) -> None:
    company.per_minute = 2
    for _ in range(2):
        assert ask("GET", "/Items").status_code == 200
    answer = ask("GET", "/Items")
    assert (answer.status_code, answer.headers["x-rate-limit-problem"]) == (429, "minute")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    company._recent[0] = time.monotonic() - 61
    assert ask("GET", "/Items").status_code == 200


def test_no_more_than_five_at_once(ask: Ask, company: Company) -> None:
    company.concurrent = 0
    answer = ask("GET", "/Items")
    assert (answer.status_code, answer.headers["x-rate-limit-problem"]) == (429, "concurrent")
    assert "retry-after" not in answer.headers


def test_nobody_is_let_in_without_a_token_or_to_another_organisation(ask: Ask) -> None:
    assert ask("GET", "/Items", headers={"Authorization": "Bearer x"}).json()["Detail"] == "TokenExpired: token expired"
    assert ask("GET", "/Items", headers={"xero-tenant-id": "x"}).status_code == 403
    assert ask("GET", "/Invoices/none").status_code == 404
    assert ask("PUT", "/Invoices", content="{").status_code == 400


def test_a_sign_in_names_the_organisations_it_opens(ask: Ask, company: Company) -> None:
    (found,) = ask("GET", "/connections").json()
    assert (found["tenantId"], found["tenantName"], found["tenantType"]) == (
        company.tenant_id, company.name, "ORGANISATION")  # fmt: skip


def test_refresh_tokens_rotate_and_survive_a_lost_answer(company: Company) -> None:
    first = company.exchange(company.refresh_token)["refresh_token"]
    second = company.exchange(company.refresh_token)["refresh_token"]
    company.exchange(second)
    for gone in (company.refresh_token, first):
        with pytest.raises(KeyError):
            company.exchange(gone)


def test_what_outlives_the_process_is_the_same_after_it(ask: Ask, company: Company) -> None:
    answer = ask("PUT", "/Invoices", json=body(), headers={"Idempotency-Key": "k"}, params={"unitdp": 4})
    credit = body(Type="ACCRECCREDIT")["Invoices"][0]
    company.add_invoice(credit, AT, "CreditNotes")
    memory, kept, notes = company.memory(), dict(company.invoices), dict(company.credit_notes)
    company.invoices.clear()
    company.credit_notes.clear()
    company.forget_keys()
    company.recall(memory)
    assert (company.invoices, company.credit_notes) == (kept, notes)
    again = ask("PUT", "/Invoices", json=body(), headers={"Idempotency-Key": "k"}, params={"unitdp": 4})
    assert again.json()["Invoices"] == answer.json()["Invoices"]


def test_the_vendor_page_reads_what_the_stand_in_says(connect: Connect, company: Company) -> None:
    connection = connect("xero", settings={"xero_tenant_id": company.tenant_id})
    secrets = connection.secret_values()
    company.client_id, company.client_secret = secrets["client_id"], secrets["client_secret"]
    company._refresh.add(secrets["refresh_token"])
    company.add_invoice(body()["Invoices"][0], AT)
    company.add_invoice(body(Type="ACCRECCREDIT", CreditNoteNumber="CN-1")["Invoices"][0], AT, "CreditNotes")
    transport = httpx.ASGITransport(create_app(company, lambda: AT))
    found = {e.endpoint: e for e in fetch(connection, replace(VENDOR, rate=None), at=AT, transport=transport)}
    assert {name: e.error for name, e in found.items() if e.error} == {}
    assert [len(found[name].rows or ()) for name in ("contacts", "items", "invoices", "invoice_lines")] == [2, 2, 2, 2]
    assert {row["LineAmount"] for row in found["invoice_lines"].rows or ()} == {Decimal("154.0")}
