"""SentinelOne: endpoint protection. One billable unit is one agent.

Credentials: the API token of a service user with the role Viewer; it expires, and a new one is made by hand. Every
console is a host of its own, and an MSP with two consoles has two connections. Limits are 25 requests a second for
agents and 100 for sites. The list of agents is said to leave out decommissioned ones unless asked, so both filters are
always set. Every page declares the number of all records. Ids are strings of digits, too long for a number.
"""

from datetime import timedelta

from morton_pipeline.extract.auth import header_key
from morton_pipeline.extract.joins import Row, with_parents
from morton_pipeline.extract.pages import by_token
from morton_pipeline.extract.records import Boolean, Integer, Record, Text, column, key, settled_instant
from morton_pipeline.extract.vendor import Endpoint, Fetched, Proposal, Rate, Rows, Rule, Vendor

LARGEST_PAGE = 1000
BOTH = "True,False"
"""Those with the property and those without."""

pages = by_token("pagination.nextCursor", "cursor")


class Site(Record):
    """A client company as SentinelOne knows it."""

    id: Text = key("SentinelOne's own id of the site, a string of digits.")
    name: Text = column("The site's name.", nullable=False)
    site_type: Text = column("Paid or Trial.")
    state: Text = column("active, expired or deleted.")
    active_licenses: Integer = column("Licences in use, as SentinelOne counts them.")
    total_licenses: Integer = column("Licences of the site; says nothing where they are unlimited.")
    unlimited_licenses: Boolean = column("Whether the site may use any number of licences.")


class Agent(Record):
    """An agent installed on a machine."""

    id: Text = key("SentinelOne's own id of the agent, a string of digits.")
    site_id: Text = column("The site the agent reports to.", nullable=False)
    computer_name: Text = column("The machine's name.")
    machine_type: Text = column(
        "desktop, laptop, server, unknown and further kinds SentinelOne may add.", nullable=False
    )
    os_type: Text = column("windows, macos, linux or windows_legacy.")
    serial_number: Text = column("The machine's serial number.")
    mac_addresses: Text = column("The machine's network addresses, as JSON.")
    standing: Text = column(
        "Ours: decommissioned, uninstalled or installed; none where its site is not listed, which may be a trial.",
        nullable=False,
    )
    console_migration_status: Text = column("N/A, Pending, Failed, or Migrated once it reports to another console.")
    site_type: Text = column("The site's type; empty where the agent is gone and its site with it.")
    site_state: Text = column("The site's state; empty where the agent is gone and its site with it.")
    last_active_date: Text = settled_instant("When the agent last reported.", after=timedelta(days=14))


def with_site(rows: Rows, fetched: Fetched) -> Rows:
    """Say of each agent what its site is, and whether it is installed at all."""
    return with_parents(rows, fetched["sites"], id="id", named="siteId", facts=_facts)


def _facts(agent: Row, site: Row | None) -> Row:
    found = {interface["physical"] for interface in agent.get("networkInterfaces") or () if interface.get("physical")}
    return {
        "machineType": agent["machineType"] or "unknown",
        "standing": _standing(agent, site),
        # Sorted, for the order in which a machine names its interfaces is no change of the machine.
        "macAddresses": sorted(found) or None,
        **({"siteType": site["siteType"], "siteState": site["state"]} if site else {}),
    }


def _standing(agent: Row, site: Row | None) -> str | None:
    # What is gone may name a site that went with it.
    if agent["isDecommissioned"] or agent["isUninstalled"]:
        return "decommissioned" if agent["isDecommissioned"] else "uninstalled"
    return "installed" if site else None


VENDOR = Vendor(
    name="sentinelone",
    title="SentinelOne",
    category="security",
    base_url="https://usea1.sentinelone.net",
    auth=header_key("Authorization", "api_token", prefix="ApiToken "),
    secrets=("api_token",),
    cron="20 * * * *",
    rate=Rate(20, 1),
    endpoints=(
        Endpoint(
            "sites",
            Site,
            "The client companies in SentinelOne.",
            path="/web/api/v2.1/sites",
            params={"limit": LARGEST_PAGE},
            records="data.sites",
            pages=pages,
            total="pagination.totalItems",
        ),
        Endpoint(
            "agents",
            Agent,
            "Every SentinelOne agent, decommissioned and uninstalled ones too.",
            path="/web/api/v2.1/agents",
            params={"limit": LARGEST_PAGE, "isDecommissioned": BOTH, "isUninstalled": BOTH},
            records="data",
            pages=pages,
            total="pagination.totalItems",
            needs=("sites",),
            enrich=with_site,
            counts="deployed",
            rules=(
                Rule("standing", "decommissioned", "decommissioned", "The agent was decommissioned in SentinelOne."),
                Rule("standing", "uninstalled", "uninstalled", "The agent was removed from the machine."),
                Rule("console_migration_status", "Migrated", "migrated", "The agent reports to another console now."),
                Rule("site_type", "Trial", "trial_site", "The site is a trial."),
                Rule("site_state", "expired", "expired_site", "The site's licence has expired."),
                Rule("site_state", "deleted", "deleted_site", "The site was deleted in SentinelOne."),
            ),
            states={
                "console_migration_status": ("N/A", "Pending", "Failed"),
                "site_type": ("Paid",),
                "site_state": ("active",),
            },
        ),
    ),
    proposals=(Proposal("agents", "machine_type", "*", "EDR-S1", "SentinelOne agent", "agent"),),
)
