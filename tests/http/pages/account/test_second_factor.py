"""`/account/second-factor`, `/account/codes`, and `/account/devices`: app, recovery codes, and trusted browsers."""

from __future__ import annotations

import pytest

from tests.http.pages.account.account_pages import person, signed_in
from tests.support.accounts import settle, trail
from tests.support.application import App
from tests.support.second_factors import REQUIRED, enrolled
from tests.support.second_factors import Person as Holder
from tests.support.second_factors import person as someone
from tests.support.system_admins import Phone
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
APP, CODES, DEVICES = "/account/second-factor", "/account/codes", "/account/devices"


async def with_app(app: App, *roles: str, **settings: object) -> tuple[Holder, Visitor]:
    """A user with an authenticator app, and the browser that showed its key."""
    ada = await enrolled(app, *roles, **settings)
    return ada, Visitor(app, {"session": (await ada.answered()).cookie("session")})


def codes_of(page: Page) -> list[str]:
    return [code.text for code in page.tree.xpath("//*[@id='codes']//code")]


def phone_of(app: App, page: Page) -> Phone:
    """An authenticator app with the key on the page."""
    [key] = page.tree.xpath("//*[@id='secret']")
    return Phone(app, key.text.replace(" ", ""))


async def begun(visitor: Visitor) -> Page:
    page = await visitor.submit(await visitor.get(APP), APP, {"act": "begin"})
    assert (page.status, page.location) == (303, f"{APP}?way=app")
    return await visitor.follow(page)


async def test_an_app_is_set_up_and_the_codes_are_shown_once(app: App) -> None:
    ada = await person(app)
    other = await signed_in(app, ada.email, ada.client)
    page = await begun(ada.visitor)
    assert page.tree.xpath("//*[@class='qr-code']//*[local-name()='svg']")
    phone = phone_of(app, page)
    assert phone_of(app, await ada.visitor.get(f"{APP}?way=app")) == phone  # reloading doesn't create another key
    page = await ada.visitor.submit(page, APP, otp=phone.code())
    assert (page.status, page.heading, len(codes_of(page))) == (200, "Your recovery codes", 10)
    assert page.form("/account/codes").buttons == ("I've saved them",)
    assert "Active" in (await ada.visitor.get(APP)).text
    assert (await other.get(APP)).location.startswith("/sign-in")
    assert (await ada.visitor.get(f"{APP}?way=app")).location == APP


async def test_a_wrong_first_code_shows_the_same_key_again(app: App) -> None:
    ada = await person(app)
    page = await begun(ada.visitor)
    phone = phone_of(app, page)
    page = await ada.visitor.submit(page, APP, otp=phone.wrong())
    assert page.status == 400
    assert page.problems == [
        "This code is incorrect. Check that you added this page's key to your app, and enter the current code."
    ]
    assert phone_of(app, page) == phone
    assert codes_of(await ada.visitor.submit(page, APP, otp=phone.code()))


async def test_the_key_that_waits_is_shown_to_a_recent_proof_alone(app: App) -> None:
    ada = await person(app)
    await begun(ada.visitor)
    app.clock.advance(601)
    page = await ada.visitor.get(f"{APP}?way=app")
    assert page.location == f"/reauthenticate?returnTo={APP}?way=app"


async def test_an_app_is_replaced_and_the_codes_stay(app: App) -> None:
    ada, browser = await with_app(app)
    page = await begun(browser)
    assert "Your current app works until you confirm the new one." in page.text
    page = await browser.follow(await browser.submit(page, APP, otp=phone_of(app, page).code()))
    assert "The new authenticator app is active." in page.text
    assert "10 codes are left" in (await browser.get(CODES)).text
    assert len(await ada.events("second_factor_enrolled")) == 2


