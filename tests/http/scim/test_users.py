"""Identity providers create, find, change, deactivate, and remove users."""

from __future__ import annotations

from typing import Any

from tests.http.scim.connecting import USER, connect, failed, shown
from tests.support.accounts import trail
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.people import member, user_of
from tests.support.rows import change_rows, rows

WORK = {"value": "zoe@acme.example", "type": "work", "primary": True}
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


async def test_a_user_lives_from_the_first_post_to_the_second(app: App) -> None:
    okta = await connect(app, groupRoles=[{"group": "Line leads", "roles": ["Operator"]}])
    sent = {
        "name": {"givenName": "Zoe", "familyName": "Fox"},
        "title": "Lead",
        "emails": [WORK],
        "password": "Secret-1",
        "id": {},
        "Meta": {"created": "yesterday"},
        "groups": "none",
    }
    made = shown(await okta.post_user("Zoe", **sent, **{ENTERPRISE: {"department": "Paint"}}), 201)
    number, path = made["id"], f"/Users/{made['id']}"
    assert (made["active"], "password" in made, made[ENTERPRISE]) == (True, False, {"department": "Paint"})
    row = await user_of(app, okta.client, int(number))
    assert (row["email"], row["firstName"], row["lastName"], row["title"]) == (WORK["value"], "Zoe", "Fox", "Lead")
    assert row["roles"] == ["Viewer"]
    assert failed(await okta.post_user("zOE", emails=[{"value": "other@acme.example"}])) == (409, "uniqueness")
    assert failed(await okta.post_user("other", emails=[WORK])) == (409, "uniqueness")
    assert failed(await okta.post_user("no-address")) == (400, "invalidValue")
    replaced: dict[str, Any] = {
        "schemas": [USER],
        "userName": "zoe",
        "emails": [{**WORK, "value": "fox@acme.example"}],
        "title": "",
        "id": 7,
        "meta": [],
        "groups": [1],
    }
    assert shown(await okta.send("PUT", path, replaced))["active"] is True
    row = await user_of(app, okta.client, int(number))
    assert (row["email"], row["firstName"], row["title"]) == ("fox@acme.example", "", "")
    assert (await okta.send("DELETE", path)).status == 204
    for method in ("GET", "PUT", "DELETE"):
        assert failed(await okta.send(method, path, replaced if method == "PUT" else None)) == (404, None)
    assert (await okta.found("Users", 'userName eq "zoe"'))["totalResults"] == 0
    row = await user_of(app, okta.client, int(number))
    assert (row["deactivatedAt"] is None, row["roles"]) == (False, [])
    assert await okta.user("zoe2", emails=[{"value": "fox@acme.example"}]) == number
    row = await user_of(app, okta.client, int(number))
    assert (row["deactivatedAt"], row["roles"]) == (None, ["Viewer"])
    names = [one.event for one in await trail(app, okta.client) if one.actor == f"scim:{okta.id}"]
    wanted = "user_created user_changed email_changed user_deactivated user_roles_changed scim_user_removed"
    assert names == [*wanted.split(), "user_restored", "user_roles_changed"]


async def test_off_ends_everything_and_only_its_own_off_is_undone(app: App) -> None:
    okta = await connect(app, adoptUsers=True)
    address = f"someone@{okta.client}.example"
    number = await okta.user(address)
    path = f"/Users/{number}"
    [(hashed,)] = await rows(app, "users", "password_hash", id=okta.admin.id)
    await change_rows(app, "users", {"id": int(number)}, password_hash=hashed, password_changed_at=1)
    token = (await app.sign_in(address, client=okta.client)).data["token"]
    for value in ("False", False):
        assert (await okta.patch(path, {"op": "Replace", "path": "active", "value": value})).status == 204
        assert (await app.me(token)).status == 401
        assert (await app.sign_in(address, client=okta.client)).refusal == "ACCOUNT_DISABLED"
        assert (await okta.patch(path, {"op": "replace", "value": {"active": "True"}})).status == 204
        assert (await app.me(token)).status == 401
        token = (await app.sign_in(address, client=okta.client)).data["token"]
    assert (await okta.patch(path, {"op": "remove", "path": "active"})).status == 204
    assert (await app.me(token)).status == 200
    dismissed = await member(app, okta.client)
    root = f"/api/admin/clients/{okta.client}/users/{dismissed.id}"
    assert (await app.send("POST", f"{root}/deactivate", token=await app.admin_token())).status == 200
    assert failed(await okta.post_user("gone", emails=[{"value": dismissed.email}])) == (403, None)
    number = await okta.user("gone", emails=[{"value": dismissed.email}], active=False)
    assert failed(await okta.patch(f"/Users/{number}", {"op": "add", "value": {"active": True}})) == (403, None)
    refused = [one for one in await trail(app, okta.client) if one.event == "scim_refused"]
    assert [one.actor for one in refused] == [f"scim:{okta.id}"]


