"""Morton's own extractors against the stand-ins: every record arrives, and a fault is an unknown, never a zero."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from morton_pipeline.book import Book, open_book
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import validate
from morton_pipeline.simulator.app import Simulation
from morton_pipeline.simulator.recurring import monthly_invoices
from morton_pipeline.simulator.seeds import write_book
from morton_pipeline.simulator.serve import in_thread, running
from morton_pipeline.simulator.world import START, World
from morton_pipeline.vendors import VENDORS
from tests.simulator.conftest import NOW

VENDOR_CONNECTIONS = ("ninjaone", "m365", "huntress", "quickbooks")
MONTHS = tuple(date(2026, month, 1) for month in range(3, 11))
"""The months that have begun by then."""


@pytest.fixture
def book(simulation: Simulation, tmp_path: Path) -> Iterator[Book]:
    with in_thread(simulation.app) as url:
        yield open_book(write_book(simulation.world, tmp_path / "book", url))


def extract(book: Book, connection_id: str, **more: object) -> list[Extraction]:
    connection = book.connection(connection_id)
    return fetch(connection, VENDORS[connection.vendor], at=NOW, **more)  # type: ignore[arg-type]


def counts(extractions: list[Extraction]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for extraction in extractions:
        assert extraction.rows is not None, extraction.error
        totals[extraction.endpoint] = totals.get(extraction.endpoint, 0) + len(extraction.rows)
    return totals


def in_world(world: World) -> dict[str, dict[str, int]]:
    state = world.at(NOW)
    return {
        "ninjaone": {"organizations": len(state.organizations), "devices": len(state.devices)},
        "m365": {
            "subscribed_skus": len(state.skus),
            "users": len(state.users),
            "mailboxes": sum(bool(u.licenses()) for u in state.users),
            "user_licenses": sum(len(u.licenses()) for u in state.users),
        },
        "huntress": {
            "organizations": len(state.huntress_organizations),
            "agents": len(state.agents),
            "incident_reports": len(state.incidents),
        },
        "quickbooks": {
            "customers": sum(c.status != "internal" for c in world.agreements.clients),
            "items": len(world.agreements.services),
            "invoices": sum(len(list(monthly_invoices(world.agreements, m))) for m in MONTHS),
            "invoice_lines": sum(len(bill.lines) for m in MONTHS for bill in monthly_invoices(world.agreements, m)),
        },
    }


@pytest.mark.parametrize("connection_id", VENDOR_CONNECTIONS)
def test_every_record_arrives_and_none_is_rejected(simulation: Simulation, book: Book, connection_id: str) -> None:
    extractions = extract(book, connection_id)
    assert counts(extractions) == in_world(simulation.world)[connection_id]
    for endpoint in VENDORS[book.connection(connection_id).vendor].endpoints:
        rows = [row for e in extractions if e.endpoint == endpoint.name for row in e.rows or []]
        validated = validate(endpoint.record, rows, at=NOW)
        assert validated.rejected_count == 0, validated.rejected


def test_the_mailbox_kinds_reach_the_licences(simulation: Simulation, book: Book) -> None:
    rows = [r for e in extract(book, "m365") if e.endpoint == "user_licenses" for r in e.rows or []]
    purposes = {u.id: u.purpose for u in simulation.world.at(NOW).users}
    assert {r["userPurpose"] for r in rows} >= {"user", "shared", "room", "equipment"}
    assert all(r["userPurpose"] == purposes[r["userId"]] for r in rows)
    assert all(r["skuId"] != r["skuPartNumber"] for r in rows)


def test_the_same_replay_needs_no_network(simulation: Simulation, world: World, tmp_path: Path) -> None:
    book = open_book(write_book(world, tmp_path, "http://127.0.0.1:9"))
    simulation.clock.set(START + timedelta(hours=4, minutes=30))
    found = counts(extract(book, "ninjaone", transport=httpx.ASGITransport(simulation.app)))
    assert found["devices"] == len(world.at(START + timedelta(hours=4, minutes=30)).devices)


def test_case_3_one_tenant_of_forty_fails_alone(simulation: Simulation, book: Book, tenant_id: str) -> None:
    simulation.directory.without_consent.add(tenant_id)
    extractions = extract(book, "m365")
    assert {e.tenant_id for e in extractions if e.rows is None} == {tenant_id}
    assert len({e.tenant_id for e in extractions if e.rows is not None}) == len(simulation.world.tenants) - 1
    assert any("AADSTS700016" in e.error for e in extractions)


@pytest.mark.parametrize("mode", ["outage", "401", "403", "429", "500", "html", "truncated", "reset"])
def test_case_1_a_vendor_that_fails_is_unknown_and_says_why(simulation: Simulation, book: Book, mode: str) -> None:
    simulation.faults.switch("ninjaone", mode)
    extractions = extract(book, "ninjaone")
    assert [e.rows for e in extractions] == [None, None]
    assert all(e.error.startswith("ninjaone") for e in extractions)
    simulation.faults.switch("ninjaone", "off")
    assert all(e.rows for e in extract(book, "ninjaone"))


def test_case_2_an_empty_answer_is_a_complete_extraction_of_nothing(simulation: Simulation, book: Book) -> None:
    """Whether nothing is believed is the warehouse's to decide; extraction only says what came."""
    simulation.faults.switch("huntress", "empty")
    assert counts(extract(book, "huntress", endpoints={"agents"})) == {"agents": 0}


def test_a_token_that_ended_is_asked_for_again(simulation: Simulation, book: Book) -> None:
    simulation.directory.tokens.expire_all()
    assert counts(extract(book, "m365", endpoints={"subscribed_skus"})) == {
        "subscribed_skus": in_world(simulation.world)["m365"]["subscribed_skus"]
    }


def test_a_process_of_its_own_serves_the_same_world_and_ends(world: World, tmp_path: Path) -> None:
    with running(world, now=NOW) as url:
        book = open_book(write_book(world, tmp_path, url))
        assert counts(extract(book, "ninjaone")) == in_world(world)["ninjaone"]
        httpx.post(f"{url}/simulator/clock", json={"now": START.isoformat()})
        assert counts(extract(book, "ninjaone"))["devices"] == len(world.at(START).devices)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/simulator/clock")
