"""Invoices and credit notes in Sage: the state machine through this adapter, and the traps of its API, against its
stand-in behind a wire that breaks as scripted."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from morton_pipeline.accounting import status as status_of
from morton_pipeline.accounting.adapter import Found
from morton_pipeline.accounting.errors import LookupFailed, RunStopped
from morton_pipeline.accounting.posting import open_adapter
from morton_pipeline.accounting.sage import Sage, open_sage
from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import invoices, open_ledger, verify
from morton_pipeline.simulator.commit_faults import FaultPlan
from morton_pipeline.simulator.sage import Company, create_app
from tests.accounting.conftest import Fault, Shop, Wire
from tests.conftest import RATES

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)

CONNECTIONS = """
connections:
  - id: books
    vendor: sage
    base_url: http://127.0.0.1:9
    auth_url: http://127.0.0.1:9
    business_id: b-1
    backoff_seconds: 0
    secrets: {client_id: BOOKS_ID, client_secret: BOOKS_SECRET, refresh_token: BOOKS_REFRESH}
accounting: books
"""


class SageWire(Wire):
    """The faults of `POST` and `GET` hit the API; those of `TOKEN` the token endpoint, of `RELEASE` the releases."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.faults |= {"TOKEN": [], "RELEASE": []}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        path = request.url.path
        kind = "TOKEN" if path == "/token" else "RELEASE" if path.endswith("/release") else request.method
        if self.faults[kind]:
            return self.faults[kind].pop(0)(request, lambda: self._pass(request))
        return self._pass(request)

    def _pass(self, request: httpx.Request) -> httpx.Response:
        try:
            return super()._pass(request)
        except ConnectionAbortedError:
            raise httpx.ReadError("cut off", request=request) from None

    def posts(self) -> list[httpx.Request]:
        return [r for r in self.requests if r.method == "POST" and r.url.path.startswith("/v3.1/sales_")
                and not r.url.path.endswith("/release")]  # fmt: skip

    def asked(self, path: str) -> list[httpx.Request]:
        return [r for r in self.requests if r.method == "GET" and r.url.path == f"/v3.1/{path}"]


