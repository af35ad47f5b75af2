"""Who of the invented MSP uses which of the further tools, and what goes wrong there in ninety days.

Belongs here: the plot of every connection beside the first four. Does not: the moves it is told with (`stack`), or how
many each story amounts to; `truth` works that out from the world itself.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from morton_pipeline.simulator.entities import Client, Item, Life, Tool
from morton_pipeline.simulator.population import Builder
from morton_pipeline.simulator.stack import GIB, MAPPINGS, SERVICES, Stack
from morton_pipeline.simulator.stories import Story

TRIAL = "Brightwater Hotel (trial)"

ACQUIRED = (
    ("fairhaven", "Fairhaven Marine Supply", "USD", "America/New_York"),
    ("cedar-point", "Cedar Point Orthodontics", "USD", "America/Chicago"),
    ("old-mill", "Old Mill Textiles Ltd", "GBP", "Europe/London"),
)
"""Clients that came with an acquisition, and with another RMM, another EDR and Google."""


def equip(b: Builder, seed: int) -> tuple[dict[str, Tool], list[Story]]:
    """Give the world its further tools; return them by connection id, with what was planted."""
    b.agreements.services.extend(SERVICES)
    b.agreements.mappings.extend(MAPPINGS)
    stack = Stack(b, seed)
    chapters = (acquisition, appliances, cloud_backup, data_protection, console, distributor, declared)
    stories = [story for chapter in chapters for story in chapter(stack)]
    return stack.tools(), stories


def acquisition(s: Stack) -> list[Story]:
    """Three clients with Datto RMM, SentinelOne through two consoles, and Google Workspace."""
    rmm = s.tool("datto_rmm", "datto_rmm", {"Server": "RMM-SRV", "Desktop": "RMM-WKS", "Laptop": "RMM-WKS"})
    kinds = {kind: "EDR-S1" for kind in ("desktop", "laptop", "server", "unknown")}
    east = s.tool("sentinelone", "sentinelone", kinds)
    west = s.tool("sentinelone_west", "sentinelone", kinds)
    google = s.tool("google", "google_workspace", {"Google Workspace Business Starter": "GWS-BS"})
    sites, agents, domains = {}, {}, {}
    for number, (client_id, name, currency, zone) in enumerate(ACQUIRED):
        s.agreements.clients.append(Client(client_id, name, "active", currency, zone, 90, str(141 + number)))
        sites[client_id] = s.company(rmm, client_id, s.uuid(), autotask_company_id=str(29000 + number))
        agents[client_id] = s.company(east, client_id, f"22561274036{9000 + number}")
        domains[client_id] = s.company(
            google, client_id, f"C0{number}mills{number}", admin=f"admin@{client_id}.example"
        )
        for _ in range((14, 10, 16)[number]):
            _machine(s, rmm, east, sites[client_id], agents[client_id], s.rng.choice(("Desktop", "Laptop", "Laptop")))
        for _ in range(2):
            _machine(s, rmm, east, sites[client_id], agents[client_id], "Server")
        for kind, device_class in (("Printer", "printer"), ("Network Device", "rmmnetworkdevice")):
            s.item(rmm, sites[client_id], f"{kind.split()[0]}-{number}", kind, item_id=s.uuid(), is_counted=False,
                   device_class=device_class)  # fmt: skip
        for _ in range((12, 9, 15)[number]):
            _seat(s, google, domains[client_id], client_id)
    _odd_machines(s, rmm, east, sites, agents)
    second = s.company(west, "fairhaven", "330012740361234567", "Fairhaven Marine Supply (Oregon yard)")
    for number in range(3):
        s.item(west, second, f"YARD-{number + 1}", "desktop", item_id=f"44{s.number()}123456")
    for client_id, *_ in ACQUIRED:
        s.agree(client_id, rmm, count_vendor="datto_rmm")
        s.agree(client_id, google)
        s.agree(client_id, east)
    s.b.amend("fairhaven", "EDR-S1", quantity=s.b.agreed("fairhaven", "EDR-S1").quantity + 3)
    for number in range(3):
        _machine(s, rmm, east, sites["fairhaven"], "", "Laptop", s.day(20 + 15 * number))
    next(i for i in s.items[rmm] if i.first.company_id == sites["cedar-point"] and i.first.kind == "Laptop").remove(
        s.day(41)
    )
    for number in range(2):
        s.item(rmm, sites["old-mill"], f"THIN-{number + 1}", "Thin Client", s.day(30 + number), item_id=s.uuid(),
               device_class="unknown")  # fmt: skip
        s.item(
            east,
            agents["old-mill"],
            f"LOOM-{number + 1}",
            "desktop",
            s.day(33 + number),
            item_id=f"55{s.number()}987654",
        )
        _seat(s, google, domains["cedar-point"], "cedar-point", s.day(25 + 20 * number))
    gone = next(i for i in s.items[google] if i.first.company_id == domains["old-mill"])
    gone.remove(s.day(50))
    return [
        Story("acquired drift", "fairhaven", "RMM-WKS", "under_billed", "Laptops came to a client of the second RMM."),
        Story("acquired and shrunk", "cedar-point", "RMM-WKS", "over_billed", "A laptop left the second RMM."),
        Story("an unknown class", "old-mill", "", "unmapped_sku", "The RMM lists a class of machine nobody sells."),
        Story("two consoles", "fairhaven", "EDR-S1", "", "Two consoles of one vendor add up to what is contracted."),
        Story("looms", "old-mill", "EDR-S1", "under_billed", "Agents run on machines the RMM does not know."),
        Story("hired at Google", "cedar-point", "GWS-BS", "under_billed", "Two people joined at Google."),
        Story("left Google", "old-mill", "GWS-BS", "over_billed", "One person left, and is charged for."),
        Story("acquired servers", "cedar-point", "RMM-SRV", "", "Servers of the second RMM agree."),
    ]


def _machine(
    s: Stack, rmm: str, edr: str, site: str, edr_site: str, kind: str, at: datetime | None = None, **more: Any
) -> None:
    """Install a machine in the RMM, and the agent on it where the EDR's site is named."""
    number, began = s.number(), at or s.before()
    name = f"{'SRV' if kind == 'Server' else 'PC'}-{number}"
    mac = f"0a:{number[0:2]}:{number[2:4]}:{number[4:6]}:4d:01"
    s.item(rmm, site, name, kind, began, item_id=s.uuid(), serial=f"SN{number}", mac=mac, **more)
    if edr_site:
        machine_type = {"Server": "server", "Desktop": "desktop"}.get(kind, "laptop")
        s.item(edr, edr_site, name, machine_type, began, item_id=f"22{number}654321", serial=f"SN{number}", mac=mac)


