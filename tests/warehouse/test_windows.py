"""What is refused or cut short leaves what was known as it was: it is unknown or old, and never zero."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Book, Connection, Tenant
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.vendors import VENDORS
from morton_pipeline.warehouse.load import load
from morton_pipeline.warehouse.lock import connect as open_warehouse
from tests.conftest import Connect

M365 = replace(VENDORS["microsoft365"], rate=None)
GRAPH = "https://graph.microsoft.com"
Answer = Callable[[str, httpx.Request], httpx.Response | None]


class Graph:
    """Two tenants with four users each, on two pages; `otherwise` may answer in its place."""

    def __init__(self) -> None:
        self.otherwise: Answer = lambda tenant, request: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        tenant = (
            path.split("/")[1] if path.endswith("/token") else request.headers["authorization"].removeprefix("Bearer ")
        )
        if (answer := self.otherwise(tenant, request)) is not None:
            return answer
        if path.endswith("/token"):
            return httpx.Response(200, json={"access_token": tenant, "expires_in": 3600})
        if path == "/v1.0/subscribedSkus":
            return httpx.Response(200, json={"value": []})
        page = int(request.url.params.get("page", "1"))
        users = [
            {"id": f"{tenant}-{page}-{n}", "userPrincipalName": f"{n}@{tenant}", "assignedLicenses": []} for n in (1, 2)
        ]
        more = {"@odata.nextLink": f"{GRAPH}/v1.0/users?page=2"} if page == 1 else {}
        return httpx.Response(200, json={"value": users, **more})


@pytest.fixture
def connection(connect: Connect) -> Connection:
    return connect("microsoft365", id="m365", tenants=(Tenant("contoso"), Tenant("fabrikam")), base_url=GRAPH)


def read(book: Book, connection: Connection, graph: Graph, at: datetime) -> dict[tuple[str, str], Extraction]:
    """Read once, load it, and return the attempts by tenant and list."""
    found = fetch(connection, M365, at=at, transport=httpx.MockTransport(graph))
    load(book, found)
    return {(e.tenant_id, e.endpoint): e for e in found}


def ask(book: Book, sql: str) -> list[tuple[Any, ...]]:
    with open_warehouse(book, "test") as con:
        return con.execute(sql).fetchall()


USERS = "select tenant_id, count(*) from raw_microsoft365.users where valid_to is null group by 1 order by 1"
STANDING = """
    select tenant_id, status from raw.extractions where endpoint = 'users'
    qualify row_number() over (partition by tenant_id order by attempted_at desc) = 1 order by 1
"""


def test_case_84_a_run_that_is_cut_short_is_not_complete_and_the_next_window_finishes_it(
    book: Book, connection: Connection, hour: Callable[[float], datetime]
) -> None:
    graph = Graph()

    def enough(tenant: str, request: httpx.Request) -> httpx.Response | None:
        is_second = tenant == "fabrikam" and request.url.params.get("page") == "2"
        return httpx.Response(429, headers={"Retry-After": "3600"}) if is_second else None

    graph.otherwise = enough
    first = read(book, connection, graph, hour(0))
    cut = first["fabrikam", "users"]
    assert (cut.rows, cut.kind) == (None, "RateLimited")
    assert "The next scheduled run continues" in cut.error
    assert first["fabrikam", "subscribed_skus"].rows == [], "what was read before is kept"
    assert ask(book, USERS) == [("contoso", 4)], "half a list is no list"
    assert ask(book, STANDING) == [("contoso", "complete"), ("fabrikam", "failed")]
    graph.otherwise = lambda tenant, request: None
    read(book, connection, graph, hour(1))
    assert ask(book, USERS) == [("contoso", 4), ("fabrikam", 4)]
    assert ask(book, STANDING) == [("contoso", "complete"), ("fabrikam", "complete")]


@pytest.mark.parametrize("status", [400, 401])
def test_case_83_a_secret_that_has_expired_makes_nothing_zero(
    book: Book, connection: Connection, hour: Callable[[float], datetime], status: int
) -> None:
    graph = Graph()
    read(book, connection, graph, hour(0))
    expired = httpx.Response(
        status, json={"error": "invalid_client", "error_description": "AADSTS7000222: keys are expired."}
    )
    graph.otherwise = lambda tenant, request: expired if request.url.path.endswith("/token") else None
    found = read(book, connection, graph, hour(1))
    assert {(e.rows, e.kind) for e in found.values() if e.endpoint == "users"} == {(None, "CredentialsRefused")}
    assert ask(book, USERS) == [("contoso", 4), ("fabrikam", 4)], "what was known last stands"
    assert ask(book, STANDING) == [("contoso", "failed"), ("fabrikam", "failed")]
