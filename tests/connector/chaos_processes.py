"""The processes of the chaos test: our service, and QuickBooks with its Web Connector; both are killed in the middle.

python chaos_processes.py BOOK SEED KILLS       forks and kills them until enough were killed, prints what it did
"""

import json
import os
import random
import signal
import socket
import sys
import threading
import time
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from morton_pipeline.failpoints import VARIABLE

CLIENTS = 40
BATCH = 20
ROWS = 2_400
CALLS = 400_000
"""Function calls our service may live for: enough to plan that many rows and send several invoices."""
SETTLED = ("posted", "refused", "parked")
INACTIVE = "3"
"""The one customer QuickBooks refuses."""
SILENCE, PATIENCE = 0.25, 0.2
SHARES = {
    "dies before": 0.04, "dies after": 0.08, "fails before": 0.04, "fails after": 0.08, "garbles": 0.04,
    "says no status": 0.04, "slow": 0.1,
}  # fmt: skip


def make_company(path: Path) -> Any:
    """QuickBooks as it stands on the disk: what was carried out is there before anybody hears of it."""
    from morton_pipeline.simulator.quickbooks_desktop import CompanyFile

    company = CompanyFile()
    for number in range(CLIENTS):
        company.add_customer(str(number), f"Client {number}", active=str(number) != INACTIVE)
    company.add_item("7", "Seat")
    if path.exists():
        company.recall(path.read_text("utf-8"))
    return company


def keep(company: Any, path: Path) -> None:
    draft = path.with_suffix(".writing")
    draft.write_text(company.memory(), "utf-8")
    draft.replace(path)


def serve(book_dir: str, listener: socket.socket, current: Any) -> None:
    """Run our service until it is killed."""
    import uvicorn

    from morton_pipeline.book import open_book
    from morton_pipeline.connector.service import Service, create_app
    from morton_pipeline.connector.session import Session
    from morton_pipeline.connector.setup import Login
    from morton_pipeline.connector.work import Work

    class Sending(Work):
        """Only sends: what is read has tests of its own."""

        def _is_reading_due(self) -> bool:
            return False

    book = open_book(book_dir)
    connection = book.connection("desktop")
    work = Sending(book, connection, rows=lambda *_: current, changed=lambda _: "", show=lambda *_: None)
    service = Service(
        connection, work, Login(connection),
        open_session=lambda: Session(silence_seconds=SILENCE, patience_seconds=PATIENCE),
    )  # fmt: skip
    app = create_app(service, connection, "http://127.0.0.1:1/never")
    uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off")).run(sockets=[listener])


def drive(path: Path, url: str, client: Any, password: str, seed: int, counts: Path) -> None:
    """Visit again and again until there is nothing to do, or until it is killed."""
    from morton_pipeline.simulator.quickbooks_desktop import PlannedFaults, WebConnector

    company, faults = make_company(path), PlannedFaults(seed, SHARES)
    company.keeps_status = faults.random.random() < 0.7
    connector = WebConnector(
        company, client.create_service(next(iter(client.wsdl.bindings)), url), "desktop", password, fault=faults,
        slow_seconds=0.05, after=lambda: keep(company, path),
    )  # fmt: skip
    try:
        while connector.visit() != "none":
            pass
    finally:
        with counts.open("a") as file:
            file.write(json.dumps(faults.counts) + "\n")


