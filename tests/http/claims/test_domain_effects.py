"""Effects of an email domain while it's unverified, and after it's verified."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import new_client, new_user, trail
from tests.support.application import App
from tests.support.domain_claims import Claimed, vouch_for
from tests.support.envelope import check_success
from tests.support.people import oidc_provider
from tests.support.rules import rule
from tests.support.single_sign_on import add_provider, check_no_one_got_in

pytestmark = pytest.mark.one_store

OIDC = {"issuer": "https://acme.okta.com", "clientId": "0oa1"}


@rule("EMAIL-LINKS")
async def test_twenty_squatters_change_no_answer_of_discover(app: App) -> None:
    client = await new_client(app)
    domain = f"{client}.example"
    await add_provider(app, client, name="real", domains=[domain], oidc=OIDC)
    await add_provider(app, client, name="partner", oidc=OIDC)

    async def answers() -> list[Any]:
        found = []
        for named in ("", f"?client={client}"):
            for address in (f"ada@{domain}", "ada@elsewhere.example"):
                reply = await app.post(f"/api/client/auth/discover{named}", {"email": address})
                found.append(reply.data)
        return found

    before = await answers()
    assert [way["name"] for way in before[0]["providers"]] == ["real"]
    for number in range(20):
        squatter = await new_client(app)
        shown, domains = "Sign in with Real", [domain, "elsewhere.example"]
        await add_provider(app, squatter, vouch=False, name=f"a{number}", displayName=shown, domains=domains, oidc=OIDC)
        await Claimed(app, squatter, domain).check()
    assert await answers() == before


async def test_an_account_made_just_in_time_is_vouched_only_where_the_domain_counts(app: App) -> None:
    """An unverified address gives access to no account later, and the provider's domains limit the people that it can
    identify."""
    async with oidc_provider(app, domains=["pending.example"], vouch=False, createUsers=True) as company:
        await company.sign_in("ada", "ada@pending.example")
        assert "no listed domain" in await company.refused("eve", "eve@elsewhere.example")
        await vouch_for(app, company.client, "pending.example")
        await company.sign_in("bob", "bob@pending.example")
        async with oidc_provider(app, company.client, domains=["pending.example"]) as other:
            assert "without a verified address" in await other.refused("ada2", "ada@pending.example")
            assert "a user of another provider" in await other.refused("bob2", "bob@pending.example")
        linked = {}
        for event in await trail(app, company.client):
            if event.event == "identity_linked":
                linked[event.members["of"]] = event.members["how"]
        assert linked == {"ada": "created-unvouched", "bob": "created"}


@rule("EMAIL-LINKS")
async def test_an_address_links_only_while_the_domain_counts_for_this_client(app: App) -> None:
    client = await new_client(app)
    async with oidc_provider(app, client, domains=[f"{client}.example"], vouch=False) as company:
        user_id, email = await new_user(app, company.client)
        assert "not verified" in await company.refused("ada", email)
        other = await new_client(app)
        await vouch_for(app, other, f"{company.client}.example")
        assert "not verified" in await company.refused("ada", email)
        check_success(await Claimed(app, other, f"{company.client}.example").send("DELETE"))
        await vouch_for(app, company.client, f"{company.client}.example")
        me = await (await company.sign_in("ada", email)).me()
        assert me.data["user"]["id"] == user_id
        check_success(await company.send("PATCH", "", {"domains": []}))
        _, second = await new_user(app, company.client)
        _, reply = await company.attempt("bob", second)
        check_no_one_got_in(reply)  # the domain is verified, but this provider doesn't have it
