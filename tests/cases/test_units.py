"""Case 34: what is counted in one unit never stands for what is sold in another."""

from tests.cases.scenario import Mart, Scenario

GIGABYTE = 2**30


def given_backups_counted_in_bytes(msp: Scenario) -> None:
    msp.service("shelf", "device", "20", count_vendor="acronis")
    msp.maps("shelf", "acronis", "usages", "usage_name", "vault_*")
    msp.client("mixed-units")
    msp.stored("mixed-units", "vault_servers", 4)
    msp.stored("mixed-units", "vault_storage", 750 * GIGABYTE, "bytes")
    msp.contract("mixed-units", "shelf", 3, "20")


def given_backups_sold_by_the_gigabyte(msp: Scenario) -> None:
    msp.service("space", "gigabyte", "0.10")
    msp.maps("space", "acronis", "usages", "usage_name", "space_used")
    msp.client("by-the-gigabyte")
    msp.stored("by-the-gigabyte", "space_used", GIGABYTE * 5 // 2, "bytes")
    msp.contract("by-the-gigabyte", "space", 2, "0.10")
    msp.client("empty-space")
    msp.stored("empty-space", "space_used", 0, "bytes")
    msp.contract("empty-space", "space", 2, "0.10")
    msp.client("half-included")
    msp.stored("half-included", "space_used", 700 * GIGABYTE, "bytes")
    msp.contract("half-included", "space", 150, "0.10", "included", included_quantity="500")


def given_devices_that_are_counted_at_the_distributor(msp: Scenario) -> None:
    msp.service("box", "device", "12")
    msp.maps("box", "pax8", "subscriptions", "product_name", "Backup Box")
    msp.client("boxed")
    msp.subscribed("boxed", "Backup Box", 3)
    msp.contract("boxed", "box", 2, "12")


def test_case_34_what_a_distributor_sells_is_in_the_unit_of_the_service_it_is_mapped_to(mart: Mart) -> None:
    """It says of nothing what one is: a seat, a machine or a gigabyte. The mapping does."""
    row = mart.row("boxed")
    assert (row["kind"], row["observed_quantity"]) == ("under_billed", 3)
    (known,) = mart.ask(
        "select distinct unit from staging.stg_pax8__subscriptions where sku = 'Backup Box'", from_warehouse=True
    )
    assert known["unit"] is None


def test_case_34_only_records_in_the_unit_that_is_sold_are_counted(mart: Mart) -> None:
    row = mart.row("mixed-units", kind="under_billed")
    assert (row["observed_quantity"], row["variance_amount"]) == (4, 20)
    assert [(e["record_name"], e["quantity"]) for e in mart.evidence(row)] == [("Mixed-Units: vault_servers", 4)]


def test_case_34_what_is_counted_in_another_unit_is_unmapped_and_says_why(mart: Mart) -> None:
    reason = "counted in gigabytes, and Shelf is sold by device"
    assert mart.buckets("mixed-units")["unmapped", reason] == 1
    row = mart.row("mixed-units", kind="unmapped_sku")
    assert (row["observed_quantity"], row["variance_amount"], row["accumulated_amount"]) == (750, None, None)
    assert row["explanation"] == f"Mixed-Units holds 750 × vault storage in Acronis, which is {reason}."
    (listed,) = mart.ask("select * from marts.unmapped_records where client_id = 'mixed-units'")
    assert (listed["reason"], listed["list_amount"]) == (reason, None)


def test_a_gigabyte_may_be_a_fraction(mart: Mart) -> None:
    row = mart.row("by-the-gigabyte")
    assert (str(row["observed_quantity"]), str(row["variance_amount"])) == ("2.5000", "0.0500")


def test_case_5_a_counter_at_zero_is_a_known_zero(mart: Mart) -> None:
    row = mart.row("empty-space")
    assert (row["kind"], row["observed_quantity"], row["source_state"]) == ("no_usage", 0, "zero")


def test_case_39_what_is_included_is_told_by_its_quantity_and_not_by_its_records(mart: Mart) -> None:
    row = mart.row("half-included")
    assert (row["observed_quantity"], row["variance_quantity"]) == (700, 50)
    assert [bucket for bucket, _ in mart.buckets("half-included")] == ["billed"]
