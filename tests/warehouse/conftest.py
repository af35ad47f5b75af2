"""Small factories: a book that reaches nothing, vendors' rows, and one line to load them or look at a table."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from morton_pipeline.book import Book
from morton_pipeline.extract.fetch import Extraction
from morton_pipeline.warehouse.load import load
from morton_pipeline.warehouse.lock import connect
from morton_pipeline.warehouse.verdict import Loaded

Rows = list[dict[str, Any]]

CONNECTIONS = """
connections:
  - id: ninjaone
    vendor: ninjaone
    base_url: http://127.0.0.1:1
    secrets: {client_id: NINJAONE_CLIENT_ID, client_secret: NINJAONE_CLIENT_SECRET}
  - id: m365
    vendor: microsoft365
    base_url: http://127.0.0.1:1
    auth_url: http://127.0.0.1:1
    schedule: "0 6 * * 1-5"
    secrets: {client_id: M365_CLIENT_ID, client_secret: M365_CLIENT_SECRET}
    tenants: [{id: contoso, name: Contoso}, {id: fabrikam, name: Fabrikam}]
"""


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with every table and nothing in it: made once, since describing every column takes a while."""
    made = Book(tmp_path_factory.mktemp("empty"))
    with connect(made, "test"):
        pass
    return made.warehouse


@pytest.fixture
def book(tmp_path: Path, empty_warehouse: Path) -> Book:
    (tmp_path / "connections.yaml").write_text(CONNECTIONS, "utf-8")
    made = Book(tmp_path)
    made.data.mkdir()
    shutil.copy(empty_warehouse, made.warehouse)
    return made


@pytest.fixture
def hour() -> Callable[[float], datetime]:
    """The n-th hour of the test's day."""
    return lambda n: datetime(2026, 11, 23, 6, tzinfo=UTC) + timedelta(hours=n)


@pytest.fixture
def devices() -> Callable[..., Rows]:
    """NinjaOne devices 1..count; keyword arguments replace fields of every one."""

    def make(count: int, **fields: Any) -> Rows:
        common = {"organizationId": 7, "nodeClass": "WINDOWS_WORKSTATION", "approvalStatus": "APPROVED"}
        return [{"id": n, "systemName": f"PC-{n}", **common, **fields} for n in range(1, count + 1)]

    return make


@pytest.fixture
def users() -> Callable[[int], Rows]:
    """Microsoft 365 users 1..count."""
    return lambda count: [
        {"id": f"u{n}", "userPrincipalName": f"u{n}@example.com", "assignedLicenses": []} for n in range(1, count + 1)
    ]


@pytest.fixture
def extraction(hour: Callable[[float], datetime]) -> Callable[..., Extraction]:
    """One attempt; without rows it failed."""

    def make(
        rows: Rows | None, at: float = 0, *, tenant: str = "", connection: str = "ninjaone", error: str = ""
    ) -> Extraction:
        vendor, endpoint = ("microsoft365", "users") if connection == "m365" else ("ninjaone", "devices")
        return Extraction(connection, vendor, endpoint, tenant, tenant.title(), hour(at), rows, error)

    return make


@pytest.fixture
def take(book: Book, extraction: Callable[..., Extraction]) -> Callable[..., Loaded]:
    """Load one attempt at the devices of NinjaOne and return what became of it."""
    return lambda rows, at=0, **more: load(book, [extraction(rows, at, **more)])[0]


@pytest.fixture
def query(book: Book) -> Callable[..., list[tuple[Any, ...]]]:
    """Open the warehouse and ask it something."""

    def ask(sql: str, *values: object) -> list[tuple[Any, ...]]:
        with connect(book, "test") as con:
            return con.execute(sql, list(values)).fetchall()

    return ask


@pytest.fixture
def raw_tables() -> Callable[[Path], dict[str, list[tuple[Any, ...]]]]:
    """Every row of every raw table of a warehouse file, in an order of their own."""

    def read(path: Path) -> dict[str, list[tuple[Any, ...]]]:
        with duckdb.connect(str(path), read_only=True) as con:
            names = con.execute(
                "select schema_name, table_name from duckdb_tables() where schema_name like 'raw%'"
            ).fetchall()
            return {f"{s}.{t}": con.execute(f'from "{s}"."{t}" order by all').fetchall() for s, t in names}

    return read
