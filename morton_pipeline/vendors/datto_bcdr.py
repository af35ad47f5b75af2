"""Datto BCDR and SaaS Protection: backup. One billable unit is one protected machine, or one protected seat.

Credentials: a REST API key pair of the partner portal, sent by HTTP Basic; it reads what the reseller sees, and only
GET is asked. Datto publishes no rate limit; one client claims 120 requests in any minute, and we stay below that.
Completeness: the list of appliances declares its pages and its records. The other lists may come as bare arrays and
declare nothing: those of an appliance are held against its `agentCount`, seats against the customer's `seatsUsed`;
both are lower bounds, for archived machines and unprotected seats are listed as well. Endpoint Backup for PC and
Direct-to-Cloud are not read. Seats carry no id that every client knows, and `mainId` is an address that a mailbox made
again shares with its archive, so `remoteId` comes first.
"""

from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

from morton_pipeline.extract.auth import basic
from morton_pipeline.extract.errors import Incomplete
from morton_pipeline.extract.pages import Call, Page, Walk
from morton_pipeline.extract.records import Boolean, Integer, Number, Record, Text, column, key, settled_epoch
from morton_pipeline.extract.vendor import Endpoint, Fetched, Json, Proposal, Rows, Rule, Vendor, per_minute

PER_PAGE = 100
USUALLY_FREE = frozenset({"sharedmailbox", "site", "teamsite", "team", "shareddrive"})
"""Seat types Datto usually does not charge for; asked only where a seat does not say whether it is billable."""
NOT_OURS = (403, 404)
"""How the machines of a child reseller's appliance may be refused: they are its own, and count for nothing here."""
CHARGED, FREE = frozenset({"1", "true", "yes"}), frozenset({"", "0", "false", "no"})
"""How `billable` is written: 1 was seen, and its opposite may be an empty text."""


class Device(Record):
    """An appliance that backs machines up."""

    serial_number: Text = key("The appliance's serial number.")
    name: Text = column("The name an operator gave the appliance.")
    model: Text = column("The appliance's model.")
    organization_id: Text = column("Datto's own id of the client's organisation; empty where none is assigned.")
    organization_name: Text = column("The organisation's name.")
    client_company_name: Text = column("The client's name as it was registered with the appliance.")
    reseller_company_name: Text = column("The reseller the appliance belongs to.")
    hidden: Text = column("Whether the appliance is hidden in the portal: True or False.")
    child_reseller: Text = column("Ours: True where it is listed only together with those of child resellers.")
    agent_count: Integer = column("Machines Datto itself counts on the appliance.")
    share_count: Integer = column("Shares Datto itself counts on the appliance.")


class Asset(Record):
    """What an appliance backs up: a machine, or a share."""

    id: Text = key("Ours: the appliance's serial number and Datto's id of the asset, joined by a stroke.")
    name: Text = column("The machine's name.")
    type: Text = column("agent for a machine, share for a share; may be absent for a machine.")
    os: Text = column("The operating system's name.")
    asset_class: Text = column(
        "Ours: share; server or workstation as the system's name says outright; agent for a machine where it does not.",
        nullable=False,
    )
    fqdn: Text = column("The machine's name in DNS.")
    protected_machine__serial: Text = column("The machine's own serial number.")
    protected_machine__mac: Text = column("The machine's network address.")
    is_archived: Text = column("Whether backups have ended and only the data is kept: True or False.", nullable=False)
    is_paused: Boolean = column("Whether backups are paused; the machine stays protected.")
    last_snapshot: Number = settled_epoch("When the machine was last backed up, in epoch seconds.", after=timedelta(14))
    device__serial_number: Text = column("The appliance it is backed up on.", nullable=False)
    device__name: Text = column("The appliance's name.")
    device__organization_id: Text = column("The organisation the appliance is assigned to.")
    device__organization_name: Text = column("That organisation's name.")
    device__client_company_name: Text = column("The client's name as it was registered with the appliance.")
    device__hidden: Text = column("Whether the appliance is hidden in the portal.")
    device__child_reseller: Text = column("Ours: whether the appliance is a child reseller's.")


