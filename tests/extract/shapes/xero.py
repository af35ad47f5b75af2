"""How Xero answers, for the faults: seven contacts and items, four invoices, three credit notes; pages are numbered."""

from typing import Any

import httpx

Json = Any
MAIN = "invoices"
RENAMED = (
    "ContactID", "Name", "ItemID", "Code", "InvoiceID", "CreditNoteID", "Type", "Status", "Contact", "LineItems", "LineItemID",
    "pagination", "pageCount", "itemCount", "Contacts", "Items", "Invoices", "CreditNotes",
)  # fmt: skip


def shape(stand_in: Any, request: httpx.Request) -> Json:
    """Answer for a list; only the items come whole, without pages."""
    collection = request.url.path.rpartition("/")[2]
    envelope = {"Id": "0d6e1b1e", "Status": "OK", "ProviderName": "Morton", "DateTimeUTC": "/Date(1793491200000)/"}
    if collection == "Items":
        return {**envelope, "Items": [_item(n) for n in range(1, 8)]}
    rows = {
        "Contacts": [{"ContactID": f"c{n}", "ContactStatus": "ACTIVE", "Name": f"Client {n}"} for n in range(1, 8)],
        "Invoices": [_document("Invoice", "ACCREC", n) for n in range(1, 5)],
        "CreditNotes": [_document("CreditNote", "ACCRECCREDIT", n) for n in range(1, 4)],
    }[collection]
    number, size = int(request.url.params["page"]), stand_in.page_size
    page, _ = stand_in.cut(rows, (number - 1) * size)
    around = {"page": number, "pageSize": size, "pageCount": -(-len(rows) // size), "itemCount": len(rows)}
    return {**envelope, "pagination": around, collection: page}


def _item(n: int) -> Json:
    return {"ItemID": f"i{n}", "Code": f"SEAT-{n}", "Name": f"Seat {n}", "IsSold": True,
            "SalesDetails": {"UnitPrice": 42.5125, "AccountCode": "200", "TaxType": "OUTPUT"}}  # fmt: skip


def _document(name: str, kind: str, n: int) -> Json:
    line = {"LineItemID": f"{name}-{n}-1", "Description": "Seats", "ItemCode": "SEAT-1", "Quantity": 10.0,
            "UnitAmount": 42.5125, "LineAmount": 425.13, "TaxAmount": 0.0, "Tracking": []}  # fmt: skip
    return {
        "Type": kind,
        f"{name}ID": f"{name}-{n}",
        f"{name}Number": f"{name}-000{n}",
        "Reference": "",
        "Contact": {"ContactID": "c1", "Name": "Client 1"},
        "Date": "/Date(1793491200000+0000)/",
        "DateString": "2026-11-01T00:00:00",
        "Status": "AUTHORISED",
        "LineAmountTypes": "Exclusive",
        "CurrencyCode": "USD",
        "LineItems": [line],
        "SubTotal": 425.13,
        "TotalTax": 0.0,
        "Total": 425.13,
    }
