"""Cove's recorded traffic becomes partners, accounts that know whose they are, and the storage each uses."""

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import httpx
import pytest

from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import Validated, columns, validate
from morton_pipeline.vendors import VENDORS, cove
from tests.conftest import Connect
from tests.vendors.replay import AT, Recorded, replay, rows

ORPHANS = [("accounts", "512", "partner_state"), ("storage", "512", "partner_state")]
"""An account of a partner whom the list of partners does not name: it may be on trial."""


def excluded(endpoint: str, frame: Any) -> dict[str, str]:
    """The records that a rule takes out, and by which name."""
    return {
        key: rule.name
        for rule in reversed(VENDORS["cove"].endpoint(endpoint).rules)
        for key, value in rows(frame, "record_key", rule.field)
        if value is not None and fnmatchcase(value.lower(), rule.pattern.lower())
    }


def test_cove(connect: Connect) -> None:
    found = replay(connect, "cove", set_aside=ORPHANS)
    assert rows(found["partners"], "record_key", "name", "level", "state", "parent_id", "is_own") == [
        ("900", "Northgate Managed IT (it@northgate.test)", "Reseller", None, None, True),
        ("901", "Fernwood Dental (it@fern.test)", "EndCustomer", "InProduction", "900", False),
        ("902", "Gull Logistics", "EndCustomer", "InTrial", "900", False),
        ("903", "001 Northgate - Recycle Bin", "EndCustomer", "InProduction", "900", False),
        ("904", "Fernwood Annexe", "Site", "Suspended", "901", False),
    ]
    assert rows(found["accounts"], "record_key", "partner_id", "account_class", "price_class", "unit_count") == [
        ("501", "901", "server", "physical_server", "1"),
        ("502", "901", "server", "virtual_server", "1"),
        ("503", "901", "workstation", "workstation", "1"),
        ("504", "901", "documents", "documents", "1"),
        ("505", "901", "m365", "m365", "22"),
        ("506", "901", "undefined", "undefined", "1"),
        ("507", "902", "server", "undefined_server", "1"),
        ("508", "903", "server", "physical_server", "1"),
        ("509", "902", "m365", "m365", "0"),
        ("510", "902", "account type 3", "account type 3", "1"),
        ("511", "904", "os type 7", "os type 7", "1"),
    ]


def test_what_is_not_billed_is_excluded_by_name(connect: Connect) -> None:
    found = replay(connect, "cove", set_aside=ORPHANS)
    trial = {"507": "trial_partner", "509": "trial_partner", "510": "trial_partner"}
    assert excluded("accounts", found["accounts"]) == {"504": "documents", "508": "recycle_bin", **trial}
    assert excluded("storage", found["storage"]) == {"508": "recycle_bin", **trial}
    states = dict(rows(found["accounts"], "record_key", "partner_state"))
    assert states["511"] == "Suspended"


def test_an_account_is_named_by_its_machine_and_a_tenant_has_none(connect: Connect) -> None:
    accounts = replay(connect, "cove", set_aside=ORPHANS)["accounts"]
    named = {key: more for key, *more in rows(accounts, "record_key", "computer_name", "device_name", "m365_users")}
    assert named["501"] == ["FERN-SRV", "fern-srv_501", None]
    assert named["505"] == [None, "fern.test", 22]


def test_case_31_only_a_silent_account_keeps_its_last_report(connect: Connect) -> None:
    accounts = replay(connect, "cove", set_aside=ORPHANS)["accounts"]
    told = {key: more for key, *more in rows(accounts, "record_key", "last_report", "has_reported")}
    assert told["501"] == [None, True]
    assert told["502"] == ["1782000000", True]
    assert told["506"] == [None, False], "a time of zero is no time, and 1970 is not when it fell silent"


def test_storage_is_told_to_a_tenth_of_a_gigabyte_so_that_it_rests_between_readings(connect: Connect) -> None:
    storage = dict(rows(replay(connect, "cove", set_aside=ORPHANS)["storage"], "record_key", "used_gigabytes"))
    assert (storage["501"], storage["502"], storage["503"], storage["506"]) == ("60.0", "1.5", "0.0", "0.0")
    assert len(storage) == 11


def altered(connect: Connect, change: Any) -> dict[str, Extraction]:
    """Replay with one answer changed: `change` sees the body of each answer about accounts."""
    recorded = Recorded("cove")

    def answer(request: httpx.Request) -> httpx.Response:
        body = recorded(request).json()
        return httpx.Response(200, json=change(body) if "AccountId" in str(body) else body)

    vendor = replace(VENDORS["cove"], rate=None)
    found = fetch(connect("cove"), vendor, at=AT, transport=httpx.MockTransport(answer))
    return {e.endpoint: e for e in found}


