"""The contract seeds: what analysts edit, and every way a row can be wrong, named by file, row, column and fix.

Belongs here: the columns of each seed and the rules between them, checked before anything is built. Does not: what a
contract means for a quantity (`dbt_project/`). A build never sees a seed that did not pass.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import combinations, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput, guess
from morton_pipeline.extract.vendor import CATEGORIES, UNITS, Vendor
from morton_pipeline.globs import is_literal, meet, specificity
from morton_pipeline.rates import NoRate, rates_of

Row = dict[str, str]
_Span = tuple[date, date, int]
"""The days a row holds for, half-open, and its line."""


@dataclass(frozen=True)
class Problem:
    """Something wrong in a seed, where it stands, and how to mend it."""

    file: str
    row: int | None
    """The line as an editor counts it; the header is line 1."""
    column: str | None
    message: str

    def __str__(self) -> str:
        place = self.file + (f" row {self.row}" if self.row else "") + (f", {self.column}" if self.column else "")
        return f"{place}: {self.message}"


@dataclass(frozen=True)
class Column:
    """One column of a seed, and what its cells may read."""

    name: str
    kind: str = "text"
    is_required: bool = False
    words: tuple[str, ...] = ()
    may_be_absent: bool = False
    """A file without the column reads as one whose cells are empty: the files of books made before there was one."""


def _c(
    name: str, kind: str = "text", *, required: bool = False, words: tuple[str, ...] = (), absent: bool = False
) -> Column:
    return Column(name, kind, required, words, absent)


_DATES = (_c("effective_from", "date"), _c("effective_to", "date"))

SEEDS: Mapping[str, tuple[Column, ...]] = {
    "clients": (
        _c("client_id", required=True), _c("client_name", required=True),
        _c("status", "word", required=True, words=("active", "offboarded", "internal")),
        _c("currency", "currency", required=True), _c("time_zone", "zone"),
        _c("back_bill_days", "whole"), _c("accounting_customer_id"), _c("note", absent=True),
    ),
    "services": (
        _c("service_id", required=True), _c("service_name", required=True),
        _c("category", "word", words=CATEGORIES), _c("unit", "word", required=True, words=UNITS),
        _c("list_price", "number"), _c("unit_cost", "number"), _c("count_vendor", "vendor"), _c("accounting_item_id"),
    ),
    "contracts": (
        _c("contract_id", required=True), _c("client_id", required=True), _c("service_id", required=True),
        _c("quantity", "number", required=True), _c("unit_price", "signed"),
        _c("billing_model", "word", required=True,
           words=("per_unit", "minimum", "included", "tiered", "flat", "block_hours")),
        _c("minimum_quantity", "number"), _c("included_quantity", "number"),
        _c("count_basis", "word", words=("period_end", "peak", "average", "daily")),
        _c("count_vendor", "vendor"), _c("tolerance_quantity", "number"), *_DATES, _c("note"),
        _c("committed_quantity", "number", absent=True), _c("committed_until", "date", absent=True),
        _c("notice_days", "whole", absent=True), _c("silent_days", "whole", absent=True),
        _c("proof_names", "word", words=("shown", "hidden"), absent=True),
    ),
    "price_tiers": (
        _c("contract_id", required=True), _c("from_quantity", "number", required=True),
        _c("unit_price", "number", required=True),
        _c("method", "word", required=True, words=("all_units", "graduated")),
    ),
    "bundles": (
        _c("bundle_service_id", required=True), _c("component_service_id", required=True),
        _c("quantity_per_unit", "number"), _c("place", "whole", absent=True),
    ),
    "company_mappings": (
        _c("connection_id", required=True), _c("company_id", required=True), _c("company_name"),
        _c("client_id", required=True), *_DATES, _c("note"), _c("field", absent=True), _c("pattern", absent=True),
    ),
    "service_mappings": (
        _c("vendor", "vendor", required=True), _c("endpoint", required=True), _c("field", required=True),
        _c("pattern", required=True), _c("service_id", required=True), _c("priority", "whole"), *_DATES,
    ),
    "sku_includes": (
        _c("vendor", "vendor", required=True), _c("sku", required=True), _c("included_sku", required=True),
    ),
    "exclusions": (
        _c("exclusion_id", required=True), _c("client_id"), _c("service_id"), _c("vendor", "vendor"), _c("record_id"),
        _c("name_pattern"), _c("max_quantity", "number"), _c("reason", required=True), _c("owner"),
        _c("effective_from", "date"), _c("expires_on", "date"),
    ),
    "exchange_rates": (
        _c("currency", "currency", required=True), _c("to_currency", "currency", required=True),
        _c("rate", "rate", required=True), _c("effective_from", "date", required=True), _c("source", required=True),
    ),
}  # fmt: skip
"""The columns of each seed, in the order they are written."""

_MUST_EXIST = ("clients", "services", "contracts", "company_mappings", "service_mappings")
MOST_SKUS_DEEP = 4
"""How far a SKU may contain another through others: the build unrolls so many steps."""
_MOST_WHOLE = 99_999
"""The most days, or the last place, a cell may name: days are counted back and forth from it."""
_WHEN_EMPTY = {"priority": "100"}
"""What an empty cell stands for, where that decides whether two rows say the same."""
_IN_ACCOUNTING = {"clients": "accounting_customer_id", "services": "accounting_item_id"}
KEYS = {"clients": "client_id", "services": "service_id", "contracts": "contract_id", "exclusions": "exclusion_id"}

MEANT_GAP, NO_CONTRACT = "gap:", "no contract:"
"""How a note begins that says why a client's service, or a client, has no contract."""

