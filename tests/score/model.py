"""What Morton must say of a story that was planted, worked out in plain Python: days, quantities, money.

Belongs here: the rules every case shares: which day a reading speaks of, what a contract makes of a count, since when,
and how much. Does not: which records count, which each case says of its own; nor anything of the package or of dbt.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from tests.score.msp import (
    ALLOWED_MINUTES,
    CLOSES_AFTER,
    HOME,
    NEVER,
    SERVICES,
    Client,
    Fact,
    Msp,
    Scope,
    Service,
    Way,
    months,
)

DIGITS = {"JPY": 0, "KWD": 3}
"""How many digits a currency is counted in, where it is not two."""
DAY = timedelta(days=1)
USAGE = ("under_billed", "over_billed", "no_contract", "no_usage")
"""The kinds of rows that compare a count with a contract."""


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
    lost_unit_days: Decimal | None
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
    basis: str = "period_end"
    minimum: Decimal = Decimal(0)
    included: Decimal = Decimal(0)
    tolerance: Decimal = Decimal(0)
    committed: Decimal = Decimal(0)
    committed_until: date = date.max
    notice: int = 0
    """For so many days what has gone is still billed."""
    silent_days: int = 0
    """A machine that has been silent for so long counts no more; nothing where it counts until it is removed."""
    tiers: tuple[tuple[int, Decimal], ...] = ()
    """The first unit of each tier, and the price there."""
    is_graduated: bool = False
    begins: date = date.min
    ends: date = date.max

    def billable(self, charged: Decimal, day: date) -> Decimal:
        """What it makes of a count: at least the minimum, the block or the commitment, or only what is not included."""
        by_model = {
            "minimum": max(charged, self.minimum),
            "included": max(charged - self.included, Decimal(0)),
            "flat": self.quantity,
            "block_hours": max(charged, self.quantity),
        }.get(self.model, charged)
        return max(by_model, self.committed) if day < self.committed_until else by_model

    def unit_price(self, quantity: Decimal) -> Decimal:
        """The price of the last unit; a part of a unit costs what the whole one does."""
        return max((first, price) for first, price in self.tiers if first == 1 or quantity > first - 1)[1] if self.tiers else self.price  # fmt: skip

    def total(self, quantity: Decimal) -> Fraction:
        """What so many cost: all at the price of the tier they reach, or each unit at that of its own tier."""
        if not self.is_graduated:
            return Fraction(quantity) * Fraction(self.unit_price(quantity))
        cost, ends = Fraction(0), [*(Decimal(first - 1) for first, _ in self.tiers[1:]), quantity]
        for (first, price), end in zip(self.tiers, ends, strict=True):
            cost += Fraction(max(min(end, quantity) - (first - 1), Decimal(0))) * Fraction(price)
        return cost


@dataclass(eq=False)
class Unit:
    """Something to be counted once while any of its records is listed, on the days from one to another."""

    facts: list[Fact]
    quantity: Decimal = Decimal(1)
    begins: date = date.min
    ends: date = date.max
    off: list[tuple[date, date]] = field(default_factory=list)
    """Days on which it is left out, from one to another."""
    elsewhere: list[Fact] = field(default_factory=list)
    """Records by which it is still listed, and counts for something else."""

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
    invoiced: dict[date, tuple[Decimal, Decimal, datetime]] = field(default_factory=dict)
    """By month: how many, and at which price, on invoices made by hand, and when they came."""
    bundles: list["Line"] = field(default_factory=list)
    """What it is also sold in."""
    suspended: list[Unit] = field(default_factory=list)
    """What nobody can use for now."""
    charged: list[Unit] = field(default_factory=list)
    """What a distributor charges for it."""
    amended: "Line | None" = None
    """The same line as it is known at the second mart, where contracts, mappings or exclusions are written anew."""
    answer: "Answer | None" = None
    """What somebody decided about it in between."""

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
        """Every row of it there must be in the first mart or the second, in every month that was read."""
        return list(_Reckoning(self, at, at).rows()) if at == self.msp.calendar.now else _later(self)


class Answer(NamedTuple):
    """What became of a decision about the rows of a line in a month."""

    action: str
    holds: bool = True
    """Whether all an approval stands on is still so; every other decision ends by its own date."""
    until: date | None = None
    is_sent: bool = False
    """Whether it was invoiced."""
    month: date | None = None
    """The closed month it is about; the open one where none is named."""


class _Source(NamedTuple):
    """A list through which a line is counted, while its company is mapped to the client."""

    scope: Scope
    begins: date
    ends: date


@dataclass(frozen=True)
class _Day:
    """One day of a line: what was counted, what it is worth in a month that stands as the day does."""

    on: date
    version: Version | None
    observed: Decimal
    covered: Decimal | None
    """How many of them a bundle holds."""
    billable: Decimal
    agreed: Decimal
    price: Decimal | None
    """Of the last unit."""
    amount: Fraction | None
    """Of what is billable less what is agreed."""
    is_list_price: bool

    @property
    def variance(self) -> Decimal:
        return self.billable - self.agreed

    @property
    def sign(self) -> int:
        return (self.variance > 0) - (self.variance < 0)


class _Reckoning:
    """One line, day by day in the client's own time."""

    def __init__(self, line: Line, now: datetime, lapses_at: datetime) -> None:
        """Reckon with what is known at one instant, and with what may be billed back at another."""
        self.line, self.client, self.now = line, line.client, now
        self.today = self.client.day(now)
        limit = self.client.back_bill_days
        self.recoverable_from = date.min if limit is None else self.client.day(lapses_at) - limit * DAY
        self.sources = [
            _Source(line.msp.scope(connection, line.way.endpoint, company if line.way.vendor == "microsoft365" else ""), begins, ends)
            for connection, company, begins, ends in self.client.mapped
            if line.service.ways and line.msp.connections[connection] == line.way.vendor
        ]  # fmt: skip
        # Days before a company was both mapped and read are left out, and so is one read only after it was mapped.
        self.first = min(
            (max(s.begins, day) for s in self.sources for day, _ in s.scope.days(self.client, now, "complete") if day < s.ends),
            default=date.max,
        )  # fmt: skip
        self.bundles = [(_Reckoning(b, now, lapses_at), dict(b.service.parts)[line.service.id]) for b in line.bundles]
        self._days: dict[date, _Day] = {}
        self._read: dict[Scope, list[tuple[date, datetime]]] = {}
        self._seen: dict[date, Decimal] = {}

    def rows(self) -> Iterator[Row]:
        # Reports tell of months in which nobody read anything yet.
        for month in months(min(self.client.day(self.line.msp.calendar.first), self.first), self.today):
            is_open = month == self.today.replace(day=1)
            last = self.today if is_open else end_of(month)
            judged, version = self._judged(last, is_open), self.line.version(last)
            # Where it is what counts the bundle, the bundle's own row says that nobody could.
            promised = [
                v.quantity * per_unit
                for b, per_unit in self.bundles
                if (v := b.line.version(last)) and not b.is_counted_by(self.line)
            ]
            if _together(judged) in ("", "unknown"):
                # Nothing that is mapped and was read could count it: it was not checked, which is not clean.
                if is_open and version and version.model != "flat":
                    yield self._not_audited(month, version.quantity, None if version.tiers else version.price)
                elif is_open and not version and promised:
                    yield self._not_audited(month, sum(promised, Decimal(0)), None)
            elif self._stands(last):
                # What is beyond a bundle is known as far as both are.
                judged += [j for b, _ in self.bundles if b.line.version(last) for j in b._judged(last, is_open)]
                yield from self._rows_of(month, last, judged, _together(judged))
            if self.client.has_books:
                yield from self._mismatch(month, last, is_open)

    def is_counted_by(self, line: Line) -> bool:
        """Whether it is a bundle that a line counts: its first component."""
        return self.line.service.parts[0][0] == line.service.id

    # A month.

    def _judged(self, last: date, is_open: bool) -> list["Judged"]:
        """How each list that counts it measures a month."""
        return [
            _judge(s.scope, self.client, last, self.now, is_open) for s in self.sources if s.begins <= last < s.ends
        ]

    def _rows_of(self, month: date, last: date, judged: Sequence["Judged"], state: str) -> Iterator[Row]:
        """A month under contract, counted as the contract of its last such day says, and what came after a contract."""
        days = [self.day(on) for on in _days(max(month, self.first), last) if self._stands(on)]
        agreed = [d for d in days if d.version]
        basis = agreed[-1].version.basis if agreed and agreed[-1].version else "period_end"
        after = [d for d in days if not agreed or d.on > agreed[-1].on]
        # A peak under contract stands for the whole month.
        parts = [
            part
            for part in (
                agreed if basis != "period_end" or not after else [],
                after if basis != "peak" or not agreed else [],
            )
            if part
        ]
        for part in parts:
            yield from self._part(month, last, part, basis, judged, state, len(days), len(parts) > 1)
        if state == "known":
            yield from self._undelivered(month, days[-1], judged)

    def _part(self, month: date, last: date, part: Sequence[_Day], basis: str, judged: Sequence["Judged"], state: str, read: int, is_split: bool) -> Iterator[Row]:  # fmt: skip
        deciding = measured = part[-1]
        if basis == "peak":
            measured = max(part, key=lambda d: (d.billable, d.on))
            # What the month ends with is on the recurring invoice: the peak is held against that.
            deciding = _against(measured, part[-1])
        late = max(j.measured for j in judged)
        if late != last and basis != "period_end" and state == "known":
            # A later reading tells of the end of a month, and not of its days.
            state = "stale"
        if basis == "period_end" and late != last:
            # Measured late: the count is a later day's, the terms are those of the month's own end.
            measured = self.day(late)
            deciding = self._terms(deciding, measured)
        observed, billable, agreed, amount = deciding.observed, deciding.billable, deciding.agreed, deciding.amount
        if basis in ("average", "daily"):
            share = read if basis == "average" else end_of(month).day
            observed, billable, agreed = (_quantity(sum(map(Fraction, values)) / share) for values in zip(*((d.observed, d.billable, d.agreed) for d in part), strict=True))  # fmt: skip
            amounts = [d.amount for d in part if d.amount is not None]
            amount = sum(amounts, Fraction(0)) / share if amounts else None
        currency = HOME if deciding.is_list_price else self.client.currency
        rounded = _money(amount, currency)
        variance = billable - agreed
        if not variance and not rounded:
            return
        suspended, charged = (self._sum(units, measured.on) for units in (self.line.suspended, self.line.charged))
        if variance < 0 and suspended >= -variance and charged >= agreed:
            # What is suspended and charged for all the same is a cost, and nothing to give back.
            return
        if basis in ("average", "daily"):
            measured = [d for d in part if d.sign == (variance > 0) - (variance < 0)][-1]
        ended = measured
        if basis == "peak":
            while ended.on < part[-1].on and self.day(ended.on + DAY).sign == measured.sign:
                ended = self.day(ended.on + DAY)
        began = measured.on
        while self._stands(began - DAY) and self.day(began - DAY).sign == measured.sign:
            began -= DAY
        if state != "known" and min(began, last) > min(j.seen for j in judged):
            # What began after the last good reading was not seen by anybody.
            return
        since, accumulated = max(began, self.recoverable_from), self.amount(began, ended.on)
        lost = sum((self.day(on).variance for on in _days(began, ended.on)), Decimal(0))
        version = deciding.version
        owed = rounded or variance
        is_nothing = version is not None and observed == 0
        kind = "under_billed" if owed > 0 else "over_billed"
        yield Row(
            month, self.client.id, self.line.service.id,
            # A month has one row of a kind: what came after a contract is not called as what came under it.
            "no_contract" if version is None and (deciding.covered is None or is_split) else "no_usage" if is_nothing else kind,
            observed, agreed, self._invoiced(month), variance, deciding.price, rounded, currency,
            _money(accumulated, currency), None if accumulated is None else _recoverable(self.amount(since, ended.on), currency), lost,
            min(began, last), "zero" if state == "known" and observed == 0 else state, min(j.as_of for j in judged),
            _is_tolerated(version, variance, lost), version is None,
        )  # fmt: skip

    def _not_audited(self, month: date, quantity: Decimal, price: Decimal | None) -> Row:
        return Row(
            month, self.client.id, self.line.service.id, "not_audited", None, quantity, self._invoiced(month), None, price, None,
            self.client.currency, None, None, None, None, "unknown", None, False, False,
        )  # fmt: skip

    def _undelivered(self, month: date, day: _Day, judged: Sequence["Judged"]) -> Iterator[Row]:
        """Fewer of a component than its bundle promises: a matter of service, of no amount."""
        if day.covered is None or day.observed >= day.covered:
            return
        began = day.on
        while self._stands(began - DAY) and (before := self.day(began - DAY)).observed < (before.covered or 0):
            began -= DAY
        yield Row(
            month, self.client.id, self.line.service.id, "coverage_gap", day.observed, day.covered, self._invoiced(month), day.observed - day.covered,
            None, None, self.client.currency, None, None, None, began, "zero" if day.observed == 0 else "known", min(j.as_of for j in judged), False, False,
        )  # fmt: skip

    def _mismatch(self, month: date, last: date, is_open: bool) -> Iterator[Row]:
        """What the contract says less what invoices of a month's service bill; an open month waits for its first one."""
        lines = [one for one in self.line.msp.lines if one.client is self.client]
        if is_open and not any(month in one.invoiced and one.invoiced[month][2] <= self.now for one in lines):
            return
        currency = self.client.currency
        version, shares = self._shares(month, last)
        agreed, missing = self._missing(month, last)
        billed = self._billed(month)
        # Money against money: each day is worth what its own version says, and an invoice what it says itself.
        exact = Fraction(money(sum((v.total(v.quantity) for v in shares if v), Fraction(0)) / len(shares), currency)) - Fraction(billed)  # fmt: skip
        amount = money(exact, currency)
        if not missing and not amount:
            return
        if version:
            # What the missing units cost; a day without a version is worth what it is under the last one.
            days = [(v.total(v.quantity) if v else 0) - (v or version).total(agreed - missing) for v in shares]
            price, units = version.unit_price(agreed), sum(days, Fraction(0)) / len(days)
        else:
            price, units = _price(Fraction(billed) / Fraction(-missing)), exact
        # Less than half a coin is rounding, and no other price.
        is_tolerated = not money(exact - units, currency) and _is_tolerated(
            version, missing, self._short_days(month, last)
        )
        # Every day of its month is short of an equal part of it.
        within = min(end_of(month).day, max(0, (end_of(month) - self.recoverable_from).days + 1))
        books = [s for s in self.line.msp.scopes.values() if s.vendor == "quickbooks_online"]
        observed = self.day(last).observed if self.first <= last else None
        yield Row(
            month, self.client.id, self.line.service.id, "invoice_mismatch", observed, agreed, self._invoiced(month), missing,
            price, amount, self.client.currency, amount,
            max(money(exact * within / end_of(month).day, self.client.currency), Decimal(0)), None,
            month, "zero" if observed == 0 else "known", min(s.good(self.now)[-1] for s in books),
            is_tolerated, False,
        )  # fmt: skip

    def _missing(self, month: date, last: date) -> tuple[Decimal, Decimal]:
        """How many were to be invoiced, and how many of them were not."""
        _, shares = self._shares(month, last)
        agreed = _quantity(Fraction(sum(v.quantity for v in shares if v)) / len(shares))
        return agreed, agreed - (self._invoiced(month) or Decimal(0))

    def _short_days(self, month: date, last: date) -> Decimal:
        """The units missing on each day, added up over the months in a row that miss some, or have too many."""
        (_, missing), before = self._missing(month, last), month - DAY
        lost = missing * ((last - month).days + 1)
        if before < self.client.day(self.line.msp.calendar.first).replace(day=1):
            return lost
        return lost + (self._short_days(before.replace(day=1), before) if self._missing(before.replace(day=1), before)[1] * missing > 0 else 0)  # fmt: skip

    def _billed(self, month: date) -> Decimal:
        """What invoices made by hand bill of a month."""
        if not self._invoiced(month):
            return Decimal(0)
        quantity, price, _ = self.line.invoiced[month]
        return money(Fraction(quantity * price), self.client.currency)

    def _shares(self, month: date, last: date) -> tuple[Version | None, list[Version | None]]:
        """The version that decides what is invoiced of a month, and those of its days where each has its share."""
        days = list(_days(month, end_of(month)))
        begun = [v for on in days if on <= last and (v := self.line.version(on))]
        version = begun[-1] if begun and begun[-1].basis != "period_end" else self.line.version(last)
        if version and version.basis in ("average", "daily"):
            # Also one that is still to come.
            return version, [self.line.version(on) for on in days]
        return version, [version]

    def _invoiced(self, month: date) -> Decimal | None:
        quantity, _, came = self.line.invoiced.get(month, (None, None, self.now))
        return quantity if came <= self.now else None

    def corrections(self, month: date, then: Sequence[Row], now: Sequence[Row], *, is_billed: bool) -> Iterator[Row]:
        """What a closed month would come to by what is known now, less what it was closed with.

        What nobody was billed for is not given back, and what nobody was given back is not billed: it takes from what is
        open there, or was given up, and only what goes beyond that is a correction.
        """
        last = end_of(month)
        judged = self._judged(last, False)
        if _together(judged) != "known" or not self._stands(last):
            return
        approvable = [] if any(r.source_state in ("partial", "unknown") for r in then) else then
        quantity, amount = (sum((getattr(r, name) or Decimal(0) for r in now), Decimal(0)) - sum((getattr(r, name) or Decimal(0) for r in approvable), Decimal(0)) for name in ("variance_quantity", "variance_amount"))  # fmt: skip
        open_quantity, open_amount = (sum((getattr(r, name) or Decimal(0) for r in approvable if not is_billed), Decimal(0)) for name in ("variance_quantity", "variance_amount"))  # fmt: skip
        change, still_open = (amount, open_amount) if amount else (quantity, open_quantity)
        if change * still_open < 0:
            if abs(change) <= abs(still_open):
                return
            quantity, amount = quantity + open_quantity, amount + open_amount
        if not quantity and not amount:
            return
        version = self.line.version(last)
        day = self.day(max(j.measured for j in judged))
        tolerance = version.tolerance if version else Decimal(0)
        # It is hidden where the month's own rows were, then and now: not where a gap stayed, nor where it was invoiced.
        spread, stayed = ([abs(sum((getattr(r, name) or Decimal(0) for r in rows), Decimal(0))) for rows in (now, then)] for name in ("variance_quantity", "lost_unit_days"))  # fmt: skip
        is_tolerated = 0 < tolerance >= max(spread) and max(stayed) < 30 * tolerance and not (is_billed and then)
        currency = next((r.currency for r in (*now, *then)), self.client.currency) or HOME
        within = Fraction(min(max((last - self.recoverable_from).days + 1, 0), last.day), last.day)
        yield Row(
            self.today.replace(day=1), self.client.id, self.line.service.id, "correction", day.observed, version.quantity if version else Decimal(0),
            None, quantity, next((r.unit_price for r in (*now, *then)), self.day(last).price), amount,
            currency, amount, _recoverable(Fraction(amount) * within, currency), None, month,
            "zero" if day.observed == 0 else "known", min(j.as_of for j in judged), is_tolerated,
            any(r.is_estimate for r in (*now, *then)),
        )  # fmt: skip

    # A day.

    def _stands(self, on: date) -> bool:
        """Whether a day says anything of it: somebody looked, and without a contract a bundle is only its components."""
        return self.first <= on and (not self.line.service.parts or self.line.version(on) is not None)

    def day(self, on: date) -> _Day:
        """What the last good reading before the end of the client's day saw, and what the day's contract makes of it."""
        if on not in self._days:
            self._days[on] = self._valued(
                on, self.line.version(on), self.observed(on), self._covered(on), self._charged(on)
            )
        return self._days[on]

    def _terms(self, terms: _Day, counted: _Day) -> _Day:
        """The count of one day under the terms of another, and what was under notice on it where those know of notice."""
        noticed = self._charged(counted.on) - _beyond(counted.observed, counted.covered)
        covered = None if terms.covered is None else terms.covered if counted.covered is None else counted.covered
        charged = _beyond(counted.observed, covered) + (noticed if terms.version and terms.version.notice else 0)
        return self._valued(terms.on, terms.version, counted.observed, covered, charged)

    def _valued(self, on: date, version: Version | None, observed: Decimal, covered: Decimal | None, charged: Decimal) -> _Day:  # fmt: skip
        billable = version.billable(charged, on) if version else charged
        agreed = version.quantity if version else Decimal(0)
        # An ended contract's prices hold for a year; then the price list does.
        ended = [v for v in self.line.versions if v.ends <= on and (on - v.ends).days < 366]
        priced = version or max(ended, key=lambda v: v.ends, default=None)
        amount: Fraction | None
        if priced:
            price: Decimal | None = priced.unit_price(billable)
            amount = priced.total(billable) - (version.total(agreed) if version else 0)
        else:
            price = list_price(self.line.service.id)
            amount = None if price is None else Fraction(billable) * Fraction(price)
        return _Day(on, version, observed, covered, billable, agreed, price, amount, priced is None)

    def observed(self, on: date) -> Decimal:
        if on not in self._seen:
            self._seen[on] = self._sum(self.line.units, on)
        return self._seen[on]

    def _sum(self, units: Sequence[Unit], on: date) -> Decimal:
        seen = (u.quantity for u in units if u.counts(on) and any(self._is_seen(f, on) for f in u.facts))
        return sum(seen, Decimal(0))

    def _covered(self, on: date) -> Decimal | None:
        """What bundles under contract hold of it: for each of them so many as it promises."""
        held = [b.day(on).observed * per_unit for b, per_unit in self.bundles if b.line.version(on)]
        return sum(held, Decimal(0)) if held else None

    def _charged(self, on: date) -> Decimal:
        """What is not in a bundle, and what has left its tool while its notice lasts, as far as nothing came instead."""
        version, present = self.line.version(on), _beyond(self.observed(on), self._covered(on))
        notice = list(_days(max(self.first, on - version.notice * DAY), on)) if version and version.notice else []
        left = sum((u.quantity for before, day in pairwise(notice) for u in self.line.units if self._leaves(u, before, day)), Decimal(0))  # fmt: skip
        highest = max((_beyond(self.observed(day), self._covered(day)) for day in notice), default=present)
        return present + min(left, highest - present)

    def _leaves(self, unit: Unit, before: date, day: date) -> bool:
        return self._sum([unit], before) > 0 and not any(self._is_seen(f, day) for f in (*unit.facts, *unit.elsewhere))

    def _is_seen(self, fact: Fact, on: date) -> bool:
        if fact.scope not in self._read:
            self._read[fact.scope] = fact.scope.days(self.client, self.now, "complete", "partial")
        read = self._read[fact.scope]
        place = bisect_right(read, on, key=lambda one: one[0])
        return place > 0 and fact.is_listed(read[place - 1][1])

    def amount(self, first: date, last: date) -> Fraction | None:
        """The variance of some days, each at its own price, divided by the days of its month.

        What is worth list price is in the main currency, and is not added to what is in the client's own.
        """
        days = [self.day(on) for on in _days(first, last)]
        amounts = [(d.amount, end_of(d.on).day) for d in days if self._is_foreign(d) == self._is_foreign(days[-1])]
        known = [amount / of for amount, of in amounts if amount is not None]
        return sum(known, Fraction(0)) if known or not days else None

    def _is_foreign(self, day: _Day) -> bool:
        return day.is_list_price and self.client.currency != HOME


