"""The edge cases that are planted, one small function each, with the rule it holds Morton to in its first line.

Belongs here: what is wrong on purpose, which records count and why. Does not: time and money (`model`). A function
draws its own sizes, dates and prices from the MSP's random numbers, tells the MSP's world, and yields the lines it
planted; whatever it yields has all the rows it says, and no other.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.score.model import Line, Row, Unit, Version
from tests.score.msp import NEVER, SERVICES, Client, Msp, Service

Story = Callable[[Msp], Iterator[Line | Row]]


@dataclass(frozen=True)
class Case:
    """A function that plants one edge case."""

    number: int
    plant: Story

    @property
    def name(self) -> str:
        return self.plant.__name__.replace("_", " ")


CASES: list[Case] = []


def plants(number: int) -> Callable[[Story], Story]:
    """Declare a function that plants an edge case."""

    def declare(story: Story) -> Story:
        CASES.append(Case(number, story))
        return story

    return declare


@dataclass
class Plant:
    """One case in one MSP: what it claims for itself, and the rows there must be."""

    case: Case | None
    """Nothing for what is in order."""
    keys: set[tuple[str, str]] = field(default_factory=set)
    rows: list[Row] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.case.number} {self.case.name}" if self.case else "in order"


def generate(seed: int, number: int) -> tuple[Msp, list[Plant]]:
    """Invent an MSP with some clients in order, and one to six cases."""
    msp = Msp(seed, number)
    told = [(None, list(_in_order(msp)))]
    for case in msp.rng.choices(CASES, k=msp.rng.randint(1, 6)):
        told.append((case, list(case.plant(msp))))
    told.append((None, list(_enough_at_home(msp))))
    plants = []
    for case, planted in told:
        plant = Plant(case)
        for one in planted:
            plant.keys.add(one.key if isinstance(one, Line) else (one.client, one.service))
            plant.rows += one.rows() if isinstance(one, Line) else [one]
        plants.append(plant)
    return msp, plants


# What every case is told with.


def price(msp: Msp) -> Decimal:
    """A price, also none and one of fractions of a cent."""
    rng = msp.rng
    return rng.choice((Decimal(rng.randint(1, 200)), Decimal(rng.randint(1, 20000)) / 100, Decimal(rng.randint(1, 99999)) / 10000, Decimal("0.5")))  # fmt: skip


def near(msp: Msp, boundary: int) -> int:
    """A number at a boundary: one below, on it, one above."""
    return max(0, boundary + msp.rng.choice((-1, 0, 1)))


def moment(msp: Msp) -> datetime:
    """Any instant between the first reading and the last."""
    return msp.rng.choice(msp.calendar.readings[1:]) - timedelta(hours=msp.rng.choice((0, 0, 1, 9)))


def line(msp: Msp, service: Service | None = None, client: Client | None = None) -> Line:
    """A service a client does not buy yet."""
    service = service or msp.rng.choice(list(SERVICES.values()))
    client = client or msp.anybody(service)
    msp.taken.add((client.id, service.id))
    return Line(msp, client, service)


def agree(one: Line, version: Version) -> None:
    """Write a version of a contract."""
    one.versions.append(version)
    msp = one.msp
    msp.seed_row(
        "contracts", contract_id=msp.next("t"), client_id=one.client.id, service_id=one.service.id, quantity=str(version.quantity),
        unit_price=str(version.price), billing_model=version.model,
        minimum_quantity=str(version.minimum) if version.model == "minimum" else "",
        included_quantity=str(version.included) if version.model == "included" else "",
        tolerance_quantity=str(version.tolerance or ""),
        effective_from=_day(version.begins), effective_to=_day(version.ends),
    )  # fmt: skip


def count(one: Line, number: int, since: datetime | None = None, until: datetime = NEVER, **fields: Any) -> None:
    """List so many records that count for a line."""
    company, connection = _home(one)
    for _ in range(number):
        fact = one.msp.record(one.service, connection, company, since, until, **fields)
        one.units.append(Unit((fact,)))


def _home(one: Line) -> tuple[str, str]:
    connection = one.msp.connection(one.service.vendor)
    return one.msp.company(one.client, connection), connection


def _day(day: Any) -> str:
    return "" if day.year in (1, 9999) else day.isoformat()


# What is in order.


def _in_order(msp: Msp) -> Iterator[Line]:
    """Clients whose counts are what was agreed, though records come and go."""
    for _ in range(msp.rng.randint(2, 4)):
        yield _agreed(msp, msp.client())


def _agreed(msp: Msp, client: Client) -> Line:
    one = line(msp, client=client)
    number = msp.rng.randint(1, 9)
    agree(one, Version(Decimal(number), price(msp)))
    count(one, number - 1)
    turn = moment(msp)
    count(one, 1, until=turn)
    count(one, 1, since=turn)
    return one


def _enough_at_home(msp: Msp) -> Iterator[Line]:
    """List prices are in the currency of most clients, which is the same in every MSP."""
    while sum(c.currency == "USD" for c in msp.clients) * 2 <= len(msp.clients):
        yield _agreed(msp, msp.client(currency="USD"))


# Contract and price.


@plants(38)
def usage_below_the_minimum(msp: Msp) -> Iterator[Line]:
    """The minimum is billed where less is used, and what is used where it is more."""
    one, minimum = line(msp), msp.rng.randint(1, 12)
    agree(one, Version(Decimal(near(msp, minimum)), price(msp), "minimum", minimum=Decimal(minimum)))
    count(one, near(msp, minimum))
    yield one


@plants(39)
def the_first_so_many_are_included(msp: Msp) -> Iterator[Line]:
    """Only what exceeds the included quantity is compared."""
    one, included = line(msp), msp.rng.randint(1, 12)
    agree(one, Version(Decimal(msp.rng.choice((0, 0, 1, 2))), price(msp), "included", included=Decimal(included)))
    count(one, near(msp, included))
    yield one


@plants(48)
def a_tolerance_of_so_many(msp: Msp) -> Iterator[Line]:
    """A tolerance keeps a row out of the lists, and keeps the row."""
    one, tolerance, agreed = line(msp), msp.rng.randint(1, 4), msp.rng.randint(5, 10)
    agree(one, Version(Decimal(agreed), price(msp), tolerance=Decimal(tolerance)))
    count(one, near(msp, agreed + msp.rng.choice((-1, 1)) * tolerance))
    yield one
