"""QuickBooks Desktop: the accounting system that calls us. Read here: what was invoiced. Written in `accounting/`.

Nobody can ask it anything from outside: Intuit's Web Connector runs beside it and fetches what we want asked, one
request after the other (`morton connector`). The calls below are carried through such a session; their path names the
request, and their content is its fields in QuickBooks' own order.

Credentials: the password the Web Connector signs in with here; only its hash is kept.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from morton_pipeline.extract.errors import Incomplete, RequestRefused, UnexpectedAnswer
from morton_pipeline.extract.pages import Call, Page, Walk
from morton_pipeline.extract.qbxml import ABSENT, many, status, words
from morton_pipeline.extract.records import Boolean, Number, Record, Text, column, key, number
from morton_pipeline.extract.vendor import Endpoint, Fetched, Rows, Vendor

if TYPE_CHECKING:
    from morton_pipeline.book import Connection

PAGE, PAGE_OF_DOCUMENTS = 200, 50
"""Records of one answer; documents carry their lines."""
DOCUMENTS = ("Invoice", "CreditMemo")

CURRENCIES = {
    "US Dollar": "USD",
    "Canadian Dollar": "CAD",
    "Euro": "EUR",
    "British Pound Sterling": "GBP",
    "Australian Dollar": "AUD",
    "New Zealand Dollar": "NZD",
    "Mexican Peso": "MXN",
    "Swiss Franc": "CHF",
    "Japanese Yen": "JPY",
    "Swedish Krona": "SEK",
    "Norwegian Krone": "NOK",
    "Danish Krone": "DKK",
    "South African Rand": "ZAR",
    "Indian Rupee": "INR",
    "Singapore Dollar": "SGD",
    "Hong Kong Dollar": "HKD",
}
"""QuickBooks Desktop knows currencies by name: the names its list begins with."""

Json = Any


class Customer(Record):
    """A customer or job in QuickBooks."""

    list_id: Text = key("QuickBooks' own id of the customer.")
    full_name: Text = column("The customer's name, below its parent's.", nullable=False)
    is_active: Boolean = column("Whether the customer can be invoiced.")
    currency: Text = column("The customer's currency; the company's own where it has one for all.")


class Item(Record):
    """A service in QuickBooks."""

    list_id: Text = key("QuickBooks' own id of the item.")
    full_name: Text = column("The item's name, below its parent's.", nullable=False)
    is_active: Boolean = column("Whether the item can be invoiced.")
    price: Number = number("The item's list price; empty where it is a percentage.")


class Document(Record):
    """An invoice or a credit memo in QuickBooks, whoever made it."""

    txn_id: Text = key("QuickBooks' own id of the document.")
    txn_type: Text = column("Invoice or CreditMemo.", nullable=False, isin=DOCUMENTS)
    txn_date: Text = column("The document's date.", nullable=False, str_matches=r"^\d{4}-\d{2}-\d{2}$")
    ref_number: Text = column("The document's number.")
    customer_ref__list_id: Text = column("The customer's id.", nullable=False)
    customer_ref__full_name: Text = column("The customer's name.")
    currency: Text = column("The document's currency; the company's own where it has one for all.")
    subtotal: Number = number("The document's total before tax.")
    is_pending: Boolean = column("Whether it waits to be made final, and is not in the books yet.")
    memo: Text = column("A note the customer does not see; carries our reference on documents we made.")
    edit_sequence: Text = column("QuickBooks' version of the document.")


class Line(Record):
    """One line of an invoice or a credit memo that sells an item."""

    txn_id: Text = key("QuickBooks' own id of the document.")
    txn_line_id: Text = key("QuickBooks' own id of the line.")
    txn_type: Text = column("Invoice or CreditMemo.", nullable=False, isin=DOCUMENTS)
    item_ref__list_id: Text = column("The item's id.", nullable=False)
    description: Text = column("The line's text.")
    quantity: Number = number("The quantity sold; absent means the amount alone was given.")
    rate: Number = number("The price of one.")
    amount: Number = number("The line's net amount.", nullable=False)
    service_date: Text = column("The day the service was for.")


def query(*entities: str, most: int, **filters: str) -> Callable[[Fetched], Walk]:
    """Walk lists one after the other with an iterator, which lives only as long as the session it was begun in."""

    def walk(_: Fetched) -> Walk:
        for entity in entities:
            content = {"MaxReturned": str(most), **filters}
            page = yield Call(f"/{entity}QueryRq", method="POST", json={"@iterator": "Start", **content})
            left = _left(page)
            while left:
                place = {"@iterator": "Continue", "@iteratorID": answer_of(page)["@iteratorID"]}
                page = yield Call(f"/{entity}QueryRq", method="POST", json={**place, **content})
                before, left = left, _left(page)
                if left + len(page.rows) != before:
                    raise Incomplete(
                        f"{entity}: {before} records were left, and {len(page.rows)} came, leaving {left}."
                    )

    return walk


def _left(page: Page) -> int:
    return int(answer_of(page).get("@iteratorRemainingCount") or 0)


def entity_of(page: Page) -> str:
    """Return what a call asked for."""
    return page.call.path.removeprefix("/").removesuffix("QueryRq")


def answer_of(page: Page) -> dict[str, Json]:
    """Return the answer to the one request of a call; a refusal, or what is no answer, is raised."""
    entity = entity_of(page)
    answer = page.body.get(f"{entity}QueryRs")
    code = status(answer)
    if not isinstance(answer, dict) or code is None:
        raise UnexpectedAnswer(f"QuickBooks answered the query for {entity} without saying what became of it.")
    if code >= 1000:
        raise RequestRefused(f"QuickBooks refused the query for {entity}: {words(answer)}")
    return answer


def records(page: Page) -> Rows:
    """Find the records, each with its currency by code and its flags as such."""
    entity, answer = entity_of(page), answer_of(page)
    rows = many(answer.get(f"{entity}Ret")) if status(answer) not in ABSENT else []
    if len(rows) != int(answer.get("@retCount") or len(rows)):
        raise Incomplete(f"QuickBooks said {answer['@retCount']} records of {entity} and sent {len(rows)}.")
    return [{**row, **_flags(row), "Currency": currency_of(row), "TxnType": entity} for row in rows]


def in_home_currency(endpoint: Endpoint, connection: "Connection") -> Endpoint:
    """Give records that name no currency the company's own."""
    home = home_currency_of(connection)
    return replace(endpoint, records=lambda page: [{**r, "Currency": r["Currency"] or home} for r in records(page)])


