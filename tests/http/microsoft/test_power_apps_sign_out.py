"""Power Apps: sign-out with an Entra token refuses that token from then on."""

from __future__ import annotations

import asyncio

import pytest

from tests.interop.microsoft import tokens
from tests.interop.microsoft.microsoft_setup import World
from tests.support.accounts import keys_of, opened_by, trail
from tests.support.application import PASSWORD, Reply
from tests.support.background_jobs import sweep_expired
from tests.support.envelope import check_refusal, check_success
from tests.support.people import member

KINDS = pytest.mark.parametrize("kind", ["graph", "api", "api-v1"])
SIGN_OUT = "/api/client/auth/sign-out"


async def sign_out(world: World, token: str, *, everywhere: bool = False, client: str = "") -> Reply:
    path = f"{SIGN_OUT}-all" if everywhere else SIGN_OUT
    return await world.app.post(path, token=token, headers={"X-Client-ID": client} if client else {})


@KINDS
async def test_the_token_is_shut_out(world: World, kind: str) -> None:
    provider = await world.entra_of_ours()
    token, other = world.microsoft.mint(kind), world.microsoft.mint(kind)
    me = await world.me(token)
    await world.me(other)
    check_success(await sign_out(world, token))
    calls = len(world.microsoft.asked)
    await world.refused(token)
    await world.refused(token, headers={"X-Client-ID": provider.client})
    check_refusal(await sign_out(world, token), 401, "INVALID_TOKEN")
    assert len(world.microsoft.asked) == calls
    assert (await world.me(other))["user"] == me["user"]  # that one alone
    [event] = [event for event in await trail(world.app, provider.client) if event.event == "signed_out"]
    assert event.actor == event.subject == f"user:{me['user']['id']}"
    assert me["session"]["id"].startswith(event.members["session"])


@KINDS
async def test_for_as_long_as_it_would_have_been_good(world: World, kind: str) -> None:
    """Long after what was remembered of it is gone, and whatever sweeps the store."""
    await world.entra_of_ours()
    token = world.microsoft.mint(kind, lifetime=10 * 86_400)
    await world.me(token)
    check_success(await sign_out(world, token))
    calls = len(world.microsoft.asked)
    for seconds in (301, 3600, 86_400, 3 * 86_400, 5 * 86_400):
        world.app.clock.advance(seconds)
        await sweep_expired(world.app)
        await world.refused(token)
    assert len(world.microsoft.asked) == calls  # nobody needs to be asked about it
    world.app.clock.advance(2 * 86_400)
    await sweep_expired(world.app)
    await world.refused(token, code="TOKEN_EXPIRED")  # nobody need know of it any more


@KINDS
async def test_a_token_that_this_process_never_saw(world: World, kind: str) -> None:
    """The first thing that is done with it is to sign it out."""
    await world.entra_of_ours()
    token = world.microsoft.mint(kind)
    check_success(await sign_out(world, token))
    await world.refused(token)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_under_every_text_of_it(world: World, when: str) -> None:
    """Graph compares what the header says and not how it is written, so one token has several texts."""
    await world.entra()
    token = world.microsoft.mint("graph")
    other = tokens.with_header_respaced(token)
    if when == "before":
        assert (await world.me(other))["user"] == (await world.me(token))["user"]
    check_success(await sign_out(world, token))
    await world.refused(other)
    await world.refused(tokens.with_spare_bits(token))
    await world.refused(token)


async def test_while_graph_is_asked_about_another_text_of_it(world: World) -> None:
    await world.entra()
    token = world.microsoft.mint("graph")
    other = tokens.with_header_respaced(token)
    await world.me(token)
    with world.microsoft.gates.shut("graph"):
        asking = asyncio.create_task(world.app.me(other))
        while world.microsoft.count("graph") < 2 and not asking.done():
            await asyncio.sleep(0.01)
        check_success(await sign_out(world, token))
        assert not asking.done()
    reply = await asking
    assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


async def test_many_who_sign_out_at_once(world: World) -> None:
    provider = await world.entra()
    token = world.microsoft.mint("graph")
    await world.me(token)
    replies = await asyncio.gather(*[sign_out(world, token) for _ in range(10)])
    assert {reply.status for reply in replies} <= {200, 401}
    await world.refused(token)
    events = [event.event for event in await trail(world.app, provider.client)]
    assert events.count("signed_out") == 1


@KINDS
async def test_a_token_of_two_clients_is_signed_out_of_each(world: World, kind: str) -> None:
    """What one client's people do says nothing of another's."""
    first, second = await world.entra_of_ours(), await world.entra_of_ours()
    token = world.microsoft.mint(kind)
    for provider in (first, second):
        await world.me(token, headers={"X-Client-ID": provider.client})
    check_success(await sign_out(world, token, client=first.client))
    await world.refused(token, headers={"X-Client-ID": first.client})
    await world.me(token, headers={"X-Client-ID": second.client})
    check_success(await sign_out(world, token, client=second.client))
    for provider in (first, second):
        await world.refused(token, headers={"X-Client-ID": provider.client})


async def test_everywhere_ends_the_users_sessions_as_well(world: World) -> None:
    provider = await world.entra_of_ours()
    alice = await member(world.app, provider.client, email="alice@contoso.example")
    keys = await keys_of(world.app, alice.email, client=provider.client)
    token = world.microsoft.mint("api")
    linked = {"provider": provider.name, "token": token}  # by consent, which ends nothing
    check_success(await world.app.post("/api/client/auth/identities/token", linked, token=alice.token))
    assert (await world.me(token))["user"]["id"] == alice.id
    assert check_success(await sign_out(world, token, everywhere=True))["ended"] == 2
    await world.refused(token)
    assert await opened_by(world.app, keys) == []
    assert (await world.app.me(alice.token)).status == 401
    # A session that ends leaves the tokens of others' making alone.
    other = world.microsoft.mint("api")
    await world.me(other)
    again = (await world.app.sign_in(alice.email, PASSWORD, provider.client)).data["token"]
    check_success(await world.app.post(SIGN_OUT, token=again))
    await world.me(other)


async def test_it_is_no_session_that_could_be_ended_by_its_id(world: World) -> None:
    await world.entra()
    token = world.microsoft.mint("graph")
    me = await world.me(token)
    answer = await world.app.send("DELETE", f"/api/client/auth/sessions/{me['session']['id']}", token=token)
    check_refusal(answer, 404, "NOT_FOUND")
    await world.me(token)
