"""What can be counted, and told by what: the tools, the lists and the columns that a seed may name.

Belongs here: what the vendors' pages and the book's connections say of it. Does not: what a mapping may name beside
other mappings (`rules/`).
"""

from morton_pipeline.book import Book
from morton_pipeline.extract.vendor import Vendor

BOUGHT = "subscribed_skus"
"""The countable endpoint that lists what was bought, not who holds it."""


def countable() -> list[tuple[str, str]]:
    """Return the endpoints whose records can be counted, as (vendor, endpoint)."""
    from morton_pipeline.vendors import VENDORS

    return [(v.name, e.name) for v in VENDORS.values() for e in v.endpoints if e.counts]


def mappable_fields(vendor: str, endpoint: str) -> list[str]:
    """Return the columns a service mapping may look at: text that names a thing, and no instant."""
    from morton_pipeline.extract.records import columns
    from morton_pipeline.vendors import VENDORS

    declared = columns(VENDORS[vendor].endpoint(endpoint).record)
    return [c.name for c in declared if c.sql_type == "varchar" and not c.name.endswith("_at")]


def tools(book: Book) -> dict[str, Vendor]:
    """Return everything that counts, by its name: the vendors, and the tools that the book's connections declare."""
    from morton_pipeline.vendors import VENDORS

    declared = {c.tool: VENDORS[c.vendor] for c in book.connections if VENDORS[c.vendor].is_declared}
    return {name: v for name, v in VENDORS.items() if not v.is_declared} | declared
