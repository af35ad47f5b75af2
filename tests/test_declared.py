"""What a connection declares itself: what is understood, what each mistake is told, and the names tools go by."""

from pathlib import Path
from typing import Any

import pytest

from morton_pipeline.book import Book, Connection, open_book
from morton_pipeline.errors import BadInput
from morton_pipeline.seeds import check, mappable_fields
from morton_pipeline.vendors import VENDORS, files, rest, vendor_of

REST = """\
connections:
  - id: vault
    vendor: rest
    tool: VaultDesk
    title: Vault Desk
    category: security
    base_url: https://api.vaultdesk.example/
    auth:
      kind: header_key
      header: X-Api-Key
      secret: api_key
    secrets: {api_key: VAULT_KEY}
    rate: {requests: 60, seconds: 30}
    records:
      path: /v1/seats
      params: {include: user, deep: 2}
      records: data.items
      pages:
        kind: by_page_number
        param: page
        first: 1
        size: [per_page, 100]
        last_page: meta.pages
      total: meta.total
      unit: licence
      columns:
        record_id: id
        company_id: org.id
        sku: plan
        state: status
        attributes: {mail: user.mail}
      rules:
        - field: state
          pattern: cancelled
          name: cancelled
          reason: A cancelled seat is not billed.
        - {field: attributes, pattern: "*test*", name: test, reason: A test seat is not billed.}
    companies:
      path: /v1/orgs
      columns: {company_id: id, company_name: name}
"""
FILES = """\
connections:
  - id: shield
    vendor: files
    folder: inbox/shield
    pattern: "*.csv"
    sheet: Usage
    encoding: cp1252
    delimiter: ";"
    decimal: ","
    date: "%d.%m.%Y"
    header_row: 3
    as_of:
      pattern: 'usage_(\\d{8})'
    max_age_days: 40
    quiet_seconds: 0
    company: {id: one, name: The one}
    columns:
      record_id: [Domain, Plan]
      quantity: Mailboxes
    rules:
      - {field: record_id, pattern: "test*", name: test, reason: A test is not billed.}
"""


def book(folder: Path, text: str) -> Book:
    (folder / "connections.yaml").write_text(text, "utf-8")
    return open_book(folder)


def told(folder: Path, text: str) -> str:
    with pytest.raises(BadInput) as caught:
        _ = book(folder, text).connections
    return str(caught.value)


def test_an_api_reads_as_declared(tmp_path: Path) -> None:
    (connection,) = book(tmp_path, REST).connections
    vendor = vendor_of(connection)
    assert (connection.tool, vendor.name, vendor.title, vendor.category) == (
        "vaultdesk",
        "rest",
        "Vault Desk",
        "security",
    )
    assert (vendor.base_url, vendor.secrets) == ("https://api.vaultdesk.example", ("api_key",))
    assert vendor.rate is not None
    assert (vendor.rate.requests, vendor.rate.seconds) == (60, 30)
    records, companies = vendor.endpoints
    assert (records.path, records.params, records.total) == ("/v1/seats", {"include": "user", "deep": 2}, "meta.total")
    assert [(r.field, r.pattern, r.name) for r in records.rules] == [
        ("state", "cancelled", "cancelled"),
        ("attributes", "*test*", "test"),
    ]
    assert (companies.path, companies.derive) == ("/v1/orgs", None)


def test_a_folder_reads_as_declared(tmp_path: Path) -> None:
    (connection,) = book(tmp_path, FILES).connections
    vendor = vendor_of(connection)
    folder = vendor.folder
    assert folder is not None
    assert (connection.tool, connection.base_url, vendor.title) == ("shield", "", "shield")
    assert (folder.path, folder.pattern, folder.decimal, folder.date) == ("inbox/shield", "*.csv", ",", "%d.%m.%Y")
    assert (folder.layout.sheet, folder.layout.encoding, folder.layout.delimiter) == ("Usage", "cp1252", ";")
    assert (folder.layout.header_row, folder.quiet_seconds) == (3, 0)
    assert folder.as_of is not None
    assert folder.as_of.pattern == r"usage_(\d{8})"
    assert vendor.max_age is not None
    assert vendor.max_age.days == 40
    assert folder.shape.fixed == {"company_id": "one", "company_name": "The one"}
    assert folder.shape.names["record_id"] == ("Domain", "Plan")


