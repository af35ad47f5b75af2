"""What happened to single records: who came and went, what moved, and what stands differently though totals are equal."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from tests.cases.scenario import Mart, Scenario

DAY = date(2026, 11, 5)


def given_people_who_are_disabled_and_enabled_again(msp: Scenario) -> None:
    msp.client("leaver-returns")
    users = msp.licences("leaver-returns", 3)
    msp.change(users[:1], date(2026, 10, 20), accountEnabled=False)
    msp.change(users[:1], DAY, accountEnabled=True)
    msp.contract("leaver-returns", "seat", 3, "22", effective_from="2026-09-01")


def given_machines_that_become_servers(msp: Scenario) -> None:
    msp.client("reclassed")
    devices = msp.devices("reclassed", 3)
    msp.devices("reclassed", 1, nodeClass="WINDOWS_SERVER")
    msp.change(devices[:1], DAY, nodeClass="WINDOWS_SERVER")
    msp.contract("reclassed", "workstation", 3, "40", effective_from="2026-09-01")
    msp.contract("reclassed", "server", 1, "120", effective_from="2026-09-01")


def given_people_whose_licence_is_exchanged(msp: Scenario) -> None:
    msp.client("upgraded")
    (user,) = msp.licences("upgraded", 1, "EXCHANGESTANDARD", until=DAY)
    msp.licences("upgraded", 1, "SPB", users=[user], since=DAY)
    msp.contract("upgraded", "mail", 1, "4", effective_from="2026-09-01")
    msp.contract("upgraded", "seat", 0, "22", effective_from="2026-09-01")
    msp.client("renewed")
    (user,) = msp.licences("renewed", 1, "SPE_E3", until=DAY)
    msp.licences("renewed", 1, "SPB", users=[user], since=DAY)
    msp.contract("renewed", "seat", 1, "22", effective_from="2026-09-01")


def given_records_that_begin_and_cease_to_be_excluded(msp: Scenario) -> None:
    msp.client("set-aside")
    first, second, _ = msp.devices("set-aside", 3)
    msp.exclusion(
        client_id="set-aside",
        record_id=first,
        reason="test bench",
        effective_from="2026-11-05",
        expires_on="2027-01-01",
    )
    msp.exclusion(
        client_id="set-aside", record_id=second, reason="spare", effective_from="2026-09-01", expires_on="2026-11-05"
    )
    msp.contract("set-aside", "workstation", 2, "40", effective_from="2026-09-01")
    msp.client("still-growing")
    msp.devices("still-growing", 1)
    msp.devices("still-growing", 1, since=DAY)
    msp.devices("still-growing", 1, until=DAY)
    msp.devices("still-growing", 1, since=date(2026, 9, 20))
    msp.contract("still-growing", "workstation", 3, "40", effective_from="2026-09-01")


def given_contracts_that_follow_what_is_counted(msp: Scenario) -> None:
    msp.client("signed-more")
    msp.devices("signed-more", 5)
    msp.devices("signed-more", 2, since=DAY)
    msp.contract("signed-more", "workstation", 5, "40", effective_from="2026-09-01", effective_to="2026-11-10")
    msp.contract("signed-more", "workstation", 6, "40", effective_from="2026-11-10")
    msp.client("signed-less")
    msp.devices("signed-less", 5)
    msp.contract("signed-less", "workstation", 5, "40", effective_from="2026-09-01", effective_to="2026-11-10")
    msp.contract("signed-less", "workstation", 4, "44", effective_from="2026-11-10")


def given_subscriptions_that_grow(msp: Scenario) -> None:
    msp.service("resold", "licence", "9")
    msp.maps("resold", "pax8", "subscriptions", "product_name", "Resold Suite")
    msp.client("topped-up")
    subscription = msp.subscribed("topped-up", "Resold Suite", 10)
    msp.change([subscription], DAY, quantity=12)
    msp.contract("topped-up", "resold", 10, "9", effective_from="2026-09-01")


def _told(mart: Mart, client: str) -> list[tuple[Any, ...]]:
    sql = "select change, service_id, from_service_id, changed_on, explanation from marts.record_changes where client_id = ? order by all"
    return [tuple(row.values()) for row in mart.ask(sql, client)]


def test_case_30_an_account_that_is_enabled_again_is_told_though_no_total_moved(mart: Mart) -> None:
    assert mart.rows("leaver-returns") == []
    assert _told(mart, "leaver-returns") == [
        ("state_changed", "seat", None, date(2026, 10, 20), "since 2026-10-20: account disabled"),
        ("state_changed", "seat", None, DAY, "until 2026-11-05: account disabled"),
    ]


def test_case_33_a_machine_that_became_a_server_is_one_row_and_no_leak_with_a_ghost(mart: Mart) -> None:
    assert _told(mart, "reclassed") == [("moved", "server", "workstation", DAY, "moved from Workstation on 2026-11-05")]


@pytest.mark.parametrize(
    ("service", "change", "reason"),
    [
        ("workstation", "removed", "moved to Server on 2026-11-05"),
        ("server", "added", "moved from Workstation on 2026-11-05"),
    ],
)
def test_case_33_the_two_rows_it_touches_say_where_it_went(mart: Mart, service: str, change: str, reason: str) -> None:
    (row,) = [r for r in mart.rows("reclassed") if r["service_id"] == service]
    assert [e["bucket_reason"] for e in mart.evidence(row, change=change)] == [reason]
    assert row["variance_quantity"] == (1 if change == "added" else -1)


def test_a_person_whose_licence_was_exchanged_has_moved(mart: Mart) -> None:
    assert _told(mart, "upgraded") == [("moved", "seat", "mail", DAY, "moved from Mail on 2026-11-05")]
    assert _told(mart, "renewed") == [("state_changed", "seat", None, DAY, "since 2026-11-05: SPB; before: SPE_E3")]
    assert mart.rows("renewed") == []


def test_an_exclusion_that_begins_or_ends_is_told_with_its_reason(mart: Mart) -> None:
    assert mart.rows("set-aside") == []
    told = _told(mart, "set-aside")
    assert [row[:4] for row in told] == [
        ("excluded", "workstation", None, DAY),
        ("no_longer_excluded", "workstation", None, DAY),
    ]
    assert [row[4].partition(" x")[0] for row in told] == ["exclusion", "not billed until 2026-11-05 (exclusion"]


def test_who_came_and_went_is_told_for_two_months_and_not_for_longer(mart: Mart) -> None:
    assert _told(mart, "still-growing") == [
        ("added", "workstation", None, DAY, "listed since 2026-11-05"),
        ("removed", "workstation", None, DAY, "no longer listed since 2026-11-05"),
    ]


def test_what_the_first_reading_lists_was_there_before(mart: Mart) -> None:
    (first,) = mart.ask("select min(quantity_on) as first_on from marts.daily_quantities")
    assert mart.ask("select * from marts.record_changes where changed_on <= ?", first["first_on"]) == []


def _changes(mart: Mart, words: Sequence[str]) -> list[str]:
    found = mart.ask("select distinct change from marts.record_changes where list_contains(?, change)", list(words))
    return sorted(row["change"] for row in found)


def test_every_word_for_a_change_is_one_that_happens(mart: Mart) -> None:
    words = ["added", "excluded", "moved", "no_longer_excluded", "quantity_changed", "removed", "state_changed"]
    assert _changes(mart, words) == words


def test_a_contract_that_changed_since_both_agreed_is_part_of_the_explanation(mart: Mart) -> None:
    more, less = mart.row("signed-more"), mart.row("signed-less")
    assert "(2 added, 0 removed). Meanwhile the contract changed from 5 to 6 on 2026-11-10." in more["explanation"]
    assert (more["variance_quantity"], more["unexplained_quantity"]) == (1, 0)
    assert "Meanwhile the contract changed from 5 to 4 on 2026-11-10." in less["explanation"]
    assert (less["variance_quantity"], less["unexplained_quantity"]) == (1, 0)


def test_a_subscription_that_grew_is_told_by_its_two_quantities(mart: Mart) -> None:
    row = mart.row("topped-up")
    assert (row["variance_quantity"], row["unexplained_quantity"]) == (2, 0)
    assert [(e["change"], e["bucket_reason"]) for e in mart.evidence(row)] == [
        ("kept", "10 until 2026-11-05, 12 since")
    ]
    assert _told(mart, "topped-up")[0][:2] == ("quantity_changed", "resold")


@pytest.mark.parametrize("when", ["mart", "after", "replayed"])
def test_every_unit_of_a_change_is_a_record_with_its_dates(request: pytest.FixtureRequest, when: str) -> None:
    found = request.getfixturevalue(when).ask(
        "select client_id, service_id, kind, period_month, unexplained_quantity from marts.discrepancies where unexplained_quantity is not null"
    )
    assert len(found) > 40
    assert [row for row in found if row["unexplained_quantity"] != 0] == []


def test_where_nothing_was_agreed_on_before_nothing_is_said_to_be_explained(mart: Mart) -> None:
    assert mart.row("undecided")["unexplained_quantity"] == 0
    assert mart.row("sent-and-edited")["unexplained_quantity"] is None
    kinds = mart.ask("select distinct kind from marts.discrepancies where unexplained_quantity is not null")
    assert {row["kind"] for row in kinds} <= {"under_billed", "over_billed", "no_contract", "no_usage"}
