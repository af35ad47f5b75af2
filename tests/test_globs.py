"""Two patterns meet where some text fits both."""

import pytest

from morton_pipeline.globs import meet

MEETING = [("a*", "*b", True), ("a*", "b*", False), ("*@a.x", "*@b.x", False), ("A?", "ab", True), ("a?", "a", False), ("**", "", True), ("a*c", "ab*", True), ("x", "X", True)]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "is_met"), MEETING)
def test_two_patterns_meet_where_a_text_fits_both(one: str, other: str, is_met: bool) -> None:
    assert meet(one, other) == meet(other, one) == is_met
