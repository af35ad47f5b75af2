"""A stand-in for Pax8's API: tokens asked for in JSON, pages numbered from zero, dates in three spellings.

Belongs here: how Pax8 writes a tool down. Does not: what is in it. An item is a subscription; its name and its kind are
the product's name, its quantity is what was bought. Facts of a company: `status`, `external_id`. Facts of an item:
`status`, `billing_term`, `commitment` (id, term, end_on), `parent_id`, `price`, `partner_cost`, `currency`, `start_on`,
`end_on`, `product_id`, `vendor_sku`, `vendor_name`. Invoices follow from what ran: one on the fifth of each month.
"""

import json
import uuid
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.desk import Tokens, answer
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.simulator.world import alive

LARGEST_PAGE = 200
TOKEN_PATH = "/v1/token"
AUDIENCES = ("https://api.pax8.com", "api://p8p.client", "api://provisioning", "api://usage")
RUNNING = ("Active", "Activated", "PendingCancel")
INVOICE_DAY = 5
ADDRESS = {"street": "1 Main St", "city": "Portland", "postalCode": "04101", "country": "US"}
Row = dict[str, Any]

_SAID = {
    400: ("BadRequest", "The request is not valid."),
    401: ("Unauthorized", "The access token is missing, foreign or expired."),
    403: ("Forbidden", "The application may not read this."),
    404: ("NotFound", "There is no such resource."),
    429: ("TooManyRequests", "Too many requests."),
    500: ("InternalServerError", "The request could not be served."),
    503: ("ServiceUnavailable", "The service is under maintenance."),
}


def error(status: int) -> Any:
    """The error body Pax8 sends."""
    kind, message = _SAID[status]
    return {"type": kind, "message": message, "instance": "/v1", "status": status, "details": []}


def is_token_path(path: str) -> bool:
    """Whether a request asks for a token."""
    return path.endswith(TOKEN_PATH)


