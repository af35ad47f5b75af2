"""What is really wrong in the invented world, worked out from the world and its contracts alone.

Belongs here: the rules of counting said a second time, in plain loops over entities. Does not: anything of the
warehouse or of dbt; the two are compared, so neither may lean on the other.

What Morton can know depends on when it looked: the quantity of a client's day is what the last extraction before that
day's local midnight saw, and today's is what the latest extraction saw.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from morton_pipeline.simulator.entities import Agreements, CompanyMapping, Contract, Exclusion, Item, Tool
from morton_pipeline.simulator.names import FREE_SKUS
from morton_pipeline.simulator.population import HUNTRESS, M365, NINJAONE, SERVICE_OF
from morton_pipeline.simulator.stack import GIB
from morton_pipeline.simulator.world import World, alive

VENDOR_OF = {NINJAONE: "ninjaone", M365: "microsoft365", HUNTRESS: "huntress"}
"""The vendor each of the first connections is of."""
NOT_MANAGED = ("PENDING", "STAGED", "DECOMMISSIONED")
NOT_A_SEAT = ("shared", "room", "equipment")
DEAD = ("Suspended", "LockedOut", "Deleted")


@dataclass(frozen=True)
class Discrepancy:
    """One row somebody must look at."""

    kind: str
    client_id: str
    """Empty for a company mapped to nobody."""
    company_id: str
    """Only for a company mapped to nobody: the vendor's own id of it."""
    connection_id: str
    service_id: str
    """For an unmapped SKU, what the vendor calls it."""
    observed_quantity: Decimal | int | None
    contracted_quantity: int
    invoiced_quantity: int | None
    variance_quantity: Decimal | int | None
    """Billable less contracted; contracted less invoiced for an invoice mismatch; nothing where nobody could count."""
    variance_amount: Decimal | None
    """Nothing where nobody could count, or where no service can be guessed for what was counted."""
    currency: str
    began_on: date | None
    is_within_tolerance: bool = False


class _Record(NamedTuple):
    """One thing a vendor lists that may be billed, as one extraction saw it."""

    connection_id: str
    company_id: str
    record_id: str
    name: str
    kind: str
    """Node class, SKU or platform, in the vendor's own word."""
    service_id: str | None
    """What it is sold as; nothing where no service stands for it."""
    quantity: Decimal = Decimal(1)


def daily(first: datetime, last: datetime, at: time) -> list[datetime]:
    """Return one extraction a day at a UTC time, from the first instant to the last, both included."""
    day, found = first.date(), []
    while (instant := datetime.combine(day, at, UTC)) <= last:
        if instant >= first:
            found.append(instant)
        day += timedelta(days=1)
    return found


def expected(world: World, *, as_of: datetime, extractions: Sequence[datetime]) -> list[Discrepancy]:
    """Return every discrepancy of the open period, given when the vendors were read, also those within tolerance."""
    history = History(world, [at for at in sorted(extractions) if at <= as_of], as_of)
    rows = [
        *_variances(history),
        *_not_audited(history),
        *_unmapped_companies(history),
        *_unmapped_skus(history),
        *_invoice_mismatches(history),
        *_below_cost(history),
    ]
    return sorted(rows, key=lambda r: (r.kind, r.client_id, r.company_id, r.service_id))


