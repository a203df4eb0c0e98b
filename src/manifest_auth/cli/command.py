"""Parts that all commands share, and that load no services: errors, results, the origin of an action, and progress."""

from __future__ import annotations

import argparse
import sys
import time
from types import TracebackType

import orjson

from manifest_auth.context import Origin
from manifest_auth.runtime.os_process import who_runs_this


class CommandRefused(Exception):
    """A command can't be carried out. The text says why."""


def add_json(command: argparse.ArgumentParser, members: str) -> None:
    """Adds ``--json`` to a command that prints an object with these ``members``, or a list (``each: …``)."""
    command.add_argument("--json", action="store_true", help=f"print the result as JSON ({members})")


def print_result(given: argparse.Namespace, data: object, *lines: str) -> None:
    """Prints a result: ``data`` with ``--json``, otherwise the ``lines`` of text."""
    if given.json:
        lines = (orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode(),)
    for line in lines:
        print(line)


def origin_at(now: int) -> Origin:
    """The origin of a command when no service runs. ``now`` is in milliseconds."""
    return Origin(now, "system", "", "command-line", who_runs_this())


_TERMINAL_S, _PLAIN_S = 0.1, 2.0


class Progress:
    """Shows progress: ``with Progress() as show: show("copying", 3, 10)``. On a terminal, the line is removed at the
    end."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        # Nothing is shown in the first two seconds.
        self._next = time.monotonic() + (0.5 if self._on_terminal else _PLAIN_S)
        self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown and self._on_terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

    def __call__(self, what: str, done: int, of: int | None = None) -> None:
        """Shows the number of finished items and, if known, the total. Frequent calls are cheap."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (_TERMINAL_S if self._on_terminal else _PLAIN_S)
        self._shown = True
        share = f"{done:,} of {of:,} ({100 * done // max(of, 1)} %)" if of is not None else f"{done:,}"
        text = f"{what}: {share}"
        sys.stderr.write(f"\r{text}\033[K" if self._on_terminal else f"{text}\n")
        sys.stderr.flush()
