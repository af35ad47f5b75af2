"""Datto RMM: remote monitoring and management. One billable unit is one managed device.

Credentials: the API key and API secret of a user whose security level only reads; the host is that of the account's
platform. Datto allows 600 reads in any minute per account, and blocks an address that keeps exceeding it with a 403.
Every page declares the number of all records, so a list that was cut is refused. A device list carries host names, no
serial numbers and no MAC addresses; user-defined fields can hold secrets, and none is stored.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qsl, urljoin, urlsplit

from morton_pipeline.extract.auth import password_grant
from morton_pipeline.extract.errors import Incomplete
from morton_pipeline.extract.joins import Row, with_parents
from morton_pipeline.extract.pages import Call, Walk
from morton_pipeline.extract.records import Boolean, Integer, Number, Record, Text, column, key, settled_epoch
from morton_pipeline.extract.vendor import Endpoint, Fetched, Json, Proposal, Rows, Rule, Vendor, per_minute

LARGEST_PAGE = 250
DELETED_DEVICES = "deleted devices"
"""The system site that keeps what was deleted; its uid is not a GUID."""
NEVER = Decimal(-62135596800)
"""The first second of year 1: how Datto writes that there is no date."""


class Site(Record):
    """A client company as Datto RMM knows it."""

    uid: Text = key("Datto's own id of the site: a GUID, except for the system site of deleted devices.")
    name: Text = column("The site's name.", nullable=False)
    on_demand: Boolean = column("Whether its devices carry OnDemand agents, which are not managed endpoints.")
    autotask_company_id: Text = column("The company in Autotask the site is linked to.")
    autotask_company_name: Text = column("That company's name.")
    devices_status__number_of_devices: Integer = column("How many devices Datto itself counts in the site.")


class Device(Record):
    """A device Datto RMM manages or watches."""

    uid: Text = key("Datto's own id of the device.")
    site_uid: Text = column("The site the device belongs to.", nullable=False)
    hostname: Text = column("The machine's name.")
    device_type__category: Text = column(
        "Free text such as Server, Desktop, Laptop or Network Device; without one, the deviceClass, or unknown.",
        nullable=False,
    )
    device_type__type: Text = column("A finer word for the same, often the model.")
    datto_class: Text = column("Datto's deviceClass: device, printer, esxihost, rmmnetworkdevice or unknown.")
    operating_system: Text = column("The operating system's name.")
    standing: Text = column(
        "Ours: deleted, on_demand or managed. A device whose site is not listed has none: it could be an OnDemand one.",
        nullable=False,
    )
    suspended: Boolean = column("Whether the device is suspended; it stays licensed until it is deleted.")
    last_seen: Number = settled_epoch("When the device last reported, in epoch seconds.", after=timedelta(days=14))


def pages(call: Call) -> Walk:
    """Follow `nextPageUrl`, whole or relative; it does not always repeat what was asked, so that is sent again."""
    page = yield call
    seen: set[str] = set()
    while link := page.body["pageDetails"].get("nextPageUrl"):
        if link in seen:
            raise Incomplete(f"{call.path} sent the same next link twice; the list would never end.")
        seen.add(link)
        address = urlsplit(urljoin(call.path, link))
        following = replace(call, path=address._replace(query="", fragment="").geturl())
        page = yield following.with_params(**dict(parse_qsl(address.query)))


def with_standing(rows: Rows, fetched: Fetched) -> Rows:
    """Say of each device whether it is managed at all: only its site knows whether that is an OnDemand one."""
    return with_parents(rows, fetched["sites"], id="uid", named="siteUid", facts=_facts)


def _facts(device: Row, site: Row | None) -> Row:
    return {
        "deviceType": _kind(device),
        "dattoClass": device["deviceClass"],
        "standing": _standing(device, site),
        "lastSeen": epoch_seconds(device.get("lastSeen")),
    }


def _kind(device: Row) -> Row:
    """A device may have no type; a type without a category is a change of shape."""
    device_type = device["deviceType"] or {"category": None}
    category = device_type["category"] or device["deviceClass"] or "unknown"
    return {"category": category, "type": device_type.get("type")}


def _standing(device: Row, site: Row | None) -> str | None:
    # What was deleted may name a site that went with it.
    name = (site or {}).get("name") or device.get("siteName") or ""
    if device["deleted"] or name.strip().lower() == DELETED_DEVICES:
        return "deleted"
    if site is None:
        return None
    return "on_demand" if site["onDemand"] else "managed"


def epoch_seconds(value: Json) -> Json:
    """Datto's specification says date-time and its answers are milliseconds: read both, as epoch seconds.

    What is neither is left as it is, for validation to set aside.
    """
    if value is None:
        return None
    try:
        seconds = Decimal(str(value)) / 1000
    except InvalidOperation:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            return value
        seconds = Decimal(str((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
    return None if seconds == NEVER else format(seconds, "f")


VENDOR = Vendor(
    name="datto_rmm",
    title="Datto RMM",
    category="rmm",
    base_url="https://pinotage-api.centrastage.net",
    auth=password_grant(
        "/auth/oauth/token", username="api_key", password="api_secret", client=("public-client", "public")
    ),
    secrets=("api_key", "api_secret"),
    cron="5 * * * *",
    rate=per_minute(540),
    endpoints=(
        Endpoint(
            "sites",
            Site,
            "The client companies in Datto RMM.",
            path="/api/v2/account/sites",
            params={"max": LARGEST_PAGE},
            records="sites",
            pages=pages,
            total="pageDetails.totalCount",
        ),
        Endpoint(
            "devices",
            Device,
            "Every device Datto RMM lists, whether or not anybody is billed for it.",
            path="/api/v2/account/devices",
            params={"max": LARGEST_PAGE},
            records="devices",
            pages=pages,
            total="pageDetails.totalCount",
            needs=("sites",),
            enrich=with_standing,
            counts="deployed",
            rules=(
                Rule("standing", "deleted", "deleted", "The device was deleted in Datto RMM."),
                Rule("standing", "on_demand", "on_demand", "An OnDemand agent is not a managed endpoint."),
                Rule("datto_class", "printer", "printer", "A printer is watched, not managed as an endpoint."),
                Rule("datto_class", "esxihost", "esxi_host", "An ESXi host is watched without an agent of its own."),
                Rule(
                    "datto_class",
                    "rmmnetworkdevice",
                    "network_device",
                    "Network gear is watched, not managed as an endpoint.",
                ),
            ),
            states={"datto_class": ("device", "unknown")},
        ),
    ),
    proposals=(
        Proposal("devices", "device_type__category", "Server", "RMM-SRV", "Managed server", "device"),
        Proposal("devices", "device_type__category", "Desktop", "RMM-WKS", "Managed workstation", "device"),
        Proposal("devices", "device_type__category", "Laptop", "RMM-WKS", "Managed workstation", "device"),
    ),
)
