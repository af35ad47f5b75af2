"""From what was read to what finance sees: check the seeds, build the marts under the warehouse lock, publish them.

Belongs here: the order of those steps, the same for the command line and for Dagster. Does not: any number;
`dbt_project/` has them.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from morton_pipeline import seeds
from morton_pipeline.book import PROJECT, Book, read_config
from morton_pipeline.errors import MortonError

DBT_PROJECT = PROJECT / "dbt_project"
CONNECTIONS, REFERENCE = "connections.yaml", "reference"


class BuildFailed(MortonError):
    """The marts could not be built; the last good ones stay published."""


@dataclass(frozen=True)
class _BookApart(Book):
    """A book whose warehouse is a throw-away copy, and whose seeds may be others: nothing finance reads is touched."""

    scratch: Path = Path()
    other_seeds: Path | None = None

    @property
    def warehouse(self) -> Path:
        return self.scratch / "warehouse.duckdb"

    @property
    def seeds(self) -> Path:
        return self.other_seeds or super().seeds

    @property
    def known(self) -> Path:
        """The seeds and connections.yaml known at the instant of a look back; there is no such folder otherwise."""
        return self.scratch / "known"

    @cached_property
    def _config(self) -> dict[str, Any]:
        then = self.known / CONNECTIONS
        return read_config(then) if then.is_file() else super()._config


def reconcile(
    book: Book, *, at: datetime, as_of: datetime | None = None, say: Callable[[str], None] = lambda text: None
) -> Path:
    """Build the marts from what is known now, or was known at `as_of`, and return the published file.

    A look back is published beside the current mart, under its instant; `say` is told what it cannot know. Raises
    `BadInput` for wrong seeds and `BuildFailed` when a rule of the build is broken; the last good mart stays published
    in both cases.
    """
    from morton_pipeline.warehouse.lock import held
    from morton_pipeline.warehouse.scratch import sweep

    if as_of is None:
        with held(book, "reconcile"):
            sweep(book)
            before_build(book, at)
            build(book)
            return after_build(book, at)
    target = book.published.with_name(f"mart_as_of_{as_of:%Y%m%dT%H%M%SZ}.duckdb")
    return build_apart(book, target, at=as_of, is_look_back=True, say=say)


def build_apart(
    book: Book,
    target: Path,
    *,
    at: datetime,
    is_look_back: bool = False,
    seeds: Path | None = None,
    reopens: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Build the marts in a copy of the warehouse, perhaps with the seeds of another folder, and write them to `target`.

    A look back knows nothing later than `at`: its seeds and connections are those that were known then, and `say` is
    told where that cannot be known. `reopens` builds as if no month had been closed. Raises like `reconcile`.
    """
    from morton_pipeline.warehouse.publish import publish

    with _copied(book, seeds, at if is_look_back else None, say) as copy:
        before_build(copy, at, is_look_back=is_look_back, reopens=reopens)
        build(copy)
        return publish(copy, target=target)


@contextmanager
def _copied(book: Book, seeds: Path | None, known_at: datetime | None, say: Callable[[str], None]) -> Iterator[Book]:
    from morton_pipeline.warehouse import known
    from morton_pipeline.warehouse.lock import connect, held
    from morton_pipeline.warehouse.scratch import scratch_folder

    with scratch_folder(book, "apart_") as scratch:
        copy = _BookApart(book.root, scratch=scratch, other_seeds=seeds)
        with held(book, "a build apart"):
            # Opening it applies what the journal still holds, and the checkpoint leaves one whole file.
            with connect(book, "a build apart") as con:
                if known_at and (unknown := known.lay_out(con, book, known_at, copy.known)):
                    say(unknown)
                con.execute("checkpoint")
            shutil.copyfile(book.warehouse, copy.warehouse)
        yield copy


def before_build(book: Book, at: datetime, *, is_look_back: bool = False, reopens: bool = False) -> None:
    """Write what a build reads: checked seeds, the ledger's copy, the scopes, the vendors' rules and the clock."""
    from morton_pipeline.ledger.snapshot import snapshot
    from morton_pipeline.ledger.store import open_ledger
    from morton_pipeline.warehouse import closing, tables
    from morton_pipeline.warehouse.lock import connect

    write_project(book)
    with open_ledger(book) as ledger:
        frames = snapshot(ledger, at if is_look_back else None)
    with connect(book, "reconcile") as con:
        tables.ensure(con)
        tables.write_sources(con, book, frames, at, is_look_back=is_look_back)
        if is_look_back or reopens:
            closing.forget(con, since=None if reopens else at)
        # Readings at one clock instant are told apart by microseconds: the newest may be a moment ahead of the clock.
        newest = "" if is_look_back else ", (select max(greatest(attempted_at, accepted_at)) from raw.extractions)"
        con.execute(
            f"create or replace table raw.clock as select greatest(cast(? as timestamp){newest}) as as_of_at, "
            "cast(? as integer) as close_after_days",
            [at.replace(tzinfo=None), book.limits.close_after_days],
        )


