"""The state machine, step by step, against QuickBooks' stand-in behind a wire that breaks as scripted."""

import json
import logging
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from morton_pipeline.accounting import machine
from morton_pipeline.accounting import status as status_of
from morton_pipeline.accounting.drafts import request_key
from morton_pipeline.accounting.errors import RunStopped
from morton_pipeline.clock import wall
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import invoices, open_ledger, verify
from morton_pipeline.ledger.tokens import LedgerTokens

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)


def keys(shop: Any) -> list[str]:
    return [r.url.params["requestid"] for r in shop.wire.posts()]


def steps(shop: Any) -> list[str]:
    return [e["state"] for e in invoices.events_of(shop.ledger, shop.only()["reference"])]


def fault(message: str, code: str = "6000", kind: str = "ValidationFault") -> str:
    return json.dumps({"Fault": {"Error": [{"Message": message, "Detail": "", "code": code}], "type": kind}})


def test_an_approved_row_becomes_one_invoice(shop: Any) -> None:
    decision_id = shop.approve()
    (row,) = shop.post()
    (made,) = shop.made()
    assert (row["state"], row["accounting_id"], row["decision_ids"]) == ("posted", made["Id"], [decision_id])
    assert (made["DocNumber"], made["TotalAmt"], made["CustomerRef"]["value"]) == (row["reference"], Decimal(154), "12")
    assert steps(shop) == ["planned", "sending", "posted"]
    assert len(keys(shop)[0]) <= 50
    assert verify(shop.ledger).is_whole


def test_case_77_posting_again_makes_nothing_new(shop: Any) -> None:
    shop.approve("00000000000a")
    shop.approve("00000000000b", client_id="beta")
    shop.post()
    for _ in range(3):
        assert shop.post(at=AT + timedelta(days=30)) == []
    assert (len(shop.made()), len(shop.wire.posts())) == (2, 2)


def test_the_intent_is_durable_before_the_call(shop: Any) -> None:
    shop.approve()
    seen: list[list[str]] = []

    def look(request: httpx.Request, carry_out: Any) -> httpx.Response:
        with open_ledger(shop.book) as other:
            (invoice,) = invoices.current(other)
            assert invoice.payload.encode() == request.content
            seen.append([invoice.state])
        return carry_out()

    shop.wire.faults["POST"] = [look]
    shop.post()
    assert seen == [["sending"]]


UNKNOWN = {
    "timeout": lambda shop, after: shop.fails(httpx.ReadTimeout, after=after),
    "reset": lambda shop, after: shop.fails(httpx.ReadError, after=after),
    "cut off": lambda shop, after: shop.fails(httpx.RemoteProtocolError, after=after),
    "500": lambda shop, after: shop.answers(500, "oops", after=after),
    "503 fault": lambda shop, after: shop.answers(503, fault("down", kind="SystemFault"), after=after),
    "408": lambda shop, after: shop.answers(408, after=after),
    "redirect": lambda shop, after: shop.answers(302, after=after, location="https://login.example"),
    "garbled 200": lambda shop, after: shop.answers(200, '{"Invoice":{"Id', after=after),
    "a web page": lambda shop, after: shop.answers(200, "<html>", after=after),
    "200 without an invoice": lambda shop, after: shop.answers(200, "{}", after=after),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_case_72_an_invoice_made_without_an_answer_is_found_and_adopted(shop: Any, name: str) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [UNKNOWN[name](shop, True)]
    assert shop.post()[0]["state"] == "uncertain"
    (row,) = shop.post()
    assert (row["state"], row["accounting_id"]) == ("posted", shop.made()[0]["Id"])
    assert (len(shop.made()), len(shop.wire.posts())) == (1, 1)


@pytest.mark.parametrize("name", UNKNOWN)
def test_case_72_an_invoice_never_made_is_sent_again_with_the_same_key_and_bytes(shop: Any, name: str) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [UNKNOWN[name](shop, False)]
    shop.post()
    assert shop.post()[0]["state"] == "posted"
    first, second = shop.wire.posts()
    assert (first.content, first.url) == (second.content, second.url)
    assert len(shop.made()) == 1
    assert steps(shop) == ["planned", "sending", "uncertain", "sending", "posted"]


def test_an_uncertain_invoice_rests_for_the_quiet_period_of_the_real_clock(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.limits = replace(shop.limits, quiet_period_seconds=150)
    shop.approve()
    shop.wire.faults["POST"] = [shop.fails(httpx.ReadTimeout, after=True)]
    (row,) = shop.post()
    assert "looked up after 150 s" in row["reason"]
    before, clock = len(shop.wire.requests), wall()
    monkeypatch.setattr(machine, "wall", lambda: clock + timedelta(seconds=149))
    assert shop.post(at=AT + timedelta(days=9))[0]["state"] == "uncertain"
    assert not [r for r in shop.wire.requests[before:] if "DocNumber" in str(r.url)]
    monkeypatch.setattr(machine, "wall", lambda: clock + timedelta(seconds=151))
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.made()) == 1


def test_a_sender_killed_in_the_middle_is_uncertain_at_the_next_start(shop: Any) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.answers(200)]

    def die(request: httpx.Request, carry_out: Any) -> httpx.Response:
        carry_out()
        raise KeyboardInterrupt

    shop.wire.faults["POST"] = [die]
    with pytest.raises(KeyboardInterrupt):
        shop.post()
    assert shop.states() == ["sending"]
    assert shop.post()[0]["state"] == "posted"
    assert steps(shop) == ["planned", "sending", "uncertain", "posted"]
    assert len(shop.made()) == 1


