"""A network namespace for a node, with one link to this machine; requires root."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

_CLONE_NEWNET = 0x40000000


@dataclass
class Network:
    """``here`` and ``there`` are the addresses of the link's ends, from a network reserved for documentation."""

    name: str
    here: str = "198.51.100.1"
    there: str = "198.51.100.2"

    def drop(self, port: int) -> None:
        """Drop packets to and from that port here, without an error."""
        self._rules("-A", port)

    def pass_on(self, port: int) -> None:
        """Undo :meth:`drop`."""
        self._rules("-D", port)

    def _rules(self, what: str, port: int) -> None:
        for chain, which in (("OUTPUT", "--dport"), ("INPUT", "--sport")):
            _run("ip", "netns", "exec", self.name, "iptables", what, chain, "-p", "tcp", which, str(port), "-j", "DROP")


def with_network(name: str) -> None:
    """Move the node to the namespace before it calls anyone. Requests from here reach its port through an inherited
    socket, as with systemd. It runs before a node's command, and replaces the program."""
    listener = socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])))
    where = os.open(f"/run/netns/{name}", os.O_RDONLY)
    assert ctypes.CDLL(None, use_errno=True).setns(where, _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)  # dup2 leaves it unchanged if the listener already has that number
    seen = {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    os.execve(sys.executable, [sys.executable, "-m", "manifest_auth", *sys.argv[1:]], seen)


@contextlib.contextmanager
def made() -> Iterator[Network]:
    """Create a network until the block ends. Raises AssertionError if this process can't create one."""
    network, ends = Network(f"manifest-{os.getpid()}"), (f"mauth{os.getpid() % 10**6}", "line0")
    _run("ip", "netns", "add", network.name)
    try:
        _run("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1], "netns", network.name)
        _run("ip", "addr", "add", f"{network.here}/24", "dev", ends[0])
        _run("ip", "link", "set", ends[0], "up")
        for command in (
            ("addr", "add", f"{network.there}/24", "dev", ends[1]),
            ("link", "set", ends[1], "up"),
            ("link", "set", "lo", "up"),
        ):
            _run("ip", "-n", network.name, *command)
        yield network
    finally:
        _run("ip", "netns", "del", network.name)  # the link ends with it


def _run(*command: str) -> None:
    seen = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    done = subprocess.run(command, env=seen, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr} (it needs root, and a kernel with namespaces)"
