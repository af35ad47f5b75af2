"""Every way a seed can be wrong is named by file, row, column and fix; what is merely optional may be missing."""

import csv
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from morton_pipeline.book import Book
from morton_pipeline.cli import cli
from morton_pipeline.errors import BadInput
from morton_pipeline.globs import meet
from morton_pipeline.seeds import SEEDS, check, missing_rates, read, uncovered, write_checked

CONNECTIONS = """
connections:
  - id: ninjaone
    vendor: ninjaone
    secrets: {client_id: N, client_secret: N}
  - id: huntress
    vendor: huntress
    secrets: {api_key: H, api_secret: H}
"""

TODAY = date(2026, 11, 20)

GOOD: dict[str, list[dict[str, str]]] = {
    "clients": [
        {"client_id": "acme", "client_name": "Acme, Inc.", "status": "active", "currency": "USD"},
        {"client_id": "globex", "client_name": "Globex", "status": "active", "currency": "EUR"},
    ],
    "services": [{"service_id": "rmm", "service_name": "Managed device", "category": "rmm", "unit": "device", "list_price": "40"}],
    "contracts": [
        {"contract_id": "c1", "client_id": "acme", "service_id": "rmm", "quantity": "40", "unit_price": "35", "billing_model": "per_unit"}
    ],
    "company_mappings": [{"connection_id": "ninjaone", "company_id": "7", "client_id": "acme"}],
    "service_mappings": [
        {"vendor": "ninjaone", "endpoint": "devices", "field": "node_class", "pattern": "*WORKSTATION", "service_id": "rmm", "priority": "10"}
    ],
    "exchange_rates": [
        {"currency": "EUR", "to_currency": "USD", "rate": "1.08720000", "effective_from": "2026-01-01", "source": "ECB"}
    ],
    "exclusions": [{"exclusion_id": "x1", "client_id": "acme", "record_id": "9", "reason": "lab"}],
}  # fmt: skip

Write = Callable[..., Book]


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """A book whose seeds are right."""
    (tmp_path / "connections.yaml").write_text(CONNECTIONS, "utf-8")
    (tmp_path / "seeds").mkdir()
    made = Book(tmp_path)
    for name in GOOD:
        _write(made, name, GOOD[name])
    return made


def _write(book: Book, name: str, rows: list[dict[str, str]]) -> None:
    with (book.seeds / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [c.name for c in SEEDS[name]], restval="")
        writer.writeheader()
        writer.writerows(rows)


def _problems(book: Book) -> list[str]:
    return [str(problem) for problem in check(book)]


def test_seeds_that_are_right_have_no_problems(book: Book) -> None:
    assert _problems(book) == []


