"""A book with approved rows whose invoices go to QuickBooks Desktop, and its stand-in behind requests that fail as told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from morton_pipeline.accounting import plan, post, status, verify
from morton_pipeline.accounting.quickbooks_desktop import QuickBooksDesktop, open_quickbooks_desktop
from morton_pipeline.book import Book, Limits
from morton_pipeline.extract.qbxml import Unanswered
from morton_pipeline.ledger import Ledger, Outcome, decide, open_ledger
from morton_pipeline.simulator.quickbooks_desktop import CompanyFile
from tests.conftest import RATES

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
ACME, BETA = "80000012-1326159291", "80000013-1326159292"
SEAT, EDR = "80000007-1326159290", "80000008-1326159293"
PASSWORD = "a password of the tests"
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
"""As good as any to be compared with, and quickly made."""

CONNECTIONS = """
connections:
  - id: desktop
    vendor: quickbooks_desktop
    company_file: 'C:\\Books\\Harbor IT.qbw'
    {more}
    secrets: {{password: QUICKBOOKS_DESKTOP_PASSWORD}}
accounting: desktop
limits: {{quiet_period_seconds: 0}}
"""


def make_book(root: Path, *, more: str = "") -> Book:
    """Write the book; its secret must be in the environment."""
    (root / "connections.yaml").write_text(CONNECTIONS.format(more=more), "utf-8")
    (root / "seeds").mkdir()
    (root / "seeds" / "clients.csv").write_text(
        f"client_id,client_name,accounting_customer_id\nacme,Acme Corp,{ACME}\nbeta,Beta & Söhne <GmbH>,{BETA}\n",
        "utf-8",
    )
    (root / "seeds" / "services.csv").write_text(
        f"service_id,service_name,accounting_item_id\nm365_bp,Business Premium,{SEAT}\nedr,Managed EDR,{EDR}\n", "utf-8"
    )
    (root / "seeds" / "exchange_rates.csv").write_text(f"{RATES}CAD,USD,0.72,2026-01-01,BoC\n", "utf-8")
    return Book(root)


def make_company() -> CompanyFile:
    company = CompanyFile()
    company.add_customer(ACME, "Acme Corp")
    company.add_customer(BETA, "Beta & Söhne <GmbH>")
    company.add_item(SEAT, "Business Premium", Decimal(22))
    company.add_item(EDR, "Managed EDR", Decimal("4.5"))
    return company


@dataclass
class Desk:
    """Everything a test touches. The next faults of an Add are used up one by one."""

    book: Book
    ledger: Ledger
    company: CompanyFile
    limits: Limits = field(default_factory=lambda: replace(Limits(), quiet_period_seconds=0))
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: str = ""
    """What the rows stand on that has changed since they were built."""
    faults: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def ask(self, request: str) -> str:
        """Carry a request out as a visit would."""
        fault = self.faults.pop(0) if self.faults and "AddRq" in request else ""
        if fault == "not taken":
            raise Unanswered("the Web Connector closed the connection.", was_handed_over=False)
        answer = "" if fault == "dies before" else self.company.execute(request)
        if fault.startswith("dies"):
            raise Unanswered("the Web Connector has been silent for 600 s.", was_handed_over=True)
        if fault == "garbles":
            return answer[: len(answer) // 2]
        return answer.replace("statusCode=", "wasCode=") if fault == "says no status" else answer

    def adapter(self) -> QuickBooksDesktop:
        connection = self.book.connection("desktop")
        self.book.__dict__["limits"] = self.limits
        changed = replace(connection, settings={**connection.settings, **self.settings})
        return open_quickbooks_desktop(changed, self.ask, today=lambda: AT.date())

    def row(self, discrepancy_id: str = "00000000000a", **changes: Any) -> dict[str, Any]:
        self.rows[discrepancy_id] = {
            "discrepancy_id": discrepancy_id, "period_month": date(2026, 11, 1), "client_id": "acme", "service_id": "m365_bp",
            "service_name": "Business Premium", "kind": "under_billed", "variance_quantity": Decimal("7.0000"),
            "unit_price": Decimal("22.0000"), "currency": "USD", "variance_amount": Decimal("154.0000"), "source_state": "known",
            "seal": "a" * 64, "status": "open",
        } | changes  # fmt: skip
        return self.rows[discrepancy_id]

    def decide(self, action: str, *discrepancy_ids: str) -> Outcome:
        rows = [self.rows[name] for name in discrepancy_ids]
        return decide(self.ledger, rows, action=action, reason="agreed", actor="ann", at=AT, limits=self.limits)

    def approve(self, discrepancy_id: str = "00000000000a", **changes: Any) -> str:
        self.row(discrepancy_id, **changes)
        outcome = self.decide("approve", discrepancy_id)
        assert outcome.refused == []
        return str(outcome.applied[0]["decision_id"])

    def plan(self) -> Any:
        return plan(self.book, self.ledger, self.rows, adapter=self.adapter())

    def post(self, **changes: Any) -> list[dict[str, Any]]:
        adapter = self.adapter()
        try:
            return post(self.book, self.ledger, self.rows, at=AT, adapter=adapter, **changes)
        finally:
            adapter.close()

    def verify(self) -> list[dict[str, Any]]:
        return verify(self.book, self.ledger, adapter=self.adapter())

    def only(self) -> dict[str, Any]:
        (row,) = status(self.ledger)
        return row

    def made(self, entity: str = "Invoice") -> list[dict[str, Any]]:
        """The documents in QuickBooks."""
        return [d for d in self.company.documents.values() if d["TxnType"] == entity]

    def kinds(self) -> list[str]:
        """What was asked, one word each: Add, status, let go, or the query."""
        return [_kind(request) for request in self.company.requests]


def _kind(request: str) -> str:
    for word in ("InvoiceAdd", "CreditMemoAdd", "InvoiceQuery", "CreditMemoQuery", "CustomerQuery", "ItemServiceQuery"):
        if f"<{word}Rq" in request:
            return word.removeprefix("Invoice") if word.endswith("Add") else word
    return "HostQuery" if "<HostQueryRq" in request else "status" if "newMessageSetID" in request else "let go"


@contextmanager
def open_desk(root: Path, *, more: str = "") -> Iterator[Desk]:
    book = make_book(root, more=more)
    with open_ledger(book) as ledger:
        yield Desk(book, ledger, make_company())
