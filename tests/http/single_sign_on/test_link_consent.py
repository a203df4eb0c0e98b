"""Only a signed-in user can link another identity to their own account."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import act_on, new_client, trail
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import Member, OidcProvider, last_reason, member, oidc_provider, roles_line, session_of
from tests.support.rules import rule
from tests.support.single_sign_on import (
    RETURN_TO,
    Browser,
    act_on_provider,
    authn_request,
    check_no_one_got_in,
    flow_cookies,
    query_of,
    saml_provider,
)

pytestmark = pytest.mark.one_store

IDENTITIES = "/api/client/auth/identities"


async def begin(browser: Browser, company: OidcProvider, **options: Any) -> Reply:
    body = {"provider": company.name, **options.pop("body", {})}
    return await browser.send("POST", IDENTITIES, body=body, **options)


async def linked(browser: Browser, company: OidcProvider, sub: str, email: str = "", **claims: Any) -> Reply:
    """Link an identity through the whole flow; returns the response of our callback."""
    begun = await begin(browser, company)
    company.knows(sub, email, **claims)
    return await browser.send("GET", company.op.visit(begun.data["location"]))


def browser_of(app: App, who: Member) -> Browser:
    return Browser(app, {"session": who.cookie})


async def test_the_own_account_gets_another_key(app: App) -> None:
    async with oidc_provider(app, createUsers=False) as company:
        owner = await member(app, company.client, "Author")
        browser = browser_of(app, owner)
        reply = await linked(browser, company, "ada", "ada@private.example", verified=False)
        assert (reply.status, reply.headers["location"]) == (302, "/account")
        # The user was already signed in, so no other session starts, and the flow's cookie is gone.
        assert browser.cookies["session"] == owner.cookie
        assert flow_cookies(browser) == {}
        assert len((await app.get("/api/client/auth/sessions", token=owner.token)).data["items"]) == 1
        assert (await session_of(await company.sign_in("ada")))["user"]["id"] == owner.id
        [event] = [event for event in await trail(app, company.client) if event.event == "identity_linked"]
        assert (event.subject, event.members["how"]) == (f"user:{owner.id}", "consent")


async def test_a_bearer_can_begin_it_in_the_browser_that_goes_there(app: App) -> None:
    async with oidc_provider(app, createUsers=False) as company:
        owner = await member(app, company.client)
        browser = Browser(app)
        begun = await begin(browser, company, token=owner.token, body={"returnTo": RETURN_TO})
        assert list(flow_cookies(browser))
        company.knows("ada")
        ended = await browser.send("GET", company.op.visit(begun.data["location"]))
        assert (ended.status, ended.headers["location"]) == (302, RETURN_TO)
        assert (await session_of(await company.sign_in("ada")))["user"]["id"] == owner.id


async def test_groups_count_immediately(app: App) -> None:
    async with oidc_provider(app, groupRoles=[roles_line("ops", "Operator")]) as company:
        browser = browser_of(app, await member(app, company.client))
        await linked(browser, company, "ada", groups=["ops"])
        assert (await session_of(browser))["roles"] == ["Operator", "Viewer"]


async def test_a_saml_provider_is_linked_the_same_way(app: App) -> None:
    okta = await saml_provider(app, createUsers=False)
    owner = await member(app, "acme")
    browser = browser_of(app, owner)
    begun = await browser.send("POST", IDENTITIES, body={"provider": okta.name, "returnTo": RETURN_TO})
    request = authn_request(begun.data["location"])
    begun.headers["location"] = begun.data["location"]
    relay_state = query_of(begun)["RelayState"]
    ended = await okta.post(browser, okta.response("ada", in_response_to=request.get("ID")), relay_state)
    assert (ended.status, ended.headers["location"]) == (303, RETURN_TO)
    assert (await okta.call(okta.response("ada"))).data["user"]["id"] == owner.id


async def test_one_without_the_redirect_binding_says_so(app: App) -> None:
    saml = {"redirectUrl": "", "postUrl": "https://idp.example/post", "binding": "post"}
    okta = await saml_provider(app, saml=saml)
    reply = await app.post(IDENTITIES, {"provider": okta.name}, token=(await member(app, "acme")).token)
    check_refusal(reply, 409, "CONFLICT")


@matrix("origin", ["https://evil.example", "null", "https://idp.example"])
async def test_no_other_site_begins_it_with_the_cookie(app: App, origin: str) -> None:
    """Otherwise, an attacker could link their own identity to the visitor's account."""
    async with oidc_provider(app) as company:
        browser = browser_of(app, await member(app, company.client))
        for headers in ({"Origin": origin}, {"Sec-Fetch-Site": "cross-site"}):
            refused = await begin(browser, company, headers=headers)
            check_refusal(refused, 403, "FORBIDDEN")
            assert flow_cookies(browser) == {}


async def test_no_one_links_without_being_signed_in(app: App) -> None:
    async with oidc_provider(app) as company:
        check_refusal(await begin(Browser(app), company), 401, "UNAUTHENTICATED")
        check_refusal(await begin(Browser(app), company, token=await app.admin_token()), 401, "INVALID_TOKEN")
        # A link isn't enough either, because it requires a POST.
        browser = browser_of(app, await member(app, company.client))
        await company.sign_in("eve", "eve@mail.example", browser=browser)
        assert (await session_of(browser))["user"]["email"] == "eve@mail.example"