CELLS = {
    "a_required_cell_is_empty": ("clients", "client_name", "", "is empty; it is required"),
    "an_unknown_status": ("clients", "status", "actve", "'actve' is not one of active, offboarded, internal (did you mean 'active'?)"),
    "a_currency_in_small_letters": ("clients", "currency", "usd", "'usd' is not a currency code such as USD"),
    "an_unknown_time_zone": ("clients", "time_zone", "EST5", "'EST5' is not a time zone; an example is America/New_York"),
    "days_that_are_not_whole": ("clients", "back_bill_days", "9.5", "'9.5' is not a whole number"),
    "an_unknown_unit": ("services", "unit", "seats", "'seats' is not one of user, licence, device, agent, mailbox, gigabyte, hour, other"),
    "an_unknown_category": ("services", "category", "rm", "'rm' is not one of"),
    "a_price_with_a_comma": ("services", "list_price", "2,50", "'2,50' is not a number; write digits with a point, such as 40 or 2.50"),
    "a_price_that_is_no_number": ("contracts", "unit_price", "NaN", "'NaN' is not a number; write digits with a point"),
    "a_number_too_large_for_its_column": ("contracts", "quantity", "100000000000000000", "'100000000000000000' has more than 14 digits before the point"),
    "digits_of_another_script": ("contracts", "quantity", "１２", "'１２' is not a number"),
    "a_number_as_python_writes_it": ("contracts", "unit_price", "1_0", "'1_0' is not a number"),
    "a_number_with_an_exponent": ("contracts", "quantity", "1e3", "'1e3' is not a number"),
    "more_days_than_there_are": ("clients", "back_bill_days", "100000", "'100000' is more than 99999"),
    "a_date_by_its_week": ("contracts", "effective_from", "2026-W48-1", "'2026-W48-1' is not a date; write it as 2026-11-30"),
    "a_negative_quantity": ("contracts", "quantity", "-1", "'-1' must be zero or more"),
    "five_decimals": ("contracts", "unit_price", "1.00001", "'1.00001' has more than 4 decimals"),
    "a_date_written_another_way": ("contracts", "effective_from", "11/30/2026", "'11/30/2026' is not a date; write it as 2026-11-30"),
    "a_date_that_does_not_exist": ("contracts", "effective_from", "2026-02-30", "'2026-02-30' is not a date; write it as 2026-11-30"),
    "a_tiered_price_without_tiers": ("contracts", "billing_model", "tiered", "is tiered, and price_tiers.csv has no row for c1"),
    "an_unknown_model": ("contracts", "billing_model", "per_seat", "'per_seat' is not one of"),
    "a_basis_nobody_knows": ("contracts", "count_basis", "weekly", "'weekly' is not one of period_end, peak, average, daily"),
    "a_price_below_zero": ("contracts", "unit_price", "-3", "is below zero; what is given every month is a contract of its own with the model flat"),
    "a_silence_nobody_tells_of": ("contracts", "silent_days", "7", "'7' is too few: tools tell of a silence once it has lasted 14 days"),
    "no_price": ("contracts", "unit_price", "", "is empty; only a tiered contract has its prices elsewhere"),
    "an_unknown_vendor_that_counts": ("contracts", "count_vendor", "ninjone", "'ninjone' is not a vendor (did you mean 'ninjaone'?)"),
    "an_unknown_client": ("contracts", "client_id", "acmee", "'acmee' is not in clients.csv (did you mean 'acme'?)"),
    "an_unknown_service": ("contracts", "service_id", "rrm", "'rrm' is not in services.csv (did you mean 'rmm'?)"),
    "a_company_of_an_unknown_client": ("company_mappings", "client_id", "globx", "'globx' is not in clients.csv (did you mean 'globex'?)"),
    "an_unknown_connection": ("company_mappings", "connection_id", "ninjone", "'ninjone' is not in connections.yaml (did you mean 'ninjaone'?)"),
    "an_unknown_vendor": ("service_mappings", "vendor", "huntres", "'huntres' is not a vendor (did you mean 'huntress'?)"),
    "an_unknown_endpoint": ("service_mappings", "endpoint", "device", "'device' is not an endpoint of ninjaone (did you mean 'devices'?)"),
    "an_endpoint_nobody_counts": ("service_mappings", "endpoint", "organizations", "the records of organizations are not counted; countable at ninjaone: devices"),
    "an_unknown_field": ("service_mappings", "field", "nodeClass", "'nodeClass' is not a column of ninjaone devices (did you mean 'node_class'?)"),
    "a_priority_that_is_no_number": ("service_mappings", "priority", "first", "'first' is not a whole number"),
    "a_mapping_to_an_unknown_service": ("service_mappings", "service_id", "edr", "'edr' is not in services.csv"),
    "an_exclusion_without_a_reason": ("exclusions", "reason", "", "is empty; it is required"),
    "an_exclusion_of_nothing": ("exclusions", "record_id", "", "is empty, and so are name_pattern and max_quantity; name a record, a pattern or a number"),
    "an_exclusion_of_none_at_the_most": ("exclusions", "max_quantity", "0", "'0' would exclude nothing; name the most it may exclude"),
    "an_exclusion_of_a_negative_number": ("exclusions", "max_quantity", "-1", "'-1' must be zero or more"),
    "a_currency_nobody_has": ("exchange_rates", "currency", "EUU", "'EUU' is not a currency code such as USD"),
    "a_currency_that_is_itself": ("exchange_rates", "to_currency", "EUR", "'EUR' is the currency itself; name another one"),
    "a_rate_of_nothing": ("exchange_rates", "rate", "0", "'0' must be more than zero"),
    "a_rate_below_nothing": ("exchange_rates", "rate", "-1.1", "'-1.1' must be more than zero"),
    "a_rate_that_is_no_number": ("exchange_rates", "rate", "1,08", "'1,08' is not a number; write digits with a point, such as 1.0872"),
    "a_rate_of_nine_decimals": ("exchange_rates", "rate", "0.000000001", "'0.000000001' has more than 8 decimals"),
    "a_rate_too_large": ("exchange_rates", "rate", "10000000000", "'10000000000' has more than 10 digits before the point, and no column holds more; write it the other way"),
    "a_rate_without_a_day": ("exchange_rates", "effective_from", "", "is empty; it is required"),
    "a_rate_nobody_says": ("exchange_rates", "source", "", "is empty; it is required"),
    "an_exclusion_for_an_unknown_client": ("exclusions", "client_id", "acm", "'acm' is not in clients.csv (did you mean 'acme'?)"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "column", "value", "said"), CELLS.values(), ids=CELLS)
def test_a_wrong_cell_is_named_by_file_row_column_and_fix(
    book: Book, name: str, column: str, value: str, said: str
) -> None:
    first, *others = GOOD[name]
    _write(book, name, [{**first, column: value}, *others])
    assert any(problem.startswith(f"{name}.csv row 2, {column}: {said}") for problem in _problems(book)), _problems(
        book
    )


def test_a_commitment_until_a_day_says_how_many(book: Book) -> None:
    _write(book, "contracts", [{**GOOD["contracts"][0], "committed_until": "2027-01-01"}])
    assert _problems(book) == [
        "contracts.csv row 2, committed_quantity: is empty; say how many are committed until that day"
    ]


def test_what_is_given_every_month_is_flat_and_below_zero(book: Book) -> None:
    first, *others = GOOD["contracts"]
    _write(book, "contracts", [{**first, "unit_price": "-3", "billing_model": "flat"}, *others])
    assert _problems(book) == []


