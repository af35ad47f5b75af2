"""Every vendor × everything that can go wrong with it: a failure says so, and nothing partial passes for complete."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import validate
from morton_pipeline.vendors import VENDORS
from tests.conftest import Connect

AT = datetime(2026, 11, 1, tzinfo=UTC)
Json = Any
VENDOR_NAMES = ("huntress", "microsoft365", "ninjaone", "quickbooks_online")


class StandIn:
    """A vendor with seven records in pages of three, and one thing wrong with it.

    `damage` sees each answer about the vendor's main list and may change it; token answers are left alone.
    """

    page_size = 3

    def __init__(self, vendor: str, damage: "Damage") -> None:
        self.vendor, self.damage, self.served = vendor, damage, 0
        self.first: Json = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if "token" in request.url.path:
            return httpx.Response(200, json={"access_token": "bearer-1", "refresh_token": "r", "expires_in": 3600})
        body = SHAPES[self.vendor](self, request)
        self.served += 1
        self.first = self.first or body
        return self.damage(self, body)

    def cut(self, rows: list[Json], start: int) -> tuple[list[Json], int | None]:
        """Return a page from `start`, and where the next one begins."""
        end = start + self.page_size
        return rows[start:end], end if end < len(rows) else None


def ninjaone(stand_in: StandIn, request: httpx.Request) -> Json:
    after = int(request.url.params.get("after", 0))
    if request.url.path == "/v2/organizations":
        return [{"id": 1, "name": "Org"}] if after < 1 else []
    rows = [
        {"id": n, "organizationId": 1, "nodeClass": "MAC", "approvalStatus": "APPROVED", "created": 1.5}
        for n in range(1, 8)
    ]
    return stand_in.cut([r for r in rows if int(str(r["id"])) > after], 0)[0]


def huntress(stand_in: StandIn, request: httpx.Request) -> Json:
    if request.url.path == "/v1/organizations":
        return {"organizations": [{"id": 1, "name": "Org"}], "pagination": {}}
    if request.url.path == "/v1/organizations/1":
        return {"organization": {"id": 1, "name": "Org", "agents_count": 7}}
    name = request.url.path.rpartition("/")[2]
    rows = [{"id": n, "organization_id": 1, "hostname": f"h{n}"} for n in range(1, 8)]
    page, following = stand_in.cut(rows, int(request.url.params.get("page_token", 0)))
    return {name: page, "pagination": {"next_page_token": str(following)} if following else {}}


def microsoft365(stand_in: StandIn, request: httpx.Request) -> Json:
    if request.url.path == "/v1.0/subscribedSkus":
        sku = {"id": "t_s", "skuId": "s", "skuPartNumber": "SPB", "consumedUnits": 7, "prepaidUnits": {"enabled": 9}}
        return {"value": [sku]}
    if request.url.path == "/v1.0/$batch":
        asked = json.loads(request.content)["requests"]
        return {"responses": [{"id": q["id"], "status": 200, "body": {"userPurpose": "user"}} for q in asked]}
    rows = [{"id": f"u{n}", "userPrincipalName": f"u{n}@x", "assignedLicenses": [{"skuId": "S"}]} for n in range(1, 8)]
    page, following = stand_in.cut(rows, int(request.url.params.get("$skiptoken", 0)))
    link = {"@odata.nextLink": f"https://graph.microsoft.com/v1.0/users?$skiptoken={following}"} if following else {}
    return {"value": page, **link}


def quickbooks_online(stand_in: StandIn, request: httpx.Request) -> Json:
    words = request.url.params["query"].split()
    entity, start = words[3], int(words[words.index("startposition") + 1]) - 1
    line = {
        "Id": "1",
        "DetailType": "SalesItemLineDetail",
        "Amount": 5,
        "SalesItemLineDetail": {"ItemRef": {"value": "1"}},
    }
    more = {"TxnDate": "2026-10-01", "CustomerRef": {"value": "1"}, "TotalAmt": 5, "Line": [line]}
    rows = [{"Id": str(n), "DisplayName": f"c{n}", "Name": f"i{n}", **more} for n in range(1, 8)]
    page, _ = stand_in.cut(rows, start)
    return {"QueryResponse": {entity: page, "startPosition": start + 1, "maxResults": len(page)} if page else {}}


SHAPES: dict[str, Callable[[StandIn, httpx.Request], Json]] = {
    "huntress": huntress,
    "microsoft365": microsoft365,
    "ninjaone": ninjaone,
    "quickbooks_online": quickbooks_online,
}
Damage = Callable[[StandIn, Json], httpx.Response]


def whole(_: StandIn, body: Json) -> httpx.Response:
    return httpx.Response(200, json=body)


def status(code: int) -> Damage:
    return lambda _, body: httpx.Response(code, json={"message": "no"})


def text(said: str) -> Damage:
    return lambda _, body: httpx.Response(200, text=said)


def raising(failure: Exception) -> Damage:
    def damage(_: StandIn, body: Json) -> httpx.Response:
        raise failure

    return damage


def from_the_second_page(then: Damage) -> Damage:
    """The first answer of every scope is sound; each later one is damaged."""
    return lambda stand_in, body: whole(stand_in, body) if stand_in.served == 1 else then(stand_in, body)


async def _cut_off() -> Any:
    yield b'{"value": ['
    raise httpx.ReadError("connection reset by peer")


def reset(_: StandIn, body: Json) -> httpx.Response:
    return httpx.Response(200, content=_cut_off())


def truncated(_: StandIn, body: Json) -> httpx.Response:
    return httpx.Response(200, text=json.dumps(body)[:-1])


FAILING: dict[str, Damage] = {
    "outage": raising(httpx.ConnectError("connection refused")),
    "timeout": raising(httpx.ReadTimeout("slow")),
    "reset-mid-answer": reset,
    "401": status(401),
    "403": status(403),
    "429": status(429),
    "500": status(500),
    "empty-200": text(""),
    "html-200": text("<!DOCTYPE html><title>Sign in</title>"),
    "truncated": truncated,
    "null": text("null"),
    "error-object-200": text('{"error": {"message": "try later"}}'),
    "repeated-page": lambda stand_in, body: whole(stand_in, stand_in.first),
}


def read(connect: Connect, name: str, damage: Damage, main: bool = True) -> list[Extraction]:
    vendor = replace(VENDORS[name], rate=None)
    wanted = {MAIN[name]} if main else None
    connection = connect(name, settings={"attempts": 2})
    return fetch(connection, vendor, at=AT, endpoints=wanted, transport=httpx.MockTransport(StandIn(name, damage)))


MAIN = {"huntress": "agents", "microsoft365": "users", "ninjaone": "devices", "quickbooks_online": "customers"}
"""The list the faults are tried on."""


@pytest.mark.parametrize("name", VENDOR_NAMES)
def test_the_stand_in_itself_is_sound(connect: Connect, name: str) -> None:
    vendor = VENDORS[name]
    for extraction in read(connect, name, whole, main=False):
        assert extraction.error == ""
        result = validate(vendor.endpoint(extraction.endpoint).record, extraction.rows or [], at=AT)
        assert (len(result.kept) > 0, result.rejected_count) == (True, 0), extraction.endpoint
        if extraction.endpoint == MAIN[name]:
            assert len(result.kept) == 7


@pytest.mark.parametrize("fault", [f for f in FAILING if f != "repeated-page"])
@pytest.mark.parametrize("name", VENDOR_NAMES)
def test_case_1_a_source_that_fails_is_unknown_in_every_scope(connect: Connect, name: str, fault: str) -> None:
    for extraction in read(connect, name, FAILING[fault], main=False):
        assert extraction.rows is None, extraction.endpoint
        assert extraction.error.startswith(f"{name}: ")


@pytest.mark.parametrize("fault", FAILING)
@pytest.mark.parametrize("name", VENDOR_NAMES)
def test_case_4_a_source_that_fails_half_way_leaves_nothing_behind(connect: Connect, name: str, fault: str) -> None:
    (extraction,) = read(connect, name, from_the_second_page(FAILING[fault]))
    assert extraction.rows is None
    assert extraction.error.startswith(f"{name}: ")


@pytest.mark.parametrize("size", [1, 2, 5], ids=lambda n: f"{n}-a-page")
@pytest.mark.parametrize("name", VENDOR_NAMES)
def test_case_4_pages_shorter_than_asked_for_still_bring_everything(
    connect: Connect, name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandIn, "page_size", size)
    (extraction,) = read(connect, name, whole)
    assert len(extraction.rows or ()) == 7


def renaming(field: str) -> Damage:
    def rename(value: Json) -> Json:
        if isinstance(value, list):
            return [rename(v) for v in value]
        if isinstance(value, dict):
            return {f"{k}New" if k == field else k: rename(v) for k, v in value.items()}
        return value

    return lambda stand_in, body: whole(stand_in, rename(body))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("huntress", "id"), ("huntress", "organization_id"), ("huntress", "agents"), ("huntress", "organization"),
        ("huntress", "organizations"), ("huntress", "name"),
        ("microsoft365", "id"), ("microsoft365", "userPrincipalName"), ("microsoft365", "assignedLicenses"),
        ("microsoft365", "skuId"), ("microsoft365", "consumedUnits"), ("microsoft365", "prepaidUnits"),
        ("microsoft365", "value"), ("microsoft365", "responses"), ("microsoft365", "status"),
        ("ninjaone", "id"), ("ninjaone", "organizationId"), ("ninjaone", "nodeClass"), ("ninjaone", "approvalStatus"),
        ("quickbooks_online", "Id"), ("quickbooks_online", "DisplayName"), ("quickbooks_online", "TxnDate"),
        ("quickbooks_online", "CustomerRef"), ("quickbooks_online", "TotalAmt"), ("quickbooks_online", "QueryResponse"),
        ("quickbooks_online", "Customer"), ("quickbooks_online", "Amount"),
    ],
)  # fmt: skip
def test_case_10_a_renamed_field_fails_the_scope_or_sets_every_record_aside(
    connect: Connect, name: str, field: str
) -> None:
    touched = 0
    sound = {e.endpoint: len(e.rows or ()) for e in read(connect, name, whole, main=False)}
    for extraction in read(connect, name, renaming(field), main=False):
        if extraction.rows is None:
            touched += 1
            continue
        result = validate(VENDORS[name].endpoint(extraction.endpoint).record, extraction.rows, at=AT)
        assert result.rejected_count in (0, len(extraction.rows))
        assert len(extraction.rows) == sound[extraction.endpoint], extraction.endpoint
        touched += result.rejected_count > 0
    assert touched
