"""A vendor's sign-in page and token endpoint: consent, codes, PKCE, tokens that rotate, and the companies they open.

Belongs here: what authorisation servers check and answer, as QuickBooks, Xero and Sage do each in its own way, and a
person who consents, or does not. Does not: what the companies hold; only that an access token lets in.
"""

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

Json = Any

AUTHORISE = ("/connect/oauth2", "/identity/connect/authorize", "/oauth2/auth/central")
"""The pages of QuickBooks, Xero and Sage."""
TOKEN = ("/oauth2/v1/tokens/bearer", "/connect/token", "/token")


class Refusal(Exception):
    """An error of OAuth: its name is the exception's text."""


@dataclass
class Family:
    """What one consent led to: every token descends from it."""

    good: set[str] = field(default_factory=set)
    """Refresh tokens that would be accepted."""
    seen: set[str] = field(default_factory=set)
    parents: dict[str, str] = field(default_factory=dict)
    is_revoked: bool = False


@dataclass
class Code:
    """What a code was given for."""

    redirect: str
    challenge: str


@dataclass
class Authority:
    """One vendor's authorisation server, with one app registered and one person who may open some companies."""

    client_id: str = "app-id"
    client_secret: str = "app-secret"
    redirects: set[str] = field(default_factory=set)
    """The addresses registered with the app."""
    companies: dict[str, str] = field(default_factory=dict)
    """The names of the companies the person may open, by id."""
    tells_company: bool = False
    """Whether the redirect names the first company, as QuickBooks' does."""
    needs_pkce: bool = False
    takes_secret_in_form: bool = False
    reuse_revokes: bool = False
    """Whether a spent refresh token ends its whole family, as with Sage; else a lost answer costs nothing."""
    denies: bool = False
    """Whether the person refuses."""
    token_seconds: float = 3600
    slowness: float = 0
    """Seconds the token endpoint takes."""
    asked: Counter[str] = field(default_factory=Counter)
    """How often each grant type was asked for."""
    scopes: list[str] = field(default_factory=list)
    """The scopes each consent was asked for."""
    issued: set[str] = field(default_factory=set)
    """Every code and token there ever was: none may be found where it does not belong."""
    _codes: dict[str, Code] = field(default_factory=dict)
    _families: list[Family] = field(default_factory=list)
    _access: dict[str, tuple[Family, float]] = field(default_factory=dict)

    def consent(self, asked: Mapping[str, str]) -> str:
        """Answer the sign-in page: return where the browser is sent. Raises `Refusal` for what no page is shown for."""
        if asked.get("client_id") != self.client_id or asked.get("redirect_uri") not in self.redirects:
            raise Refusal("the app or its redirect address is not known")
        answer = {"state": asked.get("state", "")}
        self.scopes.append(asked.get("scope", ""))
        if self.needs_pkce and asked.get("code_challenge_method") != "S256":
            answer |= {"error": "invalid_request", "error_description": "A code challenge is required."}
        elif self.denies:
            answer |= {"error": "access_denied", "error_description": "The user did not allow the access."}
        else:
            code = self._new("code")
            self._codes[code] = Code(asked["redirect_uri"], asked.get("code_challenge", ""))
            answer |= {"code": code}
            if self.tells_company:
                answer |= {"realmId": next(iter(self.companies), "")}
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def exchange(self, form: Mapping[str, str]) -> Json:
        """Trade a code or a refresh token for tokens. Raises `Refusal`."""
        kind = form.get("grant_type", "")
        self.asked[kind] += 1
        if kind == "authorization_code":
            # A code is spent by being shown, whatever comes of it.
            code = self._codes.pop(form.get("code", ""), None)
            if code is None or code.redirect != form.get("redirect_uri") or not _proves(form, code.challenge):
                raise Refusal("invalid_grant")
            self._families.append(Family())
            return self._issue(self._families[-1], parent="")
        if kind == "refresh_token":
            token = form.get("refresh_token", "")
            family = next((f for f in self._families if token in f.seen), None)
            if family is None or family.is_revoked:
                raise Refusal("invalid_grant")
            if token not in family.good:
                family.is_revoked = self.reuse_revokes
                raise Refusal("invalid_grant")
            return self._issue(family, parent=token)
        raise Refusal("unsupported_grant_type")

    def seed(self) -> str:
        """Give out a refresh token by hand, as a vendor's own playground does."""
        self._families.append(Family())
        return str(self._issue(self._families[-1], parent="")["refresh_token"])

    def admits(self, header: str) -> bool:
        """Whether a request carries a token that is still good."""
        family, until = self._access.get(header.removeprefix("Bearer "), (Family(is_revoked=True), 0.0))
        return not family.is_revoked and until > time.monotonic()

    def revoke(self) -> None:
        """Disconnect the app in the vendor's settings."""
        for family in self._families:
            family.is_revoked = True

    def end_access(self) -> None:
        """Let every access token end now."""
        self._access.clear()

    def _issue(self, family: Family, parent: str) -> Json:
        access, refresh = self._new("access"), self._new("refresh")
        family.seen.add(refresh)
        if self.reuse_revokes:
            family.good = {refresh}
        else:
            # Until one of its successors is used, the parent stays good: the answer may have got lost.
            siblings = {token for token, before in family.parents.items() if before == parent}
            family.good = {parent, refresh, *siblings}
            family.parents[refresh] = parent
        self._access[access] = (family, time.monotonic() + self.token_seconds)
        return {
            "token_type": "bearer",
            "access_token": access,
            "expires_in": int(self.token_seconds),
            "refresh_token": refresh,
        }

    def _new(self, kind: str) -> str:
        token = f"{kind}-{secrets.token_hex(20)}"
        self.issued.add(token)
        return token


