"""What must hold of contracts: each has what its model needs, and one is in force per client, service and day."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise

from morton_pipeline.seeds.columns import MEANT_GAP, Row
from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import Seeds
from morton_pipeline.seeds.rules.overlaps import no_overlap, spans
from morton_pipeline.seeds.values import as_number

_FILE = "contracts.csv"
_SUBJECT = ("client_id", "service_id")
_Versions = Sequence[tuple[date, date, int, Row]]


def problems(seeds: Seeds) -> Iterator[Problem]:
    """Yield what a contract lacks, and where two versions of one overlap, leave a gap, or turn from tool to tool."""
    for line, row in seeds.rows["contracts"]:
        yield from _terms(line, row)
    rule = "exactly one contract version may be in force per client, service and day"
    yield from no_overlap(seeds, "contracts", _SUBJECT, rule)
    rows = dict(seeds.rows["contracts"])
    for key, found in spans(seeds, "contracts", _SUBJECT).items():
        versions = [(start, end, line, rows[line]) for start, end, line in found]
        yield from _no_gap(key, versions)
        yield from _one_tool_a_month(seeds, versions)


def _terms(line: int, row: Row) -> Iterator[Problem]:
    model = row["billing_model"].lower()
    for needed, column in (("minimum", "minimum_quantity"), ("included", "included_quantity")):
        if model == needed and not row[column]:
            yield Problem(_FILE, line, column, f"is empty; the model {needed} needs it")
    if not row["unit_price"] and model != "tiered":
        yield Problem(_FILE, line, "unit_price", "is empty; only a tiered contract has its prices elsewhere")
    if row["unit_price"].startswith("-") and model != "flat":
        message = "is below zero; what is given every month is a contract of its own with the model flat"
        yield Problem(_FILE, line, "unit_price", message)
    if row["silent_days"] and as_number(row["silent_days"]) in range(14):
        message = f"{row['silent_days']!r} is too few: tools tell of a silence once it has lasted 14 days"
        yield Problem(_FILE, line, "silent_days", message)
    if row["committed_until"] and not row["committed_quantity"]:
        message = "is empty; say how many are committed until that day"
        yield Problem(_FILE, line, "committed_quantity", message)


def _no_gap(key: tuple[str, ...], versions: _Versions) -> Iterator[Problem]:
    for (_, end, earlier, _), (start, _, later, row) in pairwise(versions):
        if start > end and not row["note"].lower().startswith(MEANT_GAP):
            message = (
                f"leaves {' and '.join(key)} without a contract from {end}, where row {earlier} ends, to "
                f"{start}; close the gap, or begin the note with {MEANT_GAP!r} and say why"
            )
            yield Problem(_FILE, later, "effective_from", message)


def _one_tool_a_month(seeds: Seeds, versions: _Versions) -> Iterator[Problem]:
    """The days of a month that are added up, or compared, are of one tool: numbers of two never are."""
    for start, _, line, row in versions:
        basis = row["count_basis"].lower() or "period_end"
        for _, other_end, other, earlier in versions:
            is_of_the_month = start.replace(day=1) < other_end <= start
            if basis != "period_end" and is_of_the_month and _tool(seeds, row) != _tool(seeds, earlier):
                message = (
                    f"counts at {_tool(seeds, row)} from {start} what row {other} counts at {_tool(seeds, earlier)}, "
                    f"and {basis} takes a month as a whole; let the tool change on the first of a month"
                )
                yield Problem(_FILE, line, "count_vendor", message)


def _tool(seeds: Seeds, contract: Row) -> str:
    """Return which tool counts what a contract is about, where one is named or only one could."""
    named = contract["service_id"]
    service = next((row for _, row in seeds.rows["services"] if row["service_id"] == named), {})
    mapped = {row["vendor"] for _, row in seeds.rows["service_mappings"] if row["service_id"] == named}
    return (contract["count_vendor"] or service.get("count_vendor") or "".join(sorted(mapped))).lower()
