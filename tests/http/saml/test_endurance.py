"""Hundreds of consecutive SAML sign-ins leave behind no rows and no memory."""

from __future__ import annotations

import pytest

from tests.http.endurance import HOUR, check_memory, counted
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.background_jobs import sweep_expired
from tests.support.single_sign_on import Browser, SamlProvider, check_no_one_got_in, saml_provider

pytestmark = pytest.mark.endurance


async def sign_in_by_every_way(okta: SamlProvider, rounds: int) -> None:
    """Five sign-ins a round, one of which is never completed and one of which is rejected."""
    app = okta.app
    for number in range(rounds):
        name = f"person-{number % 20}@acme.example"
        assert (await okta.call(okta.response(name))).status == 200
        assert (await okta.sign_in(Browser(app), name)).status == 303
        assert (await okta.call(okta.response(name, encrypt_for=okta.certificate))).status == 200
        browser = Browser(app)
        request_id, state = await okta.start(browser, response="code")
        response = okta.response(name, in_response_to=request_id)
        ended = await okta.post(browser, response, state)
        code = ended.headers["location"].partition("code=")[2]
        assert (await app.post("/api/client/auth/exchange", {"code": code})).status == 200
        check_no_one_got_in(await okta.post(browser, response, state))
        await okta.start(Browser(app))


@pytest.mark.timeout(300)
async def test_once_their_time_is_over_the_sweeper_leaves_none_of_their_rows(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    await sign_in_by_every_way(okta, 25)
    assert await counted(app) == {"sign_in_flows": 75, "sign_in_codes": 25, "seen_assertions": 100}
    await sweep_expired(app)
    assert await counted(app) == {"sign_in_flows": 75, "sign_in_codes": 25, "seen_assertions": 100}  # not earlier
    response = okta.response()
    app.clock.advance(1.5 * HOUR + 1)  # codes are kept for an hour after they expire
    await sweep_expired(app)
    assert await counted(app) == {"sign_in_flows": 0, "sign_in_codes": 0, "seen_assertions": 0}
    check_no_one_got_in(await okta.call(response))


async def test_what_is_still_under_way_is_not_swept_away(app: App) -> None:
    okta = await saml_provider(app, await new_client(app))
    browser = Browser(app)
    request_id, state = await okta.start(browser)
    used = okta.response(not_on_or_after=None, confirmed_until="2100-01-01T00:00:00Z", session_until=None)
    assert (await okta.call(used)).status == 200
    app.clock.advance(9 * 60)
    await sweep_expired(app)
    assert (await okta.post(browser, okta.response(in_response_to=request_id), state)).status == 303
    app.clock.advance(1000 * HOUR)
    await sweep_expired(app)
    check_no_one_got_in(await okta.call(used))  # it's valid until 2100, and remembered until then


@pytest.mark.one_store
@pytest.mark.timeout(300)
async def test_memory_does_not_grow_with_the_number_of_sign_ins(app: App) -> None:
    """A response has about 8 KiB, and its tree five times as much, so a leak of either would take a few MiB here."""
    okta = await saml_provider(app, await new_client(app))
    await sign_in_by_every_way(okta, 15)
    await check_memory(lambda: sign_in_by_every_way(okta, 30), lambda: sign_in_by_every_way(okta, 30))
