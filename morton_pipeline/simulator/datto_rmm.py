"""A stand-in for Datto RMM's API: password grant, `max` and `nextPageUrl`, epoch milliseconds, odd sentinels.

Belongs here: how Datto writes a tool down. Does not: what is in it. A company is a site, an item is a device, and its
kind is the category of `deviceType`. Facts of a company: `on_demand`, `autotask_company_id`. Facts of an item:
`device_class`, `deleted`, `suspended`, `operating_system`.
"""

import uuid
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED, OAuthClient
from morton_pipeline.simulator.desk import Tokens, answer, basic_credentials, form, is_form
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.simulator.world import alive

LARGEST_PAGE = 250
TOKEN_PATH = "/auth/oauth/token"
PUBLIC = OAuthClient("public-client", "public")
"""The client every user of the API shares; the key and the secret are user name and password."""
NO_DATE = -62135596800000
ACCOUNT = str(uuid.uuid5(uuid.NAMESPACE_OID, "northgate"))
PORTAL = "https://rmm.example"
AGENTLESS = ("printer", "rmmnetworkdevice")
Row = dict[str, Any]

_SAID = {
    401: ("Unauthorized", "The access token is missing, foreign or expired."),
    403: ("Forbidden", "The user may not read this."),
    404: ("Not Found", "There is no such resource."),
    429: ("Too Many Requests", "Too many requests in the last 60 seconds."),
    500: ("Internal Server Error", "The request could not be served."),
    503: ("Service Unavailable", "The platform is under maintenance."),
}


def error(status: int) -> Any:
    """The error body Datto sends."""
    name, message = _SAID[status]
    return {"status": status, "error": name, "message": message}


def is_token_path(path: str) -> bool:
    """Whether a request asks for a token."""
    return path.endswith(TOKEN_PATH)


def create_app(
    tool: Tool, clock: SimulatedClock, *, token_seconds: float = 3600, page_limit: int = LARGEST_PAGE
) -> Starlette:
    """Make the app. `token_seconds` is how long a token lasts, in real time; `page_limit` is the largest page."""
    tokens = Tokens(token_seconds)

    async def token(request: Request) -> Response:
        if basic_credentials(request.headers.get("authorization")) != PUBLIC:
            return answer({"error": "unauthorized", "error_description": "Full authentication is required."}, 401)
        asked = await form(request) if is_form(request) else {}
        if asked.get("grant_type") != "password":
            return answer({"error": "unsupported_grant_type", "error_description": "Unsupported grant type."}, 400)
        given = (asked.get("username"), asked.get("password"))
        if given != (ACCEPTED["DATTO_RMM_API_KEY"], ACCEPTED["DATTO_RMM_API_SECRET"]):
            return answer({"error": "invalid_grant", "error_description": "Bad credentials"}, 400)
        return answer({"access_token": tokens.issue(), "token_type": "bearer", "expires_in": int(token_seconds)})

    async def sites(request: Request) -> Response:
        if refused := _refusal(request, tokens):
            return refused
        now = clock.now()
        counts = Counter(item.company_id for item in alive(tool.items, now) if not item.facts.get("deleted"))
        rows = [site_json(company, counts[company.id]) for company in alive(tool.companies, now)]
        return _page(request, "sites", rows, page_limit)

    async def devices(request: Request) -> Response:
        if refused := _refusal(request, tokens):
            return refused
        now, owner = clock.now(), request.path_params.get("uid")
        names = {company.id: company.name for company in alive(tool.companies, now)}
        if owner is not None and (owner not in names or not _is_guid(owner)):
            return answer(error(404), 404)
        rows = [
            device_json(life, item, names.get(item.company_id), now)
            for life in tool.items
            if (item := life.at(now)) is not None and owner in (None, item.company_id)
        ]
        return _page(request, "devices", rows, page_limit)

    return Starlette(
        routes=[
            Route(TOKEN_PATH, token, methods=["POST"]),
            Route("/api/v2/account/sites", sites),
            Route("/api/v2/account/devices", devices),
            Route("/api/v2/site/{uid}/devices", devices),
        ],
        exception_handlers={404: _not_found},
    )


async def _not_found(_: Request, __: Exception) -> Response:
    return answer(error(404), 404)


def _refusal(request: Request, tokens: Tokens) -> Response | None:
    return None if tokens.subject(request.headers.get("authorization")) is not None else answer(error(401), 401)


def _is_guid(uid: str) -> bool:
    try:
        uuid.UUID(uid)
    except ValueError:
        return False
    return True


