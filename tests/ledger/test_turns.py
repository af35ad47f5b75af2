"""Whose turn it is to renew a token: one process's, one thread's, and nobody's once that one is gone."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from morton_pipeline.book import Book
from morton_pipeline.extract.auth import Grant, own_turn
from morton_pipeline.ledger import open_ledger
from morton_pipeline.ledger.tokens import LedgerTokens
from tests.conftest import ROOT

HOLDER = """
import sys, time
from morton_pipeline.book import Book
from morton_pipeline.ledger import open_ledger
from morton_pipeline.ledger.tokens import LedgerTokens
from pathlib import Path
ledger = open_ledger(Book(Path(sys.argv[1])))
end = LedgerTokens(ledger).try_turn("books")
print("mine" if end else "not mine", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of our own, on a socket, as somebody it lets start it."""
    pytest.importorskip("psycopg", reason="the driver for PostgreSQL is not installed")
    if not shutil.which("initdb") or not shutil.which("pg_ctl"):
        pytest.skip("PostgreSQL is not installed")
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    if os.getuid() == 0 and not any(entry.pw_name == user for entry in pwd.getpwall()):
        pytest.skip("PostgreSQL does not start as root, and there is no account postgres")
    # Where the account may go, and a path short enough for a socket.
    home = Path(tempfile.mkdtemp(prefix="pg."))
    shutil.chown(home, user)
    become = {"user": user} if os.getuid() == 0 else {}

    def run(*words: str) -> None:
        subprocess.run(words, check=True, cwd=home, stdout=subprocess.DEVNULL, **become)  # type: ignore[call-overload]

    run("initdb", "-D", str(home / "db"), "-U", "morton", "-A", "trust", "--no-sync")
    run("pg_ctl", "-D", str(home / "db"), "-w", "-l", str(home / "log"), "-o", f"-k {home} -h '' -F", "start")
    try:
        yield f"postgresql+psycopg://morton@/postgres?host={home}"
    finally:
        run("pg_ctl", "-D", str(home / "db"), "-m", "immediate", "stop")
        shutil.rmtree(home)


@pytest.fixture(params=["sqlite", "postgresql"])
def tokens(request: pytest.FixtureRequest, book: Book, monkeypatch: pytest.MonkeyPatch) -> Iterator[LedgerTokens]:
    if request.param == "postgresql":
        monkeypatch.setenv("MORTON_LEDGER_URL", request.getfixturevalue("postgres"))
    with open_ledger(book) as ledger:
        yield LedgerTokens(ledger)


def test_a_turn_is_one_s_alone_and_ends(tokens: LedgerTokens) -> None:
    end = tokens.try_turn("books")
    assert end is not None
    assert tokens.try_turn("books") is None
    other = tokens.try_turn("other")
    assert other is not None, "two connections wait for each other"
    other()
    end()
    again = tokens.try_turn("books")
    assert again is not None
    again()


def test_a_turn_may_end_in_another_thread_than_it_began_in(tokens: LedgerTokens) -> None:
    end = tokens.try_turn("books")
    assert end is not None
    thread = threading.Thread(target=end)
    thread.start()
    thread.join()
    with own_turn(tokens, "books"):
        assert tokens.try_turn("books") is None


def test_a_turn_is_kept_from_another_process_and_ends_with_it(tokens: LedgerTokens, book: Book) -> None:
    words = (sys.executable, "-c", HOLDER, str(book.root))
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "mine\n"
            assert tokens.try_turn("books") is None
        finally:
            process.kill()
    with own_turn(tokens, "books"):
        pass


def test_a_grant_is_kept_whole(tokens: LedgerTokens) -> None:
    from morton_pipeline.clock import wall

    for grant in (Grant("r-1", "a-1", wall()), Grant("r-2", refused="No token was issued (400): it ended")):
        tokens.save("books", grant, "seed")
        assert tokens.load("books", "seed") == grant
        assert tokens.load("books", "") == grant


def test_saving_without_a_seed_keeps_the_one_the_chain_began_with(tokens: LedgerTokens) -> None:
    tokens.save("mine", Grant("r-1"), "seed")
    tokens.save("mine", Grant("r-2"), "")
    assert tokens.load("mine", "seed") == Grant("r-2")
    tokens.save("mine", Grant("r-3"), "another seed")
    assert tokens.load("mine", "seed") is None
    assert tokens.load("mine", "") == Grant("r-3")
