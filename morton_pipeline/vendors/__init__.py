"""What each vendor is: one readable page of declarations per vendor. No I/O, no Dagster.

A page that exists is known: nothing has to be registered. See the README for how to add one.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING

from morton_pipeline.extract.vendor import Vendor

if TYPE_CHECKING:
    from morton_pipeline.book import Connection


def _load() -> Mapping[str, Vendor]:
    pages = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = [importlib.import_module(f"{__name__}.{page}").VENDOR for page in pages]
    return {vendor.name: vendor for vendor in found}


VENDORS: Mapping[str, Vendor] = _load()
"""Every vendor Morton can read, by its name in `connections.yaml`."""


def vendor_of(connection: "Connection") -> Vendor:
    """Return what is read through a connection: what its vendor's page says, or what the connection itself declares.

    Its name, and the names and records of its endpoints, are those of the page in either case.
    """
    vendor = VENDORS[connection.vendor]
    if not vendor.is_declared:
        return vendor
    declared: Vendor = importlib.import_module(f"{__name__}.{vendor.name}").declare(connection)
    return declared
