"""Acronis's recorded traffic becomes a tree of tenants, usage rows and machines: each told apart by what rules see."""

from collections.abc import Callable
from typing import Any

import httpx
import pandas as pd
import pytest

from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.pages import Call, Page
from morton_pipeline.extract.records import validate
from morton_pipeline.vendors import VENDORS, acronis
from tests.conftest import Connect
from tests.vendors.replay import AT, Recorded, replay, rows

ROOT, FOLDER, FERNWOOD, LAB, PLUM, HERON = (f"00000000-0000-4000-8000-0000000000{n:02d}" for n in range(1, 7))
APP = "6e6d758d-8e74-3ae3-ac84-50eb0dff12eb"


@pytest.fixture
def found(connect: Connect) -> dict[str, pd.DataFrame]:
    return replay(connect, "acronis")


def test_the_tree_is_walked_from_the_client_s_own_tenant(found: dict[str, pd.DataFrame]) -> None:
    assert rows(found["tenants"], "record_key", "name", "kind", "parent_id", "pricing_mode", "enabled")[1:] == [
        (FOLDER, "East", "folder", ROOT, "production", "True"),
        (FERNWOOD, "Fernwood Dental", "customer", FOLDER, "production", "True"),
        (LAB, "Fernwood Lab", "unit", FERNWOOD, "production", "True"),
        (PLUM, "Plum Salon", "customer", ROOT, "trial", "True"),
        (HERON, "Heron Books", "customer", ROOT, None, "False"),
    ]


def test_a_usage_is_told_by_tenant_service_name_edition_and_storage(found: dict[str, pd.DataFrame]) -> None:
    usages = found["usages"].set_index("tenant_uuid").loc[[FERNWOOD]].reset_index()
    start = f"{FERNWOOD}|{APP}|"
    assert rows(usages, "record_key", "usage_name", "measurement_unit", "value") == [
        (f"{start}pw_base_servers|pck_per_workload|", "servers", "quantity", "3"),
        (f"{start}pg_base_servers|pck_per_gigabyte|", "servers", "quantity", "1"),
        (f"{start}pw_base_m365_seats|pck_per_workload|", "mailboxes", "quantity", "24"),
        (f"{start}pw_pack_adv_backup_servers|pck_per_workload|", "pack_adv_backup_servers", "quantity", "3"),
        (f"{start}pw_base_m365_mailboxes|pck_per_workload|", "o365_mailboxes", "n/a", "0"),
        (f"{start}pw_base_storage|pck_per_workload|0a", "storage", "bytes", "966367641600"),
        (f"{start}pw_base_storage|pck_per_workload|0b", "storage", "bytes", "1181116006.5"),
        (f"{start}pw_base_websites|pck_per_workload|", "websites", "quantity", "0"),
        (f"{start}local_storage||", "local_storage", "bytes", "5368709120"),
    ]
    assert rows(usages, "type", "offering_item__status")[4:8] == [
        ("feature", "1"),
        ("infra", "1"),
        ("infra", "1"),
        ("count", "0"),
    ]


def test_a_usage_says_what_its_tenant_is(found: dict[str, pd.DataFrame]) -> None:
    columns = ("tenant_name", "tenant_kind", "tenant_state", "tenant_enabled", "tenant_number")
    assert list(dict.fromkeys(rows(found["usages"], *columns))) == [
        ("Northgate", "partner", "production", "True", "7001"),
        ("East", "folder", "production", "True", "7002"),
        ("Fernwood Dental", "customer", "production", "True", "7003"),
        ("Fernwood Lab", "unit", "production", "True", "7004"),
        ("Plum Salon", "customer", "trial", "True", "7005"),
        ("Heron Books", "customer", "production", "False", "7006"),
    ]


@pytest.mark.parametrize(
    ("mode", "began", "state"),
    [
        ("production", "2024-02-01T00:00:00Z", "production"),
        (None, "2024-02-01T00:00:00Z", "production"),
        ("production", None, "trial"),
        (None, None, "trial"),
        ("trial", None, "trial"),
        ("Trial", "2024-02-01T00:00:00Z", "trial"),
        ("Sandbox", "2024-02-01T00:00:00Z", "sandbox"),
        ("Sandbox", None, "sandbox"),
    ],
)
def test_a_tenant_is_on_trial_by_either_of_two_fields(mode: str | None, began: str | None, state: str) -> None:
    tenant = {"id": "t", "pricing_mode": mode, "production_start_date": began}
    (usage,) = acronis.with_tenant([{"tenant_uuid": "t"}], {"tenants": [tenant]})
    assert usage["tenant_state"] == state


