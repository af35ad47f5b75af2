"""The stand-in for QuickBooks Desktop: numbers are taken twice, message sets are kept, iterators end with their visit."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from morton_pipeline.extract import qbxml
from morton_pipeline.simulator.quickbooks_desktop import CompanyFile, NotParsed

CUSTOMER, ITEM = {"CustomerRef": {"ListID": "c1"}}, {"ItemRef": {"ListID": "i1"}, "Quantity": "2", "Amount": "9.00"}


@pytest.fixture
def company() -> CompanyFile:
    company = CompanyFile()
    for number in range(5):
        company.add_customer(f"c{number}", f"Client {number}", active=number != 3)
    company.add_item("i1", "Seat", Decimal("4.5"))
    return company


def ask(company: CompanyFile, name: str, fields: Any, **ids: str) -> dict[str, Any]:
    return qbxml.answers(company.execute(qbxml.message_set([(name, fields)], **ids)))


def add(company: CompanyFile, *, set_id: str = "", **fields: Any) -> dict[str, Any]:
    body = {**CUSTOMER, **fields, "InvoiceLineAdd": [ITEM]}
    return ask(company, "InvoiceAddRq", {"InvoiceAdd": body}, new_id=set_id)


def code(answer: dict[str, Any], name: str) -> str:
    return str(answer[name]["@statusCode"])


def test_one_number_is_taken_twice(company: CompanyFile) -> None:
    assert [code(add(company, RefNumber="A1"), "InvoiceAddRs") for _ in range(2)] == ["0", "0"]
    found = ask(company, "InvoiceQueryRq", {"RefNumber": "a1"})["InvoiceQueryRs"]["InvoiceRet"]
    assert len(found) == 2
    assert "InvoiceLineRet" not in found[0], "lines come where they are asked for"


def test_a_message_set_is_carried_out_once_and_told_again(company: CompanyFile) -> None:
    first = add(company, set_id="K1", RefNumber="A1")
    assert add(company, set_id="K1", RefNumber="A1") == first
    asked = qbxml.answers(company.execute(qbxml.message_set(new_id="K1", old_id="K1")))
    assert asked["InvoiceAddRs"] == first["InvoiceAddRs"]
    assert len(company.documents) == len(company.adds) == 1
    assert add(company, set_id="K1", RefNumber="A2")["@messageSetStatusCode"] == "9001"


def test_a_set_nobody_knows_has_no_status_and_nothing_to_let_go_of(company: CompanyFile) -> None:
    def status(**ids: str) -> str:
        return str(qbxml.answers(company.execute(qbxml.message_set(**ids)))["@messageSetStatusCode"])

    assert (status(new_id="K1", old_id="K1"), status(old_id="K1")) == ("9002", "600")
    add(company, set_id="K1")
    assert (status(old_id="K1"), status(new_id="K1", old_id="K1")) == ("0", "9002")


def test_a_refusal_is_kept_like_any_answer(company: CompanyFile) -> None:
    refused = add(company, set_id="K1", CustomerRef={"ListID": "c3"})
    assert code(refused, "InvoiceAddRs") == "3140"
    company.add_customer("c3", "Client 3")
    assert code(add(company, set_id="K1", CustomerRef={"ListID": "c3"}), "InvoiceAddRs") == "3140"


def test_an_iterator_goes_on_to_the_end_of_its_visit_and_no_further(company: CompanyFile) -> None:
    start = ask(company, "CustomerQueryRq", {"@iterator": "Start", "MaxReturned": 2, "ActiveStatus": "All"})
    answer = start["CustomerQueryRs"]
    assert (answer["@retCount"], answer["@iteratorRemainingCount"]) == ("2", "3")
    place = {"@iterator": "Continue", "@iteratorID": answer["@iteratorID"], "MaxReturned": 2}
    assert ask(company, "CustomerQueryRq", place)["CustomerQueryRs"]["@iteratorRemainingCount"] == "1"
    company.begin_session()
    assert code(ask(company, "CustomerQueryRq", place), "CustomerQueryRs") == "3120"


def test_inactive_ones_are_listed_where_they_are_asked_for(company: CompanyFile) -> None:
    assert len(ask(company, "CustomerQueryRq", {})["CustomerQueryRs"]["CustomerRet"]) == 4
    assert code(ask(company, "CustomerQueryRq", {"ListID": "c9"}), "CustomerQueryRs") == "500"
    assert code(ask(company, "InvoiceQueryRq", {"MaxReturned": 1}), "InvoiceQueryRs") == "1"


@pytest.mark.parametrize(
    "request_text",
    [
        qbxml.message_set([("InvoiceAddRq", {"InvoiceAdd": {"Memo": "m", "RefNumber": "A"}})]),
        qbxml.message_set([("InvoiceAddRq", {"InvoiceAdd": {"Colour": "red"}})]),
        qbxml.message_set([("InvoiceQueryRq", {})]).replace(' onError="stopOnError"', ""),
        "<QBXML>",
        "<QBXML/>",
    ],
)
def test_what_is_out_of_order_is_not_read(company: CompanyFile, request_text: str) -> None:
    with pytest.raises(NotParsed):
        company.execute(request_text)
    assert company.requests == []


def test_too_long_too_early_and_too_late(company: CompanyFile) -> None:
    assert code(add(company, RefNumber="x" * 12), "InvoiceAddRs") == "3070"
    company.closed_until = date(2026, 11, 30)
    refused = add(company)["InvoiceAddRs"]
    assert (refused["@statusCode"], "closing date" in refused["@statusMessage"]) == ("3171", True)
    too_long = qbxml.message_set(new_id="K").replace('"K"', f'"{"K" * 25}"')
    assert qbxml.answers(company.execute(too_long))["@messageSetStatusCode"] == "9004"


def test_what_outlives_the_process_is_remembered(company: CompanyFile) -> None:
    add(company, set_id="K1", RefNumber="A1")
    other = CompanyFile()
    other.recall(company.memory())
    assert (other.documents, other.kept, other.adds) == (company.documents, company.kept, company.adds)
    other.add_customer("c1", "Client 1")
    other.add_item("i1", "Seat")
    assert len({add(other)["InvoiceAddRs"]["InvoiceRet"]["TxnID"], *other.documents}) == 2


def test_voided_is_kept_and_deleted_is_gone(company: CompanyFile) -> None:
    txn_id = company.add_by_hand("Invoice", {**CUSTOMER, "Memo": "note", "InvoiceLineAdd": ITEM})
    company.void(txn_id)
    assert (company.documents[txn_id]["Memo"], company.documents[txn_id]["Subtotal"]) == ("VOID: note", "0.00")
    company.delete(txn_id)
    assert code(ask(company, "InvoiceQueryRq", {"TxnID": txn_id}), "InvoiceQueryRs") == "500"
