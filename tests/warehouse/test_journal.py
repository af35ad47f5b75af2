"""What survives: a lost warehouse, a run cut off anywhere, a full disk; and what is named when it does not."""

import json
import os
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from morton_pipeline.errors import MortonError
from morton_pipeline.warehouse import apply, journal
from morton_pipeline.warehouse.layout import CLOSED
from morton_pipeline.warehouse.load import accept, load
from morton_pipeline.warehouse.lock import connect

CURRENT = "select count(*) from raw_ninjaone.devices where valid_to is null"


@pytest.fixture
def eventful(book, take, devices, extraction, users, hour):
    """A book in which everything has happened: changes, removals, quarantine, failures, held and accepted loads."""
    take(devices(40))
    take(devices(38, displayName="Front desk"), at=1)
    take([{**devices(1)[0], "nodeClass": None}, {**devices(2)[1], "id": None}, *devices(45)[2:]], at=2)
    take(None, at=3, error="The vendor did not answer.")
    held = take([], at=4)
    accept(book, held.extraction_id, "Dana", hour(5))
    take(devices(12), at=6)
    partial = take([{**devices(1)[0], "nodeClass": None}, *devices(12)[1:]], at=7)
    accept(book, partial.extraction_id, "Kim", hour(8))
    take(devices(100), at=9)
    load(
        book, [extraction(users(n + 3), 1, tenant=t, connection="m365") for n, t in enumerate(("contoso", "fabrikam"))]
    )
    load(book, [extraction(users(2), 24 * 20, tenant="contoso", connection="m365")])
    return book


@pytest.fixture
def lines(book):
    """The journal's lines, in order."""
    return lambda: [
        json.loads(line) for path in sorted(book.journal.glob("*.jsonl")) for line in path.read_text().splitlines()
    ]


def cut_off(monkeypatch, module, name, error):
    """Make one step raise, as a crash or a full disk would."""

    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(module, name, fail)


def test_case_87_the_journal_rebuilds_the_same_raw_tables(eventful, raw_tables):
    before = raw_tables(eventful.warehouse)
    assert before["raw.extractions"]
    assert before["raw.quarantine"]
    eventful.warehouse.unlink()
    with connect(eventful, "test"):
        pass
    assert raw_tables(eventful.warehouse) == before
    assert journal.rebuild(eventful) == 13
    assert raw_tables(eventful.warehouse) == before
    assert not list(eventful.data.glob("warehouse.rebuilding*"))


def test_rebuilding_in_small_steps_gives_the_same(eventful, raw_tables, monkeypatch):
    before = raw_tables(eventful.warehouse)
    monkeypatch.setattr(journal, "BATCH_LINES", 2)
    journal.rebuild(eventful)
    assert raw_tables(eventful.warehouse) == before
    monkeypatch.setattr(journal, "BATCH_BYTES", 1)
    journal.rebuild(eventful)
    assert raw_tables(eventful.warehouse) == before


def test_a_closing_that_is_older_than_what_is_kept_today_is_still_read(book, query, hour):
    """It has no steps of its prices, and no currency beside them."""
    term = {
        "client_id": "acme",
        "period_month": hour(0).date().replace(day=1),
        "service_id": "seat",
        "price": Decimal(10),
    }
    kept = {"closed_terms": pa.Table.from_pylist([term])}
    files = {
        table.name: journal.write_changes(book, "closed", table.name, "then", kept.get(table.name, pa.table({})))
        for table in CLOSED
        if table.name != "closed_steps"
    }
    with connect(book, "test") as con:
        line = {"line": apply.CLOSING, "clock_at": hour(0), "known_at": hour(0), "files": files}
        journal.append(con, book, [line])
        journal.replay(con, book)
    assert query("select client_id, price, currency from raw.closed_terms") == [("acme", 10, None)]
    assert query("select count(*) from raw.closed_steps") == [(0,)]


def test_versions_of_a_record_never_overlap_and_are_never_empty(eventful, query):
    assert query("select count(*) from raw_ninjaone.devices where valid_to <= valid_from") == [(0,)]
    assert query(
        "select record_key, lag(valid_to, 1, valid_from) over versions as before from raw_ninjaone.devices "
        "window versions as (partition by connection_id, tenant_id, record_key order by valid_from) "
        "qualify before is null or before > valid_from"
    ) == []  # fmt: skip


def test_every_attempt_is_one_numbered_line(eventful, lines):
    written = lines()
    assert [line["number"] for line in written] == list(range(1, 14))
    assert {path.name for path in eventful.journal.glob("*.jsonl")} == {"2026-11.jsonl", "2026-12.jsonl"}
    named = {line["journal_file"] for line in written if line["journal_file"]}
    assert named == {str(path.relative_to(eventful.journal)) for path in eventful.journal.rglob("*.parquet")}


