"""The further tools of the invented MSP: what is sold by them, and the moves that fill them.

Belongs here: services, mappings and making companies and items. Does not: who uses which and what goes wrong there
(`stack_stories`), or how a vendor writes them down (the API modules).
"""

import random
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from morton_pipeline.simulator.entities import (
    Company,
    CompanyMapping,
    Device,
    Item,
    Life,
    Service,
    ServiceMapping,
    Tool,
)
from morton_pipeline.simulator.names import FAMILY, GIVEN
from morton_pipeline.simulator.population import Builder

GIB = 2**30
WEEK = 7
"""How many days pass between two readings of the further tools, and between two of the reports they send."""


def _service(
    service_id: str, name: str, category: str, unit: str, price: str, cost: str, vendor: str, accounting_id: int
) -> Service:
    return Service(service_id, name, category, unit, Decimal(price), Decimal(cost), vendor, str(accounting_id))


SERVICES = (
    _service("EDR-S1", "SentinelOne agent", "security", "agent", "8.40", "4.10", "sentinelone", 20),
    _service("GWS-BS", "Google Workspace Business Starter", "identity", "licence", "9.00", "6.00", "google_workspace",
             21),
    _service("BDR-SRV", "Server backup and recovery", "backup", "device", "120.00", "58.00", "datto_bcdr", 22),
    _service("SAAS-SEAT", "Microsoft 365 backup seat", "backup", "licence", "4.50", "2.10", "datto_bcdr", 23),
    _service("CLOUD-WKS", "Cloud backup workstation", "backup", "device", "9.50", "4.20", "acronis", 24),
    _service("CLOUD-SRV", "Cloud backup server", "backup", "device", "42.00", "19.00", "acronis", 25),
    _service("CLOUD-GB", "Cloud backup storage", "backup", "gigabyte", "0.12", "0.05", "acronis", 26),
    _service("COVE-SRV", "Server data protection", "backup", "device", "55.00", "24.00", "cove", 27),
    _service("COVE-M365", "Microsoft 365 data protection", "backup", "user", "3.80", "1.60", "cove", 28),
    _service("VEEAM-SRV", "Managed server backup", "backup", "device", "60.00", "27.00", "veeam_spc", 29),
    _service("VEEAM-M365", "Managed Microsoft 365 backup", "backup", "user", "3.50", "1.40", "veeam_spc", 30),
    _service("MAIL-SEC", "E-mail security", "security", "licence", "4.20", "2.30", "pax8", 31),
    _service("PWD", "Password manager", "security", "licence", "5.00", "2.60", "vaultdesk", 32),
    _service("SPAM", "Mail filter", "security", "mailbox", "2.40", "1.10", "mailshield", 33),
)  # fmt: skip

MAPPINGS = (
    ServiceMapping("datto_rmm", "devices", "device_type__category", "Server", "RMM-SRV", 10),
    ServiceMapping("datto_rmm", "devices", "device_type__category", "Desktop", "RMM-WKS", 10),
    ServiceMapping("datto_rmm", "devices", "device_type__category", "Laptop", "RMM-WKS", 10),
    ServiceMapping("sentinelone", "agents", "machine_type", "*", "EDR-S1", 10),
    ServiceMapping("google_workspace", "license_assignments", "sku_name", "Google Workspace Business Starter", "GWS-BS",
                   10),
    ServiceMapping("datto_bcdr", "assets", "type", "agent", "BDR-SRV", 10),
    ServiceMapping("datto_bcdr", "saas_seats", "seat_type", "User", "SAAS-SEAT", 10),
    ServiceMapping("acronis", "usages", "usage_name", "workstations", "CLOUD-WKS", 10),
    ServiceMapping("acronis", "usages", "usage_name", "servers", "CLOUD-SRV", 10),
    ServiceMapping("acronis", "usages", "usage_name", "storage", "CLOUD-GB", 10),
    ServiceMapping("cove", "accounts", "account_class", "server", "COVE-SRV", 10),
    ServiceMapping("cove", "accounts", "account_class", "m365", "COVE-M365", 10),
    ServiceMapping("veeam_spc", "company_usage", "counter", "ManagedServerAgents", "VEEAM-SRV", 10),
    ServiceMapping("veeam_spc", "company_usage", "counter", "Vb365ProtectedUsers", "VEEAM-M365", 10),
    ServiceMapping("pax8", "subscriptions", "product_name", "Microsoft 365 Business Premium*", "M365-BP", 10),
    ServiceMapping("pax8", "subscriptions", "product_name", "Proofpoint Essentials*", "MAIL-SEC", 10),
    ServiceMapping("vaultdesk", "records", "sku", "Business", "PWD", 10),
    ServiceMapping("mailshield", "records", "sku", "Advanced", "SPAM", 10),
)  # fmt: skip


