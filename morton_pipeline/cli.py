"""The `morton` command. Each command says what it does and hands over; nothing is computed here.

Heavy libraries are imported inside the commands that need them: `--help` must answer at once. Exit codes: 0 done,
1 found a problem it names, 2 wrong usage.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from morton_pipeline.errors import MortonError

if TYPE_CHECKING:
    from morton_pipeline.book import Book
    from morton_pipeline.ledger.store import Ledger

Row = Mapping[str, Any]

LIST_COLUMNS = ("discrepancy_id", "kind", "client_name", "service_name", "observed_quantity", "contracted_quantity",
                "variance_quantity", "variance_amount", "currency", "began_on", "source_state", "status")  # fmt: skip
_BOOK = click.option(
    "--book",
    "book_dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The book; else MORTON_BOOK, else this folder.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@_BOOK
@click.pass_context
def cli(context: click.Context, book_dir: Path | None) -> None:
    """Find what an MSP's tools count and its invoices do not; a person approves, Morton invoices it once."""
    context.obj = book_dir


def command(
    group: click.Group, name: str, formats: Sequence[str] = ("table", "json"), *, connects: bool = False
) -> Callable[[Callable[..., None]], click.Command]:
    """Add a command that takes `--book` (before or after its name) and `--format`.

    `connects` says that it talks to connections: a demo book's stand-ins then answer while it runs.
    """

    def add(function: Callable[..., None]) -> click.Command:
        @click.pass_context
        def run(context: click.Context, /, book_dir: Path | None, output: str, **arguments: Any) -> None:
            from morton_pipeline.book import open_book

            chosen = book_dir or context.find_root().obj
            if name == "demo":
                function(chosen, output, **arguments)
                return
            book = open_book(chosen)
            if not connects:
                function(book, output, **arguments)
                return
            from morton_pipeline.simulator.demo import stand_ins

            with stand_ins(book):
                function(book, output, **arguments)

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        decorated = click.option(
            "--format", "output", type=click.Choice(list(formats)), default="table", help="How to print it."
        )(_BOOK(run))
        return group.command(name)(decorated)

    return add


def _say(text: str) -> None:
    click.echo(text, err=True)


def _print(rows: Sequence[Row], output: str, columns: Sequence[str], empty: str) -> None:
    """Print rows as a table for people or JSON for programs."""
    from morton_pipeline.reports import show

    if output == "json":
        click.echo(show.as_json(rows))
    elif not rows:
        click.echo(empty)
    else:
        from morton_pipeline.reports.table import render

        render(rows, columns)


def _now(book: "Book", ledger: "Ledger") -> datetime:
    """Return the clock, refusing one earlier than what the book has seen."""
    from morton_pipeline import clock
    from morton_pipeline.ledger.audit import refuse_earlier
    from morton_pipeline.warehouse.journal import last_seen_at

    at = clock.now()
    refuse_earlier(ledger, at, also=last_seen_at(book))
    return at


def _check_clock(book: "Book") -> datetime:
    from morton_pipeline.ledger.store import open_ledger

    with open_ledger(book) as ledger:
        return _now(book, ledger)


def _warn_not_fresh(book: "Book") -> None:
    from morton_pipeline.reports.mart import not_fresh

    rows = not_fresh(book)
    for row in rows[:10]:
        tenant = f" {row['tenant_id']}" if row["tenant_id"] else ""
        since = (
            f"last complete {row['last_complete_at']:%Y-%m-%d %H:%M} UTC"
            if row["last_complete_at"]
            else "never read to the end"
        )
        why = f": {row['last_error']}" if row["last_error"] else ""
        _say(f"Not fresh: {row['connection_id']} {row['endpoint']}{tenant} is {row['state']} ({since}){why}")
    if len(rows) > 10:
        _say(f"… and {len(rows) - 10} more sources are not fresh.")


@command(cli, "demo")
@click.option("--serve", "is_serving", is_flag=True, help="Open the Dagster UI on the demo book afterwards.")
@click.option("--days", default=90, show_default=True, hidden=True)
def demo(book_dir: Path | None, output: str, is_serving: bool, days: int) -> None:
    """Run the whole job on a generated MSP: replay 90 days from local stand-ins, then list what leaks."""
    from morton_pipeline.simulator.demo import run

    book = run(book_dir or Path("demo"), days=days, say=_say)
    _list(book, output)
    if is_serving:
        from morton_pipeline.serve import serve as start
        from morton_pipeline.simulator.demo import stand_ins

        with stand_ins(book):
            start(book)


