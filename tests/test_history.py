"""A month is closed once, what is known later is a correction, and any day can be built again as it was known then.

One book lives through three weeks: each mart is kept, then everything is changed that can be, and it is looked back.
"""

import csv
import os
import re
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result
from filelock import FileLock

from morton_pipeline.book import Book
from morton_pipeline.cli import cli
from morton_pipeline.ledger import decide, open_ledger
from morton_pipeline.ledger.lines import line_of
from morton_pipeline.reconcile import reconcile
from morton_pipeline.reports.mart import is_read
from morton_pipeline.warehouse.load import accept, latest
from tests.cases.scenario import FIRST, LATER, NOW, Mart, Row, Scenario, post
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "history.md"
HOUR = timedelta(hours=1)
THIRD = datetime(2026, 12, 12, 12, tzinfo=UTC)
"""November is closed with this mart; September and October were with the first, at NOW."""
FOURTH = THIRD + timedelta(days=1)
LAST = FOURTH + timedelta(days=1)
CORRECTED = ("acme", "globex", "initech")
BILLED = (*CORRECTED, "northwind", "approved")
"""Clients whose October was invoiced, and whose contract is then said to have been another one; some are given back."""


def _tell() -> Scenario:
    msp = Scenario()
    msp.service("workstation", "device", "40")
    msp.maps("workstation", "ninjaone", "devices", "node_class", "WINDOWS_WORKSTATION")
    msp.service("seat", "user", "22")
    msp.maps("seat", "microsoft365", "user_licenses", "sku_part_number", "SPB")
    msp.service("edr", "agent", "5")
    msp.maps("edr", "huntress", "agents", "platform", "windows")
    for client in BILLED:
        msp.client(client)
        msp.devices(client, 4, since=date(2026, 10, 5))
        _agree(msp, client, 2)
    msp.client("shrunk")
    msp.devices("shrunk", 2)
    msp.devices("shrunk", 2, since=date(2026, 11, 3), until=date(2026, 11, 25))
    msp.contract("shrunk", "workstation", 2, "10")
    msp.client("emptied")
    msp.licences("emptied", 6, until=date(2026, 11, 15))
    msp.contract("emptied", "seat", 5, "20")
    msp.client("guarded")
    msp.agents("guarded", 5, connection="edr-west")
    msp.contract("guarded", "edr", 3, "5")
    msp.client("untouched")
    msp.devices("untouched", 3)
    msp.contract("untouched", "workstation", 2, "10")
    return msp


def _agree(msp: Scenario, client: str, quantity: int) -> None:
    """Say, whatever was said before, what a client's contract has been since October."""
    msp.seeds["contracts"] = [row for row in msp.seeds["contracts"] if row["client_id"] != client]
    msp.contract(client, "workstation", quantity, "10", effective_from="2026-10-01")
    msp.seeds["contracts"][-1]["contract_id"] = client


class Told:
    """The book, and the marts it had."""

    def __init__(self, root: Path) -> None:
        self.root, self.book = root, Book(root / "book")

    def mart(self, name: str) -> Mart:
        return Mart(self.root / f"{name}.duckdb", self.book.warehouse)

    def looked_back(self, at: datetime) -> Mart:
        """The mart of a day, built again at the end of the story."""
        path = self.book.published.with_name(f"mart_as_of_{at:%Y%m%dT%H%M%SZ}.duckdb")
        if not path.exists():
            reconcile(self.book, at=LAST, as_of=at)
        return Mart(path, self.book.warehouse)

    def build(self, at: datetime, name: str) -> Mart:
        self.book = Book(self.book.root)
        reconcile(self.book, at=at)
        shutil.copy(self.book.published, self.root / f"{name}.duckdb")
        return self.mart(name)

    def decide(self, rows: list[Row], action: str, at: datetime, **more: Any) -> list[Row]:
        said = {"reason": "seen", "actor": "Fay", "at": at, "limits": self.book.limits}
        with open_ledger(self.book) as ledger:
            outcome = decide(ledger, rows, action=action, **said, **more)
        assert not outcome.refused
        return outcome.applied

    def bill(self, mart: Mart, client: str, at: datetime, mark: str, **where: Any) -> None:
        decided = self.decide(mart.rows(client, **where), "approve", at)
        with open_ledger(self.book) as ledger:
            post(ledger, client, decided, at=at, mark=mark)


