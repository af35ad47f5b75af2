"""dbt's own unit tests, run once on an empty warehouse and reported one by one."""

import re
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from morton_pipeline.reconcile import DBT_PROJECT
from tests.dbt.conftest import Project

NAMES = sorted(
    name
    for path in (DBT_PROJECT / "models").rglob("unit_tests.yml")
    for name in re.findall(r"^  - name: (\w+)$", path.read_text("utf-8"), re.MULTILINE)
)


@pytest.fixture(scope="session")
def results(project: Project) -> dict[str, dict[str, Any]]:
    """What each unit test came to; the models they stand on are made first, without a row in them."""
    done = Path(f"{project.root}.units")
    with FileLock(f"{done}.lock"):
        if not done.exists():
            made = project.run("build", "--empty", "--select", "+marts", "--exclude-resource-type", "unit_test", "test")
            assert made.returncode == 0, made.stdout + made.stderr
            project.run("test", "--select", "test_type:unit")
            (project.target / "run_results.json").replace(done)
    return {r["unique_id"].split(".")[-1]: r for r in project.read(str(done))["results"]}


@pytest.mark.parametrize("name", NAMES)
def test_unit(results: dict[str, dict[str, Any]], name: str) -> None:
    assert results[name]["status"] == "pass", results[name]["message"]
