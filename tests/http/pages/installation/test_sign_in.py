"""A system admin signs in on a page with name and password, then a code; errors reveal nothing else."""

from __future__ import annotations

import pytest

from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.system_admins import Phone, SystemAdmin, another, enrolled, signed_in_admin
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

WRONG_CODE = "This code is incorrect or was already used. Wait for the next code in your app."
SIGN_IN, CODE, OVERVIEW = "/installation/sign-in", "/installation/sign-in/code", "/installation"
WRONG = "Incorrect user name or password."


async def try_in(visitor: Visitor, username: str, password: str = PASSWORD, path: str = SIGN_IN) -> Page:
    return await visitor.submit(await visitor.get(path), SIGN_IN, username=username, password=password)


async def with_factor(app: App) -> tuple[SystemAdmin, Phone]:
    me = await another(await signed_in_admin(app))
    phone = await enrolled(me)
    app.clock.advance(30)
    return me, phone


async def test_a_user_can_sign_in_and_goes_out_again(app: App) -> None:
    visitor = Visitor(app)
    page = await try_in(visitor, "root")
    assert (page.status, page.location) == (303, OVERVIEW)
    [line] = [line for line in page.reply.headers.get_list("set-cookie") if line.startswith("admin=")]
    assert line.endswith("; Max-Age=43200; Path=/; HttpOnly; SameSite=Strict")
    overview = await visitor.get(OVERVIEW)
    assert (overview.status, overview.heading) == (200, "Overview")
    cookie = visitor.cookies["admin"]
    out = await visitor.submit(overview, "/installation/sign-out")
    assert out.location == f"{SIGN_IN}?out=yes"
    assert "admin" not in visitor.cookies
    assert "You're signed out." in (await visitor.follow(out)).text
    visitor.cookies["admin"] = cookie
    assert (await visitor.get(OVERVIEW)).location.startswith(SIGN_IN)


async def test_on_https_the_cookie_is_for_this_host_alone(app: App, secure: App) -> None:
    page = await try_in(Visitor(secure), "root")
    [line] = [line for line in page.reply.headers.get_list("set-cookie") if "admin=" in line]
    assert line.startswith("__Host-admin=")
    assert line.endswith("; Path=/; HttpOnly; SameSite=Strict; Secure")


@matrix(("username", "password"), [("root", "wrong"), ("nobody", PASSWORD), ("root", " ")])
async def test_a_wrong_name_and_a_wrong_password_look_alike(app: App, username: str, password: str) -> None:
    page = await try_in(Visitor(app), username, password)
    assert (page.status, page.problems, page.title.startswith("Error: ")) == (401, [WRONG], True)
    form = page.form(SIGN_IN)
    assert (form.fields["username"], form.fields["password"]) == (username, "")
    assert "admin" not in page.reply.headers.get_list("set-cookie")


async def test_empty_fields_are_named(app: App) -> None:
    page = await try_in(Visitor(app), "", "")
    assert (page.status, page.problems) == (400, ["Enter your user name", "Enter your password"])


async def test_a_code_is_asked_for_in_a_second_step(app: App) -> None:
    me, phone = await with_factor(app)
    visitor = Visitor(app)
    step = await try_in(visitor, me.username, path=f"{SIGN_IN}?returnTo=/installation%3Fa=b")
    assert (step.status, step.heading) == (200, "Enter your code")
    assert "admin" not in visitor.cookies
    wrong = await visitor.submit(step, CODE, otp=phone.wrong())
    assert (wrong.status, wrong.problems) == (
        401,
        [WRONG_CODE],
    )
    assert wrong.form(CODE).fields["otp"] == ""
    done = await visitor.submit(wrong, CODE, otp=f" {phone.code()} ")
    assert (done.status, done.location) == (303, "/installation?a=b")
    assert (await visitor.get(OVERVIEW)).status == 200


@matrix("challenge", ["", "x", "A" * 300])
async def test_a_second_step_that_is_made_up_begins_again(app: App, challenge: str) -> None:
    me, phone = await with_factor(app)
    visitor = Visitor(app)
    step = await try_in(visitor, me.username)
    page = await visitor.submit(step, CODE, otp=phone.code(), challenge=challenge)
    assert (page.status, page.location.partition("&")[0]) == (303, f"{SIGN_IN}?returnTo=%2Finstallation")
    assert "Sign in again" in (await visitor.follow(page)).text


