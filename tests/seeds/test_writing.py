"""What a build reads has every column, is written only when all is right, and what is optional may be missing."""

from pathlib import Path

import pytest

from morton_pipeline.book import Book
from morton_pipeline.errors import BadInput
from morton_pipeline.seeds import SEEDS, read, write_checked
from tests.seeds.conftest import GOOD, problems, write


def test_a_file_written_before_a_column_came_is_right_without_it(book: Book, tmp_path: Path) -> None:
    header = "connection_id,company_id,company_name,client_id,effective_from,effective_to,note"
    (book.seeds / "company_mappings.csv").write_text(f"{header}\nninjaone,7,,acme,,,\n", "utf-8")
    assert problems(book) == []
    write_checked(book, tmp_path / "target")
    assert (tmp_path / "target/company_mappings.csv").read_text(
        "utf-8"
    ) == f"{header},field,pattern\nninjaone,7,,acme,,,,,\n"


@pytest.mark.parametrize("name", ["price_tiers", "bundles", "sku_includes", "exclusions", "exchange_rates"])
def test_an_optional_file_may_be_missing_and_is_written_empty(book: Book, tmp_path: Path, name: str) -> None:
    (book.seeds / f"{name}.csv").unlink(missing_ok=True)
    write_checked(book, tmp_path / "target")
    assert (tmp_path / f"target/{name}.csv").read_text("utf-8") == ",".join(c.name for c in SEEDS[name]) + "\n"
    assert read(book, name) == []


def test_nothing_is_written_when_anything_is_wrong(book: Book, tmp_path: Path) -> None:
    write(
        book,
        "clients",
        [*GOOD["clients"], *({"client_id": f"n{n}", "status": "active", "currency": "USD"} for n in range(22))],
    )
    with pytest.raises(BadInput, match="nothing was built") as raised:
        write_checked(book, tmp_path / "target")
    assert not (tmp_path / "target").exists()
    said = str(raised.value)
    assert said.count("client_name: is empty; it is required") == 20
    assert said.endswith("… and 2 more: `morton seeds check` lists all.")
