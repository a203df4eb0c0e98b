"""One PostgreSQL and two nodes: it's killed, or one node's connection is cut or slow, while clients work."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial

import httpx2
import pytest

from tests.faults import network
from tests.faults.link import Link
from tests.faults.network import Network
from tests.faults.rig import HELD_S, NONE_S, Rig, at_work, in_the_midst
from tests.faults.ways import RESTARTED_S
from tests.kills.rounds import GIVEN, filled
from tests.kills.victim import Victim
from tests.processes.node_client import AUTH
from tests.processes.quiet_time import quiet_time
from tests.support.commands import until
from tests.support.postgres import Postgres
from tests.support.processes import free_port

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs("ip", "iptables"),
    pytest.mark.endurance,
    pytest.mark.timeout(600),
]
#: The time until a disconnected node notices it.
CUT_S = 4.5
SLOW_S = 4.0
#: Connections that the clients' work needs while each query takes a second.
POOL = 40
#: A node's cache is valid for this long, plus some time on a busy machine.
BELIEF_S = 0.8
MEMORY_S = BELIEF_S + 0.2
KNOWN_S = 0.05
#: After the link is restored, in addition to the machine's time for some requests. A login in progress waits for TCP,
#: which retransmits lost packets after a second.
HEALED_S = {"a proxy that stalls": 1.0, "packets that get lost": 2.0}
#: A login, a heartbeat, a read's query, and its result, one after the other.
STEPS = 4
#: After PostgreSQL accepts connections again.
ACCEPTS_S = 4.0


@dataclass
class OneServer:
    """The first node is in a separate network, and connects to PostgreSQL through ``link``."""

    rig: Rig
    server: Postgres
    network: Network
    link: Link

    @property
    def cut_off(self) -> str:
        return self.rig.nodes[0].base

    @property
    def other(self) -> str:
        return self.rig.nodes[1].base


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    made = Postgres()
    yield made
    made.stop()


@pytest.fixture(scope="module")
async def here(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OneServer]:
    """A system with everything running, shared by all tests."""
    folder = tmp_path_factory.mktemp("nodes")
    url = server.fresh_database()
    await filled(url)
    with network.made() as apart, Link(url, apart.here) as link:
        given = {**GIVEN, "MANIFEST_DATABASE_POOL": str(POOL)}
        first = partial(network.with_network, apart.name)
        nodes = [
            Victim(folder, link.url(), free_port(), given, first=first),
            Victim(folder, url, free_port(), given),
        ]
        async with at_work(folder, url, nodes) as rig:
            yield OneServer(rig, server, apart, link)


@pytest.mark.parametrize("what", ["backend", "postmaster"])
async def test_postgresql_is_killed(here: OneServer, what: str) -> None:
    """Kill all of it, or one process, after which the postmaster ends all others and recovers."""
    accepts = 0.0

    def kill() -> None:
        nonlocal accepts
        before = here.server.starts()
        if what == "backend":
            assert here.server.kill_backend(here.rig.url), "no one was connected"
        else:
            here.server.kill()
            time.sleep(RESTARTED_S)
            here.server.start_again()
        until(lambda: here.server.starts() > before)
        accepts = quiet_time()

    await here.rig.fault(f"{what} killed", kill, most=60)
    here.rig.held(here.rig.off("after it accepts connections", accepts), ACCEPTS_S)


@pytest.mark.parametrize("way", HEALED_S)
async def test_a_node_is_silently_cut_off(here: OneServer, way: str) -> None:
    answered: list[float] = []
    most = {"reads": NONE_S, "sign-ins": NONE_S}

    def cut() -> None:
        if way == "a proxy that stalls":
            here.link.cut()
        else:
            here.network.drop(here.link.port)
        time.sleep(CUT_S / 2)
        if in_the_midst(here.server):
            most["sign-ins"] = HELD_S
        time.sleep(CUT_S / 2)
        with httpx2.Client(base_url=here.cut_off) as http:
            for _ in range(20):
                began = quiet_time()
                assert http.post(f"{AUTH}/refresh", json={"refreshToken": "x.y.z"}).status_code in (401, 503)
                assert http.get("/readyz").status_code == 503
                answered.append((quiet_time() - began) / 2)
        here.link.heal()
        if way != "a proxy that stalls":
            here.network.pass_on(here.link.port)

    began, healed = await here.rig.fault(f"node cut off, by {way}", cut, most=most, bases=[here.other])
    reads, sign_ins = here.rig.schedule.all[:2]
    for each in (reads, sign_ins):
        good, again = (
            max(at for at in each.good if at < healed) - began,
            min(at for at in each.good if at > healed) - healed,
        )
        print(f"{each.what}: good for {good:.2f} s, and again {again:.2f} s after the line is whole")
        usual = here.rig.usual[each.what]
        assert good <= MEMORY_S + usual
        # Sign-ins can wait for their own interrupted lock transaction, until PostgreSQL learns that it ended.
        assert again <= HEALED_S[way] + STEPS * usual or each is sign_ins
    print(f"refused after {statistics.median(answered) * 1000:.0f} ms")
    assert statistics.median(answered) <= KNOWN_S


@pytest.mark.parametrize("seconds", [0.2, 0.9])
async def test_the_network_of_a_node_is_slow(here: OneServer, seconds: float) -> None:
    def slow() -> None:
        here.link.slow(seconds)
        time.sleep(SLOW_S)
        here.link.slow(0)

    # Heartbeats take too long for cached data to be valid, so each read uses the database, once it has a connection.
    most = {"reads": NONE_S if seconds < BELIEF_S else 4 * seconds, "sign-ins": math.inf}
    began, _ = await here.rig.fault(f"line slow by {seconds} s", slow, most=most, bases=[here.cut_off])
    # A client's sign-ins write to the end of its audit trail one by one. Two on the slow node can hold it in turn, each
    # until a write and the commit are confirmed.
    most = {"reads": NONE_S, "sign-ins": NONE_S + 2 * 2 * seconds}
    here.rig.held(here.rig.off("at the other node", began, [here.other]), most)
