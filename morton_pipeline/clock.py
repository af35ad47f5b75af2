"""What time it is. The only place that asks the operating system or reads `MORTON_NOW`.

`MORTON_NOW` (an ISO instant with an offset) sets the clock of one command: replays, the demo and tests use it.
That a book never moves backwards is checked in `ledger.audit.refuse_earlier`, where the book's history is known.
"""

import os
from datetime import UTC, datetime

from morton_pipeline.errors import BadInput


def now() -> datetime:
    """Return the current instant in UTC, or the one `MORTON_NOW` names."""
    text = os.environ.get("MORTON_NOW")
    return parse(text, "MORTON_NOW") if text else datetime.now(UTC)


def parse(text: str, what: str) -> datetime:
    """Read an ISO instant; a date alone means its first moment in UTC, and an offset is honoured."""
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(f"{what} is {text!r}: give an ISO instant such as 2026-11-23T06:00:00Z.") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def wall() -> datetime:
    """Return the real instant, whatever `MORTON_NOW` says: what tokens and waiting are measured by."""
    return datetime.now(UTC)
