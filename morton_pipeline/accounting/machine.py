"""The one state machine every invoice goes through, whatever the accounting system: money leaves once.

    planned ──▶ sending ──▶ posted
       │           ├──────▶ refused     it said no; posted again once the cause is fixed
       │           └──────▶ uncertain   we cannot know: wait, look up our reference, then adopt it or send the same;
       │                                what was approved is another amount by now: take it back, never send it
       └──────────────────▶ parked      a person must act; the reason says how

A system with drafts is given one first: it is compared to the cent, and released only then.

Belongs here: which step follows which. Every step is durable before what it announces is done. Does not: an accounting
system's API (its adapter), or what is sent (`drafts.py`).
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from morton_pipeline.accounting import drafts
from morton_pipeline.accounting.adapter import Adapter, Found, difference
from morton_pipeline.accounting.drafts import Draft
from morton_pipeline.accounting.errors import (
    AccountingError,
    LookupFailed,
    NotSent,
    OutcomeUnknown,
    Refused,
    RunStopped,
    Undecidable,
)
from morton_pipeline.accounting.seeds import Seeds
from morton_pipeline.book import Limits
from morton_pipeline.clock import wall
from morton_pipeline.failpoints import side_effect
from morton_pipeline.ledger import decisions, invoices
from morton_pipeline.ledger.canonical import plain, rounded
from morton_pipeline.ledger.invoices import Invoice
from morton_pipeline.ledger.store import Ledger
from morton_pipeline.rates import NoRate, Rates, Worth

_MEND = "Correct it there, delete it to have it sent anew, or void it to drop it; then post again."

MOST_SILENCES = 3
"""Unanswered questions in a row after which a run gives up: the rest would only wait as long each."""


Rows = Mapping[str, Mapping[str, Any]]
"""The mart's rows by discrepancy."""


class Enough(Exception):
    """This run sends no more; what is left stays as it is."""