TIER = {"contract_id": "c1", "from_quantity": "1", "unit_price": "3", "method": "all_units"}
TIERS = {
    "right": ([TIER, {**TIER, "from_quantity": "11", "unit_price": "2"}], ""),
    "another_contract": ([TIER, {**TIER, "contract_id": "c9"}], "price_tiers.csv row 3, contract_id: 'c9' is no contract in contracts.csv with the model tiered"),
    "not_from_one": ([{**TIER, "from_quantity": "5"}], "price_tiers.csv row 2, from_quantity: the first tier of a contract starts at 1"),
    "twice": ([TIER, TIER], "price_tiers.csv row 3, from_quantity: 1 stands in row 2 already"),
    "two_methods": ([TIER, {**TIER, "from_quantity": "11", "method": "graduated"}], "price_tiers.csv row 3, method: is graduated, and row 2 of the same contract says all_units; choose one"),
    "no_method": ([{**TIER, "method": ""}], "price_tiers.csv row 2, method: is empty; it is required"),
}  # fmt: skip


@pytest.mark.parametrize(("tiers", "said"), TIERS.values(), ids=TIERS)
def test_tiers_start_at_one_and_follow_one_method(book: Book, tiers: list[dict[str, str]], said: str) -> None:
    first, *others = GOOD["contracts"]
    _write(book, "contracts", [{**first, "billing_model": "tiered", "unit_price": ""}, *others])
    _write(book, "price_tiers", tiers)
    assert _problems(book) == ([said] if said else [])


BUNDLE = {"bundle_service_id": "workplace", "component_service_id": "rmm"}
BUNDLES = {
    "right": ([BUNDLE], ""),
    "itself": ([{**BUNDLE, "component_service_id": "workplace"}], "bundles.csv row 2, component_service_id: 'workplace' is a bundle itself; list what is in it"),
    "unknown": ([{**BUNDLE, "component_service_id": "rrm"}], "bundles.csv row 2, component_service_id: 'rrm' is not in services.csv (did you mean 'rmm'?)"),
    "twice": ([BUNDLE, BUNDLE], "bundles.csv row 3, component_service_id: 'rmm' stands in row 2 already; add up its quantity there"),
    "two_of_what_counts_it": ([{**BUNDLE, "quantity_per_unit": "2"}], "bundles.csv row 2, quantity_per_unit: workplace is counted by this component, one by one"),
    "one_record_for_two": ([BUNDLE, {**BUNDLE, "bundle_service_id": "extra"}], "bundles.csv row 3, component_service_id: 'rmm' counts the bundle of row 2 already; map extra itself"),
    "none_of_it": ([{**BUNDLE, "quantity_per_unit": "0"}], "bundles.csv row 2, quantity_per_unit: must be above zero"),
    "uncounted": ([{**BUNDLE, "component_service_id": "extra"}, BUNDLE], "bundles.csv row 2, bundle_service_id: nothing would count workplace"),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "said"), BUNDLES.values(), ids=BUNDLES)
def test_a_bundle_has_components_that_are_counted(book: Book, rows: list[dict[str, str]], said: str) -> None:
    named = [{"service_id": name, "service_name": name, "unit": "device"} for name in ("workplace", "extra")]
    _write(book, "services", [*GOOD["services"], *named])
    _write(book, "bundles", rows)
    assert any(problem.startswith(said) for problem in _problems(book)) if said else _problems(book) == []


@pytest.mark.parametrize(("model", "column"), [("minimum", "minimum_quantity"), ("included", "included_quantity")])
def test_a_model_without_its_quantity_says_which_column_it_needs(book: Book, model: str, column: str) -> None:
    _write(book, "contracts", [{**GOOD["contracts"][0], "billing_model": model}])
    assert _problems(book) == [f"contracts.csv row 2, {column}: is empty; the model {model} needs it"]


@pytest.mark.parametrize("name", ["clients", "services", "contracts", "exclusions"])
def test_an_id_that_stands_there_twice_names_both_rows(book: Book, name: str) -> None:
    _write(
        book,
        name,
        [*GOOD[name], {**GOOD[name][0], "effective_from": "2030-01-01"} if name == "contracts" else GOOD[name][0]],
    )
    row = len(GOOD[name]) + 2
    assert any(
        p.startswith(f"{name}.csv row {row}, ") and "stands in row 2 already; give this row its own" in p
        for p in _problems(book)
    )


OVERLAPS = {
    "contracts": {"contract_id": "c2"},
    "company_mappings": {"client_id": "globex"},
}


@pytest.mark.parametrize("name", OVERLAPS)
def test_versions_that_overlap_name_both_rows(book: Book, name: str) -> None:
    first = {**GOOD[name][0], "effective_to": "2026-11-02"}
    _write(book, name, [first, {**first, **OVERLAPS[name], "effective_from": "2026-11-01", "effective_to": ""}])
    (problem,) = _problems(book)
    assert problem.startswith(f"{name}.csv row 3, effective_from: overlaps row 2 for ")


