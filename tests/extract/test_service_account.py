"""A service account's key becomes an assertion that speaks for the tenant's admin; none of the key is ever shown."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from morton_pipeline.clock import wall
from morton_pipeline.extract.auth import Credentials
from morton_pipeline.extract.errors import CredentialsRefused
from morton_pipeline.extract.service_account import GRANT, read_key, service_account
from morton_pipeline.simulator.google_workspace import demo_service_account

SCOPES = ("https://api.example/read", "https://api.example/list")


@pytest.fixture
def key() -> dict[str, str]:
    found: dict[str, str] = json.loads(demo_service_account())
    return found


def credentials(secret: str, **more: Any) -> Credentials:
    return Credentials("c", {"service_account": secret}, "https://api.example", "https://login.example", **more)


def asked(c: Credentials) -> httpx.Request:
    flow = service_account("service_account", token_path="/token", scopes=SCOPES)(c)
    return next(flow.auth_flow(httpx.Request("GET", "https://api.example/list")))


def test_the_assertion_is_signed_and_speaks_for_the_admin(key: dict[str, str]) -> None:
    mine = credentials(json.dumps(key), admin="admin@contoso.example")
    request = asked(mine)
    form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
    assert (str(request.url), form["grant_type"]) == ("https://login.example/token", GRANT)
    public: Any = load_pem_private_key(key["private_key"].encode(), None).public_key()
    claims = jwt.decode(form["assertion"], public, algorithms=["RS256"], audience=key["token_uri"])
    assert (claims["iss"], claims["sub"]) == (key["client_email"], "admin@contoso.example")
    assert claims["scope"] == " ".join(SCOPES)
    assert claims["exp"] - claims["iat"] == timedelta(hours=1).total_seconds()
    assert abs(claims["iat"] - wall().timestamp()) < 60
    assert jwt.get_unverified_header(form["assertion"])["kid"] == key["private_key_id"]
    assert {key["private_key"], form["assertion"]} <= mine.learned


def test_without_an_admin_the_account_speaks_for_itself(key: dict[str, str]) -> None:
    del key["private_key_id"]
    (assertion,) = parse_qs(asked(credentials(json.dumps(key))).content.decode())["assertion"]
    assert "sub" not in jwt.decode(assertion, options={"verify_signature": False})
    assert "kid" not in jwt.get_unverified_header(assertion)


def test_the_key_may_stand_in_a_file(key: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(key), "utf-8")
    assert read_key(str(path)) == key


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/nowhere/key.json", "neither a JSON key nor the path"),
        ("s3cret", "neither a JSON key nor the path"),
        ("\0", "neither a JSON key nor the path"),
        ('{"client_email": "a"', "lacks client_email and private_key and token_uri"),
        ('{"client_email": "a@x", "token_uri": "https://x", "s3cret": 1}', "lacks private_key"),
    ],
    ids=["no file", "no path", "no text", "no JSON", "no key"],
)
def test_what_is_no_key_is_refused_in_words_that_show_none_of_it(text: str, words: str) -> None:
    with pytest.raises(CredentialsRefused, match=words) as caught:
        asked(credentials(text))
    assert "s3cret" not in str(caught.value)


def test_a_private_key_that_cannot_be_read_is_refused(key: dict[str, str]) -> None:
    with pytest.raises(CredentialsRefused, match="private key cannot be read"):
        asked(credentials(json.dumps({**key, "private_key": "s3cret"})))
