import importlib
from pathlib import Path

import dagster as dg
import pytest

import morton_pipeline.definitions
from morton_pipeline.clock import now
from morton_pipeline.defs.cadences import cadences, connections_at_load
from morton_pipeline.defs.raw import RAW_KEYS
from morton_pipeline.vendors import VENDORS
from morton_pipeline.warehouse.scopes import longest_pause_minutes


def load() -> dg.Definitions:
    """Load everything as a fresh process would."""
    return importlib.reload(morton_pipeline.definitions).defs


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    """Everything, without a book."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("MORTON_BOOK", raising=False)
        return load()


def test_definitions_load_without_a_book(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)


def test_every_vendor_endpoint_is_an_asset_of_its_vendors_group_with_owner_and_description(
    defs: dg.Definitions,
) -> None:
    graph = defs.resolve_asset_graph()
    for vendor in VENDORS.values():
        for endpoint in vendor.endpoints:
            node = graph.get(dg.AssetKey([vendor.name, endpoint.name]))
            assert node.is_materializable
            assert (node.group_name, node.owners) == (vendor.name, [vendor.owner])
            assert endpoint.description in (node.description or "")


def test_every_column_of_a_raw_asset_is_described(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    schemas = [graph.get(key).metadata["dagster/column_schema"] for key in RAW_KEYS]
    assert all(column.description and column.type for schema in schemas for column in schema.columns)


def test_staging_models_hang_on_the_raw_assets(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    orphans = [key.to_user_string() for key in RAW_KEYS if not graph.get(key).child_keys]
    assert orphans == []


def test_every_raw_asset_has_the_three_checks(defs: dg.Definitions) -> None:
    checks = {(key.asset_key, key.name) for key in defs.resolve_asset_graph().asset_check_keys}
    assert {(key, name) for key in RAW_KEYS for name in ("answered", "schema", "suspect")} <= checks
    assert (dg.AssetKey(["marts", "source_health"]), "coverage") in checks
    assert (dg.AssetKey(["marts", "discrepancies"]), "unmapped_money") in checks


def test_everything_a_person_can_start_or_stop_is_described(defs: dg.Definitions) -> None:
    repository = defs.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    shown = [*jobs, *repository.schedule_defs, *repository.sensor_defs]
    assert [one.name for one in shown if not one.description] == []
    assert {"refresh_all", "reconcile", "post_invoices"} <= {job.name for job in jobs}


def test_everything_unattended_runs_unless_somebody_stops_it(defs: dg.Definitions) -> None:
    repository = defs.get_repository_def()
    assert {s.default_status for s in repository.schedule_defs} == {dg.DefaultScheduleStatus.RUNNING}
    assert {s.default_status for s in repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}


def test_jobs_run_in_one_process(defs: dg.Definitions) -> None:
    assert {job.executor_def.name for job in defs.get_repository_def().get_all_jobs()} == {"in_process"}


def test_no_freshness_is_tighter_than_the_cadence_of_any_schedule(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    seen = set()
    for schedule in defs.get_repository_def().schedule_defs:
        if schedule.name == "reconcile_schedule":
            continue
        pause = longest_pause_minutes(str(schedule.cron_schedule), now().year)
        job = defs.resolve_job_def(schedule.job_name)
        for key in job.asset_layer.selected_asset_keys:
            seen.add(key)
            policy = graph.get(key).freshness_policy
            assert policy.fail_window.to_timedelta().total_seconds() >= 60 * pause, key
    assert seen == set(RAW_KEYS)


def test_every_list_is_read_by_exactly_one_schedule_of_its_vendor() -> None:
    planned = [(c.vendor, endpoint) for c in cadences(None) for endpoint in c.endpoints]
    assert sorted(planned) == sorted((v.name, e.name) for v in VENDORS.values() for e in v.endpoints)


def test_with_a_book_the_schedules_are_its_connections_and_their_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORTON_BOOK", str(folder))
    defs = load()
    dg.Definitions.validate_loadable(defs)
    found = {s.name: str(s.cron_schedule) for s in defs.get_repository_def().schedule_defs}
    assert found == {
        "huntress_schedule": "15 * * * *",
        "huntress__incident_reports_schedule": "*/2 * * * *",
        "m365_schedule": "0 2 * * *",
        "rmm_north_schedule": "*/30 * * * *",
        "reconcile_schedule": "40 * * * *",
    }
    graph = defs.resolve_asset_graph()
    assert graph.get(dg.AssetKey(["ninjaone", "devices"])).freshness_policy.fail_window.to_timedelta().seconds == 3600
    assert graph.get(dg.AssetKey(["quickbooks_online", "items"])).freshness_policy is None


def test_a_tick_is_left_out_while_the_job_still_runs(defs: dg.Definitions) -> None:
    schedule = defs.get_repository_def().get_schedule_def("huntress__incident_reports_schedule")
    job = defs.resolve_job_def("refresh_huntress__incident_reports")
    with dg.instance_for_test() as instance, dg.build_schedule_context(instance=instance) as context:
        assert schedule.evaluate_tick(context).run_requests
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert not schedule.evaluate_tick(context).run_requests


def test_a_book_that_cannot_be_read_leaves_the_vendors_own_schedules(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "connections.yaml").write_text("connections: [{id: x, vendor: nobody}]", "utf-8")
    monkeypatch.setenv("MORTON_BOOK", str(folder))
    assert connections_at_load() is None
    assert "unknown vendor 'nobody'" in caplog.text


def test_loading_reads_no_book_and_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORTON_BOOK", str(folder))
    load()
    assert [path.name for path in folder.iterdir()] == ["connections.yaml"]
