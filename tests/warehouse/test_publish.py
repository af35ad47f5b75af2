"""The copy people read: whole, at once, and in nobody's way."""

import shutil
import struct
import subprocess
import sys

import duckdb
import pytest

from morton_pipeline.warehouse import files, publish
from morton_pipeline.warehouse.lock import connect
from morton_pipeline.warehouse.publish import NothingPublished, NotPublished, connect_published

READER = """
import sys, duckdb
con = duckdb.connect(sys.argv[1], read_only=True)
print(con.execute("select amount from marts.discrepancies").fetchone()[0], flush=True)
sys.stdin.readline()
print(con.execute("select amount from marts.discrepancies").fetchone()[0], flush=True)
"""


@pytest.fixture
def build(book):
    """Build the marts as dbt would, one of them a view, and publish them."""

    def make(amount: int) -> None:
        with connect(book, "test") as con:
            con.execute("create schema if not exists marts")
            con.execute(f"create or replace table marts.discrepancies as select {amount} as amount, 'USD' as currency")
            con.execute("comment on table marts.discrepancies is 'What someone''s eyes must see.'")
            con.execute("comment on column marts.discrepancies.amount is 'Money.'")
            con.execute("create or replace view marts.margins as select amount * 2 as margin from marts.discrepancies")
            con.execute("comment on column marts.margins.margin is 'Profit.'")

    return make


def read(book, sql="select amount from marts.discrepancies"):
    with connect_published(book) as con:
        return con.execute(sql).fetchall()


def test_before_the_first_build_it_says_what_to_do(book):
    with (
        pytest.raises(NothingPublished, match="has published nothing yet: run `morton extract`"),
        connect_published(book),
    ):
        pass
    with pytest.raises(NotPublished, match="no marts to publish yet: `morton reconcile`"):
        publish.publish(book)
    assert not book.published.exists()


def test_the_copy_has_what_the_warehouse_has_and_keeps_what_columns_mean(book, build):
    build(7)
    assert publish.publish(book) == book.published
    assert read(book) == [(7,)]
    assert read(book, "select margin from marts.margins") == [(14,)]
    assert read(book, "select table_name, comment from duckdb_tables() where schema_name = 'marts' order by 1") == [
        ("discrepancies", "What someone's eyes must see.")
    ]  # fmt: skip
    assert read(book, "select column_name, comment from duckdb_columns() where comment is not null order by 1") == [
        ("amount", "Money."), ("margin", "Profit.")
    ]  # fmt: skip
    assert read(book, "select view_name, comment from duckdb_views() where not internal") == [("margins", None)]
    assert [path.name for path in book.published.parent.iterdir()] == ["mart.duckdb"]


def test_a_view_reads_the_copy_it_stands_in_whatever_it_is_opened_as(book, build, tmp_path):
    build(7)
    publish.publish(book)
    elsewhere = tmp_path / "finance.duckdb"
    shutil.copyfile(book.published, elsewhere)
    build(8)
    with duckdb.connect(str(elsewhere), read_only=True) as con:
        assert con.execute("select margin from marts.margins").fetchall() == [(14,)]
    with duckdb.connect() as con:
        con.execute(f"attach '{elsewhere}' as books (read_only)")
        assert con.execute("select margin from books.marts.margins").fetchall() == [(14,)]


def test_older_tools_can_open_the_copy(book, build):
    build(7)
    publish.publish(book)
    assert struct.unpack("<Q", book.published.read_bytes()[12:20]) == (65,), "the storage version of DuckDB 1.2"


def test_the_copy_is_for_reading(book, build):
    build(7)
    publish.publish(book)
    with connect_published(book) as con, pytest.raises(duckdb.InvalidInputException):
        con.execute("delete from marts.discrepancies")


def test_a_reader_in_another_process_blocks_nobody_and_keeps_what_it_opened(book, build):
    build(1)
    publish.publish(book)
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(book.published)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout.readline() == "1\n"
        build(2)
        publish.publish(book)
        assert read(book) == [(2,)]
        assert reader.communicate("\n")[0] == "1\n"


def test_a_reader_in_this_process_does_not_pin_the_old_copy(book, build):
    build(1)
    publish.publish(book)
    with connect_published(book) as old:
        build(2)
        publish.publish(book)
        assert read(book) == [(2,)]
        assert old.execute("select amount from marts.discrepancies").fetchall() == [(1,)]


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), duckdb.IOException("No space left on device")],
    ids=["os", "duckdb"],
)
@pytest.mark.parametrize("step", ["_copy_comments", "move_into_place"], ids=["copying", "swapping"])
def test_a_full_disk_leaves_the_last_good_copy(book, build, monkeypatch, step, error):
    build(1)
    publish.publish(book)
    build(2)

    def fail(*_args):
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(files if step == "move_into_place" else publish, step, fail)
        with pytest.raises(NotPublished, match="the copy published before is untouched"):
            publish.publish(book)
    assert read(book) == [(1,)]
    assert [path.name for path in book.published.parent.iterdir()] == ["mart.duckdb"]
    publish.publish(book)
    assert read(book) == [(2,)]


def test_what_an_interrupted_run_left_behind_is_in_nobodys_way(book, build):
    build(1)
    book.published.parent.mkdir(parents=True)
    (book.published.parent / "mart.duckdb.writing").write_bytes(b"half")
    (book.published.parent / "mart.duckdb.writing.wal").write_bytes(b"half")
    publish.publish(book)
    assert [path.name for path in book.published.parent.iterdir()] == ["mart.duckdb"]


def test_another_target_leaves_the_published_copy_alone(book, build, tmp_path):
    build(1)
    publish.publish(book)
    build(2)
    other = tmp_path / "it's" / "other.duckdb"
    assert publish.publish(book, target=other) == other
    assert read(book) == [(1,)]
    with duckdb.connect(str(other), read_only=True) as con:
        assert con.execute("select amount from marts.discrepancies").fetchall() == [(2,)]
