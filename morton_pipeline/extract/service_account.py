"""Signing in with a service account's key: a JWT bearer grant (RFC 7523), signed RS256, for the tenant's admin.

Belongs here: reading the key, and the assertion that is exchanged for a token. Does not: whose API it is (`vendors/`).
The key stays here: what leaves is an assertion that is good for one hour, and only to the connection's `auth_url`.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt

from morton_pipeline.clock import wall
from morton_pipeline.extract.auth import AuthFactory, Credentials, bearer_token
from morton_pipeline.extract.errors import CredentialsRefused

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LASTS = timedelta(hours=1)
"""How long an assertion is good for; more is refused."""
NEEDED = ("client_email", "private_key", "token_uri")


def service_account(secret: str, *, token_path: str, scopes: Sequence[str]) -> AuthFactory:
    """A service account with domain-wide delegation. The secret is its JSON key, or the path of the key's file."""

    def build(c: Credentials) -> httpx.Auth:
        key = read_key(c.secrets[secret])
        c.learned.add(key["private_key"])

        def ask() -> httpx.Request:
            form = {"grant_type": GRANT, "assertion": _assertion(key, c.admin, scopes)}
            c.learned.add(form["assertion"])
            return httpx.Request("POST", c.auth_url + token_path, data=form, headers={"Accept": "application/json"})

        return bearer_token(c, ask)

    return build


def read_key(text: str) -> dict[str, str]:
    """Read a service account's key, given as JSON or as a path; say what is wrong without showing any of it."""
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).expanduser().read_text("utf-8")
        except (OSError, ValueError):
            raise CredentialsRefused(
                "The service account is neither a JSON key nor the path of a file that can be read."
            ) from None
    try:
        key = json.loads(text)
    except ValueError:
        key = None
    absent = [word for word in NEEDED if not isinstance(key, dict) or not key.get(word)]
    if absent:
        raise CredentialsRefused(f"The service account's JSON key lacks {' and '.join(absent)}.")
    return {word: str(value) for word, value in key.items()}


def _assertion(key: dict[str, str], admin: str, scopes: Sequence[str]) -> str:
    """Say who we are, for whom, and what for. The audience is the issuer's own address, also through a proxy."""
    claims: dict[str, Any] = {
        "iss": key["client_email"],
        "scope": " ".join(scopes),
        "aud": key["token_uri"],
        "iat": wall(),
        "exp": wall() + LASTS,
    }
    if admin:
        claims["sub"] = admin
    headers = {"kid": key["private_key_id"]} if key.get("private_key_id") else None
    try:
        return jwt.encode(claims, key["private_key"], algorithm="RS256", headers=headers)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise CredentialsRefused("The service account's private key cannot be read.") from None
