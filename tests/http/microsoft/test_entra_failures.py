"""Invalid Entra ID tokens cause few calls to Microsoft, limited by address and directory."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, setup_on
from tests.interop.microsoft.people import OTHER_APP
from tests.support.application import Reply
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.smaller_limits import addresses_remembered, few_refusals_remembered, refusals_remembered

pytestmark = pytest.mark.one_store


def junk(setup: MicrosoftSetup, number: int, kind: str = "graph") -> str:
    """A new token that looks genuine but isn't."""
    return setup.microsoft.mint(kind, key_of="fabrikam", claims={"uti": f"junk-{number}"})


def outcomes(replies: list[Reply]) -> Counter[str]:
    return Counter("OK" if reply.status == 200 else reply.code for reply in replies)


@rule("WAYS-IN")
async def test_three_hundred_of_them_one_by_one_cost_few_calls_to_graph(setup: MicrosoftSetup) -> None:
    await setup.entra()
    replies = [await setup.app.me(junk(setup, number)) for number in range(300)]
    assert set(outcomes(replies)) == {"INVALID_TOKEN", "RATE_LIMITED"}
    assert 20 <= setup.microsoft.count("graph") < 50
    check_refusal(replies[-1], 429, "RATE_LIMITED")
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 10


@rule("MICROSOFT-AUDIENCE")
async def test_three_hundred_at_the_same_time_cost_few_calls_to_graph(setup: MicrosoftSetup) -> None:
    await setup.entra()
    setup.microsoft.delay = {"graph": 0.05}
    replies = await asyncio.gather(*[setup.app.me(junk(setup, number)) for number in range(300)])
    assert set(outcomes(list(replies))) <= {"INVALID_TOKEN", "RATE_LIMITED", "PROVIDER_UNAVAILABLE"}
    assert setup.microsoft.count("graph") < 60


@pytest.mark.usefixtures("setup")  # no other client has the directory
async def test_an_address_that_came_once_is_not_kept_in_memory(database_url: str) -> None:
    """There are more addresses than the server remembers."""
    async with setup_on(database_url, MANIFEST_TRUSTED_PROXIES="192.0.2.1") as setup:
        await setup.entra()
        for number in range(20):
            headers = {"X-Forwarded-For": f"198.51.100.{number}"}
            assert (await setup.app.me(junk(setup, number), headers=headers)).status == 401
        await setup.clear()
        gc.collect()  # an exception and its frame refer to each other
        assert addresses_remembered(setup.app) < 5


async def test_a_pause_ends_and_does_not_grow_beyond_ten_seconds(setup: MicrosoftSetup) -> None:
    await setup.entra()
    for round_ in range(12):
        for number in range(60):
            await setup.app.me(junk(setup, round_ * 100 + number))
        setup.app.clock.advance(10)
    assert setup.microsoft.count("graph") < 100
    await setup.me(setup.microsoft.mint("graph"))


@rule("WAYS-IN")
@matrix("claims", [{"appid": OTHER_APP}, {"scp": None}, {"aud": "https://graph.windows.net"}])
async def test_tokens_that_fit_no_one_are_counted_too(setup: MicrosoftSetup, claims: dict[str, str | None]) -> None:
    await setup.entra()
    replies = [
        await setup.app.me(setup.microsoft.mint("graph", claims={**claims, "uti": str(number)})) for number in range(60)
    ]
    assert set(outcomes(replies)) == {"INVALID_TOKEN", "RATE_LIMITED"}
    assert setup.microsoft.count("graph") == 0


async def test_who_was_let_in_before_is_not_held_up(setup: MicrosoftSetup) -> None:
    """Cached results of a token don't count toward the rate limit."""
    await setup.entra()
    known = setup.microsoft.mint("graph")
    await setup.me(known)
    for number in range(60):
        await setup.app.me(junk(setup, number))
    await setup.me(known)
    check_refusal(await setup.app.me(setup.microsoft.mint("graph", user="bob")), 429, "RATE_LIMITED")


