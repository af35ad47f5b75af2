"""Anything in any order (approvals, crashes, lost answers, people in the accounting system) against a small model.

The model knows what is approved and for whom. Whatever happens, a decision is billed by one document at most, and only
while it is approved as its row and the seeds stand; once things are calm, everything approved is billed or stands still
with a reason.
"""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
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

from morton_pipeline.accounting import posting
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import invoices
from tests.accounting.conftest import crashing
from tests.accounting.systems import BY_HAND, ITEM, SYSTEMS, Document, ModelShop, open_shop

EXAMPLES = 60
"""How many orders of events are tried, over all systems."""

ROWS = [f"00000000000{n}" for n in "abc"]
CLIENTS = {name: ("acme", "beta")[number % 2] for number, name in enumerate(ROWS)}
CUSTOMERS = {"acme": ("12", "14"), "beta": ("13", "15")}
"""Whom each client may stand for in the accounting system: the seeds name one of the two."""
STEPS = ("planned", "sending", "uncertain", "posted", "refused", "parked")
EFFECTS = ("intend", "create", "release", "link", "let past", *(f"step {state}" for state in STEPS))
PLACES = [f"{side} {what}" for what in EFFECTS for side in ("before", "after")]
rows = st.sampled_from(ROWS)
places = st.just("") | st.sampled_from(PLACES)


