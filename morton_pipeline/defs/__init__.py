"""Wiring: the only place that knows Dagster. What a step does is plain Python elsewhere; here it is scheduled.

Every page with a function `defs` is loaded by `definitions.py`; a new page needs no registering.
"""
