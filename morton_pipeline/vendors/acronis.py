"""Acronis Cyber Protect Cloud: backup. One billable unit is what a usage row counts: a workload, a mailbox, a gigabyte.

Acronis says that `/tenants/usages` is refreshed every half hour to six hours and must not be used for billing; it
bills by a usage report, a CSV file that has to be ordered and whose columns nobody outside has verified. We read the
usages nonetheless, for the list of what drifted, order nothing, and leave it to a person to hold an amount against
the provider's own report before approving it. Every request but the token's is a GET.

Credentials: an API client of the partner tenant, read-only where one can choose; the host is the data centre's.
Completeness: tenants form a tree, whose every parent must have been sent; each tenant asked for usages must answer;
resources declare their total. A usage has no id of its own: tenant, service, name, edition and storage make it one.
The usages of a partner or a folder are the sums of the customers below, and a unit is a part of its customer.
"""

from urllib.parse import quote

from morton_pipeline.extract.auth import client_credentials_by_basic
from morton_pipeline.extract.errors import Incomplete
from morton_pipeline.extract.pages import Call, Page, Walk, dig
from morton_pipeline.extract.records import Number, Record, Text, column, key, number
from morton_pipeline.extract.vendor import Endpoint, Fetched, Json, Proposal, Rows, Rule, Vendor

OWN_CLIENT = "/api/2/clients/{client_id}"
PRODUCTION, TRIAL = "production", "trial"
BATCH = 100
"""The most tenants one request for usages may name."""


class Tenant(Record):
    """A partner, folder, customer or unit, as Acronis knows it."""

    id: Text = key("Acronis's own id of the tenant.")
    name: Text = column("The tenant's name.", nullable=False)
    kind: Text = column("partner, folder, customer or unit; a client company is a customer.", nullable=False)
    parent_id: Text = column("The tenant above.")
    pricing_mode: Text = column("production or trial.")
    production_start_date: Text = column("When billing began; empty for a trial.")
    enabled: Text = column("Whether the tenant may use its services: True or False.")


class Usage(Record):
    """How much a tenant uses of one offering item, as Acronis last counted it."""

    id: Text = key("Ours: tenant, service, name, edition and storage, joined by strokes.")
    tenant_uuid: Text = column("The tenant whose usage it is.", nullable=False)
    tenant_number: Text = column("The same tenant's number, by which resources name it.")
    application_id: Text = column("The service it belongs to.")
    type: Text = column("count, infra for what lies in a storage, or feature for a switch.", nullable=False)
    name: Text = column("The offering item with its edition's prefix, e.g. pw_base_servers.", nullable=False)
    usage_name: Text = column("What is counted, without the prefix, e.g. servers.", nullable=False)
    edition: Text = column("How it is licensed, e.g. pck_per_workload or pck_per_gigabyte.")
    infra_id: Text = column("The storage it lies in, where it is a storage's.")
    measurement_unit: Text = column("quantity, bytes, seconds or n/a.", nullable=False)
    value: Number = number("How much is used, in that unit.", nullable=False)
    offering_item__status: Text = column("1 where the offering item is enabled, 0 where it is not.")
    tenant_name: Text = column("The tenant's name.")
    tenant_kind: Text = column("partner, folder, customer or unit.", nullable=False)
    tenant_pricing_mode: Text = column("production or trial.")
    tenant_state: Text = column(
        "Ours: trial where Acronis says so or names no day on which production began, else production; a pricing mode "
        "nobody knows yet as Acronis says it.",
        nullable=False,
    )
    tenant_enabled: Text = column("Whether the tenant may use its services.")


class Resource(Record):
    """A machine with an Acronis agent."""

    id: Text = key("Acronis's own id of the resource.")
    name: Text = column("The name the machine has for itself.", nullable=False)
    user_defined_name: Text = column("The name an operator gave it.")
    type: Text = column("resource.machine.", nullable=False)
    tenant_number: Text = column("The number of the tenant it belongs to.")
    customer_uuid: Text = column("Ours: the id of that tenant, as its usages tell it; for a unit, its customer's.")