class SaasSeat(Record):
    """A user, mailbox, site or team whose cloud data SaaS Protection knows."""

    saas_customer_id: Text = key("Datto's own id of the SaaS customer.")
    seat_type: Text = key("User, SharedMailbox, Site, TeamSite, Team or SharedDrive.")
    id: Text = key("Ours: the seat's remoteId, else its mainId.")
    main_id: Text = column("The seat's address; one that was made again shares it with its archive.")
    name: Text = column("The seat's name.")
    seat_state: Text = column("Active, Paused, Archived or Unprotected.", nullable=False)
    billable: Text = column("1 where Datto charges for the seat; 0 or an empty text where it does not.")
    billing: Text = column(
        "Ours: billable, not_billable, free_seat_type where Datto says neither and the type is usually free, else "
        "not_said; where Datto writes it as nobody knows yet, Datto's own word."
    )
    saas_customer_name: Text = column("The SaaS customer's name.")
    organization_id: Text = column("The organisation the customer is assigned to; the appliances' own id.")
    organization_name: Text = column("That organisation's name.")
    product_type: Text = column("Office365 or GoogleApps.")


def listed(page: Page) -> Rows:
    """Return the list of an answer, be it bare or in an envelope that says which page it is."""
    if _is_refused(page):
        return []
    found = page.body if isinstance(page.body, list) else page.body["items"]
    if not isinstance(found, list):
        raise TypeError(f"items is {type(found).__name__} and no list")
    return found


def _is_refused(page: Page) -> bool:
    """Whether it is one of the refusals the call accepts: a code and a message in place of the list."""
    return bool(page.call.accepts) and isinstance(page.body, dict) and "items" not in page.body and "code" in page.body


def numbered(call: Call) -> Generator[Call, Page, Rows]:
    """Walk to the last declared page and return all records; a bare array has no pages and is the whole list.

    `count` is the records of all pages, or of the page: what fits neither is a list that was cut.
    """
    number, found, counts = 1, Rows(), list[tuple[int, int]]()
    while True:
        page = yield call.with_params(_page=number, _perPage=PER_PAGE)
        rows = listed(page)
        found.extend(rows)
        if isinstance(page.body, list) or _is_refused(page):
            return found
        pagination = page.body["pagination"]
        if pagination.get("count") is not None:
            counts.append((int(pagination["count"]), len(rows)))
        pages = int(pagination.get("totalPages") or 0)
        if number >= pages:
            break
        if not rows:
            raise Incomplete(f"{call.path}: page {number} of {pages} is empty; the list is not kept.")
        number += 1
    for declared, sent in counts:
        if declared not in (sent, len(found)):
            raise Incomplete(f"{call.path}: Datto declared {declared} records and sent {len(found)}.")
    return found


def appliances(_: Fetched) -> Walk:
    """List the reseller's own appliances, then all: only the difference tells which are a child reseller's."""
    call = Call("/v1/bcdr/device", {"showHiddenDevices": 1, "showChildResellerDevices": 0})
    own = [device["serialNumber"] for device in (yield from numbered(call))]
    if len(set(own)) < len(own):
        raise Incomplete(f"{call.path} sent an appliance twice; pages overlapped, so the list is not kept.")
    yield from numbered(replace(call.with_params(showChildResellerDevices=1), note=own))


def appliance_rows(page: Page) -> Rows:
    """The first list only names our own appliances; the records are those of the second."""
    own = page.call.note
    if own is None:
        return []
    return [{**device, "childReseller": device["serialNumber"] not in own} for device in listed(page)]


def assets_of_appliances(fetched: Fetched) -> Walk:
    """Read what each appliance backs up; fewer machines than it counts itself means that the list was cut.

    That is asked of the appliances somebody is billed for. A child reseller's may even be refused, and ours never.
    """
    for device in fetched["devices"]:
        serial, is_ours = device["serialNumber"], not device["childReseller"]
        call = Call(f"/v1/bcdr/device/{quote(serial, safe='')}/asset", note=device)
        rows = yield from numbered(call if is_ours else replace(call, accepts=NOT_OURS))
        machines = sum(not _is_share(row) for row in rows)
        if is_ours and not device.get("hidden") and machines < int(device.get("agentCount") or 0):
            raise Incomplete(
                f"Appliance {serial} counts {device['agentCount']} machines and lists {machines}: "
                "the list is not whole, so none of it is kept."
            )


def _is_share(asset: dict[str, Json]) -> bool:
    kind = str(asset.get("type") or "").lower()
    return "share" in kind or kind.startswith("nas")


def asset_rows(page: Page) -> Rows:
    """Give each asset its appliance: whose it is, and whether it counts, stands there."""
    device = page.call.note
    known = ("serialNumber", "name", "organizationId", "organizationName", "clientCompanyName", "hidden")
    facts = {name: device.get(name) for name in (*known, "childReseller")}
    return [
        {**asset, "id": _asset_id(facts["serialNumber"], asset), "assetClass": _class(asset), "device": facts}
        for asset in listed(page)
    ]


