"""What stands behind every line of an invoice, as it is sent to the client: the records, the contract, the approval."""

import csv
import json
import re
import shutil
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from morton_pipeline.book import Book
from morton_pipeline.cli import cli
from morton_pipeline.errors import BadInput
from morton_pipeline.ledger import open_ledger
from morton_pipeline.reports.proof import proof
from morton_pipeline.reports.proof_page import page
from morton_pipeline.reports.show import as_json
from morton_pipeline.seeds import SEEDS, check
from tests.cases.scenario import DECIDED, LATER, Mart, Scenario
from tests.cases.test_invoicing import DRIFTS
from tests.conftest import ROOT

PEOPLE = {
    "7d9a4c1e-11aa-4f00-8000-0000000fa91f": "Anna Meyer",
    "7d9a4c1e-11aa-4f00-8000-0000000fb02e": "Bo Ek",
    "cleo.frost@example.com": "Cleo Frost",
}
SAYS = {"names-shown": "shown", "names-hidden": "hidden", "names-unsaid": ""}
CODE = '<script>alert("x")</script> & Söhne'


def given_people_who_are_counted(msp: Scenario) -> None:
    for client, word in SAYS.items():
        msp.client(client, accounting_customer_id=f"qb-{client}")
        for user, name in PEOPLE.items():
            msp.licences(
                client, 1, users=[user], displayName=name, since=date(2026, 11, 5), userPrincipalName=f"{user}@{client}"
            )
        msp.licences(client, 1, users=[f"gone-{client}"], displayName="Dara Holt")
        msp.exclusion(
            client_id=client, record_id=f"gone-{client}", reason="Dara Holt is on leave", expires_on="2027-03-01"
        )
        msp.contract(
            client, "seat", 1, "22", effective_from="2026-10-01", note="Anna Meyer signed it", proof_names=word
        )
        msp.devices(client, 2, systemName="ANNAS-LAPTOP")
        msp.contract(client, "workstation", 1, "40", model="minimum", minimum_quantity="1", proof_names=word)
        msp.bill(client)


def given_a_tenant_divided_by_people(msp: Scenario) -> None:
    msp.tenant("divided", is_mapped=False)
    for client, word in (("divided-hidden", ""), ("divided-shown", "shown")):
        msp.client(client, accounting_customer_id=f"qb-{client}")
        address = f"ann.lee@{client}.com"
        for field, pattern in (
            ("user_principal_name", address), ("user_principal_name", f"*@{client}.example.com"), ("display_name", f"Ann of {client}*"),
            ("department", f"Sales {client}"),
        ):  # fmt: skip
            msp.mapping(client, "m365", "divided", field=field, pattern=pattern)
        msp.licences("divided", 1, displayName="Lee, Ann", userPrincipalName=address)
        msp.licences("divided", 1, displayName="Gil Orr", userPrincipalName=f"gil@{client}.example.com")
        msp.contract(
            client, "seat", 1, "22", effective_from="2026-10-01", note=f"asked by zoe@{client}.com", proof_names=word
        )
        msp.bill(client)


def given_names_that_are_code(msp: Scenario) -> None:
    msp.client("coded", client_name=CODE, accounting_customer_id="qb-coded")
    msp.devices("coded", 2, systemName="<img src=x onerror=alert(1)>")
    left_out = msp.devices("coded", 1, systemName="'\"><b>out</b>")
    msp.exclusion(client_id="coded", record_id=left_out[0], reason="</td><script>alert(2)</script>")
    msp.contract("coded", "workstation", 1, "40", note="</dd><iframe>", effective_from="2026-11-01")
    msp.bill("coded")


def given_rows_nobody_has_approved(msp: Scenario) -> None:
    msp.client("undecided")
    msp.devices("undecided", 2)
    msp.devices("undecided", 1, since=date(2026, 11, 5))
    msp.contract("undecided", "workstation", 2, "40", effective_from="2026-09-01")


@pytest.fixture
def ask(told: Path) -> Any:
    """Ask the book of the stories what stands behind something."""
    return lambda name: _ask(told / "book", name)


def _ask(root: Path, name: str) -> list[dict[str, Any]]:
    book = Book(root)
    with open_ledger(book) as ledger:
        return proof(book, ledger, name, at=LATER)


