"""The two processes of the chaos test: the stand-in that fails as planned, and the one that posts and is killed.

python chaos_processes.py serve SEED                 prints its port, then serves
python chaos_processes.py kill BOOK SEED KILLS       forks posting children and kills them, prints what it did
"""

import json
import os
import random
import signal
import socket
import sys
import time
from datetime import UTC, date, datetime
from decimal import Decimal

CLIENTS = 60
ROWS = 3000
BATCH = 25
CALLS = 200_000
"""Function calls a child may live for: several invoices' worth."""
SETTLED = ("posted", "refused", "parked")
INACTIVE = "3"
"""The one customer QuickBooks refuses."""


def serve(seed: int) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Mount, Route

    from morton_pipeline.simulator.commit_faults import FaultPlan
    from morton_pipeline.simulator.quickbooks import Company, create_app

    plan = FaultPlan(
        seed=seed, unavailable=0.10, slow=0.25, drop_after_commit=0.10, hang_after_commit=0.05, error_after_commit=0.05,
        slow_seconds=0.15, hang_seconds=0.5,
    )  # fmt: skip
    company = Company(client_id="app-id", client_secret="app-secret", refresh_token="refresh-0", plan=plan)
    for number in range(CLIENTS):
        company.add_customer(str(number), f"Client {number}", active=str(number) != INACTIVE)
    company.add_item("7", "Seat")

    async def calm(_: Request) -> JSONResponse:
        company.plan = FaultPlan()
        return JSONResponse({})

    async def state(_: Request) -> JSONResponse:
        made = [
            {
                "number": i["DocNumber"],
                "total": str(i["TotalAmt"]),
                "customer": i["CustomerRef"]["value"],
                "note": i["PrivateNote"],
            }
            for i in company.invoices.values()
        ]
        return JSONResponse(
            {
                "made": made,
                "requests": company.request_count,
                "posts": len(company.invoice_posts),
                "faults": plan.counts,
            }
        )

    quickbooks = create_app(company, lambda: datetime(2026, 11, 23, 9, tzinfo=UTC))
    app = Starlette(routes=[Route("/calm", calm), Route("/state", state), Mount("/", quickbooks)])
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_keep_alive=1)).run(sockets=[listener])


def kill(book_dir: str, seed: int, kills: int) -> None:
    """Approve a batch, fork, let the child post for a moment, kill -9; the next batch when a child got to the end."""
    import httpx

    from morton_pipeline.accounting import plan, post
    from morton_pipeline.accounting.quickbooks_online import open_quickbooks
    from morton_pipeline.book import open_book
    from morton_pipeline.ledger import decide, open_ledger

    book, mart = open_book(book_dir), rows(ROWS)
    current = {str(row["discrepancy_id"]): row for row in mart}
    chance, did = random.Random(seed), {"killed": 0, "ended": 0, "failed": 0}
    ledger, wire, is_done = open_ledger(book), httpx.HTTPTransport(), True
    turn = 0
    while did["killed"] < kills and mart:
        turn, steps = turn + 1, chance.randrange(CALLS)
        if is_done:
            batch, mart = mart[:BATCH], mart[BATCH:]
            decide(ledger, batch, action="approve", reason="r", actor="ann", at=datetime.now(UTC), limits=book.limits)
            plan(book, ledger, current)  # what is compiled and imported here, a child need not
        ledger.engine.dispose()
        child = os.fork()
        if child == 0:
            if turn % 2:
                die_after(steps)
            try:
                adapter = open_quickbooks(book.connection("books"), ledger, transport=wire)
                after = post(book, ledger, current, at=datetime.now(UTC), adapter=adapter)
                left = [row for row in after if row["state"] not in SETTLED]
            except BaseException as failure:
                sys.stderr.write(f"{type(failure).__name__}: {failure}\n")
                os._exit(1)
            os._exit(2 if left else 0)
        if not turn % 2:
            time.sleep(chance.uniform(0.005, 0.3))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        is_done = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
        did["killed"] += os.WIFSIGNALED(status)
        did["ended"] += os.WIFEXITED(status)
        did["failed"] += os.WIFEXITED(status) and os.WEXITSTATUS(status) == 1
    sys.stdout.write(json.dumps(did) + "\n")


def die_after(calls: int) -> None:
    """Kill -9 this process after so many function calls: every point is as likely on a slow machine as on a fast one."""
    left = calls

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def rows(count: int) -> list[dict[str, object]]:
    """Return approved rows with prices that do not divide evenly, a few of them above the bound."""
    found = []
    for number in range(count):
        quantity, price = Decimal(number % 17 + 1), Decimal(1999 + number) / 100
        if number % 40 == 5:
            quantity = Decimal(5000)
        found.append({
            "discrepancy_id": f"{number:012x}", "period_month": date(2020 + number // (12 * CLIENTS), number // CLIENTS % 12 + 1, 1),
            "client_id": f"client-{number % CLIENTS}", "service_id": "seat", "service_name": "Seat", "kind": "under_billed",
            "variance_quantity": quantity, "unit_price": price, "currency": "USD", "variance_amount": quantity * price,
            "source_state": "known", "seal": f"{number:064x}", "status": "open",
        })  # fmt: skip
    return found


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        kill(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
