"""A stand-in for Microsoft's login and Graph: one token per tenant, `@odata.nextLink`, `$batch`, OData errors.

Belongs here: how Microsoft writes the world down. Does not: what is in the world.
"""

import base64
import binascii
import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.simulator import credentials
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.desk import Tokens, answer, dumps, form
from morton_pipeline.simulator.entities import Sku, User
from morton_pipeline.simulator.names import SKUS
from morton_pipeline.simulator.world import TenantState, World, alive

GRAPH = "https://graph.microsoft.com"
LARGEST_BATCH = 20
DEFAULT_USER_FIELDS = (
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
)


@dataclass
class Directory:
    """What login and Graph share: the tokens handed out, and the tenants that no longer consent."""

    world: World
    clock: SimulatedClock
    client: credentials.OAuthClient = credentials.MICROSOFT
    token_seconds: float = 3599
    page_size: int = 25
    """The most users Graph puts on a page, however many were asked for."""
    without_consent: set[str] = field(default_factory=set)
    """Tenants whose administrator took the consent back."""
    tokens: Tokens = field(init=False)
    pages: dict[str, tuple[int, dict[str, bytes]]] = field(default_factory=dict)
    """Answers already written, by tenant: good for one revision of it."""

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.token_seconds)

    def tenant_of(self, headers: dict[str, str]) -> str | None:
        """Return the tenant a request speaks for."""
        return self.tokens.subject(headers.get("authorization"))


def create_login(directory: Directory) -> Starlette:
    """Make the login app: client credentials, one tenant at a time."""

    async def token(request: Request) -> Response:
        tenant_id, asked = str(request.path_params["tenant"]).lower(), await form(request)
        if directory.world.tenant_at(tenant_id, directory.clock.now()) is None:
            return _no_token(400, "invalid_request", 90002, f"Tenant '{tenant_id}' not found.", directory)
        if asked.get("client_id") != directory.client.id:
            return _no_token(
                400,
                "unauthorized_client",
                700016,
                f"Application was not found in the directory '{tenant_id}'.",
                directory,
            )
        if asked.get("client_secret") != directory.client.secret:
            return _no_token(401, "invalid_client", 7000215, "Invalid client secret provided.", directory)
        if asked.get("grant_type") != "client_credentials":
            return _no_token(400, "unsupported_grant_type", 70003, "The grant type is not supported.", directory)
        if asked.get("scope") != f"{GRAPH}/.default":
            return _no_token(400, "invalid_scope", 70011, "The provided value for scope is not valid.", directory)
        if tenant_id in directory.without_consent:
            said = f"Application was not found in the directory '{tenant_id}'; no administrator has consented."
            return _no_token(400, "unauthorized_client", 700016, said, directory)
        lifetime = int(directory.token_seconds)
        body = {
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": directory.tokens.issue(tenant_id),
        }
        return answer(body, headers={"Cache-Control": "no-store, no-cache"})

    return Starlette(routes=[Route("/{tenant}/oauth2/v2.0/token", token, methods=["POST"])])


def _no_token(status: int, error: str, code: int, said: str, directory: Directory) -> Response:
    trace, stamp = str(uuid.uuid4()), directory.clock.now().strftime("%Y-%m-%d %H:%M:%SZ")
    body = {
        "error": error,
        "error_description": f"AADSTS{code}: {said} Trace ID: {trace} Timestamp: {stamp}",
        "error_codes": [code],
        "timestamp": stamp,
        "trace_id": trace,
        "correlation_id": str(uuid.uuid4()),
    }
    return answer(body, status)


