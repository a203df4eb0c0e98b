"""A first sign-in is linked to an existing account if the provider owns the address's domain.

The provider must also be trusted for the address.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import new_client, new_user, trail
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.people import member, oidc_provider, session_of
from tests.support.rules import rule
from tests.support.single_sign_on import saml_provider

pytestmark = pytest.mark.one_store

CONFIRM = "the provider does not confirm it"
VOUCHED: list[Any] = [True, "true", "True"]
UNVOUCHED: list[Any] = [False, "false", "yes", 1, "1", [True], {"true": True}, ""]


async def identities(app: App, client: str, user_id: int) -> list[dict[str, Any]]:
    path = f"/api/admin/clients/{client}/users/{user_id}/identities"
    found: list[dict[str, Any]] = (await app.get(path, token=await app.admin_token())).data["items"]
    return found


@rule("EMAIL-LINKS")
@matrix("verified", VOUCHED)
async def test_a_verified_address_of_an_own_domain_opens_the_account(app: App, verified: Any) -> None:
    async with oidc_provider(app, vouches=True, createUsers=False) as company:
        user_id, email = await new_user(app, company.client, roles=["Author"])
        me = await session_of(await company.sign_in("ada", email.upper(), verified=verified))
        assert me["user"]["id"] == user_id
        assert set(me["roles"]) == {"Author", "Viewer"}
        [linked] = await identities(app, company.client, user_id)
        assert (linked["how"], linked["subject"], linked["email"]) == ("domain", "ada", email.upper())
        # From now on, the subject identifies the user, whatever the address says.
        assert (await session_of(await company.sign_in("ada", verified=False)))["user"]["id"] == user_id


@rule("EMAIL-LINKS")
@matrix("trust", [False, True], ids=["", "trustEmail"])
@matrix("verified", UNVOUCHED)
async def test_one_that_is_not_verified_opens_nothing(app: App, verified: Any, trust: bool) -> None:
    async with oidc_provider(app, vouches=True, oidc={"trustEmail": trust}) as company:
        user_id, email = await new_user(app, company.client)
        assert CONFIRM in await company.refused("ada", email, verified=verified)
        assert await identities(app, company.client, user_id) == []


@rule("EMAIL-LINKS")
async def test_silence_counts_only_where_an_admin_said_so(app: App) -> None:
    async with oidc_provider(app, vouches=True) as strict:
        user_id, email = await new_user(app, strict.client)
        assert CONFIRM in await strict.refused("ada", email, verified=None)
        strict.op.claims = {"email_verified": None}
        async with oidc_provider(app, strict.client, vouches=True, oidc={"trustEmail": True}) as trusting:
            assert (await session_of(await trusting.sign_in("ada", email, verified=None)))["user"]["id"] == user_id
            other, address = await new_user(app, strict.client)
            assert CONFIRM in await trusting.refused("bob", address, verified=False)
            assert await identities(app, strict.client, other) == []


async def test_an_address_in_userinfo_counts_with_its_own_mark(app: App) -> None:
    async with oidc_provider(app, vouches=True) as company:
        (user_id, email), (_, other) = [await new_user(app, company.client) for _ in range(2)]
        company.op.only_in_userinfo = {"email", "email_verified"}
        assert CONFIRM in await company.refused("bob", other, verified=False)
        assert (await session_of(await company.sign_in("ada", email)))["user"]["id"] == user_id


LOOK_ALIKES = ["evil-{domain}", "sub.{domain}", "{domain}.evil.example", "{domain}x", "x{domain}", "example"]


@rule("EMAIL-LINKS")
@matrix("pattern", LOOK_ALIKES)
async def test_a_domain_that_merely_looks_like_it_is_another(app: App, pattern: str) -> None:
    client = await new_client(app)
    domain = f"{client}.example"
    async with oidc_provider(app, client, domains=[domain]) as company:
        user_id, email = await new_user(app, client, f"ada@{pattern.format(domain=domain)}")
        assert CONFIRM in await company.refused("ada", email)
        assert await identities(app, client, user_id) == []


async def test_a_local_part_that_names_the_domain_is_no_domain(app: App) -> None:
    async with oidc_provider(app, vouches=True) as company:
        _, email = await new_user(app, company.client, f"ada.{company.client}.example@evil.example")
        assert CONFIRM in await company.refused("ada", email)


async def test_without_domains_no_one_is_linked_by_an_address(app: App) -> None:
    async with oidc_provider(app, oidc={"trustEmail": True}) as company:
        _, email = await new_user(app, company.client)
        for verified in (True, None):
            assert CONFIRM in await company.refused("ada", email, verified=verified)


@rule("EMAIL-LINKS")
async def test_the_domain_is_owned_in_one_client_alone(app: App) -> None:
    """Another client that lists this client's domain in its provider gets none of its users."""
    async with oidc_provider(app) as mine, oidc_provider(app) as evil:
        owner = await member(app, mine.client)
        await evil.change(domains=[f"{mine.client}.example"])
        me = await session_of(await evil.sign_in("mallory", owner.email))
        assert (me["client"]["identifier"], me["user"]["email"]) == (evil.client, owner.email)
        assert me["user"]["id"] != owner.id
        assert await identities(app, mine.client, owner.id) == []


@rule("EMAIL-LINKS")
async def test_a_second_subject_is_not_the_same_account_though_the_address_is_vouched_for(app: App) -> None:
    """The provider confirms that it's the same mailbox, not that it's the same person."""
    async with oidc_provider(app, vouches=True) as company:
        user_id, email = await new_user(app, company.client)
        assert (await session_of(await company.sign_in("before", email)))["user"]["id"] == user_id
        assert "another subject" in await company.refused("after", email)
        assert [linked["subject"] for linked in await identities(app, company.client, user_id)] == ["before"]


@rule("SAML-CLIENT")
async def test_a_saml_provider_vouches_for_its_own_domains_and_for_no_other(app: App) -> None:
    client = await new_client(app)
    okta = await saml_provider(app, client, domains=[f"{client}.example"], createUsers=False)
    user_id, email = await new_user(app, client)
    _, foreign = await new_user(app, client, "ada@foreign.example")
    assert (await okta.call(okta.response(email))).data["user"]["id"] == user_id
    assert (await okta.call(okta.response("id-7", attributes={"email": [email]}))).code == "SSO_FAILED"
    assert (await okta.call(okta.response(foreign))).code == "SSO_FAILED"
    none = await saml_provider(app, client)
    assert (await none.call(none.response("id-8", attributes={"email": [email]}))).code == "SSO_FAILED"


async def test_what_was_linked_is_in_the_audit_trail(app: App) -> None:
    async with oidc_provider(app, vouches=True) as company:
        user_id, email = await new_user(app, company.client)
        await company.sign_in("ada", email)
        [linked] = [event for event in await trail(app, company.client) if event.event == "identity_linked"]
        assert linked.subject == f"user:{user_id}"
        assert linked.members == {"how": "domain", "of": "ada", "provider": company.made["id"]}


async def test_the_refusal_is_one_sentence_whether_the_account_exists_or_not(app: App) -> None:
    """Otherwise, an untrusted provider could reveal whether an account exists."""
    async with oidc_provider(app, createUsers=False) as company:
        _, email = await new_user(app, company.client)
        _, taken = await company.attempt("ada", email)
        _, unknown = await company.attempt("ada", "nobody@mail.example")
        assert taken.json["error"]["message"] == unknown.json["error"]["message"]
        assert (taken.status, taken.code) == (unknown.status, unknown.code)
