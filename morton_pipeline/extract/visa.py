"""Signing in to a JSON-RPC API for a visa: each call carries it in its body, and each answer renews it.

Belongs here: Cove's sign-in, and what a refusal in an answer of status 200 means. Does not: what is asked of Cove
(`vendors/cove`). Only the newest visa is used, so calls of one connection go one after the other.
"""

import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import httpx

from morton_pipeline.clock import wall
from morton_pipeline.extract.auth import Credentials, refuse_for_now
from morton_pipeline.extract.errors import CredentialsRefused, RequestRefused, ServerFailed, UnexpectedAnswer

Json = Any

OWN_NAME = "{our partner}"
"""Stands for our partner's name in a call: the name is one of the secrets, which a walk does not know."""
USABLE = timedelta(minutes=10)
"""How long after the last answer its visa is still used; Cove lets it live for fifteen minutes."""
VISA_ENDED = "1701"
"""Cove's own number for a visa it no longer takes."""


def body_of(method: str, params: Json) -> Json:
    """One call in Cove's protocol."""
    return {"jsonrpc": "2.0", "id": "jsonrpc", "method": method, "params": params}


class Visa(httpx.Auth):
    """Signs in when there is no visa or the last one grows old, and puts the newest into each call's body."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._visa, self._is_first, self._method = "", False, ""
        self._renewed_at = wall()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Only the login's own answer is read here, the vendor's under the size cap: see `read_answer`."""
        if not self._visa or wall() - self._renewed_at >= USABLE:
            names = ("partner", "username", "password")
            params = {name: self._credentials.secrets[name] for name in names}
            login = httpx.Request(
                "POST", request.url, json=body_of("Login", params), headers={"Accept": "application/json"}
            )
            # A request made outside the client has no deadline of its own and would wait for ever.
            login.extensions = dict(request.extensions)
            response = yield login
            await response.aread()
            self._accept(response)
        yield self._signed(request)

    def read_answer(self, body: Json) -> None:
        """Keep the visa an answer renews; a refusal in it is an error, whatever its status says."""
        if not isinstance(body, dict):
            return
        if error := body.get("error"):
            said, code = _words(error)
            if code == VISA_ENDED and not self._is_first:
                self._visa = ""
                ended = ServerFailed(f"Cove ended our session ({said}); the next attempt signs in again.")
                ended.retry_after = 0.0
                raise ended
            raise RequestRefused(f"Cove refuses {self._method}: {said}.")
        self._is_first = False
        self._keep(body)

    def _signed(self, request: httpx.Request) -> httpx.Request:
        body = {**json.loads(request.content), "visa": self._visa}
        self._method = str(body["method"])
        content = json.dumps(body).replace(json.dumps(OWN_NAME), json.dumps(self._credentials.secrets["partner"]))
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        return httpx.Request(
            request.method, request.url, headers=headers, content=content, extensions=request.extensions
        )

    def _accept(self, response: httpx.Response) -> None:
        refuse_for_now(response)
        try:
            body = response.json()
        except ValueError:
            body = None
        error = body.get("error") if isinstance(body, dict) else None
        if error or response.status_code >= 400:
            said, _ = _words(error)
            raise CredentialsRefused(
                f"Cove refuses the login: {said or response.status_code}. The partner must be written exactly as the "
                "console's list of customers shows it, the address in brackets included. It is not tried again in "
                "this run, for repeated refusals lock the user."
            )
        if not isinstance(body, dict) or not body.get("visa"):
            raise UnexpectedAnswer("The login answered without a visa; a proxy or a login page may stand in between.")
        self._is_first = True
        self._keep(body)

    def _keep(self, body: dict[str, Json]) -> None:
        if visa := body.get("visa"):
            self._visa, self._renewed_at = str(visa), wall()
            self._credentials.learned.add(self._visa)


def _words(error: Json) -> tuple[str, str]:
    """An error's words with Cove's own number, which stands in `data`; `code` is the protocol's."""
    if not isinstance(error, dict):
        return str(error or ""), ""
    code = str(error.get("data") or error.get("code") or "")
    return f"{str(error.get('message') or 'no reason given').rstrip('.')}{f' ({code})' if code else ''}", code
