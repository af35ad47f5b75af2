"""QuickBooks Online's Accounting API, as far as invoices need it: tokens, queries, customers, items, documents.

Belongs here: what QuickBooks would answer, its refusals included, and a plan of how it may fail. Does not: who the
customers are and what they were invoiced; whoever fills the `Company` knows that.
"""

import asyncio
import base64
import json
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from morton_pipeline.simulator.commit_faults import CutOff, FaultPlan
from morton_pipeline.simulator.rotation import Rotation

Json = Any
Clock = Callable[[], datetime]

CLOSED = "Account Period Closed, Cannot Update Through Services API"


class Refusal(Exception):
    """A Fault: what QuickBooks says when it says no."""

    def __init__(
        self, code: str, message: str, detail: str = "", *, kind: str = "ValidationFault", status: int = 400
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.detail, self.kind, self.status = code, message, detail or message, kind, status


@dataclass
class Company(Rotation):
    """One QuickBooks company. Entities are held as QuickBooks shows them, by id."""

    realm_id: str = "9130350000000001"
    client_id: str = "demo-quickbooks-client"
    client_secret: str = "demo-quickbooks-secret"
    refresh_token: str = "demo-quickbooks-refresh-1"
    """The one handed out when the app was connected; each use yields the next."""
    currency: str = "USD"
    customers: dict[str, Json] = field(default_factory=dict)
    items: dict[str, Json] = field(default_factory=dict)
    invoices: dict[str, Json] = field(default_factory=dict)
    credit_memos: dict[str, Json] = field(default_factory=dict)
    time_activities: dict[str, Json] = field(default_factory=dict)
    has_custom_numbers: bool = True
    refuses_duplicate_numbers: bool = True
    closed_until: date | None = None
    """Nothing dated on or before this day is accepted."""
    tax_percent: Decimal = Decimal(0)
    token_seconds: float = 3600
    remembered_requests: int | None = None
    """How many request ids are remembered; none means all of them."""
    faults_with_200: bool = False
    """Whether a Fault comes with status 200, as it sometimes does."""
    plan: FaultPlan = field(default_factory=FaultPlan)
    request_count: int = 0
    invoice_posts: list[tuple[str, bytes]] = field(default_factory=list)
    """Every invoice request that was read: its request id and its bytes."""
    _replays: "OrderedDict[str, Json]" = field(default_factory=OrderedDict)
    _codes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.begin_rotation()

    def add_customer(self, customer_id: str, name: str, *, currency: str = "", active: bool = True) -> None:
        """Add a customer."""
        ref = {"value": currency or self.currency, "name": currency or self.currency}
        self.customers[customer_id] = {
            "Id": customer_id,
            "SyncToken": "0",
            "domain": "QBO",
            "sparse": False,
            "DisplayName": name,
            "FullyQualifiedName": name,
            "Active": active,
            "Taxable": False,
            "Balance": 0,
            "CurrencyRef": ref,
        }

    def add_item(self, item_id: str, name: str, unit_price: Decimal = Decimal(0), *, active: bool = True) -> None:
        """Add a service."""
        self.items[item_id] = {
            "Id": item_id,
            "SyncToken": "0",
            "domain": "QBO",
            "sparse": False,
            "Name": name,
            "FullyQualifiedName": name,
            "Active": active,
            "Type": "Service",
            "Taxable": False,
            "UnitPrice": unit_price,
        }

    def table(self, entity: str) -> dict[str, Json]:
        """The invoices or the credit memos."""
        return self.credit_memos if entity == "CreditMemo" else self.invoices

    def add_invoice(self, body: Json, at: datetime, entity: str = "Invoice") -> Json:
        """Make an invoice or a credit memo as a request would; returns it as QuickBooks shows it. Raises `Refusal`."""
        number = body.get("DocNumber")
        if number is not None and len(str(number)) > 21:
            raise Refusal(
                "2050", "Request has invalid or unsupported property", "Length of the field exceeds 21 chars: DocNumber"
            )
        customer = self._referred(body, "CustomerRef", self.customers)
        currency = (body.get("CurrencyRef") or {}).get("value") or customer["CurrencyRef"]["value"]
        if currency != customer["CurrencyRef"]["value"]:
            raise Refusal(
                "6000",
                "A business validation error has occurred while processing your request",
                f"The customer's currency is {customer['CurrencyRef']['value']}, not {currency}.",
            )
        dated_on = date.fromisoformat(str(body.get("TxnDate") or at.date()))
        if self.closed_until is not None and dated_on <= self.closed_until:
            raise Refusal("6210", CLOSED, "The account period has closed and the account books cannot be updated.")
        if self.refuses_duplicate_numbers and number is not None:
            for other in self.table(entity).values():
                if other.get("DocNumber") == number:
                    raise Refusal(
                        "6140",
                        "Duplicate Document Number Error",
                        f"You must specify a different number. This number has already been used. DocNumber={number} "
                        f"is assigned to TxnType={entity} with TxnId={other['Id']}",
                    )
        lines = self._lines(body.get("Line"), currency)
        net = sum((line["Amount"] for line in lines), Decimal(0))
        tax = _cents(net * self.tax_percent / 100, currency)
        invoice_id = str(max((int(i) for i in (*self.invoices, *self.credit_memos)), default=100) + 1)
        when = at.astimezone(UTC).isoformat(timespec="seconds")
        invoice = {
            **{k: v for k, v in body.items() if k in ("PrivateNote", "CustomerMemo", "BillEmail", "SalesTermRef")},
            "Id": invoice_id,
            "SyncToken": "0",
            "domain": "QBO",
            "sparse": False,
            "MetaData": {"CreateTime": when, "LastUpdatedTime": when},
            "DocNumber": number if number is not None or self.has_custom_numbers else str(1000 + int(invoice_id)),
            "TxnDate": str(dated_on),
            "DueDate": str(dated_on + timedelta(days=30)),
            "CustomerRef": {"value": customer["Id"], "name": customer["DisplayName"]},
            "CurrencyRef": {"value": currency, "name": currency},
            "Line": [*lines, {"DetailType": "SubTotalLineDetail", "Amount": net, "SubTotalLineDetail": {}}],
            "TxnTaxDetail": {"TotalTax": tax},
            "TotalAmt": net + tax,
            "Balance": net + tax,
            "Deposit": 0,
            "ApplyTaxAfterDiscount": False,
            "PrintStatus": "NeedToPrint",
            "EmailStatus": "NotSet",
            "LinkedTxn": [],
            "CustomField": [],
        }
        if invoice["DocNumber"] is None:
            del invoice["DocNumber"]
        self.table(entity)[invoice_id] = invoice
        return invoice

    def change_invoice(self, body: Json, at: datetime, *, void: bool = False) -> Json:
        """Void an invoice, or change the fields sent; a stale SyncToken is refused."""
        invoice = self.invoices.get(str(body["Id"])) or self.credit_memos.get(str(body["Id"]))
        if invoice is None:
            raise Refusal("610", "Object Not Found", f"Object Not Found : invoice {body['Id']}")
        if str(body.get("SyncToken")) != invoice["SyncToken"]:
            raise Refusal("5010", "Stale Object Error", "You and another user were working on this at the same time.")
        if void:
            for line in invoice["Line"]:
                line["Amount"] = Decimal(0)
            invoice |= {
                "TotalAmt": Decimal(0),
                "Balance": Decimal(0),
                "TxnTaxDetail": {"TotalTax": Decimal(0)},
                "PrivateNote": "Voided",
            }
        else:
            invoice |= {
                k: v for k, v in body.items() if k not in ("Id", "SyncToken", "sparse", "Line", "MetaData", "domain")
            }
            if "Line" in body:
                lines = self._lines(body["Line"], invoice["CurrencyRef"]["value"])
                net = sum((line["Amount"] for line in lines), Decimal(0))
                invoice["Line"] = [
                    *lines,
                    {"DetailType": "SubTotalLineDetail", "Amount": net, "SubTotalLineDetail": {}},
                ]
                invoice |= {"TotalAmt": net, "Balance": net}
        invoice["SyncToken"] = str(int(invoice["SyncToken"]) + 1)
        invoice["MetaData"]["LastUpdatedTime"] = at.astimezone(UTC).isoformat(timespec="seconds")
        return invoice

    def post(self, body: Json, request_id: str, at: datetime, entity: str = "Invoice") -> Json:
        """Make a document once per request id: a known one gets its first answer again, whatever it carries."""
        if request_id and request_id in self._replays:
            return self._replays[request_id]
        made = json.loads(_json(self.add_invoice(body, at, entity)), parse_float=Decimal)
        answer = {entity: made, "time": at.isoformat()}
        if request_id:
            self._replays[request_id] = answer
            while self.remembered_requests is not None and len(self._replays) > self.remembered_requests:
                self._replays.popitem(last=False)
        return answer

    def exchange(self, refresh_token: str) -> Json:
        """Trade a refresh token for an access token and the next one."""
        successor = f"AB1{secrets.token_hex(18)}"
        access = self.issue(refresh_token, successor)
        return {
            "token_type": "bearer",
            "access_token": access,
            "expires_in": int(self.token_seconds),
            "refresh_token": successor,
            "x_refresh_token_expires_in": 8726400,
        }

    def consent(self) -> str:
        """Let the app be connected anew: return the code it trades for tokens, once."""
        code = f"XAB{secrets.token_hex(18)}"
        self._codes.add(code)
        return code

    def redeem(self, code: str) -> Json:
        """Trade a code for tokens; those of an earlier consent are no good any more."""
        self._codes.remove(code)
        self._refresh.add(code)
        answer = self.exchange(code)
        self._refresh.discard(code)
        return answer

    def forget_keys(self) -> None:
        """Forget every request id: a request sent again under its own is carried out again."""
        self._replays.clear()

    def memory(self) -> str:
        """Write down what outlives the process: invoices, the answers to known request ids, who is connected."""
        numbers = json.loads(
            _json({"invoices": self.invoices, "credit_memos": self.credit_memos, "replays": self._replays})
        )
        return json.dumps({**numbers, **self.rotation_memory()})

    def recall(self, memory: str) -> None:
        """Go on from what an earlier process wrote down."""
        known = json.loads(memory, parse_float=Decimal)
        self.invoices |= known["invoices"]
        self.credit_memos |= known["credit_memos"]
        self._replays |= known["replays"]
        self.recall_rotation(known)

    def _referred(self, body: Json, name: str, known: dict[str, Json]) -> Json:
        ref = str((body.get(name) or {}).get("value") or "")
        if not ref:
            raise _missing(name)
        if ref not in known or not known[ref]["Active"]:
            raise Refusal(
                "610",
                "Object Not Found",
                "Object Not Found : Something you're trying to use has been made inactive. Check the "
                f"fields with accounts, customers, items, vendors or employees. {name}={ref}",
            )
        return known[ref]

    def _lines(self, given: Json, currency: str) -> list[Json]:
        if not isinstance(given, list) or not given:
            raise _missing("Line")
        lines = []
        for number, line in enumerate(given, start=1):
            detail = dict(line.get("SalesItemLineDetail") or {})
            item = self._referred(detail, "ItemRef", self.items)
            if line.get("Amount") is None:
                raise _missing("Amount")
            amount, quantity, price = (
                None if v is None else Decimal(str(v))
                for v in (line["Amount"], detail.get("Qty"), detail.get("UnitPrice"))
            )
            if quantity is not None and price is not None and _cents(quantity * price, currency) != amount:
                raise Refusal(
                    "6070", "Amount calculation incorrect in the request", "Amount is not equal to UnitPrice * Qty."
                )
            detail["ItemRef"] = {"value": item["Id"], "name": item["Name"]}
            detail.setdefault("TaxCodeRef", {"value": "NON"})
            lines.append(
                {
                    "Id": str(number),
                    "LineNum": number,
                    "Description": line.get("Description") or "",
                    "Amount": amount,
                    "DetailType": "SalesItemLineDetail",
                    "SalesItemLineDetail": detail,
                }
            )
        return lines


def _missing(name: str) -> Refusal:
    said = "Required param missing, need to supply the required value for the API"
    return Refusal("2020", said, f"Required parameter {name} is missing")


def _cents(amount: Decimal, currency: str) -> Decimal:
    return amount.quantize(Decimal(1) if currency == "JPY" else Decimal("0.01"), rounding=ROUND_HALF_UP)


def _json(value: Json) -> str:
    """Write JSON with amounts as numbers, as QuickBooks does."""
    return json.dumps(value, default=lambda d: float(d) if isinstance(d, Decimal) else str(d))


_CONDITION = re.compile(r"\s*([\w.]+)\s*(>=|<=|=|>|<)\s*'((?:[^'\\]|\\.)*)'\s*", re.IGNORECASE)
_QUERY = re.compile(
    r"^\s*select\s+(?P<what>.+?)\s+from\s+(?P<entity>\w+)(?:\s+where\s+(?P<where>.+?))?(?:\s+order\s*by\s+(?P<order>\w+)(?:\s+(?P<way>asc|desc))?)?"
    r"(?:\s+startposition\s+(?P<start>\d+))?(?:\s+maxresults\s+(?P<most>\d+))?\s*$",
    re.IGNORECASE | re.DOTALL,
)


def select(company: Company, text: str) -> Json:
    """Answer a query. Positions count from one; an empty answer leaves the entity out."""
    parsed = _QUERY.match(text)
    tables = {
        "customer": ("Customer", company.customers),
        "item": ("Item", company.items),
        "invoice": ("Invoice", company.invoices),
        "creditmemo": ("CreditMemo", company.credit_memos),
        "timeactivity": ("TimeActivity", company.time_activities),
        "preferences": (
            "Preferences",
            {"1": {"Id": "1", "SalesFormsPrefs": {"CustomTxnNumbers": company.has_custom_numbers}}},
        ),
    }
    if parsed is None or parsed["entity"].lower() not in tables:
        raise Refusal("4000", "Error parsing query", f"QueryParserError: {text[:100]}")
    name, table = tables[parsed["entity"].lower()]
    start, most = int(parsed["start"] or 1), int(parsed["most"] or 100)
    for value, least in ((start, 1), (most, 1)):
        if value < least:
            raise Refusal(
                "4001",
                "Invalid query",
                f"QueryValidationError: value {value} is too small. Min allowed value is {least}",
            )
    if most > 1000:
        raise Refusal(
            "4001", "Invalid query", f"QueryValidationError: value {most} is too large. Max allowed value is 1000"
        )
    conditions = _conditions(parsed["where"] or "")
    rows = [row for row in table.values() if all(_holds(row, *condition) for condition in conditions)]
    if name in ("Customer", "Item") and not any(field.lower() == "active" for field, _, _ in conditions):
        rows = [row for row in rows if row["Active"]]
    order = parsed["order"] or "Id"
    rows.sort(key=lambda row: _sortable(row.get(order)), reverse=(parsed["way"] or "").lower() == "desc")
    if re.sub(r"\s", "", parsed["what"]).lower() == "count(*)":
        return {"QueryResponse": {"totalCount": len(rows)}}
    page = rows[start - 1 : start - 1 + most]
    if not page:
        return {"QueryResponse": {}}
    if parsed["what"].strip() != "*":
        wanted = {"id", *(f.strip().lower() for f in parsed["what"].split(","))}
        page = [{k: v for k, v in row.items() if k.lower() in wanted} for row in page]
    return {"QueryResponse": {name: page, "startPosition": start, "maxResults": len(page)}}


def _conditions(where: str) -> list[tuple[str, str, str]]:
    found, rest = [], where
    while rest.strip():
        parsed = _CONDITION.match(rest)
        if parsed is None:
            raise Refusal("4000", "Error parsing query", f"QueryParserError: Encountered {rest[:40]!r}")
        found.append((parsed[1], parsed[2], re.sub(r"\\(.)", r"\1", parsed[3])))
        rest = re.sub(r"^and\b", "", rest[parsed.end() :], flags=re.IGNORECASE)
    return found


def _holds(row: Json, name: str, operator: str, value: str) -> bool:
    found = row.get(name)
    if isinstance(found, dict):
        found = found.get("value")
    if found is None:
        return False
    text = str(found).lower() if isinstance(found, bool) else str(found)
    return {"=": text == value, ">=": text >= value, "<=": text <= value, ">": text > value, "<": text < value}[
        operator
    ]


def _sortable(value: Json) -> tuple[int, Decimal, str]:
    text = str(value)
    return (0, Decimal(text), "") if re.fullmatch(r"\d+(\.\d+)?", text) else (1, Decimal(0), text)


ENTITIES = {"invoice": "Invoice", "creditmemo": "CreditMemo"}
"""The documents that are made, by their word in a path."""


class _Document(Convertor[str]):
    """A word in a path that is one of them."""

    regex = "|".join(ENTITIES)

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("document", _Document())


def create_app(company: Company, clock: Clock) -> Starlette:
    """Make the stand-in of one company. Both hosts of QuickBooks, the API's and the tokens', are this app."""

    def reply(body: Json, status: int = 200) -> Response:
        headers = {"intuit_tid": f"1-{secrets.token_hex(8)}"}
        return Response(_json(body), status, headers, "application/json")

    def fault(refusal: Refusal) -> Response:
        error = {"Message": refusal.message, "Detail": refusal.detail, "code": refusal.code, "element": ""}
        status = 200 if company.faults_with_200 and refusal.status == 400 else refusal.status
        return reply({"Fault": {"Error": [error], "type": refusal.kind}, "time": clock().isoformat()}, status)

    async def token(request: Request) -> Response:
        expected = base64.b64encode(f"{company.client_id}:{company.client_secret}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return reply({"error": "invalid_client"}, 401)
        form = {k: v[0] for k, v in parse_qs((await request.body()).decode()).items()}
        if form.get("grant_type") not in ("refresh_token", "authorization_code"):
            return reply({"error": "unsupported_grant_type"}, 400)
        try:
            if form["grant_type"] == "authorization_code":
                return reply(company.redeem(form.get("code", "")))
            return reply(company.exchange(form.get("refresh_token", "")))
        except KeyError:
            return reply({"error": "invalid_grant", "error_description": "Incorrect or invalid refresh token"}, 400)

    async def authorise(request: Request) -> Response:
        """The page where somebody consents: whoever comes does, and only a browser of this machine is sent back."""
        asked = request.query_params
        redirect = asked.get("redirect_uri", "")
        if asked.get("client_id") != company.client_id or urlsplit(redirect).hostname != "localhost":
            return reply({"error": "invalid_request"}, 400)
        told = {"code": company.consent(), "state": asked.get("state", ""), "realmId": company.realm_id}
        return RedirectResponse(f"{redirect}?{urlencode(told)}", 302)

    async def admit(request: Request) -> None:
        company.request_count += 1
        if company.plan.happens("unavailable"):
            raise Refusal(
                "10000",
                "An application error has occurred while processing your request",
                kind="SystemFault",
                status=503,
            )
        if not company.admits(request.headers.get("authorization", "")):
            raise Refusal(
                "3200",
                "message=AuthenticationFailed; errorCode=003200; statusCode=401",
                kind="AUTHENTICATION",
                status=401,
            )
        if request.path_params["realm"] != company.realm_id:
            raise Refusal(
                "3100",
                "message=ApplicationAuthorizationFailed; errorCode=003100; statusCode=403",
                kind="AuthorizationFault",
                status=403,
            )

    async def query(request: Request) -> Response:
        try:
            await admit(request)
            return reply({**select(company, request.query_params.get("query", "")), "time": clock().isoformat()})
        except Refusal as refusal:
            return fault(refusal)

    async def read(request: Request) -> Response:
        try:
            await admit(request)
            invoice_id = request.path_params["invoice_id"]
            entity = ENTITIES[request.path_params["entity"]]
            if invoice_id not in company.table(entity):
                raise Refusal("610", "Object Not Found", f"Object Not Found : {entity} {invoice_id}")
            return reply({entity: company.table(entity)[invoice_id], "time": clock().isoformat()})
        except Refusal as refusal:
            return fault(refusal)

    async def write(request: Request) -> Response:
        try:
            await admit(request)
            answer, fate = await carry_out(request), company.plan.after_commit()
        except Refusal as refusal:
            return fault(refusal)
        if fate == "drop_after_commit":
            return CutOff()
        if fate == "error_after_commit":
            return reply(
                {"Fault": {"Error": [{"Message": "Internal Server Error", "code": "10000"}], "type": "SystemFault"}},
                500,
            )
        if fate == "hang_after_commit":
            await asyncio.sleep(company.plan.hang_seconds)
        return reply(answer)

    async def carry_out(request: Request) -> Json:
        content, request_id = await request.body(), request.query_params.get("requestid", "")
        entity = ENTITIES[request.path_params["entity"]]
        company.invoice_posts.append((request_id, content))
        if len(request_id) > 50:
            raise Refusal("2050", "Request has invalid or unsupported property", "Length of requestid exceeds 50 chars")
        try:
            body = json.loads(content, parse_float=Decimal)
        except ValueError:
            raise Refusal(
                "2010", "Request has invalid or unsupported property", "The request body is not JSON"
            ) from None
        if company.plan.happens("slow"):
            await asyncio.sleep(company.plan.random.uniform(0, company.plan.slow_seconds))
        if body.get("Id"):
            is_void = request.query_params.get("operation") == "void"
            return {entity: company.change_invoice(body, clock(), void=is_void), "time": clock().isoformat()}
        return company.post(body, request_id, clock(), entity)

    company_path = "/v3/company/{realm}"
    return Starlette(
        routes=[
            Route("/connect/oauth2", authorise, methods=["GET"]),
            Route("/oauth2/v1/tokens/bearer", token, methods=["POST"]),
            Route(f"{company_path}/query", query, methods=["GET"]),
            Route(f"{company_path}/{{entity:document}}/{{invoice_id}}", read, methods=["GET"]),
            Route(f"{company_path}/{{entity:document}}", write, methods=["POST"]),
        ]
    )
