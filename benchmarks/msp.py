"""A provider of any size: seeds of its clients and the records of three vendors, drawn at random but always the same.

Belongs here: making up the book and loading it, without a vendor's interface in between (`simulator` has those).
Every rule that moves a quantity has something to do in it: unmapped companies and SKUs, vendor rules, exclusions,
persons with two licences, contracts that count above or from a number, and services without a contract.
"""

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from morton_pipeline import seeds
from morton_pipeline.book import Book, open_book
from morton_pipeline.extract.records import Validated, columns
from morton_pipeline.vendors import VENDORS
from morton_pipeline.warehouse.load import load_validated
from morton_pipeline.warehouse.verdict import Attempt

MOST_CLIENTS = 2_000
SHARES = {"devices": 0.5, "user_licenses": 0.3, "agents": 0.2}
"""How the records are spread over the vendors' lists."""
ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "Europe/London")
CLASSES = {"WINDOWS_WORKSTATION": 0.62, "MAC": 0.08, "WINDOWS_SERVER": 0.12, "LINUX_SERVER": 0.05, "NMS_SWITCH": 0.08,
           "CLOUD_MONITOR_TARGET": 0.05}  # fmt: skip
SKUS = {"SPB": 0.45, "SPE_E3": 0.3, "SPE_E5": 0.1, "POWER_BI_PRO": 0.1, "FLOW_FREE": 0.05}
SERVICES = (
    # service_id, service_name, category, unit, list_price, count_vendor
    ("workstation", "Managed Workstation", "rmm", "device", "45.00", "ninjaone"),
    ("server", "Managed Server", "rmm", "device", "150.00", "ninjaone"),
    ("edr", "Endpoint Detection", "security", "agent", "6.50", "huntress"),
    ("m365_bp", "Microsoft 365 Business Premium", "identity", "user", "26.40", "microsoft365"),
    ("m365_e", "Microsoft 365 Enterprise", "identity", "licence", "43.75", "microsoft365"),
)
MAPPINGS = (
    ("ninjaone", "devices", "node_class", "WINDOWS_WORKSTATION", "workstation"),
    ("ninjaone", "devices", "node_class", "MAC*", "workstation"),
    ("ninjaone", "devices", "node_class", "*_SERVER", "server"),
    ("huntress", "agents", "platform", "*", "edr"),
    ("microsoft365", "user_licenses", "sku_part_number", "SPB", "m365_bp"),
    ("microsoft365", "user_licenses", "sku_part_number", "O365_BUSINESS_PREMIUM", "m365_bp"),
    ("microsoft365", "user_licenses", "sku_part_number", "SPE_*", "m365_e"),
)

Frames = dict[str, pd.DataFrame]


