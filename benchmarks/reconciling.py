"""`reconcile` over many records, beside one hand-written query and beside pandas, which must all agree to the cent.

Belongs here: the run, the comparison and the table. Does not: the book (`msp`) or the other two answers (`by_hand`).
dbt's own time is shown apart, as the same reconcile of an empty book: what is left is the work on the records.
"""

import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import duckdb
import pandas as pd

from benchmarks import by_hand, msp
from benchmarks.measure import Figure, Ran, apart, in_turn, show, typical
from morton_pipeline.book import open_book
from morton_pipeline.reconcile import reconcile

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
FIRST_READ = timedelta(days=30)
"""How long the book has been read: what a record was on every day since is part of what is built."""
ROUNDS = 2
KINDS = ("under_billed", "over_billed", "no_contract", "no_usage")

Row = tuple[str, str, Decimal, Decimal]


def run(records: int) -> bool:
    """Make the book, let the contestants answer in turn, compare their answers; tell whether they agree."""
    with tempfile.TemporaryDirectory(prefix="morton-reconciling-") as folder:
        root, empty, exported = Path(folder) / "book", Path(folder) / "empty", Path(folder) / "exported"
        msp.make_book(empty, 0)
        prepare(root, records)
        exported.mkdir()
        by_hand.export(root, exported)
        ours, overhead, query, frames = in_turn(
            ROUNDS,
            partial(apart, _reconcile, root),
            partial(apart, _reconcile, empty),
            partial(apart, by_hand.in_duckdb, root),
            partial(apart, by_hand.in_pandas, root, exported),
        )
        published = _published(root)
    work = typical(ours) - typical(overhead)
    in_one_query = "one hand-written DuckDB query: the same joins and grouping, nothing kept"
    clients = msp.clients_of(records)
    show(
        f"reconciling: {records:,} current records of {clients:,} clients, read for {FIRST_READ.days} days",
        (
            Figure("reconcile", typical(ours), "s", typical(query), in_one_query),
            Figure("  dbt and publishing, an empty book", typical(overhead), "s"),
            Figure("  work on the records", work, "s", typical(query), in_one_query),
            Figure("  work on the records", work, "s", typical(frames), "the same in pandas, from Parquet"),
            Figure("peak memory", ours[-1].peak_mib, "MiB", query[-1].peak_mib, "of that query"),
            Figure("peak memory", ours[-1].peak_mib, "MiB", frames[-1].peak_mib, "of pandas"),
        ),
    )
    return _agree(published, _rows(query[-1]), _rows(frames[-1]))


def prepare(root: Path, records: int) -> None:
    """Make the book and load it twice: everything when it was first read, and what has changed since."""
    clients = msp.clients_of(records)
    frames = msp.make_frames(records, clients)
    book = msp.make_book(root, clients, frames)
    msp.load(book, frames, AT - FIRST_READ)
    msp.change(frames)
    msp.load(book, frames, AT - timedelta(hours=1))


def _reconcile(root: Path) -> None:
    """Reconcile in a process that starts as a command does, and dies with whatever it says."""
    done = subprocess.run([sys.executable, "-m", __name__, str(root)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"reconcile failed:\n{done.stdout}{done.stderr}")


def _published(root: Path) -> set[Row]:
    with duckdb.connect(str(open_book(root).published), read_only=True) as con:
        found = con.execute(
            "select client_id, service_id, variance_quantity, variance_amount from marts.discrepancies "
            "where period_month = ? and list_contains(?, kind)",
            [AT.date().replace(day=1), list(KINDS)],
        ).fetchall()
    return set(found)


def _rows(ran: Ran) -> set[Row]:
    frame: pd.DataFrame = ran.result
    quantities = [Decimal(str(q)) for q in frame["variance_quantity"]]
    amounts = [Decimal(str(a)).quantize(Decimal("0.01")) for a in frame["variance_amount"]]
    return set(zip(frame["client_id"], frame["service_id"], quantities, amounts, strict=True))


def _agree(published: set[Row], query: set[Row], frames: set[Row]) -> bool:
    agree = published == query == frames
    total = sum((amount for *_, amount in published), Decimal())
    print(f"  The three agree: {len(published):,} rows, {total:,.2f} USD." if agree else "  THE THREE DISAGREE:")
    for name, other in (("the query", query), ("pandas", frames)):
        if published != other:
            print(f"    only reconcile: {sorted(published - other)[:3]} of {len(published - other):,}; "
                  f"only {name}: {sorted(other - published)[:3]} of {len(other - published):,}")  # fmt: skip
    return agree


if __name__ == "__main__":
    reconcile(open_book(sys.argv[1]), at=AT)
