"""What Morton must say of a story that was planted, worked out in plain Python: days, quantities, money.

Belongs here: the rules every case shares: which day a reading speaks of, what a contract makes of a count, since when,
and how much. Does not: which records count, which each case says of its own; nor anything of the package or of dbt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from tests.score.msp import ALLOWED_MINUTES, HOME, Client, Fact, Msp, Scope, Service, months

DIGITS = {"JPY": 0, "KWD": 3}
"""How many digits a currency is counted in, where it is not two."""
DAY = timedelta(days=1)


class Row(NamedTuple):
    """A row of the list, as whole as a planted story can know it."""

    period_month: date
    client: str
    """Its id; for a company that is mapped to nobody, that company's name."""
    service: str
    """Its id; for a SKU that is mapped to nothing, that SKU's name."""
    kind: str
    observed_quantity: Decimal | None
    contracted_quantity: Decimal | None
    variance_quantity: Decimal | None
    unit_price: Decimal | None
    variance_amount: Decimal | None
    currency: str | None
    accumulated_amount: Decimal | None
    recoverable_amount: Decimal | None
    began_on: date | None
    source_state: str
    source_as_of_at: datetime | None
    is_within_tolerance: bool
    is_estimate: bool
    status: str = "open"


@dataclass(frozen=True)
class Version:
    """What is agreed of a service, from one day to another."""

    quantity: Decimal
    price: Decimal
    model: str = "per_unit"
    minimum: Decimal = Decimal(0)
    included: Decimal = Decimal(0)
    tolerance: Decimal = Decimal(0)
    begins: date = date.min
    ends: date = date.max

    def billable(self, observed: Decimal) -> Decimal:
        """What it makes of a count: usage, the minimum at least, only what exceeds the included, or always the same."""
        match self.model:
            case "per_unit":
                return observed
            case "minimum":
                return max(observed, self.minimum)
            case "included":
                return max(observed - self.included, Decimal(0))
            case "flat":
                return self.quantity
        raise ValueError(self.model)


@dataclass(frozen=True)
class Unit:
    """Something to be counted once while any of its records is listed, on the days from one to another."""

    facts: tuple[Fact, ...]
    quantity: Decimal = Decimal(1)
    begins: date = date.min
    ends: date = date.max


@dataclass(eq=False)
class Line:
    """One service of one client: what is agreed, and what is to be counted for it."""

    msp: Msp
    client: Client
    service: Service
    versions: list[Version] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        return self.client.id, self.service.id

    def rows(self) -> list[Row]:
        """Every row of it there must be, in every month that was read."""
        return list(_Reckoning(self).rows())


class _Source(NamedTuple):
    """A list through which a line is counted, while its company is mapped to the client."""

    scope: Scope
    begins: date
    ends: date


