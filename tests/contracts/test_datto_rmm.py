"""Our requests and records against the description Datto RMM publishes, served by a mock once its defects are mended."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.pages import single_page
from morton_pipeline.extract.records import validate
from morton_pipeline.vendors import VENDORS
from tests.conftest import Connect
from tests.contracts.conftest import Mock, serving, spec
from tests.contracts.test_openapi import fields, mismatches

AT = datetime(2026, 11, 1, tzinfo=UTC)
FILE = "datto-rmm/openapi.json"
PAGES = {"sites": "SitesPage", "devices": "DevicesPage"}
COUNTS = {"sites": 1, "devices": 3}
SITE_UID = "7d1c0e5a-0000-4000-8000-000000000001"
pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("datto_rmm")]


def described() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(spec(FILE).read_text("utf-8"))
    return document


def mended(document: dict[str, Any]) -> dict[str, Any]:
    """Return the two lists as the vendor really answers them, below the path its address begins with.

    The description declares no 200 and gives its shape to the refusals, and calls milliseconds a date-time. And a mock
    knows nothing of totals, of a next page, or that a device stands in a site that is listed.
    """
    schemas = document["components"]["schemas"]
    for schema in (schemas["Device"], schemas["Site"]):
        for field in schema["properties"].values():
            if field.get("format") == "date-time":
                field.clear()
                field.update({"type": "integer", "minimum": 1_600_000_000_000, "maximum": 1_700_000_000_000})
    schemas["Site"]["properties"]["uid"]["enum"] = schemas["Device"]["properties"]["siteUid"]["enum"] = [SITE_UID]
    paths = {}
    for plural, name in PAGES.items():
        address = f"/v2/account/{plural}"
        operation = document["paths"][address]["get"]
        assert "200" not in operation["responses"], "the vendor declares a 200 now: mend less"
        for refusal in operation["responses"].values():
            refusal.pop("content", None)
        operation["responses"]["200"] = {"description": "OK", "content": {"application/json": {"schema": {
            "type": "object",
            "required": ["pageDetails", plural],
            "properties": {
                "pageDetails": _page_details(schemas["PaginationData"], COUNTS[plural], f"/api{address}?page=1"),
                plural: {**schemas[name]["properties"][plural], "minItems": COUNTS[plural], "maxItems": COUNTS[plural]},
            },
        }}}}  # fmt: skip
        paths[f"/api{address}"] = {"get": operation}
    return {**document, "servers": [], "paths": paths}


def _page_details(schema: dict[str, Any], count: int, following: str) -> dict[str, Any]:
    said = {"count": count, "totalCount": count, "nextPageUrl": following, "prevPageUrl": ""}
    properties = {name: {**schema["properties"][name], "enum": [value]} for name, value in said.items()}
    return {"type": "object", "required": list(said), "properties": properties}


def _as_the_last_page(body: Any) -> Any:
    """Answer the second page empty; what was declared on the first one stands."""
    plural = next(name for name in COUNTS if name in body)
    return {"pageDetails": {"count": 0, "totalCount": COUNTS[plural], "prevPageUrl": "", "nextPageUrl": ""}, plural: []}


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    path: Path = tmp_path_factory.mktemp("datto_rmm") / "openapi.json"
    path.write_text(json.dumps(mended(described())), "utf-8")
    with serving(path, continues="page", empty=_as_the_last_page, is_dynamic=True) as served:
        yield served


def read(connect: Connect, mock: Mock, **changes: Any) -> list[Extraction]:
    mock.requests.clear()
    mock.violations.clear()
    mock.answers.clear()
    vendor = replace(VENDORS["datto_rmm"], rate=None, **changes)
    return fetch(connect("datto_rmm", base_url=mock.url, settings={"attempts": 1}), vendor, at=AT)


def test_every_request_is_one_the_vendor_describes(connect: Connect, mock: Mock) -> None:
    found = read(connect, mock)
    assert [e.error for e in found if e.error] == []
    assert mock.requests == [
        "GET /api/v2/account/sites?max=250",
        "GET /api/v2/account/sites?max=250&page=1",
        "GET /api/v2/account/devices?max=250",
        "GET /api/v2/account/devices?max=250&page=1",
    ]
    assert mock.violations == []


def test_the_mock_notices_a_request_the_vendor_does_not_describe(connect: Connect, mock: Mock) -> None:
    endpoint = replace(VENDORS["datto_rmm"].endpoint("sites"), params={"max": "many"}, pages=single_page)
    (extraction,) = read(connect, mock, endpoints=(endpoint,))
    assert extraction.rows is None
    assert "422" in extraction.error


def test_every_answer_the_vendor_describes_becomes_records(connect: Connect, mock: Mock) -> None:
    found = read(connect, mock)
    assert [e.endpoint for e in found] == ["sites", "devices"]
    for extraction in found:
        result = validate(VENDORS["datto_rmm"].endpoint(extraction.endpoint).record, extraction.rows or [], at=AT)
        assert result.rejected.to_dict("records") == [], extraction.endpoint
        assert len(result.kept) == COUNTS[extraction.endpoint]


@pytest.mark.parametrize(("endpoint", "name"), [("sites", "Site"), ("devices", "Device")], ids=lambda name: name)
def test_every_column_is_a_field_the_vendor_describes(endpoint: str, name: str) -> None:
    schemas = described()["components"]["schemas"]
    known = fields(schemas[name], schemas)
    if endpoint == "devices":
        # Ours: one is renamed, one says what its site knows, and the date becomes epoch seconds.
        assert known["last_seen"] == "string"
        known |= {"datto_class": known["device_class"], "standing": "string", "last_seen": "number"}
    assert mismatches(VENDORS["datto_rmm"].endpoint(endpoint).record, known) == []
