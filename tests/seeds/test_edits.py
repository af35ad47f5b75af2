"""How two folders of seeds differ, and what of it begins later; what a check of an edit says of that."""

import csv
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from morton_pipeline import what_if
from morton_pipeline.cli import cli
from morton_pipeline.seeds import SEEDS
from morton_pipeline.seeds.edits import coming, edits

TODAY = date(2026, 11, 20)
NEXT = "2027-01-01"
Rows = list[dict[str, str]]

CONTRACT = {"contract_id": "c1", "client_id": "acme", "service_id": "rmm", "quantity": "40", "unit_price": "10", "billing_model": "per_unit"}  # fmt: skip
LATER = {**CONTRACT, "contract_id": "c2", "effective_from": NEXT}
SEED: dict[str, Rows] = {
    "clients": [{"client_id": "acme", "client_name": "Acme", "status": "active", "currency": "USD"}],
    "contracts": [{**CONTRACT, "effective_to": NEXT}, LATER],
    "company_mappings": [{"connection_id": "rmm", "company_id": "7", "client_id": "acme"}],
    "exclusions": [{"exclusion_id": "x1", "client_id": "acme", "name_pattern": "lab*", "expires_on": "2027-06-01", "reason": "lab"}],
}  # fmt: skip


def _folder(root: Path, name: str, seeds: Mapping[str, Rows]) -> Path:
    folder = root / name
    folder.mkdir()
    for seed, rows in seeds.items():
        with (folder / f"{seed}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [c.name for c in SEEDS[seed]], restval="")
            writer.writeheader()
            writer.writerows(rows)
    return folder


BUNDLES = [
    {"bundle_service_id": "suite", "component_service_id": name, "quantity_per_unit": "1"} for name in ("rmm", "edr")
]


def test_the_order_of_a_bundle_s_components_is_an_edit(tmp_path: Path) -> None:
    before, after = (
        _folder(tmp_path, "before", {"bundles": BUNDLES}),
        _folder(tmp_path, "after", {"bundles": BUNDLES[::-1]}),
    )
    assert {edit.file for edit in edits(before, after)} == {"bundles.csv"}


def _sides(root: Path, after: Mapping[str, Rows]) -> tuple[Path, Path]:
    return _folder(root, "before", SEED), _folder(root, "seeds", {**SEED, **after})


def _contract(**changes: str) -> dict[str, Rows]:
    return {"contracts": [SEED["contracts"][0], {**LATER, **changes}]}


SAME = {
    "nothing": {},
    "a number written otherwise": _contract(quantity="40.0"),
    "a word in capitals": _contract(billing_model="Per_Unit"),
    "rows in another order": {"contracts": SEED["contracts"][::-1]},
}


@pytest.mark.parametrize("after", SAME.values(), ids=SAME)
def test_what_means_the_same_is_no_edit(tmp_path: Path, after: dict[str, Rows]) -> None:
    assert edits(*_sides(tmp_path, after)) == []


SAID = {
    "a row that begins later": (_contract(unit_price="100"), f"contracts.csv row 3, c2: changed, from {NEXT} on"),
    "an end that is moved": (
        {"exclusions": [{**SEED["exclusions"][0], "expires_on": "2027-03-01"}]},
        "exclusions.csv row 2, x1: changed, from 2027-03-01 on",
    ),
    "a mapping that is given up": (
        {"company_mappings": [{**SEED["company_mappings"][0], "effective_to": NEXT, "note": "sold"}]},
        f"company_mappings.csv row 2, rmm 7 acme {NEXT}: changed, from {NEXT} on",
    ),
    "a row that is gone": ({"exclusions": []}, "exclusions.csv row 2, x1: removed, whatever the day"),
    "a row that is new": (
        {"exclusions": [*SEED["exclusions"], {"exclusion_id": "x2", "record_id": "9", "reason": "lab", "effective_from": NEXT}]},
        f"exclusions.csv row 3, x2: added, from {NEXT} on",
    ),
    "a client": ({"clients": [{**SEED["clients"][0], "note": "x"}]}, "clients.csv row 2, acme: changed, whatever the day"),
}  # fmt: skip


@pytest.mark.parametrize(("after", "said"), SAID.values(), ids=SAID)
def test_an_edit_is_named_by_file_row_and_day(tmp_path: Path, after: dict[str, Rows], said: str) -> None:
    assert [str(edit) for edit in edits(*_sides(tmp_path, after))] == [said]


VALUED: dict[str, tuple[dict[str, Rows], int]] = {
    "a price": (_contract(unit_price="100"), 40 * 90),
    "a quantity": (_contract(quantity="50"), 10 * 10),
    "an end": ({"contracts": SEED["contracts"][:1]}, 40 * 10),
    "a version of its own": ({"contracts": [SEED["contracts"][0], {**LATER, "effective_to": "2027-02-01"},
                                            {**LATER, "contract_id": "c3", "effective_from": "2027-02-01", "unit_price": "12"}]}, 40 * 2),
}  # fmt: skip


@pytest.mark.parametrize(("after", "amount"), VALUED.values(), ids=VALUED)
def test_a_later_version_is_valued_at_what_it_agrees(tmp_path: Path, after: dict[str, Rows], amount: int) -> None:
    found = coming(*_sides(tmp_path, after), TODAY)
    assert (dict(found.moved), found.unvalued) == ({"USD": Decimal(amount)}, [])
    assert found.edits


UNVALUED: dict[str, dict[str, Rows]] = {
    "another basis": _contract(count_basis="peak"),
    "tiers": _contract(billing_model="tiered", unit_price=""),
    "a price of what nothing is agreed of": {
        "contracts": [
            SEED["contracts"][0],
            {**LATER, "quantity": "40", "effective_to": "2027-02-01"},
            {**LATER, "contract_id": "c3", "quantity": "0", "service_id": "edr", "effective_from": NEXT},
        ]
    },
    "a commitment": _contract(committed_quantity="30", committed_until="2028-01-01"),
    "an exclusion": {"exclusions": [{**SEED["exclusions"][0], "expires_on": "2027-03-01", "max_quantity": "2"}]},
    "a company": {"company_mappings": [{**SEED["company_mappings"][0], "effective_to": NEXT}]},
}


@pytest.mark.parametrize("after", UNVALUED.values(), ids=UNVALUED)
def test_what_nobody_can_value_is_named(tmp_path: Path, after: dict[str, Rows]) -> None:
    assert coming(*_sides(tmp_path, after), TODAY).unvalued


NOW: dict[str, dict[str, Rows]] = {
    "a price in force": {"contracts": [{**SEED["contracts"][0], "unit_price": "11"}, LATER]},
    "a version split in two": {
        "contracts": [
            SEED["contracts"][0],
            {**LATER, "effective_to": "2027-02-01"},
            {**LATER, "contract_id": "c3", "effective_from": "2027-02-01"},
        ]
    },
    "a client": {"clients": [{**SEED["clients"][0], "time_zone": "UTC"}]},
}


@pytest.mark.parametrize("after", NOW.values(), ids=NOW)
def test_what_the_builds_of_today_tell_begins_no_later(tmp_path: Path, after: dict[str, Rows]) -> None:
    found = coming(*_sides(tmp_path, after), TODAY)
    assert (found.edits, sum(found.moved.values())) == ([], 0)


def _diff(monkeypatch: pytest.MonkeyPatch, root: Path, after: Mapping[str, Rows], *words: str) -> Result:
    """Run the check of an edit that moves no money in the months that were read."""
    before, _ = _sides(root, after)
    (root / "connections.yaml").write_text("connections: []\n", "utf-8")
    monkeypatch.setenv("MORTON_NOW", f"{TODAY}T12:00:00Z")
    monkeypatch.setattr(what_if, "difference", lambda *_, **__: list[dict[str, Any]]())
    return CliRunner().invoke(cli, ["--book", str(root), "diff", "--against", str(before), *words])


def test_a_diff_says_that_files_are_the_same_only_where_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "same").mkdir()
    done = _diff(monkeypatch, tmp_path / "same", {}, "--fail-above", "0")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "no money moves" in done.stdout
    (tmp_path / "other").mkdir()
    done = _diff(monkeypatch, tmp_path / "other", _contract(unit_price="100"))
    assert done.exit_code == 0
    assert done.stdout == "No money moves in the months that were compared.\n"
    assert f"contracts.csv row 3, c2: changed, from {NEXT} on" in done.stderr


@pytest.mark.parametrize(
    ("after", "limit", "said"),
    [
        (_contract(unit_price="100"), "3599", "More than 3599 moves, with what begins later"),
        (_contract(unit_price="100"), "3600", None),
        (_contract(count_basis="peak"), "1000000", "What 1 of the rows that begin later will move, nobody can tell"),
    ],
    ids=["too much", "not too much", "nobody knows"],
)
def test_a_limit_is_passed_by_nothing_that_begins_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, after: dict[str, Rows], limit: str, said: str | None
) -> None:
    done = _diff(monkeypatch, tmp_path, after, "--fail-above", limit)
    assert done.exit_code == (said is not None), done.output
    assert said is None or said in done.stderr


@pytest.mark.parametrize("limit", ["nan", "inf", "1e40", "some"])
def test_a_limit_that_is_no_number_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str
) -> None:
    done = _diff(monkeypatch, tmp_path, {}, "--fail-above", limit)
    assert done.exit_code == 1
    assert f"--fail-above: '{limit}' is not a number" in str(done.exception)
