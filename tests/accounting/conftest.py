"""A book with approved rows, and QuickBooks' stand-in behind a transport that fails as scripted."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from morton_pipeline import failpoints
from morton_pipeline.accounting import plan, post, status, verify
from morton_pipeline.accounting.adapter import Adapter
from morton_pipeline.accounting.quickbooks_online import open_quickbooks
from morton_pipeline.book import Book, Limits
from morton_pipeline.ledger import Ledger, Outcome, decide, decisions, open_ledger
from morton_pipeline.simulator.quickbooks import Company, create_app
from tests.conftest import RATES

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)

CONNECTIONS = """
connections:
  - id: books
    vendor: quickbooks_online
    base_url: http://127.0.0.1:9
    auth_url: http://127.0.0.1:9
    realm_id: "9130350000000001"
    backoff_seconds: 0
    secrets: {client_id: BOOKS_ID, client_secret: BOOKS_SECRET, refresh_token: BOOKS_REFRESH}
accounting: books
"""

Fault = Callable[[httpx.Request, Callable[[], httpx.Response]], httpx.Response]


class Crash(BaseException):
    """The power went out."""


@contextmanager
def crashing(place: str, reached: list[str] | None = None) -> Iterator[None]:
    """Let the power go out at a place, once it is reached; `reached` then names it."""
    reach = failpoints._reach

    def die(at: str) -> None:
        if at == place:
            if reached is not None:
                reached.append(at)
            raise Crash

    failpoints._reach = die
    try:
        yield
    except Crash:
        pass
    finally:
        failpoints._reach = reach


class Wire(httpx.BaseTransport):
    """Carries requests to the stand-in; the next faults of each method are used up one by one."""

    def __init__(self, app: Any) -> None:
        self._app = httpx.ASGITransport(app)
        self.faults: dict[str, list[Fault]] = {"POST": [], "GET": []}
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        is_company = "/v3/company/" in request.url.path
        waiting = self.faults[request.method] if is_company else []
        if waiting:
            return waiting.pop(0)(request, lambda: self._pass(request))
        return self._pass(request)

    def _pass(self, request: httpx.Request) -> httpx.Response:
        async def carry() -> httpx.Response:
            inner = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
            response = await self._app.handle_async_request(inner)
            content = await response.aread()
            return httpx.Response(response.status_code, headers=response.headers, content=content, request=request)

        return asyncio.run(carry())

    def posts(self) -> list[httpx.Request]:
        """The requests that create invoices."""
        return [r for r in self.requests if r.method == "POST" and r.url.path.endswith("/invoice")]


def fails(error: type[httpx.TransportError], *, after: bool) -> Fault:
    """The connection breaks, before or after the request was carried out."""

    def fault(request: httpx.Request, carry_out: Callable[[], httpx.Response]) -> httpx.Response:
        if after:
            carry_out()
        raise error("broken", request=request)

    return fault


def answers(status_code: int, content: str = "", *, after: bool = False, **headers: str) -> Fault:
    """Somebody answers in place of the stand-in, before or after the request was carried out."""

    def fault(request: httpx.Request, carry_out: Callable[[], httpx.Response]) -> httpx.Response:
        if after:
            carry_out()
        return httpx.Response(status_code, content=content.encode(), headers=headers, request=request)

    return fault


@dataclass
class Shop:
    """Everything a posting test touches."""

    book: Book
    ledger: Ledger
    company: Company
    wire: Wire
    limits: Limits = field(default_factory=lambda: replace(Limits(), quiet_period_seconds=0))
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    naps: list[float] = field(default_factory=list)
    at: datetime = AT

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()

    def standing(self) -> dict[str, dict[str, Any]]:
        """The approvals in force, by decision."""
        with self.ledger.read() as con:
            found = decisions.latest(con).values()
        return {d["decision_id"]: d for d in found if d["action"] == "approve"}

    def status(self) -> list[dict[str, Any]]:
        return status(self.ledger)

    def fails(self, error: type[httpx.TransportError], *, after: bool) -> Fault:
        """Break the connection, before or after the request was carried out."""
        return fails(error, after=after)

    def answers(self, status_code: int, content: str = "", *, after: bool = False, **headers: str) -> Fault:
        """Let somebody else answer, before or after the request was carried out."""
        return answers(status_code, content, after=after, **headers)

    def adapter(self) -> Adapter:
        """Open QuickBooks over the scripted wire."""
        self.book.__dict__["limits"] = self.limits
        return open_quickbooks(self.book.connection("books"), self.ledger, transport=self.wire, sleep=self.naps.append)

    def row(self, discrepancy_id: str = "00000000000a", **changes: Any) -> dict[str, Any]:
        """Put a row into the mart: 7 seats more than the contract says."""
        self.rows[discrepancy_id] = {
            "discrepancy_id": discrepancy_id, "period_month": date(2026, 11, 1), "client_id": "acme", "service_id": "m365_bp",
            "service_name": "Business Premium", "kind": "under_billed", "variance_quantity": Decimal("7.0000"),
            "unit_price": Decimal("22.0000"), "currency": "USD", "variance_amount": Decimal("154.0000"), "source_state": "known",
            "seal": "a" * 64, "status": "open",
        } | changes  # fmt: skip
        return self.rows[discrepancy_id]

    def decide(self, action: str, *discrepancy_ids: str, actor: str = "ann", **changes: Any) -> Outcome:
        """Decide on rows of the mart."""
        rows = [self.rows[name] for name in discrepancy_ids]
        return decide(
            self.ledger, rows, action=action, reason="agreed", actor=actor, at=AT, limits=self.limits, **changes
        )

    def approve(self, discrepancy_id: str = "00000000000a", **changes: Any) -> str:
        """Put a row into the mart and approve it; returns the decision's id."""
        self.row(discrepancy_id, **changes)
        outcome = self.decide("approve", discrepancy_id)
        assert outcome.refused == []
        return str(outcome.applied[0]["decision_id"])

    def plan(self, **changes: Any) -> Any:
        return plan(self.book, self.ledger, self.rows, adapter=self.adapter(), **changes)

    def post(self, *, at: datetime = AT, **changes: Any) -> list[dict[str, Any]]:
        return post(self.book, self.ledger, self.rows, at=at, adapter=self.adapter(), **changes)

    def states(self) -> list[str]:
        return [row["state"] for row in status(self.ledger)]

    def only(self) -> dict[str, Any]:
        """The one invoice there is."""
        (row,) = self.status()
        return row

    def verify(self) -> list[dict[str, Any]]:
        return verify(self.book, self.ledger, adapter=self.adapter())

    def made(self) -> list[dict[str, Any]]:
        """The invoices in QuickBooks."""
        return list(self.company.invoices.values())


