"""How Datto RMM answers, for the faults: seven sites and seven devices, each page naming the next."""

from typing import Any

import httpx

Json = Any
MAIN = "sites"
RENAMED = (
    "uid", "name", "onDemand", "siteUid", "deviceType", "category", "deviceClass", "deleted", "sites", "devices",
    "pageDetails", "totalCount", "nextPageUrl",
)  # fmt: skip


def shape(stand_in: Any, request: httpx.Request) -> Json:
    plural = request.url.path.rpartition("/")[2]
    sites = [{"uid": f"s{n}", "name": f"Site {n}", "onDemand": False} for n in range(1, 8)]
    devices = [
        {
            "uid": f"d{n}",
            "siteUid": f"s{n}",
            "siteName": f"Site {n}",
            "hostname": f"h{n}",
            "deviceType": {"category": "Laptop", "type": "Laptop"},
            "deviceClass": "device",
            "suspended": False,
            "deleted": False,
            "lastSeen": 1785542400000,
        }
        for n in range(1, 8)
    ]
    rows = {"sites": sites, "devices": devices}[plural]
    page, following = stand_in.cut(rows, int(request.url.params.get("page", 0)))
    link = f"{request.url.path}?page={following}" if following else ""
    return {"pageDetails": {"count": len(page), "totalCount": len(rows), "nextPageUrl": link}, plural: page}
