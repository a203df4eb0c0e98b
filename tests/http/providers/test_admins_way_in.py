"""A client's Admins can always sign in: neither a User Admin nor an Admin can close their last way to do so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.http.providers.provider_editors import saml_settings
from tests.support.accounts import new_client, new_user, settle
from tests.support.application import App
from tests.support.directory_claims import directory
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import Member, OidcProvider, member, oidc_provider, roles_line
from tests.support.rules import rule
from tests.support.single_sign_on import Browser
from tests.support.visitor import Visitor

BOSS, SETTINGS = "the-boss", "/api/client/settings"
WRONG_SECRET = {"oidc": {"clientSecret": "a-wrong-one"}}
#: Actions after which a provider can't sign in Admins. A User Admin performs them elsewhere.
ACTS: list[tuple[str, str, Any]] = [
    ("PATCH", "", {"createUsers": False}),
    ("PATCH", "", {"groupRoles": [roles_line("all", "Viewer")]}),
    ("PATCH", "", {"displayName": "Acme", "oidc": {"clientId": "another"}}),
    ("PATCH", "", WRONG_SECRET),
    ("POST", "/switch-off", None),
    ("DELETE", "", None),
]


@pytest.fixture
async def company(app: App) -> AsyncIterator[OidcProvider]:
    async with oidc_provider(app, vouches=True) as found:
        yield found


async def boss_of(company: OidcProvider) -> Member:
    """An Admin who uses only the provider, because linking by address removed the password."""
    boss = await member(company.app, company.client, "Admin")
    browser = await company.sign_in(BOSS, boss.email)
    return boss._replace(cookie=browser.cookies["session"])


async def by_cookie(company: OidcProvider, of: Member, method: str, path: str, body: Any = None) -> Any:
    address = f"/api/client/providers/{company.name}{path}"
    return await Browser(company.app, {"session": of.cookie}).send(method, address, body=body)


async def links(boss: Member, second: OidcProvider) -> None:
    """Link the Admin to another provider as well."""
    browser = Browser(second.app, {"session": boss.cookie})
    begun = await browser.send("POST", "/api/client/auth/identities", body={"provider": second.name})
    second.knows(BOSS)
    assert (await browser.send("GET", second.op.visit(begun.data["location"]))).status == 302


@rule("PROVIDER-RANK")
@pytest.mark.one_store
@matrix("passwords", [True, False], ids=["passwords, and the Admin has none", "no passwords"])
async def test_a_user_admin_closes_no_last_way_of_admins(app: App, company: OidcProvider, passwords: bool) -> None:
    clerk, boss = await member(app, company.client, "User Admin"), await boss_of(company)
    await settle(app, company.client, passwordSignIn=passwords)
    for method, path, body in ACTS:
        check_refusal(await company.send(method, path, body, token=clerk.token), 403, "FORBIDDEN")
        await company.sign_in(BOSS, boss.email)
    check_success(await company.send("PATCH", "", {"displayName": "Acme ID"}, token=clerk.token))
    check_success(await company.send("PATCH", "", {}, token=clerk.token))
    await company.sign_in(BOSS, boss.email)


@pytest.mark.one_store
@matrix("way", ["password", "another provider"])
async def test_where_an_admin_has_another_way_a_user_admin_can(app: App, company: OidcProvider, way: str) -> None:
    clerk, boss = await member(app, company.client, "User Admin"), await boss_of(company)
    if way == "password":
        await member(app, company.client, "Admin")
    else:
        await settle(app, company.client, passwordSignIn=False)
        async with oidc_provider(app, company.client) as second:
            await links(boss, second)
    for method, path, body in ACTS:
        if way == "password" or body != WRONG_SECRET:
            check_success(await company.send(method, path, body, token=clerk.token))


@rule("PROVIDER-RANK")
@pytest.mark.one_store
async def test_a_secret_that_might_be_wrong_leaves_no_other_provider_to_rely_on(
    app: App, company: OidcProvider
) -> None:
    """A provider with a wrong secret would still count as usable by Admins, and the other one could be closed."""
    clerk, boss = await member(app, company.client, "User Admin"), await boss_of(company)
    await settle(app, company.client, passwordSignIn=False)
    async with oidc_provider(app, company.client) as second:
        await links(boss, second)
        check_refusal(await company.send("PATCH", "", WRONG_SECRET, token=clerk.token), 403, "FORBIDDEN")
        check_success(await company.send("POST", "/switch-off", token=clerk.token))
        check_refusal(await company.send("PATCH", "", WRONG_SECRET, token=clerk.token), 403, "FORBIDDEN")
        check_success(await company.send("POST", "/switch-on", token=clerk.token))
        check_success(await second.send("POST", "/switch-off", token=clerk.token))
        await company.sign_in(BOSS, boss.email)


@rule("PROVIDER-RANK")
async def test_of_two_last_ways_that_are_closed_at_the_same_time_one_stays(app: App, company: OidcProvider) -> None:
    clerk, boss = await member(app, company.client, "User Admin"), await boss_of(company)
    async with oidc_provider(app, company.client) as second:
        await links(boss, second)
        both = (one.send("POST", "/switch-off", token=clerk.token) for one in (company, second))
        assert sorted(reply.status for reply in await asyncio.gather(*both)) == [200, 403]


@rule("PROVIDER-RANK")
@pytest.mark.one_store
async def test_an_admin_does_not_close_it_either_and_a_system_admin_can(app: App, company: OidcProvider) -> None:
    boss = await boss_of(company)
    for method, path, body in ACTS[-2:]:
        check_refusal(await by_cookie(company, boss, method, path, body), 409, "CONFLICT")
    await company.sign_in(BOSS, boss.email)
    for method, path, body in ACTS[:4]:
        check_success(await by_cookie(company, boss, method, path, body))
    for method, path, body in ACTS[-2:]:
        check_success(await company.send(method, path, body))


@rule("PROVIDER-RANK")
@pytest.mark.one_store
async def test_passwords_are_not_turned_off_before_a_provider_reaches_admins(app: App, company: OidcProvider) -> None:
    clerk, admin = await member(app, company.client, "User Admin"), await member(app, company.client, "Admin")
    check_success(await company.send("PATCH", "", {"createUsers": False}, token=clerk.token))
    off = {"passwordSignIn": False}
    refused = check_refusal(await app.send("PATCH", SETTINGS, off, token=admin.token), 409, "CONFLICT")
    assert [detail["field"] for detail in refused["details"]] == ["passwordSignIn"]
    check_success(await company.send("PATCH", "", {}, token=admin.token))
    check_success(await app.send("PATCH", SETTINGS, off, token=admin.token))
    await settle(app, company.client, passwordSignIn=True)
    check_success(await company.send("POST", "/switch-off", token=admin.token))
    check_refusal(await app.send("PATCH", SETTINGS, off, token=admin.token), 409, "CONFLICT")
    await settle(app, company.client, **off)  # a system admin allows them again


@pytest.mark.one_store
async def test_a_user_admin_makes_no_new_key_of_the_last_provider(app: App) -> None:
    client = await new_client(app)
    await new_user(app, client, roles=["Admin"])
    clerk, root = await member(app, client, "User Admin"), await app.admin_token()
    saml = {"name": "saml", "saml": saml_settings()}
    check_success(await app.post(f"/api/admin/clients/{client}/providers", saml, token=root), 201)
    path = "/api/client/providers/saml/rotate-key"
    visitor, console = await Visitor(app).signed_in(clerk.email), "/console/providers/saml"
    page = await visitor.get(f"{console}?step=theirs")
    check_refusal(await app.post(path, token=clerk.token), 403, "FORBIDDEN")
    assert (await visitor.submit(page, f"{console}/rotate-key")).status == 403
    await member(app, client, "Admin")
    check_success(await app.post(path, token=clerk.token))
    assert (await visitor.submit(page, f"{console}/rotate-key")).status == 303


@pytest.mark.one_store
async def test_nor_does_a_user_admin_release_the_directory_that_its_tokens_need(app: App) -> None:
    client, which, root = await new_client(app), directory(), await app.admin_token()
    await new_user(app, client, roles=["Admin"])
    clerk = await member(app, client, "User Admin")
    entra = {"name": "apps", "entra": {"directory": which, "applications": ["0a0a0a0a-1111-4111-8111-0000000000aa"]}}
    check_success(await app.post(f"/api/admin/clients/{client}/providers", entra, token=root), 201)
    path = f"/api/client/directories/{which}"
    check_refusal(await app.send("DELETE", path, token=clerk.token), 403, "FORBIDDEN")
    await member(app, client, "Admin")
    check_success(await app.send("DELETE", path, token=clerk.token))