NOTHING_SENT = "nothing is sent until they are"
"""What wrong seeds mean for invoices: the mart may stand on others, which were right when it was built."""


def check(book: Book) -> list[Problem]:
    """Return everything wrong with the book's seeds; an empty list means a build may use them."""
    return _Check(book).problems


def uncovered(book: Book, on: date) -> list[Problem]:
    """Return the active clients with whom nothing is agreed for a day or later, unless their note says so.

    It makes no number wrong, as what they have comes up without a contract; so it stops neither a build nor an invoice.
    """
    checked = _Check(book)
    ends: dict[str, list[date]] = defaultdict(list)
    for _, row in checked.rows["contracts"]:
        ends[row["client_id"]].append(_date(row["effective_to"], date.max) or date.max)
    return [
        Problem(
            "clients.csv",
            line,
            "client_id",
            f"{row['client_id']} is active and has no contract"
            + (f" any more: the last one ended on {max(ends[row['client_id']])}" if row["client_id"] in ends else "")
            + f"; write one in contracts.csv, or begin its note with {NO_CONTRACT!r} and say why",
        )
        for line, row in checked.rows["clients"]
        if checked.is_read
        and row["status"].lower() == "active"
        and max(ends.get(row["client_id"], [date.min])) <= on
        and not row["note"].lower().startswith(NO_CONTRACT)
    ]


def refuse_wrong(book: Book, consequence: str) -> None:
    """Raise `BadInput` naming every problem of the seeds, and what follows from them; nothing when they are right."""
    _refuse(book, check(book), consequence)


def _refuse(book: Book, problems: Sequence[Problem], consequence: str) -> None:
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems[:20])
        more = f"\n  … and {len(problems) - 20} more: `morton seeds check` lists all." if len(problems) > 20 else ""
        raise BadInput(f"The contract seeds in {book.seeds} are not right yet; {consequence}.\n{lines}{more}")


def missing_rates(book: Book, on: date) -> list[Problem]:
    """Return the clients' currencies without a rate on a day, where nothing else is wrong: a build does without one.

    Invoices in them are parked, because nobody can tell what they come to.
    """
    checked, missing = _Check(book), dict[str, Problem]()
    if checked.problems:
        return []
    rates = rates_of(checked.rows["clients"], checked.rows["exchange_rates"])
    for line, row in checked.rows["clients"]:
        currency = row["currency"]
        if row["status"].lower() == "internal" or currency in (rates.main_currency, *missing):
            continue
        try:
            rates.in_force(currency, on)
        except NoRate as problem:
            said = f"{currency} is not the main currency. {problem} Invoices in it are parked until then"
            missing[currency] = Problem("clients.csv", line, "currency", said)
    return list(missing.values())


def write_checked(book: Book, target: Path) -> None:
    """Write the seeds, once they pass, in canonical form for the build; a seed the book leaves out is written empty.

    Raises `BadInput` naming every problem; nothing is written then.
    """
    checked = _Check(book)
    _refuse(book, checked.problems, "nothing was built")
    _write({name: [row for _, row in rows] for name, rows in checked.rows.items()}, target)


def write_known(folder: Path, target: Path) -> None:
    """Write seeds that passed when a build used them; columns and files that came later are empty."""
    _write({name: _rows(folder / f"{name}.csv") for name in SEEDS}, target)


