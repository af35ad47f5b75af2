"""What a load leaves behind: records, their history, and the attempt itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from morton_pipeline.errors import BadInput
from morton_pipeline.extract.fetch import Extraction
from morton_pipeline.extract.records import Validated
from morton_pipeline.warehouse import journal
from morton_pipeline.warehouse.load import accept, latest, load, load_validated
from morton_pipeline.warehouse.verdict import Attempt

HISTORY = (
    "select record_key, display_name, valid_from, valid_to from raw_ninjaone.devices "
    "order by record_key::int, valid_from"
)
CURRENT = "select count(*) from raw_ninjaone.devices where valid_to is null"


def naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def test_a_first_extraction_is_complete_whatever_its_size(take, devices, query, hour):
    loaded = take(devices(40))
    assert (loaded.status, loaded.record_count, loaded.added_count, loaded.reason) == ("complete", 40, 40, "")
    assert loaded.extraction_id == "20261123T060000000000Z-ninjaone-devices"
    assert query(CURRENT) == [(40,)]
    assert query(
        "select distinct connection_id, tenant_id, valid_from, valid_to, extraction_id from raw_ninjaone.devices"
    ) == [("ninjaone", "", naive(hour(0)), None, loaded.extraction_id)]


def test_case_8_the_same_records_again_change_nothing(book, take, devices, query):
    first = take(devices(40))
    again = take(list(reversed(devices(40))), at=1)
    assert (again.status, again.added_count, again.changed_count, again.removed_count) == ("complete", 0, 0, 0)
    assert again.journal_file is None
    assert len(list(book.journal.rglob("*.parquet"))) == 1
    assert query("select distinct extraction_id from raw_ninjaone.devices") == [(first.extraction_id,)]
    assert query("select count(*) from raw.extractions") == [(2,)]


def test_versions_say_since_when_and_until_when_they_were_known(take, devices, query, hour):
    three = devices(3)
    take(three)
    changed = take([{**three[0], "displayName": "Front desk"}, three[1]], at=1)
    assert (changed.added_count, changed.changed_count, changed.removed_count) == (0, 1, 1)
    take([three[0], three[1], three[2]], at=2)
    assert query(HISTORY) == [
        ("1", None, naive(hour(0)), naive(hour(1))),
        ("1", "Front desk", naive(hour(1)), naive(hour(2))),
        ("1", None, naive(hour(2)), None),
        ("2", None, naive(hour(0)), None),
        ("3", None, naive(hour(0)), naive(hour(1))),
        ("3", None, naive(hour(2)), None),
    ]


def test_an_empty_text_is_not_a_missing_one(take, devices):
    take(devices(1, displayName=""))
    assert take(devices(1, displayName=None), at=1).changed_count == 1


def test_values_that_hold_the_separator_do_not_read_like_two(take, devices):
    take(devices(1, displayName="a\x1fdns_name=b", dnsName=None))
    assert take(devices(1, displayName="a", dnsName="b"), at=1).changed_count == 1


def test_a_decimal_is_the_same_number_however_it_is_written(take, devices, query):
    take(devices(1, created="1700000000.5"))
    assert take(devices(1, created="1700000000.500"), at=1).changed_count == 0
    assert query("select created::varchar from raw_ninjaone.devices") == [("1700000000.500000000",)]


def test_a_decimal_no_column_can_hold_is_set_aside_and_not_rounded(take, devices, query):
    take(devices(12))
    loaded = take([*devices(11), {**devices(12)[11], "created": "1" * 30}], at=1)
    assert (loaded.status, loaded.quarantined_count, loaded.removed_count) == ("partial", 1, 0)
    assert query("select record_key, column_name from raw.quarantine") == [("12", "created")]


@pytest.mark.parametrize("bad", [1, 5, 40], ids=["one", "some", "all"])
def test_rows_in_are_rows_kept_plus_rows_quarantined(take, devices, query, bad):
    rows = [{**row, "nodeClass": None} if n < bad else row for n, row in enumerate(devices(40))]
    loaded = take(rows)
    assert (loaded.status, loaded.record_count, loaded.quarantined_count) == ("partial", 40, bad)
    assert query(CURRENT) == [(40 - bad,)]
    assert query("select count(distinct record_key) from raw.quarantine") == [(bad,)]
    assert loaded.reason == f"{bad} of 40 records set aside: node_class not_nullable ({bad})."


def test_a_quarantined_record_keeps_its_version_and_others_still_close(take, devices, query):
    take(devices(20))
    loaded = take([{**devices(1)[0], "nodeClass": None}, *devices(18)[1:]], at=1)
    assert (loaded.status, loaded.removed_count) == ("partial", 2)
    assert query("select record_key from raw_ninjaone.devices where valid_to is not null order by 1") == [
        ("19",),
        ("20",),
    ]


def test_a_record_without_a_readable_key_keeps_everything_open(take, devices, query):
    take(devices(20))
    loaded = take([{**devices(1)[0], "id": None}, *devices(18)[1:]], at=1)
    assert (loaded.status, loaded.record_count, loaded.removed_count) == ("partial", 18, 0)
    assert query(CURRENT) == [(20,)]


def test_all_records_rejected_closes_nothing(take, devices, query):
    take(devices(40))
    loaded = take(devices(40, nodeClass=None), at=1)
    assert (loaded.status, loaded.quarantined_count, loaded.removed_count) == ("partial", 40, 0)
    assert query(CURRENT) == [(40,)]


def test_case_10_records_of_another_shape_fail_the_scope_and_say_so(take, devices, query):
    take(devices(40))
    renamed = [
        {("node_kind" if name == "nodeClass" else name): value for name, value in row.items()} for row in devices(40)
    ]
    loaded = take(renamed, at=1)
    assert loaded.status == "partial"
    assert "node_class not_nullable (40)" in loaded.reason
    assert query(CURRENT) == [(40,)]


def test_case_1_a_failed_attempt_is_recorded_and_keeps_the_records(take, devices, query, hour):
    take(devices(40))
    loaded = take(None, at=1, error="ninjaone: the vendor did not answer.")
    assert (loaded.status, loaded.record_count, loaded.reason) == (
        "failed",
        None,
        "ninjaone: the vendor did not answer.",
    )
    assert query(CURRENT) == [(40,)]
    assert query("select status, record_count, attempted_at from raw.extractions order by attempted_at") == [
        ("complete", 40, naive(hour(0))), ("failed", None, naive(hour(1)))
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 9, 40])
def test_case_2_an_empty_list_after_records_is_held(take, devices, query, count):
    take(devices(count))
    loaded = take([], at=1)
    assert (loaded.status, loaded.removed_count) == ("suspect", count)
    assert loaded.reason == f"No records where there were {count}."
    assert query(CURRENT) == [(count,)]


def test_case_5_a_genuine_zero_is_complete_and_stays_so(take, query):
    assert [take([], at=n).status for n in (0, 1)] == ["complete", "complete"]
    assert query("select status, record_count from raw.extractions") == [("complete", 0), ("complete", 0)]


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (10, 7, "complete"),
        (10, 6, "suspect"),
        (10, 18, "complete"),
        (10, 19, "suspect"),
        (9, 1, "complete"),
        (9, 900, "complete"),
    ],
    ids=["fall of 30 %", "fall of 40 %", "times 1.8", "times 1.9", "few records fall", "few records jump"],
)
def test_bounds_of_what_is_believed(take, devices, before, after, status):
    take(devices(before))
    assert take(devices(after), at=1).status == status


def test_limits_of_the_book_decide_what_is_believed(book, take, devices):
    with (book.root / "connections.yaml").open("a") as file:
        file.write("limits: {fall_share: 0.9, jump_factor: 20}\n")
    take(devices(40))
    assert [take(devices(n), at=n).status for n in (8, 100)] == ["complete", "complete"]


def test_case_7_a_jump_is_held_until_a_person_accepts_it(book, take, devices, query, hour):
    take(devices(100))
    held = take(devices(200), at=1)
    assert (held.status, held.added_count) == ("suspect", 100)
    assert held.reason == "200 records where there were 100: more than 1.8 times as many."
    assert query(CURRENT) == [(100,)]
    accepted = accept(book, held.extraction_id, "Dana", hour(1.5))
    assert (accepted.status, accepted.accepted_by, accepted.accepted_at) == ("complete", "Dana", hour(1.5))
    assert query(CURRENT) == [(200,)]
    assert query("select valid_from, count(*) from raw_ninjaone.devices group by 1 order by 1") == [
        (naive(hour(0)), 100), (naive(hour(1.5)), 100)
    ]  # fmt: skip
    attempts = query("select status, attempted_at, accepted_by, accepted_at from raw.extractions order by attempted_at")
    assert attempts[1] == ("complete", naive(hour(1)), "Dana", naive(hour(1.5)))
    assert take(devices(200), at=2).status == "complete"


def test_an_accepted_fall_closes_from_the_moment_of_acceptance(book, take, devices, query, hour):
    take(devices(40))
    held = take([], at=1)
    accept(book, held.extraction_id, "Dana", hour(3))
    assert query("select distinct valid_to from raw_ninjaone.devices") == [(naive(hour(3)),)]
    assert take([], at=4).status == "complete"


def test_an_acceptance_by_an_earlier_clock_still_comes_after_the_attempt(book, take, devices, query, hour):
    take(devices(40))
    held = take([], at=1)
    accept(book, held.extraction_id, "Dana", hour(0))
    later = take(devices(5), at=0)
    assert later.attempted_at > hour(1)
    assert query("select count(*) from raw_ninjaone.devices where valid_to <= valid_from") == [(0,)]


def test_accepting_a_partial_extraction_makes_it_complete(book, take, devices, query, hour):
    held = take([{**devices(1)[0], "nodeClass": None}, *devices(20)[1:]])
    assert accept(book, held.extraction_id, "Dana", hour(1)).status == "complete"
    assert query("select status, quarantined_count, accepted_by from raw.extractions") == [("complete", 1, "Dana")]
    assert query(CURRENT) == [(19,)]


def test_what_cannot_be_accepted_is_refused_with_what_can(book, take, devices, hour):
    complete = take(devices(40))
    held = take([], at=1)
    with pytest.raises(BadInput, match=f"no extraction nonsense. Waiting to be accepted: {held.extraction_id}"):
        accept(book, "nonsense", "Dana", hour(2))
    with pytest.raises(BadInput, match="is complete: only a suspect or partial"):
        accept(book, complete.extraction_id, "Dana", hour(2))
    with pytest.raises(BadInput, match="needs a name"):
        accept(book, held.extraction_id, " ", hour(2))
    failed = take(None, at=3, error="The vendor did not answer.")
    with pytest.raises(BadInput, match=rf"{failed.extraction_id} followed \(failed: The vendor did not answer.\)"):
        accept(book, held.extraction_id, "Dana", hour(4))
    again = take([], at=5)
    accept(book, again.extraction_id, "Dana", hour(6))
    with pytest.raises(BadInput, match="was accepted by Dana on 2026-11-23 12:00 UTC already"):
        accept(book, again.extraction_id, "Kim", hour(7))


def test_case_3_one_tenant_of_forty_fails_alone(book, extraction, users, query):
    tenants = [f"tenant{n:02}" for n in range(40)]
    load(book, [extraction(users(12), tenant=t, connection="m365") for t in tenants])
    second = [extraction(users(13), 1, tenant=t, connection="m365") for t in tenants[1:]]
    lost = extraction(None, 1, tenant=tenants[0], connection="m365", error="Consent was withdrawn.")
    results = load(book, [lost, *second])
    assert [r.status for r in results] == ["failed"] + ["complete"] * 39
    assert [r.tenant_id for r in results] == tenants
    assert query("select count(*), count(distinct tenant_id) from raw_microsoft365.users where valid_to is null") == [
        (12 + 39 * 13, 40)
    ]
    assert len(list(book.journal.rglob("*.parquet"))) == 2
    assert query("select extraction_id from raw.extractions where status = 'failed'") == [
        ("20261123T070000000000Z-m365-users-tenant00",)
    ]


def test_tenants_of_one_load_are_judged_apart(book, extraction, users, query):
    load(book, [extraction(users(20), tenant=t, connection="m365") for t in ("contoso", "fabrikam")])
    first, second = load(
        book,
        [
            extraction([], 1, tenant="contoso", connection="m365"),
            extraction(users(21), 1, tenant="fabrikam", connection="m365"),
        ],
    )
    assert (first.status, second.status) == ("suspect", "complete")
    assert query(
        "select tenant_id, count(*) from raw_microsoft365.users where valid_to is null group by 1 order by 1"
    ) == [("contoso", 20), ("fabrikam", 21)]


def test_two_connections_of_one_vendor_do_not_mix(book, extraction, devices, query):
    load(book, [extraction(devices(3)), extraction(devices(5), connection="ninja2")])
    load(book, [extraction(devices(4), 1, connection="ninja2")])
    assert query(
        "select connection_id, count(*) from raw_ninjaone.devices where valid_to is null group by 1 order by 1"
    ) == [("ninja2", 4), ("ninjaone", 3)]


def test_tenants_that_cannot_be_listed_fail_each_for_itself(book, extraction, users, query):
    unlisted = extraction(None, connection="m365", error="The tenants could not be listed.")
    assert [r.tenant_id for r in load(book, [unlisted])] == [""]
    load(book, [extraction(users(3), 1, tenant=t, connection="m365") for t in ("contoso", "fabrikam")])
    results = load(book, [extraction(None, 2, connection="m365", error="The tenants could not be listed.")])
    assert [(r.tenant_id, r.tenant_name, r.status) for r in results] == [
        ("contoso", "Contoso", "failed"), ("fabrikam", "Fabrikam", "failed")
    ]  # fmt: skip


def test_a_record_that_comes_twice_fails_the_scope(book, take, devices, query, hour):
    take(devices(3))
    kept = pd.DataFrame({"id": ["1", "1"], "record_key": ["1", "1"]}, dtype="string")
    for name in query(
        "select column_name from duckdb_columns() where table_name = 'devices' and schema_name = 'raw_ninjaone'"
    ):
        if name[0] not in kept and name[0] not in (
            "connection_id",
            "tenant_id",
            "row_hash",
            "valid_from",
            "valid_to",
            "extraction_id",
        ):
            kept[name[0]] = pd.Series([None, None], dtype="string")
    nothing = pd.DataFrame(columns=["record_key", "column_name", "check_name", "value"])
    attempt = Attempt("ninjaone", "ninjaone", "devices", "", "", hour(1), Validated(kept, nothing, 0))
    loaded = load_validated(book, [attempt])[0]
    assert (loaded.status, loaded.reason) == ("failed", "ninjaone: devices holds record 1 twice, so none is kept.")
    assert query(CURRENT) == [(3,)]


def test_a_shape_that_cannot_be_read_at_all_fails_its_tenant_only(book, hour):
    sku = {"id": "a", "skuId": "s", "skuPartNumber": "SPB", "consumedUnits": 1, "prepaidUnits": {"enabled": 1}}
    odd, fine = (
        Extraction("m365", "microsoft365", "subscribed_skus", tenant, "", hour(0), [{**sku, "consumedUnits": units}])
        for tenant, units in (("contoso", 1.5), ("fabrikam", 1))
    )
    first, second = load(book, [odd, fine])
    assert (first.status, second.status) == ("failed", "complete")
    assert first.reason.startswith(
        "m365: the records of subscribed_skus no longer have the declared shape (consumed_units"
    )


def test_an_attempt_is_always_later_than_the_one_before(take, devices, hour):
    first, second, third = (take(devices(n), at=0) for n in (1, 2, 3))
    assert (
        second.attempted_at - first.attempted_at
        == third.attempted_at - second.attempted_at
        == timedelta(microseconds=1)
    )
    assert len({first.extraction_id, second.extraction_id, third.extraction_id}) == 3


def test_instants_of_any_offset_are_stored_in_utc(book, extraction, devices, query):
    from zoneinfo import ZoneInfo

    local = datetime(2026, 11, 23, 8, tzinfo=ZoneInfo("Europe/Berlin"))
    made = extraction(devices(1))
    load(book, [Extraction(made.connection_id, made.vendor, made.endpoint, "", "", local, made.rows)])
    assert query("select attempted_at from raw.extractions") == [(datetime(2026, 11, 23, 7),)]  # noqa: DTZ001


def test_one_load_takes_one_attempt_per_scope(book, extraction, devices):
    with pytest.raises(ValueError, match="came twice"):
        load(book, [extraction(devices(1)), extraction(devices(2))])


def test_the_latest_attempt_at_every_scope_can_be_listed(book, take, extraction, users, devices, hour):
    take(devices(40))
    held = take([], at=1)
    load(book, [extraction(users(1), 1, tenant="contoso", connection="m365")])
    assert [(row["connection_id"], row["status"], row["attempted_at"]) for row in latest(book)] == [
        ("m365", "complete", hour(1)), ("ninjaone", "suspect", hour(1))
    ]  # fmt: skip
    assert latest(book)[1]["extraction_id"] == held.extraction_id


def test_nothing_to_load_opens_nothing(book):
    book.warehouse.unlink()
    assert load(book, []) == []
    assert not book.warehouse.exists()


def test_the_journal_tells_the_latest_instant_without_the_warehouse(book, take, devices, hour):
    assert journal.last_seen_at(book) is None
    take(devices(40))
    assert journal.last_seen_at(book) == hour(0)
    take(devices(40), at=0)
    assert journal.last_seen_at(book) == hour(0), "the microsecond added within a scope is not what a clock showed"
    held = take([], at=5)
    accept(book, held.extraction_id, "Dana", hour(6))
    book.warehouse.unlink()
    assert journal.last_seen_at(book) == hour(6) == datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def tenant(book, hour, users):
    """Load one tenant's users and licences; a user holds one licence, and the n-th list may be given otherwise."""

    def make(at, count, *, licences=None, connection="m365", users_error=""):
        people = users(count)
        held = [
            {"userId": u["id"], "skuId": "s", "skuPartNumber": "SPB", "userPrincipalName": u["userPrincipalName"]}
            for u in (people if licences is None else users(licences))
        ]
        lists = {"user_licenses": held, "users": None if users_error else people}
        return load(book, [
            Extraction(connection, "microsoft365", name, "contoso", "Contoso", hour(at), rows,
                       "" if rows is not None else users_error)
            for name, rows in lists.items()
        ])  # fmt: skip

    return make


