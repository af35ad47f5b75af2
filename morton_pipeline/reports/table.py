"""Tables for a terminal: as wide as it is, numbers to the right, long text wrapped and never cut."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from morton_pipeline.reports.show import plain

_HEADINGS = {
    "change_amount": "change",
    "discrepancy_id": "id",
    "client_name": "client",
    "service_name": "service",
    "observed_quantity": "observed",
    "contracted_quantity": "contract",
    "invoiced_quantity": "invoiced",
    "variance_quantity": "variance",
    "variance_amount": "amount",
    "purchased_quantity": "bought",
    "distributor_invoiced_quantity": "charged us",
    "assigned_quantity": "assigned",
    "waste_quantity": "unused",
    "waste_amount": "unused cost",
    "margin_amount": "margin",
    "device_name": "machine",
    "device_class": "class",
    "since_on": "since",
    "source_state": "source",
    "accumulated_amount": "accumulated",
    "period_month": "month",
    "total_amount": "total",
}
_WHOLE = (
    "discrepancy_id",
    "reference",
    "status",
    "began_on",
    "extraction_id",
    "mapping",
    "since_on",
    "gap",
    "changed_on",
    "change",
)
"""Columns that are of no use when they break into two lines."""

_LONGEST_WORD = 14
"""A column that must be narrow still holds words of so many letters unbroken."""


def render(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows as a table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        is_number = any(
            isinstance(row.get(name), int | Decimal) and not isinstance(row.get(name), bool) for row in rows
        )
        heading = _HEADINGS.get(name, name.replace("_", " "))
        words = " ".join([heading, *(str(row[name]) for row in rows if row.get(name) is not None)]).split()
        table.add_column(
            heading,
            justify="right" if is_number else "left",
            no_wrap=is_number or name in _WHOLE,
            overflow="fold",
            min_width=min(max(map(len, words)), _LONGEST_WORD),
        )
    for row in rows:
        values = plain(row)
        table.add_row(*("" if values.get(name) is None else str(values[name]) for name in columns))
    width = shutil.get_terminal_size((150, 40)).columns if sys.stdout.isatty() else 180
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)
