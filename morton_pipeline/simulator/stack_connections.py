"""The blocks of connections.yaml that lead to the further tools' stand-ins.

Belongs here: how the demo book names its connections. Does not: the first four (`seeds`), or what a tool lists.
"""

from collections.abc import Mapping
from typing import Any

from morton_pipeline.simulator import mailshield, vaultdesk
from morton_pipeline.simulator.entities import Tool
from morton_pipeline.simulator.world import World

DAILY, WEEKLY = "30 4 * * *", "30 4 * * 2"
"""The inbox is looked at every day, the tools are asked once a week; the world begins on a Tuesday."""

SECRETS: Mapping[str, Mapping[str, str]] = {
    "datto_rmm": {"api_key": "DATTO_RMM_API_KEY", "api_secret": "DATTO_RMM_API_SECRET"},
    "sentinelone": {"api_token": "SENTINELONE_API_TOKEN"},
    "sentinelone_west": {"api_token": "SENTINELONE_WEST_API_TOKEN"},
    "google": {"service_account": "GOOGLE_SERVICE_ACCOUNT"},
    "datto_bcdr": {"public_key": "DATTO_BCDR_PUBLIC_KEY", "secret_key": "DATTO_BCDR_SECRET_KEY"},
    "acronis": {"client_id": "ACRONIS_CLIENT_ID", "client_secret": "ACRONIS_CLIENT_SECRET"},
    "cove": {"partner": "COVE_PARTNER", "username": "COVE_USERNAME", "password": "COVE_PASSWORD"},
    "veeam_spc": {"api_key": "VEEAM_SPC_API_KEY"},
    "pax8": {"client_id": "PAX8_CLIENT_ID", "client_secret": "PAX8_CLIENT_SECRET"},
}
"""The environment variables of each connection."""

DECLARED: Mapping[str, dict[str, Any]] = {"vaultdesk": vaultdesk.CONNECTION, "mailshield": mailshield.CONNECTION}
"""The connections that declare in YAML what is read."""


def connections(world: World, base_url: str, patience: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the blocks of every further tool."""
    return [_block(tool, base_url, patience) for tool in world.tools.values()]


def _block(tool: Tool, base_url: str, patience: Mapping[str, Any]) -> dict[str, Any]:
    name = tool.connection_id
    if tool.vendor == "files":
        return {**DECLARED[name], "schedule": DAILY}
    block = {"id": name, "vendor": tool.vendor, "base_url": f"{base_url}/{name}", "schedule": WEEKLY, **patience}
    if name in DECLARED:
        return {**DECLARED[name], **block}
    block["secrets"] = dict(SECRETS[name])
    if tool.vendor == "google_workspace":
        block["auth_url"] = block["admin_url"] = block["base_url"]
        block["domains"] = [
            {"id": c.first.id, "name": c.first.name, "admin": c.first.facts["admin"]} for c in tool.companies
        ]
    if tool.vendor == "pax8":
        block["auth_url"] = block["base_url"]
    return block
