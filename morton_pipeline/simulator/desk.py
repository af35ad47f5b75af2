"""What several stand-ins need at their front door: tokens, form bodies, JSON answers.

Belongs here: what is common to them. Does not: any vendor's words or shapes.
"""

import base64
import binascii
import json
import secrets
import time
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from morton_pipeline.simulator.credentials import OAuthClient


class Tokens:
    """Bearer tokens that were handed out, for whom, and until when (in real time)."""

    def __init__(self, lifetime_seconds: float) -> None:
        self.lifetime_seconds = lifetime_seconds
        self._issued: dict[str, tuple[str, float]] = {}

    def issue(self, subject: str = "") -> str:
        """Hand out a token."""
        now = time.monotonic()
        if len(self._issued) > 5000:
            self._issued = {token: held for token, held in self._issued.items() if held[1] > now}
        token = secrets.token_urlsafe(32)
        self._issued[token] = (subject, now + self.lifetime_seconds)
        return token

    def subject(self, authorization: str | None) -> str | None:
        """Return whom an Authorization header speaks for, or nothing when it is missing, foreign or expired."""
        scheme, _, token = (authorization or "").partition(" ")
        subject, expires_at = self._issued.get(token.strip(), ("", 0.0))
        return subject if scheme.lower() == "bearer" and expires_at > time.monotonic() else None

    def expire_all(self) -> None:
        """Let every token end now."""
        self._issued = {}


def basic_credentials(authorization: str | None) -> OAuthClient | None:
    """Read an HTTP Basic header."""
    scheme, _, text = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, separator, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return OAuthClient(name, secret) if separator else None


async def form(request: Request) -> dict[str, str]:
    """Read a form-encoded body."""
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace")))


def is_form(request: Request) -> bool:
    """Whether the body is declared to be a form."""
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def dumps(body: Any) -> bytes:
    """Write JSON as the vendors do: UTF-8, no spare blanks."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(body if isinstance(body, bytes) else dumps(body), status, headers, "application/json;charset=utf-8")