def test_a_page_keeps_its_names_and_records_whatever_is_declared(tmp_path: Path) -> None:
    for text in (REST, FILES):
        (connection,) = book(tmp_path, text).connections
        declared, page = vendor_of(connection), VENDORS[connection.vendor]
        assert declared.name == page.name
        assert [(e.name, e.record) for e in declared.endpoints] == [(e.name, e.record) for e in page.endpoints]
    ninja = Connection("n", "ninjaone", "https://x", "https://x", {})
    assert vendor_of(ninja) is VENDORS["ninjaone"]


REST_MISTAKES: dict[str, tuple[tuple[str, str], list[str]]] = {
    "word": (("    rate:", "    rtae:"), ["line 13", "'rtae'", "did you mean 'rate'"]),
    "no-base-url": (("    base_url: https://api.vaultdesk.example/\n", ""), ["line 2", "vault (rest) needs base_url"]),
    "plain-http": (("https://api", "http://api"), ["line 2", "must begin with https://"]),
    "category": (("category: security", "category: securty"), ["line 6", "`category: securty`", "did you mean 'security'"]),
    "title": (("title: Vault Desk", "title: 7"), ["line 5", "`title:` must be text", "7"]),
    "tool": (("tool: VaultDesk", "tool: Vault Desk"), ["line 4", "`tool:` may hold letters", "'Vault Desk'"]),
    "tool-is-a-vendor": (("tool: VaultDesk", "tool: Huntress"), ["line 4", "'huntress' is a vendor", "another name"]),
    "tool-is-rest": (("  - id: vault\n    vendor: rest\n    tool: VaultDesk\n", "  - vendor: rest\n"), ["'rest' is a vendor"]),
    "auth-missing": (("    auth:\n      kind: header_key\n      header: X-Api-Key\n      secret: api_key\n", ""), ["line 2", "needs auth"]),
    "auth-kind": (("kind: header_key", "kind: header"), ["line 9", "`kind: header` is none of", "client_credentials", "none", "did you mean 'header_key'"]),
    "auth-no-kind": (("      kind: header_key\n", ""), ["line 9", "auth needs `kind:`"]),
    "auth-word": (("header: X-Api-Key", "haeder: X-Api-Key"), ["line 10", "'haeder' in auth of kind header_key", "did you mean 'header'", "prefix"]),
    "auth-lacks": (("      header: X-Api-Key\n", ""), ["line 9", "auth of kind header_key needs `header:`", "secret"]),
    "auth-type": (("header: X-Api-Key", "header: 7"), ["line 10", "`header:` must be text", "7"]),
    "auth-is-text": (("    auth:\n      kind: header_key\n      header: X-Api-Key\n      secret: api_key\n", "    auth: none\n"), ["line 8", "`auth:` must be a block", "'none'"]),
    "secret": (("secret: api_key", "secret: api_kye"), ["line 11", "'api_kye' is not under `secrets:`", "did you mean 'api_key'"]),
    "secrets-missing": (("    secrets: {api_key: VAULT_KEY}\n", ""), ["'api_key' is not under `secrets:`", "There: none"]),
    "rate-word": (("seconds: 30", "second: 30"), ["line 13", "'second' in rate", "did you mean 'seconds'"]),
    "rate-number": (("requests: 60", "requests: many"), ["line 13", "`requests:` must be a whole number of at least 1", "'many'"]),
    "rate-zero": (("seconds: 30", "seconds: 0"), ["line 13", "`seconds:` must be a number of at least 0.001", "0"]),
    "rate-lacks": ((", seconds: 30", ""), ["line 13", "`seconds:` must be a number", "None"]),
    "records-word": (("      path: /v1/seats", "      paht: /v1/seats"), ["line 15", "'paht' in records", "did you mean 'path'"]),
    "path-missing": (("      path: /v1/seats\n", ""), ["line 15", "records needs `path:`"]),
    "path-elsewhere": (("path: /v1/seats", "path: https://evil.example/v1"), ["line 15", "begins with /", "evil"]),
    "path-relative": (("path: /v1/seats", "path: v1/seats"), ["line 15", "begins with /"]),
    "path-braces": (("path: /v1/seats", 'path: "/v1/{tool}"'), ["line 15", "no braces"]),
    "params-type": (("deep: 2", "deep: true"), ["line 16", "'deep' must be text or a whole number", "True"]),
    "params-block": (("params: {include: user, deep: 2}", "params: include"), ["line 16", "`params:` must be a block"]),
    "records-type": (("records: data.items", "records: [data]"), ["line 17", "`records:` must be text"]),
    "page-kind": (("kind: by_page_number", "kind: by_pages"), ["line 19", "`kind: by_pages` is none of", "by_highest_id", "single_page", "did you mean"]),
    "page-word": (("last_page: meta.pages", "lastpage: meta.pages"), ["line 23", "'lastpage' in pages of records of kind by_page_number", "did you mean 'last_page'"]),
    "page-lacks": (("        param: page\n", ""), ["line 19", "pages of records of kind by_page_number needs `param:`", "first"]),
    "page-foreign-word": (("last_page: meta.pages", "where: meta.next"), ["line 23", "'where'", "last_page"]),
    "page-type": (("first: 1", "first: one"), ["line 21", "`first:` must be a whole number", "'one'"]),
    "page-bool": (("first: 1", "first: true"), ["line 21", "`first:` must be a whole number", "True"]),
    "page-pair": (("size: [per_page, 100]", "size: 100"), ["line 22", "`size:` must be [text, a whole number]", "100"]),
    "page-pair-types": (("size: [per_page, 100]", "size: [100, per_page]"), ["line 22", "`size:` must be [text, a whole number]"]),
    "page-null": (("last_page: meta.pages", "last_page:"), ["line 23", "`last_page:` must be text", "None"]),
    "total-type": (("total: meta.total", "total: 5"), ["line 24", "`total:` must be text"]),
    "unit": (("unit: licence", "unit: license"), ["line 25", "`unit: license` is none of", "did you mean 'licence'"]),
    "unit-hour": (("unit: licence", "unit: hour"), ["line 25", "`unit: hour` is none of"]),
    "unit-twice": (("        sku: plan", "        unit: plan"), ["line 25", "`unit:` stands there and among the columns"]),
    "columns-missing": (("      columns:\n        record_id: id\n        company_id: org.id\n        sku: plan\n        state: status\n        attributes: {mail: user.mail}\n", ""), ["`columns:` must be a block", "nothing"]),
    "column-word": (("record_id: id", "recordid: id"), ["line 27", "'recordid' in columns of records", "did you mean 'record_id'", "seen_on"]),
    "column-invented": (("sku: plan", "price: plan"), ["line 29", "'price'", "quantity"]),
    "column-type": (("sku: plan", "sku: 5"), ["line 29", "`sku:` must be the name of a field", "5"]),
    "column-list": (("sku: plan", "sku: [plan, kind]"), ["line 29", "`sku:` must be the name of a field"]),
    "column-empty": (("sku: plan", 'sku: "?"'), ["line 29", "`sku:` must be the name of a field"]),
    "column-empty-list": (("record_id: id", "record_id: []"), ["line 27", "or a list of names", "[]"]),
    "no-record-id": (("        record_id: id\n", ""), ["line 26", "`record_id:` is missing"]),
    "no-company": (("        company_id: org.id\n", ""), ["line 26", "whose a record is", "company: {id"]),
    "company-twice": (("    records:\n      path", "    company: {id: x}\n    records:\n      path"), ["line 29", "`company_id:` cannot stand beside `company:`"]),
    "attributes": (("attributes: {mail: user.mail}", "attributes: mail"), ["line 31", "`attributes:` must be a block"]),
    "attribute": (("{mail: user.mail}", "{mail: [user.mail]}"), ["line 31", "`mail:` must be the name of a field"]),
    "rules-block": (("      rules:\n        - field: state\n          pattern: cancelled\n          name: cancelled\n          reason: A cancelled seat is not billed.\n        - {field", "      rules:\n        {field"), ["line 32", "`rules:` must be a list"]),
    "rule-text": (('        - {field: attributes, pattern: "*test*", name: test, reason: A test seat is not billed.}', "        - cancelled"), ["rule 2 of records must be a block of field, pattern, name, reason"]),
    "rule-word": (("          pattern: cancelled", "          glob: cancelled"), ["line 34", "'glob' in rule 1 of records"]),
    "rule-lacks": (("          name: cancelled\n", ""), ["line 33", "rule 1 of records needs `name:`"]),
    "rule-field": (("field: state", "field: stat"), ["line 33", "`field: stat` is none of", "did you mean 'state'"]),
    "rule-undeclared": (("field: state", "field: host_name"), ["line 33", "`field: host_name` is none of", "sku"]),
    "rule-yes": (("          pattern: cancelled", "          pattern: yes"), ["line 34", "`pattern:` must be text, quoted"]),
    "rule-empty": (("name: cancelled\n", 'name: " "\n'), ["line 35", "`name:` is empty"]),
    "rule-twice": (('{field: attributes, pattern: "*test*"', "{field: state, pattern: cancelled"), ["line 37", "has a rule already"]),
    "companies-word": (("path: /v1/orgs", "path: /v1/orgs\n      unit: user"), ["line 40", "'unit' in companies"]),
    "companies-columns": (("company_name: name}", "name: name}"), ["line 40", "'name' in columns of companies", "company_name"]),
    "companies-lacks": ((", company_name: name}", "}"), ["line 40", "columns of companies needs `company_name:`"]),
}  # fmt: skip
FILES_MISTAKES: dict[str, tuple[tuple[str, str], list[str]]] = {
    "word": (("    folder:", "    fodler:"), ["line 4", "'fodler'", "did you mean 'folder'"]),
    "no-folder": (("    folder: inbox/shield\n", ""), ["line 2", "shield (files) needs folder"]),
    "folder-blank": (("folder: inbox/shield", 'folder: " "'), ["line 4", "names no folder"]),
    "pattern-folder": (('pattern: "*.csv"', 'pattern: "in/*.csv"'), ["line 5", "names of files in the folder itself"]),
    "sheet": (("sheet: Usage", "sheet: 1"), ["line 6", "`sheet:` must be text, quoted"]),
    "encoding": (("encoding: cp1252", "encoding: ansi-west"), ["line 7", "`encoding: ansi-west` is not known", "cp1252"]),
    "encoding-that-unpacks": (("encoding: cp1252", "encoding: zlib"), ["line 7", "`encoding: zlib` is not known"]),
    "delimiter": (('delimiter: ";"', 'delimiter: ":"'), ["line 8", "`delimiter:` must be one of", "':'"]),
    "decimal": (('decimal: ","', 'decimal: "comma"'), ["line 9", "`decimal: comma` is none of"]),
    "date": (("%d.%m.%Y", "DD.MM.YYYY"), ["line 10", "%d, %m and %Y"]),
    "date-parts": (("%d.%m.%Y", "%d.%m"), ["line 10", "it needs %d, %m and %Y"]),
    "date-directive": (("%d.%m.%Y", "%d.%m.%Y %"), ["line 10", "cannot be used"]),
    "header-row": (("header_row: 3", "header_row: 0"), ["line 11", "`header_row:` must be a whole number of at least 1"]),
    "header-row-true": (("header_row: 3", "header_row: true"), ["line 11", "`header_row:`", "True"]),
    "as-of-word": (("      pattern: 'usage", "      patern: 'usage"), ["line 13", "'patern' in as_of", "did you mean 'pattern'"]),
    "as-of-text": (("    as_of:\n      pattern: 'usage_(\\d{8})'", "    as_of: 'usage_(\\d{8})'"), ["line 12", "`as_of:` must be a block"]),
    "as-of-expression": ((r"usage_(\d{8})", r"usage_(\d{8}"), ["line 13", "not a regular expression"]),
    "as-of-no-group": ((r"usage_(\d{8})", r"usage_\d{8}"), ["line 13", "one pair of brackets"]),
    "as-of-groups": ((r"usage_(\d{8})", r"(usage)_(\d{8})"), ["line 13", "one pair of brackets"]),
    "max-age": (("max_age_days: 40", "max_age_days: 0"), ["line 14", "`max_age_days:` must be a whole number of at least 1"]),
    "quiet": (("quiet_seconds: 0", "quiet_seconds: -1"), ["line 15", "`quiet_seconds:` must be a number of at least 0"]),
    "company-word": (("{id: one, name: The one}", "{id: one, nmae: The one}"), ["line 16", "'nmae' in company"]),
    "company-id": (("{id: one, name: The one}", "{name: The one}"), ["line 16", "company needs `id:`"]),
    "column": (("quantity: Mailboxes", "quantiy: Mailboxes"), ["line 19", "'quantiy'", "did you mean 'quantity'"]),
    "column-blank": (("quantity: Mailboxes", 'quantity: " "'), ["line 19", "`quantity:` must be the name of a field"]),
    "rule-quantity": (("field: record_id", "field: quantity"), ["line 21", "`field: quantity` is none of", "record_id"]),
    "base-url": (("    folder:", "    base_url: https://x.example\n    folder:"), ["line 4", "reads files; `base_url:` says nothing"]),
    "secrets": (("    folder:", "    secrets: {a: B}\n    folder:"), ["line 4", "`secrets:` says nothing"]),
    "tenants": (("    folder:", "    tenants: [{id: x}]\n    folder:"), ["leave `tenants:` out"]),
    "id": (("id: shield", "id: ../shield"), ["line 2", "`id:` may hold letters", "'../shield'"]),
    "id-hidden": (("id: shield", "id: .shield"), ["line 2", "`id:` may hold letters"]),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), REST_MISTAKES.values(), ids=REST_MISTAKES)
