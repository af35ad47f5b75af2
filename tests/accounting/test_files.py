"""Invoices as files: the same states, and a page a person can print."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from morton_pipeline.accounting import plan, post, status, verify
from morton_pipeline.accounting.files import Files, page
from morton_pipeline.book import Book, Limits
from morton_pipeline.ledger import Ledger, decide, open_ledger

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)


@dataclass
class Desk:
    book: Book
    ledger: Ledger
    rows: dict[str, Any] = field(default_factory=dict)

    def approve(self, discrepancy_id: str, **changes: Any) -> None:
        self.rows[discrepancy_id] = {
            "discrepancy_id": discrepancy_id, "period_month": date(2026, 11, 1), "client_id": "beta", "service_id": "edr",
            "service_name": "Managed <EDR>", "kind": "under_billed", "variance_quantity": Decimal(3), "unit_price": Decimal("4.5"),
            "currency": "EUR", "variance_amount": Decimal("13.50"), "source_state": "known", "seal": "a" * 64, "status": "open",
        } | changes  # fmt: skip
        decide(
            self.ledger, [self.rows[discrepancy_id]], action="approve", reason="r", actor="ann", at=AT, limits=Limits()
        )

    def post(self) -> list[dict[str, Any]]:
        return post(self.book, self.ledger, self.rows, at=AT)

    @property
    def folder(self) -> Path:
        return self.book.data / "invoices"


@pytest.fixture
def desk(book: Book) -> Iterator[Desk]:
    (book.root / "connections.yaml").write_text("connections: []\nlimits: {quiet_period_seconds: 0}\n")
    with open_ledger(book) as ledger:
        yield Desk(book, ledger)


def test_without_an_accounting_connection_an_invoice_is_a_file(desk: Desk) -> None:
    desk.approve("00000000000a")
    (draft,) = plan(desk.book, desk.ledger, desk.rows).drafts
    (row,) = desk.post()
    assert (row["state"], row["accounting_id"]) == ("posted", row["reference"])
    assert sorted(p.name for p in desk.folder.iterdir()) == [
        f"{row['reference']}.{kind}" for kind in ("csv", "html", "json")
    ]
    assert (desk.folder / f"{row['reference']}.json").read_text("utf-8") == draft.payload
    invoice = json.loads(draft.payload)
    assert (invoice["client_name"], invoice["total_amount"]) == ("Beta & Söhne <GmbH>", "13.50")
    assert invoice["lines"][0]["evidence"] == "00000000000a"


def test_the_csv_is_ready_to_import_and_runs_nothing(desk: Desk) -> None:
    desk.approve("00000000000a", service_name="=cmd|' /C calc'!A1", kind="over_billed", variance_quantity=Decimal(-3),
                 variance_amount=Decimal("-13.50"))  # fmt: skip
    (row,) = desk.post()
    (line,) = csv.DictReader((desk.folder / f"{row['reference']}.csv").read_text("utf-8-sig").splitlines())
    assert line["description"].startswith("'=cmd|")
    assert (line["document"], line["quantity"], line["unit_price"], line["amount"], line["currency"]) == (
        "credit note", "3", "4.50", "13.50", "EUR",
    )  # fmt: skip


def test_the_page_escapes_what_others_wrote(desk: Desk) -> None:
    desk.approve("00000000000a")
    (row,) = desk.post()
    text = (desk.folder / f"{row['reference']}.html").read_text("utf-8")
    assert "Beta &amp; Söhne &lt;GmbH&gt;" in text
    assert "Managed &lt;EDR&gt;: 3 × 4.50 EUR, November 2026" in text
    assert "<GmbH>" not in text
    for word in (row["reference"], "November 2026", "4.50", "13.50", "morton evidence 00000000000a"):
        assert word in text


def test_ids_of_an_accounting_system_are_not_needed(desk: Desk) -> None:
    desk.approve("00000000000a", client_id="gamma", service_id="backup")
    assert desk.post()[0]["state"] == "posted"


def test_case_77_posting_again_writes_nothing(desk: Desk) -> None:
    desk.approve("00000000000a")
    desk.post()
    before = {p: p.stat().st_mtime_ns for p in desk.folder.iterdir()}
    assert desk.post() == []
    assert {p: p.stat().st_mtime_ns for p in desk.folder.iterdir()} == before


def test_a_sender_killed_after_the_file_was_written_finds_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.approve("00000000000a")
    create = Files.create

    def die(self: Files, payload: str, key: str, *, is_credit: bool) -> str:
        create(self, payload, key, is_credit=is_credit)
        raise KeyboardInterrupt

    monkeypatch.setattr(Files, "create", die)
    with pytest.raises(KeyboardInterrupt):
        desk.post()
    monkeypatch.setattr(Files, "create", create)
    assert desk.post()[0]["state"] == "posted"
    assert len(list(desk.folder.glob("*.json"))) == 1


def test_an_existing_file_is_never_written_over(desk: Desk) -> None:
    desk.approve("00000000000a")
    (draft,) = plan(desk.book, desk.ledger, desk.rows).drafts
    desk.folder.mkdir()
    path = desk.folder / f"{draft.reference}.json"
    path.write_text(draft.payload.replace("13.50", "12.50"), "utf-8")
    (row,) = desk.post()
    assert row["state"] == "parked"
    assert "its net total is 12.5, not 13.5 EUR" in row["reason"]
    assert "12.50" in path.read_text("utf-8")


def test_case_75_a_file_edited_afterwards_is_reported(desk: Desk) -> None:
    desk.approve("00000000000a")
    (row,) = desk.post()
    path = desk.folder / f"{row['reference']}.json"
    assert verify(desk.book, desk.ledger) == []
    path.write_text(path.read_text("utf-8").replace("13.50", "1.50"), "utf-8")
    assert "its net total is 1.5, not 13.5 EUR" in verify(desk.book, desk.ledger)[0]["reason"]
    path.unlink()
    assert "it is gone" in verify(desk.book, desk.ledger)[0]["reason"]


def test_status_has_the_public_columns(desk: Desk) -> None:
    desk.approve("00000000000a")
    desk.post()
    assert list(status(desk.ledger)[0]) == [
        "invoice_id", "reference", "client_id", "period_month", "currency", "total_amount", "state", "reason", "accounting_id",
        "decision_ids", "updated_at",
    ]  # fmt: skip


def test_a_yen_page_has_no_cents() -> None:
    line = {"description": "x", "quantity": "7", "unit_price": "500", "amount": "3500", "evidence": "e"}
    text = page({"reference": "M", "client_id": "c", "client_name": "C", "period_month": "2026-11-01", "currency": "JPY",
                 "total_amount": "3500", "lines": [line], "note": "n"})  # fmt: skip
    assert "3500.00" not in text
    assert ">500<" in text


def test_another_accounting_vendor_is_named(book: Book) -> None:
    from types import SimpleNamespace

    vars(book)["accounting"] = SimpleNamespace(id="sheets", vendor="ebillity")
    with open_ledger(book) as ledger, pytest.raises(Exception, match="accounting names sheets, a ebillity"):
        plan(book, ledger, {})
