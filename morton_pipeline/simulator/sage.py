"""Sage Accounting's API v3.1, as far as invoices need it: tokens, lists, contacts, services, documents, releases.

Belongs here: what Sage would answer, its refusals included, and a plan of how it may fail. Does not: who the customers
are and what they were invoiced; whoever fills the `Company` knows that.
"""

import asyncio
import json
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.simulator.commit_faults import CutOff, FaultPlan
from morton_pipeline.simulator.rotation import Rotation

Json = Any
Clock = Callable[[], datetime]

NAMES = {
    "sales_invoices": ("sales_invoice", "invoice_lines", "invoice_number", "SI"),
    "sales_credit_notes": ("sales_credit_note", "credit_note_lines", "credit_note_number", "SCN"),
}
"""Of each kind of document: what one is called, its lines, its number, and how that begins."""
LISTS = (*NAMES, "contacts", "services", "products", "tax_rates")
STATUSES = {"DRAFT": "Draft", "PRO_FORMA": "Pro Forma", "UNPAID": "Unpaid", "VOID": "Void"}
MOST_ITEMS = 200


class Refusal(Exception):
    """What Sage says when it says no."""

    def __init__(self, message: str, source: str = "", *, code: str = "RecordInvalid", status: int = 422) -> None:
        super().__init__(message)
        self.message, self.source, self.code, self.status = message, source, code, status