def _live(told: Told, msp: Scenario) -> None:
    book = told.book
    book.root.mkdir(parents=True)
    msp.write_connections(book)
    msp.write_seeds(book)
    msp.read_tools(book, FIRST.replace(year=2000), NOW)

    first = told.build(NOW, "first")
    for client in BILLED:
        told.bill(first, client, NOW + HOUR, "-1", month="2026-10")
    told.bill(first, "shrunk", NOW + HOUR, "-1")
    (held,) = [e for e in latest(book) if (e["tenant_id"], e["endpoint"]) == ("emptied", "user_licenses")]
    assert held["status"] == "suspect"
    accept(book, held["extraction_id"], "Dana", NOW + HOUR)
    for client in BILLED:
        _agree(msp, client, 3)
    msp.write_seeds(book)
    msp.read_tools(book, NOW, LATER)

    second = told.build(LATER, "second")
    for client in CORRECTED:
        told.bill(second, client, LATER + HOUR, "-2", kind="correction")
    told.decide(second.rows("approved", kind="correction"), "approve", LATER + HOUR)
    for client, quantity in (("globex", 4), ("initech", 2), ("approved", 4)):
        _agree(msp, client, quantity)
    _disconnect(msp, book, "edr-west")
    msp.write_seeds(book)
    _read(msp, book, THIRD)

    told.build(THIRD, "third")
    _read(msp, book, FOURTH)
    told.build(FOURTH, "fourth")
    _change_everything(told, msp)


def _disconnect(msp: Scenario, book: Book, connection: str) -> None:
    path, mappings = book.root / "connections.yaml", msp.seeds["company_mappings"]
    path.write_text(re.sub(rf"  - id: {connection}\n(    .*\n)+", "", path.read_text("utf-8")), "utf-8")
    msp.seeds["company_mappings"] = [row for row in mappings if row["connection_id"] != connection]


def _read(msp: Scenario, book: Book, at: datetime) -> None:
    """Read every tool once more, a moment before."""
    from morton_pipeline.warehouse.load import load

    last = max(e["attempted_at"] for e in latest(book))
    msp.read_tools(book, last, at - HOUR)
    load(book, list(msp._extractions(at - HOUR / 2)))


def _change_everything(told: Told, msp: Scenario) -> None:
    """Whatever a mart stands on is another thing afterwards, and the warehouse is a new file."""
    book = Book(told.book.root)
    told.book = book
    fourth = told.mart("fourth")
    told.decide(
        fourth.rows("northwind", month=None, kind="under_billed", status="open"),
        "write_off",
        LAST - HOUR,
        until=date(2027, 3, 1),
        cause="policy",
    )
    evidence = {r["discrepancy_id"]: fourth.evidence(r) for r in fourth.rows("untouched", month="2026-12")}
    told.decide(fourth.rows("untouched", month="2026-12"), "exclude", LAST - HOUR, until=date(2027, 3, 1), cause="policy",
                record_ids=[e["record_id"] for e in next(iter(evidence.values()))][:1], evidence=evidence)  # fmt: skip
    (approval,) = told.decide(fourth.rows("initech", month="2026-12", kind="correction"), "approve", LAST - HOUR)
    with open_ledger(book) as ledger:
        post(ledger, "initech", [approval], at=LAST - HOUR, mark="-3")
    for fact in msp.facts:
        if fact.list[1] == "devices":
            fact.row["systemName"] = f"renamed {fact.row['systemName']}"
    msp.devices("untouched", 2, since=LAST - HOUR)
    msp.remove(["D1002"], LAST - HOUR)
    for name, column, value in (
        ("clients", "client_name", "Renamed"), ("clients", "currency", "EUR"), ("clients", "back_bill_days", "5"),
        ("services", "service_name", "Rebranded"), ("services", "list_price", "77"),
        ("contracts", "unit_price", "99"), ("contracts", "quantity", "1"),
        ("company_mappings", "effective_from", "2026-11-15"),
    ):  # fmt: skip
        for row in msp.seeds[name]:
            row[column] = value
    msp.exclusion(name_pattern="*2*")
    msp.seeds["service_mappings"][0]["pattern"] = "*"
    _disconnect(msp, book, "m365")
    msp.write_seeds(book)
    with (book.root / "connections.yaml").open("a", encoding="utf-8") as file:
        file.write("\nlimits: {close_after_days: 1}\n")
    _read(msp, book, LAST)
    book.warehouse.unlink()
    told.build(LAST, "last")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "history"
    with FileLock(f"{root}.lock"):
        if not (root / "told").exists():
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            _live(Told(root), _tell())
            (root / "told").touch()
    return Told(root)


