"""Verifies the audit trail in the store, with constant memory, while the server writes to it.

Each step reads some events, together with the chain's head and anchor, in one transaction. The next step sees events
that were added or removed in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from manifest_auth.audit.catalogue import Event
from manifest_auth.audit.chains import BEFORE_ALL, Fault, Link, Walk, find_chains, links_after, names_of, read_tips
from manifest_auth.audit.events import INSTALLATION, Point
from manifest_auth.audit.formats import line_of, readable
from manifest_auth.errors import ValidationError
from manifest_auth.store import Store, SystemUnit
from manifest_auth.text.canonical import parse_time


class AuditVerdict(NamedTuple):
    """The result for a chain. ``client`` is None for the installation, or for a deleted client. ``events`` is the
    number of verified events, up to ``end``. ``faults`` contains the first broken link, and problems with head and
    anchor. ``restarts`` contains the events before which no secret key proves that nothing was cut off."""

    chain: int
    client: str | None
    events: int
    start: Point
    end: Point
    faults: list[Fault]
    restarts: list[int]


Step = Callable[[int], None]


class _Step(NamedTuple):
    """The result of a step. ``after`` is where the next one starts; None after the last step."""

    walk: Walk
    looked_at: int
    after: int | None
    client: str | None
    faults: list[Fault]


async def verify_all(store: Store, step: Step, known: Mapping[int, Point]) -> list[AuditVerdict]:
    """Verifies all chains that exist, that should exist, or that have a recorded tip (``known``)."""
    chains, missing = await find_chains(store)
    verdicts = []
    for chain in sorted({*chains, *known}):
        verdict = await verify(store, chain, step, known.get(chain))
        if chain in missing:
            verdict = verdict._replace(faults=[missing[chain], *verdict.faults])
        verdicts.append(verdict)
    return verdicts


async def verify(store: Store, chain: int, step: Step, known: Point | None = None) -> AuditVerdict:
    """Verifies a chain. ``step`` gets the number of events read. ``known`` is a tip that was recorded earlier."""
    after, walk = BEFORE_ALL, None
    while True:
        done = await store.read(lambda unit: _walk(unit, chain, walk, after, known))  # noqa: B023 - awaited
        step(done.looked_at)
        if done.after is None:
            break
        after, walk = done.after, done.walk
    return _verdict(chain, done.client, done.walk, done.faults)


def _walk(unit: SystemUnit, chain: int, walk: Walk | None, after: int, known: Point | None) -> _Step:
    own, client = unit.of(chain), names_of(unit, [chain]).get(chain)
    found = read_tips(own)
    if walk is None or found.start.sequence > walk.last.sequence:  # the first step, or retention ran in the meantime
        walk = Walk(chain, found.start, known)
    links, goes_on = links_after(own, after)
    for link in links:
        walk.take(link)
    if goes_on and walk.fault is None:
        return _Step(walk, len(links), links[-1].sequence, client, [])
    there, faults = bool(links) or after != BEFORE_ALL, found.faults
    if found.is_gone and client is None:
        if there:
            walk.stop(walk.start.sequence + 1, "events of a client whose events were deleted with it")
        elif known is not None and found.end is not None and known.sequence > found.end.sequence:
            walk.end(None)
        return _Step(walk, len(links), None, client, faults)
    walk.end(found.end)
    if not there and (client is not None or chain == INSTALLATION):
        faults = [*faults, Fault(1, "missing", "the chain has no events, not even the first one")]
    elif found.wrong or (there and found.end is None):
        faults = [*faults, Fault(walk.last.sequence, "head", found.wrong or "the record of the chain's end is missing")]
    return _Step(walk, len(links), None, client, faults)


def verify_export(lines: Iterable[bytes], step: Step, known: Mapping[int, Point]) -> list[AuditVerdict]:
    """Returns the result for each chain in the lines of ``audit export``. An export can't show whether a chain starts
    and ends in the right place. Raises ValueError if the file isn't an export."""
    walks: dict[int, Walk] = {}
    names: dict[int, str | None] = {}
    for number, line in enumerate(lines, 1):
        try:
            chain, client, link = _link(orjson.loads(line))
        except (ValueError, TypeError, KeyError, ValidationError) as error:
            raise ValueError(f"line {number}: not an event in the format of `audit export`") from error
        if chain not in walks:
            start = Point(link.sequence - 1, link.previous_hash)
            walks[chain], names[chain] = Walk(chain, start, known.get(chain)), client
        walk = walks[chain]
        # JSON parsers ignore duplicate members, so the line must equal the one that would be written again.
        if orjson.dumps(line_of(chain, client, readable(link))) != line.removesuffix(b"\n"):
            walk.stop(link.sequence, "its line isn't in the format of `audit export`")
        # The name isn't part of the hash. Each line has it until the client is deleted, and so does the first event.
        created = orjson.loads(link.detail).get("identifier") if link.event == Event.CLIENT_CREATED.value else None
        if client is not None and len({client, names[chain], created} - {None}) > 1:
            walk.stop(link.sequence, "its line names a different client than other lines of the chain")
        names[chain] = names[chain] or client
        walk.take(link)
        step(1)
    if not walks:
        raise ValueError("it contains no events, so nothing was verified")
    for walk in walks.values():
        walk.end(None)
    return [_verdict(chain, names[chain], walk) for chain, walk in walks.items()]


def _verdict(chain: int, client: str | None, walk: Walk, faults: Sequence[Fault] = ()) -> AuditVerdict:
    return AuditVerdict(
        chain=chain,
        client=client,
        events=walk.events,
        start=walk.start,
        end=walk.last,
        faults=[*faults, *([walk.fault] if walk.fault else [])],
        restarts=walk.restarts,
    )


def _link(found: dict[str, Any]) -> tuple[int, str | None, Link]:
    detail = found["detail"]
    if not isinstance(detail, dict):
        raise TypeError(detail)
    link = Link(
        sequence=int(found["sequence"]),
        at=parse_time(found["at"], "at"),
        event=found["event"],
        actor=found["actor"],
        subject=found["subject"],
        address=found["address"],
        request_id=found["requestId"],
        detail=orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode(),
        previous_hash=found["previousHash"],
        hash=found["hash"],
    )
    return int(found["chain"]), found["client"], link
