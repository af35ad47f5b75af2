"""The seeds as builds used them: kept once for each change, and laid out as they were known at an instant."""

from pathlib import Path

import pytest

from morton_pipeline.errors import MortonError
from morton_pipeline.warehouse import journal, known
from morton_pipeline.warehouse.lock import connect

ONE = {
    "clients.csv": b"client_id\nacme\n",
    "reference/skus.csv": b"sku\nSPB\n",
    "connections.yaml": b"connections: []\n",
}
TWO = {**ONE, "clients.csv": b"client_id\nglobex\n"}


@pytest.fixture
def kept(book, hour):
    """A book whose seeds were one thing, another one, and the first again."""
    with connect(book, "test") as con:
        for at, contents in enumerate((ONE, ONE, TWO, TWO, ONE)):
            known.keep(con, book, contents, hour(at))
    return book


def laid_out(book, at, folder: Path) -> tuple[str, dict[str, bytes]]:
    with connect(book, "test") as con:
        said = known.lay_out(con, book, at, folder)
    return said, {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("at", "expected"), [(0, ONE), (1.5, ONE), (2, TWO), (3.9, TWO), (4, ONE), (99, ONE)])
def test_a_look_back_takes_the_newest_set_known_by_then(kept, hour, tmp_path, at, expected):
    assert laid_out(kept, hour(at), tmp_path / "then") == ("", expected)


def test_before_the_first_set_the_first_is_taken_and_that_is_said(kept, hour, tmp_path):
    said, found = laid_out(kept, hour(-1), tmp_path / "then")
    assert found == ONE
    assert "the first were kept on 2026-11-23 06:00 UTC, and are used" in said


def test_where_none_was_kept_nothing_is_laid_out_and_that_is_said(book, hour, tmp_path):
    said, found = laid_out(book, hour(0), tmp_path / "then")
    assert (said, found) == ("No build has kept its seeds yet, so today's are used.", {})


def test_nothing_is_written_where_nothing_has_changed(kept):
    lines = [line for path in kept.journal.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(lines) == 3
    assert len(list((kept.journal / "seeds").iterdir())) == 4, "each content once"


def test_the_history_of_seeds_outlives_the_warehouse(kept, hour, tmp_path):
    kept.warehouse.unlink()
    assert laid_out(kept, hour(3), tmp_path / "then") == ("", TWO)


def test_a_kept_file_that_was_altered_is_named(kept, hour, tmp_path):
    for path in (kept.journal / "seeds").glob("*.yaml"):
        path.write_text("connections: [{}]\n")
    with pytest.raises(journal.JournalDamaged, match="its content is not what was written"):
        laid_out(kept, hour(0), tmp_path / "then")


def test_seeds_that_cannot_be_kept_stop_the_build(book, hour, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal.files, "move_into_place", full)
    with connect(book, "test") as con, pytest.raises(MortonError, match="No space left on device"):
        known.keep(con, book, ONE, hour(0))
