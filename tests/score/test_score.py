"""The published score: edge cases planted into generated MSPs at random, and what Morton makes of them.

`make score` plants into a thousand MSPs, every run of the tests into a few. A miss names its seed:
`MORTON_SCORE_SEED=1/37 make score` repeats that MSP, and no other.
"""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from morton_pipeline import reconcile
from tests.score.build import marts
from tests.score.msp import BATCH
from tests.score.planted import CASES, generate
from tests.score.tally import HEADINGS, judge
from tests.score.undecidable import UNDECIDABLE

ROOT = Path(__file__).resolve().parent.parent.parent
SEED, _, ALONE = os.environ.get("MORTON_SCORE_SEED", "1").partition("/")
MSPS = int(os.environ.get("MORTON_SCORE_MSPS", "60"))
BATCHES = [range(int(ALONE), int(ALONE) + 1)] if ALONE else [range(n, min(n + BATCH, MSPS)) for n in range(0, MSPS, BATCH)]  # fmt: skip
PLANTED = {case.number for case in CASES}


@pytest.mark.slow
@pytest.mark.parametrize("numbers", BATCHES, ids=lambda numbers: f"{numbers[0]}-{numbers[-1]}")
def test_what_is_planted_is_found_and_nothing_else(
    numbers: range, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    told = [generate(int(SEED), number) for number in numbers]
    tallies, errors = judge(told, marts(tmp_path / "book", [msp for msp, _ in told]))
    cases = {name: tally.as_property() for name, tally in tallies.items()}
    record_property("score", {"seed": SEED, "msps": len(told), "cases": cases})
    shutil.rmtree(tmp_path / "book")
    assert not errors, "\n\n".join([f"{len(errors)} plants are not found as they are; each can be repeated:", *errors[:40]])  # fmt: skip


@pytest.mark.slow
def test_a_wrong_rule_lowers_the_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The score is worth something only if it falls: a minimum, an exclusion and a tolerance that nobody heeds."""
    project = Path(shutil.copytree(reconcile.DBT_PROJECT, tmp_path / "dbt_project"))
    for file, right, wrong in (
        ("macros/rules.sql", "when 'minimum'", "when 'no such model'"),
        ("models/intermediate/int_findings_unioned.sql", "abs(variance_quantity) <= tolerance_quantity", "false"),
        ("models/intermediate/int_exclusions_unioned.sql", 'from {{ ref("exclusions") }}', 'from {{ ref("exclusions") }} where false'),
    ):  # fmt: skip
        sql = (project / file).read_text("utf-8")
        assert right in sql, f"{file} has no such rule any more: say here what would break it now"
        (project / file).write_text(sql.replace(right, wrong), "utf-8")
    monkeypatch.setattr(reconcile, "DBT_PROJECT", project)
    broken, whole = ("usage_below_the_minimum", "records_that_are_left_out_by_name", "a_tolerance_of_so_many"), "usage_without_a_contract"  # fmt: skip
    chosen = [case for case in CASES if case.plant.__name__ in (*broken, whole)]
    told = [generate(int(SEED), number, chosen) for number in range(8)]
    tallies, errors = judge(told, [next(marts(tmp_path / "book", [msp for msp, _ in told]))])
    scores = {name.partition(" ")[2].replace(" ", "_"): tally for name, tally in tallies.items()}
    assert {name: (scores[name].missed > 0, scores[name].false > 0) for name in broken} == dict.fromkeys(broken, (True, True))  # fmt: skip
    assert (scores[whole].missed, scores[whole].false) == (0, 0), (
        "what the wrong rules are not about is found as before"
    )
    assert all(error.startswith(f"MORTON_SCORE_SEED={SEED}/") for error in errors)


@pytest.mark.parametrize("number", [number for of in HEADINGS.values() for number in of])
def test_every_edge_case_is_planted_or_told_why_not(number: int) -> None:
    assert (number in PLANTED) != (number in UNDECIDABLE), "exactly one of the two is so of every edge case"


def test_no_two_stories_have_the_same_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_an_msp_is_the_same_whenever_it_is_generated() -> None:
    (one, plants), (again, plants_again) = generate(7, 305), generate(7, 305)
    assert one.seeds == again.seeds
    assert [p.rows for p in plants] == [p.rows for p in plants_again]
    assert generate(8, 305)[0].seeds != one.seeds


def test_the_readme_claims_the_cases_that_are_planted() -> None:
    rows = re.findall(r"^\| ([A-Z][a-z ]+) \| ([\d, ]+) \| .*100\.00 % \| 100\.00 % \|", (ROOT / "README.md").read_text("utf-8"), re.M)  # fmt: skip
    claimed = {heading: [int(number) for number in numbers.split(", ")] for heading, numbers in rows}
    assert claimed == {heading: sorted(PLANTED & set(of)) for heading, of in HEADINGS.items() if PLANTED & set(of)}
