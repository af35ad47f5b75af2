"""Xero's Accounting API, as far as invoices need it: tokens, organisations, contacts, items, invoices, credit notes.

Belongs here: what Xero would answer, its refusals included, and a plan of how it may fail. Does not: who the contacts
are and what they were invoiced; whoever fills the `Company` knows that.
"""

import asyncio
import base64
import hashlib
import json
import math
import re
import secrets
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.simulator.commit_faults import CutOff, FaultPlan
from morton_pipeline.simulator.rotation import Rotation

Json = Any
Clock = Callable[[], datetime]

API = "/api.xro/2.0"
CENT = Decimal("0.01")
NOBODY = "00000000-0000-0000-0000-000000000000"
DOCUMENTS = {"Invoices": ("Invoice", "ACCREC"), "CreditNotes": ("CreditNote", "ACCRECCREDIT")}
"""Each collection of documents: the word its ids and numbers begin with, and the type of a sale."""
STEPS = {
    "DRAFT": {"DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"},
    "SUBMITTED": {"DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"},
    "AUTHORISED": {"AUTHORISED", "VOIDED"},
}
"""What the status of a document may become."""
GIVEN = ("Reference", "DueDate", "LineAmountTypes", "CurrencyCode", "Url")
REQUESTS_IN_A_DAY = 5000


class Invalid(Exception):
    """A ValidationException: what is wrong with one element."""

    def __init__(self, *messages: str, contact: Json = None) -> None:
        super().__init__("; ".join(messages))
        self.messages, self.contact = messages, contact


