"""Cases 26 and 47: what a SKU contains counts once for who holds it, also where they pay the vendor for it themselves."""

from datetime import date

from tests.cases.scenario import Mart, Scenario


def given_skus_that_contain_others(msp: Scenario) -> None:
    msp.service("biz", "licence", "20", unit_cost="15")
    msp.maps("biz", "microsoft365", "user_licenses", "sku_part_number", "BIZ")
    msp.service("shield-plan", "licence", "5", unit_cost="3")
    msp.maps("shield-plan", "microsoft365", "user_licenses", "sku_part_number", "SHIELD_PLAN")
    msp.includes("TOP", "biz", "Nothing_That_Is_Sold")
    msp.includes("BIZ", "SHIELD_PLAN")


def given_people_who_hold_them(msp: Scenario) -> None:
    msp.client("within")
    holders = msp.licences("within", 3, "BIZ")
    msp.licences("within", 1, "SHIELD_PLAN", users=holders[:1])
    msp.licences("within", 1, "SHIELD_PLAN")
    msp.licences("within", 1, "BIZ", userPurpose="shared")
    msp.bought("within", "SHIELD_PLAN", 3)
    msp.contract("within", "biz", 3, "20")
    msp.contract("within", "shield-plan", 3, "5")
    msp.client("within-deep")
    both = msp.licences("within-deep", 2, "TOP")
    msp.licences("within-deep", 1, "BIZ", users=both[:1])
    msp.bought("within-deep", "OTHER", 1)
    msp.contract("within-deep", "shield-plan", 1, "5")
    msp.contract("within-deep", "biz", 1, "20")


def given_somebody_who_held_it_outright_for_a_while(msp: Scenario) -> None:
    msp.client("within-and-out")
    holders = msp.licences("within-and-out", 2, "BIZ")
    msp.licences(
        "within-and-out", 1, "SHIELD_PLAN", users=holders[:1], since=date(2026, 11, 5), until=date(2026, 11, 12)
    )
    msp.contract("within-and-out", "biz", 2, "20")
    msp.contract("within-and-out", "shield-plan", 2, "5")


def given_a_client_who_pays_the_vendor(msp: Scenario) -> None:
    msp.service("suite", "licence", "30")
    msp.maps("suite", "microsoft365", "user_licenses", "sku_part_number", "SUITE")
    msp.service("helpdesk", "user", "50")
    msp.maps("helpdesk", "microsoft365", "user_licenses", "sku_part_number", "HELPDESK")
    msp.includes("SUITE", "HELPDESK")
    msp.client("self-pay")
    msp.licences("self-pay", 4, "SUITE")
    msp.exclusion(exclusion_id="own-suite", client_id="self-pay", service_id="suite", name_pattern="*")
    msp.contract("self-pay", "helpdesk", 3, "50")


def test_case_26_a_contained_sku_counts_once_for_who_holds_the_other(mart: Mart) -> None:
    row = mart.row("within")
    # Three hold it within another licence, one of them outright as well, and a fourth only outright.
    assert (row["service_id"], row["observed_quantity"], row["variance_amount"]) == ("shield-plan", 4, 5)


def test_case_26_the_evidence_leads_to_the_licence_that_contains_it(mart: Mart) -> None:
    found = mart.evidence(mart.row("within"), bucket="billed")
    assert sorted(e["bucket_reason"] for e in found) == [
        "",
        "included in BIZ",
        "included in BIZ",
        "redundant: included in BIZ",
    ]
    real = mart.ask("select record_id from intermediate.int_records_bucketed where client_id = 'within' and sku = 'BIZ'", from_warehouse=True)  # fmt: skip
    assert {e["record_id"] for e in found if "BIZ" in e["bucket_reason"]} < {r["record_id"] for r in real}


def test_case_26_every_real_record_stays_in_one_bucket(mart: Mart) -> None:
    assert mart.buckets("within") == {
        ("billed", ""): 4,
        ("billed", "redundant: included in BIZ"): 1,
        ("excluded", "shared_mailbox"): 1,
        ("coverage_only", "bought, shown for comparison"): 1,
    }


def test_case_26_a_redundant_licence_is_waste(mart: Mart) -> None:
    row = mart.margin("within", "shield-plan")
    # Three are bought and two assigned, one of those to somebody who has it anyway.
    assert (row["purchased_quantity"], row["assigned_quantity"], row["redundant_quantity"]) == (3, 2, 1)
    assert (row["waste_quantity"], row["waste_amount"], row["finding"]) == (2, 6, "waste")
    assert "1 of them to people who have it within another licence" in row["explanation"]
    assert "2 bought and not needed, 6.00 USD a month" in row["explanation"]


def test_case_26_a_sku_contains_what_those_within_it_contain(mart: Mart) -> None:
    found = {r["service_id"]: r for r in mart.rows("within-deep", kind="under_billed")}
    assert {service: row["observed_quantity"] for service, row in found.items()} == {"biz": 2, "shield-plan": 2}
    assert [e["bucket_reason"] for e in mart.evidence(found["biz"])] == [
        "redundant: included in TOP",
        "included in TOP",
    ]


def test_case_26_what_comes_with_another_licence_has_no_cost_of_its_own(mart: Mart) -> None:
    assert mart.margin("within-deep", "shield-plan")["cost_amount"] == 0
    assert (
        "2 counted in Microsoft 365, 2 of them within another licence"
        in mart.margin("within-deep", "shield-plan")["explanation"]
    )


def test_case_26_holding_it_outright_for_a_while_changes_no_count(mart: Mart) -> None:
    assert mart.rows("within-and-out", month=None) == []
    days = mart.ask(
        "select distinct observed_quantity from marts.daily_quantities where client_id = 'within-and-out' and service_id = 'shield-plan'"
    )
    assert days == [{"observed_quantity": 2}]


def test_case_47_who_pays_the_vendor_is_still_counted_for_the_service_by_the_user(mart: Mart) -> None:
    row = mart.row("self-pay")
    assert (row["service_id"], row["kind"], row["observed_quantity"], row["variance_amount"]) == (
        "helpdesk",
        "under_billed",
        4,
        50,
    )
    assert mart.buckets("self-pay") == {("excluded", "exclusion own-suite"): 4}
    assert {e["bucket_reason"] for e in mart.evidence(row)} == {"included in SUITE"}
