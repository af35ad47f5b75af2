"""A client without a contract and a currency without a rate are named, and stop no build."""

import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from morton_pipeline.book import Book
from morton_pipeline.cli import cli
from morton_pipeline.seeds import check, missing_rates, uncovered, write_checked
from tests.seeds.conftest import GOOD, write

TODAY = date(2026, 11, 20)


def test_an_active_client_without_a_contract_is_named_and_stops_nothing(book: Book, tmp_path: Path) -> None:
    assert [str(problem) for problem in uncovered(book, TODAY)] == [
        "clients.csv row 3, client_id: globex is active and has no contract; write one in contracts.csv, or begin its note "
        "with 'no contract:' and say why"
    ]
    write_checked(book, tmp_path / "target")
    assert (tmp_path / "target/clients.csv").is_file()


@pytest.mark.parametrize(
    "waiver", [{"note": "No contract: starts in May"}, {"status": "offboarded"}, {"status": "Internal"}]
)
def test_a_client_that_needs_no_contract_is_not_named(book: Book, waiver: dict[str, str]) -> None:
    write(book, "clients", [GOOD["clients"][0], {**GOOD["clients"][1], **waiver}])
    assert uncovered(book, TODAY) == []


@pytest.mark.parametrize(
    ("ends", "is_covered"), [("2020-01-01", False), ("2026-11-20", False), ("2026-11-21", True), ("", True)]
)
def test_case_37_a_contract_that_is_over_covers_nobody(book: Book, ends: str, is_covered: bool) -> None:
    over = {**GOOD["contracts"][0], "contract_id": "c2", "client_id": "globex", "effective_to": ends}
    write(book, "contracts", [*GOOD["contracts"], over])
    said = [str(problem) for problem in uncovered(book, TODAY)]
    assert len(said) == (not is_covered)
    assert is_covered or f"globex is active and has no contract any more: the last one ended on {ends};" in said[0]


def test_seeds_that_cannot_be_read_leave_nobody_without_a_contract(book: Book) -> None:
    (book.seeds / "contracts.csv").write_text("contract\n", "utf-8")
    assert uncovered(book, TODAY) == []


def _clients(book: Book, *currencies: str) -> None:
    """Write clients of these currencies; one in small letters is that of our own company."""
    write(book, "clients", [
        {"client_id": ("acme", "globex")[n] if n < 2 else f"c{n}", "client_name": f"Client {n}", "currency": code.upper(),
         "status": "internal" if code.islower() else "active", "note": "no contract: only its currency matters"}
        for n, code in enumerate(currencies)
    ])  # fmt: skip


def test_case_68_a_missing_rate_fails_the_check_and_stops_no_build(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _clients(book, "USD", "EUR", "USD", "EUR", "USD")
    monkeypatch.setenv("MORTON_NOW", "2025-12-31T23:59:59Z")
    done = CliRunner().invoke(cli, ["--book", str(book.root), "seeds", "check", "--format", "json"])
    assert (done.exit_code, json.loads(done.stdout)) == (1, [{
        "file": "clients.csv", "row": 3, "column": "currency",
        "message": "EUR is not the main currency. exchange_rates.csv has no rate from EUR to USD (or back) in force on "
        "2025-12-31: add one, with its source. Invoices in it are parked until then",
    }])  # fmt: skip
    assert check(book) == []
    write_checked(book, tmp_path / "target")
    monkeypatch.setenv("MORTON_NOW", "2026-01-01T00:00:00Z")
    assert CliRunner().invoke(cli, ["--book", str(book.root), "seeds", "check"]).exit_code == 0


@pytest.mark.parametrize("currencies", [("USD", "USD"), ("USD", "USD", "eur")], ids=["one", "ours is another"])
def test_clients_of_one_currency_and_our_own_company_need_no_rate(book: Book, currencies: tuple[str, ...]) -> None:
    (book.seeds / "exchange_rates.csv").unlink()
    _clients(book, *currencies)
    assert missing_rates(book, date(2026, 11, 23)) == []
