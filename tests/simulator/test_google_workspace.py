"""The Google Workspace stand-in: signed assertions, one customer each, page tokens, and Morton's own extractor against it."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest

from morton_pipeline.book import Connection, Tenant
from morton_pipeline.clock import wall
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import validate
from morton_pipeline.extract.service_account import GRANT
from morton_pipeline.simulator import google_workspace
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.vendors import VENDORS
from tests.contracts.conftest import spec

NOW = datetime(2026, 10, 4, 4, 30, tzinfo=UTC)
BORN = NOW - timedelta(days=90)
CONTOSO = Tenant("C0contoso", "Contoso", "admin@contoso.example")
EMPTY = Tenant("C0empty", "Empty", "admin@empty.example")
STARTER = "Google Workspace Business Starter"
KEY = "GOOGLE_SERVICE_ACCOUNT"


def seat(name: str, email: str, kind: str = STARTER, sku: str = "1010020027", **facts: Any) -> Life[Item]:
    facts = {"email": email, "sku_id": sku, "product_id": "Google-Apps", "user_id": f"1{len(email)}", **facts}
    return Life(BORN, Item(f"{email}/{sku}", CONTOSO.id, name, kind, facts=facts))


def small_tool() -> Tool:
    """Two customers; one has four users with five licences, the other nobody but its administrator."""
    companies = [Company(t.id, t.name, {"admin": t.admin}) for t in (CONTOSO, EMPTY)]
    vault = seat("Ada Park", "a@contoso.example", "Google Vault", "Google-Vault", product_id="Google-Vault")
    items = [
        seat("Ada Park", "a@contoso.example"),
        vault,
        seat("Ben Ode", "bb@contoso.example", suspended=True),
        seat("Cy Rao", "ccc@contoso.example", f"{STARTER} - Archived User", "1010340006", product_id="101034",
             archived=True),
        seat("Dee Lim", "dddd@contoso.example"),
    ]  # fmt: skip
    return Tool("google", "google_workspace", [Life(BORN, c) for c in companies], items, {STARTER: "GWS-BS"})


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, google_workspace.demo_service_account())


@pytest.fixture
def app() -> Any:
    return google_workspace.create_app(small_tool(), SimulatedClock(NOW), page_limit=2)


def ask(app: Any, method: str, path: str, **more: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())


def read(app: Any, tenants: tuple[Tenant, ...] = (CONTOSO,), **settings: Any) -> list[Extraction]:
    here = "http://127.0.0.1"
    settings = {"backoff_seconds": 0, "attempts": 1, "admin_url": here, "products": ["Google-Vault"], **settings}
    connection = Connection("google", "google_workspace", here, here, {"service_account": KEY}, settings, None, tenants)
    vendor = replace(VENDORS["google_workspace"], rate=None)
    return fetch(connection, vendor, at=NOW, transport=httpx.ASGITransport(app))


def test_every_record_arrives_and_none_is_rejected(app: Any) -> None:
    found = {extraction.endpoint: extraction for extraction in read(app)}
    assert {name: (len(e.rows or ()), e.error) for name, e in found.items()} == {
        "users": (4, ""),
        "license_assignments": (5, ""),
    }
    for name, extraction in found.items():
        result = validate(VENDORS["google_workspace"].endpoint(name).record, extraction.rows or [], at=NOW)
        assert result.rejected.to_dict("records") == []
    licences = found["license_assignments"].rows or []
    assert {(row["user"]["name"]["fullName"], row["skuName"], row["user"]["suspended"]) for row in licences} == {
        ("Ada Park", STARTER, False),
        ("Ada Park", "Google Vault", False),
        ("Ben Ode", STARTER, True),
        ("Cy Rao", f"{STARTER} - Archived User", False),
        ("Dee Lim", STARTER, False),
    }


def test_a_customer_without_licences_is_a_known_zero_with_its_administrator(app: Any) -> None:
    users, licences = read(app, (EMPTY,))
    assert [row["primaryEmail"] for row in users.rows or ()] == [EMPTY.admin]
    assert (licences.rows, licences.error) == ([], "")


@pytest.mark.parametrize(
    ("tenant", "words"),
    [
        (replace(CONTOSO, admin="nobody@contoso.example"), "Invalid email or User ID"),
        (replace(CONTOSO, admin=EMPTY.admin), "Not Authorized to access this resource/api"),
        (Tenant("C0contoso", "Contoso"), "Invalid email or User ID"),
    ],
    ids=["unknown", "another customer's", "none"],
)
def test_case_3_a_customer_with_a_wrong_administrator_fails_alone(app: Any, tenant: Tenant, words: str) -> None:
    found = read(app, (tenant, EMPTY))
    assert {e.tenant_id for e in found if e.rows is not None} == {EMPTY.id}
    assert [e.error for e in found if e.endpoint == "users" and words in e.error]


def test_a_token_that_ended_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    brief = google_workspace.create_app(small_tool(), SimulatedClock(NOW), token_seconds=0.2)
    assert all(e.rows for e in read(brief))
    ended = google_workspace.create_app(small_tool(), SimulatedClock(NOW), token_seconds=-1)
    assert all(e.rows is None and e.kind for e in read(ended))


def claims(**changes: Any) -> dict[str, Any]:
    scopes = f"{google_workspace.LICENSING} {google_workspace.DIRECTORY}"
    now = wall()
    good = {"iss": google_workspace.ACCOUNT, "sub": CONTOSO.admin, "scope": scopes, "iat": now,
            "exp": now + timedelta(hours=1), "aud": google_workspace.TOKEN_URI}  # fmt: skip
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def sign_in(app: Any, content: dict[str, Any], key: str = "", algorithm: str = "RS256") -> httpx.Response:
    signed = jwt.encode(content, key or json.loads(google_workspace.demo_service_account())["private_key"], algorithm)
    return ask(app, "POST", "/token", data={"grant_type": GRANT, "assertion": signed})


@pytest.fixture
def other_key() -> str:
    """Another account's key."""
    return str(json.loads(google_workspace.demo_service_account.__wrapped__())["private_key"])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"iss": "somebody@else.example"}, "invalid_grant"),
        ({"sub": None}, "invalid_grant"),
        ({"aud": "https://elsewhere.example/token"}, "invalid_grant"),
        ({"exp": wall() - timedelta(hours=1)}, "invalid_grant"),
        ({"exp": wall() + timedelta(hours=3)}, "invalid_grant"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, "unauthorized_client"),
        ({"scope": ""}, "unauthorized_client"),
    ],
    ids=["issuer", "no admin", "audience", "ended", "too long", "scope", "no scope"],
)
def test_an_assertion_that_claims_something_else_is_refused(app: Any, change: dict[str, Any], error: str) -> None:
    assert sign_in(app, claims()).status_code == 200
    assert sign_in(app, claims(**change)).json()["error"] == error