async def test_an_identity_of_someone_else_stays_theirs(app: App) -> None:
    async with oidc_provider(app) as company:
        ada = await session_of(await company.sign_in("ada", "ada@mail.example"))
        thief = browser_of(app, await member(app, company.client))
        refused = await linked(thief, company, "ada")
        assert check_no_one_got_in(refused) == "This provider account is already linked to a different account"
        assert (await thief.send("GET", IDENTITIES)).data["items"] == []
        assert (await session_of(await company.sign_in("ada")))["user"]["id"] == ada["user"]["id"]


async def test_linking_it_again_changes_nothing(app: App) -> None:
    async with oidc_provider(app) as company:
        browser = browser_of(app, await member(app, company.client))
        for _ in range(2):
            assert (await linked(browser, company, "ada")).status == 302
        assert len((await browser.send("GET", IDENTITIES)).data["items"]) == 1


@matrix("how", ["signed out", "deactivated", "expired", "suspended"])
async def test_a_session_that_ended_on_the_way_links_nothing(app: App, how: str) -> None:
    async with oidc_provider(app) as company:
        owner = await member(app, company.client)
        browser = browser_of(app, owner)
        if how == "expired":  # just before the session ends, 30 days after its start
            app.clock.advance(5 * 86_400)
            for _ in range(5):
                await browser.me()
                app.clock.advance(5 * 86_400 - 30)
            await browser.send("POST", "/api/client/auth/reauthenticate", body={"password": PASSWORD})
        begun = await begin(browser, company)
        assert begun.status == 200, begun.text
        if how == "signed out":
            await app.post("/api/client/auth/sign-out", token=owner.token)
        elif how == "deactivated":
            await act_on(app, f"{company.client}/users/{owner.id}/deactivate")
        elif how == "suspended":
            await act_on(app, f"{company.client}/suspend")
        else:
            app.clock.advance(300)
        company.knows("ada")
        ended = await browser.send("GET", company.op.visit(begun.data["location"]))
        if how == "suspended":
            check_no_one_got_in(ended, 403, "ACCOUNT_DISABLED")
        else:
            assert check_no_one_got_in(ended) == "You're no longer signed in"
            assert "has ended" in await last_reason(app, company.client)
        path = f"/api/admin/clients/{company.client}/users/{owner.id}/identities"
        assert (await app.get(path, token=await app.admin_token())).data["items"] == []


@rule("RECENT-PROOF")
@matrix("proves_again", [False, True])
async def test_the_link_is_there_within_ten_minutes_of_the_proof(app: App, proves_again: bool) -> None:
    async with oidc_provider(app) as company:
        browser = browser_of(app, await member(app, company.client))
        app.clock.advance(540)
        begun = await begin(browser, company)
        app.clock.advance(60)
        if proves_again:
            check_success(await browser.send("POST", "/api/client/auth/reauthenticate", body={"password": PASSWORD}))
        company.knows("ada")
        ended = await browser.send("GET", company.op.visit(begun.data["location"]))
        if not proves_again:
            check_no_one_got_in(ended)
            assert "re-authentication for the link is too old" in await last_reason(app, company.client)
        assert len((await browser.send("GET", IDENTITIES)).data["items"]) == proves_again


async def test_another_browser_does_not_end_it(app: App) -> None:
    """The victim is sent to the provider's URL or to the return URL; neither one gives access to an account."""
    async with oidc_provider(app) as company:
        mallory, victim = [browser_of(app, await member(app, company.client)) for _ in range(2)]
        begun = await begin(mallory, company)
        company.knows("victim")
        address = company.op.visit(begun.data["location"])
        check_no_one_got_in(await victim.send("GET", address))
        check_no_one_got_in(await Browser(app).send("GET", address))
        for browser in (mallory, victim):
            assert (await browser.send("GET", IDENTITIES)).data["items"] == []


async def test_a_browser_in_which_someone_else_signed_in_in_the_meantime_links_to_the_one_who_asked(app: App) -> None:
    """The consent belongs to the session that started the flow, and ends with it."""
    async with oidc_provider(app) as company:
        first, second = [await member(app, company.client) for _ in range(2)]
        browser = browser_of(app, first)
        begun = await begin(browser, company)
        browser.cookies["session"] = second.cookie
        company.knows("ada")
        assert (await browser.send("GET", company.op.visit(begun.data["location"]))).status == 302
        assert (await session_of(await company.sign_in("ada")))["user"]["id"] == first.id


async def test_only_a_provider_of_their_own_client_that_is_on(app: App) -> None:
    async with oidc_provider(app) as company, oidc_provider(app) as foreign:
        browser = browser_of(app, await member(app, company.client))
        check_refusal(await begin(browser, foreign), 404, "NOT_FOUND")
        check_refusal(await begin(browser, company, body={"provider": "none"}), 404, "NOT_FOUND")
        check_refusal(
            await begin(browser, company, body={"returnTo": "https://evil.example/"}), 400, "VALIDATION_ERROR"
        )
        begun = await begin(browser, company)
        await act_on_provider(app, company.client, company.name, "switch-off")
        check_no_one_got_in(await begin(browser, company))
        company.knows("ada")
        check_no_one_got_in(await browser.send("GET", company.op.visit(begun.data["location"])))
        assert (await browser.send("GET", IDENTITIES)).data["items"] == []


async def test_an_unknown_client_or_user_is_no_way_in(app: App) -> None:
    client = await new_client(app)
    owner = await member(app, client)
    check_refusal(await app.post(IDENTITIES, {"provider": ""}, token=owner.token), 400, "VALIDATION_ERROR")
    check_refusal(await app.post(IDENTITIES, {}, token=owner.token), 400, "VALIDATION_ERROR")
