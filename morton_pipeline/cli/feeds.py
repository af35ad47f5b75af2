"""Commands that read connections and build the marts."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from morton_pipeline.cli import BOOK, checked_now, cli, command, formats, say, show, warn_not_fresh
from morton_pipeline.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from morton_pipeline.book import Book
    from morton_pipeline.seeds.edits import Edit

EXTRACTION_COLUMNS = ("connection_id", "endpoint", "tenant_id", "status", "record_count", "added_count",
                      "changed_count",
                      "removed_count", "reason")  # fmt: skip


@cli.command("demo")
@BOOK
@formats("table", "json")
@click.option("--serve", "is_serving", is_flag=True, help="Open the Dagster UI on the demo book afterwards.")
@click.option("--days", default=90, show_default=True, help="How many of the days to replay.")
@click.pass_context
def demo(context: click.Context, book_dir: Path | None, output: str, is_serving: bool, days: int) -> None:
    """Run the whole job on a generated MSP: replay 90 days from local stand-ins, then list what leaks."""
    from morton_pipeline.cli.lists import show_open_month
    from morton_pipeline.simulator.demo import run, stand_ins

    book = run(book_dir or context.find_root().obj or Path("demo"), days=days, say=say)
    show_open_month(book, output)
    if is_serving:
        from morton_pipeline.serve import serve as start

        with stand_ins(book):
            start(book)


@command(cli, "extract", connects=True)
@click.argument("connections", nargs=-1, metavar="[CONNECTION]…")
def extract(book: "Book", output: str, connections: tuple[str, ...]) -> None:
    """Read connections now, all of them or the named ones, whatever their schedule says."""
    from morton_pipeline.accounting.quickbooks_desktop import caller_sentence
    from morton_pipeline.refresh import refresh
    from morton_pipeline.vendors import vendor_of

    chosen = [book.connection(c) for c in connections] or list(book.read_connections)
    for connection in (c for c in chosen if vendor_of(c).is_caller):
        say(caller_sentence(connection.id))
    at = checked_now(book)
    loaded = refresh(book, chosen, at=at, say=lambda what: say(f"read {what}") if sys.stderr.isatty() else None)
    names = ("extraction_id", "vendor", "quarantined_count", *EXTRACTION_COLUMNS)
    rows = [{name: getattr(one, name) for name in names} for one in loaded]
    nothing = "Nothing new has come since the last look." if chosen else "This book has no connections to read."
    show(rows, output, EXTRACTION_COLUMNS, nothing)
    if any(one.status != "complete" for one in loaded):
        say("Some scopes are not complete; the rest is loaded. `morton extractions` lists what can be accepted.")
        raise SystemExit(1)


@command(cli, "reconcile")
@click.option("--as-of", "as_of", metavar="T", help="Build what was known at this instant, beside the current mart.")
@click.option("--period", metavar="YYYY-MM", help="The month to show; the open month by default.")
def reconcile(book: "Book", output: str, as_of: str | None, period: str | None) -> None:
    """Compare what the tools count with contracts and invoices, and publish the marts.

    A look back prints the month's list as it was known then, and leaves the marts of today as they are.
    """
    from morton_pipeline import clock
    from morton_pipeline.cli.lists import COLUMNS
    from morton_pipeline.reconcile import reconcile as build
    from morton_pipeline.reports import mart
    from morton_pipeline.reports.summary import summary
    from morton_pipeline.seeds import uncovered

    if period:
        mart.month(period)
    at = checked_now(book)
    instant = clock.parse(as_of, "--as-of") if as_of else None
    if instant and instant > at:
        raise BadInput(
            f"--as-of {as_of} is later than now, {at:%Y-%m-%dT%H:%M:%SZ}, and nobody knows what will be known then; "
            "leave it out to build what is known now."
        )
    published = build(book, at=at, as_of=instant, say=say)
    rows = mart.discrepancies(book, at=instant or at, period=period, source=published)
    if instant:
        say(f"What was known at {as_of} is in {published}; of {period or 'the month that was open'} it said:")
        nothing = "Nothing differed from the contracts, as far as sources were fresh."
        show(rows, output, COLUMNS, nothing if mart.is_read(book, published) else mart.NOTHING_READ)
        return
    warn_not_fresh(book)
    for problem in uncovered(book, at.date()):
        say(f"Not covered: {problem}")
    columns = ("kind", "currency", "rows", "variance_amount", "accumulated_amount")
    nothing = "Nothing differs from the contracts." if mart.is_read(book, published) else mart.NOTHING_READ
    show(summary(rows), output, columns, nothing)


@command(cli, "diff")
@click.option("--against", metavar="REF_OR_DIR", help="A revision in git or a folder of seeds; HEAD by default.")
@click.option("--period", metavar="M", help="YYYY-MM, or all; the open month by default.")
@click.option("--fail-above", metavar="AMOUNT", help="Exit with 1 when more money than this moves in a currency.")
def diff(book: "Book", output: str, against: str | None, period: str | None, fail_above: str | None) -> None:
    """Say what an edit of the seeds does to the money, on today's records; changes nothing."""
    import tempfile

    from morton_pipeline.seeds import edits as seed_edits
    from morton_pipeline.what_if import difference, most_moved, number, seeds_at

    limit, named, at = number(fail_above, "--fail-above") if fail_above else None, against or "HEAD", checked_now(book)
    with tempfile.TemporaryDirectory() as folder:
        before = seeds_at(book, named, Path(folder))
        rows = difference(book, before, book.seeds, at=at, period=period)
        edits, coming = seed_edits.edits(before, book.seeds), seed_edits.coming(before, book.seeds, at.date())
    nothing = f"The seeds in {book.seeds} say what {named} says: no money moves."
    _show_difference(rows, output, nothing if not edits else "No money moves in the months that were compared.")
    if not rows:
        _say_edits(f"The seeds in {book.seeds} are not those of {named} all the same:", edits)
    else:
        _say_edits("What begins later is not among these rows:", coming.edits)
    if limit is None:
        return
    if coming.unvalued:
        say(
            f"What {len(coming.unvalued)} of the rows that begin later will move, nobody can tell yet: have somebody "
            "look at them, and run this without --fail-above once that is done."
        )
    if most_moved(rows, coming.moved) > limit:
        later = ", with what begins later" if any(coming.moved.values()) else ""
        say(f"More than {limit} moves{later}: look at it once more, or name a higher --fail-above.")
    elif not coming.unvalued:
        return
    raise SystemExit(1)


