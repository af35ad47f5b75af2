"""QuickBooks Desktop: our service against Intuit's own WSDL, our requests and the stand-in's answers against its templates."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zeep
from lxml import etree

from morton_pipeline.accounting.adapter import Found
from morton_pipeline.accounting.errors import Refused
from morton_pipeline.connector import soap
from morton_pipeline.connector.setup import qwc
from morton_pipeline.extract import qbxml
from morton_pipeline.simulator.quickbooks_desktop import WebConnector
from morton_pipeline.vendors.quickbooks_desktop import VENDOR
from tests.connector.conftest import client, serving
from tests.connector.desk import ACME, HASH, PASSWORD, Desk, open_desk
from tests.contracts.conftest import spec

pytestmark = pytest.mark.contract

FOLDER = "quickbooks-desktop"
LEFT_OUT = {"CreditMemo"}
"""What the trimmed templates leave out."""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("QUICKBOOKS_DESKTOP_PASSWORD", HASH)
    with open_desk(tmp_path) as desk:
        yield desk


@pytest.fixture(scope="module")
def templates() -> etree._Element:
    return etree.parse(spec(f"{FOLDER}/qbxmlops140_trimmed.xml")).getroot()


def example(name: str) -> str:
    return spec(f"{FOLDER}/examples/{name}").read_text("utf-8")


def operations(described: Any) -> dict[str, tuple[str, str]]:
    """Return each operation's parameters and result, as a SOAP client understands a description."""
    (service,) = described.wsdl.services.values()
    (port,) = service.ports.values()
    return {
        name: (
            o.input.body.signature(schema=described.wsdl.types),
            o.output.body.signature(schema=described.wsdl.types),
        )
        for name, o in port.binding._operations.items()
    }


def test_our_description_of_the_service_is_intuits(tmp_path: Path) -> None:
    ours = tmp_path / "ours.wsdl"
    ours.write_bytes(soap.wsdl("http://127.0.0.1:1/"))
    theirs = zeep.Client(str(spec(f"{FOLDER}/QBWebConnectorSvc.wsdl")))
    assert operations(zeep.Client(str(ours))) == operations(theirs)
    actions = {o.name: o.soapaction for o in next(iter(theirs.wsdl.bindings.values()))._operations.values()}
    assert actions == {name: f"{soap.NAMESPACE}{name}" for name in soap.OPERATIONS}


def test_a_client_of_intuits_description_makes_a_whole_visit(desk: Desk) -> None:
    desk.approve()
    with serving(desk) as service:
        theirs = client(service.url, str(spec(f"{FOLDER}/QBWebConnectorSvc.wsdl")))
        told = WebConnector(desk.company, theirs, "desktop", PASSWORD).visit()
        service.rest()
    assert (told, desk.only()["state"]) == ("Invoices: 1 posted. Lists read: 4 of 4.", "posted")
    assert len(desk.made()) == 1


def violations(element: etree._Element, template: etree._Element) -> Iterator[str]:
    """Tell what stands where the template has nothing, what is out of order, and what is longer than it may be."""
    known = [child for child in template if isinstance(child.tag, str)]
    names, place = [child.tag for child in known], 0
    unknown = set(element.attrib) - set(template.attrib) - {"requestID"}
    yield from (f"{element.tag} has no attribute {name}" for name in unknown)
    for child in element:
        if child.tag not in names:
            yield f"{element.tag} has no {child.tag}"
            continue
        if names.index(child.tag) < place:
            yield f"{child.tag} stands too late in {element.tag}"
        place = names.index(child.tag)
        if len(child.text or "") > longest(known[place]):
            yield f"{child.tag} is longer than {longest(known[place])}"
        yield from violations(child, known[place])


def longest(template: etree._Element) -> int:
    """Return the length the comment behind an element allows in QuickBooks Desktop."""
    said = template.getnext()
    is_same_line = said is not None and said.sourceline == template.sourceline and said.tag is etree.Comment
    found = re.search(r"max length = (\d+) for [A-Z|]*\bQBD\b", said.text or "") if is_same_line else None
    return int(found[1]) if found else 10**9


