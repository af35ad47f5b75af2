"""How one approved row reads on an invoice: quantity, price, amount and text, to the cent that was approved.

Belongs here: the line, and the digest an approval carries of it. Does not: whom it is sent to (`accounting/drafts.py`).
"""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from morton_pipeline.ledger.canonical import digest, plain, rounded
from morton_pipeline.ledger.invoices import Line


def line_of(decision: Mapping[str, Any]) -> Line:
    """Write one line. Where quantity × price is not the amount (tiers, minimums), it is one at the amount.

    What is given back has a quantity and an amount below zero, and the numbers of the invoices that billed it.
    """
    row, amount, currency = json.loads(decision["row"]), decision["amount"], decision["currency"]
    quantity, price = decision["quantity"], row.get("unit_price")
    name = row.get("service_name") or decision["service_id"]
    corrects = row.get("corrects_month")
    when = f"correction of {date.fromisoformat(corrects):%B %Y}" if corrects else f"{decision['period_month']:%B %Y}"
    origin = f", billed on {row['invoiced_as']}" if amount < 0 and row.get("invoiced_as") else ""
    mark = f"{origin} (ref {decision['discrepancy_id']})"
    sign = -1 if amount < 0 else 1
    verb = "credit for " if amount < 0 else ""
    if quantity and price and Decimal(price) > 0 and rounded(quantity * Decimal(price), currency) == amount:
        unit_price = Decimal(price)
        text = f"{name}: {verb}{plain(abs(quantity))} × {price_text(unit_price, currency)} {currency}, {when}{mark}"
    else:
        units = f"{plain(abs(quantity))} units at the contract's prices" if quantity else "as agreed"
        quantity, unit_price = Decimal(sign), abs(amount)
        text = f"{name}: {verb}{units}, {when}{mark}"
    return Line(
        decision_id=decision["decision_id"],
        discrepancy_id=decision["discrepancy_id"],
        service_id=decision["service_id"],
        kind=decision["kind"],
        quantity=Decimal(plain(quantity)),
        unit_price=Decimal(price_text(unit_price, currency)),
        amount=rounded(amount, currency),
        description=text,
    )


def price_text(price: Decimal, currency: str) -> str:
    """Write a price with the currency's digits, or with more where it has more."""
    cents = rounded(price, currency)
    return format(cents, "f") if cents == price else plain(price)


def line_digest(decision: Mapping[str, Any]) -> str:
    """Hash the line of a decision. An approval keeps it, and a line that would read otherwise is never sent."""
    return digest({k: v for k, v in line_of(decision).__dict__.items() if k != "decision_id"})
