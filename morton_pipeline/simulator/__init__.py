"""Local stand-ins that speak the vendors' own APIs, and the invented MSP behind them: demo, tests, load, faults.

Belongs here: what a vendor would answer, and the truth about the invented world. Does not: anything that reads it the
way Morton does; the truth is worked out from the world, never from the warehouse.
"""