class Problem(Exception):
    """An answer that is no validation: the token, the tenant, the pace, a defect."""

    def __init__(self, status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, headers or {}


@dataclass
class Company(Rotation):
    """One Xero organisation. What it holds is kept as Xero shows it, by id, but for its dates, which are dates."""

    tenant_id: str = "3f9f1b5e-5a3a-4d3e-9a0c-0d0e8a6a1f10"
    name: str = "Demo Company (US)"
    client_id: str = "demo-xero-client"
    client_secret: str = "demo-xero-secret"
    refresh_token: str = "demo-xero-refresh-1"
    """The one handed out when the app was connected; each use yields the next."""
    currency: str = "USD"
    currencies: set[str] = field(default_factory=set)
    """Further currencies that were added in its settings."""
    contacts: dict[str, Json] = field(default_factory=dict)
    items: dict[str, Json] = field(default_factory=dict)
    """By code."""
    invoices: dict[str, Json] = field(default_factory=dict)
    credit_notes: dict[str, Json] = field(default_factory=dict)
    refuses_duplicate_numbers: bool = True
    period_lock_on: date | None = None
    end_of_year_lock_on: date | None = None
    """Nothing dated on or before a lock date is approved; drafts are free."""
    tax_percent: Decimal = Decimal(0)
    token_seconds: float = 1800
    remembered_requests: int | None = None
    """How many idempotency keys are remembered; none means all of them, for as long as they are."""
    key_seconds: float = 360
    """How long an idempotency key is remembered."""
    forgets_keys_on_refresh: bool = False
    """Whether the keys go with the access token under which they came."""
    breaks: int = 0
    """How many of the next requests for a document fail inside, before anything is made; their keys remember that."""
    always_summarizes: bool = False
    """Whether a refusal comes with status 400 whatever `summarizeErrors` says, as some have seen."""
    per_minute: int | None = None
    """How many requests a minute are answered; Xero's own limit is 60. None means any number."""
    concurrent: int = 5
    plan: FaultPlan = field(default_factory=FaultPlan)
    request_count: int = 0
    invoice_posts: list[tuple[str, bytes]] = field(default_factory=list)
    """Every request to create a document that was read: its idempotency key and its bytes."""
    _replays: "OrderedDict[str, tuple[float, str, int, Json]]" = field(default_factory=OrderedDict)
    """By key: until when it is known, what was asked, and what was answered."""
    _recent: deque[float] = field(default_factory=deque)
    _running: int = 0

    def __post_init__(self) -> None:
        self.begin_rotation()

    def add_customer(self, customer_id: str, name: str, *, currency: str = "", active: bool = True) -> None:
        """Add a contact."""
        if currency:
            self.currencies.add(currency)
        self.contacts[customer_id] = {
            "ContactID": customer_id,
            "ContactStatus": "ACTIVE" if active else "ARCHIVED",
            "Name": name,
            "EmailAddress": "",
            "BankAccountDetails": "",
            "Addresses": [],
            "Phones": [],
            "ContactGroups": [],
            "IsSupplier": False,
            "IsCustomer": True,
            "ContactPersons": [],
            "HasAttachments": False,
            "HasValidationErrors": False,
            **({"DefaultCurrency": currency} if currency else {}),
        }

    def add_item(self, item_id: str, name: str, unit_price: Decimal = Decimal(0), *, active: bool = True) -> None:
        """Add a service; lines name it by this id, its code."""
        self.items[item_id] = {
            "ItemID": str(uuid.uuid5(uuid.NAMESPACE_OID, item_id)),
            "Code": item_id,
            "Name": name,
            "Description": name,
            "IsTrackedAsInventory": False,
            "IsSold": active,
            "IsPurchased": False,
            "PurchaseDetails": {},
            "SalesDetails": {"UnitPrice": unit_price, "AccountCode": "200", "TaxType": "NONE"},
        }

    def table(self, collection: str) -> dict[str, Json]:
        """The invoices or the credit notes."""
        return self.credit_notes if collection == "CreditNotes" else self.invoices

    def add_invoice(self, body: Json, at: datetime, collection: str = "Invoices", *, price_digits: int = 4) -> Json:
        """Make a document as a PUT, or a person, would. Raises `Invalid`."""
        name, kind = DOCUMENTS[collection]
        body = {k: v for k, v in body.items() if v is not None}
        contact = self._contact(body.get("Contact") or {})
        document_id, number = str(uuid.uuid4()), body.get(f"{name}Number")
        currency = body.get("CurrencyCode") or self.currency
        complaints = [*self._number_taken(collection, number)]
        if number is not None and len(str(number)) > 255:
            complaints.append(f"The {name}Number must not be more than 255 characters.")
        if currency not in {self.currency, *self.currencies}:
            complaints.append(f"Organisation is not subscribed to currency {currency}")
        if body.get("Type") != kind:
            complaints.append(f"{body.get('Type')} is not a type of {name} sold to a customer.")
        status = body.get("Status", "DRAFT")
        if status not in ("DRAFT", "SUBMITTED", "AUTHORISED"):
            complaints.append(f"{name} not of valid status for creation")
        dated_on = _day(body.get("Date")) or at.date()
        lines, wrong = self._lines(body.get("LineItems"), price_digits)
        complaints += wrong
        if status == "AUTHORISED":
            complaints += self._locked(dated_on)
        if complaints:
            raise Invalid(*complaints, contact=contact)
        document = {
            "Type": kind,
            f"{name}ID": document_id,
            f"{name}Number": number
            or f"{'CN' if name == 'CreditNote' else 'INV'}-{len(self.table(collection)) + 1:04}",
            "Reference": "",
            "Payments": [],
            "SentToContact": False,
            "CurrencyRate": Decimal(1),
            "HasErrors": False,
            "HasAttachments": False,
            "LineAmountTypes": "Exclusive",
            "CurrencyCode": currency,
            **{k: v for k, v in body.items() if k in GIVEN},
            "Contact": contact,
            "Date": dated_on,
            "Status": status,
            "LineItems": lines,
        }
        self.table(collection)[document_id] = self._totalled(document, at)
        return document

    def change_invoice(self, document_id: str, body: Json, at: datetime, *, price_digits: int = 4) -> Json:
        """Change the fields sent, as a POST to a document or a person would. Raises `Invalid`, or `KeyError`."""
        collection = "CreditNotes" if document_id in self.credit_notes else "Invoices"
        name, document = DOCUMENTS[collection][0], self.table(collection)[document_id]
        status = body.get("Status", document["Status"])
        complaints = [*self._number_taken(collection, body.get(f"{name}Number"), but=document_id)]
        if status not in STEPS.get(document["Status"], ()):
            complaints.append(f"{name} not of valid status for modification")
        dated_on = _day(body.get("Date")) or document["Date"]
        lines, wrong = (
            self._lines(body["LineItems"], price_digits) if "LineItems" in body else (document["LineItems"], [])
        )
        complaints += wrong
        if "AUTHORISED" in (status, document["Status"]):
            complaints += self._locked(dated_on)
        if status == "AUTHORISED" and self.contacts[document["Contact"]["ContactID"]]["ContactStatus"] != "ACTIVE":
            complaints.append(ARCHIVED)
        if complaints:
            raise Invalid(*complaints, contact=document["Contact"])
        if "Contact" in body:
            document["Contact"] = self._contact(body["Contact"])
        document |= {k: v for k, v in body.items() if k in (*GIVEN, f"{name}Number")}
        document |= {"Date": dated_on, "Status": status, "LineItems": lines}
        return self._totalled(document, at)

    def void(self, document_id: str, at: datetime) -> Json:
        """Take a document back as a person would: a draft is deleted, one that is in the books is voided."""
        document = self.invoices.get(document_id) or self.credit_notes[document_id]
        status = "VOIDED" if document["Status"] == "AUTHORISED" else "DELETED"
        return self.change_invoice(document_id, {"Status": status}, at)

    def write(
        self,
        method: str,
        collection: str,
        content: bytes,
        key: str,
        at: datetime,
        *,
        document_id: str = "",
        price_digits: int = 2,
    ) -> tuple[int, Json]:
        """Carry out a request once per idempotency key; a known one gets its first answer again, a refusal too.

        Returns the status and the element that is answered. Raises `Problem` for a key that came with another request.
        """
        now, asked = time.monotonic(), f"{method} {collection} {document_id} {hashlib.sha256(content).hexdigest()}"
        until, known, status, element = self._replays.get(key, (0.0, "", 0, None))
        if key and until > now:
            if known != asked:
                raise Problem(400, "IdempotencyException", f"Idempotency Key {key} is used with a different request.")
            return status, element
        status, element = self._carried_out(
            method, collection, _element(content, collection), document_id, at, price_digits
        )
        self._remember(key, asked, status, element)
        return status, element

    def _carried_out(
        self, method: str, collection: str, given: Json, document_id: str, at: datetime, price_digits: int
    ) -> tuple[int, Json]:
        name = DOCUMENTS[collection][0]
        if self.breaks:
            self.breaks -= 1
            return 500, None
        if method == "POST" and not document_id:
            document_id = self._namesake(collection, given) or ""
        try:
            if document_id:
                made = self.change_invoice(document_id, given, at, price_digits=price_digits)
            else:
                made = self.add_invoice(given, at, collection, price_digits=price_digits)
        except Invalid as wrong:
            errors = [{"Message": message} for message in wrong.messages]
            about = {"Contact": _copied(wrong.contact)} if wrong.contact else {}
            return 400, {
                f"{name}ID": document_id or NOBODY,
                **about,
                "HasErrors": True,
                "ValidationErrors": errors,
                "StatusAttributeString": "ERROR",
            }
        return 200, {**_copied(made), "StatusAttributeString": "OK"}

    def _namesake(self, collection: str, given: Json) -> str | None:
        """Find the document a POST is put in the place of: the one of the same id or number."""
        name = DOCUMENTS[collection][0]
        for document_id, known in self.table(collection).items():
            is_named = given.get(f"{name}ID") == document_id or given.get(f"{name}Number") == known[f"{name}Number"]
            if is_named and known["Status"] not in ("DELETED", "VOIDED"):
                return document_id
        return None

    def _remember(self, key: str, asked: str, status: int, element: Json) -> None:
        if not key:
            return
        self._replays[key] = (time.monotonic() + self.key_seconds, asked, status, element)
        while self.remembered_requests is not None and len(self._replays) > self.remembered_requests:
            self._replays.popitem(last=False)

    def broke(self, key: str) -> None:
        """Note that a request ended in a defect though it was carried out: its key repeats that."""
        if key in self._replays:
            until, asked, *_ = self._replays[key]
            self._replays[key] = (until, asked, 500, None)

    def forget_keys(self) -> None:
        """Forget every idempotency key now."""
        self._replays.clear()

    def exchange(self, refresh_token: str) -> Json:
        """Trade a refresh token for an access token and the next one."""
        successor = secrets.token_urlsafe(32)
        access = self.issue(refresh_token, successor)
        if self.forgets_keys_on_refresh:
            self.forget_keys()
        return {
            "token_type": "Bearer",
            "access_token": access,
            "expires_in": int(self.token_seconds),
            "refresh_token": successor,
            "scope": "offline_access accounting.transactions accounting.contacts.read accounting.settings.read",
        }

    def memory(self) -> str:
        """Write down what outlives the process: documents, the answers to known keys, who is connected."""
        clock = time.monotonic()
        replays = [(key, until - clock, *rest) for key, (until, *rest) in self._replays.items()]
        known = {"invoices": self.invoices, "credit_notes": self.credit_notes, "replays": replays}
        return json.dumps({**known, **self.rotation_memory()}, default=_written)

    def recall(self, memory: str) -> None:
        """Go on from what an earlier process wrote down."""
        known, clock = json.loads(memory, object_hook=_read), time.monotonic()
        self.invoices |= known["invoices"]
        self.credit_notes |= known["credit_notes"]
        self._replays |= {key: (clock + left, *rest) for key, left, *rest in known["replays"]}
        self.recall_rotation(known)

    @contextmanager
    def pace(self) -> Iterator[None]:
        """Count a request; raises `Problem` where there are too many at once or in a minute."""
        now = time.monotonic()
        while self._recent and self._recent[0] < now - 60:
            self._recent.popleft()
        if self._running >= self.concurrent:
            raise Problem(429, "", "", {"X-Rate-Limit-Problem": "concurrent"})
        if self.per_minute is not None and len(self._recent) >= self.per_minute:
            wait = str(math.ceil(60 - (now - self._recent[0])))
            raise Problem(429, "", "", {"X-Rate-Limit-Problem": "minute", "Retry-After": wait})
        self._recent.append(now)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def _contact(self, given: Json) -> Json:
        contact_id = str(given.get("ContactID") or "")
        if not contact_id:
            raise Invalid("A Contact must be specified for this type of transaction")
        if contact_id not in self.contacts:
            raise Invalid(f"The contact {contact_id} could not be found")
        if self.contacts[contact_id]["ContactStatus"] != "ACTIVE":
            raise Invalid(ARCHIVED, contact=self.contacts[contact_id])
        return self.contacts[contact_id]

    def _number_taken(self, collection: str, number: str | None, *, but: str = "") -> Iterator[str]:
        name = DOCUMENTS[collection][0]
        taken = (
            self.refuses_duplicate_numbers
            and number is not None
            and any(
                known[f"{name}Number"] == number and known["Status"] != "DELETED" and document_id != but
                for document_id, known in self.table(collection).items()
            )
        )
        if taken:
            yield "Invoice # must be unique." if name == "Invoice" else "Credit Note # must be unique."

    def _locked(self, dated_on: date) -> Iterator[str]:
        for what, lock in (("period", self.period_lock_on), ("end of year", self.end_of_year_lock_on)):
            if lock is not None and dated_on <= lock:
                yield f"The document date cannot be before the {what} lock date, currently set at {lock:%d-%b-%Y}"

    def _lines(self, given: Json, price_digits: int) -> tuple[list[Json], list[str]]:
        """Work the lines out, and say what is wrong with them."""
        if not isinstance(given, list) or not given:
            return [], ["One or more line items must be specified"]
        lines, wrong = [], []
        for line in given:
            if not line.get("Description"):
                wrong.append("Description must be at least 1 character")
            code = line.get("ItemCode")
            item = self.items.get(str(code)) if code is not None else None
            if code is not None and (item is None or not item["IsSold"]):
                wrong.append(f"Item code '{code}' is not valid")
            sold = item["SalesDetails"] if item else {}
            quantity = _decimal(line.get("Quantity"), Decimal(1)).quantize(Decimal("0.0001"), ROUND_HALF_UP)
            price = _decimal(line.get("UnitAmount"), sold.get("UnitPrice", Decimal(0)))
            price = price.quantize(Decimal(1).scaleb(-price_digits), ROUND_HALF_UP)
            amount = (quantity * price).quantize(CENT, ROUND_HALF_UP)
            if line.get("LineAmount") is not None and (said := _decimal(line["LineAmount"])) != amount:
                wrong.append(f"The line total {said} does not match the expected line total {amount}")
            tax = (amount * self.tax_percent / 100).quantize(CENT, ROUND_HALF_UP)
            lines.append(
                {
                    "LineItemID": line.get("LineItemID") or str(uuid.uuid4()),
                    "Description": line.get("Description"),
                    "Quantity": quantity,
                    "UnitAmount": price,
                    "LineAmount": amount,
                    "TaxType": line.get("TaxType") or sold.get("TaxType") or "NONE",
                    "TaxAmount": tax,
                    "AccountCode": line.get("AccountCode") or sold.get("AccountCode") or "200",
                    "Tracking": [],
                    **({"ItemCode": code} if code is not None else {}),
                }
            )
        return lines, wrong

    def _totalled(self, document: Json, at: datetime) -> Json:
        """Add a document up; what was taken back keeps its lines, and is owed no more."""
        tax = sum((line["TaxAmount"] for line in document["LineItems"]), Decimal(0))
        amount = sum((line["LineAmount"] for line in document["LineItems"]), Decimal(0))
        kind = document["LineAmountTypes"]
        net = amount - tax if kind == "Inclusive" else amount
        tax = Decimal(0) if kind == "NoTax" else tax
        is_owed = document["Status"] not in ("VOIDED", "DELETED")
        left = "RemainingCredit" if document["Type"] == "ACCRECCREDIT" else "AmountDue"
        document |= {"SubTotal": net, "TotalTax": tax, "Total": net + tax, left: net + tax if is_owed else Decimal(0)}
        document["UpdatedDateUTC"] = at.astimezone(UTC)
        return document


ARCHIVED = (
    "The contact with the specified contact details has been archived. The contact must be un-archived before creating "
    "new invoices or credit notes."
)


def _element(content: bytes, collection: str) -> Json:
    """Read the one document of a body. Raises `Problem`."""
    try:
        body = json.loads(content, parse_float=Decimal)
    except ValueError:
        raise Problem(400, "PostDataInvalidException", "Invalid Json data") from None
    elements = body.get(collection, [body])
    if len(elements) != 1:
        raise Problem(400, "PostDataInvalidException", "This stand-in takes one document in a request")
    return elements[0]


def _decimal(value: Json, otherwise: Decimal = Decimal(0)) -> Decimal:
    return Decimal(str(value)) if value is not None else otherwise


def _day(text: Json) -> date | None:
    return date.fromisoformat(str(text)[:10]) if text else None


def _copied(value: Json) -> Json:
    """Take a copy that later changes leave alone, as an answer is one."""
    if isinstance(value, dict):
        return {k: _copied(v) for k, v in value.items()}
    return [_copied(v) for v in value] if isinstance(value, list) else value


def _written(value: Json) -> Json:
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    return {"$instant" if isinstance(value, datetime) else "$date": value.isoformat()}


def _read(value: dict[str, Json]) -> Json:
    if "$decimal" in value:
        return Decimal(value["$decimal"])
    if "$instant" in value:
        return datetime.fromisoformat(value["$instant"])
    return date.fromisoformat(value["$date"]) if "$date" in value else value


def shown(value: Json, *, price_digits: int, has_lines: bool = True) -> Json:
    """Write a value as Xero does: dates twice, prices to the digits asked for, lines only where they are shown."""
    if not isinstance(value, dict):
        return [shown(v, price_digits=price_digits) for v in value] if isinstance(value, list) else value
    answer: dict[str, Json] = {}
    for name, inner in value.items():
        if isinstance(inner, datetime):
            answer |= {name: _epoch(inner), f"{name}String": f"{inner:%Y-%m-%d %H:%M:%S}+00:00"}
        elif name in ("Date", "DueDate"):
            day = inner if isinstance(inner, date) else date.fromisoformat(str(inner)[:10])
            answer |= {name: _epoch(day), f"{name}String": f"{day}T00:00:00"}
        elif isinstance(inner, date):
            answer[name] = _epoch(inner)
        elif name in ("UnitAmount", "UnitPrice"):
            answer[name] = inner.quantize(Decimal(1).scaleb(-price_digits), ROUND_HALF_UP)
        elif name == "LineItems" and not has_lines:
            answer[name] = []
        else:
            answer[name] = shown(inner, price_digits=price_digits)
    return answer


def _epoch(moment: date) -> str:
    instant = moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return f"/Date({int(instant.timestamp() * 1000)}+0000)/"


_TERM = re.compile(
    r"""\s*(?P<field>[\w.]+?)\s*
    (?:\.(?P<method>Contains|StartsWith)\("(?P<part>(?:[^"\\]|\\.)*)"\)
      |(?P<operator>==|!=|>=|<=|>|<)\s*
       (?:"(?P<text>(?:[^"\\]|\\.)*)"|guid\("(?P<guid>(?:[^"\\]|\\.)*)"\)|DateTime\((?P<day>[\d,\s]+)\)|(?P<null>null)))\s*""",
    re.VERBOSE | re.IGNORECASE,
)


def holds(row: Json, where: str) -> bool:
    """Whether a record fits a `where`: terms joined by AND, as far as Morton uses them. Raises `Problem`."""
    rest, fits = where, True
    while rest.strip():
        term = _TERM.match(rest)
        if term is None:
            raise Problem(400, "QueryParseException", f"No property or field in {rest[:60]!r}")
        fits = fits and _fits(row, term)
        rest = rest[term.end() :]
        joined = re.match(r"(AND\b|&&)", rest, re.IGNORECASE)
        if rest.strip() and joined is None:
            raise Problem(400, "QueryParseException", f"Operator expected at {rest[:60]!r}")
        rest = rest[joined.end() :] if joined else rest
    return fits


def _fits(row: Json, term: re.Match[str]) -> bool:
    found = row
    for word in term["field"].split("."):
        found = found.get(word) if isinstance(found, dict) else None
    if term["method"]:
        if found is None:
            raise Problem(400, "QueryParseException", f"{term['field']} may be empty")
        part = _plain(term["part"]).lower()
        text = str(found).lower()
        return part in text if term["method"].lower() == "contains" else text.startswith(part)
    wanted: Json = None
    if term["day"]:
        wanted = date(*(int(n) for n in term["day"].split(",")[:3]))
    elif term["null"] is None:
        wanted = _plain(term["text"] if term["text"] is not None else term["guid"])
    if term["operator"] in ("==", "!="):
        return bool((found == wanted) == (term["operator"] == "=="))
    if found is None or wanted is None:
        return False
    answers = {">=": found >= wanted, "<=": found <= wanted, ">": found > wanted, "<": found < wanted}
    return bool(answers[term["operator"]])


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def create_app(company: Company, clock: Clock) -> Starlette:
    """Make the stand-in of one organisation. Both hosts of Xero, the API's and the tokens', are this app."""

    def reply(body: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        left = {
            "X-DayLimit-Remaining": str(max(0, REQUESTS_IN_A_DAY - company.request_count)),
            "X-MinLimit-Remaining": str(max(0, (company.per_minute or 60) - len(company._recent))),
            "Xero-Correlation-Id": str(uuid.uuid4()),
        }
        text = "" if body is None else json.dumps(body, default=float)
        return Response(text, status, {**left, **(headers or {})}, "application/json")

    def envelope(**content: Json) -> Json:
        when = _epoch(clock().astimezone(UTC))
        return {"Id": str(uuid.uuid4()), "Status": "OK", "ProviderName": "Morton", "DateTimeUTC": when, **content}

    def told(problem: Problem) -> Response:
        if problem.status == 429:
            return reply(None, 429, problem.headers)
        if problem.status == 400:
            said = {"ErrorNumber": 16, "Type": problem.title, "Message": problem.detail}
            return reply(said, 400)
        words = {"Type": None, "Title": problem.title, "Status": problem.status, "Detail": problem.detail}
        return reply({**words, "Instance": str(uuid.uuid4()), "Extensions": {}}, problem.status)

    async def token(request: Request) -> Response:
        expected = base64.b64encode(f"{company.client_id}:{company.client_secret}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return reply({"error": "invalid_client"}, 400)
        form = {k: v[0] for k, v in parse_qs((await request.body()).decode()).items()}
        if form.get("grant_type") != "refresh_token":
            return reply({"error": "unsupported_grant_type"}, 400)
        try:
            return reply(company.exchange(form.get("refresh_token", "")))
        except KeyError:
            return reply({"error": "invalid_grant"}, 400)

    def admitted(handle: Callable[[Request], Any], *, needs_tenant: bool = True) -> Callable[[Request], Any]:
        """Let in whoever has a token, says whose data is meant, and keeps the pace."""

        async def answer(request: Request) -> Response:
            company.request_count += 1
            try:
                with company.pace():
                    if company.plan.happens("unavailable"):
                        raise Problem(503, "ServiceUnavailable", "The Xero API is temporarily unavailable")
                    if not company.admits(request.headers.get("authorization", "")):
                        raise Problem(401, "Unauthorized", "TokenExpired: token expired")
                    if needs_tenant and request.headers.get("xero-tenant-id") != company.tenant_id:
                        raise Problem(403, "Forbidden", "AuthenticationUnsuccessful")
                    return await handle(request)  # type: ignore[no-any-return]
            except Problem as problem:
                return told(problem)

        return answer

    def price_digits(request: Request) -> int:
        return 4 if request.query_params.get("unitdp") == "4" else 2

    def paged(request: Request, name: str, rows: list[Json], *, order: str) -> Response:
        """Answer a list; only a page shows lines, and says how many there are."""
        query = request.query_params
        rows = [row for row in rows if holds(row, query.get("where", ""))]
        word = query.get("order") or order
        rows.sort(key=lambda row: str(row.get(word) or ""))
        digits = price_digits(request)
        if "page" not in query:
            return reply(envelope(**{name: [shown(r, price_digits=digits, has_lines=False) for r in rows]}))
        size, page = min(1000, max(1, int(query.get("pageSize", 100)))), max(1, int(query["page"]))
        whole = [shown(r, price_digits=digits) for r in rows[(page - 1) * size : page * size]]
        pagination = {
            "page": page,
            "pageSize": size,
            "pageCount": math.ceil(len(rows) / size),
            "itemCount": len(rows),
        }
        return reply(envelope(pagination=pagination, **{name: whole}))

    async def contacts(request: Request) -> Response:
        is_all = request.query_params.get("includeArchived") == "true"
        rows = [c for c in company.contacts.values() if is_all or c["ContactStatus"] == "ACTIVE"]
        return paged(request, "Contacts", rows, order="Name")

    async def items(request: Request) -> Response:
        return reply(envelope(Items=shown(list(company.items.values()), price_digits=price_digits(request))))

    async def organisation(request: Request) -> Response:
        locks = {"PeriodLockDate": company.period_lock_on, "EndOfYearLockDate": company.end_of_year_lock_on}
        about = {
            "OrganisationID": company.tenant_id,
            "Name": company.name,
            "BaseCurrency": company.currency,
            "OrganisationStatus": "ACTIVE",
            "Edition": "BUSINESS",
            **{word: day for word, day in locks.items() if day is not None},
        }
        return reply(envelope(Organisations=[shown(about, price_digits=4)]))

    async def connections(request: Request) -> Response:
        made = f"{clock():%Y-%m-%dT%H:%M:%S.0000000}"
        tenant = {"id": str(uuid.uuid5(uuid.NAMESPACE_OID, company.tenant_id)), "tenantId": company.tenant_id}
        about = {"tenantType": "ORGANISATION", "tenantName": company.name}
        return reply([{**tenant, **about, "createdDateUtc": made, "updatedDateUtc": made}])

    async def listed(collection: str, request: Request) -> Response:
        query, rows = request.query_params, list(company.table(collection).values())
        if collection == "Invoices":
            for word, column in (("InvoiceNumbers", "InvoiceNumber"), ("Statuses", "Status"), ("IDs", "InvoiceID")):
                if word in query:
                    rows = [row for row in rows if row[column] in query[word].split(",")]
        return paged(request, collection, rows, order=f"{DOCUMENTS[collection][0]}ID")

    def known(collection: str, request: Request) -> str:
        document_id = str(request.path_params.get("document_id", ""))
        if document_id and document_id not in company.table(collection):
            raise Problem(404, "NotFound", "The resource you're looking for cannot be found")
        return document_id

    async def read(collection: str, request: Request) -> Response:
        document = company.table(collection)[known(collection, request)]
        return reply(envelope(**{collection: [shown(document, price_digits=price_digits(request))]}))

    async def write(collection: str, request: Request) -> Response:
        document_id, key = known(collection, request), request.headers.get("idempotency-key", "")
        content, digits = await request.body(), price_digits(request)
        if len(key) > 128:
            raise Problem(400, "IdempotencyException", "The idempotency key is longer than 128 characters")
        if request.method == "PUT":
            company.invoice_posts.append((key, content))
        if company.plan.happens("slow"):
            await asyncio.sleep(company.plan.random.uniform(0, company.plan.slow_seconds))
        status, element = company.write(
            request.method, collection, content, key, clock(), document_id=document_id, price_digits=digits
        )
        fate = company.plan.after_commit()
        if fate == "drop_after_commit":
            return CutOff()
        if fate == "error_after_commit":
            company.broke(key)
        if fate == "hang_after_commit":
            await asyncio.sleep(company.plan.hang_seconds)
        if status == 500 or fate == "error_after_commit":
            raise Problem(500, "InternalServerError", "An error occurred in Xero")
        elements = [shown(element, price_digits=digits)]
        is_apart = request.query_params.get("summarizeErrors") == "false" and not document_id
        if status == 400 and (company.always_summarizes or not is_apart):
            said = {"ErrorNumber": 10, "Type": "ValidationException", "Message": "A validation exception occurred"}
            return reply({**said, "Elements": elements}, 400)
        return reply(envelope(**{collection: elements}))

    def documents(collection: str) -> list[Route]:
        path = f"{API}/{collection}"
        return [
            Route(path, admitted(partial(listed, collection)), methods=["GET"]),
            Route(path, admitted(partial(write, collection)), methods=["PUT", "POST"]),
            Route(f"{path}/{{document_id}}", admitted(partial(read, collection)), methods=["GET"]),
            Route(f"{path}/{{document_id}}", admitted(partial(write, collection)), methods=["POST"]),
        ]

    return Starlette(
        routes=[
            Route("/connect/token", token, methods=["POST"]),
            Route("/connections", admitted(connections, needs_tenant=False), methods=["GET"]),
            Route(f"{API}/Contacts", admitted(contacts), methods=["GET"]),
            Route(f"{API}/Items", admitted(items), methods=["GET"]),
            Route(f"{API}/Organisation", admitted(organisation), methods=["GET"]),
            *documents("Invoices"),
            *documents("CreditNotes"),
        ]
    )