class History:
    """What was known at the end of every day, client by client."""

    def __init__(self, world: World, extractions: list[datetime], as_of: datetime) -> None:
        self.world, self.extractions, self.as_of = world, extractions, as_of
        self.agreements: Agreements = world.agreements
        self.records = [_countable(world, at) for at in extractions]
        """For every extraction: the records that no vendor rule excludes, by connection and company."""
        self._counts: dict[tuple[str, date], dict[str, Decimal]] = {}
        self._per_person = {s.id for s in world.agreements.services if s.unit == "user"}
        self.vendor_of = {**VENDOR_OF, **{t.connection_id: counted_by(t) for t in world.tools.values()}}
        self._companies: dict[str, list[CompanyMapping]] = defaultdict(list)
        for mapping in world.agreements.companies:
            self._companies[mapping.client_id].append(mapping)

    def today(self, time_zone: str) -> date:
        """Return the date of the as-of instant somewhere."""
        return self.as_of.astimezone(ZoneInfo(time_zone)).date()

    def days(self, time_zone: str) -> Iterator[date]:
        """Return the days something was known of, newest first."""
        zone = ZoneInfo(time_zone)
        day = self.today(time_zone)
        while self.extractions and self._extraction(day, zone) is not None:
            yield day
            day -= timedelta(days=1)

    def known(self, day: date, time_zone: str) -> dict[tuple[str, str], list[_Record]]:
        """Return the records known at the end of a day, or now if the day is not over."""
        found = self._extraction(day, ZoneInfo(time_zone))
        return {} if found is None else self.records[found]

    def _extraction(self, day: date, zone: ZoneInfo) -> int | None:
        ends_at = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
        found = bisect_right(self.extractions, min(ends_at, self.as_of)) - 1
        return found if found >= 0 else None

    def observed(self, client_id: str, day: date) -> dict[str, Decimal]:
        """Return a client's quantities of a day, by service."""
        if (client_id, day) not in self._counts:
            self._counts[client_id, day] = self._count(client_id, day)
        return self._counts[client_id, day]

    def _count(self, client_id: str, day: date) -> dict[str, Decimal]:
        client = self.agreements.client(client_id)
        known = self.known(day, client.time_zone)
        things: dict[str, dict[tuple[str, str, str], Decimal]] = defaultdict(dict)
        for mapping in self.mapped(client_id, day):
            for record in known.get((mapping.connection_id, mapping.company_id), ()):
                service = record.service_id
                if service is None or self._is_excluded(record, client_id, service, day):
                    continue
                if self.vendor_of[record.connection_id] != self.counter(client_id, service, day):
                    continue
                kind = "" if service in self._per_person else record.kind
                things[service][record.connection_id, record.record_id, kind] = record.quantity
        return {service: sum(found.values(), Decimal(0)) for service, found in things.items()}

    def counter(self, client_id: str, service_id: str, day: date) -> str:
        """Return the vendor that counts a service for a client on a day."""
        contract = self.agreements.contract_on(client_id, service_id, day)
        return (contract.count_vendor if contract else "") or self.agreements.service(service_id).count_vendor

    def mapped(self, client_id: str, day: date) -> list[CompanyMapping]:
        """Return the companies that are this client on a day."""
        return [m for m in self._companies[client_id] if _holds(m, day)]

    def _is_excluded(self, record: _Record, client_id: str, service_id: str, day: date) -> bool:
        vendor = self.vendor_of[record.connection_id]
        return any(_excludes(x, record, vendor, client_id, service_id, day) for x in self.agreements.exclusions)

    def run(self, client_id: str, service_id: str) -> tuple[date | None, Decimal]:
        """Return the first day of the present unbroken run of variance of one sign, and its days of one unit."""
        client = self.agreements.client(client_id)
        sign, began, unit_days = Decimal(0), None, Decimal(0)
        for day in self.days(client.time_zone):
            contract = self.agreements.contract_on(client_id, service_id, day)
            observed = self.observed(client_id, day).get(service_id, Decimal(0))
            variance = _billable(observed, contract) - (contract.quantity if contract else 0)
            if variance == 0 or (sign and (variance > 0) != (sign > 0)):
                break
            sign, began, unit_days = variance, day, unit_days + abs(variance)
        return began, unit_days


@lru_cache(maxsize=400)
def _countable(world: World, at: datetime) -> dict[tuple[str, str], list[_Record]]:
    state = world.at(at)
    found: dict[tuple[str, str], list[_Record]] = defaultdict(list)
    for device in state.devices:
        is_watched = device.node_class.startswith("NMS_") or device.node_class in (
            "CLOUD_MONITOR_TARGET",
            "UNMANAGED_DEVICE",
        )
        is_guest = device.node_class.endswith("_GUEST")
        if not is_watched and not is_guest and device.approval_status not in NOT_MANAGED:
            company, name = str(device.organization_id), device.display_name or device.system_name
            service = SERVICE_OF.get(device.node_class)
            found[NINJAONE, company].append(
                _Record(NINJAONE, company, str(device.id), name, device.node_class, service)
            )
    dead = {(sku.tenant_id, sku.part) for sku in state.skus if sku.status in DEAD}
    for user in state.users:
        if user.purpose not in NOT_A_SEAT:
            for part in user.licenses():
                if part not in FREE_SKUS and (user.tenant_id, part) not in dead:
                    found[M365, user.tenant_id].append(
                        _Record(M365, user.tenant_id, user.id, user.display_name, part, SERVICE_OF.get(part))
                    )
    for agent in state.agents:
        company = str(agent.organization_id)
        found[HUNTRESS, company].append(
            _Record(HUNTRESS, company, str(agent.id), agent.hostname, agent.platform, "EDR")
        )
    for tool in world.tools.values():
        for item in alive(tool.items, tool.told_at(world.starts_at, at)):
            if item.is_counted:
                quantity = item.quantity / GIB if item.facts.get("unit") == "bytes" else item.quantity
                found[tool.connection_id, item.company_id].append(
                    _Record(
                        tool.connection_id,
                        item.company_id,
                        item.id,
                        item.name,
                        item.kind,
                        tool.services.get(item.kind),
                        quantity,
                    )
                )
    return found


