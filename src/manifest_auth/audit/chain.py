"""The walk along one chain of the audit trail, up to the first event that is not the one recorded there. Pure.

An event's hash covers its number, its members and the hash before it. So the walk ends at the first number whose event
is missing, was altered, moved or put in; what stands behind it proves nothing any more.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.audit.events import BEGINNING, Point, digest


class Link(NamedTuple):
    """An event as it stands in the store."""

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
    """``kind``: ``broken``, ``missing``, ``head`` or ``anchor``; ``what``: a sentence for people."""

    sequence: int
    kind: str
    what: str


class Walk:
    """Takes a chain's events in the order of their numbers, from behind ``start``. ``known``: an end that was noted
    earlier, which must still be there."""

    def __init__(self, chain: int, start: Point = BEGINNING, known: Point | None = None) -> None:
        self.start = self.last = start
        self.events = 0
        self.fault: Fault | None = None
        self._chain, self._known = chain, known

    def take(self, link: Link) -> None:
        """The next event; nothing is taken behind the first fault."""
        if self.fault is not None:
            return
        number = self.last.sequence + 1
        if link.sequence != number:
            self.stop(number, "the event is missing, or another stands in its place")
        elif link.previous_hash != self.last.hash:
            self.stop(number, "it does not follow the event before it")
        elif not self._is_as_recorded(link):
            self.stop(number, "its content does not give its hash")
        elif self._known is not None and number == self._known.sequence and link.hash != self._known.hash:
            self.stop(number, "it is not the event whose hash was noted earlier")
        else:
            self.events += 1
            self.last = Point(number, link.hash)

    def end(self, end: Point | None) -> None:
        """All events were taken. ``end``: of the chain, as its head says; None: there is no head to believe."""
        if end is not None and end != self.last:
            number = min(end.sequence, self.last.sequence) + (end.sequence != self.last.sequence)
            self.stop(number, "the chain does not end where the record of its end says")
        if self._known is not None and self._known.sequence > self.last.sequence:
            self.stop(self.last.sequence + 1, "the event is gone, and was there earlier")

    def stop(self, sequence: int, what: str) -> None:
        """The chain is broken there, if it was not before."""
        if self.fault is None:
            self.fault = Fault(sequence, "broken", what)

    def _is_as_recorded(self, link: Link) -> bool:
        try:
            return digest(self._chain, link._asdict()) == link.hash
        except TypeError:  # a value that no event holds
            return False
