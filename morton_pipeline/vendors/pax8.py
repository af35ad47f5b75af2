"""Pax8, the distributor. One billable unit is one unit of a subscription: what was bought, and what it costs.

Credentials: an API application of the partner portal; Pax8 has no credentials that only read. Every list declares how
many records there are, so a list that was cut is refused. The published specification names no rate limit, the
partners' own clients speak of 1,000 requests in a minute. A product is read by itself, and only if somebody has a
subscription to it: the catalogue is far longer than what one partner resells, and changes daily. The lines of an
invoice never change, so they are read for the newest thirteen months of invoices and kept after that.
"""

from collections.abc import Iterable
from urllib.parse import quote

import httpx

from morton_pipeline.extract.auth import Credentials, bearer_token
from morton_pipeline.extract.errors import Incomplete, UnexpectedAnswer
from morton_pipeline.extract.pages import Call, Page, Walk, by_page_number
from morton_pipeline.extract.records import Boolean, Number, Record, Text, column, key, number
from morton_pipeline.extract.vendor import Endpoint, Fetched, Json, Proposal, Rows, Rule, Vendor, per_minute

AUDIENCE, TOKEN_PATH = "https://api.pax8.com", "/v1/token"
PAGE = 200
DATE = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
"""How every date begins that Pax8 writes, whatever follows: nothing, a time in UTC, or a time with an offset."""
MONTHS_READ, MONTHS_SURE = 13, 12
"""How many months of invoices have their lines read, and for how many a line that is gone is believed to be gone."""
RUNNING = ("Active", "Activated", "PendingCancel")
"""The states in which a subscription runs; PendingCancel does until its end."""
NOT_RUNNING = (
    ("Cancelled", "cancelled", "The subscription has been cancelled."),
    ("Converted", "converted", "The trial became a subscription of its own, which is the one that counts."),
    ("PendingManual", "pending", "The order is not carried out yet."),
    ("PendingAutomated", "pending", "The order is not carried out yet."),
    ("PendingActivation", "pending", "The subscription is not activated, and Pax8 does not bill it yet."),
    ("WaitingForDetails", "waiting_for_details", "It is sold, and Pax8 waits for details before it provides it."),
    ("Trial", "trial", "A trial ends or is converted; until then nobody is billed for it."),
)
"""The states in which a subscription is nobody's to bill."""
BY_USAGE = ("azure plan", "microsoft azure")
"""How products begin or are called that are billed by usage; nothing else in a subscription tells them apart."""

pages = by_page_number(
    "page", first=0, last_page="page.totalPages", size=("size", PAGE), counted=("content", "page.totalElements")
)


class Company(Record):
    """A client company as Pax8 knows it."""

    id: Text = key("Pax8's own id of the company.")
    name: Text = column("The company's name.", nullable=False)
    status: Text = column("Active, Inactive or Deleted.")
    external_id: Text = column("The partner's own key of the company, where one was given.")
    bill_on_behalf_of_enabled: Boolean = column("Whether Pax8 itself bills the company, on the partner's behalf.")


class Product(Record):
    """A product somebody has a subscription to; one that left the catalogue has its id alone."""

    id: Text = key("Pax8's own id of the product.")
    name: Text = column("The product's name.")
    vendor_name: Text = column("Who makes it.")
    sku: Text = column("Pax8's number of the product.")
    vendor_sku: Text = column("The maker's number of the product.")
    requires_commitment: Boolean = column("Whether it is sold for a fixed term only.")


class Subscription(Record):
    """What a company has bought, with its cost and its commitment."""

    id: Text = key("Pax8's own id of the subscription.")
    parent_subscription_id: Text = column("The subscription it is an add-on of.")
    company_id: Text = column("The company that has it.", nullable=False)
    product_id: Text = column("The product it is of.")
    product_name: Text = column("The product's name; its id where nobody names it.", nullable=False)
    vendor_subscription_id: Text = column("The maker's own id of the subscription.")
    vendor_sku_id: Text = column("The maker's number of what is subscribed to.")
    vendor_sku: Text = column("The maker's number of the product, from the catalogue.")
    vendor_name: Text = column("Who makes the product, from the catalogue.")
    add_on_name: Text = column("Ours: the product's name where it is a running add-on; empty otherwise.")
    usage_name: Text = column("Ours: the product's name where it runs and is billed by usage; empty otherwise.")
    status: Text = column("Active, Activated, PendingCancel, Trial, Cancelled and further states.", nullable=False)
    quantity: Number = number("How many units were bought.", nullable=False)
    price: Number = number("The price of one to the company.")
    partner_cost: Number = number("The cost of one to the partner.")
    currency_code: Text = column("The currency of price and cost.")
    billing_term: Text = column("Monthly, Annual, 2-Year, 3-Year, One-Time, Trial or Activation.")
    start_date: Text = column("When it began.", str_matches=DATE)
    end_date: Text = column("When it ends, where that is known.", str_matches=DATE)
    billing_start: Text = column("From when it is billed.", str_matches=DATE)
    commitment_term__term: Text = column("How long it is committed for, e.g. 1-Year.")
    commitment_term__end_date: Text = column("Until when fewer cannot be had.", str_matches=DATE)
    company__bill_on_behalf_of_enabled: Boolean = column("Whether Pax8 itself bills the company for it.")


