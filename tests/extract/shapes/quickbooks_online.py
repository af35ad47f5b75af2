"""How QuickBooks Online answers, for the faults: seven of everything but credit memos, of which there is none."""

from typing import Any

import httpx

Json = Any
MAIN = "customers"
RENAMED = (
    "Id",
    "DisplayName",
    "TxnDate",
    "CustomerRef",
    "TotalAmt",
    "QueryResponse",
    "Customer",
    "Line",
    "Amount",
)
"""Fields whose renaming must fail the scope, or set every record aside."""


def shape(stand_in: Any, request: httpx.Request) -> Json:
    words = request.url.params["query"].split()
    entity, start = words[3], int(words[words.index("startposition") + 1]) - 1
    line = {
        "Id": "1",
        "DetailType": "SalesItemLineDetail",
        "Amount": 5,
        "SalesItemLineDetail": {"ItemRef": {"value": "1"}},
    }
    more = {"TxnDate": "2026-10-01", "CustomerRef": {"value": "1"}, "TotalAmt": 5, "Line": [line]}
    rows = [{"Id": str(n), "DisplayName": f"c{n}", "Name": f"i{n}", **more} for n in range(1, 8)]
    if entity == "CreditMemo":
        rows = []
    page, _ = stand_in.cut(rows, start)
    return {"QueryResponse": {entity: page, "startPosition": start + 1, "maxResults": len(page)} if page else {}}
