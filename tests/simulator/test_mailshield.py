"""The stand-in that only sends reports: what it writes is what a European Excel writes, and all of it is read."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from morton_pipeline.book import Book, open_book
from morton_pipeline.globs import fits
from morton_pipeline.refresh import refresh
from morton_pipeline.simulator import mailshield
from morton_pipeline.simulator.entities import Company, Item, Life, Tool
from morton_pipeline.vendors import vendor_of
from morton_pipeline.warehouse.lock import connect

NOW = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)
BEGAN = NOW - timedelta(days=100)


def life(thing: Any) -> Life[Any]:
    return Life(BEGAN, thing)


@pytest.fixture
def tool() -> Tool:
    growing = life(Item("1", "MS-001", "windmill.example", "Advanced", quantity=Decimal(11)))
    growing.change(NOW - timedelta(days=3), quantity=Decimal("1234.5"))
    gone = life(Item("2", "MS-001", "old.example", "Advanced", quantity=Decimal(4)))
    gone.remove(NOW - timedelta(days=2))
    cancelled = life(Item("3", "MS-002", "off.example", "Basic", is_counted=False, facts={"status": "cancelled"}))
    companies = [life(Company("MS-001", "Windmill")), life(Company("MS-002", "Zoë & Søn; Co"))]
    return Tool("mailshield", "files", companies, [growing, gone, cancelled], {"Advanced": "SPAM"})


@pytest.fixture
def book(tmp_path: Path) -> Book:
    text = yaml.safe_dump({"connections": [mailshield.CONNECTION]})
    assert "&id" not in text, "the block would be written with anchors"
    (tmp_path / "connections.yaml").write_text(text, "utf-8")
    return open_book(tmp_path)


def test_a_report_is_written_as_a_european_excel_writes_it(tool: Tool, tmp_path: Path) -> None:
    path = mailshield.write_report(tool, NOW, tmp_path / "inbox")
    assert path == tmp_path / "inbox" / "usage_2026-11-23.csv"
    assert path.read_bytes() == (
        "\ufeffCustomer;Customer ID;Domain;Plan;Mailboxes;Status\r\n"
        "Windmill;MS-001;windmill.example;Advanced;1.234,50;active\r\n"
        '"Zoë & Søn; Co";MS-002;off.example;Basic;1,00;cancelled\r\n'
    ).encode()  # fmt: skip
    assert path.stat().st_mtime == NOW.timestamp()


def test_every_row_arrives_week_after_week(tool: Tool, book: Book) -> None:
    for at in (NOW - timedelta(days=7), NOW):
        mailshield.write_report(tool, at, book.root / "inbox" / "mailshield")
        (loaded,) = refresh(book, book.connections, at=at)
        assert (loaded.status, loaded.quarantined_count, loaded.reason) == ("complete", 0, "")
    with connect(book, "test") as con:
        rows = con.execute(
            "select record_id, company_name, quantity::varchar, state, unit from raw_files.records "
            "where valid_to is null order by all"
        ).fetchall()
    assert rows == [
        ("MS-001|windmill.example", "Windmill", "1234.500000000", "active", "mailbox"),
        ("MS-002|off.example", "Zoë & Søn; Co", "1.000000000", "cancelled", "mailbox"),
    ]
    assert refresh(book, book.connections, at=NOW + timedelta(hours=1)) == []


def test_the_rule_leaves_out_what_is_planted_as_not_counted(tool: Tool, book: Book) -> None:
    (connection,) = book.connections
    (rule,) = vendor_of(connection).endpoint("records").rules
    for item in (one.last() for one in tool.items):
        assert fits(rule.pattern, item.facts.get("status", "active")) is not item.is_counted
