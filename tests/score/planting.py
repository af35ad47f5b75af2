"""How a case is planted, and the words all cases are told with.

Belongs here: declaring cases, inventing an MSP with some of them in it, and what most stories need: a line, a
contract, records. Does not: any case (`planted/`), or what a number should be (`model`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.score.model import Line, Row, Stray, Unit, Version, end_of, money
from tests.score.msp import HOME, NEVER, PLAIN, SERVICES, Client, Fact, Msp, Service, months

Planted = Line | Stray
Story = Callable[[Msp], Iterator[Planted]]


@dataclass(frozen=True)
class Case:
    """A function that plants one edge case."""

    number: int
    plant: Story

    @property
    def name(self) -> str:
        return f"{self.number} {self.plant.__name__.replace('_', ' ')}"


CASES: list[Case] = []


def plants(number: int) -> Callable[[Story], Story]:
    """Declare a function that plants an edge case: it tells the MSP's world, and yields what there is to be found."""

    def declare(story: Story) -> Story:
        CASES.append(Case(number, story))
        return story

    return declare


@dataclass
class Plant:
    """One case in one MSP: what it speaks of, and the rows there must be about that."""

    case: Case | None
    """Nothing for what is in order."""
    planted: list[Planted]
    rows: list[Row] = field(default_factory=list)
    """Those of the first mart."""
    later: list[Row] = field(default_factory=list)
    """Those of the second."""

    @property
    def keys(self) -> set[tuple[str, str]]:
        """The client and service of all its rows."""
        return {one.key for one in self.planted}

    @property
    def goes_on(self) -> bool:
        """Whether anything is decided, written anew or invoiced between the two marts."""
        lines = [one for one in self.planted if isinstance(one, Line)]
        return any(one.answer or one.amended or one.client.is_invoiced_late for one in lines)

    def reckon(self, now: datetime, later: datetime) -> None:
        """Say which rows there must be."""
        self.rows = [row for one in self.planted for row in one.rows(now)]
        self.later = [row for one in self.planted for row in one.rows(later)]


def generate(seed: int, number: int, cases: Sequence[Case] = ()) -> tuple[Msp, list[Plant]]:
    """Invent an MSP with some clients in order, and one to six cases, or those that are named."""
    msp = Msp(seed, number)
    found = [Plant(None, list(_in_order(msp)))]
    found += [Plant(case, list(case.plant(msp))) for case in cases or msp.rng.choices(CASES, k=msp.rng.randint(1, 6))]
    found.append(Plant(None, list(_enough_at_home(msp))))
    for client in msp.clients:
        if client.has_books:
            _invoice(msp, client)
    for plant in found:
        plant.reckon(msp.calendar.now, msp.calendar.later)
    return msp, found


# What most stories need.


def price(msp: Msp) -> Decimal:
    """A price: whole, of cents, or of fractions of a cent, so that halves come up too."""
    rng = msp.rng
    return rng.choice((
        Decimal(rng.randint(1, 200)), Decimal(rng.randint(1, 20000)) / 100, Decimal(rng.randint(1, 99999)) / 10000,
        Decimal(rng.choice(("0.5", "0.005", "1.0005", "0.125"))),
    ))  # fmt: skip


def near(msp: Msp, boundary: int) -> int:
    """A number at a boundary: one below, on it, one above."""
    return max(0, boundary + msp.rng.choice((-1, 0, 1)))


def moment(msp: Msp) -> datetime:
    """Any instant between the first reading and the last, often that of a reading."""
    return msp.rng.choice(_now_readings(msp)[1:]) - timedelta(hours=msp.rng.choice((0, 0, 1, 9)))


def day(msp: Msp) -> date:
    """Any day since the first reading, often at the beginning or the end of a month, or today."""
    first, today = msp.calendar.first.date(), msp.calendar.now.date()
    turns = [
        today + timedelta(days=msp.rng.randint(-1, 1)),
        today.replace(day=1) + timedelta(days=msp.rng.randint(-1, 1)),
    ]
    return msp.rng.choice([*turns, first + timedelta(days=msp.rng.randint(1, (today - first).days))])


def _now_readings(msp: Msp) -> list[datetime]:
    return [at for at in msp.calendar.readings if at <= msp.calendar.now]


def line(msp: Msp, service: Service | str | None = None, client: Client | None = None, vendor: str = "") -> Line:
    """A service a client does not buy yet; any of those of which every record is one, unless one is named."""
    service = SERVICES[service] if isinstance(service, str) else service or msp.rng.choice(PLAIN)
    client = client or msp.anybody(service)
    msp.taken.add((client.id, service.id))
    one = Line(msp, client, service, vendor)
    msp.lines.append(one)
    return one


def agree(one: Line, quantity: int | Decimal, unit_price: Decimal | None = None, **terms: Any) -> Version:
    """Write a version of a contract."""
    msp = one.msp
    terms = {k: Decimal(v) if k in ("minimum", "included", "tolerance", "committed") else v for k, v in terms.items()}
    version = Version(Decimal(quantity), price(msp) if unit_price is None else unit_price, **terms)
    one.versions.append(version)
    contract_id = msp.next("t")
    msp.seed_row(
        "contracts", contract_id=contract_id, client_id=one.client.id, service_id=one.service.id, quantity=str(version.quantity),
        unit_price="" if version.tiers else str(version.price), billing_model=version.model, count_vendor=one.vendor, count_basis=version.basis,
        minimum_quantity=str(version.minimum) if version.model == "minimum" else "",
        included_quantity=str(version.included) if version.model == "included" else "",
        tolerance_quantity=str(version.tolerance or ""), committed_quantity=str(version.committed or ""),
        committed_until=_day(version.committed_until), notice_days=str(version.notice or ""), silent_days=str(version.silent_days or ""),
        effective_from=_day(version.begins), effective_to=_day(version.ends), note="gap: agreed anew",
    )  # fmt: skip
    for first, tier_price in version.tiers:
        method = "graduated" if version.is_graduated else "all_units"
        msp.seed_row("price_tiers", contract_id=contract_id, from_quantity=str(first), unit_price=str(tier_price), method=method)  # fmt: skip
    return version


