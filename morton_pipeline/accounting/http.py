"""Talking to an accounting system that answers in JSON over HTTP: one question, or one document, at a time.

Belongs here: what an answer, or none, means for an invoice, the same for every system: was it carried out, was it
turned away, can we not know. Does not: a system's paths and words (its adapter).
"""

import json
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from morton_pipeline.accounting.errors import LookupFailed, NotSent, OutcomeUnknown, RunStopped
from morton_pipeline.book import Connection
from morton_pipeline.clock import wall
from morton_pipeline.extract import errors as extract_errors
from morton_pipeline.extract.auth import Credentials
from morton_pipeline.extract.errors import retry_after
from morton_pipeline.extract.http import LONGEST_WAIT, redact, redact_logs
from morton_pipeline.extract.vendor import Vendor
from morton_pipeline.ledger.store import Ledger
from morton_pipeline.ledger.tokens import LedgerTokens

SAID = 600
"""Characters of a system's own words we pass on."""

Json = Any
Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Answer:
    """One answer: its status, its body where that is whole JSON, and what support asks for."""

    status: int
    body: Json
    """Parsed, numbers as decimals; nothing where it was no whole JSON."""
    trace: str
    retry_after: float | None


@dataclass(frozen=True)
class Dialect:
    """What is a system's own in its answers."""

    title: str
    words: Callable[[Json], str]
    """Its words in a body, or nothing where the body is no refusal: some refuse with status 200."""
    is_throttled: Callable[[Answer], bool] = lambda answer: answer.status == 429
    shut_out: Callable[[Answer], str | None] = lambda answer: None
    """Why nothing can be sent by this connection at all, beyond a 401: a sentence to act on."""
    trace_header: str = ""
    """The header support asks for."""


