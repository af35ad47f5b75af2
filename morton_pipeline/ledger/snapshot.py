"""The ledger as tables, for dbt to read like any other source.

Belongs here: the shape of those tables. pandas is imported when a snapshot is asked for, because everything else
that opens the ledger starts faster without it.
"""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from morton_pipeline.ledger import decisions, invoices, tables
from morton_pipeline.ledger.store import Ledger

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "decisions": (
        "decision_id",
        "discrepancy_id",
        "version",
        "action",
        "seal",
        "period_month",
        "client_id",
        "service_id",
        "kind",
        "quantity",
        "amount",
        "currency",
        "reason",
        "decided_by",
        "decided_at",
        "until_on",
        "undoes",
        "cause",
        "is_latest",
    ),
    "exclusions": (
        "exclusion_id",
        "discrepancy_id",
        "client_id",
        "service_id",
        "vendor",
        "record_id",
        "reason",
        "owner",
        "effective_from",
        "expires_on",
    ),
    "invoices": (
        "invoice_id",
        "reference",
        "destination",
        "client_id",
        "period_month",
        "currency",
        "total_amount",
        "state",
        "reason",
        "customer_id",
        "accounting_id",
        "updated_at",
    ),
    "invoice_lines": (
        "invoice_id",
        "decision_id",
        "discrepancy_id",
        "period_month",
        "client_id",
        "service_id",
        "kind",
        "quantity",
        "unit_price",
        "amount",
        "currency",
        "state",
        "accounting_id",
    ),
}
"""The columns of each table, in order; they are there also when the ledger is empty."""


def snapshot(ledger: Ledger, as_of: datetime | None = None) -> "dict[str, pd.DataFrame]":
    """Return the ledger's tables as they are, or as they were at an instant: without what came after it.

    Instants are naive UTC, dates are dates, amounts are decimals.
    """
    import pandas as pd

    with ledger.read() as con:
        decided = _decided(con, as_of)
        invoiced = invoices.read(con, until=as_of)
    counted = [d for d in decided if d["action"] != decisions.FIRST_APPROVAL]
    newest: dict[str, int] = {}
    for d in counted:
        newest[d["discrepancy_id"]] = max(d["version"], newest.get(d["discrepancy_id"], 0))
    rows = {
        "decisions": [
            {**d, "cause": json.loads(d["row"]).get("cause"), "is_latest": d["version"] == newest[d["discrepancy_id"]]}
            for d in counted
        ],
        "exclusions": _exclusions(decided),
        "invoices": [_invoice(invoice) for invoice in invoiced],
        "invoice_lines": [_line(invoice, line) for invoice in invoiced for line in invoice.lines],
    }
    return {
        name: pd.DataFrame([_naive(row) for row in rows[name]], columns=list(columns))
        for name, columns in COLUMNS.items()
    }


def exclusion_ids(ledger: Ledger) -> list[str]:
    """Return what the exclusions in force are called; one that was recorded never changes."""
    with ledger.read() as con:
        return [exclusion["exclusion_id"] for exclusion in _exclusions(_decided(con))]


def _decided(con: sa.Connection, as_of: datetime | None = None) -> list[dict[str, Any]]:
    table = tables.decisions
    known = sa.true() if as_of is None else table.c.decided_at <= as_of
    return [dict(d) for d in con.execute(sa.select(table).where(known).order_by(table.c.decision_id)).mappings()]


def _exclusions(decided: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An exclusion holds until it is reopened; a later decision about what is left of its row does not lift it."""
    undone = {d["undoes"] for d in decided}
    return [
        {
            "exclusion_id": f"{d['decision_id']}-{number}",
            "discrepancy_id": d["discrepancy_id"],
            "client_id": d["client_id"],
            "service_id": d["service_id"],
            "vendor": record["vendor"],
            "record_id": record["record_id"],
            "reason": d["reason"],
            "owner": d["decided_by"],
            "effective_from": d["period_month"],
            "expires_on": d["until_on"],
        }
        for d in decided
        if d["action"] == "exclude" and d["decision_id"] not in undone
        for number, record in enumerate(json.loads(d["records"]), start=1)
    ]


def _invoice(invoice: invoices.Invoice) -> dict[str, Any]:
    return {
        **invoices.status_row(invoice),
        "destination": invoice.destination,
        "customer_id": invoice.customer_id,
    }


def _line(invoice: invoices.Invoice, line: invoices.Line) -> dict[str, Any]:
    return {
        **line.__dict__,
        "invoice_id": invoice.invoice_id,
        "period_month": invoice.period_month,
        "client_id": invoice.client_id,
        "currency": invoice.currency,
        "state": invoice.state,
        "accounting_id": invoice.accounting_id,
    }


def _naive(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v.astimezone(UTC).replace(tzinfo=None) if isinstance(v, datetime) else v for k, v in row.items()}
