"""Time and size of what grows, each beside a bound measured in the same run: `python -m benchmarks [name…]`.

Absolute times belong to the machine they were taken on and are asserted nowhere; ratios travel.
"""
