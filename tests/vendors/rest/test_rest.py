"""A tool declared in YAML: recorded traffic becomes its records, and what is declared asks what the functions ask."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import yaml

from morton_pipeline.book import Connection, open_book
from morton_pipeline.errors import BadInput
from morton_pipeline.extract import auth, by_name, pages
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.records import validate
from morton_pipeline.extract.vendor import Vendor
from morton_pipeline.vendors import vendor_of
from tests.conftest import ROOT
from tests.vendors.replay import Recorded, rows

AT = datetime(2026, 11, 1, tzinfo=UTC)
Json = Any
Answer = Callable[[httpx.Request], httpx.Response]


def example(page: str) -> str:
    """Return the block of YAML that a doc page shows."""
    text = (ROOT / "docs" / "vendors" / f"{page}.md").read_text("utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
    return str(block)


def connection(folder: Path, monkeypatch: pytest.MonkeyPatch, block: str | dict[str, Json]) -> Connection:
    """Read a book of one connection, with its secrets set."""
    text = block if isinstance(block, str) else yaml.safe_dump({"connections": [block]}, sort_keys=False)
    (folder / "connections.yaml").write_text(text, "utf-8")
    (found,) = open_book(folder).connections
    for word, variable in found.secrets.items():
        monkeypatch.setenv(variable, f"s3cret/{word}")
    return found


def read(found: Connection, answer: Answer, **more: Any) -> list[Extraction]:
    vendor = replace(vendor_of(found), rate=None)
    return fetch(found, vendor, at=AT, transport=httpx.MockTransport(answer), **more)


def kept(found: Connection, extraction: Extraction) -> pd.DataFrame:
    assert extraction.error == ""
    result = validate(vendor_of(found).endpoint(extraction.endpoint).record, extraction.rows or [], at=AT)
    assert result.rejected.to_dict("records") == []
    return result.kept


def test_the_example_of_the_doc_page_reads_the_recorded_traffic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = connection(tmp_path, monkeypatch, example("rest").replace("[per_page, 100]", "[per_page, 2]"))
    recorded = Recorded("rest")
    records, companies = (kept(found, e) for e in read(found, recorded))
    assert [exchange["request"] for exchange in recorded.left] == []
    assert rows(records, "record_key", "record_name", "company_id", "sku", "quantity", "unit", "state") == [
        ("41", "Ada Quill", "org-3", "Business", "1", "licence", "active"),
        ("57", None, "org-3", "Business", "1", "licence", "cancelled"),
        ("90", "Bo Marsh", "org-8", "Teams", "12.5", "licence", "true"),
    ]
    assert rows(records, "attributes") == [
        ('{"department": "Front desk"}',),
        ('{"department": null}',),
        ('{"department": null}',),
    ]
    assert rows(companies, "record_key", "company_name") == [
        ("org-3", "Fernwood Dental"),
        ("org-8", "Gull Logistics"),
        ("org-9", None),
    ]


def test_case_31_only_a_record_that_was_not_seen_for_long_says_since_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = connection(tmp_path, monkeypatch, example("rest").replace("[per_page, 100]", "[per_page, 2]"))
    records, _ = (kept(found, e) for e in read(found, Recorded("rest")))
    assert rows(records, "record_key", "seen_on") == [("41", None), ("57", "2026-08-01"), ("90", None)]


BASE: dict[str, Json] = {
    "id": "tool",
    "vendor": "rest",
    "base_url": "https://tool.example",
    "auth": {"kind": "none"},
    "backoff_seconds": 0,
    "attempts": 1,
    "records": {"path": "/list", "columns": {"record_id": "id", "company_id": "org"}},
}


def block(records: dict[str, Json] | None = None, **more: Json) -> dict[str, Json]:
    return {**BASE, **more, "records": {**BASE["records"], **(records or {})}}


def item(number: int, **more: Json) -> dict[str, Json]:
    return {"id": number, "org": "one", **more}


class Paged:
    """Seven records in pages of three, by whichever way of paging the query asks for; notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.items = [item(n) for n in range(1, 8)]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("token"):
            self.asked.append(f"{request.url} {request.content.decode()}")
            self.headers.append(dict(request.headers))
            return httpx.Response(200, json={"access_token": "t0ken", "expires_in": 3600})
        self.asked.append(str(request.url))
        self.headers.append(dict(request.headers))
        query = request.url.params
        start = 0
        if "page" in query:
            start = 3 * (int(query["page"]) - 1)
        elif "offset" in query or "cursor" in query:
            start = int(query.get("offset", query.get("cursor", 0)))
        elif "after" in query:
            start = int(query["after"])
        following = start + 3 if start + 3 < 7 else None
        link = f"https://tool.example/list?cursor={following}" if following else None
        body = {
            "items": self.items[start : start + 3],
            "meta": {"pages": 3, "total": 7, "next": following and str(following), "link": link},
        }
        return httpx.Response(200, json=body, headers={"link": f'<{link}>; rel="next"'} if link else {})


