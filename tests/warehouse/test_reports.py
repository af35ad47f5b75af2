"""Reports that were taken: a load knows them by their hash, remembers them in the journal, and changes nothing twice."""

import json
import os
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from morton_pipeline.book import Book
from morton_pipeline.extract import files
from morton_pipeline.refresh import refresh
from morton_pipeline.warehouse import lock, reports, tables
from morton_pipeline.warehouse.load import accept, load
from morton_pipeline.warehouse.verdict import Loaded

CONNECTIONS = {
    "connections": [
        {
            "id": "shield", "vendor": "files", "tool": "MailShield", "folder": "inbox", "pattern": "*.csv",
            "quiet_seconds": 0, "max_age_days": 40,
            "columns": {"record_id": "Domain", "company_id": "Customer", "quantity": "Mailboxes"},
            "rules": [{"field": "record_id", "pattern": "test*", "name": "test", "reason": "A test is not billed."}],
        },
        {
            "id": "shield-2", "vendor": "files", "tool": "mailshield", "folder": "elsewhere", "pattern": "*.csv",
            "quiet_seconds": 0, "columns": {"record_id": "Domain", "company_id": "Customer"},
            "rules": [{"field": "record_id", "pattern": "test*", "name": "test", "reason": "A test is not billed."}],
        },
        {
            "id": "vault", "vendor": "rest", "base_url": "http://127.0.0.1:1", "auth": {"kind": "none"}, "attempts": 1,
            "schedule": "0 6 * * *", "records": {"path": "/x", "columns": {"record_id": "id", "company_id": "org"}},
        },
    ]
}  # fmt: skip
CURRENT = "select record_id, quantity::int from raw_files.records where valid_to is null order by all"
TAKEN = "select source_file, status from raw.extractions where connection_id = 'shield' order by attempted_at"


@pytest.fixture
def book(book: Book) -> Book:
    (book.root / "connections.yaml").write_text(yaml.safe_dump(CONNECTIONS), "utf-8")
    (book.root / "inbox").mkdir()
    return Book(book.root)


@pytest.fixture
def put(book: Book, hour: Any) -> Callable[..., Path]:
    """Put a report into the folder: a number of mailboxes by domain."""

    def make(name: str, at: float = 0, **domains: int) -> Path:
        path = book.root / "inbox" / f"{name}.csv"
        lines = ["Domain,Customer,Mailboxes", *(f"{d},one,{n}" for d, n in domains.items())]
        path.write_text("\n".join(lines) + "\n", "utf-8")
        os.utime(path, (hour(at).timestamp(), hour(at).timestamp()))
        return path

    return make


@pytest.fixture
def look(book: Book, hour: Any) -> Callable[..., list[Loaded]]:
    return lambda at=0, **more: refresh(book, [book.connection("shield")], at=hour(at), **more)


def test_case_8_a_report_that_comes_again_changes_nothing(book, put, look, query, raw_tables):
    path = put("first", a=3, b=1)
    (loaded,) = look(1)
    assert (loaded.status, loaded.added_count, loaded.source_file) == ("complete", 2, "first.csv")
    before = raw_tables(book.warehouse)
    path.rename(path.with_name("second.csv"))
    put("third", a=3, b=1)
    assert look(2) == []
    assert look(3) == []
    assert raw_tables(book.warehouse) == before
    assert query(CURRENT) == [("a", 3), ("b", 1)]


def test_content_seen_before_is_a_reading_of_a_later_moment_and_counts(book, put, look, query):
    put("may", at=0, a=10)
    put("june", at=2, a=15)
    look(3)
    put("july", at=4, a=10)
    (july,) = look(5)
    assert (july.status, july.changed_count, query(CURRENT)) == ("complete", 1, [("a", 10)])
    put("august", at=6, a=10)
    (august,) = look(7)
    assert (august.status, august.changed_count, august.journal_file) == ("complete", 0, None)
    assert query("select max(attempted_at) from raw.extractions where status = 'complete'") == [
        (august.attempted_at.replace(tzinfo=None),)
    ]
    book.warehouse.unlink()
    assert look(8) == []


def test_a_report_of_an_earlier_day_never_overwrites_a_newer_one(book, put, look, query, raw_tables):
    _declare_days(book)
    put("2026-11-20", a=4)
    look(1)
    before = raw_tables(book.warehouse)
    put("2026-11-19", a=99)
    put("2026-11-18", a=4)
    said: list[str] = []
    assert look(2, say=said.append) == []
    assert raw_tables(book.warehouse) == before
    assert [line.split(",")[0] for line in said] == ["shield 2026-11-18.csv: left", "shield 2026-11-19.csv: left"]


def test_two_looks_at_once_never_let_an_older_report_follow_a_newer_one(book, put, look, query, monkeypatch):
    _declare_days(book)
    newer = put("2026-11-20", a=4)
    look(1)
    newer.unlink()
    put("2026-11-19", a=99)
    real, before_the_other = reports.seen, iter([{"shield": files.Seen()}])
    monkeypatch.setattr(reports, "seen", lambda *args, **more: next(before_the_other, None) or real(*args, **more))
    assert look(2) == []
    assert query(CURRENT) == [("a", 4)]