class _Reckoning:
    """One line, day by day in the client's own time."""

    def __init__(self, line: Line) -> None:
        self.line, self.client, self.calendar = line, line.client, line.msp.calendar
        self.today = self.client.day(self.calendar.now)
        self.sources = [
            _Source(scope, begins, ends)
            for connection, company, begins, ends in self.client.mapped
            if line.msp.connections[connection] == line.service.vendor
            for scope in [line.msp.scope(connection, line.service.endpoint, _tenant(line.service, company))]
        ]
        # Days before a company was both mapped and read are left out.
        self.first = min(
            (max(s.begins, self.client.day(s.scope.good[0])) for s in self.sources if s.scope.good), default=date.max
        )
        self._observed: dict[date, Decimal] = {}
        self._read: dict[tuple[Scope, date], datetime | None] = {}

    def rows(self) -> Iterator[Row]:
        for month in months(self.client.day(self.calendar.first), self.today):
            is_open = month == self.today.replace(day=1)
            last = self.today if is_open else months(month, month + 32 * DAY)[1] - DAY
            sources = [s for s in self.sources if s.begins <= last < s.ends]
            judged = [_judge(s.scope, self.client, last, self.calendar.now, is_open) for s in sources]
            state = _together(judged)
            version = self.version(last)
            if state in ("", "unknown"):
                # Nothing that is mapped and was read could count it: it was not checked, which is not clean.
                if is_open and version and version.model != "flat":
                    yield self._not_audited(month, version)
                continue
            if self.first <= last:
                yield from self._row(month, last, judged, state)

    def _row(self, month: date, last: date, judged: Sequence["_Judged"], state: str) -> Iterator[Row]:
        version = self.version(last)
        measured = max(j.measured for j in judged)
        observed = self.observed(measured)
        variance = self.variance(last, observed)
        if variance == 0:
            return
        began = measured
        sign = self.variance(measured) > 0
        while began > self.first and self.variance(began - DAY) and (self.variance(began - DAY) > 0) == sign:
            began -= DAY
        accumulated = self.amount(began, measured)
        since = began if self.client.back_bill_days is None else max(began, self.today - self.client.back_bill_days * DAY)  # fmt: skip
        began_on = min(began, last)
        if state != "known" and began_on > min(j.seen for j in judged):
            # What began after the last good reading was not seen by anybody.
            return
        price, is_list = self.price(last)
        currency = HOME if is_list else self.client.currency
        yield Row(
            month, self.client.id, self.line.service.id,
            "no_contract" if version is None else "no_usage" if observed == 0 else "under_billed" if variance > 0 else "over_billed",
            observed, version.quantity if version else Decimal(0), variance, price, money(Fraction(variance) * Fraction(price), currency), currency,
            money(accumulated, currency), max(money(self.amount(since, measured), currency), Decimal(0)), began_on,
            "zero" if state == "known" and observed == 0 else state, min(j.as_of for j in judged),
            abs(variance) <= (version.tolerance if version else 0), version is None,
        )  # fmt: skip

    def _not_audited(self, month: date, version: Version) -> Row:
        return Row(
            month, self.client.id, self.line.service.id, "not_audited", None, version.quantity, None, version.price, None,
            self.client.currency, None, None, None, "unknown", None, False, False,
        )  # fmt: skip

    def version(self, day: date) -> Version | None:
        return next((v for v in self.line.versions if v.begins <= day < v.ends), None)

    def price(self, day: date) -> tuple[Decimal, bool]:
        """The price of a day, and whether it is the list's: an ended contract's holds for a year."""
        if version := self.version(day):
            return version.price, False
        ended = [v for v in self.line.versions if v.ends <= day]
        if ended and (last := max(ended, key=lambda v: v.ends)) and (day - last.ends).days < 366:
            return last.price, False
        return Decimal(self.line.service.list_price), True

    def observed(self, day: date) -> Decimal:
        """What the last good reading before the end of the client's day saw."""
        if day not in self._observed:
            self._observed[day] = sum(
                (u.quantity for u in self.line.units if u.begins <= day < u.ends and any(self._is_seen(f, day) for f in u.facts)),
                Decimal(0),
            )  # fmt: skip
        return self._observed[day]

    def _is_seen(self, fact: Fact, day: date) -> bool:
        if (fact.scope, day) not in self._read:
            read = [at for at in fact.scope.good if self.client.day(at) <= day]
            self._read[fact.scope, day] = read[-1] if read else None
        at = self._read[fact.scope, day]
        return at is not None and fact.is_listed(at)

    def variance(self, day: date, observed: Decimal | None = None) -> Decimal:
        """What is to be billed less what is, by the contract of a day."""
        version = self.version(day)
        observed = self.observed(day) if observed is None else observed
        return version.billable(observed) - version.quantity if version else observed

    def amount(self, first: date, last: date) -> Fraction:
        """The variance of some days, each at its own price, divided by the days of its month."""
        total = Fraction(0)
        while first <= last:
            days = (months(first, first + 32 * DAY)[1] - first.replace(day=1)).days
            total += Fraction(self.variance(first)) * Fraction(self.price(first)[0]) / days
            first += DAY
        return total


class _Judged(NamedTuple):
    """How a list measures a period: on which day, from which reading, seen until when, and whether it is fresh."""

    measured: date
    as_of: datetime
    seen: date
    is_fresh: bool
    is_ever: bool


def _judge(scope: Scope, client: Client, last: date, now: datetime, is_open: bool) -> _Judged:
    """A month is measured by its last reading; when that is too old, by the first one after it, which is late."""
    allowed = ALLOWED_MINUTES[scope.vendor]
    before = [at for at in scope.good if client.day(at) <= last]
    after = [at for at in scope.good if client.day(at) > last]
    if is_open:
        is_fresh = bool(before) and before[-1] == scope.calendar.readings[-1] and now - before[-1] <= timedelta(minutes=allowed)  # fmt: skip
        return _Judged(last, before[-1] if before else now, client.day(before[-1]) if before else last, is_fresh, bool(before))  # fmt: skip
    if not before:
        return _Judged(last, now, last, False, False)
    is_old = (last - client.day(before[-1])).days > ceil(allowed / 1440)
    if is_old and after:
        same_day = [at for at in after if client.day(at) == client.day(after[0])]
        return _Judged(client.day(after[0]), same_day[-1], client.day(after[0]), True, True)
    return _Judged(last, before[-1], client.day(before[-1]), not is_old, True)


def _together(judged: Sequence[_Judged]) -> str:
    """The state of several lists that are added up."""
    if not judged:
        return ""
    if all(j.is_fresh for j in judged):
        return "known"
    if not any(j.is_ever for j in judged):
        return "unknown"
    return "partial" if any(j.is_fresh for j in judged) or not all(j.is_ever for j in judged) else "stale"


def _tenant(service: Service, company: str) -> str:
    return company if service.vendor == "microsoft365" else ""


def money(amount: Fraction, currency: str) -> Decimal:
    """Round once, half away from zero, to the currency's own digits."""
    shift = 10 ** DIGITS.get(currency, 2)
    scaled = abs(amount) * shift
    whole = (scaled + Fraction(1, 2)).__floor__()
    return Decimal(whole if amount >= 0 else -whole) / shift
