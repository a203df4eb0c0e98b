"""The clock of the demo data: starts a fortnight ago, and is moved forward up to the present."""

from __future__ import annotations

from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.settings import DAY, MINUTE

DAYS = 14


class PastClock(Clock):
    """Stands still unless it is moved, and never passes the time at which it was made. ``present``: the true clock."""

    def __init__(self, present: Clock) -> None:
        self._present = present.now_ms()
        self._now = self._present - DAYS * DAY * 1000

    def now_ms(self) -> int:
        return self._now

    def move_to(self, days_ago: float) -> None:
        """Moves forward to so many days before the present; an earlier time changes nothing."""
        self._now = max(self._now, self._present - int(days_ago * DAY * 1000))

    def move_by(self, minutes: int) -> None:
        self._now = min(self._now + minutes * MINUTE * 1000, self._present)
