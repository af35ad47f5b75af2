"""Cases 20-32 and 63: what counts as one, what is left out and under which name."""

from datetime import UTC, date, datetime

import pytest

from tests.cases.scenario import Mart, Scenario

LONG_AGO = str(int(datetime(2026, 9, 1, tzinfo=UTC).timestamp()))


def given_devices_of_every_class(msp: Scenario) -> None:
    msp.client("zoo")
    msp.devices("zoo", 5)
    for node_class in ("NMS_ROUTER", "CLOUD_MONITOR_TARGET", "VMWARE_VM_GUEST", "UNMANAGED_DEVICE"):
        msp.devices("zoo", 1, nodeClass=node_class)
    for status in ("PENDING", "STAGED", "DECOMMISSIONED"):
        msp.devices("zoo", 1, approvalStatus=status)
    msp.contract("zoo", "workstation", 4, "10")


def given_a_class_that_is_named_outright(msp: Scenario) -> None:
    msp.service("switch", "device", "15")
    msp.maps("switch", "ninjaone", "devices", "node_class", "NMS_SWITCH")
    msp.client("wired")
    msp.devices("wired", 2, nodeClass="NMS_SWITCH")
    msp.devices("wired", 1, nodeClass="NMS_FIREWALL")
    msp.devices("wired", 1, nodeClass="NMS_SWITCH", approvalStatus="DECOMMISSIONED")
    msp.contract("wired", "switch", 1, "15")


def given_a_silent_device(msp: Scenario) -> None:
    msp.client("quiet")
    msp.devices("quiet", 1)
    msp.devices("quiet", 1, lastContact=LONG_AGO)
    msp.contract("quiet", "workstation", 1, "10")
    msp.client("quiet-too-long")
    msp.devices("quiet-too-long", 1)
    msp.devices("quiet-too-long", 1, lastContact=LONG_AGO)
    msp.contract("quiet-too-long", "workstation", 2, "10", silent_days="60")


def given_a_state_nobody_knows(msp: Scenario) -> None:
    msp.client("puzzled")
    changed = msp.devices("puzzled", 3)[:1]
    msp.change(changed, date(2026, 11, 5), approvalStatus="QUARANTINED")
    msp.contract("puzzled", "workstation", 3, "10")
    msp.service("loaner", "device", "9")
    msp.maps("loaner", "ninjaone", "devices", "approval_status", "ON_LOAN", priority="10")
    msp.client("lender")
    msp.devices("lender", 2, approvalStatus="On_Loan")
    msp.contract("lender", "loaner", 1, "9")


def given_people_and_their_licences(msp: Scenario) -> None:
    msp.client("people")
    both = msp.licences("people", 2, "SPB")
    msp.licences("people", 2, "SPE_E3", users=both)
    msp.licences("people", 1, "SPB", accountEnabled=False)
    for purpose in ("shared", "room", "equipment"):
        msp.licences("people", 1, "SPB", userPurpose=purpose)
    msp.licences("people", 1, "SPB", capabilityStatus="Suspended")
    msp.licences("people", 1, "SPB", capabilityStatus="Warning")
    msp.licences("people", 2, "FLOW_FREE")
    msp.contract("people", "seat", 2, "22")
    msp.client("mails")
    msp.licences("mails", 2, "EXCHANGEENTERPRISE", users=msp.licences("mails", 2, "EXCHANGESTANDARD"))
    msp.contract("mails", "mail", 2, "4")


def given_a_person_who_changes_licence(msp: Scenario) -> None:
    msp.client("swapped")
    users = msp.licences("swapped", 3, "SPB", until=date(2026, 11, 5))
    msp.licences("swapped", 3, "SPE_E3", users=users, since=date(2026, 11, 5))
    msp.licences("swapped", 1, "SPB", since=date(2026, 10, 12))
    msp.contract("swapped", "seat", 3, "22")


def given_licences_bought_and_assigned(msp: Scenario) -> None:
    msp.service("project", "licence", "30")
    msp.maps("project", "microsoft365", "subscribed_skus", "sku_part_number", "PROJECTPROFESSIONAL")
    msp.client("buyer")
    msp.bought("buyer", "PROJECTPROFESSIONAL", 9, warning=2, suspended=4)
    msp.bought("buyer", "SPB", 50)
    msp.licences("buyer", 4, "SPB")
    msp.contract("buyer", "project", 10, "30")
    msp.contract("buyer", "seat", 4, "22")
    msp.client("holder")
    msp.bought("holder", "PROJECTPROFESSIONAL", 3)
    msp.licences("holder", 2, "PROJECTPROFESSIONAL")
    msp.contract("holder", "project", 3, "30")