def home_currency_of(connection: "Connection") -> str:
    """Return what the company file counts in: QuickBooks says so only where it counts in several."""
    return str(connection.settings.get("currency") or "USD")


def _flags(row: Mapping[str, Json]) -> dict[str, bool]:
    """QuickBooks writes yes and no as text."""
    return {name: row[name] == "true" for name in ("IsActive", "IsPending") if name in row}


def currency_of(record: Mapping[str, Json]) -> str | None:
    """Return the code of a record's currency, its name where that is not known, and nothing where it names none."""
    name = (record.get("CurrencyRef") or {}).get("FullName")
    return CURRENCIES.get(name, name) if name else None


def items(page: Page) -> Rows:
    """Find the services; one that is also bought has its price elsewhere."""
    return [{**row, "Price": price_of(row)} for row in records(page)]


def price_of(item: dict[str, Json]) -> str | None:
    """Return the list price of a service."""
    price = (item.get("SalesOrPurchase") or {}).get("Price") or (item.get("SalesAndPurchase") or {}).get("SalesPrice")
    return str(price) if price else None


def lines(fetched: Fetched) -> Rows:
    """The selling lines of every document; a group sells what stands inside it."""
    return [
        {**line, "TxnID": document["TxnID"], "TxnType": document["TxnType"], "Description": line.get("Desc")}
        for document in fetched["invoices"]
        for line in selling_lines(document, document["TxnType"])
        if (line.get("ItemRef") or {}).get("ListID") and line.get("Amount")
    ]


def selling_lines(document: Mapping[str, Json], entity: str) -> Iterator[dict[str, Json]]:
    """Yield the lines of a document, those inside groups too."""
    yield from many(document.get(f"{entity}LineRet"))
    for group in many(document.get(f"{entity}LineGroupRet")):
        yield from many(group.get(f"{entity}LineRet"))


VENDOR = Vendor(
    name="quickbooks_desktop",
    title="QuickBooks Desktop",
    category="accounting",
    # Where the Web Connector finds us; another machine's needs an address with https.
    base_url="http://localhost:8765",
    auth=lambda _: httpx.Auth(),
    secrets=("password",),
    settings=("company_file",),
    optional_settings=("pending", "currency"),
    is_caller=True,
    # QBXML's requests are named after what they do: …QueryRq reads, …AddRq and …ModRq write.
    read_by_post={"/*QueryRq": lambda body: True},
    cron="30 2 * * *",
    owner="team:finance",
    endpoints=(
        Endpoint(
            "customers",
            Customer,
            "The customers and jobs in QuickBooks, inactive ones too.",
            walk=query("Customer", most=PAGE, ActiveStatus="All"),
            records=records,
            configure=in_home_currency,
        ),
        Endpoint(
            "items",
            Item,
            "The services in QuickBooks, inactive ones too.",
            walk=query("ItemService", most=PAGE, ActiveStatus="All"),
            records=items,
        ),
        Endpoint(
            "invoices",
            Document,
            "Every invoice and credit memo in QuickBooks, ours and those made by hand.",
            walk=query(*DOCUMENTS, most=PAGE_OF_DOCUMENTS, IncludeLineItems="true"),
            records=records,
            configure=in_home_currency,
        ),
        Endpoint(
            "invoice_lines",
            Line,
            "The selling lines of every invoice and credit memo.",
            needs=("invoices",),
            derive=lines,
        ),
    ),
)
