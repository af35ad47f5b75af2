"""What one cell of a seed may read, and what it then means.

Belongs here: what can be said of a cell by itself. Does not: whether it names something that exists (`rules/`), or
text that a spreadsheet would run (`morton_pipeline/cells.py`).
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from morton_pipeline.errors import guess
from morton_pipeline.seeds.columns import SEEDS, Column

_MOST_WHOLE = 99_999
"""The most days, or the last place, a cell may name: days are counted back and forth from it."""
_DIGITS = re.compile(r"([0-9]+)(?:\.([0-9]+))?")
"""What every engine reads alike: neither 1e3 nor 1_000, and no digits of another script."""


def canonical(column: Column, value: str) -> str:
    """Return a cell as the build has it: words that mean the same read the same."""
    return value.lower() if column.kind in ("word", "vendor") else value


def wrong_cell(seed: str, column: str, value: str) -> str:
    """Return what is wrong with one cell by itself, or nothing; whether it names something that exists is not asked."""
    return wrong_value(next(c for c in SEEDS[seed] if c.name == column), value)


def wrong_value(column: Column, value: str) -> str:
    """Return what is wrong with a value for a column, or nothing; which vendors there are is not asked."""
    if not value:
        return "is empty; it is required" if column.is_required else ""
    return "" if column.kind == "vendor" else _READERS[column.kind](value, column)


def as_date(text: str, default: date) -> date | None:
    """Return the day a cell names, the default where it is empty, or nothing where it is no date."""
    try:
        return date.fromisoformat(text) if text else default
    except ValueError:
        return None


def as_number(text: str) -> Decimal | None:
    """Return the number a cell holds, or nothing where it holds none."""
    return Decimal(text) if _DIGITS.fullmatch(text.removeprefix("-")) else None


def _read_date(value: str, _: Column) -> str:
    is_date = str(as_date(value, date.min)) == value
    return "" if is_date else f"{value!r} is not a date; write it as 2026-11-30"


def _read_number(value: str, _: Column) -> str:
    return _read_digits(value, 14, 4, "40 or 2.50", "be zero or more")


def _read_digits(value: str, before: int, after: int, example: str, rule: str) -> str:
    found = _DIGITS.fullmatch(value.removeprefix("-"))
    if found is None:
        return f"{value!r} is not a number; write digits with a point, such as {example}"
    whole, decimals = found[1].lstrip("0"), (found[2] or "").rstrip("0")
    if value.startswith("-"):
        return f"{value!r} must {rule}"
    if len(whole) > before:
        return f"{value!r} has more than {before} digits before the point, and no column holds more"
    return f"{value!r} has more than {after} decimals, and no column holds more" if len(decimals) > after else ""


def _read_signed(value: str, column: Column) -> str:
    return _read_number(value.removeprefix("-"), column)


def _read_rate(value: str, _: Column) -> str:
    message = _read_digits(value, 10, 8, "1.0872", "be more than zero")
    if message and _DIGITS.fullmatch(value):
        return f"{message}; write it the other way"
    return message or ("" if Decimal(value) > 0 else f"{value!r} must be more than zero")


def _read_whole(value: str, _: Column) -> str:
    if not (value.isascii() and value.isdigit()):
        return f"{value!r} is not a whole number"
    return "" if int(value) <= _MOST_WHOLE else f"{value!r} is more than {_MOST_WHOLE}; write a smaller one"


def _read_word(value: str, column: Column) -> str:
    word = value.lower()
    return (
        "" if word in column.words else f"{value!r} is not one of {', '.join(column.words)}{guess(word, column.words)}"
    )


def _read_currency(value: str, _: Column) -> str:
    from babel.numbers import is_currency

    return "" if is_currency(value) else f"{value!r} is not a currency code such as USD"


def _read_zone(value: str, _: Column) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"{value!r} is not a time zone; an example is America/New_York"
    return ""


_READERS: Mapping[str, Callable[[str, Column], str]] = {
    "text": lambda value, column: "",
    "date": _read_date,
    "number": _read_number,
    "signed": _read_signed,
    "rate": _read_rate,
    "whole": _read_whole,
    "word": _read_word,
    "currency": _read_currency,
    "zone": _read_zone,
}
