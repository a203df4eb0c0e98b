"""Only an Admin touches Admins or makes one; nobody does to themselves what others must; the last
active Admin stays, whoever acts at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.accounts import new_user
from tests.support.application import App
from tests.support.crew import Crew, new_crew
from tests.support.envelope import check_refusal
from tests.support.managing import (
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
from tests.support.people import Member, member, set_roles, user_of
from tests.support.roles import ROLES

ADMINS = "Only an Admin manages an Admin's account"
GRANTS = "Only an Admin grants or takes the role Admin"


@pytest.fixture(scope="module")
async def shared(app: App) -> Crew:
    """One client with its people, whom the tests that use it leave as they are."""
    crew = await new_crew(app)
    for role in ROLES:
        await crew.member(role)
    return crew


@pytest.mark.parametrize("name", ON_SOMEBODY)
async def test_a_user_admin_does_nothing_to_an_admins_account(shared: Crew, name: str) -> None:
    boss, before = await shared.member("Admin"), await directory(shared, (await shared.member("Admin")).id)
    document, arguments = ON_SOMEBODY[name]
    refused = await shared.refused("User Admin", document, id=boss.id, **arguments)
    assert (refused.code, refused.message) == ("FORBIDDEN", ADMINS)
    assert await directory(shared, boss.id) == before
    assert (await shared.app.me(boss.token)).status == 200


@pytest.mark.parametrize("name", ON_SOMEBODY)
async def test_a_user_admin_does_nothing_to_an_admin_who_is_deactivated(crew: Crew, name: str) -> None:
    asleep, _ = await new_user(crew.app, crew.client, roles=["Admin", "Viewer"])
    await crew.ask("Admin", DEACTIVATE, id=asleep)
    document, arguments = ON_SOMEBODY[name]
    assert (await crew.refused("User Admin", document, id=asleep, **arguments)).message == ADMINS


@pytest.mark.parametrize("document", [INVITE, ADD])
async def test_a_user_admin_makes_no_admin(shared: Crew, document: str) -> None:
    body = {"email": "boss-to-be@engines.example", "roles": ["Viewer", "Admin"]}
    refused = await shared.refused("User Admin", document, input=body)
    assert (refused.code, refused.message) == ("FORBIDDEN", GRANTS)
    assert await shared.ask("Viewer", '{ users(filter: {search: "boss-to-be"}) { id } }') == []


async def test_a_user_admin_promotes_nobody_to_admin(shared: Crew) -> None:
    viewer = await shared.member("Viewer")
    for roles in (["Admin"], ["Viewer", "Admin"]):
        assert (await shared.refused("User Admin", SET_ROLES, id=viewer.id, roles=roles)).message == GRANTS
    assert role_names_of(await directory(shared, viewer.id)) == ["Viewer"]


async def test_a_user_admin_gives_every_other_role(crew: Crew) -> None:
    user_id, _ = await new_user(crew.app, crew.client)
    others = [role for role in ROLES if role != "Admin"]
    assert role_names_of(await crew.ask("User Admin", SET_ROLES, id=user_id, roles=others)) == others


async def test_an_admin_does_all_of_it_to_another_admin(crew: Crew) -> None:
    body = {"email": "second@engines.example", "roles": ["Admin"]}
    second = (await crew.ask("Admin", INVITE, input=body))["user"]["id"]
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
        await crew.ask("Admin", document, id=second, **arguments)
    assert role_names_of(await directory(crew, second)) == ["Admin", "Viewer"]


@pytest.mark.parametrize("role", ["Admin", "User Admin"])
async def test_nobody_changes_their_own_roles_or_deactivates_or_resets_themselves(shared: Crew, role: str) -> None:
    me, before = await shared.member(role), await directory(shared, (await shared.member(role)).id)
    for document, arguments, sentence in (
        (SET_ROLES, {"roles": [role, "Author"]}, "You cannot change your own roles"),
        (SET_ROLES, {"roles": [role]}, "You cannot change your own roles"),
        (DEACTIVATE, {}, "You cannot deactivate yourself"),
        (RESET, {}, "Change your own password with the current one"),
    ):
        refused = await shared.refused(role, document, id=me.id, **arguments)
        assert (refused.code, refused.message) == ("FORBIDDEN", sentence)
    assert await directory(shared, me.id) == before
    assert (await shared.app.me(me.token)).status == 200


async def test_the_others_may_do_none_of_it(shared: Crew) -> None:
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


async def test_a_permission_is_asked_for_before_anybody_is_looked_up(shared: Crew) -> None:
    for document, arguments in ON_SOMEBODY.values():
        assert (await shared.refused("Viewer", document, id=2**31 - 1, **arguments)).code == "FORBIDDEN"


async def test_another_clients_user_is_like_one_that_never_existed(shared: Crew, crew: Crew) -> None:
    foreign = await crew.member("Viewer")
    before = await directory(crew, foreign.id)
    for document, arguments in ON_SOMEBODY.values():
        for role in ("Admin", "User Admin"):
            refusals = [
                await shared.refused(role, document, id=user_id, **arguments)
                for user_id in (foreign.id, 2**31 - 1, 0, -1)
            ]
            assert {refused.code for refused in refusals} == {"NOT_FOUND"}
            assert len({refused.message for refused in refusals}) == 1
    assert await directory(crew, foreign.id) == before
    assert (await crew.app.me(foreign.token)).status == 200


async def test_a_system_admin_stands_above_ranks(crew: Crew) -> None:
    boss, admin = await crew.member("Admin"), await crew.app.admin_token()
    base = f"/api/admin/clients/{crew.client}/users"
    assert (await crew.app.post(f"{base}/{boss.id}/password-reset", token=admin)).status == 201
    made = await crew.app.post(base, {"email": "other@engines.example", "roles": ["Admin"]}, token=admin)
    assert made.status == 201
    assert (await crew.app.post(f"{base}/{boss.id}/deactivate", token=admin)).status == 200


async def test_the_last_active_admin_stays(crew: Crew) -> None:
    boss = await crew.member("Admin")
    second = await member(crew.app, crew.client, "Admin")
    crew.members["Second"] = second
    await crew.ask("Second", DEACTIVATE, id=boss.id)
    await crew.ask("Second", RESTORE, id=boss.id)
    await crew.ask("Second", SET_ROLES, id=boss.id, roles=["User Admin"])
    admin, base = await crew.app.admin_token(), f"/api/admin/clients/{crew.client}/users/{second.id}"
    assert (await crew.app.post(f"{base}/deactivate", token=admin)).code == "CONFLICT"
    assert (await crew.app.send("PUT", f"{base}/roles", {"roles": ["Viewer"]}, token=admin)).code == "CONFLICT"


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("act", ["deactivate", "demote"])
async def test_of_admins_who_remove_each_other_at_once_one_stays(crew: Crew, act: str, count: int) -> None:
    """With three, the second is no Admin any more when the turn comes, though the third would be left."""
    bosses = [await member(crew.app, crew.client, "Admin") for _ in range(count)]

    async def remove(who: Member, whom: Member) -> Any:
        document, more = (DEACTIVATE, {}) if act == "deactivate" else (SET_ROLES, {"roles": ["Viewer"]})
        body = {"query": document, "variables": {"id": whom.id, **more}}
        return await crew.app.post("/api/client/graphql", body, token=who.token)

    await asyncio.gather(remove(bosses[0], bosses[1]), remove(bosses[1], bosses[0]))
    found = [await user_of(crew.app, crew.client, boss.id) for boss in bosses]
    assert sum("Admin" in user["roles"] and user["deactivatedAt"] is None for user in found) == count - 1


async def test_a_link_of_a_user_admin_opens_no_account_that_became_an_admins(crew: Crew) -> None:
    app = crew.app
    rising, invitation = await invited(crew, by="User Admin")
    resetting = await started_reset(crew, rising, "User Admin")
    by_boss, _ = await invited(crew, by="User Admin")
    good = await started_reset(crew, by_boss, "Admin")
    for user in (rising, by_boss):
        await set_roles(app, crew.client, user, "Admin")
    for reply in (await reset(app, resetting), await accept(app, invitation)):
        check_refusal(reply, 401, "INVALID_TOKEN")
    for token in (resetting, invitation):
        check_refusal(await app.post("/api/client/auth/link", {"token": token}), 401, "INVALID_TOKEN")
    check_refusal(await reset(app, good), 401, "INVALID_TOKEN")  # an Admin's closes as well
    assert (await reset(app, await started_reset(crew, by_boss, "Admin"))).status == 200
    await set_roles(app, crew.client, rising, "Viewer")  # nor do they open it again once it is an Admin's no more
    for reply in (await reset(app, resetting), await accept(app, invitation)):
        check_refusal(reply, 401, "INVALID_TOKEN")


async def test_no_link_outlives_the_promotion_whoever_caused_it(crew: Crew) -> None:
    app = crew.app
    by_admin, invitation = await invited(crew, by="Admin")
    by_system_admin, _ = await invited(crew, by="User Admin")
    path = f"/api/admin/clients/{crew.client}/users/{by_system_admin}/invitation"
    other = (await app.post(path, token=await app.admin_token())).data["token"]
    for user in (by_admin, by_system_admin):
        await set_roles(app, crew.client, user, "Admin")
    for token in (invitation, other):
        check_refusal(await accept(app, token), 401, "INVALID_TOKEN")
    anew = (await app.post(path, token=await app.admin_token())).data["token"]
    assert (await accept(app, anew)).status == 200  # what is made afterwards is the way in


async def test_a_link_to_an_admins_account_counts_while_who_made_it_is_an_admin(crew: Crew) -> None:
    app = crew.app
    boss = await member(app, crew.client, "Admin")
    user_id, _ = await new_user(app, crew.client, roles=["Admin"])
    body = {"query": RESET, "variables": {"id": user_id}}
    handed = (await app.post("/api/client/graphql", body, token=boss.token)).json["data"]["resetUserPassword"]
    await set_roles(app, crew.client, boss.id, "User Admin")
    check_refusal(await reset(app, token_in(handed)), 401, "INVALID_TOKEN")
    await set_roles(app, crew.client, boss.id, "Admin")
    assert (await reset(app, token_in(handed))).status == 200
