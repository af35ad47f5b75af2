"""Xero: the accounting system. Read here: what was really invoiced and credited. Written in `accounting/`.

Credentials: a Xero app's client id and secret, and a refresh token with the scopes `offline_access`,
`accounting.transactions.read`, `accounting.contacts.read` and `accounting.settings.read`. The refresh token rotates;
the ledger keeps the newest, encrypted.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from morton_pipeline.extract.auth import Company, SignIn, naming, refresh_token
from morton_pipeline.extract.errors import UnexpectedAnswer
from morton_pipeline.extract.pages import Call, Flow, Page, Walk, by_page_number
from morton_pipeline.extract.records import Boolean, Number, Record, Text, column, key, number
from morton_pipeline.extract.vendor import Endpoint, Fetched, Json, Rows, Vendor, per_minute

API = "/api.xro/2.0"
PAGE = 100
"""Documents of one page, Xero's own choice; only a page carries their lines."""
PRICE_DIGITS: Mapping[str, str | int] = {"unitdp": 4}
"""Asked for with every document and item: without it Xero rounds prices to cents."""
TOKEN_PATH = "/connect/token"

_OURS = r"M(\d{4})(0[1-9]|1[0-2])-[A-Z2-7]{12}"
_NUMBER, _MARK = re.compile(_OURS), re.compile(rf"\bMorton {_OURS}:")


@dataclass(frozen=True)
class Kind:
    """Invoices or credit notes: alike but for their words."""

    collection: str
    name: str
    type: str

    @property
    def id(self) -> str:
        """The word for its id."""
        return f"{self.name}ID"

    @property
    def number(self) -> str:
        """The word for its number."""
        return f"{self.name}Number"


INVOICE = Kind("Invoices", "Invoice", "ACCREC")
CREDIT_NOTE = Kind("CreditNotes", "CreditNote", "ACCRECCREDIT")


class Contact(Record):
    """A contact in Xero, customer or not."""

    contact_id: Text = key("Xero's own id of the contact.")
    name: Text = column("The contact's name.", nullable=False)
    contact_status: Text = column("ACTIVE, ARCHIVED or GDPRREQUEST; only an active one can be invoiced.")
    default_currency: Text = column("The currency the contact is invoiced in, where one is set.")


class Item(Record):
    """A product or service in Xero."""

    item_id: Text = key("Xero's own id of the item.")
    code: Text = column("The code that invoice lines name it by.", nullable=False)
    name: Text = column("The item's name.")
    is_sold: Boolean = column("Whether the item can be put on an invoice.")
    sales_details__unit_price: Number = number("The item's list price.")


class Document(Record):
    """An invoice or a credit note in Xero, whoever made it. A credit note's id and number stand in the same columns."""

    invoice_id: Text = key("Xero's own id of the invoice or credit note.")
    type: Text = column("ACCREC for an invoice, ACCRECCREDIT for a credit note.", nullable=False)
    invoice_number: Text = column("The number on it.")
    reference: Text = column("The reference on it, for the customer to see; carries our mark on those we made.")
    status: Text = column(
        "DRAFT, SUBMITTED, AUTHORISED or PAID; VOIDED when it was taken back, DELETED when it never was in the books.",
        nullable=False,
    )
    contact__contact_id: Text = column("The customer's id.", nullable=False)
    contact__name: Text = column("The customer's name.")
    currency_code: Text = column("Its currency.")
    date_string: Text = column("Its date.", nullable=False, str_matches=r"^\d{4}-\d{2}-\d{2}")
    due_date_string: Text = column("When it is due.")
    line_amount_types: Text = column("Whether line amounts are Exclusive or Inclusive of tax, or know NoTax.")
    sub_total: Number = number("Its total before tax.")
    total: Number = number("Its total, tax included.")


class InvoiceLine(Record):
    """One line of an invoice or credit note that names an item or an amount."""

    invoice_id: Text = key("Xero's own id of the invoice or credit note.")
    line_item_id: Text = key("Xero's own id of the line.")
    type: Text = column("ACCREC on an invoice, ACCRECCREDIT on a credit note.", nullable=False)
    served_on: Text = column("The month a document of ours is for; a line of Xero has no date of its own.")
    line_amount_types: Text = column("Whether the amount is Exclusive or Inclusive of tax, or knows NoTax.")
    description: Text = column("The line's text.")
    item_code: Text = column("The code of the item.")
    quantity: Number = number("The quantity sold.")
    unit_amount: Number = number("The price of one.")
    line_amount: Number = number("The line's amount after discounts, with tax where the document says Inclusive.")
    tax_amount: Number = number("The tax of the line.")


