"""What would be sent: grouping, lines, references, and what is held back."""

import hashlib
import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morton_pipeline.accounting.drafts import reference_of
from morton_pipeline.ledger import invoices
from tests.accounting.systems import SYSTEMS, open_shop


def test_one_draft_per_client_period_and_currency(shop: Any) -> None:
    shop.approve("00000000000a")
    shop.approve("00000000000b", service_id="edr", service_name="Managed EDR")
    shop.approve("00000000000c", client_id="beta")
    shop.approve("00000000000d", period_month=date(2026, 10, 1))
    shop.approve("00000000000e", currency="EUR")
    found = {(d.client_id, d.period_month.month, d.currency, len(d.lines)) for d in shop.plan().drafts}
    assert found == {("acme", 11, "USD", 2), ("beta", 11, "USD", 1), ("acme", 10, "USD", 1), ("acme", 11, "EUR", 1)}
    assert {d.period_month.month for d in shop.plan(period=date(2026, 10, 1)).drafts} == {10}


def test_a_dry_run_writes_nothing_and_yields_the_bytes_that_are_sent(shop: Any) -> None:
    shop.approve()
    (draft,) = shop.plan().drafts
    assert shop.states() == []
    assert shop.wire.requests == []
    shop.post()
    (sent,) = shop.wire.posts()
    assert sent.content == draft.payload.encode()
    assert sent.url.params["minorversion"] == "75"


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_is_planned_is_what_the_intent_keeps_and_what_is_sent_to_the_byte(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, sent = open_shop(SYSTEMS[name](), tmp_path / "book", monkeypatch), list[str]()
    with shop.ledger:
        shop.approve("00000000000a", service_name="Büro & <Co>")
        shop.approve("00000000000b", variance_amount=Decimal("66.00"), variance_quantity=Decimal(3), seal="b" * 64)
        (draft,) = shop.plan().drafts
        shop.wire.told["create"] = lambda request: sent.append(request.content.decode())
        shop.post()
        (invoice,) = invoices.current(shop.ledger)
    # Sage wants the idempotency key inside the body; it is no part of what was approved.
    (content,) = (re.sub(r'"idempotency_id":"[0-9a-f]{32}",', "", text) for text in sent)
    hashes = {draft.payload_sha256, invoice.payload_sha256, hashlib.sha256(content.encode()).hexdigest()}
    assert (content, invoice.payload, len(hashes), invoice.state) == (draft.payload, draft.payload, 1, "posted")


def test_the_body_is_what_quickbooks_needs(shop: Any) -> None:
    decision_id = shop.approve()
    (draft,) = shop.plan().drafts
    assert json.loads(draft.payload, parse_float=Decimal) == {
        "DocNumber": draft.reference,
        "CustomerRef": {"value": "12"},
        "CurrencyRef": {"value": "USD"},
        "PrivateNote": f"Morton {draft.reference}: {decision_id}",
        "Line": [
            {
                "LineNum": 1,
                "Description": "Business Premium: 7 × 22.00 USD, November 2026 (ref 00000000000a)",
                "Amount": Decimal("154.00"),
                "DetailType": "SalesItemLineDetail",
                "SalesItemLineDetail": {
                    "ItemRef": {"value": "7"}, "Qty": 7, "UnitPrice": Decimal("22.00"), "ServiceDate": "2026-11-01",
                },
            }
        ],
    }  # fmt: skip


def test_where_quantity_times_price_is_not_the_amount_one_is_sent_at_the_amount(shop: Any) -> None:
    shop.approve(variance_amount=Decimal("149.99"))
    (draft,) = shop.plan().drafts
    (line,) = draft.lines
    assert (line.quantity, line.unit_price, line.amount) == (Decimal(1), Decimal("149.99"), Decimal("149.99"))
    assert line.description == "Business Premium: 7 units at the contract's prices, November 2026 (ref 00000000000a)"


def test_case_69_lines_sum_to_the_header_and_yen_have_no_cents(shop: Any) -> None:
    for number, price in enumerate(("0.0350", "33.3333", "12.5000")):
        amount = (Decimal(7) * Decimal(price)).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
        shop.approve(f"00000000000{number}", unit_price=Decimal(price), variance_amount=amount)
    shop.approve("00000000000f", currency="JPY", unit_price=Decimal(500), variance_amount=Decimal(3500))
    yen, dollars = sorted(shop.plan().drafts, key=lambda d: d.currency)
    assert dollars.total_amount == sum(line.amount for line in dollars.lines)
    assert '"Amount":3500,' in yen.payload
    assert '"UnitPrice":0.035' in dollars.payload


@given(
    quantity=st.decimals(min_value=Decimal("0.0001"), max_value=99999, places=4),
    price=st.decimals(min_value=Decimal("0.0001"), max_value=99999, places=4),
    amount=st.decimals(min_value=Decimal("0.01"), max_value=999999, places=2),
)
def test_a_line_is_always_the_approved_amount(quantity: Decimal, price: Decimal, amount: Decimal) -> None:
    from morton_pipeline.accounting.drafts import line_of

    decision = {
        "decision_id": "d", "discrepancy_id": "x", "service_id": "s", "kind": "under_billed", "quantity": quantity, "amount": amount,
        "currency": "USD", "period_month": date(2026, 11, 1), "row": json.dumps({"unit_price": str(price)}),
    }  # fmt: skip
    line = line_of(decision)
    assert line.amount == amount
    assert (line.quantity * line.unit_price).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP") == amount


def test_a_reference_fits_and_depends_on_nothing_but_its_decisions() -> None:
    one = reference_of("acme", date(2026, 11, 1), "USD", ["b", "a"])
    assert one == reference_of("acme", date(2026, 11, 1), "USD", ["a", "b"])
    assert len(one) == 20
    assert one.startswith("M202611-")
    others = [("beta", date(2026, 11, 1), "USD", ["a", "b"]), ("acme", date(2026, 10, 1), "USD", ["a", "b"]),
              ("acme", date(2026, 11, 1), "EUR", ["a", "b"]), ("acme", date(2026, 11, 1), "USD", ["a"])]  # fmt: skip
    assert one not in {reference_of(*other) for other in others}


def test_case_57_a_row_that_changed_after_approval_is_void_with_before_and_after(shop: Any) -> None:
    shop.approve()
    shop.row(variance_quantity=Decimal(8), variance_amount=Decimal(176), seal="b" * 64)
    plan = shop.plan()
    assert plan.drafts == []
    assert plan.held[0][1] == (
        "ann approved 7 units for 154 USD (seal aaaaaaaa); now it is 8 units for 176 USD (seal bbbbbbbb): the approval is void, nothing "
        "was sent; decide anew."
    )
    assert shop.post() == []


def test_a_row_that_vanished_is_void(shop: Any) -> None:
    shop.approve()
    shop.rows.clear()
    assert "no longer in the mart: the approval is void" in shop.plan().held[0][1]


def test_a_missing_id_holds_that_client_and_names_the_cell(shop: Any) -> None:
    shop.approve("00000000000a", client_id="gamma")
    shop.approve("00000000000b", client_id="beta", service_id="backup")
    shop.approve("00000000000c", client_id="nobody")
    shop.approve("00000000000d")
    plan = shop.plan()
    assert [d.client_id for d in plan.drafts] == ["acme"]
    said = sorted(why for _, why in plan.held)
    assert "clients.csv has no row for 'nobody'" in said[0]
    assert "clients.csv row 4 (gamma): column accounting_customer_id is empty" in said[1]
    assert "services.csv row 4 (backup): column accounting_item_id is empty" in said[2]
    shop.post()
    assert shop.states() == ["posted"]


@pytest.mark.parametrize("action", ["write-off", "reopen", "snooze"])
def test_only_a_standing_approval_is_sent(shop: Any, action: str) -> None:
    shop.approve()
    more = {} if action == "reopen" else {"until": date(2027, 1, 1)}
    more |= {"cause": "contract"} if action == "write-off" else {}
    shop.decide(action, "00000000000a", **more)
    assert shop.plan().drafts == []


def test_a_first_approval_alone_is_not_sent(shop: Any) -> None:
    from dataclasses import replace

    shop.limits = replace(shop.limits, four_eyes_above=Decimal(100))
    shop.approve()
    assert shop.plan().drafts == []
    shop.decide("approve", "00000000000a", actor="bob")
    assert len(shop.plan().drafts) == 1


def test_very_many_lines_are_more_than_one_invoice(shop: Any) -> None:
    for number in range(205):
        shop.row(f"{number:012d}")
    shop.decide("approve", *shop.rows)
    drafts = shop.plan().drafts
    assert sorted(len(d.lines) for d in drafts) == [5, 200]
    assert max(len(d.note) for d in drafts) < 4000
