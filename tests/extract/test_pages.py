"""Every way of paging, stepped by hand: what is asked next, when the walk ends, and what is refused."""

from typing import Any

import pytest

from morton_pipeline.extract.errors import Incomplete
from morton_pipeline.extract.pages import (
    Call,
    Page,
    Walk,
    by_header_link,
    by_highest_id,
    by_next_link,
    by_offset,
    by_page_number,
    by_token,
    dig,
    single_page,
)

LIST = Call("/list", {"kind": "all"})


def step(walk: Walk, call: Call, body: Any, rows: list[dict[str, Any]] | None = None, **headers: str) -> Call | None:
    """Answer a call; return the next one, or nothing at the end."""
    try:
        return walk.send(Page(call, body, rows if rows is not None else [], headers))
    except StopIteration:
        return None


def ids(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": n} for n in numbers]


def test_a_single_page_is_the_whole_list() -> None:
    walk = single_page(LIST)
    assert next(walk) == LIST
    assert step(walk, LIST, []) is None


def test_page_numbers_end_at_the_declared_last_page() -> None:
    walk = by_page_number("page", first=0, last_page="page.totalPages", size=("size", 200))(LIST)
    first = next(walk)
    assert first.params == {"kind": "all", "size": 200, "page": 0}
    second = step(walk, first, {"page": {"totalPages": 2}}, ids(1))
    assert second is not None
    assert second.params["page"] == 1
    assert step(walk, second, {"page": {"totalPages": 2}}, ids(2)) is None


def test_page_numbers_without_a_count_end_at_an_empty_page() -> None:
    walk = by_page_number("_page", first=1, size=("_perPage", 2))(LIST)
    first = next(walk)
    second = step(walk, first, {}, ids(1))
    assert second is not None
    assert second.params["_page"] == 2
    assert step(walk, second, {}, []) is None


@pytest.mark.parametrize(
    ("total", "declared"), [("meta.total", {"meta": {"total": 3}}), (None, {})], ids=["total", "no-total"]
)
def test_offsets_advance_by_what_came_not_by_what_was_asked(total: str | None, declared: dict[str, Any]) -> None:
    walk = by_offset("offset", limit=("limit", 2), total=total)(LIST)
    first = next(walk)
    assert first.params["offset"] == 0
    second = step(walk, first, declared, ids(1))
    assert second is not None
    assert second.params["offset"] == 1
    third = step(walk, second, declared, ids(2, 3))
    if total is None:
        assert third is not None
        third = step(walk, third, declared, [])
    assert third is None


def test_offsets_that_run_dry_before_the_declared_total_are_refused() -> None:
    walk = by_offset("offset", limit=("limit", 2), total="total")(LIST)
    second = step(walk, next(walk), {"total": 3}, ids(1, 2))
    assert second is not None
    with pytest.raises(Incomplete, match="declared 3 records and stopped at 2"):
        step(walk, second, {"total": 3}, [])


@pytest.mark.parametrize("last", [{}, {"pagination": {}}, {"pagination": {"next": None}}, {"pagination": {"next": ""}}],
                         ids=["no-object", "absent", "null", "empty"])  # fmt: skip
def test_a_token_leads_on_until_it_is_absent_null_or_empty(last: dict[str, Any]) -> None:
    walk = by_token("pagination.next", "page_token")(LIST)
    first = next(walk)
    assert "page_token" not in first.params
    second = step(walk, first, {"pagination": {"next": "abc"}})
    assert second is not None
    assert second.params == {"kind": "all", "page_token": "abc"}
    assert step(walk, second, last) is None


def test_the_same_token_twice_is_refused() -> None:
    walk = by_token("next", "page_token")(LIST)
    second = step(walk, next(walk), {"next": "abc"})
    assert second is not None
    with pytest.raises(Incomplete, match="same page token twice"):
        step(walk, second, {"next": "abc"})


def test_a_next_link_is_followed_as_it_is() -> None:
    walk = by_next_link("@odata.nextLink")(Call("/users", {"$top": 999}, headers={"ConsistencyLevel": "eventual"}))
    link = "https://graph.example/users?$skiptoken=X%2FY"
    second = step(walk, next(walk), {"@odata.nextLink": link})
    assert second is not None
    assert (second.path, second.params) == (link, {})
    assert second.headers == {"ConsistencyLevel": "eventual"}
    with pytest.raises(Incomplete, match="same next link twice"):
        step(walk, second, {"@odata.nextLink": link})


def test_a_link_header_is_followed_until_there_is_no_next() -> None:
    walk = by_header_link(LIST)
    both = '<https://api.example/list?page=1>; rel="prev", <https://api.example/list?page=2>; rel="next"'
    second = step(walk, next(walk), [], link=both)
    assert second is not None
    assert (second.path, second.params) == ("https://api.example/list?page=2", {})
    assert step(walk, second, [], link='<https://api.example/list?page=1>; rel="first"') is None


def test_the_highest_id_leads_on_past_a_short_page_and_ends_at_an_empty_one() -> None:
    walk = by_highest_id("after", field="id", size=("pageSize", 1000))(LIST)
    first = next(walk)
    assert first.params == {"kind": "all", "pageSize": 1000}
    second = step(walk, first, [], ids(7, 12, 9))
    assert second is not None
    assert second.params["after"] == 12
    assert step(walk, second, [], []) is None


def test_a_page_of_ids_already_passed_is_refused() -> None:
    walk = by_highest_id("after", field="id", size=("pageSize", 2))(LIST)
    second = step(walk, next(walk), [], ids(1, 2))
    assert second is not None
    with pytest.raises(Incomplete, match="ids up to 2 again"):
        step(walk, second, [], ids(1, 2))


@pytest.mark.parametrize(
    ("body", "path", "found"),
    [
        ({"@odata.nextLink": "x"}, "@odata.nextLink", "x"),
        ({"a": {"b": {"c": 0}}}, "a.b.c", 0),
        ({"a": {"b": None}}, "a.b.c", None),
        ([1], "a", None),
        ({"a": [1]}, "a.b", None),
    ],
    ids=["key-with-a-dot", "nested", "null-on-the-way", "a-list", "a-list-on-the-way"],
)
def test_dig_follows_a_path_or_finds_nothing(body: Any, path: str, found: Any) -> None:
    assert dig(body, path) == found