@dataclass
class Run:
    """One call of `post`: what it has sent so far, measured against the bounds."""

    ledger: Ledger
    target: Adapter
    limits: Limits
    rates: Rates
    seeds: Seeds
    at: datetime
    actor: str
    rows: Rows
    """The mart's rows by discrepancy, as they are now."""
    seen: set[str] = field(default_factory=set)
    sent_count: int = 0
    sent_amount: Decimal = Decimal(0)
    """What was sent so far, in the book's main currency."""
    silences: int = 0
    blocked: set[str] = field(default_factory=set)
    """Discrepancies that an invoice without an approval may still bill."""
    _listed: tuple[date, list[Found]] | None = None
    """What the accounting system has, and since when: asked once in a run, unless an older month comes later."""

    def others(self, month: date) -> list[Found]:
        """Return the documents dated since the month before a period: one that bills in advance is dated then."""
        since = month_before(month)
        if self._listed is None or since < self._listed[0]:
            self._listed = (since, self.target.list_since(since))
        return self._listed[1]

    @cached_property
    def known(self) -> set[str]:
        """The references this ledger knows. A document of ours that is none of them was sent by a ledger since lost."""
        return {i.reference for i in invoices.current(self.ledger)}

    def mine(self) -> list[Invoice]:
        """Return the invoices meant for this accounting system."""
        return [i for i in invoices.current(self.ledger) if i.destination == self.target.destination]

    def settle(self, invoice: Invoice) -> None:
        """Find out what became of an invoice whose sender never learnt it; only when it is nowhere, send it again.

        The quiet period runs by the real clock: an accounting system's own deadlines know nothing of MORTON_NOW. What
        is nowhere and no longer as it was approved is taken back instead.
        """
        self.seen.add(invoice.reference)
        if wall() - invoice.stepped_at < timedelta(seconds=self.limits.quiet_period_seconds):
            return
        if invoice.state == "sending":
            stepped = self._step(
                invoice, "uncertain", reason="The process that was sending it ended before an answer came."
            )
            if stepped is None:
                return
            invoice = stepped
        found = self._find(invoice)
        if found is None or (self._is_unwanted(invoice) and any(not f.is_void for f in found)):
            return
        if self._settled(invoice, found):
            return
        if invoice.state == "parked" and invoice.cause == invoices.UNDECIDED:
            return
        # Its id was known once, and it is nowhere by number, by mark or by that id.
        if invoice.state == "parked" or invoice.accounting_id:
            self._step(invoice, "refused", cause=invoices.GONE, reason=f"It was deleted in {self.target.title}.")
        elif why := self._void(invoice):
            said = f"{self.target.title} never made this invoice, and it was taken back. {why}"
            self._step(invoice, "refused", cause=invoices.WITHDRAWN, reason=said)
        else:
            self._create(invoice)

    def _void(self, invoice: Invoice) -> str | None:
        """Say why the approvals of an invoice no longer count, or nothing when all is as it was approved.

        A row that changed voids them, and so does a customer or an item that is another one in the seeds now.
        """
        with self.ledger.read() as con:
            if lost := undone(con, invoice):
                return lost
            standing = decisions.latest(con, [line.discrepancy_id for line in invoice.lines])
        approved = [standing[line.discrepancy_id] for line in invoice.lines]
        changes = [drafts.change(decision, self.rows.get(decision["discrepancy_id"])) for decision in approved]
        if self.target.needs_ids:
            changes += [drafts.billed_to_another(decision, self.seeds) for decision in approved]
        return " ".join(change for change in changes if change) or None

    def _is_unwanted(self, invoice: Invoice) -> bool:
        """Whether an invoice is there without an approval: it is never taken for posted, a person must remove it."""
        with self.ledger.read() as con:
            return undone(con, invoice) is not None

    def withdraw(self, invoice: Invoice, why: str) -> None:
        """Take back an invoice that lost an approval. One that was ever sent is looked for first."""
        if invoice.destination != self.target.destination:
            return
        self.seen.add(invoice.reference)
        if invoice.was_sent:
            found = self._find(invoice)
            if found is None or found:
                self.blocked.update(line.discrepancy_id for line in invoice.lines)
            if found is None:
                return
            if found:
                said = f"{self._named(found)} exists without an approval: void or delete it there. {why}"
                self._park(invoice, invoices.MISMATCH, said)
                return
        self._step(invoice, "refused", cause=invoices.WITHDRAWN, reason=why)

    def wait(self, invoice: Invoice, why: str) -> None:
        """Say why an invoice planned earlier cannot be written now; one that is refused or parked has its reason."""
        self.seen.add(invoice.reference)
        self._note(invoice, why)

    def send(self, draft: Draft) -> None:
        """Send a draft: its intent first, durable, then the call."""
        if any(line.discrepancy_id in self.blocked for line in draft.lines):
            return
        invoice = self._intend(draft)
        if invoice is None or self._bounded(invoice):
            return
        found = self._find(invoice)
        if found is None or self._settled(invoice, found) or self._resembles(invoice):
            return
        self.sent_count += 1
        with suppress(NoRate):
            self.sent_amount += self._worth(abs(invoice.total_amount), invoice.currency).amount
        self._create(invoice)

    def _intend(self, draft: Draft) -> Invoice | None:
        """Write the intent, or bring the one of an earlier run up to date; nothing where it is not to be sent.

        What a person says is there already is not sent before it is linked, nor where it could not be, before it is
        released.
        """
        self.seen.add(draft.reference)
        with side_effect("intend"):
            invoices.add(
                self.ledger,
                draft.intent,
                draft.lines,
                payload=draft.payload,
                customer_id=draft.customer_id,
                actor=self.actor,
                at=self.at,
            )
        invoice = invoices.one(self.ledger, draft.invoice_id)
        if not invoice.is_unsent or invoice.link_to or invoice.cause == invoices.NOT_LINKED:
            return None
        if invoice.cause == invoices.WITHDRAWN or invoice.payload != draft.payload:
            return self._step(invoice, "planned", payload=draft.payload, customer_id=draft.customer_id)
        return invoice

    def _bounded(self, invoice: Invoice) -> bool:
        """Park what exceeds a safety bound, and leave parked what a bound parked until that bound is raised."""
        limits, main = self.limits, self.rates.main_currency
        checks = [("invoices_per_run", Decimal(limits.invoices_per_run), Decimal(self.sent_count + 1), "send", "")]
        try:
            worth = self._worth(abs(invoice.total_amount), invoice.currency)
        except NoRate as missing:
            if self._unmeasured(invoice, missing):
                return True
        else:
            how = f" {main} ({worth.said})" if worth.said else ""
            total = self.sent_amount + worth.amount
            checks.insert(0, ("amount_per_invoice", limits.amount_per_invoice, worth.amount, "come to", how))
            checks.append(("amount_per_run", limits.amount_per_run, total, "come to", how))
        for name, limit, value, verb, how in checks:
            cause = f"{invoices.BOUND} {name} {plain(limit)}"
            is_standing = invoice.state == "parked" and invoice.cause == cause
            if (value > limit or is_standing) and cause not in invoice.released:
                what = "this invoice comes to" if name == "amount_per_invoice" else f"with it this run would {verb}"
                said = (
                    f"The bound {name} is {plain(limit)}, and {what} {plain(rounded(value, main))}{how}. Nothing was "
                    f"sent: check the invoice, then raise limits.{name} in connections.yaml or release it "
                    f"(`morton invoices post --release {invoice.reference}`)."
                )
                self._park(invoice, cause, invoice.reason if is_standing else said)
                return True
        return False

    def _worth(self, amount: Decimal, currency: str) -> Worth:
        """Return what an amount is worth in the book's main currency on the day of this run. Raises `NoRate`."""
        return self.rates.worth(amount, currency, self.at.date())

    def _unmeasured(self, invoice: Invoice, missing: NoRate) -> bool:
        """Park what cannot be held against the bounds, until there is a rate or a person lets it past; say whether."""
        cause = f"{invoices.BOUND} exchange_rate {missing.pair}"
        if cause in invoice.released:
            return False
        said = (
            f"Nobody can tell whether it is within the bounds, which are in {self.rates.main_currency}. {missing} "
            "Nothing was sent: then post again, or release it "
            f"(`morton invoices post --release {invoice.reference}`)."
        )
        self._park(invoice, cause, said)
        return True

    def _find(self, invoice: Invoice) -> list[Found] | None:
        """Look up our reference; nothing when there was no answer, and then nothing is sent either."""
        try:
            found = self.target.find(_expected(self.target, invoice)) or self._renumbered(invoice)
        except NotSent as failure:
            self._note(invoice, str(failure))
            raise Enough from failure
        except (LookupFailed, Refused) as failure:
            self._note(
                invoice,
                f"{self.target.title} could not be asked whether it has this invoice; nothing was sent. {failure}",
            )
            self.silences += 1
            if self.silences >= MOST_SILENCES:
                raise Enough from failure
            return None
        self.silences = 0
        return found

    def _renumbered(self, invoice: Invoice) -> list[Found]:
        """Return the documents that are this invoice by our mark or the id we know, whatever number they have now."""
        decided = [line.decision_id for line in invoice.lines]

        def is_mine(other: Found) -> bool:
            if mark := drafts.marked(other.note):
                return mark == invoice.reference
            return any(decision_id in line.text for line in other.lines for decision_id in decided)

        ids = {other.accounting_id for other in self.others(invoice.period_month) if is_mine(other)}
        if invoice.accounting_id:
            ids.add(invoice.accounting_id)
        expected = _expected(self.target, invoice)
        return [f for f in (self.target.read_back(expected, i) for i in sorted(ids)) if f is not None]

    def _settled(self, invoice: Invoice, found: list[Found]) -> bool:
        """Adopt the one invoice that is ours, park what is not clear; say whether that settled it."""
        if not found:
            return False
        found = [f for f in found if not f.is_void] or found[:1]
        said = difference(_expected(self.target, invoice), found[0])
        if found[0].is_void:
            reason = f"{self._named(found)} with this number was voided. {drafts.VOIDED}"
            self._step(invoice, "refused", cause=invoices.VOIDED, reason=reason)
        elif len(found) > 1:
            self._park(
                invoice,
                invoices.MISMATCH,
                f"{self.target.title} has {len(found)} invoices numbered {invoice.reference} ({self._named(found)}): "
                "void all but one there, then post again.",
            )
        elif said:
            self._park(
                invoice,
                invoices.MISMATCH,
                f"{self._named(found)} has this number, but {said}. {_MEND}",
            )
        elif self.target.is_to_release(found[0]):
            self._release(invoice, found[0])
        else:
            existed = "" if invoice.was_sent else "It existed already and is the same to the cent; nothing was sent. "
            reason = f"{existed}{self._waiting(found[0])}".strip()
            self._step(invoice, "posted", accounting_id=found[0].accounting_id, reason=reason)
        return True

    def _resembles(self, invoice: Invoice) -> bool:
        """Park an invoice that seems to exist under another number: made by hand, or by a ledger since restored."""
        expected, others = _expected(self.target, invoice), self.others(invoice.period_month)
        for other in () if invoices.LOOK_ALIKE in invoice.released else others:
            if said := self._likeness(invoice, expected, other):
                self._park(
                    invoice,
                    invoices.LOOK_ALIKE,
                    f"{self._named([other])} {said}. Nothing was sent. If it bills the same, link it "
                    f"(`morton invoices link {invoice.reference} {other.accounting_id}`); if not, release this one "
                    f"(`morton invoices post --release {invoice.reference}`).",
                )
                return True
        return self._jumps(invoice, expected)

    def _likeness(self, invoice: Invoice, expected: Found, other: Found) -> str | None:
        """Say in what a document of another number is like this one."""
        if other.is_void or other.customer_id != expected.customer_id or other.is_credit != expected.is_credit:
            return None
        if invoice.reference in (other.reference, drafts.marked(other.note)):
            return None
        number = other.reference or "without a number"
        if mark := drafts.marked(other.note):
            if shared := [x.decision_id for x in invoice.lines if x.decision_id in other.note]:
                return f"({number}) bills decision {shared[0]} already"
            if mark in self.known:
                return None
            texts = " ".join(line.text for line in other.lines)
            if again := [x.discrepancy_id for x in invoice.lines if x.discrepancy_id in texts]:
                return (
                    f"({number}) bills row {again[0]} already and is unknown to this ledger, which must have been "
                    "restored from an older copy"
                )
        month = f"{invoice.period_month:%Y-%m}"
        for line in expected.lines:
            for twin in other.lines:
                if (twin.item_id, twin.amount) == (line.item_id, line.amount) and _is_about(
                    twin.served_on, other.dated_on, invoice.period_month
                ):
                    return f"({number}) has a line of {plain(abs(line.amount))} for item {line.item_id} in {month}"
        return None

    def _jumps(self, invoice: Invoice, expected: Found) -> bool:
        """Park an invoice out of all proportion to what its client was billed in the month before."""
        bound, before = self.limits.change_factor, month_before(invoice.period_month)
        earlier = [
            (other.net_amount, other.currency or invoice.currency)
            for other in self.others(invoice.period_month)
            if other.customer_id == expected.customer_id
            and not other.is_void
            and not other.is_credit
            and other.dated_on is not None
            and other.dated_on.replace(day=1) == before
        ]
        cause = f"{invoices.BOUND} change_factor {plain(bound)}"
        if not earlier or cause in invoice.released:
            return False
        amount, billed = abs(invoice.total_amount), sum((x for x, _ in earlier), Decimal(0))
        currency, how = invoice.currency, ""
        if {theirs for _, theirs in earlier} != {currency}:
            try:
                worth = self._worth(amount, currency)
                billed = sum((self._worth(*one).amount for one in earlier), Decimal(0))
            except NoRate as missing:
                return self._unmeasured(invoice, missing)
            amount, currency, how = worth.amount, self.rates.main_currency, f" ({worth.said})" if worth.said else ""
        if not billed or amount <= billed * bound:
            return False
        said = (
            f"It comes to {plain(rounded(amount, currency))} {currency}{how}, and all that {self.target.title} has for "
            f"this client in {before:%B %Y} is {plain(rounded(billed, currency))}: more than limits.change_factor "
            f"({plain(bound)}) times that. Nothing was sent: check the invoice, then raise the bound in "
            f"connections.yaml or release it (`morton invoices post --release {invoice.reference}`)."
        )
        self._park(invoice, cause, said)
        return True

    def _create(self, invoice: Invoice) -> None:
        """Announce, call, and record the answer."""
        safe = "uncertain" if invoice.state in ("sending", "uncertain") else "planned"
        sending = self._step(invoice, "sending")
        if sending is None:
            return
        try:
            with side_effect("create"):
                key = drafts.request_key(sending)
                accounting_id = self.target.create(sending.payload, key, is_credit=sending.is_credit)
        except Undecidable as failure:
            self._undecided(sending, failure, was_asked=invoice.cause == invoices.UNDECIDED)
        except OutcomeUnknown as failure:
            self._step(
                sending,
                "uncertain",
                reason=f"{failure} It is looked up after {self.limits.quiet_period_seconds} s, before any second try.",
            )
        except Refused as failure:
            self._refused(sending, failure)
        except (NotSent, RunStopped) as failure:
            self._step(sending, safe, reason=str(failure))
            if isinstance(failure, RunStopped):
                raise
            raise Enough from failure
        else:
            self._read_back(sending, accounting_id)

    def _undecided(self, sending: Invoice, failure: Undecidable, *, was_asked: bool) -> None:
        """Wait once more where nobody can tell whether it was made, then leave it to a person: never a second try."""
        if not was_asked:
            said = f"{failure} It is asked once more after {self.limits.quiet_period_seconds} s."
            self._step(sending, "uncertain", cause=invoices.UNDECIDED, reason=said)
            return
        total = f"{plain(abs(sending.total_amount))} {sending.currency}"
        self._park(
            sending,
            invoices.UNDECIDED,
            f"{failure} It shows no document numbered {sending.reference} or with that mark in its note, and nothing "
            f"more is sent. Look there for one of {total} to customer {sending.customer_id}: give it that number, in "
            "its note too, and it is taken for this one; if there is none, release this one "
            f"(`morton invoices post --release {sending.reference}`).",
        )

    def _refused(self, sending: Invoice, failure: Refused) -> None:
        title = self.target.title
        if failure.is_closed_period:
            self._park(
                sending,
                invoices.CLOSED_PERIOD,
                f"The books are closed in {title} for this date ({failure}). Open the period there and post again: the "
                "invoice takes the day it arrives, and its lines name the month they are for.",
            )
            return
        if failure.is_duplicate:
            found = self._find(sending)
            if found is None:
                self._step(
                    sending, "uncertain", reason=f"{title} says the number is taken, and could not be asked by what."
                )
            elif not self._settled(sending, found):
                self._park(
                    sending,
                    invoices.MISMATCH,
                    f"{title} says the number is taken ({failure}), but shows no such invoice.",
                )
            return
        self._step(sending, "refused", reason=f"{title} refused the invoice of {sending.client_id}: {failure}")

    def _read_back(self, sending: Invoice, accounting_id: str) -> None:
        """Posted means seen: the invoice is read back and compared with what was approved."""
        title = self.target.title
        try:
            found = self.target.read_back(_expected(self.target, sending), accounting_id)
        except AccountingError as failure:
            self._step(
                sending,
                "uncertain",
                accounting_id=accounting_id,
                reason=f"{title} made invoice {accounting_id}, but it could not be read back. {failure}",
            )
            if isinstance(failure, RunStopped):
                raise
            return
        if found is None:
            lost = f"{title} made invoice {accounting_id}, and cannot find it."
            self._step(sending, "uncertain", accounting_id=accounting_id, reason=lost)
        elif said := difference(_expected(self.target, sending), found):
            self._step(
                sending,
                "parked",
                cause=invoices.MISMATCH,
                accounting_id=accounting_id,
                reason=f"{title} made invoice {accounting_id}, but {said}. {_MEND}",
            )
        elif self.target.is_to_release(found):
            self._release(sending, found)
        else:
            self._step(sending, "posted", accounting_id=accounting_id, reason=self._waiting(found))

    def _release(self, invoice: Invoice, draft: Found) -> None:
        """Put a draft that is the approved one to the cent into the books; whatever is not a clear yes rests."""
        title, accounting_id = self.target.title, draft.accounting_id
        if why := self._void(invoice):
            said = f"{title} has draft {accounting_id} of this invoice, and it was not released: delete it there. {why}"
            self._park(invoice, invoices.MISMATCH, said, accounting_id=accounting_id)
            return
        # Whoever takes this step is the one who releases it, and only while it is approved.
        stepped = self._step(invoice, "sending", accounting_id=accounting_id)
        if stepped is None:
            return
        invoice = stepped
        try:
            with side_effect("release"):
                self.target.release(draft)
        except Refused as failure:
            said = f"Invoice {accounting_id} stays a draft in {title}, which will not release it: {failure}"
            if failure.is_closed_period:
                said += " Open the period there and post again."
            self._park(invoice, invoices.MISMATCH, f"{said} {_MEND}", accounting_id=accounting_id)
        except AccountingError as failure:
            said = f"{title} made invoice {accounting_id}, and its release had no clear answer. {failure}"
            self._step(invoice, "uncertain", accounting_id=accounting_id, reason=said)
            if isinstance(failure, RunStopped):
                raise
            if isinstance(failure, NotSent):
                raise Enough from failure
        else:
            self._step(invoice, "posted", accounting_id=accounting_id)

    def _waiting(self, found: Found) -> str:
        """Say of a draft that stays one that it is not in the books yet."""
        return f"It waits as a draft in {self.target.title}: approve it there." if found.is_draft else ""

    def _park(self, invoice: Invoice, cause: str, reason: str, **values: Any) -> None:
        if (invoice.state, invoice.cause, invoice.reason) != ("parked", cause, reason):
            self._step(invoice, "parked", cause=cause, reason=reason, **values)

    def _note(self, invoice: Invoice, reason: str) -> None:
        """Say why an invoice stands still, without moving it or its quiet period."""
        if invoice.state == "planned" and invoice.reason != reason:
            self._step(invoice, "planned", reason=reason)

    def _step(self, invoice: Invoice, state: str, **values: Any) -> Invoice | None:
        """Take a step and return the invoice after it; nothing when another process was first or an approval gone."""

        def unless(con: sa.Connection) -> str | None:
            return undone(con, invoice) if state == "sending" else None

        try:
            with side_effect(f"step {state}"):
                invoices.step(self.ledger, invoice, state, actor=self.actor, at=self.at, unless=unless, **values)
        except (invoices.Overtaken, invoices.NoLongerApproved):
            return None
        return invoices.one(self.ledger, invoice.invoice_id)

    def _named(self, found: list[Found]) -> str:
        return f"{self.target.title} invoice {' and '.join(f.accounting_id for f in found)}"