def test_a_mistake_about_an_api_is_told_with_its_line(
    tmp_path: Path, change: tuple[str, str], words: list[str]
) -> None:
    assert change[0] in REST, "the case changes nothing"
    said = told(tmp_path, REST.replace(*change, 1))
    assert [word for word in (str(tmp_path), *words) if word not in said] == [], said


@pytest.mark.parametrize(("change", "words"), FILES_MISTAKES.values(), ids=FILES_MISTAKES)
def test_a_mistake_about_a_folder_is_told_with_its_line(
    tmp_path: Path, change: tuple[str, str], words: list[str]
) -> None:
    assert change[0] in FILES, "the case changes nothing"
    said = told(tmp_path, FILES.replace(*change, 1))
    assert [word for word in (str(tmp_path), *words) if word not in said] == [], said


def test_a_company_for_all_records_needs_no_list_of_companies(tmp_path: Path) -> None:
    one = REST.replace("        company_id: org.id\n", "").replace("    rate:", "    company: {id: acme}\n    rate:")
    assert "`companies:` cannot stand beside `company:`" in told(tmp_path, one)
    (connection,) = book(tmp_path, one[: one.index("    companies:")]).connections
    _, companies = vendor_of(connection).endpoints
    assert companies.derive is not None
    assert companies.derive({"records": [{"company_id": "acme", "company_name": "acme"}]}) == [
        {"company_id": "acme", "company_name": "acme"}
    ]


