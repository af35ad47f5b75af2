"""The ledger as dbt reads it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from morton_pipeline.book import Limits
from morton_pipeline.ledger import Ledger, Outcome, invoices
from morton_pipeline.ledger.snapshot import COLUMNS, snapshot

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
LATER = date(2027, 2, 1)
HOUR = timedelta(hours=1)
Row = Callable[..., dict[str, Any]]
Choose = Callable[..., Outcome]


@pytest.mark.parametrize("name", COLUMNS)
def test_an_empty_ledger_has_every_column(ledger: Ledger, name: str) -> None:
    frame = snapshot(ledger)[name]
    assert (len(frame), tuple(frame.columns)) == (0, COLUMNS[name])


def test_only_the_newest_decision_is_the_latest(ledger: Ledger, row: Row, choose: Choose) -> None:
    choose(row())
    choose(row(), "reopen")
    frame = snapshot(ledger)["decisions"].sort_values("version")
    assert list(frame["action"]) == ["approve", "reopen"]
    assert list(frame["is_latest"]) == [False, True]
    first = frame.iloc[0]
    assert (first["amount"], first["period_month"]) == (Decimal(154), date(2026, 11, 1))
    assert first["decided_at"] == AT.replace(tzinfo=None)


def test_a_first_approval_is_not_shown_as_one(ledger: Ledger, row: Row, choose: Choose) -> None:
    limits = replace(Limits(), four_eyes_above=Decimal(100))
    choose(row(), limits=limits)
    assert len(snapshot(ledger)["decisions"]) == 0
    choose(row(), limits=limits, actor="bob")
    assert list(snapshot(ledger)["decisions"]["is_latest"]) == [True]


def test_exclusions_hold_until_they_are_reopened(ledger: Ledger, row: Row, choose: Choose) -> None:
    evidence = {"0123456789ab": [{"vendor": "huntress", "record_id": r, "change": "added"} for r in ("a1", "a2")]}
    choose(row(), "exclude", until=LATER, evidence=evidence)
    choose(row(seal="b" * 64))
    frame = snapshot(ledger)["exclusions"]
    assert list(frame["record_id"]) == ["a1", "a2"]
    one = frame.iloc[0]
    assert (one["vendor"], one["client_id"], one["service_id"], one["owner"]) == ("huntress", "acme", "m365_bp", "ann")
    assert (one["effective_from"], one["expires_on"]) == (date(2026, 11, 1), LATER)
    choose(row(), "reopen")
    choose(row(), "reopen")
    assert len(snapshot(ledger)["exclusions"]) == 0


def test_invoices_and_lines_carry_their_state(ledger: Ledger, row: Row, choose: Choose) -> None:
    (decision,) = choose(row()).applied
    intent = {
        "invoice_id": "i1", "reference": "M202611-AAAAAAAAAAAA", "destination": "files", "client_id": "acme",
        "period_month": date(2026, 11, 1), "currency": "USD", "total_amount": Decimal(154),
    }  # fmt: skip
    line = invoices.Line(
        decision["decision_id"], "0123456789ab", "m365_bp", "under_billed", Decimal(7), Decimal(22), Decimal(154), "x"
    )
    invoices.add(ledger, intent, [line], payload="{}", customer_id="12", actor="morton", at=AT)
    (invoice,) = invoices.current(ledger)
    invoices.step(ledger, invoice, "posted", actor="morton", at=AT, accounting_id="145")
    frames = snapshot(ledger)
    assert frames["invoices"].iloc[0].to_dict() == {
        "invoice_id": "i1", "reference": "M202611-AAAAAAAAAAAA", "destination": "files", "client_id": "acme",
        "period_month": date(2026, 11, 1), "currency": "USD", "total_amount": Decimal(154), "state": "posted", "reason": "",
        "customer_id": "12", "accounting_id": "145", "updated_at": AT.replace(tzinfo=None),
    }  # fmt: skip
    line_row = frames["invoice_lines"].iloc[0]
    assert (line_row["state"], line_row["accounting_id"], line_row["amount"]) == ("posted", "145", Decimal(154))
    assert line_row["period_month"] == date(2026, 11, 1)


def test_what_came_after_an_instant_is_not_in_its_snapshot(ledger: Ledger, row: Row, choose: Choose) -> None:
    evidence = {"0123456789ab": [{"vendor": "huntress", "record_id": "a1", "change": "added"}]}
    choose(row(), "exclude", until=LATER, evidence=evidence)
    (decision,) = choose(row("0123456789ff"), at=AT + HOUR).applied
    choose(row(), "reopen", at=AT + 2 * HOUR)
    intent = {
        "invoice_id": "i1", "reference": "M202611-AAAAAAAAAAAA", "destination": "files", "client_id": "acme",
        "period_month": date(2026, 11, 1), "currency": "USD", "total_amount": Decimal(154),
    }  # fmt: skip
    line = invoices.Line(
        decision["decision_id"], "0123456789ff", "m365_bp", "under_billed", Decimal(7), Decimal(22), Decimal(154), "x"
    )
    invoices.add(ledger, intent, [line], payload="{}", customer_id="12", actor="morton", at=AT + 3 * HOUR)
    (invoice,) = invoices.current(ledger)
    invoices.step(ledger, invoice, "posted", actor="morton", at=AT + 4 * HOUR)

    def seen(hours: int) -> tuple[list[str], int, list[str]]:
        frames = snapshot(ledger, AT + hours * HOUR)
        decided = {d["discrepancy_id"]: d["action"] for d in frames["decisions"].to_dict("records") if d["is_latest"]}
        return [decided[i] for i in sorted(decided)], len(frames["exclusions"]), list(frames["invoices"]["state"])

    assert seen(-1) == ([], 0, [])
    assert seen(0) == (["exclude"], 1, [])
    assert seen(1) == (["exclude", "approve"], 1, [])
    assert seen(2) == (["reopen", "approve"], 0, [])
    assert [seen(h)[2] for h in (3, 4)] == [["planned"], ["posted"]]
