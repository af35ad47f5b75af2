"""What is proposed for companies and SKUs nobody mapped, how sure that is, and what is written without being asked."""

import csv
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from morton_pipeline.book import Book
from morton_pipeline.cli import cli
from morton_pipeline.errors import BadInput
from morton_pipeline.mappings import Suggestions, suggest, write
from morton_pipeline.names import SAME, contains, is_same, name, score
from morton_pipeline.seeds import SEEDS, check, read
from morton_pipeline.sold_as import units_fit

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
Row = dict[str, Any]

CONNECTIONS = """
connections:
  - {id: rmm, vendor: ninjaone, secrets: {client_id: N, client_secret: N}}
  - {id: edr, vendor: huntress, secrets: {api_key: H, api_secret: H}}
  - {id: m365, vendor: microsoft365, secrets: {client_id: M, client_secret: M}, tenants: [{id: t1, name: T}]}
"""
SERVICES = [
    {"service_id": "RMM-SRV", "service_name": "Managed server", "unit": "device", "list_price": "95", "count_vendor": "ninjaone"},
    {"service_id": "M365-E3", "service_name": "Microsoft 365 E3", "unit": "licence", "list_price": "42", "count_vendor": "microsoft365"},
    {"service_id": "CARE", "service_name": "Visio Plan 2", "unit": "hour", "list_price": "100"},
]  # fmt: skip
MART = """
    create schema marts;
    create table marts.unmapped_records (
        vendor varchar, connection_id varchar, endpoint varchar, company_id varchar, company_name varchar,
        client_id varchar, sku varchar, sku_name varchar, has_service boolean, record_id varchar, record_name varchar,
        reason varchar, quantity decimal(18, 4), unit varchar, list_amount decimal(18, 4), currency varchar,
        first_seen_on date
    )
"""


