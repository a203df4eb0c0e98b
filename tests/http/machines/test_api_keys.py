"""The access that API keys give as credentials, and the access that they never give."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.accounts import new_client, settle
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.graphql_operations import things
from tests.support.machines import OWN, SCANNER, ask, machine, wrong
from tests.support.matrix import matrix
from tests.support.people import member
from tests.support.routes import ROUTES, filled
from tests.support.rows import rows
from tests.support.rules import rule
from tests.support.team import new_team

pytestmark = pytest.mark.one_store

#: Listed here on purpose, and not read from the code.
CLOSED = re.compile(r"/api/client/(auth/|service-accounts|scim|providers|domains|directories|webhooks)")
DAY = 86_400


async def test_me_says_which_machine_it_is_and_names_no_person(app: App) -> None:
    client = await new_client(app)
    it = await machine(app, client, "Author", "Operator", scopes=["jobs:execute", "templates:read"])
    data = check_success(await app.me(it.key.text))
    assert data["service"] == {"id": it.id, "name": it.name, "roles": ["Author", "Operator"], "clientId": client}
    assert "user" not in data
    assert data["roles"] == ["Author", "Operator"]
    assert data["permissions"] == ["templates:read", "jobs:execute"]
    assert (data["session"]["id"], data["session"]["method"]) == (f"key:{it.key.id}", "key")


async def test_scopes_hold_for_rest_and_graphql(app: App) -> None:
    client = await new_client(app)
    it = await machine(app, client, "User Admin", scopes=["users:read"])
    assert (await app.get("/api/client/users/1/identities", token=it.key.text)).code == "FORBIDDEN"
    refused = check_refusal(await app.get("/api/client/audit", token=it.key.text), 403, "FORBIDDEN")
    assert refused["details"] == [{"field": "permission", "message": "Requires the permission audit:read"}]
    assert (await ask(app, it.key.text, "{ users { id } }")).json["data"] == {"users": []}
    for document in (
        "{ jobs { id } }",
        "mutation { endUserSessions(userId: 1) }",
        'mutation { addUser(input: {email: "a@b.example", roles: ["Viewer"]}) { id } }',
    ):
        errors = (await ask(app, it.key.text, document)).json["errors"]
        assert [error["extensions"]["code"] for error in errors] == ["FORBIDDEN"]


@rule("MACHINE-REVOCATION")
async def test_roles_and_scopes_count_from_the_next_request(app: App) -> None:
    client = await new_client(app)
    it = await machine(app, client, "Viewer")
    token = await app.admin_token()
    for change, permissions in (
        ({"roles": ["Author"]}, ["users:read", "templates:read", "templates:edit", "jobs:read"]),
        ({"scopes": ["templates:edit", "jobs:execute"]}, ["templates:edit"]),
        ({"scopes": None, "roles": ["Viewer"]}, ["users:read", "templates:read", "jobs:read"]),
    ):
        check_success(await app.send("PATCH", it.base, change, token=token))
        assert (await app.me(it.key.text)).data["permissions"] == permissions


async def test_a_machine_works_and_is_recorded_as_the_actor(app: App) -> None:
    team = await new_team(app)
    have = await things(team)
    it = await machine(app, team.client, "Operator", "Publisher")
    add = "mutation($t: Int!) { addJob(input: {templateId: $t}) { id createdBy { id firstName email kind } } }"
    job = (await ask(app, it.key.text, add, t=have.template)).json["data"]["addJob"]
    assert job["createdBy"] == {
        "id": it.id, "firstName": it.name, "email": f"{it.name}@service.invalid", "kind": "SERVICE",
    }  # fmt: skip
    start = "mutation($j: Int!) { startJob(id: $j) { assignedUsers { id } } }"
    started = (await ask(app, it.key.text, start, j=job["id"])).json["data"]["startJob"]
    assert started["assignedUsers"] == [{"id": it.id}]
    viewer = (await team.member("Viewer")).token
    shown = "query($j: Int!) { job(id: $j) { history(first: 1) { by { firstName } } } }"
    reply = await ask(app, viewer, shown, j=job["id"])
    assert reply.json["data"]["job"]["history"] == [{"by": {"firstName": it.name}}]


@rule("MACHINE-RANK")
@matrix(
    "route",
    [r for r in ROUTES if r.who == "client" and CLOSED.match(r.path)],
)
async def test_machines_cannot_create_credentials_regardless_of_roles(app: App, route: Any) -> None:
    it = await machine(app, await new_client(app), "User Admin", "Author", "Approver", "Publisher", "Operator")
    body: dict[str, str] | None = {} if route.method in ("POST", "PATCH", "PUT") else None
    reply = await app.send(route.method, filled(route.path), body, token=it.key.text)
    if (route.method, route.path) == ("GET", "/api/client/auth/me"):
        assert reply.status == 200
    else:
        told = [{"field": "caller", "message": "Service accounts can't call this route"}]
        assert check_refusal(reply, 403, "FORBIDDEN")["details"] == told


@rule("MACHINE-RANK")
async def test_machines_cannot_create_managers(app: App) -> None:
    client = await new_client(app)
    it = await machine(app, client, "User Admin")
    viewer = await member(app, client)
    for document in (
        'mutation { inviteUser(input: {email: "a@b.example", roles: ["User Admin"]}) { user { id } } }',
        'mutation { addUser(input: {email: "a@b.example", roles: ["User Admin"]}) { id } }',
        f'mutation {{ setUserRoles(userId: {viewer.id}, roles: ["User Admin"]) {{ id }} }}',
        f"mutation {{ resetUserPassword(userId: {(await member(app, client, 'User Admin')).id}) {{ user {{ id }} }} }}",
        # without mail, the machine would get the link itself
        'mutation { inviteUser(input: {email: "a@b.example", roles: ["Viewer"]}) { user { id } } }',
    ):
        errors = (await ask(app, it.key.text, document)).json["errors"]
        assert [error["extensions"]["code"] for error in errors] == ["FORBIDDEN"], document
    usual = 'mutation { addUser(input: {email: "a@b.example", roles: ["Viewer"]}) { id } }'
    assert "errors" not in (await ask(app, it.key.text, usual)).json


async def test_keys_do_not_work_in_the_admin_api(app: App) -> None:
    it = await machine(app, await new_client(app))
    check_refusal(await app.get("/api/admin/clients", token=it.key.text), 401, "INVALID_TOKEN")


async def test_a_key_does_not_work_as_cookie_refresh_token_or_code(app: App) -> None:
    it = await machine(app, await new_client(app))
    check_refusal(await app.me(cookie=it.key.text), 401, "INVALID_TOKEN")
    check_refusal(await app.refresh(it.key.text), 401, "INVALID_TOKEN")
    reply = await app.post("/api/client/auth/sign-in", {"email": f"{it.name}@service.invalid", "password": it.key.text})
    check_refusal(reply, 401, "INVALID_CREDENTIALS")


async def test_a_client_secret_does_not_work_as_a_key(app: App) -> None:
    it = await machine(app, await new_client(app))
    made = check_success(await app.post(f"{it.base}/secrets", {}, token=await app.admin_token()), 201)
    assert re.fullmatch(SCANNER, made["secret"])
    assert made["oauthClientId"] == f"svc_{it.id}"
    check_refusal(await app.me(made["secret"]), 401, "INVALID_TOKEN")


async def test_the_client_that_is_named_must_be_its_own(app: App) -> None:
    client = await new_client(app)
    it = await machine(app, client)
    assert (await app.get("/api/client/auth/me", token=it.key.text, headers={"X-Client-ID": client})).status == 200
    other = await app.get("/api/client/auth/me", token=it.key.text, headers={"X-Client-ID": "globex"})
    told = [{"field": "X-Client-ID", "message": "Names a different client than the credential"}]
    assert check_refusal(other, 403, "FORBIDDEN")["details"] == told


@rule("MACHINE-APART")
async def test_a_person_must_not_have_the_domain_of_machines(app: App) -> None:
    client, token = await new_client(app), await app.admin_token()
    users = f"/api/admin/clients/{client}/users"
    for email in ("ada@service.invalid", "ada@SERVICE.invalid"):
        check_refusal(await app.post(users, {"email": email, "roles": ["Viewer"]}, token=token),
                      400, "VALIDATION_ERROR")  # fmt: skip
    person = await member(app, client)
    check_refusal(await app.send("PATCH", f"{users}/{person.id}", {"email": email}, token=token),
                  400, "VALIDATION_ERROR")  # fmt: skip


@rule("MACHINE-APART")
async def test_sign_in_methods_for_people_ignore_machines(app: App) -> None:
    client = await new_client(app)
    it = await machine(app, client)
    email = f"{it.name}@service.invalid"
    check_success(await app.post("/api/client/auth/password/forgot", {"email": email, "client": client}))
    assert await rows(app, "invitations", "id", user_id=it.id) == []
    check_refusal(await app.sign_in(email, client=client), 401, "INVALID_CREDENTIALS")
    check_refusal(await app.sign_in(email), 401, "INVALID_CREDENTIALS")
    for table in ("sessions", "identities", "passkeys", "password_history"):
        assert await rows(app, table, "user_id", user_id=it.id) == []


async def test_users_are_people_unless_machines_are_asked_for(app: App) -> None:
    client = await new_client(app)
    admin = await member(app, client, "Admin")
    it, gone = await machine(app, client), await machine(app, client)
    check_success(await app.send("DELETE", gone.base, token=await app.admin_token()))
    page = "query($f: UserFilter) { usersPage(filter: $f) { total items { id kind firstName isActive } } }"

    async def found(**asked: Any) -> Any:
        return (await ask(app, admin.token, page, f=asked)).json["data"]["usersPage"]

    people = await found()
    assert (people["total"], [(one["id"], one["kind"]) for one in people["items"]]) == (1, [(admin.id, "PERSON")])
    assert await found(kind="PERSON") == people
    machines = await found(kind="SERVICE", isActive=True)
    own = {"id": it.id, "kind": "SERVICE", "firstName": it.name, "isActive": True}
    assert machines == {"total": 1, "items": [own]}
    assert (await found(kind="SERVICE", isActive=False))["items"][0]["id"] == gone.id
    assert (await found(search=it.name))["total"] == 0
    one = (await ask(app, admin.token, f"{{ user(id: {it.id}) {{ id }} }}")).json
    assert one["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_numbers_of_users_do_not_count_machines(app: App) -> None:
    token = await app.admin_token()

    async def counted() -> Any:
        return (await app.get("/api/admin/status", token=token)).data["counts"]

    client = await new_client(app)
    before = await counted()
    await machine(app, client, "Operator")
    after = await counted()
    assert before == after


async def test_an_api_key_guards_itself_where_the_client_asks_for_a_recent_proof(app: App) -> None:
    client = await new_client(app)
    admin = await member(app, client, "Admin")
    it = await machine(app, client)
    await settle(app, client, stepUp="management")
    app.clock.advance(11 * 60)
    one = f"{OWN}/{it.id}"
    for method, path, body in (
        ("POST", OWN, {"name": "other", "roles": ["Viewer"]}),
        ("PATCH", one, {"description": "x"}),
        ("DELETE", one, None),
        ("POST", f"{one}/keys", {}),
        ("POST", f"{one}/keys/{it.key.id}/rotate", {}),
        ("POST", f"{one}/secrets", {}),
    ):
        reply = await app.send(method, path, body, token=admin.token)
        check_refusal(reply, 403, "REAUTHENTICATION_REQUIRED")
    check_success(await app.send("DELETE", f"{one}/keys/{it.key.id}", token=admin.token))
    check_success(await app.post(f"{one}/disable", token=admin.token))
    check_refusal(await app.post(f"{one}/enable", token=admin.token), 403, "REAUTHENTICATION_REQUIRED")


async def test_wrong_checksums_are_wrong_tokens(app: App) -> None:
    it = await machine(app, await new_client(app))
    check_refusal(await app.me(wrong(it.key.text)), 401, "INVALID_TOKEN")
