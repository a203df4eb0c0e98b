"""A required second factor is enrolled during sign-in: the reason, the app's key, the first code, recovery codes."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.http.pages.test_codes_for_apps import APP_ADDRESS, CHALLENGE, EXCHANGE, VERIFIER
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.rules import rule
from tests.support.second_factors import CODES, DONE, ENROL, FACTOR, Person, code, password_typed, person
from tests.support.system_admins import Phone
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

REQUIRED: dict[str, Any] = {"secondFactor": {"policy": "required", "graceDays": 0, "trustedDays": 30}}
WEB = "https://app.acme.example/in?x=1"
GRACE: dict[str, Any] = {"secondFactor": {"policy": "required", "graceDays": 7}}


async def begun(of: Person, query: str = "") -> tuple[Visitor, Page]:
    """The page with the app's key."""
    visitor, page = await password_typed(of, query)
    assert page.heading == "Set up a second factor"
    page = await visitor.follow(await visitor.submit(page, ENROL))
    of.phone = Phone(of.app, page.tree.get_element_by_id("secret").text_content().replace(" ", ""))
    return visitor, page


def codes_of(page: Page) -> list[str]:
    return [found.text_content() for found in page.tree.xpath("//*[@id='codes']//code")]


async def test_it_is_set_up_and_its_codes_are_shown_before_the_sign_in_goes_on(app: App) -> None:
    ada = await person(app, **REQUIRED, returnAddresses=[WEB])
    visitor, page = await begun(ada, f"&returnTo={quote(WEB, safe='')}")
    [link] = page.tree.xpath("//a[starts-with(@href, 'otpauth:')]/@href")
    assert ada.phone is not None
    assert parse_qs(urlsplit(link).query)["secret"] == [ada.phone.secret]
    assert page.tree.xpath("//*[local-name()='svg']/*[local-name()='title']/text()") == [
        "QR code with the key for your authenticator app"
    ]
    page = await visitor.submit(page, ENROL, otp=code(ada))
    assert (page.status, page.location) == (303, CODES)
    page = await visitor.get(CODES)
    codes = codes_of(page)
    assert len(set(codes)) == 10
    done = await visitor.submit(page, CODES)
    assert done.location.startswith(f"{DONE}?s=")
    assert (await visitor.get(done.location)).links() == {"Continue": WEB}
    assert "codes" not in visitor.cookies
    assert (await visitor.get(CODES)).location == "/"
    other, page = await password_typed(ada)
    page = await other.get(page.links()["Recovery code"])
    await other.submit(page, FACTOR, recoveryCode=codes[0])
    assert (await other.app.me(cookie=other.cookies["session"])).status == 200


async def test_the_key_stays_while_the_page_is_loaded_again_and_a_wrong_code_is_said(app: App) -> None:
    ada = await person(app, **REQUIRED)
    visitor, page = await begun(ada)
    assert ada.phone is not None
    page = await visitor.submit(page, ENROL, otp=ada.phone.wrong())
    assert page.status == 401
    assert page.problems[0].startswith("This code is incorrect. Check that you added this page's key to your app")
    again = await visitor.get(ENROL)
    for shown in (page, again):
        assert shown.tree.get_element_by_id("secret").text_content().replace(" ", "") == ada.phone.secret
    await visitor.submit(again, ENROL, otp=code(ada), trust="on")
    assert "trust" in visitor.cookies
    assert "step" not in visitor.cookies


@rule("SECOND-STEP")
async def test_codes_in_a_cookie_are_for_the_browser_that_has_signed_in(app: App) -> None:
    ada = await person(app, **REQUIRED)
    visitor, page = await begun(ada)
    await visitor.submit(page, ENROL, otp=code(ada))
    [shown] = set(codes_of(await visitor.get(CODES))[:1])
    assert shown not in visitor.cookies["codes"]
    for missing in ("session", "form"):
        kept = {name: value for name, value in visitor.cookies.items() if name != missing}
        assert (await Visitor(app, kept).get(CODES)).location == "/"
    page = await visitor.get(CODES)
    page = await visitor.submit(page, "/language", lang="de")
    assert len(codes_of(await visitor.follow(page))) == 10
    app.clock.advance(3601)
    assert (await visitor.get(CODES)).location == "/"


async def test_an_app_gets_its_code_after_the_recovery_codes_however_long_they_are_looked_at(app: App) -> None:
    ada = await person(app, **REQUIRED, returnAddresses=[APP_ADDRESS])
    query = f"&response=code&returnTo={quote(APP_ADDRESS, safe='')}&codeChallenge={CHALLENGE}"
    visitor, page = await begun(ada, query)
    page = await visitor.submit(page, ENROL, otp=code(ada))
    page = await visitor.get(page.location)
    assert len(codes_of(page)) == 10
    app.clock.advance(300)
    page = await visitor.get((await visitor.submit(page, CODES)).location)
    assert "session" not in visitor.cookies
    [address] = page.links().values()
    given = {"code": parse_qs(urlsplit(address).query)["code"][0], "codeVerifier": VERIFIER}
    assert check_success(await app.post(EXCHANGE, given))["user"]["email"] == ada.email


async def test_an_app_s_code_lives_a_minute_from_the_press_on(app: App) -> None:
    ada = await person(app, **REQUIRED, returnAddresses=[APP_ADDRESS])
    query = f"&response=code&returnTo={quote(APP_ADDRESS, safe='')}&codeChallenge={CHALLENGE}"
    visitor, page = await begun(ada, query)
    page = await visitor.get((await visitor.submit(page, ENROL, otp=code(ada))).location)
    kept, codes = Visitor(app, dict(visitor.cookies)), page
    page = await visitor.get((await visitor.submit(page, CODES)).location)
    [address] = page.links().values()
    given = {"code": parse_qs(urlsplit(address).query)["code"][0], "codeVerifier": VERIFIER}
    app.clock.advance(59)
    assert (await kept.submit(codes, CODES)).status == 303  # which doesn't extend its time
    app.clock.advance(2)
    check_refusal(await app.post(EXCHANGE, given), 401, "SSO_FAILED")


async def test_while_there_is_time_it_is_offered(app: App) -> None:
    ada = await person(app, **GRACE, returnAddresses=[WEB])
    visitor, page = await password_typed(ada, f"&returnTo={quote(WEB, safe='')}")
    assert page.heading == "A second factor will be required"
    assert page.links() == {"Set up an authenticator app": "/account/second-factor", "Later": WEB}
    assert (await app.me(cookie=visitor.cookies["session"])).status == 200
    app.clock.advance(8 * 86_400)
    _, page = await password_typed(ada)
    assert page.heading == "Set up a second factor"


async def test_a_password_that_is_due_is_offered_after_it(app: App) -> None:
    ada = await person(app, **GRACE, password={"maxAgeDays": 90})
    app.clock.advance(91 * 86_400)
    visitor, page = await password_typed(ada)
    assert page.heading == "A second factor will be required"
    page = await visitor.get(page.links()["Later"])
    assert page.heading == "Your password has expired"
    assert page.links()["Not now"] == "/account"
