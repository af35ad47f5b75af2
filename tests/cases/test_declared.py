"""Tools that connections.yaml declares count like any other, each under its own name."""

from tests.cases.scenario import Mart, Scenario


def given_two_tools_that_send_files(msp: Scenario) -> None:
    msp.service("filter", "mailbox", "2")
    msp.maps("filter", "shield", "records", "sku", "Gold*")
    msp.client("filtered")
    msp.reported("filtered", "Gold mail", "12")
    msp.reported("filtered", "Gold storage", "2.5", unit="gigabyte")
    msp.reported("filtered", "Gold mail", "7", tool="sieve")
    msp.contract("filtered", "filter", 10, "2")


def test_a_declared_tool_counts_under_its_own_name(mart: Mart) -> None:
    row = mart.row("filtered", kind="under_billed")
    assert (row["observed_quantity"], row["variance_amount"], row["source_state"]) == (12, 4, "known")
    assert row["explanation"].startswith(
        "Mail Shield counts 12 Filter for Filtered, the contract says 10: 2 not billed"
    )
    assert [(e["vendor"], e["quantity"]) for e in mart.evidence(row)] == [("shield", 12)]


def test_a_tool_without_a_title_is_called_by_its_name(mart: Mart) -> None:
    row = mart.row("filtered", kind="unmapped_sku", service_name="Gold mail")
    assert row["explanation"].startswith("Filtered holds 7 × Gold mail in sieve, which is")
    assert "12 counted in Mail Shield" in mart.margin("filtered", "filter")["explanation"]


def test_another_declared_tool_is_not_mapped_by_it(mart: Mart) -> None:
    rows = {(r["service_name"], r["observed_quantity"]) for r in mart.rows("filtered", kind="unmapped_sku")}
    assert {(name, float(count)) for name, count in rows} == {("Gold mail", 7.0), ("Gold storage", 2.5)}


def test_case_34_a_declared_tool_says_its_unit_too(mart: Mart) -> None:
    assert mart.buckets("filtered")["unmapped", "counted in gigabytes, and Filter is sold by mailbox"] == 1


def test_its_numbers_stand_beside_the_others(mart: Mart) -> None:
    row = mart.margin("filtered", "filter")
    assert (row["count_vendor"], row["observed_quantity"], row["assigned_vendor"]) == ("shield", 12, "shield")
