"""Closing a month: what its rows stood on is written to the journal once, and every later build takes it from there.

Belongs here: which months are due, and what is kept of them. Does not: what a build makes of a closed month
(`int_findings_standing`), or of what became known later (`int_corrections`).
"""

from datetime import datetime

import duckdb

from morton_pipeline.book import Book
from morton_pipeline.warehouse import journal
from morton_pipeline.warehouse.apply import CLOSING
from morton_pipeline.warehouse.layout import CLOSED, Table

_DUE = """
    create or replace temp table due as
    select periods.client_id, periods.period_month
    from intermediate.int_periods as periods
    join intermediate.int_clients as clients using (client_id)
    anti join raw.closed_periods as closed using (client_id, period_month)
    where not periods.is_open and clients.today_on > periods.last_on + cast(? as integer)
"""
"""The months that ended so many days ago, where the client is; the day a month ends on is none of them."""

_ROWS = {
    "closed_periods": "due",
    # What an invoice of that month bills is looked at for as long as invoices come: see int_invoice_mismatches.
    "closed_findings": (
        "(select * from intermediate.int_findings_sealed where kind not in ('invoice_mismatch', 'correction')) "
        "join due using (client_id, period_month)"
    ),
    "closed_evidence": "intermediate.int_evidence_unioned join kept using (discrepancy_id)",
    "closed_stretches": """(
        select client_id, period_month, discrepancy_id, min(quantity_on) as first_on, max(quantity_on) as last_on,
               day_amount
        from (
            select kept.*, quantity_on, day_amount,
                   quantity_on - cast(row_number() over (
                       partition by discrepancy_id, day_amount order by quantity_on
                   ) as integer) as stretch
            from kept
            join intermediate.int_daily_positions as days
                on days.client_id = kept.client_id
                and days.service_id = kept.service_id
                and days.quantity_on between kept.began_on and kept.measured_on
        )
        group by all
    )""",
    "closed_terms": "intermediate.int_period_terms join due using (client_id, period_month)",
}


def close_months(con: duckdb.DuckDBPyConnection, book: Book, at: datetime) -> int:
    """Close every month that is due, after a build that has just seen them; return how many client-months were."""
    con.execute(_DUE, [book.limits.close_after_days])
    (count,) = con.execute("select count(*) from due").fetchone() or (0,)
    if count:
        con.execute(
            "create or replace temp table kept as "
            "select client_id, service_id, period_month, discrepancy_id, began_on, measured_on "
            f"from {_ROWS['closed_findings']}"
        )
        written = {table.name: _written(con, book, table, at) for table in CLOSED}
        journal.append(con, book, [{"line": CLOSING, "clock_at": at, "known_at": at, "files": written}])
        journal.replay(con, book)
        con.execute("drop table kept")
    con.execute("drop table due")
    return int(count)


def _written(con: duckdb.DuckDBPyConnection, book: Book, table: Table, at: datetime) -> tuple[str, str]:
    columns = [f for f in table.fields if f.name != "closed_at"]
    listed = ", ".join(f'cast("{f.name}" as {f.sql_type}) as "{f.name}"' for f in columns)
    rows = con.sql(f"select {listed} from {_ROWS[table.name]} order by all").to_arrow_table()
    return journal.write_changes(book, "closed", table.name, f"{at:%Y%m%dT%H%M%S%fZ}", rows)
