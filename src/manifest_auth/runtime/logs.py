"""Structured logs: one JSON object per line on standard error, UTC time, never a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, MutableMapping
from types import ModuleType
from typing import Any, TextIO, cast

import orjson

from manifest_auth.runtime import log_lines

# structlog's console renderer loads rich where that is installed: 5 MB for a format that is never written here.
_hidden = "rich" not in sys.modules
if _hidden:
    sys.modules["rich"] = cast(ModuleType, None)
import structlog  # noqa: E402 - see above
from structlog.typing import FilteringBoundLogger  # noqa: E402

if _hidden:
    del sys.modules["rich"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
#: An event with a key of this name is a bug; the value is replaced.
_NEVER = frozenset({"password", "token", "refresh_token", "cookie", "authorization", "secret", "license_key"})


def _blank_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in _NEVER & event.keys():
        event[name] = "***"
    return event


def _dumps(event: Any, **_options: Any) -> bytes:
    return orjson.dumps(event, default=repr)


_timed = structlog.processors.TimeStamper(fmt="iso", utc=True)


def _dropped(count: int) -> bytes:
    return _dumps(_timed(None, "warning", {"event": "log_lines_dropped", "lines": count, "level": "warning"}))


class _Output:
    """Takes the finished lines, whatever their level."""

    def __init__(self, stderr: TextIO) -> None:
        self._put: Callable[[bytes], None]
        try:
            self._put = log_lines.lines_of(stderr.fileno(), _dropped).put
        except OSError:  # in place of the process's own: a buffer in memory
            self._put = structlog.BytesLogger(stderr.buffer).msg

    def msg(self, line: bytes) -> None:
        """Writes a line."""
        self._put(line)

    debug = info = warning = error = critical = exception = log = msg


def build(level: str) -> FilteringBoundLogger:
    """The logger of the process. JSON escapes line breaks, so no value can forge a line."""
    logger = structlog.wrap_logger(
        _Output(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            _timed,
            structlog.processors.format_exc_info,
            _blank_secrets,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        cache_logger_on_first_use=True,
    )
    return cast(FilteringBoundLogger, logger.bind())


class ForwardToLog(logging.Handler):
    """Forwards the logs of libraries that use the standard module (uvicorn, asyncio) to the server's logger."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