@dataclass
class SageShop(Shop):
    """The shared shop, with Sage behind it."""

    company: Company  # type: ignore[assignment]
    wire: SageWire  # type: ignore[assignment]

    def adapter(self) -> Sage:
        self.book.__dict__["limits"] = self.limits
        return open_sage(self.book.connection("books"), self.ledger, transport=self.wire, sleep=self.naps.append)

    def made(self) -> list[dict[str, Any]]:
        return [*self.company.sales_invoices.values(), *self.company.sales_credit_notes.values()]

    def body(self) -> dict[str, Any]:
        """The document of the one request that made one."""
        (request,) = self.wire.posts()
        (document,) = json.loads(request.content, parse_float=Decimal).values()
        return dict(document)

    def states_seen(self) -> list[str]:
        return [e["state"] for e in invoices.events_of(self.ledger, self.only()["reference"])]


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    for name, value in (("BOOKS_ID", "app-id"), ("BOOKS_SECRET", "app-secret"), ("BOOKS_REFRESH", "refresh-0")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MORTON_NOW", AT.isoformat())
    (tmp_path / "connections.yaml").write_text(CONNECTIONS, "utf-8")
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    (seeds / "clients.csv").write_text(
        "client_id,client_name,accounting_customer_id\nacme,Acme Corp,c-12\nbeta,Beta & Söhne,c-13\n", "utf-8"
    )
    (seeds / "services.csv").write_text("service_id,accounting_item_id\nm365_bp,s-7\nedr,p-8\n", "utf-8")
    (seeds / "exchange_rates.csv").write_text(RATES, "utf-8")
    return Book(tmp_path)


@pytest.fixture
def company() -> Company:
    company = Company(business_id="b-1", client_id="app-id", client_secret="app-secret", refresh_token="refresh-0")
    company.add_customer("c-12", "Acme Corp")
    company.add_customer("c-13", "Beta & Söhne")
    company.add_item("s-7", "Business Premium", tax_rate_id="GB_STANDARD")
    company.add_item("p-8", "Managed EDR", tax_rate_id="GB_ZERO", is_product=True)
    return company


@pytest.fixture
def shop(book: Book, company: Company) -> Iterator[SageShop]:
    with open_ledger(book) as ledger:
        yield SageShop(book, ledger, company, SageWire(create_app(company, lambda: AT)))


def errors(*said: tuple[str, str], code: str = "RecordInvalid") -> str:
    return json.dumps(
        [{"$severity": "error", "$dataCode": code, "$message": words, "$source": source} for words, source in said]
    )


def credit(shop: SageShop) -> str:
    """Approve what is given back of an earlier invoice."""
    amounts = {"variance_quantity": Decimal(-3), "variance_amount": Decimal(-66)}
    return shop.approve("00000000000c", kind="over_billed", invoiced_as="SI-9", **amounts)


def test_an_approved_row_becomes_one_released_invoice(shop: SageShop) -> None:
    decision_id = shop.approve()
    (row,) = shop.post()
    (made,) = shop.made()
    assert (row["state"], row["accounting_id"], row["decision_ids"]) == ("posted", made["id"], [decision_id])
    assert (made["reference"], made["net_amount"], made["contact"]["id"]) == (row["reference"], Decimal(154), "c-12")
    assert (made["status"]["id"], made["displayed_as"]) == ("UNPAID", "SI-1")
    assert made["notes"] == f"Morton {row['reference']}: {decision_id}"
    assert shop.states_seen() == ["planned", "sending", "sending", "posted"]
    assert verify(shop.ledger).is_whole


def test_case_57_a_draft_to_a_customer_the_seeds_no_longer_name_is_not_released(shop: SageShop) -> None:
    shop.approve(billed_to="c-12>s-7")
    shop.wire.faults["RELEASE"] = [shop.answers(503)] * 3
    assert shop.post()[0]["state"] == "uncertain"
    path = shop.book.seeds / "clients.csv"
    path.write_text(path.read_text("utf-8").replace("Corp,c-12", "Corp,c-13"), "utf-8")
    (row,) = shop.post()
    assert (row["state"], shop.made()[0]["status"]["id"]) == ("parked", "DRAFT")
    assert "was not released: delete it there. ann approved it for customer and item c-12>s-7" in row["reason"]


def test_it_is_compared_as_a_draft_and_only_then_released(shop: SageShop) -> None:
    shop.approve()
    shop.post()
    ours = [r for r in shop.wire.requests if r.url.path.startswith("/v3.1/sales_invoices")]
    made = shop.made()[0]["id"]
    assert shop.body()["status_id"] == "DRAFT"
    assert [(r.method, r.url.path.removeprefix("/v3.1/sales_invoices")) for r in ours[-3:]] == [
        ("POST", ""),
        ("GET", f"/{made}"),
        ("POST", f"/{made}/release"),
    ]


def test_a_connection_that_keeps_drafts_releases_none(shop: SageShop) -> None:
    shop.book.connection("books").settings["release"] = False  # type: ignore[index]
    shop.approve()
    assert shop.post()[0]["state"] == "posted"
    assert (shop.made()[0]["status"]["id"], shop.made()[0]["displayed_as"]) == ("DRAFT", "SI-DRAFT")
    assert shop.verify() == []
    shop.company.release(shop.made()[0]["id"])
    assert shop.verify() == []


def test_case_77_posting_again_makes_nothing_new(shop: SageShop) -> None:
    shop.approve("00000000000a")
    shop.approve("00000000000b", client_id="beta")
    credit(shop)
    shop.post()
    for _ in range(3):
        assert shop.post(at=AT + timedelta(days=30)) == []
    assert (len(shop.made()), len(shop.wire.posts())) == (3, 3)


def test_a_credit_note_gives_back_what_was_approved(shop: SageShop) -> None:
    credit(shop)
    (row,) = shop.post()
    (made,) = shop.company.sales_credit_notes.values()
    assert (row["state"], row["total_amount"], row["accounting_id"]) == ("posted", Decimal(-66), made["id"])
    assert (made["net_amount"], made["tax_amount"], made["status"]["id"]) == (Decimal(66), Decimal("13.2"), "UNPAID")
    (line,) = shop.body()["credit_note_lines"]
    assert (line["quantity"], line["unit_price"]) == (3, Decimal("22.00"))
    assert shop.verify() == []
    assert shop.company.sales_invoices == {}


# What the body says


def test_trap_7_the_tax_of_each_line_is_ours_at_the_systems_own_rate(shop: SageShop) -> None:
    shop.company.tax_rates["GB_STANDARD"]["percentage"] = Decimal("17.5")
    shop.approve(
        "00000000000a", variance_quantity=Decimal(1), unit_price=Decimal("0.20"), variance_amount=Decimal("0.2")
    )
    shop.approve("00000000000b", service_id="edr")
    shop.post()
    first, second = shop.body()["invoice_lines"]
    # 17.5 % of 0.20 is 0.035: half up, 0.04.
    assert (first["tax_rate_id"], first["tax_amount"], first["service_id"]) == ("GB_STANDARD", Decimal("0.04"), "s-7")
    assert (second["tax_rate_id"], second["tax_amount"], second["product_id"]) == ("GB_ZERO", Decimal("0.00"), "p-8")
    assert {line["ledger_account_id"] for line in (first, second)} == {"sales-4000"}
    assert shop.only()["state"] == "posted"


def test_tax_has_the_digits_of_its_currency(shop: SageShop) -> None:
    shop.company.add_customer("c-12", "Acme Corp", currency="JPY")
    shop.approve(currency="JPY", unit_price=Decimal(111), variance_amount=Decimal(777))
    shop.post()
    assert shop.body()["invoice_lines"][0]["tax_amount"] == 155
    assert shop.only()["state"] == "posted"


def test_tax_is_never_a_difference(shop: SageShop) -> None:
    shop.approve()
    shop.post()
    made = shop.made()[0]
    made["invoice_lines"][0]["tax_amount"] = Decimal("99.99")
    made["total_amount"] = Decimal("253.99")
    assert shop.verify() == []


def test_rates_and_items_are_read_once_in_a_run(shop: SageShop) -> None:
    for number, client in enumerate(("acme", "beta")):
        shop.approve(f"00000000000{number}", client_id=client)
    shop.post()
    assert [len(shop.wire.asked(path)) for path in ("services", "tax_rates")] == [1, 1]
    assert shop.wire.asked("tax_rates")[0].url.params["date"] == "2026-11-23"


def test_a_dry_run_yields_the_same_bytes_and_writes_nothing(shop: SageShop) -> None:
    shop.approve()
    (draft,) = shop.plan().drafts
    assert shop.wire.posts() == []
    shop.post()
    (request,) = shop.wire.posts()
    assert re.sub(r'"idempotency_id":"[0-9a-f]{32}",', "", request.content.decode()) == draft.payload


def test_money_is_exact_from_end_to_end(shop: SageShop) -> None:
    shop.approve(variance_quantity=Decimal(3), unit_price=Decimal("33.333"), variance_amount=Decimal("100.00"))
    shop.post()
    (request,) = shop.wire.posts()
    assert b'"net_amount":100.00' in request.content
    assert b'"unit_price":33.333' in request.content
    assert shop.only()["state"] == "posted"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda c: c.services.clear(), "Acme Corp: Sage has no service or product s-7. Correct accounting_item_id"),
        (lambda c: c.add_item("s-7", "Seats", active=False), "Acme Corp: Seats, item s-7 in Sage, is inactive"),
        (lambda c: c.services["s-7"].update(sales_tax_rate=None), "s-7 in Sage, has no tax rate for sales"),
        (lambda c: c.services["s-7"].update(sales_ledger_account=None), "s-7 in Sage, has no ledger account for sales"),
        (lambda c: c.tax_rates.pop("GB_STANDARD"), "the tax rate GB_STANDARD, of which Sage says no percentage"),
    ],
    ids=["missing", "inactive", "no rate", "no account", "unknown rate"],
)  # fmt: skip
def test_an_item_that_cannot_be_sold_holds_its_clients_invoice_alone(shop: SageShop, spoil: Any, said: str) -> None:
    shop.approve("00000000000a")
    shop.approve("00000000000b", client_id="beta", service_id="edr")
    spoil(shop.company)
    ((_, why),) = shop.plan().held
    assert said in why
    assert [row["client_id"] for row in shop.post()] == ["beta"]


