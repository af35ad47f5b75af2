"""Rows of one thing follow each other, day by day; none ends before it begins."""

import pytest

from morton_pipeline.book import Book
from tests.seeds.conftest import GOOD, problems, write

OVERLAPS = {
    "contracts": {"contract_id": "c2"},
    "company_mappings": {"client_id": "globex"},
}


@pytest.mark.parametrize("name", OVERLAPS)
def test_versions_that_overlap_name_both_rows(book: Book, name: str) -> None:
    first = {**GOOD[name][0], "effective_to": "2026-11-02"}
    write(book, name, [first, {**first, **OVERLAPS[name], "effective_from": "2026-11-01", "effective_to": ""}])
    (problem,) = problems(book)
    assert problem.startswith(f"{name}.csv row 3, effective_from: overlaps row 2 for ")


@pytest.mark.parametrize("name", OVERLAPS)
def test_a_version_may_begin_on_the_day_the_other_ends(book: Book, name: str) -> None:
    first = {**GOOD[name][0], "effective_to": "2026-11-01"}
    write(book, name, [first, {**first, **OVERLAPS[name], "effective_from": "2026-11-01", "effective_to": ""}])
    assert problems(book) == []


def test_case_55_a_version_that_ends_before_it_begins_is_refused(book: Book) -> None:
    write(book, "contracts", [{**GOOD["contracts"][0], "effective_from": "2026-11-01", "effective_to": "2026-11-01"}])
    assert problems(book) == [
        "contracts.csv row 2, effective_to: 2026-11-01 is not after effective_from 2026-11-01; it is the first day that no longer counts"
    ]
