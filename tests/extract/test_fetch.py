"""Scopes come back whole or not at all, and each fails alone."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Tenant
from morton_pipeline.errors import BadInput
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.pages import by_offset
from morton_pipeline.extract.records import Record, Text, column, key
from morton_pipeline.extract.vendor import Endpoint
from morton_pipeline.vendors import VENDORS
from tests.conftest import Connect

AT = datetime(2026, 11, 1, tzinfo=UTC)
GRAPH = VENDORS["microsoft365"]
SKU = {"skuId": "SKU-1", "skuPartNumber": "SPB", "capabilityStatus": "Enabled", "appliesTo": "User", "consumedUnits": 1,
       "prepaidUnits": {"enabled": 5, "warning": 0, "suspended": 0, "lockedOut": 0}}  # fmt: skip


class Part(Record):
    """The smallest record."""

    id: Text = key("Its id.")
    name: Text = column("Its name.")


PARTS = replace(
    VENDORS["huntress"],
    rate=None,
    endpoints=(
        Endpoint(
            "parts", Part, "Parts.", path="/parts", records="items", total="total", pages=by_offset("o", limit=("l", 2))
        ),
        Endpoint(
            "named", Part, "Named parts.", needs=("parts",), derive=lambda f: [p for p in f["parts"] if p.get("name")]
        ),
        Endpoint("others", Part, "Others.", path="/others", records="items"),
    ),
)


def parts(*pages: dict[str, Any], others: int = 200) -> Callable[[httpx.Request], httpx.Response]:
    answers = list(pages)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/others":
            return httpx.Response(others, json={"items": [{"id": 1}]})
        return httpx.Response(200, json=answers.pop(0) if len(answers) > 1 else answers[0])

    return answer


def page(total: int, *ids: int) -> dict[str, Any]:
    return {"total": total, "items": [{"id": n, "name": f"p{n}" if n % 2 else None} for n in ids]}


def read(connect: Connect, answer: Any, **more: Any) -> dict[str, Extraction]:
    found = fetch(connect("huntress"), PARTS, at=AT, transport=httpx.MockTransport(answer), **more)
    return {e.endpoint: e for e in found}


def test_every_page_comes_and_what_is_derived_follows(connect: Connect) -> None:
    found = read(connect, parts(page(3, 1, 2), page(3, 3), page(3)))
    assert [row["id"] for row in found["parts"].rows or ()] == [1, 2, 3]
    assert [row["id"] for row in found["named"].rows or ()] == [1, 3]
    assert (found["parts"].request_count, found["named"].request_count, found["parts"].attempted_at) == (3, 0, AT)


def test_case_4_a_walk_that_ends_short_of_the_declared_total_is_rejected_whole(connect: Connect) -> None:
    found = read(connect, parts(page(3, 1, 2), page(3)))
    assert found["parts"].rows is None
    assert found["parts"].error == "huntress: parts: the vendor declared 3 records and sent 2."
    assert found["named"].rows is None
    assert "needs parts, which failed" in found["named"].error
    assert found["others"].rows == [{"id": 1}]


def test_case_4_a_total_that_is_no_longer_declared_is_not_taken_for_zero(connect: Connect) -> None:
    found = read(connect, parts({"items": []}))
    assert found["parts"].rows is None
    assert "shape has changed" in found["parts"].error


def test_case_4_a_page_sent_twice_rejects_the_scope(connect: Connect) -> None:
    found = read(connect, parts(page(4, 1, 2), page(4, 1, 2), page(4)))
    assert found["parts"].rows is None
    assert "record 1 came twice" in found["parts"].error


def test_case_5_a_confirmed_zero_is_an_empty_list_not_a_failure(connect: Connect) -> None:
    found = read(connect, parts(page(0)))
    assert (found["parts"].rows, found["parts"].error) == ([], "")


@pytest.mark.parametrize("body", [{"total": 0}, {"total": 0, "items": None}, {"total": 0, "items": {}}, [], "no", None,
                                  {"total": 0, "items": [1]}],
                         ids=["absent", "null", "object", "list", "text", "nothing", "not-records"])  # fmt: skip
def test_a_list_that_is_none_fails(connect: Connect, body: Any) -> None:
    found = read(connect, parts(body))
    assert found["parts"].rows is None
    assert found["parts"].error.startswith("huntress: ")


def test_only_what_is_asked_for_and_what_it_needs_is_read(connect: Connect) -> None:
    assert set(read(connect, parts(page(0)), endpoints={"named"})) == {"parts", "named"}
    assert set(read(connect, parts(page(0)), endpoints={"others"})) == {"others"}


def test_one_endpoint_failing_leaves_the_others(connect: Connect) -> None:
    found = read(connect, parts(page(0), others=403))
    assert found["parts"].rows == []
    assert found["others"].rows is None
    assert "403" in found["others"].error


def test_a_missing_secret_names_the_variable_and_the_connection(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect("huntress", id="edr-east")
    monkeypatch.delenv("TEST_HUNTRESS_API_SECRET")
    with pytest.raises(BadInput, match=r"edr-east \(huntress\) needs TEST_HUNTRESS_API_SECRET: set it in"):
        fetch(connection, PARTS, at=AT)


class Graph:
    """Forty tenants, some of which gave no consent or answer strangely."""

    def __init__(self, refused: set[str] | None = None, odd: dict[str, Any] | None = None, listed: int = 40) -> None:
        self.refused, self.odd, self.listed = refused or set(), odd or {}, listed
        self.tokens: Counter[str] = Counter()
        self.running = self.most = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.001)
        self.running -= 1
        return self.answer(request)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            tenant = request.url.path.split("/")[1]
            self.tokens[tenant] += 1
            if tenant in self.refused:
                return httpx.Response(
                    400, json={"error": "invalid_client", "error_description": "AADSTS700016 no consent"}
                )
            return httpx.Response(200, json={"access_token": f"bearer-{tenant}", "expires_in": 3599})
        tenant = request.headers["Authorization"].removeprefix("Bearer bearer-")
        if request.url.path == "/v1.0/subscribedSkus":
            return httpx.Response(200, json=self.odd.get(tenant, {"value": [SKU | {"id": f"{tenant}_SKU-1"}]}))
        if request.url.path == "/v1.0/users":
            user = {"id": f"u-{tenant}", "userPrincipalName": "a@b", "assignedLicenses": [{"skuId": "sku-1"}]}
            return httpx.Response(200, json={"value": [user]})
        if request.url.path == "/v1.0/$batch":
            return httpx.Response(
                200, json={"responses": [{"id": "0", "status": 200, "body": {"userPurpose": "user"}}]}
            )
        customers = [{"id": n, "tenantId": f"T{n}", "displayName": f"Client {n}"} for n in range(self.listed)]
        return httpx.Response(200, json={"value": customers})


class Transport(httpx.AsyncBaseTransport):
    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.graph.handle_async_request(request)


def tenants(connect: Connect, graph: Graph, listed: Any = None) -> list[Extraction]:
    forty = tuple(Tenant(f"t{n}", f"Client {n}") for n in range(40))
    settings = {"partner_tenant": "partner"} if listed == "auto" else {}
    return fetch(
        connect("microsoft365", tenants=listed or forty, settings=settings), GRAPH, at=AT, transport=Transport(graph)
    )


def test_case_3_one_tenant_of_forty_fails_alone(connect: Connect) -> None:
    graph = Graph(refused={"t7"}, odd={"t9": {"value": "x"}})
    found = tenants(connect, graph)
    failed = {(e.tenant_id, e.endpoint) for e in found if e.rows is None}
    assert failed == {("t7", n) for n in ("subscribed_skus", "users", "mailboxes", "user_licenses")} | {
        ("t9", "subscribed_skus"),
        ("t9", "user_licenses"),
    }
    assert len(found) == 160
    refused = next(e for e in found if e.tenant_id == "t7")
    assert refused.tenant_name == "Client 7"
    assert refused.error.startswith("microsoft365: ")
    assert "AADSTS700016 no consent" in refused.error


def test_tenants_are_read_together_but_not_all_at_once(connect: Connect) -> None:
    graph = Graph()
    tenants(connect, graph)
    assert 2 <= graph.most <= GRAPH.concurrency


def test_each_tenant_asks_for_one_token(connect: Connect) -> None:
    graph = Graph()
    tenants(connect, graph)
    assert set(graph.tokens.values()) == {1}
    assert len(graph.tokens) == 40


def test_requests_are_counted_per_scope_though_tenants_overlap(connect: Connect) -> None:
    assert {(e.endpoint, e.request_count) for e in tenants(connect, Graph())} == {
        ("subscribed_skus", 1),
        ("users", 1),
        ("mailboxes", 1),
        ("user_licenses", 0),
    }


def test_tenants_auto_reads_every_customer_of_the_partner(connect: Connect) -> None:
    found = tenants(connect, Graph(listed=3), "auto")
    assert {(e.tenant_id, e.tenant_name) for e in found} == {(f"t{n}", f"Client {n}") for n in range(3)}
    assert all(e.rows for e in found)


@pytest.mark.parametrize(("graph", "words"), [(Graph(refused={"partner"}), "no consent"), (Graph(listed=0), "lists no customer")],
                         ids=["refused", "nobody"])  # fmt: skip
def test_case_11_tenants_that_cannot_be_listed_are_a_failure_not_silence(
    connect: Connect, graph: Graph, words: str
) -> None:
    found = tenants(connect, graph, "auto")
    assert {e.endpoint for e in found} == {e.name for e in GRAPH.endpoints}
    assert all(e.rows is None and words in e.error and "could not be listed" in e.error for e in found)
