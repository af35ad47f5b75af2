"""A stand-in for SentinelOne's API: an API token in the header, `limit` and `cursor`, ids as strings of digits.

Belongs here: how SentinelOne writes a tool down. Does not: what is in it. A company is a site, an item is an agent, and
its kind is the machine type. Facts of a company: `site_type`, `state`. Facts of an item: `is_decommissioned`,
`is_uninstalled`, `os_type`. A second console accepts a token of its own.
"""

import base64
import binascii
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.desk import answer
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.simulator.world import alive

LARGEST_PAGE = 1000
ACCOUNT = "225494730938490001"
Row = dict[str, Any]

_SAID = {
    400: (4000010, "Validation Error", "limit must be between 1 and 1000, and cursor one that was handed out."),
    401: (4010010, "Authentication Failed", None),
    403: (4030010, "Insufficient permissions", "The role of this user may not read this."),
    404: (4040010, "Not Found", None),
    429: (4290010, "Too Many Requests", "The rate limit was exceeded."),
    500: (5000010, "Internal server error", "Server could not process the request."),
    503: (5030010, "Service Unavailable", None),
}


def error(status: int) -> Any:
    """The error body SentinelOne sends."""
    code, title, detail = _SAID[status]
    return {"errors": [{"code": code, "detail": detail, "title": title}]}


def is_token_path(path: str) -> bool:
    """Whether a request asks for a token: none does, for tokens are made in the console."""
    return False


