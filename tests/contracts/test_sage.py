"""Our requests to Sage against the definition it publishes, served by a mock; its stand-in's answers against the same.

The definition says number where Sage answers with text, and lists where Sage wraps them: its examples are the better
word on both, and are held up too. It names no `idempotency_id`, which Sage's guide does.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from morton_pipeline.accounting.drafts import Draft, line_of
from morton_pipeline.accounting.sage import NOTE_LENGTH, Sage, open_sage
from morton_pipeline.book import Book
from morton_pipeline.extract.fetch import fetch
from morton_pipeline.ledger import open_ledger
from morton_pipeline.ledger.tokens import LedgerTokens
from morton_pipeline.simulator.sage import Company, create_app
from morton_pipeline.vendors.sage import API, TOO_LARGE, VENDOR
from tests.accounting.conftest import Wire
from tests.conftest import Connect
from tests.contracts.conftest import serving, spec
from tests.contracts.test_openapi import fields, mismatches

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
FILE = "sage/sage_accounting_v3.1_swagger.json"
USED = ("sales_invoices", "sales_credit_notes", "contacts", "services", "products", "tax_rates")
pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def described() -> Any:
    return json.loads(spec(FILE).read_text("utf-8"))


def example(name: str) -> Any:
    return json.loads(spec(f"sage/examples/{name}.json").read_text("utf-8"))


class Keeping(httpx.AsyncBaseTransport):
    """Carries the nightly reading to the stand-in and keeps what was asked."""

    def __init__(self, app: Any) -> None:
        self._app, self.requests = httpx.ASGITransport(app), list[httpx.Request]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return await self._app.handle_async_request(request)


def drafts() -> Iterator[Draft]:
    """An invoice and a credit note, each of a service and a product."""
    for sign, amount in ((1, Decimal("100.00")), (-1, Decimal("-66.67"))):
        row = json.dumps({"service_name": "Seat", "unit_price": str(abs(amount) / 3)})
        decision = {
            "decision_id": "0011223344556677", "discrepancy_id": "00000000000a", "service_id": "seat", "kind": "under_billed",
            "quantity": Decimal(3 * sign), "amount": amount, "currency": "GBP", "period_month": date(2026, 11, 1), "row": row,
        }  # fmt: skip
        lines = [line_of(decision), line_of(decision)]
        yield Draft(
            "i", f"M202611-ABCDEFGHIJK{sign + 2}", "sage", "acme", "Acme", "c-1", date(2026, 11, 1), "GBP", amount * 2, lines, ["s-1", "p-1"]
        )  # fmt: skip


@pytest.fixture
def company(connect: Connect) -> Company:
    company = Company(business_id="business_id-1", currency="GBP", **connect("sage").secret_values())
    company.add_customer("c-1", "Acme")
    company.add_item("s-1", "Seat", Decimal("22.5"), tax_rate_id="GB_STANDARD")
    company.add_item("p-1", "Router", Decimal(80), is_product=True)
    return company


@pytest.fixture
def wire(company: Company) -> Wire:
    return Wire(create_app(company, lambda: AT))


@pytest.fixture
def asked(
    connect: Connect, company: Company, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[httpx.Request]:
    """Everything Morton ever asks of Sage: two documents are made, found, read and released, then all is read."""
    monkeypatch.setenv("MORTON_NOW", AT.isoformat())
    connection, keeping = connect("sage"), Keeping(create_app(company, lambda: AT))
    with open_ledger(Book(tmp_path)) as ledger:
        adapter = open_sage(connection, ledger, transport=wire, sleep=lambda _: None)
        for draft in drafts():
            payload = adapter.render(draft)
            expected = adapter.expect(payload, is_credit=draft.is_credit)
            assert adapter.find(expected) == []
            made = adapter.create(payload, draft.reference, is_credit=draft.is_credit)
            found = adapter.read_back(expected, made)
            assert found is not None
            adapter.release(found)
        adapter.list_since(date(2026, 11, 1))
        read = fetch(connection, replace(VENDOR, rate=None), at=AT, tokens=LedgerTokens(ledger), transport=keeping)
    assert [e.error for e in read if e.error] == []
    return [r for r in (*wire.requests, *keeping.requests) if r.url.path != "/token"]


@pytest.fixture(scope="module")
def mock(described: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the requests we make of the definition, below the path its base address has.

    The answers are too complex for the mock to make up; the stand-in's are held against them below.
    """
    paths = {f"{API}{p}": o for p, o in json.loads(json.dumps(described["paths"])).items() if p.split("/")[1] in USED}
    for operations in paths.values():
        for method in operations.keys() & {"get", "post", "put", "delete"}:
            operations[method]["responses"] = {"200": {"description": "An answer.", "schema": {"type": "object"}}}
    document = described | {"paths": paths, "basePath": "/"}
    path = tmp_path_factory.mktemp("sage") / "swagger.json"
    path.write_text(json.dumps(document), "utf-8")
    with serving(path, continues="none", empty=lambda body: body, is_dynamic=False) as served:
        yield served.url


def test_every_request_is_one_sage_describes(asked: list[httpx.Request], mock: str) -> None:
    refused = []
    with httpx.Client(trust_env=False, timeout=60) as client:
        for request in asked:
            answer = client.request(
                request.method,
                f"{mock}{request.url.raw_path.decode()}",
                content=request.content,
                headers={"Content-Type": "application/json"} if request.content else {},
            )
            if answer.status_code >= 400:
                refused.append((request.method, request.url.path, answer.json()))
    assert refused == []
    kinds = {(r.method, r.url.path.split("/")[2], r.url.path.count("/")) for r in asked}
    for path in ("sales_invoices", "sales_credit_notes"):
        assert {("POST", path, 2), ("POST", path, 4), ("GET", path, 2), ("GET", path, 3)} <= kinds


