"""The console's stand-in: the key, pages, days and places, and our extractor reading all of it."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Connection, Tenant
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import validate
from morton_pipeline.simulator import veeam_spc
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.vendors import VENDORS
from morton_pipeline.vendors import veeam_spc as page
from tests.simulator.test_specs import spec

NOW = datetime(2026, 10, 5, 4, 30, tzinfo=UTC)
GIB = 2**30
VEEAM = VENDORS["veeam_spc"]
FERN, GULL = (f"c0000000-0000-4000-8000-00000000000{n}" for n in (1, 2))
ANNEXE = "10000000-0000-4000-8000-000000000001"
KEY = {"Authorization": f"Bearer {ACCEPTED['VEEAM_SPC_API_KEY']}"}
COMPANIES, USAGE = "/api/v3/organizations/companies", "/api/v3/organizations/companies/usage"


@pytest.fixture(autouse=True)
def _at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which day is over depends on what day it is."""
    monkeypatch.setenv("MORTON_NOW", NOW.isoformat())


def _life(value: Any) -> Any:
    return Life(NOW - timedelta(days=200), value)


def tool(more_companies: int = 0) -> Tool:
    companies = [
        Company(FERN, "Fernwood Dental", {"external_id": "FERN"}),
        Company(GULL, "Gull Logistics", {"status": "Disabled"}),
        *(Company(f"d0000000-0000-4000-8000-{n:012}", f"Client {n}") for n in range(more_companies)),
    ]
    items = [
        Item("1", FERN, "servers", "ManagedServerAgents", Decimal(6)),
        Item("2", FERN, "annexe", "ManagedServerAgents", Decimal(2), facts={"location": ANNEXE}),
        Item("3", FERN, "windows", "ManagedAgentsWindowsServerOS", Decimal(6), is_counted=False),
        Item("4", FERN, "cloud", "CloudTotalUsage", Decimal(5 * GIB + 400_000_000), is_counted=False),
        Item("5", GULL, "users", "Vb365ProtectedUsers", Decimal(25)),
        Item("6", GULL, "new", "QuantumVaults", Decimal(1)),
    ]
    return Tool("veeam_spc", "veeam_spc", [_life(c) for c in companies], [_life(i) for i in items], {})


def connection(key: str = "VEEAM_SPC_API_KEY") -> Connection:
    settings = {"backoff_seconds": 0}
    return Connection(
        "veeam_spc", "veeam_spc", VEEAM.base_url, VEEAM.base_url, {"api_key": key}, settings, None, (Tenant(""),)
    )


def read(app: Any, made: Connection | None = None) -> dict[str, Extraction]:
    found = fetch(made or connection(), VEEAM, at=NOW, transport=httpx.ASGITransport(app))
    return {e.endpoint: e for e in found}