def _list(book: "Book", output: str) -> None:
    """Print what the open month holds and the next step for its largest row that can be billed."""
    from morton_pipeline.reports import mart
    from morton_pipeline.reports.summary import totals

    rows = mart.discrepancies(book)
    _print(rows, output, LIST_COLUMNS, "Nothing differs from the contracts.")
    if output == "table" and rows:
        click.echo(totals(rows, book.root))


@command(cli, "extract", connects=True)
@click.argument("connections", nargs=-1, metavar="[CONNECTION]…")
def extract(book: "Book", output: str, connections: tuple[str, ...]) -> None:
    """Read connections now, all of them or the named ones, whatever their schedule says."""
    from morton_pipeline.refresh import refresh

    chosen = [book.connection(c) for c in connections] or list(book.connections)
    at = _check_clock(book)
    loaded = refresh(book, chosen, at=at, say=lambda what: _say(f"read {what}") if sys.stderr.isatty() else None)
    rows = [
        {"connection_id": x.connection_id, "vendor": x.vendor, "endpoint": x.endpoint, "tenant_id": x.tenant_id,
         "status": x.status,
         "record_count": x.record_count, "added_count": x.added_count, "changed_count": x.changed_count,
         "removed_count": x.removed_count,
         "quarantined_count": x.quarantined_count, "reason": x.reason, "extraction_id": x.extraction_id}
        for x in loaded
    ]  # fmt: skip
    columns = (
        "connection_id",
        "endpoint",
        "tenant_id",
        "status",
        "record_count",
        "added_count",
        "changed_count",
        "removed_count",
        "reason",
    )
    _print(rows, output, columns, "This book has no connections to read.")
    if any(x.status != "complete" for x in loaded):
        _say("Some scopes are not complete; the rest is loaded. `morton extractions` lists what can be accepted.")
        raise SystemExit(1)


@command(cli, "reconcile")
@click.option("--as-of", "as_of", metavar="T", help="Build what was known at this instant, beside the current mart.")
@click.option("--period", metavar="YYYY-MM", help="The month to summarise; the open month by default.")
def reconcile(book: "Book", output: str, as_of: str | None, period: str | None) -> None:
    """Compare what the tools count with contracts and invoices, and publish the marts."""
    from morton_pipeline import clock
    from morton_pipeline.reconcile import reconcile as build
    from morton_pipeline.reports import mart

    if period:
        mart.month(period)
    at = _check_clock(book)
    published = build(book, at=at, as_of=clock.parse(as_of, "--as-of") if as_of else None)
    if as_of:
        click.echo(f"What was known at {as_of} is in {published}.")
        return
    _warn_not_fresh(book)
    rows = mart.discrepancies(book, period=period)
    from morton_pipeline.reports.summary import summary

    _print(
        summary(rows),
        output,
        ("kind", "currency", "rows", "variance_amount", "accumulated_amount"),
        "Nothing differs from the contracts.",
    )


@command(cli, "discrepancies", ("table", "json", "csv", "xlsx"))
@click.option("--client", metavar="C", help="A client's id or name.")
@click.option("--service", metavar="S", help="A service's id or name.")
@click.option("--kind", metavar="K", help="One kind, e.g. under_billed.")
@click.option("--status", metavar="S", help="One status, e.g. open.")
@click.option("--period", metavar="M", help="YYYY-MM, or all; the open month by default.")
@click.option("--all", "with_tolerated", is_flag=True, help="Rows within a contract's tolerance as well.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The file for csv or xlsx; csv goes to the screen otherwise."
)
def discrepancies(
    book: "Book", output: str, client: str | None, service: str | None, kind: str | None, status: str | None,
    period: str | None,
    with_tolerated: bool, out: Path | None,
) -> None:  # fmt: skip
    """List what somebody must look at, largest money first."""
    from morton_pipeline.reports import mart, show

    for value, known, what in ((kind, mart.KINDS, "kind"), (status, mart.STATUSES, "status")):
        if value and value not in known:
            raise click.UsageError(f"{value!r} is not a {what}; there are {', '.join(known)}.")
    rows = mart.discrepancies(
        book, client=client, service=service, kind=kind, status=status, period=period, with_tolerated=with_tolerated
    )
    columns = list(rows[0]) if rows else list(LIST_COLUMNS)
    if output == "csv":
        text = show.as_csv(rows, columns)
        if out:
            out.write_text(text, "utf-8")
            _say(
                f"{len(rows)} rows are in {out}. Delete the lines you do not want, then "
                f"`morton decide approve --from {out} …`."
            )
        else:
            click.echo(text, nl=False)
    elif output == "xlsx":
        target = out or book.data / "discrepancies.xlsx"
        show.write_workbook(rows, columns, target, "Discrepancies")
        _say(f"{len(rows)} rows are in {target}.")
    else:
        if output == "table":
            _warn_not_fresh(book)
        _print(
            rows,
            output,
            LIST_COLUMNS,
            "Nothing differs from the contracts in this selection; sources that are not fresh are named above.",
        )
        if output == "table" and rows:
            from morton_pipeline.reports.summary import totals

            click.echo(totals(rows, book.root))


