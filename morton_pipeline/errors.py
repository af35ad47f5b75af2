"""The one exception a person is meant to read. Every error Morton raises on purpose is one of these.

    MortonError
    ├── BadInput               a file, an option or an id a person can correct
    ├── extract.errors.…       a connection could not be read
    ├── warehouse.…            the DuckDB file or its journal
    └── accounting.…           an invoice could not be sent or checked

The command line prints the message and nothing else; a traceback means a bug of ours.
"""

import difflib
from collections.abc import Iterable


class MortonError(Exception):
    """Something went wrong that a person can understand: what happened, where, and what to do next."""


class BadInput(MortonError):
    """What was given does not fit: it names the file, row, column or id, and says what would."""


def guess(word: str, known: Iterable[str]) -> str:
    """Return « (did you mean …?)» for a word that looks like a known one, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
