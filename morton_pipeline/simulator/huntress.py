"""A stand-in for Huntress's API: HTTP Basic, `limit` and `page_token`, a sliding limit of requests, ISO instants.

Belongs here: how Huntress writes the world down. Does not: what is in the world.
"""

import base64
import binascii
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.simulator import credentials
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.desk import answer, basic_credentials
from morton_pipeline.simulator.entities import Agent, HuntressOrganization, Incident
from morton_pipeline.simulator.world import World

ACCOUNT = 5
UNRESPONSIVE_AFTER = timedelta(days=30)
Row = dict[str, Any]


@dataclass
class _Listing:
    """The organisations of one instant, counted once; forty single answers follow each list."""

    at: datetime | None = None
    rows: list[Row] = field(default_factory=list)

    def read(self, world: World, now: datetime) -> list[Row]:
        """Return the organisations of an instant."""
        if self.at != now:
            self.rows, self.at = _organizations(world, now), now
        return self.rows


class SlidingLimit:
    """At most so many requests in any minute of real time, or in any other window."""

    def __init__(self, requests: int, seconds: float = 60) -> None:
        self._requests, self._seconds = requests, seconds
        self._seen: deque[float] = deque()

    def admits(self) -> bool:
        """Count a request, unless there were too many; a refused one is not counted."""
        now = time.monotonic()
        while self._seen and self._seen[0] <= now - self._seconds:
            self._seen.popleft()
        if len(self._seen) >= self._requests:
            return False
        self._seen.append(now)
        return True


def create_app(
    world: World, clock: SimulatedClock, *, per_minute: int = 60, key: credentials.OAuthClient = credentials.HUNTRESS
) -> Starlette:
    """Make the app. `per_minute` is the sliding limit."""
    limit, listing = SlidingLimit(per_minute), _Listing()

    def guarded(find: Callable[[Request, datetime], Response]) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            if basic_credentials(request.headers.get("authorization")) != key:
                return _error(401, "The API key or its secret is not valid.")
            if not limit.admits():
                return _error(429, "Rate limit exceeded.")
            return find(request, clock.now())

        return endpoint

    def account(_: Request, __: datetime) -> Response:
        return answer(
            {"account": {"id": ACCOUNT, "name": "Northgate Managed IT", "subdomain": "northgate", "status": "enabled"}}
        )

    def organizations(request: Request, now: datetime) -> Response:
        wanted = {k: v for k, v in request.query_params.items() if k in ("name", "key")}
        rows = [row for row in listing.read(world, now) if all(str(row[k]) == v for k, v in wanted.items())]
        return _page(request, "organizations", rows)

    def organization(request: Request, now: datetime) -> Response:
        found = [row for row in listing.read(world, now) if row["id"] == request.path_params["id"]]
        if not found:
            return _error(404, "Organization not found.")
        agents = [a for _, a in _agents(world, now) if a.organization_id == found[0]["id"]]
        return answer({"organization": {**found[0], "actual_usages": _usages(agents, now)}})

    def agents(request: Request, now: datetime) -> Response:
        wanted = {
            k: v
            for k, v in request.query_params.items()
            if k in ("organization_id", "platform", "hostname", "os", "version")
        }
        rows = [agent_json(created, a, now) for created, a in _agents(world, now)]
        return _page(request, "agents", [row for row in rows if all(str(row[k]) == v for k, v in wanted.items())])

    def incidents(request: Request, now: datetime) -> Response:
        names = ("organization_id", "agent_id", "status", "severity", "platform")
        wanted = {k: v for k, v in request.query_params.items() if k in names}
        rows = [incident_json(i) for life in world.incidents if (i := life.at(now)) is not None]
        return _page(
            request, "incident_reports", [row for row in rows if all(str(row[k]) == v for k, v in wanted.items())]
        )

    return Starlette(
        routes=[
            _route("/v1/account", guarded(account)),
            _route("/v1/organizations", guarded(organizations)),
            _route("/v1/organizations/{id:int}", guarded(organization)),
            _route("/v1/agents", guarded(agents)),
            _route("/v1/incident_reports", guarded(incidents)),
        ],
        exception_handlers={404: _not_found},
    )


def _route(path: str, endpoint: Callable[[Request], Response]) -> Route:
    """Answer in the event loop: handing each request to a worker thread would cost more than the answer."""

    async def run(request: Request) -> Response:
        return endpoint(request)

    return Route(path, run)


async def _not_found(_: Request, __: Exception) -> Response:
    return _error(404, "Not found.")


def _error(status: int, message: str) -> Response:
    return answer({"error": {"message": message}}, status)


