"""What every test shares: a book's connection with throw-away secrets, and the list of edge cases nobody tests."""

import csv
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from morton_pipeline.book import Connection, Tenant
from morton_pipeline.seeds import SEEDS
from morton_pipeline.simulator.google_workspace import demo_service_account
from morton_pipeline.vendors import VENDORS
from tests.score.tally import table

ROOT = Path(__file__).resolve().parent.parent
CASES = range(1, 88)
"""The numbered edge cases; a test that proves one is named `test_case_N_…`, a dbt test `case_N_…`."""

RATES = "currency,to_currency,rate,effective_from,source\nEUR,USD,1.1,2026-01-01,ECB\nJPY,USD,0.0065,2026-01-01,BoJ\n"
"""What a test's book needs to be invoiced in more than its main currency."""

Connect = Callable[..., Connection]


def write_seeds(folder: Path, **rows: list[dict[str, str]]) -> None:
    """Write every seed of a book: the rows given by its name, else the header alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in SEEDS.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [c.name for c in columns], restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows.get(name, []))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own book, clock or ledger."""
    for name in ("MORTON_BOOK", "MORTON_NOW", "MORTON_LEDGER_URL", "MORTON_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Make a connection of a vendor as connections.yaml would, with its secrets set and no pause between attempts."""

    def make(vendor_name: str, *, tenants: tuple[Tenant, ...] | str | None = None, **changes: Any) -> Connection:
        vendor = VENDORS[vendor_name]
        variables = {word: f"TEST_{vendor_name}_{word}".upper() for word in vendor.secrets}
        for word, variable in variables.items():
            is_key = word == "service_account"
            monkeypatch.setenv(variable, demo_service_account() if is_key else f"s3cret/{word}+of={vendor_name}")
        base_url = changes.pop("base_url", vendor.base_url)
        settings = (
            {"backoff_seconds": 0} | {name: f"{name}-1" for name in vendor.settings} | changes.pop("settings", {})
        )
        return Connection(
            id=changes.pop("id", vendor_name),
            vendor=vendor_name,
            base_url=base_url,
            auth_url=changes.pop("auth_url", vendor.auth_url or base_url),
            secrets=variables,
            settings=settings,
            tenants=tenants or ((Tenant("tenant-1", "Contoso"),) if vendor.is_per_tenant else (Tenant(""),)),
            **changes,
        )

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A skipped test with the marker `contract` is a failed one where contracts are required."""
    report = yield
    if report.skipped and os.environ.get("MORTON_REQUIRE_CONTRACTS") and item.get_closest_marker("contract"):
        report.outcome = "failed"
        report.longrepr = f"Contracts are required here, and this one was skipped: {report.longrepr[2]}"
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what killed processes and planted cases came to, and name the edge cases without a test: at every run."""
    _chaos_table(terminalreporter)
    _score_table(terminalreporter)
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    proved = {case for reports in terminalreporter.stats.values() for report in reports for case in _cases(report)}
    proved |= {int(n) for text in _dbt_texts() for n in re.findall(r"\bcase_(\d+)_", text)}
    missing = [str(case) for case in CASES if case not in proved]
    terminalreporter.write_line(f"Edge cases without a test: {', '.join(missing) or 'none'}.")


CHAOS = ("system", "seed", "kill -9", "faults", "made", "double", "lost", "wrong", "no state", "seconds")
"""What a chaos test records about itself as the property `chaos`."""


def _recorded(terminalreporter: Any, wanted: str) -> list[dict[str, Any]]:
    """What tests recorded about themselves under a name."""
    return [
        dict(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == wanted and report.when == "call"
    ]


def _score_table(terminalreporter: Any) -> None:
    if said := _recorded(terminalreporter, "score"):
        terminalreporter.section("score")
        for line in table(said):
            terminalreporter.write_line(line)


def _chaos_table(terminalreporter: Any) -> None:
    rows = _recorded(terminalreporter, "chaos")
    if not rows:
        return
    table = [CHAOS, *(tuple(str(row[name]) for name in CHAOS) for row in sorted(rows, key=lambda r: str(r["system"])))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    terminalreporter.section("chaos")
    for line in table:
        terminalreporter.write_line("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)))


def _cases(report: Any) -> Iterator[int]:
    for number in re.findall(r"test_case_(\d+)_", getattr(report, "nodeid", "")):
        if getattr(report, "when", "") == "call" and report.passed:
            yield int(number)


def _dbt_texts() -> Iterator[str]:
    for folder in ("models", "tests"):
        for path in (ROOT / "dbt_project" / folder).rglob("*.*"):
            if path.suffix in (".sql", ".yml"):
                yield path.stem + path.read_text("utf-8")
