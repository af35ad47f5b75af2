"""What really stands beside the invoices in the invented world: machines a tool misses, and what is bought and used.

Belongs here: the rules of coverage and of margins said a second time, in plain loops over entities. Does not: what is
billed (`truth`), or anything of the warehouse or of dbt.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import NamedTuple

from morton_pipeline.simulator.entities import Client, Contract, Tool
from morton_pipeline.simulator.names import FREE_SKUS
from morton_pipeline.simulator.pax8 import INVOICE_DAY, RUNNING
from morton_pipeline.simulator.population import HUNTRESS, M365, NINJAONE, SERVICE_OF
from morton_pipeline.simulator.truth import DEAD, History, bought, money
from morton_pipeline.simulator.world import World, alive

CATEGORY = {
    "ninjaone": "rmm", "datto_rmm": "rmm", "huntress": "security", "sentinelone": "security",
    "datto_bcdr": "backup", "acronis": "backup", "cove": "backup", "veeam_spc": "backup",
}  # fmt: skip
"""The tools that show machines, and what each is about."""
NAMED_AS = {"datto_bcdr": ("agent",), "acronis": ("resource",), "cove": ("server",), "veeam_spc": ()}
"""The kinds of things that are machines, by name, in the tools that keep backups."""
CLASS_OF = {"RMM-SRV": "server", "RMM-WKS": "workstation"}
ORDER = ("rmm", "security", "backup")


class Gap(NamedTuple):
    """One machine that is missing somewhere, or might be."""

    client_id: str
    gap: str
    vendor: str
    record_id: str


class Margin(NamedTuple):
    """What stands side by side of one client's service; nothing where nobody knows."""

    client_id: str
    service_id: str
    contracted_quantity: Decimal
    observed_quantity: Decimal | None
    purchased_quantity: Decimal | None
    assigned_quantity: Decimal | None
    distributor_invoiced_quantity: Decimal | None
    distributor_invoiced_amount: Decimal | None
    waste_quantity: Decimal | None
    risk_quantity: Decimal | None
    billed_amount: Decimal
    cost_amount: Decimal | None
    margin_amount: Decimal | None
    finding: str


@dataclass(frozen=True)
class _Machine:
    category: str
    vendor: str
    record_id: str
    serial: str
    host: str
    device_class: str


def gaps(world: World, *, as_of: datetime, extractions: Sequence[datetime]) -> list[Gap]:
    """Return every machine that a tool misses, given when the vendors were read."""
    history = History(world, [at for at in sorted(extractions) if at <= as_of], as_of)
    return [gap for client in world.agreements.clients if client.status != "internal" for gap in _gaps(history, client)]


def margins(world: World, *, as_of: datetime, extractions: Sequence[datetime]) -> list[Margin]:
    """Return what is agreed, counted, bought, assigned and charged of every service, by when the vendors were read."""
    history = History(world, [at for at in sorted(extractions) if at <= as_of], as_of)
    return [
        row
        for client in world.agreements.clients
        if client.status != "internal"
        for service in world.agreements.services
        if (row := _margin(history, client, service.id)) is not None
    ]


def _gaps(history: History, client: Client) -> Iterator[Gap]:
    today = history.today(client.time_zone)
    machines = _machines(history, client.id, today)
    listed = {machine: _partners(machine, machines) for machine in machines}
    categories = {
        CATEGORY[v] for m in history.mapped(client.id, today) if (v := history.vendor_of[m.connection_id]) in CATEGORY
    }
    contracted = {c for c in ORDER if _is_agreed(history, client, c, today)} & categories
    observed = history.observed(client.id, today)
    is_protected = client.status == "active" and any(
        s.category == "security" and s.unit != "mailbox" and observed.get(s.id) for s in history.agreements.services
    )
    expected = contracted | ({"security"} & categories if is_protected else set())
    firsts = [m for m in machines if not any(ORDER.index(p.category) < ORDER.index(m.category) for p in listed[m])]
    classes = _classes_backed_up(firsts, listed)
    for machine in machines:
        missing = [c for c in ORDER if c != machine.category and c not in {p.category for p in listed[machine]}]
        for category in missing:
            known = _class_of(machine, listed[machine])
            is_gap = {
                "rmm": machine in firsts and "rmm" in contracted,
                "security": machine.category == "rmm" and bool(known) and "security" in expected,
                "backup": machine in firsts and known in classes and "backup" in expected,
            }[category]
            if is_gap:
                is_counted = category == "backup" and _is_backed_up_without_a_name(history, client, today)
                word = f"{'undecided' if is_counted else 'no'}_{category.replace('security', 'edr')}"
                yield Gap(client.id, word, machine.vendor, machine.record_id)


