"""Whether the seeds are right: every rule asked in one pass, and refusing to go on where they are not.

Belongs here: asking all rules, and saying what follows. Does not: the rules themselves (`rules/`), or what is named and
stops nothing (`coverage`).
"""

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import Seeds
from morton_pipeline.seeds.rules import (
    bundles,
    company_mappings,
    contracts,
    exchange_rates,
    exclusions,
    price_tiers,
    rows,
    service_mappings,
    sku_includes,
)

_RULES = (
    rows, contracts, price_tiers, bundles, company_mappings, service_mappings, sku_includes, exclusions, exchange_rates,
)  # fmt: skip
"""In the order in which their problems are named."""

NOTHING_SENT = "nothing is sent until they are"
"""What wrong seeds mean for invoices: the mart may stand on others, which were right when it was built."""


def check(book: Book) -> list[Problem]:
    """Return everything wrong with the book's seeds; an empty list means a build may use them."""
    return problems(Seeds(book))


def problems(seeds: Seeds) -> list[Problem]:
    """One pass over all seeds, collecting problems instead of stopping at the first.

    Where a file cannot be read, no rule is asked: what it does not say would be missing elsewhere.
    """
    return seeds.unreadable or [problem for page in _RULES for problem in page.problems(seeds)]


def refuse_wrong(book: Book, consequence: str) -> None:
    """Raise `BadInput` naming every problem of the seeds, and what follows from them; nothing when they are right."""
    refuse(Seeds(book), consequence)


def refuse(seeds: Seeds, consequence: str) -> None:
    """Raise `BadInput` as `refuse_wrong` does, for seeds that were read already."""
    if found := problems(seeds):
        lines = "\n".join(f"  {problem}" for problem in found[:20])
        more = f"\n  … and {len(found) - 20} more: `morton seeds check` lists all." if len(found) > 20 else ""
        raise BadInput(f"The contract seeds in {seeds.book.seeds} are not right yet; {consequence}.\n{lines}{more}")
