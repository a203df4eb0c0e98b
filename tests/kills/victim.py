"""A server to kill and to start again, fifty times and more in a test.

Most starts are forks of a process that has loaded the program already (:mod:`multiprocessing`'s fork server): what such
a start does, from the command line on, is what ``manifest-auth serve`` does, and only the loading of modules is left
out, during which nothing is touched that a kill could harm. Every tenth start is the command itself.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from manifest_auth.cli.main import main
from tests.support.processes import ending_with_us
from tests.support.server import environment

#: How often each victim is killed.
KILLS = int(os.environ["MANIFEST_TEST_ROUNDS"])
_PR_SET_PDEATHSIG = 1
_FORKS = multiprocessing.get_context("forkserver")
_LOADED = """tests.kills.victim tests.kills.marks manifest_auth.http.uvicorn_server
    alembic.command asyncpg sqlalchemy.ext.asyncio
    uvicorn.loops.auto uvicorn.lifespan.on"""
_FORKS.set_forkserver_preload(_LOADED.split())


def _program(arguments: list[str], given: dict[str, str], output: Path, first: Callable[..., None] | None) -> None:
    """In the fork: what the command does, after ``first``."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    log = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(given)
    multiprocessing.process._parent_process = None  # type: ignore[attr-defined] # a command has no such parent
    if first is not None:
        first()
    main(arguments)


@dataclass
class Victim:
    """One command that runs, again and again, with the same settings. ``first`` runs in a fork before the program.
    ``whole``: every start is the command itself, a new Python and all."""

    folder: Path
    url: str
    port: int
    given: dict[str, str]
    arguments: tuple[str, ...] = ("serve",)
    first: Callable[..., None] | None = None
    whole: bool = False
    starts: int = 0
    _fork: BaseProcess | None = None
    _command: subprocess.Popen[bytes] | None = None
    output: Path = field(init=False)

    def __post_init__(self) -> None:
        self.output = self.folder / f"victim-{self.port}.log"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        running = self._fork or self._command
        assert running is not None
        assert running.pid is not None
        return running.pid

    def start(self) -> None:
        """Starts it and does not wait."""
        self.starts += 1
        given: dict[str, Any] = {"MANIFEST_PUBLIC_URL": self.base, **self.given}
        arguments = [*self.arguments, *(["--port", str(self.port)] if self.arguments[0] == "serve" else [])]
        settings = environment(self.folder, self.url, **given)
        self._fork = self._command = None
        if self.whole or (self.first is None and self.starts % 10 == 0):
            command = [sys.executable, "-m", "manifest_auth", *arguments]
            with self.output.open("ab") as log:
                self._command = subprocess.Popen(ending_with_us(command, "KILL"), env=settings, stdout=log, stderr=log)
            return
        self._fork = _FORKS.Process(target=_program, args=(arguments, settings, self.output, self.first))
        self._fork.start()

    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        if self._fork is not None:
            return self._fork.exitcode
        return self._command.poll() if self._command is not None else 0

    def wait(self, seconds: float = 30) -> int | None:
        """Until it has ended."""
        deadline = time.monotonic() + seconds
        while (status := self.status()) is None and time.monotonic() < deadline:
            time.sleep(0.002)
        return status

    def kill(self, *, may_be_done: bool = False) -> bool:
        """``kill -9``. Fails when it had ended by itself; False: a command that ``may_be_done`` was, and well."""
        os.kill(self.pid, signal.SIGKILL)
        status = self.wait()
        if may_be_done and status == 0:
            return False
        assert status == -signal.SIGKILL, f"it had ended by itself with {status}:\n{self.said()}"
        return True

    def stop(self) -> None:
        """Ends it in good order, if it runs."""
        if self.status() is None:
            os.kill(self.pid, signal.SIGTERM)
            if self.wait(15) is None:
                os.kill(self.pid, signal.SIGKILL)
                self.wait()

    def said(self) -> str:
        return self.output.read_text()[-3000:] if self.output.exists() else ""
