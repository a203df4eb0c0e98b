"""Runs Debian's PgBouncer with ``deploy/pgbouncer.ini`` in front of one of the tests' PostgreSQL servers."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from tests.architecture.links import ROOT
from tests.interop.providers import install
from tests.support.commands import until
from tests.support.processes import ending_with_us, free_port

EXAMPLE = ROOT / "deploy" / "pgbouncer.ini"
_OWNER = "embedded_postgres"  # the server's owner, the only user who can reach it


class PgBouncer:
    """A running PgBouncer in front of the server at this address. ``changed`` replaces lines of the example."""

    def __init__(self, server: str, **changed: str) -> None:
        where = urlsplit(server)
        self._user, self._password = where.username or "postgres", where.password or "a password"
        self._folder = tempfile.TemporaryDirectory(prefix="manifest-auth-pgbouncer-", ignore_cleanup_errors=True)
        folder, self.port = Path(self._folder.name), free_port()
        folder.chmod(0o777)
        host = where.hostname or parse_qs(where.query)["host"][0]
        text = EXAMPLE.read_text("utf-8")
        for example, here in {
            "host=127.0.0.1 port=5432": f"host={host} port={where.port or 5432}",
            "listen_port = 6432": f"listen_port = {self.port}",
            "/etc/pgbouncer/userlist.txt": str(folder / "users"),
            "/run/postgresql/pgbouncer.pid": str(folder / "pid"),
            "/var/log/postgresql/pgbouncer.log": str(folder / "log"),
        }.items():
            assert text.count(example) == 1, example
            text = text.replace(example, here)
        self._settings, self._users = folder / "pgbouncer.ini", folder / "users"
        self._settings.write_text(text + "".join(f"{name} = {value}\n" for name, value in changed.items()))
        self._users.write_text(f'"{self._user}" "{self._password}"\n')
        self.start()

    def address(self, database: str) -> str:
        """The address of a database on the server, through PgBouncer."""
        login = f"{self._user}:{quote(self._password)}"
        return f"postgresql://{login}@/{database}?host=127.0.0.1&port={self.port}"

    def start(self) -> None:
        root = install.debian("pgbouncer", "pgbouncer")
        command = ending_with_us([str(root / "usr/sbin/pgbouncer"), str(self._settings)], "KILL")
        seen = {**os.environ, "LD_LIBRARY_PATH": install.libraries(root)}
        user = _OWNER if getpass.getuser() == "root" else None  # PgBouncer can't run as root
        self._process = subprocess.Popen(
            command, env=seen, user=user, group=user, extra_groups=[] if user else None,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(self._answers)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (Path(self._folder.name) / "log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def kill(self) -> None:
        """Kill it with ``kill -9``; :meth:`start` starts it again at the same port."""
        self._process.kill()
        self._process.wait()

    def freeze(self, *, thaw: bool = False) -> None:
        """Stop the process, or let it continue."""
        self._process.send_signal(signal.SIGCONT if thaw else signal.SIGSTOP)

    def stop(self) -> None:
        self.kill()
        self._folder.cleanup()
