"""An id, and what is known under one in the accounting system, stands in one row only."""

import pytest

from morton_pipeline.book import Book
from tests.seeds.conftest import GOOD, problems, write


@pytest.mark.parametrize("name", ["clients", "services", "contracts", "exclusions"])
def test_an_id_that_stands_there_twice_names_both_rows(book: Book, name: str) -> None:
    write(
        book,
        name,
        [*GOOD[name], {**GOOD[name][0], "effective_from": "2030-01-01"} if name == "contracts" else GOOD[name][0]],
    )
    row = len(GOOD[name]) + 2
    assert any(
        p.startswith(f"{name}.csv row {row}, ") and "stands in row 2 already; give this row its own" in p
        for p in problems(book)
    )


def test_two_clients_with_one_customer_in_the_accounting_system_are_named(book: Book) -> None:
    write(book, "clients", [{**row, "accounting_customer_id": "61"} for row in GOOD["clients"]])
    (problem,) = problems(book)
    assert problem.startswith("clients.csv row 3, accounting_customer_id: '61' is that of acme in row 2 already")
    assert "give globex its own" in problem


def test_two_services_with_one_item_in_the_accounting_system_are_named(book: Book) -> None:
    first = {**GOOD["services"][0], "accounting_item_id": "19"}
    write(book, "services", [first, {**first, "service_id": "mdm", "service_name": "Phone"}])
    (problem,) = problems(book)
    assert problem.startswith("services.csv row 3, accounting_item_id: '19' is that of rmm in row 2 already")
