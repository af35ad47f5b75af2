"""Sentences that hold for the whole project; a failure names what is missing."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from morton_pipeline.vendors import VENDORS
from tests.conftest import ROOT

PACKAGE = ROOT / "morton_pipeline"
SECRET_WORDS = sorted(
    {secret.upper() for vendor in VENDORS.values() for secret in vendor.secrets}, key=len, reverse=True
)
VARIABLE = re.compile(rf"\b(?:MORTON_[A-Z_]+[A-Z]|[A-Z0-9_]+_(?:{'|'.join(SECRET_WORDS)}))\b")

LAYERS = {
    "vendors": {"book", "clock", "errors", "extract"},
    "extract": {"book", "clock", "errors", "failpoints", "globs"},
    "warehouse": {"book", "clock", "errors", "extract", "vendors"},
    "seeds": {"book", "errors", "extract", "globs", "rates", "vendors"},
    "ledger": {"book", "clock", "errors", "extract", "failpoints", "rates"},
    "accounting": {
        "book",
        "cells",
        "clock",
        "errors",
        "extract",
        "failpoints",
        "ledger",
        "rates",
        "vendors",
        "warehouse",
    },
    "reports": {"book", "cells", "clock", "errors", "extract", "ledger", "vendors", "warehouse"},
}
"""What each ring may import from the package, beside itself."""


def sources(folder: Path) -> Iterator[Path]:
    yield from sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts)


def imported(path: Path) -> set[str]:
    """Name the package's own parts a module imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "morton_pipeline":
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("morton_pipeline."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {n.name.split(".")[1] for n in node.names if n.name.startswith("morton_pipeline.")}
    return found


def used_variables() -> dict[str, str]:
    """Every environment variable named in what runs, with a file that names it."""
    files = [*sources(PACKAGE), *sources(ROOT / "tests"), *(ROOT / "dbt_project").glob("*.yml"), ROOT / "Makefile"]
    return {
        name: str(path.relative_to(ROOT))
        for path in files
        for name in VARIABLE.findall(path.read_text("utf-8"))
        if not name.startswith("TEST_") and path != Path(__file__)
    }


def example_variables() -> list[str]:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    return [line.partition("=")[0] for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_has_recorded_traffic_and_a_test_that_replays_it(vendor: str) -> None:
    folder = ROOT / "tests" / "vendors" / vendor
    # What comes as a file is written by the test itself.
    needed = (f"test_{vendor}.py",) if vendor == "files" else ("traffic.json", f"test_{vendor}.py")
    missing = [name for name in needed if not (folder / name).is_file()]
    assert not missing, f"add {missing} to {folder}"


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_has_a_staging_folder_and_is_counted(vendor: str) -> None:
    models = ROOT / "dbt_project" / "models"
    staged = {p.stem for p in (models / "staging" / vendor).glob("*.sql")}
    if VENDORS[vendor].category != "accounting":
        listed = yaml.safe_load((ROOT / "dbt_project" / "dbt_project.yml").read_text("utf-8"))["vars"]["countable"]
        assert vendor in [entry["vendor"] for entry in listed], f"name {vendor} under vars.countable in dbt_project.yml"
    missing = [e.name for e in VENDORS[vendor].endpoints if f"stg_{vendor}__{e.name}" not in staged]
    assert not missing, f"add stg_{vendor}__{{{','.join(missing)}}}.sql to dbt_project/models/staging/{vendor}"


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda v: v.name)
def test_every_vendor_stands_in_the_readme_table(vendor: object) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    rows = [line for line in readme.splitlines() if line.startswith("|")]
    assert any(vendor.title in row for row in rows), f"add {vendor.title} to README.md"  # type: ignore[attr-defined]


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda v: v.name)
def test_every_vendor_and_endpoint_reads_as_a_sentence(vendor: object) -> None:
    for endpoint in vendor.endpoints:  # type: ignore[attr-defined]
        assert endpoint.description.endswith("."), endpoint.name
        assert not [rule.name for rule in endpoint.rules if not rule.reason.endswith(".")]


def test_every_environment_variable_used_is_in_the_example_and_no_other_is() -> None:
    used, named = used_variables(), example_variables()
    assert not {n: where for n, where in used.items() if n not in named}, "add these to .env.example"
    assert not [n for n in named if n not in used], "nothing uses these; take them out of .env.example"
    assert len(named) == len(set(named)), "a variable stands in .env.example twice"


def test_the_example_holds_no_values() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    assert not [line for line in lines if line and not line.startswith("#") and not line.endswith("=")]


def test_every_secret_of_every_vendor_has_a_variable_in_the_example() -> None:
    named = example_variables()
    for vendor in VENDORS.values():
        for secret in vendor.secrets:
            assert any(n.endswith(f"_{secret.upper()}") for n in named), f"add {vendor.name}'s {secret} to .env.example"


@pytest.mark.parametrize("path", [pytest.param(p, id=str(p.relative_to(PACKAGE))) for p in sources(PACKAGE)])
def test_every_module_says_what_belongs_there(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), f"{path} opens without a docstring"


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_inwards(layer: str) -> None:
    wrong = {
        str(path.relative_to(ROOT)): sorted(imported(path) - LAYERS[layer] - {layer})
        for path in sources(PACKAGE / layer)
        if imported(path) - LAYERS[layer] - {layer}
    }
    assert not wrong


def test_dagster_is_told_one_name_for_this_code() -> None:
    (location,) = yaml.safe_load((ROOT / "workspace.yaml").read_text("utf-8"))["load_from"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["dg"]["project"]
    assert location["python_module"]["location_name"] == project["code_location_name"]
    assert location["python_module"]["module_name"] == project["code_location_target_module"]


def test_every_routine_of_the_makefile_is_explained() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    phony = set(re.search(r"^\.PHONY: (.+)$", text, re.M)[1].split())  # type: ignore[index]
    assert phony == set(re.findall(r"^([a-z]+):.*## ", text, re.M))


def test_the_lock_holds_every_direct_dependency_and_names_no_index() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *(d for group in project["optional-dependencies"].values() for d in group)]
    names = {re.split(r"[\[<>=!~ ]", d)[0].lower() for d in wanted}
    locked = set(re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==", lock, re.M))
    assert names <= locked, f"`make lock`: {sorted(names - locked)}"
    assert not re.findall(r"https?://|file://|--index|--find-links ", lock)
