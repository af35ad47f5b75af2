"""QuickBooks' stand-in answers as QuickBooks documents, and its invoices use no word the vendor's schema does not know."""

import json
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from morton_pipeline.extract.fetch import fetch
from morton_pipeline.simulator.quickbooks import Company, create_app
from morton_pipeline.vendors.quickbooks_online import VENDOR

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
SPECS = Path(os.environ.get("MORTON_VENDOR_SPECS") or Path(__file__).parents[3] / "shared" / "vendor-specs")
SCHEMA = SPECS / "quickbooks-online" / "Finance.xsd"
XS = "{http://www.w3.org/2001/XMLSchema}"
REALM = "/v3/company/9130350000000001"

Ask = Callable[..., Any]


@pytest.fixture
def http(company: Company, open_wire: Callable[..., Any]) -> Any:
    with httpx.Client(transport=open_wire(create_app(company, lambda: AT)), base_url="http://127.0.0.1:9") as client:
        form = {"grant_type": "refresh_token", "refresh_token": "refresh-0"}
        token = client.post("/oauth2/v1/tokens/bearer", data=form, auth=("app-id", "app-secret")).json()
        client.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield client


@pytest.fixture
def query(http: Any) -> Ask:
    return lambda text: http.get(f"{REALM}/query", params={"query": text}).json()


