"""Calling what connections.yaml names: the ways of paging and authenticating that `pages` and `auth` hold.

Belongs here: which functions a name may pick, what each takes, and holding a block of YAML against it; all of it is
read off the functions themselves, so a way that is added there can be declared at once. Does not: any such way. A name
picks a function that is listed, and what is given to it is a plain value: nothing in YAML is ever executed.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import ModuleType, NoneType
from typing import Any, get_args, get_origin, get_type_hints

import httpx

from morton_pipeline.extract import auth, pages
from morton_pipeline.extract.auth import AuthFactory
from morton_pipeline.extract.declared import Block, Mistake, listed, one_of, only
from morton_pipeline.extract.pages import Call, Flow, Walk


@cache
def flows() -> Mapping[str, Callable[..., Flow]]:
    """Return every way of paging there is in `pages`, by its own name."""
    as_they_are = {
        name: _always(function)
        for name, function in _public(pages)
        if get_type_hints(function) == {"call": Call, "return": Walk}
    }
    return {**_made_by(pages, Flow), **as_they_are}


@cache
def auths() -> Mapping[str, Callable[..., AuthFactory]]:
    """Return every way of authenticating there is in `auth`, by its own name, and `none`."""

    def none() -> AuthFactory:
        return lambda _: httpx.Auth()

    return {**_made_by(auth, AuthFactory), "none": none}


def _made_by(module: ModuleType, returning: Any) -> dict[str, Callable[..., Any]]:
    """Return the functions that make such a thing out of what YAML can write."""
    return {
        name: function
        for name, function in _public(module)
        if get_type_hints(function).get("return") == returning
        and all(kinds or not is_required for kinds, is_required in parameters(function).values())
    }


def _public(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__ and not name.startswith("_"):
            yield name, function


def _always(flow: Flow) -> Callable[[], Flow]:
    def itself() -> Flow:
        return flow

    return itself


def parameters(function: Callable[..., Any]) -> dict[str, tuple[tuple[Any, ...], bool]]:
    """Return what a function takes: of each parameter the kinds YAML can write, and whether it is required."""
    hints = get_type_hints(function)
    return {
        name: (_kinds(hints[name]), parameter.default is inspect.Parameter.empty)
        for name, parameter in inspect.signature(function).parameters.items()
    }


_WRITTEN: Mapping[Any, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _kinds(hint: Any) -> tuple[Any, ...]:
    """Take a type apart; what YAML has no way of writing, such as a function, is left out."""
    if hint in _WRITTEN or hint is NoneType:
        return (hint,) if hint is not NoneType else ()
    origin, inside = get_origin(hint), get_args(hint)
    if origin is tuple:
        return (hint,) if all(one in _WRITTEN for one in inside) else ()
    if origin is None or origin not in _UNIONS:
        return ()
    return tuple(kind for one in inside for kind in _kinds(one))


_UNIONS = (get_origin(int | str), get_origin(Any | None))


def _fits(kind: Any, value: Any) -> bool:
    if get_origin(kind) is tuple:
        inside = get_args(kind)
        return isinstance(value, list) and len(value) == len(inside) and all(map(_fits, inside, value))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _said(kind: Any) -> str:
    return f"[{listed([_said(k) for k in get_args(kind)])}]" if get_origin(kind) is tuple else _WRITTEN[kind]


def called(block: Block, kinds: Mapping[str, Callable[..., Any]], where: str) -> Any:
    """Call the function that `kind:` names, with the block's other words as its parameters."""
    kind = one_of(block, "kind", where, list(kinds))
    function = kinds[kind]
    taken = {name: k for name, k in parameters(function).items() if k[0]}
    only(block, ("kind", *taken), f"{where} of kind {kind}")
    given: dict[str, Any] = {}
    for name, (fitting, is_required) in taken.items():
        if name not in block:
            if is_required:
                raise Mistake(f"{where} of kind {kind} needs `{name}:`. It takes {listed(list(taken))}.", block)
            continue
        value = block[name]
        if not any(_fits(one, value) for one in fitting):
            meant = " or ".join(_said(one) for one in fitting)
            raise Mistake(f"{where}: `{name}:` must be {meant}; found {value!r}.", block, name)
        given[name] = tuple(value) if isinstance(value, list) else value
    return function(**given)