async def test_a_second_step_ends_after_five_minutes(app: App) -> None:
    me, phone = await with_factor(app)
    visitor = Visitor(app)
    step = await try_in(visitor, me.username)
    app.clock.advance(301)
    page = await visitor.follow(await visitor.submit(step, CODE, otp=phone.code()))
    assert page.heading == "Sign in"
    assert "code step expired" in page.text


async def test_a_user_comes_back_to_the_page_that_was_asked_for_and_nowhere_else(app: App) -> None:
    visitor = Visitor(app)
    page = await visitor.get("/installation?done=x")
    assert (page.status, page.location) == (303, f"{SIGN_IN}?returnTo=%2Finstallation%3Fdone%3Dx")
    page = await try_in(visitor, "root", path=page.location)
    assert page.location == "/installation?done=x"
    signed_in = await visitor.get(f"{SIGN_IN}?returnTo=/installation?a=b")
    assert (signed_in.status, signed_in.location) == (303, "/installation?a=b")


@matrix(
    "address",
    ["//evil.example", "https://evil.example", "/account", "/installation//evil", "/installation/../account",
     "/installation\\evil", "/installationx", "/installation%0d%0aX:y", "javascript:alert(1)", "installation"],
)  # fmt: skip
async def test_an_address_that_is_no_page_of_the_installation_leads_to_the_overview(app: App, address: str) -> None:
    visitor = Visitor(app)
    page = await visitor.get(SIGN_IN)
    fields = page.form(SIGN_IN).fields | {"username": "root", "password": PASSWORD, "returnTo": address}
    done = await visitor.post(SIGN_IN, fields)
    assert (done.status, done.location) == (303, OVERVIEW)


async def test_too_many_attempts_have_to_wait(app: App) -> None:
    me = await another(await signed_in_admin(app))
    visitor = Visitor(app)
    for _ in range(40):
        page = await try_in(visitor, me.username, "wrong")
        if page.status == 429:
            break
    assert (page.status, int(page.reply.headers["retry-after"]) > 0) == (429, True)
    assert page.problems == ["Too many attempts. Try again later."]
    assert page.form(SIGN_IN).fields["username"] == me.username
    app.clock.advance(2 * 86_400)


async def test_the_session_dies_after_half_an_hour_without_use(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    for _ in range(3):
        app.clock.advance(29 * 60)
        assert (await visitor.get(OVERVIEW)).status == 200
    app.clock.advance(30 * 60)
    assert (await visitor.get(OVERVIEW)).status == 303


async def test_the_session_ends_after_twelve_hours(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    for _ in range(12 * 3):
        app.clock.advance(20 * 60 - 1)
        assert (await visitor.get(OVERVIEW)).status == 200
    app.clock.advance(20 * 60)
    assert (await visitor.get(OVERVIEW)).status == 303


async def test_a_disabled_admin_is_told_after_the_right_password_and_has_no_session(app: App) -> None:
    me = await another(await signed_in_admin(app))
    visitor = await Visitor(app).system_admin(me.username)
    token = await app.admin_token()
    assert (await app.post(f"/api/admin/admins/{me.id}/disable", token=token)).status == 200
    assert (await visitor.get(OVERVIEW)).status == 303
    page = await try_in(Visitor(app), me.username)
    assert (page.status, page.heading) == (403, "This account is deactivated")
    assert (await try_in(Visitor(app), me.username, "wrong")).status == 401


async def test_a_shown_session_ends_with_a_new_sign_in(app: App) -> None:
    visitor = Visitor(app)
    page = await visitor.get(SIGN_IN)
    fields = page.form(SIGN_IN).fields | {"username": "root", "password": PASSWORD}
    await visitor.post(SIGN_IN, fields)
    old = visitor.cookies["admin"]
    forms = await visitor.get(OVERVIEW)
    assert forms.status == 200
    await visitor.submit(forms, "/installation/sign-out")
    await visitor.system_admin()
    assert visitor.cookies["admin"] != old
    visitor.cookies["admin"] = old
    assert (await visitor.get(OVERVIEW)).status == 303


async def test_there_is_no_setup_once_there_is_an_admin(app: App) -> None:
    visitor = Visitor(app)
    page = await visitor.get("/installation/setup")
    assert (page.status, page.heading) == (404, "Page not found")
    token = (await visitor.get(SIGN_IN)).form(SIGN_IN).fields["form"]
    posted = await visitor.post("/installation/setup", {"form": token, "code": "x"})
    assert posted.status == 403  # another page's token