def test_case_59_what_is_sent_again_is_what_was_approved_whatever_the_count_says_now(shop: Any) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.fails(httpx.ReadTimeout, after=False)]
    shop.post()
    shop.row(variance_quantity=Decimal(9), variance_amount=Decimal(198))
    shop.post()
    assert [i["TotalAmt"] for i in shop.made()] == [Decimal(154)]


@pytest.mark.parametrize("is_gone", [False, True], ids=["another count", "no row any more"])
def test_an_invoice_never_made_is_taken_back_once_its_row_is_not_what_was_approved(shop: Any, is_gone: bool) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.fails(httpx.ReadTimeout, after=False)]
    shop.post()
    changed = shop.row(variance_quantity=Decimal(9), variance_amount=Decimal(198), seal="b" * 64)
    if is_gone:
        shop.rows.clear()
    (row,) = shop.post()
    assert (row["state"], shop.made(), len(shop.wire.posts())) == ("refused", [], 1)
    assert "QuickBooks never made this invoice, and it was taken back. ann approved" in row["reason"]
    assert ("no longer in the mart" if is_gone else "now it is") in row["reason"]
    shop.approve(**{**changed, "status": "void"})
    shop.post()
    assert [i["TotalAmt"] for i in shop.made()] == [Decimal(198)]


def test_an_invoice_that_was_made_is_adopted_whatever_its_row_says_now(shop: Any) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.fails(httpx.ReadTimeout, after=True)]
    shop.post()
    shop.row(variance_quantity=Decimal(9), variance_amount=Decimal(198), seal="b" * 64)
    assert shop.post()[0]["state"] == "posted"
    assert [i["TotalAmt"] for i in shop.made()] == [Decimal(154)]


def test_a_second_sender_leaves_an_invoice_that_is_being_sent(shop: Any) -> None:
    shop.limits = replace(shop.limits, quiet_period_seconds=150)
    shop.approve()
    second: list[Any] = []

    def meanwhile(request: httpx.Request, carry_out: Any) -> httpx.Response:
        second.extend(shop.post())
        return carry_out()

    shop.wire.faults["POST"] = [meanwhile]
    assert shop.post()[0]["state"] == "posted"
    assert [row["state"] for row in second] == ["sending"]
    assert (len(shop.made()), len(shop.wire.posts())) == (1, 1)


def test_two_senders_of_one_invoice_make_one_invoice(shop: Any) -> None:
    shop.approve()

    def meanwhile(request: httpx.Request, carry_out: Any) -> httpx.Response:
        shop.post()
        return carry_out()

    shop.wire.faults["POST"] = [meanwhile]
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.made()) == 1
    assert len(set(keys(shop))) == 1


def test_a_restored_ledger_finds_the_invoice_it_forgot(shop: Any) -> None:
    shop.approve()
    shop.post()
    with shop.ledger.transaction() as con:
        con.exec_driver_sql("PRAGMA foreign_keys = OFF")
        for table in ("invoice_events", "invoice_lines", "invoices"):
            con.exec_driver_sql(f"delete from {table}")
    (row,) = shop.post()
    assert (row["state"], len(shop.made()), len(shop.wire.posts())) == ("posted", 1, 1)
    assert "It existed already" in row["reason"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"CustomerRef": {"value": "13"}}, "it is for customer 13, not 12"),
        ({"PrivateNote": "by hand"}, "its note does not carry our mark"),
        ({"Line": [("7", "1", "100")]}, "its net total is 100, not 154 USD"),
        ({"Line": [("7", "1", "100"), ("7", "1", "54")]}, "its lines are not the approved ones"),
        ({"Line": [("8", "7", "22")]}, "its lines are not the approved ones"),
    ],
    ids=["customer", "mark", "total", "lines", "item"],
)
def test_an_invoice_of_our_number_that_differs_is_parked(shop: Any, change: dict[str, Any], said: str) -> None:
    shop.approve()
    (draft,) = shop.plan().drafts
    body = json.loads(draft.payload, parse_float=Decimal) | change
    if "Line" in change:
        body["Line"] = [
            {
                "Amount": Decimal(q) * Decimal(p),
                "SalesItemLineDetail": {"ItemRef": {"value": item}, "Qty": q, "UnitPrice": p},
            }
            for item, q, p in change["Line"]
        ]
    shop.company.add_invoice(body, AT)
    (row,) = shop.post()
    assert row["state"] == "parked"
    assert said in row["reason"]
    assert "Correct it there, delete it to have it sent anew, or void it to drop it; then post again" in row["reason"]
    assert shop.wire.posts() == []


