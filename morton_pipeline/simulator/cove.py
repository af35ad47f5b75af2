"""A stand-in for Cove's API: one address, JSON-RPC, a visa that each call carries and each answer renews.

Belongs here: how Cove writes a tool down. Does not: what is in it. A company is a partner, an item is an account.
Facts of a company: `level`, `state`, `external_code`. Kinds of items: server, workstation, documents, m365; an item's
quantity is the users behind a Microsoft 365 tenant. Facts of an item: `used_bytes`, `os`, `physical`, `product`,
`machine_name`. Our own partner is made here; everybody else stands below it.
"""

import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.desk import Tokens, answer
from morton_pipeline.simulator.entities import Company, Item, Life, Tool

LARGEST_PAGE = 5000
OWN_ID = 800000
LOCKS_AFTER = 5
"""How many bad logins lock the user."""
GIB = 2**30
Row = dict[str, Any]

_SAID = {
    401: (2100, "Unknown partner/username or bad password"),
    403: (13501, "Operation failed because of security reasons"),
    429: (13000, "Too many requests"),
    500: (1000, "Internal error"),
    503: (1001, "The service is unavailable"),
}
"""Cove's own number and words, by the status that stands for them here. Only 2100 and 13501 are seen in the field."""
OS = {"workstation": "Windows 11 Pro", "documents": "Windows 11 Pro", "server": "Windows Server 2022"}
OS_TYPE = {"workstation": "1", "documents": "1", "server": "2"}


class _Refused(Exception):
    """What Cove will not do: its own number, and its words."""


def error(status: int) -> Any:
    """The error body Cove sends."""
    return _refusal(*_SAID[status])


def is_token_path(path: str) -> bool:
    """Whether a request asks for a visa: its address does not tell, for there is only one."""
    return False


def create_app(
    tool: Tool, clock: SimulatedClock, *, token_seconds: float = 3600, page_limit: int = LARGEST_PAGE
) -> Starlette:
    """Make the app. `token_seconds` is how long a visa lasts, in real time; `page_limit` is the largest page."""
    visas, refused_logins = Tokens(token_seconds), [0]

    def login(params: Row) -> Any:
        given = tuple(params.get(name) for name in ("partner", "username", "password"))
        accepted = tuple(ACCEPTED[f"COVE_{name}"] for name in ("PARTNER", "USERNAME", "PASSWORD"))
        if given != accepted or refused_logins[0] >= LOCKS_AFTER:
            refused_logins[0] += 1
            raise _Refused(*_SAID[401])
        refused_logins[0] = 0
        return {"Id": 4711, "PartnerId": OWN_ID, "Name": given[1], "Flags": ["NonInteractive"]}

    def partner_info(params: Row) -> Any:
        found = [row for row in _partners(tool, clock.now()) if row["Name"] == params.get("name")]
        if not found:
            raise _Refused(2001, "Partner not found")
        return found[0]

    def children(params: Row) -> Any:
        rows = [row for row in _partners(tool, clock.now()) if row["ParentId"] == params.get("parentPartnerId")]
        return rows or None

    methods: dict[str, Callable[[Row], Any]] = {
        "Login": login,
        "GetPartnerInfo": partner_info,
        "EnumeratePartners": children,
    }

    async def jsonapi(request: Request) -> Response:
        try:
            asked = json.loads(await request.body())
            method, params = asked["method"], asked["params"]
        except (ValueError, KeyError, TypeError):
            return answer(_refusal(0, "Parse error", code=-32700))
        try:
            if method != "Login" and visas.subject(f"Bearer {asked.get('visa')}") is None:
                raise _Refused(1701, "Visa is inconsistent/corrupted")
            if method == "EnumerateAccountStatistics":
                result = _statistics(tool, clock.now(), params["query"], page_limit)
            elif method in methods:
                result = {"result": methods[method](params)}
            else:
                return answer(_refusal(0, f"Method {method} was not found", code=-32601))
        except _Refused as refused:
            return answer(_refusal(*refused.args))
        return answer({"id": asked.get("id"), "jsonrpc": "2.0", "result": result, "visa": visas.issue()})

    return Starlette(routes=[Route("/jsonapi", jsonapi, methods=["POST"])])


def _refusal(data: int, message: str, *, code: int = -32603) -> Row:
    """Cove refuses with status 200; `code` is the protocol's number, `data` its own."""
    return {"id": "jsonrpc", "jsonrpc": "2.0", "error": {"code": code, "data": data, "message": message}}


