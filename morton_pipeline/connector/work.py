"""What is done in a visit of the Web Connector: what is approved is sent, what is asked verified, what is due read.

Belongs here: whether there is anything to do, and the order of it. Does not: the steps of an invoice
(`accounting/machine.py`), how a list is walked (`extract/fetch.py`), or the visit itself (`session.py`).
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
from cronsim import CronSim

from morton_pipeline import clock
from morton_pipeline.accounting import posting
from morton_pipeline.accounting.quickbooks_desktop import open_quickbooks_desktop
from morton_pipeline.book import Book, Connection
from morton_pipeline.connector.session import Session
from morton_pipeline.errors import MortonError
from morton_pipeline.extract import qbxml
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.ledger import invoices
from morton_pipeline.ledger.store import open_ledger
from morton_pipeline.reconcile import bring_up_to_date, changed_since_built, refresh_decisions
from morton_pipeline.reports import mart
from morton_pipeline.seeds import NOTHING_SENT, refuse_wrong
from morton_pipeline.vendors import vendor_of
from morton_pipeline.warehouse.load import load
from morton_pipeline.warehouse.lock import connect, held

Rows = Mapping[str, Mapping[str, Any]]
Say = Callable[[str], None]

OWNER = "web connector"
AGAIN = timedelta(hours=1)
"""How long what waits for a person is left alone; the Web Connector comes more often."""
LOCK_SECONDS = 2.0
"""How long the Web Connector is kept waiting for the warehouse while we look what is due."""
LOAD_SECONDS = 1800.0
"""How long a loading waits for its turn; nobody waits for it any more."""

_log = logging.getLogger(__name__)


def approved(book: Book, at: datetime) -> Rows:
    """Return the mart's rows by discrepancy; raises `BadInput` while the contracts are wrong."""
    refuse_wrong(book, NOTHING_SENT)
    return mart.by_id(book, at=at)


