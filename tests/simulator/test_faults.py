"""The switches: each way of failing looks like it does in the field, and touches only what it was told to."""

import json

import httpx
import pytest

from morton_pipeline.simulator.app import Simulation
from morton_pipeline.simulator.faults import MODES, Faults
from morton_pipeline.simulator.serve import in_thread
from tests.simulator.conftest import Ask, graph_form

Key = tuple[str, str]


def switch(ask: Ask, vendor: str, mode: str, tenant: str = "") -> httpx.Response:
    return ask("POST", "/simulator/fault", json={"vendor": vendor, "mode": mode, "tenant": tenant})


@pytest.mark.parametrize(("mode", "status"), [("outage", 503), ("401", 401), ("403", 403), ("429", 429), ("500", 500)])
def test_a_vendor_fails_with_a_status_and_is_mended(ask: Ask, huntress_key: Key, mode: str, status: int) -> None:
    switch(ask, "huntress", mode)
    failed = ask("GET", "/huntress/v1/agents", auth=huntress_key)
    assert failed.status_code == status
    assert failed.json()["error"]["message"]
    assert ("retry-after" in failed.headers) == (mode == "429")
    switch(ask, "huntress", "off")
    assert ask("GET", "/huntress/v1/agents", auth=huntress_key).status_code == 200


def test_one_vendor_down_leaves_the_others_up(ask: Ask, huntress_key: Key, ninjaone: dict[str, str]) -> None:
    switch(ask, "ninjaone", "outage")
    assert ask("GET", "/ninjaone/v2/devices", headers=ninjaone).status_code == 503
    assert ask("GET", "/huntress/v1/agents", auth=huntress_key).status_code == 200


def test_one_tenant_down_leaves_the_others_up(
    simulation: Simulation, ask: Ask, graph: dict[str, str], tenant_id: str
) -> None:
    switch(ask, "m365", "403", tenant_id.upper())
    other = next(t.first.id for t in simulation.world.tenants if t.first.id != tenant_id)
    token = ask("POST", f"/login/{other}/oauth2/v2.0/token", data=graph_form()).json()["access_token"]
    assert ask("GET", "/graph/v1.0/users", headers=graph).json()["error"]["code"] == "Authorization_RequestDenied"
    assert ask("GET", "/graph/v1.0/users", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_one_list_down_leaves_the_others_up(ask: Ask, huntress_key: Key) -> None:
    body = {"vendor": "huntress", "mode": "500", "path_contains": "/v1/agents"}
    ask("POST", "/simulator/fault", json=body)
    assert ask("GET", "/huntress/v1/agents", auth=huntress_key).status_code == 500
    assert ask("GET", "/huntress/v1/organizations", auth=huntress_key).status_code == 200
    ask("POST", "/simulator/fault", json={**body, "mode": "off"})
    assert ask("GET", "/huntress/v1/agents", auth=huntress_key).status_code == 200


def test_an_outage_reaches_the_login_too(ask: Ask, tenant_id: str) -> None:
    switch(ask, "microsoft365", "500", tenant_id)
    assert ask("POST", f"/login/{tenant_id}/oauth2/v2.0/token", data=graph_form()).status_code == 500


def test_an_empty_answer_has_the_right_shape_and_no_records(
    ask: Ask, huntress_key: Key, ninjaone: dict[str, str], graph: dict[str, str]
) -> None:
    for vendor in ("huntress", "ninjaone", "microsoft365"):
        switch(ask, vendor, "empty")
    assert ask("GET", "/ninjaone/v2/devices", headers=ninjaone).json() == []
    assert ask("GET", "/huntress/v1/agents", auth=huntress_key).json() == {"agents": [], "pagination": {}}
    users = ask("GET", "/graph/v1.0/users", headers=graph).json()
    assert users["value"] == []
    assert "@odata.nextLink" not in users


def test_a_web_page_in_place_of_data(ask: Ask, huntress_key: Key) -> None:
    switch(ask, "huntress", "html")
    response = ask("GET", "/huntress/v1/agents", auth=huntress_key)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html")
    with pytest.raises(json.JSONDecodeError):
        response.json()


@pytest.mark.parametrize("mode", ["truncated", "reset", "hang"])
def test_a_connection_that_breaks_off(simulation: Simulation, huntress_key: Key, mode: str) -> None:
    # Only a hang waits for its timeout; the others may take as long as a busy machine needs.
    with in_thread(simulation.app) as url, httpx.Client(base_url=url, auth=huntress_key, timeout=60) as client:
        client.post("/simulator/fault", json={"vendor": "huntress", "mode": mode})
        expected = httpx.ReadTimeout if mode == "hang" else (httpx.RemoteProtocolError, httpx.ReadError)
        with pytest.raises(expected):
            client.get("/huntress/v1/agents", timeout=0.5 if mode == "hang" else 60)
        client.post("/simulator/fault", json={"vendor": "huntress", "mode": "off"})
        assert client.get("/huntress/v1/agents").status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"vendor": "huntress", "mode": "sideways"}', b"[]"],
    ids=["nothing", "no words", "mode", "list"],
)
def test_a_switch_that_does_not_exist_is_refused(ask: Ask, body: bytes) -> None:
    assert ask("POST", "/simulator/fault", content=body).status_code == 400


def test_the_status_lists_what_is_broken(ask: Ask) -> None:
    switch(ask, "huntress", "outage")
    switch(ask, "m365", "403", "some-tenant")
    assert ask("GET", "/simulator/status").json()["faults"] == [
        {"vendor": "huntress", "tenant": "", "path_contains": "", "mode": "outage"},
        {"vendor": "microsoft365", "tenant": "some-tenant", "path_contains": "", "mode": "403"},
    ]


def test_the_clock_is_set_and_the_world_follows(simulation: Simulation, ask: Ask, huntress_key: Key) -> None:
    for day, expected in (("2026-08-25", 0), ("2026-11-23", len(simulation.world.incidents))):
        assert ask("POST", "/simulator/clock", json={"now": f"{day}T04:30:00Z"}).status_code == 200
        reports = ask("GET", "/huntress/v1/incident_reports", params={"limit": 500}, auth=huntress_key).json()
        assert len(reports["incident_reports"]) == expected
    assert ask("GET", "/simulator/clock").json() == {"now": "2026-11-23T04:30:00+00:00"}
    assert ask("POST", "/simulator/clock", json={"now": "tomorrow"}).status_code == 400
    assert ask("POST", "/simulator/clock", content=b"").status_code == 400


def test_a_tenants_fault_wins_over_its_vendors() -> None:
    faults = Faults()
    faults.switch("microsoft365", "outage")
    faults.switch("microsoft365", "403", "A")
    assert faults.mode("microsoft365", "a") == "403"
    assert faults.mode("microsoft365", "b") == "outage"
    assert faults.mode("huntress") is None
    assert "off" not in MODES
