"""Writes lines of the log to standard error without ever waiting for what reads it."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cache

MOST_WAITING = 10_000
_LAST_WORDS_S = 1.0  # of a process that ends while lines wait


class Lines:
    """``descriptor``: a pipe, a terminal or a file. A line is written at once where it cannot block: a pipe that is
    ready takes ``PIPE_BUF`` bytes. Else it waits for a thread, in order, with at most :data:`MOST_WAITING` others; what
    is over is dropped, counted, and told in one line afterwards."""

    def __init__(self, descriptor: int, told: Callable[[int], bytes]) -> None:
        """``told``: the line that says how many were dropped."""
        self._descriptor, self._told = descriptor, told
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)
        self._waiting: deque[bytes] = deque()
        self._dropped = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, line: bytes) -> None:
        """Writes the line, or keeps it for the thread. From any thread."""
        line += b"\n"
        with self._changed:
            if not self._waiting and len(line) <= select.PIPE_BUF and self._ready.poll(0):
                _write(self._descriptor, line)
            elif len(self._waiting) >= MOST_WAITING:
                self._dropped += 1
            else:
                self._waiting.append(line)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
                    self._thread.start()
                self._changed.notify_all()

    def finish(self) -> None:
        """Gives lines that wait a last moment. Blocks, at most a second."""
        until = time.monotonic() + _LAST_WORDS_S
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                line = self._waiting[0]  # stays first in the queue, so that no later one overtakes it
            _write(self._descriptor, line)
            with self._changed:
                self._waiting.popleft()
                if not self._waiting and self._dropped:
                    self._waiting.append(self._told(self._dropped) + b"\n")
                    self._dropped = 0
                self._changed.notify_all()


@cache
def lines_of(descriptor: int, told: Callable[[int], bytes]) -> Lines:
    """One writer for each descriptor, so that loggers keep their lines in order."""
    import atexit

    lines = Lines(descriptor, told)
    atexit.register(lines.finish)
    return lines


def _write(descriptor: int, line: bytes) -> None:
    with contextlib.suppress(OSError):  # no one reads it, or the disk is full: a request does not fail for that
        while line:
            line = line[os.write(descriptor, line) :]