def test_rates_that_cannot_be_read_hold_everything_and_say_so(shop: SageShop) -> None:
    for number, client in enumerate(("acme", "beta")):
        shop.approve(f"00000000000{number}", client_id=client)
    down: list[Fault] = [shop.answers(503, "<html>") for _ in range(3)]
    shop.wire.faults["GET"] = down
    plan = shop.plan()
    assert plan.drafts == []
    assert [why for _, why in plan.held] == [
        "Sage could not be asked for its services; nothing was sent, post again. Sage answered 503."
    ] * 2
    assert len(shop.wire.asked("services")) == 3, "it is asked once in a run, with its attempts"
    assert [row["state"] for row in shop.post()] == ["posted", "posted"]


def test_a_note_that_would_be_too_long_is_refused_not_cut(shop: SageShop) -> None:
    shop.approve()
    (draft,) = shop.plan().drafts
    lines = [replace(draft.lines[0], decision_id=f"{n:016x}") for n in range(117)]
    long = replace(draft, lines=lines, item_ids=["s-7"] * len(lines))
    with pytest.raises(
        BadInput, match="Acme Corp: the note with the decisions has 2017 characters, and Sage takes 2000"
    ):
        shop.adapter().render(long)
    fits = replace(long, lines=lines[: Sage.most_lines], item_ids=["s-7"] * Sage.most_lines)
    assert len(json.loads(shop.adapter().render(fits))["sales_invoice"]["notes"]) <= 2000
    assert len(draft.reference) <= Sage.reference_length


