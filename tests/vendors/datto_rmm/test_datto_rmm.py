"""Datto RMM's recorded traffic becomes sites, and devices that say whether anybody manages them."""

import base64
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs

import httpx
import pandas as pd
import pytest

from morton_pipeline.extract.auth import Credentials
from morton_pipeline.extract.errors import Incomplete
from morton_pipeline.extract.pages import Call, Page
from morton_pipeline.extract.records import validate
from morton_pipeline.vendors import VENDORS, datto_rmm
from tests.conftest import Connect
from tests.vendors.replay import AT, replay, rows

FERNWOOD, GULL = "7d1c0e5a-0000-4000-8000-000000000001", "7d1c0e5a-0000-4000-8000-000000000002"
DEVICES = "/api/v2/account/devices"
ORPHAN = ("devices", "device-11", "standing")
"""A device whose site the list of sites does not name: it may be an OnDemand one."""


def ruled_out(vendor: str, endpoint: str, frame: pd.DataFrame) -> dict[str, str]:
    """Say which records a rule of the vendor takes out, and by which name."""
    found: dict[str, str] = {}
    for rule in VENDORS[vendor].endpoint(endpoint).rules:
        for record_key, value in rows(frame, "record_key", rule.field):
            if value is not None and fnmatchcase(value.lower(), rule.pattern.lower()):
                found.setdefault(record_key, rule.name)
    return found


def test_datto_rmm(connect: Connect) -> None:
    found = replay(connect, "datto_rmm", set_aside=[ORPHAN])
    counted = "devices_status__number_of_devices"
    assert rows(found["sites"], "record_key", "name", "on_demand", "autotask_company_id", counted) == [
        (FERNWOOD, "Fernwood Dental", False, "29683510", 5),
        (GULL, "Gull Logistics", False, None, 4),
        ("7d1c0e5a-0000-4000-8000-000000000003", "Gull Logistics (OnDemand)", True, None, 1),
        ("deleted-devices", "Deleted Devices", None, None, 0),
    ]
    assert rows(found["devices"], "record_key", "device_type__category", "datto_class", "standing")[:4] == [
        ("device-1", "server", "device", "managed"),
        ("device-2", "Laptop", "device", "managed"),
        ("device-3", "Laptop", "device", "on_demand"),
        ("device-4", "Desktop", "device", "deleted"),
    ]
    assert len(found["devices"]) == 10


def test_whatever_nobody_manages_is_excluded_by_name(connect: Connect) -> None:
    devices = replay(connect, "datto_rmm", set_aside=[ORPHAN])["devices"]
    assert ruled_out("datto_rmm", "devices", devices) == {
        "device-3": "on_demand",
        "device-4": "deleted",
        "device-5": "deleted",
        "device-6": "printer",
        "device-7": "esxi_host",
        "device-8": "network_device",
    }
    assert rows(devices, "record_key", "device_type__category", "datto_class", "standing")[8:] == [
        ("device-9", "Thin Client", "unknown", "managed"),
        ("device-10", "Thermostat", "rmmiotdevice", "managed"),
    ]


def test_case_31_only_a_silent_device_keeps_its_last_contact_whatever_the_date_is_written_in(connect: Connect) -> None:
    devices = replay(connect, "datto_rmm", set_aside=[ORPHAN])["devices"]
    assert rows(devices, "record_key", "last_seen", "suspended")[:3] == [
        ("device-1", None, False),
        ("device-2", "1785542400", True),
        ("device-3", None, False),
    ]
    assert [seen for (seen,) in rows(devices, "last_seen") if seen] == ["1785542400", "1782892800.0"]


def test_what_a_user_defined_field_holds_is_never_stored(connect: Connect) -> None:
    for frame in replay(connect, "datto_rmm", set_aside=[ORPHAN]).values():
        assert not [name for name in frame.columns if name.startswith("udf")]
        assert "recovery key" not in frame.to_json()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, None), (1785542400123, "1785542400.123"), ("1785542400000", "1785542400"), (-62135596800000, None),
        ("0001-01-01T00:00:00Z", None), ("2026-08-01T00:00:00Z", "1785542400.0"), ("2026-08-01T00:00:00", "1785542400.0"),
        ("2026-08-01T02:00:00+0200", "1785542400.0"), ("yesterday", "yesterday"),
    ],
    ids=str,
)  # fmt: skip
def test_a_date_is_milliseconds_or_text_and_one_that_is_neither_is_left_alone(written: Any, read: Any) -> None:
    assert datto_rmm.epoch_seconds(written) == read