@pytest.mark.parametrize("name", OVERLAPS)
def test_a_version_may_begin_on_the_day_the_other_ends(book: Book, name: str) -> None:
    first = {**GOOD[name][0], "effective_to": "2026-11-01"}
    _write(book, name, [first, {**first, **OVERLAPS[name], "effective_from": "2026-11-01", "effective_to": ""}])
    assert _problems(book) == []


def _versions(**later: str) -> list[dict[str, str]]:
    first = {**GOOD["contracts"][0], "effective_to": "2026-11-01"}
    return [{**first, "contract_id": "c2", "effective_from": "2026-12-01", "effective_to": "", **later}, first]


def test_case_42_a_gap_between_two_versions_names_both_rows(book: Book) -> None:
    _write(book, "contracts", _versions())
    assert _problems(book) == [
        "contracts.csv row 2, effective_from: leaves acme and rmm without a contract from 2026-11-01, where row 3 ends, to "
        "2026-12-01; close the gap, or begin the note with 'gap:' and say why"
    ]


@pytest.mark.parametrize(
    "later", [{"note": "Gap: closed for the season"}, {"service_id": "mdm"}, {"client_id": "globex"}]
)
def test_case_42_a_gap_that_is_meant_or_none_is_right(book: Book, later: dict[str, str]) -> None:
    _write(
        book, "services", [*GOOD["services"], {**GOOD["services"][0], "service_id": "mdm", "count_vendor": "ninjaone"}]
    )
    _write(book, "contracts", _versions(**later))
    assert _problems(book) == []


def test_an_active_client_without_a_contract_is_named_and_stops_nothing(book: Book, tmp_path: Path) -> None:
    assert [str(problem) for problem in uncovered(book, TODAY)] == [
        "clients.csv row 3, client_id: globex is active and has no contract; write one in contracts.csv, or begin its note "
        "with 'no contract:' and say why"
    ]
    write_checked(book, tmp_path / "target")
    assert (tmp_path / "target/clients.csv").is_file()


@pytest.mark.parametrize(
    "waiver", [{"note": "No contract: starts in May"}, {"status": "offboarded"}, {"status": "Internal"}]
)
def test_a_client_that_needs_no_contract_is_not_named(book: Book, waiver: dict[str, str]) -> None:
    _write(book, "clients", [GOOD["clients"][0], {**GOOD["clients"][1], **waiver}])
    assert uncovered(book, TODAY) == []


@pytest.mark.parametrize(
    ("ends", "is_covered"), [("2020-01-01", False), ("2026-11-20", False), ("2026-11-21", True), ("", True)]
)
def test_case_37_a_contract_that_is_over_covers_nobody(book: Book, ends: str, is_covered: bool) -> None:
    over = {**GOOD["contracts"][0], "contract_id": "c2", "client_id": "globex", "effective_to": ends}
    _write(book, "contracts", [*GOOD["contracts"], over])
    said = [str(problem) for problem in uncovered(book, TODAY)]
    assert len(said) == (not is_covered)
    assert is_covered or f"globex is active and has no contract any more: the last one ended on {ends};" in said[0]


def test_seeds_that_cannot_be_read_leave_nobody_without_a_contract(book: Book) -> None:
    (book.seeds / "contracts.csv").write_text("contract\n", "utf-8")
    assert uncovered(book, TODAY) == []


@pytest.mark.parametrize("priority", ["10", ""])
def test_a_mapping_that_stands_there_twice_names_both_rows(book: Book, priority: str) -> None:
    first = {**GOOD["service_mappings"][0], "priority": priority}
    other = {**GOOD["services"][0], "service_id": "mdm", "count_vendor": "ninjaone"}
    _write(book, "services", [*GOOD["services"], other])
    again = {**first, "pattern": "*workstation", "service_id": "mdm", "priority": priority or "100"}
    _write(book, "service_mappings", [first, again])
    (problem,) = _problems(book)
    assert problem.startswith("service_mappings.csv row 3, effective_from: overlaps row 2 for ninjaone and devices and")
    assert "a record is one service at a time" in problem
    for further in ({"priority": "11"}, {"pattern": "*server"}, {"effective_from": "2030-01-01"}):
        _write(book, "service_mappings", [{**first, "effective_to": "2030-01-01"}, {**again, **further}])
        assert _problems(book) == [], further


TIES = {
    "as_much_text_each": ("*_SERVER", "LINUX_S*", True),
    "more_text_in_one": ("*_SERVER", "LINUX_*", False),
    "a_name_outright": ("*_SERVER", "A_SERVER", False),
    "nothing_fits_both": ("WINDOWS_*", "?LINUX_*", False),
}


