"""A SAML response works once, for the sign-in that requested it, in the browser that started it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import pytest

from tests.support.application import App, Reply
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import (
    RETURN_TO,
    Browser,
    SamlProvider,
    check_no_one_got_in,
    check_says_no_more,
    flow_cookies,
    saml_provider,
)

pytestmark = pytest.mark.one_store

MINUTES = 60


async def unknown_request(okta: SamlProvider, browser: Browser) -> Reply:
    _, state = await okta.start(browser)
    return await okta.post(browser, okta.response(in_response_to="_" + "0" * 40), state)


async def a_request_without_our_relay_state_that_we_never_made(okta: SamlProvider, browser: Browser) -> Reply:
    return await okta.post(browser, okta.response(in_response_to="_" + "0" * 40))


async def an_empty_request(okta: SamlProvider, browser: Browser) -> Reply:
    return await okta.post(browser, okta.response(in_response_to=""))


async def what_the_profile_forbids(okta: SamlProvider, browser: Browser) -> Reply:
    return await okta.post(browser, okta.response(in_response_to="IdP_Initiated_Login"))


async def the_relay_state_as_request(okta: SamlProvider, browser: Browser) -> Reply:
    _, state = await okta.start(browser)
    return await okta.post(browser, okta.response(in_response_to=state), state)


async def used_before(okta: SamlProvider, browser: Browser) -> Reply:
    request_id, state = await okta.start(browser)
    kept = dict(browser.cookies)
    assert (await okta.post(browser, okta.response(in_response_to=request_id), state)).status == 303
    browser.cookies = kept
    return await okta.post(browser, okta.response(in_response_to=request_id), state)


async def too_late(okta: SamlProvider, browser: Browser) -> Reply:
    request_id, state = await okta.start(browser)
    okta.app.clock.advance(10 * MINUTES)
    return await okta.post(browser, okta.response(in_response_to=request_id), state)


async def missing_though_we_asked(okta: SamlProvider, browser: Browser) -> Reply:
    _, state = await okta.start(browser)
    return await okta.post(browser, okta.response(), state)


async def relay_state_of_another_sign_in(okta: SamlProvider, browser: Browser) -> Reply:
    request_id, _ = await okta.start(browser)
    _, other = await okta.start(browser)
    return await okta.post(browser, okta.response(in_response_to=request_id), other)


async def relay_state_of_nothing(okta: SamlProvider, browser: Browser) -> Reply:
    request_id, _ = await okta.start(browser)
    return await okta.post(browser, okta.response(in_response_to=request_id), "A" * 32)


async def relay_state_is_the_return_address(okta: SamlProvider, browser: Browser) -> Reply:
    request_id, _ = await okta.start(browser)
    return await okta.post(browser, okta.response(in_response_to=request_id), RETURN_TO)


async def another_browser(okta: SamlProvider, browser: Browser) -> Reply:
    request_id, state = await okta.start(Browser(okta.app))
    await okta.start(browser)
    return await okta.post(browser, okta.response(in_response_to=request_id), state)


async def a_browser_with_a_made_up_cookie(okta: SamlProvider, browser: Browser) -> Reply:
    request_id, state = await okta.start(browser)
    browser.cookies = dict.fromkeys(browser.cookies, "A" * 32)
    return await okta.post(browser, okta.response(in_response_to=request_id), state)


async def a_browser_with_its_cookie_twice(okta: SamlProvider, browser: Browser) -> Reply:
    request_id, state = await okta.start(browser)
    [(name, value)] = flow_cookies(browser).items()
    browser.cookies = {name: f"{value}; {name}=planted"}
    return await okta.post(browser, okta.response(in_response_to=request_id), state)


async def named_in_the_unsigned_envelope_alone(okta: SamlProvider, browser: Browser) -> Reply:
    """Another person's unsolicited assertion, in a response to the attacker's own request."""
    request_id, state = await okta.start(browser)
    stolen = okta.response(after=lambda tree: tree.set("InResponseTo", request_id))
    return await okta.post(browser, stolen, state)


async def named_in_the_assertion_alone(okta: SamlProvider, browser: Browser) -> Reply:
    """A response that looks unsolicited, for a browser that didn't request it."""
    request_id, _ = await okta.start(Browser(okta.app))
    captured = okta.response(in_response_to=request_id, after=lambda tree: tree.attrib.pop("InResponseTo"))
    return await okta.post(browser, captured)


async def by_another_provider_of_the_client(okta: SamlProvider, browser: Browser) -> Reply:
    other = await saml_provider(okta.app, idp=Idp(issuer="http://www.okta.com/exkother", number=1))
    request_id, state = await okta.start(browser)
    return await okta.post(browser, other.response(in_response_to=request_id), state)


WRONG = [
    unknown_request,
    a_request_without_our_relay_state_that_we_never_made,
    an_empty_request,
    what_the_profile_forbids,
    the_relay_state_as_request,
    used_before,
    too_late,
    missing_though_we_asked,
    relay_state_of_another_sign_in,
    relay_state_of_nothing,
    relay_state_is_the_return_address,
    another_browser,
    a_browser_with_a_made_up_cookie,
    a_browser_with_its_cookie_twice,
    named_in_the_unsigned_envelope_alone,
    named_in_the_assertion_alone,
    by_another_provider_of_the_client,
]