@dataclass
class Company(Rotation):
    """One business in Sage. Records are held as Sage shows them, by id; amounts are decimals until they are written."""

    business_id: str = "5b1de0ac5f8c4d1f9b1f0a7d3c2e4a66"
    client_id: str = "demo-sage-client"
    client_secret: str = "demo-sage-secret"
    refresh_token: str = "demo-sage-refresh-1"
    """The one handed out when the app was connected; each use yields the next."""
    currency: str = "USD"
    has_currencies: bool = True
    """Whether multi-currency is turned on."""
    contacts: dict[str, Json] = field(default_factory=dict)
    services: dict[str, Json] = field(default_factory=dict)
    products: dict[str, Json] = field(default_factory=dict)
    tax_rates: dict[str, Json] = field(default_factory=dict)
    sales_invoices: dict[str, Json] = field(default_factory=dict)
    sales_credit_notes: dict[str, Json] = field(default_factory=dict)
    refuses_duplicate_references: bool = False
    """Sage does not mind two documents of one reference, as far as anybody has seen."""
    closed_until: date | None = None
    """The lockdown date: nothing dated on or before this day is accepted."""
    is_subscribed: bool = True
    may_write: bool = True
    """Whether the user who connected the app may write sales documents."""
    token_seconds: float = 300
    keeps_used_tokens: bool = False
    """Whether a refresh token stays good until its successor is used; Sage's ends with its first use."""
    remembered_requests: int | None = None
    """How many idempotency ids are remembered; none means all of them."""
    forgets_at_refresh: bool = False
    """Whether they are forgotten when a token is refreshed."""
    unsearchable: int = 0
    """How many searches still miss what was made last: a search trails behind what is so."""
    most_items: int = MOST_ITEMS
    """How many records a page with all attributes manages; on more it fails."""
    page_word: str = "$itemsPerPage"
    has_old_errors: bool = False
    """Whether errors come wrapped, as older answers have them."""
    plan: FaultPlan = field(default_factory=FaultPlan)
    request_count: int = 0
    invoice_posts: list[tuple[str, bytes]] = field(default_factory=list)
    """Every request for a document that was read: its idempotency id and its bytes."""
    made_count: int = 0
    _replays: "OrderedDict[str, Json]" = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.begin_rotation()
        self.add_tax_rate("GB_STANDARD", "Standard", Decimal(20))
        self.add_tax_rate("GB_ZERO", "Zero Rated", Decimal(0))

    def add_customer(self, customer_id: str, name: str, *, currency: str = "", active: bool = True) -> None:
        """Add a customer; one that is not active was deleted, for Sage has no other way."""
        self.contacts[customer_id] = {
            **_base("contacts", customer_id, name),
            "name": name,
            "reference": None,
            "contact_types": [_reference("contact_types", "CUSTOMER", "Customer")],
            "currency": _currency(currency or self.currency),
            "deleted_at": None if active else "2026-01-01T00:00:00Z",
        }

    def add_item(
        self,
        item_id: str,
        name: str,
        unit_price: Decimal = Decimal(0),
        *,
        active: bool = True,
        tax_rate_id: str = "GB_ZERO",
        is_product: bool = False,
    ) -> None:
        """Add a service or a product."""
        rate = self.tax_rates[tax_rate_id]
        path = "products" if is_product else "services"
        prices: Json = [{"id": f"price-{item_id}", "displayed_as": "Sales Price"}]
        prices[0] |= {"price": unit_price} if is_product else {"rate": unit_price}
        self.table(path)[item_id] = {
            **_base(path, item_id, name),
            "description": name,
            "item_code": None,
            "active": active,
            "sales_ledger_account": _reference("ledger_accounts", "sales-4000", "Sales (4000)"),
            "sales_tax_rate": _reference("tax_rates", tax_rate_id, rate["displayed_as"]),
            "deleted_at": None,
            "sales_prices" if is_product else "sales_rates": prices,
        }

    def add_tax_rate(self, rate_id: str, name: str, percentage: Decimal) -> None:
        """Add a tax rate."""
        self.tax_rates[rate_id] = {
            **_base("tax_rates", rate_id, f"{name} {percentage:.2f}%"),
            "name": name,
            "percentage": percentage,
            "is_combined_rate": False,
        }

    def table(self, path: str) -> dict[str, Json]:
        """The records of a list."""
        found: dict[str, Json] = getattr(self, path)
        return found

    def add_document(self, body: Json, at: datetime, path: str = "sales_invoices") -> Json:
        """Make a document as a request or a person would; returns it as Sage shows it. Raises `Refusal`."""
        name, lines_word, _, _ = NAMES[path]
        given = body.get(name)
        if not isinstance(given, dict):
            raise _missing(name)
        contact = self.contacts.get(_given(given, "contact_id"))
        if contact is None or contact["deleted_at"]:
            raise Refusal("The contact does not exist.", f"{name}.contact_id", code="RecordNotFound")
        currency = str(given.get("currency_id") or contact["currency"]["id"])
        if currency != self.currency and not self.has_currencies:
            raise Refusal("Multi-currency is not enabled for this business.", f"{name}.currency_id")
        if currency != contact["currency"]["id"]:
            raise Refusal("The currency is not the contact's.", f"{name}.currency_id")
        for word, most in (("reference", 25), ("notes", 2000)):
            if len(str(given.get(word) or "")) > most:
                raise Refusal(f"is too long (maximum is {most} characters)", f"{name}.{word}")
        dated_on = date.fromisoformat(_given(given, "date"))
        self._refuse_closed(dated_on, f"{name}.date")
        reference = given.get("reference")
        if self.refuses_duplicate_references and any(
            other["reference"] == reference for other in self.table(path).values()
        ):
            raise Refusal("has already been taken", f"{name}.reference")
        if not given.get(lines_word):
            raise _missing(lines_word)
        self.made_count += 1
        document_id = f"{0xA5A6E0000 + self.made_count:032x}"
        when = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        document = {
            **_base(path, document_id, ""),
            "created_at": when,
            "updated_at": when,
            "contact": _reference("contacts", contact["id"], contact["name"]),
            "contact_name": contact["name"],
            "date": str(dated_on),
            "reference": reference,
            "notes": given.get("notes") or "",
            "currency": _currency(currency),
            "shipping_net_amount": Decimal(str(given.get("shipping_net_amount") or 0)),
            "sent": False,
            "void_reason": None,
            "deleted_at": None,
            lines_word: self._lines(given[lines_word], lines_word, currency, document_id),
        }
        _total(document, lines_word)
        self._number(document, path, str(given.get("status_id") or "UNPAID"))
        self.table(path)[document_id] = document
        return document

    def post(self, body: Json, at: datetime, path: str) -> Json:
        """Make a document once per idempotency id: a known one gets its first answer again, whatever it carries."""
        key = str((body.get(NAMES[path][0]) or {}).get("idempotency_id") or "")
        if key in self._replays:
            if self._replays[key]["$path"].split("/")[1] != path:
                raise Refusal("Entity type mismatch", code="IdempotencyResourceMismatch")
            return self._replays[key]
        made = json.loads(_json(self.add_document(body, at, path)))
        if key:
            self._replays[key] = made
            while self.remembered_requests is not None and len(self._replays) > self.remembered_requests:
                self._replays.popitem(last=False)
        return made

    def release(self, document_id: str, path: str = "sales_invoices") -> Json:
        """Put a draft into the accounts. Raises `Refusal`, also for one that is in them already."""
        document = self.table(path).get(document_id)
        if document is None:
            raise _not_found()
        if document["status"]["id"] not in ("DRAFT", "PRO_FORMA"):
            raise Refusal("Only drafts and pro forma documents can be released.", "status")
        self._refuse_closed(date.fromisoformat(document["date"]), "date")
        self._number(document, path, "UNPAID")
        return document

    def edit(self, document_id: str, **changes: Json) -> Json:
        """Change a document as a person would; `net` is the new net amount of its first line."""
        path, document = self._one(document_id)
        lines_word = NAMES[path][1]
        net = changes.pop("net", None)
        document |= changes
        if net is not None:
            document[lines_word][0] |= {"net_amount": Decimal(net), "unit_price": Decimal(net), "quantity": Decimal(1)}
        _total(document, lines_word)
        return document

    def void(self, document_id: str, reason: str = "a mistake") -> None:
        """Void a document as a person would: it stays to be seen, amounts and all. A draft is deleted instead."""
        path, document = self._one(document_id)
        if document["status"]["id"] == "DRAFT":
            del self.table(path)[document_id]
        else:
            document |= {"status": _reference("artefact_statuses", "VOID", "Void"), "void_reason": reason}

    def search(self, path: str, asked: Mapping[str, str]) -> Json:
        """Answer a list, a page at a time, with the attributes asked for. Raises `Refusal`."""
        page, size = int(asked.get("page", 1)), min(int(asked.get("items_per_page", 20)), MOST_ITEMS)
        if asked.get("attributes") == "all" and size > self.most_items:
            raise Refusal("An unexpected error occurred.", code="UnexpectedError", status=500)
        rows = [row for row in self.table(path).values() if _matches(row, asked)]
        if asked.get("search") and self.unsearchable:
            self.unsearchable -= 1
            rows = [row for row in rows if row is not list(self.table(path).values())[-1]]
        follow = f"/{path}?{urlencode({**asked, 'page': page + 1, 'items_per_page': size})}"
        return {
            "$total": len(rows),
            "$page": page,
            "$next": follow if page * size < len(rows) else None,
            "$back": None,
            self.page_word: size,
            "$items": [_shown(row, asked.get("attributes", "")) for row in rows[(page - 1) * size : page * size]],
        }

    def exchange(self, refresh_token: str) -> Json:
        """Trade a refresh token for an access token and the next one."""
        successor = f"GB/{secrets.token_hex(18)}"
        access = self.issue(refresh_token, successor)
        if self.forgets_at_refresh:
            self.forget_keys()
        return {
            "access_token": access,
            "token_type": "bearer",
            "expires_in": int(self.token_seconds),
            "refresh_token": successor,
            "refresh_token_expires_in": 2678400,
            "scope": "full_access",
        }

    def forget_keys(self) -> None:
        """Lose the memory of idempotency ids."""
        self._replays.clear()

    def memory(self) -> str:
        """Write down what outlives the process: documents, the answers to known ids, who is connected."""
        documents = {path: list(self.table(path).values()) for path in NAMES}
        kept = {**documents, "replays": self._replays, "made_count": self.made_count, **self.rotation_memory()}
        return _json(kept)

    def recall(self, memory: str) -> None:
        """Go on from what an earlier process wrote down."""
        known = json.loads(memory)
        for path, (_, lines_word, _, _) in NAMES.items():
            for document in known[path]:
                amounts = [document, *document[lines_word]]
                for holder in amounts:
                    holder |= {k: Decimal(v) for k, v in holder.items() if k in _AMOUNTS}
                self.table(path)[document["id"]] = document
        self._replays = OrderedDict(known["replays"])
        self.made_count = known["made_count"]
        self.recall_rotation(known)

    def _one(self, document_id: str) -> tuple[str, Json]:
        for path in NAMES:
            if document_id in self.table(path):
                return path, self.table(path)[document_id]
        raise _not_found()

    def _refuse_closed(self, dated_on: date, source: str) -> None:
        if self.closed_until is not None and dated_on <= self.closed_until:
            raise Refusal(f"must be after the year end lockdown date {self.closed_until}", source)

    def _number(self, document: Json, path: str, status: str) -> None:
        """Give a document its state and, once it is in the accounts, its number."""
        _, _, number_word, prefix = NAMES[path]
        if status not in ("DRAFT", "PRO_FORMA", "UNPAID"):
            raise Refusal("is not a state to begin in", "status_id")
        taken = [d for d in self.table(path).values() if d["status"]["id"] not in ("DRAFT", "PRO_FORMA")]
        number = f"{prefix}-DRAFT" if status != "UNPAID" else f"{prefix}-{len(taken) + 1}"
        document |= {
            "status": _reference("artefact_statuses", status, STATUSES[status]),
            number_word: number,
            "displayed_as": number,
        }

    def _lines(self, given: list[Json], word: str, currency: str, document_id: str) -> list[Json]:
        lines = []
        for place, line in enumerate(given, start=1):
            for required in ("description", "ledger_account_id", "unit_price"):
                _given(line, required, word)
            items = {name: self._sold(line, name, word) for name in ("service", "product")}
            rate_id = line.get("tax_rate_id")
            if rate_id is not None and rate_id not in self.tax_rates:
                raise Refusal("The tax rate does not exist.", f"{word}.tax_rate_id")
            rate = self.tax_rates[rate_id] if rate_id else None
            if rate and rate["percentage"] and line.get("tax_amount") is None:
                raise Refusal("This field is required.", f"{word}.tax_amount")
            quantity, price = Decimal(str(line.get("quantity", 1))), Decimal(str(line["unit_price"]))
            net, tax = _cents(quantity * price, currency), Decimal(str(line.get("tax_amount") or 0))
            lines.append(
                {
                    "id": f"{document_id[:-4]}{place:04x}",
                    "displayed_as": line["description"],
                    "description": line["description"],
                    **items,
                    "ledger_account": _reference("ledger_accounts", line["ledger_account_id"], "Sales (4000)"),
                    "quantity": quantity,
                    "unit_price": price,
                    "net_amount": net,
                    "tax_rate": _reference("tax_rates", rate_id, rate["displayed_as"]) if rate else None,
                    "tax_amount": tax,
                    "total_amount": net + tax,
                    "unit_price_includes_tax": bool(line.get("unit_price_includes_tax")),
                }
            )
        return lines

    def _sold(self, line: Json, name: str, word: str) -> Json:
        item_id = line.get(f"{name}_id")
        if item_id is None:
            return None
        item = self.table(f"{name}s").get(item_id)
        if item is None or item["active"] is False:
            raise Refusal(f"The {name} does not exist.", f"{word}.{name}_id", code="RecordNotFound")
        return _reference(f"{name}s", item["id"], item["displayed_as"])


