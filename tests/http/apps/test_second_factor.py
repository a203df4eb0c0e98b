"""Apps that require two factors, and users who sign in through a provider."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.http.apps.relying import Relying, relying, told
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.people import member
from tests.support.rows import change_rows
from tests.support.rules import rule
from tests.support.second_factors import Person, enrolled
from tests.support.single_sign_on import Browser, add_oidc
from tests.support.visitor import Page, Visitor

CLAIMS = '{"id_token":{"acr":{"essential":true,"values":["mfa"]}}}'


@pytest.fixture
async def client(app: App) -> str:
    """A client for one test."""
    return await new_client(app)


async def answers(visitor: Visitor, page: Page, person: Person) -> Page:
    """Enter the authenticator app's code on the page that asks for it."""
    assert page.reply.status == 200, page.reply.text
    [form] = [one for one in page.forms() if "otp" in one.fields]
    return await visitor.follow(await visitor.post(form.action, form.fields | {"otp": person.code()}))


@matrix("asks", [{"acr_values": "mfa"}, {"claims": CLAIMS}, {}], ids=["acr_values", "claims", "secondFactor"])
async def test_two_factors_are_required_regardless_of_the_requests_claims(app: App, asks: dict[str, str]) -> None:
    person = await enrolled(app)
    client = person.client
    web, plain = await relying(app, client, secondFactor=not asks), await relying(app, client)
    visitor = Visitor(app)
    page = await answers(visitor, await plain.sign_in(visitor, person.email), person)
    claims = await plain.claims((await plain.redeem(told(page))).json["id_token"])
    assert (claims["acr"], claims["amr"]) == ("mfa", ["pwd", "otp", "mfa"])
    assert "code" in told(await web.authorize(visitor, prompt="none", **asks))
    other = await member(app, client)  # a user without a second factor
    visitor = Visitor(app)
    await plain.sign_in(visitor, other.email)
    assert told(await web.authorize(visitor, prompt="none", **asks))["error"] == "interaction_required"
    page = await web.sign_in(visitor, other.email, **asks)
    assert page.title.startswith("Set up a second factor"), page.title
    assert told(await web.authorize(visitor, prompt="none", **asks))["error"] == "interaction_required"


async def test_a_provider_sign_in_continues_to_the_app(app: App, client: str, op: Op) -> None:
    await add_oidc(app, op, client)
    op.claims = {"auth_time": None}
    web, browser = await relying(app, client), Browser(app)
    asked = await browser.send("GET", f"{web.path}/authorize?{urlencode(web.request())}")
    page = Page(await browser.send("GET", asked.headers["location"]))
    [start] = [href for href in page.links().values() if "/auth/oidc?" in href]
    started = await browser.send("GET", start)
    back = await browser.send("GET", op.visit(started.headers["location"]))
    assert back.headers["location"].startswith(f"{web.path}/authorize?s=")
    reply = await web.redeem(told(Page(await browser.send("GET", back.headers["location"]))))
    assert reply.status == 200, reply.text
    claims = await web.claims(reply.json["id_token"])
    assert (claims["acr"], claims["auth_time"]) == ("pwd", app.clock.ms // 1000)
    app.clock.advance(60)  # a later app gets the same authentication time
    again = Page(await browser.send("GET", f"{web.path}/authorize?{urlencode(web.request())}"))
    later = await web.claims((await web.redeem(told(again))).json["id_token"])
    assert later["auth_time"] == claims["auth_time"]


async def test_an_app_that_now_requires_two_factors_rejects_an_older_code(app: App, client: str) -> None:
    web: Relying = await relying(app, client)
    person, visitor = await member(app, client), Visitor(app)
    await web.sign_in(visitor, person.email)
    code = told(await web.authorize(visitor))
    path = f"/api/admin/clients/{client}/apps/{web.id}"
    assert (await app.send("PATCH", path, {"secondFactor": True}, token=await app.admin_token())).status == 200
    assert (await web.redeem(code)).json["error"] == "invalid_grant"


@rule("APP-ENDS")
async def test_one_factor_sessions_cannot_refresh_after_that(app: App, client: str) -> None:
    web: Relying = await relying(app, client, scopes=["openid", "offline_access"])
    got = await web.tokens(Visitor(app), (await member(app, client)).email, scope="openid offline_access")
    assert await change_rows(app, "device_apps", {"id": web.id}, second_factor=1) == 1  # its session still exists
    assert (await web.refresh(got["refresh_token"])).json["error"] == "invalid_grant"
