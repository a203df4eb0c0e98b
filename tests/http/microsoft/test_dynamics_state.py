"""Microsoft Dynamics: a sign-in is used once, within ten minutes, by the browser that began it, and ends at
a listed address; what was switched off meanwhile stays shut."""

from __future__ import annotations

import asyncio

import pytest

from tests.http.single_sign_on.test_return_addresses import HOSTILE, start
from tests.interop.microsoft.microsoft_setup import Provider, World
from tests.support.accounts import act_on, settle
from tests.support.application import Reply
from tests.support.envelope import check_refusal
from tests.support.oidc_op import provider as openid_provider
from tests.support.people import last_reason, users_of
from tests.support.single_sign_on import (
    RETURN_TO,
    Browser,
    add_oidc,
    check_nobody_got_in,
    failures,
    flow_cookies,
    with_query,
)


async def begun(world: World, provider: Provider, **query: str) -> tuple[Browser, str]:
    """A browser that comes back from Microsoft, and the address that it was sent to."""
    browser = Browser(world.app)
    return browser, world.microsoft.visit(await provider.start(browser, **query))


async def still_fine(world: World, browser: Browser, address: str) -> None:
    """The sign-in that somebody meddled with can be finished all the same."""
    assert world.microsoft.count("token") == 0
    assert (await browser.send("GET", address)).status == 302
    assert (await browser.me()).status == 200


@pytest.mark.parametrize("state", [None, "", "A" * 32, "' OR 1=1 --", "state\r\nSet-Cookie: session=x"])
async def test_a_state_that_nobody_knows_opens_nothing(world: World, state: str | None) -> None:
    browser, address = await begun(world, await world.dynamics())
    check_nobody_got_in(await browser.send("GET", with_query(address, state=state)))
    await still_fine(world, browser, address)


@pytest.mark.parametrize("brings", ["nothing", "a sign-in of its own", "a guess", "the key"])
async def test_an_answer_in_another_browser_opens_nothing_and_uses_nothing_up(world: World, brings: str) -> None:
    provider = await world.dynamics()
    mine, address = await begun(world, provider)
    victim, _ = await begun(world, provider)
    [name] = flow_cookies(mine)
    victim.cookies = {
        "nothing": {},
        "a sign-in of its own": dict(victim.cookies),
        "a guess": {name: "A" * 32},
        "the key": {name: name.removeprefix("sso-")},
    }[brings]
    check_nobody_got_in(await victim.send("GET", address))
    await still_fine(world, mine, address)


async def test_a_callback_that_is_replayed_opens_nothing(world: World) -> None:
    provider = await world.dynamics()
    browser, address = await begun(world, provider)
    kept = dict(browser.cookies)
    await still_fine(world, browser, address)
    asked = len(world.microsoft.asked)
    browser.cookies |= kept
    check_nobody_got_in(await browser.send("GET", address))
    check_nobody_got_in(await Browser(world.app, kept).send("GET", address))
    assert len(world.microsoft.asked) == asked


async def test_twenty_answers_at_once_open_one_session(world: World) -> None:
    browser, address = await begun(world, await world.dynamics())
    kept = dict(browser.cookies)

    async def come_back() -> Reply:
        return await Browser(world.app, dict(kept)).send("GET", address)

    replies = await asyncio.gather(*(come_back() for _ in range(20)))
    [ended] = [reply for reply in replies if reply.status == 302]
    for reply in replies:
        if reply is not ended:
            check_nobody_got_in(reply)
    assert (world.microsoft.count("token"), world.microsoft.count("dataverse")) == (1, 1)


async def test_after_ten_minutes_it_is_over(world: World) -> None:
    browser, address = await begun(world, await world.dynamics())
    world.app.clock.advance(600)
    check_nobody_got_in(await browser.send("GET", address))
    assert world.microsoft.count("token") == 0


async def test_a_stolen_code_is_worth_nothing_in_a_sign_in_of_the_thiefs(world: World) -> None:
    provider = await world.dynamics()
    _, theirs = await begun(world, provider)
    world.microsoft.user = "bob"
    thief, address = await begun(world, provider)
    stolen = theirs.partition("code=")[2].partition("&")[0]
    check_nobody_got_in(await thief.send("GET", with_query(address, code=stolen)))
    assert "AADSTS501481" in await last_reason(world.app, provider.client)
    assert world.microsoft.count("dataverse") == 0


