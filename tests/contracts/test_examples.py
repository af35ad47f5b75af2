"""The examples vendors publish of one record, read by the vendor's own page: nothing of them is set aside, and what we
keep is what they say.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from morton_pipeline.extract.pages import Call, Page
from morton_pipeline.extract.records import validate
from morton_pipeline.vendors import VENDORS
from tests.contracts.conftest import spec
from tests.vendors.replay import AT

pytestmark = pytest.mark.contract
Json = Any

DATTO_SITES = [{"uid": "site-uid-1", "name": "Main Site", "onDemand": False}]
S1_SITES = [{"id": "225494730938493804", "siteType": "Paid", "state": "active"}]
APPLIANCE = {"serialNumber": "AAA1", "name": "Appliance", "hidden": False, "childReseller": False}


@dataclass(frozen=True)
class Example:
    """A published answer, the list it is one of, and what was read before it in the same scope."""

    file: str
    vendor: str
    endpoint: str
    kept: Mapping[str, Json]
    """Some of what must be kept of its record."""
    around: str = ""
    """The list it stands in, where the example is one record alone."""
    note: Json = None
    """What the walk remembers with the call."""
    fetched: Mapping[str, list[dict[str, Json]]] = field(default_factory=dict)


EXAMPLES = [
    Example(
        "datto-rmm/examples/devicesPage1.json", "datto_rmm", "devices",
        {"record_key": "device-uid-1", "device_type__category": "server", "datto_class": "device",
         "standing": "managed", "last_seen": "1721131200"},
        fetched={"sites": DATTO_SITES},
    ),
    Example(
        "datto-rmm/examples/device-rmmnetworkdevice.json", "datto_rmm", "devices",
        {"record_key": "device-uid-501", "device_type__category": "network", "datto_class": "rmmnetworkdevice",
         "standing": "managed"},
        around="devices", fetched={"sites": DATTO_SITES},
    ),
    Example(
        "sentinelone/examples/agents_list_item.json", "sentinelone", "agents",
        {"record_key": "225494730938493804", "machine_type": "unknown", "standing": "decommissioned",
         "console_migration_status": "Failed", "site_type": "Paid", "serial_number": "dummy"},
        around="data", fetched={"sites": S1_SITES},
    ),
    Example(
        "datto-bcdr/examples/bcdr_device_page.json", "datto_bcdr", "devices",
        {"record_key": "string", "client_company_name": "string", "hidden": "True", "child_reseller": "False"},
        note=["string"],
    ),
    Example(
        "datto-bcdr/examples/bcdr_device_asset_agent.json", "datto_bcdr", "assets",
        {"record_key": "AAA1/4b65219643aa4bc78e359928ead7fab5", "name": "test-host", "asset_class": "workstation",
         "is_archived": "False", "last_snapshot": "1584817262", "device__serial_number": "AAA1"},
        around="items", note=APPLIANCE,
    ),
]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.file)
def test_the_vendor_s_page_reads_the_vendor_s_own_example(example: Example) -> None:
    shown = json.loads(spec(example.file).read_text("utf-8"))
    endpoint = VENDORS[example.vendor].endpoint(example.endpoint)
    body = {example.around: [shown]} if example.around else shown
    found = endpoint.rows(Page(Call("/list", note=example.note), body, [], {}))
    if endpoint.enrich is not None:
        found = endpoint.enrich(found, example.fetched)
    result = validate(endpoint.record, found, at=AT)
    assert result.rejected.to_dict("records") == []
    (kept,) = result.kept.to_dict("records")
    assert {name: kept[name] for name in example.kept} == dict(example.kept)
