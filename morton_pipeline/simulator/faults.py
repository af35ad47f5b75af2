"""Ways in which a vendor can be down, wrong or slow, switched on one vendor, tenant or list at a time.

Belongs here: the switches, and the gate in front of each stand-in. Does not: what a healthy vendor answers.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import unquote_plus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from morton_pipeline.simulator.desk import dumps

Mode = Literal["outage", "401", "403", "429", "500", "empty", "html", "truncated", "hang", "reset"]
MODES: tuple[str, ...] = get_args(Mode)
RETRY_AFTER_SECONDS = "0.2"
HTML = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body>We will be back soon.</body></html>"


@dataclass
class Faults:
    """What is broken just now. A fault of a list wins over one of its tenant, and that over one of its vendor."""

    _active: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def switch(self, vendor: str, mode: str, tenant: str = "", path_contains: str = "") -> None:
        """Break a vendor, one tenant of it, or the addresses that contain a text; `off` mends what was broken so."""
        if mode == "off":
            self._active.pop((vendor, tenant.lower(), path_contains), None)
        elif mode in MODES:
            self._active[vendor, tenant.lower(), path_contains] = mode
        else:
            raise ValueError(f"unknown mode {mode!r}; there are {', '.join(MODES)} and off")

    def mode(self, vendor: str, tenant: str = "", address: str = "") -> str | None:
        """Return how a request fails, or nothing. `address` is its path and query, not encoded."""
        found = [
            (len(part), len(of), mode)
            for (name, of, part), mode in self._active.items()
            if name == vendor and of in ("", tenant.lower()) and part in address
        ]
        return max(found)[2] if found else None

    def listed(self) -> list[dict[str, str]]:
        """Return what is broken."""
        return [
            {"vendor": vendor, "tenant": tenant, "path_contains": part, "mode": mode}
            for (vendor, tenant, part), mode in sorted(self._active.items())
        ]


Headers = Mapping[str, str]
ErrorShape = Callable[[int], Any]
_SAID = {
    401: "The credentials are not valid.",
    403: "Access is denied.",
    429: "Too many requests.",
    500: "Internal error.",
    503: "The service is unavailable.",
}


def ninjaone_error(status: int) -> Any:
    """The error body NinjaOne sends."""
    return {
        "resultCode": "FAILURE",
        "errorMessage": _SAID[status],
        "incidentId": "00000000-0000-4000-8000-000000000000",
    }


def graph_error(status: int) -> Any:
    """The error body Graph sends."""
    codes = {
        401: "InvalidAuthenticationToken",
        403: "Authorization_RequestDenied",
        429: "TooManyRequests",
        503: "serviceNotAvailable",
    }
    return {
        "error": {
            "code": codes.get(status, "generalException"),
            "message": _SAID[status],
            "innerError": {"request-id": "fault"},
        }
    }


def login_error(status: int) -> Any:
    """The error body Microsoft's login sends: a tenant without consent."""
    error = "unauthorized_client" if status in (401, 403) else "temporarily_unavailable"
    return {"error": error, "error_description": f"AADSTS700016: {_SAID[status]}", "error_codes": [700016]}


def huntress_error(status: int) -> Any:
    """The error body Huntress sends."""
    return {"error": {"message": _SAID[status]}}


def quickbooks_error(status: int) -> Any:
    """The error body QuickBooks sends."""
    code, kind = ("3200", "AUTHENTICATION") if status == 401 else ("3001" if status == 429 else "10000", "SystemFault")
    return {"Fault": {"Error": [{"Message": _SAID[status], "Detail": _SAID[status], "code": code}], "type": kind}}


def xero_error(status: int) -> Any:
    """The error body Xero sends."""
    return {"Type": None, "Title": _SAID[status], "Status": status, "Detail": _SAID[status]}


def sage_error(status: int) -> Any:
    """The error body Sage sends."""
    return [{"$severity": "error", "$dataCode": "UnexpectedError", "$message": _SAID[status], "$source": ""}]


class Gate:
    """Stands in front of one stand-in and lets requests through, or not."""

    def __init__(
        self,
        app: ASGIApp,
        faults: Faults,
        vendor: str,
        shape: ErrorShape,
        *,
        tenant_of: Callable[[Scope], str] = lambda _: "",
        is_token_path: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._app, self._faults, self._vendor, self._shape = app, faults, vendor, shape
        self._tenant_of, self._is_token_path = tenant_of, is_token_path
        self.request_count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request as the switches say."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self.request_count += 1
        address = f"{scope['path']}?{unquote_plus(scope['query_string'].decode('latin-1'))}"
        mode = self._faults.mode(self._vendor, self._tenant_of(scope), address)
        if mode in ("401", "403", "empty", "truncated") and self._is_token_path(scope["path"]):
            mode = None
        if mode is None:
            await self._app(scope, receive, send)
        elif mode == "hang":
            await _hang(receive)
        elif mode == "reset":
            _reset(scope)
        elif mode == "html":
            await _respond(send, 200, HTML, b"text/html")
        elif mode in ("empty", "truncated"):
            status, headers, body = await _capture(self._app, scope, receive)
            await (
                _send_empty(send, status, headers, body) if mode == "empty" else _send_half(send, status, headers, body)
            )
        else:
            status = 503 if mode == "outage" else int(mode)
            extra = [(b"retry-after", RETRY_AFTER_SECONDS.encode())] if status == 429 else []
            await _respond(send, status, dumps(self._shape(status)), b"application/json", extra)


async def _respond(
    send: Send, status: int, body: bytes, kind: bytes, extra: list[tuple[bytes, bytes]] | None = None
) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *(extra or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _hang(receive: Receive) -> None:
    """Say nothing until the caller gives up."""
    while (await receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)


def _reset(scope: Scope) -> None:
    """Cut the connection without a word, where the server lets us reach it."""
    transport = scope.get("state", {}).get("transport")
    if transport is None:
        raise ConnectionResetError("The stand-in cut the connection.")
    transport.abort()


async def _capture(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    status, headers, chunks = 500, [], []

    async def keep(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        else:
            chunks.append(message.get("body", b""))

    await app(scope, receive, keep)
    return status, headers, b"".join(chunks)


WRAPPERS = ("data", "result")
"""What some vendors put around their answer."""


def _emptied(body: Any) -> Any:
    if isinstance(body, list):
        return []
    if not isinstance(body, dict):
        return body
    kept = {k: v for k, v in body.items() if k != "@odata.nextLink"}
    return {
        k: _emptied(v)
        if k in WRAPPERS
        else []
        if isinstance(v, list)
        else {}
        if k in ("pagination", "QueryResponse")
        else v
        for k, v in kept.items()
    }


async def _send_empty(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Answer as if there were nothing: status 200, the right shape, no records."""
    emptied = dumps(_emptied(json.loads(body))) if status == 200 else body
    headers = [(k, v) for k, v in headers if k != b"content-length"] + [(b"content-length", str(len(emptied)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": emptied})


async def _send_half(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Announce the whole length, send half of it, and break off."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await send({"type": "http.response.body", "body": b""})
