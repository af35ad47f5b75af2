"""connections.yaml: what is understood, and what each mistake is told."""

from datetime import date
from pathlib import Path

import pytest

from morton_pipeline.book import Book, Tenant, open_book
from morton_pipeline.errors import BadInput

GOOD = """\
connections:
  - id: ninja-west
    vendor: ninjaone
    base_url: https://eu.ninjarmm.com/
    secrets: {client_id: NINJA_ID, client_secret: NINJA_SECRET}
    schedule: "15 * * * *"
    requests_per_minute: 30
  - vendor: microsoft365
    secrets: {client_id: M365_ID, client_secret: M365_SECRET}
    tenants:
      - {id: 0F1E, name: Contoso}
  - id: books
    vendor: quickbooks_online
    realm_id: 4620816365
    secrets: {client_id: QBO_ID, client_secret: QBO_SECRET, refresh_token: QBO_TOKEN}
accounting: books
limits: {invoices_per_run: 5, amount_per_run: 123.45}
"""


def book_file(folder: Path, text: str) -> Path:
    (folder / "connections.yaml").write_text(text, "utf-8")
    return folder


def book(folder: Path, text: str) -> Book:
    return open_book(book_file(folder, text))


def read_all(folder: Path) -> None:
    opened = open_book(folder)
    _ = (opened.connections, opened.accounting, opened.limits)


