"""Checking connections: what works is counted, what does not is said once with something to do, and nothing is kept."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from morton_pipeline import check as checking
from morton_pipeline.book import Book, Connection, Tenant, open_book
from morton_pipeline.check import check, permission
from morton_pipeline.clock import wall
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.globs import fits
from morton_pipeline.ledger.store import open_ledger
from morton_pipeline.ledger.tokens import LedgerTokens
from morton_pipeline.simulator.app import Simulation, simulate
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.seeds import write_book
from morton_pipeline.simulator.serve import in_thread
from morton_pipeline.simulator.world import START, World, generate
from morton_pipeline.vendors import VENDORS
from tests.conftest import ROOT, Connect

NOW = START + timedelta(days=40, hours=4, minutes=30)
FIRST_FOUR = ("ninjaone", "m365", "huntress", "quickbooks")
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def world() -> World:
    return generate()


@pytest.fixture
def simulation(world: World) -> Simulation:
    return simulate(world, now=NOW)


@pytest.fixture
def book(simulation: Simulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Book]:
    for name, value in ACCEPTED.items():
        monkeypatch.setenv(name, value)
    with in_thread(simulation.app) as url:
        yield open_book(write_book(simulation.world, tmp_path / "book", url))


TENANTS = 3
"""As many as a test needs; each costs a fraction of a second."""


def checked(book: Book, *names: str) -> list[Row]:
    connections = [book.connection(name) for name in names]
    return check(book, [replace(c, tenants=c.tenants[:TENANTS]) for c in connections], at=NOW)


def only(rows: list[Row], **expected: str) -> Row:
    found = [row for row in rows if all(row[k] == v for k, v in expected.items())]
    assert len(found) == 1, f"expected one row with {expected}, found {len(found)} in {rows}"
    return found[0]


def left_out(device: Any) -> bool:
    """Whether one of the RMM's rules is about a device."""
    row = {"node_class": device.node_class, "approval_status": device.approval_status}
    return any(fits(rule.pattern, row.get(rule.field)) for rule in VENDORS["ninjaone"].endpoint("devices").rules)


def test_what_works_is_one_line_per_connection_and_says_what_it_would_count(simulation: Simulation, book: Book) -> None:
    rows = checked(book, *FIRST_FOUR)
    assert [(row["connection_id"], row["state"]) for row in rows] == [(name, "ok") for name in FIRST_FOUR]
    state = simulation.world.at(NOW)
    counted = len([d for d in state.devices if not left_out(d)])
    assert rows[0]["counts"] == {"devices": {"units": str(counted)}}, "organizations are no quantity"
    assert rows[0]["records"].startswith(f"{counted} devices (")
    assert only(rows, connection_id="quickbooks")["records"] == "", "nothing of an accounting system counts"
    assert rows[1]["what"] == f"Every list can be read, of all {TENANTS} tenants."


def test_records_the_vendors_rules_leave_out_are_told_apart(simulation: Simulation, book: Book) -> None:
    row = only(checked(book, "ninjaone"), state="ok")
    watched = [d for d in simulation.world.at(NOW).devices if d.node_class.startswith("NMS_")]
    assert watched, "the world holds network gear"
    excluded = int(row["records"].split("devices (")[1].split(" ")[0])
    assert excluded == len([d for d in simulation.world.at(NOW).devices if left_out(d)]) > len(watched)


def test_nothing_is_loaded_and_nothing_but_the_rates_memory_is_written(book: Book) -> None:
    checked(book, "ninjaone", "huntress")
    left = {path.relative_to(book.data).parts[0] for path in book.data.rglob("*") if path.is_file()}
    assert {name for name in left if not name.startswith("ledger.sqlite")} == {"rates"}


def test_a_rotated_refresh_token_survives_the_check(simulation: Simulation, book: Book) -> None:
    seed = ACCEPTED["QUICKBOOKS_REFRESH_TOKEN"]
    assert only(checked(book, "quickbooks"), connection_id="quickbooks")["state"] == "ok"
    with open_ledger(book) as ledger:
        kept = LedgerTokens(ledger).load("quickbooks", seed)
    assert kept is not None
    assert kept.refresh_token != seed, "checking used the refresh token up and did not keep its successor"
    assert only(checked(book, "quickbooks"), connection_id="quickbooks")["state"] == "ok"


PROBLEMS = {
    "401": ("Put valid credentials into HUNTRESS_API_KEY and HUNTRESS_API_SECRET", "answered 401"),
    "403": ("The credentials are valid, but may not read organizations and agents", "answered 403"),
    "429": ("wait some minutes and check again", "answered 429"),
    "500": ("The failure is the vendor's own", "answered 500"),
    "html": ("Check base_url (http://127.0.0.1:", "a web page"),
    "reset": ("this machine's network, proxy and firewall", "the connection failed"),
}