# What an answer, or none, means

UNKNOWN = {
    "timeout": lambda shop, after: shop.fails(httpx.ReadTimeout, after=after),
    "cut off": lambda shop, after: shop.fails(httpx.RemoteProtocolError, after=after),
    "500": lambda shop, after: shop.answers(500, errors(("An unexpected error occurred.", "")), after=after),
    "504": lambda shop, after: shop.answers(504, "<html>", after=after),
    "garbled 201": lambda shop, after: shop.answers(201, '{"id": "a', after=after),
    "201 without a document": lambda shop, after: shop.answers(201, "{}", after=after),
}


@pytest.mark.parametrize("is_credit", [False, True], ids=["invoice", "credit note"])
@pytest.mark.parametrize("name", UNKNOWN)
def test_case_72_a_document_made_without_an_answer_is_found_adopted_and_released(
    shop: SageShop, name: str, is_credit: bool
) -> None:
    credit(shop) if is_credit else shop.approve()
    shop.wire.faults["POST"] = [UNKNOWN[name](shop, True)]
    assert shop.post()[0]["state"] == "uncertain"
    (row,) = shop.post()
    assert (row["state"], row["accounting_id"]) == ("posted", shop.made()[0]["id"])
    assert (len(shop.made()), len(shop.wire.posts())) == (1, 1)
    assert shop.made()[0]["status"]["id"] == "UNPAID"


@pytest.mark.parametrize("name", UNKNOWN)
def test_case_72_a_document_never_made_is_sent_again_with_the_same_key_and_bytes(shop: SageShop, name: str) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [UNKNOWN[name](shop, False)]
    shop.post()
    assert shop.post(at=AT + timedelta(days=3))[0]["state"] == "posted"
    first, second = shop.wire.posts()
    assert (first.content, first.url) == (second.content, second.url)
    assert len(shop.made()) == 1
    assert shop.states_seen() == ["planned", "sending", "uncertain", "sending", "sending", "posted"]


def test_what_the_search_does_not_know_yet_is_found_among_the_customers_own(shop: SageShop) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.fails(httpx.ReadTimeout, after=True)]
    shop.post()
    shop.company.unsearchable = 1
    assert shop.post()[0]["state"] == "posted"
    assert (len(shop.made()), len(shop.wire.posts())) == (1, 1)
    assert shop.company.unsearchable == 0


def test_what_was_moved_to_another_customer_is_found_too(shop: SageShop) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.fails(httpx.ReadTimeout, after=True)]
    shop.post()
    shop.company.edit(shop.made()[0]["id"], contact={"id": "c-13", "displayed_as": "Beta"})
    assert "it is for customer c-13, not c-12" in shop.post()[0]["reason"]


def test_a_reference_that_only_contains_ours_is_another_document(shop: SageShop) -> None:
    shop.approve()
    (draft,) = shop.plan().drafts
    body = json.loads(draft.payload, parse_float=Decimal)["sales_invoice"]
    other = {**body, "reference": f"{body['reference']}-B", "notes": "", "invoice_lines": [
        {**body["invoice_lines"][0], "unit_price": Decimal(1)}]}  # fmt: skip
    shop.company.add_document({"sales_invoice": other}, AT)
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.made()) == 2


@pytest.mark.parametrize("forgets", ["at once", "when the token is refreshed"])
def test_an_idempotency_memory_shorter_than_the_retry_is_not_relied_on(shop: SageShop, forgets: str) -> None:
    shop.company.remembered_requests = 0 if forgets == "at once" else None
    shop.company.forgets_at_refresh = forgets != "at once"
    shop.approve()
    shop.wire.faults["POST"] = [shop.fails(httpx.ReadTimeout, after=True)]
    shop.post()
    shop.company.forget_tokens()
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.made()) == 1


def test_two_senders_of_one_invoice_make_one(shop: SageShop) -> None:
    shop.approve()

    def meanwhile(request: httpx.Request, carry_out: Any) -> httpx.Response:
        shop.post()
        return carry_out()

    shop.wire.faults["POST"] = [meanwhile]
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.made()) == 1


