"""Review, and what becomes known afterwards: cases 53, 57-59, 63 and 64. A day lies between the two marts."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from tests.score.model import Answer, Line, Stray, Unit, end_of, list_price
from tests.score.msp import CLOSES_AFTER, NEVER, Decision, Msp, months
from tests.score.planting import agree, count, line, listed, moment, near, plants


def _gap(msp: Msp, service: str | None = None, **terms: int) -> tuple[Line, list[Unit]]:
    """A line of a new client with more than was agreed, and the units that are too many."""
    one, number = line(msp, service, msp.client()), msp.rng.randint(1, 5)
    agree(one, number, msp.rng.choice((Decimal(10), Decimal("7.35"), Decimal("0.3350"))), **terms)
    count(one, number)
    return one, count(one, msp.rng.randint(1, 3), since=msp.rng.choice((None, moment(msp))))


def _is_over(one: Line) -> bool:
    """Whether what changes between the marts is seen only in the month after the one that was decided about."""
    calendar = one.msp.calendar
    return one.client.day(calendar.readings[-1]).month != one.client.day(calendar.now).month


def _some_day_after(one: Line) -> date:
    """A day for a decision to end on: that of the second mart where the client is, the day after, or a late one."""
    calendar = one.msp.calendar
    until = one.client.day(calendar.later) + timedelta(days=one.msp.rng.choice((0, 1, 30)))
    return max(until, calendar.decided.date() + timedelta(days=1))


@plants(57)
def an_approval_that_loses_what_it_stands_on(msp: Msp) -> Iterator[Line]:
    """An approval is void when a record, the contract, the mapping, an exclusion or the state of the source is another."""
    one, units = _gap(msp, msp.rng.choice(("workstation", "edr", "seat")))
    units += count(one, 1)
    msp.decisions.append(Decision(*one.key, "approve"))
    is_of_records, holds = True, False
    overnight, contract = msp.calendar.overnight, msp.seeds["contracts"][-1]
    match msp.rng.choice(
        ("another", "one more", "one less", "excluded", "price", "quantity", "end", "mapping", "down")
    ):
        case "another":
            units[0].facts[0].until = overnight
            count(one, 1, since=overnight)
        case "one more":
            count(one, 1, since=overnight)
        case "one less":
            if len(one.units) > 1:
                units[0].facts[0].until = overnight
            else:
                count(one, 1, since=overnight)
        case "excluded":
            # From a day that is still to come where the client is, so that no closed month knows of it.
            begins = one.client.day(msp.calendar.later)
            is_of_records = begins.month == one.client.day(msp.calendar.now).month
            out = units[0]
            name = str(out.facts[0].row.get("userId") or out.facts[0].row["id"])
            msp.edit("exclusions", exclusion_id=msp.next("x"), client_id=one.client.id, record_id=name, reason="lent", effective_from=begins.isoformat())  # fmt: skip
            others = [unit for unit in one.units if unit is not out]
            one.amended = replace(one, units=[*others, replace(out, off=[(begins, date.max)])])
            holds, is_of_records = not is_of_records, False
        case "price":
            one.amended = replace(one, versions=[replace(one.versions[0], price=one.versions[0].price + 1)])
            msp.edit("contracts", contract, unit_price=str(one.versions[0].price + 1))
            is_of_records = False
        case "quantity":
            fewer = one.versions[0].quantity + msp.rng.choice((-1, 1))
            one.amended = replace(one, versions=[replace(one.versions[0], quantity=fewer)])
            msp.edit("contracts", contract, quantity=str(fewer))
            is_of_records = False
        case "end":
            ends = one.client.day(msp.calendar.later) + timedelta(days=200)
            one.amended = replace(one, versions=[replace(one.versions[0], ends=ends)])
            msp.edit("contracts", contract, effective_to=ends.isoformat())
            is_of_records = False
        case "mapping":
            mapping = next(row for row in msp.seeds["company_mappings"] if row["client_id"] == one.client.id)
            msp.edit("company_mappings", mapping, effective_from="2020-01-01")
            is_of_records = False
        case "down":
            units[0].facts[0].scope.outages.append((overnight, NEVER))
            if one.way.vendor != "microsoft365":
                # Everybody who stands in the same list is stale with it.
                holds = False
    one.answer = Answer("approve", holds or (is_of_records and _is_over(one)))
    yield one


@plants(57)
def an_approval_that_nothing_touches(msp: Msp) -> Iterator[Line]:
    """It stands while nothing it stands on changes: another name, a note, a machine that falls silent are nothing."""
    one, units = _gap(msp, "workstation")
    units += count(one, 1)
    msp.decisions.append(Decision(*one.key, "approve"))
    match msp.rng.choice(("nothing", "name", "note", "silent", "client")):
        case "name":
            units[0].facts.append(msp.becomes(units[0].facts[0], msp.calendar.overnight, displayName=msp.next("new ")))
        case "note":
            msp.edit("contracts", msp.seeds["contracts"][-1], note="spoke to the client")
        case "silent":
            units[0].facts.append(msp.becomes(units[0].facts[0], msp.calendar.overnight, lastContact="1700000000"))
        case "client":
            row = next(row for row in msp.seeds["clients"] if row["client_id"] == one.client.id)
            msp.edit("clients", row, client_name=msp.next("Brand New "))
    one.answer = Answer("approve")
    yield one


@plants(58)
def facts_that_change_after_invoicing(msp: Msp) -> Iterator[Line]:
    """What was sent stays as it was approved, to the cent; what changes afterwards is a difference of its own, which no tolerance hides."""
    one, units = _gap(msp, msp.rng.choice(("workstation", "edr", "seat")), tolerance=msp.rng.choice((0, 0, 1, 3)))
    units += count(one, 1)
    msp.decisions.append(Decision(*one.key, "approve", is_sent=True))
    match msp.rng.choice(("nothing", "more", "fewer", "none")):
        case "more":
            count(one, msp.rng.randint(1, 2), since=msp.calendar.overnight)
        case "fewer":
            units[0].facts[0].until = msp.calendar.overnight
        case "none":
            for unit in units:
                unit.facts[0].until = msp.calendar.overnight
    one.answer = Answer("approve", is_sent=True)
    yield one


@plants(63)
def records_that_somebody_excludes(msp: Msp) -> Iterator[Line]:
    """They count no more from the first of the month until the day it was said for, and where all are, the row stays."""
    one, units = _gap(msp, msp.rng.choice(("workstation", "seat")))
    units += count(one, 1)
    out = units[: msp.rng.randint(1, len(units))]
    begins = one.client.day(msp.calendar.now).replace(day=1)
    until = _some_day_after(one)
    names = tuple(str(u.facts[0].row.get("userId") or u.facts[0].row["id"]) for u in out)
    msp.decisions.append(Decision(*one.key, "exclude", until, names))
    left = [replace(u, off=[*u.off, (begins, until)]) if u in out else u for u in one.units]
    one.amended = replace(one, units=left)
    one.answer = Answer("exclude", until=until)
    yield one


@plants(64)
def what_is_written_off_until_a_day(msp: Msp) -> Iterator[Line]:
    """It comes back on its day where the client is, and before that when it grows."""
    one, units = _gap(msp, msp.rng.choice(("workstation", "edr")))
    units += count(one, 1)
    until = _some_day_after(one)
    msp.decisions.append(Decision(*one.key, "write_off", until))
    if msp.rng.random() < 0.4:
        count(one, 1, since=msp.calendar.overnight)
    one.answer = Answer("write_off", until=until)
    yield one


def _closed(one: Line) -> list[date]:
    """The months the first mart closes for a line's client."""
    calendar, client = one.msp.calendar, one.client
    today = client.day(calendar.now)
    return [m for m in months(client.day(calendar.first), today) if end_of(m) + timedelta(days=CLOSES_AFTER) < today]


