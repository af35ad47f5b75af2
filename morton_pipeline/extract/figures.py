"""Reading a number or a day that somebody's software wrote as text, and refusing what could be read in two ways.

Belongs here: the ways of writing them. Does not: which cells hold them (`files`).
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

MARKS = (".", ",")
"""What may stand before the decimals."""
_SPACES = "\u0020\u00a0\u2009\u202f'’"
"""What may stand between groups of three digits, whatever the decimal mark is."""


def number_of(text: str, mark: str = "") -> tuple[Decimal, str]:
    """Return a number that is zero or more, and the decimal mark that its writing shows, if it shows one.

    Without a declared mark both are tried: `1,5` and `1.234,5` read in one way only, `1,234` in two, and is refused.
    Raises `ValueError` with a sentence.
    """
    if text.lstrip().startswith("-"):
        raise ValueError("is below zero; nothing can be billed by it.")
    readings = {one: value for one in ([mark] if mark else MARKS) if (value := _read(text.strip(), one)) is not None}
    if not readings:
        how = f' with `decimal: "{mark}"`' if mark else ""
        raise ValueError(f"is not a number{how}.")
    if len(set(readings.values())) > 1:
        ways = " or ".join(format(value, "f") for value in readings.values())
        raise ValueError(f'could be {ways}; declare the decimal mark: `decimal: ","` or `decimal: "."`.')
    shown = next(iter(readings)) if len(readings) == 1 and not mark else ""
    return next(iter(readings.values())), shown


def _read(text: str, mark: str) -> Decimal | None:
    other = "," if mark == "." else "."
    for separator in (other, *_SPACES):
        grouped = rf"[1-9]\d{{0,2}}(?:{re.escape(separator)}\d{{3}})+"
        if re.fullmatch(rf"\+?(?:[0-9]+|{grouped})(?:{re.escape(mark)}[0-9]+)?", text, re.ASCII):
            return Decimal(text.replace(separator, "").replace(mark, "."))
    return None


def day_reader(pattern: str) -> Callable[[str], str]:
    """Return what reads a day written as a pattern of `strptime` says; ISO days are read in any case."""

    def read(text: str) -> str:
        if re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            try:
                return f"{datetime.fromisoformat(text):%Y-%m-%d}"
            except ValueError:
                raise ValueError("is not a day of the calendar.") from None
        if not pattern:
            raise ValueError("is not a day such as 2026-11-30; declare how days are written: `date:`.")
        try:
            return f"{datetime.strptime(text, pattern).replace(tzinfo=UTC):%Y-%m-%d}"
        except ValueError:
            raise ValueError(f"is not a day written as `date: {pattern}` says.") from None

    return read
