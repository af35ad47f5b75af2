"""The dbt project as assets: one step that builds it in place, under the warehouse's lock, and publishes the result."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import filelock
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

from morton_pipeline import reconcile
from morton_pipeline.book import PROJECT
from morton_pipeline.clock import now
from morton_pipeline.defs.raw import WAIT_SECONDS
from morton_pipeline.defs.resources import BookResource
from morton_pipeline.vendors import VENDORS
from morton_pipeline.warehouse import lock

BUILD = ["build", "--exclude-resource-type", "unit_test"]
FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=2))
SOURCES = ("dbt_project.yml", "profiles.yml", "models", "macros", "seeds", "reference", "tests")


class Translator(DagsterDbtTranslator):
    """Groups models by layer, staging models with the vendor they stage, and expects the marts to be built hourly."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """Add to a mart how old it may be: twice the hour between two builds."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        is_mart = "marts" in self.get_resource_props(manifest, unique_id)["fqn"]
        return spec.replace_attributes(freshness_policy=FRESHNESS) if is_mart else spec

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Return the vendor of a staging model, the layer of any other, `contracts` for seeds."""
        if dbt_resource_props["resource_type"] == "seed":
            return "contracts"
        _, layer, *rest = dbt_resource_props["fqn"]
        return rest[0] if layer == "staging" and rest[0] in VENDORS else str(layer)

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """Finance owns what it reads and edits; the data team owns what lies between."""
        is_finance = dbt_resource_props["resource_type"] == "seed" or "marts" in dbt_resource_props["fqn"]
        return ["team:finance" if is_finance else "team:data"]


def project(folder: Path = PROJECT / "dbt_project") -> DbtProject:
    """Return the project, parsed anew where its manifest is missing or older than a file of the project."""
    found = DbtProject(project_dir=folder)
    if _is_stale(found):
        found.manifest_path.parent.mkdir(exist_ok=True)
        # Several processes load the definitions at once; the first one parses for all of them.
        with filelock.FileLock(found.manifest_path.with_suffix(".lock")):
            if _is_stale(found):
                dbt_resource(found).cli(["parse", "--quiet"], target_path=found.manifest_path.parent).wait()
    return found


def dbt_resource(folder: DbtProject | Path) -> DbtCliResource:
    """Return the command line of the dbt that stands beside this Python: the PATH may lead to another, or to none."""
    return DbtCliResource(
        project_dir=folder if isinstance(folder, DbtProject) else str(folder),
        dbt_executable=str(Path(sys.executable).with_name("dbt")),
    )


def _is_stale(found: DbtProject) -> bool:
    if not found.manifest_path.exists():
        return True
    paths = [p for name in SOURCES for p in (found.project_dir / name, *(found.project_dir / name).rglob("*"))]
    return found.manifest_path.stat().st_mtime < max(p.stat().st_mtime for p in paths if p.exists())


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for dbt, which reads its profile from them, and put back what was there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def build_assets(dbt_project: DbtProject) -> dg.AssetsDefinition:
    """Return the models, seeds and tests of a project as assets and checks of one step."""

    @dbt_assets(manifest=dbt_project.manifest_path, project=dbt_project, name="marts", pool="warehouse",
                dagster_dbt_translator=Translator())  # fmt: skip
    def build(context: dg.AssetExecutionContext, book: BookResource) -> Iterator[Any]:
        opened = book.open()
        owner = f"dagster run {context.run.run_id[:8]}"
        with lock.held(opened, owner, WAIT_SECONDS), environment(reconcile.dbt_environment(opened)):
            at = now()
            reconcile.before_build(opened, at)
            dbt = dbt_resource(reconcile.project_dir(opened))
            # One folder, not dagster-dbt's new one per run: an hourly build would fill the disk with manifests.
            target = Path(os.environ["DBT_TARGET_PATH"])
            command = dbt.cli(BUILD, context=context.op_execution_context, target_path=target)
            yield from command.stream()
            reconcile.after_build(opened, at)

    return build


def mart(name: str) -> dg.AssetKey:
    """Return the asset key of a public mart: dagster-dbt puts a model's schema before its name."""
    return dg.AssetKey(["marts", name])


@dg.definitions
def defs() -> dg.Definitions:
    """The dbt assets."""
    return dg.Definitions(assets=[build_assets(project())])
