"""A stand-in for Datto's BCDR and SaaS Protection API: HTTP Basic, numbered pages here, bare arrays there.

Belongs here: how Datto writes a tool down. Does not: what is in it. A company is an organisation, and its id the
organisation's; a SaaS customer is a company once more for each product, under a number of its own. The kind of an item
is "appliance" (its id is the serial number; facts `model`, `hidden`, and `reseller`, the name of a child reseller),
"agent" (facts `appliance`, the serial number of the one it is backed up on, `archived`, `paused`, `os`, and
`asset_type`, "agent" or "share") or "seat" (facts `seat_type`, `seat_state`, `billable`, which may be nothing where
Datto says nothing, and `product`).
"""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED, OAuthClient
from morton_pipeline.simulator.desk import answer, basic_credentials
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.simulator.world import alive

LARGEST_PAGE = 100
KEY = OAuthClient(ACCEPTED["DATTO_BCDR_PUBLIC_KEY"], ACCEPTED["DATTO_BCDR_SECRET_KEY"])
RESELLER = "Northgate Managed IT"
Row = dict[str, Any]
Found = tuple[Life[Item], Item]

_SAID = {
    400: "The request is not valid.",
    401: "The API key or its secret is not valid.",
    403: "The key may not read this.",
    404: "There is no such resource.",
    429: "Too many requests.",
    500: "The request could not be served.",
    503: "The service is under maintenance.",
}


def error(status: int) -> Any:
    """The error body Datto sends."""
    return {"code": str(status), "message": _SAID[status]}


def is_token_path(path: str) -> bool:
    """Whether a request asks for a token: with a key in every request, none does."""
    return False


def create_app(
    tool: Tool, clock: SimulatedClock, *, token_seconds: float = 3600, page_limit: int = LARGEST_PAGE
) -> Starlette:
    """Make the app. `page_limit` is the largest page of appliances; there are no tokens that could last."""

    def guarded(find: Callable[[Request, datetime], Response]) -> Any:
        async def endpoint(request: Request) -> Response:
            if basic_credentials(request.headers.get("authorization")) != KEY:
                return answer(error(401), 401)
            return find(request, clock.now())

        return endpoint

    def found(kind: str, now: datetime) -> list[Found]:
        return [(life, i) for life in tool.items if (i := life.at(now)) is not None and i.kind == kind]

    def companies(now: datetime) -> dict[str, Company]:
        return {company.id: company for company in alive(tool.companies, now)}

    def devices(request: Request, now: datetime) -> Response:
        asked, known = request.query_params, companies(now)
        shown = [
            device_json(life, item, known.get(item.company_id), assets_of(item.id, now), now)
            for life, item in found("appliance", now)
            if (asked.get("showHiddenDevices", "1") != "0" or not item.facts.get("hidden"))
            and (asked.get("showChildResellerDevices", "1") != "0" or not item.facts.get("reseller"))
        ]
        return _page(request, sorted(shown, key=lambda row: str(row["serialNumber"])), page_limit)

    def assets_of(serial: str, now: datetime) -> list[Found]:
        return [(life, item) for life, item in found("agent", now) if item.facts.get("appliance") == serial]

    def assets(request: Request, now: datetime) -> Response:
        serial, kind = request.path_params["serial"], request.path_params.get("kind")
        if serial not in {item.id for _, item in found("appliance", now)}:
            return answer(error(404), 404)
        rows = [asset_json(life, item, now) for life, item in assets_of(serial, now)]
        return answer([row for row in rows if kind in (None, row["type"])])

    def customers(now: datetime) -> dict[tuple[str, str], list[Found]]:
        seats: dict[tuple[str, str], list[Found]] = {}
        for life, item in found("seat", now):
            seats.setdefault((item.company_id, item.facts.get("product", "Office365")), []).append((life, item))
        return seats

    def domains(_: Request, now: datetime) -> Response:
        known = companies(now)
        return answer(
            [domain_json(known[owner], product, s) for (owner, product), s in customers(now).items() if owner in known]
        )

    def seats(request: Request, now: datetime) -> Response:
        for owner, held in customers(now).items():
            if str(_customer_id(*owner)) == request.path_params["customer"]:
                wanted = [kind for kind in request.query_params.get("seatType", "").split(",") if kind]
                rows = [seat_json(life, item) for life, item in held]
                return answer([row for row in rows if not wanted or row["seatType"] in wanted])
        return answer(error(404), 404)

    return Starlette(
        routes=[
            Route("/v1/bcdr/device", guarded(devices)),
            Route("/v1/bcdr/device/{serial}/asset", guarded(assets)),
            Route("/v1/bcdr/device/{serial}/asset/{kind}", guarded(assets)),
            Route("/v1/saas/domains", guarded(domains)),
            Route("/v1/saas/{customer}/seats", guarded(seats)),
        ],
        exception_handlers={404: _not_found},
    )


async def _not_found(_: Request, __: Exception) -> Response:
    return answer(error(404), 404)


