"""Read scopes to the end. A scope (connection × endpoint × tenant) comes back whole or not at all.

Belongs here: the order of endpoints, completeness, and turning a failure into an answer. Holds no lock, writes nothing.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from morton_pipeline.book import Connection, Tenant
from morton_pipeline.extract.auth import TokenStore
from morton_pipeline.extract.errors import ExtractError, Incomplete, UnexpectedAnswer
from morton_pipeline.extract.http import Http, gather_limited, open_http
from morton_pipeline.extract.pages import Call, Page, Walk, dig
from morton_pipeline.extract.records import columns, flatten
from morton_pipeline.extract.vendor import Endpoint, Rows, Vendor

Json = Any


@dataclass(frozen=True)
class Extraction:
    """One attempt at one scope: all of its records, or the reason there are none."""

    connection_id: str
    vendor: str
    endpoint: str
    tenant_id: str
    tenant_name: str
    attempted_at: datetime
    rows: Rows | None
    """The vendor's records as they came; nothing when the attempt failed."""
    error: str = ""
    request_count: int = 0
    kind: str = ""
    """The class of the error, in the words of `extract.errors`; `BadInput` where it could not even be tried."""
    clock_skew_seconds: float | None = None
    """How far the vendor's clock is ahead of ours, where it said what time it is."""
    source_file: str = ""
    """The report it was read from, where it was no API."""
    source_sha256: str = ""
    """The hash of that report."""
    source_as_of_at: datetime | None = None
    """The instant that report is of."""
    stands_for_on: date | None = None
    """The day its records stand for, where that is said; nothing where they stand for the moment they were read."""
    awaited: Mapping[str, str] = field(default_factory=dict)
    """What should have come and did not: how its records' keys begin, and what it is called."""


