"""A record finds its parent by id, and what its parent makes of it is added; none is dropped."""

from typing import Any

from morton_pipeline.extract.joins import with_parents


def test_a_record_is_completed_by_the_parent_it_names_and_by_nothing_where_there_is_none() -> None:
    rows = [{"id": n, "site": site} for n, site in enumerate(["A-1", 2, "3", None])]
    sites = [{"uid": "a-1", "kind": "paid"}, {"uid": "2", "kind": "trial"}]

    def facts(row: Any, site: Any) -> Any:
        return {"kind": site and site["kind"], "name": f"r{row['id']}"}

    assert with_parents(rows, sites, id="uid", named="site", facts=facts) == [
        {"id": 0, "site": "A-1", "kind": "paid", "name": "r0"},
        {"id": 1, "site": 2, "kind": "trial", "name": "r1"},
        {"id": 2, "site": "3", "kind": None, "name": "r2"},
        {"id": 3, "site": None, "kind": None, "name": "r3"},
    ]
