"""Contract and price: cases 23, 36-48 and 55, and money: cases 68-76."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from tests.score.model import Line, Unit
from tests.score.msp import CURRENCIES, HOME, NEVER, Msp
from tests.score.planting import agree, bundled, count, day, line, listed, moment, near, plants, price, some_basis


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
    agree(one, near(msp, minimum), model="minimum", minimum=minimum, **some_basis(msp))
    count(one, near(msp, minimum))
    yield one


@plants(39)
def the_first_so_many_are_included(msp: Msp) -> Iterator[Line]:
    """Only what exceeds the included quantity is compared."""
    one, included = line(msp), msp.rng.randint(1, 12)
    agree(one, msp.rng.choice((0, 0, 1, 2)), model="included", included=included, **some_basis(msp))
    count(one, near(msp, included))
    yield one


@plants(23)
def a_commitment_that_lasts(msp: Msp) -> Iterator[Line]:
    """No less than what was committed to is billed until the day the commitment ends."""
    one, committed = line(msp), msp.rng.randint(2, 9)
    agree(one, near(msp, committed), committed=committed, committed_until=msp.rng.choice((day(msp), date.max)), **some_basis(msp))  # fmt: skip
    count(one, near(msp, committed) - 1, until=NEVER)
    count(one, 1, until=moment(msp))
    yield one


@plants(40)
def a_tier_that_is_crossed(msp: Msp) -> Iterator[Line]:
    """All units at the price of the tier they reach, or each at its own tier's: as the contract says, at its every boundary."""
    one, second = line(msp), msp.rng.randint(2, 8)
    third = second + msp.rng.randint(1, 5)
    prices = sorted((price(msp) for _ in range(3)), reverse=msp.rng.random() < 0.8)
    tiers = tuple(zip((1, second, third), prices, strict=True))
    agree(one, near(msp, msp.rng.choice((1, second, third))), tiers=tiers, model="tiered", is_graduated=msp.rng.random() < 0.5, **some_basis(msp))  # fmt: skip
    count(one, near(msp, msp.rng.choice((second, third))))
    count(one, msp.rng.randint(0, 2), since=moment(msp))
    yield one


@plants(41)
def a_bundle(msp: Msp) -> Iterator[Line]:
    """Its seats are billed once; a component it promises and nobody delivered is a row, and so is what goes beyond it."""
    seats = msp.rng.randint(1, 6)
    (bundle,), parts = bundled(msp, "workplace")
    agree(bundle, near(msp, seats), **msp.rng.choice(({}, {}, {"begins": day(msp)}, {"ends": day(msp)})))
    count(bundle, seats)
    count(bundle, msp.rng.randint(0, 1), until=moment(msp))
    if msp.rng.random() < 0.85:
        count(parts["edr"], near(msp, seats))
        count(parts["edr"], msp.rng.randint(0, 1), since=moment(msp))
    if msp.rng.random() < 0.3:
        agree(parts["edr"], msp.rng.randint(0, 2))
    yield from (bundle, *parts.values())


@plants(41)
def bundles_that_share_a_component(msp: Msp) -> Iterator[Line]:
    """Each promises so many of it as it says, and only what goes beyond both is more: under its own contract while there is one."""
    bundles, parts = bundled(msp, "workplace", "station")
    seats, stations = (msp.rng.randint(1, 4) for _ in bundles)
    for bundle, number in zip(bundles, (seats, stations), strict=True):
        agree(bundle, near(msp, number), **msp.rng.choice(({}, {}, {"begins": day(msp)}, {"ends": day(msp)})))
        count(bundle, number)
        count(bundle, msp.rng.randint(0, 1), since=moment(msp))
    count(parts["edr"], near(msp, seats + 2 * stations))
    count(parts["edr"], msp.rng.randint(0, 2), until=moment(msp))
    count(parts["mail"], msp.rng.randint(0, 2))
    if msp.rng.random() < 0.6:
        agree(parts["edr"], msp.rng.randint(0, 2), **msp.rng.choice(({}, {"ends": day(msp)})), **some_basis(msp))
    yield from (*bundles, *parts.values())


