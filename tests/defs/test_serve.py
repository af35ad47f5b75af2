import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import dagster as dg
import filelock
import pytest

from morton_pipeline.book import PROJECT, open_book
from morton_pipeline.defs.settle import LAUNCHED_BY_SERVICE, settle
from morton_pipeline.errors import BadInput
from morton_pipeline.serve import serve, write_dagster_yaml

SCRIPT = """
import sys
from morton_pipeline import book, serve
serve.serve(book.open_book(sys.argv[1]), port=int(sys.argv[2]))
"""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_is_not_served_to_other_machines(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"no users or passwords.*reverse proxy"):
        serve(open_book(folder), host="0.0.0.0")


def test_a_busy_port_is_named_before_anything_starts(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=f"Port {port} on 127.0.0.1 cannot be used .*--port"):
            serve(open_book(folder), port=port)


def test_a_book_is_served_once(folder: Path) -> None:
    book = open_book(folder)
    book.dagster_home.mkdir(parents=True)
    with filelock.FileLock(book.dagster_home / "serve.lock"), pytest.raises(BadInput, match="served already"):
        serve(book, port=free_port())


def test_dagsters_settings_are_valid_and_an_operators_own_are_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = open_book(folder)
    path = write_dagster_yaml(book)
    monkeypatch.setenv("DAGSTER_HOME", str(book.dagster_home))
    with dg.DagsterInstance.get() as instance:
        assert instance.run_monitoring_enabled
        assert not instance.telemetry_enabled
        assert instance.get_concurrency_config().pool_config.default_pool_limit == 1
    path.write_text("telemetry: {enabled: false}", "utf-8")
    assert write_dagster_yaml(book).read_text("utf-8") == "telemetry: {enabled: false}"


def test_runs_that_a_killed_service_left_open_are_closed() -> None:
    @dg.job
    def nothing() -> None: ...

    with dg.instance_for_test() as instance:
        started = dg.DagsterRunStatus.STARTED
        left = instance.create_run_for_job(nothing, status=started, tags={LAUNCHED_BY_SERVICE: "x"})
        by_hand = instance.create_run_for_job(nothing, status=started)
        assert settle(instance) == 1
        assert instance.get_run_by_id(left.run_id).status == dg.DagsterRunStatus.FAILURE
        assert instance.get_run_by_id(by_hand.run_id).status == started


def group_members(group: int) -> list[str]:
    """The commands of a process group that are still running."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state != "Z":
                found.append((stat.parent / "cmdline").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are counted in /proc")
@pytest.mark.parametrize(
    "end", [pytest.param("signal", id="on SIGTERM"), pytest.param("death", id="when a child dies")]
)
def test_it_serves_and_leaves_no_process_behind(folder: Path, tmp_path: Path, end: str) -> None:
    port, log = free_port(), tmp_path / "log"
    with log.open("w") as output:
        command = [sys.executable, "-c", SCRIPT, str(folder), str(port)]
        service = subprocess.Popen(command, cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 150
        while "Serving" not in log.read_text() and service.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
        assert f"http://127.0.0.1:{port}" in log.read_text()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=60) as answer:
            assert json.load(answer)["dagster_version"] == dg.__version__
        children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
        group = os.getpgid(int(children[0]))
        assert len(group_members(group)) >= 4
        began = time.monotonic()
        if end == "signal":
            service.send_signal(signal.SIGTERM)
        else:
            os.kill(int(children[-1]), signal.SIGKILL)
        service.wait(timeout=40)
        assert time.monotonic() - began < 30
        assert group_members(group) == []
        assert (service.returncode == 0) == (end == "signal"), log.read_text()
        if end == "death":
            assert "daemon ended by itself" in log.read_text()
    finally:
        service.kill()
        service.wait()
