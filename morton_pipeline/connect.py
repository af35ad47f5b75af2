"""Signing in to an accounting system: a person consents in the browser, and the ledger keeps what came of it.

Belongs here: the authorisation-code flow with a redirect to this machine, choosing the company, and saying what
connections.yaml must say. Does not: each vendor's page and companies (`vendors/`), renewing tokens (`extract/auth`),
or asking at the terminal (`cli/`). Codes and tokens are never shown, and rest nowhere but in the ledger, encrypted.
"""

import queue
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from authlib.oauth2 import OAuth2Client, OAuth2Error

from morton_pipeline.book import Book, Connection
from morton_pipeline.errors import BadInput, MortonError
from morton_pipeline.extract.auth import Company, Grant, SignIn, own_turn, usable_until
from morton_pipeline.extract.http import redact, redact_logs
from morton_pipeline.ledger.store import Ledger
from morton_pipeline.ledger.tokens import LedgerTokens
from morton_pipeline.new_book import FILL_IN
from morton_pipeline.vendors import VENDORS, vendor_of

HOST = "127.0.0.1"
PATH = "/callback"
PATIENCE = 600.0
"""Seconds a person has for signing in."""
VERIFIER_BYTES = 48
"""Of the secret behind PKCE's challenge; 64 characters, of which 43 are the least."""

Row = dict[str, Any]


class SignInFailed(MortonError):
    """Nobody was signed in, and nothing was stored."""


@dataclass(frozen=True)
class Person:
    """How whoever signs in is reached."""

    show: Callable[[str], None]
    """Leads them to the vendor's page, by its address."""
    choose: Callable[[Sequence[Company]], Company]
    """Lets them choose one of several companies."""
    paste: Callable[[], str]
    """Asks for the address their browser ended at, where it cannot come back here."""


def connect(
    book: Book, ledger: Ledger, connection: Connection, person: Person, *,
    port: int, redirect: str = "", company: str = "", patience: float = PATIENCE,
) -> Row:  # fmt: skip
    """Sign in to a connection and store what came of it in place of what was there. Returns what happened, as a row.

    The browser comes back to `port` of this machine; vendors only redirect to addresses they were told. `redirect` is
    another such address, and the person pastes where the browser ended. `company` is the id or name of one of several.
    Raises `SignInFailed` or `BadInput`, and has then stored nothing.
    """
    sign_in = _sign_in(connection)
    redact_logs()
    flow = _Flow(connection, sign_in, _scopes(book, connection, sign_in))
    with flow:
        if redirect:
            person.show(flow.begin(redirect))
            answer = flow.read(person.paste().strip())
        else:
            with _Door(port, flow.read) as door:
                person.show(flow.begin(f"http://localhost:{door.port}{PATH}"))
                answer = door.wait(patience)
        grant = flow.trade(answer)
        chosen = _chosen(connection, sign_in, flow.companies(answer, grant), company, person)
    tokens = LedgerTokens(ledger)
    with own_turn(tokens, connection.id):
        tokens.save(connection.id, grant, flow.secrets["refresh_token"])
    said = connection.settings.get(sign_in.setting)
    is_set = str(said) == chosen.id
    return {
        "connection_id": connection.id, "vendor": connection.vendor, "company_id": chosen.id,
        "company_name": chosen.name, "what": "Signed in; the ledger keeps the tokens, encrypted.",
        "to_do": "" if is_set else f'Write {sign_in.setting}: "{chosen.id}" into connections.yaml.',
    }  # fmt: skip


def _sign_in(connection: Connection) -> SignIn:
    sign_in = vendor_of(connection).sign_in
    if sign_in is None:
        known = ", ".join(sorted(name for name, vendor in VENDORS.items() if vendor.sign_in))
        raise BadInput(
            f"{connection.id} is a {connection.vendor}, which nobody signs in to in a browser: its credentials are in "
            f"{' and '.join(connection.secrets.values()) or 'connections.yaml'}. `morton connect` is for {known}."
        )
    return sign_in


def _scopes(book: Book, connection: Connection, sign_in: SignIn) -> str:
    """Ask for no more than is needed: a connection that receives no invoices only reads."""
    own = connection.settings.get("scopes")
    if own:
        return " ".join(own) if isinstance(own, list) else str(own)
    sends = book.accounting is not None and book.accounting.id == connection.id
    return " ".join(sign_in.scopes if sends or not sign_in.read_scopes else sign_in.read_scopes)


