"""Audit chains: their owners, the chains that should exist, their events in order, and the verification of a chain.

Each client has a chain, and the installation has chain number 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, bindparam, func, select

from manifest_auth.audit.catalogue import Event
from manifest_auth.audit.events import (
    BEGINNING,
    INSTALLATION,
    Head,
    Point,
    digest,
    has_valid_anchor_mac,
    has_valid_mac,
    in_doubt,
)
from manifest_auth.errors import NotFound
from manifest_auth.store import (
    CrossTenant,
    Store,
    SystemUnit,
    TenantScoped,
    TenantUnit,
    among,
    cross_tenant,
    global_,
    numbers,
    tenant_scoped,
)
from manifest_auth.store.tables import audit_anchors, audit_events, audit_heads
from manifest_auth.store.tables import tenants as tenants_table

# An event's hash covers its number, its members, and the previous hash. Verification stops at the first number whose
# event is missing, altered, moved, or inserted, because later events prove nothing.


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
    """A problem with a chain. ``kind`` is ``broken``, ``missing``, ``head``, or ``anchor``. ``what`` is a message."""

    sequence: int
    kind: str
    what: str


class Walk:
    """Verifies a chain's events in order of their numbers, after ``start``. ``known`` is a tip that was recorded
    earlier, and must still exist. ``restarts`` contains the events after which a new secret key authenticates the
    chain's end."""

    def __init__(self, chain: int, start: Point = BEGINNING, known: Point | None = None) -> None:
        self.start = self.last = start
        self.events = 0
        self.restarts: list[int] = []
        self.fault: Fault | None = None
        self._chain, self._known = chain, known

    def take(self, link: Link) -> None:
        """Verifies the next event. Ignores events after the first problem."""
        if self.fault is not None:
            return
        number = self.last.sequence + 1
        if link.sequence != number:
            self.stop(number, "the event is missing, or a different one is in its place")
        elif link.previous_hash != self.last.hash:
            self.stop(number, "it doesn't follow the event before it")
        elif not self._is_as_recorded(link):
            self.stop(number, "its content doesn't match its hash")
        elif self._known is not None and number == self._known.sequence and link.hash != self._known.hash:
            self.stop(number, "it isn't the event whose hash was recorded earlier")
        else:
            self.events += 1
            if link.event == Event.AUDIT_RESTARTED.value:
                self.restarts.append(number)
            self.last = Point(number, link.hash)

    def end(self, end: Point | None) -> None:
        """Completes the verification after all events.

        ``end`` is the last event according to the chain's head row. None means that the row is missing or invalid.
        """
        if end is not None and end != self.last:
            number = min(end.sequence, self.last.sequence) + (end.sequence != self.last.sequence)
            self.stop(number, "the chain doesn't end where its end was recorded")
        if self._known is not None and self._known.sequence > self.last.sequence:
            self.stop(self.last.sequence + 1, "the event is missing, but existed earlier")

    def stop(self, sequence: int, what: str) -> None:
        """Records the chain as broken at that number, unless it was broken before."""
        if self.fault is None:
            self.fault = Fault(sequence, "broken", what)

    def _is_as_recorded(self, link: Link) -> bool:
        try:
            return digest(self._chain, link._asdict()) == link.hash
        except TypeError:  # a value that no event can have
            return False


BATCH = 2000
BEFORE_ALL, MOST = -(2**63), 2**63 - 1  # the column's range

_E = audit_events.c
_NEXT = tenant_scoped(
    select(*(_E[name] for name in Link._fields))
    .where(_E.sequence > bindparam("after"))
    .order_by(_E.sequence)
    .limit(bindparam("limit")),
    Link,
)


def links_after(unit: TenantUnit, sequence: int) -> tuple[list[Link], bool]:
    """Returns the next ``BATCH`` events after that number, and whether there might be more."""
    found = unit.all(_NEXT, after=sequence, limit=BATCH)
    return found, len(found) == BATCH


__all__ = ["INSTALLATION", "chain_after", "chain_named", "names_of"]


_T = tenants_table.c


def _next(column: Column[int]) -> CrossTenant[int]:
    """Returns the next lowest number after this one, with one index lookup. Texts, which SQLite permits, sort after all
    numbers."""
    query = select(func.min(column)).where(column > bindparam("after"), column <= MOST)
    return cross_tenant(query, int, because="verification lists the chains of all clients")


#: A chain can have events without a head, or a head without events. A client can exist without its chain.
_IN = tuple(_next(table.c.tenant_id) for table in (audit_heads, audit_events, audit_anchors))
_CLIENTS = global_(select(func.min(_T.id)).where(_T.id > bindparam("after")), int)
_BY_IDENTIFIER = global_(select(_T.id).where(_T.identifier == bindparam("identifier")), int)
_NAMES = global_(select(_T.id, _T.identifier).where(among(_T.id, "ids")))


