"""If every member of a body or GraphQL input is invalid, the error names every member."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest

from tests.http.requests.test_wrong_members import tokens, wrong
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.routes import ROUTES, Route, filled

__all__ = ["tokens"]
BELL = "a\u0007"
CLIENT = "/api/admin/clients/acme"
WITH_BODY = [route for route in ROUTES if route.members and not route.is_form]  # form fields are texts
GUID = "x" * 36


@matrix("route", WITH_BODY)
async def test_members_of_a_wrong_type_are_all_named(app: App, tokens: dict[str, str | None], route: Route) -> None:
    path = filled(route.path, client="acme", user=app.ids["author@acme.example"])
    body = {name: [[1.5]] for name in route.members}
    said = await wrong(app, route.method, path, body, tokens[route.who])
    assert {re.split(r"[\[.]", name)[0] for name in said} == set(route.members)


class Case(NamedTuple):
    """A body with correct types and invalid values; ``named`` are the rejected members."""

    method: str
    path: str
    body: Any
    named: list[str]
    who: str = "admin"


_SETTINGS = {
    "allowedOrigins": ["acme.example"], "returnAddresses": ["/in"], "contact": BELL,
    "sessions": {"idleSeconds": 1, "maxSeconds": 2, "refreshSeconds": 34_000_000},
    "branding": {"name": BELL, "accent": "red"},
    "secondFactor": {"policy": "roles", "roles": []},
}  # fmt: skip
_WRONG_SETTINGS = [
    "allowedOrigins[0]", "returnAddresses[0]", "sessions.idleSeconds", "secondFactor.roles", "contact",
    "branding.name", "branding.accent", "sessions.maxSeconds", "sessions.refreshSeconds",
]  # fmt: skip
_UNDER = [f"settings.{name}" for name in _WRONG_SETTINGS]
_RULES = {
    "displayName": BELL, "domains": ["acme.example", "Acme Example"], "returnAddresses": ["/in"],
    "groupRoles": [{"group": "a", "roles": ["Viewer"]}] * 2,
}  # fmt: skip
_WRONG_RULES = ["displayName", "domains[1]", "groupRoles", "returnAddresses[0]"]
CASES = {
    "a client": Case("POST", "/api/admin/clients", {"identifier": "A B", "name": " ", "settings": _SETTINGS},
                     ["identifier", "name", *_UNDER]),
    "a change of a client": Case("PATCH", CLIENT, {"name": " ", "settings": _SETTINGS}, ["name", *_UNDER]),
    "one's own settings": Case("PATCH", "/api/client/settings", _SETTINGS, _WRONG_SETTINGS, "client"),
    "a user": Case("POST", f"{CLIENT}/users",
                   {"email": "x@@y", "roles": ["Viewer"], "firstName": BELL, "lastName": BELL, "title": BELL,
                    "password": "short"},
                   ["email", "firstName", "lastName", "title", "password"]),
    "a user with a hash": Case("POST", f"{CLIENT}/users", {"email": "x@@y", "roles": ["Viewer"], "passwordHash": "x"},
                               ["email", "passwordHash"]),
    "a change of a user": Case("PATCH", f"{CLIENT}/users/{{user}}",
                               {"email": "x@@y", "firstName": BELL, "lastName": BELL, "title": BELL},
                               ["email", "firstName", "lastName", "title"]),
    "one's own profile": Case("PATCH", "/api/client/auth/me", {"firstName": BELL, "lastName": BELL, "title": BELL},
                              ["firstName", "lastName", "title"], "client"),
    "an OpenID provider": Case("POST", "/api/client/providers",
                               {"name": "A B", **_RULES, "oidc": {"issuer": "x", "clientId": "a", "scopes": ["a b"]}},
                               ["name", *_WRONG_RULES, "oidc.issuer", "oidc.scopes"], "client"),
    "a SAML provider": Case("POST", "/api/client/providers",
                            {"name": "A B", "saml": {"certificates": ["x", "y"], "metadata": "<"}},
                            ["name", "saml.certificates[0]", "saml.certificates[1]", "saml.metadata"], "client"),
    "an Entra provider": Case("POST", f"{CLIENT}/providers",
                              {"name": "A B", **_RULES, "secondFactor": "ask",
                               "entra": {"directory": GUID, "clientId": GUID, "applications": [GUID],
                                         "scopes": ["a b"]}},
                              ["name", *_WRONG_RULES, "secondFactor", "entra.directory", "entra.clientId",
                               "entra.applications[0]", "entra.scopes"]),
    "a Dynamics provider": Case("POST", f"{CLIENT}/providers",
                                {"name": "new", "displayName": BELL,
                                 "dynamics": {"directory": GUID, "clientId": GUID, "organization": "x"}},
                                ["name", "displayName", "dynamics.directory", "dynamics.clientId"]),
    "a system admin": Case("POST", "/api/admin/admins", {"username": " a", "password": "short"},
                           ["username", "password"]),
    "throttles": Case("POST", "/api/admin/throttles/clear", {"email": "a@b.example", "address": "nowhere"},
                      ["email", "address"]),
    "filters of the audit trail": Case("GET", "/api/client/audit?from=x&to=y&event=z", None, ["from", "to", "event"],
                                       "client"),
}  # fmt: skip


@matrix("case", CASES)
async def test_values_that_are_wrong_are_all_named(app: App, tokens: dict[str, str | None], case: str) -> None:
    method, path, body, named, who = CASES[case]
    path = path.replace("{user}", str(app.ids["author@acme.example"]))
    said = await wrong(app, method, path, body, tokens[who])
    assert set(said) == set(named)


_PERSON = {"email": "x@@y", "firstName": BELL, "lastName": BELL, "title": "t" * 101, "description": BELL}
_STEPS = [{"title": " ", "instructions": BELL}, {"title": "Look"}, {"title": BELL}]
_WRONG_STEPS = ["steps[0].title", "steps[0].instructions", "steps[2].title"]
#: By mutation: its input type, other arguments, the input, and the rejected members.
MUTATIONS: dict[str, tuple[str, str, Any, list[str]]] = {
    "addUser": ("AddUserInput", "", {**_PERSON, "roles": []}, [*_PERSON, "roles"]),
    "inviteUser": ("InviteUserInput", "", {**_PERSON, "roles": ["Boss"]}, [*_PERSON, "roles"]),
    "updateUser": ("UpdateUserInput", "id: 1, ", _PERSON, [*_PERSON]),
    "addTemplate": ("AddTemplateInput", "", {"name": " ", "description": BELL, "steps": _STEPS},
                    ["name", "description", *_WRONG_STEPS]),
    "updateTemplate": ("UpdateTemplateInput", "id: TEMPLATE, ", {"name": " ", "description": BELL},
                       ["name", "description"]),
    "updateTemplateVersion": ("UpdateTemplateVersionInput", "id: VERSION, ", {"revision": 1, "steps": _STEPS},
                              _WRONG_STEPS),
    "addJob": ("AddJobInput", "", {"name": " ", "assetId": BELL, "templateId": "TEMPLATE", "assignedUserIds": "VIEWER"},
               ["name", "assetId", "assignedUserIds"]),
    "updateJob": ("UpdateJobInput", "id: 1, ", {"name": " ", "assetId": BELL}, ["name", "assetId"]),
    "recordData": ("RecordInput", "jobId: 1, stepNumber: 1, ", {"text": " ", "unit": BELL, "choice": BELL},
                   ["text", "unit", "choice", "input"]),
}  # fmt: skip


@pytest.fixture(scope="module")
async def template(app: App, tokens: dict[str, str | None]) -> dict[str, int]:
    query = 'mutation { addTemplate(input: {name: "Pump"}) { id latestVersion { id } } }'
    made = (await app.graphql(query, tokens["client"])).json["data"]["addTemplate"]
    return {"TEMPLATE": made["id"], "VERSION": made["latestVersion"]["id"], "VIEWER": app.ids["viewer@acme.example"]}


@matrix("name", MUTATIONS)
async def test_members_of_an_input_are_all_named(
    app: App, tokens: dict[str, str | None], template: dict[str, int], name: str
) -> None:
    kind, beside, given, named = MUTATIONS[name]
    for word, number in template.items():
        beside = beside.replace(word, str(number))
    given = {key: template.get(value, value) if isinstance(value, str) else value for key, value in given.items()}
    query = f"mutation M($input: {kind}!) {{ {name}({beside}input: $input) {{ __typename }} }}"
    body = {"query": query, "variables": {"input": given}}
    [error] = (await app.post("/api/client/graphql", body, token=tokens["client"])).json["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert {detail["field"] for detail in error["extensions"]["details"]} == set(named)


async def test_members_of_an_input_of_a_wrong_type_are_all_named(app: App, tokens: dict[str, str | None]) -> None:
    given = {"email": 1, "firstName": [], "lastName": {}, "title": True, "description": 2, "roles": 3, "strange": 4}
    query = "mutation M($input: AddUserInput!) { addUser(input: $input) { id } }"
    body = {"query": query, "variables": {"input": given}}
    errors = (await app.post("/api/client/graphql", body, token=tokens["client"])).json["errors"]
    told = " ".join(error["message"] for error in errors)
    assert [name for name in given if name not in told] == []


async def test_members_of_a_request_of_graphql_are_all_named(app: App, tokens: dict[str, str | None]) -> None:
    body = {"query": 1, "operationName": 2, "variables": 3, "extensions": 4}
    [error] = (await app.post("/api/client/graphql", body, token=tokens["client"])).json["errors"]
    assert [detail["field"] for detail in error["extensions"]["details"]] == list(body)


async def test_arguments_of_a_list_are_all_named(app: App, tokens: dict[str, str | None]) -> None:
    query = '{ users(first: 0, filter: {search: "%s"}) { id } }' % ("x" * 201)
    [error] = (await app.graphql(query, tokens["client"])).json["errors"]
    assert {detail["field"] for detail in error["extensions"]["details"]} == {"first", "search"}