def _proves(form: Mapping[str, str], challenge: str) -> bool:
    if not challenge:
        return True
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == challenge


def create_app(authority: Authority) -> Starlette:
    """Make the stand-in. Every host of the three vendors is this app."""

    def reply(body: Json, status: int = 200) -> Response:
        return Response(json.dumps(body), status, media_type="application/json")

    async def authorise(request: Request) -> Response:
        try:
            return RedirectResponse(authority.consent(request.query_params), 302)
        except Refusal as refusal:
            return PlainTextResponse(str(refusal), 400)

    async def token(request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        basic = base64.b64encode(f"{authority.client_id}:{authority.client_secret}".encode()).decode()
        by_form = (form.get("client_id"), form.get("client_secret")) == (authority.client_id, authority.client_secret)
        by_basic = request.headers.get("authorization") == f"Basic {basic}"
        if not (by_form if authority.takes_secret_in_form else by_basic):
            return reply({"error": "invalid_client"}, 401)
        try:
            answer = authority.exchange(form)
        except Refusal as refusal:
            return reply({"error": str(refusal), "error_description": "Incorrect or invalid token"}, 400)
        await asyncio.sleep(authority.slowness)
        return reply(answer)

    def only_with_token(request: Request, body: Json) -> Response:
        if not authority.admits(request.headers.get("authorization", "")):
            return reply({"error": "invalid_token"}, 401)
        return reply(body)

    async def connections(request: Request) -> Response:
        listed = [
            {"id": f"c-{key}", "tenantId": key, "tenantType": "ORGANISATION", "tenantName": name}
            for key, name in authority.companies.items()
        ]
        practice = {"id": "c-p", "tenantId": "practice", "tenantType": "PRACTICE", "tenantName": "The accountants"}
        return only_with_token(request, [*listed, practice])

    async def businesses(request: Request) -> Response:
        """One business a page, so that a reader that stops after the first is noticed."""
        page, listed = int(request.query_params.get("page", 1)), list(authority.companies.items())
        items = [
            {"id": key, "displayed_as": name, "$path": f"/businesses/{key}"} for key, name in listed[page - 1 :][:1]
        ]
        following = f"/businesses?page={page + 1}" if page < len(listed) else None
        envelope = {"$total": len(listed), "$page": page, "$items_per_page": 1, "$next": following, "$items": items}
        return only_with_token(request, envelope)

    async def query(request: Request) -> Response:
        if request.path_params["realm"] not in authority.companies:
            return reply({"Fault": {"Error": [{"Message": "ApplicationAuthorizationFailed", "code": "3100"}]}}, 403)
        return only_with_token(request, {"QueryResponse": {}})

    return Starlette(
        routes=[
            *(Route(path, authorise, methods=["GET"]) for path in AUTHORISE),
            *(Route(path, token, methods=["POST"]) for path in TOKEN),
            Route("/connections", connections, methods=["GET"]),
            Route("/v3.1/businesses", businesses, methods=["GET"]),
            Route("/v3/company/{realm}/query", query, methods=["GET"]),
        ]
    )
