"""Any tool with a plain JSON API: its connection declares what is read. One billable unit is one record.

A record that stands for several says so by its quantity.

Credentials: those the tool gives out for reading, by any of the ways in `extract/auth.py`; the connection names them.
Every connection is a tool of its own to contracts and mappings, by the name under `tool:`.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from morton_pipeline.book import Connection
from morton_pipeline.errors import guess
from morton_pipeline.extract import by_name, declared
from morton_pipeline.extract.auth import AuthFactory, Credentials
from morton_pipeline.extract.declared import Block, Mistake
from morton_pipeline.extract.pages import single_page
from morton_pipeline.extract.paths import rows_at, seeing_rows, value_at
from morton_pipeline.extract.usage import COMPANY, Company, Shape, Usage
from morton_pipeline.extract.vendor import Endpoint, Fetched, Json, Rate, Rows, Vendor

LIST = ("path", "params", "records", "pages", "total", "columns")
"""The words that say how a list is read."""


def companies_named(fetched: Fetched) -> Rows:
    """The companies the records belong to, each by the last name a record gives it: for a tool that lists none."""
    names: dict[str, Json] = {}
    for row in fetched["records"]:
        if row.get("company_id") is not None:
            names[row["company_id"]] = row.get("company_name") or names.get(row["company_id"])
    return [{"company_id": company_id, "company_name": name} for company_id, name in names.items()]


VENDOR = Vendor(
    name="rest",
    title="anything with an API",
    category="other",
    base_url="",
    auth=by_name.auths()["none"](),
    secrets=(),
    settings=("base_url", "auth", "records"),
    optional_settings=("tool", "title", "category", "rate", "company", "companies"),
    is_declared=True,
    cron="25 * * * *",
    endpoints=(
        Endpoint("records", Usage, "What a tool declared in connections.yaml counts.", counts="deployed",
                 quantity="quantity", unit="unit"),
        Endpoint("companies", Company, "The client companies of a tool declared in connections.yaml."),
    ),
)  # fmt: skip


def declare(connection: Connection) -> Vendor:
    """Return what a connection declares. Raises `Mistake` for a word that does not fit."""
    settings, where = connection.settings, f"connection {connection.id}"
    declared.check_names(connection)
    block = declared.block_of(settings, "records", where)
    declared.only(block, (*LIST, "unit", "rules"), "records")
    shape = declared.shape_of(connection, block, "records", names=_is_path)
    records = replace(_list("records", block, shape), rules=declared.rules_of(block, shape, "records"))
    return replace(
        VENDOR,
        title=settings.get("title") or connection.tool,
        category=settings.get("category", VENDOR.category),
        base_url=connection.base_url,
        auth=_auth(connection),
        secrets=tuple(connection.secrets),
        rate=_rate(settings, where),
        endpoints=(records, _companies(connection)),
    )


def _list(name: str, block: Block, shape: Shape) -> Endpoint:
    records = declared.text(block, "records", name, "")
    flow = single_page
    if "pages" in block:
        flow = by_name.called(declared.block_of(block, "pages", name), by_name.flows(), f"pages of {name}")
    return replace(
        VENDOR.endpoint(name),
        path=_path(block, name),
        params=_params(block, name),
        records=lambda page: [shape.record(partial(value_at, row)) for row in rows_at(page, records)],
        pages=seeing_rows(flow, records),
        total=declared.text(block, "total", name, None),
    )


def _companies(connection: Connection) -> Endpoint:
    if "companies" not in connection.settings:
        return replace(VENDOR.endpoint("companies"), needs=("records",), derive=companies_named)
    block = declared.block_of(connection.settings, "companies", f"connection {connection.id}")
    if "company" in connection.settings:
        said = "`companies:` cannot stand beside `company:`, which says whose all records are; leave one of them out."
        raise Mistake(said, connection.settings, "companies")
    declared.only(block, LIST, "companies")
    columns = declared.block_of(block, "columns", "companies")
    declared.only(columns, COMPANY, "columns of companies")
    names = {word: (declared.text(columns, word, "columns of companies"),) for word in COMPANY}
    return _list("companies", block, Shape(names))


def _is_path(value: Any) -> bool:
    return bool(value) and bool(value.rstrip("?"))


def _path(block: Block, name: str) -> str:
    """A path is sent as it stands: neither another host nor a setting can be put into it."""
    path = declared.text(block, "path", name)
    if not path.startswith("/") or "://" in path or "{" in path or "}" in path:
        said = f"{name}: `path:` is what follows base_url, begins with / and holds no braces; found {path!r}."
        raise Mistake(said, block, "path")
    return str(path)


def _params(block: Block, name: str) -> Mapping[str, str | int]:
    if "params" not in block:
        return {}
    params = declared.block_of(block, "params", name)
    for word, value in params.items():
        if type(value) not in (str, int) or not isinstance(word, str):
            said = f"params of {name}: {word!r} must be text or a whole number, quoted where it looks like something"
            raise Mistake(f"{said} else; found {value!r}.", params, word)
    return dict(params)


def _rate(settings: Block, where: str) -> Rate | None:
    if "rate" not in settings:
        return None
    block = declared.block_of(settings, "rate", where)
    declared.only(block, ("requests", "seconds"), "rate")
    requests = declared.number(block, "requests", "rate", None, least=1, is_whole=True)
    return Rate(requests, declared.number(block, "seconds", "rate", None, least=0.001))


class _Asked(dict[str, str]):
    """Secrets that are looked for, noted by name."""

    def __missing__(self, word: str) -> str:
        self[word] = ""
        return ""


def _auth(connection: Connection) -> AuthFactory:
    """Find the way of authenticating, and see that every secret it asks for is named under `secrets:`."""
    block = declared.block_of(connection.settings, "auth", f"connection {connection.id}")
    factory: AuthFactory = by_name.called(block, by_name.auths(), "auth")
    if "{" in str(block.get("token_path", "")):
        raise Mistake("auth: `token_path:` is sent as it stands and holds no braces.", block, "token_path")
    asked = _Asked()
    # A way that takes a secret apart cannot with an empty one; it has asked for it by then.
    with suppress(ValueError, LookupError, TypeError):
        factory(Credentials(connection.id, asked, connection.base_url, connection.auth_url))
    for word in asked:
        if word not in connection.secrets:
            known = declared.listed(list(connection.secrets))
            place = next((parameter for parameter, value in block.items() if value == word), "kind")
            said = f"auth: the secret {word!r} is not under `secrets:`{guess(word, connection.secrets)}"
            raise Mistake(f"{said}. There: {known}.", block, place)
    return factory
