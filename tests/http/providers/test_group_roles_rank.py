"""A provider that a User Admin edited gives no access to an Admin's account, and creates no Admins.

The editor of a provider controls the people whom it identifies.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import new_client, new_user
from tests.support.application import App
from tests.support.domain_claims import vouch_for
from tests.support.matrix import matrix
from tests.support.oidc_op import provider
from tests.support.people import (
    OidcProvider,
    last_reason,
    member,
    oidc_provider,
    roles_line,
    session_of,
    set_roles,
    user_of,
    users_of,
)
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, check_no_one_got_in

pytestmark = pytest.mark.one_store

ADMINS = [roles_line("bosses", "Admin")]


async def own_provider(app: App, client: str, token: str, op: Any, **members: Any) -> OidcProvider:
    """A provider that a user of the client creates, for domains that the client has verified."""
    settings = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret}
    body = {"name": "mine", "createUsers": True, "defaultRoles": ["Viewer"], "oidc": settings,
            "returnAddresses": ["https://app.acme.example/in"], **members}  # fmt: skip
    made = (await app.post("/api/client/providers", body, token=token)).data
    for domain in made["domains"]:
        await vouch_for(app, client, domain)
    return OidcProvider(app, op, client, made)


@rule("PROVIDER-RANK")
async def test_a_provider_that_a_user_admin_made_opens_no_admins_account(app: App) -> None:
    client = await new_client(app)
    client_admin, clerk = await member(app, client, "Admin"), await member(app, client, "User Admin")
    colleague = await member(app, client)
    with provider(app.clock, alg="ES256") as op:
        mine = await own_provider(app, client, clerk.token, op, domains=[f"{client}.example"])
        assert mine.made["reachesAdmins"] is False
        assert "Admin" in await mine.refused("the-boss", client_admin.email)
        assert "Admin" in await mine.refused("the-boss", client_admin.email.upper())
        identities = f"/api/admin/clients/{client}/users/{client_admin.id}/identities"
        assert (await app.get(identities, token=await app.admin_token())).data["items"] == []
        assert (await session_of(await mine.sign_in("the-colleague", colleague.email)))["user"]["id"] == colleague.id
        for members in ({"displayName": "Acme ID"}, {"oidc": {"clientSecret": op.client_secret}}):
            assert (await mine.change(token=client_admin.token, **members))["reachesAdmins"] is False, members
        assert (await mine.change(token=client_admin.token))["reachesAdmins"] is True
        assert (await session_of(await mine.sign_in("the-boss", client_admin.email)))["user"]["id"] == client_admin.id


@rule("RANK")
@matrix("members", [{"groupRoles": ADMINS}, {"defaultRoles": ["Admin"]}], ids=["group", "default"])
async def test_it_makes_no_new_admin(app: App, members: dict[str, Any]) -> None:
    client = await new_client(app)
    clerk = await member(app, client, "User Admin")
    with provider(app.clock, alg="ES256") as op:
        mine = await own_provider(app, client, clerk.token, op, domains=[f"{client}.example"], **members)
        assert "Admin" in await mine.refused("new", f"new@{client}.example", groups=["bosses"])
        assert f"new@{client}.example" not in await users_of(app, client)


@rule("RANK")
async def test_it_makes_no_admin_of_an_existing_user(app: App) -> None:
    client = await new_client(app)
    clerk = await member(app, client, "User Admin")
    with provider(app.clock, alg="ES256") as op:
        mine = await own_provider(app, client, clerk.token, op, domains=[f"{client}.example"], groupRoles=ADMINS)
        assert "Admin" in await mine.refused("clerk", clerk.email, groups=["bosses"])
        assert (await app.me(clerk.token)).data["roles"] == ["User Admin"]
        browser = await mine.sign_in("clerk", clerk.email)
        assert "Admin" in await mine.refused("clerk", clerk.email, groups=["bosses"])
        assert "Admin" not in (await app.me(cookie=browser.cookies["session"])).data["roles"]
        assert (await app.me(clerk.token)).status == 401  # ended by the first link through an address
        assert (await user_of(app, client, clerk.id))["roles"] == ["User Admin", "Viewer"]


async def test_a_user_admin_who_links_their_own_account_does_not_become_admin(app: App) -> None:
    client = await new_client(app)
    clerk = await member(app, client, "User Admin")
    with provider(app.clock, alg="ES256") as op:
        mine = await own_provider(app, client, clerk.token, op, groupRoles=ADMINS)
        browser = Browser(app, {"session": clerk.cookie})
        begun = await browser.send("POST", "/api/client/auth/identities", body={"provider": "mine"})
        mine.knows("clerk", groups=["bosses"])
        check_no_one_got_in(await browser.send("GET", op.visit(begun.data["location"])))
        assert (await app.me(clerk.token)).data["roles"] == ["User Admin"]
        assert (await browser.send("GET", "/api/client/auth/identities")).data["items"] == []


async def test_a_user_admin_who_maps_an_existing_provider_to_admin_does_not_become_one(app: App) -> None:
    async with oidc_provider(app, defaultRoles=["User Admin"]) as company:
        clerk = await company.sign_in("clerk", "clerk@mail.example", groups=["bosses"])
        cookie, token_of = clerk.cookies["session"], "/api/client/providers/" + company.name
        changed = await app.send("PATCH", token_of, {"groupRoles": ADMINS}, cookie=cookie)
        assert changed.data["reachesAdmins"] is False
        assert "Admin" in await company.refused("clerk", "clerk@mail.example", groups=["bosses"])
        assert (await app.me(cookie=cookie)).data["roles"] == ["User Admin"]


async def test_a_provider_that_a_user_admin_changed_opens_its_admins_no_more(app: App) -> None:
    """The issuer is changed to another provider, which claims the Admin's subject."""
    async with oidc_provider(app, vouches=True) as company:
        client_admin = await member(app, company.client, "Admin")
        clerk = await member(app, company.client, "User Admin")
        await member(app, company.client, "Admin")  # with a password
        await company.sign_in("the-boss", client_admin.email)
        with provider(app.clock, alg="ES256") as evil:
            oidc = {"issuer": evil.issuer, "clientSecret": evil.client_secret}
            changed = await company.change(token=clerk.token, oidc=oidc)
            assert changed["reachesAdmins"] is False
            forged = OidcProvider(app, evil, company.client, changed)
            assert "Admin" in await forged.refused("the-boss", client_admin.email)
            assert "another subject" in await forged.refused("another-subject", client_admin.email)
        original = {"issuer": company.op.issuer, "clientSecret": company.op.client_secret}
        await company.change(token=clerk.token, oidc=original)
        assert "Admin" in await company.refused("the-boss", client_admin.email)
        confirmed = await company.change(oidc=original)
        assert confirmed["reachesAdmins"] is True
        assert (await session_of(await company.sign_in("the-boss", client_admin.email)))["user"][
            "id"
        ] == client_admin.id


