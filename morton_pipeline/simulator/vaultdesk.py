"""A stand-in for an invented password manager: a small API that no page of ours knows, declared in YAML alone.

A key in `X-Api-Key`, pages that are numbered, lists under `data.items`, totals under `meta`. An item's `kind` is its
plan; of its facts `status` ("active", "suspended" or "cancelled") and `email` are read.
"""

import math
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.desk import answer
from morton_pipeline.simulator.entities import Company, Item, Tool
from morton_pipeline.simulator.world import alive

LARGEST_PAGE = 100


def _pages() -> dict[str, Any]:
    return {
        "kind": "by_page_number",
        "param": "page",
        "first": 1,
        "size": ["per_page", LARGEST_PAGE],
        "last_page": "meta.pages",
    }


CONNECTION: dict[str, Any] = {
    "id": "vaultdesk",
    "vendor": "rest",
    "title": "VaultDesk",
    "category": "security",
    "auth": {"kind": "header_key", "header": "X-Api-Key", "secret": "api_key"},
    "secrets": {"api_key": "VAULTDESK_API_KEY"},
    "records": {
        "path": "/v1/seats",
        "records": "data.items",
        "pages": _pages(),
        "total": "meta.total",
        "unit": "licence",
        "columns": {
            "record_id": "id",
            "record_name": "user.name",
            "company_id": "org.id",
            "company_name": "org.name",
            "sku": "plan",
            "quantity": "seats",
            "state": "status",
            "seen_on": "last_used_at",
            "attributes": {"email": "user.email"},
        },
        "rules": [
            {"field": "state", "pattern": "cancelled", "name": "cancelled", "reason": "A cancelled seat is not billed."}
        ],
    },
    "companies": {
        "path": "/v1/organizations",
        "records": "data.items",
        "pages": _pages(),
        "total": "meta.total",
        "columns": {"company_id": "id", "company_name": "name"},
    },
}
"""Its block of connections.yaml, without `base_url`."""


def create_app(
    tool: Tool, clock: SimulatedClock, *, token_seconds: float = 3600, page_limit: int = LARGEST_PAGE
) -> Starlette:
    """Make the app; a key lasts for ever, whatever `token_seconds` says."""

    def listing(rows: Callable[[], list[dict[str, Any]]]) -> Any:
        async def serve(request: Request) -> Response:
            if request.headers.get("x-api-key") != ACCEPTED["VAULTDESK_API_KEY"]:
                return answer(error(401), 401)
            return _page(request, rows(), page_limit)

        return serve

    def names() -> dict[str, str]:
        return {company.id: company.name for company in alive(tool.companies, clock.now())}

    def seats() -> list[dict[str, Any]]:
        named = names()
        return [_seat(item, named.get(item.company_id, "")) for item in alive(tool.items, clock.now())]

    def organizations() -> list[dict[str, Any]]:
        return [_organization(company) for company in alive(tool.companies, clock.now())]

    return Starlette(
        routes=[Route("/v1/seats", listing(seats)), Route("/v1/organizations", listing(organizations))],
        exception_handlers={404: _not_found},
    )


async def _not_found(request: Request, _: Exception) -> Response:
    return answer({"error": {"code": "not_found", "message": f"Nothing is at {request.url.path}."}}, 404)


def error(status: int) -> Any:
    """Return the body of an error."""
    said = {401: "The API key is not valid.", 403: "The API key may not read this.", 429: "Slow down."}
    return {"error": {"code": f"e{status}", "message": said.get(status, "Something went wrong.")}}


def is_token_path(path: str) -> bool:
    """Whether a path issues tokens; none does."""
    return False


def _page(request: Request, rows: list[dict[str, Any]], page_limit: int) -> Response:
    try:
        number, asked = int(request.query_params.get("page", 1)), int(request.query_params.get("per_page", page_limit))
    except ValueError:
        return answer({"error": {"code": "bad_page", "message": "page and per_page are whole numbers."}}, 400)
    size = max(1, min(asked, page_limit))
    meta = {"page": number, "pages": math.ceil(len(rows) / size), "total": len(rows)}
    return answer({"data": {"items": rows[(number - 1) * size : number * size]}, "meta": meta})


def _seat(item: Item, organization: str) -> dict[str, Any]:
    seats = int(item.quantity) if item.quantity == int(item.quantity) else float(item.quantity)
    return {
        "id": item.id,
        "org": {"id": item.company_id, "name": organization},
        "user": {"name": item.name, "email": item.facts.get("email")},
        "plan": item.kind,
        "seats": seats,
        "status": item.facts.get("status", "active"),
        "last_used_at": item.silent_since.isoformat() if item.silent_since else None,
    }


def _organization(company: Company) -> dict[str, Any]:
    return {"id": company.id, "name": company.name}
