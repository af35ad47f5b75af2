"""`docs/adding-a-vendor.md`, carried out: its blocks are put into a copy of the project and run there.

Belongs here: taking the blocks out and running them. Does not: any file of the example; they all stand in the page.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "adding-a-vendor.md"
VENDOR = "lumen_backup"
KEY = {f"{VENDOR}_api_key".upper(): "a-key-of-lumen"}
"""The environment variable the example's book names."""
BLOCK = re.compile(
    r"^(?P<fence>`{3,})\w+ title=\"(?P<title>[^\"\n]+)\"(?: below=(?P<quote>[\"'])(?P<below>.+?)(?P=quote))?\n"
    r"(?P<text>.*?)^(?P=fence)$",
    re.M | re.S,
)
COPIED = ("morton_pipeline", "dbt_project", "tests", "docs", "README.md", "pyproject.toml", "Makefile",
          "workspace.yaml", ".env.example")  # fmt: skip
ALSO = ("every_secret_of_every_vendor", "every_environment_variable", "countable_endpoints", "can_be_looked_up",
        "lists_of_companies_and_devices")  # fmt: skip
"""The rules that name whatever a new vendor forgot, beside those that have the vendor's name in theirs."""


@dataclass(frozen=True)
class Block:
    """One block of the page: what it is called, the line it stands below if it is not a whole file, and its text."""

    title: str
    below: str | None
    text: str

    def put(self, root: Path) -> None:
        """Write the file, or add the lines below the only line that begins as the page says."""
        path = root / self.title
        if self.below is None:
            assert not path.exists(), f"{PAGE.name} writes {self.title}, which exists: it can only add to it"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.text, "utf-8")
            return
        lines = path.read_text("utf-8").splitlines(keepends=True)
        places = [n for n, line in enumerate(lines) if line.startswith(self.below)]
        assert len(places) == 1, f"{PAGE.name}: {len(places)} lines of {self.title} begin with {self.below!r}, not one"
        lines.insert(places[0] + 1, self.text)
        path.write_text("".join(lines), "utf-8")


def blocks() -> list[Block]:
    return [Block(m["title"], m["below"], m["text"]) for m in BLOCK.finditer(PAGE.read_text("utf-8"))]


def named(title: str) -> str:
    (block,) = [block for block in blocks() if block.title == title]
    return block.text


def test_every_block_of_the_page_is_named_and_so_is_carried_out() -> None:
    text = PAGE.read_text("utf-8")
    outside = BLOCK.sub("", text)
    assert not re.findall(r"^`{3,}.*$", outside, re.M), "a block without a title is never run"
    assert len(blocks()) > 15


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the example in it."""
    root = tmp_path_factory.mktemp("adding") / "project"
    root.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "target", "logs", "dbt_packages", ".user.yml")
            shutil.copytree(source, root / name, ignore=ignored)
        else:
            shutil.copyfile(source, root / name)
    for block in blocks():
        if "." in block.title:
            block.put(root)
    return root


def run(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a module of the copy: the folder it runs in comes before the package that is installed."""
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=root, env={**os.environ, **variables}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@contextmanager
def recording(root: Path) -> Iterator[str]:
    """Serve the recorded traffic on this machine, to whoever has the key."""
    exchanges = json.loads((root / f"tests/vendors/{VENDOR}/traffic.json").read_text("utf-8"))
    answers = {exchange["request"]: exchange["response"] for exchange in exchanges}

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(f"GET {self.path}") if self.headers["X-Api-Key"] in KEY.values() else None
            body = json.dumps(found or {"message": f"not recorded, or not allowed: {self.path}"}).encode()
            self.send_response(200 if found else 403)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_the_examples_own_test_and_the_rules_about_vendors_pass(copy: Path) -> None:
    rules = (
        "test_shape.py",
        "test_docs.py",
        "dbt/test_manifest.py",
        "extract/test_faults.py",
        "extract/test_records.py",
    )
    paths = (f"tests/vendors/{VENDOR}", *(f"tests/{rule}" for rule in rules))
    done = run(copy, "pytest", "-q", "-p", "no:cacheprovider", "-k", " or ".join((VENDOR, *ALSO)), *paths)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    passed = re.search(r"(\d+) passed", said)
    assert passed, said
    assert int(passed[1]) >= 2 + len(ALSO), "fewer rules were tried than there are"


@pytest.mark.slow
def test_its_machines_end_as_a_discrepancy_in_the_published_mart(copy: Path) -> None:
    connections = copy / "example/connections.yaml"
    with recording(copy) as base_url:
        text = connections.read_text("utf-8")
        assert text.count("https://api.lumenbackup.example") == 1
        connections.write_text(text.replace("https://api.lumenbackup.example", base_url), "utf-8")
        for line in named("run").splitlines():
            command = shlex.split(line.removeprefix(".venv/bin/morton "))
            done = run(copy, "morton_pipeline.cli", *command, **KEY)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    listed = json.loads(done.stdout)
    expected = json.loads(named("what is listed"))
    assert [{name: row[name] for name in one} for one, row in zip(expected, listed, strict=True)] == expected
    assert _evidence(copy, listed[0]["discrepancy_id"]) == [
        ("502", "FERN-WS1", "billed"),
        ("503", "FERN-WS2", "billed"),
        ("504", "FERN-OLD", "excluded"),
    ]


def _evidence(root: Path, discrepancy_id: str) -> list[tuple[str, ...]]:
    with duckdb.connect(str(root / "example/data/published/mart.duckdb"), read_only=True) as con:
        return con.execute(
            "select record_id, record_name, bucket from marts.discrepancy_evidence "
            "where discrepancy_id = ? and vendor = ? order by record_id",
            [discrepancy_id, VENDOR],
        ).fetchall()
