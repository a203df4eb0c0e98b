"""A stopped process completes the requests that it has started, and losing a hash worker affects nothing else."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.processes.node_client import AUTH, AUTHOR, NODE, Node, bearer, seconds_until
from tests.support.matrix import some_of
from tests.support.server import DEMO_PASSWORD, Server, descendants, launch, start, stop, wait_for

pytestmark = [pytest.mark.one_store, pytest.mark.timeout(300)]

STILL_S = 8
#: The timeout after which a silent web process is replaced.
REPLACED_S = 20
#: The time for all responses on a machine that prioritizes other work over hashes.
WAIT_S = 120

#: A hash takes about 100 ms, so that signals arrive while hashes are in progress.
SLOW = {**NODE, "MANIFEST_ARGON2_MEMORY": "19456", "MANIFEST_ARGON2_PASSES": "8", "MANIFEST_HASH_WORKERS": "2",
        "MANIFEST_SHUTDOWN_GRACE": str(WAIT_S)}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'm.db'}" if sqlite else request.getfixturevalue("postgres").fresh_database()
    started = start(tmp_path, url, **SLOW)
    yield started
    stop(started)


async def until_hashes_wait(http: httpx2.AsyncClient) -> None:
    """Wait for some of the hashes, which are computed by processes with a lower priority than this one."""
    while not re.search(r"^manifest_hash_waiting ([4-9]|1\d)\.0$", (await http.get("/metrics")).text, re.MULTILINE):
        await asyncio.sleep(0)


def sign_in(http: httpx2.AsyncClient) -> Awaitable[httpx2.Response]:
    return http.post(f"{AUTH}/sign-in", json={"email": AUTHOR, "password": DEMO_PASSWORD})


async def test_what_is_under_way_is_answered_and_the_exit_status_is_0(server: Server) -> None:
    async with httpx2.AsyncClient(base_url=server.base, timeout=WAIT_S) as http:
        under_way = [asyncio.ensure_future(sign_in(http)) for _ in range(16)]
        await until_hashes_wait(http)
        server.process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*under_way)
    assert [answer.status_code for answer in answers] == [200] * 16
    assert all(answer.json()["data"]["token"] for answer in answers)
    assert await asyncio.to_thread(server.process.wait, 20) == 0
    log = server.output.read_text()
    assert "Traceback" not in log
    assert "internal_error" not in log


async def test_what_lasts_longer_than_the_grace_is_rejected_as_anything_else(tmp_path: Path) -> None:
    given = {**NODE, "MANIFEST_HASH_WORKERS": "1", "MANIFEST_SHUTDOWN_GRACE": "1"}
    server = start(tmp_path, f"sqlite:///{tmp_path / 'm.db'}", **given)
    async with httpx2.AsyncClient(base_url=server.base, timeout=WAIT_S) as http:
        assert (await sign_in(http)).status_code == 200
        (worker,) = workers(server)
        os.kill(worker, signal.SIGSTOP)
        try:
            under_way = [asyncio.ensure_future(sign_in(http)) for _ in range(16)]
            await until_hashes_wait(http)
            server.process.send_signal(signal.SIGTERM)
            answers = await asyncio.gather(*under_way)
        finally:
            os.kill(worker, signal.SIGCONT)
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "OVERLOADED")
        assert (answer.headers["retry-after"], answer.headers["connection"]) == ("1", "close")
        assert answer.headers["x-request-id"] == answer.json()["error"]["requestId"]
    assert await asyncio.to_thread(server.process.wait, 20) == 0
    assert "Traceback" not in server.output.read_text()


def web_processes(server: Server) -> set[int]:
    return {pid for pid, command in descendants(server.process.pid).items() if "spawn_main" in command}


@pytest.mark.endurance
def test_a_process_that_starts_slowly_is_not_replaced(tmp_path: Path) -> None:
    """A replacement would start again, and on a busy machine again and again."""
    server = launch(tmp_path, f"sqlite:///{tmp_path / 'm.db'}", **{**NODE, "MANIFEST_WORKERS": "2"})
    try:
        seconds_until(lambda: len(web_processes(server)) == 2)
        web = web_processes(server)
        os.kill(max(web), signal.SIGSTOP)
        wait_for(server)  # the other process serves
        time.sleep(REPLACED_S + 3)
        os.kill(max(web), signal.SIGCONT)
        assert web_processes(server) == web
    finally:
        stop(server)


@pytest.mark.endurance
def test_a_process_that_stands_still_for_some_seconds_is_not_replaced(tmp_path: Path) -> None:
    server = start(tmp_path, f"sqlite:///{tmp_path / 'm.db'}", **{**NODE, "MANIFEST_WORKERS": "2"})
    try:
        seconds_until(lambda: len(web_processes(server)) == 2)  # the other one can start after the first one responds
        web = web_processes(server)
        os.kill(min(web), signal.SIGSTOP)
        time.sleep(STILL_S)
        os.kill(min(web), signal.SIGCONT)
        time.sleep(1)  # long enough for the missing process to be noticed
        assert web <= set(descendants(server.process.pid))
    finally:
        stop(server)


def test_a_crash_says_where_it_came_from(tmp_path: Path) -> None:
    server = start(tmp_path, f"sqlite:///{tmp_path / 'm.db'}", **NODE)
    server.process.send_signal(signal.SIGSEGV)
    server.process.wait(20)
    said = server.output.read_text()
    assert "Fatal Python error: Segmentation fault" in said
    assert 'uvicorn/server.py", line' in said


@pytest.mark.endurance
async def test_several_web_processes_stop_as_one(tmp_path: Path) -> None:
    server = start(tmp_path, f"sqlite:///{tmp_path / 'm.db'}", **{**SLOW, "MANIFEST_WORKERS": "2"})
    try:
        async with httpx2.AsyncClient(base_url=server.base, timeout=WAIT_S) as http:
            under_way = [asyncio.ensure_future(sign_in(http)) for _ in range(16)]
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            server.process.send_signal(signal.SIGTERM)
            answers = await asyncio.gather(*under_way)
        assert [answer.status_code for answer in answers] == [200] * 16
        assert await asyncio.to_thread(server.process.wait, 20) == 0
    finally:
        stop(server)


async def test_after_the_stop_nothing_of_it_is_left(server: Server) -> None:
    family = descendants(server.process.pid)
    assert family  # a hash worker
    assert await asyncio.to_thread(stop, server) == 0
    await asyncio.to_thread(seconds_until, lambda: not set(family.items()) & set(descendants(1).items()), 10)
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(f"{server.base}/healthz")


def workers(server: Server) -> set[int]:
    return {pid for pid, line in descendants(server.process.pid).items() if "worker.py" in line}


@pytest.mark.parametrize("how_many", some_of(["one", "all"], "all"))
async def test_hash_workers_that_are_killed_are_replaced_and_no_request_is_lost(server: Server, how_many: str) -> None:
    async with httpx2.AsyncClient(base_url=server.base, timeout=WAIT_S) as http:
        await asyncio.gather(*(sign_in(http) for _ in range(6)))  # so that each worker is needed
        before = workers(server)
        assert len(before) == 2
        under_way = [asyncio.ensure_future(sign_in(http)) for _ in range(12)]
        await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        victims = before if how_many == "all" else {min(before)}
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        answers = await asyncio.gather(*under_way)
        assert [answer.status_code for answer in answers] == [200] * 12
        token = answers[0].json()["data"]["token"]
        assert (await http.get(f"{AUTH}/me", headers=bearer(token))).status_code == 200
    await asyncio.to_thread(seconds_until, lambda: len(workers(server)) == 2)
    assert not workers(server) & victims
    assert Node(server).sign_in()["token"]
