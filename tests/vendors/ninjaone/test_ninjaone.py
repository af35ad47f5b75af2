"""NinjaOne's recorded traffic becomes organisations and devices."""

from tests.conftest import Connect
from tests.vendors.replay import replay, rows


def test_ninjaone(connect: Connect) -> None:
    found = replay(connect, "ninjaone")
    assert rows(found["organizations"], "record_key", "name", "description") == [
        ("3", "Fernwood Dental", "Two chairs"),
        ("8", "Gull Logistics", None),
    ]
    assert rows(
        found["devices"], "record_key", "organization_id", "node_class", "approval_status", "parent_device_id"
    ) == [
        ("41", "3", "WINDOWS_WORKSTATION", "APPROVED", None),
        ("57", "3", "WINDOWS_SERVER", "APPROVED", None),
        ("90", "8", "VMWARE_VM_GUEST", "APPROVED", "57"),
        ("64", "8", "MAC", "PENDING", None),
    ]
    assert rows(found["devices"], "display_name", "system_name", "created")[0] == (
        "Reception",
        "host-41",
        "1711929600.25",
    )


def test_case_31_only_a_silent_device_keeps_its_last_contact(connect: Connect) -> None:
    devices = replay(connect, "ninjaone")["devices"]
    assert rows(devices, "record_key", "last_contact") == [
        ("41", None),
        ("57", "1785542400.0"),
        ("90", None),
        ("64", None),
    ]
