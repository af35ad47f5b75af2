"""Veeam Service Provider Console: what Veeam protects for each client. One billable unit is one of a counter's.

Credentials: a read-only REST API key. The server is the provider's own, on port 1280, and often shows a certificate of
its own making: `ca_file` names it. The server's limits are its administrator's to set; it answers 429 beyond them.

The console counts by company, location and day: one day is read, the newest that is over, and days are never added.
A company that is active and missing on that day keeps its last counters, and the reading is partial.
Many counters count the same machines or the same bytes in another way; those are excluded by name unless a mapping
names them, and so is what grows over a billing period, of which a day says nothing. Every list declares its length.
"""

from collections.abc import Generator, Sequence
from datetime import date, timedelta
from fnmatch import fnmatch

from morton_pipeline.clock import now
from morton_pipeline.extract.auth import header_key
from morton_pipeline.extract.errors import Incomplete, RequestRefused
from morton_pipeline.extract.pages import Call, Page, Walk, dig
from morton_pipeline.extract.records import Number, Record, Text, column, gigabytes, key, number, snake
from morton_pipeline.extract.vendor import Endpoint, Fetched, Json, Proposal, Rows, Rule, Vendor

COMPANIES = "/api/v3/organizations/companies"
USAGE = "/api/v3/organizations/companies/usage"
LARGEST_PAGE = 500
LOOK_BACK = 3
"""How many days we look back for one the console has gathered."""

DEVICES = ("Managed*Agents", "ManagedAgents*OS", "*Vms", "*CloudBackups", "VmCloudReplicas")
USERS = ("*Users",)
BREAKDOWNS = ("ManagedAgents*OS", "BackedupVms", "ReplicatedVms", "ManagedCdpVms", "*CloudBackups", "VmCloudReplicas")
OBJECTS = ("Vb365ProtectedGroups", "Vb365ProtectedSites", "Vb365ProtectedTeams")
STORAGE = ("*Size", "*Usage", "*UsageBy*")
TRANSFER = ("*DataTransferIn", "*DataTransferOut")
PERIODS = ("*ComputeTime",)
"""Kinds of counters, as globs: one the console adds later falls in with its kind, or waits for a mapping."""


class Company(Record):
    """A client company as the console knows it."""

    instance_uid: Text = key("The console's own id of the company.")
    name: Text = column("The company's name.", nullable=False)
    status: Text = column("Active, Disabled and others.", nullable=False)
    reseller_uid: Text = column("The reseller that manages the company.")
    external_id: Text = column("The companyId somebody entered for other systems.")


class Usage(Record):
    """One counter of a company at one of its locations, on the newest day that is over."""

    company_uid: Text = key("The company it counts for.")
    location_uid: Text = key("The company's location.")
    counter: Text = key("What is counted, in the console's own word.")
    counter_name: Text = column("The same in words.", nullable=False)
    company_name: Text = column("The company's name; empty where the list of companies does not name it.")
    quantity: Number = number(
        "How many; bytes are written as gigabytes of 1024³ to one decimal: finer, each day would change them.",
        nullable=False,
    )
    unit: Text = column("device, user, gigabyte or other.", nullable=False)
    usage_state: Text = column("Ours: used, or unused where the counter stands at zero.", nullable=False)


def every_page(call: Call) -> Generator[Call, Page, list[Page]]:
    """Walk a list to its declared length, and return its pages; the server must have started where it was told to."""
    call, seen, read = call.with_params(limit=LARGEST_PAGE), 0, list[Page]()
    while True:
        page = yield call.with_params(offset=seen)
        paging, rows = page.body["meta"]["pagingInfo"], page.body["data"]
        if int(paging["offset"]) != seen:
            raise Incomplete(f"{call.path} was asked from record {seen} and answered from {paging['offset']}.")
        read.append(page)
        seen += len(rows)
        declared = {int(each.body["meta"]["pagingInfo"]["total"]) for each in read}
        if declared == {seen}:
            return read
        if not rows or len(declared) > 1 or seen > max(declared):
            said = " and then ".join(str(number) for number in sorted(declared))
            raise Incomplete(f"{call.path} declared {said} records and sent {seen}: it was cut, or changed meanwhile.")


def pages(call: Call) -> Walk:
    """Walk a list to its declared length."""
    yield from every_page(call)


def listed(page: Page) -> Rows:
    """The list in an answer; one that reports errors beside it is not whole."""
    if page.body.get("errors"):
        said = "; ".join(str(dig(error, "message")).rstrip(".") for error in page.body["errors"])
        raise RequestRefused(f"{page.call.path}: the console answered with errors ({said}).")
    return list(page.body["data"])


def company_records(page: Page) -> Rows:
    """The id for other systems stands in the organisation behind the company."""
    return [{**row, "externalId": dig(row, "_embedded.organization.companyId")} for row in listed(page)]


