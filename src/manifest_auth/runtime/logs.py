"""Structured logs: one JSON object per line on standard error, UTC time, never a secret; no request waits for them."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable, MutableMapping
from functools import cache
from time import monotonic
from types import ModuleType
from typing import Any, cast

import orjson

from manifest_auth.runtime import tracing

# structlog's console renderer loads rich if it is installed: 5 MB for a format that is never used here.
_hidden = "rich" not in sys.modules
if _hidden:
    sys.modules["rich"] = cast(ModuleType, None)
import structlog  # noqa: E402 - see above
from structlog.typing import FilteringBoundLogger  # noqa: E402

if _hidden:
    del sys.modules["rich"]

MOST_WAITING = 10_000
_LAST_WORDS_S = 1.0  # for a process that ends while lines are waiting


class Lines:
    """A writer of lines to standard error that never waits for the reader.

    ``descriptor``: a pipe, a terminal or a file. A line is written immediately if it can't block: a pipe that is ready
    takes ``PIPE_BUF`` bytes. Otherwise, it waits for a thread, in order, with at most :data:`MOST_WAITING` others.
    Additional lines are dropped, counted, and reported in one line afterward.
    """

    def __init__(self, descriptor: int, told: Callable[[int], bytes]) -> None:
        """Creates the writer. ``told`` returns the line that says how many were dropped."""
        self._descriptor, self._told = descriptor, told
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)
        self._waiting: deque[bytes] = deque()
        self._dropped = 0
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None

    def msg(self, line: bytes) -> None:
        """Writes a line, or keeps it for the thread. It can be called from any thread, even while the same thread
        writes another line: the garbage collector can run in between and find a failed task, which is logged. So the
        lock is reentrant."""
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

    debug = info = warning = error = critical = exception = log = msg

    def finish(self) -> None:
        """Writes waiting lines before the end. Blocks for at most a second."""
        until = monotonic() + _LAST_WORDS_S
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, max(0.0, until - monotonic()))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                line = self._waiting[0]  # it stays first in the queue, so that no later line overtakes it
            _write(self._descriptor, line)
            with self._changed:
                self._waiting.popleft()
                if not self._waiting and self._dropped:
                    self._waiting.append(self._told(self._dropped) + b"\n")
                    self._dropped = 0
                self._changed.notify_all()


@cache
def lines_of(descriptor: int, told: Callable[[int], bytes]) -> Lines:
    """Returns the writer of a descriptor. There is one for each, so that loggers keep their lines in order."""
    import atexit

    lines = Lines(descriptor, told)
    atexit.register(lines.finish)
    return lines


def _write(descriptor: int, line: bytes) -> None:
    with contextlib.suppress(OSError):  # no reader, or the disk is full: a request must not fail because of that
        while line:
            line = line[os.write(descriptor, line) :]


_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
#: An event with a key of this name is a bug; the value is replaced.
_NEVER = frozenset({"password", "token", "refresh_token", "cookie", "authorization", "secret", "license_key"})


def _blank_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in _NEVER & event.keys():
        event[name] = "***"
    return event


def _add_trace(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if (trace := tracing.CURRENT.get()) is not None:
        event.update(trace.members)
    return event


def _dumps(event: Any, **_options: Any) -> bytes:
    return orjson.dumps(event, default=repr)


_timed = structlog.processors.TimeStamper(fmt="iso", utc=True)
_NODE = os.uname().nodename


def _stamped(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["node"], event["pid"] = _NODE, os.getpid()
    return _timed(logger, method, event)


def _dropped(count: int) -> bytes:
    return _dumps(_stamped(None, "warning", {"event": "log_lines_dropped", "lines": count, "level": "warning"}))


def _output() -> Lines | structlog.BytesLogger:
    try:
        return lines_of(sys.stderr.fileno(), _dropped)
    except OSError:  # not the process's own: a buffer in memory
        return structlog.BytesLogger(sys.stderr.buffer)


def build(level: str) -> FilteringBoundLogger:
    """Creates the logger of the process. JSON escapes line breaks, so no value can forge a line."""
    logger = structlog.wrap_logger(
        _output(),
        processors=[
            structlog.processors.add_log_level,
            _stamped,
            _add_trace,
            structlog.processors.format_exc_info,
            _blank_secrets,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        cache_logger_on_first_use=True,
    )
    return cast(FilteringBoundLogger, logger.bind())


class ForwardToLog(logging.Handler):
    """Forwards the logs of libraries that use the standard module (uvicorn, asyncio) to the server's logger.

    The server's own modules that have no logger write ``event: reason``."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.name.startswith("manifest_auth."):
            event, _, reason = text.partition(": ")
            self._log.log(record.levelno, event, reason=reason)
        else:
            self._log.log(record.levelno, "library", logger=record.name, message=text, exc_info=record.exc_info)


AGAIN_S = 60.0  # an occasional failure with the same error is logged once in this many seconds


class Outages:
    """Logs when something that the server needs stops working and when it works again: once each, not for every
    request.

    ``name``: what might fail, like ``store``: the events are ``store_lost`` and ``store_back``. Nothing is logged
    without ``log``.
    """

    def __init__(self, name: str, log: FilteringBoundLogger | None = None) -> None:
        self.log = log
        self._name = name
        #: Kinds of use that failed, and have not succeeded since.
        self.failing: set[str] = set()
        self._since = 0.0
        self._is_told = False
        self._last = ("", float("-inf"))  # error and time of the last logged failure

    def failed(self, kind: str, error: str) -> None:
        """Records that a use of this kind, like ``write``, failed."""
        now = monotonic()
        if not self.failing:
            self._since, self._is_told = now, False
        self.failing.add(kind)
        text, at = self._last
        if not self._is_told and (error != text or now - at >= AGAIN_S):
            self._is_told, self._last = True, (error, now)
            if self.log is not None:
                self.log.error(f"{self._name}_lost", use=kind, error=error)

    def worked(self, *kinds: str) -> None:
        """Records that uses of these kinds succeeded."""
        if not self.failing:
            return
        self.failing.difference_update(kinds)
        if not self.failing and self._is_told and self.log is not None:
            self.log.warning(f"{self._name}_back", seconds=round(monotonic() - self._since, 1))