def body(**changes: Any) -> dict[str, Any]:
    detail = {"ItemRef": {"value": "7"}, "Qty": 7, "UnitPrice": 22.0, "ServiceDate": "2026-11-01"}
    line = {"Amount": 154.0, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": detail, "Description": "seats"}
    return {"CustomerRef": {"value": "12"}, "DocNumber": "M202611-A", "PrivateNote": "n", "Line": [line]} | changes


def described(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} is not here; MORTON_VENDOR_SPECS names the folder of the vendors' descriptions")
    return path


def test_an_invoice_is_totalled_and_closed_with_a_subtotal(http: Any) -> None:
    made = http.post(f"{REALM}/invoice", params={"requestid": "r1"}, json=body()).json()["Invoice"]
    assert (made["TotalAmt"], made["Balance"], made["SyncToken"], made["TxnDate"]) == (154.0, 154.0, "0", "2026-11-23")
    assert [line["DetailType"] for line in made["Line"]] == ["SalesItemLineDetail", "SubTotalLineDetail"]
    assert "Id" not in made["Line"][-1]


@pytest.mark.contract
def test_an_invoice_looks_like_the_vendors_example(http: Any) -> None:
    example = json.loads(described(SPECS / "quickbooks-online/examples/invoice_read_response_130.json").read_text())
    made = http.post(f"{REALM}/invoice", params={"requestid": "r1"}, json=body()).json()["Invoice"]
    optional = {"SalesTermRef", "ShipAddr", "BillAddr", "BillEmail", "CustomerMemo", "ProjectRef"}
    assert set(example["Invoice"]) - optional <= {*made, "PrivateNote"}


@pytest.mark.contract
@pytest.mark.parametrize("entity", ["Invoice", "Item"])
def test_the_words_of_an_answer_are_the_schemas(http: Any, query: Ask, entity: str) -> None:
    root = ElementTree.parse(described(SCHEMA)).getroot()
    types = {t.get("name"): t for t in root.iter(f"{XS}complexType")}

    def words(name: str) -> dict[str, str]:
        node = types[name]
        found = {
            e.get("name") or (e.get("ref") or "").split(":")[-1]: e.get("type") or e.get("ref") or ""
            for e in node.iter(f"{XS}element")
        }
        found |= {a.get("name", ""): "" for a in node.iter(f"{XS}attribute")}
        for extension in node.iter(f"{XS}extension"):
            if extension.get("base") in types:
                found |= words(extension.get("base", ""))
        return found

    outside = {
        "Id",
        "SyncToken",
        "MetaData",
        "CustomField",
        "domain",
        "sparse",
    }  # IntuitEntity, which another file describes
    unknown: list[str] = []

    def check(value: Any, name: str, path: str) -> None:
        known = words(name)
        for key, inner in value.items():
            if key not in known and not (name == entity and key in outside):
                unknown.append(f"{path}.{key}")
            for one in inner if isinstance(inner, list) else [inner]:
                if isinstance(one, dict) and known.get(key) in types:
                    if known[key] == "ReferenceType":
                        assert set(one) <= {"value", "name", "type"}
                    else:
                        check(one, known[key], f"{path}.{key}")

    http.post(f"{REALM}/invoice", json=body())
    answered = query(f"select * from {entity}")["QueryResponse"][entity]
    assert answered
    for one in answered:
        check(one, entity, entity)
    assert unknown == []


@pytest.mark.contract
def test_the_words_of_a_customer_are_the_vendors_examples(query: Ask) -> None:
    """The schema this vendor publishes describes no customer; its example does, of a company with one currency."""
    root = ElementTree.parse(described(SPECS / "quickbooks-online/examples/customers.xml")).getroot()
    known = {
        word.tag.rpartition("}")[2]
        for one in root.iter("{http://schema.intuit.com/finance/v3}Customer")
        for word in one
    }
    for customer in query("select * from Customer")["QueryResponse"]["Customer"]:
        assert set(customer) - {"domain", "sparse", "CurrencyRef"} <= known


def test_a_request_id_replays_the_first_answer(http: Any, company: Company) -> None:
    first = http.post(f"{REALM}/invoice", params={"requestid": "r1"}, json=body()).json()
    again = http.post(f"{REALM}/invoice", params={"requestid": "r1"}, json=body(DocNumber="other")).json()
    assert (first, len(company.invoices)) == (again, 1)


def test_a_request_id_is_forgotten_in_time(http: Any, company: Company) -> None:
    company.remembered_requests, company.refuses_duplicate_numbers = 0, False
    for _ in range(2):
        http.post(f"{REALM}/invoice", params={"requestid": "r1"}, json=body())
    assert len(company.invoices) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"DocNumber": "M" * 22}, "2050"),
        ({"CustomerRef": {"value": "99"}}, "610"),
        ({"CustomerRef": {}}, "2020"),
        ({"Line": []}, "2020"),
        ({"Line": [{"SalesItemLineDetail": {"ItemRef": {"value": "99"}}, "Amount": 1}]}, "610"),
        (
            {"Line": [{"SalesItemLineDetail": {"ItemRef": {"value": "7"}, "Qty": 2, "UnitPrice": 3}, "Amount": 7}]},
            "6070",
        ),
        ({"CurrencyRef": {"value": "EUR"}}, "6000"),
    ],
    ids=["long number", "customer", "no customer", "no lines", "item", "amount", "currency"],
)
def test_what_quickbooks_refuses(http: Any, change: dict[str, Any], code: str) -> None:
    answer = http.post(f"{REALM}/invoice", json=body(**change))
    assert answer.status_code == 400
    assert answer.headers["intuit_tid"]
    assert answer.json()["Fault"]["type"] == "ValidationFault"
    assert answer.json()["Fault"]["Error"][0]["code"] == code


def test_a_duplicate_number_is_refused(http: Any) -> None:
    http.post(f"{REALM}/invoice", json=body())
    error = http.post(f"{REALM}/invoice", json=body()).json()["Fault"]["Error"][0]
    assert (error["code"], error["Message"]) == ("6140", "Duplicate Document Number Error")


