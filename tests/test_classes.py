"""Every list that is counted, in one book: a SKU can be mapped as it is proposed, and a state nobody knows is not billed.

The records are made from what the vendors' pages declare, so a page that is added takes part by itself.
"""

import csv
import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from filelock import FileLock

from morton_pipeline.book import Book
from morton_pipeline.extract.fetch import Extraction
from morton_pipeline.extract.records import Column, columns
from morton_pipeline.extract.vendor import Endpoint
from morton_pipeline.globs import fits, is_literal
from morton_pipeline.mappings import suggest, write
from morton_pipeline.reconcile import reconcile
from morton_pipeline.seeds import SEEDS, countable, read
from morton_pipeline.sold_as import sku_columns
from morton_pipeline.vendors import VENDORS
from morton_pipeline.warehouse.load import load

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
KNOWN, PUZZLE = "known", "puzzle"
"""Two clients, each with a company of that id in every tool: one whose states are known, one whose are not."""
UNKNOWN = "puzzling"
SETTINGS = {
    "microsoft365": f"tenants: [{{id: {KNOWN}, name: K}}, {{id: {PUZZLE}, name: P}}]",
    "google_workspace": f"domains: [{{id: {KNOWN}, name: K, admin: a@x}}, {{id: {PUZZLE}, name: P, admin: a@x}}]",
    "veeam_spc": "base_url: https://vspc.test:1280",
    "rest": "base_url: https://x.test\n    tool: resttool\n    auth: {kind: none}\n"
    "    records: {path: /r, records: items, pages: {kind: single_page}, columns: {record_id: id, company_id: org, quantity: n}}",
    "files": "tool: filestool\n    folder: inbox\n    pattern: '*.csv'\n"
    "    columns: {record_id: Id, company_id: Company, quantity: Count}",
}
LISTS = [(VENDORS[vendor], VENDORS[vendor].endpoint(endpoint)) for vendor, endpoint in countable()]
COUNTED = [VENDORS[name] for name in dict.fromkeys(vendor for vendor, _ in countable())]
STATES = [(v.name, e.name, column) for v, e in LISTS for column in e.states]
Row = dict[str, Any]


def service_of(vendor: str, endpoint: str) -> str:
    return f"{vendor}-{endpoint}"


def value_of(endpoint: Endpoint, column: Column, company: str) -> Any:
    """Something a record of that company may hold in a column; a known state where the page lists some."""
    if states := endpoint.states.get(column.name):
        return states[0].replace("*", "")
    if column.settles_after is not None:
        return None
    if column.sql_type != "varchar":
        return {"boolean": True, "bigint": 1}.get(column.sql_type, "1")
    is_free = column.name.endswith(("_on", "_at", "_date", "_start")) or column.name in ("mac_addresses", "attributes")
    is_word = any(fits(rule.pattern, company) for rule in endpoint.rules if rule.field == column.name)
    if column.is_nullable and (is_free or is_word):
        return None
    return {"unit": "other", "measurement_unit": "quantity"}.get(column.name, company)


def records(vendor: str, endpoint: Endpoint) -> Iterable[tuple[str, Row]]:
    """A record whose states are known, one that says nothing of its SKU, and one for each column that puzzles."""
    declared = columns(endpoint.record)
    sku = next(c for c in declared if c.name == sku_columns()[vendor, endpoint.name])
    # Veeam's counters have no other id than their company's and what they count.
    keys = [c.name for c in declared if c.is_key and c is not sku and c.name != "company_uid"]

    def record(company: str, name: str, **more: Any) -> tuple[str, Row]:
        row = {c.name: value_of(endpoint, c, company) for c in declared} | {sku.name: f"{endpoint.name} Thing"}
        return company, {**row, **dict.fromkeys(keys, name), **more}

    yield record(KNOWN, "plain")
    if sku.is_nullable:
        yield record(KNOWN, "nameless", **{sku.name: None})
    for column, states in endpoint.states.items():
        for n, state in enumerate(states):
            yield record(KNOWN, f"{column}{n}", **{column: state.replace("*", "")})
        yield record(PUZZLE, column, **{column: UNKNOWN})


