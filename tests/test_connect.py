"""Signing in: the right person for the right company, tokens nowhere but in the ledger, and one renewal at a time."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from click.testing import CliRunner

from morton_pipeline import connect as connecting
from morton_pipeline.book import Book, open_book
from morton_pipeline.check import check
from morton_pipeline.cli import cli
from morton_pipeline.clock import wall
from morton_pipeline.connect import Person, SignInFailed, connect
from morton_pipeline.errors import BadInput
from morton_pipeline.extract.auth import LONGEST_TURN, Company, Grant, SignIn, refresh_token
from morton_pipeline.ledger.store import open_ledger
from morton_pipeline.ledger.tokens import LedgerTokens
from morton_pipeline.simulator.app import simulate
from morton_pipeline.simulator.credentials import ACCEPTED
from morton_pipeline.simulator.seeds import write_book
from morton_pipeline.simulator.serve import in_thread
from morton_pipeline.simulator.sign_in import Authority, create_app
from morton_pipeline.simulator.world import START, generate
from morton_pipeline.vendors import VENDORS, quickbooks_online
from tests.conftest import ROOT


def xero_companies(body: Any) -> tuple[list[Company], str]:
    """The organisations among the tenants; an accountant's practice holds no invoices."""
    return [Company(t["tenantId"], t["tenantName"]) for t in body if t["tenantType"] == "ORGANISATION"], ""


XERO = SignIn(
    login_url="https://login.xero.com",
    path="/identity/connect/authorize",
    token_path="/connect/token",
    scopes=("offline_access", "accounting.transactions", "accounting.contacts.read", "accounting.settings.read"),
    read_scopes=(
        "offline_access",
        "accounting.transactions.read",
        "accounting.contacts.read",
        "accounting.settings.read",
    ),
    setting="xero_tenant_id",
    has_pkce=True,
    companies_path="/connections",
    read_companies=xero_companies,
)


def sage_companies(body: Any) -> tuple[list[Company], str]:
    """One page of the businesses; the next one's path comes without the version."""
    following = body.get("$next")
    listed = [Company(b["id"], b.get("displayed_as") or b.get("name") or "") for b in body["$items"]]
    return listed, f"/v3.1{following}" if following else ""


SAGE = SignIn(
    login_url="https://www.sageone.com",
    path="/oauth2/auth/central",
    params={"filter": "apiv3.1"},
    token_path="/token",
    scopes=("full_access",),
    read_scopes=("readonly",),
    setting="business_id",
    client_in_form=True,
    companies_path="/v3.1/businesses",
    read_companies=sage_companies,
)

BOOK = """
connections:
  - id: books
    vendor: {vendor}
    base_url: {url}
    auth_url: {url}
    login_url: {url}
    {setting}: "{company}"
    attempts: 1
    backoff_seconds: 0
    secrets: {{client_id: BOOKS_ID, client_secret: BOOKS_SECRET{more}}}
{accounting}
"""
SECRET = "app-s3cret"
REALM = "9130350000000001"
ALL = {
    "quickbooks_online": Authority(companies={REALM: "Acme MSP"}, tells_company=True),
    "xero": Authority(companies={"org-1": "Acme MSP", "org-2": "Acme Holding"}, needs_pkce=True),
    "sage": Authority(
        companies={"biz-1": "Acme MSP", "biz-2": "Acme Holding", "biz-3": "Acme Labs"},
        takes_secret_in_form=True,
        reuse_revokes=True,
    ),
}
FIRST = {"quickbooks_online": REALM, "xero": "org-1", "sage": "biz-1"}


