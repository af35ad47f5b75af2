"""Read connections and load what came: everything is fetched first, holding no lock, then loaded in one go.

Belongs here: the one way from a connection to the warehouse, for the command line, the demo and Dagster alike.
"""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from morton_pipeline.book import Book, Connection, Tenant
from morton_pipeline.errors import BadInput
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.vendor import Vendor
from morton_pipeline.ledger.store import Ledger, open_ledger
from morton_pipeline.ledger.tokens import LedgerTokens
from morton_pipeline.vendors import VENDORS
from morton_pipeline.warehouse import lock
from morton_pipeline.warehouse.load import load
from morton_pipeline.warehouse.verdict import Loaded

Say = Callable[[str], None]


def refresh(
    book: Book, connections: Sequence[Connection], *, at: datetime, endpoints: Collection[str] | None = None,
    owner: str = "extract", wait_seconds: float = lock.WAIT_SECONDS, say: Say = lambda _: None,
) -> list[Loaded]:  # fmt: skip
    """Read the endpoints (all by default) of the connections, side by side, and load every scope that came whole.

    A connection that cannot even be tried, such as one without its secret, is recorded as a failed attempt.
    """
    with open_ledger(book) as ledger, ThreadPoolExecutor(max_workers=4) as pool:
        reading = [pool.submit(_read, book, ledger, connection, at, endpoints, say) for connection in connections]
        extractions = [extraction for job in reading for extraction in job.result()]
    with lock.held(book, owner, wait_seconds):
        return load(book, extractions, owner=owner)


def _read(
    book: Book, ledger: Ledger, connection: Connection, at: datetime, endpoints: Collection[str] | None, say: Say
) -> list[Extraction]:
    vendor = VENDORS[connection.vendor]
    try:
        return fetch(connection, vendor, at=at, endpoints=endpoints, tokens=LedgerTokens(ledger),
                     rate_dir=book.data / "rates", progress=say)  # fmt: skip
    except BadInput as problem:
        return _unread(connection, vendor, endpoints, at, str(problem))


def _unread(
    connection: Connection, vendor: Vendor, endpoints: Collection[str] | None, at: datetime, error: str
) -> list[Extraction]:
    tenants = (Tenant(""),) if isinstance(connection.tenants, str) else connection.tenants
    return [Extraction(connection.id, vendor.name, e.name, t.id, t.name, at, None, error)
            for e in vendor.endpoints if endpoints is None or e.name in endpoints for t in tenants]  # fmt: skip
