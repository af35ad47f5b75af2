"""Commands that turn approved rows into invoices, exactly once."""

import sys
from typing import TYPE_CHECKING

import click

from morton_pipeline.cli import Row, checked_now, cli, command, say, show, show_in_mart

if TYPE_CHECKING:
    from morton_pipeline.book import Book

COLUMNS = ("reference", "client_id", "period_month", "total_amount", "currency", "state", "accounting_id", "reason")
EVIDENCE_COLUMNS = ("change", "bucket", "record_name", "record_id", "vendor", "first_seen_on", "last_seen_on")
PROOF_COLUMNS = (
    "reference",
    "line_number",
    "amount",
    "currency",
    "state",
    "accounting_id",
    "decided_by",
    "evidence_count",
)
_PERIOD = click.option("--period", metavar="YYYY-MM", help="Only this month.")


def _comes_by_itself(book: "Book") -> bool:
    from morton_pipeline.vendors import vendor_of

    return book.accounting is not None and vendor_of(book.accounting).is_caller


def _say_when(book: "Book") -> None:
    """Say when what was asked is done, where that is not now."""
    if _comes_by_itself(book):
        say(
            "Noted: it will be done at the Web Connector's next visit, while `morton connector` is running. "
            "`morton invoices status` then says what came of it."
        )


@cli.group()
def invoices() -> None:
    """Turn approved rows into invoices, exactly once."""


@command(invoices, "plan", connects=True)
@_PERIOD
def plan(book: "Book", output: str, period: str | None) -> None:
    """Show what would be sent now. Writes nothing anywhere."""
    from morton_pipeline import clock
    from morton_pipeline.accounting import posting
    from morton_pipeline.ledger.store import open_ledger
    from morton_pipeline.reports import mart
    from morton_pipeline.seeds import NOTHING_SENT, refuse_wrong

    month = mart.month(period) if period else None
    refuse_wrong(book, NOTHING_SENT)
    with open_ledger(book) as ledger:
        planned = posting.plan(book, ledger, mart.by_id(book, at=clock.now()), period=month)
    rows: list[Row] = [
        {**draft.intent, "client_name": draft.client_name, "state": "planned", "lines": len(draft.lines), "reason": "",
         "payload": draft.payload}
        for draft in planned.drafts
    ]  # fmt: skip
    rows += [{**decision, "state": "held", "reason": why} for decision, why in planned.held]
    columns = ("state", "reference", "client_id", "period_month", "total_amount", "currency", "lines", "reason")
    show(rows, output, columns, "Nothing is approved and waiting to be sent.")


@command(invoices, "post", connects=True)
@_PERIOD
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@click.option("--release", multiple=True, metavar="REFERENCE", help="Let a parked invoice past its bound.")
@click.option("--as", "actor", default="morton", show_default=True, metavar="NAME", help="Who sends.")
def post(book: "Book", output: str, period: str | None, is_sure: bool, release: tuple[str, ...], actor: str) -> None:
    """Send what is approved to the accounting system."""
    from morton_pipeline.accounting import posting
    from morton_pipeline.ledger.store import open_ledger
    from morton_pipeline.reconcile import refresh_decisions
    from morton_pipeline.reports import mart
    from morton_pipeline.seeds import NOTHING_SENT, refuse_wrong

    if release and actor == "morton":
        raise click.UsageError("Letting an invoice past a bound needs the name of who does: `--as NAME`.")
    month = mart.month(period) if period else None
    at = checked_now(book)
    refuse_wrong(book, NOTHING_SENT)
    with open_ledger(book) as ledger:
        current = mart.by_id(book, at=at)
        planned = posting.plan(book, ledger, current, period=month)
        if planned.drafts and not is_sure and sys.stdin.isatty():
            named = ", ".join(f"{d.client_name} {d.total_amount} {d.currency}" for d in planned.drafts[:10])
            click.confirm(f"Send {len(planned.drafts)} invoices ({named})?", abort=True, err=True)
        for decision, why in planned.held:
            say(f"Held: {decision['discrepancy_id']}: {why}")
        rows = posting.post(book, ledger, current, at=at, period=month, release=release, actor=actor)
    _say_when(book)
    show(rows, output, COLUMNS, "Nothing was approved and waiting to be sent.")
    if rows:
        show_in_mart(book, lambda: refresh_decisions(book, at))
    if planned.held or any(row["state"] not in ("posted", "planned") for row in rows):
        raise SystemExit(1)


