"""Rows of the published mart, as plain dictionaries. Reads the copy everybody reads; holds no lock, changes nothing."""

import difflib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.warehouse.publish import connect_published

Row = dict[str, Any]

STATUSES = ("open", "approved", "invoiced", "written_off", "excluded", "snoozed", "void")
KINDS = ("under_billed", "over_billed", "no_contract", "no_usage", "not_audited", "unmapped_company", "unmapped_sku",
         "invoice_mismatch")  # fmt: skip

_OPEN_PERIODS = """
    with open_periods as (
        select client_id, date_trunc('month', max(quantity_on))::date as open_month
        from marts.daily_quantities
        group by client_id
    )
    select d.*
    from marts.discrepancies as d
    left join open_periods as o on o.client_id = d.client_id
"""
_OPEN_MONTH = "coalesce(o.open_month, (select max(period_month) from marts.discrepancies))"
_WAITING = "d.status in ('open', 'void', 'approved', 'snoozed')"


def discrepancies(
    book: Book, *, client: str | None = None, service: str | None = None, kind: str | None = None,
    status: str | None = None, period: str | None = None, with_tolerated: bool = False,
) -> list[Row]:  # fmt: skip
    """Return discrepancies, largest money first. `period` is YYYY-MM, `all`, or nothing for the open month.

    Rows within a contract's tolerance stay out unless asked for. A filter that fits nothing known says what exists.
    """
    conditions, values = [], list[Any]()
    if client:
        conditions.append("(lower(d.client_id) = lower(?) or lower(d.client_name) = lower(?))")
        values += [client, client]
    if service:
        conditions.append("(lower(d.service_id) = lower(?) or lower(d.service_name) = lower(?))")
        values += [service, service]
    if kind:
        conditions.append("d.kind = ?")
        values.append(kind)
    if status:
        conditions.append("d.status = ?")
        values.append(status)
    if period == "all":
        conditions.append(f"(d.period_month = {_OPEN_MONTH} or {_WAITING})")
    elif period:
        conditions.append("d.period_month = ?")
        values.append(month(period))
    else:
        conditions.append(f"d.period_month = {_OPEN_MONTH}")
    if not with_tolerated:
        conditions.append("not d.is_within_tolerance")
    order = " order by abs(d.variance_amount) desc nulls last, d.client_name, d.service_name, d.period_month, d.kind"
    with connect_published(book) as con:
        for value, column in ((client, "client"), (service, "service")):
            if value:
                _refuse_unknown(con, column, value)
        return _rows(con, _OPEN_PERIODS + " where " + " and ".join(conditions) + order, values)


def month(text: str) -> date:
    """Read YYYY-MM."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise BadInput(f"{text!r} is not a month; write it as 2026-11.") from None


def by_id(book: Book, ids: Sequence[str] | None = None) -> dict[str, Row]:
    """Return discrepancies by id, all of them or the named ones; an unknown id says which are near."""
    with connect_published(book) as con:
        rows = {row["discrepancy_id"]: row for row in _rows(con, "select * from marts.discrepancies", [])}
    if ids is None:
        return rows
    return {i: _known(i, rows) for i in ids}


def _known(discrepancy_id: str, rows: Mapping[str, Row]) -> Row:
    if discrepancy_id in rows:
        return rows[discrepancy_id]
    close = difflib.get_close_matches(discrepancy_id, list(rows), n=3)
    hint = f"Did you mean {', '.join(close)}? " if close else ""
    raise BadInput(
        f"There is no discrepancy {discrepancy_id!r}. {hint}"
        f"`morton discrepancies --period all` lists the ids; there are {len(rows)}."
    )


def evidence(book: Book, discrepancy_id: str) -> list[Row]:
    """Return the records behind one discrepancy, what changed first."""
    by_id(book, [discrepancy_id])
    return evidence_of(book, [discrepancy_id])[discrepancy_id]


def evidence_of(book: Book, ids: Sequence[str]) -> dict[str, list[Row]]:
    """Return the records behind several discrepancies."""
    found: dict[str, list[Row]] = {i: [] for i in ids}
    sql = (
        "select * from marts.discrepancy_evidence where discrepancy_id in (select unnest(?)) "
        "order by case change when 'added' then 0 when 'removed' then 1 else 2 end, bucket, record_name, record_id"
    )
    with connect_published(book) as con:
        for row in _rows(con, sql, [list(ids)]):
            found[row["discrepancy_id"]].append(row)
    return found


def not_fresh(book: Book) -> list[Row]:
    """Return the sources that are not fresh."""
    sql = (
        "select * from marts.source_health where state not in ('known', 'zero') "
        "order by connection_id, endpoint, tenant_id"
    )
    with connect_published(book) as con:
        return _rows(con, sql, [])


def _rows(con: Any, sql: str, values: Sequence[Any]) -> list[Row]:
    cursor = con.execute(sql, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _refuse_unknown(con: Any, column: str, value: str) -> None:
    sql = (
        f"select distinct {column}_id, {column}_name from marts.discrepancies "
        f"where {column}_id is not null or {column}_name is not null"
    )
    known = con.execute(sql).fetchall()
    names = {str(name) for pair in known for name in pair if name}
    if value.lower() not in {name.lower() for name in names}:
        close = difflib.get_close_matches(value, sorted(names), n=3, cutoff=0.4)
        hint = (
            f"Near: {', '.join(close)}."
            if close
            else f"There are rows for {', '.join(sorted(str(p[0]) for p in known if p[0])[:20])}."
        )
        raise BadInput(f"No discrepancy is about a {column} {value!r}. {hint}")
