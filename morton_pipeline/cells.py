"""Text in a cell of a CSV file or a workbook: a spreadsheet must never run it.

Belongs here: that one rule, for whoever writes such files.
"""

from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe(text: Any) -> Any:
    """Return a text with a leading apostrophe where a spreadsheet would run it as a formula; anything else as it is."""
    return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULA) else text
