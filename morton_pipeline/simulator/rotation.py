"""Refresh tokens as the accounting systems rotate them: each use yields the next one, and an access token for a while.

Belongs here: which tokens are good, the same for every stand-in. Does not: how a system writes its answer.
"""

import secrets
import time
from collections.abc import Mapping
from typing import Any


class Rotation:
    """The tokens of one connected app. A stand-in's company is one, and says how long and how strictly."""

    refresh_token: str
    """The one handed out when the app was connected."""
    token_seconds: float
    keeps_used_tokens: bool = True
    """Whether a token stays good until a successor is used: a lost answer then costs nobody the connection."""

    def begin_rotation(self) -> None:
        """Begin with the token that was handed out."""
        self._access: dict[str, float] = {}
        self._refresh: set[str] = {self.refresh_token}
        self._family: dict[str, str] = {}

    def issue(self, refresh_token: str, successor: str) -> str:
        """Trade a refresh token for an access token; `successor` is the next. Raises `KeyError` where it has ended."""
        if refresh_token not in self._refresh:
            raise KeyError(refresh_token)
        access = f"eyJ{secrets.token_hex(24)}"
        siblings = {token for token, parent in self._family.items() if parent == refresh_token}
        self._refresh = {refresh_token, successor, *siblings} if self.keeps_used_tokens else {successor}
        self._family[successor] = refresh_token
        self._access[access] = time.monotonic() + self.token_seconds
        return access

    def admits(self, header: str) -> bool:
        """Whether a request carries a token that is still good."""
        return self._access.get(header.removeprefix("Bearer "), 0) > time.monotonic()

    def forget_tokens(self) -> None:
        """Let every access token end now."""
        self._access.clear()

    def revoke(self) -> None:
        """Disconnect the app: no token is good any more."""
        self._access.clear()
        self._refresh.clear()

    def rotation_memory(self) -> dict[str, Any]:
        """Write down who is connected."""
        return {"refresh": sorted(self._refresh), "family": self._family}

    def recall_rotation(self, known: Mapping[str, Any]) -> None:
        """Go on from what was written down."""
        self._refresh, self._family = set(known["refresh"]), dict(known["family"])
