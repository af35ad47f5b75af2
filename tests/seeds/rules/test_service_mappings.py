"""A record is one service at a time, and a service is counted by one list of one tool."""

import pytest

from morton_pipeline.book import Book
from tests.seeds.conftest import GOOD, problems, write


@pytest.mark.parametrize("priority", ["10", ""])
def test_a_mapping_that_stands_there_twice_names_both_rows(book: Book, priority: str) -> None:
    first = {**GOOD["service_mappings"][0], "priority": priority}
    other = {**GOOD["services"][0], "service_id": "mdm", "count_vendor": "ninjaone"}
    write(book, "services", [*GOOD["services"], other])
    again = {**first, "pattern": "*workstation", "service_id": "mdm", "priority": priority or "100"}
    write(book, "service_mappings", [first, again])
    (problem,) = problems(book)
    assert problem.startswith("service_mappings.csv row 3, effective_from: overlaps row 2 for ninjaone and devices and")
    assert "a record is one service at a time" in problem
    for further in ({"priority": "11"}, {"pattern": "*server"}, {"effective_from": "2030-01-01"}):
        write(book, "service_mappings", [{**first, "effective_to": "2030-01-01"}, {**again, **further}])
        assert problems(book) == [], further


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
    write(
        book, "services", [*GOOD["services"], {**GOOD["services"][0], "service_id": "mdm", "count_vendor": "ninjaone"}]
    )
    first = {**GOOD["service_mappings"][0], "priority": "", "pattern": one, "effective_to": "2030-01-01"}
    again = {**first, "priority": "100", "pattern": other, "service_id": "mdm"}
    write(book, "service_mappings", [first, again])
    said = f"service_mappings.csv row 3, pattern: {other!r} and {one!r} of row 2 may fit the same record"
    assert [problem.startswith(said) for problem in problems(book)] == [True] * is_tie
    for further in ({"priority": "11"}, {"service_id": "rmm"}, {"effective_from": "2030-01-01", "effective_to": ""}):
        write(book, "service_mappings", [first, {**again, **further}])
        assert problems(book) == [], further


def test_case_32_a_service_two_vendors_could_count_must_name_one(book: Book) -> None:
    agents = {"vendor": "Huntress", "endpoint": "agents", "field": "platform", "pattern": "*", "service_id": "rmm"}
    write(book, "service_mappings", [*GOOD["service_mappings"], agents])
    assert problems(book) == [
        "services.csv row 2, count_vendor: is empty, and huntress and ninjaone could all count rmm; name the one that is billed"
    ]
    write(book, "services", [{**GOOD["services"][0], "count_vendor": "NinjaOne"}])
    assert problems(book) == []


def test_case_22_a_service_is_counted_from_bought_or_assigned_and_not_from_both(book: Book) -> None:
    licence = {
        "vendor": "microsoft365",
        "endpoint": "user_licenses",
        "field": "sku_part_number",
        "pattern": "SPB",
        "service_id": "rmm",
    }
    write(book, "service_mappings", [licence, {**licence, "endpoint": "subscribed_skus"}])
    assert problems(book) == [
        "service_mappings.csv row 3, endpoint: rmm would be counted from subscribed_skus and user_licenses of microsoft365; choose one"
    ]


def test_people_cannot_be_counted_from_what_was_bought(book: Book) -> None:
    write(book, "services", [{**GOOD["services"][0], "unit": "user"}])
    mapping = {"vendor": "microsoft365", "endpoint": "subscribed_skus", "field": "sku_part_number", "pattern": "SPB"}
    write(book, "service_mappings", [{**mapping, "service_id": "rmm"}])
    (problem,) = problems(book)
    assert problem.startswith("service_mappings.csv row 2, endpoint: rmm has the unit user, and subscribed_skus lists")
    write(book, "services", [{**GOOD["services"][0], "unit": "licence"}])
    assert problems(book) == []
