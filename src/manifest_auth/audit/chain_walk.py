"""Verification of one audit chain, event by event, up to the first broken link.

An event's hash covers its number, its members and the previous hash. The walk stops at the first number whose event is
missing, altered, moved or inserted; events after it prove nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.audit.catalogue import Event
from manifest_auth.audit.events import BEGINNING, Point, digest


class Link(NamedTuple):
    """An event as stored."""

    sequence: int
    at: int
    event: str
    actor: str
    subject: str
    address: str
    request_id: str
    detail: str
    previous_hash: str
    hash: str


class Fault(NamedTuple):
    """A fault of a chain. ``kind``: ``broken``, ``missing``, ``head`` or ``anchor``; ``what``: a message."""

    sequence: int
    kind: str
    what: str


class Walk:
    """Verifies a chain's events in order of their numbers, after ``start``. ``known``: a tip that was recorded earlier,
    which must still exist. ``restarts``: the events from which on a new secret key proves the chain's end."""

    def __init__(self, chain: int, start: Point = BEGINNING, known: Point | None = None) -> None:
        self.start = self.last = start
        self.events = 0
        self.restarts: list[int] = []
        self.fault: Fault | None = None
        self._chain, self._known = chain, known

    def take(self, link: Link) -> None:
        """Verifies the next event; events after the first fault are ignored."""
        if self.fault is not None:
            return
        number = self.last.sequence + 1
        if link.sequence != number:
            self.stop(number, "the event is missing, or another is in its place")
        elif link.previous_hash != self.last.hash:
            self.stop(number, "it does not follow the event before it")
        elif not self._is_as_recorded(link):
            self.stop(number, "its content does not give its hash")
        elif self._known is not None and number == self._known.sequence and link.hash != self._known.hash:
            self.stop(number, "it is not the event whose hash was recorded earlier")
        else:
            self.events += 1
            if link.event == Event.AUDIT_RESTARTED.value:
                self.restarts.append(number)
            self.last = Point(number, link.hash)

    def end(self, end: Point | None) -> None:
        """Ends the walk after all events.

        ``end``: the last event as the chain's head row records it; None: that row is missing or invalid.
        """
        if end is not None and end != self.last:
            number = min(end.sequence, self.last.sequence) + (end.sequence != self.last.sequence)
            self.stop(number, "the chain does not end where the record of its end says")
        if self._known is not None and self._known.sequence > self.last.sequence:
            self.stop(self.last.sequence + 1, "the event is gone, and was there earlier")

    def stop(self, sequence: int, what: str) -> None:
        """Records the chain as broken at that number, unless it was broken before."""
        if self.fault is None:
            self.fault = Fault(sequence, "broken", what)

    def _is_as_recorded(self, link: Link) -> bool:
        try:
            return digest(self._chain, link._asdict()) == link.hash
        except TypeError:  # a value that no event can have
            return False
