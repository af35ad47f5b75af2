"""Commands that turn approved rows into invoices, exactly once."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from morton_pipeline.cli import Row, checked_now, cli, command, say, show, show_in_mart

if TYPE_CHECKING:
    from morton_pipeline.book import Book

COLUMNS = ("reference", "client_id", "period_month", "total_amount", "currency", "state", "accounting_id", "reason")
EVIDENCE_COLUMNS = ("change", "bucket", "record_name", "record_id", "vendor", "first_seen_on", "last_seen_on")
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
    from morton_pipeline.reconcile import changed_since_built
    from morton_pipeline.reports import mart
    from morton_pipeline.seeds import NOTHING_SENT, refuse_wrong

    month = mart.month(period) if period else None
    refuse_wrong(book, NOTHING_SENT)
    if why := changed_since_built(book):
        say(f"{why} `morton invoices post` builds them anew first; what is shown here is as of the last build.")
    with open_ledger(book) as ledger:
        planned = posting.plan(book, ledger, mart.by_id(book, at=clock.now()), period=month)
    rows: list[Row] = [
        {**draft.intent, "client_name": draft.client_name, "state": "planned", "lines": len(draft.lines), "reason": "",
         "payload": draft.payload, "payload_sha256": draft.payload_sha256}
        for draft in planned.drafts
    ]  # fmt: skip
    rows += [{**decision, "state": "held", "reason": why} for decision, why in planned.held]
    columns = (
        "state", "reference", "client_id", "period_month", "total_amount", "currency", "lines", "payload_sha256",
        "reason",
    )  # fmt: skip
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
    from morton_pipeline.reconcile import bring_up_to_date, refresh_decisions
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
        if planned.drafts or planned.held:
            bring_up_to_date(book, at, say)
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


@command(cli, "proof", ("table", "json", "html"))
@click.argument("name", metavar="INVOICE_OR_ROW")
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH",
              help="Write the page and, beside it, the JSON: a folder, or a file that ends in .html.")  # fmt: skip
def proof(book: "Book", output: str, name: str, out: Path | None) -> None:
    """Show what stands behind an invoice or a row, or write it as a page to send to the client."""
    from morton_pipeline import clock
    from morton_pipeline.ledger.store import open_ledger
    from morton_pipeline.reports import proof as proofs
    from morton_pipeline.reports import proof_page

    at = clock.now()
    with open_ledger(book) as ledger:
        rows = proofs.proof(book, ledger, name, at=at)
    if out is not None:
        written = proof_page.write(rows, out, name=rows[0]["reference"] or name, firm=book.name, at=at)
        say(f"Look at {written[0]} before you send it; {written[1].name} beside it says the same for programs.")
    elif output == "html":
        click.echo(proof_page.page(rows, firm=book.name, at=at), nl=False)
    elif output == "json":
        show(rows, output, (), "")
    else:
        for row in rows:
            _show_line(row)
    for row in rows:
        if row["evidence_state"] not in ("as approved", "as it is now"):
            when = row["decided_at"].strftime("%Y-%m-%dT%H:%M:%SZ")
            say(
                f"{row['discrepancy_id']} has changed since it was approved: `morton reconcile --as-of {when}` builds "
                "what was known then, and the proof has that."
            )
    if not rows[0]["record_is_whole"]:
        say("The record of decisions and invoices does not fit: `morton audit verify` says where.")
        raise SystemExit(1)


def _show_line(row: Row) -> None:
    from morton_pipeline.reports.show import number

    known_as = f" as {row['accounting_id']}" if row["accounting_id"] else ""
    records = "1 record" if row["evidence_count"] == 1 else f"{row['evidence_count']} records"
    title = f"{row['reference']} line {row['line_number']}" if row["reference"] else row["discrepancy_id"]
    amount = (
        f"{number('amount', row['amount'], row['currency'])} {row['currency']}" if row["amount"] is not None else ""
    )
    said = [f"{title}: {row['description'] or row['service_name']}", f"  {amount}, {row['state']}{known_as}."]
    if row["decided_by"]:
        said.append(
            f"  Approved by {row['decided_by']} at {row['decided_at']:%Y-%m-%d %H:%M} UTC: {row['decided_because']}"
        )
    said += [f"  {row['explanation']}", *(f"  {contract['price_rule']}" for contract in row["contracts"])]
    said.append(f"  {records}, {row['evidence_state']} (`morton evidence {row['discrepancy_id']}`)")
    click.echo("\n".join(said))
    show(row["evidence"], "table", EVIDENCE_COLUMNS, "")


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
