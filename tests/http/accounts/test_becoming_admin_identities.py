"""Identities that stay linked when their user becomes an Admin, and the Admin role through groups."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.http.accounts.planted_accounts import ADMIN_GROUP, PATHS, PlantedAccount, planted_account
from tests.support.accounts import new_client, new_user, number_of
from tests.support.application import App
from tests.support.domain_claims import domain_counts
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import OidcProvider, last_reason, oidc_provider, session_of, set_roles, user_of
from tests.support.rows import change_rows, delete_rows
from tests.support.rules import rule
from tests.support.single_sign_on import act_on_provider, check_no_one_got_in
from tests.support.team import Team
from tests.support.user_management import UPDATE, events

pytestmark = pytest.mark.one_store

TABLE = [*ADMIN_GROUP, {"group": "ops", "roles": ["Operator"]}]


@contextlib.asynccontextmanager
async def company_of(app: App, *, counts: bool = True, **members: Any) -> AsyncIterator[tuple[Team, OidcProvider]]:
    client = await new_client(app)
    if counts:
        await domain_counts(app, client)
    async with oidc_provider(app, client, **{"vouches": True, "groupRoles": TABLE, **members}) as company:
        yield Team(app, client), company


async def rise(planted: PlantedAccount) -> list[str]:
    """Make the user an Admin; returns the remaining identities."""
    await set_roles(planted.app, planted.team.client, planted.user_id, "Admin")
    return await planted.identities()


async def invited(team: Team, company: OidcProvider, sub: str = "guest", email: str = "") -> PlantedAccount:
    """A user who accepted an invitation, with an address in another domain at the provider."""
    user_id, address = await new_user(team.app, team.client)
    token = (await company.invite(user_id)).data["token"]
    planted = PlantedAccount(team, company, user_id, address)
    assert await planted.attempt(company, sub, email or "else@mail.example", query={"invitation": token})
    return planted


async def confirm(planted: PlantedAccount, by: str, which: int = 0) -> Any:
    """The response to a confirmation."""
    found = await planted.app.get(f"{planted.path}/identities", token=await planted.app.admin_token())
    identity = found.data["items"][which]["id"]
    if by == "system admin":
        return await planted.app.post(
            f"{planted.path}/identities/{identity}/confirm", token=await planted.app.admin_token()
        )
    path = f"/api/client/users/{planted.user_id}/identities/{identity}/confirm"
    return await planted.app.post(path, token=(await planted.team.member(by)).token)


async def test_an_identity_with_the_current_address_in_a_verified_domain_stays(app: App) -> None:
    async with company_of(app) as (team, company):
        assert await rise(await planted_account(team, company)) == ["rising"]


async def test_an_identity_in_an_unverified_domain_is_unlinked(app: App) -> None:
    async with company_of(app, counts=False) as (team, company):
        planted = await planted_account(team, company)
        await _release(app, team.client)
        assert await rise(planted) == []


async def _release(app: App, client: str) -> None:
    """Release all of the client's domains."""
    assert await delete_rows(app, "domain_owners", tenant_id=await number_of(app, client))


async def test_an_identity_in_another_clients_domain_is_unlinked(app: App) -> None:
    async with company_of(app, counts=False) as (team, company):
        planted = await planted_account(team, company)
        await _release(app, team.client)
        await domain_counts(app, await new_client(app), f"{team.client}.example")
        assert await rise(planted) == []


@matrix("claims", [{"verified": False}, {"verified": None}, {"email": "ada@mail.example"}], ids=repr)
async def test_the_providers_latest_claims_count(app: App, claims: dict[str, Any]) -> None:
    async with company_of(app) as (team, company):
        planted = await planted_account(team, company)
        await company.sign_in("rising", **{"email": planted.email, **claims})
        assert await rise(planted) == []


async def test_an_address_that_was_changed_here_is_not_confirmed(app: App) -> None:
    async with company_of(app) as (team, company):
        planted = await planted_account(team, company)
        body, token = {"email": f"new-{planted.email}"}, await app.admin_token()
        check_success(await app.send("PATCH", planted.path, body, token=token))
        assert await rise(planted) == []


