"""The audit chain: whatever is done to the ledger behind Morton's back is found and named."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import Ledger, open_ledger, refuse_earlier, verify

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
def filled(ledger: Ledger, row: Callable[..., dict[str, Any]], choose: Callable[..., Any]) -> Ledger:
    """Five decisions, written one after the other."""
    for number in range(5):
        choose(row(f"00000000000{number}"))
    return ledger


def run(ledger: Ledger, *statements: str) -> None:
    with ledger.transaction() as con:
        con.exec_driver_sql("PRAGMA foreign_keys = OFF")
        for statement in statements:
            con.exec_driver_sql(statement)


def test_an_untouched_ledger_is_whole(filled: Ledger) -> None:
    found = verify(filled)
    assert (found.is_whole, found.row_count, found.problem) == (True, 5, None)


def test_an_empty_ledger_is_whole(ledger: Ledger) -> None:
    assert verify(ledger).is_whole


EDITS = {
    "an edited amount": (
        "update decisions set amount = '9999' where discrepancy_id = '000000000002'",
        "audit row 3",
        "was changed since",
    ),
    "an edited name": (
        "update decisions set decided_by = 'bob' where discrepancy_id = '000000000000'",
        "audit row 1",
        "was changed since",
    ),
    "a value that is no date": (
        "update decisions set period_month = 'never' where discrepancy_id = '000000000001'",
        "audit row 2",
        "changed",
    ),
    "a value that is no number": (
        "update decisions set amount = 'lots' where discrepancy_id = '000000000001'",
        "audit row 2",
        "changed",
    ),
    "a deleted decision": ("delete from decisions where discrepancy_id = '000000000003'", "audit row 4", "is gone"),
    "an added decision": (
        "insert into decisions select 'ffff', 'ffffffffffff', version, action, seal, period_month, client_id, service_id, kind, quantity, "
        "amount, currency, reason, decided_by, decided_at, until_on, undoes, records, row from decisions limit 1",
        "decisions ffff",
        "behind Morton's back",
    ),
    "an edited link": (
        "update audit set actor = 'bob' where seq = 2",
        "audit row 2",
        "was changed after it was written",
    ),
    "a deleted link": ("delete from audit where seq = 2", "audit row 2", "missing"),
    "the last link deleted": ("delete from audit where seq = 5", "decisions", "has no link"),
    "the end of the chain moved": ("update chain_head set seq = 4", "audit row 4", "ends at 5"),
}


@pytest.mark.parametrize("name", EDITS)
def test_tampering_is_found(filled: Ledger, name: str) -> None:
    statement, *words = EDITS[name]
    run(filled, statement)
    problem = verify(filled).problem or ""
    assert all(word in problem for word in words), problem


def test_two_reordered_links_are_found(filled: Ledger) -> None:
    run(
        filled,
        "update audit set seq = 99 where seq = 2",
        "update audit set seq = 2 where seq = 3",
        "update audit set seq = 3 where seq = 99",
    )
    assert "audit row 2" in (verify(filled).problem or "")


def test_a_decision_deleted_together_with_its_link_is_found(filled: Ledger) -> None:
    run(filled, "delete from decisions where discrepancy_id = '000000000004'", "delete from audit where seq = 5")
    assert "last rows were removed" in (verify(filled).problem or "")


def test_a_link_moved_with_a_recomputed_hash_does_not_follow(filled: Ledger) -> None:
    run(filled, "update audit set prev_hash = 'x' where seq = 4")
    assert "audit row 4" in (verify(filled).problem or "")


WRITER = """
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from morton_pipeline.book import Book, Limits
from morton_pipeline.ledger import decide, open_ledger
name = sys.argv[2]
with open_ledger(Book(Path(sys.argv[1]))) as ledger:
    for n in range(40):
        row = {"discrepancy_id": f"{name}{n}", "period_month": datetime(2026, 11, 1).date(), "client_id": "acme", "service_id": "s",
               "kind": "under_billed", "variance_quantity": Decimal(1), "unit_price": Decimal(1), "variance_amount": Decimal(1),
               "currency": "USD", "seal": "a", "source_state": "known", "status": "open"}
        decide(ledger, [row], action="approve", reason="r", actor=name, at=datetime.now(UTC), limits=Limits())
"""


def test_two_processes_writing_at_once_do_not_fork_the_chain(book: Book) -> None:
    words = [sys.executable, "-c", textwrap.dedent(WRITER), str(book.root)]
    writers = [subprocess.Popen([*words, name], stderr=subprocess.PIPE, text=True) for name in ("ann", "bob")]
    for writer in writers:
        _, said = writer.communicate(timeout=60)
        assert writer.returncode == 0, said
    with open_ledger(book) as ledger:
        found = verify(ledger)
        with ledger.read() as con:
            actors = [a for (a,) in con.execute(sa.text("select actor from audit order by seq"))]
    assert (found.problem, found.row_count) == (None, 80)
    assert sorted(actors) == ["ann"] * 40 + ["bob"] * 40


def test_a_clock_before_the_latest_decision_is_refused(filled: Ledger) -> None:
    with pytest.raises(BadInput, match="already seen 2026-11-23T09:00:00Z"):
        refuse_earlier(filled, AT - timedelta(minutes=1))


def test_a_clock_before_the_journal_is_refused(ledger: Ledger) -> None:
    with pytest.raises(BadInput, match="never goes back"):
        refuse_earlier(ledger, AT, also=AT + timedelta(days=1))


@pytest.mark.parametrize(
    "ahead", [timedelta(0), timedelta(days=40), timedelta(seconds=-1)], ids=["same", "later", "skew"]
)
def test_a_clock_that_goes_on_is_accepted(filled: Ledger, ahead: timedelta) -> None:
    refuse_earlier(filled, AT + ahead, also=AT - timedelta(days=1))


def test_sqlite_is_durable(ledger: Ledger) -> None:
    with ledger.read() as con:
        found = [
            con.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


def test_a_ledger_that_cannot_be_opened_says_where(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORTON_LEDGER_URL", "sqlite:////nowhere/at/all/ledger.sqlite")
    with pytest.raises(Exception, match="/nowhere/at/all"):
        open_ledger(book)


def test_the_ledger_is_opened_without_pandas() -> None:
    code = "import sys, morton_pipeline.ledger, morton_pipeline.ledger.snapshot; assert not {'pandas', 'dagster', 'duckdb'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_schema_is_valid_on_postgresql() -> None:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateTable

    from morton_pipeline.ledger import tables

    texts = [str(CreateTable(t).compile(dialect=postgresql.dialect())) for t in tables.METADATA.sorted_tables]
    assert len(texts) == 7
    assert "FOR UPDATE" in str(
        sa.select(tables.chain_head.c.seq).with_for_update().compile(dialect=postgresql.dialect())
    )
