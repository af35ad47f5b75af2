"""Invoice intents and what became of them. An intent is written before any call; every step after it is a new row.

Belongs here: recording intents and steps, and reading the state they add up to. Does not: deciding what the next step
is (`accounting/machine.py`).

States: planned → sending → posted · refused · uncertain · parked. Where a state has several causes, `cause` says which,
in a word: an invoice is parked by a `bound`, a `look_alike`, a `closed_period` or a `mismatch`, or while it is
`undecided` what became of it, which an uncertain one says that was asked about once. A refused one that says
`withdrawn` was taken back by us before it was sent, `gone` and `voided` were deleted and voided there by a person. A
planned one that says `released` was let past what parked it, and a posted one that says `linked` was made by hand.

What a person asks of a system that cannot be called is noted until it can be: a planned one that says `linking` is to
be linked, and is parked as `not_linked` where it could not be. Two causes are remarks on a posted one, which stays what
it is: `asked` wants it read back, and `read_back` says what was found.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import takewhile
from typing import Any

import sqlalchemy as sa

from morton_pipeline.clock import wall
from morton_pipeline.errors import MortonError
from morton_pipeline.ledger import audit, tables
from morton_pipeline.ledger.canonical import text_digest
from morton_pipeline.ledger.store import Ledger

WITHDRAWN = "withdrawn"
LOOK_ALIKE = "look_alike"
BOUND = "bound"
MISMATCH = "mismatch"
UNDECIDED = "undecided"
GONE = "gone"
VOIDED = "voided"
CLOSED_PERIOD = "closed_period"
LINKED = "linked"
RELEASED = "released"
LINKING = "linking"
NOT_LINKED = "not_linked"
ASKED = "asked"
READ_BACK = "read_back"

RELEASABLE = (BOUND, LOOK_ALIKE, NOT_LINKED, UNDECIDED)
"""What parks an invoice until a person lets it past."""


class Overtaken(MortonError):
    """Another process took this invoice's next step first."""


class NoLongerApproved(MortonError):
    """A decision on this invoice was undone or replaced before it was sent."""


@dataclass(frozen=True)
class Line:
    """One approved decision as it is billed."""

    decision_id: str
    discrepancy_id: str
    service_id: str
    kind: str
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    description: str


@dataclass(frozen=True)
class Invoice:
    """An intent and where it stands."""

    invoice_id: str
    reference: str
    destination: str
    client_id: str
    period_month: date
    currency: str
    total_amount: Decimal
    lines: Sequence[Line]
    payload: str
    """What is sent, to the byte: canonical JSON."""
    customer_id: str
    state: str
    cause: str
    reason: str
    accounting_id: str | None
    step: int
    was_sent: bool
    """Whether a call was ever made for it."""
    released: frozenset[str]
    """The causes of its parking that a person let it past, for the body it has now."""
    refusal_count: int
    """How often it was clearly said not to exist: refused, deleted by a person, or released as not there by one."""
    updated_at: datetime
    stepped_at: datetime
    """When the last step was taken, by the real clock."""
    is_asked: bool
    """Whether somebody wants it read back, and it was not yet."""

    @property
    def is_credit(self) -> bool:
        """Whether it gives money back: it is a credit note, and its amounts are negative here."""
        return self.total_amount < 0

    @property
    def payload_sha256(self) -> str:
        """The hash of what is sent, as `morton invoices plan` showed it."""
        return text_digest(self.payload)

    @property
    def link_to(self) -> str | None:
        """The document a person wants it linked to, where that is not done yet."""
        return self.cause.removeprefix(f"{LINKING} ") if self.cause.startswith(f"{LINKING} ") else None

    @property
    def is_open(self) -> bool:
        """Whether it may exist in the accounting system without our knowing."""
        return _is_open(self.state, self.cause, self.was_sent)

    @property
    def is_unsent(self) -> bool:
        """Whether its rows may still be decided anew: nothing was sent, or the accounting system said no."""
        return not self.is_open and self.state != "posted"


