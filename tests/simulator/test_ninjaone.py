"""The NinjaOne stand-in: its sign-in, its paging, its times and its silences."""

import base64
from datetime import UTC, datetime

import pytest

from morton_pipeline.simulator.app import Simulation, simulate
from morton_pipeline.simulator.credentials import ACCEPTED
from tests.simulator.conftest import NOW, Ask, caller

GOOD = {
    "grant_type": "client_credentials",
    "client_id": ACCEPTED["NINJAONE_CLIENT_ID"],
    "client_secret": ACCEPTED["NINJAONE_CLIENT_SECRET"],
    "scope": "monitoring",
}


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": ""}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "everything"}, 400, "invalid_scope"),
    ],
    ids=["wrong secret", "no client", "wrong grant", "unknown scope"],
)
def test_a_bad_sign_in_is_refused(ask: Ask, change: dict[str, str], status: int, error: str) -> None:
    response = ask("POST", "/ninjaone/ws/oauth/token", data={**GOOD, **change})
    assert (response.status_code, response.json()["error"]) == (status, error)


def test_the_client_may_sign_in_with_basic(ask: Ask) -> None:
    text = base64.b64encode(f"{GOOD['client_id']}:{GOOD['client_secret']}".encode()).decode()
    form = {"grant_type": "client_credentials", "scope": "monitoring management"}
    body = ask("POST", "/ninjaone/ws/oauth/token", data=form, headers={"Authorization": f"Basic {text}"}).json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 3600 or body["expires_in"] == 3599


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic eDp5"], ids=["none", "foreign", "not a bearer"])
def test_a_call_without_a_token_is_refused(ask: Ask, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    assert ask("GET", "/ninjaone/v2/devices", headers=headers).status_code == 401


def test_a_token_ends(simulation: Simulation) -> None:
    brief = caller(simulate(simulation.world, now=NOW, token_seconds=-1))
    token = brief("POST", "/ninjaone/ws/oauth/token", data=GOOD).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert brief("GET", "/ninjaone/v2/organizations", headers=headers).status_code == 401


def test_pages_follow_the_highest_id_to_the_end(simulation: Simulation, ask: Ask, ninjaone: dict[str, str]) -> None:
    found: list[int] = []
    after = 0
    while page := ask("GET", "/ninjaone/v2/devices", params={"pageSize": 200, "after": after}, headers=ninjaone).json():
        ids = [d["id"] for d in page]
        assert ids == sorted(ids)
        found += ids
        after = ids[-1]
    assert found == sorted(d.id for d in simulation.world.at(NOW).devices)


@pytest.mark.parametrize(
    "params", [{"pageSize": "many"}, {"pageSize": 0}, {"df": "org = 5"}], ids=["word", "zero", "filter"]
)
def test_what_it_cannot_read_it_refuses(ask: Ask, ninjaone: dict[str, str], params: dict[str, str]) -> None:
    response = ask("GET", "/ninjaone/v2/devices", params=params, headers=ninjaone)
    assert response.status_code == 400
    assert response.json()["errorMessage"]


def test_times_are_epoch_seconds_and_what_does_not_apply_is_absent(ask: Ask, ninjaone: dict[str, str]) -> None:
    devices = ask("GET", "/ninjaone/v2/devices", headers=ninjaone).json()
    assert all(isinstance(d["created"], float) and d["created"] < 2_000_000_000 for d in devices)
    assert all(datetime.fromtimestamp(d["lastContact"], UTC) <= NOW for d in devices)
    assert any("displayName" not in d for d in devices)
    assert {"parentDeviceId" in d for d in devices} == {True, False}
    assert all(value is not None for d in devices for value in d.values())


def test_the_agent_of_another_tool_reports_the_same_hardware(
    simulation: Simulation, ask: Ask, ninjaone: dict[str, str]
) -> None:
    devices = ask("GET", "/ninjaone/v2/devices-detailed", headers=ninjaone).json()
    serials = {d["system"]["biosSerialNumber"]: d for d in devices if "system" in d}
    addresses = {a.replace("-", ":").lower(): d["id"] for d in devices for a in d.get("macAddresses", ())}
    shared = [a for a in simulation.world.at(NOW).agents if a.serial in serials]
    assert len(shared) > 100
    assert all(addresses[a.mac] == serials[a.serial]["id"] for a in shared)
    assert any(d["system"]["serialNumber"] == "Default string" for d in serials.values())


def test_the_devices_of_one_organisation(ask: Ask, ninjaone: dict[str, str]) -> None:
    devices = ask("GET", "/ninjaone/v2/organization/5/devices", headers=ninjaone).json()
    assert devices
    assert {d["organizationId"] for d in devices} == {5}


def test_an_unknown_address_is_not_found(ask: Ask, ninjaone: dict[str, str]) -> None:
    response = ask("GET", "/ninjaone/v2/nothing", headers=ninjaone)
    assert (response.status_code, response.json()["resultCode"]) == (404, "NOT_FOUND")
