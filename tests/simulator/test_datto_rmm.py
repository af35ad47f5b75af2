"""The Datto RMM stand-in: its sign-in, its links, its dates, and Morton's own extractor against it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Connection, Tenant
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import validate
from morton_pipeline.simulator import datto_rmm, desk
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.simulator.world import START
from morton_pipeline.vendors import VENDORS
from tests.simulator.test_specs import check, closed, spec

NOW = START + timedelta(days=40, hours=4, minutes=30)
BORN = START - timedelta(days=90)
FERNWOOD, GULL, YARD = (f"7d1c0e5a-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
FORM = {
    "grant_type": "password",
    "username": ACCEPTED["DATTO_RMM_API_KEY"],
    "password": ACCEPTED["DATTO_RMM_API_SECRET"],
}
PUBLIC = ("public-client", "public")


def item(number: int, company_id: str, kind: str, at: datetime = BORN, **more: Any) -> Life[Item]:
    own = {"silent_since": more.pop("silent_since", None)}
    return Life(at, Item(f"device-{number}", company_id, f"HOST-{number}", kind, facts=more, **own))


def small_tool() -> Tool:
    """Four sites and eight devices, one of which is yet to come and one gone."""
    companies = [
        Company(FERNWOOD, "Fernwood Dental", {"autotask_company_id": "29683510"}),
        Company(GULL, "Gull Logistics"),
        Company(YARD, "Gull yard (OnDemand)", {"on_demand": True}),
        Company("deleted-devices", "Deleted Devices"),
    ]
    gone = item(9, GULL, "Desktop")
    gone.remove(NOW - timedelta(days=3))
    items = [
        item(1, FERNWOOD, "Server", operating_system="Windows Server 2022"),
        item(2, FERNWOOD, "Laptop", silent_since=NOW - timedelta(days=60), suspended=True),
        item(3, GULL, "Printer", device_class="printer"),
        item(4, GULL, "Network Device", device_class="rmmnetworkdevice"),
        item(5, GULL, "Thin Client", device_class="unknown"),
        item(6, YARD, "Laptop"),
        item(7, "deleted-devices", "Desktop", deleted=True),
        item(8, GULL, "Desktop", NOW + timedelta(days=1)),
        gone,
    ]
    return Tool("datto_rmm", "datto_rmm", [Life(BORN, company) for company in companies], items, {"Server": "RMM-SRV"})


@pytest.fixture
def app() -> Any:
    return datto_rmm.create_app(small_tool(), SimulatedClock(NOW), page_limit=3)


def ask(app: Any, method: str, path: str, **more: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())


def signed_in(app: Any) -> dict[str, str]:
    token = ask(app, "POST", "/auth/oauth/token", data=FORM, auth=PUBLIC).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def read(app: Any, **changes: Any) -> list[Extraction]:
    secrets = {"api_key": "DATTO_RMM_API_KEY", "api_secret": "DATTO_RMM_API_SECRET"}
    connection = Connection("datto_rmm", "datto_rmm", "http://127.0.0.1", "http://127.0.0.1", secrets,
                            {"backoff_seconds": 0, "attempts": 1}, tenants=(Tenant(""),))  # fmt: skip
    vendor = replace(VENDORS["datto_rmm"], rate=None)
    return fetch(replace(connection, **changes), vendor, at=NOW, transport=httpx.ASGITransport(app))


def test_every_record_arrives_and_none_is_rejected(app: Any) -> None:
    found = {extraction.endpoint: extraction for extraction in read(app)}
    assert {name: (len(e.rows or ()), e.error) for name, e in found.items()} == {"sites": (4, ""), "devices": (7, "")}
    assert found["devices"].request_count == 3
    for name, extraction in found.items():
        result = validate(VENDORS["datto_rmm"].endpoint(name).record, extraction.rows or [], at=NOW)
        assert result.rejected.to_dict("records") == []
        assert len(result.kept) == len(extraction.rows or ())
    devices = {row["uid"]: row["standing"] for row in found["devices"].rows or ()}
    assert {uid for uid, standing in devices.items() if standing != "managed"} == {"device-6", "device-7"}


def test_only_the_silent_device_keeps_its_last_contact(app: Any) -> None:
    (devices,) = [e for e in read(app) if e.endpoint == "devices"]
    kept = validate(VENDORS["datto_rmm"].endpoint("devices").record, devices.rows or [], at=NOW).kept
    seen = dict(zip(kept["record_key"], kept["last_seen"], strict=True))
    silent = str(int((NOW - timedelta(days=60)).timestamp()))
    assert {uid: at for uid, at in seen.items() if isinstance(at, str)} == {"device-2": silent}


def test_a_token_that_ends_half_way_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = iter(range(0, 10_000, 20))
    monkeypatch.setattr(desk, "time", SimpleNamespace(monotonic=lambda: next(hands)))
    app = datto_rmm.create_app(small_tool(), SimulatedClock(NOW), page_limit=1, token_seconds=70)
    tokens: list[str] = []
    found = read(counting(app, tokens))
    assert [(len(e.rows or ()), e.error) for e in found] == [(4, ""), (7, "")]
    assert len(tokens) > 1


def counting(app: Any, tokens: list[str]) -> Callable[..., Any]:
    """Note every request for a token on its way in."""

    async def passing(scope: Any, receive: Any, send: Any) -> None:
        if datto_rmm.is_token_path(scope["path"]):
            tokens.append(scope["path"])
        await app(scope, receive, send)

    return passing


def test_a_token_ends(app: Any) -> None:
    brief = datto_rmm.create_app(small_tool(), SimulatedClock(NOW), token_seconds=-1)
    refused = ask(brief, "GET", "/api/v2/account/sites", headers=signed_in(brief))
    assert (refused.status_code, refused.json()) == (401, datto_rmm.error(401))
    assert ask(app, "GET", "/api/v2/account/sites", headers=signed_in(app)).status_code == 200


@pytest.mark.parametrize(
    ("change", "client", "status", "said"),
    [
        ({"password": "wrong"}, PUBLIC, 400, "invalid_grant"),
        ({"username": ""}, PUBLIC, 400, "invalid_grant"),
        ({"grant_type": "client_credentials"}, PUBLIC, 400, "unsupported_grant_type"),
        ({}, ("public-client", "private"), 401, "unauthorized"),
        ({}, None, 401, "unauthorized"),
    ],
    ids=["wrong secret", "no key", "wrong grant", "wrong client", "no client"],
)
def test_a_bad_sign_in_is_refused(
    app: Any, change: dict[str, str], client: tuple[str, str] | None, status: int, said: str
) -> None:
    response = ask(app, "POST", "/auth/oauth/token", data={**FORM, **change}, auth=client)
    assert (response.status_code, response.json()["error"]) == (status, said)


def test_case_1_wrong_credentials_leave_every_scope_unknown(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATTO_RMM_API_SECRET", "not-the-secret")
    found = read(app)
    assert [e.rows for e in found] == [None, None]
    assert all("Bad credentials" in e.error or "needs sites" in e.error for e in found)
    assert not any("not-the-secret" in e.error for e in found)


def test_a_next_link_says_which_page_and_forgets_the_rest(app: Any) -> None:
    page = ask(app, "GET", "/api/v2/account/devices?max=2", headers=signed_in(app)).json()
    assert page["pageDetails"] == {
        "count": 2,
        "totalCount": 7,
        "prevPageUrl": "",
        "nextPageUrl": "http://127.0.0.1/api/v2/account/devices?page=1",
    }
    last = ask(app, "GET", "/api/v2/account/devices?max=2&page=3", headers=signed_in(app)).json()["pageDetails"]
    assert (last["count"], last["nextPageUrl"]) == (1, "")


@pytest.mark.parametrize("query", ["max=many", "max=0", "page=-1"])
def test_what_it_cannot_read_it_refuses(app: Any, query: str) -> None:
    assert ask(app, "GET", f"/api/v2/account/sites?{query}", headers=signed_in(app)).status_code == 400


def test_the_devices_of_one_site_and_the_site_that_cannot_be_asked(app: Any) -> None:
    headers = signed_in(app)
    page = ask(app, "GET", f"/api/v2/site/{FERNWOOD}/devices", headers=headers).json()
    assert {d["siteName"] for d in page["devices"]} == {"Fernwood Dental"}
    assert ask(app, "GET", "/api/v2/site/deleted-devices/devices", headers=headers).status_code == 404
    assert ask(app, "GET", "/api/v2/nothing", headers=headers).status_code == 404


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_an_error_says_what_is_wrong(status: int) -> None:
    assert datto_rmm.error(status)["status"] == status
    assert datto_rmm.error(status)["message"].endswith(".")


def described() -> dict[str, Any]:
    """The description, mended: it knows no null, and its dates are milliseconds."""
    document: dict[str, Any] = json.loads(spec("datto-rmm/openapi.json"))
    for schema in document["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            if "$ref" in field:
                schema["properties"][name] = {"anyOf": [field, {"type": "null"}]}
            elif field.get("format") == "date-time":
                schema["properties"][name] = {"type": ["integer", "null"]}
            elif "type" in field and "enum" not in field:
                field["type"] = [field["type"], "null"]
    return document


@pytest.mark.contract
@pytest.mark.parametrize(
    ("path", "plural", "name"),
    [("/v2/account/sites", "sites", "Site"), ("/v2/account/devices", "devices", "Device")],
    ids=["sites", "devices"],
)
def test_it_lists_as_the_vendor_s_openapi_describes(app: Any, path: str, plural: str, name: str) -> None:
    document = described()
    answers = document["paths"][path]["get"]["responses"]
    page = answers["403"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    body = ask(app, "GET", f"/api{path}", headers=signed_in(app)).json()
    schemas = document["components"]["schemas"]
    check(body, closed(schemas, page), document)
    assert body[plural]
    check(body[plural], {"type": "array", "items": closed(schemas, name)}, document)


@pytest.mark.contract
@pytest.mark.parametrize("example", ["devicesPage1", "device-rmmnetworkdevice"])
def test_a_device_has_the_fields_of_the_published_examples(app: Any, example: str) -> None:
    shown = json.loads(spec(f"datto-rmm/examples/{example}.json"))
    shown = shown["devices"][0] if "devices" in shown else shown
    devices = ask(app, "GET", "/api/v2/account/devices", headers=signed_in(app)).json()["devices"]
    for device in devices:
        assert set(shown) <= set(device)
        assert {type(device[name]) for name in ("lastSeen", "creationDate", "lastAuditDate")} == {int}
