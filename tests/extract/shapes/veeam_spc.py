"""How the console answers, for the faults: seven companies and their counters of a day, by offset and declared total."""

from datetime import date, timedelta
from typing import Any

import httpx

Json = Any
MAIN = "companies"
RENAMED = (
    "instanceUid", "name", "status", "data", "meta", "pagingInfo", "offset", "total", "companyUid", "locationUid",
    "date", "counters", "type", "value",
)  # fmt: skip


def shape(stand_in: Any, request: httpx.Request) -> Json:
    asked = request.url.params
    rows: list[Json] = [{"instanceUid": f"c{n}", "name": f"Client {n}", "status": "Active"} for n in range(1, 8)]
    if request.url.path.endswith("/usage"):
        day = str(date.fromisoformat(asked["toDate"]) - timedelta(days=1))
        counters = [{"type": "ManagedServerAgents", "value": 3}]
        rows = [{"companyUid": f"c{n}", "locationUid": f"l{n}", "date": day, "counters": counters} for n in range(1, 8)]
    page, _ = stand_in.cut(rows, int(asked["offset"]))
    paging = {"total": len(rows), "count": len(page), "offset": int(asked["offset"])}
    return {"meta": {"pagingInfo": paging}, "data": page, "errors": None}
