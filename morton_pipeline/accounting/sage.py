"""Sage Accounting as a place invoices go. A document is made as a draft, compared, and released into the accounts.

Belongs here: Sage's requests, and what each of its answers means for us. Reading for reconciliation stands in
`vendors/sage.py`; authentication and the way lists are walked are shared with it.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx

from morton_pipeline.accounting.adapter import Found, FoundLine
from morton_pipeline.accounting.drafts import Draft, marked
from morton_pipeline.accounting.errors import LookupFailed, NotSent, OutcomeUnknown, Refused
from morton_pipeline.accounting.http import Answer, Api, Dialect, Sleep, decimal
from morton_pipeline.book import Connection
from morton_pipeline.clock import now
from morton_pipeline.errors import BadInput
from morton_pipeline.extract.errors import ExtractError
from morton_pipeline.extract.pages import Call, Page
from morton_pipeline.ledger.canonical import canonical, digest, rounded
from morton_pipeline.ledger.invoices import Line
from morton_pipeline.ledger.store import Ledger
from morton_pipeline.vendors.sage import API, CREDIT_NOTE, DRAFTS, INVOICE, VENDOR, Kind, items, pages

TIMEOUT_SECONDS = 120
"""Giving up sooner would make outcomes uncertain that are not; how long Sage works on a request is not published."""
NOTE_LENGTH = 2000
"""The most characters of a document's note."""

_CLOSED = re.compile(r"lockdown|period.{0,20}(closed|locked)|(closed|locked).{0,20}period", re.IGNORECASE)
_TAKEN = re.compile(r"taken|already (exists|in use|been used)|must be unique|duplicate", re.IGNORECASE)
_ADVICE = {
    "contact": "Its customer is missing or inactive: restore the contact in Sage, or correct accounting_customer_id in "
    "clients.csv",
    "currency": "Turn on multi-currency and this currency in Sage, or correct the client's currency",
    "service_id|product_id": "A service is missing or inactive: restore it in Sage, or correct accounting_item_id in "
    "services.csv",
}
"""What to do, by the field Sage complains about."""

Json = Any
Row = Mapping[str, Json]


def open_sage(
    connection: Connection,
    ledger: Ledger,
    *,
    transport: httpx.BaseTransport | None = None,
    sleep: Sleep = time.sleep,
) -> "Sage":
    """Open a connection to one business, with the refresh token the ledger keeps."""
    api = Api(
        connection,
        VENDOR,
        ledger,
        Dialect("Sage", _words, shut_out=_shut_out, trace_header="x_request_id"),
        path=API,
        timeout=TIMEOUT_SECONDS,
        transport=transport,
        sleep=sleep,
    )
    return Sage(connection.id, api, releases=bool(connection.settings.get("release", True)))


