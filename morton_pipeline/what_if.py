"""What other seeds would do to the money: an analyst's edit before it is merged, or a rule tried on past months.

Belongs here: finding the other seeds (a folder, a revision in git, the present ones with changes), and comparing two
marts built from today's records. Does not: building a mart (`reconcile`), or what a seed means (`dbt_project/`).
Nothing here touches what finance reads.
"""

import csv
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import Any

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput, guess
from morton_pipeline.seeds import SEEDS, wrong_cell

Row = dict[str, Any]

_TOO_MUCH = Decimal(10) ** 14
"""No column of a seed holds as much."""

COLUMNS = (
    "period_month",
    "client_name",
    "service_name",
    "kind",
    "before_quantity",
    "after_quantity",
    "before_amount",
    "after_amount",
    "change_amount",
    "currency",
)
_NAMES = (
    "period_month",
    "client_id",
    "client_name",
    "service_id",
    "service_name",
    "kind",
    "currency",
    "corrects_month",
)


@dataclass(frozen=True)
class Change:
    """One changed rule: a column of a seed set or multiplied, in some of its rows; or a row that is added."""

    seed: str
    column: str = ""
    value: str = ""
    is_factor: bool = False
    added: Mapping[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.seed}.{self.column}{'*' if self.is_factor else '='}{self.value}"


def parse_set(text: str) -> Change:
    """Read `contracts.tolerance_quantity=2` or `contracts.unit_price*1.05`. Raises `BadInput`."""
    place, sign, value = text.partition("*") if "=" not in text else text.partition("=")
    seed, _, column = place.strip().partition(".")
    if not sign or not column:
        raise BadInput(f"{text!r} is no change: write FILE.COLUMN=VALUE, or FILE.COLUMN*FACTOR for a number.")
    change = Change(seed, column, value.strip(), is_factor=sign == "*")
    _known(seed, column)
    if change.is_factor:
        number(change.value, text)
    elif message := wrong_cell(seed, column, change.value):
        raise BadInput(f"{change}: {message}.")
    return change


def parse_add(text: str) -> Change:
    """Read `exclusions:client_id=acme,name_pattern=lab*,reason=trial`. Raises `BadInput`."""
    seed, _, cells = text.partition(":")
    row: dict[str, str] = {}
    for cell in cells.split(","):
        column, sign, value = cell.partition("=")
        if not sign:
            raise BadInput(f"{text!r} is no row: write FILE:COLUMN=VALUE,COLUMN=VALUE.")
        _known(seed.strip(), column.strip())
        if message := wrong_cell(seed.strip(), column.strip(), value.strip()):
            raise BadInput(f"{text!r} cannot be added, as {column.strip()} {message}.")
        row[column.strip()] = value.strip()
    return Change(seed.strip(), added=row)


def parse_where(text: str) -> tuple[str, str]:
    """Read `client_id=acme`: which rows a change is about. Raises `BadInput`."""
    column, sign, value = text.partition("=")
    if not sign:
        raise BadInput(f"{text!r} chooses no rows: write COLUMN=VALUE.")
    return column.strip(), value.strip()


def seeds_at(book: Book, against: str, folder: Path) -> Path:
    """Return the seeds of a folder, or write those of a revision in git into `folder`. Raises `BadInput`."""
    named = Path(against)
    if named.is_dir():
        return named
    listed = _git(book.seeds, "ls-tree", "--name-only", against, "./")
    if listed.returncode != 0:
        raise BadInput(
            f"{against!r} is neither a folder nor a revision in git of {book.seeds}: {listed.stderr.strip()} "
            "Name a folder with seeds, or a branch, tag or commit."
        )
    for name in listed.stdout.splitlines():
        if name.endswith(".csv"):
            shown = _git(book.seeds, "show", f"{against}:./{name}")
            (folder / name).write_text(shown.stdout, "utf-8")
    return folder


def changed(seeds: Path, folder: Path, changes: Sequence[Change], where: Mapping[str, str]) -> Path:
    """Write the seeds with changes into `folder`: `where` says which rows of a seed a changed column is about.

    Raises `BadInput` where no row fits, or where a number to multiply is none.
    """
    for path in seeds.glob("*.csv"):
        shutil.copyfile(path, folder / path.name)
    for change in changes:
        path, header = folder / f"{change.seed}.csv", [c.name for c in SEEDS[change.seed]]
        rows = _read(path)
        if change.added is not None:
            key = f"{change.seed.removesuffix('s')}_id"
            rows.append(({key: f"what-if-{len(rows) + 1}"} if key in header else {}) | dict(change.added))
        else:
            chosen = _apply(change, rows, where)
            if change.is_factor and (change.seed, change.column) == ("contracts", "unit_price"):
                _apply_to_tiers(folder, chosen, change)
        _write(path, rows)
    return folder


def _apply(change: Change, rows: Sequence[dict[str, str]], where: Mapping[str, str]) -> Sequence[dict[str, str]]:
    for column in where:
        _known(change.seed, column)
    chosen = [row for row in rows if all(row.get(c, "").lower() == v.lower() for c, v in where.items())]
    if not chosen:
        said = " and ".join(f"{c} {v}" for c, v in where.items()) or "any row"
        raise BadInput(f"No row of {change.seed}.csv has {said}: there is nothing to change.")
    for row in chosen:
        old = row.get(change.column, "")
        if not change.is_factor:
            row[change.column] = change.value
        elif old:
            row[change.column] = _times(old, change.seed, change)
    return chosen


