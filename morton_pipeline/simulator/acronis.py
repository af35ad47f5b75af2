"""A stand-in for Acronis's API: client credentials by Basic, `expires_on`, cursors that are sent alone.

Belongs here: how Acronis writes a tool down. Does not: what is in it. A company is a tenant (facts `kind`,
`pricing_mode`, `parent_id`); a partner without a parent is the root of the tree, else one is made up. An item of the
kind "resource" is a machine (fact `resource_type`); the kind of any other is the usage name of one usage row, and its
quantity the value (facts `edition`, `item_name`, `type`, `unit`, `infra_id`, `status`). An advanced pack is named by
its `item_name`, and by the usage name that goes with it. What stands below a partner or a folder is summed up there
once more, as Acronis does; a customer's rows are what is told of it, its units included. Tenants are listed by the
root of their tree only.
"""

import base64
import binascii
import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.clock import wall
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED, OAuthClient
from morton_pipeline.simulator.desk import Tokens, answer, basic_credentials, form, is_form
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.simulator.world import alive

LARGEST_PAGE = 5000
BATCH = 100
TOKEN_PATH = "/api/2/idp/token"
CLIENT = OAuthClient(ACCEPTED["ACRONIS_CLIENT_ID"], ACCEPTED["ACRONIS_CLIENT_SECRET"])
PROTECTION = "6e6d758d-8e74-3ae3-ac84-50eb0dff12eb"
NAMES = {"mailboxes": "pw_base_m365_seats"}
PREFIXES = {"pck_per_workload": "pw_base_", "pck_per_gigabyte": "pg_base_"}
ABOVE = ("partner", "folder")
"""What sums up the customers below it."""
Row = dict[str, Any]

_SAID = {
    400: "The request is not valid.",
    401: "The access token is missing, foreign or expired.",
    403: "The client may not read this.",
    404: "There is no such object.",
    429: "Too many requests.",
    500: "The request could not be served.",
    503: "The service is overloaded.",
}


def error(status: int) -> Any:
    """The error body Acronis sends."""
    said = _SAID[status]
    return {"error": {"code": status, "message": said, "domain": "Platform", "context": {}, "details": {"info": said}}}


def is_token_path(path: str) -> bool:
    """Whether a request asks for a token."""
    return path.endswith(TOKEN_PATH)


