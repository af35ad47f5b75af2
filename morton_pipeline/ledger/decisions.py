"""What people decided about rows of the mart. A decision is a new version; nothing is ever changed or taken away.

Belongs here: when a decision may be made, and recording it with the whole row it was made on. The rows themselves are
looked up by the caller. Does not: turning approvals into invoices (`accounting/drafts.py`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from morton_pipeline.book import Limits
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import audit, invoices, tables
from morton_pipeline.ledger.canonical import canonical, digest, digits, instant_text, plain, rounded
from morton_pipeline.ledger.lines import line_digest
from morton_pipeline.ledger.store import Ledger
from morton_pipeline.rates import NoRate, Rates

MartRow = Mapping[str, Any]
"""A row of `marts.discrepancies`."""

ACTIONS = ("approve", "write_off", "exclude", "snooze", "reopen")
FIRST_APPROVAL = "first_approval"
"""An approval above `four_eyes_above`: it counts only when a second person approves the same seal."""

_NEEDS_UNTIL = {
    "write_off": "after that day the row comes back",
    "exclude": "after that day the records count again",
    "snooze": "on that day the row comes back",
}
CAUSES = ("mapping", "contract", "source", "policy")
"""What is wrong where a difference is given up or not counted: until it is mended the difference comes back."""
_NEEDS_CAUSE = ("write_off", "exclude")
APPROVABLE = ("under_billed", "no_contract", "invoice_mismatch", "over_billed", "no_usage", "correction")
"""The kinds of rows a client is billed, or given back, by."""
_INSTEAD = {
    "unmapped_company": "map the company in company_mappings.csv (a client, or an internal one)",
    "unmapped_sku": "map the SKU in service_mappings.csv",
    "not_audited": "not checked is not clean: map what the contract counts, or connect the tool that does",
    "unbilled_time": "map the entry to a client and a contract first, or invoice it in the time tracker",
    "below_cost": "raise the price in contracts.csv, or write it off",
    "coverage_gap": "it is about service, not about billing: deploy what is missing, or write it off",
    "implausible": "accept or reject the extraction first (`morton extractions`)",
}


@dataclass(frozen=True)
class Outcome:
    """What became of the rows that were decided on."""

    applied: list[dict[str, Any]] = field(default_factory=list)
    """The decisions recorded, in the order of the rows."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """The discrepancies left as they were, each with the reason."""


class _Refused(Exception):
    """Why one row cannot be decided on this way."""


@dataclass(frozen=True)
class _Wish:
    action: str
    reason: str
    actor: str
    until: date | None
    record_ids: Sequence[str]
    accept_stale: bool
    at: datetime
    limits: Limits
    rates: Rates
    cause: str | None


def decide(
    ledger: Ledger,
    rows: Sequence[MartRow],
    *,
    action: str,
    reason: str,
    actor: str,
    at: datetime,
    limits: Limits,
    rates: Rates | None = None,
    until: date | None = None,
    record_ids: Sequence[str] = (),
    evidence: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    accept_stale: bool = False,
    cause: str | None = None,
    expected_seals: Mapping[str, str] | None = None,
    expected_versions: Mapping[str, int] | None = None,
) -> Outcome:
    """Record one answer for several rows, in one transaction; what is not valid is left out and listed.

    `rates` tell what another currency is worth in that of the limits; without any, an amount in another one is not
    approved where that would have to be known. `cause` is one of `CAUSES`, and what is written off or excluded needs
    one: it is a task until the cause is gone. `evidence` holds the rows of `marts.discrepancy_evidence` by
    discrepancy; `exclude` needs it. `expected_seals` are what a person saw (a file, a page): a row that changed since
    is refused. `expected_versions` are the decision versions they saw; by default those at the time of the call, so
    that of two people deciding at once one wins and the other is told.
    """
    wish = _wish(action, reason, actor, until, record_ids, accept_stale, at, limits, rates or Rates("USD"), cause)
    unique = {str(row["discrepancy_id"]): row for row in rows}
    seen = dict(expected_versions) if expected_versions is not None else versions(ledger, list(unique))
    outcome = Outcome()
    with audit.write(ledger, actor=wish.actor, at=at) as writer:
        for discrepancy_id, row in unique.items():
            history = history_in(writer.con, discrepancy_id)
            try:
                _refuse_overtaken(history, seen.get(discrepancy_id, 0))
                _refuse_changed(row, (expected_seals or {}).get(discrepancy_id))
                decision = _decision(writer.con, wish, row, history, (evidence or {}).get(discrepancy_id, ()))
            except _Refused as refusal:
                outcome.refused.append((discrepancy_id, str(refusal)))
                continue
            writer.insert(tables.decisions, decision)
            outcome.applied.append(decision)
    return outcome


def versions(ledger: Ledger, discrepancy_ids: Collection[str]) -> dict[str, int]:
    """Return the newest decision version of each discrepancy; what was never decided is left out."""
    table = tables.decisions.c
    wanted = set(discrepancy_ids)
    with ledger.read() as con:
        newest = sa.select(table.discrepancy_id, sa.func.max(table.version)).group_by(table.discrepancy_id)
        found: Sequence[Any] = con.execute(newest).all()
    return {name: version for name, version in found if name in wanted}


def history(ledger: Ledger, discrepancy_id: str) -> list[dict[str, Any]]:
    """Return every decision about a discrepancy, oldest first."""
    with ledger.read() as con:
        return history_in(con, discrepancy_id)


def history_in(con: sa.Connection, discrepancy_id: str) -> list[dict[str, Any]]:
    """Return the same inside a transaction."""
    return [dict(d) for d in _history(con, discrepancy_id)]


def written_off(ledger: Ledger) -> dict[tuple[str, str], Decimal]:
    """Return the running total written off, by client and currency."""
    totals: dict[tuple[str, str], Decimal] = {}
    with ledger.read() as con:
        for d in latest(con).values():
            if d["action"] == "write_off" and d["amount"] is not None:
                key = (d["client_id"] or "", d["currency"] or "")
                totals[key] = totals.get(key, Decimal(0)) + d["amount"]
    return totals


def latest(con: sa.Connection, discrepancy_ids: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the decision in force for each discrepancy; a first approval waiting for its second is not one."""
    table = tables.decisions
    wanted = sa.true() if discrepancy_ids is None else table.c.discrepancy_id.in_(discrepancy_ids)
    newest = (
        sa.select(table.c.discrepancy_id, sa.func.max(table.c.version).label("version"))
        .where(table.c.action != FIRST_APPROVAL, wanted)
        .group_by(table.c.discrepancy_id)
        .subquery()
    )
    found = con.execute(
        sa.select(table).join(
            newest, sa.and_(table.c.discrepancy_id == newest.c.discrepancy_id, table.c.version == newest.c.version)
        )
    ).mappings()
    return {d["discrepancy_id"]: dict(d) for d in found}