def add(
    ledger: Ledger,
    intent: dict[str, Any],
    lines: Sequence[Line],
    *,
    payload: str,
    customer_id: str,
    actor: str,
    at: datetime,
) -> None:
    """Write an intent with its lines and the first step, all or nothing; one that exists is left alone."""
    with audit.write(ledger, actor=actor, at=at) as writer:
        mine = tables.invoices.c.invoice_id == intent["invoice_id"]
        if writer.con.execute(sa.select(tables.invoices.c.invoice_id).where(mine)).first():
            return
        writer.insert(tables.invoices, {**intent, "created_at": at})
        for number, line in enumerate(lines, start=1):
            writer.insert(
                tables.invoice_lines, {"invoice_id": intent["invoice_id"], "line_number": number, **line.__dict__}
            )
        _step(writer, intent["invoice_id"], 1, "planned", payload=payload, customer_id=customer_id)


def step(
    ledger: Ledger,
    invoice: Invoice,
    state: str,
    *,
    actor: str,
    at: datetime,
    reason: str = "",
    cause: str = "",
    accounting_id: str | None = None,
    payload: str | None = None,
    customer_id: str | None = None,
    unless: Callable[[sa.Connection], str | None] = lambda con: None,
) -> None:
    """Take the next step, durable when this returns.

    Raises `Overtaken` when another process took a step since `invoice` was read, and `NoLongerApproved` with the
    sentence `unless` returns, checked in the same transaction.
    """
    with audit.write(ledger, actor=actor, at=at) as writer:
        events = tables.invoice_events.c
        mine = events.invoice_id == invoice.invoice_id
        newest: int = writer.con.execute(sa.select(sa.func.max(events.step)).where(mine)).scalar_one()
        if newest != invoice.step:
            raise Overtaken(f"Another process is sending invoice {invoice.reference}.")
        if objection := unless(writer.con):
            raise NoLongerApproved(objection)
        _step(
            writer,
            invoice.invoice_id,
            newest + 1,
            state,
            cause=cause,
            reason=reason,
            accounting_id=accounting_id,
            payload=payload,
            customer_id=customer_id,
        )


def _step(writer: audit.Writer, invoice_id: str, number: int, state: str, **values: Any) -> None:
    fixed = {"invoice_id": invoice_id, "step": number, "state": state}
    stamps = {"actor": writer.actor, "at": writer.at, "wall_at": wall()}
    writer.insert(tables.invoice_events, {"cause": "", "reason": "", **values, **fixed, **stamps})


def current(ledger: Ledger) -> list[Invoice]:
    """Return every invoice as it stands, by reference."""
    with ledger.read() as con:
        return read(con)


def one(ledger: Ledger, invoice_id: str) -> Invoice:
    """Return one invoice as it stands."""
    with ledger.read() as con:
        return read(con, invoice_id)[0]


def read(con: sa.Connection, invoice_id: str | None = None, *, until: datetime | None = None) -> list[Invoice]:
    """Return every invoice (or one) as it stands, or stood at an instant, by reference, inside a transaction."""

    def rows(table: sa.Table, order: str) -> sa.MappingResult:
        wanted = sa.true() if invoice_id is None else table.c.invoice_id == invoice_id
        return con.execute(sa.select(table).where(wanted).order_by(table.c[order])).mappings()

    lines: dict[str, list[Line]] = {}
    for found in rows(tables.invoice_lines, "line_number"):
        lines.setdefault(found["invoice_id"], []).append(
            Line(**{name: found[name] for name in Line.__dataclass_fields__})
        )
    events: dict[str, list[sa.RowMapping]] = {}
    for event in rows(tables.invoice_events, "step"):
        if until is None or event["at"] <= until:
            events.setdefault(event["invoice_id"], []).append(event)
    return [
        _standing(intent, lines.get(intent["invoice_id"], []), events[intent["invoice_id"]])
        for intent in rows(tables.invoices, "reference")
        if until is None or intent["invoice_id"] in events
    ]


