"""Real server processes, on free ports of the loopback address, ended when the test ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.house import FAST
from tests.support.processes import ending_with_us
from tests.support.processes import free_port as free_port

DEMO_PASSWORD = "kestrel-harbor-21-violet"


@dataclass
class Server:
    """A running ``manifest-auth serve --demo``."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """``kill -9`` of the web process."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


def environment(folder: Path, database_url: str = "", **given: str) -> dict[str, str]:
    """What a process of ours sees: nothing of the machine's own settings. An empty text takes a setting away."""
    seen = {
        **{k: v for k, v in os.environ.items() if not k.startswith("MANIFEST_")},
        **FAST,
        "MANIFEST_LOG_LEVEL": "info",
        "MANIFEST_DATA_DIR": str(folder / "data"),
        "MANIFEST_DATABASE_URL": database_url,
        "MANIFEST_DEMO_PASSWORD": DEMO_PASSWORD,
        **given,
    }
    return {name: value for name, value in seen.items() if value or not name.startswith("MANIFEST_")}


def launch(folder: Path, database_url: str = "", *, port: int = 0, demo: bool = True, **given: str) -> Server:
    """Starts a server and does not wait for it. Its output goes to a file in ``folder``."""
    port = port or free_port()
    output = folder / f"server-{port}.log"
    env = environment(folder, database_url, **{"MANIFEST_PUBLIC_URL": f"http://127.0.0.1:{port}", **given})
    command = [sys.executable, "-m", "manifest_auth", "serve", "--port", str(port), *(["--demo"] if demo else [])]
    with output.open("ab") as log:
        process = subprocess.Popen(ending_with_us(command, "TERM"), env=env, stdout=log, stderr=log)
    return Server(process, port, output)


def wait_for(server: Server, path: str = "/healthz", seconds: float = 30) -> Server:
    """Waits until it answers 200 at ``path``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{server.base}{path}", timeout=2).close()
            return server
        if server.process.poll() is not None:
            break
        time.sleep(0.02)
    server.process.kill()
    server.process.wait()
    raise AssertionError(f"the server did not start:\n{server.output.read_text()[-3000:]}")


def start(folder: Path, database_url: str = "", *, port: int = 0, demo: bool = True, **given: str) -> Server:
    """Starts a server and waits until it answers."""
    return wait_for(launch(folder, database_url, port=port, demo=demo, **given))


def stop(server: Server) -> int:
    """Ends a server with SIGTERM, if it has not ended yet. Its exit status."""
    if server.process.poll() is None:
        server.process.terminate()
        try:
            server.process.wait(15)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()
    return int(server.process.returncode)


def command(folder: Path, database_url: str, *arguments: str, **given: str) -> subprocess.Popen[str]:
    """Starts one command of the command line; its output can be read."""
    return subprocess.Popen(
        [sys.executable, "-m", "manifest_auth", *arguments],
        env=environment(folder, database_url, **given),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def descendants(pid: int) -> dict[int, str]:
    """Living processes below one of ours, with their command lines."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(maxsplit=3) for line in listed.stdout.splitlines()]
    living = {int(row[0]): (int(row[1]), row[3]) for row in rows if len(row) == 4 and not row[2].startswith("Z")}
    family = {pid}
    while grown := {child for child, (parent, _) in living.items() if parent in family} - family:
        family |= grown
    return {number: living[number][1] for number in family - {pid} if number in living}


@contextlib.contextmanager
def served(folder: Path, database_url: str = "", **options: str) -> Iterator[Server]:
    """As :func:`start`; ended with SIGTERM."""
    server = start(folder, database_url, **options)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        stop(server)
