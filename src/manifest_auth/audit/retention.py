"""Retention: removes a chain's oldest events, and keeps the rest verifiable.

Only the beginning of a chain is removed. In the same transaction, the anchor is set to the last removed event, with a
MAC, and an event is recorded: an attacker who moves the anchor to hide removed events lacks the key.
"""

from __future__ import annotations

import asyncio
import math
from itertools import takewhile
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, select

from manifest_auth.audit import events
from manifest_auth.audit.catalogue import Event
from manifest_auth.audit.chain_macs import anchor_mac
from manifest_auth.context import Origin
from manifest_auth.store import Store, SystemUnit, TenantUnit, cross_tenant, tenant_scoped, upsert
from manifest_auth.store.tables import audit_anchors, audit_events, audit_heads

BATCH = 1000
STEP = 250  # while others wait for the chain
PAUSES = 4  # times as long as a step took
CHAINS = 200

_E = audit_events.c


class Swept(NamedTuple):
    """How many events a sweep removed, and whether none is left that is old enough."""

    removed: int
    is_complete: bool


class _Old(NamedTuple):
    sequence: int
    at: int
    event: str
    hash: str


_OLDEST = tenant_scoped(
    select(_E.sequence, _E.at, _E.event, _E.hash).order_by(_E.sequence).limit(bindparam("limit")),
    _Old,
)
_DROP = tenant_scoped(delete(audit_events).where(_E.sequence <= bindparam("last")))
_ANCHOR: dict[str, Any] = {name: bindparam(name) for name in ("sequence", "hash", "mac")}
_PUT = tenant_scoped(
    upsert(audit_anchors).values(_ANCHOR).on_conflict_do_update(index_elements=["tenant_id"], set_=_ANCHOR)
)
_CHAINS = cross_tenant(
    select(audit_heads.c.tenant_id)
    .where(audit_heads.c.tenant_id > bindparam("after"))
    .order_by(audit_heads.c.tenant_id)
    .limit(CHAINS),
    int,
    because="retention processes all chains, one after another",
)


async def sweep(store: Store, before: int, now: int, round_s: float = math.inf) -> Swept:
    """Removes events of all chains before that time, in small steps that leave most of the time to others.

    ``before``, ``now``: milliseconds. ``round_s``: seconds after which it ends with some left.
    """
    removed, after, until = 0, -1, monotonic() + round_s
    origin = Origin(now, "system", "", "sweeping")
    while True:
        chains, old = await store.read(lambda unit: _look(unit, after, before))  # noqa: B023 - awaited at once
        for chain in old:
            began = monotonic()
            while gone := await store.of(chain).write(lambda unit: _cut(unit, origin, before, STEP)):
                removed += gone
                if (ended := monotonic()) > until:
                    return Swept(removed, is_complete=False)
                await asyncio.sleep(PAUSES * (ended - began))
                began = monotonic()
        if len(chains) < CHAINS:
            return Swept(removed, is_complete=True)
        after = chains[-1]


async def cut(store: Store, chain: int, before: int, now: int) -> int:
    """Removes one batch of a chain's events that are older than ``before``; returns how many.

    ``before``, ``now``: milliseconds. 0 once only events of retention itself are left.
    """
    origin = Origin(now, "system", "", "sweeping")
    return await store.of(chain).write(lambda unit: _cut(unit, origin, before, BATCH))


def _look(unit: SystemUnit, after: int, before: int) -> tuple[list[int], list[int]]:
    """The next chains, and those of them that start with an old event."""
    chains = unit.all(_CHAINS, after=after)
    return chains, [chain for chain in chains if any(old.at < before for old in unit.of(chain).all(_OLDEST, limit=1))]


def _cut(unit: TenantUnit, origin: Origin, before: int, most: int) -> int:
    """Removes at most ``most`` events. Events of earlier retention alone are not worth a batch."""
    events.lock(unit)
    gone = list(takewhile(lambda old: old.at < before, unit.all(_OLDEST, limit=most)))
    if len(gone) < most and all(old.event == Event.AUDIT_SWEPT.value for old in gone):
        return 0
    last = gone[-1]
    unit.change(_DROP, last=last.sequence)
    mac = anchor_mac(unit.macs, unit.tenant_id, last.sequence, last.hash)
    unit.change(_PUT, sequence=last.sequence, hash=last.hash, mac=mac)
    events.record(unit, origin, Event.AUDIT_SWEPT, sequence=last.sequence, hash=last.hash, events=len(gone))
    return len(gone)
