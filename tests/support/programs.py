"""Starts ``manifest-auth`` as a separate process."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Literal

from tests.support import run_folder
from tests.support.processes import ending_with_us

COMMAND = (sys.executable, "-m", "manifest_auth")
#: Runs a function of the tests before the command, given their folder, the pickled function, and the arguments.
_AFTER = """
import pickle, sys
folder, function, *arguments = sys.argv[1:]
sys.path.append(folder)
sys.argv = ["manifest-auth", *arguments]
pickle.loads(bytes.fromhex(function))()
from manifest_auth.cli.main import main
main(arguments)
"""
_ROOT = Path(__file__).parents[2]
_numbers = itertools.count()


class Program:
    """A started program. ``output`` and ``errors`` are the files that it writes to."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, errors: Path) -> None:
        self._process, self.output, self.errors = process, output, errors
        self.pid = process.pid

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while the program runs."""
        return self._process.poll()

    def wait(self, seconds: float = 60) -> int:
        """Wait for the exit status. Raises TimeoutExpired."""
        return self._process.wait(seconds)

    def send_signal(self, number: int) -> None:
        """Send a signal, if the program is running."""
        self._process.send_signal(number)

    def kill(self) -> int:
        """Kill it with ``kill -9``. Returns its exit status, which shows whether it had already ended."""
        self.send_signal(signal.SIGKILL)
        return self.wait()

    def stop(self, seconds: float = 30) -> int:
        """Stop it gracefully, if it's still running. Returns its exit status."""
        self.send_signal(signal.SIGTERM)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def ended(self, seconds: float = 60) -> tuple[int, str, str]:
        """Wait for its exit status, and return it with the contents of both files."""
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
) -> Program:
    """Start a command without waiting for it. ``output`` receives everything that it writes, instead of two separate
    files. ``given`` is its standard input, ``folder`` its working directory, and ``ends_by`` the signal it gets when
    this run ends. ``first`` runs in its process before the command."""
    paths = (output, output) if output is not None else _own(next(_numbers))
    command = COMMAND if first is None else (sys.executable, "-c", _AFTER, str(_ROOT), pickle.dumps(first).hex())
    with _read(given) as read, paths[0].open("ab") as out, paths[1].open("ab") as err:
        process = subprocess.Popen(
            ending_with_us([*command, *arguments], ends_by),
            env=environment,
            cwd=folder,
            stdin=read,
            stdout=out,
            stderr=err,
        )
    return Program(process, *paths)


def _own(number: int) -> tuple[Path, Path]:
    """Two files that no other program writes to."""
    out, err = (run_folder.folder() / f"{os.getpid()}-{number}.{name}" for name in ("out", "err"))
    return out, err


def _read(given: str) -> IO[bytes]:
    """A file with this content, for reading."""
    read = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the caller
    read.write(given.encode())
    read.seek(0)
    return read