class Work:
    """What one connection has to do.

    `rows` is what approvals are compared with, `changed` says why those are not what is known by now, `renew` makes
    them so, and `show` is what follows once something was sent.
    """

    def __init__(
        self,
        book: Book,
        connection: Connection,
        *,
        rows: Callable[[Book, datetime], Rows] = approved,
        changed: Callable[[Book], str] = changed_since_built,
        renew: Callable[[Book, datetime], None] = bring_up_to_date,
        show: Callable[[Book, datetime], None] = refresh_decisions,
        say: Say = lambda _: None,
    ) -> None:
        self._book, self._connection, self._rows, self._show, self._say = book, connection, rows, show, say
        self._changed, self._renew, self._is_outdated = changed, renew, False

    def is_waiting(self) -> bool:
        """Whether there is anything to send, to settle or to read now."""
        return self._is_sending_due() or self._is_reading_due()

    def run(self, session: Session) -> None:
        """Do it, asking through the session. What goes wrong is said in the session's last words, and in the log."""
        said: list[str] = []
        sent, read = list[Mapping[str, Any]](), list[Extraction]()
        with self._telling(said):
            sent = self._send(session, said)
        with self._telling(said):
            self._verify(session, said)
        with self._telling(said):
            read = self._read(session, said)
        session.finish(" ".join(said) or "Nothing was to be done.")
        with self._telling(said):
            if read:
                with held(self._book, OWNER, LOAD_SECONDS):
                    load(self._book, read, owner=OWNER)
        with self._telling(said):
            if sent:
                self._show(self._book, clock.now())
        with self._telling(said):
            if self._is_outdated:
                self._renew(self._book, clock.now())
        self._say(f"{self._connection.id}: {' '.join(said) or 'Nothing was to be done.'}")

    @contextmanager
    def _telling(self, said: list[str]) -> Iterator[None]:
        """Have what goes wrong in one part told, and the next part still done."""
        try:
            yield
        except MortonError as problem:
            said.append(str(problem))
        except Exception:
            _log.exception("%s: the visit of the Web Connector met an error of ours", self._connection.id)
            said.append("Something went wrong in Morton itself; its log says what.")

    @property
    def _is_sending(self) -> bool:
        return self._book.accounting is not None and self._book.accounting.id == self._connection.id

    def _is_sending_due(self) -> bool:
        """What is new or without an outcome is tried at every visit; what waits for a person only once in a while."""
        if not self._is_sending:
            return False
        try:
            with open_ledger(self._book) as ledger:
                now, standing = clock.wall(), {i.reference: i for i in invoices.current(ledger)}
                mine = [i for i in standing.values() if i.destination == self._connection.id]
                if any(i.is_asked for i in mine):
                    return True
                planned = posting.plan(self._book, ledger, self._rows(self._book, clock.now()))
        except MortonError as problem:
            self._say(f"{self._connection.id}: it is not known what is to be sent. {problem}")
            return False
        touched = {d.reference for d in planned.drafts} | {i.reference for i, _ in planned.withdrawn}
        touched |= {i.reference for i in mine if i.is_open or i.link_to}
        return any(
            reference not in standing
            or standing[reference].state not in ("refused", "parked")
            or now - standing[reference].stepped_at > AGAIN
            for reference in touched
        )

    def _is_reading_due(self) -> bool:
        """Whether a reading of the connection's cadence was missed since the last one that came to its end."""
        if self._connection.id not in {c.id for c in self._book.read_connections}:
            return False
        try:
            with connect(self._book, OWNER, LOCK_SECONDS) as con:
                found = con.execute(
                    "select min(last_at), count(*) from (select max(attempted_at) as last_at from raw.extractions "
                    "where connection_id = ? and status <> 'failed' group by endpoint)",
                    [self._connection.id],
                ).fetchone()
        except MortonError as problem:
            self._say(f"{self._connection.id}: it is not known what is to be read. {problem}")
            return False
        vendor, at = vendor_of(self._connection), clock.now()
        last_at, count = found or (None, 0)
        if last_at is None or count < len(vendor.endpoints):
            return True
        tick = next(CronSim(self._connection.schedule or vendor.cron, last_at.replace(tzinfo=at.tzinfo)))
        return bool(tick <= at)

    def _send(self, session: Session, said: list[str]) -> list[Mapping[str, Any]]:
        if not self._is_sending:
            return []
        why = self._changed(self._book)
        self._is_outdated = bool(why)
        if why:
            # Building takes longer than the Web Connector waits for an answer.
            said.append(f"{why} They are built anew now, and what is approved is sent at the next visit.")
            return []
        at, adapter = clock.now(), open_quickbooks_desktop(self._connection, session.ask)
        with open_ledger(self._book) as ledger:
            try:
                rows = posting.post(self._book, ledger, self._rows(self._book, at), at=at, adapter=adapter, actor=OWNER)
            finally:
                adapter.close()
        states = Counter(row["state"] for row in rows)
        if states:
            said.append(f"Invoices: {', '.join(f'{count} {state}' for state, count in sorted(states.items()))}.")
        return list(rows)

    def _verify(self, session: Session, said: list[str]) -> None:
        """Read back what somebody wants read back; one that breaks off leaves the rest to the next visit."""
        if session.is_over or not self._is_sending:
            return
        adapter = open_quickbooks_desktop(self._connection, session.ask)
        with open_ledger(self._book) as ledger:
            read, drifted = posting.verify_as_asked(ledger, adapter, at=clock.now(), actor=OWNER)
        if read:
            said.append(f"Invoices read back: {len(read)}, of which {len(drifted)} are not as they were approved.")
        said += [f"{row['reference']}: {row['reason']}" for row in drifted]

    def _read(self, session: Session, said: list[str]) -> list[Extraction]:
        """Read every list in this session; one that breaks off leaves its lists as they were."""
        if session.is_over or not self._is_reading_due():
            return []
        # An iterator ends with its session: a second try could only begin anew, in the next one.
        once = replace(self._connection, settings={**self._connection.settings, "attempts": 1})
        found = fetch(once, vendor_of(once), at=clock.now(), transport=_Carried(session))
        whole = sum(one.rows is not None for one in found)
        said.append(f"Lists read: {whole} of {len(found)}.")
        said += [one.error for one in found if one.error]
        return found


class _Carried(httpx.AsyncBaseTransport):
    """Carries the calls of the vendor's page through a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name, fields = request.url.path.removeprefix("/"), json.loads(request.content)
        try:
            answer = await asyncio.to_thread(self._session.ask, qbxml.message_set([(name, fields)]))
            return httpx.Response(200, json=qbxml.answers(answer), request=request)
        except (qbxml.Unanswered, qbxml.BadXml) as failure:
            raise httpx.ReadError(str(failure), request=request) from failure
