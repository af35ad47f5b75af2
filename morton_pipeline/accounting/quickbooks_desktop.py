"""QuickBooks Desktop as a place invoices go. It is asked through the Web Connector's session, one request at a time.

Belongs here: QuickBooks' requests, and what each of its answers means for us. How a request gets there and its answer
back is the session's affair (`connector/`); reading for reconciliation stands in `vendors/quickbooks_desktop.py`.

QuickBooks lets two invoices have one number, and knows no idempotency key. It does keep what became of a message set,
under an id of ours: so each Add goes alone in a set named after its key, and before any Add QuickBooks is asked what
became of that set. An Add whose answer never came has either left its status there, or an invoice with our number, or
was never carried out.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from morton_pipeline import clock
from morton_pipeline.accounting.adapter import Found, FoundLine
from morton_pipeline.accounting.drafts import Draft, marked
from morton_pipeline.accounting.errors import (
    LookupFailed,
    LookupRefused,
    NotSent,
    OutcomeUnknown,
    Refused,
    RunStopped,
    Undecidable,
)
from morton_pipeline.accounting.http import decimal
from morton_pipeline.book import Connection
from morton_pipeline.errors import BadInput
from morton_pipeline.extract import qbxml
from morton_pipeline.ledger.canonical import canonical, plain
from morton_pipeline.vendors.quickbooks_desktop import (
    DOCUMENTS,
    PAGE_OF_DOCUMENTS,
    currency_of,
    home_currency_of,
    selling_lines,
)

REFERENCE_LENGTH = 11
TEXT_LENGTH = 4095
"""Characters of a note or of a line's text."""
NOTHING_KEPT = ("600", "9002")
"""Nothing is kept under that id: no such set was carried out, or it was let go of."""
NOT_PERMITTED = 3260

_CLOSED = re.compile(r"closing date|closed period|books (are|have been) closed", re.IGNORECASE)
_UNWRITABLE = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Ask = Callable[[str], str]
Json = Any


def open_quickbooks_desktop(
    connection: Connection, ask: Ask | None = None, *, today: Callable[[], date] | None = None
) -> "QuickBooksDesktop":
    """Open a company through a session's `ask`. Without one invoices can be planned, and nothing can be asked."""
    return QuickBooksDesktop(
        connection.id,
        ask,
        home_currency=home_currency_of(connection),
        is_pending=bool(connection.settings.get("pending")),
        today=today or (lambda: clock.now().astimezone().date()),
    )