async def test_an_app_is_removed_unless_it_is_the_last_factor_of_one_who_needs_one(app: App) -> None:
    ada, browser = await with_app(app)
    await settle(app, ada.client, **REQUIRED)
    page = await browser.get(APP)
    assert not page.tree.xpath("//form[.//input[@value='remove']]")
    assert "Add another one before you remove this one" in page.text
    form = page.form(APP, act="begin").fields | {"act": "remove"}
    refused = await browser.post(APP, form)
    assert (refused.status, refused.problems) == (
        409,
        ["Your organization requires a second factor. Add another one first"],
    )
    await settle(app, ada.client, secondFactor={"policy": "optional"})
    page = await browser.get(APP)
    page = await browser.post(APP, page.form(APP, act="remove").fields)
    assert page.heading == "Remove your authenticator app?"
    assert "You then have no second factor, and your recovery codes stop working." in page.text
    page = await browser.follow(await browser.shown(page))
    assert "Authenticator app removed." in page.text
    assert "No codes yet" in (await browser.get(CODES)).text


async def test_where_the_policy_is_off_none_is_offered(app: App) -> None:
    ada = await person(app)
    await settle(app, ada.client, secondFactor={"policy": "off"})
    page = await ada.visitor.get(APP)
    assert "Your organization doesn't use authenticator apps." in page.text
    assert not [form for form in page.forms() if form.action == APP]


async def test_one_that_is_due_is_named_with_the_day(app: App) -> None:
    ada = await someone(app, secondFactor={"policy": "required", "graceDays": 7})
    browser = Visitor(app, {"session": (await ada.sign_in()).cookie("session")})
    page = await browser.get(APP)
    assert "Set up a second factor" in page.text
    assert page.tree.xpath("//*[@class='notice notice-note']//time")


async def test_new_codes_void_the_earlier_ones(app: App) -> None:
    ada, browser = await with_app(app)
    page = await browser.get(CODES)
    assert "10 codes are left" in page.text
    page = await browser.submit(page, CODES)
    fresh = codes_of(page)
    assert (page.status, len(fresh), set(fresh) & set(ada.recovery_codes)) == (200, 10, set())
    assert (await ada.sign_in_with(recoveryCode=ada.recovery_codes[0])).status == 401
    assert (await ada.sign_in_with(recoveryCode=fresh[0])).status == 200
    for code in fresh[1:8]:
        await ada.sign_in_with(recoveryCode=code)
    assert "Few codes left" in (await browser.get(CODES)).text


async def test_without_a_factor_there_are_no_codes(app: App) -> None:
    ada = await person(app)
    page = await ada.visitor.get(CODES)
    assert page.links()["Set up an authenticator app"] == APP
    form = (await ada.visitor.get("/account/language")).form("/account/language").fields
    assert (await ada.visitor.post(CODES, form)).status == 403  # the form token belongs to another page


async def test_trusted_browsers_are_listed_and_ended(app: App) -> None:
    ada, browser = await with_app(app)
    firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    for _ in range(3):
        app.clock.advance(30)
        await ada.answered(trust=True)
    page = await browser.get(DEVICES)
    rows = page.tree.xpath("//tbody/tr")
    assert len(rows) == 3
    assert firefox not in page.text
    [first, *_] = page.tree.xpath("//tbody//input[@name='id']/@value")
    page = await browser.follow(await browser.submit(page, DEVICES, {"id": str(first)}))
    assert "This browser is no longer trusted." in page.text
    assert len(page.tree.xpath("//tbody/tr")) == 2
    page = await browser.follow(await browser.submit(page, DEVICES, {"id": ""}))
    assert "Your browsers are no longer trusted." in page.text
    assert "you can trust the browser for 30 days" in page.text
    ended = [one.members["browsers"] for one in await trail(app, ada.client) if one.event == "browser_trust_ended"]
    assert ended[-2:] == [1, 2]


async def test_where_no_browser_can_be_trusted_it_is_said(app: App) -> None:
    ada = await person(app)
    await settle(app, ada.client, secondFactor={"trustedDays": 0})
    assert "requires the second factor at every sign-in" in (await ada.visitor.get(DEVICES)).text


async def test_at_an_address_without_a_name_it_is_said_that_there_are_none(app: App) -> None:
    page = await (await person(app)).visitor.get("/account/passkeys")
    assert "Passkeys aren't available" in page.text
    assert "Add a passkey" not in page.links()
