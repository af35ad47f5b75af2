"""NinjaOne with seven records in its main list, in pages of the stand-in's size."""

from typing import Any

import httpx

Json = Any
MAIN = "devices"
RENAMED = (
    "id",
    "organizationId",
    "nodeClass",
    "approvalStatus",
)
"""Fields whose renaming must fail the scope, or set every record aside."""


def shape(stand_in: Any, request: httpx.Request) -> Json:
    after = int(request.url.params.get("after", 0))
    if request.url.path == "/v2/organizations":
        return [{"id": 1, "name": "Org"}] if after < 1 else []
    rows = [
        {"id": n, "organizationId": 1, "nodeClass": "MAC", "approvalStatus": "APPROVED", "created": 1.5}
        for n in range(1, 8)
    ]
    return stand_in.cut([r for r in rows if int(str(r["id"])) > after], 0)[0]
