"""What can go wrong between us and an accounting system. What matters is whether an invoice may exist now.

AccountingError
├── Refused           no invoice was made: the system said no, in its own words
├── NotSent           no invoice was made: the request was turned away before it was read (429, no token)
├── RunStopped        no invoice was made, and no other will be until a person acts (401, a setting)
├── LookupFailed      a question got no answer; nothing was sent
│   └── LookupRefused   it got one: no. Asking the same again changes nothing
└── OutcomeUnknown    an invoice may or may not have been made
    └── Undecidable   it answered, and does not say which
"""

from morton_pipeline.errors import MortonError


class AccountingError(MortonError):
    """An invoice could not be sent or checked."""


class Refused(AccountingError):
    """The accounting system said no."""

    def __init__(self, words: str, *, is_duplicate: bool = False, is_closed_period: bool = False) -> None:
        super().__init__(words)
        self.is_duplicate, self.is_closed_period = is_duplicate, is_closed_period


class NotSent(AccountingError):
    """The request was turned away unread; the next run sends it."""


class RunStopped(AccountingError):
    """Nothing more can be sent until a person acts."""


class LookupFailed(AccountingError):
    """The accounting system did not answer a question."""


class LookupRefused(LookupFailed):
    """The accounting system answered that it does not answer that question."""


class OutcomeUnknown(AccountingError):
    """No answer, or not a whole one, to a request that may have been carried out."""


class Undecidable(OutcomeUnknown):
    """There is an answer, and it does not say what became of the request: another one may say as little."""
