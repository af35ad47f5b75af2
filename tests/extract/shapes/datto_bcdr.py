"""How Datto BCDR answers, for the faults: seven appliances in numbered pages, a machine each, one SaaS customer."""

from typing import Any

import httpx

Json = Any
MAIN = "devices"
RENAMED = (
    "serialNumber", "items", "pagination", "totalPages", "isArchived", "saasCustomerId", "seatType", "seatState",
)  # fmt: skip


def shape(stand_in: Any, request: httpx.Request) -> Json:
    path = request.url.path
    if path.endswith("/asset"):
        serial = path.split("/")[-2]
        return [{"assetId": 1, "name": f"host-{serial}", "type": "agent", "isArchived": False, "isPaused": False}]
    if path == "/v1/saas/domains":
        return [{"saasCustomerId": 1, "saasCustomerName": "Org", "organizationId": 1, "seatsUsed": 2}]
    if path == "/v1/saas/1/seats":
        seat = {"seatType": "User", "seatState": "Active", "billable": "1"}
        return [{**seat, "remoteId": f"r{n}", "mainId": f"u{n}@x", "name": f"u{n}"} for n in (1, 2)]
    number, size = int(request.url.params["_page"]), stand_in.page_size
    rows = [
        {"serialNumber": f"S{n}", "name": f"siris-{n}", "organizationId": 1, "hidden": False, "agentCount": 1}
        for n in range(1, 8)
    ]
    page, _ = stand_in.cut(rows, (number - 1) * size)
    pagination = {"page": number, "perPage": size, "totalPages": -(-len(rows) // size), "count": len(rows)}
    return {"pagination": pagination, "items": page}
