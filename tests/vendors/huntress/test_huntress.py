"""Huntress's recorded traffic becomes organisations with their usages, agents and incident reports."""

from tests.conftest import Connect
from tests.vendors.replay import replay, rows


def test_huntress(connect: Connect) -> None:
    found = replay(connect, "huntress")
    usages = ("actual_usages__edr__billable_agents_count", "actual_usages__sat__learners_count")
    assert rows(found["organizations"], "record_key", "name", "agents_count", *usages) == [
        ("5", "Fernwood Dental", 2, 2, 9),
        ("6", "Gull Logistics", 0, None, None),
    ]
    assert rows(found["agents"], "record_key", "organization_id", "platform", "serial_number", "last_callback_at") == [
        ("301", "5", "windows", "SN301", None),
        ("302", "5", "windows", "SN302", "2026-07-01T08:00:00Z"),
        ("303", "6", "darwin", None, None),
    ]
    assert rows(found["incident_reports"], "record_key", "severity", "status") == [("9001", "high", "closed")]
