"""The shape of one vendor record, declared once: validation, DuckDB columns and column docs all derive from it.

Belongs here: the column kinds and how a JSON record becomes a row. Does not: what any vendor's records are
(`vendors/`), or where rows are stored (`warehouse/`).

A column is named as the vendor names it, in snake_case, nested fields joined by `__`. Fields that are not declared
are not stored: what nobody reads can neither leak nor change a record's hash every hour.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

Json = Any

Text = Series[pd.StringDtype]
Integer = Series[pd.Int64Dtype]
Boolean = Series[pd.BooleanDtype]
Number = Series[pd.StringDtype]
"""A decimal, carried as its own digits so that no float ever touches it."""

_NUMBER = r"^-?\d{1,19}(\.\d+)?$"
"""What fits decimal(28, 9); the warehouse could not store more digits before the point."""
_is_number = re.compile(_NUMBER).match


class Record(pa.DataFrameModel):
    """Base of every vendor record. A row that fails is quarantined with its column, check and value."""

    class Config:
        coerce = True
        strict = "filter"


def column(description: str, *, nullable: bool = True, **more: Any) -> Any:
    """A field the vendor may leave out."""
    return pa.Field(description=description, nullable=nullable, **more)


def key(description: str, **more: Any) -> Any:
    """A field that, with the other keys, names the record for life; never empty."""
    return pa.Field(description=description, nullable=False, metadata={"key": True}, **more)


def number(description: str, *, nullable: bool = True, **more: Any) -> Any:
    """A decimal field: money, gigabytes, epoch seconds. Declare it as `Number`."""
    return pa.Field(
        description=description, nullable=nullable, str_matches=_NUMBER, metadata={"sql": "decimal(28, 9)"}, **more
    )


def gigabytes(value: Json) -> Json:
    """Bytes as gigabytes of 1024³ to one decimal; what is no number is left as it is, for validation to set aside.

    Finer, each reading would be a change of the record.
    """
    try:
        found = Decimal(value) / 2**30
    except (InvalidOperation, TypeError):
        return value
    return format(found.quantize(Decimal("0.1"), ROUND_HALF_UP), "f")


def settled_epoch(description: str, *, after: timedelta) -> Any:
    """A last-seen time in epoch seconds, kept only once it is older than `after`.

    While a device reports in, its last contact changes at every poll, and each change would be a new version of the
    record. A silent device's stands still, and that is the one somebody asks about.
    """
    return pa.Field(
        description=f"{description} Empty while it is younger than {after.days} days.",
        nullable=True,
        str_matches=_NUMBER,
        metadata={"sql": "decimal(28, 9)", "settles_after": after},
    )


def settled_instant(description: str, *, after: timedelta) -> Any:
    """Like `settled_epoch`, for a vendor that writes ISO instants. Declare it as `Text`."""
    return pa.Field(
        description=f"{description} Empty while it is younger than {after.days} days.",
        nullable=True,
        metadata={"settles_after": after},
    )


@dataclass(frozen=True)
class Column:
    """One declared column, as the warehouse and the docs need it."""

    name: str
    sql_type: str
    description: str
    is_key: bool
    is_nullable: bool
    settles_after: timedelta | None


@cache
def columns(record: type[Record]) -> tuple[Column, ...]:
    """Return the declared columns of a record, in the order they are written."""
    found = []
    for name, declared in record.to_schema().columns.items():
        metadata = declared.metadata or {}
        found.append(
            Column(
                name=name,
                sql_type=metadata.get("sql") or _SQL_TYPES[_kind(declared.dtype)],
                description=declared.description or "",
                is_key=bool(metadata.get("key")),
                is_nullable=bool(declared.nullable),
                settles_after=metadata.get("settles_after"),
            )
        )
    return tuple(found)


_SQL_TYPES = {"string": "varchar", "int64": "bigint", "boolean": "boolean"}


def _kind(dtype: object) -> str:
    return str(dtype).lower().split("[")[0]


@dataclass(frozen=True)
class Validated:
    """Records after validation: `rows` in = len(kept) + len(rejected)."""

    kept: pd.DataFrame
    """One row per valid record: the declared columns, and `record_key`."""
    rejected: pd.DataFrame
    """One row per rejected record × failed check: record_key (may be empty), column_name, check_name, value."""
    rejected_count: int
    """How many records were rejected (a record may fail several checks)."""


def validate(record: type[Record], rows: Iterable[Mapping[str, Json]], *, at: datetime) -> Validated:
    """Validate one scope's records at once; what fails is set aside, never coerced into a number.

    `at` is the instant of the extraction: it decides which last-seen times have settled.
    """
    return validate_together(record, [rows], at=at)[0]


def validate_together(
    record: type[Record], scopes: Sequence[Iterable[Mapping[str, Json]]], *, at: datetime
) -> list[Validated]:
    """Validate the records of several scopes in one pass, for a pass costs more than a tenant's records do."""
    declared = columns(record)
    names = [c.name for c in declared]
    data = [[flatten(row) for row in rows] for rows in scopes]
    flat = [row for rows in data for row in rows]
    frame = pd.DataFrame({n: pd.Series(_scalars([row.get(n) for row in flat]), dtype=object) for n in names})
    for c in declared:
        if c.settles_after is not None:
            frame[c.name] = [_settled(value, at - c.settles_after) for value in frame[c.name]]
    keys = [c.name for c in declared if c.is_key]
    rejected = _NONE_REJECTED
    try:
        kept = record.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        rejected = _rejected(errors.failure_cases, frame[keys])
        if rejected.empty:
            raise
        kept = record.validate(frame.drop(index=rejected.index.unique()), lazy=True)
    kept = kept.assign(record_key=_keys(kept, keys))
    found, start = [], 0
    for rows in data:
        end = start + len(rows)
        mine = rejected[(rejected.index >= start) & (rejected.index < end)]
        first, last = kept.index.searchsorted([start, end])
        scope = kept.iloc[first:last].reset_index(drop=True)
        found.append(Validated(scope, mine.drop_duplicates().reset_index(drop=True), mine.index.nunique()))
        start = end
    return found


