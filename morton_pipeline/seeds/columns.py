"""What each seed has: its columns, what their cells may hold, and what names a row.

Belongs here: declarations only. Does not: how a cell is read (`values`), or what must hold between rows (`rules/`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from morton_pipeline.extract.vendor import CATEGORIES, UNITS

Row = dict[str, str]


@dataclass(frozen=True)
class Column:
    """One column of a seed, and what its cells may read."""

    name: str
    kind: str = "text"
    is_required: bool = False
    words: tuple[str, ...] = ()
    may_be_absent: bool = False
    """A file without the column reads as one whose cells are empty: the files of books made before there was one."""


def _c(
    name: str, kind: str = "text", *, required: bool = False, words: tuple[str, ...] = (), absent: bool = False
) -> Column:
    return Column(name, kind, required, words, absent)


_DATES = (_c("effective_from", "date"), _c("effective_to", "date"))

SEEDS: Mapping[str, tuple[Column, ...]] = {
    "clients": (
        _c("client_id", required=True), _c("client_name", required=True),
        _c("status", "word", required=True, words=("active", "offboarded", "internal")),
        _c("currency", "currency", required=True), _c("time_zone", "zone"),
        _c("back_bill_days", "whole"), _c("accounting_customer_id"), _c("note", absent=True),
    ),
    "services": (
        _c("service_id", required=True), _c("service_name", required=True),
        _c("category", "word", words=CATEGORIES), _c("unit", "word", required=True, words=UNITS),
        _c("list_price", "number"), _c("unit_cost", "number"), _c("count_vendor", "vendor"), _c("accounting_item_id"),
    ),
    "contracts": (
        _c("contract_id", required=True), _c("client_id", required=True), _c("service_id", required=True),
        _c("quantity", "number", required=True), _c("unit_price", "signed"),
        _c("billing_model", "word", required=True,
           words=("per_unit", "minimum", "included", "tiered", "flat", "block_hours")),
        _c("minimum_quantity", "number"), _c("included_quantity", "number"),
        _c("count_basis", "word", words=("period_end", "peak", "average", "daily")),
        _c("count_vendor", "vendor"), _c("tolerance_quantity", "number"), *_DATES, _c("note"),
        _c("committed_quantity", "number", absent=True), _c("committed_until", "date", absent=True),
        _c("notice_days", "whole", absent=True), _c("silent_days", "whole", absent=True),
        _c("proof_names", "word", words=("shown", "hidden"), absent=True),
    ),
    "price_tiers": (
        _c("contract_id", required=True), _c("from_quantity", "number", required=True),
        _c("unit_price", "number", required=True),
        _c("method", "word", required=True, words=("all_units", "graduated")),
    ),
    "bundles": (
        _c("bundle_service_id", required=True), _c("component_service_id", required=True),
        _c("quantity_per_unit", "number"), _c("place", "whole", absent=True),
    ),
    "company_mappings": (
        _c("connection_id", required=True), _c("company_id", required=True), _c("company_name"),
        _c("client_id", required=True), *_DATES, _c("note"), _c("field", absent=True), _c("pattern", absent=True),
    ),
    "service_mappings": (
        _c("vendor", "vendor", required=True), _c("endpoint", required=True), _c("field", required=True),
        _c("pattern", required=True), _c("service_id", required=True), _c("priority", "whole"), *_DATES,
    ),
    "sku_includes": (
        _c("vendor", "vendor", required=True), _c("sku", required=True), _c("included_sku", required=True),
    ),
    "exclusions": (
        _c("exclusion_id", required=True), _c("client_id"), _c("service_id"), _c("vendor", "vendor"), _c("record_id"),
        _c("name_pattern"), _c("max_quantity", "number"), _c("reason", required=True), _c("owner"),
        _c("effective_from", "date"), _c("expires_on", "date"),
    ),
    "exchange_rates": (
        _c("currency", "currency", required=True), _c("to_currency", "currency", required=True),
        _c("rate", "rate", required=True), _c("effective_from", "date", required=True), _c("source", required=True),
    ),
}  # fmt: skip
"""The columns of each seed, in the order they are written."""

MUST_EXIST = ("clients", "services", "contracts", "company_mappings", "service_mappings")
WHEN_EMPTY = {"priority": "100"}
"""What an empty cell stands for, where that decides whether two rows say the same."""
IN_ACCOUNTING = {"clients": "accounting_customer_id", "services": "accounting_item_id"}
KEYS = {"clients": "client_id", "services": "service_id", "contracts": "contract_id", "exclusions": "exclusion_id"}

MEANT_GAP, NO_CONTRACT = "gap:", "no contract:"
"""How a note begins that says why a client's service, or a client, has no contract."""
