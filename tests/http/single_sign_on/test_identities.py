"""Linked identities can be listed and unlinked by their user, or by those who manage users."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import new_user, trail
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.people import (
    OidcProvider,
    member,
    oidc_provider,
    roles_line,
    session_of,
    set_roles,
    user_of,
)
from tests.support.single_sign_on import Browser, check_no_one_got_in, query_of

pytestmark = pytest.mark.one_store

IDENTITIES = "/api/client/auth/identities"
OPS = [roles_line("ops", "Operator")]


async def own(browser: Browser) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = check_success(await browser.send("GET", IDENTITIES))["items"]
    return found


async def unlink(browser: Browser, identity: int, **options: Any) -> Any:
    return await browser.send("DELETE", f"{IDENTITIES}/{identity}", **options)


def base(company: OidcProvider, user_id: int, *, inside: bool) -> str:
    clients = "/api/client" if inside else f"/api/admin/clients/{company.client}"
    return f"{clients}/users/{user_id}/identities"


async def test_the_callers_own_list(app: App) -> None:
    async with oidc_provider(app, displayName="The company", vouches=True) as company:
        user_id, email = await new_user(app, company.client)
        _, address = await new_user(app, company.client)
        await company.sign_in("other", address)
        browser = await company.sign_in("ada", email)
        app.clock.advance(60)
        browser = await company.sign_in("ada", "ada@changed.example")
        [row] = await own(browser)
        assert row.keys() == {
            "id", "provider", "displayName", "kind", "subject", "email", "how", "vouched", "confirmedAt", "confirmedBy",
            "createdAt", "lastSignInAt",
        }  # fmt: skip
        assert (row["provider"], row["displayName"], row["kind"]) == (company.name, "The company", "oidc")
        assert (row["subject"], row["email"], row["how"]) == ("ada", "ada@changed.example", "domain")
        assert (row["vouched"], row["confirmedAt"], row["confirmedBy"]) == (False, None, None)
        assert row["createdAt"] < row["lastSignInAt"]
        listed = check_success(await app.get(base(company, user_id, inside=False), token=await app.admin_token()))
        assert listed["items"] == [row]


async def test_one_unlinks_their_own_and_stays_signed_in(app: App) -> None:
    async with (
        oidc_provider(app, vouches=True) as company,
        oidc_provider(app, company.client, vouches=True) as other,
    ):
        user_id, email = await new_user(app, company.client)
        await other.sign_in("ada", email)
        browser = await company.sign_in_invited(user_id, "ada", email)
        first, row = await own(browser)
        assert check_success(await unlink(browser, row["id"])) == {}
        assert await own(browser) == [first]
        assert (await session_of(browser))["user"]["id"] == user_id
        check_refusal(await unlink(browser, row["id"]), 404, "NOT_FOUND")
        [event] = [event for event in await trail(app, company.client) if event.event == "identity_unlinked"]
        assert (event.actor, event.subject) == (f"user:{user_id}", f"user:{user_id}")
        await company.change(domains=[])
        _, reply = await company.attempt("ada", email)
        check_no_one_got_in(reply)


async def test_the_last_way_in_stays(app: App) -> None:
    async with (
        oidc_provider(app, vouches=True) as one,
        oidc_provider(app, one.client, vouches=True) as other,
    ):
        user_id, email = await new_user(app, one.client)
        browser = await one.sign_in("ada", email)
        [row] = await own(browser)
        refused = check_refusal(await unlink(browser, row["id"]), 409, "CONFLICT")
        assert refused["message"].startswith("This is your only sign-in method")
        browser = await other.sign_in_invited(user_id, "ada", email)
        await one.send("POST", "/switch-off")
        _, second = await own(browser)
        check_refusal(await unlink(browser, second["id"]), 409, "CONFLICT")  # the first one can't be used to sign in
        await one.send("POST", "/switch-on")
        assert check_success(await unlink(browser, row["id"])) == {}
        check_refusal(await unlink(browser, second["id"]), 409, "CONFLICT")


async def test_who_came_in_by_it_is_out_when_its_user_removes_it(app: App) -> None:
    """A user who sees an unknown identity in the list removes it, and thereby the sessions that it opened."""
    async with oidc_provider(app) as company:
        ada, other = await member(app, company.client), await member(app, company.client)
        mine = Browser(app, {"session": ada.cookie})
        begun = check_success(await mine.send("POST", IDENTITIES, body={"provider": company.name}))
        company.knows("eve")
        assert (await mine.send("GET", company.op.visit(begun["location"]))).status == 302
        eve, again = await company.sign_in("eve"), await company.sign_in("eve")
        outsider = await company.sign_in("outsider", "outsider@mail.example")
        _, reply = await company.attempt("eve", query={"response": "code"})
        code = query_of(reply)["code"]
        [row] = await own(mine)
        check_success(await unlink(mine, row["id"]))
        for browser in (eve, again):
            check_refusal(await browser.me(), 401, "INVALID_TOKEN")
        check_refusal(await app.post("/api/client/auth/exchange", {"code": code}), 401, "SSO_FAILED")
        # Nobody else, and no session that started differently.
        for token in (ada.token, other.token):
            assert (await app.me(token)).status == 200
        assert (await outsider.me()).status == 200
        [event] = [event for event in await trail(app, company.client) if event.event == "identity_unlinked"]
        assert event.members["sessions_ended"] == 2


async def test_nobody_unlinks_an_identity_of_someone_else(app: App) -> None:
    async with oidc_provider(app) as company:
        ada, eve = [await company.sign_in(sub, f"{sub}@mail.example") for sub in ("ada", "eve")]
        [row] = await own(ada)
        check_refusal(await unlink(eve, row["id"]), 404, "NOT_FOUND")
        check_refusal(await unlink(eve, row["id"], headers={"Origin": "https://evil.example"}), 403, "FORBIDDEN")
        check_refusal(await unlink(Browser(app), row["id"]), 401, "UNAUTHENTICATED")
        for text in ("0", "-1", "x", str(2**63)):
            assert (await eve.send("DELETE", f"{IDENTITIES}/{text}")).status in (400, 404)
        assert await own(ada) == [row]


async def test_an_admin_unlinks_and_every_session_ends(app: App) -> None:
    async with oidc_provider(app, vouches=True) as company:
        user_id, email = await new_user(app, company.client)
        browser, second = await company.sign_in("ada", email), await company.sign_in("ada", email)
        [row] = await own(browser)
        bystander = await company.sign_in("bob", f"bob@{company.client}.example")
        for inside in (True, False):
            client_admin = (await member(app, company.client, "Admin")).token if inside else await app.admin_token()
            path = f"{base(company, user_id, inside=inside)}/{row['id']}"
            check_success(await app.send("DELETE", path, token=client_admin))
            check_refusal(await app.send("DELETE", path, token=client_admin), 404, "NOT_FOUND")
            assert (await browser.me()).status == 401
            assert (await second.me()).status == 401
            assert (await bystander.me()).status == 200
            browser, second = await company.sign_in("ada", email), await company.sign_in("ada", email)
            [row] = await own(browser)
        events = [event for event in await trail(app, company.client) if event.event == "identity_unlinked"]
        assert [event.members["sessions_ended"] for event in events] == [2, 2]


async def test_who_can_unlink_whose(app: App) -> None:
    async with oidc_provider(app, vouches=True) as company:
        staff = {role: (await member(app, company.client, role)).token for role in ("Admin", "User Admin", "Viewer")}
        client_admin, clerk = (
            await member(app, company.client, "Admin"),
            await member(app, company.client, "User Admin"),
        )
        for whose in (client_admin, clerk):
            for who, token in staff.items():
                [row] = await own(await company.sign_in(f"sub-{whose.id}", whose.email))
                path = base(company, whose.id, inside=True)
                may = who == "Admin" or (who == "User Admin" and whose is clerk)
                # A user who manages users sees all identities, but only an Admin can unlink an Admin's.
                assert (await app.get(path, token=token)).status == (403 if who == "Viewer" else 200)
                assert (await app.send("DELETE", f"{path}/{row['id']}", token=token)).status == (200 if may else 403)


async def test_another_client_sees_nothing(app: App) -> None:
    async with oidc_provider(app) as mine, oidc_provider(app) as other:
        browser = await mine.sign_in("ada", "ada@mail.example")
        [row], me = await own(browser), await session_of(browser)
        client_admin = (await member(app, other.client, "Admin")).token
        path = base(mine, me["user"]["id"], inside=True)
        check_refusal(await app.get(path, token=client_admin), 404, "NOT_FOUND")
        check_refusal(await app.send("DELETE", f"{path}/{row['id']}", token=client_admin), 404, "NOT_FOUND")
        for user in (me["user"]["id"], 10**9):
            path = f"/api/admin/clients/{other.client}/users/{user}/identities"
            check_refusal(await app.get(path, token=await app.admin_token()), 404, "NOT_FOUND")
        check_refusal(
            await app.get(base(mine, me["user"]["id"], inside=False), token=client_admin), 401, "INVALID_TOKEN"
        )
        assert await own(browser) == [row]


async def test_the_identity_must_be_that_users(app: App) -> None:
    async with oidc_provider(app) as company:
        ada, bob = [await company.sign_in(sub, f"{sub}@mail.example") for sub in ("ada", "bob")]
        [row], other = await own(ada), (await session_of(bob))["user"]["id"]
        path = f"{base(company, other, inside=False)}/{row['id']}"
        check_refusal(await app.send("DELETE", path, token=await app.admin_token()), 404, "NOT_FOUND")
        assert (await ada.me()).status == 200


async def test_roles_of_groups_go_with_the_identity(app: App) -> None:
    """Otherwise, unlinking and linking again would keep the roles forever, even after the person left the group."""
    async with (
        oidc_provider(app, vouches=True, groupRoles=OPS) as company,
        oidc_provider(app, company.client, vouches=True, defaultRoles=[]) as way_in,
    ):
        user_id, email = await new_user(app, company.client, roles=["Author"])
        await way_in.sign_in("ada", email)
        browser = await company.sign_in_invited(user_id, "ada", email, groups=["ops"])
        assert (await session_of(browser))["roles"] == ["Author", "Operator", "Viewer"]
        await unlink(browser, (await own(browser))[1]["id"])
        assert (await session_of(browser))["roles"] == ["Author"]
        await company.sign_in_invited(user_id, "ada", email, groups=["ops"])
        assert (await user_of(app, company.client, user_id))["roles"] == ["Author", "Operator", "Viewer"]
        await company.sign_in("ada", email)
        assert (await user_of(app, company.client, user_id))["roles"] == ["Author", "Viewer"]


async def test_roles_that_another_identity_gives_stay(app: App) -> None:
    async with (
        oidc_provider(app, vouches=True, groupRoles=OPS) as one,
        oidc_provider(app, one.client, vouches=True, groupRoles=OPS) as other,
        oidc_provider(app, one.client, vouches=True, defaultRoles=[]) as way_in,
    ):
        user_id, email = await new_user(app, one.client, roles=["Author"])
        await way_in.sign_in("ada", email)
        await one.sign_in_invited(user_id, "ada", email, groups=["ops"])
        browser = await other.sign_in_invited(user_id, "ada", email, groups=["ops"])
        _, first, second = [row["id"] for row in await own(browser)]
        await unlink(browser, first)
        assert (await user_of(app, one.client, user_id))["roles"] == ["Author", "Operator", "Viewer"]
        await unlink(browser, second)
        assert (await user_of(app, one.client, user_id))["roles"] == ["Author"]


async def test_the_last_admin_keeps_the_role_when_the_identity_goes(app: App) -> None:
    async with oidc_provider(app, groupRoles=[roles_line("bosses", "Admin")]) as company:
        await company.sign_in("ada", "ada@mail.example", groups=["bosses"], verified=False)
        user_id = (await session_of(await company.sign_in("ada", groups=["bosses"])))["user"]["id"]
        path, token = base(company, user_id, inside=False), await app.admin_token()
        [row] = (await app.get(path, token=token)).data["items"]
        check_success(await app.send("DELETE", f"{path}/{row['id']}", token=token))
        assert (await user_of(app, company.client, user_id))["roles"] == ["Admin"]
        await set_roles(app, company.client, user_id, "Admin", "Viewer")
