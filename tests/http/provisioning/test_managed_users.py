"""Only its connection changes the profile and state of a managed user, until an Admin releases the user."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import new_client
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import Member, member
from tests.support.rows import add_row, rows
from tests.support.rules import rule
from tests.support.user_management import DEACTIVATE, UPDATE

pytestmark = pytest.mark.settings(MANIFEST_SMTP_URL="smtp://127.0.0.1:9", MANIFEST_MAIL_FROM="a@b.example")
OWN = "/api/client/scim"
CONFLICT = (409, "CONFLICT")


async def _managed(app: App) -> tuple[str, Member, Member]:
    """A client, its Admin, and a user whom its connection manages."""
    client = await new_client(app)
    admin, user = await member(app, client, "Admin"), await member(app, client, "Operator")
    made = check_success(await app.post(OWN, {"name": "okta"}, token=admin.token), 201)
    [(tenant,)] = await rows(app, "users", "tenant_id", id=user.id)
    now = app.clock.now_ms()
    await add_row(
        app, "scim_users", tenant_id=tenant, user_id=user.id, connection_id=made["id"], user_name=user.email,
        user_name_key=user.email, attributes="{}", created_at=now, changed_at=now,
    )  # fmt: skip
    return client, admin, user


#: By plane or interface: method, path, and body of a change that only the connection makes; `{user}` is the user's ID.
REST = "/api/admin/clients/{client}/users/{user}"
CHANGES: list[tuple[str, str, str, Any]] = [
    *(("admin", "PATCH", REST, {name: "New"}) for name in ("title", "firstName", "lastName")),
    ("admin", "PATCH", REST, {"email": "new@acme.example"}),
    ("admin", "POST", f"{REST}/deactivate", None),
    ("user admin", "POST", "/api/client/graphql", {"query": UPDATE, "variables": {"input": {"title": "New"}}}),
    ("user admin", "POST", "/api/client/graphql", {"query": DEACTIVATE, "variables": {}}),
    ("own", "PATCH", "/api/client/auth/me", {"title": "New"}),
    ("own", "POST", "/api/client/auth/email", {"newEmail": "new@acme.example", "currentPassword": PASSWORD}),
]


@rule("SCIM-MANAGED")
async def test_only_the_connection_changes_profile_and_state(app: App) -> None:
    client, admin, user = await _managed(app)
    who = {"admin": await app.admin_token(), "user admin": admin.token, "own": user.token}

    async def ask(by: str, method: str, path: str, body: Any) -> Reply:
        if path.endswith("graphql"):
            body = {**body, "variables": {"id": user.id, **body["variables"]}}
        return await app.send(method, path.format(client=client, user=user.id), body, token=who[by])

    for change in CHANGES:
        reply = await ask(*change)
        if "graphql" in change[2]:
            [error] = reply.json["errors"]
            assert error["extensions"]["code"] == "CONFLICT", change
            assert "okta" in error["message"]
        else:
            assert "okta" in check_refusal(reply, *CONFLICT)["message"], change
    plane = REST.format(client=client, user=user.id)
    for method, path, body in (
        ("PUT", f"{plane}/roles", {"roles": ["Author"]}),
        ("PATCH", plane, {"firstName": (await app.me(user.token)).data["user"]["firstName"]}),
    ):  # fmt: skip
        check_success(await app.send(method, path, body, token=who["admin"]))
    check_success(await app.send("PATCH", "/api/client/auth/me", {"language": "de"}, token=user.token))
    check_success(await app.send("DELETE", f"{plane}/sessions", token=who["admin"]))


@matrix("ended", ["released", "deleted"])
async def test_the_management_ends(app: App, ended: str) -> None:
    client, admin, user = await _managed(app)
    plane, one = REST.format(client=client, user=user.id), f"{OWN}/okta/users/{user.id}"
    root = await app.admin_token()
    if ended == "released":
        lesser = await member(app, client, "User Admin")
        check_refusal(await app.send("DELETE", one, token=lesser.token), 403, "FORBIDDEN")
        check_refusal(await app.send("DELETE", f"{OWN}/okta/users/{admin.id}", token=admin.token), 404, "NOT_FOUND")
        check_success(await app.send("DELETE", one, token=admin.token))
        check_refusal(await app.send("DELETE", one, token=admin.token), 404, "NOT_FOUND")
    else:
        check_success(await app.send("DELETE", f"{OWN}/okta", token=admin.token))
    assert check_success(await app.send("PATCH", plane, {"title": "New"}, token=root))["title"] == "New"
    assert check_success(await app.post(f"{plane}/deactivate", token=root))["roles"] == ["Operator"]