@plants(42)
def a_contract_that_changes_in_the_month(msp: Msp) -> Iterator[Line]:
    """Each day is worth what its version says; at the end of a period the last one decides, day by day each has its part."""
    one, turn, number, basis = line(msp), day(msp), msp.rng.randint(2, 8), some_basis(msp)
    agree(one, near(msp, number), ends=turn, **basis)
    later = msp.rng.choice(
        ({}, {}, {"model": "minimum", "minimum": near(msp, number)}, {"model": "included", "included": 2})
    )
    agree(one, near(msp, number), begins=turn, **later, **msp.rng.choice((basis, some_basis(msp))))
    count(one, number)
    yield one


@plants(43)
def a_unit_that_comes_in_the_month(msp: Msp) -> Iterator[Line]:
    """It is prorated only where the contract says so, by the days of its month, and a month's days add up to the month."""
    one, number, since = line(msp), msp.rng.randint(1, 5), moment(msp)
    agree(one, number, basis=msp.rng.choice(("period_end", "average", "daily")))
    count(one, number)
    count(one, msp.rng.randint(1, 3), since=since)
    count(one, 1, since=moment(msp))
    yield one


@plants(44)
def what_came_and_went_inside_a_month(msp: Msp) -> Iterator[Line]:
    """Peak, end of the month, average or daily: the contract says which count is billed, and it is the end where it does not."""
    one, number, since, until = line(msp), msp.rng.randint(0, 5), *sorted((moment(msp), moment(msp)))
    agree(one, number, **some_basis(msp))
    count(one, number)
    count(one, msp.rng.randint(1, 3), since=since, until=max(until, since + timedelta(hours=1)))
    yield one


@plants(45)
def a_price_that_rises(msp: Msp) -> Iterator[Line]:
    """A new price for the same quantity is no gap; a gap that lasts is worth each day what the day's price says."""
    one, number, turn, old = line(msp), msp.rng.randint(1, 8), day(msp), price(msp)
    agree(one, number, old, ends=turn)
    agree(one, number, (old * Decimal("1.04")).quantize(Decimal("0.0001")), begins=turn)
    count(one, number + msp.rng.choice((0, 0, 1)))
    yield one


@plants(46)
def what_is_given_every_month(msp: Msp) -> Iterator[Line]:
    """A promotion is a line of its own with a price below zero: forgotten on an invoice, it is missing there."""
    client = msp.client(has_books=True)
    one, number = line(msp, "workstation", client), msp.rng.randint(1, 5)
    agree(one, number)
    count(one, number)
    yield one
    given = line(msp, "promotion", client)
    agree(given, 1, -price(msp), model="flat", **msp.rng.choice(({}, {"ends": day(msp)})))
    yield given


@plants(48)
def a_tolerance_of_so_many(msp: Msp) -> Iterator[Line]:
    """A tolerance keeps a row out of the lists, and keeps the row."""
    one, tolerance, agreed = line(msp), msp.rng.randint(1, 4), msp.rng.randint(5, 10)
    agree(one, agreed, tolerance=tolerance, **some_basis(msp))
    count(one, near(msp, agreed + msp.rng.choice((-1, 1)) * tolerance))
    yield one