def kill(book_dir: str, seed: int, kills: int) -> None:
    """Approve a batch, fork both, kill one or both; the next batch once all of the last is settled."""
    import io

    import zeep

    from morton_pipeline.accounting import plan, status
    from morton_pipeline.book import open_book
    from morton_pipeline.connector import soap
    from morton_pipeline.connector.setup import path as path_of
    from morton_pipeline.ledger import decide, open_ledger
    from tests.accounting.chaos_processes import FAILPOINTS
    from tests.connector.desk import PASSWORD

    root = Path(book_dir)
    book, mart = open_book(book_dir), rows(ROWS)
    current = {str(row["discrepancy_id"]): row for row in mart}
    chance, did, awaited = random.Random(seed), Counter[str](), set[str]()
    file = root / "quickbooks.json"
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}{path_of(book.connection('desktop'))}"
    client = zeep.Client(io.BytesIO(soap.wsdl(url)))
    client.transport.operation_timeout = 5
    ledger, password = open_ledger(book), PASSWORD
    preload()
    while did["killed"] < kills and mart:
        did["turns"] += 1
        standing = status(ledger)
        if awaited <= {row["reference"] for row in standing if row["state"] in SETTLED}:
            batch, mart = mart[:BATCH], mart[BATCH:]
            decide(ledger, batch, action="approve", reason="r", actor="ann", at=datetime.now(UTC), limits=book.limits)
            awaited |= {draft.reference for draft in plan(book, ledger, current).drafts}
        ledger.engine.dispose()
        calls = chance.randrange(CALLS) if chance.random() < 0.4 else 0
        place = chance.choice(FAILPOINTS) if not calls and chance.random() < 0.5 else ""
        server = fork(partial(serve, book_dir, listener, current), calls=calls, place=place)
        calling = partial(drive, file, url, client, password, chance.randrange(2**31), root / "faults.jsonl")
        driver = fork(calling)
        wait_for(file, chance.randrange(30), (server, driver))
        time.sleep(chance.uniform(0, 0.1))
        victims = [driver, server] if chance.random() < 0.5 else [server, driver]
        for victim in victims:
            did["killed"] += end(victim)
            if victim == driver and chance.random() < 0.5:
                # Our service notices by the silence alone, and records what it does not know.
                time.sleep(SILENCE + 0.1)
    listener.close()
    sys.stdout.write(json.dumps({"killed": did["killed"], "turns": did["turns"]}) + "\n")


def wait_for(file: Path, changes: int, children: tuple[int, ...]) -> None:
    """Wait until QuickBooks has carried so many requests out, or a child has ended: no clock, for machines are slow."""
    seen, deadline = changed_at(file), time.monotonic() + 10
    while changes and time.monotonic() < deadline:
        time.sleep(0.002)
        if changed_at(file) != seen:
            seen, changes = changed_at(file), changes - 1
        if any(os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) for child in children):
            return


def changed_at(file: Path) -> int:
    return file.stat().st_mtime_ns if file.exists() else 0


def end(child: int) -> bool:
    """Kill a child; say whether it was alive, or had been killed by its own count."""
    gone, how = os.waitpid(child, os.WNOHANG)
    if not gone:
        os.kill(child, signal.SIGKILL)
        _, how = os.waitpid(child, 0)
    return os.WIFSIGNALED(how)


def fork(do: Any, *, calls: int = 0, place: str = "") -> int:
    child = os.fork()
    if child:
        return child
    os.environ[VARIABLE] = place
    if calls:
        die_after(calls)
    try:
        do()
    except BaseException as failure:
        sys.stderr.write(f"{type(failure).__name__}: {failure}\n")
        os._exit(1)
    os._exit(0)


def die_after(calls: int) -> None:
    """Kill -9 this process after so many function calls, in whichever thread: any point is as likely as any other."""
    left = calls

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(count)
    sys.setprofile(count)


def preload() -> None:
    """What is imported here, a child need not."""
    import uvicorn.protocols.http.h11_impl
    import uvicorn.protocols.websockets.auto  # noqa: F401

    import morton_pipeline.connector.service
    import morton_pipeline.simulator.quickbooks_desktop  # noqa: F401


def rows(count: int) -> list[dict[str, object]]:
    """Return approved rows with prices that do not divide evenly, a few of them above the bound."""
    found = []
    for number in range(count):
        quantity, price = Decimal(number % 17 + 1), Decimal(1999 + number) / 100
        if number % 40 == 5:
            quantity = Decimal(5000)
        month = date(2020 + number // (12 * CLIENTS), number // CLIENTS % 12 + 1, 1)
        found.append({
            "discrepancy_id": f"{number:012x}", "period_month": month, "client_id": f"client-{number % CLIENTS}",
            "service_id": "seat", "service_name": "Seat", "kind": "under_billed", "variance_quantity": quantity,
            "unit_price": price, "currency": "USD", "variance_amount": quantity * price, "source_state": "known",
            "seal": f"{number:064x}", "status": "open",
        })  # fmt: skip
    return found


if __name__ == "__main__":
    kill(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