class Sage:
    """One business in Sage. It numbers documents itself: ours are found by their reference, and by our mark."""

    title = "Sage"
    needs_ids = True
    reference_length = 25
    most_lines = 116
    """As many decisions as the note has room for."""
    waits_for = ""

    def __init__(self, destination: str, api: Api, *, releases: bool) -> None:
        self.destination, self._api, self._releases = destination, api, releases
        self._lists: dict[str, dict[str, Row]] = {}
        self._unread: dict[str, str] = {}
        self.close = api.close

    def check(self) -> None:
        """Every business takes references and notes."""

    def render(self, draft: Draft) -> str:
        """Write the document as a draft of this day, with the accounts and tax rates Sage has for what it sells.

        Sage wants a date. An invoice that a closed period held up is written anew, with the day it is posted again.
        """
        if len(draft.note) > NOTE_LENGTH:
            raise BadInput(
                f"{draft.client_name}: the note with the decisions has {len(draft.note)} characters, and Sage takes "
                f"{NOTE_LENGTH}. Reopen some of the {len(draft.lines)} approvals and send them after the rest."
            )
        kind, today = _kind(is_credit=draft.is_credit), now().date()
        document = {
            "contact_id": draft.customer_id,
            "date": today,
            "reference": draft.reference,
            "notes": draft.note,
            "currency_id": draft.currency,
            "status_id": "DRAFT",
            kind.lines: [
                self._line(draft, line, item_id, today)
                for line, item_id in zip(draft.lines, draft.item_ids, strict=True)
            ],
        }
        return canonical({kind.name: document}, decimals_as_numbers=True)

    def _line(self, draft: Draft, line: Line, item_id: str, today: date) -> dict[str, Json]:
        """Write one line. Its tax is ours to work out: at the rate Sage has for the item, half up, line by line."""
        field, item = self._item(draft, item_id)
        name = f"{draft.client_name}: {item.get('displayed_as') or item_id}, item {item_id} in Sage,"
        account = (item.get("sales_ledger_account") or {}).get("id")
        rate_id = (item.get("sales_tax_rate") or {}).get("id")
        if item.get("active") is False:
            raise BadInput(f"{name} is inactive. Activate it there, or correct accounting_item_id in services.csv.")
        if not account or not rate_id:
            raise BadInput(
                f"{name} has no {'tax rate' if account else 'ledger account'} for sales. Give it one there: Morton "
                "takes it from the item, and never chooses one."
            )
        rate = self._list("tax_rates", {"date": str(today)}).get(rate_id)
        if rate is None or rate.get("percentage") is None:
            raise BadInput(f"{name} has the tax rate {rate_id}, of which Sage says no percentage for {today}.")
        net = abs(line.amount)
        return {
            "description": line.description,
            field: item_id,
            "ledger_account_id": account,
            "quantity": abs(line.quantity),
            "unit_price": line.unit_price,
            "unit_price_includes_tax": False,
            "net_amount": net,
            "tax_rate_id": rate_id,
            "tax_amount": rounded(net * decimal(rate["percentage"]) / 100, draft.currency),
        }

    def _item(self, draft: Draft, item_id: str) -> tuple[str, Row]:
        """Return an item and the word a line names it by: an id is a service's, else a product's."""
        for path, field in (("services", "service_id"), ("products", "product_id")):
            if item := self._list(path, {}).get(item_id):
                return field, item
        raise BadInput(
            f"{draft.client_name}: Sage has no service or product {item_id}. Correct accounting_item_id in "
            "services.csv, or restore it in Sage."
        )

    def _list(self, path: str, params: Mapping[str, str]) -> Mapping[str, Row]:
        """Read one of Sage's lists, once in a run; one that could not be read holds what needs it, with the reason."""
        if path not in self._lists and path not in self._unread:
            try:
                self._lists[path] = {str(row["id"]): row for row in self._every(path, params)}
            except (LookupFailed, NotSent, Refused) as failure:
                self._unread[path] = f"Sage could not be asked for its {path}; nothing was sent, post again. {failure}"
        if path in self._unread:
            raise BadInput(self._unread[path])
        return self._lists[path]

    def expect(self, payload: str, *, is_credit: bool) -> Found:
        """Read a body back as the document it asks for."""
        kind = _kind(is_credit=is_credit)
        document = json.loads(payload, parse_float=Decimal)[kind.name]
        named = {**document, "contact": {"id": document["contact_id"]}, "currency": {"id": document["currency_id"]},
                 "status": {"id": document["status_id"]}}  # fmt: skip
        lines = [
            {**line, "service": {"id": line.get("service_id") or line.get("product_id")}}
            for line in document[kind.lines]
        ]
        return _found({**named, kind.lines: lines}, kind)

    def find(self, expected: Found) -> list[Found]:
        """Every document with our reference or mark: by Sage's search, then among the customer's since its date.

        The search may not know yet what was just made, and matches parts of references: each is compared whole.
        """
        kind = _kind(is_credit=expected.is_credit)
        for question in (
            {"search": expected.reference},
            {"contact_id": expected.customer_id, "from_date": _from(expected.dated_on or now().date())},
        ):
            rows = self._every(kind.path, question)
            if mine := [_found(row, kind) for row in rows if _is_named(row, expected.reference)]:
                return mine
        return []

    def list_since(self, since: date) -> list[Found]:
        """Sales invoices and credit notes dated since a day, drafts among them."""
        listed = (
            _found(row, kind)
            for kind in (INVOICE, CREDIT_NOTE)
            for row in self._every(kind.path, {"from_date": _from(since)})
        )
        return [found for found in listed if found.dated_on and found.dated_on >= since]

    def create(self, payload: str, key: str, *, is_credit: bool) -> str:
        """Create the draft. Sage wants the idempotency key inside the body, as 32 hexadecimal digits.

        Whatever is not a clear yes or no is unknown.
        """
        kind = _kind(is_credit=is_credit)
        body = json.loads(payload, parse_float=Decimal)
        body[kind.name]["idempotency_id"] = digest(["idempotency", key])[:32]
        answer = self._api.send("POST", kind.path, canonical(body, decimals_as_numbers=True))
        self._refuse(answer)
        if not isinstance(answer.body, dict) or not answer.body.get("id"):
            raise OutcomeUnknown(f"Sage answered {answer.status} without a document{answer.trace}.")
        return str(answer.body["id"])

    def is_to_release(self, found: Found) -> bool:
        """A draft is released, unless the connection says `release: false` and leaves that to people."""
        return self._releases and found.is_draft

    def release(self, found: Found) -> None:
        """Put a draft into the accounts. A refusal means nothing where it is in them already."""
        answer = self._api.send("POST", f"{_kind(is_credit=found.is_credit).path}/{found.accounting_id}/release", "")
        try:
            self._refuse(answer)
        except Refused:
            as_it_is = self.read_back(found, found.accounting_id)
            if as_it_is is None or as_it_is.is_draft or as_it_is.is_void:
                raise

    def read_back(self, expected: Found, accounting_id: str) -> Found | None:
        """Read one document by its id. Unless told otherwise, Sage would note that it was sent to the customer."""
        kind = _kind(is_credit=expected.is_credit)
        answer = self._api.ask(f"{kind.path}/{accounting_id}", {"attributes": "all", "mark_as_sent": "false"})
        if answer.status == 404:
            return None
        self._refuse(answer)
        if not isinstance(answer.body, dict) or "id" not in answer.body:
            raise LookupFailed(f"Sage answered for document {accounting_id} without one{answer.trace}.")
        return None if answer.body.get("deleted_at") else _found(answer.body, kind)

    def _every(self, path: str, params: Mapping[str, str]) -> list[Row]:
        """Read a list to its end, the way the nightly reading does. Raises `LookupFailed` where it is not whole."""
        rows: list[Row] = []
        walk = pages(Call(f"{API}/{path}", {**params, "attributes": "all"}))
        try:
            call = next(walk)
            while True:
                page = self._page(call)
                rows.extend(page.rows)
                call = walk.send(page)
        except StopIteration:
            return [row for row in rows if not row.get("deleted_at")]
        except (ExtractError, LookupError, TypeError, ValueError) as failure:
            raise LookupFailed(f"Sage's list of {path} does not read as documented ({failure}).") from failure

    def _page(self, call: Call) -> Page:
        answer = self._api.ask(call.path.removeprefix(API), call.params or None, accepts=call.accepts)
        if answer.status in call.accepts:
            return Page(call, None, [], {})
        self._refuse(answer)
        page = Page(call, answer.body, [], {})
        return replace(page, rows=items(page))

    def _refuse(self, answer: Answer) -> None:
        said = self._api.said(answer)
        if not said and answer.status < 400:
            return
        fields = " ".join(str(error.get("$source") or "") for error in _errors(answer.body))
        advice = [what for field, what in _ADVICE.items() if re.search(field, fields)]
        raise Refused(
            ". ".join([said or f"status {answer.status}", *advice]) + answer.trace,
            is_duplicate="reference" in fields and bool(_TAKEN.search(said)),
            is_closed_period=bool(_CLOSED.search(said)),
        )


