"""What is true of every request: what is tried again, how long we wait, what is refused, and what is never printed."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st

from morton_pipeline.extract import errors, http
from morton_pipeline.extract.http import LOGGERS, redact_logs
from morton_pipeline.extract.pages import Call
from morton_pipeline.extract.vendor import Rate, Vendor
from morton_pipeline.vendors import VENDORS
from tests.conftest import Connect

Handler = Callable[[httpx.Request], httpx.Response]
HUNTRESS = replace(VENDORS["huntress"], rate=None)
LIST = Call("/v1/agents", {"limit": 500})


def send(
    connection: Any, answer: Handler | None, call: Call = LIST, *, vendor: Vendor = HUNTRESS, times: int = 1
) -> Any:
    """Send one call through a stand-in transport (or the real one), and return the body of the last answer."""

    async def run() -> Any:
        transport = httpx.MockTransport(answer) if answer else None
        async with http.open_http(connection, vendor, transport=transport) as opened:
            for _ in range(times):
                body, _ = await opened.send(call, "tenant-1")
            return body

    return asyncio.run(run())


class Answers:
    """Gives one answer after another, the last for ever, and counts."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers, self.seen = list(answers), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


OK = httpx.Response(200, json={"agents": []})


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collect what would have been waited between attempts."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(http.tenacity, "AsyncRetrying", partial(tenacity.AsyncRetrying, sleep=sleep))
    return waited


@pytest.mark.parametrize(
    ("failure", "error", "attempts"),
    [
        (httpx.Response(429), errors.RateLimited, 4),
        (httpx.Response(500), errors.ServerFailed, 4),
        (httpx.Response(503), errors.ServerFailed, 4),
        (httpx.Response(408), errors.ServerFailed, 4),
        (httpx.ReadTimeout("slow"), errors.Unreachable, 4),
        (httpx.ConnectError("refused"), errors.Unreachable, 4),
        (httpx.RemoteProtocolError("cut off"), errors.Unreachable, 4),
        (httpx.DecodingError("bad gzip"), errors.Unreachable, 4),
        (httpx.Response(400), errors.RequestRefused, 1),
        (httpx.Response(401), errors.CredentialsRefused, 1),
        (httpx.Response(403), errors.PermissionMissing, 1),
        (httpx.Response(404), errors.NotFound, 1),
        (httpx.Response(200, text="<html>"), errors.UnexpectedAnswer, 1),
        (httpx.Response(200, text='{"agents": ['), errors.UnexpectedAnswer, 1),
        (httpx.Response(200, text='{"agents": [{"id": NaN}]}'), errors.UnexpectedAnswer, 1),
        (httpx.Response(204), errors.UnexpectedAnswer, 1),
        (httpx.Response(206, json={"agents": []}), errors.UnexpectedAnswer, 1),
        (httpx.Response(302, json={"agents": []}, headers={"Location": "https://login.example"}), errors.UnexpectedAnswer, 1),
    ],
    ids=["429", "500", "503", "408", "timeout", "refused", "cut-off", "bad-gzip",
         "400", "401", "403", "404", "page", "truncated", "nan", "204", "206", "redirect"],
)  # fmt: skip
def test_only_transient_failures_are_tried_again(
    connect: Connect, failure: httpx.Response | Exception, error: type[Exception], attempts: int
) -> None:
    answers = Answers(failure)
    with pytest.raises(error) as caught:
        send(connect("huntress"), answers)
    assert len(answers.seen) == attempts
    assert str(caught.value).startswith("huntress: GET /v1/agents ") or "GET /v1/agents:" in str(caught.value)


def test_a_failure_that_passes_is_forgotten(connect: Connect) -> None:
    answers = Answers(httpx.Response(503), httpx.ReadTimeout("slow"), OK)
    assert send(connect("huntress"), answers) == {"agents": []}
    assert len(answers.seen) == 3


@pytest.mark.parametrize("header", ["3", "2.128", "date"], ids=["seconds", "decimal", "http-date"])
def test_trap_12_we_wait_as_long_as_we_are_asked_to(connect: Connect, pauses: list[float], header: str) -> None:
    if header == "date":
        header = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    answers = Answers(httpx.Response(429, headers={"Retry-After": header}), OK)
    send(connect("huntress", settings={"backoff_seconds": 1}), answers)
    (waited,) = pauses
    assert waited == pytest.approx({"3": 3, "2.128": 2.128}.get(header, 29.5), abs=1)


