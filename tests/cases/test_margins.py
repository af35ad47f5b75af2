"""Cases 22-25 and 68: what is bought, assigned and billed stand side by side, and what it costs is told in its currency."""

from datetime import date
from decimal import Decimal
from typing import Any

from tests.cases.scenario import Mart, Scenario


def given_a_licence_that_is_bought_and_assigned(msp: Scenario) -> None:
    msp.service("premium", "licence", "25", unit_cost="19", count_vendor="microsoft365")
    msp.maps("premium", "microsoft365", "user_licenses", "sku_part_number", "PREMIUM")
    msp.maps("premium", "pax8", "subscriptions", "product_name", "Premium*")
    msp.client("threefold")
    msp.bought("threefold", "PREMIUM", 48)
    msp.licences("threefold", 47, "PREMIUM")
    msp.subscribed("threefold", "Premium Plan", 50, cost="18.50")
    msp.contract("threefold", "premium", 40, "22")
    msp.client("direct")
    msp.bought("direct", "PREMIUM", 12, warning=2, suspended=5)
    msp.licences("direct", 15, "PREMIUM")
    msp.licences("direct", 1, "PREMIUM", userPurpose="shared")
    msp.licences("direct", 3, "PREMIUM", capabilityStatus="Suspended")
    msp.contract("direct", "premium", 15, "22")
    msp.client("nothing-bought")
    msp.bought("nothing-bought", "OTHER", 5)
    msp.licences("nothing-bought", 2, "PREMIUM")
    msp.contract("nothing-bought", "premium", 2, "22")
    msp.client("unsold")
    msp.bought("unsold", "PREMIUM", 3)


def given_licences_from_two_channels(msp: Scenario) -> None:
    for client, own in (("two-channels", 50), ("short-in-both", 45)):
        msp.client(client)
        msp.bought(client, "PREMIUM", own)
        msp.licences(client, 47, "PREMIUM")
        msp.subscribed(client, "Premium Plan", 40, cost="18")
        msp.contract(client, "premium", 47, "22")


def given_invoices_of_the_distributor(msp: Scenario) -> None:
    msp.client("charged")
    msp.licences("charged", 12, "PREMIUM")
    msp.contract("charged", "premium", 12, "22")
    plan = msp.subscribed("charged", "Premium Plan", 10, cost="18")
    add_on = msp.subscribed(
        "charged", "Premium Extra", 10, cost="1", parentSubscriptionId=plan, addOnName="Premium Extra"
    )
    msp.charged("charged", 10, "180", subscription=plan)
    msp.charged("charged", 2, "36", product="Premium Plan")
    msp.charged("charged", 10, "10", subscription=add_on)
    msp.charged("charged", 1, "9", subscription=plan, type="prorate")
    msp.charged("charged", 10, "180", subscription=plan, starts="2026-10-01", ends="2026-11-01")
    msp.charged("charged", 99, "999", subscription=plan, status="Void")
    msp.client("charged-after-all")
    msp.charged(
        "charged-after-all",
        4,
        "72",
        subscription=msp.subscribed("charged-after-all", "Premium Plan", 4, cost="18", status="Cancelled"),
    )
    msp.client("charged-by-the-year")
    plan = msp.subscribed("charged-by-the-year", "Premium Plan", 5, cost="200", term="Annual")
    msp.charged("charged-by-the-year", 5, "1000", subscription=plan, term="1 Year", ends="2027-11-01")


def given_a_product_that_is_sold_for_a_fixed_term(msp: Scenario) -> None:
    msp.client("fixed")
    msp.licences("fixed", 8, "PREMIUM")
    msp.contract("fixed", "premium", 8, "22")
    msp.product("Premium Fixed", requiresCommitment=True)
    msp.subscribed("fixed", "Premium Fixed", 9, cost="18")


