"""Any tool that sends reports: CSV and XLSX files in a folder. One billable unit is one row.

A row that stands for several says so by its quantity. Credentials: none; whoever can put files into the folder decides
what is counted, so it should be writable for the sender alone. Every connection is a tool of its own to contracts and
mappings, by the name under `tool:`.
"""

import re
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx

from morton_pipeline.book import Connection
from morton_pipeline.clock import wall
from morton_pipeline.extract import declared
from morton_pipeline.extract.declared import Block, Mistake
from morton_pipeline.extract.figures import MARKS, day_reader
from morton_pipeline.extract.reports import Folder
from morton_pipeline.extract.tabular import DELIMITERS, Layout
from morton_pipeline.extract.usage import Usage
from morton_pipeline.extract.vendor import Endpoint, Vendor

MAX_AGE_DAYS = 35
"""A monthly report, and some days for it to be late."""
QUIET_SECONDS = 60

VENDOR = Vendor(
    name="files",
    title="anything with an export",
    category="other",
    base_url="",
    auth=lambda _: httpx.Auth(),
    secrets=(),
    settings=("folder", "pattern", "columns"),
    optional_settings=("tool", "title", "category", "company", "unit", "rules", "sheet", "encoding", "delimiter",
                       "decimal", "date", "header_row", "as_of", "max_age_days", "quiet_seconds"),
    is_declared=True,
    cron="35 * * * *",
    max_age=timedelta(days=MAX_AGE_DAYS),
    endpoints=(Endpoint("records", Usage, "What the reports of a tool declared in connections.yaml count.",
                        counts="deployed", quantity="quantity", unit="unit"),),
)  # fmt: skip


def declare(connection: Connection) -> Vendor:
    """Return what a connection declares. Raises `Mistake` for a word that does not fit."""
    settings, where = connection.settings, f"connection {connection.id}"
    declared.check_names(connection)
    for word, given in (("base_url", connection.base_url), ("secrets", connection.secrets)):
        if given:
            raise Mistake(f"{where} reads files; `{word}:` says nothing here.", settings, word)
    shape = declared.shape_of(connection, settings, where, names=lambda name: bool(name.strip()))
    rules = declared.rules_of(settings, shape, where)
    folder = Folder(
        path=_path(settings, where),
        pattern=_pattern(settings, where),
        shape=shape,
        layout=Layout(
            encoding=_encoding(settings, where),
            delimiter=_delimiter(settings, where),
            header_row=declared.number(settings, "header_row", where, 1, least=1, is_whole=True),
            sheet=declared.text(settings, "sheet", where, ""),
        ),
        decimal=declared.one_of(settings, "decimal", where, MARKS, ""),
        date=_date(settings, where),
        as_of=_as_of(settings, where),
        quiet_seconds=declared.number(settings, "quiet_seconds", where, QUIET_SECONDS),
    )
    days = declared.number(settings, "max_age_days", where, MAX_AGE_DAYS, least=1, is_whole=True)
    return replace(
        VENDOR,
        title=settings.get("title") or connection.tool,
        category=settings.get("category", VENDOR.category),
        folder=folder,
        max_age=timedelta(days=days),
        endpoints=(replace(VENDOR.endpoint("records"), rules=rules),),
    )


def _path(settings: Block, where: str) -> str:
    path = declared.text(settings, "folder", where)
    if not path.strip() or "\0" in path:
        raise Mistake(f"{where}: `folder:` names no folder.", settings, "folder")
    return str(path)


def _pattern(settings: Block, where: str) -> str:
    pattern = declared.text(settings, "pattern", where)
    if not pattern.strip() or "/" in pattern or "\\" in pattern:
        said = f'{where}: `pattern:` fits names of files in the folder itself, such as "*.csv"; found {pattern!r}.'
        raise Mistake(said, settings, "pattern")
    return str(pattern)


def _encoding(settings: Block, where: str) -> str:
    encoding = declared.text(settings, "encoding", where, "")
    try:
        # Only a codec that makes text of bytes passes; others unpack.
        with suppress(UnicodeError):
            b" ".decode(encoding or "utf-8")
    except LookupError:
        said = f"{where}: `encoding: {encoding}` is not known; examples are utf-8, cp1252, iso-8859-15, utf-16."
        raise Mistake(said, settings, "encoding") from None
    return str(encoding)


def _delimiter(settings: Block, where: str) -> str:
    delimiter = declared.text(settings, "delimiter", where, "")
    if delimiter and delimiter not in DELIMITERS:
        said = 'one of "," ";" "\\t" and "|"'
        raise Mistake(f"{where}: `delimiter:` must be {said}; found {delimiter!r}.", settings, "delimiter")
    return str(delimiter)


def _date(settings: Block, where: str) -> str:
    pattern = declared.text(settings, "date", where, "")
    try:
        if pattern and not ("%d" in pattern and "%m" in pattern and re.search("%[Yy]", pattern)):
            raise ValueError("it needs %d, %m and %Y")
        if pattern:
            day_reader(pattern)(wall().strftime(pattern))
    except ValueError as error:
        said = f"{where}: `date:` says how days are written, such as %d.%m.%Y; {pattern!r} cannot be used ({error})."
        raise Mistake(said, settings, "date") from None
    return str(pattern)


def _as_of(settings: Block, where: str) -> "re.Pattern[str] | None":
    if "as_of" not in settings:
        return None
    block = declared.block_of(settings, "as_of", where)
    declared.only(block, ("pattern",), "as_of")
    text: Any = declared.text(block, "pattern", "as_of")
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise Mistake(f"as_of: `pattern:` is not a regular expression ({error}).", block, "pattern") from None
    if pattern.groups != 1:
        said = "as_of: `pattern:` puts year, month and day between one pair of brackets, such as "
        raise Mistake(said + r"usage_(\d{4}-\d{2}-\d{2}); " + f"found {text!r}.", block, "pattern")
    return pattern
