"""How a benchmark measures and how it prints: seconds and peak memory of a function, and one table per benchmark.

Belongs here: nothing that knows Morton. What is measured is decided in the module named for it.
"""

import multiprocessing
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One line of a table: what we take, what the bound takes, both in one unit."""

    name: str
    value: float
    unit: str
    bound: float | None = None
    what_bounds: str = ""
    """The bound in a few words."""


@dataclass(frozen=True)
class Ran:
    """What became of a function that ran in a process of its own."""

    result: Any
    seconds: float
    peak_mib: float
    """The most memory the process, or one it started, ever held."""


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Return what the function returns, and the seconds it took."""
    begun = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - begun


def apart(function: Callable[..., Any], *arguments: Any) -> Ran:
    """Run a function in a process of its own, so that its memory is its own; starting the process is not counted."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_run, function, arguments).result()


def _run(function: Callable[..., Any], arguments: Sequence[Any]) -> Ran:
    result, seconds = timed(function, *arguments)
    return Ran(result, seconds, max(_own_peak(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024)


def _own_peak() -> int:
    """Return the KiB this process ever held. Linux lets `ru_maxrss` inherit what the starting process held."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM"))


def in_turn(rounds: int, *contestants: Callable[[], Ran]) -> list[list[Ran]]:
    """Run the contestants one after the other, round after round, so that a busy machine is busy for all of them."""
    ran: list[list[Ran]] = [[] for _ in contestants]
    for _ in range(rounds):
        for runs, contestant in zip(ran, contestants, strict=True):
            runs.append(contestant())
    return ran


def typical(runs: Sequence[Ran]) -> float:
    """Return the median of the seconds."""
    return median(run.seconds for run in runs)


def size_of(*places: Path) -> int:
    """Return the bytes of files, and of all files below folders."""
    return sum(
        path.stat().st_size
        for place in places
        for path in ([place] if place.is_file() else place.rglob("*"))
        if path.is_file()
    )


def show(title: str, figures: Sequence[Figure]) -> None:
    """Print a table: figure, bound, ratio, and what the bound is."""
    rows = [("figure", "", "bound", "ratio", "the bound is")]
    rows += [
        (
            f.name,
            _number(f.value, f.unit),
            _number(f.bound, f.unit) if f.bound is not None else "",
            f"{f.value / f.bound:.2f} ×" if f.bound else "",
            f.what_bounds,
        )
        for f in figures
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    print(f"\n{title}")
    for row in rows:
        left, *numbers, right = row
        cells = [left.ljust(widths[0]), *(n.rjust(w) for n, w in zip(numbers, widths[1:-1], strict=True)), right]
        print("  " + "   ".join(cells).rstrip())


def _number(value: float, unit: str) -> str:
    return f"{value:,.2f} {unit}" if abs(value) < 10 else f"{value:,.0f} {unit}"
