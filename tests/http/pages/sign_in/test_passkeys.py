"""Passkeys on the sign-in pages: on their own, as second step, and enrolled during sign-in, with form posts only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.http.apps.relying import relying, told
from tests.http.pages.sign_in.test_enrolment import codes_of
from tests.support.accounts import new_client, settle
from tests.support.application import PASSWORD, App
from tests.support.authenticator import Altered, Authenticator
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.passkeys import AUTH, COOKIE, ORIGIN, PUBLIC, Holder, signed_in, with_passkey
from tests.support.people import member, own_client
from tests.support.second_factors import CODES, ENROL, FACTOR, SIGN_IN, code, password_typed, person
from tests.support.system_admins import Phone
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.settings(**PUBLIC), pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
PASSKEY, APP_ADDRESS = "/sign-in/passkey", "com.acme.app:/in"
REQUIRED: dict[str, Any] = {"secondFactor": {"policy": "required", "graceDays": 0}}
REFUSED = "This passkey doesn't work here. Try again, or use a different sign-in method."


@pytest.fixture
async def ada(app: App) -> Holder:
    return await with_passkey(app)


def browser_of(app: App) -> Visitor:
    return Visitor(app, headers={"Host": "login.example.com"})


def options_in(page: Page) -> dict[str, Any]:
    """The values that the page's script module reads."""
    [text] = page.tree.xpath("//*[@data-passkey]/@data-options")
    found: dict[str, Any] = json.loads(text)
    return found


async def shown(visitor: Visitor, ada: Holder, page: Page, altered: Altered = Altered()) -> Page:  # noqa: B008 - frozen
    """Submit a passkey in the form of the sign-in page, with options as the module requests them."""
    cookie = f"{COOKIE}={visitor.cookies[COOKIE]}"
    reply = await visitor.app.post(f"{SIGN_IN}/passkey/options", {}, headers={"Cookie": cookie})
    credential = ada.browser.get(reply.data["publicKey"], altered)
    return await visitor.submit(page, PASSKEY, None, credential=json.dumps(credential))


async def test_a_passkey_alone_signs_in(app: App, ada: Holder) -> None:
    visitor = browser_of(app)
    page = await visitor.get(f"/sign-in?client={ada.person.client}")
    [email] = page.tree.xpath("//input[@name='email']")
    assert email.get("autocomplete") == "username webauthn"
    [button] = page.tree.xpath("//*[@data-passkey]")
    assert (button.get("type"), button.get("hidden")) == ("button", "")  # its module shows it
    page = await shown(visitor, ada, page)
    assert (page.status, page.location) == (303, "/account")
    session = (await app.me(cookie=visitor.cookies["session"])).data["session"]
    assert (session["method"], session["amr"]) == ("passkey", ["passkey", "mfa"])


async def test_a_browser_that_is_signed_in_to_another_client_stays_so(app: App, ada: Holder) -> None:
    web, other = await relying(app, ada.person.client), await member(app, await new_client(app))
    visitor = browser_of(app)
    visitor.cookies["session"] = other.cookie
    page = await shown(visitor, ada, await visitor.follow(await web.authorize(visitor)))
    assert "code" in told(await visitor.follow(page))
    assert other.email in (await visitor.get("/account")).text


async def test_without_a_client_it_signs_in_too(app: App, ada: Holder) -> None:
    visitor = browser_of(app)
    page = await shown(visitor, ada, await visitor.get("/sign-in"))
    assert page.location == "/account"


async def test_one_of_another_client_is_sent_to_its_sign_in(app: App, ada: Holder) -> None:
    visitor = browser_of(app)
    page = await shown(visitor, ada, await visitor.get(f"/sign-in?client={await new_client(app)}"))
    assert (page.status, page.heading) == (401, "This passkey belongs to a different organization")
    page = await visitor.get(page.links()["Go to its sign-in page"])
    assert page.heading == f"Sign in to {ada.person.client}"
    assert (await shown(visitor, ada, page)).location == "/account"


async def test_a_wrong_one_is_rejected_and_an_unknown_one_named_to_the_browser(app: App, ada: Holder) -> None:
    visitor = browser_of(app)
    page = await visitor.get(f"/sign-in?client={ada.person.client}")
    wrong = await shown(visitor, ada, page, Altered(origin="https://evil.example"))
    assert (wrong.status, wrong.problems) == (401, [REFUSED])
    assert not wrong.tree.xpath("//*[@data-unknown]")
    made = ada.browser.made[0]
    stranger = Authenticator(ORIGIN, made=[made.altered(id="A" * 43)])
    page = await shown(visitor, Holder(ada.person, stranger), wrong)
    assert page.problems == [REFUSED]
    assert page.tree.xpath("//*[@data-passkey]/@data-unknown") == ["A" * 43]
    for text in ("", "[]", "{", "null", '{"id": 1}'):
        page = await visitor.submit(page, PASSKEY, credential=text)
        assert page.status in (400, 401)
        assert page.problems == [REFUSED]
    for text in ("{}", "x" * 20_000):  # with the state of another browser
        old = await visitor.post(PASSKEY, page.form(PASSKEY).fields | {"s": "old", "credential": text})
        assert (old.status, old.location) == (303, "/sign-in?s=old")
    assert "session" not in visitor.cookies


