"""Cases 17, 57, 63 and 64: what a decision stands on; when that changes it is void, and nothing else makes it so."""

from datetime import UTC, date, datetime

import pytest

from tests.cases.scenario import Mart, Scenario

LATER_DAY = datetime(2026, 11, 21, 11, tzinfo=UTC)
CHANGED = ("other-records", "other-version", "other-price", "other-mapping", "now-excluded", "one-more")
UNCHANGED = ("as-before", "gone-silent", "renamed", "rebranded", "better-covered")


def given_rows_that_are_approved(msp: Scenario) -> None:
    for client in (*CHANGED, *UNCHANGED):
        msp.client(client)
        is_covered = client == "better-covered"
        ids = msp.devices(client, 2, nodeClass="MAC" if is_covered else "WINDOWS_WORKSTATION")
        ids += msp.devices(
            client, 2, since=date(2026, 11, 11), nodeClass="MAC" if is_covered else "WINDOWS_WORKSTATION"
        )
        contract_id = msp.contract(client, "care" if is_covered else "workstation", 2, "10")
        msp.decide(client, "approve")
        match client:
            case "other-records":
                msp.remove(ids[:1], LATER_DAY)
                msp.devices(client, 1, since=LATER_DAY)
            case "other-version":
                msp.edit("contracts", contract_id, effective_to="2027-01-01")
            case "other-price":
                msp.edit("contracts", contract_id, unit_price="11")
            case "other-mapping":
                msp.edit("company_mappings", client, effective_from="2026-01-01")
            case "now-excluded":
                msp.additions.append(
                    ("exclusions", {"exclusion_id": "late", "client_id": client, "record_id": ids[3], "reason": "loan"})
                )
            case "one-more":
                msp.devices(client, 1, since=LATER_DAY)
            case "gone-silent":
                # Two weeks without contact are full between the two marts.
                msp.change(ids, date(2026, 11, 11), lastContact=str(int(datetime(2026, 11, 7, tzinfo=UTC).timestamp())))
            case "renamed":
                msp.change(ids, LATER_DAY, displayName="New name")
                msp.edit("contracts", contract_id, note="spoke to the client")
            case "rebranded":
                msp.edit("clients", client, client_name="Brand New")
            case "better-covered":
                msp.agents(client, 1, since=LATER_DAY, platform="darwin")


def given_an_approved_row_whose_source_fails(msp: Scenario) -> None:
    msp.client("source-lost")
    msp.licences("source-lost", 3)
    msp.contract("source-lost", "seat", 2, "20")
    msp.decide("source-lost", "approve")
    msp.fail("m365", "source-lost", since=LATER_DAY)


def given_rows_that_are_decided_otherwise(msp: Scenario) -> None:
    for client in ("given-up", "lent-out", "all-lent-out"):
        msp.client(client)
        msp.devices(client, 2)
        lent = msp.devices(client, 3, since=date(2026, 11, 11))
        msp.contract(client, "workstation", 2, "10")
        if client == "lent-out":
            msp.decide(client, "exclude", until=date(2027, 2, 1), record_ids=lent[:2])
    msp.decide("given-up", "write_off", until=date(2027, 2, 1))
    msp.decide("all-lent-out", "exclude", until=date(2027, 2, 1), record_ids=lent)


def given_approvals_of_mapped_records(msp: Scenario) -> None:
    edits = {
        "map-as-before": {"priority": "100"},
        "map-other-priority": {"priority": "90"},
        "map-other-dates": {"effective_to": "2027-01-01"},
    }
    for client, changes in edits.items():
        msp.service(client, "mailbox", "2")
        msp.maps(client, "shield", "records", "sku", client)
        msp.client(client)
        msp.reported(client, client, "3")
        msp.contract(client, client, 2, "2")
        msp.decide(client, "approve")
        msp.edit("service_mappings", client, **changes)


