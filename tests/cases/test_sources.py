"""Cases 1-11: a number is known, zero, unknown, partial or stale, and the five are never confused."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tests.cases.scenario import FIRST, LATER, NOW, Mart, Scenario

WEST_IS_DOWN = datetime(2026, 11, 10, 21, tzinfo=UTC)


def given_a_source_that_is_down(msp: Scenario) -> None:
    for client in ("west-old", "west-new", "west-auckland"):
        msp.client(client, time_zone="Pacific/Auckland" if client == "west-auckland" else "")
        msp.devices(client, 3, connection="rmm-west")
    msp.contract("west-old", "workstation", 2, "10")
    msp.contract("west-new", "workstation", 3, "10", effective_to="2026-11-15")
    msp.contract("west-new", "workstation", 2, "10", effective_from="2026-11-15")
    msp.contract("west-auckland", "workstation", 3, "10")
    # Read on the 10th in UTC, which is the 11th in Auckland, an hour before the tool went down.
    msp.devices("west-auckland", 1, connection="rmm-west", since=datetime(2026, 11, 10, 20, tzinfo=UTC))
    msp.fail("rmm-west", since=WEST_IS_DOWN)


def given_one_tenant_of_four_that_fails(msp: Scenario) -> None:
    for tenant in ("forty-1", "forty-2", "forty-3", "forty-4"):
        msp.client(tenant)
        msp.licences(tenant, 5)
        msp.contract(tenant, "seat", 4, "20")
    msp.fail("m365", "forty-3", since=date(2026, 11, 19))


def given_a_tenant_that_was_never_read(msp: Scenario) -> None:
    msp.client("silent-tenant")
    msp.licences("silent-tenant", 5)
    msp.contract("silent-tenant", "seat", 4, "20")
    msp.fail("m365", "silent-tenant", since=FIRST)


def given_an_answer_that_is_suddenly_empty(msp: Scenario) -> None:
    msp.client("emptied")
    msp.licences("emptied", 6, until=date(2026, 11, 5))
    msp.contract("emptied", "seat", 5, "20")


def given_a_jump_beyond_belief(msp: Scenario) -> None:
    msp.client("jumped")
    msp.licences("jumped", 11)
    msp.licences("jumped", 20, since=date(2026, 11, 5))
    msp.contract("jumped", "seat", 10, "20")


def given_a_client_who_really_has_none(msp: Scenario) -> None:
    msp.client("none-left")
    msp.devices("none-left", 4, until=date(2026, 11, 5))
    msp.contract("none-left", "workstation", 4, "10")


def given_a_vendor_that_renamed_a_field(msp: Scenario) -> None:
    msp.client("drifted")
    users = msp.licences("drifted", 4)
    msp.contract("drifted", "seat", 3, "20")
    msp.change(users, date(2026, 11, 5), skuPartNumber=None)


def given_contracts_nothing_counts(msp: Scenario) -> None:
    msp.service("backup", "device", "60")
    msp.client("unchecked")
    msp.devices("unchecked", 2)
    msp.contract("unchecked", "workstation", 2, "10")
    msp.contract("unchecked", "backup", 3, "50")
    msp.contract("unchecked", "seat", 3, "20")
    msp.service("retainer", "other", "500")
    msp.contract("unchecked", "retainer", 1, "500", "flat")


def given_a_mapping_to_a_company_that_does_not_exist(msp: Scenario) -> None:
    msp.client("mistyped")
    msp.devices("mistyped-really", 4, is_mapped=False)
    msp.mapping("mistyped", "rmm", "mistyped-realy")
    msp.contract("mistyped", "workstation", 4, "10")


def given_a_company_the_vendor_removed(msp: Scenario) -> None:
    msp.client("removed-there")
    msp.remove([*msp.devices("removed-there", 2), "removed-there"], date(2026, 11, 5))
    msp.contract("removed-there", "workstation", 2, "10")


def test_case_1_a_source_that_is_down_keeps_its_last_rows_with_their_age(mart: Mart) -> None:
    row = mart.row("west-old")
    assert (row["source_state"], row["variance_quantity"], row["variance_amount"]) == ("stale", 1, 10)
    assert str(row["source_as_of_at"]) == "2026-11-10 20:00:00"
    assert "Last complete reading 2026-11-10 20:00:00" in row["explanation"]


def test_case_1_a_source_that_is_down_makes_no_new_row(mart: Mart) -> None:
    assert mart.rows("west-new") == []


def test_case_6_what_was_seen_in_the_last_reading_stays_where_the_client_is_ahead_of_utc(mart: Mart) -> None:
    row = mart.row("west-auckland")
    assert (row["source_state"], row["variance_quantity"], row["began_on"]) == ("stale", 1, date(2026, 11, 11))


def test_case_3_one_failing_tenant_makes_only_that_tenant_stale(mart: Mart) -> None:
    states = {client: mart.row(client)["source_state"] for client in ("forty-1", "forty-2", "forty-3", "forty-4")}
    assert states == {"forty-1": "known", "forty-2": "known", "forty-3": "stale", "forty-4": "known"}


def test_a_tenant_that_was_never_read_is_unknown_and_not_zero(mart: Mart) -> None:
    (row,) = mart.rows("silent-tenant", month=None)
    assert (row["kind"], row["source_state"], row["observed_quantity"]) == ("not_audited", "unknown", None)
    found = mart.ask("select distinct state from marts.source_health where tenant_id = 'silent-tenant'")
    assert found == [{"state": "unknown"}]


def test_case_2_an_empty_answer_after_records_is_held(mart: Mart) -> None:
    row = mart.row("emptied")
    assert (row["kind"], row["observed_quantity"], row["source_state"]) == ("under_billed", 6, "stale")
    held = mart.ask(
        "select last_error from marts.source_health where tenant_id = 'emptied' and endpoint = 'user_licenses'"
    )
    assert held == [{"last_error": "No records where there were 6."}]


def test_case_7_a_jump_beyond_belief_is_held(mart: Mart) -> None:
    row = mart.row("jumped")
    assert (row["observed_quantity"], row["source_state"]) == (11, "stale")


def test_case_5_a_genuine_zero_is_recorded_and_raises_a_row(mart: Mart) -> None:
    row = mart.row("none-left")
    assert (row["kind"], row["observed_quantity"], row["source_state"]) == ("no_usage", 0, "zero")
    assert (row["variance_amount"], row["began_on"]) == (-40, date(2026, 11, 5))
    removed = mart.evidence(row)
    assert [(e["change"], e["bucket_reason"], e["last_seen_on"]) for e in removed] == [
        ("removed", "gone", date(2026, 11, 4))
    ] * 4


def test_case_10_a_renamed_field_is_set_aside_and_never_counted_as_zero(mart: Mart) -> None:
    row = mart.row("drifted")
    assert (row["observed_quantity"], row["source_state"]) == (4, "partial")


def test_case_11_what_nothing_could_count_is_not_audited(mart: Mart) -> None:
    rows = {r["service_id"]: r for r in mart.rows("unchecked")}
    assert {s: r["kind"] for s, r in rows.items()} == {"backup": "not_audited", "seat": "not_audited"}
    assert rows["backup"]["observed_quantity"] is None
    assert rows["backup"]["variance_amount"] is None
    assert rows["backup"]["source_state"] == "unknown"
    assert "it was not checked" in rows["backup"]["explanation"]


def test_a_company_the_vendor_never_listed_is_not_audited_and_not_zero(mart: Mart) -> None:
    assert mart.row("mistyped")["kind"] == "not_audited"
    assert mart.row(None, client_name="Mistyped-Really")["kind"] == "unmapped_company"


def test_a_company_the_vendor_lists_no_more_is_a_known_zero(mart: Mart) -> None:
    row = mart.row("removed-there")
    assert (row["kind"], row["source_state"], row["began_on"]) == ("no_usage", "zero", date(2026, 11, 5))


def test_a_day_nobody_looked_at_is_stale(mart: Mart) -> None:
    found = mart.ask(
        "select quantity_on, source_state from marts.daily_quantities where client_id = 'measured-late' "
        "and quantity_on in ('2026-10-19', '2026-10-25', '2026-11-05')"
    )
    states = {f"{r['quantity_on']:%m-%d}": r["source_state"] for r in found}
    assert states == {"10-19": "known", "10-25": "stale", "11-05": "known"}


def test_every_record_read_stands_in_exactly_one_bucket(after: Mart) -> None:
    counted = {"ninjaone": "devices", "huntress": "agents", "microsoft365": "user_licenses"}
    for vendor, endpoint in {**counted, "microsoft365 ": "subscribed_skus"}.items():
        raw = f"select count(*) as records from raw_{vendor.strip()}.{endpoint} where valid_to is null"
        held = (
            "select count(*) as records, count(distinct record_path) as paths from intermediate.int_records_bucketed "
            f"where vendor = '{vendor.strip()}' and endpoint = '{endpoint}'"
        )
        (listed,), (bucketed,) = after.ask(raw, from_warehouse=True), after.ask(held, from_warehouse=True)
        assert listed["records"] == bucketed["records"] == bucketed["paths"] > 0, endpoint


def test_case_8_the_same_records_again_change_nothing(mart: Mart, after: Mart) -> None:
    same = ("kind", "observed_quantity", "variance_quantity", "variance_amount", "began_on", "seal", "status")
    for client in ("forty-1", "none-left", "unchecked"):
        first, second = ([{c: r[c] for c in same} for r in m.rows(client)] for m in (mart, after))
        assert first == second


def test_a_month_can_be_built_again_as_it_was_known(mart: Mart, replayed: Mart, told: object) -> None:
    sql = "select * exclude (status, decided_by, decided_at) from marts.discrepancies where client_id in ('{}') order by discrepancy_id"
    clients = "', '".join(["west-old", "west-auckland", "forty-3", "emptied", "none-left", "drifted", "jumped"])
    assert replayed.ask(sql.format(clients)) == mart.ask(sql.format(clients))
    assert NOW < LATER


@pytest.mark.parametrize("column", ["unit_price", "variance_amount", "accumulated_amount", "recoverable_amount"])
def test_case_69_no_money_is_a_float(mart: Mart, column: str) -> None:
    row = mart.row("forty-1")
    assert isinstance(row[column], Decimal)
