"""What an analyst's or a vendor page's pattern fits: `*` is any text, `?` any character, all else itself.

Belongs here: the same reading of patterns that `glob_to_like` in `dbt_project/macros/rules.sql` gives SQL, for what is
looked at before anything is built.
"""

import re
from functools import cache


def fits(pattern: str, value: object) -> bool:
    """Whether a value fits a pattern, without regard to case; an empty value fits nothing."""
    return value is not None and _compiled(pattern.lower()).fullmatch(str(value).lower()) is not None


def is_literal(pattern: str) -> bool:
    """Whether a pattern names one text outright."""
    return "*" not in pattern and "?" not in pattern


def specificity(pattern: str) -> tuple[bool, int]:
    """Return how much a pattern says, to compare: one that names a text outright most, else by the text it has."""
    return is_literal(pattern), len(pattern) - pattern.count("*") - pattern.count("?")


def meet(a: str, b: str) -> bool:
    """Whether some text fits both patterns."""
    return _meet(a.lower(), b.lower())


@cache
def _meet(a: str, b: str) -> bool:
    if not a or not b:
        return set(a + b) <= {"*"}
    if "*" in (a[0], b[0]):
        a, b = (a, b) if a[0] == "*" else (b, a)
        return _meet(a[1:], b) or _meet(a, b[1:])
    return ("?" in (a[0], b[0]) or a[0] == b[0]) and _meet(a[1:], b[1:])


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.compile("".join(parts), re.DOTALL)
