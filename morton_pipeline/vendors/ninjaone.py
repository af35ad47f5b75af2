"""NinjaOne: remote monitoring and management. One billable unit is one managed device.

Credentials: an API client with the scope `monitoring`, which only reads. Hosts differ per region; the region of the
account is the `base_url`. NinjaOne publishes no rate limit and no totals: the walk ends at an empty page.
"""

from datetime import timedelta

from morton_pipeline.extract.auth import client_credentials
from morton_pipeline.extract.pages import by_highest_id
from morton_pipeline.extract.records import Number, Record, Text, column, key, number, settled_epoch
from morton_pipeline.extract.vendor import Endpoint, Proposal, Rule, Vendor


class Organization(Record):
    """A client company as NinjaOne knows it."""

    id: Text = key("NinjaOne's own id of the organisation.")
    name: Text = column("The organisation's name.", nullable=False)
    description: Text = column("Free text an operator wrote.")


class Device(Record):
    """A node NinjaOne manages or watches."""

    id: Text = key("NinjaOne's own id of the device.")
    uid: Text = column("NinjaOne's global identifier of the device.")
    organization_id: Text = column("The organisation the device belongs to.", nullable=False)
    location_id: Text = column("The location within the organisation.")
    node_class: Text = column("What kind of node it is, e.g. WINDOWS_SERVER or NMS_SWITCH.", nullable=False)
    node_role_id: Text = column("The role an operator gave the node.")
    approval_status: Text = column("PENDING, STAGED, APPROVED or DECOMMISSIONED.", nullable=False)
    display_name: Text = column("The name an operator gave the device; often absent.")
    system_name: Text = column("The name the operating system reports.")
    dns_name: Text = column("The name in DNS.")
    parent_device_id: Text = column("The host a virtual guest was seen through.")
    mac_addresses: Text = column("The device's network addresses, as JSON.")
    system__serial_number: Text = column("The serial number of the machine; some makers leave a placeholder there.")
    system__bios_serial_number: Text = column("The serial number its BIOS reports.")
    created: Number = number("When the device was added, in epoch seconds.")
    last_contact: Number = settled_epoch("When the device last reported, in epoch seconds.", after=timedelta(days=14))


def sold_as(service_id: str, service_name: str, *node_classes: str) -> tuple[Proposal, ...]:
    """Propose one service for several classes of device."""
    return tuple(Proposal("devices", "node_class", name, service_id, service_name, "device") for name in node_classes)


VENDOR = Vendor(
    name="ninjaone",
    title="NinjaOne",
    category="rmm",
    base_url="https://app.ninjarmm.com",
    auth=client_credentials("/ws/oauth/token", scope="monitoring"),
    secrets=("client_id", "client_secret"),
    cron="0 * * * *",
    endpoints=(
        Endpoint(
            "organizations",
            Organization,
            "The client companies in NinjaOne.",
            path="/v2/organizations",
            pages=by_highest_id("after", field="id", size=("pageSize", 1000)),
        ),
        Endpoint(
            "devices",
            Device,
            "Every device NinjaOne lists, whether or not anybody is billed for it.",
            path="/v2/devices-detailed",
            pages=by_highest_id("after", field="id", size=("pageSize", 1000)),
            counts="deployed",
            rules=(
                Rule("node_class", "NMS_*", "network_gear", "Network gear is watched, not managed as an endpoint."),
                Rule(
                    "node_class", "CLOUD_MONITOR_TARGET", "cloud_monitor", "A cloud monitor is a check, not a device."
                ),
                Rule(
                    "node_class",
                    "*_VM_GUEST",
                    "vm_guest",
                    "A guest seen through its host; its own agent is listed apart.",
                ),
                Rule(
                    "node_class",
                    "*_VMM_GUEST",
                    "vm_guest",
                    "A guest seen through its host; its own agent is listed apart.",
                ),
                Rule("node_class", "UNMANAGED_DEVICE", "unmanaged", "The device carries no agent."),
                Rule("approval_status", "PENDING", "pending", "The device waits for approval in NinjaOne."),
                Rule("approval_status", "STAGED", "staged", "The device is prepared but not in use yet."),
                Rule("approval_status", "DECOMMISSIONED", "decommissioned", "The device has been retired in NinjaOne."),
            ),
            states={"approval_status": ("APPROVED",)},
        ),
    ),
    proposals=(
        *sold_as(
            "RMM-SRV",
            "Managed server",
            "WINDOWS_SERVER",
            "LINUX_SERVER",
            "MAC_SERVER",
            "VMWARE_VM_HOST",
            "HYPERV_VMM_HOST",
        ),
        *sold_as("RMM-WKS", "Managed workstation", "*_WORKSTATION", "MAC"),
    ),
)
