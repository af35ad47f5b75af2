"""Fetching one large list to the end and loading it, beside dlt doing the same; and the vendor's limit meanwhile.

Belongs here: the three ways of reading the list and the table. Does not: the stand-in that serves it (`agents`), dlt's
side (`by_dlt`), or loading a list of any size without a vendor in between (`polling`).
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import duckdb
import httpx

from benchmarks.agents import AT, CHANGED, PAGE, POLLS, serving, told, two_polls
from benchmarks.measure import Figure, Ran, apart, in_turn, show
from morton_pipeline.book import Book, open_book
from morton_pipeline.extract.fetch import fetch
from morton_pipeline.extract.records import columns
from morton_pipeline.extract.vendor import Rate
from morton_pipeline.refresh import refresh
from morton_pipeline.simulator.credentials import ACCEPTED, HUNTRESS
from morton_pipeline.vendors import VENDORS

AGENTS = 100_000
PAGES = 200
"""A page holds no more records than Huntress's, which is 500; of a short list there are fewer pages."""
ROUNDS = 2
FEW = 10_000
"""Fewer agents than this show that the three agree, not how fast they are, and are read in one round."""
LIMIT = Rate(60, 6)
"""Huntress's sixty requests in any minute, ten times as fast: waiting for minutes would show the same."""
CONNECTIONS = """
connections:
  - id: huntress
    vendor: huntress
    base_url: {base_url}
    secrets: {{api_key: HUNTRESS_API_KEY, api_secret: HUNTRESS_API_SECRET}}
    requests_per_minute: 1000000
"""
FIELDS = tuple(column.name for column in columns(VENDORS["huntress"].endpoint("agents").record))


def run(records: int) -> bool:
    """Let the three read in turn and print the rates, then fetch under a limit; tell whether both ended rightly."""
    # Only here: whoever runs another benchmark neither waits for dlt nor has it in the memory that is measured.
    from benchmarks import by_dlt

    agents = min(records, AGENTS)
    size = min(500, max(5, agents // PAGES))
    with serving(agents, size) as base_url:
        ours, theirs, bare = in_turn(
            ROUNDS if agents >= FEW else 1,
            partial(apart, with_morton, base_url),
            partial(apart, by_dlt.read, base_url, FIELDS),
            partial(apart, with_httpx, base_url),
        )
    only_pages = "a bare httpx loop that fetches the pages and parses them"
    replaced = "dlt's rest_api source into DuckDB: these fields, replaced, no history"
    figures = []
    for name, poll in (("first load", 0), (f"second poll, {CHANGED:.0%} changed", 1)):
        morton, dlt, httpx_alone = (_rate(runs, poll) for runs in (ours, theirs, bare))
        figures += [
            Figure(f"Morton, {name}", morton, "records/s", dlt, replaced),
            Figure(f"Morton, {name}", morton, "records/s", httpx_alone, only_pages),
            Figure(f"dlt, {name}", dlt, "records/s", httpx_alone, only_pages),
        ]
    figures.append(Figure("peak memory of Morton", ours[-1].peak_mib, "MiB", theirs[-1].peak_mib, "of dlt"))
    show(f"fetching: {agents:,} agents in pages of {size}, validated and loaded", figures)
    return _agree(ours, theirs, bare) & _under_a_limit(agents, size)


def with_morton(base_url: str) -> list[tuple[int, float]]:
    """Read both polls as the schedule would: fetched, validated, written to the journal and the warehouse."""
    with _book(base_url) as book:
        instants = iter(POLLS)

        def read() -> None:
            (loaded,) = refresh(book, book.connections, at=next(instants), endpoints=["agents"])
            if loaded.status != "complete":
                raise SystemExit(f"The benchmark's own records were not taken: {loaded.status}, {loaded.reason}")

        def count() -> int:
            with duckdb.connect(str(book.warehouse), read_only=True) as con:
                current = "select count(*) from raw_huntress.agents where valid_to is null"
                return int(con.execute(current).fetchall()[0][0])

        return two_polls(base_url, read, count)


def with_httpx(base_url: str) -> list[tuple[int, float]]:
    """Read both polls and keep nothing: what no way of loading can be faster than."""
    seen = 0

    def read() -> None:
        nonlocal seen
        seen = 0
        token: str | None = ""
        with httpx.Client(base_url=base_url, auth=(HUNTRESS.id, HUNTRESS.secret)) as client:
            while token is not None:
                body = client.get("/v1/agents", params=PAGE | ({"page_token": token} if token else {})).json()
                seen += len(body["agents"])
                token = body["pagination"].get("next_page_token")

    return two_polls(base_url, read, lambda: seen)


@contextmanager
def _book(base_url: str) -> Iterator[Book]:
    os.environ |= {name: ACCEPTED[name] for name in ("HUNTRESS_API_KEY", "HUNTRESS_API_SECRET")}
    with tempfile.TemporaryDirectory(prefix="morton-fetching-") as folder:
        (Path(folder) / "connections.yaml").write_text(CONNECTIONS.format(base_url=base_url), "utf-8")
        yield open_book(folder)


def _rate(runs: list[Ran], poll: int) -> float:
    polls: list[tuple[int, float]] = [ran.result[poll] for ran in runs]
    return median(count / seconds for count, seconds in polls)


def _agree(*contestants: list[Ran]) -> bool:
    """Every round of every contestant must have ended with the same records, at the first poll and at the second."""
    counted = [{tuple(count for count, _ in ran.result) for ran in runs} for runs in contestants]
    if len(set().union(*counted)) > 1:
        print(f"  THE THREE DISAGREE about the records: Morton {counted[0]}, dlt {counted[1]}, httpx {counted[2]}")
        return False
    first, second = counted[0].pop()
    print(f"  The three agree: {first:,} records, then {second:,}.")
    return True


def _under_a_limit(agents: int, size: int) -> bool:
    """Fetch the list from a stand-in that enforces a limit, with our own limit set to exactly the vendor's."""
    with serving(agents, size, LIMIT) as base_url, _book(base_url) as book:
        connection = book.connection("huntress")
        own = {name: value for name, value in connection.settings.items() if name != "requests_per_minute"}
        vendor = replace(VENDORS["huntress"], rate=LIMIT)
        (found,) = fetch(
            replace(connection, settings=own), vendor, at=AT, endpoints=["agents"], rate_dir=book.data / "rates"
        )
        counted = told(base_url)
    requests, refused, most = counted["requests"], counted["refused"], counted["busiest"]
    print(
        f"\nfetching under a limit: {LIMIT.requests} requests in any {LIMIT.seconds:g} s, enforced by the vendor\n"
        f"  requests {requests:,}   limit {LIMIT.requests}   share of the window used {most / LIMIT.requests:.0%}   "
        f"exceeded {refused}"
    )
    if found.rows is None or refused:
        print(f"  THE LIMIT WAS NOT KEPT: {found.error or f'{refused} requests were refused.'}")
        return False
    return True
