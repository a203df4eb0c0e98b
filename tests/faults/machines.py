"""Faults of a node's machine: its clock, disk, name resolution, and standard error.

Each function runs in a node's process before the program, or replaces the program.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.interop.providers import install
from tests.support.commands import until
from tests.support.server import descendants

#: Runs a node's background jobs every second, so that tests see them.
_BUSY = """
import sys
from manifest_auth.maintenance import background_jobs
background_jobs.EVERY_S = 1.0
from manifest_auth.cli.main import main
main(sys.argv[1:])
"""
_CLONE_NEWNS = 0x20000
_PIPE_BYTES = 4096


def clock_library() -> str:
    """Debian's libfaketime."""
    [found] = install.debian("libfaketime", "libfaketime").glob("usr/lib/*/faketime/libfaketime.so.1")
    return str(found)


def with_clock(library: str, file: str) -> None:
    """Set the clock ahead of the real one by the value in ``file`` (``+2h``), which is read again each time. Clocks
    that are independent of the time of day (CLOCK_MONOTONIC, CLOCK_BOOTTIME) stay correct."""
    told = {"FAKETIME_TIMESTAMP_FILE": file, "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    _become([sys.executable, "-c", _BUSY, *sys.argv[1:]], LD_PRELOAD=library, **told)


def set_clock(file: Path, ahead: str) -> None:
    """Set the value that :func:`with_clock` reads."""
    new = file.with_suffix(".new")
    new.write_text(ahead)
    new.replace(file)


def _late(milliseconds: int) -> list[str]:
    program = shutil.which("strace")
    assert program is not None, "strace is not installed; ./dev endurance installs it"
    late = f"inject=fdatasync,fsync:delay_enter={milliseconds * 1000}"
    return [program, "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e", late]


def with_syncs_of(milliseconds: int) -> None:
    """Make each sync of the disk take this long."""
    # The process keeps its ID (-D), and is stopped only at these two system calls (--seccomp-bpf).
    seen = [*_late(milliseconds), "-D", "--seccomp-bpf"]
    _become([*seen, sys.executable, "-m", "manifest_auth", *sys.argv[1:]])


@contextlib.contextmanager
def late_syncs(program: int, milliseconds: int) -> Iterator[None]:
    """Delay each sync of a running program and of its children by this time inside the block."""
    every = [program, *descendants(program)]
    tracing = subprocess.Popen([*_late(milliseconds), *(word for pid in every for word in ("-p", str(pid)))])
    try:
        until(lambda: all("TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text() for pid in every))
        yield
    finally:
        tracing.terminate()
        tracing.wait()


def with_errors_to(pipe: str) -> None:
    """Make standard error a small pipe."""
    end = os.open(pipe, os.O_WRONLY)
    fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    os.dup2(end, 2)


def with_name_server(file: str) -> None:
    """Use ``file`` as ``/etc/resolv.conf``, only in this process."""
    assert ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
    for arguments in (["--make-rprivate", "/"], ["--bind", file, str(Path("/etc/resolv.conf").resolve())]):
        subprocess.run(["mount", *arguments], check=True)


def _become(command: list[str], **seen: str) -> None:
    os.execve(command[0], command, {**os.environ, **seen})
