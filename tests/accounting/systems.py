"""The accounting systems as the model meets them: one shop for each, and what a person there may do to a document.

Belongs here: where each system keeps what the model asks about. Does not: what must hold (`test_model.py`).
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from morton_pipeline.accounting.adapter import Adapter
from morton_pipeline.accounting.drafts import marked
from morton_pipeline.accounting.quickbooks_online import open_quickbooks
from morton_pipeline.accounting.sage import open_sage
from morton_pipeline.accounting.xero import open_xero
from morton_pipeline.book import Book
from morton_pipeline.ledger import open_ledger
from morton_pipeline.simulator import quickbooks, sage, xero
from tests.accounting.conftest import AT, CONNECTIONS, Shop, Wire, make_book

Document = dict[str, Any]

CUSTOMERS, ITEM = ("12", "13", "14", "15"), "7"
BY_HAND = "made by hand"
"""What a person writes on a line."""


class System:
    """One accounting system: its stand-in, and its words for what the model asks."""

    vendor = ""
    settings = ""
    """Its own lines of connections.yaml."""
    collections: ClassVar[Sequence[str]] = ()
    """Where the stand-in keeps documents."""
    drafts = True
    """Whether a document is made as a draft and released."""
    company: Any
    app: Any
    open: Callable[..., Adapter]

    def kind(self, request: httpx.Request) -> str:
        """Say what a request does: `create`, `release`, `ask`, or something about tokens."""
        raise NotImplementedError

    def refuse_duplicates(self, refuses: bool) -> None:
        self.company.refuses_duplicate_numbers = refuses

    def documents(self) -> list[Document]:
        """What stands there: no longer what was voided or deleted."""
        found = (d for name in self.collections for d in getattr(self.company, name).values())
        return [d for d in found if self.stands(d)]

    def stands(self, document: Document) -> bool:
        raise NotImplementedError

    def body(self, content: bytes) -> Document:
        """The document that is asked to be made."""
        found: Document = json.loads(content, parse_float=Decimal)
        return found

    def id_of(self, document: Document) -> str:
        raise NotImplementedError

    def customer_of(self, document: Document) -> str:
        raise NotImplementedError

    def lines_of(self, document: Document) -> list[tuple[str, Decimal]]:
        """The text and the amount of each line."""
        raise NotImplementedError

    def decisions_of(self, document: Document) -> list[str]:
        """The decisions a document of ours names."""
        raise NotImplementedError

    def renumber(self, document: Document) -> None:
        raise NotImplementedError

    def edit(self, document: Document) -> None:
        raise NotImplementedError

    def void(self, document: Document) -> None:
        raise NotImplementedError

    def delete(self, document: Document) -> None:
        """Delete it, where the system lets a person do that; else void it."""
        self.void(document)

    def by_hand(self, customer_id: str, amount: Decimal) -> str:
        """Make an invoice as a person would and return its id."""
        raise NotImplementedError


def _named(note: str) -> list[str]:
    return note.partition(": ")[2].split() if marked(note) else []


class Online(System):
    """QuickBooks Online: what is made is in the books."""

    vendor, drafts, collections = "quickbooks_online", False, ("invoices", "credit_memos")

    def __init__(self) -> None:
        self.company = quickbooks.Company(client_id="app-id", client_secret="app-secret", refresh_token="refresh-0")
        self.app, self.open = quickbooks.create_app(self.company, lambda: AT), open_quickbooks

    def kind(self, request: httpx.Request) -> str:
        is_company = "/v3/company/" in request.url.path
        return "token" if not is_company else "create" if request.method == "POST" else "ask"

    def stands(self, document: Document) -> bool:
        return bool(document["TotalAmt"])

    def id_of(self, document: Document) -> str:
        return str(document["Id"])

    def customer_of(self, document: Document) -> str:
        return str(document["CustomerRef"]["value"])

    def lines_of(self, document: Document) -> list[tuple[str, Decimal]]:
        return [(line.get("Description", ""), line["Amount"]) for line in document["Line"]]

    def decisions_of(self, document: Document) -> list[str]:
        return _named(document.get("PrivateNote", ""))

    def renumber(self, document: Document) -> None:
        document["DocNumber"] = f"{document.get('DocNumber', '')}-x"

    def edit(self, document: Document) -> None:
        document["Line"][0]["Amount"] += 1

    def void(self, document: Document) -> None:
        self.company.change_invoice({"Id": document["Id"], "SyncToken": document["SyncToken"]}, AT, void=True)

    def delete(self, document: Document) -> None:
        for name in self.collections:
            getattr(self.company, name).pop(document["Id"], None)

    def by_hand(self, customer_id: str, amount: Decimal) -> str:
        line = {"Description": BY_HAND, "Amount": amount, "SalesItemLineDetail": {"ItemRef": {"value": ITEM}}}
        return self.id_of(self.company.add_invoice({"CustomerRef": {"value": customer_id}, "Line": [line]}, AT))


class Xero(System):
    """Xero, told to approve what it was given as a draft."""

    vendor, settings = "xero", "    xero_tenant_id: 3f9f1b5e-5a3a-4d3e-9a0c-0d0e8a6a1f10\n    status: AUTHORISED\n"
    collections = ("invoices", "credit_notes")

    def __init__(self) -> None:
        self.company = xero.Company(client_id="app-id", client_secret="app-secret", refresh_token="refresh-0")
        self.app, self.open = xero.create_app(self.company, lambda: AT), open_xero

    def kind(self, request: httpx.Request) -> str:
        if not request.url.path.startswith(xero.API):
            return "token"
        return {"PUT": "create", "POST": "release"}.get(request.method, "ask")

    def stands(self, document: Document) -> bool:
        return document["Status"] not in ("VOIDED", "DELETED")

    def body(self, content: bytes) -> Document:
        ((document,),) = super().body(content).values()
        return dict(document)

    def id_of(self, document: Document) -> str:
        return str(document.get("InvoiceID") or document["CreditNoteID"])

    def customer_of(self, document: Document) -> str:
        return str(document["Contact"]["ContactID"])

    def lines_of(self, document: Document) -> list[tuple[str, Decimal]]:
        return [(line["Description"], line["LineAmount"]) for line in document["LineItems"]]

    def decisions_of(self, document: Document) -> list[str]:
        return [name for text, _ in self.lines_of(document) for name in re.findall(r"\[([0-9a-f]{16})\]", text)]

    def renumber(self, document: Document) -> None:
        number = "InvoiceNumber" if "InvoiceNumber" in document else "CreditNoteNumber"
        document[number] = f"{document[number]}-x"

    def edit(self, document: Document) -> None:
        document["LineItems"][0]["LineAmount"] += 1

    def void(self, document: Document) -> None:
        self.company.void(self.id_of(document), AT)

    def by_hand(self, customer_id: str, amount: Decimal) -> str:
        line = {"Description": BY_HAND, "Quantity": Decimal(1), "UnitAmount": amount, "ItemCode": ITEM}
        given = {"Type": "ACCREC", "Contact": {"ContactID": customer_id}, "LineItems": [line], "Status": "AUTHORISED"}
        return self.id_of(self.company.add_invoice(given, AT))


class Sage(System):
    """Sage, which is given drafts, and numbers them when they are released."""

    vendor, settings = "sage", "    business_id: b-1\n"
    collections = ("sales_invoices", "sales_credit_notes")

    def __init__(self) -> None:
        self.company = sage.Company(
            business_id="b-1", client_id="app-id", client_secret="app-secret", refresh_token="refresh-0"
        )
        self.app, self.open = sage.create_app(self.company, lambda: AT), open_sage

    def kind(self, request: httpx.Request) -> str:
        path = request.url.path
        if not path.startswith("/v3.1/"):
            return "token"
        return "ask" if request.method == "GET" else "release" if path.endswith("/release") else "create"

    def refuse_duplicates(self, refuses: bool) -> None:
        self.company.refuses_duplicate_references = refuses

    def stands(self, document: Document) -> bool:
        return document["status"]["id"] != "VOID" and not document["deleted_at"]

    def body(self, content: bytes) -> Document:
        (document,) = super().body(content).values()
        return {**document, "contact": {"id": document["contact_id"]}}

    def id_of(self, document: Document) -> str:
        return str(document["id"])

    def customer_of(self, document: Document) -> str:
        return str(document["contact"]["id"])

    def lines_of(self, document: Document) -> list[tuple[str, Decimal]]:
        lines = document.get("invoice_lines") or document["credit_note_lines"]
        return [(line["description"], line["net_amount"]) for line in lines]

    def decisions_of(self, document: Document) -> list[str]:
        return _named(document["notes"])

    def renumber(self, document: Document) -> None:
        document["reference"] = f"{document['reference']}-x"

    def edit(self, document: Document) -> None:
        self.company.edit(document["id"], net=self.lines_of(document)[0][1] + 1)

    def void(self, document: Document) -> None:
        self.company.void(document["id"])

    def by_hand(self, customer_id: str, amount: Decimal) -> str:
        line = {
            "description": BY_HAND, "ledger_account_id": "sales-4000", "quantity": Decimal(1), "unit_price": amount,
            "service_id": ITEM,
        }  # fmt: skip
        number = len(self.company.sales_invoices)
        given = {
            "contact_id": customer_id,
            "date": str(AT.date()),
            "reference": f"PO-{number}",
            "invoice_lines": [line],
        }
        return self.id_of(self.company.add_document({"sales_invoice": given}, AT))


SYSTEMS: dict[str, type[System]] = {system.vendor: system for system in (Online, Xero, Sage)}


class ToldWire(Wire):
    """Carries requests, tells the model of what is asked to be made or released, and fails as planned by kind."""

    def __init__(self, system: System) -> None:
        super().__init__(system.app)
        self.system = system
        self.faults = {"create": [], "release": [], "ask": []}
        self.told: dict[str, Callable[[httpx.Request], None]] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        kind = self.system.kind(request)
        self.told.get(kind, lambda _: None)(request)
        if waiting := self.faults.get(kind):
            return waiting.pop(0)(request, lambda: self._pass(request))
        return self._pass(request)


@dataclass
class ModelShop(Shop):
    """A shop whose accounting system is any of them."""

    wire: ToldWire
    system: System = field(default_factory=Online)

    def adapter(self) -> Adapter:
        self.book.__dict__["limits"] = self.limits
        connection = self.book.connection("books")
        return self.system.open(connection, self.ledger, transport=self.wire, sleep=self.naps.append)


def open_shop(system: System, root: Path, monkeypatch: pytest.MonkeyPatch) -> ModelShop:
    """Open a shop in a folder of its own."""
    monkeypatch.setenv("MORTON_NOW", AT.isoformat())
    make_book(root, monkeypatch)
    text = CONNECTIONS.replace("quickbooks_online", system.vendor)
    if system.settings:
        text = re.sub(r"    realm_id: .*\n", system.settings, text)
    (root / "connections.yaml").write_text(text, "utf-8")
    for customer_id in CUSTOMERS:
        system.company.add_customer(customer_id, f"Customer {customer_id}")
    system.company.add_item(ITEM, "Business Premium")
    book = Book(root)
    return ModelShop(book, open_ledger(book), system.company, ToldWire(system), system=system)
