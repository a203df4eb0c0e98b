"""Starts ``manifest-auth`` as its own process.

Most are forks of a process that has loaded the program already (:mod:`multiprocessing`'s fork server): what such a
start does, from the command line on, is what the command does, and only the loading of modules is left out, which
takes a second of a processor and changes nothing. Some starts are the command itself (``_WHOLE``), and so is one of
several web processes, which starts them as it was started.
"""

from __future__ import annotations

import ctypes
import io
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any, Literal

from manifest_auth.cli.main import main
from tests.support import run_folder
from tests.support.processes import ending_with_us

COMMAND = (sys.executable, "-m", "manifest_auth")
_PR_SET_PDEATHSIG = 1
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.support.preloaded"])
#: The first of so many starts is the command itself, and no fork.
_WHOLE = 40
_numbers = itertools.count()


def share() -> None:
    """From now on one process is forked for this one and for its forks, in place of one for each."""
    server: Any = forkserver._forkserver
    server.ensure_running()
    server.ensure_running = lambda: None  # a fork cannot ask whether it runs, since it is not its parent


class Program:
    """One that was started, whichever way. ``output``, ``errors``: the files to which it writes."""

    def __init__(self, process: BaseProcess | subprocess.Popen[bytes], output: Path, errors: Path) -> None:
        self._process, self.output, self.errors = process, output, errors
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        """Its exit status; negative, of the signal that ended it; None while it runs."""
        return self._process.exitcode if isinstance(self._process, BaseProcess) else self._process.poll()

    def wait(self, seconds: float = 60) -> int:
        """Its exit status, once it has one. Raises TimeoutExpired."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.wait(seconds)
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process), seconds)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """If it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> int:
        """``kill -9``. Its exit status, which is another one when it had ended by itself."""
        self.send_signal(signal.SIGKILL)
        return self.wait()

    def stop(self, seconds: float = 30) -> int:
        """Ends it in good order, if it has not ended yet. Its exit status."""
        self.send_signal(signal.SIGTERM)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def ended(self, seconds: float = 60) -> tuple[int, str, str]:
        """Its exit status, once it has one, and what it wrote to either file."""
        return self.wait(seconds), self.output.read_text(), self.errors.read_text()


def start(
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    output: Path | None = None,
    *,
    given: str = "",
    folder: Path | None = None,
    ends_by: Literal["TERM", "KILL"] = "TERM",
    first: Callable[[], None] | None = None,
    is_whole: bool = False,
) -> Program:
    """Starts a command and does not wait for it. ``output``: where all goes that it writes, if not to two files of its
    own; ``given``: its standard input; ``folder``: where it is; ``ends_by``: the signal it gets when this run ends,
    however it ends; ``first`` runs in a fork before the program; ``is_whole``: no fork, but a new Python and all."""
    number = next(_numbers)
    paths = (output, output) if output is not None else _own(number)
    several = "MANIFEST_WORKERS" in environment or "--workers" in arguments
    is_whole = is_whole or several or not run_folder.is_under_way()
    if is_whole or (first is None and number % _WHOLE == 0):
        command = ending_with_us([*COMMAND, *arguments], ends_by)
        with _read(given) as read, paths[0].open("ab") as out, paths[1].open("ab") as err:
            popen = subprocess.Popen(command, env=environment, cwd=folder, stdin=read, stdout=out, stderr=err)
        return Program(popen, *paths)
    ends = getattr(signal, f"SIG{ends_by}")
    fork = _FORKS.Process(target=_fork, args=(arguments, dict(environment), paths, given, folder, ends, first))
    fork.start()
    return Program(fork, *paths)


def _own(number: int) -> tuple[Path, Path]:
    """Two files that no other program writes to."""
    out, err = (run_folder.folder() / f"{os.getpid()}-{number}.{name}" for name in ("out", "err"))
    return out, err


def _read(given: str) -> IO[bytes]:
    """A file to read that from."""
    read = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the caller
    read.write(given.encode())
    read.seek(0)
    return read


def _fork(
    arguments: tuple[str, ...],
    environment: dict[str, str],
    paths: tuple[Path, Path],
    given: str,
    folder: Path | None,
    ends_by: int,
    first: Callable[[], None] | None,
) -> None:
    """In the fork: what the command does."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ends_by)
    shared: Any = forkserver._forkserver
    os.close(shared._forkserver_alive_fd)  # which would keep the server of forks running, and so this process
    read = _read(given)
    os.dup2(read.fileno(), 0)
    sys.stdin = io.TextIOWrapper(read)
    for number, path in enumerate(paths, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), number)
    if folder is not None:
        os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["manifest-auth", *arguments]
    multiprocessing.process._parent_process = None  # type: ignore[attr-defined] # a command has no such parent
    if first is not None:
        first()
    main(list(arguments))
