"""A bare Debian in a folder, with systemd as its first process.

It sees no other root or processes, and has no network. Its only terminal is a bash that receives blocks of commands.
The addresses that its processes connect to are recorded.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.interop.providers import install
from tests.support.commands import until
from tests.support.processes import ending_with_us

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_TERMINAL = r"""
set -euo pipefail
trap 'status=$?; journalctl --no-pager --lines 60 >> /blocks/$number.shown; echo $status > /blocks/$number.status' EXIT
cd
while read -r number; do
  . /blocks/$number.sh < /dev/null > /blocks/$number.shown 2>&1
  echo 0 > /blocks/$number.status
done < /blocks/numbers
"""
_TERMINAL_UNIT = """
[Service]
Type=exec
ExecStart=/bin/bash /blocks/terminal
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
"""
#: Requirements of a container that runs systemd (systemd.io/CONTAINER_INTERFACE): mounts, and separate control groups.
_BOOT = r"""
set -e
cgroups=sys/fs/cgroup
cd "$ROOT"
mount --bind . .
cd "$ROOT"
mount -t proc proc proc
mount --bind -o ro proc/sys proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs $cgroups
mount -t cgroup2 cgroup2 $cgroups
mkdir -p $cgroups/$GROUP
echo 0 > $cgroups/$GROUP/cgroup.procs
exec unshare --cgroup bash -ec '
umount sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
for each in run tmp dev; do mount -t tmpfs tmpfs $each; done
for each in null zero full random urandom tty; do touch dev/$each; mount --bind /dev/$each dev/$each; done
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
pivot_root . mnt
umount -l /mnt
exec env -i container=tests /usr/lib/systemd/systemd --unit=multi-user.target --show-status=no
'
"""
#: Waits until all processes have ended.
_NO_GROUPS = r"""
mount -t cgroup2 cgroup2 "$ROOT/mnt"
until grep -q 'populated 0' "$ROOT/mnt/$GROUP/cgroup.events"; do sleep 0.05; done
find "$ROOT/mnt/$GROUP" -depth -type d -exec rmdir {} ';'
"""
_SPENT = 'mount -t cgroup2 cgroup2 "$ROOT/mnt"; cat "$ROOT/mnt/$GROUP/cpu.stat"'
_ADDRESS = re.compile(r'connect\(.*sa_family=(AF_INET6?),.*?(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+)"')


@contextlib.contextmanager
def without_links() -> Iterator[None]:
    """Move this thread, and its child processes, to a network namespace that only has the loopback address."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        assert libc.unshare(_CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
        yield
    finally:
        assert libc.setns(before, _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        os.close(before)


def system(suite: str) -> Path:
    """The root of a bare Debian of that suite, downloaded once."""
    return install.debian_root(suite, "python3", "systemd")


class Machine:
    """A new, running machine. ``home`` is its terminal's initial folder, as seen from outside."""

    def __init__(self, folder: Path, system: Path) -> None:
        self.root = folder / "root"
        self._calls = folder / "connects"
        shutil.rmtree(self.root, ignore_errors=True)
        subprocess.run(["cp", "-a", str(system), str(self.root)], check=True)
        (self.root / "etc/resolv.conf").write_text("")  # mmdebstrap copies this machine's file
        self.home = self.root / "root"
        self._blocks = self.root / "blocks"
        self._blocks.mkdir()
        (self._blocks / "terminal").write_text(_TERMINAL)
        os.mkfifo(self._blocks / "numbers")
        self._numbers = os.open(self._blocks / "numbers", os.O_RDWR)
        units = self.root / "etc/systemd/system"
        (units / "terminal.service").write_text(_TERMINAL_UNIT)
        (units / "multi-user.target.wants").mkdir(exist_ok=True)
        (units / "multi-user.target.wants/terminal.service").symlink_to("../terminal.service")
        self._shown = 0
        self._seen = {"PATH": os.environ["PATH"], "ROOT": str(self.root), "GROUP": f"manifest-auth-tests-{os.getpid()}"}
        self.start()

    def start(self) -> None:
        """Boot the machine."""
        recorded = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect", "-A", "-o", str(self._calls)]
        apart = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "bash", "-c", _BOOT]
        command = ending_with_us([*recorded, *apart], "KILL")
        self._system = subprocess.Popen(command, env=self._seen, start_new_session=True)

    def run(self, block: str, seconds: float = 300) -> str:
        """Run a block of commands, and return its output; fails if one of them fails."""
        number, self._shown = self._shown, self._shown + 1
        status, shown = self._blocks / f"{number}.status", self._blocks / f"{number}.shown"
        (self._blocks / f"{number}.sh").write_text(block)
        os.write(self._numbers, f"{number}\n".encode())
        until(lambda: (status.exists() and bool(status.read_text())) or self._system.poll() is not None, seconds)
        assert status.exists(), f"the machine ended:\n{block}"
        assert status.read_text() == "0\n", f"{block}\n{shown.read_text()}"
        return shown.read_text()

    def power_cut(self) -> None:
        """End all processes, in any order."""
        self._system.kill()
        self._system.wait()
        subprocess.run(["unshare", "--mount", "sh", "-ec", _NO_GROUPS], env=self._seen, check=True)

    def processor_seconds(self) -> float:
        """The processor time of all its processes since its creation."""
        command = ["unshare", "--mount", "sh", "-ec", _SPENT]
        told = subprocess.run(command, env=self._seen, capture_output=True, text=True, check=True).stdout
        return int(re.findall(r"^usage_usec (\d+)$", told, re.MULTILINE)[0]) / 1e6

    def connected(self) -> set[str]:
        """The addresses that its processes connected to, or tried to."""
        return {found[2] for found in _ADDRESS.finditer(self._calls.read_text())}
