"""What may be decided, by whom, and in which words it is refused."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from morton_pipeline.book import Limits
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import Ledger, Outcome, decide, decisions, invoices, tables, verify
from morton_pipeline.ledger.audit import write
from morton_pipeline.ledger.lines import line_digest
from morton_pipeline.rates import Rate, Rates

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
LATER = date(2027, 2, 1)
Row = Callable[..., dict[str, Any]]
Choose = Callable[..., Outcome]


def why(outcome: Outcome) -> str:
    assert outcome.applied == []
    return outcome.refused[0][1]


def test_an_approval_keeps_the_whole_row(row: Row, choose: Choose, ledger: Ledger) -> None:
    outcome = choose(row())
    assert outcome.refused == []
    (kept,) = decisions.history(ledger, "0123456789ab")
    assert (kept["version"], kept["action"], kept["amount"], kept["quantity"]) == (
        1,
        "approve",
        Decimal(154),
        Decimal(7),
    )
    assert (kept["decided_by"], kept["decided_at"], kept["period_month"]) == ("ann", AT, date(2026, 11, 1))
    assert '"unit_price":"22.0000"' in kept["row"]
    assert json.loads(kept["row"])["line_sha256"] == line_digest(kept)
    assert '"explanation":"Acme Corp has 47 seats and pays for 40."' in kept["row"]


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "unmapped_company": ({"kind": "unmapped_company", "client_id": None}, "map the company in company_mappings.csv"),
    "unmapped_sku": ({"kind": "unmapped_sku", "service_id": None}, "map the SKU in service_mappings.csv"),
    "not_audited": ({"kind": "not_audited"}, "not checked is not clean"),
    "coverage_gap": ({"kind": "coverage_gap"}, "about service, not about billing"),
    "below_cost": ({"kind": "below_cost"}, "raise the price"),
    "implausible": ({"kind": "implausible"}, "morton extractions"),
    "unbilled_time": ({"kind": "unbilled_time"}, "map the entry"),
    "no client": ({"client_id": None}, "map it first"),
    "no amount": ({"variance_amount": None}, "has no amount"),
    "half a cent": ({"variance_amount": Decimal("154.0050")}, "more than 2 decimals"),
    "a yen has no cents": ({"variance_amount": Decimal("154.5"), "currency": "JPY"}, "more than 0 decimals"),
    "already invoiced": ({"status": "invoiced"}, "it was invoiced already"),
}


@pytest.mark.parametrize("kind", ["over_billed", "no_usage", "invoice_mismatch", "correction"])
def test_case_70_what_was_billed_too_much_is_approved_like_any_other_row(row: Row, choose: Choose, kind: str) -> None:
    outcome = choose(row(kind=kind, variance_quantity=Decimal(-7), variance_amount=Decimal(-154)))
    assert [d["amount"] for d in outcome.applied] == [Decimal(-154)]


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_approved_says_what_to_do(row: Row, choose: Choose, name: str) -> None:
    changes, sentence = REFUSALS[name]
    assert sentence in why(choose(row(**changes)))


def test_records_of_a_service_sold_below_its_cost_are_not_excluded(row: Row, choose: Choose) -> None:
    """Excluding them would stop counting what is in use, and mend no price."""
    evidence = {"0123456789ab": [{"record_id": "S1", "vendor": "pax8", "change": "kept"}]}
    outcome = choose(row(kind="below_cost"), "exclude", until=LATER, record_ids=["S1"], evidence=evidence)
    assert "it is the price that is wrong" in why(outcome)
    assert choose(row(kind="below_cost"), "write_off", until=LATER).refused == []


@pytest.mark.parametrize("changes", [{"kind": "correction"}, {"closed_at": AT}], ids=["correction", "closed"])
def test_case_53_the_records_of_a_closed_month_are_not_excluded_one_by_one(
    row: Row, choose: Choose, changes: dict[str, Any]
) -> None:
    evidence = {"0123456789ab": [{"vendor": "huntress", "record_id": "a1", "change": "added"}]}
    ((_, why),) = choose(row(**changes), "exclude", until=LATER, evidence=evidence).refused
    assert "exclude them on the open month's row" in why


@pytest.mark.parametrize("kind", ["under_billed", "no_contract", "invoice_mismatch", "correction"])
def test_what_is_owed_can_be_approved(row: Row, choose: Choose, kind: str) -> None:
    assert choose(row(kind=kind)).refused == []


@pytest.mark.parametrize("state", ["unknown", "partial", None])
def test_case_1_a_row_of_a_source_that_failed_cannot_be_approved(row: Row, choose: Choose, state: str | None) -> None:
    assert f"its source is {state or 'unknown'}" in why(choose(row(source_state=state)))
    assert choose(row(source_state=state), accept_stale=True).applied == []


def test_case_6_a_stale_row_needs_an_explicit_override(row: Row, choose: Choose) -> None:
    assert "(last read 2026-11-23 06:00Z): fetch again, or approve with --accept-stale" in why(
        choose(row(source_state="stale"))
    )
    assert choose(row(source_state="stale"), accept_stale=True).refused == []


def test_case_76_an_amount_of_nothing_is_not_billed_but_may_be_closed(row: Row, choose: Choose) -> None:
    assert "nothing to bill" in why(choose(row(variance_amount=Decimal(0))))
    assert choose(row(variance_amount=Decimal(0)), "write-off", until=LATER).refused == []


@pytest.mark.parametrize(
    ("action", "changes", "sentence"),
    [
        ("approve", {"reason": " "}, "needs a reason"),
        ("approve", {"actor": ""}, "needs the name"),
        ("approve", {"until": LATER}, "has no end"),
        ("approve", {"record_ids": ["x"]}, "belongs to `exclude`"),
        ("forget", {}, "no decision 'forget'"),
        ("write-off", {}, "needs `--until DATE`: after that day the row comes back"),
        ("exclude", {}, "the records count again"),
        ("snooze", {}, "needs `--until DATE`"),
        ("snooze", {"until": date(2026, 11, 23)}, "is not after 2026-11-23"),
    ],
)  # fmt: skip
def test_a_decision_that_lacks_something_is_wrong_usage(
    row: Row, choose: Choose, action: str, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        choose(row(), action, **changes)


def test_approving_twice_is_refused_with_the_first(row: Row, choose: Choose) -> None:
    choose(row())
    assert why(choose(row(), actor="bob")) == "ann approved it already, at 2026-11-23 09:00Z."


def test_a_changed_row_can_be_approved_again(row: Row, choose: Choose, ledger: Ledger) -> None:
    choose(row())
    assert choose(row(seal="b" * 64, status="void")).refused == []
    assert [d["version"] for d in decisions.history(ledger, "0123456789ab")] == [1, 2]


def test_case_60_of_two_decisions_at_once_one_wins(row: Row, choose: Choose, ledger: Ledger) -> None:
    seen = decisions.versions(ledger, ["0123456789ab"])
    choose(row(), expected_versions=seen)
    second = choose(row(), "write-off", until=LATER, actor="bob", expected_versions=seen)
    assert "ann decided approve meanwhile, at 2026-11-23 09:00Z (agreed with the client)" in why(second)


def test_case_60_a_double_click_is_one_decision(row: Row, ledger: Ledger) -> None:
    outcomes: list[Outcome] = []
    barrier = threading.Barrier(2)

    def click() -> None:
        barrier.wait()
        outcomes.append(decide(ledger, [row()], action="approve", reason="r", actor="ann", at=AT, limits=Limits()))

    clicks = [threading.Thread(target=click) for _ in range(2)]
    for one in clicks:
        one.start()
    for one in clicks:
        one.join()
    assert sorted(len(o.applied) for o in outcomes) == [0, 1]
    assert len(decisions.history(ledger, "0123456789ab")) == 1
    assert verify(ledger).is_whole


def test_case_62_rows_that_changed_since_display_are_left_out_and_listed(row: Row, choose: Choose) -> None:
    rows = [
        row("00000000000a"),
        row("00000000000b", seal="c" * 64, variance_amount=Decimal(176), variance_quantity=Decimal(8)),
    ]
    outcome = choose(rows, expected_seals={"00000000000a": "a" * 64, "00000000000b": "b" * 64})
    assert [d["discrepancy_id"] for d in outcome.applied] == ["00000000000a"]
    assert outcome.refused == [
        (
            "00000000000b",
            "it changed since it was listed; now it is 8 units for 176 USD (seal cccccccc): look at it again.",
        )
    ]


def test_several_rows_apply_what_is_valid(row: Row, choose: Choose) -> None:
    outcome = choose(
        [row("00000000000a"), row("00000000000b", kind="not_audited"), row("00000000000c"), row("00000000000a")]
    )
    assert [d["discrepancy_id"] for d in outcome.applied] == ["00000000000a", "00000000000c"]
    assert [name for name, _ in outcome.refused] == ["00000000000b"]


EVIDENCE = [
    {
        "discrepancy_id": "0123456789ab",
        "vendor": "microsoft365",
        "record_id": f"user-{n}",
        "change": "added" if n > 3 else "kept",
    }
    for n in range(1, 6)
]


def test_case_63_exclude_names_the_new_records(row: Row, choose: Choose, ledger: Ledger) -> None:
    choose(row(), "exclude", until=LATER, evidence={"0123456789ab": EVIDENCE})
    (kept,) = decisions.history(ledger, "0123456789ab")
    assert (
        kept["records"]
        == '[{"record_id":"user-4","vendor":"microsoft365"},{"record_id":"user-5","vendor":"microsoft365"}]'
    )


def test_exclude_takes_the_records_asked_for(row: Row, choose: Choose, ledger: Ledger) -> None:
    choose(row(), "exclude", until=LATER, record_ids=["user-1"], evidence={"0123456789ab": EVIDENCE})
    assert "user-1" in decisions.history(ledger, "0123456789ab")[0]["records"]


@pytest.mark.parametrize(
    ("changes", "records", "evidence", "sentence"),
    [
        ({}, ["user-9"], EVIDENCE, "no record user-9; its records are: user-1, user-2, user-3, user-4, user-5"),
        ({}, [], EVIDENCE[:2], "none of its records is new"),
        ({}, [], [], "its records are: none"),
        ({"client_id": None}, [], EVIDENCE, "map the company"),
    ],
    ids=["unknown", "nothing new", "no evidence", "no client"],
)
def test_what_cannot_be_excluded(
    row: Row, choose: Choose, changes: dict[str, Any], records: list[str], evidence: Any, sentence: str
) -> None:
    outcome = choose(row(**changes), "exclude", until=LATER, record_ids=records, evidence={"0123456789ab": evidence})
    assert sentence in why(outcome)


def test_case_64_a_write_off_keeps_amount_owner_and_expiry(row: Row, choose: Choose, ledger: Ledger) -> None:
    choose([row("00000000000a"), row("00000000000b")], "write-off", until=LATER)
    kept = decisions.history(ledger, "00000000000a")[0]
    assert (kept["amount"], kept["decided_by"], kept["until_on"]) == (Decimal(154), "ann", LATER)
    assert decisions.written_off(ledger) == {("acme", "USD"): Decimal(308)}


def test_reopen_undoes_the_latest_decision(row: Row, choose: Choose, ledger: Ledger) -> None:
    choose(row())
    choose(row(), "reopen")
    first, second = decisions.history(ledger, "0123456789ab")
    assert second["undoes"] == first["decision_id"]
    assert choose(row()).refused == []


def test_reopen_needs_something_to_undo(row: Row, choose: Choose) -> None:
    assert why(choose(row(), "reopen")) == "there is no decision to undo."


def test_an_exclusion_below_a_later_decision_can_still_be_undone(row: Row, choose: Choose, ledger: Ledger) -> None:
    choose(row(), "exclude", until=LATER, evidence={"0123456789ab": EVIDENCE})
    choose(row(seal="b" * 64))
    for _ in range(2):
        assert choose(row(), "reopen").refused == []
    exclude, approve, first, second = decisions.history(ledger, "0123456789ab")
    assert [first["undoes"], second["undoes"]] == [approve["decision_id"], exclude["decision_id"]]
    assert "no decision to undo" in why(choose(row(), "reopen"))


@pytest.fixture
def invoiced(row: Row, choose: Choose, ledger: Ledger) -> Callable[..., None]:
    """Put the approved row on an invoice and take it through the given states."""

    def make(*states: str, cause: str = "") -> None:
        (decision,) = choose(row()).applied
        intent = {
            "invoice_id": "i1", "reference": "M202611-AAAAAAAAAAAA", "destination": "files", "client_id": "acme",
            "period_month": date(2026, 11, 1), "currency": "USD", "total_amount": Decimal(154),
        }  # fmt: skip
        line = invoices.Line(
            decision["decision_id"],
            "0123456789ab",
            "m365_bp",
            "under_billed",
            Decimal(7),
            Decimal(22),
            Decimal(154),
            "x",
        )
        invoices.add(ledger, intent, [line], payload="{}", customer_id="12", actor="morton", at=AT)
        for state in states:
            (invoice,) = invoices.current(ledger)
            invoices.step(ledger, invoice, state, actor="morton", at=AT, cause=cause if state == states[-1] else "")

    return make


@pytest.mark.parametrize(
    ("states", "cause"),
    [
        (("sending",), ""),
        (("sending", "uncertain"), ""),
        (("sending", "posted"), ""),
        (("sending", "parked"), "mismatch"),
    ],
    ids=["sending", "uncertain", "posted", "parked"],
)
def test_what_was_sent_cannot_be_reopened(
    row: Row, choose: Choose, invoiced: Any, states: tuple[str, ...], cause: str
) -> None:
    invoiced(*states, cause=cause)
    assert "M202611-AAAAAAAAAAAA" in why(choose(row(), "reopen"))
    assert "M202611-AAAAAAAAAAAA" in why(choose(row(seal="b" * 64, status="void")))


@pytest.mark.parametrize(
    ("states", "cause"),
    [
        ((), ""),
        (("sending", "refused"), ""),
        (("parked",), "bound amount_per_run 1"),
        (("sending", "parked"), "closed_period"),
    ],
    ids=["planned", "refused", "bound", "closed period"],
)
def test_what_was_not_sent_can_be_reopened(
    row: Row, choose: Choose, invoiced: Any, states: tuple[str, ...], cause: str
) -> None:
    invoiced(*states, cause=cause)
    assert choose(row(), "reopen").refused == []


def test_case_58_after_invoicing_only_the_difference_can_be_approved(row: Row, choose: Choose, invoiced: Any) -> None:
    invoiced("sending", "posted")
    assert "it was invoiced already, as M202611-AAAAAAAAAAAA" in why(choose(row()))
    whole = row(seal="b" * 64, variance_amount=Decimal(176), status="void")
    assert "run `morton reconcile`, then decide on what is left" in why(choose(whole))
    assert choose(row(seal="d" * 64, variance_amount=Decimal(22), status="open")).refused == []


def test_case_61_above_the_limit_a_second_person_must_approve(row: Row, choose: Choose, ledger: Ledger) -> None:
    limits = replace(Limits(), four_eyes_above=Decimal(100))
    assert choose(row(), limits=limits).applied[0]["action"] == "first_approval"
    with ledger.read() as con:
        assert decisions.latest(con) == {}
    assert "a second person must approve it too" in why(choose(row(), limits=limits, actor="Ann"))
    assert choose(row(), limits=limits, actor="bob").applied[0]["action"] == "approve"


def test_a_second_approval_of_another_seal_is_a_first_one(row: Row, choose: Choose) -> None:
    limits = replace(Limits(), four_eyes_above=Decimal(100))
    choose(row(), limits=limits)
    assert choose(row(seal="b" * 64), limits=limits, actor="bob").applied[0]["action"] == "first_approval"


EURO = Rate("EUR", "USD", Decimal("1.1"), date(2026, 11, 23), "ECB")


@pytest.mark.parametrize(("limit", "action"), [("169.39", "first_approval"), ("169.40", "approve")])
def test_case_68_the_second_person_is_asked_for_by_what_an_amount_is_worth(
    row: Row, choose: Choose, limit: str, action: str
) -> None:
    words = {"limits": replace(Limits(), four_eyes_above=Decimal(limit)), "rates": Rates("USD", [EURO])}
    assert choose(row(currency="EUR"), **words).applied[0]["action"] == action
    if action == "first_approval":
        said = why(choose(row(currency="EUR"), **words))
        assert said.startswith("154.0000 EUR, one EUR being 1.1 USD since 2026-11-23 (ECB), is above 169.39 USD: ann")


def test_case_68_what_nobody_can_tell_the_worth_of_is_not_approved_where_a_second_person_may_be_needed(
    row: Row, choose: Choose
) -> None:
    rates = Rates("USD", [replace(EURO, effective_from=date(2026, 11, 24))])
    said = why(choose(row(currency="EUR"), limits=replace(Limits(), four_eyes_above=Decimal(1000)), rates=rates))
    assert said == (
        "nobody can tell whether it is above 1000 USD, which takes a second person. exchange_rates.csv has no rate from "
        "EUR to USD (or back) in force on 2026-11-23: add one, with its source."
    )
    assert choose(row(currency="EUR"), rates=rates).refused == []


def test_below_the_limit_one_person_is_enough(row: Row, choose: Choose) -> None:
    limits = replace(Limits(), four_eyes_above=Decimal(154))
    assert choose(row(), limits=limits).applied[0]["action"] == "approve"


def test_two_steps_of_one_number_cannot_both_be_taken(ledger: Ledger, invoiced: Any) -> None:
    invoiced()
    (invoice,) = invoices.current(ledger)
    invoices.step(ledger, invoice, "sending", actor="a", at=AT)
    with pytest.raises(invoices.Overtaken, match="Another process"):
        invoices.step(ledger, invoice, "sending", actor="b", at=AT)


def test_a_failed_transaction_leaves_nothing_behind(ledger: Ledger, row: Row, choose: Choose) -> None:
    choose(row())
    intent = {
        "invoice_id": "i", "reference": "r", "destination": "d", "client_id": "c", "period_month": date(2026, 11, 1),
        "currency": "USD", "total_amount": Decimal(1), "created_at": AT,
    }  # fmt: skip

    def fail() -> None:
        with write(ledger, actor="a", at=AT + timedelta(hours=1)) as writer:
            writer.insert(tables.invoices, intent)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (verify(ledger).problem, verify(ledger).row_count) == (None, 1)


@pytest.mark.parametrize("action", ["write-off", "exclude"])
@pytest.mark.parametrize("cause", [None, "weather"])
def test_case_65_what_is_given_up_names_a_cause(row: Row, choose: Choose, action: str, cause: str | None) -> None:
    with pytest.raises(BadInput, match=r"needs `--cause mapping\|contract\|source\|policy`"):
        choose(row(), action, until=LATER, cause=cause, evidence={"0123456789ab": EVIDENCE})


def test_case_65_the_cause_is_kept_with_the_decision(row: Row, choose: Choose, ledger: Ledger) -> None:
    choose(row(), "write-off", until=LATER, cause="mapping")
    (kept,) = decisions.history(ledger, "0123456789ab")
    assert json.loads(kept["row"])["cause"] == "mapping"
    assert verify(ledger).is_whole
    with pytest.raises(BadInput, match="belongs to `write-off` and `exclude`"):
        choose(row(), "snooze", until=LATER, cause="mapping")


FOUR_EYES = Limits(four_eyes_above=Decimal(100))


def test_case_66_what_an_approver_who_left_approved_stays_valid_and_theirs(
    row: Row, choose: Choose, ledger: Ledger
) -> None:
    choose(row(), actor="ann")
    assert "ann approved it already" in why(choose(row(), actor="bob"))
    (kept,) = decisions.history(ledger, "0123456789ab")
    assert (kept["action"], kept["decided_by"]) == ("approve", "ann")
    assert verify(ledger).is_whole


def test_case_66_a_first_approval_of_one_who_left_may_be_taken_over(row: Row, choose: Choose, ledger: Ledger) -> None:
    choose(row(), actor="ann", limits=FOUR_EYES)
    choose(row(), "reopen", actor="bob", reason="ann has left us")
    choose(row(), actor="bob", limits=FOUR_EYES)
    assert "second person" in why(choose(row(), actor="bob", limits=FOUR_EYES))
    choose(row(), actor="cyd", limits=FOUR_EYES)
    told = [(d["action"], d["decided_by"]) for d in decisions.history(ledger, "0123456789ab")]
    assert told == [
        ("first_approval", "ann"), ("reopen", "bob"), ("first_approval", "bob"), ("approve", "cyd"),
    ]  # fmt: skip


def test_case_66_a_first_approval_of_one_who_left_still_counts_where_nobody_takes_it_over(
    row: Row, choose: Choose
) -> None:
    choose(row(), actor="ann", limits=FOUR_EYES)
    (second,) = choose(row(), actor="bob", limits=FOUR_EYES).applied
    assert (second["action"], second["decided_by"]) == ("approve", "bob")