@pytest.mark.parametrize("after", [True, False], ids=["carried out", "never arrived"])
def test_a_release_without_an_answer_is_looked_up(shop: SageShop, after: bool) -> None:
    shop.approve()
    shop.wire.faults["RELEASE"] = [shop.fails(httpx.ReadTimeout, after=after)]
    (row,) = shop.post()
    assert row["state"] == "uncertain"
    assert "its release had no clear answer" in row["reason"]
    assert shop.post()[0]["state"] == "posted"
    assert (shop.made()[0]["status"]["id"], len(shop.made())) == ("UNPAID", 1)


def test_releasing_what_a_person_released_meanwhile_does_not_matter(shop: SageShop) -> None:
    shop.approve()

    def meanwhile(request: httpx.Request, carry_out: Any) -> httpx.Response:
        shop.company.release(shop.made()[0]["id"])
        return carry_out()

    shop.wire.faults["RELEASE"] = [meanwhile]
    assert shop.post()[0]["state"] == "posted"


def test_a_draft_that_will_not_be_released_is_parked(shop: SageShop) -> None:
    shop.approve()
    shop.wire.faults["RELEASE"] = [shop.answers(422, errors(("must be after the year end lockdown date", "date")))]
    (row,) = shop.post()
    assert row["state"] == "parked"
    assert f"Invoice {shop.made()[0]['id']} stays a draft in Sage, which will not release it" in row["reason"]
    assert "Open the period there and post again" in row["reason"]
    assert shop.made()[0]["status"]["id"] == "DRAFT"


def test_a_draft_that_differs_is_parked_before_it_is_in_the_books(shop: SageShop) -> None:
    shop.approve()

    def meddle(request: httpx.Request, carry_out: Any) -> httpx.Response:
        answer = carry_out()
        shop.company.edit(answer.json()["id"], net="100")
        return answer

    shop.wire.faults["POST"] = [meddle]
    (row,) = shop.post()
    assert (row["state"], shop.made()[0]["status"]["id"]) == ("parked", "DRAFT")
    assert "its net total is 100, not 154 USD" in row["reason"]


def test_shipping_added_by_hand_is_a_difference(shop: SageShop) -> None:
    shop.approve()
    shop.post()
    shop.company.edit(shop.made()[0]["id"], shipping_net_amount=Decimal(5))
    assert "its net total is 159, not 154 USD" in shop.verify()[0]["reason"]


# Refusals


def test_a_customer_that_is_gone_is_refused_by_name_and_the_rest_go_on(shop: SageShop) -> None:
    shop.company.add_customer("c-12", "Acme Corp", active=False)
    shop.approve("00000000000a")
    shop.approve("00000000000b", client_id="beta")
    rows = {row["client_id"]: row for row in shop.post()}
    assert (rows["acme"]["state"], rows["beta"]["state"]) == ("refused", "posted")
    assert "Sage refused the invoice of acme: The contact does not exist. (RecordNotFound, sales_invoice.contact_id)" in rows["acme"]["reason"]  # fmt: skip
    assert "restore the contact in Sage, or correct accounting_customer_id in clients.csv" in rows["acme"]["reason"]
    shop.company.add_customer("c-12", "Acme Corp")
    assert shop.post()[0]["state"] == "posted"
    assert len({key for key, _ in shop.company.invoice_posts}) == 3, "after a refusal it goes under another key"


def test_a_currency_that_is_not_enabled_says_so(shop: SageShop) -> None:
    shop.company.has_currencies = False
    shop.company.add_customer("c-12", "Acme Corp", currency="EUR")
    shop.approve(currency="EUR")
    (row,) = shop.post()
    assert row["state"] == "refused"
    assert "Turn on multi-currency and this currency in Sage" in row["reason"]


def test_a_locked_period_parks_and_the_next_day_is_sent_anew(shop: SageShop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.company.closed_until = date(2026, 11, 23)
    shop.approve()
    (row,) = shop.post()
    assert row["state"] == "parked"
    assert "The books are closed in Sage for this date" in row["reason"]
    monkeypatch.setenv("MORTON_NOW", "2026-11-24T09:00:00Z")
    assert shop.post()[0]["state"] == "posted"
    assert shop.made()[0]["date"] == "2026-11-24"


def test_a_reference_that_is_taken_by_the_same_document_is_adopted(shop: SageShop) -> None:
    shop.company.refuses_duplicate_references = True
    shop.approve()
    (draft,) = shop.plan().drafts

    def meanwhile(request: httpx.Request, carry_out: Any) -> httpx.Response:
        shop.company.add_document(json.loads(draft.payload, parse_float=Decimal), AT)
        return carry_out()

    shop.wire.faults["POST"] = [meanwhile]
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.made()) == 1