class QuickBooksDesktop:
    """One company file. With `is_pending` invoices wait there, out of the books, until a person makes them final."""

    title = "QuickBooks Desktop"
    needs_ids = True
    reference_length = REFERENCE_LENGTH
    most_lines = 200

    def __init__(
        self, destination: str, ask: Ask | None, *, home_currency: str, is_pending: bool, today: Callable[[], date]
    ) -> None:
        self.destination, self._ask = destination, ask
        self._home_currency, self._is_pending, self._today = home_currency, is_pending, today
        self._kept: list[str] = []
        """Message sets whose outcome we were told: QuickBooks may let go of them once it is recorded."""

    @property
    def waits_for(self) -> str:
        """Outside a session: QuickBooks Desktop cannot be called."""
        return "" if self._ask else "the Web Connector's next visit"

    def check(self) -> None:
        """Refuse to begin outside a session: QuickBooks Desktop cannot be called."""
        if self._ask is None:
            raise RunStopped(caller_sentence(self.destination))

    def render(self, draft: Draft) -> str:
        """Write the document. It has no date, and takes the day it is sent: no closed period holds that one."""
        self._refuse_unfit(draft)
        lines = [
            {
                "ItemRef": {"ListID": item_id},
                "Desc": line.description,
                "Quantity": abs(line.quantity),
                "Amount": abs(line.amount),
                "ServiceDate": draft.period_month,
            }
            for line, item_id in zip(draft.lines, draft.item_ids, strict=True)
        ]
        document = {
            "CustomerRef": {"ListID": draft.customer_id},
            "RefNumber": draft.reference,
            **({"IsPending": True} if self._is_pending else {}),
            "Memo": draft.note,
            "Lines": lines,
            "Currency": draft.currency,
        }
        return canonical(document)

    def _refuse_unfit(self, draft: Draft) -> None:
        who, what = f"{draft.client_name}: the invoice {draft.reference}", "cannot go to QuickBooks Desktop"
        if len(draft.reference) > REFERENCE_LENGTH:
            raise BadInput(
                f"{who} {what}: its number has {len(draft.reference)} characters, {REFERENCE_LENGTH} are the most, and "
                "one that is cut could be another's."
            )
        if len(draft.note) > TEXT_LENGTH:
            raise BadInput(
                f"{who} {what}: its note names {len(draft.lines)} decisions and has {len(draft.note)} characters, "
                f"{TEXT_LENGTH} are the most. Approve fewer rows for this month at a time."
            )
        for line in draft.lines:
            if len(line.description) > TEXT_LENGTH:
                raise BadInput(
                    f"{who} {what}: the text of {line.service_id} has {len(line.description)} characters, "
                    f"{TEXT_LENGTH} are the most. Give the service a shorter name in services.csv."
                )
            if _UNWRITABLE.search(line.description):
                raise BadInput(
                    f"{who} {what}: the text of {line.service_id} holds a character no XML can carry. Correct the "
                    "service's name in services.csv."
                )

    def expect(self, payload: str, *, is_credit: bool) -> Found:
        """Read a body back as the document it asks for."""
        document, sign = json.loads(payload), -1 if is_credit else 1
        return Found(
            accounting_id="",
            reference=document["RefNumber"],
            customer_id=document["CustomerRef"]["ListID"],
            currency=document["Currency"],
            lines=tuple(
                FoundLine(
                    line["ItemRef"]["ListID"], sign * Decimal(line["Amount"]), _day(line["ServiceDate"]), line["Desc"]
                )
                for line in document["Lines"]
            ),
            note=document["Memo"],
            is_credit=is_credit,
        )

    def find(self, expected: Found) -> list[Found]:
        """Every document with our number; QuickBooks compares numbers without regard to case, we do not."""
        self._let_go()
        entity = _entity(is_credit=expected.is_credit)
        rows = self._rows(entity, {"RefNumber": expected.reference, "IncludeLineItems": True})
        return [_found(r, entity, self._home_currency) for r in rows if r.get("RefNumber") == expected.reference]

    def list_since(self, since: date) -> list[Found]:
        """Invoices and credit memos dated since a day."""
        self._let_go()
        return [found for entity in DOCUMENTS for found in self._every(entity, since)]

    def create(self, payload: str, key: str, *, is_credit: bool) -> str:
        """Add the document, once asked what became of its message set. What is no clear yes or no is unknown."""
        document, entity, set_id = json.loads(payload), _entity(is_credit=is_credit), message_set_id(key)
        try:
            before = self._answer(qbxml.message_set(new_id=set_id, old_id=set_id))
        except LookupFailed as failure:
            raise NotSent(f"{self.title} could not be asked whether this was sent before. {failure}") from None
        if f"{entity}AddRs" in before:
            return self._outcome(before, entity, set_id, is_kept=True)
        if (code := before.get("@messageSetStatusCode")) not in NOTHING_KEPT:
            said = f"status {code}" if code else "no status"
            raise Undecidable(f"{self.title} does not say whether this was sent before ({said}).")
        self._check_customer(document)
        request = (f"{entity}AddRq", {f"{entity}Add": self._added(document, entity)})
        try:
            answer = self._answer(qbxml.message_set([request], new_id=set_id))
        except LookupFailed as failure:
            raise OutcomeUnknown(str(failure)) from None
        return self._outcome(answer, entity, set_id)

    def is_to_release(self, found: Found) -> bool:
        """Whoever asked for pending invoices makes them final in QuickBooks."""
        return False

    def release(self, found: Found) -> None:
        """Never asked."""

    def read_back(self, expected: Found, accounting_id: str) -> Found | None:
        """Read one document by its id."""
        entity = _entity(is_credit=expected.is_credit)
        found = self._query(entity, {"TxnID": accounting_id, "IncludeLineItems": True})
        return found[0] if found else None

    def close(self) -> None:
        """Let QuickBooks forget what we have recorded; one it keeps longer does no harm, its id is never used again."""
        try:
            self._let_go()
        except (LookupFailed, NotSent):
            self._kept.clear()

    def _added(self, document: Mapping[str, Json], entity: str) -> dict[str, Json]:
        """Put the fields in the order QuickBooks wants. With the amount given it works out the price, never the sum."""
        names = ("ItemRef", "Desc", "Quantity", "Amount", "ServiceDate")
        lines = [
            {name: plain(Decimal(line[name])) if name == "Quantity" else line[name] for name in names}
            for line in document["Lines"]
        ]
        head = {"CustomerRef": document["CustomerRef"], "TxnDate": self._today(), "RefNumber": document["RefNumber"]}
        pending = {"IsPending": True} if document.get("IsPending") else {}
        return {**head, **pending, "Memo": document["Memo"], f"{entity}LineAdd": lines}

    def _check_customer(self, document: Mapping[str, Json]) -> None:
        """Refuse a customer who cannot be invoiced. An Add names no currency: it takes theirs."""
        customer_id, currency = document["CustomerRef"]["ListID"], document["Currency"]
        try:
            rows = self._rows("Customer", {"ListID": customer_id})
        except LookupFailed as failure:
            raise NotSent(f"{self.title} could not be asked for the customer. {failure}") from None
        if not rows:
            raise Refused(
                f"There is no customer {customer_id}. Correct accounting_customer_id in clients.csv, or make the "
                "customer."
            )
        name, theirs = rows[0].get("FullName") or customer_id, currency_of(rows[0]) or self._home_currency
        if rows[0].get("IsActive") == "false":
            raise Refused(f"The customer {name} ({customer_id}) is inactive. Make it active there, or name another.")
        if theirs != currency:
            raise Refused(
                f"The customer {name} ({customer_id}) is invoiced in {theirs}, and this is in {currency}. Give the "
                "client's contracts the customer's currency, or name a customer of this one. What the company file "
                "counts in is said by `currency:` of the connection."
            )

    def _outcome(self, answer: Mapping[str, Json], entity: str, set_id: str, *, is_kept: bool = False) -> str:
        """Read what became of an Add, from its own answer or from what was kept of it.

        Nothing of our number or mark was there when we looked just before: so a failure that was kept is a clear no,
        and a success that was kept is none we can show.
        """
        result = answer.get(f"{entity}AddRs")
        code = qbxml.status(result)
        if code is None or not isinstance(result, Mapping):
            raise Undecidable(f"{self.title} answered without saying what became of the invoice.")
        made = result.get(f"{entity}Ret")
        if code < 1000 and isinstance(made, Mapping) and made.get("TxnID"):
            self._kept.append(set_id)
            return str(made["TxnID"])
        if code < (1000 if is_kept else 2000):
            raise Undecidable(f"{self.title} did not say that it made the invoice: {qbxml.words(result)}.")
        self._kept.append(set_id)
        self._refuse_outsiders(code, result)
        said = qbxml.words(result)
        raise Refused(said, is_closed_period=bool(_CLOSED.search(said)))

    def _every(self, entity: str, since: date) -> Iterator[Found]:
        fields = {
            "MaxReturned": PAGE_OF_DOCUMENTS,
            "TxnDateRangeFilter": {"FromTxnDate": since},
            "IncludeLineItems": True,
        }
        answer = self._result(entity, {"@iterator": "Start", **fields})
        while True:
            yield from (_found(row, entity, self._home_currency) for row in _documents(answer, entity))
            if not int(answer.get("@iteratorRemainingCount") or 0):
                return
            place = {"@iterator": "Continue", "@iteratorID": answer.get("@iteratorID")}
            answer = self._result(entity, {**place, **fields})

    def _query(self, entity: str, fields: qbxml.Fields) -> list[Found]:
        return [_found(row, entity, self._home_currency) for row in self._rows(entity, fields)]

    def _rows(self, entity: str, fields: qbxml.Fields) -> Sequence[Mapping[str, Json]]:
        return _documents(self._result(entity, fields), entity)

    def _result(self, entity: str, fields: qbxml.Fields) -> Mapping[str, Json]:
        """Ask one question. Raises `LookupFailed` where the answer is none."""
        result = self._answer(qbxml.message_set([(f"{entity}QueryRq", fields)])).get(f"{entity}QueryRs")
        code = qbxml.status(result)
        if code is None or not isinstance(result, Mapping):
            raise LookupFailed(f"{self.title} answered the query for {entity} without saying what became of it.")
        if code >= 1000:
            self._refuse_outsiders(code, result)
            kind = LookupRefused if code >= 3000 else LookupFailed
            raise kind(f"{self.title} refused the query for {entity}: {qbxml.words(result)}.")
        return result

    def _answer(self, request: str) -> dict[str, Json]:
        """Have a message set carried out. Raises `NotSent` where nobody took it, `LookupFailed` without an answer."""
        if self._ask is None:
            raise RunStopped(caller_sentence(self.destination))
        try:
            return qbxml.answers(self._ask(request))
        except qbxml.Unanswered as failure:
            kind = LookupFailed if failure.was_handed_over else NotSent
            raise kind(f"{failure}") from None
        except qbxml.BadXml as problem:
            raise LookupFailed(f"{self.title}'s answer cannot be read: {problem}") from None

    def _refuse_outsiders(self, code: int, result: Mapping[str, Json]) -> None:
        if code == NOT_PERMITTED:
            raise RunStopped(
                f"{self.destination}: {self.title} does not permit this application to do that "
                f"({qbxml.words(result)}). Allow it under Edit, Preferences, Integrated "
                "Applications, then let the Web Connector run again."
            )

    def _let_go(self) -> None:
        """Have QuickBooks forget the sets whose outcome is recorded by now."""
        while self._kept:
            self._answer(qbxml.message_set(old_id=self._kept[-1]))
            self._kept.pop()


