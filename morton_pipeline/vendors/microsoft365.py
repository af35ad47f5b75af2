"""Microsoft 365, read through Microsoft Graph: one tenant per client. One billable unit is one assigned licence.

Credentials: one multi-tenant app registration with admin consent in every client tenant, and the application
permissions LicenseAssignment.Read.All (or Organization.Read.All), User.Read.All and MailboxSettings.Read; all only
read. A tenant whose consent is gone fails alone. Bought is `subscribed_skus`, assigned is `user_licenses`.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from morton_pipeline.book import Connection
from morton_pipeline.extract.auth import Credentials, client_credentials
from morton_pipeline.extract.errors import Incomplete, PermissionMissing, UnexpectedAnswer
from morton_pipeline.extract.pages import Call, Page, Walk, by_next_link
from morton_pipeline.extract.records import Boolean, Integer, Record, Text, column, key
from morton_pipeline.extract.vendor import Endpoint, Fetched, Json, Proposal, Rows, Rule, Vendor

USER_FIELDS = (
    "id,displayName,userPrincipalName,mail,accountEnabled,userType,department,assignedLicenses,createdDateTime"
)
BATCH = 20
"""The most requests Graph takes in one batch."""
ANSWERED = {200, 403, 404}
PAUSE = 2.0
"""Seconds before what Graph put off is asked again; longer each round."""
POSTPONED = {429, 500, 502, 503, 504}

pages = by_next_link("@odata.nextLink")


class SubscribedSku(Record):
    """A licence the tenant has bought."""

    id: Text = key("Tenant id and SKU id, joined by an underscore.")
    sku_id: Text = column("Microsoft's id of the SKU.", nullable=False)
    sku_part_number: Text = column("Microsoft's short name of the SKU, e.g. SPB.", nullable=False)
    capability_status: Text = column("Enabled, Warning, Suspended, Deleted or LockedOut.")
    applies_to: Text = column("User, or Company for SKUs nobody is assigned to.")
    consumed_units: Integer = column("Licences assigned.", nullable=False)
    prepaid_units__enabled: Integer = column("Licences bought and usable.", nullable=False)
    prepaid_units__warning: Integer = column("Licences past their end and still usable for a while.")
    prepaid_units__suspended: Integer = column("Licences that can no longer be used.")
    prepaid_units__locked_out: Integer = column("Licences locked out by Microsoft.")


class User(Record):
    """An account in the tenant."""

    id: Text = key("Microsoft's id of the user.")
    display_name: Text = column("The person's name.")
    user_principal_name: Text = column("The sign-in name.", nullable=False)
    mail: Text = column("The e-mail address.")
    account_enabled: Boolean = column("Whether the account can sign in.")
    user_type: Text = column("Member or Guest.")
    department: Text = column("The department the person works in.")
    assigned_licenses: Text = column("The licences assigned, as JSON.", nullable=False)
    created_date_time: Text = column("When the account was made.")


class Mailbox(Record):
    """What a licensed user's mailbox is for."""

    user_id: Text = key("Microsoft's id of the user.")
    user_purpose: Text = column(
        "user, shared, room, equipment, linked or others; empty where there is none or it is hidden."
    )
    status: Integer = column("Graph's answer: 200 known, 404 no mailbox, 403 hidden.", nullable=False)


class UserLicense(Record):
    """One licence assigned to one user, however it was assigned."""

    user_id: Text = key("Microsoft's id of the user.")
    sku_id: Text = key("Microsoft's id of the SKU.")
    sku_part_number: Text = column("Microsoft's short name of the SKU; its id where it is not listed.", nullable=False)
    user_principal_name: Text = column("The sign-in name.", nullable=False)
    display_name: Text = column("The person's name.")
    account_enabled: Boolean = column("Whether the account can sign in.")
    user_type: Text = column("Member or Guest.")
    department: Text = column("The department the person works in.")
    user_purpose: Text = column("What the mailbox is for; empty where there is none or it is hidden.")
    mailbox_status: Integer = column("Graph's answer about the mailbox: 200 known, 404 no mailbox, 403 hidden.")
    capability_status: Text = column("The state of the tenant's subscription to this SKU.")


class Customer(Record):
    """A tenant that gave the partner delegated administration."""

    tenant_id: Text = key("Microsoft's id of the tenant.")
    display_name: Text = column("The tenant's name.")


