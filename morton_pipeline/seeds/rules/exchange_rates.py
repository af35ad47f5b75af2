"""What must hold of exchange rates: each pair has one from a day on, whichever way round it is written."""

from collections.abc import Iterator

from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import Seeds

_FILE = "exchange_rates.csv"


def problems(seeds: Seeds) -> Iterator[Problem]:
    """Each pair has one rate from a day on, whichever way round it is written."""
    seen: dict[tuple[str, str, str], int] = {}
    for line, row in seeds.rows["exchange_rates"]:
        low, high = sorted((row["currency"], row["to_currency"]))
        key = (low, high, row["effective_from"])
        if low == high and low:
            yield Problem(_FILE, line, "to_currency", f"{high!r} is the currency itself; name another one")
        elif key in seen:
            message = f"{low} and {high} have a rate from that day in row {seen[key]} already; keep one of the two"
            yield Problem(_FILE, line, "effective_from", message)
        seen.setdefault(key, line)
