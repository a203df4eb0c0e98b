"""Only an Admin can manage or create Admins, nobody can manage themselves, and the last active Admin stays."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.accounts import new_user
from tests.support.application import App
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.people import Member, member, set_roles, user_of
from tests.support.roles import ROLES
from tests.support.rules import rule
from tests.support.team import Team, new_team
from tests.support.user_management import (
    ADD,
    DEACTIVATE,
    END,
    INVITE,
    ON_SOMEBODY,
    RENEW,
    RESET,
    RESTORE,
    SET_ROLES,
    UPDATE,
    accept,
    directory,
    invited,
    reset,
    role_names_of,
    started_reset,
    token_in,
)

pytestmark = pytest.mark.one_store

ADMINS = "Only an Admin can manage an Admin's account"
GRANTS = "Only an Admin can grant or remove the Admin role"


@pytest.fixture(scope="module")
async def shared(app: App) -> Team:
    """A client with users that the tests don't change."""
    team = await new_team(app)
    for role in ROLES:
        await team.member(role)
    return team


@rule("RANK")
@matrix("name", ON_SOMEBODY)
async def test_a_user_admin_cannot_change_an_admins_account(shared: Team, name: str) -> None:
    client_admin, before = await shared.member("Admin"), await directory(shared, (await shared.member("Admin")).id)
    document, arguments = ON_SOMEBODY[name]
    refused = await shared.refused("User Admin", document, id=client_admin.id, **arguments)
    assert (refused.code, refused.message) == ("FORBIDDEN", ADMINS)
    assert await directory(shared, client_admin.id) == before
    assert (await shared.app.me(client_admin.token)).status == 200


@rule("RANK")
async def test_a_user_admin_cannot_change_an_admins_account_over_rest(team: Team) -> None:
    """Covers each path below a user's: at most, reads show the Admin's providers, and nothing changes."""
    boss, bodies = await team.member("Admin"), {"/badges": {"kind": "standard"}, "/reset": {"reason": "Lost phone"}}
    described = (await team.app.get("/openapi.json")).json["paths"]
    found = {}
    for path in (path for path in described if path.startswith("/api/client/users/{")):
        address = path.replace("{user}", str(boss.id), 1).replace("{identity}", "1").replace("{", "x").replace("}", "")
        for method in described[path].keys() & {"get", "post", "put", "patch", "delete"}:
            body = next((body for end, body in bodies.items() if method == "post" and path.endswith(end)), None)
            token = (await team.member("User Admin")).token
            found[f"{method} {path}"] = (await team.app.send(method.upper(), address, body, token=token)).refusal
    assert len(found) >= 12
    assert {what for what, how in found.items() if how != "FORBIDDEN"} == {"get /api/client/users/{user}/identities"}
    assert (await team.app.me(boss.token)).status == 200


@matrix("name", ON_SOMEBODY)
async def test_a_user_admin_cannot_change_a_deactivated_admin(team: Team, name: str) -> None:
    asleep, _ = await new_user(team.app, team.client, roles=["Admin", "Viewer"])
    await team.ask("Admin", DEACTIVATE, id=asleep)
    document, arguments = ON_SOMEBODY[name]
    assert (await team.refused("User Admin", document, id=asleep, **arguments)).message == ADMINS


@rule("RANK")
@matrix("document", [INVITE, ADD])
async def test_a_user_admin_cannot_create_an_admin(shared: Team, document: str) -> None:
    body = {"email": "boss-to-be@engines.example", "roles": ["Viewer", "Admin"]}
    refused = await shared.refused("User Admin", document, input=body)
    assert (refused.code, refused.message) == ("FORBIDDEN", GRANTS)
    assert await shared.ask("Viewer", '{ users(filter: {search: "boss-to-be"}) { id } }') == []


@rule("RANK")
async def test_a_user_admin_cannot_promote_to_admin(shared: Team) -> None:
    viewer = await shared.member("Viewer")
    for roles in (["Admin"], ["Viewer", "Admin"]):
        assert (await shared.refused("User Admin", SET_ROLES, id=viewer.id, roles=roles)).message == GRANTS
    assert role_names_of(await directory(shared, viewer.id)) == ["Viewer"]