def _page(request: Request, plural: str, rows: list[Row]) -> Response:
    """Cut one page; the token names the last record of the page before: one added meanwhile shifts nothing."""
    given = request.query_params
    text, field = given.get("limit", "10"), given.get("sort_field", "id")
    direction = given.get("sort_direction", "desc")
    if not text.isdigit() or not 1 <= int(text) <= 500:
        return _error(400, "limit must be between 1 and 500.")
    if field not in ("id", "created_at", "updated_at") or direction not in ("asc", "desc"):
        return _error(400, "sort_field or sort_direction is not valid.")
    size = int(text)
    ordered = sorted(rows, key=lambda row: (row.get(field, ""), row["id"]), reverse=direction == "desc")
    start = 0
    if token := given.get("page_token"):
        try:
            last = int(base64.urlsafe_b64decode(token).decode().removeprefix("after-"))
            start = next(n for n, row in enumerate(ordered) if row["id"] == last) + 1
        except (ValueError, binascii.Error, StopIteration):
            return _error(400, "page_token is not valid.")
    cut = ordered[start : start + size]
    pagination: Row = {}
    if start + size < len(ordered):
        following = base64.urlsafe_b64encode(f"after-{cut[-1]['id']}".encode()).decode()
        options = [(k, v) for k, v in given.multi_items() if k != "page_token"] + [("page_token", following)]
        query = "&".join(f"{k}={quote(v)}" for k, v in options)
        url = f"{request.url.scheme}://{request.url.netloc}{request.url.path}?{query}"
        pagination = {"next_page_url": url, "next_page_token": following}
    return answer({plural: cut, "pagination": pagination})


def iso(instant: datetime) -> str:
    """Write an instant as Huntress does."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _agents(world: World, now: datetime) -> list[tuple[datetime, Agent]]:
    return [(life.created_at, agent) for life in world.agents if (agent := life.at(now)) is not None]


def _organizations(world: World, now: datetime) -> list[Row]:
    counts: dict[int, int] = {}
    for _, agent in _agents(world, now):
        counts[agent.organization_id] = counts.get(agent.organization_id, 0) + 1
    reports: dict[int, int] = {}
    for life in world.incidents:
        if (incident := life.at(now)) is not None:
            reports[incident.organization_id] = reports.get(incident.organization_id, 0) + 1
    return [
        organization_json(life.created_at, o, counts.get(o.id, 0), reports.get(o.id, 0))
        for life in world.huntress_organizations
        if (o := life.at(now)) is not None
    ]


def organization_json(created_at: datetime, o: HuntressOrganization, agents: int, reports: int) -> Row:
    """Write an organisation as the list does."""
    return {
        "id": o.id,
        "agents_count": agents,
        "account_id": ACCOUNT,
        "created_at": iso(created_at),
        "incident_reports_count": reports,
        "key": o.key,
        "logs_sources_count": 0,
        "identity_provider_tenant_id": o.tenant_id,
        "billable_identity_count": 0,
        "name": o.name,
        "report_recipients": ["soc@northgate.example"],
        "sat_learner_count": 0,
        "updated_at": iso(created_at),
    }


def _usages(agents: list[Agent], now: datetime) -> Row:
    silent = sum(a.silent_since is not None and now - a.silent_since > UNRESPONSIVE_AFTER for a in agents)
    return {
        "siem": {"billable_log_sources_count": 0, "retention": "90/7"},
        "edr": {
            "billable_agents_count": len(agents) - silent,
            "unresponsive_agents_count": silent,
            "outdated_agents_count": 0,
            "isolated_agents_count": 0,
        },
        "sat": {"learners_count": 0},
        "ispm": [],
        "itdr": [],
    }


def agent_json(created_at: datetime, agent: Agent, now: datetime) -> Row:
    """Write an agent as Huntress does."""
    seen = agent.silent_since or now - timedelta(seconds=agent.id % 900)
    is_windows = agent.platform == "windows"
    return {
        "id": agent.id,
        "account_id": ACCOUNT,
        "arch": "x86_64",
        "created_at": iso(created_at),
        "domain_name": "WORKGROUP",
        "edr_version": "0.3.20",
        "external_ip": f"203.0.113.{agent.organization_id % 250 + 1}",
        "hostname": agent.hostname,
        "defender_policy_status": "Compliant" if is_windows else "Incompatible",
        "defender_status": "Healthy" if is_windows else "Incompatible",
        "defender_substatus": "Up to date" if is_windows else "Incompatible",
        "firewall_status": agent.firewall,
        "tamper_protection_configured": True,
        "tamper_protection_actual": True,
        "ipv4_address": agent.address,
        "last_callback_at": iso(seen),
        "last_survey_at": iso(seen),
        "mac_addresses": [agent.mac],
        "service_pack_major": 0,
        "service_pack_minor": 0,
        "organization_id": agent.organization_id,
        "os": agent.os,
        "os_build_version": "26100",
        "os_major": 10,
        "os_minor": 0,
        "os_patch": 0,
        "platform": agent.platform,
        "serial_number": agent.serial,
        "tags": [],
        "updated_at": iso(seen),
        "version": agent.version,
        "version_number": 917510,
        "win_build_number": 26100 if is_windows else 0,
    }


def incident_json(incident: Incident) -> Row:
    """Write an incident report as Huntress does."""
    changed = incident.closed_at or incident.sent_at
    return {
        "id": incident.id,
        "account_id": ACCOUNT,
        "agent_id": incident.agent_id,
        "body": "",
        "closed_at": iso(incident.closed_at) if incident.closed_at else None,
        "indicator_counts": {incident.indicator: 1},
        "indicator_types": [incident.indicator],
        "organization_id": incident.organization_id,
        "platform": incident.platform,
        "remediations": {"total_count": 0, "has_more": False, "items": []},
        "sent_at": iso(incident.sent_at),
        "severity": incident.severity,
        "status": incident.status,
        "status_updated_at": iso(changed),
        "subject": f"{incident.severity.upper()} - Incident on {incident.hostname}",
        "summary": "A scheduled task that should not be there was found and is being removed.",
        "updated_at": iso(changed),
    }