def _seat(s: Stack, google: str, customer: str, client_id: str, at: datetime | None = None, **more: Any) -> None:
    """Give a person a Google licence."""
    name, number = s.person(), s.number()
    email = f"user{number}@{client_id}.example"
    s.item(google, customer, name, "Google Workspace Business Starter", at, item_id=f"{email}/1010020027", email=email,
           sku_id="1010020027", product_id="Google-Apps", user_id=f"11{number}000000", **more)  # fmt: skip


def _odd_machines(s: Stack, rmm: str, edr: str, sites: dict[str, str], agents: dict[str, str]) -> None:
    """What these vendors list and nobody is billed for."""
    field = s.company(rmm, "fairhaven", s.uuid(), "Fairhaven field laptops (OnDemand)", on_demand=True)
    for number in range(2):
        s.item(rmm, field, f"FIELD-{number + 1}", "Laptop", item_id=s.uuid(), is_counted=False)
    system = s.company(rmm, "", "deleted-devices", "Deleted Devices")
    s.item(rmm, system, "PC-OLD", "Desktop", item_id=s.uuid(), is_counted=False, deleted=True)
    s.item(rmm, sites["old-mill"], "ESX-1", "ESXi Host", item_id=s.uuid(), is_counted=False, device_class="esxihost")
    _machine(s, rmm, edr, sites["old-mill"], agents["old-mill"], "Desktop", suspended=True)
    trial = s.company(edr, "", "225612740369999999", TRIAL, site_type="Trial")
    for number in range(4):
        s.item(edr, trial, f"TRY-{number + 1}", "desktop", item_id=f"66{s.number()}111111", is_counted=False)
    s.item(edr, agents["cedar-point"], "PC-RETIRED", "desktop", item_id=f"77{s.number()}222222", is_counted=False,
           is_decommissioned=True)  # fmt: skip


