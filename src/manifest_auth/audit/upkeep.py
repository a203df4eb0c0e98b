"""Upkeep of audit chains: retention removes the oldest events, and MACs are renewed with a newer secret key."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from itertools import takewhile
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import Table, bindparam, delete, select, update

from manifest_auth.audit import events
from manifest_auth.audit.catalogue import Event
from manifest_auth.audit.events import (
    Head,
    anchor_mac,
    has_valid_anchor_mac,
    has_valid_mac,
    in_doubt,
    is_newest,
    is_newest_anchor,
    record,
    with_mac,
)
from manifest_auth.context import Acting, Origin
from manifest_auth.store import (
    CrossTenant,
    Store,
    SystemUnit,
    TenantScoped,
    TenantUnit,
    cross_tenant,
    tenant_scoped,
    upsert,
)
from manifest_auth.store.tables import audit_anchors, audit_events, audit_heads

# Only the beginning of a chain is removed. In the same transaction, the anchor is set to the last removed event, with a
# MAC, and an event is recorded. An attacker who moves the anchor to hide removed events doesn't have the key.

BATCH = 1000
STEP = 250  # because others wait for the chain
PAUSES = 4  # multiples of a step's duration
CHAINS = 200

_E = audit_events.c


class Swept(NamedTuple):
    """The result of a sweep: how many events it removed, and whether no event is left that is old enough."""

    removed: int
    is_complete: bool


class _Old(NamedTuple):
    sequence: int
    at: int
    event: str
    hash: str


_OLDEST = tenant_scoped(
    select(_E.sequence, _E.at, _E.event, _E.hash).order_by(_E.sequence).limit(bindparam("limit")), _Old
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
    """Removes events before that time from all chains, in small steps that leave most of the time to other work.

    ``before`` and ``now`` are in milliseconds. After ``round_s`` seconds, the sweep ends even if some events are left.
    """
    removed, after, until = 0, -1, monotonic() + round_s
    origin = Origin(now, "system", "", "sweeping")
    while True:
        chains, old = await store.read(lambda unit: _look(unit, after, before))  # noqa: B023 - awaited
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
    """Removes one batch of a chain's events that are older than ``before``. Returns how many it removed.

    ``before`` and ``now`` are in milliseconds. Returns 0 when only events of retention itself are left.
    """
    return await store.of(chain).write(lambda unit: _cut(unit, Origin(now, "system", "", "sweeping"), before, BATCH))


def _look(unit: SystemUnit, after: int, before: int) -> tuple[list[int], list[int]]:
    """Returns the next chains, and the ones among them that start with an old event."""
    chains = unit.all(_CHAINS, after=after)
    return chains, [chain for chain in chains if any(old.at < before for old in unit.of(chain).all(_OLDEST, limit=1))]


def _cut(unit: TenantUnit, origin: Origin, before: int, most: int) -> int:
    """Removes at most ``most`` events. Skips a batch that would only contain events of earlier retention."""
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


# Rows without a valid MAC stay unchanged and are reported, so that a row written by hand never gets a valid MAC. Only
# :func:`restart` gives them one after a secret key was lost, and records that nothing authenticates earlier events.

RENEWED_AT_ONCE = 100
_LOCKED = tenant_scoped(select(*(audit_heads.c[name] for name in Head._fields)).with_for_update(), Head)
_SIGN = tenant_scoped(
    update(audit_heads)
    .where(audit_heads.c.mac == bindparam("before"))
    .values(doubts=bindparam("doubts"), mac=bindparam("mac"))
)
_ANCHOR_FOUND: TenantScoped[Any] = tenant_scoped(
    select(audit_anchors.c.sequence, audit_anchors.c.hash, audit_anchors.c.mac).with_for_update()
)
_SIGN_ANCHOR = tenant_scoped(
    update(audit_anchors).where(audit_anchors.c.mac == bindparam("before")).values(mac=bindparam("mac"))
)


class SignedTable(NamedTuple):
    """A table of rows with a MAC. ``renew`` returns True if it renewed the MAC, and None if no key made the current
    one."""

    name: str
    next: CrossTenant[int]
    renew: Callable[[TenantUnit], bool | None]


class Renewal(NamedTuple):
    """The result for several chains."""

    chains: list[int]
    renewed: int
    lost: list[str]


async def renew_some(store: Store, table: SignedTable, after: int) -> Renewal:
    """Renews the next rows, after that chain. Each has a separate unit of work, because a transaction that locks two
    heads could deadlock with another one."""
    found = await store.read(lambda unit: unit.all(table.next, after=after))
    chains = [chain for chain in found if isinstance(chain, int)]
    done = {chain: await store.of(chain).write(table.renew) for chain in chains}
    lost = [f"{table.name.partition('.')[0]}/{chain}" for chain, renewed in done.items() if renewed is None]
    return Renewal(chains, sum(renewed is True for renewed in done.values()), lost)


def _renew_head(unit: TenantUnit) -> bool | None:
    head = unit.first(_LOCKED)
    if head is None:
        return False
    if not has_valid_mac(unit.macs, unit.tenant_id, head) or in_doubt(unit.macs, unit.tenant_id, head):
        return None
    if is_newest(unit.macs, unit.tenant_id, head):
        return False
    renewed = with_mac(unit.macs, unit.tenant_id, head._replace(doubts=""))
    return unit.change(_SIGN, before=head.mac, doubts=renewed.doubts, mac=renewed.mac) > 0


def _renew_anchor(unit: TenantUnit) -> bool | None:
    row: Any = unit.first(_ANCHOR_FOUND)
    if row is None:
        return False
    if not has_valid_anchor_mac(unit.macs, unit.tenant_id, *row):
        return None
    if is_newest_anchor(unit.macs, unit.tenant_id, *row):
        return False
    return unit.change(_SIGN_ANCHOR, before=row[2], mac=anchor_mac(unit.macs, unit.tenant_id, row[0], row[1])) > 0


def restart(unit: TenantUnit, acting: Acting, reason: str) -> bool:
    """Restarts the authentication of a chain, and returns True, if no secret key made its head or anchor. The events
    stay unchanged, and verification still reports events that were removed or altered. A chain that was removed
    entirely can't be restarted, because no key made its first head."""
    macs, chain = unit.macs, unit.tenant_id
    head, anchor = unit.first(_LOCKED), unit.first(_ANCHOR_FOUND)
    if head is None or _was_never_signed(unit, head):
        return False
    is_anchored = anchor is None or has_valid_anchor_mac(macs, chain, *anchor)
    if is_anchored and has_valid_mac(macs, chain, head) and not in_doubt(macs, chain, head):
        return False
    unit.change(_SIGN, before=head.mac, doubts="", mac=with_mac(macs, chain, head._replace(doubts="")).mac)
    if anchor is not None and not is_anchored:
        sequence, hashed, before = anchor
        unit.change(_SIGN_ANCHOR, before=before, mac=anchor_mac(macs, chain, sequence, hashed))
    record(unit, acting, Event.AUDIT_RESTARTED, reason=reason, sequence=head.sequence, hash=head.hash)
    return True


def _was_never_signed(unit: TenantUnit, head: Head) -> bool:
    try:
        return not head.mac or 0 in in_doubt(unit.macs, unit.tenant_id, head)
    except (ValueError, TypeError):  # written by hand
        return False


def _next(table: Table) -> CrossTenant[int]:
    query = select(table.c.tenant_id).where(table.c.tenant_id > bindparam("after"))
    return cross_tenant(
        query.order_by(table.c.tenant_id).limit(RENEWED_AT_ONCE),
        int,
        because="all chains are signed with the newest key, one after another",
    )


HEADS = SignedTable("audit_heads.mac", _next(audit_heads), _renew_head)
ANCHORS = SignedTable("audit_anchors.mac", _next(audit_anchors), _renew_anchor)