def chain_after(unit: SystemUnit, chain: int) -> int | None:
    """Returns the next chain that has rows or should have them. None after the last one."""
    rows = (*(unit.first(behind, after=chain) for behind in _IN), unit.first(_CLIENTS, after=chain))
    return min((row for row in rows if row is not None), default=None)


def chain_named(unit: SystemUnit, name: str) -> int:
    """Returns the chain of a client by its identifier, or by its number (also for deleted clients); 0 is the
    installation's. Raises NotFound."""
    if name.isascii() and name.isdigit() and len(name) < 19:
        chain = int(name)
        if chain == INSTALLATION or chain_after(unit, chain - 1) == chain:
            return chain
        raise NotFound(f"No client or audit trail has the identifier {name}")
    found = unit.first(_BY_IDENTIFIER, identifier=name)
    if found is None:
        raise NotFound(f"No client has the identifier {name}")
    return found


def names_of(unit: SystemUnit | TenantUnit, chains: Sequence[int]) -> dict[int, str]:
    """The identifiers of the clients with these chains."""
    return dict(unit.all(_NAMES, ids=numbers(set(chains))))


# Each chain names the chain that was created before it, and the installation's chain names the newest one. So deleting
# an entire chain is detected.

_H = audit_heads.c
_LINKS = cross_tenant(
    select(_H.tenant_id, _H.previous_chain), because="verification checks whether a whole chain is missing"
)


class Chains(NamedTuple):
    """The chains. ``chains`` exist or should exist. ``missing`` are named by other chains, but have no head."""

    chains: list[int]
    missing: dict[int, Fault]


async def all_chains(store: Store) -> list[int]:
    """All chains that exist or should exist: the installation's, and the chains of clients, including deleted
    clients."""
    return (await find_chains(store)).chains


async def find_chains(store: Store) -> Chains:
    """Returns all chains, and the ones that are missing entirely."""
    missing, found, after = await store.read(_missing), [INSTALLATION], BEFORE_ALL
    while (chain := await store.read(lambda unit: chain_after(unit, after))) is not None:  # noqa: B023 - awaited
        after = chain
        found.append(chain)
    return Chains(sorted({*found, *missing}), missing)


def _missing(unit: SystemUnit) -> dict[int, Fault]:
    rows: list[Any] = unit.all(_LINKS)
    gone = {before for _, before in rows} - {chain for chain, _ in rows} - {INSTALLATION}
    return {chain: Fault(1, "missing", "the whole chain is missing, including the record of its end") for chain in gone}


_A = audit_anchors.c
_HEAD = tenant_scoped(select(*(audit_heads.c[name] for name in Head._fields)), Head)
_ANCHOR: TenantScoped[Any] = tenant_scoped(select(_A.sequence, _A.hash, _A.mac))
_NO_KEY = "doesn't match any secret key: it was written by hand, or an older key is missing"


class ChainTips(NamedTuple):
    """The ends of a chain. ``start`` is the anchor that retention set. ``end`` is the tip; None if there is no head or
    an invalid one, which ``wrong`` explains. ``is_gone`` means that the events were deleted with their client.
    ``faults`` are problems with earlier heads and the anchor."""

    start: Point
    end: Point | None
    wrong: str
    is_gone: bool
    faults: list[Fault]


def read_tips(unit: TenantUnit) -> ChainTips:
    """Reads the anchor and the tip of a chain in one transaction."""
    start, faults = BEGINNING, []
    anchor = unit.first(_ANCHOR)
    if anchor is not None:
        sequence, hashed, _ = anchor
        if isinstance(sequence, int):
            start = Point(sequence, hashed)
        if not has_valid_anchor_mac(unit.macs, unit.tenant_id, *anchor):
            faults.append(Fault(start.sequence, "anchor", f"the record of the chain's start after retention {_NO_KEY}"))
    head = unit.first(_HEAD)
    if head is None:
        return ChainTips(start, None, "", is_gone=False, faults=faults)
    if not has_valid_mac(unit.macs, unit.tenant_id, head):
        return ChainTips(start, None, f"the record of the chain's end {_NO_KEY}", is_gone=False, faults=faults)
    faults += [_doubt(place) for place in in_doubt(unit.macs, unit.tenant_id, head)]
    return ChainTips(start, Point(head.sequence, head.hash), "", head.gone_at is not None and not faults, faults)


def _doubt(place: int) -> Fault:
    """Describes an invalid head that was followed by later events."""
    if place == 0:
        return Fault(1, "missing", "the chain doesn't start with the creation of a client, so events are missing")
    return Fault(max(place, 0), "head", f"an earlier record of the chain's end {_NO_KEY}")