@matrix("attempt", WRONG)
async def test_an_answer_to_something_else_opens_nothing(
    okta: SamlProvider, attempt: Callable[[SamlProvider, Browser], Awaitable[Reply]]
) -> None:
    browser = Browser(okta.app)
    reply = await attempt(okta, browser)
    check_no_one_got_in(reply)
    check_says_no_more(reply, await okta.call(okta.response(sign="none")))


async def test_an_answer_just_before_the_ten_minutes_are_over_is_in_time(okta: SamlProvider) -> None:
    browser = Browser(okta.app)
    request_id, state = await okta.start(browser)
    okta.app.clock.advance(10 * MINUTES - 1)
    assert (await okta.post(browser, okta.response(in_response_to=request_id), state)).status == 303


async def test_a_provider_that_forgets_relay_state_is_understood_all_the_same(okta: SamlProvider) -> None:
    browser = Browser(okta.app)
    request_id, _ = await okta.start(browser, returnTo=RETURN_TO)
    ended = await okta.post(browser, okta.response(in_response_to=request_id))
    assert (ended.status, ended.headers["location"]) == (303, RETURN_TO)


async def test_what_others_try_with_a_request_does_not_use_it_up(okta: SamlProvider) -> None:
    browser, thief = Browser(okta.app), Browser(okta.app)
    request_id, state = await okta.start(browser)
    response = okta.response(in_response_to=request_id)
    check_no_one_got_in(await okta.post(thief, response, state))
    check_no_one_got_in(await okta.post(browser, okta.response(in_response_to=request_id, sign="none"), state))
    check_no_one_got_in(await okta.post(browser, response, "A" * 32))
    assert (await okta.post(browser, response, state)).status == 303


async def test_two_tabs_do_not_disturb_each_other(okta: SamlProvider) -> None:
    browser = Browser(okta.app)
    first, second = await okta.start(browser), await okta.start(browser)
    assert len(flow_cookies(browser)) == 2
    for request_id, state in (second, first):
        assert (await okta.post(browser, okta.response(in_response_to=request_id), state)).status == 303
    assert not flow_cookies(browser)


async def test_the_json_call_answers_a_request_only_with_the_browsers_cookie(okta: SamlProvider) -> None:
    browser = Browser(okta.app)
    request_id, state = await okta.start(browser)
    response = okta.response("page@acme.example", in_response_to=request_id)
    body = {"samlResponse": response, "relayState": state}
    check_no_one_got_in(await okta.call(response))
    check_no_one_got_in(await Browser(okta.app).send("POST", okta.acs, body=body))
    answered = await browser.send("POST", okta.acs, body=body)
    assert check_success(answered)["user"]["email"] == "page@acme.example"
    assert not flow_cookies(browser)


async def test_the_json_call_heeds_relay_state_too(okta: SamlProvider) -> None:
    browser = Browser(okta.app)
    request_id, state = await okta.start(browser)
    _, other = await okta.start(browser)
    wrong = [{"relayState": other, "samlResponse": okta.response(in_response_to=request_id)}]
    wrong.append({"relayState": state, "samlResponse": okta.response()})
    for body in wrong:
        check_no_one_got_in(await browser.send("POST", okta.acs, body=body))


async def test_of_many_answers_to_one_request_at_the_same_time_one_counts(okta: SamlProvider) -> None:
    browser = Browser(okta.app)
    request_id, state = await okta.start(browser)
    cookies = dict(browser.cookies)
    answers = [okta.response(f"racer-{n}@acme.example", in_response_to=request_id) for n in range(8)]
    replies = await asyncio.gather(
        *(okta.post(Browser(okta.app, dict(cookies)), response, state) for response in answers)
    )
    assert sorted(reply.status for reply in replies) == [303] + [401] * 7


@matrix("act", ["/switch-off", ""], ids=["switched off", "deleted"])
async def test_a_provider_that_goes_while_the_browser_is_there_signs_no_one_in(app: App, act: str) -> None:
    okta = await saml_provider(app)
    browser = Browser(app)
    request_id, state = await okta.start(browser)
    assert (await okta.admin("POST" if act else "DELETE", act)).status == 200
    reply = await okta.post(browser, okta.response(in_response_to=request_id), state)
    check_no_one_got_in(reply)
    other = await saml_provider(app)
    check_says_no_more(reply, await other.call(other.response(sign="none")))


async def test_the_state_is_worth_nothing_at_the_other_kinds_callback(okta: SamlProvider) -> None:
    browser = Browser(okta.app)
    request_id, state = await okta.start(browser)
    query = urlencode({"state": state, "code": "x"})
    check_no_one_got_in(await browser.send("GET", f"/api/client/auth/oidc/callback?{query}"))
    own = f"/api/client/auth/oidc/callback/{okta.client}/{okta.name}"
    check_no_one_got_in(await browser.send("GET", f"{own}?{query}"))
    # Correct state, correct browser, but wrong callback: it doesn't use up anything.
    assert (await okta.post(browser, okta.response(in_response_to=request_id), state)).status == 303