@pytest.mark.parametrize("mode", PROBLEMS)
def test_each_kind_of_failure_says_what_happened_and_what_to_do(simulation: Simulation, book: Book, mode: str) -> None:
    simulation.faults.switch("huntress", mode)
    row = only(checked(book, "huntress"), state="problem")
    to_do, what = PROBLEMS[mode]
    assert to_do in row["to_do"]
    assert what in row["what"]
    assert not row["what"].startswith("huntress:"), "the connection has a column of its own"


def test_a_list_that_may_not_be_read_is_named_and_the_rest_is_counted(simulation: Simulation, book: Book) -> None:
    simulation.faults.switch("huntress", "403", path_contains="incident_reports")
    rows = checked(book, "huntress")
    row = only(rows, state="problem")
    assert "may not read incident reports" in row["to_do"]
    assert "docs/vendors/huntress.md" in row["to_do"]
    assert only(rows, state="ok")["what"] == "2 of 3 lists can be read."


def test_case_3_a_tenant_without_consent_is_told_alone(simulation: Simulation, book: Book) -> None:
    tenant = simulation.world.tenants[0].first
    simulation.directory.without_consent.add(tenant.id)
    rows = checked(book, "m365")
    row = only(rows, state="problem")
    assert row["what"].startswith(f"Tenant {tenant.name}: ")
    assert "AADSTS700016" in row["what"]
    assert "consent" in row["to_do"]
    assert only(rows, state="ok")["what"] == f"Every list of {TENANTS - 1} of {TENANTS} tenants can be read."


def test_what_all_tenants_have_is_said_once(simulation: Simulation, book: Book) -> None:
    simulation.directory.without_consent.update(t.first.id for t in simulation.world.tenants)
    row = only(checked(book, "m365"), connection_id="m365")
    assert row["what"].startswith(f"All {TENANTS} tenants: ")
    assert "Put valid credentials into M365_CLIENT_ID and M365_CLIENT_SECRET" in row["to_do"]


