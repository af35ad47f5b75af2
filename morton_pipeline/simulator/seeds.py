"""Writing the demo book: connections that lead to the stand-ins, their credentials, and the MSP's contract seeds.

Belongs here: the files of a book. Does not: what was agreed (`population`, `stories`).
"""

import csv
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from argon2 import PasswordHasher

from morton_pipeline.simulator import google_workspace, sage, stack_connections, xero
from morton_pipeline.simulator.credentials import ACCEPTED, REALM_ID, WEB_CONNECTOR_WORD
from morton_pipeline.simulator.entities import Agreements
from morton_pipeline.simulator.population import HUNTRESS, M365, NINJAONE, PRICE_SHARES, QUICKBOOKS
from morton_pipeline.simulator.quickbooks_desktop import CompanyFile
from morton_pipeline.simulator.stories import mapping_names
from morton_pipeline.simulator.world import World

HEADERS: dict[str, tuple[str, ...]] = {
    "clients": (
        "client_id",
        "client_name",
        "status",
        "currency",
        "time_zone",
        "back_bill_days",
        "accounting_customer_id",
    ),
    "services": (
        "service_id",
        "service_name",
        "category",
        "unit",
        "list_price",
        "unit_cost",
        "count_vendor",
        "accounting_item_id",
    ),
    "contracts": (
        "contract_id",
        "client_id",
        "service_id",
        "quantity",
        "unit_price",
        "billing_model",
        "minimum_quantity",
        "included_quantity",
        "count_basis",
        "count_vendor",
        "tolerance_quantity",
        "effective_from",
        "effective_to",
        "note",
    ),
    "price_tiers": ("contract_id", "from_quantity", "unit_price", "method"),
    "bundles": ("bundle_service_id", "component_service_id", "quantity_per_unit"),
    "company_mappings": (
        "connection_id",
        "company_id",
        "company_name",
        "client_id",
        "effective_from",
        "effective_to",
        "note",
    ),
    "service_mappings": (
        "vendor",
        "endpoint",
        "field",
        "pattern",
        "service_id",
        "priority",
        "effective_from",
        "effective_to",
    ),
    "sku_includes": ("vendor", "sku", "included_sku"),
    "exclusions": (
        "exclusion_id",
        "client_id",
        "service_id",
        "vendor",
        "record_id",
        "name_pattern",
        "max_quantity",
        "reason",
        "owner",
        "effective_from",
        "expires_on",
    ),
    "exchange_rates": ("currency", "to_currency", "rate", "effective_from", "source"),
}
"""The columns of every seed, as the design names them."""


def write_book(world: World, root: Path, base_url: str, *, requests_per_minute: int = 6000) -> Path:
    """Write a whole book that reads its vendors from the stand-ins at `base_url`; return its folder."""
    root.mkdir(parents=True, exist_ok=True)
    write_connections(world, root, base_url, requests_per_minute=requests_per_minute)
    write_seeds(world, root / "seeds")
    return root


