"""An account created under another person's address isn't linked to that person."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.people import OidcProvider, oidc_provider, session_of, users_of
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, act_on_provider

pytestmark = pytest.mark.one_store

ADDRESS = "victim@{client}.example"


async def squat(company: OidcProvider) -> Browser:
    """Create an account under an address that the provider isn't trusted for, as an attacker would."""
    return await company.sign_in("squatter", ADDRESS.format(client=company.client), verified=False)


async def link(browser: Browser, company: OidcProvider, sub: str) -> None:
    """Link another identity as the signed-in user."""
    begun = await browser.send("POST", "/api/client/auth/identities", body={"provider": company.name})
    company.knows(sub)
    assert (await browser.send("GET", company.op.visit(begun.data["location"]))).status == 302


async def own_identities(browser: Browser) -> list[int]:
    return [row["id"] for row in (await browser.send("GET", "/api/client/auth/identities")).data["items"]]


async def test_the_owner_of_the_address_does_not_end_up_in_a_squatters_account(app: App) -> None:
    async with oidc_provider(app) as public, oidc_provider(app, public.client, vouches=True) as company:
        squatter = await session_of(await squat(public))
        reason = await company.refused("victim", ADDRESS.format(client=public.client))
        assert "without a verified address" in reason
        assert (await session_of(await squat(public)))["user"]["id"] == squatter["user"]["id"]


async def test_nor_when_both_come_from_one_provider(app: App) -> None:
    async with oidc_provider(app, vouches=True) as company:
        await squat(company)
        assert "without a verified address" in await company.refused("victim", ADDRESS.format(client=company.client))


async def test_an_account_that_was_made_with_a_vouched_address_is_no_ones_trap(app: App) -> None:
    async with oidc_provider(app, vouches=True) as company, oidc_provider(app, company.client, vouches=True) as other:
        address = ADDRESS.format(client=company.client)
        first = await session_of(await company.sign_in("here", address))
        await act_on_provider(app, company.client, company.name, "delete")
        assert (await session_of(await other.sign_in("there", address)))["user"]["id"] == first["user"]["id"]


async def test_a_squatter_does_not_wash_the_account_by_another_identity(app: App) -> None:
    """The squatter links a second identity, and tries to unlink the one that shows how the account was created."""
    async with oidc_provider(app) as public, oidc_provider(app, public.client, vouches=True) as company:
        browser = await squat(public)
        await link(browser, company, "squatter-too")
        first, second = await own_identities(browser)
        refused = await browser.send("DELETE", f"/api/client/auth/identities/{first}")
        assert (refused.status, refused.code) == (409, "CONFLICT")
        assert (await browser.send("DELETE", f"/api/client/auth/identities/{second}")).status == 200
        assert await own_identities(browser) == [first]
        assert "without a verified" in await company.refused("victim", ADDRESS.format(client=public.client))


async def test_the_mark_stays_when_an_admin_unlinks_that_identity(app: App) -> None:
    async with oidc_provider(app) as public, oidc_provider(app, public.client, vouches=True) as company:
        browser = await squat(public)
        await link(browser, company, "squatter-too")
        user = (await session_of(browser))["user"]["id"]
        path = f"/api/admin/clients/{public.client}/users/{user}/identities/{(await own_identities(browser))[0]}"
        assert (await app.send("DELETE", path, token=await app.admin_token())).status == 200
        assert "without a verified" in await company.refused("victim", ADDRESS.format(client=public.client))
        assert (await session_of(await company.sign_in("squatter-too")))["user"]["id"] == user


async def test_the_mark_stays_when_its_provider_is_deleted(app: App) -> None:
    async with (
        oidc_provider(app) as public,
        oidc_provider(app, public.client, vouches=True) as company,
        oidc_provider(app, public.client, vouches=True) as other,
    ):
        browser = await squat(public)
        await link(browser, company, "squatter-too")
        await company.sign_in("bystander", f"bystander@{public.client}.example")
        await act_on_provider(app, public.client, public.name, "delete")
        assert "without a verified" in await company.refused("victim", ADDRESS.format(client=public.client))
        await act_on_provider(app, public.client, company.name, "delete")
        assert "without a verified" in await other.refused("victim", ADDRESS.format(client=public.client))
        await other.sign_in("bystander-there", f"bystander@{public.client}.example")


@rule("EMAIL-LINKS")
@pytest.mark.parametrize("how", ["unlinked", "deleted"])
async def test_the_mark_stays_without_any_identity_and_an_invitation_gives_the_account(app: App, how: str) -> None:
    async with oidc_provider(app) as public, oidc_provider(app, public.client, vouches=True) as company:
        browser, address = await squat(public), ADDRESS.format(client=public.client)
        user, [identity] = (await session_of(browser))["user"]["id"], await own_identities(browser)
        if how == "unlinked":
            path = f"/api/admin/clients/{public.client}/users/{user}/identities/{identity}"
            assert (await app.send("DELETE", path, token=await app.admin_token())).status == 200
        else:
            await act_on_provider(app, public.client, public.name, "delete")
        assert (await browser.me()).status == 401
        assert "without a verified address" in await company.refused("victim", address)
        await company.sign_in_invited(user, "victim", address)
        assert (await session_of(await company.sign_in("victim", address)))["user"]["id"] == user


async def test_marks_do_not_reach_into_another_client(app: App) -> None:
    async with oidc_provider(app) as public:
        other = await new_client(app)
        async with oidc_provider(app, other, domains=[f"{public.client}.example"]) as company:
            await squat(public)
            await company.sign_in("victim", ADDRESS.format(client=public.client))
            assert len(await users_of(app, other)) == 1
