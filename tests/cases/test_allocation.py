"""Case 16: a tenant that several clients share is divided by what its records say, and the rest is nobody's."""

from datetime import date

import pytest

from tests.cases.scenario import Mart, Scenario


def given_a_tenant_that_two_clients_share(msp: Scenario) -> None:
    msp.tenant("group", is_mapped=False)
    for client in ("group-east", "group-west"):
        msp.client(client)
    east, west = ("group-east", "m365", "group"), ("group-west", "m365", "group")
    msp.mapping(*east, field="user_principal_name", pattern="*@east.example.com")
    msp.mapping(*west, field="user_principal_name", pattern="*@west.example.com")
    # One person of the west is billed to the east, and says so outright.
    msp.mapping(*east, field="user_principal_name", pattern="Ann@West.example.com")
    msp.mapping(*west, field="department", pattern="Sales", effective_from="2026-11-11")
    for name in ("bob@east.example.com", "eve@east.example.com", "ann@west.example.com", "cid@west.example.com"):
        msp.licences("group", 1, userPrincipalName=name)
    # Nobody's domain: one is of a department that is given to the west in November, one of none.
    msp.licences("group", 1, userPrincipalName="dan@example.com", department="sales")
    msp.licences("group", 1, userPrincipalName="fay@example.com")
    msp.contract("group-east", "seat", 2, "22")
    msp.contract("group-west", "seat", 1, "22")


def given_an_approval_of_a_part(msp: Scenario) -> None:
    for part, change in (("part-kept", {"note": "as agreed"}), ("part-moved", {"pattern": "*@*.example.com"})):
        msp.tenant(f"{part}-tenant", is_mapped=False)
        msp.client(part)
        msp.mapping(part, "m365", f"{part}-tenant", field="user_principal_name", pattern="*@a.example.com")
        msp.licences(f"{part}-tenant", 2, userPrincipalName="x@a.example.com")
        msp.contract(part, "seat", 1, "22")
        msp.decide(part, "approve")
        msp.edit("company_mappings", part, **change)


def given_a_record_that_two_rows_claim_alike(msp: Scenario) -> None:
    msp.tenant("torn", is_mapped=False)
    for client in ("torn-one", "torn-two"):
        msp.client(client)
    msp.mapping("torn-one", "m365", "torn", field="department", pattern="Sales")
    msp.mapping("torn-two", "m365", "torn", field="display_name", pattern="Gil T")
    msp.licences("torn", 1, department="Sales", displayName="Gil T")


def test_case_16_each_client_has_its_part_of_a_shared_tenant(mart: Mart) -> None:
    row = mart.row("group-east")
    # Bob and Eve by their domain, and Ann, who is named outright.
    assert (row["observed_quantity"], row["variance_quantity"]) == (3, 1)
    assert sum(mart.buckets("group-west").values()) == 2


def test_case_16_a_part_belongs_to_its_client_from_its_day(mart: Mart) -> None:
    row = mart.row("group-west")
    assert (row["observed_quantity"], row["variance_quantity"], row["began_on"]) == (2, 1, date(2026, 11, 11))
    assert mart.rows("group-west", month="2026-10") == []


def test_case_16_what_no_row_claims_is_unallocated_and_nobodys(mart: Mart) -> None:
    row = mart.row(None, client_name="group (unallocated)")
    assert (row["kind"], row["observed_quantity"], row["variance_amount"]) == ("unmapped_company", 1, 22)
    assert "a company that several clients share" in row["explanation"]
    (record,) = mart.evidence(row)
    assert (record["bucket"], record["bucket_reason"]) == ("unmapped", "unallocated")


def test_case_16_what_two_rows_claim_alike_goes_to_neither(mart: Mart) -> None:
    (record,) = mart.evidence(mart.row(None, client_name="torn (unallocated)"))
    assert record["bucket_reason"] == "unallocated: it could be of torn-one and of torn-two alike"
    assert mart.rows("torn-one") == mart.rows("torn-two") == []


@pytest.mark.parametrize("client", ["group-east", "group-west"])
def test_case_16_the_state_of_a_shared_tenant_is_that_of_both(mart: Mart, client: str) -> None:
    assert mart.row(client)["source_state"] == "known"


def test_case_57_an_approval_stands_on_how_a_company_is_divided(after: Mart) -> None:
    """Also where another pattern would give the same records."""
    assert after.row("part-kept")["status"] == "approved"
    assert after.row("part-moved")["status"] == "void"
