"""How a request proves who we are: `httpx.Auth` flows, generators without I/O of their own.

Belongs here: the ways of authenticating that vendors share. Secrets are read from the environment when a connection
is opened, and handed to the flow; a vendor page holds only their names.
"""

import base64
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable
from urllib.parse import quote

import httpx

from morton_pipeline.clock import wall
from morton_pipeline.extract.errors import (
    CredentialsRefused,
    RateLimited,
    ServerFailed,
    Transient,
    UnexpectedAnswer,
    retry_after,
)

Flow = Generator[httpx.Request, httpx.Response, None]


class TokenStore(Protocol):
    """Where rotating refresh tokens live: the ledger, encrypted."""

    def load(self, connection_id: str, seed: str) -> str | None:
        """Return the newest refresh token of the chain that `seed` began, or nothing when there is none."""
        ...

    def save(self, connection_id: str, token: str, seed: str) -> None:
        """Make a rotated refresh token durable before it is first used, with the seed its chain began with."""
        ...


@dataclass
class Credentials:
    """What a flow may use: the secrets of one connection, the hosts, the tenant, and where tokens are kept."""

    connection_id: str
    secrets: Mapping[str, str]
    base_url: str
    auth_url: str
    tenant_id: str = ""
    admin: str = ""
    """In whose name the tenant is read, where the vendor wants a person."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The settings of the connection."""
    tokens: TokenStore | None = None
    learned: set[str] = field(default_factory=set)
    """Tokens obtained while running: they are redacted like the secrets themselves."""


AuthFactory = Callable[[Credentials], httpx.Auth]


@runtime_checkable
class ReadsAnswers(Protocol):
    """A flow whose next request needs something of the last answer, or whose vendor refuses in an answer's body.

    The answer is read once, under the size cap, and handed over parsed; the flow itself leaves its stream alone.
    """

    def read_answer(self, body: Any) -> None:
        """Take what the next request needs; raise an error of `extract.errors` where the answer is a refusal."""
        ...


def refuse_for_now(response: httpx.Response) -> None:
    """Raise where a sign-in failed for a reason that passes: it is tried again, and says nothing of the credentials."""
    if response.status_code != 429 and response.status_code < 500:
        return
    failure: Transient = (
        RateLimited("The token endpoint asks us to slow down.")
        if response.status_code == 429
        else ServerFailed(f"The token endpoint answered {response.status_code}.")
    )
    failure.retry_after = retry_after(response.headers.get("retry-after"), wall())
    raise failure


def basic(username: str, password: str) -> AuthFactory:
    """HTTP Basic with two named secrets."""
    return lambda c: httpx.BasicAuth(c.secrets[username], c.secrets[password])


class _HeaderKey(httpx.Auth):
    def __init__(self, header: str, value: str) -> None:
        self.header, self.value = header, value

    def auth_flow(self, request: httpx.Request) -> Flow:
        request.headers[self.header] = self.value
        yield request


def header_key(header: str, secret: str, *, prefix: str = "") -> AuthFactory:
    """One secret in one header, e.g. `Authorization: ApiToken …`."""
    return lambda c: _HeaderKey(header, prefix + c.secrets[secret])


