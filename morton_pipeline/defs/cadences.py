"""How often what is read: one cadence per connection and cron expression. Schedules and freshness derive from it.

Belongs here: the derivation, in plain Python. The book's connections decide where there is a book; a vendor's own
cadence stands in for a connection where there is none, so that definitions load anywhere.
"""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from morton_pipeline.book import Connection, open_book
from morton_pipeline.clock import now
from morton_pipeline.errors import BadInput
from morton_pipeline.extract.vendor import Vendor
from morton_pipeline.vendors import VENDORS
from morton_pipeline.warehouse.scopes import longest_pause_minutes


@dataclass(frozen=True)
class Cadence:
    """Endpoints of one connection that are read together."""

    connection_id: str | None
    """The connection; nothing means every connection of the vendor, where no book said which there are."""
    vendor: str
    cron: str
    endpoints: tuple[str, ...]
    name: str
    """What the schedule is called."""


def cadences(connections: Sequence[Connection] | None) -> list[Cadence]:
    """Return every cadence of these connections, or of every vendor where there is no book."""
    if connections is None:
        return [c for vendor in VENDORS.values() for c in _of(vendor, None, None)]
    return [c for given in connections for c in _of(VENDORS[given.vendor], given.id, given.schedule)]


def _of(vendor: Vendor, connection_id: str | None, override: str | None) -> list[Cadence]:
    """A connection's own schedule is for all of its endpoints; without one, endpoints of one cadence go together."""
    by_cron: dict[str, list[str]] = {}
    for endpoint in vendor.endpoints:
        by_cron.setdefault(override or vendor.cadence(endpoint), []).append(endpoint.name)
    base = re.sub(r"\W", "_", connection_id or vendor.name)
    return [
        Cadence(connection_id, vendor.name, cron, tuple(names),
                base if cron in (override, vendor.cron) else "__".join((base, *names)))
        for cron, names in by_cron.items()
    ]  # fmt: skip


def connections_at_load() -> Sequence[Connection] | None:
    """Return the connections of the book `MORTON_BOOK` names; nothing, said in the log, where it cannot be read."""
    if not os.environ.get("MORTON_BOOK"):
        return None
    try:
        return open_book().read_connections
    except BadInput as problem:
        logging.getLogger(__name__).warning("The schedules are the vendors' own, because: %s", problem)
        return None


def allowed_ages(connections: Sequence[Connection] | None) -> dict[tuple[str, str], timedelta]:
    """Return how old each (vendor, endpoint) may be: twice its cadence, or the slowest connection's of several."""
    ages: dict[tuple[str, str], timedelta] = {}
    for cadence in cadences(connections):
        pause = timedelta(minutes=longest_pause_minutes(cadence.cron, now().year))
        for endpoint in cadence.endpoints:
            key = (cadence.vendor, endpoint)
            ages[key] = max(ages.get(key, timedelta(0)), 2 * pause)
    return ages
