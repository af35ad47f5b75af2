"""What a vendor's SKU may be sold as: the MSP's own services, what the vendor's page proposes, Microsoft's products.

Belongs here: the candidates for a SKU, and which column a mapping of it must look at. Does not: how names are compared
(`names`), or writing a mapping (`mappings`).
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import yaml

from morton_pipeline import seeds
from morton_pipeline.book import PROJECT, Book
from morton_pipeline.extract.vendor import Proposal
from morton_pipeline.globs import fits, is_literal
from morton_pipeline.names import Candidate, Name, is_same, judge, name
from morton_pipeline.vendors import VENDORS

Row = dict[str, Any]

PROPOSED = 95.0
"""The score of a service the vendor's page proposes: common practice, and still this MSP's to confirm."""
_PRODUCTS = PROJECT / "dbt_project" / "reference" / "microsoft_skus.csv"
_PROJECT_FILE = PROJECT / "dbt_project" / "dbt_project.yml"
DECLARED_LIST = ("files", "records")
"""The list of a tool that a connection declares; one that is read through an API has the same columns."""


@cache
def sku_columns() -> Mapping[tuple[str, str], str]:
    """Return, for each counted list as (vendor, endpoint), the column whose value SQL calls the record's SKU."""
    variables = yaml.safe_load(_PROJECT_FILE.read_text("utf-8"))["vars"]
    return {(entry["vendor"], entry["endpoint"]): entry["sku"] for entry in variables["countable"]}


class Shelf:
    """The services of a book, and what else a SKU can be recognised by."""

    def __init__(self, book: Book) -> None:
        with _PRODUCTS.open(encoding="utf-8", newline="") as file:
            self._products = {row["sku_part_number"].lower(): row["product_name"] for row in csv.DictReader(file)}
        services = seeds.read(book, "services")
        self._services = [
            (row["unit"].lower(), Candidate(row["service_id"], row["service_name"], self._called(row)))
            for row in services
        ]
        self._prices = {row["service_id"]: Decimal(row["list_price"]) for row in services if row["list_price"]}
        self._declared = {c.tool for c in book.connections if VENDORS[c.vendor].is_declared}
        self._mappings = [{**row, "vendor": row["vendor"].lower()} for row in seeds.read(book, "service_mappings")]

    def _called(self, service: Mapping[str, str]) -> list[Name]:
        """A service may be called as Microsoft calls the product, or by its part number."""
        parts = (self._products.get(service[c].lower(), "") for c in ("service_name", "service_id"))
        return [name(text) for text in dict.fromkeys((service["service_name"], *parts)) if text]

    def place(self, row: Row, min_score: float) -> Row:
        """Say what a SKU may be sold as, and which column its mapping looks at."""
        fitting = [candidate for unit, candidate in self._services if units_fit(row["unit"], unit)]
        proposed = self._proposed(row, fitting)
        if proposed and not proposed.is_known:
            fitting.append(proposed)
        called = [name(t) for t in (row["sku_name"], row["sku"], self._products.get(row["sku"].lower())) if t]
        judged = judge(called, fitting, min_score, {proposed.id: PROPOSED} if proposed else {})
        field, best = self.field(row), judged.fits[0].candidate if judged.fits else None
        note = ""
        if best and not best.is_known:
            note = f"add {best.id} to services.csv first"
        elif not field or not is_literal(row["sku"]):
            note = "its column and pattern are not known: write its row in service_mappings.csv yourself"
        amount, price = row["list_amount"], self._prices.get(best.id) if best else None
        if amount is None and price is not None:
            amount = price * row["quantity"]
        return {**judged.row(note, at_most="near" if note else "exact"), "field": field, "list_amount": amount}

    def _proposed(self, row: Row, fitting: Sequence[Candidate]) -> Candidate | None:
        """Return the MSP's own service that the vendor's page means, by its id or its name, or else the page's."""
        # A proposal may look at the SKU or at its name; of any further column the mart says nothing.
        shown = {"sku_name": row["sku_name"], self.field(row): row["sku"]}
        proposal = next((p for p in _proposals(row) if fits(p.pattern, shown.get(p.field))), None)
        if proposal is None:
            return None
        meant = name(proposal.service_name)
        own = [candidate for _, candidate in self._services]
        found = [c for c in own if c.id.lower() == proposal.service_id.lower()]
        found += [c for c in own if any(is_same(meant, called) for called in c.names)]
        if found:
            return found[0] if found[0] in fitting else None
        return Candidate(proposal.service_id, proposal.service_name, [meant], is_known=False)

    def field(self, row: Row) -> str:
        """Return the column a list's SKU stands in; nothing for a tool that is no longer declared."""
        listed = DECLARED_LIST if row["vendor"] in self._declared else (row["vendor"], row["endpoint"])
        return sku_columns().get(listed, "")

    def is_mapped(self, row: Row, today: str) -> bool:
        """Whether the seeds map a SKU already, though the mart was built before they did."""
        looked_at = [m for m in self._mappings if _is_about(m, row) and m["field"] == self.field(row)]
        return any(fits(m["pattern"], row["sku"]) and not _is_over(m, today) for m in looked_at)


def _is_about(mapping: Mapping[str, str], row: Row) -> bool:
    return (mapping["vendor"], mapping["endpoint"]) == (row["vendor"], row["endpoint"])


def _is_over(mapping: Mapping[str, str], today: str) -> bool:
    return bool(mapping["effective_to"]) and mapping["effective_to"] <= today


def _proposals(row: Row) -> Iterator[Proposal]:
    """Name what the vendor's page proposes for a list, what it names outright first."""
    vendor = VENDORS.get(row["vendor"])
    proposals = [p for p in (vendor.proposals if vendor else ()) if p.endpoint == row["endpoint"]]
    yield from sorted(proposals, key=lambda p: not is_literal(p.pattern))


def units_fit(record_unit: str | None, service_unit: str) -> bool:
    """May records counted in one unit stand for a service sold in another? In SQL the macro of this name says it."""
    pair = {record_unit, service_unit}
    is_alike = pair in ({"device", "agent"}, {"user", "licence"})
    return not record_unit or service_unit in ("", "other", record_unit) or is_alike