def given_a_service_two_tools_could_count(msp: Scenario) -> None:
    for client, chosen in (("cared", ""), ("cared-by-edr", "huntress")):
        msp.client(client)
        msp.devices(client, 5, nodeClass="MAC")
        msp.agents(client, 3, platform="darwin")
        msp.contract(client, "care", 4, "30", count_vendor=chosen)


def given_records_that_are_excluded(msp: Scenario) -> None:
    msp.client("spared")
    ids = msp.devices("spared", 6)
    msp.devices("spared", 2, displayName="LOANER pool")
    msp.contract("spared", "workstation", 4, "10")
    msp.exclusion(client_id="spared", vendor="ninjaone", record_id=ids[0].lower())
    msp.exclusion(client_id="spared", name_pattern="loaner*", effective_from="2026-11-01")
    msp.exclusion(client_id="spared", record_id=ids[1], expires_on="2026-11-11")
    msp.exclusion(client_id="spared", service_id="server", record_id=ids[2])


def test_every_class_nobody_is_billed_for_has_its_own_name(mart: Mart) -> None:
    assert mart.row("zoo")["observed_quantity"] == 5
    assert mart.buckets("zoo") == {
        ("billed", ""): 5,
        **{
            ("excluded", name): 1
            for name in (
                "network_gear",
                "cloud_monitor",
                "vm_guest",
                "unmanaged",
                "pending",
                "staged",
                "decommissioned",
            )
        },
    }


def test_a_state_nobody_knows_is_neither_billed_nor_dropped(mart: Mart) -> None:
    unknown = ("unknown_state", "approval_status reads quarantined")
    assert mart.buckets("puzzled") == {("billed", ""): 2, unknown: 1}
    row = mart.row("puzzled", kind="over_billed")
    assert (row["observed_quantity"], row["began_on"]) == (2, date(2026, 11, 5))
    (gone,) = mart.evidence(row, change="removed")
    assert (gone["bucket"], gone["bucket_reason"]) == unknown
    waiting = mart.row("puzzled", kind="unmapped_sku")
    assert (waiting["observed_quantity"], waiting["variance_amount"]) == (1, 40)
    assert "in a state nobody knows yet (approval_status reads quarantined)" in waiting["explanation"]


def test_a_mapping_that_names_an_unknown_state_outright_says_what_it_is_sold_as(mart: Mart) -> None:
    assert mart.buckets("lender") == {("billed", ""): 2}
    assert mart.row("lender")["variance_amount"] == 9


def test_a_mapping_that_names_a_class_outright_wins_over_the_rule(mart: Mart) -> None:
    row = mart.row("wired")
    assert (row["service_id"], row["observed_quantity"]) == ("switch", 2)
    assert mart.buckets("wired")["excluded", "network_gear"] == 1


def test_an_outright_mapping_wins_over_no_other_rule(mart: Mart) -> None:
    """A switch is sold, and one that was retired is not: two rules are about it, and the mapping names one of them."""
    assert mart.buckets("wired") == {
        ("billed", ""): 2,
        ("excluded", "network_gear"): 1,
        ("excluded", "decommissioned"): 1,
    }


def test_case_31_a_silent_device_counts_and_is_marked(mart: Mart) -> None:
    row = mart.row("quiet")
    assert row["observed_quantity"] == 2
    assert [e["bucket_reason"] for e in mart.evidence(row)] == ["", "silent since 2026-09-01"]


def test_case_31_where_the_contract_says_so_a_device_counts_until_it_has_been_silent_too_long(mart: Mart) -> None:
    row = mart.row("quiet-too-long")
    assert (row["kind"], row["variance_quantity"], row["began_on"]) == ("over_billed", -1, date(2026, 10, 31))
    (silent,) = mart.evidence(row, bucket="excluded")
    assert (silent["change"], "60 silent days" in silent["bucket_reason"]) == ("removed", True)
    (listed,) = mart.ask("select rule, reason from marts.excluded_records where client_id = 'quiet-too-long'")
    assert listed["reason"] == "The contract counts what has reported within 60 days."


