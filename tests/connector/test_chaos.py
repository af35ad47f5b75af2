"""Kill -9 our service and the Web Connector in the middle of visits to a QuickBooks that commits and says nothing.

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
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

from morton_pipeline.accounting import post, status
from morton_pipeline.accounting.quickbooks_desktop import open_quickbooks_desktop
from morton_pipeline.book import open_book
from morton_pipeline.ledger import decisions, open_ledger, verify
from tests.connector.desk import HASH

PROCESSES = Path(__file__).with_name("chaos_processes.py")
ROOT = PROCESSES.parent.parent.parent
KILLS = int(os.environ.get("MORTON_CHAOS_KILLS") or 300)

BOOK = """
connections:
  - id: desktop
    vendor: quickbooks_desktop
    company_file: 'C:\\Books\\Harbor IT.qbw'
    secrets: {password: QUICKBOOKS_DESKTOP_PASSWORD}
accounting: desktop
limits: {quiet_period_seconds: 0, invoices_per_run: 100000, amount_per_run: 100000000, change_factor: 1000000}
"""


def load_processes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("desktop_chaos_processes", PROCESSES)
    assert spec is not None
    assert spec.loader is not None
    processes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(processes)
    return processes


def test_case_72_money_leaves_once_through_killed_visits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setenv("QUICKBOOKS_DESKTOP_PASSWORD", HASH)
    seed = int(os.environ.get("MORTON_CHAOS_SEED") or random.randrange(10**6))
    began, processes = time.monotonic(), load_processes()
    (tmp_path / "connections.yaml").write_text(BOOK)
    (tmp_path / "seeds").mkdir()
    listed = "".join(f"client-{n},Client {n},{n}\n" for n in range(processes.CLIENTS))
    (tmp_path / "seeds" / "clients.csv").write_text(f"client_id,client_name,accounting_customer_id\n{listed}")
    (tmp_path / "seeds" / "services.csv").write_text("service_id,accounting_item_id\nseat,7\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(PROCESSES), str(tmp_path), str(seed), str(KILLS)]
    with (tmp_path / "log").open("w") as log:
        run = subprocess.run(words, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, check=False)
    assert run.returncode == 0, (tmp_path / "log").read_text()[-2000:]
    report = json.loads(run.stdout)
    company = processes.make_company(tmp_path / "quickbooks.json")
    during = len(company.documents)
    faults = Counter[str]()
    for line in (tmp_path / "faults.jsonl").read_text().splitlines():
        faults.update(json.loads(line))

    book = open_book(tmp_path)
    rows = {str(row["discrepancy_id"]): row for row in processes.rows(processes.ROWS)}
    with open_ledger(book) as ledger:
        for _ in range(2):
            adapter = open_quickbooks_desktop(book.connection("desktop"), company.execute)
            post(book, ledger, rows, at=datetime.now(UTC), adapter=adapter)
            adapter.close()
        invoices, chain = status(ledger), verify(ledger)
        with ledger.read() as con:
            approved = {d["decision_id"]: d["amount"] for d in decisions.latest(con).values()}

    posted = {i["reference"]: i for i in invoices if i["state"] == "posted"}
    made = Counter(d["RefNumber"] for d in company.documents.values())
    double = sum(count - 1 for count in made.values())
    strangers, lost = len(set(made) - set(posted)), len(set(posted) - set(made))
    wrong = sum(
        Decimal(d["Subtotal"]) != posted[d["RefNumber"]]["total_amount"]
        for d in company.documents.values()
        if d["RefNumber"] in posted
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
            "system": "quickbooks_desktop",
            "seed": seed,
            "kill -9": report["killed"],
            "faults": sum(faults.values()),
            "made": len(made),
            "double": double,
            "lost": lost,
            "wrong": wrong,
            "no state": len(undone),
            "seconds": round(time.monotonic() - began),
        },
    )
    assert report["killed"] >= KILLS
    assert during >= min(KILLS, 300) // 4, "too little was made while it was killed"
    assert (double, strangers, lost, wrong, undone) == (0, 0, 0, 0, [])
    assert dict(decided) == dict.fromkeys(approved, 1)
    assert sum(i["total_amount"] for i in invoices) == sum(approved.values())
    assert chain.problem is None