@dataclass
class Office:
    """A book with one connection, its vendor's stand-in, and somebody with a browser."""

    book: Book
    authority: Authority
    vendor: str
    port: int
    url: str
    pages: list[httpx.Response]
    addresses: list[str]

    def browse(self, address: str) -> None:
        """Open an address as a browser would, in its own time."""
        self.addresses.append(address)
        threading.Thread(target=lambda: self.pages.append(httpx.get(address, follow_redirects=True))).start()

    def connect(self, **changes: Any) -> dict[str, Any]:
        show = changes.pop("show", self.browse)
        person = Person(
            show=show,
            choose=changes.pop("choose", lambda companies: pytest.fail(f"asked for one of {companies}")),
            paste=changes.pop("paste", lambda: pytest.fail("asked for an address")),
        )
        with open_ledger(self.book) as ledger:
            asked = {"port": self.port, "patience": 10, **changes}
            return connect(self.book, ledger, self.book.connection("books"), person, **asked)

    def stored(self, seed: str = "") -> Grant | None:
        with open_ledger(self.book) as ledger:
            return LedgerTokens(ledger).load("books", seed)

    def store(self, grant: Grant, seed: str = "") -> None:
        with open_ledger(self.book) as ledger:
            LedgerTokens(ledger).save("books", grant, seed)

    def morton(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, "-m", "morton_pipeline.cli", "--book", str(self.book.root), *words),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            timeout=120,
        )

    def checked(self) -> list[dict[str, Any]]:
        return check(self.book, list(self.book.connections), at=wall())


Open = Callable[..., Office]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Open an office of a vendor's; the pages of Xero and Sage say here what signing in needs, and no more."""
    monkeypatch.setenv("BOOKS_ID", "app-id")
    monkeypatch.setenv("BOOKS_SECRET", SECRET)
    endpoints = VENDORS["quickbooks_online"].endpoints[:1]
    for name, sign_in in (("xero", XERO), ("sage", SAGE)):
        page = replace(
            VENDORS["quickbooks_online"], name=name, title=name.title(), sign_in=sign_in, settings=(sign_in.setting,),
            optional_settings=("scopes",), endpoints=endpoints,
            auth=refresh_token(sign_in.token_path, client_in_form=sign_in.client_in_form),
        )  # fmt: skip
        monkeypatch.setitem(VENDORS, name, page)  # type: ignore[arg-type]
    open_now = []

    def make(
        vendor: str = "quickbooks_online",
        *,
        company: str = "",
        seeded: bool = False,
        accounting: bool = True,
        **authority: Any,
    ) -> Office:
        port = free_port()
        there = replace(ALL[vendor], client_secret=SECRET, redirects={f"http://localhost:{port}/callback"}, **authority)
        # A dataclass copied shares its counters and lists.
        there.asked, there.scopes, there.issued = type(there.asked)(), [], set()
        there._codes, there._families, there._access = {}, [], {}
        serving = in_thread(create_app(there))
        url = serving.__enter__()
        open_now.append(serving)
        sign_in = VENDORS[vendor].sign_in
        assert sign_in is not None
        (tmp_path / "connections.yaml").write_text(
            BOOK.format(
                vendor=vendor, url=url, setting=sign_in.setting, company=company or FIRST[vendor],
                more=", refresh_token: BOOKS_REFRESH" if seeded else "",
                accounting="accounting: books" if accounting else "",
            ),
            "utf-8",
        )  # fmt: skip
        return Office(open_book(tmp_path), there, vendor, port, url, [], [])

    yield make
    for serving in open_now:
        serving.__exit__(None, None, None)


each_vendor = pytest.mark.parametrize("vendor", list(ALL))


def waited_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@each_vendor
def test_whoever_consents_is_signed_in_and_the_ledger_keeps_what_came_of_it(office: Open, vendor: str) -> None:
    at = office(vendor)
    row = at.connect()
    assert (row["company_id"], row["to_do"]) == (FIRST[vendor], "")
    kept = at.stored()
    assert kept is not None
    assert (kept.refresh_token in at.authority.issued, at.authority.admits(f"Bearer {kept.access_token}")) == (
        True,
        True,
    )
    waited_for(lambda: at.pages)
    assert (at.pages[0].status_code, "Close this window" in at.pages[0].text) == (200, True)
    assert at.authority.asked == {"authorization_code": 1}


@each_vendor
def test_what_the_vendor_s_page_is_asked_with(office: Open, vendor: str) -> None:
    at = office(vendor)
    at.connect()
    asked = {k: v[0] for k, v in parse_qs(urlsplit(at.addresses[0]).query).items()}
    assert (asked["response_type"], asked["client_id"]) == ("code", "app-id")
    assert asked["redirect_uri"] == f"http://localhost:{at.port}/callback"
    assert len(asked["state"]) >= 43
    assert ("code_challenge" in asked) is (vendor == "xero")
    assert asked.get("filter") == ("apiv3.1" if vendor == "sage" else None)


