"""Folders beside the warehouse for copies of it, which nobody needs once their process has ended.

Belongs here: making one, and sweeping those that a killed process has left. Does not: what is built in them.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from morton_pipeline.book import Book
from morton_pipeline.warehouse.lock import held

PREFIXES = ("apart_", "what_if_")


@contextmanager
def scratch_folder(book: Book, prefix: str) -> Iterator[Path]:
    """Make a folder of one's own for as long as it takes.

    A lock in it says that it is in use: the operating system lets go of a dead owner's. The warehouse's is held while
    folders are made and swept, so that none is taken for left behind before it has its own.
    """
    with held(book, "a build apart"):
        sweep(book)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=book.data))
        in_use = _lock(folder)
        in_use.acquire(timeout=0)
    try:
        yield folder
    finally:
        in_use.release()
        shutil.rmtree(folder, ignore_errors=True)


def sweep(book: Book) -> None:
    """Remove the folders whose process was killed. For whoever holds the warehouse's lock."""
    for folder in [folder for prefix in PREFIXES for folder in book.data.glob(f"{prefix}*") if folder.is_dir()]:
        in_use = _lock(folder)
        try:
            in_use.acquire(timeout=0)
        except Timeout:
            continue
        in_use.release()
        shutil.rmtree(folder, ignore_errors=True)


def _lock(folder: Path) -> FileLock:
    return FileLock(folder / "in_use.lock", fallback_to_soft=False)
