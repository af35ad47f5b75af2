"""What can be said about a vendor. `vendors/` says it; everything else is derived from what is said here.

Belongs here: the vocabulary of declarations. Does not: I/O, Dagster, or any one vendor's facts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from morton_pipeline.extract.auth import AuthFactory
from morton_pipeline.extract.pages import Call, Flow, Page, Walk, dig, single_page
from morton_pipeline.extract.records import Record

if TYPE_CHECKING:
    from morton_pipeline.book import Connection

Json = Any
Rows = list[dict[str, Json]]
Fetched = Mapping[str, Rows]
"""The records of the endpoints already fetched in the same scope, by endpoint name."""


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
    cron: str | None = None
    """How often it is read, where that differs from the vendor's cadence."""
    rules: Sequence[Rule] = ()

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
    rate: Rate | None = None
    concurrency: int = 4
    """How many tenants are read at once."""
    tenants: "Callable[[Connection], Endpoint] | None" = None
    """For vendors with one tenant per client: the endpoint that lists them for `tenants: auto`."""
    is_per_tenant: bool = False
    owner: str = "team:data"

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint of that name."""
        return next(e for e in self.endpoints if e.name == name)

    def cadence(self, endpoint: Endpoint) -> str:
        """Return how often an endpoint is read, as a cron expression."""
        return endpoint.cron or self.cron
