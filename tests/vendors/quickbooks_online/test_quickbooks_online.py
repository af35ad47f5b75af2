"""QuickBooks' recorded traffic becomes customers, items, invoices and their selling lines."""

from tests.conftest import Connect
from tests.vendors.replay import replay, rows


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
