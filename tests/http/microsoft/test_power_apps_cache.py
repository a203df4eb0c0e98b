"""Power Apps: a verdict is kept until the token's end, at most five minutes, and never longer than
what it rests on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.interop.microsoft import error_bodies
from tests.interop.microsoft.microsoft_setup import GRAPHQL, ME, Provider, World
from tests.interop.microsoft.people import OTHER_APP
from tests.support.accounts import act_on, trail
from tests.support.people import set_roles
from tests.support.single_sign_on import sign_ins

KINDS = pytest.mark.parametrize("kind", ["graph", "api", "api-v1"])
ASK_GRAPH = {"askGraph": True}


async def test_a_second_request_makes_no_call(world: World) -> None:
    await world.entra_of_ours(entra=ASK_GRAPH)
    for kind, calls in (("graph", {"graph": 1, "token": 0}), ("api", {"graph": 2, "token": 1})):
        token = world.microsoft.mint(kind)
        for _ in range(3):
            await world.me(token)
        assert {endpoint: world.microsoft.count(endpoint) for endpoint in calls} == calls


@pytest.mark.parametrize("kind", ["graph", "api"])
async def test_two_hundred_first_requests_at_once_make_one(world: World, kind: str) -> None:
    world.app.clock.advance(3601)  # nothing is remembered of the directory's keys either
    await world.entra_of_ours(entra=ASK_GRAPH)
    token = world.microsoft.mint(kind)
    world.microsoft.delay = {"graph": 0.2, "keys": 0.1}
    before = sign_ins(world.app, "entra", "ok")
    requests = [world.app.me(token) if n % 2 else world.app.post(GRAPHQL, ME, token=token) for n in range(200)]
    assert {reply.status for reply in await asyncio.gather(*requests)} == {200}
    ours = int(kind == "api")
    calls = {"graph": 1, "token": ours, "keys": ours}
    assert {endpoint: world.microsoft.count(endpoint) for endpoint in calls} == calls
    assert sign_ins(world.app, "entra", "ok") == before + 1


async def test_a_token_that_is_refused_is_refused_to_all_who_show_it_at_once(world: World) -> None:
    await world.entra()
    token = world.microsoft.mint("graph", key_of="fabrikam")
    world.microsoft.delay = {"graph": 0.2}
    replies = await asyncio.gather(*[world.app.me(token) for _ in range(50)])
    assert {(reply.status, reply.code) for reply in replies} == {(401, "INVALID_TOKEN")}
    assert world.microsoft.count("graph") == 1


async def test_each_token_is_judged_by_itself(world: World) -> None:
    await world.entra()
    world.microsoft.delay = {"graph": 0.1}
    tokens = {user: world.microsoft.mint("graph", user=user) for user in ("alice", "bob", "carol")}
    forged = world.microsoft.mint("graph", key_of="fabrikam")
    replies = await asyncio.gather(*[world.app.me(token) for token in (*tokens.values(), forged)])
    assert [reply.status for reply in replies] == [200, 200, 200, 401]
    assert [reply.data["user"]["firstName"] for reply in replies[:3]] == ["Alice", "Bob", "Carol"]
    assert world.microsoft.count("graph") == 4


@KINDS
async def test_never_longer_than_five_minutes(world: World, kind: str) -> None:
    provider = await world.entra_of_ours(entra=ASK_GRAPH)
    token = world.microsoft.mint(kind)
    await world.me(token)
    world.app.clock.advance(299.999)
    await world.me(token)
    assert world.microsoft.count("graph") == 1
    world.microsoft.profile = {"accountEnabled": False}  # at once after Graph was asked
    world.app.clock.advance(0.001)
    await world.refused(token, 403, "ACCOUNT_DISABLED")
    world.microsoft.profile = {}
    await world.me(token)
    assert world.microsoft.count("graph") == 4
    signed_in = [event for event in await trail(world.app, provider.client) if event.event == "signed_in"]
    assert len(signed_in) == 2


async def test_a_stay_of_hours_is_judged_every_five_minutes(world: World) -> None:
    await world.entra()
    token = world.microsoft.mint("graph", lifetime=3600)
    for _ in range(60):
        await world.me(token)
        world.app.clock.advance(60)
    assert world.microsoft.count("graph") == 12
    await world.refused(token, code="TOKEN_EXPIRED")


Change = Callable[[World, Provider, int], Awaitable[Any]]


async def _deactivate(world: World, provider: Provider, user_id: int) -> None:
    await act_on(world.app, f"{provider.client}/users/{user_id}/deactivate")


async def _suspend(world: World, provider: Provider, user_id: int) -> None:
    await act_on(world.app, f"{provider.client}/suspend")


#: name → what is done, and what the remembered token is from the next request on.
CHANGES: dict[str, tuple[Change, int, str]] = {
    "the user is deactivated": (_deactivate, 403, "ACCOUNT_DISABLED"),
    "the client is suspended": (_suspend, 403, "ACCOUNT_DISABLED"),
    "the provider is switched off": (lambda w, p, u: p.act("switch-off"), 401, "INVALID_TOKEN"),
    "the provider is deleted": (lambda w, p, u: p.act("delete"), 401, "INVALID_TOKEN"),
    "the app is off the list": (lambda w, p, u: p.change(entra={"applications": [OTHER_APP]}), 401, "INVALID_TOKEN"),
    "another directory": (
        lambda w, p, u: p.change(entra={"directory": w.microsoft.named("fabrikam").id, "clientSecret": "x"}),
        401,
        "INVALID_TOKEN",
    ),
}


@KINDS
@pytest.mark.parametrize("what", CHANGES)
async def test_dropped_at_once_when(world: World, kind: str, what: str) -> None:
    provider = await world.entra_of_ours()
    token = world.microsoft.mint(kind)
    user_id = (await world.me(token))["user"]["id"]
    calls = len(world.microsoft.asked)
    change, status, code = CHANGES[what]
    await change(world, provider, user_id)
    await world.refused(token, status, code)
    assert len(world.microsoft.asked) == calls


async def test_roles_count_with_the_next_request(world: World) -> None:
    provider = await world.entra()
    token = world.microsoft.mint("graph")
    user_id = (await world.me(token))["user"]["id"]
    for roles in (["Viewer"], ["Author", "Publisher"], ["Operator"]):
        await set_roles(world.app, provider.client, user_id, *roles)
        assert (await world.me(token))["roles"] == roles
    assert world.microsoft.count("graph") == 1


async def test_a_change_that_still_lets_the_token_in_has_it_judged_anew(world: World) -> None:
    provider = await world.entra_of_ours()
    token = world.microsoft.mint("graph")
    await world.me(token)
    await provider.change(defaultRoles=["Operator", "Author"])
    assert (await world.me(token))["roles"] == ["Author", "Operator"]
    assert world.microsoft.count("graph") == 2
    await provider.act("switch-off")
    await provider.act("switch-on")
    await world.me(token)
    await provider.act("delete")
    world.providers.clear()
    again = await world.entra(provider.client, createUsers=False)
    await world.refused(token, code="SSO_FAILED")
    await again.change(createUsers=True)


async def test_somebody_else_of_the_client_is_not_touched(world: World) -> None:
    provider = await world.entra()
    alice, bob = world.microsoft.mint("graph"), world.microsoft.mint("graph", user="bob")
    user_id = (await world.me(alice))["user"]["id"]
    await world.me(bob)
    await _deactivate(world, provider, user_id)
    await world.refused(alice, 403, "ACCOUNT_DISABLED")
    await world.me(bob)
    await act_on(world.app, f"{provider.client}/users/{user_id}/restore")
    await world.me(alice)
    assert world.microsoft.count("graph") == 2


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        ("the provider is switched off", 401, "SSO_FAILED"),
        ("the app is off the list", 401, "SSO_FAILED"),
        ("the provider is deleted", 401, "SSO_FAILED"),
        ("the client is suspended", 403, "ACCOUNT_DISABLED"),
        ("the user is deactivated", 403, "ACCOUNT_DISABLED"),
    ],
)
async def test_a_change_while_graph_is_being_asked(world: World, what: str, status: int, code: str) -> None:
    """The answer is to a question of before: it lets nobody in, and is not kept."""
    provider = await world.entra()
    user_id = (await world.me(world.microsoft.mint("graph")))["user"]["id"]
    token = world.microsoft.mint("graph")
    with world.microsoft.gates.shut("graph"):
        asking = asyncio.create_task(world.app.me(token))
        while world.microsoft.count("graph") < 2 and not asking.done():
            await asyncio.sleep(0.01)
        await CHANGES[what][0](world, provider, user_id)
        assert not asking.done()
    reply = await asking
    assert (reply.status, reply.code) == (status, code)
    await world.refused(token, status, code if status == 403 else "INVALID_TOKEN")


async def test_one_who_does_not_wait_for_the_answer_spoils_it_for_nobody(world: World) -> None:
    await world.entra()
    token = world.microsoft.mint("graph")
    with world.microsoft.gates.shut("graph"):
        first = asyncio.create_task(world.app.me(token))
        while world.microsoft.count("graph") < 1 and not first.done():
            await asyncio.sleep(0.01)
        second = asyncio.create_task(world.app.me(token))
        await asyncio.sleep(0)
        first.cancel()
    assert (await second).status == 200
    await world.me(token)
    assert world.microsoft.count("graph") == 1


@pytest.mark.parametrize("kind", ["graph", "api"])
async def test_that_somebody_was_refused_is_not_remembered(world: World, kind: str) -> None:
    provider = await world.entra_of_ours(createUsers=False, entra=ASK_GRAPH)
    token = world.microsoft.mint(kind)
    await world.refused(token, code="SSO_FAILED")
    await provider.change(createUsers=True)
    if kind == "api":  # genuine by its signature; that Graph refuses what it was exchanged for may be mended
        world.microsoft.answers["graph"] = error_bodies.graph("InvalidAuthenticationToken", "no", 0)
        await world.refused(token, code="SSO_FAILED")
        del world.microsoft.answers["graph"]
    await world.me(token)


async def test_that_a_token_is_not_genuine_is_remembered_for_a_minute(world: World) -> None:
    """Nothing that a client settles makes it genuine, so it is asked about once."""
    await world.entra()
    token = world.microsoft.mint("graph")
    world.microsoft.answers["graph"] = error_bodies.graph("InvalidAuthenticationToken", "no", 0)
    await world.refused(token)
    del world.microsoft.answers["graph"]
    await world.refused(token)
    assert world.microsoft.count("graph") == 1
    world.app.clock.advance(59.9)
    await world.refused(token)
    world.app.clock.advance(0.1)
    await world.me(token)
    assert world.microsoft.count("graph") == 2