def some_basis(msp: Msp) -> dict[str, Any]:
    """Which count of a month is billed: mostly that at its end."""
    return {"basis": msp.rng.choice(("period_end", "period_end", "peak", "average", "daily"))}


def listed(one: Line, number: int, since: datetime | None = None, until: datetime = NEVER, *, vendor: str = "",
           at: tuple[str, str] | None = None, **fields: Any) -> list[Fact]:  # fmt: skip
    """List so many records at a line's client, and leave open whether they count."""
    way = one.service.way(vendor or one.vendor)
    connection, company = at or one.msp.home(one.client, way.vendor)
    return [one.msp.record(way, connection, company, since, until, **fields) for _ in range(number)]


def count(one: Line, number: int, since: datetime | None = None, until: datetime = NEVER, **fields: Any) -> list[Unit]:
    """List so many records, each of which counts for a line."""
    units = [Unit([fact]) for fact in listed(one, number, since, until, **fields)]
    one.units += units
    return units


def bundled(msp: Msp, *services: str) -> tuple[list[Line], dict[str, Line]]:
    """Bundles of a new client and, by name, what is in them; of each the first component is what counts it."""
    client = msp.client()
    bundles = [line(msp, name, client) for name in services]
    parts = {
        part: line(msp, part, client) for part in dict.fromkeys(part for b in bundles for part, _ in b.service.parts)
    }
    for bundle in bundles:
        parts[bundle.service.parts[0][0]].units = bundle.units
        for part, _ in bundle.service.parts:
            parts[part].bundles.append(bundle)
    return bundles, parts


def apart(unit: Unit, **changes: Any) -> Unit:
    """The same unit on other days."""
    return replace(unit, **changes)


def _day(on: date) -> str:
    return "" if on in (date.min, date.max) else on.isoformat()


# What is in order.


def _invoice(msp: Msp, client: Client) -> None:
    """Invoice a client by hand, month by month, mostly what its contracts say; some of it before or after its month."""
    rng, books = msp.rng, msp.connection("quickbooks_online")
    documents, bills = msp.scope(books, "invoices"), msp.scope(books, "invoice_lines")
    today = client.day(msp.calendar.now)
    begun = months(client.day(msp.calendar.first), today)
    dates = {m: m + timedelta(days=rng.randint(0, (min(end_of(m), today) - m).days)) for m in begun}
    made = {m: msp.next("i") for m in begun}
    late = rng.choice(begun) if client.is_invoiced_late else None
    for month, number in made.items():
        came = msp.calendar.overnight if month == late else msp.calendar.first
        if month == begun[-1] and rng.random() < 0.4:
            # The open month's is not made yet.
            continue
        msp.fact(documents, {
            "Id": number, "Document": "Invoice", "DocNumber": number, "TxnDate": dates[month].isoformat(), "CustomerRef": {"value": client.id},
            "CurrencyRef": {"value": client.currency}, "TotalAmt": "1000",
        }, came)  # fmt: skip
        for one in [one for one in msp.lines if one.client is client]:
            for of in begun:
                service_on = of + timedelta(days=rng.randint(0, 27))
                if of in one.invoiced or not (of == month or (service_on and rng.random() < 0.3)):
                    continue
                version = one.version(min(end_of(of), today))
                quantity = (version.quantity if version else 0) + rng.choice((0, 0, 0, 0, 1, -1, 2))
                if quantity <= 0:
                    continue
                unit_price = version.price if version else price(msp)
                if version and rng.random() < 0.15:
                    # It was raised, or lowered, and nobody told whoever writes the invoices.
                    unit_price = (unit_price * rng.choice((Decimal("0.9"), Decimal("1.1")))).quantize(Decimal("0.0001"))
                one.invoiced[of] = (Decimal(quantity), unit_price, came)
                is_dated = of != month or rng.random() < 0.5
                msp.fact(bills, {
                    "InvoiceId": number, "Document": "Invoice", "Id": msp.next("l"), "Description": one.service.id, "Amount": str(money(Fraction(quantity * unit_price), client.currency)),
                    "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {
                        "ItemRef": {"value": f"item-{one.service.id}"}, "Qty": str(quantity), "UnitPrice": str(unit_price),
                        "ServiceDate": service_on.isoformat() if is_dated else None,
                    },
                }, came)  # fmt: skip


def _in_order(msp: Msp) -> Iterator[Line]:
    """Clients whose counts are what was agreed, though records come and go."""
    for _ in range(msp.rng.randint(2, 4)):
        yield _agreed(msp, msp.client())


def _agreed(msp: Msp, client: Client) -> Line:
    one = line(msp, client=client)
    number = msp.rng.randint(1, 9)
    agree(one, number)
    count(one, number - 1)
    turn = moment(msp)
    count(one, 1, until=turn)
    count(one, 1, since=turn)
    return one


def _enough_at_home(msp: Msp) -> Iterator[Line]:
    """List prices are in the currency of most clients, which is the same in every MSP."""
    while sum(c.currency == HOME for c in msp.clients) * 2 <= len(msp.clients):
        yield _agreed(msp, msp.client(currency=HOME))