async def test_deleting_and_making_it_again_reaches_no_admin_either(app: App) -> None:
    async with oidc_provider(app, name="mine", vouches=True) as company:
        client_admin, clerk = (
            await member(app, company.client, "Admin"),
            await member(app, company.client, "User Admin"),
        )
        await member(app, company.client, "Admin")  # with a password
        await company.sign_in("the-boss", client_admin.email)
        assert (await company.send("DELETE", token=clerk.token)).status == 200
        mine = await own_provider(app, company.client, clerk.token, company.op, domains=[f"{company.client}.example"])
        assert "Admin" in await mine.refused("the-boss", client_admin.email)


@rule("PROVIDER-RANK")
@matrix("by", ["Admin", "system admin"])
async def test_an_admins_save_lets_admins_in_again(app: App, by: str) -> None:
    async with oidc_provider(app, groupRoles=ADMINS) as company:
        client_admin, clerk = (
            await member(app, company.client, "Admin"),
            await member(app, company.client, "User Admin"),
        )
        assert company.made["reachesAdmins"] is True
        assert (await company.change(token=clerk.token, createUsers=True, groupRoles=[]))["reachesAdmins"] is False
        assert (await company.change(token=clerk.token, groupRoles=ADMINS))["reachesAdmins"] is False
        await company.refused("new-boss", "new-boss@mail.example", groups=["bosses"])
        again = await company.change(token=client_admin.token if by == "Admin" else "")
        assert again["reachesAdmins"] is True
        browser = await company.sign_in("new-boss", "new-boss@mail.example", groups=["bosses"])
        assert (await session_of(browser))["roles"] == ["Admin", "Viewer"]


