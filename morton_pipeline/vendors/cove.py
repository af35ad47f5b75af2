"""N-able Cove Data Protection: cloud backup. One billable unit is one account: a machine, or the users of one tenant.

Credentials: an API user of the role Supporter, made for our own partner; its token is the password, and `partner` is
our name exactly as the console's list of customers writes it, address in brackets included. There is one address and
every call is a POST. Login issues a visa that each call carries in its body and each answer renews; it lasts fifteen
minutes. Refusals come with status 200. Repeated bad logins lock the user, so a refused one is not tried again.

N-able bills the highest number of a month, accounts deleted during it included; what is read here is the present.
An answer declares the number of all accounts; where it does not, the list ends at an empty page, not at a short one.
"""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from morton_pipeline.extract.errors import Incomplete
from morton_pipeline.extract.joins import Row, with_parents
from morton_pipeline.extract.pages import Call, Page, Walk
from morton_pipeline.extract.records import (
    Boolean,
    Integer,
    Number,
    Record,
    Text,
    column,
    gigabytes,
    key,
    number,
    settled_epoch,
)
from morton_pipeline.extract.vendor import Endpoint, Fetched, Json, Proposal, Rows, Rule, Vendor
from morton_pipeline.extract.visa import OWN_NAME, Visa, body_of

PATH = "/jsonapi"
PAGE = 500
EVERYTHING = "COUNT(1)"
"""The total that counts all accounts, whatever the page."""

COLUMNS: Mapping[str, str] = {
    "AR": "partner_name",
    "AN": "device_name",
    "MN": "computer_name",
    "AT": "account_type",
    "OT": "os_type",
    "OS": "os_version",
    "I81": "physicality",
    "PN": "product_name",
    "TM": "m365_users",
    "I14": "used_storage",
    "CD": "created",
    "TS": "last_report",
}
"""The columns asked for, by Cove's code, and what they mean. A column without a value is left out of an answer."""

MACHINE, TENANT = "1", "2"
OWN = "own"
"""The state of our own partner, of which Cove says none."""
OS_TYPES: Mapping[str, str] = {"0": "undefined", "1": "workstation", "2": "server"}


class Partner(Record):
    """A company in Cove: ourselves, and everybody below us down to the sites of a customer."""

    id: Text = key("Cove's own id of the partner.")
    name: Text = column("The partner's name.", nullable=False)
    level: Text = column("EndCustomer, Site, Reseller and others.")
    state: Text = column("InProduction, InTrial and others; Cove says none of ourselves.")
    parent_id: Text = column("The partner above it.")
    external_code: Text = column("A code of ours for it, where somebody entered one.")
    is_own: Boolean = column("Whether it is the partner we sign in as.", nullable=False)


class Account(Record):
    """A device as Cove calls it: a machine with the backup manager, or a whole Microsoft 365 tenant."""

    account_id: Text = key("Cove's own id of the account.")
    partner_id: Text = column("The partner it belongs to.", nullable=False)
    partner_name: Text = column("That partner's name.")
    partner_level: Text = column("That partner's level.")
    partner_state: Text = column("That partner's state; own for ourselves. Who is not listed has none.", nullable=False)
    device_name: Text = column("The account's name in Cove.")
    computer_name: Text = column("The machine's name; empty for a Microsoft 365 tenant.")
    account_type: Text = column("1 for a machine, 2 for a Microsoft 365 tenant.", nullable=False)
    account_class: Text = column(
        "Ours: server, workstation, documents, m365 or undefined; a kind nobody knew yet as Cove says it.",
        nullable=False,
    )
    price_class: Text = column("Ours: like the class, with servers told apart as physical_server and virtual_server.")
    os_type: Text = column("0 undefined, 1 workstation, 2 server.")
    os_version: Text = column("The operating system's name.")
    physicality: Text = column("Physical, Virtual or Undefined.")
    product_name: Text = column("The product, Documents for one that keeps documents only.")
    m365_users: Integer = column("The users Cove bills behind a Microsoft 365 tenant.")
    unit_count: Number = number("What the account stands for: one machine, or so many users.", nullable=False)
    has_reported: Boolean = column("Whether anything was ever heard of it.", nullable=False)
    created: Number = number("When the account was made, in epoch seconds.")
    last_report: Number = settled_epoch("When the account last reported, in epoch seconds.", after=timedelta(days=14))


