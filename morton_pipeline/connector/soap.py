"""SOAP 1.1, document/literal, as far as the Web Connector speaks it: its operations, its envelopes, our description.

Belongs here: reading a call, writing an answer or a fault, and the WSDL, all from one table of operations. Does not:
what an operation does (`service.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from morton_pipeline.extract.qbxml import BadXml, parse

NAMESPACE = "http://developer.intuit.com/"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
WSDL = "http://schemas.xmlsoap.org/wsdl/"
SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"
SCHEMA = "http://www.w3.org/2001/XMLSchema"

TEXT, NUMBER, TEXTS = "string", "int", "ArrayOfString"


@dataclass(frozen=True)
class Operation:
    """One operation: its parameters in order, each with its type, and the type of its result."""

    name: str
    parameters: Mapping[str, str]
    result: str = TEXT


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("serverVersion", {"strVersion": TEXT}),
        Operation("clientVersion", {"strVersion": TEXT}),
        Operation("authenticate", {"strUserName": TEXT, "strPassword": TEXT}, TEXTS),
        Operation(
            "sendRequestXML",
            {
                "ticket": TEXT,
                "strHCPResponse": TEXT,
                "strCompanyFileName": TEXT,
                "qbXMLCountry": TEXT,
                "qbXMLMajorVers": NUMBER,
                "qbXMLMinorVers": NUMBER,
            },
        ),
        Operation("receiveResponseXML", {"ticket": TEXT, "response": TEXT, "hresult": TEXT, "message": TEXT}, NUMBER),
        Operation("connectionError", {"ticket": TEXT, "hresult": TEXT, "message": TEXT}),
        Operation("getLastError", {"ticket": TEXT}),
        Operation("closeConnection", {"ticket": TEXT}),
    )
}


def read(content: bytes) -> tuple[Operation, dict[str, str]]:
    """Read a call: the operation and its parameters, absent ones empty. Raises `BadXml` for whatever is none."""
    root = parse(content)
    body = root.find(f"{{{ENVELOPE}}}Body") if root.tag == f"{{{ENVELOPE}}}Envelope" else None
    if body is None or len(body) != 1:
        raise BadXml("the message is no SOAP 1.1 envelope with one call.")
    name = etree.QName(body[0])
    operation = OPERATIONS.get(name.localname) if name.namespace == NAMESPACE else None
    if operation is None:
        raise BadXml(f"there is no operation {name.localname[:60]!r}.")
    given = {etree.QName(child).localname: child.text or "" for child in body[0]}
    return operation, {parameter: given.get(parameter, "") for parameter in operation.parameters}


def write(operation: Operation, result: str | int | Sequence[str]) -> bytes:
    """Write an answer."""
    envelope, body = _envelope()
    answer = etree.SubElement(body, f"{{{NAMESPACE}}}{operation.name}Response", nsmap={None: NAMESPACE})
    element = etree.SubElement(answer, f"{{{NAMESPACE}}}{operation.name}Result")
    if operation.result == TEXTS:
        for text in result if isinstance(result, Sequence) else ():
            etree.SubElement(element, f"{{{NAMESPACE}}}string").text = text
    else:
        element.text = str(result)
    return _bytes(envelope)


def fault(said: str, *, is_callers: bool) -> bytes:
    """Write a fault: the caller's, or ours."""
    envelope, body = _envelope()
    element = etree.SubElement(body, f"{{{ENVELOPE}}}Fault")
    etree.SubElement(element, "faultcode").text = f"soap:{'Client' if is_callers else 'Server'}"
    etree.SubElement(element, "faultstring").text = said
    return _bytes(envelope)


def _envelope() -> tuple[etree._Element, etree._Element]:
    envelope = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={"soap": ENVELOPE})
    return envelope, etree.SubElement(envelope, f"{{{ENVELOPE}}}Body")


def _bytes(root: etree._Element) -> bytes:
    written: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def wsdl(address: str) -> bytes:
    """Describe the service at an address."""
    root = etree.Element(f"{{{WSDL}}}definitions", nsmap={"wsdl": WSDL, "soap": SOAP, "tns": NAMESPACE, "s": SCHEMA})
    root.set("targetNamespace", NAMESPACE)
    schema = _add(
        _add(root, WSDL, "types"), SCHEMA, "schema", elementFormDefault="qualified", targetNamespace=NAMESPACE
    )
    texts = _add(_add(schema, SCHEMA, "complexType", name=TEXTS), SCHEMA, "sequence")
    _add(
        texts, SCHEMA, "element", minOccurs="0", maxOccurs="unbounded", name="string", nillable="true", type="s:string"
    )
    for operation in OPERATIONS.values():
        _element(schema, operation.name, operation.parameters)
        _element(schema, f"{operation.name}Response", {f"{operation.name}Result": operation.result})
    for operation in OPERATIONS.values():
        for end, element in (("In", operation.name), ("Out", f"{operation.name}Response")):
            message = _add(root, WSDL, "message", name=f"{operation.name}{end}")
            _add(message, WSDL, "part", name="parameters", element=f"tns:{element}")
    port = _add(root, WSDL, "portType", name="WebConnectorPort")
    binding = _add(root, WSDL, "binding", name="WebConnectorBinding", type="tns:WebConnectorPort")
    _add(binding, SOAP, "binding", transport="http://schemas.xmlsoap.org/soap/http", style="document")
    for operation in OPERATIONS.values():
        called = _add(port, WSDL, "operation", name=operation.name)
        _add(called, WSDL, "input", message=f"tns:{operation.name}In")
        _add(called, WSDL, "output", message=f"tns:{operation.name}Out")
        bound = _add(binding, WSDL, "operation", name=operation.name)
        _add(bound, SOAP, "operation", soapAction=f"{NAMESPACE}{operation.name}", style="document")
        for end in ("input", "output"):
            _add(_add(bound, WSDL, end), SOAP, "body", use="literal")
    service = _add(root, WSDL, "service", name="WebConnector")
    at = _add(service, WSDL, "port", name="WebConnectorPort", binding="tns:WebConnectorBinding")
    _add(at, SOAP, "address", location=address)
    return _bytes(root)


def _element(schema: etree._Element, name: str, fields: Mapping[str, str]) -> None:
    element = _add(_add(schema, SCHEMA, "element", name=name), SCHEMA, "complexType")
    sequence = _add(element, SCHEMA, "sequence")
    for field, kind in fields.items():
        typed = f"tns:{kind}" if kind == TEXTS else f"s:{kind}"
        _add(
            sequence, SCHEMA, "element", minOccurs="1" if kind == NUMBER else "0", maxOccurs="1", name=field, type=typed
        )


def _add(parent: etree._Element, namespace: str, tag: str, /, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{namespace}}}{tag}", attributes)