@command(cli, "evidence")
@click.argument("discrepancy_id", metavar="ID")
def evidence(book: "Book", output: str, discrepancy_id: str) -> None:
    """Show the records behind one discrepancy, what changed first."""
    from morton_pipeline.reports import mart

    if output == "table":
        click.echo(mart.by_id(book, [discrepancy_id])[discrepancy_id]["explanation"])
    columns = (
        "change",
        "bucket",
        "record_name",
        "record_id",
        "vendor",
        "first_seen_on",
        "last_seen_on",
        "bucket_reason",
    )
    _print(mart.evidence(book, discrepancy_id), output, columns, "No records stand behind this row.")


@cli.group()
def decide() -> None:
    """Record what a person decided about rows: who, when, what, why."""


def _decide(name: str, help_text: str, *options: Callable[[Any], Any]) -> None:
    def function(
        book: "Book", output: str, ids: tuple[str, ...], from_file: Path | None, reason: str, actor: str,
        until: datetime | None = None,        record_ids: tuple[str, ...] = (), is_stale_accepted: bool = False,
    ) -> None:  # fmt: skip
        _record(
            book,
            output,
            name.replace("-", "_"),
            ids,
            from_file,
            reason,
            actor,
            until.date() if until else None,
            record_ids,
            is_stale_accepted,
        )

    function.__doc__ = help_text
    shared = (
        click.argument("ids", nargs=-1, metavar="ID…"),
        click.option(
            "--from",
            "from_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="A list `discrepancies --format csv|xlsx` wrote.",
        ),
        click.option("--reason", required=True, help="Why, in words somebody will read next year."),
        click.option("--as", "actor", required=True, metavar="NAME", help="Who decides."),
    )
    decorated: Callable[..., None] = function
    for option in reversed((*shared, *options)):
        decorated = option(decorated)
    command(decide, name)(decorated)


_UNTIL = click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The day it ends.")
_STALE = click.option(
    "--accept-stale",
    "is_stale_accepted",
    is_flag=True,
    help="Approve although the source is stale; say why in the reason.",
)
_RECORDS = click.option(
    "--record",
    "record_ids",
    multiple=True,
    metavar="RECORD_ID",
    help="A record of the row; all that were added by default.",
)
_decide("approve", "Bill this period's variance.", _STALE)
_decide("write-off", "Give the amount up until a day.", _UNTIL)
_decide("exclude", "Stop counting records of the row until a day.", _UNTIL, _RECORDS)
_decide("snooze", "Set the row aside until a day.", _UNTIL)
_decide("reopen", "Undo the latest decision, unless its invoice is out.")


