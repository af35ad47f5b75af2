"""What one currency is worth in another on a day, and the book's main currency: the one its bounds are set in.

A rate holds from its day until the next one of its pair, which is the same pair either way round; no third currency is
ever put between. What comes out is compared with bounds and never billed, so it is not rounded.

Belongs here: reading and finding rates. Does not: how they must be written (`seeds/`), or what is bounded
(`accounting/machine.py`, `ledger/decisions.py`).
"""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from morton_pipeline.errors import BadInput

FILE = "exchange_rates.csv"

Row = Mapping[str, str]


class NoRate(BadInput):
    """No rate of a pair is in force; the sentence names the pair and the file."""

    def __init__(self, currency: str, to_currency: str, on: date) -> None:
        self.pair = f"{currency} {to_currency}"
        super().__init__(
            f"{FILE} has no rate from {currency} to {to_currency} (or back) in force on {on}: add one, with its source."
        )


@dataclass(frozen=True)
class Rate:
    """What one of a currency is worth in another, from a day on, and who says so."""

    currency: str
    to_currency: str
    rate: Decimal
    effective_from: date
    source: str


@dataclass(frozen=True)
class Worth:
    """An amount in the book's main currency, to the last digit."""

    amount: Decimal
    said: str
    """Where another currency's amount went in: that amount, with the rate, its day and its source."""


@dataclass(frozen=True)
class Rates:
    """The rates of one book."""

    main_currency: str
    known: Sequence[Rate] = ()

    def worth(self, amount: Decimal, currency: str, on: date) -> Worth:
        """Return what an amount is worth in the main currency on a day. Raises `NoRate`."""
        if currency == self.main_currency:
            return Worth(amount, "")
        rate = self.in_force(currency, on)
        value = amount * rate.rate if rate.currency == currency else amount / rate.rate
        one = f"one {rate.currency} being {rate.rate:f} {rate.to_currency} since {rate.effective_from} ({rate.source})"
        return Worth(value, f"{amount:f} {currency}, {one}")

    def in_force(self, currency: str, on: date) -> Rate:
        """Return the rate between a currency and the main one on a day, whichever way round. Raises `NoRate`."""
        pair = {currency, self.main_currency}
        found = [r for r in self.known if {r.currency, r.to_currency} == pair and r.effective_from <= on]
        if not found:
            raise NoRate(currency, self.main_currency, on)
        return max(found, key=lambda rate: rate.effective_from)


def read_rates(folder: Path) -> Rates:
    """Read a book's rates from its seeds; the file may be missing. Raises `BadInput` for a row nobody can read."""
    return rates_of(_rows(folder / "clients.csv"), _rows(folder / FILE))


def rates_of(clients: Iterable[tuple[int, Row]], rows: Iterable[tuple[int, Row]]) -> Rates:
    """Make the rates from the rows of the two seeds, each with its line.

    The main currency is the one most clients are billed in, the first by its code where several are, USD without any.
    """
    counted = Counter(row["currency"] for _, row in clients if row.get("currency"))
    main = min(counted, key=lambda code: (-counted[code], code), default="USD")
    return Rates(main, [_rate(line, row) for line, row in rows])


def _rate(line: int, row: Row) -> Rate:
    try:
        rate, day = Decimal(row["rate"]), date.fromisoformat(row["effective_from"])
        if not rate.is_finite() or rate <= 0:
            raise ValueError
        return Rate(row["currency"], row["to_currency"], rate, day, row["source"])
    except (KeyError, ValueError, InvalidOperation):
        raise BadInput(f"{FILE} row {line} is no rate: `morton seeds check` says what is wrong with it.") from None


def _rows(path: Path) -> list[tuple[int, Row]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        return [(reader.line_num, {k: (v or "").strip() for k, v in row.items() if k}) for row in reader]
