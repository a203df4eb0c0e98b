"""Proves the audit trail as it stands in the store, in memory that does not grow with it, while others write to it.

Each step reads some events together with the chain's head and anchor, all of one moment; what was added or swept in
between is met by the next step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sqlalchemy import bindparam, select

from manifest_auth.audit.chain import Fault, Walk
from manifest_auth.audit.chain_links import chains_found
from manifest_auth.audit.chain_rows import BEFORE_ALL, links_after
from manifest_auth.audit.chain_tips import ends
from manifest_auth.audit.chains import names_of
from manifest_auth.audit.events import BEGINNING, INSTALLATION, Point
from manifest_auth.audit.readable import text_of
from manifest_auth.store import Store, SystemUnit, bound
from manifest_auth.store.tables import audit_events

_E = audit_events.c
_OF_HASH = bound(select(_E.sequence, _E.hash).where(_E.hash == bindparam("hash")).limit(1), Point)


class Verdict(NamedTuple):
    """What was found of a chain. ``client``: None for the installation's, or when the client is gone. ``end``: its last
    event. ``untold``: how many faults more there are."""

    chain: int
    client: str | None
    events: int
    start: Point
    end: Point
    faults: list[Fault]
    untold: int


Step = Callable[[int], None]


class _Step(NamedTuple):
    """What one step did. ``after``: where the next one begins; None: this was the last."""

    walk: Walk
    looked_at: int
    after: int | None
    client: str | None


async def verify_all(store: Store, step: Step, known: Mapping[int, Point]) -> list[Verdict]:
    """Walks along all chains: those that are there, those that should be, and those of which an end was noted."""
    found = await chains_found(store)
    told = {}
    for chain in sorted({*found.chains, *found.faults, *known}):
        verdict = await verify(store, chain, step, known.get(chain))
        more = [fault for fault in found.faults.get(chain, ()) if fault not in verdict.faults]
        told[chain] = verdict._replace(faults=sorted([*verdict.faults, *more]))
    return [told[chain] for chain in sorted(told)]


async def verify(store: Store, chain: int, step: Step, known: Point | None = None) -> Verdict:
    """Walks along a chain. ``step`` is told how many events were looked at; ``known``: an end noted earlier."""
    after, walk = BEFORE_ALL, None
    while True:
        done = await store.read(lambda unit: _walk(unit, chain, walk, after, known))  # noqa: B023 - awaited at once
        step(done.looked_at)
        if done.after is None:
            break
        after, walk = done.after, done.walk
    found = done.walk
    return Verdict(chain, done.client, found.events, found.start, found.last, found.faults, found.untold)


def _walk(unit: SystemUnit, chain: int, walk: Walk | None, after: int, known: Point | None) -> _Step:
    mine, client = unit.of(chain), names_of(unit, [chain]).get(chain)
    found = ends(mine)
    start = found.anchor or BEGINNING
    if walk is None or start.sequence > walk.last.sequence:  # retention was here meanwhile, or this is the first step
        walk = Walk(chain, start, known, of_client=chain != INSTALLATION and client is not None)

    def find(hashed: str) -> int | None:
        found = mine.first(_OF_HASH, hash=hashed) if text_of(hashed)[1] else None
        return found.sequence if found and isinstance(found.sequence, int) else None

    links, goes_on = links_after(mine, after)
    for link in links:
        walk.take(link, find)
    if goes_on:
        return _Step(walk, len(links), links[-1].sequence, client)
    if found.is_gone and found.head and client is None:
        walk.end_gone(found.head, found.anchor)
    else:
        walk.end(found.head, found.anchor)
    for fault in found.faults:
        walk.tell(*fault)
    if chain < 0:
        walk.tell(0, "inserted", "there is no client with such a number, and never was")
    return _Step(walk, len(links), None, client)
