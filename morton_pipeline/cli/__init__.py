"""The `morton` command. Each command says what it does and hands over; nothing is computed here.

Belongs in this file: what every command shares. The commands stand beside it: `setup` (a book of one's own), `feeds`
(reading and building), `lists` (looking), `decide` and `invoices` (money), `connector` (QuickBooks Desktop). Heavy
libraries are imported inside the commands that need them: `--help` must answer at once. Exit codes: 0 done, 1 found a
problem it names, 2 wrong usage.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from morton_pipeline.errors import MortonError

if TYPE_CHECKING:
    from morton_pipeline.book import Book

Row = Mapping[str, Any]

BOOK = click.option(
    "--book",
    "book_dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The book; else MORTON_BOOK or this folder.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@BOOK
@click.pass_context
def cli(context: click.Context, book_dir: Path | None) -> None:
    """Find what an MSP's tools count and its invoices do not; a person approves, Morton invoices it once."""
    context.obj = book_dir


def formats(*words: str) -> Callable[[Any], Any]:
    """Add `--format`."""
    return click.option("--format", "output", type=click.Choice(words), default=words[0], help="How to print it.")


def command(
    group: click.Group, name: str, words: Sequence[str] = ("table", "json"), *, connects: bool = False
) -> Callable[[Callable[..., None]], click.Command]:
    """Add a command that is handed its book, and takes `--book` (before or after its name) and `--format`.

    `connects` says that it talks to connections: a demo book's stand-ins then answer while it runs.
    """

    def add(function: Callable[..., None]) -> click.Command:
        @click.pass_context
        def run(context: click.Context, /, book_dir: Path | None, **arguments: Any) -> None:
            from morton_pipeline.book import open_book

            book = open_book(book_dir or context.find_root().obj)
            if not connects:
                function(book, **arguments)
                return
            from morton_pipeline.simulator.demo import stand_ins

            with stand_ins(book):
                function(book, **arguments)

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        decorated: click.Command = group.command(name)(formats(*words)(BOOK(run)))
        return decorated

    return add


def say(text: str) -> None:
    """Tell the person, apart from the command's own output."""
    click.echo(text, err=True)


def show(rows: Sequence[Row], output: str, columns: Sequence[str], empty: str) -> None:
    """Print rows as a table for people or JSON for programs; `empty` is what no rows mean."""
    from morton_pipeline.reports.show import as_json

    if output == "json":
        click.echo(as_json(rows))
    elif not rows:
        click.echo(empty)
    else:
        from morton_pipeline.reports.table import render

        render(rows, columns)


def checked_now(book: "Book") -> datetime:
    """Return the clock, refusing one earlier than what the book has seen."""
    from morton_pipeline import clock
    from morton_pipeline.ledger.audit import refuse_earlier
    from morton_pipeline.ledger.store import open_ledger
    from morton_pipeline.warehouse.journal import last_seen_at

    at = clock.now()
    with open_ledger(book) as ledger:
        refuse_earlier(ledger, at, also=last_seen_at(book))
    return at


def warn_not_fresh(book: "Book") -> None:
    """Name the sources whose numbers are old or missing."""
    from morton_pipeline import clock
    from morton_pipeline.reports.mart import not_fresh

    def source(row: Row) -> tuple[str, str, str]:
        return row["connection_id"], row["endpoint"], row["state"]

    for (connection_id, endpoint, state), members in groupby(sorted(not_fresh(book, clock.now()), key=source), source):
        rows = list(members)
        whose = rows[0]["tenant_id"] if len(rows) == 1 else f"of {len(rows)} tenants"
        complete = min((r["last_complete_at"] for r in rows if r["last_complete_at"]), default=None)
        since = f"last complete {complete:%Y-%m-%d %H:%M} UTC" if complete else "never read to the end"
        why = f": {rows[0]['last_error']}" if rows[0]["last_error"] else ""
        say(f"Not fresh: {' '.join(filter(None, (connection_id, endpoint, whose)))} is {state} ({since}){why}")


def show_in_mart(book: "Book", rebuild: Callable[[], object]) -> None:
    """Bring the mart up to date after something was recorded; that it cannot be now undoes nothing."""
    say("Bringing the mart up to date.")
    try:
        rebuild()
    except MortonError as problem:
        say(f"It is recorded; the mart will show it after the next `morton reconcile`. {problem}")


for _page in ("setup", "feeds", "lists", "decide", "invoices", "connector"):
    importlib.import_module(f"{__name__}.{_page}")


def main() -> None:
    """Run the command line: errors made for people are printed without a traceback."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        say("Stopped.")
        raise SystemExit(1) from None
    except click.ClickException as problem:
        problem.show()
        raise SystemExit(problem.exit_code) from None
    except MortonError as problem:
        say(f"morton: {problem}")
        raise SystemExit(1) from None
