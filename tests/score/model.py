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

from tests.score.msp import ALLOWED_MINUTES, HOME, SERVICES, Client, Fact, Msp, Scope, Service, Way, months

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
    invoiced_quantity: Decimal | None
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


@dataclass(eq=False)
class Unit:
    """Something to be counted once while any of its records is listed, on the days from one to another."""

    facts: list[Fact]
    quantity: Decimal = Decimal(1)
    begins: date = date.min
    ends: date = date.max
    off: list[tuple[date, date]] = field(default_factory=list)
    """Days on which it is left out, from one to another."""

    def counts(self, day: date) -> bool:
        """Whether it counts on a day on which one of its records is listed."""
        return self.begins <= day < self.ends and not any(begins <= day < ends for begins, ends in self.off)


@dataclass(eq=False)
class Line:
    """One service of one client: what is agreed, what is to be counted for it, and what was invoiced."""

    msp: Msp
    client: Client
    service: Service
    vendor: str = ""
    """The tool that counts it, where it is not the service's own."""
    versions: list[Version] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    invoiced: dict[date, tuple[Decimal, Decimal]] = field(default_factory=dict)
    """By month: how many, and at which price, on invoices made by hand."""

    @property
    def key(self) -> tuple[str, str]:
        return self.client.id, self.service.id

    @property
    def way(self) -> Way:
        return self.service.way(self.vendor)

    def version(self, day: date) -> Version | None:
        """The contract in force on a day; there is never more than one."""
        return next((v for v in self.versions if v.begins <= day < v.ends), None)

    def rows(self, at: datetime) -> list[Row]:
        """Every row of it there must be at an instant, in every month that was read."""
        return list(_Reckoning(self, at).rows())


class _Source(NamedTuple):
    """A list through which a line is counted, while its company is mapped to the client."""

    scope: Scope
    begins: date
    ends: date


