"""What exists in the invented world, and how one thing changes over time.

Belongs here: plain values, and `Life`, their dated history. Does not: which of them exist (`population`, `stories`) or
how a vendor writes them down (the API modules).
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Life(Generic[T]):
    """One thing from its first instant to its last, with every change in between."""

    __slots__ = ("_changes", "_starts", "_values", "created_at", "first", "removed_at")

    def __init__(self, created_at: datetime, first: T) -> None:
        self.created_at, self.first = created_at, first
        self.removed_at: datetime | None = None
        self._changes: list[tuple[datetime, dict[str, Any]]] = []
        self._starts: list[datetime] = []
        self._values: list[T] = []

    def change(self, at: datetime, **fields: Any) -> None:
        """Give some fields new values from an instant on; changes may be told in any order."""
        self._changes.append((at, fields))
        self._starts, self._values = [], []

    def remove(self, at: datetime) -> None:
        """End it."""
        self.removed_at = at

    def instants(self) -> list[datetime]:
        """Every instant at which something about it changes."""
        ends = [] if self.removed_at is None else [self.removed_at]
        return [self.created_at, *(at for at, _ in self._changes), *ends]

    def at(self, instant: datetime) -> T | None:
        """Return its state at an instant, or nothing before it began and after it ended."""
        if instant < self.created_at or (self.removed_at is not None and instant >= self.removed_at):
            return None
        if not self._values:
            self._compile()
        return self._values[bisect_right(self._starts, instant) - 1]

    def last(self) -> T:
        """Return its newest state."""
        if not self._values:
            self._compile()
        return self._values[-1]

    def _compile(self) -> None:
        starts, values = [self.created_at], [self.first]
        for at, fields in sorted(self._changes, key=lambda change: change[0]):
            starts.append(at)
            values.append(replace(values[-1], **fields))  # type: ignore[type-var]
        self._starts, self._values = starts, values


@dataclass(frozen=True)
class Organization:
    """A company in the RMM."""

    id: int
    name: str
    description: str = ""
    approval_mode: str = "AUTOMATIC"


@dataclass(frozen=True)
class Device:
    """A node in the RMM."""

    id: int
    uid: str
    organization_id: int
    node_class: str
    system_name: str
    display_name: str | None = None
    dns_name: str | None = None
    netbios_name: str | None = None
    approval_status: str = "APPROVED"
    role_id: int = 201
    role_policy_id: int = 75
    policy_id: int | None = None
    parent_id: int | None = None
    silent_since: datetime | None = None
    """When it last reported, if it no longer does."""
    is_offline: bool = False
    tags: tuple[str, ...] = ()
    serial: str | None = None
    mac: str | None = None


@dataclass(frozen=True)
class Sku:
    """A licence a tenant has bought, or was given."""

    tenant_id: str
    part: str
    enabled: int
    warning: int = 0
    suspended: int = 0
    locked_out: int = 0
    status: str = "Enabled"
    applies_to: str = "User"


@dataclass(frozen=True)
class User:
    """An account in a tenant."""

    id: str
    tenant_id: str
    display_name: str
    given_name: str | None
    surname: str | None
    principal: str
    mail: str | None
    skus: tuple[str, ...] = ()
    """Part numbers assigned directly."""
    group_skus: tuple[str, ...] = ()
    """Part numbers assigned through a group; one may be held both ways."""
    is_enabled: bool = True
    user_type: str = "Member"
    purpose: str | None = "user"
    """What the mailbox is for; nothing where there is none or it is hidden."""
    mailbox_status: int = 200

    def licenses(self) -> tuple[str, ...]:
        """Each licence held, once."""
        return tuple(dict.fromkeys((*self.skus, *self.group_skus)))


@dataclass(frozen=True)
class Tenant:
    """A company's directory at Microsoft."""

    id: str
    name: str
    domain: str


@dataclass(frozen=True)
class HuntressOrganization:
    """A company in the EDR."""

    id: int
    name: str
    key: str
    tenant_id: str | None = None


@dataclass(frozen=True)
class Agent:
    """An EDR agent."""

    id: int
    organization_id: int
    hostname: str
    platform: str
    os: str
    serial: str
    mac: str
    address: str
    version: str = "0.14.6"
    silent_since: datetime | None = None
    firewall: str = "Enabled"


@dataclass(frozen=True)
class Incident:
    """An incident the EDR reported."""

    id: int
    organization_id: int
    agent_id: int
    hostname: str
    platform: str
    severity: str
    indicator: str
    status: str
    sent_at: datetime
    closed_at: datetime | None = None


