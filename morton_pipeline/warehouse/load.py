"""Take extractions in: validate, compare with what is current, judge, write to the journal, apply.

Belongs here: the order of those steps, and accepting an extraction that was held back. Does not: fetching (`extract`),
the comparison (`diff`), the verdict (`verdict`), or what DuckDB makes of it (`apply`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pandera.pandas as pa

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.extract.fetch import Extraction
from morton_pipeline.extract.records import Validated, validate, validate_together
from morton_pipeline.vendors import VENDORS
from morton_pipeline.warehouse import diff, journal
from morton_pipeline.warehouse.apply import ACCEPTANCE, ATTEMPT
from morton_pipeline.warehouse.layout import declared_fields, record_table
from morton_pipeline.warehouse.lock import connect
from morton_pipeline.warehouse.scopes import Scope
from morton_pipeline.warehouse.verdict import SOURCE, Attempt, Loaded, cells_of, failed, held_with, judge

TICK = timedelta(microseconds=1)


def load(book: Book, extractions: Sequence[Extraction], *, owner: str = "extract") -> list[Loaded]:
    """Load extractions, each scope for itself; what failed is recorded as an attempt that failed.

    A scope changes wholly or not at all, and the same records again change nothing. Where the tenants of a connection
    could not be listed, the attempt has failed for every tenant known so far.
    """
    return load_validated(book, _validated(extractions), owner=owner)


def _validated(extractions: Sequence[Extraction]) -> list[Attempt]:
    """Validate each list once, all its tenants together; where that cannot be, each alone, so that one fails alone."""
    lists: dict[tuple[str, str, datetime], list[int]] = {}
    for place, one in enumerate(extractions):
        if one.rows is not None:
            lists.setdefault((one.vendor, one.endpoint, one.attempted_at), []).append(place)
    outcomes: dict[int, Validated | str] = {place: one.error for place, one in enumerate(extractions)}
    for (vendor, endpoint, at), places in lists.items():
        record = VENDORS[vendor].endpoint(endpoint).record
        try:
            together = validate_together(record, [extractions[place].rows or [] for place in places], at=at)
            outcomes |= dict(zip(places, together, strict=True))
        except pa.errors.SchemaErrors:
            outcomes |= {place: _validated_alone(extractions[place]) for place in places}
    return [_attempt(one, outcomes[place]) for place, one in enumerate(extractions)]


def _validated_alone(one: Extraction) -> Validated | str:
    """Return the validated records, or why they cannot be read at all."""
    try:
        return validate(VENDORS[one.vendor].endpoint(one.endpoint).record, one.rows or [], at=one.attempted_at)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        said = ", ".join(f"{column}: {check}" for column, check in zip(cases["column"], cases["check"], strict=True))
        return f"{one.connection_id}: the records of {one.endpoint} no longer have the declared shape ({said})."


def _attempt(one: Extraction, outcome: Validated | str) -> Attempt:
    validated, error = (None, outcome) if isinstance(outcome, str) else (outcome, "")
    return Attempt(
        one.connection_id, one.vendor, one.endpoint, one.tenant_id, one.tenant_name, one.attempted_at, validated, error,
        one.source_file or None, one.source_sha256 or None, one.source_as_of_at, one.stands_for_on,
        one.awaited,
    )  # fmt: skip


def load_validated(book: Book, attempts: Sequence[Attempt], *, owner: str = "extract") -> list[Loaded]:
    """Load what has been validated, all scopes in one transaction: journal first, then DuckDB."""
    if not attempts:
        return []
    scopes = Counter((a.connection_id, a.vendor, a.endpoint, a.tenant_id) for a in attempts)
    if max(scopes.values()) > 1:
        raise ValueError(f"one load takes one attempt per scope, and {scopes.most_common(1)[0][0]} came twice")
    clock_at = max(a.attempted_at for a in attempts)
    with connect(book, owner) as con:
        named = _named(con, [one for attempt in attempts for one in _for_every_tenant(con, attempt)])
        cells: dict[str, list[dict[str, Any]]] = {}
        results: dict[str, Loaded] = {}
        doubted: dict[Scope, Loaded] = {}
        for vendor, endpoint in _needed_first({(a.vendor, a.endpoint) for a in named.values()}):
            of_list = {key: a for key, a in named.items() if (a.vendor, a.endpoint) == (vendor, endpoint)}
            for one in _load_list(con, book, of_list, cells, doubted):
                results[one.extraction_id] = one
                if one.status != "complete":
                    doubted[one.connection_id, one.vendor, one.endpoint, one.tenant_id] = one
        loaded = [results[extraction_id] for extraction_id in named]
        journal.append(con, book, [_line(one, clock_at, cells) for one in loaded])
        journal.replay(con, book)
    return loaded


def _needed_first(lists: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Order lists as their vendor pages do: what another list needs stands before it, and is judged before it."""
    places = {(v.name, e.name): place for v in VENDORS.values() for place, e in enumerate(v.endpoints)}
    return sorted(lists, key=lambda one: (one[0], places.get(one, len(places)), one[1]))


