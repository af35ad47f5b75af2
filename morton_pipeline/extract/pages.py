"""How a list is walked to its end. A flow yields calls and receives pages; it does no I/O and keeps no state outside.

    def flow(call):
        page = yield call
        while there_is_more(page):
            page = yield the_next_call

Belongs here: ways of paging that several vendors share. A way only one vendor knows stands on that vendor's page.
"""

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from morton_pipeline.extract.errors import Incomplete

Json = Any


@dataclass(frozen=True)
class Call:
    """One request, before authentication: a path below the connection's base URL, or a whole next-page link.

    A parameter whose value is `{tenant}` is sent as the tenant's id.
    """

    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    method: str = "GET"
    json: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_seconds: float = 0
    """A pause the vendor asked for before this call."""
    note: Json = None
    """What the walk wants to remember with this call; never sent."""
    host: str = ""
    """The setting that holds its host, where it is not the connection's base URL (`Vendor.hosts`)."""
    accepts: tuple[int, ...] = ()
    """Refusals that are answers too, e.g. 404 for a thing that is no longer listed; the body is then the error, or
    nothing where the server failed."""

    def with_params(self, **params: str | int) -> "Call":
        """Return the same call with parameters added or replaced."""
        return replace(self, params={**self.params, **params})


@dataclass(frozen=True)
class Page:
    """One answer: the parsed body, and the records the endpoint found in it."""

    call: Call
    body: Json
    rows: list[dict[str, Json]]
    headers: Mapping[str, str]


Walk = Generator[Call, Page, None]
Flow = Callable[[Call], Walk]


def dig(body: Json, path: str) -> Json:
    """Follow a dotted path into nested objects; return None where it ends early. An OData key keeps its dots."""
    if isinstance(body, Mapping) and path in body:
        return body[path]
    for part in path.split("."):
        if not isinstance(body, Mapping):
            return None
        body = body.get(part)
    return body


def single_page(call: Call) -> Walk:
    """The first answer is the whole list."""
    yield call


def by_page_number(
    param: str,
    *,
    first: int,
    last_page: str | None = None,
    size: tuple[str, int],
    counted: tuple[str, str] | None = None,
) -> Flow:
    """Pages are numbered from `first`; the walk ends at the declared `last_page` count, else at an empty page.

    `counted` says where a page holds its list and where the number of all records, for a walk over several lists, of
    which each must be whole by itself.
    """

    def flow(call: Call) -> Walk:
        number = first
        call = call.with_params(**{size[0]: size[1]})
        page = yield call.with_params(**{param: number})
        seen = len(dig(page.body, counted[0])) if counted else 0
        while page.rows if last_page is None else number - first + 1 < int(dig(page.body, last_page) or 0):
            number += 1
            page = yield call.with_params(**{param: number})
            seen += len(dig(page.body, counted[0])) if counted else 0
        if counted and seen != int(dig(page.body, counted[1])):
            raise Incomplete(f"{call.path} declared {dig(page.body, counted[1])} records and sent {seen}.")

    return flow


def by_offset(param: str, *, limit: tuple[str, int], total: str | None = None) -> Flow:
    """Pages start at an offset; the walk ends at the declared total, else at an empty page."""

    def flow(call: Call) -> Walk:
        call = call.with_params(**{limit[0]: limit[1]})
        page = yield call.with_params(**{param: 0})
        seen = len(page.rows)
        while page.rows if total is None else seen < int(dig(page.body, total) or 0):
            if not page.rows:
                raise Incomplete(f"{call.path} declared {dig(page.body, total or '')} records and stopped at {seen}.")
            page = yield call.with_params(**{param: seen})
            seen += len(page.rows)

    return flow


def by_token(where: str, param: str) -> Flow:
    """The body carries a token for the next page; absent, null or empty means the last page."""

    def flow(call: Call) -> Walk:
        page = yield call
        seen: set[str] = set()
        while token := dig(page.body, where):
            if token in seen:
                raise Incomplete(f"{call.path} sent the same page token twice; the list would never end.")
            seen.add(token)
            page = yield call.with_params(**{param: token})

    return flow


def by_next_link(where: str) -> Flow:
    """The body carries the address of the next page, followed as it is."""

    def flow(call: Call) -> Walk:
        page = yield call
        seen: set[str] = set()
        while link := dig(page.body, where):
            if link in seen:
                raise Incomplete(f"{call.path} sent the same next link twice; the list would never end.")
            seen.add(link)
            page = yield replace(call, path=link, params={})

    return flow


def by_header_link(call: Call) -> Walk:
    """A `Link: <…>; rel="next"` header carries the address of the next page."""
    page = yield call
    while found := re.search(r'<([^>]+)>\s*;[^,]*rel="?next"?', page.headers.get("link", "")):
        page = yield replace(call, path=found[1], params={})


def by_highest_id(param: str, *, field: str, size: tuple[str, int]) -> Flow:
    """The next page starts after the highest id of this one; only an empty page ends the walk.

    A page shorter than asked for is not the end: a server that cuts a page short would otherwise cut the count.
    """

    def flow(call: Call) -> Walk:
        call = call.with_params(**{size[0]: size[1]})
        page = yield call
        highest: int | None = None
        while page.rows:
            reached = max(int(row[field]) for row in page.rows)
            if highest is not None and reached <= highest:
                raise Incomplete(f"{call.path} sent ids up to {reached} again; the list would never end.")
            highest = reached
            page = yield call.with_params(**{param: highest})

    return flow
