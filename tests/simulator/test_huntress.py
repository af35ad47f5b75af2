"""The Huntress stand-in: Basic, page tokens, the sliding limit, and usages only on the single organisation."""

from typing import Any

import pytest

from morton_pipeline.simulator import huntress
from morton_pipeline.simulator.app import Simulation, simulate
from tests.simulator.conftest import NOW, Ask, caller

Key = tuple[str, str]


@pytest.mark.parametrize(
    "auth", [None, ("hk_demo", "wrong"), ("other", "hs_demo_secret")], ids=["none", "secret", "key"]
)
def test_a_wrong_key_is_refused(ask: Ask, auth: Key | None) -> None:
    assert ask("GET", "/huntress/v1/agents", auth=auth).status_code == 401


def walk(ask: Ask, path: str, plural: str, key: Key, **params: Any) -> list[list[dict[str, Any]]]:
    pages: list[list[dict[str, Any]]] = []
    token = None
    while True:
        more = {"page_token": token} if token else {}
        body = ask("GET", path, params={**params, **more}, auth=key).json()
        pages.append(body[plural])
        token = body["pagination"].get("next_page_token")
        if not token:
            return pages


def test_agents_come_in_pages_of_ten_unless_asked(simulation: Simulation, ask: Ask, huntress_key: Key) -> None:
    first = ask("GET", "/huntress/v1/agents", auth=huntress_key).json()
    assert len(first["agents"]) == 10
    assert first["agents"][0]["id"] > first["agents"][1]["id"]
    assert "page_token=" in first["pagination"]["next_page_url"]
    pages = walk(ask, "/huntress/v1/agents", "agents", huntress_key, limit=250, sort_field="id", sort_direction="asc")
    ids = [a["id"] for page in pages for a in page]
    assert ids == sorted(a.id for a in simulation.world.at(NOW).agents)


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 501},
        {"limit": 0},
        {"limit": "all"},
        {"sort_field": "hostname"},
        {"sort_direction": "up"},
        {"page_token": "?"},
    ],
    ids=lambda p: "-".join(map(str, *p.items())),
)
def test_what_it_does_not_document_it_refuses(ask: Ask, huntress_key: Key, params: dict[str, Any]) -> None:
    response = ask("GET", "/huntress/v1/agents", params=params, auth=huntress_key)
    assert response.status_code == 400
    assert response.json()["error"]["message"]


def test_only_the_single_organisation_carries_usages(simulation: Simulation, ask: Ask, huntress_key: Key) -> None:
    listed = ask("GET", "/huntress/v1/organizations", params={"limit": 500}, auth=huntress_key).json()["organizations"]
    assert len(listed) == len(simulation.world.at(NOW).huntress_organizations)
    assert all("actual_usages" not in o for o in listed)
    counted = {o["id"]: o["agents_count"] for o in listed}
    for organization_id, count in counted.items():
        one = ask("GET", f"/huntress/v1/organizations/{organization_id}", auth=huntress_key).json()["organization"]
        usage = one["actual_usages"]["edr"]
        assert usage["billable_agents_count"] + usage["unresponsive_agents_count"] == count
    assert ask("GET", "/huntress/v1/organizations/1", auth=huntress_key).status_code == 404


def test_filters_narrow_the_lists(ask: Ask, huntress_key: Key) -> None:
    macs = ask("GET", "/huntress/v1/agents", params={"platform": "darwin", "limit": 500}, auth=huntress_key).json()[
        "agents"
    ]
    assert macs
    assert {a["platform"] for a in macs} == {"darwin"}
    reports = ask("GET", "/huntress/v1/incident_reports", params={"severity": "critical"}, auth=huntress_key).json()
    assert {r["severity"] for r in reports["incident_reports"]} == {"critical"}


def test_too_many_requests_in_a_minute_are_refused(
    simulation: Simulation, huntress_key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = [1000.0]
    monkeypatch.setattr(huntress.time, "monotonic", lambda: time[0])
    limited = caller(simulate(simulation.world, now=NOW, huntress_per_minute=3))
    statuses = [limited("GET", "/huntress/v1/account", auth=huntress_key).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    time[0] += 59
    assert limited("GET", "/huntress/v1/account", auth=huntress_key).status_code == 429
    time[0] += 2
    assert limited("GET", "/huntress/v1/account", auth=huntress_key).status_code == 200


def test_an_unknown_address_is_not_found(ask: Ask, huntress_key: Key) -> None:
    assert ask("GET", "/huntress/v2/agents", auth=huntress_key).status_code == 404
