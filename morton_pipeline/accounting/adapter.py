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
    """Net; negative on a credit note."""
    served_on: date | None = None
    text: str = ""


@dataclass(frozen=True)
class Found:
    """An invoice or a credit note as the accounting system has it, or as we mean it to be."""

    accounting_id: str
    reference: str
    """Our number for it; on one that is not ours, the number people know it by."""
    customer_id: str
    currency: str
    lines: Sequence[FoundLine]
    note: str
    """Where our reference and the decisions stand, out of the customer's sight."""
    dated_on: date | None = None
    is_credit: bool = False
    is_void: bool = False
    """Whether it was voided or deleted and is kept to be seen: it bills nothing."""
    is_draft: bool = False
    """Whether it waits to be released: it is there, and not yet in the books."""

    @property
    def net_amount(self) -> Decimal:
        """The total before tax: tax is the accounting system's, and never compared."""
        return sum((line.amount for line in self.lines), Decimal(0))


class Adapter(Protocol):
    """One accounting system. Every call may raise `RunStopped`.

    Invoices and credit notes are one thing here: a credit note's amounts are negative, and whatever the system calls
    it is the adapter's own affair.
    """

    destination: str
    """The connection invoices go to."""
    title: str
    """The system's name, for sentences."""
    needs_ids: bool
    """Whether clients and services must carry the system's ids in the seeds."""
    reference_length: int
    """The most characters a document number may have: ours is made to fit, and never cut."""
    most_lines: int
    """The most lines a document may have."""

    @property
    def waits_for(self) -> str:
        """What must come before anything can be asked, for sentences; nothing where it can be asked now."""
        ...

    def check(self) -> None:
        """Refuse to begin when invoices could not be found again afterwards."""
        ...

    def render(self, draft: Draft) -> str:
        """Write the body that is sent: canonical JSON, the same for the same draft.

        A system that wants a date, accounts or tax in it is asked for those, once in a run, and for nothing else.
        """
        ...

    def expect(self, payload: str, *, is_credit: bool) -> Found:
        """Read a body back as the document it asks for."""
        ...

    def find(self, expected: Found) -> list[Found]:
        """Return every document with the expected one's reference. Raises `LookupFailed` or `NotSent`."""
        ...

    def list_since(self, since: date) -> list[Found]:
        """Return every invoice and credit note dated since a day, whoever made it. Raises `LookupFailed`, `NotSent`."""
        ...

    def create(self, payload: str, key: str, *, is_credit: bool) -> str:
        """Send a body under its idempotency key and return the new document's id.

        Raises `Refused`, `NotSent` or `OutcomeUnknown`.
        """
        ...

    def release(self, found: Found) -> None:
        """Put a draft into the books where this connection wants that. Called again after a crash: it must not matter.

        Raises as `create` does. A system that has no drafts, or is to keep them, is never asked: see `is_to_release`.
        """
        ...

    def is_to_release(self, found: Found) -> bool:
        """Whether a document still waits for `release`."""
        ...

    def read_back(self, expected: Found, accounting_id: str) -> Found | None:
        """Return one document, or nothing when it is gone. Raises `LookupFailed` or `NotSent`."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def difference(expected: Found, found: Found) -> str | None:
    """Say in what an invoice differs from the one approved, or nothing when it is the same to the cent."""
    if found.is_credit != expected.is_credit:
        return "it is a credit note" if found.is_credit else "it is an invoice, not a credit note"
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
