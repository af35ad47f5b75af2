"""What must hold of SKUs that contain others: no circle, and not too deep."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from morton_pipeline.seeds.problem import Problem
from morton_pipeline.seeds.reading import Seeds

MOST_SKUS_DEEP = 4
"""How far a SKU may contain another through others: the build unrolls so many steps."""


def problems(seeds: Seeds) -> Iterator[Problem]:
    """What a SKU contains must end somewhere, and not too deep."""
    below: dict[str, list[str]] = defaultdict(list)
    above: dict[str, list[str]] = defaultdict(list)
    lines: dict[tuple[str, str], int] = {}
    for line, row in seeds.rows["sku_includes"]:
        vendor = row["vendor"].lower()
        outer, inner = (f"{vendor}/{row[c].lower()}" for c in ("sku", "included_sku"))
        chain = [*reversed(_longest(above, outer)), *_longest(below, inner)]
        if (outer, inner) in lines:
            message = f"row {lines[outer, inner]} says so already; remove one of the two"
        elif circle := _path(below, inner, outer):
            message = f"closes a circle: {_nested([outer, *circle])}; a SKU cannot contain itself"
        elif len(chain) > MOST_SKUS_DEEP + 1:
            message = (
                f"is too deep: {_nested(chain)}; a SKU may contain another through {MOST_SKUS_DEEP - 1} at most, "
                "so name what it contains in a row of its own"
            )
        else:
            lines[outer, inner] = line
            below[outer].append(inner)
            above[inner].append(outer)
            continue
        yield Problem("sku_includes.csv", line, "included_sku", message)


def _longest(graph: Mapping[str, Sequence[str]], start: str) -> list[str]:
    """Return the longest way from a place through a graph without circles."""
    return [start, *max((_longest(graph, place) for place in graph.get(start, ())), key=len, default=[])]


def _path(graph: Mapping[str, Sequence[str]], start: str, goal: str) -> list[str]:
    """Return a way from one place to another through a graph without circles; nothing where there is none."""
    if start == goal:
        return [start]
    ways = (_path(graph, place, goal) for place in graph.get(start, ()))
    return next(([start, *way] for way in ways if way), [])


def _nested(path: Sequence[str]) -> str:
    return " ⊃ ".join(place.partition("/")[2] for place in path)