def appliances(s: Stack) -> list[Story]:
    """Datto BCDR: protected servers on appliances, and SaaS Protection seats."""
    bcdr = s.tool("datto_bcdr", "datto_bcdr", {"agent": "BDR-SRV", "seat": "SAAS-SEAT"})
    companies = {}
    for number, client_id in enumerate(("harbor-dental", "meridian", "granite")):
        company = companies[client_id] = s.company(bcdr, client_id, str(51001 + number))
        serial = f"D0SIRIS{number}A"
        s.item(bcdr, company, f"{client_id}-siris", "appliance", item_id=serial, model="S5-2", is_counted=False)
        for machine in s.machines(client_id, "RMM-SRV"):
            s.item(bcdr, company, machine.first.system_name, "agent", appliance=serial, os="Windows Server 2022")
        s.item(bcdr, company, "archive-2019", "agent", appliance=serial, archived=True, is_counted=False)
        s.item(bcdr, company, "nas-share", "agent", appliance=serial, asset_type="share", is_counted=False)
        for _ in range(12):
            s.item(bcdr, company, s.person(), "seat", seat_type="User", billable=True)
        s.item(bcdr, company, "Reception", "seat", seat_type="SharedMailbox", billable=False, is_counted=False)
        s.agree(client_id, bcdr)
    for number in range(4):
        s.item(bcdr, companies["meridian"], s.person(), "seat", s.day(14 + 9 * number), seat_type="User", billable=True)
    next(i for i in s.items[bcdr] if i.first.company_id == companies["granite"] and i.first.kind == "agent").remove(
        s.day(37)
    )
    return [
        Story("seats for new hires", "meridian", "SAAS-SEAT", "under_billed", "Backup seats grew with the people."),
        Story(
            "no longer protected", "granite", "BDR-SRV", "over_billed", "A server's backup ended; it is charged for."
        ),
        Story("all protected", "harbor-dental", "BDR-SRV", "", "Archived machines and shares are no servers."),
    ]


def cloud_backup(s: Stack) -> list[Story]:
    """Acronis: workloads counted one by one, and storage by the gigabyte."""
    services = {"workstations": "CLOUD-WKS", "servers": "CLOUD-SRV", "storage": "CLOUD-GB"}
    acronis = s.tool("acronis", "acronis", services)
    root = s.company(acronis, "", s.uuid(), "Northgate Managed IT", kind="partner")
    usage: dict[tuple[str, str], Life[Item]] = {}
    for client_id, workstations, gigabytes in (("angstrom", 15, 900), ("summit", 12, 640), ("quarry", 9, 310)):
        company = s.company(acronis, client_id, s.uuid(), parent_id=root)
        for name, quantity in (("workstations", workstations), ("servers", 1)):
            usage[client_id, name] = s.item(acronis, company, f"{client_id} {name}", name, quantity=quantity,
                                            item_name=f"pw_base_{name}")  # fmt: skip
        usage[client_id, "storage"] = s.item(
            acronis, company, f"{client_id} storage", "storage", quantity=gigabytes * GIB, unit="bytes", type="infra",
            item_name="pw_base_storage", infra_id=s.uuid(),
        )  # fmt: skip
        s.item(acronis, company, f"{client_id} advanced", "workstations", quantity=workstations, is_counted=False,
               item_name="pack_adv_backup_workstations")  # fmt: skip
        s.item(
            acronis, company, f"{client_id} switch", "notary", type="feature", is_counted=False, item_name="pw_notary"
        )
        for machine in s.machines(client_id, "RMM-SRV"):
            s.item(acronis, company, machine.first.system_name, "resource", item_id=s.uuid(), is_counted=False)
        s.agree(client_id, acronis)
    trial = s.company(acronis, "", s.uuid(), TRIAL, pricing_mode="trial", parent_id=root)
    s.item(
        acronis,
        trial,
        "trial workstations",
        "workstations",
        quantity=5,
        is_counted=False,
        item_name="pw_base_workstations",
    )
    for number in range(3):
        usage["angstrom", "workstations"].change(s.day(21 + 12 * number), quantity=Decimal(16 + number))
    usage["summit", "storage"].change(s.day(44), quantity=Decimal(760 * GIB))
    usage["quarry", "workstations"].change(s.day(39), quantity=Decimal(7))
    return [
        Story("workloads grew", "angstrom", "CLOUD-WKS", "under_billed", "Three more workstations are backed up."),
        Story("storage grew", "summit", "CLOUD-GB", "under_billed", "Storage is sold by the gigabyte, and grew."),
        Story("workloads fell", "quarry", "CLOUD-WKS", "over_billed", "Two workstations are no longer backed up."),
        Story("packs are no workloads", "summit", "CLOUD-WKS", "", "An advanced pack is not a second workstation."),
    ]


