"""SentinelOne's recorded traffic becomes sites, and agents that know what their site is."""

from fnmatch import fnmatchcase

import pandas as pd
import pytest

from morton_pipeline.extract.errors import Incomplete
from morton_pipeline.extract.records import columns
from morton_pipeline.vendors import VENDORS, sentinelone
from tests.conftest import Connect
from tests.vendors.replay import replay, rows

AGENT, SITE = "98765432101234", "22549473093849"


def ruled_out(vendor: str, endpoint: str, frame: pd.DataFrame) -> dict[str, str]:
    """Say which records a rule of the vendor takes out, and by which name."""
    found: dict[str, str] = {}
    for rule in VENDORS[vendor].endpoint(endpoint).rules:
        for record_key, value in rows(frame, "record_key", rule.field):
            if value is not None and fnmatchcase(value.lower(), rule.pattern.lower()):
                found.setdefault(record_key, rule.name)
    return found


def test_sentinelone(connect: Connect) -> None:
    found = replay(connect, "sentinelone")
    licences = ("active_licenses", "total_licenses", "unlimited_licenses")
    assert rows(found["sites"], "record_key", "name", "site_type", "state", *licences) == [
        (f"{SITE}0001", "Fernwood Dental", "Paid", "active", 2, 0, True),
        (f"{SITE}0002", "Gull Logistics", "Paid", "active", 4, 5, False),
        (f"{SITE}0003", "Try me", "Trial", "active", 0, 0, True),
        (f"{SITE}0004", "Past Due", "Paid", "expired", 0, 0, True),
    ]
    assert rows(found["agents"], "record_key", "site_id", "machine_type", "os_type", "serial_number")[:2] == [
        (f"{AGENT}6789", f"{SITE}0001", "server", "windows", "SN6789"),
        (f"{AGENT}6790", f"{SITE}0001", "laptop", "windows", None),
    ]
    assert len(found["agents"]) == 9


def test_what_is_gone_and_what_is_a_trial_is_excluded_by_name_and_the_unknown_passes(connect: Connect) -> None:
    agents = replay(connect, "sentinelone")["agents"]
    assert ruled_out("sentinelone", "agents", agents) == {
        f"{AGENT}6791": "decommissioned",
        f"{AGENT}6792": "uninstalled",
        f"{AGENT}6793": "trial_site",
        f"{AGENT}6794": "expired_site",
        f"{AGENT}6796": "migrated",
    }
    assert rows(agents, "record_key", "machine_type", "standing", "site_type", "site_state")[6:] == [
        (f"{AGENT}6795", "kubernetes node", "installed", "Paid", "active"),
        (f"{AGENT}6796", "unknown", "installed", "Paid", "active"),
        (f"{AGENT}6797", "laptop", "installed", None, None),
    ]


def test_case_31_only_a_silent_agent_keeps_its_last_contact(connect: Connect) -> None:
    agents = replay(connect, "sentinelone")["agents"]
    seen = {record_key: at for record_key, at in rows(agents, "record_key", "last_active_date") if at}
    assert seen == {f"{AGENT}6790": "2026-07-01T08:00:00.000000Z"}


def test_network_addresses_come_in_an_order_of_their_own(connect: Connect) -> None:
    agents = replay(connect, "sentinelone")["agents"]
    addresses = dict(rows(agents, "record_key", "mac_addresses"))
    assert addresses[f"{AGENT}6789"] == '["02:00:00:00:00:0a", "02:00:00:00:00:0b"]'
    assert addresses[f"{AGENT}6790"] is None
    assert addresses[f"{AGENT}6796"] == '["02:00:00:00:00:0c"]'


def test_ids_are_text_and_keep_every_digit(connect: Connect) -> None:
    found = replay(connect, "sentinelone")
    for endpoint, names in {"sites": ["id"], "agents": ["id", "site_id"]}.items():
        kinds = {c.name: c.sql_type for c in columns(VENDORS["sentinelone"].endpoint(endpoint).record)}
        assert {kinds[name] for name in names} == {"varchar"}
        assert all(len(value) == 18 for name in names for value in found[endpoint][name])


def test_agents_are_not_judged_by_a_list_of_sites_that_lacks_most_of_them() -> None:
    agent = {"machineType": "laptop", "isDecommissioned": False, "isUninstalled": False}
    some = [{**agent, "id": str(n), "siteId": f"site-{n}"} for n in range(3)]
    with pytest.raises(Incomplete, match="report to 3 sites, and the list of sites names 1 of them"):
        sentinelone.with_site(some, {"sites": [{"id": "site-1", "siteType": "Paid", "state": "active"}]})
    gone = [{**row, "isDecommissioned": True} for row in some]
    assert {row["standing"] for row in sentinelone.with_site(gone, {"sites": []})} == {"decommissioned"}
    assert sentinelone.with_site([], {"sites": []}) == []
