"""One MSP, two marts: every `given_…` of the collected modules adds its clients, and the book is built once for all.

The stories are told in `tests.cases.scenario`'s words. The first mart is built at NOW; then somebody decides, the
tools change, analysts edit the seeds, and the second is built at LATER. Tests only look.
"""

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from morton_pipeline.book import Book
from morton_pipeline.ledger import decide, open_ledger
from morton_pipeline.reconcile import reconcile
from tests.cases.scenario import DECIDED, FIRST, LATER, NOW, Mart, Scenario, post

_HERE = Path(__file__).parent


def _services(msp: Scenario) -> None:
    msp.service("workstation", "device", "40", accounting_item_id="item-workstation", category="rmm")
    msp.maps("workstation", "ninjaone", "devices", "node_class", "WINDOWS_WORKSTATION")
    msp.service("server", "device", "120", category="rmm")
    msp.maps("server", "ninjaone", "devices", "node_class", "*_SERVER")
    msp.service("seat", "user", "22")
    msp.maps("seat", "microsoft365", "user_licenses", "sku_part_number", "SPB", "SPE_E3")
    msp.service("mail", "licence", "4")
    msp.maps("mail", "microsoft365", "user_licenses", "sku_part_number", "EXCHANGE*")
    msp.service("edr", "agent", "5", category="security")
    msp.maps("edr", "huntress", "agents", "platform", "windows")
    msp.service("vault", "device", "20", category="backup")
    msp.maps("vault", "acronis", "usages", "usage_name", "servers", "workstations")
    msp.service("care", "device", "30", count_vendor="ninjaone")
    msp.maps("care", "ninjaone", "devices", "node_class", "MAC")
    msp.maps("care", "huntress", "agents", "platform", "darwin")


def _tell(msp: Scenario, items: list[pytest.Item]) -> Scenario:
    _services(msp)
    for module in dict.fromkeys(item.getparent(pytest.Module).obj for item in items if item.path.is_relative_to(_HERE)):
        for name, story in vars(module).items():
            if name.startswith("given_"):
                story(msp)
    return msp


def _build(root: Path, msp: Scenario) -> None:
    book = Book(root / "book")
    book.root.mkdir(parents=True)
    msp.write_connections(book)
    msp.write_seeds(book)
    msp.read_tools(book, FIRST.replace(year=2000), NOW)
    reconcile(book, at=NOW)
    before = _keep(book, root, "before")
    with open_ledger(book) as ledger:
        for client, answer in msp.decisions:
            rows = before.rows(
                client, **{column: answer.pop(column) for column in ("kind", "month") if column in answer}
            )
            evidence = {row["discrepancy_id"]: before.evidence(row) for row in rows}
            said = {"reason": "seen", "actor": "Fay", "at": DECIDED, "limits": book.limits, "evidence": evidence}
            needs_cause = answer["action"] in ("write_off", "exclude")
            outcome = decide(ledger, rows, **({"cause": "policy"} if needs_cause else {}) | answer, **said)
            assert not outcome.refused
            if client in msp.posted:
                post(ledger, client, outcome.applied)
    msp.write_seeds(book, is_later=True)
    msp.read_tools(book, NOW, LATER)
    reconcile(book, at=LATER)
    _keep(book, root, "after")
    reconcile(book, at=LATER, as_of=NOW)


def _keep(book: Book, root: Path, name: str) -> Mart:
    shutil.copy(book.published, root / f"{name}.duckdb")
    shutil.copy(book.warehouse, root / f"{name}_warehouse.duckdb")
    return Mart(root / f"{name}.duckdb", root / f"{name}_warehouse.duckdb")


@pytest.fixture(scope="session")
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the book and its marts; parallel workers share the one the first of them builds."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "cases"
    with FileLock(f"{root}.lock"):
        if not (root / "told").exists():
            shutil.rmtree(root, ignore_errors=True)
            _build(root, _tell(Scenario(), request.session.items))
            (root / "told").touch()
    return root


@pytest.fixture(scope="session")
def mart(told: Path) -> Mart:
    """The mart as it was built at NOW."""
    return Mart(told / "before.duckdb", told / "before_warehouse.duckdb")


@pytest.fixture(scope="session")
def after(told: Path) -> Mart:
    """The mart as it was built at LATER, a day on."""
    return Mart(told / "after.duckdb", told / "after_warehouse.duckdb")


@pytest.fixture(scope="session")
def replayed(told: Path) -> Mart:
    """The mart of NOW, built again at LATER from what was known at NOW."""
    name = f"mart_as_of_{NOW:%Y%m%dT%H%M%SZ}.duckdb"
    return Mart(told / "book/data/published" / name, told / "after_warehouse.duckdb")
