"""What tokens that are none of Microsoft's cost: few calls, of their own address and directory alone."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

import pytest

from tests.interop.microsoft.microsoft_setup import World, world_on
from tests.interop.microsoft.people import OTHER_APP
from tests.support.application import Reply
from tests.support.entra_refusals import addresses_remembered, few_refusals_remembered, refusals_remembered
from tests.support.envelope import check_refusal


def junk(world: World, number: int, kind: str = "graph") -> str:
    """A token that looks right and is not: each is another one."""
    return world.microsoft.mint(kind, key_of="fabrikam", claims={"uti": f"junk-{number}"})


def outcomes(replies: list[Reply]) -> Counter[str]:
    return Counter("OK" if reply.status == 200 else reply.code for reply in replies)


async def test_three_hundred_of_them_one_by_one_cost_few_calls_to_graph(world: World) -> None:
    await world.entra()
    replies = [await world.app.me(junk(world, number)) for number in range(300)]
    assert set(outcomes(replies)) == {"INVALID_TOKEN", "RATE_LIMITED"}
    assert 20 <= world.microsoft.count("graph") < 50
    check_refusal(replies[-1], 429, "RATE_LIMITED")
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 10


async def test_three_hundred_at_once_cost_few_calls_to_graph(world: World) -> None:
    await world.entra()
    world.microsoft.delay = {"graph": 0.05}
    replies = await asyncio.gather(*[world.app.me(junk(world, number)) for number in range(300)])
    assert set(outcomes(list(replies))) <= {"INVALID_TOKEN", "RATE_LIMITED", "PROVIDER_UNAVAILABLE"}
    assert world.microsoft.count("graph") < 60


@pytest.mark.usefixtures("world")  # no other client has the directory
async def test_an_address_that_came_once_is_not_kept_in_memory(database_url: str) -> None:
    """There are more addresses than memory."""
    async with world_on(database_url, MANIFEST_TRUSTED_PROXIES="192.0.2.1") as world:
        await world.entra()
        for number in range(20):
            headers = {"X-Forwarded-For": f"198.51.100.{number}"}
            assert (await world.app.me(junk(world, number), headers=headers)).status == 401
        await world.clear()
        gc.collect()  # a refusal and what it was raised in hold one another
        assert addresses_remembered(world.app) < 5


async def test_a_pause_ends_and_does_not_grow_beyond_ten_seconds(world: World) -> None:
    await world.entra()
    for round_ in range(12):
        for number in range(60):
            await world.app.me(junk(world, round_ * 100 + number))
        world.app.clock.advance(10)
    assert world.microsoft.count("graph") < 100
    await world.me(world.microsoft.mint("graph"))


@pytest.mark.parametrize("claims", [{"appid": OTHER_APP}, {"scp": None}, {"aud": "https://graph.windows.net"}])
async def test_tokens_that_fit_nobody_are_counted_too(world: World, claims: dict[str, str | None]) -> None:
    await world.entra()
    replies = [
        await world.app.me(world.microsoft.mint("graph", claims={**claims, "uti": str(number)})) for number in range(60)
    ]
    assert set(outcomes(replies)) == {"INVALID_TOKEN", "RATE_LIMITED"}
    assert world.microsoft.count("graph") == 0


async def test_who_was_let_in_before_is_not_held_up(world: World) -> None:
    """What is remembered of a token asks no throttle."""
    await world.entra()
    known = world.microsoft.mint("graph")
    await world.me(known)
    for number in range(60):
        await world.app.me(junk(world, number))
    await world.me(known)
    check_refusal(await world.app.me(world.microsoft.mint("graph", user="bob")), 429, "RATE_LIMITED")


async def test_people_who_are_many_are_not_held_up(world: World) -> None:
    """Tokens that are good are no failures, however many come from one address."""
    await world.entra()
    tokens = [world.microsoft.mint("graph", claims={"uti": str(number)}) for number in range(80)]
    replies = []
    for some in range(0, len(tokens), 16):  # few at once: a request waits for Graph for some seconds only
        replies += await asyncio.gather(*[world.app.me(token) for token in tokens[some : some + 16]])
    assert outcomes(replies) == {"OK": 80}


@pytest.mark.usefixtures("world")  # no other client has the directory
async def test_another_address_or_directory_is_not_held_up(database_url: str) -> None:
    async with world_on(database_url, MANIFEST_TRUSTED_PROXIES="192.0.2.1") as world:
        await world.entra()
        fabrikam = world.microsoft.named("fabrikam").id
        other = await world.entra(entra={"directory": fabrikam})
        here, there = {"X-Forwarded-For": "198.51.100.7"}, {"X-Forwarded-For": "198.51.100.8"}
        for number in range(60):
            await world.app.me(junk(world, number), headers=here)
        good = world.microsoft.mint("graph")
        check_refusal(await world.app.me(good, headers=here), 429, "RATE_LIMITED")
        assert (await world.app.me(good, headers=there)).status == 200
        theirs = await world.app.me(world.microsoft.mint("graph", "fabrikam"), headers=here)
        assert theirs.data["client"]["identifier"] == other.client
        await world.clear()


async def test_the_same_token_is_asked_about_once_in_a_minute_on_every_door(world: World) -> None:
    await world.entra()
    token = junk(world, 1)
    for _ in range(40):
        await world.refused(token)
    assert world.microsoft.count("graph") == 1
    world.app.clock.advance(60)
    await world.refused(token)
    assert world.microsoft.count("graph") == 2


async def test_what_is_remembered_of_refused_tokens_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    few_refusals_remembered(monkeypatch, 5)
    await world.entra()
    tokens = [junk(world, number) for number in range(10)]
    for token in tokens:
        await world.app.me(token)
    assert refusals_remembered(world.app) == 5
    await world.app.me(tokens[0])
    assert world.microsoft.count("graph") == 11
    await world.app.me(tokens[-1])
    assert world.microsoft.count("graph") == 11


@pytest.mark.usefixtures("world")
async def test_one_clients_slow_calls_to_graph_hold_no_other_client_up(database_url: str) -> None:
    """Two clients, two directories, one Graph: it hangs for the tokens of one of them, from many addresses. Who waits
    for those gets no answer in time."""
    async with world_on(database_url, MANIFEST_TRUSTED_PROXIES="192.0.2.1") as world:
        await world.entra()
        fabrikam = world.microsoft.named("fabrikam").id
        other = await world.entra(entra={"directory": fabrikam})
        tokens = [world.microsoft.mint("graph", claims={"uti": str(number)}) for number in range(200)]
        with world.microsoft.gates.shut(world.microsoft.named("contoso").id):
            flood = [
                asyncio.create_task(world.app.me(token, headers={"X-Forwarded-For": f"198.51.100.{number % 50}"}))
                for number, token in enumerate(tokens)
            ]
            while world.microsoft.count("graph") < 16:
                await asyncio.sleep(0.01)
            there = {"X-Forwarded-For": "203.0.113.9"}
            theirs = await world.app.me(world.microsoft.mint("graph", "fabrikam"), headers=there)
            assert theirs.data["client"]["identifier"] == other.client
            assert not all(task.done() for task in flood)
        await asyncio.gather(*flood)
        await world.clear()
