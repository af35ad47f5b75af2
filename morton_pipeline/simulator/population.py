"""The world as it stands on its first day, in agreement with the contracts, and the moves that change it later.

Belongs here: making devices, users, agents and contracts. Does not: which of them go wrong, and when (`stories`).
"""

import hashlib
import random
import uuid
from collections import defaultdict
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from morton_pipeline.simulator.entities import (
    Agent,
    Agreements,
    Client,
    CompanyMapping,
    Contract,
    Device,
    HuntressOrganization,
    Incident,
    Life,
    Organization,
    Service,
    ServiceMapping,
    Sku,
    Tenant,
    User,
)
from morton_pipeline.simulator.names import FAMILY, FREE_SKUS, GIVEN, Profile

NINJAONE, M365, HUNTRESS, QUICKBOOKS = "ninjaone", "m365", "huntress", "quickbooks"
"""The ids of the connections in the demo book."""

PRICE_SHARES = {"USD": Decimal(1), "GBP": Decimal("0.79"), "EUR": Decimal("0.92")}
"""What a dollar of the list is in each client's currency."""

SERVICES = (
    Service("RMM-SRV", "Managed server", "rmm", "device", Decimal("95.00"), Decimal("6.20"), "ninjaone", "11"),
    Service("RMM-WKS", "Managed workstation", "rmm", "device", Decimal("34.50"), Decimal("3.10"), "ninjaone", "12"),
    Service(
        "EDR", "Managed detection and response", "security", "agent", Decimal("7.25"), Decimal("3.40"), "huntress", "13"
    ),
    Service(
        "M365-BP",
        "Microsoft 365 Business Premium",
        "identity",
        "licence",
        Decimal("26.40"),
        Decimal("18.70"),
        "microsoft365",
        "14",
    ),
    Service(
        "M365-BS",
        "Microsoft 365 Business Standard",
        "identity",
        "licence",
        Decimal("15.00"),
        Decimal("10.60"),
        "microsoft365",
        "15",
    ),
    Service(
        "M365-E3", "Microsoft 365 E3", "identity", "licence", Decimal("42.00"), Decimal("31.10"), "microsoft365", "16"
    ),
    Service("M365-MAIL", "E-mail account", "identity", "user", Decimal("7.20"), Decimal("4.30"), "microsoft365", "17"),
    Service(
        "M365-PHONE", "Teams telephone", "identity", "licence", Decimal("12.00"), Decimal("7.90"), "microsoft365", "18"
    ),
    Service(
        "M365-AI",
        "Copilot for Microsoft 365",
        "identity",
        "licence",
        Decimal("33.00"),
        Decimal("27.00"),
        "microsoft365",
        "19",
    ),
)

MAPPINGS = (
    ServiceMapping("ninjaone", "devices", "node_class", "WINDOWS_SERVER", "RMM-SRV", 10),
    ServiceMapping("ninjaone", "devices", "node_class", "LINUX_SERVER", "RMM-SRV", 10),
    ServiceMapping("ninjaone", "devices", "node_class", "MAC_SERVER", "RMM-SRV", 10),
    ServiceMapping("ninjaone", "devices", "node_class", "VMWARE_VM_HOST", "RMM-SRV", 10),
    ServiceMapping("ninjaone", "devices", "node_class", "HYPERV_VMM_HOST", "RMM-SRV", 10),
    ServiceMapping("ninjaone", "devices", "node_class", "*_WORKSTATION", "RMM-WKS", 20),
    ServiceMapping("ninjaone", "devices", "node_class", "MAC", "RMM-WKS", 20),
    ServiceMapping("huntress", "agents", "platform", "*", "EDR", 10),
    ServiceMapping("microsoft365", "user_licenses", "sku_part_number", "SPB", "M365-BP", 10),
    ServiceMapping("microsoft365", "user_licenses", "sku_part_number", "O365_BUSINESS_PREMIUM", "M365-BS", 10),
    ServiceMapping("microsoft365", "user_licenses", "sku_part_number", "SPE_E3", "M365-E3", 10),
    ServiceMapping("microsoft365", "user_licenses", "sku_part_number", "ENTERPRISEPACK", "M365-E3", 20),
    ServiceMapping("microsoft365", "user_licenses", "sku_part_number", "O365_BUSINESS_ESSENTIALS", "M365-MAIL", 10),
    ServiceMapping("microsoft365", "user_licenses", "sku_part_number", "EXCHANGESTANDARD", "M365-MAIL", 10),
    ServiceMapping("microsoft365", "user_licenses", "sku_part_number", "MCOEV", "M365-PHONE", 10),
    ServiceMapping("microsoft365", "user_licenses", "sku_part_number", "MICROSOFT_365_COPILOT", "M365-AI", 10),
)

