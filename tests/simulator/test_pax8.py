"""The Pax8 stand-in: tokens asked for in JSON, pages from zero, three spellings of a day, and Morton's own extractor."""

import asyncio
import json
import re
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Connection, Tenant
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import validate
from morton_pipeline.simulator import pax8
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.vendors import VENDORS
from tests.contracts.conftest import spec

NOW = datetime(2026, 10, 4, 4, 30, tzinfo=UTC)
BORN = NOW - timedelta(days=90)
PREMIUM = "Microsoft 365 Business Premium"
FERNWOOD = "c0000000-0000-4000-8000-000000000001"
SECRETS = {"client_id": "PAX8_CLIENT_ID", "client_secret": "PAX8_CLIENT_SECRET"}


def bought(number: int, product: str, quantity: int, at: datetime = BORN, **facts: Any) -> Life[Item]:
    item = Item(f"50000000-0000-4000-8000-{number:012}", FERNWOOD, product, product, Decimal(quantity), facts=facts)
    return Life(at, item)


def small_tool() -> Tool:
    """One company with six subscriptions, one of which is yet to come."""
    commitment = {"id": str(uuid.UUID(int=1)), "term": "1-Year", "end_on": date(2027, 3, 1)}
    items = [
        bought(1, PREMIUM, 47, price=Decimal("26.40"), partner_cost=Decimal("18.70"), vendor_sku="SPB",
               commitment=commitment, start_on=date(2026, 1, 1), billing_term="Annual"),
        bought(2, "Proofpoint Essentials", 25, vendor_name="Proofpoint", status="PendingCancel",
               end_on=date(2026, 11, 30)),
        bought(3, "Audio Conferencing", 10, parent_id="50000000-0000-4000-8000-000000000001"),
        bought(4, PREMIUM, 5, status="Cancelled"),
        bought(5, "Azure Plan", 1, product_id=str(uuid.UUID(int=2))),
        bought(6, PREMIUM, 9, NOW + timedelta(days=1)),
    ]  # fmt: skip
    company = Company(FERNWOOD, "Fernwood Dental", {"external_id": "A1"})
    return Tool("pax8", "pax8", [Life(BORN, company)], items, {PREMIUM: "M365-BP"})


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS.values():
        monkeypatch.setenv(name, ACCEPTED[name])


@pytest.fixture
def app() -> Any:
    return pax8.create_app(small_tool(), SimulatedClock(NOW), page_limit=2)


def ask(app: Any, method: str, path: str, **more: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())


def read(app: Any, **settings: Any) -> dict[str, Extraction]:
    here = "http://127.0.0.1"
    settings = {"backoff_seconds": 0, "attempts": 1, **settings}
    connection = Connection("pax8", "pax8", here, here, SECRETS, settings, tenants=(Tenant(""),))
    vendor = replace(VENDORS["pax8"], rate=None)
    return {e.endpoint: e for e in fetch(connection, vendor, at=NOW, transport=httpx.ASGITransport(app))}


def test_every_record_arrives_and_none_is_rejected(app: Any) -> None:
    found = read(app)
    assert {name: (len(e.rows or ()), e.error) for name, e in found.items()} == {
        "companies": (1, ""),
        "products": (4, ""),
        "subscriptions": (5, ""),
        "invoices": (2, ""),
        "invoice_items": (8, ""),
    }
    for name, extraction in found.items():
        result = validate(VENDORS["pax8"].endpoint(name).record, extraction.rows or [], at=NOW)
        assert result.rejected.to_dict("records") == []
    rows = found["subscriptions"].rows or []
    assert [(row["quantity"], row["vendorName"], row["addOnName"], row["usageName"]) for row in rows] == [
        (47, "Microsoft", None, None),
        (25, "Proofpoint", None, None),
        (10, "Microsoft", "Audio Conferencing", None),
        (5, "Microsoft", None, None),
        (1, "Microsoft", None, "Azure Plan"),
    ]
    assert [row["invoiceDate"] for row in found["invoices"].rows or ()] == ["2026-09-05", "2026-08-05"]


def test_a_day_is_spelt_in_three_ways_in_one_record(app: Any) -> None:
    row = (read(app)["subscriptions"].rows or [])[0]
    assert row["startDate"] == "2026-01-01T08:30:00Z"
    assert row["billingStart"] == "2026-01-01"
    assert row["commitmentTerm"]["endDate"] == "2027-03-01T23:59:59.000-0700"
    assert "endDate" not in row


def test_a_token_that_ended_is_asked_for_again() -> None:
    ended = pax8.create_app(small_tool(), SimulatedClock(NOW), token_seconds=-1)
    assert all(e.rows is None and "401" in e.error for e in read(ended).values() if "needs" not in e.error)
    brief = pax8.create_app(small_tool(), SimulatedClock(NOW), token_seconds=0.3)
    assert all(e.error == "" for e in read(brief).values())