def test_two_invoices_of_our_number_are_parked(shop: Any) -> None:
    shop.approve()
    (draft,) = shop.plan().drafts
    shop.company.refuses_duplicate_numbers = False
    for _ in range(2):
        shop.company.add_invoice(json.loads(draft.payload, parse_float=Decimal), AT)
    (row,) = shop.post()
    assert (row["state"], shop.wire.posts()) == ("parked", [])
    assert "has 2 invoices numbered" in row["reason"]


def test_a_parked_invoice_is_sent_once_the_other_is_gone(shop: Any) -> None:
    shop.approve()
    (draft,) = shop.plan().drafts
    other = shop.company.add_invoice(json.loads(draft.payload, parse_float=Decimal) | {"PrivateNote": ""}, AT)
    shop.post()
    shop.post()
    assert steps(shop) == ["planned", "parked"]
    del shop.company.invoices[other["Id"]]
    assert shop.post()[0]["state"] == "posted"


@pytest.mark.parametrize("with_200", [False, True], ids=["400", "200 with a Fault"])
def test_case_74_an_inactive_customer_is_refused_alone(shop: Any, with_200: bool) -> None:
    shop.company.faults_with_200 = with_200
    shop.company.customers["12"]["Active"] = False
    shop.approve("00000000000a")
    shop.approve("00000000000b", client_id="beta")
    refused, posted = sorted(shop.post(), key=lambda r: r["client_id"])
    assert (refused["state"], posted["state"]) == ("refused", "posted")
    assert (
        "QuickBooks refused the invoice of acme: Object Not Found: Object Not Found : Something you're trying to use has been made inactive"
        in refused["reason"]
    )
    assert "(610)" in refused["reason"]
    shop.company.customers["12"]["Active"] = True
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.made()) == 2
    # A clear no ends the life of a key: some systems replay it whatever was mended since.
    assert len(set(keys(shop))) == len(shop.wire.posts()) == 3


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (
            lambda c: c.customers["12"].update(Active=False),
            "Make the customer active in QuickBooks, or mend accounting_customer_id",
        ),
        (lambda c: c.customers.pop("12"), "mend accounting_customer_id in clients.csv"),
        (lambda c: c.items["7"].update(Active=False), "Make the item active in QuickBooks, or mend accounting_item_id"),
        (lambda c: c.items.pop("7"), "mend accounting_item_id in services.csv"),
        (lambda c: c.customers["12"].update(CurrencyRef={"value": "EUR"}), "Turn the currency on for this customer"),
    ],
    ids=["customer inactive", "customer missing", "item inactive", "item missing", "currency"],
)
def test_case_74_what_is_refused_says_what_to_mend_and_the_rest_goes_on(shop: Any, change: Any, advice: str) -> None:
    change(shop.company)
    shop.approve("00000000000a")
    shop.approve("00000000000b", client_id="beta", service_id="edr")
    refused, posted = sorted(shop.post(), key=lambda r: r["client_id"])
    assert (refused["state"], posted["state"]) == ("refused", "posted")
    assert "the invoice of acme" in refused["reason"]
    assert advice in refused["reason"]


def test_a_customer_renamed_in_quickbooks_is_the_same_customer(shop: Any) -> None:
    shop.company.customers["12"] |= {"DisplayName": "Acme Holdings", "FullyQualifiedName": "Acme Holdings"}
    shop.approve()
    assert shop.post()[0]["state"] == "posted"


def test_trap_2_a_refused_invoice_with_another_body_has_another_request_id(shop: Any) -> None:
    shop.company.customers["12"]["Active"] = False
    shop.approve()
    shop.post()
    clients = shop.book.seeds / "clients.csv"
    clients.write_text(clients.read_text("utf-8").replace("Acme Corp,12", "Acme Corp,13"), "utf-8")
    assert shop.post()[0]["state"] == "posted"
    first, second = shop.wire.posts()
    assert first.content != second.content
    assert len(set(keys(shop))) == 2
    assert shop.made()[0]["CustomerRef"]["value"] == "13"


def test_trap_2_one_request_id_serves_one_body_whenever_it_is_sent_and_another_body_has_another(shop: Any) -> None:
    shop.approve()
    for at, mend in ((AT, False), (AT + timedelta(days=3), False), (AT, True)):
        shop.wire.faults["POST"] = [] if mend else [shop.fails(httpx.ReadTimeout, after=False)]
        shop.post(at=at)
    bodies = {request.content for request in shop.wire.posts()}
    assert (len(bodies), len(shop.wire.posts()), len(set(keys(shop)))) == (1, 3, 1)
    (invoice,) = invoices.current(shop.ledger)
    assert request_key(invoice) == keys(shop)[0]
    other = replace(invoice, payload=invoice.payload.replace("154", "155"))
    assert request_key(other) != request_key(invoice)