def test_an_assertion_by_another_key_or_algorithm_is_refused(
    app: Any, other_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sign_in(app, claims(), other_key).json()["error_description"] == "Invalid JWT Signature."
    assert sign_in(app, claims(), "a shared secret of no use here, long enough", "HS256").status_code == 400
    monkeypatch.delenv(KEY)
    assert sign_in(app, claims(), other_key).status_code == 200


@pytest.mark.parametrize("form", [{}, {"grant_type": "password"}, {"grant_type": GRANT, "assertion": "x.y"}],
                         ids=["nothing", "another grant", "no assertion"])  # fmt: skip
def test_what_is_no_assertion_gets_no_token(app: Any, form: dict[str, str]) -> None:
    assert ask(app, "POST", "/token", data=form).status_code == 400


@pytest.fixture
def signed_in(app: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {sign_in(app, claims()).json()['access_token']}"}


LICENCES = "/apps/licensing/v1/product/{}/users"


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        (LICENCES.format("Google-Apps"), {"customerId": CONTOSO.id}, 200),
        (LICENCES.format("Google-Apps"), {"customerId": EMPTY.id}, 403),
        (LICENCES.format("Google-Apps"), {"customerId": CONTOSO.id, "maxResults": "1001"}, 400),
        (LICENCES.format("Google-Apps"), {"customerId": CONTOSO.id, "pageToken": "?"}, 400),
        (LICENCES.format("101031"), {"customerId": CONTOSO.id}, 403),
        (LICENCES.format("101033"), {"customerId": CONTOSO.id}, 200),
        (LICENCES.format("Google-Nothing"), {"customerId": CONTOSO.id}, 400),
        ("/admin/directory/v1/users", {"customer": "my_customer"}, 200),
        ("/admin/directory/v1/users", {"customer": EMPTY.id}, 403),
        ("/admin/directory/v1/users", {"customer": CONTOSO.id, "maxResults": "501"}, 400),
        ("/admin/directory/v1/groups", {}, 404),
    ],
)
def test_each_request_is_answered_as_google_would(
    app: Any, signed_in: dict[str, str], path: str, params: dict[str, str], status: int
) -> None:
    response = ask(app, "GET", path, params=params, headers=signed_in)
    assert response.status_code == status
    assert ("error" in response.json()) is (status != 200)
    assert ask(app, "GET", path, params=params).status_code in (401, 404)


def test_a_token_opens_only_what_it_was_asked_for(app: Any) -> None:
    token = sign_in(app, claims(scope=google_workspace.LICENSING)).json()["access_token"]
    response = ask(app, "GET", "/admin/directory/v1/users", params={"customer": CONTOSO.id},
                   headers={"Authorization": f"Bearer {token}"})  # fmt: skip
    assert (response.status_code, response.json()["error"]["errors"][0]["reason"]) == (403, "insufficientPermissions")


def test_an_empty_list_has_no_items_and_a_mask_leaves_out_the_rest(app: Any, signed_in: dict[str, str]) -> None:
    empty = ask(app, "GET", LICENCES.format("101033"), params={"customerId": CONTOSO.id}, headers=signed_in).json()
    assert set(empty) == {"kind", "etag"}
    params = {"customer": CONTOSO.id, "fields": "nextPageToken,users(id,name/fullName)"}
    masked = ask(app, "GET", "/admin/directory/v1/users", params=params, headers=signed_in).json()
    assert set(masked) == {"nextPageToken", "users"}
    assert masked["users"][0] == {"id": "117", "name": {"fullName": "Ada Park"}}


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_errors_have_the_shape_of_google_s(status: int) -> None:
    assert google_workspace.error(status)["error"]["code"] == status
    assert google_workspace.is_token_path("/google/token")
    assert not google_workspace.is_token_path("/google/admin/directory/v1/users")


@pytest.mark.contract
def test_licences_have_the_members_google_describes(app: Any, signed_in: dict[str, str]) -> None:
    described = json.loads(spec("google-workspace/licensing_v1_excerpt.json").read_text("utf-8"))
    schemas, method = described["schemas"], described["methods"]["listForProduct"]
    path = "/" + method["path"].replace("{productId}", "Google-Apps")
    params = {"customerId": CONTOSO.id, "maxResults": "1"}
    assert set(params) <= set(method["parameters"])
    body = ask(app, "GET", path, params=params, headers=signed_in).json()
    assert set(body) == set(schemas["LicenseAssignmentList"])
    assert body["kind"] == schemas["LicenseAssignmentList"]["kind"]
    assert set(body["items"][0]) == set(schemas["LicenseAssignment"])
    assert body["items"][0]["kind"] == schemas["LicenseAssignment"]["kind"]