def test_asked_to_wait_too_long_we_leave_it_to_the_next_run(connect: Connect, pauses: list[float]) -> None:
    answers = Answers(httpx.Response(429, headers={"Retry-After": "3600"}))
    with pytest.raises(errors.RateLimited, match="next scheduled run"):
        send(connect("huntress"), answers)
    assert (len(answers.seen), pauses) == (1, [])


def test_trap_12_without_being_asked_the_pauses_grow_and_differ(connect: Connect, pauses: list[float]) -> None:
    with pytest.raises(errors.ServerFailed):
        send(connect("huntress", settings={"backoff_seconds": 1, "attempts": 6}), Answers(httpx.Response(500)))
    assert len(set(pauses)) == 5
    assert all(0 <= pause <= 2**n for n, pause in enumerate(pauses))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("", None), ("5", 5.0), (" 2.5 ", 2.5), ("soon", None), ("-3", None),
     ("Sun, 01 Nov 2026 00:01:00 GMT", 60.0), ("Sun, 01 Nov 2026 00:01:00 -0000", 60.0),
     ("Sat, 31 Oct 2026 00:00:00 GMT", 0.0)],
    ids=["absent", "empty", "seconds", "decimal", "words", "negative", "date", "date-without-zone", "past-date"],
)  # fmt: skip
def test_trap_12_the_forms_of_retry_after(header: str | None, seconds: float | None) -> None:
    assert errors.retry_after(header, datetime(2026, 11, 1, tzinfo=UTC)) == seconds


def test_an_answer_above_the_cap_is_not_read_to_its_end(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SIZE_CAP", 1024)
    sent = 0

    async def chunks() -> Any:
        nonlocal sent
        for _ in range(100):
            sent += 512
            yield b" " * 512

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "bearer-1"})
        return httpx.Response(200, content=chunks())

    for vendor in ("huntress", "ninjaone"):
        sent = 0
        with pytest.raises(errors.UnexpectedAnswer, match="more than 0 MiB"):
            send(connect(vendor), answer, vendor=replace(VENDORS[vendor], rate=None))
        assert sent < 4 * 1024


