from collections.abc import Callable
from typing import Any

import dagster as dg
import duckdb

from morton_pipeline.defs import raw
from morton_pipeline.defs.checks import vendor_checks
from morton_pipeline.defs.raw import Connections, vendor_assets
from morton_pipeline.defs.resources import BookResource
from morton_pipeline.vendors import VENDORS

Answers = dict[str, object]
Run = Callable[..., dg.ExecuteInProcessResult]

HUNTRESS = [vendor_assets(VENDORS["huntress"], {}), vendor_checks(VENDORS["huntress"])]
M365 = [vendor_assets(VENDORS["microsoft365"], {}), vendor_checks(VENDORS["microsoft365"])]


def metadata(result: dg.ExecuteInProcessResult, *key: str) -> dict[str, Any]:
    """The metadata of an asset's materialisation."""
    (event,) = (e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(key))
    return {name: value.value for name, value in event.materialization.metadata.items()}


def checks(result: dg.ExecuteInProcessResult, name: str) -> dict[str, bool]:
    """Whether a check passed, by endpoint."""
    return {e.asset_key.path[-1]: e.passed for e in result.get_asset_check_evaluations() if e.check_name == name}


def test_a_materialised_list_is_in_the_warehouse_and_says_what_changed(run: Run, book: BookResource) -> None:
    result = run(*HUNTRESS)
    assert result.success
    with duckdb.connect(str(book.open().warehouse), read_only=True) as con:
        assert con.execute("select hostname from raw_huntress.agents order by 1").fetchall() == [("pc-1",), ("pc-2",)]
    found = metadata(result, "huntress", "agents")
    assert found["state"] == "1 complete"
    assert (found["record_count"], found["added_count"], found["connections"]) == (2, 2, 1)
    assert "| huntress |  | complete | 2 | 2 | 0 | 0 | 0 |  |" in found["scopes"]


def test_one_list_can_be_asked_for_alone(run: Run) -> None:
    result = run(*HUNTRESS, selection=dg.AssetSelection.assets(["huntress", "agents"]))
    assert [e.asset_key.path[-1] for e in result.get_asset_materialization_events()] == ["agents"]


def test_case_3_one_failing_tenant_keeps_nobody_else_from_being_loaded(run: Run, book: BookResource) -> None:
    result = run(*M365)
    assert not result.success
    found = metadata(result, "microsoft365", "users")
    assert found["state"] == "1 complete, 1 failed"
    assert "Fabrikam" in found["scopes"]
    assert set(checks(result, "answered").values()) == {False}
    assert set(checks(result, "schema").values()) == {True}
    (failure,) = result.get_step_failure_events()
    text = failure.step_failure_data.user_failure_data.description
    assert text.startswith("Microsoft 365: 4 of 8 lists could not be read. Fabrikam: m365: ")
    with duckdb.connect(str(book.open().warehouse), read_only=True) as con:
        assert con.execute("select tenant_id, count(*) from raw_microsoft365.users group by 1").fetchall() == [
            ("good", 1)
        ]


def test_a_list_that_failed_altogether_does_not_keep_what_depends_on_it_from_being_built(
    run: Run, answers: Answers
) -> None:
    @dg.asset(deps=[["huntress", "agents"]])
    def downstream() -> None: ...

    answers["/v1/agents"] = 403
    result = run(*HUNTRESS, downstream)
    assert not result.success
    assert dg.AssetKey("downstream") in {e.asset_key for e in result.get_asset_materialization_events()}
    assert checks(result, "answered") == {"agents": False, "organizations": True, "incident_reports": True}
    assert metadata(result, "huntress", "agents")["state"] == "1 failed"


def test_the_next_reading_makes_the_check_pass_again(run: Run, answers: Answers) -> None:
    working = answers["/v1/agents"]
    answers["/v1/agents"] = 403
    assert not run(*HUNTRESS).success
    answers["/v1/agents"] = working
    assert run(*HUNTRESS).success


def test_a_record_that_is_set_aside_fails_the_check_of_the_schema_and_not_the_run(run: Run, answers: Answers) -> None:
    answers["/v1/agents"] = {"agents": [{"id": 1, "organization_id": None}], "pagination": {}}
    result = run(*HUNTRESS)
    assert result.success
    assert checks(result, "schema") == {"agents": False, "organizations": True, "incident_reports": True}
    assert metadata(result, "huntress", "agents")["quarantined_count"] == 1


def test_case_2_an_empty_list_after_records_fails_the_check_of_belief_and_not_the_run(
    run: Run, answers: Answers
) -> None:
    run(*HUNTRESS)
    answers["/v1/agents"] = {"agents": [], "pagination": {}}
    result = run(*HUNTRESS)
    assert result.success
    assert checks(result, "suspect") == {"agents": False, "organizations": True, "incident_reports": True}
    assert metadata(result, "huntress", "agents")["state"] == "1 suspect"


def test_a_vendor_that_is_not_connected_says_so_and_does_nothing(run: Run, book: BookResource) -> None:
    vendor = VENDORS["quickbooks_online"]
    result = run(vendor_assets(vendor, {}), vendor_checks(vendor))
    assert result.success
    assert metadata(result, "quickbooks_online", "items") == {"state": "not connected", "connections": 0}


def test_a_look_that_finds_nothing_new_says_so() -> None:
    assert raw.metadata([], 2) == {"state": "nothing new", "connections": 2}


def test_a_missing_secret_is_recorded_as_a_failed_attempt(run: Run) -> None:
    vendor = VENDORS["ninjaone"]
    result = run(vendor_assets(vendor, {}), vendor_checks(vendor))
    assert not result.success
    assert "needs TEST_ABSENT" in metadata(result, "ninjaone", "devices")["scopes"]


def test_only_the_connections_a_schedule_names_are_read(run: Run) -> None:
    config = dg.RunConfig(ops={"huntress": Connections(connections=["another"])})
    result = run(HUNTRESS[0], run_config=config)
    assert metadata(result, "huntress", "agents")["state"] == "not connected"
