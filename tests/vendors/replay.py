"""Replays a vendor's recorded traffic: every request must be a recorded one, and every recorded one must come."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from morton_pipeline.extract.fetch import fetch
from morton_pipeline.extract.records import validate
from morton_pipeline.vendors import VENDORS
from tests.conftest import Connect

Cell = tuple[str, str, str]
"""What validation sets aside: the list, the record's key, and the column that is wrong."""
AT = datetime(2026, 11, 1, tzinfo=UTC)


class Recorded:
    """The exchanges of `<vendor>/traffic.json`: what is asked, the body if one is sent, and the answer."""

    def __init__(self, vendor: str) -> None:
        path = Path(__file__).parent / vendor / "traffic.json"
        self.left: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = f"{request.method} {request.url.path}"
        if query := request.url.params:
            asked += "?" + "&".join(f"{name}={value}" for name, value in query.multi_items())
        sent = json.loads(request.content) if request.headers.get("content-type") == "application/json" else None
        for exchange in self.left:
            if exchange["request"] == asked and exchange.get("body") == sent:
                self.left.remove(exchange)
                return httpx.Response(exchange.get("status", 200), json=exchange["response"])
        raise AssertionError(f"not recorded: {asked} {sent or ''}")


def replay(connect: Connect, vendor_name: str, *, set_aside: Sequence[Cell] = ()) -> dict[str, pd.DataFrame]:
    """Fetch everything from the recording; return the valid records of each endpoint, and nothing else is set aside."""
    vendor, recorded = VENDORS[vendor_name], Recorded(vendor_name)
    found = fetch(connect(vendor_name), replace(vendor, rate=None), at=AT, transport=httpx.MockTransport(recorded))
    assert [e.error for e in found if e.error] == []
    assert [exchange["request"] for exchange in recorded.left] == []
    frames, rejected = {}, []
    for extraction in found:
        result = validate(vendor.endpoint(extraction.endpoint).record, extraction.rows or [], at=AT)
        rejected += [(extraction.endpoint, *cell) for cell in rows(result.rejected, "record_key", "column_name")]
        frames[extraction.endpoint] = result.kept
    assert rejected == list(set_aside)
    return frames


def rows(frame: pd.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    """Return some columns as tuples, nothing where a value is absent."""
    return [tuple(None if pd.isna(v) else v for v in row) for row in frame[list(names)].itertuples(index=False)]