class Stack:
    """Makes the further tools. Its choices come from a generator of its own: the rest of the world does not notice."""

    def __init__(self, b: Builder, seed: int) -> None:
        self.b, self.rng = b, random.Random(f"morton-stack-{seed}")
        self.agreements = b.agreements
        self._companies: dict[str, list[Life[Company]]] = {}
        self.items: dict[str, list[Life[Item]]] = {}
        """What each connection lists, by its id."""
        self._kinds: dict[str, tuple[str, Mapping[str, str]]] = {}
        self._numbers = iter(range(700001, 999999))

    def tool(self, connection_id: str, vendor: str, services: Mapping[str, str]) -> str:
        """Begin a connection; `services` says what each kind is sold as."""
        self._companies[connection_id], self.items[connection_id] = [], []
        self._kinds[connection_id] = (vendor, services)
        return connection_id

    def tools(self) -> dict[str, Tool]:
        """Return every connection, by its id."""
        return {
            name: Tool(
                name,
                vendor,
                tuple(self._companies[name]),
                tuple(self.items[name]),
                services,
                every_days=WEEK,
            )
            for name, (vendor, services) in self._kinds.items()
        }

    def number(self) -> str:
        """Return a whole number that is nothing else's id."""
        return str(next(self._numbers))

    def uuid(self) -> str:
        """Return a made-up identifier."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def day(self, number: float) -> datetime:
        """Return an instant in the working hours of a day counted from the start."""
        midnight = self.b.start + timedelta(days=int(number))
        return midnight + timedelta(hours=self.rng.randint(13, 20), minutes=self.rng.randint(1, 59), seconds=7)

    def before(self) -> datetime:
        """Return an instant well before the world is first looked at."""
        return self.day(-self.rng.randint(20, 700))

    def person(self) -> str:
        """Return a name."""
        return f"{self.rng.choice(GIVEN)} {self.rng.choice(FAMILY)}"

    def company(self, tool: str, client_id: str, company_id: str, name: str = "", **facts: Any) -> str:
        """Make a company in a tool, mapped to a client if one is named."""
        title = name or self.agreements.client(client_id).name
        self._companies[tool].append(Life(self.before(), Company(company_id, title, facts)))
        if client_id:
            self.agreements.companies.append(CompanyMapping(tool, company_id, title, client_id))
        return company_id

    def item(
        self, tool: str, company_id: str, name: str, kind: str, at: datetime | None = None, *, item_id: str = "",
        quantity: int = 1, **more: Any,
    ) -> Life[Item]:  # fmt: skip
        """Add one thing a tool lists; words that are no field of an item are facts of it."""
        own = {word: more.pop(word) for word in ("is_counted", "serial", "mac", "silent_since") if word in more}
        item = Item(item_id or self.number(), company_id, name, kind, Decimal(quantity), facts=more, **own)
        life = Life(at or self.before(), item)
        self.items[tool].append(life)
        return life

    def machines(self, client_id: str, service_id: str) -> Iterator[Life[Device]]:
        """Yield a client's machines in the first RMM that stay."""
        for life in self.b.machines[client_id, service_id]:
            if life.removed_at is None and life.created_at < self.b.start:
                yield life

    def agree(self, client_id: str, tool: str, **more: Any) -> None:
        """Contract what the client has in a tool on the first day, service by service."""
        _, services = self._kinds[tool]
        companies = {
            m.company_id for m in self.agreements.companies if (m.connection_id, m.client_id) == (tool, client_id)
        }
        held: dict[str, int] = {}
        for life in self.items[tool]:
            state = life.at(self.b.start)
            if state and state.company_id in companies and state.is_counted and state.kind in services:
                per = GIB if state.facts.get("unit") == "bytes" else 1
                held[services[state.kind]] = held.get(services[state.kind], 0) + int(state.quantity) // per
        for service_id, quantity in sorted(held.items()):
            self.b.contract(client_id, service_id, quantity, **more)