FLOWS: dict[str, tuple[dict[str, Json], pages.Flow, int]] = {
    "single_page": ({"kind": "single_page"}, pages.single_page, 3),
    "by_page_number": (
        {"kind": "by_page_number", "param": "page", "first": 1, "size": ["size", 3], "last_page": "meta.pages"},
        pages.by_page_number("page", first=1, size=("size", 3), last_page="meta.pages"),
        7,
    ),
    "by_page_number to an empty page": (
        {"kind": "by_page_number", "param": "page", "first": 1, "size": ["size", 3]},
        pages.by_page_number("page", first=1, size=("size", 3)),
        7,
    ),
    "by_page_number with a count": (
        {"kind": "by_page_number", "param": "page", "first": 1, "size": ["size", 3], "last_page": "meta.pages",
         "counted": ["items", "meta.total"]},
        pages.by_page_number(
            "page", first=1, size=("size", 3), last_page="meta.pages", counted=("items", "meta.total")
        ),
        7,
    ),
    "by_offset": (
        {"kind": "by_offset", "param": "offset", "limit": ["limit", 3], "total": "meta.total"},
        pages.by_offset("offset", limit=("limit", 3), total="meta.total"),
        7,
    ),
    "by_offset to an empty page": (
        {"kind": "by_offset", "param": "offset", "limit": ["limit", 3]},
        pages.by_offset("offset", limit=("limit", 3)),
        7,
    ),
    "by_token": (
        {"kind": "by_token", "where": "meta.next", "param": "cursor"},
        pages.by_token("meta.next", "cursor"),
        7,
    ),
    "by_next_link": ({"kind": "by_next_link", "where": "meta.link"}, pages.by_next_link("meta.link"), 7),
    "by_header_link": ({"kind": "by_header_link"}, pages.by_header_link, 7),
    "by_highest_id": (
        {"kind": "by_highest_id", "param": "after", "field": "id", "size": ["size", 3]},
        pages.by_highest_id("after", field="id", size=("size", 3)),
        7,
    ),
}  # fmt: skip


def test_every_way_of_paging_and_of_signing_in_is_tried_and_described() -> None:
    page = (ROOT / "docs" / "vendors" / "rest.md").read_text("utf-8")
    for kinds, tried in ((by_name.flows(), FLOWS), (by_name.auths(), AUTHS)):
        assert {name.split()[0] for name in tried} == set(kinds), "try the new one here"
        for kind, function in kinds.items():
            row = next((line for line in page.splitlines() if line.startswith(f"| `{kind}` |")), "")
            assert row, f"describe {kind} in docs/vendors/rest.md"
            assert [w for w in by_name.parameters(function) if f"`{w}" not in page] == [], kind


