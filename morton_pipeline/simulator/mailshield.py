"""A stand-in for an invented mail filter that answers no requests and sends a report: CSV as a European Excel saves it.

Semicolons, a decimal comma with points between thousands, UTF-8 with a mark, Windows line ends. An item's `kind` is its
plan, its name the domain that is filtered, its quantity the mailboxes; of its facts `status` is read.
"""

import csv
import io
import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from morton_pipeline.simulator.entities import Tool
from morton_pipeline.simulator.world import alive

HEADER = ("Customer", "Customer ID", "Domain", "Plan", "Mailboxes", "Status")

CONNECTION: dict[str, Any] = {
    "id": "mailshield",
    "vendor": "files",
    "title": "MailShield",
    "category": "security",
    "folder": "inbox/mailshield",
    "pattern": "usage_*.csv",
    "delimiter": ";",
    "decimal": ",",
    "as_of": {"pattern": r"usage_(\d{4}-\d{2}-\d{2})"},
    "unit": "mailbox",
    "columns": {
        "record_id": ["Customer ID", "Domain"],
        "record_name": "Domain",
        "company_id": "Customer ID",
        "company_name": "Customer",
        "sku": "Plan",
        "quantity": "Mailboxes",
        "state": "Status",
    },
    "rules": [
        {"field": "state", "pattern": "cancelled", "name": "cancelled", "reason": "A cancelled domain is not billed."}
    ],
}
"""Its block of connections.yaml."""


def write_report(tool: Tool, at: datetime, folder: Path) -> Path:
    """Put the report of a day into a folder, as of an instant, and return it."""
    names = {company.id: company.name for company in alive(tool.companies, at)}
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(HEADER)
    for item in sorted(alive(tool.items, at), key=lambda item: (item.company_id, item.name)):
        status = item.facts.get("status", "active")
        customer = names.get(item.company_id, "")
        writer.writerow((customer, item.company_id, item.name, item.kind, _european(item.quantity), status))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"usage_{at:%Y-%m-%d}.csv"
    path.write_bytes(text.getvalue().encode("utf-8-sig"))
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def _european(number: Decimal) -> str:
    """Write 1234.5 as 1.234,50."""
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))
