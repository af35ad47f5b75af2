"""Anything in any order (approvals, crashes, lost answers, people in the accounting system) against a small model.

The model knows what is approved. Whatever happens, a decision is billed by one document at most, and only while it is
approved as its row stands; once things are calm, everything approved is billed or stands still with a reason.
"""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from morton_pipeline import failpoints
from morton_pipeline.accounting.drafts import marked

ROWS = [f"00000000000{n}" for n in "abc"]
CLIENTS = {name: ("acme", "beta")[number % 2] for number, name in enumerate(ROWS)}
PLACES = [
    f"{side} {what}"
    for what in ("intend", "step planned", "step sending", "create", "step uncertain", "step posted", "step refused")
    for side in ("before", "after")
]
rows = st.sampled_from(ROWS)


class Crash(BaseException):
    """The power went out."""


class Books(RuleBasedStateMachine):
    """One MSP's ledger and its QuickBooks."""

    open_shop: Callable[[], Any]

    @initialize(refuses_duplicates=st.booleans())
    def begin(self, refuses_duplicates: bool) -> None:
        """Three rows of two clients, in a company that takes two documents of one number or does not."""
        self.shop = self.open_shop()
        self.shop.company.refuses_duplicate_numbers = refuses_duplicates
        self.reading = 0
        self.touched: set[str] = set()
        for name in ROWS:
            self.read(name, amount=3)
            self.approve(name)
        self.shop.wire.on_create = self.check_approved

    @rule(name=rows, amount=st.integers(-9, 9).filter(bool))
    def read(self, name: str, amount: int) -> None:
        """A reading changes what a row says, and with it the seal."""
        self.reading += 1
        self.shop.row(
            name,
            client_id=CLIENTS[name],
            kind="under_billed" if amount > 0 else "over_billed",
            variance_quantity=Decimal(amount),
            variance_amount=Decimal(amount) * 22,
            invoiced_as="1042",
            seal=f"{self.reading:064x}",
        )

    @rule(name=rows)
    def approve(self, name: str) -> None:
        self.shop.decide("approve", name)

    @rule(name=rows)
    def reopen(self, name: str) -> None:
        self.shop.decide("reopen", name)

    @rule(
        fault=st.sampled_from(["lost before", "lost after", "500 after", "503", "429", ""]),
        place=st.just("") | st.sampled_from(PLACES),
        question=st.sampled_from(["", "", "503"]),
        tokens_end=st.booleans(),
    )
    def post(self, fault: str, place: str, question: str, tokens_end: bool) -> None:
        """Post, with one answer that goes wrong, one question that does, and perhaps a crash.

        Tokens may have ended, and with them the memory of request ids.
        """
        shop = self.shop
        if tokens_end:
            shop.company.forget_tokens()
            shop.company.forget_keys()
        shop.wire.faults["POST"] = {
            "": [],
            "lost before": [shop.fails(httpx.ConnectError, after=False)],
            "lost after": [shop.fails(httpx.ReadTimeout, after=True)],
            "500 after": [shop.answers(500, after=True)],
            "503": [shop.answers(503)],
            "429": [shop.answers(429)] * 2,
        }[fault]
        shop.wire.faults["GET"] = [shop.answers(503)] * 3 if question else []
        reach = failpoints._reach

        def die(reached: str) -> None:
            if reached == place:
                raise Crash

        failpoints._reach = die
        try:
            shop.post()
        except Crash:
            pass
        finally:
            failpoints._reach = reach
            shop.wire.faults["POST"], shop.wire.faults["GET"] = [], []

    def documents(self) -> list[dict[str, Any]]:
        """What stands in QuickBooks now."""
        company = self.shop.company
        return [d for d in (*company.invoices.values(), *company.credit_memos.values()) if d["TotalAmt"]]

    @precondition(lambda self: self.documents())
    @rule(data=st.data(), how=st.sampled_from(["edit", "void", "delete", "renumber"]))
    def somebody_meddles(self, data: st.DataObject, how: str) -> None:
        """A person edits, voids, deletes or renumbers a document of ours; with another number it is still the same."""
        chosen = data.draw(st.sampled_from(self.documents()))
        if how == "renumber":
            chosen["DocNumber"] = f"{chosen['DocNumber']}-x"
            return
        self.touched.update(_decisions(chosen))
        company = self.shop.company
        if how == "delete":
            company.invoices.pop(chosen["Id"], None)
            company.credit_memos.pop(chosen["Id"], None)
        elif how == "void":
            change = {"Id": chosen["Id"], "SyncToken": chosen["SyncToken"]}
            company.change_invoice(change, self.shop.at, void=True)
        else:
            chosen["Line"][0]["Amount"] += 1

    def check_approved(self, note: str) -> None:
        """What is asked to be made is approved at this moment, as its row stands."""
        standing = self.shop.standing()
        for decision_id in _ids(note):
            decision = standing.get(decision_id)
            assert decision is not None, f"{decision_id} is billed without an approval"
            row = self.shop.rows[decision["discrepancy_id"]]
            assert decision["seal"] == row["seal"], f"{decision_id} is billed though its row changed"

    @invariant()
    def nothing_is_billed_twice(self) -> None:
        if hasattr(self, "shop"):
            billed = Counter(d for document in self.documents() for d in _decisions(document))
            assert [name for name, count in billed.items() if count > 1] == []

    def teardown(self) -> None:
        """Calm: what is approved is billed to the cent, or says why not."""
        if not hasattr(self, "shop"):
            return
        for _ in range(3):
            self.shop.post()
        self.nothing_is_billed_twice()
        states = {row["decision_ids"][0]: row for row in self.shop.status() if row["decision_ids"]}
        assert [row for row in states.values() if row["state"] not in ("posted", "refused", "parked")] == []
        assert [row for row in states.values() if row["state"] != "posted" and not row["reason"]] == []
        for decision_id, decision in self.shop.standing().items():
            if decision_id in self.touched or decision["seal"] != self.shop.rows[decision["discrepancy_id"]]["seal"]:
                continue
            mine = [d for d in self.documents() if decision_id in _decisions(d)]
            assert len(mine) == 1, f"{decision_id} is approved and billed by {len(mine)} documents"
            mark = f"(ref {decision['discrepancy_id']})"
            (line,) = [line for line in mine[0]["Line"] if mark in line.get("Description", "")]
            assert line["Amount"] == abs(decision["amount"])
        self.shop.close()


def _ids(note: str) -> list[str]:
    return note.partition(": ")[2].split() if marked(note) else []


def _decisions(document: dict[str, Any]) -> list[str]:
    return _ids(document["PrivateNote"])


def test_no_order_of_events_bills_twice_or_what_is_not_approved(
    make_shop: Callable[[Path], Any], tmp_path: Path
) -> None:
    counter = iter(range(10**6))
    Books.open_shop = staticmethod(lambda: make_shop(tmp_path / str(next(counter))))
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=60,
            stateful_step_count=15,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
