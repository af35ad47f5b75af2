"""Read connections and load what came: everything is fetched first, holding no lock, then loaded in one go.

Belongs here: the one way from a connection to the warehouse, for the command line, the demo and Dagster alike.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

from morton_pipeline.book import Book, Connection, Tenant
from morton_pipeline.errors import BadInput
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.files import Seen, keep, look
from morton_pipeline.extract.vendor import Vendor
from morton_pipeline.ledger.store import Ledger, open_ledger
from morton_pipeline.ledger.tokens import LedgerTokens
from morton_pipeline.vendors import vendor_of
from morton_pipeline.warehouse import lock, reports
from morton_pipeline.warehouse.load import load
from morton_pipeline.warehouse.verdict import Loaded

Say = Callable[[str], None]


def refresh(
    book: Book, connections: Sequence[Connection], *, at: datetime, endpoints: Collection[str] | None = None,
    owner: str = "extract", wait_seconds: float = lock.WAIT_SECONDS, say: Say = lambda _: None,
) -> list[Loaded]:  # fmt: skip
    """Read the endpoints (all by default) of the connections, side by side, and load every scope that came whole.

    A connection that cannot even be tried, such as one without its secret, is recorded as a failed attempt. Several
    reports in a folder are several readings of one list, loaded one after another. What calls us is left out: its
    lists come in its own visits.
    """
    connections = [c for c in connections if not vendor_of(c).is_caller]
    folders = {c.id: c for c in connections if vendor_of(c).folder}
    seen = reports.seen(book, folders, owner, wait_seconds) if folders else {}
    with open_ledger(book) as ledger, ThreadPoolExecutor(max_workers=4) as pool:
        reading = [pool.submit(read, book, ledger, c, at, endpoints, say, seen.get(c.id)) for c in connections]
        extractions = [extraction for job in reading for extraction in job.result()]
    with lock.held(book, owner, wait_seconds):
        # Another process may have looked into the same folder meanwhile.
        seen = reports.seen(book, folders, owner, wait_seconds) if folders else {}
        fresh = [e for e in extractions if e.connection_id not in folders or _is_new(e, seen[e.connection_id])]
        kept = [e if e.connection_id not in folders else _kept(book, folders[e.connection_id], e) for e in fresh]
        return [one for turn in _in_turn([e for e in kept if e]) for one in load(book, turn, owner=owner)]


def _is_new(extraction: Extraction, seen: Seen) -> bool:
    if extraction.rows is None:
        return True
    is_taken = (extraction.source_sha256, extraction.source_as_of_at) in seen.taken
    return not is_taken and not seen.is_older(extraction.source_as_of_at)


def _kept(book: Book, connection: Connection, extraction: Extraction) -> Extraction | None:
    """Keep a copy of the report before it is loaded; one that has changed since it was read waits for the next look."""
    folder = vendor_of(connection).folder
    if folder is None or extraction.rows is None:
        return extraction
    into = book.data / "files" / connection.id
    try:
        is_same = keep(book.root / folder.path / extraction.source_file, extraction.source_sha256, into)
    except OSError as error:
        said = f"{connection.id}: {extraction.source_file} was not taken, for no copy of it can be kept in {into}"
        return replace(extraction, rows=None, error=f"{said} ({error.strerror}). Make room, or mend the permissions.")
    return extraction if is_same else None


def _in_turn(extractions: Sequence[Extraction]) -> list[list[Extraction]]:
    """Put the first reading of every list into the first load, the second into the next, and so on."""
    turns: list[list[Extraction]] = [[]]
    so_far: Counter[tuple[str, str, str]] = Counter()
    for extraction in extractions:
        scope = (extraction.connection_id, extraction.endpoint, extraction.tenant_id)
        if so_far[scope] == len(turns):
            turns.append([])
        turns[so_far[scope]].append(extraction)
        so_far[scope] += 1
    return turns


def read(
    book: Book, ledger: Ledger, connection: Connection, at: datetime, endpoints: Collection[str] | None, say: Say,
    seen: Seen | None = None,
) -> list[Extraction]:  # fmt: skip
    """Read the endpoints of a connection and load nothing; the ledger keeps a refresh token that rotates meanwhile.

    `seen` is what came before through a folder of reports; without it, its newest report is read as a trial.
    """
    vendor = vendor_of(connection)
    if vendor.folder is not None:
        return look(connection, vendor, vendor.folder, root=book.root, at=at, seen=seen, progress=say)
    try:
        return fetch(connection, vendor, at=at, endpoints=endpoints, tokens=LedgerTokens(ledger),
                     rate_dir=book.data / "rates", progress=say)  # fmt: skip
    except BadInput as problem:
        return _unread(connection, vendor, endpoints, at, str(problem))


def _unread(
    connection: Connection, vendor: Vendor, endpoints: Collection[str] | None, at: datetime, error: str
) -> list[Extraction]:
    tenants = (Tenant(""),) if isinstance(connection.tenants, str) else connection.tenants
    return [Extraction(connection.id, vendor.name, e.name, t.id, t.name, at, None, error, kind="BadInput")
            for e in vendor.endpoints if endpoints is None or e.name in endpoints for t in tenants]  # fmt: skip
