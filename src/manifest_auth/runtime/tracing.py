"""The trace that a request belongs to, as its caller names it (W3C Trace Context, level 1).

Owns the header ``traceparent``. Never begins a trace: a request without the header has none.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import NamedTuple

from manifest_auth.runtime.clock import Random

#: Version 00; neither id consists of zeros.
_HEADER = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})\Z")
_SAMPLED = 1


class Trace(NamedTuple):
    """``span_id``: of this request, which calls that it makes name as their parent; ``sampled``: whether the caller
    records the trace."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def header(self) -> str:
        """The value of ``traceparent`` for a call."""
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"

    @property
    def members(self) -> dict[str, str]:
        """Members of a log line."""
        return {"trace_id": self.trace_id, "span_id": self.span_id}


#: Of the running request, and of the tasks that it begins.
CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)


def continued(header: str, random: Random, *, trusted: bool) -> Trace | None:
    """The trace that a request's header names; None for an invalid header, or several. ``trusted``: whether the caller
    can say that it is sampled, since recording costs."""
    found = _HEADER.match(header)
    if found is None:
        return None
    return Trace(found[1], random.bytes(8).hex(), trusted and bool(int(found[2], 16) & _SAMPLED))