def test_trap_1_there_is_no_draft_and_what_was_made_is_never_changed(shop: Any) -> None:
    shop.approve()
    shop.post()
    shop.verify()
    (made,), adapter = shop.made(), shop.adapter()
    (found,) = adapter.list_since(date(2026, 11, 1))
    assert (found.is_draft, adapter.is_to_release(found)) == (False, False), "an invoice is in the books at once"
    written = [request for request in shop.wire.requests if request.method == "POST" and "/v3/" in request.url.path]
    assert len(written) == 1
    # An update needs a SyncToken, and fails with 5010 where somebody was faster: we send none.
    assert (b"SyncToken" in written[0].content, "operation" in written[0].url.params, made["SyncToken"]) == (
        False, False, "0",
    )  # fmt: skip


@pytest.mark.parametrize("code", ["6140", "6210", "6240"])
def test_trap_1_a_duplicate_number_is_looked_up_whatever_its_code(shop: Any, code: str) -> None:
    shop.approve()

    def taken(request: httpx.Request, carry_out: Any) -> httpx.Response:
        carry_out()
        return shop.answers(400, fault("Duplicate Document Number Error", code))(request, carry_out)

    shop.wire.faults["POST"] = [taken]
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.made()) == 1


def test_a_duplicate_number_nobody_can_find_is_parked(shop: Any) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.answers(400, fault("Duplicate Document Number Error", "6140"))]
    (row,) = shop.post()
    assert row["state"] == "parked"
    assert "shows no such invoice" in row["reason"]


def test_case_73_a_closed_period_parks_and_is_sent_when_it_is_open(shop: Any) -> None:
    shop.company.closed_until = date(2026, 12, 31)
    shop.approve()
    (row,) = shop.post()
    assert row["state"] == "parked"
    assert "The books are closed in QuickBooks for this date" in row["reason"]
    assert "its lines name the month they are for" in row["reason"]
    shop.company.closed_until = None
    assert shop.post()[0]["state"] == "posted"


def test_a_401_stops_the_run_and_leaves_nothing_in_the_air(shop: Any) -> None:
    shop.approve("00000000000a")
    shop.approve("00000000000b", client_id="beta")
    shop.wire.faults["POST"] = [shop.answers(401), shop.answers(401)]
    with pytest.raises(RunStopped, match="Run `morton connect books`"):
        shop.post()
    assert set(shop.states()) == {"planned"}
    assert shop.made() == []
    assert [r["state"] for r in shop.post()] == ["posted", "posted"]


def test_trap_1_an_authentication_fault_with_200_stops_the_run(shop: Any) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.answers(200, fault("AuthenticationFailed", "3200", "AUTHENTICATION"))]
    with pytest.raises(RunStopped, match="AuthenticationFailed"):
        shop.post()
    assert shop.states() == ["planned"]


def test_a_subscription_that_ended_stops_the_run(shop: Any) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.answers(403, fault("Subscription period has ended", "6190"))]
    with pytest.raises(RunStopped, match="does not let this app write invoices"):
        shop.post()
    assert shop.states() == ["planned"]


def test_an_uncertain_invoice_stays_uncertain_when_the_run_is_stopped(shop: Any) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.fails(httpx.ReadTimeout, after=False), shop.answers(401), shop.answers(401)]
    shop.post()
    with pytest.raises(RunStopped):
        shop.post()
    assert shop.states() == ["uncertain"]


def test_a_revoked_connection_stops_the_run_before_anything_is_written(shop: Any) -> None:
    shop.approve()
    shop.company.revoke()
    with pytest.raises(RunStopped, match="Run `morton connect books`"):
        shop.post()
    assert shop.states() == []


def test_an_access_token_that_ends_midway_is_renewed(shop: Any) -> None:
    shop.approve()

    def expire(request: httpx.Request, carry_out: Any) -> httpx.Response:
        shop.company.forget_tokens()
        return carry_out()

    shop.wire.faults["POST"] = [expire]
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.made()) == 1


def test_rotated_refresh_tokens_are_kept(shop: Any) -> None:
    assert LedgerTokens(shop.ledger).load("books", "refresh-0") is None
    seen = {"refresh-0"}
    for name in ("00000000000a", "00000000000b"):
        shop.company.forget_tokens()
        shop.approve(name)
        shop.post()
        kept = LedgerTokens(shop.ledger).load("books", "refresh-0")
        assert kept is not None
        assert kept.refresh_token in shop.company._refresh
        assert kept.refresh_token not in seen
        seen.add(kept.refresh_token)


def test_a_run_within_the_life_of_a_stored_token_asks_for_no_other(shop: Any) -> None:
    for name in ("00000000000a", "00000000000b"):
        shop.approve(name)
        shop.post()
    assert [r.url.path for r in shop.wire.requests].count("/oauth2/v1/tokens/bearer") == 1


