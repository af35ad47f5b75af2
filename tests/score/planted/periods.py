"""Time and period: cases 49-56. Which month a reading and an invoice line belong to, and what a day is worth."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from tests.score.model import DAY, Line, Unit, end_of
from tests.score.msp import NEVER, PLAIN, Msp, months
from tests.score.planting import agree, count, day, line, listed, moment, near, plants, price, some_basis


@plants(49)
def what_appears_around_midnight(msp: Msp) -> Iterator[Line]:
    """A month ends where the client is, by summer time or not: a moment before midnight is the old month's."""
    one, number = line(msp, client=msp.client(zone=msp.rng.choice(msp.calendar.zones))), msp.rng.randint(0, 4)
    ends = months(msp.calendar.first.date(), msp.calendar.now.date())[1:]
    month = msp.rng.choice(ends or [msp.calendar.now.date()])
    midnight = datetime.combine(month, time(), ZoneInfo(msp.rng.choice(msp.calendar.zones)))
    at = midnight.astimezone(ZoneInfo("UTC")) + timedelta(seconds=msp.rng.choice((-1801, -2, -1, 0, 1, 1801)))
    agree(one, number)
    count(one, number)
    if msp.rng.random() < 0.7:
        count(one, 1, since=max(at, msp.calendar.first))
    else:
        count(one, 1, until=max(at, msp.calendar.first + DAY))
    yield one


@plants(50)
def a_month_nobody_measured_at_its_end(msp: Msp) -> Iterator[Line]:
    """It is measured by its last reading while that is young enough, else by the first one after, which is late."""
    one = line(msp, client=msp.client())
    msp.own_account(one.client, one.way.vendor)
    connection, company = msp.home(one.client, one.way.vendor)
    scope = msp.scope(connection, one.way.endpoint, company if one.way.vendor == "microsoft365" else "")
    month = msp.rng.choice(months(msp.calendar.first.date(), msp.calendar.now.date()))
    last = datetime.combine(end_of(month), time(12), ZoneInfo("UTC"))
    scope.outages.append((last - timedelta(days=msp.rng.randint(0, 4), hours=msp.rng.randint(0, 12)), last + timedelta(days=msp.rng.randint(1, 6))))  # fmt: skip
    number = msp.rng.randint(1, 5)
    agree(one, near(msp, number))
    if msp.rng.random() < 0.5:
        one.versions.clear()
        msp.seeds["contracts"].pop()
        turn = months(month, month + 32 * DAY)[1] + timedelta(days=msp.rng.randint(-1, 3))
        agree(one, near(msp, number), ends=turn)
        agree(one, near(msp, number), begins=turn)
    count(one, number)
    count(one, msp.rng.randint(0, 2), since=last - timedelta(days=msp.rng.randint(-6, 5)))
    yield one


def _reports(msp: Msp) -> tuple[Line, list[datetime]]:
    """A line that monthly reports tell of, each read some days after the month's end; and when they are read."""
    one = line(msp, "relay", msp.client())
    connection = msp.connection("relay", 1 + sum(v == "relay" for v in msp.connections.values()))
    one.client.homes["relay"] = connection
    msp.company(one.client, connection)
    scope = msp.scope(connection, "records")
    scope.own |= dict.fromkeys(msp.calendar.readings)
    first = months(msp.calendar.first.date() - timedelta(days=20), msp.calendar.now.date())[0]
    read = []
    for month in months(first, msp.calendar.now.date()):
        wait = end_of(month) + timedelta(days=msp.rng.randint(1, 6))
        later = [at for at in msp.calendar.readings if at.date() >= wait and at <= msp.calendar.now and at not in read]
        if later:
            scope.own[later[0]] = later[0]
            scope.stands_for[later[0]] = end_of(month) - timedelta(days=msp.rng.choice((0, 0, 1)))
            read.append(later[0])
    return one, read


def _told(one: Line, quantity: int, since: datetime, until: datetime = NEVER, of: Unit | None = None) -> Unit:
    """What reports say from one to another: so many."""
    row = {"record_id": of.facts[0].row["record_id"]} if of else {}
    (fact,) = listed(one, 1, since, until, quantity=str(quantity), **row)
    one.units.append(Unit([fact], Decimal(quantity)))
    return one.units[-1]


@plants(50)
def reports_that_are_read_days_afterwards(msp: Msp) -> Iterator[Line]:
    """A report measures the day it is of, whenever it is read; what it says is known from when it was read."""
    one, read = _reports(msp)
    number, before = msp.rng.randint(1, 9), None
    agree(one, near(msp, number))
    for at, until in zip(read, [*read[1:], NEVER], strict=True):
        before = _told(one, near(msp, number), at, until, before)
    yield one


@plants(9)
def a_report_that_is_written_anew(msp: Msp) -> Iterator[Line]:
    """What a closed month's report says otherwise afterwards is a correction of that month, in the open one."""
    one, read = _reports(msp)
    number = msp.rng.randint(2, 9)
    agree(one, near(msp, number))
    if read:
        scope, anew = one.msp.scope(one.client.homes["relay"], "records"), msp.calendar.readings[-1]
        before = _told(one, number, read[0], anew)
        _told(one, number + msp.rng.choice((-1, 1, 2)), anew, NEVER, before)
        scope.own[anew] = anew
        scope.stands_for[anew] = scope.stands_for[read[-1]]
    yield one