class Storage(Record):
    """What one account occupies in Cove's storage."""

    account_id: Text = key("Cove's own id of the account.")
    partner_id: Text = column("The partner it belongs to.", nullable=False)
    partner_name: Text = column("That partner's name.")
    partner_state: Text = column("That partner's state; own for ourselves. Who is not listed has none.", nullable=False)
    device_name: Text = column("The account's name in Cove.")
    computer_name: Text = column("The machine's name; empty for a Microsoft 365 tenant.")
    account_class: Text = column("Ours: server, workstation, documents, m365 or undefined.", nullable=False)
    used_gigabytes: Number = number(
        "Storage used, in units of 1024³ bytes to one decimal: finer, each reading would change it.", nullable=False
    )


READING = ("GetPartnerInfo", "EnumeratePartners", "EnumerateAccountStatistics")
"""What is asked of Cove. Its methods that change something are named Add…, Modify… and Remove…."""


def call(method: str, params: Json, *, note: Json = None) -> Call:
    """Ask Cove one thing."""
    return Call(PATH, method="POST", json=body_of(method, params), note=note)


def ourselves_and_customers(_: Fetched) -> Walk:
    """Find ourselves by name, then everybody below us; there are no pages."""
    page = yield call("GetPartnerInfo", {"name": OWN_NAME})
    own = page.body["result"]["result"]["Id"]
    everybody = {"parentPartnerId": own, "fields": list(range(23)), "fetchRecursively": "true"}
    yield call("EnumeratePartners", everybody, note=own)


def partner_records(page: Page) -> Rows:
    """An empty list is null, as everywhere in Cove; that nobody is below us is an answer cut off, and no zero."""
    found = page.body["result"]["result"]
    if page.call.note is None:
        return [{**found, "Level": found["Level"], "IsOwn": True}]
    if not found:
        raise Incomplete("Cove lists no customer below the partner; check what its user may see.")
    return [{**row, "State": row["State"], "IsOwn": False} for row in found if row["Id"] != page.call.note]


def every_account(fetched: Fetched) -> Walk:
    """Walk the accounts in a fixed order to an empty page, and hold them against the number Cove declares."""
    own = next(partner["Id"] for partner in fetched["partners"] if partner["IsOwn"])
    query = {"PartnerId": own, "Columns": list(COLUMNS), "OrderBy": "AU ASC", "RecordsCount": PAGE}
    seen, is_over, declared = 0, False, set[int]()
    while not is_over:
        page = yield call(
            "EnumerateAccountStatistics", {"query": {**query, "Totals": [EVERYTHING], "StartRecordNumber": seen}}
        )
        seen, is_over = seen + len(page.rows), not page.rows
        declared |= _declared(page)
    if declared and declared != {seen}:
        said = " and then ".join(str(number) for number in sorted(declared))
        raise Incomplete(
            f"Cove declared {said} accounts and sent {seen}: the list was cut, or changed while it was read."
        )


def _declared(page: Page) -> set[int]:
    totals = page.body["result"].get("totalStatistics") or ()
    return {int(Decimal(str(total[EVERYTHING]))) for total in totals if EVERYTHING in total}


def account_records(page: Page) -> Rows:
    """`Settings` is an array of objects with one key each; together they are the account's columns."""
    return [_account(row) for row in page.body["result"]["result"] or ()]


def _account(row: dict[str, Json]) -> dict[str, Json]:
    settings = {code: value for setting in row["Settings"] or () for code, value in setting.items()}
    named = {name: settings.get(code) or None for code, name in COLUMNS.items()}
    if named["last_report"] == "0":
        named["last_report"] = None
    has_reported = named["last_report"] is not None
    named["account_class"] = account_class(named, has_reported)
    is_tenant = named["account_type"] == TENANT
    return {
        "account_id": row["AccountId"],
        "partner_id": row["PartnerId"],
        **named,
        "price_class": price_class(named),
        "has_reported": has_reported,
        "unit_count": _unless_new(named["m365_users"], has_reported) if is_tenant else "1",
    }


