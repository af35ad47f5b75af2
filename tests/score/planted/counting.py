"""Counting: cases 19-34, 47 and 63. What is one, and what is left out under which name."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from tests.score.model import Line, Stray, Unit
from tests.score.msp import NEVER, SERVICES, Msp
from tests.score.planting import agree, bundled, count, day, line, listed, moment, near, plants

GIGABYTE = 2**30


@plants(19)
def a_machine_that_is_set_up_anew(msp: Msp) -> Iterator[Line]:
    """The same machine under a new id, in the place of the old one, is one machine, and what is missing began when it did."""
    one, number, turn = line(msp, msp.rng.choice(("workstation", "edr"))), msp.rng.randint(1, 5), moment(msp)
    agree(one, near(msp, number))
    for unit in count(one, number, until=NEVER)[: msp.rng.randint(1, number)]:
        old = unit.facts[0]
        old.until = turn
        unit.facts.append(msp.fact(old.scope, {**old.row, "id": msp.next("anew")}, turn))
    yield one


@plants(20)
def licences_bought_in_every_state(msp: Msp) -> Iterator[Line]:
    """Of what was bought, what is usable and what is past its end can be used; what is suspended or locked out cannot."""
    one = line(msp, "project")
    units = {state: msp.rng.randint(0, 5) for state in ("enabled", "warning", "suspended", "lockedOut")}
    (fact,) = listed(one, 1, units=units)
    one.units.append(Unit([fact], Decimal(units["enabled"] + units["warning"])))
    agree(one, near(msp, units["enabled"] + units["warning"]))
    yield one


@plants(20)
def licences_assigned_in_every_state(msp: Msp) -> Iterator[Line]:
    """An assigned licence past its end still counts; one that is suspended, locked out or deleted is nobody's."""
    one, number = line(msp, msp.rng.choice(("seat", "mail"))), msp.rng.randint(1, 4)
    agree(one, near(msp, number))
    count(one, number, capabilityStatus=msp.rng.choice(("Enabled", "Warning")))
    listed(one, msp.rng.randint(1, 3), capabilityStatus=msp.rng.choice(("Suspended", "LockedOut", "Deleted")))
    yield one


@plants(21)
def what_is_suspended_and_charged_all_the_same(msp: Msp) -> Iterator[Line]:
    """While the distributor charges for all that was agreed, what is suspended is a cost without use, and no decrease."""
    one, number, turn = line(msp, "premium", msp.client()), msp.rng.randint(1, 5), moment(msp)
    agree(one, near(msp, number))
    count(one, 1)
    for unit in count(one, number)[: msp.rng.randint(1, number)]:
        one.suspended.append(Unit([msp.becomes(unit.facts[0], turn, capabilityStatus="Suspended")]))
    bought = near(msp, int(one.versions[0].quantity))
    if bought:
        (charged,) = listed(one, 1, vendor="pax8", quantity=bought)
        one.charged.append(Unit([charged], Decimal(bought)))
    yield one


@plants(22)
def more_bought_than_assigned(msp: Msp) -> Iterator[Line]:
    """The mapping chooses the list that is compared; what the other list says of the same SKU is only shown."""
    bought, assigned = line(msp, "project", msp.client()), msp.rng.randint(1, 6)
    seat = line(msp, "seat", bought.client)
    connection, tenant = msp.home(bought.client, "microsoft365")
    number = assigned + msp.rng.randint(0, 4)
    (fact,) = listed(bought, 1, units={"enabled": number})
    bought.units.append(Unit([fact], Decimal(number)))
    # Assigned, of what is counted as bought; and bought, of what is counted as assigned.
    for _ in range(assigned):
        msp.record(SERVICES["seat"].way(), connection, tenant, sku="PROJECTPROFESSIONAL")
    msp.record(SERVICES["project"].way(), connection, tenant, sku="SPB", units={"enabled": number + 3})
    count(seat, assigned)
    agree(bought, near(msp, number))
    agree(seat, near(msp, assigned))
    yield bought
    yield seat


