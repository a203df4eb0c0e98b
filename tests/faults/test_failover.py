"""Failovers of PostgreSQL under Patroni with synchronous replication, while clients work at two nodes.

Nothing that was answered is lost, no session that was signed out comes back, and no hand is needed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

import pytest

from tests.faults import ways as between
from tests.faults.cluster import Cluster
from tests.faults.measured import Schedule, SignedOut
from tests.faults.member import Member
from tests.faults.ways import HAProxy
from tests.kills import actors
from tests.kills.crowd import Crowd
from tests.kills.ledger import Ledger
from tests.kills.rounds import GIVEN, chance_of, look, the_chain_verifies, until_ready, until_successes
from tests.kills.victim import KILLS, Victim
from tests.support.pgbouncer import PgBouncer
from tests.support.processes import free_port

pytestmark = [pytest.mark.endurance, pytest.mark.rounds, pytest.mark.timeout(1800)]
#: How many of each kind: one, and five before a release. Four kinds make another member the primary.
FAILOVERS = max(1, KILLS // 10)
PAUSE_S = 0.1  # of each client of the crowd
#: A primary whose Patroni died serves no one after this: 4 s, and what is remembered for 0.8 s.
CUT_OFF_S = 4.8
#: Longer than a primary that cannot renew its key would stay one without failsafe_mode.
WITHOUT_ETCD_S = 60 if KILLS >= 50 else 15
#: After the longest time that a fault may take.
_SLACK_S = 60.0


@dataclass
class Rig:
    """Two nodes, each with its own HAProxy to PostgreSQL, the first one with a PgBouncer before that; and those who
    call them."""

    cluster: Cluster
    nodes: list[Victim]
    ways: list[HAProxy]
    pooler: PgBouncer
    crowd: Crowd
    schedule: Schedule

    async def fault(
        self, name: str, inject: Callable[[], None], over: Callable[[], bool], most: float
    ) -> tuple[float, float]:
        """Injects it and waits until it is over and all goes well again. ``most``: seconds without a good answer.
        When it began, and when it was over."""
        self.crowd.ledger.round += 1
        await until_successes(self.crowd, 10)  # which it could lose
        began = time.monotonic()
        await asyncio.to_thread(inject)
        while not await asyncio.to_thread(over):
            assert time.monotonic() - began < most + _SLACK_S, f"not over: {self.cluster.state()}"
            await asyncio.sleep(0.1)
        over_at = time.monotonic()
        await self.schedule.until_good(_SLACK_S, over_at)
        off = {each.what.partition(" ")[0]: 0.0 for each in self.schedule.all}
        for each in self.schedule.all:
            what = each.what.partition(" ")[0]
            off[what] = max(off[what], each.off(began))
        print(f"{name}: " + ", ".join(f"{what} off for {seconds:.1f} s" for what, seconds in off.items()), end="; ")
        refused = sum((each.refused for each in self.schedule.all), start=type(self.crowd.cut)())
        print(f"{self.schedule.tried} attempts of sessions that are out, refused: {dict(refused)}")
        await until_successes(self.crowd, 10)
        await self.is_well()
        assert max(off.values()) <= most, off
        return began, over_at

    async def whole(self) -> Member:
        """Waits until all members are there; gives the primary."""
        return await asyncio.to_thread(self.cluster.until_whole)

    def another(self, than: Member) -> Callable[[], bool]:
        """Whether another member is the primary."""
        return lambda: self.cluster.primary() not in (None, than)

    async def is_well(self) -> None:
        """All that was answered is there, and nothing else is answered than may be."""
        for node in self.nodes:
            await until_ready(node, "/readyz")
            assert node.starts == 1
            assert node.status() is None
        await look(self.crowd, self.nodes[1].url, self.nodes[0].base)
        await self.schedule.all_are_out()
        self.schedule.check()


@pytest.fixture(scope="module")
async def rig(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """All at work, through all tests; at the end the ledger is whole and every chain verifies."""
    folder = tmp_path_factory.mktemp("nodes")
    ways = [HAProxy(cluster) for _ in range(2)]
    database = await asyncio.to_thread(cluster.database)
    pooler = PgBouncer(ways[0].url(database))
    pooled = {"MANIFEST_DATABASE_DIRECT_URL": ways[0].url(database)}
    nodes = [
        Victim(folder, pooler.address(database), free_port(), {**GIVEN, **pooled}),
        Victim(folder, ways[1].url(database), free_port(), dict(GIVEN)),
    ]
    chance = chance_of(os.environ.get("TESTS_SEED", os.urandom(4).hex()))
    bases = [node.base for node in nodes]
    crowd = Crowd(bases, Ledger(), chance, allowed=frozenset({"OVERLOADED"}), pause=PAUSE_S)
    crowd.signed_out = out = SignedOut()  # type: ignore[assignment]  # all of them, with their times
    try:
        for way in ways:
            way.start()
        for way in ways:
            await asyncio.to_thread(way.until_it_leads)
        for node in nodes:
            node.start()
        for node in nodes:
            await until_ready(node, "/readyz")
        template = await actors.published_template(crowd)
        crowd.begin(*actors.everybody(crowd, template))
        schedule = Schedule(bases, out)
        async with schedule.running():
            made = Rig(cluster, nodes, ways, pooler, crowd, schedule)
            await schedule.until_good(_SLACK_S, time.monotonic())
            yield made
            await crowd.end()
            await made.is_well()
        assert set(crowd.cut) <= {"OVERLOADED"}, crowd.cut
        await the_chain_verifies(folder, nodes[1].url)
        print(f"{crowd.successes} successes, {crowd.ledger.size} of them proved, cut: {dict(crowd.cut)}")
    finally:
        for node in nodes:
            print(*_errors(node)[-5:], sep="\n", end="")
        await crowd.leave()
        for node in nodes:
            node.stop()
        pooler.stop()
        for way in ways:
            way.stop()


def _errors(node: Victim) -> list[str]:
    return [line for line in node.output.read_text().splitlines() if '"level":"error"' in line]


async def test_the_primarys_postgresql_is_killed(rig: Rig) -> None:
    for _ in range(FAILOVERS):
        primary = await rig.whole()
        await rig.fault("PostgreSQL killed", rig.cluster.kill_postgres_ahead, rig.another(primary), 15)


async def test_a_planned_switchover(rig: Rig) -> None:
    for _ in range(FAILOVERS):
        primary = await rig.whole()
        await rig.fault("switchover", rig.cluster.switchover, rig.another(primary), 5)


async def test_the_primarys_machine_is_gone(rig: Rig) -> None:
    for _ in range(FAILOVERS):
        primary = await rig.whole()
        try:
            await rig.fault("machine gone", primary.kill_machine, rig.another(primary), 32)
        finally:
            primary.start()


async def test_patroni_alone_is_killed_on_the_primary(rig: Rig) -> None:
    for _ in range(FAILOVERS):
        primary = await rig.whole()
        try:
            began, over = await rig.fault("Patroni killed", primary.kill_patroni, rig.another(primary), 32)
            assert primary.postmaster() is not None, "the old PostgreSQL ended by itself"
        finally:
            primary.start()
        served = [at - began for each in rig.schedule.all for at in each.good if began + CUT_OFF_S < at < over]
        assert not served, "the old PostgreSQL served after HAProxy had to cut it off"


async def test_a_standby_of_three_is_killed_and_the_last_one_freezes(rig: Rig) -> None:
    for _ in range(FAILOVERS):
        await rig.whole()
        first, last = rig.cluster.standbys()
        try:
            await rig.fault("standby of three killed", first.kill_machine, lambda: True, 1)
            # One of two: commits wait until Patroni lets it go.
            await asyncio.to_thread(rig.cluster.until_followed_by, last)
            try:
                await rig.fault("standby of two frozen", last.freeze, rig.cluster.is_alone, 15)
            finally:
                last.thaw()
        finally:
            first.start()


async def test_what_stands_before_postgresql_is_killed(rig: Rig) -> None:
    for _ in range(FAILOVERS):
        await rig.fault("HAProxy killed", rig.ways[1].kill, lambda: True, 2)
        await rig.fault("HAProxy behind PgBouncer killed", rig.ways[0].kill, lambda: True, 2)
        await rig.fault("PgBouncer killed", partial(between.kill, rig.pooler), lambda: True, 2)


async def test_etcd_fails(rig: Rig) -> None:
    for _ in range(FAILOVERS):
        await rig.whole()
        leader = rig.cluster.etcd_leader()
        try:
            await rig.fault("etcd's leader killed", leader.kill_etcd, lambda: True, 1)
        finally:
            leader.start_etcd()
    end = time.monotonic() + WITHOUT_ETCD_S
    try:
        await rig.fault("all etcd killed", rig.cluster.kill_etcd, lambda: time.monotonic() > end, 1)
    finally:
        rig.cluster.start_etcd()
    await rig.whole()