def test_a_crash_between_journal_and_warehouse_heals(book, take, devices, query, monkeypatch):
    take(devices(40))
    with monkeypatch.context() as broken:
        cut_off(broken, apply, "apply", KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            take(devices(45), at=1)
    assert query(CURRENT) == [(45,)]
    assert query("select status from raw.extractions") == [("complete",)] * 2
    assert take(devices(45), at=2).added_count == 0


def test_a_crash_while_applying_leaves_nothing_half_done(book, take, devices, query, monkeypatch):
    take(devices(40))
    with monkeypatch.context() as broken:
        cut_off(broken, journal.tables, "rows_of", KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            take(devices(45), at=1)
    with duckdb.connect(str(book.warehouse), read_only=True) as con:
        assert con.execute(CURRENT).fetchall() == [(40,)]
    assert query(CURRENT) == [(45,)]


def test_a_crash_before_the_line_leaves_an_unused_file_and_no_trace(book, take, devices, query, monkeypatch):
    with monkeypatch.context() as broken:
        cut_off(broken, journal, "append", KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            take(devices(40))
    assert query("select count(*) from raw.extractions") == [(0,)]
    loaded = take(devices(41))
    assert loaded.journal_file == "ninjaone/devices/20261123T060000000000Z-ninjaone-2.parquet"
    assert query(CURRENT) == [(41,)]


@pytest.mark.parametrize(
    "tail", [b'{"number": 2, "line"', b"\x00" * 4096, b"x" * 200_000], ids=["half", "zeros", "long"]
)
def test_a_torn_last_line_is_dropped(book, take, devices, query, tail, hour):
    take(devices(40))
    path = book.journal / "2026-11.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert journal.last_seen_at(book) == hour(0)
    assert query(CURRENT) == [(40,)]
    assert path.read_bytes() == whole
    assert take(devices(41), at=1).added_count == 1
    book.warehouse.unlink()
    assert query(CURRENT) == [(41,)]


def test_a_torn_first_line_is_dropped(book, take, devices, query):
    book.journal.mkdir(parents=True)
    (book.journal / "2026-11.jsonl").write_bytes(b'{"numb')
    assert journal.last_seen_at(book) is None
    assert take(devices(4)).status == "complete"
    assert query(CURRENT) == [(4,)]


def damaged(book, query, name):
    with pytest.raises(journal.JournalDamaged, match=name):
        query("select 1")


def test_a_damaged_line_in_the_middle_is_refused_by_name(book, take, devices, query):
    for n in range(3):
        take(devices(40 + n), at=n)
    path = book.journal / "2026-11.jsonl"
    first, second, third = path.read_bytes().splitlines(keepends=True)
    book.warehouse.unlink()
    for content in (
        first + second[:-30] + third,
        first + second[:-30] + b"\n" + third,
        first + third,
        b"[]\n" + second,
    ):
        path.write_bytes(content)
        damaged(book, query, "2026-11.jsonl")
    path.write_bytes(first + second + third)
    assert query(CURRENT) == [(42,)]


def test_a_torn_line_before_the_last_file_is_refused(book, take, devices, query):
    take(devices(40))
    take(devices(41), at=24 * 20)
    path = book.journal / "2026-11.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    book.warehouse.unlink()
    damaged(book, query, "2026-11.jsonl")


@pytest.mark.parametrize("harm", ["altered", "missing"])
def test_a_damaged_parquet_file_is_named_and_nothing_is_applied(book, take, devices, query, harm):
    take(devices(40))
    second = take(devices(45), at=1)
    path = book.journal / second.journal_file
    content = path.read_bytes()
    book.warehouse.unlink()
    if harm == "altered":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        path.unlink()
    damaged(book, query, path.name)
    with duckdb.connect(str(book.warehouse), read_only=True) as con:
        assert con.execute("select count(*) from raw_ninjaone.devices").fetchone() == (0,)
        assert con.execute("select count(*) from raw.extractions").fetchone() == (0,)
    path.write_bytes(content)
    assert query(CURRENT) == [(45,)]


def test_a_rebuild_that_fails_keeps_the_old_warehouse(book, take, devices, query):
    loaded = take(devices(40))
    (book.journal / loaded.journal_file).unlink()
    with pytest.raises(journal.JournalDamaged):
        journal.rebuild(book)
    assert query(CURRENT) == [(40,)]


@pytest.mark.parametrize("harm", ["shorter", "shorter by half a line", "gone"])
def test_a_journal_older_than_the_warehouse_is_refused(book, take, devices, query, harm):
    take(devices(40))
    take(devices(41), at=1)
    path = book.journal / "2026-11.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(first + (second[:20] if harm.endswith("line") else b""))
    damaged(book, query, "2026-11.jsonl")


def test_a_full_disk_while_writing_records_loads_nothing(book, take, devices, query, monkeypatch):
    take(devices(40))
    with monkeypatch.context() as broken:
        cut_off(broken, journal.files, "sync", OSError(28, "No space left on device"))
        with pytest.raises(journal.JournalUnwritable, match=r"No space left on device.*nothing was loaded"):
            take(devices(45), at=1)
    assert query(CURRENT) == [(40,)]
    assert len(list(book.journal.rglob("ninjaone/devices/*"))) == 1
    assert take(devices(45), at=1).added_count == 5


def test_a_full_disk_while_writing_the_line_takes_it_back(book, take, devices, query, monkeypatch):
    take(devices(40))
    path = book.journal / "2026-11.jsonl"
    before = path.read_bytes()
    with monkeypatch.context() as broken:
        cut_off(broken, os, "fsync", OSError(28, "No space left on device"))
        with pytest.raises(journal.JournalUnwritable):
            take(None, at=1, error="The vendor did not answer.")
    assert path.read_bytes() == before
    assert query("select count(*) from raw.extractions") == [(1,)]


def test_a_full_disk_while_applying_says_that_nothing_is_lost(book, take, devices, query, monkeypatch):
    with monkeypatch.context() as broken:
        cut_off(broken, apply, "apply", duckdb.IOException("No space left on device"))
        with pytest.raises(journal.NotApplied, match="the next run applies it") as told:
            take(devices(45), at=1)
    assert isinstance(told.value, MortonError)
    assert query(CURRENT) == [(45,)]


def test_an_attempt_begun_before_midnight_follows_what_was_written_after_it(book, take, devices, query, lines):
    take(devices(40), at=24 * 20)
    take(None, at=0, connection="m365", tenant="contoso", error="Late.")
    assert [path.name for path in book.journal.glob("*.jsonl")] == ["2026-12.jsonl"]
    assert query("select count(*) from raw.extractions") == [(2,)]


def test_only_what_is_new_is_read(book, take, devices, query, monkeypatch):
    take(devices(40))
    seen = []
    parse = journal._parse
    monkeypatch.setattr(journal, "_parse", lambda path, raw: seen.append(raw) or parse(path, raw))
    take(devices(41), at=1)
    query("select 1")
    assert len(seen) == 1


def test_a_long_line_does_not_hide_the_latest_instant(book, take, devices, hour, monkeypatch):
    take(devices(40))
    take([{**row, "nodeClass": None} for row in devices(40)], at=1)
    monkeypatch.setattr(journal, "TAIL_BYTES", 16)
    assert journal.last_seen_at(book) == hour(1)


def test_records_of_a_vendor_page_that_was_removed_stay_in_the_journal(book, take, devices, query, monkeypatch):
    take(devices(40))
    book.warehouse.unlink()
    with monkeypatch.context() as without:
        without.setattr(apply, "record_table", lambda *_: None)
        assert query("select count(*) from raw.extractions") == [(1,)]
    assert journal.rebuild(book) == 1
    assert query(CURRENT) == [(40,)]


def test_a_parquet_file_holds_the_changes_and_nothing_else(book, take, devices):
    take(devices(40))
    loaded = take([{**devices(1)[0], "displayName": "New"}, *devices(39)[1:], {**devices(1)[0], "id": 99}], at=1)
    table = pq.ParquetFile(book.journal / loaded.journal_file).read()
    assert sorted(zip(table["record_key"].to_pylist(), table["change"].to_pylist(), strict=True)) == [
        ("1", "changed"), ("40", "removed"), ("99", "added")
    ]  # fmt: skip


def test_the_command_finds_a_book_whose_path_has_wildcards(tmp_path, devices, extraction, query):
    from morton_pipeline.book import Book

    odd = tmp_path / "it's [a] *book*"
    odd.mkdir()
    (odd / "connections.yaml").write_text((tmp_path / "connections.yaml").read_text())
    assert load(Book(odd), [extraction(devices(3))])[0].added_count == 3
    assert load(Book(odd), [extraction(devices(3), 1)])[0].added_count == 0


def test_lines_are_read_without_the_lock_up_to_one_that_is_half_written(book, take, devices):
    take(devices(2))
    (path,) = book.journal.glob("*.jsonl")
    first = path.stat().st_size
    take(devices(3), 1)
    with path.open("ab") as stream:
        stream.write(b'{"line": "att')
    assert [line["number"] for line in journal.lines_after(book, path.name, first)] == [2]
    assert [line["number"] for line in journal.lines_after(book, "", 0)] == [1, 2]
