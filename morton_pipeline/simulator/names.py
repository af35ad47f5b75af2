"""The names of the invented world: companies that are awkward to handle on purpose, people, and machines.

Belongs here: lists of words. Does not: how many of anything there are over time.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """One client before anything happens: who it is, and how large."""

    id: str
    name: str
    staff: int
    time_zone: str = "America/New_York"
    currency: str = "USD"
    main_sku: str = "SPB"
    status: str = "active"
    directory_name: str = ""
    """What Microsoft calls it, where that differs."""
    has_tenant: bool = True
    has_edr: bool = True


PROFILES = (
    Profile("acme-corp", "Acme Corp", 34),
    Profile("acme-capital", "Acme Capital", 22, directory_name="Acme Capital Partners, Inc."),
    Profile("oreilly", "O'Reilly & Sons Plumbing", 14, "America/Chicago"),
    Profile("mueller", "Müller & Söhne GmbH", 26, "Europe/Berlin", "EUR", "SPE_E3"),
    Profile("smith-smythe", "Smith, Smythe & Partners LLP", 21, main_sku="SPE_E3"),
    Profile("sakura", "さくら歯科クリニック", 9, "Asia/Tokyo", directory_name="Sakura Dental Clinic"),
    Profile("hughes", "Hughes-Llewellyn Solicitors", 18, "Europe/London", "GBP"),
    Profile("royal-borough", "Royal Borough Nurseries Ltd", 16, "Europe/London", "GBP", "O365_BUSINESS_PREMIUM"),
    Profile(
        "society",
        "The Honourable Society for the Preservation of Lakeshore Lighthouses, Harbours, Foghorns and Associated "
        "Maritime Heritage of the Greater Northern Counties (Charitable Trust)",
        11,
        main_sku="O365_BUSINESS_PREMIUM",
        directory_name="Lakeshore Lighthouses Trust",
    ),
    Profile("northgate", "Northgate Managed IT", 15, status="internal"),
    Profile("bluebird", "Bluebird Travel", 12, "America/Chicago", status="offboarded"),
    Profile("harbor-dental", "Harbor Dental Group", 40),
    Profile("angstrom", "Ångström Optics", 17, "America/Denver"),
    Profile("cafe-noel", "Café Noël", 7, main_sku="O365_BUSINESS_ESSENTIALS"),
    Profile("blue-door", 'The "Blue Door" Gallery', 6, main_sku="O365_BUSINESS_PREMIUM"),
    Profile("plus-one", "+1 Fitness Studios", 13, "America/Phoenix", main_sku="O365_BUSINESS_ESSENTIALS"),
    Profile("lord-howe", "Lord Howe Island Lodge", 8, "Australia/Lord_Howe", main_sku="O365_BUSINESS_PREMIUM"),
    Profile("lukasz", "Łukasz Transport Sp. z o.o.", 19, "America/New_York", main_sku="O365_BUSINESS_PREMIUM"),
    Profile("st-johns", "St. John's Parish Office", 8, "America/St_Johns", main_sku="O365_BUSINESS_ESSENTIALS"),
    Profile("dangelo", "D'Angelo Bakery Co.", 10, main_sku="O365_BUSINESS_PREMIUM"),
    Profile("vertex", "Vertex Engineering", 38, "America/Los_Angeles", main_sku="SPE_E3"),
    Profile("pinewood", "Pinewood Veterinary", 12, "America/Denver"),
    Profile("granite", "Granite State Insurance", 29),
    Profile("riverbend", "Riverbend Schools Foundation", 27, "America/Chicago"),
    Profile("summit", "Summit Legal", 15, "America/Denver"),
    Profile("cobalt", "Cobalt Manufacturing", 44, "America/Chicago"),
    Profile("lantern", "Lantern Press", 9, main_sku="O365_BUSINESS_PREMIUM"),
    Profile("meridian", "Meridian Health Partners", 33),
    Profile("foxglove", "Foxglove Florists", 5, main_sku="O365_BUSINESS_ESSENTIALS"),
    Profile("ironbridge", "Ironbridge Construction", 23, "America/Los_Angeles"),
    Profile("tidewater", "Tidewater Logistics", 28),
    Profile("juniper-hill", "Juniper Hill Accounting", 13),
    Profile("juniper-hall", "Juniper Hall Academy", 16),
    Profile("quarry", "Quarry Stone & Tile", 11, "America/Phoenix", main_sku="O365_BUSINESS_PREMIUM"),
    Profile("silverline", "Silverline Architects", 18, "America/Los_Angeles"),
    Profile("orchard", "Orchard Family Practice", 14, has_edr=False),
    Profile("keystone", "Keystone Auto Parts", 20, "America/Chicago", has_tenant=False),
    Profile("windmill", "Windmill Brewing", 9, "America/Denver", has_tenant=False),
    Profile("beacon", "Beacon Nonprofit Alliance", 17),
    Profile("hollow-oak", "Hollow Oak Furniture", 10, has_tenant=False),
)

GIVEN = (
    "Ada", "Amir", "Anaïs", "Beatriz", "Björn", "Carla", "Chen", "Dana", "Diego", "Edith", "Emeka", "Farah", "Finn",
    "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jade", "Jonas", "Kaito", "Keira", "Lars", "Leila", "Mateo", "Mira",
    "Nadia", "Noah", "Olga", "Omar", "Priya", "Quinn", "Rosa", "Ruben", "Sean", "Siobhán", "Tara", "Tomás", "Uma",
    "Viktor", "Wren", "Yusuf", "Zoë",
)  # fmt: skip

FAMILY = (
    "Abbott", "Adeyemi", "Baker", "Becker", "Castro", "Chaudhry", "D'Souza", "Delgado", "Eriksen", "Fischer",
    "Garcia", "Goldberg", "Haddad", "Ibrahim", "Jansen", "Kaplan", "Kowalski", "Larsen", "Li", "Mancini", "Moreau",
    "Nakamura", "Novak", "O'Brien", "Okafor", "Park", "Petrov", "Quist", "Ramirez", "Rossi", "Sato", "Schäfer",
    "Singh", "Tanaka", "Torres", "Underwood", "Varga", "Walsh", "Xu", "Yilmaz", "Zimmer",
)  # fmt: skip

SKUS = {
    "SPB": "cbdc14ab-d96c-4c30-b9f4-6ada7cdc1d46",
    "O365_BUSINESS_PREMIUM": "f245ecc8-75af-4f8e-b61f-27d8114de5f3",
    "O365_BUSINESS_ESSENTIALS": "3b555118-da6a-4418-894f-7df1e2096870",
    "EXCHANGESTANDARD": "4b9405b0-7788-4568-add1-99614e613b69",
    "SPE_E3": "05e9a617-0261-4cee-bb44-138d3ef5d965",
    "ENTERPRISEPACK": "6fd2c87f-b296-42f0-b197-1e91e994b900",
    "Microsoft_365_Copilot": "639dec6b-bb19-468b-871c-c5c441c4b0cb",
    "MCOEV": "e43b5b99-8dfb-405f-9987-dc307f34bcbd",
    "VISIOCLIENT": "c5928f49-12ba-48f7-ada3-0d743a3601d5",
    "FLOW_FREE": "f30db892-07e9-47e9-837c-80727f46fd3d",
    "POWER_BI_STANDARD": "a403ebcc-fae0-4ca2-8c8c-7a907fd6c235",
    "POWERAPPS_VIRAL": "dcb1a3ae-b33f-4487-846a-a640262fadf4",
    "TEAMS_EXPLORATORY": "710779e8-3d4a-4c88-adb9-386c958d1fdf",
    "WINDOWS_STORE": "6470687e-a428-4b7a-bef2-8a291ad947c9",
}
"""Part numbers and Microsoft's own ids of the SKUs that occur."""

FREE_SKUS = frozenset({"FLOW_FREE", "POWER_BI_STANDARD", "POWERAPPS_VIRAL", "TEAMS_EXPLORATORY", "WINDOWS_STORE"})
"""Those nobody pays for."""
