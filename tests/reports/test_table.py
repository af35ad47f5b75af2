"""Tables say everything they are given, and break no word that a narrow column could hold."""

import re

import pytest

from morton_pipeline.reports.table import render

COLUMNS = ("finding", "client_name", "service_name", *(f"number_{n}" for n in range(9)), "commitment_ends_on")


def test_a_narrow_column_holds_its_words_unbroken(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {f"number_{n}": 1234567 for n in range(9)}
    render([{"finding": "lists_differ, below_cost", "client_name": "Pinewood Veterinary", "service_name": "Business Premium", **numbers}], COLUMNS)  # fmt: skip
    words = set(re.findall(r"\w+", capsys.readouterr().out))
    assert {"lists_differ", "below_cost", "Pinewood", "Veterinary", "Business", "Premium", "commitment"} <= words


def test_a_word_longer_than_any_column_is_folded_and_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {f"number_{n}": 1234567 for n in range(9)}
    name = "Rindfleischetikettierungsüberwachungsverein" * 3
    render([{"client_name": name, **numbers}], COLUMNS)
    assert name in "".join(capsys.readouterr().out.split()).replace("1234567", "")
