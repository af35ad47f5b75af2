"""The files of seeds as a build reads them: every column there, in one order, one word for what means the same.

Belongs here: writing whole folders of seeds. Does not: adding rows to an analyst's file (`additions`).
"""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from morton_pipeline.book import Book
from morton_pipeline.seeds.checks import refuse
from morton_pipeline.seeds.columns import SEEDS, Row
from morton_pipeline.seeds.reading import Seeds, read_rows
from morton_pipeline.seeds.values import canonical


def write_checked(book: Book, target: Path) -> None:
    """Write the seeds, once they pass, in canonical form for the build; a seed the book leaves out is written empty.

    Raises `BadInput` naming every problem; nothing is written then.
    """
    seeds = Seeds(book)
    refuse(seeds, "nothing was built")
    _write({name: [row for _, row in rows] for name, rows in seeds.rows.items()}, target)


def write_known(folder: Path, target: Path) -> None:
    """Write seeds that passed when a build used them; columns and files that came later are empty."""
    _write({name: read_rows(folder / f"{name}.csv") for name in SEEDS}, target)


def _write(rows: Mapping[str, Iterable[Row]], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name, columns in SEEDS.items():
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([c.name for c in columns])
        for place, row in enumerate(rows[name], 1):
            # The order of a bundle's components means something, and tables have none.
            placed = {"place": str(place)} | {k: v for k, v in row.items() if v}
            writer.writerow([canonical(c, placed.get(c.name, "")) for c in columns])
        (target / f"{name}.csv").write_text(text.getvalue(), "utf-8")
