"""The benchmarks run, small: what is timed is what it says it is, and nobody's rate is that of a shorter list."""

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_the_three_ways_of_fetching_end_with_the_same_records() -> None:
    """Without the network, too: dlt runs in a process that may reach no other machine, and would fail."""
    command = [sys.executable, "-m", "benchmarks", "fetching", "--records", "500"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The three agree: 500 records, then 499." in done.stdout, done.stdout + done.stderr
    limited = re.search(r"requests (\d+) +limit (\d+) +share of the window used \d+% +exceeded (\d+)", done.stdout)
    assert limited, "what was asked of the vendor's limit is not told"
    assert int(limited[1]) > int(limited[2]), "the limit was never reached, so nothing was shown about keeping it"
    assert int(limited[3]) == 0, "the vendor refused requests beyond its limit"