class Books(RuleBasedStateMachine):
    """One MSP's ledger and its accounting system."""

    open_shop: Callable[[], ModelShop]

    @initialize(refuses_duplicates=st.booleans(), invoiced=st.none() | rows)
    def begin(self, refuses_duplicates: bool, invoiced: str | None) -> None:
        """Three rows of two clients, one of which may be invoiced by hand already.

        The system takes two documents of one number, or does not.
        """
        self.shop = self.open_shop()
        self.system = self.shop.system
        self.system.refuse_duplicates(refuses_duplicates)
        self.reading = 0
        self.customers = {client: both[0] for client, both in CUSTOMERS.items()}
        self.touched: set[str] = set()
        self.by_hand: set[str] = set()
        for name in ROWS:
            self.read(name, amount=3)
            self.approve(name)
        if invoiced:
            self.somebody_invoices_by_hand(invoiced)
        self.shop.wire.told = {"create": self.check_made, "release": self.check_released}

    @rule(name=rows, amount=st.integers(-9, 9).filter(bool))
    def read(self, name: str, amount: int) -> None:
        """A reading changes what a row says, and with it the seal. All rows then show whom the seeds bill by now."""
        for other, row in self.shop.rows.items():
            if other != name and row["billed_to"] != self.billed_to(other):
                row |= {"billed_to": self.billed_to(other), "seal": self.next_seal()}
        self.shop.row(
            name,
            client_id=CLIENTS[name],
            kind="under_billed" if amount > 0 else "over_billed",
            variance_quantity=Decimal(amount),
            variance_amount=Decimal(amount) * 22,
            invoiced_as="1042",
            billed_to=self.billed_to(name),
            seal=self.next_seal(),
        )

    def next_seal(self) -> str:
        self.reading += 1
        return f"{self.reading:064x}"

    def billed_to(self, name: str) -> str:
        return f"{self.customers[CLIENTS[name]]}>{ITEM}"

    @rule(name=rows)
    def approve(self, name: str) -> None:
        self.shop.decide("approve", name)

    @rule(name=rows)
    def reopen(self, name: str) -> None:
        self.shop.decide("reopen", name)

    @rule(client=st.sampled_from(sorted(CUSTOMERS)))
    def remap(self, client: str) -> None:
        """An analyst names another customer for a client in the seeds; the rows show it with the next reading."""
        one, other = CUSTOMERS[client]
        self.customers[client] = other if self.customers[client] == one else one
        listed = "".join(f"{c},{c.title()},{customer_id}\n" for c, customer_id in self.customers.items())
        (self.shop.book.seeds / "clients.csv").write_text(
            f"client_id,client_name,accounting_customer_id\n{listed}", "utf-8"
        )

    @rule(
        kind=st.sampled_from(["create", "create", "release"]),
        fault=st.sampled_from(["lost before", "lost after", "500 after", "503", "429", ""]),
        place=places,
        question=st.sampled_from(["", "", "503"]),
        tokens_end=st.booleans(),
    )
    def post(self, kind: str, fault: str, place: str, question: str, tokens_end: bool) -> None:
        """Post, with one answer that goes wrong, one question that does, and perhaps a crash.

        Tokens may have ended, and with them the memory of request ids.
        """
        shop = self.shop
        if tokens_end:
            shop.company.forget_tokens()
            shop.company.forget_keys()
        shop.wire.faults[kind] = {
            "": [],
            "lost before": [shop.fails(httpx.ConnectError, after=False)],
            "lost after": [shop.fails(httpx.ReadTimeout, after=True)],
            "500 after": [shop.answers(500, after=True)],
            "503": [shop.answers(503)],
            "429": [shop.answers(429)] * 2,
        }[fault]
        shop.wire.faults["ask"] = [shop.answers(503)] * 3 if question else []
        with crashing(place):
            shop.post()
        shop.wire.faults = {"create": [], "release": [], "ask": []}

    @precondition(lambda self: self.parked())
    @rule(data=st.data(), place=places)
    def release(self, data: st.DataObject, place: str) -> None:
        """A person lets past what a bound or a likeness parked."""
        chosen = data.draw(st.sampled_from(self.parked()))
        with crashing(place):
            self.shop.post(release={chosen}, actor="dana")

    def parked(self) -> list[str]:
        found = invoices.current(self.shop.ledger)
        return [i.reference for i in found if i.state == "parked" and i.cause.startswith(invoices.RELEASABLE)]

    @precondition(lambda self: len(self.by_hand) < 2)
    @rule(name=rows)
    def somebody_invoices_by_hand(self, name: str) -> None:
        """A person makes the invoice of a row that is owed."""
        if (amount := self.shop.rows[name]["variance_amount"]) > 0:
            self.by_hand.add(self.system.by_hand(self.customers[CLIENTS[name]], amount))

    @precondition(lambda self: self.by_hand and invoices.current(self.shop.ledger))
    @rule(data=st.data(), place=places)
    def link(self, data: st.DataObject, place: str) -> None:
        """A person takes a document made by hand for one of ours, or tries to."""
        shop = self.shop
        reference = data.draw(st.sampled_from([i.reference for i in invoices.current(shop.ledger)]))
        accounting_id = data.draw(st.sampled_from(sorted(self.by_hand)))
        try:
            with crashing(place):
                posting.link(
                    shop.book, shop.ledger, reference, accounting_id, at=shop.at, actor="dana", adapter=shop.adapter()
                )
        except (BadInput, invoices.NoLongerApproved):
            pass

    def linked(self) -> dict[str, str]:
        """The document made by hand that each decision is billed by, as far as people said so."""
        found = [i for i in invoices.current(self.shop.ledger) if i.cause == invoices.LINKED]
        return {line.decision_id: str(i.accounting_id) for i in found for line in i.lines}

    @precondition(lambda self: self.system.documents())
    @rule(data=st.data(), how=st.sampled_from(["edit", "void", "delete", "renumber"]))
    def somebody_meddles(self, data: st.DataObject, how: str) -> None:
        """A person edits, voids, deletes or renumbers a document; with another number it is still the same."""
        chosen = data.draw(st.sampled_from(self.system.documents()))
        if how != "renumber":
            self.touched.update(self.bills(chosen))
            self.by_hand.discard(self.system.id_of(chosen))
        getattr(self.system, how)(chosen)

    def bills(self, document: Document) -> list[str]:
        """The decisions a document bills: those it names, or those it was linked to."""
        linked = [d for d, accounting_id in self.linked().items() if accounting_id == self.system.id_of(document)]
        return self.system.decisions_of(document) or linked

    def check_made(self, request: httpx.Request) -> None:
        self.check_approved(self.system.body(request.content))

    def check_released(self, request: httpx.Request) -> None:
        """What is released is approved at this moment, too."""
        asked = f"{request.url} {request.content.decode()}"
        for document in self.system.documents():
            if self.system.id_of(document) in asked:
                self.check_approved(document)

    def check_approved(self, document: Document) -> None:
        """What is asked to be made is approved at this moment, as its row and the seeds stand."""
        standing = self.shop.standing()
        for decision_id in self.system.decisions_of(document):
            decision = standing.get(decision_id)
            assert decision is not None, f"{decision_id} is billed without an approval"
            row = self.shop.rows[decision["discrepancy_id"]]
            assert decision["seal"] == row["seal"], f"{decision_id} is billed though its row changed"
            customer_id = self.system.customer_of(document)
            assert customer_id == self.customers[row["client_id"]], f"{decision_id} is billed to another customer"

    @invariant()
    def nothing_is_billed_twice(self) -> None:
        if hasattr(self, "shop"):
            billed = Counter(d for document in self.system.documents() for d in self.bills(document))
            assert [name for name, count in billed.items() if count > 1] == []

    def teardown(self) -> None:
        """Calm: what is approved is billed to the cent, or says why not."""
        if not hasattr(self, "shop"):
            return
        for _ in range(3):
            self.shop.post()
        self.nothing_is_billed_twice()
        found = invoices.current(self.shop.ledger)
        assert [i for i in found if i.state not in ("posted", "refused", "parked")] == []
        assert [i for i in found if i.state != "posted" and not i.reason] == []
        alike = [i for i in found if i.state == "parked" and i.cause == invoices.LOOK_ALIKE]
        held = {line.decision_id for i in alike for line in i.lines}
        for decision_id, decision in self.shop.standing().items():
            if decision_id not in self.touched | held and self.is_due(decision):
                mine = [d for d in self.system.documents() if decision_id in self.bills(d)]
                assert len(mine) == 1, f"{decision_id} is approved and billed by {len(mine)} documents"
                mark = BY_HAND if decision_id in self.linked() else f"(ref {decision['discrepancy_id']})"
                amounts = [amount for text, amount in self.system.lines_of(mine[0]) if mark in text]
                assert amounts == [abs(decision["amount"])]
        self.shop.close()

    def is_due(self, decision: Document) -> bool:
        """Whether an approval is as its row and the seeds are."""
        row = self.shop.rows[decision["discrepancy_id"]]
        return decision["seal"] == row["seal"] and row["billed_to"] == self.billed_to(decision["discrepancy_id"])


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_order_of_events_bills_twice_or_what_is_not_approved(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = iter(range(10**6))
    Books.open_shop = staticmethod(lambda: open_shop(SYSTEMS[name](), tmp_path / str(next(counter)), monkeypatch))
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=EXAMPLES // len(SYSTEMS),
            stateful_step_count=15,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