def given_subscriptions_of_every_kind(msp: Scenario) -> None:
    for client, costs in (
        ("committed", [(10, {"cost": "18", "committed_until": "2027-03-01"})]),
        ("was-committed", [(10, {"cost": "18", "committed_until": "2026-11-19"})]),
        ("yearly", [(10, {"cost": "200", "term": "Annual"})]),
        ("doubled", [(4, {"cost": "18"}), (6, {"cost": "20"})]),
        ("half-priced", [(4, {"cost": "18"}), (6, {"cost": None})]),
        ("on-trial", [(10, {"cost": "18"}), (5, {"cost": "18", "status": "Trial"})]),
        ("two-currencies", [(4, {"cost": "18"}), (6, {"cost": "20", "currency": "EUR"})]),
    ):
        msp.client(client)
        msp.licences(client, 8, "PREMIUM")
        msp.contract(client, "premium", 8, "22")
        for quantity, more in costs:
            msp.subscribed(client, "Premium Plan", quantity, **more)  # type: ignore[arg-type]


def given_services_sold_below_their_cost(msp: Scenario) -> None:
    for client, currency, cost in (("undersold", "USD", "26"), ("undersold-too", "USD", "26"), ("abroad", "EUR", "30")):
        msp.client(client, currency=currency)
        msp.licences(client, 11, "PREMIUM")
        msp.contract(client, "premium", 10, "22")
        msp.subscribed(client, "Premium Plan", 10, cost=cost)
    msp.decide("undersold", "write_off", kind="below_cost", until=date(2027, 3, 1))
    msp.bill("undersold-too", kind="under_billed")
    msp.service("labour", "device", "9", unit_cost="12")
    msp.maps("labour", "ninjaone", "devices", "node_class", "APPLE_IPADOS")
    msp.client("cheap-labour")
    msp.devices("cheap-labour", 3, nodeClass="APPLE_IPADOS")
    msp.contract("cheap-labour", "labour", 3, "10")
    msp.client("flat-labour")
    msp.devices("flat-labour", 3, nodeClass="APPLE_IPADOS")
    msp.contract("flat-labour", "labour", 1, "10", "flat")


def given_agents_that_are_bought(msp: Scenario) -> None:
    msp.service("watch", "agent", "6", unit_cost="3", count_vendor="huntress")
    msp.maps("watch", "huntress", "agents", "platform", "linux")
    msp.maps("watch", "pax8", "subscriptions", "product_name", "Watch")
    msp.client("watched")
    msp.agents("watched", 3, platform="linux")
    msp.subscribed("watched", "Watch", 5, cost="2.50")
    msp.contract("watched", "watch", 3, "6")


def given_subscriptions_that_are_suspended(msp: Scenario) -> None:
    for client, bought in (("suspended-and-charged", 3), ("suspended-and-cancelled", 0), ("suspended-in-part", 2)):
        msp.client(client)
        users = msp.licences(client, 3, "PREMIUM")
        msp.change(users, date(2026, 11, 5), capabilityStatus="Suspended")
        msp.contract(client, "premium", 3, "22", effective_from="2026-09-01")
        if bought:
            msp.subscribed(client, "Premium Plan", bought, cost="18")


def given_tools_that_charge_for_more_than_is_there(msp: Scenario) -> None:
    msp.service("shielded", "mailbox", "3", count_vendor="shield")
    msp.maps("shielded", "shield", "records", "sku", "Floor")
    msp.maps("shielded", "pax8", "subscriptions", "product_name", "Shield Floor")
    msp.client("below-the-floor")
    msp.reported("below-the-floor", "Floor", "12")
    floor = msp.subscribed("below-the-floor", "Shield Floor", 30, cost="2")
    msp.charged("below-the-floor", 30, "60", subscription=floor)
    msp.contract("below-the-floor", "shielded", 12, "3")


def given_licences_nobody_could_read(msp: Scenario) -> None:
    msp.client("margin-stale")
    msp.bought("margin-stale", "PREMIUM", 10)
    msp.licences("margin-stale", 8, "PREMIUM")
    msp.contract("margin-stale", "premium", 8, "15")
    msp.fail("m365", "margin-stale", since=date(2026, 11, 19))


def given_a_contract_that_nothing_counts(msp: Scenario) -> None:
    msp.service("upkeep", "device", "60", unit_cost="20")
    msp.client("uncounted")
    msp.contract("uncounted", "upkeep", 3, "50")


