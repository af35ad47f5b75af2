"""What Dagster loads: every page under `defs/`, merged."""

import importlib
import pkgutil

import dagster as dg

from morton_pipeline import defs as pages

found = [importlib.import_module(f"{pages.__name__}.{page.name}") for page in pkgutil.iter_modules(pages.__path__)]
defs = dg.Definitions.merge(*(page.defs() for page in found if hasattr(page, "defs")))
