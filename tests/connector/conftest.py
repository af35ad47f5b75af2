"""Our service on a port of this machine, and a real SOAP client that reads our own description."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import zeep

from morton_pipeline.connector.service import Service, create_app
from morton_pipeline.connector.session import Session
from morton_pipeline.connector.setup import Login, address
from morton_pipeline.connector.work import Work
from tests.connector.desk import HASH, Desk, open_desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("QUICKBOOKS_DESKTOP_PASSWORD", HASH)
    with open_desk(tmp_path) as desk:
        yield desk


class Serving:
    """The service of a desk's book, its address, and what it has said."""

    def __init__(self, desk: Desk, *, silence: float = 5, patience: float = 0.5) -> None:
        self.said: list[str] = []
        connection = desk.book.connection("desktop")
        self.work = Work(
            desk.book,
            connection,
            rows=lambda *_: desk.rows,
            changed=lambda _: desk.changed,
            renew=lambda *_: setattr(desk, "changed", ""),
            show=lambda *_: None,
            say=self.said.append,
        )
        self.service = Service(
            connection, self.work, Login(connection),
            open_session=lambda: Session(silence_seconds=silence, patience_seconds=patience),
        )  # fmt: skip
        self.config = uvicorn.Config("", port=0, log_level="critical", lifespan="off")
        self.connection, self.url = connection, ""

    def rest(self) -> None:
        """Wait until the visit's own work is over."""
        if self.service._worker is not None:
            self.service._worker.join(20)


@contextmanager
def serving(desk: Desk, **options: float) -> Iterator[Serving]:
    made = Serving(desk, **options)
    made.config.app = create_app(made.service, made.connection, "http://127.0.0.1:1/never")
    server = uvicorn.Server(made.config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        made.url = address(made.connection, port).replace("localhost", "127.0.0.1")
        made.config.app = None
        yield made
    finally:
        server.should_exit = True
        thread.join(10)
        made.rest()


Serve = Callable[..., Any]


@pytest.fixture
def serve(desk: Desk) -> Serve:
    return lambda **options: serving(desk, **options)


def client(url: str, wsdl: str = "") -> Any:
    """A client that knows nothing of us but a description."""
    made = zeep.Client(wsdl or f"{url}?wsdl")
    binding = next(iter(made.wsdl.bindings))
    return made.create_service(binding, url)
