"""An OpenID Connect sign-in works once, within ten minutes, and only in the browser that started it.

Any other response is rejected without a request to the provider, and opens no session.
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.accounts import new_client
from tests.support.application import App, Reply
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.rules import rule
from tests.support.single_sign_on import (
    RETURN_TO,
    Browser,
    add_oidc,
    begun,
    check_no_one_got_in,
    failures,
    flow_cookies,
    query_of,
    with_query,
)

pytestmark = [pytest.mark.one_store, pytest.mark.usefixtures("another_day")]


@pytest.fixture
async def client(app: App, op: Op) -> str:
    """A client with one provider; everyone at the provider can sign in."""
    identifier = await new_client(app)
    await add_oidc(app, op, identifier)
    return identifier


async def still_fine(browser: Browser, address: str) -> None:
    """Check that a sign-in can still be completed after an attacker interfered with it."""
    ended = await browser.send("GET", address)
    assert (ended.status, ended.headers["location"]) == (302, RETURN_TO), ended.text
    assert (await browser.me()).status == 200


@rule("OIDC-STATE")
@matrix("state", [None, "", "A" * 32, "0", "' OR 1=1 --", "state\r\nSet-Cookie: session=x", "é" * 20])
async def test_a_state_that_no_one_knows_is_rejected_and_no_one_is_asked(
    app: App, op: Op, client: str, state: str | None
) -> None:
    browser, address = await begun(app, op, client)
    asked = len(op.asked)
    check_no_one_got_in(await browser.send("GET", with_query(address, state=state)))
    assert len(op.asked) == asked
    await still_fine(browser, address)


async def test_a_similar_state_is_rejected(app: App, op: Op, client: str) -> None:
    browser, address = await begun(app, op, client)
    state = parse_qs(urlsplit(address).query)["state"][0]
    for other in (state[:-1], state + "=", state + "A", state.swapcase(), f" {state}"):
        check_no_one_got_in(await browser.send("GET", with_query(address, state=other)))
    assert op.count("token") == 0
    await still_fine(browser, address)


@rule("OIDC-FLOW")
async def test_the_state_is_long_and_random_and_so_are_nonce_challenge_and_cookie(
    app: App, op: Op, client: str
) -> None:
    seen: set[str] = set()
    for _ in range(3):
        browser = Browser(app)
        query = query_of(await browser.start("oidc", client=client))
        [cookie] = flow_cookies(browser).values()
        seen |= {query["state"], query["nonce"], query["code_challenge"], cookie}
        assert all(len(query[name]) >= 22 for name in ("state", "nonce"))
        assert len(query["code_challenge"]) == 43
        assert len(cookie) >= 22
    assert len(seen) == 12


@rule("OIDC-FLOW")
async def test_a_state_is_used_once_by_its_own_browser_too(app: App, op: Op, client: str) -> None:
    browser, address = await begun(app, op, client)
    kept = dict(browser.cookies)
    await still_fine(browser, address)
    asked = len(op.asked)
    browser.cookies |= kept
    check_no_one_got_in(await browser.send("GET", address))
    again = op.code(address.partition("?")[0], "A" * 43, None)  # a new code doesn't help either
    check_no_one_got_in(await browser.send("GET", with_query(address, code=again)))
    assert len(op.asked) == asked


async def test_a_state_that_was_rejected_is_used_up(app: App, op: Op, client: str) -> None:
    browser, address = await begun(app, op, client)
    kept = dict(browser.cookies)
    check_no_one_got_in(await browser.send("GET", with_query(address, code="guessed")))
    browser.cookies |= kept
    check_no_one_got_in(await browser.send("GET", address))
    assert op.count("token") == 1
    assert [told["why"] for told in await failures(app, client)][1:] == ["state: already used"]


@rule("OIDC-FLOW")
async def test_it_expires_after_ten_minutes(app: App, op: Op, client: str) -> None:
    browser, address = await begun(app, op, client)
    late, late_address = await begun(app, op, client)
    app.clock.advance(599.999)
    await still_fine(browser, address)
    app.clock.advance(0.001)
    check_no_one_got_in(await late.send("GET", late_address))
    assert op.count("token") == 1


async def test_the_cookie_lives_as_long_and_is_gone_afterward(app: App, op: Op, client: str) -> None:
    browser = Browser(app)
    started = await browser.start("oidc", client=client)
    [line] = started.headers.get_list("set-cookie")
    assert "Max-Age=600" in line
    [name] = flow_cookies(browser)
    ended = await browser.send("GET", op.visit(started.headers["location"]))
    [gone] = [line for line in ended.headers.get_list("set-cookie") if line.startswith(name)]
    assert {"Max-Age=0", "Path=/api/client/auth"} <= set(gone.split("; "))
    assert flow_cookies(browser) == {}


@rule("OIDC-STATE")
@matrix("brings", ["nothing", "a cookie of its own", "a guess", "an empty one", "the key", "two"])
async def test_an_answer_in_another_browser_opens_nothing_and_uses_nothing_up(
    app: App, op: Op, client: str, brings: str
) -> None:
    """Login CSRF: an attacker starts a sign-in, and sends the victim the URL that completes it (RFC 9700, 4.7)."""
    mine, address = await begun(app, op, client)
    [(name, value)] = flow_cookies(mine).items()
    victim, _ = await begun(app, op, client)
    own = dict(flow_cookies(victim))
    victim.cookies = {
        "nothing": {},
        "a cookie of its own": own,
        "a guess": {**own, name: "A" * 32},
        "an empty one": {name: ""},
        "the key": {name: name.removeprefix("sso-")},
        "two": {name: f"{value}; {name}={'A' * 32}"},
    }[brings]
    asked = len(op.asked)
    check_no_one_got_in(await victim.send("GET", address))
    assert len(op.asked) == asked
    await still_fine(mine, address)


async def test_the_cookie_of_another_sign_in_under_the_right_name_does_not_do(app: App, op: Op, client: str) -> None:
    mine, address = await begun(app, op, client)
    other, _ = await begun(app, op, client)
    [name] = flow_cookies(mine)
    [value] = flow_cookies(other).values()
    check_no_one_got_in(await Browser(app, {name: value}).send("GET", address))
    await still_fine(mine, address)


async def test_two_tabs_of_one_browser_do_not_disturb_each_other(app: App, op: Op, client: str) -> None:
    browser = Browser(app)
    addresses = [(await begun(app, op, client, browser))[1] for _ in range(3)]
    assert len(flow_cookies(browser)) == 3
    for address in (addresses[1], addresses[2], addresses[0]):
        await still_fine(browser, address)
    assert flow_cookies(browser) == {}


@rule("OIDC-STATE")
@matrix("of_pkce", [True, False])
async def test_a_stolen_code_is_worth_nothing_in_a_sign_in_of_the_thiefs(
    app: App, op: Op, client: str, of_pkce: bool
) -> None:
    """Code injection (RFC 9700, section 4.5). Even a provider that ignores PKCE puts the nonce into the token."""
    _, theirs = await begun(app, op, client)
    stolen = parse_qs(urlsplit(theirs).query)["code"][0]
    thief, address = await begun(app, op, client)
    if not of_pkce:
        own = parse_qs(urlsplit(address).query)["code"][0]
        op.grants[stolen].challenge = op.grants[own].challenge
    check_no_one_got_in(await thief.send("GET", with_query(address, code=stolen)))
    [failed] = await failures(app, client)
    assert ("nonce" in failed["why"]) != of_pkce
    assert (await thief.me()).status == 401


@rule("OIDC-FLOW")
async def test_a_nonce_of_another_sign_in_or_none_is_rejected(app: App, op: Op, client: str) -> None:
    for nonce in ("A" * 32, None, "", 7):
        browser, address = await begun(app, op, client)
        op.claims["nonce"] = nonce
        check_no_one_got_in(await browser.send("GET", address))
        assert (await failures(app, client))[-1]["why"] == "ID token: nonce"


@rule("OIDC-FLOW")
async def test_twenty_answers_at_the_same_time_open_one_session(app: App, op: Op, client: str) -> None:
    browser, address = await begun(app, op, client)
    kept = dict(browser.cookies)

    async def come_back() -> Reply:
        return await Browser(app, dict(kept)).send("GET", address)

    replies = await asyncio.gather(*(come_back() for _ in range(20)))
    [ended] = [reply for reply in replies if reply.status == 302]
    for reply in replies:
        if reply is not ended:
            check_no_one_got_in(reply)
    assert op.count("token") == 1
    reply = await app.get("/api/client/auth/sessions", cookie=ended.cookie("session"))
    assert len(reply.data["items"]) == 1


async def test_a_repeated_parameter_is_rejected(app: App, op: Op, client: str) -> None:
    browser, address = await begun(app, op, client)
    for doubled in ("state=x", "code=x", "iss=x", "error=x&error=x"):
        check_no_one_got_in(await browser.send("GET", f"{address}&{doubled}"), 400, "VALIDATION_ERROR")
    await still_fine(browser, address)


async def test_what_else_a_provider_puts_into_the_address_is_ignored(app: App, op: Op, client: str) -> None:
    op.redirect |= {"session_state": "4f1a.8", "scope": "openid email", "authuser": "0", "hd": "acme.example"}
    browser, address = await begun(app, op, client)
    await still_fine(browser, address)
