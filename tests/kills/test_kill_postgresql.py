"""``kill -9`` of PostgreSQL, many times, while clients work.

It's sent to the postmaster, or to one backend, after which the postmaster ends all of them. The server isn't repaired,
but recovers on its own.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.kills.crowd import Crowd
from tests.kills.rounds import (
    at_work,
    chance_of,
    filled,
    look,
    the_chain_verifies,
    until_ready,
    until_successes,
    victims,
)
from tests.kills.victim import KILLS
from tests.support.postgres import Postgres

pytestmark = pytest.mark.timeout(900)
VICTIMS = ("postmaster", "postmaster", "backend")


async def kill(what: str, server: Postgres, url: str) -> None:
    """Kill PostgreSQL, and start it again if nothing else does."""
    if what == "backend":
        assert server.kill_backend(url), "no one was connected"
        return
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start_again)


async def at_a_moment(crowd: Crowd) -> None:
    """Wait for a random moment, or for the exact moment when a response arrives."""
    await asyncio.sleep(crowd.chance.uniform(0.02, 0.5))
    if crowd.chance.random() < 0.5:
        return
    answered = asyncio.Event()
    crowd.on_success = answered.set
    await asyncio.wait_for(answered.wait(), 30)
    crowd.on_success = None


@pytest.mark.rounds
async def test_postgresql_is_killed_again_and_again(own_postgres: Postgres, tmp_path: Path) -> None:
    url = own_postgres.fresh_database()
    await filled(url)
    [node] = victims(tmp_path, url, 1)
    chance = chance_of(os.environ.get("TESTS_SEED", os.urandom(4).hex()))
    killed: Counter[str] = Counter()
    # A commit without a response can take effect, so callers who must retry are as unsure as those cut off.
    async with at_work(url, [node], chance, allowed=frozenset({"OVERLOADED"})) as crowd:
        await until_successes(crowd, 20)
        for number in range(1, KILLS + 1):
            crowd.ledger.round = number
            await until_successes(crowd, 1)  # which this kill could lose
            await at_a_moment(crowd)
            what = chance.choice(VICTIMS)
            await kill(what, own_postgres, url)
            killed[what] += 1
            await until_successes(crowd, 5)
            await until_ready(node, "/readyz")
            await look(crowd, url, node.base)
        await until_successes(crowd, 20)
        await crowd.end()
        await look(crowd, url, node.base)
        assert node.status() is None
        assert node.starts == 1
        node.stop()
        await the_chain_verifies(tmp_path, url)
    assert killed.total() == KILLS
    # Uploads interrupted by a kill count until they expire.
    assert set(crowd.cut) - {"RATE_LIMITED"} == {"OVERLOADED"}, "the server itself was away"
    assert crowd.cut.total() > KILLS, "few clients were at work when the kills came"
    print(f"{killed} {crowd.successes} successes, {crowd.ledger.size} of them proved, cut: {crowd.cut}")
