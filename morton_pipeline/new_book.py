"""A book to start from: connections to fill in, a place for their credentials, and seeds that pass their check.

Belongs here: what a new book's files say, derived from the vendors' pages. Does not: asking which vendors (`cli/`), or
what a book is (`book.py`).
"""

import csv
import importlib
import inspect
import io
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morton_pipeline.errors import BadInput
from morton_pipeline.extract.vendor import CATEGORIES, Vendor
from morton_pipeline.globs import is_literal
from morton_pipeline.seeds import SEEDS
from morton_pipeline.vendors import VENDORS

Row = dict[str, Any]

FILL_IN = "fill in"
"""What stands where only the MSP knows what to say; `morton check` looks for it."""
ANY_TENANT = "00000000-0000-0000-0000-000000000000"
IDS = {"microsoft365": "m365", "google_workspace": "google", "quickbooks_online": "quickbooks"}
"""Connections that are not called like their vendor."""
IGNORED = "# What Morton writes, and credentials.\ndata/\n.env\n"
_MAY_BE_THERE = {".git"}


@dataclass(frozen=True)
class _Block:
    """One connection as the file shows it."""

    title: str
    about: Sequence[str]
    lines: Sequence[str]
    secrets: Mapping[str, str]


def offered() -> dict[str, Vendor]:
    """Return the vendors a new book can begin with: those whose pages say all there is to say about a connection."""
    return {name: vendor for name, vendor in VENDORS.items() if not vendor.is_declared}


def make(root: Path, vendors: Sequence[str], accounting: str = "") -> list[Row]:
    """Write a new book and return its files, each with what is left to do in it; without a vendor all are comments.

    Raises `BadInput` for a folder that holds anything: nothing is ever overwritten.
    """
    if root.exists() and (not root.is_dir() or {p.name for p in root.iterdir()} - _MAY_BE_THERE):
        raise BadInput(f"{root} is not an empty folder, and nothing in it shall be lost; name another one.")
    known = offered()
    chosen = [known[name] for name in dict.fromkeys((*vendors, *filter(None, (accounting,))))]
    shown = {
        "blocks": [_block(vendor) for vendor in chosen or known.values()],
        "declared": [vendor for vendor in VENDORS.values() if vendor.is_declared],
        "is_commented": not chosen,
        "accounting": IDS.get(accounting, accounting),
        "fill_in": FILL_IN,
    }
    files = {
        "connections.yaml": _render("connections.yaml.j2", shown),
        ".env": _render("env.j2", shown),
        ".gitignore": IGNORED,
        **_seeds(chosen),
    }
    (root / "seeds").mkdir(parents=True)
    for name, text in files.items():
        _write(root / name, text, 0o600 if name == ".env" else 0o666)
    what = _left_to_do(chosen)
    return [{"file": name, "what": what.get(name, "empty; for later")} for name in files]


def _write(path: Path, text: str, mode: int) -> None:
    made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    with os.fdopen(made, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def _render(template: str, shown: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # What is written is YAML and shell, where HTML's escapes mean something else; every value is a vendor page's own.
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), undefined=StrictUndefined, trim_blocks=True,
        autoescape=False, keep_trailing_newline=True,
    )  # fmt: skip
    return pages.get_template(template).render(shown)


