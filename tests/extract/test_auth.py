"""Authentication flows, stepped by hand: no network, no client."""

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import httpx
import pytest

from morton_pipeline.extract import auth
from morton_pipeline.extract.auth import Credentials, Grant
from morton_pipeline.extract.errors import (
    CredentialsRefused,
    ExtractError,
    RateLimited,
    ServerFailed,
    SignedOut,
    UnexpectedAnswer,
    Unreachable,
)

SECRETS = {
    "client_id": "app-1",
    "client_secret": "hush-hush",
    "refresh_token": "seed-token",
    "api_key": "key-1",
    "api_secret": "key-secret",
}


class Store:
    """A token store in memory, with what was done to it."""

    def __init__(self, token: str | None = None, seed: str = "seed-token") -> None:
        self.grant, self.seed, self.saved, self.turns = (
            Grant(token) if token else None,
            seed,
            list[Grant](),
            list[str](),
        )

    def load(self, connection_id: str, seed: str) -> Grant | None:
        return self.grant if seed in ("", self.seed) else None

    def save(self, connection_id: str, grant: Grant, seed: str) -> None:
        self.grant, self.seed = grant, seed or self.seed
        self.saved.append(grant)

    def try_turn(self, connection_id: str) -> Callable[[], None] | None:
        self.turns.append("begun")
        return lambda: self.turns.append("ended")


def credentials(**more: object) -> Credentials:
    known = {
        "connection_id": "c",
        "secrets": SECRETS,
        "base_url": "https://api.example",
        "auth_url": "https://login.example",
    }
    return Credentials(**{**known, **more})  # type: ignore[arg-type]


def form(request: httpx.Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.content.decode()).items()}


def ask() -> httpx.Request:
    return httpx.Request("GET", "https://api.example/list")


def begin(flow: httpx.Auth) -> tuple[Iterator[httpx.Request], httpx.Request]:
    steps = flow.auth_flow(ask())
    return steps, next(steps)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    """The wall clock, to be moved by hand."""
    hands = {"now": datetime(2026, 11, 1, tzinfo=UTC)}
    monkeypatch.setattr(auth, "wall", lambda: hands["now"])
    return hands


def test_basic_sends_both_secrets() -> None:
    _, request = begin(auth.basic("api_key", "api_secret")(credentials()))
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"key-1:key-secret").decode()


def test_a_header_key_is_one_secret_in_one_header() -> None:
    _, request = begin(auth.header_key("Authorization", "api_key", prefix="ApiToken ")(credentials()))
    assert request.headers["Authorization"] == "ApiToken key-1"


def test_client_credentials_ask_the_tenant_s_own_endpoint_and_then_bear_the_token() -> None:
    build = auth.client_credentials("/{tenant}/token", scope=lambda c: f"{c.base_url}/.default", on_auth_host=True)
    mine = credentials(tenant_id="t-1")
    steps, request = begin(build(mine))
    assert str(request.url) == "https://login.example/t-1/token"
    assert form(request) == {
        "grant_type": "client_credentials",
        "client_id": "app-1",
        "client_secret": "hush-hush",
        "scope": "https://api.example/.default",
    }
    sent = steps.send(httpx.Response(200, json={"access_token": "bearer-1", "expires_in": 3600}))
    assert sent.headers["Authorization"] == "Bearer bearer-1"
    assert "bearer-1" in mine.learned
    with pytest.raises(StopIteration):
        steps.send(httpx.Response(200, json=[]))


def test_a_token_is_used_again_until_a_minute_before_it_expires(at: dict[str, datetime]) -> None:
    flow = auth.client_credentials("/token", scope="read")(credentials())
    steps, _ = begin(flow)
    steps.send(httpx.Response(200, json={"access_token": "one", "expires_in": 3600}))
    at["now"] += timedelta(seconds=3539)
    _, request = begin(flow)
    assert request.headers["Authorization"] == "Bearer one"
    at["now"] += timedelta(seconds=1)
    _, request = begin(flow)
    assert request.url.path == "/token"


