"""The invoices that are already in QuickBooks: the contract, every month, but for the one planted mistake."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from morton_pipeline.simulator.app import Simulation, simulate
from morton_pipeline.simulator.recurring import monthly_invoices
from morton_pipeline.simulator.world import START, World

NOVEMBER = date(2026, 11, 1)


def lines(world: World, month: date) -> dict[tuple[str, str], Any]:
    """The lines by customer and item."""
    return {
        (bill.customer_id, line.item_id): line
        for bill in monthly_invoices(world.agreements, month)
        for line in bill.lines
    }


def test_every_month_bills_the_contract_but_for_the_mistake(world: World) -> None:
    for month in (date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1), NOVEMBER):
        last_day = (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)
        billed = lines(world, month)
        wrong = set()
        for contract in world.agreements.contracts:
            if contract.holds_on(last_day) and contract.quantity:
                customer = world.agreements.client(contract.client_id).accounting_id
                line = billed.pop((customer, world.agreements.service(contract.service_id).accounting_id))
                assert line.unit_price == contract.unit_price
                if line.quantity != contract.quantity:
                    wrong.add((contract.client_id, contract.service_id))
        assert not billed
        assert wrong == ({("cobalt", "RMM-WKS")} if month == NOVEMBER else set())


def test_an_invoice_exists_once_its_month_has_begun(world: World) -> None:
    simulation: Simulation = simulate(world, now=START)
    august = len(simulation.recurring.company.invoices)
    before = [date(2026, month, 1) for month in range(3, 9)]
    assert august == sum(len(list(monthly_invoices(world.agreements, month))) for month in before)
    simulation.clock.set(datetime(2026, 8, 31, 23, 59, tzinfo=UTC))
    assert len(simulation.recurring.company.invoices) == august
    simulation.clock.set(datetime(2026, 11, 23, tzinfo=UTC))
    simulation.clock.set(datetime(2026, 11, 23, 1, tzinfo=UTC))
    dated = {invoice["TxnDate"] for invoice in simulation.recurring.company.invoices.values()}
    assert dated == {f"2026-{month:02}-01" for month in range(3, 12)}
    assert len({i["DocNumber"] for i in simulation.recurring.company.invoices.values()}) == len(
        simulation.recurring.company.invoices
    )


def test_the_company_knows_every_client_but_the_msp_itself(world: World) -> None:
    company = simulate(world).recurring.company
    names = {c["DisplayName"] for c in company.customers.values()}
    assert names == {c.name for c in world.agreements.clients if c.status != "internal"}
    assert {c["CurrencyRef"]["value"] for c in company.customers.values()} == {"USD", "GBP", "EUR"}
    assert all(isinstance(i["UnitPrice"], Decimal) for i in company.items.values())


def test_every_accounting_system_says_the_same(world: World) -> None:
    recurring = simulate(world, now=START).recurring
    quickbooks = {
        d["DocNumber"]: (d["CustomerRef"]["value"], d["TotalAmt"]) for d in recurring.company.invoices.values()
    }
    xero = {
        d["InvoiceNumber"]: (d["Contact"]["ContactID"], d["SubTotal"]) for d in recurring.organisation.invoices.values()
    }
    sage = {d["reference"]: (d["contact"]["id"], d["net_amount"]) for d in recurring.business.sales_invoices.values()}
    desktop = {
        d["RefNumber"]: (d["CustomerRef"]["ListID"], Decimal(d["Subtotal"])) for d in recurring.file.documents.values()
    }
    assert quickbooks == xero == sage == desktop
    assert quickbooks


def test_what_was_invoiced_outlives_the_process(world: World) -> None:
    before = simulate(world, now=START).recurring
    after = simulate(world, now=START, memory=before.memory()).recurring
    assert before.memory() != ""
    assert [len(x) for x in (after.company.invoices, after.organisation.invoices, after.business.sales_invoices)] == [
        len(before.company.invoices)
    ] * 3