def counted_by(tool: Tool) -> str:
    """Return what counts through a connection, in the words of a contract: its vendor, or the tool it declares."""
    return tool.connection_id if tool.vendor in ("rest", "files") else tool.vendor


def _holds(dated: CompanyMapping, day: date) -> bool:
    return (dated.effective_from is None or dated.effective_from <= day) and (
        dated.effective_to is None or day < dated.effective_to
    )


def _excludes(x: Exclusion, record: _Record, vendor: str, client_id: str, service_id: str, day: date) -> bool:
    if day < x.effective_from or (x.expires_on is not None and day >= x.expires_on):
        return False
    if x.client_id not in ("", client_id) or x.service_id not in ("", service_id):
        return False
    if x.vendor not in ("", vendor):
        return False
    if x.record_id:
        return x.record_id == record.record_id
    return bool(x.name_pattern) and fnmatchcase(record.name.lower(), x.name_pattern.lower())


def _billable(observed: Decimal, contract: Contract | None) -> Decimal:
    if contract is None or contract.billing_model == "per_unit":
        return observed
    if contract.billing_model == "minimum":
        return max(observed, Decimal(contract.minimum_quantity or 0))
    if contract.billing_model == "included":
        return max(observed - (contract.included_quantity or 0), Decimal(0))
    return Decimal(contract.quantity)


def money(quantity: Decimal | int, price: Decimal) -> Decimal:
    """Return what so many come to, to the cent."""
    return (quantity * price).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _variances(history: History) -> Iterator[Discrepancy]:
    agreements = history.agreements
    for client in agreements.clients:
        if client.status == "internal":
            continue
        today = history.today(client.time_zone)
        for service in agreements.services:
            contract = agreements.contract_on(client.id, service.id, today)
            if contract is not None and not _can_be_counted(history, client.id, service.id, today):
                continue
            observed = history.observed(client.id, today).get(service.id, Decimal(0))
            contracted = contract.quantity if contract else 0
            billable = _billable(observed, contract)
            variance = billable - contracted
            if variance == 0:
                continue
            price = (
                contract.unit_price if contract else _price_without_contract(agreements, client.id, service.id, today)
            )
            if contract is None:
                kind = "no_contract"
            elif observed == 0 and variance < 0:
                kind = "no_usage"
            else:
                kind = "under_billed" if variance > 0 else "over_billed"
            began_on, unit_days = history.run(client.id, service.id)
            tolerance = contract.tolerance_quantity if contract else 0
            yield Discrepancy(
                kind=kind,
                client_id=client.id,
                company_id="",
                connection_id="",
                service_id=service.id,
                observed_quantity=observed,
                contracted_quantity=contracted,
                invoiced_quantity=None,
                variance_quantity=variance,
                variance_amount=money(variance, price),
                currency=client.currency,
                began_on=began_on,
                is_within_tolerance=abs(variance) <= tolerance and unit_days < 30 * tolerance,
            )


def _price_without_contract(agreements: Agreements, client_id: str, service_id: str, today: date) -> Decimal:
    ended = [
        c
        for c in agreements.contracts
        if (c.client_id, c.service_id) == (client_id, service_id)
        and c.effective_to is not None
        and c.effective_to <= today
    ]
    if ended:
        last = max(ended, key=lambda c: c.effective_to or today)
        if last.effective_to is not None and last.effective_to > today - timedelta(days=365):
            return last.unit_price
    return agreements.service(service_id).list_price


def _can_be_counted(history: History, client_id: str, service_id: str, day: date) -> bool:
    vendor = history.counter(client_id, service_id, day)
    return any(history.vendor_of[m.connection_id] == vendor for m in history.mapped(client_id, day))


def _not_audited(history: History) -> Iterator[Discrepancy]:
    agreements = history.agreements
    for client in agreements.clients:
        today = history.today(client.time_zone)
        for service in agreements.services:
            contract = agreements.contract_on(client.id, service.id, today)
            if contract is not None and not _can_be_counted(history, client.id, service.id, today):
                yield Discrepancy(
                    "not_audited",
                    client.id,
                    "",
                    "",
                    service.id,
                    None,
                    contract.quantity,
                    None,
                    None,
                    None,
                    client.currency,
                    None,
                )