def items(body: Json) -> Rows:
    """Return the list of an answer."""
    found = body["items"]
    if not isinstance(found, list):
        raise TypeError(f"items is {type(found).__name__} and no list")
    return found


def tenants_below_us(_: Fetched) -> Walk:
    """Ask which tenant our own client belongs to, then walk the tree below it; a cursor carries all filters itself."""
    page = yield Call(OWN_CLIENT)
    root = str(page.body["tenant_id"])
    page = yield Call("/api/2/tenants", {"subtree_root_id": root, "lod": "full"})
    parents, seen = {row["id"]: row.get("parent_id") for row in items(page.body)}, set[str]()
    while after := dig(page.body, "paging.cursors.after"):
        if after in seen:
            raise Incomplete("Acronis sent the same cursor of tenants twice; the list would never end.")
        seen.add(after)
        page = yield Call("/api/2/tenants", {"after": after})
        parents |= {row["id"]: row.get("parent_id") for row in items(page.body)}
    missing = {root, *(parent for tenant, parent in parents.items() if parent and tenant != root)} - set(parents)
    if missing:
        raise Incomplete(f"Acronis left out {len(missing)} of the tenants that others stand below.")


def tenant_rows(page: Page) -> Rows:
    """Our own client's record only names the tree; the records are the tenants."""
    return [] if page.call.path == OWN_CLIENT else items(page.body)


def usages_of_tenants(fetched: Fetched) -> Walk:
    """Ask for usages in batches, and again by itself for each tenant a batch said nothing of: that is not yet zero."""
    ids = [tenant["id"] for tenant in fetched["tenants"]]
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        page = yield Call("/api/2/tenants/usages", {"tenants": ",".join(batch)})
        answered = {item["tenant"] for item in items(page.body)}
        for tenant in batch:
            if tenant not in answered:
                yield Call(f"/api/2/tenants/{quote(tenant, safe='')}/usages", note=tenant)


def usage_rows(page: Page) -> Rows:
    """Return the usages of an answer, which is about a batch of tenants or about one."""
    if page.call.note is not None:
        return [_usage(page.call.note, usage) for usage in items(page.body)]
    return [_usage(item["tenant"], usage) for item in items(page.body) for usage in item["usages"]]


def _usage(tenant: str, usage: dict[str, Json]) -> dict[str, Json]:
    parts = (tenant, usage.get("application_id"), usage["name"], usage.get("edition"), usage.get("infra_id"))
    # A switch is on or off and has no quantity; whatever else comes without one is set aside, not read as 0.
    value = (usage.get("value") or 0) if usage.get("type") == "feature" else usage.get("value")
    named = {"id": "|".join(str(part or "") for part in parts), "tenant_uuid": tenant}
    return {**usage, **named, "tenant_number": usage.get("tenant_id"), "value": value}


def with_tenant(rows: Rows, fetched: Fetched) -> Rows:
    """Say of each usage what its tenant is: only a customer in production is somebody to bill."""
    tenants = {tenant["id"]: tenant for tenant in fetched["tenants"]}
    return [{**row, **_of_tenant(tenants[row["tenant_uuid"]])} for row in rows]


def _of_tenant(tenant: dict[str, Json]) -> dict[str, Json]:
    known = ("name", "kind", "pricing_mode", "enabled")
    return {f"tenant_{name}": tenant.get(name) for name in known} | {"tenant_state": _state(tenant)}


def _state(tenant: dict[str, Json]) -> str:
    """Two fields tell a trial, and either may be missing: the mode, and the day on which production began."""
    mode = str(tenant.get("pricing_mode") or PRODUCTION).lower()
    return TRIAL if mode == PRODUCTION and not tenant.get("production_start_date") else mode


