"""Datto's recorded traffic becomes appliances, what they back up, and seats: each told apart by what rules look at."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pandas as pd
import pytest

from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.vendors import VENDORS
from tests.conftest import Connect
from tests.vendors.replay import AT, Recorded, replay, rows


@pytest.fixture
def found(connect: Connect) -> dict[str, pd.DataFrame]:
    return replay(connect, "datto_bcdr")


def test_appliances_are_listed_once_and_the_child_reseller_s_is_told_apart(found: dict[str, pd.DataFrame]) -> None:
    columns = ("record_key", "organization_id", "client_company_name", "hidden", "child_reseller", "agent_count")
    assert rows(found["devices"], *columns) == [
        ("AAA1", "51", "Fernwood Dental", "False", "False", 2),
        ("BBB2", None, "Gull Logistics", "False", "False", 1),
        ("CCC3", "51", "Fernwood Dental", "True", "False", 4),
        ("DDD4", "77", "Brook Farm", "False", "True", 1),
        ("EEE5/x", None, None, None, "False", 0),
    ]


def test_assets_come_in_pages_or_bare_and_carry_what_their_appliance_is(found: dict[str, pd.DataFrame]) -> None:
    columns = ("record_key", "asset_class", "type", "is_archived", "device__hidden", "device__child_reseller")
    assert rows(found["assets"], *columns) == [
        ("AAA1/101", "server", "agent", "False", "False", "False"),
        ("AAA1/102", "workstation", "agent", "False", "False", "False"),
        ("AAA1/103", "share", "nasShare", "False", "False", "False"),
        ("AAA1/4b65", "agent", None, "True", "False", "False"),
        ("BBB2/101", "server", "agent", "False", "False", "False"),
        ("DDD4/401", "server", "agent", "False", "False", "True"),
    ]
    assert rows(found["assets"], "device__organization_id", "device__client_company_name")[3:] == [
        ("51", "Fernwood Dental"),
        (None, "Gull Logistics"),
        ("77", "Brook Farm"),
    ]
    machine = ("os", "protected_machine__serial", "protected_machine__mac", "fqdn")
    assert rows(found["assets"], *machine)[0] == (
        "Windows Server 2022 Standard",
        "SN101",
        "02:00:00:00:00:0a",
        "fern-dc1.fern.test",
    )


def test_case_31_only_a_machine_that_is_no_longer_backed_up_keeps_its_last_backup(
    found: dict[str, pd.DataFrame],
) -> None:
    assert rows(found["assets"], "name", "is_paused", "last_snapshot") == [
        ("FERN-DC1", False, None),
        ("FERN-PC7", True, "1785542400.0"),
        ("fern-nas", False, None),
        ("FERN-LAB", False, "1719800000.0"),
        ("GULL-SQL", False, "0.0"),
        ("BROOK-DC1", False, None),
    ]


def test_seats_are_told_by_their_state_and_by_what_datto_charges_for(found: dict[str, pd.DataFrame]) -> None:
    assert rows(found["saas_seats"], "record_key", "main_id", "seat_state", "billable", "billing") == [
        ("9001|User|r1", "ada@fern.test", "Active", "1", "billable"),
        ("9001|User|r2", "bo@fern.test", "Paused", "1", "billable"),
        ("9001|User|r3", "ada@fern.test", "Archived", "1", "billable"),
        ("9001|SharedMailbox|r4", "desk@fern.test", "Active", "", "not_billable"),
        ("9001|SharedMailbox|r5", "info@fern.test", "Active", "1", "billable"),
        ("9001|User|r6", "cy@fern.test", "Unprotected", "0", "not_billable"),
        ("9002|User|di@heron.test", "di@heron.test", "Active", None, "not_said"),
        ("9002|SharedDrive|Shared", "Shared", "Active", None, "free_seat_type"),
        ("9002|User|r9", "ed@heron.test", "Active", "perhaps", "perhaps"),
        ("9002|Workspace|r10", "flo@heron.test", "Active", "True", "billable"),
    ]


def test_a_seat_knows_the_organisation_of_the_appliances_where_datto_says_it(found: dict[str, pd.DataFrame]) -> None:
    seats = rows(found["saas_seats"], "saas_customer_name", "organization_id", "organization_name", "product_type")
    assert {*seats} == {
        ("Fernwood Dental", "51", "Fernwood Dental", "Office365"),
        ("Heron Books", None, None, "GoogleApps"),
    }


Change = Callable[[Any], Any]


def changed(connect: Connect, path: str, change: Change, status: int = 200) -> dict[str, Extraction]:
    """Read the recorded traffic with the answers of one path changed."""
    recorded = Recorded("datto_bcdr")

    def answer(request: httpx.Request) -> httpx.Response:
        response = recorded(request)
        return httpx.Response(status, json=change(response.json())) if request.url.path == path else response

    vendor = replace(VENDORS["datto_bcdr"], rate=None)
    extractions = fetch(connect("datto_bcdr"), vendor, at=AT, transport=httpx.MockTransport(answer))
    return {e.endpoint: e for e in extractions}


def without_the_first(body: Any) -> Any:
    return body[1:] if isinstance(body, list) else {**body, "items": body["items"][1:]}


def without_any(body: Any) -> Any:
    return [] if isinstance(body, list) else {**body, "items": []}


@pytest.mark.parametrize(
    ("path", "change", "endpoint", "said"),
    [
        ("/v1/bcdr/device", without_the_first, "devices", "declared 4 records and sent 2"),
        ("/v1/bcdr/device", without_any, "devices", "page 1 of 2 is empty"),
        ("/v1/bcdr/device/AAA1/asset", without_the_first, "assets", "declared 4 records and sent 2"),
        ("/v1/bcdr/device/BBB2/asset", without_any, "assets", "Appliance BBB2 counts 1 machines and lists 0"),
        ("/v1/saas/9001/seats", without_any, "saas_seats", "customer 9001 uses 3 seats and lists 0"),
        ("/v1/saas/9002/seats", lambda seats: seats[:1], "saas_seats", "customer 9002 uses 2 seats and lists 1"),
    ],
    ids=["appliances", "an empty page", "assets", "no assets", "no seats", "seats"],
)
def test_case_4_a_list_that_was_cut_is_refused(
    connect: Connect, path: str, change: Change, endpoint: str, said: str
) -> None:
    extraction = changed(connect, path, change)[endpoint]
    assert extraction.rows is None
    assert said in extraction.error


def test_a_child_reseller_s_appliance_is_not_held_against_its_own_count(connect: Connect) -> None:
    assets = changed(connect, "/v1/bcdr/device/DDD4/asset", without_any)["assets"]
    assert (len(assets.rows or ()), assets.error) == (5, "")


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize(("serial", "is_read"), [("DDD4", True), ("AAA1", False), ("CCC3", False)])
def test_only_a_child_reseller_s_appliance_may_be_refused(
    connect: Connect, serial: str, status: int, is_read: bool
) -> None:
    refusal = {"code": str(status), "message": "No."}
    assets = changed(connect, f"/v1/bcdr/device/{serial}/asset", lambda _: refusal, status)["assets"]
    assert (assets.rows is not None) is is_read
    assert [row["device"]["serialNumber"] for row in assets.rows or ()] == (["AAA1"] * 4 + ["BBB2"]) * is_read


def test_an_answer_without_a_list_is_no_refusal(connect: Connect) -> None:
    assets = changed(connect, "/v1/bcdr/device/DDD4/asset", lambda _: {"results": []})["assets"]
    assert "the answer's shape has changed" in assets.error


def test_own_appliances_that_came_twice_are_refused(connect: Connect) -> None:
    def twice(body: Any) -> Any:
        return {**body, "items": [*body["items"], body["items"][0]], "pagination": {"totalPages": 1}}

    devices = changed(connect, "/v1/bcdr/device", twice)["devices"]
    assert devices.rows is None
    assert "an appliance twice" in devices.error


def test_a_page_may_count_itself_in_place_of_all(connect: Connect) -> None:
    def counted(body: Any) -> Any:
        return {**body, "pagination": {**body["pagination"], "count": len(body["items"])}}

    devices = changed(connect, "/v1/bcdr/device", counted)["devices"]
    assert (len(devices.rows or ()), devices.error) == (5, "")
