"""Xero as a place invoices go. A document is made as a draft; where the connection says so, it is then released.

Belongs here: Xero's requests, and what each of its answers means for us. Reading for reconciliation stands in
`vendors/xero.py`; authentication is shared with it.

Our reference is the document's number, and stands in its reference too: a person who gives a draft another number, or
the reference to a purchase order, leaves one of the two. Xero has no note that customers do not see, so the ids of
the approvals stand at the end of the lines they are for.
"""

import itertools
import json
import re
import time
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import httpx

from morton_pipeline.accounting.adapter import Found, FoundLine
from morton_pipeline.accounting.drafts import Draft, marked
from morton_pipeline.accounting.errors import LookupFailed, OutcomeUnknown, Refused
from morton_pipeline.accounting.http import Answer, Api, Dialect, Sleep, decimal
from morton_pipeline.book import Connection
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger.canonical import canonical
from morton_pipeline.ledger.invoices import Line
from morton_pipeline.ledger.store import Ledger
from morton_pipeline.vendors.xero import API, CREDIT_NOTE, INVOICE, PAGE, PRICE_DIGITS, VENDOR, Kind, billed_month, day

TIMEOUT_SECONDS = 100
"""Xero names no deadline of its own; this one is well below the quiet period."""

LONGEST_TEXT = 4000
LONGEST_CODE = 30
CENT = Decimal("0.01")
DRAFTS = ("DRAFT", "SUBMITTED")
RELEASED = ("AUTHORISED", "PAID")
EVERY_STATUS = "DRAFT,SUBMITTED,AUTHORISED,PAID,VOIDED,DELETED"

_APPROVAL = re.compile(r"\[([0-9a-f]{16})\]")
_TAKEN = re.compile(r"(#|number)\W+must be unique", re.IGNORECASE)
_LOCKED = re.compile(r"lock date|locked period|period (is |has been )?locked", re.IGNORECASE)
_ADVICE = (
    (r"currency", "Add the currency in Xero (Settings, Currencies), then post again."),
    (r"archived", "Restore the contact {contact} in Xero (Contacts, Archived), then post again."),
    (r"contact", "Correct accounting_customer_id, now {contact}: it is the id of the client's contact in Xero."),
    (r"item", "Correct accounting_item_id of the service: it is the code of an item in Xero that is sold."),
    (r"account", "Give the item a sales account in Xero, or the connection an account_code, and post again."),
    (r"tax", "Give the item a tax rate in Xero, or the connection a tax_type, and post again."),
)
"""What to do about a refusal, by a word in it; the first that fits."""

Json = Any


def open_xero(
    connection: Connection,
    ledger: Ledger,
    *,
    transport: httpx.BaseTransport | None = None,
    sleep: Sleep = time.sleep,
) -> "Xero":
    """Open a connection to one organisation, with the refresh token the ledger keeps."""
    settings = connection.settings
    status, due_days = str(settings.get("status", "DRAFT")), settings.get("due_days")
    if status not in ("DRAFT", "AUTHORISED"):
        raise BadInput(f"{connection.id}: `status` in connections.yaml is DRAFT or AUTHORISED, not {status}.")
    if due_days is not None and (type(due_days) is not int or due_days < 0):
        raise BadInput(f"{connection.id}: `due_days` in connections.yaml is a number of days, not {due_days}.")
    api = Api(
        connection,
        VENDOR,
        ledger,
        Dialect("Xero", _complaints, shut_out=_shut_out, trace_header="xero-correlation-id"),
        path=API,
        timeout=TIMEOUT_SECONDS,
        transport=transport,
        sleep=sleep,
    )
    coding = {
        word: str(settings[setting])
        for word, setting in (("AccountCode", "account_code"), ("TaxType", "tax_type"))
        if settings.get(setting) is not None
    }
    return Xero(connection.id, api, is_releasing=status == "AUTHORISED", due_days=due_days, coding=coding)