def newest_day(fetched: Fetched) -> Walk:
    """Read the newest day that is over and has been gathered, from a range around it, whichever of its ends count."""
    today = now().date()
    for back in range(1, LOOK_BACK + 1):
        day = today - timedelta(days=back)
        around = {"fromDate": str(day - timedelta(days=1)), "toDate": str(day + timedelta(days=1))}
        read = yield from every_page(Call(USAGE, around, note=str(day)))
        if any(_day(row) == str(day) for page in read for row in page.body["data"]):
            return
    if _active(fetched):
        raise Incomplete(f"The console has gathered no usage since {today - timedelta(days=LOOK_BACK)}.")


def _active(fetched: Fetched) -> dict[str, str]:
    return {row["instanceUid"]: row["name"] for row in fetched["companies"] if row["status"] == "Active"}


def not_gathered(rows: Rows, fetched: Fetched) -> dict[str, str]:
    """Name the active companies the day says nothing of, not even zero: the console has not gathered them."""
    counted = {row["companyUid"] for row in rows}
    return {f"{company}|": name for company, name in _active(fetched).items() if company not in counted}


def day_of(rows: Rows) -> date | None:
    """The one day all counters are of."""
    return date.fromisoformat(rows[0]["countedOn"]) if rows else None


def _day(row: dict[str, Json]) -> str:
    return str(row["date"])[:10]


def usage_records(page: Page) -> Rows:
    """One record per counter of the day that is read.

    A zero of a counter that may be sold is kept: a company that has none and one nobody counted must not look the same.
    The zeros of the other counters, some forty for each location, say nothing and are left out.
    """
    return [
        _record(row, counter)
        for row in listed(page)
        if _day(row) == page.call.note
        for counter in row["counters"]
        if counter["value"] != 0 or not _fits(counter["type"], NOT_SOLD)
    ]


def _record(row: dict[str, Json], counter: dict[str, Json]) -> dict[str, Json]:
    name, value = counter["type"], counter["value"]
    is_bytes = _fits(name, STORAGE + TRANSFER)
    return {
        "companyUid": row["companyUid"],
        "locationUid": row["locationUid"],
        "countedOn": _day(row),
        "counter": name,
        "counterName": snake(name).replace("_", " ").capitalize(),
        "quantity": gigabytes(value) if is_bytes else value,
        "unit": "gigabyte" if is_bytes else unit_of(name),
        "usageState": "unused" if value == 0 else "used",
    }


def unit_of(counter: str) -> str:
    """What one of a counter's is, where it does not count bytes."""
    return "device" if _fits(counter, DEVICES) else "user" if _fits(counter, USERS) else "other"


def _fits(counter: str, globs: Sequence[str]) -> bool:
    return any(fnmatch(counter.lower(), glob.lower()) for glob in globs)


def with_company(rows: Rows, fetched: Fetched) -> Rows:
    """Name the company of each counter."""
    names = {row["instanceUid"]: row["name"] for row in fetched["companies"]}
    return [{**row, "companyName": names.get(row["companyUid"])} for row in rows]


def _rules(globs: Sequence[str], name: str, reason: str) -> tuple[Rule, ...]:
    return tuple(Rule("counter", glob, name, reason) for glob in globs)


RULES = (
    *_rules(BREAKDOWNS, "breakdown", "It counts machines once more that another counter has counted already."),
    *_rules(OBJECTS, "m365_object", "Groups, sites and teams are protected with the users, who are counted."),
    *_rules(STORAGE, "storage", "Storage is sold only where a mapping names the counter, and counters overlap."),
    *_rules(TRANSFER, "transfer", "Transfers add up over a billing period, and a single day is no quantity."),
    *_rules(PERIODS, "period_total", "Computing time adds up over a billing period, and a single day is no quantity."),
)
NOT_SOLD = tuple(rule.pattern for rule in RULES)

VENDOR = Vendor(
    name="veeam_spc",
    title="Veeam Service Provider Console",
    category="backup",
    base_url="https://vspc.example:1280",
    auth=header_key("Authorization", "api_key", prefix="Bearer "),
    secrets=("api_key",),
    settings=("base_url",),
    optional_settings=("ca_file",),
    cron="0 13 * * *",
    endpoints=(
        Endpoint(
            "companies",
            Company,
            "The client companies in the console.",
            path=COMPANIES,
            params={"expand": "Organization"},
            records=company_records,
            pages=pages,
            total="meta.pagingInfo.total",
        ),
        Endpoint(
            "company_usage",
            Usage,
            "What the console counted for each company on the newest day that is over.",
            needs=("companies",),
            walk=newest_day,
            records=usage_records,
            enrich=with_company,
            awaits=not_gathered,
            stands_for=day_of,
            counts="deployed",
            quantity="quantity",
            unit="unit",
            rules=(*RULES, Rule("usage_state", "unused", "unused", "The counter stands at zero.")),
        ),
    ),
    proposals=(
        Proposal("company_usage", "counter", "ManagedServerAgents", "VEEAM-SRV", "Veeam server backup", "device"),
        Proposal(
            "company_usage", "counter", "ManagedWorkstationAgents", "VEEAM-WKS", "Veeam workstation backup", "device"
        ),
        Proposal("company_usage", "counter", "Vb365ProtectedUsers", "VEEAM-M365", "Veeam Microsoft 365 backup", "user"),
    ),
)
