"""Failures of the programs between a node and PostgreSQL, with the files of ``deploy``: killed and restarted."""

from __future__ import annotations

import re
import time

from tests.faults.cluster import PASSWORD, ROLE, Cluster
from tests.processes import haproxy_postgres
from tests.support.pgbouncer import PgBouncer

#: The restart delay of a supervisor.
RESTARTED_S = 0.5


class HAProxy(haproxy_postgres.HAProxy):
    """``deploy/haproxy-postgres.cfg`` in front of a cluster. Call :meth:`stop` at the end."""

    def __init__(self, cluster: Cluster) -> None:
        # There, members are machines with Patroni on the same port.
        self._authority = cluster.certificates / "ca.pem"
        api = {
            "check port 8008": f"check port {cluster.ports['8008']}",
            "/etc/haproxy/patroni-ca.pem": str(self._authority),
        }

        def placed(text: str) -> str:
            """Insert the existing members."""
            lines = cluster.placed(haproxy_postgres.replaced(text, api)).splitlines()
            named = [(re.match(r" +server pg(\d) ", line), line) for line in lines]
            return "".join(f"{line}\n" for found, line in named if not found or int(found[1]) <= cluster.size)

        super().__init__(cluster.folder, placed)

    def url(self, database: str) -> str:
        login = f"{ROLE}:{PASSWORD}@127.0.0.1:{self.port}"
        return f"postgresql://{login}/{database}?sslmode=verify-ca&sslrootcert={self._authority}"

    def kill(self) -> None:
        """Kill it with ``kill -9``, and restart it as a supervisor would."""
        self.stop()
        time.sleep(RESTARTED_S)
        self.start()


def kill(pooler: PgBouncer) -> None:
    """Kill it with ``kill -9``, and restart it as a supervisor would."""
    pooler.kill()
    time.sleep(RESTARTED_S)
    pooler.start()
