"""Google's recorded traffic becomes users, and one record per user and SKU that knows whose it is."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Tenant
from morton_pipeline.extract.errors import PermissionMissing, UnexpectedAnswer
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.pages import Call, Page
from morton_pipeline.extract.records import columns, snake, validate
from morton_pipeline.vendors import VENDORS, google_workspace
from tests.conftest import Connect
from tests.contracts.conftest import spec
from tests.vendors.replay import AT, replay, rows

VENDOR = replace(VENDORS["google_workspace"], rate=None)
STARTER = "1010020027"
NOT_THEIRS = {"error": {"code": 403, "message": "Unauthorized operation for the given domain"}}


def test_google_workspace(connect: Connect) -> None:
    found = replay(connect, "google_workspace")
    assert rows(found["users"], "record_key", "primary_email", "name__full_name", "suspended", "archived") == [
        ("1001", "ada@contoso.example", "Ada Park", False, False),
        ("1002", "ben@contoso.example", "Ben Ode", True, False),
        ("1003", "cy@contoso.example", "Cy Rao", False, True),
        ("1004", "dee@contoso.example", "Dee Lim", False, False),
    ]
    names = ("record_key", "user__name__full_name", "user__suspended", "user__archived", "sku_name")
    starter = "Google Workspace Business Starter"
    assert rows(found["license_assignments"], *names) == [
        (f"1001|{STARTER}", "Ada Park", False, False, starter),
        (f"1002|{STARTER}", "Ben Ode", True, False, starter),
        (f"1004|{STARTER}", "Dee Lim", False, False, starter),
        (f"new@contoso.example|{STARTER}", None, None, None, starter),
        ("1003|1010340006", "Cy Rao", False, True, f"{starter} - Archived User"),
    ]


class Google:
    """One user who holds one licence; what a product is answered with can be replaced."""

    def __init__(self, answers: dict[str, tuple[int, Any]], **user: Any) -> None:
        self.answers, self.user, self.asked = answers, user, list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": "bearer-1", "expires_in": 3600})
        if request.url.host == "admin.googleapis.com":
            return httpx.Response(200, json={"users": [{"id": "1", "primaryEmail": "a@x.test", **self.user}]})
        product = request.url.path.split("/")[-2]
        held = {"userId": "a@x.test", "productId": product, "skuId": f"{product}-1"}
        body = {"kind": "licensing#licenseAssignmentList", "items": [held]}
        status, answer = self.answers.get(product, (200, body))
        return httpx.Response(status, json=answer)

    def products(self) -> list[str]:
        return [r.url.path.split("/")[-2] for r in self.asked if r.url.host == "licensing.googleapis.com"]


def read(connect: Connect, google: Google, **settings: Any) -> Extraction:
    connection = connect("google_workspace", tenants=(Tenant("C01", "Contoso", "admin@x.test"),), settings=settings)
    return fetch(connection, VENDOR, at=AT, transport=httpx.MockTransport(google))[1]


def test_each_customer_is_asked_for_by_its_own_id_on_the_host_that_knows(connect: Connect) -> None:
    google = Google({})
    assert len(read(connect, google).rows or ()) == 3
    sent = {(r.url.host, r.url.params.get("customer") or r.url.params.get("customerId")) for r in google.asked}
    assert sent == {
        ("oauth2.googleapis.com", None),
        ("admin.googleapis.com", "C01"),
        ("licensing.googleapis.com", "C01"),
    }


def test_further_products_are_asked_for_where_the_connection_names_them(connect: Connect) -> None:
    google = Google({})
    assert len(read(connect, google, products=["Google-Vault", "101031"]).rows or ()) == 4
    assert google.products() == ["Google-Apps", "101031", "101034", "Google-Vault"]


def test_a_product_that_is_not_the_customer_s_is_no_failure(connect: Connect) -> None:
    found = read(connect, Google({"101031": (403, NOT_THEIRS), "101034": (403, NOT_THEIRS)}))
    assert [row["productId"] for row in found.rows or ()] == ["Google-Apps"]


@pytest.mark.parametrize(
    ("product", "status", "body"),
    [
        ("Google-Apps", 403, NOT_THEIRS),
        ("101031", 403, {"error": {"code": 403, "message": "Request had insufficient authentication scopes."}}),
        ("101031", 403, {"error": {"code": 403, "message": "x", "errors": [{"reason": "rateLimitExceeded"}]}}),
        ("101031", 400, {"error": {"code": 400, "message": "Invalid ProductId: 101031"}}),
        ("101031", 404, NOT_THEIRS),
        ("101031", 200, {"kind": "licensing#licenseAssignmentList", "licences": []}),
        ("101031", 200, {"items": []}),
    ],
    ids=["workspace", "scopes", "too-many", "no-product", "no-address", "renamed", "another-kind"],
)
def test_any_other_refusal_leaves_the_licences_unknown(connect: Connect, product: str, status: int, body: Any) -> None:
    found = read(connect, Google({product: (status, body)}), attempts=1)
    assert found.rows is None
    assert "google_workspace: " in found.error


def test_where_users_are_archived_their_licences_must_be_answered(connect: Connect) -> None:
    found = read(connect, Google({"101034": (403, NOT_THEIRS)}, archived=True))
    assert found.rows is None
    assert "Unauthorized operation" in found.error


def test_a_refusal_half_way_through_a_product_is_not_the_end_of_its_list() -> None:
    call = Call("/list", {"pageToken": "x"}, note="101031", accepts=(403,))
    with pytest.raises(PermissionMissing, match="product 101031"):
        google_workspace.licences(Page(call, NOT_THEIRS, [], {}))


def test_an_empty_list_is_a_known_zero() -> None:
    body = {"kind": "licensing#licenseAssignmentList", "etag": "e"}
    assert google_workspace.licences(Page(Call("/list"), body, [], {})) == []
    with pytest.raises(UnexpectedAnswer):
        google_workspace.accounts(Page(Call("/list"), {"usersNew": []}, [], {}))


def test_a_licence_of_somebody_the_directory_does_not_list_counts_under_the_address() -> None:
    held = [{"userId": f"{n}@x.test", "skuId": "s", "productId": "p"} for n in range(3)]
    found = google_workspace.with_users(held, {"users": [{"id": "1", "primaryEmail": "0@x.test"}]})
    result = validate(google_workspace.LicenseAssignment, found, at=AT)
    assert list(result.kept["record_key"]) == ["1|s", "1@x.test|s", "2@x.test|s"]


def test_a_sku_without_a_name_is_called_by_its_id() -> None:
    held = [{"userId": "a@x.test", "skuId": "s1"}]
    (found,) = google_workspace.with_users(held, {"users": [{"id": "1", "primaryEmail": "A@x.test"}]})
    assert (found["skuName"], found["user"]["id"]) == ("s1", "1")


@pytest.mark.contract
def test_every_column_of_a_licence_is_a_member_google_describes_or_the_user_s() -> None:
    described = json.loads(spec("google-workspace/licensing_v1_excerpt.json").read_text("utf-8"))
    members = {snake(name) for name in described["schemas"]["LicenseAssignment"]}
    names = {c.name for c in columns(google_workspace.LicenseAssignment) if not c.name.startswith("user__")}
    assert names == members - {"kind", "etags", "self_link"}
    assert google_workspace.SCOPES[0] == described["scope"]
    assert VENDOR.base_url == described["baseUrl"].rstrip("/")
