"""One way to write a value down, so that the same thing always has the same bytes and the same hash.

Belongs here: canonical JSON, plain decimals, the digits of a currency. Does not: what is written.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

_NO_CENTS = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
)
_MILS = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))


def digits(currency: str) -> int:
    """How many decimals an amount in this currency has: two, except where there are no cents or there are mils."""
    return 0 if currency in _NO_CENTS else 3 if currency in _MILS else 2


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Round an amount half up to its currency's digits."""
    return amount.quantize(Decimal(1).scaleb(-digits(currency)), rounding=ROUND_HALF_UP)


def plain(number: Decimal) -> str:
    """Write a decimal without exponent and without trailing zeros."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def instant_text(instant: datetime) -> str:
    """Write an instant in UTC at a fixed width, so that text order is time order; a naive one is UTC."""
    aware = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    return aware.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def canonical(value: Any, *, decimals_as_numbers: bool = False) -> str:
    """Write JSON with sorted keys and no spaces. Decimals are strings, or exact JSON numbers where wanted.

    A float is refused: it cannot say which amount was meant.
    """
    if isinstance(value, Decimal):
        return format(value, "f") if decimals_as_numbers else f'"{format(value, "f")}"'
    if isinstance(value, Mapping):
        parts = (
            f"{_text(str(k))}:{canonical(value[k], decimals_as_numbers=decimals_as_numbers)}" for k in sorted(value)
        )
        return "{" + ",".join(parts) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return "[" + ",".join(canonical(v, decimals_as_numbers=decimals_as_numbers) for v in value) + "]"
    if isinstance(value, datetime):
        return _text(instant_text(value))
    if isinstance(value, date):
        return _text(value.isoformat())
    if value is None or isinstance(value, bool | int | str):
        return _text(value)
    raise TypeError(f"{type(value).__name__} has no canonical form")


def _text(value: str | int | None) -> str:
    return json.dumps(value, ensure_ascii=False)


def digest(value: Any) -> str:
    """Return the sha256 of a value's canonical form."""
    return text_digest(canonical(value))


def text_digest(text: str) -> str:
    """Return the sha256 of a text's own bytes, as `sha256sum` would."""
    return hashlib.sha256(text.encode()).hexdigest()
