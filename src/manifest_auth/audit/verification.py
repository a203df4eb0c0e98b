"""Proves the audit trail as it stands in the store, in memory that does not grow with it, while others write to it.

Each step reads some events together with the chain's head and anchor, all of one moment; what was added or swept in
between is met by the next step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from manifest_auth.audit.chain import Fault, Walk
from manifest_auth.audit.chain_links import chains_found
from manifest_auth.audit.chain_rows import BEFORE_ALL, links_after
from manifest_auth.audit.chain_tips import ends
from manifest_auth.audit.chains import names_of
from manifest_auth.audit.events import INSTALLATION, Point
from manifest_auth.store import Store, SystemUnit


class Verdict(NamedTuple):
    """What was found of a chain. ``client``: None for the installation's, or when the client is gone. ``events``: that
    were proved, the last of them is ``end``. ``faults``: the first broken link, and what is wrong with the records of
    the chain's end and beginning."""

    chain: int
    client: str | None
    events: int
    start: Point
    end: Point
    faults: list[Fault]


Step = Callable[[int], None]


class _Step(NamedTuple):
    """What one step did. ``after``: where the next one begins; None: this was the last."""

    walk: Walk
    looked_at: int
    after: int | None
    client: str | None
    faults: list[Fault]


async def verify_all(store: Store, step: Step, known: Mapping[int, Point]) -> list[Verdict]:
    """Walks along all chains: those that are there, those that should be, and those of which an end was noted."""
    chains, missing = await chains_found(store)
    told = []
    for chain in sorted({*chains, *known}):
        verdict = await verify(store, chain, step, known.get(chain))
        if chain in missing:
            verdict = verdict._replace(faults=[missing[chain], *verdict.faults])
        told.append(verdict)
    return told


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
    faults = [*done.faults, *([found.fault] if found.fault else [])]
    return Verdict(
        chain=chain, client=done.client, events=found.events, start=found.start, end=found.last, faults=faults
    )


def _walk(unit: SystemUnit, chain: int, walk: Walk | None, after: int, known: Point | None) -> _Step:
    mine, client = unit.of(chain), names_of(unit, [chain]).get(chain)
    found = ends(mine)
    if walk is None or found.start.sequence > walk.last.sequence:  # the first step, or retention was here meanwhile
        walk = Walk(chain, found.start, known)
    links, goes_on = links_after(mine, after)
    for link in links:
        walk.take(link)
    if goes_on and walk.fault is None:
        return _Step(walk, len(links), links[-1].sequence, client, [])
    there, faults = bool(links) or after != BEFORE_ALL, found.faults
    if found.is_gone and client is None:
        if there:
            walk.stop(walk.start.sequence + 1, "events of a client that was deleted together with its events")
        elif known is not None and found.end is not None and known.sequence > found.end.sequence:
            walk.end(None)
        return _Step(walk, len(links), None, client, faults)
    walk.end(found.end)
    if not there and (client is not None or chain == INSTALLATION):
        faults = [*faults, Fault(1, "missing", "the chain has no events, not even of its beginning")]
    elif found.wrong or (there and found.end is None):
        what = found.wrong or "the record of the chain's end is missing"
        faults = [*faults, Fault(walk.last.sequence, "head", what)]
    return _Step(walk, len(links), None, client, faults)
