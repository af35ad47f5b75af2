"""The raw tables in DuckDB: creating them, and rewriting those that are only copies (scopes, tools, rules, ledger).

Belongs here: every statement that makes a raw table or fills one from plain rows. Does not: which tables there are
(`layout`), applying extractions (`apply`), or any table dbt makes.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from morton_pipeline.book import Book
from morton_pipeline.errors import MortonError
from morton_pipeline.extract.vendor import Endpoint
from morton_pipeline.vendors import VENDORS, vendor_of
from morton_pipeline.warehouse.layout import (
    LEDGER,
    SCOPES,
    TOOLS,
    VENDOR_RULES,
    Table,
    all_tables,
    arrow_type,
    literal,
    quoted,
)
from morton_pipeline.warehouse.scopes import scopes


class TableNotFitting(MortonError):
    """An existing table cannot take the type a vendor page now declares."""


def ensure(con: duckdb.DuckDBPyConnection) -> None:
    """Create what is missing: tables, columns declared since, comments. What is there already is left alone."""
    found = con.execute(
        """
        select schema_name, table_name, column_name, data_type, comment from duckdb_columns()
        where schema_name like 'raw%' and database_name = current_database()
        union all
        select schema_name, table_name, null, null, comment from duckdb_tables()
        where schema_name like 'raw%' and database_name = current_database()
        """
    ).fetchall()
    present = {(schema, table, column): (_plain(kind or ""), comment) for schema, table, column, kind, comment in found}
    statements = [statement for table in all_tables() for statement in _missing(table, present)]
    if not statements:
        return
    try:
        with transaction(con):
            con.execute("; ".join(statements))
    except duckdb.ConversionException as error:
        raise TableNotFitting(
            f"The warehouse holds values that a vendor page no longer allows ({error}). Correct the type it declares."
        ) from None


def _missing(table: Table, present: Mapping[tuple[str, str, str | None], tuple[str, str | None]]) -> Iterator[str]:
    is_new = (table.schema, table.name, None) not in present
    if is_new:
        listed = ", ".join(f"{quoted(f.name)} {f.sql_type}" for f in table.fields)
        yield f"create schema if not exists {quoted(table.schema)}"
        yield f"create table {table.sql} ({listed})"
    if is_new or present[table.schema, table.name, None][1] != table.comment:
        yield f"comment on table {table.sql} is {literal(table.comment)}"
    for field in table.fields:
        kind, comment = present.get((table.schema, table.name, field.name), ("", None))
        if not kind and not is_new:
            yield f"alter table {table.sql} add column {quoted(field.name)} {field.sql_type}"
        elif kind and kind != _plain(field.sql_type):
            yield f"alter table {table.sql} alter column {quoted(field.name)} type {field.sql_type}"
        if comment != field.comment:
            yield f"comment on column {table.sql}.{quoted(field.name)} is {literal(field.comment)}"


def write_sources(
    con: duckdb.DuckDBPyConnection,
    book: Book,
    ledger_frames: Mapping[str, pd.DataFrame],
    at: datetime,
    *,
    is_look_back: bool = False,
) -> None:
    """Rewrite what is only a copy: scopes, tools, vendor rules and the ledger. All of it or nothing.

    A ledger table without a frame is left as it is: an answer that is missing is not an empty one. `at` is the
    instant of the build; schedules are looked at over the year it falls in, and a look back knows no later attempt.
    """
    known = {table.name: table for table in LEDGER}
    unknown = sorted(set(ledger_frames) - set(known))
    if unknown:
        raise ValueError(f"layout.LEDGER does not declare {unknown}")
    named = [(v.name, v) for v in VENDORS.values()]
    # Connections may share a tool they declare; a rule of one holds for all of it, and so does the last title given.
    declared = sorted(
        (c for c in book.connections if VENDORS[c.vendor].is_declared), key=lambda c: "title" in c.settings
    )
    named += [(c.tool, vendor_of(c)) for c in declared]
    rules = dict.fromkeys(
        (name, e.name, *said) for name, v in named for e in v.endpoints for said in _rules_and_states(e)
    )
    titles = {name: v.title for name, v in named}
    with transaction(con):
        _rewrite(con, SCOPES, rows_of(SCOPES, scopes(con, book, at, is_look_back=is_look_back)))
        _rewrite(con, TOOLS, rows_of(TOOLS, titles.items()))
        _rewrite(con, VENDOR_RULES, rows_of(VENDOR_RULES, rules))
        for name, frame in ledger_frames.items():
            _rewrite(con, known[name], _of_frame(known[name], frame))


def _rules_and_states(endpoint: Endpoint) -> Iterator[tuple[str, str, str, str]]:
    """Yield the column and pattern of each rule with its name and reason, of each state that counts with neither."""
    yield from ((rule.field, rule.pattern, rule.name, rule.reason) for rule in endpoint.rules)
    yield from ((column, state, "", "") for column, states in endpoint.states.items() for state in states)


def _rewrite(con: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> None:
    con.execute(f"delete from {table.sql}")
    insert(con, table, rows)


def _of_frame(table: Table, frame: pd.DataFrame) -> pa.Table:
    names = [f.name for f in table.fields]
    if sorted(frame.columns) != sorted(names):
        odd = sorted(set(frame.columns) ^ set(names))
        raise ValueError(f"The frame for {table.sql} and layout.LEDGER differ in {odd}")
    return pa.table({f.name: array_of(f.sql_type, frame[f.name]) for f in table.fields})


def array_of(sql_type: str, values: Iterable[Any]) -> pa.Array:
    """Return values as a SQL type of ours; instants carry their offset in Python and are naive UTC in DuckDB."""
    present = [None if pd.isna(v) else v for v in values]
    if sql_type == "timestamp":
        # Arrow would take the local time of a pandas instant for UTC.
        present = [v.astimezone(UTC).replace(tzinfo=None) if v is not None and v.tzinfo else v for v in present]
    return pa.array(present, arrow_type(sql_type))


def rows_of(table: Table, rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    """Return rows, given as tuples in the order of the table's fields, typed as the table is."""
    by_column = list(zip(*rows, strict=True)) or [()] * len(table.fields)
    return pa.table({f.name: array_of(f.sql_type, values) for f, values in zip(table.fields, by_column, strict=True)})


def insert(con: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> None:
    """Append typed rows, by name."""
    con.register("arriving", rows)
    con.execute(f"insert into {table.sql} by name select * from arriving")
    con.unregister("arriving")


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of it or nothing."""
    con.begin()
    try:
        yield
        con.commit()
    except BaseException:
        # A connection that broke has nothing left to roll back, and the first error is the one that matters.
        with suppress(duckdb.Error):
            con.rollback()
        raise


def _plain(sql_type: str) -> str:
    return sql_type.replace(" ", "").lower()
