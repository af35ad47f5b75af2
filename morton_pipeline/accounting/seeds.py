"""The two seeds that say where a client and a service stand in the accounting system.

Belongs here: looking up `accounting_customer_id` and `accounting_item_id`, and saying exactly what to fill in.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from morton_pipeline.errors import BadInput


@dataclass(frozen=True)
class Seed:
    """One seed file by the id in its first column: each row with its line number."""

    path: Path
    rows: Mapping[str, tuple[int, Mapping[str, str]]]

    def look_up(self, name: str, column: str) -> str:
        """Return one value; a missing row or value is named by file, row and column."""
        if name not in self.rows:
            raise BadInput(f"{self.path} has no row for {name!r}: add one, with its {column}.")
        line, row = self.rows[name]
        if not (row.get(column) or "").strip():
            raise BadInput(f"{self.path} row {line} ({name}): column {column} is empty; fill it in and post again.")
        return row[column].strip()

    def value(self, name: str, column: str) -> str:
        """Return one value, or nothing."""
        return (self.rows.get(name, (0, {}))[1].get(column) or "").strip()


@dataclass(frozen=True)
class Seeds:
    """The seeds that invoices need."""

    clients: Seed
    services: Seed


def read_seeds(folder: Path) -> Seeds:
    """Read `clients.csv` and `services.csv`."""
    return Seeds(_read(folder / "clients.csv", "client_id"), _read(folder / "services.csv", "service_id"))


def _read(path: Path, key: str) -> Seed:
    if not path.is_file():
        raise BadInput(f"{path} is missing: it says where each invoice goes.")
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if key not in (reader.fieldnames or ()):
            raise BadInput(f"{path} row 1: column {key} is missing.")
        return Seed(path, {row[key].strip(): (reader.line_num, row) for row in reader if row[key]})
