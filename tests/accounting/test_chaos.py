"""Kill -9 in the middle of posting, hundreds of times, against systems that commit and then say nothing: money leaves once.

MORTON_CHAOS_KILLS says how often (300), MORTON_CHAOS_SEED repeats a run.
"""

import importlib.util
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from morton_pipeline.accounting import post, status
from morton_pipeline.book import Book, open_book
from morton_pipeline.ledger import decisions, open_ledger, verify

PROCESSES = Path(__file__).with_name("chaos_processes.py")
ROOT = PROCESSES.parent.parent.parent
KILLS = int(os.environ.get("MORTON_CHAOS_KILLS") or 300)
QUIET = 1
"""Seconds an unclear outcome rests. A request may be carried out this late at most, as the stand-ins are set."""

BOOK = """
connections:
  - id: books
    vendor: {vendor}
    base_url: {url}
    auth_url: {url}
    {settings}
    timeout_seconds: 0.2
    attempts: 4
    backoff_seconds: 0
    secrets: {{client_id: BOOKS_ID, client_secret: BOOKS_SECRET, refresh_token: BOOKS_REFRESH}}
accounting: books
limits: {{quiet_period_seconds: {quiet}, invoices_per_run: 100000, amount_per_run: 100000000}}
"""

SETTINGS = {
    "quickbooks_online": 'realm_id: "9130350000000001"',
    "xero": "xero_tenant_id: 3f9f1b5e-5a3a-4d3e-9a0c-0d0e8a6a1f10\n    status: AUTHORISED",
    "sage": "business_id: 5b1de0ac5f8c4d1f9b1f0a7d3c2e4a66",
}
"""What each system's connection says besides."""

Started = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Started:
    for name, value in (("BOOKS_ID", "app-id"), ("BOOKS_SECRET", "app-secret"), ("BOOKS_REFRESH", "refresh-0")):
        monkeypatch.setenv(name, value)

    def run(*words: str) -> subprocess.Popen[str]:
        with (tmp_path / f"{words[0]}.log").open("w") as log:
            words = (sys.executable, str(PROCESSES), *words)
            return subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
            )

    return run


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    with process:
        try:
            yield process
        finally:
            process.kill()


def load_processes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chaos_processes", PROCESSES)
    assert spec is not None
    assert spec.loader is not None
    processes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(processes)
    return processes


def make_book(root: Path, system: str, url: str, clients: int) -> Book:
    (root / "seeds").mkdir()
    (root / "connections.yaml").write_text(BOOK.format(url=url, vendor=system, settings=SETTINGS[system], quiet=QUIET))
    listed = "".join(f"client-{n},Client {n},{n}\n" for n in range(clients))
    (root / "seeds" / "clients.csv").write_text(f"client_id,client_name,accounting_customer_id\n{listed}")
    (root / "seeds" / "services.csv").write_text("service_id,accounting_item_id\nseat,7\n")
    return open_book(root)


@pytest.mark.parametrize("system", SETTINGS)
def test_case_72_money_leaves_once_through_kills_everywhere(
    system: str, tmp_path: Path, start: Started, record_property: Callable[[str, object], None]
) -> None:
    seed = int(os.environ.get("MORTON_CHAOS_SEED") or random.randrange(10**6))
    began = time.monotonic()
    with running(start("serve", system, str(seed))) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        processes = load_processes()
        book = make_book(tmp_path, system, url, processes.CLIENTS)
        rows = {str(row["discrepancy_id"]): row for row in processes.rows(10 * KILLS)}
        with running(start("kill", system, str(tmp_path), str(seed), str(KILLS))) as killer:
            assert killer.stdout is not None
            report = json.loads(killer.stdout.readline() or "{}")
            assert killer.wait(30) == 0, (tmp_path / "kill.log").read_text()
        httpx.get(f"{url}/calm")
        with open_ledger(book) as ledger:
            for _ in range(3):
                time.sleep(QUIET + 0.1)
                post(book, ledger, rows, at=datetime.now(UTC))
            invoices, chain = status(ledger), verify(ledger)
            with ledger.read() as con:
                approved = {d["decision_id"]: d["amount"] for d in decisions.latest(con).values()}
        after = httpx.get(f"{url}/state").json()

    posted = {i["reference"]: i for i in invoices if i["state"] == "posted"}
    states = Counter(i["state"] for i in invoices)
    made = Counter(reference for reference, _, _ in after["made"])
    double = sum(count - 1 for count in made.values())
    strangers = len(set(made) - set(posted))
    lost = len(set(posted) - set(made))
    wrong = sum(
        Decimal(total) != posted[reference]["total_amount"] or f"client-{customer}" != posted[reference]["client_id"]
        for reference, total, customer in after["made"]
        if reference in posted
    )
    undone = [
        i
        for i in invoices
        if i["state"] not in ("posted", "refused", "parked") or (i["state"] != "posted" and not i["reason"])
    ]
    decided = Counter(d for i in invoices for d in i["decision_ids"])
    record_property(
        "chaos",
        {
            "system": system,
            "seed": seed,
            "kill -9": report["killed"],
            "faults": sum(after["faults"].values()),
            "made": len(made),
            "double": double,
            "lost": lost,
            "wrong": wrong,
            "no state": len(undone),
            "seconds": round(time.monotonic() - began),
        },
    )
    assert report["killed"] >= KILLS
    assert (double, strangers, lost, wrong, undone) == (0, 0, 0, 0, [])
    assert dict(decided) == dict.fromkeys(approved, 1)
    assert sum(i["total_amount"] for i in invoices) == sum(approved.values())
    assert set(states) == {"posted", "refused", "parked"}
    assert chain.problem is None
