"""Cases 15, 19 and 32: one machine is seen by several tools, and where one of them misses it that is said, not billed."""

from datetime import date
from typing import Any

import pytest

from tests.cases.scenario import Mart, Scenario


def machine(msp: Scenario, client: str, name: str, serial: str = "", *macs: str, **fields: Any) -> list[str]:
    """Let the RMM list a machine with what it can be recognised by."""
    system = {"serialNumber": "Default string", "biosSerialNumber": serial or None}
    return msp.devices(client, 1, systemName=name, system=system, macAddresses=list(macs) or None, **fields)


def agent(msp: Scenario, client: str, name: str, serial: str = "", *macs: str, **fields: Any) -> list[str]:
    """Let the security tool list one."""
    return msp.agents(
        client, 1, hostname=name, serial_number=serial, mac_addresses=list(macs), os="Windows 11 Pro", **fields
    )


def given_a_client_with_machines_without_protection(msp: Scenario) -> None:
    msp.client("listed-32")
    for n in range(712):
        machine(msp, "listed-32", f"PC-{n}", f"SN-{n}")
    for n in range(690):
        agent(msp, "listed-32", f"pc-{n}", f"sn-{n}")
    msp.contract("listed-32", "workstation", 712, "10")
    msp.contract("listed-32", "edr", 690, "5")


def given_machines_known_by_different_things(msp: Scenario) -> None:
    msp.client("known-by")
    machine(msp, "known-by", "by-serial", "K-1")
    agent(msp, "known-by", "renamed", "k-1 ")
    machine(msp, "known-by", "by-address", "", "3C-00-00-00-00-01", "02-00-00-00-00-09")
    agent(msp, "known-by", "also renamed", "To be filled by O.E.M.", "3c:00:00:00:00:01")
    machine(msp, "known-by", "By-Name.corp.example")
    agent(msp, "known-by", "by-name", "other")
    machine(msp, "known-by", "made-up-address", "", "02-00-00-00-00-07")
    agent(msp, "known-by", "elsewhere", "", "02:00:00:00:00:07")
    machine(msp, "known-by", "retired", approvalStatus="DECOMMISSIONED")
    machine(msp, "known-by", "switch", nodeClass="NMS_SWITCH")
    machine(msp, "known-by", "phone", nodeClass="ANDROID")
    msp.contract("known-by", "workstation", 4, "10")
    msp.contract("known-by", "edr", 4, "5")


def given_machines_nobody_can_tell_apart(msp: Scenario) -> None:
    msp.client("twins")
    for _ in range(2):
        machine(msp, "twins", "Mac.lan", nodeClass="MAC")
    agent(msp, "twins", "Mac.lan", platform="darwin")
    machine(msp, "twins", "reinstalled", "T-1")
    agent(msp, "twins", "reinstalled", "T-1")
    agent(msp, "twins", "reinstalled", "T-1")
    machine(msp, "twins", "alone", "T-2")
    msp.contract("twins", "workstation", 4, "10")
    msp.contract("twins", "edr", 3, "5")


def given_a_crowd_of_one_name(msp: Scenario) -> None:
    msp.client("crowd")
    for _ in range(14):
        machine(msp, "crowd", "localpc")
        agent(msp, "crowd", "localpc")
    msp.contract("crowd", "workstation", 14, "10")
    msp.contract("crowd", "edr", 14, "5")


def given_laptops_on_shared_docks(msp: Scenario) -> None:
    msp.client("docked")
    for n in range(5):
        machine(msp, "docked", f"LAP-{n}", "", "3c:dd:00:00:00:00")
    for n in range(4):
        agent(msp, "docked", f"LAP-{n}", "", "3c:dd:00:00:00:00")
    msp.contract("docked", "workstation", 5, "10")
    msp.contract("docked", "edr", 4, "5")


def given_lists_that_are_missing(msp: Scenario) -> None:
    msp.client("edr-down")
    for n in range(3):
        machine(msp, "edr-down", f"D-{n}")
    agent(msp, "edr-down", "D-0", connection="edr-west")
    agent(msp, "edr-down", "D-9", connection="edr-west")
    msp.contract("edr-down", "workstation", 3, "10")
    msp.contract("edr-down", "edr", 2, "5")
    msp.fail("edr-west", since=date(2026, 11, 19))
    msp.client("edr-nowhere")
    machine(msp, "edr-nowhere", "N-1")
    msp.contract("edr-nowhere", "edr", 1, "5")
    msp.client("not-agreed")
    machine(msp, "not-agreed", "bare")
    agent(msp, "not-agreed", "other")
    msp.client("ours", status="internal")
    machine(msp, "ours", "lab")
    agent(msp, "ours", "other lab")