def _history(con: sa.Connection, discrepancy_id: str) -> Sequence[sa.RowMapping]:
    table = tables.decisions
    return (
        con.execute(sa.select(table).where(table.c.discrepancy_id == discrepancy_id).order_by(table.c.version))
        .mappings()
        .all()
    )


def _wish(
    action: str,
    reason: str,
    actor: str,
    until: date | None,
    record_ids: Sequence[str],
    accept_stale: bool,
    at: datetime,
    limits: Limits,
    rates: Rates,
    cause: str | None,
) -> _Wish:
    """Check what is true of the whole request, not of one row."""
    word = action.replace("-", "_")
    if word not in ACTIONS:
        raise BadInput(f"There is no decision {action!r}: approve, write-off, exclude, snooze or reopen.")
    if not reason.strip():
        raise BadInput(f"A decision needs a reason: `{_spoken(word)} … --reason TEXT`.")
    if not actor.strip():
        raise BadInput(f"A decision needs the name of who made it: `{_spoken(word)} … --as NAME`.")
    if word in _NEEDS_UNTIL and until is None:
        raise BadInput(f"`{_spoken(word)}` needs `--until DATE`: {_NEEDS_UNTIL[word]}.")
    if word not in _NEEDS_UNTIL and until is not None:
        raise BadInput(f"`{_spoken(word)}` has no end; leave `--until` out.")
    if until is not None and until <= at.date():
        raise BadInput(f"`--until {until}` is not after {at.date()}; name a later day.")
    if record_ids and word != "exclude":
        raise BadInput(f"`--record` belongs to `exclude`, not to `{_spoken(word)}`.")
    if word in _NEEDS_CAUSE and cause not in CAUSES:
        raise BadInput(
            f"`{_spoken(word)}` needs `--cause {'|'.join(CAUSES)}`: what is wrong and must be mended, so that it does "
            f"not come back{f'; {cause!r} is none of these' if cause else ''}."
        )
    if word not in _NEEDS_CAUSE and cause is not None:
        raise BadInput(f"`--cause` belongs to `write-off` and `exclude`, not to `{_spoken(word)}`.")
    records = tuple(dict.fromkeys(record_ids))
    return _Wish(word, reason.strip(), actor.strip(), until, records, accept_stale, at, limits, rates, cause)


