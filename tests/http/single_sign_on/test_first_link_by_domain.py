"""Linking an identity to an account by its address removes other people's credentials from the account.

If a provider already knows an account by one subject, its address doesn't link another subject.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.http.accounts.planted_accounts import CHOSEN, PlantedAccount
from tests.support.accounts import keys_of, new_client, new_user, opened_by
from tests.support.application import PASSWORD, App
from tests.support.domain_claims import domain_counts
from tests.support.people import OidcProvider, last_reason, oidc_provider, session_of, user_of
from tests.support.rows import change_rows
from tests.support.single_sign_on import Browser, check_no_one_got_in, saml_provider
from tests.support.team import Team
from tests.support.user_management import NEW, RENEW, RESET, accept, events, reset

pytestmark = pytest.mark.one_store


@contextlib.asynccontextmanager
async def company_of(app: App, **members: Any) -> AsyncIterator[tuple[Team, OidcProvider]]:
    client = await new_client(app)
    await domain_counts(app, client)
    async with oidc_provider(app, client, vouches=True, **members) as company:
        yield Team(app, client), company


async def account(team: Team, company: OidcProvider) -> PlantedAccount:
    """An account that a User Admin created for another person, with a password that the User Admin knows."""
    user_id, email = await new_user(team.app, team.client, password=PASSWORD)
    return PlantedAccount(team, company, user_id, email)


async def links_by_domain(planted: PlantedAccount) -> Browser:
    browser = await planted.company.sign_in("rising", planted.email)
    assert (await session_of(browser))["user"]["id"] == planted.user_id
    return browser


async def test_sessions_and_the_password_end_with_it(app: App) -> None:
    async with company_of(app) as (team, company):
        planted = await account(team, company)
        keys = await keys_of(app, planted.email, client=team.client)
        browser = await links_by_domain(planted)
        assert await opened_by(app, keys) == []
        assert (await app.sign_in(planted.email, PASSWORD, team.client)).status == 401
        assert (await user_of(app, team.client, planted.user_id))["hasPassword"] is False
        assert (await browser.me()).status == 200


async def test_links_changes_of_the_address_and_devices_end_with_it(app: App) -> None:
    async with company_of(app) as (team, company):
        planted = await account(team, company)
        await app.sign_in(planted.email, PASSWORD, team.client)
        invitation, by_admin = await planted.link("User Admin", RENEW), await planted.link("Admin", RESET)
        await planted.change_begins()
        await links_by_domain(planted)
        assert await planted.left() == (0, 2)  # the device and address of this sign-in
        assert (await accept(app, invitation)).status == 401
        assert (await reset(app, by_admin)).status == 401


async def test_identities_end_that_are_not_proved(app: App) -> None:
    async with company_of(app) as (team, company), oidc_provider(app, team.client) as public:
        planted = await account(team, company)
        token = await planted.link("User Admin", RENEW)
        assert await planted.attempt(public, "planter", query={"invitation": token})
        await links_by_domain(planted)
        assert await planted.identities() == ["rising"]
        assert not await planted.attempt(public, "planter", "planter@mail.example")


async def test_an_account_that_an_admin_confirmed_for_another_person_is_not_linked(app: App) -> None:
    async with company_of(app) as (team, company), oidc_provider(app, team.client) as public:
        planted = await account(team, company)
        token = await planted.link("User Admin", RENEW)
        assert await planted.attempt(public, "confirmed", query={"invitation": token})
        path, token = f"{planted.path}/identities", await app.admin_token()
        [row] = (await app.get(path, token=token)).data["items"]
        assert (await app.post(f"{path}/{row['id']}/confirm", token=token)).status == 200
        assert "a user of another provider" in await company.refused("rising", planted.email)
        assert await planted.identities() == ["confirmed"]


async def test_what_was_dropped_is_in_the_audit_trail(app: App) -> None:
    async with company_of(app) as (team, company):
        planted = await account(team, company)
        await app.sign_in(planted.email, PASSWORD, team.client)
        await planted.link("User Admin", RENEW)
        await links_by_domain(planted)
        [event] = await events(team, "credentials_dropped")
        assert event.subject == f"user:{planted.user_id}"
        assert event.members["provider"] == company.made["id"]
        void = event.members["void"]
        assert (void["sessions"], void["links"], void["password"], void["identities"]) == (1, 1, True, 0)
        await links_by_domain(planted)  # which no longer links
        assert len(await events(team, "credentials_dropped")) == 1


async def chosen_by_mail(planted: PlantedAccount) -> None:
    """Choose a password as the user, through a link emailed to the current address."""
    token = await planted.link("Admin", RESET)
    assert await change_rows(planted.app, "invitations", {"user_id": planted.user_id}, emailed=1)
    assert (await reset(planted.app, token, CHOSEN)).status == 200


async def test_a_password_stays_that_was_chosen_by_a_link_in_an_email_to_the_address(app: App) -> None:
    async with company_of(app) as (team, company):
        planted = await account(team, company)
        await chosen_by_mail(planted)
        keys = await keys_of(app, planted.email, password=CHOSEN, client=team.client)
        await links_by_domain(planted)
        assert await opened_by(app, keys) == []
        assert (await app.sign_in(planted.email, CHOSEN, team.client)).status == 200
        [event] = await events(team, "credentials_dropped")
        assert event.members["void"]["password"] is False


async def test_one_that_was_chosen_by_a_link_that_others_saw_does_not_stay(app: App) -> None:
    """Even if an email verified the address before, together with another password."""
    async with company_of(app) as (team, company):
        planted = await account(team, company)
        await chosen_by_mail(planted)
        token = await planted.link("User Admin", RESET)
        assert (await reset(app, token, NEW + "-2")).status == 200
        await links_by_domain(planted)
        assert (await app.sign_in(planted.email, NEW + "-2", team.client)).status == 401


async def test_one_that_was_chosen_at_another_address_does_not_stay(app: App) -> None:
    async with company_of(app) as (team, company):
        planted = await account(team, company)
        await chosen_by_mail(planted)
        moved = f"moved-{planted.email}"
        assert (await app.send("PATCH", planted.path, {"email": moved}, token=await app.admin_token())).status == 200
        assert await change_rows(app, "users", {"id": planted.user_id}, email_proved_at=app.clock.ms + 1) == 1
        await links_by_domain(PlantedAccount(team, company, planted.user_id, moved))
        assert (await app.sign_in(moved, CHOSEN, team.client)).status == 401


async def test_a_gain_of_the_role_admin_takes_such_a_password_too(app: App) -> None:
    async with company_of(app) as (team, company):
        planted = await account(team, company)
        await chosen_by_mail(planted)
        body = {"roles": ["Admin"]}
        assert (await app.send("PUT", f"{planted.path}/roles", body, token=await app.admin_token())).status == 200
        assert (await app.sign_in(planted.email, CHOSEN, team.client)).status == 401


async def test_an_address_that_passed_to_another_person_takes_no_account_along(app: App) -> None:
    async with company_of(app) as (team, company):
        first = await session_of(await company.sign_in("ada-1", f"ada@{team.client}.example"))
        _, reply = await company.attempt("ada-2", f"ada@{team.client}.example")
        assert "account" in check_no_one_got_in(reply)
        assert "another subject" in await last_reason(app, team.client)
        again = await session_of(await company.sign_in("ada-1", f"ada@{team.client}.example"))
        assert again["user"]["id"] == first["user"]["id"]
        assert await events(team, "credentials_dropped") == []


async def test_nor_by_saml(app: App) -> None:
    client = await new_client(app)
    await domain_counts(app, client)
    okta = await saml_provider(app, client, domains=[f"{client}.example"])
    address = {"email": [f"ada@{client}.example"]}
    assert (await okta.call(okta.response("ada-1", attributes=address))).status == 200
    assert (await okta.call(okta.response("ada-2", attributes=address))).code == "SSO_FAILED"
    assert "another subject" in await last_reason(app, client)
    assert (await okta.call(okta.response("ada-1", attributes=address))).status == 200


async def test_an_invitation_is_the_way(app: App) -> None:
    async with company_of(app) as (team, company):
        planted = await account(team, company)
        await links_by_domain(planted)
        assert not await planted.attempt(company, "anew", planted.email)
        token = await planted.link("Admin", RENEW)
        assert await planted.attempt(company, "anew", planted.email, query={"invitation": token})
        assert await planted.identities() == ["rising", "anew"]
