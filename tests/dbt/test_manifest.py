"""Rules the dbt project keeps, read off its manifest; each failure names the model, column or file that breaks one."""

import csv
import re
from collections.abc import Iterable
from typing import Any

import pytest
import yaml

from morton_pipeline.reconcile import DBT_PROJECT
from morton_pipeline.seeds import SEEDS, countable, mappable_fields
from morton_pipeline.vendors import VENDORS

Manifest = dict[str, Any]
Node = dict[str, Any]

COLUMNS = {
    "discrepancies": (
        "discrepancy_id period_month client_id client_name service_id service_name kind observed_quantity contracted_quantity "
        "invoiced_quantity variance_quantity unit_price currency variance_amount accumulated_amount recoverable_amount began_on "
        "source_state source_as_of_at explanation is_within_tolerance is_estimate seal status decided_by decided_at"
    ),
    "discrepancy_evidence": (
        "discrepancy_id vendor connection_id record_id record_name bucket bucket_reason first_seen_on last_seen_on change"
    ),
    "daily_quantities": (
        "quantity_on client_id service_id vendor connection_id observed_quantity billable_quantity contracted_quantity "
        "variance_quantity source_state"
    ),
    "quantity_stretches": (
        "first_on last_on client_id service_id vendor connection_id observed_quantity billable_quantity contracted_quantity "
        "variance_quantity source_state"
    ),
    "margins": (
        "period_month client_id client_name service_id service_name count_vendor contracted_quantity observed_quantity "
        "purchased_quantity purchased_vendor assigned_quantity assigned_vendor invoiced_quantity unit_price unit_cost currency "
        "cost_currency billed_amount cost_amount margin_amount margin_share waste_quantity waste_amount risk_quantity finding "
        "explanation source_state fresh_until_at commitment_ends_on"
    ),
    "coverage_gaps": (
        "client_id client_name device_name device_class gap present_in record_vendor connection_id record_id matched_by "
        "candidates since_on expected_because source_state explanation fresh_until_at"
    ),
    "excluded_records": (
        "client_id client_name service_id vendor connection_id record_id record_name quantity rule reason owner "
        "excluded_since_on expires_on is_expired is_new max_quantity covered_quantity record_key"
    ),
    "invoice_drift": (
        "invoice_id reference client_id client_name period_month currency approved_amount found_amount connection_id "
        "accounting_id drift explanation read_back_at"
    ),
    "record_changes": (
        "period_month changed_on client_id client_name service_id service_name change from_service_id from_service_name vendor "
        "connection_id record_id record_key record_name quantity explanation"
    ),
    "fix_tasks": (
        "client_id client_name service_id service_name kind cause to_do decision_count is_chronic is_open first_decided_at "
        "last_decided_at last_decided_by last_reason holds_until_on written_off_amount currency"
    ),
    "source_health": (
        "connection_id vendor endpoint tenant_id state last_complete_at last_attempt_at last_error record_count allowed_age_minutes"
    ),
}
"""The columns other people build on; renaming one breaks them."""

ADDED = {
    "discrepancies": {
        "invoiced_as",
        "billed_to",
        "corrects_month",
        "closed_at",
        "lost_unit_days",
        "unexplained_quantity",
    },
    "discrepancy_evidence": {"record_key", "quantity", "extraction_id", "is_personal"},
    "coverage_gaps": {"record_key"},
    "source_health": {"secret_expires_on"},
    "margins": {
        "distributor_invoiced_quantity",
        "distributor_invoiced_amount",
        "distributor_invoiced_currency",
        "redundant_quantity",
    },
}
"""What a mart carries beyond the columns it promises."""

KINDS_OF_KEY = {"unique", "is_unique_by"}
DUCKDB_ONLY = {
    "a cast by colons": r"::",
    "qualify": r"\bqualify\b",
    "a list function": r"\blist_\w+\s*\(",
    "unnest": r"\bunnest\s*\(",
    "strftime": r"\bstrftime\s*\(",
    "at time zone": r"\bat\s+time\s+zone\b",
    "epoch": r"\bepoch\w*\s*\(",
    "a struct function": r"\bstruct_\w+\s*\(",
    "exclude columns": r"\bexclude\s*\(",
    "group by all": r"\bgroup\s+by\s+all\b",
    "an aggregate's filter": r"\)\s*filter\s*\(",
    "is distinct from": r"\bis\s+(not\s+)?distinct\s+from\b",
}


