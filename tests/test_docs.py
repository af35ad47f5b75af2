"""The pages in `docs/` say what is so: each vendor's page, their index, and the page of commands; a failure names what lacks."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from morton_pipeline.cli import cli
from morton_pipeline.extract.vendor import Vendor
from morton_pipeline.vendors import VENDORS
from tests.conftest import ROOT

DOCS = ROOT / "docs"
HEADINGS = ["Connect", "Permissions", "Cadence and limits", "What is counted", "What is not, and why", "Good to know"]
SMALL = ("zero", "one", "two", "three", "four", "five", "six")
SAID_ONCE = {"--book", "--help"}
"""Options every command has; the page says so at its head."""


def page_of(vendor: Vendor) -> str:
    path = DOCS / "vendors" / f"{vendor.name}.md"
    assert path.is_file(), f"write {path.relative_to(ROOT)}"
    return path.read_text("utf-8")


def section(vendor: Vendor, heading: str) -> str:
    """Return what a vendor's page says under a heading."""
    parts = re.split(r"^## (.+)$", page_of(vendor), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(heading, "")


def unnamed(words: Iterator[str], text: str) -> list[str]:
    """Return the words a text does not name; what is a name in code may be written with blanks in a sentence."""
    return sorted({w for w in words if not re.search(rf"\b{w.replace('_', '[_ ]')}\b", text, re.I)})


each_vendor = pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: vendor.name)


@each_vendor
def test_a_vendors_page_has_its_title_and_the_six_headings(vendor: Vendor) -> None:
    text = page_of(vendor)
    (title,) = re.findall(r"^# (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    assert vendor.is_declared or title == vendor.title
    assert re.findall(r"^## (.+)$", text, re.M) == HEADINGS
    assert not [heading for heading in HEADINGS if len(section(vendor, heading).strip()) < 20], "an empty section"


@each_vendor
def test_a_vendors_page_shows_how_it_is_connected(vendor: Vendor) -> None:
    connect = section(vendor, "Connect")
    assert f"vendor: {vendor.name}" in connect
    assert unnamed(iter((*vendor.secrets, *vendor.settings)), connect) == []
    assert unnamed(iter(vendor.optional_settings), page_of(vendor)) == []


@each_vendor
def test_a_vendors_page_names_every_list_and_every_rule(vendor: Vendor) -> None:
    assert unnamed((e.name for e in vendor.endpoints), page_of(vendor)) == []
    rules = {rule.name for e in vendor.endpoints for rule in e.rules}
    assert [r for r in sorted(rules) if f"`{r}`" not in section(vendor, "What is not, and why")] == []


@each_vendor
def test_a_vendors_page_says_how_often_it_is_read(vendor: Vendor) -> None:
    said = section(vendor, "Cadence and limits")
    for cron in {vendor.cron, *(vendor.cadence(e) for e in vendor.endpoints)}:
        assert cron in said or re.search(in_words(cron), said, re.I), f"{cron} is not said: {in_words(cron)}"


def in_words(cron: str) -> str:
    """Return how a sentence says a cadence, as a pattern."""
    minute, hour, *days = cron.split()
    if days != ["*", "*", "*"]:
        return re.escape(cron)
    if hour == "*" and minute.startswith("*/"):
        return rf"\bevery (?:{_number(minute)}) minutes\b"
    if hour == "*":
        return r"\b(?:every hour|hourly)\b"
    if hour.startswith("*/"):
        return rf"\bevery (?:{_number(hour)}) hours\b"
    return r"\b(?:every night|nightly|every day|daily|every morning|once a day)\b"


def _number(step: str) -> str:
    number = step.removeprefix("*/")
    return f"{number}|{SMALL[int(number)]}" if int(number) < len(SMALL) else number


def test_every_page_belongs_to_a_vendor() -> None:
    assert {p.stem for p in (DOCS / "vendors").glob("*.md")} - {"README"} - set(VENDORS) == set()


def test_the_index_lists_every_vendor_in_one_line() -> None:
    index = (DOCS / "vendors" / "README.md").read_text("utf-8")
    assert set(re.findall(r"\]\((\w+)\.md\)", index)) - set(VENDORS) == set(), "these are no vendors"
    for vendor in VENDORS.values():
        lines = [line for line in index.splitlines() if f"]({vendor.name}.md)" in line]
        assert len(lines) == 1, f"{vendor.title} stands in {len(lines)} lines of docs/vendors/README.md"
        assert vendor.is_declared or f"[{vendor.title}]" in lines[0]
        assert len(lines[0].strip("| ").split("|")) == 2, f"say in its line what one unit of {vendor.title} is"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(
        r"\]\((?!https?:)([^)#\s]+)", re.sub(r"^(`{3,}).*?^\1$", "", page.read_text("utf-8"), flags=re.M | re.S)
    )
    assert [link for link in links if not (page.parent / link).exists()] == []


def commands(group: click.Command = cli, path: tuple[str, ...] = ("morton",)) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that can be called, by its whole name."""
    if not isinstance(group, click.Group):
        yield " ".join(path), group
        return
    if group.invoke_without_command:
        yield " ".join(path), group
    for name, command in group.commands.items():
        yield from commands(command, (*path, name))


def described() -> dict[str, tuple[str, str]]:
    """Return each command of the page: its name without arguments, how it is written, and its options."""
    rows = re.findall(r"^\| `(morton [^`]+)` \|(.*?)(?<!\\)\|", (DOCS / "commands.md").read_text("utf-8"), re.M)
    return {re.sub(r" [\[A-Z].*", "", written): (written, options) for written, options in rows}


def test_the_page_of_commands_lists_each_of_them_once_and_no_other() -> None:
    assert list(commands()), "no command was found"
    names = {name for name, _ in commands()}
    assert names - set(described()) == set(), "add these to docs/commands.md"
    assert set(described()) - names == set(), "docs/commands.md has commands that are no more"


@pytest.mark.parametrize(("name", "command"), [pytest.param(n, c, id=n) for n, c in commands()])
def test_a_command_is_described_with_what_it_takes(name: str, command: click.Command) -> None:
    if name not in described():
        pytest.fail(f"add {name} to docs/commands.md")
    written, options = described()[name]
    taken = {max(o.opts, key=len): o for o in command.params if isinstance(o, click.Option)}
    if "--format" in taken:
        words = set(getattr(taken.pop("--format").type, "choices", ())) - {"table", "json"}
        assert [word for word in sorted(words) if not re.search(rf"--format [^`]*\b{word}\b", options)] == []
        options = re.sub(r"`--format [^`]*`", "", options)
    shown = set(re.findall(r"--[a-z-]+", options))
    assert shown == set(taken) - SAID_ONCE
    arguments = [a.human_readable_name for a in command.params if isinstance(a, click.Argument)]
    assert written == " ".join((name, *arguments))