def _record(
    book: "Book", output: str, action: str, ids: tuple[str, ...], from_file: Path | None, reason: str, actor: str,
    until: date | None,    record_ids: tuple[str, ...], is_stale_accepted: bool,
) -> None:  # fmt: skip
    from morton_pipeline.ledger import decisions
    from morton_pipeline.ledger.store import open_ledger
    from morton_pipeline.reconcile import reconcile as build
    from morton_pipeline.reconcile import refresh_decisions
    from morton_pipeline.reports import mart, show

    if bool(ids) == bool(from_file):
        raise click.UsageError("Name the rows by ID, or hand over a list with --from FILE.")
    seals = show.read_seals(from_file) if from_file else None
    current = mart.by_id(book)
    wanted = list(seals) if seals else list(dict.fromkeys(ids))
    gone = [(i, "there is no such row any more; list again") for i in wanted if i not in current]
    if gone and not seals:
        mart.by_id(book, [gone[0][0]])
    rows = [current[i] for i in wanted if i in current]
    evidence = mart.evidence_of(book, [r["discrepancy_id"] for r in rows]) if action == "exclude" else None
    with open_ledger(book) as ledger:
        at = _now(book, ledger)
        outcome = decisions.decide(
            ledger, rows, action=action, reason=reason, actor=actor, at=at, limits=book.limits, until=until,
            record_ids=record_ids,            evidence=evidence, accept_stale=is_stale_accepted, expected_seals=seals,
        )  # fmt: skip
    if outcome.applied:
        if action in ("exclude", "reopen"):
            build(book, at=at)
        else:
            refresh_decisions(book, at)
    refused = [*gone, *outcome.refused]
    rows_out: list[Row] = [
        {**current[d["discrepancy_id"]], "result": action, "reason": reason} for d in outcome.applied
    ]
    rows_out += [{**current.get(i, {"discrepancy_id": i}), "result": "refused", "reason": why} for i, why in refused]
    _print(
        rows_out,
        output,
        ("result", "discrepancy_id", "client_name", "service_name", "variance_amount", "currency", "reason"),
        "Nothing was decided.",
    )
    if refused:
        raise SystemExit(1)


@cli.group()
def invoices() -> None:
    """Turn approved rows into invoices, exactly once."""


_INVOICE_COLUMNS = (
    "reference",
    "client_id",
    "period_month",
    "total_amount",
    "currency",
    "state",
    "accounting_id",
    "reason",
)


@command(invoices, "plan", connects=True)
@click.option("--period", metavar="YYYY-MM", help="Only this month.")
def plan(book: "Book", output: str, period: str | None) -> None:
    """Show what would be sent now. Writes nothing anywhere."""
    from morton_pipeline.accounting import posting
    from morton_pipeline.ledger.store import open_ledger
    from morton_pipeline.reports import mart

    with open_ledger(book) as ledger:
        planned = posting.plan(book, ledger, mart.by_id(book), period=mart.month(period) if period else None)
    rows: list[Row] = [
        {
            **draft.intent,
            "client_name": draft.client_name,
            "state": "planned",
            "lines": len(draft.lines),
            "reason": "",
            "payload": draft.payload,
        }
        for draft in planned.drafts
    ]
    rows += [{**decision, "state": "held", "reason": why} for decision, why in planned.held]
    columns = ("state", "reference", "client_id", "period_month", "total_amount", "currency", "lines", "reason")
    _print(rows, output, columns, "Nothing is approved and waiting to be sent.")


