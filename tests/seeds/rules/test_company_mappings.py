"""A company, or a part of it, belongs to one client at a time."""

import pytest

from morton_pipeline.book import Book
from tests.seeds.conftest import GOOD, problems, write

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
    write(book, "company_mappings", rows)
    assert [p for p in problems(book) if p.startswith(f"company_mappings.csv {said}")], problems(book)


GOOD_PARTS = {
    "they_never_meet": [PART, {**PART, "pattern": "8", "client_id": "globex"}],
    "one_says_more": [{**PART, "pattern": "7*"}, {**PART, "pattern": "71*", "client_id": "globex"}],
    "one_names_it_outright": [{**PART, "pattern": "7*1"}, {**PART, "pattern": "71", "client_id": "globex"}],
    "they_are_of_one_client": [{**PART, "pattern": "7*"}, {**PART, "pattern": "*9"}],
    "they_hold_one_after_the_other": [{**PART, "effective_to": "2026-11-01"}, {**GOOD["company_mappings"][0], "effective_from": "2026-11-01"}],
}  # fmt: skip


@pytest.mark.parametrize("rows", GOOD_PARTS.values(), ids=GOOD_PARTS)
def test_case_16_parts_that_leave_no_doubt_are_right(book: Book, rows: list[dict[str, str]]) -> None:
    write(book, "company_mappings", rows)
    assert problems(book) == []