def _say_edits(what: str, edits: "Sequence[Edit]") -> None:
    if edits:
        more = [f"  … and {len(edits) - 20} more."] if len(edits) > 20 else []
        say("\n".join([what, *(f"  {edit}" for edit in edits[:20]), *more]))


@command(cli, "what-if")
@click.option("--set", "sets", multiple=True, metavar="CHANGE", help="contracts.tolerance_quantity=2, or *1.05.")
@click.option("--add", "adds", multiple=True, metavar="ROW", help="exclusions:client_id=acme,name_pattern=lab*,…")
@click.option("--where", "wheres", multiple=True, metavar="COLUMN=VALUE", help="Which rows --set is about.")
@click.option("--period", metavar="M", default="all", show_default=True, help="YYYY-MM, or all.")
def what_if(
    book: "Book", output: str, sets: tuple[str, ...], adds: tuple[str, ...], wheres: tuple[str, ...], period: str
) -> None:
    """Say what a changed rule would have done to the money of past months; changes nothing."""
    import tempfile

    from morton_pipeline.what_if import changed, difference, parse_add, parse_set, parse_where

    if not sets and not adds:
        raise click.UsageError("Name a change: --set FILE.COLUMN=VALUE, or --add FILE:COLUMN=VALUE,….")
    changes = [*map(parse_set, sets), *map(parse_add, adds)]
    with tempfile.TemporaryDirectory() as folder:
        after = changed(book.seeds, Path(folder), changes, dict(map(parse_where, wheres)))
        rows = difference(book, book.seeds, after, at=checked_now(book), period=period, reopens=True)
    _show_difference(rows, output, "Nothing would have been different.")


def _show_difference(rows: list[dict[str, Any]], output: str, nothing: str) -> None:
    from morton_pipeline.what_if import COLUMNS, totals

    show(rows, output, COLUMNS, nothing)
    if rows and output == "table":
        show(totals(rows), output, ("period_month", "client_name", "rows", "change_amount", "currency"), "")


@cli.group()
def seeds() -> None:
    """The contract seeds analysts edit."""


@command(seeds, "check")
def check(book: "Book", output: str) -> None:
    """Name everything wrong in the seeds by file, row, column and fix."""
    from morton_pipeline import clock
    from morton_pipeline.seeds import check as find
    from morton_pipeline.seeds import missing_rates, uncovered

    today = clock.now().date()
    problems = find(book) or missing_rates(book, today)
    problems += uncovered(book, today)
    rows = [{"file": p.file, "row": p.row, "column": p.column, "message": p.message} for p in problems]
    show(rows, output, ("file", "row", "column", "message"), f"The seeds in {book.seeds} are right.")
    if rows:
        raise SystemExit(1)


@cli.group(invoke_without_command=True)
@BOOK
@formats("table", "json")
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
        show(rows, output, columns, "Nothing was read yet: `morton extract`.")


@command(extractions, "accept")
@click.argument("extraction_id", metavar="ID")
@click.option("--as", "actor", required=True, metavar="NAME", help="Who vouches for it.")
def accept(book: "Book", output: str, extraction_id: str, actor: str) -> None:
    """Let a reading that was held back count, on a person's word."""
    from dataclasses import asdict

    from morton_pipeline.warehouse.load import accept as let_count

    accepted = asdict(let_count(book, extraction_id, actor, checked_now(book)))
    show([accepted], output, ("extraction_id", "status", "record_count", "accepted_by", "accepted_at"), "")
    say("It counts from the next `morton reconcile` on.")


@command(cli, "serve", ("table",), connects=True)
@click.option("--port", default=3000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
def serve(book: "Book", output: str, port: int, host: str) -> None:
    """Run the Dagster UI, its daemon and the schedules on this book until stopped."""
    from morton_pipeline.serve import serve as start

    start(book, port=port, host=host)