def _models(manifest: Manifest, folder: str = "") -> list[Node]:
    found = [n for n in manifest["nodes"].values() if n["resource_type"] == "model" and n["path"].startswith(folder)]
    assert found, f"no model stands under {folder}"
    return sorted(found, key=lambda n: n["name"])


def _seeds(manifest: Manifest) -> dict[str, Node]:
    return {n["name"]: n for n in manifest["nodes"].values() if n["resource_type"] == "seed"}


def _names(nodes: Iterable[Node]) -> list[str]:
    return [n["name"] for n in nodes]


def test_every_model_says_what_it_is(manifest: Manifest) -> None:
    assert _names(m for m in _models(manifest) if not m["description"].strip()) == []


def test_every_model_has_a_test_of_its_key(manifest: Manifest) -> None:
    tests = [n for n in manifest["nodes"].values() if n["resource_type"] == "test" and n.get("test_metadata")]
    keyed = {n["attached_node"] for n in tests if n["test_metadata"]["name"] in KINDS_OF_KEY}
    # A model of one row has no key, and that of a view that grows with history follows from what it puts together.
    without = {"stg_morton__clock", "daily_quantities", "discrepancy_evidence"}
    assert _names(m for m in _models(manifest) if m["unique_id"] not in keyed and m["name"] not in without) == []


def test_every_mart_has_a_contract_and_every_column_a_type_and_a_description(manifest: Manifest) -> None:
    for mart in _models(manifest, "marts"):
        assert mart["config"]["contract"]["enforced"], mart["name"]
        assert mart["access"] == "public", mart["name"]
        assert [c["name"] for c in mart["columns"].values() if not c["description"].strip() or not c["data_type"]] == []


def test_the_marts_have_the_columns_people_build_on_first_and_in_order(manifest: Manifest) -> None:
    marts = {m["name"]: list(m["columns"]) for m in _models(manifest, "marts")}
    for name, promised in COLUMNS.items():
        first = [column for column in marts[name] if column not in ADDED.get(name, set())]
        assert first == promised.split(), name


def test_a_mart_says_decimal_for_money_and_quantities_and_never_float(manifest: Manifest) -> None:
    for mart in _models(manifest, "marts"):
        kinds = {c["name"]: c["data_type"] for c in mart["columns"].values()}
        measured = [name for name in kinds if re.search(r"_(quantity|amount|price|cost|share)$", name)]
        assert {name: kinds[name] for name in measured} == dict.fromkeys(measured, "decimal(18,4)"), mart["name"]
        assert "double" not in kinds.values()


def test_only_staging_reads_sources(manifest: Manifest) -> None:
    readers = [m for m in _models(manifest) if any(d.startswith("source.") for d in m["depends_on"]["nodes"])]
    assert _names(m for m in readers if not m["path"].startswith("staging/")) == []
    assert _names(m for m in readers if sum(d.startswith("source.") for d in m["depends_on"]["nodes"]) > 1) == []


def test_every_list_of_every_vendor_is_a_source_with_a_staging_model(manifest: Manifest) -> None:
    sources = {(s["schema"], s["name"]) for s in manifest["sources"].values()}
    staged = set(_names(_models(manifest, "staging")))
    lists = [(v.name, e.name) for v in VENDORS.values() for e in v.endpoints]
    assert [f"{v}.{e}" for v, e in lists if (f"raw_{v}", e) not in sources] == []
    assert [f"stg_{v}__{e}" for v, e in lists if f"stg_{v}__{e}" not in staged] == []
    declared = {(s["source_name"], s["name"]) for s in manifest["sources"].values() if s["schema"].startswith("raw_")}
    assert declared - {*lists} - {(s, t) for s, t in declared if s == "ledger"} == set()


