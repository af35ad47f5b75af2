"""What an extraction changes: records of many scopes of one list against the current ones, by key and hash, at once.

Belongs here: the comparison, in DuckDB. Does not: judging whether a change is believable (`load`), or storing it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from morton_pipeline.extract.records import Validated
from morton_pipeline.warehouse.layout import Field, Table, literal, quoted


@dataclass(frozen=True)
class Arrived:
    """The validated records of one scope, and the id of the extraction that brought them."""

    extraction_id: str
    connection_id: str
    tenant_id: str
    validated: Validated
    awaited: tuple[str, ...] = ()
    """How the keys of those records begin that should have come and did not."""


@dataclass
class Difference:
    """How one scope differs from what is current."""

    present_count: int = 0
    """Current records before this load."""
    counts: dict[str, int] = field(default_factory=lambda: {"added": 0, "changed": 0, "removed": 0})
    twice: str = ""
    """A key that more than one record has."""
    awaited: list[str] = field(default_factory=list)
    """Those beginnings under which there are current records."""


def compare(
    con: duckdb.DuckDBPyConnection, table: Table, declared: Sequence[Field], arrived: Sequence[Arrived]
) -> list[Difference]:
    """Compare scopes of one table; leaves the changed records in the temporary table `changes`.

    A record that was set aside keeps its current version; where one has no readable key, nothing of its scope closes.
    Records that are awaited keep theirs too.
    """
    found = [Difference() for _ in arrived]
    _stage(con, declared, arrived)
    con.execute(
        f"""
        create or replace temp table present as
        select scope.position, present.record_key, present.row_hash
        from {table.sql} as present
        join scopes_arrived as scope using (connection_id, tenant_id)
        where present.valid_to is null
        """
    )
    values = "".join(f", cast({quoted(f.name)} as {f.sql_type}) as {quoted(f.name)}" for f in declared)
    con.execute(
        f"""
        create or replace temp table changes as
        with incoming as (
            select position, record_key{values} from arrived
        ),
        hashed as (
            select *, {_hash(declared)} as row_hash from incoming
        ),
        upserts as (
            select hashed.*, if(present.record_key is null, 'added', 'changed') as change
            from hashed left join present using (position, record_key)
            where present.row_hash is distinct from hashed.row_hash
        ),
        removals as (
            select position, record_key, 'removed' as change
            from present
            anti join arrived using (position, record_key)
            anti join spared using (position, record_key)
            where position not in (select position from scopes_arrived where keeps_all)
                and not exists (
                    select 1 from awaited
                    where awaited.position = present.position and starts_with(present.record_key, awaited.beginning)
                )
        ),
        both_kinds as (
            select * from upserts union all by name select * from removals
        )
        select extraction_id, connection_id, tenant_id, both_kinds.*
        from both_kinds
        join scopes_arrived using (position)
        """
    )
    _count(con, found)
    return found


def _stage(con: duckdb.DuckDBPyConnection, declared: Sequence[Field], arrived: Sequence[Arrived]) -> None:
    con.register(
        "arrived", pa.concat_tables([_positioned(n, one.validated, declared) for n, one in enumerate(arrived)])
    )
    # Keys of records set aside, per scope; an empty one means that some record cannot be told from the others.
    aside = [set(v.rejected["record_key"]) if v.rejected_count else set() for v in (one.validated for one in arrived)]
    con.register(
        "scopes_arrived",
        _typed(
            ("position", pa.int32(), range(len(arrived))),
            ("extraction_id", pa.string(), [one.extraction_id for one in arrived]),
            ("connection_id", pa.string(), [one.connection_id for one in arrived]),
            ("tenant_id", pa.string(), [one.tenant_id for one in arrived]),
            ("keeps_all", pa.bool_(), ["" in keys for keys in aside]),
        ),
    )
    spared = [(n, key) for n, keys in enumerate(aside) for key in sorted(keys)]
    con.register("spared", _typed(("position", pa.int32(), [n for n, _ in spared]),
                                  ("record_key", pa.string(), [key for _, key in spared])))  # fmt: skip
    awaited = [(n, beginning) for n, one in enumerate(arrived) for beginning in one.awaited]
    con.register("awaited", _typed(("position", pa.int32(), [n for n, _ in awaited]),
                                   ("beginning", pa.string(), [beginning for _, beginning in awaited])))  # fmt: skip


def _typed(*columns: tuple[str, pa.DataType, Iterable[object]]) -> pa.Table:
    return pa.table({name: pa.array(values, kind) for name, kind, values in columns})


def _positioned(position: int, validated: Validated, declared: Sequence[Field]) -> pa.Table:
    """Decimals stay the digits they came as; DuckDB reads them."""
    kept = validated.kept
    kinds = {"bigint": pa.int64(), "boolean": pa.bool_()}
    arrays = {
        f.name: pa.Array.from_pandas(kept[f.name], type=kinds.get(f.sql_type, pa.large_string())) for f in declared
    }
    keys = pa.Array.from_pandas(kept["record_key"], type=pa.large_string())
    return pa.table({"position": pa.repeat(pa.scalar(position, pa.int32()), len(kept)), "record_key": keys, **arrays})


def _hash(declared: Sequence[Field]) -> str:
    """Return a hash over what is not empty, by name: a column declared later changes no record that lacks it.

    The separator is doubled inside values, so no two records read the same; an empty text is not a missing one.
    """
    parts = []
    for f in sorted(declared, key=lambda f: f.name):
        value = f"replace({quoted(f.name)}, chr(31), chr(31) || chr(31))" if f.sql_type == "varchar" else quoted(f.name)
        parts.append(f"{literal(f'{f.name}=')} || {value}")
    return f"md5(concat_ws(chr(31), {', '.join(parts)}))"


def _count(con: duckdb.DuckDBPyConnection, found: Sequence[Difference]) -> None:
    for position, count in con.execute("select position, count(*) from present group by all").fetchall():
        found[position].present_count = count
    for position, change, count in con.execute(
        "select position, change, count(*) from changes group by all"
    ).fetchall():
        found[position].counts[change] = count
    for position, record_key in con.execute(
        "select position, any_value(record_key) from ("
        "select position, record_key from arrived group by all having count(*) > 1) group by position"
    ).fetchall():
        found[position].twice = record_key
    for position, beginning in con.execute(
        "select distinct position, beginning from awaited join present using (position) "
        "anti join arrived using (position, record_key) "
        "where starts_with(record_key, beginning) order by all"
    ).fetchall():
        found[position].awaited.append(beginning)


def take_changes(con: duckdb.DuckDBPyConnection, extraction_ids: Sequence[str]) -> pa.Table:
    """Return the changed records of some extractions, as the journal keeps them."""
    return con.sql(
        "select * exclude (position) from changes where extraction_id in (select unnest(?::varchar[])) "
        "order by connection_id, tenant_id, record_key",
        params=[list(extraction_ids)],
    ).to_arrow_table()


def forget(con: duckdb.DuckDBPyConnection) -> None:
    """Let go of the records staged by `compare`."""
    for name in ("arrived", "scopes_arrived", "spared", "awaited"):
        con.unregister(name)
    for name in ("present", "changes"):
        con.execute(f"drop table {name}")
