"""Graph's recorded traffic becomes bought licences, users, mailbox kinds, and one record per user and licence."""

from typing import Any

import pytest

from morton_pipeline.extract.errors import Incomplete
from morton_pipeline.vendors import microsoft365
from tests.conftest import Connect
from tests.vendors.replay import replay, rows

SPB, EXCHANGE = "11111111-aaaa-4aaa-8aaa-000000000001", "11111111-aaaa-4aaa-8aaa-000000000002"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microsoft365, "PAUSE", 0)


def test_microsoft365(connect: Connect) -> None:
    found = replay(connect, "microsoft365")
    assert rows(found["users"], "record_key", "account_enabled", "user_type") == [
        ("user-1", True, "Member"),
        ("user-2", False, "Member"),
        ("user-3", True, "Member"),
        ("user-4", True, "Guest"),
    ]
    assert sorted(rows(found["mailboxes"], "record_key", "user_purpose", "status"), key=str) == [
        ("user-1", "user", 200),
        ("user-2", None, 404),
        ("user-3", "shared", 200),
    ]


def test_case_20_the_states_of_bought_licences_are_kept_apart(connect: Connect) -> None:
    skus = replay(connect, "microsoft365")["subscribed_skus"]
    assert rows(skus, "sku_part_number", "capability_status", "consumed_units", "prepaid_units__enabled",
                "prepaid_units__warning", "prepaid_units__suspended", "prepaid_units__locked_out") == [
        ("SPB", "Enabled", 3, 5, 1, 0, 0),
        ("EXCHANGESTANDARD", "Suspended", 1, 0, 0, 2, 0),
    ]  # fmt: skip


def test_a_licence_held_twice_is_one_record_and_ids_match_in_any_case(connect: Connect) -> None:
    licences = replay(connect, "microsoft365")["user_licenses"]
    assert rows(licences, "record_key", "sku_part_number", "department", "user_purpose", "capability_status") == [
        (f"user-1|{SPB}", "SPB", "Dental", "user", "Enabled"),
        (f"user-2|{SPB}", "SPB", None, None, "Enabled"),
        (f"user-2|{EXCHANGE}", "EXCHANGESTANDARD", None, None, "Suspended"),
        (f"user-3|{SPB}", "SPB", None, "shared", "Enabled"),
    ]


def tenant(assigned: list[str], listed: list[str], status: int = 200) -> dict[str, list[dict[str, Any]]]:
    """One user with some licences, in a tenant that lists some."""
    purpose = "user" if status == 200 else None
    return {
        "subscribed_skus": [{"skuId": sku, "skuPartNumber": f"PART-{sku}"} for sku in listed],
        "users": [{"id": "u1", "assignedLicenses": [{"skuId": sku} for sku in assigned]}],
        "mailboxes": [{"userId": "u1", "userPurpose": purpose, "status": status}],
    }


@pytest.mark.parametrize(
    ("assigned", "listed"),
    [(["a"], []), (["a", "b", "c"], ["a"]), (["a", "b"], ["x", "y", "z"])],
    ids=["none listed", "less than half", "others"],
)
def test_licences_are_not_named_from_a_list_that_lacks_most_of_them(assigned: list[str], listed: list[str]) -> None:
    with pytest.raises(Incomplete, match=rf"licences of {len(assigned)} SKUs, and subscribed_skus lists [01] of them"):
        microsoft365.assigned_licenses(tenant(assigned, listed))


def test_a_single_licence_that_is_not_listed_yet_keeps_its_id_for_a_name() -> None:
    found = microsoft365.assigned_licenses(tenant(["A", "b"], ["a"]))
    assert [row["skuPartNumber"] for row in found] == ["PART-a", "b"]
    assert microsoft365.assigned_licenses(tenant([], [])) == []


@pytest.mark.parametrize("status", [200, 403, 404])
def test_a_licence_says_whether_the_mailbox_kind_is_known(status: int) -> None:
    (row,) = microsoft365.assigned_licenses(tenant(["a"], ["a"], status))
    assert row["mailboxStatus"] == status
