"""Pax8's recorded traffic becomes companies, products, subscriptions, invoices and their lines."""

from typing import Any

import httpx
import pytest

from morton_pipeline.extract.auth import Credentials
from morton_pipeline.extract.errors import Incomplete, UnexpectedAnswer
from morton_pipeline.extract.pages import Call, Page
from morton_pipeline.extract.records import validate
from morton_pipeline.vendors import VENDORS, pax8
from tests.conftest import Connect
from tests.vendors.replay import AT, replay, rows

PREMIUM = "Microsoft 365 Business Premium"


def test_pax8(connect: Connect) -> None:
    found = replay(connect, "pax8")
    assert rows(found["companies"], "name", "status", "external_id", "bill_on_behalf_of_enabled") == [
        ("Fernwood Dental", "Active", "A1", False),
        ("Gull Logistics", "Active", None, True),
        ("Left Us", "Deleted", None, False),
    ]
    assert rows(found["products"], "name", "vendor_name", "vendor_sku", "requires_commitment") == [
        (PREMIUM, "Microsoft", "CFQ7TTC0LCHC-0002", True),
        ("Proofpoint Essentials", "Proofpoint", None, False),
        ("Audio Conferencing", "Microsoft", "CFQ7TTC0LHSL", False),
        ("Azure Plan", "Microsoft", "DZH318Z0BPS6", False),
        (None, None, None, None),
    ]
    assert rows(found["invoices"], "invoice_date", "status", "total", "company_id") == [
        ("2026-10-05", "Unpaid", "9985.96", None),
        ("2025-10-05", "Void", "10", None),
        ("2025-09-05", "Paid", "12.5", "c0000000-0000-4000-8000-000000000001"),
    ]


def test_a_rule_can_see_whatever_is_not_to_be_counted(connect: Connect) -> None:
    found = replay(connect, "pax8")["subscriptions"]
    assert rows(found, "product_name", "quantity", "status", "add_on_name", "usage_name") == [
        (PREMIUM, "47", "Active", None, None),
        ("Proofpoint Essentials", "25", "PendingCancel", None, None),
        ("Proofpoint Essentials", "3", "Cancelled", None, None),
        ("Audio Conferencing", "10", "Active", "Audio Conferencing", None),
        ("Audio Conferencing", "10", "Cancelled", None, None),
        ("Azure Plan", "1", "Active", None, "Azure Plan"),
        (PREMIUM, "5", "Trial", None, None),
        ("Withdrawn Backup", "2.5", "Activated", None, None),
        ("b0000000-0000-4000-8000-000000000005", "4", "SomethingNew", None, None),
    ]
    names = {rule.pattern: rule.name for rule in VENDORS["pax8"].endpoint("subscriptions").rules}
    assert {names.get(status) for status in found["status"]} == {None, "cancelled", "trial"}


def test_a_subscription_knows_its_commitment_its_product_and_who_bills_it(connect: Connect) -> None:
    found = replay(connect, "pax8")["subscriptions"].head(2)
    names = (
        "vendor_sku",
        "vendor_name",
        "commitment_term__term",
        "commitment_term__end_date",
        "start_date",
        "end_date",
    )
    assert rows(found, *names) == [
        ("CFQ7TTC0LCHC-0002", "Microsoft", "1-Year", "2027-03-01T13:20:13.153-0700", "2026-01-01T08:30:00Z", None),
        (None, "Proofpoint", None, None, "2026-01-01T08:30:00Z", "2026-11-30"),
    ]
    assert rows(found, "price", "partner_cost", "company__bill_on_behalf_of_enabled") == [
        ("26.4", "18.7", False),
        ("26.4", None, False),
    ]


def test_lines_are_read_for_thirteen_months_and_those_without_an_id_are_named_by_their_place(connect: Connect) -> None:
    found = replay(connect, "pax8")["invoice_items"]
    invoice = "e0000000-0000-4000-8000-000000000001"
    assert rows(found, "record_key", "type", "quantity", "sure_until") == [
        (f"{invoice}|a0000000-0000-4000-8000-000000000001", "subscription", "47", "2027-10-01"),
        (f"{invoice}|2", "prorate", "-3", "2027-10-01"),
        (f"{invoice}|201", "payment-credit", None, "2027-10-01"),
    ]


