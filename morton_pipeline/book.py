"""One MSP's book: a folder with `connections.yaml`, optional `seeds/`, and `data/`. All others ask it where things are.

Belongs here: paths, the modes of folders, and reading `connections.yaml` with errors an operator can act on. Does not:
opening anything, or a secret's value for longer than it takes to hand it over.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from morton_pipeline.errors import BadInput, guess

if TYPE_CHECKING:
    from morton_pipeline.extract.vendor import Vendor

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout: where `dbt_project/` and `workspace.yaml` stand."""


@dataclass(frozen=True)
class Tenant:
    """One client's tenant at a vendor that keeps a tenant per client."""

    id: str
    name: str = ""
    admin: str = ""
    """The administrator in whose name it is read, where the vendor wants a person."""


@dataclass(frozen=True)
class Connection:
    """One configured account of a vendor."""

    id: str
    vendor: str
    base_url: str
    auth_url: str
    secrets: Mapping[str, str]
    """Names of environment variables, by the vendor's word for the secret."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    schedule: str | None = None
    tenants: Sequence[Tenant] | str = ()
    """The tenants listed, or `auto`."""

    @property
    def tool(self) -> str:
        """What is counted through it, in the words of mappings and contracts: the vendor, or the tool it declares.

        In small letters, as mappings and contracts are compared.
        """
        from morton_pipeline.vendors import VENDORS

        is_declared = self.vendor in VENDORS and VENDORS[self.vendor].is_declared
        return str(self.settings.get("tool") or self.id).lower() if is_declared else self.vendor

    @property
    def secret_expires_on(self) -> date | None:
        """The first day on which its secrets are no longer accepted, where connections.yaml says so."""
        return self.settings.get("secret_expires_on")

    def expiry(self, today: date) -> str:
        """Say that its secrets expire soon, or have; nothing while there is time, or where nobody said when."""
        on = self.secret_expires_on
        if on is None or on > today + timedelta(days=EXPIRES_SOON_DAYS):
            return ""
        what = " and ".join(self.secrets.values())
        when = f"expired on {on}" if on <= today else f"expires on {on}"
        return (
            f"{self.id}: {what} {when}. Make a new one at {self.vendor}, put it in its place, and write the day it "
            "expires into `secret_expires_on:` in connections.yaml."
        )

    def secret_values(self) -> dict[str, str]:
        """Read every secret from the environment; a missing one is named together with its connection.

        One the connection can do without, such as the refresh token of one that people sign in to, is then empty.
        """
        from morton_pipeline.vendors import VENDORS

        optional = VENDORS[self.vendor].optional_secrets if self.vendor in VENDORS else ()
        missing = [name for word, name in self.secrets.items() if word not in optional and not os.environ.get(name)]
        if missing:
            raise BadInput(
                f"Connection {self.id} ({self.vendor}) needs {' and '.join(missing)}: set "
                f"{'it' if len(missing) == 1 else 'them'} in the environment or in the .env beside connections.yaml."
            )
        given = {word: os.environ.get(variable, "") for word, variable in self.secrets.items()}
        return {**dict.fromkeys(optional, ""), **given}


@dataclass(frozen=True)
class Limits:
    """Safety bounds, in the book's main currency (`rates.py`). `limits:` in connections.yaml changes them."""

    invoices_per_run: int = 100
    amount_per_run: Decimal = Decimal(50000)
    amount_per_invoice: Decimal = Decimal(20000)
    quiet_period_seconds: int = 150
    """How long an uncertain posting rests before it is looked up: longer than the vendor may still be working on it."""
    fall_share: Decimal = Decimal("0.3")
    """An extraction that lost more than this share of its records is suspect."""
    jump_factor: Decimal = Decimal("1.8")
    """An extraction with more than this many times its records is suspect."""
    four_eyes_above: Decimal | None = None
    change_factor: Decimal = Decimal(2)
    """An invoice may come to this many times what its client was billed in the month before."""
    close_after_days: int = 10
    """A month is closed so many days after its end, where the client is; what is known later becomes a correction."""


_NUMBERS = ("requests_per_minute", "timeout_seconds", "attempts", "backoff_seconds")
_COMMON_KEYS = (
    "id", "vendor", "base_url", "auth_url", "secrets", "secret_expires_on", "schedule", "tenants", *_NUMBERS
)  # fmt: skip
EXPIRES_SOON_DAYS = 30
"""How many days before a secret expires somebody is told."""
_TOP_KEYS = ("name", "connections", "accounting", "limits", "alerts")


