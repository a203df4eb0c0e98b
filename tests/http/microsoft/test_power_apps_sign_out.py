"""Signing out with an Entra ID token makes that token invalid."""

from __future__ import annotations

import asyncio

import pytest

from tests.interop.microsoft import tokens
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.support.accounts import keys_of, opened_by, trail
from tests.support.application import PASSWORD, Reply
from tests.support.background_jobs import sweep_expired
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import member
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

KINDS = matrix("kind", ["graph", "api", "api-v1"])
SIGN_OUT = "/api/client/auth/sign-out"


async def sign_out(setup: MicrosoftSetup, token: str, *, everywhere: bool = False, client: str = "") -> Reply:
    path = f"{SIGN_OUT}-all" if everywhere else SIGN_OUT
    return await setup.app.post(path, token=token, headers={"X-Client-ID": client} if client else {})


@rule("SIGN-OUT")
@KINDS
async def test_the_token_is_shut_out(setup: MicrosoftSetup, kind: str) -> None:
    provider = await setup.entra_of_ours()
    token, other = setup.microsoft.mint(kind), setup.microsoft.mint(kind)
    me = await setup.me(token)
    await setup.me(other)
    check_success(await sign_out(setup, token))
    calls = len(setup.microsoft.asked)
    await setup.refused(token)
    await setup.refused(token, headers={"X-Client-ID": provider.client})
    check_refusal(await sign_out(setup, token), 401, "INVALID_TOKEN")
    assert len(setup.microsoft.asked) == calls
    assert (await setup.me(other))["user"] == me["user"]  # only that token
    [event] = [event for event in await trail(setup.app, provider.client) if event.event == "signed_out"]
    assert event.actor == event.subject == f"user:{me['user']['id']}"
    assert me["session"]["id"].startswith(event.members["session"])


@rule("SIGN-OUT")
@KINDS
async def test_for_as_long_as_it_would_have_been_good(setup: MicrosoftSetup, kind: str) -> None:
    """Long after its cached result is gone, and despite the sweep of the database."""
    await setup.entra_of_ours()
    token = setup.microsoft.mint(kind, lifetime=10 * 86_400)
    await setup.me(token)
    check_success(await sign_out(setup, token))
    calls = len(setup.microsoft.asked)
    for seconds in (301, 3600, 86_400, 3 * 86_400, 5 * 86_400):
        setup.app.clock.advance(seconds)
        await sweep_expired(setup.app)
        await setup.refused(token)
    assert len(setup.microsoft.asked) == calls  # no request to Microsoft is needed
    setup.app.clock.advance(2 * 86_400)
    await sweep_expired(setup.app)
    await setup.refused(token, code="TOKEN_EXPIRED")  # its row is no longer needed


@KINDS
async def test_a_token_that_this_process_never_saw(setup: MicrosoftSetup, kind: str) -> None:
    """The token's first use is the sign-out."""
    await setup.entra_of_ours()
    token = setup.microsoft.mint(kind)
    check_success(await sign_out(setup, token))
    await setup.refused(token)


@rule("REVOKE-BY-SESSION")
@matrix("when", ["before", "after"])
async def test_under_every_text_of_it(setup: MicrosoftSetup, when: str) -> None:
    """Graph compares the header's content and not its encoding, so a token has several spellings."""
    await setup.entra()
    token = setup.microsoft.mint("graph")
    other = tokens.with_header_respaced(token)
    if when == "before":
        assert (await setup.me(other))["user"] == (await setup.me(token))["user"]
    check_success(await sign_out(setup, token))
    await setup.refused(other)
    await setup.refused(tokens.with_spare_bits(token))
    await setup.refused(token)


async def test_while_graph_is_asked_about_another_text_of_it(setup: MicrosoftSetup) -> None:
    await setup.entra()
    token = setup.microsoft.mint("graph")
    other = tokens.with_header_respaced(token)
    await setup.me(token)
    with setup.microsoft.gates.shut("graph"):
        asking = asyncio.create_task(setup.app.me(other))
        while setup.microsoft.count("graph") < 2 and not asking.done():
            await asyncio.sleep(0.01)
        check_success(await sign_out(setup, token))
        assert not asking.done()
    reply = await asking
    assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


async def test_many_who_sign_out_at_the_same_time(setup: MicrosoftSetup) -> None:
    provider = await setup.entra()
    token = setup.microsoft.mint("graph")
    await setup.me(token)
    replies = await asyncio.gather(*[sign_out(setup, token) for _ in range(10)])
    assert {reply.status for reply in replies} <= {200, 401}
    await setup.refused(token)
    events = [event.event for event in await trail(setup.app, provider.client)]
    assert events.count("signed_out") == [reply.status for reply in replies].count(200)


@KINDS
async def test_a_token_of_two_clients_is_signed_out_of_each(setup: MicrosoftSetup, kind: str) -> None:
    """A sign-out at one client doesn't affect another's users."""
    first, second = await setup.entra_of_ours(), await setup.entra_of_ours()
    token = setup.microsoft.mint(kind)
    for provider in (first, second):
        await setup.me(token, headers={"X-Client-ID": provider.client})
    check_success(await sign_out(setup, token, client=first.client))
    await setup.refused(token, headers={"X-Client-ID": first.client})
    await setup.me(token, headers={"X-Client-ID": second.client})
    check_success(await sign_out(setup, token, client=second.client))
    for provider in (first, second):
        await setup.refused(token, headers={"X-Client-ID": provider.client})


async def test_everywhere_ends_the_users_sessions_as_well(setup: MicrosoftSetup) -> None:
    provider = await setup.entra_of_ours()
    alice = await member(setup.app, provider.client, email="alice@contoso.example")
    keys = await keys_of(setup.app, alice.email, client=provider.client)
    token = setup.microsoft.mint("api")
    linked = {"provider": provider.name, "token": token}  # linking by consent ends nothing
    check_success(await setup.app.post("/api/client/auth/identities/token", linked, token=alice.token))
    assert (await setup.me(token))["user"]["id"] == alice.id
    assert check_success(await sign_out(setup, token, everywhere=True))["ended"] == 2
    await setup.refused(token)
    assert await opened_by(setup.app, keys) == []
    assert (await setup.app.me(alice.token)).status == 401
    # Ending a session doesn't affect tokens from another issuer.
    other = setup.microsoft.mint("api")
    await setup.me(other)
    again = (await setup.app.sign_in(alice.email, PASSWORD, provider.client)).data["token"]
    check_success(await setup.app.post(SIGN_OUT, token=again))
    await setup.me(other)


async def test_it_is_no_session_that_could_be_ended_by_its_id(setup: MicrosoftSetup) -> None:
    await setup.entra()
    token = setup.microsoft.mint("graph")
    me = await setup.me(token)
    answer = await setup.app.send("DELETE", f"/api/client/auth/sessions/{me['session']['id']}", token=token)
    check_refusal(answer, 404, "NOT_FOUND")
    await setup.me(token)