def test_the_day_a_report_is_of_is_kept_and_comes_back_from_the_journal(book, put, look, query):
    _declare_days(book)
    put("2026-11-20", a=4)
    (loaded,) = look(1)
    assert loaded.stands_for_on == date(2026, 11, 20)
    said = "select stands_for_on from raw.extractions"
    assert query(said) == [(date(2026, 11, 20),)]
    book.warehouse.unlink()
    assert query(said) == [(date(2026, 11, 20),)]


def _declare_days(book: Book) -> None:
    """Let the names of the reports tell their days."""
    blocks = deepcopy(CONNECTIONS)
    blocks["connections"][0]["as_of"] = {"pattern": r"(\d{4}-\d{2}-\d{2})"}
    (book.root / "connections.yaml").write_text(yaml.safe_dump(blocks), "utf-8")


def test_a_warehouse_rebuilt_from_the_journal_still_knows_the_report(book, put, look, query, raw_tables):
    put("first", a=3)
    put("second", at=1, a=4, b=1)
    look(2)
    before = raw_tables(book.warehouse)
    book.warehouse.unlink()
    assert look(3) == []
    assert raw_tables(book.warehouse) == before
    assert query(TAKEN) == [("first.csv", "complete"), ("second.csv", "complete")]
    (known,) = reports.seen(book, ["shield"], "test").values()
    assert len(known.taken) == 2


def test_several_new_reports_are_loaded_one_after_another(put, look, query, hour):
    put("b", at=0, a=1, b=1)
    put("a", at=1, a=2)
    put("c", at=2, a=3, c=1)
    loaded = look(3)
    assert [one.source_file for one in loaded] == ["b.csv", "a.csv", "c.csv"]
    assert [one.attempted_at - hour(3) for one in loaded] == [timedelta(microseconds=n) for n in range(3)]
    assert [(one.added_count, one.changed_count, one.removed_count) for one in loaded] == [
        (2, 0, 0),
        (0, 1, 1),
        (1, 1, 0),
    ]
    assert query(CURRENT) == [("a", 3), ("c", 1)]


def test_a_copy_is_kept_before_a_report_is_loaded(book, put, look, monkeypatch):
    path = put("first", a=3)
    content = path.read_bytes()
    (loaded,) = look(1)
    (copy,) = (book.data / "files" / "shield").iterdir()
    assert (copy.name, copy.read_bytes()) == (f"{loaded.source_sha256}.csv", content)
    assert copy.stat().st_mode & 0o777 == 0o600
    put("second", at=2, a=4)
    monkeypatch.setattr("morton_pipeline.refresh.load", lambda *_, **__: pytest.fail("cut off"))
    with pytest.raises(pytest.fail.Exception):
        look(3)
    assert len(list((book.data / "files" / "shield").iterdir())) == 2
    monkeypatch.undo()
    assert [one.source_file for one in look(4)] == ["second.csv"], "a copy alone must not count as taken"


def test_a_report_of_which_no_copy_can_be_kept_is_not_taken(put, look, query, monkeypatch):
    put("first", a=3)

    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("morton_pipeline.refresh.keep", full)
    (failed,) = look(1)
    assert (failed.status, query(CURRENT)) == ("failed", [])
    assert "first.csv was not taken, for no copy of it can be kept" in failed.reason
    assert "No space left on device" in failed.reason
    monkeypatch.undo()
    assert [one.status for one in look(2)] == ["complete"]


def test_a_report_that_changes_before_it_is_kept_waits(put, look, monkeypatch):
    put("first", a=3)
    monkeypatch.setattr("morton_pipeline.refresh.keep", lambda *_: False)
    assert look(1) == []
    monkeypatch.undo()
    assert [one.status for one in look(2)] == ["complete"]


def test_two_looks_at_once_take_a_report_once(put, look, query, monkeypatch):
    put("first", a=3)
    look(1)
    real, before_the_other = reports.seen, iter([{"shield": files.Seen()}])
    monkeypatch.setattr(reports, "seen", lambda *args, **more: next(before_the_other, None) or real(*args, **more))
    assert look(2) == []
    assert query(TAKEN) == [("first.csv", "complete")]


def test_case_7_a_report_that_jumps_is_held_and_taken_all_the_same(book, put, look, query, hour):
    put("first", **{f"d{n}": 1 for n in range(20)})
    look(1)
    put("second", at=2, **{f"d{n}": 1 for n in range(60)})
    (held,) = look(3)
    assert held.status == "suspect"
    assert look(4) == []
    accept(book, held.extraction_id, "Dana", hour(5))
    assert len(query(CURRENT)) == 60
    assert query(TAKEN)[-1] == ("second.csv", "complete")


