"""The invented MSP: forty clients, what their systems hold at any instant, and what the MSP agreed with them.

Belongs here: generating it, and looking at it at an instant. Does not: the plot (`stories`), the way a vendor writes
it down (the API modules), or what is wrong with it (`truth`).
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from morton_pipeline.simulator.entities import (
    Agent,
    Agreements,
    Device,
    HuntressOrganization,
    Incident,
    Life,
    Organization,
    Sku,
    Tenant,
    Tool,
    User,
)
from morton_pipeline.simulator.names import PROFILES
from morton_pipeline.simulator.population import Builder
from morton_pipeline.simulator.stack_stories import equip
from morton_pipeline.simulator.stories import PLOTS, Story

T = TypeVar("T")

START = datetime(2026, 8, 25, tzinfo=UTC)
DAYS = 90
SEED = 7


@dataclass(frozen=True)
class State:
    """Everything that exists at one instant."""

    at: datetime
    organizations: list[Organization]
    devices: list[Device]
    tenants: list[Tenant]
    skus: list[Sku]
    users: list[User]
    huntress_organizations: list[HuntressOrganization]
    agents: list[Agent]
    incidents: list[Incident]


@dataclass(frozen=True)
class TenantState:
    """One directory at one instant; `revision` is the same as long as nothing in it changed."""

    tenant: Tenant
    revision: int
    skus: list[Sku]
    users: list[User]
    created_at: dict[str, datetime]
    """When each user's account was made."""


@dataclass
class _Directory:
    tenant: Life[Tenant]
    skus: list[Life[Sku]] = field(default_factory=list)
    users: list[Life[User]] = field(default_factory=list)
    instants: list[datetime] = field(default_factory=list)
    seen: dict[int, TenantState] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class World:
    """An invented MSP over some weeks."""

    seed: int
    starts_at: datetime
    ends_at: datetime
    agreements: Agreements
    stories: Sequence[Story]
    organizations: Sequence[Life[Organization]]
    devices: Sequence[Life[Device]]
    tenants: Sequence[Life[Tenant]]
    skus: Sequence[Life[Sku]]
    users: Sequence[Life[User]]
    huntress_organizations: Sequence[Life[HuntressOrganization]]
    agents: Sequence[Life[Agent]]
    incidents: Sequence[Life[Incident]]
    tools: Mapping[str, Tool] = field(default_factory=dict)
    """The further connections, by their id."""
    _directories: dict[str, _Directory] = field(default_factory=dict, repr=False, compare=False)

    def at(self, instant: datetime) -> State:
        """Return the state at an instant."""
        return State(
            instant,
            alive(self.organizations, instant),
            alive(self.devices, instant),
            alive(self.tenants, instant),
            alive(self.skus, instant),
            alive(self.users, instant),
            alive(self.huntress_organizations, instant),
            alive(self.agents, instant),
            alive(self.incidents, instant),
        )

    def tenant_at(self, tenant_id: str, instant: datetime) -> TenantState | None:
        """Return one directory at an instant, or nothing where there is none."""
        directory = self._by_tenant().get(tenant_id.lower())
        tenant = directory.tenant.at(instant) if directory else None
        if directory is None or tenant is None:
            return None
        revision = bisect_right(directory.instants, instant)
        if revision not in directory.seen:
            users = [(life.created_at, user) for life in directory.users if (user := life.at(instant))]
            directory.seen[revision] = TenantState(
                tenant, revision, alive(directory.skus, instant), [u for _, u in users], {u.id: at for at, u in users}
            )
        return directory.seen[revision]

    def _by_tenant(self) -> dict[str, _Directory]:
        if not self._directories:
            found = {t.first.id: _Directory(t) for t in self.tenants}
            for sku in self.skus:
                found[sku.first.tenant_id].skus.append(sku)
            for user in self.users:
                found[user.first.tenant_id].users.append(user)
            for directory in found.values():
                lives: list[Life[Tenant] | Life[Sku] | Life[User]] = [
                    directory.tenant,
                    *directory.skus,
                    *directory.users,
                ]
                directory.instants = sorted({at for life in lives for at in life.instants()})
            self._directories.update(found)
        return self._directories


def alive(lives: Sequence[Life[T]], instant: datetime) -> list[T]:
    """Return the states of those that exist at an instant."""
    return [state for life in lives if (state := life.at(instant)) is not None]


def generate(seed: int = SEED) -> World:
    """Make the world of a seed: the same seed, the same world, to the last identifier."""
    b = Builder(seed, START)
    for number, profile in enumerate(PROFILES, start=1):
        b.client(profile, str(100 + number))
    for profile in PROFILES:
        if profile.status != "internal":
            b.agree_on_everything(profile.id)
    stories = [story for plot in PLOTS for story in plot(b)]
    b.stock()
    tools, more = equip(b, seed)
    b.devices.sort(key=lambda life: life.first.id)
    return World(
        seed=seed,
        starts_at=START,
        ends_at=START + timedelta(days=DAYS),
        agreements=b.agreements,
        stories=(*stories, *more),
        organizations=tuple(b.organizations),
        devices=tuple(b.devices),
        tenants=tuple(b.tenants),
        skus=tuple(b.skus),
        users=tuple(b.users),
        huntress_organizations=tuple(b.huntress_organizations),
        agents=tuple(b.agents),
        incidents=tuple(b.incidents),
        tools=tools,
    )