def data_protection(s: Stack) -> list[Story]:
    """Cove: machines, and one account per Microsoft 365 tenant that stands for many users."""
    cove = s.tool("cove", "cove", {"server": "COVE-SRV", "m365": "COVE-M365"})
    tenants: dict[str, Life[Item]] = {}
    for number, (client_id, users) in enumerate((("tidewater", 22), ("juniper-hill", 11), ("beacon", 14))):
        company = s.company(cove, client_id, str(810001 + number))
        for machine in s.machines(client_id, "RMM-SRV"):
            s.item(
                cove,
                company,
                machine.first.system_name,
                "server",
                used_bytes=(40 + number) * GIB,
                os="Windows Server 2022",
            )
        tenants[client_id] = s.item(cove, company, f"{client_id}.example", "m365", quantity=users)
        s.item(cove, company, f"DOC-{number}", "documents", is_counted=False, product="Documents")
        s.agree(client_id, cove)
    bin_ = s.company(cove, "", "810099", "001 Northgate - Recycle Bin")
    s.item(cove, bin_, "OLD-SERVER", "server", is_counted=False)
    for number in range(3):
        tenants["tidewater"].change(s.day(18 + 20 * number), quantity=Decimal(24 + 2 * number))
    tenants["beacon"].change(s.day(52), quantity=Decimal(13))
    return [
        Story(
            "users behind one account",
            "tidewater",
            "COVE-M365",
            "under_billed",
            "One account stands for six more people.",
        ),
        Story("one fewer", "beacon", "COVE-M365", "over_billed", "One person fewer is protected."),
        Story("protected servers", "juniper-hill", "COVE-SRV", "", "Documents-only machines are no servers."),
    ]


def console(s: Stack) -> list[Story]:
    """Veeam: counters per company, and a company nobody mapped."""
    veeam = s.tool("veeam_spc", "veeam_spc", {"ManagedServerAgents": "VEEAM-SRV", "Vb365ProtectedUsers": "VEEAM-M365"})
    counters: dict[tuple[str, str], Life[Item]] = {}
    for client_id, servers, users in (("cobalt", 6, 38), ("vertex", 4, 30)):
        company = s.company(veeam, client_id, s.uuid())
        for kind, quantity in (("ManagedServerAgents", servers), ("Vb365ProtectedUsers", users)):
            counters[client_id, kind] = s.item(veeam, company, f"{client_id} {kind}", kind, quantity=quantity)
        s.item(
            veeam, company, f"{client_id} breakdown", "ManagedAgentsWindowsServerOS", quantity=servers, is_counted=False
        )
        s.agree(client_id, veeam)
    stranger = s.company(veeam, "", s.uuid(), "Larkspur Estates")
    s.item(veeam, stranger, "Larkspur servers", "ManagedServerAgents", s.day(28), quantity=4)
    counters["cobalt", "ManagedServerAgents"].change(s.day(47), quantity=Decimal(8))
    counters["vertex", "Vb365ProtectedUsers"].change(s.day(31), quantity=Decimal(33))
    return [
        Story("servers added to the console", "cobalt", "VEEAM-SRV", "under_billed", "Two more servers are backed up."),
        Story("users added to the console", "vertex", "VEEAM-M365", "under_billed", "Three more people are backed up."),
        Story("estates", "", "", "unmapped_company", "A company nobody mapped has four servers backed up."),
    ]