def graph_scope(credentials: Credentials) -> str:
    """A national cloud's Graph is its own audience; behind a proxy the audience is still Microsoft's."""
    host = urlsplit(credentials.base_url).hostname or ""
    is_graph = host.startswith(("graph.microsoft.", "microsoftgraph.", "dod-graph.microsoft."))
    return f"https://{host if is_graph else 'graph.microsoft.com'}/.default"


def mailboxes_of_licensed_users(fetched: Fetched) -> Walk:
    """Ask for mailbox kinds in batches; what Graph put off for later is asked again after a pause."""
    waiting = [row["id"] for row in fetched["users"] if row["assignedLicenses"]]
    rounds, denied, asked = 0, 0, len(waiting)
    while waiting:
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        url = "/users/{}/mailboxSettings?$select=userPurpose"
        requests = [{"id": str(n), "method": "GET", "url": url.format(user)} for n, user in enumerate(batch)]
        page = yield Call(
            "/v1.0/$batch", method="POST", json={"requests": requests}, note=batch, wait_seconds=PAUSE * rounds
        )
        statuses = {int(answer["id"]): int(answer["status"]) for answer in page.body["responses"]}
        if len(statuses) != len(batch):
            raise Incomplete(f"Graph answered {len(statuses)} of {len(batch)} mailbox questions.")
        if strange := set(statuses.values()) - ANSWERED - POSTPONED:
            raise UnexpectedAnswer(f"Graph answered mailbox questions with {sorted(strange)}, which settles nothing.")
        denied += sum(status == 403 for status in statuses.values())
        postponed = [user for n, user in enumerate(batch) if statuses[n] in POSTPONED]
        rounds = rounds + 1 if postponed else 0
        if rounds > 5:
            raise Incomplete("Graph kept putting off the mailbox questions.")
        waiting = [*waiting, *postponed]
    if asked and denied == asked:
        raise PermissionMissing("Graph refuses every mailbox of this tenant: grant the app MailboxSettings.Read.")


def mailbox_answers(page: Page) -> Rows:
    """Turn a batch's answers into records; a postponed one is no answer yet."""
    users = page.call.note
    return [
        {"userId": users[int(a["id"])], "userPurpose": (a.get("body") or {}).get("userPurpose"), "status": a["status"]}
        for a in page.body["responses"]
        if int(a["status"]) in ANSWERED
    ]


def assigned_licenses(fetched: Fetched) -> Rows:
    """One record per user and SKU: a licence held directly and through a group is one."""
    return list(_assigned(fetched))


def _assigned(fetched: Fetched) -> Iterator[dict[str, Json]]:
    skus = {str(row["skuId"]).lower(): row for row in fetched["subscribed_skus"]}
    mailboxes = {row["userId"]: row for row in fetched["mailboxes"]}
    _refuse_unlisted({sku_id for user in fetched["users"] for sku_id in _held(user)}, set(skus))
    for user in fetched["users"]:
        mailbox = mailboxes.get(user["id"], {})
        for sku_id in _held(user):
            sku = skus.get(sku_id, {})
            yield {
                "userId": user["id"],
                "skuId": sku_id,
                "skuPartNumber": sku.get("skuPartNumber", sku_id),
                "userPrincipalName": user.get("userPrincipalName"),
                "displayName": user.get("displayName"),
                "accountEnabled": user.get("accountEnabled"),
                "userType": user.get("userType"),
                "department": user.get("department"),
                "userPurpose": mailbox.get("userPurpose"),
                "mailboxStatus": mailbox.get("status"),
                "capabilityStatus": sku.get("capabilityStatus"),
            }


def _held(user: dict[str, Json]) -> list[str]:
    return sorted({str(held["skuId"]).lower() for held in user["assignedLicenses"]})


def _refuse_unlisted(assigned: set[str], listed: set[str]) -> None:
    """A licence without its name would be counted as another one; a few are Microsoft's own delay, most are not."""
    known = assigned & listed
    if len(known) * 2 < len(assigned):
        raise Incomplete(
            f"The tenant's users hold licences of {len(assigned)} SKUs, and subscribed_skus lists {len(known)} of "
            "them: the list of bought licences is not whole, so the assigned ones cannot be named."
        )


