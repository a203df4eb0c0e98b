"""Ports and lifetimes of the servers that tests start: a port that stays reserved, and an end with the run."""

from __future__ import annotations

import random
import shutil
import socket
from collections.abc import Sequence
from typing import Literal

from tests.support import run_folder

#: Below the ports that systems hand out on their own (Linux from 32768, others from 49152): there, a connection or a
#: listener of anybody can take a port between its choice and its use, or while its server is being started again.
_PORTS = range(20_000, 32_000)
_taken: set[int] = set()


def free_port() -> int:
    """A free port of the loopback address; never the same one twice in a run, in whichever process: until its server
    listens, and while it is killed, another server would answer in its place."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            # As servers do it: what is left of ended connections does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if _take(port):
            return port


def _take(port: int) -> bool:
    """Whether no one has it yet."""
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
    """The command, sent a signal when the thread that starts it ends, however the run ends. Needs Linux's setpriv."""
    program = shutil.which("setpriv")
    return [*([program, "--pdeathsig", by, "--"] if program else []), *command]
