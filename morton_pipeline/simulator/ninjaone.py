"""A stand-in for NinjaOne's API: OAuth client credentials, bare arrays, `pageSize` and `after`, epoch seconds.

Belongs here: how NinjaOne writes the world down. Does not: what is in the world.
"""

from datetime import datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morton_pipeline.simulator import credentials
from morton_pipeline.simulator.clock import SimulatedClock
from morton_pipeline.simulator.desk import Tokens, answer, basic_credentials, form, is_form
from morton_pipeline.simulator.entities import Device, Life, Organization
from morton_pipeline.simulator.world import World, alive

LARGEST_PAGE = 1000


def create_app(
    world: World,
    clock: SimulatedClock,
    *,
    token_seconds: float = 3600,
    client: credentials.OAuthClient = credentials.NINJAONE,
) -> Starlette:
    """Make the app. `token_seconds` is how long a token lasts, in real time."""
    tokens = Tokens(token_seconds)

    async def token(request: Request) -> Response:
        if not is_form(request):
            return answer({"error": "invalid_request"}, 400)
        asked = await form(request)
        given = basic_credentials(request.headers.get("authorization")) or credentials.OAuthClient(
            asked.get("client_id", ""), asked.get("client_secret", "")
        )
        if given != client:
            return answer({"error": "invalid_client", "error_description": "Client authentication failed."}, 401)
        if asked.get("grant_type") != "client_credentials":
            return answer({"error": "unsupported_grant_type"}, 400)
        scopes = asked.get("scope", "").split()
        if not scopes or not set(scopes) <= {"monitoring", "management", "control"}:
            return answer({"error": "invalid_scope"}, 400)
        body = {
            "access_token": tokens.issue(),
            "expires_in": int(token_seconds),
            "scope": " ".join(scopes),
            "token_type": "Bearer",
        }
        return answer(body, headers={"Cache-Control": "no-store"})

    async def organizations(request: Request) -> Response:
        if refused := _refusal(request, tokens):
            return refused
        found = [organization_json(o) for o in alive(world.organizations, clock.now())]
        return _page(request, found)

    async def devices(request: Request) -> Response:
        if refused := _refusal(request, tokens):
            return refused
        if request.query_params.get("df"):
            return _error(400, "INVALID_FILTER", "This stand-in reads no device filter; ask for all devices.")
        owner = request.path_params.get("id")
        now = clock.now()
        alive = ((life, device) for life in world.devices if (device := life.at(now)) is not None)
        write = detailed_json if request.url.path.endswith("-detailed") else device_json
        found = [write(life, device, now) for life, device in alive if owner is None or device.organization_id == owner]
        return _page(request, found)

    return Starlette(
        routes=[
            Route("/ws/oauth/token", token, methods=["POST"]),
            Route("/v2/organizations", organizations),
            Route("/v2/devices", devices),
            Route("/v2/devices-detailed", devices),
            Route("/v2/organization/{id:int}/devices", devices),
        ],
        exception_handlers={404: _not_found},
    )


async def _not_found(request: Request, _: Exception) -> Response:
    return _error(404, "NOT_FOUND", f"No resource at {request.url.path}.")


def _error(status: int, code: str, message: str) -> Response:
    return answer(
        {"resultCode": code, "errorMessage": message, "incidentId": "00000000-0000-4000-8000-000000000000"}, status
    )


def _refusal(request: Request, tokens: Tokens) -> Response | None:
    if tokens.subject(request.headers.get("authorization")) is None:
        return answer({"error": "invalid_token", "error_description": "The access token expired"}, 401)
    return None


def _page(request: Request, rows: list[dict[str, Any]]) -> Response:
    """Cut one page: the ids after `after`, ascending. There is no envelope and no total."""
    try:
        size = int(request.query_params.get("pageSize", LARGEST_PAGE))
        after = int(request.query_params.get("after", 0))
    except ValueError:
        return _error(400, "INVALID_PARAMETER", "pageSize and after must be whole numbers.")
    if size < 1:
        return _error(400, "INVALID_PARAMETER", "pageSize must be positive.")
    rows = sorted((row for row in rows if row["id"] > after), key=lambda row: row["id"])
    return answer(rows[: min(size, LARGEST_PAGE)])


def organization_json(organization: Organization) -> dict[str, Any]:
    """Write an organisation the way NinjaOne does; an empty description is left out."""
    body: dict[str, Any] = {
        "name": organization.name,
        "nodeApprovalMode": organization.approval_mode,
        "id": organization.id,
    }
    if organization.description:
        body["description"] = organization.description
    return body


def device_json(life: Life[Device], device: Device, now: datetime) -> dict[str, Any]:
    """Write a device the way NinjaOne does: what does not apply is absent, not null."""
    contact = _last_contact(device, now)
    body: dict[str, Any] = {
        "id": device.id,
        "uid": device.uid,
        "parentDeviceId": device.parent_id,
        "organizationId": device.organization_id,
        "locationId": device.organization_id * 10 + device.id % 2,
        "nodeClass": device.node_class,
        "nodeRoleId": device.role_id,
        "rolePolicyId": device.role_policy_id,
        "policyId": device.policy_id,
        "approvalStatus": device.approval_status,
        "offline": device.is_offline or device.silent_since is not None,
        "displayName": device.display_name,
        "systemName": device.system_name,
        "dnsName": device.dns_name,
        "netbiosName": device.netbios_name,
        "created": life.created_at.timestamp() + device.id % 1000 / 1000,
        "lastContact": contact,
        "lastUpdate": contact - device.id % 60,
        "tags": list(device.tags),
    }
    return {name: value for name, value in body.items() if value is not None}


def detailed_json(life: Life[Device], device: Device, now: datetime) -> dict[str, Any]:
    """Write a device with its hardware; one without an agent of its own has none to report."""
    body = device_json(life, device, now)
    if device.mac is not None:
        body["macAddresses"] = [device.mac.replace(":", "-").upper()]
    if device.serial is not None:
        body["system"] = {"name": device.system_name, **serials(device)}
    return body


def serials(device: Device) -> dict[str, Any]:
    """Some boards carry a placeholder where the maker's serial number should be; the BIOS then has the real one."""
    shown = "Default string" if device.id % 9 == 0 else device.serial
    return {"serialNumber": shown, "biosSerialNumber": device.serial}


def _last_contact(device: Device, now: datetime) -> float:
    if device.silent_since is not None:
        return device.silent_since.timestamp()
    ago = timedelta(hours=2 + device.id % 60) if device.is_offline else timedelta(seconds=device.id % 290)
    return (now - ago).timestamp() - device.id % 997 / 1000
