"""What must hold of bundles: they are made of services that are none themselves, and something counts them."""

from collections.abc import Iterator

from morton_pipeline.errors import guess
from morton_pipeline.seeds.columns import Row
from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import Seeds
from morton_pipeline.seeds.values import as_number

_FILE = "bundles.csv"


def problems(seeds: Seeds) -> Iterator[Problem]:
    """Yield components that are unknown, bundles themselves or there twice, and bundles nothing would count."""
    services = [row["service_id"] for _, row in seeds.rows["services"]]
    mapped = {row["service_id"] for _, row in seeds.rows["service_mappings"]}
    bundles = {row["bundle_service_id"] for _, row in seeds.rows["bundles"]}
    seen: dict[tuple[str, str], int] = {}
    counters: dict[str, int] = {}
    for line, row in seeds.rows["bundles"]:
        for column in ("bundle_service_id", "component_service_id"):
            if row[column] and row[column] not in services:
                message = f"{row[column]!r} is not in services.csv{guess(row[column], services)}"
                yield Problem(_FILE, line, column, message)
        bundle, component = row["bundle_service_id"], row["component_service_id"]
        if component in bundles:
            message = f"{component!r} is a bundle itself; list what is in it"
            yield Problem(_FILE, line, "component_service_id", message)
        if (bundle, component) in seen:
            message = f"{component!r} stands in row {seen[bundle, component]} already; add up its quantity there"
            yield Problem(_FILE, line, "component_service_id", message)
        if as_number(row["quantity_per_unit"]) == 0:
            yield Problem(_FILE, line, "quantity_per_unit", "must be above zero")
        is_first = bundle not in {name for name, _ in seen}
        if is_first and bundle not in mapped:
            yield from _counted_by_component(seeds, line, row, counters)
        if is_first and bundle not in mapped and component not in mapped:
            message = (
                f"nothing would count {bundle}: it is counted by a mapping of its own, else by its first "
                f"component, and service_mappings.csv names neither"
            )
            yield Problem(_FILE, line, "bundle_service_id", message)
        seen.setdefault((bundle, component), line)


def _counted_by_component(seeds: Seeds, line: int, row: Row, counters: dict[str, int]) -> Iterator[Problem]:
    """What a first component counts must be that bundle and nothing else: a record is one thing."""
    bundle, component = row["bundle_service_id"], row["component_service_id"]
    if row["quantity_per_unit"] and as_number(row["quantity_per_unit"]) != 1:
        message = f"{bundle} is counted by this component, one by one; map {bundle} in service_mappings.csv"
        yield Problem(_FILE, line, "quantity_per_unit", message)
    if component in counters:
        message = f"{component!r} counts the bundle of row {counters[component]} already; map {bundle} itself"
        yield Problem(_FILE, line, "component_service_id", message)
    counters.setdefault(component, line)
    bundled = {r["client_id"] for _, r in seeds.rows["contracts"] if r["service_id"] == bundle}
    for number, contract in seeds.rows["contracts"]:
        if contract["service_id"] == component and contract["client_id"] in bundled:
            message = (
                f"{component} is what {bundle} is counted by for {contract['client_id']}; map {bundle} in "
                "service_mappings.csv, or agree on one of the two"
            )
            yield Problem("contracts.csv", number, "service_id", message)
