"""What is looked at after every step: did each feed answer, is it believable, is everything covered and mapped.

Belongs here: checks on the state of feeds and of the whole. Rules about values are dbt tests. The findings come from
the warehouse and the published mart, so that a check started alone says how things stand now.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from morton_pipeline.book import Book
from morton_pipeline.defs.marts import mart
from morton_pipeline.defs.raw import WAIT_SECONDS
from morton_pipeline.defs.resources import BookResource
from morton_pipeline.extract.vendor import Vendor
from morton_pipeline.vendors import VENDORS
from morton_pipeline.warehouse import lock
from morton_pipeline.warehouse.publish import connect_published

SHOWN = 20
"""How many failing scopes a sentence names; the asset's own metadata has them all."""

CHECKS = {
    "answered": "Every connected account and tenant answered the last time this list was read. Where one did not, its "
    "numbers are unknown or old, and the run is marked as failed.",
    "schema": "Nothing was set aside and nothing is missing: every record has the columns and types the vendor's page "
    "declares, and all that should have been counted was.",
    "suspect": "Nothing is held back: no reading fell or jumped so far that somebody must accept it first.",
}

LATEST = """
select
    endpoint,
    connection_id,
    coalesce(nullif(tenant_name, ''), tenant_id) as tenant,
    status,
    coalesce(quarantined_count, 0),
    coalesce(reason, '')
from (
    select
        *,
        row_number() over (partition by connection_id, endpoint, tenant_id order by attempted_at desc) as place,
        max(attempted_at) over (partition by connection_id, endpoint) as read_at
    from raw.extractions
    where vendor = ? and list_contains(?, connection_id)
)
-- The tenants of one reading differ by microseconds; one that was not among them is no longer there.
where place = 1 and attempted_at > read_at - interval 1 second
order by all
"""


@dataclass(frozen=True)
class Attempt:
    """The latest reading of one scope."""

    endpoint: str
    connection_id: str
    tenant: str
    status: str
    quarantined_count: int
    reason: str


def latest(book: Book, vendor: Vendor) -> list[Attempt]:
    """Return the latest reading of every scope of a vendor's connections."""
    ids = [c.id for c in book.connections if c.vendor == vendor.name]
    with lock.connect(book, f"checks of {vendor.name}", WAIT_SECONDS) as con:
        return [Attempt(*row) for row in con.execute(LATEST, [vendor.name, ids]).fetchall()]


IS_BAD = {
    "answered": lambda a: a.status == "failed",
    "schema": lambda a: a.quarantined_count > 0 or a.status == "partial",
    "suspect": lambda a: a.status == "suspect",
}


def result(name: str, vendor: Vendor, endpoint: str, attempts: Sequence[Attempt]) -> dg.AssetCheckResult:
    """Say in one sentence how many scopes fail a check, and name them."""
    mine = [a for a in attempts if a.endpoint == endpoint]
    bad = [a for a in mine if IS_BAD[name](a)]
    named = "; ".join(f"{' '.join((a.connection_id, a.tenant)).strip()}: {a.reason or a.status}" for a in bad[:SHOWN])
    good = f"All {len(mine)} in order." if mine else "Not read yet."
    return dg.AssetCheckResult(
        asset_key=[vendor.name, endpoint],
        check_name=name,
        passed=not bad,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(bad)} of {len(mine)}: {named}" if bad else good,
        metadata={"scopes": len(mine), "failing": len(bad)},
    )


def failure_text(vendor: Vendor, failed: Sequence[Attempt], tried: int) -> str:
    """Say what could not be read, and of each tenant the first reason: its other lists mostly fail for the same one."""
    order = [endpoint.name for endpoint in vendor.endpoints]
    reasons: dict[tuple[str, str], str] = {}
    for a in sorted(failed, key=lambda a: (a.connection_id, a.tenant, order.index(a.endpoint))):
        reasons.setdefault((a.connection_id, a.tenant), f"{a.tenant}: {a.reason}" if a.tenant else a.reason)
    named = " ".join(list(reasons.values())[:SHOWN])
    return f"{vendor.title}: {len(failed)} of {tried} lists could not be read. {named} Everything else was loaded."


def vendor_checks(vendor: Vendor) -> dg.AssetChecksDefinition:
    """Return the checks of one vendor's lists, as one step that fails when a scope did not answer."""

    @dg.multi_asset_check(
        name=f"{vendor.name}_checks",
        specs=[dg.AssetCheckSpec(name, asset=[vendor.name, e.name], description=text)
               for e in vendor.endpoints for name, text in CHECKS.items()],
        can_subset=True,
    )  # fmt: skip
    def check(context: dg.AssetCheckExecutionContext, book: BookResource) -> Iterator[dg.AssetCheckResult]:
        wanted = context.selected_asset_check_keys
        asked = {key.asset_key.path[-1] for key in wanted}
        attempts = [a for a in latest(book.open(), vendor) if a.endpoint in asked]
        for key in sorted(wanted):
            yield result(key.name, vendor, key.asset_key.path[-1], attempts)
        if failed := [a for a in attempts if IS_BAD["answered"](a)]:
            raise dg.Failure(failure_text(vendor, failed, len(attempts)), allow_retries=False)

    return check


def published(book: Book, sql: str) -> list[tuple[Any, ...]]:
    """Read the copy everyone reads."""
    with connect_published(book) as con:
        return con.execute(sql).fetchall()


@dg.asset_check(
    asset=mart("source_health"),
    description="Every feed is as fresh as its cadence allows. An old or unknown feed makes no discrepancies and "
    "blocks approving what depends on it.",
)
def coverage(book: BookResource) -> dg.AssetCheckResult:
    """Name the vendors whose numbers cannot be relied on, and why."""
    rows = published(book.open(), """
        select vendor, string_agg(distinct state, ', ' order by state) filter (state not in ('known', 'zero'))
        from marts.source_health group by 1 order by 1
    """)  # fmt: skip
    late = [f"{vendor} ({states})" for vendor, states in rows if states]
    text = f"{len(late)} of {len(rows)} vendors older than allowed: {', '.join(late)}." if late else (
        f"All {len(rows)} vendors are fresh." if rows else "Nothing is connected, so nothing was checked."
    )  # fmt: skip
    return dg.AssetCheckResult(passed=bool(rows) and not late, severity=dg.AssetCheckSeverity.WARN, description=text)


@dg.asset_check(
    asset=mart("discrepancies"),
    description="No money belongs to nobody: every company is mapped to a client and every licence to a service.",
)
def unmapped_money(book: BookResource) -> dg.AssetCheckResult:
    """Sum what is counted and belongs to no client or service."""
    rows = published(book.open(), """
        select coalesce(currency, '?'), count(*), sum(variance_amount) from marts.discrepancies
        where kind in ('unmapped_company', 'unmapped_sku') and status = 'open' group by 1 order by 1
    """)  # fmt: skip
    text = ", ".join(f"{amount or 0:,.2f} {currency} in {count} rows" for currency, count, amount in rows)
    return dg.AssetCheckResult(
        passed=not rows, severity=dg.AssetCheckSeverity.WARN,
        description=f"Not mapped to a client or a service: {text} at list price." if rows else "Everything is mapped.",
    )  # fmt: skip


@dg.definitions
def defs() -> dg.Definitions:
    """The checks of every vendor's lists and of the marts."""
    return dg.Definitions(asset_checks=[*map(vendor_checks, VENDORS.values()), coverage, unmapped_money])