@pytest.mark.parametrize(
    ("expires_in", "usable"),
    [(3600, 3540), (90, 45), ("1800", 1740), (None, 240), ("soon", 240)],
    ids=["an-hour", "short-lived", "as-text", "absent", "unreadable"],
)
def test_how_long_a_token_is_used(at: dict[str, datetime], expires_in: object, usable: int) -> None:
    flow = auth.client_credentials("/token", scope="read")(credentials())
    steps, _ = begin(flow)
    steps.send(httpx.Response(200, json={"access_token": "one", "expires_in": expires_in}))
    at["now"] += timedelta(seconds=usable - 1)
    assert begin(flow)[1].url.path == "/list"
    at["now"] += timedelta(seconds=1)
    assert begin(flow)[1].url.path == "/token"


@pytest.mark.parametrize(
    ("body", "usable"),
    [
        ({"expires_on": 7200}, 7140),
        ({"expires_on": "90"}, 45),
        ({"expires_on": 7200, "expires_in": 3600}, 3540),
        ({"expires_on": None}, 240),
    ],
    ids=["an-instant", "as-text", "both", "absent"],
)
def test_a_token_may_say_when_it_ends_in_place_of_how_long_it_lasts(
    at: dict[str, datetime], body: dict[str, object], usable: int
) -> None:
    ends = body["expires_on"]
    body = {**body, "expires_on": None if ends is None else type(ends)(int(at["now"].timestamp()) + int(str(ends)))}
    flow = auth.client_credentials_by_basic("/token")(credentials())
    steps, _ = begin(flow)
    steps.send(httpx.Response(200, json={"access_token": "one", **body}))
    at["now"] += timedelta(seconds=usable - 1)
    assert begin(flow)[1].url.path == "/list"
    at["now"] += timedelta(seconds=1)
    assert begin(flow)[1].url.path == "/token"


def test_an_end_that_cannot_be_read_or_is_past_is_no_reason_to_fail(at: dict[str, datetime]) -> None:
    for ends, following in (("soon", "/list"), (0, "/token")):
        flow = auth.client_credentials_by_basic("/token")(credentials())
        steps, _ = begin(flow)
        sent = steps.send(httpx.Response(200, json={"access_token": "one", "expires_on": ends}))
        assert sent.headers["Authorization"] == "Bearer one"
        assert begin(flow)[1].url.path == following


def test_client_credentials_by_basic_keep_the_secret_out_of_the_form() -> None:
    steps, request = begin(auth.client_credentials_by_basic("/api/token")(credentials()))
    assert (request.method, str(request.url)) == ("POST", "https://api.example/api/token")
    assert form(request) == {"grant_type": "client_credentials"}
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"app-1:hush-hush").decode()
    sent = steps.send(httpx.Response(200, json={"access_token": "bearer-1"}))
    assert (str(sent.url), sent.headers["Authorization"]) == ("https://api.example/list", "Bearer bearer-1")


def test_a_client_asks_for_itself_by_an_id_no_path_of_ours_names() -> None:
    secrets = {**SECRETS, "client_id": "app/1 é"}
    flow = auth.client_credentials_by_basic("/token")(credentials(secrets=secrets))
    own = httpx.Request("GET", "https://api.example/clients/{client_id}?lod=full")
    steps = flow.auth_flow(own)
    next(steps)
    sent = steps.send(httpx.Response(200, json={"access_token": "bearer-1"}))
    assert sent.url.raw_path == b"/clients/app%2F1%20%C3%A9?lod=full"


def test_a_refusal_may_be_an_object_with_a_message() -> None:
    steps, _ = begin(auth.client_credentials_by_basic("/token")(credentials()))
    with pytest.raises(CredentialsRefused, match=r"\(401\): Invalid client"):
        steps.send(httpx.Response(401, json={"error": {"code": 401, "message": "Invalid client"}}))


def test_a_401_with_a_kept_token_fetches_a_new_one_once() -> None:
    flow = auth.client_credentials("/token", scope="read")(credentials())
    steps, _ = begin(flow)
    steps.send(httpx.Response(200, json={"access_token": "one", "expires_in": 3600}))
    steps, _ = begin(flow)
    assert steps.send(httpx.Response(401)).url.path == "/token"
    again = steps.send(httpx.Response(200, json={"access_token": "two", "expires_in": 3600}))
    assert (again.url.path, again.headers["Authorization"]) == ("/list", "Bearer two")
    with pytest.raises(StopIteration):
        steps.send(httpx.Response(401))


