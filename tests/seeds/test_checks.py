"""Every way a seed can be wrong is named by file, row, column and fix, in one pass."""

import pytest

from morton_pipeline.book import Book
from tests.seeds.conftest import GOOD, problems, write


def test_seeds_that_are_right_have_no_problems(book: Book) -> None:
    assert problems(book) == []


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
    write(book, name, [{**first, column: value}, *others])
    assert any(problem.startswith(f"{name}.csv row 2, {column}: {said}") for problem in problems(book)), problems(book)


def test_every_problem_is_found_in_one_pass(book: Book) -> None:
    write(book, "clients", [{**GOOD["clients"][0], "currency": "$"}, GOOD["clients"][1]])
    write(book, "services", [{**GOOD["services"][0], "unit": "?"}])
    write(book, "contracts", [{**GOOD["contracts"][0], "quantity": "many"}])
    assert [p.split(":")[0] for p in problems(book)] == [
        "clients.csv row 2, currency", "services.csv row 2, unit", "contracts.csv row 2, quantity",
    ]  # fmt: skip