def _is_agreed(history: History, client: Client, category: str, day: date) -> bool:
    """Whether a contract covers a kind of tool; mailboxes and people are protected without a machine."""
    without = ("mailbox", "user", "licence") if category == "backup" else ("mailbox",)
    return any(
        s.category == category and s.unit not in without and history.agreements.contract_on(client.id, s.id, day)
        for s in history.agreements.services
    )


def _machines(history: History, client_id: str, day: date) -> list[_Machine]:
    """Return the machines each tool names of a client."""
    companies = {(m.connection_id, m.company_id) for m in history.mapped(client_id, day)}
    state = history.world.at(history.extractions[-1])
    devices, agents = {str(d.id): d for d in state.devices}, {str(a.id): a for a in state.agents}
    found = []
    for place in companies & {*history.records[-1]}:
        for record in history.records[-1][place]:
            if record.connection_id == NINJAONE:
                device = devices[record.record_id]
                # Hosts of virtual machines run no agents: nothing is expected of them.
                is_host = device.node_class.endswith("_HOST")
                kind = "" if is_host else CLASS_OF.get(SERVICE_OF.get(device.node_class, ""), "")
                found.append(
                    _Machine("rmm", "ninjaone", record.record_id, device.serial or "", device.system_name, kind)
                )
            elif record.connection_id == HUNTRESS:
                agent = agents[record.record_id]
                found.append(_Machine("security", "huntress", record.record_id, agent.serial, agent.hostname, ""))
    for tool in history.world.tools.values():
        if tool.vendor in CATEGORY:
            for item in alive(tool.items, tool.told_at(history.world.starts_at, history.extractions[-1])):
                is_named = item.is_counted if tool.vendor != "acronis" else True
                kinds = NAMED_AS.get(tool.vendor, (item.kind,))
                if (tool.connection_id, item.company_id) in companies and is_named and item.kind in kinds:
                    kind = CLASS_OF.get(tool.services.get(item.kind, ""), "")
                    found.append(
                        _Machine(CATEGORY[tool.vendor], tool.vendor, item.id, item.serial or "", item.name, kind)
                    )
    return found


def _partners(machine: _Machine, machines: Iterable[_Machine]) -> list[_Machine]:
    """Return the same machine in other kinds of tool: by its serial number, else by a name nothing else explains."""
    others = [m for m in machines if m.category != machine.category]
    found = []
    for category in ORDER:
        there = [m for m in others if m.category == category]
        same = [m for m in there if m.serial and m.serial == machine.serial]
        taken = {m.serial for m in machines if m.category == machine.category and m.serial}
        found += same or [m for m in there if m.host.lower() == machine.host.lower() and m.serial not in taken]
    return found


def _class_of(machine: _Machine, partners: Iterable[_Machine]) -> str:
    return next((m.device_class for m in (machine, *partners) if m.device_class), "")


def _classes_backed_up(firsts: Iterable[_Machine], listed: dict[_Machine, list[_Machine]]) -> set[str]:
    """Return the classes among which somebody without a backup is missed."""
    backed_up: dict[str, int] = defaultdict(int)
    for machine in firsts:
        if known := _class_of(machine, listed[machine]):
            backed_up[known] += any(m.category == "backup" for m in (machine, *listed[machine]))
    named = {known for known, count in backed_up.items() if count}
    return named | {"server"} if named or "server" in backed_up else {*backed_up}


def _is_backed_up_without_a_name(history: History, client: Client, day: date) -> bool:
    """Whether a tool that names no machines counts some of the client's."""
    places = {(m.connection_id, m.company_id) for m in history.mapped(client.id, day)}
    return any(
        record.kind == "ManagedServerAgents" and record.quantity
        for place in places
        for record in history.records[-1].get(place, ())
    )


def _margin(history: History, client: Client, service_id: str) -> Margin | None:
    agreements, today = history.agreements, history.today(client.time_zone)
    contract = agreements.contract_on(client.id, service_id, today)
    counter = history.counter(client.id, service_id, today)
    is_read = any(history.vendor_of[m.connection_id] == counter for m in history.mapped(client.id, today))
    counted = history.observed(client.id, today).get(service_id, Decimal(0))
    observed = counted if is_read and (contract or _was_counted(history, client, service_id)) else None
    resold, own = _resold(history, client, service_id, today), _own(history, client, service_id, today)
    purchased = resold if resold is not None else own
    charged, charged_amount = _charged(history, client, service_id)
    if contract is None and not observed and not purchased and charged is None:
        return None
    assigned = _assigned(history, client, service_id, today)
    assigned = observed if assigned is None and _is_deployed(history, counter, service_id) else assigned
    waste = risk = None
    finding = []
    if purchased is not None and assigned is not None:
        sides = [number for number in (resold, own) if number is not None]
        waste, risk = max(purchased - assigned, Decimal(0)), max(assigned - max(sides), Decimal(0))
        finding += ["waste"] * (waste > 0) + ["risk"] * (risk > 0)
        finding += ["lists_differ"] * (min(sides) < assigned <= max(sides))
    billed = money(contract.quantity, contract.unit_price) if contract else Decimal(0)
    cost = _cost(history, client, service_id, purchased or observed, today)
    if contract and client.currency == "USD" and _is_below_cost(contract, purchased or observed, cost):
        finding.append("below_cost")
    return Margin(
        client.id, service_id, Decimal(contract.quantity if contract else 0), observed, purchased, assigned,
        charged, charged_amount, waste, risk, billed, cost,
        billed - cost if cost is not None and client.currency == "USD" else None, ", ".join(finding),
    )  # fmt: skip


