"""Polling one large scope of which little changed: the time to load it and the bytes it leaves, against their bounds.

Belongs here: one list of one connection, polled again and again. Does not: fetching, which is the vendor's time, or
what reconciling the records costs (`reconciling`).
"""

import random
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean, median
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import Figure, show, size_of, timed
from morton_pipeline.book import Book
from morton_pipeline.extract.records import Validated, validate
from morton_pipeline.vendors import VENDORS
from morton_pipeline.warehouse.load import load_validated
from morton_pipeline.warehouse.verdict import Attempt

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
POLLS = 4
CHANGED = 0.01
"""The share of records that differ from the poll before: half of them renamed, a quarter gone, a quarter new."""
CONNECTIONS = """
connections:
  - id: ninjaone
    vendor: ninjaone
    secrets: {client_id: NINJAONE_CLIENT_ID, client_secret: NINJAONE_CLIENT_SECRET}
"""

Rows = list[dict[str, Any]]


def run(records: int) -> bool:
    """Load every record once, then poll; print the medians."""
    with tempfile.TemporaryDirectory(prefix="morton-polling-") as folder:
        root = Path(folder)
        (root / "connections.yaml").write_text(CONNECTIONS, "utf-8")
        book = Book(root)
        polls = _polls(records)
        first = _validate(next(polls), AT)
        _load(book, first, AT)
        plain = duckdb.connect(str(root / "plain.duckdb"))
        _keep(plain, first)
        validations, loads, joins, grown, copies = [], [], [], [], []
        for number, rows in enumerate(polls, start=1):
            at = AT + timedelta(hours=number)
            before = size_of(book.journal, book.warehouse)
            validated, seconds = timed(_validate, rows, at)
            validations.append(seconds)
            loads.append(timed(_load, book, validated, at)[1])
            grown.append(size_of(book.journal, book.warehouse) - before)
            joins.append(timed(_anti_join, plain, validated)[1])
            _keep(plain, validated)
            copies.append(_copy(root, validated))
        plain.close()
    show(
        f"polling: {records:,} records of one scope, {CHANGED:.0%} changed, {POLLS} polls",
        (
            Figure("load what was validated", median(loads), "s", median(joins),
                   "one DuckDB anti-join of the same rows, all columns, with those of the poll before"),
            Figure("validate what was fetched", median(validations), "s", median(joins), "the same anti-join"),
            Figure("bytes grown, journal and warehouse", mean(grown) / 2**20, "MiB", mean(copies) / 2**20,
                   "a Parquet file of all rows, zstd"),
        ),
    )  # fmt: skip
    return True


def _polls(records: int) -> Iterator[Rows]:
    """Yield the fetched rows of the first poll, then of each further one: the same list, a little of it changed."""
    chance = random.Random(7)
    rows = [_device(number) for number in range(1, records + 1)]
    yield rows
    for poll in range(1, POLLS + 1):
        few = int(records * CHANGED)
        for place in chance.sample(range(len(rows)), few // 2):
            rows[place] = {**rows[place], "displayName": f"renamed {poll} {place}"}
        gone = set(chance.sample(range(len(rows)), few // 4))
        rows = [row for place, row in enumerate(rows) if place not in gone]
        rows += [_device(records * (poll + 1) + number) for number in range(few // 4)]
        yield rows


def _device(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "uid": f"{number * 2654435761 % 2**64:016x}-{number:08x}",
        "organizationId": number % 2000 + 1,
        "locationId": number % 5000 + 1,
        "nodeClass": "WINDOWS_SERVER" if number % 9 == 0 else "WINDOWS_WORKSTATION",
        "nodeRoleId": number % 40,
        "approvalStatus": "APPROVED",
        "systemName": f"PC-{number:07d}",
        "dnsName": f"pc-{number:07d}.client{number % 2000}.example.com",
        "created": 1.7e9 + number,
        "lastContact": AT.timestamp() - number % 3600,
    }


def _validate(rows: Rows, at: datetime) -> Validated:
    return validate(VENDORS["ninjaone"].endpoint("devices").record, rows, at=at)


def _load(book: Book, validated: Validated, at: datetime) -> None:
    loaded = load_validated(book, [Attempt("ninjaone", "ninjaone", "devices", "", "", at, validated)])
    if loaded[0].status != "complete":
        raise SystemExit(f"The benchmark's own records were not taken: {loaded[0].status}, {loaded[0].reason}")


def _keep(con: duckdb.DuckDBPyConnection, validated: Validated) -> None:
    con.register("arrived", pa.Table.from_pandas(validated.kept, preserve_index=False))
    con.execute("create or replace table present as select * from arrived")


def _anti_join(con: duckdb.DuckDBPyConnection, validated: Validated) -> None:
    """Find what differs, as one would by hand; conversion to Arrow counts on both sides."""
    con.register("arrived", pa.Table.from_pandas(validated.kept, preserve_index=False))
    same = " and ".join(f"present.{name} is not distinct from arrived.{name}" for name in validated.kept.columns)
    con.execute(f"create or replace temp table differing as select * from arrived anti join present on {same}")


def _copy(root: Path, validated: Validated) -> int:
    path = root / "copy.parquet"
    pq.write_table(pa.Table.from_pandas(validated.kept, preserve_index=False), path, compression="zstd")
    return size_of(path)
