"""From a vendor's JSON to rows: what is kept, what is set aside, and that nothing is lost between the two."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morton_pipeline.extract.records import (
    Boolean,
    Integer,
    Number,
    Record,
    Text,
    column,
    columns,
    flatten,
    gigabytes,
    key,
    number,
    settled_epoch,
    settled_instant,
    snake,
    validate,
    validate_together,
)
from morton_pipeline.vendors import VENDORS

AT = datetime(2026, 11, 1, tzinfo=UTC)


class Thing(Record):
    """One of every kind of column."""

    id: Text = key("Its id.")
    part: Text = key("Its part.")
    name: Text = column("Its name.", nullable=False)
    count: Integer = column("How many.", nullable=False)
    is_on: Boolean = column("Whether it is on.")
    price: Number = number("What it costs.")
    seen: Number = settled_epoch("When it was seen, in seconds.", after=timedelta(days=14))
    seen_at: Text = settled_instant("When it was seen.", after=timedelta(days=14))
    nested__value: Text = column("A nested value.")


def thing(**changes: Any) -> dict[str, Any]:
    return {"id": 7, "part": "a", "name": "n", "count": 1} | changes


def test_a_record_becomes_a_row_and_what_is_not_declared_is_not_stored() -> None:
    raw = thing(isOn=True, price=Decimal("0.10"), nested={"value": "x", "other": 1}, secret="not ours")
    result = validate(Thing, [raw], at=AT)
    (row,) = result.kept.to_dict("records")
    assert (row["id"], row["count"], row["is_on"], row["price"], row["nested__value"]) == ("7", 1, True, "0.10", "x")
    assert row["record_key"] == "7|a"
    assert set(row) == {c.name for c in columns(Thing)} | {"record_key"}


def test_no_records_are_a_known_zero_with_all_columns() -> None:
    result = validate(Thing, [], at=AT)
    assert (len(result.kept), result.rejected_count, len(result.rejected)) == (0, 0, 0)
    assert set(result.kept.columns) == {c.name for c in columns(Thing)} | {"record_key"}


@pytest.mark.parametrize(
    ("changes", "column_name", "record_key"),
    [
        ({"name": None}, "name", "7|a"),
        ({"count": None}, "count", "7|a"),
        ({"count": "many"}, "count", "7|a"),
        ({"count": Decimal("1.5")}, "count", "7|a"),
        ({"count": 2**70}, "count", "7|a"),
        ({"isOn": "perhaps"}, "is_on", "7|a"),
        ({"price": "free"}, "price", "7|a"),
        ({"price": Decimal("1e40")}, "price", "7|a"),
        ({"price": Decimal("1e999999")}, "price", "7|a"),
        ({"price": 10**19}, "price", "7|a"),
        ({"seen": "yesterday"}, "seen", "7|a"),
        ({"id": None}, "id", ""),
        ({"part": None}, "part", ""),
    ],
    ids=["null", "null-number", "text", "half", "too-large", "not-boolean", "not-decimal", "huge", "vast", "20-digits",
         "not-a-time", "no-id", "half-a-key"],
)  # fmt: skip
def test_what_fails_is_set_aside_with_its_column_and_value(
    changes: dict[str, Any], column_name: str, record_key: str
) -> None:
    good = thing(id=8)
    result = validate(Thing, [thing(**changes), good], at=AT)
    assert (result.rejected_count, list(result.kept["record_key"])) == (1, ["8|a"])
    assert set(result.rejected["column_name"]) == {column_name}
    assert set(result.rejected["record_key"]) == {record_key}


def test_case_10_a_renamed_field_sets_every_record_aside() -> None:
    renamed = [{"id": n, "part": "a", "title": "n", "count": 1} for n in range(5)]
    result = validate(Thing, renamed, at=AT)
    assert (len(result.kept), result.rejected_count) == (0, 5)


def test_a_record_that_fails_twice_is_one_record() -> None:
    result = validate(Thing, [thing(name=None, count="x")], at=AT)
    assert result.rejected_count == 1
    assert set(result.rejected["column_name"]) == {"name", "count"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["7", "1.5", "true", "2026-01-01", "NaN", "nan", "inf", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=3,
)  # fmt: skip
NAMES = st.sampled_from(["id", "part", "name", "count", "isOn", "price", "seen", "seenAt", "nested", "other"])


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.dictionaries(NAMES, JSON, max_size=8), max_size=5))
def test_case_8_whatever_a_vendor_sends_no_record_is_lost_and_twice_is_the_same(rows: list[dict[str, Any]]) -> None:
    first, second = validate(Thing, rows, at=AT), validate(Thing, rows, at=AT)
    assert len(first.kept) + first.rejected_count == len(rows)
    assert first.kept.equals(second.kept)
    assert first.kept["record_key"].notna().all()
    assert first.kept["count"].notna().all()


@settings(max_examples=8, deadline=None)
@given(scopes=st.lists(st.lists(st.dictionaries(NAMES, JSON, max_size=8), max_size=3), max_size=4))
def test_scopes_validated_together_come_out_as_if_alone(scopes: list[list[dict[str, Any]]]) -> None:
    together = validate_together(Thing, scopes, at=AT)
    assert len(together) == len(scopes)
    for rows, one in zip(scopes, together, strict=True):
        alone = validate(Thing, rows, at=AT)
        assert one.kept.equals(alone.kept)
        assert one.rejected_count == alone.rejected_count
        assert sorted(one.rejected["record_key"]) == sorted(alone.rejected["record_key"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nodeClass", "node_class"),
        ("DocNumber", "doc_number"),
        ("skuID", "sku_id"),
        ("skuId", "sku_id"),
        ("publicIP", "public_ip"),
        ("IPAddress", "ip_address"),
        ("@odata.type", "_odata_type"),
        ("already_snake", "already_snake"),
    ],
)
def test_snake(name: str, expected: str) -> None:
    assert snake(name) == expected


def test_flatten_joins_nested_names() -> None:
    assert flatten({"prepaidUnits": {"lockedOut": 1}, "tags": ["a"]}) == {"prepaid_units__locked_out": 1, "tags": ["a"]}


def test_a_list_is_kept_as_json_in_a_stable_order() -> None:
    (row,) = validate(Thing, [thing(nested={"value": [{"b": 1, "a": Decimal("1.5")}]})], at=AT).kept.to_dict("records")
    assert row["nested__value"] == '[{"a": "1.5", "b": 1}]'


LONG_AGO, LATELY = AT - timedelta(days=60), AT - timedelta(days=3)


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"seen": Decimal(f"{LONG_AGO.timestamp()}")}, "seen", f"{LONG_AGO.timestamp()}"),
        ({"seen": int(LATELY.timestamp())}, "seen", None),
        ({"seenAt": "2026-09-02T00:00:00Z"}, "seen_at", "2026-09-02T00:00:00Z"),
        ({"seenAt": "2026-10-30T00:00:00Z"}, "seen_at", None),
        ({"seenAt": "2026-10-18T01:00:00+02:00"}, "seen_at", "2026-10-18T01:00:00+02:00"),
        ({"seenAt": "2026-10-18T00:00:00"}, "seen_at", None),
        ({"seenAt": "never"}, "seen_at", "never"),
        ({"seenAt": None}, "seen_at", None),
    ],
    ids=["epoch-old", "epoch-young", "instant-old", "instant-young", "offset-old", "limit-itself", "words", "null"],
)
def test_a_last_seen_time_is_kept_once_it_has_settled(changes: dict[str, Any], name: str, expected: str | None) -> None:
    (value,) = validate(Thing, [thing(**changes)], at=AT).kept[name].to_list()
    assert (None if pd.isna(value) else str(value)) == expected


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda v: v.name)
def test_every_column_of_every_vendor_is_described_and_typed(vendor: Any) -> None:
    for endpoint in vendor.endpoints:
        declared = columns(endpoint.record)
        assert any(c.is_key for c in declared), endpoint.name
        assert not [c.name for c in declared if not c.description.endswith(".")], endpoint.name
        assert {c.sql_type for c in declared} <= {"varchar", "bigint", "boolean", "decimal(28, 9)"}


@pytest.mark.parametrize(
    ("value", "read"),
    [(966367641600, "900.0"), ("0", "0.0"), (53687091, "0.0"), (53687092, "0.1"), ("much", "much"), (None, None)],
    ids=str,
)
def test_bytes_become_gigabytes_to_one_decimal_and_what_is_no_number_is_left_alone(value: Any, read: Any) -> None:
    assert gigabytes(value) == read