@pytest.mark.parametrize(("one", "other", "is_tie"), TIES.values(), ids=TIES)
def test_mappings_of_one_priority_that_say_as_much_as_each_other_are_refused(
    book: Book, one: str, other: str, is_tie: bool
) -> None:
    _write(
        book, "services", [*GOOD["services"], {**GOOD["services"][0], "service_id": "mdm", "count_vendor": "ninjaone"}]
    )
    first = {**GOOD["service_mappings"][0], "priority": "", "pattern": one, "effective_to": "2030-01-01"}
    again = {**first, "priority": "100", "pattern": other, "service_id": "mdm"}
    _write(book, "service_mappings", [first, again])
    said = f"service_mappings.csv row 3, pattern: {other!r} and {one!r} of row 2 may fit the same record"
    assert [problem.startswith(said) for problem in _problems(book)] == [True] * is_tie
    for further in ({"priority": "11"}, {"service_id": "rmm"}, {"effective_from": "2030-01-01", "effective_to": ""}):
        _write(book, "service_mappings", [first, {**again, **further}])
        assert _problems(book) == [], further


def test_case_55_a_version_that_ends_before_it_begins_is_refused(book: Book) -> None:
    _write(book, "contracts", [{**GOOD["contracts"][0], "effective_from": "2026-11-01", "effective_to": "2026-11-01"}])
    assert _problems(book) == [
        "contracts.csv row 2, effective_to: 2026-11-01 is not after effective_from 2026-11-01; it is the first day that no longer counts"
    ]


def test_case_63_an_exclusion_that_expires_before_it_begins_is_refused(book: Book) -> None:
    _write(book, "exclusions", [{**GOOD["exclusions"][0], "effective_from": "2026-11-01", "expires_on": "2026-11-01"}])
    assert _problems(book) == [
        "exclusions.csv row 2, expires_on: 2026-11-01 is not after effective_from 2026-11-01; it is the first day that no longer counts"
    ]


def test_case_63_an_exclusion_by_number_alone_says_whose_of_what_and_since_when(book: Book) -> None:
    by_number = {"exclusion_id": "x1", "max_quantity": "7", "reason": "agreed"}
    _write(book, "exclusions", [by_number])
    said = "is empty; an exclusion by number alone is about one service of a client from a day on"
    assert _problems(book) == [
        f"exclusions.csv row 2, {c}: {said}" for c in ("client_id", "service_id", "effective_from")
    ]
    _write(
        book, "exclusions", [{**by_number, "client_id": "acme", "service_id": "rmm", "effective_from": "2026-11-01"}]
    )
    assert _problems(book) == []


@pytest.mark.parametrize(("basis", "turn"), [("daily", "2026-11-11"), ("", "2026-11-11"), ("daily", "2026-11-01")])
def test_a_month_that_is_taken_as_a_whole_is_counted_by_one_tool(book: Book, basis: str, turn: str) -> None:
    first = {**GOOD["contracts"][0], "count_vendor": "ninjaone", "effective_to": turn}
    then = {**first, "contract_id": "c2", "count_vendor": "huntress", "count_basis": basis, "effective_from": turn, "effective_to": ""}  # fmt: skip
    _write(book, "contracts", [first, then])
    assert _problems(book) == (
        [
            "contracts.csv row 3, count_vendor: counts at huntress from 2026-11-11 what row 2 counts at ninjaone, and daily "
            "takes a month as a whole; let the tool change on the first of a month"
        ]
        if (basis, turn) == ("daily", "2026-11-11")
        else []
    )


def test_case_42_two_contracts_in_force_on_a_day_are_refused(book: Book) -> None:
    _write(book, "contracts", [GOOD["contracts"][0], {**GOOD["contracts"][0], "contract_id": "c2"}])
    assert _problems(book) == [
        "contracts.csv row 3, effective_from: overlaps row 2 for acme and rmm; "
        "exactly one contract version may be in force per client, service and day"
    ]


def test_case_32_a_service_two_vendors_could_count_must_name_one(book: Book) -> None:
    agents = {"vendor": "Huntress", "endpoint": "agents", "field": "platform", "pattern": "*", "service_id": "rmm"}
    _write(book, "service_mappings", [*GOOD["service_mappings"], agents])
    assert _problems(book) == [
        "services.csv row 2, count_vendor: is empty, and huntress and ninjaone could all count rmm; name the one that is billed"
    ]
    _write(book, "services", [{**GOOD["services"][0], "count_vendor": "NinjaOne"}])
    assert _problems(book) == []


def test_case_22_a_service_is_counted_from_bought_or_assigned_and_not_from_both(book: Book) -> None:
    licence = {
        "vendor": "microsoft365",
        "endpoint": "user_licenses",
        "field": "sku_part_number",
        "pattern": "SPB",
        "service_id": "rmm",
    }
    _write(book, "service_mappings", [licence, {**licence, "endpoint": "subscribed_skus"}])
    assert _problems(book) == [
        "service_mappings.csv row 3, endpoint: rmm would be counted from subscribed_skus and user_licenses of microsoft365; choose one"
    ]


def _includes(*pairs: str) -> list[dict[str, str]]:
    """Rows of sku_includes.csv, each from `A>B`."""
    return [
        {"vendor": "Microsoft365", "sku": outer, "included_sku": inner}
        for outer, inner in (pair.split(">") for pair in pairs)
    ]