def _line(loaded: Loaded, clock_at: datetime, cells: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    said = {name: value for name, value in asdict(loaded).items() if value is not None or name not in SOURCE}
    return {"line": ATTEMPT, "clock_at": clock_at, **said, "quarantine": cells.get(loaded.extraction_id, [])}


def _for_every_tenant(con: duckdb.DuckDBPyConnection, attempt: Attempt) -> list[Attempt]:
    """A connection whose tenants could not be listed has failed for each of them, not for a tenant without a name."""
    if attempt.validated is not None or attempt.tenant_id or not VENDORS[attempt.vendor].is_per_tenant:
        return [attempt]
    known = con.execute(
        "select tenant_id, arg_max(tenant_name, attempted_at) from raw.extractions "
        "where connection_id = ? and vendor = ? and tenant_id <> '' group by tenant_id order by tenant_id",
        [attempt.connection_id, attempt.vendor],
    ).fetchall()
    return [replace(attempt, tenant_id=tenant_id, tenant_name=name) for tenant_id, name in known] or [attempt]


def _named(con: duckdb.DuckDBPyConnection, attempts: Sequence[Attempt]) -> dict[str, Attempt]:
    """Give every attempt its id, and an instant later than anything its scope has seen: versions never overlap."""
    earlier = {
        tuple(scope): last.replace(tzinfo=UTC)
        for *scope, last in con.execute(
            "select connection_id, vendor, endpoint, tenant_id, "
            "max(greatest(attempted_at, coalesce(accepted_at, attempted_at))) from raw.extractions group by all"
        ).fetchall()
    }
    begin = min(a.attempted_at for a in attempts).astimezone(UTC).replace(tzinfo=None)
    later = con.execute("select extraction_id from raw.extractions where attempted_at >= ?", [begin]).fetchall()
    taken = {row[0] for row in later}
    named: dict[str, Attempt] = {}
    for attempt in attempts:
        last = earlier.get((attempt.connection_id, attempt.vendor, attempt.endpoint, attempt.tenant_id))
        at = attempt.attempted_at.astimezone(UTC)
        at = max(at, last + TICK) if last else at
        while _id(attempt, at) in taken:
            at += TICK
        taken.add(_id(attempt, at))
        named[_id(attempt, at)] = replace(attempt, attempted_at=at)
    return named


def _id(attempt: Attempt, at: datetime) -> str:
    parts = (_stamp(at), attempt.connection_id, attempt.endpoint, attempt.tenant_id)
    return "-".join(part for part in parts if part)


def _stamp(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%S%fZ}"


def _load_list(
    con: duckdb.DuckDBPyConnection,
    book: Book,
    named: Mapping[str, Attempt],
    cells: dict[str, list[dict[str, Any]]],
    doubted: Mapping[Scope, Loaded],
) -> list[Loaded]:
    """Judge the attempts at one list of a vendor and write what changes; adds the quarantined cells to `cells`.

    `doubted` are the scopes of this load that are not complete: what was computed from one of them waits with it.
    """
    read = {key: a.validated for key, a in named.items() if a.validated is not None}
    loaded = [failed(key, a, a.error) for key, a in named.items() if key not in read]
    if not read:
        return loaded
    first = next(iter(named.values()))
    table = record_table(first.vendor, first.endpoint)
    if table is None:
        raise BadInput(f"No vendor page declares {first.endpoint} of {first.vendor}, so its records have no table.")
    endpoint = VENDORS[first.vendor].endpoint(first.endpoint)
    declared = declared_fields(endpoint)
    arrived = [
        diff.Arrived(key, named[key].connection_id, named[key].tenant_id, validated, tuple(named[key].awaited))
        for key, validated in read.items()
    ]
    results = []
    for one, difference in zip(arrived, diff.compare(con, table, declared, arrived), strict=True):
        attempt = named[one.extraction_id]
        needed = [doubted.get((attempt.connection_id, attempt.vendor, n, attempt.tenant_id)) for n in endpoint.needs]
        result = judge(one.extraction_id, attempt, one.validated, difference, book.limits)
        result = held_with(result, [n for n in needed if n is not None])
        results.append(result)
        if result.status != "failed":
            cells[one.extraction_id] = cells_of(one.validated)
    loaded += _written(con, book, results)
    diff.forget(con)
    return loaded


def _written(con: duckdb.DuckDBPyConnection, book: Book, results: Sequence[Loaded]) -> list[Loaded]:
    """Write the changes of one list, suspect ones too, to one Parquet file; without a change there is none."""
    changed = [r for r in results if r.status != "failed" and r.added_count + r.changed_count + r.removed_count > 0]
    if not changed:
        return list(results)
    last = max(changed, key=lambda r: r.attempted_at)
    stem = f"{_stamp(last.attempted_at)}-{last.connection_id}"
    changes = diff.take_changes(con, [r.extraction_id for r in changed])
    name, sha256 = journal.write_changes(book, last.vendor, last.endpoint, stem, changes)
    return [replace(r, journal_file=name, journal_sha256=sha256) if r in changed else r for r in results]


def accept(book: Book, extraction_id: str, actor: str, at: datetime) -> Loaded:
    """Let an extraction that was held back count from now on, on a person's word.

    A suspect one takes effect as it was read; a partial one counts as complete without the records set aside.
    """
    if not actor.strip():
        raise BadInput("Accepting an extraction needs a name: --as NAME.")
    with connect(book, f"accept {extraction_id}") as con:
        held = _acceptable(con, extraction_id)
        effective_at = max(at.astimezone(UTC), held.attempted_at + TICK)
        accepted = replace(held, status="complete", accepted_by=actor, accepted_at=effective_at)
        line = {"line": ACCEPTANCE, "clock_at": at.astimezone(UTC), **asdict(accepted)}
        if held.status == "partial":
            line |= {"journal_file": None, "journal_sha256": None}
        journal.append(con, book, [line])
        journal.replay(con, book)
    return accepted


def _acceptable(con: duckdb.DuckDBPyConnection, extraction_id: str) -> Loaded:
    found = _extractions(con, "extraction_id = ?", extraction_id)
    if not found:
        waiting = [a.extraction_id for a in _latest(con) if a.status in ("suspect", "partial")]
        raise BadInput(
            f"There is no extraction {extraction_id}. Waiting to be accepted: {', '.join(waiting) or 'none'}."
        )
    held = found[0]
    if held.accepted_by:
        raise BadInput(
            f"{extraction_id} was accepted by {held.accepted_by} on {held.accepted_at:%Y-%m-%d %H:%M} UTC already."
        )
    if held.status not in ("suspect", "partial"):
        raise BadInput(f"{extraction_id} is {held.status}: only a suspect or partial extraction can be accepted.")
    later = _extractions(
        con,
        "connection_id = ? and vendor = ? and endpoint = ? and tenant_id = ? and attempted_at > ? "
        "order by attempted_at desc limit 1",
        *(held.connection_id, held.vendor, held.endpoint, held.tenant_id, held.attempted_at.replace(tzinfo=None)),
    )
    if later:
        raise BadInput(
            f"{extraction_id} is no longer the latest attempt: {later[0].extraction_id} followed ({later[0].status}"
            f"{': ' + later[0].reason if later[0].reason else ''}). Look at that one instead."
        )
    return held


def latest(book: Book) -> list[dict[str, Any]]:
    """Return the latest attempt at every scope."""
    with connect(book, "extractions") as con:
        return [asdict(attempt) for attempt in _latest(con)]


def _latest(con: duckdb.DuckDBPyConnection) -> list[Loaded]:
    return _extractions(
        con,
        "true qualify row_number() over "
        "(partition by connection_id, vendor, endpoint, tenant_id order by attempted_at desc) = 1 "
        "order by connection_id, vendor, endpoint, tenant_id",
    )


def _extractions(con: duckdb.DuckDBPyConnection, condition: str, *values: object) -> list[Loaded]:
    """Read rows of raw.extractions back, with instants that say they are UTC."""
    names = [f.name for f in fields(Loaded)]
    rows = con.execute(f"select {', '.join(names)} from raw.extractions where {condition}", list(values)).fetchall()
    aware: list[list[Any]] = [[v.replace(tzinfo=UTC) if isinstance(v, datetime) else v for v in row] for row in rows]
    return [Loaded(**dict(zip(names, row, strict=True))) for row in aware]