@command(invoices, "post", connects=True)
@click.option("--period", metavar="YYYY-MM", help="Only this month.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@click.option("--release", multiple=True, metavar="REFERENCE", help="Let a parked invoice past its bound.")
@click.option("--as", "actor", default="morton", show_default=True, metavar="NAME", help="Who sends.")
def post(book: "Book", output: str, period: str | None, is_sure: bool, release: tuple[str, ...], actor: str) -> None:
    """Send what is approved to the accounting system."""
    from morton_pipeline.accounting import posting
    from morton_pipeline.ledger.store import open_ledger
    from morton_pipeline.reconcile import refresh_decisions
    from morton_pipeline.reports import mart

    month = mart.month(period) if period else None
    with open_ledger(book) as ledger:
        at = _now(book, ledger)
        current = mart.by_id(book)
        planned = posting.plan(book, ledger, current, period=month)
        if planned.drafts and not is_sure and sys.stdin.isatty():
            named = ", ".join(f"{d.client_name} {d.total_amount} {d.currency}" for d in planned.drafts[:10])
            click.confirm(f"Send {len(planned.drafts)} invoices ({named})?", abort=True, err=True)
        for decision, why in planned.held:
            _say(f"Held: {decision['discrepancy_id']}: {why}")
        rows = posting.post(book, ledger, current, at=at, period=month, release=release, actor=actor)
    if rows:
        refresh_decisions(book, at)
    _print(rows, output, _INVOICE_COLUMNS, "Nothing was approved and waiting to be sent.")
    if planned.held or any(row["state"] not in ("posted", "planned") for row in rows):
        raise SystemExit(1)


@command(invoices, "status")
def status(book: "Book", output: str) -> None:
    """Show every invoice and its state."""
    from morton_pipeline.ledger import invoices as sent
    from morton_pipeline.ledger.store import open_ledger

    with open_ledger(book) as ledger:
        rows = sent.status(ledger)
    _print(rows, output, _INVOICE_COLUMNS, "No invoice has been planned or sent yet.")


@command(invoices, "verify", connects=True)
def verify(book: "Book", output: str) -> None:
    """Read every posted invoice back and name those that are no longer what was approved."""
    from morton_pipeline.accounting import posting
    from morton_pipeline.ledger.store import open_ledger

    with open_ledger(book) as ledger:
        rows = posting.verify(book, ledger)
    _print(rows, output, _INVOICE_COLUMNS, "Every posted invoice is as it was approved.")
    if rows:
        raise SystemExit(1)


@cli.group()
def seeds() -> None:
    """The contract seeds analysts edit."""


@command(seeds, "check")
def check(book: "Book", output: str) -> None:
    """Name everything wrong in the seeds by file, row, column and fix."""
    from morton_pipeline.seeds import check as find

    problems = find(book)
    rows = [{"file": p.file, "row": p.row, "column": p.column, "message": p.message} for p in problems]
    _print(rows, output, ("file", "row", "column", "message"), f"The seeds in {book.seeds} are right.")
    if problems:
        raise SystemExit(1)


@cli.group(invoke_without_command=True)
@_BOOK
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", help="How to print it.")
@click.pass_context
def extractions(context: click.Context, book_dir: Path | None, output: str) -> None:
    """List the latest reading of every scope; accept one that was held back."""
    if book_dir:
        context.find_root().obj = book_dir
    if context.invoked_subcommand is None:
        from morton_pipeline.book import open_book
        from morton_pipeline.warehouse.load import latest

        rows = latest(open_book(context.find_root().obj))
        columns = (
            "extraction_id",
            "status",
            "record_count",
            "quarantined_count",
            "added_count",
            "removed_count",
            "reason",
        )
        _print(rows, output, columns, "Nothing was read yet: `morton extract`.")


@command(extractions, "accept")
@click.argument("extraction_id", metavar="ID")
@click.option("--as", "actor", required=True, metavar="NAME", help="Who vouches for it.")
def accept(book: "Book", output: str, extraction_id: str, actor: str) -> None:
    """Let a reading that was held back count, on a person's word."""
    from dataclasses import asdict

    from morton_pipeline.warehouse.load import accept as let_count

    accepted = let_count(book, extraction_id, actor, _check_clock(book))
    _print([asdict(accepted)], output, ("extraction_id", "status", "record_count", "accepted_by", "accepted_at"), "")
    _say("It counts from the next `morton reconcile` on.")


@cli.group()
def audit() -> None:
    """The chain that proves nobody changed what was decided and sent."""


@command(audit, "verify")
def audit_verify(book: "Book", output: str) -> None:
    """Recompute the whole chain and name the first row that does not fit."""
    from morton_pipeline.ledger.audit import verify as recompute
    from morton_pipeline.ledger.store import open_ledger

    with open_ledger(book) as ledger:
        found = recompute(ledger)
    rows = [{"entries": found.row_count, "is_whole": found.is_whole, "problem": found.problem}]
    _print(rows, output, ("entries", "is_whole", "problem"), "")
    if not found.is_whole:
        raise SystemExit(1)


@command(cli, "serve", connects=True)
@click.option("--port", default=3000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
def serve(book: "Book", output: str, port: int, host: str) -> None:
    """Run the Dagster UI, its daemon and the schedules on this book until stopped."""
    from morton_pipeline.serve import serve as start

    start(book, port=port, host=host)


def main() -> None:
    """Run the command line: errors made for people are printed without a traceback."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        _say("Stopped.")
        raise SystemExit(1) from None
    except click.ClickException as problem:
        problem.show()
        raise SystemExit(problem.exit_code) from None
    except MortonError as problem:
        _say(f"morton: {problem}")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
