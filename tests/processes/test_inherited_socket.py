"""If the parent holds the port, as systemd does, a restart responds late and rejects nobody."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.processes.node_client import NODE, seconds_until
from tests.support.processes import ending_with_us
from tests.support.programs import COMMAND
from tests.support.server import environment

RESTARTS, A_SECOND = int(os.environ["TESTS_ROUNDS"]), 50
#: Passes the ID of the process that becomes the server; systemd sets it itself.
_WITH_ITS_NUMBER = ("sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh")


class Parent:
    """A parent process that holds a socket and starts servers with it."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", **given: str) -> None:
        self.listener = socket.create_server((host, 0), backlog=2048)
        self.port: int = self.listener.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.output = folder / "server.log"
        given = {"MANIFEST_PUBLIC_URL": NODE["MANIFEST_PUBLIC_URL"], "LISTEN_FDS": "1", **given}
        self._seen = environment(folder, f"sqlite:///{folder / 'm.db'}", **given)
        self.server: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        def pass_socket() -> None:
            os.dup2(self.listener.fileno(), 3)

        command = ending_with_us([*_WITH_ITS_NUMBER, *COMMAND, "serve"], "TERM")
        with self.output.open("ab") as out:
            self.server = subprocess.Popen(
                command, env=self._seen, stdout=out, stderr=out, preexec_fn=pass_socket, pass_fds=(3,)
            )
        return self.server

    def stop(self) -> int:
        """Stop the server gracefully, and keep the socket."""
        assert self.server is not None
        self.server.terminate()
        return self.server.wait(30)


@pytest.fixture(params=["1", pytest.param("2", marks=pytest.mark.endurance)], ids=["one process", "two processes"])
def parent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Parent]:
    made = Parent(tmp_path, **({"MANIFEST_WORKERS": request.param} if request.param != "1" else {}))
    yield made
    if made.server is not None and made.server.poll() is None:
        made.stop()
    made.listener.close()


def answers(base: str) -> bool:
    try:
        return httpx2.get(f"{base}/readyz", timeout=30, verify=False).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.mark.rounds
@pytest.mark.timeout(120 + 20 * RESTARTS)
@pytest.mark.endurance
async def test_restarts_reject_no_one(parent: Parent) -> None:
    """Each request uses its own connection, on a fixed schedule."""
    parent.start()
    await asyncio.to_thread(seconds_until, lambda: answers(parent.base), 60)
    took: list[float] = []
    http = httpx2.AsyncClient(
        base_url=parent.base, timeout=30, limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    )
    goes_on = True

    async def ask() -> None:
        began = time.monotonic()
        answer = await http.get("/readyz")
        assert answer.status_code == 200
        took.append(time.monotonic() - began)

    async def load() -> None:
        async with asyncio.TaskGroup() as asking:
            while goes_on:
                asking.create_task(ask())
                await asyncio.sleep(1 / A_SECOND)

    loading = asyncio.create_task(load())
    restarts = []
    for _ in range(RESTARTS):
        await asyncio.sleep(0.5)
        began = time.monotonic()
        assert await asyncio.to_thread(parent.stop) == 0
        parent.start()
        await asyncio.to_thread(seconds_until, lambda: answers(parent.base), 60)
        restarts.append(time.monotonic() - began)
    goes_on = False
    await loading
    await http.aclose()
    assert len(took) > RESTARTS * 0.5 * A_SECOND * 0.5
    print(f"restarts {max(restarts):.1f} s, longest answer {max(took):.1f} s of {len(took)}")
    assert max(took) < max(restarts) + min(restarts)  # a request waits for one restart, but not for two
    assert "Traceback" not in parent.output.read_text()


@pytest.mark.parametrize(
    "parent", ["1", pytest.param("2", marks=pytest.mark.endurance)], ids=["one process", "two processes"], indirect=True
)
def test_callers_are_known_by_their_address(parent: Parent, tmp_path: Path) -> None:
    parent.start()
    seconds_until(lambda: answers(parent.base), 60)
    httpx2.post(f"{parent.base}/api/client/auth/sign-in", json={"email": "x@y.example", "password": "none"})
    seconds_until(lambda: '"address":"127.0.0.1"' in parent.output.read_text())


def test_a_socket_that_others_reach_is_judged_as_the_setting_is(tmp_path: Path) -> None:
    """The setting still says that only this machine can reach it."""
    parent = Parent(tmp_path, "0.0.0.0")
    assert parent.start().wait(60) == 2
    told = parent.output.read_text()
    assert told.startswith(
        "manifest-auth: MANIFEST_PUBLIC_URL: http://127.0.0.1:8080 isn't safe while other machines can reach"
    )
    parent.listener.close()


def test_two_sockets_are_rejected(tmp_path: Path) -> None:
    parent = Parent(tmp_path, LISTEN_FDS="2")
    assert parent.start().wait(60) == 2
    assert "LISTEN_FDS: expected exactly one socket" in parent.output.read_text()
    parent.listener.close()
