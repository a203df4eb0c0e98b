"""A Microsoft Dynamics sign-in works once, within ten minutes, and only in the browser that started it.

It ends at a listed address, and whatever was turned off in the meantime stays off.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.http.single_sign_on.test_return_addresses import HOSTILE, start
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, Provider
from tests.support.accounts import act_on, settle
from tests.support.application import Reply
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.oidc_op import provider as openid_provider
from tests.support.people import last_reason, users_of
from tests.support.rules import rule
from tests.support.single_sign_on import (
    RETURN_TO,
    Browser,
    add_oidc,
    check_no_one_got_in,
    failures,
    flow_cookies,
    with_query,
)

pytestmark = pytest.mark.one_store


async def begun(setup: MicrosoftSetup, provider: Provider, **query: str) -> tuple[Browser, str]:
    """A browser that returns from Microsoft, and its return address."""
    browser = Browser(setup.app)
    return browser, setup.microsoft.visit(await provider.start(browser, **query))


async def still_fine(setup: MicrosoftSetup, browser: Browser, address: str) -> None:
    """Check that a sign-in can still be completed after an attacker interfered with it."""
    assert setup.microsoft.count("token") == 0
    assert (await browser.send("GET", address)).status == 302
    assert (await browser.me()).status == 200


@matrix("state", [None, "", "A" * 32, "' OR 1=1 --", "state\r\nSet-Cookie: session=x"])
async def test_a_state_that_no_one_knows_opens_nothing(setup: MicrosoftSetup, state: str | None) -> None:
    browser, address = await begun(setup, await setup.dynamics())
    check_no_one_got_in(await browser.send("GET", with_query(address, state=state)))
    await still_fine(setup, browser, address)


@rule("OIDC-STATE")
@matrix("brings", ["nothing", "a sign-in of its own", "a guess", "the key"])
async def test_an_answer_in_another_browser_opens_nothing_and_uses_nothing_up(
    setup: MicrosoftSetup, brings: str
) -> None:
    provider = await setup.dynamics()
    mine, address = await begun(setup, provider)
    victim, _ = await begun(setup, provider)
    [name] = flow_cookies(mine)
    victim.cookies = {
        "nothing": {},
        "a sign-in of its own": dict(victim.cookies),
        "a guess": {name: "A" * 32},
        "the key": {name: name.removeprefix("sso-")},
    }[brings]
    check_no_one_got_in(await victim.send("GET", address))
    await still_fine(setup, mine, address)


async def test_a_callback_that_is_replayed_opens_nothing(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    browser, address = await begun(setup, provider)
    kept = dict(browser.cookies)
    await still_fine(setup, browser, address)
    asked = len(setup.microsoft.asked)
    browser.cookies |= kept
    check_no_one_got_in(await browser.send("GET", address))
    check_no_one_got_in(await Browser(setup.app, kept).send("GET", address))
    assert len(setup.microsoft.asked) == asked


@rule("OIDC-FLOW")
async def test_twenty_answers_at_the_same_time_open_one_session(setup: MicrosoftSetup) -> None:
    browser, address = await begun(setup, await setup.dynamics())
    kept = dict(browser.cookies)

    async def come_back() -> Reply:
        return await Browser(setup.app, dict(kept)).send("GET", address)

    replies = await asyncio.gather(*(come_back() for _ in range(20)))
    [ended] = [reply for reply in replies if reply.status == 302]
    for reply in replies:
        if reply is not ended:
            check_no_one_got_in(reply)
    assert (setup.microsoft.count("token"), setup.microsoft.count("dataverse")) == (1, 1)


@rule("OIDC-FLOW")
async def test_after_ten_minutes_it_is_over(setup: MicrosoftSetup) -> None:
    browser, address = await begun(setup, await setup.dynamics())
    setup.app.clock.advance(600)
    check_no_one_got_in(await browser.send("GET", address))
    assert setup.microsoft.count("token") == 0


@rule("OIDC-STATE")
async def test_a_stolen_code_is_worth_nothing_in_a_sign_in_of_the_thiefs(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    _, theirs = await begun(setup, provider)
    setup.microsoft.user = "bob"
    thief, address = await begun(setup, provider)
    stolen = theirs.partition("code=")[2].partition("&")[0]
    check_no_one_got_in(await thief.send("GET", with_query(address, code=stolen)))
    assert "AADSTS501481" in await last_reason(setup.app, provider.client)
    assert setup.microsoft.count("dataverse") == 0


@rule("OIDC-MIX-UP")
async def test_a_sign_in_ends_at_its_own_callback_alone(setup: MicrosoftSetup) -> None:
    """Mix-up (RFC 9700, section 4.4): a sign-in with one kind of provider rejects a response from another kind."""
    provider = await setup.dynamics()
    browser, address = await begun(setup, provider)
    for path in ("oidc/callback", f"oidc/callback/{provider.client}/{provider.made['name']}"):
        browser, address = await begun(setup, provider)
        check_no_one_got_in(await browser.send("GET", address.replace("ms-dynamics/callback", path)))
        assert await last_reason(setup.app, provider.client) == "the response arrived at a different redirect URI"
    with openid_provider(setup.app.clock) as op:
        made = await add_oidc(setup.app, op, provider.client)
        browser = Browser(setup.app)
        started = await browser.start("oidc", client=provider.client, provider=made["name"])
        back = op.visit(started.headers["location"])
        check_no_one_got_in(
            await browser.send(
                "GET", back.replace(f"oidc/callback/{provider.client}/{made['name']}", "ms-dynamics/callback")
            )
        )
        assert op.count("token") == 0
    assert setup.microsoft.count("token") == 0


@matrix("what", ["switch-off", "delete", "the client", "the directory", "the return address"])
async def test_what_is_shut_in_the_meantime_is_shut(setup: MicrosoftSetup, what: str) -> None:
    provider = await setup.dynamics(returnAddresses=[])
    await settle(setup.app, provider.client, returnAddresses=[RETURN_TO])
    browser, address = await begun(setup, provider, returnTo=RETURN_TO)
    if what == "the client":
        await act_on(setup.app, f"{provider.client}/suspend")
    elif what == "the directory":
        fabrikam = setup.microsoft.named("fabrikam").id
        await provider.change(dynamics={"directory": fabrikam, "clientSecret": "x"})
    elif what == "the return address":
        await settle(setup.app, provider.client, returnAddresses=[])
    else:
        await provider.act(what)
    status, code = (403, "ACCOUNT_DISABLED") if what == "the client" else (401, "SSO_FAILED")
    check_no_one_got_in(await browser.send("GET", address), status, code)
    if what != "the client":
        assert await users_of(setup.app, provider.client) == {}


async def test_a_provider_that_is_turned_off_is_no_way_in(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    await provider.act("switch-off")
    reply = await Browser(setup.app).start("ms-dynamics", client=provider.client, provider=provider.name)
    assert check_no_one_got_in(reply) == "This sign-in method is turned off"
    await provider.act("switch-on")
    assert (await provider.sign_in())[1].status == 302


async def test_switching_it_off_ends_its_sessions(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    browser, _ = await provider.sign_in()
    await provider.act("switch-off")
    assert (await browser.me()).status == 401


async def test_a_deactivated_user_cannot_sign_in(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    browser, _ = await provider.sign_in()
    user_id = (await browser.me()).data["user"]["id"]
    await act_on(setup.app, f"{provider.client}/users/{user_id}/deactivate")
    assert (await browser.me()).status == 401
    _, reply = await provider.sign_in()
    check_no_one_got_in(reply, 403, "ACCOUNT_DISABLED")
    assert (await provider.sign_in("bob"))[1].status == 302


async def test_it_ends_at_no_address_that_no_one_listed(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics(returnAddresses=[RETURN_TO, "com.acme.app:/signed-in"])
    for address in HOSTILE:
        for more in ("", "&response=code"):
            reply = await start(setup.app, provider.client, address, more, "ms-dynamics")
            check_refusal(reply, 400, "VALIDATION_ERROR")
            assert "location" not in reply.headers, address
    assert setup.microsoft.asked == []
    browser, address = await begun(setup, provider)
    ended = await browser.send("GET", f"{address}&returnTo=https%3A%2F%2Fevil.example&redirect_uri=//evil.example")
    assert ended.headers["location"] == RETURN_TO
    assert await failures(setup.app, provider.client) == []
