"""The truth beside the invoices: what was planted is in it, by what the plot says and not by what anything counts."""

from collections import defaultdict
from datetime import time, timedelta

import pytest

from morton_pipeline.simulator.truth import daily
from morton_pipeline.simulator.truth_beside import Gap, Margin, gaps, margins
from morton_pipeline.simulator.world import DAYS, START, World

AS_OF = START + timedelta(days=DAYS - 1, hours=4, minutes=30)
READ = daily(START, AS_OF, time(4, 30))


@pytest.fixture(scope="session")
def missing(world: World) -> list[Gap]:
    return gaps(world, as_of=AS_OF, extractions=READ)


@pytest.fixture(scope="session")
def beside(world: World) -> dict[tuple[str, str], Margin]:
    return {(row.client_id, row.service_id): row for row in margins(world, as_of=AS_OF, extractions=READ)}


def test_the_machines_that_were_planted_in_one_tool_only_are_missing(world: World, missing: list[Gap]) -> None:
    hosts = {str(life.first.id): life.first.hostname for life in world.agents}
    named = defaultdict(set)
    for gap in missing:
        named[gap.client_id, gap.gap].add(hosts.get(gap.record_id, gap.record_id))
    assert named["granite", "no_rmm"] == {f"SPARE-{n}" for n in range(1, 6)}
    assert len(named["fairhaven", "no_edr"]) == 3, "three laptops came without an agent"
    assert len(named["fairhaven", "no_rmm"]) == 3, "the yard is in no RMM"
    assert len(named["granite", "no_backup"]) == 1, "one server's backup ended"


def test_nothing_is_missing_twice_and_of_nobody_who_is_not_billed(missing: list[Gap]) -> None:
    assert len(missing) == len(set(missing))
    assert "northgate" not in {gap.client_id for gap in missing}


def test_servers_that_are_only_counted_are_undecided(missing: list[Gap]) -> None:
    assert {gap.client_id for gap in missing if gap.gap == "undecided_backup"} == {"cobalt", "vertex"}


def test_what_the_distributor_sold_stands_beside_what_is_held(beside: dict[tuple[str, str], Margin]) -> None:
    spare, short = beside["harbor-dental", "M365-BP"], beside["granite", "M365-BP"]
    assert (spare.finding, spare.distributor_invoiced_quantity) == ("waste", spare.purchased_quantity)
    assert short.purchased_quantity is not None
    assert short.assigned_quantity is not None
    assert short.purchased_quantity < short.assigned_quantity
    assert (short.risk_quantity, short.finding) == (0, "lists_differ"), "the tenant has them from somewhere else"
