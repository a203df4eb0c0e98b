"""Trace that a request belongs to, as its caller names it (W3C Trace Context, level 1).

Owns the header ``traceparent``. Never starts a trace: a request without the header has none.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import NamedTuple

from manifest_auth.runtime.clock import Random

#: Version 00; neither ID consists of zeros.
_HEADER = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})\Z")
_SAMPLED = 1


class Trace(NamedTuple):
    """The trace of a request. ``span_id``: the request's own, which its outgoing calls name as their parent;
    ``sampled``: whether the caller records the trace."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def header(self) -> str:
        """Returns the value of ``traceparent`` for a call."""
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"

    @property
    def members(self) -> dict[str, str]:
        """Returns members of a log line."""
        return {"trace_id": self.trace_id, "span_id": self.span_id}


#: The trace of the running request, and of the tasks that it starts.
CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)


def continued(header: str, random: Random, *, trusted: bool) -> Trace | None:
    """Returns the trace that a request's header names; None for an invalid header, or several. ``trusted``: whether the
    caller can mark it as sampled, since recording has a cost."""
    found = _HEADER.match(header)
    if found is None:
        return None
    return Trace(found[1], random.bytes(8).hex(), trusted and bool(int(found[2], 16) & _SAMPLED))