class _Reckoning:
    """One line, day by day in the client's own time."""

    def __init__(self, line: Line, now: datetime) -> None:
        self.line, self.client, self.now = line, line.client, now
        self.today = self.client.day(now)
        self.sources = [
            _Source(line.msp.scope(connection, line.way.endpoint, company if line.way.vendor == "microsoft365" else ""), begins, ends)
            for connection, company, begins, ends in self.client.mapped
            if line.msp.connections[connection] == line.way.vendor
        ]  # fmt: skip
        # Days before a company was both mapped and read are left out, and so is one read only after it was mapped.
        self.first = min(
            (max(s.begins, day) for s in self.sources for day in map(self.client.day, s.scope.good(now)) if day < s.ends),
            default=date.max,
        )  # fmt: skip
        self._observed: dict[date, Decimal] = {}
        self._read: dict[tuple[Scope, date], datetime | None] = {}

    def rows(self) -> Iterator[Row]:
        for month in months(self.client.day(self.line.msp.calendar.first), self.today):
            is_open = month == self.today.replace(day=1)
            last = self.today if is_open else end_of(month)
            judged = [
                _judge(s.scope, self.client, last, self.now, is_open) for s in self.sources if s.begins <= last < s.ends
            ]
            state, version = _together(judged), self.line.version(last)
            if state in ("", "unknown"):
                # Nothing that is mapped and was read could count it: it was not checked, which is not clean.
                if is_open and version and version.model != "flat":
                    yield self._not_audited(month, version)
            elif self.first <= last:
                yield from self._row(month, last, judged, state)
            if self.client.has_books:
                yield from self._mismatch(month, last, is_open)

    def _row(self, month: date, last: date, judged: Sequence["Judged"], state: str) -> Iterator[Row]:
        version = self.line.version(last)
        measured = max(j.measured for j in judged)
        observed = self.observed(measured)
        variance = self.variance(last, observed)
        if variance == 0:
            return
        began, sign = measured, _sign(self.variance(measured))
        while began > self.first and _sign(self.variance(began - DAY)) == sign:
            began -= DAY
        if state != "known" and min(began, last) > min(j.seen for j in judged):
            # What began after the last good reading was not seen by anybody.
            return
        limit = self.client.back_bill_days
        since = began if limit is None else max(began, self.today - limit * DAY)
        price, is_list = self.price(last)
        currency = HOME if is_list else self.client.currency
        kind = "under_billed" if variance > 0 else "over_billed"
        yield Row(
            month, self.client.id, self.line.service.id,
            "no_contract" if version is None else "no_usage" if observed == 0 else kind,
            observed, version.quantity if version else Decimal(0), self.line.invoiced.get(month, (None, None))[0], variance, price,
            None if price is None else money(Fraction(variance) * Fraction(price), currency), currency,
            _money(self.amount(began, measured), currency), _recoverable(self.amount(since, measured), currency),
            min(began, last), "zero" if state == "known" and observed == 0 else state, min(j.as_of for j in judged),
            abs(variance) <= (version.tolerance if version else 0), version is None,
        )  # fmt: skip

    def _not_audited(self, month: date, version: Version) -> Row:
        return Row(
            month, self.client.id, self.line.service.id, "not_audited", None, version.quantity, self.line.invoiced.get(month, (None, None))[0],
            None, version.price, None, self.client.currency, None, None, None, "unknown", None, False, False,
        )  # fmt: skip

    def _mismatch(self, month: date, last: date, is_open: bool) -> Iterator[Row]:
        """What the contract says less what invoices of a month's service bill; an open month waits for its first one."""
        lines = [one for one in self.line.msp.lines if one.client is self.client]
        if is_open and not any(month in one.invoiced for one in lines):
            return
        version = self.line.version(last)
        agreed = version.quantity if version else Decimal(0)
        invoiced, paid = self.line.invoiced.get(month, (None, None))
        missing = agreed - (invoiced or 0)
        if missing == 0:
            return
        price = version.price if version else paid
        assert price is not None
        amount = money(Fraction(missing) * Fraction(price), self.client.currency)
        # Every day of its month is short of an equal part of it.
        days = (end_of(month) - month).days + 1
        limit = self.client.back_bill_days
        within = days if limit is None else min(days, max(0, (end_of(month) - (self.today - limit * DAY)).days + 1))
        books = [s for s in self.line.msp.scopes.values() if s.vendor == "quickbooks_online"]
        observed = self.observed(last) if self.first <= last else None
        yield Row(
            month, self.client.id, self.line.service.id, "invoice_mismatch", observed, agreed, invoiced, missing, price, amount,
            self.client.currency, amount, max(money(Fraction(missing) * Fraction(price) * within / days, self.client.currency), Decimal(0)),
            month, "zero" if observed == 0 else "known", min(s.good(self.now)[-1] for s in books),
            abs(missing) <= (version.tolerance if version else 0), False,
        )  # fmt: skip

    def price(self, day: date) -> tuple[Decimal | None, bool]:
        """The price of a day, and whether it is the list's: an ended contract's holds for a year."""
        if version := self.line.version(day):
            return version.price, False
        ended = [v for v in self.line.versions if v.ends <= day]
        if ended and (last := max(ended, key=lambda v: v.ends)) and (day - last.ends).days < 366:
            return last.price, False
        listed = self.line.service.list_price
        return (Decimal(listed) if listed else None), True

    def observed(self, day: date) -> Decimal:
        """What the last good reading before the end of the client's day saw."""
        if day not in self._observed:
            seen = (
                u.quantity for u in self.line.units if u.counts(day) and any(self._is_seen(f, day) for f in u.facts)
            )
            self._observed[day] = sum(seen, Decimal(0))
        return self._observed[day]

    def _is_seen(self, fact: Fact, day: date) -> bool:
        if (fact.scope, day) not in self._read:
            read = [at for at in fact.scope.known(self.now, "complete", "partial") if self.client.day(at) <= day]
            self._read[fact.scope, day] = read[-1] if read else None
        at = self._read[fact.scope, day]
        return at is not None and fact.is_listed(at)

    def variance(self, day: date, observed: Decimal | None = None) -> Decimal:
        """What is to be billed less what is, by the contract of a day."""
        version = self.line.version(day)
        observed = self.observed(day) if observed is None else observed
        return version.billable(observed) - version.quantity if version else observed

    def amount(self, first: date, last: date) -> Fraction | None:
        """The variance of some days, each at its own price, divided by the days of its month."""
        total: Fraction | None = None if first <= last else Fraction(0)
        while first <= last:
            if (price := self.price(first)[0]) is not None:
                total = (total or 0) + Fraction(self.variance(first)) * Fraction(price) / end_of(first).day
            first += DAY
        return total


class Judged(NamedTuple):
    """How a list measures a period: on which day, from which reading, seen until when, and how far to be trusted."""

    measured: date
    as_of: datetime
    seen: date
    is_fresh: bool
    is_ever: bool
    is_partial: bool = False


