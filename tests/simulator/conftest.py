"""One generated world for all tests of the stand-ins, and a small synchronous caller of ASGI apps."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from morton_pipeline.simulator.app import Simulation, simulate
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.world import START, World, generate

NOW = START + timedelta(days=40, hours=4, minutes=30)
Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="session")
def world() -> World:
    return generate()


@pytest.fixture
def simulation(world: World) -> Simulation:
    return simulate(world, now=NOW)


@pytest.fixture
def ask(simulation: Simulation) -> Ask:
    """Call the stand-ins in this process: `ask("GET", "/huntress/v1/agents", auth=...)`."""
    return caller(simulation)


def caller(simulation: Simulation) -> Ask:
    def call(method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(simulation.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.request(method, path, **more)

        return asyncio.run(send())

    return call


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ACCEPTED.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def ninjaone(ask: Ask) -> dict[str, str]:
    """The headers of a signed-in NinjaOne client."""
    form = {
        "grant_type": "client_credentials",
        "client_id": ACCEPTED["NINJAONE_CLIENT_ID"],
        "client_secret": ACCEPTED["NINJAONE_CLIENT_SECRET"],
        "scope": "monitoring",
    }
    token = ask("POST", "/ninjaone/ws/oauth/token", data=form).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def graph_form(**changes: str) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_id": ACCEPTED["M365_CLIENT_ID"],
        "client_secret": ACCEPTED["M365_CLIENT_SECRET"],
        "scope": "https://graph.microsoft.com/.default",
        **changes,
    }


@pytest.fixture
def tenant_id(world: World) -> str:
    """The tenant of the largest client."""
    return next(
        m.company_id for m in world.agreements.companies if m.connection_id == "m365" and m.client_id == "cobalt"
    )


@pytest.fixture
def graph(ask: Ask, tenant_id: str) -> dict[str, str]:
    """The headers of an app signed in to one tenant."""
    token = ask("POST", f"/login/{tenant_id}/oauth2/v2.0/token", data=graph_form()).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def huntress_key() -> tuple[str, str]:
    return ACCEPTED["HUNTRESS_API_KEY"], ACCEPTED["HUNTRESS_API_SECRET"]
