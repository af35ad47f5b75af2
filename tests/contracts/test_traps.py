"""Every trap the money vendors' card warns of is named by a test, as soon as there is a page of that vendor.

A test that proves trap N is named `test_trap_N_…`.
"""

import re

import pytest

from morton_pipeline.vendors import VENDORS
from tests.conftest import ROOT
from tests.contracts.conftest import spec

pytestmark = pytest.mark.contract

CARD = "../vendors/money.md"
"""The card, beside the descriptions."""
NAMES = {
    "QBO": "quickbooks_online", "QBD": "quickbooks_desktop", "Xero": "xero", "Sage": "sage", "ConnectWise": "connectwise",
    "Autotask": "autotask", "Halo": "halopsa", "eBillity": "ebillity",
}  # fmt: skip
"""The vendor by the word a trap begins with; one that begins with All is everybody's."""


def test_every_trap_is_named_by_a_test() -> None:
    section = spec(CARD).read_text("utf-8").partition("Traps worth a test each")[2].partition("\n## ")[0]
    traps = re.findall(r"^(\d+)\. (\w+): (.+)$", section, re.MULTILINE)
    assert traps, "the card lists no traps any more"
    needed = {number: words for number, whose, words in traps if whose == "All" or NAMES[whose] in VENDORS}
    files = (path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = {number for text in files for number in re.findall(r"^def test_trap_(\d+)_", text, re.MULTILINE)}
    assert {n: words for n, words in needed.items() if n not in named} == {}, (
        "no test is named `test_trap_N_…` for these"
    )
