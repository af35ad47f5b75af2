from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from click.testing import CliRunner

from morton_pipeline import reconcile
from morton_pipeline.book import Limits
from morton_pipeline.cli import cli
from morton_pipeline.defs import alerts
from morton_pipeline.defs.invoices import approved_decisions, due, invoices
from morton_pipeline.defs.resources import BookResource
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger.decisions import decide
from morton_pipeline.ledger.store import Ledger, open_ledger
from tests.conftest import write_seeds

Run = Callable[..., dg.ExecuteInProcessResult]

AT = datetime(2026, 11, 23, 9, 1, tzinfo=UTC)
NOVEMBER, OCTOBER = date(2026, 11, 1), date(2026, 10, 1)


def row(discrepancy_id: str, month: date) -> dict[str, Any]:
    """A row of the mart: 7 seats more than the contract says."""
    return {
        "discrepancy_id": discrepancy_id, "period_month": month, "client_id": "acme", "service_id": "m365_bp",
        "service_name": "Business Premium", "kind": "under_billed", "variance_quantity": Decimal("7.0000"),
        "unit_price": Decimal("22.0000"), "currency": "USD", "variance_amount": Decimal("154.0000"),
        "source_state": "known", "source_as_of_at": AT.replace(tzinfo=None), "seal": discrepancy_id * 8,
        "status": "open",
    }  # fmt: skip


ROWS = [row("aaaaaaaaaaaa", NOVEMBER), row("bbbbbbbbbbbb", NOVEMBER), row("cccccccccccc", OCTOBER)]


CONTRACT = {"contract_id": "c1", "client_id": "acme", "service_id": "m365_bp", "quantity": "7", "unit_price": "22",
            "billing_model": "per_unit"}  # fmt: skip


def agree(folder: Path, *contracts: dict[str, str]) -> None:
    """Write the seeds of a book with these contracts."""
    client = {"client_id": "acme", "client_name": "Acme Corp", "status": "active", "currency": "USD"}
    service = {"service_id": "m365_bp", "service_name": "Premium", "unit": "licence", "accounting_item_id": "7"}
    clients = [{**client, "accounting_customer_id": "12"}]
    write_seeds(folder / "seeds", clients=clients, services=[service], contracts=list(contracts))