_NONE_REJECTED = pd.DataFrame(
    columns=["record_key", "column_name", "check_name", "value"], index=pd.Index([], dtype=int)
)


def _rejected(cases: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    """Turn pandera's failure cases into cells of rejected records, indexed by the record's place."""
    cases = cases.dropna(subset=["index"])
    parts = list(zip(*(keys[name] for name in keys), strict=True))
    places = cases["index"].astype(int)
    return pd.DataFrame(
        {
            "record_key": [_key(parts[i]) for i in places],
            "column_name": cases["column"].astype(str).to_list(),
            "check_name": cases["check"].astype(str).to_list(),
            "value": [None if pd.isna(v) else str(v)[:200] for v in cases["failure_case"]],
        },
        index=pd.Index(places.to_list(), dtype=int),
    )


def _keys(frame: pd.DataFrame, names: list[str]) -> "pd.Series[str]":
    joined = frame[names[0]].astype("string")
    for name in names[1:]:
        joined = joined + "|" + frame[name].astype("string")
    return joined.astype("string")


def _key(parts: tuple[Json, ...]) -> str:
    """The record's key where every part of it is readable, else nothing."""
    return "" if any(pd.isna(part) for part in parts) else "|".join(str(part) for part in parts)


def flatten(row: Mapping[str, Json], prefix: str = "") -> dict[str, Json]:
    """Turn a vendor's JSON object into columns: snake_case names, nested objects joined by `__`."""
    flat: dict[str, Json] = {}
    for name, value in row.items():
        column_name = prefix + snake(name)
        if isinstance(value, dict):
            flat.update(flatten(value, f"{column_name}__"))
        else:
            flat[column_name] = value
    return flat


@cache
def snake(name: str) -> str:
    """`nodeClass` → `node_class`, `DocNumber` → `doc_number`, `skuID` → `sku_id`."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name))
    return re.sub(r"\W+", "_", spaced).lower()


_PLAIN = {str, int, float, bool, type(None)}


def _scalars(values: list[Json]) -> list[Json]:
    """Return a column's values as a frame holds them; most columns hold nothing that must be looked at one by one."""
    return values if _PLAIN.issuperset(map(type, values)) else [_scalar(value) for value in values]


def _scalar(value: Json) -> Json:
    if isinstance(value, list):
        return json.dumps(value, default=str, sort_keys=True)
    if isinstance(value, Decimal):
        # 1e999999999 is valid JSON; written out it would fill the memory.
        return format(value, "f") if abs(value.adjusted()) < 30 else str(value)
    return value


def _settled(value: Json, limit: datetime) -> Json:
    """Return the time only where it is older than the limit; leave what cannot be read for validation to reject."""
    if value is None:
        return None
    try:
        seen = (
            datetime.fromtimestamp(float(value), UTC) if _is_number(str(value)) else datetime.fromisoformat(str(value))
        )
    except (ValueError, OverflowError, OSError):
        return value
    seen = seen if seen.tzinfo else seen.replace(tzinfo=UTC)
    return value if seen < limit else None
