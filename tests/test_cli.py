"""What every command shares: where it finds its book, how it fails, and what it costs to ask it for help."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).parent.parent

CONNECTIONS = """
connections:
  - id: rmm
    vendor: ninjaone
    base_url: http://127.0.0.1:1
    secrets: {client_id: TEST_ABSENT_ID, client_secret: TEST_ABSENT_SECRET}
    attempts: 1
"""


def morton(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MORTON_")}
    return subprocess.run(
        [sys.executable, "-m", "morton_pipeline.cli", *arguments],
        env={**clean, **environment}, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip


@pytest.fixture
def book(tmp_path: Path) -> Path:
    (tmp_path / "connections.yaml").write_text(CONNECTIONS, "utf-8")
    return tmp_path


def test_asking_for_help_loads_none_of_the_heavy_libraries() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from morton_pipeline.cli import cli; "
        "r = CliRunner().invoke(cli, ['--help']); assert r.exit_code == 0, r.output; "
        "print(sorted({'pandas', 'duckdb', 'dagster', 'dbt', 'sqlalchemy', 'httpx', 'pandera'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", f"`morton --help` must not load {done.stdout}"


def test_every_command_the_readme_shows_exists() -> None:
    shown = set(
        re.findall(r"\.venv/bin/morton (?:--book \S+ )?([a-z][a-z-]*(?: [a-z-]+)?)", (ROOT / "README.md").read_text())
    )
    assert shown, "the README shows commands"
    for words in sorted(shown):
        group, *rest = words.split()
        done = morton(group, *[r for r in rest if group in ("decide", "invoices", "seeds", "audit")], "--help")
        assert done.returncode == 0, f"the README shows `morton {words}`, which does not exist"


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_book_may_be_named_before_or_after_the_command(book: Path, place: str) -> None:
    named = ("--book", str(book))
    done = morton(*named, "seeds", "check") if place == "before" else morton("seeds", "check", *named)
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr
    assert "not a book" not in done.stderr


def test_a_folder_that_is_no_book_is_said_to_be_none(tmp_path: Path) -> None:
    done = morton("--book", str(tmp_path), "discrepancies")
    assert done.returncode == 1
    assert done.stderr.startswith("morton: ")
    assert "is not a book" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("discrepancies", "--kind", "underbilled"),
        ("decide", "write-off", "d1", "--reason", "r", "--as", "a", "--until", "2027-01-01"),
        ("discrepancies", "--nonsense"),
        ("decide", "approve", "x"),
        ("nonsense",),
    ],
    ids=["unknown kind", "missing cause", "unknown option", "missing reason and name", "unknown command"],
)
def test_wrong_usage_exits_with_2(book: Path, arguments: tuple[str, ...]) -> None:
    done = morton("--book", str(book), *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_missing_secret_names_its_variable_and_connection_and_is_an_attempt_that_failed(book: Path) -> None:
    done = morton("--book", str(book), "extract", "--format", "json")
    assert done.returncode == 1
    reasons = {row["reason"] for row in json.loads(done.stdout)}
    assert len(reasons) == 1
    assert "TEST_ABSENT_ID" in next(iter(reasons))
    assert "rmm" in next(iter(reasons))


def test_a_source_that_cannot_be_reached_is_unknown_and_never_zero(book: Path) -> None:
    done = morton("--book", str(book), "extract", "--format", "json", TEST_ABSENT_ID="a", TEST_ABSENT_SECRET="b")
    assert done.returncode == 1
    assert {(row["status"], row["record_count"]) for row in json.loads(done.stdout)} == {("failed", None)}


def test_an_unknown_connection_says_which_exist(book: Path) -> None:
    done = morton("--book", str(book), "extract", "rm")
    assert done.returncode == 1
    assert "This book has: rmm" in done.stderr


def test_nothing_published_yet_says_what_to_run(book: Path) -> None:
    done = morton("--book", str(book), "discrepancies")
    assert done.returncode == 1
    assert "morton reconcile" in done.stderr


def test_a_mart_of_an_earlier_version_says_what_to_run(book: Path) -> None:
    (book / "data/published").mkdir(parents=True)
    with duckdb.connect(str(book / "data/published/mart.duckdb")) as con:
        con.execute("create schema marts")
    done = morton("--book", str(book), "exclusions")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("An earlier version built the marts: run `morton reconcile`, then this again.")