#: Settings of the connection, the role of the account with the address, and the result of a POST.
ADOPTIONS: dict[str, tuple[dict[str, Any], str, tuple[int, str | None]]] = {
    "not allowed": ({"adoptUsers": False}, "Viewer", (409, "uniqueness")),
    "an Admin": ({"adoptUsers": True}, "Admin", (403, None)),
    "allowed": ({"adoptUsers": True}, "Author", (201, None)),
    "an Admin, allowed": ({"adoptUsers": True, "mayManageAdmins": True}, "Admin", (201, None)),
}


@matrix("case", ADOPTIONS)
async def test_an_account_is_adopted_only_with_both_rights_and_loses_its_credentials(app: App, case: str) -> None:
    settings, role, wanted = ADOPTIONS[case]
    okta = await connect(app, **settings)
    person = await member(app, okta.client, role)
    sent, root = [{"value": person.email.upper()}], f"/api/admin/clients/{okta.client}/users/{okta.admin.id}"
    if role == "Admin":  # the only active one would lose the credentials
        assert (await app.send("POST", f"{root}/deactivate", token=await app.admin_token())).status == 200
        assert failed(await okta.post_user("someone", emails=sent)) == (403, None)
        assert (await app.me(person.token)).status == 200
        assert (await app.send("POST", f"{root}/restore", token=await app.admin_token())).status == 200
    reply = await okta.post_user("someone", emails=sent)
    if wanted[0] != 201:
        assert failed(reply) == wanted
        assert (await app.me(person.token)).status == 200
        return
    number = shown(reply, 201)["id"]
    assert number == str(person.id)
    assert (await app.me(person.token)).status == 401
    assert (await app.sign_in(person.email, PASSWORD, okta.client)).refusal == "INVALID_CREDENTIALS"
    assert await okta.roles(number) == {role, "Viewer"}
    adopted = next(one for one in await trail(app, okta.client) if one.event == "scim_user_adopted")
    assert (adopted.actor, adopted.subject) == (f"scim:{okta.id}", f"user:{number}")
    other = await connect(app, "entra", okta.client, **settings)
    assert failed(await other.post_user("again", emails=[{"value": person.email}])) == (409, "uniqueness")
    assert failed(await other.send("GET", f"/Users/{number}")) == (404, None)


async def test_admins_are_out_of_reach_and_the_last_one_stays(app: App) -> None:
    okta = await connect(app, mayManageAdmins=True, groupRoles=[{"group": "Bosses", "roles": ["Admin"]}])
    number = await okta.user("boss@acme.example")
    group = await okta.group("Bosses", number)
    assert await okta.roles(number) == {"Admin", "Viewer"}
    root = f"/api/admin/clients/{okta.client}/users/{okta.admin.id}"
    assert (await app.send("POST", f"{root}/deactivate", token=await app.admin_token())).status == 200
    off = {"op": "replace", "path": "active", "value": False}
    for reply in (
        await okta.patch(f"/Users/{number}", off),
        await okta.send("DELETE", f"/Users/{number}"),
        await okta.patch(f"/Groups/{group}", {"op": "remove", "path": "members"}),
    ):
        assert failed(reply) == (403, None)
    assert await okta.roles(number) == {"Admin", "Viewer"}
    assert (await app.send("POST", f"{root}/restore", token=await app.admin_token())).status == 200
    assert (await okta.patch(f"/Groups/{group}", {"op": "remove", "path": "members"})).status == 204
    assert await okta.roles(number) == {"Viewer"}
    assert (
        await okta.patch(f"/Groups/{group}", {"op": "add", "value": {"members": [{"value": number}]}})
    ).status == 204
    await change_rows(app, "scim_connections", {"id": okta.id}, may_manage_admins=0)
    assert failed(await okta.patch(f"/Users/{number}", off)) == (403, None)
    assert (await okta.patch(f"/Groups/{group}", {"op": "remove", "path": "members"})).status == 204
    assert await okta.roles(number) == {"Admin", "Viewer"}
    changed = [one for one in await trail(app, okta.client) if one.event == "scim_group_changed"]
    assert {(one.actor, one.subject) for one in changed} == {(f"scim:{okta.id}", f"scim:{okta.id}")}
    assert [(one.members["added"], one.members["removed"]) for one in changed] == [(1, 0), (0, 1), (1, 0), (0, 1)]