class Invoice(Record):
    """An invoice Pax8 sent the partner."""

    id: Text = key("Pax8's own id of the invoice.")
    invoice_date: Text = column("The day of the invoice.", nullable=False, str_matches=DATE)
    due_date: Text = column("When it is due.", str_matches=DATE)
    status: Text = column("Unpaid, Paid, Void, Carried, Nothing Due or Credited.")
    total: Number = number("The invoice's total.", nullable=False)
    currency_code: Text = column("The currency of the total.")
    partner_name: Text = column("The partner it was sent to.")
    company_id: Text = column("The company it is about, where it is about one.")
    external_id: Text = column("The partner's own key of that company.")


class InvoiceItem(Record):
    """One line of an invoice."""

    invoice_id: Text = key("Pax8's own id of the invoice.")
    id: Text = key("Pax8's own id of the line; its place on the invoice where it has none.")
    invoice_date: Text = column("The day of the invoice.", nullable=False, str_matches=DATE)
    sure_until: Text = column("Ours: until when a line that is missing is really gone.", nullable=False)
    type: Text = column("subscription, prorate, one-time, a credit, a charge or a rebate.", nullable=False)
    company_id: Text = column("The company it is about.")
    company_name: Text = column("The company's name.")
    subscription_id: Text = column("The subscription it bills; empty for what is none.")
    product_id: Text = column("The product it bills.")
    product_name: Text = column("The product's name.")
    sku: Text = column("Pax8's number of the product.")
    term: Text = column("Monthly, Annual, Arrears and further terms, spelt in several ways.")
    start_period: Text = column("The first day it is for.", str_matches=DATE)
    end_period: Text = column("The last day it is for.", str_matches=DATE)
    quantity: Number = number("How many units; below zero on some credits.")
    unit_of_measure: Text = column("What one unit is.")
    price: Number = number("The price of one to the company.")
    cost: Number = number("The cost of one to the partner.")
    cost_total: Number = number("The cost of all to the partner.")
    total: Number = number("What the company is to pay for it.")
    currency_code: Text = column("The currency of its amounts.")


def sign_in(c: Credentials) -> httpx.Auth:
    """Client credentials as JSON, for an audience. An older application has its own `audience` and `token_path`."""
    body = {
        "client_id": c.secrets["client_id"],
        "client_secret": c.secrets["client_secret"],
        "audience": str(c.settings.get("audience") or AUDIENCE),
        "grant_type": "client_credentials",
    }
    url = f"{c.auth_url}/{str(c.settings.get('token_path') or TOKEN_PATH).lstrip('/')}"
    return bearer_token(c, lambda: httpx.Request("POST", url, json=body, headers={"Accept": "application/json"}))


def products_bought(_: Fetched) -> Walk:
    """List the subscriptions, then read each product they name; 404 means that it left the catalogue."""
    bought: dict[str, None] = {}
    count = 0
    listing = pages(Call("/v1/subscriptions"))
    try:
        call = next(listing)
        while True:
            page = yield call
            count += len(page.body["content"])
            bought |= dict.fromkeys(_products(page.body["content"]))
            call = listing.send(page)
    except StopIteration:
        pass
    if count and not bought:
        raise UnexpectedAnswer(f"None of the {count} subscriptions names its product; the answer's shape has changed.")
    for product_id in bought:
        yield Call(f"/v1/products/{quote(product_id, safe='')}", note=product_id, accepts=(404,))


def _products(subscriptions: Iterable[dict[str, Json]]) -> list[str]:
    return [str(row["productId"]) for row in subscriptions if row.get("productId")]


def single_product(page: Page) -> Rows:
    """The pages of the list only name the products; the records are the single answers."""
    if page.call.note is None:
        return []
    is_gone = page.body.get("status") == 404
    return [{"id": page.call.note} if is_gone else {**page.body, "id": page.call.note}]


