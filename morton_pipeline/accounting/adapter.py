"""What the posting state machine asks of an accounting system, and how two invoices are compared.

Belongs here: the words both sides share. An adapter knows one system's API and keeps no state of its own.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

from morton_pipeline.accounting.drafts import Draft
from morton_pipeline.ledger.canonical import plain


@dataclass(frozen=True)
class FoundLine:
    """One line that counts towards the total."""

    item_id: str
    amount: Decimal
    served_on: date | None = None


@dataclass(frozen=True)
class Found:
    """An invoice as the accounting system has it, or as we mean it to be."""

    accounting_id: str
    reference: str
    customer_id: str
    currency: str
    lines: Sequence[FoundLine]
    note: str
    """Where our reference and the decisions stand, out of the customer's sight."""
    dated_on: date | None = None

    @property
    def is_void(self) -> bool:
        """Whether it was voided: it keeps its number, bills nothing, and says so in its note."""
        return self.net_amount == 0 and "void" in self.note.lower()

    @property
    def net_amount(self) -> Decimal:
        """The total before tax: tax is the accounting system's, and never compared."""
        return sum((line.amount for line in self.lines), Decimal(0))


class Adapter(Protocol):
    """One accounting system. Every call may raise `RunStopped`."""

    destination: str
    """The connection invoices go to."""
    title: str
    """The system's name, for sentences."""
    needs_ids: bool
    """Whether clients and services must carry the system's ids in the seeds."""

    def check(self) -> None:
        """Refuse to begin when invoices could not be found again afterwards."""
        ...

    def render(self, draft: Draft) -> str:
        """Write the body that is sent: canonical JSON, the same for the same draft on any day."""
        ...

    def expect(self, payload: str) -> Found:
        """Read a body back as the invoice it asks for."""
        ...

    def find(self, reference: str) -> list[Found]:
        """Return every invoice with our reference. Raises `LookupFailed` or `NotSent`."""
        ...

    def look_alikes(self, customer_id: str, since: date) -> list[Found]:
        """Return the customer's invoices dated since a day, whoever made them; none where the system cannot tell."""
        ...

    def create(self, payload: str, key: str) -> str:
        """Send a body under its idempotency key and return the new invoice's id.

        Raises `Refused`, `NotSent` or `OutcomeUnknown`.
        """
        ...

    def read_back(self, accounting_id: str) -> Found | None:
        """Return one invoice, or nothing when it is gone. Raises `LookupFailed` or `NotSent`."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def difference(expected: Found, found: Found) -> str | None:
    """Say in what an invoice differs from the one approved, or nothing when it is the same to the cent."""
    if found.customer_id != expected.customer_id:
        return f"it is for customer {found.customer_id}, not {expected.customer_id}"
    if found.currency and found.currency != expected.currency:
        return f"it is in {found.currency}, not {expected.currency}"
    if found.net_amount != expected.net_amount:
        return f"its net total is {plain(found.net_amount)}, not {plain(expected.net_amount)} {expected.currency}"
    if Counter((x.item_id, x.amount) for x in found.lines) != Counter((x.item_id, x.amount) for x in expected.lines):
        return "its lines are not the approved ones"
    if expected.reference not in found.note:
        return f"its note does not carry our mark {expected.reference}"
    return None
