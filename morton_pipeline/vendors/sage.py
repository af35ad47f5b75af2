"""Sage Accounting: the accounting system. Read here: what was really invoiced. Written in `accounting/`.

Credentials: a Sage app's client id and secret, and a refresh token of a user of the business. An access token lasts
five minutes, so one ends in the middle of most walks; the refresh token rotates at every use, and the ledger keeps the
newest, encrypted. Every request names its business: without one Sage answers for whichever the user opened last.
Amounts are text in its answers and are read as they stand. Every list says how many records it has.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import httpx

from morton_pipeline.extract.auth import Company, SignIn, naming, refresh_token
from morton_pipeline.extract.errors import Incomplete, UnexpectedAnswer
from morton_pipeline.extract.pages import Call, Page, Walk
from morton_pipeline.extract.records import Boolean, Number, Record, Text, column, key, number
from morton_pipeline.extract.vendor import Endpoint, Fetched, Json, Rows, Vendor, per_minute

API, TOKEN_PATH = "/v3.1", "/token"
SIZES = (200, 100, 50, 25)
"""Records of a page. The first is the most Sage allows; with all attributes it sometimes fails on as many."""
TOO_LARGE = (500, 502, 504)
"""How Sage answers where a page was more than it managed."""


@dataclass(frozen=True)
class Kind:
    """One kind of document, in Sage's words."""

    path: str
    name: str
    lines: str


INVOICE = Kind("sales_invoices", "sales_invoice", "invoice_lines")
CREDIT_NOTE = Kind("sales_credit_notes", "sales_credit_note", "credit_note_lines")
DRAFTS = ("DRAFT", "PRO_FORMA")
"""The states of a document that is in no account yet."""


class Contact(Record):
    """A customer in Sage."""

    id: Text = key("Sage's own id of the contact.")
    name: Text = column("The customer's name.", nullable=False)
    reference: Text = column("The short reference people know the customer by.")
    currency__id: Text = column("The customer's currency.")
    deleted_at: Text = column("When the contact was deleted, where it was.")


class Service(Record):
    """A service or a product in Sage: whatever a line can sell."""

    id: Text = key("Sage's own id of the service or product.")
    kind: Text = column("Ours: service or product.", nullable=False)
    displayed_as: Text = column("Its name.", nullable=False)
    item_code: Text = column("Its code.")
    active: Boolean = column("Whether it can be invoiced; empty where Sage does not say.")
    list_price: Number = number("Ours: the first of its sales prices.")
    sales_ledger_account__id: Text = column("The account its sales go to.")
    sales_tax_rate__id: Text = column("The tax rate of its sales.")
    deleted_at: Text = column("When it was deleted, where it was.")


class SalesInvoice(Record):
    """A sales invoice or a sales credit note in Sage, whoever made it."""

    id: Text = key("Sage's own id of the document.")
    is_credit_note: Boolean = column("Ours: whether it is a credit note.", nullable=False)
    displayed_as: Text = column("Its number; a draft has none yet.")
    date: Text = column("The document's date.", nullable=False, str_matches=r"^\d{4}-\d{2}-\d{2}$")
    due_date: Text = column("When it is due.")
    reference: Text = column("The reference on it; ours on those we made.")
    notes: Text = column("A note the customer does not see; carries our reference and the decisions we billed.")
    contact__id: Text = column("The customer's id.", nullable=False)
    contact__displayed_as: Text = column("The customer's name.")
    currency__id: Text = column("Its currency.")
    status__id: Text = column("DRAFT, PRO_FORMA, UNPAID, PART_PAID, PAID or VOID.", nullable=False)
    net_amount: Number = number("The total before tax.", nullable=False)
    total_amount: Number = number("The total, tax included.", nullable=False)
    void_reason: Text = column("Why it was voided, where it was.")
    deleted_at: Text = column("When it was deleted, where it was.")


class InvoiceLine(Record):
    """One line of a sales invoice or a sales credit note."""

    sales_invoice_id: Text = key("Sage's own id of the document.")
    id: Text = key("Sage's own id of the line.")
    is_credit_note: Boolean = column("Ours: whether it stands on a credit note.", nullable=False)
    description: Text = column("The line's text.")
    service__id: Text = column("The service's id, where it sells one.")
    product__id: Text = column("The product's id, where it sells one.")
    quantity: Number = number("The quantity sold.")
    unit_price: Number = number("The price of one.")
    net_amount: Number = number("The line's net amount.", nullable=False)


