"""`/reauthenticate` for a user who can only re-authenticate at a provider: the redirects, and a code afterward."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.accounts import settle, trail
from tests.support.application import App, Reply
from tests.support.envelope import check_success
from tests.support.people import OidcProvider, oidc_provider, set_roles
from tests.support.rules import rule
from tests.support.second_factors import OWN
from tests.support.single_sign_on import Browser
from tests.support.system_admins import Phone
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
PATH = "/reauthenticate"
FACTOR, RULES, APPS = "/account/second-factor", "/console/rules", "/console/rules?page=apps"
WAITING = "/account/continue?form="


class Ada:
    """A user without a password, in a browser that signed in through the provider."""

    def __init__(self, idp: OidcProvider, browser: Browser) -> None:
        self.idp, self.app, self.api = idp, idp.app, browser
        self.visitor = Visitor(idp.app, {"session": browser.cookies["session"]})

    async def leaves(self, page: Page) -> tuple[str, dict[str, str]]:
        """Click the provider's button; returns its URL, and the cookies of the flow."""
        page = await self.visitor.submit(page, PATH)
        assert (page.status, page.location.partition("?")[0]) == (303, "/account/identities/provider")
        lines = page.reply.headers.get_list("set-cookie")
        flow = dict(line.partition(";")[0].split("=", 1) for line in lines if "; Path=/api/client/auth;" in line)
        return (await self.visitor.follow(page)).links()["Continue"], flow

    async def comes_back(self, page: Page, sub: str = "ada") -> Reply:
        address, flow = await self.leaves(page)
        assert address.startswith(self.idp.op.issuer)
        self.idp.knows(sub, f"{sub}@{self.idp.client}.example")
        browser = Browser(self.app, {**self.visitor.cookies, **flow})
        return await browser.send("GET", self.idp.op.visit(address))


@pytest.fixture
async def ada(app: App) -> AsyncIterator[Ada]:
    async with oidc_provider(app, displayName="The company", vouches=True, createUsers=True) as idp:
        yield Ada(idp, await idp.sign_in("ada", f"ada@{idp.client}.example"))


async def refused(ada: Ada) -> Page:
    """The re-authentication page that a rejected action leads to."""
    ada.app.clock.advance(3600)
    page = await ada.visitor.get(FACTOR)
    page = await ada.visitor.submit(page, FACTOR, {"act": "begin"})
    assert (page.status, page.location.startswith(f"{PATH}?returnTo={WAITING}")) == (303, True)
    return await ada.visitor.follow(page)


async def test_the_provider_proves_who_it_is_and_leads_back(ada: Ada) -> None:
    page = await refused(ada)
    assert "Sign in at your provider again." in page.text
    assert page.form(PATH).buttons == ("Continue with The company",)
    assert page.tree.xpath("//main//input[@type='password']") == []
    ended = await ada.comes_back(page)
    assert (ended.status, ended.headers["location"].startswith(WAITING)) == (302, True)
    page = await ada.visitor.get(ended.headers["location"])
    assert page.location == f"{FACTOR}?way=app"


@rule("RECENT-PROOF")
async def test_another_person_of_the_provider_verifies_nothing(ada: Ada) -> None:
    ended = await ada.comes_back(await refused(ada), "eve")
    assert ended.status == 401
    page = await ada.visitor.submit(await ada.visitor.get(FACTOR), FACTOR, {"act": "begin"})
    assert page.location.startswith(f"{PATH}?returnTo={WAITING}")


async def test_with_a_factor_a_code_follows_on_the_same_page(ada: Ada) -> None:
    begun = check_success(await ada.api.send("POST", f"{OWN}/totp"), 201)
    phone = Phone(ada.app, begun["secret"])
    check_success(await ada.api.send("POST", f"{OWN}/totp/confirm", body={"otp": phone.code()}))
    page = await refused(ada)
    assert "Then enter a code." in page.text
    ended = await ada.comes_back(page)
    assert (ended.status, ended.headers["location"].startswith(f"{PATH}?returnTo={WAITING}")) == (302, True)
    page = await ada.visitor.get(ended.headers["location"])
    fields = page.form(PATH).fields
    assert "otp" in fields
    assert "currentPassword" not in fields
    page = await ada.visitor.submit(page, PATH, otp=phone.code())
    assert (await ada.visitor.get(page.location)).location == f"{FACTOR}?way=app"
    session = (await ada.app.me(cookie=ada.visitor.cookies["session"])).data["session"]
    assert session["amr"] == ["provider", "otp", "mfa"]
    events = [one.event for one in await trail(ada.app, ada.idp.client)]
    assert "reauthenticated" in events


async def test_a_proof_that_became_old_before_the_code_is_asked_for_again(ada: Ada) -> None:
    begun = check_success(await ada.api.send("POST", f"{OWN}/totp"), 201)
    phone = Phone(ada.app, begun["secret"])
    check_success(await ada.api.send("POST", f"{OWN}/totp/confirm", body={"otp": phone.code()}))
    ended = await ada.comes_back(await refused(ada))
    page = await ada.visitor.get(ended.headers["location"])
    ada.app.clock.advance(601)
    page = await ada.visitor.submit(page, PATH, otp=phone.code())
    assert page.location.startswith(f"{PATH}?returnTo={WAITING}")
    assert (await ada.visitor.follow(page)).form(PATH).buttons == ("Continue with The company",)


async def test_the_rules_are_saved_as_they_were_typed(ada: Ada) -> None:
    me = (await ada.api.me()).data["user"]["id"]
    await set_roles(ada.app, ada.idp.client, me, "User Admin")
    await settle(ada.app, ada.idp.client, stepUp="management")
    ada.visitor.cookies["session"] = (await ada.idp.sign_in("ada", f"ada@{ada.idp.client}.example")).cookies["session"]
    page = await ada.visitor.get(APPS)
    ada.app.clock.advance(3600)
    page = await ada.visitor.submit(page, RULES, act="save", contact="Ask Bob")
    ended = await ada.comes_back(await ada.visitor.follow(page))
    assert ended.status == 302
    page = await ada.visitor.get(ended.headers["location"])
    assert page.location == APPS
    page = await ada.visitor.follow(page)
    assert page.form(RULES, act="preview").fields["contact"] == "Ask Bob"
