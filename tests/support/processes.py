"""Ports and lifetimes of the servers that tests start: reserved ports, and processes that end with the run."""

from __future__ import annotations

import random
import shutil
import socket
from collections.abc import Sequence
from typing import Literal

from tests.support import run_folder

#: Below the ports that systems assign automatically (Linux from 32768, others from 49152). There, any connection or
#: listener could take a port between its choice and its use, or while its server restarts.
_PORTS = range(20_000, 32_000)
_taken: set[int] = set()


def free_port() -> int:
    """A free port of the loopback address, never returned twice in a run, even in other processes. Otherwise, another
    server could respond on it before its server listens, or while that server is killed."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            # Like servers, ignore the remains of closed connections.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if _take(port):
            return port


def _take(port: int) -> bool:
    """Whether the port was still free."""
    if not run_folder.is_under_way():
        is_free = port not in _taken
        _taken.add(port)
        return is_free
    try:
        (run_folder.folder() / f"port-{port}").open("x").close()
    except FileExistsError:
        return False
    return True


def ending_with_us(command: Sequence[str], by: Literal["TERM", "KILL"]) -> list[str]:
    """The command, wrapped to receive a signal when the thread that starts it ends. Requires Linux's setpriv."""
    program = shutil.which("setpriv")
    return [*([program, "--pdeathsig", by, "--"] if program else []), *command]
