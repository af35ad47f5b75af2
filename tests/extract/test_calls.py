"""What a call may say of itself: whose host it is for, the tenant it asks about, and refusals that are answers."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Connection, Tenant
from morton_pipeline.extract import errors
from morton_pipeline.extract.auth import Credentials, header_key
from morton_pipeline.extract.fetch import fetch
from morton_pipeline.extract.http import open_http
from morton_pipeline.extract.pages import Call, Page, by_next_link, by_page_number
from morton_pipeline.extract.records import Record, Text, key
from morton_pipeline.extract.vendor import Endpoint, Vendor

AT = datetime(2026, 11, 1, tzinfo=UTC)
Answer = Callable[[httpx.Request], httpx.Response]


class Thing(Record):
    """Anything."""

    id: Text = key("Its id.")


THINGS = Endpoint("things", Thing, "Things.", path="/things", records="items")
VENDOR = Vendor(
    name="elsewhere",
    title="Elsewhere",
    category="other",
    base_url="https://api.elsewhere.example",
    hosts={"admin_url": "https://admin.elsewhere.example"},
    auth=header_key("Authorization", "api_key"),
    secrets=("api_key",),
    cron="0 2 * * *",
    endpoints=(THINGS,),
)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Connection:
    monkeypatch.setenv("TEST_ELSEWHERE_API_KEY", "s3cret")
    return Connection("elsewhere", "elsewhere", VENDOR.base_url, VENDOR.base_url, {"api_key": "TEST_ELSEWHERE_API_KEY"},
                      {"attempts": 1, "backoff_seconds": 0}, tenants=(Tenant("C01", "Contoso", "a@x.test"),))  # fmt: skip


def send(connection: Connection, answer: Answer, call: Call, vendor: Vendor = VENDOR) -> Any:
    async def run() -> Any:
        async with open_http(connection, vendor, transport=httpx.MockTransport(answer)) as http:
            return (await http.send(call, "C01"))[0]

    return asyncio.run(run())


def echo(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"url": str(request.url), "key": request.headers.get("authorization")})


def test_a_call_goes_to_the_host_it_names_and_no_other(connection: Connection) -> None:
    assert send(connection, echo, Call("/a"))["url"] == "https://api.elsewhere.example/a"
    assert send(connection, echo, Call("/a", host="admin_url"))["url"] == "https://admin.elsewhere.example/a"


def test_a_connection_may_replace_a_further_host(connection: Connection) -> None:
    here = replace(connection, settings={**connection.settings, "admin_url": "http://127.0.0.1:8080/admin"})
    assert send(here, echo, Call("/a", host="admin_url"))["url"] == "http://127.0.0.1:8080/admin/a"


@pytest.mark.parametrize(
    ("host", "link"),
    [
        ("", "https://admin.elsewhere.example/next"),
        ("admin_url", "https://api.elsewhere.example/next"),
        ("admin_url", "https://admin.elsewhere.example.evil.example/next"),
        ("admin_url", "http://admin.elsewhere.example/next"),
        ("admin_url", "https://admin.elsewhere.example:8443/next"),
    ],
    ids=["from the base to the further", "back again", "a longer name", "in the open", "another port"],
)
def test_a_link_never_leaves_the_host_its_call_is_for(connection: Connection, host: str, link: str) -> None:
    with pytest.raises(errors.ForeignLink):
        send(connection, echo, Call(link, host=host))
    walk = by_next_link("next")(Call("/a", host=host))
    assert walk.send(None) == Call("/a", host=host)  # type: ignore[arg-type]
    assert walk.send(Page(Call("/a"), {"next": link}, [], {})).host == host


def test_a_parameter_may_be_the_tenant_s_id(connection: Connection) -> None:
    call = Call("/a", {"customer": "{tenant}", "size": 5, "word": "{other}"})
    assert send(connection, echo, call)["url"].endswith("?customer=C01&size=5&word=%7Bother%7D")


def test_the_flow_is_told_in_whose_name_and_with_which_settings(connection: Connection) -> None:
    seen: list[Credentials] = []
    vendor = replace(VENDOR, auth=lambda c: seen.append(c) or httpx.Auth())  # type: ignore[func-returns-value]
    send(connection, echo, Call("/a"), vendor)
    send(replace(connection, tenants="auto"), echo, Call("/a"), vendor)
    assert [(c.admin, c.settings["attempts"]) for c in seen] == [("a@x.test", 1), ("", 1)]


def gone(_: httpx.Request) -> httpx.Response:
    return httpx.Response(404, json={"message": "no such thing"})


def test_a_refusal_is_an_answer_only_where_the_call_accepts_it(connection: Connection) -> None:
    assert send(connection, gone, Call("/a", accepts=(404,))) == {"message": "no such thing"}
    with pytest.raises(errors.NotFound):
        send(connection, gone, Call("/a", accepts=(403,)))
    with pytest.raises(errors.UnexpectedAnswer, match="a web page"):
        send(connection, lambda _: httpx.Response(404, text="<html>"), Call("/a", accepts=(404,)))


def test_a_failure_that_is_an_answer_has_no_body_whatever_it_says(connection: Connection) -> None:
    assert send(connection, lambda _: httpx.Response(502, text="<html>"), Call("/a", accepts=(502,))) is None
    with pytest.raises(errors.ServerFailed):
        send(connection, lambda _: httpx.Response(503, text="<html>"), Call("/a", accepts=(502,)))


@pytest.mark.parametrize("reason", ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"])
def test_google_s_403_about_the_limit_is_no_missing_permission(connection: Connection, reason: str) -> None:
    body = {"error": {"message": "Slow down", "errors": [{"reason": reason}]}}
    for call in (Call("/a"), Call("/a", accepts=(403,))):
        with pytest.raises(errors.RateLimited, match="Slow down"):
            send(connection, lambda _: httpx.Response(403, json=body), call)


def test_an_endpoint_is_what_the_settings_of_its_connection_make_it(connection: Connection) -> None:
    def configure(endpoint: Endpoint, connection: Connection) -> Endpoint:
        return replace(endpoint, path=str(connection.settings["list"]))

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"items": [{"id": request.url.path}]})

    vendor = replace(VENDOR, endpoints=(replace(THINGS, configure=configure),))
    listing = replace(connection, settings={**connection.settings, "list": "/others"})
    (found,) = fetch(listing, vendor, at=AT, transport=httpx.MockTransport(answer))
    assert found.rows == [{"id": "/others"}]


PAGES = by_page_number("page", first=0, last_page="page.pages", size=("size", 2), counted=("items", "page.all"))


@pytest.mark.parametrize(("declared", "is_whole"), [(3, True), (4, False), (2, False)])
def test_each_of_several_lists_must_be_whole_by_itself(declared: int, is_whole: bool) -> None:
    walk = PAGES(Call("/a"))
    found = walk.send(None)  # type: ignore[arg-type]
    assert found.params == {"size": 2, "page": 0}
    pages = [
        {"items": [1, 2], "page": {"pages": 2, "all": declared}},
        {"items": [3], "page": {"pages": 2, "all": declared}},
    ]
    assert walk.send(Page(found, pages[0], [], {})).params["page"] == 1
    with pytest.raises(StopIteration if is_whole else errors.Incomplete):
        walk.send(Page(found, pages[1], [], {}))