def _against(peak: _Day, last: _Day) -> _Day:
    """The count of one day, held against what was agreed on another."""
    agreed, totals = last.agreed, [d.version.total(d.agreed) if d.version else Fraction(0) for d in (peak, last)]
    amount = None if peak.amount is None else peak.amount + totals[0] - totals[1]
    return replace(peak, agreed=agreed, amount=amount)


def _later(line: Line) -> list[Row]:
    """The rows of the second mart: closed months keep theirs, what is known of them since is one correction in the open one."""
    calendar, client = line.msp.calendar, line.client
    then, now = (
        _Reckoning(line, calendar.now, calendar.later),
        _Reckoning(line.amended or line, calendar.later, calendar.later),
    )
    closed = [
        m
        for m in months(min(client.day(calendar.first), then.first), then.today)
        if end_of(m) + CLOSES_AFTER * DAY < then.today
    ]
    before, after = list(then.rows()), list(now.rows())
    rows = [r for r in before if r.period_month in closed and r.kind != "invoice_mismatch"]
    rows += [r for r in after if r.period_month not in closed or r.kind == "invoice_mismatch"]
    for month in closed:
        usage = [[r for r in found if r.period_month == month and r.kind in USAGE] for found in (before, after)]
        rows += now.corrections(month, *usage, is_billed=line.answer is not None and line.answer.is_sent and line.answer.month == month)  # fmt: skip
    if not line.answer:
        return rows
    return list(_answered(line, line.answer.month or then.today.replace(day=1), before, rows))


