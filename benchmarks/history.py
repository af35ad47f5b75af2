"""The nightly `reconcile` of one provider whose book goes back 1, 12 and 24 months: what it costs must not follow.

Belongs here: the same records and contracts read for longer, and the ratio of the builds. Does not: how the
records are drawn (`msp`), or what a build costs beside other ways (`reconciling`).
"""

import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import msp
from benchmarks.measure import Figure, Ran, apart, in_turn, show, typical
from morton_pipeline.book import open_book
from morton_pipeline.warehouse.lock import connect

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
MONTHS = (1, 12, 24)
ROUNDS = 3
ABSENT = 0.02
"""The share of records each monthly reading does not list: others each month, so that many leave and come back."""
_NIGHTS = """
    insert into raw.extractions by name
    select
        scopes.*,
        strftime(night, '%Y%m%dT%H%M%S%fZ-') || connection_id || '-' || endpoint || '-' || tenant_id as extraction_id,
        night as attempted_at,
        'complete' as status,
        'complete' as judged,
        0 as quarantined_count,
        0 as added_count,
        0 as changed_count,
        0 as removed_count
    from (
        select connection_id, vendor, endpoint, tenant_id, any_value(tenant_name) as tenant_name,
            arg_max(record_count, attempted_at) as record_count
        from raw.extractions
        group by all
    ) as scopes
    cross join (select unnest(generate_series($1 + interval 1 day, $2 - interval 1 day, interval 1 day)) as night)
    where night not in (select attempted_at from raw.extractions)
"""
"""What the nights leave on which everything was as before: an attempt for every scope, and nothing else."""


def run(records: int) -> bool:
    """Make the three books, reconcile each once, and time the builds that follow; tell that they were made."""
    with tempfile.TemporaryDirectory(prefix="morton-history-") as folder:
        roots = [Path(folder) / f"{months}-months" for months in MONTHS]
        for root, months in zip(roots, MONTHS, strict=True):
            prepare(root, records, months)
            # The first build closes the months that are over; the nightly one finds them closed.
            _reconcile(root)
        ran = in_turn(ROUNDS, *(partial(apart, _reconcile, root) for root in roots))
    shortest, *longer = ran
    rows = [Figure(f"reconcile, {MONTHS[0]} month", typical(shortest), "s")]
    for months, build in zip(MONTHS[1:], longer, strict=True):
        rows.append(Figure(f"reconcile, {months} months", typical(build), "s", typical(shortest), "that of one month"))
    rows.append(_peak(f"peak memory, {MONTHS[-1]} months", longer[-1], shortest))
    clients = msp.clients_of(records)
    show(f"history: {records:,} current records of {clients:,} clients, read every night, some gone each month", rows)
    return True


def _peak(name: str, ours: list[Ran], bound: list[Ran]) -> Figure:
    return Figure(name, ours[-1].peak_mib, "MiB", bound[-1].peak_mib, "that of one month")


def prepare(root: Path, records: int, months: int) -> None:
    """Make the book and read it every night, the last time an hour before it is built; every thirty days it differs."""
    clients = msp.clients_of(records)
    frames, dice = msp.make_frames(records, clients), np.random.default_rng(5)
    book = msp.make_book(root, clients, frames)
    for month in range(months, 0, -1):
        listed = {name: frame[dice.random(len(frame)) >= ABSENT] for name, frame in frames.items()}
        msp.load(book, listed, AT - timedelta(days=30 * month))
    msp.load(book, frames, AT - timedelta(hours=1))
    with connect(book, "benchmark") as con:
        con.execute(_NIGHTS, [AT.replace(tzinfo=None) - timedelta(days=30 * months), AT.replace(tzinfo=None)])


def _reconcile(root: Path) -> None:
    done = subprocess.run([sys.executable, "-m", __name__, str(root)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"reconcile failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    from morton_pipeline.reconcile import reconcile

    reconcile(open_book(sys.argv[1]), at=AT)