def test_a_401_with_a_fresh_token_is_final() -> None:
    steps, _ = begin(auth.client_credentials("/token", scope="read")(credentials()))
    steps.send(httpx.Response(200, json={"access_token": "one"}))
    with pytest.raises(StopIteration):
        steps.send(httpx.Response(401))


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            httpx.Response(400, json={"error": "invalid_client", "error_description": "No consent."}),
            CredentialsRefused,
            "No consent",
        ),
        (httpx.Response(401, json={"error": "invalid_grant"}), CredentialsRefused, "invalid_grant"),
        (httpx.Response(403, text="<html>"), CredentialsRefused, "no reason given"),
        (httpx.Response(400, json=["odd"]), CredentialsRefused, "no reason given"),
        (httpx.Response(429), RateLimited, "slow down"),
        (httpx.Response(503), ServerFailed, "503"),
        (httpx.Response(200, text="<html>"), UnexpectedAnswer, "without an access token"),
        (httpx.Response(200, json={"token": "x"}), UnexpectedAnswer, "without an access token"),
        (httpx.Response(200, json=["x"]), UnexpectedAnswer, "without an access token"),
    ],
    ids=["refused", "bare-error", "refused-page", "refused-list", "429", "503", "page", "renamed", "list"],
)
def test_a_token_endpoint_that_gives_no_token(answer: httpx.Response, error: type[Exception], words: str) -> None:
    steps, _ = begin(auth.client_credentials("/token", scope="read")(credentials()))
    with pytest.raises(error, match=words):
        steps.send(answer)


def test_a_token_endpoint_s_retry_after_is_honoured() -> None:
    steps, _ = begin(auth.client_credentials("/token", scope="read")(credentials()))
    with pytest.raises(RateLimited) as caught:
        steps.send(httpx.Response(429, headers={"Retry-After": "7"}))
    assert caught.value.retry_after == 7


def test_a_refresh_token_starts_from_the_secret_and_a_rotated_one_is_saved_before_use() -> None:
    store = Store()
    mine = credentials(tokens=store)
    steps, request = begin(auth.refresh_token("/bearer")(mine))
    assert str(request.url) == "https://login.example/bearer"
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "seed-token"}
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"app-1:hush-hush").decode()
    sent = steps.send(httpx.Response(200, json={"access_token": "bearer-1", "refresh_token": "rotated-1"}))
    assert [(grant.refresh_token, grant.access_token) for grant in store.saved] == [("rotated-1", "bearer-1")]
    assert sent.headers["Authorization"] == "Bearer bearer-1"
    assert {"seed-token", "rotated-1", "bearer-1"} <= mine.learned


def test_the_store_knows_a_newer_refresh_token_than_the_secret() -> None:
    _, request = begin(auth.refresh_token("/bearer")(credentials(tokens=Store("newest"))))
    assert form(request)["refresh_token"] == "newest"


def test_a_new_secret_wins_over_a_chain_that_another_began() -> None:
    store = Store("dead", seed="an-earlier-secret")
    steps, request = begin(auth.refresh_token("/bearer")(credentials(tokens=store)))
    assert form(request)["refresh_token"] == "seed-token"
    steps.send(httpx.Response(200, json={"access_token": "bearer-1", "refresh_token": "rotated-1"}))
    assert store.grant is not None
    assert (store.grant.refresh_token, store.seed) == ("rotated-1", "seed-token")


def test_a_refresh_token_that_does_not_rotate_stays(at: dict[str, datetime]) -> None:
    store = Store("same")
    for answer in ({"access_token": "bearer-1"}, {"access_token": "bearer-2", "refresh_token": "same"}):
        steps, request = begin(auth.refresh_token("/bearer")(credentials(tokens=store)))
        assert form(request)["refresh_token"] == "same"
        steps.send(httpx.Response(200, json=answer))
        at["now"] += timedelta(hours=2)
    assert [grant.refresh_token for grant in store.saved] == ["same", "same"]


