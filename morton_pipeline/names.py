"""Comparing names of companies and products: which are the same, how alike two are, and how sure a match is.

Belongs here: what a name is made of, the score and the verdict. Does not: who the candidates are, or what a verdict
leads to (`mappings`).
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

SAME = 100.0
"""The score of the same name; whatever differs stays below it."""
MARGIN = 10.0
"""How far ahead of every other candidate one must be, to be told as the one that is meant."""

_FORMS = {
    "inc": ("inc", "incorporated"),
    "corp": ("corp", "corporation"),
    "co": ("co", "company"),
    "llc": ("llc", "l l c"),
    "llp": ("llp", "l l p"),
    "lp": ("lp", "l p"),
    "pllc": ("pllc", "p l l c"),
    "pc": ("p c",),
    "ltd": ("ltd", "limited"),
    "pty ltd": ("pty ltd", "pty limited", "proprietary limited"),
    "pvt ltd": ("pvt ltd", "private limited", "pte ltd"),
    "plc": ("plc", "p l c"),
    "gmbh": ("gmbh", "g m b h", "mbh"),
    "gmbh co kg": ("gmbh and co kg", "gmbh co kg", "gmbh und co kg"),
    "ag": ("ag",),
    "kg": ("kg",),
    "ug": ("ug", "ug haftungsbeschrankt"),
    "ev": ("e v",),
    "sp z oo": ("sp z o o", "sp zoo", "spzoo", "sp z oo", "spolka z o o", "spolka z ograniczona odpowiedzialnoscia"),
    "sa": ("s a", "sa"),
    "sarl": ("sarl", "s a r l"),
    "sas": ("sas", "s a s"),
    "srl": ("srl", "s r l"),
    "spa": ("s p a",),
    "sl": ("s l",),
    "bv": ("bv", "b v"),
    "nv": ("nv", "n v"),
    "ab": ("ab",),
    "as": ("a s",),
    "aps": ("aps",),
    "oy": ("oy", "oyj"),
    "sro": ("sro", "s r o"),
    "kft": ("kft",),
    "doo": ("doo", "d o o"),
}
"""Legal forms and how they are written once folded. A word that is also an ordinary one (spa, pc) needs its dots."""
_ENDINGS: Mapping[tuple[str, ...], str] = {
    tuple(written.split()): form
    for form, ways in _FORMS.items()
    for written in sorted(ways, key=lambda way: -len(way.split()))
}
_LONGEST = max(len(words) for words in _ENDINGS)
_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "&": " and ", "+": " and ", "'": "", "’": "", "`": ""}
)


@dataclass(frozen=True)
class Name:
    """A name taken apart."""

    written: str
    """Its words, without case, accents and punctuation."""
    core: str
    """The same without its legal form."""
    forms: tuple[str, ...]
    """Its legal forms, each in one way of writing it."""

    @property
    def words(self) -> frozenset[str]:
        """The words of the core."""
        return frozenset(self.core.split())

    @property
    def numbers(self) -> frozenset[str]:
        """The words that hold a digit: they tell editions and branches apart."""
        return frozenset(word for word in self.words if any(c.isdigit() for c in word))


@cache
def name(text: str) -> Name:
    """Take a name apart."""
    words = _fold(text)
    written, forms = " ".join(words), list[str]()
    while found := _ending(words):
        words, form = words[: -len(found)], _ENDINGS[found]
        forms.insert(0, form)
    if len(words) > 1 and words[0] == "the":
        words = words[1:]
    return Name(written, " ".join(words), tuple(forms))


def _fold(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    kept = (c for c in plain if not unicodedata.combining(c))
    return "".join(c if c.isalnum() else " " for c in kept).split()


def _ending(words: list[str]) -> tuple[str, ...]:
    """Return the longest legal form a name ends in, unless it is all there is of it."""
    sizes = range(min(_LONGEST, len(words) - 1), 0, -1)
    return next((end for size in sizes if (end := tuple(words[-size:])) in _ENDINGS), ())


def is_same(one: Name, other: Name) -> bool:
    """Whether two names are the same, but for a legal form that one of them leaves out. Inc. is not LLC."""
    return bool(one.core) and one.core == other.core and (one.forms == other.forms or not (one.forms and other.forms))


def contains(one: Name, other: Name) -> bool:
    """Whether all words of one name stand in the other: Acme and Acme Capital."""
    return bool(one.words and other.words) and (one.words <= other.words or other.words <= one.words)


def score(one: Name, other: Name) -> float:
    """Say how alike two names are, from 0 to 100.

    The mean of the token-set and the token-sort ratio: by the set alone, a name is like every name that contains it.
    """
    from rapidfuzz import fuzz

    if is_same(one, other):
        return SAME
    if not (one.core and other.core):
        return 0.0
    alike = (fuzz.token_set_ratio(one.core, other.core) + fuzz.token_sort_ratio(one.core, other.core)) / 2
    return min(alike, SAME - 1) * (1.0 if one.numbers == other.numbers else 0.7)


@dataclass(frozen=True)
class Candidate:
    """Something a name may mean, by all the names it goes by."""

    id: str
    title: str
    names: Sequence[Name]
    is_known: bool = True
    """Whether it stands in the seeds already."""


@dataclass(frozen=True)
class Fit:
    """How well a candidate fits the names that are asked about."""

    candidate: Candidate
    score: float
    is_written_so: bool
    """Whether it is written the same, its legal form included."""
    is_same: bool
    is_contained: bool
    """Whether one name contains the other, however low the score."""


@dataclass(frozen=True)
class Judged:
    """The candidates that are alike enough, the likeliest first, and how sure that one is."""

    fits: Sequence[Fit]
    verdict: str
    """exact: the same name, and no other candidate can be meant by it; near; ambiguous; or none."""

    def row(self, note: str = "", *, at_most: str = "exact") -> dict[str, Any]:
        """Return what a person reads; a verdict that is not to be surer than `near` says so in the note."""
        first, second = (*self.fits[:2], None, None)[:2]
        return {
            "suggestion": first.candidate.id if first else None,
            "suggestion_name": first.candidate.title if first else None,
            "score": round(first.score) if first else None,
            "runner_up": f"{second.candidate.id} ({round(second.score)})" if second else None,
            "verdict": at_most if self.verdict == "exact" else self.verdict,
            "note": note,
        }


def judge(
    called: Sequence[Name], candidates: Iterable[Candidate], min_score: float, known: Mapping[str, float] | None = None
) -> Judged:
    """Rank candidates by how alike their names are; `known` is the least score of those that somebody vouches for."""
    ranked = sorted(
        (_fit(called, candidate, (known or {}).get(candidate.id, 0.0)) for candidate in candidates),
        key=lambda fit: (-fit.score, not fit.is_written_so, fit.candidate.id),
    )
    if not ranked or ranked[0].score < min_score:
        return Judged([], "none")
    first, others = ranked[0], ranked[1:]
    shown = [fit for fit in ranked if fit.score >= min_score]
    rivals = [fit for fit in others if fit.score > first.score - MARGIN]
    if first.is_written_so:
        return Judged(shown, "ambiguous" if any(fit.is_written_so for fit in others) else "exact")
    if rivals or (first.is_same and any(fit.is_contained for fit in others)):
        return Judged(shown, "ambiguous")
    return Judged(shown, "exact" if first.is_same else "near")


def _fit(called: Sequence[Name], candidate: Candidate, at_least: float) -> Fit:
    pairs = [(mine, theirs) for mine in called for theirs in candidate.names]
    return Fit(
        candidate,
        max([at_least, *(score(*pair) for pair in pairs)]),
        any(mine.written == theirs.written != "" for mine, theirs in pairs),
        any(is_same(*pair) for pair in pairs),
        any(contains(*pair) for pair in pairs),
    )