def _correction(mart: Mart, client: str, month: date = date(2026, 10, 1)) -> Row:
    sql = "select * from marts.discrepancies where client_id = ? and kind = 'correction' and corrects_month = ?"
    (row,) = mart.ask(sql, client, month)
    return row


def _october(mart: Mart, client: str) -> Row:
    return mart.row(client, month="2026-10")


# What was invoiced, and then is another thing.


def test_case_58_an_invoiced_month_stays_and_the_difference_is_the_next_ones_correction(told: Told) -> None:
    first, second = told.mart("first"), told.mart("second")
    assert (_october(first, "acme")["status"], _october(first, "acme")["variance_amount"]) == ("open", 20)
    assert (_october(second, "acme")["status"], _october(second, "acme")["variance_amount"]) == ("invoiced", 20)
    row = _correction(second, "acme")
    assert (row["period_month"], row["variance_quantity"], row["variance_amount"]) == (date(2026, 11, 1), -1, -10)
    assert row["status"] == "open"
    assert second.row("acme", kind="under_billed")["variance_amount"] == 10, "the open month's own usage is beside it"


def test_case_58_a_correction_that_was_sent_stays_in_the_month_it_was_sent_in(told: Told) -> None:
    for name in ("third", "fourth"):
        mart = told.mart(name)
        row = _correction(mart, "acme")
        assert (row["period_month"], row["status"]) == (date(2026, 11, 1), "invoiced")
        assert (row["variance_quantity"], row["variance_amount"]) == (-1, -10)
        assert mart.row("acme", kind="under_billed")["variance_amount"] == 10, "what was given back nets no other row"


def test_case_58_what_is_known_after_a_correction_was_sent_is_its_rest(told: Told) -> None:
    row = _correction(told.mart("third"), "globex")
    assert row["discrepancy_id"] == _correction(told.mart("second"), "globex")["discrepancy_id"]
    assert (row["period_month"], row["variance_quantity"], row["variance_amount"]) == (date(2026, 12, 1), -1, -10)
    assert row["explanation"].endswith("; its contract was changed since. 10.00 USD was given back already.")


def test_case_58_what_was_given_back_in_error_is_owed_again(told: Told) -> None:
    row = _correction(told.mart("third"), "initech")
    assert (row["variance_quantity"], row["variance_amount"], row["status"]) == (1, 10, "open")
    assert row["explanation"].endswith(
        "2 not billed (20.00 USD), as it was closed with. 10.00 USD was given back already."
    )