@pytest.fixture
def desk(told: Path, tmp_path: Path) -> Path:
    """A book as finance has it: the published copy and the ledger, and nothing else."""
    root = tmp_path / "desk"
    (root / "data/published").mkdir(parents=True)
    (root / "connections.yaml").write_text("name: Northwind <IT>\nconnections: []\n", "utf-8")
    shutil.copy(told / "book/data/ledger.sqlite", root / "data")
    shutil.copy(told / "after.duckdb", root / "data/published/mart.duckdb")
    return root


def _said(rows: list[dict[str, Any]]) -> str:
    """Everything that is sent, but for how the page looks: its body and the JSON."""
    return page(rows, firm="", at=LATER).partition("<body>")[2] + as_json(rows)


def test_a_line_leads_to_its_approval_its_records_and_its_accounting_id(ask: Any) -> None:
    (row,) = ask("M-sent-and-voided")
    assert (row["accounting_id"], row["state"], row["line_number"]) == ("ours-sent-and-voided", "posted", 1)
    assert (row["decided_by"], row["decided_because"], row["amount"]) == ("Fay", "seen", 20)
    assert (row["evidence_state"], row["evidence_count"]) == ("as approved", 3)
    assert {e["vendor"] for e in row["evidence"]} == {"ninjaone"}
    assert "3" in row["explanation"]


@pytest.mark.parametrize("name", ["M-as-sent", "invoice-as-sent", "ours-as-sent"])
def test_an_invoice_is_found_by_any_of_its_names(ask: Any, name: str) -> None:
    (row,) = ask(name)
    assert ask(row["discrepancy_id"]) == [row]


def test_a_line_says_what_was_agreed_and_how_its_amount_comes_about(ask: Any) -> None:
    seat, workstation = sorted(ask("M-names-shown"), key=lambda row: row["service_id"])
    (agreed,) = seat["contracts"]
    assert (agreed["effective_from"], agreed["contracted_quantity"], agreed["note"]) == (
        date(2026, 10, 1),
        1,
        "Anna Meyer signed it",
    )
    assert agreed["price_rule"] == "Each one counted is billed at 22.00 USD a month."
    assert "never fewer than 1" in workstation["contracts"][0]["price_rule"]
    assert (seat["observed_quantity"], seat["contracted_quantity"], seat["quantity"], seat["amount"]) == (3, 1, 2, 44)
    assert {(m["mapping"], m["pattern"], m["maps_to"]) for m in seat["mappings"]} == {
        ("company", None, "names-shown"), ("service", "SPB", "seat"),
    }  # fmt: skip


def test_every_record_leads_to_the_reading_that_brought_it_and_to_its_hash(told: Path, ask: Any) -> None:
    seat = min(ask("M-names-shown"), key=lambda row: row["service_id"])
    readings = {r["extraction_id"]: r for r in seat["readings"]}
    brought = {e["extraction_id"] for e in seat["evidence"]}
    assert len(brought) == 2, "three came on one day, one was there from the beginning"
    kept = {
        r["extraction_id"]: r["journal_sha256"]
        for r in Mart(told, told / "after_warehouse.duckdb").ask("select * from raw.extractions", from_warehouse=True)
    }
    for name in brought:
        assert readings[name]["content_sha256"] == kept[name]
        assert re.fullmatch("[0-9a-f]{64}", readings[name]["content_sha256"])
    (counted,) = [r for r in seat["readings"] if r["is_measurement"]]
    assert max(brought) < counted["extraction_id"]
    assert counted["read_at"] < DECIDED.replace(tzinfo=None), "an approval stands on what was known then"


def test_what_took_records_out_is_said_in_its_own_words(ask: Any) -> None:
    seat = min(ask("M-names-shown"), key=lambda row: row["service_id"])
    (left_out,) = [e for e in seat["evidence"] if e["bucket"] == "excluded"]
    assert left_out["reason"] == "Dara Holt is on leave"
    (exclusion,) = seat["exclusions"]
    assert (exclusion["reason"], exclusion["expires_on"], exclusion["record_count"]) == (
        "Dara Holt is on leave",
        date(2027, 3, 1),
        1,
    )


