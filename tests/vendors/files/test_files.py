"""A folder of reports: which files are read, in what order, and what each that cannot be read is told."""

import os
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml

from morton_pipeline.book import Connection, open_book
from morton_pipeline.extract import files
from morton_pipeline.extract.fetch import Extraction
from morton_pipeline.extract.files import Seen, look
from morton_pipeline.extract.records import validate
from morton_pipeline.vendors import vendor_of
from tests.conftest import ROOT

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
Block = dict[str, Any]
Put = Callable[..., Path]

BASE: Block = {
    "id": "shield",
    "vendor": "files",
    "folder": "inbox",
    "pattern": "*",
    "columns": {"record_id": "Domain", "company_id": "Customer", "quantity": "Mailboxes"},
}


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Put a file into the folder, last changed some days ago."""

    def make(name: str, content: str | bytes = "Domain,Customer,Mailboxes\na.example,one,3\n", days: float = 1) -> Path:
        path = tmp_path / "inbox" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        changed_at = (AT - timedelta(days=days)).timestamp()
        os.utime(path, (changed_at, changed_at))
        return path

    return make


def connection(folder: Path, block: Block) -> Connection:
    (folder / "connections.yaml").write_text(yaml.safe_dump({"connections": [block]}), "utf-8")
    (found,) = open_book(folder).connections
    return found


@pytest.fixture
def see(tmp_path: Path) -> Callable[..., list[Extraction]]:
    """Look into the folder once; keyword arguments are words of the connection."""

    def run(
        seen: Seen | None = None,
        *,
        at: datetime = AT,
        trial: bool = False,
        say: Callable[[str], None] = print,
        **words: Any,
    ) -> list[Extraction]:
        found = connection(tmp_path, {**BASE, **words})
        vendor = vendor_of(found)
        assert vendor.folder is not None
        known = None if trial else seen or Seen()
        return look(found, vendor, vendor.folder, root=tmp_path, at=at, seen=known, progress=say, now=AT)

    return run


def taken(*found: Extraction) -> Seen:
    """What the warehouse would know after these."""
    good = [e for e in found if e.rows is not None]
    return Seen(
        taken=frozenset((e.source_sha256, e.source_as_of_at) for e in good),
        newest_at=max((e.source_as_of_at for e in good if e.source_as_of_at), default=None),
        refused=frozenset((e.source_sha256, e.error) for e in found if e.rows is None),
    )


def names(found: list[Extraction]) -> list[str]:
    return [e.source_file for e in found]


def test_the_example_of_the_doc_page_reads_a_report(tmp_path: Path, put: Put) -> None:
    text = (ROOT / "docs" / "vendors" / "files.md").read_text("utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
    (tmp_path / "connections.yaml").write_text(block, "utf-8")
    (found,) = open_book(tmp_path).connections
    vendor = vendor_of(found)
    assert vendor.folder is not None
    report = put("usage_2026-11-20.csv", (
        "Customer;Customer ID;Domain;Plan;Mailboxes;Status\r\n"
        "Gull Logistics;MS-1;gull.example;Advanced;1.234,50;active\r\n"
        "Fernwood Dental;MS-2;fern.example;Basic;7;cancelled\r\n"
    ).encode("utf-8-sig"))  # fmt: skip
    (tmp_path / "inbox" / "mailshield").mkdir()
    report.rename(tmp_path / "inbox" / "mailshield" / report.name)
    (extraction,) = look(found, vendor, vendor.folder, root=tmp_path, at=AT, seen=Seen(), now=AT)
    result = validate(vendor.endpoint("records").record, extraction.rows or [], at=AT)
    columns = ["record_key", "record_name", "company_id", "company_name", "sku", "quantity", "unit", "state"]
    assert result.rejected.to_dict("records") == []
    assert result.kept[columns].to_numpy().tolist() == [
        ["MS-1|gull.example", "gull.example", "MS-1", "Gull Logistics", "Advanced", "1234.50", "mailbox", "active"],
        ["MS-2|fern.example", "fern.example", "MS-2", "Fernwood Dental", "Basic", "7", "mailbox", "cancelled"],
    ]
    assert extraction.source_as_of_at == datetime(2026, 11, 20, tzinfo=UTC)
    assert [rule.name for rule in vendor.endpoint("records").rules] == ["cancelled"]


def test_an_xlsx_reads_as_a_csv_does(tmp_path: Path, put: Put, see: Any) -> None:
    book = openpyxl.Workbook()
    seen_at = datetime(2026, 8, 1)  # noqa: DTZ001 (a sheet knows no time zone)
    for row in (("Domain", "Customer", "Mailboxes", "On", "Seen"), ("a.example", 1234.0, 3, True, seen_at)):
        book.active.append(row)
    (tmp_path / "inbox").mkdir()
    book.save(tmp_path / "inbox" / "usage.XLSX")
    put("usage.XLSX", (tmp_path / "inbox" / "usage.XLSX").read_bytes())
    (extraction,) = see(columns={**BASE["columns"], "state": "On", "seen_on": "Seen", "attributes": {"n": "Customer"}})
    assert extraction.rows == [
        {"record_id": "a.example", "company_id": "1234", "quantity": "3", "state": "true", "seen_on": "2026-08-01",
         "attributes": '{"n": "1234"}'}
    ]  # fmt: skip


def test_several_new_reports_are_as_many_readings_in_the_order_of_their_days(put: Put, see: Any) -> None:
    for number, day in enumerate(("2026-11-02", "2026-11-01", "2026-11-03")):
        put(f"usage_{day}.csv", f"Domain,Customer,Mailboxes\na.example,one,{number}\n", days=number + 1)
    found = see(as_of={"pattern": r"usage_(\d{4}-\d{2}-\d{2})"})
    assert names(found) == ["usage_2026-11-01.csv", "usage_2026-11-02.csv", "usage_2026-11-03.csv"]
    assert [e.attempted_at - AT for e in found] == [timedelta(microseconds=n) for n in range(3)]
    assert len({e.source_sha256 for e in found}) == 3


def test_without_a_day_in_the_name_the_time_of_change_orders_them(put: Put, see: Any) -> None:
    put("b.csv", days=3)
    put("a.csv", "Domain,Customer,Mailboxes\n", days=2)
    assert names(see()) == ["b.csv", "a.csv"]


DAYS = {"as_of": {"pattern": r"usage_(\d{4}-\d{2}-\d{2})"}}


def test_case_8_the_same_report_is_no_new_reading_whatever_its_name(put: Put, see: Any) -> None:
    put("usage_2026-11-01.csv", days=3)
    first = see(**DAYS)
    assert names(first) == ["usage_2026-11-01.csv"]
    assert see(taken(*first), **DAYS) == []
    put("usage_2026-11-01 (1).csv", days=0.5)
    assert see(taken(*first), **DAYS) == []


def test_one_report_under_two_names_is_read_once(put: Put, see: Any) -> None:
    put("a.csv", days=3)
    put("b.csv", days=3)
    assert names(see()) == ["a.csv"]


def test_content_seen_before_is_a_reading_of_a_later_day(put: Put, see: Any) -> None:
    put("usage_2026-09-30.csv")
    put("usage_2026-10-31.csv", "Domain,Customer,Mailboxes\na.example,one,4\n")
    before = see(**DAYS)
    put("usage_2026-11-20.csv")
    put("usage_2026-11-21.csv")
    found = see(taken(*before), **DAYS)
    assert names(found) == ["usage_2026-11-20.csv", "usage_2026-11-21.csv"]
    assert {e.source_sha256 for e in found} == {before[0].source_sha256}
    assert see(taken(*before, *found), **DAYS) == []


def test_without_a_day_in_the_name_a_file_that_was_written_anew_is_another_reading(put: Put, see: Any) -> None:
    put("usage.csv", days=3)
    first = see()
    put("usage.csv", "Domain,Customer,Mailboxes\na.example,one,4\n", days=2)
    second = see(taken(*first))
    put("usage.csv", days=1)
    (third,) = see(taken(*first, *second))
    assert third.source_sha256 == first[0].source_sha256
    assert see(taken(*first, *second, third)) == []


def test_records_stand_for_the_day_in_the_name_and_else_for_when_they_were_read(put: Put, see: Any) -> None:
    put("usage_2026-10-31.csv")
    assert [e.stands_for_on for e in see(**DAYS)] == [date(2026, 10, 31)]
    assert [e.stands_for_on for e in see()] == [None]


def test_a_report_older_than_the_one_taken_last_is_left_and_says_so(put: Put, see: Any) -> None:
    put("usage_2026-11-02.csv")
    first, said = see(**DAYS), list[str]()
    put("usage_2026-11-01.csv", "Domain,Customer,Mailboxes\na.example,one,99\n")
    assert see(taken(*first), say=said.append, **DAYS) == []
    assert said == [
        "shield usage_2026-11-01.csv: left, for it is of 2026-11-01 and a report of 2026-11-02 was taken already; "
        "what it would correct belongs in a newer report."
    ]


def test_without_a_day_in_the_name_a_file_changed_earlier_is_left(put: Put, see: Any) -> None:
    put("new.csv", days=2)
    first = see()
    put("late.csv", "Domain,Customer,Mailboxes\na.example,one,99\n", days=5)
    assert see(taken(*first)) == []
    put("newer.csv", "Domain,Customer,Mailboxes\na.example,one,4\n", days=1)
    assert names(see(taken(*first))) == ["newer.csv"]


def test_a_corrected_report_of_the_same_day_is_taken(put: Put, see: Any) -> None:
    words = {"as_of": {"pattern": r"usage_(\d{4}-\d{2}-\d{2})"}}
    put("usage_2026-11-01.csv")
    first = see(**words)
    put("usage_2026-11-01 (1).csv", "Domain,Customer,Mailboxes\na.example,one,4\n")
    assert names(see(taken(*first), **words)) == ["usage_2026-11-01 (1).csv"]


@pytest.mark.parametrize(
    "name", ["~$usage.csv", ".usage.csv", "usage.csv.part", "usage.csv.TMP", "usage.csv.crdownload", "usage.csv.filepart"]
)  # fmt: skip
def test_a_file_that_is_still_being_written_waits_by_its_name(put: Put, see: Any, name: str) -> None:
    put("done.csv")
    put(name, "half")
    assert names(see(pattern="*.csv")) == ["done.csv"]


@pytest.mark.parametrize(("seconds", "count"), [(5, 0), (59, 0), (61, 1), (-5, 0), (-3600, 1)])
def test_a_file_that_was_changed_a_moment_ago_waits(put: Put, see: Any, seconds: float, count: int) -> None:
    put("usage.csv", days=seconds / 86400)
    found = [e for e in see() if e.rows is not None]
    assert len(found) == count
    assert len(see(quiet_seconds=0)) == 1


def test_a_file_that_changes_while_it_is_read_waits(put: Put, see: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put("usage.csv")
    monkeypatch.setattr(files, "SIZE_CAP", 10)
    assert "larger than" in see()[0].error
    monkeypatch.undo()
    real = os.fstat
    looked = []

    def fstat(handle: int) -> os.stat_result:
        if looked:
            path.write_text("Domain,Customer,Mailboxes\nb.example,two,5\n")
        looked.append(handle)
        return real(handle)

    monkeypatch.setattr(os, "fstat", fstat)
    assert see() == []


def test_only_names_that_fit_are_looked_at(tmp_path: Path, put: Put, see: Any) -> None:
    put("USAGE-1.CSV")
    put("notes.txt", "nothing of ours")
    (tmp_path / "inbox" / "usage-old.csv").mkdir()
    assert names(see(pattern="usage*.csv")) == ["USAGE-1.CSV"]


def test_a_link_is_not_followed(tmp_path: Path, put: Put, see: Any) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("Domain,Customer,Mailboxes\nhidden,one,1\n")
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "usage.csv").symlink_to(secret)
    os.utime(tmp_path / "inbox" / "usage.csv", (1.6e9, 1.6e9), follow_symlinks=False)
    (found,) = see()
    assert found.rows is None
    assert found.error == "shield: usage.csv: it is no plain file; put the report itself there."


def test_case_1_a_folder_that_is_not_there_makes_the_source_unknown_and_says_so(tmp_path: Path, see: Any) -> None:
    (found,) = see()
    assert (found.rows, found.endpoint, found.kind) == (None, "records", "Unreadable")
    assert found.error.startswith("shield: the folder inbox cannot be read (No such file or directory).")
    assert f"it is looked for in {tmp_path}" in found.error


def test_case_11_a_folder_into_which_nothing_ever_came_is_unknown_and_not_empty(
    tmp_path: Path, put: Put, see: Any
) -> None:
    (tmp_path / "inbox").mkdir()
    (found,) = see(pattern="usage_*.csv")
    assert found.rows is None
    assert found.error == "shield: no report has come yet: nothing in inbox is named like usage_*.csv."
    put("usage_1.csv.part")
    (found,) = see(pattern="usage_*.csv")
    assert found.error.endswith("named like usage_*.csv. Still being written: usage_1.csv.part.")


def test_a_folder_that_was_emptied_makes_no_reading(tmp_path: Path, put: Put, see: Any) -> None:
    path = put("usage.csv")
    first = see()
    path.unlink()
    assert see(taken(*first)) == []


UNREADABLE: dict[str, tuple[str, str | bytes, Block, str]] = {
    "encoding": ("a.csv", "Domain,Customer,Mailboxes\nzoë,one,3\n".encode("cp1252"), {}, "a.csv: line 2 is not utf-8 text; .*`encoding: cp1252`"),
    "delimiter": ("a.csv", "Domain:Customer:Mailboxes\n", {}, "row 1 has no column 'Customer', 'Mailboxes', 'Domain'; it has Domain:Customer:Mailboxes"),
    "missing-column": ("a.csv", "Domain;Customer;Mailbox\n", {}, r"row 1 has no column 'Mailboxes' \(did you mean 'Mailbox'\?\); it has Domain, Customer, Mailbox"),
    "number": ("a.csv", "Domain,Customer,Mailboxes\na,one,many\n", {}, "row 2, column 'Mailboxes': 'many' is not a number"),
    "number-empty": ("a.csv", "Domain,Customer,Mailboxes\na,one,3\nb,one,\n", {}, "row 3, column 'Mailboxes' is empty"),
    "number-either-way": ("a.csv", 'Domain,Customer,Mailboxes\na,one,"1,234"\n', {}, r"row 2, column 'Mailboxes': '1,234' could be 1234 or 1.234; declare the decimal mark"),
    "number-both-ways": ("a.csv", "Domain;Customer;Mailboxes\na;one;1,5\nb;one;2.5\n", {}, "row 3, column 'Mailboxes': row 2 has its decimals after ',', row 3 after '.'; declare `decimal:`"),
    "number-negative": ("a.csv", "Domain,Customer,Mailboxes\na,one,-3\n", {}, "'-3' is below zero"),
    "no-id": ("a.csv", "Domain,Customer,Mailboxes\na,one,3\n,Total,3\n", {}, "row 3 has nothing in Domain, which names its record; take out rows of totals"),
    "same-id": ("a.csv", "Domain,Customer,Mailboxes\na,one,3\nb,one,1\na,two,3\n", {}, "rows 2 and 4 have the same Domain, 'a'; let `record_id:` name"),
    "day": ("a.csv", "Domain,Customer,Mailboxes,Seen\na,one,3,01.02.2026\n", {"columns": {**BASE["columns"], "seen_on": "Seen"}}, "row 2, column 'Seen': '01.02.2026' is not a day .*`date:`"),
    "ending": ("a.ods", "", {}, r"a.ods: .ods is not read; have it written as .csv or .xlsx"),
    "no-ending": ("report", "", {}, "a name without an ending is not read"),
    "old-excel": ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", {}, ".xls is not read"),
    "password": ("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", {}, "protected by a password"),
    "damaged": ("a.xlsx", b"PK\x03\x04 and nothing else", {}, "damaged or no XLSX"),
    "no-day": ("a.csv", "", {"as_of": {"pattern": r"(\d{4}-\d{2}-\d{2})"}}, "its name does not tell its day"),
    "half-a-day": ("a_2026-11.csv", "", {"as_of": {"pattern": r"a_([\d-]+)"}}, "its name does not tell its day"),
    "no-such-day": ("a_2026-02-30.csv", "", {"as_of": {"pattern": r"a_([\d-]+)"}}, "its name does not tell its day"),
    "to-come": ("a_2126-11-01.csv", "Domain,Customer,Mailboxes\n", {"as_of": {"pattern": r"a_([\d-]+)"}}, "it is of 2126-11-01, which is to come"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "words", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_report_that_cannot_be_read_is_a_failed_reading_that_says_why(
    put: Put, see: Any, name: str, content: str | bytes, words: Block, said: str
) -> None:
    put(name, content)
    (found,) = see(**words)
    assert found.rows is None
    assert found.error.startswith(f"shield: {name}: ")
    assert re.search(said, found.error), found.error
    assert (found.source_file, len(found.source_sha256)) == (name, 64)


def test_a_failure_is_told_once_and_tried_again_at_every_look(put: Put, see: Any) -> None:
    path = put("a.csv", "Domain,Customer,Mailboxes\nzoë,one,3\n".encode("cp1252"))
    failed = see()
    assert failed[0].rows is None
    assert see(taken(*failed)) == []
    (mended,) = see(taken(*failed), encoding="cp1252")
    assert [row["record_id"] for row in mended.rows or ()] == ["zoë"]
    put(path.name, "Domain,Customer,Mailboxes\nzoe,one\n")
    (again,) = see(taken(*failed))
    assert "row 2 has 2 cells" in again.error


def test_a_failure_is_told_again_after_an_older_report_that_was_read(put: Put, see: Any) -> None:
    put("newest.csv", "nothing", days=1)
    failed = see()
    put("older.csv", days=2)
    assert [e.rows is None for e in see(taken(*failed))] == [False, True]


def test_a_report_that_is_old_when_it_comes_is_stale_at_once(put: Put, see: Any) -> None:
    words = {"as_of": {"pattern": r"usage_([\d-]+)"}, "max_age_days": 10}
    put("usage_2026-11-13.csv")
    (fresh,) = see(**words)
    assert fresh.rows is not None
    put("usage_2026-11-13.csv", "Domain,Customer,Mailboxes\n")
    read, told = see(**words, at=AT + timedelta(days=4))
    assert read.rows == []
    assert told.rows is None
    assert "the newest report, usage_2026-11-13.csv, is of 2026-11-13: older than the 10 days" in told.error


def test_a_trial_reads_the_newest_report_whatever_was_taken(put: Put, see: Any) -> None:
    put("a.csv", days=3)
    put("b.csv", "Domain,Customer,Mailboxes\nb.example,one,1\n", days=2)
    assert names(see(trial=True)) == ["b.csv"]
    assert names(see(trial=True)) == ["b.csv"]


def test_a_cell_may_be_empty_but_for_what_names_and_counts(put: Put, see: Any) -> None:
    put("a.csv", "Domain,Customer,Mailboxes,Plan\n a.example ,,3, \n")
    (found,) = see(columns={**BASE["columns"], "sku": "Plan"})
    assert found.rows == [{"record_id": "a.example", "company_id": None, "quantity": "3", "sku": None}]
    result = validate(vendor_record(), found.rows or [], at=AT)
    assert set(result.rejected["column_name"]) == {"company_id"}


def vendor_record() -> Any:
    from morton_pipeline.vendors import VENDORS

    return VENDORS["files"].endpoint("records").record


@pytest.mark.parametrize("text", ["=1+1", "+4 Fitness", "@x", "-", "=HYPERLINK()"])
def test_a_text_that_looks_like_a_formula_stays_a_text(put: Put, see: Any, text: str) -> None:
    put("a.csv", f"Domain,Customer,Mailboxes\n{text},one,3\n")
    assert [row["record_id"] for row in see()[0].rows] == [text]


def test_a_copy_is_kept_by_its_hash_for_our_account_alone(tmp_path: Path, put: Put, see: Any) -> None:
    path = put("Usage.CSV")
    (found,) = see()
    into = tmp_path / "data" / "files" / "shield"
    assert files.keep(path, found.source_sha256, into)
    assert files.keep(path, found.source_sha256, into)
    (copy,) = into.iterdir()
    assert (copy.name, copy.read_bytes()) == (f"{found.source_sha256}.csv", path.read_bytes())
    assert (copy.stat().st_mode & 0o777, into.stat().st_mode & 0o777, into.parent.stat().st_mode & 0o777) == (
        0o600,
        0o700,
        0o700,
    )
    put("Usage.CSV", "something else")
    copy.unlink()
    assert not files.keep(path, found.source_sha256, into)
    assert list(into.iterdir()) == []
