"""A person is identified by provider and subject, never by an email address."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_client, new_user
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.oidc_op import provider
from tests.support.people import OidcProvider, member, oidc_provider, session_of, user_of, users_of
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, add_oidc, check_no_one_got_in, saml_provider

pytestmark = pytest.mark.one_store


@rule("IDENTITY-KEY")
async def test_another_subject_with_the_same_address_is_someone_else(app: App) -> None:
    """A person who gets a former colleague's address at the provider doesn't get the old account here."""
    async with oidc_provider(app) as company:
        first = await session_of(await company.sign_in("first", "shared@mail.example"))
        assert "address" in await company.refused("second", "shared@mail.example")
        assert "address" in await company.refused("second", "SHARED@mail.example")
        again = await session_of(await company.sign_in("first", "shared@mail.example"))
        assert again["user"]["id"] == first["user"]["id"]


async def test_a_person_whose_address_changed_is_the_same_person(app: App) -> None:
    async with oidc_provider(app) as company:
        before = await session_of(await company.sign_in("ada", "ada@before.example"))
        after = await session_of(await company.sign_in("ada", "ada@married.example"))
        without_address = await session_of(await company.sign_in("ada"))
        assert before["user"]["id"] == after["user"]["id"] == without_address["user"]["id"]
        # The account's address belongs to the client; the provider's address is shown with the identity.
        assert after["user"]["email"] == "ada@before.example"
        assert len(await users_of(app, company.client)) == 1


@rule("IDENTITY-KEY")
async def test_an_address_that_moved_to_someone_else_opens_nothing_of_theirs(app: App) -> None:
    async with oidc_provider(app, vouches=True) as company:
        (ada, ada_at), (bob, bob_at) = [await new_user(app, company.client) for _ in range(2)]
        for sub, email in (("ada", ada_at), ("bob", bob_at)):
            await company.sign_in(sub, email)
        swapped = [await session_of(await company.sign_in(sub, at)) for sub, at in (("ada", bob_at), ("bob", ada_at))]
        assert [me["user"]["id"] for me in swapped] == [ada, bob]


@matrix("sub", ["Ada", "ADA", "ada ", " ada", "ａda", "аda"])
async def test_subjects_are_compared_character_by_character(app: App, sub: str) -> None:
    """The last two are a full-width and a Cyrillic a."""
    async with oidc_provider(app) as company:
        first = await session_of(await company.sign_in("ada", "ada@mail.example"))
        other = await session_of(await company.sign_in(sub, "other@mail.example"))
        assert first["user"]["id"] != other["user"]["id"]


@rule("IDENTITY-KEY")
async def test_claims_that_people_can_edit_name_no_one(app: App) -> None:
    """nOAuth: an account holder at a provider can set any address and name there."""
    async with oidc_provider(app) as company:
        victim, email = await new_user(app, company.client)
        claims = {"preferred_username": email, "upn": email, "unique_name": email, "oid": str(victim), "id": victim}
        for verified in (True, False, None):
            assert "address" in await company.refused("mallory", email, verified=verified, **claims)
        me = await session_of(await company.sign_in("mallory", "mallory@evil.example", **claims))
        assert me["user"]["id"] != victim
        assert me["user"]["email"] == "mallory@evil.example"


@matrix("sub", ["1", "user:1", "admin@acme.example", "null", "0", "../1", "' or 1=1 --", "Ünïcödé-人"])
async def test_a_subject_that_looks_like_something_of_ours_is_just_a_text(app: App, sub: str) -> None:
    async with oidc_provider(app) as company:
        await new_user(app, company.client)
        me = await session_of(await company.sign_in(sub, "plain@mail.example"))
        assert me["user"]["email"] == "plain@mail.example"
        assert (await session_of(await company.sign_in(sub)))["user"]["id"] == me["user"]["id"]


@rule("IDENTITY-KEY")
async def test_one_subject_at_two_providers_is_two_people(app: App) -> None:
    async with oidc_provider(app) as one, oidc_provider(app, one.client) as other:
        first = await session_of(await one.sign_in("1001", "ada@one.example"))
        second = await session_of(await other.sign_in("1001", "bob@other.example"))
        assert first["user"]["id"] != second["user"]["id"]
        okta = await saml_provider(app, one.client)
        third = (await okta.call(okta.response("1001", attributes={"email": ["eve@okta.example"]}))).data
        assert third["user"]["id"] not in (first["user"]["id"], second["user"]["id"])
        # Nor does either match the other's address.
        assert "address" in await one.refused("1002", "bob@other.example")
        assert "address" in await other.refused("1002", "ada@one.example")
        assert (await okta.call(okta.response("1002", attributes={"email": ["ada@one.example"]}))).code == "SSO_FAILED"


@rule("VERIFIERS-APART")
async def test_the_issuer_of_the_provider_counts_and_not_that_of_a_token(app: App) -> None:
    """With two providers of one client, what one says about the other's people has no effect."""
    async with oidc_provider(app) as honest, oidc_provider(app, honest.client) as evil:
        await honest.sign_in("ada", "ada@mail.example")
        evil.op.claims = {"iss": honest.op.issuer}
        assert "iss" in await evil.refused("ada", "ada@mail.example")


