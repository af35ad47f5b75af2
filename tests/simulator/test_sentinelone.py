"""The SentinelOne stand-in: its token, its cursor, its filters, and Morton's own extractor against it."""

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Connection, Tenant
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import validate
from morton_pipeline.simulator import sentinelone
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.simulator.world import START
from morton_pipeline.vendors import VENDORS
from tests.simulator.test_specs import spec

NOW = START + timedelta(days=40, hours=4, minutes=30)
BORN = START - timedelta(days=90)
FERNWOOD, TRIAL = "225612740369000001", "225612740369000002"
AGENTS, SITES = "/web/api/v2.1/agents", "/web/api/v2.1/sites"
EAST = {"Authorization": f"ApiToken {ACCEPTED['SENTINELONE_API_TOKEN']}"}
WEST = {"Authorization": f"ApiToken {ACCEPTED['SENTINELONE_WEST_API_TOKEN']}"}


def item(number: int, company_id: str, kind: str, at: datetime = BORN, **more: Any) -> Life[Item]:
    own = {name: more.pop(name, None) for name in ("serial", "mac", "silent_since")}
    return Life(at, Item(f"2257{number:06}654321", company_id, f"HOST-{number}", kind, facts=more, **own))


def small_tool(connection_id: str = "sentinelone") -> Tool:
    """Two sites and six agents, one of which is yet to come."""
    companies = [Company(FERNWOOD, "Fernwood Dental"), Company(TRIAL, "Try me", {"site_type": "Trial"})]
    items = [
        item(100, FERNWOOD, "server", serial="SN100", mac="0a:00:00:00:4d:01"),
        item(20, FERNWOOD, "laptop", silent_since=NOW - timedelta(days=60), os_type="macos"),
        item(3, FERNWOOD, "desktop", is_decommissioned=True),
        item(4, FERNWOOD, "desktop", is_uninstalled=True),
        item(5, TRIAL, "unknown"),
        item(6, FERNWOOD, "laptop", NOW + timedelta(days=1)),
    ]
    return Tool(connection_id, "sentinelone", [Life(BORN, c) for c in companies], items, {"server": "EDR-S1"})


@pytest.fixture
def app() -> Any:
    return sentinelone.create_app(small_tool(), SimulatedClock(NOW), page_limit=2)


def ask(app: Any, path: str, headers: dict[str, str] | None = None, **params: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path, params=params, headers=EAST if headers is None else headers)

    return asyncio.run(send())


def read(app: Any, variable: str = "SENTINELONE_API_TOKEN") -> list[Extraction]:
    connection = Connection("sentinelone", "sentinelone", "http://127.0.0.1", "http://127.0.0.1",
                            {"api_token": variable}, {"backoff_seconds": 0, "attempts": 1}, tenants=(Tenant(""),))  # fmt: skip
    vendor = replace(VENDORS["sentinelone"], rate=None)
    return fetch(connection, vendor, at=NOW, transport=httpx.ASGITransport(app))


def test_every_record_arrives_and_none_is_rejected(app: Any) -> None:
    found = {extraction.endpoint: extraction for extraction in read(app)}
    assert {name: (len(e.rows or ()), e.error) for name, e in found.items()} == {"sites": (2, ""), "agents": (5, "")}
    assert found["agents"].request_count == 3
    for name, extraction in found.items():
        result = validate(VENDORS["sentinelone"].endpoint(name).record, extraction.rows or [], at=NOW)
        assert result.rejected.to_dict("records") == []
        assert len(result.kept) == len(extraction.rows or ())
    standing = {row["computerName"]: (row["standing"], row["siteType"]) for row in found["agents"].rows or ()}
    assert standing == {
        "HOST-3": ("decommissioned", "Paid"),
        "HOST-4": ("uninstalled", "Paid"),
        "HOST-5": ("installed", "Trial"),
        "HOST-20": ("installed", "Paid"),
        "HOST-100": ("installed", "Paid"),
    }


def test_machines_can_be_recognised_and_only_the_silent_one_keeps_its_last_contact(app: Any) -> None:
    (agents,) = [e for e in read(app) if e.endpoint == "agents"]
    kept = validate(VENDORS["sentinelone"].endpoint("agents").record, agents.rows or [], at=NOW).kept
    kept = kept.set_index("computer_name")
    assert kept.loc["HOST-100", ["serial_number", "mac_addresses"]].to_list() == ["SN100", '["0a:00:00:00:4d:01"]']
    assert kept["last_active_date"].notna().to_dict() == {
        "HOST-3": False, "HOST-4": False, "HOST-5": False, "HOST-20": True, "HOST-100": False,
    }  # fmt: skip


def test_each_console_takes_its_own_token(app: Any) -> None:
    west = sentinelone.create_app(small_tool("sentinelone_west"), SimulatedClock(NOW))
    assert [ask(a, SITES, h).status_code for a in (app, west) for h in (EAST, WEST)] == [200, 401, 401, 200]
    assert [e.error for e in read(west, "SENTINELONE_WEST_API_TOKEN")] == ["", ""]


