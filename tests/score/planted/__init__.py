"""The edge cases that are planted, one small function each, under the headings of the list of edge cases.

Belongs here: what is wrong on purpose, which records count, and why: the rule stands in a function's first line. Does
not: time and money (`model`). A function draws its own sizes, dates and prices, and yields lines that have all the rows
the model makes of them, and no other.
"""

from tests.score.planted import contracts, counting, honesty, mapping, periods, review
from tests.score.planting import CASES, generate

__all__ = ["CASES", "contracts", "counting", "generate", "honesty", "mapping", "periods", "review"]
