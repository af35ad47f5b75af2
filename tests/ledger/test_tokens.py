"""Refresh tokens rest encrypted, and the key is nobody else's."""

import stat

import pytest
import sqlalchemy as sa

from morton_pipeline.book import Book
from morton_pipeline.errors import MortonError
from morton_pipeline.extract.auth import Grant
from morton_pipeline.ledger import Ledger, open_ledger
from morton_pipeline.ledger.tokens import LedgerTokens

SEED = "the token in the environment"


def test_another_seed_begins_another_chain_even_where_the_key_was_lost(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORTON_SECRET_KEY", "a phrase that gets lost")
    tokens = LedgerTokens(ledger)
    tokens.save("quickbooks", Grant("dead"), SEED)
    monkeypatch.setenv("MORTON_SECRET_KEY", "another phrase")
    assert tokens.load("quickbooks", "a fresh one") is None
    tokens.save("quickbooks", Grant("alive"), "a fresh one")
    assert tokens.load("quickbooks", "a fresh one") == Grant("alive")
    assert tokens.load("quickbooks", SEED) is None


def test_a_token_is_kept_and_replaced(ledger: Ledger) -> None:
    tokens = LedgerTokens(ledger)
    assert tokens.load("quickbooks", SEED) is None
    for value in ("first", "second"):
        tokens.save("quickbooks", Grant(value), SEED)
    assert tokens.load("quickbooks", SEED) == Grant("second")
    assert tokens.load("xero", SEED) is None


def test_a_token_is_never_stored_as_it_is(ledger: Ledger, book: Book) -> None:
    LedgerTokens(ledger).save("quickbooks", Grant("AB11-very-secret"), "seed-very-secret")
    with ledger.read() as con:
        assert "very-secret" not in con.execute(sa.text("select token || seed_digest from refresh_tokens")).scalar_one()
    ledger.close()
    assert all(b"very-secret" not in path.read_bytes() for path in book.data.iterdir())


def test_the_key_file_is_ours_alone(ledger: Ledger, book: Book) -> None:
    LedgerTokens(ledger).save("quickbooks", Grant("x"), SEED)
    assert stat.S_IMODE((book.data / "ledger.key").stat().st_mode) == 0o600
    assert [p.name for p in book.data.iterdir() if p.name.startswith(".")] == []


def test_a_key_file_others_can_read_is_refused(ledger: Ledger, book: Book) -> None:
    LedgerTokens(ledger).save("quickbooks", Grant("x"), SEED)
    (book.data / "ledger.key").chmod(0o644)
    with pytest.raises(MortonError, match="chmod 600"):
        LedgerTokens(ledger).load("quickbooks", SEED)


def test_the_key_from_the_environment_leaves_no_file(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORTON_SECRET_KEY", "a long phrase of the operator")
    with open_ledger(book) as ledger:
        LedgerTokens(ledger).save("quickbooks", Grant("x"), SEED)
        assert LedgerTokens(ledger).load("quickbooks", SEED) == Grant("x")
        assert not (book.data / "ledger.key").exists()
        monkeypatch.setenv("MORTON_SECRET_KEY", "another phrase")
        with pytest.raises(MortonError, match="put a fresh refresh token into the environment variable"):
            LedgerTokens(ledger).load("quickbooks", SEED)
