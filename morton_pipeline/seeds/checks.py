"""Whether the seeds are right: every rule asked in one pass, and refusing to go on where they are not.

Belongs here: asking all rules, and saying what follows. Does not: the rules themselves (`rules/`), or what is named and
stops nothing (`coverage`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import combinations, pairwise

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput, guess
from morton_pipeline.extract.vendor import Vendor
from morton_pipeline.globs import is_literal, meet, specificity
from morton_pipeline.seeds.columns import IN_ACCOUNTING, KEYS, MEANT_GAP, SEEDS, WHEN_EMPTY, Column, Row
from morton_pipeline.seeds.countable import BOUGHT, countable, mappable_fields, tools
from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import Seeds
from morton_pipeline.seeds.values import as_date, as_number, wrong_value

_Span = tuple[date, date, int]
"""The days a row holds for, half-open, and its line."""
MOST_SKUS_DEEP = 4
"""How far a SKU may contain another through others: the build unrolls so many steps."""
NOTHING_SENT = "nothing is sent until they are"
"""What wrong seeds mean for invoices: the mart may stand on others, which were right when it was built."""


def check(book: Book) -> list[Problem]:
    """Return everything wrong with the book's seeds; an empty list means a build may use them."""
    return problems(Seeds(book))


def problems(seeds: Seeds) -> list[Problem]:
    """Return everything wrong with seeds that were read; rows are looked at only where every file could be."""
    return list(seeds.unreadable) or _Check(seeds).problems


def refuse_wrong(book: Book, consequence: str) -> None:
    """Raise `BadInput` naming every problem of the seeds, and what follows from them; nothing when they are right."""
    refuse(Seeds(book), consequence)


def refuse(seeds: Seeds, consequence: str) -> None:
    """Raise `BadInput` as `refuse_wrong` does, for seeds that were read already."""
    if found := problems(seeds):
        lines = "\n".join(f"  {problem}" for problem in found[:20])
        more = f"\n  … and {len(found) - 20} more: `morton seeds check` lists all." if len(found) > 20 else ""
        raise BadInput(f"The contract seeds in {seeds.book.seeds} are not right yet; {consequence}.\n{lines}{more}")