def _partners(tool: Tool, now: datetime) -> list[Row]:
    own = Company(str(OWN_ID), ACCEPTED["COVE_PARTNER"], {"level": "Reseller"})
    first = min((life.created_at for life in tool.companies), default=now)
    alive = [(life.created_at, c) for life in tool.companies if (c := life.at(now)) is not None]
    return [partner_json(first, own), *(partner_json(at, c) for at, c in alive)]


def partner_json(created_at: datetime, partner: Company) -> Row:
    """Write a partner the way Cove does."""
    name = uuid.uuid5(uuid.NAMESPACE_OID, f"cove-partner-{partner.id}")
    return {
        "Id": int(partner.id),
        "Uid": str(name),
        "Name": partner.name,
        "Level": partner.facts.get("level", "EndCustomer"),
        "State": partner.facts.get("state", "InProduction"),
        "ParentId": 1 if partner.id == str(OWN_ID) else OWN_ID,
        "ExternalCode": partner.facts.get("external_code", ""),
        "CreationTime": int(created_at.timestamp()),
        "Flags": None,
        "Company": {"LegalCompanyName": partner.name, "VatNumber": ""},
    }


def _statistics(tool: Tool, now: datetime, query: Row, page_limit: int) -> Row:
    """One page of accounts, and the totals over all of them; an empty list is null."""
    if query.get("Filter"):
        raise _Refused(13000, "This stand-in reads no filter; ask for all accounts.")
    names = {row["Id"]: row["Name"] for row in _partners(tool, now)}
    alive = [(life, item) for life in tool.items if (item := life.at(now)) is not None]
    known = [(life, item) for life, item in alive if int(item.company_id) in names]
    if query["PartnerId"] != OWN_ID:
        known = [(life, item) for life, item in known if int(item.company_id) == query["PartnerId"]]
    known.sort(key=lambda pair: int(pair[1].id), reverse=str(query.get("OrderBy", "")).endswith(" DESC"))
    start, size = int(query["StartRecordNumber"]), min(int(query["RecordsCount"]), page_limit)
    rows = [
        account_json(life, item, names[int(item.company_id)], query["Columns"], now)
        for life, item in known[start : start + size]
    ]
    result: Row = {"result": rows or None}
    if totals := query.get("Totals"):
        result["totalStatistics"] = [{total: _total(total, [item for _, item in known])} for total in totals]
    return result


def _total(total: str, items: list[Item]) -> str:
    counts = {
        "COUNT(1)": len(items),
        "COUNT(AT==1)": sum(item.kind != "m365" for item in items),
        "COUNT(AT==2)": sum(item.kind == "m365" for item in items),
    }
    if total not in counts:
        raise _Refused(13000, f"This stand-in does not compute {total}.")
    return str(counts[total])


def account_json(life: Life[Item], item: Item, partner_name: str, columns: list[str], now: datetime) -> Row:
    """Write an account the way Cove does: one object per column, all texts, and none for a column without a value."""
    values = _columns(life, item, partner_name, now)
    return {
        "AccountId": int(item.id),
        "Flags": None,
        "PartnerId": int(item.company_id),
        "Settings": [{code: values[code]} for code in columns if values.get(code) is not None],
    }


def _columns(life: Life[Item], item: Item, partner_name: str, now: datetime) -> dict[str, str | None]:
    is_tenant = item.kind == "m365"
    used = str(item.facts.get("used_bytes", (int(item.id) % 50 + 1) * GIB))
    reported = item.silent_since or now - timedelta(minutes=int(item.id) % 50)
    physicality = "Undefined" if is_tenant else "Physical" if item.facts.get("physical", True) else "Virtual"
    product = item.facts.get("product", "Documents" if item.kind == "documents" else "All-In")
    return {
        "AU": item.id,
        "AN": f"{item.name.lower()}_{item.id}",
        "AR": partner_name,
        "MN": None if is_tenant else item.facts.get("machine_name", item.name),
        "AT": "2" if is_tenant else "1",
        "OT": OS_TYPE.get(item.kind, "0"),
        "OS": None if is_tenant else item.facts.get("os", OS.get(item.kind)),
        "I81": physicality,
        "PN": product,
        "TM": f"{item.quantity:f}" if is_tenant else None,
        "I14": used,
        "US": used,
        "CD": str(int(life.created_at.timestamp())),
        "TS": str(int(reported.timestamp())),
        "TL": str(int(reported.timestamp())),
    }