def test_a_token_that_could_not_be_saved_is_not_used_and_is_saved_before_anything_is_asked_again() -> None:
    class Full(Store):
        is_full = True

        def save(self, connection_id: str, grant: Grant, seed: str) -> None:
            if self.is_full:
                raise OSError("disk full")
            super().save(connection_id, grant, seed)

    store = Full()
    flow = auth.refresh_token("/bearer")(credentials(tokens=store))
    steps, _ = begin(flow)
    with pytest.raises(OSError, match="disk full"):
        steps.send(httpx.Response(200, json={"access_token": "bearer-1", "refresh_token": "rotated"}))
    with pytest.raises(OSError, match="disk full"):
        begin(flow)
    store.is_full = False
    assert begin(flow)[1].headers["Authorization"] == "Bearer bearer-1"
    assert [grant.refresh_token for grant in store.saved] == ["rotated"]
    assert store.turns == ["begun", "ended"], "the turn outlived the failure, or a second one was taken"


def test_what_could_not_be_saved_does_not_replace_what_another_process_saved_since() -> None:
    class Once(Store):
        is_full = True

        def save(self, connection_id: str, grant: Grant, seed: str) -> None:
            if self.is_full:
                self.is_full = False
                raise OSError("disk full")
            super().save(connection_id, grant, seed)

    store = Once("one")
    flow = auth.refresh_token("/bearer")(credentials(tokens=store))
    steps, _ = begin(flow)
    with pytest.raises(OSError, match="disk full"):
        steps.send(httpx.Response(200, json={"access_token": "mine", "refresh_token": "two"}))
    store.grant = Grant("three", "theirs", auth.wall() + timedelta(hours=1))
    assert begin(flow)[1].headers["Authorization"] == "Bearer theirs"
    assert store.saved == []


def test_a_stored_access_token_is_used_while_it_lasts_by_a_process_that_starts(at: dict[str, datetime]) -> None:
    store = Store()
    steps, _ = begin(auth.refresh_token("/bearer")(credentials(tokens=store)))
    steps.send(httpx.Response(200, json={"access_token": "bearer-1", "refresh_token": "r-1", "expires_in": 300}))
    mine = credentials(tokens=store)
    _, request = begin(auth.refresh_token("/bearer")(mine))
    assert (request.url.path, request.headers["Authorization"]) == ("/list", "Bearer bearer-1")
    assert {"bearer-1", "r-1"} <= mine.learned, "a stored token is not redacted"
    at["now"] += timedelta(seconds=240)
    assert begin(auth.refresh_token("/bearer")(credentials(tokens=store)))[1].url.path == "/bearer"


def test_a_stored_token_the_vendor_refuses_is_renewed_unless_somebody_has_done_so() -> None:
    store = Store()
    store.grant = Grant("r-1", "dead", auth.wall() + timedelta(hours=1))
    steps, _ = begin(auth.refresh_token("/bearer")(credentials(tokens=store)))
    assert steps.send(httpx.Response(401)).url.path == "/bearer"  # type: ignore[attr-defined]
    store.grant = Grant("r-1", "dead", auth.wall() + timedelta(hours=1))
    steps, _ = begin(auth.refresh_token("/bearer")(credentials(tokens=store)))
    store.grant = Grant("r-2", "alive", auth.wall() + timedelta(hours=1))
    sent = steps.send(httpx.Response(401))  # type: ignore[attr-defined]
    assert (sent.url.path, sent.headers["Authorization"]) == ("/list", "Bearer alive")


def test_who_waits_for_a_turn_uses_what_the_other_one_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy(Store):
        looks = 0

        def try_turn(self, connection_id: str) -> Callable[[], None] | None:
            self.looks += 1
            if self.looks < 3:
                return None
            self.grant = Grant("r-2", "theirs", auth.wall() + timedelta(hours=1))
            return super().try_turn(connection_id)

    naps: list[float] = []
    monkeypatch.setattr(auth.time, "sleep", naps.append)
    store = Busy("r-1")
    _, request = begin(auth.refresh_token("/bearer")(credentials(tokens=store)))
    assert request.headers["Authorization"] == "Bearer theirs"
    assert (naps, store.turns, store.saved) == ([auth.LOOK_AGAIN] * 2, ["begun", "ended"], [])


