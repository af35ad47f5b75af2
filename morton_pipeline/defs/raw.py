"""One asset per vendor endpoint, and one step per vendor that reads and loads them.

A scope that fails is recorded as failed and keeps nobody else's records from being loaded. Its asset is then reported
with that state rather than left out, because Dagster builds nothing downstream of an asset that was left out; the
check `answered` (see `checks.py`) is what fails the run, once everything that can be built has been.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from morton_pipeline.clock import now
from morton_pipeline.defs.cadences import allowed_ages, connections_at_load
from morton_pipeline.defs.resources import BookResource
from morton_pipeline.extract.records import columns
from morton_pipeline.extract.vendor import Endpoint, Vendor
from morton_pipeline.refresh import refresh
from morton_pipeline.vendors import VENDORS
from morton_pipeline.warehouse.verdict import Loaded

WAIT_SECONDS = 1800.0
"""How long a loading waits for its turn: a whole build of the marts may be before it."""

RAW_KEYS = tuple(dg.AssetKey([v.name, e.name]) for v in VENDORS.values() for e in v.endpoints)
"""Every vendor endpoint, connected or not."""

COUNTS = ("record_count", "added_count", "changed_count", "removed_count", "quarantined_count")


class Connections(dg.Config):
    """Which connections of the vendor to read."""

    connections: list[str] = Field(default_factory=list)
    """Their ids; none named means all of them."""


def spec(vendor: Vendor, endpoint: Endpoint, allowed_age: timedelta | None) -> dg.AssetSpec:
    """Describe one endpoint to Dagster with what its vendor's page says."""
    raw_table = f"raw_{vendor.name}.{endpoint.name}"
    return dg.AssetSpec(
        [vendor.name, endpoint.name],
        group_name=vendor.name,
        owners=[vendor.owner],
        description=f"{endpoint.description} Read from {vendor.title}; kept as history in {raw_table}.",
        kinds={"python", "duckdb"},
        deps=[[vendor.name, name] for name in endpoint.needs],
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=allowed_age) if allowed_age else None,
        metadata={
            "dagster/column_schema": dg.TableSchema(columns=[
                dg.TableColumn(c.name, c.sql_type, c.description, dg.TableColumnConstraints(nullable=c.is_nullable))
                for c in columns(endpoint.record)
            ]),
            "dagster/table_name": raw_table,
            "cadence": vendor.cadence(endpoint),
        },
    )  # fmt: skip


def vendor_assets(vendor: Vendor, ages: dict[tuple[str, str], timedelta]) -> dg.AssetsDefinition:
    """Return the endpoints of one vendor as assets of one step, any of which can be asked for alone."""

    @dg.multi_asset(
        name=vendor.name,
        specs=[spec(vendor, endpoint, ages.get((vendor.name, endpoint.name))) for endpoint in vendor.endpoints],
        can_subset=True,
        pool=vendor.name,
    )
    def read(
        context: dg.AssetExecutionContext, config: Connections, book: BookResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        opened, wanted = book.open(), {key.path[-1] for key in context.selected_asset_keys}
        mine = [c for c in opened.read_connections if c.vendor == vendor.name]
        chosen = [c for c in mine if c.id in (config.connections or [c.id])]
        if not chosen:
            context.log.info(f"{vendor.title} is not connected in {opened.root}: nothing to read.")
        owner = f"dagster run {context.run.run_id[:8]}"
        loaded = refresh(opened, chosen, at=now(), endpoints=wanted, owner=owner, wait_seconds=WAIT_SECONDS,
                         say=context.log.info) if chosen else []  # fmt: skip
        for endpoint in (e.name for e in vendor.endpoints if e.name in wanted):
            readings = [one for one in loaded if one.endpoint == endpoint]
            found = metadata(readings, len(chosen))
            yield dg.MaterializeResult(asset_key=[vendor.name, endpoint], metadata=found)

    return read


def metadata(loaded: Sequence[Loaded], connection_count: int = 0) -> dict[str, Any]:
    """Say what became of one list: its counts summed, its state, and every scope's own in a table."""
    if not loaded:
        return {"state": "nothing new" if connection_count else "not connected", "connections": connection_count}
    states = Counter(one.status for one in loaded)
    columns = ("connection", "tenant", "state", *COUNTS, "reason")
    rows = [(x.connection_id, x.tenant_name or x.tenant_id, x.status, *_counts(x), x.reason) for x in loaded]
    return {
        "state": ", ".join(f"{count} {state}" for state, count in sorted(states.items())),
        "connections": len({one.connection_id for one in loaded}),
        **{name: sum(column) for name, column in zip(COUNTS, zip(*map(_counts, loaded), strict=True), strict=True)},
        "scopes": dg.MetadataValue.md(markdown(columns, rows)),
    }


def _counts(one: Loaded) -> tuple[int, ...]:
    return (one.record_count or 0, one.added_count, one.changed_count, one.removed_count, one.quarantined_count)


def markdown(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


@dg.definitions
def defs() -> dg.Definitions:
    """Every vendor's endpoints, connected or not: a vendor page is enough to be seen here."""
    ages = allowed_ages(connections_at_load())
    return dg.Definitions(assets=[vendor_assets(vendor, ages) for vendor in VENDORS.values()])
