"""Rows of the published mart, as plain dictionaries. Reads the copy everybody reads; holds no lock, changes nothing."""

import csv
import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.warehouse.publish import connect_published

Row = dict[str, Any]

STATUSES = ("open", "approved", "invoiced", "written_off", "excluded", "snoozed", "void")
KINDS = ("under_billed", "over_billed", "no_contract", "no_usage", "not_audited", "unmapped_company", "unmapped_sku",
         "invoice_mismatch", "below_cost", "coverage_gap", "correction")  # fmt: skip
FINDINGS = ("waste", "risk", "lists_differ", "below_cost")

NOTHING_READ = "Nothing had been read to its end, so nothing was audited: `morton extract` reads what there is now."
"""What an empty list means where nothing could be compared; it never means that all is well."""

_FOUND = """
    with open_periods as (
        select client_id, date_trunc('month', max(last_on))::date as open_month
        from marts.quantity_stretches
        group by client_id
    )
    select d.*
    from marts.discrepancies as d
    left join open_periods as o on o.client_id = d.client_id
    where not d.is_within_tolerance
        and case $1
            when 'all' then true
            else d.period_month = coalesce($2, o.open_month, (select max(period_month) from marts.discrepancies))
        end
"""

_ROWS = """
    with open_periods as (
        select client_id, date_trunc('month', max(last_on))::date as open_month
        from marts.quantity_stretches
        group by client_id
    ),
    counted as (
        select client_id, service_id, arg_max(vendor, last_on) as vendor
        from marts.quantity_stretches
        group by client_id, service_id
    ),
    ages as (
        select vendor, max(allowed_age_minutes) as allowed_age_minutes
        from marts.source_health
        where endpoint <> 'incident_reports'
        group by vendor
    ),
    aged as (
        select
            d.*,
            coalesce(o.open_month, (select max(period_month) from marts.discrepancies)) as open_month,
            case
                when d.kind = 'below_cost' then m.fresh_until_at
                -- It is about a month that is over: its readings grow no older.
                when d.kind = 'correction' then null
                else d.source_as_of_at + to_minutes(a.allowed_age_minutes)
            end as fresh_until_at
        from marts.discrepancies as d
        left join marts.margins as m on m.client_id = d.client_id and m.service_id = d.service_id
        left join open_periods as o on o.client_id = d.client_id
        left join counted as c on c.client_id = d.client_id and c.service_id = d.service_id
        left join ages as a
            on a.vendor = case
                when d.kind = 'invoice_mismatch'
                    then (select min(vendor) from marts.source_health where endpoint = 'invoice_lines')
                else c.vendor
            end
    ),
    d as (
        select
            * exclude (open_month, fresh_until_at) replace (
                case
                    when source_state in ('known', 'zero') and period_month = open_month
                        and fresh_until_at < ? then 'stale'
                    else source_state
                end as source_state
            ),
            open_month
        from aged
    )
    select * exclude (open_month) from d
"""
"""A mart does not know that it has grown old: what was fresh when it was built is judged again when it is read."""

_MARGINS = """
    select * exclude (is_old) replace (
        case when is_old then 'stale' else source_state end as source_state,
        case when is_old then '' else finding end as finding,
        case when not is_old then waste_quantity end as waste_quantity,
        case when not is_old then waste_amount end as waste_amount,
        case when not is_old then risk_quantity end as risk_quantity
    )
    from (select *, source_state = 'known' and fresh_until_at < ? as is_old from marts.margins)
"""
_GAPS = """
    select * replace (
        case when source_state = 'known' and fresh_until_at < ? then 'stale' else source_state end as source_state
    )
    from marts.coverage_gaps
"""

_WAITING = "status in ('open', 'void', 'approved', 'snoozed')"


def discrepancies(
    book: Book, *, at: datetime, client: str | None = None, service: str | None = None, kind: str | None = None,
    status: str | None = None, period: str | None = None, with_tolerated: bool = False, source: Path | None = None,
) -> list[Row]:  # fmt: skip
    """Return discrepancies as they stand at an instant, largest money first.

    `period` is YYYY-MM, `all`, or nothing for the open month. Rows within a contract's tolerance stay out unless asked
    for. A filter that fits nothing known says what exists. `source` is another published file, such as a look back.
    """
    conditions, values = ["true"], list[Any]()
    for value, column in ((client, "client"), (service, "service")):
        if value:
            conditions.append(f"(lower({column}_id) = lower(?) or lower({column}_name) = lower(?))")
            values += [value, value]
    for value, column in ((kind, "kind"), (status, "status")):
        if value:
            conditions.append(f"{column} = ?")
            values.append(value)
    if period == "all":
        conditions.append(f"(period_month = open_month or {_WAITING})")
    elif period:
        conditions.append("period_month = ?")
        values.append(month(period))
    else:
        conditions.append("period_month = open_month")
    if not with_tolerated:
        conditions.append("not is_within_tolerance")
    order = " order by abs(variance_amount) desc nulls last, client_name, service_name, period_month, kind"
    with connect_published(book, source) as con:
        for value, column in ((client, "client"), (service, "service")):
            if value:
                _refuse_unknown(book, con, column, value)
        if period and period != "all":
            _refuse_unknown_period(con, month(period))
        return _rows(con, _ROWS + " where " + " and ".join(conditions) + order, [_naive(at), *values])