def _refuse_overtaken(history: Sequence[Mapping[str, Any]], seen: int) -> None:
    version = history[-1]["version"] if history else 0
    if history and version != seen:
        first = history[-1]
        raise _Refused(
            f"{first['decided_by']} decided {_spoken(first['action'])} meanwhile, at {_when(first['decided_at'])} "
            f"({first['reason']}); this decision was not recorded: look at the row again."
        )


def _refuse_changed(row: MartRow, expected: str | None) -> None:
    if expected is not None and expected != row["seal"]:
        raise _Refused(f"it changed since it was listed; now it is {describe(row)}: look at it again.")


def _decision(
    con: sa.Connection,
    wish: _Wish,
    row: MartRow,
    history: Sequence[dict[str, Any]],
    evidence: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the decision to record, or raise why there is none."""
    before = history[-1] if history else None
    standing = next((d for d in reversed(history) if d["action"] != FIRST_APPROVAL), None)
    _refuse_unsettled(con, str(row["discrepancy_id"]), wish.action)
    action = wish.action
    undoes: str | None = None
    records: Sequence[dict[str, Any]] = ()
    if action == "reopen":
        undoes = _undone(con, history)
    else:
        _refuse_invoiced(con, row, standing)
    if action == "approve":
        _refuse_unapprovable(row, wish)
        if standing and standing["action"] == "approve" and standing["seal"] == row["seal"]:
            raise _Refused(f"{standing['decided_by']} approved it already, at {_when(standing['decided_at'])}.")
        action = _four_eyes(row, wish, before)
    if action == "exclude":
        records = _excluded(row, wish.record_ids, evidence)
    version = (before["version"] if before else 0) + 1
    amount, currency = row.get("variance_amount"), row.get("currency")
    decision = {
        "decision_id": digest([row["discrepancy_id"], version, action, row["seal"]])[:16],
        "discrepancy_id": str(row["discrepancy_id"]),
        "version": version,
        "action": action,
        "seal": row["seal"],
        "period_month": row["period_month"],
        "client_id": row.get("client_id"),
        "service_id": row.get("service_id"),
        "kind": row["kind"],
        "quantity": row.get("variance_quantity"),
        "amount": rounded(amount, currency or "") if amount is not None else None,
        "currency": currency,
        "reason": wish.reason,
        "decided_by": wish.actor,
        "decided_at": wish.at,
        "until_on": wish.until,
        "undoes": undoes,
        "records": canonical(records),
        "row": canonical(row),
    }
    if wish.cause:
        decision["row"] = canonical({**row, "cause": wish.cause})
    if action in ("approve", FIRST_APPROVAL):
        decision["row"] = canonical({**row, "line_sha256": line_digest(decision)})
    return decision


def _refuse_unsettled(con: sa.Connection, discrepancy_id: str, action: str) -> None:
    """An invoice whose outcome is open holds its rows: a second decision could bill them twice."""
    held = invoices.holding(con, discrepancy_id)
    if held and action == "reopen":
        raise _Refused(
            f"invoice {held['reference']} with it was sent and is {held['state']}; it cannot be taken back here."
        )
    if held:
        raise _Refused(
            f"invoice {held['reference']} with it is {held['state']}: decide again when that is settled "
            "(`morton invoices status`)."
        )


def _refuse_invoiced(con: sa.Connection, row: MartRow, standing: dict[str, Any] | None) -> None:
    """A row already invoiced is settled; only a difference the mart computed knowing that invoice may be decided on."""
    posted = (
        invoices.posted_with(con, standing["decision_id"]) if standing and standing["action"] == "approve" else None
    )
    if posted and standing and standing["seal"] == row["seal"]:
        raise _Refused(f"it was invoiced already, as {posted['reference']}.")
    if row.get("status") == "invoiced":
        raise _Refused("it was invoiced already.")
    if posted and row.get("status") in ("approved", "void"):
        raise _Refused(
            f"it was invoiced as {posted['reference']} after the mart was built: run `morton reconcile`, then decide "
            "on what is left."
        )


def _refuse_unapprovable(row: MartRow, wish: _Wish) -> None:
    kind, amount, state = row["kind"], row.get("variance_amount"), row.get("source_state") or "unknown"
    if kind not in APPROVABLE:
        raise _Refused(f"{kind} cannot be approved: {_INSTEAD.get(kind, 'it is not something to bill')}.")
    if not row.get("client_id") or not row.get("service_id"):
        raise _Refused("it belongs to no client or no service yet: map it first.")
    if amount is None or not row.get("currency"):
        raise _Refused("it has no amount: give the service a list price or the contract a price first.")
    if rounded(amount, row["currency"]) == 0:
        raise _Refused(f"{plain(amount)} {row['currency']} is nothing to bill; write it off to close it.")
    if rounded(amount, row["currency"]) != amount:
        raise _Refused(
            f"{plain(amount)} {row['currency']} has more than {digits(row['currency'])} decimals and cannot be billed "
            "to the cent."
        )
    if state in ("unknown", "partial"):
        why = "a number nobody read is not zero" if state == "unknown" else "a part of the records is missing"
        raise _Refused(f"its source is {state}, and {why}: fetch again (`morton extract`) and reconcile.")
    if state == "stale" and not wish.accept_stale:
        age = f" (last read {_when(row['source_as_of_at'])})" if row.get("source_as_of_at") else ""
        raise _Refused(f"its source is stale{age}: fetch again, or approve with --accept-stale.")


def _four_eyes(row: MartRow, wish: _Wish, before: dict[str, Any] | None) -> str:
    limit = wish.limits.four_eyes_above
    if limit is None:
        return "approve"
    try:
        worth = wish.rates.worth(abs(row["variance_amount"]), row["currency"], wish.at.date())
    except NoRate as missing:
        raise _Refused(
            f"nobody can tell whether it is above {plain(limit)} {wish.rates.main_currency}, which takes a second "
            f"person. {missing}"
        ) from None
    if worth.amount <= limit:
        return "approve"
    if before is None or before["action"] != FIRST_APPROVAL or before["seal"] != row["seal"]:
        return FIRST_APPROVAL
    if before["decided_by"].casefold() == wish.actor.casefold():
        said = worth.said or f"{plain(row['variance_amount'])} {row['currency']}"
        raise _Refused(
            f"{said}, is above {plain(limit)} {wish.rates.main_currency}: {wish.actor} approved it already, and a "
            "second person must approve it too."
        )
    return "approve"


def _undone(con: sa.Connection, history: Sequence[dict[str, Any]]) -> str:
    """Return the decision a reopen undoes: the latest, or an exclusion still in force below it."""
    gone = {d["undoes"] for d in history}
    if history and history[-1]["action"] != "reopen":
        undone = history[-1]
    else:
        in_force = [d for d in history if d["action"] == "exclude" and d["decision_id"] not in gone]
        if not in_force:
            raise _Refused("there is no decision to undo.")
        undone = in_force[-1]
    if undone["action"] == "approve" and (posted := invoices.posted_with(con, undone["decision_id"])):
        raise _Refused(f"it was invoiced as {posted['reference']}; correct that invoice in the accounting system.")
    return str(undone["decision_id"])


def _excluded(row: MartRow, wanted: Sequence[str], evidence: Sequence[Mapping[str, Any]]) -> Sequence[dict[str, Any]]:
    """Name the records to exclude: those asked for, else every one added since the last agreed set."""
    if row["kind"] == "below_cost":
        raise _Refused(
            "its records are bought and in use, and it is the price that is wrong: raise it, or write it off."
        )
    if row["kind"] == "correction" or row.get("closed_at"):
        raise _Refused(
            "its month is closed and keeps the records it was closed with: exclude them on the open month's row, or in "
            "exclusions.csv from a day of that month on, which becomes a correction."
        )
    if not row.get("client_id"):
        raise _Refused("it belongs to no client yet: map the company in company_mappings.csv first.")
    known = {str(e["record_id"]): e for e in evidence}
    listed = ", ".join(sorted(known)) or "none"
    if missing := [r for r in wanted if r not in known]:
        raise _Refused(f"it has no record {' or '.join(missing)}; its records are: {listed}.")
    chosen = list(wanted) or [name for name, e in known.items() if e.get("change") == "added"]
    if not chosen:
        raise _Refused(
            f"none of its records is new, so name those to exclude with --record; its records are: {listed}."
        )
    return [{"vendor": known[name]["vendor"], "record_id": name} for name in chosen]


def describe(row: MartRow) -> str:
    """Say what a row comes to, for a comparison of before and after."""
    amount, quantity = row.get("variance_amount"), row.get("variance_quantity")
    parts = [f"{plain(Decimal(quantity))} units"] if quantity is not None else []
    if amount is not None:
        parts.append(f"{plain(Decimal(amount))} {row.get('currency') or ''}".strip())
    return f"{' for '.join(parts) or 'without an amount'} (seal {str(row['seal'])[:8]})"


def _spoken(action: str) -> str:
    return {"write_off": "write-off", FIRST_APPROVAL: "a first approval"}.get(action, action)


def _when(instant: datetime) -> str:
    return f"{instant_text(instant)[:16]}Z".replace("T", " ")