def test_case_58_what_was_invoiced_and_gone_before_the_month_ended_is_given_back(told: Told) -> None:
    assert told.mart("second").row("shrunk", month="2026-11")["status"] == "invoiced"
    row = _correction(told.mart("fourth"), "shrunk", date(2026, 11, 1))
    assert (row["period_month"], row["variance_quantity"], row["variance_amount"]) == (date(2026, 12, 1), -2, -20)
    assert row["explanation"].startswith("2026-11 was closed for Shrunk with 2 Workstation billed (20.00 USD)")


def test_case_53_a_correction_waits_in_whichever_month_is_open(told: Told) -> None:
    second, third = _correction(told.mart("second"), "northwind"), _correction(told.mart("third"), "northwind")
    assert (second["period_month"], third["period_month"]) == (date(2026, 11, 1), date(2026, 12, 1))
    assert (second["discrepancy_id"], second["seal"]) == (third["discrepancy_id"], third["seal"])


def test_case_57_an_approved_correction_is_void_when_the_month_becomes_another_once_more(told: Told) -> None:
    row = _correction(told.mart("third"), "approved")
    assert (row["status"], row["variance_amount"], row["decided_by"]) == ("void", -20, "Fay")


def test_a_tool_that_is_connected_no_more_corrects_nothing(told: Told) -> None:
    assert [r["kind"] for r in told.mart("second").rows("guarded")] == ["under_billed"]
    for name in ("third", "fourth", "last"):
        rows = told.mart(name).rows("guarded", month=None, kind="correction")
        assert rows == [], "what nobody can count any more is not zero"


def test_a_correction_reads_on_an_invoice_as_the_month_it_corrects(told: Told) -> None:
    row = _correction(told.mart("second"), "acme")
    (decision,) = [d for d in _decisions(told) if d["discrepancy_id"] == row["discrepancy_id"]]
    line = line_of(decision)
    assert (line.quantity, line.amount) == (Decimal(-1), Decimal(-10))
    assert line.description == (
        f"Workstation: credit for 1 × 10.00 USD, correction of October 2026 (ref {row['discrepancy_id']})"
    )


def _decisions(told: Told) -> list[Row]:
    from morton_pipeline.ledger import decisions

    with open_ledger(told.book) as ledger, ledger.read() as con:
        return list(decisions.latest(con).values())


def test_the_records_of_a_closed_month_cannot_be_excluded_one_by_one(told: Told) -> None:
    row = _october(told.mart("fourth"), "untouched")
    with open_ledger(told.book) as ledger:
        outcome = decide(
            ledger, [row], action="exclude", reason="lent", actor="Fay", at=LAST + HOUR, limits=told.book.limits,
            until=date(2027, 3, 1), cause="policy", evidence={row["discrepancy_id"]: told.mart("fourth").evidence(row)},
        )  # fmt: skip
    ((_, why),) = outcome.refused
    assert "its month is closed and keeps the records it was closed with" in why


# Looking back.


def test_days_are_written_out_in_the_published_copy_only_where_somebody_asks(told: Told) -> None:
    with duckdb.connect(str(told.mart("first").published), read_only=True) as con:
        found = con.execute("select view_name from duckdb_views() where schema_name = 'marts'").fetchall()
    assert found == [("daily_quantities",)]


def _whole(mart: Mart) -> dict[str, list[Any]]:
    with duckdb.connect(str(mart.published), read_only=True) as con:
        names = [
            n
            for (n,) in con.execute(
                "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
            ).fetchall()
        ]
        return {name: con.execute(f"select * from marts.{name} order by all").fetchall() for name in names}


@pytest.mark.parametrize(("name", "at"), [("first", NOW), ("third", THIRD)])
def test_case_87_a_day_is_built_again_bit_for_bit_after_everything_was_changed(
    told: Told, name: str, at: datetime
) -> None:
    then, again = _whole(told.mart(name)), _whole(told.looked_back(at))
    assert set(then) == set(again)
    assert len(then["discrepancies"]) > 10
    for table, rows in then.items():
        assert again[table] == rows, table
    assert _whole(told.mart("last")) != then