def _kind(*, is_credit: bool) -> Kind:
    return CREDIT_NOTE if is_credit else INVOICE


def _from(day: date) -> str:
    """Write a day as the instant Sage wants: one earlier, for whose midnight it means is not said."""
    return f"{max(day, date(1970, 1, 2)) - timedelta(days=1)}T00:00:00Z"


def _is_named(row: Row, reference: str) -> bool:
    return row.get("reference") == reference or marked(str(row.get("notes") or "")) == reference


def _errors(body: Json) -> Iterator[Mapping[str, Json]]:
    """Find what Sage complains of: a list, which older answers wrap in an object."""
    if isinstance(body, dict):
        body = body.get("$diagnoses")
    return (error for error in body if isinstance(error, dict)) if isinstance(body, list) else iter(())


def _words(body: Json) -> str:
    """Return Sage's own words, or nothing where the body is no refusal."""
    said = []
    for error in _errors(body):
        about = ", ".join(str(error[name]) for name in ("$dataCode", "$source") if error.get(name))
        said.append(f"{error.get('$message') or 'an error without words'}{f' ({about})' if about else ''}")
    return "; ".join(said)


def _shut_out(answer: Answer) -> str | None:
    """Read the answers that mean the whole connection, and that signing in again would not mend."""
    said = _words(answer.body)
    if answer.status == 401 and "subscription" in said.lower():
        return f"Sage says {said}. Nothing was sent: renew the business's subscription in Sage, then post again"
    if answer.status == 403:
        return (
            f"Sage does not let the user who connected Morton do this ({said or 'status 403'}). Nothing was sent: give "
            "them full access to Sales and read access to products and settings in Sage, then post again"
        )
    return None


def _found(row: Row, kind: Kind) -> Found:
    """Read a document. Raises `LookupFailed` where it is none we could compare."""
    try:
        return _read(row, kind)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as failure:
        raise LookupFailed(
            f"Sage shows document {row.get('id')} otherwise than documented ({type(failure).__name__}: {failure})."
        ) from failure


def _read(row: Row, kind: Kind) -> Found:
    """Read a document. Sage keeps a voided one's amounts to be seen; they bill nothing."""
    sign, status = -1 if kind is CREDIT_NOTE else 1, str((row.get("status") or {}).get("id") or "")
    is_void, note = status == "VOID", str(row.get("notes") or "")
    lines = [
        FoundLine(
            str(((line.get("service") or line.get("product")) or {}).get("id") or ""),
            sign * decimal(line["net_amount"]),
            text=str(line.get("description") or ""),
        )
        for line in row[kind.lines]
    ]
    if shipping := decimal(row.get("shipping_net_amount")):
        lines.append(FoundLine("shipping", sign * shipping))
    return Found(
        accounting_id=str(row.get("id") or ""),
        reference=marked(note) or str(row.get("displayed_as") or ""),
        customer_id=str((row.get("contact") or {}).get("id") or ""),
        currency=str((row.get("currency") or {}).get("id") or ""),
        lines=() if is_void else tuple(lines),
        note=note,
        dated_on=date.fromisoformat(str(row["date"])),
        is_credit=kind is CREDIT_NOTE,
        is_void=is_void,
        is_draft=status in DRAFTS,
    )