def test_case_5_a_tenant_the_batch_left_out_is_asked_by_itself(found: dict[str, pd.DataFrame]) -> None:
    heron = found["usages"][found["usages"]["tenant_uuid"] == HERON]
    assert rows(heron, "usage_name", "value", "offering_item__status") == [("servers", "2", None)]


def test_machines_name_their_tenant_by_number_or_by_id_and_a_unit_s_are_its_customer_s(
    found: dict[str, pd.DataFrame],
) -> None:
    assert rows(found["resources"], "record_key", "name", "user_defined_name", "tenant_number", "customer_uuid") == [
        ("m-1", "FERN-DC1", "Domain controller", "7003", FERNWOOD),
        ("m-2", "FERN-LAB", "FERN-LAB", "7004", FERNWOOD),
        ("m-3", "HERON-1", "HERON-1", HERON, HERON),
        ("m-4", "NEW-1", "NEW-1", "7999", None),
    ]


Change = Callable[[Any], Any]
USAGES = "/api/2/tenants/usages"


def changed(connect: Connect, path: str, change: Change) -> dict[str, Extraction]:
    """Read the recorded traffic with the answers of one path changed."""
    recorded = Recorded("acronis")

    def answer(request: httpx.Request) -> httpx.Response:
        response = recorded(request)
        return httpx.Response(200, json=change(response.json())) if request.url.path == path else response

    extractions = fetch(connect("acronis"), VENDORS["acronis"], at=AT, transport=httpx.MockTransport(answer))
    return {e.endpoint: e for e in extractions}


def without_the_folder(body: Any) -> Any:
    return {**body, "items": [row for row in body["items"] if row["kind"] != "folder"]}


def after(body: Any) -> Any:
    return {**body, "paging": {"cursors": {"after": "b25l"}}}


def shorter(body: Any) -> Any:
    return {**body, "items": body["items"][:1]}


@pytest.mark.parametrize(
    ("path", "change", "endpoint", "said"),
    [
        ("/api/2/tenants", without_the_folder, "tenants", "left out 1 of the tenants"),
        ("/api/2/tenants", after, "tenants", "the same cursor of tenants twice"),
        ("/api/resource_management/v4/resources", shorter, "resources", "declared 4 resources and sent 2"),
        (USAGES, lambda body: {"items": {}}, "usages", "the answer's shape has changed"),
    ],
    ids=["tenants", "cursor", "machines", "no list"],
)
def test_case_4_a_list_that_was_cut_is_refused(
    connect: Connect, path: str, change: Change, endpoint: str, said: str
) -> None:
    extraction = changed(connect, path, change)[endpoint]
    assert extraction.rows is None
    assert said in extraction.error


def test_case_10_a_count_without_a_value_is_set_aside_and_not_read_as_zero(connect: Connect) -> None:
    def without_values(body: Any) -> Any:
        for item in body["items"]:
            for usage in item["usages"]:
                usage["value"] = None
        return body

    usages = changed(connect, USAGES, without_values)["usages"]
    result = validate(VENDORS["acronis"].endpoint("usages").record, usages.rows or [], at=AT)
    assert {(row["column_name"], row["check_name"]) for row in result.rejected.to_dict("records")} == {
        ("value", "not_nullable")
    }
    assert rows(result.kept, "type", "value") == [("feature", "0"), ("count", "2")]


def test_more_than_a_hundred_tenants_are_asked_for_in_batches() -> None:
    walk = VENDORS["acronis"].endpoint("usages").start({"tenants": [{"id": f"t{n}"} for n in range(250)]})
    asked = []
    call: Call | None = next(walk)
    while call is not None:
        batch = str(call.params["tenants"]).split(",")
        asked.append(len(batch))
        answer = {"items": [{"tenant": tenant, "usages": []} for tenant in batch]}
        try:
            call = walk.send(Page(call, answer, [], {}))
        except StopIteration:
            call = None
    assert asked == [100, 100, 50]


def test_the_client_s_id_stands_in_no_error(connect: Connect) -> None:
    transport = httpx.MockTransport(
        lambda request: (
            httpx.Response(200, json={"access_token": "t", "expires_on": 4102444800})
            if request.url.path.endswith("/idp/token")
            else httpx.Response(404, json={"error": {"code": 404, "message": "No such client"}})
        )
    )
    found = fetch(connect("acronis"), VENDORS["acronis"], at=AT, transport=transport)
    assert "GET /api/2/clients/{client_id} answered 404: No such client" in found[0].error
    assert not any("s3cret" in extraction.error for extraction in found)
