"""What one list of a scope knows about the records of another: the parent a record names, found by its id.

Belongs here: finding it. Does not: what a vendor's parents say, or what that decides; the vendor's page knows both.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Json = Any
Row = Mapping[str, Json]
Facts = Callable[[Row, Row | None], Mapping[str, Json]]
"""Says what a record's parent makes of it; there is no parent where the list does not name the one it belongs to."""


def with_parents(
    rows: Sequence[Row], parents: Sequence[Row], *, id: str, named: str, facts: Facts
) -> list[dict[str, Json]]:
    """Complete each record by its parent: the one of `parents` whose `id` is what the record holds in `named`.

    No share of missing parents is good enough. Where the parent decides whether a record is billed, `facts` leaves a
    column empty that may not be, and validation sets that one record aside: the scope is partial, the record keeps its
    last version, and nobody is billed for a trial because a list was cut.
    """
    known = {_key(parent[id]): parent for parent in parents}
    return [{**row, **facts(row, known.get(_key(row[named])))} for row in rows]


def _key(value: Json) -> str:
    return str(value).lower()