def completed(rows: Rows, fetched: Fetched) -> Rows:
    """Say what the catalogue knows of each subscription's product, and who bills the company."""
    products = {row["id"]: row for row in fetched["products"]}
    companies = {row["id"]: row for row in fetched["companies"]}
    if late := set(_products(rows)) - set(products):
        raise Incomplete(f"{len(late)} products were bought while the catalogue was read; the next reading has them.")
    unnamed = [row for row in products.values() if not row.get("name")]
    if len(unnamed) * 2 > len(products):
        raise Incomplete(f"Pax8 names {len(products) - len(unnamed)} of the {len(products)} products bought from it.")
    return [
        _completed(row, products.get(row.get("productId"), {}), companies.get(row["companyId"], {})) for row in rows
    ]


def _completed(row: dict[str, Json], product: dict[str, Json], company: dict[str, Json]) -> dict[str, Json]:
    name = row.get("productName") or product.get("name") or row.get("productId")
    is_running = str(row["status"]).lower() in {status.lower() for status in RUNNING}
    is_add_on = is_running and bool(row.get("parentSubscriptionId"))
    is_by_usage = is_running and not is_add_on and _is_by_usage(str(name))
    return {
        **row,
        "productName": name,
        "vendorSku": product.get("vendorSku"),
        "vendorName": product.get("vendorName"),
        "addOnName": name if is_add_on else None,
        "usageName": name if is_by_usage else None,
        "company": {"billOnBehalfOfEnabled": company.get("billOnBehalfOfEnabled")},
    }


def _is_by_usage(name: str) -> bool:
    plan, whole = BY_USAGE
    return plan in name.lower() or name.strip().lower() == whole


def lines_of_recent_invoices(fetched: Fetched) -> Walk:
    """Walk the lines of the newest months of invoices, counted from the newest invoice there is."""
    months = {row["id"]: _month(row["invoiceDate"]) for row in fetched["invoices"]}
    newest = max(months.values(), default=0)
    for invoice in fetched["invoices"]:
        if newest - months[invoice["id"]] < MONTHS_READ:
            yield from pages(Call(f"/v1/invoices/{quote(str(invoice['id']), safe='')}/items", note=invoice))


def lines(page: Page) -> Rows:
    """Say of each line which invoice it stands on, and until when it is surely read."""
    invoice, place = page.call.note, int(page.call.params["page"]) * PAGE
    year, month = divmod(_month(invoice["invoiceDate"]) + MONTHS_SURE, 12)
    return [
        {
            **row,
            "invoiceId": invoice["id"],
            "id": row.get("id") or str(place + n),
            "invoiceDate": invoice["invoiceDate"],
            "sureUntil": f"{year:04}-{month + 1:02}-01",
        }
        for n, row in enumerate(page.body["content"], start=1)
    ]


def _month(date: str) -> int:
    return int(date[:4]) * 12 + int(date[5:7]) - 1


VENDOR = Vendor(
    name="pax8",
    title="Pax8",
    category="distributor",
    base_url="https://api.pax8.com",
    auth_url="https://api.pax8.com",
    auth=sign_in,
    secrets=("client_id", "client_secret"),
    optional_settings=("audience", "token_path"),
    cron="40 3 * * *",
    rate=per_minute(300),
    endpoints=(
        Endpoint(
            "companies", Company, "The client companies in Pax8.", path="/v1/companies", records="content", pages=pages
        ),
        Endpoint(
            "products",
            Product,
            "The products somebody has a subscription to.",
            walk=products_bought,
            records=single_product,
        ),
        Endpoint(
            "subscriptions",
            Subscription,
            "Every subscription, whether or not it runs.",
            path="/v1/subscriptions",
            records="content",
            pages=pages,
            needs=("companies", "products"),
            enrich=completed,
            counts="purchased",
            quantity="quantity",
            rules=(
                *(Rule("status", status, name, reason) for status, name, reason in NOT_RUNNING),
                Rule("add_on_name", "*", "add_on", "An add-on of another subscription is no seat of its own."),
                Rule("usage_name", "*", "usage_based", "It is billed by usage; its quantity says nothing."),
            ),
            states={"status": RUNNING},
        ),
        Endpoint("invoices", Invoice, "Every invoice Pax8 sent.", path="/v1/invoices", records="content", pages=pages),
        Endpoint(
            "invoice_items",
            InvoiceItem,
            "The lines of the invoices of the last thirteen months.",
            needs=("invoices",),
            walk=lines_of_recent_invoices,
            records=lines,
        ),
    ),
    proposals=tuple(
        Proposal("subscriptions", "product_name", f"{product}*", service_id, product, "licence")
        for service_id, product in (
            ("M365-BP", "Microsoft 365 Business Premium"),
            ("M365-BS", "Microsoft 365 Business Standard"),
            ("M365-BB", "Microsoft 365 Business Basic"),
            ("M365-E3", "Microsoft 365 E3"),
        )
    ),
)
