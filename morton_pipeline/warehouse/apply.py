"""What a line of the journal means to DuckDB: versions of records, attempts, acceptances, seeds, and closed months.

Belongs here: the effect of lines, many at once. Does not: where lines come from (`journal`), or deciding what changed
(`diff`). The caller holds the transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from morton_pipeline.warehouse import tables
from morton_pipeline.warehouse.layout import (
    CLOSED,
    EXTRACTIONS,
    KNOWN_SEEDS,
    QUARANTINE,
    Table,
    arrow_type,
    record_table,
)
from morton_pipeline.warehouse.verdict import SOURCE

Line = dict[str, Any]
ATTEMPT, ACCEPTANCE, SEEDS, CLOSING = "attempt", "acceptance", "seeds", "closing"
KINDS = (ATTEMPT, ACCEPTANCE, SEEDS, CLOSING)

ReadChanges = Callable[[str, str], pa.Table]
"""Returns the content of a Parquet file of the journal, given its name and hash."""


def changes_records(line: Line) -> bool:
    """Tell whether a line puts records into force: a suspect extraction does so only once it is accepted."""
    return bool(line.get("journal_file")) and (line["line"] == ACCEPTANCE or line["status"] in ("complete", "partial"))


def apply(con: duckdb.DuckDBPyConnection, lines: Sequence[Line], read_changes: ReadChanges) -> None:
    """Carry out consecutive lines of the journal."""
    by_list: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        if changes_records(line):
            by_list.setdefault((line["vendor"], line["endpoint"]), []).append(line)
    for (vendor, endpoint), of_list in by_list.items():
        table = record_table(vendor, endpoint)
        # The records of a vendor page that was removed stay in the journal, and come back with the page.
        if table is not None:
            _apply_records(con, table, of_list, read_changes)
    attempts = [line for line in lines if line["line"] == ATTEMPT]
    tables.insert(con, EXTRACTIONS, tables.rows_of(EXTRACTIONS, [_row(EXTRACTIONS, line) for line in attempts]))
    cells = [_row(QUARANTINE, line | cell) for line in attempts for cell in line["quarantine"]]
    if cells:
        tables.insert(con, QUARANTINE, tables.rows_of(QUARANTINE, cells))
    for line in lines:
        if line["line"] == ACCEPTANCE:
            con.execute(
                f"update {EXTRACTIONS.sql} set status = 'complete', accepted_by = ?, accepted_at = ? "
                "where extraction_id = ?",
                [line["accepted_by"], line["accepted_at"].replace(tzinfo=None), line["extraction_id"]],
            )
        elif line["line"] == SEEDS:
            named = [(line["number"], line["known_at"], *one) for one in line["files"].items()]
            tables.insert(con, KNOWN_SEEDS, tables.rows_of(KNOWN_SEEDS, named))
        elif line["line"] == CLOSING:
            # A closing that is older than one of the tables kept nothing for it.
            for table in (table for table in CLOSED if table.name in line["files"]):
                kept = _conformed(table, read_changes(*line["files"][table.name]), but=("closed_at",))
                at = pa.repeat(pa.scalar(line["known_at"].replace(tzinfo=None), pa.timestamp("us")), kept.num_rows)
                tables.insert(con, table, kept.append_column("closed_at", at))


def _row(table: Table, values: Mapping[str, Any]) -> tuple[Any, ...]:
    # A line without a source was read from an API, or is older than the columns that would say so.
    said = {"judged": values.get("status"), **values}
    return tuple(said.get(f.name) if f.name in SOURCE else said[f.name] for f in table.fields)


def _apply_records(
    con: duckdb.DuckDBPyConnection, table: Table, lines: Sequence[Line], read_changes: ReadChanges
) -> None:
    """Close the versions that changed or vanished, and open the new ones, over any number of files at once."""
    hashes = {line["journal_file"]: line["journal_sha256"] for line in lines}
    change = [("change", pa.string())]
    read = [_conformed(table, read_changes(*file), change) for file in hashes.items()]
    con.register("events_read", pa.concat_tables(read))
    con.register("portions", _portions(lines))
    # Within one file a record stands once; only several files can hold several versions of it.
    ends = "null::timestamp" if len(hashes) == 1 else (
        "lead(effective_at) over (partition by connection_id, tenant_id, record_key order by effective_at)"
    )  # fmt: skip
    con.execute(
        f"create or replace temp table events as "
        f"select *, {ends} as valid_to from events_read join portions using (extraction_id)"
    )
    con.execute(
        f"""
        update {table.sql} as present set valid_to = closed.effective_at
        from (
            select connection_id, tenant_id, record_key, min(effective_at) as effective_at
            from events where change <> 'added' group by all
        ) as closed
        where present.valid_to is null
            and present.connection_id = closed.connection_id
            and present.tenant_id = closed.tenant_id
            and present.record_key = closed.record_key
        """
    )
    con.execute(
        f"""
        insert into {table.sql} by name
        select * exclude (change, effective_at), effective_at as valid_from from events where change <> 'removed'
        """
    )
    con.execute("drop table events")
    con.unregister("portions")
    con.unregister("events_read")


def _portions(lines: Sequence[Line]) -> pa.Table:
    """Say from when each extraction's changes hold: from when it was read, or from when it was accepted."""
    at: list[datetime] = [line["accepted_at"] if line["line"] == ACCEPTANCE else line["attempted_at"] for line in lines]
    return pa.table(
        {
            "extraction_id": tables.array_of("varchar", [line["extraction_id"] for line in lines]),
            "effective_at": tables.array_of("timestamp", at),
        }
    )


def _conformed(
    table: Table,
    content: pa.Table,
    more: Sequence[tuple[str, pa.DataType]] = (),
    but: Sequence[str] = ("valid_from", "valid_to"),
) -> pa.Table:
    """Give a file of any age the columns declared today: what was not asked for then is empty."""
    expected = [*more, *((f.name, arrow_type(f.sql_type)) for f in table.fields if f.name not in but)]
    return pa.table(
        {
            name: content[name].cast(kind) if name in content.column_names else pa.nulls(content.num_rows, kind)
            for name, kind in expected
        }
    )
