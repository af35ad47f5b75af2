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


def test_a_device_brings_what_other_tools_know_it_by(connect: Connect) -> None:
    """A placeholder in the serial number is kept as it came; what lists no hardware has none."""
    devices = replay(connect, "ninjaone")["devices"]
    known_by = rows(devices, "mac_addresses", "system__serial_number", "system__bios_serial_number")
    assert known_by[0] == ('["3C-11-22-33-44-41", "02-11-22-33-44-41"]', "Default string", "FERN41")
    assert set(known_by[1:]) == {(None, None, None)}