def _block(vendor: Vendor) -> _Block:
    connection_id = IDS.get(vendor.name, vendor.name)
    words = [word for word in vendor.secrets if word not in vendor.optional_secrets]
    secrets = {word: f"{connection_id}_{word}".upper().replace("-", "_") for word in words}
    own_host = "your own server" if "base_url" in vendor.settings else "unless yours is another"
    lines = [
        f"- id: {connection_id}",
        f"  vendor: {vendor.name}",
        f"  base_url: {vendor.base_url}  # {own_host}",
        *([f"  auth_url: {vendor.auth_url}"] if vendor.auth_url else []),
        *(f'  {word}: "{FILL_IN}"' for word in vendor.settings if word != "base_url"),
        *(["  secrets:"] if secrets else []),
        *(f"    {word}: {variable}" for word, variable in secrets.items()),
    ]
    if vendor.is_per_tenant:
        tenant = {"id": ANY_TENANT if vendor.tenants_key == "tenants" else FILL_IN, "name": FILL_IN}
        tenant |= {"admin": FILL_IN} if vendor.acts_as_admin else {}
        said = ", ".join(f"{word}: {value}" for word, value in tenant.items())
        lines += [f"  {vendor.tenants_key}:  # one line per client", f"    - {{{said}}}"]
    if vendor.tenants:
        lines += ["  # tenants: auto  # in place of the list: every customer of the partner_tenant"]
    lines += [f"  # {word}: {host}" for word, host in vendor.hosts.items()]
    lines += [f'  # {word}: "{FILL_IN}"' for word in vendor.optional_settings]
    lines += [f'  # schedule: "{vendor.cron}"  # how often it is read, where it is not this often']
    about = [
        *textwrap.wrap(f"{vendor.title}. {_credentials(vendor)}", 112),
        f"Where to get them, which permissions, and what counts: docs/vendors/{vendor.name}.md",
    ]
    if vendor.sign_in:
        about.append(f"Then `morton connect {connection_id}`; it says what {vendor.sign_in.setting} is.")
    return _Block(vendor.title, about, [f"  {line}" for line in lines], secrets)


def _credentials(vendor: Vendor) -> str:
    """Return the two sentences about credentials with which a vendor's page opens."""
    page = inspect.getdoc(importlib.import_module(f"morton_pipeline.vendors.{vendor.name}")) or ""
    found = re.search(r"^Credentials: .+?(?=\n\n|\Z)", page, re.DOTALL | re.MULTILINE)
    sentences = re.split(r"(?<=\.)\s+(?=[A-Z])", found[0]) if found else []
    return " ".join(" ".join(sentences[:2]).split())


def _seeds(vendors: Sequence[Vendor]) -> dict[str, str]:
    """Write every seed's header, and the services and mappings the vendors propose."""
    services: dict[str, Row] = {}
    mappings: list[Row] = []
    for vendor in vendors:
        for proposal in vendor.proposals:
            # A service that two vendors could count is billed by the first: a sum across tools is never a count.
            services.setdefault(proposal.service_id, {
                "service_id": proposal.service_id, "service_name": proposal.service_name, "unit": proposal.unit,
                "category": vendor.category if vendor.category in CATEGORIES else "other", "count_vendor": vendor.name,
            })  # fmt: skip
            mappings.append({
                "vendor": vendor.name, "endpoint": proposal.endpoint, "field": proposal.field,
                "pattern": proposal.pattern, "service_id": proposal.service_id,
                "priority": 10 if is_literal(proposal.pattern) else 20,
            })  # fmt: skip
    rows: dict[str, list[Row]] = {"services": list(services.values()), "service_mappings": mappings}
    return {f"seeds/{name}.csv": _csv([c.name for c in columns], rows.get(name, [])) for name, columns in SEEDS.items()}


def _csv(columns: Sequence[str], rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _left_to_do(vendors: Sequence[Vendor]) -> dict[str, str]:
    """Say what each file is, and which cells are the analyst's to fill or to look at."""
    counted: dict[str, list[str]] = {}
    for vendor in vendors:
        for service_id in dict.fromkeys(p.service_id for p in vendor.proposals):
            counted.setdefault(service_id, []).append(vendor.name)
    services = [
        f"count_vendor of {service_id}: {first} was chosen, {' and '.join(others)} could count it too"
        for service_id, (first, *others) in counted.items()
        if others
    ]
    if counted:
        services.insert(0, f"fill in list_price, unit_cost and accounting_item_id of {len(counted)} services")
    return {
        "connections.yaml": f"the systems: replace every «{FILL_IN}»" if vendors else "all systems, as comments",
        ".env": "the credentials, for this account alone: fill in",
        ".gitignore": "what version control must not see",
        "seeds/clients.csv": "fill in your clients, as you bill them",
        "seeds/contracts.csv": "fill in what each client agreed to",
        "seeds/services.csv": "; ".join(services) or "fill in what you sell",
        "seeds/service_mappings.csv": "which records stand for which service: look it over",
        "seeds/exchange_rates.csv": "what other currencies are worth in your main one, where you bill in several",
        "seeds/company_mappings.csv": "whose company is whose: `morton mappings suggest` helps",
    }
