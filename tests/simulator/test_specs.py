"""The stand-ins' answers against what the vendors publish about their own APIs."""

import json
import os
import re
import xml.etree.ElementTree as ElementTree
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from morton_pipeline.book import PROJECT
from tests.simulator.conftest import Ask

pytestmark = pytest.mark.contract
SPECS = Path(os.environ.get("MORTON_VENDOR_SPECS") or PROJECT.parent / "shared" / "vendor-specs")


def spec(relative: str) -> str:
    path = SPECS / relative
    if not path.is_file():
        pytest.skip(f"the vendor's description is not here ({path}); set MORTON_VENDOR_SPECS")
    return path.read_text("utf-8")


def check(instance: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    checker = jsonschema.FormatChecker(formats=())
    whole = {**schema, **{k: document[k] for k in ("components", "definitions") if k in document}}
    errors = sorted(jsonschema.Draft4Validator(whole, format_checker=checker).iter_errors(instance), key=str)
    assert not errors, "\n".join(f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in errors[:5])


def closed(schemas: dict[str, Any], name: str) -> dict[str, Any]:
    """The schema of that name, which then allows no property it does not describe."""
    return {**schemas[name], "additionalProperties": False}


@pytest.fixture(scope="module")
def ninjaone_document() -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(spec("ninjaone/openapi.yaml"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return document


@pytest.mark.parametrize(
    ("path", "name"), [("/v2/organizations", "Organization"), ("/v2/devices", "NodeWithDetailedReferences")]
)
def test_ninjaone_answers_as_its_openapi_describes(
    ask: Ask, ninjaone: dict[str, str], ninjaone_document: dict[str, Any], path: str, name: str
) -> None:
    described = ninjaone_document["paths"][path]["get"]["responses"]["default"]["content"]["application/json"]["schema"]
    assert described["items"]["$ref"].endswith(f"/{name}")
    body = ask("GET", f"/ninjaone{path}", headers=ninjaone).json()
    strict = {"type": "array", "items": closed(ninjaone_document["components"]["schemas"], name)}
    check(body, strict, ninjaone_document)


def test_ninjaone_details_devices_as_its_openapi_describes(
    ask: Ask, ninjaone: dict[str, str], ninjaone_document: dict[str, Any]
) -> None:
    """The list is described as devices of any kind; those with an agent also have a system."""
    path = ninjaone_document["paths"]["/v2/devices-detailed"]["get"]
    described = path["responses"]["default"]["content"]["application/json"]["schema"]
    assert described["items"]["$ref"].endswith("/Device")
    schemas = ninjaone_document["components"]["schemas"]
    agents = next(part for part in schemas["AgentDevice"]["allOf"] if "properties" in part)
    whole = {
        "type": "object",
        "properties": {**schemas["Device"]["properties"], "system": closed(schemas, "ComputerSystem")},
        "additionalProperties": False,
    }
    assert agents["properties"]["system"]["$ref"].endswith("/ComputerSystem")
    body = ask("GET", "/ninjaone/v2/devices-detailed", headers=ninjaone).json()
    check(body, {"type": "array", "items": whole}, ninjaone_document)
    assert {"system" in device for device in body} == {True, False}
    assert {"macAddresses" in device for device in body} == {True, False}


@pytest.fixture(scope="module")
def huntress_document() -> dict[str, Any]:
    """The description, mended: it requires fields it does not have, types usages as text, and knows no null."""
    document: dict[str, Any] = json.loads(spec("huntress/swagger2.json"))
    for definition in document["definitions"].values():
        properties = definition.get("properties", {})
        definition["required"] = [name for name in definition.pop("required", []) if name in properties] or ["id"]
        if "id" not in properties:
            del definition["required"]
        if "actual_usages" in properties:
            properties["actual_usages"] = {"type": "object"}
        for described in properties.values():
            if isinstance(described.get("type"), str):
                described["type"] = [described["type"].lower(), "null"]
    return document


@pytest.mark.parametrize(
    ("path", "plural", "name"),
    [
        ("/v1/organizations", "organizations", "Organization"),
        ("/v1/agents", "agents", "Agent"),
        ("/v1/incident_reports", "incident_reports", "IncidentReport"),
    ],
)
def test_huntress_lists_as_its_swagger_describes(
    ask: Ask, huntress_key: tuple[str, str], huntress_document: dict[str, Any], path: str, plural: str, name: str
) -> None:
    described = huntress_document["paths"][path]["get"]["responses"]["200"]["schema"]
    body = ask("GET", f"/huntress{path}", params={"limit": 5}, auth=huntress_key).json()
    check(body, described, huntress_document)
    assert body[plural]
    strict = {"type": "array", "items": closed(huntress_document["definitions"], name)}
    check(body[plural], strict, huntress_document)
    assert set(body[plural][0]) == set(huntress_document["definitions"][name]["properties"])


def test_huntress_answers_one_organisation_as_its_swagger_describes(
    ask: Ask, huntress_key: tuple[str, str], huntress_document: dict[str, Any]
) -> None:
    first = ask("GET", "/huntress/v1/organizations", auth=huntress_key).json()["organizations"][0]["id"]
    body = ask("GET", f"/huntress/v1/organizations/{first}", auth=huntress_key).json()["organization"]
    check(body, closed(huntress_document["definitions"], "OrganizationWithActualProductUsages"), huntress_document)
    example = json.loads(spec("huntress/examples/organization_get_with_actual_usages.json"))["organization"]
    assert set(body) == set(example)
    assert set(body["actual_usages"]) == set(example["actual_usages"])
    assert set(body["actual_usages"]["edr"]) == set(example["actual_usages"]["edr"])


@pytest.fixture(scope="module")
def graph_types() -> dict[str, dict[str, str]]:
    """Property names and types by type name, inherited ones included."""
    text = re.sub(r"<!--.*?-->", "", spec("microsoft/graph_v1.0_csdl_excerpt.xml"), flags=re.DOTALL)
    root = ElementTree.fromstring(f"<Schema>{text}</Schema>")
    own = {t.attrib["Name"]: t for t in root if t.tag in ("ComplexType", "EntityType")}
    found: dict[str, dict[str, str]] = {}
    for name, element in own.items():
        found[name] = {}
        current: ElementTree.Element | None = element
        while current is not None:
            found[name].update({p.attrib["Name"]: p.attrib["Type"] for p in current.findall("Property")})
            current = own.get(current.attrib.get("BaseType", "").removeprefix("graph."))
    found["userPurpose"] = {m.attrib["Name"]: "member" for e in root.findall("EnumType") for m in e.findall("Member")}
    return found


def follows(value: Any, declared: str, types: dict[str, dict[str, str]]) -> bool:
    if value is None:
        return True
    if match := re.fullmatch(r"Collection\((.+)\)", declared):
        return isinstance(value, list) and all(follows(v, match[1], types) for v in value)
    if declared == "graph.userPurpose":
        return value in types["userPurpose"]
    if declared.startswith("graph."):
        inner = types[declared.removeprefix("graph.")]
        return isinstance(value, dict) and all(k in inner and follows(v, inner[k], types) for k, v in value.items())
    if declared == "Edm.Boolean":
        return isinstance(value, bool)
    if declared == "Edm.Int32":
        return isinstance(value, int) and not isinstance(value, bool)
    if declared == "Edm.Guid":
        return re.fullmatch(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", value) is not None
    if declared == "Edm.DateTimeOffset":
        return datetime.fromisoformat(value).tzinfo is not None
    return isinstance(value, str)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1.0/subscribedSkus", "subscribedSku"),
        ("/v1.0/directory/subscriptions", "companySubscription"),
        ("/v1.0/users?$select=id,displayName,userPrincipalName,mail,accountEnabled,userType,department,assignedLicenses,"
         "licenseAssignmentStates,createdDateTime", "user"),
        ("/v1.0/users", "user"),
        ("/v1.0/tenantRelationships/delegatedAdminCustomers", "delegatedAdminCustomer"),
    ],
    ids=["skus", "subscriptions", "users selected", "users", "customers"],
)  # fmt: skip
def test_graph_answers_as_its_schema_describes(
    ask: Ask, graph: dict[str, str], graph_types: dict[str, dict[str, str]], path: str, name: str
) -> None:
    rows = ask("GET", f"/graph{path}", headers=graph).json()["value"]
    assert rows
    for row in rows:
        for key, value in row.items():
            if not key.startswith("@odata."):
                assert key in graph_types[name], key
                assert follows(value, graph_types[name][key], graph_types), (key, value)


@pytest.mark.parametrize(
    ("path", "example"),
    [
        ("/v1.0/subscribedSkus", "subscribedSkus_list"),
        ("/v1.0/directory/subscriptions", "directory_subscriptions_list"),
        ("/v1.0/users", "users_list_default_properties"),
    ],
    ids=["skus", "subscriptions", "users"],
)
def test_graph_sends_every_field_of_its_examples(ask: Ask, graph: dict[str, str], path: str, example: str) -> None:
    shown = json.loads(spec(f"microsoft/examples/{example}.json"))["value"][0]
    sent = ask("GET", f"/graph{path}", headers=graph).json()["value"][0]
    assert set(sent) == set(shown)


def test_graph_and_login_errors_have_the_shape_of_the_examples(ask: Ask, graph: dict[str, str]) -> None:
    shown = json.loads(spec("microsoft/examples/error_429.json"))["error"]
    ask("POST", "/simulator/fault", json={"vendor": "m365", "mode": "429"})
    sent = ask("GET", "/graph/v1.0/users", headers=graph).json()["error"]
    assert sent["code"] == shown["code"]
    assert {"code", "message", "innerError"} <= set(sent)


def test_the_sku_ids_are_microsofts_own() -> None:
    import csv

    from morton_pipeline.simulator.names import FREE_SKUS, SKUS

    rows = csv.DictReader(spec("microsoft/sku_names.csv").splitlines())
    published = {(row["string_id"], row["guid"]) for row in rows}
    assert set(SKUS.items()) <= published
    free = {row["GUID"] for row in json.loads(spec("microsoft/free_trial_viral_skus.json"))}
    assert {SKUS[part] for part in FREE_SKUS} <= free