def given_backups(msp: Scenario) -> None:
    msp.client("half-backed")
    for n in range(3):
        machine(msp, "half-backed", f"SRV-{n}", nodeClass="WINDOWS_SERVER")
        machine(msp, "half-backed", f"WS-{n}")
    msp.backed_up("half-backed", "srv-0", "SRV-1.corp.example", "gone-from-the-rmm")
    msp.contract("half-backed", "server", 3, "100")
    msp.contract("half-backed", "workstation", 3, "10")
    msp.stored("half-backed", "servers", 3)
    msp.contract("half-backed", "vault", 3, "20")
    for client in ("count-only", "console-only", "two-backups", "none-backed", "nothing-counted"):
        msp.client(client)
        for n in range(3):
            machine(msp, client, f"SRV-{n}", nodeClass="WINDOWS_SERVER")
        machine(msp, client, "WS")
        msp.contract(client, "server", 3, "100")
        msp.contract(client, "vault", 2, "20")
    msp.stored("count-only", "servers", 2)
    msp.counted("console-only", "ManagedServerAgents", 3)
    msp.backed_up("two-backups", "SRV-0")
    msp.counted("two-backups", "ManagedServerAgents", 2)
    msp.stored("none-backed", "servers", 0)
    msp.backed_up("none-backed")
    msp.counted("nothing-counted", "ManagedServerAgents", 0)


def given_backups_of_mailboxes(msp: Scenario) -> None:
    msp.service("mailvault", "mailbox", "2", category="backup")
    msp.maps("mailvault", "acronis", "usages", "usage_name", "mailboxes")
    msp.client("mail-only")
    machine(msp, "mail-only", "SRV", nodeClass="WINDOWS_SERVER")
    msp.stored("mail-only", "mailboxes", 4)
    msp.contract("mail-only", "server", 1, "100")
    msp.contract("mail-only", "mailvault", 4, "2")


def given_protection_by_tools_that_were_declared(msp: Scenario) -> None:
    msp.client("two-guards")
    for n in range(3):
        machine(msp, "two-guards", f"PC-{n}", f"G-{n}")
    agent(msp, "two-guards", "PC-0", "G-0")
    msp.reported("two-guards", "Sensor", "1", "agent", tool="guard", host_name="renamed", serial_number="g-1")
    msp.reported("two-guards", "Sensor", "1", "agent", tool="guard", host_name="stranger")
    msp.reported("two-guards", "Gold mail", "3")
    msp.contract("two-guards", "workstation", 3, "10")
    msp.contract("two-guards", "edr", 1, "5")
    msp.client("guard-counts")
    machine(msp, "guard-counts", "PC-0", "C-0")
    agent(msp, "guard-counts", "PC-9", "C-9")
    msp.reported("guard-counts", "Sensor", "2", None, tool="guard")
    msp.contract("guard-counts", "edr", 1, "5")


def given_one_client_at_two_connections(msp: Scenario) -> None:
    msp.client("both-sides")
    machine(msp, "both-sides", "EAST", "B-1")
    machine(msp, "both-sides", "NEW-SITE", "B-2", site="both-sides-two")
    agent(msp, "both-sides", "EAST", "B-1")
    agent(msp, "both-sides", "NEW-SITE", "B-2")
    msp.licences("both-sides", 2, "PREMIUM")
    msp.subscribed("both-sides", "Premium Plan", 2, cost="18")
    msp.contract("both-sides", "workstation", 2, "10")
    msp.contract("both-sides", "edr", 2, "5")
    msp.contract("both-sides", "premium", 2, "22")


def told(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["device_name"], row["gap"]) for row in rows]


def test_case_32_the_machines_one_tool_misses_are_listed_by_name(mart: Mart) -> None:
    rows = mart.gaps("listed-32")
    assert len(rows) == 712 - 690
    assert {(row["gap"], row["record_vendor"], row["source_state"]) for row in rows} == {
        ("no_edr", "ninjaone", "known")
    }
    assert {row["device_name"] for row in rows} == {f"PC-{n}" for n in range(690, 712)}
    first = rows[0]
    assert (first["since_on"], first["device_class"], first["matched_by"]) == (date(2026, 9, 10), "workstation", None)
    assert first["explanation"] == (
        "PC-690 of Listed-32 is in NinjaOne since 2026-09-10 and not in Huntress. A contract covers Edr."
    )


def test_case_32_what_one_tool_misses_is_no_matter_of_billing(mart: Mart) -> None:
    assert mart.rows("listed-32") == []


def test_a_machine_is_recognised_by_serial_then_address_then_name(mart: Mart) -> None:
    """An address the system made up says nothing; what is retired, watched or a phone is not expected anywhere."""
    assert told(mart.gaps("known-by")) == [("elsewhere", "no_rmm"), ("made-up-address", "no_edr")]