@matrix("way", ["password", "passkey", "password and passkey", "session"])
async def test_an_admins_code_goes_to_no_address_that_no_admin_confirmed(app: App, way: str) -> None:
    own = await own_client(app)
    await own.changed(own.clerk, returnAddresses=[APP_ADDRESS])
    admin = await signed_in(app, own.identifier, "Admin")
    await admin.add()
    start = f"/sign-in?client={own.identifier}&response=code&returnTo={APP_ADDRESS}&codeChallenge={'c' * 43}"
    for is_confirmed in (False, True):
        visitor = browser_of(app)
        if way == "session":
            await shown(visitor, admin, await visitor.get(f"/sign-in?client={own.identifier}"))
        page = await visitor.get(start)
        if way == "passkey":
            page = await shown(visitor, admin, page)
        elif way == "session":
            page = await visitor.submit(page, "/sign-in/done")
        else:
            email = own.client_admin.email if way == "password" else admin.person.email
            page = await visitor.submit(page, "/sign-in/password", email=email, password=PASSWORD)
        if way == "password and passkey":
            page = await visitor.follow(page)
            credential = json.dumps(admin.browser.get(options_in(page)))
            page = await visitor.submit(page, FACTOR, credential=credential)
        assert (page.status == 303) is is_confirmed, page.text
        assert is_confirmed is ("/sign-in/done" in page.reply.headers.get("location", ""))
        await settle(app, own.identifier, returnAddresses=[APP_ADDRESS])


async def test_a_client_that_does_not_let_it_sign_in_offers_none(app: App) -> None:
    client = await new_client(app, passkeySignIn=False)
    page = await browser_of(app).get(f"/sign-in?client={client}")
    assert not page.tree.xpath("//*[@data-passkey]")
    [email] = page.tree.xpath("//input[@name='email']")
    assert email.get("autocomplete") == "username"


async def test_it_answers_the_second_step_and_trusts_the_browser(app: App, ada: Holder) -> None:
    visitor, page = await password_typed(ada.person, visitor=browser_of(app))
    assert page.heading == "Use your passkey"
    wrong = await visitor.submit(page, FACTOR, credential="{}")
    assert (wrong.status, wrong.problems) == (401, [REFUSED])
    credential = ada.browser.get(options_in(wrong))
    page = await visitor.submit(wrong, FACTOR, credential=json.dumps(credential), trust="on")
    assert page.location == "/account"
    assert "__Host-trust" in visitor.cookies
    session = (await app.me(cookie=visitor.cookies["session"])).data["session"]
    assert session["amr"] == ["pwd", "passkey", "mfa"]


async def test_it_is_enrolled_on_the_way(app: App) -> None:
    someone = await person(app, **REQUIRED)
    visitor, page = await password_typed(someone, visitor=browser_of(app))
    page = await visitor.get(page.links()["Create a passkey"])
    authenticator = Authenticator(ORIGIN)
    bad = authenticator.create(options_in(page), Altered(origin="https://evil.example"))
    for text in ("", json.dumps(bad)):
        page = await visitor.submit(page, ENROL, name="My key", credential=text)
        assert page.problems == ["The passkey couldn't be set up. Try again."]
        assert page.form(ENROL).fields["name"] == "My key"
    good = authenticator.create(options_in(page))
    page = await visitor.submit(page, ENROL, credential=json.dumps(good))
    assert page.location == CODES
    page = await visitor.get(CODES)
    assert len(codes_of(page)) == 10
    assert (await visitor.submit(page, CODES)).location == "/account"
    _, page = await password_typed(someone, visitor=browser_of(app))
    assert page.heading == "Use your passkey"
    assert list(page.links()) == ["Recovery code", "Start again"]


@matrix("methods", [["passkey"], ["totp"], ["totp", "passkey"]])
async def test_only_what_the_client_allows_is_offered(app: App, methods: list[str]) -> None:
    someone = await person(app, secondFactor={"policy": "required", "graceDays": 0, "methods": methods})
    visitor, page = await password_typed(someone, visitor=browser_of(app))
    assert ("Create a passkey" in page.links()) is ("passkey" in methods)
    assert any(form.action == ENROL for form in page.forms()) is ("totp" in methods)
    here = page.form("/language").fields["here"]
    page = await visitor.get(f"{here}&way=passkey")
    assert bool(page.tree.xpath("//*[@data-passkey]")) is ("passkey" in methods)


async def test_the_factor_that_was_used_last_is_asked_for(app: App, ada: Holder) -> None:
    begun = check_success(await app.post(f"{AUTH}/second-factors/totp", token=ada.token), 201)
    ada.person.phone = Phone(app, begun["secret"])
    confirmed = {"otp": code(ada.person)}
    check_success(await app.post(f"{AUTH}/second-factors/totp/confirm", confirmed, token=ada.token))
    for used in ("otp", "passkey", "otp"):
        app.clock.advance(60)
        visitor, page = await password_typed(ada.person, visitor=browser_of(app))
        page = await visitor.get(f"{page.form('/language').fields['here'].partition('&')[0]}&way={used}")
        if used == "otp":
            page = await visitor.submit(page, FACTOR, otp=code(ada.person))
        else:
            page = await visitor.submit(page, FACTOR, credential=json.dumps(ada.browser.get(options_in(page))))
        assert page.location == "/account"
        _, page = await password_typed(ada.person, visitor=browser_of(app))
        assert page.form(FACTOR).fields["way"] == used
        assert set(page.links()) > {"Passkey" if used == "otp" else "Code from your authenticator app", "Recovery code"}
