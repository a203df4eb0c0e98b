"""A system admin's own password, second factor, and sessions on a page."""

from __future__ import annotations

import pytest

from tests.http.pages.installation.console import PROOF, TEN_MINUTES, act, prove
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.system_admins import Phone, SystemAdmin, another, enrolled, sign_in, signed_in_admin
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

ACCOUNT = "/installation/account"
NEW = "violet-21-harbor-kestrel"


async def someone(app: App) -> tuple[SystemAdmin, Visitor]:
    me = await another(await signed_in_admin(app))
    return me, await Visitor(app).system_admin(me.username)


def secret_of(page: Page) -> str:
    return str(page.tree.xpath("//code[@id='secret']")[0].text)


async def test_a_second_factor_is_added_and_asked_for_after_that(app: App) -> None:
    me, visitor = await someone(app)
    app.clock.advance(TEN_MINUTES)
    begun = await prove(visitor, await act(visitor, ACCOUNT, act="add"))
    secret = secret_of(begun)
    [link] = [href for href in begun.links().values() if href.startswith("otpauth:")]
    assert secret in link
    phone = Phone(app, secret)
    fields = {"act": "confirm", "secret": secret}
    page = await act(visitor, ACCOUNT, **fields, factorOtp=phone.wrong())
    assert (page.status, len(page.problems), secret_of(page)) == (400, 1, secret)
    assert "factorPassword" not in page.reply.text  # it was entered just before
    done = await act(visitor, ACCOUNT, **fields, factorOtp=phone.code())
    codes = [code.text for code in done.tree.xpath("//ul[@class='code-list']//code")]
    assert (done.status, len(set(codes))) == (200, 10)
    assert not set(codes) & set((await visitor.get(ACCOUNT)).reply.text.split())
    assert "10 recovery codes left" in (await visitor.get(ACCOUNT)).text
    app.clock.advance(30)
    assert (await sign_in(app, me.username)).code == "MFA_REQUIRED"
    assert (await sign_in(app, me.username, otp=codes[0])).status == 200


async def test_new_codes_and_removal_want_password_and_code(app: App) -> None:
    me, _ = await someone(app)
    phone = await enrolled(me)
    visitor = await with_code(app, me, phone)
    for what in ("codes", "remove"):
        wrong = await act(visitor, ACCOUNT, act=what, factorPassword=PASSWORD, factorOtp=phone.wrong())
        assert (wrong.status, wrong.problems) == (401, ["The code is incorrect or was already used"])
    app.clock.advance(30)
    made = await act(visitor, ACCOUNT, act="codes", factorPassword=PASSWORD, factorOtp=phone.code())
    assert len(made.tree.xpath("//ul[@class='code-list']//code")) == 10
    app.clock.advance(30)
    gone = await act(visitor, ACCOUNT, act="remove", factorPassword=PASSWORD, factorOtp=phone.code())
    assert gone.location == ACCOUNT
    assert (await sign_in(app, me.username)).status == 200


async def with_code(app: App, me: SystemAdmin, phone: Phone) -> Visitor:
    visitor = Visitor(app)
    page = await visitor.get("/installation/sign-in")
    step = await visitor.submit(page, "/installation/sign-in", username=me.username, password=PASSWORD)
    assert (await visitor.submit(step, "/installation/sign-in/code", otp=phone.code())).status == 303
    return visitor


async def test_the_password_is_changed_and_other_sessions_end(app: App) -> None:
    me, visitor = await someone(app)
    other = await Visitor(app).system_admin(me.username)
    for current, new, status in (
        ("wrong", NEW, 401),
        (PASSWORD, "short", 400),
        (PASSWORD, PASSWORD, 400),
        ("", NEW, 401),
    ):
        page = await act(visitor, ACCOUNT, act="password", currentPassword=current, newPassword=new)
        assert (page.status, len(page.problems)) == (status, 1)
        assert PASSWORD not in page.reply.text
    done = await act(visitor, ACCOUNT, act="password", currentPassword=PASSWORD, newPassword=NEW)
    assert done.location == ACCOUNT
    assert (await visitor.get(ACCOUNT)).status == 200
    assert (await other.get(ACCOUNT)).status == 303
    assert (await sign_in(app, me.username, NEW)).status == 200


async def test_own_sessions_are_listed_and_the_others_ended(app: App) -> None:
    me, visitor = await someone(app)
    other = await Visitor(app, headers={"User-Agent": "Firefox <b>"}).system_admin(me.username)
    page = await visitor.get(ACCOUNT)
    rows = [" ".join(li.text_content().split()) for li in page.tree.xpath("//section[@aria-labelledby='sessions']//li")]
    assert len(rows) == 3  # this session, the other one, and the token's
    assert sum("This session" in row for row in rows) == 1
    assert sum("API" in row for row in rows) == 1
    assert sum("Firefox <b>" in row for row in rows) == 1
    app.clock.advance(TEN_MINUTES)
    asked = await act(visitor, ACCOUNT, act="end-others")
    assert (await other.get(ACCOUNT)).status == 200
    assert (await prove(visitor, asked)).location == ACCOUNT
    assert (await other.get(ACCOUNT)).status == 303
    assert (await visitor.get(ACCOUNT)).status == 200


async def test_where_a_second_factor_is_required_one_can_add_it_and_do_nothing_else(app: App) -> None:
    root = await signed_in_admin(app)
    _, visitor = await someone(app)
    strong = await another(root)
    phone = await enrolled(strong)
    strong = await strong.again(phone.code())
    assert (await strong.send("PATCH", "/api/admin/settings", {"secondFactorRequired": True})).status == 200
    try:
        for path in ("/installation", "/installation/clients", "/installation/clients/acme", "/installation/settings"):
            page = await visitor.get(path)
            assert (page.status, page.location) == (303, ACCOUNT)
        page = await visitor.get(ACCOUNT)
        assert "must have a second factor" in page.text
        assert not page.tree.xpath("//nav")
        assert (await visitor.get("/installation/reauthenticate")).status == 200  # the held action can require it
        posted = await visitor.post("/installation/clients", {"form": "x", "identifier": "evil", "name": "Evil"})
        assert (posted.status, posted.location) == (303, ACCOUNT)
        begun = await act(visitor, ACCOUNT, act="add")
        own = Phone(app, secret_of(begun))
        typed = {"secret": own.secret, "factorOtp": own.code()}
        done = await act(visitor, ACCOUNT, act="confirm", **typed)
        assert done.status == 200
        assert (await visitor.get("/installation")).status == 200
        app.clock.advance(30)
        kept = await act(visitor, ACCOUNT, act="remove", factorPassword=PASSWORD, factorOtp=own.code())
        assert kept.status == 409
    finally:
        await strong.send("PATCH", "/api/admin/settings", {"secondFactorRequired": False})


@matrix("secret", ["<b>", "A" * 65, "lower", "A B"])
async def test_a_secret_that_is_made_up_is_not_shown(app: App, secret: str) -> None:
    _, visitor = await someone(app)
    page = await act(visitor, ACCOUNT, act="confirm", secret=secret, factorOtp="1", factorPassword="x")
    assert page.status == 400
    assert "<b>" not in page.reply.text


async def test_a_page_that_asks_for_the_password_again_holds_no_secret(app: App) -> None:
    _, visitor = await someone(app)
    page = await visitor.get(PROOF)
    page = await visitor.submit(page, PROOF, proofPassword="not it", otp=NEW)
    assert page.status == 401
    assert NEW not in page.reply.text
    assert "not it" not in page.reply.text