async def test_people_who_are_many_are_not_held_up(setup: MicrosoftSetup) -> None:
    """Valid tokens aren't failures, no matter how many come from one address."""
    await setup.entra()
    tokens = [setup.microsoft.mint("graph", claims={"uti": str(number)}) for number in range(80)]
    replies = []
    for some in range(0, len(tokens), 16):  # a few at a time, because a request waits only some seconds for Graph
        replies += await asyncio.gather(*[setup.app.me(token) for token in tokens[some : some + 16]])
    assert outcomes(replies) == {"OK": 80}


@rule("MICROSOFT-AUDIENCE")
@pytest.mark.usefixtures("setup")  # no other client has the directory
async def test_another_address_or_directory_is_not_held_up(database_url: str) -> None:
    async with setup_on(database_url, MANIFEST_TRUSTED_PROXIES="192.0.2.1") as setup:
        await setup.entra()
        fabrikam = setup.microsoft.named("fabrikam").id
        other = await setup.entra(entra={"directory": fabrikam})
        here, there = {"X-Forwarded-For": "198.51.100.7"}, {"X-Forwarded-For": "198.51.100.8"}
        for number in range(60):
            await setup.app.me(junk(setup, number), headers=here)
        good = setup.microsoft.mint("graph")
        check_refusal(await setup.app.me(good, headers=here), 429, "RATE_LIMITED")
        assert (await setup.app.me(good, headers=there)).status == 200
        theirs = await setup.app.me(setup.microsoft.mint("graph", "fabrikam"), headers=here)
        assert theirs.data["client"]["identifier"] == other.client
        await setup.clear()


async def test_the_same_token_is_asked_about_once_in_a_minute_on_every_route(setup: MicrosoftSetup) -> None:
    await setup.entra()
    token = junk(setup, 1)
    for _ in range(40):
        await setup.refused(token)
    assert setup.microsoft.count("graph") == 1
    setup.app.clock.advance(60)
    await setup.refused(token)
    assert setup.microsoft.count("graph") == 2


async def test_what_is_remembered_of_rejected_tokens_is_bounded(
    setup: MicrosoftSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_refusals_remembered(monkeypatch, 5)
    await setup.entra()
    tokens = [junk(setup, number) for number in range(10)]
    for token in tokens:
        await setup.app.me(token)
    assert refusals_remembered(setup.app) == 5
    await setup.app.me(tokens[0])
    assert setup.microsoft.count("graph") == 11
    await setup.app.me(tokens[-1])
    assert setup.microsoft.count("graph") == 11


@rule("WAYS-IN", "MICROSOFT-AUDIENCE")
@pytest.mark.usefixtures("setup")
async def test_one_clients_slow_calls_to_graph_hold_no_other_client_up(database_url: str) -> None:
    """Two clients with two directories share Graph, which hangs for the tokens of one of them, from many addresses.
    Requests that wait for those tokens time out."""
    async with setup_on(database_url, MANIFEST_TRUSTED_PROXIES="192.0.2.1") as setup:
        await setup.entra()
        fabrikam = setup.microsoft.named("fabrikam").id
        other = await setup.entra(entra={"directory": fabrikam})
        tokens = [setup.microsoft.mint("graph", claims={"uti": str(number)}) for number in range(200)]
        with setup.microsoft.gates.shut(setup.microsoft.named("contoso").id):
            flood = [
                asyncio.create_task(setup.app.me(token, headers={"X-Forwarded-For": f"198.51.100.{number % 50}"}))
                for number, token in enumerate(tokens)
            ]
            while setup.microsoft.count("graph") < 6:  # the maximum per client and host
                await asyncio.sleep(0.01)
            there = {"X-Forwarded-For": "203.0.113.9"}
            theirs = await setup.app.me(setup.microsoft.mint("graph", "fabrikam"), headers=there)
            assert theirs.data["client"]["identifier"] == other.client
            assert not all(task.done() for task in flood)
        await asyncio.gather(*flood)
        await setup.clear()