def numbers(row: dict[str, Any], *names: str) -> list[Any]:
    return [row[name] for name in names]


def test_case_22_what_is_agreed_counted_bought_and_assigned_stand_side_by_side(mart: Mart) -> None:
    row = mart.margin("threefold", "premium")
    kept = ("contracted_quantity", "observed_quantity", "purchased_quantity", "assigned_quantity")
    assert numbers(row, *kept) == [40, 47, 50, 47]
    assert numbers(row, "count_vendor", "purchased_vendor", "assigned_vendor") == [
        "microsoft365",
        "pax8",
        "microsoft365",
    ]
    assert numbers(row, "waste_quantity", "waste_amount", "risk_quantity", "finding") == [
        3,
        Decimal("55.5"),
        0,
        "waste",
    ]
    assert numbers(row, "billed_amount", "cost_amount", "margin_amount", "unit_cost") == [
        880,
        925,
        -45,
        Decimal("18.5"),
    ]
    assert row["explanation"] == (
        "Threefold, Premium: 40 in the contract at 22.00 USD, 47 counted in Microsoft 365, 50 bought through Pax8, "
        "Microsoft 365 says 48 were bought, 47 assigned in Microsoft 365, 3 bought and not in use, 55.50 USD a month."
    )


def test_case_22_what_is_bought_in_two_places_is_no_risk_while_one_list_covers_it(mart: Mart) -> None:
    row = mart.margin("two-channels", "premium")
    assert numbers(row, "purchased_quantity", "risk_quantity", "waste_quantity", "finding") == [
        40,
        0,
        0,
        "lists_differ",
    ]
    assert row["explanation"].endswith(
        "40 bought through Pax8, Microsoft 365 says 50 were bought, 47 assigned in Microsoft 365, "
        "whether all in use is bought depends on which of the two is right."
    )


def test_case_22_what_exceeds_every_list_of_purchases_is_a_risk(mart: Mart) -> None:
    assert numbers(mart.margin("short-in-both", "premium"), "risk_quantity", "finding") == [2, "risk"]


def test_what_the_distributor_charges_for_the_month_stands_beside_what_is_bought(mart: Mart) -> None:
    row = mart.margin("charged", "premium")
    charged = ("distributor_invoiced_quantity", "distributor_invoiced_amount", "distributor_invoiced_currency")
    assert numbers(row, "purchased_quantity", *charged) == [10, 12, 216, "USD"]
    assert "12 invoiced by Pax8 this month for 216.00 USD" in row["explanation"]


def test_what_was_cancelled_and_is_charged_all_the_same_is_listed(mart: Mart) -> None:
    row = mart.margin("charged-after-all", "premium")
    assert numbers(row, "purchased_quantity", "distributor_invoiced_quantity", "cost_amount") == [None, 4, None]


def test_case_24_a_line_for_a_year_is_not_what_a_month_costs(mart: Mart) -> None:
    row = mart.margin("charged-by-the-year", "premium")
    assert numbers(row, "distributor_invoiced_quantity", "distributor_invoiced_amount") == [5, None]


def test_case_23_what_is_sold_for_a_fixed_term_only_says_so_where_it_is_spare(mart: Mart) -> None:
    assert (
        "1 bought and not in use, 18.00 USD a month, sold for a fixed term only"
        in (mart.margin("fixed", "premium")["explanation"])
    )


def test_case_22_what_is_not_in_use_is_a_matter_of_cost_and_not_of_billing(mart: Mart) -> None:
    row = mart.row("threefold")
    assert (row["kind"], row["variance_quantity"]) == ("under_billed", 7)
    assert mart.buckets("threefold")["coverage_only", "counted at microsoft365"] == 1


def test_case_22_without_a_distributor_the_vendors_own_number_stands(mart: Mart) -> None:
    row = mart.margin("direct", "premium")
    # Twelve and two past their end. Fifteen people and a shared mailbox use one up; a suspended licence is nobody's.
    assert numbers(row, "purchased_quantity", "assigned_quantity", "risk_quantity") == [14, 16, 2]
    assert numbers(row, "purchased_vendor", "finding", "cost_amount") == ["microsoft365", "risk", 14 * 19]


