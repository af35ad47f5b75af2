"""Build MSPs into one book, and read back the rows Morton lists for them.

Belongs here: writing seeds and connections, loading every reading, deciding, building two marts. Does not: judging.
"""

from collections.abc import Iterator, Sequence
from csv import DictWriter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from morton_pipeline.book import Book
from morton_pipeline.ledger import Ledger, decide, invoices, open_ledger
from morton_pipeline.reconcile import reconcile
from morton_pipeline.seeds import SEEDS
from morton_pipeline.warehouse.load import load
from tests.score.model import Row
from tests.score.msp import DECLARED, SERVICES, WITHIN, Calendar, Decision, Msp, connection_line

_COLUMNS = """
    period_month, coalesce(client_id, client_name), coalesce(service_id, service_name, ''), kind, observed_quantity,
    contracted_quantity, invoiced_quantity, variance_quantity, unit_price, variance_amount, currency, accumulated_amount, recoverable_amount,
    lost_unit_days, began_on, source_state, source_as_of_at, is_within_tolerance, is_estimate, status
"""


def marts(root: Path, msps: Sequence[Msp]) -> Iterator[list[Row]]:
    """Build one book of MSPs that are read at the same instants; yield all rows of its first mart, then of its second."""
    book = Book(root)
    root.mkdir(parents=True)
    calendar = msps[0].calendar
    lines = [connection_line(tool, tool) for tool in DECLARED]
    lines += [line for msp in msps for line in msp.connection_lines()]
    (root / "connections.yaml").write_text("\n".join(["connections:", *lines, ""]), "utf-8")
    _write_seeds(root / "seeds", calendar, [msp.seeds for msp in msps])
    yield _built(book, msps, None, calendar.now)
    _decide(book, calendar, [one for msp in msps for one in msp.decisions])
    _write_seeds(root / "seeds", calendar, [msp.seeds_later() for msp in msps])
    yield _built(book, msps, calendar.now, calendar.later)


def _built(book: Book, msps: Sequence[Msp], after: datetime | None, at: datetime) -> list[Row]:
    """Read every tool at every instant, build the mart, and return its rows."""
    for slot in msps[0].calendar.readings:
        if (after is None or after < slot) and slot <= at:
            load(book, [one for msp in msps for one in msp.extractions(slot)])
    reconcile(book, at=at)
    return read(book.published)


def _write_seeds(folder: Path, calendar: Calendar, seeds: Sequence[dict[str, list[dict[str, str]]]]) -> None:
    folder.mkdir(exist_ok=True)
    common: dict[str, list[dict[str, str]]] = {"services": [], "service_mappings": [], "bundles": []}
    for s in SERVICES.values():
        common["services"].append(
            {"service_id": s.id, "service_name": s.id, "unit": s.unit, "list_price": s.list_price, "accounting_item_id": f"item-{s.id}",
             "count_vendor": s.ways[0].vendor if len(s.ways) > 1 else ""}
        )  # fmt: skip
        begins = (calendar.now - timedelta(days=s.begins)).date().isoformat() if s.begins else ""
        common["service_mappings"] += [
            {"vendor": w.vendor, "endpoint": w.endpoint, "field": w.field, "pattern": p, "service_id": s.id, "priority": s.priority, "effective_from": begins}
            for w in s.ways
            for p in w.patterns
            if not s.parts
        ]  # fmt: skip
        common["bundles"] += [{"bundle_service_id": s.id, "component_service_id": part, "quantity_per_unit": str(per_unit)} for part, per_unit in s.parts]  # fmt: skip
    common["sku_includes"] = [
        {"vendor": "microsoft365", "sku": sku, "included_sku": included} for sku, included in WITHIN
    ]
    for name, columns in SEEDS.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = DictWriter(file, [c.name for c in columns], restval="")
            writer.writeheader()
            writer.writerows([*common.get(name, []), *(row for of_msp in seeds for row in of_msp.get(name, []))])


def _decide(book: Book, calendar: Calendar, decisions: Sequence[Decision]) -> None:
    """Answer, and send what is to be sent, a line for each approval."""
    with duckdb.connect(str(book.published), read_only=True) as con, open_ledger(book) as ledger:
        for number, one in enumerate(decisions):
            rows = _dicts(con, "select * from marts.discrepancies where client_id = $1 and service_id = $2 and case when $3 is null then closed_at is null else period_month = $3 end "
                          "qualify period_month = max(period_month) over ()", one.client, one.service, one.month)  # fmt: skip
            evidence = {row["discrepancy_id"]: _dicts(con, "select * from marts.discrepancy_evidence where discrepancy_id = ?", row["discrepancy_id"]) for row in rows}  # fmt: skip
            said: dict[str, Any] = {"actor": "Fay", "at": calendar.decided}
            # What is given up or not counted names what is to be mended.
            cause = None if one.action == "approve" else "policy"
            outcome = decide(ledger, rows, action=one.action, until=one.until, record_ids=one.record_ids, reason="seen", cause=cause, limits=book.limits,
                             evidence=evidence, **said)  # fmt: skip
            if outcome.refused:
                raise AssertionError(f"{one} was refused: {outcome.refused}")
            if one.is_sent:
                _send(ledger, f"{one.client}-{number}", outcome.applied, said)


def _send(ledger: Ledger, name: str, approved: Sequence[dict[str, Any]], said: dict[str, Any]) -> None:
    first = approved[0]
    intent = {
        "invoice_id": name, "reference": f"M-{name}", "destination": "files", "client_id": first["client_id"],
        "period_month": first["period_month"], "currency": first["currency"], "total_amount": sum(d["amount"] for d in approved),
    }  # fmt: skip
    same = ("decision_id", "discrepancy_id", "service_id", "kind", "quantity", "amount")
    lines = [
        invoices.Line(**{c: d[c] for c in same}, unit_price=round(d["amount"] / d["quantity"], 4), description="")
        for d in approved
    ]
    invoices.add(ledger, intent, lines, payload="{}", customer_id=f"a-{name}", **said)
    for state in ("sending", "posted"):
        invoices.step(ledger, invoices.one(ledger, name), state, accounting_id=f"ours-{name}", **said)


def _dicts(con: duckdb.DuckDBPyConnection, sql: str, *values: object) -> list[dict[str, Any]]:
    cursor = con.execute(sql, list(values))
    names = [c[0] for c in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def read(mart: Path) -> list[Row]:
    """Return the rows of a published mart."""
    with duckdb.connect(str(mart), read_only=True) as con:
        found = [Row(*row) for row in con.execute(f"select {_COLUMNS} from marts.discrepancies").fetchall()]
    return [r._replace(source_as_of_at=r.source_as_of_at and r.source_as_of_at.replace(tzinfo=UTC)) for r in found]