def test_an_approval_is_pinned_in_the_record_and_the_invoice_s_steps_are_told(ask: Any) -> None:
    (row,) = ask("M-as-sent")
    (approval,) = row["approvals"]
    assert (approval["decided_by"], approval["seal"]) == (row["decided_by"], row["seal"])
    assert approval["record_entry"] >= 1
    assert re.fullmatch("[0-9a-f]{64}", approval["record_hash"])
    assert row["record_is_whole"]
    assert row["record_entries"] >= approval["record_entry"]
    assert [s["state"] for s in row["states"]] == ["planned", "sending", "posted"]
    assert re.fullmatch("[0-9a-f]{64}", row["payload_sha256"])


@pytest.mark.parametrize("client", ["names-hidden", "names-unsaid"])
def test_case_86_people_are_numbers_unless_the_contract_says_that_they_are_named(ask: Any, client: str) -> None:
    rows = ask(f"M-{client}")
    said = _said(rows)
    for word in (*PEOPLE, *PEOPLE.values(), "Dara Holt", f"gone-{client}"):
        assert word.lower() not in said.lower(), f"{word} is told"
    seat = min(rows, key=lambda row: row["service_id"])
    assert sorted(e["record_name"] for e in seat["evidence"]) == ["User 1", "User 2", "User 3", "User 4"]
    # An id tells nothing but itself, and an address is a name.
    assert {e["record_id"] for e in seat["evidence"]} == {"…a91f", "…b02e", ""}
    assert seat["contracts"][0]["note"].endswith(" signed it")
    assert ask(f"M-{client}") == rows, "the same people have the same numbers every time"


def test_case_86_a_contract_may_say_that_people_are_named(ask: Any) -> None:
    seat = min(ask("M-names-shown"), key=lambda row: row["service_id"])
    assert {e["record_name"] for e in seat["evidence"]} == {*PEOPLE.values(), "Dara Holt"}
    assert set(PEOPLE) < {e["record_id"] for e in seat["evidence"]}


def test_case_86_a_mapping_tells_no_name_either(ask: Any) -> None:
    (row,) = ask("M-divided-hidden")
    patterns: dict[str, set[str]] = {}
    for m in row["mappings"]:
        patterns.setdefault(m["field"], set()).add(m["pattern"])
    assert patterns == {
        "user_principal_name": {"…@divided-hidden.com", "*@divided-hidden.example.com"},
        "display_name": {"…"},
        "department": {"Sales divided-hidden"},
        "sku_part_number": {"SPB"},
    }
    assert row["contracts"][0]["note"] == "asked by …@divided-hidden.com"
    assert not re.search(r"\bann\b|zoe", _said([row]), re.IGNORECASE)
    (shown,) = ask("M-divided-shown")
    assert "ann.lee@divided-shown.com" in {m["pattern"] for m in shown["mappings"]}
    assert shown["contracts"][0]["note"] == "asked by zoe@divided-shown.com"


def test_case_86_devices_keep_their_names(ask: Any) -> None:
    workstation = max(ask("M-names-hidden"), key=lambda row: row["service_id"])
    assert {e["record_name"] for e in workstation["evidence"]} == {"ANNAS-LAPTOP"}


def test_records_that_changed_since_are_said_to_and_a_look_back_has_them_as_they_were(told: Path, desk: Path) -> None:
    (row,) = _ask(desk, "M-shrunk-since")
    assert row["evidence_state"] != "as approved"
    back = desk / f"data/published/mart_as_of_{DECIDED:%Y%m%dT%H%M%SZ}.duckdb"
    shutil.copy(told / "before.duckdb", back)
    (row,) = _ask(desk, "M-shrunk-since")
    assert (row["evidence_state"], row["evidence_count"]) == ("as approved", 4)


def test_a_row_that_is_not_invoiced_has_a_proof_too(ask: Any, after: Mart) -> None:
    (row,) = ask(after.row("undecided")["discrepancy_id"])
    assert (row["reference"], row["state"], row["evidence_state"]) == (None, "not approved", "as it is now")
    assert (row["quantity"], row["amount"], row["approvals"], row["states"]) == (1, 40, [], [])
    assert sorted(e["change"] for e in row["evidence"]) == ["added", "kept", "kept"]
    assert "Not approved, not invoiced" in page([row], firm="", at=LATER)