async def test_one_provider_in_two_clients_does_not_mix_them_up(app: App) -> None:
    """The same person at the same provider has an account in each client, and each session opens its own."""
    here, there = await new_client(app), await new_client(app)
    with provider(app.clock, alg="ES256") as op:
        both = [OidcProvider(app, op, c, await add_oidc(app, op, c, name="shared")) for c in (here, there)]
        browsers = [await company.sign_in("ada", "ada@mail.example") for company in both]
        first, second = [await session_of(browser) for browser in browsers]
        assert (first["client"]["identifier"], second["client"]["identifier"]) == (here, there)
        assert first["user"]["id"] != second["user"]["id"]
        again = await session_of(await both[0].sign_in("ada", "ada@mail.example"))
        assert again["user"]["id"] == first["user"]["id"]
        for browser, foreign in zip(browsers, (there, here), strict=True):
            refused = await browser.send("GET", "/api/client/auth/me", headers={"X-Client-ID": foreign})
            assert (refused.status, refused.code) == (403, "FORBIDDEN")
        assert list(await users_of(app, here)) == list(await users_of(app, there)) == ["ada@mail.example"]
        await both[0].send("POST", "/switch-off")
        assert (await browsers[0].me()).status == 401
        assert (await session_of(browsers[1]))["client"]["identifier"] == there


async def test_signing_in_elsewhere_in_one_browser_leaves_one_session(app: App) -> None:
    """A browser has one session; its session in another client ends, and nothing from it is reused."""
    async with oidc_provider(app) as here, oidc_provider(app) as there:
        browser = await here.sign_in("ada", "ada@mail.example")
        old = browser.cookies["session"]
        await there.sign_in("ada", "ada@mail.example", browser=browser)
        assert (await session_of(browser))["client"]["identifier"] == there.client
        assert (await app.me(cookie=old)).status == 401


async def test_a_saml_person_is_the_name_id_or_the_attribute_that_was_chosen(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    chosen = {"attributes": {"subject": "employee", "email": "mail"}}
    hr = await saml_provider(app, okta.client, saml=chosen)
    first = (await okta.call(okta.response("ada@mail.example"))).data["user"]
    renamed = await okta.call(okta.response("ada.new@mail.example", attributes={"email": ["ada.new@mail.example"]}))
    assert renamed.data["user"]["id"] != first["id"]
    attributes = {"employee": ["007"], "mail": ["bond@mail.example"]}
    bond = (await hr.call(hr.response("whatever", attributes=attributes))).data["user"]
    again = (await hr.call(hr.response("another", attributes={**attributes, "mail": ["j@mail.example"]}))).data["user"]
    assert (bond["email"], again["id"]) == ("bond@mail.example", bond["id"])
    check_no_one_got_in(await hr.call(hr.response("007", attributes={"mail": ["bond@mail.example"]})))


async def test_a_password_account_is_not_opened_by_its_name_at_a_provider(app: App) -> None:
    async with oidc_provider(app) as company:
        owner = await member(app, company.client, "Author")
        await company.refused(str(owner.id), owner.email)
        assert (await app.me(owner.token)).data["user"]["id"] == owner.id
        assert (await user_of(app, company.client, owner.id))["lastSignInAt"] is not None
        browser = Browser(app)
        assert (await browser.me()).status == 401
