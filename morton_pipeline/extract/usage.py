"""What a tool that connections.yaml declares tells us of its customers' usage: the one shape its records take.

Belongs here: that shape, and filling it from whatever a tool calls its fields. Does not: where the values come from
(`vendors/rest`, `extract/files`), or reading the declaration (`declared`).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from morton_pipeline.extract.records import Number, Record, Text, column, columns, key

Json = Any

SILENT_AFTER = timedelta(days=14)
FIRST_YEAR = 1980
"""Instants before it are how software says «never»."""


class Usage(Record):
    """One thing a tool counts: a seat, a mailbox, a device, a customer's month."""

    record_id: Text = key("What names the record in its tool, for life.")
    record_name: Text = column("What a person calls it.")
    company_id: Text = column("The company it belongs to, as the tool knows it.", nullable=False)
    company_name: Text = column("The company's name.")
    sku: Text = column("What it is, in the tool's own word: its plan, product or class.")
    sku_name: Text = column("The same in words.")
    quantity: Number = column(
        "How many of them the record stands for.",
        nullable=False,
        str_matches=r"^\d{1,19}(\.\d+)?$",
        metadata={"sql": "decimal(28, 9)"},
    )
    unit: Text = column("What one of it is: user, licence, device, agent, mailbox, gigabyte or other.")
    state: Text = column("What the tool says of its state.")
    serial_number: Text = column("The machine's serial number.")
    mac_addresses: Text = column("The machine's network addresses, as JSON.")
    host_name: Text = column("The machine's name.")
    person_id: Text = column("The person who holds it, where one may hold several.")
    seen_on: Text = column(
        f"When it was last seen. Empty while that is younger than {SILENT_AFTER.days} days.",
        str_matches=r"^\d{4}-\d{2}-\d{2}$",
        metadata={"settles_after": SILENT_AFTER},
    )
    attributes: Text = column("Further columns that were declared, as JSON.")


class Company(Record):
    """A client company as the tool knows it."""

    company_id: Text = key("The tool's own id of the company.")
    company_name: Text = column("The company's name.")


WORDS = tuple(c.name for c in columns(Usage))
"""The words under `columns:`."""
COMPANY = ("company_id", "company_name")
JOINED = ("record_id", "company_id", "person_id")
"""The columns that several fields together may name."""

LookUp = Callable[[str, str], Json]
"""Returns what stands in a record for one of our columns, under the tool's own name for it."""


@dataclass(frozen=True)
class Shape:
    """Which of the tool's fields each of our columns is."""

    names: Mapping[str, Sequence[str]]
    attributes: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Json] = field(default_factory=dict)
    """What is the same in every record."""

    def record(self, look_up: LookUp) -> dict[str, Json]:
        """Fill our columns. Nothing is made up: what is empty stays empty, and validation decides what may be."""
        row = dict(self.fixed)
        for word, names in self.names.items():
            row[word] = _READERS.get(word, text_of)(self._value(word, names, look_up))
        if self.attributes:
            found = {name: look_up("attributes", where) for name, where in self.attributes.items()}
            row["attributes"] = json.dumps(found, ensure_ascii=False, sort_keys=True, default=str)
        return row

    def _value(self, word: str, names: Sequence[str], look_up: LookUp) -> Json:
        if len(names) == 1:
            return look_up(word, names[0])
        parts = [text_of(look_up(word, name)) for name in names]
        return None if None in parts else "|".join(str(part) for part in parts)


def text_of(value: Json) -> Json:
    """Return a value as text, nothing where it says nothing; a list is left for the record to keep as JSON."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f") if abs(value.adjusted()) < 30 else str(value)
    return value if value is None or isinstance(value, list) else str(value)


def addresses_of(value: Json) -> str | None:
    """Return network addresses as a JSON list, however many stand in however many texts."""
    texts = value if isinstance(value, list) else [value]
    found = [part for text in texts if text is not None for part in re.split(r"[\s,;|]+", str(text)) if part]
    return json.dumps(found) if found else None


def day_of(value: Json) -> Json:
    """Return the day of an ISO instant, or of epoch seconds or milliseconds; leave what is neither for validation."""
    text = text_of(value)
    if text is None or isinstance(text, list):
        return text
    try:
        seen = _epoch(float(text)) if re.fullmatch(r"\d{1,13}(\.\d+)?", text) and len(text) != 8 else (
            datetime.fromisoformat(text)
        )  # fmt: skip
    except (ValueError, OverflowError, OSError):
        return text
    if seen.year < FIRST_YEAR:
        return None
    return f"{seen.astimezone(UTC) if seen.tzinfo else seen:%Y-%m-%d}"


def _epoch(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds / 1000 if seconds >= 1e11 else seconds, UTC)


_READERS: Mapping[str, Callable[[Json], Json]] = {"mac_addresses": addresses_of, "seen_on": day_of}
