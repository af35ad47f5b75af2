"""What a SKU contains ends somewhere."""

import pytest

from morton_pipeline.book import Book
from tests.seeds.conftest import problems, write


def _includes(*pairs: str) -> list[dict[str, str]]:
    """Rows of sku_includes.csv, each from `A>B`."""
    return [
        {"vendor": "Microsoft365", "sku": outer, "included_sku": inner}
        for outer, inner in (pair.split(">") for pair in pairs)
    ]


INCLUDES = {
    "a_sku_in_itself": (("A>a",), "row 2, included_sku: closes a circle: a ⊃ a; a SKU cannot contain itself"),
    "a_circle": (("A>B", "B>C", "B>D", "C>A"), "row 5, included_sku: closes a circle: c ⊃ a ⊃ b ⊃ c; a SKU cannot contain itself"),
    "the_same_twice": (("A>B", "a>b"), "row 3, included_sku: row 2 says so already; remove one of the two"),
    "five_deep": (("D>E", "E>F", "A>B", "B>C", "C>D"), "row 6, included_sku: is too deep: a ⊃ b ⊃ c ⊃ d ⊃ e ⊃ f; a SKU may contain another through 3 at most"),
}  # fmt: skip


@pytest.mark.parametrize(("pairs", "said"), INCLUDES.values(), ids=INCLUDES)
def test_case_26_what_a_sku_contains_ends_somewhere(book: Book, pairs: tuple[str, ...], said: str) -> None:
    write(book, "sku_includes", _includes(*pairs))
    (problem,) = problems(book)
    assert problem.startswith(f"sku_includes.csv {said}")


def test_case_26_skus_may_contain_others_four_deep_and_by_several_ways(book: Book) -> None:
    write(book, "sku_includes", _includes("A>B", "B>C", "C>D", "D>E", "A>C", "A>E", "X>C"))
    assert problems(book) == []


def test_case_26_skus_of_an_unknown_vendor_are_refused(book: Book) -> None:
    write(book, "sku_includes", [{"vendor": "microsft365", "sku": "A", "included_sku": "B"}])
    assert problems(book)[0].startswith("sku_includes.csv row 2, vendor: 'microsft365' is not a vendor (did you mean")
