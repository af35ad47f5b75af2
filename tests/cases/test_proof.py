"""What stands behind every line of an invoice: the approval, the records and the accounting system's id."""

from pathlib import Path
from typing import Any

import pytest

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import open_ledger
from morton_pipeline.reports.proof import proof
from tests.cases.test_invoicing import DRIFTS


@pytest.fixture
def ask(told: Path) -> Any:
    """Ask the book of the stories what stands behind something."""
    book = Book(told / "book")

    def asked(name: str) -> list[dict[str, Any]]:
        with open_ledger(book) as ledger:
            return proof(book, ledger, name)

    return asked


def test_a_line_leads_to_its_approval_its_records_and_its_accounting_id(ask: Any) -> None:
    (row,) = ask("M-sent-and-voided")
    assert (row["accounting_id"], row["state"], row["line_number"]) == ("ours-sent-and-voided", "posted", 1)
    assert (row["decided_by"], row["decided_because"], row["amount"]) == ("Fay", "seen", 20)
    assert (row["evidence_state"], row["evidence_count"]) == ("as approved", 3)
    assert {e["vendor"] for e in row["evidence"]} == {"ninjaone"}
    assert "3" in row["explanation"]


@pytest.mark.parametrize("name", ["M-as-sent", "invoice-as-sent", "ours-as-sent"])
def test_an_invoice_is_found_by_any_of_its_names(ask: Any, name: str) -> None:
    (row,) = ask(name)
    assert ask(row["discrepancy_id"]) == [row]


def test_records_that_changed_since_are_said_to(ask: Any) -> None:
    (row,) = ask("M-shrunk-since")
    assert row["evidence_state"] != "as approved"


def test_an_unknown_name_says_where_the_names_are(ask: Any) -> None:
    with pytest.raises(BadInput, match="morton invoices status"):
        ask("nothing")


def test_every_story_of_touched_invoices_has_a_proof(ask: Any) -> None:
    assert [len(ask(f"M-{client}")) for client in DRIFTS] == [1] * len(DRIFTS)
