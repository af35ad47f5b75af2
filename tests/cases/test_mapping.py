"""Cases 12-18: who a record belongs to, and what it is."""

from datetime import date
from decimal import Decimal

from tests.cases.scenario import Mart, Scenario


def given_companies_and_skus_nobody_mapped(msp: Scenario) -> None:
    msp.devices("stranger", 3, is_mapped=False)
    msp.devices("stranger", 1, is_mapped=False, since=date(2026, 11, 11))
    msp.client("oddments")
    msp.licences("oddments", 2, "VISIOCLIENT", since=date(2026, 11, 11))
    for spelling in ("Visio Plan 2", "VISIO PLAN 2"):
        msp.service(spelling, "licence", "18")
    # The company was another client's twice before: a record must not be counted once per mapping.
    msp.client("former-owner")
    msp.mapping("former-owner", "m365", "oddments", effective_to="2026-01-01")
    msp.seeds["company_mappings"] = [
        {**r, "effective_from": "2026-02-01"} if (r["client_id"], r["company_id"]) == ("oddments", "oddments") else r
        for r in msp.seeds["company_mappings"]
    ]
    # A company that changed hands twice and belongs to nobody now.
    msp.devices("orphan", 2, is_mapped=False)
    msp.mapping("former-owner", "rmm", "orphan", effective_to="2026-01-01")
    msp.mapping("oddments", "rmm", "orphan", effective_from="2026-02-01", effective_to="2026-03-01")


def given_a_mapping_that_begins_in_november(msp: Scenario) -> None:
    msp.client("moved-out")
    msp.client("moved-in")
    msp.devices("moving", 8, is_mapped=False)
    msp.mapping("moved-out", "rmm", "moving", effective_to="2026-11-11")
    msp.mapping("moved-in", "rmm", "moving", effective_from="2026-11-11")
    msp.contract("moved-out", "workstation", 6, "10")
    msp.contract("moved-in", "workstation", 10, "30")


def given_companies_that_change_hands_where_it_is_another_day(msp: Scenario) -> None:
    """It is the 20th in UTC, and the 21st on Kiritimati."""
    for client, zone in (("of-today", ""), ("of-tomorrow", "Pacific/Kiritimati")):
        msp.client(client, time_zone=zone)
    for company, old, new in (("gained", "of-today", "of-tomorrow"), ("lost", "of-tomorrow", "of-today")):
        msp.devices(company, 2, is_mapped=False)
        msp.mapping(old, "rmm", company, effective_to="2026-11-21")
        msp.mapping(new, "rmm", company, effective_from="2026-11-21")


def given_a_client_with_two_sites_and_two_rmms(msp: Scenario) -> None:
    msp.client("sites")
    msp.devices("sites", 3, site="sites-north")
    msp.devices("sites", 4, site="sites-south")
    msp.devices("sites", 2, site="sites-closed", until=date(2026, 10, 15))
    msp.contract("sites", "workstation", 6, "10")
    # Its mapping ends on a day of its own.
    for row in msp.seeds["company_mappings"]:
        row.update({"effective_to": "2026-11-01"} if row["company_id"] == "sites-closed" else {})


def given_our_own_company(msp: Scenario) -> None:
    msp.client("ourselves", status="internal")
    msp.devices("ourselves", 3)


def given_a_mapping_with_a_priority_and_dates(msp: Scenario) -> None:
    msp.service("kiosk", "device", "9")
    msp.maps("kiosk", "ninjaone", "devices", "display_name", "KIOSK*", priority="10")
    msp.client("kiosks")
    msp.devices("kiosks", 2, displayName="Kiosk hall")
    msp.devices("kiosks", 1, displayName="Desk")
    msp.contract("kiosks", "workstation", 1, "10")
    msp.service("penguin", "device", "12")
    msp.maps("penguin", "ninjaone", "devices", "node_class", "LINUX_WORKSTATION", effective_from="2026-11-11")
    msp.client("penguins")
    msp.devices("penguins", 2, nodeClass="LINUX_WORKSTATION")


def given_mappings_of_one_priority(msp: Scenario) -> None:
    """The alphabet would have it otherwise: there a star comes before letters."""
    for service, pattern in (("any-plan", "Plan*"), ("long-plan", "PlanZeta*"), ("named-plan", "PlanZetaMax")):
        msp.service(service, "mailbox", "1")
        msp.maps(service, "shield", "records", "sku", pattern)
    msp.client("plans")
    for plan in ("PlanZetaMax", "PlanZetaMini", "PlanB"):
        msp.reported("plans", plan, "1")
    # Two columns that claim one record alike.
    msp.service("by-unit", "device", "1")
    msp.service("by-name", "device", "1")
    msp.maps("by-unit", "ninjaone", "devices", "node_class", "NAS_BOX")
    msp.maps("by-name", "ninjaone", "devices", "display_name", "Archive")
    msp.client("claimed-alike")
    msp.devices("claimed-alike", 1, nodeClass="NAS_BOX", displayName="Archive")