@plants(48)
def a_small_gap_that_stays(msp: Msp) -> Iterator[Line]:
    """It comes up when thirty days of the whole tolerance are lost, and not a day before."""
    one, agreed, since, gap = line(msp), msp.rng.randint(3, 6), moment(msp), msp.rng.randint(1, 3)
    days = (one.client.day(msp.calendar.now) - one.client.day(since)).days + 1
    agree(one, agreed, tolerance=max(gap, near(msp, gap * days // 30)))
    count(one, agreed)
    count(one, gap, since=since)
    yield one


@plants(55)
def a_contract_that_begins_or_ends(msp: Msp) -> Iterator[Line]:
    """Before its first day and from its last nothing is agreed: usage is worth the ended contract's price, else the list's."""
    one, number = line(msp), msp.rng.randint(1, 6)
    first, second = sorted((day(msp), day(msp)))
    basis = some_basis(msp)
    match msp.rng.choice(("begins", "ends", "both", "gap")):
        case "begins":
            agree(one, near(msp, number), begins=first, **basis)
        case "ends":
            agree(one, near(msp, number), ends=first, **basis)
        case "both":
            agree(one, near(msp, number), begins=first, ends=second + timedelta(days=1), **basis)
        case "gap":
            agree(one, near(msp, number), ends=first, **basis)
            agree(one, near(msp, number), begins=second + timedelta(days=1), **basis)
    count(one, number)
    yield one


@plants(55)
def what_has_gone_under_notice(msp: Msp) -> Iterator[Line]:
    """What has gone is billed while its notice lasts, and not on the day after."""
    one, number, gone = line(msp), msp.rng.randint(1, 4), moment(msp)
    days = (one.client.day(msp.calendar.now) - one.client.day(gone)).days
    agree(one, number + 1, notice=max(1, msp.rng.choice((near(msp, days), 30, 10))), **some_basis(msp))
    count(one, 1)
    count(one, number, until=gone)
    yield one


@plants(55)
def what_is_still_there_under_notice(msp: Msp) -> Iterator[Line]:
    """Only what leaves its tool, and nothing came in its place, is billed on: not what is left out, sold as another thing, or replaced."""
    one, number, turn = line(msp, "workstation", msp.client()), msp.rng.randint(1, 4), moment(msp)
    agree(one, near(msp, number + 2), notice=msp.rng.choice((5, 30, 60)), **some_basis(msp))
    count(one, msp.rng.randint(1, 2))
    count(one, 1, until=moment(msp))
    units = count(one, number)
    yield one
    match msp.rng.choice(("left out", "another class", "another client", "replaced", "retired")):
        case "left out":
            for unit in units:
                unit.off.append((day(msp), date.max))
                msp.excludes(one.client, begins=unit.off[0][0], record_id=unit.facts[0].row["id"])
        case "another class":
            other = line(msp, "server", one.client)
            for unit in units:
                unit.elsewhere.append(msp.becomes(unit.facts[0], turn, nodeClass=other.way.kind))
            other.units += [Unit(unit.elsewhere) for unit in units]
            yield other
        case "another client":
            other, ended = line(msp, "workstation", msp.client()), day(msp)
            connection, company = msp.connection("ninjaone"), msp.listed_company(msp.connection("ninjaone"))
            msp.maps(one.client, connection, company, ends=ended)
            msp.maps(other.client, connection, company, begins=ended)
            for fact in listed(one, number, at=(connection, company)):
                one.units.append(Unit([fact], ends=ended))
                other.units.append(Unit([fact], begins=ended))
            yield other
        case "replaced":
            for unit in units:
                unit.facts[0].until = turn
            count(one, near(msp, number), since=moment(msp))
        case "retired":
            for unit in units:
                msp.becomes(unit.facts[0], turn, approvalStatus="DECOMMISSIONED")


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


@plants(80)
def a_block_of_hours(msp: Msp) -> Iterator[Line]:
    """A block is paid whole, used or not; only what goes beyond it is more, and a part of an hour is a part."""
    one, block = line(msp, "support", msp.client()), msp.rng.randint(5, 20)
    hours = Decimal(near(msp, block)) + Decimal(msp.rng.choice(("0", "0.25", "0.5")))
    (fact,) = listed(one, 1, quantity=str(hours))
    one.units.append(Unit([fact], hours))
    agree(one, block, model="block_hours")
    yield one
