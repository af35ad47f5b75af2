"""QuickBooks Online as a place invoices go. An invoice posts the moment it is created: there is no draft to take back.

Belongs here: QuickBooks' requests, and what each of its answers means for us. Reading for reconciliation stands in
`vendors/quickbooks_online.py`; authentication is shared with it.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import httpx

from morton_pipeline.accounting.adapter import Found, FoundLine
from morton_pipeline.accounting.drafts import Draft, marked
from morton_pipeline.accounting.errors import LookupFailed, NotSent, OutcomeUnknown, Refused, RunStopped
from morton_pipeline.accounting.http import Answer, Api, Dialect, Sleep, decimal
from morton_pipeline.book import Connection
from morton_pipeline.ledger.canonical import canonical
from morton_pipeline.ledger.store import Ledger
from morton_pipeline.vendors.quickbooks_online import MINOR_VERSION, PAGE, VENDOR

TIMEOUT_SECONDS = 135
"""QuickBooks works on a request for up to 120 s; giving up sooner would make outcomes uncertain that are not."""

_CLOSED = re.compile(r"period (is |has been )?closed|closed period|books (are|have been) closed", re.IGNORECASE)

_ADVICE = (
    (
        re.compile("CustomerRef"),
        ". Make the customer active in QuickBooks, or mend accounting_customer_id in clients.csv; then post again.",
    ),
    (
        re.compile("ItemRef"),
        ". Make the item active in QuickBooks, or mend accounting_item_id in services.csv; then post again.",
    ),
    (
        re.compile("currency", re.IGNORECASE),
        ". Turn the currency on for this customer in QuickBooks, or mend it in clients.csv; then post again.",
    ),
)
"""What mends a refusal, by what QuickBooks names in it."""

Json = Any


def open_quickbooks(
    connection: Connection,
    ledger: Ledger,
    *,
    transport: httpx.BaseTransport | None = None,
    sleep: Sleep = time.sleep,
) -> "QuickBooksOnline":
    """Open a connection to one company, with the refresh token the ledger keeps."""
    api = Api(
        connection,
        VENDOR,
        ledger,
        Dialect("QuickBooks", _fault, _is_throttled, _shut_out, "intuit_tid"),
        path=f"/v3/company/{connection.settings['realm_id']}",
        timeout=TIMEOUT_SECONDS,
        transport=transport,
        sleep=sleep,
    )
    return QuickBooksOnline(connection.id, api, is_numbering=bool(connection.settings.get("custom_numbers", True)))


class QuickBooksOnline:
    """One QuickBooks Online company. Where it numbers invoices itself, ours are found by our mark in their note."""

    title = "QuickBooks"
    needs_ids = True
    reference_length = 21
    most_lines = 750
    waits_for = ""

    def __init__(self, destination: str, api: Api, *, is_numbering: bool) -> None:
        self.destination, self._api, self._is_numbering = destination, api, is_numbering
        self.close = api.close

    def check(self) -> None:
        """Refuse to begin when the company numbers invoices otherwise than the connection says: none could be found."""
        try:
            found = self._query("Preferences", "")
        except (LookupFailed, NotSent, Refused):
            return  # a company that will not say is asked again by the first lookup
        for preferences in found:
            says = preferences.get("SalesFormsPrefs", {}).get("CustomTxnNumbers")
            if says is False and self._is_numbering:
                raise RunStopped(
                    f"{self.destination}: QuickBooks numbers invoices itself. Turn on Custom transaction numbers "
                    "(Account and settings, Sales), or say `custom_numbers: false` in connections.yaml, and post again."
                )
            if says is True and not self._is_numbering:
                raise RunStopped(
                    f"{self.destination}: connections.yaml says `custom_numbers: false`, and QuickBooks leaves numbers "
                    "to us. Take the line out, then post again."
                )

    def render(self, draft: Draft) -> str:
        """Write the document. It has no date, and takes the day it arrives: no closed period holds that one."""
        lines = [
            {
                "LineNum": number,
                "Description": line.description,
                "Amount": abs(line.amount),
                "DetailType": "SalesItemLineDetail",
                "SalesItemLineDetail": {
                    "ItemRef": {"value": item_id},
                    "Qty": abs(line.quantity),
                    "UnitPrice": line.unit_price,
                    "ServiceDate": draft.period_month,
                },
            }
            for number, (line, item_id) in enumerate(zip(draft.lines, draft.item_ids, strict=True), start=1)
        ]
        document = {
            **({"DocNumber": draft.reference} if self._is_numbering else {}),
            "CustomerRef": {"value": draft.customer_id},
            "CurrencyRef": {"value": draft.currency},
            "PrivateNote": draft.note,
            "Line": lines,
        }
        return canonical(document, decimals_as_numbers=True)

    def expect(self, payload: str, *, is_credit: bool) -> Found:
        """Read a body back as the document it asks for."""
        return _found(json.loads(payload, parse_float=Decimal), _entity(is_credit=is_credit))

    def find(self, expected: Found) -> list[Found]:
        """Every document numbered with our reference; where QuickBooks numbers them, every one with our mark."""
        entity = _entity(is_credit=expected.is_credit)
        if self._is_numbering:
            where = f" where DocNumber = '{_quoted(expected.reference)}'"
            return [_found(i, entity) for i in self._query(entity, where)]
        mine = self._every(entity, f"CustomerRef = '{_quoted(expected.customer_id)}'")
        return [found for found in mine if found.reference == expected.reference]

    def list_since(self, since: date) -> list[Found]:
        """Invoices and credit memos dated since a day."""
        return [found for entity in ENTITIES for found in self._every(entity, f"TxnDate >= '{since}'")]

    def create(self, payload: str, key: str, *, is_credit: bool) -> str:
        """Create the document. Whatever is not a clear yes or no is unknown."""
        entity, params = _entity(is_credit=is_credit), {"requestid": key, "minorversion": MINOR_VERSION}
        answer = self._api.send("POST", entity.lower(), payload, params=params)
        said = self._api.said(answer)
        if said or answer.status >= 400:
            advice = next((what for sign, what in _ADVICE if sign.search(said)), "")
            raise Refused(
                f"{said or f'status {answer.status}'}{answer.trace}{advice}",
                is_duplicate="duplicate document number" in said.lower(),
                is_closed_period=bool(_CLOSED.search(said)),
            )
        made = answer.body.get(entity) if isinstance(answer.body, dict) else None
        if not isinstance(made, dict) or not made.get("Id"):
            raise OutcomeUnknown(f"QuickBooks answered {answer.status} without an invoice{answer.trace}.")
        return str(made["Id"])

    def is_to_release(self, found: Found) -> bool:
        """QuickBooks has no drafts: what is made is in the books."""
        return False

    def release(self, found: Found) -> None:
        """Never asked."""

    def read_back(self, expected: Found, accounting_id: str) -> Found | None:
        """Read one document by its id."""
        entity = _entity(is_credit=expected.is_credit)
        try:
            body = self._ask(f"{entity.lower()}/{accounting_id}", {})
        except Refused as failure:
            if re.search(r"object not found|610\b", str(failure), re.IGNORECASE):
                return None
            raise
        if not isinstance(body.get(entity), dict):
            raise LookupFailed(f"QuickBooks answered for invoice {accounting_id} without one.")
        return _found(body[entity], entity)

    def _every(self, entity: str, where: str) -> list[Found]:
        found: list[Found] = []
        while True:
            page = f" where {where} orderby Id startposition {len(found) + 1} maxresults {PAGE}"
            rows = self._query(entity, page)
            found.extend(_found(row, entity) for row in rows)
            if len(rows) < PAGE:
                return found

    def _query(self, entity: str, rest: str) -> list[dict[str, Json]]:
        body = self._ask("query", {"query": f"select * from {entity}{rest}"})
        if not isinstance(body.get("QueryResponse"), dict):
            raise LookupFailed(f"QuickBooks answered the query for {entity} without a QueryResponse.")
        return list(body["QueryResponse"].get(entity) or [])

    def _ask(self, path: str, params: Mapping[str, str]) -> Mapping[str, Json]:
        answer = self._api.ask(path, {**params, "minorversion": MINOR_VERSION})
        said = self._api.said(answer)
        if said or answer.status >= 400 or not isinstance(answer.body, dict):
            raise Refused(f"{said or f'status {answer.status}'}{answer.trace}")
        return answer.body


ENTITIES = ("Invoice", "CreditMemo")


def _entity(*, is_credit: bool) -> str:
    return ENTITIES[is_credit]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _faults(body: Json) -> tuple[Mapping[str, Json], Iterator[Mapping[str, Json]]]:
    """Find a Fault in an answer of any status; both spellings of its keys occur."""
    body = body if isinstance(body, dict) else {}
    fault = {str(k).lower(): v for k, v in (body.get("Fault") or body.get("fault") or {}).items()}
    return fault, ({str(k).lower(): v for k, v in e.items()} for e in fault.get("error") or ())


def _fault(body: Json) -> str:
    """Return QuickBooks' own words, or nothing when there is no Fault."""
    fault, said = _faults(body)
    words = "; ".join(
        ": ".join(str(e[k]) for k in ("message", "detail") if e.get(k)) + f" ({e.get('code')})" for e in said
    )
    return words or ("a Fault without words" if fault else "")


