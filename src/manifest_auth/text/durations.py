"""Lengths of time as people write and read them: ``30 min``, ``12 h``, ``14 days``, ``1 h 30 min``."""

from __future__ import annotations

import re

from manifest_auth.errors import ValidationError

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_WORDS = {
    "s": ("s", "sec", "second", "seconds"),
    "min": ("min", "m", "minute", "minutes"),
    "h": ("h", "hour", "hours"),
    "d": ("d", "day", "days"),
}
_NAMES = {word: unit for unit, words in _WORDS.items() for word in words}
_PART = re.compile(r"\s*([0-9]{1,9})\s*([a-z]+)")


def spoken(seconds: int) -> str:
    """Empty for 0."""
    parts = []
    for unit, size in sorted(_UNITS.items(), key=lambda one: -one[1]):
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number} {unit if unit != 'd' else 'day' if number == 1 else 'days'}")
    return " ".join(parts)


def seconds_of(text: str, field: str) -> int:
    """0 for an empty text. Raises ValidationError."""
    at, seconds, rest = 0, 0, text.strip().lower()
    while at < len(rest):
        found = _PART.match(rest, at)
        if found is None or found[2] not in _NAMES:
            raise ValidationError(details=[(field, "Must be a length of time like 30 min, 12 h or 14 days")])
        seconds += int(found[1]) * _UNITS[_NAMES[found[2]]]
        at = found.end()
    return seconds
