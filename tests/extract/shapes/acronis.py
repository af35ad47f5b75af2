"""How Acronis answers, for the faults: a tree of seven tenants by cursor, their usages in a batch, a machine each."""

from typing import Any

import httpx

Json = Any
MAIN = "tenants"
RENAMED = (
    "tenant_id", "items", "id", "name", "kind", "tenant", "usages", "usage_name", "measurement_unit", "value", "type",
)  # fmt: skip


def shape(stand_in: Any, request: httpx.Request) -> Json:
    path = request.url.path
    if path.startswith("/api/2/clients/"):
        return {"client_id": "c", "tenant_id": "t1"}
    tenants = [
        {"id": f"t{n}", "name": f"Tenant {n}", "kind": "partner" if n == 1 else "customer",
         "parent_id": None if n == 1 else "t1", "pricing_mode": "production", "enabled": True}
        for n in range(1, 8)
    ]  # fmt: skip
    if path == "/api/2/tenants/usages":
        usage = {"type": "count", "name": "pw_base_servers", "usage_name": "servers", "edition": "pck_per_workload",
                 "measurement_unit": "quantity", "value": 3, "offering_item": {"status": 1}}  # fmt: skip
        asked = request.url.params["tenants"].split(",")
        return {"items": [{"tenant": one, "usages": [{**usage, "tenant_id": int(one[1:])}]} for one in asked]}
    machines = [
        {"id": f"m{n}", "name": f"HOST-{n}", "type": "resource.machine", "tenant_id": str(n)} for n in range(1, 8)
    ]
    rows = tenants if path == "/api/2/tenants" else machines
    page, following = stand_in.cut(rows, int(request.url.params.get("after", 0)))
    return {"items": page, "paging": {"cursors": {"after": str(following)} if following else {}}}
