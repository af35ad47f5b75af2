"""Trying the connections: is each reached, does it let us in, may every list be read, and what would it count?

Belongs here: reading without loading, and turning what failed into a sentence and something to do. Does not: how
anything is read (`refresh`, `extract/`). Nothing is kept but the rate limit's memory and a refresh token that rotated.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from morton_pipeline.book import PROJECT, Book, Connection
from morton_pipeline.errors import MortonError
from morton_pipeline.extract.fetch import Extraction
from morton_pipeline.extract.records import Validated, validate_together
from morton_pipeline.extract.vendor import Endpoint, Vendor
from morton_pipeline.globs import fits
from morton_pipeline.ledger.store import Ledger, open_ledger
from morton_pipeline.new_book import FILL_IN
from morton_pipeline.refresh import Say, read
from morton_pipeline.vendors import vendor_of

Row = dict[str, Any]

SKEW_SECONDS = 120.0
"""How far apart two clocks may be; requests and answers take some of it."""
LONGEST_SAID = 400
"""Characters of a doc page that still fit into an answer."""


def check(book: Book, connections: Sequence[Connection], *, at: datetime, say: Say = lambda _: None) -> list[Row]:
    """Try the connections side by side and return what works and what does not, each with what to do about it.

    One row says what a connection would count, where it can be read at all; one row each says what is wrong.
    """
    with open_ledger(book) as ledger, ThreadPoolExecutor(max_workers=4) as pool:
        trying = [pool.submit(_try, book, ledger, connection, at, say) for connection in connections]
        tried = [(connection, job.result()) for connection, job in zip(connections, trying, strict=True)]
    skews = {c.id: skew for c, found in tried if (skew := _skew(found)) is not None}
    rows = list(_our_clock(skews))
    for connection, found in tried:
        validated = _validated(connection, found)
        rows += [*_calling(connection), *_working(connection, found, validated), *_broken(connection, found)]
        rows += _unfit(connection, validated)
        rows += [*_their_clock(connection, skews), *_expiring(connection, at)]
    return rows


def _try(book: Book, ledger: Ledger, connection: Connection, at: datetime, say: Say) -> list[Extraction]:
    def failed(problem: str, kind: str) -> list[Extraction]:
        return [Extraction(connection.id, connection.vendor, "", "", "", at, None, problem, kind=kind)]

    if unfilled := list(_unfilled(connection)):
        where = f"{' and '.join(dict.fromkeys(unfilled))} of connection {connection.id}"
        return failed(f"connections.yaml does not say yet what {where} is.", "BadInput")
    if vendor_of(connection).is_caller:
        return []
    try:
        return read(book, ledger, connection, at, None, say)
    except MortonError as problem:
        return failed(str(problem), type(problem).__name__)


def _unfilled(connection: Connection) -> Iterator[str]:
    """Name the settings that still say what `morton init` wrote; no host that ends in .example exists."""
    given = {"base_url": connection.base_url, "auth_url": connection.auth_url, **connection.settings}
    for word, value in given.items():
        if value == FILL_IN or str(urlsplit(str(value)).hostname).endswith(".example"):
            yield word
    tenants = () if isinstance(connection.tenants, str) else connection.tenants
    if any(FILL_IN in (tenant.id, tenant.name, tenant.admin) for tenant in tenants):
        yield vendor_of(connection).tenants_key


def _row(
    connection: Connection, state: str, what: str, to_do: str, counts: Mapping[str, Mapping[str, str]] | None = None
) -> Row:
    return {
        "connection_id": connection.id, "vendor": connection.tool, "state": state, "records": "",
        "counts": dict(counts or {}), "what": what, "to_do": to_do,
    }  # fmt: skip


def _calling(connection: Connection) -> Iterator[Row]:
    """Say of what calls us that nothing can be tried from here, and whether it would be let in."""
    if not vendor_of(connection).is_caller or list(_unfilled(connection)):
        return
    from morton_pipeline.accounting.quickbooks_desktop import caller_sentence
    from morton_pipeline.connector.setup import Login

    try:
        Login(connection)
    except MortonError as problem:
        yield _row(connection, "problem", str(problem), f"Then `morton check {connection.id}`.")
    else:
        said = caller_sentence(connection.id).removeprefix(f"{connection.id}: ")
        yield _row(
            connection, "ok", said, "Let the Web Connector run once; what it read stands in `morton extractions`."
        )


def _expiring(connection: Connection, at: datetime) -> Iterator[Row]:
    """Say that secrets expire soon, while they are still accepted, or that they have."""
    if said := connection.expiry(at.date()):
        what, _, to_do = said.removeprefix(f"{connection.id}: ").partition(". ")
        is_over = connection.secret_expires_on is not None and connection.secret_expires_on <= at.date()
        yield _row(connection, "problem" if is_over else "warning", f"{what}.", to_do)


def _working(
    connection: Connection, found: Sequence[Extraction], validated: Mapping[str, list[Validated]]
) -> Iterator[Row]:
    """Say what was read to the end, over all tenants, and what of it would count."""
    whole = [e for e in found if e.rows is not None]
    if not whole:
        return
    broken = {(e.tenant_id, e.endpoint) for e in found if e.rows is None} - {(e.tenant_id, e.endpoint) for e in whole}
    tenants, lists = {e.tenant_id for e in found}, {e.endpoint for e in found}
    if not broken:
        what = "Every list can be read" + (f", of all {len(tenants)} tenants." if len(tenants) > 1 else ".")
    elif len(tenants) > 1:
        readable = tenants - {tenant_id for tenant_id, _ in broken}
        what = f"Every list of {len(readable)} of {len(tenants)} tenants can be read."
    else:
        what = f"{len(lists) - len(broken)} of {len(lists)} lists can be read."
    counted = [e for e in vendor_of(connection).endpoints if e.counts and e.is_primary and e.name in validated]
    empty = [e.name for e in counted if not any(x.rows for x in whole if x.endpoint == e.name)]
    to_do = f"It lists no {_words(empty)}: if it should, look at what the credentials may see." if empty else ""
    figures = [(e, *_units(e, validated[e.name])) for e in counted]
    counts = {e.name: {unit: _plain(quantity) for unit, quantity in units.items()} for e, units, _ in figures}
    row = _row(connection, "ok", what, to_do, counts)
    yield {**row, "records": ", ".join(_figure(*figure) for figure in figures)}


def _units(endpoint: Endpoint, validated: Sequence[Validated]) -> tuple[dict[str, Decimal], int]:
    """Return how many units would count, by what one of them is, and how many records the vendor's rules leave out.

    The rules are followed as far as the record alone decides it; exclusions and mappings come after.
    """
    units: dict[str, Decimal] = defaultdict(Decimal)
    excluded = 0
    for one in validated:
        for record in one.kept.astype(object).where(one.kept.notna(), None).to_dict("records"):
            if any(fits(rule.pattern, record[rule.field]) for rule in endpoint.rules):
                excluded += 1
            else:
                quantity = Decimal(record[endpoint.quantity] or 0) if endpoint.quantity else Decimal(1)
                units[(endpoint.unit and record[endpoint.unit]) or "units"] += quantity
    return dict(units), excluded


def _figure(endpoint: Endpoint, units: Mapping[str, Decimal], excluded: int) -> str:
    """Say it: `44 devices`, or `12 device and 40.5 gigabyte of company usage` where a record stands for several."""
    if endpoint.quantity:
        said = " and ".join(f"{_plain(quantity)} {unit}" for unit, quantity in sorted(units.items()))
        said = f"{said or '0 units'} of {_words([endpoint.name])}"
    else:
        said = f"{_plain(sum(units.values(), Decimal(0)))} {_words([endpoint.name])}"
    return said + (f" ({excluded} more records excluded by rule)" if excluded else "")


def _plain(quantity: Decimal) -> str:
    """Write 47.000 as 47, and 2.50 as 2.5."""
    return f"{quantity:f}".rstrip("0").rstrip(".") if quantity % 1 else f"{quantity:.0f}"


def _words(endpoints: Sequence[str]) -> str:
    return " and ".join(name.replace("_", " ") for name in endpoints)


def _broken(connection: Connection, found: Sequence[Extraction]) -> Iterator[Row]:
    """Say each thing that is wrong once: per tenant, or for the whole connection where all tenants have it."""
    vendor = vendor_of(connection)
    failures: dict[str, dict[str, list[Extraction]]] = defaultdict(lambda: defaultdict(list))
    for extraction in _causes(vendor, found):
        failures[extraction.kind][extraction.tenant_id].append(extraction)
    tenants = {e.tenant_id for e in found}
    for kind, by_tenant in failures.items():
        is_everywhere = set(by_tenant) == tenants
        groups = [[e for group in by_tenant.values() for e in group]] if is_everywhere else list(by_tenant.values())
        for group in groups:
            first = group[0]
            whose = "" if is_everywhere else f"Tenant {first.tenant_name or first.tenant_id}: "
            told = f"All {len(tenants)} tenants: " if is_everywhere and len(tenants) > 1 else whose
            what = told + first.error.removeprefix(f"{connection.id}: ")
            lists = list(dict.fromkeys(e.endpoint for e in group if e.endpoint))
            yield _row(connection, "problem", what, _to_do(kind, connection, vendor, lists, whose))


def _unfit(connection: Connection, validated: Mapping[str, list[Validated]]) -> Iterator[Row]:
    """Say which records would be set aside, and why: each check that fails, with one value that fails it."""
    for name, scopes in validated.items():
        if count := sum(v.rejected_count for v in scopes):
            cells = pd.concat([v.rejected for v in scopes]).drop_duplicates(["column_name", "check_name"])
            failed = [
                f"{_words([str(cell.column_name)])} fails {cell.check_name}"
                + (f", e.g. {cell.value!r}" if isinstance(cell.value, str) else ": it is empty")
                for cell in cells.sort_values(["column_name", "check_name"]).itertuples()
            ]
            what = f"{count} {_words([name])} would be set aside: {'; '.join(failed)}."
            to_do = (
                "`morton extract` keeps them in raw.quarantine with column, check and value, and the list is partial."
            )
            yield _row(connection, "problem", what, to_do)


def _validated(connection: Connection, found: Sequence[Extraction]) -> dict[str, list[Validated]]:
    """Return the records of each list that was read to the end, scope by scope, as `morton extract` would keep them."""
    validated = {}
    for endpoint in vendor_of(connection).endpoints:
        if whole := [e for e in found if e.endpoint == endpoint.name and e.rows is not None]:
            rows = [e.rows or [] for e in whole]
            validated[endpoint.name] = validate_together(endpoint.record, rows, at=whole[0].attempted_at)
    return validated


def _causes(vendor: Vendor, found: Sequence[Extraction]) -> Iterator[Extraction]:
    """Leave out a list that failed only because one it needs did."""
    failed = {(e.tenant_id, e.endpoint) for e in found if e.rows is None}
    needs = {e.name: e.needs for e in vendor.endpoints}
    for extraction in found:
        is_consequence = extraction.kind == "Incomplete" and any(
            (extraction.tenant_id, name) in failed for name in needs.get(extraction.endpoint, ())
        )
        if extraction.rows is None and not is_consequence:
            yield extraction


def _to_do(kind: str, connection: Connection, vendor: Vendor, lists: Sequence[str], whose: str) -> str:
    page, variables = f"docs/vendors/{vendor.name}.md", " and ".join(connection.secrets.values())
    again = f"then `morton check {connection.id}`"
    where = f"base_url ({connection.base_url})" + "".join(f", {name}" for name in vendor.settings)
    if kind == "CredentialsRefused" and whose:
        return (
            f"Have an administrator of this tenant consent to the app, as {page} describes, {again}. "
            "The other tenants are read as usual."
        )
    if kind == "PermissionMissing":
        said = f"The credentials are valid, but may not read {_words(lists)}: see «Permissions» in {page}, {again}."
        named = permission(vendor.name, lists)
        return f"{said} It says: {named}" if named else said
    return {
        "BadInput": f"Fill in what is missing, {again}.",
        "SignedOut": f"{vendor.mend(connection).rstrip('.')}; {again}.",
        "CredentialsRefused": f"Put valid credentials into {variables}; {page} says where they are made; {again}.",
        "Unreachable": f"Check {where} in connections.yaml, and this machine's network, proxy and firewall; if they "
        f"are right, the vendor's status page; {again}.",
        "ServerFailed": f"The failure is the vendor's own: see its status page, {again}.",
        "RateLimited": "The credentials are not at fault: wait some minutes and check again. If it lasts, another "
        "program uses up the account's limit; `requests_per_minute` in connections.yaml slows Morton down.",
        "NotFound": f"Check {where} in connections.yaml: the vendor knows no such address.",
        "UnexpectedAnswer": f"Check {where} in connections.yaml; if it is right, the vendor has changed its API, and "
        f"morton_pipeline/vendors/{vendor.name}.py must follow.",
        "Unreadable": f"Correct the report or what the connection says of it, as {page} describes, {again}.",
        "Incomplete": "Check again: the list may have changed while it was read. If it lasts, ask the vendor why its "
        "list is not whole.",
    }.get(kind, f"See what the vendor says, and {page}; {again}.")


def permission(vendor: str, lists: Sequence[str]) -> str:
    """Return what the vendor's doc page says about the permission to read some lists, or how its section begins."""
    path = PROJECT / "docs" / "vendors" / f"{vendor}.md"
    text = path.read_text("utf-8") if path.is_file() else ""
    section = re.search(r"^## Permissions\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if section is None:
        return ""
    # A paragraph, an entry of a list or a row of a table is one thing said.
    said = [
        " ".join(part.replace("*", "").split()).strip("-| ")
        for part in re.split(r"\n\s*\n|\n(?=\s*(?:[-*|]|\d+\.)\s)", section[1])
        if re.search(r"\w", part)
    ]
    about = [part for part in said if any(re.search(rf"\b{name}\b", part.replace(" ", "_")) for name in lists)]
    chosen = " ".join(about or said[:1])
    return chosen if len(chosen) <= LONGEST_SAID else f"{chosen[:LONGEST_SAID].rsplit('. ', 1)[0].rstrip('.')}. …"


def _skew(found: Sequence[Extraction]) -> float | None:
    return min((e.clock_skew_seconds for e in found if e.clock_skew_seconds is not None), key=abs, default=None)


def _our_clock(skews: Mapping[str, float]) -> Iterator[Row]:
    """Where no vendor's clock agrees with ours, ours is the wrong one."""
    if not skews or any(abs(skew) <= SKEW_SECONDS for skew in skews.values()):
        return
    skew = min(skews.values(), key=abs)
    said = f"{len(skews)} vendors" if len(skews) > 1 else next(iter(skews))
    what = (
        f"This machine's clock is {_apart(skew)} {'behind' if skew > 0 else 'ahead of'} that of {said}. Tokens then "
        "count as expired or not yet valid, and what is read near midnight falls into the wrong day and period."
    )
    to_do = "Set this machine's clock from a time server (NTP), and check again."
    more = "" if len(skews) > 1 else " If it is right, tell the vendor."
    yield {
        "connection_id": None, "vendor": None, "state": "problem", "records": "", "counts": {}, "what": what,
        "to_do": to_do + more,
    }  # fmt: skip


def _their_clock(connection: Connection, skews: Mapping[str, float]) -> Iterator[Row]:
    """Where another vendor's clock agrees with ours, the one that does not is wrong."""
    skew = skews.get(connection.id, 0.0)
    if abs(skew) > SKEW_SECONDS and any(abs(other) <= SKEW_SECONDS for other in skews.values()):
        title = vendor_of(connection).title
        what = (
            f"{title}'s clock is {_apart(skew)} {'ahead of' if skew > 0 else 'behind'} this machine's, which other "
            "vendors' clocks agree with: what it dates near midnight falls into the wrong day and period."
        )
        yield _row(connection, "problem", what, f"Tell whoever runs the host {connection.base_url}.")


def _apart(seconds: float) -> str:
    return f"{round(abs(seconds) / 60)} minutes"