def _page(request: Request, rows: list[Row], limit: int) -> Response:
    """Cut one page, counted from 1; what asks for more than the largest page gets that."""
    asked = request.query_params
    try:
        number, size = int(asked.get("_page", 1)), min(int(asked.get("_perPage", limit)), limit)
    except ValueError:
        number, size = 0, 0
    if number < 1 or size < 1:
        return answer(error(400), 400)
    pagination = {"page": number, "perPage": size, "totalPages": -(-len(rows) // size), "count": len(rows)}
    return answer({"pagination": pagination, "items": rows[(number - 1) * size : number * size]})


def _number(text: str) -> int:
    """Derive a number Datto keeps for something."""
    return uuid.uuid5(uuid.NAMESPACE_OID, text).int % 9_000_000 + 1_000_000


def _customer_id(company_id: str, product: str) -> int:
    return _number(f"{product} of {company_id}")


def _size(number: int) -> Row:
    return {"size": number % 900 + 10, "units": "GB"}


def _says(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S+00:00")


def _organisation(company: Company | None) -> Row:
    own = company.id if company else ""
    return {
        "organizationId": int(own) if own.isdigit() else None,
        "organizationName": company.name if company else None,
    }


def device_json(life: Life[Item], item: Item, company: Company | None, assets: list[Found], now: datetime) -> Row:
    """Write an appliance as Datto does; archived machines are not among those it counts."""
    number, facts = _number(item.id), item.facts
    kinds = [i.facts.get("asset_type", "agent") for _, i in assets if not i.facts.get("archived")]
    return {
        "serialNumber": item.id,
        "name": item.name,
        "region": {"location": "US East", "provider": None},
        "model": facts.get("model", "S5-2"),
        "lastSeenDate": _says(item.silent_since or now - timedelta(minutes=number % 9)),
        **_organisation(company),
        "clientCompanyName": company.name if company else None,
        "hidden": bool(facts.get("hidden", False)),
        "servicePlan": "Infinite Cloud Retention",
        "registrationDate": _says(life.created_at),
        "servicePeriod": _says(life.created_at + timedelta(days=1095)),
        "warrantyExpire": _says(life.created_at + timedelta(days=1095)),
        "localStorageUsed": _size(number),
        "localStorageAvailable": _size(number // 7),
        "offsiteStorageUsed": _size(number // 11),
        "totalManagedDisk": _size(number // 13),
        "internalIP": f"10.{number % 200}.0.9",
        "activeTickets": 0,
        "resellerCompanyName": facts.get("reseller") or RESELLER,
        "agentCount": kinds.count("agent"),
        "shareCount": len(kinds) - kinds.count("agent"),
        "alertCount": 0,
        "uptime": number % 900_000,
        "remoteWebUrl": f"https://{item.id.lower()}.example",
    }


def asset_json(life: Life[Item], item: Item, now: datetime) -> Row:
    """Write a machine or a share as Datto does: epoch seconds, and a count that is called snapshots."""
    number, facts = _number(item.id), item.facts
    is_machine = facts.get("asset_type", "agent") == "agent"
    last = item.silent_since or (life.created_at if facts.get("archived") else now - timedelta(minutes=number % 59))
    return {
        "name": item.name,
        "assetId": number,
        "volume": uuid.uuid5(uuid.NAMESPACE_OID, f"volume of {item.id}").hex,
        "localIp": f"10.{number % 200}.1.{number % 250 + 1}" if is_machine else None,
        "os": facts.get("os", "Windows Server 2022 Standard") if is_machine else None,
        "protectedVolumesCount": 2,
        "unprotectedVolumesCount": 0,
        "protectedVolumeNames": ["C:\\", "D:\\"],
        "unprotectedVolumeNames": [],
        "agentVersion": "3.0.21.0" if is_machine else "",
        "isPaused": bool(facts.get("paused", False)),
        "isArchived": bool(facts.get("archived", False)),
        "latestOffsite": int(last.timestamp()) if number % 3 else None,
        "localSnapshots": number % 90,
        "lastSnapshot": int(last.timestamp()),
        "lastScreenshotAttempt": int(last.timestamp()),
        "lastScreenshotAttemptStatus": True,
        "lastScreenshotUrl": f"https://screenshots.example/{number}.png",
        "fqdn": f"{item.name.lower()}.example" if is_machine and number % 2 else None,
        "backups": [{"timestamp": _says(last), "backup": {"status": "success", "errorMessage": None}}],
        "protectedMachine": {"mac": item.mac, "serial": item.serial},
        "type": facts.get("asset_type", "agent"),
    }


def domain_json(company: Company, product: str, seats: list[Found]) -> Row:
    """Write a protected domain as Datto does: what it uses is what it is charged for."""
    number = _customer_id(company.id, product)
    used = sum(_is_charged(item) for _, item in seats)
    return {
        "saasCustomerId": number,
        "saasCustomerName": company.name,
        **_organisation(company),
        "domain": f"customer-{number}.example",
        "seatsUsed": used,
        "productType": product,
        "externalSubscriptionId": f"Classic:{product}:{number}",
        "retentionType": "ICR",
        "backupStats": {"activeServicesCount": 4, "activeServicesWithRecentBackupCount": 4, "backupPercentage": 100},
    }


def _is_charged(item: Item) -> bool:
    return bool(item.facts.get("billable", True)) and item.facts.get("seat_state", "active") in ("active", "paused")


def seat_json(life: Life[Item], item: Item) -> Row:
    """Write a seat as Datto does: `billable` is a text, and what is false is an empty one."""
    billable = item.facts.get("billable", True)
    row: Row = {
        "mainId": f"{item.name.lower().replace(' ', '.')}@customer.example",
        "remoteId": item.id,
        "name": item.name,
        "seatType": item.facts.get("seat_type", "User"),
        "seatState": item.facts.get("seat_state", "active").capitalize(),
        "dateAdded": _says(life.created_at),
    }
    return row if billable is None else {**row, "billable": "1" if billable else ""}
