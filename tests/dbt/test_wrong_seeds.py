"""The rules of contracts hold in the build as well, should wrong seeds ever come so far; each failure names the rule."""

import pytest

from tests.conftest import write_seeds
from tests.dbt.conftest import Project, prepare

CLIENT = {"client_name": "Acme", "status": "active", "currency": "USD"}
CONTRACT = {"client_id": "acme", "service_id": "rmm", "quantity": "1", "unit_price": "1", "billing_model": "per_unit"}
MAPPING = {"vendor": "ninjaone", "endpoint": "devices", "field": "node_class", "pattern": "MAC"}
INCLUDE = {"vendor": "microsoft365"}
RIGHT = {
    "clients": [
        {**CLIENT, "client_id": "acme"},
        {**CLIENT, "client_id": "globex", "note": "No contract: starts in May"},
    ],
    "contracts": [
        {**CONTRACT, "contract_id": "c1", "effective_to": "2026-11-01"},
        {**CONTRACT, "contract_id": "c2", "effective_from": "2026-12-01", "note": "gap: closed for the season"},
    ],
    "company_mappings": [{"connection_id": "rmm", "company_id": "7", "client_id": "acme"}],
    "service_mappings": [{**MAPPING, "service_id": "rmm"}, {**MAPPING, "service_id": "mdm", "priority": "10"}],
    "sku_includes": [{**INCLUDE, "sku": "A", "included_sku": "B"}, {**INCLUDE, "sku": "B", "included_sku": "C"}],
}
WRONG = {
    "every_active_client_has_a_contract": ("warn", "clients", {**CLIENT, "client_id": "initech"}),
    "no_gap_lies_between_two_contract_versions": (
        "fail",
        "contracts",
        {**CONTRACT, "contract_id": "c0", "effective_from": "2026-01-01", "effective_to": "2026-10-01", "service_id": "mdm"},
    ),
    "a_month_taken_as_a_whole_is_counted_by_one_tool": (
        "fail",
        "contracts",
        {**CONTRACT, "contract_id": "c8", "client_id": "globex", "count_vendor": "ninjaone", "effective_to": "2026-11-11"},
    ),
    "every_mapping_is_unique": ("fail", "company_mappings", {"connection_id": "rmm", "company_id": "7", "client_id": "globex"}),
    "no_sku_contains_itself": ("fail", "sku_includes", {**INCLUDE, "sku": "c", "included_sku": "a"}),
}  # fmt: skip


def _came_to(project: Project, seeds: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """Build from seeds nobody checked, and return what each rule about them came to."""
    write_seeds(project.root / "project/seeds", **seeds)
    build = ("build", "--select", *RIGHT, "services", "int_sku_includes", "+int_clients")
    project.run(*build, "--indirect-selection", "cautious")
    results = {r["unique_id"].split(".")[2]: r["status"] for r in project.read("run_results.json")["results"]}
    return {name: results[name] for name in WRONG}


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("wrong_seeds"))
    prepare(made)
    return made


def test_case_42_right_seeds_break_no_rule_of_the_build(apart: Project) -> None:
    assert set(_came_to(apart, RIGHT).values()) == {"pass"}


def test_case_42_wrong_seeds_break_each_rule_of_the_build(apart: Project) -> None:
    wrong = {name: list(rows) for name, rows in RIGHT.items()}
    for _, seed, row in WRONG.values():
        wrong[seed].append(row)
    wrong["contracts"] += [
        # A contract that is over agrees on nothing any more.
        {**CONTRACT, "contract_id": "c4", "client_id": "initech", "effective_to": "2020-01-01"},
        {**CONTRACT, "contract_id": "c3", "effective_from": "2026-11-02", "service_id": "mdm"},
        {**CONTRACT, "contract_id": "c9", "client_id": "globex", "count_vendor": "huntress", "count_basis": "daily",
         "effective_from": "2026-11-11"},
    ]  # fmt: skip
    assert _came_to(apart, wrong) == {name: status for name, (status, _, _) in WRONG.items()}
