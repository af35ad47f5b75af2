import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from morton_pipeline import alerts
from morton_pipeline.book import Book, open_book
from morton_pipeline.defs.alerts import alert_before_expiry, alert_on_failure
from morton_pipeline.defs.resources import BookResource
from morton_pipeline.errors import BadInput

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What a webhook on this machine was sent; it answers with the status its path names."""
    received: list[Any] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(int(self.path.strip("/")))
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("TEST_HOOK", f"http://127.0.0.1:{server.server_port}/200")
        monkeypatch.setenv("TEST_BROKEN_HOOK", f"http://127.0.0.1:{server.server_port}/500")
        yield received
        server.shutdown()


def book_with(folder: Path, text: str) -> Book:
    """The book, told where to send alerts."""
    path = folder / "connections.yaml"
    path.write_text(path.read_text("utf-8") + text, "utf-8")
    return open_book(folder)


def test_a_webhook_is_sent_what_failed(folder: Path, posts: list[Any]) -> None:
    assert alerts.notify(book_with(folder, "alerts: {webhook: TEST_HOOK}"), "title", "text") == ["webhook"]
    assert posts == [{"title": "Morton · book: title", "text": "Morton · book: title\ntext"}]


def test_without_alerts_nobody_is_told(folder: Path) -> None:
    assert alerts.notify(open_book(folder), "title", "text") == []


def test_a_mail_goes_to_whom_the_environment_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    class Server:
        def __init__(self, host: str, port: int, timeout: int) -> None:
            sent.append((host, port))

        def __enter__(self) -> "Server":
            return self

        def __exit__(self, *_: object) -> None: ...

        def starttls(self, context: object) -> None:
            sent.append("encrypted")

        def login(self, user: str, password: str) -> None:
            sent.append((user, password))

        def send_message(self, message: Any) -> None:
            sent.append((message["From"], message["To"], message["Subject"], message.get_content()))

    monkeypatch.setattr(alerts.smtplib, "SMTP", Server)
    monkeypatch.setenv("TEST_TO", "data@msp.example")
    monkeypatch.setenv("TEST_SMTP", "smtp://me%40msp.example:p%2Fw@mail.msp.example")
    book = book_with(folder, "alerts: {email: {to: TEST_TO, smtp_url: TEST_SMTP}}")
    assert alerts.notify(book, "title", "text") == ["email"]
    assert sent == [
        ("mail.msp.example", 587),
        "encrypted",
        ("me@msp.example", "p/w"),
        ("me@msp.example", "data@msp.example", "Morton · book: title", "text\n"),
    ]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        pytest.param("http://hooks.example/secret", "must begin with https://", id="not encrypted"),
        pytest.param("http://127.0.0.1:9/secret", "gave no answer", id="nobody there"),
        pytest.param(None, "which is not set", id="not set"),
    ],
)
def test_a_webhook_that_cannot_be_reached_is_named_without_its_address(
    folder: Path, monkeypatch: pytest.MonkeyPatch, value: str | None, says: str
) -> None:
    monkeypatch.delenv("TEST_HOOK", raising=False)
    if value:
        monkeypatch.setenv("TEST_HOOK", value)
    with pytest.raises(alerts.AlertNotSent, match="TEST_HOOK") as caught:
        alerts.notify(book_with(folder, "alerts: {webhook: TEST_HOOK}"), "title", "text")
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_webhook_that_refuses_is_a_failure_and_the_mail_is_tried_all_the_same(
    folder: Path, posts: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_TO", "data@msp.example")
    monkeypatch.setenv("TEST_SMTP", "smtp://127.0.0.1:9")
    book = book_with(folder, "alerts: {webhook: TEST_BROKEN_HOOK, email: {to: TEST_TO, smtp_url: TEST_SMTP}}")
    with pytest.raises(alerts.AlertNotSent, match=r"TEST_BROKEN_HOOK answered 500.*TEST_SMTP did not take"):
        alerts.notify(book, "title", "text")


@pytest.mark.parametrize(
    "text",
    [pytest.param("alerts: {pager: X}", id="unknown"), pytest.param("alerts: {email: {to: X}}", id="half a mail")],
)
def test_alerts_that_make_no_sense_are_named(folder: Path, text: str) -> None:
    with pytest.raises(BadInput, match=r"connections\.yaml, alerts"):
        alerts.notify(book_with(folder, text), "title", "text")


def test_a_failed_run_is_told_once_until_its_reason_changes(
    folder: Path, book: BookResource, posts: list[Any], run: Run, instance: dg.DagsterInstance
) -> None:
    book_with(folder, "alerts: {webhook: TEST_HOOK}")
    reasons = iter(["the feed is down", "the feed is down", "the key expired", None, "the feed is down"])

    @dg.asset
    def feed() -> None:
        if reason := next(reasons):
            raise dg.Failure(reason)

    for _ in range(5):
        result = run(feed)
        if not result.success:
            failure = next(e for e in result.all_events if e.event_type == dg.DagsterEventType.RUN_FAILURE)
            context = dg.build_run_status_sensor_context(
                "alert_on_failure", failure, instance, result.dagster_run, resources={"book": book}
            )
            alert_on_failure(context.for_run_failure())
    told = [post["text"].splitlines()[1] for post in posts]
    assert told == ["the feed is down", "the key expired", "the feed is down"]


def test_case_83_somebody_is_told_before_a_secret_expires_and_on_the_day(
    folder: Path, book: BookResource, posts: list[Any], instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "connections.yaml"
    path.write_text(
        path.read_text("utf-8").replace("vendor: huntress", "vendor: huntress\n    secret_expires_on: 2026-12-16"),
        "utf-8",
    )
    book_with(folder, "alerts: {webhook: TEST_HOOK}")
    cursor = None
    for day in ("2026-11-01", "2026-11-20", "2026-11-21", "2026-12-16", "2026-12-17"):
        monkeypatch.setenv("MORTON_NOW", f"{day}T06:00:00Z")
        context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"book": book})
        list(alert_before_expiry(context) or ())
        cursor = context.cursor
    told = [post["text"].splitlines()[1] for post in posts]
    assert [line.partition(". ")[0] for line in told] == [
        "huntress: TEST_KEY and TEST_SECRET expires on 2026-12-16",
        "huntress: TEST_KEY and TEST_SECRET expired on 2026-12-16",
    ]