def test_a_row_of_a_closed_month_leads_to_the_readings_of_that_month(ask: Any, after: Mart) -> None:
    (found,) = [r for r in after.rows("names-hidden", month="2026-10", kind="under_billed")]
    assert found["closed_at"]
    (row,) = ask(found["discrepancy_id"])
    assert (row["evidence_state"], row["evidence_count"], len(row["contracts"])) == ("as it is now", 2, 1)
    assert {m["mapping"] for m in row["mappings"]} == {"company", "service"}
    (counted,) = [r for r in row["readings"] if r["is_measurement"]]
    assert counted["read_at"].isoformat() == "2026-10-31T22:00:00"
    assert {e["extraction_id"] for e in row["evidence"]} <= {r["extraction_id"] for r in row["readings"]} - {None}


def test_what_is_given_back_reads_as_a_credit_note(ask: Any) -> None:
    rows = ask("M-over-paid")
    assert (rows[0]["quantity"], rows[0]["amount"]) == (-2, -20)
    assert "What stands behind credit note M-over-paid" in page(rows, firm="", at=LATER)


@pytest.mark.parametrize("kind", ["below_cost", "unmapped_sku", "unmapped_company", "not_audited"])
def test_what_no_client_is_billed_by_has_no_proof(ask: Any, after: Mart, kind: str) -> None:
    row = after.ask("select * from marts.discrepancies where kind = ? order by discrepancy_id", kind)[0]
    with pytest.raises(BadInput, match="no client is billed by"):
        ask(row["discrepancy_id"])


def test_an_unknown_name_says_where_the_names_are(ask: Any) -> None:
    with pytest.raises(BadInput, match="morton invoices status"):
        ask("nothing")


def test_every_story_of_touched_invoices_has_a_proof(ask: Any) -> None:
    assert [len(ask(f"M-{client}")) for client in DRIFTS] == [1] * len(DRIFTS)


