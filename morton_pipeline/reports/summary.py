"""Sums over a list of discrepancies. Amounts of different currencies are never added."""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from morton_pipeline.reports.show import number

Row = Mapping[str, Any]


def summary(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Count and sum rows by kind and currency, largest money first."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["kind"], row["currency"] or ""].append(row)
    found = [
        {
            "kind": kind,
            "currency": currency,
            "rows": len(members),
            **{name: _sum(members, name) for name in ("variance_amount", "accumulated_amount")},
        }
        for (kind, currency), members in groups.items()
    ]
    return sorted(found, key=lambda row: -abs(row["variance_amount"] or Decimal(0)))


def _sum(rows: Sequence[Row], name: str) -> Decimal | None:
    amounts = [row[name] for row in rows if row[name] is not None]
    return sum(amounts, Decimal(0)) if amounts else None


def totals(rows: Sequence[Row], root: Path) -> str:
    """Say what is billed too little and too much, per currency, and the next step to take."""
    too_little: dict[str, Decimal] = defaultdict(Decimal)
    too_much: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["variance_amount"] is None or row["status"] not in ("open", "void", "approved"):
            continue
        if row["kind"] == "below_cost":
            # A price below the cost is no billing that was forgotten.
            continue
        side = too_little if row["variance_amount"] > 0 else too_much
        side[row["currency"]] += abs(row["variance_amount"])
    waiting = [row for row in rows if row["status"] in ("open", "void")]
    said = (
        f"{len(rows)} rows, {len(waiting)} without a decision. Billed too little this month: {_said(too_little)}; "
        f"too much: {_said(too_much)}."
    )
    billable = [row for row in waiting if row["kind"] == "under_billed" and row["source_state"] == "known"]
    if not billable:
        return said
    first = billable[0]["discrepancy_id"]
    morton = f"{_command()} --book {_short(root)}"
    return (
        f"{said}\n\nNext, for the largest row that can be billed ({billable[0]['client_name']}):\n"
        f"  {morton} evidence {first}\n"
        f'  {morton} decide approve {first} --reason "seen with the client" --as YOUR-NAME\n'
        f"  {morton} invoices post"
    )


def _command() -> str:
    """Name ourselves as we were called, so that the line can be copied."""
    called = Path(sys.argv[0])
    return _short(called.absolute()) if called.name == "morton" and called.is_file() else "morton"


def _short(root: Path) -> str:
    return str(root.relative_to(Path.cwd())) if root.is_relative_to(Path.cwd()) else str(root)


def _said(amounts: Mapping[str, Decimal]) -> str:
    return (
        ", ".join(f"{number('variance_amount', a, c)} {c}" for c, a in sorted(amounts.items(), key=lambda x: -x[1]))
        or "nothing"
    )
