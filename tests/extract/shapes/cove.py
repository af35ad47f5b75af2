"""How Cove answers, for the faults: one address, a visa in each answer, seven accounts, an empty page at the end."""

import json
from typing import Any

import httpx

Json = Any
MAIN = "partners"
RENAMED = (
    "result", "visa", "Id", "Name", "Level", "State", "AccountId", "PartnerId", "Settings", "AT", "OT", "PN", "I14",
)  # fmt: skip


def shape(stand_in: Any, request: httpx.Request) -> Json:
    asked = json.loads(request.content)
    result: Json
    if asked["method"] == "Login":
        result = {"result": {"Id": 71, "PartnerId": 1, "Name": "api"}}
    elif asked["method"] == "GetPartnerInfo":
        result = {"result": {"Id": 1, "Name": "Us", "Level": "Reseller"}}
    elif asked["method"] == "EnumeratePartners":
        level = {"Level": "EndCustomer", "State": "InProduction", "ParentId": 1}
        result = {"result": [{"Id": n, "Name": f"Client {n}", **level} for n in range(2, 8)]}
    else:
        settings = [{"AT": "1"}, {"OT": "2"}, {"PN": "All-In"}, {"I14": "1073741824"}, {"TS": "1793400000"}]
        rows = [{"AccountId": n, "PartnerId": n, "Settings": settings} for n in range(1, 8)]
        page, _ = stand_in.cut(rows, asked["params"]["query"]["StartRecordNumber"])
        result = {"result": page or None, "totalStatistics": [{"COUNT(1)": str(len(rows))}]}
    return {"id": asked["id"], "jsonrpc": "2.0", "result": result, "visa": f"visa-{stand_in.served}"}
