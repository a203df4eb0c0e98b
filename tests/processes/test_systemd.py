"""Notifications to a service manager: ready, stopping, alive, reloading after SIGHUP, and the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.node_client import NODE, Node
from tests.support import programs
from tests.support.commands import on_a_terminal, until
from tests.support.postgres import Postgres
from tests.support.processes import free_port
from tests.support.secret_keys import SECRET_KEY
from tests.support.server import Server, descendants, environment, served, stop, wait_for

pytestmark = [pytest.mark.one_store, pytest.mark.timeout(300)]
WORKERS = pytest.mark.parametrize(
    "workers", ["1", pytest.param("2", marks=pytest.mark.endurance)], ids=["one process", "two processes"]
)


class Manager:
    """The socket of a service manager, and the messages that it received."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.settimeout(60)

    def waits_for(self, state: str) -> None:
        """Read until this message arrives. Keep-alive messages can arrive at any time."""
        while (told := self._socket.recv(4096).decode()) != state:
            assert told == "WATCHDOG=1", told

    def end(self) -> None:
        self._socket.close()


@pytest.fixture
def manager() -> Iterator[Manager]:
    """A manager in a folder with a short name, as socket addresses require."""
    with tempfile.TemporaryDirectory() as folder:
        made = Manager(Path(folder))
        yield made
        made.end()


def _start(folder: Path, manager: Manager, workers: str, **given: str) -> Server:
    port, output = free_port(), folder / "server.log"
    given = {**NODE, "NOTIFY_SOCKET": manager.address, **given}
    if workers != "1":  # which starts without a fork
        given["MANIFEST_WORKERS"] = workers
    url = f"sqlite:///{folder / 'm.db'}"
    process = programs.start(("serve", "--demo", "--port", str(port)), environment(folder, url, **given), output)
    return Server(process, port, output)


@WORKERS
def test_it_says_when_it_serves_and_when_it_stops_and_ignores_a_hang_up(
    tmp_path: Path, manager: Manager, workers: str
) -> None:
    server = _start(tmp_path, manager, workers, MANIFEST_SHUTDOWN_DRAIN="1")
    try:
        manager.waits_for("READY=1")
        assert Node(server).sign_in()["token"]  # immediately
        family = [server.process.pid, *descendants(server.process.pid)]
        assert len(family) >= 2  # at least one hash worker
        for pid in family:
            os.kill(pid, signal.SIGHUP)
        assert Node(server).sign_in()["token"]
        assert {*family} <= {server.process.pid, *descendants(server.process.pid)}
        server.process.send_signal(signal.SIGTERM)
        manager.waits_for("STOPPING=1")
        assert server.process.wait() == 0
    finally:
        stop(server)


@WORKERS
def test_while_a_watchdog_waits_it_says_that_it_is_alive(tmp_path: Path, manager: Manager, workers: str) -> None:
    with_its_number = ["sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh", *programs.COMMAND, "serve", "--demo"]
    given = {**NODE, "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "20000000", "MANIFEST_WORKERS": workers}
    seen = environment(tmp_path, f"sqlite:///{tmp_path / 'm.db'}", **given, MANIFEST_PORT=str(free_port()))
    with (tmp_path / "log").open("ab") as out:
        process = subprocess.Popen(with_its_number, env=seen, stdout=out, stderr=out)
    try:
        manager.waits_for("READY=1")
        for _ in range(3):
            manager.waits_for("WATCHDOG=1")
    finally:
        process.terminate()
        assert process.wait(60) == 0


_STANDS_STILL = """
import asyncio, multiprocessing, os, sys, time
from manifest_auth.runtime import os_process

async def stand_still():
    watched = asyncio.create_task(os_process.watched())
    await asyncio.sleep(0)
    time.sleep(100)

def run():
    asyncio.run(stand_still())

if __name__ == "__main__":
    os.environ |= {"WATCHDOG_PID": str(os.getpid()), "WATCHDOG_USEC": "300000"}
    process = multiprocessing.get_context("spawn").Process(target=run)
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""


def test_one_of_several_processes_that_stands_still_ends_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(_STANDS_STILL)
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=90)
    assert done.returncode == 1
    assert "in stand_still" in done.stderr


def test_a_wrong_setting_is_told_before_it_could_be_ready(tmp_path: Path, manager: Manager) -> None:
    server = _start(tmp_path, manager, "1", MANIFEST_TRUSTED_PROXIES="x")
    assert server.process.wait() == 2
    manager.end()


def test_without_its_terminal_it_ends_in_good_order(tmp_path: Path) -> None:
    given = {**NODE, "MANIFEST_PORT": str(free_port())}
    process, ours = on_a_terminal(tmp_path, ("serve",), **given)
    shown = b""
    while b'"event":"started"' not in shown:
        shown += os.read(ours, 4096)
    os.close(ours)
    process.send_signal(signal.SIGHUP)  # as the kernel does when a session's terminal closes
    assert process.wait(60) == 0


@pytest.mark.endurance
def test_a_web_process_lost_while_the_store_is_away_does_not_end_the_others(tmp_path: Path) -> None:
    """Its replacement can't start, and is retried until it can."""
    own = Postgres()
    try:
        with served(tmp_path, own.fresh_database(), MANIFEST_SECRET_KEY=SECRET_KEY, MANIFEST_WORKERS="2") as server:
            own.kill()
            log = server.output
            os.kill(_web_processes(server)[0], signal.SIGKILL)
            until(lambda: log.read_text().count('"event":"start_failed"') >= 2, 100)
            assert server.process.poll() is None
            own.start_again()
            started = log.read_text().count('"event":"started"')
            until(lambda: log.read_text().count('"event":"started"') > started, 100)
            wait_for(server, "/readyz")
    finally:
        own.stop()


def _web_processes(server: Server) -> list[int]:
    return [pid for pid, line in descendants(server.process.pid).items() if "spawn_main" in line]