def _apply_to_tiers(folder: Path, contracts: Sequence[Mapping[str, str]], change: Change) -> None:
    """Multiply the prices of tiered contracts too: they stand in a file of their own."""
    path, ids = folder / "price_tiers.csv", {row["contract_id"] for row in contracts}
    rows = _read(path)
    for row in rows:
        if row["contract_id"] in ids:
            row["unit_price"] = _times(row["unit_price"], path.stem, change)
    if rows:
        _write(path, rows)


def _times(text: str, seed: str, change: Change) -> str:
    """Multiply a cell as its column holds it: with four decimals, or whole where it counts days and the like."""
    old, factor = number(text, f"{seed}.csv, {change.column}"), number(change.value, str(change))
    if abs(old) * abs(factor) >= _TOO_MUCH:
        raise BadInput(f"{change} makes more of {text} in {seed}.csv than any column holds: name a smaller factor.")
    product = (old * factor).quantize(Decimal("0.0001"))
    is_whole = product == product.to_integral_value() and any(
        c.kind == "whole" for c in SEEDS[seed] if c.name == change.column
    )
    new = f"{product:.0f}" if is_whole else f"{product:f}"
    if message := wrong_cell(seed, change.column, new):
        raise BadInput(f"{change} cannot be tried: of {text} in {seed}.csv it makes {new}, and {message}.")
    return new


def _write(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [c.name for c in SEEDS[path.stem]], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def difference(
    book: Book, before: Path, after: Path, *, at: datetime, period: str | None = None, reopens: bool = False
) -> list[Row]:
    """Return what changes between two folders of seeds, on today's records, largest change of money first.

    One row per period × client × service × kind, with quantities and amounts before and after; `period` is a month, or
    `all`. What moves in a closed month is a correction in the open one; `reopens` shows it in its own month instead, as
    if no month had been closed. Raises `BadInput` for wrong seeds, naming whose, and `BuildFailed`.
    """
    from morton_pipeline.reconcile import build_apart
    from morton_pipeline.reports import mart
    from morton_pipeline.warehouse.scratch import scratch_folder

    with scratch_folder(book, "what_if_") as scratch, ThreadPoolExecutor(2) as pool:
        targets = [scratch / "before.duckdb", scratch / "after.duckdb"]
        builds = [
            pool.submit(build_apart, book, target, at=at, seeds=seeds, reopens=reopens)
            for target, seeds in zip(targets, (before, after), strict=True)
        ]
        sides = [mart.found(book, build.result(), period) for build in builds]
    return compare(*sides)


def compare(before: Sequence[Row], after: Sequence[Row]) -> list[Row]:
    """Return the rows of `marts.discrepancies` that differ in quantity or money, and by how much."""
    sides = [{(row["discrepancy_id"], row["currency"]): row for row in rows} for rows in (before, after)]
    found = []
    for key in {**sides[0], **sides[1]}:
        old, new = sides[0].get(key), sides[1].get(key)
        amounts = [(row or {}).get("variance_amount") or Decimal(0) for row in (old, new)]
        quantities = [(row or {}).get("variance_quantity") or Decimal(0) for row in (old, new)]
        if amounts[0] == amounts[1] and quantities[0] == quantities[1]:
            continue
        named = new or old or {}
        found.append(
            {name: named.get(name) for name in _NAMES}
            | {
                "before_quantity": quantities[0],
                "after_quantity": quantities[1],
                "before_amount": amounts[0],
                "after_amount": amounts[1],
                "change_amount": amounts[1] - amounts[0],
            }
        )
    return sorted(found, key=lambda r: (-abs(r["change_amount"]), str(tuple(r[c] for c in _NAMES))))


def totals(rows: Sequence[Row]) -> list[Row]:
    """Return the change by month, client and currency, and how many rows it comes from."""
    columns = ("period_month", "client_name", "currency")
    sums: dict[tuple[Any, ...], list[Decimal]] = {}
    for row in rows:
        sums.setdefault(tuple(row[c] for c in columns), []).append(row["change_amount"])
    return [
        dict(zip(columns, key, strict=True)) | {"rows": len(found), "change_amount": sum(found)}
        for key, found in sorted(sums.items(), key=lambda item: str(item[0]))
    ]


def most_moved(rows: Sequence[Row], coming: Mapping[str, Decimal] = MappingProxyType({})) -> Decimal:
    """Return how much money moves in the currency in which most does, whatever its direction; `coming` moves later."""
    sums = dict(coming)
    for row in rows:
        sums[row["currency"]] = sums.get(row["currency"], Decimal(0)) + abs(row["change_amount"])
    return max(sums.values(), default=Decimal(0))


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{k.strip(): (v or "").strip() for k, v in row.items() if k} for row in csv.DictReader(file)]


def _known(seed: str, column: str) -> None:
    if seed not in SEEDS:
        raise BadInput(f"There is no seed {seed!r}{guess(seed, SEEDS)}; there are {', '.join(SEEDS)}.")
    names = [c.name for c in SEEDS[seed]]
    if column not in names:
        raise BadInput(f"{seed}.csv has no column {column!r}{guess(column, names)}; it has {', '.join(names)}.")


def number(text: str, where: str) -> Decimal:
    """Read a number somebody wrote at a place. Raises `BadInput` naming both."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("nan")
    if not found.is_finite() or abs(found) >= _TOO_MUCH:
        raise BadInput(f"{where}: {text!r} is not a number that can be reckoned with; write one such as 500 or 1.05.")
    return found


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    git = shutil.which("git")
    if git is None:
        raise BadInput("git is not installed: name a folder with the other seeds instead of a revision.")
    return subprocess.run([git, "-C", str(folder), *words], capture_output=True, text=True, check=False)
