"""One thing that is wrong in a seed, as a person reads it.

Belongs here: how a problem is said. Does not: what makes a row wrong (`reading`, `values`, `rules/`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Something wrong in a seed, where it stands, and how to mend it."""

    file: str
    row: int | None
    """The line as an editor counts it; the header is line 1."""
    column: str | None
    message: str

    def __str__(self) -> str:
        place = self.file + (f" row {self.row}" if self.row else "") + (f", {self.column}" if self.column else "")
        return f"{place}: {self.message}"
