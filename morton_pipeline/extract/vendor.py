"""What can be said about a vendor. `vendors/` says it; everything else is derived from what is said here.

Belongs here: the vocabulary of declarations. Does not: I/O, Dagster, or any one vendor's facts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from morton_pipeline.extract.auth import AuthFactory, SignIn
from morton_pipeline.extract.pages import Call, Flow, Page, Walk, dig, single_page
from morton_pipeline.extract.records import Record
from morton_pipeline.globs import fits

if TYPE_CHECKING:
    from datetime import date, timedelta

    from morton_pipeline.book import Connection
    from morton_pipeline.extract.reports import Folder

Json = Any
Rows = list[dict[str, Json]]
Fetched = Mapping[str, Rows]
"""The records of the endpoints already fetched in the same scope, by endpoint name."""

UNITS = ("user", "licence", "device", "agent", "mailbox", "gigabyte", "hour", "other")
"""What one of a service can be."""
CATEGORIES = ("rmm", "identity", "security", "backup", "distributor", "time", "other")
"""What a service, and the tool that counts it, can be about."""


@dataclass(frozen=True)
class Rule:
    """A class of records the vendor lists but nobody is billed for; they go to the bucket *excluded* with this name."""

    field: str
    """The column it looks at."""
    pattern: str
    """A glob, without regard to case."""
    name: str
    reason: str
    """One sentence a finance colleague understands."""


@dataclass(frozen=True)
class Proposal:
    """A service an MSP commonly sells by these records: what `morton init` and `mappings suggest` begin with."""

    endpoint: str
    field: str
    pattern: str
    """A glob, without regard to case."""
    service_id: str
    service_name: str
    unit: str
    """user, licence, device, agent, mailbox, gigabyte, hour or other."""


@dataclass(frozen=True)
class Endpoint:
    """One list of a vendor: one table `raw_<vendor>.<name>`, one asset `[vendor, name]`."""

    name: str
    record: type[Record]
    description: str
    """One sentence for the asset's page."""
    path: str = ""
    params: Mapping[str, str | int] = field(default_factory=dict)
    records: str | Callable[[Page], Rows] = ""
    """Where the list stands in the body: a dotted path, "" for a bare array, or a function of the page."""
    pages: Flow = single_page
    total: str | None = None
    """Where the body declares how many records there are, if it does; a walk that differs is rejected."""
    needs: Sequence[str] = ()
    """Endpoints of the same scope that are fetched first."""
    walk: "Callable[[Fetched], Walk] | None" = None
    """A walk that depends on what was fetched before, in place of `path` and `pages`."""
    derive: Callable[[Fetched], Rows] | None = None
    """Records computed from what was fetched before, without a request of their own."""
    enrich: Callable[[Rows, Fetched], Rows] | None = None
    """Adds to each record of a complete walk what another list of the scope knows about it; drops and adds none."""
    awaits: Callable[[Rows, Fetched], Mapping[str, str]] | None = None
    """Tells what a complete walk should have brought and did not: how its records' keys begin, and what it is called.

    Its last records stand, and the scope is partial, for as long as there are any.
    """
    stands_for: "Callable[[Rows], date | None] | None" = None
    """Tells the day its records stand for, where the vendor counts by the day; without it, the moment of reading."""
    configure: "Callable[[Endpoint, Connection], Endpoint] | None" = None
    """The endpoint as the settings of a connection make it."""
    cron: str | None = None
    """How often it is read, where that differs from the vendor's cadence."""
    counts: Literal["", "deployed", "assigned", "purchased"] = ""
    """What its records are a number of: things in use, licences people hold, or what was bought; empty: not counted."""
    names_people: bool = False
    """Whether its records are people: what a client is shown hides their names unless its contract says otherwise."""
    is_primary: bool = True
    """Whether its records count, or wait for a mapping; those of a secondary list count only where one names it."""
    states: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The values that count of the columns `rules` look at, as globs. A value that is neither here nor a rule's is one
    nobody has looked at yet: its record is not billed, and waits in the bucket *unknown_state* for a person."""
    rules: Sequence[Rule] = ()
    quantity: str = ""
    """The column that says how many units a record stands for; empty: each is one. Staging counts by the same."""
    unit: str = ""
    """The column that says what one of them is, where that differs from record to record."""

    def start(self, fetched: Fetched) -> Walk:
        """Begin the walk."""
        if self.walk is not None:
            return self.walk(fetched)
        return self.pages(Call(self.path, self.params))

    def rows(self, page: Page) -> Rows:
        """Return the records of one page."""
        if callable(self.records):
            return self.records(page)
        found = page.body if self.records == "" else dig(page.body, self.records)
        return list(found) if isinstance(found, list) else []


@dataclass(frozen=True)
class Rate:
    """At most `requests` in any `seconds`, over the whole connection."""

    requests: int
    seconds: float


def per_minute(requests: int) -> Rate:
    """Declare a limit per sliding minute."""
    return Rate(requests, 60)


@dataclass(frozen=True)
class Vendor:
    """A system whose API we read."""

    name: str
    title: str
    """As the vendor writes its own name."""
    category: str
    """rmm, identity, security, backup, distributor, accounting, time or other."""
    base_url: str
    auth: AuthFactory
    secrets: Sequence[str]
    """The secrets a connection names, in the words of `connections.yaml`."""
    cron: str
    endpoints: Sequence[Endpoint]
    auth_url: str | None = None
    settings: Sequence[str] = ()
    """Required keys of a connection beside the common ones."""
    optional_settings: Sequence[str] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Further hosts of its API, each by the setting that may replace it; credentials go to these and to no other."""
    read_by_post: Mapping[str, Callable[[Json], bool]] = field(default_factory=dict)
    """What is read by POST: the path, as a glob, and whether a body asked for there only reads. All else is a GET."""
    rate: Rate | None = None
    concurrency: int = 4
    """How many tenants are read at once."""
    tenants: "Callable[[Connection], Endpoint] | None" = None
    """For vendors with one tenant per client: the endpoint that lists them for `tenants: auto`."""
    is_per_tenant: bool = False
    tenants_key: str = "tenants"
    """The word under which connections.yaml lists its tenants."""
    acts_as_admin: bool = False
    """Whether each listed tenant names the `admin` in whose name it is read."""
    is_declared: bool = False
    """Whether its connections declare in connections.yaml what is read; each is then a tool of its own."""
    folder: "Folder | None" = None
    """The folder whose reports are read, in place of an API."""
    is_caller: bool = False
    """Whether it calls us: nothing can be asked of it but in a session it begins itself (`connector/`)."""
    max_age: "timedelta | None" = None
    """How old its records may grow, where that does not follow from how often it is looked at."""
    proposals: Sequence[Proposal] = ()
    """The services its records commonly stand for."""
    sign_in: SignIn | None = None
    """How a person lets us in by the browser; the secret `refresh_token` is then not needed."""
    owner: str = "team:data"

    @property
    def optional_secrets(self) -> Sequence[str]:
        """The secrets a connection may do without."""
        return ("refresh_token",) if self.sign_in else ()

    @property
    def replaceable_hosts(self) -> Mapping[str, str]:
        """Every host beside the API's own and the tokens', each by the setting that may replace it."""
        return {**self.hosts, **({"login_url": self.sign_in.login_url} if self.sign_in else {})}

    def only_reads(self, call: Call) -> bool:
        """Whether a call can do no more than read: it is a GET, or a POST this page says is one in all but name."""
        asked = (reads for path, reads in self.read_by_post.items() if fits(path, call.path))
        return call.method == "GET" or (call.method == "POST" and any(reads(call.json) for reads in asked))

    def mend(self, connection: "Connection") -> str:
        """Say how a connection whose sign-in has ended is mended."""
        if self.sign_in:
            return f"Run `morton connect {connection.id}` to sign in again."
        return f"Put a fresh refresh token into {connection.secrets.get('refresh_token', 'its variable')}."

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint of that name."""
        return next(e for e in self.endpoints if e.name == name)

    def cadence(self, endpoint: Endpoint) -> str:
        """Return how often an endpoint is read, as a cron expression."""
        return endpoint.cron or self.cron