@dataclass(frozen=True)
class Book:
    """Where one MSP's connections, seeds and data live."""

    root: Path

    @property
    def data(self) -> Path:
        """Everything Morton writes."""
        return self.root / "data"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file; it can be deleted and rebuilt from the journal."""
        return self.data / "warehouse.duckdb"

    @property
    def journal(self) -> Path:
        """The append-only record of everything that was loaded."""
        return self.data / "journal"

    @property
    def published(self) -> Path:
        """The copy everyone reads."""
        return self.data / "published" / "mart.duckdb"

    @property
    def ledger_url(self) -> str:
        """Where decisions are kept: SQLite in the book, or the database `MORTON_LEDGER_URL` names."""
        return os.environ.get("MORTON_LEDGER_URL") or f"sqlite:///{self.data / 'ledger.sqlite'}"

    @property
    def seeds(self) -> Path:
        """The contract seeds: the book's own, else the project's."""
        own = self.root / "seeds"
        return own if own.is_dir() else PROJECT / "dbt_project" / "seeds"

    @property
    def dagster_home(self) -> Path:
        """Dagster's runs, schedules and sensors of this book."""
        return self.data / "dagster"

    @cached_property
    def _config(self) -> dict[str, Any]:
        return read_config(self.root / "connections.yaml")

    @cached_property
    def connections(self) -> tuple[Connection, ...]:
        """The connections of this book, in the order they are written."""
        return _connections(self._config, self.root / "connections.yaml")

    def connection(self, connection_id: str) -> Connection:
        """Return one connection, or say which exist."""
        for connection in self.connections:
            if connection.id == connection_id:
                return connection
        raise BadInput(
            f"There is no connection {connection_id!r}. This book has: {_listed(c.id for c in self.connections)}."
        )

    @cached_property
    def read_connections(self) -> Sequence[Connection]:
        """Those that are read: all, but for accounting systems other than the one this book is invoiced from.

        An MSP on its way from one accounting system to another has both connected, and is invoiced from one.
        """
        from morton_pipeline.vendors import VENDORS

        def is_other(connection: Connection) -> bool:
            is_accounting = VENDORS[connection.vendor].category == "accounting"
            return is_accounting and self.accounting is not None and connection.vendor != self.accounting.vendor

        return [c for c in self.connections if not is_other(c)]

    @cached_property
    def accounting(self) -> Connection | None:
        """The connection that receives invoices, if one is named."""
        name = self._config.get("accounting")
        return self.connection(str(name)) if name else None

    @cached_property
    def name(self) -> str:
        """What clients call the MSP, if connections.yaml says so: it heads what they are sent."""
        return str(self._config.get("name") or "")

    @cached_property
    def limits(self) -> Limits:
        """The safety bounds of this book."""
        return _limits(self._config.get("limits") or {}, self.root / "connections.yaml")

    @cached_property
    def alerts(self) -> Mapping[str, Any]:
        """Where failures are reported: `webhook:` or `email:`, each naming an environment variable for its address."""
        return self._config.get("alerts") or {}


def open_book(path: str | Path | None = None) -> Book:
    """Return the book at `path`, else the one `MORTON_BOOK` names, else the current folder; load its `.env`."""
    root = Path(path or os.environ.get("MORTON_BOOK") or ".").resolve()
    if not (root / "connections.yaml").is_file():
        raise BadInput(
            f"{root} is not a book: it has no connections.yaml. Name a book with --book DIR or MORTON_BOOK, "
            "make one with `morton init DIR` (README.md, «Your own MSP»), or try `morton demo`."
        )
    _load_env(root / ".env")
    return Book(root)


def _load_env(path: Path) -> None:
    """Read NAME=value lines; what the environment already says wins."""
    if not path.is_file():
        return
    for line in path.read_text("utf-8").splitlines():
        name, separator, value = line.strip().partition("=")
        if separator and not name.startswith("#"):
            os.environ.setdefault(name.strip(), value.strip().strip("\"'"))


class _Lines(yaml.SafeLoader):
    """Loads mappings that remember the line they began on."""


def _mapping(loader: _Lines, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(k) for k, _ in node.value]
    for (key_node, _), key in zip(node.value, keys, strict=True):
        if keys.count(key) > 1:
            raise BadInput(f"connections.yaml line {key_node.start_mark.line + 1}: {key!r} stands there twice.")
    found: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return _Mapping(found, {k: n.start_mark.line + 1 for k, (n, _) in zip(keys, node.value, strict=True)},
                    node.start_mark.line + 1)  # fmt: skip


class _Mapping(dict[Any, Any]):
    def __init__(self, values: dict[Any, Any], lines: dict[Any, int], line: int) -> None:
        super().__init__(values)
        self.lines, self.line = lines, line


_Lines.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_config(path: Path) -> dict[str, Any]:
    """Read a connections.yaml; what is wrong in it is told with its line."""
    try:
        config = yaml.load(path.read_text("utf-8"), _Lines)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadInput(f"{path} line {line}: this is not YAML ({error.problem}).") from None
    if not isinstance(config, _Mapping) or not isinstance(config.get("connections"), list):
        raise BadInput(f"{path}: expected a list under `connections:`; see the README for an example.")
    _only(config, _TOP_KEYS, path)
    return config


