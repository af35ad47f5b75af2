"""Identity and mapping: cases 12-18. Who a record belongs to."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from tests.score.model import Line, Stray, Unit, list_price
from tests.score.msp import SERVICES, Client, Fact, Msp
from tests.score.planting import agree, count, day, line, listed, moment, near, plants


@plants(12)
def a_company_that_is_nobodys(msp: Msp) -> Iterator[Stray]:
    """A company mapped to no client has one row with what it would bring at list price."""
    yield _stray_company(msp)


def _stray_company(msp: Msp, name: str = "") -> Stray:
    vendor = msp.rng.choice(("ninjaone", "huntress"))
    connection = msp.connection(vendor)
    company = msp.listed_company(connection, name)
    stray = Stray(msp, [], [], None, name or company.upper())
    for service in ("workstation", "server") if vendor == "ninjaone" else ("edr", "edr-mac"):
        for _ in range(msp.rng.randint(0, 3)):
            since = msp.rng.choice((None, moment(msp)))
            stray.facts.append(msp.record(SERVICES[service].way(), connection, company, since))
            stray.prices.append(list_price(service))
    if vendor == "ninjaone":
        # What a rule leaves out is nobody's loss.
        msp.record(SERVICES["mac"].way(), connection, company, approvalStatus="DECOMMISSIONED")
    return stray


@plants(12)
def a_sku_that_is_sold_as_nothing(msp: Msp) -> Iterator[Stray]:
    """A SKU mapped to no service has one row, with a price where a service has its name."""
    client = msp.anybody(SERVICES["ODD_PLAN"])
    msp.taken.add((client.id, "ODD_PLAN"))
    connection, tenant = msp.home(client, "microsoft365")
    sku = msp.rng.choice(("ODD_PLAN", msp.next("SKU")))
    facts = [
        msp.record(SERVICES["seat"].way(), connection, tenant, msp.rng.choice((None, moment(msp))), sku=sku)
        for _ in range(msp.rng.randint(1, 4))
    ]
    yield Stray(msp, facts, [list_price(sku) if sku in SERVICES else None] * len(facts), client, sku)


@plants(12)
def a_company_whose_mapping_ended(msp: Msp) -> Iterator[Line | Stray]:
    """It is nobody's from the day its mapping ended."""
    one, connection, ended = line(msp, "mac", msp.client()), msp.connection("ninjaone"), day(msp)
    company = msp.company(one.client, connection, ends=ended)
    for fact in listed(one, msp.rng.randint(1, 3), at=(connection, company)):
        one.units.append(Unit([fact], ends=ended))
    yield one
    yield _left(one, company, ended)


def _left(one: Line, company: str, ended: date) -> Stray:
    """What is nobody's since a company's mapping to a line's client ended."""
    facts = [f for unit in one.units for f in unit.facts if company in f.row.values()]
    return Stray(one.msp, facts, [list_price(one.service.id)] * len(facts), None, company.upper(), begins=ended)


@plants(13)
def a_name_almost_like_another(msp: Msp) -> Iterator[Line | Stray]:
    """However like a client's its name is, a company is nobody's until somebody maps it."""
    one, number = line(msp, "workstation", msp.client()), msp.rng.randint(1, 5)
    agree(one, number)
    count(one, number)
    yield one
    yield _stray_company(msp, one.client.mapped[0][1].upper() + msp.rng.choice((" ", "S", " INC", ".")) + "X")


@plants(14)
def a_company_that_changes_hands(msp: Msp) -> Iterator[Line]:
    """A mapping counts from its day: before it the records are the old client's, from it the new one's."""
    old, turn = line(msp, msp.rng.choice(("workstation", "edr", "seat")), msp.client()), day(msp)
    new, number = line(msp, old.service, msp.client()), msp.rng.randint(1, 6)
    connection = msp.connection(old.way.vendor)
    company = msp.listed_company(connection)
    msp.maps(old.client, connection, company, ends=turn)
    msp.maps(new.client, connection, company, begins=turn)
    agree(old, near(msp, number))
    agree(new, near(msp, number))
    for fact in listed(old, number, at=(connection, company)):
        old.units.append(Unit([fact], ends=turn))
        new.units.append(Unit([fact], begins=turn))
    yield old
    yield new


@plants(14)
def a_class_that_is_sold_from_a_day_on(msp: Msp) -> Iterator[Line]:
    """A service mapping counts from its day too; before it nothing of the class was sold."""
    one, number = line(msp, "penguin", msp.client()), msp.rng.randint(1, 4)
    begins = msp.calendar.now.date() - timedelta(days=SERVICES["penguin"].begins)
    if msp.rng.random() < 0.5:
        agree(one, near(msp, number))
    one.units += [Unit([unit.facts[0]], begins=begins) for unit in count(one, number)]
    one.units = one.units[number:]
    yield one


