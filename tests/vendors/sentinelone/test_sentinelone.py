"""SentinelOne's recorded traffic becomes sites, and agents that know what their site is."""

from fnmatch import fnmatchcase

import pandas as pd

from morton_pipeline.extract.records import columns, validate
from morton_pipeline.vendors import VENDORS, sentinelone
from tests.conftest import Connect
from tests.vendors.replay import AT, replay, rows

AGENT, SITE = "98765432101234", "22549473093849"
ORPHAN = ("agents", f"{AGENT}6797", "standing")
"""An agent whose site the list of sites does not name: it may be on trial."""


def ruled_out(vendor: str, endpoint: str, frame: pd.DataFrame) -> dict[str, str]:
    """Say which records a rule of the vendor takes out, and by which name."""
    found: dict[str, str] = {}
    for rule in VENDORS[vendor].endpoint(endpoint).rules:
        for record_key, value in rows(frame, "record_key", rule.field):
            if value is not None and fnmatchcase(value.lower(), rule.pattern.lower()):
                found.setdefault(record_key, rule.name)
    return found


def test_sentinelone(connect: Connect) -> None:
    found = replay(connect, "sentinelone", set_aside=[ORPHAN])
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
    assert len(found["agents"]) == 8


def test_what_is_gone_and_what_is_a_trial_is_excluded_by_name(connect: Connect) -> None:
    agents = replay(connect, "sentinelone", set_aside=[ORPHAN])["agents"]
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
    ]


def test_case_31_only_a_silent_agent_keeps_its_last_contact(connect: Connect) -> None:
    agents = replay(connect, "sentinelone", set_aside=[ORPHAN])["agents"]
    seen = {record_key: at for record_key, at in rows(agents, "record_key", "last_active_date") if at}
    assert seen == {f"{AGENT}6790": "2026-07-01T08:00:00.000000Z"}


def test_network_addresses_come_in_an_order_of_their_own(connect: Connect) -> None:
    agents = replay(connect, "sentinelone", set_aside=[ORPHAN])["agents"]
    addresses = dict(rows(agents, "record_key", "mac_addresses"))
    assert addresses[f"{AGENT}6789"] == '["02:00:00:00:00:0a", "02:00:00:00:00:0b"]'
    assert addresses[f"{AGENT}6790"] is None
    assert addresses[f"{AGENT}6796"] == '["02:00:00:00:00:0c"]'


def test_ids_are_text_and_keep_every_digit(connect: Connect) -> None:
    found = replay(connect, "sentinelone", set_aside=[ORPHAN])
    for endpoint, names in {"sites": ["id"], "agents": ["id", "site_id"]}.items():
        kinds = {c.name: c.sql_type for c in columns(VENDORS["sentinelone"].endpoint(endpoint).record)}
        assert {kinds[name] for name in names} == {"varchar"}
        assert all(len(value) == 18 for name in names for value in found[endpoint][name])


def test_an_agent_whose_site_is_not_listed_is_set_aside_alone_and_one_that_is_gone_is_not() -> None:
    agent = {"machineType": "laptop", "isDecommissioned": False, "isUninstalled": False}
    some = [{**agent, "id": str(n), "siteId": f"site-{n}"} for n in range(10)]
    sites = [{"id": f"site-{n}", "siteType": "Trial" if n == 9 else "Paid", "state": "active"} for n in range(4, 10)]
    result = validate(sentinelone.Agent, sentinelone.with_site(some, {"sites": sites}), at=AT)
    assert rows(result.rejected, "record_key", "column_name") == [(str(n), "standing") for n in range(4)]
    assert [kind for (kind,) in rows(result.kept, "site_type")] == ["Paid"] * 5 + ["Trial"]
    gone = [{**row, "isDecommissioned": True} for row in some]
    assert {row["standing"] for row in sentinelone.with_site(gone, {"sites": []})} == {"decommissioned"}
