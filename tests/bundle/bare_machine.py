"""A bare Debian in a folder, whose processes see no other root, reach no network, and end with it.

Its one terminal is a bash that is given blocks of commands. What it and all that it starts connect to is recorded.
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
trap 'echo $? > /blocks/$number.status' EXIT
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
cd
while read -r number; do
  . /blocks/$number.sh < /dev/null > /blocks/$number.shown 2>&1
  echo 0 > /blocks/$number.status
done
number=end
"""
#: Stands in for systemd, which does not run in a folder: starts and stops what the unit says, as its user.
_SYSTEMCTL = r"""#!/bin/bash
unit=/etc/systemd/system/manifest-auth.service pid=/run/manifest-auth.pid
command=$(sed -n 's/^ExecStart=//p' $unit) user=$(sed -n 's/^User=//p' $unit)
case $1 in
  daemon-reload) ;;
  enable | start)
    set -a; . "$(sed -n 's/^EnvironmentFile=-//p' $unit)"; eval "$(sed -n 's/^Environment=//p' $unit)"
    cd "$(sed -n 's/^WorkingDirectory=//p' $unit)"
    setsid setpriv --reuid=$user --regid=$user --init-groups $command > /blocks/server.log 2>&1 &
    echo $! > $pid
    ;;
  stop) kill "$(cat $pid)"; while kill -0 "$(cat $pid)" 2> /dev/null; do sleep 0.05; done ;;
  *) exit 2 ;;
esac
"""
_ADDRESS = re.compile(r'connect\(.*sa_family=(AF_INET6?),.*?(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+)"')


@contextlib.contextmanager
def without_links() -> Iterator[None]:
    """This thread, and what it starts, in a network namespace that has the loopback address alone."""
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
    """The root of a bare Debian of that suite; fetched once."""
    return install.debian_root(suite, "python3")


class Machine:
    """One that was made a moment ago. ``home``: where its terminal is at first, as seen from outside."""

    def __init__(self, folder: Path, system: Path) -> None:
        self.root = folder / "root"
        self._calls = folder / "connects"
        shutil.rmtree(self.root, ignore_errors=True)
        subprocess.run(["cp", "-a", str(system), str(self.root)], check=True)
        (self.root / "etc/resolv.conf").write_text("")  # mmdebstrap copies this machine's
        self.home = self.root / "root"
        self._blocks = self.root / "blocks"
        self._blocks.mkdir()
        systemctl = self.root / "usr/local/bin/systemctl"
        systemctl.write_text(_SYSTEMCTL)
        systemctl.chmod(0o755)
        self._shown = 0
        recorded = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect", "-o", str(self._calls)]
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={self.root}/proc"]
        command = [*recorded, *apart, "chroot", str(self.root), "/bin/bash", "-c", _TERMINAL]
        seen = {"PATH": os.environ["PATH"]}  # and nothing else
        self._terminal = subprocess.Popen(
            ending_with_us(command, "KILL"), stdin=subprocess.PIPE, env=seen, start_new_session=True, text=True
        )

    def run(self, block: str, seconds: float = 300) -> str:
        """What a block of commands shows; fails when one of them does."""
        number, self._shown = self._shown, self._shown + 1
        status, shown = self._blocks / f"{number}.status", self._blocks / f"{number}.shown"
        (self._blocks / f"{number}.sh").write_text(block)
        assert self._terminal.stdin is not None
        self._terminal.stdin.write(f"{number}\n")
        self._terminal.stdin.flush()
        until(lambda: (status.exists() and bool(status.read_text())) or self._terminal.poll() is not None, seconds)
        assert status.exists(), f"the machine ended:\n{block}"
        assert status.read_text() == "0\n", f"{block}\n{shown.read_text()}"
        return shown.read_text()

    def stop(self) -> None:
        """Ends all that runs there."""
        assert self._terminal.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._terminal.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._terminal.wait(20)
        self._terminal.kill()
        self._terminal.wait()

    def connected(self) -> set[str]:
        """The addresses that its processes connected to, or tried to."""
        return {found[2] for found in _ADDRESS.finditer(self._calls.read_text())}