def customers_of_partner(_: Connection) -> Endpoint:
    """The tenants that gave this partner delegated administration."""
    return Endpoint(
        "tenants",
        Customer,
        "The partner's customer tenants.",
        path="/v1.0/tenantRelationships/delegatedAdminCustomers",
        params={"$top": 300},
        records="value",
        pages=pages,
    )


SOLD = (
    ("SPB", "M365-BP", "Microsoft 365 Business Premium"),
    ("O365_BUSINESS_PREMIUM", "M365-BS", "Microsoft 365 Business Standard"),
    ("O365_BUSINESS_ESSENTIALS", "M365-BB", "Microsoft 365 Business Basic"),
    ("O365_BUSINESS", "M365-APPS-BUSINESS", "Microsoft 365 Apps for Business"),
    ("OFFICESUBSCRIPTION", "M365-APPS", "Microsoft 365 Apps for Enterprise"),
    ("SPE_E3", "M365-E3", "Microsoft 365 E3"),
    ("SPE_E5", "M365-E5", "Microsoft 365 E5"),
    ("SPE_F1", "M365-F3", "Microsoft 365 F3"),
    ("STANDARDPACK", "O365-E1", "Office 365 E1"),
    ("ENTERPRISEPACK", "O365-E3", "Office 365 E3"),
    ("ENTERPRISEPREMIUM", "O365-E5", "Office 365 E5"),
    ("DESKLESSPACK", "O365-F3", "Office 365 F3"),
    ("EXCHANGESTANDARD", "EXO-P1", "Exchange Online (Plan 1)"),
    ("EXCHANGEENTERPRISE", "EXO-P2", "Exchange Online (Plan 2)"),
)
"""What is commonly sold on: the SKU, our id of the service, and Microsoft's name of the product."""


def only_gets(batch: Json) -> bool:
    """Whether every request of a batch is one that reads."""
    return all(request["method"] == "GET" for request in batch["requests"])


VENDOR = Vendor(
    name="microsoft365",
    title="Microsoft 365",
    category="identity",
    base_url="https://graph.microsoft.com",
    auth_url="https://login.microsoftonline.com",
    auth=client_credentials("/{tenant}/oauth2/v2.0/token", scope=graph_scope, on_auth_host=True),
    secrets=("client_id", "client_secret"),
    optional_settings=("partner_tenant",),
    read_by_post={"/v1.0/$batch": only_gets},
    cron="0 2 * * *",
    concurrency=8,
    is_per_tenant=True,
    tenants=customers_of_partner,
    endpoints=(
        Endpoint(
            "subscribed_skus",
            SubscribedSku,
            "The licences each tenant has bought.",
            path="/v1.0/subscribedSkus",
            records="value",
            pages=pages,
            counts="purchased",
            is_primary=False,
        ),
        Endpoint(
            "users",
            User,
            "The accounts of each tenant.",
            path="/v1.0/users",
            params={"$select": USER_FIELDS, "$top": 999},
            records="value",
            pages=pages,
        ),
        Endpoint(
            "mailboxes",
            Mailbox,
            "What each licensed user's mailbox is for.",
            needs=("users",),
            walk=mailboxes_of_licensed_users,
            records=mailbox_answers,
        ),
        Endpoint(
            "user_licenses",
            UserLicense,
            "The licences assigned, one row per user and SKU.",
            needs=("subscribed_skus", "users", "mailboxes"),
            derive=assigned_licenses,
            counts="assigned",
            names_people=True,
            rules=(
                Rule("user_purpose", "shared", "shared_mailbox", "A shared mailbox is nobody's seat."),
                Rule("user_purpose", "room", "room_mailbox", "A meeting room is nobody's seat."),
                Rule("user_purpose", "equipment", "equipment_mailbox", "Equipment is nobody's seat."),
                Rule("capability_status", "Suspended", "suspended_sku", "The suspended licence cannot be used."),
                Rule("capability_status", "LockedOut", "suspended_sku", "The locked-out licence cannot be used."),
                Rule("capability_status", "Deleted", "suspended_sku", "The deleted licence cannot be used."),
            ),
            states={"user_purpose": ("user", "linked", "others"), "capability_status": ("Enabled", "Warning")},
        ),
    ),
    proposals=tuple(
        Proposal("user_licenses", "sku_part_number", sku, service_id, product, "licence")
        for sku, service_id, product in SOLD
    ),
)
