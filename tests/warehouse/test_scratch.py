"""Copies of the warehouse go with the process that made them, and never while it runs."""

import signal

from morton_pipeline.warehouse.scratch import PREFIXES, scratch_folder, sweep
from tests.warehouse.test_lock import process

__all__ = ["process"]

HOLDER = """
import sys, time
from pathlib import Path
from morton_pipeline.book import Book
from morton_pipeline.warehouse.scratch import scratch_folder
with scratch_folder(Book(Path(sys.argv[1])), "what_if_") as folder:
    (folder / "before.duckdb").touch()
    print("made", flush=True)
    time.sleep(60)
"""


def _kept(book):
    names = sorted(path.name for path in book.data.iterdir() if path.is_dir())
    return [prefix for name in names for prefix in PREFIXES if name.startswith(prefix)]


def test_a_folder_goes_when_it_is_done_with_also_after_an_error(book):
    try:
        with scratch_folder(book, "apart_") as folder:
            assert _kept(book) == ["apart_"]
            raise KeyError(folder)
    except KeyError:
        assert _kept(book) == []


def test_what_a_running_process_uses_stays_and_what_a_killed_one_left_is_swept(book, process):
    other = process(HOLDER, book.root)
    with scratch_folder(book, "apart_"), scratch_folder(book, "what_if_"):
        assert _kept(book) == ["apart_", "what_if_", "what_if_"]
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert _kept(book) == ["what_if_"]
    sweep(book)
    assert _kept(book) == []
