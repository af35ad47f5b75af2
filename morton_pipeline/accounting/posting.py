"""Planning, posting and verifying the invoices of a book: what the command line, the schedule and the page call.

Belongs here: where a book's invoices go, and the order of a run. Does not: the steps of one invoice (`machine.py`).
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from morton_pipeline.accounting import drafts
from morton_pipeline.accounting.adapter import Adapter, Found, difference
from morton_pipeline.accounting.drafts import Plan
from morton_pipeline.accounting.machine import Enough, Rows, Run, month_before, undone
from morton_pipeline.accounting.seeds import read_seeds
from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.failpoints import side_effect
from morton_pipeline.ledger import invoices
from morton_pipeline.ledger.invoices import status
from morton_pipeline.ledger.store import Ledger

__all__ = ["link", "open_adapter", "plan", "post", "status", "verify"]


def plan(
    book: Book, ledger: Ledger, current_rows: Rows, *, period: date | None = None, adapter: Adapter | None = None
) -> Plan:
    """Return what `post` would send now, to the byte. Writes nothing, and asks no more than a body needs (`render`)."""
    with _opened(book, ledger, adapter) as target:
        return _planned(book, ledger, current_rows, period, target)


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

    `release` names parked references that a person lets past what parked them; all else is checked as ever. Raises
    `BadInput` for one that is not parked so, and `RunStopped` when nothing more can be sent; what was sent before is
    recorded.
    """
    for reference in release:
        _release(ledger, reference, at=at, actor=actor)
    with _opened(book, ledger, adapter) as target:
        run = Run(ledger, target, book.limits, at, actor, current_rows)
        target.check()
        try:
            for invoice in run.mine():
                if invoice.is_open:
                    run.settle(invoice)
            planned = _planned(book, ledger, current_rows, period, target)
            for invoice, why in planned.withdrawn:
                run.withdraw(invoice, why)
            for draft in planned.drafts:
                run.send(draft)
        except Enough:
            pass
    return [invoices.status_row(i) for i in invoices.current(ledger) if i.reference in run.seen]


def _release(ledger: Ledger, reference: str, *, at: datetime, actor: str) -> None:
    """Record that a person lets a parked invoice past what parked it."""
    invoice = next((i for i in invoices.current(ledger) if i.reference == reference), None)
    is_parked = invoice is not None and invoice.state == "parked"
    if invoice is None or not is_parked or not invoice.cause.startswith((invoices.BOUND, invoices.LOOK_ALIKE)):
        raise BadInput(
            f"No invoice {reference} is parked by a bound or because one like it exists; `morton invoices status` "
            "lists those that are."
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
    kind and amount: anything else would hide a difference. Raises `BadInput` with what is wrong.
    """
    with _opened(book, ledger, adapter) as target:
        mine = next((i for i in invoices.current(ledger) if i.reference == reference), None)
        if mine is None or mine.destination != target.destination:
            raise BadInput(f"No invoice {reference} is meant for {target.title}; see `morton invoices status`.")
        if not mine.is_unsent or mine.state == "refused":
            raise BadInput(f"Invoice {reference} is {mine.state}; only one that waits to be sent can be linked.")
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
        why = f"{actor} linked it to {target.title} invoice {found.reference or accounting_id}; nothing was sent."
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
        return invoices.status_row(invoices.one(ledger, mine.invoice_id))


def verify(book: Book, ledger: Ledger, *, adapter: Adapter | None = None) -> list[dict[str, Any]]:
    """Read every posted invoice back and return those that are no longer what was approved.

    Documents with our mark that this ledger does not know are returned too, as `unknown`: it was restored from an
    older copy, and what they bill is never sent again.
    """
    drifted: list[dict[str, Any]] = []
    with _opened(book, ledger, adapter) as target:
        known = invoices.current(ledger)
        for invoice in known:
            if invoice.state != "posted" or invoice.destination != target.destination:
                continue
            expected = target.expect(invoice.payload, is_credit=invoice.is_credit)
            found = target.read_back(expected, invoice.accounting_id or "")
            if found is not None and invoice.cause == invoices.LINKED:
                found = replace(found, note=expected.note)
            said = "it is gone" if found is None else difference(expected, found)
            if said:
                row = invoices.status_row(invoice)
                drifted.append({**row, "reason": f"{target.title} invoice {invoice.accounting_id}: {said}."})
        references = {i.reference for i in known}
        since = min((month_before(i.period_month) for i in known), default=None)
        for document in target.list_since(since) if since else ():
            mark = drafts.marked(document.note)
            if mark and mark not in references and not document.is_void:
                drifted.append(_stranger(target, document, mark))
    return drifted


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


def _planned(book: Book, ledger: Ledger, current_rows: Rows, period: date | None, target: Adapter) -> Plan:
    return drafts.plan(ledger, current_rows, read_seeds(book.seeds), target, period=period)
