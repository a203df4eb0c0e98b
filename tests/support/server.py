"""Real server processes on free loopback ports that end with the test."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from manifest_auth.runtime.clock import Clock
from tests.support import programs, run_folder
from tests.support.application import FAST
from tests.support.processes import free_port
from tests.support.programs import Program
from tests.support.secret_keys import SECRET_KEY
from tests.support.stores import fresh_store

#: Settings that stand-ins for providers read from the same place as the server.
REAL_CLOCK = Clock()
DEMO_PASSWORD = "kestrel-harbor-21-violet"


@dataclass
class Server:
    """A running ``manifest-auth serve`` or ``demo``."""

    process: Program
    port: int
    output: Path

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """Kill the web process with ``kill -9``."""
        self.process.kill()


def environment(folder: Path, database_url: str = "", **given: str) -> dict[str, str]:
    """The environment of a process, without the machine's own settings. An empty text removes a setting."""
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
    """Start a server without waiting for it. It writes its output to a file in ``folder``."""
    port = port or free_port()
    env = environment(folder, database_url, **{"MANIFEST_PUBLIC_URL": f"http://127.0.0.1:{port}", **given})
    if demo:
        _make_store(env)
    return _launch(folder, env, port, demo=demo)


def launch_on_nothing(folder: Path, database_url: str, **given: str) -> Server:
    """Like :func:`launch`, with demo data, but the server creates its database itself."""
    port = free_port()
    env = environment(folder, database_url, **{"MANIFEST_PUBLIC_URL": f"http://127.0.0.1:{port}", **given})
    return _launch(folder, env, port, demo=True)


def _launch(folder: Path, env: dict[str, str], port: int, *, demo: bool) -> Server:
    output = folder / f"server-{port}.log"
    process = programs.start(("demo" if demo else "serve", "--port", str(port)), env, output)
    return Server(process, port, output)


def _make_store(env: dict[str, str]) -> None:
    """Create a SQLite database with the current schema if there is none, which saves the server 0.25 seconds."""
    address = env.get("MANIFEST_DATABASE_URL", f"sqlite:///{env['MANIFEST_DATA_DIR']}/manifest-auth.db")
    path = Path(address.removeprefix("sqlite:///"))
    is_ours = address.startswith("sqlite:") and env.get("MANIFEST_SECRET_KEY") == SECRET_KEY
    if is_ours and not path.exists() and run_folder.is_under_way():
        fresh_store(path)


def wait_for(server: Server, path: str = "/healthz", seconds: float = 90) -> Server:
    """Wait until the server returns 200 at ``path``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{server.base}{path}", timeout=2).close()
            return server
        if server.process.poll() is not None:
            break
        time.sleep(0.02)
    server.process.kill()
    raise AssertionError(f"the server did not start:\n{server.output.read_text()[-3000:]}")


def start(folder: Path, database_url: str = "", *, port: int = 0, demo: bool = True, **given: str) -> Server:
    """Start a server, and wait until it responds."""
    return wait_for(launch(folder, database_url, port=port, demo=demo, **given))


def stop(server: Server) -> int:
    """Stop a server with SIGTERM, if it's still running. Returns its exit status."""
    return server.process.stop()


def command(folder: Path, database_url: str, *arguments: str, **given: str) -> Program:
    """Start a command of the command line without waiting for it."""
    return programs.start(arguments, environment(folder, database_url, **given))


def setup_code(server: Server) -> str:
    """A code for a server's first system admin, as printed for its operator."""
    status, printed, errors = command(server.output.parent, "", "setup-code").ended()
    assert status == 0, errors
    [code] = re.findall(r"^    ((?:[A-Z]{4}-){3}[A-Z]{4})$", printed, re.MULTILINE)
    return str(code)


def descendants(pid: int) -> dict[int, str]:
    """Running descendants of one of our processes, with their command lines."""
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
    """Like :func:`start`, and stop the server with SIGTERM when the block ends."""
    server = start(folder, database_url, **options)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        stop(server)
