"""Two nodes behind HAProxy: one is killed or stops responding, or hash workers and web processes are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.deploy import haproxy
from tests.faults import machines
from tests.faults.rig import NONE_S, Rig, at_work, in_the_midst
from tests.faults.ways import RESTARTED_S
from tests.kills.rounds import GIVEN, filled
from tests.kills.victim import KILLS, Victim
from tests.processes.node_client import AUTH, AUTHOR, bearer
from tests.support.postgres import Databases
from tests.support.processes import free_port
from tests.support.server import DEMO_PASSWORD, descendants

pytestmark = [pytest.mark.endurance, pytest.mark.timeout(600)]
STILL_S = 10.0 if KILLS >= 50 else 3.0
#: The time after which an unchanged transaction counts as stopped.
STOPPED_S = 0.25
#: More than the pipe of standard error can hold.
LINES = 100


@pytest.fixture(scope="module")
async def rig(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A system with everything running behind one address, shared by all tests."""
    folder = tmp_path_factory.mktemp("nodes")
    url = postgres.fresh_database()
    await filled(url)
    # Four heartbeats a second, so that few are in progress when a node stops, which would make all caches invalid.
    given = {
        "MANIFEST_DATABASE_WAKE": "off",
        "MANIFEST_PUBLIC_URL": f"https://{haproxy.NAME}",
        "MANIFEST_TRUSTED_PROXIES": "127.0.0.1",
    }
    nodes = [Victim(folder, url, free_port(), {**GIVEN, **given}) for _ in range(2)]
    with haproxy.running(folder, *(node.port for node in nodes)) as proxy:
        front = [f"https://127.0.0.1:{proxy.port}"] * 2
        async with at_work(folder, url, nodes, front, allowed=("502",)) as made:
            yield made


async def test_a_node_is_killed(rig: Rig) -> None:
    rig.starts += 1

    def kill() -> None:
        rig.nodes[0].kill()
        time.sleep(RESTARTED_S)
        rig.nodes[0].start()

    await rig.fault("node killed", kill, most=1.5)


async def test_hash_workers_are_killed(rig: Rig) -> None:
    def kill() -> None:
        workers = [pid for node in rig.nodes for pid, line in descendants(node.pid).items() if "worker.py" in line]
        assert len(workers) == len(rig.nodes)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)

    await rig.fault("hash workers killed", kill, most=NONE_S)


async def test_a_paused_node_clears_its_caches(rig: Rig, postgres: Databases) -> None:
    """The first response rejects a session that was signed out elsewhere in the meantime."""
    still, other = rig.nodes
    async with httpx2.AsyncClient(timeout=30) as http:
        token = await _signed_in(http, other.base)
    asked = socket.create_connection(("127.0.0.1", still.port), timeout=30)
    question = f"GET {AUTH}/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    def stop() -> list[int]:
        """Stop processes at a moment when no transaction is open, because others would wait for it."""
        processes = [still.pid, *descendants(still.pid)]
        while True:
            for _ in range(5):  # fills the cache
                asked.sendall(question)
                assert asked.recv(65536).startswith(b"HTTP/1.1 200 ")
            _signal(processes, signal.SIGSTOP)
            time.sleep(STOPPED_S)
            if not in_the_midst(postgres):
                return processes
            _signal(processes, signal.SIGCONT)
            time.sleep(RESTARTED_S)  # it processes its queue

    def stand_still() -> None:
        processes = stop()
        try:
            out = httpx2.post(f"{other.base}{AUTH}/sign-out", headers=bearer(token), timeout=30)
            assert out.status_code == 200, out.text
            asked.sendall(question)
            time.sleep(STILL_S)
        finally:
            _signal(processes, signal.SIGCONT)

    with asked:
        await rig.fault("node stood still", stand_still, most=1.5)
        answer = await asyncio.to_thread(asked.recv, 65536)
    assert answer.startswith(b"HTTP/1.1 401 "), answer


def _signal(processes: list[int], number: int) -> None:
    for pid in processes:
        os.kill(pid, number)


async def _signed_in(http: httpx2.AsyncClient, base: str) -> str:
    body = {"email": AUTHOR, "password": DEMO_PASSWORD}
    answer = await http.post(f"{base}{AUTH}/sign-in", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["token"])


async def test_one_of_two_web_processes_is_killed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    await filled(url)
    node = Victim(tmp_path, url, free_port(), {**GIVEN, "MANIFEST_WORKERS": "2"})

    def kill() -> None:
        os.kill(next(pid for pid, line in descendants(node.pid).items() if "spawn_main" in line), signal.SIGKILL)

    async with at_work(tmp_path, url, [node], allowed=("cut",)) as rig:
        await rig.fault("web process killed", kill, most={"reads": 1.0, "sign-ins": 1.5})


@pytest.mark.needs("strace")
async def test_nobody_reads_standard_error(tmp_path: Path) -> None:
    pipe, url = tmp_path / "errors", f"sqlite:///{tmp_path / 'm.db'}"
    os.mkfifo(pipe)
    await filled(url)
    node = Victim(tmp_path, url, free_port(), dict(GIVEN), first=partial(machines.with_errors_to, str(pipe)))
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as errors:
        async with at_work(tmp_path, url, [node]) as rig:
            await rig.fault("standard error stalls", partial(time.sleep, STILL_S), most=NONE_S)
            lines = b""
            while lines.count(b"\n") < LINES:  # the waiting ones
                lines += errors.read(65536) or b""
                await asyncio.sleep(0.01)
    assert b"log_lines_dropped" not in lines