@pytest.mark.parametrize("header", ["3", "3.0", "Mon, 23 Nov 2026 09:00:03 GMT"], ids=["seconds", "decimal", "date"])
def test_trap_12_a_429_is_waited_out_where_it_says_how_long(
    shop: Any, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("morton_pipeline.accounting.http.wall", lambda: AT)
    shop.approve()
    shop.wire.faults["POST"] = [
        shop.answers(429, fault("ThrottleExceeded", "3001", "SERVICE"), **{"retry-after": header})
    ]
    assert shop.post()[0]["state"] == "posted"
    assert shop.naps == [3.0]


@pytest.mark.parametrize("header", [{}, {"retry-after": "3600"}], ids=["absent", "an hour"])
def test_trap_12_a_429_that_takes_too_long_leaves_the_rest_for_the_next_run(shop: Any, header: dict[str, str]) -> None:
    shop.approve("00000000000a")
    shop.approve("00000000000b", client_id="beta")
    shop.wire.faults["POST"] = [shop.answers(429, **header)]
    shop.post()
    assert shop.states() == ["planned"]
    assert "QuickBooks asks us to slow down; the next run goes on" in shop.only()["reason"]
    assert sorted(r["state"] for r in shop.post()) == ["posted", "posted"]


def test_an_older_throttle_answer_is_not_a_refusal(shop: Any) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [
        shop.answers(403, fault("message=ThrottleExceeded; errorCode=003001; statusCode=403", "3001", "SERVICE"))
    ]
    shop.post()
    assert shop.states() == ["planned"]


def test_a_question_is_asked_again_and_then_nothing_is_sent(shop: Any) -> None:
    for number, client in enumerate(("acme", "beta")):
        shop.approve(f"00000000000{number}", client_id=client)
    down = [shop.answers(503)] * 3
    shop.wire.faults["GET"] = [*down, *down, *down]
    shop.post()
    assert shop.wire.posts() == []
    assert shop.states() == ["planned", "planned"]
    assert "could not be asked whether it has this invoice; nothing was sent" in invoices.current(shop.ledger)[0].reason
    assert {r["state"] for r in shop.post()} == {"posted"}


def test_an_invoice_that_cannot_be_read_back_is_settled_next_time(shop: Any) -> None:
    shop.approve()
    ok = lambda request, carry_out: carry_out()  # noqa: E731
    shop.wire.faults["GET"] = [ok, ok, ok, ok, *[shop.answers(503)] * 3]
    (row,) = shop.post()
    assert row["state"] == "uncertain"
    assert "could not be read back" in row["reason"]
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.wire.posts()) == 1


@pytest.fixture
def skewed(shop: Any) -> Any:
    """An invoice that QuickBooks made otherwise than it was asked to."""
    shop.approve()

    def skew(request: httpx.Request, carry_out: Any) -> httpx.Response:
        response = carry_out()
        for line in shop.made()[0]["Line"]:
            line["Amount"] = Decimal(100)
        return response

    shop.wire.faults["POST"] = [skew]
    shop.post()
    return shop


def test_an_invoice_that_reads_back_otherwise_is_parked(skewed: Any) -> None:
    row = skewed.only()
    assert row["state"] == "parked"
    assert "but its net total is 100, not 154 USD" in row["reason"]
    assert "M202611" in skewed.decide("reopen", "00000000000a").refused[0][1]
    for _ in range(2):
        assert skewed.post()[0]["state"] == "parked"
    assert len(skewed.wire.posts()) == 1


def test_a_parked_invoice_corrected_by_a_person_is_posted(skewed: Any) -> None:
    skewed.made()[0]["Line"][0]["Amount"] = Decimal(154)
    assert skewed.post()[0]["state"] == "posted"
    assert len(skewed.wire.posts()) == 1


def test_a_parked_invoice_deleted_by_a_person_is_sent_anew(skewed: Any) -> None:
    skewed.company.invoices.clear()
    assert skewed.post()[0]["state"] == "posted"
    assert [i["TotalAmt"] for i in skewed.made()] == [Decimal(154)]
    assert len(set(keys(skewed))) == 2


def test_a_parked_invoice_voided_by_a_person_is_dropped_until_approved_anew(skewed: Any) -> None:
    skewed.company.change_invoice({"Id": skewed.made()[0]["Id"], "SyncToken": "0"}, AT, void=True)
    (row,) = skewed.post()
    assert row["state"] == "refused"
    assert "was voided. Reopen the approval" in row["reason"]
    assert skewed.post() == []
    assert "was voided in the accounting system" in skewed.plan().held[0][1]
    skewed.decide("reopen", "00000000000a")
    skewed.decide("approve", "00000000000a")
    assert skewed.post()[0]["state"] == "posted"
    assert sorted(i["TotalAmt"] for i in skewed.made()) == [Decimal(0), Decimal(154)]


def test_case_67_the_accounting_systems_tax_is_not_a_difference(shop: Any) -> None:
    shop.company.tax_percent = Decimal("8.25")
    shop.approve()
    assert shop.post()[0]["state"] == "posted"
    assert shop.made()[0]["TotalAmt"] == Decimal("166.71")
    assert shop.verify() == []