def create_app(
    tool: Tool, clock: SimulatedClock, *, token_seconds: float = 3600, page_limit: int = LARGEST_PAGE
) -> Starlette:
    """Make the app. `token_seconds` is how long a token lasts, in real time; `page_limit` the largest page."""
    tokens = Tokens(token_seconds)

    async def token(request: Request) -> Response:
        if basic_credentials(request.headers.get("authorization")) != CLIENT:
            return answer(error(401), 401)
        asked = await form(request) if is_form(request) else {}
        if asked.get("grant_type") != "client_credentials":
            return answer(error(400), 400)
        ends = int(wall().timestamp() + token_seconds)
        return answer({"access_token": tokens.issue(), "token_type": "bearer", "expires_on": ends})

    def guarded(find: Callable[[Request, "_Tree"], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if tokens.subject(request.headers.get("authorization")) is None:
                return answer(error(401), 401)
            return find(request, _Tree(tool, clock.now()))

        return endpoint

    def own_client(request: Request, tree: _Tree) -> Response:
        if request.path_params["client"] != CLIENT.id:
            return answer(error(404), 404)
        return answer({"client_id": CLIENT.id, "tenant_id": tree.root.id, "type": "api_client", "status": "enabled"})

    def tenants(request: Request, tree: _Tree) -> Response:
        asked = dict(request.query_params)
        given = _read(asked["after"]) if "after" in asked else asked
        if given is None or ("after" in asked and len(asked) > 1) or "subtree_root_id" not in given:
            return answer(error(400), 400)
        rows = [tenant_json(tree, c) for c in tree.companies.values() if tree.is_below(c, given["subtree_root_id"])]
        return _cut(request, rows, page_limit, tree.now)

    def usages_of_many(request: Request, tree: _Tree) -> Response:
        wanted = [one for one in request.query_params.get("tenants", "").split(",") if one]
        if not wanted or len(wanted) > BATCH:
            return answer(error(400), 400)
        if not set(wanted) <= set(tree.companies):
            return answer(error(404), 404)
        return answer({"items": [{"tenant": one, "usages": tree.usages(one)} for one in wanted]})

    def usages_of_one(request: Request, tree: _Tree) -> Response:
        if request.path_params["tenant"] not in tree.companies:
            return answer(error(404), 404)
        return answer({"items": tree.usages(request.path_params["tenant"])})

    def resources(request: Request, tree: _Tree) -> Response:
        wanted = request.query_params.get("type")
        rows = [row for row in tree.resources() if wanted in (None, row["type"])]
        return _cut(request, rows, page_limit, tree.now, total=len(rows))

    return Starlette(
        routes=[
            Route(TOKEN_PATH, token, methods=["POST"]),
            Route("/api/2/clients/{client}", guarded(own_client)),
            Route("/api/2/tenants", guarded(tenants)),
            Route("/api/2/tenants/usages", guarded(usages_of_many)),
            Route("/api/2/tenants/{tenant}/usages", guarded(usages_of_one)),
            Route("/api/resource_management/v4/resources", guarded(resources)),
        ],
        exception_handlers={404: _not_found},
    )


async def _not_found(_: Request, __: Exception) -> Response:
    return answer(error(404), 404)


def kind_of(company: Company) -> str:
    """What a tenant is."""
    return str(company.facts.get("kind", "customer"))


class _Tree:
    """The tenants of one instant, each below its parent, and what they use."""

    def __init__(self, tool: Tool, now: datetime) -> None:
        known = alive(tool.companies, now)
        tops = [c for c in known if c.facts.get("kind") == "partner" and not c.facts.get("parent_id")]
        made_up = str(uuid.uuid5(uuid.NAMESPACE_OID, tool.connection_id))
        self.root = tops[0] if tops else Company(made_up, "Northgate Managed IT", {"kind": "partner"})
        self.companies = {company.id: company for company in (self.root, *known)}
        self.created = {life.first.id: life.created_at for life in tool.companies}
        self.now = now
        self._items = [(life, item) for life in tool.items if (item := life.at(now)) is not None]

    def parent(self, company: Company) -> str | None:
        """The tenant above; nothing above the root."""
        return None if company is self.root else str(company.facts.get("parent_id") or self.root.id)

    def is_below(self, company: Company | None, tenant: str) -> bool:
        """Whether a company is the tenant itself, or stands somewhere below it."""
        while company is not None and company.id != tenant:
            company = self.companies.get(self.parent(company) or "")
        return company is not None

    def usages(self, tenant: str) -> list[Row]:
        """What a tenant uses: its own rows, and at a partner or a folder those of all customers below it, summed."""
        is_sum = kind_of(self.companies[tenant]) in ABOVE
        rows: dict[tuple[str, str | None, str | None], Row] = {}
        for _, item in self._items:
            owner = self.companies.get(item.company_id)
            if owner is None or item.kind == "resource":
                continue
            is_summed = is_sum and kind_of(owner) == "customer" and self.is_below(owner, tenant)
            if owner.id == tenant or is_summed:
                row = usage_json(item, tenant, self.now)
                key = (row["name"], row["edition"], row.get("infra_id"))
                if key in rows:
                    row["value"] = row["absolute_value"] = rows[key]["value"] + row["value"]
                rows[key] = row
        return list(rows.values())

    def resources(self) -> list[Row]:
        """The machines of all tenants."""
        return [
            resource_json(life, item)
            for life, item in self._items
            if item.kind == "resource" and item.company_id in self.companies
        ]


def _cut(request: Request, rows: list[Row], limit: int, now: datetime, **more: Any) -> Response:
    """Cut one page; the cursor says where the next one starts, and what was asked for."""
    asked = dict(request.query_params)
    after = asked.pop("after", None)
    first: Row = {"start": 0, "limit": asked.get("limit", str(limit))}
    cursor = first if after is None else _read(after)
    if cursor is None or not str(cursor["limit"]).isdigit() or int(cursor["limit"]) < 1:
        return answer(error(400), 400)
    start = int(cursor["start"])
    end = start + min(int(cursor["limit"]), limit)
    following = {"after": _write({**asked, **cursor, "start": end})} if end < len(rows) else {}
    return answer({"items": rows[start:end], "timestamp": _iso(now), "paging": {"cursors": {**more, **following}}})


def _write(cursor: Row) -> str:
    return base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()


def _read(text: str) -> Row | None:
    try:
        cursor = json.loads(base64.urlsafe_b64decode(text))
    except (ValueError, binascii.Error):
        return None
    return cursor if isinstance(cursor, dict) and {"start", "limit"} <= set(cursor) else None


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(company_id: str) -> int:
    """Derive the number Acronis keeps beside each tenant's id."""
    return uuid.uuid5(uuid.NAMESPACE_OID, company_id).int % 9_000_000 + 1_000_000


def _amount(quantity: Decimal) -> int | float:
    return int(quantity) if quantity == quantity.to_integral_value() else float(quantity)


def tenant_json(tree: _Tree, company: Company) -> Row:
    """Write a tenant as Acronis does; one on trial has no day on which billing began."""
    mode = company.facts.get("pricing_mode", "production")
    created = tree.created.get(company.id, tree.now)
    return {
        "id": company.id,
        "version": 1,
        "created_at": _iso(created),
        "updated_at": _iso(created),
        "deleted_at": None,
        "production_start_date": _iso(created) if mode == "production" else None,
        "name": company.name,
        "customer_type": "default",
        "parent_id": tree.parent(company),
        "kind": kind_of(company),
        "enabled": True,
        "customer_id": None,
        "internal_tag": None,
        "has_children": any(tree.parent(other) == company.id for other in tree.companies.values()),
        "ancestral_access": True,
        "pricing_mode": mode,
    }


def usage_json(item: Item, tenant: str, now: datetime) -> Row:
    """Write a usage row as Acronis does: bytes for what lies in a storage, and the storage only there."""
    facts = item.facts
    edition = facts.get("edition", "pck_per_workload")
    name = str(facts.get("item_name") or NAMES.get(item.kind, PREFIXES.get(edition, "") + item.kind))
    place = name.find("pack_adv_")
    kind = facts.get("type", "count")
    value = _amount(item.quantity)
    row: Row = {
        "tenant_uuid": tenant,
        "tenant_id": _number(tenant),
        "application_id": PROTECTION,
        "type": kind,
        "name": name,
        "usage_name": item.kind if place < 0 else name[place:],
        "edition": edition,
        "measurement_unit": "n/a" if kind == "feature" else facts.get("unit", "quantity"),
        "range_start": _iso(now.replace(day=1, hour=0, minute=0, second=0)),
        "value": value,
        "absolute_value": value,
        "offering_item": {"status": facts.get("status", 1), "quota": {"value": None, "overage": None, "version": 0}},
    }
    return {**row, "infra_id": facts["infra_id"]} if facts.get("infra_id") else row


def resource_json(life: Life[Item], item: Item) -> Row:
    """Write a machine as Acronis does: its tenant by number, which is a text here."""
    return {
        "id": item.id,
        "name": item.name,
        "user_defined_name": item.name,
        "type": item.facts.get("resource_type", "resource.machine"),
        "tenant_id": str(_number(item.company_id)),
        "external_id": f"{item.id}@{_number(item.company_id)}",
        "created_at": _iso(life.created_at),
        "updated_at": _iso(life.created_at),
    }
