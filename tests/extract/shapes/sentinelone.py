"""How SentinelOne answers, for the faults: seven sites and seven agents, a cursor and a declared total."""

from typing import Any

import httpx

Json = Any
MAIN = "sites"
RENAMED = (
    "id", "name", "siteType", "state", "siteId", "machineType", "isDecommissioned", "isUninstalled", "data", "sites",
    "pagination", "totalItems", "nextCursor",
)  # fmt: skip


def shape(stand_in: Any, request: httpx.Request) -> Json:
    plural = request.url.path.rpartition("/")[2]
    sites = [{"id": f"10{n}", "name": f"Site {n}", "siteType": "Paid", "state": "active"} for n in range(1, 8)]
    agents = [
        {
            "id": f"20{n}",
            "siteId": f"10{n}",
            "computerName": f"h{n}",
            "machineType": "laptop",
            "isDecommissioned": False,
            "isUninstalled": False,
            "networkInterfaces": [{"physical": f"02:00:00:00:00:0{n}"}],
            "lastActiveDate": "2026-07-01T08:00:00Z",
        }
        for n in range(1, 8)
    ]
    rows = {"sites": sites, "agents": agents}[plural]
    page, following = stand_in.cut(rows, int(request.url.params.get("cursor", 0)))
    data = {"allSites": {}, "sites": page} if plural == "sites" else page
    cursor = str(following) if following else None
    return {"data": data, "pagination": {"nextCursor": cursor, "totalItems": len(rows)}}