BOUNDS = {
    "amount_per_invoice": (
        {"amount_per_invoice": Decimal(100)},
        "The bound amount_per_invoice is 100, and this invoice comes to 154",
    ),
    "invoices_per_run": ({"invoices_per_run": 0}, "The bound invoices_per_run is 0, and with it this run would send 1"),
    "amount_per_run": (
        {"amount_per_run": Decimal(153)},
        "The bound amount_per_run is 153, and with it this run would come to 154",
    ),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_parks_until_it_is_raised(shop: Any, name: str) -> None:
    limits, sentence = BOUNDS[name]
    generous = shop.limits
    shop.limits = replace(generous, **limits)
    shop.approve()
    for _ in range(2):
        (row,) = shop.post()
        assert row["state"] == "parked"
        assert sentence in row["reason"]
        assert f"raise limits.{name} in connections.yaml" in row["reason"]
    assert steps(shop) == ["planned", "parked"]
    assert shop.wire.posts() == []
    shop.limits = generous
    assert shop.post()[0]["state"] == "posted"


def in_euro(shop: Any, discrepancy_id: str = "00000000000b", **changes: Any) -> str:
    """Approve a row of a client who is billed in euro."""
    shop.company.customers["13"]["CurrencyRef"] = {"value": "EUR"}
    return str(shop.approve(discrepancy_id, client_id="beta", currency="EUR", **changes))


def rates(shop: Any, *rows: str) -> None:
    """Write the rates anew."""
    lines = ["currency,to_currency,rate,effective_from,source", *rows]
    (shop.book.seeds / "exchange_rates.csv").write_text("\n".join(lines) + "\n", "utf-8")


@pytest.mark.parametrize("rate", ["EUR,USD,1.1,2026-11-01,ECB", "USD,EUR,0.9,2026-11-23,ECB"])
def test_case_68_a_bound_is_held_against_what_another_currency_is_worth(shop: Any, rate: str) -> None:
    shop.limits = replace(shop.limits, amount_per_invoice=Decimal(160))
    rates(shop, "EUR,USD,1.01,2026-01-01,ECB", rate, "EUR,USD,1,2026-11-24,ECB")
    in_euro(shop)
    (row,) = shop.post()
    assert row["state"] == "parked"
    (one, other, number, since, source), worth = rate.split(","), {"EUR": "169.4", "USD": "171.11"}[rate[:3]]
    assert (
        f"The bound amount_per_invoice is 160, and this invoice comes to {worth} USD (154 EUR, one {one} being {number} "
        f"{other} since {since} ({source})). Nothing was sent"
    ) in row["reason"]


def test_case_68_a_run_s_money_adds_up_in_the_main_currency(shop: Any) -> None:
    shop.limits = replace(shop.limits, amount_per_run=Decimal("323.39"))
    shop.approve("00000000000a")
    in_euro(shop)
    assert sorted(row["state"] for row in shop.post()) == ["parked", "posted"]
    (parked,) = [row for row in shop.status() if row["state"] == "parked"]
    assert "with it this run would come to 323.4" in parked["reason"]
    shop.limits = replace(shop.limits, amount_per_run=Decimal("323.40"))
    assert [row["state"] for row in shop.post()] == ["posted"]


@pytest.mark.parametrize("written", [(), ("EUR,USD,1.1,2026-11-24,ECB",), ("EUR,GBP,0.86,2026-01-01,ECB",)])
def test_case_68_without_a_rate_in_force_an_invoice_is_parked_and_the_others_go_on(
    shop: Any, written: tuple[str, ...]
) -> None:
    rates(shop, *written)
    shop.approve("00000000000a")
    in_euro(shop)
    rows = {row["client_id"]: row for row in shop.post()}
    assert (rows["acme"]["state"], rows["beta"]["state"]) == ("posted", "parked")
    assert (
        "exchange_rates.csv has no rate from EUR to USD (or back) in force on 2026-11-23: add one, with its source."
    ) in rows["beta"]["reason"]
    rates(shop, "EUR,USD,1.1,2026-11-23,ECB")
    assert [row["state"] for row in shop.post()] == ["posted"]


def test_an_invoice_that_no_bound_can_measure_is_let_past_by_a_person(shop: Any) -> None:
    (shop.book.seeds / "exchange_rates.csv").unlink()
    in_euro(shop)
    (row,) = shop.post()
    assert row["state"] == "parked"
    assert shop.post(release={row["reference"]}, actor="dana")[0]["state"] == "posted"


def test_a_rate_nobody_can_read_stops_the_run_and_is_named(shop: Any) -> None:
    rates(shop, "EUR,USD,1.1,2026-01-01,ECB", "EUR,USD,-1,2026-02-01,ECB")
    shop.approve()
    with pytest.raises(BadInput, match=r"exchange_rates.csv row 3 is no rate: `morton seeds check`"):
        shop.post()
    assert shop.made() == []


def test_case_68_what_was_billed_before_in_another_currency_is_compared_by_its_worth(shop: Any) -> None:
    before = {
        "TxnDate": "2026-10-01",
        "DocNumber": "1001",
        "CustomerRef": {"value": "13"},
        "CurrencyRef": {"value": "USD"},
    }
    shop.company.add_invoice(by_hand("84.00", **before), AT)
    in_euro(shop)
    (row,) = shop.post()
    assert row["state"] == "parked"
    assert (
        "It comes to 169.4 USD (154 EUR, one EUR being 1.1 USD since 2026-01-01 (ECB)), and all that QuickBooks has for "
        "this client in October 2026 is 84: more than limits.change_factor (2) times that."
    ) in row["reason"]
    shop.limits = replace(shop.limits, change_factor=Decimal("2.1"))
    assert shop.post()[0]["state"] == "posted"


def test_one_currency_needs_no_rate_to_be_compared_with_the_month_before(shop: Any) -> None:
    rates(shop)
    clients = shop.book.seeds / "clients.csv"
    clients.write_text("client_id,currency,accounting_customer_id\nbeta,EUR,13\n", "utf-8")
    shop.company.customers["13"]["CurrencyRef"] = {"value": "EUR"}
    before = {
        "TxnDate": "2026-10-01",
        "DocNumber": "1001",
        "CustomerRef": {"value": "13"},
        "CurrencyRef": {"value": "EUR"},
    }
    shop.company.add_invoice(by_hand("60.00", **before), AT)
    in_euro(shop)
    assert "It comes to 154 EUR, and all that" in shop.post()[0]["reason"]


def test_what_a_run_may_send_is_sent_and_the_rest_is_parked_for_good(shop: Any) -> None:
    shop.limits = replace(shop.limits, invoices_per_run=1)
    shop.approve("00000000000a")
    shop.approve("00000000000b", client_id="beta")
    for _ in range(2):
        shop.post()
        assert sorted(shop.states()) == ["parked", "posted"]


def test_a_person_can_release_what_a_bound_parked(shop: Any) -> None:
    shop.limits = replace(shop.limits, amount_per_invoice=Decimal(100))
    shop.approve()
    (row,) = shop.post()
    assert f"--release {row['reference']}" in row["reason"]
    assert shop.post(release={row["reference"]})[0]["state"] == "posted"


def by_hand(amount: str = "154.00", **changes: Any) -> dict[str, Any]:
    detail = {"ItemRef": {"value": "7"}, "ServiceDate": "2026-11-15"}
    return {
        "CustomerRef": {"value": "12"},
        "DocNumber": "1070",
        "Line": [{"Amount": Decimal(amount), "SalesItemLineDetail": detail}],
    } | changes


def test_case_71_an_invoice_made_by_hand_is_found_before_a_second_one_is_sent(shop: Any) -> None:
    shop.company.add_invoice(by_hand(), AT)
    shop.approve()
    (row,) = shop.post()
    assert row["state"] == "parked"
    assert "QuickBooks invoice 101 (1070) has a line of 154 for item 7 in 2026-11" in row["reason"]
    assert shop.wire.posts() == []
    assert shop.decide("reopen", "00000000000a").refused == []
    (row,) = shop.post()
    assert (row["state"], len(shop.made())) == ("refused", 1)
    assert "Taken back before it was sent" in row["reason"]


def test_an_invoice_dated_in_the_month_before_for_this_month_is_found_too(shop: Any) -> None:
    shop.company.add_invoice(by_hand(TxnDate="2026-10-25"), AT)
    shop.approve()
    assert shop.post()[0]["state"] == "parked"


def test_a_look_alike_that_is_none_can_be_released(shop: Any) -> None:
    shop.company.add_invoice(by_hand(), AT)
    shop.approve()
    (row,) = shop.post()
    assert shop.post(release={row["reference"]})[0]["state"] == "posted"


@pytest.mark.parametrize(
    "other",
    [by_hand("880.00"), by_hand(CustomerRef={"value": "13"}), by_hand(Line=[{"Amount": Decimal(154), "SalesItemLineDetail": {
        "ItemRef": {"value": "7"}, "ServiceDate": "2026-12-01"}}])],
    ids=["the monthly invoice", "another customer", "another month"],
)  # fmt: skip
def test_other_invoices_do_not_stand_in_the_way(shop: Any, other: dict[str, Any]) -> None:
    shop.company.add_invoice(other, AT)
    shop.approve()
    assert shop.post()[0]["state"] == "posted"


def test_a_decision_billed_on_another_invoice_of_ours_is_not_billed_again(shop: Any) -> None:
    decision_id = shop.approve("00000000000a")
    shop.company.add_invoice(
        by_hand("1.00", DocNumber="M202611-OTHER", PrivateNote=f"Morton M202611-OTHER: {decision_id}"), AT
    )
    (row,) = shop.post()
    assert row["state"] == "parked"
    assert f"(M202611-OTHER) bills decision {decision_id} already" in row["reason"]


def test_an_invoice_that_loses_an_approval_is_taken_back_and_the_rest_is_sent(shop: Any) -> None:
    generous = shop.limits
    shop.limits = replace(generous, amount_per_invoice=Decimal(10))
    shop.approve("00000000000a")
    shop.approve("00000000000b", service_id="edr", service_name="Managed EDR")
    shop.post()
    shop.row("00000000000a", seal="b" * 64)
    shop.limits = generous
    taken, sent = sorted(shop.post(), key=lambda r: r["state"], reverse=True)
    assert (taken["state"], sent["state"]) == ("refused", "posted")
    assert "the approval is void" in taken["reason"]
    assert [i["TotalAmt"] for i in shop.made()] == [Decimal(154)]


def test_an_approval_undone_while_the_run_goes_on_is_not_sent(shop: Any) -> None:
    shop.approve()

    def reopen(request: httpx.Request, carry_out: Any) -> httpx.Response:
        shop.decide("reopen", "00000000000a", actor="bob")
        return carry_out()

    ok = lambda request, carry_out: carry_out()  # noqa: E731
    shop.wire.faults["GET"] = [ok, reopen]
    shop.post()
    assert (shop.states(), shop.made()) == (["planned"], [])
    shop.post()
    assert (shop.states(), shop.made()) == (["refused"], [])


def test_a_row_approved_again_after_a_change_is_billed_once(shop: Any) -> None:
    generous = shop.limits
    shop.limits = replace(generous, amount_per_invoice=Decimal(10))
    shop.approve()
    shop.post()
    shop.approve(seal="b" * 64, variance_amount=Decimal(176), variance_quantity=Decimal(8), status="void")
    shop.limits = generous
    shop.post()
    assert sorted(shop.states()) == ["posted", "refused"]
    assert [i["TotalAmt"] for i in shop.made()] == [Decimal(176)]


def test_a_refused_invoice_that_exists_after_all_keeps_its_rows_from_being_billed_twice(shop: Any) -> None:
    shop.company.customers["12"]["Active"] = False
    shop.approve()
    (draft,) = shop.plan().drafts
    shop.post()
    shop.company.customers["12"]["Active"] = True
    shop.company.add_invoice(json.loads(draft.payload, parse_float=Decimal), AT)
    shop.approve(seal="b" * 64, variance_amount=Decimal(176), variance_quantity=Decimal(8), status="void")
    for _ in range(2):
        shop.post()
        assert (shop.states(), len(shop.made())) == (["parked"], 1)
    assert "exists without an approval" in shop.only()["reason"]
    assert "settle it first" in shop.plan().held[0][1]


def test_case_75_an_invoice_voided_or_edited_afterwards_is_reported(shop: Any) -> None:
    for number, client in enumerate(("acme", "beta")):
        shop.approve(f"00000000000{number}", client_id=client)
    shop.post()
    assert shop.verify() == []
    first, second = shop.made()
    shop.company.change_invoice({"Id": first["Id"], "SyncToken": "0"}, AT, void=True)
    del shop.company.invoices[second["Id"]]
    said = sorted(row["reason"] for row in shop.verify())
    assert said == [
        f"QuickBooks invoice {first['Id']}: its net total is 0, not 154 USD.",
        f"QuickBooks invoice {second['Id']}: it is gone.",
    ]


def test_a_company_that_numbers_invoices_itself_is_refused_at_the_start(shop: Any) -> None:
    shop.company.has_custom_numbers = False
    shop.approve()
    with pytest.raises(RunStopped, match="Turn on Custom transaction numbers"):
        shop.post()
    assert shop.made() == []


ECHO = "bad app-secret of Bearer eyJ0123456789abcdef for refresh-0"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [200, 400, 403, 429, 500, 503])
def test_no_answer_however_it_fails_shows_a_secret(
    shop: Any, status: int, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shop.approve()
    ok = lambda request, carry_out: carry_out()  # noqa: E731
    answers = [shop.answers(status, fault(ECHO), intuit_tid="app-secret")] * 9
    shop.wire.faults[method] = answers if method == "POST" else [ok, *answers]
    try:
        shop.post()
    except RunStopped as stopped:
        said = str(stopped)
    else:
        said = ""
    said += " ".join(row["reason"] for row in status_of(shop.ledger)) + caplog.text
    assert said
    assert not [word for word in ("app-secret", "eyJ0123", "refresh-0", "/v3/company/") if word in said]


def test_a_fresh_refresh_token_in_the_environment_begins_anew(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.approve("00000000000a")
    shop.post()
    shop.company.revoke()
    shop.approve("00000000000b")
    with pytest.raises(RunStopped, match="Run `morton connect books` to sign in again, then post again"):
        shop.post()
    shop.company._refresh.add("refresh-from-intuit")
    with pytest.raises(RunStopped, match="morton connect books"):
        shop.post()
    monkeypatch.setenv("BOOKS_REFRESH", "refresh-from-intuit")
    assert shop.post()[0]["state"] == "posted"
    kept = LedgerTokens(shop.ledger).load("books", "refresh-from-intuit")
    assert kept is not None
    assert kept.refresh_token in shop.company._refresh
    assert LedgerTokens(shop.ledger).load("books", "refresh-0") is None


def test_no_secret_is_kept_with_the_reason(shop: Any) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [
        shop.answers(400, fault("bad app-secret of Bearer eyJ0123456789abcdef"), **{"intuit_tid": "1-5f"})
    ]
    (row,) = shop.post()
    assert row["state"] == "refused"
    assert "app-secret" not in row["reason"]
    assert "eyJ0123" not in row["reason"]
    assert "(intuit_tid 1-5f)" in row["reason"]