def test_case_12_an_unmapped_company_has_a_row_with_its_money(mart: Mart) -> None:
    row = mart.row(None, client_name="Stranger")
    assert (row["kind"], row["observed_quantity"], row["variance_amount"]) == ("unmapped_company", 4, 160)
    assert row["is_estimate"]
    # 3 since 10 September: 21/30 + 1 + 20/30 months; 1 since 11 November: 10/30 of a month; 40.00 each.
    months = 3 * (Decimal(21) / 30 + 1 + Decimal(20) / 30) + Decimal(10) / 30
    assert abs(row["accumulated_amount"] - 40 * months) < Decimal("0.01")
    assert len(mart.evidence(row, bucket="unmapped")) == 4


def test_case_12_an_unmapped_sku_is_priced_where_a_service_has_its_name(mart: Mart) -> None:
    row = mart.row("oddments")
    assert (row["kind"], row["service_id"], row["service_name"]) == ("unmapped_sku", None, "Visio Plan 2")
    assert (row["observed_quantity"], row["variance_amount"]) == (2, 36)
    # Two since 11 November: a third of a month at 18.00 each.
    assert row["accumulated_amount"] == 12


def test_case_12_a_company_whose_mappings_have_ended_is_unmapped_once(mart: Mart) -> None:
    row = mart.row(None, client_name="Orphan")
    assert (row["observed_quantity"], row["variance_amount"]) == (2, 80)


def test_case_14_a_mapping_counts_from_its_day(mart: Mart) -> None:
    row = mart.row("moved-in")
    assert (row["kind"], row["variance_quantity"], row["began_on"]) == ("over_billed", -2, date(2026, 11, 11))
    # Ten days of November, two too many at 30.00.
    assert row["accumulated_amount"] == -20


def test_case_14_months_before_the_mapping_keep_the_old_client(mart: Mart) -> None:
    assert mart.row("moved-out", month="2026-10")["variance_quantity"] == 2
    assert mart.rows("moved-in", month="2026-10") == []
    assert mart.row("moved-out")["kind"] == "not_audited"


def test_case_14_a_company_is_one_client_s_at_every_moment_though_their_days_differ(mart: Mart) -> None:
    """What the new client has gained on its day is no longer the old one's; until it does, it still is."""
    (gained,) = mart.ask("select distinct client_id from intermediate.int_records_bucketed where company_id = 'gained'", from_warehouse=True)  # fmt: skip
    (lost,) = mart.ask("select distinct client_id from intermediate.int_records_bucketed where company_id = 'lost'", from_warehouse=True)  # fmt: skip
    assert (gained["client_id"], lost["client_id"]) == ("of-tomorrow", "of-tomorrow")
    quantities = {client: [r["observed_quantity"] for r in mart.rows(client)] for client in ("of-today", "of-tomorrow")}
    assert quantities == {"of-today": [2], "of-tomorrow": [2]}, "each has its own day counted"


def test_case_15_the_sites_of_a_client_add_up(mart: Mart) -> None:
    row = mart.row("sites")
    assert (row["observed_quantity"], row["variance_amount"]) == (7, 10)
    assert mart.row("sites", month="2026-09")["observed_quantity"] == 9


def test_case_18_our_own_devices_are_seen_and_not_billed(mart: Mart) -> None:
    assert mart.rows("ourselves", month=None) == []
    assert mart.buckets("ourselves") == {("internal", "our own company"): 3}


def test_the_smallest_priority_decides_the_line(mart: Mart) -> None:
    assert [(r["service_id"], r["kind"], r["observed_quantity"]) for r in mart.rows("kiosks")] == [
        ("kiosk", "no_contract", 2)
    ]


def test_case_14_a_service_mapping_counts_from_its_day(mart: Mart) -> None:
    row = mart.row("penguins")
    assert (row["kind"], row["service_id"], row["began_on"]) == ("no_contract", "penguin", date(2026, 11, 11))
    assert row["variance_amount"] == 24


def test_of_mappings_of_one_priority_the_one_that_says_most_decides(mart: Mart) -> None:
    assert sorted(r["service_id"] for r in mart.rows("plans")) == ["any-plan", "long-plan", "named-plan"]
    assert {r["observed_quantity"] for r in mart.rows("plans")} == {1}


def test_what_two_mappings_claim_alike_is_neither_s_and_comes_up(mart: Mart) -> None:
    row = mart.row("claimed-alike")
    assert (row["kind"], row["service_id"]) == ("unmapped_sku", None)
    assert "mapped to by-name and to by-unit alike" in row["explanation"]
