"""The audit chain: every row of the ledger is written together with a link that pins it and everything before it.

Belongs here: the only way a row gets in (`write`), proving that none was touched since (`verify`), and refusing a clock
that runs backwards (`refuse_earlier`).
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import tables
from morton_pipeline.ledger.canonical import digest, instant_text
from morton_pipeline.ledger.store import GENESIS, Ledger

SKEW = timedelta(seconds=5)
"""Two commands started together may write in the other order; a clock this little behind is not a replay."""


class Writer:
    """One write transaction: rows go in one by one, each with its link."""

    def __init__(self, con: sa.Connection, actor: str, at: datetime) -> None:
        self.con, self.actor, self.at = con, actor, at
        head = con.execute(sa.select(tables.chain_head.c.seq, tables.chain_head.c.hash).with_for_update()).one()
        self._seq, self._hash = head.seq, head.hash

    def insert(self, table: sa.Table, values: dict[str, Any]) -> None:
        """Add a row and its link."""
        self.con.execute(table.insert().values(values))
        row = tables.stored(table, values)
        self._seq += 1
        link = {
            "seq": self._seq,
            "at": instant_text(self.at),
            "actor": self.actor,
            "what": table.name,
            "row_key": _key(table, row),
            "digest": digest(row),
            "prev_hash": self._hash,
        }
        self._hash = digest(link)
        self.con.execute(tables.audit.insert().values({**link, "at": self.at, "hash": self._hash}))

    def finish(self) -> None:
        """Move the chain's end; called once, last."""
        self.con.execute(
            tables.chain_head.update().where(tables.chain_head.c.id == 1).values(seq=self._seq, hash=self._hash)
        )


@contextmanager
def write(ledger: Ledger, *, actor: str, at: datetime) -> Iterator[Writer]:
    """Open a write transaction. Writers take turns, in this process and in others, so the chain cannot fork."""
    with ledger.transaction() as con:
        writer = Writer(con, actor, at)
        yield writer
        writer.finish()


@dataclass(frozen=True)
class Verified:
    """What `verify` found: how many links were recomputed, and the first thing that does not fit."""

    row_count: int
    problem: str | None

    @property
    def is_whole(self) -> bool:
        """Whether everything fits."""
        return self.problem is None


def verify(ledger: Ledger) -> Verified:
    """Recompute the whole chain from the rows as stored; name the first that was edited, removed, added or moved."""
    with ledger.read() as con:
        links = [dict(row) for row in con.execute(tables.raw(tables.audit).order_by(tables.audit.c.seq)).mappings()]
        found = {
            (name, _key(table, dict(row))): digest(dict(row))
            for name, table in tables.CHAINED.items()
            for row in con.execute(tables.raw(table)).mappings()
        }
        head = con.execute(sa.select(tables.chain_head.c.seq, tables.chain_head.c.hash)).one_or_none()
    return Verified(len(links), _first_problem(links, found, head))


def links(ledger: Ledger, what: str, keys: Collection[str]) -> dict[str, tuple[int, str]]:
    """Return the place and the hash of the link that pins each of a table's rows, by the row's key."""
    table = tables.audit.c
    with ledger.read() as con:
        wanted = sa.select(table.row_key, table.seq, table.hash).where(table.what == what, table.row_key.in_(keys))
        return {row.row_key: (row.seq, row.hash) for row in con.execute(wanted)}


def _first_problem(
    links: list[dict[str, Any]], found: dict[tuple[str, str], str], head: sa.Row[Any] | None
) -> str | None:
    before = GENESIS
    for expected, link in enumerate(links, start=1):
        place, row = f"audit row {link['seq']}", (link["what"], link["row_key"])
        named = f"{row[0]} {row[1]}"
        if link["seq"] != expected:
            return f"audit row {expected} is missing: a link was removed or renumbered before {place}."
        if link["prev_hash"] != before:
            return f"{place} ({named}) does not follow the row before it: links were removed, added or reordered here."
        if digest({k: v for k, v in link.items() if k != "hash"}) != link["hash"]:
            return f"{place} ({named}) was changed after it was written."
        if row not in found:
            return f"{named}, written as {place} by {link['actor']} at {link['at']}, is gone."
        if found.pop(row) != link["digest"]:
            return f"{named}, written as {place} by {link['actor']} at {link['at']}, was changed since."
        before = link["hash"]
    if found:
        name, key = min(found)
        return f"{name} {key} has no link in the audit chain: it was added behind Morton's back."
    if head is None or (head.seq, head.hash) != (len(links), before):
        end = head.seq if head else "?"
        return f"The chain should end at audit row {end} and ends at {len(links)}: its last rows were removed."
    return None


def _key(table: sa.Table, row: dict[str, Any]) -> str:
    return ":".join(str(row[column.name]) for column in table.primary_key.columns)


def latest_at(ledger: Ledger) -> datetime | None:
    """Return the latest instant the ledger has seen."""
    with ledger.read() as con:
        return con.execute(sa.select(sa.func.max(tables.audit.c.at, type_=tables.Instant()))).scalar_one()


def refuse_earlier(ledger: Ledger, at: datetime, also: datetime | None = None) -> None:
    """Refuse a clock earlier than what the book has already seen, in its ledger or (`also`) in its journal."""
    seen = max((s for s in (latest_at(ledger), also) if s is not None), default=None)
    if seen is not None and at < seen - SKEW:
        raise BadInput(
            f"The clock says {instant_text(at)[:19]}Z, but this book has already seen {instant_text(seen)[:19]}Z; "
            "it never goes back. Unset MORTON_NOW or name a later instant, or copy the book and replay the copy. "
            "To see what was known earlier, use `morton reconcile --as-of`."
        )
