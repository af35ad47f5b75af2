"""The stand-in with an API that is only declared: every record arrives, and it refuses what such an API would."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from morton_pipeline.book import Connection, open_book
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import validate
from morton_pipeline.globs import fits
from morton_pipeline.simulator import vaultdesk
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.vendors import vendor_of

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
BEGAN = NOW - timedelta(days=100)


def life(thing: Any) -> Life[Any]:
    return Life(BEGAN, thing)


SEATS = [
    Item(str(n), "org-1" if n % 2 else "org-2", f"Person {n}", "Business", facts={"email": f"p{n}@x.example"})
    for n in range(1, 8)
]
ODD = [
    Item("20", "org-1", "Gone", "Business", is_counted=False, facts={"status": "cancelled"}),
    Item("21", "org-1", "Paused", "Teams", facts={"status": "suspended"}, silent_since=BEGAN),
    Item("22", "org-2", "Pool", "Teams", quantity=Decimal("2.5")),
]
TOOL = Tool(
    "vaultdesk",
    "rest",
    [life(Company("org-1", "Acme")), life(Company("org-2", "Beta"))],
    [life(item) for item in (*SEATS, *ODD)],
    {"Business": "PWD"},
)


@pytest.fixture
def connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connection:
    monkeypatch.setenv("VAULTDESK_API_KEY", ACCEPTED["VAULTDESK_API_KEY"])
    block = {**vaultdesk.CONNECTION, "base_url": "http://127.0.0.1:9/vaultdesk", "attempts": 1}
    text = yaml.safe_dump({"connections": [block]})
    assert "&id" not in text, "the block would be written with anchors"
    (tmp_path / "connections.yaml").write_text(text, "utf-8")
    (found,) = open_book(tmp_path).connections
    return found


def read(connection: Connection, *, page_limit: int = 3) -> list[Extraction]:
    app = vaultdesk.create_app(TOOL, SimulatedClock(NOW), page_limit=page_limit)
    mounted = httpx.ASGITransport(app, root_path="/vaultdesk")
    vendor = replace(vendor_of(connection), rate=None)
    return fetch(replace(connection, base_url="http://127.0.0.1:9"), vendor, at=NOW, transport=mounted)


@pytest.mark.parametrize("page_limit", [1, 3, 100])
def test_every_record_arrives_and_none_is_rejected(connection: Connection, page_limit: int) -> None:
    records, companies = read(connection, page_limit=page_limit)
    for extraction, count in ((records, 10), (companies, 2)):
        assert extraction.error == ""
        result = validate(vendor_of(connection).endpoint(extraction.endpoint).record, extraction.rows or [], at=NOW)
        assert (len(result.kept), result.rejected_count) == (count, 0)


def test_what_is_planted_can_be_seen(connection: Connection) -> None:
    records, companies = read(connection)
    found = {row["record_id"]: row for row in records.rows or ()}
    assert (found["1"]["record_name"], found["1"]["company_name"], found["1"]["sku"]) == (
        "Person 1",
        "Acme",
        "Business",
    )
    assert found["1"]["attributes"] == '{"email": "p1@x.example"}'
    assert (found["21"]["state"], found["21"]["seen_on"]) == ("suspended", f"{BEGAN:%Y-%m-%d}")
    assert (found["22"]["quantity"], found["1"]["quantity"]) == ("2.5", "1")
    assert companies.rows == [
        {"company_id": "org-1", "company_name": "Acme"},
        {"company_id": "org-2", "company_name": "Beta"},
    ]


def test_the_rules_leave_out_what_is_planted_as_not_counted(connection: Connection) -> None:
    records, _ = read(connection)
    rules = vendor_of(connection).endpoint("records").rules
    excluded = {r["record_id"] for r in records.rows or () if any(fits(rule.pattern, r[rule.field]) for rule in rules)}
    assert excluded == {item.id for item in (*SEATS, *ODD) if not item.is_counted} == {"20"}


def test_a_wrong_key_is_refused(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULTDESK_API_KEY", "another")
    for extraction in read(connection):
        assert extraction.rows is None
        assert "answered 401: The API key is not valid" in extraction.error
        assert "Check VAULTDESK_API_KEY" in extraction.error


def test_a_bad_page_and_an_unknown_address_are_errors_of_its_own_shape() -> None:
    app = vaultdesk.create_app(TOOL, SimulatedClock(NOW))

    async def ask(path: str) -> httpx.Response:
        headers = {"X-Api-Key": ACCEPTED["VAULTDESK_API_KEY"]}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://v", headers=headers) as http:
            return await http.get(path)

    bad, unknown = (asyncio.run(ask(path)) for path in ("/v1/seats?page=one", "/v1/nothing"))
    assert (bad.status_code, bad.json()["error"]["code"]) == (400, "bad_page")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")
    assert {vaultdesk.error(status)["error"]["code"] for status in (401, 403, 429, 500, 503)} == {
        "e401", "e403", "e429", "e500", "e503"
    }  # fmt: skip
    assert not vaultdesk.is_token_path("/v1/seats")
