"""Vendors without an OpenAPI: our columns against the types they publish (Graph's CSDL, QuickBooks' XSD)."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest

from morton_pipeline.extract.records import Record, columns, snake
from morton_pipeline.vendors import VENDORS, microsoft365, quickbooks_online
from tests.contracts.conftest import spec

pytestmark = pytest.mark.contract
XS = "{http://www.w3.org/2001/XMLSchema}"
GRAPH = {"Edm.String": "varchar", "Edm.Guid": "varchar", "Edm.DateTimeOffset": "varchar", "Edm.Int32": "bigint",
         "Edm.Boolean": "boolean"}  # fmt: skip


def mismatches(record: type[Record], described: dict[str, str], ours: tuple[str, ...] = ()) -> list[str]:
    """Name the columns the vendor does not publish, or publishes as something else; `ours` are computed."""
    return [
        f"{c.name} ({c.sql_type}) is {described.get(c.name, 'not published')}"
        for c in columns(record)
        if c.name not in ours and described.get(c.name) != c.sql_type
    ]


@pytest.fixture(scope="module")
def graph() -> ET.Element:
    return ET.fromstring(f"<csdl>{spec('microsoft/graph_v1.0_csdl_excerpt.xml').read_text('utf-8')}</csdl>")


def graph_fields(csdl: ET.Element, name: str, prefix: str = "") -> dict[str, str]:
    """Flatten a Graph type to our column names and types; collections are kept as JSON."""
    (kind,) = [e for tag in ("EntityType", "ComplexType") for e in csdl.findall(tag) if e.get("Name") == name]
    base = (kind.get("BaseType") or "").removeprefix("graph.")
    found = graph_fields(csdl, base, prefix) if base else {}
    enums = {e.get("Name") for e in csdl.findall("EnumType")}
    known = {e.get("Name") for e in csdl.findall("ComplexType")}
    for field in kind.findall("Property"):
        column, kind_name = f"{prefix}{snake(field.get('Name', ''))}", field.get("Type", "")
        inner = kind_name.removeprefix("graph.")
        if inner in known and not prefix:
            found |= graph_fields(csdl, inner, f"{column}__")
        found[column] = (
            "varchar" if kind_name.startswith("Collection(") or inner in enums else GRAPH.get(kind_name, "object")
        )
    return found


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (microsoft365.SubscribedSku, "subscribedSku"),
        (microsoft365.User, "user"),
        (microsoft365.Customer, "delegatedAdminCustomer"),
    ],
    ids=["subscribed_skus", "users", "customers"],
)
def test_every_column_read_from_graph_is_a_property_of_its_type(
    graph: ET.Element, record: type[Record], name: str
) -> None:
    assert mismatches(record, graph_fields(graph, name)) == []


def test_every_column_derived_from_graph_is_a_property_it_was_derived_from(graph: ET.Element) -> None:
    user, sku = graph_fields(graph, "user"), graph_fields(graph, "subscribedSku")
    settings = graph_fields(graph, "mailboxSettings")
    assert mismatches(microsoft365.Mailbox, settings, ours=("user_id", "status")) == []
    assert mismatches(microsoft365.UserLicense, user | sku | settings, ours=("user_id", "mailbox_status")) == []


def test_every_field_asked_of_graph_exists(graph: ET.Element) -> None:
    asked = {snake(name) for name in microsoft365.USER_FIELDS.split(",")}
    assert asked <= set(graph_fields(graph, "user"))
    assert asked == {c.name for c in columns(microsoft365.User)}


@pytest.fixture(scope="module")
def xsd() -> dict[str, ET.Element]:
    root = ET.parse(spec("quickbooks-online/Finance.xsd")).getroot()
    return {e.get("name", ""): e for e in root if e.tag in (f"{XS}complexType", f"{XS}simpleType")}


QUICKBOOKS = {
    "string": "varchar",
    "date": "varchar",
    "decimal": "decimal(28, 9)",
    "boolean": "boolean",
    "positiveInteger": "bigint",
    "id": "varchar",
}
"""`id` is defined in a file that is not at hand, like the entity every type extends with its Id and SyncToken."""


def elements(kind: ET.Element, xsd: dict[str, ET.Element]) -> Iterator[ET.Element]:
    """Yield every element of a type, the inherited and the alternative ones included."""
    for extension in kind.iter(f"{XS}extension"):
        base = extension.get("base", "")
        if base in xsd:
            yield from elements(xsd[base], xsd)
    for group in kind.iter(f"{XS}group"):
        if group.get("ref"):
            yield from elements(xsd[group.get("ref", "")], xsd)
    for element in kind.iter(f"{XS}element"):
        yield xsd.get(element.get("ref", ""), element)


def scalar(kind: str, xsd: dict[str, ET.Element]) -> str:
    """Follow a simple type to its XML Schema base."""
    while kind in xsd:
        rest = [e for tag in ("restriction", "extension") for e in xsd[kind].iter(f"{XS}{tag}")]
        if not rest or list(xsd[kind].iter(f"{XS}element")):
            return "object"
        kind = rest[0].get("base", "")
    return QUICKBOOKS.get(kind.rpartition(":")[2], kind)


def quickbooks_fields(name: str, xsd: dict[str, ET.Element], prefix: str = "") -> dict[str, str]:
    """Flatten a QuickBooks type to our column names; in JSON a reference is `{value, name}`."""
    found: dict[str, str] = {}
    for element in elements(xsd[name], xsd):
        column, kind = f"{prefix}{snake(element.get('name', ''))}", element.get("type", "")
        if kind == "ReferenceType":
            found |= {f"{column}__value": "varchar", f"{column}__name": "varchar"}
        elif scalar(kind, xsd) == "object" and not prefix:
            found |= quickbooks_fields(kind, xsd, f"{column}__")
        found[column] = scalar(kind, xsd)
    return found


@pytest.mark.parametrize(
    ("endpoint", "name", "ours"),
    [
        ("items", "Item", ("id",)),
        ("invoices", "Invoice", ("id", "sync_token", "document")),
        ("invoice_lines", "Line", ("invoice_id", "document")),
    ],
    ids=["items", "invoices", "invoice_lines"],
)
def test_every_column_read_from_quickbooks_is_an_element_of_its_type(
    xsd: dict[str, ET.Element], endpoint: str, name: str, ours: tuple[str, ...]
) -> None:
    record = VENDORS["quickbooks_online"].endpoint(endpoint).record
    assert mismatches(record, quickbooks_fields(name, xsd), ours) == []


def test_every_column_of_a_customer_stands_in_a_customer_the_vendor_shows() -> None:
    root = ET.parse(spec("quickbooks-online/examples/customers.xml")).getroot()
    shown = {snake(e.tag.rpartition("}")[2]) for e in root.iter()}
    declared = columns(VENDORS["quickbooks_online"].endpoint("customers").record)
    newer_than_the_sample = {"currency_ref"}
    assert {c.name.removesuffix("__value") for c in declared} - newer_than_the_sample <= shown


def test_the_line_kinds_we_read_are_kinds_quickbooks_knows(xsd: dict[str, ET.Element]) -> None:
    kinds = {e.get("value") for e in xsd["LineDetailTypeEnum"].iter(f"{XS}enumeration")}
    assert {"SalesItemLineDetail", "GroupLineDetail", "SubTotalLineDetail"} <= kinds
    assert quickbooks_online.PAGE <= 1000