class _Page(HTMLParser):
    """What a browser would make of a page: its elements, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_hostile_name_stays_text(ask: Any) -> None:
    found = _Page(page(ask("M-coded"), firm=CODE, at=LATER))
    allowed = {"html", "head", "meta", "title", "style", "body", "header", "strong", "span", "main", "h1", "h2", "h3", "p", "dl",
               "dt", "dd", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "div", "section", "code", "br", "footer"}  # fmt: skip
    assert {tag for tag, _ in found.elements} <= allowed
    text = "".join(found.texts)
    for word in (
        CODE,
        "<img src=x onerror=alert(1)>",
        "'\"><b>out</b>",
        "</td><script>alert(2)</script>",
        "</dd><iframe>",
    ):
        assert word in text


def test_the_page_needs_nothing_beside_it_and_its_tables_are_headed(ask: Any) -> None:
    text = page(ask("M-names-hidden"), firm="", at=LATER)
    assert re.findall(r"https?:|url\(|@import|<script|<link|<img|src=", text) == []
    found = _Page(text)
    assert found.elements[0] == ("html", {"lang": "en"})
    headings = [attributes for tag, attributes in found.elements if tag == "th"]
    assert headings
    assert {attributes.get("scope") for attributes in headings} == {"col", "row"}


def test_a_proof_tells_neither_of_another_client_nor_of_what_anything_costs_us(ask: Any, after: Mart) -> None:
    # One without a hyphen may be a word of any sentence.
    clients = {
        r["client_id"]
        for r in after.ask("select distinct client_id from marts.discrepancies where client_id like '%-%'")
    }
    sent = [f"M-{client}" for client in (*DRIFTS, *SAYS, "grown-since", "short-twice", "over-paid")]
    for reference in sent:
        rows = ask(reference)
        words = set(re.findall(r"[\w-]+", _said(rows).lower()))
        assert words & (clients - {rows[0]["client_id"]}) == set(), reference
        assert not [word for word in words if re.search(r"cost|margin|list_price|record_key", word)], reference


def test_the_published_copy_and_the_ledger_are_all_it_needs(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORTON_NOW", LATER.isoformat())
    out = desk / "out"
    done = CliRunner().invoke(cli, ["--book", str(desk), "proof", "M-as-sent", "--out", str(out)])
    assert done.exit_code == 0, done.output
    written, beside = out / "proof_M-as-sent.html", out / "proof_M-as-sent.json"
    assert "Northwind &lt;IT&gt;" in written.read_text("utf-8")
    (row,) = json.loads(beside.read_text("utf-8"))
    assert (row["reference"], row["amount"], row["evidence_count"]) == ("M-as-sent", "20.00", 3)
    assert {path.stat().st_mode & 0o777 for path in (written, beside)} == {0o600}
    assert {path.name for path in (desk / "data").iterdir()} == {"ledger.sqlite", "published"}, "it only looks"
    named = desk / "for the client.html"
    done = CliRunner().invoke(cli, ["--book", str(desk), "proof", "M-as-sent", "--out", str(named)])
    assert named.read_text("utf-8") == written.read_text("utf-8")
    done = CliRunner().invoke(cli, ["--book", str(desk), "proof", "M-as-sent", "--format", "html"])
    assert done.stdout == written.read_text("utf-8")


def test_a_record_that_was_touched_is_said_not_to_fit(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    monkeypatch.setenv("MORTON_NOW", LATER.isoformat())
    with sqlite3.connect(desk / "data/ledger.sqlite") as con:
        con.execute("update decisions set reason = 'nothing to see' where client_id = 'as-sent'")
    done = CliRunner().invoke(cli, ["--book", str(desk), "proof", "M-as-sent", "--format", "html"])
    assert done.exit_code == 1
    assert "does not fit: ask us" in done.stdout
    assert "morton audit verify" in done.stderr


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "docs/proof.md").read_text("utf-8"), re.M | re.S)


def test_the_page_about_proofs_shows_commands_that_work(
    desk: Path, after: Mart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORTON_NOW", LATER.isoformat())
    monkeypatch.chdir(desk)
    shown = [line for block in _blocks("") for line in block.splitlines()]
    assert len(shown) == 4
    names = {"REFERENCE": "M-names-hidden", "ID": after.row("undecided")["discrepancy_id"]}
    for line in shown:
        words = [names.get(word, word) for word in line.split()]
        done = CliRunner().invoke(cli, ["--book", str(desk), *words[1:]])
        assert done.exit_code == 0, f"{line}: {done.output}"
    made = {str(path.relative_to(desk)) for path in desk.rglob("*.*") if path.suffix in (".html", ".json")}
    assert made == {
        "for-the-client/proof_M-names-hidden.html",
        "for-the-client/proof_M-names-hidden.json",
        "row.html",
        "row.json",
    }


def test_the_page_about_proofs_names_what_is_in_the_json(ask: Any) -> None:
    text = (ROOT / "docs/proof.md").read_text("utf-8")
    named = {word for cell in re.findall(r"^\| (`.*?) \|", text, re.M) for word in re.findall(r"`(\w+)`", cell)}
    assert len(named) > 10
    assert named - set(ask("M-as-sent")[0]) == set()


def test_the_page_about_proofs_shows_a_seed_that_is_right(tmp_path: Path) -> None:
    (text,) = _blocks("csv")
    book = Book(tmp_path)
    (tmp_path / "seeds").mkdir()
    (tmp_path / "connections.yaml").write_text("connections: []", "utf-8")
    clients = "".join(f"{name},{name},active,USD,,,\n" for name in ("acme", "fabrikam"))
    seeds = {
        "clients": f"client_id,client_name,status,currency,time_zone,back_bill_days,accounting_customer_id\n{clients}",
        "services": "service_id,service_name,category,unit,list_price,unit_cost,count_vendor,accounting_item_id\nseat,Seat,,user,,,,\n",
    }
    (shown,) = [list(csv.DictReader(text.splitlines()))]
    header = [column.name for column in SEEDS["contracts"]]
    seeds["contracts"] = "\n".join([",".join(header), *(",".join(row.get(c) or "" for c in header) for row in shown)])
    for name in ("company_mappings", "service_mappings"):
        seeds[name] = ",".join(column.name for column in SEEDS[name])
    for name, content in seeds.items():
        (tmp_path / f"seeds/{name}.csv").write_text(content, "utf-8")
    assert check(book) == []
    assert {row["proof_names"] for row in shown} == {"shown", "hidden"}