@plants(53)
def a_contract_that_is_amended_for_a_closed_month(msp: Msp) -> Iterator[Line]:
    """The closed month keeps its rows; what it would come to now is a correction in the open one, with the month's name."""
    one, number = line(msp, client=msp.client()), msp.rng.randint(1, 6)
    version = agree(one, near(msp, number), tolerance=msp.rng.choice((0, 0, 1)))
    count(one, number)
    count(one, 1, since=moment(msp))
    if msp.rng.random() < 0.5:
        changes = {"quantity": max(Decimal(0), version.quantity + msp.rng.choice((-1, 1, 2)))}
    else:
        changes = {"price": version.price + Decimal("1.5")}
    one.amended = replace(one, versions=[replace(version, **changes)])
    msp.edit("contracts", msp.seeds["contracts"][-1], **{{"price": "unit_price"}.get(k, k): str(v) for k, v in changes.items()})  # fmt: skip
    yield one


@plants(53)
def a_company_that_is_mapped_too_late(msp: Msp) -> Iterator[Line | Stray]:
    """What a closed month did not count, because nobody had said whose it was, is a correction once somebody does."""
    one, number = line(msp, msp.rng.choice(("workstation", "edr")), msp.client()), msp.rng.randint(1, 4)
    agree(one, near(msp, number))
    connection = msp.connection(one.way.vendor)
    company = msp.listed_company(connection)
    facts = listed(one, number, at=(connection, company))
    begins = msp.rng.choice((date.min, msp.calendar.first.date() + timedelta(days=msp.rng.randint(0, 60))))
    known = replace(one.client, mapped=[(connection, company, begins, date.max)])
    one.amended = replace(one, client=known, units=[Unit([fact], begins=begins) for fact in facts])
    mapping = {"connection_id": connection, "company_id": company, "client_id": one.client.id}
    msp.edit("company_mappings", **mapping, effective_from="" if begins == date.min else begins.isoformat())
    yield one
    yield Stray(msp, facts, [list_price(one.service.id)] * number, None, company.upper(), ends_at=msp.calendar.later)