def _was_counted(history: History, client: Client, service_id: str) -> bool:
    """Whether there was any of a service on any day that was looked at: none of it now is then a known zero."""
    return any(history.observed(client.id, day).get(service_id) for day in history.days(client.time_zone))


def _resold(history: History, client: Client, service_id: str, day: date) -> Decimal | None:
    """Return what the distributor sold for a client, where it sold anything of the service."""
    items = bought(history, client.id, service_id, day)
    return sum((item.quantity for item in items), Decimal(0)) if items else None


def _own(history: History, client: Client, service_id: str, day: date) -> Decimal | None:
    """Return what the client's own directories say was bought, where there are any and Microsoft sells the service."""
    tenants = {m.company_id for m in history.mapped(client.id, day) if m.connection_id == M365}
    if not tenants or service_id not in SERVICE_OF.values() or not service_id.startswith("M365-"):
        return None
    skus = history.world.at(history.extractions[-1]).skus
    mine = [s for s in skus if s.tenant_id in tenants and SERVICE_OF.get(s.part) == service_id and s.status not in DEAD]
    return Decimal(sum(sku.enabled + sku.warning for sku in mine))


def _assigned(history: History, client: Client, service_id: str, day: date) -> Decimal | None:
    """Return how many licences are assigned, whoever holds them; nothing for what nobody is given."""
    places = {(m.connection_id, m.company_id) for m in history.mapped(client.id, day)}
    state = history.world.at(history.extractions[-1])
    dead = {(sku.tenant_id, sku.part) for sku in state.skus if sku.status in DEAD}
    if service_id.startswith("M365-"):
        if not any(connection_id == M365 for connection_id, _ in places):
            return None
        held = [(u.tenant_id, p) for u in state.users if (M365, u.tenant_id) in places for p in u.licenses()]
        mine = [h for h in held if SERVICE_OF.get(h[1]) == service_id and h[1] not in FREE_SKUS and h not in dead]
        return Decimal(len(mine))
    lists = {"GWS-BS": "google", "SAAS-SEAT": "datto_bcdr"}
    if service_id not in lists or not any(connection_id == lists[service_id] for connection_id, _ in places):
        return None
    records = (r for place in places for r in history.records[-1].get(place, ()))
    return Decimal(sum(r.connection_id == lists[service_id] and r.service_id == service_id for r in records))


def _is_deployed(history: History, counter: str, service_id: str) -> bool:
    """Whether what is counted of a service is in use by being there: neither bought nor given to anybody."""
    return counter not in ("microsoft365", "google_workspace", "pax8") and service_id != "SAAS-SEAT"


def _charged(history: History, client: Client, service_id: str) -> tuple[Decimal | None, Decimal | None]:
    """Return how many the distributor's invoice of the month charges for, and how much."""
    tool: Tool = history.world.tools["pax8"]
    today = history.today(client.time_zone)
    at = datetime.combine(today.replace(day=INVOICE_DAY), time(12), UTC)
    companies = {m.company_id for m in history.mapped(client.id, today) if m.connection_id == tool.connection_id}
    lines = [
        item
        for item in alive(tool.items, at)
        if item.company_id in companies
        and item.facts.get("status", "Active") in RUNNING
        and tool.services.get(item.kind) == service_id
    ]
    if not lines:
        return None, None
    amount = sum((item.quantity * item.facts["partner_cost"] for item in lines), Decimal(0))
    return sum((item.quantity for item in lines), Decimal(0)), amount


def _cost(history: History, client: Client, service_id: str, quantity: Decimal | None, day: date) -> Decimal | None:
    """Return what a service costs a month: at the distributor's price, else at the price list's."""
    items = bought(history, client.id, service_id, day)
    if items:
        return money(Decimal(1), sum((item.quantity * item.facts["partner_cost"] for item in items), Decimal(0)))
    return None if quantity is None else money(quantity, history.agreements.service(service_id).unit_cost)


def _is_below_cost(contract: Contract, quantity: Decimal | None, cost: Decimal | None) -> bool:
    if contract.billing_model == "flat" or not quantity or cost is None:
        return False
    return cost / quantity > contract.unit_price