def test_two_sign_ins_share_neither_state_nor_challenge(office: Open) -> None:
    at = office("xero")
    at.connect()
    at.connect()
    first, second = ({k: v[0] for k, v in parse_qs(urlsplit(a).query).items()} for a in at.addresses)
    assert first["state"] != second["state"]
    assert first["code_challenge"] != second["code_challenge"]


def test_no_more_is_asked_for_than_the_connection_needs(office: Open) -> None:
    for vendor, sends, reads in (("xero", XERO.scopes, XERO.read_scopes), ("sage", SAGE.scopes, SAGE.read_scopes)):
        for accounting, expected in ((True, sends), (False, reads)):
            at = office(vendor, accounting=accounting)
            at.connect()
            assert at.authority.scopes == [" ".join(expected)]


def test_the_scopes_may_be_named_in_connections_yaml(office: Open) -> None:
    at = office("xero")
    path = at.book.root / "connections.yaml"
    path.write_text(
        path.read_text("utf-8").replace(
            "attempts: 1", "attempts: 1\n    scopes: [offline_access, accounting.invoices]"
        ),
        "utf-8",
    )
    at.book = open_book(at.book.root)
    at.connect()
    assert at.authority.scopes == ["offline_access accounting.invoices"]


def test_a_connection_that_was_signed_in_to_needs_no_refresh_token_in_the_environment(office: Open) -> None:
    at = office()
    (before,) = at.checked()
    assert (before["state"], "Nobody has signed in yet" in before["what"]) == ("problem", True)
    assert before["to_do"].startswith("Run `morton connect books`")
    assert at.authority.asked == {}
    at.connect()
    assert [row["state"] for row in at.checked()] == ["ok"]
    assert at.authority.asked == {"authorization_code": 1}, "a token was renewed although the first one lasts"


