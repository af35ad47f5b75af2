"""Which scopes a book should read, and how old each may grow before it is stale.

Belongs here: deriving scopes from connections.yaml, vendor pages and what was read before. Does not: storing them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import cache
from itertools import pairwise, takewhile
from typing import Any

import duckdb
from cronsim import CronSim

from morton_pipeline.book import Book, Connection
from morton_pipeline.extract.vendor import Vendor
from morton_pipeline.vendors import VENDORS, vendor_of

Scope = tuple[str, str, str, str]
"""connection_id, vendor, endpoint, tenant_id."""


def scopes(
    con: duckdb.DuckDBPyConnection, book: Book, at: datetime, *, is_look_back: bool = False
) -> list[tuple[Any, ...]]:
    """Return the rows of raw.scopes: what is connected now, then what was read once and is connected no more.

    A look back knows of no attempt later than `at`.
    """
    names = _names_seen(con, until=at if is_look_back else None)
    current = {}
    for connection in book.read_connections:
        for tenant_id, tenant_name in _tenants(connection, names):
            for endpoint in vendor_of(connection).endpoints:
                scope = (connection.id, connection.vendor, endpoint.name, tenant_id)
                current[scope] = tenant_name or names.get(scope, "")
    connections = {c.id: c for c in book.connections}
    rows: list[tuple[Any, ...]] = []
    for scope, name in current.items():
        connection = connections[scope[0]]
        vendor = vendor_of(connection)
        age = allowed_age_minutes(scope, connection.schedule, at, vendor)
        declared_as = connection.vendor if vendor.is_declared else None
        said = (declared_as, vendor.category, connection.secret_expires_on)
        rows.append((connection.id, connection.tool, *scope[2:], name, age, True, *said))
    taken = {(connection_id, endpoint, tenant_id) for connection_id, _, endpoint, tenant_id in current}
    for scope, name in names.items():
        is_listing = scope[3] == "" and scope[1] in VENDORS and VENDORS[scope[1]].is_per_tenant
        # A connection that changed its vendor has one state, that of the new one.
        if (scope[0], *scope[2:]) not in taken and not is_listing:
            rows.append((*scope, name, allowed_age_minutes(scope, None, at), False, None, None, None))
    return rows


def _names_seen(con: duckdb.DuckDBPyConnection, until: datetime | None) -> dict[Scope, str]:
    """Return every scope ever attempted, with the tenant's latest name."""
    latest = until.astimezone(UTC).replace(tzinfo=None) if until else datetime.max  # noqa: DTZ901 (DuckDB's are naive)
    return {
        (connection_id, vendor, endpoint, tenant_id): name
        for connection_id, vendor, endpoint, tenant_id, name in con.execute(
            "select connection_id, vendor, endpoint, tenant_id, coalesce(arg_max(tenant_name, attempted_at), '') "
            "from raw.extractions where attempted_at <= ? group by all order by all",
            [latest],
        ).fetchall()
    }


def _tenants(connection: Connection, seen: dict[Scope, str]) -> Iterator[tuple[str, str]]:
    if not isinstance(connection.tenants, str):
        yield from ((tenant.id, tenant.name) for tenant in connection.tenants)
        return
    found = {s[3]: name for s, name in seen.items() if s[:2] == (connection.id, connection.vendor) and s[3]}
    # Until a listing has succeeded, one scope without a tenant shows that something is unknown.
    yield from found.items() or [("", "")]


def allowed_age_minutes(
    scope: Scope, schedule: str | None, at: datetime, vendor: Vendor | None = None
) -> int | None:  # fmt: skip
    """Return twice the cadence of a scope, by the connection's schedule or the vendor's; nothing if nobody reads it.

    `vendor` is what a connection makes of its vendor's page; an age it declares itself wins.
    """
    vendor = vendor or VENDORS.get(scope[1])
    declared = [e for e in vendor.endpoints if e.name == scope[2]] if vendor else []
    if vendor is None or not declared:
        return None
    if vendor.max_age is not None:
        return int(vendor.max_age.total_seconds() // 60)
    return 2 * longest_pause_minutes(schedule or vendor.cadence(declared[0]), at.year)


@cache
def longest_pause_minutes(cron: str, year: int) -> int:
    """Return the longest time between two firings in a year and a bit.

    The hours and minutes of a cron expression are the same on every day it fires, so one day is walked and the rest
    is jumped over.
    """
    begin = datetime(year, 1, 1, tzinfo=UTC)
    first = next(CronSim(cron, begin - timedelta(minutes=1)))
    day = list(takewhile(lambda moment: moment.date() == first.date(), CronSim(cron, first - timedelta(minutes=1))))
    pauses = [later - earlier for earlier, later in pairwise(day)]
    last = day[-1]
    while last < begin + timedelta(days=400):
        following = next(CronSim(cron, datetime.combine(last, time(23, 59), tzinfo=UTC)))
        pauses.append(following - last)
        last = datetime.combine(following, day[-1].timetz())
    return int(max(pauses).total_seconds() // 60)