def caller_sentence(connection_id: str) -> str:
    """Say that this system cannot be called, and what to run instead."""
    return (
        f"{connection_id}: QuickBooks Desktop fetches its work itself, through Intuit's Web Connector, and cannot be "
        "called. Keep `morton connector` running: what is approved is sent, and what was invoiced is read, "
        "whenever the Web Connector comes. It comes at once when somebody presses Update Selected there."
    )


def message_set_id(key: str) -> str:
    """Return the id of the message set an idempotency key's document goes in: the same for the same key."""
    return base64.b32encode(hashlib.sha256(key.encode()).digest()).decode()[: qbxml.ID_LENGTH]


def _entity(*, is_credit: bool) -> str:
    return DOCUMENTS[is_credit]


def _documents(answer: Mapping[str, Json], entity: str) -> Sequence[Mapping[str, Json]]:
    return [] if qbxml.status(answer) in qbxml.ABSENT else qbxml.many(answer.get(f"{entity}Ret"))


def _found(document: Mapping[str, Json], entity: str, home_currency: str) -> Found:
    """Read a document. A line that only adds up others counts twice: what the head says is the total, and makes up."""
    sign = -1 if entity == DOCUMENTS[1] else 1
    lines = [
        FoundLine(
            str((line.get("ItemRef") or {}).get("ListID") or "text"),
            sign * decimal(line["Amount"]),
            _day(line.get("ServiceDate")),
            str(line.get("Desc") or ""),
        )
        for line in selling_lines(document, entity)
        if line.get("Amount")
    ]
    summed = sum((line.amount for line in lines), Decimal(0))
    total = sign * decimal(document.get("Subtotal")) if document.get("Subtotal") else summed
    if total != summed:
        lines.append(FoundLine("subtotals", total - summed))
    note = str(document.get("Memo") or "")
    return Found(
        accounting_id=str(document.get("TxnID") or ""),
        reference=marked(note) or str(document.get("RefNumber") or ""),
        customer_id=str((document.get("CustomerRef") or {}).get("ListID") or ""),
        currency=currency_of(document) or home_currency,
        lines=tuple(lines),
        note=note,
        dated_on=_day(document.get("TxnDate")),
        is_credit=sign < 0,
        # A voided one keeps its number, bills nothing, and says so in its note.
        is_void=note.upper().startswith("VOID") and not any(line.amount for line in lines),
        is_draft=document.get("IsPending") == "true",
    )


def _day(text: Json) -> date | None:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None