async def test_case_of_the_address_does_not_matter(app: App) -> None:
    async with company_of(app) as (team, company):
        planted = await planted_account(team, company)
        await company.sign_in("rising", planted.email.upper())
        assert await rise(planted) == ["rising"]


async def test_identities_of_a_disabled_or_unconfirmed_provider_are_unlinked(app: App) -> None:
    for how in ("off", "user admin"):
        async with company_of(app) as (team, company):
            planted = await planted_account(team, company)
            check_success(await confirm(planted, "Admin"))
            if how == "off":
                await act_on_provider(app, team.client, company.name, "switch-off")
            else:
                await company.change(token=(await team.member("User Admin")).token, createUsers=True, groupRoles=[])
            assert await rise(planted) == []


async def test_claims_from_before_an_admin_saved_the_provider_do_not_count_later(app: App) -> None:
    """A User Admin can choose the claims about people. An Admin who saves the provider later doesn't approve any of
    them."""
    async with company_of(app) as (team, company):
        planted = await planted_account(team, company)
        await company.change(token=(await team.member("User Admin")).token, createUsers=True, groupRoles=[])
        await company.sign_in("rising", planted.email)
        token = (await team.member("Admin")).token
        await company.change(token=token, createUsers=False)
        [row] = (await app.get(f"{planted.path}/identities", token=await app.admin_token())).data["items"]
        assert row["vouched"] is False
        await company.sign_in("rising", planted.email)
        [row] = (await app.get(f"{planted.path}/identities", token=await app.admin_token())).data["items"]
        assert row["vouched"] is True


@matrix("by", ["Admin", "system admin"])
async def test_an_identity_confirmed_by_an_admin_stays(app: App, by: str) -> None:
    async with company_of(app) as (team, company):
        planted = await invited(team, company)
        check_success(await confirm(planted, by))
        actor = "admin:1" if by == "system admin" else f"user:{(await team.member('Admin')).id}"
        [row] = (await app.get(f"{planted.path}/identities", token=await app.admin_token())).data["items"]
        assert (row["vouched"], row["confirmedBy"], row["confirmedAt"] is None) == (False, actor, False)
        assert await rise(planted) == ["guest"]
        [event] = await events(team, "identity_confirmed")
        assert (event.actor, event.subject, event.members) == (
            actor, f"user:{planted.user_id}", {"identity": row["id"]},
        )  # fmt: skip


@matrix("by", ["User Admin", "Viewer"])
async def test_only_admins_can_confirm_an_identity(app: App, by: str) -> None:
    async with company_of(app) as (team, company):
        planted = await invited(team, company)
        check_refusal(await confirm(planted, by), 403, "FORBIDDEN")
        assert await rise(planted) == []


async def test_nobody_can_confirm_their_own_identity(app: App) -> None:
    async with company_of(app) as (team, company):
        client_admin = await team.member("Admin")
        token = (await company.invite(client_admin.id, client_admin.token)).data["token"]
        await company.sign_in("boss", "boss@mail.example", query={"invitation": token})
        mine = PlantedAccount(team, company, client_admin.id, client_admin.email)
        check_refusal(await confirm(mine, "Admin"), 403, "FORBIDDEN")


async def test_an_identity_is_confirmed_only_for_its_own_user(app: App) -> None:
    async with company_of(app) as (team, company):
        planted = await invited(team, company)
        other, _ = await new_user(app, team.client)
        token = (await team.member("Admin")).token
        [row] = (await app.get(f"/api/client/users/{planted.user_id}/identities", token=token)).data["items"]
        path = f"/api/client/users/{other}/identities/{row['id']}/confirm"
        check_refusal(await app.post(path, token=token), 404, "NOT_FOUND")
        assert await rise(planted) == []


async def test_all_unverified_identities_are_unlinked(app: App) -> None:
    async with company_of(app) as (team, company):
        planted = await invited(team, company, "guest-0")
        for number in range(1, 4):
            token = (await company.invite(planted.user_id)).data["token"]
            assert await planted.attempt(company, f"guest-{number}", query={"invitation": token})
        assert await rise(planted) == []