def machines(_: Fetched) -> Walk:
    """Walk the machines of all tenants; where a total is declared, fewer of them are not kept."""
    call = Call("/api/resource_management/v4/resources", {"type": "resource.machine", "limit": 200})
    page = yield call
    total, sent, seen = dig(page.body, "paging.cursors.total"), len(items(page.body)), set[str]()
    while after := dig(page.body, "paging.cursors.after"):
        if after in seen:
            raise Incomplete("Acronis sent the same cursor of resources twice; the list would never end.")
        seen.add(after)
        page = yield call.with_params(after=after)
        sent += len(items(page.body))
    if total is not None and sent < int(total):
        raise Incomplete(f"Acronis declared {total} resources and sent {sent}.")


def with_customer(rows: Rows, fetched: Fetched) -> Rows:
    """Name each machine's customer as everything else does: a usage carries both the number and the id."""
    tenants = {tenant["id"]: tenant for tenant in fetched["tenants"]}
    known = {str(usage["tenant_number"]): usage["tenant_uuid"] for usage in fetched["usages"]}
    return [{**row, **_owner(str(row["tenant_id"]), tenants, known)} for row in rows]


def _owner(number: str, tenants: dict[str, dict[str, Json]], known: dict[str, str]) -> dict[str, Json]:
    """The number may be an id already, and a unit's machines are counted at its customer."""
    tenant = tenants.get(known.get(number, number), {})
    for _ in tenants:
        if tenant.get("kind") != "unit":
            break
        tenant = tenants.get(str(tenant.get("parent_id")), tenant)
    return {"tenant_number": number, "customer_uuid": tenant.get("id")}


VENDOR = Vendor(
    name="acronis",
    title="Acronis",
    category="backup",
    base_url="https://eu2-cloud.acronis.com",
    auth=client_credentials_by_basic("/api/2/idp/token"),
    secrets=("client_id", "client_secret"),
    cron="45 3 * * *",
    endpoints=(
        Endpoint(
            "tenants",
            Tenant,
            "The partner's tenants: folders, customers and their units.",
            walk=tenants_below_us,
            records=tenant_rows,
        ),
        Endpoint(
            "usages",
            Usage,
            "What each tenant uses of each offering item; for finding drift, not Acronis's own basis for billing.",
            needs=("tenants",),
            walk=usages_of_tenants,
            records=usage_rows,
            enrich=with_tenant,
            counts="deployed",
            quantity="value",
            unit="measurement_unit",
            rules=(
                Rule("type", "feature", "feature", "A feature is a switch, and no quantity."),
                Rule(
                    "usage_name",
                    "pack_adv_*",
                    "advanced_pack",
                    "An advanced pack is an addition to workloads that are counted already.",
                ),
                Rule("tenant_state", TRIAL, "trial_tenant", "The tenant is on trial; Acronis bills nothing."),
                Rule("offering_item__status", "0", "disabled_item", "The offering item is switched off."),
                Rule("tenant_kind", "partner", "partner_tenant", "A partner's usage is the sum of its customers'."),
                Rule("tenant_kind", "folder", "folder_tenant", "A folder's usage is the sum of its customers'."),
                Rule("tenant_kind", "unit", "unit_tenant", "A unit's usage is a part of its customer's."),
                Rule("tenant_kind", "personal", "personal_tenant", "One user's usage is a part of the customer's."),
            ),
            states={
                "type": ("count", "infra"),
                "tenant_state": (PRODUCTION,),
                "offering_item__status": ("1",),
                "tenant_kind": ("customer",),
            },
        ),
        Endpoint(
            "resources",
            Resource,
            "The machines with an Acronis agent, to be compared with the RMM's; not counted.",
            needs=("tenants", "usages"),
            walk=machines,
            records="items",
            enrich=with_customer,
        ),
    ),
    proposals=(
        Proposal("usages", "usage_name", "servers", "CLOUD-SRV", "Cloud backup server", "device"),
        Proposal("usages", "usage_name", "workstations", "CLOUD-WKS", "Cloud backup workstation", "device"),
        Proposal("usages", "usage_name", "storage", "CLOUD-GB", "Cloud backup storage", "gigabyte"),
        Proposal("usages", "usage_name", "mailboxes", "CLOUD-MBX", "Cloud backup mailbox", "mailbox"),
    ),
)
