"""One generated MSP: its clients, what it agreed with them, and what its tools list at every reading.

Belongs here: inventing an MSP from a seed, and turning it into seeds, connections and extractions. Does not: what any
number should be (`model`), or what is wrong on purpose (`cases`).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, cached_property
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from morton_pipeline.extract.fetch import Extraction

Json = dict[str, Any]
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
HOME = "USD"
"""The currency most clients of every MSP are billed in, and list prices are in."""
BATCH = 100
"""So many MSPs share one book, and with it the instants at which their tools are read."""
LATER = timedelta(days=1)
CLOSES_AFTER = 10
"""So many days after its end a month is closed, by the first mart that is built then."""
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
    """When the tools of a batch are read, and when its marts are built."""

    now: datetime
    zones: tuple[str, ...]
    readings: tuple[datetime, ...]
    """The last of them is between the two marts."""

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
        readings = {at for at in readings if begin <= at <= last}
        return cls(now, zones, (*sorted(readings), now + LATER - timedelta(minutes=30)))

    @property
    def later(self) -> datetime:
        """When the second mart is built, after what people decided, and what changed since."""
        return self.now + LATER

    @property
    def decided(self) -> datetime:
        """When people decide."""
        return self.now + timedelta(hours=1)

    @property
    def overnight(self) -> datetime:
        """When what changes between the two marts does."""
        return self.now + LATER / 2

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
class Way:
    """How a tool counts a service: which of its records stand for it."""

    vendor: str
    endpoint: str
    field: str
    patterns: tuple[str, ...]
    kind: str
    """What a record of it reads in that field."""


@dataclass(frozen=True)
class Service:
    """What every MSP sells."""

    id: str
    unit: str
    list_price: str
    ways: tuple[Way, ...]
    """The first is the one that counts, where a contract names no other."""
    priority: str = ""
    parts: tuple[tuple[str, Decimal], ...] = ()
    """What it is a bundle of, and how many of each; its own way is then that of the first, by which it is counted."""
    begins: int = 0
    """So many days before the mart is built its records begin to stand for it; nothing where they always did."""

    def way(self, vendor: str = "") -> Way:
        return next(w for w in self.ways if w.vendor == vendor) if vendor else self.ways[0]


def _device(service_id: str, list_price: str, kind: str, *patterns: str) -> Service:
    return Service(
        service_id, "device", list_price, (Way("ninjaone", "devices", "node_class", patterns or (kind,), kind),)
    )


def _agent(service_id: str, list_price: str, kind: str) -> Service:
    return Service(service_id, "agent", list_price, (Way("huntress", "agents", "platform", (kind,), kind),))


def _licence(service_id: str, unit: str, list_price: str, kind: str, *patterns: str) -> Service:
    return Service(
        service_id,
        unit,
        list_price,
        (Way("microsoft365", "user_licenses", "sku_part_number", patterns or (kind,), kind),),
    )


PLAIN = (
    _device("workstation", "40", "WINDOWS_WORKSTATION"),
    _device("server", "120", "LINUX_SERVER", "*_SERVER"),
    _device("mac", "35.50", "MAC"),
    _agent("edr", "5.25", "windows"),
    _agent("edr-mac", "6", "darwin"),
    _licence("seat", "user", "22", "SPB", "SPB", "SPE_E3"),
    _licence("mail", "licence", "4.10", "EXCHANGESTANDARD", "EXCHANGE*"),
)
"""Services of which every record is one, any number of which any client may buy."""
SPECIAL = (
    _device("hypervisor", "", "HYPERV_VMM_HOST"),
    Service("kiosk", "device", "9", (Way("ninjaone", "devices", "display_name", ("KIOSK*",), "Kiosk"),), priority="10"),
    Service("penguin", "device", "12", (Way("ninjaone", "devices", "node_class", ("LINUX_WORKSTATION",), "LINUX_WORKSTATION"),), begins=17),
    Service("care", "device", "30", (
        Way("ninjaone", "devices", "node_class", ("VMWARE_VM_HOST",), "VMWARE_VM_HOST"),
        Way("huntress", "agents", "platform", ("linux",), "linux"),
    )),
    Service("project", "licence", "30", (Way("microsoft365", "subscribed_skus", "sku_part_number", ("PROJECTPROFESSIONAL",), "PROJECTPROFESSIONAL"),)),
    Service("vault", "device", "20", (Way("acronis", "usages", "usage_name", ("vault_*",), "vault_servers"),)),
    Service("space", "gigabyte", "0.10", (Way("acronis", "usages", "usage_name", ("space_used",), "space_used"),)),
    Service("box", "device", "12", (Way("pax8", "subscriptions", "product_name", ("Backup Box",), "Backup Box"),)),
    Service("support", "hour", "95", (Way("pax8", "subscriptions", "product_name", ("Support Hours",), "Support Hours"),)),
    Service("premium", "licence", "26", (
        Way("microsoft365", "user_licenses", "sku_part_number", ("PREMIUM_PLAN",), "PREMIUM_PLAN"),
        Way("pax8", "subscriptions", "product_name", ("Premium Plan",), "Premium Plan"),
    )),
    Service("floor", "mailbox", "2.50", (
        Way("acronis", "usages", "usage_name", ("floor_mailboxes",), "floor_mailboxes"),
        Way("pax8", "subscriptions", "product_name", ("Floor Plan",), "Floor Plan"),
    )),
    _licence("biz", "licence", "20", "BIZ_PLAN"),
    _licence("shield", "licence", "5", "SHIELD_PLAN"),
    Service("desk", "device", "33", (Way("datto_rmm", "devices", "device_type__category", ("Desktop", "Laptop"), "Laptop"),)),
    Service("relay", "mailbox", "3", (Way("relay", "records", "sku", ("Relay",), "Relay"),)),
    Service("promotion", "other", "0", ()),
    Service("ODD_PLAN", "licence", "18", ()),
)  # fmt: skip
"""Services single cases are about. Nothing is mapped to the last two, and a SKU has the name of the last."""
WITHIN = (("TOP_PLAN", "BIZ_PLAN"), ("BIZ_PLAN", "SHIELD_PLAN"))
"""SKUs and what each contains; the first is sold as nothing itself."""
BUNDLES = (
    Service("workplace", "user", "60", PLAIN[5].ways, parts=(("seat", Decimal(1)), ("edr", Decimal(1)))),
    Service("station", "device", "80", PLAIN[0].ways, parts=(("workstation", Decimal(1)), ("edr", Decimal(2)), ("mail", Decimal("0.5")))),
)  # fmt: skip
SERVICES = {s.id: s for s in (*PLAIN, *SPECIAL, *BUNDLES)}

VENDORS = {
    "ninjaone": ("organizations", "devices"),
    "datto_rmm": ("sites", "devices"),
    "huntress": ("organizations", "agents"),
    "microsoft365": ("subscribed_skus", "user_licenses"),
    "acronis": ("tenants", "usages"),
    "pax8": ("companies", "subscriptions"),
    "quickbooks_online": ("invoices", "invoice_lines"),
    "relay": ("records",),
}
"""The lists that are read of each tool; the first names its companies, where it has no tenant for each."""
ALLOWED_MINUTES = {"ninjaone": 120, "datto_rmm": 120, "huntress": 120, "microsoft365": 2880, "acronis": 2880, "pax8": 2880, "quickbooks_online": 2880, "relay": 40 * 1440}  # fmt: skip
"""Twice the cadence at which each is read."""
_SETTINGS = {
    "datto_rmm": "secrets: {api_key: K, api_secret: S}",
    "huntress": "secrets: {api_key: K, api_secret: S}",
    "relay": "tool: relay, max_age_days: 40, folder: inbox, pattern: '*.csv', columns: {record_id: Id, company_id: Company}",
    "quickbooks_online": "realm_id: r, secrets: {client_id: K, client_secret: S, refresh_token: R}",
}
DECLARED = {"relay": "files"}
"""Tools that connections.yaml declares, and as what."""
COUNTED = {(way.vendor, way.endpoint) for service in SERVICES.values() for way in service.ways}


@dataclass(eq=False)
class Fact:
    """A record, from when a tool lists it to when it lists it no more."""

    scope: "Scope"
    row: Json
    since: datetime
    until: datetime = NEVER
    is_unreadable: bool = False
    """Something it must have is missing: it is set aside, and what was known of it before stands."""

    def is_listed(self, at: datetime) -> bool:
        """Say whether a reading at an instant would find it."""
        return self.since <= at < self.until


class Reading(NamedTuple):
    """What became of one attempt at a list."""

    at: datetime
    status: str
    """complete, partial, held or failed."""


@dataclass(eq=False)
class Scope:
    """One list of one tool: what it holds, and when and how well it could be read."""

    calendar: Calendar
    connection: str
    vendor: str
    endpoint: str
    tenant: str
    facts: list[Fact] = field(default_factory=list)
    outages: list[tuple[datetime, datetime]] = field(default_factory=list)
    own: dict[datetime, datetime | None] = field(default_factory=dict)
    """Instants of the calendar at which it is not read, or read at another."""
    needs: list["Scope"] = field(default_factory=list)
    """Lists it is computed from: it is only as good as they are."""
    stands_for: dict[datetime, date] = field(default_factory=dict)
    """The day each reading speaks of, where the list is a report that says so."""

    def is_due(self, slot: datetime) -> bool:
        """Whether it is read then at all; one in which nothing is counted is read when it changes, to save time."""
        if (
            (self.vendor, self.endpoint) in COUNTED
            or self.vendor == "quickbooks_online"
            or not (place := self.calendar.readings.index(slot))
        ):
            return True
        before = self.calendar.readings[place - 1]
        return any(f.is_listed(slot) != f.is_listed(before) for f in self.facts)

    def listed(self, at: datetime) -> list[Fact]:
        return [f for f in self.facts if f.is_listed(at)]

    def is_down(self, at: datetime) -> bool:
        return any(since <= at < until for since, until in self.outages)

    @cached_property
    def readings(self) -> dict[datetime, Reading]:
        """What becomes of every reading: one that failed says nothing, one that is hard to believe is held.

        Nobody believes an empty list after records, nor one that lost more than three tenths or nearly doubled, unless
        fewer than ten records stood there; nor one computed from a list that is not complete. Records that cannot be
        read are set aside, and the reading is partial.
        """
        found, before = {}, 0
        for slot in self.calendar.readings:
            at = self.own.get(slot, slot)
            if at is None or not self.is_due(slot):
                continue
            facts = self.listed(at)
            is_leap = before >= FEW and not before * (1 - FALL) <= len(facts) <= before * JUMP
            if self.is_down(at):
                status = "failed"
            elif (
                (before and not facts)
                or is_leap
                or any(n.readings[slot].status != "complete" for n in self.needs if slot in n.readings)
            ):
                status = "held"
            else:
                status = "partial" if any(f.is_unreadable for f in facts) else "complete"
                before = len(facts)
            found[slot] = Reading(at, status)
        return found

    def known(self, at: datetime, *statuses: str) -> list[datetime]:
        """The instants until `at` at which it was read, and what came of it was one of these."""
        return [r.at for r in self.readings.values() if r.at <= at and r.status in statuses]

    def good(self, at: datetime) -> list[datetime]:
        """The complete readings until an instant."""
        return self.known(at, "complete")

    def days(self, client: "Client", at: datetime, *statuses: str) -> list[tuple[date, datetime]]:
        """The same readings, each with the client's day it speaks of: that of the report, but none that is still to come
        where the client is, and never one before an earlier report's.
        """
        found: list[tuple[date, datetime]] = []
        for reading in self.known(at, "complete", "partial"):
            on = min(self.stands_for.get(reading, date.max), client.day(reading))
            found.append((max(on, found[-1][0]) if found else on, reading))
        wanted = set(self.known(at, *statuses))
        return [one for one in found if one[1] in wanted]


@dataclass(eq=False)
class Client:
    """A customer as the MSP bills it."""

    id: str
    currency: str
    zone: str
    back_bill_days: int | None
    status: str
    has_books: bool = False
    """Whether the accounting system knows it, and it is invoiced there."""
    is_invoiced_late: bool = False
    """Whether one of its invoices comes between the two marts."""
    mapped: list[tuple[str, str, date, date]] = field(default_factory=list)
    """Connection, company, from when and until when."""
    homes: dict[str, str] = field(default_factory=dict)
    """The connection through which each tool speaks of it."""

    def day(self, at: datetime) -> date:
        """The client's own date at an instant."""
        return _local_day(at, self.zone)