@dataclass(frozen=True)
class Company:
    """A customer as one of the further tools knows it."""

    id: str
    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else that tool says of it; the stand-in's module names the words."""


@dataclass(frozen=True)
class Item:
    """One thing a further tool lists: a machine, a seat, a subscription, a month's usage."""

    id: str
    company_id: str
    name: str
    kind: str
    """What class of thing it is, in the tool's own word: what a service mapping looks at."""
    quantity: Decimal = Decimal(1)
    is_counted: bool = True
    """Whether it is something to bill: planted here, so that the vendor's rules can be held against it."""
    serial: str | None = None
    mac: str | None = None
    silent_since: datetime | None = None
    """When it last reported, if it no longer does."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else that tool says of it; the stand-in's module names the words."""


@dataclass(frozen=True)
class Tool:
    """One connection beside the first four: what its vendor lists through it, over time."""

    connection_id: str
    vendor: str
    companies: Sequence[Life[Company]]
    items: Sequence[Life[Item]]
    services: Mapping[str, str]
    """The service each kind is sold as, said once more without patterns; a kind that is absent is sold as none."""
    every_days: int = 1
    """How many days pass between two readings of it, or between two reports it sends."""

    def told_at(self, began_at: datetime, at: datetime) -> datetime:
        """Return the instant whose state is known at another: that of the last reading or report."""
        return at - timedelta(days=(at - began_at).days % self.every_days)


@dataclass(frozen=True)
class Client:
    """A customer as the MSP bills it."""

    id: str
    name: str
    status: str
    currency: str
    time_zone: str
    back_bill_days: int
    accounting_id: str


@dataclass(frozen=True)
class Service:
    """What the MSP sells."""

    id: str
    name: str
    category: str
    unit: str
    list_price: Decimal
    unit_cost: Decimal
    count_vendor: str
    accounting_id: str


@dataclass(frozen=True)
class Contract:
    """What was agreed for one client and service over some days; `effective_to` no longer counts."""

    id: str
    client_id: str
    service_id: str
    quantity: int
    unit_price: Decimal
    effective_from: date
    effective_to: date | None = None
    billing_model: str = "per_unit"
    minimum_quantity: int | None = None
    included_quantity: int | None = None
    tolerance_quantity: int = 0
    note: str = ""
    count_vendor: str = ""
    """Who counts it here, where that is not the service's own counter."""

    def holds_on(self, day: date) -> bool:
        """Whether it is in force on a day."""
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)


@dataclass(frozen=True)
class CompanyMapping:
    """Which client a vendor's company is."""

    connection_id: str
    company_id: str
    company_name: str
    client_id: str
    effective_from: date | None = None
    effective_to: date | None = None
    note: str = ""


@dataclass(frozen=True)
class ServiceMapping:
    """Which service a class of records counts for."""

    vendor: str
    endpoint: str
    field: str
    pattern: str
    service_id: str
    priority: int = 100


@dataclass(frozen=True)
class Exclusion:
    """Records nobody is billed for, by the MSP's own decision."""

    id: str
    client_id: str
    service_id: str
    vendor: str
    record_id: str
    name_pattern: str
    reason: str
    owner: str
    effective_from: date
    expires_on: date | None


@dataclass(frozen=True)
class Misbilling:
    """A recurring invoice line whose quantity is not the contract's."""

    client_id: str
    service_id: str
    quantity: int


@dataclass
class Agreements:
    """The MSP's side of the world: what stands in its seeds and in its accounting system."""

    clients: list[Client] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    contracts: list[Contract] = field(default_factory=list)
    companies: list[CompanyMapping] = field(default_factory=list)
    mappings: list[ServiceMapping] = field(default_factory=list)
    exclusions: list[Exclusion] = field(default_factory=list)
    misbillings: list[Misbilling] = field(default_factory=list)

    def client(self, client_id: str) -> Client:
        """Return one client."""
        return next(c for c in self.clients if c.id == client_id)

    def service(self, service_id: str) -> Service:
        """Return one service."""
        return next(s for s in self.services if s.id == service_id)

    def contract_on(self, client_id: str, service_id: str, day: date) -> Contract | None:
        """Return the version in force on a day."""
        for contract in self.contracts:
            if contract.client_id == client_id and contract.service_id == service_id and contract.holds_on(day):
                return contract
        return None
