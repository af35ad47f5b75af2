"""All stand-ins of one world under one address, with one clock and the switches that break them.

Belongs here: what is mounted where, and the control addresses under `/simulator`. Does not: running it (`serve`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Scope

from morton_pipeline.clock import parse
from morton_pipeline.errors import BadInput
from morton_pipeline.simulator import (
    acronis,
    cove,
    datto_bcdr,
    datto_rmm,
    google_workspace,
    huntress,
    microsoft,
    ninjaone,
    pax8,
    quickbooks,
    sage,
    sentinelone,
    vaultdesk,
    veeam_spc,
    xero,
)
from morton_pipeline.simulator import faults as broken
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.desk import answer
from morton_pipeline.simulator.faults import Faults, Gate
from morton_pipeline.simulator.recurring import RecurringInvoices
from morton_pipeline.simulator.world import World

STAND_INS: Mapping[str, ModuleType] = {
    "datto_rmm": datto_rmm,
    "sentinelone": sentinelone,
    "google_workspace": google_workspace,
    "datto_bcdr": datto_bcdr,
    "acronis": acronis,
    "cove": cove,
    "veeam_spc": veeam_spc,
    "pax8": pax8,
    "rest": vaultdesk,
}
"""The stand-ins of the further tools, by vendor; a tool that only sends reports has none."""

ALIASES = {"m365": "microsoft365", "quickbooks": "quickbooks_online"}
"""Connection ids of the demo book that differ from the vendor's name."""


@dataclass(frozen=True)
class Simulation:
    """A world with its stand-ins: the app, and what steers it from within the same process."""

    world: World
    clock: SimulatedClock
    faults: Faults
    directory: microsoft.Directory
    recurring: RecurringInvoices
    """What is in the accounting systems."""
    gates: Mapping[str, Gate]
    app: Starlette


def simulate(
    world: World,
    *,
    now: datetime | None = None,
    huntress_per_minute: int = 6000,
    graph_page_size: int = 25,
    token_seconds: float = 3599,
    memory: str | None = None,
) -> Simulation:
    """Mount every vendor of a world, each in its own way of speaking, all on one clock.

    `memory` is what the accounting systems of an earlier one wrote down when it ended (`RecurringInvoices.memory`).
    """
    clock = SimulatedClock(now or world.starts_at)
    recurring = RecurringInvoices(world)
    if memory is not None:
        recurring.recall(memory)
    clock.follow(recurring.catch_up)
    switches = Faults()
    directory = microsoft.Directory(world, clock, token_seconds=token_seconds, page_size=graph_page_size)
    gates = {
        "ninjaone": Gate(
            ninjaone.create_app(world, clock, token_seconds=token_seconds),
            switches,
            "ninjaone",
            broken.ninjaone_error,
            is_token_path=lambda path: path.endswith("/ws/oauth/token"),
        ),
        "graph": Gate(
            microsoft.create_graph(directory),
            switches,
            "microsoft365",
            broken.graph_error,
            tenant_of=lambda scope: directory.tokens.subject(_authorization(scope)) or "",
        ),
        "login": Gate(
            microsoft.create_login(directory),
            switches,
            "microsoft365",
            broken.login_error,
            tenant_of=_tenant_in_path,
            is_token_path=lambda _: True,
        ),
        "huntress": Gate(
            huntress.create_app(world, clock, per_minute=huntress_per_minute),
            switches,
            "huntress",
            broken.huntress_error,
        ),
        "quickbooks": Gate(
            quickbooks.create_app(recurring.company, clock),
            switches,
            "quickbooks_online",
            broken.quickbooks_error,
            is_token_path=lambda path: path.endswith("/tokens/bearer"),
        ),
        "xero": Gate(
            xero.create_app(recurring.organisation, clock),
            switches,
            "xero",
            broken.xero_error,
            is_token_path=lambda path: path.endswith("/connect/token"),
        ),
        "sage": Gate(
            sage.create_app(recurring.business, clock),
            switches,
            "sage",
            broken.sage_error,
            is_token_path=lambda path: path.endswith("/token"),
        ),
    }
    for name, tool in world.tools.items():
        if tool.vendor in STAND_INS:
            module = STAND_INS[tool.vendor]
            stand_in = module.create_app(tool, clock, token_seconds=token_seconds)
            gates[name] = Gate(stand_in, switches, name, module.error, is_token_path=module.is_token_path)
    control = _control(clock, switches, gates)
    app = Starlette(routes=[*control, *(Mount(f"/{name}", app=gate) for name, gate in gates.items())])
    return Simulation(world, clock, switches, directory, recurring, gates, app)


def _authorization(scope: Scope) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"), None)


def _tenant_in_path(scope: Scope) -> str:
    path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
    return path.strip("/").split("/")[0]


def _control(clock: SimulatedClock, switches: Faults, gates: Mapping[str, Gate]) -> list[Route]:
    async def show_clock(_: Request) -> Response:
        return answer({"now": clock.now().isoformat()})

    async def set_clock(request: Request) -> Response:
        try:
            clock.set(parse(str(json.loads(await request.body())["now"]), "now"))
        except (ValueError, KeyError, TypeError, BadInput) as problem:
            return answer({"error": f'expected {{"now": an ISO instant}} ({problem})'}, 400)
        return answer({"now": clock.now().isoformat()})

    async def set_fault(request: Request) -> Response:
        try:
            asked = json.loads(await request.body())
            vendor = str(asked["vendor"])
            where = [str(asked.get(word) or "") for word in ("tenant", "path_contains")]
            switches.switch(ALIASES.get(vendor, vendor), str(asked["mode"]), *where)
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            return answer(
                {"error": f'expected {{"vendor", "mode", optional "tenant", "path_contains"}} ({problem})'}, 400
            )
        return answer({"faults": switches.listed()})

    async def show_status(_: Request) -> Response:
        counts = {name: gate.request_count for name, gate in gates.items()}
        return answer({"now": clock.now().isoformat(), "faults": switches.listed(), "requests": counts})

    return [
        Route("/simulator/clock", show_clock, methods=["GET"]),
        Route("/simulator/clock", set_clock, methods=["POST"]),
        Route("/simulator/fault", set_fault, methods=["POST"]),
        Route("/simulator/status", show_status),
    ]
