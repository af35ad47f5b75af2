"""The Microsoft stand-in: sign-in per tenant, next links, batches, and errors in Graph's shape."""

from typing import Any

import pytest

from morton_pipeline.simulator.app import Simulation, simulate
from morton_pipeline.simulator.names import SKUS
from tests.simulator.conftest import NOW, Ask, caller, graph_form

SELECT = "id,displayName,userPrincipalName,mail,accountEnabled,userType,department,assignedLicenses,createdDateTime"


@pytest.mark.parametrize(
    ("change", "status", "error", "code"),
    [
        ({"client_id": "other"}, 400, "unauthorized_client", "AADSTS700016"),
        ({"client_secret": "wrong"}, 401, "invalid_client", "AADSTS7000215"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", "AADSTS70003"),
        ({"scope": "https://example.com/.default"}, 400, "invalid_scope", "AADSTS70011"),
    ],
    ids=["unknown app", "wrong secret", "wrong grant", "wrong scope"],
)
def test_a_bad_sign_in_is_refused(
    ask: Ask, tenant_id: str, change: dict[str, str], status: int, error: str, code: str
) -> None:
    response = ask("POST", f"/login/{tenant_id}/oauth2/v2.0/token", data=graph_form(**change))
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert response.json()["error_description"].startswith(code)


def test_an_unknown_tenant_is_refused(ask: Ask) -> None:
    response = ask("POST", "/login/00000000-0000-4000-8000-000000000000/oauth2/v2.0/token", data=graph_form())
    assert (response.status_code, response.json()["error_codes"]) == (400, [90002])


def test_a_tenant_without_consent_fails_alone(simulation: Simulation, ask: Ask, tenant_id: str) -> None:
    simulation.directory.without_consent.add(tenant_id)
    refused = ask("POST", f"/login/{tenant_id}/oauth2/v2.0/token", data=graph_form())
    other = next(t.first.id for t in simulation.world.tenants if t.first.id != tenant_id)
    assert refused.json()["error"] == "unauthorized_client"
    assert ask("POST", f"/login/{other}/oauth2/v2.0/token", data=graph_form()).status_code == 200


def test_a_call_without_a_token_is_refused_in_graphs_words(ask: Ask) -> None:
    response = ask("GET", "/graph/v1.0/users")
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "InvalidAuthenticationToken"
    assert response.json()["error"]["innerError"]["request-id"] == response.headers["request-id"]


def test_a_token_ends(simulation: Simulation, tenant_id: str) -> None:
    brief = caller(simulate(simulation.world, now=NOW, token_seconds=-1))
    token = brief("POST", f"/login/{tenant_id}/oauth2/v2.0/token", data=graph_form()).json()["access_token"]
    assert brief("GET", "/graph/v1.0/subscribedSkus", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def walk(ask: Ask, headers: dict[str, str], **params: Any) -> list[list[dict[str, Any]]]:
    response = ask("GET", "/graph/v1.0/users", params={"$select": SELECT, "$top": 999, **params}, headers=headers)
    pages = [response.json()["value"]]
    while link := response.json().get("@odata.nextLink"):
        response = ask("GET", link, headers=headers)
        pages.append(response.json()["value"])
    return pages


def test_users_come_in_pages_linked_verbatim(
    simulation: Simulation, ask: Ask, graph: dict[str, str], tenant_id: str
) -> None:
    pages = walk(ask, graph)
    state = simulation.world.tenant_at(tenant_id, NOW)
    assert state is not None
    assert [len(page) for page in pages][:-1] == [25] * (len(pages) - 1)
    assert len(pages) > 1
    assert [u["id"] for page in pages for u in page] == [u.id for u in state.users]


def test_only_what_is_selected_is_sent(ask: Ask, graph: dict[str, str]) -> None:
    assert set(walk(ask, graph)[0][0]) == set(SELECT.split(","))
    default = ask("GET", "/graph/v1.0/users", headers=graph).json()["value"][0]
    assert "assignedLicenses" not in default


def test_a_licence_held_twice_is_listed_once_and_ids_come_in_both_cases(ask: Ask, graph: dict[str, str]) -> None:
    users = [u for page in walk(ask, graph, **{"$select": SELECT + ",licenseAssignmentStates"}) for u in page]
    doubled = [u for u in users if len(u["licenseAssignmentStates"]) > len(u["assignedLicenses"])]
    assert doubled
    ids = {held["skuId"] for u in users for held in u["assignedLicenses"]}
    assert any(i.isupper() or i != i.lower() for i in ids)
    assert {i.lower() for i in ids} <= set(SKUS.values())


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"$top": "1000"}, 400),
        ({"$top": "0"}, 400),
        ({"$filter": "accountEnabled eq true"}, 400),
        ({"$select": "id,shoeSize"}, 400),
        ({"$select": "id,mailboxSettings"}, 501),
        ({"$skiptoken": "made-up"}, 400),
    ],
    ids=["top too large", "top zero", "filter", "unknown property", "mailboxes in a list", "made-up token"],
)
def test_what_graph_would_refuse_is_refused(
    ask: Ask, graph: dict[str, str], params: dict[str, str], status: int
) -> None:
    response = ask("GET", "/graph/v1.0/users", params=params, headers=graph)
    assert response.status_code == status
    assert response.json()["error"]["message"]