@pytest.fixture
def ledger(folder: Path, book: BookResource, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A book that writes its invoices into a folder, with three rows published and an empty ledger."""
    monkeypatch.setenv("MORTON_NOW", AT.isoformat())
    agree(folder, CONTRACT)
    opened = book.open()
    opened.published.parent.mkdir(parents=True)
    publish(opened.published, ROWS)
    # The mart here is written by hand: there is nothing dbt could rebuild it from.
    monkeypatch.setattr(reconcile, "refresh_decisions", lambda book, at: None)
    monkeypatch.setattr(reconcile, "bring_up_to_date", lambda book, at, say: None)
    with open_ledger(opened) as found:
        yield found


def publish(path: Path, rows: list[dict[str, Any]]) -> None:
    """Publish a mart of these rows."""
    with duckdb.connect(str(path)) as con:
        con.execute("create schema if not exists marts")
        types = {"period_month": "date", "variance_quantity": "decimal(18,4)", "unit_price": "decimal(18,4)",
                 "variance_amount": "decimal(18,4)", "source_as_of_at": "timestamp"}  # fmt: skip
        columns = ", ".join(f"{name} {types.get(name, 'varchar')}" for name in ROWS[0])
        con.execute(f"create or replace table marts.discrepancies ({columns})")
        con.execute(
            "create or replace table marts.quantity_stretches (client_id varchar, service_id varchar, "
            "vendor varchar, last_on date)"
        )
        con.execute(
            "create or replace table marts.margins (client_id varchar, service_id varchar, fresh_until_at timestamp)"
        )
        con.execute(
            "create or replace table marts.source_health (vendor varchar, endpoint varchar, "
            "allowed_age_minutes integer)"
        )
        con.executemany(f"insert into marts.discrepancies values ({', '.join('?' * len(ROWS[0]))})",
                        [list(one.values()) for one in rows])  # fmt: skip


def approve(ledger: Ledger, *discrepancy_ids: str) -> None:
    """Approve rows of the mart."""
    rows = [one for one in ROWS if one["discrepancy_id"] in discrepancy_ids]
    outcome = decide(ledger, rows, action="approve", reason="agreed", actor="ann", at=AT, limits=Limits())
    assert outcome.refused == []


def asked(book: BookResource) -> list[dg.RunRequest]:
    """The runs the sensor asks for now."""
    with dg.build_sensor_context(resources={"book": book}) as context:
        return [one for one in approved_decisions(context) if isinstance(one, dg.RunRequest)]


def files(book: BookResource) -> list[str]:
    """The invoices made so far."""
    return sorted(path.name for path in (book.open().data / "invoices").glob("*.json"))


def test_with_nothing_approved_the_sensor_asks_for_nothing(ledger: Ledger, book: BookResource) -> None:
    assert asked(book) == []


def test_with_nothing_approved_the_asset_sends_nothing(ledger: Ledger, book: BookResource, run: Run) -> None:
    assert run(invoices, partition_key="2026-11-01").success
    assert files(book) == []


def test_every_month_with_something_approved_is_asked_for_and_sent_once(
    ledger: Ledger, book: BookResource, run: Run
) -> None:
    approve(ledger, "aaaaaaaaaaaa", "cccccccccccc")
    requests = asked(book)
    assert [one.partition_key for one in requests] == ["2026-10-01", "2026-11-01"]
    assert [one.run_key for one in asked(book)] == [one.run_key for one in requests]
    result = run(invoices, partition_key="2026-11-01")
    assert result.success
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["posted_count"].value == 1
    assert "| acme | USD | 154" in event.materialization.metadata["invoices"].value
    assert [one.passed for one in result.get_asset_check_evaluations()] == [True]
    assert len(files(book)) == 1
    assert [one.partition_key for one in asked(book)] == ["2026-10-01"]
    assert run(invoices, partition_key="2026-11-01").success
    assert len(files(book)) == 1


def test_another_approval_is_cause_for_another_run(ledger: Ledger, book: BookResource) -> None:
    approve(ledger, "aaaaaaaaaaaa")
    before = asked(book)[0].run_key
    approve(ledger, "bbbbbbbbbbbb")
    assert asked(book)[0].run_key != before


def test_case_6_an_approval_whose_reading_has_grown_old_since_is_neither_asked_for_nor_sent(
    ledger: Ledger, book: BookResource, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckdb.connect(str(book.open().published)) as con:
        con.execute("insert into marts.quantity_stretches values ('acme', 'm365_bp', 'microsoft365', '2026-11-23')")
        con.execute("insert into marts.source_health values ('microsoft365', 'user_licenses', 60)")
    approve(ledger, "aaaaaaaaaaaa")
    assert [one.partition_key for one in asked(book)] == ["2026-11-01"]
    monkeypatch.setenv("MORTON_NOW", "2026-11-23T11:01:00Z")
    assert asked(book) == []
    assert run(invoices, partition_key="2026-11-01").success
    assert files(book) == []


def test_case_42_wrong_contracts_are_not_invoiced(ledger: Ledger, book: BookResource, folder: Path, run: Run) -> None:
    """What is approved waits until they are right again, whoever sends it."""
    approve(ledger, "aaaaaaaaaaaa")
    agree(folder, CONTRACT, {**CONTRACT, "contract_id": "c2", "quantity": "9"})
    said = (
        f"The contract seeds in {folder / 'seeds'} are not right yet; nothing is sent until they are.\n"
        "  contracts.csv row 3, effective_from: overlaps row 2 for acme and m365_bp; exactly one contract version may be in "
        "force per client, service and day"
    )
    for command in ("plan", "post"):
        result = CliRunner().invoke(cli, ["--book", str(folder), "invoices", command])
        assert (type(result.exception), str(result.exception)) == (BadInput, said)
    assert asked(book) == []
    assert not run(invoices, partition_key="2026-11-01").success
    assert files(book) == []
    agree(folder, CONTRACT)
    assert run(invoices, partition_key="2026-11-01").success
    assert len(files(book)) == 1


def test_case_57_an_approval_whose_row_changed_since_asks_for_nothing(ledger: Ledger, book: BookResource) -> None:
    approve(ledger, "aaaaaaaaaaaa")
    publish(book.open().published, [ROWS[0] | {"seal": "another"}])
    assert asked(book) == []


def test_case_57_the_marts_are_brought_up_to_date_before_anything_is_sent(
    ledger: Ledger, book: BookResource, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve(ledger, "aaaaaaaaaaaa")
    renewed = [ROWS[0] | {"seal": "another"}]
    monkeypatch.setattr(reconcile, "bring_up_to_date", lambda book, at, say: publish(book.published, renewed))
    assert run(invoices, partition_key="2026-11-01").success
    assert files(book) == []


def test_what_had_no_answer_is_tried_again_and_what_waits_for_a_person_once_a_day(
    ledger: Ledger, book: BookResource, run: Run, folder: Path
) -> None:
    opened = book.open()
    approve(ledger, "aaaaaaaaaaaa")
    later, tomorrow = AT.replace(minute=31), AT.replace(day=24)
    new = due(opened, ledger, AT)
    assert due(opened, ledger, later) != new
    with (folder / "connections.yaml").open("a") as file:
        file.write("limits: {amount_per_invoice: 100}\n")
    result = run(invoices, partition_key="2026-11-01")
    assert [one.passed for one in result.get_asset_check_evaluations()] == [False]
    assert files(book) == []
    parked = due(opened, ledger, AT)
    assert parked not in ({}, new)
    assert due(opened, ledger, later) == parked
    assert due(opened, ledger, tomorrow) != parked


def tick(book: BookResource, instance: dg.DagsterInstance, cursor: str | None) -> tuple[list[Any], str | None]:
    """Let the sensor look once."""
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources={"book": book}) as context:
        return list(approved_decisions(context)), context.cursor


def test_a_sensor_that_cannot_look_tells_somebody_once_until_the_reason_changes(
    ledger: Ledger, book: BookResource, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(alerts, "notify", lambda opened, title, text: told.append(f"{title}: {text}"))
    approve(ledger, "aaaaaaaaaaaa")
    mart = book.open().published
    hidden = mart.rename(mart.with_name("hidden"))
    cursor: str | None = None
    for _ in range(3):
        (skipped,), cursor = tick(book, instance, cursor)
        assert "has published nothing yet" in skipped.skip_message
    assert len(told) == 1
    assert told[0].startswith("Approved invoices cannot be sent: ")
    hidden.rename(mart)
    (wanted,), cursor = tick(book, instance, cursor)
    assert isinstance(wanted, dg.RunRequest)
    mart.rename(hidden)
    tick(book, instance, cursor)
    assert len(told) == 2


def test_a_sensor_whose_alert_cannot_be_sent_fails_its_tick(
    ledger: Ledger, book: BookResource, instance: dg.DagsterInstance, folder: Path
) -> None:
    approve(ledger, "aaaaaaaaaaaa")
    (folder / "connections.yaml").write_text("connections: [", "utf-8")
    with pytest.raises(BadInput, match="this is not YAML"):
        tick(book, instance, None)


def test_a_system_that_calls_us_is_not_sent_to(
    folder: Path, book: BookResource, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "hash")
    (folder / "connections.yaml").write_text(
        "connections:\n  - {id: desktop, vendor: quickbooks_desktop, company_file: a.qbw, secrets: {password: TEST_KEY}}\n"
        "accounting: desktop\n"
    )
    (skipped,) = approved_decisions(dg.build_sensor_context(resources={"book": book}))
    assert isinstance(skipped, dg.SkipReason)
    assert "`morton connector`" in str(skipped.skip_message)
