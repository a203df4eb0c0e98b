"""A folder with locks, shared by all processes of a test run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_VARIABLE = "TESTS_RUN"
_MEMORY, _ROOM = Path("/dev/shm"), 2**30
_watching: list[subprocess.Popen[bytes]] = []  # their standard input stays open as long as this process runs


def memory() -> Path | None:
    """A folder in memory, if it's large enough, so that writing doesn't wait for a disk."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM else None


def begin() -> None:
    """Create the folder. Called by the process that starts the others."""
    os.environ[_VARIABLE] = tempfile.mkdtemp(prefix="manifest-auth-run-", dir=memory())
    after_us('while [ -d "$0" ]; do rm -rf "$0"; sleep 1; done', os.environ[_VARIABLE])


def end() -> None:
    """Delete the folder."""
    shutil.rmtree(os.environ.pop(_VARIABLE), ignore_errors=True)


def is_under_way() -> bool:
    """Whether tests are running, and not a benchmark that uses their helpers."""
    return _VARIABLE in os.environ


def folder() -> Path:
    return Path(os.environ[_VARIABLE])


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Let only one process of the run into the block at a time."""
    with (folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def after_us(command: str, argument: str) -> None:
    """Run a shell command once this process has ended, even if it was killed."""
    shell, to, nowhere = ["/bin/sh", "-c", f"read -r _; {command}", argument], subprocess.PIPE, subprocess.DEVNULL
    _watching.append(subprocess.Popen(shell, stdin=to, stdout=nowhere, stderr=nowhere, start_new_session=True))
