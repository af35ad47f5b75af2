"""Why a connection could not be read. Only the transient half is worth trying again.

ExtractError
├── Permanent
│   ├── CredentialsRefused      401, or a token the vendor would not issue
│   │   └── SignedOut           nobody has signed in, or the vendor has ended it: a person must
│   ├── PermissionMissing       403
│   ├── NotFound                404
│   ├── RequestRefused          any other 4xx
│   ├── UnexpectedAnswer        not JSON, not the declared shape, too large
│   ├── Incomplete              the walk ended without all records
│   ├── Unreadable              a report that does not read as it is declared
│   ├── ForeignLink             a next page outside the connection's host
│   └── WouldWrite              a request of ours that could do more than read
└── Transient
    ├── RateLimited             429
    ├── ServerFailed            5xx
    └── Unreachable             no connection, a timeout, an answer cut off
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from morton_pipeline.errors import MortonError


class ExtractError(MortonError):
    """A scope could not be read to the end, so nothing of it is kept."""


class Permanent(ExtractError):
    """Trying again changes nothing: somebody has to act."""


class CredentialsRefused(Permanent):
    """The vendor does not accept the credentials."""


class SignedOut(CredentialsRefused):
    """There is no token that could be renewed: a person must sign in, and until then nobody is asked again."""


class PermissionMissing(Permanent):
    """The credentials are valid but may not read this."""


class NotFound(Permanent):
    """The vendor knows no such address."""


class RequestRefused(Permanent):
    """The vendor refuses the request itself."""


class UnexpectedAnswer(Permanent):
    """The answer is not what the vendor documents."""


class Incomplete(Permanent):
    """Pages are missing or came twice."""


class Unreadable(Permanent):
    """A report does not read as its connection declares; it names the row, the column and what would mend it."""


class ForeignLink(Permanent):
    """A link leads to another host; following it would hand our credentials over."""


class WouldWrite(Permanent):
    """A request could do more than read; a source is only ever read, so it is not sent."""


class Transient(ExtractError):
    """The next attempt may succeed."""

    retry_after: float | None = None
    """Seconds the vendor asked us to wait, where it said so."""


class RateLimited(Transient):
    """The vendor asks us to slow down."""


class ServerFailed(Transient):
    """The vendor's own failure."""


class Unreachable(Transient):
    """No answer, or not a whole one."""


def retry_after(header: str | None, at: datetime) -> float | None:
    """Read `Retry-After`: seconds, decimal seconds or an HTTP date."""
    if not header:
        return None
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", header):
        return float(header)
    date = http_date(header)
    return None if date is None else max((date - at).total_seconds(), 0.0)


def http_date(header: str | None) -> datetime | None:
    """Read an HTTP date; nothing where there is none to read."""
    try:
        date = parsedate_to_datetime(header or "")
    except (TypeError, ValueError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
