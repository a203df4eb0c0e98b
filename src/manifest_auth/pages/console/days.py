"""The days that an audit page asks for: whole days in UTC, the last 24 hours without any."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from msgspec import Meta

from manifest_auth.errors import ValidationError
from manifest_auth.text.canonical import LATEST, parse_time, when

_DAY_MS = 86_400_000
FIRST_DAY = "1970-01-01"  # from then on: everything
Day = Annotated[str, Meta(max_length=10)]


class Span(NamedTuple):
    """Bounds as the audit filters take them, empty for none; ``until`` is not part of it."""

    since: str
    until: str


def span_of(first: str, last: str, now: int) -> Span:
    """From the start of the first to the end of the last day. Raises ValidationError for ``from`` or ``to``."""
    since = _start_of(first, "from") if first else (0 if last else now - _DAY_MS)
    until = _start_of(last, "to") + _DAY_MS if last else 0
    if until and since >= until:
        raise ValidationError(details=[("to", "Must not be before the first day")])
    return Span(when(since) if since else "", when(until) if until else "")


def _start_of(text: str, field: str) -> int:
    """The first millisecond of a day. Raises ValidationError."""
    if len(text) != 10 or (at := parse_time(text, field)) > LATEST - _DAY_MS:
        raise ValidationError(details=[(field, "Must be a day like 2026-01-31")])
    return at
