"""What was approved on older facts is not sent: the marts are built anew first, and what no longer stands is void."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from morton_pipeline.book import Book
from morton_pipeline.cli import cli
from morton_pipeline.ledger import decide, open_ledger
from morton_pipeline.reconcile import changed_since_built, reconcile
from tests.cases.scenario import DECIDED, FIRST, LATER, NOW, Mart, Scenario

LATER_DAY = NOW + timedelta(hours=2)
Change = Callable[[Scenario], object]


def _tell() -> tuple[Scenario, list[str]]:
    msp = Scenario()
    msp.service("workstation", "device", "40")
    msp.maps("workstation", "ninjaone", "devices", "node_class", "WINDOWS_WORKSTATION")
    msp.client("acme")
    ids = msp.devices("acme", 4)
    msp.contract("acme", "workstation", 2, "10")
    msp.seeds["contracts"][-1]["contract_id"] = "agreed"
    return msp, ids


@pytest.fixture(scope="module")
def approved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book in which two workstations too few were approved, and everything is as it was built."""
    book = Book(tmp_path_factory.mktemp("reconcile"))
    msp, _ = _tell()
    msp.write_connections(book)
    msp.write_seeds(book)
    msp.read_tools(book, FIRST.replace(year=2000), NOW)
    reconcile(book, at=NOW)
    rows = Mart(book.published, book.warehouse).rows("acme")
    with open_ledger(book) as ledger:
        decide(ledger, rows, action="approve", reason="seen", actor="Fay", at=DECIDED, limits=book.limits)
    return book.root


@pytest.fixture
def book(approved: Path, tmp_path: Path) -> Book:
    return Book(Path(shutil.copytree(approved, tmp_path / "book")))


def _go_on(book: Book, change: Change) -> None:
    msp, _ = _tell()
    change(msp)
    msp.write_seeds(book, is_later=True)
    msp.read_tools(book, NOW, LATER)


CHANGES: dict[str, tuple[Change, str]] = {
    "a record": (lambda msp: msp.devices("acme", 1, since=LATER_DAY), "rmm devices was read on 2026-11-"),
    "the source": (lambda msp: msp.fail("rmm", since=LATER_DAY), "rmm "),
    "the contract": (lambda msp: msp.edit("contracts", "agreed", quantity="3"), "were edited"),
    "the price": (lambda msp: msp.edit("contracts", "agreed", unit_price="11"), "were edited"),
    "the mapping": (lambda msp: msp.edit("company_mappings", "acme", effective_from="2026-01-01"), "were edited"),
    "an exclusion": (lambda msp: msp.exclusion(client_id="acme", name_pattern="acme 1"), "were edited"),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_case_57_what_an_approval_stands_on_is_seen_to_have_changed(book: Book, what: str) -> None:
    change, said = CHANGES[what]
    assert changed_since_built(book) == ""
    _go_on(book, change)
    assert said in changed_since_built(book)


def test_case_57_an_exclusion_the_marts_were_never_told_of_is_seen(book: Book) -> None:
    """The ledger keeps a decision even where the marts could not be rebuilt after it."""
    mart = Mart(book.published, book.warehouse)
    row = mart.row("acme")
    evidence = {row["discrepancy_id"]: mart.evidence(row)}
    record = evidence[row["discrepancy_id"]][0]["record_id"]
    until = (NOW + timedelta(days=60)).date()
    with open_ledger(book) as ledger:
        for action, given in (("reopen", {}), ("exclude", {"record_ids": [record], "until": until, "cause": "policy"})):
            done = decide(
                ledger, [row], action=action, reason="spare", actor="Fay", at=LATER, limits=book.limits,
                evidence=evidence, **given,
            )  # fmt: skip
            assert not done.refused
            assert ("Records were excluded" in changed_since_built(book)) == (action == "exclude")


def test_readings_that_found_everything_as_it_was_change_nothing(book: Book) -> None:
    _go_on(book, lambda msp: None)
    assert changed_since_built(book) == ""


def test_what_an_earlier_version_built_is_built_anew(book: Book) -> None:
    with duckdb.connect(str(book.published)) as con:
        con.execute("drop schema morton cascade")
    assert changed_since_built(book) == "The marts were built by an earlier version."


@pytest.mark.parametrize("what", ["a record", "the price"])
def test_case_57_nothing_is_sent_on_facts_that_have_changed_though_nobody_reconciled(
    book: Book, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, said = CHANGES[what]
    monkeypatch.setenv("MORTON_NOW", LATER.isoformat())
    _go_on(book, change)
    done = CliRunner().invoke(cli, ["--book", str(book.root), "invoices", "post", "--yes"])
    assert said in done.output
    assert "They are built anew first." in done.output
    assert "the approval is void, nothing was sent" in done.output
    assert done.exit_code == 1
    assert not list((book.data / "invoices").glob("*"))
