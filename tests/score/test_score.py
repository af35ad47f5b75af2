"""The published score: edge cases planted into generated MSPs at random, and what Morton makes of them.

`make score` plants into a thousand MSPs, every run of the tests into a few. A miss names its seed:
`MORTON_SCORE_SEED=1/37 make score` repeats that MSP, and no other.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.score.build import build
from tests.score.msp import BATCH
from tests.score.planted import generate
from tests.score.tally import judge

SEED, _, ALONE = os.environ.get("MORTON_SCORE_SEED", "1").partition("/")
MSPS = int(os.environ.get("MORTON_SCORE_MSPS", "60"))
BATCHES = [range(int(ALONE), int(ALONE) + 1)] if ALONE else [range(n, min(n + BATCH, MSPS)) for n in range(0, MSPS, BATCH)]  # fmt: skip


@pytest.mark.parametrize("numbers", BATCHES, ids=lambda numbers: f"{numbers[0]}-{numbers[-1]}")
def test_what_is_planted_is_found_and_nothing_else(
    numbers: range, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    told = [generate(int(SEED), number) for number in numbers]
    tallies, errors = judge(told, *build(tmp_path / "book", [msp for msp, _ in told]))
    record_property(
        "score", {"seed": SEED, "msps": len(told), "cases": {n: t.as_property() for n, t in tallies.items()}}
    )
    assert not errors, "\n\n".join([f"{len(errors)} plants are not found as they are. Each can be repeated:", *errors[:40]])  # fmt: skip