def found(book: Book, source: Path, period: str | None) -> list[Row]:
    """Return every discrepancy of a built mart that is not within its tolerance, whatever was decided about it.

    `period` is YYYY-MM, `all`, or nothing for each client's open month.
    """
    with connect_published(book, source) as con:
        if period and period != "all":
            _refuse_unknown_period(con, month(period))
        return _rows(con, _FOUND, [period, month(period) if period and period != "all" else None])


def margins(book: Book, *, at: datetime, client: str | None = None, finding: str | None = None) -> list[Row]:
    """Return what every service brings and costs as it stands at an instant: findings first, worst margin on top."""
    order = " order by finding = '', margin_amount nulls last, client_name, service_name"
    listed = f"select * from ({_MARGINS}) where (? is null or list_contains(string_split(finding, ', '), ?))"
    return _of_client(book, listed, [_naive(at), finding, finding], client, order)


def gaps(book: Book, *, at: datetime, client: str | None = None) -> list[Row]:
    """Return the machines that are missing from a tool they are expected in, or might be."""
    order = " order by client_name, gap, device_name, record_id"
    return _of_client(book, f"select * from ({_GAPS}) where true", [_naive(at)], client, order)


def changes(book: Book, *, client: str | None = None, period: str | None = None) -> list[Row]:
    """Return what happened to single records in the open month and the one before, or in one of them, latest first."""
    wanted = month(period) if period else None
    listed = "select * from marts.record_changes where (?::date is null or period_month = ?::date)"
    order = " order by changed_on desc, client_name, service_name, record_name, record_id, change"
    return _of_client(book, listed, [wanted, wanted], client, order)


def exclusions(book: Book, *, client: str | None = None, is_new: bool = False) -> list[Row]:
    """Return the records that are excluded, what changed in this period first; `is_new` leaves out what did not."""
    order = " order by is_expired desc, is_new desc, client_name, rule, record_name, record_key"
    return _of_client(
        book, "select * from marts.excluded_records where (not ? or is_new or is_expired)", [is_new], client, order
    )


def tasks(book: Book, *, client: str | None = None, with_ended: bool = False) -> list[Row]:
    """Return what must be mended because it was written off or excluded: chronic ones first, then the most money."""
    order = " order by is_chronic desc, written_off_amount desc nulls last, client_name, service_name, kind, cause"
    return _of_client(book, "select * from marts.fix_tasks where (is_open or ?)", [with_ended], client, order)


def _of_client(book: Book, sql: str, values: Sequence[Any], client: str | None, order: str) -> list[Row]:
    with connect_published(book) as con:
        if not client:
            return _rows(con, sql + order, values)
        _refuse_unknown(book, con, "client", client)
        named = " and (lower(client_id) = lower(?) or lower(client_name) = lower(?))"
        return _rows(con, sql + named + order, [*values, client, client])


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


