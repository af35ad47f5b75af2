"""Build MSPs into one book, and read back the rows Morton lists for them.

Belongs here: writing seeds and connections, loading every reading, building the mart. Does not: judging the rows.
"""

from collections.abc import Sequence
from csv import DictWriter
from datetime import UTC, timedelta
from pathlib import Path

import duckdb

from morton_pipeline.book import Book
from morton_pipeline.reconcile import reconcile
from morton_pipeline.seeds import SEEDS
from morton_pipeline.warehouse.load import load
from tests.score.model import Row
from tests.score.msp import SERVICES, Msp

_COLUMNS = """
    period_month, coalesce(client_id, client_name), coalesce(service_id, service_name, ''), kind, observed_quantity,
    contracted_quantity, invoiced_quantity, variance_quantity, unit_price, variance_amount, currency, accumulated_amount, recoverable_amount,
    began_on, source_state, source_as_of_at, is_within_tolerance, is_estimate, status
"""


def build(root: Path, msps: Sequence[Msp]) -> list[Row]:
    """Build one book of MSPs that are read at the same instants, and return all rows of it."""
    book = Book(root)
    root.mkdir(parents=True)
    calendar = msps[0].calendar
    lines = [line for msp in msps for line in msp.connection_lines()]
    (root / "connections.yaml").write_text("\n".join(["connections:", *lines, ""]), "utf-8")
    _write_seeds(root / "seeds", msps)
    for at in calendar.readings:
        load(book, [one for msp in msps for one in msp.extractions(at)])
    reconcile(book, at=calendar.now)
    return read(book.published)


def _write_seeds(folder: Path, msps: Sequence[Msp]) -> None:
    folder.mkdir()
    common: dict[str, list[dict[str, str]]] = {"services": [], "service_mappings": [], "bundles": []}
    for s in SERVICES.values():
        common["services"].append(
            {"service_id": s.id, "service_name": s.id, "unit": s.unit, "list_price": s.list_price, "accounting_item_id": f"item-{s.id}",
             "count_vendor": s.ways[0].vendor if len(s.ways) > 1 else ""}
        )  # fmt: skip
        begins = (msps[0].calendar.now - timedelta(days=s.begins)).date().isoformat() if s.begins else ""
        common["service_mappings"] += [
            {"vendor": w.vendor, "endpoint": w.endpoint, "field": w.field, "pattern": p, "service_id": s.id, "priority": s.priority, "effective_from": begins}
            for w in s.ways
            for p in w.patterns
            if not s.parts
        ]  # fmt: skip
        common["bundles"] += [{"bundle_service_id": s.id, "component_service_id": part, "quantity_per_unit": "1"} for part in s.parts]  # fmt: skip
    for name, columns in SEEDS.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = DictWriter(file, [c.name for c in columns], restval="")
            writer.writeheader()
            writer.writerows([*common.get(name, []), *(row for msp in msps for row in msp.seeds[name])])


def read(mart: Path) -> list[Row]:
    """Return the rows of a published mart."""
    with duckdb.connect(str(mart), read_only=True) as con:
        found = [Row(*row) for row in con.execute(f"select {_COLUMNS} from marts.discrepancies").fetchall()]
    return [r._replace(source_as_of_at=r.source_as_of_at and r.source_as_of_at.replace(tzinfo=UTC)) for r in found]