def create_app(
    tool: Tool, clock: SimulatedClock, *, token_seconds: float = 3600, page_limit: int = LARGEST_PAGE
) -> Starlette:
    """Make the app. `token_seconds` is how long a token lasts, in real time; `page_limit` is the largest page."""
    tokens = Tokens(token_seconds)

    async def token(request: Request) -> Response:
        try:
            asked = dict(json.loads(await request.body()))
        except (ValueError, TypeError):
            return answer(error(400), 400)
        given = (asked.get("client_id"), asked.get("client_secret"))
        is_known = given == (ACCEPTED["PAX8_CLIENT_ID"], ACCEPTED["PAX8_CLIENT_SECRET"])
        if not is_known or asked.get("audience") not in AUDIENCES or asked.get("grant_type") != "client_credentials":
            return answer({"error": "access_denied", "error_description": "Unauthorized"}, 401)
        return answer({"access_token": tokens.issue(), "expires_in": int(token_seconds), "token_type": "Bearer"})

    def guarded(find: Callable[[Request], Row | list[Row] | None]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if tokens.subject(request.headers.get("authorization")) is None:
                return answer(error(401), 401)
            found = find(request)
            if isinstance(found, list):
                return _page(request, found, page_limit)
            return answer(error(404), 404) if found is None else answer(found)

        return endpoint

    def companies(_: Request) -> list[Row]:
        return [company_json(company) for company in alive(tool.companies, clock.now())]

    def products(_: Request) -> list[Row]:
        return list(_catalogue(tool, clock.now()).values())

    def product(request: Request) -> Row | None:
        return _catalogue(tool, clock.now()).get(request.path_params["id"])

    def subscriptions(request: Request) -> list[Row]:
        wanted = {k: v for k, v in request.query_params.items() if k in ("status", "companyId", "productId")}
        found = [(life, item) for life in tool.items if (item := life.at(clock.now())) is not None]
        rows = [subscription_json(life, item) for life, item in found]
        return [row for row in rows if all(row[k] == v for k, v in wanted.items())]

    def invoices(_: Request) -> list[Row]:
        return [invoice_json(tool, day) for day in _invoice_days(tool, clock.now())]

    def invoice_items(request: Request) -> list[Row] | None:
        days = {_invoice_id(tool, day): day for day in _invoice_days(tool, clock.now())}
        day = days.get(request.path_params["id"])
        return None if day is None else lines_json(tool, day)

    return Starlette(
        routes=[
            Route(TOKEN_PATH, token, methods=["POST"]),
            Route("/v1/companies", guarded(companies)),
            Route("/v1/products", guarded(products)),
            Route("/v1/products/{id}", guarded(product)),
            Route("/v1/subscriptions", guarded(subscriptions)),
            Route("/v1/invoices", guarded(invoices)),
            Route("/v1/invoices/{id}/items", guarded(invoice_items)),
        ],
        exception_handlers={404: _not_found},
    )


async def _not_found(_: Request, __: Exception) -> Response:
    return answer(error(404), 404)


def _page(request: Request, rows: list[Row], page_limit: int) -> Response:
    """Cut one page; a page beyond the last is empty, and says so."""
    number, size = request.query_params.get("page", "0"), request.query_params.get("size", "10")
    if not number.isdigit() or not size.isdigit() or not 1 <= int(size) <= LARGEST_PAGE:
        return answer(error(400), 400)
    length = min(int(size), page_limit)
    start = int(number) * length
    page = {"size": length, "totalElements": len(rows), "totalPages": -(-len(rows) // length), "number": int(number)}
    return answer({"content": rows[start : start + length], "page": page})


def company_json(company: Company) -> Row:
    """Write a company the way Pax8 does; what it does not know is absent."""
    body = {
        "id": company.id,
        "name": company.name,
        "address": ADDRESS,
        "phone": "555-0100",
        "website": "https://client.example",
        "externalId": company.facts.get("external_id"),
        "billOnBehalfOfEnabled": False,
        "selfServiceAllowed": False,
        "orderApprovalRequired": False,
        "status": company.facts.get("status", "Active"),
        "updatedDate": "2026-08-11T11:33:12.314-0600",
    }  # fmt: skip
    return _present(body)


def _catalogue(tool: Tool, now: datetime) -> dict[str, Row]:
    """Every product of the subscriptions that were ever begun; what one of them does not say of it, another may."""
    found: dict[str, Row] = {}
    for life in tool.items:
        if life.created_at <= now:
            product = product_json(life.at(now) or life.last())
            found[product["id"]] = {**product, **found.get(product["id"], {})}
    return found


def _product_id(item: Item) -> str:
    return str(item.facts.get("product_id") or uuid.uuid5(uuid.NAMESPACE_OID, item.kind))


def product_json(item: Item) -> Row:
    """Write the product of a subscription the way the catalogue does."""
    body = {
        "id": _product_id(item),
        "name": item.kind,
        "vendorName": item.facts.get("vendor_name", "Microsoft"),
        "shortDescription": f"{item.kind}, by the month or the year",
        "sku": f"PAX-{zlib.crc32(item.kind.encode()):08x}",
        "vendorSku": item.facts.get("vendor_sku"),
        "requiresCommitment": item.facts.get("commitment") is not None,
    }
    return _present(body)


def subscription_json(life: Life[Item], item: Item) -> Row:
    """Write a subscription the way Pax8 does: three spellings of a day, and absent what does not apply."""
    facts, began = item.facts, item.facts.get("start_on") or life.created_at.date()
    commitment = facts.get("commitment")
    body = {
        "id": item.id,
        "parentSubscriptionId": facts.get("parent_id"),
        "companyId": item.company_id,
        "productId": _product_id(item),
        "quantity": _number(item.quantity),
        "startDate": f"{began}T08:30:00Z",
        "endDate": str(facts["end_on"]) if facts.get("end_on") else None,
        "createdDate": f"{life.created_at.date()}T13:20:13.153-0700",
        "billingStart": str(began),
        "status": facts.get("status", "Active"),
        "price": _number(_price(item)),
        "partnerCost": _number(_cost(item)),
        "currencyCode": facts.get("currency", "USD"),
        "productName": item.name,
        "billingTerm": facts.get("billing_term", "Monthly"),
        "commitmentTerm": commitment and {
            "id": str(commitment["id"]),
            "term": commitment["term"],
            "endDate": f"{commitment['end_on']}T23:59:59.000-0700",
        },
    }  # fmt: skip
    return _present(body)


def _price(item: Item) -> Decimal:
    return Decimal(item.facts.get("price", "10.00"))


def _cost(item: Item) -> Decimal:
    return Decimal(item.facts.get("partner_cost", _price(item) * Decimal("0.8")))


def _number(value: Decimal | int) -> int | float:
    return int(value) if value == int(value) else float(value)


def _present(body: Row) -> Row:
    return {name: value for name, value in body.items() if value is not None}


def _invoice_days(tool: Tool, now: datetime) -> Iterator[date]:
    """The days of the invoices sent so far, the newest first, back to the first subscription."""
    first = min((life.created_at.date() for life in tool.items), default=now.date())
    for month in range(now.year * 12 + now.month - 1, first.year * 12 + first.month - 2, -1):
        day = date(month // 12, month % 12 + 1, INVOICE_DAY)
        if first <= day <= now.date():
            yield day


def _invoice_id(tool: Tool, day: date) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{tool.connection_id}|{day}"))


def invoice_json(tool: Tool, day: date) -> Row:
    """Write an invoice the way Pax8 does."""
    total = sum((Decimal(str(line["costTotal"])) for line in lines_json(tool, day)), Decimal(0))
    return {
        "id": _invoice_id(tool, day),
        "total": _number(total),
        "currencyCode": "USD",
        "balance": 0,
        "carriedBalance": 0,
        "status": "Paid",
        "invoiceDate": str(day),
        "dueDate": str(day.replace(day=20)),
        "partnerName": "Northgate Managed IT",
    }


def lines_json(tool: Tool, day: date) -> list[Row]:
    """The lines of an invoice: every subscription that ran on its day, for that month."""
    at = datetime.combine(day, time(12), UTC)
    companies = {company.id: company for company in alive(tool.companies, at)}
    return [
        line_json(item, companies.get(item.company_id), day)
        for item in alive(tool.items, at)
        if item.facts.get("status", "Active") in RUNNING
    ]


def line_json(item: Item, company: Company | None, day: date) -> Row:
    """Write one line the way Pax8 does."""
    price, cost = item.quantity * _price(item), item.quantity * _cost(item)
    ends = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    body = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{item.id}|{day}")),
        "type": "subscription",
        "companyId": item.company_id,
        "companyName": company.name if company else None,
        "startPeriod": str(day.replace(day=1)),
        "endPeriod": str(ends),
        "quantity": _number(item.quantity),
        "unitOfMeasure": "User",
        "term": item.facts.get("billing_term", "Monthly").replace("-Year", " Year"),
        "sku": f"PAX-{zlib.crc32(item.kind.encode()):08x}",
        "description": item.name,
        "chargeType": "per",
        "price": _number(_price(item)),
        "subTotal": _number(cost),
        "cost": _number(_cost(item)),
        "costTotal": _number(cost),
        "offeredBy": "Pax8",
        "billedByPax8": False,
        "total": _number(price),
        "productId": _product_id(item),
        "productName": item.name,
        "amountDue": _number(cost),
        "currencyCode": item.facts.get("currency", "USD"),
        "salesTax": 0,
        "subscriptionId": item.id,
        "vendorName": item.facts.get("vendor_name", "Microsoft"),
    }
    return _present(body)