class Xero:
    """One Xero organisation."""

    title = "Xero"
    needs_ids = True
    reference_length = 255
    most_lines = 200
    waits_for = ""

    def __init__(
        self, destination: str, api: Api, *, is_releasing: bool, due_days: int | None, coding: Mapping[str, str]
    ) -> None:
        self.destination, self._api = destination, api
        self._is_releasing, self._due_days, self._coding = is_releasing, due_days, coding
        self.close = api.close

    def check(self) -> None:
        """Xero takes our number wherever numbers are free, so that what is made can be found."""

    def render(self, draft: Draft) -> str:
        """Write the document. It has no date, and takes the day it arrives: no locked period holds that one."""
        kind = _kind(is_credit=draft.is_credit)
        document = {
            "Type": kind.type,
            kind.number: draft.reference,
            "Reference": _mark(draft.reference),
            "Contact": {"ContactID": draft.customer_id},
            "CurrencyCode": draft.currency,
            "LineAmountTypes": "Exclusive",
            "LineItems": [
                self._line(draft, line, code) for line, code in zip(draft.lines, draft.item_ids, strict=True)
            ],
            "Status": "DRAFT",
        }
        return canonical({kind.collection: [document]}, decimals_as_numbers=True)

    def _line(self, draft: Draft, line: Line, code: str) -> dict[str, Json]:
        """Write one line. Xero multiplies, to the cent: where that gives another amount, it is one at the amount."""
        quantity, price, amount = abs(line.quantity), line.unit_price, abs(line.amount)
        text = f"{line.description} [{line.decision_id}]"
        about = f"the invoice for {draft.client_name} is held: "
        if amount != amount.quantize(CENT):
            raise BadInput(
                f"{about}Xero keeps two decimals of an amount, and {amount} {draft.currency} has more. Invoice "
                "this client from another accounting system, or by hand."
            )
        if len(text) > LONGEST_TEXT:
            raise BadInput(
                f"{about}Xero takes {LONGEST_TEXT} characters for a line, and {line.service_id}'s has {len(text)}. "
                "Give the service a shorter name in services.csv."
            )
        if len(code) > LONGEST_CODE:
            raise BadInput(
                f"{about}an item code of Xero has at most {LONGEST_CODE} characters, and accounting_item_id of "
                f"{line.service_id} has {len(code)}. Correct it in services.csv."
            )
        if (quantity * price).quantize(CENT, ROUND_HALF_UP) != amount or _digits(quantity) > 4 or _digits(price) > 4:
            quantity, price = Decimal(1), amount
        return {
            "Description": text,
            "Quantity": quantity,
            "UnitAmount": price,
            "LineAmount": amount,
            "ItemCode": code,
            **self._coding,
        }

    def expect(self, payload: str, *, is_credit: bool) -> Found:
        """Read a body back as the document it asks for."""
        kind = _kind(is_credit=is_credit)
        return _found(json.loads(payload, parse_float=Decimal)[kind.collection][0], kind)

    def find(self, expected: Found) -> list[Found]:
        """Every document with our number; else every one of that customer with our mark in its reference.

        One that was deleted while it was a draft never was in the books, and counts as not made.
        """
        kind, mark = _kind(is_credit=expected.is_credit), _quoted(expected.reference)
        if kind is INVOICE:
            found = self._page(kind, {"InvoiceNumbers": expected.reference, "Statuses": EVERY_STATUS})
        else:
            found = self._page(kind, {"where": f'Type=="{kind.type}" AND {kind.number}=="{mark}"'})
        if not found:
            whose = f'Type=="{kind.type}" AND Contact.ContactID==guid("{_quoted(expected.customer_id)}")'
            found = self._page(kind, {"where": f'{whose} AND Reference!=null AND Reference.Contains("{mark}")'})
        return [f for f in found if f.reference == expected.reference]

    def list_since(self, since: date) -> list[Found]:
        """Invoices and credit notes dated since a day."""
        found: dict[str, Found] = {}
        for kind in (INVOICE, CREDIT_NOTE):
            where = f'Type=="{kind.type}" AND Date>=DateTime({since.year},{since.month},{since.day})'
            for page in itertools.count(1):
                answer = self._ask(kind, {"where": where, "order": kind.id, "page": page})
                rows = _rows(answer, kind)
                found |= {f.accounting_id: f for f in _standing(rows, kind)}
                last = (answer.body.get("pagination") or {}).get("pageCount")
                if not rows or (last is not None and page >= last):
                    break
        return list(found.values())

    def create(self, payload: str, key: str, *, is_credit: bool) -> str:
        """Create the document by PUT: a POST would overwrite one of the same number.

        Whatever is not a clear yes or no is unknown. A refusal may come with status 200, and stands in the element.
        """
        kind = _kind(is_credit=is_credit)
        answer = self._api.send(
            "PUT",
            kind.collection,
            payload,
            params={"summarizeErrors": "false", **PRICE_DIGITS},
            headers={"Idempotency-Key": key},
        )
        customer_id = json.loads(payload)[kind.collection][0]["Contact"]["ContactID"]
        made = self._accepted(answer, kind, customer_id)
        return str(made[kind.id])

    def is_to_release(self, found: Found) -> bool:
        """Drafts wait for a person in Xero, unless the connection says `status: AUTHORISED`."""
        return self._is_releasing and found.is_draft

    def release(self, found: Found) -> None:
        """Approve a draft. It has no key, under which Xero would repeat a refusal: approving twice changes nothing."""
        kind = _kind(is_credit=found.is_credit)
        change: dict[str, Json] = {kind.id: found.accounting_id, "Status": "AUTHORISED"}
        if self._due_days is not None and found.dated_on is not None and kind is INVOICE:
            change["DueDate"] = found.dated_on + timedelta(days=self._due_days)
        path, body = f"{kind.collection}/{found.accounting_id}", canonical({kind.collection: [change]})
        answer = self._api.send("POST", path, body, params=PRICE_DIGITS)
        released = self._accepted(answer, kind, found.customer_id)
        if released.get("Status") not in RELEASED:
            raise OutcomeUnknown(f"Xero answered with a document that is {released.get('Status')}{answer.trace}.")

    def read_back(self, expected: Found, accounting_id: str) -> Found | None:
        """Read one document by its id; a deleted one is gone."""
        kind = _kind(is_credit=expected.is_credit)
        answer = self._api.ask(f"{kind.collection}/{accounting_id}", PRICE_DIGITS)
        if answer.status == 404:
            return None
        found = _standing(_rows(self._allowed(answer), kind), kind)
        return found[0] if found else None

    def _accepted(self, answer: Answer, kind: Kind, customer_id: str) -> Mapping[str, Json]:
        """Return the one document an answer carries; raise what it means when it carries none."""
        said = self._api.said(answer)
        if said or answer.status >= 400:
            words = f"{said or f'status {answer.status}'}{answer.trace}".rstrip(".") + "."
            advice = next((advice for word, advice in _ADVICE if re.search(word, said, re.IGNORECASE)), "")
            is_locked = bool(_LOCKED.search(said))
            if advice and not is_locked:
                words = f"{words} {advice.format(contact=_contact(answer.body) or customer_id)}"
            raise Refused(words, is_duplicate=bool(_TAKEN.search(said)), is_closed_period=is_locked)
        made = answer.body.get(kind.collection) if isinstance(answer.body, dict) else None
        if not isinstance(made, list) or len(made) != 1 or not str(made[0].get(kind.id) or "").strip("0-"):
            raise OutcomeUnknown(f"Xero answered {answer.status} without a document{answer.trace}.")
        found: Mapping[str, Json] = made[0]
        return found

    def _page(self, kind: Kind, params: Mapping[str, str]) -> list[Found]:
        return _standing(_rows(self._ask(kind, {**params, "page": 1}), kind), kind)

    def _ask(self, kind: Kind, params: Mapping[str, str | int]) -> Answer:
        """Ask for a page of documents: only a page carries their lines."""
        return self._allowed(self._api.ask(kind.collection, {**params, "pageSize": PAGE, **PRICE_DIGITS}))

    def _allowed(self, answer: Answer) -> Answer:
        """Let an answer to a question pass: what stands in a document that is there refuses nothing."""
        if answer.status >= 400:
            raise Refused(f"{self._api.said(answer) or f'status {answer.status}'}{answer.trace}")
        return answer