def test_the_mock_notices_a_document_sage_does_not_describe(mock: str) -> None:
    body = {"sales_invoice": {"contact_id": "c-1", "invoice_lines": [{"unit_price": "1"}]}}
    answer = httpx.post(f"{mock}{API}/sales_invoices", json=body, timeout=60, trust_env=False)
    assert (answer.status_code, answer.json()["title"]) == (422, "Invalid request")


def test_every_parameter_and_field_we_send_is_described(described: Any, asked: list[httpx.Request]) -> None:
    unknown: list[str] = []
    for request in asked:
        path = re.sub(r"/(?!release)[^/]+(?=$|/release)", "/{key}", request.url.path.removeprefix(API).lstrip("/"))
        operation = described["paths"][f"/{path}"][request.method.lower()]
        known = {p["name"] for p in operation["parameters"]}
        unknown += [f"{path}?{name}" for name in request.url.params if name not in known]
        bodies = [p["schema"] for p in operation["parameters"] if p["in"] == "body"]
        unknown += [
            u for b in bodies for u in undescribed(json.loads(request.content), b, described["definitions"], path)
        ]
    assert {u for u in unknown if not u.endswith(".idempotency_id")} == set()


def undescribed(value: Any, schema: Any, definitions: Any, where: str) -> list[str]:
    """Name the fields of a value that a definition does not know, or knows as something else."""
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if value is None:
        return []
    if isinstance(value, list):
        return [u for one in value for u in undescribed(one, schema.get("items", {}), definitions, where)]
    if isinstance(value, dict):
        known = schema.get("properties", {})
        inner = [
            u for k, v in value.items() if k in known for u in undescribed(v, known[k], definitions, f"{where}.{k}")
        ]
        return [*(f"{where}.{k}" for k in value if k not in known), *inner]
    kinds = {bool: "boolean", int: "number", float: "number", str: "string"}
    is_amount = schema["type"] == "number" and re.fullmatch(r"-?\d+\.\d+", str(value))
    return [] if is_amount or schema["type"] in (kinds[type(value)], "integer") else [f"{where} is a {schema['type']}"]


NAMES = {
    "sales_invoices": "SalesInvoice",
    "sales_credit_notes": "SalesCreditNote",
    "contacts": "Contact",
    "services": "Service",
    "products": "Product",
    "tax_rates": "TaxRate",
}


@pytest.mark.parametrize("path", NAMES)
def test_the_words_of_the_stand_in_are_the_definitions(
    described: Any, asked: list[httpx.Request], company: Company, wire: Wire, path: str
) -> None:
    headers = {"Authorization": f"Bearer {next(iter(company._access))}", "X-Business": company.business_id}
    with httpx.Client(transport=wire, base_url="http://127.0.0.1:9", headers=headers) as client:
        body = client.get(f"{API}/{path}", params={"attributes": "all"}).json()
    assert body["$items"]
    assert undescribed(body["$items"], {"items": {"$ref": f"/{NAMES[path]}"}}, described["definitions"], path) == []


def test_the_stand_ins_lists_and_errors_look_like_sages_examples(company: Company, wire: Wire) -> None:
    access = company.exchange(company.refresh_token)["access_token"]
    headers = {"Authorization": f"Bearer {access}", "X-Business": company.business_id}
    with httpx.Client(transport=wire, base_url="http://127.0.0.1:9", headers=headers) as client:
        products = client.get(f"{API}/products", params={"attributes": "all"}).json()
        refused = client.post(f"{API}/sales_invoices", json={"sales_invoice": {}})
        stub = client.get(f"{API}/products").json()["$items"][0]
    shown = example("get_all_product_page1")
    assert set(products) == set(shown)
    assert set(products["$items"][0]) <= {*shown["$items"][0], "deleted_at"}
    assert (products["$items"][0]["sales_prices"][0]["price"], shown["$items"][0]["sales_prices"][0]["price"]) == ("80.0", "30.0")  # fmt: skip
    assert (refused.status_code, [set(e) for e in refused.json()]) == (
        422,
        [set(e) for e in example("error_422_shape")],
    )
    assert set(stub) == {"id", "displayed_as", "$path"}
    assert example("get_all_sales_invoice_page1")["$next"].startswith("/sales_invoices?page=2&")


OURS = {"kind", "list_price", "is_credit_note", "sales_invoice_id"}


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("contacts", "Contact"),
        ("services", "Service"),
        ("sales_invoices", "SalesInvoice"),
        ("sales_invoices", "SalesCreditNote"),
        ("invoice_lines", "SalesInvoiceLineItem"),
        ("invoice_lines", "SalesCreditNoteLineItem"),
    ],
)
def test_every_column_is_a_field_sage_describes(described: Any, endpoint: str, name: str) -> None:
    found = mismatches(
        VENDOR.endpoint(endpoint).record, fields(described["definitions"][name], described["definitions"])
    )
    absent = OURS | ({"due_date"} if name == "SalesCreditNote" else set())
    assert [said for said in found if said.split()[0] not in absent] == []


@pytest.mark.parametrize("name", ["SalesInvoice", "SalesCreditNote"])
def test_our_limits_are_sages(described: Any, name: str) -> None:
    fields_of = described["definitions"][name]["properties"]
    assert (fields_of["reference"]["maxLength"], fields_of["notes"]["maxLength"]) == (
        Sage.reference_length,
        NOTE_LENGTH,
    )


def test_a_page_that_failed_was_no_refusal(described: Any) -> None:
    """What we take for a page that was too large is no answer Sage describes."""
    for path in USED:
        assert not set(map(str, TOO_LARGE)) & set(described["paths"][f"/{path}"]["get"]["responses"])
