"""The clock all stand-ins of one world share: it stands still until somebody sets it.

Belongs here: the invented world's time. Does not: how long a token or a rate window lasts; that is real time.
"""

import threading
from collections.abc import Callable
from datetime import datetime


class SimulatedClock:
    """An instant that can be set."""

    def __init__(self, instant: datetime) -> None:
        self._lock = threading.Lock()
        self._instant = instant
        self._listeners: list[Callable[[datetime], None]] = []

    def now(self) -> datetime:
        """Return the world's instant."""
        with self._lock:
            return self._instant

    def set(self, instant: datetime) -> None:
        """Move the world to another instant."""
        with self._lock:
            self._instant = instant
        for listener in self._listeners:
            listener(instant)

    def follow(self, listener: Callable[[datetime], None]) -> None:
        """Call a listener with the instant now, and whenever it is set."""
        self._listeners.append(listener)
        listener(self.now())

    __call__ = now
