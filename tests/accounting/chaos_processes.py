"""The two processes of the chaos test: the stand-in that fails as planned, and the one that posts and is killed.

python chaos_processes.py serve SYSTEM SEED          prints its port, then serves
python chaos_processes.py kill SYSTEM BOOK SEED KILLS
                                                     forks posting children and kills them, prints what it did
"""

import importlib
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

CLIENTS = 60
BATCH = 25
CALLS = 200_000
"""Function calls a child may live for: several invoices' worth."""
SETTLED = ("posted", "refused", "parked")
INACTIVE = "3"
"""The one customer the accounting system refuses."""
CREDENTIALS = {"client_id": "app-id", "client_secret": "app-secret", "refresh_token": "refresh-0"}

Made = tuple[str, Decimal, str]
"""Our reference on a document, its net amount (negative on a credit note), and the customer's id."""


def _quickbooks(company: Any) -> list[Made]:
    tables = ((company.invoices, 1), (company.credit_memos, -1))
    return [(d["DocNumber"], sign * d["TotalAmt"], d["CustomerRef"]["value"]) for t, sign in tables for d in t.values()]


def _xero(company: Any) -> list[Made]:
    tables = ((company.invoices, "InvoiceNumber", 1), (company.credit_notes, "CreditNoteNumber", -1))
    return [
        (d[number], sign * d["SubTotal"], d["Contact"]["ContactID"]) for t, number, sign in tables for d in t.values()
    ]


def _sage(company: Any) -> list[Made]:
    tables = ((company.sales_invoices, 1), (company.sales_credit_notes, -1))
    return [(d["reference"], sign * d["net_amount"], d["contact"]["id"]) for t, sign in tables for d in t.values()]


SYSTEMS: dict[str, tuple[str, str, Callable[[Any], list[Made]], dict[str, Any]]] = {
    "quickbooks_online": ("quickbooks", "open_quickbooks", _quickbooks, {}),
    # Keys are remembered for less time than an unclear outcome rests.
    "xero": ("xero", "open_xero", _xero, {"key_seconds": 0.5}),
    # A token that was used up before its successor was stored would end the storm; people sign in again then.
    "sage": ("sage", "open_sage", _sage, {"keeps_used_tokens": True}),
}
"""The stand-in's module, the adapter's opener, what the stand-in has, read without the adapter's help, and its ways."""

FAILPOINTS = [
    f"{side} {what}"
    for what in (
        "intend", "create", "release",
        *(f"step {state}" for state in ("planned", "sending", "uncertain", "posted", "refused", "parked")),
    )
    for side in ("before", "after")
]  # fmt: skip
"""Every place on the way of an invoice at which a process can be told to die."""


def stand_in(system: str, plan: Any) -> Any:
    """Return the company of a system's stand-in and its app."""
    module = importlib.import_module(f"morton_pipeline.simulator.{SYSTEMS[system][0]}")
    company = module.Company(plan=plan, **CREDENTIALS, **SYSTEMS[system][3])
    return company, module.create_app(company, lambda: datetime(2026, 11, 23, 9, tzinfo=UTC))


def serve(system: str, seed: int) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Mount, Route

    from morton_pipeline.simulator.commit_faults import FaultPlan

    plan = FaultPlan(
        seed=seed, unavailable=0.10, slow=0.25, drop_after_commit=0.10, hang_after_commit=0.05, error_after_commit=0.05,
        slow_seconds=0.15, hang_seconds=0.5,
    )  # fmt: skip
    company, app_of_system = stand_in(system, plan)
    for number in range(CLIENTS):
        company.add_customer(str(number), f"Client {number}", active=str(number) != INACTIVE)
    company.add_item("7", "Seat")
    chance = random.Random(seed)

    async def calm(_: Request) -> JSONResponse:
        company.plan = FaultPlan()
        return JSONResponse({})

    async def disturb(_: Request) -> JSONResponse:
        """Let tokens end, and with them, now and then, the memory of keys."""
        company.forget_tokens()
        if chance.random() < 0.5:
            company.forget_keys()
        return JSONResponse({})

    async def state(_: Request) -> JSONResponse:
        return JSONResponse({
            "made": [(reference, str(amount), customer) for reference, amount, customer in SYSTEMS[system][2](company)],
            "requests": company.request_count,
            "posts": len(company.invoice_posts),
            "faults": plan.counts,
        })  # fmt: skip

    routes = [Route("/calm", calm), Route("/disturb", disturb), Route("/state", state), Mount("/", app_of_system)]
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="critical", timeout_keep_alive=1)).run(
        sockets=[listener]
    )