def _chosen(
    connection: Connection, sign_in: SignIn, found: Sequence[Company], wanted: str, person: Person
) -> Company:  # fmt: skip
    """Return the company the connection is for; it must be the one connections.yaml names, where it names any."""
    setting, listed = sign_in.setting, "; ".join(f"{c.id} ({c.name})" if c.name else c.id for c in found)
    said = str(connection.settings.get(setting) or FILL_IN)
    nothing = "Nothing was stored."
    if not found:
        raise SignInFailed(
            f"{connection.id}: whoever signed in may open no company. {nothing} Sign in as somebody who may."
        )
    if wanted:
        fits = [c for c in found if wanted == c.id or wanted.casefold() == c.name.casefold()]
        if len(fits) != 1:
            what = "no company" if not fits else "several companies"
            raise SignInFailed(
                f"{connection.id}: {what} by the name or id {wanted!r}; whoever signed in may open {listed}. {nothing}"
            )
        chosen = fits[0]
    elif said != FILL_IN and len(found) > 1:
        named = next((c for c in found if c.id == said), None)
        if named is None:
            raise SignInFailed(
                f'{connection.id}: connections.yaml says {setting}: "{said}", which whoever signed in may not open; '
                f"they may open {listed}. {nothing} Write the right one's id there, or sign in as somebody else."
            )
        chosen = named
    else:
        chosen = found[0] if len(found) == 1 else person.choose(found)
    if said not in (FILL_IN, chosen.id):
        name = f" ({chosen.name})" if chosen.name else ""
        raise SignInFailed(
            f'{connection.id}: connections.yaml says {setting}: "{said}", and the sign-in was for {chosen.id}{name}. '
            f'{nothing} If that is the company, write {setting}: "{chosen.id}" there; else sign in again and choose '
            "the other one."
        )
    return chosen


class _Flow:
    """One sign-in at one vendor: the address to go to, what the redirect says, tokens, companies."""

    def __init__(self, connection: Connection, sign_in: SignIn, scopes: str) -> None:
        self._connection, self._sign_in = connection, sign_in
        self._title = vendor_of(connection).title
        self.secrets = connection.secret_values()
        self._state, self._verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(VERIFIER_BYTES)
        self._hidden = {*self.secrets.values(), self._verifier}
        timeout = float(connection.settings.get("timeout_seconds", 60))
        self._http = httpx.Client(
            timeout=httpx.Timeout(timeout, connect=min(timeout, 15)),
            headers={"Accept": "application/json", "User-Agent": "morton-pipeline"},
            follow_redirects=False,
        )
        self._client = OAuth2Client(
            self._http, client_id=self.secrets["client_id"], scope=scopes,
            code_challenge_method="S256" if sign_in.has_pkce else None,
        )  # fmt: skip

    def __enter__(self) -> "_Flow":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def begin(self, redirect: str) -> str:
        """Return the address of the vendor's page."""
        self._client.redirect_uri = redirect
        login = self._connection.settings.get("login_url") or self._sign_in.login_url
        address, _ = self._client.create_authorization_url(
            f"{login}{self._sign_in.path}", state=self._state, code_verifier=self._verifier, **self._sign_in.params
        )
        return str(address)

    def read(self, address: str) -> dict[str, str]:
        """Read the address the vendor sent the browser to.

        Raises `BadInput` for one that is not of this sign-in, `SignInFailed` where the vendor let nobody in.
        """
        said = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        if not secrets.compare_digest(said.get("state", "").encode(), self._state.encode()):
            raise BadInput(
                "This sign-in did not begin here, or is an earlier one; it was not accepted. Go back to the terminal "
                "and open the address it shows."
            )
        if "error" in said:
            words = self._hide(said.get("error_description") or said["error"])
            raise SignInFailed(
                f"{self._connection.id}: {self._title} let nobody in: {words.rstrip('.')}. Nothing was stored. Run "
                f"`morton connect {self._connection.id}` again and allow the access."
            )
        if "code" not in said:
            raise SignInFailed(
                f"{self._connection.id}: {self._title} sent the browser back without a code. Nothing was stored."
            )
        self._hidden.add(said["code"])
        return said

    def trade(self, answer: dict[str, str]) -> Grant:
        """Trade the code for tokens."""
        client_id, secret = self.secrets["client_id"], self.secrets["client_secret"]
        more = {"client_id": client_id, "client_secret": secret} if self._sign_in.client_in_form else {}
        more |= {"code_verifier": self._verifier} if self._sign_in.has_pkce else {}
        try:
            issued = self._client.fetch_token(
                self._connection.auth_url + self._sign_in.token_path, grant_type="authorization_code",
                code=answer["code"],
                auth=httpx.Auth() if self._sign_in.client_in_form else httpx.BasicAuth(client_id, secret), **more,
            )  # fmt: skip
        except (OAuth2Error, httpx.HTTPError, ValueError) as failure:
            raise self._failed(f"issued no token: {self._told(failure)}") from None
        for name in ("access_token", "refresh_token"):
            if not issued.get(name):
                raise self._failed(f"issued no {name.replace('_', ' ')}; look at the scopes the app may ask for")
            self._hidden.add(str(issued[name]))
        return Grant(str(issued["refresh_token"]), str(issued["access_token"]), usable_until(issued))

    def companies(self, answer: dict[str, str], grant: Grant) -> list[Company]:
        """Return the companies this sign-in is for: the one chosen on the vendor's page, or all it lists."""
        if self._sign_in.company_param:
            company_id = answer.get(self._sign_in.company_param)
            return [Company(company_id)] if company_id else []
        found: list[Company] = []
        path, seen = self._sign_in.companies_path, set[str]()
        while path:
            seen.add(path)
            try:
                response = self._http.get(
                    self._connection.base_url + path, headers={"Authorization": f"Bearer {grant.access_token}"}
                )
                response.raise_for_status()
                companies, path = self._sign_in.read_companies(response.json())
            except (httpx.HTTPError, ValueError, LookupError, TypeError) as failure:
                raise self._failed(f"listed no companies: {self._told(failure)}") from None
            if path and (path in seen or not path.startswith("/")):
                raise self._failed("listed companies whose next page leads nowhere; it was not followed")
            found += companies
        return found

    def _failed(self, what: str) -> SignInFailed:
        return SignInFailed(
            f"{self._connection.id}: {self._title} {what}. Nothing was stored. When that is mended, run "
            f"`morton connect {self._connection.id}` again."
        )

    def _told(self, failure: Exception) -> str:
        if isinstance(failure, OAuth2Error):
            words = f"{failure.error}, {failure.description}" if failure.description else str(failure.error)
        elif isinstance(failure, httpx.HTTPStatusError):
            words = f"it answered {failure.response.status_code}"
        elif isinstance(failure, httpx.HTTPError):
            words = f"{type(failure).__name__} at {failure.request.url.host}"
        else:
            words = "its answer has another shape than its reference says"
        return self._hide(words).rstrip(".")

    def _hide(self, text: str) -> str:
        return redact(text, self._hidden)[:300]