class _BearerToken(httpx.Auth):
    """A bearer token, fetched when there is none or it is about to expire, and once more after a 401."""

    def __init__(
        self, credentials: Credentials, ask: Callable[[], httpx.Request], keep: Callable[[dict[str, Any]], None]
    ) -> None:
        self._credentials, self._ask, self._keep = credentials, ask, keep
        self._token: str | None = None
        self._expires_at: datetime | None = None

    def auth_flow(self, request: httpx.Request) -> Flow:
        was_fresh = False
        if self._token is None or self._expires_at is None or wall() >= self._expires_at:
            self._accept((yield self._ask()))
            was_fresh = True
        request.headers["Authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code == 401 and not was_fresh:
            self._accept((yield self._ask()))
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Drive the flow; only the token's own answer is read here, the vendor's is read under the size cap."""
        flow = self.auth_flow(request)
        outgoing = next(flow)
        while True:
            # A request made outside the client has no deadline of its own and would wait for ever.
            outgoing.extensions = {**request.extensions, **outgoing.extensions}
            response = yield outgoing
            if outgoing is not request:
                await response.aread()
            try:
                outgoing = flow.send(response)
            except StopIteration:
                return

    def _accept(self, response: httpx.Response) -> None:
        refuse_for_now(response)
        try:
            body = response.json()
        except ValueError:
            body = {}
        if response.status_code >= 400:
            words = body if isinstance(body, dict) else {}
            named = words.get("error")
            said = words.get("error_description") or (named.get("message") if isinstance(named, dict) else named)
            said = said or "no reason given"
            raise CredentialsRefused(f"No token was issued ({response.status_code}): {said}")
        if not isinstance(body, dict) or not body.get("access_token"):
            raise UnexpectedAnswer("The token endpoint answered without an access token.")
        self._credentials.learned.add(str(body["access_token"]))
        self._keep(body)
        self._token = str(body["access_token"])
        self._expires_at = wall() + timedelta(seconds=_usable(_lifetime(body)))


def _lifetime(body: dict[str, Any]) -> object:
    """How many seconds a token lasts: said outright, or as the instant it ends at, in epoch seconds."""
    if body.get("expires_in") is not None or body.get("expires_on") is None:
        return body.get("expires_in")
    try:
        return float(str(body["expires_on"])) - wall().timestamp()
    except ValueError:
        return None


def _usable(lifetime: object) -> float:
    """How long a token is used: until a minute before its end, half of its life where that is longer."""
    try:
        seconds = float(str(lifetime))
    except ValueError:
        seconds = 300.0
    return max(seconds - 60, seconds / 2)


def bearer_token(c: Credentials, ask: Callable[[], httpx.Request]) -> httpx.Auth:
    """A bearer token that is asked for in a way only one vendor knows: `ask` makes the request."""
    return _BearerToken(c, ask, lambda body: None)


def client_credentials(
    token_path: str, *, scope: str | Callable[[Credentials], str], on_auth_host: bool = False
) -> AuthFactory:
    """OAuth 2 client credentials, form-encoded. `{tenant}` in the path is the tenant's id."""

    def build(c: Credentials) -> httpx.Auth:
        host = c.auth_url if on_auth_host else c.base_url
        form = {
            "grant_type": "client_credentials",
            "client_id": c.secrets["client_id"],
            "client_secret": c.secrets["client_secret"],
            "scope": scope(c) if callable(scope) else scope,
        }
        url = host + token_path.format(tenant=c.tenant_id)
        return _BearerToken(c, lambda: httpx.Request("POST", url, data=form), lambda body: None)

    return build


class _OwnRecord(_BearerToken):
    """A bearer token whose owner may ask for itself: `{client_id}` in a path becomes the client's own id."""

    def __init__(self, credentials: Credentials, ask: Callable[[], httpx.Request]) -> None:
        super().__init__(credentials, ask, lambda body: None)
        self._own_id = quote(credentials.secrets["client_id"], safe="").encode()

    def auth_flow(self, request: httpx.Request) -> Flow:
        # The id is a credential: it goes into the request itself, and never into a path that a message quotes.
        request.url = request.url.copy_with(raw_path=request.url.raw_path.replace(b"%7Bclient_id%7D", self._own_id))
        yield from super().auth_flow(request)


def client_credentials_by_basic(token_path: str) -> AuthFactory:
    """OAuth 2 client credentials, the client authenticated by Basic. `{client_id}` in a call's path is its own id."""

    def build(c: Credentials) -> httpx.Auth:
        client = base64.b64encode(f"{c.secrets['client_id']}:{c.secrets['client_secret']}".encode()).decode()
        headers = {"Authorization": f"Basic {client}", "Accept": "application/json"}
        form = {"grant_type": "client_credentials"}
        return _OwnRecord(c, lambda: httpx.Request("POST", c.base_url + token_path, data=form, headers=headers))

    return build


def password_grant(token_path: str, *, username: str, password: str, client: tuple[str, str]) -> AuthFactory:
    """OAuth 2 password grant with two named secrets. `client` is the id and secret every client of the API shares."""
    shared = base64.b64encode(":".join(client).encode()).decode()

    def build(c: Credentials) -> httpx.Auth:
        form = {"grant_type": "password", "username": c.secrets[username], "password": c.secrets[password]}
        headers = {"Authorization": f"Basic {shared}", "Accept": "application/json"}
        url = c.base_url + token_path
        return _BearerToken(c, lambda: httpx.Request("POST", url, data=form, headers=headers), lambda body: None)

    return build


def refresh_token(token_path: str) -> AuthFactory:
    """OAuth 2 refresh token, client authenticated by Basic. A rotated token is saved before it is used.

    The secret `refresh_token` is the seed of a chain: the store knows the chain's newest token. Another secret begins
    a new chain, so that a chain that broke is mended by putting a fresh token into the environment.
    """

    def build(c: Credentials) -> httpx.Auth:
        seed = c.secrets["refresh_token"]
        client = base64.b64encode(f"{c.secrets['client_id']}:{c.secrets['client_secret']}".encode()).decode()

        def current() -> str:
            stored = c.tokens.load(c.connection_id, seed) if c.tokens else None
            return stored or seed

        def ask() -> httpx.Request:
            token = current()
            c.learned.add(token)
            return httpx.Request(
                "POST",
                c.auth_url + token_path,
                data={"grant_type": "refresh_token", "refresh_token": token},
                headers={"Authorization": f"Basic {client}", "Accept": "application/json"},
            )

        def keep(body: dict[str, Any]) -> None:
            rotated = body.get("refresh_token")
            if rotated:
                c.learned.add(str(rotated))
                if c.tokens and rotated != current():
                    c.tokens.save(c.connection_id, str(rotated), seed)

        return _BearerToken(c, ask, keep)

    return build


class _Naming(httpx.Auth):
    """Says with every request whose data is meant, where one sign-in opens several companies."""

    def __init__(self, inner: httpx.Auth, header: str, value: str) -> None:
        self._inner, self._header, self._value = inner, header, value

    def auth_flow(self, request: httpx.Request) -> Flow:
        request.headers[self._header] = self._value
        return self._inner.auth_flow(request)

    def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        request.headers[self._header] = self._value
        return self._inner.async_auth_flow(request)


def naming(header: str, setting: str, factory: AuthFactory) -> AuthFactory:
    """Add a header with a setting of the connection to every request, beside what proves who we are."""
    return lambda c: _Naming(factory(c), header, str(c.settings[setting]))
