"""Ends every process with a folder in its command line, once this process's standard input is closed.

When Patroni is killed, PostgreSQL continues, as tests need; when the tests themselves are killed, nothing must.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import psutil  # type: ignore[import-untyped]  # no stubs

_SECONDS = 30


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Watch until :func:`end`, or until the calling process ends."""
    return subprocess.Popen([sys.executable, __file__, str(folder)], stdin=subprocess.PIPE, start_new_session=True)


def end(guardian: subprocess.Popen[bytes]) -> None:
    """End all processes now. Raises AssertionError if some didn't end."""
    told: IO[bytes] | None = guardian.stdin
    assert told is not None
    told.close()
    assert guardian.wait(2 * _SECONDS) == 0, "processes of the test go on"


def _left(folder: str) -> list[psutil.Process]:
    return [
        each
        for each in psutil.process_iter(["cmdline"])
        if each.pid != os.getpid() and any(folder in word for word in each.info["cmdline"] or ())
    ]


if __name__ == "__main__":
    sys.stdin.buffer.read()
    deadline = time.monotonic() + _SECONDS
    while (left := _left(sys.argv[1])) and time.monotonic() < deadline:
        for each in left:
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.05)
    sys.exit(1 if left else 0)