def test_case_5_a_list_of_purchases_without_the_sku_is_a_known_zero(mart: Mart) -> None:
    row = mart.margin("nothing-bought", "premium")
    assert numbers(row, "purchased_quantity", "risk_quantity") == [0, 2]
    # Nothing bought is no cost of nothing: what is counted is what it costs.
    assert row["cost_amount"] == 2 * 19


def test_what_is_bought_without_a_contract_is_listed(mart: Mart) -> None:
    row = mart.margin("unsold", "premium")
    assert numbers(row, "contracted_quantity", "unit_price", "billed_amount", "margin_amount") == [0, None, 0, -57]
    assert numbers(row, "waste_quantity", "finding") == [3, "waste"]


def test_case_23_until_its_commitment_ends_nothing_can_be_reduced(mart: Mart) -> None:
    row = mart.margin("committed", "premium")
    assert numbers(row, "waste_quantity", "commitment_ends_on") == [2, date(2027, 3, 1)]
    assert "2 bought and not in use, 36.00 USD a month, committed until 2027-03-01" in row["explanation"]
    assert "committed" not in mart.margin("was-committed", "premium")["explanation"].partition(":")[2]


def test_case_24_a_price_for_a_year_is_not_taken_for_one_of_a_month(mart: Mart) -> None:
    row = mart.margin("yearly", "premium")
    assert numbers(row, "purchased_quantity", "cost_amount", "margin_amount", "waste_amount") == [10, None, None, None]
    assert row["waste_quantity"] == 2
    assert "a price for the term Annual is not one for a month" in row["explanation"]


def test_case_24_several_subscriptions_add_up_and_each_has_its_price(mart: Mart) -> None:
    row = mart.margin("doubled", "premium")
    assert numbers(row, "purchased_quantity", "cost_amount", "unit_cost") == [10, 192, Decimal("19.2")]


def test_a_price_that_is_known_for_some_is_not_taken_for_all(mart: Mart) -> None:
    assert mart.margin("half-priced", "premium")["cost_amount"] == 190


def test_case_25_a_trial_is_not_bought(mart: Mart) -> None:
    assert mart.margin("on-trial", "premium")["purchased_quantity"] == 10


def test_case_68_costs_in_two_currencies_are_no_sum(mart: Mart) -> None:
    row = mart.margin("two-currencies", "premium")
    assert numbers(row, "purchased_quantity", "cost_amount", "cost_currency", "margin_amount") == [10, None, None, None]
    assert "bought in several currencies" in row["explanation"]


def test_case_68_a_cost_in_another_currency_than_the_price_gives_no_margin(mart: Mart) -> None:
    row = mart.margin("abroad", "premium")
    assert numbers(row, "currency", "cost_currency", "billed_amount", "cost_amount") == ["EUR", "USD", 220, 300]
    assert numbers(row, "margin_amount", "margin_share", "finding") == [None, None, "risk"]
    assert "no margin, as it costs USD and brings EUR and no rate is agreed" in row["explanation"]
    assert mart.rows("abroad", kind="below_cost") == []


def test_a_service_sold_below_its_cost_is_found(mart: Mart) -> None:
    assert mart.margin("undersold", "premium")["finding"] == "risk, below_cost"
    row = mart.row("undersold", kind="below_cost")
    assert numbers(row, "variance_quantity", "unit_price", "variance_amount", "is_estimate") == [10, 22, 40, True]
    assert numbers(row, "accumulated_amount", "recoverable_amount", "began_on") == [None, None, None]
    assert row["explanation"] == (
        "Undersold pays 22.00 USD for one Premium, which costs us 26.00 USD at Pax8: 10 bought lose 40.00 USD a month."
    )
    assert [(e["vendor"], e["quantity"], e["bucket_reason"]) for e in mart.evidence(row)] == [
        ("pax8", 10, "bought at 26.00 USD")
    ]


def test_what_is_lost_by_its_price_is_not_what_is_not_billed(mart: Mart) -> None:
    (row,) = mart.ask("select * from marts.client_leakage where client_id = 'undersold'")
    assert numbers(row, "under_billed_amount", "below_cost_amount", "open_row_count") == [22, 40, 2]