def _unmapped_companies(history: History) -> Iterator[Discrepancy]:
    agreements, today = history.agreements, history.today("UTC")
    mapped = {(m.connection_id, m.company_id) for m in agreements.companies if _holds(m, today)}
    for (connection_id, company_id), records in history.known(today, "UTC").items():
        if (connection_id, company_id) in mapped:
            continue
        amount = sum(
            (r.quantity * agreements.service(r.service_id).list_price for r in records if r.service_id), Decimal("0.00")
        )
        quantity = sum((r.quantity for r in records), Decimal(0))
        began = today
        for day in history.days("UTC"):
            if not history.known(day, "UTC").get((connection_id, company_id)):
                break
            began = day
        yield Discrepancy(
            "unmapped_company",
            "",
            company_id,
            connection_id,
            "",
            quantity,
            0,
            None,
            quantity,
            amount,
            "USD",
            began,
        )


def _unmapped_skus(history: History) -> Iterator[Discrepancy]:
    for client in history.agreements.clients:
        if client.status == "internal":
            continue
        today = history.today(client.time_zone)
        for sku, quantity in _without_service(history, client.id, today).items():
            began = today
            for day in history.days(client.time_zone):
                if sku not in _without_service(history, client.id, day):
                    break
                began = day
            connection_id, kind = sku
            yield Discrepancy(
                "unmapped_sku",
                client.id,
                "",
                connection_id,
                kind,
                quantity,
                0,
                None,
                quantity,
                None,
                "USD",
                began,
            )


def _without_service(history: History, client_id: str, day: date) -> dict[tuple[str, str], Decimal]:
    known = history.known(day, history.agreements.client(client_id).time_zone)
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for mapping in history.mapped(client_id, day):
        for record in known.get((mapping.connection_id, mapping.company_id), ()):
            if record.service_id is None:
                found[record.connection_id, record.kind] += record.quantity
    return found


def _invoice_mismatches(history: History) -> Iterator[Discrepancy]:
    agreements = history.agreements
    for wrong in agreements.misbillings:
        client = agreements.client(wrong.client_id)
        today = history.today(client.time_zone)
        contract = agreements.contract_on(client.id, wrong.service_id, today)
        if contract is None or contract.quantity == wrong.quantity:
            continue
        missing = contract.quantity - wrong.quantity
        yield Discrepancy(
            "invoice_mismatch",
            client.id,
            "",
            "",
            wrong.service_id,
            history.observed(client.id, today).get(wrong.service_id, 0),
            contract.quantity,
            wrong.quantity,
            missing,
            money(missing, contract.unit_price),
            client.currency,
            None,
        )


def _below_cost(history: History) -> Iterator[Discrepancy]:
    """Services that cost more than they are sold for: at the distributor's price, else at the price list's."""
    agreements = history.agreements
    for contract in agreements.contracts:
        client, service = agreements.client(contract.client_id), agreements.service(contract.service_id)
        today = history.today(client.time_zone)
        if not contract.holds_on(today) or client.status == "internal" or client.currency != "USD":
            continue
        items = bought(history, client.id, service.id, today)
        quantity = sum((item.quantity for item in items), Decimal(0))
        paid = sum((item.quantity * item.facts["partner_cost"] for item in items), Decimal(0))
        cost = paid / quantity if quantity else service.unit_cost
        observed = history.observed(client.id, today).get(service.id, Decimal(0))
        quantity = quantity or observed
        if contract.billing_model != "flat" and cost > contract.unit_price and quantity:
            yield Discrepancy(
                "below_cost",
                client.id,
                "",
                "",
                service.id,
                observed,
                contract.quantity,
                None,
                quantity,
                money(quantity, cost - contract.unit_price),
                "USD",
                None,
            )


def bought(history: History, client_id: str, service_id: str, day: date) -> list[Item]:
    """Return the subscriptions a client holds at the distributor that are sold as a service."""
    tool = history.world.tools["pax8"]
    companies = {m.company_id for m in history.mapped(client_id, day) if m.connection_id == tool.connection_id}
    items = alive(tool.items, tool.told_at(history.world.starts_at, history.as_of))
    return [i for i in items if i.is_counted and i.company_id in companies and tool.services.get(i.kind) == service_id]
