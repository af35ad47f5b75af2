"""A new book: whatever vendors are chosen, it opens, its seeds pass their check, and nothing is ever overwritten."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from morton_pipeline.book import Book, open_book
from morton_pipeline.errors import BadInput
from morton_pipeline.new_book import FILL_IN, make, offered
from morton_pipeline.reconcile import DBT_PROJECT
from morton_pipeline.seeds import SEEDS, check, read
from morton_pipeline.vendors import VENDORS
from tests.conftest import ROOT

ACCOUNTING = [name for name, vendor in offered().items() if vendor.category == "accounting"]


@pytest.fixture(autouse=True)
def _own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a book reads its `.env` into the environment; no other test shall see it."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


def variables(book: Book) -> set[str]:
    return {variable for connection in book.connections for variable in connection.secrets.values()}


def listed(root: Path) -> set[str]:
    lines = (root / ".env").read_text("utf-8").splitlines()
    return {line.removesuffix("=") for line in lines if line.endswith("=") and not line.startswith("#")}


@pytest.mark.parametrize("name", offered())
def test_a_book_of_any_vendor_opens_and_its_seeds_pass(tmp_path: Path, name: str) -> None:
    make(tmp_path / "book", [name])
    book = open_book(tmp_path / "book")
    (connection,) = book.connections
    assert connection.vendor == name
    assert check(book) == []
    assert listed(book.root) == variables(book)
    assert len(read(book, "service_mappings")) == len(VENDORS[name].proposals)


def test_a_book_of_all_vendors_opens_and_its_seeds_pass(tmp_path: Path) -> None:
    make(tmp_path / "book", list(offered()), ACCOUNTING[0])
    book = open_book(tmp_path / "book")
    assert [c.vendor for c in book.connections] == list(offered())
    assert check(book) == []
    assert book.accounting is not None
    assert book.accounting.vendor == ACCOUNTING[0]
    needed = sum(len(v.secrets) - len(v.optional_secrets) for v in offered().values())
    assert len(variables(book)) == needed, "two connections share a variable"
    assert listed(book.root) == variables(book)


@pytest.mark.parametrize("name", offered())
def test_a_block_says_where_the_credentials_come_from(tmp_path: Path, name: str) -> None:
    make(tmp_path / "book", [name])
    text = (tmp_path / "book" / "connections.yaml").read_text("utf-8")
    assert "Credentials: " in text, f"the page of {name} does not open with a sentence about its credentials"
    assert f"docs/vendors/{name}.md" in text
    assert ("`morton connect " in text) is (VENDORS[name].sign_in is not None)
    for word in VENDORS[name].settings:
        assert f"{word}:" in text, f"{word} of {name} is not there to fill in"


def test_what_a_connection_declares_itself_is_pointed_to_and_not_offered(tmp_path: Path) -> None:
    declared = [name for name, vendor in VENDORS.items() if vendor.is_declared]
    assert declared
    assert not set(declared) & set(offered())
    make(tmp_path / "book", ["ninjaone"])
    text = (tmp_path / "book" / "connections.yaml").read_text("utf-8")
    assert [name for name in declared if f"docs/vendors/{name}.md" not in text] == []


def test_without_a_vendor_every_block_is_a_comment_that_can_be_uncommented(tmp_path: Path) -> None:
    make(tmp_path / "book", [])
    book = open_book(tmp_path / "book")
    assert book.connections == ()
    assert check(book) == []
    assert listed(book.root) == set()
    path = book.root / "connections.yaml"
    text = path.read_text("utf-8").replace("connections: []", "connections:")
    path.write_text(re.sub(r"^#(?=  [- ])", "", text, flags=re.MULTILINE), "utf-8")
    assert [c.vendor for c in Book(book.root).connections] == list(offered())


def test_every_seed_has_its_header_and_services_of_two_vendors_are_counted_by_one(tmp_path: Path) -> None:
    rivals = [(a, b) for a in offered().values() for b in offered().values() if a.name < b.name
              and {p.service_id for p in a.proposals} & {p.service_id for p in b.proposals}]  # fmt: skip
    assert rivals, "no two vendors propose the same service"
    first, second = rivals[0]
    files = make(tmp_path / "book", [first.name, second.name])
    book = Book(tmp_path / "book")
    for name, columns in SEEDS.items():
        with (book.seeds / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            assert next(csv.reader(file)) == [c.name for c in columns]
    shared = {p.service_id for p in first.proposals} & {p.service_id for p in second.proposals}
    services = {row["service_id"]: row for row in read(book, "services")}
    assert {services[s]["count_vendor"] for s in shared} == {first.name}
    (said,) = [row["what"] for row in files if row["file"] == "seeds/services.csv"]
    assert all(
        f"count_vendor of {s}: {first.name} was chosen, {second.name} could count it too" in said for s in shared
    )


def test_the_credentials_are_for_this_account_alone_and_kept_from_version_control(tmp_path: Path) -> None:
    make(tmp_path / "book", ["ninjaone"])
    assert (tmp_path / "book" / ".env").stat().st_mode & 0o777 == 0o600
    assert {"data/", ".env"} <= set((tmp_path / "book" / ".gitignore").read_text("utf-8").splitlines())


@pytest.mark.parametrize("there", ["connections.yaml", "notes.txt", ".env"])
def test_a_folder_that_holds_anything_is_refused_and_left_as_it_is(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine", "utf-8")
    with pytest.raises(BadInput, match="not an empty folder"):
        make(tmp_path, ["ninjaone"])
    assert [(p.name, p.read_text("utf-8")) for p in tmp_path.iterdir()] == [(there, "mine")]


def test_a_file_is_no_folder_and_a_repository_just_begun_is_empty(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", "utf-8")
    with pytest.raises(BadInput, match="not an empty folder"):
        make(tmp_path / "file", ["ninjaone"])
    (tmp_path / "begun" / ".git").mkdir(parents=True)
    make(tmp_path / "begun", ["ninjaone"])
    assert open_book(tmp_path / "begun").connections


def test_what_microsoft_calls_its_products_is_what_we_propose() -> None:
    with (DBT_PROJECT / "reference/microsoft_skus.csv").open(encoding="utf-8", newline="") as file:
        products = {row["sku_part_number"]: row["product_name"] for row in csv.DictReader(file)}
    proposed = {p.pattern: p.service_name for p in VENDORS["microsoft365"].proposals}
    assert proposed
    assert proposed == {sku: products[sku] for sku in proposed}


def morton(*arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MORTON_")}
    return subprocess.run(
        [sys.executable, "-m", "morton_pipeline.cli", *arguments],
        env=clean, capture_output=True, text=True, check=False, cwd=ROOT, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_command_lists_the_files_and_says_the_next_three_steps(tmp_path: Path) -> None:
    root = tmp_path / "new" / "book"
    done = morton("init", str(root), "--vendor", "huntress", "--accounting", ACCOUNTING[0], "--format", "json")
    assert done.returncode == 0, done.stderr
    assert {row["file"] for row in json.loads(done.stdout)} == {
        str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()
    }
    assert [f"  {n}. " in done.stderr for n in (1, 2, 3, 4)] == [True, True, True, False]
    assert f"morton --book {root} check" in done.stderr
    config = yaml.safe_load((root / "connections.yaml").read_text("utf-8"))
    assert [c["vendor"] for c in config["connections"]] == ["huntress", ACCOUNTING[0]]
    assert morton("--book", str(root), "seeds", "check").returncode == 0


def test_the_command_without_vendors_and_without_a_terminal_comments_all_of_them(tmp_path: Path) -> None:
    done = morton("init", str(tmp_path / "book"))
    assert done.returncode == 0, done.stderr
    assert "connections: []" in (tmp_path / "book" / "connections.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    "arguments", [("--vendor", "ninjone"), ("--accounting", "huntress")], ids=["vendor", "accounting"]
)
def test_a_name_that_is_not_known_is_wrong_usage_and_writes_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = morton("init", str(tmp_path / "book"), *arguments)
    assert done.returncode == 2
    assert "is not known" in done.stderr
    assert not (tmp_path / "book").exists()


def test_on_a_terminal_the_vendors_are_listed_and_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from morton_pipeline.cli import cli, setup

    monkeypatch.setattr(setup, "is_asked", lambda: True)
    done = CliRunner().invoke(cli, ["init", str(tmp_path / "book")], input=f"ninjaone, huntress\n{ACCOUNTING[0]}\n")
    assert done.exit_code == 0, done.output
    assert "NinjaOne" in done.stderr
    assert [c.vendor for c in open_book(tmp_path / "book").connections] == ["ninjaone", "huntress", ACCOUNTING[0]]
    assert FILL_IN in (tmp_path / "book" / "connections.yaml").read_text("utf-8")