def month_before(month: date) -> date:
    """Return the first day of the month before."""
    return (month.replace(day=1) - timedelta(days=1)).replace(day=1)


def undone(con: sa.Connection, invoice: Invoice) -> str | None:
    """Say which approvals of an invoice no longer stand, or nothing when all do."""
    standing = decisions.latest(con, [line.discrepancy_id for line in invoice.lines])
    lost = [x.discrepancy_id for x in invoice.lines if _is_lost(standing.get(x.discrepancy_id), x.decision_id)]
    return f"The approval of {' and '.join(lost)} was undone." if lost else None


def _is_lost(standing: Mapping[str, Any] | None, decision_id: str) -> bool:
    return standing is None or standing["decision_id"] != decision_id or standing["action"] != "approve"


def _is_about(served_on: date | None, dated_on: date | None, month: date) -> bool:
    """Whether a line may bill a month: by its service date, else by its document's: in arrears, or in advance."""
    if served_on is not None:
        return served_on.replace(day=1) == month
    near = {month_before(month), month, (month + timedelta(days=32)).replace(day=1)}
    return dated_on is not None and dated_on.replace(day=1) in near


def _expected(target: Adapter, invoice: Invoice) -> Found:
    return target.expect(invoice.payload, is_credit=invoice.is_credit)
