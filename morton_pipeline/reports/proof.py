"""What stands behind an invoice: for each line the approval, the records, and what the accounting system calls it.

Belongs here: putting the ledger and the mart side by side. Reads both, changes nothing.
"""

import json
from typing import Any

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import decisions, invoices
from morton_pipeline.ledger.invoices import Invoice
from morton_pipeline.ledger.store import Ledger
from morton_pipeline.reports import mart

Row = dict[str, Any]


def proof(book: Book, ledger: Ledger, name: str) -> list[Row]:
    """Return one row per line of an invoice, or of the invoices that bill one discrepancy.

    `name` is an invoice's reference, our id or the accounting system's id for it, or a discrepancy's id. Each row has
    the line, the approval it stands on, what became of it, and under `evidence` the records of the published mart;
    `evidence_state` says whether those are the approved ones. Raises `BadInput` when nothing is called that.
    """
    found = [
        (invoice, number, line)
        for invoice in invoices.current(ledger)
        for number, line in enumerate(invoice.lines, start=1)
        if name in (invoice.reference, invoice.invoice_id, invoice.accounting_id, line.discrepancy_id)
    ]
    if not found:
        raise BadInput(f"No invoice and no row on one is called {name!r}; `morton invoices status` lists them.")
    ids = sorted({line.discrepancy_id for _, _, line in found})
    with ledger.read() as con:
        made = {d["decision_id"]: d for name in ids for d in decisions.history_in(con, name)}
    evidence = mart.evidence_of(book, ids)
    seals = mart.seals(book, ids)
    return [
        _row(
            invoice, number, line, made[line.decision_id], evidence[line.discrepancy_id], seals.get(line.discrepancy_id)
        )
        for invoice, number, line in found
    ]


def _row(
    invoice: Invoice, number: int, line: invoices.Line, decision: Row, evidence: list[Row], seal: str | None
) -> Row:
    approved = json.loads(decision["row"])
    if not evidence:
        state = "gone: nothing is different any more"
    else:
        state = "as approved" if seal == decision["seal"] else "changed since it was approved"
    return {
        "reference": invoice.reference,
        "accounting_id": invoice.accounting_id,
        "state": invoice.state,
        "reason": invoice.reason,
        "line_number": number,
        "discrepancy_id": line.discrepancy_id,
        "client_id": invoice.client_id,
        "period_month": invoice.period_month,
        "service_id": line.service_id,
        "kind": line.kind,
        "description": line.description,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "amount": line.amount,
        "currency": invoice.currency,
        "explanation": approved.get("explanation"),
        "decision_id": line.decision_id,
        "decided_by": decision["decided_by"],
        "decided_at": decision["decided_at"],
        "decided_because": decision["reason"],
        "seal": decision["seal"],
        "line_sha256": approved.get("line_sha256"),
        "evidence_state": state,
        "evidence_count": len(evidence),
        "evidence": evidence,
    }
