"""A book with an empty ledger, and mart rows to decide on."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from morton_pipeline.book import Book, Limits
from morton_pipeline.ledger import Ledger, Outcome, decide, open_ledger

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
def book(tmp_path: Path) -> Book:
    (tmp_path / "connections.yaml").write_text("connections: []\n", "utf-8")
    return Book(tmp_path)


@pytest.fixture
def ledger(book: Book) -> Iterator[Ledger]:
    with open_ledger(book) as ledger:
        yield ledger


@pytest.fixture
def row() -> Callable[..., dict[str, Any]]:
    """A row of marts.discrepancies: 7 seats more than the contract says; keyword arguments replace columns."""

    def make(discrepancy_id: str = "0123456789ab", **changes: Any) -> dict[str, Any]:
        return {
            "discrepancy_id": discrepancy_id,
            "period_month": date(2026, 11, 1),
            "client_id": "acme",
            "client_name": "Acme Corp",
            "service_id": "m365_bp",
            "service_name": "Microsoft 365 Business Premium",
            "kind": "under_billed",
            "observed_quantity": Decimal("47.0000"),
            "contracted_quantity": Decimal("40.0000"),
            "invoiced_quantity": Decimal("40.0000"),
            "variance_quantity": Decimal("7.0000"),
            "unit_price": Decimal("22.0000"),
            "currency": "USD",
            "variance_amount": Decimal("154.0000"),
            "accumulated_amount": Decimal("154.0000"),
            "recoverable_amount": Decimal("154.0000"),
            "began_on": date(2026, 11, 3),
            "source_state": "known",
            "source_as_of_at": datetime(2026, 11, 23, 6),  # noqa: DTZ001 (as DuckDB hands it over)
            "explanation": "Acme Corp has 47 seats and pays for 40.",
            "is_within_tolerance": False,
            "is_estimate": False,
            "seal": "a" * 64,
            "status": "open",
            "decided_by": None,
            "decided_at": None,
        } | changes

    return make


@pytest.fixture
def choose(ledger: Ledger) -> Callable[..., Outcome]:
    """Decide with everything a decision needs; keyword arguments replace any of it."""

    def run(rows: Any, action: str = "approve", **changes: Any) -> Outcome:
        words: dict[str, Any] = {"reason": "agreed with the client", "actor": "ann", "at": AT, "limits": Limits()}
        words |= {"cause": "contract"} if action in ("write-off", "write_off", "exclude") else {}
        return decide(ledger, rows if isinstance(rows, list) else [rows], action=action, **(words | changes))

    return run