def listed(collection: str) -> Flow:
    """Walk a list in pages, and insist on as many records as Xero says there are."""
    return by_page_number(
        "page",
        first=1,
        last_page="pagination.pageCount",
        size=("pageSize", PAGE),
        counted=(collection, "pagination.itemCount"),
    )


def documents(_: Fetched) -> Walk:
    """Walk the invoices, then the credit notes, in an order that edits do not change."""
    for kind in (INVOICE, CREDIT_NOTE):
        params = {"where": f'Type=="{kind.type}"', "order": kind.id, **PRICE_DIGITS}
        yield from listed(kind.collection)(Call(f"{API}/{kind.collection}", params))


def either(page: Page) -> Rows:
    """Return a page's invoices or credit notes, both with an InvoiceID and an InvoiceNumber, and with a plain date."""
    for kind in (INVOICE, CREDIT_NOTE):
        if isinstance(rows := page.body.get(kind.collection), list):
            return [
                {
                    **row,
                    "InvoiceID": row[kind.id],
                    "InvoiceNumber": row.get(kind.number),
                    "DateString": str(dated) if (dated := day(row)) else None,
                }
                for row in rows
            ]
    raise UnexpectedAnswer("Xero answered the list of documents with neither invoices nor credit notes.")


def day(document: Mapping[str, Json]) -> date | None:
    """Read a document's date: 2026-11-23T00:00:00 to people, /Date(1795392000000+0000)/ to programs."""
    for text in (str(document.get("DateString")), str(document.get("Date"))):
        if epoch := re.fullmatch(r"/Date\((-?\d+)([+-]\d{4})?\)/", text):
            return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(epoch[1]))).date()
        with suppress(ValueError):
            return date.fromisoformat(text[:10])
    return None


def billed_month(number: str, reference: str) -> date | None:
    """Return the month a document of ours is for, by its number or by our mark in its reference."""
    ours = _NUMBER.fullmatch(number) or _MARK.search(reference)
    return date(int(ours[1]), int(ours[2]), 1) if ours else None


def lines(fetched: Fetched) -> Rows:
    """The lines of every document that name an item or an amount; a line of text does neither."""
    found = []
    for document in fetched["invoices"]:
        month = billed_month(str(document["InvoiceNumber"] or ""), str(document.get("Reference") or ""))
        inherited = {name: document.get(name) for name in ("InvoiceID", "Type", "LineAmountTypes")}
        for line in document["LineItems"]:
            if line.get("ItemCode") or line.get("LineAmount"):
                found.append({**line, **inherited, "ServedOn": str(month) if month else None})
    return found


def companies(body: Json) -> tuple[list[Company], str]:
    """The organisations among the tenants; an accountant's practice holds no invoices."""
    return [Company(t["tenantId"], t["tenantName"]) for t in body if t["tenantType"] == "ORGANISATION"], ""


SIGN_IN = SignIn(
    login_url="https://login.xero.com",
    path="/identity/connect/authorize",
    token_path=TOKEN_PATH,
    scopes=("offline_access", "accounting.transactions", "accounting.contacts.read", "accounting.settings.read"),
    read_scopes=(
        "offline_access",
        "accounting.transactions.read",
        "accounting.contacts.read",
        "accounting.settings.read",
    ),
    setting="xero_tenant_id",
    has_pkce=True,
    companies_path="/connections",
    read_companies=companies,
)

VENDOR = Vendor(
    name="xero",
    title="Xero",
    category="accounting",
    base_url="https://api.xero.com",
    auth_url="https://identity.xero.com",
    sign_in=SIGN_IN,
    auth=naming("xero-tenant-id", "xero_tenant_id", refresh_token(TOKEN_PATH)),
    secrets=("client_id", "client_secret", "refresh_token"),
    settings=("xero_tenant_id",),
    optional_settings=("scopes", "status", "due_days", "account_code", "tax_type"),
    cron="30 2 * * *",
    rate=per_minute(50),
    owner="team:finance",
    endpoints=(
        Endpoint(
            "contacts",
            Contact,
            "The contacts in Xero, archived ones too.",
            path=f"{API}/Contacts",
            params={"includeArchived": "true", "order": "ContactID"},
            records="Contacts",
            pages=listed("Contacts"),
        ),
        Endpoint(
            "items",
            Item,
            "The products and services in Xero.",
            path=f"{API}/Items",
            params=PRICE_DIGITS,
            records="Items",
        ),
        Endpoint(
            "invoices",
            Document,
            "Every sales invoice and credit note in Xero, ours and those made by hand.",
            walk=documents,
            records=either,
        ),
        Endpoint(
            "invoice_lines",
            InvoiceLine,
            "The lines of every sales invoice and credit note.",
            needs=("invoices",),
            derive=lines,
        ),
    ),
)
