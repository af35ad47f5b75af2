"""One generated MSP: its clients, what it agreed with them, and what its tools list at every reading.

Belongs here: inventing an MSP from a seed, and turning it into seeds, connections and extractions. Does not: what any
number should be (`model`), or what is wrong on purpose (`cases`).
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from morton_pipeline.extract.fetch import Extraction

Json = dict[str, Any]
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
HOME = "USD"
"""The currency most clients of every MSP are billed in, and list prices are in."""
BATCH = 100
"""So many MSPs share one book, and with it the instants at which their tools are read."""
FALL, JUMP, FEW = Decimal("0.3"), Decimal("1.8"), 10
"""A list that loses more than this share, or grows beyond this factor, is not believed, unless it was short before."""

ZONES = (
    "UTC", "America/New_York", "America/Los_Angeles", "America/St_Johns", "Europe/Berlin", "Europe/Lisbon",
    "Asia/Kolkata", "Asia/Tokyo", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Kiritimati", "Pacific/Honolulu",
)  # fmt: skip
CURRENCIES = ("EUR", "GBP", "JPY", "KWD")

_NOWS = (
    # The last days of summer time in Europe and in America; an ordinary month's end; the year's; a leap day, at noon and
    # when it is over for some; the first minutes of a month; the day on which New York's clocks go forward.
    datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 6, 30, 12, tzinfo=UTC), datetime(2026, 12, 31, 23, 30, tzinfo=UTC),
    datetime(2028, 2, 29, 12, tzinfo=UTC), datetime(2028, 3, 1, 5, 30, tzinfo=UTC), datetime(2027, 3, 1, 0, 30, tzinfo=UTC),
    datetime(2028, 3, 12, 12, tzinfo=UTC), datetime(2027, 4, 5, 12, tzinfo=UTC), datetime(2026, 8, 1, 11, tzinfo=UTC),
    datetime(2027, 1, 15, 12, tzinfo=UTC),
)  # fmt: skip


@dataclass(frozen=True)
class Calendar:
    """When the tools of a batch are read, and when its mart is built."""

    now: datetime
    zones: tuple[str, ...]
    readings: tuple[datetime, ...]

    @classmethod
    def of(cls, seed: int, batch: int) -> "Calendar":
        """Read about weekly, and close to local midnight at every end of a month, in every zone of the batch."""
        rng = Random(f"{seed}/{batch}")
        now = _NOWS[batch % len(_NOWS)] if batch < len(_NOWS) else rng.choice(_NOWS)
        zones = ("UTC", *rng.sample(ZONES[1:], 4))
        last = now - timedelta(minutes=30)
        begin = now - timedelta(days=rng.randint(65, 90))
        readings = {begin, last}
        for zone in zones:
            for month in months(begin.date(), now.date() + timedelta(days=1))[1:]:
                midnight = datetime.combine(month, time(), ZoneInfo(zone)).astimezone(UTC)
                readings |= {midnight - timedelta(seconds=rng.choice((1, 1800))), midnight + timedelta(seconds=rng.choice((0, 1, 1800)))}  # fmt: skip
        day = begin
        while (day := day + timedelta(days=rng.randint(2, 6), hours=rng.randint(-11, 11))) < last:
            readings.add(day)
        return cls(now, zones, tuple(sorted(at for at in readings if begin <= at <= last)))

    @property
    def first(self) -> datetime:
        """When anything was read for the first time."""
        return self.readings[0]


def months(first: date, last: date) -> list[date]:
    """Return the first day of every month from one day's to another's."""
    found, day = [], first.replace(day=1)
    while day <= last:
        found.append(day)
        day = (day + timedelta(days=31)).replace(day=1)
    return found


@dataclass(frozen=True)
class Service:
    """What every MSP sells, and the records that stand for it."""

    id: str
    unit: str
    list_price: str
    vendor: str
    endpoint: str
    field: str
    patterns: tuple[str, ...]
    kind: str
    """What a record of it reads in that field."""


SERVICES = {
    s.id: s
    for s in (
        Service("workstation", "device", "40", "ninjaone", "devices", "node_class", ("WINDOWS_WORKSTATION",), "WINDOWS_WORKSTATION"),
        Service("server", "device", "120", "ninjaone", "devices", "node_class", ("*_SERVER",), "LINUX_SERVER"),
        Service("mac", "device", "35.50", "ninjaone", "devices", "node_class", ("MAC",), "MAC"),
        Service("edr", "agent", "5.25", "huntress", "agents", "platform", ("windows",), "windows"),
        Service("edr-mac", "agent", "6", "huntress", "agents", "platform", ("darwin",), "darwin"),
        Service("seat", "user", "22", "microsoft365", "user_licenses", "sku_part_number", ("SPB", "SPE_E3"), "SPB"),
        Service("mail", "licence", "4.10", "microsoft365", "user_licenses", "sku_part_number", ("EXCHANGE*",), "EXCHANGESTANDARD"),
    )
}  # fmt: skip

VENDORS = {
    "ninjaone": ("organizations", "devices"),
    "huntress": ("organizations", "agents"),
    "microsoft365": ("subscribed_skus", "user_licenses"),
}
"""The lists that are read of each tool; the first names its companies, unless it has a tenant for each."""
ALLOWED_MINUTES = {"ninjaone": 120, "huntress": 120, "microsoft365": 2880}
"""Twice the cadence at which each is read."""


@dataclass(eq=False)
class Fact:
    """A record, from when a tool lists it to when it lists it no more."""

    scope: "Scope"
    row: Json
    since: datetime
    until: datetime = NEVER

    def is_listed(self, at: datetime) -> bool:
        """Say whether a reading at an instant would find it."""
        return self.since <= at < self.until


@dataclass(eq=False)
class Scope:
    """One list of one tool: what it holds, and when it could not be read."""

    calendar: Calendar
    connection: str
    vendor: str
    endpoint: str
    tenant: str
    facts: list[Fact] = field(default_factory=list)
    outages: list[tuple[datetime, datetime]] = field(default_factory=list)

    @property
    def is_counted(self) -> bool:
        return any(s.endpoint == self.endpoint and s.vendor == self.vendor for s in SERVICES.values())

    def is_due(self, at: datetime) -> bool:
        """Whether anything changed since the reading before, or there is none."""
        place = self.calendar.readings.index(at)
        before = self.calendar.readings[place - 1] if place else None
        return before is None or any(f.is_listed(at) != f.is_listed(before) for f in self.facts)

    def is_down(self, at: datetime) -> bool:
        return any(since <= at < until for since, until in self.outages)

    @cached_property
    def good(self) -> list[datetime]:
        """The readings that count: those that succeeded, and were believed beside the last that was.

        Nobody believes an empty list after records, nor one that lost more than three tenths or nearly doubled, unless
        fewer than ten records stood there.
        """
        found, before = [], 0
        for at in self.calendar.readings:
            if self.is_down(at):
                continue
            count = sum(f.is_listed(at) for f in self.facts)
            is_leap = before >= FEW and not before * (1 - FALL) <= count <= before * JUMP
            if (before and not count) or is_leap:
                continue
            found.append(at)
            before = count
        return found


@dataclass(eq=False)
class Client:
    """A customer as the MSP bills it."""

    id: str
    currency: str
    zone: str
    back_bill_days: int | None
    status: str
    mapped: list[tuple[str, str, date, date]] = field(default_factory=list)
    """Connection, company, from when and until when."""

    def day(self, at: datetime) -> date:
        """The client's own date at an instant."""
        return at.astimezone(ZoneInfo(self.zone)).date()


