"""What must hold of exclusions: each names something, and expires after it begins."""

from collections.abc import Iterator

from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import Seeds
from morton_pipeline.seeds.rules.overlaps import in_order
from morton_pipeline.seeds.values import as_number

_FILE = "exclusions.csv"


def problems(seeds: Seeds) -> Iterator[Problem]:
    """Yield exclusions of nothing, those by number that do not say whose of what, and those over before they begin."""
    for line, row in seeds.rows["exclusions"]:
        names_records = row["record_id"] or row["name_pattern"]
        if not names_records and not row["max_quantity"]:
            message = "is empty, and so are name_pattern and max_quantity; name a record, a pattern or a number"
            yield Problem(_FILE, line, "record_id", message)
        elif not names_records:
            for column in ("client_id", "service_id", "effective_from"):
                if not row[column]:
                    message = "is empty; an exclusion by number alone is about one service of a client from a day on"
                    yield Problem(_FILE, line, column, message)
        if as_number(row["max_quantity"]) == 0:
            message = f"{row['max_quantity']!r} would exclude nothing; name the most it may exclude"
            yield Problem(_FILE, line, "max_quantity", message)
        yield from in_order("exclusions", line, row, "expires_on")
