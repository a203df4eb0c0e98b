"""Logs when something that the server needs stops working and when it works again: once each, not for every request."""

from __future__ import annotations

from time import monotonic

from manifest_auth.runtime.logs import FilteringBoundLogger

AGAIN_S = 60.0  # what fails now and then, always with the same error, is told once in so many seconds


class Outages:
    """``name``: of what may be lost, like ``store``: the events are ``store_lost`` and ``store_back``. Nothing is
    logged without ``log``."""

    def __init__(self, name: str, log: FilteringBoundLogger | None = None) -> None:
        self.log = log
        self._name = name
        #: Kinds of use that failed, and have not worked since.
        self.failing: set[str] = set()
        self._since = 0.0
        self._is_told = False
        self._last = ("", float("-inf"))  # error and time of the last one that was told

    def failed(self, kind: str, error: str) -> None:
        """A use of this kind, like ``write``, failed."""
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
        """Uses of these kinds work."""
        if not self.failing:
            return
        self.failing.difference_update(kinds)
        if not self.failing and self._is_told and self.log is not None:
            self.log.warning(f"{self._name}_back", seconds=round(monotonic() - self._since, 1))
