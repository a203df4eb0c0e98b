"""Whether what a process remembers of PostgreSQL may be used, and what it must drop; without a connection or a clock.

Ids of announcements prove nothing, since transactions commit in any order. Numbers of transactions do: each one below
the oldest that still runs (``pg_snapshot_xmin``, PostgreSQL 18, table 9.86) is committed and visible, or rolled back.
So each beat asks for rows of that number of the last beat and above, and skips the rows that the last beat showed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

from manifest_auth.runtime.metrics import Reset
from manifest_auth.store.unit import RESET, Announcement

#: How long memory may be used after the sending of the last good beat, seconds.
VALID_S = 0.8
#: An answer with more announcements is not read.
MOST = 5000
#: Above all transactions.
_NONE = 2**63 - 1


#: Seconds, which go on while the machine sleeps (``CLOCK_BOOTTIME``, Linux).
boot_time: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)


class CacheValidity:
    """Of one process. ``now``: a clock in seconds."""

    def __init__(self, now: Callable[[], float] = boot_time) -> None:
        self._now = now
        self._until = 0.0
        self._shown: Mapping[int, Announcement] = {}
        #: The number of the first transaction that the next beat asks for.
        self.since = _NONE

    def holds(self) -> bool:
        """Whether all that was announced until :data:`VALID_S` ago has been dropped."""
        return self._now() < self._until

    def end(self) -> None:
        """A beat failed."""
        self._until = 0.0

    def take(
        self, oldest: int, has_row: bool, announced: Mapping[int, Announcement], sent_at: float
    ) -> tuple[Reset | None, list[Announcement]]:
        """What must be dropped now, before anything else runs, and why that is everything. ``oldest``: the oldest
        transaction that runs; ``announced``: by id, of which there may be one more than :data:`MOST`; ``sent_at``: when
        the beat was sent, by the same clock."""
        reasons: dict[Reset, bool] = {
            "start": self.since == _NONE,
            "server": oldest < self.since,
            "row": not has_row,
            "many": len(announced) > MOST,
            "gap": not self.holds(),
        }
        known, self._shown = self._shown, announced
        self.since, self._until = oldest, sent_at + VALID_S
        if why := next((why for why, holds in reasons.items() if holds), None):
            return why, [RESET]
        return None, [announcement for number, announcement in announced.items() if number not in known]
