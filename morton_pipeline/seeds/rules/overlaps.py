"""Where two rows of a seed would both hold: on one day, or for one text.

Belongs here: what the rules of several files ask about days and patterns. Does not: what follows for a file.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from itertools import pairwise

from morton_pipeline.globs import meet, specificity
from morton_pipeline.seeds.columns import WHEN_EMPTY, Row
from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import Seeds
from morton_pipeline.seeds.values import as_date

Span = tuple[date, date, int]
"""The days a row holds for, half-open, and its line."""


def spans(seeds: Seeds, name: str, keys: tuple[str, ...]) -> dict[tuple[str, ...], list[Span]]:
    """Return the days of every row, in order, by its key; without rows that end before they begin."""
    groups: dict[tuple[str, ...], list[Span]] = defaultdict(list)
    for line, row in seeds.rows[name]:
        start, end = _days(row, "effective_to")
        if start is not None and end is not None and start < end:
            groups[tuple((row[k] or WHEN_EMPTY.get(k, "")).lower() for k in keys)].append((start, end, line))
    for found in groups.values():
        found.sort()
    return groups


def no_overlap(seeds: Seeds, name: str, keys: tuple[str, ...], rule: str) -> Iterator[Problem]:
    """Name rows of one key that hold on the same day, and those that end before they begin."""
    for line, row in seeds.rows[name]:
        yield from in_order(name, line, row, "effective_to")
    for key, found in spans(seeds, name, keys).items():
        for (_, end, earlier), (start, _, later) in pairwise(found):
            if start < end:
                whose = " and ".join(filter(None, key))
                yield Problem(f"{name}.csv", later, "effective_from", f"overlaps row {earlier} for {whose}; {rule}")


def in_order(name: str, line: int, row: Row, last: str) -> Iterator[Problem]:
    """Say of a row that it ends before it begins."""
    start, end = _days(row, last)
    if start is not None and end is not None and end <= start:
        message = f"{end} is not after effective_from {start}; it is the first day that no longer counts"
        yield Problem(f"{name}.csv", line, last, message)


def meet_in_time(a: Row, b: Row) -> bool:
    """Whether there is a day on which two rows both hold."""
    starts = [as_date(row["effective_from"], date.min) for row in (a, b)]
    ends = [as_date(row["effective_to"], date.max) for row in (a, b)]
    days = [day for day in (*starts, *ends) if day is not None]
    return len(days) == 4 and max(days[:2]) < min(days[2:])


def is_tie(a: str, b: str) -> bool:
    """Whether two patterns may fit one text, and neither says more than the other."""
    return a.lower() != b.lower() and specificity(a) == specificity(b) and meet(a, b)


def _days(row: Row, last: str) -> tuple[date | None, date | None]:
    return as_date(row["effective_from"], date.min), as_date(row[last], date.max)