def ask(app: Any, path: str, headers: dict[str, str] = KEY, **params: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return await client.get(path, params=params, headers=headers)

    return asyncio.run(send())


@pytest.fixture
def app() -> Any:
    return veeam_spc.create_app(tool(), SimulatedClock(NOW))


def kept(extraction: Extraction) -> dict[tuple[str, str], Any]:
    """What remains for a mapping or a count: the quantities that no rule takes out."""
    found: dict[tuple[str, str], Any] = {}
    for row in extraction.rows or ():
        if row["counter"] in ("ManagedServerAgents", "Vb365ProtectedUsers", "QuantumVaults", "CloudTotalUsage"):
            found[row["companyUid"], row["counter"]] = found.get((row["companyUid"], row["counter"]), 0) + Decimal(
                row["quantity"]
            )
    return found


@pytest.mark.parametrize("page_limit", [2, 500], ids=["short pages", "one page"])
def test_every_record_arrives_and_none_is_rejected(page_limit: int) -> None:
    found = read(veeam_spc.create_app(tool(more_companies=5), SimulatedClock(NOW), page_limit=page_limit))
    assert [e.error for e in found.values()] == ["", ""]
    assert len(found["companies"].rows or ()) == 7
    for name, extraction in found.items():
        result = validate(VEEAM.endpoint(name).record, extraction.rows or [], at=NOW)
        assert result.rejected.to_dict("records") == []
    assert {row["companyUid"] for row in found["company_usage"].rows or ()} == {
        row["instanceUid"] for row in found["companies"].rows or ()
    }


def test_what_is_planted_arrives_as_it_was_planted(app: Any) -> None:
    usage = read(app)["company_usage"]
    assert kept(usage) == {
        (FERN, "ManagedServerAgents"): 8,
        (FERN, "Vb365ProtectedUsers"): 0,
        (FERN, "CloudTotalUsage"): Decimal("5.4"),
        (GULL, "ManagedServerAgents"): 0,
        (GULL, "Vb365ProtectedUsers"): 25,
        (GULL, "QuantumVaults"): 1,
    }
    places = {row["locationUid"] for row in usage.rows or () if row["companyUid"] == FERN}
    assert places == {ANNEXE, veeam_spc.location_of(FERN)}


def test_the_day_that_is_read_is_the_one_that_ended_last() -> None:
    world, clock = tool(), SimulatedClock(NOW)
    servers = next(life for life in world.items if life.first.id == "1")
    servers.change(NOW - timedelta(hours=6), quantity=Decimal(7))
    servers.change(NOW - timedelta(hours=1), quantity=Decimal(99))
    usage = read(veeam_spc.create_app(world, clock))["company_usage"]
    assert kept(usage)[FERN, "ManagedServerAgents"] == 9, "last night's number, and not this morning's"


def test_a_console_without_companies_is_no_failure() -> None:
    found = read(veeam_spc.create_app(Tool("v", "veeam_spc", [], [], {}), SimulatedClock(NOW)))
    assert [(e.error, e.rows) for e in found.values()] == [("", []), ("", [])]


def test_a_wrong_key_is_refused(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG_KEY", "not this one")
    found = read(app, connection("WRONG_KEY"))
    assert [e.rows for e in found.values()] == [None, None]
    assert "answered 401: Authorization has been denied for this request. Check WRONG_KEY." in found["companies"].error
    assert ask(app, COMPANIES, {}).status_code == 401


def test_a_key_outlasts_any_token(app: Any) -> None:
    lasting = veeam_spc.create_app(tool(), SimulatedClock(NOW), token_seconds=0)
    assert read(lasting)["company_usage"].rows == read(app)["company_usage"].rows


def test_a_hundred_come_unless_more_are_asked_for() -> None:
    app = veeam_spc.create_app(tool(more_companies=150), SimulatedClock(NOW))
    body = ask(app, COMPANIES).json()
    assert (len(body["data"]), body["meta"]["pagingInfo"]) == (100, {"total": 152, "count": 100, "offset": 0})
    assert len(ask(app, COMPANIES, limit=500, offset=100).json()["data"]) == 52


def test_filtered_and_expanded_at_once_the_offset_is_forgotten(app: Any) -> None:
    forgotten = ask(app, COMPANIES, limit=1, offset=1, expand="Organization", filter="x").json()
    assert forgotten["meta"]["pagingInfo"]["offset"] == 0
    assert ask(app, COMPANIES, limit=1, offset=1, expand="Organization").json()["meta"]["pagingInfo"]["offset"] == 1


def test_only_an_expanded_company_tells_its_organisation(app: Any) -> None:
    assert "_embedded" not in ask(app, COMPANIES).json()["data"][0]
    expanded = ask(app, COMPANIES, expand="Organization").json()["data"][0]
    assert expanded["_embedded"]["organization"]["companyId"] == "FERN"


def test_an_action_that_is_named_is_answered_in_the_background(app: Any) -> None:
    response = ask(app, USAGE, {**KEY, "X-Request-id": "a1"})
    assert (response.status_code, response.headers["location"]) == (202, "/api/v3/asyncActions/a1")


@pytest.mark.parametrize(
    "params",
    [{"limit": "many"}, {"offset": -1}, {"limit": 0}, {"fromDate": "soon"},
     {"fromDate": "2026-08-01", "toDate": "2026-10-01"}],
    ids=["limit", "offset", "no limit", "date", "too long"],
)  # fmt: skip
def test_what_it_does_not_document_it_refuses(app: Any, params: dict[str, Any]) -> None:
    response = ask(app, USAGE, **params)
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"]


def test_an_unknown_address_is_not_found(app: Any) -> None:
    assert ask(app, "/api/v3/organizations").status_code == 404


@pytest.fixture(scope="module")
def schemas() -> Any:
    return json.loads(spec("veeam-vspc/schema_summary_3.6.1.json"))["schemas"]


KINDS = {"int": int, "str": str, "UUID": str, "bool": bool, "datetime.date": str, "float": float}


def follows(value: Any, name: str, schemas: Any) -> list[str]:
    """Name what an object has that its schema does not describe, or describes otherwise."""
    fields, wrong = schemas[name]["fields"], []
    for word, held in value.items():
        described = fields.get(word)
        if described is None:
            wrong.append(f"{name}.{word} is not described")
        elif held is None:
            wrong += [] if described["nullable"] else [f"{name}.{word} may not be null"]
        elif described["type"] in KINDS and not isinstance(held, KINDS[described["type"]]):
            wrong.append(f"{name}.{word} is no {described['type']}")
    return wrong


@pytest.mark.contract
def test_companies_are_written_as_the_console_describes_them(app: Any, schemas: Any) -> None:
    body = ask(app, COMPANIES, expand="Organization").json()
    assert follows(body["meta"]["pagingInfo"], "paging_information", schemas) == []
    assert set(body["meta"]["pagingInfo"]) == set(schemas["paging_information"]["fields"])
    for row in body["data"]:
        assert follows(row, "company", schemas) == []
        assert follows(row["_embedded"]["organization"], "organization", schemas) == []
        assert row["status"] in schemas["company_status"]["enum"]


@pytest.mark.contract
def test_usage_is_written_as_the_console_describes_it(app: Any, schemas: Any) -> None:
    rows = ask(app, USAGE, limit=500).json()["data"]
    assert rows
    for row in rows:
        assert set(row) == set(schemas["location_aggregated_usage"]["fields"])
        assert follows(row, "location_aggregated_usage", schemas) == []
        for counter in row["counters"]:
            assert follows(counter, "aggregated_usage", schemas) == []
    assert set(veeam_spc.COUNTERS) <= set(schemas["aggregated_usage_type"]["enum"])


@pytest.mark.contract
def test_errors_are_written_as_the_console_describes_them(schemas: Any) -> None:
    for status in (400, 401, 403, 404, 429, 500, 503):
        (said,) = veeam_spc.error(status)["errors"]
        assert set(said) == set(schemas["response_error"]["fields"])
        assert follows(said, "response_error", schemas) == []
    assert not veeam_spc.is_token_path(USAGE)


UNITS = {
    "ManagedServerAgents": "device",
    "ManagedWorkstationAgents": "device",
    "ManagedVms": "device",
    "ManagedCloudVms": "device",
    "ManagedUsers": "user",
    "Vb365ProtectedUsers": "user",
    "Vb365ProtectedEducationalUsers": "user",
    "ProtectedFileShares": "other",
    "ProtectedObjectStorages": "other",
    "PublicCloudProtectedCloudDatabases": "other",
    "PublicCloudProtectedFileShares": "other",
    "Unknown": "other",
}
"""What may be sold, and by what."""


@pytest.mark.contract
def test_every_counter_the_console_knows_is_sold_or_excluded_by_one_name(schemas: Any) -> None:
    counters = schemas["aggregated_usage_type"]["enum"]
    names = {
        counter: {rule.name for rule in page.RULES if fnmatchcase(counter.lower(), rule.pattern.lower())}
        for counter in counters
    }
    assert {counter for counter in counters if not names[counter]} == set(UNITS)
    assert [counter for counter in counters if len(names[counter]) > 1] == []
    assert {counter: page.unit_of(counter) for counter in UNITS} == UNITS
