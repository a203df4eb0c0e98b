"""``kill -9`` during an upgrade of a released database to the next schema, many times on each database.

Clients try to sign in from the beginning. Afterward, the next start, or another node started at the same moment,
upgrades automatically; every row exists, and people sign in as before.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from manifest_auth import audit
from manifest_auth.runtime.sealing import Macs, secret_keys
from manifest_auth.runtime.settings import load
from manifest_auth.store import migrate, open_store
from tests.kills import actors, kill_points, used_stores
from tests.kills.crowd import Crowd
from tests.kills.ledger import Ledger
from tests.kills.rounds import GIVEN, chance_of, until_ready, until_successes
from tests.kills.used_stores import UsedStore
from tests.kills.victim import KILLS, Victim
from tests.releases import next_release
from tests.store import old_stores
from tests.support.postgres import Databases, database_of
from tests.support.processes import free_port
from tests.support.server import environment
from tests.support.stores import schema_number

pytestmark = pytest.mark.timeout(900)
PEOPLE = ("author@acme.example", "operator@acme.example")  # in every database
#: The release that created the upgraded database; without one, a server starts on nothing, and its first start is
#: killed.
RELEASES = (*old_stores.STORES, None)


class Round:
    """One database, one kill, and its aftermath."""

    def __init__(self, folder: Path, url: str, used: UsedStore | None, crowd: Crowd) -> None:
        self.folder, self.url, self.used, self.crowd = folder, url, used, crowd
        demo = ("serve", "--demo") if used is None else ("serve",)
        self.nodes = [self._victim(demo) for _ in range(2)]
        crowd.bases = [node.base for node in self.nodes]
        self.upgrade = self._victim(("db", "upgrade"))

    def _victim(self, arguments: tuple[str, ...]) -> Victim:
        port = free_port()
        given = {**GIVEN, kill_points.VARIABLE: str(self.folder / f"mark-{port}")}
        if self.used is None and self.url.startswith("sqlite"):
            given["MANIFEST_SECRET_KEY"] = ""  # created in the data folder by the first start
        if self.used is not None:
            given[kill_points.NEXT] = str(self.folder)
        return Victim(self.folder, self.url, port, given, arguments, kill_points.upgrade)

    def stage(self, victim: Victim) -> str:
        """The progress of its upgrade."""
        return self._mark(victim).partition(" ")[0]

    def _mark(self, victim: Victim) -> str:
        path = Path(victim.given[kill_points.VARIABLE])
        return path.read_text() if path.exists() else ""

    def statements(self, victim: Victim) -> int:
        """The number of statements in its upgrade."""
        return int(self._mark(victim).partition(" ")[2])

    async def until(self, *stages: str) -> Victim:
        """The running victim with an upgrade that has reached one of these stages."""
        while True:
            for victim in (*self.nodes, self.upgrade):
                if self.stage(victim) in stages:
                    return victim
            await asyncio.sleep(0.001)

    async def kill(self, moment: str, times: Times) -> str:
        """Kill a process at a chosen moment. Returns the progress of the upgrade: `begun` and `stopped` are within it;
        `over` means that the command had already completed, and nothing was killed."""
        chance, [first, second] = self.crowd.chance, self.nodes
        if moment == "inside":
            kill_points.stop_at(self.folder, chance.randint(1, times.statements))
        victim = self.upgrade if chance.random() < 0.2 and self.used is not None else first
        victim.start()
        if victim is first and chance.random() < 0.3:
            second.start()
        if moment == "inside":
            victim = await asyncio.wait_for(self.until("stopped"), 60)
        else:
            await asyncio.sleep(chance.uniform(0, times.start))
        if victim.status() is not None or not victim.kill(may_be_done=victim is self.upgrade):
            return "over"
        stage = self.stage(victim)
        if moment != "inside":
            times.learn(stage)
        return stage

    async def next_start(self) -> Victim:
        """Start the same command again, or use the other node if it was started; either way without manual repair."""
        node = next((node for node in self.nodes if node.starts and node.status() is None), self.nodes[0])
        if node.starts == 0 or node.status() is not None:
            node.start()
        await until_ready(node)
        return node

    async def look(self) -> None:
        """Check that the schema is the newest, every row and every success exists, and the trails verify."""
        await until_successes(self.crowd, 6)
        await self.crowd.end()
        assert await schema_number(self.url) == (next_release.SCHEMA if self.used is not None else migrate.HEAD)
        await self.crowd.ledger.check(self.url)
        if self.used is not None:
            await self.used.is_whole(self.url)
        loaded = load(environment(self.folder, self.url, **self.nodes[0].given))
        store = open_store(self.url, 2, macs=Macs(secret_keys(loaded)))
        await store.open()
        try:
            for verdict in await audit.verify_all(store, lambda _: None, {}):
                assert verdict.faults == [], (self.used, verdict)
        finally:
            await store.close()


class Times:
    """The seconds that a start takes here, and the number of statements of its upgrade."""

    def __init__(self) -> None:
        self.start, self.statements = 0.5, 0

    def learn(self, stage: str) -> None:
        """Adapt to the machine's changing speed: after an early kill, moments come later, and the reverse."""
        self.start *= 0.8 if stage == "made" else 1.2

    async def measure(self, one: Round) -> None:
        [node, _] = one.nodes
        began = time.monotonic()
        node.start()
        await one.until("made")
        self.statements = one.statements(node)
        await until_ready(node)
        self.start = (time.monotonic() - began) * 1.1


@pytest.mark.endurance
@pytest.mark.rounds
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_an_upgrade_is_killed_again_and_again(kind: str, tmp_path: Path, postgres: Databases) -> None:
    used: dict[str | None, UsedStore] = {}
    for old in old_stores.STORES:
        empty = postgres.empty_database() if kind == "postgresql" else f"sqlite:///{tmp_path / f'{old}.db'}"
        used[old] = await used_stores.make(old, empty)
    chance = chance_of(os.environ.get("TESTS_SEED", os.urandom(4).hex()))
    times: dict[str | None, Times] = {}
    stages: Counter[str] = Counter()
    for number in itertools.count():
        if stages.total() - stages["over"] == KILLS:
            break
        release = RELEASES[number % len(RELEASES)]
        folder = tmp_path / str(number)
        folder.mkdir()
        crowd = Crowd([], Ledger(), chance, allowed=frozenset({"OVERLOADED"}))
        url = await _address(kind, folder, used.get(release), postgres)
        one = Round(folder, url, used.get(release), crowd)
        crowd.begin(*(actors.visitor(crowd, email) for email in PEOPLE))
        try:
            if release not in times:  # the first one of each isn't killed
                times[release] = Times()
                await times[release].measure(one)
            else:
                behind = stages["begun"] + stages["stopped"] <= 0.5 * stages.total()
                moment = "inside" if behind or chance.random() < 0.5 else "whenever"
                stages[await one.kill(moment, times[release])] += 1
                await one.next_start()
            await one.look()
        finally:
            await crowd.leave()
            for victim in (*one.nodes, one.upgrade):
                if victim.starts and victim.status() is None:
                    victim.kill()
            if kind == "postgresql":
                postgres.drop(database_of(url))
    print(f"{stages}, {[(s, round(t.start, 2), t.statements) for s, t in times.items()]}")
    assert stages["begun"] + stages["stopped"] >= KILLS * 0.3, "few kills hit an upgrade"


async def _address(kind: str, folder: Path, used: UsedStore | None, postgres: Databases) -> str:
    if used is not None:
        return await used.copy(folder, postgres)
    return postgres.empty_database() if kind == "postgresql" else f"sqlite:///{folder / 'm.db'}"