def create_app(
    tool: Tool, clock: SimulatedClock, *, token_seconds: float = 3600, page_limit: int = LARGEST_PAGE
) -> Starlette:
    """Make the app. `page_limit` is its largest page; a token lasts for months, whatever `token_seconds` says."""
    is_west = tool.connection_id.endswith("_west")
    token = ACCEPTED["SENTINELONE_WEST_API_TOKEN" if is_west else "SENTINELONE_API_TOKEN"]

    def guarded(find: Callable[[Request, datetime], Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if request.headers.get("authorization") != f"ApiToken {token}":
                return answer(error(401), 401)
            return find(request, clock.now())

        return endpoint

    def sites(request: Request, now: datetime) -> Response:
        counts = Counter(item.company_id for item in alive(tool.items, now) if not _is_gone(item))
        rows = [
            site_json(life.created_at, company, counts[company.id])
            for life in tool.companies
            if (company := life.at(now)) is not None
        ]
        licences = {"activeLicenses": sum(counts.values()), "totalLicenses": sum(row["totalLicenses"] for row in rows)}
        return _page(request, rows, page_limit, lambda cut: {"allSites": licences, "sites": cut})

    def agents(request: Request, now: datetime) -> Response:
        names = {company.id: company.name for company in alive(tool.companies, now)}
        rows = [
            agent_json(life, item, names.get(item.company_id), now)
            for life in tool.items
            if (item := life.at(now)) is not None
        ]
        return _page(request, [row for row in rows if _is_asked_for(request, row)], page_limit, lambda cut: cut)

    return Starlette(
        routes=[
            Route("/web/api/v2.1/sites", guarded(sites)),
            Route("/web/api/v2.1/agents", guarded(agents)),
        ],
        exception_handlers={404: _not_found},
    )


async def _not_found(_: Request, __: Exception) -> Response:
    return answer(error(404), 404)


def _is_gone(item: Item) -> bool:
    return bool(item.facts.get("is_decommissioned") or item.facts.get("is_uninstalled"))


def _is_asked_for(request: Request, row: Row) -> bool:
    """Whether the filters let an agent through; one that is not set hides what is gone."""
    return all(
        str(row[word]).lower() in request.query_params.get(word, "False").lower().split(",")
        for word in ("isDecommissioned", "isUninstalled")
    )


def _page(request: Request, rows: list[Row], largest: int, wrap: Callable[[list[Row]], Any]) -> Response:
    """Cut one page; the cursor names the last record of the page before."""
    text = request.query_params.get("limit", "10")
    if not text.isdigit() or not 1 <= int(text) <= LARGEST_PAGE:
        return answer(error(400), 400)
    size, last = min(int(text), largest), 0
    if cursor := request.query_params.get("cursor"):
        try:
            last = int(base64.b64decode(cursor, validate=True).decode().removeprefix("id:"))
        except (ValueError, binascii.Error):
            return answer(error(400), 400)
    ahead = sorted((row for row in rows if int(row["id"]) > last), key=lambda row: int(row["id"]))
    cut = ahead[:size]
    following = base64.b64encode(f"id:{cut[-1]['id']}".encode()).decode() if len(ahead) > size else None
    return answer({"data": wrap(cut), "pagination": {"nextCursor": following, "totalItems": len(rows)}})


def iso(instant: datetime) -> str:
    """Write an instant as SentinelOne does."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def site_json(created_at: datetime, company: Company, count: int) -> Row:
    """Write a site as the list does."""
    return {
        "id": company.id,
        "name": company.name,
        "accountId": ACCOUNT,
        "accountName": "Northgate Managed IT",
        "siteType": company.facts.get("site_type", "Paid"),
        "state": company.facts.get("state", "active"),
        "totalLicenses": 0,
        "activeLicenses": count,
        "unlimitedLicenses": True,
        "unlimitedExpiration": True,
        "expiration": None,
        "suite": "Complete",
        "sku": "complete",
        "usageType": "customer",
        "externalId": None,
        "createdAt": iso(created_at),
        "updatedAt": iso(created_at),
        "licenses": {
            "bundles": [
                {
                    "name": "complete",
                    "displayName": "Complete",
                    "majorVersion": 1,
                    "minorVersion": 6,
                    "totalSurfaces": -1,
                    "surfaces": [{"name": "Total Agents", "count": -1}],
                }
            ],
            "modules": [],
            "settings": [],
        },
    }


def agent_json(life: Life[Item], item: Item, site_name: str | None, now: datetime) -> Row:
    """Write an agent as SentinelOne does."""
    number, facts = int(item.id) % 100_000, item.facts
    seen = item.silent_since or now - timedelta(seconds=number % 900)
    is_windows = facts.get("os_type", "windows").startswith("windows")
    is_active = item.silent_since is None and not _is_gone(item)
    return {
        "id": item.id,
        "uuid": uuid.uuid5(uuid.NAMESPACE_OID, item.id).hex,
        "computerName": item.name,
        "accountId": ACCOUNT,
        "accountName": "Northgate Managed IT",
        "siteId": item.company_id,
        "siteName": site_name,
        "groupId": str(int(item.company_id) + 1),
        "groupName": "Default Group",
        "agentVersion": "24.1.4.257",
        "osType": facts.get("os_type", "windows"),
        "osName": "Windows 11 Pro" if is_windows else "Linux",
        "osArch": "64 bit",
        "domain": "WORKGROUP",
        "machineType": item.kind,
        "modelName": "Acme 15",
        "serialNumber": item.serial,
        "networkInterfaces": [
            {"id": f"{item.id}1", "name": "Ethernet", "physical": item.mac, "inet": [f"10.0.0.{number % 250 + 1}"]}
        ]
        if item.mac
        else [],
        "networkStatus": "connected" if is_active else "disconnected",
        "licenseKey": "",
        "operationalState": "na",
        "consoleMigrationStatus": "N/A",
        "isActive": is_active,
        "isDecommissioned": bool(facts.get("is_decommissioned", False)),
        "isUninstalled": bool(facts.get("is_uninstalled", False)),
        "isPendingUninstall": False,
        "isUpToDate": True,
        "infected": False,
        "lastActiveDate": iso(seen),
        "registeredAt": iso(life.created_at),
        "createdAt": iso(life.created_at),
        "updatedAt": iso(seen),
    }
