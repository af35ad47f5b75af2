"""Finding records, and what stands in them, by the dotted paths that connections.yaml gives.

Belongs here: that, with an answer for whoever wrote the path when nothing stands there. Does not: the paths themselves.
"""

from collections.abc import Mapping
from dataclasses import replace

from morton_pipeline.extract.errors import UnexpectedAnswer
from morton_pipeline.extract.pages import Call, Flow, Json, Page, Walk, dig


def seeing_rows(flow: Flow, where: str) -> Flow:
    """A way of paging looks at records as the tool sends them, not at what we make of them."""

    def walk(call: Call) -> Walk:
        inner = flow(call)
        asked = next(inner, None)
        while asked is not None:
            page = yield asked
            try:
                asked = inner.send(replace(page, rows=rows_at(page, where)))
            except StopIteration:
                return

    return walk


def rows_at(page: Page, where: str) -> list[dict[str, Json]]:
    """Return the records of a page; no list where one should be is never taken for an empty one."""
    found = page.body if where == "" else dig(page.body, where)
    if not isinstance(found, list):
        raise UnexpectedAnswer(
            f"{page.call.path}: expected a list at {where or 'the top of the answer'}, found {type(found).__name__}; "
            "the answer's shape has changed, or `records:` in connections.yaml names another place."
        )
    if not all(isinstance(row, dict) for row in found):
        raise UnexpectedAnswer(f"{page.call.path}: the list holds something that is not a record.")
    return found


def value_at(row: Mapping[str, Json], word: str, path: str) -> Json:
    """Return what stands at a path. One that may be absent ends in `?`: any other must be there in every record."""
    where = path.removesuffix("?")
    value = dig(row, where)
    if path == where and not _is_there(row, where):
        raise UnexpectedAnswer(
            f"a record has no {where}, which columns.{word} in connections.yaml names. If it may be absent, write "
            f"`{where}?`; else the answer's shape has changed. The record has {', '.join(sorted(row))}."
        )
    if isinstance(value, Mapping) and word != "attributes":
        raise UnexpectedAnswer(
            f"{where}, which columns.{word} in connections.yaml names, is an object with "
            f"{', '.join(sorted(value))}; name one of these as {where}.…"
        )
    return 1 if value is None and word == "quantity" and path != where else value


def _is_there(row: Mapping[str, Json], where: str) -> bool:
    if where in row:
        return True
    parent, _, last = where.rpartition(".")
    within = dig(row, parent) if parent else row
    return isinstance(within, Mapping) and last in within
