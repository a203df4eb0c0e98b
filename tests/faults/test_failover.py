"""Failovers of PostgreSQL under Patroni with synchronous replication, while clients work at two nodes.

No confirmed change is lost, no signed-out session works again, and no manual repair is needed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

import pytest

from tests.faults import ways as between
from tests.faults.cluster import Cluster
from tests.faults.member import Member
from tests.faults.rig import Rig, at_work
from tests.faults.ways import HAProxy
from tests.kills.rounds import GIVEN
from tests.kills.victim import KILLS, Victim
from tests.processes.quiet_time import quiet_time
from tests.support.pgbouncer import PgBouncer
from tests.support.processes import free_port
from tests.support.rules import rule

pytestmark = [pytest.mark.endurance, pytest.mark.rounds, pytest.mark.timeout(1800)]
#: The number of faults of each kind: one, or five before a release. Four kinds change the primary.
FAILOVERS = max(1, KILLS // 10)
#: If a primary's Patroni dies, it stops serving after this time: 4 s, and 0.8 s for cached data.
CUT_OFF_S = 4.8
#: Longer than a primary that can't renew its key stays primary without failsafe_mode.
WITHOUT_ETCD_S = 60 if KILLS >= 50 else 15


@dataclass
class Failing:
    """Two nodes and their clients. Each node has its own HAProxy to the cluster, and the first one also a PgBouncer in
    front."""

    rig: Rig
    cluster: Cluster
    ways: list[HAProxy]
    pooler: PgBouncer

    async def fault(
        self, name: str, inject: Callable[[], None], over: Callable[[], bool], most: float
    ) -> tuple[float, float]:
        """Like :meth:`Rig.fault`."""
        return await self.rig.fault(name, inject, over, most)

    async def whole(self) -> Member:
        """Wait until all members are running, and return the primary."""
        return await asyncio.to_thread(self.cluster.until_whole)

    def another(self, than: Member) -> Callable[[], bool]:
        """Whether another member is the primary."""
        return lambda: self.cluster.primary() not in (None, than)


@pytest.fixture(scope="module")
async def rig(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Failing]:
    """A system with everything running, shared by all tests."""
    folder = tmp_path_factory.mktemp("nodes")
    ways = [HAProxy(cluster) for _ in range(2)]
    database = await asyncio.to_thread(cluster.database)
    authority = str(cluster.certificates / "ca.pem")
    pooler = PgBouncer(ways[0].url(database), server_tls_sslmode="verify-ca", server_tls_ca_file=authority)
    pooled = {"MANIFEST_DATABASE_DIRECT_URL": ways[0].url(database)}
    nodes = [
        Victim(folder, pooler.address(database), free_port(), {**GIVEN, **pooled}),
        Victim(folder, ways[1].url(database), free_port(), dict(GIVEN)),
    ]
    try:
        for way in ways:
            way.start()
        for way in ways:
            await asyncio.to_thread(way.until_it_leads)
        async with at_work(folder, nodes[1].url, nodes) as made:
            yield Failing(made, cluster, ways, pooler)
    finally:
        pooler.stop()
        for way in ways:
            way.stop()


@rule("EXAMPLES")
async def test_a_caller_that_reaches_only_a_member_cannot_read_or_change_anything(rig: Failing) -> None:
    primary = await rig.whole()
    given = json.dumps({"leader": primary.name}).encode()
    assert await asyncio.to_thread(primary.asked, "/switchover", given) == (401, None)
    assert "no encryption" in await asyncio.to_thread(rig.cluster.login, primary, "disable")
    assert await asyncio.to_thread(rig.cluster.login, primary, "require") == ""


async def test_the_primarys_postgresql_is_killed(rig: Failing) -> None:
    for _ in range(FAILOVERS):
        primary = await rig.whole()
        await rig.fault("PostgreSQL killed", rig.cluster.kill_postgres_ahead, rig.another(primary), 15)


async def test_a_planned_switchover(rig: Failing) -> None:
    for _ in range(FAILOVERS):
        primary = await rig.whole()
        await rig.fault("switchover", rig.cluster.switchover, rig.another(primary), 5)


async def test_the_primarys_machine_is_gone(rig: Failing) -> None:
    for _ in range(FAILOVERS):
        primary = await rig.whole()
        try:
            await rig.fault("machine gone", primary.kill_machine, rig.another(primary), 32)
        finally:
            primary.start()


async def test_patroni_alone_is_killed_on_the_primary(rig: Failing) -> None:
    for _ in range(FAILOVERS):
        primary = await rig.whole()
        try:
            began, over = await rig.fault("Patroni killed", primary.kill_patroni, rig.another(primary), 32)
            assert primary.postmaster() is not None, "the old PostgreSQL ended by itself"
        finally:
            primary.start()
        served = [at - began for each in rig.rig.schedule.all for at in each.good if began + CUT_OFF_S < at < over]
        assert not served, "the old PostgreSQL served after HAProxy had to cut it off"


async def test_a_standby_of_three_is_killed_and_the_last_one_freezes(rig: Failing) -> None:
    for _ in range(FAILOVERS):
        await rig.whole()
        first, last = rig.cluster.standbys()
        try:
            await rig.fault("standby of three killed", first.kill_machine, lambda: True, 1)
            # It's one of two standbys, so commits wait until Patroni removes it.
            await asyncio.to_thread(rig.cluster.until_followed_by, last)
            try:
                await rig.fault("standby of two frozen", last.freeze, rig.cluster.is_alone, 15)
            finally:
                last.thaw()
        finally:
            first.start()


async def test_the_proxy_before_postgresql_is_killed(rig: Failing) -> None:
    for _ in range(FAILOVERS):
        await rig.fault("HAProxy killed", rig.ways[1].kill, lambda: True, 2)
        await rig.fault("HAProxy behind PgBouncer killed", rig.ways[0].kill, lambda: True, 2)
        await rig.fault("PgBouncer killed", partial(between.kill, rig.pooler), lambda: True, 2)


async def test_etcd_fails(rig: Failing) -> None:
    for _ in range(FAILOVERS):
        await rig.whole()
        leader = await asyncio.to_thread(rig.cluster.etcd_leader)
        try:
            await rig.fault("etcd's leader killed", leader.kill_etcd, lambda: True, 1)
        finally:
            leader.start_etcd()
    end = quiet_time() + WITHOUT_ETCD_S
    try:
        await rig.fault("all etcd killed", rig.cluster.kill_etcd, lambda: quiet_time() > end, 1)
    finally:
        rig.cluster.start_etcd()
    await rig.whole()