def _class(asset: dict[str, Json]) -> str:
    """Tell servers from workstations where the system's name says it outright: a Linux is not told apart by it."""
    system = str(asset.get("os") or "").lower()
    if _is_share(asset):
        return "share"
    if "server" in system:
        return "server"
    return "workstation" if "windows" in system or system.startswith("mac") else "agent"


def _asset_id(serial: str, asset: dict[str, Json]) -> str | None:
    own = asset.get("assetId") or asset.get("volume") or asset.get("name")
    return f"{serial}/{own}" if own else None


def seats_of_customers(_: Fetched) -> Walk:
    """List the protected domains, then each customer's seats; a customer may protect several domains."""
    customers: dict[str, dict[str, Json]] = {}
    for domain in (yield from numbered(Call("/v1/saas/domains"))):
        customer = customers.setdefault(str(domain["saasCustomerId"]), dict(domain))
        customer["seatsUsed"] = max(int(customer.get("seatsUsed") or 0), int(domain.get("seatsUsed") or 0))
    for customer_id, customer in customers.items():
        rows = yield from numbered(Call(f"/v1/saas/{quote(customer_id, safe='')}/seats", note=customer))
        if len(rows) < customer["seatsUsed"]:
            raise Incomplete(
                f"SaaS customer {customer_id} uses {customer['seatsUsed']} seats and lists {len(rows)}: "
                "the list is not whole, so none of it is kept."
            )


def seat_rows(page: Page) -> Rows:
    """The domains only name the customers; the records are the seats, each with what its customer is."""
    customer = page.call.note
    if customer is None:
        return []
    known = ("saasCustomerId", "saasCustomerName", "organizationId", "organizationName", "productType")
    facts = {name: customer.get(name) for name in known}
    return [
        {**seat, **facts, "id": seat.get("remoteId") or seat.get("mainId"), "billing": _billing(seat)}
        for seat in listed(page)
    ]


def _billing(seat: dict[str, Json]) -> str:
    said = seat.get("billable")
    if said is None:
        return "free_seat_type" if str(seat.get("seatType")).lower() in USUALLY_FREE else "not_said"
    word = str(said).strip().lower()
    return "billable" if word in CHARGED else "not_billable" if word in FREE else word


VENDOR = Vendor(
    name="datto_bcdr",
    title="Datto BCDR",
    category="backup",
    base_url="https://api.datto.com",
    auth=basic("public_key", "secret_key"),
    secrets=("public_key", "secret_key"),
    cron="30 3 * * *",
    rate=per_minute(100),
    endpoints=(
        Endpoint(
            "devices",
            Device,
            "Every appliance, the hidden ones and those of child resellers included.",
            walk=appliances,
            records=appliance_rows,
        ),
        Endpoint(
            "assets",
            Asset,
            "Every machine and share an appliance backs up, whether or not anybody is billed for it.",
            needs=("devices",),
            walk=assets_of_appliances,
            records=asset_rows,
            counts="deployed",
            rules=(
                Rule("is_archived", "true", "archived", "Backups of the machine have ended; only its data is kept."),
                Rule("type", "*share*", "share", "A share is no machine."),
                Rule("type", "nas*", "share", "A share is no machine."),
                Rule("device__hidden", "true", "hidden_appliance", "The appliance is hidden in Datto's portal."),
                Rule(
                    "device__child_reseller",
                    "true",
                    "child_reseller",
                    "The appliance belongs to a reseller below ours, who bills for it.",
                ),
            ),
            states={"is_archived": ("false",), "type": ("agent*",), "device__hidden": ("false",)},
        ),
        Endpoint(
            "saas_seats",
            SaasSeat,
            "Every seat SaaS Protection knows, whether or not anybody is billed for it.",
            walk=seats_of_customers,
            records=seat_rows,
            counts="assigned",
            names_people=True,
            rules=(
                Rule("seat_state", "archived", "archived", "The seat's backups have ended; only its data is kept."),
                Rule("seat_state", "unprotected", "unprotected", "The seat is known and not backed up."),
                Rule("billing", "not_billable", "not_billable", "Datto does not charge for the seat."),
                Rule(
                    "billing",
                    "free_seat_type",
                    "free_seat_type",
                    "Seats of this type are usually free, and Datto does not say whether this one is billable.",
                ),
            ),
            states={"seat_state": ("active", "paused"), "billing": ("billable", "not_said")},
        ),
    ),
    proposals=(
        Proposal("assets", "asset_class", "server", "BDR-SRV", "Protected server", "device"),
        Proposal("assets", "asset_class", "workstation", "BDR-WKS", "Protected workstation", "device"),
        Proposal("saas_seats", "seat_type", "User", "SAAS-SEAT", "Microsoft 365 backup seat", "licence"),
    ),
)
