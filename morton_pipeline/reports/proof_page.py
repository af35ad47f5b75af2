"""The page of a proof: one HTML file that needs nothing beside it, prints on A4, and says in the client's words.

Belongs here: how a proof looks and is written down. Does not: what is in it (`proof`).
"""

import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from morton_pipeline.book import PRIVATE, make_folder
from morton_pipeline.ledger.canonical import plain
from morton_pipeline.ledger.lines import price_text
from morton_pipeline.reports.show import as_json, number

Row = Mapping[str, Any]

_STATES = {
    "planned": "Prepared",
    "sending": "Handed to our accounting",
    "posted": "Booked in our accounting",
    "refused": "Not accepted by our accounting",
    "uncertain": "Waiting for an answer of our accounting",
    "parked": "Held for one of us to look at",
    "withdrawn": "Taken back before it was sent",
    "approved": "Approved, not invoiced yet",
    "not approved": "Not approved, not invoiced",
}
_BUCKETS = {
    "billed": "Billed",
    "included": "Included, not charged",
    "excluded": "Not billed",
    "written_off": "Not charged",
    "unknown_state": "Not billed",
}
_COUNTED = ("billed", "included", "written_off")
_MODELS = {
    "per_unit": "by the unit",
    "minimum": "by the unit, with a minimum",
    "included": "by the unit, some included",
    "flat": "a fixed quantity",
    "tiered": "by tiers",
    "block_hours": "a block of hours",
}


def write(rows: Sequence[Row], out: Path, *, name: str, firm: str, at: datetime) -> tuple[Path, Path]:
    """Write the page and, beside it, the same as JSON; return both paths.

    `out` is the page itself if it ends in .html, else a folder for a page called like `name`. Both files are for our
    account alone: whom they go to is for a person to say.
    """
    safe = re.sub(r"[^\w.-]+", "_", name).strip("._") or "proof"
    target = out if out.suffix.lower() in (".html", ".htm") else out / f"proof_{safe}.html"
    make_folder(target.parent, PRIVATE)
    beside = target.with_suffix(".json")
    for path, text in ((target, page(rows, firm=firm, at=at)), (beside, as_json(rows))):
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    return target, beside


def page(rows: Sequence[Row], *, firm: str, at: datetime) -> str:
    """Return the page of a proof: `rows` are those of `proof`, `firm` is what the client calls us."""
    first = rows[0]
    references = list(dict.fromkeys(row["reference"] for row in rows if row["reference"]))
    document = "credit note" if first["amount"] is not None and first["amount"] < 0 else "invoice"
    return _PAGES.get_template("proof.html").render(
        firm=firm,
        at=at,
        document=document,
        title=f"{document} {' and '.join(references)}" if references else f"{first['service_name']}",
        first=first,
        invoices=[next(row for row in rows if row["reference"] == name) for name in references],
        total=sum((row["amount"] for row in rows if row["amount"] is not None), Decimal(0)),
        services={row["service_id"]: row["service_name"] for row in rows},
        lines=[{**row, "title": _title(row), "sums": _sums(row), "groups": _groups(row)} for row in rows],
        readings=_unique(rows, "readings", "extraction_id"),
        mappings=_unique(
            rows, "mappings", "mapping", "vendor", "connection_id", "company_id", "endpoint", "field", "pattern"
        ),
        approvals=_unique(rows, "approvals", "decision_id"),
        is_hiding=any(e["is_personal"] and e["record_name"].startswith("User ") for r in rows for e in r["evidence"]),
    )


def _title(row: Row) -> str:
    name = row["service_name"] or row["service_id"]
    return f"Line {row['line_number']}: {name}" if row["line_number"] else name


def _sums(row: Row) -> list[tuple[str, str]]:
    """How the amount comes about, from what was counted to the money."""
    currency, variance = row["currency"], row["variance_quantity"]
    observed, agreed, billed = row["observed_quantity"], row["contracted_quantity"], row["invoiced_quantity"]
    found: list[tuple[str, str]] = []
    if row["kind"] == "invoice_mismatch":
        found += [("Agreed in the contract", plain(agreed))] if agreed is not None else []
        found += [("Invoiced for the month before this line", plain(billed or Decimal(0)))]
    else:
        tool = next((f" by {e['vendor_title']}" for e in row["evidence"] if e["bucket"] in _COUNTED), "")
        found += [(f"Counted{tool}", plain(observed))] if observed is not None else []
        to_bill = (agreed or Decimal(0)) + (variance or Decimal(0))
        if observed is not None and to_bill != observed:
            found.append(("To be billed, by the contract", plain(to_bill)))
        found.append(("Agreed, and charged already", plain(agreed or Decimal(0))))
    if variance is not None:
        found.append(("Difference", plain(variance)))
    if row["quantity"] is not None and row["unit_price"] is not None:
        at = f"{price_text(abs(row['unit_price']), currency)} {currency}"
        found.append(("On this line", f"{plain(row['quantity'])} at {at}"))
    if row["amount"] is not None:
        found.append(("Amount, net of tax", _money(row["amount"], currency)))
    return found


def _groups(row: Row) -> list[tuple[str, list[Row]]]:
    """The records, what changed first; what is not billed comes last."""
    billed = [e for e in row["evidence"] if e["bucket"] in _COUNTED]
    others = [e for e in row["evidence"] if e["bucket"] not in _COUNTED]
    is_changed = any(e["change"] != "kept" for e in billed)
    named = [
        ("Added since both numbers last agreed", [e for e in billed if e["change"] == "added"]),
        ("Gone since both numbers last agreed", [e for e in billed if e["change"] == "removed"]),
        ("Unchanged" if is_changed else "Counted", [e for e in billed if e["change"] == "kept"]),
        ("Not billed", others),
    ]
    return [(title, members) for title, members in named if members]


def _unique(rows: Sequence[Row], what: str, *keys: str) -> list[Row]:
    found = {tuple(str(member[key]) for key in keys): member for row in rows for member in row[what]}
    return [found[key] for key in found]


def _money(amount: Decimal, currency: str) -> str:
    return f"{number('amount', amount, currency)} {currency}"


def _on(day: date | None) -> str:
    return f"{day.day} {day:%b %Y}" if day else ""


def _instant(at: datetime | None) -> str:
    if at is None:
        return ""
    utc = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"


_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.filters |= {
    "money": _money,
    "price": lambda price, currency: f"{price_text(price, currency)} {currency}",
    "plain": plain,
    "on": _on,
    "instant": _instant,
    "month": lambda day: f"{day:%B %Y}",
    "state": lambda word: _STATES.get(word, word),
    "bucket": lambda word: _BUCKETS.get(word, word.replace("_", " ")),
    "model": lambda word: _MODELS.get(word, word.replace("_", " ")),
    "words": lambda name: name.replace("_", " "),
}