def test_a_stale_sync_token_is_refused(http: Any) -> None:
    made = http.post(f"{REALM}/invoice", json=body()).json()["Invoice"]
    change = {"Id": made["Id"], "SyncToken": "0", "sparse": True, "PrivateNote": "edited"}
    changed = http.post(f"{REALM}/invoice", json=change).json()["Invoice"]
    assert (changed["SyncToken"], changed["PrivateNote"], changed["TotalAmt"]) == ("1", "edited", 154.0)
    assert http.post(f"{REALM}/invoice", json=change).json()["Fault"]["Error"][0]["code"] == "5010"
    void = http.post(
        f"{REALM}/invoice", params={"operation": "void"}, json={"Id": made["Id"], "SyncToken": "1"}
    ).json()["Invoice"]
    assert (void["TotalAmt"], void["PrivateNote"]) == (0.0, "Voided")


def test_queries_page_from_one_and_leave_out_what_is_empty(http: Any, query: Ask) -> None:
    for number in range(3):
        http.post(f"{REALM}/invoice", json=body(DocNumber=f"N'{number}"))
    page = query("select * from Invoice orderby Id startposition 2 maxresults 2")["QueryResponse"]
    assert ([i["DocNumber"] for i in page["Invoice"]], page["startPosition"], page["maxResults"]) == (
        ["N'1", "N'2"],
        2,
        2,
    )
    found = query(r"select Id, DocNumber from Invoice where DocNumber = 'N\'1'")["QueryResponse"]["Invoice"]
    assert found == [{"Id": "102", "DocNumber": "N'1"}]
    assert query("select * from Invoice where DocNumber = 'none'")["QueryResponse"] == {}
    assert query("select count(*) from Invoice")["QueryResponse"] == {"totalCount": 3}
    assert (
        len(
            query("select * from Invoice where CustomerRef = '12' and TxnDate >= '2026-11-01'")["QueryResponse"][
                "Invoice"
            ]
        )
        == 3
    )
    assert query("select * from Invoice where TxnDate > '2026-11-23'")["QueryResponse"] == {}


@pytest.mark.parametrize(
    ("text", "code"),
    [("select * from Invoice maxresults 0", "4001"), ("select * from Nothing", "4000"), ("select * from Invoice where a ~ 1", "4000"),
     ("select * from Invoice maxresults 1001", "4001")],
    ids=["none", "entity", "grammar", "too many"],
)  # fmt: skip
def test_bad_queries(query: Ask, text: str, code: str) -> None:
    assert query(text)["Fault"]["Error"][0]["code"] == code


def test_without_a_token_nothing_is_told(http: Any, company: Company) -> None:
    company.forget_tokens()
    answer = http.get(f"{REALM}/query", params={"query": "select * from Item"})
    assert (answer.status_code, answer.json()["Fault"]["type"]) == (401, "AUTHENTICATION")
    assert http.get("/v3/company/1/query").status_code == 401


def test_refresh_tokens_rotate_and_survive_a_lost_answer(company: Company) -> None:
    first = company.exchange("refresh-0")["refresh_token"]
    second = company.exchange("refresh-0")["refresh_token"]
    company.exchange(second)
    for gone in ("refresh-0", first):
        with pytest.raises(KeyError):
            company.exchange(gone)


def test_the_vendor_page_reads_what_the_stand_in_says(connect: Callable[..., Any], company: Company) -> None:
    company.client_id = company.client_secret = "x"
    connection = connect("quickbooks_online", settings={"realm_id": company.realm_id})
    secrets = connection.secret_values()
    company.client_id, company.client_secret = secrets["client_id"], secrets["client_secret"]
    company._refresh.add(secrets["refresh_token"])
    company.add_invoice(body(), AT)
    transport = httpx.ASGITransport(create_app(company, lambda: AT))
    found = {e.endpoint: e for e in fetch(connection, VENDOR, at=AT, transport=transport)}
    assert {name: e.error for name, e in found.items() if e.error} == {}
    assert [len(found[name].rows or ()) for name in ("customers", "items", "invoices", "invoice_lines")] == [2, 2, 1, 1]
    assert (found["invoice_lines"].rows or [{}])[0]["Amount"] == Decimal("154.0")