def test_a_service_below_its_cost_can_be_written_off_and_disturbs_no_other_row(mart: Mart, after: Mart) -> None:
    assert after.row("undersold", kind="below_cost")["status"] == "written_off"
    assert after.row("undersold", kind="under_billed")["status"] == "open"
    assert after.row("undersold", kind="under_billed")["seal"] == mart.row("undersold", kind="under_billed")["seal"]


def test_invoicing_the_variance_leaves_the_price_below_its_cost(after: Mart) -> None:
    assert after.row("undersold-too", kind="under_billed")["status"] == "invoiced"
    row = after.row("undersold-too", kind="below_cost")
    assert numbers(row, "status", "variance_amount") == ["open", 40]


def test_where_nothing_says_what_is_bought_the_listed_cost_of_what_is_counted_decides(mart: Mart) -> None:
    row = mart.row("cheap-labour")
    assert numbers(row, "kind", "variance_amount") == ["below_cost", 6]
    assert len(mart.evidence(row, vendor="ninjaone", bucket="billed")) == 3


def test_a_flat_fee_is_no_price_of_one(mart: Mart) -> None:
    assert mart.rows("flat-labour") == []
    row = mart.margin("flat-labour", "labour")
    assert numbers(row, "billed_amount", "cost_amount", "margin_amount", "finding") == [10, 36, -26, ""]


def test_what_is_deployed_is_in_use(mart: Mart) -> None:
    row = mart.margin("watched", "watch")
    assert numbers(row, "assigned_quantity", "assigned_vendor", "waste_quantity") == [3, "huntress", 2]
    assert "3 deployed in Huntress" in row["explanation"]


def test_case_1_what_is_not_fresh_shows_its_numbers_and_finds_nothing(mart: Mart) -> None:
    row = mart.margin("margin-stale", "premium")
    assert numbers(row, "purchased_quantity", "assigned_quantity", "source_state") == [10, 8, "stale"]
    assert numbers(row, "finding", "waste_quantity", "risk_quantity") == ["", None, None]
    assert row["explanation"].endswith("not everything behind it is fresh.")
    kept = mart.row("margin-stale", kind="below_cost")
    assert numbers(kept, "source_state", "variance_amount") == ["stale", 40]


def test_case_11_a_contract_that_nothing_counts_is_unknown(mart: Mart) -> None:
    row = mart.margin("uncounted", "upkeep")
    assert numbers(row, "observed_quantity", "purchased_quantity", "source_state") == [None, None, "unknown"]
    assert numbers(row, "cost_amount", "margin_amount", "finding") == [None, None, ""]


def test_case_21_what_is_suspended_and_still_charged_is_a_cost_and_no_decrease(mart: Mart) -> None:
    assert mart.rows("suspended-and-charged") == []
    row = mart.margin("suspended-and-charged", "premium")
    assert numbers(
        row, "contracted_quantity", "observed_quantity", "purchased_quantity", "waste_quantity", "waste_amount"
    ) == [3, 0, 3, 3, 54]
    assert row["finding"] == "waste"
    assert "3 suspended" in row["explanation"]


def test_case_21_what_nobody_charges_any_more_is_a_decrease(mart: Mart) -> None:
    row = mart.row("suspended-and-cancelled")
    assert (row["kind"], row["variance_quantity"]) == ("no_usage", -3)
    assert mart.row("suspended-in-part")["variance_quantity"] == -3, "two of three are charged: somebody must look"


def test_case_35_a_floor_of_the_cost_is_not_the_client_s_count_and_both_are_kept(mart: Mart) -> None:
    assert mart.rows("below-the-floor") == [], "the client is billed for what is there"
    row = mart.margin("below-the-floor", "shielded")
    assert numbers(row, "contracted_quantity", "observed_quantity", "purchased_quantity") == [12, 12, 30]
    assert numbers(row, "distributor_invoiced_quantity", "distributor_invoiced_amount", "cost_amount") == [30, 60, 60]
    assert (row["waste_quantity"], row["margin_amount"]) == (18, -24)