@command(invoices, "status")
def status(book: "Book", output: str) -> None:
    """Show every invoice and its state."""
    from morton_pipeline.ledger import invoices as sent
    from morton_pipeline.ledger.store import open_ledger

    with open_ledger(book) as ledger:
        rows = sent.status(ledger)
    show(rows, output, COLUMNS, "No invoice has been planned or sent yet.")


@command(invoices, "link", connects=True)
@click.argument("reference")
@click.argument("accounting_id")
@click.option("--as", "actor", required=True, metavar="NAME", help="Who says that the two are one.")
def link(book: "Book", output: str, reference: str, accounting_id: str, actor: str) -> None:
    """Take an invoice made by hand for one of ours, which is then never sent."""
    from morton_pipeline.accounting import posting
    from morton_pipeline.ledger.store import open_ledger
    from morton_pipeline.reconcile import refresh_decisions

    at = checked_now(book)
    with open_ledger(book) as ledger:
        row = posting.link(book, ledger, reference, accounting_id, at=at, actor=actor)
    _say_when(book)
    show([row], output, COLUMNS, "")
    show_in_mart(book, lambda: refresh_decisions(book, at))


@command(cli, "proof")
@click.argument("name", metavar="INVOICE")
def proof(book: "Book", output: str, name: str) -> None:
    """Show for each line of an invoice the approval, the records and what the accounting system calls it."""
    from morton_pipeline.ledger.store import open_ledger
    from morton_pipeline.reports import proof as proofs
    from morton_pipeline.reports.show import number

    with open_ledger(book) as ledger:
        rows = proofs.proof(book, ledger, name)
    if output == "json":
        show(rows, output, PROOF_COLUMNS, "")
        return
    for row in rows:
        known_as = f" as {row['accounting_id']}" if row["accounting_id"] else ""
        records = "1 record" if row["evidence_count"] == 1 else f"{row['evidence_count']} records"
        click.echo(
            f"{row['reference']} line {row['line_number']}: {row['description']}\n"
            f"  {number('amount', row['amount'], row['currency'])} {row['currency']}, {row['state']}{known_as}. "
            f"{row['reason']}\n"
            f"  Approved by {row['decided_by']} at {row['decided_at']:%Y-%m-%d %H:%M} UTC: {row['decided_because']}\n"
            f"  {row['explanation'] or ''}\n"
            f"  {records}, {row['evidence_state']} (`morton evidence {row['discrepancy_id']}`)"
        )
        show(row["evidence"], output, EVIDENCE_COLUMNS, "")


@command(invoices, "verify", connects=True)
@click.option("--as", "actor", default="morton", show_default=True, metavar="NAME", help="Who wants to know.")
def verify(book: "Book", output: str, actor: str) -> None:
    """Read every posted invoice back and name those that are no longer what was approved."""
    from morton_pipeline.accounting import posting
    from morton_pipeline.ledger.store import open_ledger

    if _comes_by_itself(book):
        at = checked_now(book)
        with open_ledger(book) as ledger:
            rows = posting.ask_to_verify(book, ledger, at=at, actor=actor)
        if rows:
            _say_when(book)
        show(rows, output, COLUMNS, "No invoice was posted yet: there is nothing to read back.")
        return
    with open_ledger(book) as ledger:
        rows = posting.verify(book, ledger)
    show(rows, output, COLUMNS, "Every posted invoice is as it was approved.")
    if rows:
        raise SystemExit(1)