def clients_of(records: int) -> int:
    """Return how many clients a provider with that many records has: one for every hundred, up to two thousand."""
    return min(MOST_CLIENTS, max(1, records // 100))


def make_book(root: Path, clients: int, frames: Frames | None = None) -> Book:
    """Write connections and seeds of a book with that many clients who have these records; none gives an empty book."""
    root.mkdir(parents=True)
    tenants = "".join(f"\n      - {{id: tenant-{n}, name: Client {n}}}" for n in range(clients)) or " [{id: tenant-0}]"
    (root / "connections.yaml").write_text(
        f"""
connections:
  - id: ninjaone
    vendor: ninjaone
    secrets: {{client_id: NINJAONE_CLIENT_ID, client_secret: NINJAONE_CLIENT_SECRET}}
  - id: huntress
    vendor: huntress
    secrets: {{api_key: HUNTRESS_API_KEY, api_secret: HUNTRESS_API_SECRET}}
  - id: m365
    vendor: microsoft365
    secrets: {{client_id: M365_CLIENT_ID, client_secret: M365_CLIENT_SECRET}}
    tenants:{tenants}
""",
        "utf-8",
    )
    (root / "seeds").mkdir()
    for name, rows in _seeds(clients, _held(frames) if frames else {}).items():
        header = [c.name for c in seeds.SEEDS[name]]
        frame = pd.DataFrame(rows, columns=header[: len(rows[0])] if rows else header)
        frame.reindex(columns=header).to_csv(root / "seeds" / f"{name}.csv", index=False)
    return open_book(root)


def _seeds(clients: int, held: dict[tuple[str, str], int]) -> dict[str, list[tuple[object, ...]]]:
    dice = np.random.default_rng(11)
    names = [f"client-{n:04d}" for n in range(1, clients + 1)]
    contracts: list[tuple[object, ...]] = []
    for n, client in enumerate(names, start=1):
        for service, _, _, _, price, _ in SERVICES:
            quantity, model, minimum, included = _terms(dice, held.get((str(n), service), 0))
            if dice.random() < 0.9:
                contract_id = f"{client}-{service}"
                contracts.append((contract_id, client, service, quantity, price, model, minimum, included))
    # A client in a hundred has no mapping at Huntress: its agents belong to nobody, its contract is not audited.
    companies = [
        (connection, company, name, name)
        for n, name in enumerate(names)
        for connection, company in (("ninjaone", str(n + 1)), ("huntress", str(n + 1)), ("m365", f"tenant-{n}"))
        if connection != "huntress" or n % 100
    ]
    exclusions: list[tuple[object, ...]] = [
        (f"x-{n}", "", "", "ninjaone", str(n * 17 + 3), "", "", "lent out") for n in range(min(clients, 20))
    ]
    exclusions += [(f"y-{n}", names[n], "", "", "", "*-LAB", "", "laboratory") for n in range(min(clients, 20))]
    return {
        "clients": [(c, c.title(), "active", "USD", ZONES[n % len(ZONES)], 90) for n, c in enumerate(names)],
        "services": [(i, name, kind, unit, price, "1.00", vendor) for i, name, kind, unit, price, vendor in SERVICES],
        "contracts": contracts,
        "company_mappings": companies,
        "service_mappings": list(MAPPINGS),
        "exclusions": exclusions,
    }


def _terms(dice: np.random.Generator, has: int) -> tuple[int, str, object, object]:
    """Draw what a contract charges for: with seven in ten what the client has, with the others more often less."""
    model = str(dice.choice(["per_unit", "minimum", "included"], p=[0.8, 0.1, 0.1]))
    quantity = max(0, has - 5) if model == "included" else has
    if dice.random() < 0.3:
        quantity = max(0, quantity + int(dice.integers(-10, 4)))
    return quantity, model, quantity if model == "minimum" else "", 5 if model == "included" else ""


def _held(frames: Frames) -> dict[tuple[str, str], int]:
    """Count roughly what every client has of every service, as whoever wrote the contracts did."""
    devices, licenses = frames["devices"], frames["user_licenses"]
    devices = devices[devices["approval_status"] == "APPROVED"]
    is_server = devices["node_class"].str.endswith("_SERVER")
    is_computer = devices["node_class"].isin(["WINDOWS_WORKSTATION", "MAC"])
    licenses = licenses[licenses["user_purpose"] == "user"]
    sku = licenses["sku_part_number"]
    is_premium = sku.isin(["SPB", "O365_BUSINESS_PREMIUM"])
    tenants = licenses["tenant_id"].str.removeprefix("tenant-").astype(int) + 1
    counted = {
        "workstation": devices[is_computer].groupby("organization_id").size(),
        "server": devices[is_server].groupby("organization_id").size(),
        "edr": frames["agents"].groupby("organization_id").size(),
        "m365_bp": licenses[is_premium].groupby(tenants)["user_id"].nunique(),
        "m365_e": licenses[sku.str.startswith("SPE_")].groupby(tenants).size(),
    }
    return {(str(company), service): int(n) for service, by in counted.items() for company, n in by.items()}


def make_frames(records: int, clients: int) -> Frames:
    """Draw the records of each list, as they are after validation."""
    dice = np.random.default_rng(7)
    numbers = {endpoint: int(records * share) for endpoint, share in SHARES.items()}
    return {
        "devices": _devices(dice, numbers["devices"], clients),
        "agents": _agents(dice, numbers["agents"], clients),
        "user_licenses": _licenses(dice, numbers["user_licenses"], clients),
    }


def _devices(dice: np.random.Generator, count: int, clients: int) -> pd.DataFrame:
    number = pd.Series(np.arange(1, count + 1)).astype(str)
    classes = dice.choice(list(CLASSES), count, p=list(CLASSES.values()))
    status = dice.choice(["APPROVED", "PENDING", "DECOMMISSIONED"], count, p=[0.97, 0.02, 0.01])
    name = "PC-" + number + np.where(dice.random(count) < 0.01, "-LAB", "")
    # A hundredth of the organisations beyond the last client's belong to no client.
    company = dice.integers(1, clients + clients // 100 + 1, count).astype(str)
    return _frame("ninjaone", "devices", number, id=number, uid="uid-" + number, organization_id=company,
                  location_id=company, node_class=classes, approval_status=status, system_name=name,
                  dns_name=name.str.lower() + ".example.com", created="1700000000.5")  # fmt: skip


def _agents(dice: np.random.Generator, count: int, clients: int) -> pd.DataFrame:
    number = pd.Series(np.arange(1, count + 1)).astype(str)
    platform = dice.choice(["windows", "darwin"], count, p=[0.9, 0.1])
    company = dice.integers(1, clients + 1, count).astype(str)
    return _frame("huntress", "agents", number, id=number, organization_id=company, hostname="PC-" + number,
                  platform=platform, os=platform, serial_number="SN" + number,
                  created_at="2025-01-01T00:00:00Z")  # fmt: skip


def _licenses(dice: np.random.Generator, count: int, clients: int) -> pd.DataFrame:
    """Every fifth licence belongs to the user of the one before: such a person is one seat."""
    place = np.arange(count)
    tenant = np.sort(dice.integers(0, clients, count))
    user = pd.Series(np.where(place % 5 == 4, place - 1, place)).astype(str)
    sku = np.where(
        place % 5 == 4,
        np.where(place % 2 == 0, "O365_BUSINESS_PREMIUM", "VISIOCLIENT"),
        dice.choice(list(SKUS), count, p=list(SKUS.values())),
    )
    purpose = dice.choice(["user", "shared", "room"], count, p=[0.95, 0.04, 0.01])
    sku_id = "sku-" + pd.Series(sku).str.lower()
    frame = _frame("microsoft365", "user_licenses", user + "|" + sku_id, user_id=user, sku_id=sku_id,
                   sku_part_number=sku, user_principal_name="u" + user + "@example.com", display_name="User " + user,
                   account_enabled=dice.random(count) < 0.97, user_type="Member", user_purpose=purpose,
                   capability_status="Enabled")  # fmt: skip
    return frame.assign(tenant_id=[f"tenant-{n}" for n in tenant])


def _frame(vendor: str, endpoint: str, keys: "pd.Series[str]", **values: object) -> pd.DataFrame:
    declared = columns(VENDORS[vendor].endpoint(endpoint).record)
    types = {"bigint": "Int64", "boolean": "boolean"}
    frame = pd.DataFrame(index=keys.index)
    for c in declared:
        frame[c.name] = pd.Series(values.get(c.name), index=keys.index, dtype=types.get(c.sql_type, "string"))  # type: ignore[call-overload]
    return frame.assign(record_key=keys.astype("string"))


def load(book: Book, frames: Frames, at: datetime) -> None:
    """Load the records as if every list had just been read."""
    attempts = [_attempt("ninjaone", "ninjaone", "devices", "", at, frames["devices"]),
                _attempt("huntress", "huntress", "agents", "", at, frames["agents"])]  # fmt: skip
    licenses = frames["user_licenses"]
    for tenant, rows in licenses.drop(columns="tenant_id").groupby(licenses["tenant_id"], sort=False):
        attempts.append(_attempt("m365", "microsoft365", "user_licenses", str(tenant), at, rows))
    for loaded in load_validated(book, attempts):
        if loaded.status != "complete":
            raise SystemExit(
                f"The benchmark's own records were not taken: {loaded.extraction_id} {loaded.status}: {loaded.reason}"
            )


def _attempt(connection: str, vendor: str, endpoint: str, tenant: str, at: datetime, rows: pd.DataFrame) -> Attempt:
    none = pd.DataFrame(
        {name: pd.Series(dtype="string") for name in ("record_key", "column_name", "check_name", "value")}
    )
    return Attempt(connection, vendor, endpoint, tenant, "", at, Validated(rows.reset_index(drop=True), none, 0))


def change(frames: Frames) -> None:
    """Rename one record in a hundred."""
    for endpoint, column in (("devices", "system_name"), ("agents", "hostname"), ("user_licenses", "display_name")):
        frame = frames[endpoint]
        frame.loc[frame.index % 100 == 50, column] += "-renamed"