class _Door:
    """Waits on this machine for the browser to come back; nobody from outside can reach it."""

    def __init__(self, port: int, read: Callable[[str], dict[str, str]]) -> None:
        self._answers: queue.Queue[dict[str, str] | SignInFailed] = queue.Queue()
        answers = self._answers

        class Handler(BaseHTTPRequestHandler):
            timeout = 30

            def do_GET(self) -> None:
                if urlsplit(self.path).path != PATH:
                    self._reply(404, "There is nothing here.")
                    return
                try:
                    found = read(self.path)
                except BadInput as foreign:
                    # Somebody else's, or a window left open: the one we wait for may still come.
                    self._reply(400, str(foreign))
                except SignInFailed as failure:
                    self._reply(400, "Nobody was signed in. The terminal says why.")
                    answers.put(failure)
                else:
                    self._reply(200, "You are signed in. Close this window and go back to the terminal.")
                    answers.put(found)

            def _reply(self, status: int, words: str) -> None:
                page = f"<!doctype html><meta charset=utf-8><title>Morton</title><p>{words}</p>".encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(page)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, format: str, *args: Any) -> None:
                """The code stands in the address: it is logged nowhere."""

        try:
            self._server = ThreadingHTTPServer((HOST, port), Handler)
        except OSError as problem:
            raise BadInput(
                f"Port {port} of this machine cannot be used for the redirect ({problem.strerror}). End the program "
                "that uses it, or name another port with --port and register http://localhost:PORT/callback with the "
                "vendor's app."
            ) from None
        self._server.daemon_threads = True
        self.port = self._server.server_port

    def __enter__(self) -> "_Door":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, patience: float) -> dict[str, str]:
        """Return what the redirect said."""
        try:
            answer = self._answers.get(timeout=patience)
        except queue.Empty:
            raise SignInFailed(
                f"Nobody came back from the sign-in page within {patience / 60:g} minutes. Nothing was stored. Run it "
                "again; where the browser is on another machine, see --redirect."
            ) from None
        if isinstance(answer, SignInFailed):
            raise answer
        return answer
