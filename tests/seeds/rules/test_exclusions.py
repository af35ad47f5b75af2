"""An exclusion says what it is about, and since when."""

from morton_pipeline.book import Book
from tests.seeds.conftest import GOOD, problems, write


def test_case_63_an_exclusion_that_expires_before_it_begins_is_refused(book: Book) -> None:
    write(book, "exclusions", [{**GOOD["exclusions"][0], "effective_from": "2026-11-01", "expires_on": "2026-11-01"}])
    assert problems(book) == [
        "exclusions.csv row 2, expires_on: 2026-11-01 is not after effective_from 2026-11-01; it is the first day that no longer counts"
    ]


def test_case_63_an_exclusion_by_number_alone_says_whose_of_what_and_since_when(book: Book) -> None:
    by_number = {"exclusion_id": "x1", "max_quantity": "7", "reason": "agreed"}
    write(book, "exclusions", [by_number])
    said = "is empty; an exclusion by number alone is about one service of a client from a day on"
    assert problems(book) == [
        f"exclusions.csv row 2, {c}: {said}" for c in ("client_id", "service_id", "effective_from")
    ]
    write(book, "exclusions", [{**by_number, "client_id": "acme", "service_id": "rmm", "effective_from": "2026-11-01"}])
    assert problems(book) == []