def test_two_documents_of_our_reference_are_parked(shop: SageShop) -> None:
    shop.approve()
    (draft,) = shop.plan().drafts
    for _ in range(2):
        shop.company.add_document(json.loads(draft.payload, parse_float=Decimal), AT)
    (row,) = shop.post()
    assert row["state"] == "parked"
    assert "Sage has 2 invoices numbered" in row["reason"]
    assert shop.wire.posts() == []


@pytest.mark.parametrize("is_old", [False, True], ids=["a list", "wrapped in $diagnoses"])
def test_both_shapes_of_an_error_are_read(shop: SageShop, is_old: bool) -> None:
    shop.company.has_old_errors = is_old
    shop.company.add_customer("c-12", "Acme Corp", active=False)
    shop.approve()
    assert "The contact does not exist. (RecordNotFound" in shop.post()[0]["reason"]


def test_a_401_of_an_ended_subscription_does_not_ask_to_sign_in_again(shop: SageShop) -> None:
    shop.company.is_subscribed = False
    shop.approve()
    with pytest.raises(RunStopped) as stopped:
        shop.post()
    assert "No active subscription. (MSE)" in str(stopped.value)
    assert "renew the business's subscription in Sage" in str(stopped.value)
    assert "sign in" not in str(stopped.value)


def test_a_user_who_may_not_write_stops_the_run(shop: SageShop) -> None:
    shop.company.may_write = False
    shop.approve()
    with pytest.raises(RunStopped, match="give them full access to Sales"):
        shop.post()
    assert shop.states() == ["planned"]


def test_trap_12_429_waits_as_asked_and_then_leaves_the_rest(shop: SageShop) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.answers(429, **{"Retry-After": "7"})]
    assert (shop.post()[0]["state"], shop.naps) == ("posted", [7.0])
    shop.approve("00000000000b", client_id="beta")
    shop.wire.faults["POST"] = [shop.answers(429)]
    (row,) = shop.post()
    assert row["state"] == "planned"
    assert "Sage asks us to slow down" in row["reason"]
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.made()) == 2


# Voided, deleted, edited


def test_case_75_what_was_edited_or_voided_afterwards_is_reported(shop: SageShop) -> None:
    for number, client in enumerate(("acme", "beta")):
        shop.approve(f"00000000000{number}", client_id=client)
    shop.post()
    assert shop.verify() == []
    first, second = shop.made()
    shop.company.void(first["id"])
    assert first["net_amount"] == Decimal(154), "Sage keeps a voided one's amounts"
    shop.company.edit(second["id"], notes="")
    assert sorted(row["reason"] for row in shop.verify()) == sorted(
        [
            f"Sage invoice {first['id']}: its net total is 0, not 154 USD.",
            f"Sage invoice {second['id']}: its note does not carry our mark {second['reference']}.",
        ]
    )


def test_a_document_voided_before_it_was_adopted_is_dropped(shop: SageShop) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.fails(httpx.ReadTimeout, after=True)]
    shop.post()
    (made,) = shop.made()
    shop.company.release(made["id"])
    shop.company.void(made["id"])
    (row,) = shop.post()
    assert row["state"] == "refused"
    assert f"Sage invoice {made['id']} with this number was voided" in row["reason"]
    assert shop.post() == []


def test_a_deleted_draft_is_made_again_under_another_key(shop: SageShop) -> None:
    shop.approve()

    def meddle(request: httpx.Request, carry_out: Any) -> httpx.Response:
        answer = carry_out()
        shop.company.edit(answer.json()["id"], net="100")
        return answer

    shop.wire.faults["POST"] = [meddle]
    assert shop.post()[0]["state"] == "parked"
    shop.company.void(shop.made()[0]["id"])
    assert shop.made() == []
    (row,) = shop.post()
    assert (row["state"], [d["net_amount"] for d in shop.made()]) == ("posted", [Decimal(154)])
    assert len({key for key, _ in shop.company.invoice_posts}) == 2


def test_a_reading_does_not_mark_a_document_as_sent_to_the_customer(shop: SageShop) -> None:
    shop.approve()
    shop.post()
    shop.verify()
    assert shop.made()[0]["sent"] is False


def test_an_invoice_made_by_hand_is_proposed_not_doubled(shop: SageShop) -> None:
    shop.approve()
    (draft,) = shop.plan().drafts
    body = json.loads(draft.payload, parse_float=Decimal)["sales_invoice"]
    by_hand = {**body, "reference": "PO 77", "notes": "", "status_id": "UNPAID"}
    shop.company.add_document({"sales_invoice": by_hand}, AT)
    (row,) = shop.post()
    assert row["state"] == "parked"
    assert "(SI-1) has a line of 154 for item s-7 in 2026-11" in row["reason"]


# Tokens


