"""How a request proves who we are: `httpx.Auth` flows, generators without I/O of their own.

Belongs here: the ways of authenticating that vendors share. Secrets are read from the environment when a connection
is opened, and handed to the flow; a vendor page holds only their names.
"""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable
from urllib.parse import quote

import httpx

from morton_pipeline.clock import wall
from morton_pipeline.extract.errors import (
    CredentialsRefused,
    RateLimited,
    ServerFailed,
    SignedOut,
    Transient,
    UnexpectedAnswer,
    Unreachable,
    retry_after,
)

Flow = Generator[httpx.Request, httpx.Response, None]
Steps = Generator[httpx.Request | float, Any, None]
"""A flow that may also pause for some seconds: whoever drives it sleeps in the way of its own."""

LONGEST_TURN = 120.0
"""Seconds one process waits while another one renews a token: longer than any token request may take."""
LOOK_AGAIN = 0.05
"""Seconds between two looks at whether it is our turn."""
SAID = 300
"""Characters of a vendor's refusal that are remembered."""


@dataclass(frozen=True)
class Grant:
    """What a person's consent is worth at present."""

    refresh_token: str = field(repr=False)
    access_token: str = field(default="", repr=False)
    """The token last issued, so that no process renews what another one has renewed already."""
    usable_until: datetime | None = None
    """When it is time for the next one."""
    refused: str = ""
    """Why the vendor renews it no more; the vendor is not asked again."""


class TokenStore(Protocol):
    """Where grants live, and whose turn it is to renew one: the ledger, encrypted."""

    def load(self, connection_id: str, seed: str) -> Grant | None:
        """Return what became of the chain that `seed` began, without a seed of the only one, or nothing."""
        ...

    def save(self, connection_id: str, grant: Grant, seed: str) -> None:
        """Make a grant durable before it is first used, with the seed its chain began with, if any."""
        ...

    def try_turn(self, connection_id: str) -> Callable[[], None] | None:
        """Begin this process's turn and return what ends it, or nothing while somebody else has it.

        A turn ends with its process at the latest.
        """
        ...


def turn(tokens: TokenStore, connection_id: str) -> Generator[float, None, Callable[[], None]]:
    """Wait for this process's turn, pausing as whoever drives this likes, and return what ends it."""
    began = time.monotonic()
    while (end := tokens.try_turn(connection_id)) is None:
        if time.monotonic() - began > LONGEST_TURN:
            raise Unreachable(
                f"Another process has been renewing the token of this connection for {LONGEST_TURN:g} s. "
                "If this lasts, stop that process; the next try goes on."
            )
        yield LOOK_AGAIN
    return end


@contextmanager
def own_turn(tokens: TokenStore, connection_id: str) -> Iterator[None]:
    """Hold this process's turn, waiting for it without asyncio."""
    waiting = turn(tokens, connection_id)
    while True:
        try:
            time.sleep(next(waiting))
        except StopIteration as done:
            end: Callable[[], None] = done.value
            break
    try:
        yield
    finally:
        end()


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


@dataclass(frozen=True)
class Company:
    """One company of the vendor's that whoever signed in may open."""

    id: str
    name: str = ""


@dataclass(frozen=True)
class SignIn:
    """How a person lets us in: the authorisation-code flow in a browser, and how it is told which company it is for."""

    login_url: str
    """The host of the page where people consent; `login_url:` in connections.yaml replaces it."""
    path: str
    token_path: str
    """Where the code is traded for tokens, at the connection's `auth_url`."""
    scopes: Sequence[str]
    """What is asked for where invoices are sent; `scopes:` in connections.yaml replaces it where the page allows it."""
    setting: str
    """The key in connections.yaml that holds the company's id."""
    read_scopes: Sequence[str] = ()
    """What is asked for where the connection only reads, if that is less."""
    has_pkce: bool = False
    """Whether the vendor checks that who trades the code is who asked for it (S256)."""
    client_in_form: bool = False
    """Whether the client says who it is in the form, in place of Basic."""
    params: Mapping[str, str] = field(default_factory=dict)
    """What else the page is asked with."""
    company_param: str = ""
    """The parameter of the redirect that names the one company chosen on the vendor's page."""
    companies_path: str = ""
    """Where the companies are listed instead, at the connection's `base_url`."""
    read_companies: Callable[[Any], tuple[Sequence[Company], str]] = lambda body: ((), "")
    """Reads one page of that list, and the path of the next one, if there is one."""


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

    def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Drive the flow with asyncio."""
        return _driven(self.auth_flow(request), request)

    def _accept(self, response: httpx.Response) -> None:
        body = _issued(response)
        self._credentials.learned.add(str(body["access_token"]))
        self._keep(body)
        self._token = str(body["access_token"])
        self._expires_at = usable_until(body)


async def _driven(flow: Flow | Steps, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
    """Drive a flow; only the token's own answer is read here, the vendor's is read under the size cap."""
    with closing(flow):
        outgoing = next(flow)
        while True:
            response = None
            if isinstance(outgoing, float):
                await asyncio.sleep(outgoing)
            else:
                # A request made outside the client has no deadline of its own and would wait for ever.
                outgoing.extensions = {**request.extensions, **outgoing.extensions}
                response = yield outgoing
                if outgoing is not request:
                    await response.aread()
            try:
                outgoing = flow.send(response)  # type: ignore[arg-type]
            except StopIteration:
                return


def _issued(response: httpx.Response) -> dict[str, Any]:
    """Read the answer of a token endpoint; raises where it issued none, `SignedOut` where it never will again."""
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
        kind = SignedOut if named == "invalid_grant" else CredentialsRefused
        raise kind(f"No token was issued ({response.status_code}): {said}")
    if not isinstance(body, dict) or not body.get("access_token"):
        raise UnexpectedAnswer("The token endpoint answered without an access token.")
    return body


def usable_until(body: Mapping[str, Any]) -> datetime:
    """Return how long the token in a token endpoint's answer is used."""
    return wall() + timedelta(seconds=_usable(_lifetime(body)))