def extractions() -> Iterable[Extraction]:
    for vendor, endpoint in LISTS:
        found = list(records(vendor.name, endpoint))
        for tenant in (KNOWN, PUZZLE) if vendor.is_per_tenant else ("",):
            rows = [row for company, row in found if tenant in ("", company)]
            yield Extraction(vendor.name, vendor.name, endpoint.name, tenant, tenant, AT - timedelta(minutes=5), rows)


def write_book(book: Book) -> None:
    book.root.mkdir(parents=True)
    lines = ["connections:"]
    for vendor in COUNTED:
        lines += [f"  - id: {vendor.name}", f"    vendor: {vendor.name}"]
        lines += [f"    secrets: {{{', '.join(f'{word}: X' for word in vendor.secrets)}}}"] if vendor.secrets else []
        lines += [f"    {SETTINGS[vendor.name]}"] if vendor.name in SETTINGS else []
    (book.root / "connections.yaml").write_text("\n".join(lines), "utf-8")
    (book.root / "seeds").mkdir()
    tools = {v.name: f"{v.name}tool" if v.is_declared else v.name for v in COUNTED}
    rows: dict[str, list[Row]] = {
        "clients": [{"client_id": c, "client_name": c, "status": "active", "currency": "USD"} for c in (KNOWN, PUZZLE)],
        "services": [
            {"service_id": service_of(v.name, e.name), "service_name": service_of(v.name, e.name), "unit": "other",
             "list_price": "10", "count_vendor": tools[v.name]}
            for v, e in LISTS
        ],
        "company_mappings": [
            {"connection_id": v.name, "company_id": company, "client_id": company}
            for v in COUNTED for company in (KNOWN, PUZZLE)
        ],
        # What is only shown for comparison is never proposed: its row is written as it would be.
        "service_mappings": [
            {"vendor": v.name, "endpoint": e.name, "field": sku_columns()[v.name, e.name],
             "pattern": f"{e.name} Thing", "service_id": service_of(v.name, e.name)}
            for v, e in LISTS if not e.is_primary
        ],
    }  # fmt: skip
    for name, declared in SEEDS.items():
        with (book.root / "seeds" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [c.name for c in declared], restval="")
            writer.writeheader()
            writer.writerows(rows.get(name, []))


def build(book: Book) -> None:
    """Read every list, accept whatever is proposed for its SKU, and build again with the mappings."""
    write_book(book)
    loaded = load(book, list(extractions()))
    assert [one.reason for one in loaded if one.status != "complete"] == []
    reconcile(book, at=AT)
    found = suggest(book, at=AT)
    listed = {f"{v.name}tool" if v.is_declared else v.name: v.name for v in COUNTED}
    accepted = [
        f"{row['mapping']}={service_of(listed[row['vendor']], row['endpoint'])}"
        for row in found.rows
        if row["kind"] == "service"
    ]
    refused = [row for row in write(book, found, accepted=accepted) if not row["result"].startswith("written")]
    assert refused == []
    reconcile(book, at=AT + timedelta(minutes=1))


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The book after its second build; parallel workers share it."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "classes"
    with FileLock(f"{root}.lock"):
        if not (root / "built").exists():
            shutil.rmtree(root, ignore_errors=True)
            build(Book(root / "book"))
            (root / "built").touch()
    return Book(root / "book")


