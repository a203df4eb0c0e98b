"""Runs ``manifest-auth`` as a separate process, with only the test's settings."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

from manifest_auth.cli.command import CommandRefused as CommandRefused  # for in_this_process()
from manifest_auth.cli.main import main, parser
from tests.support.application import FAST
from tests.support.programs import COMMAND, start
from tests.support.secret_keys import SECRET_KEY
from tests.support.stores import fresh_store

#: The progress message of a command that has run for two seconds.
_PROGRESS = re.compile(r"[a-z, ]+: [0-9,]+( of [0-9,]+ \([0-9]+ %\))?\n")


class Result:
    """Exit status, output, and the lines on standard error, except for the progress lines that slow machines add."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out = status, out
        self.err = "".join(line for line in err.splitlines(keepends=True) if not _PROGRESS.fullmatch(line))

    @property
    def line(self) -> str:
        """The only line on standard error; fails the test if there are more or none."""
        [line] = self.err.splitlines()
        return line.removeprefix("manifest-auth: ")


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of the process: only ``settings``, and hash parameters that cost nothing."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MANIFEST_")}
    fast = {k: v for k, v in FAST.items() if "ARGON2" in k}
    return {**kept, **fast, "MANIFEST_DATA_DIR": str(folder / "data"), **settings}


def run(folder: Path, *arguments: str, given: str = "", **settings: str) -> Result:
    """Run a command to completion. ``given`` is its standard input."""
    return Result(*start(arguments, environment(folder, **settings), given=given, folder=folder).ended())


def done(folder: Path, *arguments: str, given: str = "", **settings: str) -> str:
    """Run a command that must succeed, and return its output."""
    return _succeeded(run(folder, *arguments, given=given, **settings))


def _succeeded(result: Result) -> str:
    assert result.status == 0, result.err or result.out
    return result.out


def installation(folder: Path) -> Path:
    """Create the database and secret key that the first command would create."""
    fresh_store(folder / "data" / "manifest-auth.db")
    key = folder / "data" / "secret.key"
    key.touch(0o600)
    key.write_text(SECRET_KEY + "\n")
    return folder


def run_here(folder: Path, *arguments: str, given: str = "", **settings: str) -> Result:
    """Like :func:`run`, but in this process, which saves start-up time."""
    read, out, err = (io.TextIOWrapper(io.BytesIO(text), "utf-8") for text in (given.encode(), b"", b""))

    def ended() -> object:
        """Run on another thread, since this one might already have an event loop."""
        try:
            main(list(arguments))
        except SystemExit as end:
            return end.code

    with (
        patch.dict(os.environ, environment(folder, **settings), clear=True),
        patch("sys.stdin", read),
        patch("manifest_auth.cli.main.gc"),  # this process keeps running
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        ThreadPoolExecutor(1) as thread,
    ):
        status = int(str(thread.submit(ended).result()))
    for each in (out, err):
        each.seek(0)
    return Result(status, out.read(), err.read())


def done_here(folder: Path, *arguments: str, given: str = "", **settings: str) -> str:
    """Like :func:`done`, but in this process."""
    return _succeeded(run_here(folder, *arguments, given=given, **settings))


async def in_this_process(*arguments: str) -> None:
    """Run a command in this process, with its settings. Raises :data:`CommandRefused`."""
    given = parser().parse_args(arguments)
    await given.run(given)


def on_a_terminal(folder: Path, arguments: tuple[str, ...], **settings: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a command on its own terminal; returns the process and our end of the terminal, which the caller closes."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(folder, **settings),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


def typed(folder: Path, arguments: tuple[str, ...], lines: list[str], **settings: str) -> tuple[int, str]:
    """Run a command on its own terminal, and type a line at each prompt. Returns the status and all output."""
    process, ours = on_a_terminal(folder, arguments, **settings)
    shown = b""
    for line in lines:
        while not shown.endswith(b": "):
            shown += os.read(ours, 1)
        os.write(ours, line.encode() + b"\n")
        shown += os.read(ours, 1)
    try:
        while piece := os.read(ours, 1024):
            shown += piece
    except OSError:  # Linux raises this when the other end is closed
        pass
    os.close(ours)
    return process.wait(30), shown.decode()


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds that another process brings about."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
