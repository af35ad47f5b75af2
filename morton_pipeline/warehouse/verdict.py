"""What is believed of an attempt, and why: complete, partial (records set aside or missing), suspect (held) or failed.

Belongs here: the verdict on one scope, from numbers alone. Does not: comparing records (`diff`), or storing (`load`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from morton_pipeline.book import Limits
from morton_pipeline.extract.records import Validated
from morton_pipeline.warehouse.diff import Difference

SOURCE = ("source_file", "source_sha256", "source_as_of_at", "stands_for_on")
"""The report an attempt was read from, and the day its records are of; old attempts, and most at an API, have none."""
FEW_RECORDS = 10
"""A scope with fewer current records may double or halve without anybody having to look."""


@dataclass(frozen=True)
class Attempt:
    """One extraction after validation."""

    connection_id: str
    vendor: str
    endpoint: str
    tenant_id: str
    tenant_name: str
    attempted_at: datetime
    validated: Validated | None
    """Nothing when the attempt failed."""
    error: str = ""
    source_file: str | None = None
    source_sha256: str | None = None
    source_as_of_at: datetime | None = None
    stands_for_on: date | None = None
    awaited: Mapping[str, str] = field(default_factory=dict)
    """What should have come and did not: how its records' keys begin, and what it is called."""


@dataclass(frozen=True)
class Loaded:
    """What became of one attempt: its row in raw.extractions."""

    extraction_id: str
    connection_id: str
    vendor: str
    endpoint: str
    tenant_id: str
    tenant_name: str
    attempted_at: datetime
    status: str
    """complete, partial, suspect or failed."""
    record_count: int | None
    """Records the vendor sent; nothing when the attempt failed."""
    quarantined_count: int = 0
    added_count: int = 0
    changed_count: int = 0
    removed_count: int = 0
    reason: str = ""
    accepted_by: str | None = None
    accepted_at: datetime | None = None
    journal_file: str | None = None
    journal_sha256: str | None = None
    source_file: str | None = None
    source_sha256: str | None = None
    source_as_of_at: datetime | None = None
    stands_for_on: date | None = None


def failed(extraction_id: str, attempt: Attempt, reason: str) -> Loaded:
    """Record an attempt nothing can be kept of."""
    return Loaded(
        extraction_id, attempt.connection_id, attempt.vendor, attempt.endpoint, attempt.tenant_id, attempt.tenant_name,
        attempt.attempted_at, "failed", None, reason=reason, **_source(attempt),
    )  # fmt: skip


def _source(attempt: Attempt) -> dict[str, Any]:
    """What an attempt was read from, and the day it is of."""
    return {name: getattr(attempt, name) for name in SOURCE}


def judge(extraction_id: str, attempt: Attempt, validated: Validated, difference: Difference, limits: Limits) -> Loaded:
    """Return what becomes of an attempt that was read to its end."""
    if difference.twice:
        why = f"{attempt.connection_id}: {attempt.endpoint} holds record {difference.twice} twice, so none is kept."
        return failed(extraction_id, attempt, why)
    received = len(validated.kept) + validated.rejected_count
    quarantined = validated.rejected_count
    doubt = _doubt(difference.present_count, received, limits)
    set_aside = _set_aside(received, quarantined, cells_of(validated))
    missing = _missing([attempt.awaited[beginning] for beginning in difference.awaited])
    return Loaded(
        extraction_id, attempt.connection_id, attempt.vendor, attempt.endpoint, attempt.tenant_id, attempt.tenant_name,
        attempt.attempted_at,
        status="suspect" if doubt else "partial" if quarantined or missing else "complete",
        record_count=received,
        quarantined_count=quarantined,
        added_count=difference.counts["added"],
        changed_count=difference.counts["changed"],
        removed_count=difference.counts["removed"],
        reason=" ".join(part for part in (doubt, set_aside, missing) if part),
        **_source(attempt),
    )  # fmt: skip


def held_with(loaded: Loaded, needed: Sequence[Loaded]) -> Loaded:
    """Hold an attempt back where a list it was computed from was not believed: it is only as good as that one."""
    if loaded.status == "failed" or not needed:
        return loaded
    named = " and ".join(f"{one.endpoint} ({one.status}: {one.extraction_id})" for one in needed)
    why = f"It was computed from {named}; settle that first, then accept this one if its records are right."
    return replace(loaded, status="suspect", reason=" ".join(part for part in (loaded.reason, why) if part))


def cells_of(validated: Validated) -> list[dict[Any, Any]]:
    """Return the cells that were rejected, as the journal keeps them."""
    if not validated.rejected_count:
        return []
    rejected = validated.rejected.astype(object)
    return rejected.where(rejected.notna(), None).to_dict("records")


def _doubt(before: int, received: int, limits: Limits) -> str:
    """Say why a number of records is hard to believe, or nothing."""
    if before and not received:
        return f"No records where there were {before:,}."
    if before < FEW_RECORDS:
        return ""
    if received < before * (1 - limits.fall_share):
        return f"{received:,} records where there were {before:,}: more than {limits.fall_share * 100:g} % fewer."
    if received > before * limits.jump_factor:
        return f"{received:,} records where there were {before:,}: more than {limits.jump_factor:g} times as many."
    return ""


def _missing(names: Sequence[str]) -> str:
    """Say what should have come and did not, or nothing."""
    if not names:
        return ""
    named = sorted(names)[:3] + ([f"{len(names) - 3:,} more"] if len(names) > 3 else [])
    listed = " and ".join(part for part in (", ".join(named[:-1]), named[-1]) if part)
    said = ("is", "it was", "its") if len(names) == 1 else ("are", "they were", "their")
    return (
        f"{listed} {said[0]} missing, though {said[1]} counted before: {said[2]} last records stand. "
        "Look there, and accept this reading if it is right."
    )


def _set_aside(received: int, quarantined: int, cells: Sequence[Mapping[Any, Any]]) -> str:
    if not quarantined:
        return ""
    causes = Counter(f"{cell['column_name']} {cell['check_name']}" for cell in cells)
    listed = ", ".join(f"{cause} ({count:,})" for cause, count in causes.most_common(3))
    return f"{quarantined:,} of {received:,} records set aside: {listed}{', …' if len(causes) > 3 else ''}."
