"""Real server processes, on free ports of the loopback address, ended when the test ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.house import FAST

DEMO_PASSWORD = "kestrel-harbor-21-violet"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def start(folder: Path, database_url: str = "", *, port: int = 0, demo: bool = True, **environment: str) -> Server:
    """Starts a server and waits until it answers. Its output goes to a file in ``folder``."""
    port = port or free_port()
    output = folder / f"server-{port}.log"
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("MANIFEST_")},
        **FAST,
        "MANIFEST_LOG_LEVEL": "info",
        "MANIFEST_DATA_DIR": str(folder / "data"),
        "MANIFEST_DATABASE_URL": database_url,
        "MANIFEST_DEMO_PASSWORD": DEMO_PASSWORD,
        "MANIFEST_PUBLIC_URL": f"http://127.0.0.1:{port}",
        **environment,
    }
    command = [sys.executable, "-m", "manifest_auth", "serve", "--port", str(port), *(["--demo"] if demo else [])]
    with output.open("ab") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    server = Server(process, port, output)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{server.base}/healthz", timeout=2).close()
            return server
        if process.poll() is not None:
            break
        time.sleep(0.02)
    process.kill()
    raise AssertionError(f"the server did not start:\n{output.read_text()[-3000:]}")


@contextlib.contextmanager
def served(folder: Path, database_url: str = "", **options: str) -> Iterator[Server]:
    """As :func:`start`; ended with SIGTERM."""
    server = start(folder, database_url, **options)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
            try:
                server.process.wait(15)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()
