"""Named places at which a test kills this process: one on either side of whatever leaves a trace behind.

Belongs here: the places and how one is reached. Does not: what must hold afterwards (`tests/accounting`).
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "MORTON_FAILPOINT"


@contextmanager
def side_effect(name: str) -> Iterator[None]:
    """Surround a side effect with the places `before NAME` and `after NAME`."""
    _reach(f"before {name}")
    yield
    _reach(f"after {name}")


def _reach(place: str) -> None:
    """Die here, as by a power cut, when the environment names this place."""
    if os.environ.get(VARIABLE) == place:
        os.kill(os.getpid(), signal.SIGKILL)