def fetch(
    connection: Connection,
    vendor: Vendor,
    *,
    at: datetime,
    endpoints: Collection[str] | None = None,
    tokens: TokenStore | None = None,
    rate_dir: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> list[Extraction]:
    """Fetch the named endpoints of a connection (all by default), every tenant concurrently, each failing alone.

    Endpoints that others need are fetched and returned with them. Raises `BadInput` only for a missing secret;
    what a vendor does wrong is told in each `Extraction.error`.
    """
    wanted = [e.configure(e, connection) if e.configure else e for e in _with_needs(vendor, endpoints)]
    return asyncio.run(_fetch(connection, vendor, wanted, at, tokens, rate_dir, progress, transport))


def _with_needs(vendor: Vendor, names: Collection[str] | None) -> list[Endpoint]:
    if names is None:
        return list(vendor.endpoints)
    needed = set(names)
    for endpoint in reversed(vendor.endpoints):
        if endpoint.name in needed:
            needed.update(endpoint.needs)
    return [e for e in vendor.endpoints if e.name in needed]


async def _fetch(
    connection: Connection,
    vendor: Vendor,
    wanted: list[Endpoint],
    at: datetime,
    tokens: TokenStore | None,
    rate_dir: Path | None,
    progress: Callable[[str], None],
    transport: httpx.AsyncBaseTransport | None,
) -> list[Extraction]:
    async with open_http(connection, vendor, tokens=tokens, rate_dir=rate_dir, transport=transport) as http:
        try:
            tenants = await _tenants(http, connection, vendor)
        except ExtractError as failure:
            error = _named(connection, f"the tenants could not be listed. {failure}")
            kind, skew = type(failure).__name__, http.clock_skew_seconds
            return [
                Extraction(
                    connection.id, vendor.name, e.name, "", "", at, None, error, kind=kind, clock_skew_seconds=skew
                )
                for e in wanted
            ]  # fmt: skip

        async def read(tenant: Tenant) -> list[Extraction]:
            found = await _read_tenant(http, connection, vendor, wanted, tenant, at)
            progress(f"{connection.id} {tenant.name or tenant.id}".strip())
            return found

        results = await gather_limited(vendor.concurrency, [partial(read, tenant) for tenant in tenants])
    return [extraction for result in results for extraction in result]


async def _tenants(http: Http, connection: Connection, vendor: Vendor) -> Sequence[Tenant]:
    if not isinstance(connection.tenants, str):
        return connection.tenants
    if vendor.tenants is None:
        raise UnexpectedAnswer(f"{vendor.title} offers no list of tenants; list them in connections.yaml.")
    rows = await read_endpoint(http, vendor.tenants(connection), str(connection.settings["partner_tenant"]), {})
    if not rows:
        raise Incomplete(f"{vendor.title} lists no customer of {connection.settings['partner_tenant']}.")
    if any(not row.get("tenantId") for row in rows):
        raise UnexpectedAnswer(f"{vendor.title} lists a customer without a tenantId; the answer's shape has changed.")
    return [Tenant(str(row["tenantId"]).lower(), str(row.get("displayName") or "")) for row in rows]


async def _read_tenant(
    http: Http, connection: Connection, vendor: Vendor, wanted: list[Endpoint], tenant: Tenant, at: datetime
) -> list[Extraction]:
    fetched: dict[str, Rows] = {}
    results = []
    for endpoint in wanted:
        before, error, kind, rows = http.request_counts[tenant.id], "", "", None
        more: dict[str, Any] = {}
        missing = [name for name in endpoint.needs if name not in fetched]
        try:
            if missing:
                raise Incomplete(f"{endpoint.name} needs {' and '.join(missing)}, which failed.")
            rows = await read_endpoint(http, endpoint, tenant.id, fetched)
            more = _told_beside(endpoint, rows, fetched)
            fetched[endpoint.name] = rows
        except ExtractError as failure:
            error, kind, rows = _named(connection, str(failure)), type(failure).__name__, None
        count = http.request_counts[tenant.id] - before
        results.append(
            Extraction(
                connection.id, vendor.name, endpoint.name, tenant.id, tenant.name, at, rows, error, count,
                kind=kind, clock_skew_seconds=http.clock_skew_seconds, **more,
            )
        )  # fmt: skip
    return results


def _told_beside(endpoint: Endpoint, rows: Rows, fetched: Mapping[str, Rows]) -> dict[str, Any]:
    """What complete records say of themselves: the day they stand for, and what is missing among them."""
    with _reading(endpoint.name):
        return {
            "stands_for_on": endpoint.stands_for(rows) if endpoint.stands_for else None,
            "awaited": endpoint.awaits(rows, fetched) if endpoint.awaits else {},
        }


def _named(connection: Connection, error: str) -> str:
    return error if error.startswith(f"{connection.id}: ") else f"{connection.id}: {error}"


async def read_endpoint(http: Http, endpoint: Endpoint, tenant_id: str, fetched: dict[str, Rows]) -> Rows:
    """Walk one endpoint to its end; raise `Incomplete` where anything is missing or came twice."""
    if endpoint.derive is None:
        return await _walk(http, endpoint, tenant_id, fetched)
    with _reading(endpoint.name):
        rows = endpoint.derive(fetched)
    _refuse_repeats(endpoint, rows, set())
    return rows


async def _walk(http: Http, endpoint: Endpoint, tenant_id: str, fetched: dict[str, Rows]) -> Rows:
    rows: Rows = []
    seen: set[tuple[str, ...]] = set()
    declared: int | None = None
    with _reading(endpoint.name):
        walk = endpoint.start(fetched)
        call = next(walk, None)
    while call is not None:
        body, headers = await http.send(call, tenant_id)
        with _reading(call.path):
            page = Page(call, body, _page_rows(endpoint, call, body, headers), headers)
            _refuse_repeats(endpoint, page.rows, seen)
            rows.extend(page.rows)
            if endpoint.total is not None:
                declared = int(dig(body, endpoint.total))
            call = _next(walk, page)
    if declared is not None and declared != len(rows):
        raise Incomplete(f"{endpoint.name}: the vendor declared {declared} records and sent {len(rows)}.")
    if endpoint.enrich is None:
        return rows
    with _reading(endpoint.name):
        enriched = endpoint.enrich(rows, fetched)
    if len(enriched) != len(rows):
        raise Incomplete(f"{endpoint.name}: {len(rows)} records were read and {len(enriched)} left once completed.")
    return enriched


def _next(walk: Walk, page: Page) -> Call | None:
    try:
        return walk.send(page)
    except StopIteration:
        return None


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """While a vendor page reads an answer, a field that is missing or of another kind is the vendor's change."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as failure:
        raise UnexpectedAnswer(
            f"{what}: the answer's shape has changed ({type(failure).__name__}: {failure}). "
            "Compare the vendor's page in morton_pipeline/vendors with the vendor's current reference."
        ) from failure


def _page_rows(endpoint: Endpoint, call: Call, body: Json, headers: Mapping[str, str]) -> Rows:
    rows = endpoint.rows(Page(call, body, [], headers))
    if not callable(endpoint.records):
        found = body if endpoint.records == "" else dig(body, endpoint.records)
        if not isinstance(found, list):
            place = endpoint.records or "the top of the answer"
            raise UnexpectedAnswer(
                f"{call.path}: expected a list at {place}, found {type(found).__name__}; "
                "the answer's shape has changed."
            )
    if not all(isinstance(row, dict) for row in rows):
        raise UnexpectedAnswer(f"{call.path}: the list holds something that is not a record.")
    return rows


def _refuse_repeats(endpoint: Endpoint, rows: Rows, seen: set[tuple[str, ...]]) -> None:
    """A record that comes twice means that pages overlapped or one was sent again: the rest cannot be trusted.

    It is noticed page by page: a vendor that ignores where we are would otherwise send its first page for ever.
    """
    keys = [c.name for c in columns(endpoint.record) if c.is_key]
    for row in rows:
        flat = flatten(row)
        is_named = all(flat.get(k) is not None for k in keys)
        key = tuple(str(flat[k]) for k in keys) if is_named else (repr(flat),)
        if key in seen:
            raise Incomplete(
                f"{endpoint.name}: record {'|'.join(key)} came twice; pages overlapped, so the list is not kept."
            )
        seen.add(key)
