"""Proves the audit trail as it stands in the store, in memory that does not grow with it, while others write to it.

Each step reads some events together with the chain's head and anchor, all of one moment; what was added or swept in
between is met by the next step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, select

from manifest_auth.audit import BEGINNING, INSTALLATION, Point
from manifest_auth.errors import ValidationError
from manifest_auth.store import Store, SystemUnit, bound
from manifest_auth.store.tables import audit_anchors, audit_events, audit_heads
from manifest_auth.text import moment
from manifest_auth.trail.chain import Fault, Link, Walk
from manifest_auth.trail.stored import BEFORE_ALL, links_after
from manifest_auth.trail.whose import names_of

_E = audit_events.c
_HEAD = bound(select(audit_heads.c.sequence, audit_heads.c.hash), Point)
_ANCHOR = bound(select(audit_anchors.c.sequence, audit_anchors.c.hash), Point)
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
    head, anchor = mine.first(_HEAD), mine.first(_ANCHOR)
    start = anchor or BEGINNING
    if walk is None or start.sequence > walk.last.sequence:  # retention was here meanwhile, or this is the first step
        walk = Walk(chain, start, known, of_client=chain != INSTALLATION and client is not None)

    def find(hashed: str) -> int | None:
        found = mine.first(_OF_HASH, hash=hashed)
        return found.sequence if found else None

    links, goes_on = links_after(mine, after)
    for link in links:
        walk.take(link, find)
    if goes_on:
        return _Step(walk, len(links), links[-1].sequence, client)
    walk.end(head, anchor)
    return _Step(walk, len(links), None, client)


def verify_export(lines: Iterable[bytes], step: Step, known: Mapping[int, Point]) -> list[Verdict]:
    """The same for what :func:`export` wrote, by itself: nothing in between is missing or altered. Whether it begins
    and ends where it should, an export does not know. Raises ValueError for what is none."""
    walks: dict[int, tuple[Walk, str | None]] = {}
    for number, line in enumerate(lines, 1):
        try:
            chain, client, link = _link(orjson.loads(line))
        except (ValueError, TypeError, KeyError, ValidationError) as error:
            raise ValueError(f"line {number}: not an event as `audit export` writes them") from error
        if chain not in walks:
            start = Point(link.sequence - 1, link.previous_hash)
            walks[chain] = Walk(chain, start, known.get(chain)), client
        walks[chain][0].take(link)
        step(1)
    verdicts = []
    for chain, (walk, client) in walks.items():
        walk.end_of_excerpt()
        verdicts.append(Verdict(chain, client, walk.events, walk.start, walk.last, walk.faults, walk.untold))
    return verdicts


def _link(found: dict[str, Any]) -> tuple[int, str | None, Link]:
    detail = found["detail"]
    if not isinstance(detail, str):
        detail = orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode()
    link = Link(
        int(found["sequence"]),
        moment(found["at"], "at"),
        found["event"],
        found["actor"],
        found["subject"],
        found["address"],
        found["requestId"],
        detail,
        found["previousHash"],
        found["hash"],
    )
    return int(found["chain"]), found["client"], link