def test_what_was_computed_from_a_suspect_list_waits_with_it_and_is_accepted_by_its_own_id(book, tenant, hour, query):
    tenant(0, 20)
    licences, people = tenant(1, 2, licences=20)
    assert (licences.status, people.status) == ("suspect", "suspect")
    assert f"It was computed from users (suspect: {people.extraction_id})" in licences.reason
    accept(book, people.extraction_id, "ann", hour(2))
    licences, people = tenant(3, 1, licences=19)
    assert (licences.status, licences.removed_count, people.status) == ("complete", 1, "complete")


def test_a_held_computed_list_takes_effect_once_accepted(book, tenant, hour, query):
    tenant(0, 20)
    licences, _ = tenant(1, 2, licences=19)
    current = "select count(*) from raw_microsoft365.user_licenses where valid_to is null"
    assert query(current) == [(20,)]
    accepted = accept(book, licences.extraction_id, "ann", hour(2))
    assert (accepted.status, accepted.accepted_by) == ("complete", "ann")
    assert query(current) == [(19,)]


def test_what_was_computed_from_a_failed_list_is_held(tenant):
    tenant(0, 20)
    licences, people = tenant(1, 20, users_error="m365: down.")
    assert (licences.status, people.status) == ("suspect", "failed")


def test_a_list_is_not_held_for_another_tenant_s_doubt(book, tenant, hour, users):
    tenant(0, 20)
    other = [Extraction("m365", "microsoft365", "users", "fabrikam", "Fabrikam", hour(1), None, "m365: down.")]
    mine = [Extraction("m365", "microsoft365", "user_licenses", "contoso", "Contoso", hour(1), [])]
    mine[0].rows.extend(
        {"userId": u["id"], "skuId": "s", "skuPartNumber": "SPB", "userPrincipalName": "x"} for u in users(20)
    )
    assert [one.status for one in load(book, other + mine)] == ["failed", "complete"]