def _judge(scope: Scope, client: Client, last: date, now: datetime, is_open: bool) -> Judged:
    """A month is measured by its last reading; when that is too old, by the first one after it, which is late."""
    good = scope.good(now)
    before = [at for at in good if client.day(at) <= last]
    after = [at for at in good if client.day(at) > last]
    if is_open:
        state = state_of(scope, now)
        if not before:
            return Judged(last, now, last, False, False, state == "partial")
        return Judged(last, before[-1], client.day(before[-1]), state == "known", True, state == "partial")
    if not before:
        return Judged(last, now, last, False, False)
    is_old = (last - client.day(before[-1])).days > ceil(ALLOWED_MINUTES[scope.vendor] / 1440)
    if is_old and after:
        late = client.day(after[0])
        return Judged(late, [at for at in after if client.day(at) == late][-1], late, True, True)
    return Judged(last, before[-1], client.day(before[-1]), not is_old, True)


def state_of(scope: Scope, now: datetime) -> str:
    """What is known of a list at an instant: known when its latest attempt was complete and is young enough."""
    attempts = [r for r in scope.readings.values() if r.at <= now]
    good = scope.good(now)
    if attempts and attempts[-1].status == "partial":
        return "partial"
    if not good:
        return "unknown"
    is_young = (now - good[-1]) <= timedelta(minutes=ALLOWED_MINUTES[scope.vendor])
    return "known" if attempts[-1].status == "complete" and is_young else "stale"


def _together(judged: Sequence[Judged]) -> str:
    """The state of several lists that are added up."""
    if not judged:
        return ""
    if all(j.is_fresh for j in judged):
        return "known"
    if not any(j.is_ever or j.is_partial for j in judged):
        return "unknown"
    if any(j.is_fresh or j.is_partial for j in judged) or not all(j.is_ever for j in judged):
        return "partial"
    return "stale"


@dataclass(eq=False)
class Stray:
    """Records that are billable and belong to nobody, or are sold as nothing: one row of the open month, at list price."""

    msp: Msp
    facts: list[Fact]
    """Each is one, unless `quantities` says otherwise."""
    prices: list[Decimal | None]
    """The list price of each; nothing where no service can be guessed."""
    client: Client | None
    name: str
    """The company's, or the SKU's."""
    begins: date = date.min
    """From when they have been astray."""
    quantities: list[Decimal] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        return (self.client.id, self.name) if self.client else (self.name, "")

    def rows(self, now: datetime) -> list[Row]:
        """Every row of it there must be at an instant."""
        client = self.client or Client("", HOME, "UTC", None, "active")
        today = client.day(now)
        quantity, amount, accumulated, began, prices = Decimal(0), None, None, date.max, set()
        for n, (fact, price) in enumerate(zip(self.facts, self.prices, strict=True)):
            read = fact.scope.known(now, "complete", "partial")
            seen = [at for at in read if fact.is_listed(at)]
            if not read or not seen or seen[-1] != read[-1]:
                continue
            count = self.quantities[n] if self.quantities else Decimal(1)
            since = max(client.day(seen[0]), self.begins)
            if since > today:
                continue
            quantity, began = quantity + count, min(began, since)
            prices.add(price)
            if price is not None:
                share = sum((Fraction(1, end_of(since + n * DAY).day) for n in range((today - since).days + 1)), Fraction(0))  # fmt: skip
                amount = (amount or 0) + Fraction(count * price)
                accumulated = (accumulated or 0) + Fraction(count * price) * share
        if not quantity:
            return []
        states = {state_of(f.scope, now) for f in self.facts}
        good = [f.scope.good(now)[-1] for f in self.facts if f.scope.good(now)]
        unit_price = prices.pop() if len(prices) == 1 else None
        state = "known" if states == {"known"} else "partial" if "partial" in states else "stale"
        return [
            Row(
                today.replace(day=1), *self.key, "unmapped_sku" if self.client else "unmapped_company", quantity, None, None, quantity, unit_price,
                _money(amount, HOME), HOME, _money(accumulated, HOME), None, began, state, min(good), False, True,
            )
        ]  # fmt: skip


def list_price(service_id: str) -> Decimal | None:
    """What the price list says of a service."""
    listed = SERVICES[service_id].list_price
    return Decimal(listed) if listed else None


def end_of(day: date) -> date:
    """The last day of a day's month."""
    return months(day, day.replace(day=1) + 32 * DAY)[1] - DAY


def money(amount: Fraction, currency: str) -> Decimal:
    """Round once, half away from zero, to the currency's own digits."""
    shift = 10 ** DIGITS.get(currency, 2)
    whole = (abs(amount) * shift + Fraction(1, 2)).__floor__()
    return Decimal(whole if amount >= 0 else -whole) / shift


def _money(amount: Fraction | None, currency: str) -> Decimal | None:
    return None if amount is None else money(amount, currency)


def _recoverable(amount: Fraction | None, currency: str) -> Decimal | None:
    return None if amount is None else max(money(amount, currency), Decimal(0))


def _sign(number: Decimal) -> int:
    return (number > 0) - (number < 0)
