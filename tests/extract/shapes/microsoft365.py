"""Microsoft Graph with seven records in its main list, in pages of the stand-in's size."""

import json
from typing import Any

import httpx

Json = Any
MAIN = "users"
RENAMED = (
    "id",
    "userPrincipalName",
    "assignedLicenses",
    "skuId",
    "consumedUnits",
    "prepaidUnits",
    "value",
    "responses",
    "status",
)
"""Fields whose renaming must fail the scope, or set every record aside."""


def shape(stand_in: Any, request: httpx.Request) -> Json:
    if request.url.path == "/v1.0/subscribedSkus":
        sku = {"id": "t_s", "skuId": "s", "skuPartNumber": "SPB", "consumedUnits": 7, "prepaidUnits": {"enabled": 9}}
        return {"value": [sku]}
    if request.url.path == "/v1.0/$batch":
        asked = json.loads(request.content)["requests"]
        return {"responses": [{"id": q["id"], "status": 200, "body": {"userPurpose": "user"}} for q in asked]}
    rows = [{"id": f"u{n}", "userPrincipalName": f"u{n}@x", "assignedLicenses": [{"skuId": "S"}]} for n in range(1, 8)]
    page, following = stand_in.cut(rows, int(request.url.params.get("$skiptoken", 0)))
    link = {"@odata.nextLink": f"https://graph.microsoft.com/v1.0/users?$skiptoken={following}"} if following else {}
    return {"value": page, **link}