def test_who_waits_too_long_for_a_turn_says_so_and_may_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(Store):
        def try_turn(self, connection_id: str) -> Callable[[], None] | None:
            return None

    monkeypatch.setattr(auth, "LONGEST_TURN", 0.1)
    with pytest.raises(Unreachable, match=r"Another process has been renewing .* stop that process"):
        begin(auth.refresh_token("/bearer")(credentials(tokens=Stuck("r-1"))))


@pytest.mark.parametrize("ends", ["the-transport-breaks", "it-is-refused", "it-is-odd"])
def test_a_turn_ends_however_the_asking_ends(ends: str) -> None:
    store = Store("r-1")
    steps, _ = begin(auth.refresh_token("/bearer")(credentials(tokens=store)))
    if ends == "the-transport-breaks":
        steps.close()  # type: ignore[attr-defined]
    else:
        answer = (
            httpx.Response(400, json={"error": "invalid_client"}) if ends == "it-is-refused" else httpx.Response(200)
        )
        with pytest.raises(ExtractError):
            steps.send(answer)  # type: ignore[attr-defined]
    assert store.turns == ["begun", "ended"]


def test_an_invalid_grant_is_asked_about_once_and_remembered_until_the_seed_changes() -> None:
    store = Store("r-1")
    steps, _ = begin(auth.refresh_token("/bearer")(credentials(tokens=store)))
    refusal = {"error": "invalid_grant", "error_description": "Incorrect or invalid refresh token"}
    with pytest.raises(SignedOut, match="Incorrect or invalid refresh token"):
        steps.send(httpx.Response(400, json=refusal))  # type: ignore[attr-defined]
    for _ in range(2):
        with pytest.raises(SignedOut, match="Incorrect or invalid refresh token"):
            begin(auth.refresh_token("/bearer")(credentials(tokens=store)))
    fresh = credentials(tokens=store, secrets={**SECRETS, "refresh_token": "fresh"})
    assert form(begin(auth.refresh_token("/bearer")(fresh))[1])["refresh_token"] == "fresh"


@pytest.mark.parametrize("answer", [(400, "invalid_client"), (503, ""), (429, "")], ids=str)
def test_another_refusal_says_nothing_of_the_sign_in_and_is_not_remembered(answer: tuple[int, str]) -> None:
    store = Store("r-1")
    steps, _ = begin(auth.refresh_token("/bearer")(credentials(tokens=store)))
    with pytest.raises(ExtractError) as caught:
        steps.send(httpx.Response(answer[0], json={"error": answer[1]}))  # type: ignore[attr-defined]
    assert not isinstance(caught.value, SignedOut)
    assert store.saved == []
    assert begin(auth.refresh_token("/bearer")(credentials(tokens=store)))[1].url.path == "/bearer"


def test_without_a_seed_the_stored_sign_in_counts_and_without_either_nobody_is_asked() -> None:
    unseeded = {"client_id": "app-1", "client_secret": "hush-hush", "refresh_token": ""}
    request = begin(auth.refresh_token("/bearer")(credentials(secrets=unseeded, tokens=Store("r-1"))))[1]
    assert form(request)["refresh_token"] == "r-1"
    for tokens in (Store(), None):
        with pytest.raises(SignedOut, match="Nobody has signed in yet"):
            begin(auth.refresh_token("/bearer")(credentials(secrets=unseeded, tokens=tokens)))


def test_a_client_may_say_who_it_is_in_the_form() -> None:
    flow = auth.refresh_token("/token", client_in_form=True)(credentials())
    request = begin(flow)[1]
    assert "Authorization" not in request.headers
    assert form(request) == {
        "grant_type": "refresh_token",
        "refresh_token": "seed-token",
        "client_id": "app-1",
        "client_secret": "hush-hush",
    }


def test_a_grant_shows_no_token() -> None:
    assert "hush" not in repr(Grant("hush-1", "hush-2"))