def test_trap_7_a_token_that_dies_in_the_middle_of_a_list_is_renewed(shop: SageShop) -> None:
    for number in range(450):
        shop.company.add_item(f"x-{number}", f"Item {number}")
    shop.approve()

    def die(request: httpx.Request, carry_out: Any) -> httpx.Response:
        shop.company.forget_tokens()
        return carry_out()

    live: Fault = lambda request, carry_out: carry_out()  # noqa: E731
    shop.wire.faults["GET"] = [live, die]
    assert len(shop.plan().drafts) == 1
    pages = [r.url.params["page"] for r in shop.wire.asked("services")]
    assert pages == ["1", "2", "2", "3"]
    assert len([r for r in shop.wire.requests if r.url.path == "/token"]) == 2


@pytest.mark.parametrize("kind", ["POST", "RELEASE"])
def test_a_token_that_dies_before_a_document_is_sent_makes_one(shop: SageShop, kind: str) -> None:
    shop.approve()

    def die(request: httpx.Request, carry_out: Any) -> httpx.Response:
        shop.company.forget_tokens()
        return carry_out()

    shop.wire.faults[kind] = [die]
    assert shop.post()[0]["state"] == "posted"
    assert len(shop.made()) == 1


def test_the_refresh_token_rotates_at_every_use_and_the_newest_is_kept(shop: SageShop) -> None:
    shop.approve()
    shop.post()
    (rotated,) = shop.company._refresh
    shop.company.forget_tokens()
    shop.verify()
    forms = [parse_qs(r.content.decode()) for r in shop.wire.requests if r.url.path == "/token"]
    assert [form["refresh_token"] for form in forms] == [["refresh-0"], [rotated]]
    with pytest.raises(KeyError):
        shop.company.exchange(rotated)


def test_a_chain_that_broke_asks_to_connect_again(shop: SageShop) -> None:
    shop.company.revoke()
    shop.approve()
    with pytest.raises(RunStopped, match="Run `morton connect books` to sign in again, then post again"):
        shop.post()


def test_every_request_names_the_business(shop: SageShop) -> None:
    shop.approve()
    shop.post()
    assert {r.headers.get("x-business") for r in shop.wire.requests if r.url.path != "/token"} == {"b-1"}
    (token,) = (r for r in shop.wire.requests if r.url.path == "/token")
    assert "x-business" not in token.headers


# Lists


@pytest.mark.parametrize("word", ["$itemsPerPage", "$items_per_page"])
def test_trap_7_both_spellings_of_the_page_size_are_read(shop: SageShop, word: str) -> None:
    shop.company.page_word = word
    for number in range(450):
        shop.company.add_item(f"x-{number}", f"Item {number}")
    shop.approve()
    assert len(shop.plan().drafts) == 1
    assert len(shop.wire.asked("services")) == 3


