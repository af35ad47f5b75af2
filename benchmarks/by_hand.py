"""The reconciliation as one would write it by hand for one night: one DuckDB query, and the same again in pandas.

Belongs here: what `reconciling` is held against. Both know the rules of the benchmark's own book and no others; neither
keeps history, evidence, explanations, seals or states. Both return client, service, variance and money.
"""

from fnmatch import translate
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

KEYS = ["client_id", "service_id"]
LISTS = {
    "devices": ("raw_ninjaone.devices", "connection_id, id as record_id, organization_id as company_id, node_class, "
                "approval_status, system_name as record_name"),
    "agents": ("raw_huntress.agents", "connection_id, id as record_id, organization_id as company_id, platform, "
               "hostname as record_name"),
    "user_licenses": ("raw_microsoft365.user_licenses", "connection_id, user_id as record_id, tenant_id as company_id, "
                      "sku_part_number, user_purpose, display_name as record_name"),
}  # fmt: skip
"""The three lists: their tables, and the columns that are needed of them."""

QUERY = """
with

records as (
    select 'ninjaone' as vendor, connection_id, id as record_id, organization_id as company_id,
        coalesce(display_name, system_name) as record_name, node_class as sku
    from w.raw_ninjaone.devices
    where valid_to is null and node_class not ilike 'NMS!_%' escape '!' and node_class <> 'CLOUD_MONITOR_TARGET'
        and approval_status not in ('PENDING', 'STAGED', 'DECOMMISSIONED')
    union all
    select 'huntress', connection_id, id, organization_id, hostname, platform from w.raw_huntress.agents
    where valid_to is null
    union all
    select 'microsoft365', connection_id, user_id, tenant_id, display_name, sku_part_number
    from w.raw_microsoft365.user_licenses
    where valid_to is null and user_purpose not in ('shared', 'room', 'equipment')
        and capability_status not in ('Suspended', 'LockedOut', 'Deleted')
),

patterns as (
    select vendor, service_id, replace(replace(pattern, '_', '!_'), '*', '%') as pattern from service_mappings
),

mapped as (
    select records.*, companies.client_id, patterns.service_id
    from records
    join company_mappings as companies using (connection_id, company_id)
    join patterns on patterns.vendor = records.vendor and records.sku ilike patterns.pattern escape '!'
),

kept as (
    select * from mapped
    where not exists (
        select 1 from exclusions
        where (exclusions.client_id is null or exclusions.client_id = mapped.client_id)
            and (exclusions.vendor is null or exclusions.vendor = mapped.vendor)
            and (exclusions.record_id is null or exclusions.record_id = mapped.record_id)
            and (exclusions.name_pattern is null or mapped.record_name ilike replace(exclusions.name_pattern, '*', '%'))
    )
),

observed as (
    select client_id, service_id,
        if(any_value(unit) = 'user', count(distinct (connection_id, company_id, record_id)), count(*)) as quantity
    from kept join services using (service_id)
    group by client_id, service_id
),

countable as (
    select distinct client_id, service_id
    from company_mappings as companies
    join patterns on patterns.vendor = if(companies.connection_id = 'm365', 'microsoft365', companies.connection_id)
),

billable as (
    select client_id, service_id, coalesce(contracts.quantity, 0) as contracted,
        coalesce(contracts.unit_price, services.list_price) as price,
        case contracts.billing_model
            when 'minimum' then greatest(coalesce(observed.quantity, 0), contracts.minimum_quantity)
            when 'included' then greatest(coalesce(observed.quantity, 0) - contracts.included_quantity, 0)
            else coalesce(observed.quantity, 0)
        end as billable
    from countable
    join services using (service_id)
    left join observed using (client_id, service_id)
    left join contracts using (client_id, service_id)
)

select client_id, service_id,
    cast(billable - contracted as decimal(18, 4)) as variance_quantity,
    cast(round((billable - contracted) * price, 2) as decimal(18, 4)) as variance_amount
from billable
where billable <> contracted
order by client_id, service_id
"""


def in_duckdb(root: Path) -> pd.DataFrame:
    """Answer with one query over the warehouse's own current records and the seeds."""
    with duckdb.connect() as con:
        con.execute("set enable_progress_bar = false")
        con.execute(f"attach '{root / 'data' / 'warehouse.duckdb'}' as w (read_only)")
        for seed in ("services", "contracts", "company_mappings", "service_mappings", "exclusions"):
            path = root / "seeds" / f"{seed}.csv"
            header = path.read_text("utf-8").partition("\n")[0].split(",")
            types = ", ".join(f"'{column}': '{_kind(column)}'" for column in header)
            con.execute(f"create temp table {seed} as from read_csv('{path}', types={{{types}}})")
        return con.sql(QUERY).df()


def _kind(column: str) -> str:
    is_number = column.endswith(("quantity", "price", "cost"))
    return "decimal(18, 4)" if is_number else "varchar"