async def test_a_sign_in_ends_at_its_own_callback_alone(world: World) -> None:
    """Mix-up (RFC 9700, section 4.4): what began with one kind of provider is not answered by another."""
    provider = await world.dynamics()
    browser, address = await begun(world, provider)
    for path in ("oidc/callback", f"oidc/callback/{provider.client}/{provider.made['name']}"):
        browser, address = await begun(world, provider)
        check_nobody_got_in(await browser.send("GET", address.replace("ms-dynamics/callback", path)))
        assert await last_reason(world.app, provider.client) == "the answer came to another callback address"
    with openid_provider(world.app.clock) as op:
        made = await add_oidc(world.app, op, provider.client)
        browser = Browser(world.app)
        started = await browser.start("oidc", client=provider.client, provider=made["name"])
        back = op.visit(started.headers["location"])
        check_nobody_got_in(
            await browser.send(
                "GET", back.replace(f"oidc/callback/{provider.client}/{made['name']}", "ms-dynamics/callback")
            )
        )
        assert op.count("token") == 0
    assert world.microsoft.count("token") == 0


@pytest.mark.parametrize("what", ["switch-off", "delete", "the client", "the directory", "the return address"])
async def test_what_is_shut_meanwhile_is_shut(world: World, what: str) -> None:
    provider = await world.dynamics(returnAddresses=[])
    await settle(world.app, provider.client, returnAddresses=[RETURN_TO])
    browser, address = await begun(world, provider, returnTo=RETURN_TO)
    if what == "the client":
        await act_on(world.app, f"{provider.client}/suspend")
    elif what == "the directory":
        fabrikam = world.microsoft.named("fabrikam").id
        await provider.change(dynamics={"directory": fabrikam, "clientSecret": "x"})
    elif what == "the return address":
        await settle(world.app, provider.client, returnAddresses=[])
    else:
        await provider.act(what)
    status, code = (403, "ACCOUNT_DISABLED") if what == "the client" else (401, "SSO_FAILED")
    check_nobody_got_in(await browser.send("GET", address), status, code)
    if what != "the client":
        assert await users_of(world.app, provider.client) == {}


async def test_a_provider_that_is_switched_off_is_no_way_in(world: World) -> None:
    provider = await world.dynamics()
    await provider.act("switch-off")
    reply = await Browser(world.app).start("ms-dynamics", client=provider.client, provider=provider.name)
    assert check_nobody_got_in(reply) == "This way to sign in is switched off"
    await provider.act("switch-on")
    assert (await provider.sign_in())[1].status == 302


async def test_switching_it_off_ends_its_sessions(world: World) -> None:
    provider = await world.dynamics()
    browser, _ = await provider.sign_in()
    await provider.act("switch-off")
    assert (await browser.me()).status == 401


async def test_a_deactivated_user_does_not_get_in(world: World) -> None:
    provider = await world.dynamics()
    browser, _ = await provider.sign_in()
    user_id = (await browser.me()).data["user"]["id"]
    await act_on(world.app, f"{provider.client}/users/{user_id}/deactivate")
    assert (await browser.me()).status == 401
    _, reply = await provider.sign_in()
    check_nobody_got_in(reply, 403, "ACCOUNT_DISABLED")
    assert (await provider.sign_in("bob"))[1].status == 302


async def test_it_ends_at_no_address_that_nobody_listed(world: World) -> None:
    provider = await world.dynamics(returnAddresses=[RETURN_TO, "com.acme.app:/signed-in"])
    for address in HOSTILE:
        for more in ("", "&response=code"):
            reply = await start(world.app, provider.client, address, more, "ms-dynamics")
            check_refusal(reply, 400, "VALIDATION_ERROR")
            assert "location" not in reply.headers, address
    assert world.microsoft.asked == []
    browser, address = await begun(world, provider)
    ended = await browser.send("GET", f"{address}&returnTo=https%3A%2F%2Fevil.example&redirect_uri=//evil.example")
    assert ended.headers["location"] == RETURN_TO
    assert await failures(world.app, provider.client) == []
