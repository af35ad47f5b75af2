"""Closing a month: what its rows stood on is written to the journal once, and every later build takes it from there.

Belongs here: which months are due, and what is kept of them. Does not: what a build makes of a closed month
(`int_findings_standing`), or of what became known later (`int_corrections`).
"""

from datetime import UTC, datetime

import duckdb

from morton_pipeline.book import Book
from morton_pipeline.warehouse import journal
from morton_pipeline.warehouse.apply import CLOSING
from morton_pipeline.warehouse.layout import CLOSED, Table

_DUE = """
    create or replace temp table due as
    select client_id, period_month
    from intermediate.int_periods
    anti join raw.closed_periods using (client_id, period_month)
    where closed_at is not null
"""
"""The months the build called closed, and nobody had closed before."""

_ROWS = {
    "closed_periods": "due",
    # What an invoice of that month bills is looked at for as long as invoices come: see int_invoice_mismatches.
    "closed_findings": (
        "(select * from intermediate.int_findings_sealed where kind not in ('invoice_mismatch', 'correction')) "
        "join due using (client_id, period_month)"
    ),
    "closed_evidence": (
        "intermediate.int_evidence_unioned join kept using (discrepancy_id) "
        "left join (select discrepancy_id, vendor, record_path, company_id, extraction_id, is_personal "
        "from intermediate.int_evidence_versions) using (discrepancy_id, vendor, record_path)"
    ),
    "closed_mappings": "intermediate.int_finding_mappings join kept using (discrepancy_id)",
    "closed_readings": "intermediate.int_finding_readings join kept using (discrepancy_id)",
    "closed_stretches": """(
        select kept.client_id, kept.period_month, kept.discrepancy_id, stretches.day_amount,
            stretches.position_from as first_on,
            least(stretches.position_to - 1, variances.summed_to) as last_on
        from kept
        join intermediate.int_usage_variances as variances using (client_id, service_id, period_month, kind)
        join intermediate.int_positions as stretches
            on stretches.client_id = kept.client_id
            and stretches.service_id = kept.service_id
            and stretches.run = variances.run
            and stretches.is_in_another_currency = variances.is_in_another_currency
            and stretches.position_from <= variances.summed_to
    )""",
    "closed_terms": "intermediate.int_period_terms join due using (client_id, period_month)",
    "closed_steps": (
        "intermediate.int_period_terms join due using (client_id, period_month) "
        "join intermediate.int_price_tiers using (contract_id) where billing_model = 'tiered'"
    ),
}


def forget(con: duckdb.DuckDBPyConnection, since: datetime | None) -> None:
    """Open, in a copy of the warehouse, every closed month, or those closed since an instant, that one included."""
    first = since.astimezone(UTC).replace(tzinfo=None) if since else None
    for table in CLOSED:
        con.execute(f"delete from {table.sql} where ? is null or closed_at >= ?", [first, first])


def close_months(con: duckdb.DuckDBPyConnection, book: Book, at: datetime) -> int:
    """Close the months that the last build was due to close; return how many client-months there were."""
    con.execute(_DUE)
    (count,) = con.execute("select count(*) from due").fetchone() or (0,)
    if count:
        (as_of_at,) = con.execute("select as_of_at from raw.clock").fetchone() or (at,)
        con.execute(
            "create or replace temp table kept as "
            "select client_id, service_id, period_month, kind, discrepancy_id "
            f"from {_ROWS['closed_findings']}"
        )
        written = {table.name: _written(con, book, table, at) for table in CLOSED}
        line = {"line": CLOSING, "clock_at": at, "known_at": as_of_at.replace(tzinfo=UTC), "files": written}
        journal.append(con, book, [line])
        journal.replay(con, book)
        con.execute("drop table kept")
    con.execute("drop table due")
    return int(count)


def _written(con: duckdb.DuckDBPyConnection, book: Book, table: Table, at: datetime) -> tuple[str, str]:
    columns = [f for f in table.fields if f.name != "closed_at"]
    listed = ", ".join(f'cast("{f.name}" as {f.sql_type}) as "{f.name}"' for f in columns)
    rows = con.sql(f"select {listed} from {_ROWS[table.name]} order by all").to_arrow_table()
    return journal.write_changes(book, "closed", table.name, f"{at:%Y%m%dT%H%M%S%fZ}", rows)
