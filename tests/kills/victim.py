"""A server process that tests kill and restart many times."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import programs
from tests.support.programs import Program
from tests.support.server import environment

#: The number of kills for each victim.
KILLS = int(os.environ["TESTS_ROUNDS"])


@dataclass
class Victim:
    """A command that runs repeatedly with the same settings. ``first`` runs in its process before it."""

    folder: Path
    url: str
    port: int
    given: dict[str, str]
    arguments: tuple[str, ...] = ("serve",)
    first: Callable[..., None] | None = None
    starts: int = 0
    _program: Program | None = None
    output: Path = field(init=False)

    def __post_init__(self) -> None:
        self.output = self.folder / f"victim-{self.port}.log"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._program is not None
        return self._program.pid

    def start(self) -> None:
        """Start it without waiting."""
        self.starts += 1
        given: dict[str, Any] = {"MANIFEST_PUBLIC_URL": self.base, **self.given}
        arguments = [*self.arguments, *(["--port", str(self.port)] if self.arguments[0] == "serve" else [])]
        self._program = programs.start(
            tuple(arguments),
            environment(self.folder, self.url, **given),
            self.output,
            ends_by="KILL",
            first=self.first,
        )

    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._program.poll() if self._program is not None else 0

    def kill(self, *, may_be_done: bool = False) -> bool:
        """Kill it with ``kill -9``. Fails if it had ended on its own; returns False if it ``may_be_done`` and
        succeeded."""
        assert self._program is not None
        status = self._program.kill()
        if may_be_done and status == 0:
            return False
        assert status == -signal.SIGKILL, f"it had ended by itself with {status}:\n{self.said()}"
        return True

    def stop(self) -> None:
        """Stop it gracefully, if it's running."""
        if self._program is not None:
            self._program.stop()

    def said(self) -> str:
        return self.output.read_text()[-3000:] if self.output.exists() else ""
