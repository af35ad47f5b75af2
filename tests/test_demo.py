"""The whole job, as the four kinds of people would do it, on the demo's book: replayed once, then used by every test."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from morton_pipeline.simulator import truth, truth_beside
from morton_pipeline.simulator.demo import AT, MEMORY, SEED
from morton_pipeline.simulator.world import generate

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

AS_OF = datetime(2026, 11, 22, 4, 30, tzinfo=UTC)


def morton(book: Path, *arguments: str, expect: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("MORTON_NOW", "MORTON_BOOK")}
    done = subprocess.run(
        [sys.executable, "-m", "morton_pipeline.cli", "--book", str(book), *arguments],
        env={**clean, **environment}, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert done.returncode == expect, (
        f"morton {' '.join(arguments)} exited {done.returncode}, expected {expect}:\n{done.stdout}{done.stderr}"
    )
    return done


def listed(book: Path, *arguments: str, **environment: str) -> list[dict[str, Any]]:
    return json.loads(morton(book, *arguments, "--format", "json", **environment).stdout)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's book after its replay; tests copy it before they change anything."""
    root = tmp_path_factory.mktemp("demo") / "book"
    done = morton(root, "demo")
    assert "decide approve" in done.stdout, "the demo must end with the next step to take"
    return root


@pytest.fixture
def book(demo: Path, tmp_path: Path) -> Path:
    return shutil.copytree(demo, tmp_path / "book")


def published(book: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(book / "data/published/mart.duckdb"), read_only=True) as con:
        return con.execute(sql).fetchall()