def test_every_source_is_described_and_every_vendor_fresh_within_a_limit(manifest: Manifest) -> None:
    for source in manifest["sources"].values():
        assert source["description"].strip(), source["name"]
        if source["source_name"] in VENDORS:
            assert (source["freshness"] or {}).get("warn_after", {}).get("count"), source["unique_id"]


def test_exposures_stand_on_public_models_only(manifest: Manifest) -> None:
    for exposure in manifest["exposures"].values():
        assert exposure["depends_on"]["nodes"], exposure["name"]
        for name in exposure["depends_on"]["nodes"]:
            assert manifest["nodes"][name]["access"] == "public", (exposure["name"], name)


def test_every_seed_and_every_column_of_it_is_described(manifest: Manifest) -> None:
    for name, seed in _seeds(manifest).items():
        assert seed["description"].strip(), name
        assert [c["name"] for c in seed["columns"].values() if not c["description"].strip()] == [], name


@pytest.mark.parametrize("name", SEEDS)
def test_the_columns_of_a_seed_are_the_same_wherever_they_are_written(manifest: Manifest, name: str) -> None:
    expected = [c.name for c in SEEDS[name]]
    seed = _seeds(manifest)[name]
    assert list(seed["columns"]) == expected
    assert list(seed["config"]["column_types"]) == expected
    with (DBT_PROJECT / f"seeds/{name}.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == expected


def _variables() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]
    return found


def test_the_countable_endpoints_are_those_the_vendor_pages_declare() -> None:
    declared = {
        (v.name, e.name): (e.counts, e.is_primary, e.names_people)
        for v in VENDORS.values()
        for e in v.endpoints
        if e.counts
    }
    listed = {
        (e["vendor"], e["endpoint"]): (e["counts"], e["is_primary"], e.get("names_people", False))
        for e in _variables()["countable"]
    }
    assert listed == declared, "vars.countable in dbt_project.yml differs from the vendor pages"
    assert set(countable()) == set(declared)


def test_whatever_a_mapping_may_name_can_be_looked_up() -> None:
    """Seeds may map any text column of a countable endpoint, and vendors' rules look at some: SQL must know them all."""
    for entry in _variables()["countable"]:
        endpoint = VENDORS[entry["vendor"]].endpoint(entry["endpoint"])
        mappable = {*mappable_fields(entry["vendor"], endpoint.name), *(rule.field for rule in endpoint.rules)}
        assert set(entry["fields"]) == mappable, f"{entry['vendor']} {endpoint.name} in vars.countable"


def test_staging_counts_by_the_column_a_vendor_page_says_its_quantity_stands_in() -> None:
    """`morton check` says by the page what the marts count by SQL."""
    for vendor in VENDORS.values():
        for endpoint in (e for e in vendor.endpoints if e.counts and e.is_primary):
            sql = (DBT_PROJECT / f"models/staging/{vendor.name}/stg_{vendor.name}__{endpoint.name}.sql").read_text()
            if not vendor.is_declared:
                assert ("1 as unit_count" in sql) == (not endpoint.quantity), f"{vendor.name} {endpoint.name}"


def test_the_lists_in_the_variables_name_endpoints_that_exist() -> None:
    variables = _variables()
    for entry in (*variables["companies"], *variables["devices"]):
        assert entry["endpoint"] in [e.name for e in VENDORS[entry["vendor"]].endpoints], entry
    for entry in (*variables["countable"], *variables["devices"]):
        assert entry.get("is_declared", False) == VENDORS[entry["vendor"]].is_declared, entry


@pytest.mark.parametrize("pattern", DUCKDB_ONLY.values(), ids=DUCKDB_ONLY)
def test_what_only_duckdb_understands_stands_in_one_file(pattern: str) -> None:
    offenders = []
    for path in sorted(DBT_PROJECT.rglob("*.sql")):
        if path.name == "engines.sql" or not path.is_relative_to(DBT_PROJECT) or "target" in path.parts:
            continue
        sql = re.sub(r"--[^\n]*|\{#.*?#\}", "", path.read_text("utf-8"), flags=re.DOTALL)
        offenders += [path.name] if re.search(pattern, sql, re.IGNORECASE) else []
    assert offenders == []
