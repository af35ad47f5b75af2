"""What must hold of service mappings: a record is one service at a time, and one tool's one list counts a service."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from morton_pipeline.errors import guess
from morton_pipeline.globs import is_literal
from morton_pipeline.seeds.columns import WHEN_EMPTY, Row
from morton_pipeline.seeds.countable import BOUGHT, mappable_fields, tools
from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import Seeds
from morton_pipeline.seeds.rules.overlaps import is_tie, meet_in_time, no_overlap

_FILE = "service_mappings.csv"


def problems(seeds: Seeds) -> Iterator[Problem]:
    """Yield mappings two of which would fit one record, those of nothing that counts, and services counted twice."""
    keys = ("vendor", "endpoint", "field", "pattern", "priority")
    rule = "a record is one service at a time: remove one of the two, or give it another priority"
    yield from no_overlap(seeds, "service_mappings", keys, rule)
    yield from _alike(seeds)
    yield from _places(seeds)
    yield from _counting(seeds)


def _alike(seeds: Seeds) -> Iterator[Problem]:
    """Of mappings with one priority the one that says most decides: two may not say as much as each other."""
    looks: dict[tuple[str, ...], list[tuple[int, Row]]] = defaultdict(list)
    for line, row in seeds.rows["service_mappings"]:
        if not is_literal(row["pattern"]):
            priority = (row["priority"] or WHEN_EMPTY["priority"]).lstrip("0")
            looks[row["vendor"].lower(), row["endpoint"], row["field"], priority].append((line, row))
    for rows in looks.values():
        for (first, a), (line, b) in combinations(rows, 2):
            if a["service_id"] != b["service_id"] and meet_in_time(a, b) and is_tie(a["pattern"], b["pattern"]):
                message = (
                    f"{b['pattern']!r} and {a['pattern']!r} of row {first} may fit the same record, and neither "
                    "says more than the other; give the one that shall win a smaller priority, or more of the text"
                )
                yield Problem(_FILE, line, "pattern", message)


def _places(seeds: Seeds) -> Iterator[Problem]:
    """What a mapping looks at is a column of records that are counted."""
    known = tools(seeds.book)
    for line, row in seeds.rows["service_mappings"]:
        tool = row["vendor"].lower()
        vendor = known.get(tool)
        if vendor is None:
            continue
        endpoint, field = row["endpoint"], row["field"]
        endpoints = {e.name: e for e in vendor.endpoints}
        if endpoint not in endpoints:
            message = f"{endpoint!r} is not an endpoint of {tool}{guess(endpoint, endpoints)}"
            yield Problem(_FILE, line, "endpoint", message)
            continue
        if not endpoints[endpoint].counts:
            names = ", ".join(e.name for e in vendor.endpoints if e.counts) or "none"
            message = f"the records of {endpoint} are not counted; countable at {tool}: {names}"
            yield Problem(_FILE, line, "endpoint", message)
            continue
        fields = mappable_fields(vendor.name, endpoint)
        if field not in fields:
            place = f"{tool} {endpoint}{guess(field, fields)}"
            message = f"{field!r} is not a column of {place}; it has {', '.join(fields)}"
            yield Problem(_FILE, line, "field", message)


def _counting(seeds: Seeds) -> Iterator[Problem]:
    """A sum across tools is never a count: where several could count a service, one must be named."""
    vendors: dict[str, set[str]] = defaultdict(set)
    endpoints: dict[tuple[str, str], set[str]] = defaultdict(set)
    for line, row in seeds.rows["service_mappings"]:
        service, vendor = row["service_id"], row["vendor"].lower()
        vendors[service].add(vendor)
        endpoints[service, vendor].add(row["endpoint"])
        if len(endpoints[service, vendor]) > 1:
            both = " and ".join(sorted(endpoints[service, vendor]))
            message = f"{service} would be counted from {both} of {vendor}; choose one"
            yield Problem(_FILE, line, "endpoint", message)
    units = {row["service_id"]: row["unit"].lower() for _, row in seeds.rows["services"]}
    for line, row in seeds.rows["service_mappings"]:
        if row["endpoint"] == BOUGHT and units.get(row["service_id"]) == "user":
            message = (
                f"{row['service_id']} has the unit user, and {BOUGHT} lists what was bought without saying who "
                "holds it; map it at user_licenses, or give the service the unit licence"
            )
            yield Problem(_FILE, line, "endpoint", message)
    for line, row in seeds.rows["services"]:
        service = row["service_id"]
        if not row["count_vendor"] and len(vendors[service]) > 1:
            all_of_them = " and ".join(sorted(vendors[service]))
            message = f"is empty, and {all_of_them} could all count {service}; name the one that is billed"
            yield Problem("services.csv", line, "count_vendor", message)