def export(root: Path, target: Path) -> None:
    """Write the current records as Parquet, one file per list, for whoever does not read DuckDB."""
    with duckdb.connect(str(root / "data" / "warehouse.duckdb"), read_only=True) as con:
        for name, (table, listed) in LISTS.items():
            con.execute(f"copy (select {listed} from {table} where valid_to is null) to '{target / f'{name}.parquet'}'")


def in_pandas(root: Path, exported: Path) -> pd.DataFrame:
    """Answer with pandas, from Parquet files of the current records and the seeds."""
    seeds = {p.stem: pd.read_csv(p, dtype="string") for p in (root / "seeds").glob("*.csv")}
    records = _mapped(exported, seeds)
    observed = _counted(_without_exclusions(records, seeds["exclusions"]), seeds["services"])
    vendors = seeds["company_mappings"].assign(vendor=lambda f: f["connection_id"].replace({"m365": "microsoft365"}))
    rows = vendors.merge(seeds["service_mappings"][["vendor", "service_id"]].drop_duplicates())[KEYS].drop_duplicates()
    rows = rows.merge(seeds["services"][["service_id", "list_price"]], on="service_id")
    rows = rows.merge(observed, on=KEYS, how="left").merge(seeds["contracts"], on=KEYS, how="left")
    return _priced(rows)


def _mapped(exported: Path, seeds: dict[str, pd.DataFrame]) -> pd.DataFrame:
    devices = pd.read_parquet(exported / "devices.parquet")
    is_gear = devices["node_class"].str.startswith("NMS_") | (devices["node_class"] == "CLOUD_MONITOR_TARGET")
    devices = devices[~is_gear & ~devices["approval_status"].isin(["PENDING", "STAGED", "DECOMMISSIONED"])]
    licenses = pd.read_parquet(exported / "user_licenses.parquet")
    licenses = licenses[~licenses["user_purpose"].isin(["shared", "room", "equipment"])]
    lists = {
        "ninjaone": devices.rename(columns={"node_class": "sku"}),
        "huntress": pd.read_parquet(exported / "agents.parquet").rename(columns={"platform": "sku"}),
        "microsoft365": licenses.rename(columns={"sku_part_number": "sku"}),
    }
    names = ["connection_id", "record_id", "company_id", "sku", "record_name"]
    records = pd.concat([frame[names].assign(vendor=vendor) for vendor, frame in lists.items()], ignore_index=True)
    records = records.merge(seeds["company_mappings"][["connection_id", "company_id", "client_id"]])
    # Which SKU is which service is decided once per SKU, as one would.
    skus = records[["vendor", "sku"]].drop_duplicates().merge(seeds["service_mappings"], on="vendor")
    fits = [
        pd.Series([s]).str.fullmatch(translate(p), case=False).iloc[0]
        for s, p in zip(skus["sku"], skus["pattern"], strict=True)
    ]
    return records.merge(skus.loc[fits, ["vendor", "sku", "service_id"]], on=["vendor", "sku"])


def _without_exclusions(records: pd.DataFrame, exclusions: pd.DataFrame) -> pd.DataFrame:
    by_id = exclusions[exclusions["record_id"].notna()]
    is_out = pd.MultiIndex.from_frame(records[["vendor", "record_id"]]).isin(
        pd.MultiIndex.from_frame(by_id[["vendor", "record_id"]])
    )
    by_name = exclusions[exclusions["name_pattern"].notna()]
    of_clients = records[records["client_id"].isin(by_name["client_id"])]
    for _, one in by_name.iterrows():
        mine = of_clients[of_clients["client_id"] == one["client_id"]]
        named = mine["record_name"].str.fullmatch(translate(one["name_pattern"]), case=False)
        is_out[mine.index[named]] = True
    return records[~is_out]


def _counted(records: pd.DataFrame, services: pd.DataFrame) -> pd.DataFrame:
    is_user = records["service_id"].isin(services.loc[services["unit"] == "user", "service_id"])
    persons = records[is_user].drop_duplicates([*KEYS, "connection_id", "company_id", "record_id"])
    counted = pd.concat([records[~is_user], persons]).groupby(KEYS).size()
    return counted.rename("observed").reset_index()


def _priced(rows: pd.DataFrame) -> pd.DataFrame:
    """Money in whole cents: the book's prices have no smaller part, so integers are exact."""
    number = {
        c: pd.to_numeric(rows[c]).fillna(0).astype("int64")
        for c in ("observed", "quantity", "minimum_quantity", "included_quantity")
    }
    price = (pd.to_numeric(rows["unit_price"].fillna(rows["list_price"])) * 100).round().astype("int64")
    billable = np.select(
        [rows["billing_model"].eq("minimum").fillna(False), rows["billing_model"].eq("included").fillna(False)],
        [
            np.maximum(number["observed"], number["minimum_quantity"]),
            np.maximum(number["observed"] - number["included_quantity"], 0),
        ],
        number["observed"],
    )
    variance = billable - number["quantity"]
    found = rows[KEYS].assign(variance_quantity=variance, variance_amount=variance * price / 100)
    return found[variance != 0].sort_values(KEYS, ignore_index=True)