def test_case_27_a_person_with_two_licences_is_one_seat(mart: Mart) -> None:
    row = mart.row("people")
    # Two with both, one disabled, one whose licence is past its end.
    assert (row["service_id"], row["observed_quantity"]) == ("seat", 4)


def test_case_27_two_licences_of_one_person_are_two_where_licences_are_sold(mart: Mart) -> None:
    assert mart.row("mails")["observed_quantity"] == 4


def test_case_27_changing_from_one_licence_to_another_is_no_gap(mart: Mart) -> None:
    row = mart.row("swapped")
    assert (row["observed_quantity"], row["began_on"]) == (4, date(2026, 10, 12))
    days = mart.ask(
        "select distinct observed_quantity from marts.daily_quantities where client_id = 'swapped' and quantity_on >= '2026-10-12'"
    )
    assert days == [{"observed_quantity": 4}]


def test_case_29_a_disabled_account_counts_and_is_marked(mart: Mart) -> None:
    marks = [e["bucket_reason"] for e in mart.evidence(mart.row("people"), bucket="billed")]
    assert marks.count("account disabled") == 1


def test_case_20_a_licence_past_its_end_counts_and_a_suspended_one_does_not(mart: Mart) -> None:
    assert mart.buckets("people")["billed", "subscription past its end"] == 1
    assert mart.buckets("people")["excluded", "suspended_sku"] == 1


@pytest.mark.parametrize("rule", ["shared_mailbox", "room_mailbox", "equipment_mailbox"])
def test_case_28_mailboxes_that_are_nobodys_seat_are_excluded_by_name(mart: Mart, rule: str) -> None:
    assert mart.buckets("people")["excluded", rule] == 1


def test_case_25_a_free_sku_is_listed_and_not_billed(mart: Mart) -> None:
    assert mart.buckets("people")["excluded", "free_or_trial_sku"] == 2


def test_case_22_the_mapped_endpoint_decides_whether_bought_or_assigned_counts(mart: Mart) -> None:
    row = mart.row("buyer")
    # Nine usable and two past their end; the four suspended cannot be used. The assigned seats agree.
    assert (row["service_id"], row["observed_quantity"], row["variance_amount"]) == ("project", 11, 30)


def test_case_22_licences_bought_and_mapped_nowhere_are_only_shown(mart: Mart) -> None:
    assert mart.buckets("buyer")["coverage_only", "bought, shown for comparison"] == 1


def test_case_22_licences_counted_as_bought_are_not_unmapped_where_they_are_assigned(mart: Mart) -> None:
    assert mart.rows("holder") == []
    shown = ("coverage_only", "PROJECTPROFESSIONAL is counted at subscribed_skus")
    assert mart.buckets("holder") == {("billed", ""): 1, shown: 2}


def test_case_32_the_named_tool_counts_and_the_other_only_shows(mart: Mart) -> None:
    row = mart.row("cared")
    assert (row["observed_quantity"], row["variance_quantity"]) == (5, 1)
    shown = mart.evidence(row, bucket="coverage_only")
    assert [(e["vendor"], e["bucket_reason"]) for e in shown] == [("huntress", "counted at ninjaone")] * 3


def test_case_32_a_contract_may_name_another_tool(mart: Mart) -> None:
    row = mart.row("cared-by-edr")
    assert (row["observed_quantity"], row["variance_quantity"]) == (3, -1)
    assert mart.buckets("cared-by-edr") == {("billed", ""): 3, ("coverage_only", "counted at huntress"): 5}


def test_case_63_an_exclusion_follows_its_records_and_ends_on_its_day(mart: Mart) -> None:
    row = mart.row("spared")
    # Eight devices, less one by id and two by name; the one whose exclusion ran out on the 11th is back.
    assert (row["observed_quantity"], row["began_on"]) == (5, date(2026, 11, 11))
    excluded = mart.evidence(row, bucket="excluded")
    assert len(excluded) == 3
    assert all(e["bucket_reason"].startswith("exclusion x") for e in excluded)


def test_case_63_before_an_exclusion_begins_its_records_count(mart: Mart) -> None:
    # In October the loaners counted, and two devices were excluded by id.
    assert mart.row("spared", month="2026-10")["observed_quantity"] == 6