def _kind(*, is_credit: bool) -> Kind:
    return CREDIT_NOTE if is_credit else INVOICE


def _mark(reference: str) -> str:
    return f"Morton {reference}:"


def _digits(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _complaints(body: Json) -> str:
    """Return Xero's own words, or nothing when there is no refusal: a 200 may carry one in its element."""
    if not isinstance(body, dict):
        return ""
    elements: list[Json] = next(
        (body[k] for k in ("Elements", "Invoices", "CreditNotes") if isinstance(body.get(k), list)), []
    )
    said = [words for element in elements if isinstance(element, dict) for words in _errors(element)]
    if said:
        return "; ".join(dict.fromkeys(said))
    if body.get("ErrorNumber") is not None or str(body.get("Type") or "").endswith("Exception"):
        return str(body.get("Message") or "an error without words")
    return ": ".join(str(body[k]) for k in ("Title", "Detail") if body.get(k))


def _errors(element: Mapping[str, Json]) -> list[str]:
    """Find what is wrong with an element, itself or a part of it. One that says it is OK was made, whatever it adds."""
    verdict = element.get("StatusAttributeString")
    is_wrong = element.get("HasErrors") is True or verdict == "ERROR"
    if verdict in ("OK", "WARNING") and not is_wrong:
        return []
    parts = [element, element.get("Contact"), *(element.get("LineItems") or ())]
    said = [
        str(error.get("Message") or error.get("Description") or "an error without words")
        for part in parts
        if isinstance(part, dict)
        for error in part.get("ValidationErrors") or ()
    ]
    return said or (["an error without words"] if is_wrong else [])


def _contact(body: Json) -> str | None:
    """Return the name of the contact a refusal is about, where it says one."""
    for element in (body.get("Elements") or body.get("Invoices") or body.get("CreditNotes") or ()) if body else ():
        if name := (element.get("Contact") or {}).get("Name"):
            return str(name)
    return None


def _shut_out(answer: Answer) -> str | None:
    """Read the refusal that means the whole connection."""
    if answer.status != 403:
        return None
    said = _complaints(answer.body)
    return (
        f"Xero does not let this app into the organisation{f' ({said})' if said else ''}. Nothing was sent: check "
        "xero_tenant_id and the app's scopes, sign in again with `morton connect`, then post again"
    )


def _rows(answer: Answer, kind: Kind) -> list[Mapping[str, Json]]:
    rows = answer.body.get(kind.collection) if isinstance(answer.body, dict) else None
    if not isinstance(rows, list):
        raise LookupFailed(f"Xero answered the question for {kind.collection} without a list{answer.trace}.")
    return rows


def _standing(rows: list[Mapping[str, Json]], kind: Kind) -> list[Found]:
    """Read the sales documents, but for those that were deleted as drafts."""
    return [_found(row, kind) for row in rows if row.get("Type") == kind.type and row.get("Status") != "DELETED"]


def _found(document: Mapping[str, Json], kind: Kind) -> Found:
    """Read a document. What is voided bills nothing, though Xero still shows its lines."""
    number, reference = str(document.get(kind.number) or ""), str(document.get("Reference") or "")
    mark = marked(reference) or (number if billed_month(number, "") else "")
    status, is_credit = document.get("Status"), kind is CREDIT_NOTE
    period = billed_month(number, reference)
    has_tax_inside = document.get("LineAmountTypes") == "Inclusive"
    lines, approvals = list[FoundLine](), list[str]()
    for line in document.get("LineItems") or ():
        text = str(line.get("Description") or "")
        approvals.extend(_APPROVAL.findall(text))
        if line.get("ItemCode") or line.get("LineAmount"):
            net = decimal(line.get("LineAmount")) - (decimal(line.get("TaxAmount")) if has_tax_inside else 0)
            lines.append(FoundLine(str(line.get("ItemCode") or ""), -net if is_credit else net, period, text))
    return Found(
        accounting_id=str(document.get(kind.id) or ""),
        reference=mark or number,
        customer_id=str((document.get("Contact") or {}).get("ContactID") or ""),
        currency=str(document.get("CurrencyCode") or ""),
        lines=() if status == "VOIDED" else tuple(lines),
        note=f"{_mark(mark)} {' '.join(approvals)}" if mark else reference,
        dated_on=day(document),
        is_credit=is_credit,
        is_void=status == "VOIDED",
        is_draft=status in DRAFTS,
    )