class GraphError(Exception):
    """Graph refuses, in its own words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def error_body(code: str, message: str, now: datetime, request_id: str) -> dict[str, Any]:
    """Write an error the way Graph does."""
    inner = {"date": now.strftime("%Y-%m-%dT%H:%M:%S"), "request-id": request_id, "client-request-id": request_id}
    return {"error": {"code": code, "message": message, "innerError": inner}}


def create_graph(directory: Directory) -> Starlette:
    """Make the Graph app."""

    def state_of(request: Request) -> TenantState:
        header = request.headers.get("authorization")
        tenant_id = directory.tokens.subject(header)
        if tenant_id is None:
            said = "Access token is empty." if not header else "Lifetime validation failed, the token is expired."
            raise GraphError(401, "InvalidAuthenticationToken", said)
        state = directory.world.tenant_at(tenant_id, directory.clock.now())
        if state is None:
            raise GraphError(404, "Request_ResourceNotFound", "The tenant does not exist.")
        if tenant_id in directory.without_consent:
            raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        return state

    async def subscribed_skus(request: Request) -> Response:
        state = state_of(request)
        if unknown := set(request.query_params) - {"$select"}:
            raise GraphError(
                400, "Request_UnsupportedQuery", f"The query option {sorted(unknown)[0]} is not supported here."
            )
        rows = [sku_json(sku, state) for sku in state.skus]
        return _graph_answer({"@odata.context": _context("subscribedSkus"), "value": rows})

    async def subscriptions(request: Request) -> Response:
        state = state_of(request)
        rows = [subscription_json(sku, state) for sku in state.skus]
        return _graph_answer({"@odata.context": _context("directory/subscriptions"), "value": rows})

    async def users(request: Request) -> Response:
        state = state_of(request)
        revision, written = directory.pages.get(state.tenant.id, (-1, {}))
        if revision != state.revision:
            written = {}
            directory.pages[state.tenant.id] = (state.revision, written)
        if (key := str(request.url)) not in written:
            written[key] = dumps(_users_page(request, state, directory.page_size))
        return _graph_answer(written[key])

    async def mailbox(request: Request) -> Response:
        state = state_of(request)
        status, body = _mailbox(state, str(request.path_params["id"]), directory.clock.now())
        return _graph_answer(body, status)

    async def batch(request: Request) -> Response:
        state = state_of(request)
        try:
            asked = json.loads(await request.body())["requests"]
            wanted = [(str(r["id"]), str(r["method"]), str(r["url"])) for r in asked]
        except (ValueError, KeyError, TypeError):
            raise GraphError(400, "BadRequest", "Invalid batch payload format.") from None
        if not 1 <= len(wanted) <= LARGEST_BATCH or len({number for number, _, _ in wanted}) != len(wanted):
            raise GraphError(400, "BadRequest", f"A batch holds 1 to {LARGEST_BATCH} requests, each with its own id.")
        answers = [_in_batch(state, number, method, url, directory.clock.now()) for number, method, url in wanted]
        # Graph promises no order.
        return _graph_answer({"responses": answers[::-1]})

    async def customers(request: Request) -> Response:
        partner = state_of(request)
        top = _top(request, 300, 100)
        found = [t for t in alive(directory.world.tenants, directory.clock.now()) if t.id != partner.tenant.id]
        rows = [
            {
                "@odata.type": "#microsoft.graph.delegatedAdminCustomer",
                "id": t.id,
                "tenantId": t.id,
                "displayName": t.name,
            }
            for t in found
        ]
        context = f"{GRAPH}/v1.0/tenantRelationships/$metadata#delegatedAdminCustomers"
        return _graph_answer(_odata_page(request, context, rows, min(top, directory.page_size)))

    async def refused(_: Request, failure: Exception) -> Response:
        if not isinstance(failure, GraphError):
            return _graph_failure(500, "InternalServerError", "Something went wrong.", directory.clock.now())
        return _graph_failure(failure.status, failure.code, failure.message, directory.clock.now())

    async def not_found(request: Request, _: Exception) -> Response:
        said = f"Resource not found for the segment '{request.url.path.rsplit('/', 1)[-1]}'."
        return _graph_failure(404, "Request_ResourceNotFound", said, directory.clock.now())

    return Starlette(
        routes=[
            Route("/v1.0/subscribedSkus", subscribed_skus),
            Route("/v1.0/directory/subscriptions", subscriptions),
            Route("/v1.0/users", users),
            Route("/v1.0/users/{id}/mailboxSettings", mailbox),
            Route("/v1.0/$batch", batch, methods=["POST"]),
            Route("/v1.0/tenantRelationships/delegatedAdminCustomers", customers),
        ],
        exception_handlers={GraphError: refused, 404: not_found},
    )


def _context(entity: str) -> str:
    return f"{GRAPH}/v1.0/$metadata#{entity}"


def _graph_answer(body: Any, status: int = 200, request_id: str = "") -> Response:
    request_id = request_id or str(uuid.uuid4())
    return answer(body, status, {"request-id": request_id, "client-request-id": request_id, "OData-Version": "4.0"})


def _graph_failure(status: int, code: str, message: str, now: datetime) -> Response:
    request_id = str(uuid.uuid4())
    return _graph_answer(error_body(code, message, now, request_id), status, request_id)


def _top(request: Request, largest: int, default: int) -> int:
    text = request.query_params.get("$top", str(default))
    if not text.isdigit() or not 1 <= int(text) <= largest:
        raise GraphError(
            400,
            "Request_UnsupportedQuery",
            f"Invalid page size specified: '{text}'. Must be between 1 and {largest} inclusive.",
        )
    return int(text)


def _odata_page(request: Request, context: str, rows: list[dict[str, Any]], size: int) -> dict[str, Any]:
    """Cut one page and, where more follows, say where; the link carries an opaque token."""
    start = 0
    if token := request.query_params.get("$skiptoken"):
        try:
            start = int(base64.urlsafe_b64decode(token).decode().removeprefix("page-"))
        except (ValueError, binascii.Error):
            raise GraphError(400, "Directory_ExpiredPageToken", "The specified page token value has expired.") from None
    body: dict[str, Any] = {"@odata.context": context}
    if start + size < len(rows):
        options = [(k, v) for k, v in request.query_params.multi_items() if k != "$skiptoken"]
        options.append(("$skiptoken", base64.urlsafe_b64encode(f"page-{start + size}".encode()).decode()))
        query = "&".join(f"{k}={quote(v, safe=',')}" for k, v in options)
        body["@odata.nextLink"] = f"{request.url.scheme}://{request.url.netloc}{request.url.path}?{query}"
    body["value"] = rows[start : start + size]
    return body


def _users_page(request: Request, state: TenantState, page_size: int) -> dict[str, Any]:
    if unknown := set(request.query_params) - {"$select", "$top", "$skiptoken"}:
        raise GraphError(
            400, "Request_UnsupportedQuery", f"The query option {sorted(unknown)[0]} is not supported by this stand-in."
        )
    size = min(_top(request, 999, 100), page_size)
    select = request.query_params.get("$select")
    fields = tuple(name.strip() for name in select.split(",")) if select else DEFAULT_USER_FIELDS
    if "mailboxSettings" in fields:
        raise GraphError(501, "NotImplemented", "mailboxSettings cannot be selected for a collection of users.")
    known = _USER_FIELDS | set(DEFAULT_USER_FIELDS)
    if unknown := set(fields) - known:
        raise GraphError(
            400, "BadRequest", f"Could not find a property named '{sorted(unknown)[0]}' on type 'microsoft.graph.user'."
        )
    rows = [user_json(user, state, fields) for user in state.users]
    context = _context("users") + (f"({','.join(fields)})" if select else "")
    return _odata_page(request, context, rows, size)


_USER_FIELDS = {
    "id",
    "displayName",
    "userPrincipalName",
    "mail",
    "accountEnabled",
    "userType",
    "department",
    "assignedLicenses",
    "licenseAssignmentStates",
    "createdDateTime",
    "onPremisesSyncEnabled",
    "givenName",
    "surname",
}


def iso(instant: datetime) -> str:
    """Write an instant as Graph does."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sku_guid(part: str, user: User) -> str:
    """Write a SKU's id; Graph mixes upper and lower case between records."""
    return SKUS[part].upper() if int(user.id[0], 16) % 4 == 0 else SKUS[part]