def test_the_list_is_the_planted_truth_and_nothing_else(demo: Path) -> None:
    world = generate(SEED)
    first = world.starts_at + AT
    readings = truth.daily(world.starts_at, AS_OF, time(AT.seconds // 3600, AT.seconds % 3600 // 60))
    assert readings[0] == first
    assert len(readings) == 90
    expected = {_planted(d) for d in truth.expected(world, as_of=AS_OF, extractions=readings)}
    found = {_found(row) for row in listed(demo, "discrepancies", "--all")}
    assert found == expected, (
        f"missing: {sorted(map(str, expected - found))}\nnot planted: {sorted(map(str, found - expected))}"
    )


def _planted(d: truth.Discrepancy) -> tuple[Any, ...]:
    is_company = d.kind == "unmapped_company"
    amount = None if d.variance_amount is None else Decimal(d.variance_amount)
    return (d.kind, d.client_id or None, None if is_company or d.kind == "unmapped_sku" else d.service_id,
            d.observed_quantity, d.variance_quantity, amount, d.currency, d.is_within_tolerance)  # fmt: skip


def _found(row: dict[str, Any]) -> tuple[Any, ...]:
    def whole(value: str | None) -> int | None:
        return None if value is None else int(value)

    amount = None if row["variance_amount"] is None else Decimal(row["variance_amount"])
    return (row["kind"], row["client_id"], row["service_id"], whole(row["observed_quantity"]),
            whole(row["variance_quantity"]), amount, row["currency"], row["is_within_tolerance"])  # fmt: skip


def test_the_leaks_began_on_the_day_they_were_planted(demo: Path) -> None:
    world = generate(SEED)
    readings = truth.daily(world.starts_at, AS_OF, time(4, 30))
    planted = {(d.kind, d.client_id, d.service_id): d.began_on
               for d in truth.expected(world, as_of=AS_OF, extractions=readings)
               if d.began_on and d.kind in ("under_billed", "over_billed", "no_contract", "no_usage")}  # fmt: skip
    found = {
        (r["kind"], r["client_id"], r["service_id"]): r["began_on"] for r in listed(demo, "discrepancies", "--all")
    }
    assert planted, "the world plants leaks with dates"
    assert {key: found.get(key) for key in planted} == {key: day.isoformat() for key, day in planted.items()}


@pytest.fixture(scope="session")
def looked_at() -> dict[str, Any]:
    """When the demo's vendors were read, for whoever works the truth out."""
    return {"as_of": AS_OF, "extractions": truth.daily(generate(SEED).starts_at, AS_OF, time(4, 30))}


def test_the_margins_are_those_of_the_world_and_no_others(demo: Path, looked_at: dict[str, Any]) -> None:
    expected = set(truth_beside.margins(generate(SEED), **looked_at))
    words = ("client_id", "service_id", "finding")
    found = {
        truth_beside.Margin(**{
            name: row[name] if name in words or row[name] is None else Decimal(row[name])
            for name in truth_beside.Margin._fields
        })
        for row in listed(demo, "margins")
    }  # fmt: skip
    assert found == expected, _apart(found, expected)
    findings = {(row.client_id, row.service_id): row.finding for row in expected}
    assert findings["harbor-dental", "M365-BP"] == "waste"
    assert findings["granite", "M365-BP"] == "lists_differ", "the distributor sold fewer than the tenant has"
    assert "below_cost" in findings["pinewood", "M365-BP"]


def test_the_gaps_are_those_of_the_world_and_no_others(demo: Path, looked_at: dict[str, Any]) -> None:
    expected = set(truth_beside.gaps(generate(SEED), **looked_at))
    rows = listed(demo, "gaps")
    found = {truth_beside.Gap(r["client_id"], r["gap"], r["record_vendor"], r["record_id"]) for r in rows}
    assert len(found) == len(rows)
    assert found == expected, _apart(found, expected)
    named: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        named.setdefault((row["client_id"], row["gap"]), set()).add(row["device_name"])
    assert named["granite", "no_rmm"] == {f"SPARE-{n}" for n in range(1, 6)}
    assert named["fairhaven", "no_rmm"] == {"YARD-1", "YARD-2", "YARD-3"}
    assert len(named["granite", "no_backup"]) == 1, "one server's backup ended"
    assert {client for client, gap in named if gap == "undecided_backup"} == {"cobalt", "vertex"}, "Veeam names nothing"


def _apart(found: set[Any], expected: set[Any]) -> str:
    missing, extra = (sorted(map(str, one - other)) for one, other in ((expected, found), (found, expected)))
    return f"missing: {missing}\nnot of the world: {extra}"


def test_every_unit_of_a_change_is_a_record_with_its_dates(demo: Path) -> None:
    sql = "select kind, unexplained_quantity from marts.discrepancies where unexplained_quantity is not null"
    found = published(demo, sql)
    assert len(found) > 10, "the world has changes since count and contract agreed"
    assert [row for row in found if row[1] != 0] == []
    named = "select count(*) from marts.discrepancy_evidence where change <> 'kept' and extraction_id is null"
    assert published(demo, named) == [(0,)], "whoever came or went did so in a reading"


def _two_of_one_client(book: Path) -> list[dict[str, Any]]:
    rows = [r for r in listed(book, "discrepancies", "--kind", "under_billed") if r["source_state"] == "known"]
    by_client: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_client.setdefault(row["client_id"], []).append(row)
    return max(by_client.values(), key=len)[:2]


def test_two_approved_rows_become_one_invoice_once_and_are_shown_as_invoiced(book: Path) -> None:
    rows = _two_of_one_client(book)
    ids = [r["discrepancy_id"] for r in rows]
    assert len(ids) == 2, "the world has a client with two rows that can be billed"
    morton(book, "decide", "approve", *ids, "--reason", "seen with the client", "--as", "dana")
    assert {r["status"] for r in listed(book, "discrepancies") if r["discrepancy_id"] in ids} == {"approved"}

    planned = [r for r in listed(book, "invoices", "plan") if r["state"] == "planned"]
    assert len(planned) == 1
    assert hashlib.sha256(planned[0]["payload"].encode()).hexdigest() == planned[0]["payload_sha256"]
    sent = listed(book, "invoices", "post", "--yes")
    assert [(r["state"], Decimal(r["total_amount"])) for r in sent] == [
        ("posted", sum((Decimal(r["variance_amount"]) for r in rows), Decimal(0)))
    ]
    assert {r["status"] for r in listed(book, "discrepancies") if r["discrepancy_id"] in ids} == {"invoiced"}

    assert {r["payload_sha256"] for r in listed(book, "proof", sent[0]["reference"])} == {planned[0]["payload_sha256"]}
    assert listed(book, "invoices", "post", "--yes") == [], "posting again sends nothing (case 77)"
    quickbooks, *_ = json.loads((book / MEMORY).read_text())
    invoices = json.loads(quickbooks)["invoices"].values()
    assert sum(i["DocNumber"] == sent[0]["reference"] for i in invoices) == 1
    assert listed(book, "invoices", "verify") == []
    assert listed(book, "audit", "verify")[0]["is_whole"] is True


def _invoiced_from(book: Path, connection: str) -> None:
    """Change the accounting system by its one line."""
    path = book / "connections.yaml"
    text = path.read_text("utf-8")
    assert "accounting: quickbooks\n" in text
    path.write_text(text.replace("accounting: quickbooks\n", f"accounting: {connection}\n"), "utf-8")


def _one_of_each(book: Path) -> list[dict[str, Any]]:
    """A row to bill and one to give back, of two clients."""
    owed, owing = _two_of_one_client(book)[0], {"over_billed", "no_usage"}
    rows = [r for r in listed(book, "discrepancies") if r["kind"] in owing and r["source_state"] in ("known", "zero")]
    return [owed, next(r for r in rows if r["client_id"] != owed["client_id"] and r["invoiced_as"])]


@pytest.mark.parametrize("connection", ["xero", "sage", "desktop"])
def test_the_book_is_invoiced_from_any_system_by_one_line(book: Path, connection: str) -> None:
    rows = _one_of_each(book)
    morton(book, "decide", "approve", *(r["discrepancy_id"] for r in rows), "--reason", "seen", "--as", "dana")
    _invoiced_from(book, connection)
    if connection == "desktop":
        _let_it_come(book)
    else:
        morton(book, "invoices", "post", "--yes")
    made = {r["client_id"]: r for r in listed(book, "invoices", "status")}
    assert {c: (r["state"], Decimal(r["total_amount"])) for c, r in made.items()} == {
        r["client_id"]: ("posted", Decimal(r["variance_amount"])) for r in rows
    }
    (line,) = listed(book, "proof", made[rows[0]["client_id"]]["reference"])
    assert (line["discrepancy_id"], line["decided_by"]) == (rows[0]["discrepancy_id"], "dana")
    assert line["accounting_id"]
    assert line["evidence_state"] == "as approved"


def _let_it_come(book: Path) -> None:
    """Wait for the Web Connector of QuickBooks Desktop until it has fetched what is approved."""
    command = [sys.executable, "-m", "morton_pipeline.cli", "--book", str(book), "connector"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as waiting:
        assert waiting.stderr is not None
        try:
            said = [next(waiting.stderr), next(line for line in waiting.stderr if "Invoices:" in line)]
        finally:
            waiting.terminate()
            waiting.wait(30)
    assert said[1].startswith("desktop: Invoices: 2 posted.")


def test_case_57_a_contract_edited_after_the_approval_voids_it_and_nothing_is_sent(book: Path) -> None:
    row = _two_of_one_client(book)[0]
    morton(book, "decide", "approve", row["discrepancy_id"], "--reason", "seen", "--as", "dana")
    _edit_contract(book, row, lambda quantity: quantity - 1)
    morton(book, "reconcile")
    after = next(r for r in listed(book, "discrepancies", "--all") if r["discrepancy_id"] == row["discrepancy_id"])
    assert after["status"] == "void"
    assert Decimal(after["variance_quantity"]) == Decimal(row["variance_quantity"]) + 1
    morton(book, "invoices", "post", "--yes", expect=1)
    assert listed(book, "invoices", "status") == []


def test_editing_a_quantity_in_the_contracts_changes_the_list(book: Path) -> None:
    row = _two_of_one_client(book)[0]
    _edit_contract(book, row, lambda quantity: quantity + Decimal(row["variance_quantity"]))
    morton(book, "reconcile")
    assert row["discrepancy_id"] not in {r["discrepancy_id"] for r in listed(book, "discrepancies", "--all")}


def _edit_contract(book: Path, row: dict[str, Any], change: Any) -> None:
    path = book / "seeds/contracts.csv"
    with path.open(encoding="utf-8", newline="") as file:
        contracts = list(csv.DictReader(file))
    mine = [c for c in contracts if (c["client_id"], c["service_id"]) == (row["client_id"], row["service_id"])][-1]
    mine["quantity"] = str(change(Decimal(mine["quantity"])))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(contracts[0]))
        writer.writeheader()
        writer.writerows(contracts)


def test_case_1_stopping_microsoft_makes_its_rows_stale_and_leaves_everything_else_working(book: Path) -> None:
    before = {r["discrepancy_id"]: r for r in listed(book, "discrepancies", "--all")}
    stopped = morton(book, "extract", expect=1, MORTON_SIMULATOR_FAULT="microsoft365=outage")
    assert "m365" in stopped.stdout
    told = morton(book, "reconcile")
    assert "m365" in told.stderr
    after = {r["discrepancy_id"]: r for r in listed(book, "discrepancies", "--all")}
    assert set(after) == set(before), "an outage neither hides a row nor makes one"
    assert {k: r["variance_amount"] for k, r in after.items()} == {k: r["variance_amount"] for k, r in before.items()}
    counted = ("under_billed", "over_billed", "no_contract", "no_usage")
    states = {
        k: r["source_state"]
        for k, r in after.items()
        if "Microsoft 365 counts" in r["explanation"] and r["kind"] in counted
    }
    assert states
    assert set(states.values()) == {"stale"}
    assert {r["source_state"] for k, r in after.items() if "NinjaOne counts" in r["explanation"]} <= {"known", "zero"}

    stale = next(r for r in after.values() if r["kind"] == "under_billed" and r["source_state"] == "stale")
    refused = morton(book, "decide", "approve", stale["discrepancy_id"], "--reason", "x", "--as", "dana", expect=1)
    assert "stale" in refused.stdout
    fresh = next(r for r in after.values() if r["kind"] == "under_billed" and r["source_state"] == "known")
    morton(book, "decide", "approve", fresh["discrepancy_id"], "--reason", "seen", "--as", "dana")


def test_case_62_a_line_of_an_exported_list_that_changed_since_is_refused_and_listed(book: Path) -> None:
    for kind in ("csv", "xlsx"):
        morton(book, "discrepancies", "--kind", "under_billed", "--format", kind, "--out", str(book / f"list.{kind}"))
    row = _two_of_one_client(book)[0]
    _edit_contract(book, row, lambda quantity: quantity - 1)
    morton(book, "reconcile")
    done = morton(
        book, "decide", "approve", "--from", str(book / "list.xlsx"), "--reason", "month end", "--as", "dana", expect=1
    )
    refused = [line for line in done.stdout.splitlines() if "refused" in line]
    assert any(row["discrepancy_id"] in line for line in refused)
    statuses = {r["discrepancy_id"]: r["status"] for r in listed(book, "discrepancies", "--kind", "under_billed")}
    assert statuses.pop(row["discrepancy_id"]) == "open"
    assert "approved" in statuses.values()


def test_case_87_a_lost_warehouse_is_rebuilt_from_the_journal_to_the_same_mart(book: Path) -> None:
    query = "select * from marts.discrepancies order by discrepancy_id"
    evidence = "select * from marts.discrepancy_evidence order by all"
    before = published(book, query), published(book, evidence)
    for file in (book / "data").glob("warehouse.duckdb*"):
        file.unlink()
    morton(book, "reconcile")
    assert (published(book, query), published(book, evidence)) == before


def test_a_look_back_is_built_beside_the_mart_and_changes_nothing(book: Path) -> None:
    query = "select * from marts.discrepancies order by discrepancy_id"
    before = published(book, query)
    morton(book, "reconcile", "--as-of", "2026-10-20T12:00:00Z")
    assert published(book, query) == before
    with duckdb.connect(str(book / "data/published/mart_as_of_20261020T120000Z.duckdb"), read_only=True) as con:
        newest = con.execute("select max(period_month) from marts.discrepancies").fetchone()
        seen = con.execute("select max(quantity_on) from marts.daily_quantities").fetchone()
    assert newest is not None
    assert newest[0].isoformat() == "2026-10-01"
    assert seen is not None
    assert seen[0] <= (datetime(2026, 10, 20, 12, tzinfo=UTC) + timedelta(days=1)).date()


def test_a_clock_that_goes_back_is_refused(demo: Path) -> None:
    done = morton(demo, "extract", "ninjaone", expect=1, MORTON_NOW="2026-09-01T00:00:00Z")
    assert "already seen" in done.stderr