def test_closed_months_stand_in_the_last_mart_as_in_the_first(told: Told) -> None:
    sql = (
        "select * exclude (recoverable_amount, status, decided_by, decided_at) from marts.discrepancies "
        "where period_month < '2026-11-01' and kind not in ('invoice_mismatch', 'correction') "
        f"and status <> 'invoiced' and client_id not in {BILLED} order by discrepancy_id"
    )
    first = told.mart("first").ask(sql)
    assert len(first) > 5
    assert told.mart("last").ask(sql) == first


def test_the_seeds_are_kept_once_for_each_change(told: Told) -> None:
    lines = [line for path in sorted(told.book.journal.glob("*.jsonl")) for line in path.read_text().splitlines()]
    sets = [line for line in lines if '"line": "seeds"' in line]
    assert len(sets) == 4, "the first mart, two edits, and the change of everything"
    kept = list((told.book.journal / "seeds").glob("*.csv"))
    heads = [next(csv.reader(path.read_text("utf-8").splitlines())) for path in kept]
    assert sum(head[0] == "contract_id" and "billing_model" in head for head in heads) == 4
    assert sum(head[0] == "bundle_service_id" for head in heads) == 1, "what does not change is kept once"


def test_evidence_says_what_was_lost_since_it_began(told: Told, morton: Callable[..., Result]) -> None:
    fourth = told.mart("fourth")
    shutil.copy(fourth.published, told.book.published)
    row = fourth.row("northwind", month="2026-11")
    # One of four is beyond the contract since the fifth of October: 27 days of it, all of November, and twelve days of
    # December, when what November ended with was measured.
    assert row["lost_unit_days"] == 27 + 30 + 12
    amount = (Decimal(10) * 27 / 31 + 10 + Decimal(10) * 12 / 31).quantize(Decimal("0.01"))
    # October's two were invoiced at 20.00.
    said = f"69 unit-days since 2026-10-05, worth {amount} USD; {amount - 20} of it can still be billed."
    assert said in morton("evidence", row["discrepancy_id"]).output


def test_the_page_shows_what_its_commands_say(told: Told, morton: Callable[..., Result]) -> None:
    """Each command of the page is run on the book as it stood with its fourth mart, in the page's order."""
    shutil.copy(told.mart("fourth").published, told.book.published)
    parts = re.split(
        r"^\$ morton (.+)\n",
        "".join(re.findall(r"^```console\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)),
        flags=re.M,
    )
    commands = list(zip(parts[1::2], parts[2::2], strict=True))
    assert len(commands) > 2, "the page shows what it says"
    for words, shown in commands:
        done = morton(*words.split())
        assert done.exit_code == 0, done.output
        said = " ".join(done.output.split())
        missing = [line for line in shown.splitlines() if " ".join(line.split()) not in said]
        assert not missing, f"`morton {words}` says:\n{done.output}"


def test_case_11_a_look_back_before_anything_was_read_is_not_clean(told: Told, morton: Callable[..., Result]) -> None:
    done = morton("reconcile", "--as-of", "2026-01-01", "--period", "2026-11")
    assert done.exit_code == 1
    assert "2026-11 was not reconciled: nothing was read then." in str(done.exception)
    back = told.book.published.with_name("mart_as_of_20260101T000000Z.duckdb")
    assert not is_read(told.book, back)
    assert is_read(told.book)


def test_case_11_nobody_looks_back_from_a_day_to_come(morton: Callable[..., Result]) -> None:
    done = morton("reconcile", "--as-of", "2030-01-01")
    assert done.exit_code == 1
    assert "--as-of 2030-01-01 is later than now" in str(done.exception)


@pytest.fixture
def morton(told: Told, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command on the book as it is at the end."""
    monkeypatch.setenv("MORTON_NOW", (LAST + 2 * HOUR).isoformat())
    return lambda *words: CliRunner().invoke(cli, ["--book", str(told.book.root), *words])