@plants(24)
def several_subscriptions_of_one_product(msp: Msp) -> Iterator[Line]:
    """Subscriptions of one product add up, whatever their term; one that ended or is a trial is none."""
    one, total = line(msp, "box"), 0
    for _ in range(msp.rng.randint(1, 3)):
        quantity = msp.rng.randint(1, 5)
        (fact,) = listed(one, 1, quantity=quantity, billingTerm=msp.rng.choice(("Monthly", "Annual")), status=msp.rng.choice(("Active", "PendingCancel")))  # fmt: skip
        one.units.append(Unit([fact], Decimal(quantity)))
        total += quantity
    listed(one, 1, quantity=7, status=msp.rng.choice(("Cancelled", "Trial")))
    agree(one, near(msp, total))
    yield one


@plants(25)
def licences_that_cost_nothing(msp: Msp) -> Iterator[Line]:
    """A free or trial SKU is listed, and neither billed nor missed."""
    one, number = line(msp, "seat"), msp.rng.randint(1, 5)
    agree(one, number)
    count(one, number)
    listed(one, msp.rng.randint(1, 4), sku=msp.rng.choice(("FLOW_FREE", "POWER_BI_STANDARD", "TEAMS_EXPLORATORY")))
    yield one


@plants(26)
def skus_that_contain_others(msp: Msp) -> Iterator[Line]:
    """Who holds a SKU within another one counts once for it, and once also where they hold it outright as well."""
    client, turn = msp.client(), moment(msp)
    biz, shield = line(msp, "biz", client), line(msp, "shield", client)
    connection, tenant = msp.home(client, "microsoft365")
    number = msp.rng.randint(1, 5)
    for _ in range(number):
        user = msp.next("u")
        sku = msp.rng.choice(("TOP_PLAN", "BIZ_PLAN", "SHIELD_PLAN"))
        held = [msp.record(biz.way, connection, tenant, user=user, sku=sku)]
        if msp.rng.random() < 0.4:
            held += [msp.record(biz.way, connection, tenant, turn, user=user, sku=msp.rng.choice(("BIZ_PLAN", "SHIELD_PLAN"))) for _ in range(1) if sku == "TOP_PLAN"]  # fmt: skip
        inside = [f for f in held if f.row["skuPartNumber"] != "SHIELD_PLAN"]
        if inside:
            biz.units.append(Unit(inside))
        shield.units.append(Unit(held))
    agree(biz, near(msp, number))
    agree(shield, near(msp, number))
    yield biz
    yield shield
    if stray := [f for unit in shield.units for f in unit.facts if f.row["skuPartNumber"] == "TOP_PLAN"]:
        # The SKU that contains them all is sold as nothing itself.
        yield Stray(msp, stray, [None] * len(stray), client, "TOP_PLAN")


@plants(27)
def a_person_with_two_licences(msp: Msp) -> Iterator[Line]:
    """One seat where people are sold, however many licences of it they hold and whichever came first; two where licences are."""
    client, number = msp.client(), msp.rng.randint(1, 4)
    seat, mail = line(msp, "seat", client), line(msp, "mail", client)
    turn = moment(msp)
    for unit in count(seat, number):
        user = unit.facts[0].row["userId"]
        match msp.rng.choice(("both", "later", "instead", "one")):
            case "both":
                unit.facts += listed(seat, 1, user=user, sku="SPE_E3")
            case "later":
                unit.facts += listed(seat, 1, turn, user=user, sku="SPE_E3")
            case "instead":
                unit.facts += listed(seat, 1, turn, user=user, sku="SPE_E3")
                unit.facts[0].until = turn
    for unit in count(mail, number):
        mail.units += [Unit([f]) for f in listed(mail, 1, user=unit.facts[0].row["userId"], sku="EXCHANGEENTERPRISE")]
    agree(seat, near(msp, number))
    agree(mail, near(msp, number * 2))
    yield seat
    yield mail