@pytest.mark.parametrize("most", [100, 50, 25])
def test_a_page_that_is_too_large_for_sage_is_asked_for_in_smaller_ones(shop: SageShop, most: int) -> None:
    shop.company.most_items = most
    for number in range(130):
        shop.company.add_item(f"x-{number}", f"Item {number}")
    shop.approve()
    (row,) = shop.post()
    assert row["state"] == "posted"
    asked = [(r.url.params["page"], r.url.params["items_per_page"]) for r in shop.wire.asked("services")]
    whole = [(str(n), str(most)) for n in range(1, -(-131 // most) + 1)]
    assert asked == [("1", str(size)) for size in (200, 100, 50) if size > most] + whole


def test_a_page_that_fails_in_the_middle_goes_on_where_it_was(shop: SageShop) -> None:
    for number in range(450):
        shop.company.add_item(f"x-{number}", f"Item {number}")
    shop.approve()
    live: Fault = lambda request, carry_out: carry_out()  # noqa: E731
    shop.wire.faults["GET"] = [live, shop.answers(502, "<html>Bad Gateway")]
    assert len(shop.plan().drafts) == 1
    asked = [(r.url.params["page"], r.url.params["items_per_page"]) for r in shop.wire.asked("services")]
    assert asked == [("1", "200"), ("2", "200"), ("3", "100"), ("4", "100"), ("5", "100")]
    assert {r.url.params["attributes"] for r in shop.wire.asked("services")} == {"all"}


@pytest.mark.parametrize("change", [{"$total": 9}, {"$items": None}, {"$next": "https://elsewhere.example/x"}],
                         ids=["total", "no items", "foreign link"])  # fmt: skip
def test_a_list_that_is_not_whole_is_no_answer(shop: SageShop, change: dict[str, Any]) -> None:
    shop.approve()

    def cut(request: httpx.Request, carry_out: Any) -> httpx.Response:
        body = carry_out().json() | change
        return httpx.Response(200, json=body, request=request)

    live: Fault = lambda request, carry_out: carry_out()  # noqa: E731
    shop.wire.faults["GET"] = [live, live, cut]
    (row,) = shop.post()
    assert row["state"] == "planned"
    assert "Sage could not be asked whether it has this invoice; nothing was sent" in row["reason"]
    assert shop.wire.posts() == []
    assert {r.url.host for r in shop.wire.requests} == {"127.0.0.1"}


def test_a_document_shown_without_its_lines_is_no_answer(shop: SageShop) -> None:
    shop.approve()
    shop.post()
    del shop.made()[0]["invoice_lines"]
    with pytest.raises(LookupFailed, match="otherwise than documented"):
        shop.verify()


# What may be shown

ECHO = "bad app-secret of Bearer eyJ0123456789abcdef for refresh-0"


@pytest.mark.parametrize("method", ["GET", "POST", "RELEASE", "TOKEN"])
@pytest.mark.parametrize("status", [200, 400, 403, 422, 429, 500, 503])
def test_no_answer_however_it_fails_shows_a_secret(
    shop: SageShop, status: int, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shop.approve()
    answer = shop.answers(status, errors((ECHO, ECHO), code=ECHO), x_request_id="app-secret")
    shop.wire.faults[method] = [answer] * 9
    said = ""
    try:
        shop.post()
        said = " ".join(why for _, why in shop.plan().held)
    except RunStopped as stopped:
        said = str(stopped)
    said += " ".join(row["reason"] for row in status_of(shop.ledger)) + caplog.text
    assert said
    assert not [word for word in ("app-secret", "eyJ0123", "refresh-0") if word in said]


def test_a_book_whose_accounting_is_sage_posts_there(shop: SageShop) -> None:
    adapter = open_adapter(shop.book, shop.ledger)
    assert (type(adapter), adapter.destination, adapter.title) == (Sage, "books", "Sage")
    adapter.close()


def test_the_stand_in_remembers_what_an_earlier_process_wrote_down(shop: SageShop) -> None:
    shop.approve()
    shop.wire.faults["POST"] = [shop.fails(httpx.ReadTimeout, after=True)]
    shop.post()
    later = Company(business_id="b-1", client_id="app-id", client_secret="app-secret")
    for table in ("contacts", "services", "products"):
        later.table(table).update(shop.company.table(table))
    later.recall(shop.company.memory())
    shop.company, shop.wire = later, SageWire(create_app(later, lambda: AT))
    assert shop.post()[0]["state"] == "posted"
    assert [d["net_amount"] for d in later.sales_invoices.values()] == [Decimal(154)]


def test_a_list_is_read_as_signed_documents(shop: SageShop) -> None:
    shop.approve()
    credit(shop)
    shop.post()
    found: list[Found] = shop.adapter().list_since(date(2026, 11, 1))
    assert [(f.is_credit, f.net_amount) for f in found] == [(False, Decimal(154)), (True, Decimal(-66))]
    assert shop.adapter().list_since(date(2026, 11, 24)) == []
    assert len(shop.adapter().list_since(date.min)) == 2


@pytest.mark.parametrize("seed", [1, 2])
def test_case_72_money_leaves_once_through_a_storm(shop: SageShop, seed: int) -> None:
    """No idempotency memory, a search that trails behind, and answers that get lost, of releases too."""
    shop.company.remembered_requests = 0
    storm = shop.company.plan = FaultPlan(
        seed=seed, unavailable=0.1, drop_after_commit=0.25, error_after_commit=0.15, hang_after_commit=0, slow=0
    )
    for number in range(12):
        shop.approve(
            f"{number:012x}", client_id=("acme", "beta")[number % 2], period_month=date(2026, number // 2 + 1, 1)
        )
    credit(shop)
    for _ in range(12):
        shop.company.unsearchable = 2
        shop.company.forget_tokens()
        shop.post()
    shop.company.plan = FaultPlan()
    shop.post()
    rows = status_of(shop.ledger)
    assert all(storm.counts[what] for what in ("unavailable", "drop_after_commit", "error_after_commit"))
    assert {row["state"] for row in rows} == {"posted"}, [row["reason"] for row in rows]
    assert sorted(d["reference"] for d in shop.made()) == sorted(row["reference"] for row in rows)
    assert {d["status"]["id"] for d in shop.made()} == {"UNPAID"}
    assert (len(shop.company.sales_invoices), len(shop.company.sales_credit_notes)) == (12, 1)
    assert shop.verify() == []
