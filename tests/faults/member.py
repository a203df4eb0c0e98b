"""One member of a PostgreSQL cluster under Patroni: a machine with PostgreSQL, Patroni, and an etcd."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]  # no stubs

from tests.architecture.links import ROOT

if TYPE_CHECKING:
    from tests.faults.cluster import Cluster

EXAMPLES = ROOT / "deploy" / "patroni"


@dataclass
class Member:
    """A member of the cluster; ``number`` starts at 1."""

    cluster: Cluster
    number: int
    patroni: subprocess.Popen[bytes] | None = None
    etcd: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return f"pg{self.number}"

    @property
    def address(self) -> str:
        return f"127.0.0.{10 + self.number}"

    @property
    def data(self) -> Path:
        return self.cluster.folder / self.name / "data"

    @property
    def configuration(self) -> Path:
        return self.cluster.folder / self.name / "patroni.yml"

    def start_etcd(self) -> None:
        own = self.cluster.written(EXAMPLES / "etcd.yml", self, "etcd.yml")
        self.etcd = self.cluster.run(self, "etcd", "--config-file", str(own))

    def start(self) -> None:
        """Start Patroni, which starts PostgreSQL."""
        own = self.cluster.written(EXAMPLES / "patroni.yml", self, "patroni.yml")
        self.patroni = self.cluster.run(self, "patroni", str(own))

    def postmaster(self) -> psutil.Process | None:
        """The PostgreSQL server process on this member."""
        try:
            found = psutil.Process(int((self.data / "postmaster.pid").read_text().split("\n", 1)[0]))
            return found if str(self.data) in " ".join(found.cmdline()) else None
        except (OSError, ValueError, psutil.Error):
            return None

    def receivers(self) -> list[psutil.Process]:
        """The processes here that receive the primary's log."""
        postmaster = self.postmaster()
        found = postmaster.children() if postmaster is not None else []
        return [each for each in found if "walreceiver" in " ".join(each.cmdline())]

    def kill_postgres(self) -> None:
        postmaster = self.postmaster()
        assert postmaster is not None, f"no PostgreSQL runs on {self.name}"
        postmaster.kill()

    def kill_patroni(self) -> None:
        assert self.patroni is not None
        self.patroni.kill()
        self.patroni.wait()
        self.patroni = None

    def kill_machine(self) -> None:
        """Kill Patroni and PostgreSQL immediately, without a restart."""
        assert self.patroni is not None
        self.patroni.send_signal(signal.SIGSTOP)  # it must not notice the other's end first
        self.kill_postgres()
        self.kill_patroni()

    def kill_etcd(self) -> None:
        """Kill etcd without a restart."""
        assert self.etcd is not None
        self.etcd.kill()
        self.etcd.wait()
        self.etcd = None

    def freeze(self) -> None:
        """Make the machine silent."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        postmaster = self.postmaster()
        assert postmaster is not None
        assert self.patroni is not None
        self.patroni.send_signal(number)
        for process in (postmaster, *postmaster.children(recursive=True)):
            process.send_signal(number)

    def asked(self, path: str, given: bytes | None = None) -> tuple[int, Any]:
        """The response status of its Patroni; 0 if there is none. ``given`` is the posted body."""
        url = f"https://{self.address}:{self.cluster.ports['8008']}{path}"
        known = ssl.create_default_context(cafile=self.cluster.certificates / "ca.pem")
        try:
            with urllib.request.urlopen(url, given, timeout=2, context=known) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refused:
            return refused.code, None
        except (OSError, ValueError):
            return 0, None

    def __str__(self) -> str:
        return self.name