INCLUDES = {
    "a_sku_in_itself": (("A>a",), "row 2, included_sku: closes a circle: a ⊃ a; a SKU cannot contain itself"),
    "a_circle": (("A>B", "B>C", "B>D", "C>A"), "row 5, included_sku: closes a circle: c ⊃ a ⊃ b ⊃ c; a SKU cannot contain itself"),
    "the_same_twice": (("A>B", "a>b"), "row 3, included_sku: row 2 says so already; remove one of the two"),
    "five_deep": (("D>E", "E>F", "A>B", "B>C", "C>D"), "row 6, included_sku: is too deep: a ⊃ b ⊃ c ⊃ d ⊃ e ⊃ f; a SKU may contain another through 3 at most"),
}  # fmt: skip


@pytest.mark.parametrize(("pairs", "said"), INCLUDES.values(), ids=INCLUDES)
def test_case_26_what_a_sku_contains_ends_somewhere(book: Book, pairs: tuple[str, ...], said: str) -> None:
    _write(book, "sku_includes", _includes(*pairs))
    (problem,) = _problems(book)
    assert problem.startswith(f"sku_includes.csv {said}")


def test_case_26_skus_may_contain_others_four_deep_and_by_several_ways(book: Book) -> None:
    _write(book, "sku_includes", _includes("A>B", "B>C", "C>D", "D>E", "A>C", "A>E", "X>C"))
    assert _problems(book) == []


def test_case_26_skus_of_an_unknown_vendor_are_refused(book: Book) -> None:
    _write(book, "sku_includes", [{"vendor": "microsft365", "sku": "A", "included_sku": "B"}])
    assert _problems(book)[0].startswith("sku_includes.csv row 2, vendor: 'microsft365' is not a vendor (did you mean")


PART = {**GOOD["company_mappings"][0], "field": "organization_id", "pattern": "7"}
PARTS = {
    "a_column_nothing_has": ([{**PART, "field": "department"}], "row 2, field: 'department' is not a column of what ninjaone counts"),
    "a_column_without_a_pattern": ([{**PART, "pattern": ""}], "row 2, pattern: is empty, and field is not; a part needs both"),
    "a_pattern_without_a_column": ([{**PART, "field": ""}], "row 2, field: is empty, and pattern is not; a part needs both"),
    "a_part_beside_the_whole": ([PART, GOOD["company_mappings"][0]], "row 3, pattern: row 2 divides the same company at the same time"),
    "the_whole_beside_a_part": ([GOOD["company_mappings"][0], PART], "row 3, pattern: row 2 divides the same company at the same time"),
    "one_part_for_two_clients": ([PART, {**PART, "client_id": "globex"}], "row 3, effective_from: overlaps row 2 for ninjaone and 7 and organization_id and 7; a company, or a part of it, belongs to one client at a time"),
    "two_parts_that_meet": ([{**PART, "pattern": "7*"}, {**PART, "pattern": "*9", "client_id": "globex"}], "row 3, pattern: '*9' and '7*' of row 2 may fit the same record, and neither says more than the other"),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "said"), PARTS.values(), ids=PARTS)
def test_case_16_a_company_is_divided_without_doubt(book: Book, rows: list[dict[str, str]], said: str) -> None:
    _write(book, "company_mappings", rows)
    assert [p for p in _problems(book) if p.startswith(f"company_mappings.csv {said}")], _problems(book)


GOOD_PARTS = {
    "they_never_meet": [PART, {**PART, "pattern": "8", "client_id": "globex"}],
    "one_says_more": [{**PART, "pattern": "7*"}, {**PART, "pattern": "71*", "client_id": "globex"}],
    "one_names_it_outright": [{**PART, "pattern": "7*1"}, {**PART, "pattern": "71", "client_id": "globex"}],
    "they_are_of_one_client": [{**PART, "pattern": "7*"}, {**PART, "pattern": "*9"}],
    "they_hold_one_after_the_other": [{**PART, "effective_to": "2026-11-01"}, {**GOOD["company_mappings"][0], "effective_from": "2026-11-01"}],
}  # fmt: skip


@pytest.mark.parametrize("rows", GOOD_PARTS.values(), ids=GOOD_PARTS)
def test_case_16_parts_that_leave_no_doubt_are_right(book: Book, rows: list[dict[str, str]]) -> None:
    _write(book, "company_mappings", rows)
    assert _problems(book) == []


def test_a_file_written_before_a_column_came_is_right_without_it(book: Book, tmp_path: Path) -> None:
    header = "connection_id,company_id,company_name,client_id,effective_from,effective_to,note"
    (book.seeds / "company_mappings.csv").write_text(f"{header}\nninjaone,7,,acme,,,\n", "utf-8")
    assert _problems(book) == []
    write_checked(book, tmp_path / "target")
    assert (tmp_path / "target/company_mappings.csv").read_text(
        "utf-8"
    ) == f"{header},field,pattern\nninjaone,7,,acme,,,,,\n"


MEETING = [("a*", "*b", True), ("a*", "b*", False), ("*@a.x", "*@b.x", False), ("A?", "ab", True), ("a?", "a", False), ("**", "", True), ("a*c", "ab*", True), ("x", "X", True)]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "is_met"), MEETING)
def test_two_patterns_meet_where_a_text_fits_both(one: str, other: str, is_met: bool) -> None:
    assert meet(one, other) == meet(other, one) == is_met


