"""System admins on pages: created with random passwords, disabled, enabled, and reset after re-authentication."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.pages.installation.console import PROOF, TEN_MINUTES, act, asked, prove
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.system_admins import another, enrolled, sign_in, signed_in_admin
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

ADMINS = "/installation/admins"


async def other(app: App) -> Any:
    return await another(await signed_in_admin(app))


def shown_password(page: Page) -> str:
    assert page.status == 200
    return str(page.tree.xpath("//code[@id='made']")[0].text)


async def test_one_is_made_with_a_password_that_is_shown_once(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    page = await act(visitor, ADMINS, act="make", username=" grace ")
    password = shown_password(page)
    assert len(password) == 24
    assert password not in (await visitor.get(ADMINS)).reply.text
    assert (await sign_in(app, "grace", password)).status == 200
    again = await act(visitor, ADMINS, act="make", username="grace")
    assert (again.status, again.problems) == (409, ["A system admin with this name already exists"])
    assert again.tree.xpath("//input[@name='username']")[0].get("value") == "grace"
    for wrong in ("", "x" * 65, "a\tb", "a" * 257):
        assert (await act(visitor, ADMINS, act="make", username=wrong)).status == 400


async def test_they_are_listed_and_searched(app: App) -> None:
    one = await other(app)
    visitor = await Visitor(app).system_admin()
    page = await visitor.get(f"{ADMINS}?q={one.username}")
    assert [th.text_content().strip() for th in page.tree.xpath("//tbody//th")] == [one.username]
    assert "No matching system admins" in (await visitor.get(f"{ADMINS}?q={one.username}&state=disabled")).text
    assert "root (you)" in (await visitor.get(ADMINS)).text


async def test_one_is_disabled_and_enabled(app: App) -> None:
    one = await other(app)
    visitor = await Visitor(app).system_admin()
    theirs = await Visitor(app).system_admin(one.username)
    done = await visitor.follow(await act(visitor, ADMINS, act="disable", id=str(one.id)))
    assert "admin disabled" in done.text
    assert (await theirs.get("/installation")).status == 303
    assert (await act(visitor, ADMINS, act="disable", id=str(one.id))).status == 409
    assert (await act(visitor, ADMINS, act="enable", id=str(one.id))).status == 303
    assert (await sign_in(app, one.username)).status == 200


async def test_one_gets_a_new_password_and_loses_the_second_factor(app: App) -> None:
    one = await other(app)
    await enrolled(one)
    visitor = await Visitor(app).system_admin()
    password = shown_password(await act(visitor, ADMINS, act="password", id=str(one.id)))
    assert (await sign_in(app, one.username, PASSWORD)).status == 401
    assert (await sign_in(app, one.username, password)).code == "MFA_REQUIRED"
    assert (await act(visitor, ADMINS, act="factor", id=str(one.id))).status == 303
    assert (await sign_in(app, one.username, password)).status == 200
    assert (await act(visitor, ADMINS, act="factor", id=str(one.id))).status == 409


async def test_all_sessions_of_one_end(app: App) -> None:
    one = await other(app)
    visitor, theirs = await Visitor(app).system_admin(), await Visitor(app).system_admin(one.username)
    assert (await act(visitor, ADMINS, act="end", id=str(one.id))).status == 303
    assert (await theirs.get("/installation")).status == 303


async def test_what_one_must_not_do_to_oneself(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    me = (await app.get("/api/admin/auth/me", token=await app.admin_token())).data
    number = str(me["admin"]["id"] if "admin" in me else me["id"])
    for what in ("password", "factor"):
        page = await act(visitor, ADMINS, act=what, id=number)
        assert (page.status, "your own" in page.problems[0]) == (409, True)


@matrix("number", ["", "0", "-1", "99999", "1e3", "٣", "9" * 30])
@matrix("what", ["disable", "password"])
async def test_one_who_does_not_exist_is_not_found(app: App, what: str, number: str) -> None:
    visitor = await Visitor(app).system_admin()
    assert (await act(visitor, ADMINS, act=what, id=number)).status == 404


@matrix("what", ["make", "disable", "enable", "password", "factor", "end"])
async def test_every_act_wants_a_fresh_password(app: App, what: str) -> None:
    one = await other(app)
    visitor = await Visitor(app).system_admin()
    app.clock.advance(TEN_MINUTES)
    before = (await app.get(f"/api/admin/admins/{one.id}", token=await app.admin_token())).data
    page = await act(visitor, ADMINS, act=what, id=str(one.id), username="never")
    assert (await app.get(f"/api/admin/admins/{one.id}", token=await app.admin_token())).data == before
    done = await prove(visitor, page)
    assert done.status in (200, 303, 409)  # 409: it's already enabled, or has no second factor


async def test_with_a_second_factor_the_code_is_asked_for_too(app: App) -> None:
    one = await other(app)
    phone = await enrolled(one)
    visitor = Visitor(app)
    step = await visitor.submit(
        await visitor.get("/installation/sign-in"), "/installation/sign-in", username=one.username, password=PASSWORD
    )
    assert (await visitor.submit(step, "/installation/sign-in/code", otp=phone.code())).status == 303
    app.clock.advance(TEN_MINUTES)
    page = await act(visitor, ADMINS, act="make", username="by-code")
    question = await asked(visitor, page)
    assert "proofOtp" in question.form(PROOF).fields
    for otp, said in (
        ("", "A code from your authenticator app is required"),
        (phone.wrong(), "The code is incorrect or was already used"),
    ):
        wrong = await visitor.submit(await asked(visitor, page), PROOF, proofPassword=PASSWORD, proofOtp=otp)
        assert (wrong.status, wrong.problems) == (401, [said])
    assert shown_password(await prove(visitor, page, otp=phone.code()))


async def test_sessions_that_are_ended_twice_are_ended(app: App) -> None:
    visitor, one = await Visitor(app).system_admin(), await other(app)
    for _ in range(2):
        ended = await act(visitor, ADMINS, act="end", id=str(one.id))
        assert (ended.status, ended.location) == (303, ADMINS)
        assert "All sessions of the system admin ended." in (await visitor.follow(ended)).text


async def test_who_is_put_out_in_the_meantime_signs_in_again(app: App) -> None:
    one = await other(app)
    theirs = await Visitor(app).system_admin(one.username)
    page = await theirs.get(ADMINS)
    token = page.form("/installation/sign-out").fields["form"]
    assert token
    await app.post(f"/api/admin/admins/{one.id}/disable", token=await app.admin_token())
    done = await theirs.post(ADMINS, {"form": token, "act": "make", "username": "late"})
    assert (done.status, done.location.partition("?")[0]) == (303, "/installation/sign-in")