SECOND = FILES.removeprefix("connections:\n")


def test_a_tool_goes_by_its_connections_id_unless_it_is_named(tmp_path: Path) -> None:
    vault, shield = book(tmp_path, REST.replace("    tool: VaultDesk\n", "") + SECOND).connections
    assert (vault.tool, shield.tool) == ("vault", "shield")
    assert Connection("n", "ninjaone", "https://x", "https://x", {}).tool == "ninjaone"


def test_connections_of_one_tool_word_their_rules_alike(tmp_path: Path) -> None:
    pair = FILES + SECOND.replace("id: shield", "id: shield-2\n    tool: shield")
    first, second = book(tmp_path, pair).connections
    assert first.tool == second.tool == "shield"
    said = told(tmp_path, pair.replace("A test is not billed", "Tests are free", 1))
    assert "'test*' has another rule at shield, the same tool" in said
    assert "line 41" in said


SEEDS = {
    "clients": "client_id,client_name,status,currency,time_zone,back_bill_days,accounting_customer_id\nacme,Acme,active,USD,,,\n",
    "contracts": "contract_id,client_id,service_id,quantity,unit_price,billing_model,minimum_quantity,included_quantity,count_basis,count_vendor,tolerance_quantity,effective_from,effective_to,note\n"
    "c1,acme,PWD,3,5,per_unit,,,,{count},,,,\n",
    "services": "service_id,service_name,category,unit,list_price,unit_cost,count_vendor,accounting_item_id\nPWD,Passwords,security,licence,5,,{count},\n",
    "company_mappings": "connection_id,company_id,company_name,client_id,effective_from,effective_to,note\nvault,org-1,Acme,acme,,,\n",
    "service_mappings": "vendor,endpoint,field,pattern,service_id,priority,effective_from,effective_to\n{vendor},{endpoint},{field},Business,PWD,10,,\n",
    "exclusions": "exclusion_id,client_id,service_id,vendor,record_id,name_pattern,max_quantity,reason,owner,effective_from,expires_on\nx1,acme,PWD,{vendor},7,,,Ours,dana,,\n",
}  # fmt: skip