async def test_a_user_admin_can_grant_every_other_role(team: Team) -> None:
    user_id, _ = await new_user(team.app, team.client)
    others = [role for role in ROLES if role != "Admin"]
    assert role_names_of(await team.ask("User Admin", SET_ROLES, id=user_id, roles=others)) == others


async def test_an_admin_can_manage_another_admin(team: Team) -> None:
    body = {"email": "second@engines.example", "roles": ["Admin"]}
    second = (await team.ask("Admin", INVITE, input=body))["user"]["id"]
    for document, arguments in (
        (RENEW, {}),
        (UPDATE, {"input": {"title": "Second"}}),
        (END, {}),
        (RESET, {}),
        (DEACTIVATE, {}),
        (RESTORE, {}),
        (SET_ROLES, {"roles": ["Viewer"]}),
        (SET_ROLES, {"roles": ["Viewer", "Admin"]}),
    ):
        await team.ask("Admin", document, id=second, **arguments)
    assert role_names_of(await directory(team, second)) == ["Admin", "Viewer"]


@rule("RANK")
@matrix("role", ["Admin", "User Admin"])
async def test_nobody_can_change_their_own_roles_or_deactivate_or_reset_themselves(shared: Team, role: str) -> None:
    me, before = await shared.member(role), await directory(shared, (await shared.member(role)).id)
    for document, arguments, sentence in (
        (SET_ROLES, {"roles": [role, "Author"]}, "You can't change your own roles"),
        (SET_ROLES, {"roles": [role]}, "You can't change your own roles"),
        (DEACTIVATE, {}, "You can't deactivate yourself"),
        (RESET, {}, "Change your own password with your current password"),
    ):
        refused = await shared.refused(role, document, id=me.id, **arguments)
        assert (refused.code, refused.message) == ("FORBIDDEN", sentence)
    assert await directory(shared, me.id) == before
    assert (await shared.app.me(me.token)).status == 200


async def test_other_roles_cannot_manage_users(shared: Team) -> None:
    viewer = await shared.member("Viewer")
    body = {"email": "nobody@engines.example", "roles": ["Viewer"]}
    documents = [
        *((d, {"id": viewer.id, **a}) for d, a in ON_SOMEBODY.values()),
        *((d, {"input": body}) for d in (INVITE, ADD)),
    ]
    for role in ROLES:
        if role in ("Admin", "User Admin"):
            continue
        for document, arguments in documents:
            refused = await shared.refused(role, document, **arguments)
            assert (refused.code, refused.message) == ("FORBIDDEN", "Insufficient permissions")


async def test_the_permission_is_checked_before_any_lookup(shared: Team) -> None:
    for document, arguments in ON_SOMEBODY.values():
        assert (await shared.refused("Viewer", document, id=2**31 - 1, **arguments)).code == "FORBIDDEN"


@rule("FOREIGN-IS-MISSING")
async def test_another_clients_user_looks_nonexistent(shared: Team, team: Team) -> None:
    foreign = await team.member("Viewer")
    before = await directory(team, foreign.id)
    for document, arguments in ON_SOMEBODY.values():
        for role in ("Admin", "User Admin"):
            refusals = [
                await shared.refused(role, document, id=user_id, **arguments)
                for user_id in (foreign.id, 2**31 - 1, 0, -1)
            ]
            assert {refused.code for refused in refusals} == {"NOT_FOUND"}
            assert len({refused.message for refused in refusals}) == 1
    assert await directory(team, foreign.id) == before
    assert (await team.app.me(foreign.token)).status == 200


async def test_a_system_admin_is_exempt_from_ranks(team: Team) -> None:
    client_admin, admin = await team.member("Admin"), await team.app.admin_token()
    base = f"/api/admin/clients/{team.client}/users"
    assert (await team.app.post(f"{base}/{client_admin.id}/password-reset", token=admin)).status == 201
    made = await team.app.post(base, {"email": "other@engines.example", "roles": ["Admin"]}, token=admin)
    assert made.status == 201
    assert (await team.app.post(f"{base}/{client_admin.id}/deactivate", token=admin)).status == 200