class Api:
    """One company in one accounting system."""

    def __init__(
        self,
        connection: Connection,
        vendor: Vendor,
        ledger: Ledger,
        dialect: Dialect,
        *,
        path: str,
        timeout: float,
        headers: Mapping[str, str] = {},
        transport: httpx.BaseTransport | None = None,
        sleep: Sleep = time.sleep,
    ) -> None:
        redact_logs()
        timeout = float(connection.settings.get("timeout_seconds", timeout))
        self._secrets, self._learned = connection.secret_values(), set[str]()
        credentials = Credentials(
            connection_id=connection.id,
            secrets=self._secrets,
            base_url=connection.base_url,
            auth_url=connection.auth_url,
            settings=connection.settings,
            tokens=LedgerTokens(ledger),
            learned=self._learned,
        )
        self._base = f"{connection.base_url}{path}/"
        self._http = httpx.Client(
            base_url=self._base,
            auth=_InTurn(vendor.auth(credentials)),
            timeout=httpx.Timeout(timeout, connect=min(timeout, 15)),
            headers={"Accept": "application/json", "User-Agent": "morton-pipeline", **headers},
            follow_redirects=False,
            transport=transport,
        )
        self.dialect, self._connection, self._sleep = dialect, connection, sleep
        self._attempts = int(connection.settings.get("attempts", 3))
        self._backoff = float(connection.settings.get("backoff_seconds", 1))

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def ask(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Ask a question, again when there was no answer: a question changes nothing.

        Returns a whole answer below 500, a refusal included. Raises `LookupFailed`, `NotSent` or `RunStopped`.
        """
        for attempt in range(1, self._attempts + 1):
            try:
                return self._asked(path, params or {})
            except LookupFailed:
                if attempt == self._attempts:
                    raise
                self._sleep(self._backoff * 2 ** (attempt - 1))
        raise AssertionError("at least one attempt is made")

    def send(
        self,
        method: str,
        path: str,
        payload: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a body once. Returns a clear answer, a refusal included.

        Raises `OutcomeUnknown` when it may have been carried out, `NotSent` or `RunStopped` when it was turned away.
        """
        title = self.dialect.title
        try:
            answer = self._exchange(method, path, params or {}, payload, headers or {})
        except httpx.HTTPError as failure:
            if self._is_token_request(failure):
                raise NotSent(
                    f"{self._connection.id}: no token was issued ({self._told(failure)}); nothing was sent."
                ) from None
            raise OutcomeUnknown(f"{title} gave no answer ({self._told(failure)}).") from None
        if answer.status >= 500 or answer.status == 408 or answer.status // 100 == 3:
            said = self.said(answer)
            raise OutcomeUnknown(f"{title} answered {answer.status}{f', {said}' if said else ''}{answer.trace}.")
        return answer

    def said(self, answer: Answer) -> str:
        """The system's own words as we pass them on, cut after redaction: half a secret is still a secret."""
        return self._hide(self.dialect.words(answer.body))[:SAID]

    def _hide(self, text: str) -> str:
        return redact(text, {*self._secrets.values(), *self._learned})

    def _asked(self, path: str, params: Mapping[str, Any]) -> Answer:
        title = self.dialect.title
        try:
            answer = self._exchange("GET", path, params, None, {})
        except httpx.HTTPError as failure:
            raise LookupFailed(f"{title} gave no answer ({self._told(failure)}).") from None
        if answer.status >= 500 or answer.status == 408 or answer.body is None:
            said = self.said(answer)
            raise LookupFailed(f"{title} answered {answer.status}{f', {said}' if said else ''}{answer.trace}.")
        return answer

    def _exchange(
        self, method: str, path: str, params: Mapping[str, Any], content: str | None, headers: Mapping[str, str]
    ) -> Answer:
        """Send one request; a request turned away for its pace is sent once more after the pause asked for.

        Raises `httpx.HTTPError` when there was no whole answer, `RunStopped` and `NotSent` when it was turned away.
        """
        for is_last in (False, True):
            answer = self._once(method, path, params, content, headers)
            if not self.dialect.is_throttled(answer):
                self._refuse_outsiders(answer)
                return answer
            pause = answer.retry_after
            if is_last or pause is None or pause > LONGEST_WAIT:
                break
            self._sleep(pause)
        when = f" after {round(pause)} s" if pause is not None else ""
        raise NotSent(f"{self.dialect.title} asks us to slow down; the next run goes on{when}{answer.trace}.")

    def _once(
        self, method: str, path: str, params: Mapping[str, Any], content: str | None, headers: Mapping[str, str]
    ) -> Answer:
        try:
            response = self._http.request(
                method,
                path,
                params=params,
                content=None if content is None else content.encode(),
                headers=headers if content is None else {"Content-Type": "application/json", **headers},
            )
        except extract_errors.CredentialsRefused as failure:
            raise RunStopped(self._reconnect(self._hide(str(failure)))) from None
        except extract_errors.ExtractError as failure:
            raise NotSent(
                f"{self._connection.id}: no token was issued; nothing was sent. {self._hide(str(failure))}"
            ) from None
        name = self.dialect.trace_header
        told = response.headers.get(name) if name else None
        trace = f" ({name} {self._hide(told)[:100]})" if told and response.status_code != 200 else ""
        pause = retry_after(response.headers.get("retry-after"), wall())
        return Answer(response.status_code, _body(response), trace, pause)

    def _refuse_outsiders(self, answer: Answer) -> None:
        """Stop the run when the system does not let us in at all."""
        if answer.status == 401:
            said = self.said(answer)
            words = f", {said}" if said else ""
            raise RunStopped(self._reconnect(f"{self.dialect.title} answered 401{words}{answer.trace}."))
        if why := self.dialect.shut_out(answer):
            raise RunStopped(f"{self._connection.id}: {self._hide(why)}{answer.trace}.")

    def _reconnect(self, what: str) -> str:
        name = self._connection.id
        return f"{name}: {what} Nothing was sent. Run `morton connect {name}` to sign in again, then post again."

    def _is_token_request(self, failure: httpx.HTTPError) -> bool:
        try:
            return not str(failure.request.url).startswith(self._base)
        except RuntimeError:
            return False

    def _told(self, failure: httpx.HTTPError) -> str:
        return (
            "timeout"
            if isinstance(failure, httpx.TimeoutException)
            else self._hide(str(failure)) or type(failure).__name__
        )


class _InTurn(httpx.Auth):
    """Drives the vendor's auth flow without asyncio: the token's answer is read, and has our deadlines."""

    def __init__(self, flow: httpx.Auth) -> None:
        self._flow = flow

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        # Closed with us when a request fails: a flow may be holding its turn to renew a token.
        with closing(self._flow.auth_flow(request)) as flow:
            outgoing = next(flow)
            while True:
                outgoing.extensions = {**request.extensions, **outgoing.extensions}
                response = yield outgoing
                if outgoing is not request:
                    response.read()
                try:
                    outgoing = flow.send(response)
                except StopIteration:
                    return


def decimal(value: Json) -> Decimal:
    """Read an amount exactly, given as a number or as text; nothing is zero."""
    return Decimal(str(value)) if value is not None else Decimal(0)


def _body(response: httpx.Response) -> Json:
    try:
        return json.loads(response.content, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
