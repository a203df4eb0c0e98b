"""SAML responses of anonymous callers are parsed off the event loop, with a limited number, and counted by address."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.accounts import new_client, trail
from tests.support.application import App, Reply
from tests.support.attempt_limits import DAY, PROXY, at
from tests.support.envelope import check_refusal
from tests.support.faults import most_at_once, reading_waits, threads_of_reading
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, SamlProvider, saml_provider
from tests.support.smaller_limits import few_responses

HERE, THERE = "203.0.113.7", "203.0.113.8"
pytestmark = [pytest.mark.settings(**PROXY), pytest.mark.one_store]


@pytest.fixture
async def okta(app: App) -> SamlProvider:
    app.clock.advance(2 * DAY)
    return await saml_provider(app, await new_client(app))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    few_responses(monkeypatch, 5)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads in which responses are parsed or verified."""
    return threads_of_reading(monkeypatch)


async def junk(okta: SamlProvider, address: str = HERE) -> Reply:
    """Send an unsigned response that names a known issuer."""
    return await okta.call(okta.response(sign="none"), headers=at(address))


@rule("SAML-SIZE")
async def test_no_response_is_read_or_verified_on_the_event_loop(okta: SamlProvider, read: list[str]) -> None:
    assert (await okta.call(okta.response())).status == 200
    check_refusal(await junk(okta), 401, "SSO_FAILED")
    assert read == ["read in a thread", "verify in a thread"] * 2


@rule("SAML-SIZE")
async def test_the_server_answers_while_a_response_is_read(
    app: App, okta: SamlProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = reading_waits(monkeypatch)
    waiting = [asyncio.create_task(okta.call(okta.response())) for _ in range(most_at_once(app))]
    for _ in range(200):
        await asyncio.sleep(0)
    assert (await app.me()).status == 401
    refused = await okta.call(okta.response())
    check_refusal(refused, 503, "OVERLOADED")
    assert refused.headers["retry-after"] == "1"
    go_on.set()
    assert {reply.status for reply in await asyncio.gather(*waiting)} == {200}
    assert (await okta.call(okta.response())).status == 200


@rule("SAML-SIZE")
async def test_junk_from_an_address_waits_and_is_not_read(
    app: App, okta: SamlProvider, few: None, read: list[str]
) -> None:
    for _ in range(5):
        check_refusal(await junk(okta), 401, "SSO_FAILED")
    before = len(read)
    refused = await junk(okta)
    check_refusal(refused, 429, "RATE_LIMITED")
    assert refused.headers["retry-after"] == "1"
    other = await saml_provider(app, await new_client(app))
    check_refusal(await junk(other), 429, "RATE_LIMITED")  # the limit is per server, whatever client is named
    assert len(read) == before
    check_refusal(await junk(okta, THERE), 401, "SSO_FAILED")
    for _ in range(8):
        app.clock.advance(6)
        assert (await junk(okta)).status == 401  # one for each wait, of at most 5 s


async def test_an_invalid_xml_and_what_names_no_provider_is_counted_too(okta: SamlProvider, few: None) -> None:
    for response in ("AAAA", "####", okta.response(issuer="https://nobody.example"), "AAAA", "AAAA"):
        assert (await okta.call(response, headers=at(HERE))).status in (400, 401)
    check_refusal(await okta.call("AAAA", headers=at(HERE)), 429, "RATE_LIMITED")


async def test_right_responses_use_up_nothing(okta: SamlProvider, few: None) -> None:
    for _ in range(8):
        assert (await okta.call(okta.response(), headers=at(HERE))).status == 200


async def test_a_replay_is_a_failure(okta: SamlProvider, few: None) -> None:
    response = okta.response()
    assert (await okta.call(response, headers=at(HERE))).status == 200
    replies = [await okta.call(response, headers=at(HERE)) for _ in range(6)]
    assert [reply.status for reply in replies] == [401] * 5 + [429]


async def test_a_company_with_many_networks_has_one_budget(okta: SamlProvider, few: None) -> None:
    replies = [await junk(okta, f"2001:db8:1:{n:x}00::1") for n in range(15)]
    assert [reply.status for reply in replies] == [401] * 10 + [429] * 5


class Visitor(Browser):
    """A browser at the address that sends invalid responses."""

    async def send(self, method: str, address: str, **options: Any) -> Reply:
        headers = {**options.pop("headers", {}), **at(HERE)}
        return await super().send(method, address, headers=headers, **options)


async def test_who_began_at_the_server_can_sign_in_while_junk_comes_from_the_same_address(
    app: App, okta: SamlProvider, few: None
) -> None:
    for _ in range(6):
        await junk(okta)
    assert (await junk(okta)).status == 429
    assert (await okta.sign_in(Visitor(app))).status == 303
    assert (await junk(okta)).status == 429  # a valid one doesn't reset the count of the others


async def test_a_sign_in_that_was_begun_is_no_way_round(app: App, okta: SamlProvider, few: None) -> None:
    for _ in range(6):
        await junk(okta)
    browser = Visitor(app)
    request_id, relay_state = await okta.start(browser)
    replies = [
        await okta.post(browser, okta.response(sign="none", in_response_to=request_id), relay_state) for _ in range(5)
    ]
    assert [reply.status for reply in replies] == [401] * 3 + [429] * 2
    outsider = Visitor(app)  # knows the state, but doesn't have the cookie
    assert (await okta.post(outsider, okta.response(in_response_to=request_id), relay_state)).status == 429


async def test_who_knows_the_state_alone_uses_up_none_of_the_tries(app: App, okta: SamlProvider, few: None) -> None:
    """The state is in a URL that others can read, but only the browser has the cookie."""
    for _ in range(6):
        await junk(okta)
    browser, outsider = Visitor(app), Visitor(app)
    request_id, relay_state = await okta.start(browser)
    for _ in range(4):
        reply = await okta.post(outsider, okta.response(sign="none", in_response_to=request_id), relay_state)
        check_refusal(reply, 429, "RATE_LIMITED")
    assert (await okta.post(browser, okta.response(in_response_to=request_id), relay_state)).status == 303


async def test_junk_leaves_no_more_in_the_trail_than_the_budget_allows(app: App, okta: SamlProvider) -> None:
    for number in range(230):
        reply = await junk(okta)
        assert reply.status == (401 if number < 200 else 429)
    assert [e.event for e in await trail(app, okta.client)].count("sign_in_failed") == 200