@plants(53)
def a_record_that_is_excluded_too_late(msp: Msp) -> Iterator[Line]:
    """What was counted in a closed month, and was left out of it afterwards, is given back by a correction."""
    one, units = _gap(msp, "workstation")
    begins = msp.rng.choice((date.min, *_closed(one)))
    out = units[0]
    msp.edit(
        "exclusions", exclusion_id=msp.next("x"), client_id=one.client.id, record_id=str(out.facts[0].row["id"]), reason="lent",
        effective_from="" if begins == date.min else begins.isoformat(),
    )  # fmt: skip
    others = [unit for unit in one.units if unit is not out]
    one.amended = replace(one, units=[*others, replace(out, off=[(begins, date.max)])])
    yield one


@plants(53)
def what_is_given_back_of_a_closed_month(msp: Msp) -> Iterator[Line]:
    """Only what was invoiced is given back: what was written off, or is open still, was paid by nobody."""
    one, number = line(msp, "workstation", msp.client()), msp.rng.randint(1, 3)
    agree(one, number, Decimal(10), tolerance=msp.rng.choice((0, 0, 1)))
    units = count(one, number + msp.rng.randint(1, 3))
    out, kept = units[:1], units[1:]
    if msp.rng.random() < 0.5:
        out, kept = units[:-1], units[-1:]
    for unit in out:
        msp.edit("exclusions", exclusion_id=msp.next("x"), client_id=one.client.id, record_id=str(unit.facts[0].row["id"]), reason="lent", effective_from="")  # fmt: skip
    one.amended = replace(one, units=[*kept, *(replace(unit, off=[(date.min, date.max)]) for unit in out)])
    closed, action = _closed(one), msp.rng.choice((None, "write_off", "approve"))
    if closed and action:
        until = one.client.day(msp.calendar.later) + timedelta(days=30) if action == "write_off" else None
        said = {"until": until, "is_sent": action == "approve", "month": msp.rng.choice(closed)}
        msp.decisions.append(Decision(*one.key, action, **said))
        one.answer = Answer(action, **said)
    yield one