def _fault_type(body: Json) -> str:
    return str(_faults(body)[0].get("type") or "").lower()


def _is_throttled(answer: Answer) -> bool:
    return answer.status == 429 or "throttleexceeded" in _fault(answer.body).lower()


def _shut_out(answer: Answer) -> str | None:
    """Read the faults that mean the whole connection, with whatever status they come."""
    said, kind = _fault(answer.body), _fault_type(answer.body)
    if "authentication" in kind and answer.status != 401:
        return f"QuickBooks answered {answer.status}, {said}. Nothing was sent: sign in again with `morton connect`"
    if "authorization" in kind or re.search(r"\((120|6190)\)", said):
        return (
            f"QuickBooks does not let this app write invoices ({said}). Check the company's subscription and the app's "
            "permissions, then post again"
        )
    return None


def _found(invoice: Mapping[str, Json], entity: str) -> Found:
    """Read a document. The closing subtotal and lines of text do not count towards the total; every other line does."""
    lines, is_credit = [], entity == _entity(is_credit=True)
    for line in invoice.get("Line") or ():
        kind = re.sub("_", "", str(line.get("DetailType"))).lower()
        if kind in ("subtotallinedetail", "descriptiononly"):
            continue
        detail = line.get("SalesItemLineDetail") or {}
        item = str((detail.get("ItemRef") or {}).get("value") or kind)
        sign = (-1 if kind == "discountlinedetail" else 1) * (-1 if is_credit else 1)
        day, text = _day(detail.get("ServiceDate")), str(line.get("Description") or "")
        lines.append(FoundLine(item, sign * decimal(line.get("Amount")), day, text))
    note = str(invoice.get("PrivateNote") or "")
    return Found(
        accounting_id=str(invoice.get("Id") or ""),
        reference=marked(note) or str(invoice.get("DocNumber") or ""),
        customer_id=str((invoice.get("CustomerRef") or {}).get("value") or ""),
        currency=str((invoice.get("CurrencyRef") or {}).get("value") or ""),
        lines=tuple(lines),
        note=note,
        dated_on=_day(invoice.get("TxnDate")),
        is_credit=is_credit,
        # A voided one keeps its number, bills nothing, and says so in its note.
        is_void="void" in note.lower() and not any(line.amount for line in lines),
    )


def _day(text: Json) -> date | None:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None
