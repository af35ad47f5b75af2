"""The visa: one login, each answer's visa in the next call, and what a refusal of status 200 does."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from morton_pipeline.extract import errors, http, visa
from morton_pipeline.extract.fetch import fetch
from morton_pipeline.extract.pages import Call
from morton_pipeline.extract.visa import OWN_NAME, body_of
from morton_pipeline.vendors import VENDORS
from tests.conftest import Connect

Json = Any
COVE = replace(VENDORS["cove"], read_by_post={"/jsonapi": lambda _: True})
PING = Call("/jsonapi", method="POST", json=body_of("Ping", {}))
NO_VISA = {"error": {"code": -32603, "data": 1701, "message": "Visa is inconsistent/corrupted"}}
BAD_LOGIN = {"error": {"code": -32603, "data": 2100, "message": "Unknown partner/username or bad password"}}


class Desk:
    """Issues visas numbered from 1 and notes what is asked; `says` may answer something else instead."""

    def __init__(self, says: Callable[["Desk", Json], Json] = lambda desk, asked: None) -> None:
        self.says, self.asked, self.requests, self.issued = says, list[Json](), list[httpx.Request](), 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        self.asked.append(asked)
        self.requests.append(request)
        said = self.says(self, asked)
        if isinstance(said, httpx.Response):
            return said
        if said:
            return httpx.Response(200, json=said)
        self.issued += 1
        whole = {"id": asked["id"], "jsonrpc": "2.0", "result": {"result": {}}, "visa": f"visa-{self.issued}"}
        return httpx.Response(200, json=whole)

    @property
    def told(self) -> list[tuple[str, str | None]]:
        """The methods asked for, each with the visa it carried."""
        return [(asked["method"], asked.get("visa")) for asked in self.asked]


def send(connection: Any, desk: Desk, *calls: Call) -> Json:
    async def run() -> Json:
        async with http.open_http(connection, COVE, transport=httpx.MockTransport(desk)) as opened:
            for call in calls:
                body, _ = await opened.send(call)
            return body

    return asyncio.run(run())


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    """The wall clock, to be moved by hand."""
    hands = {"now": datetime(2026, 11, 1, tzinfo=UTC)}
    monkeypatch.setattr(visa, "wall", lambda: hands["now"])
    return hands


def test_one_login_and_then_each_answers_visa_in_the_next_call(connect: Connect) -> None:
    desk = Desk()
    send(connect("cove"), desk, PING, PING, PING)
    assert desk.told == [("Login", None), ("Ping", "visa-1"), ("Ping", "visa-2"), ("Ping", "visa-3")]
    words = ("partner", "username", "password")
    assert desk.asked[0]["params"] == {word: f"s3cret/{word}+of=cove" for word in words}


def test_a_call_keeps_its_words_and_gains_only_the_visa(connect: Connect) -> None:
    desk = Desk()
    send(connect("cove"), desk, PING)
    assert desk.asked[1] == {**PING.json, "visa": "visa-1"}
    assert int(desk.requests[1].headers["content-length"]) == len(desk.requests[1].content)


def test_whoever_we_are_is_filled_in_where_a_call_asks_for_it(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect("cove")
    monkeypatch.setenv(connection.secrets["partner"], 'The "Best" MSP (it@msp.test)')
    desk = Desk()
    send(connection, desk, Call("/jsonapi", method="POST", json=body_of("GetPartnerInfo", {"name": OWN_NAME})))
    assert desk.asked[1]["params"] == {"name": 'The "Best" MSP (it@msp.test)'}


@pytest.mark.parametrize(
    ("pauses", "logins"),
    [((9, 9, 9), 1), ((10,), 2), ((9, 10, 9), 2)],
    ids=["renewed by each answer", "grown old", "grown old once"],
)
def test_a_visa_nobody_renewed_for_ten_minutes_is_not_used(
    connect: Connect, at: dict[str, datetime], pauses: tuple[int, ...], logins: int
) -> None:
    desk = Desk()

    async def run() -> None:
        async with http.open_http(connect("cove"), COVE, transport=httpx.MockTransport(desk)) as opened:
            await opened.send(PING)
            for minutes in pauses:
                at["now"] += timedelta(minutes=minutes)
                await opened.send(PING)

    asyncio.run(run())
    assert [method for method, _ in desk.told].count("Login") == logins


def test_a_visa_that_ended_early_is_replaced_and_the_call_made_again(connect: Connect) -> None:
    desk = Desk(lambda desk, asked: NO_VISA if asked.get("visa") == "visa-2" else None)
    assert send(connect("cove"), desk, PING, PING)["result"] == {"result": {}}
    assert desk.told[2:] == [("Ping", "visa-2"), ("Login", None), ("Ping", "visa-3")]


def test_a_visa_refused_as_soon_as_it_is_issued_is_not_tried_for_ever(connect: Connect) -> None:
    desk = Desk(lambda desk, asked: NO_VISA if asked["method"] == "Ping" else None)
    with pytest.raises(errors.RequestRefused, match="Cove refuses Ping: Visa is inconsistent/corrupted \\(1701\\)"):
        send(connect("cove"), desk, PING)
    assert len(desk.asked) == 2


def test_a_refused_login_is_never_tried_again(connect: Connect) -> None:
    desk = Desk(lambda desk, asked: BAD_LOGIN)
    with pytest.raises(errors.CredentialsRefused) as caught:
        send(connect("cove", settings={"attempts": 4}), desk, PING)
    assert len(desk.asked) == 1
    assert str(caught.value).startswith("cove: POST /jsonapi: Cove refuses the login: Unknown partner/username or bad")
    assert "address in brackets" in str(caught.value)


def test_a_refused_login_is_asked_once_for_all_lists_of_a_reading(connect: Connect) -> None:
    desk = Desk(lambda desk, asked: BAD_LOGIN)
    found = fetch(connect("cove"), COVE, at=datetime(2026, 11, 1, tzinfo=UTC), transport=httpx.MockTransport(desk))
    assert [e.rows for e in found] == [None, None, None]
    assert len(desk.asked) == 1


@pytest.mark.parametrize(
    ("answer", "error", "asked"),
    [
        (httpx.Response(503), errors.ServerFailed, 3),
        (httpx.Response(429, headers={"Retry-After": "0"}), errors.RateLimited, 3),
        (httpx.Response(403, json={}), errors.CredentialsRefused, 1),
        (httpx.Response(200, text="<html>Sign in</html>"), errors.UnexpectedAnswer, 1),
        (httpx.Response(200, json={"result": {}}), errors.UnexpectedAnswer, 1),
        (httpx.Response(200, json=[]), errors.UnexpectedAnswer, 1),
    ],
    ids=["down", "busy", "forbidden", "page", "no visa", "no object"],
)
def test_a_login_that_fails_otherwise_says_how(
    connect: Connect, answer: httpx.Response, error: type[Exception], asked: int
) -> None:
    desk = Desk(lambda desk, _: answer)
    with pytest.raises(error):
        send(connect("cove", settings={"attempts": 3}), desk, PING)
    assert len(desk.asked) == asked


@pytest.mark.parametrize(
    "said",
    [
        {
            "error": {
                "code": -32603,
                "data": 13501,
                "message": "Operation failed for visa-1 and s3cret/password+of=cove.",
            }
        },
        {"error": {"code": 13501, "message": "Operation failed for visa-1 and s3cret/password+of=cove."}},
        {"error": "Operation failed for visa-1 and s3cret/password+of=cove (13501)."},
    ],
    ids=["own number", "one number", "text"],
)
def test_a_refusal_of_status_200_is_an_error_and_shows_no_secret(connect: Connect, said: Json) -> None:
    desk = Desk(lambda desk, asked: said if asked["method"] == "Ping" else None)
    with pytest.raises(errors.RequestRefused) as caught:
        send(connect("cove"), desk, PING)
    assert "Cove refuses Ping: Operation failed for ••• and •••" in str(caught.value)
    assert "13501" in str(caught.value)
    assert len(desk.asked) == 2


def test_the_answer_is_read_under_the_size_cap(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SIZE_CAP", 2000)
    desk = Desk(lambda desk, asked: {"visa": "v", "result": "x" * 3000} if asked["method"] == "Ping" else None)
    with pytest.raises(errors.UnexpectedAnswer, match="more than"):
        send(connect("cove"), desk, PING)


def test_the_login_does_not_wait_for_ever(connect: Connect) -> None:
    desk = Desk()
    send(connect("cove", settings={"timeout_seconds": 7}), desk, PING)
    login, ping = (request.extensions["timeout"] for request in desk.requests)
    assert login == ping
    assert login["read"] == 7
