"""The vendors' own API descriptions, and a mock that serves them on loopback.

The descriptions are the vendors' property and are not kept here: `MORTON_VENDOR_SPECS` names their folder, else
`../shared/vendor-specs`. Where they or the mock are absent these tests are skipped and say why; with
`MORTON_REQUIRE_CONTRACTS` set, as in CI, a skip is a failure.
"""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.conftest import ROOT

SPECS = Path(os.environ.get("MORTON_VENDOR_SPECS") or ROOT.parent / "shared" / "vendor-specs")
PRISM = ROOT / ".tools" / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"
TOKEN = "contract-token"
STARTS_WITHIN = 60
HOP_BY_HOP = {"host", "content-length", "connection", "accept-encoding", "user-agent"}

Empty = Callable[[Any], Any]


def spec(name: str) -> Path:
    """Return a description, or skip."""
    path = SPECS / name
    if not path.is_file():
        pytest.skip(f"the vendor's description {name} is not in {SPECS}; MORTON_VENDOR_SPECS names its folder")
    return path


@dataclass
class Mock:
    """A vendor as it describes itself, behind a shim that issues tokens, notes the traffic and ends the lists."""

    url: str
    requests: list[str] = field(default_factory=list)
    violations: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)


@contextmanager
def serving(path: Path, *, continues: str, empty: Empty, is_dynamic: bool) -> Iterator[Mock]:
    """Serve a description. The mock has no end of its own: a page asked for with `continues` is answered empty, but for
    a page numbered zero, which is the first.

    Every request still reaches the mock, which checks it against the description.
    """
    node = shutil.which("node")
    if node is None or not PRISM.is_file():
        pytest.skip("Node or the API mock is absent: `make contracts` installs the mock")
    with _prism(node, path, is_dynamic) as prism, ThreadingHTTPServer(("127.0.0.1", 0), _Shim) as server:
        mock = Mock(f"http://127.0.0.1:{server.server_port}")
        server.shim = (prism, mock, continues, empty)  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield mock
        server.shutdown()
        thread.join(5)


@contextmanager
def _prism(node: str, path: Path, is_dynamic: bool) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = ["--dynamic", "--seed", "7"] if is_dynamic else []
    command = [
        node,
        str(PRISM),
        "mock",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--multiprocess",
        "false",
        *options,
    ]
    with subprocess.Popen([*command, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the API mock did not start")


class _Shim(BaseHTTPRequestHandler):
    """Issues tokens itself and passes everything else to the mock untouched."""

    def _handle(self) -> None:
        prism, mock, continues, empty = self.server.shim  # type: ignore[attr-defined]
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/token"):
            self._answer(200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        with httpx.Client(trust_env=False, timeout=STARTS_WITHIN) as client:
            answer = client.request(self.command, prism + self.path, content=content, headers=headers)
        mock.requests.append(f"{self.command} {self.path}")
        mock.violations.extend(json.loads(answer.headers.get("sl-violations", "[]")))
        body = answer.json()
        if parse_qs(urlsplit(self.path).query).get(continues, ["0"]) != ["0"]:
            body = empty(body)
        else:
            mock.answers.append(body)
        self._answer(answer.status_code, body)

    do_GET = do_POST = do_PUT = _handle

    def _answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""
