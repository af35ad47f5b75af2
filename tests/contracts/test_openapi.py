"""Our requests and records against the descriptions NinjaOne and Huntress publish, served by a mock."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.pages import single_page
from morton_pipeline.extract.records import Record, columns, snake, validate
from morton_pipeline.vendors import VENDORS
from tests.conftest import Connect
from tests.contracts.conftest import Empty, Mock, serving, spec

AT = datetime(2026, 11, 1, tzinfo=UTC)
pytestmark = pytest.mark.contract


@dataclass(frozen=True)
class Case:
    """One vendor's description and how its lists go on and end."""

    vendor: str
    file: str
    continues: str
    empty: Empty
    is_dynamic: bool
    endpoints: tuple[str, ...] | None = None


def _no_more(body: Any) -> Any:
    return {name: [] if isinstance(value, list) else {} for name, value in body.items()}


CASES = (
    Case("ninjaone", "ninjaone/openapi.yaml", "after", lambda _: [], is_dynamic=True),
    Case("huntress", "huntress/swagger2.json", "page_token", _no_more, is_dynamic=False),
    # The mock invents ids longer than the ones it accepts, so organisations are read with the vendor's examples only.
    Case("huntress", "huntress/swagger2.json", "page_token", _no_more, True, ("agents", "incident_reports")),
)


@pytest.fixture(
    params=[
        pytest.param(case, id=f"{case.vendor}-{'generated' if case.is_dynamic else 'examples'}",
                     marks=pytest.mark.xdist_group(f"{case.vendor}-{case.is_dynamic}"))
        for case in CASES
    ],
    scope="module",
)  # fmt: skip
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Case, Mock]]:
    case = request.param
    path = spec(case.file)
    with serving(path, continues=case.continues, empty=case.empty, is_dynamic=case.is_dynamic) as mock:
        yield case, mock


def read(connect: Connect, served: tuple[Case, Mock]) -> list[Extraction]:
    case, mock = served
    mock.requests.clear()
    mock.violations.clear()
    mock.answers.clear()
    vendor = replace(VENDORS[case.vendor], rate=None)
    connection = connect(case.vendor, base_url=mock.url, settings={"attempts": 1})
    return fetch(connection, vendor, at=AT, endpoints=case.endpoints)


def test_every_request_is_one_the_vendor_describes(connect: Connect, served: tuple[Case, Mock]) -> None:
    _, mock = served
    found = read(connect, served)
    assert [e.error for e in found if e.error] == []
    assert len(mock.requests) >= len(found)
    assert [v for v in mock.violations if v["location"][0] == "request"] == []


def test_the_mock_notices_a_request_the_vendor_does_not_describe(connect: Connect, served: tuple[Case, Mock]) -> None:
    case, mock = served
    vendor = VENDORS[case.vendor]
    endpoint = replace(vendor.endpoints[-1], params={"pageSize": "many", "limit": 501}, pages=single_page)
    wrong = replace(vendor, rate=None, endpoints=(endpoint,))
    (extraction,) = fetch(connect(case.vendor, base_url=mock.url, settings={"attempts": 1}), wrong, at=AT)
    assert extraction.rows is None
    assert "422" in extraction.error


def test_every_answer_the_vendor_describes_becomes_records(connect: Connect, served: tuple[Case, Mock]) -> None:
    case, _ = served
    for extraction in read(connect, served):
        rows = extraction.rows or []
        result = validate(VENDORS[case.vendor].endpoint(extraction.endpoint).record, rows, at=AT)
        assert result.rejected.to_dict("records") == [], extraction.endpoint
        assert len(result.kept) == len(rows) > 0


SCHEMAS = {
    ("ninjaone", "organizations"): ("ninjaone/openapi.yaml", "Organization"),
    ("ninjaone", "devices"): ("ninjaone/openapi.yaml", "AgentDevice"),
    ("huntress", "organizations"): ("huntress/swagger2.json", "OrganizationWithActualProductUsages"),
    ("huntress", "agents"): ("huntress/swagger2.json", "Agent"),
    ("huntress", "incident_reports"): ("huntress/swagger2.json", "IncidentReport"),
}
KINDS = {
    "integer": {"bigint", "varchar"},
    "number": {"decimal(28, 9)"},
    "string": {"varchar"},
    "boolean": {"boolean"},
    "array": {"varchar"},
}
"""The columns each of the description's types may become; ids are text on purpose."""


@pytest.mark.parametrize(("vendor", "endpoint"), SCHEMAS, ids=lambda name: name)
def test_every_column_is_a_field_the_vendor_describes(vendor: str, endpoint: str) -> None:
    file, name = SCHEMAS[vendor, endpoint]
    text = spec(file).read_text("utf-8")
    document = json.loads(text) if file.endswith(".json") else yaml.load(text, yaml.CSafeLoader)
    schemas = document.get("definitions") or document["components"]["schemas"]
    described = fields(schemas[name], schemas)
    assert mismatches(VENDORS[vendor].endpoint(endpoint).record, described) == []


def fields(schema: Any, schemas: Any, prefix: str = "") -> dict[str, str]:
    """Flatten a description's properties to our column names and its types."""
    found: dict[str, str] = {}
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for part in schema.get("allOf", ()):
        found |= fields(part, schemas, prefix)
    for name, value in schema.get("properties", {}).items():
        column = f"{prefix}{snake(name)}"
        while "$ref" in value:
            value = schemas[value["$ref"].rpartition("/")[2]]
        found[column] = value.get("type", "object")
        if isinstance(example := value.get("example"), dict):
            found |= exemplified(example, f"{column}__")
        if "properties" in value and not prefix:
            found |= fields(value, schemas, f"{column}__")
    return found


def exemplified(example: dict[str, Any], prefix: str) -> dict[str, str]:
    """Huntress types the usages as text and shows an object: its example is the better description."""
    found: dict[str, str] = {}
    kinds = {bool: "boolean", int: "integer", float: "number", list: "array"}
    for name, value in example.items():
        if isinstance(value, dict):
            found |= exemplified(value, f"{prefix}{snake(name)}__")
        else:
            found[f"{prefix}{snake(name)}"] = kinds.get(type(value), "string")
    return found


def mismatches(record: type[Record], described: dict[str, str]) -> list[str]:
    """Name the columns the vendor does not describe, or describes as something else."""
    return [
        f"{c.name} ({c.sql_type}) is {described.get(c.name, 'not described')}"
        for c in columns(record)
        if c.sql_type not in KINDS.get(described.get(c.name, ""), set())
    ]