class Msp:
    """An MSP in the making; the same seed and number make the same one."""

    def __init__(self, seed: int, number: int) -> None:
        self.seed, self.number = seed, number
        self.rng = Random(f"{seed}/msp/{number}")
        self.calendar = Calendar.of(seed, number // BATCH)
        self.clients: list[Client] = []
        self.connections: dict[str, str] = {}
        self.scopes: dict[tuple[str, str, str], Scope] = {}
        self.seeds: dict[str, list[dict[str, str]]] = defaultdict(list)
        self.taken: set[tuple[str, str]] = set()
        self._count = 0

    @property
    def name(self) -> str:
        """What repeats it: MORTON_SCORE_SEED."""
        return f"{self.seed}/{self.number}"

    def next(self, prefix: str) -> str:
        """A name nobody else has, in any MSP."""
        self._count += 1
        return f"{prefix}{self.number}x{self._count}"

    # Who there is.

    def client(self, **given: Any) -> Client:
        rng = self.rng
        drawn = {
            "currency": HOME if rng.random() < 0.6 else rng.choice(CURRENCIES),
            "zone": rng.choice(self.calendar.zones),
            "back_bill_days": rng.choice((None, None, 10, 30, 45)),
            "status": "active",
        }
        client = Client(self.next("c"), **{**drawn, **given})
        self.clients.append(client)
        self.seed_row(
            "clients", client_id=client.id, client_name=client.id.upper(), status=client.status, currency=client.currency,
            time_zone="" if client.zone == "UTC" else client.zone, back_bill_days=_text(client.back_bill_days),
        )  # fmt: skip
        return client

    def anybody(self, service: Service) -> Client:
        """A client that does not buy a service yet, old or new."""
        free = [c for c in self.clients if (c.id, service.id) not in self.taken and c.status == "active"]
        return self.rng.choice(free) if free and self.rng.random() < 0.7 else self.client()

    def seed_row(self, file: str, **columns: str) -> None:
        self.seeds[file].append(columns)

    # What the tools list.

    def connection(self, vendor: str, place: int = 1) -> str:
        """The MSP's first account of a tool, or another one."""
        name = f"m{self.number}-{vendor}-{place}"
        self.connections.setdefault(name, vendor)
        return name

    def scope(self, connection: str, endpoint: str, tenant: str = "") -> Scope:
        key = (connection, endpoint, tenant)
        if key not in self.scopes:
            self.scopes[key] = Scope(self.calendar, connection, self.connections[connection], endpoint, tenant)
        return self.scopes[key]

    def company(self, client: Client, connection: str, *, name: str = "", begins: date = date.min, ends: date = date.max) -> str:  # fmt: skip
        """The company that is a client in one tool, listed and mapped when it is asked for first."""
        found = [m[1] for m in client.mapped if m[0] == connection]
        if found and not name:
            return found[0]
        company = name or self.next("k")
        self.listed_company(connection, company)
        client.mapped.append((connection, company, begins, ends))
        self.seed_row(
            "company_mappings", connection_id=connection, company_id=company, company_name=company.title(), client_id=client.id,
            effective_from=_date(begins), effective_to=_date(ends),
        )  # fmt: skip
        return company

    def listed_company(self, connection: str, company: str) -> None:
        vendor = self.connections[connection]
        if vendor == "microsoft365":
            for endpoint in VENDORS[vendor]:
                self.scope(connection, endpoint, company)
            return
        for endpoint in VENDORS[vendor]:
            self.scope(connection, endpoint)
        self.fact(self.scope(connection, VENDORS[vendor][0]), {"id": company, "name": company.title()})

    def record(self, service: Service, connection: str, company: str, since: datetime | None = None,
               until: datetime = NEVER, **fields: Any) -> Fact:  # fmt: skip
        """One record that stands for one unit of a service."""
        match service.vendor:
            case "ninjaone":
                row = {"id": self.next("d"), "systemName": self.next("pc"), "organizationId": company, "nodeClass": service.kind, "approvalStatus": "APPROVED"}  # fmt: skip
            case "huntress":
                row = {"id": self.next("a"), "hostname": self.next("pc"), "organization_id": company, "platform": service.kind}  # fmt: skip
            case "microsoft365":
                user = fields.pop("user", None) or self.next("u")
                sku = fields.pop("sku", service.kind)
                row = {
                    "userId": user, "skuId": f"id-of-{sku}", "skuPartNumber": sku, "userPrincipalName": f"{user}@example.com", "displayName": user,
                    "accountEnabled": True, "userType": "Member", "userPurpose": "user", "capabilityStatus": "Enabled",
                }  # fmt: skip
            case _:
                raise ValueError(service.vendor)
        tenant = company if service.vendor == "microsoft365" else ""
        return self.fact(self.scope(connection, service.endpoint, tenant), {**row, **fields}, since, until)

    def fact(self, scope: Scope, row: Json, since: datetime | None = None, until: datetime = NEVER) -> Fact:
        fact = Fact(scope, row, since or self.calendar.first, until)
        scope.facts.append(fact)
        return fact

    # The book.

    def connection_lines(self) -> Iterator[str]:
        for name, vendor in self.connections.items():
            secrets = {"huntress": "{api_key: K, api_secret: S}"}.get(vendor, "{client_id: K, client_secret: S}")
            yield f"  - {{id: {name}, vendor: {vendor}, secrets: {secrets}"
            if vendor == "microsoft365":
                tenants = sorted({s.tenant for s in self.scopes.values() if s.connection == name})
                yield f"     , tenants: [{', '.join(f'{{id: {t}, name: {t}}}' for t in tenants)}]"
            yield "    }"

    def extractions(self, at: datetime) -> Iterator[Extraction]:
        """What a reading brings; lists in which nothing is counted are read when they change, to save time."""
        for scope in self.scopes.values():
            if not scope.is_counted and not scope.is_due(at):
                continue
            rows = None if scope.is_down(at) else [f.row for f in scope.facts if f.is_listed(at)]
            error = "" if rows is not None else f"{scope.connection}: the vendor did not answer."
            yield Extraction(
                scope.connection, scope.vendor, scope.endpoint, scope.tenant, scope.tenant, at, rows, error
            )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _date(day: date) -> str:
    return "" if day in (date.min, date.max) else day.isoformat()