async def test_what_says_nothing_of_people_does_not_need_an_admin(app: App) -> None:
    async with oidc_provider(app) as company:
        clerk = (await member(app, company.client, "User Admin")).token
        same = {"createUsers": True, "oidc": {"issuer": company.op.issuer}}
        for members in ({"displayName": "A new name"}, {}, same, {"oidc": {"clientSecret": "another"}}):
            assert (await company.change(token=clerk, **members))["reachesAdmins"] is True, members
        for act in ("switch-off", "switch-on"):
            assert (await company.send("POST", f"/{act}", token=clerk)).data["reachesAdmins"] is True


async def test_it_takes_the_admin_role_from_no_one(app: App) -> None:
    async with oidc_provider(app, groupRoles=ADMINS) as company:
        await member(app, company.client, "Admin")
        clerk = await member(app, company.client, "User Admin")
        client_admin = await session_of(await company.sign_in("boss", "boss@mail.example", groups=["bosses"]))
        await company.change(token=clerk.token, groupRoles=[])
        assert "Admin" in await company.refused("boss", "boss@mail.example", groups=["bosses"])
        assert (await user_of(app, company.client, client_admin["user"]["id"]))["roles"] == ["Admin", "Viewer"]


@rule("RANK")
async def test_an_invitation_of_a_user_admin_opens_no_account_that_became_an_admins(app: App) -> None:
    async with oidc_provider(app) as company:
        clerk = await member(app, company.client, "User Admin")
        rising, _ = await new_user(app, company.client)
        token = (await company.invite(rising, clerk.token)).data["token"]
        await set_roles(app, company.client, rising, "Admin")
        begun = await Browser(app).start("oidc", client=company.client, provider=company.name, invitation=token)
        assert check_no_one_got_in(begun) == "The invitation is no longer valid"
        token = (await company.invite(rising)).data["token"]
        browser = await company.sign_in("the-real-one", query={"invitation": token})
        assert (await session_of(browser))["user"]["id"] == rising


@matrix("how", ["by hand", "by group"])
async def test_a_user_who_signed_in_by_such_a_provider_is_out_when_the_account_becomes_an_admins(
    app: App, how: str
) -> None:
    async with oidc_provider(app, vouches=True, groupRoles=ADMINS) as company:
        clerk, (rising, email) = await member(app, company.client, "User Admin"), await new_user(app, company.client)
        with provider(app.clock, alg="ES256") as op:
            mine = await own_provider(app, company.client, clerk.token, op, domains=[f"{company.client}.example"])
            outsider = await mine.sign_in("i-am-rising", email)
            _, coded = await mine.attempt("i-am-rising", email, query={"response": "code"})
        code = {"code": coded.headers["location"].partition("code=")[2]}
        await company.sign_in("rising", email)
        if how == "by hand":
            await set_roles(app, company.client, rising, "Admin")
        rightful = await company.sign_in("rising", email, groups=["bosses"])
        assert "Admin" in (await session_of(rightful))["roles"]
        assert (await outsider.me()).status == 401
        check_no_one_got_in(await app.post("/api/client/auth/exchange", code))


async def test_the_reason_is_recorded_and_not_told(app: App) -> None:
    client = await new_client(app)
    client_admin, clerk = await member(app, client, "Admin"), await member(app, client, "User Admin")
    with provider(app.clock, alg="ES256") as op:
        mine = await own_provider(app, client, clerk.token, op, domains=[f"{client}.example"])
        _, reply = await mine.attempt("the-boss", client_admin.email)
        assert "Admin" not in check_no_one_got_in(reply)
        assert (
            await last_reason(app, client)
            == "the account belongs to an Admin, and a User Admin last changed the provider"
        )