@plants(28)
def mailboxes_that_are_nobodys_seat(msp: Msp) -> Iterator[Line]:
    """Shared, room and equipment mailboxes are left out by name, from the day they become one."""
    one, number = line(msp, msp.rng.choice(("seat", "mail"))), msp.rng.randint(1, 5)
    agree(one, near(msp, number))
    count(one, number, userPurpose=msp.rng.choice(("user", "linked", "others", None)))
    purpose = {"userPurpose": msp.rng.choice(("shared", "room", "equipment"))}
    listed(one, msp.rng.randint(1, 3), **purpose)
    if msp.rng.random() < 0.5:
        msp.becomes(count(one, 1)[0].facts[0], moment(msp), **purpose)
    yield one


@plants(28)
def machines_that_are_nobodys_endpoint(msp: Msp) -> Iterator[Line]:
    """Network gear, monitors, guests seen through their host, and what is pending, staged or retired are left out by name."""
    one, number = line(msp, msp.rng.choice(("workstation", "server", "mac"))), msp.rng.randint(1, 5)
    agree(one, near(msp, number))
    count(one, number)
    left_out = msp.rng.choice((
        {"nodeClass": "NMS_SWITCH"}, {"nodeClass": "CLOUD_MONITOR_TARGET"}, {"nodeClass": "VMWARE_VM_GUEST"},
        {"nodeClass": "UNMANAGED_DEVICE"}, {"approvalStatus": "PENDING"}, {"approvalStatus": "STAGED"}, {"approvalStatus": "DECOMMISSIONED"},
    ))  # fmt: skip
    listed(one, msp.rng.randint(1, 3), **left_out)
    if msp.rng.random() < 0.5:
        msp.becomes(count(one, 1)[0].facts[0], moment(msp), **left_out)
    yield one


@plants(29)
def accounts_that_are_disabled(msp: Msp) -> Iterator[Line]:
    """A licence counts while it is assigned, whether or not its holder can sign in."""
    one, number = line(msp, "seat"), msp.rng.randint(1, 5)
    agree(one, near(msp, number))
    for unit in count(one, number)[: msp.rng.randint(1, number)]:
        unit.facts.append(msp.becomes(unit.facts[0], moment(msp), accountEnabled=False))
    yield one


@plants(31)
def a_machine_that_falls_silent(msp: Msp) -> Iterator[Line]:
    """Installed is managed: a machine that was not seen for long counts until it is removed."""
    one, number, since = line(msp, "workstation"), msp.rng.randint(1, 5), moment(msp)
    agree(one, near(msp, number))
    seen = str(int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()))
    for unit in count(one, number)[: msp.rng.randint(1, number)]:
        unit.facts.append(msp.becomes(unit.facts[0], since, lastContact=seen))
    yield one


@plants(31)
def a_machine_that_is_silent_for_too_long(msp: Msp) -> Iterator[Line]:
    """Where a contract says after how many days of silence it counts no more, it counts until then, and not a day longer."""
    one, number = line(msp, msp.rng.choice(("workstation", "desk"))), msp.rng.randint(1, 4)
    _silent(one, msp.rng.randint(1, 2), near(msp, number))
    count(one, number)
    yield one


@plants(31)
def a_bundle_whose_machines_fall_silent(msp: Msp) -> Iterator[Line]:
    """What a bundle's contract counts no more is none of its machines, and promises nothing of what is in it."""
    (bundle,), parts = bundled(msp, "station")
    number = msp.rng.randint(1, 4)
    _silent(bundle, msp.rng.randint(1, 2), near(msp, number))
    count(bundle, number)
    count(parts["edr"], near(msp, 2 * number))
    count(parts["mail"], msp.rng.randint(0, 2))
    yield from (bundle, *parts.values())


def _silent(one: Line, number: int, quantity: int) -> None:
    """Agree on so many, and list so many that have been silent since before the first reading."""
    msp, first = one.msp, one.msp.calendar.first
    since, turn = first - timedelta(days=msp.rng.randint(15, 40)), day(msp)
    days = msp.rng.choice((max(14, (turn - since.date()).days), 14, 60))
    agree(one, quantity, silent_days=days)
    seen = str(int(since.timestamp()))
    # A tool may have more to say of such a machine.
    said = {"lastSeen": seen, "suspended": msp.rng.random() < 0.5, "dattoClass": msp.rng.choice(("device", "unknown"))}
    for unit in count(one, number, **(said if one.way.vendor == "datto_rmm" else {"lastContact": seen})):
        unit.off.append((since.date() + timedelta(days=days), date.max))