def test_consumed_units_are_the_accounts_that_hold_the_licence(ask: Ask, graph: dict[str, str]) -> None:
    skus = ask("GET", "/graph/v1.0/subscribedSkus", headers=graph).json()["value"]
    held = [h["skuId"].lower() for page in walk(ask, graph) for u in page for h in u["assignedLicenses"]]
    assert skus
    for sku in skus:
        assert sku["consumedUnits"] == held.count(sku["skuId"])
        assert sku["id"].endswith(f"_{sku['skuId']}")


def test_a_batch_answers_each_question_in_no_particular_order(ask: Ask, graph: dict[str, str]) -> None:
    users = [u for page in walk(ask, graph) for u in page]
    asked = [u["id"] for u in users if u["displayName"] in ("Reception", "Board Room", "Guest Auditor")] + [
        users[0]["id"]
    ]
    url = "/users/{}/mailboxSettings?$select=userPurpose"
    requests = [{"id": str(n), "method": "GET", "url": url.format(user)} for n, user in enumerate(asked)]
    answers = ask("POST", "/graph/v1.0/$batch", json={"requests": requests}, headers=graph).json()["responses"]
    assert sorted(a["id"] for a in answers) == ["0", "1", "2", "3"]
    assert [a["id"] for a in answers] != ["0", "1", "2", "3"]
    assert sorted((a["status"], a["body"].get("userPurpose", "")) for a in answers) == [
        (200, "room"),
        (200, "shared"),
        (200, "user"),
        (404, ""),
    ]


@pytest.mark.parametrize("count", [0, 21])
def test_a_batch_holds_one_to_twenty(ask: Ask, graph: dict[str, str], count: int) -> None:
    requests = [{"id": str(n), "method": "GET", "url": "/users/x/mailboxSettings"} for n in range(count)]
    assert ask("POST", "/graph/v1.0/$batch", json={"requests": requests}, headers=graph).status_code == 400


def test_a_batch_that_is_none_and_a_question_it_does_not_know(ask: Ask, graph: dict[str, str]) -> None:
    assert ask("POST", "/graph/v1.0/$batch", content=b"{", headers=graph).status_code == 400
    one = {
        "requests": [
            {"id": "1", "method": "GET", "url": "/users"},
            {"id": "2", "method": "GET", "url": "/users/x/mailboxSettings"},
        ]
    }
    statuses = {
        a["id"]: a["status"] for a in ask("POST", "/graph/v1.0/$batch", json=one, headers=graph).json()["responses"]
    }
    assert statuses == {"1": 400, "2": 404}


def test_a_partner_lists_its_customers(simulation: Simulation, ask: Ask, graph: dict[str, str], tenant_id: str) -> None:
    url: str | None = "/graph/v1.0/tenantRelationships/delegatedAdminCustomers?$top=300"
    found: list[str] = []
    while url:
        body = ask("GET", url, headers=graph).json()
        found += [row["tenantId"] for row in body["value"]]
        url = body.get("@odata.nextLink")
    assert set(found) == {t.id for t in simulation.world.at(NOW).tenants} - {tenant_id}


def test_single_mailbox_subscriptions_and_unknown_addresses(ask: Ask, graph: dict[str, str]) -> None:
    user = walk(ask, graph)[0][0]["id"]
    assert ask("GET", f"/graph/v1.0/users/{user}/mailboxSettings", headers=graph).json()["userPurpose"] == "user"
    assert ask("GET", "/graph/v1.0/directory/subscriptions", headers=graph).json()["value"]
    missing = ask("GET", "/graph/v1.0/planets", headers=graph)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "Request_ResourceNotFound")
