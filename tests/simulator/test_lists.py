"""One list of a vendor is broken and the rest of it is well: nothing is believed that was computed from the gap."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Book, open_book
from morton_pipeline.extract.fetch import fetch
from morton_pipeline.ledger.store import open_ledger
from morton_pipeline.ledger.tokens import LedgerTokens
from morton_pipeline.simulator.app import ALIASES, Simulation
from morton_pipeline.simulator.seeds import write_book
from morton_pipeline.vendors import VENDORS, vendor_of
from morton_pipeline.warehouse.load import load
from morton_pipeline.warehouse.lock import connect
from morton_pipeline.warehouse.verdict import Loaded
from tests.simulator.conftest import NOW

TENANTS = 3
LISTS = {
    "ninjaone": ["/v2/organizations", "/v2/devices"],
    "microsoft365": ["/subscribedSkus", "/users?", "/$batch"],
    "huntress": ["/v1/organizations?", "/v1/organizations/", "/v1/agents", "/v1/incident_reports"],
    "quickbooks_online": ["from Customer", "from Item", "from Invoice"],
    "xero": ["/Contacts", "/Items", "/Invoices", "/CreditNotes"],
    "sage": ["/contacts", "/services", "/products", "/sales_invoices", "/sales_credit_notes"],
    "datto_rmm": ["/account/sites", "/account/devices"],
    "sentinelone": ["/sites", "/agents"],
    "google_workspace": ["/directory/v1/users", "/product/Google-Apps/"],
    "pax8": ["/companies", "/products/", "/subscriptions", "/invoices?", "/items"],
    "datto_bcdr": ["/bcdr/device?", "/asset", "/saas/domains", "/seats"],
    "acronis": ["/tenants?", "/usages", "/resources"],
    "cove": ["/jsonapi"],
    "veeam_spc": ["/companies?", "/usage"],
    "rest": ["/v1/seats", "/v1/organizations"],
}
"""What the addresses of each list contain."""
UNHURT = {("huntress", "/v1/organizations/", "empty"), ("pax8", "/products/", "empty")}
"""What names one organisation, or one product, holds no list that could be empty."""


@pytest.fixture(autouse=True)
def _on_that_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A usage is read for the day before, by the clock of the command."""
    monkeypatch.setenv("MORTON_NOW", NOW.isoformat())


@pytest.fixture(autouse=True)
def _with_one_of_each_kind(simulation: Simulation) -> None:
    """The further accounting systems hold credit notes and a product too, so that those lists can be broken."""
    organisation, business = simulation.recurring.organisation, simulation.recurring.business
    invoice = next(iter(organisation.invoices.values()))
    note = {**invoice, "Type": "ACCRECCREDIT", "LineItems": [{"Description": "Taken back", "UnitAmount": 5}]}
    organisation.add_invoice(note, NOW, "CreditNotes")
    business.add_item("firewall", "Firewall", Decimal(60), is_product=True)
    contact = next(iter(business.contacts.values()))
    line = {"description": "Taken back", "ledger_account_id": "sales-4000", "quantity": 1, "unit_price": 5}
    credit = {"contact_id": contact["id"], "date": f"{NOW:%Y-%m-%d}", "credit_note_lines": [line]}
    business.add_document({"sales_credit_note": credit}, NOW, "sales_credit_notes")


@pytest.fixture
def book(simulation: Simulation, tmp_path: Path) -> Book:
    return open_book(write_book(simulation.world, tmp_path / "book", "http://127.0.0.1:9"))


def read(book: Book, simulation: Simulation, vendor: str) -> list[Loaded]:
    """Read every list of a vendor once, of a few tenants where there are many, and load what came."""
    configured = next(c for c in book.connections if c.vendor == vendor)
    connection = replace(
        configured, tenants=configured.tenants[:TENANTS], settings={**configured.settings, "attempts": 1}
    )
    transport = httpx.ASGITransport(simulation.app)
    # Sage's refresh token ends with its first use: the next one is kept from read to read.
    with open_ledger(book) as ledger:
        tokens = LedgerTokens(ledger)
        found = fetch(connection, vendor_of(configured), at=NOW, tokens=tokens, transport=transport)
    return load(book, found)


def gate(book: Book, vendor: str) -> str:
    """The name a vendor's faults are switched by: its own for the first, the connection's for the further ones."""
    name = next(c.id for c in book.connections if c.vendor == vendor)
    return ALIASES.get(name, name)


def counts(loaded: list[Loaded]) -> dict[tuple[str, str], int | None]:
    return {(one.endpoint, one.tenant_id): one.record_count for one in loaded}


def records(book: Book, vendor: str) -> dict[str, list[Any]]:
    """Every version of every record of a vendor."""
    with connect(book, "test") as con:
        return {e.name: con.execute(f'from raw_{vendor}."{e.name}" order by all').fetchall()
                for e in VENDORS[vendor].endpoints}  # fmt: skip


def test_every_list_of_every_vendor_can_be_broken() -> None:
    asked = {name for name, vendor in VENDORS.items() if not vendor.is_caller}
    assert asked - set(LISTS) == {"files"}, "a folder of reports has no list that answers"


@pytest.mark.parametrize("mode", ["empty", "html", "500", "truncated"])
@pytest.mark.parametrize("vendor", LISTS)
def test_a_broken_list_changes_no_record_and_is_never_complete(
    book: Book, simulation: Simulation, vendor: str, mode: str
) -> None:
    first = read(book, simulation, vendor)
    assert {one.status for one in first} == {"complete"}
    before, known = counts(first), records(book, vendor)
    for part in LISTS[vendor]:
        simulation.faults.switch(gate(book, vendor), mode, path_contains=part)
        again = read(book, simulation, vendor)
        simulation.faults.switch(gate(book, vendor), "off", path_contains=part)
        fewer = [one for one in again if (one.record_count or 0) < (before[one.endpoint, one.tenant_id] or 0)]
        assert fewer or (vendor, part, mode) in UNHURT, part
        believed = [(one.endpoint, one.record_count) for one in fewer if one.status not in ("failed", "suspect")]
        assert not believed, f"{part}: fewer records were believed"
        assert all(one.reason for one in fewer), part
        assert records(book, vendor) == known, part
    assert {one.status for one in read(book, simulation, vendor)} == {"complete"}
    assert records(book, vendor) == known