def without(code: str, *accounts: int) -> Any:
    def change(body: Any) -> Any:
        for row in body["result"]["result"]:
            if not accounts or row["AccountId"] in accounts:
                row["Settings"] = [setting for setting in row["Settings"] if code not in setting]
        return body

    return change


def read(found: dict[str, Extraction], endpoint: str = "accounts") -> Validated:
    assert found[endpoint].error == ""
    return validate(VENDORS["cove"].endpoint(endpoint).record, found[endpoint].rows or [], at=AT)


@pytest.mark.parametrize(
    ("code", "column", "keys"),
    [
        ("TM", "unit_count", {"505"}),
        ("OT", "account_class", {"501", "502", "503", "507", "508", "511", "512"}),
        ("PN", "account_class", {"501", "502", "503", "504", "506", "507", "508", "511", "512"}),
        ("AT", "account_type", {str(n) for n in range(501, 513)}),
    ],
    ids=["users", "kind of system", "product", "kind of account"],
)
def test_case_10_a_column_that_tells_the_class_or_the_number_is_missed_and_never_a_zero(
    connect: Connect, code: str, column: str, keys: set[str]
) -> None:
    result = read(altered(connect, without(code)))
    cells = result.rejected[result.rejected["column_name"] == column]
    assert set(cells["record_key"]) == keys
    assert not set(result.kept["record_key"]) & keys


def test_a_missing_size_of_an_account_that_reported_is_set_aside(connect: Connect) -> None:
    result = read(altered(connect, without("I14", 501)), "storage")
    cells = rows(result.rejected, "record_key", "column_name")
    assert set(cells) == {("501", "used_gigabytes"), ("512", "partner_state")}


def declaring(number: str) -> Any:
    def change(body: Any) -> Any:
        body["result"]["totalStatistics"] = [{"COUNT(1)": number}]
        return body

    return change


@pytest.mark.parametrize("number", ["11", "13"])
def test_case_4_another_number_than_cove_declares_is_refused(connect: Connect, number: str) -> None:
    found = altered(connect, declaring(number))
    assert found["accounts"].rows is None
    assert "Cove declared" in found["accounts"].error
    assert "sent 12" in found["accounts"].error
    assert found["storage"].rows is None


def test_case_4_without_a_declared_number_only_an_empty_page_is_the_end(connect: Connect) -> None:
    recorded = Recorded("cove")
    for exchange in recorded.left:
        exchange["response"]["result"].pop("totalStatistics", None)
    vendor = replace(VENDORS["cove"], rate=None)
    found = fetch(connect("cove"), vendor, at=AT, transport=httpx.MockTransport(recorded))
    assert [len(e.rows or ()) for e in found] == [5, 12, 12]
    assert recorded.left == []


def test_case_4_a_page_of_accounts_that_comes_twice_is_refused(connect: Connect) -> None:
    pages: list[Any] = []

    def first(body: Any) -> Any:
        pages.append(body)
        return pages[0]

    found = altered(connect, first)
    assert found["accounts"].rows is None
    assert "record 501 came twice" in found["accounts"].error


def test_an_account_whose_partner_is_not_listed_is_set_aside_alone() -> None:
    account = {"account_type": "2", "account_class": "m365", "unit_count": "1", "has_reported": True}
    some = [{**account, "account_id": n, "partner_id": 900 + n} for n in range(10)]
    customers = [{"Id": 900 + n, "Name": "P", "State": "InTrial", "IsOwn": False} for n in range(4, 9)]
    partners = [{"Id": 909, "Name": "Ourselves", "IsOwn": True}, *customers]
    result = validate(cove.Account, cove.with_partner(some, {"partners": partners}), at=AT)
    assert rows(result.rejected, "record_key", "column_name") == [(str(n), "partner_state") for n in range(4)]
    assert [state for (state,) in rows(result.kept, "partner_state")] == ["InTrial"] * 5 + ["own"]


def test_every_column_asked_for_is_kept() -> None:
    kept = {c.name for e in ("accounts", "storage") for c in columns(VENDORS["cove"].endpoint(e).record)}
    assert set(cove.COLUMNS.values()) - kept == {"used_storage"}, "storage is kept in gigabytes"
