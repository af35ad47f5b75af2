"""Planning, posting and verifying the invoices of a book: what the command line, the schedule and the page call.

Belongs here: where a book's invoices go, and the order of a run. Does not: the steps of one invoice (`machine.py`).
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from morton_pipeline.accounting import drafts
from morton_pipeline.accounting.adapter import Adapter, difference
from morton_pipeline.accounting.drafts import Plan
from morton_pipeline.accounting.machine import Enough, Rows, Run, month_before
from morton_pipeline.accounting.seeds import read_seeds
from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import invoices
from morton_pipeline.ledger.invoices import status
from morton_pipeline.ledger.store import Ledger

__all__ = ["open_adapter", "plan", "post", "status", "verify"]


def plan(
    book: Book, ledger: Ledger, current_rows: Rows, *, period: date | None = None, adapter: Adapter | None = None
) -> Plan:
    """Return what `post` would send now, to the byte. Writes nothing and calls nobody."""
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

    `release` names references a person lets past the safety bounds and the look-alike check. Raises `RunStopped` when
    nothing more can be sent; what was sent before is recorded.
    """
    with _opened(book, ledger, adapter) as target:
        run = Run(ledger, target, book.limits, at, actor, frozenset(release), current_rows)
        target.check()
        try:
            for invoice in run.mine():
                if invoice.is_open:
                    run.settle(invoice)
            planned = _planned(book, ledger, current_rows, period, target)
            run.since = min((month_before(d.period_month) for d in planned.drafts), default=run.since)
            for invoice, why in planned.withdrawn:
                run.withdraw(invoice, why)
            for draft in planned.drafts:
                run.send(draft)
        except Enough:
            pass
    return [invoices.status_row(i) for i in invoices.current(ledger) if i.reference in run.seen]


def verify(book: Book, ledger: Ledger, *, adapter: Adapter | None = None) -> list[dict[str, Any]]:
    """Read every posted invoice back and return those that are no longer what was approved."""
    drifted = []
    with _opened(book, ledger, adapter) as target:
        for invoice in invoices.current(ledger):
            if invoice.state != "posted" or invoice.destination != target.destination:
                continue
            expected = target.expect(invoice.payload, is_credit=invoice.is_credit)
            found = target.read_back(expected, invoice.accounting_id or "")
            said = "it is gone" if found is None else difference(expected, found)
            if said:
                row = invoices.status_row(invoice)
                drifted.append({**row, "reason": f"{target.title} invoice {invoice.accounting_id}: {said}."})
    return drifted


def open_adapter(book: Book, ledger: Ledger) -> Adapter:
    """Return where this book's invoices go: its accounting connection, else files in its data folder."""
    connection = book.accounting
    if connection is None:
        from morton_pipeline.accounting.files import Files

        return Files(book.data / "invoices")
    if connection.vendor == "quickbooks_online":
        from morton_pipeline.accounting.quickbooks_online import open_quickbooks

        return open_quickbooks(connection, ledger)
    if connection.vendor == "quickbooks_desktop":
        from morton_pipeline.accounting.quickbooks_desktop import open_quickbooks_desktop

        return open_quickbooks_desktop(connection)
    raise BadInput(
        f"connections.yaml: accounting names {connection.id}, a {connection.vendor}; Morton sends invoices to "
        "quickbooks_online. Leave `accounting:` out to get each invoice as a file."
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
