"""`morton serve`: Dagster's page, schedules and sensors for one book, as child processes that end together.

Belongs here: starting, watching and stopping them. Does not: anything Dagster runs (`defs/`).

One code server, one web server, one daemon, in one process group of their own. The code server listens on a socket
file in a private folder: its protocol knows no passwords, so no port of it is open to other users of the machine.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
import filelock
import yaml

from morton_pipeline.book import PRIVATE, PROJECT, Book, make_data_folder, make_folder
from morton_pipeline.errors import BadInput, MortonError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
START_SECONDS = 120
"""How long the definitions may take to load before the start is given up."""
GRACE_SECONDS = 12
"""How long the children have to end by themselves."""

DAGSTER_YAML = """\
# Written once by `morton serve`; yours to edit: it is never overwritten.
telemetry:
  enabled: false
nux:
  enabled: false

# A killed run must not keep its place for ever.
run_monitoring:
  enabled: true
  start_timeout_seconds: 300
  cancel_timeout_seconds: 60
  max_runtime_seconds: 14400
  free_slots_after_run_end_seconds: 60

# One step at a time per pool: a vendor is not read twice at once, and the marts are not built twice at once.
concurrency:
  pools:
    default_limit: 1
    granularity: op
  runs:
    max_concurrent_runs: 6

retention:
  schedule:
    purge_after_days: {skipped: 3, success: 14, failure: 60, started: 7}
  sensor:
    purge_after_days: {skipped: 1, success: 14, failure: 60, started: 7}
"""


class ServiceStopped(MortonError):
    """One of the service's processes ended by itself, so the others were stopped."""


def serve(book: Book, port: int = 3000, host: str = "127.0.0.1", say: Callable[[str], None] = click.echo) -> None:
    """Run the page, the schedules and the sensors of a book until SIGINT or SIGTERM.

    `say` is given the address once the page answers. Raises `BadInput` when it cannot start as asked, and
    `ServiceStopped` when a child died.
    """
    if host not in LOOPBACK:
        raise BadInput(
            f"The page knows no users or passwords, so it is not served on {host}. Serve it on 127.0.0.1, "
            "and let a reverse proxy with a login, or an SSH tunnel, lead to it."
        )
    _refuse_busy(host, port)
    write_dagster_yaml(book)
    with _only_one(book), _stop_signal() as stop, _private_folder() as folder:
        _run(book, host, port, folder, stop, say)


def write_dagster_yaml(book: Book) -> Path:
    """Write Dagster's settings for a book unless somebody has; return where they are."""
    make_data_folder(book)
    make_folder(book.dagster_home, PRIVATE)
    path = book.dagster_home / "dagster.yaml"
    if not path.exists():
        path.write_text(DAGSTER_YAML, "utf-8")
    return path


def _refuse_busy(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as failure:
            why = failure.strerror
            raise BadInput(f"Port {port} on {host} cannot be used ({why}). Choose another with --port.") from None


@contextmanager
def _only_one(book: Book) -> Iterator[None]:
    """Two services of one book would each fire every schedule."""
    lock = filelock.FileLock(book.dagster_home / "serve.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise BadInput(f"{book.root} is being served already. Stop the other `morton serve` first.") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event, and give the signals back afterwards."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A short path that only we may enter: a socket's address has little room."""
    folder = Path(tempfile.mkdtemp(prefix="morton-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(book: Book, host: str, port: int, folder: Path, stop: threading.Event, say: Callable[[str], None]) -> None:
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    code_socket, workspace = folder / "code", folder / "workspace.yaml"
    server = {"socket": str(code_socket), "location_name": "morton"}
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}), "utf-8")
    children: dict[str, subprocess.Popen[bytes]] = {}

    def start(name: str, *arguments: str) -> None:
        leader = next(iter(children.values())).pid if children else 0
        children[name] = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=PROJECT, env=_environment(book), process_group=leader
        )

    try:
        start("code server", "dagster", "code-server", "start", "--socket", str(code_socket), "--module-name",
              "morton_pipeline.definitions", "--working-directory", str(PROJECT), "--location-name", "morton",
              "--log-level", "warning")  # fmt: skip
        _wait(children, stop, code_socket.exists)
        _settle(book, stop)
        start("web server", "dagster_webserver", "--workspace", str(workspace), "--host", host, "--port", str(port),
              "--dagster-log-level", "warning")  # fmt: skip
        start("daemon", "dagster._daemon", "run", "--workspace", str(workspace), "--log-level", "warning")
        _wait(children, stop, lambda: _answers(host, port))
        if not stop.is_set():
            say(f"Serving {book.root} on {address}. Stop it with Ctrl+C.")
        _wait(children, stop, lambda: False, seconds=None)
    finally:
        _stop(children)


def _environment(book: Book) -> dict[str, str]:
    return {
        **os.environ,
        "DAGSTER_HOME": str(book.dagster_home.resolve()),
        "MORTON_BOOK": str(book.root.resolve()),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "DO_NOT_TRACK": "1",
    }


def _settle(book: Book, stop: threading.Event) -> None:
    """Close the runs a killed service left open: nothing is running them, and a schedule would wait for them."""
    if not stop.is_set():
        subprocess.run(
            [sys.executable, "-m", "morton_pipeline.defs.settle"],
            cwd=PROJECT, env=_environment(book), check=True, start_new_session=True,
        )  # fmt: skip


def _wait(
    children: dict[str, subprocess.Popen[bytes]], stop: threading.Event, is_ready: Callable[[], bool],
    seconds: float | None = START_SECONDS,
) -> None:  # fmt: skip
    """Wait until it is ready or asked to stop; raise when a child dies or time runs out."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while not stop.is_set() and not is_ready():
        for name, child in children.items():
            if child.poll() is not None:
                raise ServiceStopped(
                    f"Dagster's {name} ended by itself (exit code {child.returncode}); what it said stands above. "
                    "Everything was stopped; start `morton serve` again once the cause is mended."
                )
        if deadline is not None and time.monotonic() > deadline:
            raise ServiceStopped(f"Dagster did not start within {seconds:.0f} seconds; what it said stands above.")
        stop.wait(0.3)


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _stop(children: dict[str, subprocess.Popen[bytes]]) -> None:
    """Ask the whole group to end, the runs it started included; after the grace, end what is left."""
    if not children:
        return
    group = next(iter(children.values())).pid
    for name in (signal.SIGTERM, signal.SIGKILL):
        if not _signal(group, name):
            return
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline:
            for child in children.values():
                child.poll()
            if not _signal(group, 0):
                return
            time.sleep(0.1)


def _signal(group: int, number: int) -> bool:
    """Send a signal to the group (0 only asks); say whether anybody was there."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
