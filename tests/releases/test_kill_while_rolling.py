"""``kill -9`` of a node of either release, in each phase of its replacement, while the other node continues.

``tests/kills/test_kill_a_migration.py`` covers kills within the upgrade's transaction.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.kills import actors
from tests.kills.crowd import Crowd
from tests.kills.ledger import Ledger
from tests.kills.rounds import chance_of, filled, look, until_ready, until_successes
from tests.kills.victim import KILLS
from tests.releases.installation import NEXT, OLD, Installation
from tests.support.postgres import Databases

pytestmark = [pytest.mark.endurance, pytest.mark.timeout(900)]
PHASES = ("start", "serve", "drain")
#: The number of rounds with a kill in each phase: four, or twenty before a release.
ROUNDS = max(1, KILLS * 2 // 5)


async def test_nodes_of_both_releases_are_killed_in_each_phase(tmp_path: Path, postgres: Databases) -> None:
    url = postgres.fresh_database()
    await filled(url)
    it = Installation(tmp_path, url)
    chance, phases, took = chance_of(os.environ.get("TESTS_SEED", os.urandom(4).hex())), Counter[str](), 3.0
    it.crowd = Crowd([node.base for node in it.nodes], Ledger(), chance)
    try:
        it.nodes[1].start()
        await until_ready(it.nodes[1])
        it.crowd.bases = [it.nodes[1].base]
        template = await actors.published_template(it.crowd)
        it.crowd.bases = [node.base for node in it.nodes]
        it.crowd.begin(*actors.everybody(it.crowd, template))
        for number in range(ROUNDS * len(PHASES)):
            it.crowd.ledger.round = number
            phase = PHASES[number % len(PHASES)]
            node = it.nodes[0] = it.node((NEXT, OLD)[number % 2], it.ports[0])
            began = time.monotonic()
            node.start()
            if phase == "start":
                await asyncio.sleep(chance.uniform(0, took))
            else:
                await until_ready(node)
                took = time.monotonic() - began
                await until_successes(it.crowd, 20)
            if phase == "drain":
                os.kill(node.pid, signal.SIGTERM)
                await asyncio.sleep(chance.uniform(0, 2))
            node.kill()
            phases[phase] += 1
            await look(it.crowd, url, it.nodes[1].base)
        it.nodes[0] = it.node(NEXT, it.ports[0])
        it.nodes[0].start()
        await until_ready(it.nodes[0])
        await until_successes(it.crowd, 20)
        await it.crowd.end()
        await it.crowd.ledger.check(url)
        for release in (OLD, NEXT):
            await it.verifies(release)
    finally:
        await it.crowd.leave()
        for node in it.nodes:
            node.stop()
    print(f"{phases} {it.crowd.successes} successes, {it.crowd.ledger.size} of them proved, cut: {it.crowd.cut}")
