"""The dbt project, parsed once, and an empty warehouse prepared for it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from morton_pipeline.book import Book
from morton_pipeline.clock import wall
from morton_pipeline.reconcile import DBT_PROJECT
from morton_pipeline.warehouse import tables
from morton_pipeline.warehouse.lock import connect
from tests.conftest import write_seeds


class Project:
    """A copy of the dbt project in a folder of its own, so that nothing is written beside the one people edit."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.target = root / "target"

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one dbt command on the copy."""
        environment = {
            **os.environ,
            "MORTON_WAREHOUSE": str(self.root / "data" / "warehouse.duckdb"),
            "DBT_TARGET_PATH": str(self.target),
            "DBT_LOG_PATH": str(self.root / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        dbt = str(Path(sys.executable).with_name("dbt"))
        where = ["--project-dir", str(self.root / "project"), "--profiles-dir", str(self.root / "project")]
        return subprocess.run(
            [dbt, "--quiet", *command, *where], env=environment, capture_output=True, text=True, check=False
        )

    def read(self, name: str) -> dict[str, Any]:
        """Return one of the files dbt leaves behind."""
        found: dict[str, Any] = json.loads((self.target / name).read_text("utf-8"))
        return found


def prepare(project: Project) -> None:
    """Lay out the project with empty seeds, an empty warehouse beside it, and parse it."""
    ignored = shutil.ignore_patterns("seeds", "target", "logs")
    shutil.copytree(DBT_PROJECT, project.root / "project", ignore=ignored)
    write_seeds(project.root / "project/seeds")
    with connect(Book(project.root), "test") as con:
        tables.ensure(con)
        clock = "create table raw.clock as select cast(? as timestamp) as as_of_at, 10 as close_after_days"
        con.execute(clock, [wall().replace(tzinfo=None)])
    parsed = project.run("parse")
    assert parsed.returncode == 0, parsed.stdout + parsed.stderr


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project, parsed; parallel workers share it."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "dbt"
    with FileLock(f"{root}.lock"):
        if not (root / "prepared").exists():
            shutil.rmtree(root, ignore_errors=True)
            prepare(Project(root))
            (root / "prepared").touch()
    return Project(root)


@pytest.fixture(scope="session")
def manifest(project: Project) -> dict[str, Any]:
    return project.read("manifest.json")
