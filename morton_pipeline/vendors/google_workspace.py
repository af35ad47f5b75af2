"""Google Workspace, one customer per client. One billable unit is one licence assigned to one user.

Credentials: a service account with domain-wide delegation in every customer, acting as an administrator there, with the
scopes `apps.licensing` (Google has none that only reads) and `admin.directory.user.readonly`. A customer whose
delegation is gone fails alone. The licence list knows a user by the address of today; the directory, on a host of its
own, knows the lasting id, the name, and who is suspended or archived. No list declares how many records there are, and
Google once ended licence lists too soon when asked for more than a hundred at a time: a hundred are asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from morton_pipeline.book import Connection
from morton_pipeline.extract.errors import PermissionMissing, UnexpectedAnswer
from morton_pipeline.extract.joins import Row, with_parents
from morton_pipeline.extract.pages import Call, Page, Walk, by_token, dig
from morton_pipeline.extract.records import Boolean, Record, Text, column, key
from morton_pipeline.extract.service_account import service_account
from morton_pipeline.extract.vendor import Endpoint, Fetched, Proposal, Rows, Rule, Vendor, per_minute

SCOPES = (
    "https://www.googleapis.com/auth/apps.licensing",
    "https://www.googleapis.com/auth/admin.directory.user.readonly",
)
WORKSPACE, EDUCATION, ARCHIVED_USERS = "Google-Apps", "101031", "101034"
USER_FIELDS = "id,primaryEmail,name/fullName,suspended,archived,orgUnitPath,creationTime"
LICENCES = 100
"""A page of licences: more are allowed, and were not always sent."""
NOT_THEIRS = "unauthorized operation for the given domain"
"""What Google answers when a customer has nothing to do with a product; also what it answers to a stranger."""
AROUND = {"kind", "etag", "nextPageToken"}
"""What stands around a list. Anything else there may be the list or its next page under another name."""

pages = by_token("nextPageToken", "pageToken")


class User(Record):
    """An account of the customer."""

    id: Text = key("Google's own id of the user; it stays when the address changes.")
    primary_email: Text = column("The sign-in address.", nullable=False)
    name__full_name: Text = column("The person's name.")
    suspended: Boolean = column("Whether the account is suspended; it keeps its licences.")
    archived: Boolean = column("Whether the account is archived; it holds a licence of its own kind.")
    org_unit_path: Text = column("Where the account stands in the customer's organisation.")
    creation_time: Text = column("When the account was made.")


class LicenseAssignment(Record):
    """One licence assigned to one user."""

    user__id: Text = key("Google's own id of the user; the address where the directory does not list it.")
    sku_id: Text = key("Google's id of the SKU.")
    user_id: Text = column("The user's present address, which is what the licence list calls the user.", nullable=False)
    user__name__full_name: Text = column("The person's name.")
    user__suspended: Boolean = column("Whether the account is suspended; empty where the directory does not list it.")
    user__archived: Boolean = column("Whether the account is archived; empty where the directory does not list it.")
    user__org_unit_path: Text = column("Where the account stands in the customer's organisation.")
    product_id: Text = column("Google's id of the product the SKU belongs to.", nullable=False)
    product_name: Text = column("The product's name.")
    sku_name: Text = column("The SKU's name, e.g. Google Workspace Business Starter; its id where Google sends none.")


def users_of_customer(_: Fetched) -> Walk:
    """List the accounts, with no more of them than is needed."""
    params: dict[str, str | int] = {
        "customer": "{tenant}",
        "maxResults": 500,
        "orderBy": "email",
        "fields": f"nextPageToken,users({USER_FIELDS})",
    }
    return pages(Call("/admin/directory/v1/users", params, host="admin_url"))


def accounts(page: Page) -> Rows:
    """Find the accounts; a customer always has one, the administrator we act for."""
    if strange := set(page.body) - AROUND - {"users"}:
        raise UnexpectedAnswer(f"Google answered for the users with {', '.join(sorted(strange))}.")
    return list(page.body["users"])


def licences_of(products: Sequence[str]) -> Callable[[Fetched], Walk]:
    """Walk the licences product by product.

    Workspace itself must be answered. That proves the sign-in, the customer and the permission, and after it a further
    product may be answered with `NOT_THEIRS`: then it is none of this customer's. Where the directory lists archived
    users, the product of their licences must be answered as well.
    """

    def walk(fetched: Fetched) -> Walk:
        is_archiving = any(user.get("archived") for user in fetched["users"])
        needed = (WORKSPACE, ARCHIVED_USERS) if is_archiving else (WORKSPACE,)
        for product in dict.fromkeys((*needed, *products)):
            path = f"/apps/licensing/v1/product/{product}/users"
            call = Call(path, {"customerId": "{tenant}", "maxResults": LICENCES}, note=product)
            yield from pages(call if product in needed else replace(call, accepts=(403,)))

    return walk


def licences(page: Page) -> Rows:
    """Find the licences. An empty list has no `items` at all, so nothing else may stand in its place."""
    if refusal := page.body.get("error"):
        message = str(dig(refusal, "message"))
        is_theirs = message.rstrip(".").lower() != NOT_THEIRS
        if is_theirs or not page.call.accepts or "pageToken" in page.call.params:
            raise PermissionMissing(f"Google refuses the licences of product {page.call.note}: {message}")
        return []
    if page.body.get("kind") != "licensing#licenseAssignmentList" or set(page.body) - AROUND - {"items"}:
        raise UnexpectedAnswer(f"Google answered for the licences of {page.call.note} with {', '.join(page.body)}.")
    return list(page.body.get("items") or [])


def with_users(rows: Rows, fetched: Fetched) -> Rows:
    """Say whose licence it is. A person hired between the two lists is named by address until the next reading.

    The directory names people and decides nothing, so whoever is not in it counts as well.
    """
    return with_parents(rows, fetched["users"], id="primaryEmail", named="userId", facts=_facts)


def _facts(licence: Row, user: Row | None) -> Row:
    words = ("id", "name", "suspended", "archived", "orgUnitPath")
    return {
        "skuName": licence.get("skuName") or licence["skuId"],
        "user": {word: user.get(word) for word in words} if user else {"id": licence["userId"]},
    }


def with_products(endpoint: Endpoint, connection: Connection) -> Endpoint:
    """Ask for the further products the connection names as well."""
    given = connection.settings.get("products") or ()
    more = [str(product) for product in (given if isinstance(given, list | tuple) else [given])]
    return replace(endpoint, walk=licences_of((EDUCATION, ARCHIVED_USERS, *more)))


def sold_as(service_id: str, edition: str) -> Proposal:
    """Propose one service for one edition."""
    name = f"Google Workspace {edition}"
    return Proposal("license_assignments", "sku_name", name, service_id, name, "licence")


VENDOR = Vendor(
    name="google_workspace",
    title="Google Workspace",
    category="identity",
    base_url="https://licensing.googleapis.com",
    auth_url="https://oauth2.googleapis.com",
    hosts={"admin_url": "https://admin.googleapis.com"},
    auth=service_account("service_account", token_path="/token", scopes=SCOPES),
    secrets=("service_account",),
    optional_settings=("products",),
    cron="20 2 * * *",
    rate=per_minute(100),
    is_per_tenant=True,
    tenants_key="domains",
    acts_as_admin=True,
    endpoints=(
        Endpoint(
            "users",
            User,
            "The accounts of each customer.",
            walk=users_of_customer,
            records=accounts,
        ),
        Endpoint(
            "license_assignments",
            LicenseAssignment,
            "The licences assigned, one row per user and SKU.",
            needs=("users",),
            walk=licences_of((EDUCATION, ARCHIVED_USERS)),
            configure=with_products,
            records=licences,
            enrich=with_users,
            counts="assigned",
            names_people=True,
            rules=(Rule("sku_id", "1010010001", "free_sku", "Cloud Identity Free costs nothing."),),
        ),
    ),
    proposals=(
        sold_as("GWS-BS", "Business Starter"),
        sold_as("GWS-BST", "Business Standard"),
        sold_as("GWS-BP", "Business Plus"),
        sold_as("GWS-ES", "Enterprise Standard"),
        sold_as("GWS-EP", "Enterprise Plus"),
        sold_as("GWS-FS", "Frontline Starter"),
    ),
)