@plants(51)
def invoices_that_bill_another_quantity(msp: Msp) -> Iterator[Line]:
    """An invoice line belongs to the month of its service date, whenever the invoice was made; else to the invoice's own."""
    client = msp.client(has_books=True)
    for service in msp.rng.sample(PLAIN, msp.rng.randint(1, 2)):
        one, number = line(msp, service, client), msp.rng.randint(1, 6)
        agree(one, number, price(msp), tolerance=msp.rng.choice((0, 0, 1)), **some_basis(msp))
        count(one, number + msp.rng.choice((0, 0, 1)))
        yield one


@plants(51)
def invoices_of_a_month_in_which_the_contract_changes(msp: Msp) -> Iterator[Line]:
    """By the day and on average each version has its share of the invoice, at its own price; else the last one decides."""
    one, number, turn = line(msp, client=msp.client(has_books=True)), msp.rng.randint(1, 6), day(msp)
    again = msp.rng.choice((turn, turn, max(turn, day(msp)), None))
    agree(one, near(msp, number), ends=turn, **some_basis(msp))
    if again:
        agree(one, near(msp, number), begins=again, **some_basis(msp))
    count(one, number)
    yield one


@plants(51)
def an_invoice_that_is_not_there_yet(msp: Msp) -> Iterator[Line]:
    """A month is over, and perhaps closed, without it; when it comes it is held against what was agreed, and the rows go."""
    one, number = line(msp, client=msp.client(has_books=True, is_invoiced_late=True)), msp.rng.randint(1, 6)
    agree(one, near(msp, number), tolerance=msp.rng.choice((0, 0, 1)), **some_basis(msp))
    count(one, number)
    yield one


@plants(54)
def a_gap_older_than_may_be_billed_back(msp: Msp) -> Iterator[Line]:
    """What is missing is summed day by day; what is older than the client's limit is lost, and said to be."""
    client = msp.client()
    today = client.day(msp.calendar.now)
    since = moment(msp)
    gap = (today - client.day(since)).days
    client.back_bill_days = max(0, gap + msp.rng.choice((-1, 0, 1, -10)))
    msp.seeds["clients"][-1]["back_bill_days"] = str(client.back_bill_days)
    one, number = line(msp, client=client), msp.rng.randint(0, 4)
    agree(one, number)
    count(one, number)
    count(one, msp.rng.randint(1, 3), since=since)
    yield one


@plants(56)
def whatever_can_happen_to_a_line(msp: Msp) -> Iterator[Line]:
    """Any versions, any comings and goings, any exclusions and outages, over months of 28 to 31 days and through summer time."""
    rng = msp.rng
    one = line(msp, client=msp.client())
    connection = msp.own_account(one.client, one.way.vendor) if rng.random() < 0.5 else ""
    turns = sorted({day(msp) for _ in range(rng.randint(0, 3))})
    number = rng.randint(1, 6)
    for begins, ends in zip([None, *turns], [*turns, None], strict=True):
        if rng.random() < 0.85:
            terms = rng.choice((
                {}, {}, {"model": "minimum", "minimum": rng.randint(0, 7)}, {"model": "included", "included": rng.randint(0, 4)},
                {"model": "flat"}, {"tolerance": rng.randint(1, 3)}, {"committed": rng.randint(1, 5)}, {"notice": rng.randint(1, 40)},
                {"model": "tiered", "tiers": ((1, price(msp)), (rng.randint(2, 5), price(msp))), "is_graduated": rng.random() < 0.5},
            ))  # fmt: skip
            terms = {**terms, **some_basis(msp)}
            agree(one, rng.randint(max(0, number - 2), number + 2), **terms, **({"begins": begins} if begins else {}), **({"ends": ends} if ends else {}))  # fmt: skip
    for _ in range(number + rng.randint(0, 6)):
        since = None if rng.random() < 0.5 else moment(msp)
        until = NEVER if rng.random() < 0.6 else moment(msp)
        (fact,) = listed(one, 1, since, until)
        unit = Unit([fact])
        if rng.random() < 0.3 and until < NEVER:
            # It comes back.
            back = until + timedelta(days=rng.randint(0, 20))
            unit.facts.append(msp.fact(fact.scope, fact.row, back))
        if rng.random() < 0.15 and one.way.vendor != "microsoft365":
            begins, ends = sorted((day(msp), day(msp)))
            if begins < ends:
                unit.off.append((begins, ends))
                msp.excludes(one.client, begins=begins, ends=ends, record_id=fact.row["id"], service_id=one.service.id)
        one.units.append(unit)
    if connection and rng.random() < 0.6:
        since, until = sorted((moment(msp), moment(msp)))
        msp.home(one.client, one.way.vendor)
        for scope in msp.scopes.values():
            if scope.connection == connection and scope is one.units[0].facts[0].scope:
                scope.outages.append((since, until if rng.random() < 0.7 else NEVER))
    yield one