def user_json(user: User, state: TenantState, fields: tuple[str, ...]) -> dict[str, Any]:
    """Write the selected properties of an account."""
    whole: dict[str, Any] = {
        "id": user.id,
        "displayName": user.display_name,
        "givenName": user.given_name,
        "surname": user.surname,
        "userPrincipalName": user.principal,
        "mail": user.mail,
        "accountEnabled": user.is_enabled,
        "userType": user.user_type,
        "department": None,
        "createdDateTime": iso(state.created_at[user.id]),
        "onPremisesSyncEnabled": None,
        "assignedLicenses": [{"disabledPlans": [], "skuId": sku_guid(part, user)} for part in user.licenses()],
        "businessPhones": [],
        "jobTitle": None,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
    }
    if "licenseAssignmentStates" in fields:
        group = str(uuid.uuid5(uuid.NAMESPACE_DNS, state.tenant.domain))
        stamp = iso(state.created_at[user.id])
        held = [(part, None) for part in user.skus] + [(part, group) for part in user.group_skus]
        whole["licenseAssignmentStates"] = [
            {
                "skuId": SKUS[part],
                "assignedByGroup": by,
                "disabledPlans": [],
                "error": "None",
                "lastUpdatedDateTime": stamp,
                "state": "Active",
            }
            for part, by in held
        ]
    return {name: whole[name] for name in fields}


