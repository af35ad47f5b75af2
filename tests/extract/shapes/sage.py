"""How Sage answers, for the faults: four invoices, three credit notes, seven of all else, by a link to the next page."""

from typing import Any

import httpx

Json = Any
MAIN = "sales_invoices"
RENAMED = (
    "id", "name", "displayed_as", "date", "contact", "status", "net_amount", "total_amount", "invoice_lines",
    "credit_note_lines", "$items", "$total", "$next", "$itemsPerPage",
)  # fmt: skip


def shape(stand_in: Any, request: httpx.Request) -> Json:
    """Answer for a list; amounts are text, and the link to the next page comes without the version."""
    assert stand_in.served < 100, "Sage is asked for smaller pages without end"
    collection = request.url.path.removeprefix("/v3.1/")
    rows = {
        "contacts": [
            {**_named(f"c{n}", f"Client {n}"), "name": f"Client {n}", "reference": f"C{n}", "deleted_at": None,
             "currency": _named("GBP", "Pound Sterling (GBP)")}
            for n in range(1, 8)
        ],
        "services": [_sold(f"s{n}", sales_rates=[{"id": f"r{n}", "rate": "42.51"}]) for n in range(1, 8)],
        "products": [_sold(f"p{n}", sales_prices=[{"id": f"r{n}", "price": "60.0"}]) for n in range(1, 8)],
        "sales_invoices": [_document(f"SI-{n}", "invoice_lines") for n in range(1, 5)],
        "sales_credit_notes": [_document(f"SCN-{n}", "credit_note_lines") for n in range(1, 4)],
    }[collection]  # fmt: skip
    number, size = int(request.url.params["page"]), stand_in.page_size
    page, following = stand_in.cut(rows, (number - 1) * size)
    link = f"/{collection}?attributes=all&page={number + 1}&items_per_page={size}" if following else None
    return {
        "$total": len(rows), "$page": number, "$next": link, "$back": None, "$itemsPerPage": size, "$items": page,
    }  # fmt: skip


def _named(this: str, name: str) -> Json:
    return {"id": this, "displayed_as": name}


def _sold(this: str, **prices: Json) -> Json:
    return {**_named(this, f"Sold {this}"), "item_code": this, "active": True, "deleted_at": None, **prices,
            "sales_ledger_account": _named("4000", "Sales (4000)"),
            "sales_tax_rate": _named("GB_STANDARD", "Standard 20.00%")}  # fmt: skip


def _document(number: str, lines: str) -> Json:
    line = {**_named(f"{number}-1", "Seats"), "description": "Seats", "service": _named("s1", "Sold s1"),
            "product": None, "quantity": "10.0", "unit_price": "42.51", "net_amount": "425.1"}  # fmt: skip
    return {
        **_named(f"d-{number}", number),
        "contact": _named("c1", "Client 1"),
        "date": "2026-10-01",
        "due_date": None,
        "reference": None,
        "notes": "",
        "net_amount": "425.1",
        "tax_amount": "85.02",
        "total_amount": "510.12",
        "currency": _named("GBP", "Pound Sterling (GBP)"),
        "status": _named("UNPAID", "Unpaid"),
        "void_reason": None,
        lines: [line],
    }
