"""What somebody approved, beside what it is now: why an approval is void.

Belongs here: comparing the row a decision keeps with the row of the mart. Does not: deciding that it is void (the seal
in the mart does), or deciding anew (`ledger/decisions`).
"""

import json
from collections.abc import Mapping
from typing import Any

from morton_pipeline.book import Book
from morton_pipeline.ledger import decisions, open_ledger
from morton_pipeline.reports.show import plain

Row = Mapping[str, Any]

_SAID = {
    "observed_quantity": "observed",
    "contracted_quantity": "contracted",
    "variance_quantity": "to bill",
    "unit_price": "unit price",
    "variance_amount": "amount",
    "currency": "currency",
    "kind": "kind",
    "source_state": "source",
    "billed_to": "billed to",
}
"""What of a row is compared, in the words it is told in."""


def approved(book: Book, discrepancy_id: str) -> dict[str, Any] | None:
    """Return the approval that is the last word on a row, else nothing; its `row` is the row it was given on."""
    with open_ledger(book) as ledger:
        found = decisions.history(ledger, discrepancy_id)
    if not found or found[-1]["action"] != "approve":
        return None
    return {**found[-1], "row": json.loads(found[-1]["row"])}


def changes(approval: Row, row: Row) -> list[dict[str, str]]:
    """Return what differs between the row that was approved and the row as it is: what, before and after.

    Where nothing a list shows has changed, it is the records, the contract's terms or their mappings that have.
    """
    before, after = _texts(approval["row"]), _texts(row)
    found = [
        {"what": said, "before": before[name], "after": after[name]}
        for name, said in _SAID.items()
        if before[name] != after[name]
    ]
    return found or [
        {"what": "records, contract or mappings", "before": approval["seal"][:8], "after": str(row["seal"])[:8]}
    ]


def _texts(row: Row) -> dict[str, str]:
    """Return the compared columns as they are told; the ledger keeps text where the mart has numbers."""
    shown = plain({name: row.get(name) for name in _SAID})
    return {name: _number(str("" if value is None else value)) for name, value in shown.items()}


def _number(text: str) -> str:
    """Write 7.0000 as 7: one number, however it was kept."""
    return text.rstrip("0").rstrip(".") if "." in text and text.replace(".", "").lstrip("-").isdigit() else text
