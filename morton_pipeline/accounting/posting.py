"""Planning, posting and verifying the invoices of a book: what the command line, the schedule and the page call.

Belongs here: where a book's invoices go, and the order of a run. Does not: the steps of one invoice (`machine.py`).
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from morton_pipeline.accounting import drafts
from morton_pipeline.accounting.adapter import Adapter, Found, difference
from morton_pipeline.accounting.drafts import Plan
from morton_pipeline.accounting.errors import LookupFailed, LookupRefused, NotSent
from morton_pipeline.accounting.machine import Enough, Rows, Run, month_before, undone
from morton_pipeline.accounting.seeds import read_seeds
from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.failpoints import side_effect
from morton_pipeline.ledger import invoices
from morton_pipeline.ledger.invoices import Invoice, status
from morton_pipeline.ledger.store import Ledger
from morton_pipeline.rates import read_rates

__all__ = ["ask_to_verify", "link", "open_adapter", "plan", "post", "status", "verify", "verify_as_asked"]

LONGEST_ID = 60
"""Characters of the longest id an accounting system gives a document, and more."""


def plan(
    book: Book, ledger: Ledger, current_rows: Rows, *, period: date | None = None, adapter: Adapter | None = None
) -> Plan:
    """Return what `post` would send now, to the byte. Writes nothing, and asks no more than a body needs (`render`)."""
    with _opened(book, ledger, adapter) as target:
        return drafts.plan(ledger, current_rows, read_seeds(book.seeds), target, period=period)


def post(
    book: Book,
    ledger: Ledger,
    current_rows: Rows,
    *,
    at: datetime,
    period: date | None = None,
    adapter: Adapter | None = None,
    release: Collection[str] = (),
    actor: str = "morton",
) -> list[dict[str, Any]]:
    """Settle what is open, then send what is approved. Returns the invoices this run looked at, as `status` shows them.

    `release` names parked references that a person lets past what parked them; all else is checked as ever. Where the
    system cannot be asked now, that is noted and no more. Raises `BadInput` for one that is not parked so, and
    `RunStopped` when nothing more can be sent; what was sent before is recorded.
    """
    for reference in release:
        _release(ledger, reference, at=at, actor=actor)
    with _opened(book, ledger, adapter) as target:
        if release and target.waits_for:
            return [invoices.status_row(i) for i in invoices.current(ledger) if i.reference in release]
        seeds, rates = read_seeds(book.seeds), read_rates(book.seeds)
        run = Run(ledger, target, book.limits, rates, seeds, at, actor, current_rows)
        target.check()
        try:
            for invoice in run.mine():
                if invoice.link_to:
                    _link_as_asked(run, invoice)
            for invoice in run.mine():
                if invoice.is_open:
                    run.settle(invoice)
            planned = drafts.plan(ledger, current_rows, seeds, target, period=period)
            for invoice, why in planned.withdrawn:
                run.withdraw(invoice, why)
            for invoice, why in planned.waiting:
                run.wait(invoice, why)
            for draft in planned.drafts:
                run.send(draft)
        except Enough:
            pass
    return [invoices.status_row(i) for i in invoices.current(ledger) if i.reference in run.seen]


def _release(ledger: Ledger, reference: str, *, at: datetime, actor: str) -> None:
    """Record that a person lets a parked invoice past what parked it."""
    invoice = next((i for i in invoices.current(ledger) if i.reference == reference), None)
    is_parked = invoice is not None and invoice.state == "parked"
    if invoice is None or not is_parked or not invoice.cause.startswith(invoices.RELEASABLE):
        raise BadInput(
            f"No invoice {reference} is parked by what a release lifts; `morton invoices status` lists those that are, "
            "each with its reason."
        )
    cause, said = f"{invoices.RELEASED} {invoice.cause}", f"{actor} let it past: {invoice.reason}"
    with side_effect("let past"):
        invoices.step(ledger, invoice, "planned", cause=cause, reason=said, actor=actor, at=at)


def link(
    book: Book,
    ledger: Ledger,
    reference: str,
    accounting_id: str,
    *,
    at: datetime,
    actor: str,
    adapter: Adapter | None = None,
) -> dict[str, Any]:
    """Take a document that is there already for one of ours, which is then never sent. Returns it as `status` shows it.

    Only an invoice that waits and was never sent can be linked, and only to a document of the same client, of the same
    kind and amount: anything else would hide a difference. Where the system cannot be asked now, it is noted, and
    `post` does it when it can. Raises `BadInput` with what is wrong.
    """
    with _opened(book, ledger, adapter) as target:
        mine = next((i for i in invoices.current(ledger) if i.reference == reference), None)
        if mine is None or mine.destination != target.destination:
            raise BadInput(f"No invoice {reference} is meant for {target.title}; see `morton invoices status`.")
        if not mine.is_unsent or mine.state == "refused":
            raise BadInput(f"Invoice {reference} is {mine.state}; only one that waits to be sent can be linked.")
        if target.waits_for:
            _note_link(ledger, target, mine, accounting_id, at=at, actor=actor)
        else:
            _link(ledger, target, mine, accounting_id, at=at, actor=actor, by=actor)
        return invoices.status_row(invoices.one(ledger, mine.invoice_id))


def _note_link(ledger: Ledger, target: Adapter, mine: Invoice, accounting_id: str, *, at: datetime, actor: str) -> None:
    """Write down what a person wants linked, so that whoever can ask next does it and nobody sends it meanwhile."""
    if len(accounting_id) > LONGEST_ID:
        raise BadInput(f"{target.title} has no ids of {len(accounting_id)} characters: {accounting_id[:LONGEST_ID]}…")
    with side_effect("note link"):
        invoices.step(
            ledger,
            mine,
            "planned",
            cause=f"{invoices.LINKING} {accounting_id}",
            reason=f"{actor} wants it linked to {target.title} invoice {accounting_id}: will be done at "
            f"{target.waits_for}, and it is not sent before.",
            actor=actor,
            at=at,
            unless=lambda con: undone(con, mine),
        )


def _link_as_asked(run: Run, invoice: Invoice) -> None:
    """Link what a person wanted linked, or park it with the reason why that cannot be.

    Raises `Enough` where nobody is there to be asked; the wish stands until somebody is.
    """
    by, title = str(invoices.events_of(run.ledger, invoice.reference)[-1]["actor"]), run.target.title
    run.seen.add(invoice.reference)
    try:
        _link(run.ledger, run.target, invoice, invoice.link_to or "", at=run.at, actor=run.actor, by=by)
    except (BadInput, LookupRefused) as problem:
        reason = (
            f"{by} wanted it linked to {title} invoice {invoice.link_to}, and it was not: {problem} Nothing was sent. "
            f"Link it to the right one (`morton invoices link {invoice.reference} ID`), or release it "
            f"(`morton invoices post --release {invoice.reference}`)."
        )
        with suppress(invoices.Overtaken), side_effect("refuse link"):
            invoices.step(
                run.ledger, invoice, "parked", cause=invoices.NOT_LINKED, reason=reason, actor=run.actor, at=run.at
            )
    except NotSent as failure:
        raise Enough from failure
    except (LookupFailed, invoices.Overtaken, invoices.NoLongerApproved):
        return


def _link(
    ledger: Ledger, target: Adapter, mine: Invoice, accounting_id: str, *, at: datetime, actor: str, by: str
) -> None:
    """Compare a document with one of ours and take it for it. `by` is who wanted it."""
    expected = target.expect(mine.payload, is_credit=mine.is_credit)
    found = target.read_back(expected, accounting_id)
    if found is None or found.is_void:
        raise BadInput(f"{target.title} has no invoice {accounting_id} that stands.")
    ours = (i for i in invoices.current(ledger) if i.destination == target.destination)
    other = next((i for i in ours if i.accounting_id == found.accounting_id), None)
    if other is not None:
        raise BadInput(f"{target.title} invoice {accounting_id} stands for {other.reference} already.")
    if said := difference(expected, replace(found, note=expected.note)):
        raise BadInput(f"{target.title} invoice {accounting_id} does not bill the same: {said}.")
    why = f"{by} linked it to {target.title} invoice {found.reference or accounting_id}; nothing was sent."
    with side_effect("link"):
        invoices.step(
            ledger,
            mine,
            "posted",
            cause=invoices.LINKED,
            reason=why,
            accounting_id=found.accounting_id,
            actor=actor,
            at=at,
            unless=lambda con: undone(con, mine),
        )


def verify(book: Book, ledger: Ledger, *, adapter: Adapter | None = None) -> list[dict[str, Any]]:
    """Read every posted invoice back and return those that are no longer what was approved.

    Documents with our mark that this ledger does not know are returned too, as `unknown`: it was restored from an
    older copy, and what they bill is never sent again.
    """
    with _opened(book, ledger, adapter) as target:
        found = [(invoice, _drift(target, invoice)) for invoice in _posted(ledger, target)]
        drifted = [{**invoices.status_row(invoice), "reason": said} for invoice, said in found if said]
        return drifted + _strangers(ledger, target)


def ask_to_verify(
    book: Book, ledger: Ledger, *, at: datetime, actor: str, adapter: Adapter | None = None
) -> list[dict[str, Any]]:
    """Note at every posted invoice that somebody wants it read back, where the system cannot be asked now.

    Returns them as `status` shows them. `verify_as_asked` reads them back once the system can be asked.
    """
    with _opened(book, ledger, adapter) as target:
        for invoice in _posted(ledger, target):
            if not invoice.is_asked:
                said = f"{actor} wants it read back: will be done at {target.waits_for}."
                _remark(ledger, invoice, invoices.ASKED, said, at=at, actor=actor)
        return [invoices.status_row(i) for i in _posted(ledger, target)]


def verify_as_asked(
    ledger: Ledger, target: Adapter, *, at: datetime, actor: str
) -> tuple[list[Invoice], list[dict[str, Any]]]:
    """Read back what somebody wants read back, and note at each invoice what was found.

    Returns those that were read, and what `verify` would. One that got no answer stays asked for, and so does all that
    is left where `NotSent` says that nobody is there any more.
    """
    asked, read = [i for i in _posted(ledger, target) if i.is_asked], list[Invoice]()
    drifted = _strangers(ledger, target) if asked else []
    for invoice in asked:
        try:
            said = _drift(target, invoice)
        except LookupRefused as problem:
            said = str(problem)
        except LookupFailed:
            continue
        read.append(invoice)
        if said:
            drifted.append({**invoices.status_row(invoice), "reason": said})
        outcome = f"Read back on {at:%Y-%m-%d}: {said or 'it is as it was approved.'}"
        _remark(ledger, invoice, invoices.READ_BACK, outcome, at=at, actor=actor)
    return read, drifted


def _remark(ledger: Ledger, invoice: Invoice, cause: str, said: str, *, at: datetime, actor: str) -> None:
    with suppress(invoices.Overtaken), side_effect(f"remark {cause}"):
        invoices.step(ledger, invoice, "posted", cause=cause, reason=said, actor=actor, at=at)


def _posted(ledger: Ledger, target: Adapter) -> list[Invoice]:
    return [i for i in invoices.current(ledger) if i.state == "posted" and i.destination == target.destination]


def _drift(target: Adapter, invoice: Invoice) -> str | None:
    """Say in what a posted invoice is no longer what was approved."""
    expected = target.expect(invoice.payload, is_credit=invoice.is_credit)
    found = target.read_back(expected, invoice.accounting_id or "")
    if found is not None and invoice.cause == invoices.LINKED:
        found = replace(found, note=expected.note)
    said = "it is gone" if found is None else difference(expected, found)
    return f"{target.title} invoice {invoice.accounting_id}: {said}." if said else None


def _strangers(ledger: Ledger, target: Adapter) -> list[dict[str, Any]]:
    """Return the documents with our mark that this ledger does not know."""
    known = invoices.current(ledger)
    references = {i.reference for i in known}
    since = min((month_before(i.period_month) for i in known), default=None)
    marks = [(document, drafts.marked(document.note)) for document in (target.list_since(since) if since else ())]
    return [
        _stranger(target, document, mark)
        for document, mark in marks
        if mark and mark not in references and not document.is_void
    ]


def _stranger(target: Adapter, document: Found, mark: str) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(("invoice_id", "client_id", "period_month", "updated_at"))
    return row | {
        "reference": mark,
        "currency": document.currency,
        "total_amount": document.net_amount,
        "state": "unknown",
        "reason": (
            f"{target.title} has it, and this ledger does not know it: it was restored from an older copy. Restore the "
            "newest one, or link it where it is asked for again (`morton invoices link`)."
        ),
        "accounting_id": document.accounting_id,
        "decision_ids": [],
    }


def open_adapter(book: Book, ledger: Ledger) -> Adapter:
    """Return where this book's invoices go: its accounting connection, else files in its data folder."""
    connection = book.accounting
    if connection is None:
        from morton_pipeline.accounting.files import Files

        return Files(book.data / "invoices")
    if connection.vendor == "quickbooks_online":
        from morton_pipeline.accounting.quickbooks_online import open_quickbooks

        return open_quickbooks(connection, ledger)
    if connection.vendor == "sage":
        from morton_pipeline.accounting.sage import open_sage

        return open_sage(connection, ledger)
    if connection.vendor == "xero":
        from morton_pipeline.accounting.xero import open_xero

        return open_xero(connection, ledger)
    if connection.vendor == "quickbooks_desktop":
        from morton_pipeline.accounting.quickbooks_desktop import open_quickbooks_desktop

        return open_quickbooks_desktop(connection)
    raise BadInput(
        f"connections.yaml: accounting names {connection.id}, a {connection.vendor}; Morton sends invoices to "
        "quickbooks_online, quickbooks_desktop, sage and xero. Leave `accounting:` out to get each invoice as a file."
    )


@contextmanager
def _opened(book: Book, ledger: Ledger, adapter: Adapter | None) -> Iterator[Adapter]:
    if adapter is not None:
        yield adapter
        return
    adapter = open_adapter(book, ledger)
    try:
        yield adapter
    finally:
        adapter.close()
