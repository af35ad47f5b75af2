"""Huntress with seven records in its main list, in pages of the stand-in's size."""

from typing import Any

import httpx

Json = Any
MAIN = "agents"
RENAMED = (
    "id",
    "organization_id",
    "agents",
    "organization",
    "organizations",
    "name",
)
"""Fields whose renaming must fail the scope, or set every record aside."""


def shape(stand_in: Any, request: httpx.Request) -> Json:
    if request.url.path == "/v1/organizations":
        return {"organizations": [{"id": 1, "name": "Org"}], "pagination": {}}
    if request.url.path == "/v1/organizations/1":
        return {"organization": {"id": 1, "name": "Org", "agents_count": 7}}
    name = request.url.path.rpartition("/")[2]
    rows = [{"id": n, "organization_id": 1, "hostname": f"h{n}"} for n in range(1, 8)]
    page, following = stand_in.cut(rows, int(request.url.params.get("page_token", 0)))
    return {name: page, "pagination": {"next_page_token": str(following)} if following else {}}