def _answered(line: Line, month: date, before: Sequence[Row], rows: Sequence[Row]) -> Iterator[Row]:
    """What was decided about the rows of a month, as it stands among the rows of the second mart."""
    assert line.answer is not None
    answer, today = line.answer, line.client.day(line.msp.calendar.later)
    decided = {r.kind: r for r in before if r.period_month == month}
    if answer.is_sent:
        yield from _sent(line, month, decided, rows)
        return
    for row in rows:
        if row.period_month != month or row.kind not in decided:
            yield row
            continue
        old = decided.pop(row.kind)
        is_over = answer.until is not None and answer.until <= today
        match answer.action:
            case "approve":
                yield row._replace(status="approved" if answer.holds else "void")
            case "write_off":
                is_grown = abs(row.variance_amount or 0) > abs(old.variance_amount or 0)
                yield row._replace(status="open" if is_over or is_grown else "written_off")
            case _:
                yield row
    if answer.action == "exclude" and answer.until and answer.until > today:
        for old in decided.values():
            # All of it is excluded: it stays to be taken back.
            yield _bare(old, line, Decimal(0), Decimal(0), "excluded")


def _sent(line: Line, month: date, decided: dict[str, Row], rows: Sequence[Row]) -> Iterator[Row]:
    """An invoice stays as it was sent; what is left is the difference, whatever it is called now."""
    ((kind, old),) = decided.items()
    assert old.variance_quantity is not None
    assert old.variance_amount is not None
    is_listed = False
    for row in rows:
        if row.kind in USAGE and row.period_month >= month and row.began_on and row.began_on <= end_of(month):
            # What was sent can be recovered no more.
            row = row._replace(recoverable_amount=max((_unclipped(line, row) or Decimal(0)) - old.variance_amount, Decimal(0)))  # fmt: skip
        if row.period_month != month or row.kind not in USAGE:
            yield row
            continue
        assert row.variance_quantity is not None
        assert row.variance_amount is not None
        is_listed = is_listed or row.kind == kind
        # What was invoiced once is settled to the last unit: no tolerance hides what has come since.
        row = row._replace(is_within_tolerance=False)
        if row.variance_amount == old.variance_amount:
            yield row._replace(variance_quantity=old.variance_quantity, status="invoiced")
        else:
            yield row._replace(variance_quantity=row.variance_quantity - old.variance_quantity, variance_amount=row.variance_amount - old.variance_amount)  # fmt: skip
    if not is_listed:
        yield _bare(old, line, old.variance_quantity, old.variance_amount, "invoiced")


