"""Invoices: a sensor sees what people approved, and launches the asset that sends it, month by month.

The ledger decides what is sent, not Dagster: launching the asset with nothing approved sends nothing, and launching it
twice sends nothing twice. The sensor only chooses the moment.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import dagster as dg

from morton_pipeline import accounting, reconcile
from morton_pipeline.accounting import Draft
from morton_pipeline.accounting.quickbooks_desktop import caller_sentence
from morton_pipeline.book import Book
from morton_pipeline.clock import now, wall
from morton_pipeline.defs.alerts import tell_once
from morton_pipeline.defs.marts import mart
from morton_pipeline.defs.raw import markdown
from morton_pipeline.defs.resources import BookResource
from morton_pipeline.errors import MortonError
from morton_pipeline.ledger import decisions
from morton_pipeline.ledger import invoices as intents
from morton_pipeline.ledger.canonical import digest
from morton_pipeline.ledger.invoices import Invoice
from morton_pipeline.ledger.store import Ledger, open_ledger
from morton_pipeline.reports import mart as mart_rows
from morton_pipeline.seeds import NOTHING_SENT, refuse_wrong
from morton_pipeline.vendors import vendor_of

MONTHS = dg.MonthlyPartitionsDefinition(start_date="2020-01-01", end_offset=2)
"""Up to the month after this one: east of UTC it begins first."""

UNSETTLED = ("sending", "uncertain", "refused", "parked")
SHOWN = ("reference", "client_id", "currency", "total_amount", "state", "reason", "accounting_id")


def approved_rows(book: Book, ledger: Ledger, at: datetime) -> dict[str, dict[str, Any]]:
    """Return the mart's rows that stand approved in the ledger, by discrepancy, as fresh as they are at an instant.

    Raises `BadInput` while the contracts are wrong.
    """
    refuse_wrong(book, NOTHING_SENT)
    with ledger.read() as con:
        ids = {d["discrepancy_id"] for d in decisions.latest(con).values() if d["action"] == "approve"}
    return {i: row for i, row in mart_rows.by_id(book, at=at).items() if i in ids} if ids else {}


def due(book: Book, ledger: Ledger, at: datetime) -> dict[date, str]:
    """Return the months with something to send or to settle, each with a key that changes when there is cause to try.

    What is new is tried at once, what had no answer every ten minutes; what waits for a person only once a day.
    """
    rows, standing = approved_rows(book, ledger, now()), intents.current(ledger)
    open_before = [i for i in standing if i.state in ("sending", "uncertain")]
    if not rows and not open_before:
        return {}
    plan, states = accounting.plan(book, ledger, rows), {i.reference: i.state for i in standing}
    months: dict[date, dict[str, str]] = {}
    touched: list[Draft | Invoice] = [*plan.drafts, *open_before, *(invoice for invoice, _ in plan.withdrawn)]
    for one in touched:
        months.setdefault(one.period_month, {})[one.reference] = states.get(one.reference, "new")
    return {month: _key(month, references, at) for month, references in sorted(months.items())}


def _key(month: date, references: dict[str, str], at: datetime) -> str:
    is_for_a_person = set(references.values()) <= {"refused", "parked"}
    moment = f"{at:%Y-%m-%d}" if is_for_a_person else f"{at:%Y-%m-%dT%H}:{at.minute // 10}"
    return f"{month:%Y-%m} {digest(sorted(references))[:16]} {moment}"


@dg.asset(
    key="invoices",
    group_name="invoices",
    owners=["team:finance"],
    kinds={"python"},
    partitions_def=MONTHS,
    deps=[mart("discrepancies")],
    pool="invoices",
    description="Sends what people approved for a month to the accounting system, exactly once and to the cent that "
    "was approved. With nothing approved it sends nothing.",
    check_specs=[
        dg.AssetCheckSpec(
            "settled", asset="invoices",
            description="No invoice of the month is refused, parked for a person, or of uncertain outcome.",
        )
    ],
)  # fmt: skip
def invoices(context: dg.AssetExecutionContext, book: BookResource) -> Iterator[dg.MaterializeResult[None]]:
    """Send one month."""
    opened, month = book.open(), date.fromisoformat(context.partition_key)
    with open_ledger(opened) as ledger:
        rows = approved_rows(opened, ledger, now())
        if rows:
            reconcile.bring_up_to_date(opened, now(), context.log.info)
            rows = approved_rows(opened, ledger, now())
        sent = accounting.post(opened, ledger, rows, at=now(), period=month, actor="dagster")
    open_now = [row for row in sent if row["state"] in UNSETTLED]
    yield dg.MaterializeResult(
        metadata={
            **{f"{state}_count": count for state, count in sorted(Counter(row["state"] for row in sent).items())},
            "invoices": dg.MetadataValue.md(markdown(SHOWN, [[row[name] for name in SHOWN] for row in sent])),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="settled",
                passed=not open_now,
                severity=dg.AssetCheckSeverity.WARN,
                description="; ".join(f"{row['reference']} is {row['state']}: {row['reason']}" for row in open_now)
                or f"{len(sent)} in order.",
            )
        ],
    )
    # What was sent is recorded by now; showing it in the mart comes after, and may fail on its own.
    if sent:
        reconcile.refresh_decisions(opened, now())


post_invoices = dg.define_asset_job(
    "post_invoices",
    selection=dg.AssetSelection.assets(invoices),
    description="Sends what people approved for one month.",
)


@dg.sensor(
    job=post_invoices,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks every half minute for approved rows that were not sent and are still as they were approved, "
    "and has their month's invoices sent.",
)
def approved_decisions(
    context: dg.SensorEvaluationContext, book: BookResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for one run per month that has something to send; what keeps it from looking is told to somebody."""
    try:
        opened = book.open()
        if opened.accounting and vendor_of(opened.accounting).is_caller:
            yield dg.SkipReason(caller_sentence(opened.accounting.id))
            return
        with open_ledger(opened) as ledger:
            months = due(opened, ledger, wall())
    except MortonError as failure:
        tell_once(context, book, "Approved invoices cannot be sent", str(failure))
        yield dg.SkipReason(str(failure))
        return
    context.update_cursor("")
    if not months:
        yield dg.SkipReason("Nothing is approved and unsent.")
    for month, key in months.items():
        yield dg.RunRequest(run_key=key, partition_key=f"{month:%Y-%m-01}")


@dg.definitions
def defs() -> dg.Definitions:
    """The asset that sends, the job that runs it, and the sensor that starts it."""
    return dg.Definitions(assets=[invoices], jobs=[post_invoices], sensors=[approved_decisions])