def pages(call: Call) -> Walk:
    """Follow `$next` to the list's end. A page that is more than Sage manages is asked for again in smaller ones."""
    seen, size, followed = 0, SIZES[0], set[str]()
    call = replace(call, params={**call.params, "page": 1, "items_per_page": size})
    while True:
        smaller = next((s for s in SIZES if s < size and seen % s == 0), None)
        page = yield replace(call, accepts=TOO_LARGE if smaller else ())
        if page.body is None and smaller:
            size = smaller
            path, params = call.path.partition("?")[0], dict(httpx.URL(call.path).params) | dict(call.params)
            call = replace(call, path=path, params={**params, "page": seen // size + 1, "items_per_page": size})
            continue
        seen += len(page.body["$items"])
        link = page.body["$next"]
        if not link:
            break
        if link in followed or not link.startswith("/"):
            raise UnexpectedAnswer(f"{call.path} sent a next link that leads nowhere new: {link[:100]}")
        followed.add(link)
        size = int(page.body.get("$itemsPerPage") or page.body["$items_per_page"])
        call = replace(call, path=API + link.removeprefix(API), params={})
    if seen != int(page.body["$total"]):
        raise Incomplete(f"{call.path.partition('?')[0]} declared {page.body['$total']} records and sent {seen}.")


def lists(*calls: Call) -> Callable[[Fetched], Walk]:
    """Walk several lists one after the other, with all attributes."""

    def walk(_: Fetched) -> Walk:
        for call in calls:
            yield from pages(replace(call, params={**call.params, "attributes": "all"}))

    return walk


def items(page: Page) -> Rows:
    """The records of a page; each says which list it came from where that matters."""
    if page.body is None:
        return []
    return [{**row, **(page.call.note or {})} for row in page.body["$items"]]


def sold(page: Page) -> Rows:
    """Services and products, each with the first of its prices."""
    return [{**row, "list_price": _list_price(row)} for row in items(page)]


def _list_price(row: dict[str, Json]) -> Json:
    prices = row.get("sales_rates") or row.get("sales_prices") or ()
    return next((price.get("rate", price.get("price")) for price in prices), None)


def lines(fetched: Fetched) -> Rows:
    """The lines of every document."""
    return [
        {**line, "sales_invoice_id": document["id"], "is_credit_note": document["is_credit_note"]}
        for document in fetched["sales_invoices"]
        for line in document[(CREDIT_NOTE if document["is_credit_note"] else INVOICE).lines]
    ]


def businesses(body: Json) -> tuple[list[Company], str]:
    """One page of the businesses; the next one's path comes without the version."""
    following = body.get("$next")
    listed = [Company(b["id"], b.get("displayed_as") or b.get("name") or "") for b in body["$items"]]
    return listed, f"{API}{following}" if following else ""


SIGN_IN = SignIn(
    login_url="https://www.sageone.com",
    path="/oauth2/auth/central",
    params={"filter": "apiv3.1"},
    token_path=TOKEN_PATH,
    scopes=("full_access",),
    read_scopes=("readonly",),
    setting="business_id",
    client_in_form=True,
    companies_path=f"{API}/businesses",
    read_companies=businesses,
)

VENDOR = Vendor(
    name="sage",
    title="Sage Accounting",
    category="accounting",
    base_url="https://api.accounting.sage.com",
    auth_url="https://oauth.accounting.sage.com",
    sign_in=SIGN_IN,
    auth=naming("X-Business", "business_id", refresh_token(TOKEN_PATH, client_in_form=True)),
    secrets=("client_id", "client_secret", "refresh_token"),
    settings=("business_id",),
    optional_settings=("release",),
    cron="30 2 * * *",
    rate=per_minute(90),
    owner="team:finance",
    endpoints=(
        Endpoint(
            "contacts",
            Contact,
            "The customers in Sage.",
            walk=lists(Call(f"{API}/contacts", {"contact_type_id": "CUSTOMER"})),
            records=items,
        ),
        Endpoint(
            "services",
            Service,
            "The services and products in Sage.",
            walk=lists(
                Call(f"{API}/services", note={"kind": "service"}), Call(f"{API}/products", note={"kind": "product"})
            ),
            records=sold,
        ),
        Endpoint(
            "sales_invoices",
            SalesInvoice,
            "Every sales invoice and sales credit note in Sage, ours and those made by hand.",
            walk=lists(
                Call(f"{API}/{INVOICE.path}", note={"is_credit_note": False}),
                Call(f"{API}/{CREDIT_NOTE.path}", note={"is_credit_note": True}),
            ),
            records=items,
        ),
        Endpoint(
            "invoice_lines",
            InvoiceLine,
            "The lines of every sales invoice and sales credit note.",
            needs=("sales_invoices",),
            derive=lines,
        ),
    ),
)
