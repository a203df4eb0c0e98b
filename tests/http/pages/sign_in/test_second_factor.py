"""The page for the second factor: correct and wrong codes, other methods, trusted browsers, and where it leads."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.support.accounts import settle
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.second_factors import CODES, ENROL, FACTOR, Person, code, password_typed, person, person_enrolled
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

REQUIRED: dict[str, Any] = {"secondFactor": {"policy": "required", "graceDays": 0, "trustedDays": 30}}
WEB = "https://app.acme.example/in?x=1"
WRONG = "This code is incorrect or was already used. Wait for the next code in your app."


@pytest.fixture
async def ada(app: App) -> Person:
    return await person_enrolled(await person(app, **REQUIRED, returnAddresses=[WEB]))


async def answered(visitor: Visitor, page: Page, **typed: str) -> Page:
    return await visitor.submit(page, FACTOR, None, **typed)


async def who(visitor: Visitor) -> str:
    me = await visitor.app.me(cookie=visitor.cookies.get("session", "none"))
    return str(me.json["data"]["user"]["email"]) if me.status == 200 else ""


async def test_the_code_of_the_app_is_asked_for_and_opens_the_session(app: App, ada: Person) -> None:
    visitor, page = await password_typed(ada)
    assert page.heading == "Enter your code"
    assert "session" not in visitor.cookies
    [field] = page.tree.xpath("//input[@name='otp']")
    assert (field.get("autocomplete"), field.get("inputmode"), field.get("value")) == ("one-time-code", "numeric", "")
    before = visitor.cookies["form"]
    page = await answered(visitor, page, otp=code(ada))
    assert (page.status, page.location) == (303, "/account")
    assert await who(visitor) == ada.email
    assert "step" not in visitor.cookies
    assert visitor.cookies["form"] != before
    me = await app.me(cookie=visitor.cookies["session"])
    assert me.data["session"]["amr"] == ["pwd", "otp", "mfa"]


@rule("SECOND-STEP")
async def test_the_challenge_stands_in_a_cookie_alone(app: App, ada: Person) -> None:
    visitor = Visitor(app)
    page = await visitor.get(f"/sign-in?client={ada.client}")
    page = await visitor.submit(page, "/sign-in/password", email=ada.email, password=PASSWORD)
    assert (page.status, page.location.partition("?")[0]) == (303, FACTOR)
    [line] = [one for one in page.reply.headers.get_list("set-cookie") if one.startswith("step=")]
    challenge, _, flags = line.removeprefix("step=").partition("; ")
    assert len(challenge) == 43
    assert "HttpOnly" in flags
    assert "SameSite=Lax" in flags
    assert "Max-Age=600" in flags
    shown = await visitor.get(page.location)
    assert challenge not in page.location + shown.reply.text


async def test_a_wrong_code_shows_the_form_again(app: App, ada: Person) -> None:
    visitor, page = await password_typed(ada)
    assert ada.phone is not None
    page = await answered(visitor, page, otp=ada.phone.wrong(), trust="on")
    assert (page.status, page.problems) == (401, [WRONG])
    assert page.title.startswith("Error: ")
    [field] = page.tree.xpath("//input[@name='otp']")
    assert (field.get("value"), field.get("aria-invalid")) == ("", "true")
    assert page.tree.xpath("//input[@name='trust']/@checked")  # the selection is kept
    page = await answered(visitor, page, otp="  ")
    assert (page.status, page.problems) == (400, ["Enter a value"])
    page = await answered(visitor, page, otp=f"{code(ada)[:3]} {code(ada)[3:]}")
    assert await who(visitor) == ada.email


async def test_the_fifth_wrong_code_ends_it_and_one_begins_again_with_what_was_typed(app: App, ada: Person) -> None:
    visitor, page = await password_typed(ada, f"&returnTo={quote(WEB, safe='')}")
    assert ada.phone is not None
    for _ in range(4):
        page = await answered(visitor, page, otp=ada.phone.wrong())
        assert page.problems == [WRONG]
    page = await answered(visitor, page, otp=ada.phone.wrong())
    assert (page.status, page.heading) == (401, "This sign-in can't continue")
    assert "step" not in visitor.cookies
    page = await visitor.get(page.links()["Start again"])
    assert page.form("/sign-in/password").fields["email"] == ada.email
    app.clock.advance(300)  # past the wait after this many wrong codes
    page = await visitor.submit(page, "/sign-in/password", password=PASSWORD)
    page = await answered(visitor, await visitor.follow(page), otp=code(ada))
    assert (await visitor.get(page.location)).links() == {"Continue": WEB}


async def test_what_took_too_long_begins_again(app: App, ada: Person) -> None:
    visitor, page = await password_typed(ada)
    app.clock.advance(601)
    late = await answered(visitor, page, otp=code(ada))
    assert (late.status, late.heading) == (401, "This sign-in expired")
    assert late.links()["Start again"].startswith("/sign-in?s=")
    shown = await visitor.get(FACTOR)
    assert (shown.status, shown.links()) == (401, {"Start again": "/sign-in"})
    assert await who(visitor) == ""


async def test_a_deactivation_ends_it(app: App, ada: Person) -> None:
    visitor, page = await password_typed(ada)
    token = await app.admin_token()
    path = f"/api/admin/clients/{ada.client}/users/{ada.id}/deactivate"
    assert (await app.post(path, token=token)).status == 200
    page = await answered(visitor, page, otp=code(ada))
    assert page.status in (401, 403)
    assert await who(visitor) == ""


async def test_a_recovery_code_is_another_way_and_trusts_no_browser(app: App) -> None:
    ada = await person(app, **REQUIRED)
    codes = (await ada.enrol_at_sign_in())["recoveryCodes"]
    app.clock.advance(30)
    visitor, page = await password_typed(ada)
    page = await visitor.get(page.links()["Recovery code"])
    assert page.heading == "Enter a recovery code"
    assert not page.tree.xpath("//input[@name='trust']")
    wrong = await answered(visitor, page, recoveryCode="not-a-code")
    assert wrong.problems == ["This recovery code is incorrect or was already used."]
    page = await answered(visitor, wrong, recoveryCode=codes[0], trust="on")
    assert await who(visitor) == ada.email
    assert "trust" not in visitor.cookies
    again, page = await password_typed(ada)
    page = await again.get(page.links()["Recovery code"])
    assert (await answered(again, page, recoveryCode=codes[0])).status == 401


async def test_a_trusted_browser_is_not_asked_while_its_days_last(app: App, ada: Person) -> None:
    visitor, page = await password_typed(ada)
    assert "Trust this browser for 30 days" in page.text
    page = await answered(visitor, page, otp=code(ada), trust="on")
    [line] = [one for one in page.reply.headers.get_list("set-cookie") if one.startswith("trust=")]
    assert f"Max-Age={30 * 86_400};" in line
    again = Visitor(app, {"trust": visitor.cookies["trust"]})
    _, page = await password_typed(ada, visitor=again)
    assert await who(again) == ada.email
    app.clock.advance(31 * 86_400)
    _, page = await password_typed(ada, visitor=Visitor(app, {"trust": visitor.cookies["trust"]}))
    assert page.heading == "Enter your code"
    await settle(app, ada.client, secondFactor={"policy": "required", "trustedDays": 0})
    _, page = await password_typed(ada)
    assert not page.tree.xpath("//input[@name='trust']")


@matrix("path", [FACTOR, ENROL, CODES])
async def test_without_a_challenge_nothing_is_there(app: App, path: str) -> None:
    page = await Visitor(app).get(path)
    if path == CODES:
        assert (page.status, page.location) == (303, "/")
    else:
        assert (page.status, page.links()) == (401, {"Start again": "/sign-in"})


@rule("SECOND-STEP")
async def test_one_person_s_challenge_takes_no_other_person_s_code(app: App, ada: Person) -> None:
    bob = await person_enrolled(await person(app, ada.client))
    visitor, page = await password_typed(ada)
    page = await answered(visitor, page, otp=code(bob))
    assert page.problems == [WRONG]
    assert await who(visitor) == ""


async def test_its_words_are_the_readers(app: App, ada: Person) -> None:
    visitor, page = await password_typed(ada, visitor=Visitor(app, language="de"))
    assert page.heading == "Code eingeben"
    page = await visitor.submit(page, "/language", lang="fr")
    page = await visitor.follow(page)
    assert page.tree.get("lang") == "fr"
    await answered(visitor, page, otp=code(ada))
    assert await who(visitor) == ada.email
