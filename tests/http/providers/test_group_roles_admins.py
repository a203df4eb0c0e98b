"""Groups grant and remove the role Admin, but a client's last active Admin keeps it."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.accounts import act_on, new_client, new_user
from tests.support.application import App
from tests.support.domain_claims import domain_counts
from tests.support.people import (
    OidcProvider,
    member,
    oidc_provider,
    roles_line,
    session_of,
    user_of,
    users_of,
)
from tests.support.single_sign_on import saml_provider

pytestmark = pytest.mark.one_store

ADMINS = [roles_line("bosses", "Admin")]


async def client_admin(company: OidcProvider, name: str) -> int:
    """A user who is Admin through the group."""
    browser = await company.sign_in(name, f"{name}@mail.example", groups=["bosses"])
    return int((await session_of(browser))["user"]["id"])


async def active_admins(app: App, client: str) -> list[str]:
    users = (await users_of(app, client)).values()
    return sorted(u["email"] for u in users if "Admin" in u["roles"] and u["deactivatedAt"] is None)


async def test_a_group_makes_an_admin_and_unmakes_one(app: App) -> None:
    async with oidc_provider(app, groupRoles=ADMINS) as company:
        for name in ("ada", "bob"):
            await client_admin(company, name)
        browser = await company.sign_in("ada", groups=[])
        assert (await session_of(browser))["roles"] == ["Viewer"]
        assert await active_admins(app, company.client) == ["bob@mail.example"]


async def test_the_last_active_admin_stays_one(app: App) -> None:
    async with oidc_provider(app, groupRoles=ADMINS) as company:
        ada = await client_admin(company, "ada")
        asleep, _ = await new_user(app, company.client, roles=["Admin"])
        await act_on(app, f"{company.client}/users/{asleep}/deactivate")
        assert (await session_of(await company.sign_in("ada", groups=[])))["roles"] == ["Admin", "Viewer"]
        # The server remembers that a group granted it, and removes it once there is another Admin.
        await client_admin(company, "bob")
        assert (await session_of(await company.sign_in("ada", groups=[])))["roles"] == ["Viewer"]
        assert (await user_of(app, company.client, ada))["roles"] == ["Viewer"]


async def test_an_admin_by_hand_stays_one_without_any_group(app: App) -> None:
    async with oidc_provider(app, vouches=True, groupRoles=ADMINS) as company:
        owner = await member(app, company.client, "Admin")
        for groups in (["bosses"], []):
            browser = await company.sign_in("owner", owner.email, groups=groups)
            assert "Admin" in (await session_of(browser))["roles"]


async def test_other_roles_of_the_last_admin_go_all_the_same(app: App) -> None:
    table = [*ADMINS, roles_line("ops", "Operator")]
    async with oidc_provider(app, groupRoles=table, defaultRoles=[]) as company:
        await company.sign_in("ada", "ada@mail.example", groups=["bosses", "ops"])
        assert (await session_of(await company.sign_in("ada", groups=[])))["roles"] == ["Admin"]


async def test_of_two_admins_who_lose_the_group_at_the_same_time_one_stays(app: App) -> None:
    client = await new_client(app)
    await domain_counts(app, client)  # otherwise, groups don't grant Admin to existing users
    okta = await saml_provider(app, client, groupRoles=ADMINS, domains=[f"{client}.example"])
    people = [f"{name}@{client}.example" for name in ("ada", "bob")]
    for _ in range(5):
        for name in people:
            reply = await okta.call(okta.response(name, attributes={"groups": ["bosses"]}))
            assert "Admin" in reply.data["user"]["roles"]
        replies = await asyncio.gather(*(okta.call(okta.response(name)) for name in people))
        roles = [reply.data["user"]["roles"] for reply in replies]
        assert sorted(roles) == [["Admin", "Viewer"], ["Viewer"]]
        assert len(await active_admins(app, okta.client)) == 1


async def test_nor_when_one_loses_the_group_while_the_other_is_deactivated(app: App) -> None:
    token = await app.admin_token()
    for _ in range(4):
        okta = await saml_provider(app, await new_client(app), groupRoles=ADMINS)
        for name in ("ada@mail.example", "bob@mail.example"):
            bob = (await okta.call(okta.response(name, attributes={"groups": ["bosses"]}))).data["user"]["id"]
        path = f"/api/admin/clients/{okta.client}/users/{bob}/deactivate"
        await asyncio.gather(okta.call(okta.response("ada@mail.example")), app.post(path, token=token))
        assert len(await active_admins(app, okta.client)) == 1
