"""What must hold of a row in whatever file: what each cell reads, an id of its own, and that what it names exists."""

from collections.abc import Iterator, Mapping

from morton_pipeline.book import Book
from morton_pipeline.errors import guess
from morton_pipeline.extract.vendor import Vendor
from morton_pipeline.seeds.columns import IN_ACCOUNTING, KEYS, SEEDS
from morton_pipeline.seeds.countable import tools
from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import Seeds
from morton_pipeline.seeds.values import wrong_value


def problems(seeds: Seeds) -> Iterator[Problem]:
    """Yield every wrong cell, every id that stands there twice, and every client and service nobody knows."""
    yield from _cells(seeds)
    yield from _unique(seeds)
    yield from _references(seeds)


def _cells(seeds: Seeds) -> Iterator[Problem]:
    known = tools(seeds.book)
    for name, columns in SEEDS.items():
        for line, row in seeds.rows[name]:
            for column in columns:
                value = row[column.name]
                is_tool = column.kind == "vendor" and value
                if message := _wrong_tool(value, seeds.book, known) if is_tool else wrong_value(column, value):
                    yield Problem(f"{name}.csv", line, column.name, message)


def _wrong_tool(value: str, book: Book, known: Mapping[str, Vendor]) -> str:
    from morton_pipeline.vendors import VENDORS

    name = value.lower()
    if name in known:
        return ""
    if name in VENDORS:
        own = [c.tool for c in book.connections if c.vendor == name]
        named = f"name one of them: {', '.join(own)}" if own else "this book declares none"
        return f"{value!r} stands for tools that connections.yaml declares, each counted by itself; {named}"
    return f"{value!r} is not a vendor{guess(name, known)}; Morton knows {', '.join(known)}"


def _unique(seeds: Seeds) -> Iterator[Problem]:
    for name, key in KEYS.items():
        seen: dict[str, int] = {}
        for line, row in seeds.rows[name]:
            if row[key] in seen:
                message = f"{row[key]!r} stands in row {seen[row[key]]} already; give this row its own"
                yield Problem(f"{name}.csv", line, key, message)
            seen.setdefault(row[key], line)
    for name, column in IN_ACCOUNTING.items():
        owners: dict[str, tuple[int, str]] = {}
        for line, row in seeds.rows[name]:
            value, owner = row[column], row[KEYS[name]]
            if value and value in owners:
                first, other = owners[value]
                message = (
                    f"{value!r} is that of {other} in row {first} already, and what is invoiced under it could be "
                    f"either's; give {owner} its own in the accounting system"
                )
                yield Problem(f"{name}.csv", line, column, message)
            elif value:
                owners[value] = (line, owner)


def _references(seeds: Seeds) -> Iterator[Problem]:
    known = {
        "client_id": {r["client_id"] for _, r in seeds.rows["clients"]},
        "service_id": {r["service_id"] for _, r in seeds.rows["services"]},
    }
    homes = {"client_id": "clients.csv", "service_id": "services.csv"}
    for name in ("contracts", "company_mappings", "service_mappings", "exclusions"):
        for line, row in seeds.rows[name]:
            for column, ids in known.items():
                value = row.get(column, "")
                if value and value not in ids:
                    message = f"{value!r} is not in {homes[column]}{guess(value, ids)}"
                    yield Problem(f"{name}.csv", line, column, message)
