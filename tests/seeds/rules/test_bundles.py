"""A bundle is made of services, and something counts it."""

import pytest

from morton_pipeline.book import Book
from tests.seeds.conftest import GOOD, problems, write

BUNDLE = {"bundle_service_id": "workplace", "component_service_id": "rmm"}
BUNDLES = {
    "right": ([BUNDLE], ""),
    "itself": ([{**BUNDLE, "component_service_id": "workplace"}], "bundles.csv row 2, component_service_id: 'workplace' is a bundle itself; list what is in it"),
    "unknown": ([{**BUNDLE, "component_service_id": "rrm"}], "bundles.csv row 2, component_service_id: 'rrm' is not in services.csv (did you mean 'rmm'?)"),
    "twice": ([BUNDLE, BUNDLE], "bundles.csv row 3, component_service_id: 'rmm' stands in row 2 already; add up its quantity there"),
    "two_of_what_counts_it": ([{**BUNDLE, "quantity_per_unit": "2"}], "bundles.csv row 2, quantity_per_unit: workplace is counted by this component, one by one"),
    "one_record_for_two": ([BUNDLE, {**BUNDLE, "bundle_service_id": "extra"}], "bundles.csv row 3, component_service_id: 'rmm' counts the bundle of row 2 already; map extra itself"),
    "none_of_it": ([{**BUNDLE, "quantity_per_unit": "0"}], "bundles.csv row 2, quantity_per_unit: must be above zero"),
    "uncounted": ([{**BUNDLE, "component_service_id": "extra"}, BUNDLE], "bundles.csv row 2, bundle_service_id: nothing would count workplace"),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "said"), BUNDLES.values(), ids=BUNDLES)
def test_a_bundle_has_components_that_are_counted(book: Book, rows: list[dict[str, str]], said: str) -> None:
    named = [{"service_id": name, "service_name": name, "unit": "device"} for name in ("workplace", "extra")]
    write(book, "services", [*GOOD["services"], *named])
    write(book, "bundles", rows)
    assert any(problem.startswith(said) for problem in problems(book)) if said else problems(book) == []
