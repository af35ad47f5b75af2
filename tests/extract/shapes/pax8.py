"""How Pax8 answers, for the faults: seven of everything, pages numbered from zero, and what there is in all."""

from typing import Any

import httpx

Json = Any
MAIN = "companies"
RENAMED = (
    "id", "name", "companyId", "productId", "quantity", "status", "invoiceDate", "total", "type", "content", "page",
    "totalElements", "totalPages",
)  # fmt: skip


def shape(stand_in: Any, request: httpx.Request) -> Json:
    """Answer for a list, for one product, or for the lines of one invoice."""
    _, _, plural, *more = request.url.path.split("/")
    if plural == "products":
        return {"id": more[0], "name": f"Product {more[0]}", "vendorName": "Maker"}
    lines = {"id": "1", "type": "subscription", "quantity": 7}
    rows = {
        "companies": [{"id": f"c{n}", "name": f"Company {n}", "status": "Active"} for n in range(1, 8)],
        "subscriptions": [
            {"id": f"s{n}", "companyId": "c1", "productId": f"p{n}", "quantity": n, "status": "Active"}
            for n in range(1, 8)
        ],
        "invoices": [{"id": f"i{n}", "invoiceDate": f"2026-0{n}-05", "total": 9.5} for n in range(1, 8)],
        "items": [{**lines, "id": f"{more[0] if more else ''}-{n}"} for n in range(1, 8)],
    }[more[-1] if more else plural]
    size, number = stand_in.page_size, int(request.url.params["page"])
    page, _ = stand_in.cut(rows, number * size)
    around = {"size": size, "totalElements": len(rows), "totalPages": -(-len(rows) // size), "number": number}
    return {"content": page, "page": around}
