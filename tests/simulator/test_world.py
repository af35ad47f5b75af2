"""The invented world: the same from the same seed, of the promised size, and consistent at every instant."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from morton_pipeline.simulator.entities import Life, Sku
from morton_pipeline.simulator.names import FREE_SKUS, PROFILES
from morton_pipeline.simulator.population import SERVICE_OF
from morton_pipeline.simulator.world import DAYS, START, World, alive, generate

END = START + timedelta(days=DAYS)


def test_the_same_seed_is_the_same_world(world: World) -> None:
    again = generate(world.seed)
    for day in (0, 17, 60, DAYS):
        assert again.at(START + timedelta(days=day)) == world.at(START + timedelta(days=day))
    assert again.agreements == world.agreements


def test_another_seed_is_another_world(world: World) -> None:
    assert generate(world.seed + 1).at(START).users != world.at(START).users


def test_it_has_the_promised_size(world: World) -> None:
    state = world.at(END)
    endpoints = [d for d in state.devices if d.node_class in SERVICE_OF and d.approval_status == "APPROVED"]
    seats = [part for u in state.users for part in u.licenses() if part not in FREE_SKUS]
    assert len(world.agreements.clients) == 43
    assert len(world.tools) == 11, "every further vendor is used, and one of them twice"
    assert 650 <= len(endpoints) <= 800
    assert 850 <= len(seats) <= 1150
    assert len(state.tenants) in range(37, 41)
    assert 600 <= len(state.agents) <= len(endpoints)


def test_the_clients_are_as_difficult_as_promised(world: World) -> None:
    clients = world.agreements.clients
    assert Counter(c.currency for c in clients) == {"USD": 39, "GBP": 3, "EUR": 1}
    assert Counter(c.status for c in clients) == {"active": 41, "internal": 1, "offboarded": 1}
    names = {c.name for c in clients}
    assert {
        "Acme Corp",
        "Acme Capital",
        "O'Reilly & Sons Plumbing",
        "Müller & Söhne GmbH",
        "さくら歯科クリニック",
    } <= names
    assert max(map(len, names)) > 150
    assert len({c.time_zone for c in clients}) >= 8


def test_every_oddity_occurs(world: World) -> None:
    state = world.at(END)
    classes = {d.node_class for d in state.devices}
    assert {"NMS_SWITCH", "NMS_FIREWALL", "CLOUD_MONITOR_TARGET", "UNMANAGED_DEVICE", "VMWARE_VM_GUEST"} <= classes
    assert {"PENDING", "DECOMMISSIONED", "APPROVED"} == {d.approval_status for d in state.devices}
    assert any(d.silent_since and END - d.silent_since > timedelta(days=60) for d in state.devices)
    assert any(d.display_name is None for d in state.devices)
    assert {"shared", "room", "equipment", "user", None} == {u.purpose for u in state.users}
    assert {200, 403, 404} == {u.mailbox_status for u in state.users}
    assert any(not u.is_enabled and u.licenses() for u in state.users)
    assert any(set(u.skus) & set(u.group_skus) for u in state.users)
    assert {s.status for s in state.skus} == {"Enabled", "Suspended", "Warning"}
    assert {"FLOW_FREE", "POWER_BI_STANDARD", "TEAMS_EXPLORATORY", "VISIOCLIENT"} <= {s.part for s in state.skus}


def test_a_guest_stands_behind_a_host_that_exists(world: World) -> None:
    for day in range(0, DAYS, 10):
        devices = {d.id: d for d in world.at(START + timedelta(days=day)).devices}
        guests = [d for d in devices.values() if d.parent_id is not None]
        assert guests
        assert all(d.parent_id in devices for d in guests)


@pytest.mark.parametrize("day", [0, 30, 61, DAYS])
def test_no_identifier_comes_twice(world: World, day: int) -> None:
    state = world.at(START + timedelta(days=day))
    for ids in (
        [d.id for d in state.devices],
        [u.id for u in state.users],
        [u.principal for u in state.users],
        [a.id for a in state.agents],
        [(s.tenant_id, s.part) for s in state.skus],
    ):
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize("day", [0, 33, 59, DAYS])
def test_nobody_holds_a_licence_the_tenant_has_not_bought(world: World, day: int) -> None:
    state = world.at(START + timedelta(days=day))
    held = Counter((u.tenant_id, part) for u in state.users for part in u.licenses())
    bought = {(s.tenant_id, s.part): s for s in state.skus}
    for key, count in held.items():
        sku = bought[key]
        assert count <= sku.enabled + sku.suspended + sku.warning, key


def test_on_the_first_day_most_contracts_are_met(world: World) -> None:
    """The world begins in agreement with its contracts; what is planted from the start is the exception."""
    from morton_pipeline.simulator.truth import daily, expected

    first = START + timedelta(hours=4, minutes=30)
    rows = expected(world, as_of=first, extractions=daily(START, first, first.time()))
    money = [r for r in rows if r.kind in ("under_billed", "over_billed", "no_contract", "no_usage")]
    assert {(r.client_id, r.service_id) for r in money} == {
        ("acme-corp", "MAIL-SEC"),
        ("blue-door", "M365-AI"),
        ("hughes", "M365-BP"),
        ("plus-one", "RMM-SRV"),
    }


def test_no_change_falls_on_a_whole_minute(world: World) -> None:
    """An extraction on the minute is thus always clearly before or after a change."""
    items = [item for tool in world.tools.values() for item in tool.items]
    lives = [*world.devices, *world.users, *world.agents, *world.skus, *items]
    assert all(at.second for life in lives for at in life.instants() if at > START)


def test_every_mapped_company_exists(world: World) -> None:
    state = world.at(END)
    known = {
        "ninjaone": {str(o.id) for o in state.organizations},
        "m365": {t.id for t in state.tenants},
        "huntress": {str(o.id) for o in state.huntress_organizations},
        **{name: {company.id for company in alive(tool.companies, END)} for name, tool in world.tools.items()},
    }
    for mapping in world.agreements.companies:
        assert mapping.company_id in known[mapping.connection_id]


def test_exactly_one_contract_version_holds_on_any_day(world: World) -> None:
    for day in range(-10, DAYS + 10):
        held = Counter(
            (c.client_id, c.service_id)
            for c in world.agreements.contracts
            if c.holds_on((START + timedelta(days=day)).date())
        )
        assert set(held.values()) == {1}


def test_a_life_tells_its_state_at_any_instant_whatever_order_it_was_told_in() -> None:
    born = datetime(2026, 1, 1, tzinfo=UTC)
    life = Life(born, Sku("t", "SPB", 5))
    life.change(born + timedelta(days=9), enabled=9)
    life.change(born + timedelta(days=4), status="Suspended")
    life.remove(born + timedelta(days=20))
    assert life.at(born - timedelta(seconds=1)) is None
    assert life.at(born) == Sku("t", "SPB", 5)
    assert life.at(born + timedelta(days=4)) == Sku("t", "SPB", 5, status="Suspended")
    assert life.at(born + timedelta(days=10)) == replace(Sku("t", "SPB", 9), status="Suspended")
    assert life.at(born + timedelta(days=20)) is None


def test_a_tenants_revision_changes_only_with_the_tenant(world: World, tenant_id: str) -> None:
    day = START + timedelta(days=5)
    first, second = world.tenant_at(tenant_id, day), world.tenant_at(tenant_id, day + timedelta(hours=1))
    assert first is not None
    assert first is second
    assert world.tenant_at(tenant_id.upper(), day) is first
    assert world.tenant_at("no-such-tenant", day) is None


def test_every_profile_became_a_client(world: World) -> None:
    assert [c.id for c in world.agreements.clients][: len(PROFILES)] == [p.id for p in PROFILES]
