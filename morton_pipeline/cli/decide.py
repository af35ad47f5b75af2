"""Commands that record what a person decided."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from morton_pipeline.cli import Row, checked_now, cli, command, show, show_in_mart

if TYPE_CHECKING:
    from morton_pipeline.book import Book

COLUMNS = ("result", "discrepancy_id", "client_name", "service_name", "variance_amount", "currency", "reason")


@cli.group()
def decide() -> None:
    """Record what a person decided about rows: who, when, what, why."""


def _add(name: str, help_text: str, *more: Callable[[Any], Any]) -> None:
    """Add one kind of decision: the rows, the reason and the name are asked for by all of them."""

    def function(book: "Book", output: str, **given: Any) -> None:
        _record(book, output, name.replace("-", "_"), **given)

    function.__doc__ = help_text
    decorated: Callable[..., None] = function
    for option in reversed((*_SHARED, *more)):
        decorated = option(decorated)
    command(decide, name)(decorated)


_SHARED = (
    click.argument("ids", nargs=-1, metavar="ID…"),
    click.option("--from", "from_file", type=click.Path(path_type=Path), metavar="FILE",
                 help="A list `discrepancies --format csv|xlsx` wrote."),
    click.option("--reason", required=True, help="Why, in words somebody will read next year."),
    click.option("--as", "actor", required=True, metavar="NAME", help="Who decides."),
)  # fmt: skip
_UNTIL = click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The day it ends.")
_STALE = click.option("--accept-stale", is_flag=True, help="Approve although the source is stale; the reason says why.")
_RECORDS = click.option("--record", "record_ids", multiple=True, metavar="RECORD_ID",
                        help="A record of the row; all that were added by default.")  # fmt: skip

_CAUSE = click.option("--cause", required=True, metavar="CAUSE",
                      help="What is wrong and must be mended: mapping, contract, source or policy.")  # fmt: skip

_add("approve", "Bill this period's variance.", _STALE)
_add("write-off", "Give the amount up until a day.", _UNTIL, _CAUSE)
_add("exclude", "Stop counting records of the row until a day.", _UNTIL, _CAUSE, _RECORDS)
_add("snooze", "Set the row aside until a day.", _UNTIL)
_add("reopen", "Undo the latest decision, unless its invoice is out.")


def _record(
    book: "Book",
    output: str,
    action: str,
    ids: tuple[str, ...],
    from_file: Path | None,
    until: datetime | None = None,
    **given: Any,
) -> None:
    from morton_pipeline.ledger import decisions
    from morton_pipeline.ledger.store import open_ledger
    from morton_pipeline.rates import read_rates
    from morton_pipeline.reconcile import reconcile, refresh_decisions
    from morton_pipeline.reports import mart
    from morton_pipeline.reports.show import read_seals

    if bool(ids) == bool(from_file):
        raise click.UsageError("Name the rows by ID, or hand over a list with --from FILE.")
    at = checked_now(book)
    seals = read_seals(from_file) if from_file else None
    current = mart.by_id(book, at=at)
    wanted = list(seals or dict.fromkeys(ids))
    gone = [(i, mart.unknown(i, current)) for i in wanted if i not in current]
    rows = [current[i] for i in wanted if i in current]
    evidence = mart.evidence_of(book, [r["discrepancy_id"] for r in rows]) if action == "exclude" else None
    with open_ledger(book) as ledger:
        outcome = decisions.decide(
            ledger, rows, action=action, at=at, limits=book.limits, rates=read_rates(book.seeds),
            until=until.date() if until else None, evidence=evidence, expected_seals=seals, **given,
        )  # fmt: skip
    refused = [*gone, *outcome.refused]
    told: list[Row] = [
        {**current[d["discrepancy_id"]], "result": d["action"], "reason": given["reason"]} for d in outcome.applied
    ]
    told += [{**current.get(i, {"discrepancy_id": i}), "result": "refused", "reason": why} for i, why in refused]
    show(told, output, COLUMNS, "Nothing was decided.")
    if outcome.applied:
        # Exclusions change what is counted; any other decision only how a row stands.
        is_counted_anew = action in ("exclude", "reopen")
        show_in_mart(book, lambda: reconcile(book, at=at) if is_counted_anew else refresh_decisions(book, at))
    if refused:
        raise SystemExit(1)