_AMOUNTS = {
    "net_amount",
    "tax_amount",
    "total_amount",
    "outstanding_amount",
    "shipping_net_amount",
    "quantity",
    "unit_price",
}


def _total(document: Json, lines_word: str) -> None:
    lines = document[lines_word]
    net = sum((line["net_amount"] for line in lines), Decimal(0)) + document["shipping_net_amount"]
    tax = sum((line["tax_amount"] for line in lines), Decimal(0))
    document |= {"net_amount": net, "tax_amount": tax, "total_amount": net + tax, "outstanding_amount": net + tax}


def _matches(row: Json, asked: Mapping[str, str]) -> bool:
    searched = " ".join(str(row.get(word) or "") for word in ("reference", "contact_name", "item_code", "description"))
    return (
        not row.get("deleted_at")
        and asked.get("search", "").casefold() in searched.casefold()
        and asked.get("contact_id") in (None, (row.get("contact") or {}).get("id"))
        and asked.get("status_id") in (None, (row.get("status") or {}).get("id"))
        and asked.get("from_date", "")[:10] <= row.get("date", "9")
        and row.get("date", "") <= asked.get("to_date", "9")[:10]
    )


def _shown(row: Json, attributes: str) -> Json:
    """A list shows stubs, and beside them what was asked for."""
    wanted = {"id", "displayed_as", "$path", *attributes.split(",")}
    return row if attributes == "all" else {k: v for k, v in row.items() if k in wanted}


