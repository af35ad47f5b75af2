"""Cases 28, 47, 57, 63 and 64: exclusions are capped and end on their day, and what is given up adds up."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.cases.scenario import Mart, Row, Scenario

OVERNIGHT = datetime(2026, 11, 21, 11, tzinfo=UTC)
"""Between the two marts."""
AHEAD = {"time_zone": "Pacific/Kiritimati"}
"""There it is tomorrow at noon in UTC."""


def given_exclusions_of_so_many(msp: Scenario) -> None:
    msp.client("seven")
    first = msp.devices("seven", 7, displayName="LAB")
    msp.devices("seven", 2)
    msp.contract("seven", "workstation", 2, "10")
    msp.exclusion(
        exclusion_id="labs", client_id="seven", name_pattern="lab*", max_quantity="7", effective_from="2026-11-01"
    )
    # An eighth comes although one of the seven has gone.
    msp.remove(first[:1], OVERNIGHT)
    msp.devices("seven", 1, since=OVERNIGHT, displayName="LAB")


def given_an_exclusion_by_number_alone(msp: Scenario) -> None:
    msp.client("seven-of-nine")
    first = msp.devices("seven-of-nine", 9)
    msp.devices("seven-of-nine", 1, since=date(2026, 11, 11))
    msp.contract("seven-of-nine", "workstation", 3, "10")
    msp.exclusion(exclusion_id="seven", client_id="seven-of-nine", service_id="workstation", max_quantity="7", effective_from="2026-11-01")  # fmt: skip
    # The set changes: another for one of the seven, and their number stays.
    msp.remove(first[:1], OVERNIGHT)
    msp.devices("seven-of-nine", 1, since=OVERNIGHT)


def given_people_excluded_by_number(msp: Scenario) -> None:
    msp.client("two-people")
    both = msp.licences("two-people", 2, "SPB")
    msp.licences("two-people", 2, "SPE_E3", users=both)
    msp.licences("two-people", 3, "SPB", since=date(2026, 11, 11))
    msp.licences("two-people", 1, "SPB", userPurpose="shared")
    msp.contract("two-people", "seat", 2, "22")
    msp.exclusion(
        exclusion_id="two", client_id="two-people", service_id="seat", max_quantity="2", effective_from="2026-11-01"
    )


def given_records_that_two_exclusions_cover(msp: Scenario) -> None:
    for client, ends in (("covered-twice", ""), ("covered-for-a-while", "2026-11-11")):
        msp.client(client)
        ids = msp.devices(client, 3, displayName="LAB")
        msp.contract(client, "workstation", 0, "10")
        msp.exclusion(exclusion_id=f"one-{client}", client_id=client, record_id=ids[0], expires_on=ends)
        msp.exclusion(exclusion_id=f"labs-{client}", client_id=client, name_pattern="lab*", max_quantity="2")


def given_an_approval_beside_an_exclusion(msp: Scenario) -> None:
    for client, changes in (("cap-raised", {"max_quantity": "9"}), ("cap-as-before", {"reason": "agreed with Ann"})):
        msp.client(client)
        msp.devices(client, 2, displayName="LAB")
        msp.devices(client, 3)
        msp.contract(client, "workstation", 2, "10")
        msp.exclusion(exclusion_id=client, client_id=client, name_pattern="lab*", max_quantity="7")
        msp.decide(client, "approve")
        msp.edit("exclusions", client, **changes)


def given_exclusions_that_end(msp: Scenario) -> None:
    for client, zone in (("ends-here", {}), ("ends-there", AHEAD)):
        msp.client(client, **zone)
        ids = msp.devices(client, 3)
        msp.contract(client, "workstation", 2, "10")
        msp.exclusion(exclusion_id=f"x-{client}", client_id=client, record_id=ids[2], expires_on="2026-11-21")
    for client, zone in (("lent-here", {}), ("lent-there", AHEAD)):
        msp.client(client, **zone)
        msp.devices(client, 2)
        lent = msp.devices(client, 1, since=date(2026, 11, 11))
        msp.contract(client, "workstation", 2, "10")
        msp.decide(client, "exclude", until=date(2026, 11, 22), record_ids=lent)


def given_rows_that_are_given_up(msp: Scenario) -> None:
    until = {
        "given-up-here": date(2026, 11, 22),
        "given-up-there": date(2026, 11, 22),
        "given-up-and-grown": date(2027, 2, 1),
    }
    for client, day in until.items():
        msp.client(client, **(AHEAD if client == "given-up-there" else {}))
        msp.devices(client, 2)
        msp.devices(client, 3, since=date(2026, 11, 11))
        msp.contract(client, "workstation", 2, "10")
        msp.decide(client, "write_off", until=day)
    msp.devices("given-up-and-grown", 1, since=OVERNIGHT)


def given_records_excluded_since_this_period_began(msp: Scenario) -> None:
    msp.client("newly")
    changed = msp.licences("newly", 1, "SPB")
    msp.licences("newly", 1, "SPB", userPurpose="shared")
    msp.licences("newly", 1, "FLOW_FREE")
    msp.contract("newly", "seat", 1, "22")
    msp.change(changed, date(2026, 11, 5), userPurpose="room")


def excluded(mart: Mart, client: str, **where: Any) -> list[Row]:
    rows = mart.ask(
        "select * from marts.excluded_records where client_id = ? order by excluded_since_on, record_key", client
    )
    return [row for row in rows if all(row[column] == value for column, value in where.items())]


def test_case_63_seven_at_the_most_are_seven(mart: Mart) -> None:
    assert mart.rows("seven") == []
    rows = excluded(mart, "seven")
    assert len(rows) == 7
    assert {(r["rule"], r["max_quantity"], r["covered_quantity"]) for r in rows} == {("labs", 7, 7)}


def test_case_63_an_eighth_is_billed_though_one_of_the_seven_has_gone(after: Mart) -> None:
    row = after.row("seven")
    assert (row["kind"], row["variance_quantity"], row["began_on"]) == ("under_billed", 1, date(2026, 11, 21))
    assert [e["bucket"] for e in after.evidence(row, change="added")] == ["billed"]
    assert {r["covered_quantity"] for r in excluded(after, "seven")} == {6}


def test_case_63_a_number_alone_is_about_those_who_were_there(mart: Mart) -> None:
    # Nine stood there, of which seven are excluded; the one that came on the 11th is not among them, and is agreed.
    assert mart.rows("seven-of-nine") == []
    assert mart.buckets("seven-of-nine") == {("excluded", "exclusion seven"): 7, ("billed", ""): 3}


def test_case_63_a_changed_set_comes_up_though_the_number_is_the_same(after: Mart) -> None:
    row = after.row("seven-of-nine")
    assert (row["kind"], row["variance_quantity"], row["began_on"]) == ("under_billed", 1, date(2026, 11, 21))


def test_case_63_before_the_day_of_its_exclusion_everything_counts(mart: Mart) -> None:
    assert mart.row("seven-of-nine", month="2026-10")["observed_quantity"] == 9


def test_case_63_a_person_is_one_of_so_many_whatever_they_hold(mart: Mart) -> None:
    assert mart.row("two-people")["observed_quantity"] == 3
    rows = excluded(mart, "two-people", rule="two")
    assert [len(rows), rows[0]["max_quantity"], rows[0]["covered_quantity"]] == [4, 2, 2]


def test_case_63_what_is_excluded_anyway_takes_up_no_place(mart: Mart) -> None:
    assert mart.rows("covered-twice") == []
    rules = [r["rule"] for r in excluded(mart, "covered-twice")]
    assert sorted(rules) == ["labs-covered-twice", "labs-covered-twice", "one-covered-twice"]


def test_case_63_what_is_excluded_no_more_takes_a_place_only_where_one_is_left(mart: Mart) -> None:
    row = mart.row("covered-for-a-while")
    assert (row["observed_quantity"], row["began_on"]) == (1, date(2026, 11, 11))
    assert len(excluded(mart, "covered-for-a-while", is_expired=False)) == 2


def test_case_57_an_approval_is_void_when_an_exclusion_beside_it_changes(mart: Mart, after: Mart) -> None:
    before, now = mart.row("cap-raised"), after.row("cap-raised")
    assert before["observed_quantity"] == now["observed_quantity"] == 3
    assert (before["status"], now["status"]) == ("open", "void")


def test_case_57_another_reason_for_an_exclusion_changes_nothing(after: Mart) -> None:
    assert after.row("cap-as-before")["status"] == "approved"


@pytest.mark.parametrize(("client", "is_over"), [("ends-here", False), ("ends-there", True)])
def test_case_63_an_exclusion_ends_on_its_day_where_the_client_is(
    mart: Mart, after: Mart, client: str, is_over: bool
) -> None:
    assert len(mart.rows(client)) == is_over
    assert [r["is_expired"] for r in excluded(mart, client)] == [is_over]
    row = after.row(client)
    assert (row["variance_quantity"], row["began_on"]) == (1, date(2026, 11, 21))
    (listed,) = excluded(after, client)
    assert (listed["is_expired"], listed["is_new"], listed["expires_on"]) == (True, False, date(2026, 11, 21))


@pytest.mark.parametrize(("client", "is_over"), [("lent-here", False), ("lent-there", True)])
def test_case_63_a_decision_to_exclude_ends_on_its_day_where_the_client_is(
    mart: Mart, after: Mart, client: str, is_over: bool
) -> None:
    assert mart.row(client)["variance_quantity"] == 1
    row = after.row(client)
    assert (row["status"], row["variance_quantity"]) == (("open", 1) if is_over else ("excluded", 0))
    (listed,) = excluded(after, client)
    assert (listed["is_expired"], listed["owner"], listed["reason"]) == (is_over, "Fay", "seen")


@pytest.mark.parametrize(("client", "is_over"), [("given-up-here", False), ("given-up-there", True)])
def test_case_64_a_write_off_ends_on_its_day_where_the_client_is(after: Mart, client: str, is_over: bool) -> None:
    row = after.row(client)
    assert (row["status"], row["variance_amount"]) == ("open" if is_over else "written_off", 30)


def test_case_64_what_grows_past_a_write_off_comes_back(after: Mart) -> None:
    row = after.row("given-up-and-grown")
    assert (row["status"], row["variance_amount"], row["decided_by"]) == ("open", 40, "Fay")


@pytest.mark.parametrize("client", ["given-up-here", "given-up-there", "given-up-and-grown"])
def test_case_64_what_a_client_was_spared_so_far_is_a_number(mart: Mart, after: Mart, client: str) -> None:
    """Also once the write-off has expired, or the row has grown past it."""
    sql = "select written_off_total_amount from marts.client_leakage where client_id = ?"
    assert [m.ask(sql, client)[0]["written_off_total_amount"] for m in (mart, after)] == [0, 30]


def test_case_28_a_newly_excluded_record_is_shown_for_one_period(mart: Mart) -> None:
    rows = {r["rule"]: r for r in excluded(mart, "newly")}
    assert {rule: (r["is_new"], r["excluded_since_on"]) for rule, r in rows.items()} == {
        "shared_mailbox": (False, date(2026, 9, 10)),
        "free_or_trial_sku": (False, date(2026, 9, 10)),
        "room_mailbox": (True, date(2026, 11, 5)),
    }
    assert rows["room_mailbox"]["reason"] == "A meeting room is nobody's seat."
    assert (rows["room_mailbox"]["service_id"], rows["room_mailbox"]["owner"]) == ("seat", None)


def test_every_excluded_record_is_listed_and_no_other(after: Mart) -> None:
    sql = "select count(*) as n from intermediate.int_records_bucketed where bucket = 'excluded'"
    (found,) = after.ask(sql, from_warehouse=True)
    (listed,) = after.ask("select count(*) as n from marts.excluded_records where not is_expired")
    assert found["n"] == listed["n"] > 0
