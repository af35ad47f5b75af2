"""What the MSP has in QuickBooks: its customers, its items, and the recurring invoices of every month.

Belongs here: filling the accounting stand-in from the agreements. Does not: how QuickBooks answers (`quickbooks`).
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from morton_pipeline.simulator import credentials
from morton_pipeline.simulator.entities import Agreements, Client, Contract
from morton_pipeline.simulator.quickbooks import Company
from morton_pipeline.simulator.world import World

MONTHS_BEFORE = timedelta(days=150)
"""How long the company has been invoicing when the world begins: a first month would look like a doubling."""


class RecurringInvoices:
    """Makes each month's invoices once, as soon as the clock has reached the month."""

    def __init__(self, world: World) -> None:
        self._agreements = world.agreements
        self._next_month = (world.starts_at - MONTHS_BEFORE).date().replace(day=1)
        self.company = Company(
            realm_id=credentials.REALM_ID,
            client_id=credentials.QUICKBOOKS.id,
            client_secret=credentials.QUICKBOOKS.secret,
            refresh_token=credentials.ACCEPTED["QUICKBOOKS_REFRESH_TOKEN"],
        )
        for client in world.agreements.clients:
            if client.accounting_id:
                self.company.add_customer(client.accounting_id, client.name, currency=client.currency)
        for service in world.agreements.services:
            self.company.add_item(service.accounting_id, service.name, service.list_price)

    def catch_up(self, now: datetime) -> None:
        """Make the invoices of every month that has begun, but for those QuickBooks has already."""
        while self._next_month <= now.date():
            made = {invoice["DocNumber"] for invoice in self.company.invoices.values()}
            for invoice in monthly_invoices(self._agreements, self._next_month):
                if invoice["DocNumber"] not in made:
                    self.company.add_invoice(invoice, now)
            self._next_month = _following(self._next_month)


def monthly_invoices(agreements: Agreements, month: date) -> Iterator[dict[str, Any]]:
    """Yield what is invoiced for a month: every contract as it holds on the month's last day, but for the mistakes."""
    for client in agreements.clients:
        lines = [_line(agreements, contract, month) for contract in _billed(agreements, client, month)]
        if client.accounting_id and lines:
            yield {
                "DocNumber": f"R{month:%Y%m}-{client.accounting_id}",
                "TxnDate": month.isoformat(),
                "CustomerRef": {"value": client.accounting_id},
                "CurrencyRef": {"value": client.currency},
                "PrivateNote": f"Recurring services {month:%B %Y}",
                "Line": lines,
            }


def _billed(agreements: Agreements, client: Client, month: date) -> list[Contract]:
    last_day = _following(month) - timedelta(days=1)
    return [c for c in agreements.contracts if c.client_id == client.id and c.holds_on(last_day) and c.quantity]


def _line(agreements: Agreements, contract: Contract, month: date) -> dict[str, Any]:
    service = agreements.service(contract.service_id)
    wrong = [m for m in agreements.misbillings if (m.client_id, m.service_id) == (contract.client_id, service.id)]
    quantity = min(wrong[0].quantity, contract.quantity) if wrong else contract.quantity
    return {
        "DetailType": "SalesItemLineDetail",
        "Amount": quantity * contract.unit_price,
        "Description": service.name,
        "SalesItemLineDetail": {
            "ItemRef": {"value": service.accounting_id},
            "Qty": Decimal(quantity),
            "UnitPrice": contract.unit_price,
            "ServiceDate": month.isoformat(),
        },
    }


def _following(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)
