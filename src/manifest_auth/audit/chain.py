"""The walk along one chain of the audit trail: is every event there, as it was recorded, in its place? Pure.

An event's hash covers its number, its members and the hash before it. So an event that was edited does not give its
hash any more; one that stands elsewhere gives it under its old number; and one whose hash was made anew is not the one
that the event after it names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import orjson

from manifest_auth.audit.events import BEGINNING, INSTALLATION, Event, Point, digest

MOST_FAULTS = 100  # that are told of one chain; more are counted
MOST_SEARCHES = 10  # of a whole chain for an event's true place


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
    """``kind``: ``missing``, ``altered``, ``moved``, ``inserted``, ``cut-off``, ``beginning``, ``head`` or ``anchor``;
    ``what``: a sentence for people."""

    sequence: int
    kind: str
    what: str


Find = Callable[[str], int | None]


def _nowhere(_hash: str) -> int | None:
    return None


class Walk:
    """Takes a chain's events in the order of their numbers, from behind ``start``. ``known``: an end that was noted
    earlier, which must still be there; ``of_client``: there is a client, so there must be events."""

    def __init__(
        self, chain: int, start: Point = BEGINNING, known: Point | None = None, *, of_client: bool = False
    ) -> None:
        self.start = self.last = start
        self.events = 0
        self.untold = 0
        self._chain, self._known, self._is_a_clients = chain, known, of_client
        self._faults: list[Fault] = []
        self._before_last = ""
        self._shift = 0  # by how much the events here are numbered anew
        self._swept: Point | None = None

    @property
    def faults(self) -> list[Fault]:
        """Those found so far, in order."""
        return sorted(self._faults)

    def take(self, link: Link, find: Find = _nowhere) -> None:
        """The next event. ``find``: where in the store the event with a hash stands."""
        self.events += 1
        if not isinstance(link.sequence, int):
            self.tell(self.last.sequence, "inserted", "an event without a number stands behind it")
            return
        if link.sequence <= self.start.sequence:
            self.tell(link.sequence, "inserted", "stands before the beginning of the chain")
            return
        if link.sequence <= self.last.sequence:  # in an export
            self._out_of_order(link)
            return
        whole = link.sequence == self.last.sequence + 1
        if not whole:
            upto = link.sequence - 1
            events = f"{_events(self.last.sequence + 1, upto)} missing"
            self.tell(self.last.sequence + 1, "missing", events)
        if self._is(link, link.sequence):
            self._shift = 0
            if whole and link.previous_hash != self.last.hash:
                self._does_not_follow(link)
            if link.event == Event.AUDIT_SWEPT.value:
                self._swept = _swept(link.detail)
        else:
            self._look_closer(link, find)
        if self._known is not None and link.sequence == self._known.sequence and link.hash != self._known.hash:
            self.tell(link.sequence, "altered", "is not the event whose hash was noted earlier")
        self._before_last = self.last.hash
        self.last = Point(link.sequence, link.hash if isinstance(link.hash, str) else "")

    def end(self, head: Point | None, anchor: Point | None) -> None:
        """All events were taken; ``head`` and ``anchor`` as they stand in the store now. Who wrote them, the walk does
        not ask."""
        self.end_of_excerpt()
        if head is None:
            if self.last != BEGINNING:
                self.tell(self.last.sequence, "head", "the record of the chain's end is missing")
        elif self._shift and head.hash == self.last.hash:
            pass  # its end is there; it has another number for what was told of already
        elif head.sequence < self.last.sequence:
            self._faults = [fault for fault in self._faults if fault.sequence <= head.sequence]
            self.tell(head.sequence + 1, "inserted", f"{_events(head.sequence + 1, self.last.sequence)} behind the end")
        elif head.sequence > self.last.sequence:
            self.tell(
                self.last.sequence + 1, "cut-off", f"{_events(self.last.sequence + 1, head.sequence)} cut off the end"
            )
        elif head.hash != self.last.hash:
            self.tell(head.sequence, "altered", "is not the event that was recorded as the chain's end")
        if not self.events and (self._is_a_clients or self._chain == INSTALLATION):
            whose = "client" if self._is_a_clients else "installation"
            self.tell(1, "missing", f"the {whose} has no events, not even of its creation")
        if anchor != self._swept:
            what = "the chain begins elsewhere than its last event of retention says"
            self.tell(max(anchor.sequence if anchor else 0, 1), "anchor", what)

    def end_gone(self, head: Point, anchor: Point | None) -> None:
        """As :meth:`end`, of a client that was deleted with its events: there is an end, and nothing before it."""
        if self.events or anchor:
            self.tell(self.last.sequence, "inserted", "events of a client that was deleted together with its events")
        if self._known is not None and self._known.sequence > head.sequence:
            self.end_of_excerpt()

    def end_of_excerpt(self) -> None:
        """All events of an excerpt were taken, which has no record of its end."""
        if self._known is not None and self._known.sequence > self.last.sequence:
            first = self.last.sequence + 1
            self.tell(first, "cut-off", f"{_events(first, self._known.sequence)} gone, which were there earlier")

    def _is(self, link: Link, sequence: int) -> bool:
        """Whether it is the event that was recorded under that number."""
        try:
            return digest(self._chain, {**link._asdict(), "sequence": sequence}) == link.hash
        except TypeError:  # something that we never write
            return False

    def _out_of_order(self, link: Link) -> None:
        """An event that stands behind one with its number or a higher one."""
        skipped = Fault(link.sequence, "missing", f"{_events(link.sequence, link.sequence)} missing")
        if skipped in self._faults:  # here it is
            self._faults.remove(skipped)
        self.tell(link.sequence, "moved", f"stands behind event {self.last.sequence}, or a second time")

    def _does_not_follow(self, link: Link) -> None:
        if self.last == self.start:
            self.tell(link.sequence, "altered", "does not follow the beginning of the chain")
        elif all(fault.sequence != self.last.sequence for fault in self._faults):
            what = f"is not the event that number {link.sequence} was recorded behind"
            self.tell(self.last.sequence, "altered", what)

    def _look_closer(self, link: Link, find: Find) -> None:
        """At an event that is not what its hash says: it was edited, or it stands in another's place."""
        place = self._place_of(link, find)
        if place is None:
            self.tell(link.sequence, "altered", "its content does not give its hash")
            return
        shift = place - link.sequence
        if shift == self._shift:  # the events behind a change that was told of are all numbered anew
            if shift > 0 and self._faults and self._faults[-1].kind == "moved":
                first = self._faults.pop().sequence
                self.tell(first, "missing", f"{_events(first, first + shift - 1)} missing, and later ones renumbered")
            if link.previous_hash != self.last.hash:
                self._does_not_follow(link)
            return
        self._shift = shift
        first = link.sequence - 1
        was_moved = any(fault.sequence == first and fault.kind == "moved" for fault in self._faults)
        if shift == -1 and link.previous_hash == self._before_last and not was_moved:
            self._faults = [fault for fault in self._faults if fault.sequence != first]
            self.tell(first, "inserted", "was put in, and later ones renumbered")
        else:
            self.tell(link.sequence, "moved", f"is event {place}, which was moved here")

    def _place_of(self, link: Link, find: Find) -> int | None:
        """The number under which it was recorded."""
        near = [link.sequence + step for step in (self._shift, 1, -1, 2, -2) if step]
        for place in near:
            if self._is(link, place):
                return place
        if len(self._faults) < MOST_SEARCHES and (before := find(link.previous_hash)) is not None:
            return before + 1 if self._is(link, before + 1) else None
        return None

    def tell(self, sequence: int, kind: str, what: str) -> None:
        """Notes a fault, once."""
        if any(fault.sequence == sequence and fault.kind == kind for fault in self._faults):
            return
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(Fault(sequence, kind, what))
        else:
            self.untold += 1


def _events(first: int, last: int) -> str:
    return f"event {first} is" if first == last else f"events {first} to {last} are"


def _swept(detail: str) -> Point | None:
    """What an event of retention says was removed last."""
    try:
        found = orjson.loads(detail)
        return Point(found["sequence"], found["hash"])
    except (ValueError, TypeError, KeyError):  # not one of ours
        return None
