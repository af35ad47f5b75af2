"""Case 41: services sold together, counted once, and what of them was never delivered."""

from datetime import date

import pytest

from tests.cases.scenario import FIRST, Mart, Scenario


def given_bundles(msp: Scenario) -> None:
    msp.service("workplace", "user", "60", category="other")
    msp.bundle("workplace", seat="1", edr="1")
    for client, seats, agents in (
        ("bundle-whole", 10, 10),
        ("bundle-short", 10, 8),
        ("bundle-more", 10, 12),
        ("bundle-grown", 12, 12),
        ("bundle-own-edr", 10, 13),
        ("bundle-none", 10, 0),
    ):
        msp.client(client)
        msp.licences(client, seats)
        if agents:
            msp.agents(client, agents)
        msp.contract(client, "workplace", 10, "60")
    msp.contract("bundle-own-edr", "edr", 2, "4.50")
    msp.service("office", "licence", "20", category="other")
    msp.bundle("office", mail="1", edr="1")
    msp.contract("bundle-none", "office", 3, "20", effective_from="2026-11-11")
    msp.licences("bundle-none", 3, sku="EXCHANGESTANDARD")
    msp.client("bundle-unread")
    msp.tenant("bundle-unread")
    msp.agents("bundle-unread", 5)
    msp.contract("bundle-unread", "workplace", 5, "60")
    msp.fail("m365", "bundle-unread", since=FIRST)
    msp.client("bundle-stale")
    msp.licences("bundle-stale", 5)
    msp.agents("bundle-stale", 6)
    msp.contract("bundle-stale", "workplace", 5, "60")
    msp.fail("m365", "bundle-stale", since=date(2026, 11, 10))
    # A third of November is under contract, at its beginning or at its end.
    for basis in ("daily", "average", "period_end"):
        for client, dates in (("ended", {"effective_to": "2026-11-11"}), ("begun", {"effective_from": "2026-11-11"})):
            msp.client(f"bundle-{client}-{basis}")
            msp.licences(f"bundle-{client}-{basis}", 12)
            msp.agents(f"bundle-{client}-{basis}", 12)
            msp.contract(f"bundle-{client}-{basis}", "workplace", 10, "60", count_basis=basis, **dates)


@pytest.mark.parametrize(
    ("client", "amounts"),
    [
        # Ten days of twenty that were read, of two at 60.00; and of the month's thirty.
        ("bundle-ended-average", [60]),
        ("bundle-begun-average", [60]),
        ("bundle-ended-daily", [40]),
        ("bundle-begun-daily", [40]),
        ("bundle-ended-period_end", []),
        ("bundle-begun-period_end", [120]),
    ],
)
def test_case_42_a_bundle_whose_contract_ends_or_begins_inside_a_month_has_its_days(
    mart: Mart, client: str, amounts: list[int]
) -> None:
    assert [row["variance_amount"] for row in mart.rows(client, service_id="workplace")] == amounts


def test_case_41_a_bundle_that_is_whole_is_billed_once(mart: Mart) -> None:
    assert mart.rows("bundle-whole", month=None) == []


def test_case_41_what_a_bundle_promises_and_nobody_delivered_is_a_row(mart: Mart) -> None:
    row = mart.row("bundle-short")
    assert (row["kind"], row["service_id"], row["variance_amount"]) == ("coverage_gap", "edr", None)
    assert (row["contracted_quantity"], row["observed_quantity"], row["variance_quantity"]) == (10, 8, -2)
    assert "Workplace promises Bundle-Short 10 Edr, and Huntress lists 8: 2 not delivered" in row["explanation"]
    assert len(mart.evidence(row)) == 8


def test_case_41_what_goes_beyond_a_bundle_is_billed_and_nothing_inside_it(mart: Mart) -> None:
    row = mart.row("bundle-more")
    assert (row["kind"], row["service_id"], row["variance_quantity"]) == ("under_billed", "edr", 2)
    assert (row["variance_amount"], row["is_estimate"]) == (10, True), "no contract names a price: the list does"
    buckets = [e["bucket"] for e in mart.evidence(row)]
    assert (buckets.count("included"), buckets.count("billed")) == (10, 2)
    assert mart.buckets("bundle-more")["included", ""] == 20


def test_case_41_a_component_with_a_contract_of_its_own_is_compared_beyond_the_bundle(mart: Mart) -> None:
    row = mart.row("bundle-own-edr")
    assert (row["contracted_quantity"], row["variance_quantity"], row["variance_amount"]) == (2, 1, 4.5)
    assert "10 of them in a bundle, the contract says 2" in row["explanation"]


def test_case_41_a_bundle_is_counted_by_its_first_component(mart: Mart) -> None:
    row = mart.row("bundle-grown")
    assert (row["service_id"], row["observed_quantity"], row["variance_amount"]) == ("workplace", 12, 120)
    assert len(mart.evidence(row, bucket="billed")) == 12


def test_case_41_a_component_nobody_could_look_for_was_not_checked(mart: Mart) -> None:
    row = mart.row("bundle-none")
    assert (row["kind"], row["service_id"], row["contracted_quantity"]) == ("not_audited", "edr", 13), "of two bundles"


def test_case_1_what_goes_beyond_a_bundle_is_partial_where_only_one_of_the_two_was_read(mart: Mart) -> None:
    row = mart.row("bundle-stale")
    assert (row["service_id"], row["variance_quantity"], row["source_state"]) == ("edr", 1, "partial")


def test_case_1_what_is_in_a_bundle_nobody_counted_is_not_billed_beside_it(mart: Mart) -> None:
    kinds = {(r["service_id"], r["kind"]) for r in mart.rows("bundle-unread")}
    assert kinds == {("workplace", "not_audited")}
