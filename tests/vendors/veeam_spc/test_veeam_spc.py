"""The console's recorded traffic becomes companies, and the counters of one day."""

from copy import deepcopy
from dataclasses import replace
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import httpx
import pytest

from morton_pipeline.book import Book
from morton_pipeline.extract.fetch import Extraction, fetch
from morton_pipeline.extract.pages import Call, Page
from morton_pipeline.extract.records import validate
from morton_pipeline.vendors import VENDORS, veeam_spc
from morton_pipeline.warehouse import lock
from morton_pipeline.warehouse.load import load
from tests.conftest import Connect
from tests.vendors.replay import AT, Recorded, replay, rows

RULES = VENDORS["veeam_spc"].endpoint("company_usage").rules
FERN, GULL, OLD_MILL, HIDDEN = (f"c0000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3, 9))


@pytest.fixture(autouse=True)
def _at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which day is over depends on what day it is."""
    monkeypatch.setenv("MORTON_NOW", AT.isoformat())


def rule_of(counter: str, state: str = "used") -> str | None:
    values = {"counter": counter, "usage_state": state}
    return next((r.name for r in RULES if fnmatchcase(values[r.field].lower(), r.pattern.lower())), None)


def test_veeam_spc(connect: Connect) -> None:
    found = replay(connect, "veeam_spc")
    assert rows(found["companies"], "record_key", "name", "status", "external_id") == [
        (FERN, "Fernwood Dental", "Active", "FERN"),
        (GULL, "Gull Logistics", "Active", None),
        (OLD_MILL, "Old Mill", "Disabled", None),
    ]
    usage = found["company_usage"]
    places = usage["location_uid"].str[-1]
    told = rows(usage.assign(place=places), "company_uid", "place", "counter", "quantity", "unit", "usage_state")
    assert told == [
        (FERN, "1", "ManagedServerAgents", "4", "device", "used"),
        (FERN, "1", "ManagedWorkstationAgents", "9", "device", "used"),
        (FERN, "1", "ManagedAgentsWindowsServerOS", "4", "device", "used"),
        (FERN, "1", "ManagedVms", "6", "device", "used"),
        (FERN, "1", "BackedupVms", "6", "device", "used"),
        (FERN, "1", "Vb365ProtectedUsers", "0", "user", "unused"),
        (FERN, "1", "Vb365ProtectedGroups", "3", "other", "used"),
        (FERN, "1", "CloudTotalUsage", "1.5", "gigabyte", "used"),
        (FERN, "1", "AgentCloudBackupDataTransferOut", "5.0", "gigabyte", "used"),
        (FERN, "1", "VmCloudReplicaComputeTime", "7200", "other", "used"),
        (FERN, "1", "ProtectedFileShares", "2", "other", "used"),
        (FERN, "1", "QuantumVaults", "1", "other", "used"),
        (FERN, "2", "ManagedServerAgents", "1", "device", "used"),
        (FERN, "2", "ManagedWorkstationAgents", "0", "device", "unused"),
        (GULL, "3", "ManagedServerAgents", "1", "device", "used"),
        (GULL, "3", "Vb365ProtectedUsers", "25", "user", "used"),
        (HIDDEN, "4", "ManagedServerAgents", "7", "device", "used"),
    ]


def test_days_are_never_added_and_today_is_not_over(connect: Connect) -> None:
    usage = replay(connect, "veeam_spc")["company_usage"]
    servers = usage[usage["counter"] == "ManagedServerAgents"]
    assert sum(int(n) for n in servers.loc[servers["company_uid"] == FERN, "quantity"]) == 5


def test_a_counter_reads_as_words_and_names_its_company(connect: Connect) -> None:
    usage = replay(connect, "veeam_spc")["company_usage"]
    named = set(rows(usage, "counter", "counter_name", "company_name"))
    assert ("ManagedServerAgents", "Managed server agents", "Fernwood Dental") in named
    assert ("ManagedServerAgents", "Managed server agents", None) in named


SOLD = (
    "ManagedServerAgents", "ManagedWorkstationAgents", "ManagedVms", "ManagedCloudVms", "Vb365ProtectedUsers",
    "Vb365ProtectedEducationalUsers", "ManagedUsers", "ProtectedFileShares", "ProtectedObjectStorages",
    "PublicCloudProtectedCloudDatabases", "PublicCloudProtectedFileShares", "Unknown", "QuantumVaults",
)  # fmt: skip


@pytest.mark.parametrize("counter", SOLD)
def test_what_may_be_sold_waits_for_a_mapping_and_keeps_its_zero(counter: str) -> None:
    assert rule_of(counter) is None
    assert rule_of(counter, "unused") == "unused"
    page = _page({"value": 0, "type": counter})
    assert [r["usageState"] for r in veeam_spc.usage_records(page)] == ["unused"]


@pytest.mark.parametrize(
    ("counter", "rule", "unit"),
    [
        ("ManagedAgentsMacOS", "breakdown", "device"),
        ("BackedupVms", "breakdown", "device"),
        ("ReplicatedVms", "breakdown", "device"),
        ("ServerCloudBackups", "breakdown", "device"),
        ("VmCloudReplicas", "breakdown", "device"),
        ("Vb365ProtectedTeams", "m365_object", "other"),
        ("CloudPerformanceTierBackupSize", "storage", "gigabyte"),
        ("CloudRepositoryUsageByUnknownFiles", "storage", "gigabyte"),
        ("VmCloudReplicaStorageUsage", "storage", "gigabyte"),
        ("VbrCloudReplicaDataTransferIn", "transfer", "gigabyte"),
        ("VmCloudReplicaComputeTime", "period_total", "other"),
    ],
)
def test_what_counts_the_same_again_is_excluded_by_name_and_its_zero_says_nothing(
    counter: str, rule: str, unit: str
) -> None:
    assert rule_of(counter) == rule
    (record,) = veeam_spc.usage_records(_page({"value": 2**30, "type": counter}))
    assert record["unit"] == unit
    assert record["quantity"] == ("1.0" if unit == "gigabyte" else 2**30)
    assert veeam_spc.usage_records(_page({"value": 0, "type": counter})) == []


def test_a_literal_mapping_looks_at_the_column_the_rules_look_at() -> None:
    """A mapping that names the class wins over a rule about the same column, and over no other."""
    assert {rule.field for rule in RULES if rule.name != "unused"} == {"counter"}


def _page(counter: dict[str, Any]) -> Page:
    row = {"companyUid": FERN, "locationUid": "l", "date": "2026-10-31T00:00:00", "counters": [counter]}
    return Page(Call(veeam_spc.USAGE, note="2026-10-31"), {"data": [row], "errors": None}, [], {})


def recorded(connect: Connect) -> list[Extraction]:
    """What the recorded traffic is read as."""
    vendor = replace(VENDORS["veeam_spc"], rate=None)
    return fetch(connect("veeam_spc"), vendor, at=AT, transport=httpx.MockTransport(Recorded("veeam_spc")))


def altered(connect: Connect, change: Any, *, disabled: str = "") -> dict[str, Extraction]:
    """Replay from one answer for all of a list's pages; `change` sees the rows of the usage."""
    recorded = Recorded("veeam_spc")
    for row in (row for e in recorded.left for row in e["response"]["data"] if row.get("instanceUid") == disabled):
        row["status"] = "Disabled"
    usage = [row for e in recorded.left if "/usage" in e["request"] for row in e["response"]["data"]]
    changed = change(deepcopy(usage))

    def answer(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/usage"):
            return recorded(request)
        first, last = (request.url.params[word] for word in ("fromDate", "toDate"))
        cut = [row for row in changed if first <= row["date"] <= last]
        paging = {"total": len(cut), "count": len(cut), "offset": 0}
        return httpx.Response(200, json={"meta": {"pagingInfo": paging}, "data": cut, "errors": None})

    vendor = replace(VENDORS["veeam_spc"], rate=None)
    found = fetch(connect("veeam_spc"), vendor, at=AT, transport=httpx.MockTransport(answer))
    return {e.endpoint: e for e in found}


@pytest.mark.parametrize("missing", [("2026-10-31",), ("2026-10-30", "2026-10-31")], ids=["one day", "every day"])
def test_an_active_company_the_day_says_nothing_of_is_awaited_however_long(
    connect: Connect, missing: tuple[str, ...]
) -> None:
    found = altered(connect, lambda usage: [r for r in usage if r["companyUid"] != GULL or r["date"] not in missing])
    assert {row["companyUid"] for row in found["company_usage"].rows or ()} == {FERN, HIDDEN}
    assert found["company_usage"].awaited == {f"{GULL}|": "Gull Logistics"}


def test_the_counters_stand_for_the_day_they_are_of(connect: Connect) -> None:
    assert [e.stands_for_on for e in recorded(connect)] == [None, date(2026, 10, 31)]
    passed_over = altered(connect, lambda usage: [row for row in usage if row["date"] == "2026-10-30"])
    assert passed_over["company_usage"].stands_for_on == date(2026, 10, 30)


def test_case_1_a_company_the_console_misses_for_days_keeps_its_counters_and_is_never_zero(
    connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "connections.yaml").write_text("connections: []\n", "utf-8")
    book = Book(tmp_path)
    load(book, recorded(connect))
    for days in (1, 2, 3):
        found = altered(connect, lambda usage: [row for row in usage if row["companyUid"] != GULL])
        read = [replace(one, attempted_at=AT + timedelta(days=days)) for one in found.values()]
        _, usage = load(book, read)
        assert (usage.status, usage.removed_count) == ("partial", 0)
        assert usage.reason == (
            "Gull Logistics is missing, though it was counted before: its last records stand. "
            "Look there, and accept this reading if it is right."
        )
    with lock.connect(book, "test") as con:
        kept = con.execute(
            "select quantity::int from raw_veeam_spc.company_usage where company_uid = ? and valid_to is null order by 1",
            [GULL],
        ).fetchall()
    assert kept == [(1,), (25,)]


def test_a_company_that_was_disabled_in_the_console_is_let_go(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "connections.yaml").write_text("connections: []\n", "utf-8")
    book = Book(tmp_path)
    load(book, recorded(connect))
    found = altered(connect, lambda usage: [row for row in usage if row["companyUid"] != GULL], disabled=GULL)
    _, usage = load(book, [replace(one, attempted_at=AT + timedelta(days=1)) for one in found.values()])
    assert (usage.status, usage.removed_count) == ("complete", 2)


def test_a_day_that_was_not_gathered_is_passed_over_for_the_one_before(connect: Connect) -> None:
    found = altered(connect, lambda usage: [row for row in usage if row["date"] == "2026-10-30"])
    quantities = {r["companyUid"]: r["quantity"] for r in found["company_usage"].rows or ()}
    assert quantities[GULL] == 1
    assert {r["quantity"] for r in found["company_usage"].rows or () if r["companyUid"] == FERN} == {0, 3, 9}


def test_case_1_a_console_that_has_gathered_nothing_is_unknown_and_not_zero(connect: Connect) -> None:
    found = altered(connect, lambda _: [])
    assert found["companies"].rows
    assert found["company_usage"].rows is None
    assert "has gathered no usage since 2026-10-29" in found["company_usage"].error


def test_a_value_that_is_missing_is_set_aside_and_never_a_zero(connect: Connect) -> None:
    def emptied(usage: list[Any]) -> list[Any]:
        usage[3]["counters"][0]["value"] = None
        return usage

    found = altered(connect, emptied)
    record = VENDORS["veeam_spc"].endpoint("company_usage").record
    result = validate(record, found["company_usage"].rows or [], at=AT)
    assert set(result.rejected["column_name"]) == {"quantity"}
    assert result.rejected_count == 1


def test_an_answer_that_ignores_where_it_was_to_begin_is_refused(connect: Connect) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        rows = [{"instanceUid": f"u{request.url.params['offset']}", "name": "x", "status": "Active"}]
        paging = {"total": 2, "count": 1, "offset": 0}
        return httpx.Response(200, json={"meta": {"pagingInfo": paging}, "data": rows, "errors": None})

    found = fetch(connect("veeam_spc"), VENDORS["veeam_spc"], at=AT, transport=httpx.MockTransport(answer))
    assert "was asked from record 1 and answered from 0" in found[0].error


@pytest.mark.parametrize(
    ("totals", "said"),
    [((3, 3), "declared 3 records and sent 2"), ((2, 1), "declared 1 and then 2 records"), ((1, 1), None)],
    ids=["cut", "changed meanwhile", "whole"],
)
def test_case_4_another_number_than_the_console_declares_is_refused(
    connect: Connect, totals: tuple[int, int], said: str | None
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params["offset"])
        rows = [{"instanceUid": f"u{start}", "name": "x", "status": "Disabled"}] if start < 2 else []
        paging = {"total": totals[min(start, 1)], "count": len(rows), "offset": start}
        return httpx.Response(200, json={"meta": {"pagingInfo": paging}, "data": rows, "errors": None})

    found = fetch(
        connect("veeam_spc"),
        VENDORS["veeam_spc"],
        at=AT,
        endpoints={"companies"},
        transport=httpx.MockTransport(answer),
    )
    assert (said or "") in found[0].error
    assert (found[0].rows is None) == bool(said)


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx.Response(202, headers={"Location": "/api/v3/asyncActions/1"}), "prepares the answer in the background"),
        (
            httpx.Response(400, json={"errors": [{"message": "toDate is too late.", "type": "v", "code": 7}]}),
            "answered 400: toDate is too late.",
        ),
        (
            httpx.Response(200, json={"meta": {}, "data": [], "errors": [{"message": "A site is down.", "code": 1}]}),
            "answered with errors (A site is down)",
        ),
        (httpx.Response(401, json={"errors": [{"message": "No."}]}), "Check TEST_VEEAM_SPC_API_KEY"),
    ],
    ids=["in the background", "refused", "errors beside data", "bad key"],
)
def test_what_is_no_list_says_what_it_is(connect: Connect, response: httpx.Response, said: str) -> None:
    found = fetch(connect("veeam_spc"), VENDORS["veeam_spc"], at=AT, transport=httpx.MockTransport(lambda _: response))
    assert [e.rows for e in found] == [None, None]
    assert said in found[0].error