class Msp:
    """A book, what its mart could not place, and what is suggested."""

    def __init__(self, root: Path) -> None:
        (root / "connections.yaml").write_text(CONNECTIONS, "utf-8")
        (root / "seeds").mkdir()
        self.book = Book(root)
        for seed in SEEDS:
            self.seed(seed, SERVICES if seed == "services" else [])
        self._records: list[tuple[Any, ...]] = []

    def seed(self, seed: str, rows: list[dict[str, str]]) -> None:
        with (self.book.seeds / f"{seed}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [c.name for c in SEEDS[seed]], restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    def clients(self, **names: str) -> None:
        rows = [{"client_id": i, "client_name": n, "status": "active", "currency": "USD"} for i, n in names.items()]
        self.seed("clients", rows)

    def company(
        self, company_id: str, called: str, count: int = 1, amount: str | None = "10", connection: str = "rmm",
        reason: str = "company is mapped to no client",
    ) -> None:  # fmt: skip
        """Devices of a company that is mapped to no client; what they are sold as is known."""
        for n in range(count):
            self._records.append(("ninjaone", connection, "devices", company_id, called, None, "WINDOWS_SERVER", "Server", True,
                                  f"{company_id}-{n}", "", reason, 1, "device", amount, "USD", None))  # fmt: skip

    def sku(
        self, vendor: str, endpoint: str, sku: str, called: str, unit: str, count: int = 1, connection: str = "m365"
    ) -> None:
        """Records of a client's that no service mapping fits."""
        for n in range(count):
            self._records.append((vendor, connection, endpoint, "c", "C", "acme", sku, called, False,
                                  f"{sku}-{n}", "", "", 1, unit, None, "USD", None))  # fmt: skip

    def found(self, **options: Any) -> Suggestions:
        self.publish()
        return suggest(self.book, at=AT, **options)

    def publish(self) -> None:
        self.book.published.parent.mkdir(parents=True, exist_ok=True)
        self.book.published.unlink(missing_ok=True)
        with duckdb.connect(str(self.book.published)) as con:
            con.execute(MART)
            if self._records:
                marks = ", ".join(["?"] * len(self._records[0]))
                con.executemany(f"insert into marts.unmapped_records values ({marks})", self._records)

    def only(self) -> Row:
        (row,) = self.found().rows
        return row


@pytest.fixture
def msp(tmp_path: Path) -> Msp:
    return Msp(tmp_path)


Placed = tuple[str | None, str]


def placed(row: Row) -> Placed:
    return row["suggestion"], row["verdict"]


SAME_NAMES = [
    ("Acme, Inc.", "ACME Incorporated"),
    ("Acme", "Acme LLC"),
    ("Müller & Söhne GmbH", "Muller and Sohne"),
    ("Żabka Sp. z o.o.", "Zabka Sp z o. o."),
    ("Łódź Dental S.A.", "Lodz Dental SA"),
    ("O'Brien Law L.L.C.", "OBrien Law LLC"),
    ("The Corner Shop Co., Ltd.", "Corner Shop Co. Limited"),
    ("Kraft GmbH & Co. KG", "Kraft GmbH und Co KG"),
    ("Smith-Jones Ltd", "smith jones limited"),
]


@pytest.mark.parametrize(("one", "other"), SAME_NAMES, ids=[one for one, _ in SAME_NAMES])
def test_accents_punctuation_and_legal_forms_make_no_difference(one: str, other: str) -> None:
    assert is_same(name(one), name(other))
    assert score(name(one), name(other)) == SAME


OTHER_NAMES = [
    ("Acme Inc.", "Acme LLC"),
    ("Smith Ltd", "Smith GmbH"),
    ("Sunrise Spa", "Sunrise S.p.A."),
    ("Store 12", "Store 14"),
    ("Acme Corp", "Acme Capital"),
    ("", "Acme"),
    ("—", "…"),
]


@pytest.mark.parametrize(("one", "other"), OTHER_NAMES, ids=[f"{one}|{other}" for one, other in OTHER_NAMES])
def test_other_names_are_never_the_same(one: str, other: str) -> None:
    assert not is_same(name(one), name(other))
    assert score(name(one), name(other)) < SAME


def test_a_name_that_is_all_legal_form_is_kept_and_a_name_without_words_is_in_none() -> None:
    assert name("Limited").core == "limited"
    assert not contains(name("—"), name("Acme"))


def test_editions_are_told_apart_by_their_numbers() -> None:
    assert score(name("Microsoft 365 E3"), name("Microsoft 365 E5")) < 70
    assert score(name("Microsoft 365 E3"), name("Microsoft 365 E3 (no Teams)")) > 70


def test_case_13_near_equal_names_are_suggested_with_a_score_and_never_applied(msp: Msp) -> None:
    msp.clients(capital="Acme Capital", corp="Acme Corp")
    msp.company("1", "Acme")
    msp.company("2", "Acme Capital Partners")
    msp.company("3", "Acme Corporate")
    found = msp.found()
    rows = {row["company_id"]: row for row in found.rows}
    assert placed(rows["1"]) == ("corp", "ambiguous"), "Acme may be either of the two"
    assert rows["1"]["score"] == 100
    assert rows["1"]["runner_up"].startswith("capital (")
    assert {rows[i]["verdict"] for i in rows} <= {"near", "ambiguous", "none"}
    before = (msp.book.seeds / "company_mappings.csv").read_bytes()
    results = write(msp.book, found, with_exact=True)
    assert {row["result"] for row in results} == {"left for a person"}
    assert (msp.book.seeds / "company_mappings.csv").read_bytes() == before


def test_case_13_a_name_written_just_so_is_that_client_whatever_is_near(msp: Msp) -> None:
    msp.clients(capital="Acme Capital", corp="Acme Corp")
    msp.company("1", "ACME CORP.")
    assert placed(msp.only()) == ("corp", "exact")


VERDICTS: dict[str, tuple[dict[str, str], str, Placed]] = {
    "the same but for the form": ({"a": "Contoso Ltd"}, "Contoso", ("a", "exact")),
    "another form": ({"a": "Contoso LLC"}, "Contoso Inc.", ("a", "near")),
    "a typing slip": ({"a": "Northwind Traders", "b": "Fabrikam"}, "Northwnd Traders", ("a", "near")),
    "two of one name": ({"a": "Contoso", "b": "Contoso"}, "Contoso", ("a", "ambiguous")),
    "one name in the other": ({"a": "Contoso", "b": "Contoso Pharma"}, "Contoso Ltd", ("a", "ambiguous")),
    "nothing alike": ({"a": "Contoso", "b": "Fabrikam"}, "Harborview Dental", (None, "none")),
    "no clients yet": ({}, "Contoso", (None, "none")),
    "a number differs": ({"a": "Bakery No 7"}, "Bakery No 9", (None, "none")),
}  # fmt: skip


@pytest.mark.parametrize("case", VERDICTS)
def test_the_verdict(msp: Msp, case: str) -> None:
    clients, company, expected = VERDICTS[case]
    msp.clients(**clients)
    msp.company("1", company)
    assert placed(msp.only()) == expected


def test_a_name_a_client_already_goes_by_in_another_tool_counts(msp: Msp) -> None:
    msp.clients(acme="Acme Holdings International")
    msp.seed(
        "company_mappings",
        [{"connection_id": "edr", "company_id": "9", "company_name": "ACME West", "client_id": "acme"}],
    )
    msp.company("1", "Acme West")
    assert placed(msp.only()) == ("acme", "exact")


def test_two_companies_of_one_tool_that_all_but_bear_a_clients_name_are_a_persons_to_tell_apart(msp: Msp) -> None:
    msp.clients(acme="Acme")
    msp.company("1", "Acme Corp")
    msp.company("2", "Acme LLC")
    msp.company("3", "Acme")
    assert {row["company_id"]: row["verdict"] for row in msp.found().rows} == {
        "1": "ambiguous", "2": "ambiguous", "3": "exact"}  # fmt: skip


def test_a_company_all_but_named_like_a_client_the_tool_has_already_is_a_persons_to_tell(msp: Msp) -> None:
    msp.clients(acme="Acme")
    msp.seed(
        "company_mappings", [{"connection_id": "rmm", "company_id": "9", "company_name": "Acme", "client_id": "acme"}]
    )
    msp.company("1", "Acme LLC")
    assert placed(msp.only()) == ("acme", "ambiguous")


def test_the_most_money_comes_first_and_unknown_money_is_not_zero(msp: Msp) -> None:
    msp.company("1", "One", count=3, amount=None)
    msp.company("2", "Two", count=2, amount="95")
    msp.company("3", "Three", amount="95")
    assert [(r["company_id"], r["records"], r["list_amount"]) for r in msp.found().rows] == [
        ("2", 2, Decimal(190)), ("3", 1, Decimal(95)), ("1", 3, None)]  # fmt: skip


def test_a_sku_named_like_a_service_is_that_service(msp: Msp) -> None:
    msp.sku("microsoft365", "user_licenses", "SPE_E3", "Microsoft 365 E3", "licence", count=2)
    row = msp.only()
    assert placed(row) == ("M365-E3", "exact")
    assert (row["field"], row["list_amount"]) == ("sku_part_number", Decimal(84))


def test_a_part_number_is_read_as_the_product_it_is(msp: Msp) -> None:
    msp.sku("microsoft365", "user_licenses", "SPE_E3", "SPE_E3", "licence")
    assert placed(msp.only()) == ("M365-E3", "exact")


def test_what_the_vendors_page_proposes_is_near_and_never_written_by_itself(msp: Msp) -> None:
    msp.sku("ninjaone", "devices", "LINUX_SERVER", "LINUX_SERVER", "device", connection="rmm")
    row = msp.only()
    assert placed(row) == ("RMM-SRV", "near")
    assert row["score"] == 95


def test_a_proposed_service_that_is_not_sold_yet_says_so(msp: Msp) -> None:
    msp.sku("huntress", "agents", "windows", "Agent on windows", "agent", connection="edr")
    row = msp.only()
    assert placed(row) == ("EDR", "near")
    assert row["note"] == "add EDR to services.csv first"
    with pytest.raises(BadInput, match=r"no service_id of services\.csv"):
        write(msp.book, msp.found(), accepted=["huntress/agents/windows=EDR"])


def test_a_service_sold_in_another_unit_is_no_candidate(msp: Msp) -> None:
    msp.sku("microsoft365", "user_licenses", "VISIOCLIENT", "Visio Plan 2", "licence")
    assert placed(msp.only()) == (None, "none")


@pytest.mark.parametrize(("record", "service", "fits"), [
    ("device", "agent", True), ("licence", "user", True), (None, "hour", True), ("gigabyte", "other", True),
    ("gigabyte", "device", False), ("licence", "device", False), ("mailbox", "mailbox", True),
])  # fmt: skip
def test_units_fit_as_they_do_in_sql(record: str | None, service: str, fits: bool) -> None:
    assert units_fit(record, service) is fits


def test_the_same_names_are_written_at_the_end_once_and_the_rest_is_left(msp: Msp) -> None:
    msp.clients(contoso="Contoso", fabrikam="Fabrikam Foods")
    path = msp.book.seeds / "company_mappings.csv"
    header = "note,company_id,client_id,connection_id,company_name,effective_to,effective_from"
    before = f'\ufeff{header}\r\nold,7,fabrikam,edr,"Fabrikam, Foods",,'.encode()
    path.write_bytes(before)
    msp.company("1", "Contoso, Ltd.")
    msp.company("2", "Fabrikam Food")
    found = msp.found()
    results = {row["company_id"]: row["result"] for row in write(msp.book, found, with_exact=True)}
    assert results == {"1": "written: contoso", "2": "left for a person"}
    assert path.read_bytes() == before + b'\r\nthe same name,1,contoso,rmm,"Contoso, Ltd.",,\r\n'
    assert check(msp.book) == []
    again = msp.found()
    assert again.pending == ["rmm/1"]
    assert [row["company_id"] for row in again.rows] == ["2"]
    write(msp.book, again, with_exact=True)
    assert path.read_bytes().count(b"contoso") == 1


def test_a_sku_is_written_outright(msp: Msp) -> None:
    msp.sku("microsoft365", "user_licenses", "SPE_E3", "Microsoft 365 E3", "licence")
    write(msp.book, msp.found(), with_exact=True)
    (row,) = read(msp.book, "service_mappings")
    assert [row[c] for c in ("vendor", "endpoint", "field", "pattern", "service_id", "priority", "effective_from")] == [
        "microsoft365", "user_licenses", "sku_part_number", "SPE_E3", "M365-E3", "10", ""]  # fmt: skip
    assert msp.found().pending == ["microsoft365/user_licenses/SPE_E3"]


STARTER = "Google Workspace Business Starter"


def test_a_sku_is_written_under_the_column_it_stands_in_and_not_under_its_name_s(msp: Msp) -> None:
    msp.seed("services", [{"service_id": "GWS-BS", "service_name": STARTER, "unit": "licence"}])
    msp.sku("google_workspace", "license_assignments", "1010020027", STARTER, "licence")
    assert placed(msp.only()) == ("GWS-BS", "exact")
    write(msp.book, msp.found(), with_exact=True)
    (row,) = read(msp.book, "service_mappings")
    assert (row["field"], row["pattern"], row["service_id"]) == ("sku_id", "1010020027", "GWS-BS")
    assert msp.found().pending == ["google_workspace/license_assignments/1010020027"]


def test_a_proposal_that_looks_at_the_name_of_a_sku_is_found_by_that_name(msp: Msp) -> None:
    msp.seed("services", [{"service_id": "GWS-BS", "service_name": "Mail and files", "unit": "licence"}])
    msp.sku("google_workspace", "license_assignments", "1010020027", STARTER, "licence")
    assert placed(msp.only()) == ("GWS-BS", "near")


@pytest.mark.parametrize("asset_class", ["server", "agent"])
def test_a_class_we_work_out_ourselves_can_be_mapped(msp: Msp, asset_class: str) -> None:
    msp.seed("services", [{"service_id": "BDR-SRV", "service_name": f"Protected {asset_class}", "unit": "device"}])
    msp.sku("datto_bcdr", "assets", asset_class, f"Protected {asset_class}", "device")
    assert placed(msp.only()) == ("BDR-SRV", "exact")
    write(msp.book, msp.found(), with_exact=True)
    (row,) = read(msp.book, "service_mappings")
    assert (row["field"], row["pattern"]) == ("asset_class", asset_class)


SHIELD = """
  - {id: shield, vendor: files, tool: mailshield, folder: inbox/shield, pattern: "*.csv",
     columns: {record_id: Mailbox, company_id: Customer, sku: Plan}, unit: mailbox}
"""


def test_a_tool_that_was_declared_is_mapped_by_its_column_sku(msp: Msp) -> None:
    with (msp.book.root / "connections.yaml").open("a", encoding="utf-8") as file:
        file.write(SHIELD)
    mail = {"service_id": "MAIL", "service_name": "Mail Premium", "unit": "mailbox", "count_vendor": "mailshield"}
    msp.seed("services", [mail])
    msp.sku("mailshield", "records", "PREM", "Mail premium", "mailbox", connection="shield")
    write(msp.book, msp.found(), with_exact=True)
    (row,) = read(msp.book, "service_mappings")
    assert (row["vendor"], row["field"], row["pattern"], row["service_id"]) == ("mailshield", "sku", "PREM", "MAIL")
    assert check(Book(msp.book.root)) == []


def test_a_near_one_is_written_when_a_person_names_it(msp: Msp) -> None:
    msp.clients(capital="Acme Capital", corp="Acme Corp")
    msp.company("1", "Acme")
    msp.company("2", "Contoso")
    msp.sku("ninjaone", "devices", "LINUX_SERVER", "LINUX_SERVER", "device", connection="rmm")
    accepted = ["rmm/1=capital", "ninjaone/devices/linux_server=RMM-SRV"]
    results = {row["mapping"]: row["result"] for row in write(msp.book, msp.found(), accepted=accepted)}
    assert results == {
        "rmm/1": "written: capital", "rmm/2": "left for a person", "ninjaone/devices/LINUX_SERVER": "written: RMM-SRV"
    }  # fmt: skip
    assert [(m["company_id"], m["client_id"], m["note"]) for m in read(msp.book, "company_mappings")] == [
        ("1", "capital", "accepted by a person")
    ]
    assert check(msp.book) == []


@pytest.mark.parametrize(("accepted", "said"), [
    ("rmm/11=contoso", r"the list has no such mapping \(did you mean 'rmm/1'\?\)"),
    ("rmm/1=contosso", r"no client_id of clients\.csv \(did you mean 'contoso'\?\)"),
    ("rmm/1", "the list has no such mapping"),
], ids=["company", "client", "no client"])  # fmt: skip
def test_an_acceptance_that_fits_nothing_writes_nothing(msp: Msp, accepted: str, said: str) -> None:
    msp.clients(contoso="Contoso")
    msp.company("1", "Contoso")
    with pytest.raises(BadInput, match=said):
        write(msp.book, msp.found(), accepted=[accepted], with_exact=True)
    assert read(msp.book, "company_mappings") == []


def test_case_14_a_company_that_was_somebodys_begins_where_that_ended_and_only_if_a_person_says_so(msp: Msp) -> None:
    msp.clients(contoso="Contoso", fabrikam="Fabrikam")
    earlier = {"connection_id": "rmm", "company_id": "1", "client_id": "fabrikam", "effective_to": "2026-10-01"}
    msp.seed("company_mappings", [earlier])
    msp.company("1", "Contoso")
    found = msp.found()
    (row,) = found.rows
    assert placed(row) == ("contoso", "near")
    assert row["note"] == "it was fabrikam until 2026-10-01; a new mapping begins there"
    write(msp.book, found, accepted=["rmm/1=contoso"])
    assert [(m["client_id"], m["effective_from"]) for m in read(msp.book, "company_mappings")] == [
        ("fabrikam", ""), ("contoso", "2026-10-01")]  # fmt: skip
    assert check(msp.book) == []


def test_what_the_seeds_check_would_refuse_is_not_written_and_the_rest_is(msp: Msp) -> None:
    """Another list of the vendor counts the service already: two lists would be added up."""
    bought = {
        "vendor": "microsoft365",
        "endpoint": "subscribed_skus",
        "field": "sku_part_number",
        "pattern": "X",
        "service_id": "M365-E3",
    }
    msp.seed("service_mappings", [bought])
    msp.clients(contoso="Contoso")
    msp.company("1", "Contoso")
    msp.sku("microsoft365", "user_licenses", "SPE_E3", "Microsoft 365 E3", "licence")
    results = {row["mapping"]: row["result"] for row in write(msp.book, msp.found(), with_exact=True)}
    assert results["rmm/1"] == "written: contoso"
    assert results["microsoft365/user_licenses/SPE_E3"].startswith("refused: M365-E3 would be counted from")
    assert check(msp.book) == []


def test_seeds_that_are_not_right_are_left_alone(msp: Msp) -> None:
    msp.clients(contoso="Contoso")
    msp.company("1", "Contoso")
    (msp.book.seeds / "contracts.csv").unlink()
    with pytest.raises(BadInput, match=r"contracts\.csv: the file is missing"):
        write(msp.book, msp.found(), with_exact=True)
    assert read(msp.book, "company_mappings") == []


def morton(book: Book, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--book", str(book.root), "mappings", "suggest", *arguments])


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORTON_NOW", AT.isoformat())


def test_the_command_lists_writes_and_says_since_when(msp: Msp) -> None:
    msp.clients(contoso="Contoso")
    msp.company("1", "Contoso Ltd")
    msp.publish()
    listed = morton(msp.book, "--format", "json")
    assert listed.exit_code == 0, listed.output
    (row,) = json.loads(listed.stdout)
    assert [row[k] for k in ("kind", "mapping", "company_name", "suggestion", "suggestion_name", "score", "verdict")] == [
        "company", "rmm/1", "Contoso Ltd", "contoso", "Contoso", 100, "exact"]  # fmt: skip
    assert read(msp.book, "company_mappings") == []
    written = morton(msp.book, "--write")
    assert written.exit_code == 0, written.output
    assert "written: contoso" in written.stdout
    assert "Where effective_from is empty they apply to all past months too." in written.stderr
    assert "rmm/1" in morton(msp.book).stderr, "what waits for the next build is named"


def test_the_command_exits_with_1_when_something_was_refused(msp: Msp) -> None:
    msp.sku("someone", "seats", "SPE_E3", "Microsoft 365 E3", "licence")
    msp.publish()
    done = morton(msp.book, "--accept", "someone/seats/SPE_E3=M365-E3")
    assert done.exit_code == 1
    assert "refused" in done.stdout


def test_a_mart_of_an_earlier_version_says_what_to_run(msp: Msp) -> None:
    msp.publish()
    with duckdb.connect(str(msp.book.published)) as con:
        con.execute("alter table marts.unmapped_records drop column has_service")
    with pytest.raises(BadInput, match="morton reconcile"):
        suggest(msp.book, at=AT)


def test_the_command_without_a_mart_says_what_to_run(msp: Msp) -> None:
    assert "morton reconcile" in str(morton(msp.book).exception)


def test_case_16_what_is_left_of_a_shared_company_is_not_proposed_whole(msp: Msp) -> None:
    """Its rows stand in the seed already; what they do not claim is for a person to divide."""
    msp.clients(acme="Acme")
    shared = {"connection_id": "rmm", "company_id": "9", "client_id": "acme", "field": "location_id", "pattern": "1"}
    msp.seed("company_mappings", [shared])
    msp.company("9", "Acme", reason="unallocated")
    found = msp.found()
    assert (found.rows, found.pending) == ([], [])