def ask(path: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as con:
        return con.execute(sql, list(values)).fetchall()


each_list = pytest.mark.parametrize(
    ("vendor", "endpoint"), [pytest.param(v.name, e.name, id=f"{v.name}.{e.name}") for v, e in LISTS]
)
BUCKETS = """
    select record_id, service_id, bucket, bucket_reason from intermediate.int_records_bucketed
    where connection_id = ? and endpoint = ? and client_id = ?
"""


@each_list
def test_case_12_a_sku_that_was_mapped_as_proposed_is_counted_by_that_mapping(
    book: Book, vendor: str, endpoint: str
) -> None:
    found = ask(book.warehouse, BUCKETS, vendor, endpoint, KNOWN)
    assert len(found) == sum(company == KNOWN for company, _ in records(vendor, VENDORS[vendor].endpoint(endpoint))) > 0
    assert {(service, bucket) for _, service, bucket, _ in found} == {(service_of(vendor, endpoint), "billed")}


def test_nothing_that_was_mapped_waits_for_another_build(book: Book) -> None:
    found = suggest(book, at=AT)
    assert ([row["mapping"] for row in found.rows], list(found.pending)) == ([], [])
    assert {(row["vendor"], row["endpoint"]) for row in read(book, "service_mappings")} == {
        (f"{v.name}tool" if v.is_declared else v.name, e.name) for v, e in LISTS
    }


@pytest.mark.parametrize(("vendor", "endpoint", "column"), STATES, ids=lambda word: str(word))
def test_a_state_nobody_knows_is_in_a_bucket_of_its_own_and_not_billed(
    book: Book, vendor: str, endpoint: str, column: str
) -> None:
    found = ask(book.warehouse, BUCKETS, vendor, endpoint, PUZZLE)
    assert {bucket for _, _, bucket, _ in found} == {"unknown_state"}
    assert sum(reason == f"{column} reads {UNKNOWN}" for *_, reason in found) == 1
    listed = ask(
        book.published,
        "select count(*) from marts.unmapped_records where connection_id = ? and endpoint = ? and client_id = ? "
        "and reason = ? and has_service",
        *(vendor, endpoint, PUZZLE, f"{column} reads {UNKNOWN}"),
    )
    assert listed == [(1,)]


def test_a_state_nobody_knows_has_a_row_with_its_money_and_its_evidence(book: Book) -> None:
    rows = ask(
        book.published,
        "select kind, observed_quantity, variance_amount, explanation, discrepancy_id from marts.discrepancies "
        "where client_id = ? and explanation like '%Pax8%'",
        PUZZLE,
    )
    assert [row[:4] for row in rows] == [(
        "unmapped_sku", 1, 10, "puzzle holds 1 × subscriptions Thing in Pax8, which is in a state nobody knows yet "
        "(status reads puzzling); at list price 10.00 USD a month.",
    )]  # fmt: skip
    evidence = "select bucket, bucket_reason from marts.discrepancy_evidence where discrepancy_id = ?"
    assert ask(book.published, evidence, rows[0][4]) == [("unknown_state", "status reads puzzling")]


def test_what_acronis_counts_says_what_to_do_before_it_is_approved(book: Book) -> None:
    said = ask(
        book.published,
        "select service_id, explanation like '%compare them with its own usage report before approving.' "
        "from marts.discrepancies where client_id = ? and kind = 'no_contract'",
        KNOWN,
    )
    assert {service for service, is_warned in said if is_warned} == {"acronis-usages"}
    assert len(said) > 5


@each_list
def test_every_column_a_rule_judges_by_lists_what_else_is_known(vendor: str, endpoint: str) -> None:
    """What is ours has no word we do not know, and an unknown SKU waits for a mapping; any other column has states."""
    listed = VENDORS[vendor].endpoint(endpoint)
    ours = {c.name for c in columns(listed.record) if c.description.startswith("Ours")}
    judged = {rule.field for rule in listed.rules if is_literal(rule.pattern)}
    assert judged - ours - {sku_columns()[vendor, endpoint]} - set(listed.states) == set()


@each_list
def test_no_state_is_both_known_and_excluded(vendor: str, endpoint: str) -> None:
    listed = VENDORS[vendor].endpoint(endpoint)
    known = [(column, state) for column, states in listed.states.items() for state in states]
    assert [s for s in known for rule in listed.rules if rule.field == s[0] and fits(rule.pattern, s[1])] == []
