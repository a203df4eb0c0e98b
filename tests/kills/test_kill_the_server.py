"""``kill -9`` of the server, many times on each database, while clients work.

Two nodes share a database. Usually one of them is killed and the other continues, and sometimes both are killed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path

import httpx2
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
)  # fmt: skip
from tests.kills.victim import KILLS, Victim
from tests.support.postgres import Databases
from tests.support.server import descendants

pytestmark = pytest.mark.timeout(900)
#: The moment of a kill: during the start, exactly when a response arrives, or any time.
MOMENTS = ("start", "answer", "answer", "answer", "whenever", "whenever")


async def killed_at(moment: str, crowd: Crowd, nodes: list[Victim], took: float) -> None:
    """Wait for the moment, and kill. ``took`` is the duration of starts here."""
    chance = crowd.chance
    if moment == "start":  # after an earlier kill
        kill_all(nodes)
        start_all(nodes)
        await asyncio.sleep(chance.uniform(0, took))
        kill_all(nodes)
        return
    await asyncio.sleep(chance.uniform(0.02, 0.4))
    if moment == "whenever":
        kill_all(nodes)
        return
    dead = asyncio.Event()

    def kill() -> None:
        crowd.on_success = None
        kill_all(nodes)
        dead.set()

    crowd.on_success = kill
    await asyncio.wait_for(dead.wait(), 30)


def kill_all(nodes: list[Victim]) -> None:
    for node in nodes:
        node.kill()


def start_all(nodes: list[Victim]) -> None:
    for node in nodes:
        node.start()


@pytest.mark.rounds
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_server_is_killed_again_and_again(kind: str, tmp_path: Path, postgres: Databases) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}" if kind == "sqlite" else postgres.fresh_database()
    await filled(url)
    nodes = victims(tmp_path, url, 2)
    chance = chance_of(os.environ.get("TESTS_SEED", os.urandom(4).hex()))
    moments: Counter[str] = Counter()
    took = 0.5
    async with at_work(url, nodes, chance) as crowd:
        await until_successes(crowd, 20)
        for number in range(1, KILLS + 1):
            killed, moment = nodes if chance.random() < 0.3 else [chance.choice(nodes)], chance.choice(MOMENTS)
            crowd.ledger.round = number
            await until_successes(crowd, 1)  # which this kill could lose
            await killed_at(moment, crowd, killed, took)
            moments[moment] += 1
            start_all(killed)
            took = max([await until_ready(node) for node in killed])
            await look(crowd, url, killed[0].base)
        await until_successes(crowd, 20)
        await crowd.end()
        await look(crowd, url, nodes[0].base)
        for node in nodes:
            node.stop()
        await the_chain_verifies(tmp_path, url)
    assert moments.total() == KILLS
    assert crowd.cut.total() > KILLS, "few clients were at work when the kills came"
    print(f"{moments} {crowd.successes} successes, {crowd.ledger.size} of them proved, cut: {crowd.cut}")


@pytest.mark.endurance
async def test_of_several_web_processes_one_or_the_one_above_them_is_killed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    await filled(url)
    chance = chance_of(os.urandom(4).hex())
    nodes = victims(tmp_path, url, 1, MANIFEST_WORKERS="2")
    [node] = nodes
    async with at_work(url, nodes, chance) as crowd:
        for number in range(1, 4):
            crowd.ledger.round = number
            await until_successes(crowd, 30)
            if number % 2:
                os.kill(_web_process(node), 9)
            else:
                node.kill()
                await nobody_answers(node)
                node.start()
            await until_ready(node)
            await until_successes(crowd, 30)
            await look(crowd, url, node.base)
        await crowd.end()
        node.stop()
        await crowd.ledger.check(url)
        await the_chain_verifies(tmp_path, url)


async def nobody_answers(node: Victim) -> None:
    """Wait until the killed node's children have ended. One that was just starting can keep the port for a moment."""
    deadline = time.monotonic() + 60
    async with httpx2.AsyncClient() as http:
        while True:
            try:
                await http.get(f"{node.base}/healthz", timeout=1)
            except httpx2.HTTPError:
                return
            assert time.monotonic() < deadline, "its web processes go on to serve"
            await asyncio.sleep(0.01)


def _web_process(node: Victim) -> int:
    """One of the two web processes, which uvicorn starts through multiprocessing."""
    return next(pid for pid, command in descendants(node.pid).items() if "spawn_main" in command)
