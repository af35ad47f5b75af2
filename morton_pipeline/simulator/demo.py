"""The demo: a book whose connections lead to the stand-ins, replayed day by day, and the stand-ins it needs afterwards.

Belongs here: writing the demo book, the replay, and starting the stand-ins for a command that talks to connections.
A demo book's clock stands still at the end of the replay (`MORTON_NOW` in its .env), so it looks the same next year.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from morton_pipeline.book import Book, Connection, open_book
from morton_pipeline.errors import BadInput

if TYPE_CHECKING:
    from morton_pipeline.simulator.world import World

SEED = 7
AT = timedelta(hours=4, minutes=30)
"""When the replay reads, each day, in UTC."""
MARK = "stand-ins.json"
"""What makes a book a demo book: the port its connections lead to."""
MEMORY = "accounting.json"
"""What the accounting stand-ins remember between two commands."""

Say = Callable[[str], None]


def run(root: Path, *, days: int, say: Say) -> Book:
    """Make the demo book anew at `root`, replay its days, build the marts and print the list."""
    from morton_pipeline.reconcile import reconcile
    from morton_pipeline.refresh import refresh
    from morton_pipeline.simulator import seeds
    from morton_pipeline.simulator.serve import running
    from morton_pipeline.simulator.world import generate
    from morton_pipeline.warehouse.load import accept

    _make_room(root)
    world = generate(SEED)
    started = time.perf_counter()
    with running(world, now=world.starts_at + AT, memory=root / MEMORY) as base_url:
        seeds.write_book(world, root, base_url)
        (root / MARK).write_text(json.dumps({"seed": SEED, "port": int(base_url.rsplit(":", 1)[1])}), "utf-8")
        book = open_book(root)
        say(
            f"A generated MSP with {len(world.agreements.clients)} clients. Replaying {days} days "
            f"from stand-ins of its vendors at {base_url}."
        )
        at = world.starts_at + AT
        for day in range(days):
            at = world.starts_at + timedelta(days=day) + AT
            _set_clock(base_url, at)
            os.environ["MORTON_NOW"] = f"{at:%Y-%m-%dT%H:%M:%SZ}"
            _send_reports(world, root, at)
            loaded = refresh(book, [c for c in book.read_connections if _is_due(c, at)], at=at, owner="demo")
            for held in [x for x in loaded if x.status == "suspect"]:
                accept(book, held.extraction_id, "the demo's operator", at)
                whose = held.tenant_name or held.tenant_id
                say(
                    f"  {at:%Y-%m-%d}: {held.endpoint} of {whose} was held back. {held.reason} A client left: accepted."
                )
            if troubled := [x for x in loaded if x.status not in ("complete", "suspect")]:
                raise BadInput(
                    f"Day {day + 1}: {troubled[0].connection_id} {troubled[0].endpoint} is {troubled[0].status}: "
                    f"{troubled[0].reason}"
                )
            if (day + 1) % 10 == 0 or day + 1 == days:
                say(
                    f"  day {day + 1} of {days}, {at:%Y-%m-%d}: {sum(x.record_count or 0 for x in loaded)} records, "
                    f"{time.perf_counter() - started:.0f} s"
                )
    _stop_clock(root, at)
    replayed = time.perf_counter()
    say("Building the marts.")
    reconcile(book, at=at)
    say(f"Replayed in {replayed - started:.0f} s, built in {time.perf_counter() - replayed:.0f} s.")
    return book


def _make_room(root: Path) -> None:
    """Clear an earlier demo; anything else is somebody's and stays."""
    import shutil

    if root.exists() and any(root.iterdir()):
        if not (root / MARK).is_file():
            raise BadInput(f"{root} is not empty and not an earlier demo; name another folder with --book DIR.")
        shutil.rmtree(root)
    root.mkdir(parents=True, exist_ok=True)


def _set_clock(base_url: str, at: datetime) -> None:
    import httpx

    httpx.post(f"{base_url}/simulator/clock", json={"now": at.isoformat()}, timeout=30).raise_for_status()


def _is_due(connection: Connection, at: datetime) -> bool:
    """Whether a connection's own schedule fires at an instant."""
    from cronsim import CronSim

    return next(CronSim(connection.schedule or "30 4 * * *", at - timedelta(minutes=1))) == at


def _send_reports(world: "World", root: Path, at: datetime) -> None:
    """Put the reports of a day into the book's inbox: some tools answer no requests and send a file instead."""
    from morton_pipeline.simulator import mailshield

    for tool in world.tools.values():
        if tool.vendor == "files" and tool.told_at(world.starts_at, at) == at:
            mailshield.write_report(tool, at, root / "inbox" / tool.connection_id)


def _stop_clock(root: Path, at: datetime) -> None:
    line = f"# The demo's clock stands where its replay ended.\nMORTON_NOW={at:%Y-%m-%dT%H:%M:%SZ}\n"
    with (root / ".env").open("a", encoding="utf-8") as file:
        file.write(line)
    os.environ["MORTON_NOW"] = f"{at:%Y-%m-%dT%H:%M:%SZ}"


@contextmanager
def stand_ins(book: Book) -> Iterator[None]:
    """Have a demo book's stand-ins answer while the block runs; any other book needs none.

    `MORTON_SIMULATOR_FAULT` names vendors that shall fail meanwhile, e.g. `microsoft365=outage`.
    """
    mark = book.root / MARK
    if not mark.is_file():
        yield
        return
    from morton_pipeline import clock
    from morton_pipeline.connector import PORT
    from morton_pipeline.simulator.serve import running
    from morton_pipeline.simulator.world import generate

    noted = json.loads(mark.read_text("utf-8"))
    if _answers(noted["port"]):
        yield
        return
    is_desktop = book.accounting is not None and book.accounting.vendor == "quickbooks_desktop"
    with running(
        generate(noted["seed"]),
        now=clock.now(),
        port=noted["port"],
        memory=book.root / MEMORY,
        visits=f"http://localhost:{PORT}/quickbooks-desktop/desktop" if is_desktop else None,
    ) as base_url:
        _break(base_url)
        yield


def _answers(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _break(base_url: str) -> None:
    import httpx

    for fault in filter(None, os.environ.get("MORTON_SIMULATOR_FAULT", "").split(",")):
        vendor, _, mode = fault.partition("=")
        answer = httpx.post(
            f"{base_url}/simulator/fault", json={"vendor": vendor.strip(), "mode": mode.strip() or "outage"}, timeout=30
        )
        if answer.status_code >= 400:
            raise BadInput(f"MORTON_SIMULATOR_FAULT={fault!r}: {answer.text[:300]}")
