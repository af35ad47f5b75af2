"""Sage's recorded traffic becomes customers, items, documents and their lines; its lists are walked to their end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Book
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.ledger import open_ledger
from morton_pipeline.ledger.tokens import LedgerTokens
from morton_pipeline.simulator.sage import Company, create_app
from morton_pipeline.vendors.sage import VENDOR
from tests.conftest import Connect
from tests.vendors.replay import replay, rows

AT = datetime(2026, 11, 1, tzinfo=UTC)
FERNWOOD, GULL = "14d93840783b11e8990a122c8428e4a1", "14d93840783b11e8990a122c8428e4a2"
SEAT, FIREWALL = "5e7c0a52f0a411e8990a122c8428e4b1", "5e7c0a52f0a411e8990a122c8428e4b2"


def test_sage(connect: Connect) -> None:
    found = replay(connect, "sage")
    assert rows(found["contacts"], "record_key", "name", "currency__id") == [
        (FERNWOOD, "Fernwood Dental", "GBP"),
        (GULL, "Gull Logistics", None),
    ]
    assert rows(found["services"], "record_key", "kind", "displayed_as", "active", "list_price") == [
        (SEAT, "service", "Managed seat", True, "42.51"),
        (FIREWALL, "product", "Firewall", None, None),
    ]
    documents = found["sales_invoices"]
    assert rows(documents, "displayed_as", "is_credit_note", "status__id", "date", "contact__id", "net_amount") == [
        ("SI-41", False, "UNPAID", "2026-10-01", FERNWOOD, "425.1"),
        ("SI-42", False, "VOID", "2026-10-02", GULL, "60.0"),
        ("SI-DRAFT", False, "DRAFT", "2026-10-03", GULL, "12.0"),
        ("SCN-3", True, "PAID", "2026-10-05", FERNWOOD, "42.51"),
    ]
    assert rows(documents, "reference", "notes", "void_reason")[:2] == [
        ("M202610-ABCDEFGHIJKL", "Morton M202610-ABCDEFGHIJKL: 0011223344556677", None),
        (None, "", "Made twice"),
    ]


def test_trap_7_the_amounts_of_every_line_are_read_though_they_are_text(connect: Connect) -> None:
    lines = replay(connect, "sage")["invoice_lines"]
    names = ("is_credit_note", "service__id", "product__id", "quantity", "unit_price", "net_amount")
    assert rows(lines, *names) == [
        (False, SEAT, None, "10.0", "42.51", "425.1"),
        (False, None, FIREWALL, "1.0", "60.0", "60.0"),
        (False, None, None, "1.0", "12.0", "12.0"),
        (True, SEAT, None, "1.0", "42.51", "42.51"),
    ]
    assert lines["record_key"].is_unique


class Carrier(httpx.AsyncBaseTransport):
    """Carries requests to the stand-in, unless the test answers first."""

    def __init__(self, company: Company, first: Callable[[httpx.Request], httpx.Response | None]) -> None:
        self._app, self._first = httpx.ASGITransport(create_app(company, lambda: AT)), first
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.url.path, dict(request.url.params)))
        assert request.url.path == "/token" or request.headers["x-business"] == "business_id-1"
        return self._first(request) or await self._app.handle_async_request(request)


@pytest.fixture
def company(connect: Connect) -> Company:
    secrets = connect("sage").secret_values()
    company = Company(business_id="business_id-1", **secrets)
    company.add_customer("c-1", "Acme")
    company.add_item("s-1", "Seat", Decimal("22.5"))
    for number in range(450):
        line = {"description": "seats", "ledger_account_id": "a", "unit_price": number, "service_id": "s-1"}
        document = {"contact_id": "c-1", "date": "2026-10-01", "invoice_lines": [line]}
        company.add_document({"sales_invoice": document}, AT)
    return company


def read(
    connect: Connect, company: Company, first: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
) -> tuple[dict[str, Extraction], list[tuple[str, dict[str, str]]]]:
    carrier = Carrier(company, first)
    with TemporaryDirectory() as folder, open_ledger(Book(Path(folder))) as ledger:
        # Sage's refresh tokens end with their first use: the newest is kept.
        tokens = LedgerTokens(ledger)
        found = fetch(connect("sage"), replace(VENDOR, rate=None), at=AT, tokens=tokens, transport=carrier)
    return {e.endpoint: e for e in found}, carrier.asked


def sizes(asked: list[tuple[str, dict[str, str]]]) -> list[tuple[str, str]]:
    return [(p["page"], p["items_per_page"]) for path, p in asked if path == "/v3.1/sales_invoices"]


def test_the_page_reads_what_the_stand_in_says(connect: Connect, company: Company) -> None:
    found, asked = read(connect, company)
    assert {name: e.error for name, e in found.items() if e.error} == {}
    assert {name: len(e.rows or ()) for name, e in found.items()} == {
        "contacts": 1,
        "services": 1,
        "sales_invoices": 450,
        "invoice_lines": 450,
    }
    assert sizes(asked) == [("1", "200"), ("2", "200"), ("3", "200")]


def test_trap_7_a_token_that_dies_in_the_middle_of_a_list_is_renewed(connect: Connect, company: Company) -> None:
    deaths: list[str] = []

    def die(request: httpx.Request) -> None:
        if request.url.params.get("page") == "2" and not deaths:
            deaths.append(request.url.path)
            company.forget_tokens()

    found, asked = read(connect, company, die)
    assert deaths == ["/v3.1/sales_invoices"]
    assert len(found["sales_invoices"].rows or ()) == 450
    assert sizes(asked) == [("1", "200"), ("2", "200"), ("2", "200"), ("3", "200")]


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_page_that_fails_is_asked_for_in_smaller_ones_from_where_it_was(
    connect: Connect, company: Company, status: int
) -> None:
    def fail(request: httpx.Request) -> httpx.Response | None:
        asked = (request.url.params.get("page"), request.url.params.get("items_per_page"))
        return httpx.Response(status, text="<html>too much") if asked == ("2", "200") else None

    found, asked = read(connect, company, fail)
    ids = [row["id"] for row in found["sales_invoices"].rows or ()]
    assert len(set(ids)) == 450
    assert sizes(asked) == [("1", "200"), ("2", "200"), ("3", "100"), ("4", "100"), ("5", "100")]


def test_a_server_that_fails_on_every_size_is_a_failure(connect: Connect, company: Company) -> None:
    company.most_items = 1
    found, asked = read(connect, company)
    assert found["sales_invoices"].rows is None
    assert "answered 500: An unexpected error occurred." in found["sales_invoices"].error
    assert sizes(asked) == [("1", "200"), ("1", "100"), ("1", "50"), *[("1", "25")] * 4]


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("3", {"$total": 451}),
        ("2", {"$next": None}),
        ("2", {"$next": "https://elsewhere.example/v3.1/x"}),
        ("2", {"$next": "/sales_invoices?attributes=all&page=2&items_per_page=200"}),
        ("2", {"$items": None}),
    ],
    ids=["total", "an early end", "a foreign link", "the same again", "no items"],
)
def test_a_list_that_is_not_whole_is_not_kept(
    connect: Connect, company: Company, place: str, change: dict[str, Any]
) -> None:
    def cut(request: httpx.Request) -> httpx.Response | None:
        if request.url.path != "/v3.1/sales_invoices" or request.url.params.get("page") != place:
            return None
        page = company.search("sales_invoices", dict(request.url.params))
        items = [{"id": row["id"]} for row in page["$items"]]
        return httpx.Response(200, json={**page, "$items": items} | change)

    found, asked = read(connect, company, cut)
    assert found["sales_invoices"].rows is None
    assert found["sales_invoices"].error
    assert {path.split("/")[1] for path, _ in asked} <= {"v3.1", "token"}