@pytest.mark.parametrize(
    ("awaited", "status", "removed", "said"),
    [
        ({}, "complete", 3, ""),
        ({"9": "Nine"}, "complete", 3, ""),
        ({"3": "Three"}, "partial", 2, "Three is missing, though it was counted before: its last records stand."),
        ({"1": "One", "2": "Two", "3": "Three"}, "partial", 1, "Three and Two are missing, though they were counted"),
    ],
    ids=["nothing", "what was never there", "one", "two, and one that came"],
)
def test_what_is_awaited_keeps_its_records_and_makes_the_scope_partial(
    book, take, devices, extraction, query, awaited, status, removed, said
):
    take(devices(4))
    (loaded,) = load(book, [replace(extraction(devices(1), 1), awaited=awaited)])
    assert (loaded.status, loaded.removed_count) == (status, removed)
    assert loaded.reason.startswith(said)
    assert query("select count(*) from raw_ninjaone.devices where valid_to is null") == [(4 - removed,)]


def test_names_of_many_that_are_awaited_are_cut(book, take, devices, extraction):
    take(devices(9))
    awaited = {str(n): f"N{n}" for n in range(2, 10)}
    (loaded,) = load(book, [replace(extraction(devices(1), 1), awaited=awaited)])
    assert loaded.reason.startswith("N2, N3, N4 and 5 more are missing, though they were counted before")