def _only(mapping: dict[Any, Any], allowed: Sequence[str], path: Path) -> None:
    for key in mapping:
        if key not in allowed:
            line = mapping.lines[key] if isinstance(mapping, _Mapping) else "?"
            raise BadInput(
                f"{path} line {line}: unknown word {key!r}{guess(str(key), allowed)}. Allowed here: {_listed(allowed)}."
            )


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def _connections(config: dict[str, Any], path: Path) -> tuple[Connection, ...]:
    from morton_pipeline.vendors import VENDORS

    found: list[Connection] = []
    for entry in config["connections"]:
        if not isinstance(entry, _Mapping):
            raise BadInput(f"{path}: each connection is a block with at least `id:` and `vendor:`.")
        where = f"{path} line {entry.line}"
        name = str(entry.get("vendor") or "")
        if name not in VENDORS:
            raise BadInput(
                f"{where}: unknown vendor {name!r}{guess(name, list(VENDORS))}. Morton knows: {_listed(VENDORS)}."
            )
        vendor = VENDORS[name]
        own = (*vendor.settings, *vendor.optional_settings, *vendor.replaceable_hosts, vendor.tenants_key)
        _only(entry, (*_COMMON_KEYS, *own), path)
        connection_id = str(entry.get("id") or name)
        if any(c.id == connection_id for c in found):
            raise BadInput(f"{where}: the id {connection_id!r} is used twice; every connection needs its own.")
        for word in _NUMBERS:
            if not isinstance(entry.get(word, 1), int | float) or entry.get(word, 1) < (
                0 if word == "backoff_seconds" else 1e-9
            ):
                raise BadInput(f"{where}: {word} must be a number above zero; found {entry[word]!r}.")
        expires_on = entry.get("secret_expires_on")
        if expires_on is not None and (not isinstance(expires_on, date) or isinstance(expires_on, datetime)):
            raise BadInput(f"{where}: secret_expires_on must be a day such as 2027-02-28; found {expires_on!r}.")
        secrets = entry.get("secrets") or {}
        needed = set(vendor.secrets) - set(vendor.optional_secrets)
        is_fit = isinstance(secrets, dict) and (vendor.is_declared or needed <= set(secrets) <= set(vendor.secrets))
        if not is_fit:
            may = f" and may have {_listed(vendor.optional_secrets)}" if vendor.optional_secrets else ""
            raise BadInput(
                f"{where}: connection {connection_id} ({name}) needs secrets {_listed(needed)}{may}, "
                f"each naming an environment variable; found {_listed(secrets)}."
            )
        absent = [s for s in vendor.settings if entry.get(s) in (None, "")]
        if absent:
            raise BadInput(f"{where}: connection {connection_id} ({name}) needs {_listed(absent)}.")
        own_words = {
            k: v
            for k, v in entry.items()
            if k not in ("id", "vendor", "base_url", "auth_url", "secrets", "schedule", "tenants", vendor.tenants_key)
        }
        settings = _Mapping(own_words, entry.lines, entry.line)
        settings |= {word: _host(entry.get(word) or host, where) for word, host in vendor.replaceable_hosts.items()}
        base_url = entry.get("base_url") or vendor.base_url
        auth_url = entry.get("auth_url") or vendor.auth_url or base_url
        found.append(
            Connection(
                id=connection_id,
                vendor=name,
                # One that is read from files has no address.
                base_url=_host(base_url, where) if base_url else "",
                auth_url=_host(auth_url, where) if auth_url else "",
                secrets={str(k): str(v) for k, v in secrets.items()},
                settings=settings,
                schedule=_cron(entry.get("schedule"), where),
                tenants=_tenants(entry, vendor, where),
            )
        )
    _check_declared(found, path)
    return tuple(found)


def _check_declared(connections: Sequence[Connection], path: Path) -> None:
    """Read what connections declare themselves, so that a word that does not fit is told before anything is read."""
    from morton_pipeline.extract.declared import Mistake
    from morton_pipeline.vendors import VENDORS, vendor_of

    reasons: dict[tuple[str, str, str], tuple[str, str, str]] = {}
    for connection in connections:
        if not VENDORS[connection.vendor].is_declared:
            continue
        settings = connection.settings
        try:
            if connection.tool in VENDORS:
                said = f"{connection.tool!r} is a vendor Morton has a page for; give the tool another name: `tool:`."
                raise Mistake(said, settings, "tool")
            for rule in vendor_of(connection).endpoint("records").rules:
                key, mine = (connection.tool, rule.field, rule.pattern), (rule.name, rule.reason, connection.id)
                if reasons.setdefault(key, mine)[:2] != mine[:2]:
                    said = f"{rule.field} {rule.pattern!r} has another rule at {reasons[key][2]}, the same tool; word"
                    raise Mistake(f"{said} them alike.", settings, "rules")
        except Mistake as mistake:
            line = f" line {mistake.line}" if mistake.line else ""
            raise BadInput(f"{path}{line}: connection {connection.id} ({connection.vendor}): {mistake}") from None


