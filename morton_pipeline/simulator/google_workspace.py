"""A stand-in for Google Workspace: signed assertions for tokens, the licence list, and the directory of users.

Belongs here: how Google writes a tool down. Does not: what is in it. A company is a customer, an item is a licence
assigned to a user, its name is the person's and its kind the SKU's. Fact of a company: `admin`. Facts of an item:
`email`, `sku_id`, `product_id`, `suspended`, `archived`, `user_id`. The users are those of the items.

An assertion is accepted from the demo's service account only. Its signature is checked against the key in
`GOOGLE_SERVICE_ACCOUNT`, which the demo book's `.env` gives to every process of the demo; without it, its claims alone.
"""

import base64
import binascii
import json
import os
import re
import uuid
import zlib
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.clock import wall
from morton_pipeline.extract.errors import CredentialsRefused
from morton_pipeline.extract.service_account import GRANT, read_key
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.desk import Tokens, answer, form, is_form
from morton_pipeline.simulator.entities import Company, Item, Tool
from morton_pipeline.simulator.world import alive

LARGEST_PAGE, LARGEST_USER_PAGE = 1000, 500
ACCOUNT = "morton@northgate-demo.iam.gserviceaccount.com"
TOKEN_URI = "https://oauth2.googleapis.com/token"
LICENSING = "https://www.googleapis.com/auth/apps.licensing"
DIRECTORY = "https://www.googleapis.com/auth/admin.directory.user.readonly"
REFUSED_UNLESS_HELD = {"101031": "Google Workspace for Education", "101034": "Google Workspace Archived User"}
PRODUCTS = {"Google-Apps": "Google Workspace", **REFUSED_UNLESS_HELD, "Google-Vault": "Google Vault",
            "101033": "Google Voice", "101001": "Cloud Identity Free"}  # fmt: skip
NEVER = "1970-01-01T00:00:00.000Z"
Row = dict[str, Any]

_SAID = {
    400: ("Invalid Value", "invalid"),
    401: ("Invalid Credentials", "authError"),
    403: ("Not Authorized to access this resource/api", "forbidden"),
    404: ("Not Found", "notFound"),
    429: ("Rate Limit Exceeded", "rateLimitExceeded"),
    500: ("Backend Error", "backendError"),
    503: ("The service is currently unavailable.", "backendError"),
}


