"""Limits by address and client on the data that anonymous callers can create; legitimate callers aren't locked out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import new_client, new_user, trail
from tests.support.application import PASSWORD, App, Reply
from tests.support.attempt_limits import at
from tests.support.envelope import check_refusal
from tests.support.rows import rows
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, SamlProvider, saml_provider, sign_ins
from tests.support.smaller_limits import EVENTS_S, few_beginnings, few_events

pytestmark = pytest.mark.one_store

HERE, THERE = "203.0.113.7", "203.0.113.8"


@pytest.fixture(autouse=True)
def few(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small budgets, in a separate period."""
    app.clock.advance(2 * 86_400)
    few_events(monkeypatch, 3, in_client=5)
    few_beginnings(monkeypatch, 3)


@pytest.fixture
async def okta(app: App) -> SamlProvider:
    return await saml_provider(app, await new_client(app))


async def junk(okta: SamlProvider, address: str = HERE) -> None:
    """Send an unsigned response that names a known issuer."""
    check_refusal(await okta.call(okta.response(sign="none"), headers=at(address)), 401, "SSO_FAILED")


async def events(app: App, client: str, *kinds: str) -> list[tuple[str, Any]]:
    """The kind and number of events that were left out."""
    return [(e.event, e.members.get("events")) for e in await trail(app, client) if e.event in kinds]


async def start(okta: SamlProvider, address: str = HERE, browser: Browser | None = None) -> Reply:
    path = f"/api/client/auth/okta-saml?client={okta.client}&provider={okta.name}"
    return await (browser or Browser(okta.app)).send("GET", path, headers=at(address))


async def flows(app: App) -> int:
    return len(await rows(app, "sign_in_flows"))


@rule("THROTTLE-COUNTS")
async def test_junk_from_one_address_leaves_a_few_events_and_then_their_number(app: App, okta: SamlProvider) -> None:
    before = sign_ins(app, "saml", "failed")
    for _ in range(3 + 9):
        await junk(okta)
    told = await events(app, okta.client, "sign_in_failed", "events_left_out")
    assert told == [("sign_in_failed", None)] * 3 + [("events_left_out", number) for number in (1, 2, 4, 8)]
    assert sign_ins(app, "saml", "failed") == before + 12  # metrics count all of them
    await junk(okta, THERE)
    other = await saml_provider(app, await new_client(app))
    await junk(other)
    for client, number in ((okta.client, 4), (other.client, 1)):
        assert len(await events(app, client, "sign_in_failed")) == number
    app.clock.advance(EVENTS_S)
    await junk(okta)
    assert len(await events(app, okta.client, "sign_in_failed")) == 5


async def test_many_addresses_have_a_budget_together_which_one_alone_does_not_use_up(
    app: App, okta: SamlProvider
) -> None:
    for _ in range(20):
        await junk(okta)
    for number in range(5):
        await junk(okta, f"198.51.100.{number}")
    told = await events(app, okta.client, "sign_in_failed", "events_left_out")
    assert told.count(("sign_in_failed", None)) == 5
    assert told[-3:] == [("sign_in_failed", None), ("events_left_out", 1), ("events_left_out", 2)]  # the client's trail
    assert (await okta.call(okta.response(), headers=at(HERE))).status == 200  # it blocks nobody
    assert (await trail(app, okta.client))[-1].event == "signed_in"


async def test_replays_are_within_a_budget(app: App, okta: SamlProvider) -> None:
    response = okta.response()
    assert (await okta.call(response, headers=at(HERE))).status == 200
    for _ in range(6):
        check_refusal(await okta.call(response, headers=at(HERE)), 401, "SSO_FAILED")
    assert len(await events(app, okta.client, "assertion_replayed", "sign_in_failed")) == 3


async def test_a_caller_who_goes_on_in_a_pause_leaves_no_more(app: App, okta: SamlProvider) -> None:
    """The password's rate limit rejects each attempt, which would otherwise be recorded."""
    _, email = await new_user(app, okta.client, password=PASSWORD)
    replies = [await app.sign_in(email, "wrong", client=okta.client, headers=at(HERE)) for _ in range(30)]
    assert [reply.status for reply in replies][-1] == 429
    assert len(await events(app, okta.client, "throttled")) == 3
    left_out = [e.members for e in await trail(app, okta.client) if e.event == "events_left_out"]
    assert [e["events"] for e in left_out if e["class"] == "waiting"] == [1, 2, 4, 8, 16]
    assert [e["events"] for e in left_out if e["class"] == "account"] == [1, 2]  # the failures before the wait


@rule("THROTTLE-COUNTS")
async def test_sign_ins_that_are_begun_and_not_finished_wait(app: App, okta: SamlProvider) -> None:
    before = await flows(app)
    assert [(await start(okta)).status for _ in range(3)] == [302, 302, 302]
    check_refusal(refused := await start(okta), 429, "RATE_LIMITED")
    assert refused.headers["retry-after"] == "1"
    assert await flows(app) == before + 3
    assert len(await events(app, okta.client, "throttled")) == 1
    assert (await start(okta, THERE)).status == 302
    other = await saml_provider(app, await new_client(app))
    assert (await start(other)).status == 302
    for _ in range(8):
        app.clock.advance(6)
        assert (await start(okta)).status == 302  # one for each wait, of at most 5 s
    app.clock.advance(600)
    assert [(await start(okta)).status for _ in range(3)] == [302, 302, 302]


async def test_a_user_who_finishes_a_sign_in_never_waits(app: App, okta: SamlProvider) -> None:
    for number in range(8):
        assert (await okta.sign_in(Browser(app), f"user-{number}@x.example")).status == 303


@rule("THROTTLE-OWNER")
async def test_a_device_that_signed_in_before_begins_while_anonymous_callers_wait_behind_its_address(
    app: App, okta: SamlProvider
) -> None:
    browser = Browser(app)
    assert (await okta.sign_in(browser)).status == 303
    for _ in range(3):
        await start(okta)
    assert (await start(okta)).status == 429
    # It isn't unlimited either, because it has a separate budget.
    assert [(await start(okta, browser=browser)).status for _ in range(4)] == [302, 302, 302, 429]
    elsewhere = await saml_provider(app, await new_client(app))
    for _ in range(3):
        await start(elsewhere)
    assert (await start(elsewhere, browser=browser)).status == 429  # no one in that client signed in from there
    assert (await start(okta, browser=Browser(app, {"device": "made-up"}))).status == 429


async def test_a_signed_in_user_who_links_an_account_is_no_anonymous_caller(app: App, okta: SamlProvider) -> None:
    _, email = await new_user(app, okta.client, password=PASSWORD)
    token = (await app.sign_in(email, client=okta.client)).data["token"]
    for _ in range(5):
        reply = await app.post("/api/client/auth/identities", {"provider": okta.name}, token=token, headers=at(HERE))
        assert reply.status == 200, reply.text
    assert (await start(okta)).status == 302
