"""`make demo` from a fresh clone of this tree's last commit to the printed list, split into its parts.

Belongs here: cloning, running and timing. There is no bound: it is what a newcomer waits for.
"""

import re
import subprocess
import tempfile
from pathlib import Path

from benchmarks.measure import Figure, show, timed

TREE = Path(__file__).resolve().parent.parent
SAID = re.compile(r"Replayed in (\d+) s, built in (\d+) s")


def run(_: int) -> bool:
    """Clone, install, replay, build; print the seconds of each."""
    with tempfile.TemporaryDirectory(prefix="morton-demo-") as folder:
        clone = Path(folder) / "clone"
        _, cloning = timed(_do, ["git", "clone", "--quiet", str(TREE), str(clone)], TREE)
        _, installing = timed(_do, ["make", ".venv/.ready"], clone)
        said, showing = timed(_do, ["make", "demo"], clone)
    found = SAID.search(said)
    if found is None:
        print(f"\nThe demo did not say how long it took; its last words:\n{said[-1000:]}")
        return False
    replay, build = (float(part) for part in found.groups())
    show(
        "demo: a fresh clone to the list",
        (
            Figure("clone", cloning, "s"),
            Figure("install the locked environment", installing, "s"),
            Figure("replay the days from the stand-ins", replay, "s"),
            Figure("build the marts", build, "s"),
            Figure("start, generate and print the list", showing - replay - build, "s"),
            Figure("altogether", cloning + installing + showing, "s"),
        ),
    )
    return True


def _do(command: list[str], where: Path) -> str:
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed in {where}:\n{said[-2000:]}")
    return said
