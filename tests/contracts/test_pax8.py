"""Our requests and records against the description Pax8 publishes, served by a mock, and against its examples."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.pages import Call, Page, single_page
from morton_pipeline.extract.records import Record, columns, snake, validate
from morton_pipeline.extract.vendor import Rows
from morton_pipeline.vendors import VENDORS, pax8
from tests.conftest import Connect
from tests.contracts.conftest import Mock, serving, spec

AT = datetime(2026, 11, 1, tzinfo=UTC)
VENDOR = replace(VENDORS["pax8"], rate=None)
FILE = "pax8/partner-openapi.json"
OURS = {"sure_until", "invoice_id", "invoice_date", "add_on_name", "usage_name", "vendor_sku", "vendor_name"}
"""Columns that are ours, or another list's."""
SHOWN_ONLY = {"status"}
"""What the example of an invoice carries and the description does not."""
pytestmark = pytest.mark.contract


def described() -> Any:
    return json.loads(spec(FILE).read_text("utf-8"))


def no_more(first: Any) -> Any:
    """The second page of a list: the mock has one only, and what it says of all records is invented."""
    return {"content": [], "page": {"size": 200, "number": 1, "totalPages": 2, "totalElements": len(first["content"])}}


@pytest.fixture(scope="module", params=[False, True], ids=["examples", "generated"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    """Serve the description below /v1, where its server's address puts it, and mended.

    The numbers of records and pages have no type in it, and days have a format of its own.
    """
    document = json.loads(json.dumps(described()).replace('"yyyy-MM-dd"', '"date"'))
    document["paths"] = {f"/v1{path}": operations for path, operations in document["paths"].items()}
    for name in ("totalElements", "totalPages"):
        document["components"]["schemas"]["Page"]["properties"][name] = {"type": "integer", "enum": [2]}
    path = tmp_path_factory.mktemp("pax8") / "openapi.json"
    path.write_text(json.dumps(document), "utf-8")
    mocks: list[Mock] = []
    with serving(
        path, continues="page", empty=lambda _: no_more(mocks[0].answers[-1]), is_dynamic=request.param
    ) as mock:
        mocks.append(mock)
        yield mock


def read(connect: Connect, mock: Mock) -> list[Extraction]:
    mock.requests.clear()
    mock.violations.clear()
    mock.answers.clear()
    connection = connect("pax8", base_url=mock.url, auth_url=mock.url, settings={"attempts": 1})
    return fetch(connection, VENDOR, at=AT)


def test_every_request_is_one_pax8_describes(connect: Connect, served: Mock) -> None:
    found = read(connect, served)
    assert [e.error for e in found if e.error] == []
    assert {e.endpoint for e in found if e.rows} == {e.name for e in VENDOR.endpoints}
    assert len(served.requests) > len(found)
    assert [v for v in served.violations if v["location"][0] == "request"] == []


def test_the_mock_notices_a_request_pax8_does_not_describe(connect: Connect, served: Mock) -> None:
    wrong = replace(
        VENDOR.endpoint("companies"), params={"size": 201, "selfServiceAllowed": "perhaps"}, pages=single_page
    )
    connection = connect("pax8", base_url=served.url, auth_url=served.url, settings={"attempts": 1})
    (found,) = fetch(connection, replace(VENDOR, endpoints=(wrong,)), at=AT)
    assert found.rows is None
    assert "422" in found.error


def test_every_answer_pax8_describes_becomes_records(connect: Connect, served: Mock) -> None:
    for extraction in read(connect, served):
        rows = extraction.rows or []
        result = validate(VENDOR.endpoint(extraction.endpoint).record, rows, at=AT)
        assert result.rejected.to_dict("records") == [], extraction.endpoint
        assert len(result.kept) == len(rows) > 0


def shown(name: str) -> Any:
    return json.loads(spec(f"pax8/examples/{name}.json").read_text("utf-8"))


def test_the_published_examples_become_records() -> None:
    companies, invoices = shown("companies-paged")["content"], shown("invoices-paged")["content"]
    bought = [*shown("subscriptions-paged")["content"], shown("microsoft-office-365-e3-subscription")]
    catalogue = [{"id": product_id, "name": "x"} for product_id in {row["productId"] for row in bought}]
    page = Page(Call("/items", {"page": 0}, note=invoices[0]), shown("invoice-items"), [], {})
    lists: dict[str, Rows] = {
        "companies": companies,
        "subscriptions": pax8.completed(bought, {"companies": companies, "products": catalogue}),
        "invoices": invoices,
        "invoice_items": pax8.lines(page),
    }
    for name, rows in lists.items():
        result = validate(VENDOR.endpoint(name).record, rows, at=AT)
        assert result.rejected.to_dict("records") == [], name
        assert len(result.kept) == len(rows) > 0


SCHEMAS = {
    "companies": "Company",
    "products": "ProductDetail",
    "subscriptions": "Subscription",
    "invoices": "Invoice",
    "invoice_items": "InvoiceItem",
}
KINDS = {"string": "varchar", "number": "decimal(28, 9)", "boolean": "boolean"}


@pytest.mark.parametrize("endpoint", SCHEMAS)
def test_every_column_is_a_field_pax8_describes(endpoint: str) -> None:
    schemas = described()["components"]["schemas"]
    known = {snake(name): field.get("type", "") for name, field in schemas[SCHEMAS[endpoint]]["properties"].items()}
    for prefix, name in (("commitment_term", "SubscriptionCommitment"), ("company", "Company")):
        known |= {f"{prefix}__{snake(n)}": f["type"] for n, f in schemas[name]["properties"].items() if "type" in f}
    record: type[Record] = VENDOR.endpoint(endpoint).record
    ours = OURS | SHOWN_ONLY if endpoint == "invoices" else OURS - set(known)
    differing = {
        c.name: (c.sql_type, known.get(c.name))
        for c in columns(record)
        if c.sql_type != KINDS.get(known.get(c.name, ""))
    }
    assert {name: kinds for name, kinds in differing.items() if name not in ours} == {}