SERVICE_OF = {
    "WINDOWS_SERVER": "RMM-SRV",
    "LINUX_SERVER": "RMM-SRV",
    "MAC_SERVER": "RMM-SRV",
    "VMWARE_VM_HOST": "RMM-SRV",
    "HYPERV_VMM_HOST": "RMM-SRV",
    "WINDOWS_WORKSTATION": "RMM-WKS",
    "LINUX_WORKSTATION": "RMM-WKS",
    "MAC": "RMM-WKS",
    "SPB": "M365-BP",
    "O365_BUSINESS_PREMIUM": "M365-BS",
    "SPE_E3": "M365-E3",
    "ENTERPRISEPACK": "M365-E3",
    "O365_BUSINESS_ESSENTIALS": "M365-MAIL",
    "EXCHANGESTANDARD": "M365-MAIL",
    "MCOEV": "M365-PHONE",
    "Microsoft_365_Copilot": "M365-AI",
}
"""The service each class of device and each SKU is sold as, said once more without patterns."""

ROLES = {
    "WINDOWS_SERVER": (200, 54),
    "WINDOWS_WORKSTATION": (201, 75),
    "LINUX_SERVER": (202, 58),
    "LINUX_WORKSTATION": (203, 59),
    "MAC": (205, 61),
    "MAC_SERVER": (206, 62),
    "VMWARE_VM_HOST": (210, 70),
    "VMWARE_VM_GUEST": (211, 71),
    "HYPERV_VMM_HOST": (212, 72),
    "HYPERV_VMM_GUEST": (213, 73),
}
"""Node role and role policy of a class; anything else is watched network gear."""

CENT = Decimal("0.01")


