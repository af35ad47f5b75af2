"""How a stand-in accounting system fails while it is being written to: what it did is done, and its answer is lost.

Belongs here: the draws, and an answer that is cut off. Does not: what any system would answer.
"""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


@dataclass
class FaultPlan:
    """How often a request fails, and how; drawn from a seeded generator."""

    seed: int = 0
    unavailable: float = 0
    """503 before anything is done; any request."""
    slow: float = 0
    """A pause before the invoice is made, `slow_seconds` at most."""
    drop_after_commit: float = 0
    """The invoice is made and the connection is cut."""
    hang_after_commit: float = 0
    """The invoice is made and no answer comes for `hang_seconds`."""
    error_after_commit: float = 0
    """The invoice is made and the answer is 500."""
    slow_seconds: float = 1
    hang_seconds: float = 5
    random: Random = field(init=False)
    counts: Counter[str] = field(default_factory=Counter)
    """What has happened so far."""

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def happens(self, what: str) -> bool:
        """Draw whether `unavailable` or `slow` happens now."""
        happens: bool = self.random.random() < getattr(self, what)
        self.counts[what] += happens
        return happens

    def after_commit(self) -> str:
        """Draw what becomes of an answer: one of the three that follow a commit, or nothing."""
        drawn = self.random.random()
        for what in ("drop_after_commit", "hang_after_commit", "error_after_commit"):
            if drawn < (share := getattr(self, what)):
                self.counts[what] += 1
                return what
            drawn -= share
        return ""


class CutOff(Response):
    """Promises more than it sends, so that the connection is cut in the middle of the answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the beginning of an answer and no more."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"4096"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"', "more_body": True})
        raise ConnectionAbortedError("cut off, as planned")