def write_connections(world: World, root: Path, base_url: str, *, requests_per_minute: int = 6000) -> None:
    """Write `connections.yaml` and the `.env` beside it."""
    tenants = [{"id": t.first.id, "name": t.first.name} for t in world.tenants]
    patience = {"requests_per_minute": requests_per_minute, "backoff_seconds": 0.1, "timeout_seconds": 20}
    config: dict[str, Any] = {
        "connections": [
            {
                "id": NINJAONE,
                "vendor": "ninjaone",
                "base_url": f"{base_url}/ninjaone",
                "schedule": "30 4 * * *",
                **patience,
                "secrets": {"client_id": "NINJAONE_CLIENT_ID", "client_secret": "NINJAONE_CLIENT_SECRET"},
            },
            {
                "id": M365,
                "vendor": "microsoft365",
                "base_url": f"{base_url}/graph",
                "auth_url": f"{base_url}/login",
                "schedule": "30 4 * * *",
                "backoff_seconds": 0.1,
                "timeout_seconds": 20,
                "secrets": {"client_id": "M365_CLIENT_ID", "client_secret": "M365_CLIENT_SECRET"},
                "tenants": tenants,
            },
            {
                "id": HUNTRESS,
                "vendor": "huntress",
                "base_url": f"{base_url}/huntress",
                "schedule": "30 4 * * *",
                **patience,
                "secrets": {"api_key": "HUNTRESS_API_KEY", "api_secret": "HUNTRESS_API_SECRET"},
            },
            {
                "id": QUICKBOOKS,
                "vendor": "quickbooks_online",
                "base_url": f"{base_url}/quickbooks",
                "auth_url": f"{base_url}/quickbooks",
                "login_url": f"{base_url}/quickbooks",
                "schedule": "30 4 * * *",
                "realm_id": REALM_ID,
                **patience,
                "secrets": _app("QUICKBOOKS"),
            },
            # Connected and not read: the book is invoiced from the one that `accounting:` names.
            {
                "id": "xero",
                "vendor": "xero",
                "base_url": f"{base_url}/xero",
                "auth_url": f"{base_url}/xero",
                "xero_tenant_id": xero.Company.tenant_id,
                **patience,
                "secrets": _app("XERO"),
            },
            {
                "id": "sage",
                "vendor": "sage",
                "base_url": f"{base_url}/sage",
                "auth_url": f"{base_url}/sage",
                "business_id": sage.Company.business_id,
                **patience,
                "secrets": _app("SAGE"),
            },
            {
                "id": "desktop",
                "vendor": "quickbooks_desktop",
                "company_file": CompanyFile.path,
                "secrets": {"password": "QUICKBOOKS_DESKTOP_PASSWORD"},
            },
            *stack_connections.connections(world, base_url, patience),
        ],
        "accounting": QUICKBOOKS,
        "limits": {
            "invoices_per_run": 100,
            "amount_per_run": 50000,
            "amount_per_invoice": 20000,
            "quiet_period_seconds": 2,
        },
    }
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120)
    (root / "connections.yaml").write_text(
        f"# A demo book: every address is a stand-in on this machine.\n{text}", "utf-8"
    )
    secrets = {
        **ACCEPTED,
        "GOOGLE_SERVICE_ACCOUNT": google_workspace.demo_service_account(),
        "QUICKBOOKS_DESKTOP_PASSWORD": PasswordHasher().hash(WEB_CONNECTOR_WORD, salt=b"the same every time"),
    }
    environment = "".join(f"{name}={value}\n" for name, value in secrets.items())
    (root / ".env").write_text(f"# Credentials of the stand-ins; they open nothing else.\n{environment}", "utf-8")


def _app(name: str) -> dict[str, str]:
    """The secrets of an accounting connection, by the environment variables they stand in."""
    return {word: f"{name}_{word.upper()}" for word in ("client_id", "client_secret", "refresh_token")}


def write_seeds(world: World, folder: Path) -> None:
    """Write every seed, also those that only have a header."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = seed_rows(world.agreements)
    for name, header in HEADERS.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(["" if value is None else value for value in row] for row in rows.get(name, ()))


def seed_rows(agreements: Agreements) -> dict[str, Iterable[Sequence[Any]]]:
    """Return the rows of every seed, in the order of its columns."""
    contracts = sorted(agreements.contracts, key=lambda c: (c.client_id, c.service_id, c.effective_from))
    return {
        "clients": [
            (c.id, c.name, c.status, c.currency, c.time_zone, c.back_bill_days, c.accounting_id)
            for c in agreements.clients
        ],
        "services": [
            (s.id, s.name, s.category, s.unit, s.list_price, s.unit_cost, s.count_vendor, s.accounting_id)
            for s in agreements.services
        ],
        "contracts": [
            (
                c.id,
                c.client_id,
                c.service_id,
                c.quantity,
                c.unit_price,
                c.billing_model,
                c.minimum_quantity,
                c.included_quantity,
                "period_end",
                c.count_vendor,
                c.tolerance_quantity,
                c.effective_from,
                c.effective_to,
                c.note,
            )
            for c in contracts
        ],
        "company_mappings": [
            (m.connection_id, m.company_id, m.company_name, m.client_id, m.effective_from, m.effective_to, m.note)
            for m in mapping_names(agreements.companies)
        ],
        "service_mappings": [
            (m.vendor, m.endpoint, m.field, m.pattern, m.service_id, m.priority, None, None)
            for m in agreements.mappings
        ],
        "exclusions": [
            (
                x.id,
                x.client_id,
                x.service_id,
                x.vendor,
                x.record_id,
                x.name_pattern,
                None,
                x.reason,
                x.owner,
                x.effective_from,
                x.expires_on,
            )
            for x in agreements.exclusions
        ],
        "exchange_rates": [
            ("USD", currency, share, date(2020, 1, 1), "the prices of the invented MSP")
            for currency, share in PRICE_SHARES.items()
            if currency != "USD"
        ],
    }