@pytest.mark.parametrize("name", FLOWS)
def test_a_way_of_paging_walks_as_its_function_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    declared, flow, count = FLOWS[name]
    found = connection(tmp_path, monkeypatch, block({"records": "items", "pages": declared, "params": {"all": 1}}))
    yaml_side, python_side = Paged(), Paged()
    (extraction, _) = read(found, yaml_side)
    vendor = vendor_of(found)
    coded = replace(vendor.endpoint("records"), pages=flow, records="items", rules=())
    (same,) = fetch(found, replace(vendor, endpoints=(coded,)), at=AT, transport=httpx.MockTransport(python_side))
    assert yaml_side.asked == python_side.asked
    assert [row["record_id"] for row in extraction.rows or ()] == [str(row["id"]) for row in same.rows or ()]
    assert len(extraction.rows or ()) == count


AUTHS: dict[str, tuple[dict[str, Json], auth.AuthFactory, tuple[str, ...]]] = {
    "none": ({"kind": "none"}, lambda _: httpx.Auth(), ()),
    "basic": ({"kind": "basic", "username": "user", "password": "pass"}, auth.basic("user", "pass"), ("user", "pass")),
    "header_key": (
        {"kind": "header_key", "header": "X-Key", "secret": "key"},
        auth.header_key("X-Key", "key"),
        ("key",),
    ),
    "header_key with a prefix": (
        {"kind": "header_key", "header": "Authorization", "secret": "key", "prefix": "Token "},
        auth.header_key("Authorization", "key", prefix="Token "),
        ("key",),
    ),
    "client_credentials": (
        {"kind": "client_credentials", "token_path": "/oauth/token", "scope": "read"},
        auth.client_credentials("/oauth/token", scope="read"),
        ("client_id", "client_secret"),
    ),
    "client_credentials elsewhere": (
        {"kind": "client_credentials", "token_path": "/oauth/token", "scope": "", "on_auth_host": True},
        auth.client_credentials("/oauth/token", scope="", on_auth_host=True),
        ("client_id", "client_secret"),
    ),
    "client_credentials_by_basic": (
        {"kind": "client_credentials_by_basic", "token_path": "/oauth/token"},
        auth.client_credentials_by_basic("/oauth/token"),
        ("client_id", "client_secret"),
    ),
    "password_grant": (
        {"kind": "password_grant", "token_path": "/t/token", "username": "u", "password": "p", "client": ["c", "s"]},
        auth.password_grant("/t/token", username="u", password="p", client=("c", "s")),
        ("u", "p"),
    ),
    "refresh_token": (
        {"kind": "refresh_token", "token_path": "/oauth/token"},
        auth.refresh_token("/oauth/token"),
        ("client_id", "client_secret", "refresh_token"),
    ),
}


def signed(name: str) -> dict[str, Json]:
    declared, _, secrets = AUTHS[name]
    return block(
        {"records": "items"},
        auth=declared,
        auth_url="https://login.example",
        secrets={word: f"TEST_TOOL_{word}".upper() for word in secrets},
    )


@pytest.mark.parametrize("name", AUTHS)
def test_a_way_of_signing_in_sends_what_its_function_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    found = connection(tmp_path, monkeypatch, signed(name))
    yaml_side, python_side = Paged(), Paged()
    read(found, yaml_side)
    coded: Vendor = replace(vendor_of(found), auth=AUTHS[name][1])
    fetch(found, coded, at=AT, transport=httpx.MockTransport(python_side))
    assert (yaml_side.asked, yaml_side.headers) == (python_side.asked, python_side.headers)
    sent = json.dumps([yaml_side.asked, yaml_side.headers])
    assert name == "none" or re.search(r"s3cret|czNjcmV0|t0ken", sent), "nothing was proved"


@pytest.mark.parametrize("name", [name for name in AUTHS if name != "none"])
def test_every_secret_a_way_of_signing_in_asks_for_must_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for word in AUTHS[name][2]:
        lacking = signed(name)
        del lacking["secrets"][word]
        with pytest.raises(BadInput, match=f"the secret '{word}' is not under `secrets:`"):
            connection(tmp_path, monkeypatch, lacking)


def answering(*items: Json, total: int | None = None) -> Answer:
    return lambda request: httpx.Response(200, json={"items": list(items), "total": total or len(items)})


