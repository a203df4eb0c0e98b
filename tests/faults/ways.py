"""What stands between a node and PostgreSQL, with the files of ``deploy``: killed, and started again."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.architecture.links import ROOT
from tests.deploy import haproxy
from tests.faults.cluster import PASSWORD, ROLE, Cluster
from tests.support.commands import until
from tests.support.pgbouncer import PgBouncer
from tests.support.processes import ending_with_us, free_port

#: As a supervisor does it.
RESTARTED_S = 0.5
#: What a PostgreSQL answers with one byte, before any login: SSLRequest of its protocol.
_WILL_THERE_BE_TLS = bytes.fromhex("0000000804d2162f")


@dataclass
class HAProxy:
    """``deploy/haproxy-postgres.cfg`` before a cluster. :meth:`stop` at the end."""

    cluster: Cluster
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    @property
    def _file(self) -> Path:
        return self.cluster.folder / f"haproxy-{self.port}.cfg"

    def start(self) -> None:
        """Starts it and does not wait."""
        text = (ROOT / "deploy" / "haproxy-postgres.cfg").read_text("utf-8")
        # Members are machines there, which have Patroni at the same port.
        api = self.cluster.ports["8008"]
        for example, here in {
            "log /dev/log local0": "log stdout format raw local0",
            "bind 127.0.0.1:5432": f"bind 127.0.0.1:{self.port}",
            "check port 8008": f"check port {api}",
        }.items():
            assert text.count(example) == 1, example
            text = text.replace(example, here)
        text = "\n".join(
            line for line in self.cluster.placed(text).splitlines()
            if not (named := re.match(r" +server pg(\d) ", line)) or int(named[1]) <= self.cluster.size
        )  # fmt: skip
        self._file.write_text(text + "\n")
        program, seen = haproxy.program()
        with self._file.with_suffix(".log").open("ab") as out:
            command = ending_with_us([program, "-db", "-f", str(self._file)], "KILL")
            self._process = subprocess.Popen(command, env=seen, stdout=out, stderr=out)

    def until_it_leads(self) -> None:
        """To a PostgreSQL that answers."""
        until(self._leads)

    def _leads(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._file.with_suffix(".log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as made:
            made.sendall(_WILL_THERE_BE_TLS)
            return made.recv(1) != b""
        return False

    def kill(self) -> None:
        """``kill -9``, and a supervisor starts it again."""
        self.stop()
        time.sleep(RESTARTED_S)
        self.start()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def kill(pooler: PgBouncer) -> None:
    """``kill -9``, and a supervisor starts it again."""
    pooler.kill()
    time.sleep(RESTARTED_S)
    pooler.start()
