"""Small seeds that are right, to be made wrong in one place, and what is then said of them."""

import csv
from pathlib import Path

import pytest

from morton_pipeline.book import Book
from morton_pipeline.seeds import SEEDS, check

CONNECTIONS = """
connections:
  - id: ninjaone
    vendor: ninjaone
    secrets: {client_id: N, client_secret: N}
  - id: huntress
    vendor: huntress
    secrets: {api_key: H, api_secret: H}
"""

GOOD: dict[str, list[dict[str, str]]] = {
    "clients": [
        {"client_id": "acme", "client_name": "Acme, Inc.", "status": "active", "currency": "USD"},
        {"client_id": "globex", "client_name": "Globex", "status": "active", "currency": "EUR"},
    ],
    "services": [{"service_id": "rmm", "service_name": "Managed device", "category": "rmm", "unit": "device", "list_price": "40"}],
    "contracts": [
        {"contract_id": "c1", "client_id": "acme", "service_id": "rmm", "quantity": "40", "unit_price": "35", "billing_model": "per_unit"}
    ],
    "company_mappings": [{"connection_id": "ninjaone", "company_id": "7", "client_id": "acme"}],
    "service_mappings": [
        {"vendor": "ninjaone", "endpoint": "devices", "field": "node_class", "pattern": "*WORKSTATION", "service_id": "rmm", "priority": "10"}
    ],
    "exchange_rates": [
        {"currency": "EUR", "to_currency": "USD", "rate": "1.08720000", "effective_from": "2026-01-01", "source": "ECB"}
    ],
    "exclusions": [{"exclusion_id": "x1", "client_id": "acme", "record_id": "9", "reason": "lab"}],
}  # fmt: skip


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """A book whose seeds are right."""
    (tmp_path / "connections.yaml").write_text(CONNECTIONS, "utf-8")
    (tmp_path / "seeds").mkdir()
    made = Book(tmp_path)
    for name in GOOD:
        write(made, name, GOOD[name])
    return made


def write(book: Book, name: str, rows: list[dict[str, str]]) -> None:
    with (book.seeds / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [c.name for c in SEEDS[name]], restval="")
        writer.writeheader()
        writer.writerows(rows)


def problems(book: Book) -> list[str]:
    return [str(problem) for problem in check(book)]