@pytest.mark.parametrize(
    "header",
    [None, "ApiToken other", f"Bearer {ACCEPTED['SENTINELONE_API_TOKEN']}"],
    ids=["none", "foreign", "another scheme"],
)
def test_a_wrong_token_is_refused(app: Any, header: str | None) -> None:
    refused = ask(app, AGENTS, {"Authorization": header} if header else {})
    assert (refused.status_code, refused.json()) == (401, sentinelone.error(401))


def test_case_1_a_wrong_token_leaves_every_scope_unknown(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINELONE_API_TOKEN", "an-expired-token")
    found = read(app)
    assert [e.rows for e in found] == [None, None]
    assert "401" in found[0].error
    assert "SENTINELONE_API_TOKEN" in found[0].error
    assert not any("an-expired-token" in e.error for e in found)


def test_what_is_gone_is_hidden_unless_it_is_asked_for(app: Any) -> None:
    names = {
        label: [row["computerName"] for row in ask(app, AGENTS, limit=1000, **params).json()["data"]]
        for label, params in {
            "default": {},
            "decommissioned": {"isDecommissioned": "true"},
            "uninstalled": {"isUninstalled": "True"},
        }.items()
    }
    assert names == {"default": ["HOST-5", "HOST-20"], "decommissioned": ["HOST-3"], "uninstalled": ["HOST-4"]}


def test_a_cursor_leads_on_in_the_order_of_the_ids(app: Any) -> None:
    both = {"isDecommissioned": "True,False", "isUninstalled": "True,False", "limit": 3}
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        body = ask(app, AGENTS, **both, **cursor).json()
        assert body["pagination"]["totalItems"] == 5
        found += [row["id"] for row in body["data"]]
        if body["pagination"]["nextCursor"] is None:
            break
        cursor = {"cursor": body["pagination"]["nextCursor"]}
    assert found == sorted(found, key=int)
    assert len(found) == 5


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 1001}, {"limit": "all"}, {"cursor": "?"}], ids=str)
def test_what_it_does_not_document_it_refuses(app: Any, params: dict[str, Any]) -> None:
    refused = ask(app, SITES, **params)
    assert (refused.status_code, refused.json()["errors"][0]["title"]) == (400, "Validation Error")


def test_an_unknown_address_is_not_found(app: Any) -> None:
    assert ask(app, "/web/api/v2.1/nothing").json() == sentinelone.error(404)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_an_error_says_what_is_wrong(status: int) -> None:
    (said,) = sentinelone.error(status)["errors"]
    assert said["code"] // 10_000 == status
    assert said["title"]


def test_nobody_asks_it_for_a_token() -> None:
    assert not any(sentinelone.is_token_path(path) for path in (AGENTS, SITES, "/oauth/token"))


@pytest.mark.contract
def test_an_agent_has_the_fields_of_the_published_types(app: Any) -> None:
    types = json.loads(spec("sentinelone/field_types.json"))
    example = json.loads(spec("sentinelone/examples/agents_list_item.json"))
    body = ask(app, AGENTS, limit=1000).json()
    assert set(body) | {"errors"} == set(types["envelope"])
    for agent in body["data"]:
        assert set(types["agent"]) <= set(agent)
        for name, value in agent.items():
            if name in example and value is not None:
                assert type(value) is type(example[name]), name
        assert agent["id"].isdigit()
        assert datetime.fromisoformat(agent["lastActiveDate"]).tzinfo


@pytest.mark.contract
def test_a_site_has_the_fields_of_the_published_types(app: Any) -> None:
    types = json.loads(spec("sentinelone/field_types.json"))
    kinds = {"string": str, "int": int, "bool": bool}
    data = ask(app, SITES).json()["data"]
    assert set(data) == set(types["sites list data"])
    for site in data["sites"]:
        assert set(types["site"]) <= set(site)
        for name, declared in types["site"].items():
            kind = kinds.get(declared.partition(" ")[0].partition("|")[0])
            if kind and site[name] is not None:
                assert type(site[name]) is kind, name
        assert site["siteType"] in types["site"]["siteType"]
        assert site["state"] in types["site"]["state"]


@pytest.mark.contract
def test_every_column_is_a_field_of_the_published_types_or_our_own() -> None:
    from morton_pipeline.extract.records import columns, snake

    types = json.loads(spec("sentinelone/field_types.json"))
    example = json.loads(spec("sentinelone/examples/agents_list_item.json"))
    published = {"agents": {*types["agent"], *example}, "sites": set(types["site"])}
    ours = {"agents": {"standing", "mac_addresses", "site_type", "site_state"}, "sites": set()}
    for endpoint, names in published.items():
        known = {snake(name) for name in names} | ours[endpoint]
        declared = columns(VENDORS["sentinelone"].endpoint(endpoint).record)
        assert [c.name for c in declared if c.name not in known] == []