@plants(32)
def two_tools_that_see_it(msp: Msp) -> Iterator[Line]:
    """The tool that is named counts, the contract's before the service's; what the other lists is only shown."""
    named = msp.rng.choice(("", "huntress"))
    one = line(msp, "care", vendor=named)
    numbers = {"ninjaone": msp.rng.randint(1, 6), "huntress": msp.rng.randint(1, 6)}
    for vendor, number in numbers.items():
        if vendor == one.way.vendor:
            count(one, number, vendor=vendor)
        else:
            listed(one, number, vendor=vendor)
    agree(one, near(msp, numbers[one.way.vendor]))
    yield one


@plants(33)
def a_machine_two_mappings_fit(msp: Msp) -> Iterator[Line]:
    """It is on one line only: that of the mapping with the smallest priority."""
    client, number = msp.client(), msp.rng.randint(1, 4)
    kiosk, other = line(msp, "kiosk", client), line(msp, "workstation", client)
    agree(kiosk, near(msp, number))
    agree(other, near(msp, number))
    count(kiosk, number)
    count(other, number, displayName="Desk in the kiosk")
    yield kiosk
    yield other


@plants(33)
def a_machine_that_becomes_another_class(msp: Msp) -> Iterator[Line]:
    """It leaves one line and joins the other on the same day."""
    client, turn = msp.client(), moment(msp)
    lines = line(msp, "workstation", client), line(msp, "server", client)
    old, new = lines if msp.rng.random() < 0.5 else lines[::-1]
    number = msp.rng.randint(1, 4)
    for unit in count(old, number)[: msp.rng.randint(1, number)]:
        new.units.append(Unit([msp.becomes(unit.facts[0], turn, nodeClass=new.way.kind)]))
    count(new, 1)
    for one in lines:
        agree(one, near(msp, number))
        yield one


@plants(34)
def gigabytes_for_a_machine(msp: Msp) -> Iterator[Line | Stray]:
    """What is counted in another unit than a service is sold in counts nowhere, and says so."""
    one, number = line(msp, "vault", msp.client()), msp.rng.randint(1, 6)
    (fact,) = listed(one, 1, value=number)
    one.units.append(Unit([fact], Decimal(number)))
    agree(one, near(msp, number))
    gigabytes = msp.rng.randint(1, 900)
    (stored,) = listed(one, 1, usage="vault_storage", value=gigabytes * GIGABYTE, measurementUnit="bytes")
    yield one
    yield Stray(msp, [stored], [None], one.client, "vault storage", quantities=[Decimal(gigabytes)])