async def test_groups_do_not_grant_admin_to_an_unverified_identity(app: App) -> None:
    async with company_of(app) as (team, company):
        planted = await invited(team, company)
        browser = await company.sign_in("guest", "else@mail.example", groups=["bosses", "ops"])
        assert (await session_of(browser))["roles"] == ["Operator", "Viewer"]
        [withheld] = await events(team, "admin_role_withheld")
        assert withheld.subject == f"user:{planted.user_id}"
        assert withheld.members["provider"] == company.made["id"]
        check_success(await confirm(planted, "Admin"))
        browser = await company.sign_in("guest", "else@mail.example", groups=["bosses", "ops"])
        assert (await session_of(browser))["roles"] == ["Admin", "Operator", "Viewer"]
        [gain] = await events(team, "admin_gained")
        assert gain.members["path"] == "groups"
        assert await planted.identities() == ["guest"]


async def test_groups_do_not_grant_admin_in_an_unverified_domain(app: App) -> None:
    async with company_of(app) as (team, company):
        planted = await planted_account(team, company)
        await _release(app, team.client)
        browser = await company.sign_in("rising", planted.email, groups=["bosses", "ops"])
        assert "Admin" not in (await session_of(browser))["roles"]
        assert len(await events(team, "admin_role_withheld")) == 1
        await domain_counts(app, team.client)
        browser = await company.sign_in("rising", planted.email, groups=["bosses", "ops"])
        assert "Admin" in (await session_of(browser))["roles"]


@rule("RANK")
async def test_groups_do_not_grant_admin_if_a_user_admin_set_the_address(app: App) -> None:
    """The person can still sign in, and becomes an Admin once an Admin has set the address."""
    async with company_of(app) as (team, company):
        user_id, _ = await new_user(app, team.client)
        given = f"rising@{team.client}.example"
        for role, is_admin in (("User Admin", False), ("Admin", True)):
            await team.ask(role, UPDATE, id=user_id, input={"email": given})
            browser = await company.sign_in("rising", given, groups=["bosses", "ops"])
            found = await session_of(browser)
            assert (found["user"]["id"], "Admin" in found["roles"]) == (user_id, is_admin)
        assert len(await events(team, "admin_role_withheld")) == 1


async def test_a_user_whose_only_role_would_be_admin_is_rejected(app: App) -> None:
    async with company_of(app, defaultRoles=[]) as (team, company):
        user_id, _ = await new_user(app, team.client)
        assert await change_rows(app, "users", {"id": user_id}, roles=0) == 1
        token = (await company.invite(user_id)).data["token"]
        query = {"invitation": token}
        _, reply = await company.attempt("guest", "else@mail.example", groups=["bosses"], query=query)
        check_no_one_got_in(reply)
        assert "confirmed" in await last_reason(app, team.client)
        assert (await user_of(app, team.client, user_id))["roles"] == []


async def test_consent_does_not_confirm_an_identity(app: App) -> None:
    async with company_of(app) as (team, company), oidc_provider(app, team.client) as public:
        planted = await planted_account(team, company)
        browser = await company.sign_in("rising", planted.email)
        begun = await browser.send("POST", "/api/client/auth/identities", body={"provider": public.name})
        public.knows("mine-too", "mine@mail.example")
        assert (await browser.send("GET", public.op.visit(begun.data["location"]))).status == 302
        assert await planted.identities() == ["rising", "mine-too"]
        assert await rise(planted) == ["rising"]


@pytest.mark.processes
async def test_the_sign_in_that_brings_the_role_opens_the_only_session(app: App, tmp_path: Path) -> None:
    async with company_of(app) as (team, company):
        planted = await planted_account(team, company)
        before = await company.sign_in("rising", planted.email)
        after = await company.sign_in("rising", planted.email, groups=["bosses"])
        assert "Admin" in (await session_of(after))["roles"]
        assert (await before.me()).status == 401
        await PATHS["groups"](planted, tmp_path)  # already an Admin, so no role is gained
        assert (await after.me()).status == 200