def _lifetime(body: Mapping[str, Any]) -> object:
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


def refresh_token(token_path: str, *, client_in_form: bool = False) -> AuthFactory:
    """OAuth 2 refresh token, the client authenticated by Basic, or by its id and secret in the form.

    One process at a time renews a connection's token, and what is issued is saved before it is used. The secret
    `refresh_token` is the seed of a chain whose newest token the store knows; a sign-in in the browser needs none.
    Another secret begins a new chain, so that one that broke is mended by putting a fresh token into the environment.
    """

    def build(c: Credentials) -> httpx.Auth:
        return _RenewedToken(c, c.auth_url + token_path, client_in_form=client_in_form)

    return build


class _RenewedToken(httpx.Auth):
    """A bearer token that is renewed by whichever process needs it first; the others use what that one stored."""

    def __init__(self, credentials: Credentials, url: str, *, client_in_form: bool) -> None:
        self._credentials, self._url = credentials, url
        client_id, secret = credentials.secrets["client_id"], credentials.secrets["client_secret"]
        by_basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        self._form = {"client_id": client_id, "client_secret": secret} if client_in_form else {}
        self._headers = {"Accept": "application/json"} | (
            {} if client_in_form else {"Authorization": f"Basic {by_basic}"}
        )
        self._tokens: TokenStore = credentials.tokens or _InMemory()
        self._seed = credentials.secrets["refresh_token"]
        self._grant: Grant | None = None
        self._unsaved: tuple[str, Grant] | None = None

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Drive the steps without asyncio."""
        with closing(self._steps(request)) as steps:
            step = next(steps)
            while True:
                response = None
                if isinstance(step, float):
                    time.sleep(step)
                else:
                    response = yield step
                try:
                    step = steps.send(response)
                except StopIteration:
                    return

    def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Drive the steps with asyncio, which goes on with other things while another process has its turn."""
        return _driven(self._steps(request), request)

    def _steps(self, request: httpx.Request) -> Steps:
        token, is_new = yield from self._token(refused="")
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401 and not is_new:
            token, _ = yield from self._token(refused=token)
            request.headers["Authorization"] = f"Bearer {token}"
            yield request

    def _token(self, refused: str) -> Generator[httpx.Request | float, Any, tuple[str, bool]]:
        """Return a token other than the one the vendor has refused, and whether it was issued just now."""
        if _is_usable(self._grant, refused) or _is_usable(self._load(), refused):
            return self._current(), False
        end = yield from turn(self._tokens, self._credentials.connection_id)
        try:
            # Whoever had the turn before us may have renewed it.
            grant = self._load()
            if _is_usable(grant, refused):
                return self._current(), False
            if grant.refused:
                raise SignedOut(grant.refused)
            self._accept(grant, (yield self._ask(grant.refresh_token)))
            return self._current(), True
        finally:
            end()

    def _current(self) -> str:
        assert self._grant is not None
        return self._grant.access_token

    def _load(self) -> Grant:
        """Read what is stored; what could not be stored when it was issued is stored now, and never lost by us."""
        self._grant = self._tokens.load(self._credentials.connection_id, self._seed) or Grant(self._seed)
        if self._unsaved and self._unsaved[0] == self._grant.refresh_token:
            self._save(self._unsaved[1])
        if not self._grant.refresh_token:
            raise SignedOut("Nobody has signed in yet.")
        self._credentials.learned.update(filter(None, (self._grant.refresh_token, self._grant.access_token)))
        return self._grant

    def _ask(self, token: str) -> httpx.Request:
        form = {"grant_type": "refresh_token", "refresh_token": token, **self._form}
        return httpx.Request("POST", self._url, data=form, headers=self._headers)

    def _accept(self, grant: Grant, response: httpx.Response) -> None:
        try:
            body = _issued(response)
        except SignedOut as failure:
            self._save(replace(grant, access_token="", refused=str(failure)[:SAID]))
            raise
        access, rotated = str(body["access_token"]), str(body.get("refresh_token") or grant.refresh_token)
        self._credentials.learned.update((access, rotated))
        renewed = Grant(rotated, access, usable_until(body))
        self._unsaved = (grant.refresh_token, renewed)
        self._save(renewed)

    def _save(self, grant: Grant) -> None:
        self._tokens.save(self._credentials.connection_id, grant, self._seed)
        self._grant, self._unsaved = grant, None


def _is_usable(grant: Grant | None, refused: str) -> bool:
    return (
        grant is not None
        and grant.access_token not in ("", refused)
        and grant.usable_until is not None
        and wall() < grant.usable_until
    )


class _InMemory:
    """Keeps a grant as long as the flow lasts, where nothing durable was given."""

    def __init__(self) -> None:
        self._grant: Grant | None = None

    def load(self, connection_id: str, seed: str) -> Grant | None:
        return self._grant

    def save(self, connection_id: str, grant: Grant, seed: str) -> None:
        self._grant = grant

    def try_turn(self, connection_id: str) -> Callable[[], None] | None:
        return lambda: None
