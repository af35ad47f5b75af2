"""Commands that only look."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from morton_pipeline.cli import cli, command, say, show, warn_not_fresh

if TYPE_CHECKING:
    from morton_pipeline.book import Book

COLUMNS = (
    "discrepancy_id",
    "kind",
    "client_name",
    "service_name",
    "observed_quantity",
    "contracted_quantity",
    "invoiced_quantity",
    "variance_quantity",
    "variance_amount",
    "currency",
    "began_on",
    "source_state",
    "status",
)
MARGIN_COLUMNS = (
    "finding",
    "client_name",
    "service_name",
    "contracted_quantity",
    "observed_quantity",
    "purchased_quantity",
    "assigned_quantity",
    "distributor_invoiced_quantity",
    "unit_price",
    "unit_cost",
    "margin_amount",
    "currency",
    "waste_quantity",
    "waste_amount",
    "commitment_ends_on",
    "source_state",
)
GAP_COLUMNS = (
    "gap",
    "client_name",
    "device_name",
    "device_class",
    "present_in",
    "candidates",
    "since_on",
    "expected_because",
    "source_state",
)

CHANGE_COLUMNS = (
    "changed_on",
    "client_name",
    "service_name",
    "change",
    "record_name",
    "record_id",
    "vendor",
    "quantity",
    "explanation",
)


TASK_COLUMNS = (
    "client_name",
    "service_name",
    "kind",
    "cause",
    "decision_count",
    "is_chronic",
    "written_off_amount",
    "currency",
    "last_decided_by",
    "last_reason",
    "holds_until_on",
    "to_do",
)
EXCLUSION_COLUMNS = (
    "client_name",
    "service_id",
    "record_name",
    "vendor",
    "quantity",
    "rule",
    "reason",
    "owner",
    "excluded_since_on",
    "expires_on",
    "is_new",
    "is_expired",
    "max_quantity",
    "covered_quantity",
)


def show_open_month(book: "Book", output: str) -> None:
    """Print what the open month holds and the next step for its largest row that can be billed."""
    from morton_pipeline import clock
    from morton_pipeline.reports import mart
    from morton_pipeline.reports.summary import totals

    rows = mart.discrepancies(book, at=clock.now())
    show(rows, output, COLUMNS, "Nothing differs from the contracts." if mart.is_read(book) else mart.NOTHING_READ)
    if output == "table" and rows:
        click.echo(totals(rows, book.root))


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
    book: "Book",
    output: str,
    client: str | None,
    service: str | None,
    kind: str | None,
    status: str | None,
    period: str | None,
    with_tolerated: bool,
    out: Path | None,
) -> None:
    """List what somebody must look at, largest money first."""
    from morton_pipeline import clock
    from morton_pipeline.reports import mart
    from morton_pipeline.reports.show import as_csv, write_workbook
    from morton_pipeline.reports.summary import totals

    for value, known, what in ((kind, mart.KINDS, "kind"), (status, mart.STATUSES, "status")):
        if value and value not in known:
            raise click.UsageError(f"{value!r} is not a {what}; there are {', '.join(known)}.")
    rows = mart.discrepancies(
        book, at=clock.now(), client=client, service=service, kind=kind, status=status, period=period,
        with_tolerated=with_tolerated,
    )  # fmt: skip
    columns = list(rows[0]) if rows else list(COLUMNS)
    if output == "csv" and out is None:
        click.echo(as_csv(rows, columns), nl=False)
    elif output in ("csv", "xlsx"):
        target = out or book.data / "discrepancies.xlsx"
        if output == "csv":
            target.write_text(as_csv(rows, columns), "utf-8")
        else:
            write_workbook(rows, columns, target, "Discrepancies")
        say(f"{len(rows)} rows are in {target}. Delete the lines you do not want, then")
        say(f'  morton decide approve --from {target} --reason "…" --as YOUR-NAME')
    else:
        if output == "table":
            warn_not_fresh(book)
        nothing = "Nothing in this selection differs from the contracts, as far as sources are fresh."
        show(rows, output, COLUMNS, nothing if rows or mart.is_read(book) else mart.NOTHING_READ)
        if output == "table" and rows:
            click.echo(totals(rows, book.root))


@command(cli, "evidence")
@click.argument("discrepancy_id", metavar="ID")
def evidence(book: "Book", output: str, discrepancy_id: str) -> None:
    """Show the records behind one discrepancy, what changed first."""
    from morton_pipeline import clock
    from morton_pipeline.reports import mart
    from morton_pipeline.reports.show import plain

    row = mart.by_id(book, [discrepancy_id], at=clock.now())[discrepancy_id]
    if output == "table":
        click.echo(row["explanation"])
        if row["lost_unit_days"] and row["accumulated_amount"]:
            said = plain(row)
            click.echo(
                f"{said['lost_unit_days']} unit-days since {said['began_on']}, worth {said['accumulated_amount']} "
                f"{said['currency']}; {said['recoverable_amount']} of it can still be billed."
            )
        if row["status"] == "void":
            _say_what_was_approved(book, row)
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
    rows = mart.evidence_of(book, [discrepancy_id])[discrepancy_id]
    show(rows, output, columns, "No records stand behind this row.")


def _say_what_was_approved(book: "Book", row: dict[str, Any]) -> None:
    from morton_pipeline.reports import approvals

    approval = approvals.approved(book, row["discrepancy_id"])
    if approval is None:
        return
    at = f"{approval['decided_at']:%Y-%m-%d %H:%M}Z"
    click.echo(
        f"{approval['decided_by']} approved it at {at} ({approval['reason']}); what has changed since voids that:"
    )
    show(approvals.changes(approval, row), "table", ("what", "before", "after"), "")


@command(cli, "margins", ("table", "json", "csv"))
@click.option("--finding", metavar="F", help="One finding: waste, risk, lists_differ or below_cost.")
@click.option("--client", metavar="C", help="A client's id or name.")
def margins(book: "Book", output: str, finding: str | None, client: str | None) -> None:
    """List what each service is agreed, counted, bought and assigned as, what it brings and what it costs."""
    from morton_pipeline import clock
    from morton_pipeline.reports import mart

    if finding and finding not in mart.FINDINGS:
        raise click.UsageError(f"{finding!r} is not a finding; there are {', '.join(mart.FINDINGS)}.")
    rows = mart.margins(book, at=clock.now(), client=client, finding=finding)
    _show_beside(book, rows, output, MARGIN_COLUMNS, "Nothing in this selection, as far as sources are fresh.")


@command(cli, "gaps", ("table", "json", "csv"))
@click.option("--client", metavar="C", help="A client's id or name.")
def gaps(book: "Book", output: str, client: str | None) -> None:
    """List machines that one tool knows and another, which the client pays for, does not."""
    from morton_pipeline import clock
    from morton_pipeline.reports import mart

    rows = mart.gaps(book, at=clock.now(), client=client)
    _show_beside(
        book, rows, output, GAP_COLUMNS, "No machine is missing where it is expected, as far as sources are fresh."
    )


@command(cli, "changes", ("table", "json", "csv"))
@click.option("--client", metavar="C", help="A client's id or name.")
@click.option("--period", metavar="YYYY-MM", help="This month alone; the open one and the one before otherwise.")
def changes(book: "Book", output: str, client: str | None, period: str | None) -> None:
    """List what happened to single records, also where no total moved."""
    from morton_pipeline.reports import mart

    rows = mart.changes(book, client=client, period=period)
    _show_beside(
        book, rows, output, CHANGE_COLUMNS, "No record changed in this selection, as far as sources are fresh."
    )


@command(cli, "exclusions", ("table", "json", "csv"))
@click.option("--client", metavar="C", help="A client's id or name.")
@click.option("--new", "is_new", is_flag=True, help="Only what is excluded, or counts again, since this period began.")
def exclusions(book: "Book", output: str, client: str | None, is_new: bool) -> None:
    """List the records nobody is billed for, by which rule, on whose word and until when."""
    from morton_pipeline.reports import mart

    rows = mart.exclusions(book, client=client, is_new=is_new)
    _show_beside(book, rows, output, EXCLUSION_COLUMNS, "No record is excluded in this selection.")


@command(cli, "tasks", ("table", "json", "csv"))
@click.option("--client", metavar="C", help="A client's id or name.")
@click.option("--all", "with_ended", is_flag=True, help="Also those whose decisions have all ended.")
def tasks(book: "Book", output: str, client: str | None, with_ended: bool) -> None:
    """List what must be mended because it was written off or excluded, what came back first."""
    from morton_pipeline.reports import mart

    rows = mart.tasks(book, client=client, with_ended=with_ended)
    _show_beside(book, rows, output, TASK_COLUMNS, "Nothing was written off or excluded that is still to be mended.")


def _show_beside(book: "Book", rows: list[dict[str, Any]], output: str, columns: Sequence[str], empty: str) -> None:
    from morton_pipeline.reports.show import as_csv

    if output == "csv":
        click.echo(as_csv(rows, list(rows[0]) if rows else list(columns)), nl=False)
        return
    if output == "table":
        warn_not_fresh(book)
    show(rows, output, columns, empty)


@cli.group()
def audit() -> None:
    """The chain that proves nobody changed what was decided and sent."""


@command(audit, "verify")
def verify(book: "Book", output: str) -> None:
    """Recompute the whole chain and name the first row that does not fit."""
    from morton_pipeline.ledger.audit import verify as recompute
    from morton_pipeline.ledger.store import open_ledger

    with open_ledger(book) as ledger:
        found = recompute(ledger)
    rows = [{"entries": found.row_count, "is_whole": found.is_whole, "problem": found.problem}]
    show(rows, output, ("entries", "is_whole", "problem"), "")
    if not found.is_whole:
        raise SystemExit(1)
