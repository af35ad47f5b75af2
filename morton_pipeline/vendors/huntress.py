"""Huntress: managed detection and response. One billable unit is one agent.

Credentials: an account API key and its secret, which only read. 60 requests in any minute per account, so an
organisation's usages, one request each, are read with the daily-sized lists and not with the incidents.
"""

from collections.abc import Mapping
from datetime import timedelta

from morton_pipeline.extract.auth import basic
from morton_pipeline.extract.pages import Call, Page, Walk, by_token
from morton_pipeline.extract.records import Integer, Record, Text, column, key, settled_instant
from morton_pipeline.extract.vendor import Endpoint, Fetched, Proposal, Rows, Vendor, per_minute

LIST: Mapping[str, str | int] = {"limit": 500, "sort_field": "id", "sort_direction": "asc"}
"""A stable order, and the largest page."""

pages = by_token("pagination.next_page_token", "page_token")


class Organization(Record):
    """A client company as Huntress knows it, with what Huntress itself would bill."""

    id: Text = key("Huntress's own id of the organisation.")
    name: Text = column("The organisation's name.", nullable=False)
    key: Text = column("A short name chosen when the organisation was made.")
    account_id: Text = column("The Huntress account it belongs to.")
    agents_count: Integer = column("Agents listed for the organisation.")
    billable_identity_count: Integer = column("Identities Huntress bills for identity protection.")
    identity_provider_tenant_id: Text = column("The Microsoft or Google tenant it is connected to.")
    actual_usages__edr__billable_agents_count: Integer = column("Agents Huntress bills for.")
    actual_usages__edr__unresponsive_agents_count: Integer = column("Agents Huntress has not heard from.")
    actual_usages__sat__learners_count: Integer = column("Learners in awareness training.")
    actual_usages__itdr: Text = column("Identity protection usage per tenant, as JSON.")


class Agent(Record):
    """An agent installed on a machine."""

    id: Text = key("Huntress's own id of the agent.")
    organization_id: Text = column("The organisation the agent reports to.", nullable=False)
    hostname: Text = column("The machine's name.")
    platform: Text = column("windows, darwin or linux.")
    os: Text = column("The operating system's name.")
    serial_number: Text = column("The machine's serial number.")
    mac_addresses: Text = column("The machine's network addresses, as JSON.")
    created_at: Text = column("When the agent first reported.")
    last_callback_at: Text = settled_instant("When the agent last reported.", after=timedelta(days=14))


class IncidentReport(Record):
    """An incident Huntress reported; shown as the value of the service, never billed."""

    id: Text = key("Huntress's own id of the incident report.")
    organization_id: Text = column("The organisation it concerns.")
    agent_id: Text = column("The agent it was found on.")
    subject: Text = column("The incident in one line.")
    status: Text = column("sent, closed, dismissed and further states Huntress may add.")
    severity: Text = column("low, high or critical.")
    platform: Text = column("Where it was found, e.g. windows or microsoft_365.")
    sent_at: Text = column("When it was reported.")
    closed_at: Text = column("When it was closed.")


def organizations_with_usages(_: Fetched) -> Walk:
    """List the organisations, then read each one: only the single record carries the actual usages."""
    ids: list[int] = []
    listing = pages(Call("/v1/organizations", LIST))
    try:
        call = next(listing)
        while True:
            page = yield call
            ids.extend(row["id"] for row in page.body["organizations"])
            call = listing.send(page)
    except StopIteration:
        pass
    for organization_id in ids:
        yield Call(f"/v1/organizations/{organization_id}")


def single_organization(page: Page) -> Rows:
    """The pages of the list only name the organisations; the records are the single answers."""
    return [] if page.call.path == "/v1/organizations" else [page.body["organization"]]


VENDOR = Vendor(
    name="huntress",
    title="Huntress",
    category="security",
    base_url="https://api.huntress.io",
    auth=basic("api_key", "api_secret"),
    secrets=("api_key", "api_secret"),
    cron="15 * * * *",
    rate=per_minute(60),
    endpoints=(
        Endpoint(
            "organizations",
            Organization,
            "The client companies in Huntress, each with the usage Huntress itself bills.",
            walk=organizations_with_usages,
            records=single_organization,
        ),
        Endpoint(
            "agents",
            Agent,
            "Every Huntress agent.",
            path="/v1/agents",
            params=LIST,
            records="agents",
            pages=pages,
            counts="deployed",
        ),
        Endpoint(
            "incident_reports",
            IncidentReport,
            "Incidents Huntress reported.",
            path="/v1/incident_reports",
            params=LIST,
            records="incident_reports",
            pages=pages,
            cron="*/2 * * * *",
        ),
    ),
    proposals=(Proposal("agents", "platform", "*", "EDR", "Managed detection and response", "agent"),),
)
