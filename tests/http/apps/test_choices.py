"""An app's request is valid only in the browser that started it; covers the user's choices and consent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.http.apps.relying import Relying, relying, told
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.people import member
from tests.support.rules import rule
from tests.support.visitor import Page, Visitor


@pytest.fixture
async def web(app: App) -> Relying:
    return await relying(app, await new_client(app), scopes=["openid", "offline_access"])


async def press(web: Relying, visitor: Visitor, page: Page) -> Page:
    """Click the button on the consent page."""
    return await visitor.submit(page, f"{web.path}/consent", {"act": "approve"})


async def _by_form(web: Relying, asked: dict[str, str]) -> str:
    return (await Visitor(web.app).post(f"{web.path}/authorize", web.request(**asked))).location


async def _by_link(web: Relying, asked: dict[str, str]) -> str:
    visitor, attacker = Visitor(web.app), await member(web.app, web.client)
    page = await web.sign_in(visitor, attacker.email, **asked | {"prompt": f"{asked.get('prompt', '')} consent"})
    return f"{web.path}/authorize?s={page.form(f'{web.path}/consent', act='approve').fields['s']}"


@rule("APP-CODES")
@matrix("asked", [{"prompt": "login"}, {"max_age": "0"}], ids=["prompt", "max_age"])
@matrix("begin", [_by_form, _by_link])
async def test_an_earlier_sign_in_does_not_satisfy_another_browsers_request(
    app: App, web: Relying, begin: Callable[[Relying, dict[str, str]], Awaitable[str]], asked: dict[str, str]
) -> None:
    address = await begin(web, asked)
    app.clock.advance(1)
    person, visitor = await member(app, web.client), Visitor(app)
    await web.tokens(visitor, person.email)  # for another request
    app.clock.advance(1)
    for form in ("", visitor.cookies.pop("form")):
        if form:
            visitor.cookies["form"] = form
        page = await visitor.get(address)
        assert page.location.startswith("/sign-in?s="), page.location
    page = await web.enter(visitor, await visitor.follow(page), person.email)
    answer = told(page if begin is _by_form else await press(web, visitor, page))
    claims = await web.claims((await web.redeem(answer)).json["id_token"])
    assert (claims["sub"], claims["auth_time"]) == (str(person.id), app.clock.ms // 1000)


async def test_a_user_chooses_the_account(app: App, web: Relying) -> None:
    person, other, visitor = await member(app, web.client), await member(app, web.client), Visitor(app)
    choose = {"prompt": "select_account"}

    async def user(page: Page) -> str:
        return str((await web.claims((await web.redeem(told(page))).json["id_token"]))["sub"])

    assert await user(await web.sign_in(visitor, person.email, **choose)) == str(person.id)  # no user was signed in
    page = await visitor.follow(await web.authorize(visitor, **choose))
    assert person.email in page.text
    assert await user(await press(web, visitor, page)) == str(person.id)
    page = await visitor.get(page.links()["Use another account"])
    assert person.email not in page.reply.text
    assert await user(await web.enter(visitor, page, other.email)) == str(other.id)


@rule("APP-CONSENT")
@matrix("consent", [False, True])
async def test_an_admin_agrees_for_users_that_the_clients_own_app_stays_signed_in(app: App, consent: bool) -> None:
    web = await relying(app, await new_client(app), scopes=["openid", "offline_access"], consent=consent)
    person, visitor = await member(app, web.client), Visitor(app)
    page = await web.sign_in(visitor, person.email)
    if consent:
        page = await press(web, visitor, page)
    assert "code" in told(page)
    more = {"scope": "openid offline_access", "prompt": "none"}
    answer = told(await web.authorize(visitor, **more))
    if consent:
        assert answer["error"] == "consent_required"
        page = await visitor.follow(await web.authorize(visitor, scope=more["scope"]))
        assert "Stay signed in while" in page.text
        await press(web, visitor, page)
        answer = told(await web.authorize(visitor, **more))  # the consent is remembered
    got = (await web.redeem(answer)).json
    page = await visitor.get("/account/apps")  # where the user sees and revokes it
    assert "Stay signed in while" in page.text
    await visitor.post("/account/apps", page.form("/account/apps").fields)
    assert (await web.refresh(got["refresh_token"])).json["error"] == "invalid_grant"
