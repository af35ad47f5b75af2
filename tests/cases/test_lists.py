"""What `morton margins` and `morton gaps` show of the marts the cases were built into."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from morton_pipeline.cli import cli
from tests.cases.scenario import LATER, Scenario


def given_something_to_list(msp: Scenario) -> None:
    msp.service("plan", "licence", "25", unit_cost="19")
    msp.maps("plan", "microsoft365", "user_licenses", "sku_part_number", "PLAN")
    msp.client("shelved")
    msp.bought("shelved", "PLAN", 5)
    msp.licences("shelved", 3, "PLAN")
    msp.contract("shelved", "plan", 3, "22")
    msp.client("unguarded")
    msp.devices("unguarded", 2)
    msp.agents("unguarded", 1, hostname="unrelated")
    msp.contract("unguarded", "edr", 1, "5")
    msp.contract("unguarded", "workstation", 2, "40")
    msp.client("idle")
    msp.devices("idle", 1, approvalStatus="DECOMMISSIONED")


@pytest.fixture
def run(told: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(*words: str, hours: int = 0) -> Result:
        monkeypatch.setenv("MORTON_NOW", (LATER + timedelta(hours=hours)).isoformat())
        return CliRunner().invoke(cli, [*words, "--book", str(told / "book")])

    return run


def listed(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_margins_are_listed_by_finding_and_client(run: Any) -> None:
    (row,) = listed(run("margins", "--client", "Shelved", "--format", "json"))
    assert (row["finding"], row["waste_quantity"], row["waste_amount"], row["unit_cost"]) == (
        "waste",
        "2",
        "38.00",
        "19.00",
    )
    found = listed(run("margins", "--finding", "waste", "--format", "json"))
    assert row in found
    assert all("waste" in r["finding"] for r in found)
    everything = listed(run("margins", "--format", "json"))
    findings = [bool(r["finding"]) for r in everything]
    assert findings == sorted(findings, reverse=True)
    assert set(findings) == {True, False}


def test_margins_come_as_a_table_and_as_csv(run: Any) -> None:
    table = run("margins", "--client", "shelved")
    assert table.exit_code == 0
    assert "38.00" in table.stdout
    rows = list(csv.DictReader(io.StringIO(run("margins", "--client", "shelved", "--format", "csv").stdout)))
    assert [(r["service_id"], r["commitment_ends_on"]) for r in rows] == [("plan", "")]


def test_what_has_grown_old_since_it_was_built_finds_nothing(run: Any) -> None:
    (row,) = listed(run("margins", "--client", "shelved", "--format", "json", hours=24 * 9))
    assert (row["source_state"], row["finding"], row["waste_quantity"]) == ("stale", "", None)
    assert {
        r["source_state"] for r in listed(run("gaps", "--client", "unguarded", "--format", "json", hours=24 * 9))
    } == {"stale"}


def test_gaps_are_listed_by_client(run: Any) -> None:
    rows = listed(run("gaps", "--client", "unguarded", "--format", "json"))
    assert [(r["gap"], r["device_name"].split()[0]) for r in rows] == [
        ("no_edr", "unguarded"),
        ("no_edr", "unguarded"),
        ("no_rmm", "unrelated"),
    ]
    assert "Not fresh" in run("gaps", "--client", "unguarded").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("margins", "--finding", "wasted"),
            "'wasted' is not a finding; there are waste, risk, lists_differ, below_cost",
        ),
        (("margins", "--client", "shelvd"), "No client is called 'shelvd'. Did you mean shelved"),
        (("gaps", "--client", "zzyzx"), "No client is called 'zzyzx'. "),
        (("discrepancies", "--service", "zzyzx"), "No service is called 'zzyzx'. "),
    ],
    ids=["finding", "near client", "unknown client", "unknown service"],
)
def test_a_word_that_fits_nothing_is_refused_with_what_exists(run: Any, words: tuple[str, ...], said: str) -> None:
    result = run(*words)
    assert result.exit_code != 0
    assert said in result.output + str(result.exception)


@pytest.mark.parametrize("command", ["gaps", "margins", "discrepancies"])
def test_a_client_of_whom_there_is_nothing_to_say_is_no_mistake(run: Any, command: str) -> None:
    assert listed(run(command, "--client", "Idle", "--format", "json")) == []
