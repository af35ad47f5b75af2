"""Running the stand-ins on this machine's own address: in this process, in a thread of it, or as a process of its own.

Belongs here: starting, waiting until it answers, and ending without leaving anything behind.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from morton_pipeline.clock import parse
from morton_pipeline.errors import BadInput
from morton_pipeline.simulator.app import Simulation, simulate
from morton_pipeline.simulator.credentials import WEB_CONNECTOR_WORD
from morton_pipeline.simulator.quickbooks_desktop import keep_visiting
from morton_pipeline.simulator.world import SEED, World, generate

HOST = "127.0.0.1"
PATIENCE_SECONDS = 30.0


class _Protocol(HttpToolsProtocol):
    """Hands its transport to the app, so that the `reset` fault can cut the connection."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def _server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=HOST,
            http=_Protocol,
            lifespan="off",
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=75,
            ws="none",
        )
    )


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as problem:
        listener.close()
        raise BadInput(
            f"The simulator cannot listen on port {port} ({problem.strerror}); choose another, or 0 for any free one."
        ) from None
    listener.listen(512)
    return listener


def _url(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"


def serve(
    simulation: Simulation,
    *,
    port: int = 0,
    started: Callable[[str], None] | None = None,
    until_stdin_ends: bool = False,
) -> None:
    """Serve in this process until it is interrupted; `started` is called with the base URL once it listens."""
    server = _server(simulation.app)
    with _listen(port) as listener:
        if until_stdin_ends:
            threading.Thread(target=_stop_with_stdin, args=(server,), daemon=True).start()
        if started is not None:
            started(_url(listener))
        server.run(sockets=[listener])


def _stop_with_stdin(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True


@contextmanager
def in_thread(app: ASGIApp, *, port: int = 0) -> Iterator[str]:
    """Serve an app in a thread of this process and yield its base URL."""
    server = _server(app)
    with _listen(port) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="simulator", daemon=True)
        thread.start()
        try:
            _until(lambda: server.started or not thread.is_alive())
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)


def _until(is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_ready():
        if time.monotonic() > deadline:
            raise BadInput("The simulator did not start in time.")
        time.sleep(0.01)


@contextmanager
def running(
    world: World | None = None,
    *,
    now: datetime | None = None,
    port: int = 0,
    huntress_per_minute: int = 6000,
    graph_page_size: int = 25,
    memory: Path | None = None,
    visits: str | None = None,
) -> Iterator[str]:
    """Serve a world in a process of its own and yield its base URL; the process ends with the block, or with us.

    `memory` is a file the documents of the accounting systems are kept in until the next time. `visits` is where the
    Web Connector of QuickBooks Desktop comes to.
    """
    seed = SEED if world is None else world.seed
    command = [
        sys.executable,
        "-m",
        __name__,
        "--seed",
        str(seed),
        "--port",
        str(port),
        "--until-stdin-ends",
        "--huntress-per-minute",
        str(huntress_per_minute),
        "--graph-page-size",
        str(graph_page_size),
    ]
    if now is not None:
        command += ["--now", now.isoformat()]
    if memory is not None:
        command += ["--memory", str(memory)]
    if visits is not None:
        command += ["--visits", visits]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if process.stdin is None or process.stdout is None:
        raise BadInput("The simulator could not be started.")
    try:
        line = process.stdout.readline()
        if not line:
            raise BadInput(
                "The simulator ended before it answered; run `python -m morton_pipeline.simulator.serve` to see why."
            )
        yield str(json.loads(line)["base_url"])
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def main(arguments: list[str] | None = None) -> None:
    """Run from the shell: print the base URL as one line of JSON, then serve."""
    parser = argparse.ArgumentParser(description="Serve stand-ins for the vendors' APIs on this machine.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--now", help="the world's instant, ISO; default its first day")
    parser.add_argument("--huntress-per-minute", type=int, default=6000)
    parser.add_argument("--graph-page-size", type=int, default=25)
    parser.add_argument("--until-stdin-ends", action="store_true", help="stop when the process that started us does")
    parser.add_argument("--memory", type=Path, help="a file to keep the accounting systems' documents in")
    parser.add_argument("--visits", help="where the Web Connector of QuickBooks Desktop comes to")
    asked = parser.parse_args(arguments)
    known = asked.memory.read_text("utf-8") if asked.memory and asked.memory.is_file() else None
    simulation = simulate(
        generate(asked.seed),
        now=parse(asked.now, "--now") if asked.now else None,
        huntress_per_minute=asked.huntress_per_minute,
        graph_page_size=asked.graph_page_size,
        memory=known,
    )
    if asked.visits:
        visitor = (simulation.recurring.file, asked.visits, "desktop", WEB_CONNECTOR_WORD)
        threading.Thread(target=keep_visiting, args=visitor, daemon=True).start()
    serve(simulation, port=asked.port, started=_announce, until_stdin_ends=asked.until_stdin_ends)
    if asked.memory:
        asked.memory.write_text(simulation.recurring.memory(), "utf-8")


def _announce(base_url: str) -> None:
    sys.stdout.write(json.dumps({"base_url": base_url}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
