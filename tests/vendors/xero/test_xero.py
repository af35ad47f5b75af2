"""Xero's recorded traffic becomes contacts, items, invoices with credit notes, and their lines."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from morton_pipeline.extract.fetch import fetch
from morton_pipeline.vendors.xero import VENDOR, billed_month, day
from tests.conftest import Connect
from tests.vendors.replay import replay, rows

AT = datetime(2026, 11, 1, tzinfo=UTC)


def test_xero(connect: Connect) -> None:
    found = replay(connect, "xero")
    assert rows(found["contacts"], "name", "contact_status", "default_currency") == [
        ("Fernwood Dental", "ACTIVE", "USD"),
        ("Gull Logistics", "ARCHIVED", None),
    ]
    assert rows(found["items"], "code", "name", "is_sold", "sales_details__unit_price") == [
        ("SEAT", "Managed seat", True, "42.5125"),
        ("OLD", "Retired", False, None),
    ]


def test_invoices_and_credit_notes_stand_in_one_list_the_voided_and_the_deleted_told_apart(connect: Connect) -> None:
    found = replay(connect, "xero")["invoices"]
    assert rows(found, "type", "invoice_number", "status", "date_string", "total") == [
        ("ACCREC", "M202610-ABCDEFGHIJKL", "DRAFT", "2026-11-01", "425.13"),
        ("ACCREC", "INV-0042", "AUTHORISED", "2026-10-28", "132.0"),
        ("ACCREC", "INV-0043", "VOIDED", "2026-10-28", "40.0"),
        ("ACCREC", "INV-0044", "DELETED", "2026-10-28", "0.0"),
        ("ACCRECCREDIT", "CN-0007", "AUTHORISED", "2026-10-29", "42.51"),
    ]


def test_every_line_with_an_item_or_an_amount_is_read_to_the_fourth_decimal(connect: Connect) -> None:
    lines = replay(connect, "xero")["invoice_lines"]
    assert rows(lines, "type", "line_amount_types", "item_code", "quantity", "unit_amount", "line_amount", "tax_amount",
                "served_on") == [
        ("ACCREC", "Exclusive", "SEAT", "10.0", "42.5125", "425.13", "0.0", "2026-10-01"),
        ("ACCREC", "Inclusive", "SEAT", "2.0", "55.0", "110.0", "10.0", None),
        ("ACCREC", "Inclusive", None, "1.0", "22.0", "22.0", "2.0", None),
        ("ACCREC", "Exclusive", "SEAT", "1.0", "40.0", "40.0", "0.0", None),
        ("ACCRECCREDIT", "Exclusive", "SEAT", "1.0", "42.5125", "42.51", "0.0", None),
    ]  # fmt: skip


def read(connect: Connect, answer: dict[str, Any]) -> tuple[list[httpx.Request], list[str]]:
    """Read the invoices where every list answers the same; return what was asked and what went wrong."""
    asked: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        is_token = request.url.path == "/connect/token"
        return httpx.Response(200, json={"access_token": "t", "expires_in": 1800} if is_token else answer)

    found = fetch(
        connect("xero", settings={"attempts": 1, "xero_tenant_id": "org-1"}),
        replace(VENDOR, rate=None),
        at=AT,
        endpoints=("invoices",),
        transport=httpx.MockTransport(reply),
    )
    return asked, [e.error for e in found if e.error]


def test_every_question_says_which_organisation_is_meant_and_the_sign_in_does_not(connect: Connect) -> None:
    pages = {"page": 1, "pageSize": 100, "pageCount": 1, "itemCount": 0}
    asked, errors = read(connect, {"Invoices": [], "CreditNotes": [], "pagination": pages})
    assert errors == []
    assert {(r.url.path, r.headers.get("xero-tenant-id")) for r in asked} == {
        ("/connect/token", None),
        ("/api.xro/2.0/Invoices", "org-1"),
        ("/api.xro/2.0/CreditNotes", "org-1"),
    }


def test_a_list_shorter_than_xero_says_is_not_believed(connect: Connect) -> None:
    document = {"InvoiceID": "1", "Type": "ACCREC", "Status": "PAID", "Contact": {"ContactID": "2"}}
    pages = {"page": 1, "pageSize": 100, "pageCount": 1, "itemCount": 2}
    _, errors = read(connect, {"Invoices": [document], "pagination": pages})
    assert len(errors) == 1
    assert "declared 2 records and sent 1" in errors[0]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"Date": "/Date(1539993600000+0000)/"}, date(2018, 10, 20)),
        ({"Date": "/Date(1539993600000)/"}, date(2018, 10, 20)),
        ({"Date": "/Date(-86400000+0000)/"}, date(1969, 12, 31)),
        ({"DateString": "2018-10-20 00:00:00", "Date": "/Date(1+0000)/"}, date(2018, 10, 20)),
        ({"DateString": "2018-10-20T00:00:00"}, date(2018, 10, 20)),
        ({"Date": "2018-10-20"}, date(2018, 10, 20)),
        ({"Date": "soon"}, None),
        ({}, None),
    ],
)
def test_a_date_is_read_in_either_form(document: dict[str, str], expected: date | None) -> None:
    assert day(document) == expected


@pytest.mark.parametrize(
    ("number", "reference", "expected"),
    [
        ("M202610-ABCDEFGHIJKL", "", date(2026, 10, 1)),
        ("INV-0042", "PO 4711 / Morton M202610-ABCDEFGHIJKL:", date(2026, 10, 1)),
        ("INV-0042", "instead of M202610-ABCDEFGHIJKL", None),
        ("M202613-ABCDEFGHIJKL", "", None),
        ("INV-0042", "", None),
    ],
)
def test_the_month_of_a_document_of_ours_is_known_by_its_number_or_its_mark(
    number: str, reference: str, expected: date | None
) -> None:
    assert billed_month(number, reference) == expected