def columns(**more: Json) -> dict[str, Json]:
    return {"records": "items", "columns": {"record_id": "id", "company_id": "org", **more}}


@pytest.mark.parametrize(
    ("declared", "row", "word", "expected"),
    [
        (columns(), item(1), "quantity", "1"),
        (columns(quantity="n"), item(1, n=3), "quantity", "3"),
        (columns(quantity="n"), item(1, n=1.25), "quantity", "1.25"),
        (columns(quantity="n"), item(1, n=" 7 "), "quantity", "7"),
        (columns(quantity="n?"), item(1), "quantity", "1"),
        (columns(quantity="n?"), item(1, n=None), "quantity", "1"),
        (columns(quantity="n?"), item(1, n=0), "quantity", "0"),
        (columns(sku="plan.name"), item(1, plan={"name": "Pro"}), "sku", "Pro"),
        (columns(sku="plan.name"), item(1, **{"plan.name": "Dotted"}), "sku", "Dotted"),
        (columns(sku="plan.name?"), item(1, plan=None), "sku", None),
        (columns(sku="plan"), item(1, plan=""), "sku", None),
        (columns(state="on"), item(1, on=False), "state", "false"),
        (columns(record_id=["org", "id"]), item(1), "record_id", "one|1"),
        (columns(mac_addresses="mac"), item(1, mac="AA:BB, CC:DD"), "mac_addresses", '["AA:BB", "CC:DD"]'),
        (columns(mac_addresses="mac"), item(1, mac=["AA:BB"]), "mac_addresses", '["AA:BB"]'),
        (columns(mac_addresses="mac"), item(1, mac=[]), "mac_addresses", None),
        (columns(state="tags"), item(1, tags=["a", "b"]), "state", '["a", "b"]'),
        (columns(seen_on="at"), item(1, at="2026-08-01T23:30:00-05:00"), "seen_on", "2026-08-02"),
        (columns(seen_on="at"), item(1, at="2026-08-01"), "seen_on", "2026-08-01"),
        (columns(seen_on="at"), item(1, at=1785542400), "seen_on", "2026-08-01"),
        (columns(seen_on="at"), item(1, at="1785542400.5"), "seen_on", "2026-08-01"),
        (columns(seen_on="at"), item(1, at="0001-01-01T00:00:00Z"), "seen_on", None),
        (columns(seen_on="at"), item(1, at=0), "seen_on", None),
        (columns(attributes={"a": "x.y", "b": "z?"}), item(1, x={"y": [1]}), "attributes", '{"a": [1], "b": null}'),
    ],
)
def test_a_value_is_found_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: Json, row: Json, word: str, expected: str | None
) -> None:
    found = connection(tmp_path, monkeypatch, block(declared))
    (records, _) = read(found, answering(row))
    assert rows(kept(found, records), word) == [(expected,)]


@pytest.mark.parametrize(
    ("declared", "row", "column"),
    [
        (columns(), item(1, org=None), "company_id"),
        (columns(), item(1, org=" "), "company_id"),
        (columns(), {"id": None, "org": "one"}, "record_id"),
        (columns(record_id=["org", "id"]), {"id": None, "org": "one"}, "record_id"),
        (columns(quantity="n"), item(1, n=None), "quantity"),
        (columns(quantity="n"), item(1, n=-1), "quantity"),
        (columns(quantity="n"), item(1, n="1,5"), "quantity"),
        (columns(quantity="n"), item(1, n=True), "quantity"),
        (columns(quantity="n"), item(1, n="NaN"), "quantity"),
        (columns(seen_on="at"), item(1, at="03/11/2026"), "seen_on"),
        (columns(seen_on="at"), item(1, at=True), "seen_on"),
    ],
)
def test_a_record_that_does_not_fit_is_set_aside_by_its_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: Json, row: Json, column: str
) -> None:
    found = connection(tmp_path, monkeypatch, block(declared))
    (records, _) = read(found, answering(row, item(2, n=1, at=None)))
    result = validate(vendor_of(found).endpoint("records").record, records.rows or [], at=AT)
    assert (records.error, len(result.kept), result.rejected_count) == ("", 1, 1)
    assert set(result.rejected["column_name"]) == {column}


