"""QuickBooks Online: the accounting system. Read here: what was really invoiced. Written in `accounting/`.

Credentials: an Intuit app's client id and secret; then `morton connect` signs in to the company, scope
`com.intuit.quickbooks.accounting`. The refresh token rotates; the ledger keeps the newest, encrypted.
"""

from collections.abc import Callable, Iterable, Iterator

from morton_pipeline.extract.auth import SignIn, refresh_token
from morton_pipeline.extract.errors import RequestRefused, UnexpectedAnswer
from morton_pipeline.extract.pages import Call, Page, Walk
from morton_pipeline.extract.records import Boolean, Integer, Number, Record, Text, column, key, number
from morton_pipeline.extract.vendor import Endpoint, Fetched, Json, Rows, Vendor, per_minute

PAGE = 1000
"""The most entities a query returns."""
MINOR_VERSION = 75
TOKEN_PATH = "/oauth2/v1/tokens/bearer"

SIGN_IN = SignIn(
    login_url="https://appcenter.intuit.com",
    path="/connect/oauth2",
    token_path=TOKEN_PATH,
    scopes=("com.intuit.quickbooks.accounting",),
    setting="realm_id",
    company_param="realmId",
)


class Customer(Record):
    """A customer in QuickBooks."""

    id: Text = key("QuickBooks' own id of the customer.")
    display_name: Text = column("The customer's name.", nullable=False)
    active: Boolean = column("Whether the customer can be invoiced.")
    currency_ref__value: Text = column("The customer's currency.")


class Item(Record):
    """A product or service in QuickBooks."""

    id: Text = key("QuickBooks' own id of the item.")
    name: Text = column("The item's name.", nullable=False)
    active: Boolean = column("Whether the item can be invoiced.")
    type: Text = column("Service, Inventory, NonInventory or Group.")
    unit_price: Number = number("The item's list price.")


class Invoice(Record):
    """An invoice or a credit memo in QuickBooks, whoever made it."""

    id: Text = key("QuickBooks' own id of the invoice or credit memo.")
    document: Text = column("Invoice or CreditMemo.", nullable=False)
    doc_number: Text = column("The invoice number.")
    txn_date: Text = column("The invoice's date.", nullable=False, str_matches=r"^\d{4}-\d{2}-\d{2}$")
    due_date: Text = column("When it is due.")
    customer_ref__value: Text = column("The customer's id.", nullable=False)
    customer_ref__name: Text = column("The customer's name.")
    currency_ref__value: Text = column("The invoice's currency.")
    total_amt: Number = number("The invoice's total, tax included.", nullable=False)
    txn_tax_detail__total_tax: Number = number("The tax within it.")
    private_note: Text = column("A note the customer does not see; carries our reference on invoices we made.")
    sync_token: Text = column("QuickBooks' version of the invoice.")


class InvoiceLine(Record):
    """One line of an invoice or credit memo that sells an item."""

    invoice_id: Text = key("QuickBooks' own id of the invoice or credit memo.")
    id: Text = key("QuickBooks' own id of the line.")
    document: Text = column("Invoice or CreditMemo: what the line stands on.", nullable=False)
    line_num: Integer = column("The line's place on the invoice.")
    description: Text = column("The line's text.")
    amount: Number = number("The line's net amount.", nullable=False)
    detail_type: Text = column("What kind of line it is.")
    sales_item_line_detail__item_ref__value: Text = column("The item's id.")
    sales_item_line_detail__qty: Number = number("The quantity sold; absent means the amount alone was given.")
    sales_item_line_detail__unit_price: Number = number("The price of one.")
    sales_item_line_detail__service_date: Text = column("The day the service was for.")


def query(*entities: str) -> Callable[[Fetched], Walk]:
    """Walk queries in pages; QuickBooks numbers records from one, and an answer without the entity is the end."""

    def walk(_: Fetched) -> Walk:
        for entity in entities:
            start = 1
            while True:
                page = yield Call(
                    "/v3/company/{realm_id}/query",
                    {
                        "query": f"select * from {entity} orderby Id startposition {start} maxresults {PAGE}",
                        "minorversion": MINOR_VERSION,
                    },
                )
                if not page.rows:
                    break
                start += len(page.rows)

    return walk


def entities(*names: str) -> Callable[[Page], Rows]:
    """Find the records, each with what it is; a Fault may arrive with status 200."""
    entity = " and ".join(names)

    def rows(page: Page) -> Rows:
        if fault := page.body.get("Fault") or page.body.get("fault"):
            said = "; ".join(
                str(e.get("Message") or e.get("message")) for e in fault.get("Error") or fault.get("error") or []
            )
            raise RequestRefused(f"QuickBooks refused the query for {entity}: {said}")
        answer = page.body.get("QueryResponse")
        if not isinstance(answer, dict):
            raise UnexpectedAnswer(f"QuickBooks answered the query for {entity} without a QueryResponse.")
        if not set(names) & set(answer) and any(isinstance(part, list) for part in answer.values()):
            raise UnexpectedAnswer(f"QuickBooks answered the query for {entity} with {', '.join(answer)}.")
        return [{**row, "Document": name} for name in names for row in answer.get(name) or ()]

    return rows


def lines(fetched: Fetched) -> Rows:
    """The selling lines of every invoice; the closing subtotal is none, and a group sells what stands inside it."""
    return [
        {**line, "InvoiceId": invoice["Id"], "Document": invoice["Document"]}
        for invoice in fetched["invoices"]
        for line in _selling(invoice["Line"])
    ]


def _selling(lines: Iterable[dict[str, Json]]) -> Iterator[dict[str, Json]]:
    for line in lines:
        kind = str(line.get("DetailType")).replace("_", "").lower()
        if kind == "grouplinedetail":
            yield from _selling(line["GroupLineDetail"].get("Line") or ())
        elif kind == "salesitemlinedetail":
            yield line


VENDOR = Vendor(
    name="quickbooks_online",
    title="QuickBooks Online",
    category="accounting",
    base_url="https://quickbooks.api.intuit.com",
    auth_url="https://oauth.platform.intuit.com",
    auth=refresh_token(TOKEN_PATH),
    secrets=("client_id", "client_secret", "refresh_token"),
    sign_in=SIGN_IN,
    settings=("realm_id",),
    optional_settings=("custom_numbers",),
    cron="30 2 * * *",
    rate=per_minute(400),
    owner="team:finance",
    endpoints=(
        Endpoint(
            "customers", Customer, "The customers in QuickBooks.", walk=query("Customer"), records=entities("Customer")
        ),
        Endpoint(
            "items", Item, "The products and services in QuickBooks.", walk=query("Item"), records=entities("Item")
        ),
        Endpoint(
            "invoices",
            Invoice,
            "Every invoice and credit memo in QuickBooks, ours and those made by hand.",
            walk=query("Invoice", "CreditMemo"),
            records=entities("Invoice", "CreditMemo"),
        ),
        Endpoint(
            "invoice_lines",
            InvoiceLine,
            "The selling lines of every invoice and credit memo.",
            needs=("invoices",),
            derive=lines,
        ),
    ),
)