def test_a_book_reads_as_written(tmp_path: Path) -> None:
    opened = book(tmp_path, GOOD)
    ninja, m365, books = opened.connections
    assert (ninja.id, ninja.base_url, ninja.auth_url) == (
        "ninja-west",
        "https://eu.ninjarmm.com",
        "https://eu.ninjarmm.com",
    )
    assert (ninja.schedule, ninja.settings["requests_per_minute"]) == ("15 * * * *", 30)
    assert (m365.id, m365.tenants) == ("microsoft365", (Tenant("0f1e", "Contoso"),))
    assert m365.auth_url == "https://login.microsoftonline.com"
    assert books.settings["realm_id"] == 4620816365
    assert opened.accounting == books
    assert (opened.limits.invoices_per_run, str(opened.limits.amount_per_run)) == (5, "123.45")
    assert opened.limits.invoices_per_run == 5
    assert opened.connection("books") == books


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("vendor: ninjaone", "vendor: ninjaon"), ["line 2", "unknown vendor 'ninjaon'", "did you mean 'ninjaone'", "huntress"]),
        (("base_url: https", "base_ulr: https"), ["line 4", "unknown word 'base_ulr'", "did you mean 'base_url'", "schedule"]),
        (("accounting: books", "acounting: books"), ["line 16", "'acounting'", "did you mean 'accounting'", "limits"]),
        (("accounting: books", "accounting: bookz"), ["no connection 'bookz'", "ninja-west"]),
        (("id: books", "id: ninja-west"), ["line 12", "'ninja-west' is used twice"]),
        (("https://eu.ninjarmm.com/", "http://eu.ninjarmm.com"), ["line 2", "must begin with https://"]),
        (("https://eu.ninjarmm.com/", "eu.ninjarmm.com"), ["line 2", "must begin with https://"]),
        (("client_secret: NINJA_SECRET", "secret: NINJA_SECRET"), ["line 2", "ninja-west", "client_id, client_secret", "secret"]),
        (("    realm_id: 4620816365\n", ""), ["line 12", "books (quickbooks_online) needs realm_id"]),
        (('"15 * * * *"', '"every hour"'), ["line 2", "'every hour' is not a cron expression"]),
        (("    tenants:\n      - {id: 0F1E, name: Contoso}\n", ""), ["line 8", "list the tenants"]),
        (("    tenants:\n      - {id: 0F1E, name: Contoso}\n", "    tenants: auto\n"), ["line 8", "needs `partner_tenant:`"]),
        (("    realm_id", "    tenants: [{id: x}]\n    realm_id"), ["line 12", "leave `tenants:` out"]),
        (("invoices_per_run: 5", "invoices_per_rum: 5"), ["'invoices_per_rum'", "did you mean 'invoices_per_run'"]),
        (("amount_per_run: 123.45", "amount_per_run: lots"), ["limits.amount_per_run must be a number", "'lots'"]),
        (("amount_per_run: 123.45", "amount_per_run: .nan"), ["limits.amount_per_run must be at least 0", "nan"]),
        (("amount_per_run: 123.45", "amount_per_run: .inf"), ["limits.amount_per_run must be at least 0", "inf"]),
        (("amount_per_run: 123.45", "amount_per_invoice: -1"), ["limits.amount_per_invoice must be at least 0", "-1"]),
        (("invoices_per_run: 5", "invoices_per_run: -1"), ["limits.invoices_per_run must be at least 0", "-1"]),
        (("invoices_per_run: 5", "invoices_per_run: .inf"), ["limits.invoices_per_run must be a number", "inf"]),
        (("invoices_per_run: 5", "quiet_period_seconds: -1"), ["limits.quiet_period_seconds must be at least 0", "-1"]),
        (("invoices_per_run: 5", "fall_share: 1.1"), ["limits.fall_share must be from 0 to 1", "1.1"]),
        (("invoices_per_run: 5", "fall_share: -0.1"), ["limits.fall_share must be from 0 to 1", "-0.1"]),
        (("invoices_per_run: 5", "jump_factor: 1"), ["limits.jump_factor must be above 1", "found 1"]),
        (("invoices_per_run: 5", "four_eyes_above: -5"), ["limits.four_eyes_above must be at least 0", "-5"]),
        (("    realm_id", "    id: again\n    realm_id"), ["'id' stands there twice"]),
        (("accounting: books", "accounting: [books"), ["this is not YAML", "line 1"]),
        (("connections:\n", "conections:\n"), ["expected a list under `connections:`"]),
        (("requests_per_minute: 30", "requests_per_minute: many"), ["line 2", "requests_per_minute", "'many'"]),
        (("name: Contoso}", "name: Contoso}\n      - {id: 0f1e}"), ["line 8", "0f1e", "twice"]),
        (("requests_per_minute: 30", "secret_expires_on: spring"), ["line 2", "secret_expires_on must be a day", "'spring'"]),
    ],
    ids=["vendor", "key", "top-key", "accounting", "duplicate-id", "http", "no-scheme", "secrets", "setting", "cron",
         "no-tenants", "auto-alone", "tenants-elsewhere", "limit", "limit-value", "limit-nan", "limit-inf", "limit-negative",
         "whole-negative", "whole-inf", "quiet-negative", "share-high", "share-low", "factor-low", "eyes-negative", "duplicate-key", "yaml", "no-connections",
         "number", "duplicate-tenant", "expiry"],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_what_would_fit(
    tmp_path: Path, change: tuple[str, str], words: list[str]
) -> None:
    assert change[0] in GOOD
    with pytest.raises(BadInput) as caught:
        read_all(book_file(tmp_path, GOOD.replace(*change)))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_plain_http_is_for_this_machine_only(tmp_path: Path, host: str) -> None:
    opened = book(tmp_path, GOOD.replace("https://eu.ninjarmm.com/", f"http://{host}:8080"))
    assert opened.connections[0].base_url == f"http://{host}:8080"


def test_a_folder_that_is_no_book_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"not a book: it has no connections.yaml.*`morton init DIR` .*README.md.*morton demo"
    ):
        open_book(tmp_path)


def test_missing_secrets_name_every_variable_and_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NINJA_ID", raising=False)
    monkeypatch.delenv("NINJA_SECRET", raising=False)
    with pytest.raises(BadInput, match=r"ninja-west \(ninjaone\) needs NINJA_ID and NINJA_SECRET: set them"):
        book(tmp_path, GOOD).connections[0].secret_values()


def test_a_dot_env_beside_the_book_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NINJA_ID", "from-outside")
    monkeypatch.setenv("NINJA_SECRET", "")
    monkeypatch.delenv("NINJA_SECRET")
    (tmp_path / ".env").write_text('# ours\nNINJA_ID=inside\nNINJA_SECRET="quoted"\n', "utf-8")
    values = book(tmp_path, GOOD).connections[0].secret_values()
    monkeypatch.setenv("NINJA_SECRET", "")
    assert values == {"client_id": "from-outside", "client_secret": "quoted"}


def test_the_book_s_own_seeds_come_before_the_project_s(tmp_path: Path) -> None:
    opened = book(tmp_path, GOOD)
    assert opened.seeds.parts[-2:] == ("dbt_project", "seeds")
    (tmp_path / "seeds").mkdir()
    assert opened.seeds == tmp_path / "seeds"