@plants(15)
def sites_and_accounts_that_add_up(msp: Msp) -> Iterator[Line | Stray]:
    """All companies of a client are one client's, in however many accounts of the tool, each while it is mapped."""
    one, number = line(msp, msp.rng.choice(("workstation", "edr")), msp.client()), 0
    for place in range(msp.rng.randint(2, 3)):
        connection = msp.connection(one.way.vendor, msp.rng.randint(1, 2))
        ends = day(msp) if place and msp.rng.random() < 0.3 else date.max
        company, here = msp.company(one.client, connection, ends=ends), msp.rng.randint(1, 4)
        one.units += [Unit([fact], ends=ends) for fact in listed(one, here, at=(connection, company))]
        if place and msp.rng.random() < 0.3:
            one.units += [
                Unit([fact], ends=ends) for fact in listed(one, 1, since=moment(msp), at=(connection, company))
            ]
        if ends < date.max:
            yield _left(one, company, ends)
        number += here
    agree(one, near(msp, number))
    yield one


@plants(15)
def a_person_in_two_tenants(msp: Msp) -> Iterator[Line]:
    """A tenant knows only its own people: somebody with an account in two tenants of a client is two seats."""
    one, number = line(msp, "seat", msp.client()), msp.rng.randint(1, 4)
    connection, first = msp.home(one.client, "microsoft365")
    second = msp.company(one.client, connection)
    for tenant in (first, second):
        for n in range(number):
            one.units.append(Unit(listed(one, 1, at=(connection, tenant), displayName=f"{one.client.id} {n}")))
    agree(one, near(msp, number * 2))
    yield one


@plants(16)
def a_tenant_that_clients_share(msp: Msp) -> Iterator[Line | Stray]:
    """Each has what its pattern claims, the one that says most first; what none claims is nobody's, and never the first one's."""
    service = msp.rng.choice(("seat", "mail"))
    lines = line(msp, service, msp.client()), line(msp, service, msp.client())
    connection = msp.connection("microsoft365")
    tenant, turn = msp.listed_company(connection), day(msp)
    left: list[Fact] = []
    claimed: dict[Fact, tuple[Client, date]] = {}
    domains = [f"{one.client.id}.example.com" for one in lines]
    for one, domain in zip(lines, domains, strict=True):
        begins = turn if one is lines[1] and msp.rng.random() < 0.4 else date.min
        msp.maps(one.client, connection, tenant, begins=begins, field="user_principal_name", pattern=f"*@{domain}")
        # Whatever else it buys of Microsoft is in a tenant of its own.
        one.client.homes["microsoft365"] = msp.connection("microsoft365", 2)
        number = msp.rng.randint(1, 4)
        agree(one, near(msp, number))
        facts = [f for _ in range(number) for f in listed(one, 1, at=(connection, tenant), userPrincipalName=f"{msp.next('p')}@{domain}")]  # fmt: skip
        one.units += [Unit([f], begins=begins) for f in facts]
        if begins > date.min:
            # Before that day they are nobody's, which is a row only while it is so.
            left += facts
            claimed |= dict.fromkeys(facts, (one.client, begins))
    # One of the second's people is billed to the first, by name.
    (lent,) = listed(lines[1], 1, at=(connection, tenant), userPrincipalName=f"lent@{domains[1]}")
    msp.maps(lines[0].client, connection, tenant, field="user_principal_name", pattern=f"Lent@{domains[1]}")
    lines[0].client.mapped.pop()
    lines[0].units.append(Unit([lent]))
    left += [f for _ in range(msp.rng.randint(0, 2)) for f in listed(lines[0], 1, at=(connection, tenant), userPrincipalName=f"{msp.next('p')}@else.example.com")]  # fmt: skip
    yield from lines
    yield Stray(msp, left, [list_price(service)] * len(left), None, f"{tenant} (unallocated)", claimed=claimed)


@plants(17)
def a_company_that_is_renamed(msp: Msp) -> Iterator[Line]:
    """A company is known by its id: another name changes nothing, and neither do new names of its machines."""
    one, number, turn = line(msp, "workstation", msp.client()), msp.rng.randint(1, 5), moment(msp)
    agree(one, near(msp, number))
    for unit in count(one, number):
        unit.facts.append(msp.becomes(unit.facts[0], turn, displayName=msp.next("renamed ")))
    connection, company = one.client.mapped[0][:2]
    (organisation,) = [f for f in msp.scope(connection, "organizations").facts if f.row["id"] == company]
    msp.becomes(organisation, turn, name=msp.next("RENAMED "))
    yield one


@plants(17)
def two_companies_that_become_one(msp: Msp) -> Iterator[Line]:
    """Machines that move from one company of a client to another are the same machines."""
    one, number, turn = line(msp, "workstation", msp.client()), msp.rng.randint(1, 5), moment(msp)
    connection = msp.connection("ninjaone")
    first, second = msp.company(one.client, connection), msp.company(one.client, connection)
    agree(one, near(msp, number))
    for fact in listed(one, number, at=(connection, first)):
        one.units.append(Unit([fact]))
        one.units[-1].facts.append(msp.becomes(fact, turn, organizationId=second))
    yield one


@plants(18)
def our_own_company(msp: Msp) -> Iterator[Line]:
    """What is our own is seen and not billed, whatever is written about it."""
    one = line(msp, client=msp.client(status="internal"))
    listed(one, msp.rng.randint(1, 6))
    if msp.rng.random() < 0.3:
        agree(one, 0, Decimal(0))
        one.versions.clear()
    yield one
