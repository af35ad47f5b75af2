"""The Cove stand-in: the visa, the locked user, settings as Cove writes them, and our extractor reading all of it."""

import asyncio
import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Connection, Tenant
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import validate
from morton_pipeline.simulator import cove
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.desk import Tokens
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.vendors import VENDORS
from morton_pipeline.vendors import cove as page
from tests.simulator.test_specs import spec

NOW = datetime(2026, 10, 5, 4, 30, tzinfo=UTC)
GIB = 2**30
COVE = VENDORS["cove"]


def _life(value: Any) -> Any:
    return Life(NOW - timedelta(days=200), value)


def tool(machines: int = 1) -> Tool:
    companies = [
        Company("11", "Fernwood Dental (it@fern.test)", {"external_code": "FERN"}),
        Company("12", "Gull Logistics", {"state": "InTrial"}),
        Company("13", "001 Northgate - Recycle Bin"),
    ]
    items = [
        Item("101", "11", "FERN-SRV", "server", facts={"physical": False, "used_bytes": 3 * GIB}),
        Item("102", "11", "FERN-DOC", "documents", is_counted=False),
        Item("103", "11", "fern.test", "m365", Decimal(22)),
        Item("104", "12", "GULL-SRV", "server", is_counted=False),
        Item("105", "13", "OLD", "server", is_counted=False, silent_since=NOW - timedelta(days=60)),
        *(Item(str(200 + n), "11", f"FERN-PC-{n}", "workstation") for n in range(machines)),
    ]
    return Tool("cove", "cove", [_life(c) for c in companies], [_life(i) for i in items], {"server": "COVE-SRV"})


def connection(**secrets: str) -> Connection:
    named = {"partner": "COVE_PARTNER", "username": "COVE_USERNAME", "password": "COVE_PASSWORD"}
    url = COVE.base_url
    return Connection("cove", "cove", url, url, {**named, **secrets}, {"backoff_seconds": 0}, None, (Tenant(""),))


def read(app: Any, made: Connection | None = None) -> dict[str, Extraction]:
    found = fetch(made or connection(), COVE, at=NOW, transport=httpx.ASGITransport(app))
    return {e.endpoint: e for e in found}


def ask(app: Any, method: str, params: Any, visa: str | None = None) -> Any:
    async def send() -> httpx.Response:
        body = {"jsonrpc": "2.0", "id": "7", "method": method, "params": params, "visa": visa}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return await client.post("/jsonapi", json=body)

    response = asyncio.run(send())
    assert response.status_code == 200, "Cove refuses with status 200"
    return response.json()


LOGIN = {name: ACCEPTED[f"COVE_{name.upper()}"] for name in ("partner", "username", "password")}


