"""Making what was written survive a power cut: fsync of the file, rename, fsync of the folder.

Belongs here: nothing but that. What is written, and when, is decided by `journal` and `publish`.
"""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Ask the disk to keep what was written to a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, so that none of them is lost with what is put into it."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def move_into_place(written: Path, target: Path) -> None:
    """Give a finished file its final name: whoever looks sees the old content or the new, never half."""
    sync(written)
    written.replace(target)
    sync(target.parent)
