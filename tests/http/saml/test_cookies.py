"""The cookies of a SAML sign-in, over HTTPS and over plain HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.accounts import Keys, new_client, opened_by
from tests.support.application import App, Reply, running
from tests.support.single_sign_on import Browser, SamlProvider, check_no_one_got_in, flow_cookies, saml_provider

pytestmark = pytest.mark.one_store

WEEK, TEN_MINUTES = 7 * 86_400, 600


@pytest.fixture(scope="module")
async def plain(app: App) -> SamlProvider:
    return await saml_provider(app, await new_client(app))


@pytest.fixture(scope="module")
async def secure(database_url: str, app: App) -> AsyncIterator[SamlProvider]:
    """The same installation at an HTTPS address."""
    async with running(database_url, MANIFEST_PUBLIC_URL="https://auth.example.com") as node:
        yield await saml_provider(node, await new_client(node))


def lines(reply: Reply, name: str) -> list[tuple[str, set[str]]]:
    """Value and attributes of each ``Set-Cookie`` header with this name prefix."""
    found = []
    for line in reply.headers.get_list("set-cookie"):
        pair, *attributes = line.split("; ")
        if pair.startswith(name):
            found.append((pair.partition("=")[2], set(attributes)))
    return found


FLOW = {f"Max-Age={TEN_MINUTES}", "Path=/api/client/auth", "HttpOnly"}


async def started(okta: SamlProvider) -> Reply:
    return await Browser(okta.app).start("okta-saml", client=okta.client)


async def test_on_https_the_binding_cookie_comes_along_with_the_providers_post(secure: SamlProvider) -> None:
    [(value, attributes)] = lines(await started(secure), "sso-")
    assert attributes == FLOW | {"SameSite=None", "Secure"}
    assert len(value) >= 22


async def test_on_plain_http_browsers_take_no_such_cookie_so_it_is_lax(plain: SamlProvider) -> None:
    [(value, attributes)] = lines(await started(plain), "sso-")
    assert attributes == FLOW | {"SameSite=Lax"}
    assert len(value) >= 22


async def test_the_page_that_posts_sets_it_too(app: App) -> None:
    posting = {"binding": "post", "postUrl": "https://idp.example/sso/post"}
    okta = await saml_provider(app, await new_client(app), saml=posting)
    reply = await started(okta)
    assert reply.status == 200
    [(_, attributes)] = lines(reply, "sso-")
    assert attributes == FLOW | {"SameSite=Lax"}


async def test_the_session_cookie_is_like_that_of_any_sign_in(plain: SamlProvider, secure: SamlProvider) -> None:
    for okta, more in ((plain, set()), (secure, {"Secure"})):
        by_form, by_json = await okta.sign_in(Browser(okta.app)), await okta.call(okta.response())
        for reply in (by_form, by_json):
            [(value, attributes)] = lines(reply, "session=")
            assert attributes == {f"Max-Age={WEEK}", "Path=/", "HttpOnly", "SameSite=Lax"} | more
            assert len(value) >= 22
        [(value, attributes)] = lines(by_form, "sso-")
        gone = {"Max-Age=0", "Path=/api/client/auth", "HttpOnly"}
        assert (value, attributes) == ("", gone | ({"Secure", "SameSite=None"} if more else {"SameSite=Lax"}))
        assert not lines(by_json, "sso-")


async def test_the_browser_is_sent_on_with_303(plain: SamlProvider) -> None:
    """With 307, it would post the assertion to the return address again (RFC 9700, section 4.12)."""
    assert (await plain.sign_in(Browser(plain.app))).status == 303
    assert (await plain.post(Browser(plain.app), plain.response())).status == 303


async def test_a_session_cookie_that_comes_along_is_ended_and_never_adopted(plain: SamlProvider) -> None:
    before = await plain.call(plain.response("before@acme.example"))
    keys = Keys(before.data["token"], before.data["refreshToken"], before.cookie("session"))
    browser = Browser(plain.app, {"session": keys.cookie})
    assert (await plain.sign_in(browser, "after@acme.example")).status == 303
    assert browser.cookies["session"] != keys.cookie
    assert (await browser.me()).data["user"]["email"] == "after@acme.example"
    assert await opened_by(plain.app, keys) == []


async def test_the_json_call_ends_it_as_well_and_a_rejected_response_does_not(plain: SamlProvider) -> None:
    before = await plain.call(plain.response("before@acme.example"))
    keys = Keys(before.data["token"], before.data["refreshToken"], before.cookie("session"))
    check_no_one_got_in(await plain.call(plain.response(sign="none"), cookie=keys.cookie))
    assert await opened_by(plain.app, keys) == ["token", "cookie", "refresh token"]
    after = await plain.call(plain.response("after@acme.example"), cookie=keys.cookie)
    assert after.cookie("session") != keys.cookie
    assert await opened_by(plain.app, keys) == []


async def test_a_planted_session_cookie_is_not_adopted(plain: SamlProvider) -> None:
    planted = "A" * 43
    browser = Browser(plain.app, {"session": planted})
    await plain.post(browser, plain.response())
    assert browser.cookies["session"] != planted
    assert (await plain.app.me(cookie=planted)).status == 401


async def test_another_sign_ins_cookie_stays(plain: SamlProvider) -> None:
    browser = Browser(plain.app)
    await plain.start(browser)
    [other] = flow_cookies(browser)
    assert (await plain.sign_in(browser)).status == 303
    assert list(flow_cookies(browser)) == [other]
    await plain.post(browser, plain.response())
    assert list(flow_cookies(browser)) == [other]


async def test_a_refusal_removes_no_cookie(plain: SamlProvider) -> None:
    browser = Browser(plain.app)
    request_id, state = await plain.start(browser)
    reply = await plain.post(browser, plain.response(in_response_to=request_id, sign="none"), state)
    check_no_one_got_in(reply)
    assert "set-cookie" not in reply.headers
    assert len(flow_cookies(browser)) == 1
