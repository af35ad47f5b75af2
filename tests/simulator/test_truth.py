"""The planted truth: every kind occurs, every story leads where it says, and the days are the client's own."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest

from morton_pipeline.simulator.truth import Discrepancy, daily, expected
from morton_pipeline.simulator.world import DAYS, START, World

AS_OF = START + timedelta(days=DAYS, hours=6)
AT = time(4, 30)


@pytest.fixture(scope="session")
def truth(world: World) -> list[Discrepancy]:
    return expected(world, as_of=AS_OF, extractions=daily(START, AS_OF, AT))


def find(truth: list[Discrepancy], client_id: str, service_id: str) -> Discrepancy:
    (found,) = [
        r for r in truth if (r.client_id, r.service_id) == (client_id, service_id) and r.kind != "invoice_mismatch"
    ]
    return found


def test_every_kind_occurs(truth: list[Discrepancy]) -> None:
    kinds = Counter(r.kind for r in truth)
    assert set(kinds) == {
        "under_billed",
        "over_billed",
        "no_contract",
        "no_usage",
        "not_audited",
        "unmapped_company",
        "unmapped_sku",
        "invoice_mismatch",
        "below_cost",
    }
    assert kinds["under_billed"] >= 20
    assert any(r.is_within_tolerance for r in truth)


def test_every_story_leads_where_it_says(world: World, truth: list[Discrepancy]) -> None:
    rows = {(r.client_id, r.service_id, r.kind) for r in truth}
    kinds = {(r.client_id, r.kind) for r in truth}
    for story in world.stories:
        if story.kind.startswith("unmapped"):
            assert (story.client_id, story.kind) in kinds, story
        elif story.kind:
            assert (story.client_id, story.service_id, story.kind) in rows, story
        else:
            assert not any(r[:2] == (story.client_id, story.service_id) for r in rows), story


def test_a_row_is_a_number_times_a_price(world: World, truth: list[Discrepancy]) -> None:
    row = find(truth, "harbor-dental", "M365-BP")
    contract = world.agreements.contract_on("harbor-dental", "M365-BP", AS_OF.date())
    assert contract is not None
    assert row.variance_quantity == 7
    assert row.variance_amount == (7 * contract.unit_price).quantize(Decimal("0.01"))


def test_nothing_is_said_twice(truth: list[Discrepancy]) -> None:
    keys = [(r.kind, r.client_id, r.company_id, r.service_id) for r in truth]
    assert len(keys) == len(set(keys))


def test_the_msp_itself_owes_nobody(truth: list[Discrepancy]) -> None:
    assert not [r for r in truth if r.client_id == "northgate"]


def test_case_39_only_what_exceeds_the_included_counts(truth: list[Discrepancy]) -> None:
    row = find(truth, "meridian", "EDR")
    assert row.observed_quantity is not None
    assert row.observed_quantity - 5 - row.contracted_quantity == row.variance_quantity == 2


def test_an_ended_contract_still_names_the_price(world: World, truth: list[Discrepancy]) -> None:
    row = find(truth, "bluebird", "RMM-WKS")
    (contract,) = [c for c in world.agreements.contracts if (c.client_id, c.service_id) == ("bluebird", "RMM-WKS")]
    assert (row.kind, row.contracted_quantity, row.began_on) == ("no_contract", 0, date(2026, 10, 1))
    assert row.variance_amount == 5 * contract.unit_price


def test_the_run_begins_where_the_sign_turned(truth: list[Discrepancy]) -> None:
    row = find(truth, "summit", "M365-BP")
    assert row.variance_quantity == 3
    assert row.began_on is not None
    assert row.began_on >= date(2026, 10, 12)


def test_a_contract_raised_too_little_does_not_interrupt_the_run(truth: list[Discrepancy]) -> None:
    row = find(truth, "tidewater", "RMM-WKS")
    assert row.variance_quantity == 1
    assert row.began_on is not None
    assert row.began_on < date(2026, 9, 25)


def test_case_49_on_the_day_the_clocks_go_back_two_extractions_belong_to_it(
    world: World, truth: list[Discrepancy]
) -> None:
    """In New York 04:30 UTC is half past midnight in summer and half past eleven of the day before in winter."""
    assert find(truth, "juniper-hill", "RMM-WKS").began_on == date(2026, 11, 1)
    later = expected(world, as_of=AS_OF, extractions=daily(START, AS_OF, time(5, 30)))
    assert find(later, "juniper-hill", "RMM-WKS").began_on == date(2026, 11, 2)


def test_what_nobody_extracted_is_not_known(world: World) -> None:
    half = daily(START, START + timedelta(days=10), AT)
    early = expected(world, as_of=AS_OF, extractions=half)
    assert not [r for r in early if r.client_id == "harbor-dental"]


def test_the_invoice_that_says_less(truth: list[Discrepancy]) -> None:
    (row,) = [r for r in truth if r.kind == "invoice_mismatch"]
    assert row.invoiced_quantity is not None
    assert row.contracted_quantity - row.invoiced_quantity == row.variance_quantity == 3


def test_the_schedule_is_one_extraction_a_day() -> None:
    found = daily(START, START + timedelta(days=2, hours=5), AT)
    assert found == [datetime.combine(START.date() + timedelta(days=n), AT, START.tzinfo) for n in range(3)]
    assert daily(START + timedelta(hours=5), START + timedelta(hours=6), AT) == []
