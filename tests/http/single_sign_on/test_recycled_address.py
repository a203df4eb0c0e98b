"""An address that passes to another person gives no access to the account, even if its provider is recreated."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.support.accounts import new_client, new_user
from tests.support.application import App, Reply
from tests.support.directory_claims import directory
from tests.support.envelope import check_refusal
from tests.support.people import OidcProvider, last_reason, oidc_provider, roles_line, session_of, set_roles
from tests.support.rules import rule
from tests.support.single_sign_on import SamlProvider, act_on_provider, add_oidc, saml_provider
from tests.support.smaller_limits import provider_deletion

OPS = [roles_line("ops", "Operator")]


async def known(company: OidcProvider) -> tuple[int, str]:
    """ID and address of a user whom the provider knows as ``ada``, and who has a manually assigned role."""
    user_id, email = await new_user(company.app, company.client)
    await company.sign_in("ada", email)
    await set_roles(company.app, company.client, user_id, "Author")
    return user_id, email


async def made_again(company: OidcProvider, **oidc: Any) -> OidcProvider:
    """Delete the provider, and create it with the same issuer under another name."""
    await act_on_provider(company.app, company.client, company.name, "delete")
    domains = [f"{company.client}.example"]
    made = await add_oidc(company.app, company.op, company.client, oidc, domains=domains, groupRoles=OPS)
    return dataclasses.replace(company, made=made)


@rule("EMAIL-LINKS")
@pytest.mark.parametrize("step", [1, 100])
async def test_a_provider_that_is_made_again_knows_its_people(
    app: App, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    provider_deletion(monkeypatch, step)
    async with oidc_provider(app, vouches=True, groupRoles=OPS) as company:
        plain, email = await known(company)
        of_group, address = await new_user(app, company.client)
        await company.sign_in("bob", address, groups=["ops"])  # such people are unlinked in steps
        again = await made_again(company)
        for whose in (email, address):
            assert "another subject of its issuer" in await again.refused("new", whose)
        me = await session_of(await again.sign_in("ada", email))
        assert (me["user"]["id"], me["roles"]) == (plain, ["Author", "Viewer"])
        assert (await session_of(await again.sign_in("bob", address)))["user"]["id"] == of_group
        third = await made_again(again)
        assert "another subject of its issuer" in await third.refused("new", email)


@pytest.mark.one_store
async def test_a_second_provider_at_that_issuer_knows_them_too(app: App) -> None:
    async with oidc_provider(app, vouches=True) as company:
        user_id, email = await known(company)
        made = await add_oidc(app, company.op, company.client, domains=[f"{company.client}.example"])
        second = dataclasses.replace(company, made=made)
        assert "another subject of its issuer" in await second.refused("new", email)
        assert (await session_of(await second.sign_in("ada", email)))["user"]["id"] == user_id


@rule("EMAIL-LINKS")
@pytest.mark.one_store
async def test_where_a_provider_vouches_for_a_person_another_one_links_no_one_by_the_address(app: App) -> None:
    async with oidc_provider(app, vouches=True) as company, oidc_provider(app, company.client, vouches=True) as second:
        user_id, email = await known(company)
        assert "a user of another provider" in await second.refused("new", email)
        assert "a user of another provider" in await second.refused("ada", email)
        browser = await company.sign_in("ada", email)
        begun = await browser.send("POST", "/api/client/auth/identities", body={"provider": second.name})
        second.knows("ada-there", email)
        assert (await browser.send("GET", second.op.visit(begun.data["location"]))).status == 302
        assert (await session_of(await second.sign_in("ada-there", email)))["user"]["id"] == user_id


@pytest.mark.one_store
async def test_who_moves_to_another_provider_deletes_the_first(app: App) -> None:
    async with oidc_provider(app, vouches=True) as company, oidc_provider(app, company.client, vouches=True) as second:
        user_id, email = await known(company)
        await act_on_provider(app, company.client, company.name, "delete")
        assert (await session_of(await second.sign_in("ada-there", email)))["user"]["id"] == user_id


@pytest.mark.one_store
async def test_an_identity_that_is_unlinked_is_forgotten(app: App) -> None:
    async with oidc_provider(app, vouches=True) as company:
        user_id, email = await known(company)
        path, token = f"/api/admin/clients/{company.client}/users/{user_id}/identities", await app.admin_token()
        [row] = (await app.get(path, token=token)).data["items"]
        assert (await app.send("DELETE", f"{path}/{row['id']}", token=token)).status == 200
        again = await made_again(company)
        assert (await session_of(await again.sign_in("new", email)))["user"]["id"] == user_id


@rule("EMAIL-LINKS")
@pytest.mark.one_store
async def test_so_does_a_saml_provider_that_is_made_again(app: App) -> None:
    client = await new_client(app)
    settings: dict[str, Any] = {"domains": [f"{client}.example"], "createUsers": False}
    okta = await saml_provider(app, client, **settings)
    user_id, email = await new_user(app, client)

    async def comes(at: SamlProvider, name_id: str) -> Reply:
        return await at.call(at.response(name_id, attributes={"email": [email]}))

    attributes = {"attributes": {"email": "email"}}
    await okta.admin("PATCH", "", {"saml": attributes})
    assert (await comes(okta, "ada")).data["user"]["id"] == user_id
    await act_on_provider(app, client, okta.name, "delete")
    again = await saml_provider(app, client, okta.idp, attributes, **settings)
    check_refusal(await comes(again, "new"), 401, "SSO_FAILED")
    assert "another subject of its issuer" in await last_reason(app, client)
    assert (await comes(again, "ada")).data["user"]["id"] == user_id


@pytest.mark.one_store
async def test_a_microsoft_directory_names_people_to_each_application_differently(app: App) -> None:
    """So another application's subjects are unrelated, and returning people are linked by address."""
    async with oidc_provider(app, vouches=True) as company:
        company.op.issuer = f"{company.op.issuer}/{directory()}/v2.0"
        company = await made_again(company)
        user_id, email = await known(company)
        company.op.client_id = "another-application"
        again = await made_again(company)
        assert (await session_of(await again.sign_in("ada-there", email)))["user"]["id"] == user_id
        assert "another subject of its issuer" in await (await made_again(again)).refused("ada", email)