def _unclipped(line: Line, row: Row) -> Decimal | None:
    """What may be billed back, also below zero."""
    return row.recoverable_amount if row.recoverable_amount else min(row.accumulated_amount or Decimal(0), Decimal(0))


def _bare(old: Row, line: Line, quantity: Decimal, amount: Decimal, status: str) -> Row:
    """A row whose finding has gone: only what was decided is left of it."""
    return old._replace(
        observed_quantity=None, contracted_quantity=None, invoiced_quantity=None, variance_quantity=quantity, unit_price=None,
        variance_amount=amount, accumulated_amount=None, recoverable_amount=Decimal(0), lost_unit_days=None, began_on=None,
        source_state="known", source_as_of_at=line.msp.calendar.decided, is_within_tolerance=False, is_estimate=False, status=status,
    )  # fmt: skip


def _is_tolerated(version: Version | None, variance: Decimal, lost: Decimal) -> bool:
    """A small gap is hidden until it has stayed: thirty days of the whole tolerance are enough."""
    tolerance = version.tolerance if version else Decimal(0)
    return abs(variance) <= tolerance and abs(lost) < 30 * tolerance


def _beyond(observed: Decimal, covered: Decimal | None) -> Decimal:
    return observed if covered is None else max(observed - covered, Decimal(0))


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += DAY