@pytest.mark.parametrize(
    ("declared", "answer", "said"),
    [
        (columns(sku="plan"), answering(item(1)), r"no plan, which columns.sku.*write `plan\?`.*has id, org"),
        (columns(sku="plan.name"), answering(item(1, plan=None)), "no plan.name"),
        (columns(sku="plan.name"), answering(item(1, plan="Pro")), "no plan.name"),
        (columns(sku="plan"), answering(item(1, plan={"name": "Pro"})), "is an object with name; name one of these as plan"),
        (columns(), answering("text"), "not a record"),
        (columns(), lambda _: httpx.Response(200, json={"rows": []}), "expected a list at items, found NoneType"),
        (columns(), lambda _: httpx.Response(200, json={"items": None}), "expected a list at items, found NoneType"),
        (columns() | {"records": ""}, lambda _: httpx.Response(200, json={"items": []}), "list at the top of the answer"),
        (columns() | {"total": "total"}, answering(item(1), total=2), "declared 2 records and sent 1"),
        (columns() | {"total": "count"}, answering(item(1)), "shape has changed"),
        (columns(), answering(item(1), item(1)), "record 1 came twice"),
        (columns() | {"pages": {"kind": "by_highest_id", "param": "after", "field": "key", "size": ["n", 1]}},
         answering(item(1)), "KeyError: 'key'"),
        (columns() | {"pages": {"kind": "by_next_link", "where": "next"}},
         lambda _: httpx.Response(200, json={"items": [item(1)], "next": "https://evil.example/x"}), "evil.example"),
    ],
    ids=["absent", "absent-within-null", "absent-within-text", "object", "no-records", "no-list", "null-list", "no-array",
         "total", "no-total", "repeated", "highest-id", "foreign-link"],
)  # fmt: skip
def test_a_list_that_is_not_as_declared_is_refused_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: Json, answer: Answer, said: str
) -> None:
    found = connection(tmp_path, monkeypatch, block(declared))
    (records, companies) = read(found, answer)
    assert records.rows is None
    assert records.error.startswith("tool: ")
    assert re.search(said, records.error), records.error
    assert "needs records, which failed" in companies.error


def test_a_field_that_is_called_like_a_column_of_ours_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = connection(tmp_path, monkeypatch, block(columns()))
    (records, _) = read(found, answering(item(1, recordId="same"), item(2, record_id="same", company_id="x")))
    assert rows(kept(found, records), "record_id", "company_id") == [("1", "one"), ("2", "one")]


def test_companies_are_named_by_the_records_where_no_list_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = connection(tmp_path, monkeypatch, block(columns(company_name="name?")))
    items = [item(1, name="Old"), item(2, name="New"), item(3), {"id": 4, "org": "two"}, item(5, org=None)]
    (_, companies) = read(found, answering(*items))
    assert companies.rows == [
        {"company_id": "one", "company_name": "New"},
        {"company_id": "two", "company_name": None},
    ]


def test_one_list_of_a_tool_can_be_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = block(columns(), companies={"path": "/orgs", "columns": {"company_id": "id", "company_name": "name"}})
    found = connection(tmp_path, monkeypatch, declared)
    (companies,) = read(found, lambda _: httpx.Response(200, json=[{"id": 7, "name": "G"}]), endpoints={"companies"})
    assert (companies.endpoint, companies.rows) == ("companies", [{"company_id": "7", "company_name": "G"}])


def test_a_refused_key_names_its_variable_and_never_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = connection(tmp_path, monkeypatch, signed("header_key"))
    (records, _) = read(found, lambda _: httpx.Response(401, json={"message": "no: s3cret/key"}))
    assert "Check TEST_TOOL_KEY" in records.error
    assert "s3cret" not in records.error
