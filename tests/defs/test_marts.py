import os
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from morton_pipeline import reconcile
from morton_pipeline.book import Book
from morton_pipeline.defs import checks
from morton_pipeline.defs.marts import build_assets, environment, project
from morton_pipeline.defs.resources import BookResource
from morton_pipeline.warehouse import lock
from morton_pipeline.warehouse.publish import publish

Run = Callable[..., dg.ExecuteInProcessResult]

PROJECT = {
    "dbt_project.yml": "{name: tiny, version: '1.0.0', profile: morton, model-paths: [models], "
    "models: {tiny: {marts: {+schema: marts, +materialized: table}}}}",
    "profiles.yml": "morton: {target: t, outputs: {t: {type: duckdb, "
    "path: \"{{ env_var('MORTON_WAREHOUSE', 'x') }}\"}}}",
    "macros/names.sql": "{% macro generate_schema_name(name, node) %}{{ name or target.schema }}{% endmacro %}",
    "models/sources.yml": "sources: [{name: huntress, schema: raw_huntress, tables: [{name: agents}]}]",
    "models/marts/source_health.sql": "select 'huntress' as vendor, 'known' as state union all select 'pax8', 'stale'",
    "models/marts/discrepancies.sql": "select 'a' as discrepancy_id, 'unmapped_company' as kind, 'open' as status, "
    "'USD' as currency, 12.5 as variance_amount, (select count(*) from {{ source('huntress', 'agents') }}) as agents",
}


@pytest.fixture
def dbt_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two models, and a book whose seeds nobody looks at."""
    root = tmp_path / "dbt_project"
    for name, text in PROJECT.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    for name in ("MORTON_WAREHOUSE", "DBT_TARGET_PATH", "DBT_LOG_PATH"):
        monkeypatch.delenv(name, raising=False)
    return root


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, dbt_folder: Path) -> list[str]:
    """What happens before and after dbt, in order, each time with the lock in our hand."""
    happened: list[str] = []

    def before(book: Book, at: object) -> None:
        assert (book.data / "warehouse.owner.json").exists()
        with lock.connect(book, "test"):
            happened.append("before")

    def after(book: Book, at: object) -> None:
        assert (book.data / "warehouse.owner.json").exists()
        happened.append("after")
        publish(book)

    monkeypatch.setattr(reconcile, "before_build", before)
    monkeypatch.setattr(reconcile, "after_build", after)
    monkeypatch.setattr(reconcile, "project_dir", lambda book: dbt_folder)
    return happened


def test_the_marts_are_built_in_place_under_the_lock_and_published(
    run: Run, book: BookResource, dbt_folder: Path, seen: list[str]
) -> None:
    found = project(dbt_folder)
    models = build_assets(found)
    result = run(models, checks.coverage, checks.unmapped_money, resources={"book": book})
    assert result.success
    assert seen == ["before", "after"]
    with duckdb.connect(str(book.open().published), read_only=True) as con:
        assert con.execute("select agents from marts.discrepancies").fetchone() == (0,)
    said = {e.check_name: (e.passed, e.description) for e in result.get_asset_check_evaluations()}
    assert said == {
        "coverage": (False, "1 of 2 vendors older than allowed: pax8 (stale)."),
        "unmapped_money": (False, "Not mapped to a client or a service: 12.50 USD in 1 rows at list price."),
    }
    spec = models.get_asset_spec(dg.AssetKey(["marts", "discrepancies"]))
    assert (spec.group_name, spec.owners) == ("marts", ["team:finance"])
    assert [dep.asset_key for dep in spec.deps] == [dg.AssetKey(["huntress", "agents"])]
    assert not (book.open().data / "warehouse.owner.json").exists()
    assert "MORTON_WAREHOUSE" not in os.environ

    # A build that breaks a rule publishes nothing.
    (dbt_folder / "models/marts/source_health.sql").write_text("select 1 / 'x' as vendor", "utf-8")
    assert not run(build_assets(project(dbt_folder)), resources={"book": book}).success
    assert seen == ["before", "after", "before"]


def test_the_manifest_is_made_once_and_again_when_a_model_changes(dbt_folder: Path) -> None:
    first = project(dbt_folder).manifest_path.stat().st_mtime_ns
    assert project(dbt_folder).manifest_path.stat().st_mtime_ns == first
    newer = dbt_folder / "models/marts/another.sql"
    newer.write_text("select 1 as one", "utf-8")
    os.utime(newer, ns=(first + 10**9, first + 10**9))
    assert "another" in project(dbt_folder).manifest_path.read_text("utf-8")


def test_the_environment_is_put_back_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEPT", "before")
    monkeypatch.delenv("TEST_NEW", raising=False)
    with environment({"TEST_KEPT": "during", "TEST_NEW": "during"}):
        assert (os.environ["TEST_KEPT"], os.environ["TEST_NEW"]) == ("during", "during")
    assert os.environ["TEST_KEPT"] == "before"
    assert "TEST_NEW" not in os.environ
