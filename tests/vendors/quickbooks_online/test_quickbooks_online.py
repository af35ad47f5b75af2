"""QuickBooks' recorded traffic becomes customers, items, invoices and their selling lines."""

import httpx

from morton_pipeline.extract.fetch import fetch
from morton_pipeline.vendors import VENDORS
from tests.conftest import Connect
from tests.vendors.replay import AT, replay, rows


def test_quickbooks_online(connect: Connect) -> None:
    found = replay(connect, "quickbooks_online")
    assert rows(found["customers"], "record_key", "display_name", "active", "currency_ref__value") == [
        ("21", "Fernwood Dental", True, "USD"),
        ("22", "Gull Logistics", False, None),
    ]
    assert rows(found["items"], "record_key", "type", "unit_price") == [("7", "Service", "42.5")]
    assert rows(found["invoices"], "record_key", "document", "doc_number", "txn_date", "total_amt") == [
        ("501", "Invoice", "1042", "2026-10-01", "510.1"),
        ("502", "Invoice", "1043", "2026-10-02", "0"),
        ("503", "CreditMemo", "CM-7", "2026-10-09", "85.0"),
    ]


def test_every_selling_line_is_read_those_inside_a_group_too(connect: Connect) -> None:
    lines = replay(connect, "quickbooks_online")["invoice_lines"]
    detail = "sales_item_line_detail"
    assert rows(
        lines, "record_key", "amount", f"{detail}__qty", f"{detail}__unit_price", f"{detail}__service_date"
    ) == [
        ("501|1", "425.0", "10", "42.5", "2026-10-01"),
        ("501|3", "85.1", "2", "42.55", "2026-10-01"),
        ("503|1", "85.0", "2", "42.5", "2026-10-01"),
    ]


def test_trap_1_a_fault_in_a_200_is_a_reading_that_failed(connect: Connect) -> None:
    said = {"Error": [{"Message": "Error parsing query", "Detail": "QueryParserError", "code": "4000"}]}

    def answer(request: httpx.Request) -> httpx.Response:
        if "/v3/company/" not in request.url.path:
            return httpx.Response(200, json={"access_token": "a", "refresh_token": "r", "expires_in": 3600})
        return httpx.Response(200, json={"Fault": {**said, "type": "ValidationFault"}})

    found = fetch(
        connect("quickbooks_online"), VENDORS["quickbooks_online"], at=AT, transport=httpx.MockTransport(answer)
    )
    assert [extraction.endpoint for extraction in found if extraction.rows is not None] == []
    errors = {extraction.endpoint: extraction.error for extraction in found}
    assert errors.pop("invoice_lines", "").endswith("invoice_lines needs invoices, which failed.")
    assert [error for error in errors.values() if "Error parsing query" not in error] == []
