"""A browser that returns from a provider enrolls a second factor, unless the provider is responsible for it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.accounts import Keys, new_client, settle
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.rules import rule
from tests.support.second_factors import CODES, ENROL, FACTOR, REQUIRED, person
from tests.support.single_sign_on import Browser, act_on_provider, add_oidc, begun
from tests.support.system_admins import Phone
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

WEB = "https://app.acme.example/in?x=1"


async def set_up(visitor: Visitor, page: Page) -> tuple[Phone, Page]:
    """Enroll an authenticator app on the pages of the step; returns the next page."""
    page = await visitor.follow(await visitor.submit(page, ENROL))
    phone = Phone(visitor.app, page.tree.get_element_by_id("secret").text_content().replace(" ", ""))
    page = await visitor.submit(page, ENROL, otp=phone.code())
    assert page.location == CODES
    return phone, await visitor.submit(await visitor.get(CODES), CODES)


async def went_on(browser: Browser, address: str) -> tuple[Visitor, Page]:
    """The pages that a callback's response leads to."""
    assert address.startswith(("/sign-in/enrol?s=", "/sign-in/second-factor?s="))
    assert "session" not in browser.cookies
    visitor = Visitor(browser.app, dict(browser.cookies))
    return visitor, await visitor.get(address)


@pytest.fixture
async def client(app: App, op: Op) -> str:
    identifier = await new_client(app, **REQUIRED)
    await add_oidc(app, op, identifier, name="okta", returnAddresses=[WEB], secondFactor="ask")
    return identifier


async def test_it_ends_at_the_address_of_the_provider(app: App, op: Op, client: str) -> None:
    browser, back = await begun(app, op, client, provider="okta", returnTo=WEB)
    answer = await browser.send("GET", back)
    assert answer.status == 303
    visitor, page = await went_on(browser, answer.headers["location"])
    assert page.heading == "Set up a second factor"
    phone, page = await set_up(visitor, page)
    assert (await visitor.get(page.location)).links() == {"Continue": WEB}
    session = (await app.me(cookie=visitor.cookies["session"])).data["session"]
    assert session["amr"] == ["provider", "otp", "mfa"]
    app.clock.advance(30)
    browser, back = await begun(app, op, client, provider="okta", returnTo=WEB)
    answer = await browser.send("GET", back)
    visitor, page = await went_on(browser, answer.headers["location"])
    page = await visitor.submit(page, FACTOR, otp=phone.code())
    assert (await visitor.get(page.location)).links() == {"Continue": WEB}


async def test_an_app_gets_its_code_there(app: App, op: Op, client: str) -> None:
    browser, back = await begun(app, op, client, provider="okta", returnTo=WEB, response="code")
    answer = await browser.send("GET", back)
    visitor, page = await went_on(browser, answer.headers["location"])
    _, page = await set_up(visitor, page)
    [address] = (await visitor.get(page.location)).links().values()
    assert address.startswith(f"{WEB}&code=")
    given = {"code": parse_qs(urlsplit(address).query)["code"][0]}
    data = check_success(await app.post("/api/client/auth/exchange", given))
    me = await app.get("/api/client/auth/me", token=data["token"])
    assert me.data["session"]["amr"] == ["provider", "otp", "mfa"]


async def test_what_took_too_long_begins_again_at_the_client(app: App, op: Op, client: str) -> None:
    browser, back = await begun(app, op, client, provider="okta", returnTo=WEB, response="code")
    answer = await browser.send("GET", back)
    visitor, page = await went_on(browser, answer.headers["location"])
    app.clock.advance(1801)
    page = await visitor.submit(page, ENROL)
    assert page.heading == "This sign-in expired"
    page = await visitor.get(page.links()["Start again"])
    assert page.heading == f"Sign in to {client}"


AUTH = "/api/client/auth"
#: Actions that end sessions, and with them a pending sign-in. ``{of}`` is the client, ``{id}`` the user.
ENDS: dict[str, list[tuple[str, str]]] = {
    "own unlink": [("DELETE", f"{AUTH}/identities/{{identity}}")],
    "unlinked by a manager": [("DELETE", "{of}/users/{id}/identities/{identity}")],
    "all others": [("POST", f"{AUTH}/sign-out-others")],
    "all": [("POST", f"{AUTH}/sign-out-all")],
    "all of the user": [("DELETE", "{of}/users/{id}/sessions")],
    "all of the client": [("DELETE", "{of}/sessions")],
    "provider off and on": [("POST", "{of}/providers/idp/switch-off"), ("POST", "{of}/providers/idp/switch-on")],
    "suspended and restored": [("POST", "{of}/suspend"), ("POST", "{of}/restore")],
}


@rule("PENDING-SIGN-INS")
@matrix("end", ENDS)
async def test_what_ends_sessions_ends_a_sign_in_that_waits_for_a_factor(app: App, op: Op, end: str) -> None:
    """An attacker linked a provider's person to the account, and waits at the page that enrolls a factor."""
    ada = await person(app)
    await add_oidc(app, op, ada.client, name="idp", returnAddresses=[WEB], secondFactor="ask")
    keys = Keys.of(await ada.sign_in())
    thief, op.claims = Browser(app, {"session": keys.cookie}), {"sub": "thief", "email": "thief@evil.example"}
    linking = await thief.send("POST", f"{AUTH}/identities", body={"provider": "idp", "returnTo": WEB})
    assert (await thief.send("GET", op.visit(check_success(linking)["location"]))).status == 302
    [identity] = check_success(await app.get(f"{AUTH}/identities", token=keys.token))["items"]
    await settle(app, ada.client, **REQUIRED)
    browser, back = await begun(app, op, ada.client, provider="idp", returnTo=WEB)
    visitor, page = await went_on(browser, (await browser.send("GET", back)).headers["location"])
    page = await visitor.follow(await visitor.submit(page, ENROL))
    phone = Phone(app, page.tree.get_element_by_id("secret").text_content().replace(" ", ""))
    values = {"of": f"/api/admin/clients/{ada.client}", "id": ada.id, "identity": identity["id"]}
    for method, path in ENDS[end]:
        token = keys.token if path.startswith(AUTH) else await app.admin_token()
        check_success(await app.send(method, path.format(**values), token=token))
    assert (await visitor.submit(page, ENROL, otp=phone.code())).status == 401
    assert "session" not in visitor.cookies


@rule("PENDING-SIGN-INS")
async def test_a_code_ends_with_the_switch_of_its_provider(app: App, op: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client, name="idp", returnAddresses=[WEB])
    browser, back = await begun(app, op, client, provider="idp", returnTo=WEB, response="code")
    answer = await browser.send("GET", back)
    given = {"code": parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]}
    for act in ("switch-off", "switch-on"):
        await act_on_provider(app, client, "idp", act)
    check_refusal(await app.post(f"{AUTH}/exchange", given), 401, "SSO_FAILED")