@cache
def demo_service_account() -> str:
    """Return the JSON key of the demo's service account, made once per process: no key is kept in the repository."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "northgate-demo",
            "private_key_id": uuid.uuid5(uuid.NAMESPACE_OID, ACCOUNT).hex,
            "private_key": private.decode(),
            "client_email": ACCOUNT,
            "token_uri": TOKEN_URI,
        }
    )


def error(status: int, message: str = "", reason: str = "") -> Any:
    """The error body Google sends."""
    said, usual = _SAID[status]
    detail = {"message": message or said, "domain": "global", "reason": reason or usual}
    return {"error": {"code": status, "message": message or said, "errors": [detail]}}


def is_token_path(path: str) -> bool:
    """Whether a request asks for a token."""
    return path.endswith("/token")


def create_app(
    tool: Tool, clock: SimulatedClock, *, token_seconds: float = 3600, page_limit: int = LARGEST_PAGE
) -> Starlette:
    """Make the app. `token_seconds` is how long a token lasts, in real time; `page_limit` is the largest page."""
    tokens = Tokens(token_seconds)

    async def token(request: Request) -> Response:
        asked = await form(request) if is_form(request) else {}
        if asked.get("grant_type") != GRANT:
            return _no_token(400, "unsupported_grant_type", f"Invalid grant_type: {asked.get('grant_type', '')}")
        admins = {_admin(company): company.id for company in alive(tool.companies, clock.now())}
        claims = _claims(asked.get("assertion", ""))
        if isinstance(claims, Response):
            return claims
        if claims.get("sub") not in admins:
            return _no_token(400, "invalid_grant", "Invalid email or User ID")
        scopes = str(claims.get("scope")).split()
        if not scopes or not set(scopes) <= {LICENSING, DIRECTORY}:
            return _no_token(401, "unauthorized_client", "Client not authorized for any of the scopes requested.")
        issued = tokens.issue(" ".join([admins[claims["sub"]], *scopes]))
        return answer({"access_token": issued, "expires_in": int(token_seconds), "token_type": "Bearer"})

    def guarded(scope: str, find: Callable[[Request, str], Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            subject = tokens.subject(request.headers.get("authorization"))
            if subject is None:
                return answer(error(401), 401)
            customer, *scopes = subject.split()
            if scope not in scopes:
                return answer(error(403, "Request had insufficient authentication scopes.", "insufficientPermissions"),
                              403)  # fmt: skip
            return find(request, customer)

        return endpoint

    def licences(request: Request, customer: str) -> Response:
        product = request.path_params["product"]
        if product not in PRODUCTS:
            return answer(error(400, f"Invalid ProductId: {product}"), 400)
        held = [i for i in alive(tool.items, clock.now()) if i.company_id == customer and _product(i) == product]
        is_refused = product in REFUSED_UNLESS_HELD and not held
        if request.query_params.get("customerId") != customer or is_refused:
            return answer(error(403, "Unauthorized operation for the given domain"), 403)
        rows = sorted((license_json(item) for item in held), key=lambda row: (row["userId"], row["skuId"]))
        return _page(request, "licensing#licenseAssignmentList", "items", rows, min(page_limit, LARGEST_PAGE))

    def users(request: Request, customer: str) -> Response:
        if request.query_params.get("customer") not in (customer, "my_customer"):
            return answer(error(403), 403)
        rows = _users(tool, customer, clock.now())
        return _page(request, "admin#directory#users", "users", rows, min(page_limit, LARGEST_USER_PAGE))

    return Starlette(
        routes=[
            Route("/token", token, methods=["POST"]),
            Route("/apps/licensing/v1/product/{product}/users", guarded(LICENSING, licences)),
            Route("/admin/directory/v1/users", guarded(DIRECTORY, users)),
        ],
        exception_handlers={404: _not_found},
    )


async def _not_found(_: Request, __: Exception) -> Response:
    return answer(error(404), 404)


def _no_token(status: int, name: str, description: str) -> Response:
    return answer({"error": name, "error_description": description}, status)


def _claims(assertion: str) -> Row | Response:
    """Read an assertion, or say what Google would say of it."""
    try:
        is_signed_well = jwt.get_unverified_header(assertion).get("alg") == "RS256"
        claims: Row = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError:
        return _no_token(400, "invalid_grant", "Invalid JWT")
    if claims.get("iss") != ACCOUNT:
        return _no_token(400, "invalid_grant", "Invalid grant: account not found")
    if not is_signed_well or not _is_signed(assertion):
        return _no_token(400, "invalid_grant", "Invalid JWT Signature.")
    now, issued_at, ends_at = wall().timestamp(), float(claims.get("iat", 0)), float(claims.get("exp", 0))
    if claims.get("aud") != TOKEN_URI or not issued_at <= now + 60 < ends_at + 60 or ends_at - issued_at > 3600:
        return _no_token(400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes).")
    return claims


def _is_signed(assertion: str) -> bool:
    """Whether the demo's own key signed it, as far as this process knows that key."""
    try:
        text = read_key(os.environ.get("GOOGLE_SERVICE_ACCOUNT", ""))["private_key"].encode()
    except CredentialsRefused:
        return True
    private = serialization.load_pem_private_key(text, None)
    try:
        jwt.decode(assertion, private.public_key(), algorithms=["RS256"], options={"verify_aud": False})  # type: ignore[arg-type]
    except jwt.PyJWTError:
        return False
    return True


def _admin(company: Company) -> str:
    return str(company.facts.get("admin") or f"admin@{company.id.lower()}.example")


def _product(item: Item) -> str:
    return str(item.facts.get("product_id", "Google-Apps"))


def _email(item: Item) -> str:
    return str(item.facts.get("email") or item.id.partition("/")[0])