def _unless_new(value: Json, has_reported: bool) -> Json:
    """A number Cove leaves out is nothing for an account never heard of; for any other it is missing, and no zero."""
    return value if value is not None or has_reported else "0"


def account_class(named: Mapping[str, Json], has_reported: bool) -> Json:
    """Work out what kind of account it is; nothing where the column that tells is missing."""
    kind, product, os_type = named["account_type"], named["product_name"], named["os_type"]
    if kind == TENANT:
        return "m365"
    if kind != MACHINE:
        return kind and f"account type {kind}"
    if product is None:
        return None
    if product.lower() == "documents":
        return "documents"
    os_type = _unless_new(os_type, has_reported)
    return os_type and OS_TYPES.get(os_type, f"os type {os_type}")


def price_class(named: Mapping[str, Json]) -> Json:
    """Tell physical from virtual servers, which have prices of their own."""
    is_server = named["account_class"] == "server"
    return f"{named['physicality'] or 'undefined'}_server".lower() if is_server else named["account_class"]


def with_partner(rows: Rows, fetched: Fetched) -> Rows:
    """Say of each account whose it is: only the list of partners knows who is on trial."""
    return with_parents(rows, fetched["partners"], id="Id", named="partner_id", facts=_of_partner)


def _of_partner(_: Row, partner: Row | None) -> Row:
    if partner is None:
        return {"partner_state": None}
    return {
        "partner_name": partner["Name"],
        "partner_level": partner.get("Level"),
        "partner_state": OWN if partner["IsOwn"] else partner["State"],
    }


def used_storage(fetched: Fetched) -> Rows:
    """One record per account with the storage it uses."""
    return [
        {**account, "used_gigabytes": gigabytes(_unless_new(account["used_storage"], account["has_reported"]))}
        for account in fetched["accounts"]
    ]


STATES: Mapping[str, tuple[str, ...]] = {"partner_state": ("InProduction", OWN)}
NOT_BILLED = (
    Rule("partner_name", "001*recycle bin*", "recycle_bin", "Cove keeps deleted accounts there for a while."),
    Rule("partner_state", "InTrial", "trial_partner", "The customer is on trial in Cove."),
)

VENDOR = Vendor(
    name="cove",
    title="N-able Cove Data Protection",
    category="backup",
    base_url="https://api.backup.management",
    auth=Visa,
    secrets=("partner", "username", "password"),
    read_by_post={PATH: lambda body: body["method"] in READING},
    cron="40 3 * * *",
    endpoints=(
        Endpoint(
            "partners",
            Partner,
            "The client companies in Cove, and ourselves.",
            walk=ourselves_and_customers,
            records=partner_records,
        ),
        Endpoint(
            "accounts",
            Account,
            "Every account in Cove: machines, and Microsoft 365 tenants with the users behind each.",
            needs=("partners",),
            walk=every_account,
            records=account_records,
            enrich=with_partner,
            counts="deployed",
            quantity="unit_count",
            rules=(
                Rule(
                    "account_class",
                    "documents",
                    "documents",
                    "It keeps documents only, at a price of its own; a mapping that names the class counts it.",
                ),
                *NOT_BILLED,
            ),
            states=STATES,
        ),
        Endpoint(
            "storage",
            Storage,
            "What each account occupies in Cove's storage.",
            needs=("accounts",),
            derive=used_storage,
            counts="deployed",
            is_primary=False,
            rules=NOT_BILLED,
            states=STATES,
        ),
    ),
    proposals=(
        Proposal("accounts", "account_class", "server", "COVE-SRV", "Cove server backup", "device"),
        Proposal("accounts", "account_class", "workstation", "COVE-WKS", "Cove workstation backup", "device"),
        Proposal("accounts", "account_class", "m365", "COVE-M365", "Cove Microsoft 365 backup", "user"),
    ),
)
