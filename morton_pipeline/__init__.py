"""Morton: finds what an MSP's tools count and its invoices do not.

Nothing is imported here: every command and every Dagster process pays only for what it uses.
"""