def test_case_57_an_approval_stands_on_the_terms_of_a_mapping(mart: Mart, after: Mart) -> None:
    for client, status in (("map-as-before", "approved"), ("map-other-priority", "void"), ("map-other-dates", "void")):
        assert after.row(client)["status"] == status, client
        sql = "select pattern, effective_to from marts.discrepancy_mappings where mapping = 'service' and discrepancy_id = ?"
        (said,) = after.ask(sql, after.row(client)["discrepancy_id"])
        ends = date(2027, 1, 1) if client == "map-other-dates" else None
        assert said == {"pattern": client, "effective_to": ends}


@pytest.mark.parametrize("client", [*CHANGED, "source-lost"])
def test_case_57_an_approval_is_void_when_what_it_stood_on_changes(mart: Mart, after: Mart, client: str) -> None:
    before, now = mart.row(client), after.row(client)
    assert before["discrepancy_id"] == now["discrepancy_id"]
    assert before["seal"] != now["seal"]
    assert (before["status"], now["status"], now["decided_by"]) == ("open", "void", "Fay")


@pytest.mark.parametrize("client", UNCHANGED)
def test_case_57_an_approval_stands_while_nothing_it_stood_on_changes(mart: Mart, after: Mart, client: str) -> None:
    before, now = mart.row(client), after.row(client)
    assert before["seal"] == now["seal"]
    assert now["status"] == "approved"


def test_another_device_for_the_one_removed_shows_though_the_count_is_equal(mart: Mart, after: Mart) -> None:
    before, now = mart.row("other-records"), after.row("other-records")
    assert before["observed_quantity"] == now["observed_quantity"] == 4
    changes = [e["change"] for e in after.evidence(now)]
    assert sorted(changes) == ["added", "added", "added", "kept", "removed"]


def test_case_31_the_mark_of_a_silent_device_is_in_the_evidence(mart: Mart, after: Mart) -> None:
    marks = [{e["bucket_reason"] for e in m.evidence(m.row("gone-silent"))} for m in (mart, after)]
    assert marks == [{""}, {"silent since 2026-11-07"}]


def test_case_17_a_client_renamed_is_the_same_client(mart: Mart, after: Mart) -> None:
    before, now = mart.row("rebranded"), after.row("rebranded")
    assert (before["client_name"], now["client_name"]) == ("Rebranded", "Brand New")
    assert (before["discrepancy_id"], before["seal"]) == (now["discrepancy_id"], now["seal"])


def test_case_63_records_somebody_excludes_no_longer_count(mart: Mart, after: Mart) -> None:
    before, now = mart.row("lent-out"), after.row("lent-out")
    assert (before["variance_quantity"], now["variance_quantity"], now["status"]) == (3, 1, "open")
    assert [e["record_name"] for e in after.evidence(now, bucket="excluded")] == [
        e["record_name"] for e in mart.evidence(before, change="added")
    ][:2]


def test_case_63_a_row_whose_records_are_all_excluded_stays_to_be_taken_back(mart: Mart, after: Mart) -> None:
    before, now = mart.row("all-lent-out"), after.row("all-lent-out")
    assert (before["discrepancy_id"], before["kind"]) == (now["discrepancy_id"], now["kind"])
    assert (now["status"], now["variance_quantity"], now["variance_amount"]) == ("excluded", 0, 0)
    assert now["decided_by"] == "Fay"


@pytest.mark.parametrize("client", ["given-up", "lent-out", "all-lent-out", "as-before", "grown-since"])
def test_a_look_back_knows_nothing_of_what_was_decided_later(mart: Mart, replayed: Mart, client: str) -> None:
    assert replayed.rows(client, month=None) == mart.rows(client, month=None)


def test_case_64_what_is_written_off_leaves_the_list_and_keeps_its_records(mart: Mart, after: Mart) -> None:
    now = after.row("given-up")
    assert (now["status"], now["variance_amount"], now["decided_by"]) == ("written_off", 30, "Fay")
    assert len(after.evidence(now, bucket="written_off")) == 3
    assert after.buckets("given-up") == {("billed", ""): 2, ("written_off", ""): 3}
    (total,) = after.ask(
        "select written_off_amount, under_billed_amount from marts.client_leakage where client_id = 'given-up'"
    )
    assert total == {"written_off_amount": 30, "under_billed_amount": 0}