class Noting(httpx.ASGITransport):
    """Notes what is asked on its way to the stand-in."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.asked: list[Any] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content))
        return await super().handle_async_request(request)


@pytest.fixture
def app() -> Any:
    return cove.create_app(tool(), SimulatedClock(NOW))


@pytest.fixture
def visa(app: Any) -> str:
    return str(ask(app, "Login", LOGIN)["visa"])


@pytest.mark.parametrize("page_limit", [2, 5000], ids=["short pages", "one page"])
def test_every_record_arrives_and_none_is_rejected(page_limit: int) -> None:
    found = read(cove.create_app(tool(machines=9), SimulatedClock(NOW), page_limit=page_limit))
    assert {name: len(e.rows or ()) for name, e in found.items()} == {"partners": 4, "accounts": 14, "storage": 14}
    for name, extraction in found.items():
        assert extraction.error == ""
        result = validate(COVE.endpoint(name).record, extraction.rows or [], at=NOW)
        assert result.rejected.to_dict("records") == []


def test_what_is_planted_arrives_as_it_was_planted(app: Any) -> None:
    found = read(app)
    accounts = {str(row["account_id"]): row for row in found["accounts"].rows or ()}
    assert {key: row["account_class"] for key, row in accounts.items()} == {
        "101": "server",
        "102": "documents",
        "103": "m365",
        "104": "server",
        "105": "server",
        "200": "workstation",
    }
    assert (accounts["101"]["price_class"], accounts["103"]["unit_count"]) == ("virtual_server", "22")
    assert accounts["104"]["partner_state"] == "InTrial"
    assert accounts["105"]["partner_name"] == "001 Northgate - Recycle Bin"
    storage = {str(row["account_id"]): row["used_gigabytes"] for row in found["storage"].rows or ()}
    assert storage["101"] == "3.0"
    (own,) = [row for row in found["partners"].rows or () if row["IsOwn"]]
    assert own["Name"] == ACCEPTED["COVE_PARTNER"]


def test_case_2_a_partner_with_nobody_below_it_is_unknown_and_no_zero() -> None:
    found = read(cove.create_app(Tool("cove", "cove", [], [], {}), SimulatedClock(NOW)))
    assert [e.rows for e in found.values()] == [None, None, None]
    assert "no customer" in found["partners"].error


def test_the_world_moves_with_the_clock() -> None:
    world, clock = tool(), SimulatedClock(NOW)
    tenant = next(life for life in world.items if life.first.kind == "m365")
    tenant.change(NOW + timedelta(days=3), quantity=Decimal(25))
    app = cove.create_app(world, clock)
    clock.set(NOW + timedelta(days=4))
    assert {row["unit_count"] for row in read(app)["accounts"].rows or ()} == {"1", "25"}


def test_a_visa_that_ends_after_one_call_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app = cove.create_app(tool(), SimulatedClock(NOW))
    seen, real = [0], Tokens.subject

    def subject(self: Tokens, authorization: str | None) -> str | None:
        seen[0] += 1
        if seen[0] == 3:
            self.expire_all()
        return real(self, authorization)

    monkeypatch.setattr(Tokens, "subject", subject)
    found = read(app)
    assert [e.error for e in found.values()] == ["", "", ""]
    assert len(found["accounts"].rows or ()) == 6


def test_a_visa_that_never_lasts_is_refused_and_not_asked_for_for_ever() -> None:
    found = read(cove.create_app(tool(), SimulatedClock(NOW), token_seconds=0))
    assert "Visa is inconsistent/corrupted (1701)" in found["partners"].error
    assert found["partners"].request_count == 1


@pytest.mark.parametrize("word", ["partner", "username", "password"])
def test_wrong_credentials_are_refused_once(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("WRONG", "not this one")
    app = cove.create_app(tool(), SimulatedClock(NOW))
    found = read(app, connection(**{word: "WRONG"}))
    assert [e.rows for e in found.values()] == [None, None, None]
    assert "Unknown partner/username or bad password (2100)" in found["partners"].error
    assert sum(e.request_count for e in found.values()) == 1
    assert read(app)["accounts"].rows, "one mistake locks nobody"


def test_repeated_bad_logins_lock_the_user(app: Any) -> None:
    for _ in range(cove.LOCKS_AFTER):
        assert ask(app, "Login", {**LOGIN, "password": "guess"})["error"]["data"] == 2100
    assert ask(app, "Login", LOGIN)["error"]["data"] == 2100


def test_no_visa_and_an_unknown_method_are_refused(app: Any, visa: str) -> None:
    assert ask(app, "EnumeratePartners", {})["error"]["data"] == 1701
    assert ask(app, "enumeratepartners", {}, visa)["error"]["code"] == -32601


def test_an_answer_renews_the_visa_and_an_older_one_still_serves(app: Any, visa: str) -> None:
    renewed = ask(app, "GetPartnerInfo", {"name": LOGIN["partner"]}, visa)["visa"]
    assert renewed != visa
    for held in (visa, renewed):
        assert ask(app, "GetPartnerInfo", {"name": LOGIN["partner"]}, held)["result"]["result"]["Id"] == cove.OWN_ID


def test_settings_are_single_texts_and_a_column_without_a_value_is_left_out(app: Any, visa: str) -> None:
    query = {"PartnerId": cove.OWN_ID, "Columns": ["AU", "MN", "TM"], "StartRecordNumber": 0, "RecordsCount": 50}
    rows = ask(app, "EnumerateAccountStatistics", {"query": query}, visa)["result"]
    assert "totalStatistics" not in rows
    settings = {row["AccountId"]: row["Settings"] for row in rows["result"]}
    assert settings[101] == [{"AU": "101"}, {"MN": "FERN-SRV"}]
    assert settings[103] == [{"AU": "103"}, {"TM": "22"}]


def test_an_empty_page_is_null(app: Any, visa: str) -> None:
    query = {
        "PartnerId": cove.OWN_ID,
        "Columns": [],
        "StartRecordNumber": 99,
        "RecordsCount": 5,
        "Totals": ["COUNT(1)"],
    }
    assert ask(app, "EnumerateAccountStatistics", {"query": query}, visa)["result"] == {
        "result": None,
        "totalStatistics": [{"COUNT(1)": "6"}],
    }


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_fault_has_the_words_and_the_shape_of_a_refusal(status: int) -> None:
    assert set(cove.error(status)["error"]) == {"code", "data", "message"}
    assert not cove.is_token_path("/jsonapi")


@pytest.mark.contract
def test_an_answer_has_the_envelope_of_the_vendors_example(app: Any, visa: str) -> None:
    example = json.loads(spec("cove/examples/jsonrpc_EnumerateStorageStatistics.json"))
    sent = ask(app, "GetPartnerInfo", {"name": LOGIN["partner"]}, visa)
    assert set(sent) == set(example["response"])
    assert set(sent["result"]) == set(example["response"]["result"])
    transport = Noting(app)
    fetch(connection(), COVE, at=NOW, transport=transport)
    assert [body["method"] for body in transport.asked] == ["Login", "GetPartnerInfo", "EnumeratePartners"] + [
        "EnumerateAccountStatistics"
    ] * 2
    assert all(set(body) == set(example["request"]) for body in transport.asked[1:])


@pytest.mark.contract
def test_every_column_asked_for_is_one_the_vendor_describes() -> None:
    described = {row["code"]: row["meaning"] for row in csv.DictReader(spec("cove/column_codes.csv").splitlines())}
    assert set(page.COLUMNS) <= set(described)
    assert "Physicality" in described["I81"]