def everything(desk: Desk) -> tuple[list[str], list[str]]:
    """Return every request of ours and every answer of the stand-in, in all the ways we ask."""
    asked, answered, execute = [], [], desk.company.execute

    def note(request: str) -> str:
        asked.append(request)
        answered.append(execute(request))
        return answered[-1]

    desk.company.execute = note  # type: ignore[method-assign]
    desk.settings = {"pending": True}
    desk.company.add_customer(ACME, "Acme Corp", currency="US Dollar")
    desk.approve("00000000000a")
    desk.approve("00000000000b", client_id="beta", service_id="edr", variance_amount=Decimal("31.50"))
    desk.faults = ["dies before"]
    desk.post()
    desk.post()
    desk.verify()
    adapter = desk.adapter()
    adapter.find(Found("", "NONE", ACME, "USD", (), ""))
    adapter.list_since(date(2026, 1, 1))
    for endpoint in VENDOR.endpoints:
        if endpoint.walk is not None:
            walk = endpoint.walk({})
            call = next(walk)
            note(qbxml.message_set([(call.path[1:], call.json)]))
    return asked, answered


def test_our_requests_are_ordered_and_as_long_as_the_templates_say(desk: Desk, templates: etree._Element) -> None:
    requests, _ = everything(desk)
    wrapper, seen = templates.find("QBXMLMsgsRq"), set()
    for text in requests:
        (ours,) = etree.fromstring(text.encode())
        assert set(ours.attrib) <= set(wrapper.attrib)
        for request in ours:
            if not any(request.tag.startswith(entity) for entity in LEFT_OUT):
                seen.add(request.tag)
                assert list(violations(request, wrapper.find(request.tag))) == []
    assert seen == {"InvoiceAddRq", "InvoiceQueryRq", "CustomerQueryRq", "ItemServiceQueryRq"}


def test_the_stand_ins_answers_are_ordered_as_the_templates_say(desk: Desk, templates: etree._Element) -> None:
    _, answers = everything(desk)
    wrapper, seen = templates.find("QBXMLMsgsRs"), set()
    for text in answers:
        (theirs,) = etree.fromstring(text.encode())
        assert set(theirs.attrib) <= set(wrapper.attrib)
        for answer in theirs:
            template = wrapper.find(answer.tag)
            if template is not None:
                seen.add(answer.tag)
                assert list(violations(answer, template)) == []
    assert {"InvoiceQueryRs", "CustomerQueryRs", "ItemServiceQueryRs"} <= seen


def test_an_order_that_is_not_the_templates_would_be_noticed(templates: etree._Element) -> None:
    template = templates.find("QBXMLMsgsRq").find("InvoiceAddRq")
    wrong = "<InvoiceAddRq><InvoiceAdd><Memo/><RefNumber>MABCDEFGHIJK</RefNumber><Note/></InvoiceAdd></InvoiceAddRq>"
    assert list(violations(etree.fromstring(wrong), template)) == [
        "RefNumber stands too late in InvoiceAdd",
        "RefNumber is longer than 11",
        "InvoiceAdd has no Note",
    ]


def test_the_published_answers_mean_what_they_say(desk: Desk) -> None:
    desk.approve()
    payload = desk.plan().drafts[0].payload

    def adapter(answer: str, of: str) -> Any:
        made, ask = desk.adapter(), desk.ask
        made._ask = lambda request: answer if f"<{of}>" in request else ask(request)
        return made

    made = adapter(example("InvoiceAddRs_ok.xml"), "InvoiceAddRq").create(payload, "k", is_credit=False)
    assert made == "new-txn"
    with pytest.raises(Refused, match=r"invalid reference to QuickBooks Item.*\(3140\)"):
        adapter(example("InvoiceAddRs_error_3140.xml"), "InvoiceAddRq").create(payload, "k", is_credit=False)
    nothing = adapter(example("InvoiceQueryRs_no_match.xml"), "InvoiceQueryRq")
    assert nothing.find(Found("", "INV-001", ACME, "USD", (), "")) == []


@pytest.mark.parametrize("name", ["example_http.qwc", "example_https_authflags.qwc"])
def test_our_file_for_the_web_connector_has_the_published_ones_elements_in_order(desk: Desk, name: str) -> None:
    ours = [e.tag for e in etree.fromstring(qwc(desk.book, desk.book.connection("desktop"), 8765))]
    theirs = [e.tag for e in etree.fromstring(example(name).encode())]
    assert [tag for tag in ours if tag in theirs] == [tag for tag in theirs if tag in ours]
    assert set(theirs) - set(ours) <= {"AuthFlags"}
