"""One writer at a time, across processes, and a waiter that says who is first."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from morton_pipeline.book import Book
from morton_pipeline.extract.auth import Grant
from morton_pipeline.ledger.store import open_ledger
from morton_pipeline.ledger.tokens import LedgerTokens
from morton_pipeline.warehouse.load import load
from morton_pipeline.warehouse.lock import WarehouseBusy, WarehouseUnreadable, connect, held
from morton_pipeline.warehouse.publish import publish

HOLDER = """
import sys, time
from morton_pipeline.book import Book
from morton_pipeline.warehouse.lock import held
from pathlib import Path
with held(Book(Path(sys.argv[1])), "extract pax8"):
    print("held", flush=True)
    time.sleep(60)
"""

OPENER = """
import sys, time, duckdb
con = duckdb.connect(sys.argv[1])
print("open", flush=True)
time.sleep(60)
"""


@pytest.fixture
def process(request):
    """Start another process and wait for its first word; it is stopped with the test."""
    started = []

    def start(source: str, argument: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", source, str(argument)]
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(Path.cwd())}
        )
        started.append(child)
        assert child.stdout.readline().strip()
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()
        child.stdout.close()


def test_who_gives_up_waiting_says_who_holds_it_and_since_when(book, process):
    child = process(HOLDER, book.root)
    note = json.loads((book.data / "warehouse.owner.json").read_text())
    with pytest.raises(WarehouseBusy) as refused, held(book, "reconcile", wait_seconds=0.1):
        pass
    message = str(refused.value)
    assert f"in use by 'extract pax8' (process {child.pid}) since {note['since'][:10]}" in message
    assert "reconcile waited 0.1 s" in message
    with pytest.raises(WarehouseBusy), connect(book, "reconcile", wait_seconds=0):
        pass


def test_a_dead_owner_blocks_nobody(book, process):
    child = process(HOLDER, book.root)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert (book.data / "warehouse.owner.json").exists()
    begun = time.monotonic()
    with held(book, "reconcile", wait_seconds=5):
        assert json.loads((book.data / "warehouse.owner.json").read_text())["owner"] == "reconcile"
    assert time.monotonic() - begun < 5
    assert not (book.data / "warehouse.owner.json").exists()


def test_a_waiter_goes_on_as_soon_as_the_owner_is_done(book, process):
    child = process(HOLDER.replace("sleep(60)", "sleep(0.5)"), book.root)
    with held(book, "reconcile", wait_seconds=30):
        pass
    assert child.wait() == 0


def test_an_owner_that_has_not_signed_is_still_reported(book, process):
    process(HOLDER, book.root)
    (book.data / "warehouse.owner.json").write_text("{")
    with (
        pytest.raises(WarehouseBusy, match="another process that has not said who it is"),
        held(book, "x", wait_seconds=0),
    ):
        pass


def test_who_holds_it_may_take_it_again_and_keeps_the_name(book):
    with held(book, "reconcile"):
        with connect(book, "load") as con:
            con.execute("select 1")
        with held(book, "inner", wait_seconds=0):
            pass
        assert json.loads((book.data / "warehouse.owner.json").read_text())["owner"] == "reconcile"


def test_another_thread_of_the_same_process_waits_its_turn(book):
    def other():
        with held(book, "other", wait_seconds=0.1):
            pass

    with held(book, "reconcile"), ThreadPoolExecutor(1) as pool, pytest.raises(WarehouseBusy, match="'reconcile'"):
        pool.submit(other).result()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(other).result()


def fail_halfway(book):
    with connect(book, "load") as con:
        con.begin()
        con.execute("create table half as select 1")
        raise ZeroDivisionError


def test_the_warehouse_is_closed_and_released_after_an_error(book, process):
    with pytest.raises(ZeroDivisionError):
        fail_halfway(book)
    process(OPENER, book.warehouse)
    with duckdb.connect() as other, pytest.raises(duckdb.IOException):
        other.execute(f"attach '{book.warehouse}'")


def test_nothing_of_a_failed_transaction_stays(book):
    with pytest.raises(ZeroDivisionError):
        fail_halfway(book)
    with connect(book, "load") as con:
        assert con.execute("select count(*) from duckdb_tables() where table_name = 'half'").fetchone() == (0,)


def test_a_program_that_opened_the_file_without_the_lock_is_named(book, process):
    with connect(book, "load"):
        pass
    child = process(OPENER, book.warehouse)
    with (
        pytest.raises(WarehouseBusy, match=rf"(?s)Close it there and read .*mart.duckdb instead.*{child.pid}"),
        connect(book, "load"),
    ):
        pass


def test_a_warehouse_that_is_no_database_says_how_to_rebuild_it(book):
    book.warehouse.write_bytes(b"not a database" * 1000)
    with pytest.raises(WarehouseUnreadable, match="Move it away and run this again"), connect(book, "load"):
        pass


def test_only_what_is_published_can_be_read_by_others(tmp_path, devices, extraction):
    (tmp_path / "connections.yaml").write_text("connections: []", "utf-8")
    book, mask = Book(tmp_path), os.umask(0o022)
    try:
        with open_ledger(book) as ledger:
            LedgerTokens(ledger).save("books", Grant("token"), "seed")
        load(book, [extraction(devices(3))])
        with connect(book, "test") as con:
            con.execute("create schema marts; create table marts.discrepancies as select 1 as amount")
        publish(book)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(mask)
    modes = {str(p.relative_to(book.data)): oct(p.stat().st_mode & 0o777) for p in book.data.rglob("*")}
    assert oct(book.data.stat().st_mode & 0o777) == "0o711"
    assert (modes.pop("published"), modes.pop("published/mart.duckdb")) == ("0o755", "0o644")
    assert {"ledger.sqlite", "ledger.key", "warehouse.duckdb", "journal", "journal/2026-11.jsonl"} <= set(modes)
    readable = {name: mode for name, mode in modes.items() if not mode.endswith("00")}
    assert set(readable) <= {"warehouse.lock"}, readable
