"""The MSP's books in every accounting system it may be invoiced from: customers, items, and each month's invoices.

Belongs here: filling the accounting stand-ins from the agreements, the same in all of them, so that a demo book changes
its accounting system by one line. Does not: how any of them answers (`quickbooks`, `xero`, …).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from morton_pipeline.simulator import quickbooks, quickbooks_desktop, sage, xero
from morton_pipeline.simulator.credentials import ACCEPTED, REALM_ID
from morton_pipeline.simulator.entities import Agreements, Client, Contract
from morton_pipeline.simulator.world import World
from morton_pipeline.vendors.quickbooks_desktop import CURRENCIES

MONTHS_BEFORE = timedelta(days=150)
"""How long the company has been invoicing when the world begins: a first month would look like a doubling."""

CURRENCY_NAMES = {code: name for name, code in CURRENCIES.items()}
"""QuickBooks Desktop knows currencies by name."""

Json = Any


@dataclass(frozen=True)
class BilledLine:
    """One line of a recurring invoice."""

    item_id: str
    text: str
    quantity: Decimal
    unit_price: Decimal


@dataclass(frozen=True)
class Billed:
    """One recurring invoice, in no system's words."""

    number: str
    customer_id: str
    currency: str
    month: date
    lines: Sequence[BilledLine]

    @property
    def note(self) -> str:
        """What stands on it."""
        return f"Recurring services {self.month:%B %Y}"


class RecurringInvoices:
    """Makes each month's invoices once, as soon as the clock has reached the month."""

    def __init__(self, world: World) -> None:
        self._agreements = world.agreements
        self._next_month = (world.starts_at - MONTHS_BEFORE).date().replace(day=1)
        self.company = quickbooks.Company(REALM_ID, *_app("QUICKBOOKS"))
        self.organisation = xero.Company(xero.Company.tenant_id, xero.Company.name, *_app("XERO"))
        self.business = sage.Company(sage.Company.business_id, *_app("SAGE"))
        self.file = quickbooks_desktop.CompanyFile(currency=CURRENCY_NAMES["USD"], today=lambda: self._today)
        self._today = world.starts_at.date()
        for client in world.agreements.clients:
            if client.accounting_id:
                self.organisation.currencies.add(client.currency)
                self.company.add_customer(client.accounting_id, client.name, currency=client.currency)
                self.organisation.add_customer(client.accounting_id, client.name, currency=client.currency)
                self.business.add_customer(client.accounting_id, client.name, currency=client.currency)
                self.file.add_customer(client.accounting_id, client.name, currency=CURRENCY_NAMES[client.currency])
        for service in world.agreements.services:
            self.company.add_item(service.accounting_id, service.name, service.list_price)
            self.organisation.add_item(service.accounting_id, service.name, service.list_price)
            self.business.add_item(service.accounting_id, service.name, service.list_price)
            self.file.add_item(service.accounting_id, service.name, service.list_price)

    def catch_up(self, now: datetime) -> None:
        """Make the invoices of every month that has begun, but for those that are there already."""
        self._today = now.date()
        while self._next_month <= now.date():
            made = {invoice["DocNumber"] for invoice in self.company.invoices.values()}
            for bill in monthly_invoices(self._agreements, self._next_month):
                if bill.number not in made:
                    self.company.add_invoice(_for_quickbooks(bill), now)
                    self.organisation.add_invoice(_for_xero(bill), now)
                    self.business.add_document({"sales_invoice": _for_sage(bill)}, now)
                    self.file.add_by_hand("Invoice", _for_desktop(bill))
            self._next_month = _following(self._next_month)

    def memory(self) -> str:
        """Write down what outlives the process, of every system."""
        return json.dumps([books.memory() for books in (self.company, self.organisation, self.business, self.file)])

    def recall(self, memory: str) -> None:
        """Go on from what an earlier process wrote down."""
        company, organisation, business, file = json.loads(memory)
        self.company.recall(company)
        self.organisation.recall(organisation)
        self.business.recall(business)
        self.file.recall(file)