HEADERS = {
    "a_column_is_missing": ("client_id,client_name,status\n", "clients.csv row 1, currency: the column is missing from the header"),
    "a_column_is_misspelt": ("client_id,client_nam,status,currency\n", "clients.csv row 1, client_nam: is not a column of this file (did you mean 'client_name'?)"),
    "a_column_stands_there_twice": ("client_id,client_id,status,currency\n", "clients.csv row 1, client_id: the column stands in the header twice"),
    "the_file_is_empty": ("", "clients.csv row 1, client_id: the column is missing from the header"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), HEADERS.values(), ids=HEADERS)
def test_a_wrong_header_is_named_by_its_column(book: Book, text: str, said: str) -> None:
    (book.seeds / "clients.csv").write_text(text, "utf-8")
    assert any(problem.startswith(said) for problem in _problems(book)), _problems(book)


def test_a_cell_with_a_comma_must_be_quoted(book: Book) -> None:
    header = ",".join(c.name for c in SEEDS["clients"])
    (book.seeds / "clients.csv").write_text(f"{header}\nacme,Acme, Inc.,active,USD,,,,\n", "utf-8")
    assert "clients.csv row 2: has 9 cells, the header has 8; quote cells that hold commas" in _problems(book)


def test_rows_are_counted_as_an_editor_does(book: Book) -> None:
    header = ",".join(c.name for c in SEEDS["clients"])
    text = f'{header}\n\n"acme","Acme\nInc.",active,USD,,,,\nglobex,Globex,gone,EUR,,,,\n'
    (book.seeds / "clients.csv").write_text(text, "utf-8")
    (problem,) = _problems(book)
    assert problem.startswith("clients.csv row 5, status: 'gone' is not one of")


@pytest.mark.parametrize(
    "text",
    ['acme,"Acme,active,USD,,,,\n', 'acme,"Acme"Inc,active,USD,,,,\n'],
    ids=["an_open_quote", "text_after_a_quote"],
)
def test_text_that_is_no_csv_is_named_by_its_row(book: Book, text: str) -> None:
    header = ",".join(c.name for c in SEEDS["clients"])
    (book.seeds / "clients.csv").write_text(f"{header}\n{text}", "utf-8")
    assert any(p.startswith("clients.csv row ") and "is not valid CSV" in p for p in _problems(book))


def test_a_file_of_another_encoding_names_the_row(book: Book) -> None:
    header = ",".join(c.name for c in SEEDS["clients"])
    (book.seeds / "clients.csv").write_bytes(f"{header}\nacme,Caf\xe9,active,USD,,,\n".encode("latin-1"))
    assert _problems(book) == ["clients.csv row 2: is not UTF-8 text; save the file as CSV UTF-8"]


def test_what_a_spreadsheet_writes_is_read(book: Book, tmp_path: Path) -> None:
    """A byte order mark, quotes, Windows line ends, blank lines, columns in another order, words in capitals."""
    text = '"client_name","client_id","currency","status","time_zone","back_bill_days","accounting_customer_id"\r\n'
    text += '"Acme, ""the"" Inc."," acme ","USD","Active","","",""\r\n,,,,,,\r\n"Globex","globex","EUR","INTERNAL","","",""\r\n'
    (book.seeds / "clients.csv").write_text("\ufeff" + text, "utf-8", newline="")
    assert _problems(book) == []
    assert read(book, "clients")[0] == {
        "client_name": 'Acme, "the" Inc.', "client_id": "acme", "currency": "USD", "status": "Active",
        "time_zone": "", "back_bill_days": "", "accounting_customer_id": "",
    }  # fmt: skip
    write_checked(book, tmp_path / "target")
    assert (tmp_path / "target/clients.csv").read_text("utf-8") == (
        "client_id,client_name,status,currency,time_zone,back_bill_days,accounting_customer_id,note\n"
        'acme,"Acme, ""the"" Inc.",active,USD,,,,\nglobex,Globex,internal,EUR,,,,\n'
    )


@pytest.mark.parametrize("name", ["price_tiers", "bundles", "sku_includes", "exclusions", "exchange_rates"])
def test_an_optional_file_may_be_missing_and_is_written_empty(book: Book, tmp_path: Path, name: str) -> None:
    (book.seeds / f"{name}.csv").unlink(missing_ok=True)
    write_checked(book, tmp_path / "target")
    assert (tmp_path / f"target/{name}.csv").read_text("utf-8") == ",".join(c.name for c in SEEDS[name]) + "\n"
    assert read(book, name) == []


@pytest.mark.parametrize("name", ["clients", "services", "contracts", "company_mappings", "service_mappings"])
def test_a_required_file_that_is_missing_says_what_its_header_is(book: Book, name: str) -> None:
    (book.seeds / f"{name}.csv").unlink()
    assert _problems(book) == [
        f"{name}.csv: the file is missing; its header is {','.join(c.name for c in SEEDS[name])}"
    ]


