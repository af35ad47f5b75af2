"""A stand-in for Veeam's Service Provider Console: an API key, `limit` and `offset`, usage by company, place and day.

Belongs here: how the console writes a tool down. Does not: what is in it. A company is a company, an item is one
counter of it and its kind the counter's type; its quantity is the value, in bytes where the counter counts bytes.
Facts of a company: `status`, `external_id`. Facts of an item: `location`.
"""

import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.desk import answer
from morton_pipeline.simulator.entities import Company, Tool
from morton_pipeline.simulator.world import alive

LARGEST_PAGE = 500
USUAL_PAGE = 100
LONGEST_RANGE = timedelta(days=31)
Row = dict[str, Any]

COUNTERS = (
    "BackedupVms", "CloudTotalUsage", "ManagedAgentsWindowsServerOS", "ManagedCloudVms", "ManagedServerAgents",
    "ManagedUsers", "ManagedVms", "ManagedWorkstationAgents", "ProtectedFileShares", "ServerCloudBackups",
    "Vb365BackupSize", "Vb365ProtectedGroups", "Vb365ProtectedUsers", "VbrCloudBackupsDataTransferIn",
    "VmCloudReplicaComputeTime",
)  # fmt: skip
"""The counters that are sent for every place, also at zero; the console has some forty more."""

_SAID = {
    400: ("ValidationError", "A parameter of the request is not valid."),
    401: ("Unauthorized", "Authorization has been denied for this request."),
    403: ("AccessDenied", "The account may not read this."),
    404: ("NotFound", "The resource was not found."),
    429: ("TooManyRequests", "The limit of requests was exceeded."),
    500: ("InternalError", "An unexpected error occurred."),
    503: ("ServiceUnavailable", "The service is unavailable."),
}


def error(status: int) -> Any:
    """The error body the console sends."""
    kind, message = _SAID[status]
    return {"errors": [{"message": message, "type": kind, "code": status}]}


def is_token_path(path: str) -> bool:
    """Whether a request asks for a token: none does, for keys are made in the console."""
    return False


def create_app(
    tool: Tool, clock: SimulatedClock, *, token_seconds: float = 3600, page_limit: int = LARGEST_PAGE
) -> Starlette:
    """Make the app. `page_limit` is its largest page; a key does not end, whatever `token_seconds` says."""

    def guarded(find: Callable[[Request, datetime], list[Row] | None]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {ACCEPTED['VEEAM_SPC_API_KEY']}":
                return answer(error(401), 401)
            if action := request.headers.get("x-request-id"):
                # Whoever names an action wants to follow it: the answer is then prepared in the background.
                return answer(b"", 202, {"Location": f"/api/v3/asyncActions/{action}"})
            rows = find(request, clock.now())
            return answer(error(400), 400) if rows is None else _page(request, rows, page_limit)

        return endpoint

    def companies(request: Request, now: datetime) -> list[Row]:
        is_expanded = "Organization" in request.query_params.get("expand", "")
        return [company_json(company, is_expanded) for company in alive(tool.companies, now)]

    def usage(request: Request, now: datetime) -> list[Row] | None:
        try:
            first = date.fromisoformat(request.query_params.get("fromDate", str(now.date())))
            last = date.fromisoformat(request.query_params.get("toDate", str(now.date())))
        except ValueError:
            return None
        if last - first >= LONGEST_RANGE:
            return None
        days = [first + timedelta(days=n) for n in range((min(last, now.date()) - first).days + 1)]
        return [row for day in days for row in _usage_on(tool, day, now)]

    return Starlette(
        routes=[
            Route("/api/v3/organizations/companies", guarded(companies)),
            Route("/api/v3/organizations/companies/usage", guarded(usage)),
        ],
        exception_handlers={404: _not_found},
    )


async def _not_found(_: Request, __: Exception) -> Response:
    return answer(error(404), 404)


def _page(request: Request, rows: list[Row], largest: int) -> Response:
    """Cut one page. Filtered and expanded at once, the console forgets where it was asked to start."""
    asked = request.query_params
    limit, offset = asked.get("limit", str(USUAL_PAGE)), asked.get("offset", "0")
    if not limit.isdigit() or not offset.isdigit() or int(limit) < 1:
        return answer(error(400), 400)
    start = 0 if "filter" in asked and "expand" in asked else int(offset)
    cut = rows[start : start + min(int(limit), largest)]
    paging = {"total": len(rows), "count": len(cut), "offset": start}
    return answer({"meta": {"pagingInfo": paging}, "data": cut, "errors": None})


def company_json(company: Company, is_expanded: bool) -> Row:
    """Write a company the way the console does; the organisation behind it only where it is asked for."""
    row: Row = {
        "instanceUid": company.id,
        "name": company.name,
        "status": company.facts.get("status", "Active"),
        "resellerUid": None,
        "subscriptionPlanUid": None,
        "isRestAccessEnabled": False,
        "isAlarmDetectEnabled": False,
        "companyServices": {"isBackupAgentsManagementEnabled": True},
        "loginUrl": None,
    }
    if is_expanded:
        organization = {
            "instanceUid": company.id,
            "name": company.name,
            "type": "Company",
            "taxId": None,
            "companyId": company.facts.get("external_id"),
        }
        row["_embedded"] = {"organization": organization}
    return row


def location_of(company_id: str) -> str:
    """The place a company has from the beginning."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"veeam-location-{company_id}"))


def _usage_on(tool: Tool, day: date, now: datetime) -> list[Row]:
    """Write a day as it ended, or as it stands while it lasts: one row for each company and place."""
    at = min(datetime.combine(day, time.max, UTC), now)
    places: dict[tuple[str, str], Counter[str]] = {
        (c.id, location_of(c.id)): Counter() for c in alive(tool.companies, at)
    }
    for item in alive(tool.items, at):
        place = item.company_id, str(item.facts.get("location", location_of(item.company_id)))
        places.setdefault(place, Counter())[item.kind] += int(item.quantity)
    return [
        {
            "companyUid": company,
            "resellerUid": None,
            "locationUid": location,
            "date": str(day),
            "counters": [{"value": values[kind], "type": kind} for kind in sorted({*COUNTERS, *values})],
        }
        for (company, location), values in places.items()
    ]
