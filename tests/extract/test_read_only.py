"""A source is only ever read: whatever could change something there is not sent, and nothing of the kind is recorded."""

import ast
import asyncio
import json
import re
from typing import Any

import httpx
import pytest

from morton_pipeline.extract import errors, http
from morton_pipeline.extract.pages import Call
from morton_pipeline.vendors import VENDORS
from tests.conftest import ROOT, Connect

SIGN_IN = re.compile(r"/(oauth/token|oauth2/v2.0/token|connect/token|idp/token|v1/token|token|tokens/bearer)$")
"""Where a token is asked for: all a connection sends beside what it reads."""
RECORDED = sorted((ROOT / "tests/vendors").glob("*/traffic.json"))
WRITERS = {"accounting", "alerts", "connect", "connector", "simulator"}
"""The parts that may send something to a system that is not ours: invoices, messages to ourselves, a person's sign-in."""
CHANGING = [
    ("ninjaone", Call("/v2/devices/7", method="DELETE")),
    ("huntress", Call("/v1/agents", method="POST", json={})),
    ("pax8", Call("/v1/subscriptions/1", method="PUT", json={"quantity": 9})),
    ("microsoft365", Call("/v1.0/users/1", method="PATCH", json={"accountEnabled": False})),
    ("microsoft365", Call("/v1.0/$batch", method="POST", json={"requests": [{"method": "GET"}, {"method": "DELETE"}]})),
    ("cove", Call("/jsonapi", method="POST", json={"method": "RemoveAccount"})),
    ("quickbooks_desktop", Call("/InvoiceAddRq", method="POST", json={})),
    ("quickbooks_online", Call("/v3/company/1/invoice", method="POST", json={})),
]


def _calls(path: Any) -> list[Call]:
    found = []
    for exchange in json.loads(path.read_text("utf-8")):
        method, _, address = exchange["request"].partition(" ")
        found.append(Call(address.partition("?")[0], method=method, json=exchange.get("body")))
    return found


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.parent.name)
def test_case_85_all_that_a_source_was_ever_sent_reads_or_signs_in(path: Any) -> None:
    vendor, calls = VENDORS[path.parent.name], _calls(path)
    assert calls
    others = [call for call in calls if not vendor.only_reads(call)]
    assert [call for call in others if call.method != "POST"] == []
    signing_in = [SIGN_IN.search(call.path) or (call.json or {}).get("method") == "Login" for call in others]
    assert all(signing_in), f"{vendor.name}: {others}"


@pytest.mark.parametrize(
    ("vendor", "call"), CHANGING, ids=lambda x: x if isinstance(x, str) else f"{x.method} {x.path}"
)
def test_case_85_what_could_change_something_is_not_sent(connect: Connect, vendor: str, call: Call) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={})

    async def run() -> None:
        async with http.open_http(connect(vendor), VENDORS[vendor], transport=httpx.MockTransport(answer)) as opened:
            await opened.send(call, "tenant-1")

    with pytest.raises(errors.WouldWrite, match="was not sent"):
        asyncio.run(run())
    assert sent == []


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: vendor.name)
def test_case_85_every_declared_list_is_a_get_but_for_those_its_page_explains(vendor: Any) -> None:
    plain = [e for e in vendor.endpoints if e.walk is None and e.derive is None]
    assert [e.name for e in plain if not vendor.only_reads(next(e.start({})))] == []
    source = (ROOT / f"morton_pipeline/vendors/{vendor.name}.py").read_text("utf-8")
    methods = set(re.findall(r"method=\"(\w+)\"", source)) - {"GET"}
    assert methods <= ({"POST"} if vendor.read_by_post else set())


def test_case_85_the_only_writer_is_the_invoice_step() -> None:
    """A module that opens a connection by itself signs in, sends an invoice or a message, or stands in for a vendor."""
    opening = set()
    for path in sorted((ROOT / "morton_pipeline").rglob("*.py")):
        names = {n.attr for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Attribute)}
        is_client = names & {"AsyncClient", "Client", "HTTPTransport", "AsyncHTTPTransport"}
        if "import httpx" in path.read_text("utf-8") and (is_client or {"post", "put", "patch", "delete"} & names):
            opening.add(path.relative_to(ROOT / "morton_pipeline").with_suffix("").as_posix())
    outside = {name for name in opening if name.split("/")[0] not in WRITERS}
    assert outside == {"extract/http"}, "extract/http refuses what does not read; nothing else may open a connection"