def test_case_19_what_cannot_be_told_apart_is_named_and_never_picked(mart: Mart) -> None:
    rows = mart.gaps("twins")
    assert told(rows) == [
        ("Mac.lan", "ambiguous"),
        ("Mac.lan", "ambiguous"),
        ("alone", "no_edr"),
        ("reinstalled", "ambiguous"),
    ]
    macs, reinstalled = rows[:2], rows[3]
    assert {row["matched_by"] for row in macs} == {"host name"}
    assert all(row["candidates"].startswith("Huntress: Mac.lan (A") for row in macs)
    assert reinstalled["matched_by"] == "serial number"
    assert reinstalled["candidates"].count("Huntress: reinstalled (A") == 2
    assert f"it could be {reinstalled['candidates']}. A contract covers Edr." in reinstalled["explanation"]


def test_a_crowd_of_one_name_is_ambiguous_and_its_list_is_short(mart: Mart) -> None:
    rows = mart.gaps("crowd")
    assert told(rows) == [("localpc", "ambiguous")] * 14
    assert all(row["candidates"].count("localpc") == 10 for row in rows)


def test_the_address_of_a_dock_names_no_machine(mart: Mart) -> None:
    assert told(mart.gaps("docked")) == [("LAP-4", "no_edr")]


@pytest.mark.parametrize(
    "client", ["edr-nowhere", "ours", "mail-only"], ids=["no tool", "internal", "backups of mailboxes"]
)
def test_case_11_a_list_that_is_missing_never_looks_like_a_gap(mart: Mart, client: str) -> None:
    assert mart.gaps(client) == []


def test_case_1_a_list_that_is_stale_makes_no_gap_and_its_own_machines_say_so(mart: Mart) -> None:
    assert mart.gaps("edr-down", "no_edr") == []
    (row,) = mart.gaps("edr-down")
    assert (row["device_name"], row["gap"], row["source_state"]) == ("D-9", "no_rmm", "stale")


def test_protection_that_is_counted_is_expected_without_a_contract(mart: Mart) -> None:
    (row,) = mart.gaps("not-agreed")
    assert (row["device_name"], row["gap"]) == ("bare", "no_edr")
    assert row["expected_because"] == "The client has, without a contract, Edr."


def test_a_machine_of_a_class_that_is_backed_up_by_name_is_missed(mart: Mart) -> None:
    rows = mart.gaps("half-backed")
    assert told(rows) == [("SRV-2", "no_backup"), ("gone-from-the-rmm", "no_rmm")]
    assert rows[0]["expected_because"] == (
        "A contract covers Vault, and machines of this class are backed up by name: 2."
    )
    assert rows[1]["present_in"] == "Acronis: gone-from-the-rmm"


@pytest.mark.parametrize(("client", "tool"), [("none-backed", "Acronis"), ("nothing-counted", "Veeam Service Provider Console")])  # fmt: skip
def test_servers_are_missed_where_no_backup_tool_has_any_of_them(mart: Mart, client: str, tool: str) -> None:
    rows = mart.gaps(client)
    assert told(rows) == [(f"SRV-{n}", "no_backup") for n in range(3)]
    assert rows[0]["expected_because"] == "A contract covers Vault, and no machine of this class is backed up by name."
    assert f"and not in {tool}. A contract" in rows[0]["explanation"]


@pytest.mark.parametrize(("client", "tool", "servers"), [
    ("count-only", "Acronis", ("SRV-0", "SRV-1", "SRV-2")),
    ("console-only", "Veeam Service Provider Console", ("SRV-0", "SRV-1", "SRV-2")),
    ("two-backups", "Veeam Service Provider Console", ("SRV-1", "SRV-2")),
])  # fmt: skip
def test_where_a_backup_tool_only_counts_nobody_can_tell(
    mart: Mart, client: str, tool: str, servers: tuple[str, ...]
) -> None:
    rows = mart.gaps(client)
    assert told(rows) == [(name, "undecided_backup") for name in servers]
    said = f"nobody can tell whether it is in {tool} as well: only numbers are known there, no names. A contract"
    assert all(said in row["explanation"] for row in rows)


def test_machines_of_a_declared_tool_are_matched_in_its_category(mart: Mart) -> None:
    """A tool that counts mailboxes is about security too, and says nothing of machines."""
    rows = mart.gaps("two-guards")
    assert told(rows) == [("PC-2", "no_edr"), ("stranger", "no_rmm")]
    assert "and not in Huntress, guard. A contract covers Edr." in rows[0]["explanation"]
    assert rows[1]["present_in"] == "guard: stranger"


def test_where_a_declared_tool_only_counts_nobody_can_tell_either(mart: Mart) -> None:
    assert told(mart.gaps("guard-counts")) == [("PC-0", "undecided_edr")]


def test_case_15_two_sites_and_two_connections_of_a_client_add_up(mart: Mart) -> None:
    assert mart.gaps("both-sides") == []
    assert mart.rows("both-sides") == []