def _base(path: str, record_id: str, name: str) -> Json:
    at = "2026-01-01T00:00:00Z"
    return {**_reference(path, record_id, name), "created_at": at, "updated_at": at}


def _reference(path: str, record_id: str, name: str) -> Json:
    return {"id": record_id, "displayed_as": name, "$path": f"/{path}/{record_id}"}


def _currency(code: str) -> Json:
    return _reference("currencies", code, f"{code} ({code})")


def _given(body: Json, word: str, within: str = "") -> str:
    if body.get(word) in (None, ""):
        raise _missing(f"{within}.{word}" if within else word)
    return str(body[word])


def _missing(source: str) -> Refusal:
    return Refusal("This field is required.", source)


def _not_found() -> Refusal:
    return Refusal("The record does not exist.", code="RecordNotFound", status=404)


def _cents(amount: Decimal, currency: str) -> Decimal:
    return amount.quantize(Decimal(1) if currency == "JPY" else Decimal("0.01"), rounding=ROUND_HALF_UP)


def _json(value: Json) -> str:
    """Write JSON with amounts as text, whole ones with one zero, as Sage does."""
    return json.dumps(value, default=_text)


def _text(amount: Decimal) -> str:
    text = format(amount.normalize(), "f")
    return text if "." in text else f"{text}.0"


