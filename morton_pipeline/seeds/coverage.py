"""What right seeds lack for a day: a contract for an active client, a rate for a client's currency.

Belongs here: what is named and stops no build. Does not: what does stop one (`checks`), or finding a rate (`rates.py`).
"""

from collections import defaultdict
from datetime import date

from morton_pipeline.book import Book
from morton_pipeline.rates import NoRate, rates_of
from morton_pipeline.seeds.checks import problems
from morton_pipeline.seeds.columns import NO_CONTRACT
from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import Seeds
from morton_pipeline.seeds.values import as_date


def uncovered(book: Book, on: date) -> list[Problem]:
    """Return the active clients with whom nothing is agreed for a day or later, unless their note says so.

    It makes no number wrong, as what they have comes up without a contract; so it stops neither a build nor an invoice.
    """
    seeds = Seeds(book)
    if seeds.unreadable:
        return []
    ends: dict[str, list[date]] = defaultdict(list)
    for _, row in seeds.rows["contracts"]:
        ends[row["client_id"]].append(as_date(row["effective_to"], date.max) or date.max)
    return [
        Problem(
            "clients.csv",
            line,
            "client_id",
            f"{row['client_id']} is active and has no contract"
            + (f" any more: the last one ended on {max(ends[row['client_id']])}" if row["client_id"] in ends else "")
            + f"; write one in contracts.csv, or begin its note with {NO_CONTRACT!r} and say why",
        )
        for line, row in seeds.rows["clients"]
        if row["status"].lower() == "active"
        and max(ends.get(row["client_id"], [date.min])) <= on
        and not row["note"].lower().startswith(NO_CONTRACT)
    ]


def missing_rates(book: Book, on: date) -> list[Problem]:
    """Return the clients' currencies without a rate on a day, where nothing else is wrong: a build does without one.

    Invoices in them are parked, because nobody can tell what they come to.
    """
    seeds, missing = Seeds(book), dict[str, Problem]()
    if problems(seeds):
        return []
    rates = rates_of(seeds.rows["clients"], seeds.rows["exchange_rates"])
    for line, row in seeds.rows["clients"]:
        currency = row["currency"]
        if row["status"].lower() == "internal" or currency in (rates.main_currency, *missing):
            continue
        try:
            rates.in_force(currency, on)
        except NoRate as problem:
            said = f"{currency} is not the main currency. {problem} Invoices in it are parked until then"
            missing[currency] = Problem("clients.csv", line, "currency", said)
    return list(missing.values())
