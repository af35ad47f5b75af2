"""What must hold of company mappings: a company, or a part of it, belongs to one client at a time."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from morton_pipeline.errors import guess
from morton_pipeline.seeds.columns import Row
from morton_pipeline.seeds.countable import countable, mappable_fields
from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import Seeds
from morton_pipeline.seeds.rules.overlaps import is_tie, meet_in_time, no_overlap

_FILE = "company_mappings.csv"


def problems(seeds: Seeds) -> Iterator[Problem]:
    """Yield companies of no connection, those given to two clients at once, and parts that cannot be told apart."""
    connections = {c.id for c in seeds.book.connections}
    for line, row in seeds.rows["company_mappings"]:
        named = row["connection_id"]
        if named and named not in connections:
            message = f"{named!r} is not in connections.yaml{guess(named, connections)}"
            yield Problem(_FILE, line, "connection_id", message)
    keys = ("connection_id", "company_id", "field", "pattern")
    rule = "a company, or a part of it, belongs to one client at a time"
    yield from no_overlap(seeds, "company_mappings", keys, rule)
    yield from _shared(seeds)


def _shared(seeds: Seeds) -> Iterator[Problem]:
    """A company that several clients share is divided by a column of its records, and by nothing else."""
    vendors = {c.id: c.vendor for c in seeds.book.connections}
    companies: dict[tuple[str, str], list[tuple[int, Row]]] = defaultdict(list)
    for line, row in seeds.rows["company_mappings"]:
        companies[row["connection_id"], row["company_id"].lower()].append((line, row))
        for given, lacking in (("field", "pattern"), ("pattern", "field")):
            if row[given] and not row[lacking]:
                yield Problem(_FILE, line, lacking, f"is empty, and {given} is not; a part needs both")
        vendor = vendors.get(row["connection_id"])
        fields = sorted({f for v, e in countable() if v == vendor for f in mappable_fields(v, e)})
        if row["field"] and vendor and row["field"] not in fields:
            place = f"what {row['connection_id']} counts{guess(row['field'], fields)}"
            message = f"{row['field']!r} is not a column of {place}; it has {', '.join(fields)}"
            yield Problem(_FILE, line, "field", message)
    for rows in companies.values():
        for (first, a), (line, b) in combinations(rows, 2):
            if not meet_in_time(a, b):
                continue
            if bool(a["pattern"]) != bool(b["pattern"]):
                message = (
                    f"row {first} divides the same company at the same time, or gives it away whole; either every "
                    "row of it has a field and a pattern, or there is one row without"
                )
                yield Problem(_FILE, line, "pattern", message)
            elif a["client_id"] != b["client_id"] and a["field"] == b["field"] and is_tie(a["pattern"], b["pattern"]):
                message = (
                    f"{b['pattern']!r} and {a['pattern']!r} of row {first} may fit the same record, and neither "
                    "says more than the other; write more of the text in the one that shall win"
                )
                yield Problem(_FILE, line, "pattern", message)
