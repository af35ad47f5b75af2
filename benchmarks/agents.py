"""A Huntress of any size, in a process of its own: pages written beforehand, so that serving one costs next to nothing.

Belongs here: the list of agents at its two polls, and a limit of requests that is enforced and accounted for. Does not:
whoever reads it (`fetching`), or what one agent looks like (`morton_pipeline.simulator.huntress`).
"""

import multiprocessing
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.measure import timed
from morton_pipeline.extract.vendor import Rate
from morton_pipeline.simulator.credentials import HUNTRESS
from morton_pipeline.simulator.desk import answer, basic_credentials, dumps
from morton_pipeline.simulator.entities import Agent
from morton_pipeline.simulator.huntress import SlidingLimit, agent_json
from morton_pipeline.simulator.serve import in_thread

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
POLLS = (AT, AT + timedelta(hours=1))
CHANGED = 0.01
"""The share of agents that differ at the second poll: half of them renamed, a quarter gone, an eighth new."""
INSTALLED = AT - timedelta(days=200)
PAGE: dict[str, str | int] = {"limit": 500, "sort_field": "id", "sort_direction": "asc"}
"""What a page is asked for with. How long one is, the stand-in was told when it was started."""


@contextmanager
def serving(records: int, page_size: int, limit: Rate | None = None) -> Iterator[str]:
    """Serve the agents at this machine's own address and yield the base URL; the process ends with the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, records, page_size, limit), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join()


def two_polls(base_url: str, read: Callable[[], object], count: Callable[[], int]) -> list[tuple[int, float]]:
    """Read the first poll, then the second; return the records counted afterwards, and the seconds, of each."""
    found = []
    for poll in (1, 2):
        httpx.post(f"{base_url}/stand-in/poll/{poll}").raise_for_status()
        _, seconds = timed(read)
        found.append((count(), seconds))
    return found


def told(base_url: str) -> dict[str, int]:
    """Return how many requests the stand-in was sent, how many it refused, and the most it admitted in one window."""
    found: dict[str, int] = httpx.get(f"{base_url}/stand-in/told").raise_for_status().json()
    return found


def _serve(pipe: Pipe, records: int, page_size: int, limit: Rate | None) -> None:
    with in_thread(_create_app(records, page_size, limit)) as url:
        pipe.send(url)
        try:
            pipe.recv()
        except EOFError:
            return


def _create_app(records: int, page_size: int, limit: Rate | None) -> Starlette:
    polls = [_pages(agents, at, page_size) for agents, at in zip(_polls(records), POLLS, strict=True)]
    gate, shown = _Gate(limit), 1

    async def agents(request: Request) -> Response:
        if basic_credentials(request.headers.get("authorization")) != HUNTRESS:
            return answer({"error": {"message": "The API key or its secret is not valid."}}, 401)
        if not gate.admits():
            return answer({"error": {"message": "Rate limit exceeded."}}, 429)
        return answer(polls[shown - 1][int(request.query_params.get("page_token", "0"))])

    async def turn(request: Request) -> Response:
        nonlocal shown
        shown = request.path_params["poll"]
        return answer({"poll": shown})

    async def tell(_: Request) -> Response:
        return answer({"requests": gate.request_count, "refused": gate.refused_count, "busiest": gate.busiest})

    return Starlette(
        routes=[
            Route("/v1/agents", agents),
            Route("/stand-in/poll/{poll:int}", turn, methods=["POST"]),
            Route("/stand-in/told", tell),
        ]
    )


class _Gate:
    """The vendor's limit, and what became of it."""

    def __init__(self, limit: Rate | None) -> None:
        self._limit = None if limit is None else SlidingLimit(limit.requests, limit.seconds)
        self._window = 60.0 if limit is None else limit.seconds
        self._admitted: deque[float] = deque()
        self.request_count = self.refused_count = self.busiest = 0

    def admits(self) -> bool:
        """Count a request and say whether the limit lets it through."""
        self.request_count += 1
        if self._limit is not None and not self._limit.admits():
            self.refused_count += 1
            return False
        now = time.monotonic()
        while self._admitted and self._admitted[0] <= now - self._window:
            self._admitted.popleft()
        self._admitted.append(now)
        self.busiest = max(self.busiest, len(self._admitted))
        return True


def _polls(records: int) -> Iterator[list[Agent]]:
    """Yield the agents of the first poll, then those of the second."""
    chance = random.Random(7)
    agents = [_agent(number) for number in range(1, records + 1)]
    yield agents
    few = max(8, int(records * CHANGED))
    touched = chance.sample(range(records), few // 2 + few // 4)
    renamed, gone = set(touched[: few // 2]), set(touched[few // 2 :])
    kept = [
        _agent(agent.id, f"NEW-{agent.id:07d}") if place in renamed else agent
        for place, agent in enumerate(agents)
        if place not in gone
    ]
    yield kept + [_agent(records + number) for number in range(1, few // 8 + 1)]


def _agent(number: int, hostname: str = "") -> Agent:
    is_mac = number % 10 == 0
    mac = ":".join(f"{number * 2654435761 % 2**48:012x}"[place : place + 2] for place in range(0, 12, 2))
    return Agent(
        id=number,
        organization_id=number % 2000 + 1,
        hostname=hostname or f"PC-{number:07d}",
        platform="darwin" if is_mac else "windows",
        os="macOS 15.6" if is_mac else "Windows 11 Pro",
        serial=f"SN{number:08d}",
        mac=mac,
        address=f"10.{number // 65536 % 256}.{number // 256 % 256}.{number % 256}",
        silent_since=AT - timedelta(days=40) if number % 50 == 0 else None,
    )


def _pages(agents: list[Agent], at: datetime, size: int) -> list[bytes]:
    """Write every page out, each but the last naming the next; nearly every agent has reported since the last poll."""
    pages: list[bytes] = []
    for start in range(0, len(agents), size):
        rows = [agent_json(INSTALLED, agent, at) for agent in agents[start : start + size]]
        token = str(len(pages) + 1)
        following = {"next_page_url": f"/v1/agents?page_token={token}", "next_page_token": token}
        pages.append(dumps({"agents": rows, "pagination": following if start + size < len(agents) else {}}))
    return pages
