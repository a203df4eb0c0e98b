"""SCIM connections and their tokens are created, changed, and deleted by users with the necessary roles and rank."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.accounts import new_client, trail
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.machines import SCANNER, machine, unknown_key
from tests.support.matrix import matrix
from tests.support.oauth_callers import GRANT, TOKEN, basic, form
from tests.support.people import Member, member
from tests.support.rows import rows
from tests.support.rules import rule
from tests.support.single_sign_on import add_provider

pytestmark = pytest.mark.one_store

OWN = "/api/client/scim"
NEW: dict[str, Any] = {"name": "okta"}
LINE = {"group": "Line leads", "roles": ["Operator"]}
ADMINS = {"externalId": "g-1", "roles": ["Admin"]}
_OIDC = {"issuer": "http://127.0.0.1:9/op", "clientId": "c", "clientSecret": "s"}


async def _client(app: App) -> tuple[str, Member]:
    client = await new_client(app)
    return client, await member(app, client, "Admin")


async def test_a_connection_has_what_was_asked_for_and_shows_its_token_once(app: App) -> None:
    client, admin = await _client(app)
    made = check_success(await app.post(OWN, NEW, token=admin.token), 201)
    token = made.pop("token")
    assert re.fullmatch(SCANNER, token)
    assert made.pop("tokens")[0]["hint"] == token[-4:]
    base = made.pop("baseUrl")
    assert base.endswith(f"/scim/v2/{client}")
    assert made == {
        "id": made["id"], "name": "okta", "provider": None, "groupRoles": [], "defaultRoles": ["Viewer"],
        "adoptUsers": False, "mayManageAdmins": False, "serviceAccount": None, "createdBy": f"user:{admin.id}",
        "createdAt": made["createdAt"], "lastCallAt": None, "failures": 0, "lastFailureAt": None, "lastFailure": "",
    }  # fmt: skip
    await add_provider(app, client, name="company", oidc=_OIDC)
    full = {
        "provider": "company", "groupRoles": [LINE, ADMINS], "defaultRoles": ["Author"], "adoptUsers": True,
        "mayManageAdmins": True, "serviceAccount": (await machine(app, client)).id,
    }  # fmt: skip
    changed = check_success(await app.send("PATCH", f"{OWN}/okta", full, token=admin.token))
    assert {name: changed[name] for name in full} == full
    less: dict[str, Any] = {"provider": None, "groupRoles": [], "serviceAccount": None}
    changed = check_success(await app.send("PATCH", f"{OWN}/okta", less, token=admin.token))
    assert {name: changed[name] for name in full} == {**full, **less}
    twin = await app.get(f"/api/admin/clients/{client}/scim", token=await app.admin_token())
    assert twin.data["items"] == [changed]
    check_success(await app.send("DELETE", f"{OWN}/okta", token=admin.token))
    assert await rows(app, "scim_tokens", "id", connection_id=made["id"]) == []
    check_refusal(await app.get(f"{OWN}/okta", token=admin.token), 404, "NOT_FOUND")


@rule("SCIM-TOKEN")
async def test_limits_of_connections_and_tokens(app: App) -> None:
    _, admin = await _client(app)
    for number in range(5):
        check_success(await app.post(OWN, {"name": f"idp-{number}"}, token=admin.token), 201)
    check_refusal(await app.post(OWN, NEW, token=admin.token), 409, "CONFLICT")
    check_success(await app.send("DELETE", f"{OWN}/idp-4", token=admin.token))
    check_refusal(await app.post(OWN, {"name": "idp-0"}, token=admin.token), 409, "CONFLICT")
    tokens = f"{OWN}/idp-0/tokens"
    for days in (29, 731):
        check_refusal(await app.post(tokens, {"expiresInDays": days}, token=admin.token), 400, "VALIDATION_ERROR")
    second = check_success(await app.post(tokens, {"expiresInDays": 30}, token=admin.token), 201)
    check_refusal(await app.post(tokens, {}, token=admin.token), 409, "CONFLICT")
    check_refusal(await app.send("DELETE", f"{OWN}/idp-1/tokens/{second['id']}", token=admin.token), 404, "NOT_FOUND")
    check_success(await app.send("DELETE", f"{tokens}/{second['id']}", token=admin.token))
    check_refusal(await app.send("DELETE", f"{tokens}/{second['id']}", token=admin.token), 404, "NOT_FOUND")
    check_success(await app.post(tokens, {}, token=admin.token), 201)


@matrix(
    ("members", "field"),
    [
        ({"name": "Okta"}, "name"),
        ({"groupRoles": [{"roles": ["Viewer"]}]}, "groupRoles[0]"),
        ({"groupRoles": [{**LINE, "externalId": "x"}]}, "groupRoles[0]"),
        ({"groupRoles": [{"group": "", "roles": ["Viewer"]}]}, "groupRoles[0].group"),
        ({"groupRoles": [{"group": "x", "roles": []}]}, "groupRoles[0].roles"),
        ({"groupRoles": [ADMINS]}, "groupRoles"),
        ({"defaultRoles": []}, "defaultRoles"),
        ({"defaultRoles": ["Admin"]}, "defaultRoles"),
        ({"defaultRoles": ["Admin"], "mayManageAdmins": True}, "defaultRoles"),
        ({"provider": "unknown"}, "provider"),
        ({"serviceAccount": 1}, "serviceAccount"),
        ({"token": "x"}, "token"),
    ],
)
async def test_what_is_wrong_is_rejected_by_name(app: App, members: dict[str, Any], field: str) -> None:
    _, admin = await _client(app)
    error = check_refusal(await app.post(OWN, {**NEW, **members}, token=admin.token), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == [field]
    assert (await app.get(OWN, token=admin.token)).data["items"] == []


@rule("SCIM-RANK")
async def test_only_an_admins_save_lets_a_connection_manage_admins(app: App) -> None:
    client, admin = await _client(app)
    lesser = await member(app, client, "User Admin")
    may = {"mayManageAdmins": True}
    check_refusal(await app.post(OWN, {**NEW, **may}, token=lesser.token), 403, "FORBIDDEN")
    owner = await machine(app, client)
    check_success(await app.post(OWN, {**NEW, **may, "serviceAccount": owner.id}, token=admin.token), 201)
    one, secrets = f"{OWN}/okta", f"/api/client/service-accounts/{owner.id}"
    for method, path, body in (
        ("PATCH", one, may), ("POST", f"{one}/tokens", {}), ("DELETE", one, None),
        ("POST", f"{secrets}/secrets", {}), ("PATCH", secrets, {"jwks": None}),
        ("POST", f"{secrets}/keys/{owner.key.id}/rotate", {}),
    ):  # fmt: skip
        check_refusal(await app.send(method, path, body, token=lesser.token), 403, "FORBIDDEN")
    check_success(await app.send("PATCH", one, {"groupRoles": [ADMINS]}, token=admin.token))
    check_refusal(await app.send("PATCH", one, {}, token=lesser.token), 400, "VALIDATION_ERROR")
    saved = check_success(await app.send("PATCH", one, {"groupRoles": [LINE]}, token=lesser.token))
    assert (saved["mayManageAdmins"], saved["groupRoles"]) == (False, [LINE])
    check_success(await app.post(f"{one}/tokens", {}, token=lesser.token), 201)
    check_success(await app.post(f"{secrets}/secrets", {}, token=lesser.token), 201)


async def test_a_service_account_owns_one_connection_and_gets_the_scope(app: App) -> None:
    client, admin = await _client(app)
    it = await machine(app, client)
    secret = await app.post(f"/api/client/service-accounts/{it.id}/secrets", {}, token=admin.token)

    async def ask() -> Any:
        own = basic(f"svc_{it.id}", secret.data["secret"])
        return await form(app, TOKEN, {**GRANT, "scope": "scim"}, own)

    refused = await ask()
    assert (refused.status, refused.json["error"]) == (400, "invalid_scope")
    made = check_success(await app.post(OWN, {**NEW, "serviceAccount": it.id}, token=admin.token), 201)
    second = {"name": "entra", "serviceAccount": it.id}
    check_refusal(await app.post(OWN, second, token=admin.token), 409, "CONFLICT")
    given = await ask()
    assert (given.status, given.json["scope"]) == (200, "scim")
    me = await app.me(given.json["access_token"])
    assert (me.data["service"]["id"], me.data["permissions"]) == (it.id, [])
    users, sent = f"/scim/v2/{client}/Users", {"userName": f"ada@{client}.example"}
    scim = {"token": given.json["access_token"], "headers": {"Content-Type": "application/scim+json"}}
    assert (await app.send("POST", users, sent, **scim)).status == 201
    [created] = [event for event in await trail(app, client) if event.event == "user_created"][-1:]
    assert created.actor == f"scim:{made['id']}"
    everything = await form(app, TOKEN, GRANT, basic(f"svc_{it.id}", secret.data["secret"]))
    assert (await app.send("GET", users, token=everything.json["access_token"])).status == 401
    check_success(await app.send("DELETE", f"{OWN}/okta", token=admin.token))
    assert (await app.send("GET", users, **scim)).status == 401


@matrix("token", ["key", "scim"])
async def test_a_machine_manages_no_connections(app: App, token: str) -> None:
    client, admin = await _client(app)
    it = await machine(app, client, "User Admin")
    made = check_success(await app.post(OWN, NEW, token=admin.token), 201)
    shown = it.key.text if token == "key" else made["token"]
    for method, path in (("GET", OWN), ("POST", OWN), ("POST", f"{OWN}/okta/tokens")):
        reply = await app.send(method, path, {"name": "xx"} if path == OWN and method == "POST" else None, token=shown)
        assert reply.status == (403 if token == "key" else 401)
    check_refusal(await app.get(OWN, token=unknown_key("scim")), 401, "INVALID_TOKEN")
