"""What each vendor is: one readable page of declarations per vendor. No I/O, no Dagster.

A page that exists is known: nothing has to be registered. See the README for how to add one.
"""

import importlib
import pkgutil
from collections.abc import Mapping

from morton_pipeline.extract.vendor import Vendor


def _load() -> Mapping[str, Vendor]:
    pages = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = [importlib.import_module(f"{__name__}.{page}").VENDOR for page in pages]
    return {vendor.name: vendor for vendor in found}


VENDORS: Mapping[str, Vendor] = _load()
"""Every vendor Morton can read, by its name in `connections.yaml`."""