@contextmanager
def raw_server(*said: bytes, hold: float = 0) -> Iterator[str]:
    """A server on loopback that says these bytes to every caller, waits, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def serve() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                with caller:
                    caller.recv(65536)
                    for part in said:
                        caller.sendall(part)
                    time.sleep(hold)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_an_answer_cut_off_on_the_wire_is_no_answer(connect: Connect) -> None:
    with (
        raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b'{"agents": []}') as url,
        pytest.raises(errors.Unreachable),
    ):
        send(connect("huntress", base_url=url, settings={"backoff_seconds": 0, "attempts": 2}), None)


@pytest.mark.parametrize("vendor", ["huntress", "ninjaone"], ids=["the-list", "the-token"])
def test_nobody_is_waited_for_for_ever(connect: Connect, vendor: str) -> None:
    patience = {"backoff_seconds": 0, "attempts": 1, "timeout_seconds": 0.1}
    with raw_server(hold=0.6) as url:
        connection = connect(vendor, base_url=url, settings=patience)
        with pytest.raises(errors.Unreachable, match="no answer in time"):
            send(connection, None, vendor=VENDORS[vendor])


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1/agents?page=2",
        "http://api.huntress.io/v1/agents?page=2",
        "https://api.huntress.io:8443/v1/agents",
        "https://api.huntress.io.evil.example/v1/agents",
        "https://api.huntress.io@evil.example/v1/agents",
        "https://someone@api.huntress.io/v1/agents",
        "//evil.example://",
        "@evil.example/v1/agents",
        ".evil.example/v1/agents",
        ":8443/v1/agents",
        "https://[broken/v1/agents",
    ],
    ids=["host", "scheme", "port", "suffix", "userinfo", "own-userinfo", "no-scheme",
         "relative-userinfo", "relative-suffix", "relative-port", "unreadable"],
)  # fmt: skip
def test_a_link_to_another_host_is_not_followed(connect: Connect, link: str) -> None:
    answers = Answers(OK)
    with pytest.raises(errors.ForeignLink, match="huntress"):
        send(connect("huntress"), answers, Call(link))
    assert answers.seen == []


@pytest.mark.parametrize(
    "link", ["/v1/agents?page=2", "https://api.huntress.io/v1/agents?page=2", "https://API.huntress.io:443/v1/agents?page=2"],
    ids=["relative", "absolute", "spelled-otherwise"],
)  # fmt: skip
def test_a_link_to_the_same_host_is_followed(connect: Connect, link: str) -> None:
    answers = Answers(OK)
    send(connect("huntress"), answers, Call(link))
    assert str(answers.seen[0].url) == "https://api.huntress.io/v1/agents?page=2"


def test_a_base_url_keeps_its_prefix_and_settings_fill_the_path(connect: Connect) -> None:
    answers = Answers(OK)
    send(
        connect("huntress", base_url="https://proxy.example/eu", settings={"realm_id": "42"}),
        answers,
        Call("/v3/{realm_id}/q"),
    )
    assert str(answers.seen[0].url) == "https://proxy.example/eu/v3/42/q"


def test_the_limit_is_kept_before_the_vendor_has_to_say_429(connect: Connect, tmp_path: Path) -> None:
    window, allowed = 0.4, 3
    vendor = replace(HUNTRESS, rate=Rate(allowed, window))
    stamps: list[float] = []

    def answer(_: httpx.Request) -> httpx.Response:
        stamps.append(time.monotonic())
        return OK

    async def run() -> None:
        transport = httpx.MockTransport(answer)
        for _ in range(2):  # the second opening remembers what the first one sent
            async with http.open_http(connect("huntress"), vendor, rate_dir=tmp_path, transport=transport) as opened:
                await asyncio.gather(*(opened.send(LIST) for _ in range(4)))

    asyncio.run(run())
    assert len(stamps) == 8
    tolerance = 0.05
    assert all(later - earlier >= window - tolerance for earlier, later in zip(stamps, stamps[allowed:], strict=False))


def test_a_connection_may_declare_its_own_limit(connect: Connect) -> None:
    limiting = http._Limiting(connect("huntress", settings={"requests_per_minute": 7}), HUNTRESS.rate, None)
    assert limiting._rate == Rate(7, 60)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"code": "x", "message": "No licence."}}, "No licence"),
        ({"error": "invalid_client", "error_description": "AADSTS700016"}, "AADSTS700016"),
        ({"resultCode": "x", "errorMessage": "bad after"}, "bad after"),
        ({"Fault": {"Error": [{"Message": "Invalid query", "code": "4000"}]}}, "Invalid query (4000)"),
        ({"Fault": {"Error": ["odd"]}}, "None (None)"),
        ({"Fault": {"Error": "odd"}}, ""),
        ([{"$message": "No active subscription.", "$dataCode": "AuthorizationFailure"}], "No active subscription"),
        (["odd"], ""),
        ("odd", ""),
    ],
    ids=["graph", "oauth", "ninjaone", "quickbooks", "fault-of-text", "fault-text", "sage", "list", "text"],
)
def test_the_vendor_s_own_words_are_passed_on(connect: Connect, body: Any, said: str) -> None:
    with pytest.raises(errors.RequestRefused) as caught:
        send(connect("huntress"), Answers(httpx.Response(400, json=body)))
    assert str(caught.value) == f"huntress: GET /v1/agents answered 400{': ' if said else ''}{said}."


FAILURES: dict[str, Callable[[str], httpx.Response | Exception]] = {
    "400": lambda text: httpx.Response(400, json={"message": text}),
    "401": lambda text: httpx.Response(401, json={"message": text}),
    "403": lambda text: httpx.Response(403, json={"error": {"message": text}}),
    "404": lambda text: httpx.Response(404, json={"detail": text}),
    "429": lambda text: httpx.Response(429, json={"message": text}),
    "500": lambda text: httpx.Response(500, json={"errorMessage": text}),
    "page": lambda text: httpx.Response(200, text=f"<html>{text}"),
    "transport": httpx.ConnectError,
    "timeout": httpx.ReadTimeout,
}


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("vendor", sorted(v.name for v in VENDORS.values() if not v.is_declared))
def test_no_error_and_no_log_line_shows_a_secret(
    connect: Connect, caplog: pytest.LogCaptureFixture, vendor: str, kind: str
) -> None:
    connection = connect(vendor, settings={"attempts": 2})
    secrets = set(connection.secret_values().values())

    def answer(request: httpx.Request) -> httpx.Response:
        if "token" in request.url.path:
            # Only who asks for tokens learns them; only QuickBooks' flow has one that rotates.
            secrets.update(
                ("bearer-token-1", "rotated-token-1") if vendor == "quickbooks_online" else ("bearer-token-1",)
            )
            return httpx.Response(200, json={"access_token": "bearer-token-1", "refresh_token": "rotated-token-1"})
        headers = ["Authorization: Bearer c29tZXRoaW5n", "Basic czNjcmV0L2FwaTprZXk="]
        failure = FAILURES[kind](" ".join(["we saw", *secrets, *headers]))
        if isinstance(failure, Exception):
            raise failure
        return failure

    caplog.set_level(logging.DEBUG)
    with pytest.raises(errors.ExtractError) as caught:
        send(
            connection,
            answer,
            Call("/v1/agents", {"secret": next(iter(secrets))}),
            vendor=replace(VENDORS[vendor], rate=None),
        )
    shown = f"{caught.value!r} {caplog.text}"
    assert caught.value.__cause__ is None
    assert not [secret for secret in secrets if secret in shown]
    assert "c29tZXRoaW5n" not in shown
    assert "czNjcmV0L2FwaTprZXk" not in shown


@pytest.mark.parametrize("vendor", ["microsoft365", "ninjaone", "quickbooks_online"])
def test_no_secret_is_shown_when_the_token_endpoint_echoes_it(connect: Connect, vendor: str) -> None:
    connection = connect(vendor)
    echo = " ".join(connection.secret_values().values())
    with pytest.raises(errors.CredentialsRefused) as caught:
        send(connection, Answers(httpx.Response(400, json={"error_description": echo})), vendor=VENDORS[vendor])
    assert not [secret for secret in connection.secret_values().values() if secret in str(caught.value)]
    assert str(caught.value).startswith(f"{vendor}: ")


@given(secret=st.text(min_size=4, max_size=40), before=st.text(max_size=20), after=st.text(max_size=20))
def test_redaction_leaves_nothing_of_a_secret(secret: str, before: str, after: str) -> None:
    if "•" not in secret and secret not in before + "•••" + after:
        assert secret not in http.redact(before + secret + after, {secret})


def test_a_secret_cut_short_by_our_own_limit_is_not_shown(connect: Connect) -> None:
    connection = connect("huntress")
    secret = connection.secret_values()["api_secret"]
    for lead in range(http.SAID - 60, http.SAID):
        with pytest.raises(errors.RequestRefused) as caught:
            send(connection, Answers(httpx.Response(400, json={"message": "x" * lead + secret})))
        assert secret[:6] not in str(caught.value)


def test_decimals_arrive_digit_by_digit(connect: Connect) -> None:
    body = send(connect("huntress"), Answers(httpx.Response(200, text='{"x": 0.1, "y": 1697827578.905000001}')))
    assert (str(body["x"]), str(body["y"])) == ("0.1", "1697827578.905000001")


def test_one_token_serves_every_call_of_a_tenant(connect: Connect) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        is_token = request.url.path.endswith("/token")
        return httpx.Response(200, json={"access_token": "bearer-1", "expires_in": 3600} if is_token else [])

    send(connect("ninjaone"), answer, Call("/v2/devices"), vendor=VENDORS["ninjaone"], times=3)
    assert asked == ["/ws/oauth/token", "/v2/devices", "/v2/devices", "/v2/devices"]


@pytest.mark.parametrize("name", LOGGERS)
def test_an_address_is_logged_as_its_host_and_no_more(caplog: pytest.LogCaptureFixture, name: str) -> None:
    redact_logs()
    redact_logs()
    logger = logging.getLogger(name)
    assert len([f for f in logger.filters if type(f).__name__ == "_Redacting"]) == 1
    caplog.set_level(logging.DEBUG)
    logger.info('HTTP Request: %s %s "%s"', "POST", "https://me:pw@hooks.example:8443/T1/s3cret?key=hidden#x", "200 OK")
    assert caplog.messages == ['HTTP Request: POST https://hooks.example:8443/… "200 OK"']