def test_the_ledger_is_sqlite_in_the_book_unless_a_url_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = book(tmp_path, GOOD)
    assert opened.ledger_url == f"sqlite:///{tmp_path / 'data' / 'ledger.sqlite'}"
    monkeypatch.setenv("MORTON_LEDGER_URL", "postgresql://db/ledger")
    assert opened.ledger_url == "postgresql://db/ledger"


GOOGLE = """\
connections:
  - id: google
    vendor: google_workspace
    secrets: {service_account: GOOGLE_KEY}
    products: [Google-Vault]
    domains:
      - {id: C0AbCdEf1, name: Contoso, admin: admin@contoso.example}
      - {id: C0aBcDeF2, name: Fabrikam, admin: admin@fabrikam.example}
"""


def test_the_customers_of_a_vendor_may_have_a_word_of_their_own_and_an_administrator(tmp_path: Path) -> None:
    (google,) = book(tmp_path, GOOGLE).connections
    assert google.tenants == (
        Tenant("C0AbCdEf1", "Contoso", "admin@contoso.example"),
        Tenant("C0aBcDeF2", "Fabrikam", "admin@fabrikam.example"),
    )
    assert (google.base_url, google.auth_url) == ("https://licensing.googleapis.com", "https://oauth2.googleapis.com")
    assert google.settings == {"products": ["Google-Vault"], "admin_url": "https://admin.googleapis.com"}


def test_a_further_host_of_a_vendor_may_be_replaced(tmp_path: Path) -> None:
    text = GOOGLE.replace("    products", "    admin_url: http://127.0.0.1:8080/google/\n    products")
    assert book(tmp_path, text).connections[0].settings["admin_url"] == "http://127.0.0.1:8080/google"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((", admin: admin@fabrikam.example", ""), ["line 8", "C0aBcDeF2 needs `admin:`", "Google Workspace is read"]),
        (("id: C0AbCdEf1, ", ""), ["line 2", "list the domains as `- {id: …, name: …, admin: …}`."]),
        (("domains:", "tenants:"), ["line 2", "google_workspace lists its tenants under `domains:`"]),
        (
            ("domains:", "domain:"),
            ["line 6", "unknown word 'domain'", "did you mean 'domains'", "admin_url", "products"],
        ),
        (("id: C0aBcDeF2", "id: c0abcdef1"), ["line 2", "the tenant C0AbCdEf1 is listed twice"]),
        (("    products", "    admin_url: http://admin.example\n    products"), ["line 2", "must begin with https://"]),
        (("{service_account: GOOGLE_KEY}", "{key: GOOGLE_KEY}"), ["line 2", "needs secrets service_account"]),
    ],
    ids=["no admin", "no id", "tenants", "word", "twice", "open host", "secret"],
)
def test_a_mistake_about_customers_is_told_with_its_place_and_what_is_missing(
    tmp_path: Path, change: tuple[str, str], words: list[str]
) -> None:
    assert change[0] in GOOGLE
    with pytest.raises(BadInput) as caught:
        read_all(book_file(tmp_path, GOOGLE.replace(*change)))
    for word in words:
        assert word in str(caught.value)


def test_domains_cannot_be_listed_by_themselves(tmp_path: Path) -> None:
    text = GOOGLE[: GOOGLE.index("    domains:")] + "    domains: auto\n"
    with pytest.raises(BadInput, match=r"line 2: list the domains as `- \{id: …, name: …, admin: …\}`\.$"):
        read_all(book_file(tmp_path, text))


@pytest.mark.parametrize(
    ("today", "said"),
    [("2026-11-01", ""), ("2026-11-16", "expires on 2026-12-16"), ("2026-12-15", "expires on"), ("2026-12-16", "expired on 2026-12-16")],
)  # fmt: skip
def test_case_83_a_secret_that_expires_is_told_thirty_days_before(tmp_path: Path, today: str, said: str) -> None:
    opened = book(tmp_path, GOOD.replace("requests_per_minute: 30", "secret_expires_on: 2026-12-16"))
    told = opened.connections[0].expiry(date.fromisoformat(today))
    assert (said in told) if said else told == ""
    assert opened.connections[1].expiry(date.fromisoformat(today)) == ""