@pytest.fixture
def open_wire() -> Callable[[Any], Wire]:
    """Make the wire to an app."""
    return Wire


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    return make_book(tmp_path, monkeypatch)


def make_book(root: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    """Write a book that is invoiced from QuickBooks."""
    for name, value in (("BOOKS_ID", "app-id"), ("BOOKS_SECRET", "app-secret"), ("BOOKS_REFRESH", "refresh-0")):
        monkeypatch.setenv(name, value)
    root.mkdir(exist_ok=True)
    (root / "connections.yaml").write_text(CONNECTIONS, "utf-8")
    seeds = root / "seeds"
    seeds.mkdir()
    (seeds / "clients.csv").write_text(
        "client_id,client_name,accounting_customer_id\nacme,Acme Corp,12\nbeta,Beta & Söhne <GmbH>,13\ngamma,Gamma,\n",
        "utf-8",
    )
    (seeds / "services.csv").write_text(
        "service_id,service_name,accounting_item_id\nm365_bp,Business Premium,7\nedr,Managed EDR,8\nbackup,Backup,\n",
        "utf-8",
    )
    (seeds / "exchange_rates.csv").write_text(RATES, "utf-8")
    return Book(root)


@pytest.fixture
def company() -> Company:
    return make_company()


def make_company() -> Company:
    """Two customers and two items."""
    company = Company(client_id="app-id", client_secret="app-secret", refresh_token="refresh-0")
    company.add_customer("12", "Acme Corp")
    company.add_customer("13", "Beta & Söhne")
    company.add_item("7", "Business Premium")
    company.add_item("8", "Managed EDR")
    return company


@pytest.fixture
def shop(book: Book, company: Company) -> Iterator[Shop]:
    with open_ledger(book) as ledger:
        yield Shop(book, ledger, company, Wire(create_app(company, lambda: AT)))
