"""The password, the file for the Web Connector, and the command that serves."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner, Result
from lxml import etree

from morton_pipeline.book import open_book
from morton_pipeline.check import check
from morton_pipeline.cli import cli
from morton_pipeline.connector.setup import Login, new_password, qwc
from morton_pipeline.errors import BadInput
from morton_pipeline.refresh import refresh
from tests.conftest import ROOT
from tests.connector.desk import AT, HASH, PASSWORD, make_book

VARIABLE = "QUICKBOOKS_DESKTOP_PASSWORD"


@pytest.fixture(autouse=True)
def _hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, HASH)


def run(book: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["--book", str(book), *words])


def test_a_new_password_is_shown_once_beside_the_line_for_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_book(tmp_path)
    result = run(tmp_path, "connector", "--new-password")
    password, line = result.stdout.splitlines()
    assert (result.exit_code, line.partition("=")[0]) == (0, VARIABLE)
    (tmp_path / ".env").write_text(f"{line}\n")
    monkeypatch.delenv(VARIABLE)
    login = Login(open_book(tmp_path).connection("desktop"))
    assert (login.admits("desktop", password), login.admits("desktop", f"{password} ")) == (True, False)
    assert password not in line
    assert os.environ[VARIABLE].startswith("$argon2id$")


def test_passwords_are_long_and_never_twice() -> None:
    passwords = {new_password()[0] for _ in range(3)}
    assert len(passwords) == 3
    assert min(map(len, passwords)) >= 32


@pytest.mark.parametrize(
    "kept",
    [PASSWORD, "", PasswordHasher(time_cost=1, memory_cost=64).hash("x")[:40], "$argon2i$"],
    ids=["the password itself", "nothing", "half a hash", "another kind"],
)
def test_what_is_no_hash_lets_nobody_in_and_says_how_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    book = make_book(tmp_path)
    monkeypatch.setenv(VARIABLE, kept)
    with pytest.raises(BadInput, match=VARIABLE) as problem:
        Login(book.connection("desktop"))
    assert PASSWORD not in str(problem.value)


def test_the_file_introduces_us_the_same_on_any_day_and_holds_no_secret(tmp_path: Path) -> None:
    make_book(tmp_path)
    file = tmp_path / "morton.qwc"
    assert run(tmp_path, "connector", "--qwc", str(file), "--port", "9000").exit_code == 0
    first = file.read_bytes()
    run(tmp_path, "connector", "--qwc", str(file), "--port", "9000")
    assert file.read_bytes() == first
    read = {e.tag: e.text for e in etree.fromstring(first)}
    assert (read["AppURL"], read["UserName"]) == ("http://localhost:9000/quickbooks-desktop/desktop", "desktop")
    for name in ("OwnerID", "FileID"):
        assert re.fullmatch(r"\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}", read[name] or "")
    assert read["OwnerID"] != read["FileID"]
    assert PASSWORD not in first.decode()
    assert HASH not in first.decode()


def test_from_elsewhere_we_are_called_by_https_only(tmp_path: Path) -> None:
    book = make_book(tmp_path, more="base_url: https://morton.example.com")
    file = qwc(book, book.connection("desktop"), 8765)
    assert b"<AppURL>https://morton.example.com/quickbooks-desktop/desktop</AppURL>" in file
    (tmp_path / "other").mkdir()
    with pytest.raises(BadInput, match="https"):
        make_book(tmp_path / "other", more="base_url: http://morton.example.com").connection("desktop")


def test_only_a_connection_that_calls_us_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "connections.yaml").write_text("connections: []\n")
    result = run(tmp_path, "connector", "--new-password")
    assert isinstance(result.exception, BadInput)
    assert "quickbooks_desktop" in str(result.exception)


def test_a_password_never_crosses_the_network_in_the_clear(tmp_path: Path) -> None:
    make_book(tmp_path)
    result = run(tmp_path, "connector", "--host", "0.0.0.0")
    assert isinstance(result.exception, BadInput)
    assert "in the clear" in str(result.exception)


def test_extract_and_check_say_that_it_comes_by_itself_and_record_no_failure(tmp_path: Path) -> None:
    book = make_book(tmp_path)
    result = run(tmp_path, "extract")
    assert result.exit_code == 0
    assert "QuickBooks Desktop fetches its work itself" in result.stderr
    assert "`morton connector`" in result.stderr
    assert refresh(book, book.connections, at=AT) == []
    (row,) = check(book, book.connections, at=AT)
    assert (row["state"], "fetches its work itself" in row["what"]) == ("ok", True)


def test_check_names_a_secret_that_is_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = make_book(tmp_path)
    monkeypatch.setenv(VARIABLE, "typed by mistake")
    (row,) = check(book, book.connections, at=AT)
    assert (row["state"], "--new-password" in row["what"]) == ("problem", True)


def test_the_command_serves_until_it_is_stopped_and_only_once(tmp_path: Path) -> None:
    make_book(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    words = [sys.executable, "-m", "morton_pipeline.cli", "--book", str(tmp_path), "connector", "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = f"http://127.0.0.1:{port}/quickbooks-desktop/desktop"
            assert "wsdl:definitions" in waited(process, f"{url}?wsdl")
            assert "Web Connector" in httpx.get(f"{url}?support").text
            assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 404
            second = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
            assert (second.returncode, "Another `morton connector` waits" in second.stderr) == (1, True)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "Waiting for the Web Connector of desktop" in process.stderr.read()
        assert process.wait(20) in (0, 1)


def waited(process: "subprocess.Popen[str]", url: str) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return httpx.get(url).text
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("it does not serve")
