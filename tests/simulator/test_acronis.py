"""The Acronis stand-in: its sign-in, its cursors, its sums, and Morton's own extractor against it."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Connection, Tenant
from morton_pipeline.clock import wall
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import validate
from morton_pipeline.simulator import acronis, desk
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.simulator.world import START
from morton_pipeline.vendors import VENDORS
from tests.simulator.test_specs import spec

NOW = START + timedelta(days=40, hours=4, minutes=30)
BORN = START - timedelta(days=90)
ROOT, FOLDER, FERNWOOD, LAB, PLUM, GULL = (f"00000000-0000-4000-8000-0000000000{n:02d}" for n in range(1, 7))
CLIENT = (acronis.CLIENT.id, acronis.CLIENT.secret)
FORM = {"grant_type": "client_credentials"}
GIB = 2**30


def item(item_id: str, company_id: str, kind: str, quantity: int = 1, **more: Any) -> Life[Item]:
    return Life(more.pop("at", BORN), Item(item_id, company_id, item_id, kind, Decimal(quantity), facts=more))


def small_tool(*, has_root: bool = True) -> Tool:
    """A partner with a folder, three customers and a unit; usages of every sort, and machines."""
    companies = [
        Company(FOLDER, "East", {"kind": "folder"}),
        Company(FERNWOOD, "Fernwood Dental", {"parent_id": FOLDER}),
        Company(LAB, "Fernwood Lab", {"kind": "unit", "parent_id": FERNWOOD}),
        Company(PLUM, "Plum Salon", {"pricing_mode": "trial"}),
        Company(GULL, "Gull Logistics"),
    ]
    root = [Company(ROOT, "Northgate", {"kind": "partner"})] if has_root else []
    items = [
        item("u1", FERNWOOD, "servers", 3),
        item("u2", FERNWOOD, "servers", 1, edition="pck_per_gigabyte"),
        item("u3", FERNWOOD, "mailboxes", 24),
        item("u4", FERNWOOD, "storage", 900 * GIB, type="infra", unit="bytes", infra_id="0a"),
        item("u5", FERNWOOD, "storage", 100 * GIB, type="infra", unit="bytes", infra_id="0b"),
        item("u6", FERNWOOD, "servers", 3, item_name="pw_pack_adv_backup_servers"),
        item("u7", FERNWOOD, "notary", type="feature"),
        item("u8", FERNWOOD, "websites", 2, status=0),
        item("u9", LAB, "servers", 1),
        item("u10", PLUM, "workstations", 5),
        item("u11", GULL, "servers", 2),
        item("u12", GULL, "vms", 9, at=NOW + timedelta(days=1)),
        *(item(f"m{n}", FERNWOOD, "resource") for n in range(3)),
        item("db", GULL, "resource", resource_type="resource.mssql_server"),
    ]
    lives = [Life(BORN, company) for company in (*root, *companies)]
    return Tool("acronis", "acronis", lives, items, {"servers": "CLOUD-SRV"})


@pytest.fixture
def app() -> Any:
    return acronis.create_app(small_tool(), SimulatedClock(NOW), page_limit=2)


def ask(app: Any, method: str, path: str, **more: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())


def signed_in(app: Any) -> dict[str, str]:
    token = ask(app, "POST", acronis.TOKEN_PATH, data=FORM, auth=CLIENT).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def read(app: Any) -> dict[str, Extraction]:
    secrets = {"client_id": "ACRONIS_CLIENT_ID", "client_secret": "ACRONIS_CLIENT_SECRET"}
    connection = Connection("acronis", "acronis", "http://127.0.0.1", "http://127.0.0.1", secrets,
                            {"backoff_seconds": 0, "attempts": 1}, tenants=(Tenant(""),))  # fmt: skip
    transport = httpx.ASGITransport(app)
    return {e.endpoint: e for e in fetch(connection, VENDORS["acronis"], at=NOW, transport=transport)}


def kept(extraction: Extraction) -> list[dict[str, Any]]:
    result = validate(VENDORS["acronis"].endpoint(extraction.endpoint).record, extraction.rows or [], at=NOW)
    assert result.rejected.to_dict("records") == []
    return result.kept.to_dict("records")


def test_every_record_arrives_and_none_is_rejected(app: Any) -> None:
    found = read(app)
    # Eleven usages are somebody's own; the partner repeats ten of them, two in one row, and the folder eight.
    assert {name: (len(kept(e)), e.error) for name, e in found.items()} == {
        "tenants": (6, ""),
        "usages": (11 + 9 + 8, ""),
        "resources": (3, ""),
    }
    assert [e.request_count for e in found.values()] == [4, 1, 2]


def test_what_rules_look_at_tells_the_usages_apart(app: Any) -> None:
    words = ("usage_name", "type", "measurement_unit", "value", "offering_item__status")
    usages = [row for row in kept(read(app)["usages"]) if row["tenant_uuid"] == FERNWOOD]
    assert {row["name"]: tuple(row[word] for word in words) for row in usages if row["infra_id"] != "0b"} == {
        "pw_base_servers": ("servers", "count", "quantity", "3", "1"),
        "pg_base_servers": ("servers", "count", "quantity", "1", "1"),
        "pw_base_m365_seats": ("mailboxes", "count", "quantity", "24", "1"),
        "pw_base_storage": ("storage", "infra", "bytes", str(900 * GIB), "1"),
        "pw_pack_adv_backup_servers": ("pack_adv_backup_servers", "count", "quantity", "3", "1"),
        "pw_base_notary": ("notary", "feature", "n/a", "1", "1"),
        "pw_base_websites": ("websites", "count", "quantity", "2", "0"),
    }


def test_partners_and_folders_repeat_what_stands_below_them(app: Any) -> None:
    usages = kept(read(app)["usages"])
    servers = {
        row["tenant_name"]: (row["tenant_kind"], row["value"]) for row in usages if row["name"] == "pw_base_servers"
    }
    assert servers == {
        "Northgate": ("partner", "5"),
        "East": ("folder", "3"),
        "Fernwood Dental": ("customer", "3"),
        "Fernwood Lab": ("unit", "1"),
        "Gull Logistics": ("customer", "2"),
    }
    assert {row["tenant_name"] for row in usages if row["tenant_pricing_mode"] == "trial"} == {"Plum Salon"}


def test_machines_come_with_the_id_of_their_customer(app: Any) -> None:
    machines = kept(read(app)["resources"])
    assert {(row["name"], row["customer_uuid"]) for row in machines} == {(f"m{n}", FERNWOOD) for n in range(3)}
    assert all(row["tenant_number"].isdigit() for row in machines)


def test_a_tree_without_a_partner_gets_one() -> None:
    found = read(acronis.create_app(small_tool(has_root=False), SimulatedClock(NOW)))
    kinds = [row["kind"] for row in kept(found["tenants"])]
    assert sorted(kinds) == ["customer", "customer", "customer", "folder", "partner", "unit"]


def test_a_token_that_ends_half_way_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = iter(range(0, 10_000, 20))
    monkeypatch.setattr(desk, "time", SimpleNamespace(monotonic=lambda: next(hands)))
    app = acronis.create_app(small_tool(), SimulatedClock(NOW), page_limit=1, token_seconds=70)
    tokens: list[str] = []
    found = read(counting(app, tokens))
    assert [(len(e.rows or ()), e.error) for e in found.values()] == [(6, ""), (28, ""), (3, "")]
    assert len(tokens) > 1


def counting(app: Any, tokens: list[str]) -> Callable[..., Any]:
    """Note every request for a token on its way in."""

    async def passing(scope: Any, receive: Any, send: Any) -> None:
        if acronis.is_token_path(scope["path"]):
            tokens.append(scope["path"])
        await app(scope, receive, send)

    return passing


def test_a_token_says_the_second_it_ends_and_then_ends(app: Any) -> None:
    body = ask(app, "POST", acronis.TOKEN_PATH, data=FORM, auth=CLIENT).json()
    assert set(body) == {"access_token", "token_type", "expires_on"}
    assert abs(body["expires_on"] - 3600 - wall().timestamp()) < 60
    brief = acronis.create_app(small_tool(), SimulatedClock(NOW), token_seconds=-1)
    refused = ask(brief, "GET", "/api/2/clients/x", headers=signed_in(brief))
    assert (refused.status_code, refused.json()) == (401, acronis.error(401))


@pytest.mark.parametrize(
    ("form", "client", "status"),
    [
        (FORM, (CLIENT[0], "wrong"), 401),
        (FORM, None, 401),
        ({**FORM, "client_id": CLIENT[0], "client_secret": CLIENT[1]}, None, 401),
        ({"grant_type": "password"}, CLIENT, 400),
    ],
    ids=["wrong secret", "no client", "client in the form", "wrong grant"],
)
def test_a_bad_sign_in_is_refused(app: Any, form: dict[str, str], client: Any, status: int) -> None:
    response = ask(app, "POST", acronis.TOKEN_PATH, data=form, auth=client)
    assert (response.status_code, response.json()) == (status, acronis.error(status))


def test_case_1_wrong_credentials_leave_every_scope_unknown(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACRONIS_CLIENT_SECRET", "not-the-secret")
    found = read(app)
    assert [e.rows for e in found.values()] == [None, None, None]
    assert "No token was issued (401): The access token is missing" in found["tenants"].error
    assert not any("not-the-secret" in e.error for e in found.values())


def test_a_cursor_carries_the_filter_and_is_sent_alone(app: Any) -> None:
    headers = signed_in(app)
    first = ask(app, "GET", f"/api/2/tenants?subtree_root_id={FOLDER}&limit=1", headers=headers).json()
    cursor = first["paging"]["cursors"]["after"]
    second = ask(app, "GET", "/api/2/tenants", params={"after": cursor}, headers=headers).json()
    assert [row["id"] for row in (*first["items"], *second["items"])] == [FOLDER, FERNWOOD]
    both = {"after": cursor, "subtree_root_id": FOLDER}
    assert ask(app, "GET", "/api/2/tenants", params=both, headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/2/tenants", 400),
        (f"/api/2/tenants?subtree_root_id={ROOT}&limit=0", 400),
        (f"/api/2/tenants?subtree_root_id={ROOT}&limit=all", 400),
        ("/api/2/tenants?after=nonsense", 400),
        ("/api/2/tenants/usages", 400),
        ("/api/2/tenants/usages?tenants=" + ",".join(f"t{n}" for n in range(101)), 400),
        ("/api/2/tenants/usages?tenants=stranger", 404),
        ("/api/2/tenants/stranger/usages", 404),
        ("/api/2/clients/stranger", 404),
        ("/api/resource_management/v4/resources?after=W10=", 400),
        ("/api/2/nothing", 404),
    ],
    ids=["no filter", "no page", "word", "cursor", "no tenant", "a hundred and one", "stranger", "strange usages",
         "strange client", "list as cursor", "nothing"],
)  # fmt: skip
def test_what_it_cannot_answer_it_refuses(app: Any, path: str, status: int) -> None:
    response = ask(app, "GET", path, headers=signed_in(app))
    assert (response.status_code, response.json()) == (status, acronis.error(status))


def test_the_usages_of_one_tenant_are_those_of_the_batch(app: Any) -> None:
    headers = signed_in(app)
    one = ask(app, "GET", f"/api/2/tenants/{FERNWOOD}/usages", headers=headers).json()["items"]
    many = ask(app, "GET", f"/api/2/tenants/usages?tenants={GULL},{FERNWOOD}", headers=headers).json()["items"]
    assert one
    assert many[1] == {"tenant": FERNWOOD, "usages": one}


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_an_error_says_what_is_wrong(status: int) -> None:
    assert acronis.error(status)["error"]["code"] == status
    assert acronis.error(status)["error"]["message"].endswith(".")


def fields(name: str) -> dict[str, str]:
    described: dict[str, str] = json.loads(spec("acronis/field_types.json"))[name]
    return described


def is_instant(value: Any) -> bool:
    return value is None or datetime.fromisoformat(value).tzinfo is not None


@pytest.mark.contract
def test_tenants_come_as_they_are_described(app: Any) -> None:
    body = ask(app, "GET", f"/api/2/tenants?subtree_root_id={ROOT}", headers=signed_in(app)).json()
    assert set(body) == set(fields("tenant batch"))
    known = fields("tenant")
    for tenant in body["items"]:
        # Offering items come only with `with_offering_items`.
        assert set(tenant) == set(known) - {"offering_items"}
        assert all(is_instant(tenant[name]) for name, kind in known.items() if "date-time" in kind)
        assert all(isinstance(tenant[name], bool) for name, kind in known.items() if kind == "bool")


@pytest.mark.contract
def test_usages_come_as_they_are_described(app: Any) -> None:
    path = f"/api/2/tenants/usages?tenants={FERNWOOD}"
    (answer,) = ask(app, "GET", path, headers=signed_in(app)).json()["items"]
    assert set(answer) == {"tenant", "usages"}
    known = fields("usage")
    for usage in answer["usages"]:
        assert set(usage) == set(known) - ({"infra_id"} if usage["type"] != "infra" else set())
        assert isinstance(usage["tenant_id"], int)
        assert set(usage["offering_item"]["quota"]) == set(fields("offering_item")["quota"].strip("{}").split(","))


@pytest.mark.contract
def test_its_offering_items_are_named_as_the_published_ones(app: Any) -> None:
    published = json.loads(spec("acronis/examples/offering_items_per_workload.json"))["offering_items"]
    names = {item["name"]: (item["usage_name"], item["type"]) for item in published}
    usages = ask(app, "GET", f"/api/2/tenants/{FERNWOOD}/usages", headers=signed_in(app)).json()["items"]
    sent = {usage["name"]: (usage["usage_name"], usage["type"]) for usage in usages if usage["name"] in names}
    assert set(sent) == {"pw_base_servers", "pw_base_m365_seats", "pw_pack_adv_backup_servers", "pw_base_websites"}
    assert all(names[name] == told for name, told in sent.items())


@pytest.mark.contract
def test_an_error_has_the_described_fields() -> None:
    described = fields("error")["error"].partition("{")[2]
    assert all(name in described for name in acronis.error(401)["error"])