class Builder:
    """Makes the world. Every choice comes from one seeded generator, in one order, so a seed is a world."""

    def __init__(self, seed: int, start: datetime) -> None:
        self.rng = random.Random(f"morton-{seed}")
        self.start = start
        self.agreements = Agreements(services=list(SERVICES), mappings=list(MAPPINGS))
        self.organizations: list[Life[Organization]] = []
        self.devices: list[Life[Device]] = []
        self.tenants: list[Life[Tenant]] = []
        self.users: list[Life[User]] = []
        self.skus: list[Life[Sku]] = []
        self.huntress_organizations: list[Life[HuntressOrganization]] = []
        self.agents: list[Life[Agent]] = []
        self.incidents: list[Life[Incident]] = []
        self.organization_of: dict[str, int] = {}
        self.tenant_of: dict[str, str] = {}
        self.huntress_of: dict[str, int] = {}
        self.agent_of: dict[int, Life[Agent]] = {}
        """The agent on a device, by the device's id."""
        self.machines: dict[tuple[str, str], list[Life[Device]]] = defaultdict(list)
        """A client's devices that count, by service."""
        self.holders: dict[tuple[str, str], list[Life[User]]] = defaultdict(list)
        """A client's licence holders, by part number."""
        self.sku_states: dict[tuple[str, str], list[tuple[datetime, dict[str, Any]]]] = defaultdict(list)
        """What befalls a tenant's SKU, beside its quantity."""
        self._principals: set[str] = set()
        self._next = {
            "organization": 2,
            "device": 100,
            "huntress": 5001,
            "agent": 90001,
            "incident": 700,
            "contract": 1,
        }

    def number(self, kind: str) -> int:
        """Return the next id of a kind."""
        self._next[kind] += 1
        return self._next[kind] - 1

    def uuid(self) -> str:
        """Return a made-up identifier."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def day(self, number: float, hour: int | None = None) -> datetime:
        """Return an instant on a day counted from the start, never on a whole minute."""
        midnight = self.start.replace(hour=0, minute=0, second=0) + timedelta(days=int(number))
        at = self.rng.randint(13, 21) if hour is None else hour
        return midnight + timedelta(hours=at, minutes=self.rng.randint(0, 59), seconds=self.rng.randint(1, 59))

    def before(self) -> datetime:
        """Return an instant well before the world is first looked at."""
        return self.day(-self.rng.randint(20, 900))

    def days(self, count: int, first: int, last: int) -> list[datetime]:
        """Return that many instants in order, spread over a stretch of days."""
        return sorted(self.day(self.rng.randint(first, last)) for _ in range(count))

    def client(self, profile: Profile, accounting_id: str) -> None:
        """Make one client with everything it has on the first day."""
        self.agreements.clients.append(
            Client(
                profile.id,
                profile.name,
                profile.status,
                profile.currency,
                profile.time_zone,
                self.rng.choice((60, 90, 90, 180)),
                "" if profile.status == "internal" else accounting_id,
            )
        )
        self.organization(profile.id, profile.name)
        if profile.has_edr:
            self.huntress_organization(profile.id, profile.name)
        if profile.has_tenant:
            self.tenant(profile.id, profile.directory_name or profile.name)
        machines = max(4, round(profile.staff * 0.88))
        for _ in range(machines):
            kind = self.rng.choices(("WINDOWS_WORKSTATION", "MAC", "LINUX_WORKSTATION"), (86, 11, 3))[0]
            self.device(profile.id, kind, self.before(), has_agent=profile.has_edr and self.rng.random() < 0.97)
        for _ in range(1 + profile.staff // 16):
            kind = self.rng.choices(("WINDOWS_SERVER", "LINUX_SERVER"), (85, 15))[0]
            self.device(profile.id, kind, self.before(), has_agent=profile.has_edr)
        self._network(profile)
        if profile.has_tenant:
            self._people(profile)

    def organization(self, client_id: str, name: str) -> int:
        """Make a company in the RMM; without a client it is mapped to none."""
        made = self.number("organization")
        self.organizations.append(Life(self.before(), Organization(made, name, "" if made % 3 else "Managed")))
        if client_id:
            self.organization_of.setdefault(client_id, made)
            self._map(NINJAONE, str(made), name, client_id)
        return made

    def huntress_organization(self, client_id: str, name: str) -> int:
        """Make a company in the EDR."""
        made = self.number("huntress")
        self.huntress_organizations.append(Life(self.before(), HuntressOrganization(made, name, client_id)))
        self.huntress_of[client_id] = made
        self._map(HUNTRESS, str(made), name, client_id)
        return made

    def tenant(self, client_id: str, name: str) -> str:
        """Make a directory at Microsoft; without a client it is mapped to none."""
        made = self.uuid()
        domain = f"{client_id or f'tenant{len(self.tenants)}'}.example"
        if client_id in self.tenant_of:
            domain = f"{client_id}-{len(self.tenants)}.example"
        self.tenants.append(Life(self.before(), Tenant(made, name, domain)))
        if client_id:
            self.tenant_of.setdefault(client_id, made)
            self._map(M365, made, name, client_id)
        return made

    def _map(self, connection_id: str, company_id: str, name: str, client_id: str) -> None:
        self.agreements.companies.append(CompanyMapping(connection_id, company_id, name, client_id))

    def device(
        self,
        client_id: str,
        node_class: str,
        at: datetime,
        *,
        has_agent: bool = False,
        organization_id: int | None = None,
        name: str = "",
        **fields: Any,
    ) -> Life[Device]:
        """Add a device, with an agent if it has one."""
        made = self.number("device")
        role, policy = ROLES.get(node_class, (230, 90))
        prefix = {"RMM-SRV": "SRV", "RMM-WKS": "WS"}.get(SERVICE_OF.get(node_class, ""), "NET")
        system = name or ("Mac.lan" if node_class == "MAC" and made % 2 else f"{prefix}-{made}")
        owner = organization_id if organization_id is not None else self.organization_of[client_id]
        uid = self.uuid()
        serial, mac = _hardware(uid) if node_class in SERVICE_OF else (None, None)
        life = Life(
            at,
            Device(
                id=made,
                uid=uid,
                organization_id=owner,
                node_class=node_class,
                system_name=system,
                display_name=name or (None if made % 3 == 0 else system),
                dns_name=system.lower(),
                netbios_name=system[:15].upper(),
                role_id=role,
                role_policy_id=policy,
                policy_id=91 if made % 17 == 0 else None,
                is_offline=made % 6 == 0,
                **{"serial": serial, "mac": mac, **fields},
            ),
        )
        self.devices.append(life)
        if node_class in SERVICE_OF and life.first.approval_status == "APPROVED":
            self.machines[client_id, SERVICE_OF[node_class]].append(life)
        if has_agent:
            self.agent_of[made] = self.agent(client_id, at, system, node_class, machine=life.first)
        return life

    def agent(
        self,
        client_id: str,
        at: datetime,
        hostname: str,
        node_class: str = "WINDOWS_WORKSTATION",
        *,
        machine: Device | None = None,
    ) -> Life[Agent]:
        """Install an agent on a machine: one the RMM knows, whose hardware it then reports, or another."""
        made = self.number("agent")
        platform, os = {
            "MAC": ("darwin", "macOS 15.6"),
            "LINUX_SERVER": ("linux", "Ubuntu 24.04"),
            "LINUX_WORKSTATION": ("linux", "Ubuntu 24.04"),
            "WINDOWS_SERVER": ("windows", "Windows Server 2022 Standard"),
        }.get(node_class, ("windows", "Windows 11 Pro"))
        mac = "02:" + ":".join(f"{self.rng.getrandbits(8):02x}" for _ in range(5))
        address = f"10.{made % 200}.{self.rng.randint(0, 30)}.{self.rng.randint(2, 250)}"
        serial = f"{self.rng.getrandbits(40):010X}"
        if machine is not None:
            serial, mac = machine.serial or serial, machine.mac or mac
        life = Life(at, Agent(made, self.huntress_of[client_id], hostname, platform, os, serial, mac, address))
        self.agents.append(life)
        return life

    def befalls(self, client_id: str, part: str, at: datetime, **fields: Any) -> None:
        """Let something happen to a client's subscription, beside what is assigned of it."""
        self.sku_states[self.tenant_of[client_id], part].append((at, fields))

    def retire(self, device: Life[Device], at: datetime) -> None:
        """Remove a device and the agent on it."""
        device.remove(at)
        if agent := self.agent_of.get(device.first.id):
            agent.remove(at)

    def user(
        self, client_id: str, skus: tuple[str, ...], at: datetime, *, tenant_id: str = "", name: str = "", **fields: Any
    ) -> Life[User]:
        """Add an account with its licences."""
        tenant_id = tenant_id or self.tenant_of[client_id]
        domain = next(t.first.domain for t in self.tenants if t.first.id == tenant_id)
        given, family = self.rng.choice(GIVEN), self.rng.choice(FAMILY)
        base = (name or f"{given}.{family}").lower().replace(" ", "").replace("'", "")
        principal, repeat = f"{base}@{domain}", 1
        while principal in self._principals:
            repeat += 1
            principal = f"{base}{repeat}@{domain}"
        self._principals.add(principal)
        life = Life(
            at,
            User(
                id=self.uuid(),
                tenant_id=tenant_id,
                display_name=name or f"{given} {family}",
                given_name=None if name else given,
                surname=None if name else family,
                principal=principal,
                mail=principal if skus else None,
                skus=skus,
                **fields,
            ),
        )
        self.users.append(life)
        for part in skus:
            self.holders[client_id, part].append(life)
        return life

    def contract(
        self, client_id: str, service_id: str, quantity: int, unit_price: Decimal | None = None, **more: Any
    ) -> None:
        """Agree on a service with a client."""
        currency = self.agreements.client(client_id).currency
        share = PRICE_SHARES[currency]
        discount = self.rng.choice((Decimal(1), Decimal(1), Decimal("0.95"), Decimal("0.9")))
        price = self.agreements.service(service_id).list_price * share * discount if unit_price is None else unit_price
        made = f"C{self.number('contract'):04d}"
        self.agreements.contracts.append(
            Contract(
                made,
                client_id,
                service_id,
                quantity,
                price.quantize(CENT, ROUND_HALF_UP),
                more.pop("effective_from", date(2026, 1, 1)),
                **more,
            )
        )

    def amend(self, client_id: str, service_id: str, **changes: Any) -> None:
        """Rewrite what was agreed."""
        found = self._latest(client_id, service_id)
        self.agreements.contracts[found] = replace(self.agreements.contracts[found], **changes)

    def renew(self, client_id: str, service_id: str, on: date, **changes: Any) -> None:
        """End a contract's version on a day and begin the next."""
        found = self._latest(client_id, service_id)
        old = self.agreements.contracts[found]
        self.agreements.contracts[found] = replace(old, effective_to=on)
        made = f"C{self.number('contract'):04d}"
        self.agreements.contracts.append(replace(old, id=made, effective_from=on, **changes))

    def agreed(self, client_id: str, service_id: str) -> Contract:
        """Return the newest version of a contract."""
        return self.agreements.contracts[self._latest(client_id, service_id)]

    def drop_contract(self, client_id: str, service_id: str) -> None:
        """Make it as if it had never been agreed."""
        del self.agreements.contracts[self._latest(client_id, service_id)]

    def _latest(self, client_id: str, service_id: str) -> int:
        found = [
            i for i, c in enumerate(self.agreements.contracts) if (c.client_id, c.service_id) == (client_id, service_id)
        ]
        return found[-1]

    def agree_on_everything(self, client_id: str) -> None:
        """Contract what the client has on the first day."""
        for service in ("RMM-SRV", "RMM-WKS"):
            if held := len(self.machines[client_id, service]):
                self.contract(client_id, service, held)
        if agents := sum(a.first.organization_id == self.huntress_of.get(client_id) for a in self.agents):
            self.contract(client_id, "EDR", agents)
        counted: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for (owner, part), users in self.holders.items():
            if owner == client_id and part in SERVICE_OF:
                is_per_user = SERVICE_OF[part] == "M365-MAIL"
                counted[SERVICE_OF[part]].update(
                    (u.first.id, "" if is_per_user else part)
                    for u in users
                    if u.first.purpose not in ("shared", "room", "equipment")
                )
        for service in sorted(counted):
            if counted[service]:
                self.contract(client_id, service, len(counted[service]))

    def _network(self, profile: Profile) -> None:
        for kind in ("NMS_SWITCH", "NMS_FIREWALL", "NMS_WAP", "NMS_PRINTER")[: 1 + profile.staff // 9]:
            self.device(profile.id, kind, self.before())
        if profile.staff > 20:
            host = self.device(profile.id, self.rng.choice(("VMWARE_VM_HOST", "HYPERV_VMM_HOST")), self.before())
            guest = "VMWARE_VM_GUEST" if host.first.node_class == "VMWARE_VM_HOST" else "HYPERV_VMM_GUEST"
            for number in range(2):
                self.device(
                    profile.id, guest, self.before(), name=f"VM-{host.first.id}-{number + 1}", parent_id=host.first.id
                )
        if profile.staff % 3 == 0:
            self.device(profile.id, "CLOUD_MONITOR_TARGET", self.before(), name=f"www.{profile.id}.example")
        if profile.staff % 5 == 0:
            self.device(profile.id, "UNMANAGED_DEVICE", self.before())
            self.device(profile.id, "WINDOWS_WORKSTATION", self.before(), approval_status="DECOMMISSIONED")

    def _people(self, profile: Profile) -> None:
        main, count = profile.main_sku, profile.staff
        for number in range(count):
            skus = [main if number < count * 0.86 else "EXCHANGESTANDARD"]
            if profile.staff % 2 == 0 and number < count * 0.6:
                skus.append("MCOEV")
            if profile.id in ("granite", "vertex", "meridian", "summit") and number < 5:
                skus.append("Microsoft_365_Copilot")
            if number % 4 == 0:
                skus.append("FLOW_FREE")
            if number % 7 == 0:
                skus.append("POWER_BI_STANDARD")
            grouped = (main,) if number % 5 == 0 and main in skus else ()
            self.user(profile.id, tuple(skus), self.before(), group_skus=grouped, is_enabled=number % 19 != 18)
        self.user(profile.id, (main,), self.before(), name="Reception", purpose="shared")
        self.user(profile.id, ("EXCHANGESTANDARD",), self.before(), name="Board Room", purpose="room")
        self.user(
            profile.id, (), self.before(), name="Guest Auditor", user_type="Guest", purpose=None, mailbox_status=404
        )
        if count > 30:
            self.user(profile.id, (main,), self.before(), name="Director Office", purpose=None, mailbox_status=403)
        if count > 25:
            self.user(profile.id, ("EXCHANGESTANDARD",), self.before(), name="Projector Cart", purpose="equipment")

    def stock(self) -> None:
        """Let every tenant have bought what it assigns, and a little more."""
        for tenant in self.tenants:
            members = [u for u in self.users if u.first.tenant_id == tenant.first.id]
            parts = sorted({part for u in members for part in _ever_held(u)})
            for part in parts:
                self._stock(tenant, part, members)
            self.skus.append(Life(tenant.created_at, Sku(tenant.first.id, "WINDOWS_STORE", 25, applies_to="Company")))

    def _stock(self, tenant: Life[Tenant], part: str, members: list[Life[User]]) -> None:
        spare = self.rng.choice((0, 0, 1, 2))
        free = {"FLOW_FREE": 10000, "POWER_BI_STANDARD": 1000000}.get(part, 10000 if part in FREE_SKUS else None)
        # Before the start only the sum matters: nobody looked at the world then.
        bought = _held(part, members, self.start) + spare if free is None else free
        life = Life(tenant.created_at, Sku(tenant.first.id, part, bought))
        for instant in sorted({i for u in members for i in u.instants() if i > self.start}):
            if (held := _held(part, members, instant)) > bought:
                bought = held
                life.change(instant, enabled=bought)
        for at, fields in self.sku_states[tenant.first.id, part]:
            life.change(at, **fields)
        self.skus.append(life)


def _hardware(uid: str) -> tuple[str, str]:
    """Return the serial number and the network address of a machine, made from its identifier and not by chance."""
    made = hashlib.sha256(uid.encode()).hexdigest()
    return made[:10].upper(), ":".join(("3c", *(made[n : n + 2] for n in range(10, 20, 2))))


def _held(part: str, members: list[Life[User]], at: datetime) -> int:
    return sum(part in state.licenses() for u in members if (state := u.at(at)))


def _ever_held(user: Life[User]) -> set[str]:
    return {part for instant in user.instants() if (state := user.at(instant)) for part in state.licenses()}