def distributor(s: Stack) -> list[Story]:
    """Pax8: what was bought, beside what people hold; and one service that is sold by what was bought."""
    premium, filtering = "Microsoft 365 Business Premium", "Proofpoint Essentials Business"
    pax8 = s.tool("pax8", "pax8", {premium: "M365-BP", filtering: "MAIL-SEC"})
    companies: dict[str, str] = {}
    cost, today = Decimal("18.70"), s.b.start + timedelta(days=89)
    for client_id, spare, unit_cost in (("harbor-dental", 3, cost), ("granite", -2, cost), ("acme-corp", 0, cost),
                                        ("pinewood", 0, Decimal("31.00"))):  # fmt: skip
        company = companies[client_id] = s.company(pax8, client_id, s.uuid(), external_id=client_id)
        commitment = {"id": s.uuid(), "term": "1-Year", "end_on": date(2026, 12, 1)} if spare > 0 else None
        s.item(pax8, company, premium, premium, item_id=s.uuid(), quantity=_held(s, client_id, today) + spare,
               partner_cost=unit_cost, price=Decimal("26.40"), vendor_sku="SPB", vendor_name="Microsoft",
               start_on=date(2025, 12, 1), commitment=commitment)  # fmt: skip
        s.item(pax8, company, filtering, filtering, item_id=s.uuid(), quantity=25, partner_cost=Decimal("2.30"),
               price=Decimal("4.20"), vendor_name="Proofpoint")  # fmt: skip
        s.item(
            pax8,
            company,
            "Acronis trial",
            "Acronis trial",
            item_id=s.uuid(),
            quantity=5,
            status="Trial",
            is_counted=False,
        )
        s.item(pax8, company, premium, premium, item_id=s.uuid(), quantity=7, status="Cancelled", is_counted=False)
        s.b.contract(client_id, "MAIL-SEC", 25)
    s.b.amend("acme-corp", "MAIL-SEC", quantity=21)
    s.item(pax8, companies["granite"], "Adobe Acrobat Pro", "Adobe Acrobat Pro", s.day(33), item_id=s.uuid(),
           quantity=6, partner_cost=Decimal("19.00"), price=Decimal("24.00"), vendor_name="Adobe")  # fmt: skip
    return [
        Story(
            "bought for more", "acme-corp", "MAIL-SEC", "under_billed", "Twenty-five are bought, twenty-one charged."
        ),
        Story(
            "bought and never sold", "granite", "", "unmapped_sku", "A product is bought that stands for no service."
        ),
        Story(
            "dearer than it sells",
            "pinewood",
            "M365-BP",
            "below_cost",
            "The distributor charges more than the client pays.",
        ),
        Story("bought as agreed", "harbor-dental", "MAIL-SEC", "", "Trials and cancelled subscriptions are none."),
    ]


def _held(s: Stack, client_id: str, at: datetime) -> int:
    """How many Business Premium licences the people of a client's first tenant hold."""
    tenant = s.b.tenant_of[client_id]
    users = [u.at(at) for u in s.b.users if u.first.tenant_id == tenant]
    return sum(
        u is not None and "SPB" in u.licenses() and u.purpose not in ("shared", "room", "equipment") for u in users
    )


def declared(s: Stack) -> list[Story]:
    """A password manager with an API declared in YAML, and a mail filter that only sends a report."""
    vault = s.tool("vaultdesk", "rest", {"Business": "PWD"})
    filtering = s.tool("mailshield", "files", {"Advanced": "SPAM"})
    organisations = {}
    for number, (client_id, seats) in enumerate((("acme-corp", 18), ("hughes", 9), ("keystone", 11))):
        company = organisations[client_id] = s.company(vault, client_id, f"org-{number + 1}")
        for _ in range(seats):
            s.item(vault, company, s.person(), "Business", email=f"seat{s.number()}@{client_id}.example")
        s.item(vault, company, s.person(), "Business", status="cancelled", is_counted=False)
        s.agree(client_id, vault)
    for number in range(2):
        s.item(vault, organisations["keystone"], s.person(), "Business", s.day(26 + 8 * number))
    mailboxes: dict[str, Life[Item]] = {}
    for number, (client_id, quantity) in enumerate((("windmill", 11), ("orchard", 17), ("foxglove", 6))):
        company = s.company(filtering, client_id, f"MS-{number + 1:03d}")
        mailboxes[client_id] = s.item(filtering, company, f"{client_id}.example", "Advanced", quantity=quantity)
        s.agree(client_id, filtering)
    mailboxes["orchard"].change(s.day(40), quantity=Decimal(20))
    mailboxes["foxglove"].change(s.day(55), quantity=Decimal(5))
    return [
        Story(
            "seats in the vault",
            "keystone",
            "PWD",
            "under_billed",
            "Two seats more than agreed, by an API nobody coded.",
        ),
        Story(
            "the report says more", "orchard", "SPAM", "under_billed", "The monthly report lists three more mailboxes."
        ),
        Story("the report says less", "foxglove", "SPAM", "over_billed", "The monthly report lists one mailbox less."),
        Story("vault agrees", "hughes", "PWD", "", "A cancelled seat is none."),
    ]