def _app(name: str) -> tuple[str, str, str]:
    return ACCEPTED[f"{name}_CLIENT_ID"], ACCEPTED[f"{name}_CLIENT_SECRET"], ACCEPTED[f"{name}_REFRESH_TOKEN"]


def monthly_invoices(agreements: Agreements, month: date) -> Iterator[Billed]:
    """Yield what is invoiced for a month: every contract as it holds on the month's last day, but for the mistakes."""
    for client in agreements.clients:
        lines = [_line(agreements, contract) for contract in _billed(agreements, client, month)]
        if client.accounting_id and lines:
            number = f"R{month:%Y%m}-{client.accounting_id}"
            yield Billed(number, client.accounting_id, client.currency, month, lines)


def _billed(agreements: Agreements, client: Client, month: date) -> list[Contract]:
    last_day = _following(month) - timedelta(days=1)
    return [c for c in agreements.contracts if c.client_id == client.id and c.holds_on(last_day) and c.quantity]


def _line(agreements: Agreements, contract: Contract) -> BilledLine:
    service = agreements.service(contract.service_id)
    wrong = [m for m in agreements.misbillings if (m.client_id, m.service_id) == (contract.client_id, service.id)]
    quantity = min(wrong[0].quantity, contract.quantity) if wrong else contract.quantity
    return BilledLine(service.accounting_id, service.name, Decimal(quantity), contract.unit_price)


def _for_quickbooks(bill: Billed) -> dict[str, Json]:
    lines = [
        {
            "DetailType": "SalesItemLineDetail",
            "Amount": line.quantity * line.unit_price,
            "Description": line.text,
            "SalesItemLineDetail": {
                "ItemRef": {"value": line.item_id},
                "Qty": line.quantity,
                "UnitPrice": line.unit_price,
                "ServiceDate": bill.month.isoformat(),
            },
        }
        for line in bill.lines
    ]
    return {
        "DocNumber": bill.number,
        "TxnDate": bill.month.isoformat(),
        "CustomerRef": {"value": bill.customer_id},
        "CurrencyRef": {"value": bill.currency},
        "PrivateNote": bill.note,
        "Line": lines,
    }


def _for_xero(bill: Billed) -> dict[str, Json]:
    lines = [
        {"ItemCode": x.item_id, "Description": x.text, "Quantity": x.quantity, "UnitAmount": x.unit_price}
        for x in bill.lines
    ]
    return {
        "Type": "ACCREC",
        "Status": "AUTHORISED",
        "InvoiceNumber": bill.number,
        "Reference": bill.note,
        "Contact": {"ContactID": bill.customer_id},
        "CurrencyCode": bill.currency,
        "Date": bill.month.isoformat(),
        "DueDate": _following(bill.month).isoformat(),
        "LineItems": lines,
    }


def _for_sage(bill: Billed) -> dict[str, Json]:
    lines = [
        {
            "service_id": line.item_id,
            "description": line.text,
            "ledger_account_id": "sales-4000",
            "quantity": line.quantity,
            "unit_price": line.unit_price,
        }
        for line in bill.lines
    ]
    return {
        "contact_id": bill.customer_id,
        "date": bill.month.isoformat(),
        "reference": bill.number,
        "notes": bill.note,
        "currency_id": bill.currency,
        "invoice_lines": lines,
    }


def _for_desktop(bill: Billed) -> dict[str, Json]:
    lines = [
        {
            "ItemRef": {"ListID": line.item_id},
            "Desc": line.text,
            "Quantity": str(line.quantity),
            "Amount": str(line.quantity * line.unit_price),
        }
        for line in bill.lines
    ]
    return {
        "CustomerRef": {"ListID": bill.customer_id},
        "TxnDate": bill.month.isoformat(),
        "RefNumber": bill.number,
        "Memo": bill.note,
        "InvoiceLineAdd": lines,
    }


def _following(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)