@plants(34)
def parts_of_a_gigabyte(msp: Msp) -> Iterator[Line]:
    """A gigabyte may be a part of one; what is included is taken off all the same, and none at all is a zero."""
    one, quarters, turn = line(msp, "space", msp.client()), msp.rng.choice((0, 1, 7, 2801)), moment(msp)
    connection, company = msp.home(one.client, "acronis")
    first = msp.rng.choice((quarters, 4, 40001))
    fact = msp.record(one.way, connection, company, value=first * GIGABYTE // 4, measurementUnit="bytes")
    one.units.append(Unit([fact], Decimal(first) / 4))
    if first != quarters:
        changed = msp.becomes(fact, turn, value=quarters * GIGABYTE // 4)
        one.units.append(Unit([changed], Decimal(quarters) / 4))
    terms = msp.rng.choice(({}, {"model": "included", "included": "1.5"}, {"model": "minimum", "minimum": "2.5"}))
    agree(one, msp.rng.choice((0, 2, 700)), **terms)
    yield one


@plants(35)
def a_floor_of_the_cost(msp: Msp) -> Iterator[Line]:
    """A vendor that charges for at least so many says nothing of how many the client has."""
    one, number = line(msp, "floor", msp.client()), msp.rng.randint(1, 20)
    (fact,) = listed(one, 1, value=number)
    one.units.append(Unit([fact], Decimal(number)))
    agree(one, near(msp, number))
    listed(one, 1, vendor="pax8", quantity=30)
    yield one


@plants(47)
def who_pays_the_vendor_themselves(msp: Msp) -> Iterator[Line]:
    """Their licences are excluded from what is resold, and count all the same for what contains them."""
    client, number = msp.client(), msp.rng.randint(1, 5)
    biz, shield = line(msp, "biz", client), line(msp, "shield", client)
    msp.excludes(client, service_id="biz", name_pattern="*")
    facts = listed(biz, number)
    shield.units = [Unit([fact]) for fact in facts]
    agree(shield, near(msp, number))
    yield biz
    yield shield


@plants(63)
def so_many_are_left_out(msp: Msp) -> Iterator[Line]:
    """Of those that fit, the first so many are left out, for good; by number alone, of those that stood there on its first day."""
    one, most, more = line(msp, "workstation", msp.client()), msp.rng.randint(1, 4), msp.rng.randint(0, 2)
    begins = day(msp)
    is_by_number = msp.rng.random() < 0.5
    name = {} if is_by_number else {"systemName": f"LAB {one.client.id}"}
    kept = msp.rng.randint(1, 3)
    agree(one, near(msp, kept))
    first = count(one, most + (more if is_by_number else 0), **name)
    if not is_by_number:
        count(one, kept)
    later = [u for _ in range(more) for u in count(one, 1, since=moment(msp), **name)]
    if is_by_number:
        # All of the first reading stood there, and which of them are left out makes no difference to their number.
        there = [u for u in first]
        there += [u for u in later if one.client.day(_seen(u)) <= begins]
        columns = {"service_id": "workstation", "max_quantity": str(most)}
    else:
        there = [*first, *later]
        columns = {"name_pattern": "lab *", "max_quantity": str(most)}
    for unit in there[:most]:
        unit.off.append((begins, date.max))
    msp.excludes(one.client, begins=begins, **columns)
    yield one


def _seen(unit: Unit) -> datetime:
    """When a unit was read for the first time."""
    fact = unit.facts[0]
    return next(at for at in fact.scope.calendar.readings if at >= fact.since)


@plants(63)
def records_that_are_left_out_by_name(msp: Msp) -> Iterator[Line]:
    """An exclusion leaves out its records, or those whose name fits, of its client and service, on its days, and no others."""
    one, number = line(msp, msp.rng.choice(("workstation", "seat")), msp.client()), msp.rng.randint(2, 6)
    agree(one, near(msp, number))
    units = count(one, number)
    begins, ends = msp.rng.choice(((date.min, date.max), (day(msp), date.max), (date.min, day(msp)), tuple(sorted((day(msp), day(msp))))))  # fmt: skip
    if begins >= ends:
        ends = date.max
    id_field, name_field = ("id", "systemName") if one.service.id == "workstation" else ("userId", "displayName")
    match msp.rng.choice(("id", "pattern", "of another service")):
        case "id":
            out = units[: msp.rng.randint(1, 2)]
            for unit in out:
                msp.excludes(one.client, begins=begins, ends=ends, record_id=str(unit.facts[0].row[id_field]).upper())
        case "pattern":
            out = count(one, msp.rng.randint(1, 3), **{name_field: f"LOANER 100% {one.client.id}"})
            msp.excludes(
                one.client,
                begins=begins,
                ends=ends,
                name_pattern=msp.rng.choice(("loaner 100%*", "loan?r*", "*100% *")),
            )
        case _:
            out = []
            msp.excludes(
                one.client, begins=begins, ends=ends, record_id=str(units[0].facts[0].row[id_field]), service_id="mac"
            )
    for unit in out:
        unit.off.append((begins, ends))
    yield one
