"""What a changed rule would have done to the money, told by the clients whose rule is changed."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from morton_pipeline.book import Book
from morton_pipeline.what_if import changed, difference, parse_add, parse_set
from tests.cases.scenario import LATER, Scenario

pytestmark = pytest.mark.xdist_group("what-if")
"""Two marts are built for these tests: by one worker."""


def given_clients_with_a_rule_to_try(msp: Scenario) -> None:
    msp.service("tried", "device", "40")
    msp.maps("tried", "ninjaone", "devices", "node_class", "LINUX_SERVER", priority="50")
    for client, counted in (("try-price", 12), ("try-tolerance", 11), ("try-exclusion", 12), ("try-nothing", 10)):
        msp.client(client)
        msp.devices(client, counted, nodeClass="LINUX_SERVER", site=f"{client}-site")
        msp.contract(client, "tried", 10, "10")


@pytest.fixture(scope="module")
def tried(told: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[dict[str, Any]]]:
    """What changes for each client, when prices rise, two are tolerated for one and labs are excluded for another."""
    book = Book(told / "book")
    folder = tmp_path_factory.mktemp("seeds")
    one = changed(book.seeds, folder, [parse_set("contracts.unit_price*1.5")], {"client_id": "try-price"})
    two = tmp_path_factory.mktemp("tolerant")
    changed(one, two, [parse_set("contracts.tolerance_quantity=2")], {"client_id": "try-tolerance"})
    three = tmp_path_factory.mktemp("excluding")
    excluding = "exclusions:client_id=try-exclusion,service_id=tried,name_pattern=try-exclusion *,reason=lab"
    changed(two, three, [parse_add(excluding)], {})
    found: dict[str, list[dict[str, Any]]] = {}
    for row in difference(book, book.seeds, three, at=LATER, period="all", reopens=True):
        found.setdefault(row["client_id"], []).append(row)
    return found


def test_a_raised_price_is_told_month_by_month(tried: Mapping[str, list[dict[str, Any]]]) -> None:
    months = {row["period_month"]: (row["before_amount"], row["after_amount"]) for row in tried["try-price"]}
    assert months == {date(2026, month, 1): (20, 30) for month in (9, 10, 11)}


def test_what_is_tolerated_is_money_nobody_asks_for(tried: Mapping[str, list[dict[str, Any]]]) -> None:
    # One seat of two tolerated: listed again once it has lasted for sixty days.
    months = {row["period_month"]: row["change_amount"] for row in tried["try-tolerance"]}
    assert months == {date(2026, 9, 1): -10, date(2026, 10, 1): -10}


def test_what_is_excluded_leaves_a_contract_without_usage(tried: Mapping[str, list[dict[str, Any]]]) -> None:
    november = {row["kind"]: row["change_amount"] for row in tried["try-exclusion"] if row["period_month"].month == 11}
    assert november == {"under_billed": -20, "no_usage": -100}


def test_nothing_else_moves(tried: Mapping[str, list[dict[str, Any]]]) -> None:
    assert set(tried) == {"try-price", "try-tolerance", "try-exclusion"}
