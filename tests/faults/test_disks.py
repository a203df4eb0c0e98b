"""Full or slow disks of a node on SQLite, of PostgreSQL, and of uploaded files."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.faults import disk, machines
from tests.faults.disk import Disk
from tests.faults.rig import NONE_S, Rig, at_work
from tests.kills import actors
from tests.kills.rounds import GIVEN, filled
from tests.kills.victim import Victim
from tests.processes.node_client import AUTH, bearer
from tests.processes.quiet_time import quiet_time
from tests.support.postgres import Postgres
from tests.support.processes import free_port

pytestmark = [pytest.mark.needs_root, pytest.mark.endurance, pytest.mark.timeout(600)]
FULL_S = 3.0
SPACE_S = 10.0  # after space is available again
SYNC_MS = 300
ONE_BY_ONE_S = 4.0  # sign-ins of one client wait for each other's commits
READS = 200


async def until_space(rig: Rig, name: str, full: Disk, meanwhile: Callable[[], None], reads: float) -> None:
    """Fill the disk for a while. ``reads`` is the maximum time without successful reads."""
    space = 0.0

    def fill() -> None:
        nonlocal space
        full.fill()
        meanwhile()
        time.sleep(FULL_S)
        full.make_space()
        space = quiet_time()

    await rig.fault(name, fill, most={"reads": reads, "sign-ins": 60})
    rig.held(rig.off("after there is space", space), SPACE_S)


async def test_the_disk_of_sqlite_is_full(tmp_path: Path) -> None:
    with disk.mounted(tmp_path / "disk", 32) as small:
        url = f"sqlite:///{small.folder / 'm.db'}"
        await filled(url)
        node = Victim(tmp_path, url, free_port(), dict(GIVEN))
        async with at_work(tmp_path, url, [node]) as rig:
            await until_space(rig, "disk of SQLite full", small, lambda: None, NONE_S)
            refused = rig.schedule.all[1].refused
            assert refused["OVERLOADED"], "no sign-in found the disk full"


async def test_the_disk_of_uploads_is_full(tmp_path: Path) -> None:
    with disk.mounted(tmp_path / "files", 1) as small:
        url = f"sqlite:///{tmp_path / 'm.db'}"
        await filled(url)
        node = Victim(tmp_path, url, free_port(), {**GIVEN, "MANIFEST_FILES": str(small.folder)})
        async with at_work(tmp_path, url, [node]) as rig:
            token = await actors.surely_in(rig.crowd, "operator@acme.example")

            def upload() -> httpx2.Response:
                sent = {"Content-Type": "image/png", **bearer(token)}
                url = f"{node.base}/api/client/files?name=x.png"
                return httpx2.post(url, content=actors._PNG, headers=sent, timeout=30)

            def is_refused() -> None:
                answer = upload()
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "OVERLOADED"), answer.text

            await until_space(rig, "disk of uploads full", small, is_refused, NONE_S)
            assert not rig.schedule.all[1].refused, "sign-ins do not need that disk"
            assert (await asyncio.to_thread(upload)).status_code == 201


async def test_the_disk_of_postgresql_is_full(tmp_path: Path) -> None:
    """The disk contains tables and log. The server ends, and a supervisor restarts it until it keeps running."""
    with tempfile.TemporaryDirectory(prefix="manifest-auth-disk-") as place, disk.mounted(Path(place), 256) as small:
        Path(place).chmod(0o755)  # PostgreSQL runs as another user
        server = Postgres(place=small.folder)
        url = server.fresh_database()
        await filled(url)
        nodes = [Victim(tmp_path, url, free_port(), dict(GIVEN)) for _ in range(2)]
        ended = threading.Event()
        supervisor = threading.Thread(target=server.keep_running, args=(ended,))
        try:
            async with at_work(tmp_path, url, nodes) as rig:
                supervisor.start()

                def log_needs_a_file() -> None:
                    with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                        server.psql("SELECT pg_switch_wal()")

                await until_space(rig, "disk of PostgreSQL full", small, log_needs_a_file, 60)
        finally:
            ended.set()
            supervisor.join(30)
            server.stop()


async def _p99(base: str, token: str) -> float:
    """The 99th percentile of consecutive reads, in seconds."""
    took = []
    async with httpx2.AsyncClient(timeout=30) as http:
        for _ in range(READS):
            began = quiet_time()
            assert (await http.get(f"{base}{AUTH}/me", headers=bearer(token))).status_code == 200
            took.append(quiet_time() - began)
            await asyncio.sleep(0.01)
    return sorted(took)[-1 - READS // 100]


@pytest.mark.needs("strace")
async def test_the_disk_is_slow(tmp_path: Path) -> None:
    found = {}
    for syncs_ms in (0, SYNC_MS):
        folder = tmp_path / str(syncs_ms)
        folder.mkdir()
        url = f"sqlite:///{folder / 'm.db'}"
        await filled(url)
        node = Victim(folder, url, free_port(), dict(GIVEN), first=partial(machines.with_syncs_of, syncs_ms))
        async with at_work(folder, url, [node]) as rig:
            token = await actors.surely_in(rig.crowd, "admin@acme.example")
            began = quiet_time()
            found[syncs_ms] = await _p99(node.base, token)
            rig.held(rig.off(f"each sync {syncs_ms} ms later", began), 1.5)
            assert not rig.schedule.all[1].refused
    _is_as_quick(found[0], found[SYNC_MS])


def _is_as_quick(quiet: float, slow: float) -> None:
    print(f"p99 of reads: {quiet * 1000:.1f} ms, on the slow disk {slow * 1000:.1f} ms")
    assert slow <= max(2 * quiet, SYNC_MS / 1000)  # no read waited for a sync, however busy the machine is


@pytest.mark.needs("strace")
async def test_the_disk_of_postgresql_is_slow(tmp_path: Path) -> None:
    server = Postgres()
    try:
        url = server.fresh_database()
        await filled(url)
        nodes = [Victim(tmp_path, url, free_port(), dict(GIVEN)) for _ in range(2)]
        async with at_work(tmp_path, url, nodes) as rig:
            token = await actors.surely_in(rig.crowd, "admin@acme.example")
            quiet = await _p99(nodes[0].base, token)
            with machines.late_syncs(server.pid, SYNC_MS):
                began = quiet_time()
                slow = await _p99(nodes[0].base, token)
                rig.held(
                    rig.off(f"each sync of PostgreSQL {SYNC_MS} ms later", began),
                    {"reads": NONE_S, "sign-ins": ONE_BY_ONE_S},
                )
            assert not rig.schedule.all[1].refused
        _is_as_quick(quiet, slow)
    finally:
        server.stop()