def _standing(intent: sa.RowMapping, lines: Sequence[Line], events: Sequence[sa.RowMapping]) -> Invoice:
    newest, last = events[-1], next(e for e in reversed(events) if e["cause"] not in (ASKED, READ_BACK))
    names = ("invoice_id", "reference", "destination", "client_id", "period_month", "currency", "total_amount")
    since_gone = takewhile(lambda e: e["cause"] != GONE, reversed(events))
    body = next(e for e in reversed(events) if e["payload"] is not None)
    return Invoice(
        **{name: intent[name] for name in names},
        lines=lines,
        payload=body["payload"],
        customer_id=body["customer_id"] or "",
        state=last["state"],
        cause=last["cause"],
        reason=newest["reason"],
        accounting_id=next((e["accounting_id"] for e in since_gone if e["accounting_id"]), None),
        step=newest["step"],
        was_sent=any(e["state"] == "sending" for e in events),
        released=frozenset(
            e["cause"].removeprefix(f"{RELEASED} ")
            for e in events
            if e["step"] >= body["step"] and e["cause"].startswith(f"{RELEASED} ")
        ),
        refusal_count=sum(_is_refusal(e["state"], e["cause"]) for e in events),
        updated_at=last["at"],
        stepped_at=last["wall_at"],
        is_asked=newest["cause"] == ASKED,
    )


def events_of(ledger: Ledger, reference: str) -> list[dict[str, Any]]:
    """Return every step of one invoice, oldest first."""
    with ledger.read() as con:
        found = con.execute(
            sa.select(tables.invoice_events)
            .join(tables.invoices)
            .where(tables.invoices.c.reference == reference)
            .order_by(tables.invoice_events.c.step)
        )
        return [dict(event) for event in found.mappings()]


def holding(con: sa.Connection, discrepancy_id: str) -> dict[str, Any] | None:
    """Return the invoice with this discrepancy whose outcome is open, if there is one."""
    found = _with(con, tables.invoice_lines.c.discrepancy_id == discrepancy_id)
    return next((i for i in found if _is_open(i["state"], i["cause"], i["was_sent"])), None)


def posted_with(con: sa.Connection, decision_id: str) -> dict[str, Any] | None:
    """Return the posted invoice with this decision, if there is one."""
    found = _with(con, tables.invoice_lines.c.decision_id == decision_id)
    return next((i for i in found if i["state"] == "posted"), None)


def _is_refusal(state: str, cause: str) -> bool:
    return (state == "refused" and cause != WITHDRAWN) or cause in (CLOSED_PERIOD, f"{RELEASED} {UNDECIDED}")


def _is_open(state: str, cause: str, was_sent: bool) -> bool:
    """Whether an invoice may exist in the accounting system without our knowing which: its rows must wait."""
    return state in ("sending", "uncertain") or (state == "parked" and cause in (MISMATCH, UNDECIDED) and was_sent)


def _with(con: sa.Connection, which: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    events = tables.invoice_events.c
    steps = tables.invoice_events.alias("steps")
    mine = steps.c.invoice_id == tables.invoices.c.invoice_id
    newest = sa.select(sa.func.max(steps.c.step)).where(mine).correlate(tables.invoices).scalar_subquery()
    sent = tables.invoice_events.alias("sent")
    was_sent = sa.exists().where(sent.c.invoice_id == tables.invoices.c.invoice_id, sent.c.state == "sending")
    found = con.execute(
        sa.select(tables.invoices.c.reference, events.state, events.cause, was_sent.label("was_sent"))
        .join_from(tables.invoice_lines, tables.invoices)
        .join(tables.invoice_events, sa.and_(events.invoice_id == tables.invoices.c.invoice_id, events.step == newest))
        .where(which)
    )
    return [dict(row) for row in found.mappings()]


def status(ledger: Ledger) -> list[dict[str, Any]]:
    """Return one row per invoice, as `morton invoices status` shows it."""
    return [status_row(invoice) for invoice in current(ledger)]


def status_row(invoice: Invoice) -> dict[str, Any]:
    """Return an invoice in the words of `morton invoices status`."""
    return {
        "invoice_id": invoice.invoice_id,
        "reference": invoice.reference,
        "client_id": invoice.client_id,
        "period_month": invoice.period_month,
        "currency": invoice.currency,
        "total_amount": invoice.total_amount,
        "state": invoice.state,
        "reason": invoice.reason,
        "accounting_id": invoice.accounting_id,
        "decision_ids": [line.decision_id for line in invoice.lines],
        "updated_at": invoice.updated_at,
    }