def _page(request: Request, plural: str, rows: list[Row], limit: int) -> Response:
    """Cut one page, counted from 0. The link to the next one says which, and forgets whatever else was asked."""
    try:
        number = int(request.query_params.get("page", 0))
        size = min(int(request.query_params.get("max", limit)), limit)
    except ValueError:
        number, size = -1, 0
    if number < 0 or size < 1:
        return answer({"status": 400, "error": "Bad Request", "message": "page and max must be whole numbers."}, 400)
    rows = sorted(rows, key=lambda row: str(row["uid"]))
    cut = rows[number * size : (number + 1) * size]
    details = {
        "count": len(cut),
        "totalCount": len(rows),
        "prevPageUrl": _link(request, number - 1) if number else "",
        "nextPageUrl": _link(request, number + 1) if (number + 1) * size < len(rows) else "",
    }
    return answer({"pageDetails": details, plural: cut})


def _link(request: Request, number: int) -> str:
    url = request.url
    return f"{url.scheme}://{url.netloc}{url.path}?{urlencode({'page': number})}"


def _number(uid: str) -> int:
    """Derive the short number Datto keeps beside each uid."""
    return uuid.uuid5(uuid.NAMESPACE_OID, uid).int % 9_000_000 + 1_000_000


def _millis(instant: datetime) -> int:
    return int(instant.timestamp()) * 1000


def site_json(company: Company, count: int) -> Row:
    """Write a site as Datto does; the proxy's password is not something a list should tell."""
    autotask = company.facts.get("autotask_company_id")
    return {
        "id": _number(company.id),
        "uid": company.id,
        "accountUid": ACCOUNT,
        "name": company.name,
        "description": None,
        "notes": None,
        "onDemand": bool(company.facts.get("on_demand", False)),
        "splashtopAutoInstall": True,
        "proxySettings": None,
        "devicesStatus": {"numberOfDevices": count, "numberOfOnlineDevices": count, "numberOfOfflineDevices": 0},
        "autotaskCompanyName": company.name if autotask else None,
        "autotaskCompanyId": autotask,
        "portalUrl": f"{PORTAL}/site/{_number(company.id)}",
    }


def device_json(life: Life[Item], item: Item, site_name: str | None, now: datetime) -> Row:
    """Write a device as Datto does: milliseconds, nulls, and user-defined fields that hold what they should not."""
    number, facts = _number(item.id), item.facts
    kind = facts.get("device_class", "device")
    has_agent = kind not in AGENTLESS
    seen = item.silent_since or now - timedelta(seconds=number % 290)
    return {
        "id": number,
        "uid": item.id,
        "siteId": _number(item.company_id),
        "siteUid": item.company_id,
        "siteName": site_name,
        "deviceType": {"category": item.kind, "type": "Main System Chassis" if has_agent else "Unknown"},
        "hostname": item.name,
        "intIpAddress": f"10.{number % 200}.{number // 200 % 200}.{number % 250 + 1}",
        "operatingSystem": facts.get("operating_system", "Microsoft Windows 11 Pro" if has_agent else None),
        "lastLoggedInUser": None,
        "domain": "WORKGROUP" if has_agent else None,
        "cagVersion": "4.4.2276" if has_agent else None,
        "displayVersion": "4.4.2276" if has_agent else None,
        "extIpAddress": f"198.51.100.{number % 250 + 1}",
        "description": None,
        "a64Bit": has_agent or None,
        "rebootRequired": False if has_agent else None,
        "online": item.silent_since is None,
        "suspended": bool(facts.get("suspended", False)),
        "deleted": bool(facts.get("deleted", False)),
        "lastSeen": _millis(seen),
        "lastReboot": _millis(life.created_at) if has_agent else NO_DATE,
        "lastAuditDate": _millis(now - timedelta(hours=number % 24)) if has_agent else NO_DATE,
        "creationDate": _millis(life.created_at),
        "udf": {
            "udf1": f"BitLocker {uuid.uuid5(uuid.NAMESPACE_OID, f'key of {item.id}')}",
            "udf2": None,
            "udf300": None,
        },
        "snmpEnabled": not has_agent,
        "deviceClass": kind,
        "portalUrl": f"{PORTAL}/device/{number}",
        "warrantyDate": "2028-01-31" if number % 3 else None,
        "antivirus": {"antivirusProduct": "Windows Defender", "antivirusStatus": "RunningAndUpToDate"}
        if has_agent
        else None,
        "patchManagement": {
            "patchStatus": "FullyPatched",
            "patchesApprovedPending": 0,
            "patchesNotApproved": 0,
            "patchesInstalled": number % 90,
        }
        if has_agent
        else None,
        "softwareStatus": None,
        "webRemoteUrl": f"{PORTAL}/connect/{number}" if has_agent else None,
        "networkProbe": False,
        "onboardedViaNetworkMonitor": not has_agent,
    }
