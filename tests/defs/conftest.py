"""A book of three connections whose vendors answer from memory, and what Dagster needs to run on it."""

import json
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import dagster as dg
import httpx
import pytest

with warnings.catch_warnings():
    # dagster-dbt's SQL parser warns, once and while it is imported, that its fast half has a new name.
    warnings.simplefilter("ignore", DeprecationWarning)
    import dagster_dbt  # noqa: F401

from morton_pipeline import refresh
from morton_pipeline.defs.resources import BookResource

CONNECTIONS = """
connections:
  - id: huntress
    vendor: huntress
    secrets: {api_key: TEST_KEY, api_secret: TEST_SECRET}
    backoff_seconds: 0
  - id: m365
    vendor: microsoft365
    secrets: {client_id: TEST_KEY, client_secret: TEST_SECRET}
    backoff_seconds: 0
    tenants: [{id: good, name: Contoso}, {id: lost, name: Fabrikam}]
  - id: rmm-north
    vendor: ninjaone
    secrets: {client_id: TEST_KEY, client_secret: TEST_ABSENT}
    schedule: "*/30 * * * *"
"""

Answers = dict[str, object]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A book's folder, its secrets set but for one."""
    monkeypatch.setenv("TEST_KEY", "key-of-a-test")
    monkeypatch.setenv("TEST_SECRET", "secret-of-a-test")
    root = tmp_path / "book"
    root.mkdir()
    (root / "connections.yaml").write_text(CONNECTIONS, "utf-8")
    return root


@pytest.fixture
def book(folder: Path) -> BookResource:
    """The resource every step is given."""
    return BookResource(path=str(folder))


@pytest.fixture
def answers() -> Answers:
    """What the vendors answer; a test changes it. A number is a status without a body."""
    organization = {"id": 7, "name": "Contoso"}
    agent = {"id": 1, "organization_id": 7, "hostname": "pc-1"}
    units = {"enabled": 2, "warning": 0, "suspended": 0, "lockedOut": 0}
    sku = {"id": "good_1", "skuId": "1", "skuPartNumber": "SPB", "consumedUnits": 1, "prepaidUnits": units,
           "capabilityStatus": "Enabled", "appliesTo": "User"}  # fmt: skip
    user = {"id": "u1", "userPrincipalName": "a@contoso.example", "assignedLicenses": [{"skuId": "1"}]}
    return {
        "/v1/organizations": {"organizations": [organization], "pagination": {}},
        "/v1/organizations/7": {"organization": organization},
        "/v1/agents": {"agents": [agent, {**agent, "id": 2, "hostname": "pc-2"}], "pagination": {}},
        "/v1/incident_reports": {"incident_reports": [], "pagination": {}},
        "/good/oauth2/v2.0/token": {"access_token": "a", "expires_in": 3600},
        "/lost/oauth2/v2.0/token": 401,
        "/v1.0/subscribedSkus": {"value": [sku]},
        "/v1.0/users": {"value": [user]},
        "/v1.0/$batch": {"responses": [{"id": "0", "status": 200, "body": {"userPurpose": "user"}}]},
    }


@pytest.fixture(autouse=True)
def _vendors_answer_from_memory(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        body = answers.get(request.url.path, 404)
        return httpx.Response(body) if isinstance(body, int) else httpx.Response(200, text=json.dumps(body))

    monkeypatch.setattr(refresh, "fetch", partial(refresh.fetch, transport=httpx.MockTransport(answer)))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster that forgets."""
    with dg.DagsterInstance.ephemeral() as found:
        yield found


Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(book: BookResource, instance: dg.DagsterInstance) -> Run:
    """Materialise definitions on the book, and let a failed step fail the run but not the test."""

    def start(*definitions: object, **more: object) -> dg.ExecuteInProcessResult:
        options = {"instance": instance, "resources": {"book": book}, "raise_on_error": False, **more}
        return dg.materialize(list(definitions), **options)

    return start
