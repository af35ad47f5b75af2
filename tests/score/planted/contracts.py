"""Contract and price: cases 36-48, 55, and money: cases 68-76."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from tests.score.model import Line
from tests.score.msp import CURRENCIES, HOME, Msp
from tests.score.planting import agree, count, day, line, moment, near, plants, price


@plants(36)
def usage_without_a_contract(msp: Msp) -> Iterator[Line]:
    """All of it is missing, at list price in the main currency, and marked as an estimate; also where nothing has a price."""
    one = line(msp, msp.rng.choice((None, None, None, "hypervisor")))
    count(one, msp.rng.randint(1, 6))
    count(one, msp.rng.randint(0, 2), since=moment(msp))
    yield one


@plants(37)
def a_contract_without_usage(msp: Msp) -> Iterator[Line]:
    """A contract of which nothing is used is a ghost, where the tool was read and speaks of the client."""
    one = line(msp)
    msp.home(one.client, one.way.vendor)
    agree(one, msp.rng.randint(0, 8))
    yield one


@plants(38)
def usage_below_the_minimum(msp: Msp) -> Iterator[Line]:
    """The minimum is billed where less is used, and what is used where it is more."""
    one, minimum = line(msp), msp.rng.randint(1, 12)
    agree(one, near(msp, minimum), model="minimum", minimum=minimum)
    count(one, near(msp, minimum))
    yield one


@plants(39)
def the_first_so_many_are_included(msp: Msp) -> Iterator[Line]:
    """Only what exceeds the included quantity is compared."""
    one, included = line(msp), msp.rng.randint(1, 12)
    agree(one, msp.rng.choice((0, 0, 1, 2)), model="included", included=included)
    count(one, near(msp, included))
    yield one


@plants(42)
def a_contract_that_changes_in_the_month(msp: Msp) -> Iterator[Line]:
    """At the end of a period its last day's version decides; the days before are worth what they were worth then."""
    one, turn, number = line(msp), day(msp), msp.rng.randint(2, 8)
    agree(one, near(msp, number), ends=turn)
    agree(one, near(msp, number), begins=turn, **msp.rng.choice(({}, {"model": "minimum", "minimum": near(msp, number)}, {"model": "included", "included": 2})))  # fmt: skip
    count(one, number)
    yield one


@plants(44)
def what_came_and_went_inside_a_month(msp: Msp) -> Iterator[Line]:
    """Counted at the end of the period, what left before that end is not billed; at its end it is."""
    one, number, since, until = line(msp), msp.rng.randint(0, 5), *sorted((moment(msp), moment(msp)))
    agree(one, number)
    count(one, number)
    count(one, msp.rng.randint(1, 3), since=since, until=max(until, since + timedelta(hours=1)))
    yield one


@plants(45)
def a_price_that_rises(msp: Msp) -> Iterator[Line]:
    """A new price for the same quantity is no gap; a gap that lasts is worth each day what the day's price says."""
    one, number, turn, old = line(msp), msp.rng.randint(1, 8), day(msp), price(msp)
    agree(one, number, old, ends=turn)
    agree(one, number, old * Decimal("1.04"), begins=turn)
    count(one, number + msp.rng.choice((0, 0, 1)))
    yield one


@plants(48)
def a_tolerance_of_so_many(msp: Msp) -> Iterator[Line]:
    """A tolerance keeps a row out of the lists, and keeps the row."""
    one, tolerance, agreed = line(msp), msp.rng.randint(1, 4), msp.rng.randint(5, 10)
    agree(one, agreed, tolerance=tolerance)
    count(one, near(msp, agreed + msp.rng.choice((-1, 1)) * tolerance))
    yield one


@plants(55)
def a_contract_that_begins_or_ends(msp: Msp) -> Iterator[Line]:
    """Before its first day and from its last nothing is agreed: usage is worth the ended contract's price, else the list's."""
    one, number = line(msp), msp.rng.randint(1, 6)
    first, second = sorted((day(msp), day(msp)))
    match msp.rng.choice(("begins", "ends", "both", "gap")):
        case "begins":
            agree(one, near(msp, number), begins=first)
        case "ends":
            agree(one, near(msp, number), ends=first)
        case "both":
            agree(one, near(msp, number), begins=first, ends=second + timedelta(days=1))
        case "gap":
            agree(one, near(msp, number), ends=first)
            agree(one, near(msp, number), begins=second + timedelta(days=1))
    count(one, number)
    yield one


@plants(55)
def a_client_who_left(msp: Msp) -> Iterator[Line]:
    """For a year after a contract ended its price holds; from then on the list's does."""
    client = msp.client(status="offboarded")
    ended = client.day(msp.calendar.now) - timedelta(days=msp.rng.choice((1, 30, 364, 365, 366, 367)))
    one = line(msp, client=client)
    agree(one, msp.rng.randint(1, 5), ends=ended)
    count(one, msp.rng.randint(0, 3), until=moment(msp))
    count(one, msp.rng.randint(1, 3))
    yield one


@plants(68)
def another_currency(msp: Msp) -> Iterator[Line]:
    """A contract is in its client's currency and a list price in the main one; the two are never added up."""
    client = msp.client(currency=msp.rng.choice((*CURRENCIES, HOME)))
    one, number = line(msp, client=client), msp.rng.randint(1, 6)
    agree(one, number)
    count(one, number + msp.rng.choice((-1, 1, 2)))
    yield one
    other = line(msp, "workstation" if one.service.id != "workstation" else "server", client)
    count(other, msp.rng.randint(1, 3))
    yield other


@plants(69)
def halves_of_the_smallest_coin(msp: Msp) -> Iterator[Line]:
    """Money is rounded once for each row, half up, to the digits its currency has."""
    client = msp.client(currency=msp.rng.choice(("JPY", "KWD", "USD", "EUR")))
    one = line(msp, client=client)
    coin = {"JPY": Decimal(1), "KWD": Decimal("0.001")}.get(client.currency, Decimal("0.01"))
    number = msp.rng.randint(1, 5)
    cheap = coin / 2 * (2 * msp.rng.randint(0, 40) + 1) if coin > Decimal("0.001") else Decimal(msp.rng.choice(("1.0005", "2.4995", "0.3335")))  # fmt: skip
    agree(one, number, cheap)
    count(one, number + msp.rng.choice((-1, 1, 3)))
    yield one


@plants(70)
def what_is_billed_too_much(msp: Msp) -> Iterator[Line]:
    """Too much is a row below zero, and nothing of it can be recovered from the client."""
    one, number = line(msp), msp.rng.randint(2, 8)
    agree(one, number)
    count(one, 1)
    count(one, number - 1, until=moment(msp))
    yield one


@plants(76)
def a_difference_that_costs_nothing(msp: Msp) -> Iterator[Line]:
    """A quantity that differs is a row also where it comes to nothing."""
    one, number = line(msp), msp.rng.randint(0, 5)
    agree(one, number, Decimal(msp.rng.choice(("0", "0.0010"))))
    count(one, number + msp.rng.randint(1, 2))
    yield one
