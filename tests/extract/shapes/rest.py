"""How a tool answers that connections.yaml declares, for the faults: seven records by token, and their companies."""

from typing import Any

import httpx

Json = Any
MAIN = "records"
RENAMED = ("id", "org", "plan", "name", "seats", "items", "data", "total", "meta", "next")
_LIST: dict[str, Json] = {
    "records": "data.items",
    "total": "meta.total",
    "pages": {"kind": "by_token", "where": "meta.next", "param": "cursor"},
}
CHANGES: dict[str, Json] = {
    "base_url": "https://api.tool.example",
    "settings": {
        "tool": "tool",
        "auth": {"kind": "none"},
        "records": {
            **_LIST,
            "path": "/v1/seats",
            "columns": {
                "record_id": "id", "company_id": "org.id", "company_name": "org.name", "sku": "plan",
                "quantity": "seats",
            },
        },
        "companies": {**_LIST, "path": "/v1/orgs", "columns": {"company_id": "id", "company_name": "name"}},
    },
}  # fmt: skip
"""What its connection declares."""


def shape(stand_in: Any, request: httpx.Request) -> Json:
    orgs = [{"id": f"o{n}", "name": f"Org {n}"} for n in range(1, 8)]
    seats = [{"id": n, "org": orgs[n - 1], "plan": "Business", "seats": n} for n in range(1, 8)]
    rows = {"/v1/seats": seats, "/v1/orgs": orgs}[request.url.path]
    page, following = stand_in.cut(rows, int(request.url.params.get("cursor", 0)))
    return {"data": {"items": page}, "meta": {"total": 7, "next": str(following) if following else None}}