def problems(folder: Path, **words: str) -> list[str]:
    words = {"vendor": "VaultDesk", "endpoint": "records", "field": "sku", "count": "vaultdesk", **words}
    (folder / "seeds").mkdir(exist_ok=True)
    for name, text in SEEDS.items():
        (folder / "seeds" / f"{name}.csv").write_text(text.format(**words), "utf-8")
    return [str(problem) for problem in check(book(folder, REST + SECOND))]


def test_seeds_may_name_a_tool_that_is_declared(tmp_path: Path) -> None:
    assert problems(tmp_path) == []
    for field in mappable_fields("rest", "records"):
        assert problems(tmp_path, field=field) == []


@pytest.mark.parametrize(
    ("words", "file", "said"),
    [
        ({"vendor": "vaultdsk"}, "service_mappings.csv row 2, vendor", "did you mean 'vaultdesk'"),
        ({"vendor": "vaultdsk"}, "exclusions.csv row 2, vendor", "did you mean 'vaultdesk'"),
        ({"count": "vaultdsk"}, "contracts.csv row 2, count_vendor", "did you mean 'vaultdesk'"),
        ({"count": "vaultdsk"}, "services.csv row 2, count_vendor", "did you mean 'vaultdesk'"),
        ({"vendor": "rest"}, "service_mappings.csv row 2, vendor", "each counted by itself; name one of them: vaultdesk"),
        ({"vendor": "files"}, "service_mappings.csv row 2, vendor", "name one of them: shield"),
        ({"endpoint": "seats"}, "service_mappings.csv row 2, endpoint", "'seats' is not an endpoint of vaultdesk"),
        ({"endpoint": "companies"}, "service_mappings.csv row 2, endpoint", "not counted; countable at vaultdesk: records"),
        ({"field": "plan"}, "service_mappings.csv row 2, field", "'plan' is not a column of vaultdesk records"),
        ({"field": "quantity"}, "service_mappings.csv row 2, field", "'quantity' is not a column of vaultdesk records"),
    ],
    ids=lambda case: "-".join(case.values()) if isinstance(case, dict) else None,
)  # fmt: skip
def test_a_seed_that_names_no_tool_is_told_which_there_are(
    tmp_path: Path, words: dict[str, str], file: str, said: str
) -> None:
    found = problems(tmp_path, **words)
    assert [p for p in found if p.startswith(file) and said in p], found


def test_two_tools_that_count_one_service_are_never_added_up(tmp_path: Path) -> None:
    assert problems(tmp_path, count="") == []
    path = tmp_path / "seeds" / "service_mappings.csv"
    path.write_text(path.read_text("utf-8") + "shield,records,sku,Advanced,PWD,10,,\n", "utf-8")
    found = [str(problem) for problem in check(open_book(tmp_path))]
    assert [p for p in found if "shield and vaultdesk could all count PWD" in p], found


@pytest.mark.parametrize("page", [rest, files], ids=["rest", "files"])
def test_a_declaration_made_in_python_needs_no_lines(page: Any) -> None:
    settings = {"records": {}, "columns": {}, "folder": "x", "pattern": "*", "tool": 7}
    with pytest.raises(BadInput, match="`tool:` must be text"):
        page.declare(Connection("c", page.VENDOR.name, "", "", {}, settings))
