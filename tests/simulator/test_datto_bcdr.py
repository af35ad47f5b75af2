"""The Datto BCDR stand-in: its key, its pages and bare arrays, its odd texts, and Morton's own extractor against it."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Connection, Tenant
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import snake, validate
from morton_pipeline.simulator import datto_bcdr
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.simulator.world import START
from morton_pipeline.vendors import VENDORS
from tests.simulator.test_specs import spec

NOW = START + timedelta(days=40, hours=4, minutes=30)
BORN = START - timedelta(days=90)
KEY = (datto_bcdr.KEY.id, datto_bcdr.KEY.secret)


def item(item_id: str, company_id: str, kind: str, **more: Any) -> Life[Item]:
    own = {word: more.pop(word) for word in ("serial", "mac", "silent_since") if word in more}
    return Life(more.pop("at", BORN), Item(item_id, company_id, item_id.title(), kind, facts=more, **own))


def small_tool() -> Tool:
    """Two organisations and one nobody gave a number; five appliances, eight assets and eight seats."""
    companies = [Company("51", "Fernwood Dental"), Company("77", "Gull Logistics"), Company("brook", "Brook Farm")]
    gone = item("pc-9", "51", "agent", appliance="AAA1")
    gone.remove(NOW - timedelta(days=3))
    items = [
        item("AAA1", "51", "appliance"),
        item("BBB2", "77", "appliance", model="A2"),
        item("CCC3", "51", "appliance", hidden=True),
        item("DDD4", "brook", "appliance", reseller="Brook IT"),
        item("EEE5", "77", "appliance", at=NOW + timedelta(days=1)),
        item("dc-1", "51", "agent", appliance="AAA1", serial="SN1", mac="02:00:00:00:00:01"),
        item("pc-2", "51", "agent", appliance="AAA1", os="Windows 11 Pro", paused=True),
        item("lab-3", "51", "agent", appliance="AAA1", archived=True),
        item("nas-4", "51", "agent", appliance="AAA1", asset_type="share"),
        item("sql-5", "77", "agent", appliance="BBB2", silent_since=NOW - timedelta(days=60)),
        item("old-6", "51", "agent", appliance="CCC3"),
        item("farm-7", "brook", "agent", appliance="DDD4"),
        gone,
        item("ada", "51", "seat"),
        item("bo", "51", "seat", seat_state="paused"),
        item("cy", "51", "seat", seat_state="archived"),
        item("di", "51", "seat", seat_state="unprotected", billable=False),
        item("desk", "51", "seat", seat_type="SharedMailbox", billable=False),
        item("site", "51", "seat", seat_type="Site", billable=None),
        item("ed", "77", "seat", product="GoogleApps"),
        item("flo", "77", "seat"),
    ]
    services = {"agent": "BDR-SRV", "seat": "SAAS-SEAT"}
    return Tool("datto_bcdr", "datto_bcdr", [Life(BORN, company) for company in companies], items, services)


@pytest.fixture
def app() -> Any:
    return datto_bcdr.create_app(small_tool(), SimulatedClock(NOW), page_limit=2)


def ask(app: Any, path: str, auth: tuple[str, str] | None = KEY) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path, auth=auth)

    return asyncio.run(send())


def read(app: Any) -> dict[str, Extraction]:
    secrets = {"public_key": "DATTO_BCDR_PUBLIC_KEY", "secret_key": "DATTO_BCDR_SECRET_KEY"}
    connection = Connection("datto_bcdr", "datto_bcdr", "http://127.0.0.1", "http://127.0.0.1", secrets,
                            {"backoff_seconds": 0, "attempts": 1}, tenants=(Tenant(""),))  # fmt: skip
    vendor = replace(VENDORS["datto_bcdr"], rate=None)
    return {e.endpoint: e for e in fetch(connection, vendor, at=NOW, transport=httpx.ASGITransport(app))}


def kept(extraction: Extraction) -> list[dict[str, Any]]:
    result = validate(VENDORS["datto_bcdr"].endpoint(extraction.endpoint).record, extraction.rows or [], at=NOW)
    assert result.rejected.to_dict("records") == []
    return result.kept.to_dict("records")


def test_every_record_arrives_and_none_is_rejected(app: Any) -> None:
    found = read(app)
    assert {name: (len(kept(e)), e.error) for name, e in found.items()} == {
        "devices": (4, ""),
        "assets": (7, ""),
        "saas_seats": (8, ""),
    }
    # Three own appliances and then four in pages of two; an asset list each; the domains and three customers' seats.
    assert [e.request_count for e in found.values()] == [4, 4, 4]


def test_what_rules_look_at_tells_the_records_apart(app: Any) -> None:
    found = read(app)
    assert [d["serial_number"] for d in kept(found["devices"]) if d["child_reseller"] == "True"] == ["DDD4"]
    words = ("is_archived", "type", "device__hidden", "device__child_reseller")
    assets = {row["name"]: tuple(str(row[word]) for word in words) for row in kept(found["assets"])}
    assert assets == {
        "Dc-1": ("False", "agent", "False", "False"),
        "Pc-2": ("False", "agent", "False", "False"),
        "Lab-3": ("True", "agent", "False", "False"),
        "Nas-4": ("False", "share", "False", "False"),
        "Sql-5": ("False", "agent", "False", "False"),
        "Old-6": ("False", "agent", "True", "False"),
        "Farm-7": ("False", "agent", "False", "True"),
    }
    seats = {row["id"]: (row["seat_type"], row["seat_state"], row["billing"]) for row in kept(found["saas_seats"])}
    assert seats == {
        "ada": ("User", "Active", "billable"),
        "bo": ("User", "Paused", "billable"),
        "cy": ("User", "Archived", "billable"),
        "di": ("User", "Unprotected", "not_billable"),
        "desk": ("SharedMailbox", "Active", "not_billable"),
        "site": ("Site", "Active", "free_seat_type"),
        "ed": ("User", "Active", "billable"),
        "flo": ("User", "Active", "billable"),
    }


def test_seats_and_appliances_name_the_same_organisation(app: Any) -> None:
    found = read(app)
    assert {row["device__organization_id"] for row in kept(found["assets"]) if row["name"] != "Farm-7"} == {"51", "77"}
    assert {row["organization_id"] for row in kept(found["saas_seats"])} == {"51", "77"}
    assert len({row["saas_customer_id"] for row in kept(found["saas_seats"])}) == 3


def test_only_the_silent_machine_keeps_its_last_backup(app: Any) -> None:
    seen = {
        row["name"]: row["last_snapshot"] for row in kept(read(app)["assets"]) if isinstance(row["last_snapshot"], str)
    }
    assert set(seen) == {"Sql-5", "Lab-3"}
    assert float(seen["Sql-5"]) == (NOW - timedelta(days=60)).timestamp()


@pytest.mark.parametrize("auth", [None, (KEY[0], "wrong"), ("other", KEY[1])], ids=["none", "secret", "key"])
def test_a_wrong_key_is_refused(app: Any, auth: tuple[str, str] | None) -> None:
    response = ask(app, "/v1/bcdr/device", auth)
    assert (response.status_code, response.json()) == (401, datto_bcdr.error(401))


def test_case_1_wrong_credentials_leave_every_scope_unknown(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATTO_BCDR_SECRET_KEY", "not-the-secret")
    found = read(app)
    assert [e.rows for e in found.values()] == [None, None, None]
    assert "The API key or its secret is not valid" in found["devices"].error
    assert not any("not-the-secret" in e.error for e in found.values())


def test_no_token_is_ever_asked_for(app: Any) -> None:
    assert not datto_bcdr.is_token_path("/v1/bcdr/device")


@pytest.mark.parametrize(
    ("query", "serials"),
    [
        ("", ["AAA1", "BBB2"]),
        ("?_page=2", ["CCC3", "DDD4"]),
        ("?_page=3", []),
        ("?showHiddenDevices=0&_page=2", ["DDD4"]),
        ("?showChildResellerDevices=0&_page=2", ["CCC3"]),
        ("?_perPage=1&_page=3", ["CCC3"]),
    ],
    ids=["first", "second", "past the end", "not hidden", "own", "smaller"],
)
def test_appliances_come_in_numbered_pages(app: Any, query: str, serials: list[str]) -> None:
    body = ask(app, f"/v1/bcdr/device{query}").json()
    assert [row["serialNumber"] for row in body["items"]] == serials
    assert body["pagination"]["count"] == (3 if "show" in query else 4)


@pytest.mark.parametrize("query", ["_page=0", "_page=one", "_perPage=0"])
def test_what_it_cannot_read_it_refuses(app: Any, query: str) -> None:
    assert ask(app, f"/v1/bcdr/device?{query}").status_code == 400


def test_assets_and_seats_are_bare_arrays_and_can_be_narrowed(app: Any) -> None:
    assert [row["name"] for row in ask(app, "/v1/bcdr/device/AAA1/asset/share").json()] == ["Nas-4"]
    (customer,) = {d["saasCustomerId"] for d in ask(app, "/v1/saas/domains").json() if d["seatsUsed"] == 2}
    seats = ask(app, f"/v1/saas/{customer}/seats?seatType=Site,SharedMailbox").json()
    assert {row["seatType"] for row in seats} == {"Site", "SharedMailbox"}


@pytest.mark.parametrize("path", ["/v1/bcdr/device/ZZZ9/asset", "/v1/saas/1/seats", "/v1/nothing"])
def test_an_unknown_address_is_not_found(app: Any, path: str) -> None:
    assert ask(app, path).json() == datto_bcdr.error(404)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_an_error_says_what_is_wrong(status: int) -> None:
    assert datto_bcdr.error(status)["code"] == str(status)
    assert datto_bcdr.error(status)["message"].endswith(".")


def fields() -> dict[str, Any]:
    described: dict[str, Any] = json.loads(spec("datto-bcdr/field_types.json"))
    return described


KINDS = {"int": int, "bool": bool, "string": str, "epoch seconds": int, "array": list, "string[]": list}


def misfits(row: dict[str, Any], described: dict[str, str]) -> list[str]:
    """Name the fields that are not as they are described; objects are looked at by their presence."""
    wrong = []
    for name, kind in described.items():
        word = kind.partition(" (")[0]
        allowed = [KINDS[part] for part in word.split("|") if part in KINDS]
        if name not in row or (allowed and not isinstance(row[name], (*allowed, *([type(None)] * ("null" in word))))):
            wrong.append(f"{name} is {row.get(name)!r}, described as {kind}")
    return wrong


@pytest.mark.contract
@pytest.mark.parametrize(
    ("path", "described", "ours"),
    [
        ("/v1/bcdr/device", "device (GET /bcdr/device items[])", set()),
        ("/v1/bcdr/device/AAA1/asset", "asset (GET /bcdr/device/{serial}/asset[/agent])", {"type"}),
        ("/v1/saas/domains", "saas domain (GET /saas/domains)", set()),
        # Clients that look at live answers name a seat's remoteId; the reference they were typed from does not.
        ("/v1/saas/{customer}/seats", "saas seat (GET /saas/{saasCustomerId}/seats)", {"remoteId"}),
    ],
    ids=["devices", "assets", "domains", "seats"],
)
def test_it_answers_with_the_fields_that_are_known(app: Any, path: str, described: str, ours: set[str]) -> None:
    customer = ask(app, "/v1/saas/domains").json()[0]["saasCustomerId"]
    body = ask(app, path.format(customer=customer)).json()
    rows = body["items"] if isinstance(body, dict) else body
    assert rows
    known = fields()[described]
    for row in rows:
        missing = {} if row.get("seatType") != "Site" else {"billable"}
        assert misfits({**dict.fromkeys(missing, ""), **row}, known) == []
        assert set(row) - set(known) == ours


@pytest.mark.contract
@pytest.mark.parametrize(
    ("path", "example"),
    [("/v1/bcdr/device", "bcdr_device_page"), ("/v1/bcdr/device/AAA1/asset", "bcdr_device_asset_agent")],
    ids=["device", "asset"],
)
def test_it_answers_with_every_field_of_the_published_examples(app: Any, path: str, example: str) -> None:
    shown = json.loads(spec(f"datto-bcdr/examples/{example}.json"))
    body = ask(app, path).json()
    if "items" in shown:
        assert set(shown["pagination"]) == set(body["pagination"])
        shown, body = shown["items"][0], body["items"]
    for row in body:
        assert set(shown) <= set(row)


DEVICE, ASSET = "device (GET /bcdr/device items[])", "asset (GET /bcdr/device/{serial}/asset[/agent])"
DOMAIN, SEAT = "saas domain (GET /saas/domains)", "saas seat (GET /saas/{saasCustomerId}/seats)"


@pytest.mark.contract
@pytest.mark.parametrize(
    ("endpoint", "described", "ours"),
    [
        ("devices", [DEVICE], {"child_reseller"}),
        # The reference the types are from has no type of an asset; clients that look at live answers name it.
        (
            "assets",
            [ASSET],
            {"id", "asset_class", "type", "protected_machine__serial", "protected_machine__mac"},
        ),
        ("saas_seats", [SEAT, DOMAIN], {"id", "billing"}),
    ],
)
def test_every_column_read_is_a_field_of_its_own_list_or_ours(
    endpoint: str, described: list[str], ours: set[str]
) -> None:
    known = {snake(name) for part in described for name in fields()[part]}
    known |= {f"device__{snake(name)}" for name in fields()[DEVICE]} if endpoint == "assets" else set()
    ours |= {"device__child_reseller"} if endpoint == "assets" else set()
    declared = set(VENDORS["datto_bcdr"].endpoint(endpoint).record.to_schema().columns)
    assert declared - known == ours
