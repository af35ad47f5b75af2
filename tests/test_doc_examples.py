"""The examples of pages in `docs/`, carried out: their files are written into a book, their commands run there.

Belongs here: pages whose blocks have titles. Does not: `docs/adding-a-vendor.md`, which needs a copy of the project.
"""

import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

BLOCK = re.compile(r"^```\w+ title=\"([^\"\n]+)\"\n(.*?)^```$", re.M | re.S)
PAGES = ("contracts", "before-you-merge", "approvals", "exclusions", "changes")


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the title and the text of every block of a page, in their order."""
    return BLOCK.findall((ROOT / f"docs/{page}.md").read_text("utf-8"))


def carried_out(command: str, book: Path) -> str:
    """Run one line of a page in a book and return what it printed."""
    here = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, shell=True, cwd=book, env={**os.environ, **here}, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def shown(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return of what was listed the columns that the page shows."""
    assert len(found) == len(expected), found
    return [{name: row[name] for name in part} for row, part in zip(found, expected, strict=True)]


def write(book: Path, title: str, text: str) -> None:
    """Write a file of the page; what is named by a day is as old as that day."""
    path = book / title
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", path.stem):
        at = datetime.fromisoformat(f"{path.stem}T12:00:00Z").timestamp()
        os.utime(path, (at, at))


@pytest.mark.parametrize("page", PAGES)
def test_the_example_of_a_page_comes_out_as_it_says(page: str, tmp_path: Path) -> None:
    printed = ""
    assert {"run", "what is listed"} <= {title for title, _ in blocks(page)}
    for title, text in blocks(page):
        if title == "run":
            for line in text.splitlines():
                printed = carried_out(line, tmp_path)
        elif title == "what is listed":
            expected = json.loads(text)
            assert shown(json.loads(printed), expected) == expected
        elif title != "a pull request's check":
            write(tmp_path, title, text)
