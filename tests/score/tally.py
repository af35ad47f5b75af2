"""What planted cases come to: found, missed, falsely claimed, in rows and in money.

Belongs here: comparing rows, and counting. Does not: what the rows are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from morton_pipeline.ledger.canonical import rounded
from tests.score.model import Row
from tests.score.msp import Msp
from tests.score.planting import Plant

IN_ORDER = "in order"
"""What stands for a case where nothing was planted."""


@dataclass
class Tally:
    """The score of one case, or of all."""

    planted: int = 0
    found: int = 0
    """Plants with every row they say, and no other."""
    right: int = 0
    missed: int = 0
    false: int = 0
    """Rows; one that differs in anything is missed and falsely claimed."""
    money: dict[str, dict[str, Decimal]] = field(default_factory=lambda: {"found": {}, "false": {}, "missed": {}})

    def __iadd__(self, other: "Tally") -> "Tally":
        for name in ("planted", "found", "right", "missed", "false"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, amounts in other.money.items():
            for currency, amount in amounts.items():
                self.money[name][currency] = self.money[name].get(currency, Decimal(0)) + amount
        return self

    def add(self, name: str, rows: Iterable[Row]) -> None:
        """Add up what rows come to, whichever way it is owed."""
        for row in rows:
            if row.variance_amount and row.currency:
                amounts = self.money[name]
                amounts[row.currency] = amounts.get(row.currency, Decimal(0)) + abs(row.variance_amount)

    def as_property(self) -> dict[str, Any]:
        """The score in what pytest hands from process to process."""
        money = {name: {c: str(a) for c, a in amounts.items()} for name, amounts in self.money.items()}
        return {**vars(self), "money": money}

    @classmethod
    def of_property(cls, said: dict[str, Any]) -> "Tally":
        """The score of such a property."""
        money = {name: {c: Decimal(a) for c, a in amounts.items()} for name, amounts in said["money"].items()}
        return cls(**{**said, "money": money})

    @property
    def recall(self) -> str:
        return _share(self.right, self.right + self.missed)

    @property
    def precision(self) -> str:
        return _share(self.right, self.right + self.false)


def _share(part: int, whole: int) -> str:
    """A share in per cent, rounded down: one miss in a million is not 100."""
    return f"{part * 10000 // whole / 100:.2f} %" if whole else "–"


def judge(
    told: Sequence[tuple[Msp, list[Plant]]], marts: Iterable[Sequence[Row]]
) -> tuple[dict[str, Tally], list[str]]:
    """Compare what was planted with the rows of the first mart, and of the second if there is one; return a tally for every case, and every error in words.

    What is right in the second mart counts where something happened in between, what is wrong there counts always.
    """
    found = [_by_key(rows) for rows in marts]
    tallies: dict[str, Tally] = {}
    errors = []
    for msp, plants in told:
        for plant in plants:
            name = plant.case.name if plant.case else IN_ORDER
            one = Tally()
            for rows, by_key, title in zip((plant.rows, plant.later), found, ("", " a day later"), strict=False):
                actual = [row for key in plant.keys for row in by_key.pop(key, [])]
                right = set(rows) & set(actual)
                missed, false = [r for r in rows if r not in right], [r for r in actual if r not in right]
                if not title or plant.goes_on:
                    one.right += len(right)
                    one.add("found", right)
                one.missed += len(missed)
                one.false += len(false)
                one.add("missed", missed)
                one.add("false", false)
                if missed or false:
                    errors.append(_said(msp, name + title, missed, false))
            one.planted = int(plant.case is not None)
            one.found = int(plant.case is not None and not one.missed and not one.false)
            tallies.setdefault(name, Tally()).__iadd__(one)
    for left in found:
        if rows := [row for of_key in left.values() for row in of_key]:
            stray = Tally(false=len(rows))
            stray.add("false", rows)
            tallies.setdefault(IN_ORDER, Tally()).__iadd__(stray)
            errors.append("\n  ".join(["Rows about nobody who was told of:", *map(str, rows)]))
    return tallies, errors


def _by_key(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.client, row.service), []).append(row)
    return found


def _said(msp: Msp, name: str, missed: Sequence[Row], false: Sequence[Row]) -> str:
    lines = [f"MORTON_SCORE_SEED={msp.name} make score    # {name}"]
    places = sorted({r[:3] for r in (*missed, *false)})
    for place in places:
        lines.append(f"  {place[0]:%Y-%m} {place[1]} {place[2]}:")
        lines += [f"    expected {_differing(r, false)}" for r in missed if r[:3] == place]
        lines += [f"    found    {_differing(r, missed)}" for r in false if r[:3] == place]
    return "\n".join(lines)


def _differing(row: Row, others: Sequence[Row]) -> str:
    """What of a row differs from the one in its place; all of it, where there is none."""
    beside = next((o for o in others if o[:4] == row[:4]), None)
    values: dict[str, Any] = row._asdict()
    return ", ".join(f"{k}={v}" for k, v in values.items() if beside is None or v != getattr(beside, k))


HEADINGS = {
    "Data honesty": range(1, 12),
    "Identity and mapping": range(12, 20),
    "Counting": range(20, 36),
    "Contract and price": range(36, 49),
    "Time and period": range(49, 57),
    "Review": range(57, 67),
    "Money and accounting": range(67, 78),
    "Time entries": range(78, 83),
    "Operations": range(83, 88),
}
"""The headings of the list of edge cases."""
COLUMNS = ("case", "planted", "found", "rows", "recall", "precision", "USD found", "USD false", "USD missed")
MONEY = (("found", "Found"), ("false", "Falsely claimed"), ("missed", "Missed"))


def table(said: Sequence[dict[str, Any]]) -> list[str]:
    """The lines of the score, from what the tests recorded of themselves: story by story, then as the README has it."""
    tallies: dict[str, Tally] = {}
    for one in said:
        for name, of_case in one["cases"].items():
            tallies.setdefault(name, Tally()).__iadd__(Tally.of_property(of_case))
    total = _sum(tallies.values())
    named = sorted(tallies.items(), key=lambda item: (_number(item[0]) or 99, item[0]))
    rows = [COLUMNS, *((name, *_cells(tally)) for name, tally in [*named, ("all", total)])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(text.rjust(width) if n else text.ljust(width) for n, (text, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]  # fmt: skip
    seeds = ", ".join(sorted({str(one["seed"]) for one in said}))
    measured = f"Measured on {sum(one['msps'] for one in said):,} MSPs, seed {seeds}."
    return [measured, *lines, *_money_lines(total), "", *_for_readme(tallies, total)]


def _for_readme(tallies: dict[str, Tally], total: Tally) -> Iterator[str]:
    yield "| edge cases | numbers | planted | found | rows | recall | precision | USD found | USD false | USD missed |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    for heading, numbers in HEADINGS.items():
        planted = {name: tally for name, tally in tallies.items() if _number(name) in numbers}
        if planted:
            listed = ", ".join(map(str, sorted({_number(name) or 0 for name in planted})))
            yield f"| {heading} | {listed} | {' | '.join(_cells(_sum(planted.values())))} |"
    yield f"| **all** | | {' | '.join(_cells(total))} |"


def _money_lines(total: Tally) -> Iterator[str]:
    for word, title in MONEY:
        amounts = (
            f"{rounded(amount, currency):,f} {currency}" for currency, amount in sorted(total.money[word].items())
        )
        yield f"{title}: {', '.join(amounts) or 'nothing'}."


def _cells(tally: Tally) -> tuple[str, ...]:
    money = [f"{tally.money[word].get('USD', Decimal(0)):,.2f}" for word, _ in MONEY]
    return (f"{tally.planted:,}", f"{tally.found:,}", f"{tally.right:,}", tally.recall, tally.precision, *money)


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total += tally
    return total


def _number(name: str) -> int | None:
    """The number of the edge case a story is of; nothing for what is in order."""
    first = name.split()[0]
    return int(first) if first.isdigit() else None