def subscription(**changes: Any) -> dict[str, Any]:
    return {"id": "s", "companyId": "c", "productId": "p", "quantity": 1, "status": "Active", **changes}


def known(*products: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {"companies": [{"id": "c"}], "products": list(products)}


def test_a_product_bought_while_the_catalogue_was_read_fails_the_scope() -> None:
    with pytest.raises(Incomplete, match="1 products were bought while"):
        pax8.completed([subscription(), subscription(productId="q")], known({"id": "p", "name": "P"}))


def test_a_catalogue_that_knows_hardly_any_product_is_not_believed() -> None:
    gone = [{"id": "q"}, {"id": "r"}]
    with pytest.raises(Incomplete, match="names 1 of the 3 products"):
        pax8.completed([subscription()], known({"id": "p", "name": "P"}, *gone))
    assert pax8.completed([subscription()], known({"id": "p", "name": "P"}, gone[0]))[0]["productName"] == "P"
    assert pax8.completed([], known()) == []


def test_subscriptions_that_name_no_product_at_all_are_another_shape() -> None:
    walk = pax8.products_bought({})
    call = next(walk)
    body = {"content": [{"id": "s"}], "page": {"totalPages": 1, "totalElements": 1}}
    with pytest.raises(UnexpectedAnswer, match="None of the 1 subscriptions names its product"):
        walk.send(Page(call, body, [], {}))


@pytest.mark.parametrize(
    ("name", "is_by_usage"),
    [("Azure Plan", True), ("Microsoft Azure Plan (P1Y)", True), ("Microsoft Azure", True), (PREMIUM, False),
     ("Microsoft Azure Information Protection", False), ("Azure Active Directory Premium P1", False)],
)  # fmt: skip
def test_azure_is_billed_by_usage_and_what_is_only_called_so_by_the_seat(name: str, is_by_usage: bool) -> None:
    (found,) = pax8.completed([subscription(productName=name)], known({"id": "p", "name": name}))
    assert found["usageName"] == (name if is_by_usage else None)


@pytest.mark.parametrize("field", ["quantity", "status", "companyId"])
def test_a_subscription_that_lacks_what_is_counted_is_set_aside(field: str) -> None:
    row = {**subscription(productName="P"), field: None}
    found = validate(pax8.Subscription, [row, subscription(id="t", productName="P")], at=AT)
    assert (len(found.kept), found.rejected_count) == (1, 1)


@pytest.mark.parametrize("text", ["01/11/2026", "2026-13-01", "1798761600", ""])
def test_a_date_that_could_not_be_cast_is_set_aside_before_it_stops_a_build(text: str) -> None:
    found = validate(pax8.Subscription, [subscription(productName="P", endDate=text)], at=AT)
    assert set(found.rejected["column_name"]) == {"end_date"}


def test_invoices_without_any_are_no_lines() -> None:
    assert list(pax8.lines_of_recent_invoices({"invoices": []})) == []


def test_an_older_application_signs_in_elsewhere() -> None:
    secrets = {"client_id": "app", "client_secret": "hush"}
    settings = {"audience": "api://p8p.client", "token_path": "oauth/token"}
    mine = Credentials("c", secrets, "https://api.pax8.com", "https://login.pax8.com", settings=settings)
    request = next(pax8.sign_in(mine).auth_flow(httpx.Request("GET", "https://api.pax8.com/v1/companies")))
    assert str(request.url) == "https://login.pax8.com/oauth/token"
    assert b'"audience":"api://p8p.client"' in request.content.replace(b": ", b":")


def test_a_product_is_known_by_the_id_it_was_asked_by() -> None:
    asked = Call("/v1/products/p", note="p", accepts=(404,))
    assert pax8.single_product(Page(asked, {"id": "P", "name": "x"}, [], {})) == [{"id": "p", "name": "x"}]
    assert pax8.single_product(Page(asked, {"status": 404, "message": "gone"}, [], {})) == [{"id": "p"}]
    assert pax8.single_product(Page(Call("/v1/subscriptions"), {"content": []}, [], {})) == []