def _price(exact: Fraction) -> Decimal:
    """A price has four digits, half away from zero."""
    whole = (abs(exact) * 10000 + Fraction(1, 2)).__floor__()
    return Decimal(whole if exact >= 0 else -whole) / 10000


def _quantity(exact: Fraction) -> Decimal:
    """A quantity has four digits."""
    return Decimal((exact * 10000 + Fraction(1, 2)).__floor__()) / 10000


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
    good = scope.days(client, now, "complete")
    before = [one for one in good if one[0] <= last]
    after = [one for one in good if one[0] > last]
    is_partial = is_open and state_of(scope, now) == "partial"
    if not before:
        return Judged(last, now, last, False, False, is_partial)
    seen, as_of = before[-1]
    if is_open:
        return Judged(last, as_of, seen, state_of(scope, now) == "known", True, is_partial)
    is_old = (last - seen).days > ceil(ALLOWED_MINUTES[scope.vendor] / 1440)
    if is_old and after:
        late = after[0][0]
        return Judged(late, [at for day, at in after if day == late][-1], late, True, True)
    return Judged(last, as_of, seen, not is_old, True)


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
    ends_at: datetime = NEVER
    """When somebody says whose they are."""
    claimed: dict[Fact, tuple[Client, date]] = field(default_factory=dict)
    """Those of them that are a client's from a day on."""
    quantities: list[Decimal] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        return (self.client.id, self.name) if self.client else (self.name, "")

    def rows(self, now: datetime) -> list[Row]:
        """Every row of it there must be at an instant."""
        client = self.client or Client("", HOME, "UTC", None, "active")
        today = client.day(now)
        if now >= self.ends_at:
            return []
        quantity, amount, accumulated, began, prices = Decimal(0), None, None, date.max, set()
        for n, (fact, price) in enumerate(zip(self.facts, self.prices, strict=True)):
            read = fact.scope.known(now, "complete", "partial")
            seen = [at for at in read if fact.is_listed(at)]
            if not read or not seen or seen[-1] != read[-1]:
                continue
            count = self.quantities[n] if self.quantities else Decimal(1)
            since = max(client.day(seen[0]), self.begins)
            if since > today or (fact in self.claimed and self.claimed[fact][0].day(now) >= self.claimed[fact][1]):
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
                _money(amount, HOME), HOME, _money(accumulated, HOME), None, None, began, state, min(good), False, True,
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