def _write(rows: Mapping[str, Iterable[Row]], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name, columns in SEEDS.items():
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([c.name for c in columns])
        for place, row in enumerate(rows[name], 1):
            # The order of a bundle's components means something, and tables have none.
            placed = {"place": str(place)} | {k: v for k, v in row.items() if v}
            writer.writerow([canonical(c, placed.get(c.name, "")) for c in columns])
        (target / f"{name}.csv").write_text(text.getvalue(), "utf-8")


def canonical(column: Column, value: str) -> str:
    """Return a cell as the build has it: words that mean the same read the same."""
    return value.lower() if column.kind in ("word", "vendor") else value


def read(book: Book, name: str) -> list[Row]:
    """Return the rows of one seed, each a mapping of its columns; empty cells are empty strings."""
    return _rows(book.seeds / f"{name}.csv")


def _rows(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{k: (v or "").strip() for k, v in row.items() if k} for row in csv.DictReader(file)]


class _Check:
    """One pass over all seeds, collecting problems instead of stopping at the first."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.problems: list[Problem] = []
        self.rows: dict[str, list[tuple[int, Row]]] = {name: self._read(name) for name in SEEDS}
        self.is_read = not self.problems
        if not self.is_read:
            return
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

    def _read(self, name: str) -> list[tuple[int, Row]]:
        path = self.book.seeds / f"{name}.csv"
        expected = [c.name for c in SEEDS[name]]
        if not path.is_file():
            if name in _MUST_EXIST:
                self._add(name, None, None, f"the file is missing; its header is {','.join(expected)}")
            return []
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = path.read_bytes()[: error.start].count(b"\n") + 1
            self._add(name, line, None, "is not UTF-8 text; save the file as CSV UTF-8")
            return []
        reader = csv.reader(io.StringIO(text), strict=True)
        rows: list[tuple[int, Row]] = []
        try:
            header = [cell.strip() for cell in next(reader, [])]
            if not self._header(name, header, expected):
                return []
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    self._add(
                        name,
                        reader.line_num,
                        None,
                        f"has {len(cells)} cells, the header has {len(header)}; quote cells that hold commas",
                    )
                    continue
                row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
                rows.append((reader.line_num, dict.fromkeys(expected, "") | row))
        except csv.Error as error:
            self._add(name, reader.line_num, None, f"is not valid CSV ({error})")
        return rows

    def _header(self, name: str, header: list[str], expected: list[str]) -> bool:
        before = len(self.problems)
        for missing in [c.name for c in SEEDS[name] if c.name not in header and not c.may_be_absent]:
            self._add(name, 1, missing, "the column is missing from the header")
        for unknown in [c for c in header if c not in expected]:
            self._add(
                name,
                1,
                unknown or "(empty)",
                f"is not a column of this file{guess(unknown, expected)}; it has {', '.join(expected)}",
            )
        for twice in {c for c in header if header.count(c) > 1}:
            self._add(name, 1, twice, "the column stands in the header twice")
        return len(self.problems) == before

    def _cells(self, name: str, columns: Iterable[Column]) -> None:
        for line, row in self.rows[name]:
            for column in columns:
                value = row[column.name]
                if not value:
                    if column.is_required:
                        self._add(name, line, column.name, "is empty; it is required")
                    continue
                read = self._read_vendor if column.kind == "vendor" else _READERS[column.kind]
                if message := read(value, column):
                    self._add(name, line, column.name, message)

    @cached_property
    def _tools(self) -> dict[str, Vendor]:
        """Everything that counts, by its name: the vendors, and the tools that the book's connections declare."""
        from morton_pipeline.vendors import VENDORS

        declared = {c.tool: VENDORS[c.vendor] for c in self.book.connections if VENDORS[c.vendor].is_declared}
        return {name: v for name, v in VENDORS.items() if not v.is_declared} | declared

    def _read_vendor(self, value: str, _: Column) -> str:
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
        for name, column in _IN_ACCOUNTING.items():
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
            if row["silent_days"] and _number(row["silent_days"]) in range(14):
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
            elif contract and (start := _number(row["from_quantity"])) is not None:
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
            if _number(row["quantity_per_unit"]) == 0:
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
        if row["quantity_per_unit"] and _number(row["quantity_per_unit"]) != 1:
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
                priority = (row["priority"] or _WHEN_EMPTY["priority"]).lstrip("0")
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
            if _number(row["max_quantity"]) == 0:
                message = f"{row['max_quantity']!r} would exclude nothing; name the most it may exclude"
                self._add("exclusions", line, "max_quantity", message)
            self._in_order("exclusions", line, row, "expires_on")

    def _in_order(self, name: str, line: int, row: Row, last: str) -> tuple[date, date] | None:
        """Return the days a row holds for, or say that it ends before it begins."""
        start, end = _date(row["effective_from"], date.min), _date(row[last], date.max)
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
            groups[tuple((row[k] or _WHEN_EMPTY.get(k, "")).lower() for k in keys)].append((*days, line))
        for key, spans in groups.items():
            spans.sort()
            for (_, end, earlier), (start, _, later) in pairwise(spans):
                if start < end:
                    whose = " and ".join(filter(None, key))
                    self._add(name, later, "effective_from", f"overlaps row {earlier} for {whose}; {rule}")
        return groups


BOUGHT = "subscribed_skus"
"""The countable endpoint that lists what was bought, not who holds it."""


def countable() -> list[tuple[str, str]]:
    """Return the endpoints whose records can be counted, as (vendor, endpoint)."""
    from morton_pipeline.vendors import VENDORS

    return [(v.name, e.name) for v in VENDORS.values() for e in v.endpoints if e.counts]


def mappable_fields(vendor: str, endpoint: str) -> list[str]:
    """Return the columns a service mapping may look at: text that names a thing, and no instant."""
    from morton_pipeline.extract.records import columns
    from morton_pipeline.vendors import VENDORS

    declared = columns(VENDORS[vendor].endpoint(endpoint).record)
    return [c.name for c in declared if c.sql_type == "varchar" and not c.name.endswith("_at")]


def wrong_cell(seed: str, column: str, value: str) -> str:
    """Return what is wrong with one cell by itself, or nothing; whether it names something that exists is not asked."""
    declared = next(c for c in SEEDS[seed] if c.name == column)
    if not value:
        return "is empty; it is required" if declared.is_required else ""
    return "" if declared.kind == "vendor" else _READERS[declared.kind](value, declared)


def _date(text: str, default: date) -> date | None:
    try:
        return date.fromisoformat(text) if text else default
    except ValueError:
        return None


def _meet(a: Row, b: Row) -> bool:
    """Whether there is a day on which two rows both hold."""
    starts = [_date(row["effective_from"], date.min) for row in (a, b)]
    ends = [_date(row["effective_to"], date.max) for row in (a, b)]
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


def _read_date(value: str, _: Column) -> str:
    is_date = str(_date(value, date.min)) == value
    return "" if is_date else f"{value!r} is not a date; write it as 2026-11-30"


def _number(text: str) -> Decimal | None:
    return Decimal(text) if _DIGITS.fullmatch(text.removeprefix("-")) else None


_DIGITS = re.compile(r"([0-9]+)(?:\.([0-9]+))?")
"""What every engine reads alike: neither 1e3 nor 1_000, and no digits of another script."""


def _read_number(value: str, _: Column) -> str:
    return _read_digits(value, 14, 4, "40 or 2.50", "be zero or more")


def _read_digits(value: str, before: int, after: int, example: str, rule: str) -> str:
    found = _DIGITS.fullmatch(value.removeprefix("-"))
    if found is None:
        return f"{value!r} is not a number; write digits with a point, such as {example}"
    whole, decimals = found[1].lstrip("0"), (found[2] or "").rstrip("0")
    if value.startswith("-"):
        return f"{value!r} must {rule}"
    if len(whole) > before:
        return f"{value!r} has more than {before} digits before the point, and no column holds more"
    return f"{value!r} has more than {after} decimals, and no column holds more" if len(decimals) > after else ""


def _read_signed(value: str, column: Column) -> str:
    return _read_number(value.removeprefix("-"), column)


def _read_rate(value: str, _: Column) -> str:
    message = _read_digits(value, 10, 8, "1.0872", "be more than zero")
    if "more than 8" in message or "more than 10" in message:
        return f"{message}; write it the other way"
    return message or ("" if Decimal(value) > 0 else f"{value!r} must be more than zero")


def _read_whole(value: str, _: Column) -> str:
    if not (value.isascii() and value.isdigit()):
        return f"{value!r} is not a whole number"
    return "" if int(value) <= _MOST_WHOLE else f"{value!r} is more than {_MOST_WHOLE}; write a smaller one"


def _read_word(value: str, column: Column) -> str:
    word = value.lower()
    return (
        "" if word in column.words else f"{value!r} is not one of {', '.join(column.words)}{guess(word, column.words)}"
    )


def _read_currency(value: str, _: Column) -> str:
    from babel.numbers import is_currency

    return "" if is_currency(value) else f"{value!r} is not a currency code such as USD"


def _read_zone(value: str, _: Column) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"{value!r} is not a time zone; an example is America/New_York"
    return ""


_READERS: Mapping[str, Callable[[str, Column], str]] = {
    "text": lambda value, column: "",
    "date": _read_date,
    "number": _read_number,
    "signed": _read_signed,
    "rate": _read_rate,
    "whole": _read_whole,
    "word": _read_word,
    "currency": _read_currency,
    "zone": _read_zone,
}
