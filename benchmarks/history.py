"""The nightly `reconcile` of one provider whose book goes back 1, 12 and 24 months: what it costs must not follow.

Belongs here: the same records and contracts read monthly for longer, and the ratio of the builds. Does not: how the
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

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
MONTHS = (1, 12, 24)
ROUNDS = 3
ABSENT = 0.02
"""The share of records each monthly reading does not list: others each month, so that many leave and come back."""


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
    show(f"history: {records:,} current records of {msp.CLIENTS:,} clients, read every month", rows)
    return True


def _peak(name: str, ours: list[Ran], bound: list[Ran]) -> Figure:
    return Figure(name, ours[-1].peak_mib, "MiB", bound[-1].peak_mib, "that of one month")


def prepare(root: Path, records: int, months: int) -> None:
    """Make the book and read it every thirty days, the last time an hour before it is built."""
    frames, dice = msp.make_frames(records, msp.CLIENTS), np.random.default_rng(5)
    book = msp.make_book(root, msp.CLIENTS, frames)
    for month in range(months, 0, -1):
        listed = {name: frame[dice.random(len(frame)) >= ABSENT] for name, frame in frames.items()}
        msp.load(book, listed, AT - timedelta(days=30 * month))
    msp.load(book, frames, AT - timedelta(hours=1))


def _reconcile(root: Path) -> None:
    done = subprocess.run([sys.executable, "-m", __name__, str(root)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"reconcile failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    from morton_pipeline.reconcile import reconcile

    reconcile(open_book(sys.argv[1]), at=AT)
