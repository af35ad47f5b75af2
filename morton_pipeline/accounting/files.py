"""Invoices as files, for a book without an accounting connection: JSON, CSV to import, and a printable page.

Belongs here: the folder as an accounting system. The JSON file is the invoice; the CSV beside it is what systems
without an API import (Sage 50 and others), and the page is for people.
"""

import csv
import io
import json
import os
import secrets
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from morton_pipeline.accounting.adapter import Found, FoundLine
from morton_pipeline.accounting.drafts import Draft
from morton_pipeline.accounting.errors import Refused
from morton_pipeline.book import PRIVATE, make_folder
from morton_pipeline.cells import safe
from morton_pipeline.ledger.canonical import canonical
from morton_pipeline.ledger.lines import price_text

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)


class Files:
    """A folder that invoices are put into, for a person to type off or to send."""

    destination = "files"
    title = "The invoice folder"
    needs_ids = False
    reference_length = 40
    most_lines = 1000
    waits_for = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def check(self) -> None:
        """A folder can always be looked into."""

    def close(self) -> None:
        """Nothing is held open."""

    def render(self, draft: Draft) -> str:
        """Write the invoice in our own words."""
        lines = [
            {
                "service_id": line.service_id,
                "description": line.description,
                "quantity": line.quantity,
                "unit_price": line.unit_price,
                "amount": line.amount,
                "evidence": line.discrepancy_id,
            }
            for line in draft.lines
        ]
        return canonical(
            {
                "reference": draft.reference,
                "client_id": draft.client_id,
                "client_name": draft.client_name,
                "period_month": draft.period_month,
                "currency": draft.currency,
                "total_amount": draft.total_amount,
                "lines": lines,
                "note": draft.note,
            }
        )

    def expect(self, payload: str, *, is_credit: bool) -> Found:
        """Read a body back as the invoice it asks for."""
        return _found(json.loads(payload))

    def find(self, expected: Found) -> list[Found]:
        """The file of that name, if there is one."""
        found = self.read_back(expected, expected.reference)
        return [] if found is None else [found]

    def list_since(self, since: date) -> list[Found]:
        """The files of that month and later ones."""
        if not self._folder.is_dir():
            return []
        paths = [path for path in sorted(self._folder.glob("M*-*.json")) if path.name >= f"M{since:%Y%m}-"]
        return [_found(json.loads(path.read_bytes())) for path in paths]

    def create(self, payload: str, key: str, *, is_credit: bool) -> str:
        """Put the files into place whole. The JSON comes last: it is what makes the invoice exist."""
        invoice = json.loads(payload)
        path = self._folder / f"{invoice['reference']}.json"
        make_folder(self._folder, PRIVATE)
        _write(path.with_suffix(".html"), page(invoice).encode(), replace=True)
        _write(path.with_suffix(".csv"), table(invoice).encode("utf-8-sig"), replace=True)
        try:
            _write(path, payload.encode(), replace=False)
        except FileExistsError:
            raise Refused(f"{path} exists already.", is_duplicate=True) from None
        return str(invoice["reference"])

    def is_to_release(self, found: Found) -> bool:
        """A file has no draft."""
        return False

    def release(self, found: Found) -> None:
        """Never asked."""

    def read_back(self, expected: Found, accounting_id: str) -> Found | None:
        """Read the file again."""
        path = self._folder / f"{accounting_id}.json"
        return _found(json.loads(path.read_bytes())) if path.is_file() else None


COLUMNS = (
    "document",
    "reference",
    "period_month",
    "client_id",
    "client_name",
    "service_id",
    "description",
    "quantity",
    "unit_price",
    "amount",
    "currency",
)
"""Of the CSV: one row per line. Amounts are net, and above zero on a credit note too: the document says which it is."""


def table(invoice: Mapping[str, Any]) -> str:
    """Return the lines of an invoice as CSV to import."""
    head = {name: invoice[name] for name in ("reference", "period_month", "client_id", "client_name", "currency")}
    head["document"] = "credit note" if Decimal(invoice["total_amount"]) < 0 else "invoice"
    rows = [
        {**head, **line, "quantity": line["quantity"].lstrip("-"), "amount": line["amount"].lstrip("-")}
        for line in invoice["lines"]
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([safe(row[column]) for column in COLUMNS] for row in rows)
    return text.getvalue()


def page(invoice: Mapping[str, Any]) -> str:
    """Return the printable page of an invoice."""
    period = date.fromisoformat(invoice["period_month"])
    document = "Credit note" if Decimal(invoice["total_amount"]) < 0 else "Invoice"
    lines = [
        {**line, "unit_price": price_text(Decimal(line["unit_price"]), invoice["currency"])}
        for line in invoice["lines"]
    ]
    return _PAGES.get_template("invoice.html").render(
        invoice=invoice, document=document, lines=lines, period=f"{period:%B %Y}"
    )


def _found(invoice: Mapping[str, Any]) -> Found:
    return Found(
        accounting_id=invoice["reference"],
        reference=invoice["reference"],
        customer_id=invoice["client_id"],
        currency=invoice["currency"],
        lines=tuple(
            FoundLine(line["service_id"], Decimal(line["amount"]), text=line["description"])
            for line in invoice["lines"]
        ),
        note=invoice["note"],
        dated_on=date.fromisoformat(invoice["period_month"]),
        is_credit=Decimal(invoice["total_amount"]) < 0,
    )


def _write(path: Path, content: bytes, *, replace: bool) -> None:
    """Write a file so that it is there whole or not at all, also after a power cut."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