def test_a_report_that_cannot_be_read_is_told_once(book, put, look, query):
    put("first", a=3)
    look(1)
    bad = put("second", at=2)
    bad.write_text("Domain,Customer,Mailboxes\na,one,many\n", "utf-8")
    (failed,) = look(3)
    assert "second.csv: row 2, column 'Mailboxes': 'many' is not a number" in failed.reason
    assert look(4) == []
    book.warehouse.unlink()
    assert look(5) == []
    assert query(TAKEN) == [("first.csv", "complete"), ("second.csv", "failed")]
    assert query(CURRENT) == [("a", 3)]
    put("second", at=2, a=5)
    assert [one.status for one in look(6)] == ["complete"]


def test_lines_from_before_reports_were_known_are_still_read(book, take, devices, query):
    (book.root / "connections.yaml").write_text("connections: []\n", "utf-8")
    take(devices(3))
    (path,) = book.journal.glob("*.jsonl")
    assert not {"source_", "stands_for"} & set(re.findall("source_|stands_for", path.read_text("utf-8"))), (
        "a line of an API says nothing of reports"
    )
    book.warehouse.unlink()
    assert query("select status, source_file, source_sha256, source_as_of_at from raw.extractions") == [
        ("complete", None, None, None)
    ]


def test_a_line_says_which_report_it_was_read_from(book, put, look):
    put("first", a=3)
    (loaded,) = look(1)
    (line,) = [json.loads(raw) for path in book.journal.glob("*.jsonl") for raw in path.read_text().splitlines()]
    assert (line["source_file"], line["source_sha256"]) == ("first.csv", loaded.source_sha256)
    assert line["source_as_of_at"].startswith("2026-11-23T06:00:00")


def test_a_tool_has_the_age_its_connection_declares_and_the_name_of_the_tool(book, hour, query):
    with lock.connect(book, "test") as con:
        tables.write_sources(con, book, {}, hour(0))
    scopes = query(
        "select connection_id, vendor, endpoint, allowed_age_minutes, declared_as from raw.scopes order by all"
    )
    assert scopes == [
        ("shield", "mailshield", "records", 40 * 1440, "files"),
        ("shield-2", "mailshield", "records", 35 * 1440, "files"),
        ("vault", "vault", "companies", 2 * 1440, "rest"),
        ("vault", "vault", "records", 2 * 1440, "rest"),
    ]


def test_a_tool_is_called_by_the_title_any_of_its_connections_gives_it(book, hour, query):
    declared = [dict(c) for c in CONNECTIONS["connections"]]
    declared[0] |= {"title": "Mail Shield", "category": "security"}
    (book.root / "connections.yaml").write_text(yaml.safe_dump({"connections": declared}), "utf-8")
    with lock.connect(book, "test") as con:
        tables.write_sources(con, Book(book.root), {}, hour(0))
    named = query("select * from raw.tools where tool in ('mailshield', 'vault') order by all")
    assert named == [("mailshield", "Mail Shield"), ("vault", "vault")]
    assert query("select connection_id, category from raw.scopes where endpoint = 'records' order by all") == [
        ("shield", "security"),
        ("shield-2", "other"),
        ("vault", "other"),
    ]


def test_a_rule_of_a_tool_is_written_once_under_its_name(book, hour, query):
    with lock.connect(book, "test") as con:
        tables.write_sources(con, book, {}, hour(0))
    assert query("select endpoint, field, pattern, rule_name from raw.vendor_rules where vendor = 'mailshield'") == [
        ("records", "record_id", "test*", "test")
    ]


def test_a_connection_that_changed_its_kind_has_one_state(book, put, look, hour, query):
    put("first", a=3)
    look(1)
    changed = yaml.safe_dump({"connections": [{**CONNECTIONS["connections"][2], "id": "shield"}]})
    (book.root / "connections.yaml").write_text(changed, "utf-8")
    with lock.connect(book, "test") as con:
        tables.write_sources(con, Book(book.root), {}, hour(2))
    assert query("select endpoint, declared_as, is_connected from raw.scopes order by all") == [
        ("companies", "rest", True),
        ("records", "rest", True),
    ]


def test_a_look_beside_other_connections_loads_all_of_them(book, put, hour, query):
    put("a", at=0, a=1)
    put("b", at=1, a=2)
    loaded = refresh(book, book.connections, at=hour(2))
    assert [(one.connection_id, one.status) for one in loaded] == [
        ("shield", "complete"),
        ("shield-2", "failed"),
        ("vault", "failed"),
        ("vault", "failed"),
        ("shield", "complete"),
    ]
    assert query(CURRENT) == [("a", 2)]


def test_a_load_takes_a_report_with_what_it_was_read_from(book, extraction, hour):
    one = replace(extraction([], 1), source_file="x.csv", source_sha256="00", source_as_of_at=hour(0))
    (loaded,) = load(book, [one])
    assert (loaded.source_file, loaded.source_sha256, loaded.source_as_of_at) == ("x.csv", "00", hour(0))
