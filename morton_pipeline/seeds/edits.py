"""How two folders of seeds differ, row by row, from which day on, and what of it begins later than today.

Belongs here: comparing the files, which says what no build of today can. Does not: what an edit does to the money of a
month that was read (`what_if`), or what makes a row wrong (`rules`).
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path

from morton_pipeline.seeds.columns import KEYS, SEEDS, Column, Row
from morton_pipeline.seeds.values import canonical

_ENDS = ("effective_to", "expires_on", "committed_until")
_WORDS = ("note", "reason", "owner", "company_name")
_PRICED = ("quantity", "unit_price")
_OF_A_VERSION = ("contract_id", "effective_from", "effective_to", *_WORDS)
"""What two versions of a contract may differ in, and say the same of a day on which each is in force."""

_Lines = list[tuple[int, Row]]
_Seeds = dict[str, _Lines]


@dataclass(frozen=True)
class Edit:
    """A row that stands in one of two folders only, or not as it stands in the other."""

    file: str
    line: int
    """In the later folder; in the earlier one where the row was removed."""
    what: str
    subject: str
    holds_from: date | None
    """The first day on which the difference can mean anything; nothing where it always can."""

    def __str__(self) -> str:
        since = f"from {self.holds_from} on" if self.holds_from else "whatever the day"
        return f"{self.file} row {self.line}, {self.subject}: {self.what}, {since}"


@dataclass(frozen=True)
class Coming:
    """What of some edits begins after a day."""

    edits: list[Edit] = field(default_factory=list)
    unvalued: list[Edit] = field(default_factory=list)
    """Those of which nobody can tell yet what they move."""
    moved: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    """By currency, what the others do: agreed quantities at their prices, in the month in which most of it moves."""


def edits(before: Path, after: Path) -> list[Edit]:
    """Return every row in which two folders of right seeds differ, file by file."""
    return [edit for edit, _, _ in _edits(_read(before), _read(after))]


def coming(before: Path, after: Path, today: date) -> Coming:
    """Return what of the edits between two folders of right seeds begins after a day, and what it will move."""
    sides, found = (_read(before), _read(after)), Coming()
    currencies = {r["client_id"]: r["currency"] for side in sides for _, r in side["clients"]}
    valued: dict[tuple[str, str], Decimal | None] = {}
    for edit, old, new in _edits(*sides):
        if edit.file == "contracts.csv":
            keys = {(row["client_id"], row["service_id"]) for row in (old, new) if row}
            for key in keys - set(valued):
                valued[key] = _later_money(_contracts(sides[0], *key), _contracts(sides[1], *key), today)
                found.moved[currencies[key[0]]] += valued[key] or Decimal(0)
            is_later, is_unvalued = any(valued[k] != 0 for k in keys), any(valued[k] is None for k in keys)
        else:
            ends = [
                _day(r[c]) for r in (old, new) for c in _ENDS if r and r.get(c) and old and new and old[c] != new[c]
            ]
            is_later = is_unvalued = any(day > today for day in (edit.holds_from, *ends) if day)
        found.edits.extend([edit] * is_later)
        found.unvalued.extend([edit] * is_unvalued)
    return found


def _edits(before: _Seeds, after: _Seeds) -> Iterator[tuple[Edit, Row | None, Row | None]]:
    for seed in SEEDS:
        come = _without(after[seed], before[seed])
        gone = {_identity(seed, row): (line, row) for line, row in _without(before[seed], after[seed])}
        for line, row in come:
            _, old = gone.pop(_identity(seed, row), (0, None))
            day = _changed_from(old, row) if old else _begins(row, after)
            yield Edit(f"{seed}.csv", line, "changed" if old else "added", _subject(seed, row), day), old, row
        for line, row in gone.values():
            yield Edit(f"{seed}.csv", line, "removed", _subject(seed, row), _begins(row, before)), row, None


def _identity(seed: str, row: Row) -> tuple[str, ...]:
    """By what a row is the same one in both folders: its id, else all but its end and its words."""
    return (row[KEYS[seed]],) if seed in KEYS else tuple(v for c, v in row.items() if c not in (*_ENDS, *_WORDS))


def _subject(seed: str, row: Row) -> str:
    return row[KEYS[seed]] if seed in KEYS else " ".join([v for v in row.values() if v][:4])


def _begins(row: Row, seeds: _Seeds) -> date | None:
    """The first day of a row; a price tier begins with its contract."""
    if "from_quantity" in row:
        row = next((r for _, r in seeds["contracts"] if r["contract_id"] == row["contract_id"]), row)
    return _day(row.get("effective_from", ""))


def _changed_from(old: Row, new: Row) -> date | None:
    """Where only an end has moved, nothing is different before the earlier of the two."""
    columns = [c for c in new if old[c] != new[c] and c not in _WORDS]
    if columns and all(c in _ENDS for c in columns):
        return min(day for c in columns for row in (old, new) if (day := _day(row[c])))
    days = [_day(row.get("effective_from", "")) for row in (old, new)]
    return min((day for day in days if day), default=None) if None not in days else None


def _contracts(seeds: _Seeds, client: str, service: str) -> list[Row]:
    return [r for _, r in seeds["contracts"] if (r["client_id"], r["service_id"]) == (client, service)]


def _later_money(before: Sequence[Row], after: Sequence[Row], today: date) -> Decimal | None:
    """Return what one service of a client comes to differently in a later month; nothing where nobody can tell."""
    committed = [{r["contract_id"]: r["committed_until"] for r in rows} for rows in (before, after)]
    if any(committed[0][c] != committed[1][c] for c in committed[0] if c in committed[1]):
        return None
    starts = {day for r in (*before, *after) for c in ("effective_from", "effective_to") if (day := _day(r[c]))}
    moved = [_moved(_in_force(before, day), _in_force(after, day)) for day in starts if day > today]
    return None if None in moved else max((abs(m) for m in moved if m is not None), default=Decimal(0))


def _moved(old: Row | None, new: Row | None) -> Decimal | None:
    rows = [row for row in (old, new) if row]
    terms = [{c: v for c, v in row.items() if c not in _OF_A_VERSION} for row in rows]
    if old == new:
        return Decimal(0)
    if any(row["billing_model"] == "tiered" for row in rows):
        return None
    if len(rows) == 2 and terms[0] == terms[1]:
        return Decimal(0)
    if len(rows) == 2 and any(terms[0][c] != terms[1][c] for c in terms[0] if c not in _PRICED):
        return None
    was, will_be = (Decimal(row["quantity"]) * Decimal(row["unit_price"]) if row else Decimal(0) for row in (old, new))
    # Where nothing is agreed for, or as much as before, a count that nobody has yet decides.
    return will_be - was or None


def _in_force(rows: Sequence[Row], day: date) -> Row | None:
    spans = ((_day(r["effective_from"]) or date.min, _day(r["effective_to"]) or date.max, r) for r in rows)
    return next((row for start, end, row in spans if start <= day < end), None)


def _without(rows: _Lines, others: _Lines) -> _Lines:
    left, found = Counter(tuple(row.values()) for _, row in others), []
    for line, row in rows:
        key = tuple(row.values())
        if left[key]:
            left[key] -= 1
        else:
            found.append((line, row))
    return found


def _read(folder: Path) -> _Seeds:
    return {seed: list(_lines(folder / f"{seed}.csv", seed)) for seed in SEEDS}


def _lines(path: Path, seed: str) -> Iterator[tuple[int, Row]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader, count = csv.DictReader(file), 0
        for row in reader:
            cells = {name.strip(): cell.strip() for name, cell in row.items() if name and cell and cell.strip()}
            count += bool(cells)
            # The order of a bundle's components means something.
            placed = {"place": str(count)} | cells
            if cells:
                yield reader.line_num, {c.name: _cell(c, placed.get(c.name, "")) for c in SEEDS[seed]}


def _cell(column: Column, value: str) -> str:
    is_number = value and column.kind in ("number", "signed", "rate")
    return f"{Decimal(value).normalize():f}" if is_number else canonical(column, value)


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None
