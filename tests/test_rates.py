"""What another currency is worth on a day: half-open by the next date, whichever way round, and never guessed."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from morton_pipeline.errors import BadInput
from morton_pipeline.rates import NoRate, Rates, rates_of, read_rates
from tests.conftest import ROOT

HEADER = "currency,to_currency,rate,effective_from,source\n"


def read(folder: Path, *rows: str, clients: str = "USD") -> Rates:
    listed = "".join(f"c{n},{code}\n" for n, code in enumerate(clients.split()))
    (folder / "clients.csv").write_text(f"client_id,currency\n{listed}", "utf-8")
    (folder / "exchange_rates.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows), "utf-8-sig")
    return read_rates(folder)


@pytest.mark.parametrize(
    ("on", "worth"),
    [("2026-03-31", "110"), ("2026-04-01", "120"), ("2026-06-30", "120"), ("2026-07-01", "125"), ("2030-01-01", "125")],
)
def test_case_68_a_rate_holds_from_its_day_until_the_next_of_its_pair(tmp_path: Path, on: str, worth: str) -> None:
    rates = read(
        tmp_path, "EUR,USD,1.2,2026-04-01,ECB", "EUR,USD,1.1,2026-01-01,ECB", "USD,EUR,0.8,2026-07-01,Fed",
        "GBP,USD,9,2026-02-01,BoE",
    )  # fmt: skip
    assert rates.worth(Decimal(100), "EUR", date.fromisoformat(on)).amount == Decimal(worth)


def test_case_68_the_rate_is_told_with_its_day_and_its_source(tmp_path: Path) -> None:
    rates = read(tmp_path, "USD,EUR,0.80,2026-07-01,Fed H.10")
    worth = rates.worth(Decimal("100.50"), "EUR", date(2026, 11, 23))
    assert (worth.amount, worth.said) == (
        Decimal("125.625"), "100.50 EUR, one USD being 0.80 EUR since 2026-07-01 (Fed H.10)",
    )  # fmt: skip
    assert rates.worth(Decimal(7), "USD", date(1999, 1, 1)).said == "", "the main currency needs no rate"


@pytest.mark.parametrize(
    "rows", [(), ("EUR,USD,1.1,2026-11-24,ECB",), ("EUR,GBP,0.9,2026-01-01,ECB", "GBP,USD,1.2,2026-01-01,B")]
)
def test_case_68_without_a_rate_in_force_there_is_no_worth(tmp_path: Path, rows: tuple[str, ...]) -> None:
    rates = read(tmp_path, *rows)
    with pytest.raises(
        NoRate, match=r"^exchange_rates.csv has no rate from EUR to USD \(or back\) in force on 2026-11-23"
    ):
        rates.worth(Decimal(1), "EUR", date(2026, 11, 23))


@pytest.mark.parametrize(
    "row", ["EUR,USD,0,2026-01-01,E", "EUR,USD,NaN,2026-01-01,E", "EUR,USD,1,soon,E", "EUR,USD,,2026-01-01,E"]
)
def test_a_row_nobody_can_read_is_named_and_never_left_out(tmp_path: Path, row: str) -> None:
    with pytest.raises(BadInput, match=r"exchange_rates.csv row 3 is no rate"):
        read(tmp_path, "EUR,USD,1.1,2026-01-01,ECB", row)


def test_a_book_may_do_without_the_file(tmp_path: Path) -> None:
    assert read_rates(tmp_path) == Rates("USD", [])


@pytest.mark.parametrize("clients", ["", "EUR", "USD EUR EUR", "USD EUR", "GBP EUR GBP EUR CHF", "CHF"])
def test_the_main_currency_is_the_one_the_marts_take(clients: str) -> None:
    codes = clients.split()
    sql = (ROOT / "dbt_project/models/intermediate/int_money.sql").read_text("utf-8")
    with duckdb.connect() as con:
        con.execute("create table clients (currency varchar)")
        for code in codes:
            con.execute("insert into clients values (?)", [code])
        (theirs,) = con.execute(sql.replace('{{ ref("clients") }}', "clients")).fetchone() or ("",)
    assert rates_of([(n, {"currency": code}) for n, code in enumerate(codes)], []).main_currency == theirs