def write_project(book: Book) -> Path:
    """Lay out the project that dbt runs for this book: ours, with the book's checked seeds in it.

    dbt writes what it ran next to where it found it, so seeds must never be read from an analyst's own folder.
    """
    project = project_dir(book)
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(
        DBT_PROJECT, project, ignore=shutil.ignore_patterns("seeds", "target", "logs", "dbt_packages", ".user.yml")
    )
    is_known = isinstance(book, _BookApart) and book.known.is_dir()
    if isinstance(book, _BookApart) and is_known:
        shutil.copytree(book.known / REFERENCE, project / REFERENCE, dirs_exist_ok=True)
    if isinstance(book, _BookApart) and is_known and book.other_seeds is None:
        seeds.write_known(book.known, project / "seeds")
    else:
        seeds.write_checked(book, project / "seeds")
    shutil.copyfile(book.root / CONNECTIONS, project / CONNECTIONS)
    return project


def _used(book: Book) -> dict[str, bytes]:
    """Return the files the last build of this book stood on, by the names they are kept under."""
    project = project_dir(book)
    return _contents(project / "seeds", project / REFERENCE, project / CONNECTIONS)


def _contents(seeds: Path, reference: Path, connections: Path) -> dict[str, bytes]:
    found = [(seeds, ""), (reference, f"{REFERENCE}/")]
    used = {f"{prefix}{path.name}": path.read_bytes() for folder, prefix in found for path in folder.glob("*.csv")}
    return {CONNECTIONS: connections.read_bytes(), **dict(sorted(used.items()))}


def project_dir(book: Book) -> Path:
    """Return where the book's dbt project is laid out."""
    return _workshop(book) / "project"


def _workshop(book: Book) -> Path:
    return book.warehouse.parent / "dbt"


def dbt_environment(book: Book) -> dict[str, str]:
    """Return the environment variables dbt reads for this book."""
    return {
        "MORTON_WAREHOUSE": str(book.warehouse),
        "DBT_TARGET_PATH": str(_workshop(book) / "target"),
        "DBT_LOG_PATH": str(_workshop(book) / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def build(book: Book, select: Sequence[str] = ()) -> None:
    """Run dbt in a process of its own, so that no connection outlives it: everything, or only the models named."""
    what = ["run", "--select", *select] if select else ["build", "--exclude-resource-type", "unit_test"]
    dbt, project = str(Path(sys.executable).with_name("dbt")), project_dir(book)
    results = _workshop(book) / "target" / "run_results.json"
    results.unlink(missing_ok=True)
    done = subprocess.run(
        [dbt, "--quiet", *what, "--project-dir", str(project), "--profiles-dir", str(project)],
        env={**os.environ, **dbt_environment(book)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise BuildFailed(_why(results, done.stdout + done.stderr))


def _why(results_path: Path, output: str) -> str:
    """Say which rule is broken, in the words of its own file where there are any."""
    try:
        results: list[dict[str, Any]] = json.loads(results_path.read_text("utf-8"))["results"]
    except (OSError, ValueError, KeyError):
        results = []
    failed = [r for r in results if r["status"] in ("error", "fail")]
    lines = [
        f"  {r['unique_id'].split('.')[2]}: {' '.join(str(r.get('message') or r['status']).split())[:600]}"
        for r in failed
    ]
    said = "\n".join(lines) or output.strip()[-2000:]
    return f"The marts were not built; the last good ones stay published. What failed:\n{said}"


def after_build(book: Book, at: datetime) -> Path:
    """Keep what the build stood on, close the months that are due, and publish the marts for everyone to read."""
    from morton_pipeline.warehouse import built_from, closing, known
    from morton_pipeline.warehouse.lock import connect
    from morton_pipeline.warehouse.publish import publish

    used = _used(book)
    with connect(book, "reconcile") as con:
        built_from.keep(con, used)
        known.keep(con, book, used, at)
        closing.close_months(con, book, at)
    return publish(book)


def refresh_decisions(book: Book, at: datetime) -> None:
    """Rebuild only what decisions change: the status of rows, not the counting behind them."""
    from morton_pipeline.warehouse.lock import held
    from morton_pipeline.warehouse.publish import publish

    with held(book, "decide"):
        before_build(book, at)
        try:
            build(book, ["stg_ledger__invoice_lines+", "discrepancies+", "fix_tasks"])
        except BuildFailed:
            # A table these stand on may be missing, in a warehouse that was built by an earlier version.
            build(book)
            after_build(book, at)
        else:
            publish(book)


def changed_since_built(book: Book) -> str:
    """Say what the published marts stand on that has changed since they were built; empty where nothing has.

    Raises `BadInput` for wrong seeds, and `NothingPublished` before the first build.
    """
    from morton_pipeline.ledger.snapshot import exclusion_ids
    from morton_pipeline.ledger.store import open_ledger
    from morton_pipeline.warehouse import built_from

    with tempfile.TemporaryDirectory() as folder:
        seeds.write_checked(book, Path(folder))
        files = _contents(Path(folder), DBT_PROJECT / REFERENCE, book.root / CONNECTIONS)
    with open_ledger(book) as ledger:
        excluded = exclusion_ids(ledger)
    return built_from.changed_since(book, files, excluded)


def bring_up_to_date(book: Book, at: datetime, say: Callable[[str], None] = lambda text: None) -> None:
    """Build the marts anew where something they stand on has changed, so that no approval outlives its facts.

    `say` is told why. Raises like `reconcile` and `changed_since_built`.
    """
    if why := changed_since_built(book):
        say(f"{why} They are built anew first.")
        reconcile(book, at=at)
