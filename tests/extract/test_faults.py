"""Every vendor × everything that can go wrong with it: a failure says so, and nothing partial passes for complete."""

import importlib
import json
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import validate
from morton_pipeline.vendors import VENDORS, vendor_of
from tests.conftest import Connect
from tests.extract import shapes

AT = datetime(2026, 11, 1, tzinfo=UTC)
Json = Any
SHAPES = {
    module.name: importlib.import_module(f"{shapes.__name__}.{module.name}")
    for module in pkgutil.iter_modules(shapes.__path__)
}
"""How each vendor answers: `MAIN` is the list the faults are tried on, `RENAMED` the fields it cannot do without.

A shape may have `CHANGES`, what its connection says beside what every connection does.
"""
VENDOR_NAMES = tuple(sorted(SHAPES))


class StandIn:
    """A vendor with seven records in pages of three, and one thing wrong with it.

    `damage` sees each answer about the vendor's main list and may change it; token answers are left alone.
    """

    page_size = 3

    def __init__(self, vendor: str, damage: "Damage") -> None:
        self.vendor, self.damage, self.served = vendor, damage, 0
        self.first: Json = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if "token" in request.url.path:
            return httpx.Response(200, json={"access_token": "bearer-1", "refresh_token": "r", "expires_in": 3600})
        body = SHAPES[self.vendor].shape(self, request)
        self.served += 1
        self.first = self.first or body
        return self.damage(self, body)

    def cut(self, rows: list[Json], start: int) -> tuple[list[Json], int | None]:
        """Return a page from `start`, and where the next one begins."""
        end = start + self.page_size
        return rows[start:end], end if end < len(rows) else None


Damage = Callable[[StandIn, Json], httpx.Response]


def whole(_: StandIn, body: Json) -> httpx.Response:
    return httpx.Response(200, json=body)


def status(code: int) -> Damage:
    return lambda _, body: httpx.Response(code, json={"message": "no"})


def text(said: str) -> Damage:
    return lambda _, body: httpx.Response(200, text=said)


def raising(failure: Exception) -> Damage:
    def damage(_: StandIn, body: Json) -> httpx.Response:
        raise failure

    return damage


def from_the_second_page(then: Damage) -> Damage:
    """The first answer of every scope is sound; each later one is damaged."""
    return lambda stand_in, body: whole(stand_in, body) if stand_in.served == 1 else then(stand_in, body)


async def _cut_off() -> Any:
    yield b'{"value": ['
    raise httpx.ReadError("connection reset by peer")


def reset(_: StandIn, body: Json) -> httpx.Response:
    return httpx.Response(200, content=_cut_off())


def truncated(_: StandIn, body: Json) -> httpx.Response:
    return httpx.Response(200, text=json.dumps(body)[:-1])


FAILING: dict[str, Damage] = {
    "outage": raising(httpx.ConnectError("connection refused")),
    "timeout": raising(httpx.ReadTimeout("slow")),
    "reset-mid-answer": reset,
    "401": status(401),
    "403": status(403),
    "429": status(429),
    "500": status(500),
    "empty-200": text(""),
    "html-200": text("<!DOCTYPE html><title>Sign in</title>"),
    "truncated": truncated,
    "null": text("null"),
    "error-object-200": text('{"error": {"message": "try later"}}'),
    "repeated-page": lambda stand_in, body: whole(stand_in, stand_in.first),
}


def read(connect: Connect, name: str, damage: Damage, main: bool = True) -> list[Extraction]:
    wanted = {SHAPES[name].MAIN} if main else None
    changes: dict[str, Any] = getattr(SHAPES[name], "CHANGES", {})
    connection = connect(name, **changes | {"settings": {**changes.get("settings", {}), "attempts": 2}})
    vendor = replace(vendor_of(connection), rate=None)
    return fetch(connection, vendor, at=AT, endpoints=wanted, transport=httpx.MockTransport(StandIn(name, damage)))


def test_every_vendor_that_is_asked_over_http_is_tried() -> None:
    asked = {name for name, vendor in VENDORS.items() if not vendor.is_caller}
    assert asked - set(VENDOR_NAMES) == {"files"}, "add a shape to tests/extract/shapes"


@pytest.mark.parametrize("name", VENDOR_NAMES)
def test_the_stand_in_itself_is_sound(connect: Connect, name: str) -> None:
    vendor = VENDORS[name]
    for extraction in read(connect, name, whole, main=False):
        assert extraction.error == ""
        result = validate(vendor.endpoint(extraction.endpoint).record, extraction.rows or [], at=AT)
        assert (len(result.kept) > 0, result.rejected_count) == (True, 0), extraction.endpoint
        if extraction.endpoint == SHAPES[name].MAIN:
            assert len(result.kept) == 7


@pytest.mark.parametrize("fault", [f for f in FAILING if f != "repeated-page"])
@pytest.mark.parametrize("name", VENDOR_NAMES)
def test_case_1_a_source_that_fails_is_unknown_in_every_scope(connect: Connect, name: str, fault: str) -> None:
    for extraction in read(connect, name, FAILING[fault], main=False):
        assert extraction.rows is None, extraction.endpoint
        assert extraction.error.startswith(f"{name}: ")


@pytest.mark.parametrize("fault", FAILING)
@pytest.mark.parametrize("name", VENDOR_NAMES)
def test_case_4_a_source_that_fails_half_way_leaves_nothing_behind(connect: Connect, name: str, fault: str) -> None:
    (extraction,) = read(connect, name, from_the_second_page(FAILING[fault]))
    assert extraction.rows is None
    assert extraction.error.startswith(f"{name}: ")


@pytest.mark.parametrize("size", [1, 2, 5], ids=lambda n: f"{n}-a-page")
@pytest.mark.parametrize("name", VENDOR_NAMES)
def test_case_4_pages_shorter_than_asked_for_still_bring_everything(
    connect: Connect, name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandIn, "page_size", size)
    (extraction,) = read(connect, name, whole)
    assert len(extraction.rows or ()) == 7


def renaming(field: str) -> Damage:
    def rename(value: Json) -> Json:
        if isinstance(value, list):
            return [rename(v) for v in value]
        if isinstance(value, dict):
            return {f"{k}New" if k == field else k: rename(v) for k, v in value.items()}
        return value

    return lambda stand_in, body: whole(stand_in, rename(body))


@pytest.mark.parametrize(
    ("name", "field"),
    [(name, field) for name, module in SHAPES.items() for field in module.RENAMED],
)
def test_case_10_a_renamed_field_fails_the_scope_or_sets_every_record_aside(
    connect: Connect, name: str, field: str
) -> None:
    touched = 0
    sound = {e.endpoint: len(e.rows or ()) for e in read(connect, name, whole, main=False)}
    for extraction in read(connect, name, renaming(field), main=False):
        if extraction.rows is None:
            touched += 1
            continue
        result = validate(VENDORS[name].endpoint(extraction.endpoint).record, extraction.rows, at=AT)
        assert result.rejected_count in (0, len(extraction.rows))
        assert len(extraction.rows) == sound[extraction.endpoint], extraction.endpoint
        touched += result.rejected_count > 0
    assert touched