def test_wrong_credentials_get_no_token(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAX8_CLIENT_SECRET", "wrong")
    assert "No token was issued (401): Unauthorized" in read(app)["companies"].error


GOOD = {"client_id": ACCEPTED["PAX8_CLIENT_ID"], "client_secret": ACCEPTED["PAX8_CLIENT_SECRET"],
        "audience": "https://api.pax8.com", "grant_type": "client_credentials"}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "status"),
    [({}, 200), ({"audience": "api://p8p.client"}, 200), ({"audience": "https://else.example"}, 401),
     ({"grant_type": "password"}, 401), ({"client_id": "other"}, 401)],
    ids=["good", "older audience", "audience", "grant", "client"],
)  # fmt: skip
def test_a_token_is_asked_for_in_json(app: Any, change: dict[str, str], status: int) -> None:
    assert ask(app, "POST", "/v1/token", json={**GOOD, **change}).status_code == status
    assert ask(app, "POST", "/v1/token", data={**GOOD, **change}).status_code == 400


@pytest.fixture
def signed_in(app: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {ask(app, 'POST', '/v1/token', json=GOOD).json()['access_token']}"}


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("/v1/companies", {}, 200),
        ("/v1/companies", {"size": "201"}, 400),
        ("/v1/companies", {"page": "-1"}, 400),
        ("/v1/products", {"size": "200"}, 200),
        (f"/v1/products/{uuid.UUID(int=2)}", {}, 200),
        (f"/v1/products/{uuid.UUID(int=9)}", {}, 404),
        (f"/v1/invoices/{uuid.UUID(int=9)}/items", {}, 404),
        ("/v1/orders", {}, 404),
    ],
)
def test_each_request_is_answered_as_pax8_would(
    app: Any, signed_in: dict[str, str], path: str, params: dict[str, str], status: int
) -> None:
    response = ask(app, "GET", path, params=params, headers=signed_in)
    assert response.status_code == status
    assert (response.json().get("status") == status) is (status != 200)
    assert ask(app, "GET", path, params=params).status_code in (401, 404)


def test_subscriptions_can_be_narrowed_and_pages_beyond_the_last_are_empty(app: Any, signed_in: dict[str, str]) -> None:
    params = {"status": "Cancelled"}
    (row,) = ask(app, "GET", "/v1/subscriptions", params=params, headers=signed_in).json()["content"]
    assert row["quantity"] == 5
    beyond = ask(app, "GET", "/v1/subscriptions", params={"page": "9"}, headers=signed_in).json()
    assert (beyond["content"], beyond["page"]["totalElements"]) == ([], 5)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_errors_have_the_shape_of_pax8_s(status: int) -> None:
    assert set(pax8.error(status)) == {"type", "message", "instance", "status", "details"}
    assert pax8.is_token_path("/pax8/v1/token")
    assert not pax8.is_token_path("/pax8/v1/companies")


SCHEMAS = {
    "/v1/companies": "Company",
    "/v1/products": "Product",
    "/v1/subscriptions": "Subscription",
    "/v1/invoices": "Invoice",
    "/v1/invoices/{id}/items": "InvoiceItem",
}
SHOWN_ONLY = {"Invoice": {"status"}}
"""What Pax8's own example carries and its description does not."""


@pytest.mark.contract
@pytest.mark.parametrize("path", SCHEMAS)
def test_answers_have_the_fields_and_types_pax8_describes(app: Any, signed_in: dict[str, str], path: str) -> None:
    schemas = json.loads(spec("pax8/partner-openapi.json").read_text("utf-8"))["components"]["schemas"]
    if "{id}" in path:
        invoices = ask(app, "GET", "/v1/invoices", headers=signed_in).json()["content"]
        path = path.replace("{id}", invoices[0]["id"])
    body = ask(app, "GET", path, params={"size": "200"}, headers=signed_in).json()
    assert set(body["page"]) == set(schemas["Page"]["properties"])
    name = SCHEMAS[re.sub(r"[0-9a-f-]{36}", "{id}", path)]
    described = schemas[name]["properties"]
    kinds: dict[str, Any] = {"string": str, "number": (int, float), "boolean": bool, "array": list}
    assert body["content"]
    for row in body["content"]:
        assert set(row) - set(described) - SHOWN_ONLY.get(name, set()) == set()
        for field in set(row) & set(described):
            assert isinstance(row[field], kinds.get(described[field].get("type"), dict)), field
            assert row[field] in described[field].get("enum", [row[field]]), field