def license_json(item: Item) -> Row:
    """Write a licence the way Google does: the user is the address of today."""
    sku, product = str(item.facts.get("sku_id") or item.id.partition("/")[2]), _product(item)
    path = f"apps/licensing/v1/product/{product}/sku/{sku}/user/{_email(item)}"
    return {
        "kind": "licensing#licenseAssignment",
        "etags": f'"{uuid.uuid5(uuid.NAMESPACE_OID, item.id).hex}"',
        "selfLink": f"https://licensing.googleapis.com/{path}",
        "userId": _email(item),
        "productId": product,
        "productName": PRODUCTS[product],
        "skuId": sku,
        "skuName": item.kind,
    }


def _users(tool: Tool, customer: str, now: datetime) -> list[Row]:
    """The people behind a customer's licences; its administrator alone where there are none."""
    found: dict[str, Row] = {}
    for held in tool.items:
        item = held.at(now)
        if item is not None and item.company_id == customer:
            user = user_json(customer, item.name, _email(item), item.facts, held.created_at)
            earlier = found.setdefault(user["primaryEmail"], user)
            earlier["creationTime"] = min(earlier["creationTime"], user["creationTime"])
    for life in tool.companies if not found else ():
        company = life.at(now)
        if company is not None and company.id == customer:
            found[""] = user_json(customer, "Admin", _admin(company), {}, life.created_at)
    return sorted(found.values(), key=lambda user: str(user["primaryEmail"]))


def user_json(customer: str, name: str, email: str, facts: Any, created_at: datetime) -> Row:
    """Write a user the way the directory does; one that never signed in did so in 1970."""
    given, _, family = name.rpartition(" ")
    number = zlib.crc32(email.encode())
    return {
        "kind": "admin#directory#user",
        "id": str(facts.get("user_id") or f"1{number:020d}"),
        "etag": f'"{number:08x}"',
        "primaryEmail": email,
        "name": {"givenName": given, "familyName": family, "fullName": name},
        "isAdmin": False,
        "isDelegatedAdmin": False,
        "lastLoginTime": NEVER if number % 5 == 0 else "2026-08-20T07:30:00.000Z",
        "creationTime": created_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "agreedToTerms": True,
        "suspended": bool(facts.get("suspended")),
        "archived": bool(facts.get("archived")),
        "changePasswordAtNextLogin": False,
        "emails": [{"address": email, "primary": True}],
        "customerId": customer,
        "orgUnitPath": "/",
        "isMailboxSetup": True,
    }


def _page(request: Request, kind: str, plural: str, rows: list[Row], largest: int) -> Response:
    """Cut one page: an empty list has no member of its own, and the last page no token."""
    size, given = request.query_params.get("maxResults", "100"), request.query_params.get("pageToken", "")
    try:
        start = int(base64.urlsafe_b64decode(given).decode()) if given else 0
    except (ValueError, binascii.Error):
        return answer(error(400, "Invalid Input: pageToken"), 400)
    if not size.isdigit() or not 1 <= int(size) <= (LARGEST_USER_PAGE if plural == "users" else LARGEST_PAGE):
        return answer(error(400, "Invalid value for maxResults"), 400)
    end = start + min(int(size), largest)
    body: Row = {"kind": kind, "etag": f'"{len(rows):08x}"'}
    if rows[start:end]:
        body[plural] = rows[start:end]
    if end < len(rows):
        body["nextPageToken"] = base64.urlsafe_b64encode(str(end).encode()).decode()
    mask = request.query_params.get("fields")
    return answer(masked(body, mask) if mask else body)


def masked(body: Row, mask: str) -> Row:
    """Keep what a `fields` parameter names: members of the answer, and of its list `name(member,member/member)`."""
    kept: Row = {}
    for name, inner in re.findall(r"(\w+)(?:\(([^)]*)\))?", re.sub(r",\s*", ",", mask)):
        if name not in body:
            continue
        kept[name] = [_members(row, inner.split(",")) for row in body[name]] if inner else body[name]
    return kept


def _members(row: Row, paths: list[str]) -> Row:
    kept: Row = {}
    for path in paths:
        outer, _, inner = path.partition("/")
        kept[outer] = {**kept.get(outer, {}), inner: row[outer][inner]} if inner else row[outer]
    return kept
