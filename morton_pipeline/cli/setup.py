"""Commands that set a book up: make one, try its connections, say whose company is whose."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from morton_pipeline.cli import cli, command, formats, say, show

if TYPE_CHECKING:
    from morton_pipeline.book import Book
    from morton_pipeline.extract.auth import Company

CONNECTED = ("connection_id", "company_id", "company_name", "what", "to_do")
CHECKED = ("connection_id", "vendor", "state", "records", "what", "to_do")
SUGGESTED = ("kind", "mapping", "name", "suggestion", "suggestion_name", "score", "runner_up", "records", "list_amount",
             "currency", "verdict")  # fmt: skip


@cli.command("init")
@click.argument("root", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--vendor", "vendors", multiple=True, metavar="NAME", help="A vendor to connect; may be repeated.")
@click.option("--accounting", metavar="NAME", help="The accounting system that receives invoices.")
@formats("table", "json")
def init(root: Path, vendors: tuple[str, ...], accounting: str | None, output: str) -> None:
    """Write a book to start from.

    Its connections, a .env for their credentials, and seeds with what the vendors' records are commonly sold as.
    """
    from morton_pipeline.errors import guess
    from morton_pipeline.new_book import make, offered

    known = offered()
    books = [name for name, vendor in known.items() if vendor.category == "accounting"]
    if not vendors and not accounting and is_asked():
        vendors, accounting = _ask({name: vendor.title for name, vendor in known.items()}, books)
    for name, among in (*((name, list(known)) for name in vendors), *((name, books) for name in [accounting] if name)):
        if name not in among:
            raise click.UsageError(f"{name!r} is not known{guess(name, among)}; there are {', '.join(among)}.")
    files = make(root, vendors, accounting or "")
    show(files, output, ("file", "what"), "")
    morton = f"morton --book {root}"
    say(
        f"\nNext:\n  1. Fill in .env and connections.yaml, then:  {morton} check\n"
        f"  2. Fill in clients.csv, contracts.csv and the prices in services.csv, then:  {morton} seeds check\n"
        f"  3. {morton} extract, then reconcile, then:  {morton} mappings suggest"
    )


def is_asked() -> bool:
    """Whether somebody sits there who can answer."""
    return sys.stdin.isatty()


def _ask(titles: dict[str, str], books: list[str]) -> tuple[tuple[str, ...], str]:
    """List the vendors and ask which are connected; nothing chosen means all of them, as comments."""
    for name, title in titles.items():
        say(f"  {name:20} {title}")
    chosen = click.prompt("Which do you use? Names with spaces between", default="", show_default=False, err=True)
    asked = f"Where shall invoices go ({', '.join(books)}; nothing for files)?"
    accounting = click.prompt(asked, default="", show_default=False, err=True)
    return tuple(chosen.replace(",", " ").split()), accounting.strip()


@command(cli, "check", connects=True)
@click.argument("connections", nargs=-1, metavar="[CONNECTION]…")
def check(book: "Book", output: str, connections: tuple[str, ...]) -> None:
    """Try connections, all of them or the named ones.

    Says of each whether it is reached, lets us in and may be read, whether the clocks agree, and what it would count.
    Loads nothing.
    """
    from morton_pipeline import clock
    from morton_pipeline.check import check as find

    chosen = [book.connection(c) for c in connections] or list(book.connections)
    rows = find(book, chosen, at=clock.now(), say=lambda what: say(f"read {what}") if sys.stderr.isatty() else None)
    show(rows, output, CHECKED, "This book has no connections: write them into connections.yaml.")
    if any(row["state"] == "problem" for row in rows):
        raise SystemExit(1)


@command(cli, "connect", connects=True)
@click.argument("connection")
@click.option("--port", type=click.IntRange(1, 65535), default=8912, show_default=True,
              help="Where the browser comes back to: the app must know http://localhost:PORT/callback.")  # fmt: skip
@click.option("--redirect", default="", metavar="URL",
              help="A registered address of your own instead; you paste the address your browser ends at.")  # fmt: skip
@click.option("--no-browser", is_flag=True, help="Print the address of the sign-in page and open nothing.")
@click.option("--company", default="", metavar="ID", help="Which company, by id or name, where you may open several.")
def connect(
    book: "Book", output: str, connection: str, port: int, redirect: str, no_browser: bool, company: str
) -> None:
    """Sign in to an accounting system in the browser.

    The ledger keeps what came of it, encrypted, in place of what was there. Tells which company was signed in to, and
    what connections.yaml must say.
    """
    from morton_pipeline.connect import Person
    from morton_pipeline.connect import connect as sign_in
    from morton_pipeline.ledger.store import open_ledger

    def lead(address: str) -> None:
        import webbrowser

        if no_browser or not webbrowser.open(address):
            say(f"Open this address in a browser and sign in:\n\n{address}\n")
        else:
            say("The sign-in page is open in your browser.")

    person = Person(show=lead, choose=_choose, paste=_paste)
    with open_ledger(book) as ledger:
        row = sign_in(book, ledger, book.connection(connection), person, port=port, redirect=redirect, company=company)
    show([row], output, CONNECTED, "")


def _choose(companies: "Sequence[Company]") -> "Company":
    """Ask which of several companies, where somebody can answer."""
    if not is_asked():
        listed = "; ".join(f"{c.id} ({c.name})" for c in companies)
        raise click.UsageError(f"Name the company with --company; whoever signed in may open {listed}.")
    for number, company in enumerate(companies, start=1):
        say(f"  {number:3} {company.name} ({company.id})")
    chosen = click.prompt("Which company", type=click.IntRange(1, len(companies)), err=True)
    return companies[chosen - 1]


def _paste() -> str:
    """Ask for the address the browser ended at; it is not shown, for a code stands in it."""
    asked = "Paste the whole address your browser ended at"
    address: str = click.prompt(asked, hide_input=is_asked(), err=True)
    return address


@cli.group()
def mappings() -> None:
    """Whose company is whose, and what a SKU is sold as."""


@command(mappings, "suggest")
@click.option("--min-score", default=70.0, show_default=True, help="How alike names must be, of 100.")
@click.option("--write", "with_exact", is_flag=True, help="Write the exact ones into the seeds.")
@click.option("--accept", "accepted", multiple=True, metavar="MAPPING=ID",
              help="Write this one, e.g. CONNECTION/COMPANY=CLIENT; may be repeated.")  # fmt: skip
def suggest(book: "Book", output: str, min_score: float, with_exact: bool, accepted: tuple[str, ...]) -> None:
    """Propose mappings for what belongs to no client or no service yet.

    Nothing is written unless asked for, and of itself only what bears the very same name.
    """
    from morton_pipeline import clock
    from morton_pipeline.mappings import suggest as find
    from morton_pipeline.mappings import write

    found = find(book, at=clock.now(), min_score=min_score)
    is_writing = with_exact or bool(accepted)
    rows = write(book, found, accepted=accepted, with_exact=with_exact) if is_writing else found.rows
    named = [{**row, "name": row.get("company_name") or row.get("sku_name")} for row in rows]
    columns = (*SUGGESTED, *(("result",) if is_writing else ()), *(("note",) if any(r["note"] for r in rows) else ()))
    show(named, output, columns, "Every company and every SKU of the mart is mapped.")
    if found.pending:
        say(f"In the seeds already, and in the mart after the next `morton reconcile`: {', '.join(found.pending)}.")
    results = [str(row.get("result", "")).partition(":")[0] for row in rows]
    if count := results.count("written"):
        say(f"{count} mappings are in {book.seeds}; `morton reconcile` counts by them.")
        say("Where effective_from is empty they apply to all past months too.")
    if "refused" in results:
        raise SystemExit(1)
