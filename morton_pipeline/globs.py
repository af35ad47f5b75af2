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


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.compile("".join(parts), re.DOTALL)