class _Check:
    """One pass over all seeds, collecting problems instead of stopping at the first."""

    def __init__(self, seeds: Seeds) -> None:
        self.book = seeds.book
        self.rows = seeds.rows
        self.problems: list[Problem] = []
        for name, columns in SEEDS.items():
            self._cells(name, columns)
        self._unique()
        self._references()
        self._contracts()
        self._tiers()
        self._bundles()
        self._mappings()
        self._counting()
        self._includes()
        self._exclusions()
        self._rates()

    def _add(self, file: str, row: int | None, column: str | None, message: str) -> None:
        self.problems.append(Problem(f"{file}.csv", row, column, message))

    def _cells(self, name: str, columns: Iterable[Column]) -> None:
        for line, row in self.rows[name]:
            for column in columns:
                value = row[column.name]
                is_tool = column.kind == "vendor" and value
                if message := self._wrong_tool(value) if is_tool else wrong_value(column, value):
                    self._add(name, line, column.name, message)

    @cached_property
    def _tools(self) -> dict[str, Vendor]:
        return tools(self.book)

    def _wrong_tool(self, value: str) -> str:
        from morton_pipeline.vendors import VENDORS

        known, name = self._tools, value.lower()
        if name in known:
            return ""
        if name in VENDORS:
            own = [c.tool for c in self.book.connections if c.vendor == name]
            named = f"name one of them: {', '.join(own)}" if own else "this book declares none"
            return f"{value!r} stands for tools that connections.yaml declares, each counted by itself; {named}"
        return f"{value!r} is not a vendor{guess(name, known)}; Morton knows {', '.join(known)}"

    def _unique(self) -> None:
        for name, key in KEYS.items():
            seen: dict[str, int] = {}
            for line, row in self.rows[name]:
                if row[key] in seen:
                    self._add(
                        name, line, key, f"{row[key]!r} stands in row {seen[row[key]]} already; give this row its own"
                    )
                seen.setdefault(row[key], line)
        for name, column in IN_ACCOUNTING.items():
            owners: dict[str, tuple[int, str]] = {}
            for line, row in self.rows[name]:
                value, owner = row[column], row[KEYS[name]]
                if value and value in owners:
                    first, other = owners[value]
                    message = (
                        f"{value!r} is that of {other} in row {first} already, and what is invoiced under it could be "
                        f"either's; give {owner} its own in the accounting system"
                    )
                    self._add(name, line, column, message)
                elif value:
                    owners[value] = (line, owner)

    def _references(self) -> None:
        known = {
            "client_id": {r["client_id"] for _, r in self.rows["clients"]},
            "service_id": {r["service_id"] for _, r in self.rows["services"]},
        }
        homes = {"client_id": "clients.csv", "service_id": "services.csv"}
        for name in ("contracts", "company_mappings", "service_mappings", "exclusions"):
            for line, row in self.rows[name]:
                for column, ids in known.items():
                    value = row.get(column, "")
                    if value and value not in ids:
                        self._add(name, line, column, f"{value!r} is not in {homes[column]}{guess(value, ids)}")

    def _contracts(self) -> None:
        for line, row in self.rows["contracts"]:
            model = row["billing_model"].lower()
            for needed, column in (("minimum", "minimum_quantity"), ("included", "included_quantity")):
                if model == needed and not row[column]:
                    self._add("contracts", line, column, f"is empty; the model {needed} needs it")
            if not row["unit_price"] and model != "tiered":
                self._add("contracts", line, "unit_price", "is empty; only a tiered contract has its prices elsewhere")
            if row["unit_price"].startswith("-") and model != "flat":
                message = "is below zero; what is given every month is a contract of its own with the model flat"
                self._add("contracts", line, "unit_price", message)
            if row["silent_days"] and as_number(row["silent_days"]) in range(14):
                message = f"{row['silent_days']!r} is too few: tools tell of a silence once it has lasted 14 days"
                self._add("contracts", line, "silent_days", message)
            if row["committed_until"] and not row["committed_quantity"]:
                self._add(
                    "contracts", line, "committed_quantity", "is empty; say how many are committed until that day"
                )
        spans = self._no_overlap(
            "contracts",
            ("client_id", "service_id"),
            "exactly one contract version may be in force per client, service and day",
        )
        rows = dict(self.rows["contracts"])
        for key, versions in spans.items():
            for (_, end, earlier), (start, _, later) in pairwise(versions):
                if start > end and not rows[later]["note"].lower().startswith(MEANT_GAP):
                    message = (
                        f"leaves {' and '.join(key)} without a contract from {end}, where row {earlier} ends, to "
                        f"{start}; close the gap, or begin the note with {MEANT_GAP!r} and say why"
                    )
                    self._add("contracts", later, "effective_from", message)
            self._one_tool_a_month([(start, end, line, rows[line]) for start, end, line in versions])

    def _one_tool_a_month(self, versions: Sequence[tuple[date, date, int, Row]]) -> None:
        """The days of a month that are added up, or compared, are of one tool: numbers of two never are."""
        for start, _, line, row in versions:
            basis = row["count_basis"].lower() or "period_end"
            for _, other_end, other, earlier in versions:
                is_of_the_month = start.replace(day=1) < other_end <= start
                if basis != "period_end" and is_of_the_month and self._tool(row) != self._tool(earlier):
                    message = (
                        f"counts at {self._tool(row)} from {start} what row {other} counts at {self._tool(earlier)}, "
                        f"and {basis} takes a month as a whole; let the tool change on the first of a month"
                    )
                    self._add("contracts", line, "count_vendor", message)

    def _tool(self, contract: Row) -> str:
        """Return which tool counts what a contract is about, where one is named or only one could."""
        service = next((row for _, row in self.rows["services"] if row["service_id"] == contract["service_id"]), {})
        mapped = {
            row["vendor"] for _, row in self.rows["service_mappings"] if row["service_id"] == contract["service_id"]
        }
        return (contract["count_vendor"] or service.get("count_vendor") or "".join(sorted(mapped))).lower()

    def _tiers(self) -> None:
        models = {row["contract_id"]: row["billing_model"].lower() for _, row in self.rows["contracts"]}
        tiers: dict[str, list[tuple[Decimal, int, str]]] = defaultdict(list)
        for line, row in self.rows["price_tiers"]:
            contract = row["contract_id"]
            if contract and models.get(contract) != "tiered":
                known = [name for name, model in models.items() if model == "tiered"]
                message = f"{contract!r} is no contract in contracts.csv with the model tiered{guess(contract, known)}"
                self._add("price_tiers", line, "contract_id", message)
            elif contract and (start := as_number(row["from_quantity"])) is not None:
                tiers[contract].append((start, line, row["method"].lower()))
        for found in tiers.values():
            found.sort()
            if found[0][0] != 1:
                self._add("price_tiers", found[0][1], "from_quantity", "the first tier of a contract starts at 1")
            for (start, earlier, method), (other, line, other_method) in pairwise(found):
                if start == other:
                    self._add("price_tiers", line, "from_quantity", f"{start} stands in row {earlier} already")
                if method != other_method:
                    message = f"is {other_method}, and row {earlier} of the same contract says {method}; choose one"
                    self._add("price_tiers", line, "method", message)
        for line, row in self.rows["contracts"]:
            if row["billing_model"].lower() == "tiered" and row["contract_id"] not in tiers:
                message = f"is tiered, and price_tiers.csv has no row for {row['contract_id']}"
                self._add("contracts", line, "billing_model", message)

    def _bundles(self) -> None:
        services = {row["service_id"]: row["unit"].lower() for _, row in self.rows["services"]}
        mapped = {row["service_id"] for _, row in self.rows["service_mappings"]}
        bundles = {row["bundle_service_id"] for _, row in self.rows["bundles"]}
        seen: dict[tuple[str, str], int] = {}
        counters: dict[str, int] = {}
        for line, row in self.rows["bundles"]:
            for column in ("bundle_service_id", "component_service_id"):
                if row[column] and row[column] not in services:
                    message = f"{row[column]!r} is not in services.csv{guess(row[column], services)}"
                    self._add("bundles", line, column, message)
            bundle, component = row["bundle_service_id"], row["component_service_id"]
            if component in bundles:
                message = f"{component!r} is a bundle itself; list what is in it"
                self._add("bundles", line, "component_service_id", message)
            if (bundle, component) in seen:
                message = f"{component!r} stands in row {seen[bundle, component]} already; add up its quantity there"
                self._add("bundles", line, "component_service_id", message)
            if as_number(row["quantity_per_unit"]) == 0:
                self._add("bundles", line, "quantity_per_unit", "must be above zero")
            is_first = bundle not in {name for name, _ in seen}
            if is_first and bundle not in mapped:
                self._counted_by_component(line, row, counters)
            if is_first and bundle not in mapped and component not in mapped:
                message = (
                    f"nothing would count {bundle}: it is counted by a mapping of its own, else by its first "
                    f"component, and service_mappings.csv names neither"
                )
                self._add("bundles", line, "bundle_service_id", message)
            seen.setdefault((bundle, component), line)

    def _counted_by_component(self, line: int, row: Row, counters: dict[str, int]) -> None:
        """What a first component counts must be that bundle and nothing else: a record is one thing."""
        bundle, component = row["bundle_service_id"], row["component_service_id"]
        if row["quantity_per_unit"] and as_number(row["quantity_per_unit"]) != 1:
            message = f"{bundle} is counted by this component, one by one; map {bundle} in service_mappings.csv"
            self._add("bundles", line, "quantity_per_unit", message)
        if component in counters:
            message = f"{component!r} counts the bundle of row {counters[component]} already; map {bundle} itself"
            self._add("bundles", line, "component_service_id", message)
        counters.setdefault(component, line)
        bundled = {r["client_id"] for _, r in self.rows["contracts"] if r["service_id"] == bundle}
        for number, contract in self.rows["contracts"]:
            if contract["service_id"] == component and contract["client_id"] in bundled:
                message = (
                    f"{component} is what {bundle} is counted by for {contract['client_id']}; map {bundle} in "
                    "service_mappings.csv, or agree on one of the two"
                )
                self._add("contracts", number, "service_id", message)

    def _mappings(self) -> None:
        connections = {c.id for c in self.book.connections}
        for line, row in self.rows["company_mappings"]:
            named = row["connection_id"]
            if named and named not in connections:
                message = f"{named!r} is not in connections.yaml{guess(named, connections)}"
                self._add("company_mappings", line, "connection_id", message)
        self._no_overlap(
            "company_mappings",
            ("connection_id", "company_id", "field", "pattern"),
            "a company, or a part of it, belongs to one client at a time",
        )
        self._shared_companies()
        self._no_overlap(
            "service_mappings",
            ("vendor", "endpoint", "field", "pattern", "priority"),
            "a record is one service at a time: remove one of the two, or give it another priority",
        )
        self._alike()
        for line, row in self.rows["service_mappings"]:
            tool = row["vendor"].lower()
            vendor = self._tools.get(tool)
            if vendor is None:
                continue
            endpoint, field = row["endpoint"], row["field"]
            endpoints = {e.name: e for e in vendor.endpoints}
            if endpoint not in endpoints:
                message = f"{endpoint!r} is not an endpoint of {tool}{guess(endpoint, endpoints)}"
                self._add("service_mappings", line, "endpoint", message)
                continue
            if not endpoints[endpoint].counts:
                names = ", ".join(e.name for e in vendor.endpoints if e.counts) or "none"
                message = f"the records of {endpoint} are not counted; countable at {tool}: {names}"
                self._add("service_mappings", line, "endpoint", message)
                continue
            fields = mappable_fields(vendor.name, endpoint)
            if field not in fields:
                place = f"{tool} {endpoint}{guess(field, fields)}"
                message = f"{field!r} is not a column of {place}; it has {', '.join(fields)}"
                self._add("service_mappings", line, "field", message)

    def _alike(self) -> None:
        """Of mappings with one priority the one that says most decides: two may not say as much as each other."""
        looks: dict[tuple[str, ...], list[tuple[int, Row]]] = defaultdict(list)
        for line, row in self.rows["service_mappings"]:
            if not is_literal(row["pattern"]):
                priority = (row["priority"] or WHEN_EMPTY["priority"]).lstrip("0")
                looks[row["vendor"].lower(), row["endpoint"], row["field"], priority].append((line, row))
        for rows in looks.values():
            for (first, a), (line, b) in combinations(rows, 2):
                if a["service_id"] != b["service_id"] and _meet(a, b) and _is_tie(a["pattern"], b["pattern"]):
                    message = (
                        f"{b['pattern']!r} and {a['pattern']!r} of row {first} may fit the same record, and neither "
                        "says more than the other; give the one that shall win a smaller priority, or more of the text"
                    )
                    self._add("service_mappings", line, "pattern", message)

    def _shared_companies(self) -> None:
        """A company that several clients share is divided by a column of its records, and by nothing else."""
        vendors = {c.id: c.vendor for c in self.book.connections}
        companies: dict[tuple[str, str], list[tuple[int, Row]]] = defaultdict(list)
        for line, row in self.rows["company_mappings"]:
            companies[row["connection_id"], row["company_id"].lower()].append((line, row))
            for given, lacking in (("field", "pattern"), ("pattern", "field")):
                if row[given] and not row[lacking]:
                    self._add("company_mappings", line, lacking, f"is empty, and {given} is not; a part needs both")
            vendor = vendors.get(row["connection_id"])
            fields = sorted({f for v, e in countable() if v == vendor for f in mappable_fields(v, e)})
            if row["field"] and vendor and row["field"] not in fields:
                place = f"what {row['connection_id']} counts{guess(row['field'], fields)}"
                message = f"{row['field']!r} is not a column of {place}; it has {', '.join(fields)}"
                self._add("company_mappings", line, "field", message)
        for rows in companies.values():
            for (first, a), (line, b) in combinations(rows, 2):
                if not _meet(a, b):
                    continue
                if bool(a["pattern"]) != bool(b["pattern"]):
                    message = (
                        f"row {first} divides the same company at the same time, or gives it away whole; either every "
                        "row of it has a field and a pattern, or there is one row without"
                    )
                    self._add("company_mappings", line, "pattern", message)
                elif (
                    a["client_id"] != b["client_id"]
                    and a["field"] == b["field"]
                    and _is_tie(a["pattern"], b["pattern"])
                ):
                    message = (
                        f"{b['pattern']!r} and {a['pattern']!r} of row {first} may fit the same record, and neither "
                        "says more than the other; write more of the text in the one that shall win"
                    )
                    self._add("company_mappings", line, "pattern", message)

    def _counting(self) -> None:
        """A sum across tools is never a count: where several could count a service, one must be named."""
        vendors: dict[str, set[str]] = defaultdict(set)
        endpoints: dict[tuple[str, str], set[str]] = defaultdict(set)
        for line, row in self.rows["service_mappings"]:
            service, vendor = row["service_id"], row["vendor"].lower()
            vendors[service].add(vendor)
            endpoints[service, vendor].add(row["endpoint"])
            if len(endpoints[service, vendor]) > 1:
                both = " and ".join(sorted(endpoints[service, vendor]))
                message = f"{service} would be counted from {both} of {vendor}; choose one"
                self._add("service_mappings", line, "endpoint", message)
        units = {row["service_id"]: row["unit"].lower() for _, row in self.rows["services"]}
        for line, row in self.rows["service_mappings"]:
            if row["endpoint"] == BOUGHT and units.get(row["service_id"]) == "user":
                message = (
                    f"{row['service_id']} has the unit user, and {BOUGHT} lists what was bought without saying who "
                    "holds it; map it at user_licenses, or give the service the unit licence"
                )
                self._add("service_mappings", line, "endpoint", message)
        for line, row in self.rows["services"]:
            service = row["service_id"]
            if not row["count_vendor"] and len(vendors[service]) > 1:
                all_of_them = " and ".join(sorted(vendors[service]))
                message = f"is empty, and {all_of_them} could all count {service}; name the one that is billed"
                self._add("services", line, "count_vendor", message)

    def _includes(self) -> None:
        """What a SKU contains must end somewhere, and not too deep."""
        below: dict[str, list[str]] = defaultdict(list)
        above: dict[str, list[str]] = defaultdict(list)
        lines: dict[tuple[str, str], int] = {}
        for line, row in self.rows["sku_includes"]:
            vendor = row["vendor"].lower()
            outer, inner = (f"{vendor}/{row[c].lower()}" for c in ("sku", "included_sku"))
            chain = [*reversed(_longest(above, outer)), *_longest(below, inner)]
            if (outer, inner) in lines:
                message = f"row {lines[outer, inner]} says so already; remove one of the two"
            elif circle := _path(below, inner, outer):
                message = f"closes a circle: {_nested([outer, *circle])}; a SKU cannot contain itself"
            elif len(chain) > MOST_SKUS_DEEP + 1:
                message = (
                    f"is too deep: {_nested(chain)}; a SKU may contain another through {MOST_SKUS_DEEP - 1} at most, "
                    "so name what it contains in a row of its own"
                )
            else:
                lines[outer, inner] = line
                below[outer].append(inner)
                above[inner].append(outer)
                continue
            self._add("sku_includes", line, "included_sku", message)

    def _exclusions(self) -> None:
        for line, row in self.rows["exclusions"]:
            names_records = row["record_id"] or row["name_pattern"]
            if not names_records and not row["max_quantity"]:
                message = "is empty, and so are name_pattern and max_quantity; name a record, a pattern or a number"
                self._add("exclusions", line, "record_id", message)
            elif not names_records:
                for column in ("client_id", "service_id", "effective_from"):
                    if not row[column]:
                        message = (
                            "is empty; an exclusion by number alone is about one service of a client from a day on"
                        )
                        self._add("exclusions", line, column, message)
            if as_number(row["max_quantity"]) == 0:
                message = f"{row['max_quantity']!r} would exclude nothing; name the most it may exclude"
                self._add("exclusions", line, "max_quantity", message)
            self._in_order("exclusions", line, row, "expires_on")

    def _in_order(self, name: str, line: int, row: Row, last: str) -> tuple[date, date] | None:
        """Return the days a row holds for, or say that it ends before it begins."""
        start, end = as_date(row["effective_from"], date.min), as_date(row[last], date.max)
        if start is None or end is None:
            return None
        if end <= start:
            message = f"{end} is not after effective_from {start}; it is the first day that no longer counts"
            self._add(name, line, last, message)
            return None
        return start, end

    def _rates(self) -> None:
        """Each pair has one rate from a day on, whichever way round it is written."""
        seen: dict[tuple[str, str, str], int] = {}
        for line, row in self.rows["exchange_rates"]:
            low, high = sorted((row["currency"], row["to_currency"]))
            key = (low, high, row["effective_from"])
            if low == high and low:
                self._add("exchange_rates", line, "to_currency", f"{high!r} is the currency itself; name another one")
            elif key in seen:
                message = f"{low} and {high} have a rate from that day in row {seen[key]} already; keep one of the two"
                self._add("exchange_rates", line, "effective_from", message)
            seen.setdefault(key, line)

    def _no_overlap(self, name: str, keys: tuple[str, ...], rule: str) -> dict[tuple[str, ...], list[_Span]]:
        """Name rows of one key that hold on the same day, and return the days of every row, in order, by their key."""
        groups: dict[tuple[str, ...], list[_Span]] = defaultdict(list)
        for line, row in self.rows[name]:
            days = self._in_order(name, line, row, "effective_to")
            if days is None:
                continue
            groups[tuple((row[k] or WHEN_EMPTY.get(k, "")).lower() for k in keys)].append((*days, line))
        for key, spans in groups.items():
            spans.sort()
            for (_, end, earlier), (start, _, later) in pairwise(spans):
                if start < end:
                    whose = " and ".join(filter(None, key))
                    self._add(name, later, "effective_from", f"overlaps row {earlier} for {whose}; {rule}")
        return groups


def _meet(a: Row, b: Row) -> bool:
    """Whether there is a day on which two rows both hold."""
    starts = [as_date(row["effective_from"], date.min) for row in (a, b)]
    ends = [as_date(row["effective_to"], date.max) for row in (a, b)]
    days = [day for day in (*starts, *ends) if day is not None]
    return len(days) == 4 and max(days[:2]) < min(days[2:])


def _is_tie(a: str, b: str) -> bool:
    return a.lower() != b.lower() and specificity(a) == specificity(b) and meet(a, b)


def _longest(graph: Mapping[str, Sequence[str]], start: str) -> list[str]:
    """Return the longest way from a place through a graph without circles."""
    return [start, *max((_longest(graph, place) for place in graph.get(start, ())), key=len, default=[])]


def _path(graph: Mapping[str, Sequence[str]], start: str, goal: str) -> list[str]:
    """Return a way from one place to another through a graph without circles; nothing where there is none."""
    if start == goal:
        return [start]
    ways = (_path(graph, place, goal) for place in graph.get(start, ()))
    return next(([start, *way] for way in ways if way), [])


def _nested(path: Sequence[str]) -> str:
    return " ⊃ ".join(place.partition("/")[2] for place in path)