def test_case_10_a_date_nobody_can_read_sets_its_record_aside_and_no_other() -> None:
    device = {"uid": "d", "siteUid": "s", "deviceType": None, "deviceClass": "device", "deleted": False}
    read = datto_rmm.with_standing(
        [{**device, "lastSeen": "yesterday"}, {**device, "uid": "e", "lastSeen": 1785542400000}],
        {"sites": [{"uid": "s", "name": "Site", "onDemand": False}]},
    )
    result = validate(datto_rmm.Device, read, at=AT)
    assert list(result.kept["record_key"]) == ["e"]
    assert result.rejected.to_dict("records")[0]["column_name"] == "last_seen"


def test_a_device_whose_site_is_not_listed_is_set_aside_alone_and_one_that_was_deleted_is_not() -> None:
    device = {"deviceType": None, "deviceClass": "device", "deleted": False}
    some = [{**device, "uid": str(n), "siteUid": f"site-{n}"} for n in range(10)]
    sites = [{"uid": f"SITE-{n}", "name": "S", "onDemand": n == 9} for n in range(4, 10)]
    result = validate(datto_rmm.Device, datto_rmm.with_standing(some, {"sites": sites}), at=AT)
    assert rows(result.rejected, "record_key", "column_name") == [(str(n), "standing") for n in range(4)]
    assert [standing for (standing,) in rows(result.kept, "standing")] == ["managed"] * 5 + ["on_demand"]
    gone = [{**row, "deleted": True} for row in some]
    assert {row["standing"] for row in datto_rmm.with_standing(gone, {"sites": []})} == {"deleted"}


@pytest.mark.parametrize(
    ("device_type", "device_class", "category"),
    [({"category": "Laptop"}, "device", "Laptop"), ({"category": None}, "printer", "printer"), (None, None, "unknown")],
    ids=["named", "by its class", "unknown"],
)
def test_a_device_is_always_of_some_category_so_that_it_can_be_mapped(
    device_type: Any, device_class: Any, category: str
) -> None:
    device = {"siteUid": "s", "deviceType": device_type, "deviceClass": device_class, "deleted": True}
    (found,) = datto_rmm.with_standing([device], {"sites": []})
    assert found["deviceType"]["category"] == category


def following(call: Call, *links: str | None) -> Iterator[Call]:
    """Yield the calls after the first, as each page answers with the next link."""
    walk = datto_rmm.pages(call)
    asked = next(walk)
    for link in links:
        try:
            asked = walk.send(Page(asked, {"pageDetails": {"nextPageUrl": link}}, [], {}))
        except StopIteration:
            return
        yield asked


@pytest.mark.parametrize(
    ("link", "path", "params"),
    [
        (f"https://x.test{DEVICES}?page=1", f"https://x.test{DEVICES}", {"max": 250, "page": "1"}),
        (f"https://x.test{DEVICES}?page=1&max=50", f"https://x.test{DEVICES}", {"max": "50", "page": "1"}),
        (f"{DEVICES}?page=1", DEVICES, {"max": 250, "page": "1"}),
        ("?page=1", DEVICES, {"max": 250, "page": "1"}),
        ("devices?page=1", DEVICES, {"max": 250, "page": "1"}),
    ],
    ids=["whole", "whole and complete", "from the root", "a query alone", "beside the page"],
)
def test_a_next_link_may_be_whole_or_not_and_lose_what_was_asked(link: str, path: str, params: dict[str, Any]) -> None:
    (asked,) = following(Call(DEVICES, {"max": 250}), link, "")
    assert (asked.path, dict(asked.params)) == (path, params)


@pytest.mark.parametrize("last", ["", None], ids=["empty", "null"])
def test_no_next_link_ends_the_walk(last: str | None) -> None:
    assert list(following(Call(DEVICES), last)) == []


def test_case_4_the_same_next_link_twice_is_refused() -> None:
    with pytest.raises(Incomplete, match="same next link twice"):
        list(following(Call(DEVICES), "?page=1", "?page=1"))


def test_a_token_is_asked_for_with_the_key_as_name_and_the_secret_as_password() -> None:
    secrets = {"api_key": "key/1", "api_secret": "s&e+c=ret"}
    flow = VENDORS["datto_rmm"].auth(Credentials("c", secrets, "https://api.example", "https://api.example"))
    steps = flow.auth_flow(httpx.Request("GET", "https://api.example/list"))
    asked = next(steps)
    assert (asked.method, str(asked.url)) == ("POST", "https://api.example/auth/oauth/token")
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(b"public-client:public").decode()
    assert parse_qs(asked.content.decode()) == {
        "grant_type": ["password"], "username": ["key/1"], "password": ["s&e+c=ret"],
    }  # fmt: skip
    request = steps.send(httpx.Response(200, json={"access_token": "t-1", "expires_in": 360000}))
    assert request.headers["Authorization"] == "Bearer t-1"
