"""What goes wrong in ninety days: every kind of leak, ghost and oddity, planted by name so that a test can look for it.

Belongs here: the plot. Does not: how many each story amounts to; `truth` works that out from the world itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from morton_pipeline.simulator.entities import CompanyMapping, Device, Exclusion, Incident, Life, Misbilling, User
from morton_pipeline.simulator.population import NINJAONE, Builder


@dataclass(frozen=True)
class Story:
    """One thing that was planted."""

    name: str
    client_id: str
    """Empty for a company that is mapped to nobody."""
    service_id: str
    kind: str
    """The kind of row it must lead to on the last day; empty where nothing may come of it."""
    sentence: str


Plot = Callable[[Builder], list[Story]]


def grow(b: Builder, client_id: str, part: str, count: int, first: int, last: int, *, tenant_id: str = "") -> None:
    """People join and are given a licence; nobody tells the contract."""
    for at in b.days(count, first, last):
        b.user(client_id, (part,), at, tenant_id=tenant_id)


def shrink(b: Builder, client_id: str, part: str, count: int, first: int, last: int) -> None:
    """People leave and their licence is taken back; the account stays, disabled."""
    for at, holder in zip(b.days(count, first, last), _plain_holders(b, client_id, part), strict=False):
        holder.change(at, skus=(), group_skus=(), is_enabled=False)


def _plain_holders(b: Builder, client_id: str, part: str) -> list[Life[User]]:
    return [
        u
        for u in b.holders[client_id, part]
        if u.created_at < b.start and u.first.purpose == "user" and len(u.instants()) == 1
    ]


def add_machines(
    b: Builder,
    client_id: str,
    count: int,
    first: int,
    last: int,
    *,
    kind: str = "WINDOWS_WORKSTATION",
    has_agent: bool = False,
) -> list[Life[Device]]:
    """Machines are installed; nobody tells the contract."""
    return [b.device(client_id, kind, at, has_agent=has_agent) for at in b.days(count, first, last)]


def retire_machines(b: Builder, client_id: str, service_id: str, count: int, first: int, last: int) -> None:
    """Machines are taken out."""
    living = [d for d in b.machines[client_id, service_id] if d.removed_at is None and d.created_at < b.start]
    for at, machine in zip(b.days(count, first, last), living, strict=False):
        b.retire(machine, at)


def leaks(b: Builder) -> list[Story]:
    """More is used than is charged for."""
    grow(b, "harbor-dental", "SPB", 7, 18, 62)
    add_machines(b, "acme-corp", 4, 12, 55, has_agent=True)
    grow(b, "mueller", "SPE_E3", 2, 30, 44)
    add_machines(b, "keystone", 2, 25, 70)
    grow(b, "beacon", "SPB", 3, 40, 80)
    for number in range(5):
        b.agent("granite", b.day(20 + 9 * number), f"SPARE-{number + 1}")
    add_machines(b, "silverline", 3, 35, 75, has_agent=True)
    for at in b.days(3, 45, 52):
        b.user("lukasz", ("O365_BUSINESS_PREMIUM", "Microsoft_365_Copilot"), at)
    b.renew("lukasz", "M365-BS", date(2026, 11, 1), quantity=b.agreed("lukasz", "M365-BS").quantity + 3)
    b.drop_contract("plus-one", "RMM-SRV")
    return [
        Story(
            "new hires",
            "harbor-dental",
            "M365-BP",
            "under_billed",
            "Seven people joined and nobody raised the contract.",
        ),
        Story(
            "new machines", "acme-corp", "RMM-WKS", "under_billed", "Machines were installed without a word to billing."
        ),
        Story("agents with them", "acme-corp", "EDR", "under_billed", "The agents that came with the machines."),
        Story("euro leak", "mueller", "M365-E3", "under_billed", "Two licences, priced in euro."),
        Story("no tenant", "keystone", "RMM-WKS", "under_billed", "A client without Microsoft 365 leaks machines."),
        Story(
            "disabled but licensed",
            "beacon",
            "M365-BP",
            "under_billed",
            "Disabled accounts keep their licences and count.",
        ),
        Story(
            "more agents than agreed", "granite", "EDR", "under_billed", "Agents run on machines the RMM does not know."
        ),
        Story("drift", "silverline", "RMM-WKS", "under_billed", "Ordinary drift."),
        Story(
            "copilot on trial that stayed",
            "lukasz",
            "M365-AI",
            "no_contract",
            "Copilot was switched on and never sold.",
        ),
        Story(
            "server nobody sold",
            "plus-one",
            "RMM-SRV",
            "no_contract",
            "A server has been managed for free from the start.",
        ),
    ]


def ghosts(b: Builder) -> list[Story]:
    """More is charged for than is used."""
    shrink(b, "oreilly", "SPB", 3, 15, 60)
    held = b.agreed("hughes", "M365-BP").quantity
    b.amend("hughes", "M365-BP", quantity=held + 2)
    b.contract("blue-door", "M365-AI", 3, note="Agreed in spring, never rolled out.")
    for server in b.machines["foxglove", "RMM-SRV"]:
        server.change(b.day(30), approval_status="DECOMMISSIONED")
    retire_machines(b, "vertex", "RMM-SRV", 2, 33, 41)
    b.befalls("society", "O365_BUSINESS_PREMIUM", b.day(60), status="Suspended", enabled=0, suspended=12)
    b.befalls("cobalt", "MCOEV", b.day(80), status="Warning", enabled=0, warning=30)
    return [
        Story(
            "departures", "oreilly", "M365-BP", "over_billed", "Three people left; their licences are still charged."
        ),
        Story(
            "charged too much from the start",
            "hughes",
            "M365-BP",
            "over_billed",
            "The contract never matched, in pounds.",
        ),
        Story(
            "ghost contract", "blue-door", "M365-AI", "no_usage", "Three Copilot seats are charged and nobody has one."
        ),
        Story("decommissioned", "foxglove", "RMM-SRV", "no_usage", "The only server was decommissioned."),
        Story("servers gone", "vertex", "RMM-SRV", "over_billed", "Two servers went to the cloud."),
        Story("suspended", "society", "M365-BS", "no_usage", "The subscription was suspended; its licences are dead."),
        Story(
            "in its grace period", "cobalt", "M365-PHONE", "", "A subscription past its end still counts for a while."
        ),
    ]


def billing_models(b: Builder) -> list[Story]:
    """Minimum, included and flat contracts, at their edges; and tolerance."""
    b.amend("sakura", "M365-BP", billing_model="minimum", minimum_quantity=12, quantity=12)
    count = b.agreed("pinewood", "RMM-WKS").quantity
    b.amend("pinewood", "RMM-WKS", billing_model="minimum", minimum_quantity=count + 1, quantity=count + 1)
    add_machines(b, "pinewood", 4, 28, 50)
    agents = b.agreed("meridian", "EDR").quantity
    b.amend("meridian", "EDR", billing_model="included", included_quantity=5, quantity=agents - 5)
    for at in b.days(2, 50, 66):
        b.agent("meridian", at, f"KIOSK-{at.day}")
    b.amend("cafe-noel", "EDR", billing_model="included", included_quantity=20, quantity=0)
    b.amend(
        "mueller",
        "RMM-SRV",
        billing_model="flat",
        unit_price=Decimal("350.00"),
        quantity=1,
        note="All servers, one price.",
    )
    add_machines(b, "mueller", 1, 20, 25, kind="WINDOWS_SERVER", has_agent=False)
    b.amend("royal-borough", "M365-BS", tolerance_quantity=1)
    grow(b, "royal-borough", "O365_BUSINESS_PREMIUM", 1, 70, 80)
    b.amend("royal-borough", "RMM-WKS", tolerance_quantity=1)
    add_machines(b, "royal-borough", 2, 36, 58)
    return [
        Story("below the minimum", "sakura", "M365-BP", "", "The minimum applies; nothing is wrong."),
        Story("above the minimum", "pinewood", "RMM-WKS", "under_billed", "More machines than the minimum covers."),
        Story("beyond the included", "meridian", "EDR", "under_billed", "Only what exceeds the included five counts."),
        Story("within the included", "cafe-noel", "EDR", "", "Everything is included."),
        Story("flat", "mueller", "RMM-SRV", "", "A flat price never varies."),
        Story(
            "within tolerance",
            "royal-borough",
            "M365-BS",
            "under_billed",
            "One too many for a while, and one is tolerated.",
        ),
        Story("beyond tolerance", "royal-borough", "RMM-WKS", "under_billed", "Two too many, and one is tolerated."),
    ]


def ends_and_versions(b: Builder) -> list[Story]:
    """Contracts that end, change, or begin within the ninety days."""
    for contract in [c for c in b.agreements.contracts if c.client_id == "bluebird"]:
        b.amend("bluebird", contract.service_id, effective_to=date(2026, 10, 1))
    left = b.day(38)
    for machine in b.machines["bluebird", "RMM-WKS"][5:] + b.machines["bluebird", "RMM-SRV"]:
        b.retire(machine, left)
    for agent in [a for a in b.agents if a.first.organization_id == b.huntress_of["bluebird"]]:
        if agent.removed_at is None:
            agent.remove(left)
    for user in [u for u in b.users if u.first.tenant_id == b.tenant_of["bluebird"]][2:]:
        user.remove(left + timedelta(hours=3))
    grow(b, "angstrom", "SPB", 4, 8, 28)
    b.renew("angstrom", "M365-BP", date(2026, 10, 1), quantity=b.agreed("angstrom", "M365-BP").quantity + 4)
    b.renew("dangelo", "M365-BS", date(2026, 11, 1), unit_price=Decimal("16.50"), note="Price change from November.")
    pending = [b.device("tidewater", "WINDOWS_WORKSTATION", b.day(5), approval_status="PENDING") for _ in range(4)]
    for device, at in zip(pending[:2], b.days(2, 24, 26), strict=True):
        device.change(at, approval_status="APPROVED")
    b.renew("tidewater", "RMM-WKS", date(2026, 11, 1), quantity=b.agreed("tidewater", "RMM-WKS").quantity + 1)
    shrink(b, "summit", "SPB", 2, 9, 12)
    grow(b, "summit", "SPB", 5, 48, 55)
    organization = str(b.organization_of["quarry"])
    b.agreements.companies = [
        replace(m, effective_from=date(2026, 9, 15), note="Taken over in September.")
        if (m.connection_id, m.company_id) == (NINJAONE, organization)
        else m
        for m in b.agreements.companies
    ]
    for service in ("RMM-SRV", "RMM-WKS"):
        b.amend("quarry", service, effective_from=date(2026, 9, 15))
    add_machines(b, "quarry", 1, 60, 60)
    return [
        Story(
            "offboarded, still there", "bluebird", "RMM-WKS", "no_contract", "The contract ended; five machines stayed."
        ),
        Story("offboarded licences", "bluebird", "M365-BP", "no_contract", "Two licences outlived the contract."),
        Story("caught up", "angstrom", "M365-BP", "", "The contract was raised in October and agrees again."),
        Story("price change", "dangelo", "M365-BS", "", "A new price is no gap in quantity."),
        Story(
            "approved at last",
            "tidewater",
            "RMM-WKS",
            "under_billed",
            "Two pending machines were approved; the contract rose by one.",
        ),
        Story(
            "sign flip",
            "summit",
            "M365-BP",
            "under_billed",
            "First too few, then too many: the leak begins with the flip.",
        ),
        Story(
            "mapped in September",
            "quarry",
            "RMM-WKS",
            "under_billed",
            "Mapped and contracted in the middle of the replay.",
        ),
    ]


def moves(b: Builder) -> list[Story]:
    """Records that change class, owner or identity."""
    changed = next(d for d in b.machines["ironbridge", "RMM-WKS"] if d.first.node_class == "WINDOWS_WORKSTATION")
    changed.change(b.day(40), node_class="WINDOWS_SERVER", role_id=200, role_policy_id=54)
    moved = b.machines["acme-corp", "RMM-WKS"][3]
    moved.change(b.day(33), organization_id=b.organization_of["acme-capital"])
    second = b.tenant("acme-capital", "Acme Capital Ventures")
    grow(b, "acme-capital", "SPB", 4, 26, 42, tenant_id=second)
    west = b.organization("vertex", "Vertex West (acquired)")
    for at in b.days(3, 56, 57):
        b.device("vertex", "WINDOWS_WORKSTATION", at, organization_id=west)
    agent = next(a for a in b.agents if a.first.organization_id == b.huntress_of["lantern"])
    reinstalled = b.day(22)
    agent.remove(reinstalled)
    b.agent("lantern", reinstalled, agent.first.hostname)
    silent = b.day(-75)
    for machine in b.machines["windmill", "RMM-WKS"][:3]:
        machine.first = replace(machine.first, silent_since=silent, is_offline=True)
        machine.created_at = min(machine.created_at, silent - timedelta(days=30))
    for number, gone in enumerate([a for a in b.agents if a.first.organization_id == b.huntress_of["beacon"]][:2]):
        gone.change(b.day(30 + number), silent_since=b.day(29))
    b.device("juniper-hill", "WINDOWS_WORKSTATION", datetime(2026, 11, 1, 15, 12, 7, tzinfo=UTC))
    b.device("lord-howe", "MAC", datetime(2026, 10, 3, 16, 41, 9, tzinfo=UTC))
    b.user("st-johns", ("O365_BUSINESS_ESSENTIALS",), datetime(2026, 10, 12, 2, 20, 31, tzinfo=UTC))
    doubled = _plain_holders(b, "granite", "SPB")[8]
    doubled.change(b.day(27), skus=(*doubled.first.skus, "SPE_E3"))
    _plain_holders(b, "cafe-noel", "O365_BUSINESS_ESSENTIALS")[1].change(
        b.day(19), skus=("O365_BUSINESS_ESSENTIALS", "EXCHANGESTANDARD"), group_skus=()
    )
    return [
        Story(
            "became a server",
            "ironbridge",
            "RMM-SRV",
            "under_billed",
            "A workstation became a server: one line gains it.",
        ),
        Story("no longer a workstation", "ironbridge", "RMM-WKS", "over_billed", "... and the other line loses it."),
        Story("second tenant", "acme-capital", "M365-BP", "under_billed", "Two tenants of one client add up."),
        Story(
            "machine changed hands",
            "acme-capital",
            "RMM-WKS",
            "under_billed",
            "A machine moved over from a near-namesake.",
        ),
        Story("second organisation", "vertex", "RMM-WKS", "under_billed", "Two organisations of one client add up."),
        Story("reinstalled", "lantern", "EDR", "", "A new agent on the same machine is not a second one."),
        Story("silent for months", "windmill", "RMM-WKS", "", "Silent machines are still installed, and counted."),
        Story("clock change", "juniper-hill", "RMM-WKS", "under_billed", "Installed on the day the clocks went back."),
        Story(
            "half an hour of summer",
            "lord-howe",
            "RMM-WKS",
            "under_billed",
            "Installed as the clocks went forward, by half an hour.",
        ),
        Story("half-hour zone", "st-johns", "M365-MAIL", "under_billed", "Hired shortly before midnight, local time."),
        Story("held twice", "granite", "M365-E3", "no_contract", "One person holds two suites."),
        Story(
            "one person, two mailboxes",
            "cafe-noel",
            "M365-MAIL",
            "",
            "Counted per person, a second licence changes nothing.",
        ),
    ]


def unmapped(b: Builder) -> list[Story]:
    """Companies, licences and contracts that match nothing."""
    pilot = b.organization("", "Prospect Pilot Clinic")
    for at in b.days(5, 3, 10):
        b.device("", "WINDOWS_WORKSTATION", at, organization_id=pilot)
    b.device("", "WINDOWS_SERVER", b.day(3), organization_id=pilot)
    b.device("", "NMS_FIREWALL", b.day(3), organization_id=pilot)
    surgery = b.tenant("", "Fernhill Surgery (onboarding)")
    for at in b.days(8, 30, 33):
        b.user("", ("SPB",), at, tenant_id=surgery)
    for client_id, count in (("smith-smythe", 4), ("riverbend", 2)):
        for at in b.days(count, 14, 50):
            b.user(client_id, ("VISIOCLIENT",), at)
    for part in ("TEAMS_EXPLORATORY", "POWERAPPS_VIRAL"):
        b.user("meridian", (part,), b.day(37))
    b.contract("hollow-oak", "M365-BP", 10, note="Their tenant is not connected.")
    b.contract("orchard", "EDR", 13, note="Their agents report elsewhere.")
    return [
        Story("prospect", "", "", "unmapped_company", "An organisation nobody mapped has six machines."),
        Story("onboarding", "", "", "unmapped_company", "A tenant nobody mapped has eight licences."),
        Story("visio", "smith-smythe", "", "unmapped_sku", "Visio is used and no service stands for it."),
        Story("visio again", "riverbend", "", "unmapped_sku", "Visio is used and no service stands for it."),
        Story("tenant not connected", "hollow-oak", "M365-BP", "not_audited", "Nothing could count this contract."),
        Story("agents elsewhere", "orchard", "EDR", "not_audited", "Nothing could count this contract."),
    ]


def deliberate(b: Builder) -> list[Story]:
    """What the MSP decided itself: exclusions, its own account, coverage it does not bill by, one wrong invoice."""
    for number in range(6):
        b.device("riverbend", "WINDOWS_WORKSTATION", b.day(16 + number), name=f"LAB-{number + 1:02d}")
    b.user("riverbend", ("SPB",), b.day(4), name="Emergency Access", purpose=None, mailbox_status=404)
    access = b.users[-1].first
    b.agreements.exclusions.extend(
        (
            Exclusion(
                "X001",
                "riverbend",
                "RMM-WKS",
                "ninjaone",
                "",
                "LAB-*",
                "Donated classroom machines, agreed free.",
                "Nadia Okafor",
                date(2026, 8, 1),
                date(2027, 8, 1),
            ),
            Exclusion(
                "X002",
                "riverbend",
                "M365-BP",
                "microsoft365",
                access.id,
                "",
                "Emergency account, ours.",
                "Nadia Okafor",
                date(2026, 8, 1),
                None,
            ),
            Exclusion(
                "X003",
                "silverline",
                "RMM-WKS",
                "ninjaone",
                str(b.machines["silverline", "RMM-WKS"][0].first.id),
                "",
                "Loan machine until the end of October.",
                "Tomás Rossi",
                date(2026, 8, 1),
                date(2026, 11, 1),
            ),
        )
    )
    b.amend("silverline", "RMM-WKS", quantity=b.agreed("silverline", "RMM-WKS").quantity - 1)
    b.renew("cobalt", "RMM-WKS", date(2026, 11, 1), quantity=b.agreed("cobalt", "RMM-WKS").quantity + 3)
    add_machines(b, "cobalt", 3, 70, 72)
    b.agreements.misbillings.append(Misbilling("cobalt", "RMM-WKS", b.agreed("cobalt", "RMM-WKS").quantity - 3))
    for machine in b.machines["cobalt", "RMM-WKS"][4:9]:
        if agent := b.agent_of.pop(machine.first.id, None):
            b.agents.remove(agent)
    b.amend("cobalt", "EDR", quantity=sum(a.first.organization_id == b.huntress_of["cobalt"] for a in b.agents))
    for number, agent in enumerate(b.agents[:: len(b.agents) // 24]):
        sent = b.day(number * 3.6)
        platform = agent.first.platform
        severity = ("low", "low", "high", "critical")[number % 4]
        life = Life(
            sent,
            Incident(
                b.number("incident"),
                agent.first.organization_id,
                agent.first.id,
                agent.first.hostname,
                platform,
                severity,
                "footholds" if number % 2 else "process_detections",
                "sent",
                sent,
            ),
        )
        if number % 5:
            life.change(sent + timedelta(days=2), status="closed", closed_at=sent + timedelta(days=2))
        b.incidents.append(life)
    return [
        Story("classroom machines", "riverbend", "RMM-WKS", "", "Excluded by name; nothing is wrong."),
        Story("emergency account", "riverbend", "M365-BP", "", "Excluded by its own id; nothing is wrong."),
        Story(
            "invoice says less",
            "cobalt",
            "RMM-WKS",
            "invoice_mismatch",
            "The contract was raised; the recurring invoice was not.",
        ),
        Story("coverage", "cobalt", "EDR", "", "Fewer agents than machines is a matter of coverage, not of billing."),
    ]


PLOTS: tuple[Plot, ...] = (leaks, ghosts, billing_models, ends_and_versions, moves, unmapped, deliberate)


def mapping_names(companies: list[CompanyMapping]) -> list[CompanyMapping]:
    """Return the mappings in a steady order."""
    return sorted(companies, key=lambda m: (m.connection_id, m.client_id, m.company_id))