def _host(url: str, where: str) -> str:
    """Accept https anywhere, and plain http only on this machine."""
    from urllib.parse import urlsplit

    parts = urlsplit(str(url))
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")):
        return str(url).rstrip("/")
    raise BadInput(f"{where}: {url!r} must begin with https:// (plain http only for this machine's own addresses).")


def _cron(text: Any, where: str) -> str | None:
    if text is None:
        return None
    from cronsim import CronSim, CronSimError

    try:
        from morton_pipeline.clock import wall

        CronSim(str(text), wall())
    except CronSimError as error:
        raise BadInput(
            f'{where}: schedule {text!r} is not a cron expression ({error}); an example is "0 * * * *".'
        ) from None
    return str(text)


def _tenants(entry: dict[str, Any], vendor: "Vendor", where: str) -> Sequence[Tenant] | str:
    key = vendor.tenants_key
    given = entry.get(key)
    if key != "tenants" and entry.get("tenants") is not None:
        raise BadInput(f"{where}: {vendor.name} lists its tenants under `{key}:`, not under `tenants:`.")
    if not vendor.is_per_tenant:
        if given is not None:
            raise BadInput(f"{where}: {vendor.name} has one tenant for the whole account; leave `tenants:` out.")
        return (Tenant(""),)
    if given == "auto" and vendor.tenants is not None:
        if not entry.get("partner_tenant"):
            raise BadInput(f"{where}: `tenants: auto` needs `partner_tenant:`, the tenant whose customers are listed.")
        return "auto"
    if not isinstance(given, list) or not given or not all(isinstance(t, dict) and t.get("id") for t in given):
        words = "id: …, name: …, admin: …" if vendor.acts_as_admin else "id: …, name: …"
        auto = ", or say `tenants: auto`" if vendor.tenants is not None else ""
        raise BadInput(f"{where}: list the {key} as `- {{{words}}}`{auto}.")
    for listed in given:
        if vendor.acts_as_admin and not listed.get("admin"):
            raise BadInput(
                f"{where.rpartition(' ')[0]} {listed.line}: {listed['id']} needs `admin:`, the address of an "
                f"administrator there in whose name {vendor.title} is read."
            )
    tenants = tuple(
        Tenant(_tenant_id(t["id"], key), str(t.get("name") or ""), str(t.get("admin") or "")) for t in given
    )
    for tenant in tenants:
        if sum(other.id.lower() == tenant.id.lower() for other in tenants) > 1:
            raise BadInput(f"{where}: the tenant {tenant.id} is listed twice.")
    return tenants


def _tenant_id(given: Any, key: str) -> str:
    """A GUID reads the same in any case; the ids of vendors that have a word of their own for tenants may not."""
    return str(given).lower() if key == "tenants" else str(given)


def _limits(given: dict[str, Any], path: Path) -> Limits:
    _only(given, tuple(Limits.__dataclass_fields__), path)
    values: dict[str, Any] = {}
    for name, value in given.items():
        is_whole = name in ("invoices_per_run", "quiet_period_seconds", "close_after_days")
        try:
            values[name] = int(value) if is_whole else Decimal(str(value))
        except (ValueError, OverflowError, InvalidOperation):
            raise BadInput(f"{path}: limits.{name} must be a number; found {value!r}.") from None
        bounds, is_within = _BOUNDS.get(name, ("at least 0", lambda number: number >= 0))
        if isinstance(value, bool) or not Decimal(values[name]).is_finite() or not is_within(values[name]):
            raise BadInput(f"{path}: limits.{name} must be {bounds}; found {value!r}.")
    return Limits(**values)


_BOUNDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "fall_share": ("from 0 to 1", lambda share: 0 <= share <= 1),
    "jump_factor": ("above 1", lambda factor: factor > 1),
}
"""What a limit may be, where at least 0 is not all there is to say."""


PRIVATE, PASSABLE, OPEN = 0o700, 0o711, 0o755
"""Modes of folders: for our account alone; for others to pass through unseeing; for others to read."""


def make_data_folder(book: Book) -> None:
    """Make the book's data folder: other accounts may pass through it to what is published, and see nothing else."""
    make_folder(book.data, PASSABLE)


def make_folder(path: Path, mode: int) -> None:
    """Make a folder with exactly this mode, whatever the umask; one that exists is left as it is."""
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
        path.chmod(mode)
