"""QuickBooks Desktop's recorded answers become customers, services, documents and their selling lines."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.vendors.quickbooks_desktop import VENDOR
from tests.conftest import Connect
from tests.vendors.replay import AT, replay, rows

NAME = "quickbooks_desktop"


def test_quickbooks_desktop(connect: Connect) -> None:
    found = replay(connect, NAME)
    assert rows(found["customers"], "record_key", "full_name", "is_active", "currency") == [
        ("80000021-1326159291", "Fernwood Dental", True, "USD"),
        ("80000022-1326159300", "Gull Logistics:Warehouse", False, "USD"),
    ]
    assert rows(found["items"], "record_key", "full_name", "price", "is_active") == [
        ("80000007-1", "Managed seat", "42.50", True),
        ("80000008-1", "Cloud:Backup", "9.00", True),
        ("80000009-1", "Surcharge", None, False),
    ]
    assert rows(
        found["invoices"], "record_key", "txn_type", "ref_number", "txn_date", "subtotal", "is_pending", "memo"
    ) == [
        ("A1-1", "Invoice", "1042", "2026-10-01", "510.10", False, None),
        ("B1-1", "Invoice", "1043", "2026-10-02", "0.00", True, "VOID: Backup"),
        ("C1-1", "CreditMemo", "CM7", "2026-10-03", "42.50", None, None),
    ]


def test_every_selling_line_is_read_those_inside_a_group_too(connect: Connect) -> None:
    lines = replay(connect, NAME)["invoice_lines"]
    assert rows(lines, "record_key", "txn_type", "amount", "quantity", "rate", "service_date") == [
        ("A1-1|A2", "Invoice", "425.00", "10", "42.50", "2026-10-01"),
        ("A1-1|A5", "Invoice", "85.10", "2", "42.55", None),
        ("B1-1|B2", "Invoice", "0.00", "0", None, None),
        ("C1-1|C2", "CreditMemo", "42.50", "1", "42.50", None),
    ]


def read(connect: Connect, *answers: dict[str, Any]) -> Extraction:
    """Read the customers from these answers, one after the other."""
    left = list(answers)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=left.pop(0)))
    connection = connect(NAME, settings={"attempts": 1})
    (found,) = fetch(connection, replace(VENDOR, rate=None), at=AT, endpoints=["customers"], transport=transport)
    return found


def page(count: int, left: int, *, code: str = "0", said: int | None = None) -> dict[str, Any]:
    attributes = {
        "@statusCode": code,
        "@iteratorRemainingCount": str(left),
        "@iteratorID": "{1}",
        "@statusMessage": "No.",
    }
    attributes |= {"@retCount": str(said)} if said is not None else {}
    records = [{"ListID": f"{left}-{n}", "FullName": "x", "IsActive": "true"} for n in range(count)]
    return {"CustomerQueryRs": {**attributes, "CustomerRet": records}}


@pytest.mark.parametrize("code", ["1", "500"])
def test_nothing_there_is_an_empty_list(connect: Connect, code: str) -> None:
    assert read(connect, {"CustomerQueryRs": {"@statusCode": code, "@statusMessage": "No match."}}).rows == []


def test_a_record_that_names_no_currency_has_the_companys_own(connect: Connect) -> None:
    connection = connect(NAME, settings={"currency": "CAD"})
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=page(1, 0)))
    (found,) = fetch(connection, VENDOR, at=AT, endpoints=["customers"], transport=transport)
    assert [row["Currency"] for row in found.rows or ()] == ["CAD"]


REFUSED = {
    "no status": ([{"CustomerQueryRs": {"CustomerRet": []}}], "UnexpectedAnswer"),
    "no answer to what was asked": ([{"ItemQueryRs": {"@statusCode": "0"}}], "UnexpectedAnswer"),
    "refused": ([page(0, 0, code="3260")], "RequestRefused"),
    "fewer than said": ([page(1, 0, said=2)], "Incomplete"),
    "a page that leaves records out": ([page(1, 3), page(1, 0)], "Incomplete"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_answer_that_is_not_whole_keeps_nothing(connect: Connect, name: str) -> None:
    answers, kind = REFUSED[name]
    found = read(connect, *answers)
    assert (found.rows, found.kind) == (None, kind)