def kill(system: str, book_dir: str, seed: int, kills: int) -> None:
    """Approve a batch, fork one or two senders, kill -9; the next batch when all of them got to the end."""
    import httpx

    from morton_pipeline.accounting import plan, post
    from morton_pipeline.book import open_book
    from morton_pipeline.failpoints import VARIABLE
    from morton_pipeline.ledger import decide, open_ledger

    opener = getattr(importlib.import_module(f"morton_pipeline.accounting.{system}"), SYSTEMS[system][1])
    book, mart = open_book(book_dir), rows(10 * kills)
    current = {str(row["discrepancy_id"]): row for row in mart}
    chance, did = random.Random(seed), {"killed": 0, "ended": 0, "failed": 0}
    ledger, wire, is_done = open_ledger(book), httpx.HTTPTransport(), True
    connection = book.connection("books")
    turn = 0
    while did["killed"] < kills and mart:
        turn += 1
        if is_done:
            batch, mart = mart[:BATCH], mart[BATCH:]
            decide(ledger, batch, action="approve", reason="r", actor="ann", at=datetime.now(UTC), limits=book.limits)
            adapter = opener(connection, ledger)
            plan(book, ledger, current, adapter=adapter)  # what is compiled and imported here, a child need not
            adapter.close()
        if turn % 15 == 0:
            httpx.get(f"{connection.base_url}/disturb")
        ledger.engine.dispose()
        children = []
        for _ in range(chance.choice((1, 1, 2))):
            steps, place = chance.randrange(CALLS), chance.choice(FAILPOINTS)
            child = os.fork()
            if child == 0:
                if turn % 3 == 0:
                    os.environ[VARIABLE] = place
                elif turn % 3 == 1:
                    die_after(steps)
                try:
                    adapter = opener(connection, ledger, transport=wire)
                    after = post(book, ledger, current, at=datetime.now(UTC), adapter=adapter)
                    left = [row for row in after if row["state"] not in SETTLED]
                except BaseException as failure:
                    sys.stderr.write(f"{type(failure).__name__}: {failure}\n")
                    os._exit(1)
                os._exit(2 if left else 0)
            children.append(child)
        if turn % 3 == 2:
            time.sleep(chance.uniform(0.005, 0.3))
            os.kill(children[0], signal.SIGKILL)
        statuses = [os.waitpid(child, 0)[1] for child in children]
        is_done = all(os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0 for status in statuses)
        did["killed"] += sum(map(os.WIFSIGNALED, statuses))
        did["ended"] += sum(map(os.WIFEXITED, statuses))
        did["failed"] += sum(os.WIFEXITED(status) and os.WEXITSTATUS(status) == 1 for status in statuses)
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
    """Return rows to approve, with prices that do not divide evenly: some to give back, a few above the bound."""
    found = []
    for number in range(count):
        quantity, price = Decimal(number % 17 + 1), Decimal(1999 + number) / 100
        if number % 40 == 5:
            quantity = Decimal(5000)
        if number % 9 == 4:
            quantity = -quantity
        found.append({
            "discrepancy_id": f"{number:012x}", "period_month": date(2020 + number // (12 * CLIENTS), number // CLIENTS % 12 + 1, 1),
            "client_id": f"client-{number % CLIENTS}", "service_id": "seat", "service_name": "Seat",
            "kind": "over_billed" if quantity < 0 else "under_billed", "invoiced_as": "1042",
            "variance_quantity": quantity, "unit_price": price, "currency": "USD", "variance_amount": quantity * price,
            "source_state": "known", "seal": f"{number:064x}", "status": "open",
        })  # fmt: skip
    return found


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        kill(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