def _plan(part: str, is_enabled: bool) -> dict[str, Any]:
    return {
        "servicePlanId": str(uuid.uuid5(uuid.NAMESPACE_OID, part)),
        "servicePlanName": f"{part.upper()}_PLAN",
        "provisioningStatus": "Success" if is_enabled else "Disabled",
        "appliesTo": "User",
    }


def sku_json(sku: Sku, state: TenantState) -> dict[str, Any]:
    """Write a subscribed SKU; what is consumed is counted from the accounts."""
    return {
        "accountName": state.tenant.domain.split(".")[0],
        "accountId": str(uuid.uuid5(uuid.NAMESPACE_DNS, state.tenant.id)),
        "appliesTo": sku.applies_to,
        "capabilityStatus": sku.status,
        "consumedUnits": sum(sku.part in user.licenses() for user in state.users),
        "id": f"{sku.tenant_id}_{SKUS[sku.part]}",
        "prepaidUnits": {
            "enabled": sku.enabled,
            "lockedOut": sku.locked_out,
            "suspended": sku.suspended,
            "warning": sku.warning,
        },
        "servicePlans": [_plan(sku.part, sku.status == "Enabled")],
        "skuId": SKUS[sku.part],
        "skuPartNumber": sku.part,
        "subscriptionIds": [_subscription_id(sku)],
    }


def _subscription_id(sku: Sku) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{sku.tenant_id}/{sku.part}"))


def subscription_json(sku: Sku, state: TenantState) -> dict[str, Any]:
    """Write the subscription behind a SKU."""
    return {
        "createdDateTime": "2024-02-01T00:00:00Z",
        "commerceSubscriptionId": str(uuid.uuid5(uuid.NAMESPACE_URL, _subscription_id(sku))),
        "id": _subscription_id(sku),
        "isTrial": sku.part in ("POWERAPPS_VIRAL", "TEAMS_EXPLORATORY"),
        "nextLifecycleDateTime": "2027-02-01T00:00:00Z",
        "serviceStatus": [_plan(sku.part, sku.status == "Enabled")],
        "skuId": SKUS[sku.part],
        "skuPartNumber": sku.part,
        "status": sku.status,
        "totalLicenses": sku.enabled + sku.warning + sku.suspended + sku.locked_out,
        "ownerId": None,
        "ownerTenantId": state.tenant.id,
        "ownerType": "User",
    }


def _mailbox(state: TenantState, user_id: str, now: datetime) -> tuple[int, dict[str, Any]]:
    request_id = str(uuid.uuid4())
    user = next((u for u in state.users if user_id in (u.id, u.principal)), None)
    if user is None:
        return 404, error_body("ErrorInvalidUser", f"The requested user '{user_id}' is invalid.", now, request_id)
    if user.mailbox_status == 403:
        return 403, error_body(
            "ErrorAccessDenied", "Access is denied. Check credentials and try again.", now, request_id
        )
    if user.mailbox_status == 404 or not user.licenses():
        said = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
        return 404, error_body("MailboxNotEnabledForRESTAPI", said, now, request_id)
    context = f"{GRAPH}/v1.0/$metadata#users('{user.id}')/mailboxSettings"
    return 200, {"@odata.context": context, "userPurpose": user.purpose}


def _in_batch(state: TenantState, number: str, method: str, url: str, now: datetime) -> dict[str, Any]:
    parts = urlsplit(url)
    match = re.fullmatch(r"/users/([^/]+)/mailboxSettings", parts.path)
    if method != "GET" or match is None or set(parse_qs(parts.query)) - {"$select"}:
        status, body = (
            400,
            error_body("BadRequest", "This stand-in answers only mailbox settings in a batch.", now, str(uuid.uuid4())),
        )
    else:
        status, body = _mailbox(state, match[1], now)
    return {"id": number, "status": status, "headers": {"Content-Type": "application/json"}, "body": body}