async def test_the_last_active_admin_stays(team: Team) -> None:
    client_admin = await team.member("Admin")
    second = await member(team.app, team.client, "Admin")
    team.members["Second"] = second
    await team.ask("Second", DEACTIVATE, id=client_admin.id)
    await team.ask("Second", RESTORE, id=client_admin.id)
    await team.ask("Second", SET_ROLES, id=client_admin.id, roles=["User Admin"])
    admin, base = await team.app.admin_token(), f"/api/admin/clients/{team.client}/users/{second.id}"
    assert (await team.app.post(f"{base}/deactivate", token=admin)).code == "CONFLICT"
    assert (await team.app.send("PUT", f"{base}/roles", {"roles": ["Viewer"]}, token=admin)).code == "CONFLICT"


@rule("RANK")
@matrix("count", [2, 3])
@matrix("act", ["deactivate", "demote"])
async def test_one_of_two_admins_who_remove_each_other_stays(team: Team, act: str, count: int) -> None:
    """With three Admins, the second request still fails, because its sender is no longer an Admin."""
    client_admins = [await member(team.app, team.client, "Admin") for _ in range(count)]

    async def remove(who: Member, whom: Member) -> Any:
        document, more = (DEACTIVATE, {}) if act == "deactivate" else (SET_ROLES, {"roles": ["Viewer"]})
        body = {"query": document, "variables": {"id": whom.id, **more}}
        return await team.app.post("/api/client/graphql", body, token=who.token)

    await asyncio.gather(remove(client_admins[0], client_admins[1]), remove(client_admins[1], client_admins[0]))
    found = [await user_of(team.app, team.client, client_admin.id) for client_admin in client_admins]
    assert sum("Admin" in user["roles"] and user["deactivatedAt"] is None for user in found) == count - 1


@rule("RANK")
async def test_a_user_admins_link_does_not_open_an_admins_account(team: Team) -> None:
    app = team.app
    rising, invitation = await invited(team, by="User Admin")
    resetting = await started_reset(team, rising, "User Admin")
    colleague, _ = await invited(team, by="User Admin")
    good = await started_reset(team, colleague, "Admin")
    for user in (rising, colleague):
        await set_roles(app, team.client, user, "Admin")
    for reply in (await reset(app, resetting), await accept(app, invitation)):
        check_refusal(reply, 401, "INVALID_TOKEN")
    for token in (resetting, invitation):
        check_refusal(await app.post("/api/client/auth/link", {"token": token}), 401, "INVALID_TOKEN")
    check_refusal(await reset(app, good), 401, "INVALID_TOKEN")  # an Admin's link becomes invalid too
    assert (await reset(app, await started_reset(team, colleague, "Admin"))).status == 200
    await set_roles(app, team.client, rising, "Viewer")  # and stays invalid when its user is no longer an Admin
    for reply in (await reset(app, resetting), await accept(app, invitation)):
        check_refusal(reply, 401, "INVALID_TOKEN")


async def test_no_link_survives_a_promotion(team: Team) -> None:
    app = team.app
    by_admin, invitation = await invited(team, by="Admin")
    by_system_admin, _ = await invited(team, by="User Admin")
    path = f"/api/admin/clients/{team.client}/users/{by_system_admin}/invitation"
    other = (await app.post(path, token=await app.admin_token())).data["token"]
    for user in (by_admin, by_system_admin):
        await set_roles(app, team.client, user, "Admin")
    for token in (invitation, other):
        check_refusal(await accept(app, token), 401, "INVALID_TOKEN")
    anew = (await app.post(path, token=await app.admin_token())).data["token"]
    assert (await accept(app, anew)).status == 200  # a link created afterward works


async def test_a_link_to_an_admins_account_works_while_its_creator_is_an_admin(team: Team) -> None:
    app = team.app
    client_admin = await member(app, team.client, "Admin")
    user_id, _ = await new_user(app, team.client, roles=["Admin"])
    body = {"query": RESET, "variables": {"id": user_id}}
    handed = (await app.post("/api/client/graphql", body, token=client_admin.token)).json["data"]["resetUserPassword"]
    await set_roles(app, team.client, client_admin.id, "User Admin")
    check_refusal(await reset(app, token_in(handed)), 401, "INVALID_TOKEN")
    await set_roles(app, team.client, client_admin.id, "Admin")
    assert (await reset(app, token_in(handed))).status == 200
