"""Graph's recorded traffic becomes bought licences, users, mailbox kinds, and one record per user and licence."""

import pytest

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
    assert rows(licences, "record_key", "sku_part_number", "user_purpose", "capability_status") == [
        (f"user-1|{SPB}", "SPB", "user", "Enabled"),
        (f"user-2|{SPB}", "SPB", None, "Enabled"),
        (f"user-2|{EXCHANGE}", "EXCHANGESTANDARD", None, "Suspended"),
        (f"user-3|{SPB}", "SPB", "shared", "Enabled"),
    ]
