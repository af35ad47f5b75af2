"""The raw tables: all there from the start, growing with the vendor pages, and copies rewritten whole."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pandas as pd
import pytest

from morton_pipeline.extract.vendor import Endpoint
from morton_pipeline.vendors import VENDORS
from morton_pipeline.vendors.ninjaone import Device
from morton_pipeline.warehouse import diff, journal, layout, tables
from morton_pipeline.warehouse.load import load
from morton_pipeline.warehouse.lock import connect
from morton_pipeline.warehouse.scopes import allowed_age_minutes, longest_pause_minutes

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)

DECISION = {
    "decision_id": "d1", "discrepancy_id": "a1b2c3d4e5f6", "version": 1, "action": "approve", "seal": "00",
    "period_month": date(2026, 11, 1), "client_id": "contoso", "service_id": "rmm", "kind": "under_billed",
    "quantity": Decimal(7), "amount": Decimal("94.5"), "currency": "USD", "reason": "", "decided_by": "Dana",
    "decided_at": pd.Timestamp("2026-11-23T08:00:00+02:00"), "until_on": None, "undoes": None,
    "cause": None, "is_latest": True,
}  # fmt: skip


def empty(name):
    table = next(t for t in layout.LEDGER if t.name == name)
    return pd.DataFrame(columns=[f.name for f in table.fields])


def test_every_vendors_list_has_its_described_table(query):
    for vendor in VENDORS.values():
        for endpoint in vendor.endpoints:
            table = layout.record_table(vendor.name, endpoint.name)
            found = query(
                "select column_name, comment from duckdb_columns() where schema_name = ? and table_name = ? "
                "order by column_index",
                f"raw_{vendor.name}",
                endpoint.name,
            )
            assert found == [(f.name, f.comment) for f in table.fields]
    assert query(
        "select comment from duckdb_tables() where schema_name = 'raw_ninjaone' and table_name = 'devices'"
    ) == [(VENDORS["ninjaone"].endpoint("devices").description,)]


def test_a_column_declared_later_is_added_and_changes_no_record(book, take, devices, query):
    take(devices(40))
    query("alter table raw_ninjaone.devices drop column dns_name")
    same = take(devices(40), at=1)
    assert (same.added_count, same.changed_count, same.removed_count) == (0, 0, 0)
    assert take(devices(40, dnsName="pc.example.com"), at=2).changed_count == 40
    assert query("select count(*), count(dns_name) from raw_ninjaone.devices") == [(80, 40)]


def test_a_records_hash_does_not_know_of_columns_it_lacks():
    narrow = [layout.Field("name", "varchar", ""), layout.Field("is_on", "boolean", "")]
    wide = [layout.Field("added_later", "bigint", ""), *narrow]
    with duckdb.connect() as con:
        con.execute("create table t as select null::bigint as added_later, 'PC' as name, true as is_on")
        hashes = con.execute(f"select {diff._hash(narrow)}, {diff._hash(wide)} from t").fetchone()
    assert hashes[0] == hashes[1]


def test_a_file_from_before_a_column_was_declared_is_applied_without_it(book, take, devices, query, monkeypatch):
    loaded = take(devices(3, dnsName="pc.example.com"))
    read = journal.read_changes
    monkeypatch.setattr(journal, "read_changes", lambda *file: read(*file).drop_columns(["dns_name"]))
    book.warehouse.unlink()
    assert query(
        "select count(*), count(dns_name), count(system_name), any_value(extraction_id) from raw_ninjaone.devices"
    ) == [(3, 0, 3, loaded.extraction_id)]


def test_a_type_that_changed_is_converted_or_refused(book, query):
    query("alter table raw_ninjaone.devices alter column created type varchar")
    assert query("select data_type from duckdb_columns() where table_name = 'devices' and column_name = 'created'") == [
        ("DECIMAL(28,9)",)
    ]
    query("insert into raw_ninjaone.devices (record_key) values ('1')")
    with connect(book, "test") as con:
        con.execute("alter table raw_ninjaone.devices alter column created type varchar")
        con.execute("update raw_ninjaone.devices set created = 'yesterday'")
    with pytest.raises(tables.TableNotFitting, match="yesterday"):
        query("select 1")


def test_a_second_look_creates_nothing(book):
    with connect(book, "test") as con:
        assert tables.ensure(con) is None
        con.begin()  # a statement would open a transaction inside this one, and fail
        tables.ensure(con)
        con.rollback()


def test_a_vendor_page_cannot_take_a_name_the_warehouse_uses():
    class Clash(Device):
        valid_from: str

    with pytest.raises(ValueError, match=r"things declares \['valid_from'\]"):
        layout._record_table("ninjaone", Endpoint("things", Clash, "Things."))


@pytest.mark.parametrize(
    ("cron", "minutes"),
    [
        pytest.param("0 * * * *", 60, id="hourly"),
        pytest.param("*/2 * * * *", 2, id="every other minute"),
        pytest.param("0 2 * * *", 1440, id="nightly"),
        pytest.param("0 0,1 * * *", 23 * 60, id="twice a night"),
        pytest.param("0 6 * * 1-5", 3 * 1440, id="working days"),
        pytest.param("*/15 9-17 * * *", 15 * 60 + 15, id="working hours"),
        pytest.param("0 0 1 * *", 31 * 1440, id="monthly"),
        pytest.param("30 3 1 1 *", 365 * 1440, id="yearly"),
    ],
)
def test_the_longest_pause_of_a_schedule(cron, minutes):
    assert longest_pause_minutes(cron, 2026) == minutes


def test_a_scope_of_a_vendor_nobody_reads_any_more_has_no_allowed_age():
    assert allowed_age_minutes(("old", "forgotten_vendor", "devices", ""), None, AT) is None


def test_scopes_are_what_is_connected_and_what_once_was(book, extraction, users, devices, query):
    load(book, [extraction(users(1), tenant=t, connection="m365") for t in ("contoso", "gone")])
    load(book, [extraction(devices(1), connection="sold")])
    with connect(book, "test") as con:
        for _ in range(2):
            tables.write_sources(con, book, {}, AT)
    found = query(
        "select connection_id, endpoint, tenant_id, tenant_name, allowed_age_minutes, is_connected "
        "from raw.scopes order by all"
    )
    assert [row for row in found if row[0] == "ninjaone"] == [
        ("ninjaone", "devices", "", "", 120, True), ("ninjaone", "organizations", "", "", 120, True)
    ]  # fmt: skip
    assert [row for row in found if row[1] == "users"] == [
        ("m365", "users", "contoso", "Contoso", 2 * 3 * 1440, True),
        ("m365", "users", "fabrikam", "Fabrikam", 2 * 3 * 1440, True),
        ("m365", "users", "gone", "Gone", 2 * 1440, False),
    ]
    assert [row for row in found if row[0] == "sold"] == [("sold", "devices", "", "", 120, False)]
    assert len(found) == 2 + 2 * 4 + 1 + 1


def test_a_connection_that_lists_its_own_tenants_has_those_it_has_seen(book, extraction, users, query):
    text = (book.root / "connections.yaml").read_text()
    (book.root / "connections.yaml").write_text(
        text[: text.index("tenants: [")] + "tenants: auto\n    partner_tenant: partner\n"
    )
    scopes = "select distinct tenant_id, is_connected from raw.scopes where connection_id = 'm365' order by all"

    def rewritten():
        with connect(book, "test") as con:
            tables.write_sources(con, book, {}, AT)
        return query(scopes)

    assert rewritten() == [("", True)]
    load(book, [extraction(None, connection="m365", error="The tenants could not be listed.")])
    assert rewritten() == [("", True)]
    load(book, [extraction(users(1), 1, tenant="contoso", connection="m365")])
    assert rewritten() == [("contoso", True)]
    assert query("select count(*) from raw.scopes where tenant_id = 'contoso'") == [(4,)]


def test_every_vendor_is_called_as_it_writes_itself_accounting_systems_too(book, query):
    with connect(book, "test") as con:
        tables.write_sources(con, book, {}, AT)
    titles = dict(query("from raw.tools"))
    assert titles["quickbooks_online"] == "QuickBooks Online"
    assert titles == {v.name: v.title for v in VENDORS.values()}


def test_vendor_rules_are_those_of_the_pages(book, query):
    with connect(book, "test") as con:
        tables.write_sources(con, book, {}, AT)
    assert (
        "ninjaone",
        "devices",
        "approval_status",
        "PENDING",
        "pending",
        "The device waits for approval in NinjaOne.",
    ) in query("from raw.vendor_rules")
    assert ("ninjaone", "devices", "approval_status", "APPROVED", "", "") in query("from raw.vendor_rules")
    endpoints = [e for v in VENDORS.values() for e in v.endpoints]
    assert query("select rule_name <> '' as is_rule, count(*) from raw.vendor_rules group by all order by all") == [
        (False, sum(len(states) for e in endpoints for states in e.states.values())),
        (True, sum(len(e.rules) for e in endpoints)),
    ]


def test_the_ledgers_copies_are_typed_also_when_empty(book, query):
    with connect(book, "test") as con:
        tables.write_sources(con, book, {t.name: empty(t.name) for t in layout.LEDGER}, AT)
    found = query("select data_type from duckdb_columns() where table_name = 'exclusions' order by column_index")
    assert found[-2:] == [("DATE",), ("DATE",)]


def test_the_ledgers_copies_are_rewritten_whole(book, query):
    with connect(book, "test") as con:
        tables.write_sources(con, book, {"decisions": pd.DataFrame([DECISION, {**DECISION, "decision_id": "d2"}])}, AT)
        tables.write_sources(con, book, {"decisions": pd.DataFrame([DECISION])}, AT)
    assert query("select decision_id, amount, decided_at, until_on, is_latest from raw_ledger.decisions") == [
        ("d1", Decimal("94.5000"), datetime(2026, 11, 23, 6), None, True)  # noqa: DTZ001
    ]


def test_a_copy_that_cannot_be_written_leaves_all_as_they_were(book, query):
    with connect(book, "test") as con:
        tables.write_sources(con, book, {"decisions": pd.DataFrame([DECISION])}, AT)
        finer = pd.DataFrame([{**DECISION, "amount": Decimal("1.00001")}])
        with pytest.raises(ValueError, match="data loss"):
            tables.write_sources(con, replace(book), {"exclusions": empty("exclusions"), "decisions": finer}, AT)
    assert query("select amount from raw_ledger.decisions") == [(Decimal("94.5"),)]
    assert query("select count(*) > 0 from raw.vendor_rules") == [(True,)]


def test_a_frame_that_does_not_fit_its_table_is_refused(book):
    with connect(book, "test") as con:
        with pytest.raises(ValueError, match=r"does not declare \['approvals'\]"):
            tables.write_sources(con, book, {"approvals": pd.DataFrame()}, AT)
        with pytest.raises(ValueError, match=r"differ in \['seal'\]"):
            tables.write_sources(con, book, {"decisions": empty("decisions").drop(columns="seal")}, AT)
