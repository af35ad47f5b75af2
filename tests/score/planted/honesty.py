"""Data honesty: cases 1-11. A number is known, zero, unknown, partial or stale, and the five are never confused."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.score.model import Line
from tests.score.msp import ALLOWED_MINUTES, NEVER, Msp, Scope
from tests.score.planting import agree, count, day, line, moment, near, plants


def _alone(msp: Msp, service: str | None = None) -> tuple[Line, Scope]:
    """A line of a new client that has an account of the tool, or a tenant, to itself."""
    one = line(msp, service, msp.client())
    msp.own_account(one.client, one.way.vendor)
    connection, company = msp.home(one.client, one.way.vendor)
    return one, msp.scope(connection, one.way.endpoint, company if one.way.vendor == "microsoft365" else "")


@plants(1)
def a_tool_that_does_not_answer(msp: Msp) -> Iterator[Line]:
    """What was known keeps its last numbers and its age; what began after the last good reading is no finding yet."""
    one, scope = _alone(msp)
    number, since = msp.rng.randint(1, 6), moment(msp)
    if msp.rng.random() < 0.3:
        agree(one, near(msp, number), ends=(turn := day(msp)))
        agree(one, near(msp, number), begins=turn)
    else:
        agree(one, near(msp, number))
    count(one, number)
    count(one, 1, since=moment(msp))
    scope.outages.append((since, NEVER if msp.rng.random() < 0.7 else max(since, moment(msp))))
    yield one


@plants(1)
def a_tool_that_never_answered(msp: Msp) -> Iterator[Line]:
    """What was never read is unknown: a contract for it was not checked, and is not clean."""
    one, scope = _alone(msp)
    agree(one, msp.rng.randint(0, 5), model=msp.rng.choice(("per_unit", "per_unit", "flat")))
    count(one, msp.rng.randint(0, 5))
    scope.outages.append((msp.calendar.first, NEVER))
    yield one


@plants(1)
def a_tool_that_is_read_from_a_day_on(msp: Msp) -> Iterator[Line]:
    """Days before its first reading are left out: of them nothing is known, and nothing is claimed."""
    one, scope = _alone(msp)
    number, first = msp.rng.randint(1, 5), moment(msp)
    agree(one, near(msp, number))
    count(one, number)
    count(one, 1, since=moment(msp))
    scope.own |= {slot: None for slot in msp.calendar.readings if slot < first}
    yield one


@plants(2)
def an_answer_that_is_suddenly_empty(msp: Msp) -> Iterator[Line]:
    """Nobody believes an empty list after records: what stood there stands, and is stale."""
    one, _ = _alone(msp)
    number, gone = msp.rng.randint(1, 15), moment(msp)
    agree(one, near(msp, number))
    count(one, number, until=gone)
    count(one, msp.rng.choice((0, 0, number)), since=gone + timedelta(days=9))
    yield one


@plants(3)
def one_tenant_that_fails(msp: Msp) -> Iterator[Line]:
    """The other tenants of the same account go on."""
    lines = [line(msp, "seat", msp.client()) for _ in range(msp.rng.randint(2, 4))]
    for one in lines:
        number = msp.rng.randint(1, 6)
        agree(one, near(msp, number))
        count(one, number)
        yield one
    connection, tenant = msp.home(lines[0].client, "microsoft365")
    msp.scope(connection, "user_licenses", tenant).outages.append((moment(msp), NEVER))


@plants(5)
def a_client_who_really_has_none(msp: Msp) -> Iterator[Line]:
    """A zero the tool confirms is a number, and a row."""
    one = line(msp, msp.rng.choice(("workstation", "server", "edr")))
    number, gone = msp.rng.randint(1, 4), moment(msp)
    agree(one, number)
    # Others stand in the same list, so that it is neither empty nor much shorter.
    neighbour = line(msp, one.service, msp.client())
    agree(neighbour, number * 4)
    count(neighbour, number * 4)
    yield neighbour
    count(one, number, until=gone)
    yield one


@plants(6)
def a_reading_that_has_grown_old(msp: Msp) -> Iterator[Line]:
    """A reading older than twice the cadence is stale, though nothing failed since."""
    one, scope = _alone(msp)
    number = msp.rng.randint(1, 6)
    agree(one, near(msp, number))
    count(one, number)
    age = timedelta(minutes=ALLOWED_MINUTES[one.way.vendor] + msp.rng.choice((-1, 0, 1)))
    _last_read(scope, msp.calendar.now - age)
    yield one


def _last_read(scope: Scope, at: datetime) -> None:
    """Let a list be read at an instant, and not again."""
    slots = [slot for slot in scope.calendar.readings if slot <= scope.calendar.now]
    scope.own |= {slot: None for slot in slots if slot >= at}
    scope.own[slots[-1]] = at


@plants(7)
def a_count_that_leaps(msp: Msp) -> Iterator[Line]:
    """Nobody believes a list that nearly doubled or lost a third at once, unless it was a short one."""
    one, _ = _alone(msp, msp.rng.choice(("seat", "workstation", "edr")))
    number, turn = msp.rng.choice((9, 10, 11, 20)), moment(msp)
    agree(one, near(msp, number))
    if msp.rng.random() < 0.5:
        count(one, number)
        count(one, number * 8 // 10 + msp.rng.choice((-1, 0, 1)), since=turn)
    else:
        lost = number * 3 // 10 + msp.rng.choice((-1, 0, 1))
        count(one, number - lost)
        count(one, lost, until=turn)
    yield one


@plants(8)
def the_same_records_again(msp: Msp) -> Iterator[Line]:
    """However often and in which order a list is read, its records are the same, and what began then began then."""
    one, number = line(msp), msp.rng.randint(2, 9)
    agree(one, number - 1)
    count(one, number)
    yield one


@plants(10)
def a_field_that_is_gone(msp: Msp) -> Iterator[Line]:
    """A record that cannot be read is set aside and keeps its last version: it never counts as nothing."""
    one, _ = _alone(msp, msp.rng.choice(("seat", "workstation")))
    number, turn = msp.rng.randint(2, 6), moment(msp)
    agree(one, near(msp, number))
    broken = {"seat": {"skuPartNumber": None}}.get(one.service.id, {"nodeClass": None})
    for unit in count(one, number)[: msp.rng.randint(1, number)]:
        spoiled = msp.becomes(unit.facts[0], turn, **broken)
        spoiled.is_unreadable = True
        # It is taken for what it was.
        unit.facts.append(spoiled)
    yield one


@plants(11)
def a_contract_that_nothing_counts(msp: Msp) -> Iterator[Line]:
    """Where no company of the client stands in the tool, or only a slip of the pen does, nothing was checked."""
    one = line(msp, client=msp.client())
    agree(one, msp.rng.randint(0, 5), model=msp.rng.choice(("per_unit", "minimum", "flat")), minimum=3)
    yield one


@plants(11)
def a_company_that_was_mistyped(msp: Msp) -> Iterator[Line]:
    """A company that a tool never listed says nothing of its client, and is no zero."""
    one = line(msp, msp.rng.choice(("workstation", "edr")), msp.client())
    agree(one, msp.rng.randint(1, 5))
    connection = msp.connection(one.way.vendor)
    msp.listed_company(connection)
    msp.seed_row("company_mappings", connection_id=connection, company_id=msp.next("slip"), client_id=one.client.id)
    yield one
