"""Usage of a client for its managers: seats by license type, users who signed in lately, open sessions."""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import BigInteger, bindparam, func, select

from manifest_auth.licence import Seats, gate
from manifest_auth.runtime.settings import DAY, MINUTE
from manifest_auth.services import RequestContext
from manifest_auth.sessions.principal import ENDS_AT
from manifest_auth.store import Store, TenantUnit, tenant_scoped
from manifest_auth.store.tables import sessions, users

FRESH_MS, ACTIVE_MS = 5 * MINUTE * 1000, 30 * DAY * 1000
_MOST = 1000  # clients that one process remembers


class Usage(NamedTuple):
    """``seats``: the client's active users by the licence type that each needs. ``free``: what the installation's
    licence has left of each, None where none is needed. ``active_users``: of ``users``, those who signed in within 30
    days. ``counted_at``: milliseconds."""

    users: int
    active_users: int
    open_sessions: int
    seats: Seats
    free: Seats | None
    counted_at: int


class _Group(NamedTuple):
    roles: int
    users: int
    active: int


class _Counted:
    """What one process counted, by client; one count at a time."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.by_client: dict[int, Usage] = {}


_COUNTED: WeakKeyDictionary[Store, _Counted] = WeakKeyDictionary()
_U, _S = users.c, sessions.c
_SINCE = bindparam("since", type_=BigInteger())
_USERS = tenant_scoped(
    select(_U.roles, func.count(), func.count().filter(_U.last_sign_in_at >= _SINCE))
    .where(_U.deactivated_at.is_(None))
    .group_by(_U.roles),
    _Group,
)
_SESSIONS = tenant_scoped(
    select(func.count()).select_from(sessions).where(_S.ended_at.is_(None), bindparam("now") < ENDS_AT), int
)


async def of_client(ctx: RequestContext) -> Usage:
    """The usage of the caller's client; counted at most once in five minutes by each process."""
    counted = _COUNTED.setdefault(ctx.services.store, _Counted())
    tenant_id, now = ctx.user.tenant_id, ctx.now
    async with counted.lock:
        found = counted.by_client.get(tenant_id)
        if found is None or not 0 <= now - found.counted_at < FRESH_MS:
            granted = await _granted(ctx)
            found = await ctx.store.read(lambda unit: _count(unit, granted, now))
            counted.by_client.pop(tenant_id, None)
            counted.by_client[tenant_id] = found
            if len(counted.by_client) > _MOST:
                counted.by_client.pop(next(iter(counted.by_client)))
    return found


async def _granted(ctx: RequestContext) -> Seats | None:
    """The seats of the licence in force; None where none is needed."""
    licence_gate = ctx.services.licence
    if not licence_gate.is_needed:
        return None
    licence = (await licence_gate.status()).licence
    return licence.seats if licence is not None else Seats(0, 0, 0)


def _count(unit: TenantUnit, granted: Seats | None, now: int) -> Usage:
    groups = unit.all(_USERS, since=now - ACTIVE_MS)
    counts = [0] * (len(gate.TYPES) + 1)
    for group in groups:
        counts[gate.type_index(group.roles)] += group.users
    return Usage(
        users=sum(group.users for group in groups),
        active_users=sum(group.active for group in groups),
        open_sessions=unit.one(_SESSIONS, now=now),
        seats=Seats(*counts[: len(gate.TYPES)]),
        free=None if granted is None else gate.free(granted, gate.taken(unit)),
        counted_at=now,
    )
