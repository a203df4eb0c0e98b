"""Trace that a request belongs to (W3C Trace Context, level 1), and the spans of requests that are recorded.

Owns the header ``traceparent``, and the names of spans and attributes. Without a recorder, a request without the header
has no trace, and nothing is recorded. :mod:`.trace_export` sends the spans; only it imports OpenTelemetry.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from functools import wraps
from typing import Any, Literal, NamedTuple, ParamSpec, Protocol, TypeVar

from manifest_auth.runtime.clock import Random

P = ParamSpec("P")
T = TypeVar("T")

#: Version 00; neither ID consists of zeros.
_HEADER = re.compile(r"00-(?!0{32})([0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})\Z")
_SAMPLED = 1
#: Attributes of spans. Values are numbers, or texts from lists in the code: never what a caller or a provider sent.
#: ``error.type`` is an error code or the class of an exception.
Attribute = Literal[
    "http.request.method",
    "http.route",
    "http.response.status_code",
    "error.type",
    "manifest.client",
    "manifest.sign_in.method",
    "manifest.sign_in.result",
    "manifest.call.result",
    "manifest.waited_ms",
    "manifest.attempts",
]


class Recorded(Protocol):
    """One span that is recorded."""

    def child(self, name: str) -> Recorded: ...
    def set(self, attributes: Mapping[Attribute, str | float]) -> None: ...
    def end(self, name: str = "", *, failed: bool = False) -> None: ...


class Trace(NamedTuple):
    """The trace of a request. ``span_id``: the request's own, which its outgoing calls name as their parent;
    ``sampled``: whether the caller records the trace; ``parent_id``: the caller's span; ``span``: the current one, if
    this server records the request."""

    trace_id: str
    span_id: str
    sampled: bool
    parent_id: str = ""
    span: Recorded | None = None

    @property
    def header(self) -> str:
        """Returns the value of ``traceparent`` for a call."""
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"

    @property
    def members(self) -> dict[str, str]:
        """Returns members of a log line."""
        return {"trace_id": self.trace_id, "span_id": self.span_id}

    def answered(self, method: str, route: str, status: int, client: int | None) -> None:
        """Ends the span of the request, if it is recorded. ``route``: the pattern, never the path; ``client``: the
        caller's."""
        if self.span is not None:
            found: dict[Attribute, str | float] = {"http.request.method": method, "http.route": route}
            found["http.response.status_code"] = status
            if client is not None:
                found["manifest.client"] = client
            self.span.set(found)
            self.span.end(f"{method} {route}", failed=status >= 500)


#: The trace of the running request, and of the tasks that it starts.
CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)


def continued(header: str, random: Random, *, trusted: bool) -> Trace | None:
    """Returns the trace that a request's header names; None for an invalid header, or several. ``trusted``: whether the
    caller can mark it as sampled, since recording has a cost."""
    found = _HEADER.match(header)
    if found is None:
        return None
    sampled = trusted and bool(int(found[3], 16) & _SAMPLED)
    return Trace(found[1], random.bytes(8).hex(), sampled, found[2])


def note(attribute: Attribute, value: str | float) -> None:
    """Sets an attribute of the current span, if the request is recorded."""
    if (trace := CURRENT.get()) is not None and trace.span is not None:
        trace.span.set({attribute: value})


@contextmanager
def span(name: str) -> Iterator[Context | None]:
    """Records the block as a part of the current span. Yields the context for what it runs in another thread; None if
    the request isn't recorded."""
    trace = CURRENT.get()
    if trace is None or trace.span is None:
        yield None
        return
    part = trace.span.child(name)
    token = CURRENT.set(trace._replace(span=part))
    try:
        yield copy_context()
    except BaseException as error:
        part.set({"error.type": type(error).__name__})  # never its text, which can name a user
        raise
    finally:
        CURRENT.reset(token)
        part.end()


def spanned(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a function, also an asynchronous one, whose calls are recorded as :func:`span`."""

    def of(function: Callable[P, T]) -> Callable[P, T]:
        async def awaited(*given: P.args, **named: P.kwargs) -> Any:
            with span(name):
                return await function(*given, **named)  # type: ignore[misc]  # T is a coroutine

        @wraps(function)
        def called(*given: P.args, **named: P.kwargs) -> Any:
            if (trace := CURRENT.get()) is None or trace.span is None:
                return function(*given, **named)
            if is_asynchronous:
                return awaited(*given, **named)
            with span(name):
                return function(*given, **named)

        is_asynchronous = inspect.iscoroutinefunction(function)
        return called

    return of