def test_nothing_is_written_when_anything_is_wrong(book: Book, tmp_path: Path) -> None:
    _write(
        book,
        "clients",
        [*GOOD["clients"], *({"client_id": f"n{n}", "status": "active", "currency": "USD"} for n in range(22))],
    )
    with pytest.raises(BadInput, match="nothing was built") as raised:
        write_checked(book, tmp_path / "target")
    assert not (tmp_path / "target").exists()
    said = str(raised.value)
    assert said.count("client_name: is empty; it is required") == 20
    assert said.endswith("… and 2 more: `morton seeds check` lists all.")


@pytest.mark.parametrize(("one", "other"), [("EUR", "USD"), ("USD", "EUR")])
def test_a_pair_has_one_rate_from_a_day_on_whichever_way_round(book: Book, one: str, other: str) -> None:
    first = GOOD["exchange_rates"][0]
    later = {**first, "effective_from": "2026-02-01"}
    _write(book, "exchange_rates", [first, later, {**first, "currency": one, "to_currency": other}])
    assert _problems(book) == [
        "exchange_rates.csv row 4, effective_from: EUR and USD have a rate from that day in row 2 already; keep one of "
        "the two"
    ]


def _clients(book: Book, *currencies: str) -> None:
    """Write clients of these currencies; one in small letters is that of our own company."""
    _write(book, "clients", [
        {"client_id": ("acme", "globex")[n] if n < 2 else f"c{n}", "client_name": f"Client {n}", "currency": code.upper(),
         "status": "internal" if code.islower() else "active", "note": "no contract: only its currency matters"}
        for n, code in enumerate(currencies)
    ])  # fmt: skip


def test_case_68_a_missing_rate_fails_the_check_and_stops_no_build(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _clients(book, "USD", "EUR", "USD", "EUR", "USD")
    monkeypatch.setenv("MORTON_NOW", "2025-12-31T23:59:59Z")
    done = CliRunner().invoke(cli, ["--book", str(book.root), "seeds", "check", "--format", "json"])
    assert (done.exit_code, json.loads(done.stdout)) == (1, [{
        "file": "clients.csv", "row": 3, "column": "currency",
        "message": "EUR is not the main currency. exchange_rates.csv has no rate from EUR to USD (or back) in force on "
        "2025-12-31: add one, with its source. Invoices in it are parked until then",
    }])  # fmt: skip
    assert check(book) == []
    write_checked(book, tmp_path / "target")
    monkeypatch.setenv("MORTON_NOW", "2026-01-01T00:00:00Z")
    assert CliRunner().invoke(cli, ["--book", str(book.root), "seeds", "check"]).exit_code == 0


@pytest.mark.parametrize("currencies", [("USD", "USD"), ("USD", "USD", "eur")], ids=["one", "ours is another"])
def test_clients_of_one_currency_and_our_own_company_need_no_rate(book: Book, currencies: tuple[str, ...]) -> None:
    (book.seeds / "exchange_rates.csv").unlink()
    _clients(book, *currencies)
    assert missing_rates(book, date(2026, 11, 23)) == []


def test_every_problem_is_found_in_one_pass(book: Book) -> None:
    _write(book, "clients", [{**GOOD["clients"][0], "currency": "$"}, GOOD["clients"][1]])
    _write(book, "services", [{**GOOD["services"][0], "unit": "?"}])
    _write(book, "contracts", [{**GOOD["contracts"][0], "quantity": "many"}])
    assert [p.split(":")[0] for p in _problems(book)] == [
        "clients.csv row 2, currency", "services.csv row 2, unit", "contracts.csv row 2, quantity",
    ]  # fmt: skip


def test_people_cannot_be_counted_from_what_was_bought(book: Book) -> None:
    _write(book, "services", [{**GOOD["services"][0], "unit": "user"}])
    mapping = {"vendor": "microsoft365", "endpoint": "subscribed_skus", "field": "sku_part_number", "pattern": "SPB"}
    _write(book, "service_mappings", [{**mapping, "service_id": "rmm"}])
    (problem,) = _problems(book)
    assert problem.startswith("service_mappings.csv row 2, endpoint: rmm has the unit user, and subscribed_skus lists")
    _write(book, "services", [{**GOOD["services"][0], "unit": "licence"}])
    assert _problems(book) == []


def test_two_clients_with_one_customer_in_the_accounting_system_are_named(book: Book) -> None:
    _write(book, "clients", [{**row, "accounting_customer_id": "61"} for row in GOOD["clients"]])
    (problem,) = _problems(book)
    assert problem.startswith("clients.csv row 3, accounting_customer_id: '61' is that of acme in row 2 already")
    assert "give globex its own" in problem


def test_two_services_with_one_item_in_the_accounting_system_are_named(book: Book) -> None:
    first = {**GOOD["services"][0], "accounting_item_id": "19"}
    _write(book, "services", [first, {**first, "service_id": "mdm", "service_name": "Phone"}])
    (problem,) = _problems(book)
    assert problem.startswith("services.csv row 3, accounting_item_id: '19' is that of rmm in row 2 already")