def create_app(company: Company, clock: Clock) -> Starlette:
    """Make the stand-in of one business. Both hosts of Sage, the API's and the tokens', are this app."""

    def reply(body: Json, status: int = 200) -> Response:
        return Response(_json(body), status, {"x_request_id": secrets.token_hex(8)}, "application/json")

    def refuse(refusal: Refusal) -> Response:
        error = {
            "$severity": "error",
            "$dataCode": refusal.code,
            "$message": refusal.message,
            "$source": refusal.source,
        }
        return reply({"$diagnoses": [error]} if company.has_old_errors else [error], refusal.status)

    async def token(request: Request) -> Response:
        form = {k: v[0] for k, v in parse_qs((await request.body()).decode()).items()}
        if (form.get("client_id"), form.get("client_secret")) != (company.client_id, company.client_secret):
            return reply({"error": "invalid_client"}, 401)
        if form.get("grant_type") != "refresh_token":
            return reply({"error": "unsupported_grant_type"}, 400)
        try:
            return reply(company.exchange(form.get("refresh_token", "")))
        except KeyError:
            return reply({"error": "invalid_grant"}, 400)

    def admit(request: Request) -> None:
        company.request_count += 1
        if company.plan.happens("unavailable"):
            raise Refusal("Service Unavailable", code="UnexpectedError", status=503)
        if not company.admits(request.headers.get("authorization", "")):
            raise Refusal("The access token is invalid or expired.", code="AuthorizationFailure", status=401)
        if not company.is_subscribed:
            raise Refusal("No active subscription. (MSE)", code="AuthorizationFailure", status=401)
        if request.headers.get("x-business") != company.business_id:
            raise Refusal("The business is not accessible.", code="AuthorizationFailure", status=403)
        if request.method == "POST" and not company.may_write:
            said = "The current user is not allowed to access that resource with that method."
            raise Refusal(said, code="MultiUserAccessDenied", status=403)

    def answering(act: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                admit(request)
                return await act(request)
            except Refusal as refusal:
                return refuse(refusal)

        return answer

    def named(request: Request, known: Collection[str]) -> str:
        path: str = request.path_params["path"]
        if path not in known:
            raise _not_found()
        return path

    async def lists(request: Request) -> Response:
        return reply(company.search(named(request, LISTS), dict(request.query_params)))

    async def read(request: Request) -> Response:
        path, key = named(request, LISTS), request.path_params["key"]
        if key not in company.table(path):
            raise _not_found()
        row = company.table(path)[key]
        if path in NAMES and request.query_params.get("mark_as_sent", "true") == "true":
            row["sent"] = True
        return reply(_shown(row, request.query_params.get("attributes", "all")))

    async def create(request: Request) -> Response:
        content, path = await request.body(), named(request, NAMES)
        try:
            body = json.loads(content, parse_float=Decimal)
        except ValueError:
            raise Refusal("The body is not JSON.", code="InvalidJson", status=400) from None
        key = str((body.get(NAMES[path][0]) or {}).get("idempotency_id") or "")
        company.invoice_posts.append((key, content))
        if company.plan.happens("slow"):
            await asyncio.sleep(company.plan.random.uniform(0, company.plan.slow_seconds))
        return await committed(company.post(body, clock(), path))

    async def release(request: Request) -> Response:
        return await committed(company.release(request.path_params["key"], named(request, NAMES)))

    async def committed(done: Json) -> Response:
        fate = company.plan.after_commit()
        if fate == "drop_after_commit":
            return CutOff()
        if fate == "error_after_commit":
            raise Refusal("An unexpected error occurred.", code="UnexpectedError", status=500)
        if fate == "hang_after_commit":
            await asyncio.sleep(company.plan.hang_seconds)
        return reply(done, 201)

    document = "/v3.1/{path}/{key}"
    return Starlette(
        routes=[
            Route("/token", token, methods=["POST"]),
            Route("/v3.1/{path}", answering(lists), methods=["GET"]),
            Route("/v3.1/{path}", answering(create), methods=["POST"]),
            Route(document, answering(read), methods=["GET"]),
            Route(f"{document}/release", answering(release), methods=["POST"]),
        ]
    )