@dataclass(frozen=True)
class Decision:
    """What somebody answers about a client's service in a month, an hour after the first mart."""

    client: str
    service: str
    action: str
    until: date | None = None
    record_ids: tuple[str, ...] = ()
    is_sent: bool = False
    """Whether what was approved is invoiced before the second mart."""
    month: date | None = None
    """The month; the open one where none is named."""


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
        self.lines: list[Any] = []
        """Every line of every client, as the model knows them."""
        self.edits: list[tuple[str, dict[str, str], dict[str, str]]] = []
        """What analysts change between the two marts: the file, the row (a new one is empty), and what it reads then."""
        self.decisions: list[Decision] = []
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
        """A new one, in any zone, currency and with any limit to what may be billed back."""
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
            accounting_customer_id=client.id if client.has_books else "",
        )  # fmt: skip
        return client

    def anybody(self, service: Service) -> Client:
        """A client that does not buy a service yet, old or new."""
        free = [c for c in self.clients if (c.id, service.id) not in self.taken and c.status == "active"]
        return self.rng.choice(free) if free and self.rng.random() < 0.7 else self.client()

    def seed_row(self, file: str, **columns: str) -> None:
        self.seeds[file].append(columns)

    def edit(self, file: str, row: dict[str, str] | None = None, **changes: str) -> None:
        """Change a row of a seed between the two marts, or add one."""
        self.edits.append((file, {} if row is None else row, changes))

    def seeds_later(self) -> dict[str, list[dict[str, str]]]:
        """The seeds of the second mart."""
        found = {name: [dict(row) for row in rows] for name, rows in self.seeds.items()}
        for file, row, changes in self.edits:
            if row:
                found[file][next(n for n, r in enumerate(self.seeds[file]) if r is row)].update(changes)
            else:
                found.setdefault(file, []).append(changes)
        return found

    # What the tools list.

    def connection(self, vendor: str, place: int = 1) -> str:
        """The MSP's first account of a tool, or another one."""
        name = f"m{self.number}-{vendor}-{place}"
        self.connections.setdefault(name, vendor)
        return name

    def own_account(self, client: Client, vendor: str) -> str:
        """An account of a tool in which only this client stands; a tenant is always one's own."""
        place = 1 if vendor == "microsoft365" else 1 + sum(v == vendor for v in self.connections.values())
        client.homes[vendor] = self.connection(vendor, max(place, 2) if vendor != "microsoft365" else 1)
        return client.homes[vendor]

    def scope(self, connection: str, endpoint: str, tenant: str = "") -> Scope:
        key = (connection, endpoint, tenant)
        if key not in self.scopes:
            needs = [self.scope(connection, "subscribed_skus", tenant)] if endpoint == "user_licenses" else []
            self.scopes[key] = Scope(
                self.calendar, connection, self.connections[connection], endpoint, tenant, needs=needs
            )
        return self.scopes[key]

    def home(self, client: Client, vendor: str) -> tuple[str, str]:
        """The connection and the company through which a tool always speaks of a client, made when it is asked for first."""
        connection = client.homes.setdefault(vendor, self.connection(vendor))
        found = [m[1] for m in client.mapped if m[0] == connection and m[2:] == (date.min, date.max)]
        return connection, found[0] if found else self.company(client, connection)

    def company(self, client: Client, connection: str, *, begins: date = date.min, ends: date = date.max) -> str:
        """A new company of a tool, mapped to a client."""
        company = self.listed_company(connection)
        self.maps(client, connection, company, begins=begins, ends=ends)
        return company

    def listed_company(self, connection: str, name: str = "") -> str:
        """A new company of a tool, mapped to nobody."""
        vendor, company = self.connections[connection], self.next("k")
        tenant = company if vendor == "microsoft365" else ""
        for endpoint in VENDORS[vendor]:
            self.scope(connection, endpoint, tenant)
        if not tenant and vendor not in DECLARED:
            further = {"acronis": {"kind": "customer"}, "datto_rmm": {"uid": company}}.get(vendor, {})
            row = {"id": company, "name": name or company.upper(), **further}
            self.fact(self.scope(connection, VENDORS[vendor][0]), row)
        return company

    def maps(self, client: Client, connection: str, company: str, *, begins: date = date.min, ends: date = date.max,
             **part: str) -> None:  # fmt: skip
        """Say that a company, or what of it fits a pattern, is a client from one day to another."""
        client.mapped.append((connection, company, begins, ends))
        self.seed_row(
            # Nobody has to write an id as the tool does.
            "company_mappings", connection_id=connection, company_id=self.rng.choice((company, company, company.upper())), company_name=company.upper(), client_id=client.id,
            effective_from=_date(begins), effective_to=_date(ends), **part,
        )  # fmt: skip

    def excludes(self, client: Client, *, begins: date = date.min, ends: date = date.max, **columns: str) -> None:
        """Leave records of a client out, by their id or by a pattern of their name."""
        self.seed_row(
            "exclusions", exclusion_id=self.next("x"), client_id=client.id, reason="agreed", owner="alma",
            effective_from=_date(begins), expires_on=_date(ends), **columns,
        )  # fmt: skip

    def record(self, way: Way, connection: str, company: str, since: datetime | None = None,
               until: datetime = NEVER, **fields: Any) -> Fact:  # fmt: skip
        """A record that stands for a service, or whatever else its fields make of it."""
        row: Json
        match way.endpoint:
            case "devices" if way.vendor == "datto_rmm":
                row = {
                    "uid": self.next("d"), "siteUid": company, "hostname": self.next("pc"), "deviceType": {"category": way.kind}, "dattoClass": "device",
                    "standing": "managed", "suspended": False,
                }  # fmt: skip
            case "devices":
                kind = {"displayName": self.next("Kiosk ")} if way.field == "display_name" else {}
                node_class = "WINDOWS_WORKSTATION" if kind else way.kind
                row = {"id": self.next("d"), "systemName": self.next("pc"), "organizationId": company, "nodeClass": node_class, "approvalStatus": "APPROVED", **kind}  # fmt: skip
            case "agents":
                row = {"id": self.next("a"), "hostname": self.next("pc"), "organization_id": company, "platform": way.kind}  # fmt: skip
            case "user_licenses":
                user, sku = fields.pop("user", None) or self.next("u"), fields.pop("sku", way.kind)
                row = {
                    "userId": user, "skuId": f"id-of-{sku}", "skuPartNumber": sku, "userPrincipalName": f"{user}@example.com", "displayName": user,
                    "accountEnabled": True, "userType": "Member", "userPurpose": "user", "capabilityStatus": "Enabled",
                }  # fmt: skip
            case "subscribed_skus":
                sku, units = fields.pop("sku", way.kind), fields.pop("units", {})
                row = {
                    "id": f"{company}_{sku}", "skuId": f"id-of-{sku}", "skuPartNumber": sku, "capabilityStatus": "Enabled", "appliesTo": "User",
                    "consumedUnits": 0, "prepaidUnits": {"enabled": 1, "warning": 0, "suspended": 0, "lockedOut": 0, **units},
                }  # fmt: skip
            case "usages":
                usage = fields.pop("usage", way.kind)
                row = {
                    "id": f"{company}|{usage}", "tenantUuid": company, "type": "count", "name": usage, "usageName": usage, "measurementUnit": "quantity",
                    "value": 1, "tenantName": company.upper(), "tenantKind": "customer", "tenantState": "production",
                }  # fmt: skip
            case "records":
                row = {"record_id": self.next("r"), "company_id": company, "company_name": company.upper(), "sku": way.kind, "quantity": "1", "unit": "mailbox"}  # fmt: skip
            case "subscriptions":
                row = {
                    "id": self.next("s"), "companyId": company, "productId": way.kind, "productName": way.kind, "status": "Active", "quantity": 1,
                    "partnerCost": None, "currencyCode": HOME, "billingTerm": "Monthly", "commitmentTerm": None,
                }  # fmt: skip
            case _:
                raise ValueError(way.endpoint)
        tenant = company if way.vendor == "microsoft365" else ""
        return self.fact(self.scope(connection, way.endpoint, tenant), {**row, **fields}, since, until)

    def fact(self, scope: Scope, row: Json, since: datetime | None = None, until: datetime = NEVER) -> Fact:
        fact = Fact(scope, row, since or self.calendar.first, until)
        scope.facts.append(fact)
        return fact

    def becomes(self, fact: Fact, at: datetime, **fields: Any) -> Fact:
        """Let a record read otherwise from an instant on."""
        changed = Fact(fact.scope, {**fact.row, **fields}, at, fact.until)
        fact.until = at
        fact.scope.facts.append(changed)
        return changed

    # The book.

    def connection_lines(self) -> Iterator[str]:
        """Its part of connections.yaml; an account in which nobody came to stand is not one."""
        asked = {s.connection for s in self.scopes.values()}
        for name, vendor in ((name, vendor) for name, vendor in self.connections.items() if name in asked):
            tenants = sorted({s.tenant for s in self.scopes.values() if s.connection == name and s.tenant})
            yield connection_line(name, vendor, tenants)

    def extractions(self, slot: datetime) -> Iterator[Extraction]:
        """What a reading brings, the records once in this order and once in that."""
        order = 1 if self.calendar.readings.index(slot) % 2 else -1
        for scope in self.scopes.values():
            at = scope.own.get(slot, slot)
            if at is None or not scope.is_due(slot):
                continue
            rows = None if scope.is_down(at) else [f.row for f in scope.listed(at)][::order]
            error = "" if rows is not None else f"{scope.connection}: the vendor did not answer."
            yield Extraction(
                scope.connection, DECLARED.get(scope.vendor, scope.vendor), scope.endpoint, scope.tenant, scope.tenant, at, rows, error,
                stands_for_on=scope.stands_for.get(at),
            )  # fmt: skip


def connection_line(name: str, vendor: str, tenants: Sequence[str] = ()) -> str:
    """A connection as connections.yaml has it."""
    listed = f", tenants: [{', '.join(f'{{id: {t}, name: {t}}}' for t in tenants)}]" if tenants else ""
    settings = _SETTINGS.get(vendor, "secrets: {client_id: K, client_secret: S}")
    return f"  - {{id: {name}, vendor: {DECLARED.get(vendor, vendor)}, {settings}{listed}}}"


@cache
def _local_day(at: datetime, zone: str) -> date:
    return at.astimezone(ZoneInfo(zone)).date()


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _date(day: date) -> str:
    return "" if day in (date.min, date.max) else day.isoformat()