def test_a_missing_variable_and_a_machine_that_does_not_answer_are_each_theirs_alone(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUNTRESS_API_SECRET", "")
    gone = replace(book.connection("ninjaone"), base_url="http://127.0.0.1:1", auth_url="http://127.0.0.1:1",
                   settings={"attempts": 1})  # fmt: skip
    rows = check(book, [gone, book.connection("huntress"), book.connection("quickbooks")], at=NOW)
    assert "HUNTRESS_API_SECRET" in only(rows, connection_id="huntress")["what"]
    assert "the connection failed" in only(rows, connection_id="ninjaone")["what"]
    assert only(rows, connection_id="quickbooks")["state"] == "ok"


def test_what_init_left_to_fill_in_is_named(book: Book) -> None:
    unsaid = replace(book.connection("quickbooks"), settings={"realm_id": "fill in"})
    elsewhere = replace(book.connection("ninjaone"), base_url="https://rmm.example:1280")
    nobody = replace(book.connection("m365"), tenants=(Tenant("1", "fill in"),))
    rows = check(book, [unsaid, elsewhere, nobody], at=NOW)
    assert [row["what"] for row in rows] == [
        "connections.yaml does not say yet what realm_id of connection quickbooks is.",
        "connections.yaml does not say yet what base_url of connection ninjaone is.",
        "connections.yaml does not say yet what tenants of connection m365 is.",
    ]


def found(connection: Connection, endpoint: str, rows: list[Row] | None = None, **more: Any) -> Extraction:
    return Extraction(connection.id, connection.vendor, endpoint, "", "", AT, rows, **more)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have connections read as told, by their id."""

    def told(**by_id: list[Extraction]) -> None:
        monkeypatch.setattr(checking, "read", lambda _b, _l, connection, *_: by_id[connection.id])

    return told


AGENT = {"id": 7, "organization_id": 1, "hostname": "pc", "platform": "windows"}


def test_a_list_that_failed_because_another_did_is_not_a_problem_of_its_own(
    tmp_path: Path, connect: Connect, reading: Callable[..., None]
) -> None:
    m365 = connect("microsoft365", id="m365", tenants=(Tenant("", ""),))
    refused = found(m365, "users", error="m365: GET /users answered 403.", kind="PermissionMissing")
    others = [found(m365, name, error="m365: needs users, which failed.", kind="Incomplete")
              for name in ("mailboxes", "user_licenses")]  # fmt: skip
    reading(m365=[found(m365, "subscribed_skus", []), refused, *others])
    rows = check(Book(tmp_path), [m365], at=AT)
    assert only(rows, state="problem")["what"] == "GET /users answered 403."


def test_an_empty_list_is_fine_and_remarked_on(tmp_path: Path, connect: Connect, reading: Callable[..., None]) -> None:
    edr = connect("huntress", id="edr")
    reading(edr=[found(edr, "organizations", []), found(edr, "agents", []), found(edr, "incident_reports", [])])
    row = only(check(Book(tmp_path), [edr], at=AT), state="ok")
    assert row["to_do"].startswith("It lists no agents")


def test_a_record_that_would_be_set_aside_is_a_problem(
    tmp_path: Path, connect: Connect, reading: Callable[..., None]
) -> None:
    edr = connect("huntress", id="edr")
    reading(edr=[found(edr, "agents", [AGENT, {**AGENT, "id": 8, "organization_id": None}])])
    row = only(check(Book(tmp_path), [edr], at=AT), state="problem")
    assert row["what"] == "1 agents would be set aside: organization id fails not_nullable: it is empty."


def test_the_check_that_fails_is_named_with_a_value(
    tmp_path: Path, connect: Connect, reading: Callable[..., None]
) -> None:
    pax8 = connect("pax8", id="pax8")
    row = {"companyId": "c", "productName": "Premium", "status": "Active", "quantity": 1}
    reading(pax8=[found(pax8, "subscriptions", [{**row, "id": str(n), "startDate": "soon"} for n in (1, 2)])])
    what = only(check(Book(tmp_path), [pax8], at=AT), state="problem")["what"]
    assert what.startswith("2 subscriptions would be set aside: start date fails str_matches(")
    assert what.endswith("), e.g. 'soon'.")


def test_what_one_record_stands_for_is_counted_and_not_the_records(
    tmp_path: Path, connect: Connect, reading: Callable[..., None]
) -> None:
    """One subscription of 500 seats is 500; what a rule leaves out or would be set aside is none of them."""
    pax8 = connect("pax8", id="pax8")
    seats = {"id": "1", "companyId": "c", "productName": "Premium", "status": "Active", "quantity": 500}
    others = [{**seats, "id": "2", "quantity": 2.5}, {**seats, "id": "3", "status": "Trial", "quantity": 90},
              {**seats, "id": "4", "quantity": "many"}]  # fmt: skip
    reading(pax8=[found(pax8, "companies", []), found(pax8, "subscriptions", [seats, *others])])
    row = only(check(Book(tmp_path), [pax8], at=AT), state="ok")
    assert row["records"] == "502.5 units of subscriptions (1 more records excluded by rule)"
    assert row["counts"] == {"subscriptions": {"units": "502.5"}}


def test_unlike_units_are_not_added_up(tmp_path: Path, connect: Connect, reading: Callable[..., None]) -> None:
    console = connect("veeam_spc", id="console", base_url="https://console.test:1280")
    usage = {"companyUid": "c", "locationUid": "l", "counterName": "n", "usageState": "used"}
    rows = [{**usage, "counter": "a", "quantity": "12", "unit": "device"},
            {**usage, "counter": "b", "quantity": "40.5", "unit": "gigabyte"}]  # fmt: skip
    reading(console=[found(console, "company_usage", rows)])
    assert only(check(Book(tmp_path), [console], at=AT), state="ok")["records"] == (
        "12 device and 40.5 gigabyte of company usage"
    )


def test_a_clock_no_vendor_agrees_with_is_ours(tmp_path: Path, connect: Connect, reading: Callable[..., None]) -> None:
    one, other = connect("huntress", id="edr"), connect("ninjaone", id="rmm")
    reading(edr=[found(one, "agents", [AGENT], clock_skew_seconds=421.0)],
            rmm=[found(other, "devices", [], clock_skew_seconds=425.0)])  # fmt: skip
    row = only(check(Book(tmp_path), [one, other], at=AT), state="problem")
    assert row["what"].startswith("This machine's clock is 7 minutes behind that of 2 vendors.")
    assert "Tokens" in row["what"]
    assert "NTP" in row["to_do"]


def test_a_clock_another_vendor_disagrees_with_is_that_vendors(
    tmp_path: Path, connect: Connect, reading: Callable[..., None]
) -> None:
    one, other = connect("huntress", id="edr"), connect("ninjaone", id="rmm")
    reading(edr=[found(one, "agents", [AGENT], clock_skew_seconds=-3600.0)],
            rmm=[found(other, "devices", [], clock_skew_seconds=1.0)])  # fmt: skip
    row = only(check(Book(tmp_path), [one, other], at=AT), state="problem")
    assert row["connection_id"] == "edr"
    assert row["what"].startswith("Huntress's clock is 60 minutes behind this machine's")


def test_two_minutes_apart_is_no_problem(tmp_path: Path, connect: Connect, reading: Callable[..., None]) -> None:
    edr = connect("huntress", id="edr")
    reading(edr=[found(edr, "agents", [AGENT], clock_skew_seconds=-119.0)])
    assert [row["state"] for row in check(Book(tmp_path), [edr], at=AT)] == ["ok"]


def skew(connection: Connection, *headers: dict[str, str]) -> float | None:
    """Read a vendor whose answers carry these headers, one after another, and return the difference of the clocks."""
    waiting = list(headers)

    def answer(request: httpx.Request) -> httpx.Response:
        rows = [AGENT] if "agents" in request.url.path else []
        said = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return httpx.Response(200, json={request.url.path.rsplit("/", 1)[-1]: rows}, headers=said)

    extractions = fetch(connection, VENDORS["huntress"], at=AT, transport=httpx.MockTransport(answer))
    assert all(e.rows is not None for e in extractions), [e.error for e in extractions]
    return extractions[-1].clock_skew_seconds


def test_the_vendors_clock_is_read_from_its_answers(connect: Connect) -> None:
    ahead = {"date": format_datetime(wall() + timedelta(minutes=10), usegmt=True)}
    right = {"date": format_datetime(wall(), usegmt=True)}
    cached = {"date": format_datetime(wall() - timedelta(hours=1), usegmt=True), "age": "3600"}
    measured = skew(connect("huntress"), ahead)
    assert measured is not None
    assert 595 < measured < 601
    assert abs(skew(connect("huntress"), cached) or 99) < 5, "an answer out of a cache says how old it is"
    assert abs(skew(connect("huntress"), ahead, right) or 99) < 5, "one odd answer is not a wrong clock"
    assert skew(connect("huntress"), {}) is None
    assert skew(connect("huntress"), {"date": "yesterday"}) is None


def test_an_unknown_host_is_told_apart_from_one_that_does_not_answer(connect: Connect) -> None:
    def unknown(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("failed") from socket.gaierror(-2, "Name or service not known")

    connection = connect("huntress", settings={"attempts": 1})
    (error,) = {e.error.split(": ", 2)[2] for e in fetch(
        connection, VENDORS["huntress"], at=AT, transport=httpx.MockTransport(unknown))}  # fmt: skip
    assert "No address is known for api.huntress.io" in error
    assert "DNS" in error


PAGE = """# Tool

## Connect

Nothing about agents.

## Permissions

Make a key that only reads.

- `agents` needs *Agents: view*,
  granted per site.
- `user_licenses` needs *Licences: view*.

## Cadence and limits

Every hour; agents too.
"""


def test_the_permission_is_named_in_the_words_of_the_vendors_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs" / "vendors").mkdir(parents=True)
    (tmp_path / "docs" / "vendors" / "tool.md").write_text(PAGE, "utf-8")
    monkeypatch.setattr(checking, "PROJECT", tmp_path)
    assert permission("tool", ["agents"]) == "`agents` needs Agents: view, granted per site."
    assert permission("tool", ["user_licenses"]) == "`user_licenses` needs Licences: view."
    assert permission("tool", ["sites"]) == "Make a key that only reads."
    assert permission("another", ["agents"]) == ""


def test_the_command_exits_with_1_when_it_found_a_problem(tmp_path: Path) -> None:
    (tmp_path / "connections.yaml").write_text(
        "connections:\n"
        "  - {id: rmm, vendor: ninjaone, base_url: 'http://127.0.0.1:1', attempts: 1,\n"
        "     secrets: {client_id: TEST_ABSENT_ID, client_secret: TEST_ABSENT_SECRET}}\n",
        "utf-8",
    )
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MORTON_")}
    done = subprocess.run(
        [sys.executable, "-m", "morton_pipeline.cli", "--book", str(tmp_path), "check", "--format", "json"],
        env=clean, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["connection_id"], row["state"]) == ("rmm", "problem")
    assert "TEST_ABSENT_ID and TEST_ABSENT_SECRET" in row["what"]


@pytest.mark.parametrize(("days", "state"), [(31, None), (30, "warning"), (1, "warning"), (0, "problem")])
def test_case_83_check_says_that_a_secret_expires_while_it_still_works(
    book: Book, days: int, state: str | None
) -> None:
    connection = book.connection("ninjaone")
    expires_on = NOW.date() + timedelta(days=days)
    rows = check(book, [replace(connection, settings={**connection.settings, "secret_expires_on": expires_on})], at=NOW)
    assert only(rows, state="ok"), "it is tried all the same"
    told = [row for row in rows if "expire" in row["what"]]
    assert [row["state"] for row in told] == ([state] if state else [])
    if state:
        assert str(expires_on) in told[0]["what"]
        assert "secret_expires_on" in told[0]["to_do"]