def month(text: str) -> date:
    """Read YYYY-MM."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise BadInput(f"{text!r} is not a month; write it as 2026-11.") from None


def by_id(book: Book, ids: Sequence[str] | None = None, *, at: datetime) -> dict[str, Row]:
    """Return discrepancies by id, all of them or the named ones; an unknown id says which are near."""
    with connect_published(book) as con:
        rows = {row["discrepancy_id"]: row for row in _rows(con, _ROWS, [_naive(at)])}
    if ids is None:
        return rows
    for discrepancy_id in ids:
        if discrepancy_id not in rows:
            raise BadInput(unknown(discrepancy_id, rows))
    return {i: rows[i] for i in ids}


def unknown(discrepancy_id: str, rows: Mapping[str, Row]) -> str:
    """Say that there is no such row, and which ids are near."""
    close = difflib.get_close_matches(discrepancy_id, list(rows), n=3)
    hint = f"Did you mean {', '.join(close)}? " if close else ""
    return (
        f"There is no discrepancy {discrepancy_id!r}. {hint}"
        f"`morton discrepancies --period all` lists the ids; there are {len(rows)}."
    )


def evidence_of(book: Book, ids: Sequence[str], source: Path | None = None) -> dict[str, list[Row]]:
    """Return the records behind several discrepancies; `source` is another published file, such as a look back."""
    found: dict[str, list[Row]] = {i: [] for i in ids}
    sql = (
        "select * from marts.discrepancy_evidence where discrepancy_id in (select unnest(?)) "
        "order by case change when 'added' then 0 when 'removed' then 1 else 2 end, bucket, record_name, record_id"
    )
    with connect_published(book, source) as con:
        for row in _rows(con, sql, [list(ids)]):
            found[row["discrepancy_id"]].append(row)
    return found


_ORDER = {
    "readings": "vendor, connection_id, endpoint, read_at, extraction_id",
    "contracts": "effective_from nulls first, contract_id",
    "mappings": "mapping, vendor, connection_id, company_id, endpoint, field, pattern",
    "exclusions": "exclusion, reason, vendor",
}


def grounds(book: Book, discrepancy_id: str, what: str, source: Path | None = None) -> list[Row]:
    """Return what a discrepancy stands on beside its records: its readings, contracts, mappings or exclusions."""
    sql = f"select * from marts.discrepancy_{what} where discrepancy_id = ? order by {_ORDER[what]}"
    with connect_published(book, source) as con:
        return _rows(con, sql, [discrepancy_id])


def seals(book: Book, ids: Sequence[str], source: Path | None = None) -> dict[str, str]:
    """Return the seals several discrepancies have in the mart, or in `source`.

    One that is gone has none, also where what was invoiced of it keeps its row.
    """
    sql = (
        "select discrepancy_id, seal from marts.discrepancies where discrepancy_id in (select unnest(?)) "
        "and coalesce(observed_quantity, contracted_quantity) is not null"
    )
    with connect_published(book, source) as con:
        return {row["discrepancy_id"]: row["seal"] for row in _rows(con, sql, [list(ids)])}


def not_fresh(book: Book, at: datetime) -> list[Row]:
    """Return the sources that are not fresh at an instant."""
    sql = (
        "select * replace (case when state in ('known', 'zero') then 'stale' else state end as state) "
        "from marts.source_health where state not in ('known', 'zero') "
        "or last_complete_at + to_minutes(allowed_age_minutes) < ? order by connection_id, endpoint, tenant_id"
    )
    with connect_published(book) as con:
        return _rows(con, sql, [_naive(at)])


def _rows(con: Any, sql: str, values: Sequence[Any]) -> list[Row]:
    try:
        cursor = con.execute(sql, values)
    except duckdb.CatalogException:
        raise BadInput("An earlier version built the marts: run `morton reconcile`, then this again.") from None
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _refuse_unknown(book: Book, con: Any, column: str, value: str) -> None:
    """Refuse a name that no row has and no seed knows: whoever is there and has no rows is no mistake."""
    named = f"select {column}_id, {column}_name from marts"
    sql = f"{named}.discrepancies union {named}.margins"
    names = {str(name) for pair in con.execute(sql).fetchall() for name in pair if name}
    seed = book.seeds / f"{column}s.csv"
    if seed.is_file():
        with seed.open(encoding="utf-8-sig", newline="") as file:
            names |= {
                row[word] for row in csv.DictReader(file) for word in (f"{column}_id", f"{column}_name") if row[word]
            }
    if value.lower() in {name.lower() for name in names}:
        return
    close = difflib.get_close_matches(value, sorted(names), n=3)
    hint = f" Did you mean {', '.join(close)}?" if close else ""
    raise BadInput(
        f"No {column} is called {value!r}.{hint} {column}s.csv in {book.seeds} names them all, by id and name."
    )


def is_read(book: Book, source: Path | None = None) -> bool:
    """Whether anything had been read to its end when a mart was built; `source` is another published file."""
    with connect_published(book, source) as con:
        return _is_read(con)


def _is_read(con: Any) -> bool:
    return bool(_rows(con, "select 1 from marts.source_health where last_complete_at is not null limit 1", []))


def _refuse_unknown_period(con: Any, period: date) -> None:
    sql = (
        "select date_trunc('month', last_on)::date as period_month from marts.quantity_stretches "
        "union select period_month from marts.discrepancies order by 1"
    )
    known = [row["period_month"] for row in _rows(con, sql, [])]
    if period in known or (not known and _is_read(con)):
        return
    there = f"There are {', '.join(f'{m:%Y-%m}' for m in known)}." if known else NOTHING_READ
    raise BadInput(f"{period:%Y-%m} was not reconciled: nothing was read then. {there}")
