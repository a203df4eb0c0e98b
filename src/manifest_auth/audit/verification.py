"""Verifies the audit trail in the store, with constant memory, while the server writes to it.

Each step reads some events together with the chain's head and anchor in one transaction; the next step sees events that
were added or removed in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from manifest_auth.audit.chain_links import find_chains
from manifest_auth.audit.chain_rows import BEFORE_ALL, links_after
from manifest_auth.audit.chain_tips import read_tips
from manifest_auth.audit.chain_walk import Fault, Walk
from manifest_auth.audit.chains import names_of
from manifest_auth.audit.events import INSTALLATION, Point
from manifest_auth.store import Store, SystemUnit


class AuditVerdict(NamedTuple):
    """The result for a chain. ``client``: None for the installation, or a deleted client. ``events``: number of
    verified events, up to ``end``. ``faults``: the first broken link, and faults of head and anchor;
    ``restarts``: the events before which no secret key proves that nothing was cut off."""

    chain: int
    client: str | None
    events: int
    start: Point
    end: Point
    faults: list[Fault]
    restarts: list[int]


Step = Callable[[int], None]


class _Step(NamedTuple):
    """The result of one step. ``after``: where the next one starts; None: this was the last."""

    walk: Walk
    looked_at: int
    after: int | None
    client: str | None
    faults: list[Fault]


async def verify_all(store: Store, step: Step, known: Mapping[int, Point]) -> list[AuditVerdict]:
    """Verifies all chains: those that exist, those that should, and those with a recorded tip (``known``)."""
    chains, missing = await find_chains(store)
    verdicts = []
    for chain in sorted({*chains, *known}):
        verdict = await verify(store, chain, step, known.get(chain))
        if chain in missing:
            verdict = verdict._replace(faults=[missing[chain], *verdict.faults])
        verdicts.append(verdict)
    return verdicts


async def verify(store: Store, chain: int, step: Step, known: Point | None = None) -> AuditVerdict:
    """Verifies a chain. ``step`` gets the number of events read; ``known``: a tip recorded earlier."""
    after, walk = BEFORE_ALL, None
    while True:
        done = await store.read(lambda unit: _walk(unit, chain, walk, after, known))  # noqa: B023 - awaited at once
        step(done.looked_at)
        if done.after is None:
            break
        after, walk = done.after, done.walk
    found = done.walk
    faults = [*done.faults, *([found.fault] if found.fault else [])]
    return AuditVerdict(
        chain=chain,
        client=done.client,
        events=found.events,
        start=found.start,
        end=found.last,
        faults=faults,
        restarts=found.restarts,
    )


def _walk(unit: SystemUnit, chain: int, walk: Walk | None, after: int, known: Point | None) -> _Step:
    own, client = unit.of(chain), names_of(unit, [chain]).get(chain)
    found = read_tips(own)
    if walk is None or found.start.sequence > walk.last.sequence:  # the first step, or retention ran meanwhile
        walk = Walk(chain, found.start, known)
    links, goes_on = links_after(own, after)
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