def test_signing_in_replaces_the_token_in_the_environment_and_any_of_its_chain(
    office: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = office(seeded=True)
    seed = at.authority.seed()
    monkeypatch.setenv("BOOKS_REFRESH", seed)
    assert [row["state"] for row in at.checked()] == ["ok"]
    at.authority.revoke()
    at.authority.end_access()
    assert [row["state"] for row in at.checked()] == ["problem"]
    at.connect()
    for left in (seed, ""):
        monkeypatch.setenv("BOOKS_REFRESH", left)
        assert [row["state"] for row in at.checked()] == ["ok"]
    at.authority.end_access()
    # Renewed without the seed, it is still the chain of who has it.
    assert [row["state"] for row in at.checked()] == ["ok"]
    monkeypatch.setenv("BOOKS_REFRESH", seed)
    assert [row["state"] for row in at.checked()] == ["ok"]


def test_a_redirect_of_another_sign_in_is_refused_and_the_right_one_still_counts(office: Open) -> None:
    at = office()
    forged: list[httpx.Response] = []

    def show(address: str) -> None:
        callback = f"http://localhost:{at.port}/callback"
        for query in ("code=stolen&state=guess", "code=stolen", "state=&code=stolen", "error=access_denied"):
            forged.append(httpx.get(f"{callback}?{query}"))
        forged.append(httpx.get(f"http://localhost:{at.port}/favicon.ico"))
        at.browse(address)

    assert at.connect(show=show)["company_id"] == REALM
    assert [page.status_code for page in forged] == [400, 400, 400, 400, 404]
    assert "did not begin here" in forged[0].text
    assert at.authority.asked == {"authorization_code": 1}, "a code that is not ours was traded"


def test_who_does_not_consent_is_told_and_what_was_there_stays(office: Open) -> None:
    at = office(denies=True)
    at.store(Grant("as-it-was"))
    with pytest.raises(SignInFailed, match=r"let nobody in: The user did not allow the access\. Nothing was stored"):
        at.connect()
    assert at.stored() == Grant("as-it-was")
    waited_for(lambda: at.pages)
    assert at.pages[0].status_code == 400


def test_a_code_without_its_verifier_is_worth_nothing(office: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    at = office("xero")
    trade = connecting._Flow.trade

    def with_another(flow: Any, answer: dict[str, str]) -> Grant:
        flow._verifier = "x" * 64
        return trade(flow, answer)

    monkeypatch.setattr(connecting._Flow, "trade", with_another)
    with pytest.raises(SignInFailed, match="issued no token: invalid_grant"):
        at.connect()
    assert at.stored() is None


def test_a_port_that_is_taken_is_told_before_any_page_is_opened(office: Open) -> None:
    at = office()
    with socket.create_server(("127.0.0.1", at.port)), pytest.raises(BadInput, match=r"cannot be used .* --port"):
        at.connect(show=lambda address: pytest.fail("a page was opened"))


def test_a_wrong_client_secret_is_told_in_the_vendor_s_words(office: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    at = office()
    monkeypatch.setenv("BOOKS_SECRET", "another")
    with pytest.raises(SignInFailed, match="issued no token: invalid_client"):
        at.connect()


def test_nobody_coming_back_ends_the_wait(office: Open) -> None:
    with pytest.raises(SignInFailed, match="Nobody came back"):
        office().connect(show=lambda address: None, patience=0.1)


@pytest.mark.parametrize("vendor", ["xero", "sage"])
def test_the_company_connections_yaml_names_is_taken_without_asking(office: Open, vendor: str) -> None:
    last = list(ALL[vendor].companies)[-1]
    row = office(vendor, company=last).connect()
    assert (row["company_id"], row["company_name"], row["to_do"]) == (last, ALL[vendor].companies[last], "")


@pytest.mark.parametrize("vendor", ["xero", "sage"])
def test_of_several_companies_one_is_asked_for_and_what_to_write_is_told(office: Open, vendor: str) -> None:
    seen: list[Company] = []

    def choose(companies: Any) -> Company:
        seen.extend(companies)
        return seen[1]

    at = office(vendor, company="fill in")
    row = at.connect(choose=choose)
    assert [(c.id, c.name) for c in seen] == list(at.authority.companies.items())
    setting = XERO.setting if vendor == "xero" else SAGE.setting
    assert row["to_do"] == f'Write {setting}: "{seen[1].id}" into connections.yaml.'
    assert at.stored() is not None


@pytest.mark.parametrize("word", ["org-2", "Acme Holding", "acme holding"])
def test_a_company_may_be_named_by_id_or_name(office: Open, word: str) -> None:
    assert office("xero", company="fill in").connect(company=word)["company_id"] == "org-2"


@pytest.mark.parametrize(
    ("vendor", "company", "wanted", "said"),
    [
        ("quickbooks_online", "another-realm", "", f'says realm_id: "another-realm", and the sign-in was for {REALM}'),
        ("quickbooks_online", REALM, "another-realm", "no company by the name or id 'another-realm'"),
        (
            "xero",
            "org-9",
            "",
            r'says xero_tenant_id: "org-9", which whoever signed in may not open; they may open org-1',
        ),
        ("xero", "org-1", "org-2", r'says xero_tenant_id: "org-1", and the sign-in was for org-2 \(Acme Holding\)'),
        ("sage", "fill in", "biz-9", r"may open biz-1 \(Acme MSP\); biz-2 \(Acme Holding\); biz-3 \(Acme Labs\)"),
    ],
    ids=["another-company", "not-the-wanted", "not-listed", "wanted-but-not-said", "unknown"],
)
def test_the_wrong_company_is_told_with_what_to_write_and_nothing_is_stored(
    office: Open, vendor: str, company: str, wanted: str, said: str
) -> None:
    at = office(vendor, company=company)
    at.store(Grant("as-it-was"))
    with pytest.raises(SignInFailed, match=said) as caught:
        at.connect(company=wanted)
    assert "Nothing was stored." in str(caught.value)
    assert at.stored() == Grant("as-it-was")


@each_vendor
def test_who_may_open_no_company_is_told(office: Open, vendor: str) -> None:
    with pytest.raises(SignInFailed, match="may open no company"):
        office(vendor, companies={}).connect()


def test_a_page_on_another_host_or_in_a_circle_is_not_followed(office: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for following in ("https://elsewhere.example/v3.1/businesses", "/v3.1/businesses"):
        sign_in = replace(SAGE, read_companies=lambda body, following=following: ([], following))
        at = office("sage")
        monkeypatch.setitem(VENDORS, "sage", replace(VENDORS["sage"], sign_in=sign_in))  # type: ignore[arg-type]
        with pytest.raises(SignInFailed, match="leads nowhere"):
            at.connect()


def test_another_address_is_pasted_where_the_vendor_allows_none_on_this_machine(office: Open) -> None:
    at = office()
    redirect = "https://msp.example/connected"
    at.authority.redirects = {redirect}
    ended: list[str] = []

    def show(address: str) -> None:
        ended.append(httpx.get(address).headers["location"])

    assert at.connect(show=show, paste=lambda: f"  {ended[0]}\n", redirect=redirect)["company_id"] == REALM
    assert ended[0].startswith(f"{redirect}?")
    with pytest.raises(BadInput, match="did not begin here, or is an earlier one"):
        at.connect(show=show, paste=lambda: ended[0], redirect=redirect)


def test_a_vendor_without_a_sign_in_page_says_which_have_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "connections.yaml").write_text(
        "connections:\n  - {id: h, vendor: huntress, secrets: {api_key: HUNTRESS_API_KEY, api_secret: HUNTRESS_API_SECRET}}\n",
        "utf-8",
    )
    ran = CliRunner().invoke(cli, ["--book", str(tmp_path), "connect", "h"])
    assert isinstance(ran.exception, BadInput)
    assert "HUNTRESS_API_KEY and HUNTRESS_API_SECRET" in str(ran.exception)
    assert "quickbooks_online" in str(ran.exception)


def test_a_refresh_token_may_be_left_out_only_where_people_sign_in(tmp_path: Path, office: Open) -> None:
    at = office()
    values = at.book.connection("books").secret_values()
    assert values == {"client_id": "app-id", "client_secret": SECRET, "refresh_token": ""}
    path = tmp_path / "connections.yaml"
    path.write_text(
        path.read_text("utf-8").replace("client_secret: BOOKS_SECRET", "refresh_token: BOOKS_REFRESH"), "utf-8"
    )
    with pytest.raises(BadInput, match="needs secrets client_id, client_secret and may have refresh_token"):
        open_book(tmp_path).connections  # noqa: B018


def test_the_demo_s_stand_in_lets_people_sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ACCEPTED.items():
        monkeypatch.setenv(name, value)
    simulation = simulate(generate(), now=START + timedelta(days=40))
    port = free_port()
    with in_thread(simulation.app) as url:
        book = open_book(write_book(simulation.world, tmp_path / "book", url))
        assert [row["state"] for row in check(book, [book.connection("quickbooks")], at=wall())] == ["ok"]
        with open_ledger(book) as ledger:
            before = LedgerTokens(ledger).load("quickbooks", "")
        monkeypatch.setattr("webbrowser.open", lambda address: httpx.get(address, follow_redirects=True).is_success)
        words = ["--book", str(book.root), "connect", "quickbooks", "--port", str(port), "--format", "json"]
        assert CliRunner().invoke(cli, words).exit_code == 0
        with open_ledger(book) as ledger:
            assert LedgerTokens(ledger).load("quickbooks", "") not in (None, before)
        assert [row["state"] for row in check(book, [book.connection("quickbooks")], at=wall())] == ["ok"]


# The command


def test_the_command_opens_the_browser_and_says_what_to_write(
    office: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    at = office("xero", company="fill in")
    caplog.set_level(logging.DEBUG)

    def open_page(address: str) -> bool:
        at.browse(address)
        return True

    monkeypatch.setattr("webbrowser.open", open_page)
    words = ["--book", str(at.book.root), "connect", "books", "--port", str(at.port)]
    ran = CliRunner().invoke(cli, [*words, "--company", "org-2", "--format", "json"])
    assert ran.exit_code == 0, ran.output
    (row,) = json.loads(ran.stdout)
    assert (row["company_id"], row["to_do"]) == ("org-2", 'Write xero_tenant_id: "org-2" into connections.yaml.')
    assert "open in your browser" in ran.stderr
    unnamed = CliRunner().invoke(cli, words)
    assert unnamed.exit_code == 2
    assert "--company" in unnamed.output
    assert not [
        secret for secret in (*at.authority.issued, SECRET) if secret in ran.output + unnamed.output + caplog.text
    ]


def test_somebody_at_a_terminal_is_asked_which_company(office: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    at = office("sage", company="fill in")
    monkeypatch.setattr("webbrowser.open", lambda address: at.browse(address) or True)
    monkeypatch.setattr("morton_pipeline.cli.setup.is_asked", lambda: True)
    words = ["--book", str(at.book.root), "connect", "books", "--port", str(at.port), "--format", "json"]
    ran = CliRunner().invoke(cli, words, input="2\n")
    assert json.loads(ran.stdout)[0]["company_id"] == "biz-2"
    assert "  1 Acme MSP (biz-1)" in ran.stderr


def test_a_whole_process_prints_the_address_and_leaves_no_secret_anywhere(office: Open, tmp_path: Path) -> None:
    at = office(seeded=True)
    seed = at.authority.seed()
    words = (sys.executable, "-m", "morton_pipeline.cli", "--book", str(tmp_path), "connect", "books", "--no-browser")
    said: list[str] = []
    with subprocess.Popen(
        (*words, "--port", str(at.port)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "BOOKS_REFRESH": seed},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if line.startswith(at.url):
                assert httpx.get(line.strip(), follow_redirects=True).status_code == 200
                break
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert REALM in out
    ran = at.morton("check", BOOKS_REFRESH=seed)
    assert ran.returncode == 0, ran.stdout
    shown = "".join((*said, out, err, ran.stdout, ran.stderr))
    files = {path: path.read_bytes() for path in at.book.data.rglob("*") if path.is_file()}
    assert any(path.name == "ledger.sqlite" for path in files)
    assert len(at.authority.issued) >= 4
    for secret in (*at.authority.issued, SECRET):
        assert secret not in shown
        assert not [path.name for path, content in files.items() if secret.encode() in content]
    folder = at.book.data / "turns"
    assert folder.stat().st_mode & 0o077 == 0


def test_the_command_line_does_not_load_what_signing_in_needs() -> None:
    words = (
        "import sys, morton_pipeline.cli; print([m for m in ('authlib', 'httpx', 'sqlalchemy') if m in sys.modules])"
    )
    ran = subprocess.run((sys.executable, "-c", words), capture_output=True, text=True, cwd=ROOT, check=True)
    assert ran.stdout.strip() == "[]"


# One renewal at a time, and none that is lost


WORKER = """
import sys
from morton_pipeline.accounting.http import Api, Dialect
from morton_pipeline.book import open_book
from morton_pipeline.clock import wall
from morton_pipeline.ledger.store import open_ledger
from morton_pipeline.refresh import read
from morton_pipeline.vendors import VENDORS
book = open_book(sys.argv[1])
connection = book.connection("books")
with open_ledger(book) as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    if sys.argv[2] == "reads":
        found = read(book, ledger, connection, wall(), ["customers"], lambda what: None)
        assert [e.error for e in found] == [""], found
    else:
        vendor = VENDORS["quickbooks_online"]
        dialect = Dialect("QuickBooks", lambda body: "")
        path = f"/v3/company/{connection.settings['realm_id']}"
        api = Api(connection, vendor, ledger, dialect, path=path, timeout=30)
        assert api.ask("query", {"query": "x"}).status == 200
        api.close()
print("done", flush=True)
"""


def race(at: Office, kinds: tuple[str, ...]) -> None:
    """Let processes that are ready ask for a token in the same moment, and all of them end well."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    workers = [
        subprocess.Popen(
            (sys.executable, "-c", WORKER, str(at.book.root), kind), text=True, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for kind in kinds
    ]  # fmt: skip
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in workers:
            out, err = worker.communicate(timeout=60)
            assert (out, worker.returncode) == ("done\n", 0), err
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def test_processes_that_need_a_token_at_once_renew_it_once(office: Open) -> None:
    at = office(reuse_revokes=True, slowness=1.0)
    at.store(Grant(at.authority.seed()))
    race(at, ("reads", "sends", "reads", "sends"))
    assert at.authority.asked == {"refresh_token": 1}
    at.authority.end_access()
    race(at, ("reads", "sends"))
    assert at.authority.asked == {"refresh_token": 2}, "a token the vendor ended was renewed by both"


@pytest.mark.parametrize("reuse_revokes", [False, True], ids=["grace", "reuse-revokes"])
@pytest.mark.parametrize("place", ["before save token", "after save token"])
def test_a_kill_around_saving_costs_a_sign_in_only_where_the_vendor_leaves_no_other_way(
    office: Open, place: str, reuse_revokes: bool
) -> None:
    at = office(reuse_revokes=reuse_revokes)
    at.store(Grant(at.authority.seed()))
    assert at.morton("check", MORTON_FAILPOINT=place).returncode == -signal.SIGKILL
    assert at.authority.asked == {"refresh_token": 1}
    (row,) = at.checked()
    if place == "after save token":
        assert row["state"] == "ok"
        assert at.authority.asked == {"refresh_token": 1}, "what was saved was not used"
    elif not reuse_revokes:
        assert row["state"] == "ok"
    else:
        assert row["to_do"].startswith("Run `morton connect books`")
        at.connect()
        assert [row["state"] for row in at.checked()] == ["ok"]


def test_a_kill_while_the_token_is_asked_for_leaves_the_turn_to_the_next(office: Open) -> None:
    at = office(slowness=90)
    at.store(Grant(at.authority.seed()))
    words = (sys.executable, "-m", "morton_pipeline.cli", "--book", str(at.book.root), "check")
    with subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL) as process:
        waited_for(lambda: at.authority.asked["refresh_token"])
        process.kill()
    at.authority.slowness = 0
    began = time.monotonic()
    assert [row["state"] for row in at.checked()] == ["ok"]
    assert time.monotonic() - began < LONGEST_TURN / 2


def test_an_invalid_grant_asks_once_for_a_person_and_the_vendor_no_more(office: Open) -> None:
    at = office()
    at.connect()
    at.authority.revoke()
    for _ in range(3):
        (row,) = at.checked()
        assert row["state"] == "problem"
        assert row["to_do"] == "Run `morton connect books` to sign in again; then `morton check books`."
    assert at.authority.asked == {"authorization_code": 1, "refresh_token": 1}
    with open_ledger(at.book) as ledger:
        from morton_pipeline.accounting.errors import RunStopped
        from morton_pipeline.accounting.quickbooks_online import open_quickbooks

        adapter = open_quickbooks(at.book.connection("books"), ledger)
        with pytest.raises(RunStopped, match="Run `morton connect books` to sign in again"):
            adapter.check()
        adapter.close()
    assert at.authority.asked["refresh_token"] == 1
    at.connect()
    assert [row["state"] for row in at.checked()] == ["ok"]


def test_a_ledger_of_an_earlier_version_holds_the_bare_token(office: Open) -> None:
    import sqlalchemy as sa

    from morton_pipeline.ledger import tokens

    at = office()
    at.store(Grant("x"))
    seed = at.authority.seed()
    with open_ledger(at.book) as ledger, ledger.transaction() as con:
        sealed = tokens._cipher(at.book.data).encrypt(seed.encode()).decode()
        con.execute(sa.text("update refresh_tokens set token = :token"), {"token": sealed})
    assert [row["state"] for row in at.checked()] == ["ok"]


def test_every_sign_in_page_can_be_replaced_and_is_https() -> None:
    pages = [vendor for vendor in VENDORS.values() if vendor.sign_in]
    assert quickbooks_online.VENDOR in pages
    for vendor in pages:
        assert vendor.sign_in is not None
        assert vendor.sign_in.login_url.startswith("https://")
        assert vendor.sign_in.setting in vendor.settings
        assert "refresh_token" in vendor.secrets
        assert bool(vendor.sign_in.company_param) != bool(vendor.sign_in.companies_path)
